//! What was mended as a patch: JSON patches (RFC 6902), and what kustomize makes of them.
//!
//! Compares values only.

use serde_json::{Map, Value, json};

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
pub fn strategic(before: &Value, after: &Value) -> Value {
    let mut patch = difference(before, after).unwrap_or_else(|| json!({}));
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
    patch
}

fn difference(before: &Value, after: &Value) -> Option<Value> {
    if before == after {
        return None;
    }
    match (before, after) {
        (Value::Object(old), Value::Object(new)) => {
            let gone = old.keys().filter(|key| !new.contains_key(*key)).map(|key| (key.clone(), Value::Null));
            let changed = new.iter().filter_map(|(key, value)| {
                let own = old.get(key).unwrap_or(&Value::Null);
                Some((key.clone(), if own.is_null() { value.clone() } else { difference(own, value)? }))
            });
            Some(Value::Object(gone.chain(changed).collect::<Map<_, _>>()))
        }
        (Value::Array(old), Value::Array(new)) => {
            let Some(key) = merge_key(old, new) else { return Some(after.clone()) };
            let of = |value: &Value| value.get(key).cloned();
            let gone = old.iter().filter(|value| !new.iter().any(|other| of(other) == of(value)));
            let gone = gone.map(|value| json!({"$patch": "delete", key: of(value)}));
            let changed = new.iter().filter_map(|value| {
                let own = old.iter().find(|other| of(other) == of(value));
                let Some(own) = own else { return Some(value.clone()) };
                let mut difference = difference(own, value)?;
                if let Some(fields) = difference.as_object_mut() {
                    fields.insert(key.to_owned(), of(value).unwrap_or_default());
                }
                Some(difference)
            });
            Some(Value::Array(gone.chain(changed).collect()))
        }
        _ => Some(after.clone()),
    }
}

/// The field by which Kubernetes merges such a list; none where it replaces it.
fn merge_key(old: &[Value], new: &[Value]) -> Option<&'static str> {
    let all = || old.iter().chain(new);
    ["mountPath", "containerPort", "name"]
        .into_iter()
        .find(|key| all().all(|value| value.get(*key).is_some()))
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
            strategic(&before, &after),
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [
                {"$patch": "delete", "name": "b"}, {"name": "a", "tty": null, "v": [1]}, {"name": "c", "image": "z"}]}})
        );
    }
}
