//! The audit of manifests: what of a pod lets it be changed while it runs, and what keeps it from running.
//!
//! Texts in, findings out. Reads no file, no clock and no registry: images and the day are brought. Where an image is not at
//! hand the rules that need it say so, and do not count as passed.

pub mod baseline;
pub mod checklist;
pub mod command;
pub mod ignore;
pub mod image;
pub mod logs;
pub mod options;
pub mod render;
pub mod resource;
pub mod rule;
pub mod rules;
mod subject;
mod whole;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::finding::Severity;
use crate::kube::document::{DocumentError, Node, Part, Stream, pointer};
use crate::kube::pss::{self, Level};
use checklist::Marks;
use ignore::Ignore;
pub use image::{Image, Origin};
pub use options::{Options, Platform};
use resource::{Place, Resource, Standard, place};
use rule::{Check, Found, Hit, Rule, WholeFound};
use subject::Subject;
use whole::Whole;

/// Parts that are read before they are judged: a large pod each, at the most some megabytes.
const AHEAD: usize = 64;

/// What an audit found.
#[derive(Debug, Default)]
pub struct Audit {
    /// The files, as the user named them.
    pub files: Vec<String>,
    /// Every resource, in order.
    pub resources: Vec<Resource>,
    /// By resource, in the order in which they stand.
    pub findings: Vec<Finding>,
    /// Why rules could not be decided, by their id.
    pub reasons: BTreeMap<&'static str, &'static str>,
    /// Resources with containers that no rule looked at: their number, and where the containers are.
    pub unread: Vec<(usize, String)>,
    /// Documents that are no resources.
    pub others: usize,
}

/// What came of a rule: of how many pods or resources it holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// It holds.
    pub passed: usize,
    /// It does not.
    pub failed: usize,
    /// It could not be decided.
    pub undecided: usize,
    /// Why.
    pub why: Option<&'static str>,
}

/// What came of a rule at one resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Outcome {
    /// There was nothing to decide, or it was not asked for.
    #[default]
    Void,
    /// It holds.
    Passed,
    /// It does not.
    Failed,
    /// It could not be decided.
    Undecided,
}

/// One place where a rule does not hold.
#[derive(Debug, Clone)]
pub struct Finding {
    /// Which.
    pub rule: &'static Rule,
    /// The rule's, or what this place weighs.
    pub severity: Severity,
    /// Number of the resource.
    pub resource: usize,
    /// Number of the container in the resource, if it is one's.
    pub container: Option<usize>,
    /// From the resource's top: `spec.template.spec.containers[0].image`.
    pub field: Box<str>,
    /// Where it stands, or the nearest around it: from 1.
    pub line: usize,
    /// From 1, characters.
    pub column: usize,
    /// What is wrong, in one line.
    pub message: Box<str>,
    /// Whether it counts.
    pub state: State,
}

/// Whether a finding counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It does.
    Open,
    /// The resource's annotation says why not.
    Ignored(Box<str>),
    /// It was there before.
    Known,
}

/// Audits texts, one by one.
pub struct Auditor<'o> {
    options: &'o Options,
    audit: Audit,
    whole: Whole,
}

impl<'o> Auditor<'o> {
    /// One that has seen nothing.
    pub fn new(options: &'o Options) -> Self {
        Self { options, audit: Audit::default(), whole: Whole::default() }
    }

    /// Audits the documents in `text`, of the file `name`. What stands before an error is audited.
    pub fn text(&mut self, name: &str, text: &str) -> Result<(), DocumentError> {
        let file = self.audit.files.len();
        self.audit.files.push(name.to_owned());
        // One thread reads while another judges; and neither waits for memory to be given back.
        std::thread::scope(|scope| {
            let (sender, receiver) = crossbeam_channel::bounded(AHEAD);
            scope.spawn(move || Stream::new(text).try_for_each(|part| sender.send(part)));
            for part in receiver {
                self.part(file, &part?);
            }
            Ok(())
        })
    }

    /// All that was found.
    pub fn finish(mut self) -> Audit {
        for (index, rule) in self.wanted() {
            let Check::Whole(check) = rule.check else { continue };
            let mut found = WholeFound::default();
            check(&self.whole, &mut found);
            let decided = found.passed.iter().map(|&resource| (resource, Outcome::Passed));
            let failed = found.hits.iter().map(|(resource, ..)| (*resource, Outcome::Failed));
            let open = found.undecided.iter().map(|&resource| (resource, Outcome::Undecided));
            for (resource, outcome) in decided.chain(failed).chain(open) {
                let slot = self.audit.resources.get_mut(resource).and_then(|one| one.outcomes.get_mut(index));
                if let Some(slot) = slot {
                    *slot = outcome;
                }
            }
            if !found.undecided.is_empty() {
                self.audit.reasons.insert(rule.id, found.why);
            }
            for (resource, (line, column), message) in found.hits {
                self.audit.findings.push(Finding {
                    rule,
                    severity: rule.severity,
                    resource,
                    container: None,
                    field: "metadata".into(),
                    line,
                    column,
                    message: message.into(),
                    state: State::Open,
                });
            }
        }
        self.audit
            .findings
            .sort_by_key(|finding| (finding.resource, finding.line, finding.column, finding.rule.id));
        self.audit
    }

    fn wanted(&self) -> impl Iterator<Item = (usize, &'static Rule)> + use<'o> {
        let options = self.options;
        rules::RULES.into_iter().enumerate().filter(move |(_, rule)| options.wants(rule.id))
    }

    fn part(&mut self, file: usize, part: &Part) {
        // No rule asks what a cluster says of it.
        let value = part.root.value_without("status");
        let Some(resource) = Resource::of(file, (part.root.line, part.root.column), &value) else {
            self.audit.others += usize::from(!value.is_null());
            return;
        };
        // What holds a list is no resource; its members are.
        if resource.kind.ends_with("List") && value.get("items").is_some() {
            return;
        }
        self.resource(resource, &value, &part.root);
    }

    fn resource(&mut self, mut resource: Resource, value: &Value, node: &Node) {
        let number = self.audit.resources.len();
        let mut findings = Vec::new();
        if let Some(network) = rules::operations::network_of(&resource, value) {
            self.whole.networks.push(network);
        }
        if let Some(covers_ephemeral) = rules::operations::as_policy(&resource, value) {
            let at = (resource.line, resource.column);
            self.whole.policies.push(whole::Policy { resource: number, at, covers_ephemeral });
        }
        for (index, rule) in self.wanted() {
            let Check::Resource(kinds, check) = rule.check else { continue };
            if kinds.contains(&resource.kind.as_str()) {
                let mut found = Found::default();
                check(&resource, value, &mut found);
                self.count(&mut resource, index, rule, &found);
                add(rule, found, number, "", node, &mut findings);
            }
        }
        match place(&resource, value, &self.options.pod_spec_paths) {
            Place::At(fields) => self.pod(number, &mut resource, value, node, &fields, &mut findings),
            Place::Unknown(path) => self.audit.unread.push((number, path)),
            Place::Nowhere => {}
        }
        self.ignore(number, &mut resource, value, node, &mut findings);
        self.audit.findings.extend(findings);
        self.audit.resources.push(resource);
    }

    fn pod(
        &mut self,
        number: usize,
        resource: &mut Resource,
        value: &Value,
        node: &Node,
        fields: &[String],
        findings: &mut Vec<Finding>,
    ) {
        let template = fields.iter().try_fold(value, |at, field| at.get(field));
        let none = Value::Null;
        let metadata = template.and_then(|template| template.get("metadata")).unwrap_or(&none);
        let Some(spec) = template.and_then(|template| template.get("spec")) else { return };
        let prefix = fields.iter().fold(String::new(), |prefix, field| prefix + field + ".");
        let mut violations = pss::evaluate(Level::Restricted, self.options.version, metadata, spec);
        let standard = if violations.is_empty() {
            Standard::Restricted
        } else {
            // What only `baseline` asks `restricted` asks in other words.
            let baseline = pss::evaluate(Level::Baseline, self.options.version, metadata, spec);
            let standard = if baseline.is_empty() { Standard::Baseline } else { Standard::Privileged };
            let is_new = |one: &pss::Violation| !violations.iter().any(|other| other.control == one.control);
            let more: Vec<_> = baseline.into_iter().filter(is_new).collect();
            violations.extend(more);
            standard
        };
        let whole_resource = resource.clone();
        let mut subject = Subject::new(&whole_resource, value, self.options, metadata, spec);
        subject.violations = violations;
        let mut marks = Marks::default();
        for (index, rule) in self.wanted() {
            let Check::Pod(check) = rule.check else { continue };
            let mut found = Found::default();
            check(&subject, &mut found);
            if let Some(point) = rule.point {
                if !found.hits.is_empty() && !found.spares_point {
                    marks.breaks(point);
                } else if found.undecided.is_some() {
                    marks.opens(point);
                }
            }
            self.count(resource, index, rule, &found);
            add(rule, found, number, &prefix, node, findings);
        }
        resource.containers = subject
            .containers
            .iter()
            .map(|container| {
                let field = "securityContext.readOnlyRootFilesystem";
                let is_read_only = subject::truth(container.fields, field) == Some(true);
                (container.role, container.name.to_owned(), is_read_only)
            })
            .collect();
        resource.checklist = Some(marks);
        resource.standard = Some(standard);
        let labels = subject::value(metadata, "labels").and_then(Value::as_object);
        let labels = labels.into_iter().flatten();
        self.whole.pods.push(whole::Pod {
            resource: number,
            namespace: resource.namespace.clone(),
            labels: labels
                .filter_map(|(key, label)| Some((key.clone(), label.as_str()?.to_owned())))
                .collect(),
            at: node.nearest(&format!("{prefix}metadata.labels")),
        });
    }

    /// Remembers what came of a rule.
    fn count(&mut self, resource: &mut Resource, index: usize, rule: &'static Rule, found: &Found) {
        let outcome = if !found.hits.is_empty() {
            Outcome::Failed
        } else if let Some(why) = found.undecided {
            self.audit.reasons.insert(rule.id, why);
            Outcome::Undecided
        } else if found.is_void {
            Outcome::Void
        } else {
            Outcome::Passed
        };
        if let Some(slot) = resource.outcomes.get_mut(index) {
            *slot = outcome;
        }
    }

    /// Takes what annotations say is to be ignored out of what counts, and tells what is wrong with them.
    fn ignore(
        &self,
        number: usize,
        resource: &mut Resource,
        value: &Value,
        node: &Node,
        findings: &mut Vec<Finding>,
    ) {
        let Some(text) = subject::value(value, "metadata.annotations").and_then(|all| all.get(ignore::KEY))
        else {
            return;
        };
        let options = self.options;
        let field = format!("metadata.annotations[\"{}\"]", ignore::KEY);
        let wrong = |rule: &'static Rule, message: String, all: &mut Vec<Finding>| {
            let mut found = Found::default();
            found.pod(field.clone(), message);
            if options.wants(rule.id) {
                add(rule, found, number, "", node, all);
            }
        };
        for line in ignore::parse(text.as_str().unwrap_or_default()) {
            let Ignore { rule, container, until, reason } = match line {
                Ok(line) => line,
                Err(message) => {
                    wrong(&rules::IG001, message, findings);
                    continue;
                }
            };
            if let Some(until) =
                until.filter(|until| options.today.as_ref().is_some_and(|today| today > until))
            {
                wrong(&rules::IG002, format!("{rule} was ignored until {until}"), findings);
                continue;
            }
            let mut is_used = false;
            let containers = &resource.containers;
            for finding in findings.iter_mut().filter(|finding| finding.rule.id == rule) {
                let own = finding.container.and_then(|index| containers.get(index));
                if container.is_none() || own.map(|(_, name, _)| name) == container.as_ref() {
                    finding.state = State::Ignored(reason.clone().into());
                    is_used = true;
                }
            }
            // What was not asked for cannot be found.
            if !is_used && options.wants(&rule) {
                let whose = container.map(|name| format!("/{name}")).unwrap_or_default();
                wrong(&rules::IG003, format!("nothing is found that `{rule}{whose}` would ignore"), findings);
            }
        }
        for (index, rule) in self.wanted().filter(|(_, rule)| matches!(rule.check, Check::Annotation)) {
            let is_broken = findings.iter().any(|finding| finding.rule.id == rule.id);
            if let Some(slot) = resource.outcomes.get_mut(index) {
                *slot = if is_broken { Outcome::Failed } else { Outcome::Passed };
            }
        }
    }
}

/// What is found in one resource that comes as a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueAudit {
    /// `Deployment shop/web`.
    pub title: String,
    /// Fields that lead to what has the pod's `metadata` and `spec`.
    pub template: Vec<String>,
    /// What counts.
    pub findings: Vec<ValueFinding>,
}

/// A place in a value where a rule does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueFinding {
    /// The rule's id.
    pub rule: &'static str,
    /// What is wrong, in one line.
    pub message: String,
    /// From the resource's top: `spec.template.spec.containers[0].image`.
    pub field: String,
    /// The same as a JSON pointer (RFC 6901).
    pub pointer: String,
    /// The container, as a JSON pointer from the pod's `spec`.
    pub container: Option<String>,
}

/// What is found in the resource that `value` is; `None` if it has no pod.
pub fn of_value(value: &Value, options: &Options) -> Option<ValueAudit> {
    let resource = Resource::of(0, (1, 1), value)?;
    let Place::At(template) = place(&resource, value, &options.pod_spec_paths) else { return None };
    let spec = template.iter().try_fold(value, |at, field| at.get(field))?.get("spec")?;
    let containers: Vec<String> = ["initContainers", "containers", "ephemeralContainers"]
        .iter()
        .flat_map(|kind| subject::list(spec, kind).map(move |(index, _)| format!("/{kind}/{index}")))
        .collect();
    let title = resource.title();
    let mut auditor = Auditor::new(options);
    auditor.resource(resource, value, &Node::nowhere());
    let findings = auditor
        .audit
        .open()
        .map(|finding| ValueFinding {
            rule: finding.rule.id,
            message: finding.message.to_string(),
            field: finding.field.to_string(),
            pointer: pointer(&finding.field),
            container: finding.container.and_then(|index| containers.get(index).cloned()),
        })
        .collect();
    Some(ValueAudit { title, template, findings })
}

/// The images that the pods in `text` name, as far as it can be read.
pub fn image_names(text: &str, options: &Options) -> Vec<String> {
    let mut names = Vec::new();
    for part in Stream::new(text).map_while(Result::ok) {
        let value = part.root.value();
        let Some(resource) = Resource::of(0, (part.root.line, part.root.column), &value) else { continue };
        let Place::At(fields) = place(&resource, &value, &options.pod_spec_paths) else { continue };
        let template = fields.iter().try_fold(&value, |at, field| at.get(field));
        let Some(spec) = template.and_then(|template| template.get("spec")) else { continue };
        let subject = Subject::new(&resource, &value, options, &Value::Null, spec);
        let images = subject.containers.iter().map(|container| container.image);
        names.extend(images.filter(|image| !image.is_empty()).map(str::to_owned));
    }
    names
}

/// Makes findings of what a rule says.
fn add(
    rule: &'static Rule,
    found: Found,
    resource: usize,
    prefix: &str,
    node: &Node,
    findings: &mut Vec<Finding>,
) {
    for Hit { container, field, message, severity } in found.hits {
        let field = format!("{prefix}{field}");
        let (line, column) = node.nearest(&field);
        findings.push(Finding {
            rule,
            severity: severity.unwrap_or(rule.severity),
            resource,
            container,
            field: field.into(),
            line,
            column,
            message: message.into(),
            state: State::Open,
        });
    }
}

impl Audit {
    /// How many resources came out of `rule` with each outcome, and why some are not decided.
    pub fn tally(&self, rule: &Rule) -> Tally {
        let mut tally = Tally { why: self.reasons.get(rule.id).copied(), ..Tally::default() };
        let Some(index) = rules::RULES.iter().position(|other| other.id == rule.id) else { return tally };
        for outcome in self.resources.iter().filter_map(|resource| resource.outcomes.get(index)) {
            match outcome {
                Outcome::Void => {}
                Outcome::Passed => tally.passed += 1,
                Outcome::Failed => tally.failed += 1,
                Outcome::Undecided => tally.undecided += 1,
            }
        }
        tally
    }

    /// The findings that count.
    pub fn open(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.state == State::Open)
    }

    /// The resource of a finding.
    pub fn resource(&self, finding: &Finding) -> &Resource {
        self.resources
            .get(finding.resource)
            .unwrap_or_else(|| unreachable!("a finding is about a resource of its audit"))
    }

    /// The file of a finding.
    pub fn file(&self, finding: &Finding) -> &str {
        self.files.get(self.resource(finding).file).map_or("", String::as_str)
    }

    /// `container "app"`, if the finding is about one.
    pub fn container(&self, finding: &Finding) -> Option<String> {
        let (role, name, _) = self.resource(finding).containers.get(finding.container?)?;
        Some(format!("{} {name:?}", role.noun()))
    }
}

#[cfg(test)]
pub(crate) mod tests;
