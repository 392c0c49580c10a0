//! Gatekeeper's templates and constraints, executed with the suites that are written beside them: as `gator verify` does, by both
//! engines.

use serde_json::{Value, json};

use super::celpolicies::SPELLINGS;
use super::engine::{native, rego, review_of, selects};
use super::{WEB, Written, items, only_fields, text, written, written_for};

/// Runs every suite; gives how many cases there were.
fn verify(files: &Written) -> usize {
    let mut count = 0;
    for (path, suite) in files.iter().filter(|(path, _)| path.ends_with("/suite.yaml")) {
        let directory = path.strip_suffix("suite.yaml").unwrap();
        let file = |name: &str| {
            &files.get(&format!("{directory}{name}")).unwrap_or_else(|| panic!("{directory}{name}"))[0]
        };
        only_fields(&suite[0], "Suite", &["apiVersion", "kind", "metadata", "tests"]);
        for test in items(&suite[0], "/tests") {
            only_fields(test, "a test", &["name", "template", "constraint", "cases"]);
            let (template, constraint) = (file(text(test, "/template")), file(text(test, "/constraint")));
            assert_eq!(constraint["kind"], template["spec"]["crd"]["spec"]["names"]["kind"]);
            for case in items(test, "/cases") {
                only_fields(case, "a case", &["name", "object", "assertions"]);
                let object = file(text(case, "/object"));
                let review =
                    if object["kind"] == "AdmissionReview" { object.clone() } else { review_of(object) };
                assert!(selects(constraint, &review), "{}", case["name"]);
                let assertion = &items(case, "/assertions")[0];
                let expected: Vec<String> = if assertion["violations"] == 1 {
                    vec![text(assertion, "/message").to_owned()]
                } else {
                    assert_eq!(assertion["violations"], "no");
                    Vec::new()
                };
                assert_eq!(rego(template, constraint, &review), expected, "Rego: {path}: {}", case["name"]);
                assert_eq!(native(template, constraint, &review), expected, "CEL: {path}: {}", case["name"]);
                count += 1;
            }
        }
    }
    count
}

#[test]
fn both_engines_say_what_the_suites_expect() {
    assert_eq!(verify(&written(&["gatekeeper"])), 20);
    let exempting = written(&["gatekeeper", "--exempt", "registry.example/istio/", "--namespace", "web"]);
    assert_eq!(verify(&exempting), 22);
    assert_eq!(verify(&written_for(&["gatekeeper"], &[WEB])), 12);
    assert_eq!(verify(&written_for(&["gatekeeper", "--namespace", "web"], &[WEB, "nginx:1"])), 25);
}

#[test]
fn image_is_known_however_it_is_spelled_and_no_other_is() {
    let files = written_for(&["gatekeeper"], &["registry:2", "registry.example/team/web:1"]);
    let template = &files["k8sallowwritablemounts/template.yaml"][0];
    let constraints = ["writable-mounts-registry", "writable-mounts-team-web"]
        .map(|name| &files[&format!("k8sallowwritablemounts/{name}.yaml")][0]);
    for (image, is_known) in SPELLINGS {
        let review = review_of(&json!({ "spec": { "containers": [{ "name": "app", "image": image }] } }));
        for engine in [rego, native] {
            let said = constraints.map(|constraint| engine(template, constraint, &review)).concat();
            assert_eq!(said.len(), usize::from(is_known), "{image}: {said:?}");
        }
    }
}

#[test]
fn templates_have_only_what_gatekeeper_knows_and_the_names_of_old() {
    let files = written(&["gatekeeper"]);
    let template = &files["k8srequirereadonlyrootfilesystem/template.yaml"][0];
    assert_eq!(template["metadata"]["name"], "k8srequirereadonlyrootfilesystem");
    assert_eq!(template["spec"]["crd"]["spec"]["names"]["kind"], "K8sRequireReadOnlyRootFilesystem");
    let constraint = &files["k8srequirereadonlyrootfilesystem/require-readonly-rootfs.yaml"][0];
    assert_eq!(constraint["spec"]["match"]["namespaces"], json!(["production", "staging"]));
    assert_eq!(constraint["spec"]["parameters"], json!({}));
    for files in [files, written_for(&["gatekeeper"], &[WEB])] {
        for template in files.values().flatten().filter(|document| document["kind"] == "ConstraintTemplate") {
            assert_eq!(template["apiVersion"], "templates.gatekeeper.sh/v1");
            only_fields(template, "ConstraintTemplate", &["apiVersion", "kind", "metadata", "spec"]);
            only_fields(&template["spec"], "its spec", &["crd", "targets"]);
            let kind = text(template, "/spec/crd/spec/names/kind");
            assert_eq!(template["metadata"]["name"], kind.to_lowercase(), "Gatekeeper insists");
            let schema = &template["spec"]["crd"]["spec"]["validation"]["openAPIV3Schema"];
            assert_eq!(schema["type"], "object", "a structural schema has a type everywhere");
            for property in schema["properties"].as_object().unwrap().values() {
                assert_eq!(
                    (&property["type"], &property["items"]["type"]),
                    (&json!("array"), &json!("string"))
                );
            }
            for code in items(template, "/spec/targets/0/code") {
                only_fields(code, "code", &["engine", "source"]);
                match text(code, "/engine") {
                    "Rego" => only_fields(&code["source"], "Rego", &["rego"]),
                    "K8sNativeValidation" => {
                        only_fields(&code["source"], "CEL", &["variables", "validations"]);
                    }
                    other => panic!("{other}"),
                }
            }
        }
    }
}

#[test]
fn action_follows_what_is_asked() {
    for (enforce, action) in [("deny", "deny"), ("warn", "warn"), ("audit", "dryrun")] {
        let files = written(&["gatekeeper", "--enforce", enforce]);
        let constraint = &files["k8srequirereadonlyrootfilesystem/require-readonly-rootfs.yaml"][0];
        assert_eq!(constraint["spec"]["enforcementAction"], action);
        only_fields(&constraint["spec"], "a constraint", &["enforcementAction", "match", "parameters"]);
    }
}

#[test]
fn text_is_not_true_and_a_bare_review_is_checked() {
    let files = written(&["gatekeeper"]);
    let template = &files["k8srequirereadonlyrootfilesystem/template.yaml"][0];
    let constraint = &files["k8srequirereadonlyrootfilesystem/require-readonly-rootfs.yaml"][0];
    let pod = |flag: Value| json!({ "spec": { "containers": [{ "name": "app", "image": "a", "securityContext": { "readOnlyRootFilesystem": flag } }] } });
    let message = ["Container 'app' must set securityContext.readOnlyRootFilesystem to true"];
    for flag in [json!("true"), json!(1), json!(null), json!(false)] {
        // As the audit has it: no operation.
        let review = json!({ "request": { "object": pod(flag) } });
        assert_eq!(rego(template, constraint, &review), message);
        assert_eq!(native(template, constraint, &review), message);
    }
    let review = json!({ "request": { "object": pod(json!(true)) } });
    assert!(
        rego(template, constraint, &review).is_empty() && native(template, constraint, &review).is_empty()
    );
    let several = json!({ "request": { "object": { "spec": { "containers": [{ "name": "a", "image": "x" }, { "name": "b", "image": "x" }] } } } });
    assert_eq!(rego(template, constraint, &several).len(), 2);
    assert_eq!(
        native(template, constraint, &several),
        [
            "Container 'a' must set securityContext.readOnlyRootFilesystem to true; Container 'b' must set securityContext.readOnlyRootFilesystem to true"
        ]
    );
}
