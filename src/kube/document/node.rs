//! What a value says and where parts of it stand: by name, by path.
//!
//! Reads nothing; values are made elsewhere.

use serde_json::{Map, Value};

use super::{Field, Form, Kind, Node, Origin};

impl Node {
    /// Nothing, nowhere: of a value that comes from no text.
    pub fn nowhere() -> Self {
        Self { bytes: 0..0, line: 1, column: 1, kind: Kind::Scalar(Value::Null), form: Form::Scalar }
    }

    /// What it says, without places.
    pub fn value(&self) -> Value {
        match &self.kind {
            Kind::Scalar(value) => value.clone(),
            Kind::List(items) => items.iter().map(Self::value).collect(),
            Kind::Fields(fields) => said(fields),
        }
    }

    /// The same without the field `name` at its top.
    pub fn value_without(&self, name: &str) -> Value {
        let Kind::Fields(fields) = &self.kind else { return self.value() };
        let own = fields.iter().filter(|field| field.origin != Origin::Merge && field.name != name);
        own.map(|field| (field.name.clone(), field.value.value())).collect::<Map<_, _>>().into()
    }

    /// The same, moved out of it: what stays knows places and names of fields only.
    pub fn take_without(&mut self, name: &str) -> Value {
        match &mut self.kind {
            Kind::Fields(fields) => taken(fields, Some(name)),
            _ => self.take(),
        }
    }

    fn take(&mut self) -> Value {
        match &mut self.kind {
            Kind::Scalar(value) => value.take(),
            Kind::List(items) => items.iter_mut().map(Self::take).collect(),
            Kind::Fields(fields) => taken(fields, None),
        }
    }

    /// The members of the list that the field `name` of a mapping is, moved out of it; none of anything else.
    pub fn take_items(&mut self, name: &str) -> Vec<Self> {
        let Kind::Fields(fields) = &mut self.kind else { return Vec::new() };
        let field = fields.iter_mut().find(|field| field.name == name && field.origin != Origin::Merge);
        match field.map(|field| &mut field.value.kind) {
            Some(Kind::List(items)) => std::mem::take(items),
            _ => Vec::new(),
        }
    }

    /// The field `name` of a mapping.
    pub fn field(&self, name: &str) -> Option<&Field> {
        match &self.kind {
            Kind::Fields(fields) => {
                fields.iter().find(|field| field.name == name && field.origin != Origin::Merge)
            }
            _ => None,
        }
    }

    /// The members of a list; none of anything else.
    pub fn items(&self) -> &[Self] {
        match &self.kind {
            Kind::List(items) => items,
            _ => &[],
        }
    }

    /// The line and the column of the field at `path` (`spec.containers[0].image`), or of the nearest around it that is there.
    pub fn nearest(&self, path: &str) -> (usize, usize) {
        let mut at = (self.line, self.column);
        let mut node = self;
        for step in steps(path) {
            let next = match step {
                Step::Field(name) => node.field(name).map(|field| ((field.line, field.column), &field.value)),
                Step::Item(index) => node.items().get(index).map(|item| ((item.line, item.column), item)),
            };
            let Some((place, inner)) = next else { break };
            (at, node) = (place, inner);
        }
        at
    }
}

/// What `fields` say, without places.
pub(super) fn said(fields: &[Field]) -> Value {
    let own = fields.iter().filter(|field| field.origin != Origin::Merge);
    own.map(|field| (field.name.clone(), field.value.value())).collect::<Map<_, _>>().into()
}

/// A path (`spec.containers[0].image`) as a JSON pointer (RFC 6901).
pub fn pointer(path: &str) -> String {
    steps(path).fold(String::new(), |pointer, step| match step {
        Step::Field(name) => pointer + "/" + &name.replace('~', "~0").replace('/', "~1"),
        Step::Item(index) => format!("{pointer}/{index}"),
    })
}

/// A step of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'p> {
    /// To the field of that name.
    Field(&'p str),
    /// To the member of that number, from 0.
    Item(usize),
}

/// The steps of a path: `spec.containers[0].image`, `metadata.annotations["a.b/c"]`.
pub fn steps(path: &str) -> impl Iterator<Item = Step<'_>> {
    let mut rest = path;
    std::iter::from_fn(move || {
        let (step, behind) = if rest.is_empty() {
            return None;
        } else if let Some(after) = rest.strip_prefix("[\"") {
            let (name, behind) = after.split_once("\"]").unwrap_or((after, ""));
            (Step::Field(name), behind)
        } else if let Some(after) = rest.strip_prefix('[') {
            let (index, behind) = after.split_once(']').unwrap_or((after, ""));
            (Step::Item(index.parse().unwrap_or(usize::MAX)), behind)
        } else {
            let from = rest.strip_prefix('.').unwrap_or(rest);
            let (name, behind) = from.split_at(from.find(['.', '[']).unwrap_or(from.len()));
            (Step::Field(name), behind)
        };
        rest = behind;
        Some(step)
    })
}

/// What `fields` say, moved out of them, but for the one called `without`.
fn taken(fields: &mut [Field], without: Option<&str>) -> Value {
    let is_own = |field: &&mut Field| field.origin != Origin::Merge && without != Some(field.name.as_str());
    let own = fields.iter_mut().filter(is_own);
    own.map(|field| (field.name.clone(), field.value.take())).collect::<Map<_, _>>().into()
}
