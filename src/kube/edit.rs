//! Changes to the text of a document so that it says something else, and everything beside that stays: comments, order,
//! quotes, anchors, line ends.
//!
//! Knows no kind of resource: what a document should say comes as a value. What was changed is read again before it is given
//! out: a text that does not say what was wanted is an error, never an output.

mod alias;
mod block;
mod flow;
mod matches;
mod place;
mod render;

use std::ops::Range;

use serde_json::{Map, Value};

use super::document::{self, Document, DocumentError, Field, Form, Kind, Node, Origin};
use alias::brings_too_much;
use render::Style;

/// How often what was changed is changed again, because an anchor that was changed has other users.
const MAX_ROUNDS: usize = 5;

/// Why a document cannot be changed.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// It is no document.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// Its shape is one that the changes do not fit into.
    #[error("document {number}: anchors, merges or a shape that cannot be changed in place")]
    Shape {
        /// From 1.
        number: usize,
    },
}

/// `text`, changed so that its documents say `wanted`; each as it is where nothing is wanted of it.
pub fn edit(text: &str, wanted: &[Option<Value>]) -> Result<String, EditError> {
    let mut documents = document::read(text)?;
    if documents.len() != wanted.len() {
        return Err(EditError::Shape { number: 1 });
    }
    let mut now = text.to_owned();
    for round in 0..MAX_ROUNDS {
        // What has other names changes first: often they say then what is wanted of them.
        let others = if round == 0 { Others::Wait } else { Others::Change };
        let mut editor = Editor::new(&now, others);
        let mut differs = None;
        for (number, (document, wanted)) in (1..).zip(documents.iter().zip(wanted)) {
            if let Some(wanted) = wanted.as_ref().filter(|wanted| !says(&document.root, wanted)) {
                differs = Some(number);
                editor.document(document, wanted);
            }
        }
        let Some(number) = differs else { return Ok(now) };
        let shape = || EditError::Shape { number };
        let changed = editor.apply().ok_or_else(shape)?;
        if round > 0 && changed == now {
            return Err(shape());
        }
        // An error there is none of the text that came.
        documents = document::read(&changed).map_err(|_| shape())?;
        if documents.len() != wanted.len() {
            return Err(shape());
        }
        now = changed;
    }
    // The last round changed something: it counts only if it was enough.
    let says = |(document, wanted): (&Document, &Option<Value>)| {
        wanted.as_ref().is_none_or(|wanted| says(&document.root, wanted))
    };
    match documents.iter().zip(wanted).position(|pair| !says(pair)) {
        Some(at) => Err(EditError::Shape { number: at + 1 }),
        None => Ok(now),
    }
}

/// Whether `node` says `value`; the order of fields says nothing.
fn says(node: &Node, value: &Value) -> bool {
    match (&node.kind, value) {
        (Kind::Scalar(own), value) => own == value,
        (Kind::List(items), Value::Array(values)) => {
            items.len() == values.len() && items.iter().zip(values).all(|(item, value)| says(item, value))
        }
        (Kind::Fields(fields), Value::Object(values)) => {
            let mut fields = fields.iter().filter(|field| field.origin != Origin::Merge);
            let count = fields.clone().count();
            count == values.len()
                && fields.all(|field| values.get(&field.name).is_some_and(|value| says(&field.value, value)))
        }
        _ => false,
    }
}

/// A piece of the text, and what stands there instead.
struct Change {
    range: Range<usize>,
    with: String,
}

/// Where a value stands.
#[derive(Clone, Copy)]
enum Place<'n> {
    /// It is the document.
    Root,
    /// Behind the name of a field.
    Field(&'n Field),
    /// In a list.
    Item,
}

/// What becomes of aliases, and of what `<<` merges in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Others {
    /// They stay.
    Wait,
    /// They change like anything else.
    Change,
}

/// Gathers changes to a text.
struct Editor<'t> {
    text: &'t str,
    others: Others,
    style: Style,
    changes: Vec<Change>,
    /// What is written with brackets in the document.
    flows: Vec<Range<usize>>,
}

impl<'t> Editor<'t> {
    fn new(text: &'t str, others: Others) -> Self {
        Self { text, others, style: Style::default(), changes: Vec::new(), flows: Vec::new() }
    }

    fn document(&mut self, document: &Document, wanted: &Value) {
        self.style = Style::of(self.text, &document.root);
        self.flows.clear();
        self.gather_flows(&document.root);
        self.node(&document.root, wanted, Place::Root);
    }

    /// The outermost brackets only: what is in them is.
    fn gather_flows(&mut self, node: &Node) {
        if is_flow(node) {
            self.flows.push(node.bytes.clone());
            return;
        }
        match &node.kind {
            _ if is_alias(node) => {}
            Kind::Fields(fields) => {
                let own = fields.iter().filter(|field| field.origin == Origin::Here);
                own.for_each(|field| self.gather_flows(&field.value));
            }
            Kind::List(items) => items.iter().for_each(|item| self.gather_flows(item)),
            Kind::Scalar(_) => {}
        }
    }

    fn change(&mut self, range: Range<usize>, with: impl Into<String>) {
        self.changes.push(Change { range, with: with.into() });
    }

    /// The text with all changes; `None` where two are about one piece.
    fn apply(mut self) -> Option<String> {
        self.move_out();
        // What is put in at one place stays in the order in which it was wanted.
        self.changes.sort_by_key(|change| (change.range.start, change.range.end));
        let mut out = String::with_capacity(self.text.len() + 1024);
        let mut at = 0;
        for Change { range, with } in &self.changes {
            out.push_str(self.text.get(at..range.start)?);
            out.push_str(with);
            at = range.end;
        }
        out.push_str(self.text.get(at..)?);
        // Where the last line goes that had no end, the one before it has none.
        if !self.text.ends_with('\n') && out.ends_with('\n') {
            out.truncate(out.trim_end_matches(['\r', '\n']).len());
        }
        Some(out)
    }

    /// Moves lines that come behind a line that goes to the one before that.
    fn move_out(&mut self) {
        let begins_line = |at: usize| self.slice(0..at).ends_with('\n') || at == 0;
        let gone = self.changes.iter().filter(|change| change.with.is_empty());
        let mut gone: Vec<Range<usize>> =
            gone.map(|change| change.range.clone()).filter(|range| begins_line(range.start)).collect();
        gone.sort_unstable_by_key(|range| range.start);
        let mut moved = Vec::new();
        for (index, change) in self.changes.iter().enumerate() {
            let mut at = change.range.start;
            if !change.range.is_empty() || !change.with.starts_with(['\r', '\n']) {
                continue;
            }
            let around = |at: usize| {
                let index = gone.partition_point(|range| range.start < at).checked_sub(1)?;
                gone.get(index).filter(|range| at < range.end)
            };
            while let Some(range) = around(at) {
                at = self.line_end_before(range.start);
            }
            moved.push((index, at));
        }
        for (index, at) in moved {
            if let Some(change) = self.changes.get_mut(index) {
                change.range = at..at;
            }
        }
    }

    /// Makes `node` say `wanted`.
    fn node(&mut self, node: &Node, wanted: &Value, place: Place<'_>) {
        if says(node, wanted) {
            return;
        }
        if is_alias(node) {
            if self.others == Others::Change {
                self.alias(node, wanted, place);
            }
            return;
        }
        match (&node.kind, wanted) {
            (Kind::Fields(fields), Value::Object(values)) if can_edit(fields, values) => {
                self.fields(node, fields, values);
            }
            (Kind::List(items), Value::Array(values)) if !items.is_empty() && !values.is_empty() => {
                self.list(node, items, values);
            }
            _ => self.replace(node, wanted, place),
        }
    }

    /// Fields that are in both change where they stand; the others go, or come behind those that stay.
    fn fields(&mut self, node: &Node, fields: &[Field], values: &Map<String, Value>) {
        let written: Vec<&Field> = fields.iter().filter(|field| field.origin != Origin::Merged).collect();
        let merges = written.len() < fields.len() && self.others == Others::Change;
        let is_opened = merges && brings_too_much(fields, values);
        let brings = |field: &&Field| field.origin == Origin::Merged && values.contains_key(&field.name);
        let mut opens = is_opened && fields.iter().any(|field| brings(&field));
        let mut gone = Vec::new();
        for (index, field) in written.iter().enumerate() {
            match (field.origin, values.get(&field.name)) {
                (Origin::Here, Some(value)) => self.node(&field.value, value, Place::Field(field)),
                (Origin::Merge, _) if !is_opened => {}
                (Origin::Merge, _) if std::mem::take(&mut opens) => self.write_out(field, fields, values),
                _ => gone.push(index),
            }
        }
        if is_flow(node) {
            self.remove_flow(node, &gone, &written);
        } else {
            self.remove_fields(&gone, &written);
        }
        // What is merged in may say it by then.
        if written.iter().any(|field| field.origin == Origin::Merge) && self.others == Others::Wait {
            return;
        }
        let is_there = |name: &str, value: &Value| {
            fields.iter().filter(|field| field.name == name).any(|field| match field.origin {
                Origin::Here => true,
                Origin::Merged => is_opened || says(&field.value, value),
                Origin::Merge => false,
            })
        };
        let new: Vec<(&str, &Value)> = values
            .iter()
            .filter(|(name, value)| !is_there(name, value))
            .map(|(name, value)| (name.as_str(), value))
            .collect();
        if new.is_empty() {
            return;
        }
        let stays = (0..).zip(&written).filter(|(index, _)| !gone.contains(index));
        let kept: Vec<&Field> = stays.map(|(_, field)| *field).collect();
        if is_flow(node) {
            self.add_flow(node, &kept, &new);
        } else {
            self.add_block(&kept, &new);
        }
    }

    /// Items that are in both keep their text; the others go, or come behind the one that they follow.
    fn list(&mut self, node: &Node, items: &[Node], values: &[Value]) {
        let pairs = matches::pairs(items, values);
        let is_flow = is_flow(node);
        let (goes, comes) = (pairs.len() < items.len(), pairs.len() < values.len());
        // What goes and what comes may stand at one place; and the first item of a list in a list shares its line.
        let start = if is_flow {
            node.bytes.start
        } else {
            items.first().map_or(node.bytes.start, |item| self.dash(item))
        };
        let shares = !is_flow && !self.is_first(start);
        if (is_flow && goes && comes) || (shares && (goes || comes)) {
            let text = self.style.within(&Value::Array(values.to_vec()), || self.line_indent(start));
            let end = self.end(node, Place::Item);
            return self.change(start..end, text);
        }
        if pairs.is_empty() {
            return self.refill(items, values);
        }
        let mut gone = Vec::new();
        let mut others = pairs.iter().peekable();
        for (index, item) in items.iter().enumerate() {
            let pair = others.next_if(|(old, _)| *old == index);
            match pair.and_then(|(_, new)| values.get(*new)) {
                Some(value) => self.node(item, value, Place::Item),
                None if is_flow => gone.push(index),
                None => self.remove_item(item),
            }
        }
        self.remove_flow_items(node, &gone, items);
        let mut after: Option<&Node> = None;
        let mut others = pairs.iter().peekable();
        for (index, value) in values.iter().enumerate() {
            if let Some((old, _)) = others.next_if(|(_, new)| *new == index) {
                after = items.get(*old);
            } else if is_flow {
                self.add_flow_item(node, items, after, value);
            } else {
                self.add_item(items, after, value);
            }
        }
    }
}

/// Whether the fields can be changed one by one: something has to stay.
fn can_edit(fields: &[Field], values: &Map<String, Value>) -> bool {
    let is_merge = |field: &Field| field.origin == Origin::Merge;
    let stays = |field: &Field| !is_merge(field) && values.contains_key(&field.name);
    fields.iter().any(stays) || (fields.iter().any(is_merge) && !brings_too_much(fields, values))
}

fn is_alias(node: &Node) -> bool {
    node.form == Form::Alias
}

fn is_flow(node: &Node) -> bool {
    node.form == Form::Flow
}

#[cfg(test)]
mod tests;
