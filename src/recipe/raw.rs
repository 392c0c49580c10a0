//! Reads TOML tables key by key and collects everything that is wrong instead of stopping at the first.
//!
//! Knows TOML's shapes and where in the text they stand, not what a recipe means.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::check::Problem;

/// What is wrong so far.
pub(super) struct Problems<'t> {
    text: &'t str,
    found: Vec<Problem>,
}

impl<'t> Problems<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, found: Vec::new() }
    }

    /// Notes that something at `span` is wrong.
    pub(super) fn add(&mut self, span: &Range<usize>, message: impl Into<String>) {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line = before.bytes().filter(|&byte| byte == b'\n').count() + 1;
        self.found.push(Problem { line: Some(line), message: message.into() });
    }

    /// Whether anything is wrong so far.
    pub(super) fn any(&self) -> bool {
        !self.found.is_empty()
    }

    /// All problems, by line; without a line first.
    pub(super) fn into_sorted(mut self) -> Vec<Problem> {
        self.found.sort();
        self.found.dedup();
        self.found
    }
}

/// Parses a document as far as it can be read.
pub(super) fn document<'t>(text: &'t str, problems: &mut Problems<'t>) -> Spanned<DeTable<'t>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        problems.add(&error.span().unwrap_or(0..0), error.message());
    }
    table
}

/// A table whose keys are taken one by one; what is left over is unknown.
pub(super) struct Table<'a> {
    keys: BTreeMap<&'a str, (Range<usize>, &'a Spanned<DeValue<'a>>)>,
    known: Vec<&'static str>,
    span: Range<usize>,
    /// What this is, for messages: `the recipe`, `[[writable]]`.
    what: &'static str,
}

impl<'a> Table<'a> {
    pub(super) fn new(table: &'a DeTable<'a>, span: Range<usize>, what: &'static str) -> Self {
        let keys = table.iter().map(|(key, value)| (key.get_ref().as_ref(), (key.span(), value))).collect();
        Self { keys, known: Vec::new(), span, what }
    }

    /// Where the table stands.
    pub(super) fn span(&self) -> &Range<usize> {
        &self.span
    }

    /// Takes the value of `key`.
    pub(super) fn take(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.known.push(key);
        self.keys.remove(key).map(|(_, value)| value)
    }

    /// Takes a string that must be there and must not be blank.
    pub(super) fn string(&mut self, key: &'static str, problems: &mut Problems<'_>) -> Spanned<String> {
        let value = self.take(key);
        self.require(key, value, problems).unwrap_or_else(|| Spanned::new(self.span.clone(), String::new()))
    }

    /// Takes a string that may be absent.
    pub(super) fn optional(
        &mut self,
        key: &'static str,
        problems: &mut Problems<'_>,
    ) -> Option<Spanned<String>> {
        let value = self.take(key)?;
        text(value, key, problems)
    }

    /// Takes an integer that may be absent.
    pub(super) fn integer(&mut self, key: &'static str, problems: &mut Problems<'_>) -> Option<Spanned<i64>> {
        let value = self.take(key)?;
        let number = match value.get_ref() {
            DeValue::Integer(digits) => i64::from_str_radix(digits.as_str(), digits.radix()).ok(),
            _ => None,
        };
        if number.is_none() {
            problems.add(&value.span(), format!("`{key}` must be an integer"));
        }
        number.map(|number| Spanned::new(value.span(), number))
    }

    /// Takes a list of strings; absent is empty.
    pub(super) fn strings(&mut self, key: &'static str, problems: &mut Problems<'_>) -> Vec<Spanned<String>> {
        self.take(key).map(|value| strings(value, key, problems)).unwrap_or_default()
    }

    /// Takes a list of strings that must be there and must not be empty.
    pub(super) fn some_strings(
        &mut self,
        key: &'static str,
        problems: &mut Problems<'_>,
    ) -> Vec<Spanned<String>> {
        let list = self.strings(key, problems);
        if list.is_empty() {
            problems.add(&self.span, format!("`{key}` of {} is missing or empty", self.what));
        }
        list
    }

    /// Takes a list of tables; absent is empty.
    pub(super) fn tables(
        &mut self,
        key: &'static str,
        what: &'static str,
        problems: &mut Problems<'_>,
    ) -> Vec<Table<'a>> {
        let Some(value) = self.take(key) else { return Vec::new() };
        let DeValue::Array(array) = value.get_ref() else {
            problems.add(&value.span(), format!("`{key}` must be a list of tables: write `[[{key}]]`"));
            return Vec::new();
        };
        array.iter().filter_map(|item| table(item, key, what, problems)).collect()
    }

    /// Takes a table that may be absent.
    pub(super) fn table(
        &mut self,
        key: &'static str,
        what: &'static str,
        problems: &mut Problems<'_>,
    ) -> Option<Table<'a>> {
        self.take(key).and_then(|value| table(value, key, what, problems))
    }

    /// Takes all keys with their values as text.
    pub(super) fn pairs(mut self, problems: &mut Problems<'_>) -> Vec<(Spanned<String>, String)> {
        std::mem::take(&mut self.keys)
            .into_iter()
            .filter_map(|(key, (span, value))| {
                let value = text(value, key, problems)?;
                Some((Spanned::new(span, key.to_owned()), value.into_inner()))
            })
            .collect()
    }

    /// Complains about every key that nobody took.
    pub(super) fn finish(self, problems: &mut Problems<'_>) {
        for (key, (span, _)) in self.keys {
            problems.add(
                &span,
                format!("unknown key `{key}` in {}; known are `{}`", self.what, self.known.join("`, `")),
            );
        }
    }

    fn require(
        &self,
        key: &'static str,
        value: Option<&'a Spanned<DeValue<'a>>>,
        problems: &mut Problems<'_>,
    ) -> Option<Spanned<String>> {
        let Some(value) = value else {
            problems.add(&self.span, format!("`{key}` of {} is missing", self.what));
            return None;
        };
        let found = text(value, key, problems)?;
        if found.get_ref().trim().is_empty() {
            problems.add(&value.span(), format!("`{key}` of {} is empty", self.what));
        }
        Some(found)
    }
}

fn table<'a>(
    value: &'a Spanned<DeValue<'a>>,
    key: &str,
    what: &'static str,
    problems: &mut Problems<'_>,
) -> Option<Table<'a>> {
    let DeValue::Table(table) = value.get_ref() else {
        problems.add(&value.span(), format!("`{key}` must be a table"));
        return None;
    };
    Some(Table::new(table, value.span(), what))
}

/// The text of a string value.
pub(super) fn text(
    value: &Spanned<DeValue<'_>>,
    key: &str,
    problems: &mut Problems<'_>,
) -> Option<Spanned<String>> {
    let DeValue::String(string) = value.get_ref() else {
        problems.add(&value.span(), format!("`{key}` must be a string"));
        return None;
    };
    Some(Spanned::new(value.span(), string.clone().into_owned()))
}

/// The texts of a list of strings.
pub(super) fn strings(
    value: &Spanned<DeValue<'_>>,
    key: &str,
    problems: &mut Problems<'_>,
) -> Vec<Spanned<String>> {
    let DeValue::Array(array) = value.get_ref() else {
        problems.add(&value.span(), format!("`{key}` must be a list of strings"));
        return Vec::new();
    };
    array.iter().filter_map(|item| text(item, key, problems)).collect()
}
