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
    /// Options one of which must be there, or the words mean something else: `runuser -u USER COMMAND`.
    #[serde(default)]
    pub required: Vec<String>,
    /// Options whose value is the user to become.
    #[serde(default)]
    pub user: Vec<String>,
    /// Options whose value is the group to become.
    #[serde(default)]
    pub group: Vec<String>,
    /// Options that leave out what no pod has: other groups, capabilities, new privileges.
    #[serde(default)]
    pub drops: Vec<String>,
}

/// Whom a wrapper becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switch {
    /// User, with a group behind a colon where one is named.
    pub user: Option<String>,
    /// It does nothing else that a pod spec does not do.
    pub only: bool,
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
        let found = self.read_words(words)?;
        let is_there = |option: &String| found.skipped.iter().any(|word| value_of(word, option).is_some());
        (self.required.is_empty() || self.required.iter().any(is_there)).then_some(found)
    }

    /// Whom the wrapper's own words, as [`Wrapped::skipped`] has them, ask it to become.
    pub fn switch(&self, skipped: &[String]) -> Switch {
        if self.operands == 1 {
            return Switch { user: skipped.last().cloned(), only: skipped.len() == 1 };
        }
        let (mut user, mut group, mut only) = (None, None, true);
        let mut words = skipped.iter();
        while let Some(word) = words.next() {
            // The value stands in the word or is the next one.
            let mut find = |options: &[String]| {
                let value = options.iter().find_map(|option| value_of(word, option))?;
                let is_apart = value.is_empty() && self.values.contains(word);
                Some(if is_apart { words.next().cloned().unwrap_or_default() } else { value.to_owned() })
            };
            if let Some(value) = find(&self.user) {
                user = Some(value);
            } else if let Some(value) = find(&self.group) {
                group = Some(value);
            } else if let Some(value) = find(&self.drops) {
                // `--inh-caps=-all`; what is added is needed.
                only &= value.is_empty() || value.starts_with('-');
            } else {
                only &= word == "--";
            }
        }
        if let (Some(user), Some(group)) = (&mut user, group) {
            *user = format!("{user}:{group}");
        }
        Switch { user, only }
    }

    fn read_words(&self, words: &[String]) -> Option<Wrapped> {
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
                    let inner = self.read_words(&words)?;
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

/// The value that `word` gives `option`: behind `=`, or glued to a letter; empty where it gives none itself.
fn value_of<'a>(word: &'a str, option: &str) -> Option<&'a str> {
    let rest = word.strip_prefix(option)?;
    if option.starts_with("--") && !rest.is_empty() { rest.strip_prefix('=') } else { Some(rest) }
}
