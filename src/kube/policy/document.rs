//! Documents as YAML that people read: the fields that say what it is come first, programs stand in blocks.
//!
//! Knows how a document is written, not what it says.

use std::cmp::Reverse;

use serde::Serialize;
use serde::ser::{SerializeMap as _, SerializeSeq as _, Serializer};
use serde_json::Value;

use super::{File, Role};
use crate::kube::pod::comments::printable;

/// Fields in the order in which people write them; others come after them, by name.
const ORDER: [&str; 47] = [
    "apiVersion",
    "kind",
    "required_engine_version",
    "macro",
    "list",
    "rule",
    "name",
    "namespace",
    "labels",
    "annotations",
    "metadata",
    "type",
    "desc",
    "description",
    "policyName",
    "policy",
    "failurePolicy",
    "validationActions",
    "reinvocationPolicy",
    "match",
    "matchConstraints",
    "matchResources",
    "matchConditions",
    "podSelector",
    "containerSelector",
    "call",
    "syscall",
    "expression",
    "message",
    "variables",
    "engine",
    "crd",
    "target",
    "index",
    "key",
    "operator",
    "template",
    "constraint",
    "object",
    "policies",
    "patchType",
    "image",
    "command",
    "containers",
    "initContainers",
    "condition",
    "raises",
];

/// Fields that come after all others.
const LAST: [&str; 7] =
    ["messageExpression", "selectors", "matchActions", "output", "priority", "tags", "volumes"];

/// A file of the documents `values` below `comment`, one or more lines.
pub(super) fn file(path: impl Into<String>, role: Role, comment: &str, values: &[Value]) -> File {
    let mut text = String::new();
    for line in comment.lines() {
        let line = printable(line);
        text.push_str(if line.is_empty() { "#" } else { "# " });
        text.push_str(&line);
        text.push('\n');
    }
    for (number, value) in values.iter().enumerate() {
        if number > 0 {
            text.push_str("---\n");
        }
        text.push_str(&yaml(value));
    }
    File { path: path.into(), text, role }
}

/// `value` as YAML.
fn yaml(value: &Value) -> String {
    // What is long stays in its line: conditions are cut by hand.
    let options = serde_saphyr::ser_options! { folded_wrap_chars: 100_000 };
    serde_saphyr::to_string_with_options(&Ordered(value), options)
        .unwrap_or_else(|error| unreachable!("a document is maps, lists and scalars only: {error}"))
}

/// The value at a JSON pointer; nothing where there is none.
pub(super) fn at<'v>(value: &'v Value, pointer: &str) -> &'v Value {
    value.pointer(pointer).unwrap_or(&Value::Null)
}

/// Sets the value at a JSON pointer, the last part of which may be a field that is not there yet.
pub(super) fn put(value: &mut Value, pointer: &str, new: Value) {
    let Some((before, field)) = pointer.rsplit_once('/') else { return };
    if let Some(object) = value.pointer_mut(before).and_then(Value::as_object_mut) {
        object.insert(field.to_owned(), new);
    }
}

/// Adds an item to the list at a JSON pointer, which may not be there yet.
pub(super) fn push(value: &mut Value, pointer: &str, item: Value) {
    match value.pointer_mut(pointer).and_then(Value::as_array_mut) {
        Some(items) => items.push(item),
        None => put(value, pointer, Value::Array(vec![item])),
    }
}

/// A value whose fields are written in [`ORDER`].
struct Ordered<'a>(&'a Value);

impl Serialize for Ordered<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Object(fields) => {
                let mut fields: Vec<_> = fields.iter().collect();
                fields.sort_by_key(|(name, _)| (rank(name), name.as_str()));
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                for (name, value) in fields {
                    map.serialize_entry(name, &Ordered(value))?;
                }
                map.end()
            }
            Value::Array(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(&Ordered(item))?;
                }
                list.end()
            }
            scalar => scalar.serialize(serializer),
        }
    }
}

fn rank(name: &str) -> (bool, usize, Reverse<bool>) {
    let last = LAST.iter().position(|known| *known == name);
    let first = ORDER.iter().position(|known| *known == name);
    (last.is_some(), last.or(first).unwrap_or(ORDER.len()), Reverse(first.is_some()))
}
