//! Fields of a resource by their path: `securityContext.runAsUser`.
//!
//! What is not there, what is `null` and what is of another kind than it should be is the same here: nothing. The API server
//! refuses the last.

use serde_json::Value;

/// The value at the dotted `path` of `of`, where there is one.
pub fn value<'v>(of: &'v Value, path: &str) -> Option<&'v Value> {
    path.split('.').try_fold(of, |at, key| at.get(key)).filter(|value| !value.is_null())
}

/// The text at `path`.
pub fn text<'v>(of: &'v Value, path: &str) -> Option<&'v str> {
    value(of, path)?.as_str()
}

/// The truth at `path`.
pub fn truth(of: &Value, path: &str) -> Option<bool> {
    value(of, path)?.as_bool()
}

/// The whole number at `path`.
pub fn number(of: &Value, path: &str) -> Option<i64> {
    value(of, path)?.as_i64()
}

/// The members of the list at `path`, numbered.
pub fn list<'v>(of: &'v Value, path: &str) -> impl Iterator<Item = (usize, &'v Value)> {
    value(of, path).and_then(Value::as_array).into_iter().flatten().enumerate()
}
