//! Findings that were there before: a file that lets a team begin without mending everything first.
//!
//! A finding is known by its rule, what it weighs, its resource, its container and its field with the names of what stands there,
//! not by where it stands: lines and members of lists move. What weighs more than before, or is about something else, is new.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Audit, Finding, State};
use crate::json;
use crate::kube::document::{Step, steps};
use crate::reference::RegistryReference;

/// The version of the document's shape: in the first, findings were known by less.
const VERSION: u32 = 2;

/// By what a member of a list is called, the first that it has: mounts have the names of their volumes, too.
const NAMES: [&str; 7] = [
    "/mountPath",
    "/devicePath",
    "/name",
    "/groupName",
    "/secretRef/name",
    "/configMapRef/name",
    "/containerPort",
];

/// Lists of words that may be secrets: a baseline has none of them.
const WORDS: [&str; 2] = ["command", "args"];

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
    severity: String,
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

/// What a finding is known by.
fn known(audit: &Audit, finding: &Finding) -> Known {
    let container = finding.container.and_then(|index| audit.resource(finding).containers.get(index));
    Known {
        rule: finding.rule.id.to_owned(),
        severity: finding.severity.to_string(),
        resource: audit.resource(finding).title(),
        container: container.map(|(_, name, _)| name.clone()),
        field: finding.named.as_deref().unwrap_or(&finding.field).to_owned(),
    }
}

/// What a finding is known by, as one text.
pub fn fingerprint(audit: &Audit, finding: &Finding) -> String {
    let Known { rule, severity, resource, container, field } = known(audit, finding);
    format!("{rule}|{severity}|{resource}|{}|{field}", container.unwrap_or_default())
}

/// The field at `path` of `value`, members of lists by what they are called: `spec.volumes[data=/srv].hostPath.path`. An image has its
/// repository behind it: tags and digests change with every release. `None` where that is `path` itself.
pub(super) fn named(value: &Value, path: &str) -> Option<String> {
    if !path.contains('[') {
        return None;
    }
    let (mut at, mut list, mut text) = (Some(value), "", String::new());
    for step in steps(path) {
        match step {
            Step::Field(name) => {
                let dot = if text.is_empty() { "" } else { "." };
                text.extend([dot, name]);
                at = at.and_then(|at| at.get(name));
                list = name;
            }
            Step::Item(index) => {
                at = at.and_then(|at| at.get(index));
                let name = at.filter(|_| !WORDS.contains(&list)).map(called);
                text.extend(["[", &name.unwrap_or_default(), "]"]);
            }
        }
    }
    let image = at.and_then(Value::as_str).filter(|_| ["image", "reference"].contains(&list));
    if let Some(image) = image {
        let repository = RegistryReference::parse(image).map(|reference| reference.repository.to_string());
        text.extend(["=", repository.as_deref().unwrap_or(image)]);
    }
    Some(text)
}

/// What a member of a list is called, and for a path of the node which.
fn called(member: &Value) -> String {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    };
    let name = NAMES.iter().find_map(|name| member.pointer(name)).map_or_else(|| text(member), text);
    match member.pointer("/hostPath/path") {
        Some(path) => format!("{name}={}", text(path)),
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn members_of_lists_are_known_by_what_they_are_called() {
        let container = json!({
            "name": "app",
            "image": "web:1",
            "args": ["--password=hunter2"],
            "env": [{"name": "TOKEN", "value": "hunter2"}],
            "envFrom": [{"secretRef": {"name": "all"}}, {}],
            "volumeMounts": [{"name": "data", "mountPath": "/data"}],
            "ports": [{"containerPort": 80}],
            "securityContext": {"capabilities": {"add": ["NET_RAW"]}},
        });
        let volumes =
            json!([{"name": "data", "hostPath": {"path": "/srv"}}, {"name": "tmp", "emptyDir": {}}]);
        let value =
            json!({"spec": {"containers": [container, {"image": "Not:An/Image"}], "volumes": volumes}});
        let cases = [
            ("spec.containers[0].args[0]", "spec.containers[app].args[]"),
            ("spec.containers[0].env[0].value", "spec.containers[app].env[TOKEN].value"),
            ("spec.containers[0].envFrom[0]", "spec.containers[app].envFrom[all]"),
            ("spec.containers[0].envFrom[1]", "spec.containers[app].envFrom[]"),
            ("spec.containers[0].volumeMounts[0]", "spec.containers[app].volumeMounts[/data]"),
            ("spec.containers[0].ports[0].hostPort", "spec.containers[app].ports[80].hostPort"),
            (
                "spec.containers[0].securityContext.capabilities.add[0]",
                "spec.containers[app].securityContext.capabilities.add[NET_RAW]",
            ),
            ("spec.volumes[0].hostPath.path", "spec.volumes[data=/srv].hostPath.path"),
            ("spec.volumes[1].emptyDir.sizeLimit", "spec.volumes[tmp].emptyDir.sizeLimit"),
            ("spec.volumes[7]", "spec.volumes[]"),
            ("spec.containers[1].image", "spec.containers[].image=Not:An/Image"),
        ];
        for (path, expect) in cases {
            assert_eq!(named(&value, path).as_deref(), Some(expect), "{path}");
        }
        assert_eq!(named(&value, "spec.hostPID"), None);
        let image = |name: &str| {
            let value = json!({"spec": {"containers": [{"name": "app", "image": name}]}});
            named(&value, "spec.containers[0].image").unwrap()
        };
        assert_eq!(image("nginx:1"), image("docker.io/library/nginx:2"));
        assert_ne!(image("nginx:1"), image("evil:1"));
    }
}
