//! Annotations that make findings be ignored: those that say nothing, that are over, that are for nothing.
//!
//! Rules only; who reads annotations raises them.

use super::super::rule::{Check, Fix, Rule};
use crate::finding::Severity;

pub(in super::super) const IG001: Rule = Rule {
    id: "IG001",
    title: "whoever ignores a finding says which and why",
    severity: Severity::Medium,
    passes: "Every line of the annotation `kiln.dev/ignore` is `RULE[/CONTAINER] [until YYYY-MM-DD]: REASON`, of a rule that there is.",
    why: "A finding that is ignored without a reason is ignored for ever: nobody dares to look again.",
    remedy: "Write why, best with a day on which to look again.",
    fix: Fix::None,
    maps: &[],
    point: None,
    check: Check::Annotation,
};

pub(in super::super) const IG002: Rule = Rule {
    id: "IG002",
    title: "what is ignored is ignored for a time",
    severity: Severity::Medium,
    passes: "No day of an annotation `kiln.dev/ignore` is past. The findings are there again.",
    why: "Somebody meant to look again by that day.",
    remedy: "Mend what is found, or name a new day and a reason.",
    fix: Fix::None,
    maps: &[],
    point: None,
    check: Check::Annotation,
};

pub(in super::super) const IG003: Rule = Rule {
    id: "IG003",
    title: "what is ignored is there",
    severity: Severity::Low,
    passes: "Every line of an annotation `kiln.dev/ignore` is about a finding that there is.",
    why: "A line that is for nothing hides the next finding of its rule.",
    remedy: "Take the line out.",
    fix: Fix::None,
    maps: &[],
    point: None,
    check: Check::Annotation,
};
