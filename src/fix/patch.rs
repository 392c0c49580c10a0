//! What was mended as a patch: JSON patches (RFC 6902), and what kustomize makes of them.
//!
//! Compares values only.

use serde_json::{Map, Value, json};

use crate::kube::workload;

/// The operations that make `after` of `before`.
pub fn json6902(before: &Value, after: &Value) -> Vec<Value> {
    let mut out = Vec::new();
    compare(before, after, "", &mut out);
    out
}

fn compare(before: &Value, after: &Value, at: &str, out: &mut Vec<Value>) {
    if before == after {
        return;
    }
    match (before, after) {
        (Value::Object(old), Value::Object(new)) => {
            for (key, value) in old {
                let path = format!("{at}/{}", escape(key));
                match new.get(key) {
                    Some(now) => compare(value, now, &path, out),
                    None => out.push(json!({"op": "remove", "path": path})),
                }
            }
            for (key, value) in new.iter().filter(|(key, _)| !old.contains_key(*key)) {
                out.push(json!({"op": "add", "path": format!("{at}/{}", escape(key)), "value": value}));
            }
        }
        (Value::Array(old), Value::Array(new)) => compare_lists(old, new, at, out),
        _ => out.push(json!({"op": "replace", "path": at, "value": after})),
    }
}

/// Where only something is added, at the end or before all, that; else the list is replaced.
fn compare_lists(old: &[Value], new: &[Value], at: &str, out: &mut Vec<Value>) {
    let more = new.len().checked_sub(old.len());
    let same_name = |from: usize| {
        old.iter()
            .zip(new.iter().skip(from))
            .all(|(old, new)| old == new || (old.get("name").is_some() && old.get("name") == new.get("name")))
    };
    match more {
        Some(_) if same_name(0) => {
            for (index, (value, now)) in old.iter().zip(new).enumerate() {
                compare(value, now, &format!("{at}/{index}"), out);
            }
            for value in new.iter().skip(old.len()) {
                out.push(json!({"op": "add", "path": format!("{at}/-"), "value": value}));
            }
        }
        Some(more) if same_name(more) => {
            for (index, (value, now)) in old.iter().zip(new.iter().skip(more)).enumerate() {
                compare(value, now, &format!("{at}/{index}"), out);
            }
            for value in new.iter().take(more).rev() {
                out.push(json!({"op": "add", "path": format!("{at}/0"), "value": value}));
            }
        }
        _ => out.push(json!({"op": "replace", "path": at, "value": new})),
    }
}

fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// What of `after` differs from `before`, as a strategic merge patch of Kubernetes: lists by the name of their members, what goes
/// is `null`, or `$patch: delete` in a list.
pub fn strategic(before: &Value, after: &Value) -> Result<Value, PatchError> {
    let text = |pointer: &str| after.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let group = text("/apiVersion").split_once('/').map_or("", |(group, _)| group);
    if workload::of(text("/kind")).is_none_or(|workload| workload.group != group) {
        return Err(PatchError::Kind { kind: text("/kind").to_owned() });
    }
    let mut patch = difference(before, after, "").unwrap_or_else(|| json!({}));
    if let Some(fields) = patch.as_object_mut() {
        for key in ["apiVersion", "kind"] {
            fields.insert(key.to_owned(), after.get(key).cloned().unwrap_or_default());
        }
        let mut metadata =
            fields.remove("metadata").and_then(|of| of.as_object().cloned()).unwrap_or_default();
        for key in ["name", "namespace"] {
            if let Some(value) = after.pointer(&format!("/metadata/{key}")) {
                metadata.insert(key.to_owned(), value.clone());
            }
        }
        fields.insert("metadata".to_owned(), Value::Object(metadata));
    }
    Ok(patch)
}

/// What of the field `name` differs.
fn difference(before: &Value, after: &Value, name: &str) -> Option<Value> {
    if before == after {
        return None;
    }
    match (before, after) {
        (Value::Object(old), Value::Object(new)) => {
            let gone = old.keys().filter(|key| !new.contains_key(*key)).map(|key| (key.clone(), Value::Null));
            let changed = new.iter().filter_map(|(key, value)| {
                let own = old.get(key).unwrap_or(&Value::Null);
                Some((key.clone(), if own.is_null() { value.clone() } else { difference(own, value, key)? }))
            });
            Some(Value::Object(gone.chain(changed).collect::<Map<_, _>>()))
        }
        (Value::Array(old), Value::Array(new)) => Some(list_difference(old, new, name)),
        _ => Some(after.clone()),
    }
}

/// The lists of a pod that Kubernetes merges, and the field by which it tells their members apart: `patchMergeKey` in the
/// comments of `k8s.io/api/core/v1/types.go`. All others it replaces.
const MERGED: [(&str, &str); 11] = [
    ("containers", "name"),
    ("initContainers", "name"),
    ("ephemeralContainers", "name"),
    ("volumes", "name"),
    ("volumeMounts", "mountPath"),
    ("volumeDevices", "devicePath"),
    ("env", "name"),
    ("ports", "containerPort"),
    ("imagePullSecrets", "name"),
    ("hostAliases", "ip"),
    ("topologySpreadConstraints", "topologyKey"),
];

/// Of these it counts where a member stands; a patch does not say where a new one goes.
const ORDERED: [&str; 2] = ["env", "initContainers"];

/// What of the list `name` differs.
fn list_difference(old: &[Value], new: &[Value], name: &str) -> Value {
    let Some((_, key)) = MERGED.iter().find(|(merged, _)| *merged == name) else {
        return json!(new);
    };
    let of = |value: &Value| value.get(key).cloned();
    let keys = |list: &[Value]| list.iter().map(of).collect::<Option<Vec<_>>>();
    let (Some(old_keys), Some(new_keys)) = (keys(old), keys(new)) else { return whole(new) };
    let is_once =
        |keys: &[Value]| (1..).zip(keys).all(|(next, one)| !keys.iter().skip(next).any(|key| key == one));
    // One port by TCP and by UDP has one key.
    if !is_once(&old_keys) || !is_once(&new_keys) {
        return whole(new);
    }
    let has_new = new_keys.iter().any(|key| !old_keys.contains(key));
    let kept = |one: &[Value], other: &[Value]| {
        one.iter().filter(|key| other.contains(key)).cloned().collect::<Vec<_>>()
    };
    let is_moved = kept(&old_keys, &new_keys) != kept(&new_keys, &old_keys);
    if ORDERED.contains(&name) && (has_new || is_moved) {
        return whole(new);
    }
    let gone = old_keys.iter().filter(|one| !new_keys.contains(one));
    let gone = gone.map(|one| json!({"$patch": "delete", *key: one}));
    let changed = new.iter().filter_map(|value| {
        let own = old.iter().find(|other| of(other) == of(value));
        let Some(own) = own else { return Some(value.clone()) };
        let mut difference = difference(own, value, "")?;
        if let Some(fields) = difference.as_object_mut() {
            fields.insert((*key).to_owned(), of(value).unwrap_or_default());
        }
        Some(difference)
    });
    gone.chain(changed).collect()
}

/// A list that takes the place of one that Kubernetes would merge it with.
fn whole(list: &[Value]) -> Value {
    std::iter::once(json!({"$patch": "replace"})).chain(list.iter().cloned()).collect()
}

/// Why there is no patch for a resource.
#[derive(Debug, thiserror::Error)]
pub enum PatchError {
    /// Its lists are replaced, whatever they hold.
    #[error("a `{kind}` is none of Kubernetes' own workloads, and takes no strategic merge patch")]
    Kind {
        /// As it is written.
        kind: String,
    },
    /// A patch names what it is about.
    #[error("a `{kind}` without a name cannot be named by a patch")]
    Name {
        /// As it is written.
        kind: String,
    },
}

/// What a patch is about, as kustomize names it.
pub fn target(resource: &Value) -> Result<Value, PatchError> {
    let text = |pointer: &str| resource.pointer(pointer).and_then(Value::as_str);
    let api_version = text("/apiVersion").unwrap_or_default();
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let kind = text("/kind").unwrap_or_default();
    let name = text("/metadata/name").filter(|name| !name.is_empty());
    // Without one, kustomize would take it to be about all of the kind.
    let name = name.ok_or_else(|| PatchError::Name { kind: kind.to_owned() })?;
    let mut target = json!({"version": version, "kind": kind, "name": name});
    if let Some(fields) = target.as_object_mut() {
        if !group.is_empty() {
            fields.insert("group".to_owned(), json!(group));
        }
        if let Some(namespace) = text("/metadata/namespace") {
            fields.insert("namespace".to_owned(), json!(namespace));
        }
    }
    Ok(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Applies operations of RFC 6902, as far as they are made here.
    fn apply(mut value: Value, operations: &[Value]) -> Value {
        for operation in operations {
            let path = operation["path"].as_str().unwrap();
            let (parent, key) = path.rsplit_once('/').unwrap();
            let key = key.replace("~1", "/").replace("~0", "~");
            let parent = value.pointer_mut(parent).unwrap();
            let new = operation["value"].clone();
            match (operation["op"].as_str().unwrap(), parent) {
                ("add", Value::Array(items)) if key == "-" => items.push(new),
                ("add", Value::Array(items)) => items.insert(key.parse().unwrap(), new),
                ("add" | "replace", Value::Object(fields)) => drop(fields.insert(key, new)),
                ("replace", Value::Array(items)) => items[key.parse::<usize>().unwrap()] = new,
                ("remove", Value::Object(fields)) => drop(fields.remove(&key)),
                (op, parent) => panic!("{op} {path} {parent}"),
            }
        }
        value
    }

    #[test]
    fn operations_make_the_one_of_the_other() {
        let before =
            json!({"a/b": 1, "gone": 2, "list": [{"name": "x", "v": 1}, {"name": "y"}], "other": [1, 2]});
        let after = json!({"a/b": 2, "list": [{"name": "new"}, {"name": "x", "v": 2}, {"name": "y"}], "other": [2], "m": {}});
        let operations = json6902(&before, &after);
        assert_eq!(apply(before.clone(), &operations), after, "{operations:#?}");
        assert!(operations.contains(&json!({"op": "add", "path": "/list/0", "value": {"name": "new"}})));
        assert_eq!(json6902(&before, &before), Vec::<Value>::new());
    }

    #[test]
    fn strategic_patch_names_what_it_is_about_and_only_what_changes() {
        let pod = |containers: Value| json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": {"a": "b"}}, "spec": {"containers": containers}});
        let before = pod(json!([{"name": "a", "image": "x", "tty": true}, {"name": "b", "image": "y"}]));
        let after = pod(json!([{"name": "a", "image": "x", "v": [1]}, {"name": "c", "image": "z"}]));
        assert_eq!(
            strategic(&before, &after).unwrap(),
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [
                {"$patch": "delete", "name": "b"}, {"name": "a", "tty": null, "v": [1]}, {"name": "c", "image": "z"}]}})
        );
    }

    #[test]
    fn lists_that_kubernetes_replaces_are_whole_and_those_it_cannot_merge_take_their_place() {
        let pod = |spec: Value| json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {"template": {"spec": spec}}});
        let before = pod(json!({
            "securityContext": {"sysctls": [{"name": "a", "value": "1"}]},
            "initContainers": [{"name": "i"}],
            "containers": [{"name": "a", "args": ["x"],
                "ports": [{"containerPort": 53, "protocol": "TCP"}, {"containerPort": 53, "protocol": "UDP", "hostPort": 1}],
                "volumeMounts": [{"name": "v", "mountPath": "/a"}, {"name": "v", "mountPath": "/b"}]}],
        }));
        let after = pod(json!({
            "securityContext": {"sysctls": [{"name": "a", "value": "1"}, {"name": "b", "value": "2"}]},
            "initContainers": [{"name": "new"}, {"name": "i"}],
            "containers": [{"name": "a", "args": [],
                "ports": [{"containerPort": 53, "protocol": "TCP"}, {"containerPort": 53, "protocol": "UDP"}],
                "volumeMounts": [{"name": "v", "mountPath": "/a", "readOnly": true}, {"name": "w", "mountPath": "/c"}]}],
        }));
        let spec = strategic(&before, &after).unwrap()["spec"]["template"]["spec"].clone();
        assert_eq!(
            spec,
            json!({
                "securityContext": {"sysctls": [{"name": "a", "value": "1"}, {"name": "b", "value": "2"}]},
                "initContainers": [{"$patch": "replace"}, {"name": "new"}, {"name": "i"}],
                "containers": [{"name": "a", "args": [],
                    "ports": [{"$patch": "replace"}, {"containerPort": 53, "protocol": "TCP"}, {"containerPort": 53, "protocol": "UDP"}],
                    "volumeMounts": [{"$patch": "delete", "mountPath": "/b"}, {"mountPath": "/a", "readOnly": true}, {"name": "w", "mountPath": "/c"}]}],
            })
        );
    }

    #[test]
    fn what_no_patch_can_be_about_is_an_error() {
        let rollout =
            json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "x"}});
        assert!(matches!(strategic(&rollout, &rollout), Err(PatchError::Kind { .. })));
        let knative = json!({"apiVersion": "x.io/v1", "kind": "Deployment", "metadata": {"name": "x"}});
        assert!(matches!(strategic(&knative, &knative), Err(PatchError::Kind { .. })));
        let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"generateName": "x-"}});
        assert!(matches!(target(&job), Err(PatchError::Name { .. })));
        assert_eq!(
            target(&rollout).unwrap(),
            json!({"group": "argoproj.io", "version": "v1alpha1", "kind": "Rollout", "name": "x"})
        );
    }
}
