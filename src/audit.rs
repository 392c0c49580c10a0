//! The audit of manifests: what of a pod lets it be changed while it runs, and what keeps it from running.
//!
//! Texts in, findings out. Reads no file, no clock and no registry: images and the day are brought. Where an image is not at
//! hand the rules that need it say so, and do not count as passed.

pub mod baseline;
pub mod checklist;
pub mod command;
pub mod ignore;
pub mod image;
mod judge;
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

use std::collections::BTreeMap;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};
use serde_json::Value;

use crate::finding::Severity;
use crate::kube::document::{DocumentError, Node, Stream};
use ignore::Annotation;
pub use image::{Image, Origin};
use judge::{Judge, Judged, Judgement};
use members::Members;
pub use options::{Options, Platform};
use place::Why;
use resource::Resource;
use rule::{Check, Rule, WholeFound};
pub use subject::FIXED_KINDS;
pub use value::{ValueAudit, ValueFinding, image_names, of_value};
use whole::Whole;

/// Resources that are read before they are judged: each can be a megabyte and a half, as much as a cluster stores.
const AHEAD: usize = 16;

/// Bytes from which on a text is judged by several threads.
const LARGE: usize = 256 << 10;

/// Most threads that judge: one that reads keeps no more busy.
const MOST_JUDGES: usize = 4;

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

impl Finding {
    /// By what findings are in order.
    fn place(&self) -> (usize, usize, usize, &'static str) {
        (self.resource, self.line, self.column, self.rule.id)
    }
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
    judge: Judge<'o>,
    audit: Audit,
    whole: Whole,
    annotations: Vec<Annotation>,
}

impl<'o> Auditor<'o> {
    /// One that has seen nothing.
    pub fn new(options: &'o Options) -> Self {
        Self {
            options,
            judge: Judge::new(options),
            audit: Audit::default(),
            whole: Whole::default(),
            annotations: Vec::new(),
        }
    }

    /// Audits the documents in `text`, of the file `name`. What stands before an error is audited.
    pub fn text(&mut self, name: &str, text: &str) -> Result<(), DocumentError> {
        let file = self.audit.files.len();
        self.audit.files.push(name.to_owned());
        // Threads cost more than most files do.
        if text.len() < LARGE {
            let mut members = Members::default();
            return Stream::new(text).try_for_each(|part| {
                members.of(part?, &mut |value, node| {
                    let found = self.judge.member(file, &value, &node);
                    self.member(file, found);
                });
                Ok(())
            });
        }
        let options = self.options;
        // One thread reads while others judge; what they found is put in order here.
        std::thread::scope(|scope| {
            let (ahead, members) = crossbeam_channel::bounded(AHEAD);
            let (done, judged) = crossbeam_channel::unbounded();
            let reader = scope.spawn(move || read(text, &ahead));
            let workers = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_JUDGES);
            let judges: Vec<_> = (0..workers)
                .map(|_| {
                    let (members, done) = (members.clone(), done.clone());
                    scope.spawn(move || judge(options, file, members, &done))
                })
                .collect();
            drop((members, done));
            let (mut early, mut next) = (BTreeMap::new(), 0);
            for (number, found) in judged {
                early.insert(number, found);
                while let Some(found) = early.remove(&next) {
                    self.member(file, found);
                    next += 1;
                }
            }
            for judge in judges {
                judge.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            }
            reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Remembers what was found of a document of the file of that number, or of a member of a list in it.
    fn member(&mut self, file: usize, found: Judgement) {
        match found {
            Judgement::Resource(judged) => self.add(*judged),
            Judgement::Other(line) => self.audit.others.push((file, line)),
            Judgement::Nothing => {}
        }
    }

    /// Remembers what was found of the next resource.
    fn add(&mut self, judged: Judged) {
        let Judged { resource, findings, reasons, unread, annotations, whole } = judged;
        let number = self.audit.resources.len();
        self.audit.resources.push(resource);
        self.audit.findings.extend(findings.into_iter().map(|one| Finding { resource: number, ..one }));
        self.audit.reasons.extend(reasons);
        self.audit.unread.extend(unread.into_iter().map(|one| Unread { resource: number, ..one }));
        self.annotations.extend(annotations.into_iter().map(|one| one.of(number)));
        self.whole.add(number, whole);
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
}

/// Sends the members of `text`, numbered; ends at what is no document.
fn read(text: &str, ahead: &Sender<(usize, Value, Node)>) -> Result<(), DocumentError> {
    let (mut members, mut count) = (Members::default(), 0);
    Stream::new(text).try_for_each(|part| {
        members.of(part?, &mut |value, node| {
            // Who judges ends when this does.
            drop(ahead.send((count, value, node)));
            count += 1;
        });
        Ok(())
    })
}

/// Judges `members` of the file of that number.
fn judge(
    options: &Options,
    file: usize,
    members: Receiver<(usize, Value, Node)>,
    done: &Sender<(usize, Judgement)>,
) {
    let mut judge = Judge::new(options);
    for (number, value, node) in members {
        // Who collects waits for all.
        drop(done.send((number, judge.member(file, &value, &node))));
    }
}

impl Audit {
    /// Puts findings in the order in which they stand.
    fn sort(&mut self) {
        // Those of a resource come sorted, and sorting half a million takes memory.
        if !self.findings.is_sorted_by_key(Finding::place) {
            self.findings.sort_by_key(Finding::place);
        }
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
