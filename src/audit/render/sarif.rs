//! An audit as SARIF 2.1.0, which code scanning reads.
//!
//! What annotations ignore and what the baseline has is in it, suppressed, with its reason; what no rule looked at is told of the run.

use std::io::{self, Write};

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::Serialize;
use serde::ser::{SerializeSeq as _, Serializer};
use serde_json::{Value, json};

use super::super::baseline::fingerprint;
use super::super::rule::Rule;
use super::super::rules::RULES;
use super::super::{Audit, Finding, State};
use super::message;
use super::unaudited::{Unaudited, unaudited};
use crate::digest::BlobDigest;
use crate::finding::Severity;

/// What a path of a URI does not hold (RFC 3986, 3.3).
const RESERVED: AsciiSet = CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b':')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

#[derive(Serialize)]
struct Log<'a> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Run<'a> {
    tool: Value,
    invocations: [Value; 1],
    column_kind: &'static str,
    #[serde(serialize_with = "results")]
    results: &'a Audit,
}

pub(super) fn write(audit: &Audit, out: &mut dyn Write) -> io::Result<()> {
    let rules: Vec<Value> = RULES.into_iter().map(descriptor).collect();
    let log = Log {
        schema: "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        version: "2.1.0",
        runs: [Run {
            tool: json!({"driver": {
                "name": "kiln",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }}),
            invocations: [json!({
                "executionSuccessful": true,
                "toolExecutionNotifications": unaudited(audit).iter().map(notification).collect::<Vec<_>>(),
            })],
            column_kind: "unicodeCodePoints",
            results: audit,
        }],
    };
    serde_json::to_writer_pretty(&mut *out, &log)?;
    writeln!(out)
}

fn descriptor(rule: &'static Rule) -> Value {
    let mut tags = vec!["security", "kubernetes"];
    tags.extend(rule.maps);
    json!({
        "id": rule.id,
        "name": rule.id,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": format!("{} {}", rule.passes, rule.why)},
        "help": {"text": rule.remedy},
        "defaultConfiguration": {"level": level(rule.severity)},
        "properties": {"security-severity": score(rule.severity), "tags": tags},
    })
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low | Severity::Info => "note",
    }
}

/// In the range by which GitHub tells severities apart.
fn score(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "9.5",
        Severity::High => "8.0",
        Severity::Medium => "5.5",
        Severity::Low => "3.0",
        Severity::Info => "0.0",
    }
}

fn results<S: Serializer>(audit: &Audit, serializer: S) -> Result<S::Ok, S::Error> {
    let mut list = serializer.serialize_seq(Some(audit.findings.len()))?;
    for finding in &audit.findings {
        list.serialize_element(&result(audit, finding))?;
    }
    list.end()
}

fn result(audit: &Audit, finding: &Finding) -> Value {
    let name = format!("{} {}", audit.resource(finding).title(), finding.field);
    let mut result = json!({
        "ruleId": finding.rule.id,
        "ruleIndex": RULES.iter().position(|rule| rule.id == finding.rule.id),
        "level": level(finding.severity),
        "message": {"text": message(audit, finding)},
        "locations": [{
            "physicalLocation": place(audit.file(finding), finding.line, finding.column),
            "logicalLocations": [{"fullyQualifiedName": name}],
        }],
        "partialFingerprints": {
            "kilnFinding/v2": BlobDigest::of(fingerprint(audit, finding).as_bytes()).hex(),
        },
    });
    let suppression = match &finding.state {
        State::Open => None,
        State::Ignored(reason) => Some(json!([{"kind": "inSource", "justification": reason}])),
        State::Known => Some(json!([{"kind": "external", "justification": "in the baseline"}])),
    };
    if let Some((suppression, fields)) = suppression.zip(result.as_object_mut()) {
        fields.insert("suppressions".to_owned(), suppression);
    }
    result
}

fn notification(one: &Unaudited<'_>) -> Value {
    json!({
        "level": "warning",
        "message": {"text": one.text},
        "locations": [{"physicalLocation": place(one.file, one.line, one.column)}],
    })
}

/// A place in a file.
fn place(file: &str, line: usize, column: usize) -> Value {
    let file = if file == "-" { "stdin" } else { file };
    let uri = utf8_percent_encode(&file.replace('\\', "/"), &RESERVED).to_string();
    json!({"artifactLocation": {"uri": uri}, "region": {"startLine": line, "startColumn": column}})
}
