//! The words for a read-only file system, and whether they are said as the reason of an error.
//!
//! Does not know which path the error is about.

/// The words for `EROFS`, in small letters: of libc, Go and Node; of Node and Erlang; of Rust; of others.
const WORDS: [&str; 5] =
    ["read-only file system", CODE, "readonlyfilesystem", "read-only filesystem", "read only file system"];
/// The name of the error itself.
const CODE: &str = "erofs";
/// What may stand between two of them that are one: `kind: ReadOnlyFilesystem, message: "Read-only file system`, bytes.
const MAX_GAP: usize = 12;
/// Words that go on behind them and leave them a reason: where, when, and what follows the number.
const GO_ON: [&str; 8] = ["in", "at", "on", "for", "while", "when", "during", "errno"];

/// Where in a text the words stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Words {
    pub(super) start: usize,
    /// Behind the last of them, where several stand together.
    pub(super) end: usize,
    /// Whether it is how Go puts it, behind its name of the operation and the path as it is.
    pub(super) is_go: bool,
    /// Whether a sentence goes on behind them, which they then may be only a part of: `read-only file system detected`.
    pub(super) goes_on: bool,
}

/// Whether the words stand in `text` at all.
pub(super) fn mentions(text: &str) -> bool {
    let small = text.to_ascii_lowercase();
    WORDS.iter().any(|words| small.contains(words))
}

/// The words in `text`, where they are the reason of an error.
pub(super) fn find(text: &str) -> Option<Words> {
    let small = text.to_ascii_lowercase();
    let mut spans: Vec<(usize, usize)> = WORDS
        .iter()
        .flat_map(|words| small.match_indices(words).map(|(at, words)| (at, at + words.len())))
        .collect();
    spans.sort_unstable();
    let mut spans = spans.into_iter().filter(|&(start, end)| is_reason(text, start, end));
    let (start, mut end) = spans.next()?;
    let is_go = text.get(start..end) == Some("read-only file system") && behind_colon(text, start);
    for (next, next_end) in spans {
        let gap = text.get(end..next).unwrap_or("/");
        if gap.len() > MAX_GAP || gap.contains('/') {
            break;
        }
        end = next_end;
    }
    let rest = text.get(end..).unwrap_or_default();
    Some(Words { start, end, is_go, goes_on: goes_on(rest) })
}

fn behind_colon(text: &str, at: usize) -> bool {
    text.get(..at).is_some_and(|head| head.ends_with(": "))
}

/// A reason stands at the beginning, or behind a sign: `mounted as read-only file system` is another thing.
fn is_reason(text: &str, start: usize, end: usize) -> bool {
    let (head, rest) = (text.get(..start).unwrap_or_default(), text.get(end..).unwrap_or_default());
    if rest.starts_with(|c: char| c == '?' || c == '_' || c.is_alphanumeric()) {
        return false;
    }
    if text.get(start..end).is_some_and(|words| words.eq_ignore_ascii_case(CODE)) {
        // `code: 'EROFS'` is a property below the message that it belongs to; `erofs: …` is the file system of that name.
        let is_quoted = head.ends_with(['\'', '"']) && rest.starts_with(['\'', '"']);
        let is_kernel = text.get(start..end) == Some(CODE) && rest.starts_with(':');
        if is_quoted || is_kernel {
            return false;
        }
    }
    let before = head.trim_end();
    before.is_empty()
        || before.ends_with([':', '(', ')', '[', ']', '{', ',', '"', '\'', '‘', '“', '`', '=', '>', '|'])
        || (before.ends_with('-') && before.len() < head.len())
        || before.ends_with(" because")
}

fn goes_on(rest: &str) -> bool {
    let Some(rest) = rest.strip_prefix(' ') else { return false };
    let word = rest.split(' ').next().unwrap_or_default();
    word.starts_with(char::is_alphabetic) && !word.contains('=') && !GO_ON.contains(&word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_a_reason_behind_a_sign_only() {
        for line in [
            "Read-only file system",
            "x: Read-only file system",
            "x (30: read-only filesystem)",
            "{error,erofs}",
            "kind: ReadOnlyFilesystem, message: \"Read-only file system\" }",
            "Unable to create file /x because Read-only file system in /a.php",
        ] {
            assert!(find(line).is_some(), "{line}");
        }
        for line in [
            "mounted /etc as read-only file system",
            "can not modify /etc/x (read-only file system?)",
            "  code: 'EROFS',",
            "npm error code EROFS",
            "erofs: (device dm-0): mounted",
            "https://example.com/erofs",
        ] {
            assert!(mentions(line) && find(line).is_none(), "{line}");
        }
    }

    #[test]
    fn words_that_stand_together_are_one() {
        let line = "Error: EROFS: read-only file system, open '/x'";
        assert_eq!(find(line).map(|words| &line[words.end..]), Some(", open '/x'"));
        let line = "Read-only file system @ rb_sysopen - /x (Errno::EROFS)";
        assert_eq!(find(line).map(|words| words.end), Some(21));
    }
}
