//! kiln's own JSON documents and their schemas as text, in one form.
//!
//! Does not know what a document means; documents of images are `image`'s.

use schemars::JsonSchema;
use serde::Serialize;

/// The document: two blanks of indentation, fields in their order, a newline at the end.
pub fn render(document: &impl Serialize) -> String {
    let text = serde_json::to_string_pretty(document);
    // Of strings, numbers, lists, and maps with keys of text or numbers.
    text.unwrap_or_else(|error| unreachable!("kiln's documents always serialise: {error}")) + "\n"
}

/// The JSON Schema of documents of type `T`.
pub fn render_schema<T: JsonSchema>() -> String {
    render(&schemars::schema_for!(T))
}
