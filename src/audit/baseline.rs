//! Findings that were there before: a file that lets a team begin without mending everything first.
//!
//! A finding is known by its rule, its resource, its container and its field, not by where it stands: lines move.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Audit, Finding, State};
use crate::json;

/// The version of the document's shape.
const VERSION: u32 = 1;

/// Findings that are known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    version: u32,
    findings: Vec<Known>,
}

/// One that is known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    rule: String,
    resource: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    container: Option<String>,
    field: String,
}

/// Text that is no such file.
#[derive(Debug, thiserror::Error)]
pub enum ParseBaselineError {
    /// It is of another shape.
    #[error("no baseline of `kiln audit`")]
    Shape(#[source] serde_json::Error),
    /// It is of another version.
    #[error("version {0}, expected {VERSION}")]
    Version(u32),
}

impl Baseline {
    /// What is found now, but for what annotations ignore.
    pub fn of(audit: &Audit) -> Self {
        let mut findings: Vec<Known> = audit
            .findings
            .iter()
            .filter(|finding| !matches!(finding.state, State::Ignored(_)))
            .map(|finding| known(audit, finding))
            .collect();
        findings.sort();
        Self { version: VERSION, findings }
    }

    /// Reads a file.
    pub fn parse(text: &str) -> Result<Self, ParseBaselineError> {
        let parsed: Self = serde_json::from_str(text).map_err(ParseBaselineError::Shape)?;
        if parsed.version != VERSION {
            return Err(ParseBaselineError::Version(parsed.version));
        }
        Ok(parsed)
    }

    /// The file.
    pub fn render(&self) -> String {
        json::render(self)
    }

    /// Takes what is known out of what counts; how many of the known are no longer there.
    pub fn apply(&self, audit: &mut Audit) -> usize {
        let mut left: BTreeMap<&Known, usize> = BTreeMap::new();
        for known in &self.findings {
            *left.entry(known).or_default() += 1;
        }
        let keys: Vec<Known> = audit.findings.iter().map(|finding| known(audit, finding)).collect();
        for (finding, key) in audit.findings.iter_mut().zip(&keys) {
            let count = left.get_mut(key).filter(|count| **count > 0 && finding.state == State::Open);
            if let Some(count) = count {
                *count -= 1;
                finding.state = State::Known;
            }
        }
        left.into_values().sum()
    }
}

/// What a finding is known by. Numbers in its field stand for names that may move: they are left out.
fn known(audit: &Audit, finding: &Finding) -> Known {
    let container = finding.container.and_then(|index| audit.resource(finding).containers.get(index));
    let mut field = String::new();
    let mut is_number = false;
    for c in finding.field.chars() {
        match c {
            '[' => {
                is_number = true;
                field.push_str("[]");
            }
            ']' => is_number = false,
            c if is_number && c.is_ascii_digit() => {}
            c => field.push(c),
        }
    }
    Known {
        rule: finding.rule.id.to_owned(),
        resource: audit.resource(finding).title(),
        container: container.map(|(_, name, _)| name.clone()),
        field,
    }
}

/// What a finding is known by, as one text.
pub fn fingerprint(audit: &Audit, finding: &Finding) -> String {
    let Known { rule, resource, container, field } = known(audit, finding);
    format!("{rule}|{resource}|{}|{field}", container.unwrap_or_default())
}
