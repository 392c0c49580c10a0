//! Values as text, in the style of the document that they go into.
//!
//! Knows no document but by its style.

use serde_json::Value;

use crate::kube::document::{self, Field, Kind, Node};

/// Blanks by which what is inside is indented, where the document does not say.
const DEFAULT_STEP: usize = 2;

/// How a document is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    /// Blanks by which a mapping in a mapping is indented.
    pub(super) step: usize,
    /// Blanks by which a list in a mapping is.
    pub(super) list_step: usize,
    /// The end of a line.
    pub(super) eol: &'static str,
    /// Names of fields are quoted: it is JSON.
    pub(super) is_json: bool,
    /// It has more than one line.
    pub(super) has_lines: bool,
    /// What lines of JSON are indented with.
    pub(super) blank: &'static str,
    /// Behind the colon of a field.
    pub(super) gap: &'static str,
}

impl Default for Style {
    fn default() -> Self {
        Self {
            step: DEFAULT_STEP,
            list_step: 0,
            eol: "\n",
            is_json: false,
            has_lines: false,
            blank: " ",
            gap: " ",
        }
    }
}

impl Style {
    /// That of the document `root` in `text`.
    pub(super) fn of(text: &str, root: &Node) -> Self {
        let own = text.get(root.bytes.clone()).unwrap_or_default();
        let (all, crlf) = (own.matches('\n').count(), own.matches("\r\n").count());
        let mut style = Self { eol: if crlf * 2 > all { "\r\n" } else { "\n" }, ..Self::default() };
        style.is_json =
            own.starts_with('{') && own.get(1..).is_some_and(|rest| rest.trim_start().starts_with('"'));
        if style.is_json {
            style.gap = if own.contains("\": ") || !own.contains("\":") { " " } else { "" };
        }
        style.has_lines = all > 0;
        if style.is_json && own.contains("\n\t") {
            (style.blank, style.step) = ("\t", 1);
        }
        let (mut steps, mut lists) = (Vec::new(), Vec::new());
        measure(root, text, &mut steps, &mut lists);
        style.step = most(&steps).filter(|step| *step > 0).unwrap_or(style.step);
        style.list_step = most(&lists).unwrap_or_default();
        style
    }
}

/// Gathers by how much mappings and lists in mappings are indented.
fn measure(node: &Node, text: &str, steps: &mut Vec<usize>, lists: &mut Vec<usize>) {
    match &node.kind {
        Kind::Fields(fields) => {
            for field in fields {
                let inside = |at: &Node| at.line > field.line && at.column >= field.column;
                match &field.value.kind {
                    Kind::Fields(inner) => {
                        let first: Option<&Field> = inner.first().filter(|first| first.line > field.line);
                        if let Some(step) = first.and_then(|first| first.column.checked_sub(field.column)) {
                            steps.push(step);
                        }
                    }
                    Kind::List(items) => {
                        if let Some(item) = items.first().filter(|item| inside(item)) {
                            let head = text.get(..item.bytes.start).unwrap_or_default();
                            let line = head.rsplit('\n').next().unwrap_or_default();
                            let dash = line.find('-').map(|dash| dash + 1);
                            lists.extend(dash.and_then(|dash| dash.checked_sub(field.column)));
                        }
                    }
                    Kind::Scalar(_) => {}
                }
                measure(&field.value, text, steps, lists);
            }
        }
        Kind::List(items) => items.iter().for_each(|item| measure(item, text, steps, lists)),
        Kind::Scalar(_) => {}
    }
}

/// The number that is there most often; of several the lowest.
fn most(numbers: &[usize]) -> Option<usize> {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable();
    let runs = sorted.chunk_by(|a, b| a == b);
    runs.max_by_key(|run| (run.len(), usize::MAX - run.first().copied().unwrap_or_default()))?
        .first()
        .copied()
}

impl Style {
    /// What a line of brackets is indented with.
    pub(super) fn pad(self, indent: usize) -> String {
        self.blank.repeat(indent)
    }

    /// Fields as lines, all indented by `indent` blanks.
    pub(super) fn fields_lines(self, fields: &[(&str, &Value)], indent: usize) -> Vec<String> {
        fields.iter().flat_map(|(name, value)| self.field_lines(name, value, indent)).collect()
    }

    /// What stands in a mapping or a list as lines, below a name that is indented by `indent` blanks.
    pub(super) fn value_lines(self, value: &Value, indent: usize) -> Vec<String> {
        match value {
            Value::Object(fields) => fields
                .iter()
                .flat_map(|(name, value)| self.field_lines(name, value, indent + self.step))
                .collect(),
            Value::Array(items) => {
                items.iter().flat_map(|item| self.item_lines(item, indent + self.list_step)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// A field as lines, the first one indented by `indent` blanks.
    pub(super) fn field_lines(self, name: &str, value: &Value, indent: usize) -> Vec<String> {
        let head = format!("{}{}:", " ".repeat(indent), self.name(name));
        let mut lines = self.value_lines(value, indent);
        if lines.is_empty() {
            return vec![format!("{head} {}", self.inline(value))];
        }
        lines.insert(0, head);
        lines
    }

    /// A member of a list as lines, its dash indented by `indent` blanks.
    pub(super) fn item_lines(self, value: &Value, indent: usize) -> Vec<String> {
        let pad = " ".repeat(indent);
        let mut lines = match value {
            Value::Object(fields) if !fields.is_empty() => {
                fields.iter().flat_map(|(name, value)| self.field_lines(name, value, indent + 2)).collect()
            }
            value => vec![format!("{pad}  {}", self.inline(value))],
        };
        if let Some(first) = lines.first_mut() {
            *first = format!("{pad}- {}", first.trim_start());
        }
        lines
    }

    /// A value on one line.
    pub(super) fn inline(self, value: &Value) -> String {
        match value {
            Value::String(text) if self.is_json || !is_plain(text) => Value::String(text.clone()).to_string(),
            Value::String(text) => text.clone(),
            Value::Array(items) => {
                let items: Vec<String> = items.iter().map(|item| self.inline(item)).collect();
                format!("[{}]", items.join(self.comma()))
            }
            Value::Object(fields) => {
                let fields: Vec<String> =
                    fields.iter().map(|(name, value)| self.inline_field(name, value)).collect();
                format!("{{{}}}", fields.join(self.comma()))
            }
            value => value.to_string(),
        }
    }

    /// A field on one line.
    pub(super) fn inline_field(self, name: &str, value: &Value) -> String {
        format!("{}:{}{}", self.name(name), self.gap, self.inline(value))
    }

    /// Fields on one line, with commas.
    pub(super) fn inline_fields(self, fields: &[(&str, &Value)]) -> String {
        let fields: Vec<String> = fields.iter().map(|(name, value)| self.inline_field(name, value)).collect();
        fields.join(self.comma())
    }

    /// A value within brackets: on one line, but in JSON that has lines over several, indented as the one it begins in.
    pub(super) fn within(self, value: &Value, indent: impl FnOnce() -> usize) -> String {
        if self.is_json && self.has_lines { self.pretty(value, indent()) } else { self.inline(value) }
    }

    /// A value of JSON over several lines, those after the first indented by `indent` blanks.
    pub(super) fn pretty(self, value: &Value, indent: usize) -> String {
        let (inner, outer) = (self.pad(indent + self.step), self.pad(indent));
        let list = |open: char, close: char, parts: Vec<String>| {
            let parts: Vec<String> = parts.into_iter().map(|part| format!("{inner}{part}")).collect();
            let eol = self.eol;
            format!("{open}{eol}{}{eol}{outer}{close}", parts.join(&format!(",{eol}")))
        };
        match value {
            Value::Array(items) if !items.is_empty() => {
                list('[', ']', items.iter().map(|item| self.pretty(item, indent + self.step)).collect())
            }
            Value::Object(fields) if !fields.is_empty() => {
                let field =
                    |(name, value): (&String, &Value)| self.pretty_field(name, value, indent + self.step);
                list('{', '}', fields.iter().map(field).collect())
            }
            value => self.inline(value),
        }
    }

    /// A field of JSON over several lines.
    pub(super) fn pretty_field(self, name: &str, value: &Value, indent: usize) -> String {
        format!("{}:{}{}", self.name(name), self.gap, self.pretty(value, indent))
    }

    fn comma(self) -> &'static str {
        if self.gap.is_empty() { "," } else { ", " }
    }

    fn name(self, name: &str) -> String {
        if self.is_json || !is_plain(name) {
            Value::String(name.to_owned()).to_string()
        } else {
            name.to_owned()
        }
    }
}

/// Whether a text is an amount with a unit, which no reader takes for a number: `64Mi`, `100m`.
fn is_amount(text: &str) -> bool {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let unit = text.get(number.len()..).unwrap_or_default();
    digits(number) && ["m", "k", "M", "G", "T", "Ki", "Mi", "Gi", "Ti"].contains(&unit)
}

/// Whether a text may stand without quotes anywhere, brackets too, and is then read as itself by every reader of YAML.
fn is_plain(text: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '@' | ':' | '+');
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '_'));
    if is_amount(text) {
        return true;
    }
    begins
        && text.chars().all(good)
        && !text.ends_with(':')
        && !text.contains("://-")
        && document::means_itself(text)
}
