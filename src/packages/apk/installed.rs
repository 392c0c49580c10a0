//! The syntax of `installed`: stanzas of one-letter fields, and files below their directories (apk-tools,
//! `src/database.c`).
//!
//! Knows lines and what belongs together; what a field means for the image is `packages::apk`'s.

use crate::packages::stanzas::split_stanzas;
use crate::path::ImagePath;

/// One package, with the blank lines that follow it: the stanzas of a text are the text.
#[derive(Debug, Clone, Copy)]
pub struct Stanza<'a> {
    bytes: &'a [u8],
}

/// Lines of a stanza that stay or go together; all parts of a stanza are the stanza.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part<'a> {
    /// A field of the package, or what means nothing here.
    Field(&'a [u8]),
    /// `F:` and its owner and mode (`M:`).
    Directory {
        /// As written; `None` where it is no path.
        path: Option<ImagePath>,
        /// The lines.
        bytes: &'a [u8],
    },
    /// `R:`, a file or link in the directory before it, with owner and mode (`a:`) and checksum (`Z:`).
    File {
        /// As written, with its directory; `None` where it is no path.
        path: Option<ImagePath>,
        /// The lines.
        bytes: &'a [u8],
    },
}

/// Splits a text into its stanzas; blank lines before the first belong to it.
pub fn parse_installed(text: &[u8]) -> impl Iterator<Item = Stanza<'_>> {
    split_stanzas(text, is_blank).map(|bytes| Stanza { bytes })
}

impl<'a> Stanza<'a> {
    /// All its bytes.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The value of the package's field `letter`; the first, if there are several.
    pub fn field(&self, letter: u8) -> Option<&'a [u8]> {
        lines(self.bytes)
            .map(split)
            .take_while(|(field, _)| *field != Some(b'F'))
            .find(|(field, _)| *field == Some(letter))
            .map(|(_, value)| value)
    }

    /// The package's name, where it is one.
    pub fn name(&self) -> Option<String> {
        let name = std::str::from_utf8(self.field(b'P')?).ok()?;
        (!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic())).then(|| name.to_owned())
    }

    /// What identifies the package in `triggers` and `scripts.tar`.
    pub fn checksum(&self) -> Option<&'a [u8]> {
        self.field(b'C').filter(|sum| !sum.is_empty())
    }

    /// Its lines, by what belongs together.
    pub fn parts(&self) -> impl Iterator<Item = Part<'a>> + use<'a> {
        let mut rest = self.bytes;
        let mut directory: Option<&'a [u8]> = None;
        std::iter::from_fn(move || {
            let first = rest.split_inclusive(|&byte| byte == b'\n').next()?;
            let (field, value) = split(first);
            let more: &[u8] = match field {
                Some(b'F') => b"M",
                Some(b'R') if directory.is_some() => b"aZ",
                _ => b"",
            };
            let mut end = first.len();
            for line in rest.split_inclusive(|&byte| byte == b'\n').skip(1) {
                if !split(line).0.is_some_and(|field| more.contains(&field)) {
                    break;
                }
                end += line.len();
            }
            let (bytes, tail) = rest.split_at(end);
            rest = tail;
            Some(match (field, directory) {
                (Some(b'F'), _) => {
                    directory = Some(value);
                    Part::Directory { path: ImagePath::parse(value).ok(), bytes }
                }
                (Some(b'R'), Some(directory)) => {
                    let path = (!value.is_empty() && !value.contains(&b'/'))
                        .then(|| ImagePath::parse(&[directory, b"/", value].concat()).ok())
                        .flatten();
                    Part::File { path, bytes }
                }
                _ => Part::Field(bytes),
            })
        })
    }
}

/// Bare names of a list of dependencies or provides: versions and repository tags dropped, conflicts left out.
pub(super) fn names(list: &[u8]) -> Vec<String> {
    list.split(u8::is_ascii_whitespace).filter_map(name_of).collect()
}

/// The name in one `name>=1.2@tag`; `None` for a conflict (`!name`).
pub(super) fn name_of(relation: &[u8]) -> Option<String> {
    let end = relation
        .iter()
        .position(|byte| matches!(byte, b'=' | b'<' | b'>' | b'~' | b'@'))
        .unwrap_or(relation.len());
    let name = relation.get(..end).filter(|name| !name.is_empty() && !name.starts_with(b"!"))?;
    Some(String::from_utf8_lossy(name).into_owned())
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split_inclusive(|&byte| byte == b'\n')
}

/// Field and value of a line.
fn split(line: &[u8]) -> (Option<u8>, &[u8]) {
    let text = line.strip_suffix(b"\n").unwrap_or(line);
    match text {
        [field, b':', value @ ..] => (Some(*field), value),
        _ => (None, text),
    }
}

/// apk ends a package at a line that is too short for a field.
fn is_blank(line: &[u8]) -> bool {
    line.strip_suffix(b"\n").unwrap_or(line).len() < 2
}
