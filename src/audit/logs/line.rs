//! One line of a log: whether it tells of a read-only file system, and of which paths.
//!
//! Knows what a message is wrapped in: colours, JSON, logfmt. How the message itself is read is in `place`.

use serde_json::Value;

use super::named::{is_key, is_path};
use super::words::{self, mentions};
use super::{place, quotes};

/// JSON in texts of JSON, in which a runtime has the lines of programs, how deep.
const MAX_DEPTH: usize = 4;
/// Paths that one line tells: a message names two, JSON several messages.
const MAX_TOLD: usize = 64;

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
    /// As the message has it, its quotes and escapes read; without a `/` at its beginning it is relative to a directory that
    /// the line does not tell. None where the line tells no path.
    pub path: Option<String>,
    /// What was tried.
    pub act: Act,
}

/// What `line` tells of a read-only file system: mostly nothing, two paths of what is renamed, of a line of JSON each message
/// once.
pub fn read_line(line: &str) -> Vec<Denied> {
    if !mentions(line) {
        return Vec::new();
    }
    let mut found = Vec::new();
    read_wrapped(line, MAX_DEPTH, &mut found);
    // A logger says the message, and the error in a field of its own.
    if found.iter().any(|denied| denied.path.is_some()) {
        found.retain(|denied| denied.path.is_some());
    }
    found
}

/// The path that `line` says could not be written where the line behind it gives the reason, as mosquitto does.
pub(super) fn read_without_reason(line: &str) -> Option<Denied> {
    let line = without_colours(line);
    let small = line.to_ascii_lowercase();
    let refuses = ["unable to ", "cannot ", "can't ", "could not ", "couldn't ", "failed to "];
    if refuses.iter().any(|words| small.contains(words)) { place::read_without_reason(&line) } else { None }
}

/// What stands before the reason where `line` has no more than that: `1777882313: Error: Read-only file system.`
pub(super) fn before_bare_reason(line: &str) -> Option<&str> {
    let words = words::find(line)?;
    let is_end = line.get(words.end..)?.trim_end_matches('.').is_empty();
    let head = line.get(..words.start)?.trim_end();
    let head = head.strip_suffix("Error:").or_else(|| head.strip_suffix("error:")).unwrap_or(head);
    is_end.then_some(head.trim_end())
}

/// Reads `text` as what it is: JSON, perhaps behind a prefix, or a message.
fn read_wrapped(text: &str, depth: usize, found: &mut Vec<Denied>) {
    let text = &without_colours(text);
    if let Some(at) = text.find('{')
        && let (head, Some(rest)) = (text.get(..at).unwrap_or_default(), text.get(at..))
    {
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
        if let Some(Ok(value)) = values.next() {
            read_message(head, found);
            read_value(&value, depth, found);
            read_message(rest.get(values.byte_offset()..).unwrap_or_default(), found);
            return;
        }
    }
    read_message(text, found);
}

/// Every text in a value of JSON; to an error without a path belongs the path in a field beside it.
fn read_value(value: &Value, depth: usize, found: &mut Vec<Denied>) {
    match value {
        Value::String(text) if depth > 0 => {
            text.lines().filter(|line| mentions(line)).for_each(|line| read_wrapped(line, depth - 1, found));
        }
        Value::Array(items) => items.iter().for_each(|item| read_value(item, depth, found)),
        Value::Object(fields) => {
            let mut inner = Vec::new();
            fields.values().for_each(|value| read_value(value, depth, &mut inner));
            let is_told = inner.iter().any(|denied| denied.path.is_some());
            if !inner.is_empty() && !is_told {
                let mut keyed = fields.iter().filter(|(key, _)| is_key(key));
                let path = keyed.find_map(|(_, value)| value.as_str().filter(|text| is_path(text)));
                inner = vec![Denied { path: path.map(str::to_owned), act: Act::Write }];
            }
            add(inner, found);
        }
        _ => {}
    }
}

/// A message, or fields of logfmt one of which is it.
fn read_message(text: &str, found: &mut Vec<Denied>) {
    let inner = value_with_reason(text).map(|value| place::read(&value)).unwrap_or_default();
    let is_told = inner.iter().any(|denied| denied.path.is_some());
    let told = if is_told { inner } else { place::read(text) };
    add(told, found);
}

/// The value of logfmt that the words stand in: `error="mkdir /srv/x: read-only file system"`.
fn value_with_reason(text: &str) -> Option<String> {
    let words = words::find(text)?;
    let mut at = 0;
    while let Some(offset) = text.get(at..words.start)?.find("=\"") {
        let (value, end) = quotes::value(text, at + offset + 2);
        if end >= words.end {
            return Some(value);
        }
        at = end + 1;
    }
    None
}

fn add(told: Vec<Denied>, found: &mut Vec<Denied>) {
    for denied in told {
        if found.len() < MAX_TOLD && !found.contains(&denied) {
            found.push(denied);
        }
    }
}

/// `text` without what sets colours on a terminal.
fn without_colours(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let is_parameter = |c: char| c.is_ascii_digit() || matches!(c, ';' | ':' | '?');
        let rest = part.trim_start_matches(is_parameter);
        plain.push_str(rest.strip_prefix(|c: char| c.is_ascii_alphabetic()).unwrap_or(rest));
    }
    plain
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
            ("Error: EROFS: read-only file system, copyfile '/a/x' -> '/srv/x'", "/srv/x"),
            (
                "PHP Warning:  fopen(/srv/x): Failed to open stream: Read-only file system in /a.php on line 4",
                "/srv/x",
            ),
            (
                "Binding [/etc/h.cfg:2] for GLOBAL: error when trying (Read-only file system) [/srv/x]",
                "/srv/x",
            ),
            (
                "/a/fileutils.rb:243:in `mkdir': Read-only file system @ rb_sysopen - /srv/x (Errno::EROFS)",
                "/srv/x",
            ),
            ("Errno::EROFS (Read-only file system @ rb_sysopen - /srv/x):", "/srv/x"),
            ("#<Errno::EROFS: Read-only file system @ rb_file_s_symlink - (/a, /srv/x)>", "/srv/x"),
            ("x:Read-only file system:../bss_file.c:67:calling fopen(/srv/x, wb)", "/srv/x"),
            ("Custom { kind: ReadOnlyFilesystem, error: \"no `/srv/x`\" }", "/srv/x"),
            ("{error,{cannot_create_dir,\"/srv/x\",erofs}}", "/srv/x"),
            ("touch: cannot touch '/srv/it'\\''s': Read-only file system", "/srv/it's"),
            ("OSError: [Errno 30] Read-only file system: '/srv/it\\'s'", "/srv/it's"),
            ("open /srv/a b:c: read-only file system", "/srv/a b:c"),
            ("Can't open /srv/x for writing: Read-only file system", "/srv/x"),
            (
                "\u{1b}[3mpath\u{1b}[0m=/srv/x \u{1b}[3merror\u{1b}[0m=Read-only file system (os error 30)",
                "/srv/x",
            ),
            ("RDB file a.rdb (in server root dir /srv) for saving: Read-only file system", "/srv/a.rdb"),
            ("touch: cannot touch 'a b': Read-only file system", "a b"),
            ("sh: can't create x: Read-only file system", "x"),
            ("bash: line 1: x: Read-only file system", "x"),
            ("main: open data/x: read-only file system", "data/x"),
            ("java.io.FileNotFoundException: my x.log (Read-only file system)", "my x.log"),
            ("Can't open nodes.conf in order to acquire a lock: Read-only file system", "nodes.conf"),
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
            ("cannot write to directory '/srv/x': Read-only file system", Act::InDirectory),
            ("Cannot create temporary file in /srv/x: Read-only file system", Act::InDirectory),
        ];
        for (line, act) in cases {
            assert_eq!(told(line), [(Some("/srv/x".to_owned()), act)], "{line}");
        }
    }

    #[test]
    fn directories_with_made_up_names_are_not_what_must_be_there() {
        let line = "mktemp: failed to create directory via template '/srv/XXXXXX': Read-only file system";
        assert_eq!(told(line), [(Some("/srv/XXXXXX".to_owned()), Act::Write)]);
    }

    #[test]
    fn what_is_renamed_is_two_paths() {
        for line in [
            "Error: EROFS: read-only file system, rename '/a' -> '/b'",
            "OSError: [Errno 30] Read-only file system: '/a' -> '/b'",
            "mv: cannot move '/a' to '/b': Read-only file system",
            "rename /a /b: read-only file system",
            "Warning: rename(/a,/b): Read-only file system in /app/app.php on line 6",
            "Can't rename('/a', '/b'): Read-only file system at /app/app.pl line 8",
            "java.nio.file.FileSystemException: /a -> /b: Read-only file system",
            "app.rb:6:in `rename': Read-only file system @ rb_file_s_rename - (/a, /b) (Errno::EROFS)",
        ] {
            let paths: Vec<_> = read_line(line).into_iter().filter_map(|denied| denied.path).collect();
            assert_eq!(paths, ["/a", "/b"], "{line}");
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
        for line in [
            "Os { code: 30, kind: ReadOnlyFilesystem, message: \"Read-only file system\" }",
            "/entry.sh: line 71: cannot create temp file for here-document: Read-only file system",
            "Warning: mkdir(): Read-only file system in /app/app.php on line 5",
            "move failed: Read-only file system at /app/app.pl line 4.",
            "app.rb:3:in `write': Read-only file system (Errno::EROFS)",
            "mkdir: cannot create directory: Read-only file system",
            "failed to open stream: read-only file system",
            "x.init java.io.IOException: Read-only file system",
            "GET /api/x failed: Read-only file system",
            "caller=/app/x.go:3 config=/etc/x.yaml err=\"read-only file system\"",
        ] {
            assert_eq!(told(line), [(None, Act::Write)], "{line}");
        }
        for line in ["INFO: read-only file system detected", "mounted /etc as read-only file system, 2 files"]
        {
            assert_eq!(told(line), [], "{line}");
        }
        assert_eq!(told("open /srv/x: permission denied"), []);
        assert_eq!(told(""), []);
    }

    #[test]
    fn fields_beside_an_error_tell_its_path() {
        let line = r#"{"msg":"cannot save","path":"/srv/x","err":"read-only file system"}"#;
        assert_eq!(told(line), [(Some("/srv/x".to_owned()), Act::Write)]);
        let line = r#"level=error msg="cannot save" err="read-only file system" path=/srv/x"#;
        assert_eq!(told(line), [(Some("/srv/x".to_owned()), Act::Write)]);
        let line = r#"{"level":"info","msg":"checking for a read-only file system","path":"/data"}"#;
        assert_eq!(told(line), []);
    }

    #[test]
    fn long_lines_take_time_by_their_length() {
        // Where a reading that begins anew at each quote would take hours.
        let repeated = |part: &str, length: usize| {
            let line = part.repeat(length / part.len());
            let _ = read_line(&format!("{line}: Read-only file system"));
            let _ = read_line(&format!("Read-only file system: {line}"));
        };
        for part in ["'/", "\"{"] {
            repeated(part, 1 << 20);
        }
        // These would take minutes.
        for part in
            [" \"a", " open \"(", " '/\\''", "/a,", " open /", "a(/", "=\"", "x: ", "erofs", "\u{1b}["]
        {
            repeated(part, 1 << 15);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_line_panics(head in ".{0,60}", tail in ".{0,60}") {
            for words in ["Read-only file system", "EROFS: read-only file system, ", "(30)Read-only file system: "] {
                let _ = read_line(&format!("{head}{words}{tail}"));
            }
        }

        #[test]
        fn no_line_of_what_messages_are_made_of_panics(
            head in "[a/.'\"`‘ :(){=\\\\@>,é-]{0,40}",
            tail in "[a/.'\"’ :()}=\\\\@>,é-]{0,40}",
        ) {
            for words in ["Read-only file system", ": read-only file system", "(Read-only file system @ rename - "] {
                let _ = read_line(&format!("{head}{words}{tail}"));
                let _ = read_without_reason(&format!("cannot {head}{tail}"));
            }
        }
    }
}
