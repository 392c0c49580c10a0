//! The pods that guides to immutable containers show, held against every engine.
//!
//! Two of them are not what they are said to be: an init container without a read-only root, and images that no digest pins.

use serde_json::{Value, json};

use super::cel::Scope;
use super::celpolicies::admit;
use super::engine::{native, rego, review_of};
use super::{documents, written};

const PODS: &str = include_str!("../../../testdata/policy/pods.yaml");

/// What is said of each pod's roots: nothing of those that are accepted.
const VERDICTS: [(&str, &[&str]); 9] = [
    ("fully-immutable-app", &[]),
    ("immutable-configured-app", &[]),
    ("immutable-memory-tmp", &[]),
    ("immutable-nginx", &[]),
    ("immutable-pod", &[]),
    ("immutable-python-app", &[]),
    (
        "immutable-with-init",
        &["Init container 'setup' must set securityContext.readOnlyRootFilesystem to true"],
    ),
    ("mutable-pod", &["Container 'app' must set securityContext.readOnlyRootFilesystem to true"]),
    ("pinned-app", &[]),
];

#[test]
fn every_engine_says_the_same_of_their_roots() {
    let gatekeeper = written(&["gatekeeper"]);
    let template = &gatekeeper["k8srequirereadonlyrootfilesystem/template.yaml"][0];
    let constraint = &gatekeeper["k8srequirereadonlyrootfilesystem/require-readonly-rootfs.yaml"][0];
    let vap = written(&["vap"]);
    let binding = &vap["kiln-readonly-rootfs.yaml"][1];
    let pods = documents(PODS);
    let mut names: Vec<&str> = pods.iter().map(|pod| pod["metadata"]["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, VERDICTS.map(|(name, _)| name));
    for pod in &pods {
        let (name, expected) = VERDICTS.iter().find(|(name, _)| pod["metadata"]["name"] == *name).unwrap();
        let review = review_of(pod);
        assert_eq!(rego(template, constraint, &review), *expected, "{name}");
        assert_eq!(native(template, constraint, &review), *expected, "{name}");
        assert_eq!(admit(&vap, binding, Scope::of_pod(pod)), *expected, "{name}");
    }
}

#[test]
fn none_but_the_one_with_a_whole_digest_is_pinned() {
    let gatekeeper = written(&["gatekeeper"]);
    let template = &gatekeeper["k8srequireimagedigest/template.yaml"][0];
    let constraint = &gatekeeper["k8srequireimagedigest/require-image-digest.yaml"][0];
    let vap = written(&["vap"]);
    let binding = &vap["kiln-image-digest.yaml"][1];
    for pod in documents(PODS) {
        let is_pinned = pod["metadata"]["name"] == "pinned-app";
        let review = review_of(&pod);
        for said in [
            rego(template, constraint, &review),
            native(template, constraint, &review),
            admit(&vap, binding, Scope::of_pod(&pod)),
        ] {
            assert_eq!(said.is_empty(), is_pinned, "{}: {said:?}", pod["metadata"]["name"]);
        }
    }
}

/// The template as guides have it, which the tests above would not let pass.
#[test]
fn template_of_the_guides_lets_through_what_this_one_finds() {
    let naive = "
package naive
violation[{\"msg\": msg}] {
  container := input.review.object.spec.containers[_]
  not container.securityContext.readOnlyRootFilesystem
  msg := container.name
}
";
    let said = |pod: Value| {
        let mut engine = regorus::Engine::new();
        engine.set_rego_v0(true);
        engine.add_policy("naive.rego".to_owned(), naive.to_owned()).unwrap();
        let input = json!({ "review": { "operation": "UPDATE", "object": pod } });
        engine.set_input(regorus::Value::from_json_str(&input.to_string()).unwrap());
        engine
            .eval_rule("data.naive.violation".to_owned())
            .unwrap()
            .to_json_str()
            .unwrap()
            .replace(char::is_whitespace, "")
    };
    let with = |flag: Value| json!({ "spec": { "containers": [{ "name": "app", "securityContext": { "readOnlyRootFilesystem": flag } }] } });
    assert_eq!(said(with(json!("no"))), "[]", "any text is as good as true to it");
    assert_ne!(said(with(json!(false))), "[]", "and an update of a pod that is there is refused");
}
