//! Programs that start their arguments, and how to find where those begin.
//!
//! Knows words, not files: which program a word means is for the caller to find.

use serde::Deserialize;

/// What a wrapper is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WrapperKind {
    /// Reaps children and passes signals on: `tini`. The pod's runtime does that as well.
    Init,
    /// Starts its arguments as another user: `gosu`. The pod's `runAsUser` does that.
    UserSwitch,
    /// Sets variables: `env`.
    Environment,
    /// Sets priorities, buffers, processors: `nice`.
    Settings,
}

/// A program that starts its arguments.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wrapper {
    /// File names of the program.
    pub names: Vec<String>,
    /// What it is for.
    pub kind: WrapperKind,
    /// Options that take the next word as their value.
    #[serde(default)]
    pub values: Vec<String>,
    /// Words between the options and the command: gosu's user.
    #[serde(default)]
    pub operands: usize,
    /// `NAME=VALUE` words may stand before the command.
    #[serde(default)]
    pub assignments: bool,
    /// Options whose value is itself a command line: `env -S`.
    #[serde(default)]
    pub split: Vec<String>,
    /// Options after which it starts nothing.
    #[serde(default)]
    pub terminal: Vec<String>,
}

/// What a wrapper's words ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrapped {
    /// Words of the wrapper itself after its name: options, operands, `--`.
    pub skipped: Vec<String>,
    /// Variables that `env` sets, in order.
    pub assignments: Vec<(String, String)>,
    /// The command: never empty.
    pub command: Vec<String>,
}

impl Wrapper {
    /// Finds the command in the words after the wrapper's name.
    ///
    /// `None` where it starts nothing or where the words cannot be told apart with certainty.
    pub fn unwrap_words(&self, words: &[String]) -> Option<Wrapped> {
        let mut found = Wrapped { skipped: Vec::new(), assignments: Vec::new(), command: Vec::new() };
        let mut rest = words.iter();
        let mut operands = self.operands;
        let mut options = true;
        while let Some(word) = rest.next() {
            if options && word == "--" {
                options = false;
                found.skipped.push(word.clone());
            } else if options && word.len() > 1 && word.starts_with('-') {
                if self.terminal.contains(word) {
                    return None;
                }
                if self.values.contains(word) {
                    found.skipped.push(word.clone());
                    found.skipped.push(rest.next()?.clone());
                } else if let Some(line) = self.split_value(word) {
                    found.skipped.push(word.clone());
                    let line = if line.is_empty() { rest.next()?.as_str() } else { line };
                    // Quotes and escapes of `env -S` are left to a person.
                    if line.contains(['"', '\'', '\\', '$', '#']) {
                        return None;
                    }
                    let mut words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
                    words.extend(rest.cloned());
                    let inner = self.unwrap_words(&words)?;
                    found.assignments.extend(inner.assignments);
                    found.command = inner.command;
                    return Some(found);
                } else {
                    found.skipped.push(word.clone());
                }
            } else if self.assignments
                && operands == 0
                && let Some((name, value)) = word.split_once('=')
                && !name.is_empty()
            {
                options = false;
                found.assignments.push((name.to_owned(), value.to_owned()));
            } else if operands > 0 {
                operands -= 1;
                found.skipped.push(word.clone());
                // As getopt with a leading `+`: the command's own options are not the wrapper's.
                options = false;
            } else {
                found.command = std::iter::once(word.clone()).chain(rest.cloned()).collect();
                return Some(found);
            }
        }
        None
    }

    fn split_value<'a>(&self, word: &'a str) -> Option<&'a str> {
        self.split.iter().find_map(|option| {
            let value = word.strip_prefix(option.as_str())?;
            Some(value.strip_prefix('=').unwrap_or(value))
        })
    }
}
