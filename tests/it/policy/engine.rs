//! Gatekeeper's two engines: what a template says of a request.
//!
//! Does as the documentation of constraint templates has it; knows no template.

use serde_json::{Value, json};

use super::cel::Scope;
use super::{items, text};

/// A request as Gatekeeper gives it to its engines: what goes stands where what comes stands.
fn seen(review: &Value) -> Value {
    let mut request = review["request"].clone();
    if request["operation"] == "DELETE" {
        request["object"] = request["oldObject"].clone();
    }
    request
}

/// What the Rego of `template` says of `review`, by `constraint`; sorted.
pub(super) fn rego(template: &Value, constraint: &Value, review: &Value) -> Vec<String> {
    let code = items(template, "/spec/targets/0/code");
    let source = code.iter().find(|code| code["engine"] == "Rego").unwrap();
    let mut engine = regorus::Engine::new();
    engine.set_rego_v0(true);
    let package =
        engine.add_policy("template.rego".to_owned(), text(source, "/source/rego").to_owned()).unwrap();
    let input = json!({ "review": seen(review), "parameters": constraint["spec"]["parameters"] });
    engine.set_input(regorus::Value::from_json_str(&input.to_string()).unwrap());
    let found = engine.eval_rule(format!("{package}.violation")).unwrap();
    let found: Value = serde_json::from_str(&found.to_json_str().unwrap()).unwrap();
    let mut messages: Vec<String> =
        found.as_array().unwrap().iter().map(|violation| text(violation, "/msg").to_owned()).collect();
    messages.sort();
    messages
}

/// What its CEL says.
pub(super) fn native(template: &Value, constraint: &Value, review: &Value) -> Vec<String> {
    let code = items(template, "/spec/targets/0/code");
    let source = &code.iter().find(|code| code["engine"] == "K8sNativeValidation").unwrap()["source"];
    let given = json!({ "anyObject": seen(review)["object"], "params": constraint["spec"]["parameters"] });
    let scope = Scope::of_review(review).with("variables", given);
    scope.with_variables(items(source, "/variables")).failures(items(source, "/validations"))
}

/// A request to make `pod`, as Gatekeeper sees it.
pub(super) fn review_of(pod: &Value) -> Value {
    json!({ "request": {
        "operation": "CREATE",
        "kind": { "group": "", "version": "v1", "kind": "Pod" },
        "namespace": pod["metadata"]["namespace"],
        "object": pod,
    } })
}

/// Whether `constraint` looks at the namespace of `review` at all.
pub(super) fn selects(constraint: &Value, review: &Value) -> bool {
    let namespaces = items(constraint, "/spec/match/namespaces");
    namespaces.is_empty() || namespaces.contains(&review["request"]["namespace"])
}
