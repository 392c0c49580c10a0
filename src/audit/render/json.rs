//! An audit for programs: everything, with a schema.
//!
//! Written as it is gone through: ten thousand pods are not held a second time.

use std::io::{self, Write};

use schemars::JsonSchema;
use serde::Serialize;
use serde::ser::{SerializeSeq as _, Serializer};

use super::super::checklist::{Mark, Point};
use super::super::place::Why;
use super::super::resource::{Role, Standard};
use super::super::rules::RULES;
use super::super::{Audit, Finding, State};
use super::Told;
use crate::finding::Severity;
use crate::json;

/// The version of the document's shape.
const VERSION: u32 = 1;

/// An audit.
#[derive(Serialize, JsonSchema)]
struct Document<'a> {
    /// Version of this shape.
    schema_version: u32,
    /// The kiln that wrote it.
    kiln_version: &'a str,
    /// The version of Kubernetes whose rules count: `1.35`.
    kube_version: String,
    /// Every resource.
    #[serde(serialize_with = "resources")]
    #[schemars(with = "Vec<Resource>")]
    resources: &'a Audit,
    /// Every place where a rule does not hold.
    #[serde(serialize_with = "findings")]
    #[schemars(with = "Vec<Item>")]
    findings: &'a Audit,
    /// What came of every rule that was asked for and had something to decide.
    rules: Vec<Rule<'a>>,
    /// Places with pods, or where pods should be, that no rule looked at.
    not_audited: Vec<Unread<'a>>,
    /// How many documents and members of lists are no resources.
    no_resources: usize,
    /// Entries of the baseline that are no longer found.
    baseline_gone: usize,
}

/// A resource.
#[derive(Serialize, JsonSchema)]
struct Resource<'a> {
    /// The file, as named.
    file: &'a str,
    /// Where it begins.
    line: usize,
    /// `apiVersion`.
    api_version: &'a str,
    /// `kind`.
    kind: &'a str,
    /// `metadata.namespace`; none where it does not say.
    #[serde(skip_serializing_if = "str::is_empty")]
    #[schemars(default)]
    namespace: &'a str,
    /// `metadata.name`.
    name: &'a str,
    /// Its containers, if it has a pod.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    containers: Vec<Container<'a>>,
    /// The checklist, if it has a pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    checklist: Option<Checklist>,
    /// The strictest of the Pod Security Standards that it meets, if it has a pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pod_security_standard: Option<Standard>,
}

/// A container.
#[derive(Serialize, JsonSchema)]
struct Container<'a> {
    /// `init`, `sidecar`, `app` or `ephemeral`.
    #[schemars(with = "String")]
    role: Role,
    /// Its name.
    name: &'a str,
    /// `securityContext.readOnlyRootFilesystem`, false where it is not set.
    #[serde(rename = "readOnlyRootFilesystem")]
    read_only_root_filesystem: bool,
}

/// The checklist of a pod.
#[derive(Serialize, JsonSchema)]
struct Checklist {
    /// How many of its ten points hold.
    score: usize,
    /// Its points.
    points: Vec<PointItem>,
}

/// A point of the checklist.
#[derive(Serialize, JsonSchema)]
struct PointItem {
    /// From 1.
    number: usize,
    /// In words.
    title: &'static str,
    /// `holds`, `broken` or `open`: it cannot be said.
    #[schemars(with = "String")]
    state: Mark,
}

/// A place where a rule does not hold.
#[derive(Serialize, JsonSchema)]
struct Item<'a> {
    /// The rule's id.
    rule: &'a str,
    /// What it weighs.
    severity: Severity,
    /// The file, as named.
    file: &'a str,
    /// Where it stands, or the nearest around it: from 1.
    line: usize,
    /// From 1, characters.
    column: usize,
    /// Number of the resource in `resources`.
    resource: usize,
    /// The container's name, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<&'a str>,
    /// The field, from the resource's top.
    field: &'a str,
    /// What is wrong.
    message: &'a str,
    /// Why it does not count, by the resource's annotation.
    #[serde(skip_serializing_if = "Option::is_none")]
    ignored: Option<&'a str>,
    /// Whether the baseline has it, so that it does not count.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schemars(default)]
    in_baseline: bool,
}

/// What came of a rule.
#[derive(Serialize, JsonSchema)]
struct Rule<'a> {
    /// Its id.
    id: &'a str,
    /// What holds where it passes.
    title: &'a str,
    /// At how many resources it holds.
    passed: usize,
    /// At how many it does not.
    failed: usize,
    /// At how many it could not be decided.
    undecided: usize,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
}

/// A place that no rule looked at.
#[derive(Serialize, JsonSchema)]
struct Unread<'a> {
    /// Number of the resource.
    resource: usize,
    /// From the resource's top: `spec.jobs[].template.spec`.
    field: &'a str,
    /// `unknown`: there are containers, but the kind is not known; `missing`: there is no pod; `empty`: it is no list of containers, or
    /// one of none.
    #[schemars(with = "String")]
    why: Why,
}

pub(super) fn write(audit: &Audit, told: &Told, out: &mut dyn Write) -> io::Result<()> {
    let rules = RULES
        .into_iter()
        .filter_map(|rule| {
            let tally = audit.tally(rule);
            let decides = tally.passed + tally.failed + tally.undecided > 0;
            decides.then(|| Rule {
                id: rule.id,
                title: rule.title,
                passed: tally.passed,
                failed: tally.failed,
                undecided: tally.undecided,
                why: tally.why.filter(|_| tally.undecided > 0),
            })
        })
        .collect();
    let unread =
        audit.unread.iter().map(|one| Unread { resource: one.resource, field: &one.field, why: one.why });
    let document = Document {
        schema_version: VERSION,
        kiln_version: env!("CARGO_PKG_VERSION"),
        kube_version: told.version.to_string(),
        resources: audit,
        findings: audit,
        rules,
        not_audited: unread.collect(),
        no_resources: audit.others.len(),
        baseline_gone: told.gone,
    };
    serde_json::to_writer_pretty(&mut *out, &document)?;
    writeln!(out)
}

/// The JSON Schema of the document (`kiln schema audit`).
pub fn schema() -> String {
    json::render(&schemars::schema_for!(Document<'static>).to_value())
}

fn resources<S: Serializer>(audit: &Audit, serializer: S) -> Result<S::Ok, S::Error> {
    let mut list = serializer.serialize_seq(Some(audit.resources.len()))?;
    for resource in &audit.resources {
        let containers = resource.containers.iter();
        list.serialize_element(&Resource {
            file: audit.files.get(resource.file).map_or("", String::as_str),
            line: resource.line,
            api_version: &resource.api_version,
            kind: &resource.kind,
            namespace: &resource.namespace,
            name: &resource.name,
            containers: containers
                .map(|(role, name, is_read_only)| Container {
                    role: *role,
                    name,
                    read_only_root_filesystem: *is_read_only,
                })
                .collect(),
            checklist: resource.checklist.map(|marks| Checklist {
                score: marks.score(),
                points: Point::ALL
                    .into_iter()
                    .map(|point| PointItem {
                        number: point.number(),
                        title: point.title(),
                        state: marks.of(point),
                    })
                    .collect(),
            }),
            pod_security_standard: resource.standard,
        })?;
    }
    list.end()
}

fn findings<S: Serializer>(audit: &Audit, serializer: S) -> Result<S::Ok, S::Error> {
    let mut list = serializer.serialize_seq(Some(audit.findings.len()))?;
    for finding in &audit.findings {
        list.serialize_element(&item(audit, finding))?;
    }
    list.end()
}

fn item<'a>(audit: &'a Audit, finding: &'a Finding) -> Item<'a> {
    let container = finding.container.and_then(|index| audit.resource(finding).containers.get(index));
    Item {
        rule: finding.rule.id,
        severity: finding.severity,
        file: audit.file(finding),
        line: finding.line,
        column: finding.column,
        resource: finding.resource,
        container: container.map(|(_, name, _)| name.as_str()),
        field: &finding.field,
        message: &finding.message,
        ignored: match &finding.state {
            State::Ignored(reason) => Some(reason),
            State::Open | State::Known => None,
        },
        in_baseline: finding.state == State::Known,
    }
}
