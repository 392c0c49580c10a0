//! What all rules say of one resource, whatever else is audited.
//!
//! A resource in, what was found of it out: resources can be judged in any order and by several threads. Who collects what was
//! found gives resources their numbers.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;

use serde_json::Value;

use super::ignore::{self, Annotation};
use super::place::{Described, Template, described};
use super::resource::{Resource, Standard};
use super::rule::{Check, Found, Hit, Rule};
use super::subject::{self, Subject};
use super::whole::{self, Whole};
use super::{Finding, Options, Outcome, State, Unread, baseline, rules};
use crate::kube::document::Node;
use crate::kube::pss::{self, Level, Standing, Violation};

/// Judges resources, one by one.
pub(super) struct Judge<'o> {
    options: &'o Options,
    /// Whether each of [`rules::RULES`] is asked for.
    wants: [bool; rules::RULES.len()],
    /// Texts of findings: what is wrong with one of ten thousand pods is wrong with most.
    texts: Shared<str>,
    /// Labels of pods: those of one workload have the same.
    labels: Shared<BTreeMap<String, String>>,
}

/// What was found of a resource; its number is left at nought.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) resource: Resource,
    pub(super) findings: Vec<Finding>,
    /// Rules that could not be decided, and why.
    pub(super) reasons: Vec<(&'static str, &'static str)>,
    pub(super) unread: Vec<Unread>,
    pub(super) annotations: Vec<Annotation>,
    /// What rules about everything together need of it.
    pub(super) whole: Whole,
}

/// What came of a document, or of a member of a list.
pub(super) enum Judgement {
    /// It is a resource.
    Resource(Box<Judged>),
    /// It is none, and stands in that line.
    Other(usize),
    /// It says nothing.
    Nothing,
}

/// Where a rule looked.
struct Place<'a> {
    /// The resource.
    value: &'a Value,
    node: &'a Node,
    /// The way to the pod, a dot at its end.
    prefix: &'a str,
    /// The number that the pod's first container has in the resource.
    first: usize,
}

impl<'o> Judge<'o> {
    pub(super) fn new(options: &'o Options) -> Self {
        Self {
            options,
            wants: rules::RULES.map(|rule| options.wants(rule.id)),
            texts: Shared::new(),
            labels: Shared::new(),
        }
    }

    /// What the rules say of a document of the file of that number, or of a member of a list in it.
    pub(super) fn member(&mut self, file: usize, value: &Value, node: &Node) -> Judgement {
        match Resource::of(file, (node.line, node.column), value) {
            Some(resource) => Judgement::Resource(Box::new(self.judge(resource, value, node))),
            None if value.is_null() => Judgement::Nothing,
            None => Judgement::Other(node.line),
        }
    }

    /// What the rules say of `resource`, which says `value` and stands at `node`.
    pub(super) fn judge(&mut self, resource: Resource, value: &Value, node: &Node) -> Judged {
        let whole = rules::operations::remembered(&resource, value);
        let Described { templates, unread } = described(&resource, value, &self.options.pod_spec_paths);
        let unread = unread.into_iter().map(|(field, why)| Unread { resource: 0, field, why }).collect();
        let metadata = value.get("metadata").map(|metadata| ("", metadata));
        let of_pods = templates.iter().map(|template| (template.prefix.as_str(), template.metadata));
        let all = metadata.into_iter().chain(of_pods.filter(|(prefix, _)| !prefix.is_empty()));
        let annotations = all.filter_map(|(at, metadata)| ignore::read(at, metadata, node)).collect();
        let mut judged =
            Judged { resource, findings: Vec::new(), reasons: Vec::new(), unread, annotations, whole };
        let place = Place { value, node, prefix: "", first: 0 };
        for (index, (rule, is_wanted)) in rules::RULES.into_iter().zip(self.wants).enumerate() {
            let Check::Resource(kinds, check) = rule.check else { continue };
            if is_wanted && kinds.contains(&judged.resource.kind.as_str()) {
                let mut found = Found::default();
                check(&judged.resource, value, &mut found);
                self.found(&mut judged, (index, rule), found, &place);
            }
        }
        for template in &templates {
            let place = Place { prefix: &template.prefix, first: judged.resource.containers.len(), ..place };
            self.pod(&mut judged, template, &place);
        }
        judged.findings.sort_by_key(Finding::place);
        judged
    }

    fn pod(&mut self, judged: &mut Judged, template: &Template<'_>, place: &Place<'_>) {
        let Template { prefix, metadata, spec } = template;
        let (standard, violations) = self.standard(metadata, spec);
        let resource = judged.resource.clone();
        let mut subject = Subject::new(&resource, place.value, self.options, metadata, spec);
        subject.violations = violations;
        judged.resource.containers.extend(subject.containers.iter().map(|container| {
            let field = "securityContext.readOnlyRootFilesystem";
            let is_read_only = subject::truth(container.fields, field) == Some(true);
            (container.role, container.name.to_owned(), is_read_only)
        }));
        let mut marks = resource.checklist.unwrap_or_default();
        for (index, (rule, is_wanted)) in rules::RULES.into_iter().zip(self.wants).enumerate() {
            let Check::Pod(check) = rule.check else { continue };
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
                self.found(judged, (index, rule), found, place);
            }
        }
        judged.resource.checklist = Some(marks);
        judged.resource.standard = Some(resource.standard.map_or(standard, |other| other.min(standard)));
        let labels = subject::value(metadata, "labels").and_then(Value::as_object);
        let labels = labels.into_iter().flatten();
        let labels = labels.filter_map(|(key, label)| Some((key.clone(), label.as_str()?.to_owned())));
        let labels = self.labels.share(labels.collect::<BTreeMap<_, _>>());
        judged.whole.pods.push(whole::Pod {
            resource: 0,
            namespace: resource.namespace,
            labels,
            at: place.node.nearest(&format!("{prefix}metadata.labels")),
        });
    }

    /// The strictest standard that a pod meets, and what keeps it from meeting the strictest of all.
    fn standard(&self, metadata: &Value, spec: &Value) -> (Standard, Vec<Violation>) {
        let Standing { mut violations, needless } =
            pss::stand(Level::Restricted, self.options.version, metadata, spec);
        let is_baseline = |violations: &[Violation]| violations.iter().all(|one| one.level > Level::Baseline);
        let standard = if violations.is_empty() {
            return (Standard::Restricted, violations);
        } else if is_baseline(&violations) && is_baseline(&needless) {
            Standard::Baseline
        } else {
            Standard::Privileged
        };
        violations.extend(needless);
        (standard, violations)
    }

    /// Remembers what a rule, which has that number, found at `place`.
    fn found(
        &mut self,
        judged: &mut Judged,
        (index, rule): (usize, &'static Rule),
        found: Found,
        place: &Place<'_>,
    ) {
        let outcome = if !found.hits.is_empty() {
            Outcome::Failed
        } else if let Some(why) = found.undecided {
            judged.reasons.push((rule.id, why));
            Outcome::Undecided
        } else if found.is_void {
            Outcome::Void
        } else {
            Outcome::Passed
        };
        judged.resource.came(index, outcome);
        for Hit { container, field, message, severity } in found.hits {
            let field = format!("{}{field}", place.prefix);
            let (line, column) = place.node.nearest(&field);
            let named = (!self.options.is_single).then(|| baseline::named(place.value, &field)).flatten();
            let named = named.map(|named| self.texts.share(named));
            let (field, message) = (self.texts.share(field), self.texts.share(message));
            judged.findings.push(Finding {
                rule,
                severity: severity.unwrap_or(rule.severity),
                resource: 0,
                container: container.map(|container| container + place.first),
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

/// Values that are kept once for all that are the same.
struct Shared<T: ?Sized>(HashSet<Arc<T>>);

impl<T: ?Sized + Eq + Hash> Shared<T> {
    fn new() -> Self {
        Self(HashSet::new())
    }

    /// The one that is kept for `value`.
    fn share<V: Borrow<T> + Into<Arc<T>>>(&mut self, value: V) -> Arc<T> {
        if let Some(known) = self.0.get(value.borrow()) {
            return Arc::clone(known);
        }
        let new: Arc<T> = value.into();
        self.0.insert(Arc::clone(&new));
        new
    }
}
