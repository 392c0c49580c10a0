//! What a rule is, and what it says of a pod.
//!
//! Knows no rule; they stand in the folder of their concept, each with its words and its check.

use serde::Serialize;
use serde_json::Value;

use super::checklist::Point;
use super::resource::Resource;
use super::subject::{Container, Subject};
use super::whole::Whole;
use crate::finding::Severity;

/// A rule, with the text that `kiln explain` prints.
#[derive(Debug)]
pub struct Rule {
    /// Stable id: `FS001`.
    pub id: &'static str,
    /// What holds where it passes, in one line.
    pub title: &'static str,
    /// Severity of its findings, unless one says otherwise.
    pub severity: Severity,
    /// The condition in full.
    pub passes: &'static str,
    /// Why it matters.
    pub why: &'static str,
    /// What to do.
    pub remedy: &'static str,
    /// Whether it can be mended by a program.
    pub fix: Fix,
    /// The same in other catalogues: Pod Security Standards, Trivy (KSV), Checkov (CKV), Kubescape (C-), kube-linter.
    pub maps: &'static [&'static str],
    /// The point of the checklist that it decides, alone or with others.
    pub point: Option<Point>,
    pub(super) check: Check,
}

/// Whether a rule's findings can be mended by a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fix {
    /// Always: the pod does what it did.
    Safe,
    /// Where the image is at hand, or what kiln recorded of it.
    WithImage,
    /// It may change what the pod does.
    Unsafe,
    /// A person has to decide.
    None,
}

impl Fix {
    /// In words.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Safe => "by itself: the pod does what it did",
            Self::WithImage => "where the image is at hand, or what kiln recorded of it",
            Self::Unsafe => "only where you allow that the pod may do something else",
            Self::None => "not by a program: a person has to decide",
        }
    }
}

/// How a rule looks.
#[derive(Debug)]
pub(super) enum Check {
    /// At every pod.
    Pod(fn(&Subject<'_>, &mut Found)),
    /// At every resource of these kinds.
    Resource(&'static [&'static str], fn(&Resource, &Value, &mut Found)),
    /// At everything together, at the end.
    Whole(fn(&Whole, &mut WholeFound)),
    /// Raised by whoever reads annotations.
    Annotation,
}

/// What a rule says of one pod or resource.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) hits: Vec<Hit>,
    /// Why it could not be decided.
    pub(super) undecided: Option<&'static str>,
    /// Whether there was nothing to decide.
    pub(super) is_void: bool,
    /// Whether the point of the checklist holds all the same.
    pub(super) spares_point: bool,
}

/// A place where a rule does not hold.
#[derive(Debug)]
pub(super) struct Hit {
    /// Number of the container, if it is one's.
    pub(super) container: Option<usize>,
    /// From the pod's top, or the resource's.
    pub(super) field: String,
    pub(super) message: String,
    /// Where it is not the rule's.
    pub(super) severity: Option<Severity>,
}

impl Found {
    /// Of the pod as a whole.
    pub(super) fn pod(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.hits.push(Hit { container: None, field: field.into(), message: message.into(), severity: None });
    }

    /// Of one container.
    pub(super) fn container(
        &mut self,
        subject: &Subject<'_>,
        container: &Container<'_>,
        field: impl Into<String>,
        message: impl Into<String>,
    ) {
        let container = subject.containers.iter().position(|other| other.at == container.at);
        self.hits.push(Hit { container, field: field.into(), message: message.into(), severity: None });
    }

    /// The last hit weighs as much.
    pub(super) fn weighs(&mut self, severity: Severity) {
        if let Some(last) = self.hits.last_mut() {
            last.severity = Some(severity);
        }
    }

    /// It cannot be decided, for some of the pod at least.
    pub(super) fn undecided(&mut self, why: &'static str) {
        self.undecided = Some(why);
    }

    /// There is nothing to decide.
    pub(super) fn void(&mut self) {
        self.is_void = true;
    }
}

/// What a rule says of everything together.
#[derive(Debug, Default)]
pub(super) struct WholeFound {
    /// Number of the resource, the line and column there, and the message.
    pub(super) hits: Vec<(usize, (usize, usize), String)>,
    /// Resources where it holds.
    pub(super) passed: Vec<usize>,
    /// Resources where it cannot be decided.
    pub(super) undecided: Vec<usize>,
    /// Why.
    pub(super) why: &'static str,
}

/// Why a rule about images is not decided.
pub(super) const NO_IMAGE: &str = "needs the image: `--image NAME=SOURCE`, or `--resolve`";
