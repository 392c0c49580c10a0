//! Texts in quotes: where they end, and what they say once their escapes are read.
//!
//! Does not know what is a path. Reads from left to right, and each byte a bounded number of times.

/// Quotes that begin a text, with those that end it. A backtick and an apostrophe are how GNU once quoted.
const PAIRS: [(char, &[char]); 6] =
    [('\'', &['\'']), ('"', &['"']), ('`', &['`', '\'']), ('‘', &['’']), ('“', &['”']), ('«', &['»'])];

/// Longest text that is read, bytes as they stand: `PATH_MAX`, which no path exceeds.
const MAX_TEXT: usize = 4096;

/// Finds ends of quotes in a text. What was found is remembered for each kind: many that open and none that closes must not
/// cost the rest of the line each.
#[derive(Debug)]
pub(super) struct Quotes<'a> {
    text: &'a str,
    next: [Next; PAIRS.len()],
}

#[derive(Debug, Clone, Copy)]
enum Next {
    Unknown,
    At(usize),
    Never,
}

/// A text that stood in quotes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Quoted {
    /// Decoded.
    pub(super) text: String,
    /// Behind the quote that closes it.
    pub(super) end: usize,
}

/// Whether `c` may begin a text in quotes.
pub(super) fn opens(c: char) -> bool {
    PAIRS.iter().any(|&(open, _)| open == c)
}

impl<'a> Quotes<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, next: [Next::Unknown; PAIRS.len()] }
    }

    /// How much stands in the quotes that open at `start`, as it is, up to the first that closes them.
    pub(super) fn raw(&mut self, start: usize) -> Option<&'a str> {
        let open = self.text.get(start..)?.chars().next()?;
        let from = start + open.len_utf8();
        let close = self.close(open, from)?;
        self.text.get(from..close).filter(|raw| raw.len() <= MAX_TEXT)
    }

    /// The text in the quotes that open at `start`; of one in many pieces the beginning.
    pub(super) fn read(&mut self, start: usize) -> Option<Quoted> {
        self.raw(start)?;
        let open = self.text.get(start..)?.chars().next()?;
        let mut out = Vec::new();
        let mut from = start + open.len_utf8();
        loop {
            let close = self.close(open, from)?;
            decode(self.text.get(from..close)?, &mut out);
            let closing = self.text.get(close..)?.chars().next()?;
            let mut end = close + closing.len_utf8();
            // The shell's ways to have a quote, and bytes, in a text in single quotes: 'it'\''s', 'a'$'\n''b'.
            let rest = self.text.get(end..)?;
            let is_short = out.len() <= MAX_TEXT;
            if is_short && open == '\'' && rest.starts_with("\\''") {
                out.push(b'\'');
                from = end + 3;
                continue;
            }
            if is_short && open == '\'' && rest.starts_with("$'") {
                let close = self.close(open, end + 2)?;
                decode(self.text.get(end + 2..close)?, &mut out);
                end = close + 1;
                if self.text.get(end..)?.starts_with('\'') {
                    from = end + 1;
                    continue;
                }
            }
            return Some(Quoted { text: String::from_utf8_lossy(&out).into_owned(), end });
        }
    }

    /// Where the quote that `open` began is closed, at or behind `from`: not by one with a backslash, nor within a word.
    fn close(&mut self, open: char, from: usize) -> Option<usize> {
        let kind = PAIRS.iter().position(|&(c, _)| c == open)?;
        let (&(_, closing), next) = (PAIRS.get(kind)?, self.next.get_mut(kind)?);
        match *next {
            Next::Never => return None,
            Next::At(at) if at >= from => return Some(at),
            Next::At(_) | Next::Unknown => {}
        }
        let rest = self.text.get(from..)?;
        let mut is_escaped = false;
        let mut found = None;
        for (at, c) in rest.char_indices() {
            if is_escaped {
                is_escaped = false;
            } else if c == '\\' {
                is_escaped = true;
            } else if closing.contains(&c) {
                let behind = rest.get(at + c.len_utf8()..).and_then(|rest| rest.chars().next());
                if !behind.is_some_and(char::is_alphanumeric) {
                    found = Some(from + at);
                    break;
                }
            }
        }
        *next = found.map_or(Next::Never, Next::At);
        found
    }
}

/// What stands in the double quotes whose content begins at `from`, and where they close: of logfmt, where a quote within is
/// always escaped.
pub(super) fn value(text: &str, from: usize) -> (String, usize) {
    let rest = text.get(from..).unwrap_or_default();
    let mut is_escaped = false;
    let end = rest.bytes().position(|byte| {
        let closes = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        closes
    });
    let end = end.unwrap_or(rest.len());
    let mut out = Vec::new();
    decode(rest.get(..end).unwrap_or_default(), &mut out);
    (String::from_utf8_lossy(&out).into_owned(), from + end)
}

/// Appends `text` to `out` with the escapes of Python, Go and shells read; what is none stays as it is.
fn decode(text: &str, out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some((plain, escape)) = rest.split_once('\\') {
        out.extend_from_slice(plain.as_bytes());
        let Some(c) = escape.chars().next() else {
            out.push(b'\\');
            return;
        };
        let number = |from: usize, length: usize, base: u32| {
            let digits = escape.get(from..from + length)?;
            let is_number = digits.chars().all(|c| c.is_digit(base));
            if is_number { u32::from_str_radix(digits, base).ok() } else { None }
        };
        let byte = |value: Option<u32>| value.and_then(|value| u8::try_from(value).ok());
        let (bytes, length) = match c {
            '\\' | '\'' | '"' => (vec![c as u8], 1),
            'n' => (vec![b'\n'], 1),
            't' => (vec![b'\t'], 1),
            'r' => (vec![b'\r'], 1),
            'x' if byte(number(1, 2, 16)).is_some() => (byte(number(1, 2, 16)).into_iter().collect(), 3),
            'u' if number(1, 4, 16).and_then(char::from_u32).is_some() => {
                let c = number(1, 4, 16).and_then(char::from_u32);
                (c.map(|c| c.to_string().into_bytes()).unwrap_or_default(), 5)
            }
            '0'..='3' if byte(number(0, 3, 8)).is_some() => (byte(number(0, 3, 8)).into_iter().collect(), 3),
            _ => (vec![b'\\'], 0),
        };
        out.extend_from_slice(&bytes);
        rest = escape.get(length..).unwrap_or_default();
    }
    out.extend_from_slice(rest.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_of_python_go_and_shells_are_read() {
        let cases = [
            (r#"'/srv/it\'s "here".txt'"#, r#"/srv/it's "here".txt"#),
            (r"'/srv/it'\''s'", "/srv/it's"),
            (r"'/srv/'$'\303\251''.txt'", "/srv/é.txt"),
            (r"'/srv/\xc3\xa9'", "/srv/é"),
            (r#""/srv/\u00e9""#, "/srv/é"),
            ("\"/srv/it's\"", "/srv/it's"),
            ("'/srv/it's'", "/srv/it's"),
            ("`/srv/a'", "/srv/a"),
            ("‘/srv/a’", "/srv/a"),
            (r"'/srv/\q\'", "none"),
        ];
        for (line, text) in cases {
            let read = Quotes::new(line).read(0).map(|quoted| (quoted.text, quoted.end));
            let expected = (text != "none").then(|| (text.to_owned(), line.len()));
            assert_eq!(read, expected, "{line}");
        }
    }

    #[test]
    fn values_of_logfmt_end_at_their_own_quote() {
        let line = r#"msg="open /tmp/a \"b\": no" module=x"#;
        assert_eq!(value(line, 5), (r#"open /tmp/a "b": no"#.to_owned(), 26));
    }
}
