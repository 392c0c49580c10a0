//! JSON in one form: keys sorted, no white space, whatever other crates make of `serde_json`'s maps.
//!
//! Does not know what a document means.

use serde_json::{Map, Value};

/// The bytes of `value` with the keys of every object in order.
pub fn canonical_bytes(value: &Value) -> Vec<u8> {
    // A `Value` has string keys and finite numbers only: nothing in it can fail to be written.
    serde_json::to_vec(&sorted(value)).unwrap_or_else(|error| unreachable!("a JSON value: {error}"))
}

/// `serde_json`'s feature `preserve_order`, once any crate in the build asks for it, turns insertion order into output.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by(|a, b| a.0.cmp(b.0));
            Value::Object(
                entries.into_iter().map(|(key, value)| (key.clone(), sorted(value))).collect::<Map<_, _>>(),
            )
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

/// Renames keys of `map` that differ from one of `known` in case only; `Err` names the key that then stands twice.
///
/// Go's `encoding/json` matches field names without regard to case and lets the last one win: a `user` beside `User` would
/// mean one thing to kiln and another to a container runtime.
pub fn fold_keys(map: &mut Map<String, Value>, known: &[&'static str]) -> Result<(), &'static str> {
    let odd: Vec<(String, &'static str)> = map
        .keys()
        .filter_map(|key| {
            let canonical = known.iter().find(|known| fold(known) == fold(key))?;
            (key != canonical).then(|| (key.clone(), *canonical))
        })
        .collect();
    for (key, canonical) in odd {
        if map.contains_key(canonical) {
            return Err(canonical);
        }
        if let Some(value) = map.remove(&key) {
            map.insert(canonical.to_owned(), value);
        }
    }
    Ok(())
}

/// Go folds as Unicode does: `ſ` is `s`, the Kelvin sign is `k`.
fn fold(key: &str) -> String {
    key.to_uppercase().to_lowercase()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_are_sorted_at_every_depth() {
        let value = json!({"b": [{"z": 1, "a": 2}], "a": null});
        assert_eq!(canonical_bytes(&value), br#"{"a":null,"b":[{"a":2,"z":1}]}"#);
    }

    #[test]
    fn keys_in_another_case_are_renamed_and_doubles_refused() {
        let mut value = json!({"user": "0", "\u{212a}ey": 1, "other": 2});
        let map = value.as_object_mut().unwrap();
        assert_eq!(fold_keys(map, &["User", "Key"]), Ok(()));
        assert_eq!(value, json!({"User": "0", "Key": 1, "other": 2}));
        let mut twice = json!({"user": "0", "User": "1"});
        assert_eq!(fold_keys(twice.as_object_mut().unwrap(), &["User"]), Err("User"));
    }
}
