//! Documents part by part: the members of a long list one at a time, so that ten thousand pods need the memory of one.
//!
//! Knows nothing of kinds: any document that is a mapping with a list `items` is handed out so.

use std::sync::Arc;

use granit_parser::{Event, Span};
use serde_json::Value;

use super::json::Json;
use super::node::said;
use super::{DocumentError, Field, Form, Kind, Mapping, Name, Node, Origin, Reader, place};

/// A document, or a member of its list `items`.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// From 0.
    pub document: usize,
    /// Number of the member, from 0; none for the document itself, which comes last and has no members any more.
    pub item: Option<usize>,
    /// What stands before the list in the document that it is a member of; none for the document itself.
    pub before: Option<Arc<Value>>,
    /// What it says.
    pub root: Node,
}

/// Reads the parts of a text, in order.
///
/// A text of JSON that turns out to be none is read again as YAML from the part on where it was left: parts are counted.
pub struct Stream<'t> {
    text: &'t str,
    json: Option<Members<'t>>,
    /// Parts that were given out from JSON.
    given: usize,
    reader: Reader<'t>,
    /// Documents so far.
    documents: usize,
    within: Option<Within>,
    is_over: bool,
}

/// A document that is being read.
struct Within {
    start: Span,
    last: Span,
    mapping: Mapping,
    list: Option<List>,
}

/// Its list of members while that is read.
struct List {
    name: Name,
    start: Span,
    last: Span,
    count: usize,
    before: Arc<Value>,
}

impl<'t> Stream<'t> {
    /// Of the documents in `text`.
    pub fn new(text: &'t str) -> Self {
        let json = Members::new(text);
        Self { text, json, given: 0, reader: Reader::new(text), documents: 0, within: None, is_over: false }
    }

    fn next_part(&mut self) -> Result<Option<Part>, DocumentError> {
        if let Some(members) = &mut self.json {
            match members.part() {
                Some(Some(part)) => {
                    self.given += 1;
                    return Ok(Some(part));
                }
                Some(None) => return Ok(None),
                None => {
                    self.json = None;
                    self.reader = Reader::new(self.text);
                    for _ in 0..self.given {
                        self.part()?;
                    }
                }
            }
        }
        self.part()
    }

    fn part(&mut self) -> Result<Option<Part>, DocumentError> {
        loop {
            let Some(within) = &mut self.within else {
                let Some((event, span)) = self.reader.document()? else { return Ok(None) };
                self.documents += 1;
                if matches!(event, Event::MappingStart(..)) {
                    let mapping = Mapping::default();
                    self.within = Some(Within { start: span, last: span, mapping, list: None });
                    continue;
                }
                let root = match event {
                    Event::DocumentEnd => place(&span, &span),
                    event => self.reader.node(event, &span)?,
                };
                return Ok(Some(Part { document: self.documents - 1, item: None, before: None, root }));
            };
            if let Some(list) = &mut within.list {
                let (event, span) = self.reader.needed(&list.last)?;
                list.last = span;
                if event != Event::SequenceEnd {
                    let item = Some(list.count);
                    list.count += 1;
                    let before = Some(Arc::clone(&list.before));
                    let root = self.reader.node(event, &span)?;
                    return Ok(Some(Part { document: self.documents - 1, item, before, root }));
                }
                within.last = span;
                if let Some(List { name, start, .. }) = within.list.take() {
                    let empty =
                        Node { kind: Kind::List(Vec::new()), form: Form::Flow, ..place(&start, &span) };
                    within.mapping.add(name, false, empty)?;
                }
                continue;
            }
            match self.reader.name(&within.last)? {
                Err(end) => {
                    let Some(Within { start, mapping, .. }) = self.within.take() else { continue };
                    let kind = Kind::Fields(mapping.finish());
                    let root = Node { kind, form: Form::Block, ..place(&start, &end) };
                    return Ok(Some(Part { document: self.documents - 1, item: None, before: None, root }));
                }
                Ok((name, is_merge)) => {
                    let (event, span) = self.reader.needed(&name.span)?;
                    within.last = span;
                    if name.text == "items" && matches!(event, Event::SequenceStart(_, 0, _)) {
                        let before = Arc::new(said(&within.mapping.fields));
                        within.list = Some(List { name, start: span, last: span, count: 0, before });
                        continue;
                    }
                    let value = self.reader.node(event, &span)?;
                    within.mapping.add(name, is_merge, value)?;
                }
            }
        }
    }
}

impl Iterator for Stream<'_> {
    type Item = Result<Part, DocumentError>;

    /// Ends after the first error: what follows one is not known.
    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let part = self.next_part().transpose();
        self.is_over = !matches!(part, Some(Ok(_)));
        part
    }
}

/// The list of members in a text of JSON while that is read.
struct MemberList {
    name: String,
    /// Where the name stands.
    at: Node,
    /// Where the list begins.
    start: Node,
    count: usize,
    before: Arc<Value>,
}

/// The parts of a text of JSON.
struct Members<'t> {
    json: Json<'t>,
    root: Node,
    fields: Vec<Field>,
    list: Option<MemberList>,
    is_over: bool,
}

impl<'t> Members<'t> {
    fn new(text: &'t str) -> Option<Self> {
        let mut json = Json::new(text)?;
        let root = json.place();
        json.take(b'{');
        Some(Self { json, root, fields: Vec::new(), list: None, is_over: false })
    }

    /// The next part; `Some(None)` at the end, `None` where it is no JSON.
    #[expect(clippy::option_option, reason = "no part, and no JSON, are two things")]
    fn part(&mut self) -> Option<Option<Part>> {
        /// Deepest member, as `serde_json` has it.
        const MAX_DEPTH: usize = 126;
        if self.is_over {
            return Some(None);
        }
        loop {
            if let Some(list) = &mut self.list {
                if self.json.item(list.count == 0)? {
                    let item = Some(list.count);
                    list.count += 1;
                    let before = Some(Arc::clone(&list.before));
                    let root = self.json.member(MAX_DEPTH)?;
                    return Some(Some(Part { document: 0, item, before, root }));
                }
                let MemberList { name, at, start, .. } = self.list.take()?;
                let value = self.json.finish(&start, Kind::List(Vec::new()), Form::Flow);
                self.add(name, at, value);
                continue;
            }
            let Some((name, at)) = self.json.name(self.fields.is_empty())? else {
                let kind = Kind::Fields(std::mem::take(&mut self.fields));
                let root = std::mem::replace(&mut self.root, Node::nowhere());
                let root = self.json.finish(&root, kind, Form::Flow);
                self.is_over = true;
                let part = Part { document: 0, item: None, before: None, root };
                return self.json.is_over().then_some(Some(part));
            };
            if self.fields.iter().any(|field| field.name == name) {
                return None;
            }
            self.json.blank();
            let value = self.json.place();
            if name == "items" && self.json.take(b'[') {
                let before = Arc::new(said(&self.fields));
                self.list = Some(MemberList { name, at, start: value, count: 0, before });
                continue;
            }
            let value = self.json.value(MAX_DEPTH)?;
            self.add(name, at, value);
        }
    }

    fn add(&mut self, name: String, at: Node, value: Node) {
        let Node { line, column, bytes, .. } = at;
        self.fields.push(Field { name, line, column, bytes, value, origin: Origin::Here });
    }
}
