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
mod members;
pub mod options;
pub mod place;
pub mod render;
pub mod resource;
pub mod rule;
pub mod rules;
mod subject;
mod system;
pub mod value;
mod whole;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use serde_json::Value;

use crate::finding::Severity;
use crate::kube::document::{DocumentError, Node, Stream};
use crate::kube::pss::{self, Level, Violation};
use ignore::Annotation;
pub use image::{Image, Origin};
use members::Members;
pub use options::{Options, Platform};
use place::{Described, Template, Why, described};
use resource::{Resource, Standard};
use rule::{Check, Found, Hit, Rule, WholeFound};
pub use subject::FIXED_KINDS;
use subject::Subject;
pub use value::{ValueAudit, ValueFinding, image_names, of_value};
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
    /// Places with pods, or where pods should be, that no rule looked at.
    pub unread: Vec<Unread>,
    /// Documents, and members of lists, that are no resources: the number of the file, and the line.
    pub others: Vec<(usize, usize)>,
}

/// A place in a resource that no rule looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// Number of the resource.
    pub resource: usize,
    /// From the resource's top, `[]` for every member of a list: `spec.jobs[].template.spec`.
    pub field: String,
    /// Why.
    pub why: Why,
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

/// What came of a rule at one resource. The order is that of weight: of several pods of a resource the heaviest counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Outcome {
    /// There was nothing to decide, or it was not asked for.
    #[default]
    Void,
    /// It holds.
    Passed,
    /// It could not be decided.
    Undecided,
    /// It does not hold.
    Failed,
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
    pub field: Arc<str>,
    /// The same with names in place of numbers, if it has any: what the baseline knows it by.
    named: Option<Arc<str>>,
    /// Where it stands, or the nearest around it: from 1.
    pub line: usize,
    /// From 1, characters.
    pub column: usize,
    /// What is wrong, in one line.
    pub message: Arc<str>,
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
    annotations: Vec<Annotation>,
    /// Texts of findings: what is wrong with one of ten thousand pods is wrong with most.
    texts: HashSet<Arc<str>>,
}

impl<'o> Auditor<'o> {
    /// One that has seen nothing.
    pub fn new(options: &'o Options) -> Self {
        Self {
            options,
            audit: Audit::default(),
            whole: Whole::default(),
            annotations: Vec::new(),
            texts: HashSet::new(),
        }
    }

    /// Audits the documents in `text`, of the file `name`. What stands before an error is audited.
    pub fn text(&mut self, name: &str, text: &str) -> Result<(), DocumentError> {
        let file = self.audit.files.len();
        self.audit.files.push(name.to_owned());
        let mut members = Members::default();
        // One thread reads while another judges; and neither waits for memory to be given back.
        std::thread::scope(|scope| {
            let (sender, receiver) = crossbeam_channel::bounded(AHEAD);
            scope.spawn(move || Stream::new(text).try_for_each(|part| sender.send(part)));
            for part in receiver {
                members.of(part?, &mut |value, node| self.member(file, &value, node));
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
            self.whole(index, rule, found);
        }
        self.audit.sort();
        ignore::apply(&mut self.audit, &self.annotations, self.options);
        self.audit.sort();
        self.audit
    }

    fn wanted(&self) -> impl Iterator<Item = (usize, &'static Rule)> + use<'o> {
        let options = self.options;
        rules::RULES.into_iter().enumerate().filter(move |(_, rule)| options.wants(rule.id))
    }

    /// Remembers what a rule about everything together found.
    fn whole(&mut self, index: usize, rule: &'static Rule, found: WholeFound) {
        let passed = found.passed.iter().map(|&resource| (resource, Outcome::Passed));
        let failed = found.hits.iter().map(|(resource, ..)| (*resource, Outcome::Failed));
        let open = found.undecided.iter().map(|&resource| (resource, Outcome::Undecided));
        for (resource, outcome) in passed.chain(failed).chain(open) {
            if let Some(resource) = self.audit.resources.get_mut(resource) {
                resource.came(index, outcome);
            }
        }
        if !found.undecided.is_empty() {
            self.audit.reasons.insert(rule.id, found.why);
        }
        self.audit.findings.extend(found.hits.into_iter().map(|(resource, (line, column), message)| {
            Finding {
                rule,
                severity: rule.severity,
                resource,
                container: None,
                field: "metadata".into(),
                named: None,
                line,
                column,
                message: message.into(),
                state: State::Open,
            }
        }));
    }

    /// Audits a document of the file of that number, or a member of a list in it.
    fn member(&mut self, file: usize, value: &Value, node: &Node) {
        match Resource::of(file, (node.line, node.column), value) {
            Some(resource) => self.resource(resource, value, node),
            None if value.is_null() => {}
            None => self.audit.others.push((file, node.line)),
        }
    }

    fn resource(&mut self, mut resource: Resource, value: &Value, node: &Node) {
        let number = self.audit.resources.len();
        if let Some(network) = rules::operations::network_of(&resource, value) {
            self.whole.networks.push(network);
        }
        if let Some(covers_ephemeral) = rules::operations::as_policy(&resource, value) {
            let at = (resource.line, resource.column);
            self.whole.policies.push(whole::Policy { resource: number, at, covers_ephemeral });
        }
        let place = Place { resource: number, value, node };
        for (index, rule) in self.wanted() {
            let Check::Resource(kinds, check) = rule.check else { continue };
            if kinds.contains(&resource.kind.as_str()) {
                let mut found = Found::default();
                check(&resource, value, &mut found);
                self.found(&mut resource, index, rule, found, &place, ("", 0));
            }
        }
        let Described { templates, unread } = described(&resource, value, &self.options.pod_spec_paths);
        for template in &templates {
            self.pod(&mut resource, template, &place);
        }
        let unread = unread.into_iter().map(|(field, why)| Unread { resource: number, field, why });
        self.audit.unread.extend(unread);
        let metadata = value.get("metadata").map(|metadata| ("", metadata));
        let of_pods = templates.iter().map(|template| (template.prefix.as_str(), template.metadata));
        let all = metadata.into_iter().chain(of_pods.filter(|(prefix, _)| !prefix.is_empty()));
        self.annotations.extend(all.filter_map(|(at, metadata)| ignore::read(number, at, metadata, node)));
        self.audit.resources.push(resource);
    }

    fn pod(&mut self, resource: &mut Resource, template: &Template<'_>, place: &Place<'_>) {
        let Template { prefix, metadata, spec } = template;
        let (standard, violations) = self.standard(metadata, spec);
        let whole = resource.clone();
        let mut subject = Subject::new(&whole, place.value, self.options, metadata, spec);
        subject.violations = violations;
        let first = resource.containers.len();
        resource.containers.extend(subject.containers.iter().map(|container| {
            let field = "securityContext.readOnlyRootFilesystem";
            let is_read_only = subject::truth(container.fields, field) == Some(true);
            (container.role, container.name.to_owned(), is_read_only)
        }));
        let mut marks = resource.checklist.unwrap_or_default();
        for (index, rule) in rules::RULES.into_iter().enumerate() {
            let Check::Pod(check) = rule.check else { continue };
            let is_wanted = self.options.wants(rule.id);
            let mut found = Found::default();
            if is_wanted {
                check(&subject, &mut found);
            }
            if let Some(point) = rule.point {
                if !found.hits.is_empty() && !found.spares_point {
                    marks.breaks(point);
                } else if !is_wanted || found.is_void || found.undecided.is_some() {
                    marks.opens(point);
                }
            }
            if is_wanted {
                self.found(resource, index, rule, found, place, (prefix.as_str(), first));
            }
        }
        resource.checklist = Some(marks);
        resource.standard = Some(resource.standard.map_or(standard, |other| other.min(standard)));
        let labels = subject::value(metadata, "labels").and_then(Value::as_object);
        let labels = labels.into_iter().flatten();
        self.whole.pods.push(whole::Pod {
            resource: place.resource,
            namespace: resource.namespace.clone(),
            labels: labels
                .filter_map(|(key, label)| Some((key.clone(), label.as_str()?.to_owned())))
                .collect(),
            at: place.node.nearest(&format!("{prefix}metadata.labels")),
        });
    }

    /// The strictest standard that a pod meets, and what keeps it from meeting the strictest of all.
    fn standard(&self, metadata: &Value, spec: &Value) -> (Standard, Vec<Violation>) {
        let mut violations = pss::evaluate(Level::Restricted, self.options.version, metadata, spec);
        if violations.is_empty() {
            return (Standard::Restricted, violations);
        }
        // What only `baseline` asks `restricted` asks in other words.
        let baseline = pss::evaluate(Level::Baseline, self.options.version, metadata, spec);
        let standard = if baseline.is_empty() { Standard::Baseline } else { Standard::Privileged };
        let is_new = |one: &Violation| !violations.iter().any(|other| other.control == one.control);
        let more: Vec<_> = baseline.into_iter().filter(is_new).collect();
        violations.extend(more);
        (standard, violations)
    }

    /// The text that is kept for all that say the same.
    fn shared(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return Arc::clone(known);
        }
        let new: Arc<str> = text.into();
        self.texts.insert(Arc::clone(&new));
        new
    }

    /// Remembers what a rule found in a resource: below `prefix`, and in containers from number `first` on.
    fn found(
        &mut self,
        resource: &mut Resource,
        index: usize,
        rule: &'static Rule,
        found: Found,
        place: &Place<'_>,
        (prefix, first): (&str, usize),
    ) {
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
        resource.came(index, outcome);
        for Hit { container, field, message, severity } in found.hits {
            let field = format!("{prefix}{field}");
            let (line, column) = place.node.nearest(&field);
            let named = (!self.options.is_single).then(|| baseline::named(place.value, &field)).flatten();
            let named = named.map(|named| self.shared(&named));
            let (field, message) = (self.shared(&field), self.shared(&message));
            self.audit.findings.push(Finding {
                rule,
                severity: severity.unwrap_or(rule.severity),
                resource: place.resource,
                container: container.map(|container| container + first),
                field,
                named,
                line,
                column,
                message,
                state: State::Open,
            });
        }
    }
}

/// A resource while it is audited.
struct Place<'a> {
    /// Its number.
    resource: usize,
    value: &'a Value,
    node: &'a Node,
}

impl Audit {
    /// Puts findings in the order in which they stand.
    fn sort(&mut self) {
        let place = |finding: &Finding| (finding.resource, finding.line, finding.column, finding.rule.id);
        self.findings.sort_by_key(place);
    }

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
