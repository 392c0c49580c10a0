//! One line of a log: whether it tells of a read-only file system, and of which path.
//!
//! Knows how messages are put together, not who wrote them: the path stands in quotes or free, before or behind the words.

use serde_json::Value;

/// The words for `EROFS`, in small letters: of libc, Go and Node; of Node and others; of Rust; of Erlang.
const WORDS: [&str; 5] =
    ["read-only file system", "erofs", "readonlyfilesystem", "read-only filesystem", "read only file system"];

/// What was denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// A file, or a name, at the path.
    Write,
    /// To make the path as a directory.
    MakeDirectory,
    /// Something in the directory at the path.
    InDirectory,
}

/// An error of a read-only file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// Absolute; none where the line does not tell one.
    pub path: Option<String>,
    /// What was tried.
    pub act: Act,
}

/// What `line` tells of a read-only file system; mostly nothing, of a line of JSON each message once.
pub fn read_line(line: &str) -> Vec<Denied> {
    if !mentions(line) {
        return Vec::new();
    }
    let mut found = Vec::new();
    let json = line.find('{').and_then(|at| serde_json::from_str::<Value>(line.get(at..)?).ok());
    match json {
        Some(value) => texts(&value, &mut |text| found.extend(read_text(text))),
        None => found.extend(read_text(line)),
    }
    // A logger says the message, and the error in a field of its own.
    if found.iter().any(|denied| denied.path.is_some()) {
        found.retain(|denied| denied.path.is_some());
    }
    found.dedup();
    found
}

fn mentions(text: &str) -> bool {
    let small = text.to_ascii_lowercase();
    WORDS.iter().any(|words| small.contains(words))
}

/// Every text in a value of JSON.
fn texts(value: &Value, act: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => text.lines().filter(|line| mentions(line)).for_each(act),
        Value::Array(items) => items.iter().for_each(|item| texts(item, act)),
        Value::Object(fields) => fields.values().for_each(|value| texts(value, act)),
        _ => {}
    }
}

fn read_text(text: &str) -> Option<Denied> {
    let small = text.to_ascii_lowercase();
    let (at, words) = WORDS.iter().filter_map(|words| Some((small.find(words)?, words))).min()?;
    // Node says both: `EROFS: read-only file system, open '/x'`.
    let end = WORDS.iter().filter_map(|words| Some(small.rfind(words)? + words.len())).max();
    let end = end.unwrap_or(at + words.len());
    let paths = paths(text);
    let before = paths.iter().rfind(|path| path.end <= at && !path.is_program(text));
    let mut behind = paths.iter().filter(|path| path.start >= end);
    // `rename '/a' -> '/b'`: what is made is the second.
    let is_move = text.get(end..).is_some_and(|rest| rest.contains("' -> '") || rest.contains("\" -> \""));
    let behind = if is_move { behind.nth(1) } else { behind.next() };
    // Words that begin the message are followed by the path; else it stands before them.
    let is_first = text.get(..at).is_none_or(|head| {
        let head = head.trim_end();
        head.ends_with("(30)") || head.ends_with("[Errno 30]") || head.ends_with("EROFS:")
    });
    let path = if is_first { behind.or(before) } else { before.or(behind) };
    let Some(path) = path else { return Some(Denied { path: None, act: Act::Write }) };
    let head = small.get(..path.start).unwrap_or_default();
    let makes = ["mkdir", "create directory", "make directory", "creating directory", "create the directory"];
    let near = &head[floor(head, head.len().saturating_sub(40))..];
    let act = if makes.iter().any(|word| near.contains(word)) {
        Act::MakeDirectory
    } else if near.ends_with("dir ") || near.ends_with("directory ") {
        Act::InDirectory
    } else {
        Act::Write
    };
    Some(Denied { path: Some(path.text.clone()), act })
}

/// The nearest beginning of a character at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    (0..=at).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

/// An absolute path in a text.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    start: usize,
    end: usize,
    text: String,
}

impl Found {
    /// Whether it begins the text as the name of who speaks: `/bin/sh: 1: cannot create …`.
    fn is_program(&self, text: &str) -> bool {
        let behind = text.get(self.end..).unwrap_or_default();
        let speaks = behind.strip_prefix(": ").is_some_and(|rest| {
            let word = rest.split([' ', ':']).next().unwrap_or_default();
            word == "line"
                || word == "cannot"
                || (!word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit()))
        });
        speaks || self.text.contains("://")
    }
}

/// The absolute paths in `text`, in order.
fn paths(text: &str) -> Vec<Found> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(offset) = text.get(at..).and_then(|rest| rest.find('/')) {
        let start = at + offset;
        let before = text.get(..start).and_then(|head| head.chars().next_back());
        let quote = before.filter(|c| matches!(c, '\'' | '"' | '`' | '‘' | '“' | '«'));
        let is_start =
            before.is_none_or(|c| c.is_whitespace() || matches!(c, '(' | '[' | '=' | ':' | ',' | '<'));
        if quote.is_none() && !is_start {
            // In the middle of a word: a relative path, or an address.
            at = start + 1;
            continue;
        }
        let rest = text.get(start..).unwrap_or_default();
        let length = match quote {
            Some(quote) => quoted(rest, quote),
            None => plain(rest),
        };
        let end = start + length;
        let path = text.get(start..end).unwrap_or_default();
        if path.len() > 1 && !path.starts_with("//") {
            found.push(Found { start, end, text: path.to_owned() });
        }
        at = end.max(start + 1);
    }
    found
}

/// How much of `rest` stands before the quote that closes it.
fn quoted(rest: &str, quote: char) -> usize {
    let close = match quote {
        '‘' => '’',
        '“' => '”',
        '«' => '»',
        // `a' as glibc once quoted.
        '`' => '\'',
        other => other,
    };
    let end = rest.find([close, quote, '\n']);
    end.unwrap_or_else(|| plain(rest))
}

/// How much of `rest` is a path that no quote ends.
fn plain(rest: &str) -> usize {
    let mut end = rest.len();
    for (at, c) in rest.char_indices() {
        let behind = rest.get(at + c.len_utf8()..).and_then(|rest| rest.chars().next());
        let stops = match c {
            ':' | ',' | ';' | '.' => behind.is_none_or(char::is_whitespace),
            c => {
                c.is_whitespace()
                    || matches!(c, ')' | ']' | '"' | '\'' | '`' | '>' | '’' | '”' | '(' | '{' | '}')
            }
        };
        if stops {
            end = at;
            break;
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(line: &str) -> Vec<(Option<String>, Act)> {
        read_line(line).into_iter().map(|denied| (denied.path, denied.act)).collect()
    }

    #[test]
    fn paths_are_found_where_each_runtime_says_them() {
        let cases = [
            ("touch: cannot touch '/srv/x y': Read-only file system", "/srv/x y"),
            ("/bin/sh: 1: cannot create /srv/x: Read-only file system", "/srv/x"),
            ("/entry.sh: line 3: /srv/x: Read-only file system", "/srv/x"),
            ("2026/01/01 open /srv/x: read-only file system", "/srv/x"),
            ("java.io.FileNotFoundException: /srv/x.log (Read-only file system)", "/srv/x.log"),
            ("java.nio.file.FileSystemException: /srv/x: Read-only file system", "/srv/x"),
            ("Error: EROFS: read-only file system, open '/srv/x'", "/srv/x"),
            ("Error: EROFS: read-only file system, rename '/a/x' -> '/srv/x'", "/srv/x"),
            ("OSError: [Errno 30] Read-only file system: '/srv/x'", "/srv/x"),
            ("System.IO.IOException: Read-only file system : '/srv/x'", "/srv/x"),
            ("Read-only file system @ rb_sysopen - /srv/x (Errno::EROFS)", "/srv/x"),
            ("nginx: [emerg] open() \"/srv/x\" failed (30: Read-only file system)", "/srv/x"),
            ("(30)Read-only file system: AH00099: could not create /srv/x.InrxVg", "/srv/x.InrxVg"),
            ("FATAL:  could not create lock file \"/srv/x.lock\": Read-only file system", "/srv/x.lock"),
        ];
        for (line, path) in cases {
            assert_eq!(told(line), [(Some(path.to_owned()), Act::Write)], "{line}");
        }
    }

    #[test]
    fn directories_are_told_from_files() {
        let cases = [
            ("mkdir: cannot create directory ‘/srv/x’: Read-only file system", Act::MakeDirectory),
            ("mkdir /srv/x: read-only file system", Act::MakeDirectory),
            ("Error: EROFS: read-only file system, mkdir '/srv/x'", Act::MakeDirectory),
            (
                "Failed opening the temp RDB file temp-1.rdb (in server root dir /srv/x) for saving: Read-only file system",
                Act::InDirectory,
            ),
        ];
        for (line, act) in cases {
            assert_eq!(told(line), [(Some("/srv/x".to_owned()), act)], "{line}");
        }
    }

    #[test]
    fn messages_in_json_are_read_once() {
        let line = r#"{"level":"error","msg":"cannot start","error":"open /srv/x: read-only file system"}"#;
        assert_eq!(told(line), [(Some("/srv/x".to_owned()), Act::Write)]);
        let line =
            r#"[pod/a/b] {"msg":"open \"/srv/x\": read-only file system","err":"read-only file system"}"#;
        assert_eq!(told(line), [(Some("/srv/x".to_owned()), Act::Write)]);
    }

    #[test]
    fn what_is_not_told_is_not_guessed() {
        assert_eq!(told("sh: can't create x: Read-only file system"), [(None, Act::Write)]);
        assert_eq!(
            told("Os { code: 30, kind: ReadOnlyFilesystem, message: \"Read-only file system\" }"),
            [(None, Act::Write)]
        );
        assert_eq!(told("open /srv/x: permission denied"), []);
        assert_eq!(told(""), []);
    }

    proptest::proptest! {
        #[test]
        fn no_line_panics(head in ".{0,60}", tail in ".{0,60}") {
            for words in ["Read-only file system", "EROFS: read-only file system, ", "(30)Read-only file system: "] {
                let _ = read_line(&format!("{head}{words}{tail}"));
            }
        }
    }
}
