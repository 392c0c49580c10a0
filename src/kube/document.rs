//! YAML and JSON as people wrote them: every value with the place where it stands.
//!
//! Reads scalars as `kubectl` and the API server do, who take `yes` for true and `0644` for 420. A key that stands twice is an
//! error: which of both counts the reader of the file does not see.

mod json;
mod node;
mod scalar;
mod stream;

use std::collections::BTreeMap;
use std::ops::Range;

use granit_parser::{Event, Options, Parser, ScalarStyle, Span, StrInput, StructureStyle};
use json::Json;
pub use node::{Step, pointer, steps};
use serde_json::Value;
pub use stream::{Part, Stream};

/// Most values that the aliases of a document stand for, all together: a pod has some hundreds.
const MAX_ALIASED: usize = 4 << 20;

/// A document of a stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// What it says; nothing where it is empty.
    pub root: Node,
}

/// A value, and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Bytes of the text.
    pub bytes: Range<usize>,
    /// From 1.
    pub line: usize,
    /// From 1, characters.
    pub column: usize,
    /// What it is.
    pub kind: Kind,
    /// How it is written.
    pub form: Form,
}

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A scalar within its line, or a plain or quoted one over several; also nothing at all.
    Scalar,
    /// A scalar on the lines below `|` or `>`; its bytes are those lines.
    Lines,
    /// A mapping or a list by its indentation.
    Block,
    /// A mapping or a list with brackets.
    Flow,
    /// The name of a value that stands elsewhere.
    Alias,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Text, number, truth or nothing.
    Scalar(Value),
    /// A list.
    List(Vec<Node>),
    /// Fields in the order in which they stand.
    Fields(Vec<Field>),
}

/// A field of a mapping.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Where that stands.
    pub line: usize,
    /// From 1, characters.
    pub column: usize,
    /// Bytes of the name in the text.
    pub bytes: Range<usize>,
    /// What it says.
    pub value: Node,
    /// How it came there.
    pub origin: Origin,
}

/// How a field came into its mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It is written there.
    Here,
    /// What `<<` names has it; it stands where that was written.
    Merged,
    /// It is `<<` itself, and no field of the value.
    Merge,
}

/// Why a text is no document that is understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// It is no YAML.
    #[error("{line}:{column}: {why}")]
    Syntax {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// In the parser's words.
        why: String,
    },
    /// A field stands twice in one mapping.
    #[error("{line}:{column}: the field `{name}` stands here a second time, the first time in line {first}")]
    Twice {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// Its name.
        name: String,
        /// Line of the first.
        first: usize,
    },
    /// A name of a field that is no text.
    #[error("{line}:{column}: the name of a field must be text")]
    Name {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// What `<<` names is no mapping.
    #[error("{line}:{column}: what `<<` merges must be a mapping, or a list of them")]
    Merge {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// Aliases make it grow beyond reason.
    #[error("{line}:{column}: its aliases stand for more than {MAX_ALIASED} values")]
    Large {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
}

/// Whether a plain scalar of these words is a text of these words.
pub fn means_itself(text: &str) -> bool {
    scalar::resolve(text, true, None).is_string()
}

/// The documents of `text`, in order; empty ones too.
pub fn read(text: &str) -> Result<Vec<Document>, DocumentError> {
    let mut json = Json::new(text);
    if let Some(root) = json.as_mut().and_then(Json::whole)
        && json.is_some_and(|mut json| json.is_over())
    {
        return Ok(vec![Document { root }]);
    }
    read_yaml(text)
}

/// The same, whatever the text is.
fn read_yaml(text: &str) -> Result<Vec<Document>, DocumentError> {
    let mut reader = Reader::new(text);
    let mut documents = Vec::new();
    while let Some(event) = reader.document()? {
        let root = match event {
            (Event::DocumentEnd, span) => place(&span, &span),
            (event, span) => reader.node(event, &span)?,
        };
        documents.push(Document { root });
    }
    Ok(documents)
}

struct Reader<'t> {
    parser: Parser<'t, StrInput<'t>>,
    /// Values that have a name, with how many values they are.
    anchors: BTreeMap<usize, (Node, usize)>,
    /// Values so far.
    count: usize,
    /// Of these, how many stand there through an alias.
    aliased: usize,
}

impl<'t> Reader<'t> {
    fn new(text: &'t str) -> Self {
        let mut options = Options::default();
        options.set_emit_comments(false);
        Reader {
            parser: Parser::new_from_str_with_options(text, options),
            anchors: BTreeMap::new(),
            count: 0,
            aliased: 0,
        }
    }

    /// The first event of the next document.
    fn document(&mut self) -> Result<Option<(Event<'t>, Span)>, DocumentError> {
        while let Some((event, span)) = self.next()? {
            if matches!(event, Event::DocumentStart(..)) {
                self.anchors.clear();
                self.count = 0;
                self.aliased = 0;
                return self.needed(&span).map(Some);
            }
        }
        Ok(None)
    }

    fn next(&mut self) -> Result<Option<(Event<'t>, Span)>, DocumentError> {
        self.parser.next_event().transpose().map_err(|error| DocumentError::Syntax {
            line: error.marker().line(),
            column: error.marker().col() + 1,
            why: error.info(),
        })
    }

    fn needed(&mut self, after: &Span) -> Result<(Event<'t>, Span), DocumentError> {
        let why = "it ends in the middle of a value".to_owned();
        let (line, column) = (after.end.line(), after.end.col() + 1);
        self.next()?.ok_or(DocumentError::Syntax { line, column, why })
    }

    /// The value that begins with `event`.
    fn node(&mut self, event: Event<'t>, span: &Span) -> Result<Node, DocumentError> {
        let before = self.count;
        self.count += 1;
        let (kind, form, anchor, end) = match event {
            Event::Alias(id) => {
                let (node, size) =
                    self.anchors.get(&id).cloned().ok_or_else(|| syntax(span, "an alias of nothing"))?;
                self.grow(size, span)?;
                // It stands where the alias does.
                return Ok(Node { kind: node.kind, form: Form::Alias, ..place(span, span) });
            }
            Event::Scalar(text, style, anchor, tag) => {
                let is_plain = style == ScalarStyle::Plain;
                let tag = tag.as_ref().and_then(|tag| tag.core_suffix());
                let form = match style {
                    ScalarStyle::Literal | ScalarStyle::Folded => Form::Lines,
                    _ => Form::Scalar,
                };
                (Kind::Scalar(scalar::resolve(&text, is_plain, tag)), form, anchor, *span)
            }
            Event::SequenceStart(style, anchor, _) => {
                let (items, end) = self.list(span)?;
                (Kind::List(items), Form::of(style), anchor, end)
            }
            Event::MappingStart(style, anchor, _) => {
                let (fields, end) = self.fields(span)?;
                (Kind::Fields(fields), Form::of(style), anchor, end)
            }
            _ => return Err(syntax(span, "expected a value")),
        };
        let node = Node { kind, form, ..place(span, &end) };
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), self.count - before));
        }
        Ok(node)
    }

    fn list(&mut self, start: &Span) -> Result<(Vec<Node>, Span), DocumentError> {
        let mut items = Vec::new();
        let mut last = *start;
        loop {
            let (event, span) = self.needed(&last)?;
            if event == Event::SequenceEnd {
                return Ok((items, span));
            }
            last = span;
            items.push(self.node(event, &span)?);
        }
    }

    fn fields(&mut self, start: &Span) -> Result<(Vec<Field>, Span), DocumentError> {
        let mut mapping = Mapping::default();
        let mut last = *start;
        loop {
            match self.name(&last)? {
                Ok((name, is_merge)) => {
                    let (event, span) = self.needed(&name.span)?;
                    last = span;
                    let value = self.node(event, &span)?;
                    mapping.add(name, is_merge, value)?;
                }
                Err(end) => return Ok((mapping.finish(), end)),
            }
        }
    }

    /// The next field's name, and whether it is `<<`; the mapping's end where there is none.
    fn name(&mut self, after: &Span) -> Result<Result<(Name, bool), Span>, DocumentError> {
        let (event, span) = self.needed(after)?;
        match event {
            Event::MappingEnd => Ok(Err(span)),
            Event::Scalar(text, style, _, _) => {
                let is_merge = style == ScalarStyle::Plain && text == "<<";
                Ok(Ok((Name { text: text.into_owned(), span }, is_merge)))
            }
            _ => Err(DocumentError::Name { line: span.start.line(), column: span.start.col() + 1 }),
        }
    }

    fn grow(&mut self, by: usize, span: &Span) -> Result<(), DocumentError> {
        self.count = self.count.saturating_add(by);
        self.aliased = self.aliased.saturating_add(by);
        if self.aliased > MAX_ALIASED {
            return Err(DocumentError::Large { line: span.start.line(), column: span.start.col() + 1 });
        }
        Ok(())
    }
}

/// The name of a field, and where it stands.
struct Name {
    text: String,
    span: Span,
}

/// A mapping while it is read.
#[derive(Default)]
struct Mapping {
    fields: Vec<Field>,
    merged: Vec<Field>,
    /// Where each of `fields` stands first.
    lines: BTreeMap<String, usize>,
}

impl Mapping {
    fn add(&mut self, name: Name, is_merge: bool, value: Node) -> Result<(), DocumentError> {
        let at = place(&name.span, &name.span);
        let name = name.text;
        if is_merge {
            merge(&mut self.merged, &value)?;
            let Node { line, column, bytes, .. } = at;
            self.fields.push(Field { name, line, column, bytes, value, origin: Origin::Merge });
            return Ok(());
        }
        if let Some(&first) = self.lines.get(&name) {
            return Err(DocumentError::Twice { line: at.line, column: at.column, name, first });
        }
        self.lines.insert(name.clone(), at.line);
        let Node { line, column, bytes, .. } = at;
        self.fields.push(Field { name, line, column, bytes, value, origin: Origin::Here });
        Ok(())
    }

    /// What stands here itself goes before what is merged in.
    fn finish(mut self) -> Vec<Field> {
        self.merged.retain(|field| !self.lines.contains_key(&field.name));
        self.fields.extend(self.merged);
        self.fields
    }
}

/// Adds the fields of `value`, or of those in it, that are not there yet: the first of several counts.
fn merge(merged: &mut Vec<Field>, value: &Node) -> Result<(), DocumentError> {
    let all = match &value.kind {
        Kind::List(items) => items.as_slice(),
        _ => std::slice::from_ref(value),
    };
    for Node { line, column, kind, .. } in all {
        let Kind::Fields(fields) = kind else {
            return Err(DocumentError::Merge { line: *line, column: *column });
        };
        for field in fields.iter().filter(|field| field.origin != Origin::Merge) {
            if !merged.iter().any(|known| known.name == field.name) {
                merged.push(Field { origin: Origin::Merged, ..field.clone() });
            }
        }
    }
    Ok(())
}

fn syntax(span: &Span, why: &str) -> DocumentError {
    DocumentError::Syntax { line: span.start.line(), column: span.start.col() + 1, why: why.to_owned() }
}

/// A value of nothing that stands from `start` to `end`.
fn place(start: &Span, end: &Span) -> Node {
    let from = start.start.byte_offset().unwrap_or_default();
    let to = end.end.byte_offset().unwrap_or(from).max(from);
    Node {
        bytes: from..to,
        line: start.start.line(),
        column: start.start.col() + 1,
        kind: Kind::Scalar(Value::Null),
        form: Form::Scalar,
    }
}

impl Form {
    fn of(style: StructureStyle) -> Self {
        match style {
            StructureStyle::Block => Self::Block,
            StructureStyle::Flow => Self::Flow,
        }
    }
}

#[cfg(test)]
mod tests;
