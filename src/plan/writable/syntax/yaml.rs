//! YAML configuration, flattened to dotted names.
//!
//! Knows no include and no variables: the servers that read YAML have their own.

use serde_json::Value;

use super::{Reader, Setting};
use crate::path::ImagePath;

/// Deepest nesting that is walked.
const MAX_NESTING: usize = 32;

/// Reads every scalar of `file`; items of a list have the list's name.
pub(super) fn read(reader: &mut Reader<'_>, file: &ImagePath, working_dir: &str) {
    let Some(text) = reader.open(file, 0) else { return };
    let Ok(document) = serde_saphyr::from_str::<Value>(&text) else { return };
    walk(reader, &document, String::new(), &file.to_string(), working_dir, 0);
}

fn walk(reader: &mut Reader<'_>, value: &Value, name: String, source: &str, base: &str, depth: usize) {
    if depth > MAX_NESTING {
        return;
    }
    let text = match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                let name = if name.is_empty() { field.clone() } else { format!("{name}.{field}") };
                walk(reader, value, name, source, base, depth + 1);
            }
            return;
        }
        Value::Array(items) => {
            for item in items {
                walk(reader, item, name.clone(), source, base, depth + 1);
            }
            return;
        }
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(value) => value.to_string(),
        Value::Number(value) => value.to_string(),
    };
    reader.push(Setting { name, words: vec![text], source: source.to_owned(), base: base.to_owned() });
}
