//! Fields of a document, taken one by one; what nobody took is an error.
//!
//! Knows kinds of values, not their meaning.

use serde_json::{Map, Value};

use super::GivenError;

/// The fields of one object, and where it stands.
#[derive(Debug)]
pub(super) struct Fields {
    at: String,
    map: Map<String, Value>,
}

impl Fields {
    /// Those of `value`, which stands at `at`; nothing at all is an object without fields.
    pub(super) fn new(at: impl Into<String>, value: Value) -> Result<Self, GivenError> {
        let at = at.into();
        match value {
            Value::Object(map) => Ok(Self { at, map }),
            Value::Null => Ok(Self { at, map: Map::new() }),
            _ => Err(GivenError::Kind { at, expected: "an object" }),
        }
    }

    /// Where the field `key` stands.
    pub(super) fn at(&self, key: &str) -> String {
        if self.at.is_empty() { key.to_owned() } else { format!("{}.{key}", self.at) }
    }

    /// Whether it says anything of `key`, if only nothing.
    pub(super) fn has(&self, key: &str) -> bool {
        self.map.contains_key(key)
    }

    /// The value; a field without one is not there.
    pub(super) fn take(&mut self, key: &str) -> Option<Value> {
        self.map.remove(key).filter(|value| !value.is_null())
    }

    /// Names of all that nobody took yet.
    pub(super) fn names(&self) -> Vec<String> {
        self.map.keys().cloned().collect()
    }

    /// A text.
    pub(super) fn text(&mut self, key: &str) -> Result<Option<String>, GivenError> {
        let at = self.at(key);
        self.take(key).map(|value| text(at, value)).transpose()
    }

    /// A text that must be there.
    pub(super) fn needed(&mut self, key: &str) -> Result<String, GivenError> {
        self.text(key)?.ok_or_else(|| GivenError::Missing(self.at(key)))
    }

    /// `true` or `false`; `false` where nothing is said.
    pub(super) fn truth(&mut self, key: &str) -> Result<bool, GivenError> {
        Ok(self.told(key)?.unwrap_or(false))
    }

    /// `true` or `false`, where it is said.
    pub(super) fn told(&mut self, key: &str) -> Result<Option<bool>, GivenError> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Bool(told)) => Ok(Some(told)),
            Some(_) => Err(GivenError::Kind { at: self.at(key), expected: "`true` or `false`" }),
        }
    }

    /// A number that is no less than 0.
    pub(super) fn number<N: TryFrom<u64>>(&mut self, key: &str) -> Result<Option<N>, GivenError> {
        let at = self.at(key);
        self.take(key).map(|value| number(at, &value)).transpose()
    }

    /// Numbers.
    pub(super) fn numbers<N: TryFrom<u64>>(&mut self, key: &str) -> Result<Vec<N>, GivenError> {
        self.list(key)?.into_iter().map(|(at, value)| number(at, &value)).collect()
    }

    /// Texts.
    pub(super) fn texts(&mut self, key: &str) -> Result<Vec<String>, GivenError> {
        self.list(key)?.into_iter().map(|(at, value)| text(at, value)).collect()
    }

    /// A list, each with where it stands.
    pub(super) fn list(&mut self, key: &str) -> Result<Vec<(String, Value)>, GivenError> {
        let at = self.at(key);
        match self.take(key) {
            None => Ok(Vec::new()),
            Some(Value::Array(list)) => Ok(list
                .into_iter()
                .enumerate()
                .map(|(index, value)| (format!("{at}[{index}]"), value))
                .collect()),
            Some(_) => Err(GivenError::Kind { at, expected: "a list" }),
        }
    }

    /// An object; without fields where it is not there.
    pub(super) fn fields(&mut self, key: &str) -> Result<Self, GivenError> {
        let at = self.at(key);
        Self::new(at, self.take(key).unwrap_or(Value::Null))
    }

    /// Passes over fields that do not change how a container runs.
    pub(super) fn pass(&mut self, keys: &[&str]) {
        self.map.retain(|key, _| !keys.contains(&key.as_str()));
    }

    /// A field that must not say `true`: kiln's sandbox has nothing like it.
    pub(super) fn refuse(&mut self, keys: &[&str]) -> Result<(), GivenError> {
        for key in keys {
            if self.truth(key)? {
                return Err(self.value(key, "true", "is not possible in kiln's sandbox"));
            }
        }
        Ok(())
    }

    /// What is wrong with the value of `key`.
    pub(super) fn value(&self, key: &str, value: impl Into<String>, why: &'static str) -> GivenError {
        GivenError::Value { at: self.at(key), value: value.into(), why }
    }

    /// Says what nobody took.
    pub(super) fn done(self) -> Result<(), GivenError> {
        match self.map.iter().find(|(_, value)| !value.is_null()) {
            Some((key, _)) => Err(GivenError::Unknown(self.at(key))),
            None => Ok(()),
        }
    }
}

fn text(at: String, value: Value) -> Result<String, GivenError> {
    match value {
        Value::String(text) => Ok(text),
        _ => Err(GivenError::Kind { at, expected: "a text" }),
    }
}

fn number<N: TryFrom<u64>>(at: String, value: &Value) -> Result<N, GivenError> {
    let number = value.as_u64().and_then(|number| N::try_from(number).ok());
    number.ok_or(GivenError::Kind { at, expected: "a number that is not too large" })
}
