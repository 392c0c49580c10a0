//! The paths that a text names: absolute ones, those that begin with a dot, and what a word says to be one.
//!
//! Does not know what the text says of them.

use super::quotes::{Quotes, opens};

/// Words that a relative path in quotes stands behind.
const OBJECTS: [&str; 24] = [
    "chmod",
    "copy",
    "create",
    "dir",
    "directory",
    "fifo",
    "file",
    "in",
    "into",
    "link",
    "mkdir",
    "mkfifo",
    "mkstemp",
    "move",
    "of",
    "open",
    "opening",
    "remove",
    "rename",
    "rmdir",
    "template",
    "to",
    "touch",
    "unlink",
];
/// Words that something else than a path stands behind: `GET /x`.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
/// Keys of logfmt and JSON whose value is the path that an error is about.
const KEYS: [&str; 12] = [
    "path",
    "file",
    "filename",
    "file_path",
    "filepath",
    "dir",
    "directory",
    "dest",
    "target",
    "output",
    "location",
    "folder",
];

/// Longest relative path in quotes, and longest argument of a call, bytes: `NAME_MAX`; what is longer is a sentence.
const MAX_NAME: usize = 255;
/// How much before a path is looked at for the word that it stands behind, bytes.
const MAX_WORD: usize = 24;

/// A path in a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Named {
    /// Where it begins, its quote included.
    pub(super) start: usize,
    /// Behind it and its quote.
    pub(super) end: usize,
    /// Decoded.
    pub(super) path: String,
    pub(super) form: Form,
}

/// How a path stands in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Quoted,
    /// Behind the name of a function: `open(/srv/x)`.
    Argument,
    Plain,
}

/// Whether the value of `key` is a path that an error is about.
pub(super) fn is_key(key: &str) -> bool {
    KEYS.iter().any(|known| known.eq_ignore_ascii_case(key))
}

/// Whether `text` can be nothing else than a path.
pub(super) fn is_path(text: &str) -> bool {
    let is_rooted = text.len() > 1 && text.starts_with('/') && !text.starts_with("//");
    is_rooted || text.starts_with("./") || text.starts_with("../")
}

/// The paths in `text`, in order.
pub(super) fn named(text: &str) -> Vec<Named> {
    let mut quotes = Quotes::new(text);
    let mut found = Vec::new();
    let mut at = 0;
    while let Some((offset, c)) =
        text.get(at..).and_then(|rest| rest.char_indices().find(|&(_, c)| c == '/' || c == '.' || opens(c)))
    {
        let start = at + offset;
        let next = if opens(c) { in_quotes(text, start, &mut quotes) } else { plain(text, start) };
        at = next.as_ref().map_or(start + c.len_utf8(), |next| next.end);
        found.extend(next.filter(|next| !is_something_else(text, next)));
    }
    found
}

/// The relative or absolute path in the quotes that open at `start`.
fn in_quotes(text: &str, start: usize, quotes: &mut Quotes<'_>) -> Option<Named> {
    let head = text.get(..start)?;
    // Within a word it is an apostrophe; Python's bytes have a `b` before.
    let head = head.strip_suffix('b').filter(|head| head.ends_with([' ', '('])).unwrap_or(head);
    if !is_boundary(head) {
        return None;
    }
    // Whether it is one is told by its beginning: what is read as far as its end must not be read again from within.
    let raw = quotes.raw(start)?;
    if is_path(raw) {
        let read = quotes.read(start)?;
        return Some(Named { start, end: read.end, path: read.text, form: Form::Quoted });
    }
    if raw.is_empty() || raw.len() > MAX_NAME || raw.starts_with('/') || raw.contains(['(', '{']) {
        return None;
    }
    let before = last(head, MAX_WORD).trim_end_matches([' ', '(']);
    let word = before.rsplit([' ', '(']).next().unwrap_or_default();
    let word = word.trim_end_matches("()").to_ascii_lowercase();
    let read = quotes.read(start)?;
    let is_clause = word.ends_with(':') && text.get(read.end..)?.starts_with(": ");
    (is_clause || OBJECTS.contains(&word.as_str())).then_some(Named {
        start,
        end: read.end,
        path: read.text,
        form: Form::Quoted,
    })
}

/// The path that begins at `start` and that no quote ends.
fn plain(text: &str, start: usize) -> Option<Named> {
    let (head, rest) = (text.get(..start)?, text.get(start..)?);
    let is_open = head.ends_with(opens);
    if !is_boundary(head) && !is_open || !(rest.starts_with('/') || is_path(rest)) {
        return None;
    }
    let function = head.strip_suffix(['(', ',']).and_then(|head| head.chars().next_back());
    let is_argument = function.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '/');
    let argument = if is_argument { end_of_argument(rest) } else { None };
    let end = argument.or_else(|| {
        rest.char_indices().find_map(|(at, c)| {
            let behind = rest.get(at + c.len_utf8()..).and_then(|rest| rest.chars().next());
            let ends = match c {
                ':' | ',' | ';' | '.' => behind.is_none_or(char::is_whitespace),
                ')' | ']' | '"' | '\'' | '`' | '>' | '’' | '”' | '»' | '(' | '{' | '}' => true,
                c => c.is_whitespace(),
            };
            ends.then_some(at)
        })
    });
    let path = rest.get(..end.unwrap_or(rest.len()))?;
    let form = if is_argument { Form::Argument } else { Form::Plain };
    is_path(path).then(|| Named { start, end: start + path.len(), path: path.to_owned(), form })
}

/// The last bytes of `text`, at most `length` and whole characters.
pub(super) fn last(text: &str, length: usize) -> &str {
    let from = text.len().saturating_sub(length);
    (from..=text.len()).find_map(|from| text.get(from..)).unwrap_or_default()
}

/// How much of `rest`, an argument without quotes, stands before the next one or the end of the call.
fn end_of_argument(rest: &str) -> Option<usize> {
    rest.bytes().take(MAX_NAME).position(|byte| byte == b',' || byte == b')')
}

fn is_boundary(head: &str) -> bool {
    head.chars()
        .next_back()
        .is_none_or(|c| c.is_whitespace() || matches!(c, '(' | '[' | '{' | '=' | ':' | ',' | '<' | '|' | '>'))
}

/// A place in a source (`/app/a.rb:3`), what was asked for (`GET /x`), the value of another key (`config=/etc/x`).
fn is_something_else(text: &str, named: &Named) -> bool {
    let head = last(text.get(..named.start).unwrap_or_default(), MAX_WORD);
    let mut words = head.trim_end().rsplit([' ', '"']);
    let is_asked = words.next().is_some_and(|word| METHODS.contains(&word));
    let is_value = head.trim_end_matches('"').strip_suffix('=').is_some_and(|head| {
        let key = head.rsplit(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
        !is_key(key)
    });
    is_asked || is_value || (named.form == Form::Plain && is_source(&named.path))
}

/// Whether `path` ends in the number of a line.
fn is_source(path: &str) -> bool {
    path.split(':').skip(1).any(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str) -> Vec<String> {
        named(text).into_iter().map(|named| named.path).collect()
    }

    #[test]
    fn paths_stand_in_quotes_in_calls_and_alone() {
        let cases: [(&str, &[&str]); 9] = [
            ("cannot move '/a b' to 'c': ", &["/a b", "c"]),
            ("rename(/a x,/b y): ", &["/a x", "/b y"]),
            ("open(/a, O_RDWR) failed", &["/a"]),
            ("Can't create ./x. ", &["./x"]),
            ("log stdio:/var/log/x: ", &["/var/log/x"]),
            ("path=/a config=/b dir=\"/c\" ", &["/a", "/c"]),
            ("/a.rb:3:in `write': ", &[]),
            ("see https://example.com/x or GET /y", &[]),
            ("b'/a' don't 'b' won't", &["/a"]),
        ];
        for (text, expected) in cases {
            assert_eq!(paths(text), expected, "{text}");
        }
    }
}
