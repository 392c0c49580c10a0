//! Documents part by part: the members of a long list one at a time, so that ten thousand pods need the memory of one.
//!
//! Knows nothing of kinds: any document that is a mapping with a list `items` is handed out so.

use granit_parser::{Event, Span};

use super::{DocumentError, Form, Kind, Mapping, Name, Node, Reader, place};

/// A document, or a member of its list `items`.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// From 0.
    pub document: usize,
    /// Number of the member, from 0; none for the document itself, which comes last and has no members any more.
    pub item: Option<usize>,
    /// What it says.
    pub root: Node,
}

/// Reads the parts of a text, in order.
pub struct Stream<'t> {
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
}

impl<'t> Stream<'t> {
    /// Of the documents in `text`.
    pub fn new(text: &'t str) -> Self {
        Self { reader: Reader::new(text), documents: 0, within: None, is_over: false }
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
                return Ok(Some(Part { document: self.documents - 1, item: None, root }));
            };
            if let Some(list) = &mut within.list {
                let (event, span) = self.reader.needed(&list.last)?;
                list.last = span;
                if event != Event::SequenceEnd {
                    let item = Some(list.count);
                    list.count += 1;
                    let root = self.reader.node(event, &span)?;
                    return Ok(Some(Part { document: self.documents - 1, item, root }));
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
                    return Ok(Some(Part { document: self.documents - 1, item: None, root }));
                }
                Ok((name, is_merge)) => {
                    let (event, span) = self.reader.needed(&name.span)?;
                    within.last = span;
                    if name.text == "items" && matches!(event, Event::SequenceStart(_, 0, _)) {
                        within.list = Some(List { name, start: span, last: span, count: 0 });
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
        let part = self.part().transpose();
        self.is_over = !matches!(part, Some(Ok(_)));
        part
    }
}
