//! Audits as people and programs want them.
//!
//! Decides nothing: what counts is in the audit.

mod github;
mod json;
mod junit;
mod sarif;
mod text;
mod unaudited;

use std::io::{self, Write};

use super::Audit;
use crate::kube::Version;
use crate::report::Style;

pub use json::schema;

/// How an audit is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// All of it, for programs.
    Json,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// JUnit XML, for CI.
    Junit,
    /// Commands of GitHub's workflows, one line each.
    Github,
}

/// What the text says besides the audit.
#[derive(Debug, Clone, Copy)]
pub struct Told {
    /// For which version of Kubernetes.
    pub version: Version,
    /// Whether the text carries colour.
    pub style: Style,
    /// Whether findings of no weight are told, and what passed.
    pub verbose: bool,
    /// Entries of the baseline that are no longer found.
    pub gone: usize,
}

/// Writes `audit` as `format`.
pub fn write(audit: &Audit, format: Format, told: &Told, out: &mut dyn Write) -> io::Result<()> {
    match format {
        Format::Text => text::write(audit, told, out),
        Format::Json => json::write(audit, told, out),
        Format::Sarif => sarif::write(audit, out),
        Format::Junit => junit::write(audit, out),
        Format::Github => github::write(audit, out),
    }
}

/// `container "app": …`, or the message alone.
fn message(audit: &Audit, finding: &super::Finding) -> String {
    match audit.container(finding) {
        Some(container) => format!("{container}: {}", finding.message),
        None => finding.message.to_string(),
    }
}

#[cfg(test)]
mod tests;
