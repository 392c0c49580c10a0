//! Relative paths that stand in no quotes: told apart from other words by where they stand.
//!
//! Does not know which directory they are relative to.

use super::place::OPERATIONS;

/// Words that say that a thing was not done.
const REFUSALS: [&str; 6] = ["cannot", "can't", "couldn't", "not", "failed", "unable"];
/// Verbs that a file's name stands behind.
const VERBS: [&str; 7] = ["open", "opening", "create", "creating", "write", "writing", "lock"];
/// Longest end of a file's name, bytes: `IOException` is none.
const MAX_EXTENSION: usize = 5;

/// Where a path begins, and the path.
type Place = Option<(usize, String)>;

/// Redis: `temp-1.rdb (in server root dir /data) for saving`, both joined.
pub(super) fn in_directory(head: &str) -> Place {
    let at = head.rfind(" (in ")?;
    let inner = head.get(at..)?.split(')').next()?;
    let (_, directory) = inner.rsplit_once("dir ").or_else(|| inner.rsplit_once("directory "))?;
    let name = head.get(..at)?.rsplit(' ').next()?;
    let start = at - name.len();
    if !is_file_name(name) || name.starts_with('/') || !directory.starts_with('/') {
        return is_file_name(name).then(|| (start, name.to_owned()));
    }
    Some((start, format!("{}/{name}", directory.trim_end_matches('/'))))
}

/// A path that is the last word before the reason.
pub(super) fn last(head: &str, is_go: bool) -> Place {
    let tail = head.trim_end().strip_suffix(':')?;
    let mut words = tail.rsplit(' ');
    let mut next = || words.next().unwrap_or_default();
    let (word, verb, before, speaker) = (next(), next(), next(), next());
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | '@' | '+' | '~' | '%');
    if word.is_empty() || word.starts_with('/') || !word.chars().all(is_word) {
        return None;
    }
    let is_number = |word: &str| {
        let number = word.strip_suffix(':').unwrap_or_default();
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    };
    // `bash: line 1: x: …`
    let is_bash = is_number(verb) && before == "line";
    // `sh: 1: cannot create x: …`, `sh: can't create x: …`
    let is_shell = verb == "create"
        && matches!(before, "cannot" | "can't")
        && (is_number(speaker) || speaker.ends_with("sh:"));
    // `mkdir data/: …`, but not `failed to open stream: …`
    let is_called = OPERATIONS.iter().any(|operation| verb.ends_with(operation));
    let is_plain = before != "to" && !REFUSALS.contains(&before);
    let is_go = is_go && is_called && (is_plain || is_file_name(word));
    // `Can't open or create append-only dir x: …`, but not `create cache dir success: …`
    let is_directory =
        verb == "dir" && refuses(clause(tail)) && !matches!(word, "failed" | "failure" | "error");
    let is_told = is_bash || is_shell || is_go || is_directory;
    is_told.then(|| (tail.len() - word.len(), word.to_owned()))
}

/// A file's name behind a verb, in the sentence before the reason: `Can't open x.conf in order to lock it`.
pub(super) fn within(head: &str) -> Place {
    let tail = head.trim_end().strip_suffix(':')?;
    let clause = clause(tail);
    let start = tail.len() - clause.len();
    if !refuses(clause) {
        return None;
    }
    let mut at = start;
    let mut is_behind_verb = false;
    for word in clause.split(' ') {
        if is_behind_verb && is_file_name(word) {
            return Some((at, word.to_owned()));
        }
        is_behind_verb = VERBS.contains(&word);
        at += word.len() + 1;
    }
    None
}

/// What stands behind the last colon.
fn clause(text: &str) -> &str {
    text.rsplit_once(": ").map_or(text, |(_, clause)| clause)
}

fn refuses(clause: &str) -> bool {
    clause.split(' ').any(|word| REFUSALS.iter().any(|refusal| refusal.eq_ignore_ascii_case(word)))
}

/// Whether `word` has a stem and an extension, or stands in a directory.
fn is_file_name(word: &str) -> bool {
    let is_named = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | '@' | '+' | '~');
    let is_extension = |(stem, end): (&str, &str)| {
        !stem.is_empty()
            && (1..=MAX_EXTENSION).contains(&end.len())
            && end.starts_with(|c: char| c.is_ascii_alphabetic())
            && end.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    word.chars().all(is_named)
        && (word.rsplit_once('.').is_some_and(is_extension) || word.trim_matches('/').contains('/'))
}
