//! Changes where lines and indentation tell what belongs together.
//!
//! Decides nothing of what is wanted.

use serde_json::Value;

use super::{Editor, Place, is_flow};
use crate::kube::document::{Field, Form, Node};

impl Editor<'_> {
    /// Puts `new` behind the last of the fields that are there.
    pub(super) fn add_block(&mut self, written: &[&Field], new: &[(&str, &Value)]) {
        let (Some(first), Some(last)) = (written.first(), written.last()) else { return };
        let lines = self.style.fields_lines(new, self.column(first.bytes.start));
        let end = self.end(&last.value, Place::Field(last));
        self.put_lines(end, &lines);
    }

    /// Puts lines below the one that `at` is in.
    pub(super) fn put_lines(&mut self, at: usize, lines: &[String]) {
        let end = self.line_end(at);
        let text: String = lines.iter().fold(String::new(), |text, line| text + self.style.eol + line);
        self.change(end..end, text);
    }

    /// Takes out the fields with these numbers, with their lines.
    pub(super) fn remove_fields(&mut self, gone: &[usize], written: &[&Field]) {
        let shares = written.first().is_some_and(|first| !self.is_first(first.bytes.start));
        let leading = gone.iter().zip(0..).take_while(|(gone, index)| shares && *gone == index).count();
        self.remove_leading(leading, written);
        for field in gone.iter().skip(leading).filter_map(|index| written.get(*index)) {
            let start = self.line_start(field.bytes.start);
            let end = self.next_line(self.end(&field.value, Place::Field(field)));
            self.change(start..end, "");
        }
    }

    /// Takes out the first `count` fields of `- name: x`: the dash stays, for the field behind; comments go above it.
    fn remove_leading(&mut self, count: usize, written: &[&Field]) {
        let (Some(first), Some(stays)) = (written.first(), written.get(count)) else { return };
        let start = first.bytes.start;
        let head = self.slice(self.line_start(start)..start);
        if count == 0 {
            return;
        }
        if head.trim() == "-" {
            let pad = head.split('-').next().unwrap_or_default();
            let gaps = written.iter().zip(written.iter().skip(1)).take(count).map(|(field, next)| {
                let end = self.end(&field.value, Place::Field(field));
                self.slice(self.next_line(end)..self.line_start(next.bytes.start))
            });
            let comments = gaps.flat_map(str::lines).map(str::trim).filter(|line| line.starts_with('#'));
            let text: String = comments.fold(String::new(), |text, line| text + pad + line + self.style.eol);
            let line = self.line_start(start);
            self.change(line..line, text);
        }
        self.change(start..stays.bytes.start, "");
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

    /// Puts `values` in the place of all members of a list: that of the first, where lines may come behind.
    pub(super) fn refill(&mut self, items: &[Node], values: &[Value]) {
        let Some((first, others)) = items.split_first() else { return };
        let dash = self.dash(first);
        let indent = self.column(dash);
        let lines: Vec<String> =
            values.iter().flat_map(|value| self.style.item_lines(value, indent)).collect();
        let text = lines.join(self.style.eol);
        self.change(dash..self.end(first, Place::Item), text.trim_start());
        for item in others {
            self.remove_item(item);
        }
    }

    /// Puts `wanted` in the place of `node`.
    pub(super) fn replace(&mut self, node: &Node, wanted: &Value, place: Place<'_>) {
        let is_long = match wanted {
            Value::Object(fields) => !fields.is_empty(),
            Value::Array(items) => !items.is_empty(),
            _ => false,
        };
        // What stood in brackets stays in brackets.
        let was_inline = is_flow(node) && node.bytes.len() > "{}".len();
        let at = match place {
            Place::Field(field) => field.bytes.start,
            Place::Root | Place::Item => node.bytes.start,
        };
        let is_block = is_long && !was_inline && !self.style.is_json && !self.is_within_flow(at, node);
        match place {
            Place::Field(field) if is_block => self.replace_by_lines(node, wanted, field),
            Place::Field(field) => self.replace_in_line(node, wanted, field),
            Place::Item if is_block && wanted.is_object() => self.replace_item(node, wanted),
            Place::Item | Place::Root => {
                let start = self.block_header(node, place).unwrap_or(node.bytes.start);
                let end = self.end(node, place);
                let gap = if start == end && self.slice(0..start).ends_with('-') { " " } else { "" };
                let text = self.style.inline(wanted);
                self.change(start..end, format!("{gap}{text}"));
            }
        }
    }

    /// Puts a mapping or a list on the lines below the name of a field.
    fn replace_by_lines(&mut self, node: &Node, wanted: &Value, field: &Field) {
        let colon = self.behind_colon(field);
        let end = self.end(node, Place::Field(field)).max(colon);
        let lines = self.style.value_lines(wanted, self.column(field.bytes.start));
        let from = self.behind_name(node, field);
        // `securityContext: {}  # why`: the comment stays where it is.
        if end > from {
            self.change(from..end, "");
        }
        self.put_lines(end, &lines);
    }

    /// Puts a value behind the name of a field.
    fn replace_in_line(&mut self, node: &Node, wanted: &Value, field: &Field) {
        let colon = self.behind_colon(field);
        let end = self.end(node, Place::Field(field)).max(colon);
        let text = self.style.within(wanted, || self.line_indent(field.bytes.start));
        if node.form == Form::Block {
            // What stood on lines of its own begins behind the colon now.
            let anchor = self.behind_anchor(colon, node.bytes.start);
            let from = self.behind_name(node, field);
            self.change(anchor..anchor, format!(" {text}"));
            return self.change(from..end, "");
        }
        let start = match self.block_header(node, Place::Field(field)) {
            Some(header) => header,
            None if node.bytes.is_empty() => colon,
            None => node.bytes.start.max(colon),
        };
        let gap = if start == colon { self.style.gap } else { "" };
        self.change(start..end.max(start), format!("{gap}{text}"));
    }

    /// Where what is put in the place of a field's value begins: its anchor stays, and a comment above it.
    fn behind_name(&self, node: &Node, field: &Field) -> usize {
        let colon = self.behind_colon(field);
        if node.form == Form::Block && self.is_first(node.bytes.start) {
            return self.line_end_before(node.bytes.start).max(colon);
        }
        let start = self.block_header(node, Place::Field(field)).unwrap_or(node.bytes.start);
        self.behind_anchor(colon, start.max(colon))
    }

    /// Puts a mapping in the place of a member of a list.
    fn replace_item(&mut self, node: &Node, wanted: &Value) {
        let dash = self.dash(node);
        let lines = self.style.item_lines(wanted, self.column(dash)).join(self.style.eol);
        let fields = lines.trim_start().strip_prefix('-').unwrap_or_default();
        let end = self.end(node, Place::Item);
        let start = self.block_header(node, Place::Item).unwrap_or(node.bytes.start);
        let anchor = self.behind_anchor(dash + 1, start);
        let text = if anchor == dash + 1 {
            fields.to_owned()
        } else {
            let pad = " ".repeat(self.column(dash) + 1);
            format!("{}{pad}{fields}", self.style.eol)
        };
        self.change(anchor..end.max(anchor), text);
    }

    /// Whether what stands at `at` stands within brackets: then no line may be put below it.
    pub(super) fn is_within_flow(&self, at: usize, node: &Node) -> bool {
        let index = self.flows.partition_point(|flow| flow.start < at);
        let flow = index.checked_sub(1).and_then(|index| self.flows.get(index));
        flow.is_some_and(|flow| at < flow.end && *flow != node.bytes)
    }
}
