//! `MutatingAdmissionPolicy`, and Kyverno's `MutatingPolicy`: pods of an image get the volumes and the read-only root that it
//! needs.
//!
//! Touches no pod that mounts something where the image writes: whoever wrote that knows the image, and what is there may be
//! theirs.

use serde_json::{Value, json};

use super::cel;
use super::document::file;
use super::{File, Image, Request, Role, vap};
use crate::kube::Version;

/// The version of Kubernetes from which on the policy is stable.
const STABLE: Version = Version(36);

/// Longest object that stays in one line.
const MAX_LINE: usize = 100;

/// Fields that hold names and values of the user's, not fields.
const MAPS: [&str; 2] = ["limits", "requests"];

pub(super) fn files(request: &Request) -> Vec<File> {
    let is_stable = request.version >= STABLE;
    let api =
        if is_stable { "admissionregistration.k8s.io/v1" } else { "admissionregistration.k8s.io/v1beta1" };
    let mut files = Vec::new();
    for image in &request.images {
        let name = name(image);
        let policy = json!({
            "apiVersion": api,
            "kind": "MutatingAdmissionPolicy",
            "metadata": { "name": name },
            "spec": spec(image),
        });
        let mut binding_spec = json!({ "policyName": name });
        let places = request.sorted_namespaces();
        if !places.is_empty() {
            binding_spec["matchResources"] = json!({ "namespaceSelector": vap::selector(&places) });
        }
        let binding = json!({
            "apiVersion": api,
            "kind": "MutatingAdmissionPolicyBinding",
            "metadata": { "name": name },
            "spec": binding_spec,
        });
        let mut comment = comment(image);
        if !is_stable {
            comment.push_str(
                "\nIn Kubernetes 1.34 and 1.35 it needs --feature-gates=MutatingAdmissionPolicy=true and\n--runtime-config=admissionregistration.k8s.io/v1beta1=true of the API server.",
            );
        }
        files.push(file(format!("{name}.yaml"), Role::Policy, &comment, &[policy, binding]));
        let [before, after] = pair(image, request);
        let what = "Before the policy: kubectl apply --dry-run=server -o yaml shows what it makes of it.";
        files.push(file(format!("tests/{name}/before.yaml"), Role::Test, what, &[before]));
        let what = "After the policy, besides what the API server fills in.";
        files.push(file(format!("tests/{name}/after.yaml"), Role::Test, what, &[after]));
    }
    files
}

/// The same for Kyverno.
pub(super) fn kyverno(request: &Request) -> Vec<File> {
    let mut files = Vec::new();
    let (mut names, mut resources, mut results) = (Vec::new(), Vec::new(), Vec::new());
    for image in &request.images {
        let name = name(image);
        let mut spec = spec(image);
        let places = request.sorted_namespaces();
        if !places.is_empty() {
            spec["matchConstraints"]["namespaceSelector"] = vap::selector(&places);
        }
        spec["autogen"] = json!({ "podControllers": { "controllers": [] } });
        let policy = json!({
            "apiVersion": "policies.kyverno.io/v1",
            "kind": "MutatingPolicy",
            "metadata": { "name": name },
            "spec": spec,
        });
        files.push(file(format!("{name}.yaml"), Role::Policy, &comment(image), &[policy]));
        let [before, after] = pair(image, request);
        let patched = format!("{name}-after.yaml");
        results.push(json!({
            "policy": name,
            "isMutatingPolicy": true,
            "kind": "Pod",
            "resources": [before["metadata"]["name"]],
            "patchedResources": patched,
            "result": "pass",
        }));
        let comment = "As the policy makes it.";
        files.push(file(patched, Role::Test, comment, &[after]));
        names.push(format!("{name}.yaml"));
        resources.push(before);
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
    files.push(file("resources.yaml", Role::Test, "Pods without what the images need.", &resources));
    files
}

fn name(image: &Image) -> String {
    format!("kiln-mounts-{}", image.name())
}

fn comment(image: &Image) -> String {
    format!(
        "Pods that run {} get the read-only root file system and the volumes that it needs, from its\nwritable manifest. One that mounts anything there is left alone. What a pod in git says and what runs then differ.",
        image.references()
    )
}

/// What both kinds have in common.
fn spec(image: &Image) -> Value {
    json!({
        "failurePolicy": "Fail",
        "matchConstraints": { "resourceRules": [{
            "apiGroups": [""],
            "apiVersions": ["v1"],
            "operations": ["CREATE"],
            "resources": ["pods"],
        }] },
        "matchConditions": [
            { "name": "runs-the-image", "expression": own(image, None) },
            { "name": "mounts-nothing-there", "expression": untouched(image) },
        ],
        "mutations": [{
            "patchType": "ApplyConfiguration",
            "applyConfiguration": { "expression": patch(image) },
        }],
        "reinvocationPolicy": "IfNeeded",
    })
}

/// Whether the pod has a container of the image, for which `also` holds.
fn own(image: &Image, also: Option<&str>) -> String {
    let runs = cel::runs(&cel::list(&image.spellings()));
    let also = also.map_or_else(String::new, |also| format!(" &&\n  {also}"));
    format!("object.spec.containers.exists(c, {runs}{also})")
}

/// Whether nobody has mounted anything where the image writes, above it or below; or, where it writes nowhere, whether its root is
/// not read-only yet.
fn untouched(image: &Image) -> String {
    let paths = image.app_writable();
    if paths.is_empty() {
        return own(image, Some(&format!("!{}", cel::READ_ONLY)));
    }
    let touches = format!(
        "has(c.volumeMounts) &&\n  c.volumeMounts.exists(m, {}.exists(p, m.mountPath == p || m.mountPath.startsWith(p + '/') || p.startsWith(m.mountPath + '/')))",
        cel::list(&paths)
    );
    format!("!{}", own(image, Some(&touches)))
}

fn patch(image: &Image) -> String {
    let pod = image.pod();
    let runs = cel::runs(&cel::list(&image.spellings()));
    let spec = &pod["spec"];
    let mounts =
        construct("Object.spec.containers.volumeMounts", &spec["containers"][0]["volumeMounts"], None, 4);
    let mut fields = Vec::new();
    if let Some(volumes) = spec["volumes"].as_array().filter(|volumes| !volumes.is_empty()) {
        let volumes = construct("Object.spec.volumes", &json!(volumes), None, 2);
        fields.push(format!("volumes: {volumes}"));
    }
    if let Some(inits) = spec["initContainers"].as_array().filter(|inits| !inits.is_empty()) {
        // It is the image that the pod names that fills the volumes.
        let image = format!("object.spec.containers.filter(c, {runs})[0].image");
        let inits = construct("Object.spec.initContainers", &json!(inits), Some(&image), 2);
        fields.push(format!("initContainers: {inits}"));
    }
    let mut container = vec![
        "name: c.name".to_owned(),
        "securityContext: Object.spec.containers.securityContext{readOnlyRootFilesystem: true}".to_owned(),
    ];
    if spec["containers"][0]["volumeMounts"].is_array() {
        container.push(format!("volumeMounts: {mounts}"));
    }
    fields.push(format!(
        "containers: object.spec.containers.filter(c, {runs}).map(c, Object.spec.containers{{\n    {}\n  }})",
        container.join(",\n    ")
    ));
    format!("Object{{spec: Object.spec{{\n  {}\n}}}}", fields.join(",\n  "))
}

/// `value` as CEL makes it, of the type `path`; `image` is written in place of a field of that name.
fn construct(path: &str, value: &Value, image: Option<&str>, indent: usize) -> String {
    let pad = " ".repeat(indent + 2);
    match value {
        Value::String(text) => cel::quoted(text),
        Value::Array(items) => {
            let items: Vec<String> =
                items.iter().map(|item| construct(path, item, image, indent + 2)).collect();
            if value.pointer("/0").is_some_and(Value::is_object) {
                format!("[\n{pad}{}\n{}]", items.join(&format!(",\n{pad}")), " ".repeat(indent))
            } else {
                format!("[{}]", items.join(", "))
            }
        }
        Value::Object(fields) => {
            let is_map = path.rsplit('.').next().is_some_and(|last| MAPS.contains(&last));
            let field = |(name, value): (&String, &Value)| match image {
                _ if is_map => format!("{}: {}", cel::quoted(name), construct(path, value, image, indent)),
                Some(image) if name == "image" => format!("image: {image}"),
                _ => format!("{name}: {}", construct(&format!("{path}.{name}"), value, image, indent)),
            };
            let fields: Vec<String> = fields.iter().map(field).collect();
            let name = if is_map { "" } else { path };
            let line = fields.join(", ");
            if line.len() <= MAX_LINE {
                return format!("{name}{{{line}}}");
            }
            format!("{name}{{\n{pad}  {}\n{pad}}}", fields.join(&format!(",\n{pad}  ")))
        }
        other => other.to_string(),
    }
}

/// A pod that says nothing but its image, and what the policy makes of it.
fn pair(image: &Image, request: &Request) -> [Value; 2] {
    let full = image.pod();
    let namespace = request.sorted_namespaces().into_iter().next().unwrap_or_else(|| "production".to_owned());
    let app = &full["spec"]["containers"][0];
    let before = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": format!("bare-{}", image.name()), "namespace": namespace },
        "spec": { "containers": [{ "name": app["name"], "image": app["image"] }] },
    });
    let mut after = before.clone();
    for field in ["volumes", "initContainers"] {
        if full["spec"][field].is_array() {
            after["spec"][field] = full["spec"][field].clone();
        }
    }
    let container = &mut after["spec"]["containers"][0];
    container["securityContext"] = json!({ "readOnlyRootFilesystem": true });
    if app["volumeMounts"].is_array() {
        container["volumeMounts"] = app["volumeMounts"].clone();
    }
    [before, after]
}
