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
            None => vec![self.style.inline_fields(new)],
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
            Some(indent) => format!("{}{}", self.style.eol, self.style.pad(indent)),
            None => " ".to_owned(),
        };
        self.change(end..end, format!("{part},{gap}"));
    }

    /// The indentation of what is in `node`, if each part has a line of its own.
    fn lines_of(&self, node: &Node, part: usize) -> Option<usize> {
        let head = self.slice(node.bytes.start..part);
        head.contains('\n').then(|| self.line_indent(part))
    }

    /// Puts parts behind `end`, one that is there.
    fn put_parts(&mut self, node: &Node, sibling: usize, end: usize, parts: &[String]) {
        let gap = match self.lines_of(node, sibling) {
            Some(indent) => format!("{}{}", self.style.eol, self.style.pad(indent)),
            None if self.style.gap.is_empty() => String::new(),
            None => " ".to_owned(),
        };
        let text = parts.join(&format!(",{gap}"));
        // `x: 1 # why` without a comma: the comment stays in its line.
        let line = self.line_end(end).min(node.bytes.end);
        if gap.starts_with(self.style.eol) && self.slice(end..line).trim_start().starts_with('#') {
            self.change(end..end, ",");
            return self.change(line..line, format!("{gap}{text}"));
        }
        self.change(end..end, format!(",{gap}{text}"));
    }

    /// Takes out the fields with these numbers, and commas.
    pub(super) fn remove_flow(&mut self, node: &Node, gone: &[usize], written: &[&Field]) {
        if gone.is_empty() {
            return;
        }
        let spans =
            written.iter().map(|field| field.bytes.start..self.end(&field.value, Place::Field(field)));
        self.cut(node, gone, &spans.collect::<Vec<_>>());
    }

    /// Takes out the members of a list with these numbers, and commas.
    pub(super) fn remove_flow_items(&mut self, node: &Node, gone: &[usize], items: &[Node]) {
        if gone.is_empty() {
            return;
        }
        let spans = items.iter().map(|item| item.bytes.start..self.end(item, Place::Item));
        self.cut(node, gone, &spans.collect::<Vec<_>>());
    }

    /// Takes out what stands at the `gone` of these spans.
    fn cut(&mut self, node: &Node, gone: &[usize], spans: &[Range<usize>]) {
        // Those beside each other go together.
        for run in gone.chunk_by(|a, b| a + 1 == *b) {
            let (Some(&first), Some(&last)) = (run.first(), run.last()) else { continue };
            let (Some(from), Some(to)) = (spans.get(first), spans.get(last)) else { continue };
            let cut = from.start..to.end;
            let before = first.checked_sub(1).and_then(|before| spans.get(before)).map(|span| span.end);
            match (spans.get(last + 1), before) {
                (Some(next), before) => self.cut_before(cut, before, next.start),
                (None, Some(before)) => self.cut_last(cut, before, node.bytes.end),
                (None, None) => self.change(node.bytes.start + 1..node.bytes.end.saturating_sub(1), ""),
            }
        }
    }

    /// Takes out what has something behind it; the comment above that stays.
    fn cut_before(&mut self, cut: Range<usize>, before: Option<usize>, next: usize) {
        let has_lines = self.slice(cut.end..next).contains('\n');
        let Some(comma) = self.comma_behind(cut.end, next).filter(|_| has_lines) else {
            return self.change(cut.start..next, "");
        };
        if self.is_first(cut.start) {
            return self.change(self.line_start(cut.start)..self.next_line(comma), "");
        }
        if let Some(before) = before {
            return self.change(before..cut.end, "");
        }
        let head = self.slice(0..cut.start).trim_end_matches(' ').len();
        self.change(head..self.line_end(comma), "");
    }

    /// Takes out what is the last within brackets that end at `close`; the comment of what stands before it stays.
    fn cut_last(&mut self, cut: Range<usize>, before: usize, close: usize) {
        let comma = self.comma_behind(before, cut.start);
        let has_lines = self.slice(before..cut.start).contains('\n');
        let Some(comma) = comma.filter(|_| has_lines && self.is_first(cut.start)) else {
            return self.change(before..cut.end, "");
        };
        let own = self.comma_behind(cut.end, close);
        if own.is_none() {
            self.change(before..comma, "");
        }
        let end = own.unwrap_or(cut.end);
        let rest = self.slice(end..self.line_end(end)).trim_start();
        if rest.is_empty() || rest.starts_with('#') {
            return self.change(self.line_start(cut.start)..self.next_line(end), "");
        }
        let blanks = self.slice(end..close).len() - self.slice(end..close).trim_start_matches(' ').len();
        self.change(cut.start..end + blanks, "");
    }

    /// Where the comma ends that stands in the line of `at` behind it, before `limit` and a comment.
    fn comma_behind(&self, at: usize, limit: usize) -> Option<usize> {
        let rest = self.slice(at..limit).split(['\n', '#']).next()?;
        rest.find(',').map(|comma| at + comma + 1)
    }
}
