//! `ValidatingAdmissionPolicy` and Kyverno's policies, executed with what is written beside them.
//!
//! Bindings are resolved as the API server does: the policy by its name.

use serde_json::{Value, json};

use super::cel::Scope;
use super::{WEB, Written, items, only_fields, text, written, written_for};

/// All documents of `kind`.
fn of_kind<'f>(files: &'f Written, kind: &str) -> Vec<&'f Value> {
    let all = files.iter().filter(|(path, _)| !path.starts_with("tests/"));
    all.flat_map(|(_, documents)| documents).filter(|document| document["kind"] == kind).collect()
}

/// What the policy that `binding` binds says of `scope`.
pub(super) fn admit(files: &Written, binding: &Value, scope: Scope) -> Vec<String> {
    let named = |kind: &str, name: &Value| {
        of_kind(files, kind)
            .into_iter()
            .find(|document| document["metadata"]["name"] == *name)
            .unwrap_or_else(|| panic!("{name}"))
    };
    let policy = named("ValidatingAdmissionPolicy", &binding["spec"]["policyName"]);
    // Parameters that are not there would refuse whatever the binding is for.
    assert!(policy["spec"].get("paramKind").is_none() && binding["spec"].get("paramRef").is_none());
    says(&policy["spec"], scope)
}

/// What a policy of this `spec` says.
fn says(spec: &Value, scope: Scope) -> Vec<String> {
    if !scope.matches(items(spec, "/matchConditions")) {
        return Vec::new();
    }
    scope.with_variables(items(spec, "/variables")).failures(items(spec, "/validations"))
}

/// Executes every pair of every binding; gives how many there were.
fn verify(files: &Written) -> usize {
    let mut count = 0;
    for binding in of_kind(files, "ValidatingAdmissionPolicyBinding") {
        let own = format!("tests/{}/", text(binding, "/metadata/name"));
        for (path, documents) in files.iter().filter(|(path, _)| path.starts_with(&own)) {
            let (kind, name) = path[own.len()..].split_once('/').unwrap();
            let scope = match kind {
                "pods" => Scope::of_pod(&documents[0]),
                _ => Scope::of_review(&documents[0]),
            };
            let failures = admit(files, binding, scope);
            let expected = usize::from(name.starts_with("reject-"));
            assert_eq!(failures.len(), expected, "{path}: {failures:?}");
            count += 1;
        }
    }
    count
}

#[test]
fn api_server_says_what_the_pairs_expect() {
    assert_eq!(verify(&written(&["vap"])), 18);
    assert_eq!(verify(&written(&["vap", "--exempt", "registry.example/istio/", "--enforce", "warn"])), 20);
    assert_eq!(verify(&written_for(&["vap"], &[WEB])), 11);
    assert_eq!(verify(&written_for(&["vap", "--namespace", "web"], &[WEB, "nginx:1"])), 23);
}

#[test]
fn pair_that_everybody_knows_has_the_words_that_everybody_knows() {
    let files = written(&["vap"]);
    let bindings = of_kind(&files, "ValidatingAdmissionPolicyBinding");
    let binding =
        bindings.iter().find(|binding| binding["metadata"]["name"] == "kiln-readonly-rootfs").unwrap();
    let pod = &files["tests/kiln-readonly-rootfs/pods/reject-mutable-pod.yaml"][0];
    assert_eq!(
        admit(&files, binding, Scope::of_pod(pod)),
        ["Container 'app' must set securityContext.readOnlyRootFilesystem to true"]
    );
}

#[test]
fn where_a_rule_holds_stands_in_its_binding() {
    let files = written(&["vap", "--namespace", "web", "--enforce", "audit"]);
    for policy in of_kind(&files, "ValidatingAdmissionPolicy") {
        let constraints = &policy["spec"]["matchConstraints"];
        only_fields(constraints, "matchConstraints", &["resourceRules"]);
        let rules: Vec<(&Value, &Value)> = items(constraints, "/resourceRules")
            .iter()
            .map(|rule| (&rule["operations"], &rule["resources"][0]))
            .collect();
        assert_eq!(
            rules,
            [
                (&json!(["CREATE", "UPDATE"]), &json!("pods")),
                (&json!(["UPDATE"]), &json!("pods/ephemeralcontainers")),
            ]
        );
        assert_eq!(policy["spec"]["failurePolicy"], "Fail");
    }
    for binding in of_kind(&files, "ValidatingAdmissionPolicyBinding") {
        assert_eq!(binding["spec"]["validationActions"], json!(["Audit"]));
        let expression = &binding["spec"]["matchResources"]["namespaceSelector"]["matchExpressions"][0];
        assert_eq!(expression["values"], json!(["web"]));
    }
}

#[test]
fn exemption_is_a_beginning() {
    let files = written(&["vap", "--exempt", "registry.example/istio/"]);
    let binding = of_kind(&files, "ValidatingAdmissionPolicyBinding")
        .into_iter()
        .find(|binding| binding["metadata"]["name"] == "kiln-readonly-rootfs")
        .unwrap()
        .clone();
    let pod = |image: &str| json!({ "spec": { "containers": [{ "name": "app", "image": image }] } });
    let count = |image: &str| admit(&files, &binding, Scope::of_pod(&pod(image))).len();
    assert_eq!(count("registry.example/istio/proxyv2:1"), 0);
    assert_eq!(count("registry.example/istio-evil/x:1"), 1);
    assert_eq!(count("evil.example/registry.example/istio/x"), 1);
    assert_eq!(count("nginx"), 1);
    // What came in by it may be let through no more, once it is another image.
    let review = |before: &str, now: &str| json!({ "request": { "operation": "UPDATE", "object": pod(now), "oldObject": pod(before) } });
    let exempt = "registry.example/istio/proxyv2:1";
    assert_eq!(admit(&files, &binding, Scope::of_review(&review(exempt, "nginx"))).len(), 1);
    assert_eq!(admit(&files, &binding, Scope::of_review(&review(exempt, exempt))).len(), 0);
    assert_eq!(admit(&files, &binding, Scope::of_review(&review("nginx", exempt))).len(), 0);
}

/// Images of `registry:2`'s and `registry.example/team/web`'s repositories, however they are spelled, and others.
pub(super) const SPELLINGS: [(&str, bool); 14] = [
    ("registry", true),
    ("registry:2", true),
    ("docker.io/library/registry:2", true),
    ("Docker.IO/registry", true),
    ("registry-1.docker.io:443/library/registry:2", true),
    ("registry:5000/team/app:1", false),
    ("registry:5000/team/app@sha256:4444444444444444444444444444444444444444444444444444444444444444", false),
    ("registry-ui:1", false),
    ("registry/team", false),
    ("registry.example/team/web", true),
    (
        "Registry.EXAMPLE/team/web:Tag@sha256:4444444444444444444444444444444444444444444444444444444444444444",
        true,
    ),
    ("registry.example:443/team/web:1", true),
    ("registry.example:5000/team/web:1", false),
    ("registry.example/team/web/more:1", false),
];

#[test]
fn image_is_known_however_it_is_spelled_and_no_other_is() {
    let files = written_for(&["vap"], &["registry:2", "registry.example/team/web:1"]);
    for (image, is_known) in SPELLINGS {
        let pod = json!({ "spec": { "containers": [{ "name": "app", "image": image }] } });
        let said: Vec<String> = of_kind(&files, "ValidatingAdmissionPolicyBinding")
            .into_iter()
            .flat_map(|binding| admit(&files, binding, Scope::of_pod(&pod)))
            .collect();
        assert_eq!(said.len(), usize::from(is_known), "{image}: {said:?}");
    }
}

/// Runs `kyverno-test.yaml`: gives how many results it expects.
fn kyverno_test(files: &Written) -> usize {
    let test = &files["kyverno-test.yaml"][0];
    only_fields(test, "Test", &["apiVersion", "kind", "metadata", "policies", "resources", "results"]);
    let pods = &files["resources.yaml"];
    let mut names: Vec<&str> = pods.iter().map(|pod| text(pod, "/metadata/name")).collect();
    names.sort_unstable();
    let before = names.len();
    names.dedup();
    assert_eq!(names.len(), before, "a resource is named once");
    let policies: Vec<&Value> =
        items(test, "/policies").iter().map(|path| &files[path.as_str().unwrap()][0]).collect();
    let mut count = 0;
    for result in items(test, "/results") {
        let policy = policies.iter().find(|policy| policy["metadata"]["name"] == result["policy"]).unwrap();
        let spec = match text(policy, "/kind") {
            "ValidatingPolicy" => {
                assert_eq!(policy["apiVersion"], "policies.kyverno.io/v1");
                only_fields(
                    &policy["spec"],
                    "ValidatingPolicy",
                    &[
                        "autogen",
                        "failurePolicy",
                        "matchConstraints",
                        "matchConditions",
                        "validationActions",
                        "variables",
                        "validations",
                    ],
                );
                assert_eq!(result["isValidatingPolicy"], true);
                policy["spec"].clone()
            }
            "ClusterPolicy" => {
                assert_eq!(policy["apiVersion"], "kyverno.io/v1");
                only_fields(&policy["spec"], "ClusterPolicy", &["background", "emitWarning", "rules"]);
                let rule = &policy["spec"]["rules"][0];
                only_fields(rule, "a rule", &["name", "match", "celPreconditions", "validate"]);
                only_fields(&rule["validate"], "validate", &["failureAction", "cel"]);
                only_fields(&rule["validate"]["cel"], "cel", &["variables", "expressions"]);
                assert_eq!(result["rule"], rule["name"]);
                json!({
                    "matchConditions": rule.get("celPreconditions").cloned().unwrap_or_else(|| json!([])),
                    "variables": rule["validate"]["cel"]["variables"],
                    "validations": rule["validate"]["cel"]["expressions"],
                })
            }
            other => panic!("{other}"),
        };
        for name in items(result, "/resources") {
            let pod =
                pods.iter().find(|pod| pod["metadata"]["name"] == *name).unwrap_or_else(|| panic!("{name}"));
            let failures = says(&spec, Scope::of_pod(pod));
            assert_eq!(failures.is_empty(), result["result"] == "pass", "{name}: {failures:?}");
            count += 1;
        }
    }
    count
}

#[test]
fn kyverno_says_what_its_tests_expect_in_both_forms() {
    for form in [&["kyverno"][..], &["kyverno", "--legacy"]] {
        assert_eq!(kyverno_test(&written(form)), 10, "{form:?}");
        let exempting = [form, &["--exempt", "registry.example/istio/", "--enforce", "warn"]].concat();
        assert_eq!(kyverno_test(&written(&exempting)), 12, "{form:?}");
        assert_eq!(kyverno_test(&written_for(form, &[WEB])), 8, "{form:?}");
        assert_eq!(kyverno_test(&written_for(form, &[WEB, "nginx:1"])), 17, "{form:?}");
    }
}

#[test]
fn kyverno_checks_ephemeral_containers_and_derives_nothing_for_workloads() {
    let files = written(&["kyverno"]);
    for policy in of_kind(&files, "ValidatingPolicy") {
        assert_eq!(policy["spec"]["autogen"], json!({ "podControllers": { "controllers": [] } }));
        assert_eq!(
            policy["spec"]["matchConstraints"]["resourceRules"][1]["resources"],
            json!(["pods/ephemeralcontainers"])
        );
        let review = |debug: Value| {
            let pod = json!({ "metadata": { "namespace": "production" }, "spec": { "containers": [{ "name": "a", "image": "nginx" }], "ephemeralContainers": [debug] } });
            let old = json!({ "spec": { "containers": [{ "name": "a", "image": "nginx" }] } });
            json!({ "request": { "operation": "UPDATE", "subResource": "ephemeralcontainers", "object": pod, "oldObject": old } })
        };
        let bad =
            says(&policy["spec"], Scope::of_review(&review(json!({ "name": "debug", "image": "busybox" }))));
        assert_eq!(bad.len(), 1, "{bad:?}");
        assert!(bad[0].starts_with("Ephemeral container 'debug' must "), "{bad:?}");
        let mut changed = review(json!({}));
        changed["request"]["object"]["spec"] = json!({ "containers": [{ "name": "a", "image": "busybox" }] });
        let said = says(&policy["spec"], Scope::of_review(&changed));
        assert!(said.len() == 1 && said[0].starts_with("Container 'a' must "), "another image: {said:?}");
        changed["request"]["object"]["spec"] = changed["request"]["oldObject"]["spec"].clone();
        assert_eq!(says(&policy["spec"], Scope::of_review(&changed)), [""; 0], "a label or a finalizer");
        let mut elsewhere = review(json!({ "name": "debug", "image": "busybox" }));
        elsewhere["request"]["object"]["metadata"]["namespace"] = json!("development");
        assert_eq!(says(&policy["spec"], Scope::of_review(&elsewhere)), [""; 0]);
    }
    let legacy = written(&["kyverno", "--legacy", "--enforce", "warn"]);
    for policy in of_kind(&legacy, "ClusterPolicy") {
        assert_eq!(policy["metadata"]["annotations"]["pod-policies.kyverno.io/autogen-controllers"], "none");
        let rule = &policy["spec"]["rules"][0];
        assert_eq!(rule["validate"]["failureAction"], "Audit");
        let asked: Vec<&Value> =
            items(rule, "/match/any").iter().map(|any| &any["resources"]["operations"]).collect();
        assert_eq!(asked, [&json!(["CREATE", "UPDATE"]), &json!(["UPDATE"])]);
        assert_eq!(policy["spec"]["emitWarning"], true);
        assert_eq!(policy["spec"]["background"], false, "Kyverno insists, where a rule knows a subresource");
    }
}

#[test]
fn debug_container_that_is_there_already_keeps_no_better_one_out() {
    let files = written(&["vap"]);
    let binding = of_kind(&files, "ValidatingAdmissionPolicyBinding")
        .into_iter()
        .find(|binding| binding["metadata"]["name"] == "kiln-readonly-rootfs")
        .unwrap();
    let old = json!({ "name": "old", "image": "busybox" });
    let new =
        json!({ "name": "new", "image": "busybox", "securityContext": { "readOnlyRootFilesystem": true } });
    let pod = |debug: Vec<&Value>| json!({ "spec": { "containers": [{ "name": "a", "image": "x" }], "ephemeralContainers": debug } });
    let review = json!({ "request": {
        "operation": "UPDATE", "subResource": "ephemeralcontainers",
        "object": pod(vec![&old, &new]), "oldObject": pod(vec![&old]),
    } });
    assert_eq!(admit(&files, binding, Scope::of_review(&review)), [""; 0]);
}
