//! `ValidatingAdmissionPolicy`, with bindings: the API server enforces the rules itself.
//!
//! Where a rule holds stands in its binding, never in the policy. There are no parameters: where those are missed, a policy that
//! holds everywhere would let no pod be made.

use serde_json::{Value, json};

use super::cel::{self, Deletions, Dialect, Rules};
use super::document::{file, put};
use super::pairs::{self, Case, Operation, Verdict};
use super::{Enforce, File, Request, Role};

/// A policy with its binding, and what shows it.
struct Policy {
    name: String,
    comment: String,
    rules: Rules,
    /// A condition on requests.
    condition: Option<String>,
    cases: Vec<Case>,
}

pub(super) fn files(request: &Request) -> Vec<File> {
    let mut files = Vec::new();
    for policy in policies(request) {
        let name = &policy.name;
        let values = [policy.value(), binding(name, request)];
        files.push(file(format!("{name}.yaml"), Role::Policy, &policy.comment, &values));
        files.extend(tests(name, &policy.cases));
    }
    files
}

fn policies(request: &Request) -> Vec<Policy> {
    let exempt = request.exempt_images();
    let generic = |name: &str, what: &str, rules: fn(&Dialect) -> Rules, cases: Vec<Case>| Policy {
        name: name.to_owned(),
        comment: format!(
            "{what}\nChecks pods that are made, containers that get another image, and ephemeral containers that are added: nothing\nelse that it checks can change, and to check it again would only keep a pod's finalizers."
        ),
        rules: rules(&dialect(&exempt, &[], &[])),
        condition: None,
        cases,
    };
    if request.images.is_empty() {
        return vec![
            generic(
                "kiln-readonly-rootfs",
                "Every container, init container and ephemeral container has a read-only root file system.",
                cel::rootfs,
                pairs::rootfs(request),
            ),
            generic(
                "kiln-image-digest",
                "Every image is pinned by its digest.",
                cel::digest,
                pairs::digest(request),
            ),
        ];
    }
    let of_image = |image: &super::Image| {
        let repositories = image.spellings();
        Policy {
            name: image.mounts_policy(),
            comment: image.mounts_comment(),
            rules: cel::mounts(&dialect(&[], &repositories, &image.writable())),
            condition: Some(cel::runs_image("object", &cel::list(&repositories))),
            cases: pairs::mounts(image, request),
        }
    };
    request.images.iter().map(of_image).collect()
}

/// What the API server calls things; Kyverno calls them the same.
pub(super) fn dialect(exempt: &[String], repositories: &[String], writable: &[String]) -> Dialect {
    Dialect {
        object: "object",
        deletions: Deletions::Unasked,
        exempt: (!exempt.is_empty()).then(|| cel::list(exempt)),
        repositories: cel::list(repositories),
        writable: cel::list(writable),
    }
}

impl Policy {
    fn value(&self) -> Value {
        let mut spec = json!({
            "failurePolicy": "Fail",
            "matchConstraints": constraints(),
            "variables": self.rules.variables(),
            "validations": self.rules.validations(),
        });
        if let Some(expression) = &self.condition {
            put(
                &mut spec,
                "/matchConditions",
                json!([{ "name": "runs-the-image", "expression": expression }]),
            );
        }
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingAdmissionPolicy",
            "metadata": { "name": self.name },
            "spec": spec,
        })
    }
}

/// Pods that are made, images that are put into them, and ephemeral containers that are added to them.
pub(super) fn constraints() -> Value {
    let rule = |operations: &[&str], resource: &str| {
        json!({
            "apiGroups": [""],
            "apiVersions": ["v1"],
            "operations": operations,
            "resources": [resource],
        })
    };
    json!({ "resourceRules": [
        rule(&["CREATE", "UPDATE"], "pods"),
        rule(&["UPDATE"], "pods/ephemeralcontainers"),
    ] })
}

/// Selects the namespaces by the label that the API server gives them.
pub(super) fn selector(namespaces: &[String]) -> Value {
    json!({ "matchExpressions": [{
        "key": "kubernetes.io/metadata.name",
        "operator": "In",
        "values": namespaces,
    }] })
}

fn binding(name: &str, request: &Request) -> Value {
    let actions = match request.enforce() {
        Enforce::Deny => json!(["Deny"]),
        Enforce::Warn => json!(["Warn", "Audit"]),
        Enforce::Audit => json!(["Audit"]),
    };
    let mut spec = json!({ "policyName": name, "validationActions": actions });
    let places = request.places(request.images.is_empty());
    if !places.is_empty() {
        put(&mut spec, "/matchResources", json!({ "namespaceSelector": selector(&places) }));
    }
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": { "name": name },
        "spec": spec,
    })
}

/// Pods for `kubectl apply --dry-run=server`, and what else the API server asks as reviews.
fn tests(name: &str, cases: &[Case]) -> Vec<File> {
    let one = |case: &Case| {
        let verdict = match case.verdict {
            Verdict::Accepted => "accept",
            Verdict::Rejected(_) => "reject",
        };
        let (directory, value) = match case.operation {
            Operation::Create => ("pods", case.pod.clone()),
            _ => ("reviews", case.review()),
        };
        file(
            format!("tests/{name}/{directory}/{verdict}-{}.yaml", case.name),
            Role::Test,
            &case.comment(),
            &[value],
        )
    };
    // The policy does not name deletions.
    cases.iter().filter(|case| case.operation != Operation::Delete).map(one).collect()
}
