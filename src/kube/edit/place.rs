//! Where what is to be changed stands in the text: lines, dashes, colons, ends.
//!
//! Changes nothing.

use std::ops::Range;

use super::{Editor, Place, is_alias, is_flow};
use crate::kube::document::{Field, Form, Kind, Node, Origin};

impl Editor<'_> {
    /// The text there; none of what is no place in it.
    pub(super) fn slice(&self, range: Range<usize>) -> &str {
        self.text.get(range).unwrap_or_default()
    }

    /// Where the line that `at` is in begins.
    pub(super) fn line_start(&self, at: usize) -> usize {
        self.slice(0..at).rfind('\n').map_or(0, |newline| newline + 1)
    }

    /// Where the line that `at` is in ends, before its line end.
    pub(super) fn line_end(&self, at: usize) -> usize {
        let rest = self.slice(at..self.text.len());
        let line = rest.split('\n').next().unwrap_or_default();
        at + line.strip_suffix('\r').unwrap_or(line).len()
    }

    /// Where the line before the one that `at` is in ends, before its line end.
    pub(super) fn line_end_before(&self, at: usize) -> usize {
        let head = self.slice(0..self.line_start(at));
        let line = head.strip_suffix('\n').unwrap_or(head);
        line.strip_suffix('\r').unwrap_or(line).len()
    }

    /// Where the next line begins, or the text ends.
    pub(super) fn next_line(&self, at: usize) -> usize {
        let rest = self.slice(at..self.text.len());
        rest.find('\n').map_or(self.text.len(), |newline| at + newline + 1)
    }

    /// Whether nothing but blanks stands before `at` in its line.
    pub(super) fn is_first(&self, at: usize) -> bool {
        let head = self.slice(0..at).trim_end_matches([' ', '\t']);
        head.is_empty() || head.ends_with('\n')
    }

    /// How many characters of its line stand before `at`.
    pub(super) fn column(&self, at: usize) -> usize {
        self.slice(self.line_start(at)..at).chars().count()
    }

    /// The blanks before the first word of the line that `at` is in.
    pub(super) fn line_indent(&self, at: usize) -> usize {
        let line = self.slice(self.line_start(at)..at);
        line.len() - line.trim_start().len()
    }

    /// Where the dash of an item of a list stands: one that stands for itself, as none in a name does.
    pub(super) fn dash(&self, item: &Node) -> usize {
        let head = self.slice(0..item.bytes.start);
        let is_dash = |at: &usize| {
            let before = head.get(..*at).unwrap_or_default();
            let after = self.slice(at + 1..self.text.len());
            (before.is_empty() || before.ends_with([' ', '\t', '\n']))
                && (after.is_empty() || after.starts_with([' ', '\t', '\n', '\r']))
        };
        head.rmatch_indices('-').map(|(at, _)| at).find(is_dash).unwrap_or(item.bytes.start)
    }

    /// Where a value's own text ends: comments and empty lines behind it left out.
    pub(super) fn end(&self, node: &Node, place: Place<'_>) -> usize {
        if is_alias(node) || is_flow(node) {
            return node.bytes.end;
        }
        let last = match &node.kind {
            Kind::Fields(fields) => fields
                .iter()
                .rfind(|field| field.origin != Origin::Merged)
                .map(|field| self.end(&field.value, Place::Field(field))),
            Kind::List(items) => items.last().map(|item| self.end(item, Place::Item)),
            Kind::Scalar(_) => None,
        };
        if let Some(last) = last {
            return last;
        }
        let text = self.slice(node.bytes.clone());
        if let Some(header) = self.block_header(node, place) {
            let is_kept = self
                .slice(header..node.bytes.start)
                .split(['#', '\n'])
                .next()
                .is_some_and(|header| header.contains('+'));
            let own = if is_kept {
                text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text))
            } else {
                text.trim_end()
            };
            return node.bytes.start + own.len();
        }
        match place {
            Place::Field(field) if text.is_empty() => self.behind_colon(field),
            _ => node.bytes.end,
        }
    }

    /// Where the `|` or `>` of a scalar stands whose text is on the lines below.
    pub(super) fn block_header(&self, node: &Node, place: Place<'_>) -> Option<usize> {
        if node.form != Form::Lines {
            return None;
        }
        let from = match place {
            Place::Field(field) => self.behind_colon(field),
            Place::Item => self.dash(node) + 1,
            Place::Root => return None,
        };
        self.slice(from..node.bytes.start).find(['|', '>']).map(|at| from + at)
    }

    /// Where the text behind a field's colon begins.
    pub(super) fn behind_colon(&self, field: &Field) -> usize {
        let rest = self.slice(field.bytes.end..self.text.len());
        field.bytes.end + rest.find(':').map_or(0, |colon| colon + 1)
    }

    /// Where what stands between `from` and a value ends that belongs to the value: its anchor and its tag.
    pub(super) fn behind_anchor(&self, from: usize, value: usize) -> usize {
        let line = self.slice(from..value).split('\n').next().unwrap_or_default();
        let words = line.find(" #").map_or(line, |comment| line.get(..comment).unwrap_or_default());
        from + words.trim_end().len()
    }
}
