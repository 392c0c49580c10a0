//! Changes within brackets, JSON too: commas tell what belongs together.
//!
//! Decides nothing of what is wanted.

use std::ops::Range;

use serde_json::Value;

use super::{Editor, Place};
use crate::kube::document::{Field, Node};

impl Editor<'_> {
    /// Puts `new` behind the last of the fields that are there.
    pub(super) fn add_flow(&mut self, node: &Node, written: &[&Field], new: &[(&str, &Value)]) {
        let Some(last) = written.last() else { return };
        let end = self.end(&last.value, Place::Field(last));
        let parts: Vec<String> = match self.lines_of(node, last.bytes.start) {
            Some(indent) => {
                new.iter().map(|(name, value)| self.style.pretty_field(name, value, indent)).collect()
            }
            None => new.iter().map(|(name, value)| self.style.inline_field(name, value)).collect(),
        };
        self.put_parts(node, last.bytes.start, end, &parts);
    }

    /// Puts `value` as a member of a list behind `after`, or before all.
    pub(super) fn add_flow_item(&mut self, node: &Node, items: &[Node], after: Option<&Node>, value: &Value) {
        let Some(first) = items.first() else { return };
        let (sibling, end) = match after {
            Some(item) => (item, self.end(item, Place::Item)),
            None => (first, first.bytes.start),
        };
        let lines = self.lines_of(node, sibling.bytes.start);
        let part = match lines {
            Some(indent) => self.style.pretty(value, indent),
            None => self.style.inline(value),
        };
        if after.is_some() {
            return self.put_parts(node, sibling.bytes.start, end, &[part]);
        }
        let gap = match lines {
            Some(indent) => format!("{}{}", self.style.eol, " ".repeat(indent)),
            None => " ".to_owned(),
        };
        self.change(end..end, format!("{part},{gap}"));
    }

    /// The indentation of what is in `node`, if each part has a line of its own.
    fn lines_of(&self, node: &Node, part: usize) -> Option<usize> {
        let head = self.text.get(node.bytes.start..part)?;
        head.contains('\n').then(|| self.line_indent(part))
    }

    /// Puts parts behind `end`, one that is there.
    fn put_parts(&mut self, node: &Node, sibling: usize, end: usize, parts: &[String]) {
        let gap = match self.lines_of(node, sibling) {
            Some(indent) => format!("{}{}", self.style.eol, " ".repeat(indent)),
            None if self.style.gap.is_empty() => String::new(),
            None => " ".to_owned(),
        };
        let text = parts.iter().fold(String::new(), |text, part| text + "," + &gap + part);
        self.change(end..end, text);
    }

    /// Takes out the fields with these numbers, and commas.
    pub(super) fn remove_flow(&mut self, node: &Node, gone: &[usize], written: &[&Field]) {
        let spans =
            written.iter().map(|field| field.bytes.start..self.end(&field.value, Place::Field(field)));
        self.cut(node, gone, &spans.collect::<Vec<_>>());
    }

    /// Takes out the members of a list with these numbers, and commas.
    pub(super) fn remove_flow_items(&mut self, node: &Node, gone: &[usize], items: &[Node]) {
        let spans = items.iter().map(|item| item.bytes.start..self.end(item, Place::Item));
        self.cut(node, gone, &spans.collect::<Vec<_>>());
    }

    fn cut(&mut self, node: &Node, gone: &[usize], spans: &[Range<usize>]) {
        // Those beside each other go together.
        for run in gone.chunk_by(|a, b| a + 1 == *b) {
            let (Some(&first), Some(&last)) = (run.first(), run.last()) else { continue };
            let (Some(from), Some(to)) = (spans.get(first), spans.get(last)) else { continue };
            let before = first.checked_sub(1).and_then(|before| spans.get(before));
            let range = match (spans.get(last + 1), before) {
                (Some(next), _) => from.start..next.start,
                (None, Some(before)) => before.end..to.end,
                (None, None) => node.bytes.start + 1..node.bytes.end.saturating_sub(1),
            };
            self.change(range, "");
        }
    }
}
