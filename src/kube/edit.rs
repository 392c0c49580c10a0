//! Changes to the text of a document so that it says something else, and everything beside that stays: comments, order,
//! quotes, anchors, line ends.
//!
//! Knows no kind of resource: what a document should say comes as a value. What was changed is read again before it is given
//! out: a text that does not say what was wanted is an error, never an output.

mod block;
mod flow;
mod render;

use std::ops::Range;

use serde_json::{Map, Value};

use super::document::{self, Document, DocumentError, Field, Form, Kind, Node, Origin};
use render::Style;

/// How often what was changed is changed again, because an anchor that was changed has other users.
const MAX_ROUNDS: usize = 4;

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
    let mut now = text.to_owned();
    for _ in 0..MAX_ROUNDS {
        let documents = document::read(&now)?;
        let mut editor = Editor::new(&now);
        let mut differs = None;
        for (number, (document, wanted)) in (1..).zip(documents.iter().zip(wanted)) {
            if let Some(wanted) = wanted.as_ref().filter(|wanted| !says(&document.root, wanted)) {
                differs = Some(number);
                editor.document(document, wanted);
            }
        }
        let Some(number) = differs else {
            return if documents.len() == wanted.len() {
                Ok(now)
            } else {
                Err(EditError::Shape { number: 1 })
            };
        };
        let Some(changed) = editor.apply().filter(|changed| *changed != now) else {
            return Err(EditError::Shape { number });
        };
        now = changed;
    }
    // The last round changed something: it counts only if it was enough.
    let documents = document::read(&now)?;
    let wrong = documents
        .iter()
        .zip(wanted)
        .position(|(document, wanted)| wanted.as_ref().is_some_and(|wanted| !says(&document.root, wanted)));
    match wrong {
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

/// Gathers changes to a text.
struct Editor<'t> {
    text: &'t str,
    style: Style,
    changes: Vec<Change>,
    /// What is written with brackets in the document.
    flows: Vec<Range<usize>>,
}

impl<'t> Editor<'t> {
    fn new(text: &'t str) -> Self {
        Self { text, style: Style::default(), changes: Vec::new(), flows: Vec::new() }
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
        Some(out)
    }

    /// Moves lines that come behind a line that goes to the one before that.
    fn move_out(&mut self) {
        let mut gone: Vec<Range<usize>> = self
            .changes
            .iter()
            .filter(|change| {
                change.with.is_empty() && self.line_start(change.range.start) == change.range.start
            })
            .map(|change| change.range.clone())
            .collect();
        gone.sort_unstable_by_key(|range| range.start);
        let mut moved = Vec::new();
        for (index, change) in self.changes.iter().enumerate() {
            let mut at = change.range.start;
            if !change.range.is_empty() || !change.with.starts_with(self.style.eol) {
                continue;
            }
            while let Some(range) = gone.iter().find(|range| range.start < at && at < range.end) {
                at = self.line_end(range.start.saturating_sub(self.style.eol.len()));
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
            return self.alias(node, wanted, place);
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

    fn fields(&mut self, node: &Node, fields: &[Field], values: &Map<String, Value>) {
        let written: Vec<&Field> = fields.iter().filter(|field| field.origin != Origin::Merged).collect();
        let mut gone = Vec::new();
        for (index, field) in written.iter().enumerate().filter(|(_, field)| field.origin == Origin::Here) {
            match values.get(&field.name) {
                Some(value) => self.node(&field.value, value, Place::Field(field)),
                None if is_flow(node) => gone.push(index),
                None => self.remove_block(index, &written),
            }
        }
        self.remove_flow(node, &gone, &written);
        let is_there = |name: &str, value: &Value| {
            fields.iter().any(|field| {
                field.name == name && (field.origin == Origin::Here || says(&field.value, value))
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
        let stays = |field: &&Field| field.origin == Origin::Merge || values.contains_key(&field.name);
        let kept: Vec<&Field> = written.iter().copied().filter(stays).collect();
        if is_flow(node) {
            self.add_flow(node, &kept, &new);
        } else {
            self.add_block(&kept, &new);
        }
    }

    /// Items that are in both keep their text; the others go, or come behind the one that they follow.
    fn list(&mut self, node: &Node, items: &[Node], values: &[Value]) {
        let pairs = matches(items, values);
        let is_flow = is_flow(node);
        let (goes, comes) = (pairs.len() < items.len(), pairs.len() < values.len());
        // What goes and what comes may stand at one place; and the first item of a list in a list shares its line.
        let start = if is_flow {
            node.bytes.start
        } else {
            items.first().map_or(node.bytes.start, |item| self.dash(item))
        };
        let shares = !is_flow
            && self.text.get(self.line_start(start)..start).is_some_and(|head| !head.trim().is_empty());
        if (is_flow && goes && comes) || (shares && (goes || comes)) {
            let text = self.style.inline(&Value::Array(values.to_vec()));
            let end = self.end(node, Place::Item);
            return self.change(start..end, text);
        }
        let mut gone = Vec::new();
        for (index, item) in items.iter().enumerate() {
            match pairs.iter().find(|(old, _)| *old == index).and_then(|(_, new)| values.get(*new)) {
                Some(value) => self.node(item, value, Place::Item),
                None if is_flow => gone.push(index),
                None => self.remove_item(item),
            }
        }
        self.remove_flow_items(node, &gone, items);
        let mut after: Option<&Node> = None;
        for (index, value) in values.iter().enumerate() {
            if let Some((old, _)) = pairs.iter().find(|(_, new)| *new == index) {
                after = items.get(*old);
            } else if is_flow {
                self.add_flow_item(node, items, after, value);
            } else {
                self.add_item(items, after, value);
            }
        }
    }

    /// What an alias stands for, changed: merged and extended where that is enough, else written out.
    fn alias(&mut self, node: &Node, wanted: &Value, place: Place<'_>) {
        let name = self.text.get(node.bytes.clone()).unwrap_or_default().to_owned();
        let (Kind::Fields(fields), Value::Object(values)) = (&node.kind, wanted) else {
            return self.replace(node, wanted, place);
        };
        if !can_edit(fields, values) {
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
        self.extend_alias(node, &name, &new, place);
    }

    /// Where the line that `at` is in begins.
    fn line_start(&self, at: usize) -> usize {
        self.text.get(..at).and_then(|head| head.rfind('\n')).map_or(0, |newline| newline + 1)
    }

    /// Where the line that `at` is in ends, before its line end.
    fn line_end(&self, at: usize) -> usize {
        let rest = self.text.get(at..).unwrap_or_default();
        let line = rest.split('\n').next().unwrap_or_default();
        at + line.strip_suffix('\r').unwrap_or(line).len()
    }

    /// Where the next line begins, or the text ends.
    fn next_line(&self, at: usize) -> usize {
        let rest = self.text.get(at..).unwrap_or_default();
        rest.find('\n').map_or(self.text.len(), |newline| at + newline + 1)
    }

    /// How many characters of its line stand before `at`.
    fn column(&self, at: usize) -> usize {
        self.text.get(self.line_start(at)..at).map_or(0, |head| head.chars().count())
    }

    /// Where a value's own text ends: comments and empty lines behind it left out.
    fn end(&self, node: &Node, place: Place<'_>) -> usize {
        if is_alias(node) || is_flow(node) {
            return node.bytes.end;
        }
        let last = match &node.kind {
            Kind::Fields(fields) => fields
                .iter()
                .filter(|field| field.origin != Origin::Merged)
                .map(|field| self.end(&field.value, Place::Field(field)))
                .max(),
            Kind::List(items) => items.iter().map(|item| self.end(item, Place::Item)).max(),
            Kind::Scalar(_) => None,
        };
        if let Some(last) = last {
            return last;
        }
        let text = self.text.get(node.bytes.clone()).unwrap_or_default();
        if let Some(header) = self.block_header(node, place) {
            let is_kept = self.text.get(header..node.bytes.start).is_some_and(|text| {
                text.split(['#', '\n']).next().is_some_and(|header| header.contains('+'))
            });
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
    fn block_header(&self, node: &Node, place: Place<'_>) -> Option<usize> {
        let from = match place {
            Place::Field(field) => self.behind_colon(field),
            Place::Item => self.dash(node) + 1,
            Place::Root => return None,
        };
        let before = self.text.get(from..node.bytes.start).filter(|_| node.form == Form::Lines)?;
        before.find(['|', '>']).map(|at| from + at)
    }

    /// Where the text behind a field's colon begins.
    fn behind_colon(&self, field: &Field) -> usize {
        let rest = self.text.get(field.bytes.end..).unwrap_or_default();
        field.bytes.end + rest.find(':').map_or(0, |colon| colon + 1)
    }
}

/// Whether the fields can be changed one by one: what `<<` brings cannot be taken out, and something has to stay.
fn can_edit(fields: &[Field], values: &Map<String, Value>) -> bool {
    let stays = |field: &Field| field.origin != Origin::Merged || values.contains_key(&field.name);
    let any = fields.iter().any(|field| field.origin == Origin::Merge || values.contains_key(&field.name));
    any && fields.iter().all(stays)
}

fn is_alias(node: &Node) -> bool {
    node.form == Form::Alias
}

fn is_flow(node: &Node) -> bool {
    node.form == Form::Flow
}

/// Which items become which values, in order: those of one name are the same, then those that say the same, then of what is left
/// between them, and has no name, one for one.
fn matches(items: &[Node], values: &[Value]) -> Vec<(usize, usize)> {
    let names: Vec<Option<Vec<Value>>> = items.iter().map(|item| identity(&item.value())).collect();
    let name_of = |old: usize| names.get(old).and_then(Option::as_ref);
    let mut pairs: Vec<(usize, usize)> = Vec::new();
    let mut from = 0;
    for (new, value) in values.iter().enumerate() {
        let wanted = identity(value);
        let found = items.iter().enumerate().skip(from).find(|(old, item)| match &wanted {
            Some(wanted) => name_of(*old) == Some(wanted),
            None => says(item, value),
        });
        if let Some((old, _)) = found {
            pairs.push((old, new));
            from = old + 1;
        }
    }
    let ends = pairs.clone().into_iter().chain([(items.len(), values.len())]);
    let (mut old, mut new) = (0, 0);
    for (next_old, next_new) in ends {
        // A mount of the same volume, at another place.
        let renamed = (new..next_new).filter_map(|new| {
            let wanted = values.get(new)?.get("name")?;
            let own = |old: &usize| {
                items
                    .get(*old)
                    .and_then(|item| item.field("name"))
                    .is_some_and(|name| says(&name.value, wanted))
            };
            Some(((old..next_old).find(own)?, new))
        });
        let mut renamed: Vec<(usize, usize)> = renamed.collect();
        renamed.dedup_by_key(|(old, _)| *old);
        if renamed.is_sorted() {
            pairs.extend(renamed);
        }
        let nameless = |old: &usize| name_of(*old).is_none();
        let olds = (old..next_old).filter(nameless);
        let news =
            (new..next_new).filter(|new| values.get(*new).is_some_and(|value| identity(value).is_none()));
        pairs.extend(olds.zip(news));
        (old, new) = (next_old + 1, next_new + 1);
    }
    pairs.sort_unstable();
    pairs
}

/// What a member of a list is known by in Kubernetes: the first of the fields that lists are merged by.
fn identity(value: &Value) -> Option<Vec<Value>> {
    let fields = value.as_object()?;
    // Two mounts of one volume lie at different places.
    let keys: &[&str] = if fields.contains_key("mountPath") {
        &["mountPath", "name"]
    } else if fields.contains_key("containerPort") {
        &["containerPort", "protocol"]
    } else if fields.contains_key("kind") {
        return None;
    } else {
        &["name"]
    };
    let has = keys.first().is_some_and(|key| fields.contains_key(*key));
    has.then(|| keys.iter().map(|key| fields.get(*key).cloned().unwrap_or_default()).collect())
}

#[cfg(test)]
mod tests;
