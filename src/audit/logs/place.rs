//! Which of the paths in a message a read-only file system is the reason for.
//!
//! Knows how messages are put together, not who wrote them, and tells no path where two readings are possible.

use super::line::{Act, Denied};
use super::named::{Form, Named, is_key, is_path, last, named};
use super::quotes::{Quotes, opens};
use super::relative;
use super::words::{self, Words};

/// How much before a path is looked at for what was tried, bytes.
const MAX_NEAR: usize = 40;
/// How much before a pair of paths is looked at for the operation, bytes: `rb_file_s_rename - (`.
const MAX_VERB: usize = 24;
/// Operations on two paths that write both.
const MOVES: [&str; 7] = ["rename", "renameat", "renameat2", "renaming", "move", "moving", "mv"];
/// Operations on two paths that write the second.
const COPIES: [&str; 10] =
    ["link", "linkat", "symlink", "linking", "copy", "copyfile", "copying", "cp", "clone", "mounting"];
/// Go's operations that name a path, as its standard library says them, and kin.
pub(super) const OPERATIONS: [&str; 23] = [
    "open", "openat", "mkdir", "mkdirat", "mkdirall", "create", "remove", "unlink", "unlinkat", "rmdir",
    "rename", "symlink", "link", "chmod", "chown", "lchown", "chtimes", "truncate", "write", "mknod",
    "mkfifo", "unix", "setxattr",
];

/// What `text` tells, each path that was to be written.
pub(super) fn read(text: &str) -> Vec<Denied> {
    let Some(words) = words::find(text) else { return Vec::new() };
    let head = text.get(..words.start).unwrap_or_default();
    let rest = text.get(words.end..).unwrap_or_default();
    let mut found = behind(head, rest);
    if found.is_empty() {
        found = before(head, words);
    }
    if found.is_empty() {
        found = farther(head, rest);
    }
    if found.is_empty() && !words.goes_on {
        found.push(Denied { path: None, act: Act::Write });
    }
    found
}

/// The path that `text` says could not be written, which does not say why.
pub(super) fn read_without_reason(text: &str) -> Option<Denied> {
    let paths = named(text);
    let path = paths.last().filter(|path| is_path(&path.path) && !is_speaker(text, path))?;
    Some(denied(text, path.start, path.path.clone()))
}

/// Paths right behind the words, as those put them whose errors begin with the words.
fn behind(head: &str, rest: &str) -> Vec<Denied> {
    // Ruby: `… @ rb_sysopen - /srv/x (Errno::EROFS)`, `… @ rb_file_s_rename - (/srv/a, /srv/b)>`.
    if let Some((function, paths)) = rest.strip_prefix(" @ ").and_then(|rest| rest.split_once(" - ")) {
        let paths = match paths.split_once(" (Errno::") {
            Some((paths, _)) => paths,
            // Rails: `Errno::EROFS (Read-only file system @ dir_s_mkdir - /srv/x):`
            None if !paths.contains('(') => paths.trim_end_matches([')', ':', '>']),
            None => paths.trim_end_matches('>'),
        };
        return match paths.strip_prefix('(').and_then(|paths| paths.strip_suffix(')')?.split_once(", ")) {
            Some((from, to)) => pair(function, from, to),
            None => vec![denied(function, function.len(), paths.trim().to_owned())],
        };
    }
    // Node: `…, open '/srv/x'`. Python, .NET: `…: '/srv/x'`. Both: `'/srv/a' -> '/srv/b'`.
    let operation = rest.strip_prefix(", ").and_then(|rest| rest.split_once(' ')).map(|(word, _)| word);
    let operation =
        operation.filter(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase()));
    let start = match operation {
        Some(word) => Some(2 + word.len() + 1),
        None => [": ", " : "].iter().find(|sign| rest.starts_with(**sign)).map(|sign| sign.len()),
    };
    if let Some(mut start) = start {
        start += usize::from(
            rest.get(start..).is_some_and(|rest| rest.starts_with("b'") || rest.starts_with("b\"")),
        );
        let mut quotes = Quotes::new(rest);
        let open = rest.get(start..).filter(|rest| rest.starts_with(opens));
        if let Some(first) = open.and_then(|_| quotes.read(start)) {
            let tried = operation.unwrap_or_default();
            let arrow = rest.get(first.end..).filter(|rest| rest.starts_with(" -> "));
            return match arrow.and_then(|_| quotes.read(first.end + 4)) {
                Some(second) => pair(tried, &first.text, &second.text),
                None => vec![denied(tried, tried.len(), first.text)],
            };
        }
    }
    // HAProxy: `(Read-only file system) [/run/x.sock]`.
    let bracket = rest.strip_prefix(") [").and_then(|rest| rest.split_once(']')).map(|(path, _)| path);
    if let Some(path) = bracket.filter(|path| is_path(path)) {
        return vec![denied(head, head.len(), path.to_owned())];
    }
    // APR: `(30)Read-only file system: AH00099: could not create /srv/x`.
    if head.ends_with("(30)") { farther(head, rest) } else { Vec::new() }
}

/// Paths before the words, where most say them.
fn before(head: &str, words: Words) -> Vec<Denied> {
    if let Some(found) = words.is_go.then(|| go(head)).flatten().or_else(|| java(head)) {
        return found;
    }
    if let Some((start, path)) = relative::in_directory(head).or_else(|| relative::last(head, words.is_go)) {
        return vec![denied(head, start, path)];
    }
    let mut paths = named(head);
    paths.retain(|path| !is_speaker(head, path));
    match (paths.pop(), paths.pop()) {
        (Some(second), Some(first)) if is_joined(head, &first, &second) => {
            let operation = head.get(..first.start).unwrap_or_default();
            let mut found = pair(operation, &first.path, &second.path);
            let is_arrow = head.get(first.end..second.start).is_some_and(|between| between.contains("->"));
            if !is_arrow && !is_one_of(operation, &MOVES) {
                found = found.split_off(found.len().saturating_sub(1));
            }
            found
        }
        (Some(path), _) => vec![denied(head, path.start, path.path)],
        (None, _) => {
            relative::within(head).map(|(start, path)| vec![denied(head, start, path)]).unwrap_or_default()
        }
    }
}

/// A path somewhere behind the words: in the message that they begin, in a call, in quotes, under its key.
fn farther(head: &str, rest: &str) -> Vec<Denied> {
    // `… in /app/app.php on line 3`, `… at /app/app.pl line 4`: the program.
    let is_message = rest.starts_with(": ");
    let paths = named(rest);
    let path = paths.into_iter().find(|path| {
        let key = rest.get(..path.start).and_then(|head| {
            let head = last(head, MAX_NEAR).trim_end_matches('"').strip_suffix('=')?;
            head.rsplit([' ', ',']).next()
        });
        let is_sure = path.form != Form::Plain || is_message || key.is_some_and(is_key);
        is_sure && is_path(&path.path) && !path.path.starts_with('.')
    });
    let tried = |path: &Named| [head, rest.get(..path.start).unwrap_or_default()].concat();
    path.map(|path| vec![denied(&tried(&path), usize::MAX, path.path)]).unwrap_or_default()
}

/// Go: `open /srv/a b: read-only file system`, the path as it is.
fn go(head: &str) -> Option<Vec<Denied>> {
    let mut tail = head.strip_suffix(": ")?;
    // `listen unix /run/x.sock: bind: …`
    if let Some((message, call)) = tail.rsplit_once(": ")
        && call.bytes().all(|byte| byte.is_ascii_lowercase())
    {
        tail = message;
    }
    let (at, operation) = OPERATIONS
        .iter()
        .filter_map(|word| {
            let at = tail
                .rmatch_indices(" /")
                .find_map(|(at, _)| tail.get(..at)?.ends_with(word).then_some(at))?;
            Some((at, *word))
        })
        .max_by_key(|(at, word)| (*at, word.len()))?;
    let is_word = tail.get(..at - operation.len())?.chars().next_back().is_none_or(|c| !c.is_alphanumeric());
    let path = tail.get(at + 1..).filter(|path| is_word && !path.contains(": "))?;
    if is_one_of(operation, &MOVES) || is_one_of(operation, &COPIES) {
        let (from, to) = path.split_once(" /")?;
        return (!to.contains(" /")).then(|| pair(operation, from, &format!("/{to}")));
    }
    Some(vec![denied(head, at, path.to_owned())])
}

/// Java's `FileSystemException: /srv/x: …`, `FileNotFoundException: x (…`, whatever the path.
fn java(head: &str) -> Option<Vec<Denied>> {
    let at = ["FileSystemException: ", "FileNotFoundException: "]
        .iter()
        .filter_map(|name| Some(head.rfind(name)? + name.len()))
        .max()?;
    let tail = head.get(at..)?;
    let path = tail.strip_suffix(": ").or_else(|| tail.strip_suffix(" ("))?;
    if path.is_empty() || path.contains(": ") {
        return None;
    }
    Some(match path.split_once(" -> ") {
        Some((from, to)) => pair("", from, to),
        None => vec![denied("", 0, path.to_owned())],
    })
}

/// Two paths of one `operation`: a copy or a link writes the second, what else is told of two writes both.
fn pair(operation: &str, from: &str, to: &str) -> Vec<Denied> {
    let to = Denied { path: Some(to.to_owned()), act: Act::Write };
    if is_one_of(operation, &COPIES) {
        return vec![to];
    }
    vec![Denied { path: Some(from.to_owned()), act: Act::Write }, to]
}

/// Whether one of `verbs` is near the end of `text`.
fn is_one_of(text: &str, verbs: &[&str]) -> bool {
    let near = last(text, MAX_VERB).to_ascii_lowercase();
    near.split(|c: char| !c.is_alphanumeric()).any(|word| verbs.contains(&word))
}

fn is_joined(head: &str, first: &Named, second: &Named) -> bool {
    let between = head.get(first.end..second.start).unwrap_or_default();
    matches!(between.trim(), "to" | "->" | "," | "=>") || between == " "
}

/// Whether `path` begins the text as the name of who speaks: `/bin/sh: 1: cannot create …`.
fn is_speaker(text: &str, path: &Named) -> bool {
    let head = text.get(..path.start).unwrap_or_default();
    let prefix = head.strip_suffix(' ').and_then(|head| head.chars().next_back());
    let begins =
        head.is_empty() || prefix.is_some_and(|c| matches!(c, '|' | ']' | 'Z') || c.is_ascii_digit());
    let clause = text.get(path.end..).and_then(|rest| rest.strip_prefix(": "));
    let first = clause.and_then(|clause| clause.split_once(": ")).map(|(first, _)| first);
    let names_line = clause.is_some_and(|clause| clause.starts_with("line "));
    let is_sentence = |first: &str| first.contains(' ') || first.bytes().all(|byte| byte.is_ascii_digit());
    names_line || (begins && first.is_some_and(is_sentence))
}

/// `path`, which stands in `text` at `start`.
fn denied(text: &str, start: usize, path: String) -> Denied {
    let head = text.get(..start).unwrap_or(text);
    let near = last(head, MAX_NEAR).to_ascii_lowercase();
    let near = near.trim_end_matches(['\'', '"', '`', '‘', '“', '(']);
    let makes = ["mkdir", "create directory", "make directory", "creating directory", "create the directory"];
    let is_removed = ["rmdir", "remov", "delet", "unlink"].iter().any(|word| near.contains(word));
    let is_inside = !is_removed && ["dir ", "directory ", "file in "].iter().any(|word| near.ends_with(word));
    // The name of a directory that is made of a template is another each time.
    let act = if makes.iter().any(|word| near.contains(word)) && !path.ends_with("XXXXXX") {
        Act::MakeDirectory
    } else if is_inside {
        Act::InDirectory
    } else {
        Act::Write
    };
    Denied { path: Some(path), act }
}
