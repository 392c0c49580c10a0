//! Configuration files of servers, read as lists of settings with the place where each stands.
//!
//! Knows grammars, not directives: what a setting means is its recipe's to say. Follows includes inside the image only.

mod apache;
mod caddy;
mod glob;
mod lines;
mod nginx;
mod yaml;

use std::collections::BTreeSet;

use super::Inputs;
use super::command_line::CommandLine;
use crate::path::ImagePath;
use crate::recipe::Syntax;
use crate::rootfs::Rootfs;

pub(super) use glob::matches as glob_matches;

/// Most files read for one piece of software, included ones counted: more is a loop or an attack.
const MAX_FILES: usize = 512;
/// Deepest chain of includes.
const MAX_DEPTH: usize = 16;
/// Most settings kept of one piece of software.
const MAX_SETTINGS: usize = 50_000;

/// One setting of a configuration file or of the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    /// Its name; for YAML the dotted path.
    pub name: String,
    /// Its value, split into words as the grammar does; one word for `Ini` and `Yaml`.
    pub words: Vec<String>,
    /// `FILE:LINE`, or what else tells where it stands.
    pub source: String,
    /// Directory that relative paths are taken from.
    pub base: String,
}

impl Setting {
    /// As a person would write it.
    pub fn text(&self) -> String {
        format!("{} {}", self.name, self.words.join(" "))
    }
}

/// Reads `file` and what it includes; nothing where its bytes were not kept.
pub(super) fn read(
    inputs: &Inputs<'_>,
    syntax: Syntax,
    file: &ImagePath,
    line: &CommandLine,
) -> Vec<Setting> {
    let mut reader = Reader { rootfs: inputs.rootfs, seen: BTreeSet::new(), out: Vec::new() };
    match syntax {
        Syntax::Nginx => nginx::read(&mut reader, file, line),
        Syntax::Apache => apache::read(&mut reader, inputs, file, line),
        Syntax::Words => lines::read_words(&mut reader, file, inputs.working_dir),
        Syntax::Ini => lines::read_ini(&mut reader, file),
        Syntax::Lines => lines::read_lines(&mut reader, file, inputs.working_dir),
        Syntax::Yaml => yaml::read(&mut reader, file, inputs.working_dir),
        Syntax::Caddy => caddy::read(&mut reader, file),
    }
    reader.out
}

/// Settings that stand on the command line, in the place where they would override a file's.
pub(super) fn read_command_line(inputs: &Inputs<'_>, syntax: Syntax, line: &CommandLine) -> Vec<Setting> {
    let mut reader = Reader { rootfs: inputs.rootfs, seen: BTreeSet::new(), out: Vec::new() };
    match syntax {
        Syntax::Nginx => {
            for text in line.values(&["-g"]) {
                nginx::read_text(&mut reader, text, line.prefix());
            }
        }
        Syntax::Apache => {
            for text in line.values(&["-C", "-c"]) {
                apache::read_text(&mut reader, inputs, text, line);
            }
        }
        Syntax::Words => lines::words_of_command_line(&mut reader, line, inputs.working_dir),
        Syntax::Ini => lines::ini_of_command_line(&mut reader, line, inputs.working_dir),
        Syntax::Lines | Syntax::Yaml | Syntax::Caddy => {}
    }
    reader.out
}

/// What all grammars share: the files seen and the settings found.
struct Reader<'a> {
    rootfs: &'a Rootfs,
    seen: BTreeSet<ImagePath>,
    out: Vec<Setting>,
}

impl Reader<'_> {
    /// The text of `file`, unless it was read before or too much was.
    fn open(&mut self, file: &ImagePath, depth: usize) -> Option<String> {
        let resolved = self.rootfs.resolve(file)?.path;
        if depth > MAX_DEPTH || self.seen.len() >= MAX_FILES || !self.seen.insert(resolved.clone()) {
            return None;
        }
        Some(String::from_utf8_lossy(&self.rootfs.bytes(&resolved)?).into_owned())
    }

    fn push(&mut self, setting: Setting) {
        if self.out.len() < MAX_SETTINGS {
            self.out.push(setting);
        }
    }

    /// Files that an include `pattern` names, relative ones below `base`; by name.
    fn included(&self, pattern: &str, base: &str) -> Vec<ImagePath> {
        glob::expand(self.rootfs, pattern, base)
    }
}

/// `FILE:LINE`.
fn place_of(file: &ImagePath, line: usize) -> String {
    format!("{file}:{line}")
}

/// The directory of `file`, as text with a leading `/`.
fn directory_of(file: &ImagePath) -> String {
    file.parent().map_or_else(|| "/".to_owned(), |parent| parent.to_string())
}

/// What relative values of a main configuration file are most likely relative to: the directory above
/// `conf`, else the file's own.
fn prefix_of(file: &ImagePath) -> String {
    let Some(directory) = file.parent() else { return "/".to_owned() };
    match directory.parent() {
        Some(above) if directory.name() == b"conf" => above.to_string(),
        _ => directory.to_string(),
    }
}

/// Splits `text` into words at blanks; `"` and `'` hold blanks together, `\` escapes within `"`.
fn split_words(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut word = String::new();
    let mut quote: Option<char> = None;
    let mut started = false;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some('"'), '\\') => word.extend(chars.next()),
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => (quote, started) = (Some(c), true),
            (None, c) if c.is_whitespace() => {
                if started || !word.is_empty() {
                    out.push(std::mem::take(&mut word));
                }
                started = false;
            }
            (_, c) => word.push(c),
        }
    }
    if started || !word.is_empty() {
        out.push(word);
    }
    out
}

#[cfg(test)]
mod tests;
