//! `MutatingAdmissionPolicy` and Kyverno's `MutatingPolicy`, executed: what they make of a bare pod is what the image needs, and
//! what the other policies accept.
//!
//! Merges an apply configuration as the API server does a pod's: containers and volumes by name, mounts by path.

use serde_json::{Value, json};

use super::cel::Scope;
use super::celpolicies::admit;
use super::{WEB, Written, items, manifest, only_fields, text, written_for, written_with};

/// Applies `patch` to `value`, which is at a field of that name.
fn merge(value: &mut Value, patch: &Value, field: &str) {
    if value.is_null() {
        *value = match patch {
            Value::Object(_) => json!({}),
            Value::Array(items) if items.iter().all(Value::is_object) => json!([]),
            _ => Value::Null,
        };
    }
    match (value, patch) {
        (Value::Object(fields), Value::Object(patches)) => {
            for (name, patch) in patches {
                merge(fields.entry(name.clone()).or_insert(Value::Null), patch, name);
            }
        }
        (Value::Array(list), Value::Array(patches)) if patches.iter().all(Value::is_object) => {
            let key = match field {
                "volumeMounts" => "mountPath",
                "containers" | "initContainers" | "volumes" => "name",
                other => panic!("a list of objects at {other}"),
            };
            for patch in patches {
                if let Some(item) = list.iter_mut().find(|item| item[key] == patch[key]) {
                    merge(item, patch, "");
                } else {
                    let mut item = Value::Null;
                    merge(&mut item, patch, "");
                    list.push(item);
                }
            }
        }
        (value, patch) => {
            assert!(!patch.is_array(), "an apply configuration may have no list without keys: {field}");
            *value = patch.clone();
        }
    }
}

/// Applies a JSON patch, of which the policies use `add`.
fn apply(value: &mut Value, operation: &Value) {
    only_fields(operation, "JSONPatch", &["op", "path", "value"]);
    assert_eq!(operation["op"], "add");
    let (before, last) = text(operation, "/path").rsplit_once('/').unwrap();
    match value.pointer_mut(before).unwrap_or_else(|| panic!("{operation}")) {
        Value::Array(list) => list.insert(last.parse().unwrap(), operation["value"].clone()),
        object => {
            assert!(object.get(last).is_none(), "it would replace what is there: {operation}");
            object[last] = operation["value"].clone();
        }
    }
}

/// What the mutating policy of this `spec` makes of `pod`; `None` where it does not touch it.
fn mutated(spec: &Value, pod: &Value) -> Option<Value> {
    only_fields(
        spec,
        "a mutating policy",
        &[
            "autogen",
            "failurePolicy",
            "matchConditions",
            "matchConstraints",
            "mutations",
            "reinvocationPolicy",
        ],
    );
    let scope = Scope::of_pod(pod);
    if !scope.matches(items(spec, "/matchConditions")) {
        return None;
    }
    let mut pod = pod.clone();
    for mutation in items(spec, "/mutations") {
        // Each sees what those before it made.
        let scope = Scope::of_pod(&pod);
        match text(mutation, "/patchType") {
            "ApplyConfiguration" => {
                only_fields(mutation, "a mutation", &["patchType", "applyConfiguration"]);
                merge(&mut pod, &scope.construct(text(mutation, "/applyConfiguration/expression")), "");
            }
            "JSONPatch" => {
                only_fields(mutation, "a mutation", &["patchType", "jsonPatch"]);
                let patch = scope.construct(text(mutation, "/jsonPatch/expression"));
                patch.as_array().unwrap().iter().for_each(|operation| apply(&mut pod, operation));
            }
            other => panic!("{other}"),
        }
    }
    Some(pod)
}

fn policy<'f>(files: &'f Written, path: &str) -> &'f Value {
    &files.get(path).unwrap_or_else(|| panic!("{:?}", files.keys()))[0]
}

#[test]
fn bare_pod_becomes_the_one_that_the_image_needs() {
    for (version, api) in [("1.34", "v1beta1"), ("1.35", "v1beta1"), ("1.36", "v1"), ("1.37", "v1")] {
        let files = written_for(&["map", "--kube-version", version], &[WEB]);
        let [policy, binding] = files["kiln-mounts-team-web.yaml"].as_slice() else {
            panic!("{:?}", files.keys())
        };
        assert_eq!(policy["apiVersion"], format!("admissionregistration.k8s.io/{api}"));
        assert_eq!(binding["spec"]["policyName"], policy["metadata"]["name"]);
        let before = &files["tests/kiln-mounts-team-web/before.yaml"][0];
        let after = &files["tests/kiln-mounts-team-web/after.yaml"][0];
        let made = mutated(&policy["spec"], before).unwrap();
        assert_eq!(made, *after, "{made:#}");
        assert_eq!(mutated(&policy["spec"], &made), None, "a second time changes nothing");
    }
}

#[test]
fn what_it_makes_is_what_the_other_policies_accept() {
    let mending = written_for(&["map"], &[WEB]);
    let spec = &policy(&mending, "kiln-mounts-team-web.yaml")["spec"];
    let made = mutated(spec, &mending["tests/kiln-mounts-team-web/before.yaml"][0]).unwrap();
    let checking = written_for(&["vap"], &[WEB]);
    let binding = &checking["kiln-writable-mounts-team-web.yaml"][1];
    assert_eq!(admit(&checking, binding, Scope::of_pod(&made)), [""; 0]);
    let bare = &mending["tests/kiln-mounts-team-web/before.yaml"][0];
    assert_eq!(admit(&checking, binding, Scope::of_pod(bare)).len(), 1, "the bare one is refused");
}

#[test]
fn pod_of_another_image_or_with_mounts_of_its_own_is_left_alone() {
    let files = written_for(&["map"], &[WEB]);
    let spec = &policy(&files, "kiln-mounts-team-web.yaml")["spec"];
    let bare = &files["tests/kiln-mounts-team-web/before.yaml"][0];
    let with = |path: &str| {
        let mut pod = bare.clone();
        pod["spec"]["containers"][0]["volumeMounts"] = json!([{ "name": "own", "mountPath": path }]);
        pod["spec"]["volumes"] = json!([{ "name": "own", "emptyDir": {} }]);
        pod
    };
    for path in ["/run", "/var/lib", "/var/lib/nginx/body"] {
        assert_eq!(mutated(spec, &with(path)), None, "{path}");
    }
    let made = mutated(spec, &with("/etc/nginx/conf.d")).unwrap();
    assert_eq!(items(&made, "/spec/containers/0/volumeMounts").len(), 4);
    assert_eq!(items(&made, "/spec/volumes").len(), 4);
    let mut other = bare.clone();
    for image in ["registry.example/team/website:1", "evil.example/registry.example/team/web", "nginx"] {
        other["spec"]["containers"][0]["image"] = json!(image);
        assert_eq!(mutated(spec, &other), None, "{image}");
    }
    // What fills the volumes comes before whatever reads them.
    let mut prepared = bare.clone();
    prepared["spec"]["initContainers"] = json!([{ "name": "own", "image": "busybox" }]);
    let made = mutated(spec, &prepared).unwrap();
    let names: Vec<&str> =
        items(&made, "/spec/initContainers").iter().map(|init| text(init, "/name")).collect();
    assert_eq!(names, ["kiln-seed", "own"]);
    // Only the image's own containers change.
    let mut two = bare.clone();
    two["spec"]["containers"].as_array_mut().unwrap().push(json!({ "name": "proxy", "image": "nginx" }));
    let made = mutated(spec, &two).unwrap();
    assert_eq!(made["spec"]["containers"][1], json!({ "name": "proxy", "image": "nginx" }));
}

#[test]
fn kyverno_makes_the_same() {
    let files = written_for(&["kyverno", "--mutate", "--namespace", "web"], &[WEB]);
    let own = policy(&files, "kiln-mounts-team-web.yaml");
    assert_eq!(
        (&own["apiVersion"], &own["kind"]),
        (&json!("policies.kyverno.io/v1"), &json!("MutatingPolicy"))
    );
    let test = policy(&files, "kyverno-test.yaml");
    for result in items(test, "/results") {
        assert_eq!(result["isMutatingPolicy"], true);
        let before = files["resources.yaml"]
            .iter()
            .find(|pod| pod["metadata"]["name"] == result["resources"][0])
            .unwrap();
        let after = policy(&files, text(result, "/patchedResources"));
        assert_eq!(mutated(&own["spec"], before).as_ref(), Some(after));
    }
}

#[test]
fn image_that_writes_nowhere_gets_a_read_only_root_and_nothing_else() {
    let mut manifest = manifest();
    manifest["paths"] = json!([]);
    let files = written_with(&manifest, &["map", "--kube-version", "1.36"], &[WEB]);
    let spec = &policy(&files, "kiln-mounts-team-web.yaml")["spec"];
    assert_eq!(items(spec, "/mutations").len(), 1);
    let before = &files["tests/kiln-mounts-team-web/before.yaml"][0];
    let made = mutated(spec, before).unwrap();
    assert_eq!(made, files["tests/kiln-mounts-team-web/after.yaml"][0]);
    assert_eq!(mutated(spec, &made), None);
    for engine in [&["vap"][..], &["gatekeeper"], &["kyverno"], &["falco"], &["tetragon"]] {
        assert!(!written_with(&manifest, engine, &[WEB]).is_empty());
    }
}
