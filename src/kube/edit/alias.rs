//! Changes where anchors have other users: aliases, and what `<<` merges in.
//!
//! Changes no anchor: what stands there is changed like anything else, and before what is here.

use serde_json::{Map, Value};

use super::{Editor, Place, says};
use crate::kube::document::{Field, Kind, Node, Origin};

impl Editor<'_> {
    /// What an alias stands for, changed: merged and extended where that is enough, else written out.
    pub(super) fn alias(&mut self, node: &Node, wanted: &Value, place: Place<'_>) {
        let (Kind::Fields(fields), Value::Object(values)) = (&node.kind, wanted) else {
            return self.replace(node, wanted, place);
        };
        let mut own = fields.iter().filter(|field| field.origin != Origin::Merge);
        if fields.is_empty() || !own.all(|field| values.contains_key(&field.name)) {
            return self.replace(node, wanted, place);
        }
        let is_same = |name: &str, value: &Value| {
            fields
                .iter()
                .any(|field| field.name == name && field.origin != Origin::Merge && says(&field.value, value))
        };
        let new: Vec<(&str, &Value)> = values
            .iter()
            .filter(|(name, value)| !is_same(name, value))
            .map(|(name, value)| (name.as_str(), value))
            .collect();
        self.extend_alias(node, &new, place);
    }

    /// An alias of a mapping that says more: merged, with `new` beside it.
    fn extend_alias(&mut self, node: &Node, new: &[(&str, &Value)], place: Place<'_>) {
        let alias = self.slice(node.bytes.clone()).to_owned();
        if self.is_within_flow(node.bytes.start, node) {
            let fields = self.style.inline_fields(new);
            self.change(node.bytes.clone(), format!("{{<<: {alias}, {fields}}}"));
            return;
        }
        let indent = match place {
            Place::Field(field) => self.column(field.bytes.start) + self.style.step,
            Place::Root | Place::Item => self.column(node.bytes.start),
        };
        let mut lines = self.style.fields_lines(new, indent);
        if let Place::Field(field) = place {
            lines.insert(0, format!("{}<<: {alias}", " ".repeat(indent)));
            self.change(self.behind_colon(field)..node.bytes.end, "");
        } else {
            self.change(node.bytes.clone(), format!("<<: {alias}"));
        }
        self.put_lines(node.bytes.end, &lines);
    }

    /// Writes what stays of what `merge` brings in its place.
    pub(super) fn write_out(&mut self, merge: &Field, fields: &[Field], values: &Map<String, Value>) {
        let stays = |field: &&Field| field.origin == Origin::Merged;
        let kept: Vec<(&str, &Value)> = fields
            .iter()
            .filter(stays)
            .filter_map(|field| Some((field.name.as_str(), values.get(&field.name)?)))
            .collect();
        let text = if self.is_within_flow(merge.bytes.start, &merge.value) {
            self.style.inline_fields(&kept)
        } else {
            let lines = self.style.fields_lines(&kept, self.column(merge.bytes.start));
            lines.join(self.style.eol).trim_start().to_owned()
        };
        let end = self.end(&merge.value, Place::Field(merge));
        self.change(merge.bytes.start..end, text);
    }
}

/// Whether `<<` brings something that is not wanted: it cannot be taken out, for it has other users.
pub(super) fn brings_too_much(fields: &[Field], values: &Map<String, Value>) -> bool {
    fields.iter().any(|field| field.origin == Origin::Merged && !values.contains_key(&field.name))
}
