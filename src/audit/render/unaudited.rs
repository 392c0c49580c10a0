//! What no rule looked at, in words, so that every format tells it: a manifest that is not understood is none that is clean.
//!
//! Decides nothing.

use super::super::place::{PodSpecPath, Why};
use super::super::{Audit, Unread};
use crate::report::{count, shell_word};

/// A place that no rule looked at.
pub(super) struct Unaudited<'a> {
    /// As named.
    pub(super) file: &'a str,
    /// Of the resource or document, from 1.
    pub(super) line: usize,
    /// From 1, characters.
    pub(super) column: usize,
    /// What and why, in one line.
    pub(super) text: String,
}

/// Everything that no rule looked at.
pub(super) fn unaudited(audit: &Audit) -> Vec<Unaudited<'_>> {
    let file = |number: usize| audit.files.get(number).map_or("", String::as_str);
    let mut all: Vec<Unaudited<'_>> = audit
        .unread
        .iter()
        .filter_map(|unread| {
            let resource = audit.resources.get(unread.resource)?;
            let text = format!("{} {}", resource.title(), reason(&resource.kind, unread));
            Some(Unaudited { file: file(resource.file), line: resource.line, column: resource.column, text })
        })
        .collect();
    if let Some(&(number, line)) = audit.others.first() {
        let text = match audit.others.len() {
            1 => format!("{}:{line} is no resource of Kubernetes", file(number)),
            n => {
                let n = count(n as u64, "document", "documents");
                format!("{n} are no resources of Kubernetes, the first at {}:{line}", file(number))
            }
        };
        all.push(Unaudited { file: file(number), line, column: 1, text });
    }
    all
}

/// What a resource of that kind lacks, and what to do.
fn reason(kind: &str, Unread { field, why, .. }: &Unread) -> String {
    match why {
        Why::Missing => format!("describes no pod at `{field}`: no rule looked at it"),
        Why::Empty => format!("has no list of containers at `{field}`: no rule looked at it"),
        Why::Unknown => {
            let given = format!("{kind}={field}");
            let hint = match given.parse::<PodSpecPath>() {
                Ok(_) => format!(": `--pod-spec-path {}`", shell_word(&given)),
                Err(_) => String::new(),
            };
            format!("has containers at `{field}`, which no rule looked at{hint}")
        }
    }
}
