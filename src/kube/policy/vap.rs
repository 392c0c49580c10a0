//! `ValidatingAdmissionPolicy`, with bindings: the API server enforces the rules itself.
//!
//! Where a rule holds stands in its binding, never in the policy; who is let through, and what an image may write to, stands in
//! a `ConfigMap` that the binding names.

use serde_json::{Value, json};

use super::cel::{self, Dialect, Rules};
use super::document::{file, put};
use super::pairs::{self, Case, Operation, Verdict};
use super::{Enforce, File, Request, Role};

/// Where the parameters are: whoever may write there owns the cluster anyway.
const PARAMETERS: &str = "kube-system";

pub(super) fn files(request: &Request) -> Vec<File> {
    if request.images.is_empty() {
        let mut files = Vec::new();
        for (name, what, rules, cases) in [
            (
                "kiln-readonly-rootfs",
                "Every container, init container and ephemeral container has a read-only root file system.",
                cel::rootfs as fn(&Dialect) -> Rules,
                pairs::rootfs(request),
            ),
            (
                "kiln-image-digest",
                "Every image is pinned by its digest.",
                cel::digest,
                pairs::digest(request),
            ),
        ] {
            files.push(generic(name, what, rules, request));
            files.extend(tests(name, &cases));
        }
        return files;
    }
    let name = "kiln-writable-mounts";
    let mut files = vec![for_images(name)];
    for image in &request.images {
        let own = format!("{name}-{}", image.name());
        let config =
            parameters(&own, &[("repositories", &image.spellings()), ("writablePaths", &image.writable())]);
        let comment = format!(
            "Where containers of {} may have writable mounts, from its writable manifest.\nNeeds kiln-writable-mounts.yaml.",
            image.references()
        );
        files.push(file(
            format!("{own}.yaml"),
            Role::Policy,
            &comment,
            &[config, binding(&own, name, Some(&own), request)],
        ));
        files.extend(tests(&own, &pairs::mounts(image, request)));
    }
    files
}

fn generic(name: &str, what: &str, rules: fn(&Dialect) -> Rules, request: &Request) -> File {
    let exempt = request.exempt_images();
    let is_exempting = !exempt.is_empty();
    let rules = rules(&Dialect {
        object: "object",
        exempt: is_exempting.then(|| cel::lines("params.data.exemptImages")),
        repositories: String::new(),
        writable: String::new(),
    });
    let mut values = vec![policy(name, &rules, is_exempting, None)];
    if is_exempting {
        values.push(parameters(name, &[("exemptImages", &exempt)]));
    }
    values.push(binding(name, name, is_exempting.then_some(name), request));
    let comment = format!(
        "{what}\nChecks pods that are made, and ephemeral containers that are added: what a pod that is there says cannot be\nchanged, and to check it again would only keep its finalizers."
    );
    file(format!("{name}.yaml"), Role::Policy, &comment, &values)
}

fn for_images(name: &str) -> File {
    let repositories = cel::lines("params.data.repositories");
    let rules = cel::mounts(&Dialect {
        object: "object",
        exempt: None,
        repositories: repositories.clone(),
        writable: cel::lines("params.data.writablePaths"),
    });
    let condition =
        json!([{ "name": "runs-the-image", "expression": cel::runs_image("object", &repositories) }]);
    let comment = "Containers of an image have a read-only root file system and writable mounts only where the image writes.\nDoes nothing by itself: each image has a binding of its own.";
    file(format!("{name}.yaml"), Role::Definition, comment, &[policy(name, &rules, true, Some(condition))])
}

fn policy(name: &str, rules: &Rules, has_parameters: bool, conditions: Option<Value>) -> Value {
    let mut spec = json!({
        "failurePolicy": "Fail",
        "matchConstraints": constraints(),
        "variables": rules.variables(),
        "validations": rules.validations(),
    });
    if has_parameters {
        put(&mut spec, "/paramKind", json!({ "apiVersion": "v1", "kind": "ConfigMap" }));
    }
    if let Some(conditions) = conditions {
        put(&mut spec, "/matchConditions", conditions);
    }
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": { "name": name },
        "spec": spec,
    })
}

/// Pods that are made, and ephemeral containers that are added to them.
pub(super) fn constraints() -> Value {
    let rule = |operation: &str, resource: &str| {
        json!({
            "apiGroups": [""],
            "apiVersions": ["v1"],
            "operations": [operation],
            "resources": [resource],
        })
    };
    json!({ "resourceRules": [rule("CREATE", "pods"), rule("UPDATE", "pods/ephemeralcontainers")] })
}

/// Selects the namespaces by the label that the API server gives them.
pub(super) fn selector(namespaces: &[String]) -> Value {
    json!({ "matchExpressions": [{
        "key": "kubernetes.io/metadata.name",
        "operator": "In",
        "values": namespaces,
    }] })
}

fn binding(name: &str, policy: &str, parameters: Option<&str>, request: &Request) -> Value {
    let actions = match request.enforce() {
        Enforce::Deny => json!(["Deny"]),
        Enforce::Warn => json!(["Warn", "Audit"]),
        Enforce::Audit => json!(["Audit"]),
    };
    let mut spec = json!({ "policyName": policy, "validationActions": actions });
    let places = request.places(request.images.is_empty());
    if !places.is_empty() {
        put(&mut spec, "/matchResources", json!({ "namespaceSelector": selector(&places) }));
    }
    if let Some(parameters) = parameters {
        // Whoever takes the parameters away lets nothing through by it.
        put(
            &mut spec,
            "/paramRef",
            json!({ "name": parameters, "namespace": PARAMETERS, "parameterNotFoundAction": "Deny" }),
        );
    }
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": { "name": name },
        "spec": spec,
    })
}

/// Lists, an item a line.
fn parameters(name: &str, lists: &[(&str, &[String])]) -> Value {
    let mut data = json!({});
    for (key, items) in lists {
        let lines: Vec<String> = items.iter().map(|item| format!("{item}\n")).collect();
        put(&mut data, &format!("/{key}"), json!(lines.concat()));
    }
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": { "name": name, "namespace": PARAMETERS },
        "data": data,
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
            Operation::Update | Operation::Ephemeral => ("reviews", case.review()),
        };
        file(
            format!("tests/{name}/{directory}/{verdict}-{}.yaml", case.name),
            Role::Test,
            &case.comment(),
            &[value],
        )
    };
    cases.iter().map(one).collect()
}
