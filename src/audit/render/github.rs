//! An audit as commands of GitHub's workflows: notes beside the lines of a pull request.
//!
//! One line for each finding, and for what no rule looked at (docs.github.com, "Workflow commands").

use std::io::{self, Write};

use super::super::Audit;
use super::message;
use super::unaudited::unaudited;
use crate::finding::Severity;

pub(super) fn write(audit: &Audit, out: &mut dyn Write) -> io::Result<()> {
    for finding in audit.open() {
        let command = match finding.severity {
            Severity::Critical | Severity::High => "error",
            Severity::Medium => "warning",
            Severity::Low | Severity::Info => "notice",
        };
        let title = format!("{} {}", finding.rule.id, audit.resource(finding).title());
        writeln!(
            out,
            "::{command} file={},line={},col={},title={}::{}",
            property(audit.file(finding)),
            finding.line,
            finding.column,
            property(&title),
            data(&message(audit, finding))
        )?;
    }
    for one in unaudited(audit) {
        let (file, text) = (property(one.file), data(&one.text));
        writeln!(
            out,
            "::warning file={file},line={},col={},title=not audited::{text}",
            one.line, one.column
        )?;
    }
    Ok(())
}

/// `text` behind the command.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// `text` as the value of a property.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
