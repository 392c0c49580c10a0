//! Kyverno: `ValidatingPolicy`, or for clusters with an older one `ClusterPolicy`, both with the same CEL.
//!
//! What Kyverno would derive for workloads is left out: it would check updates that change no pod.

use serde_json::{Value, json};

use super::cel::{self, Rules};
use super::document::{file, put};
use super::pairs::{self, Case, Operation, Verdict};
use super::{Enforce, File, Form, Request, Role, vap};

/// The one rule of a `ClusterPolicy`; its name is no label's but is held to a label's length.
const RULE: &str = "containers";

/// A policy and what shows it.
struct Policy {
    name: String,
    comment: String,
    title: &'static str,
    rules: Rules,
    /// A condition on requests, with its name.
    condition: Option<(&'static str, String)>,
    cases: Vec<Case>,
}

pub(super) fn files(request: &Request) -> Vec<File> {
    let mut files = Vec::new();
    let (mut names, mut pods, mut results) = (Vec::new(), Vec::new(), Vec::new());
    for policy in policies(request) {
        let path = format!("{}.yaml", policy.name);
        let value = match request.form {
            Form::Legacy => policy.cluster_policy(request),
            _ => policy.validating_policy(request),
        };
        files.push(file(path.clone(), Role::Policy, &policy.comment, &[value]));
        names.push(path);
        policy.collect(request.form, &mut pods, &mut results);
    }
    let test = json!({
        "apiVersion": "cli.kyverno.io/v1alpha1",
        "kind": "Test",
        "metadata": { "name": "kiln" },
        "policies": names,
        "resources": ["resources.yaml"],
        "results": results,
    });
    files.push(file("kyverno-test.yaml", Role::Test, "Run with: kyverno test .", &[test]));
    let comment = "The pods of kyverno-test.yaml. Ephemeral containers come as a request of their own, which no file can be.";
    files.push(file("resources.yaml", Role::Test, comment, &pods));
    files
}

fn policies(request: &Request) -> Vec<Policy> {
    if request.images.is_empty() {
        let plain = vap::dialect(&request.exempt_images(), &[], &[]);
        return vec![
            Policy {
                name: "kiln-readonly-rootfs".to_owned(),
                comment: "Every container, init container and ephemeral container has a read-only root file system."
                    .to_owned(),
                title: "Require read-only root file systems",
                rules: cel::rootfs(&plain),
                condition: None,
                cases: pairs::rootfs(request),
            },
            Policy {
                name: "kiln-image-digest".to_owned(),
                comment: "Every image is pinned by its digest.".to_owned(),
                title: "Require images pinned by digest",
                rules: cel::digest(&plain),
                condition: None,
                cases: pairs::digest(request),
            },
        ];
    }
    let of_image = |image: &super::Image| {
        let repositories = image.spellings();
        Policy {
            name: image.mounts_policy(),
            comment: image.mounts_comment(),
            title: "Allow writable mounts only where the image writes",
            rules: cel::mounts(&vap::dialect(&[], &repositories, &image.writable())),
            condition: Some(("runs-the-image", cel::runs_image("object", &cel::list(&repositories)))),
            cases: pairs::mounts(image, request),
        }
    };
    request.images.iter().map(of_image).collect()
}

/// A condition that a request is of one of `places`: by name, which `kyverno test` knows without the cluster's labels.
pub(super) fn in_namespaces(places: &[String]) -> Option<Value> {
    let of =
        format!("has(object.metadata.namespace) &&\n  object.metadata.namespace in {}", cel::list(places));
    (!places.is_empty()).then(|| json!({ "name": "is-in-its-namespaces", "expression": of }))
}

impl Policy {
    fn metadata(&self) -> Value {
        json!({
            "name": self.name,
            "annotations": {
                "pod-policies.kyverno.io/autogen-controllers": "none",
                "policies.kyverno.io/category": "Pod Security",
                "policies.kyverno.io/severity": "high",
                "policies.kyverno.io/subject": "Pod",
                "policies.kyverno.io/title": self.title,
            },
        })
    }

    /// What a request must be like; of namespaces only where `places` has any.
    fn conditions(&self, places: &[String]) -> Option<Value> {
        let own = self.condition.as_ref();
        let own = own.map(|(name, expression)| json!({ "name": name, "expression": expression }));
        let all: Vec<Value> = in_namespaces(places).into_iter().chain(own).collect();
        (!all.is_empty()).then_some(Value::Array(all))
    }

    fn validating_policy(&self, request: &Request) -> Value {
        let action = match request.enforce() {
            Enforce::Deny => "Deny",
            Enforce::Warn => "Warn",
            Enforce::Audit => "Audit",
        };
        let places = request.places(request.images.is_empty());
        let mut spec = json!({
            "autogen": { "podControllers": { "controllers": [] } },
            "failurePolicy": "Fail",
            "matchConstraints": vap::constraints(),
            "validationActions": [action],
            "variables": self.rules.variables(),
            "validations": self.rules.validations(),
        });
        if let Some(conditions) = self.conditions(&places) {
            put(&mut spec, "/matchConditions", conditions);
        }
        let mut metadata = self.metadata();
        if let Some(annotations) = metadata.pointer_mut("/annotations").and_then(Value::as_object_mut) {
            annotations.remove("pod-policies.kyverno.io/autogen-controllers");
        }
        json!({
            "apiVersion": "policies.kyverno.io/v1",
            "kind": "ValidatingPolicy",
            "metadata": metadata,
            "spec": spec,
        })
    }

    fn cluster_policy(&self, request: &Request) -> Value {
        let enforce = request.enforce();
        let places = request.places(request.images.is_empty());
        let any = |kind: &str, operations: &[&str]| {
            let mut resources = json!({ "kinds": [kind], "operations": operations });
            if !places.is_empty() {
                put(&mut resources, "/namespaces", json!(places));
            }
            json!({ "resources": resources })
        };
        let mut rule = json!({
            "name": RULE,
            "match": { "any": [
                any("Pod", &["CREATE", "UPDATE"]),
                any("Pod/ephemeralcontainers", &["UPDATE"]),
            ] },
            "validate": {
                "failureAction": if enforce == Enforce::Deny { "Enforce" } else { "Audit" },
                "cel": { "variables": self.rules.variables(), "expressions": self.rules.validations() },
            },
        });
        if let Some(conditions) = self.conditions(&[]) {
            put(&mut rule, "/celPreconditions", conditions);
        }
        // Kyverno scans no policy in the background that knows a subresource.
        let mut spec = json!({ "background": false, "rules": [rule] });
        if enforce == Enforce::Warn {
            put(&mut spec, "/emitWarning", json!(true));
        }
        json!({
            "apiVersion": "kyverno.io/v1",
            "kind": "ClusterPolicy",
            "metadata": self.metadata(),
            "spec": spec,
        })
    }

    /// Adds the pods, under names that no other policy has, and what is expected of them.
    fn collect(&self, form: Form, pods: &mut Vec<Value>, results: &mut Vec<Value>) {
        let short = self.name.strip_prefix("kiln-").unwrap_or(&self.name);
        for (verdict, result) in [(true, "pass"), (false, "fail")] {
            let mut names = Vec::new();
            for case in &self.cases {
                if case.operation != Operation::Create || matches!(case.verdict, Verdict::Accepted) != verdict
                {
                    continue;
                }
                // The pair that everybody knows keeps its names.
                let is_known = ["mutable-pod", "immutable-pod"].contains(&case.name.as_str());
                let name = if is_known { case.name.clone() } else { format!("{short}-{}", case.name) };
                let mut pod = case.pod.clone();
                put(&mut pod, "/metadata/name", json!(name));
                names.push(name);
                pods.push(pod);
            }
            let mut expected =
                json!({ "policy": self.name, "kind": "Pod", "resources": names, "result": result });
            if form == Form::Legacy {
                put(&mut expected, "/rule", json!(RULE));
            } else {
                put(&mut expected, "/isValidatingPolicy", json!(true));
            }
            results.push(expected);
        }
    }
}
