//! Changes where lines and indentation tell what belongs together.
//!
//! Decides nothing of what is wanted.

use serde_json::Value;

use super::{Editor, Place, is_alias, is_flow};
use crate::kube::document::{Field, Kind, Node};

impl Editor<'_> {
    /// Puts `new` behind the last of the fields that are there.
    pub(super) fn add_block(&mut self, written: &[&Field], new: &[(&str, &Value)]) {
        let (Some(first), Some(last)) = (written.first(), written.last()) else { return };
        let indent = self.column(first.bytes.start);
        let end = self.end(&last.value, Place::Field(last));
        let lines: Vec<String> =
            new.iter().flat_map(|(name, value)| self.style.field_lines(name, value, indent)).collect();
        self.put_lines(end, &lines);
    }

    /// Puts lines below the one that `at` is in.
    pub(super) fn put_lines(&mut self, at: usize, lines: &[String]) {
        let end = self.line_end(at);
        let text: String = lines.iter().fold(String::new(), |text, line| text + self.style.eol + line);
        self.change(end..end, text);
    }

    /// Takes out a field with its lines.
    pub(super) fn remove_block(&mut self, index: usize, written: &[&Field]) {
        let Some(field) = written.get(index) else { return };
        let start = self.line_start(field.bytes.start);
        let end = self.end(&field.value, Place::Field(field));
        let head = self.text.get(start..field.bytes.start).unwrap_or_default();
        if head.trim().is_empty() {
            let end = self.next_line(end);
            self.change(start..end, "");
            // The last line of a text without a line end at its end.
            return;
        }
        // `- name: x`: the dash stays, for the field behind.
        let next = written.get(index + 1).map_or_else(|| self.line_end(end), |next| next.bytes.start);
        self.change(field.bytes.start..next, "");
    }

    /// Where the dash of an item of a list stands.
    pub(super) fn dash(&self, item: &Node) -> usize {
        let head = self.text.get(..item.bytes.start).unwrap_or_default();
        head.rfind('-').unwrap_or(item.bytes.start)
    }

    /// Puts `value` as a member of a list behind `after`, or before all.
    pub(super) fn add_item(&mut self, items: &[Node], after: Option<&Node>, value: &Value) {
        let Some(first) = items.first() else { return };
        let dash = self.dash(first);
        let lines = self.style.item_lines(value, self.column(dash));
        if let Some(item) = after {
            let end = self.end(item, Place::Item);
            return self.put_lines(end, &lines);
        }
        let start = self.line_start(dash);
        let text: String = lines.iter().fold(String::new(), |text, line| text + line + self.style.eol);
        self.change(start..start, text);
    }

    /// Takes out a member of a list with its lines.
    pub(super) fn remove_item(&mut self, item: &Node) {
        let start = self.line_start(self.dash(item));
        let end = self.next_line(self.end(item, Place::Item));
        self.change(start..end, "");
    }

    /// Puts `wanted` in the place of `node`.
    pub(super) fn replace(&mut self, node: &Node, wanted: &Value, place: Place<'_>) {
        let is_block = match place {
            Place::Field(field) => !self.is_within_flow(field.bytes.start, node),
            Place::Root | Place::Item => !self.is_within_flow(node.bytes.start, node),
        };
        let is_long = match wanted {
            Value::Object(fields) => !fields.is_empty(),
            Value::Array(items) => !items.is_empty(),
            _ => false,
        };
        let end = self.end(node, place);
        let Place::Field(field) = place else {
            let start = self.block_header(node, place).unwrap_or(node.bytes.start);
            let gap = if start == end && self.text.get(..start).is_some_and(|head| head.ends_with('-')) {
                " "
            } else {
                ""
            };
            let text = self.style.inline(wanted);
            self.change(start..end, format!("{gap}{text}"));
            return;
        };
        let colon = self.behind_colon(field);
        // What stood in brackets stays in brackets.
        let was_inline = is_flow(node) && node.bytes.len() > "{}".len();
        if !is_block || self.style.is_json || !is_long || was_inline {
            let start = match self.block_header(node, place) {
                Some(header) => header,
                None if node.bytes.is_empty() => colon,
                None => node.bytes.start.max(colon),
            };
            let gap = if start == colon { self.style.gap } else { "" };
            let text = if self.style.is_json && self.text.contains('\n') {
                self.style.pretty(wanted, self.line_indent(field.bytes.start))
            } else {
                self.style.inline(wanted)
            };
            // What stood on lines of its own begins behind the colon now.
            let is_below = !matches!(node.kind, Kind::Scalar(_)) && !is_flow(node) && !is_alias(node);
            let start = if is_below { colon } else { start };
            let gap = if is_below { " " } else { gap };
            self.change(start..end.max(start), format!("{gap}{text}"));
            return;
        }
        let indent = self.column(field.bytes.start);
        let lines: Vec<String> = match wanted {
            Value::Object(fields) => fields
                .iter()
                .flat_map(|(name, value)| self.style.field_lines(name, value, indent + self.style.step))
                .collect(),
            Value::Array(items) => items
                .iter()
                .flat_map(|item| self.style.item_lines(item, indent + self.style.list_step))
                .collect(),
            _ => Vec::new(),
        };
        // `securityContext: {}  # why`: the comment stays where it is.
        if end > colon {
            self.change(colon..end, "");
        }
        self.put_lines(end.max(colon), &lines);
    }

    /// The blanks before the first word of the line that `at` is in.
    pub(super) fn line_indent(&self, at: usize) -> usize {
        let line = self.text.get(self.line_start(at)..at).unwrap_or_default();
        line.len() - line.trim_start().len()
    }

    /// Whether what stands at `at` stands within brackets: then no line may be put below it.
    fn is_within_flow(&self, at: usize, node: &Node) -> bool {
        self.flows.iter().any(|flow| flow.start < at && at < flow.end && *flow != node.bytes)
    }

    /// An alias of a mapping that says more: merged, with `new` beside it.
    pub(super) fn extend_alias(
        &mut self,
        node: &Node,
        alias: &str,
        new: &[(&str, &Value)],
        place: Place<'_>,
    ) {
        let start = match place {
            Place::Field(field) => field.bytes.start,
            Place::Root | Place::Item => node.bytes.start,
        };
        if self.is_within_flow(start, node) {
            let fields: Vec<String> =
                new.iter().map(|(name, value)| self.style.inline_field(name, value)).collect();
            self.change(node.bytes.clone(), format!("{{<<: {alias}, {}}}", fields.join(", ")));
            return;
        }
        match place {
            Place::Field(field) => {
                let indent = self.column(field.bytes.start) + self.style.step;
                let merge = format!("{}<<: {alias}", " ".repeat(indent));
                let fields = new.iter().flat_map(|(name, value)| self.style.field_lines(name, value, indent));
                let lines: Vec<String> = std::iter::once(merge).chain(fields).collect();
                let colon = self.behind_colon(field);
                self.change(colon..node.bytes.end, "");
                self.put_lines(node.bytes.end, &lines);
            }
            Place::Root | Place::Item => {
                let indent = self.column(node.bytes.start);
                let lines: Vec<String> = new
                    .iter()
                    .flat_map(|(name, value)| self.style.field_lines(name, value, indent))
                    .collect();
                self.change(node.bytes.clone(), format!("<<: {alias}"));
                self.put_lines(node.bytes.end, &lines);
            }
        }
    }
}
