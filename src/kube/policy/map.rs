//! `MutatingAdmissionPolicy`, and Kyverno's `MutatingPolicy`: pods of an image get the volumes and the read-only root that it
//! needs.
//!
//! Touches no pod that mounts something where the image writes: whoever wrote that knows the image, and what is there may be
//! theirs.

use serde_json::{Value, json};

use super::cel;
use super::document::{at, file, push, put};
use super::{File, Image, Request, Role, kyverno, vap};
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
            put(&mut binding_spec, "/matchResources", json!({ "namespaceSelector": vap::selector(&places) }));
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
        if let Some(condition) = kyverno::in_namespaces(&request.sorted_namespaces()) {
            push(&mut spec, "/matchConditions", condition);
        }
        put(&mut spec, "/autogen", json!({ "podControllers": { "controllers": [] } }));
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
            "resources": [at(&before, "/metadata/name")],
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
        "mutations": mutations(image),
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

/// The volumes and the root, and in front of all init containers the one that fills volumes.
fn mutations(image: &Image) -> Value {
    let configuration = json!({
        "patchType": "ApplyConfiguration",
        "applyConfiguration": { "expression": configuration(image) },
    });
    // Its command and its capabilities are lists without keys, which no apply configuration may have.
    let patch = inits(image)
        .map(|expression| json!({ "patchType": "JSONPatch", "jsonPatch": { "expression": expression } }));
    std::iter::once(configuration).chain(patch).collect()
}

fn configuration(image: &Image) -> String {
    let spec = at(image.pod(), "/spec");
    let mut fields = Vec::new();
    if at(spec, "/volumes").is_array() {
        fields.push(format!("volumes: {}", construct("Object.spec.volumes", at(spec, "/volumes"), None, 2)));
    }
    let mut container = vec![
        "name: c.name".to_owned(),
        "securityContext: Object.spec.containers.securityContext{readOnlyRootFilesystem: true}".to_owned(),
    ];
    let mounts = at(spec, "/containers/0/volumeMounts");
    if mounts.is_array() {
        let mounts = construct("Object.spec.containers.volumeMounts", mounts, None, 4);
        container.push(format!("volumeMounts: {mounts}"));
    }
    fields.push(format!(
        "containers: object.spec.containers.filter(c, {}).map(c, Object.spec.containers{{\n    {}\n  }})",
        cel::runs(&cel::list(&image.spellings())),
        container.join(",\n    ")
    ));
    format!("Object{{spec: Object.spec{{\n  {}\n}}}}", fields.join(",\n  "))
}

/// What adds the init containers; none where there are none.
fn inits(image: &Image) -> Option<String> {
    let inits = at(image.pod(), "/spec/initContainers").as_array()?;
    // It is the image that the pod names that fills the volumes.
    let runs = cel::runs(&cel::list(&image.spellings()));
    let own = format!("object.spec.containers.filter(c, {runs})[0].image");
    let inits: Vec<String> =
        inits.iter().map(|init| construct("Object.spec.initContainers", init, Some(&own), 2)).collect();
    let first = inits
        .iter()
        .rev()
        .map(|init| format!("  JSONPatch{{op: 'add', path: '/spec/initContainers/0', value: {init}}}"));
    Some(format!(
        "has(object.spec.initContainers) ? [\n{}\n] : [\n  JSONPatch{{op: 'add', path: '/spec/initContainers', value: [{}]}}\n]",
        first.collect::<Vec<_>>().join(",\n"),
        inits.join(", ")
    ))
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
    let app = at(full, "/spec/containers/0");
    let before = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": format!("bare-{}", image.name()), "namespace": namespace },
        "spec": { "containers": [{ "name": at(app, "/name"), "image": at(app, "/image") }] },
    });
    let mut after = before.clone();
    let mut give = |pointer: &str, value: &Value| {
        if !value.is_null() {
            put(&mut after, pointer, value.clone());
        }
    };
    give("/spec/volumes", at(full, "/spec/volumes"));
    give("/spec/initContainers", at(full, "/spec/initContainers"));
    give("/spec/containers/0/securityContext", &json!({ "readOnlyRootFilesystem": true }));
    give("/spec/containers/0/volumeMounts", at(app, "/volumeMounts"));
    [before, after]
}
