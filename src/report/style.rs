//! Colour and the safety of what goes to a terminal.
//!
//! Asks neither the environment nor the terminal: the caller says whether there is colour.

use std::borrow::Cow;

use crate::finding::Severity;
use crate::path::Escaped;

/// Whether text for people carries colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Style {
    /// No escape sequence at all.
    #[default]
    Plain,
    /// ANSI colours.
    Colour,
}

impl Style {
    /// A heading.
    pub fn heading(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// Something of little weight.
    pub fn faint(self, text: &str) -> String {
        self.paint("2", text)
    }

    /// What went well.
    pub fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    /// Text as heavy as `severity`.
    pub fn severity(self, severity: Severity, text: &str) -> String {
        match severity {
            Severity::Critical | Severity::High => self.paint("1;31", text),
            Severity::Medium => self.paint("33", text),
            Severity::Low => self.paint("36", text),
            Severity::Info => self.faint(text),
        }
    }

    fn paint(self, code: &str, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Colour => format!("\x1b[{code}m{text}\x1b[0m"),
        }
    }
}

/// `text` without anything that a terminal could act on. What is escaped already stays as it is.
pub fn safe(text: &str) -> Cow<'_, str> {
    let harmless = |c: char| (' '..='~').contains(&c);
    if text.chars().all(harmless) {
        return Cow::Borrowed(text);
    }
    // `Escaped` doubles backslashes, so that it can be undone; here they belong to earlier escapes.
    let parts: Vec<String> = text.split('\\').map(|part| Escaped::new(part.as_bytes()).to_string()).collect();
    Cow::Owned(parts.join("\\"))
}

/// `text` as one word of a shell, in characters that no terminal acts on.
pub fn shell_word(text: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+=:@%,".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_plain) {
        return Cow::Borrowed(text);
    }
    if text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Cow::Owned(format!("'{}'", text.replace('\'', r"'\''")));
    }
    let escaped = text.bytes().fold(String::new(), |word, byte| match byte {
        b'\'' | b'\\' => format!("{word}\\{}", char::from(byte)),
        b' '..=b'~' => format!("{word}{}", char::from(byte)),
        byte => format!("{word}\\x{byte:02x}"),
    });
    Cow::Owned(format!("$'{escaped}'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_style_paints_nothing() {
        assert_eq!(Style::Plain.severity(Severity::High, "high"), "high");
        assert_eq!(Style::Colour.heading("gone"), "\x1b[1mgone\x1b[0m");
    }

    #[test]
    fn safe_text_cannot_move_a_cursor_and_is_escaped_once() {
        assert_eq!(safe("a\x1b[2Jb\u{202e}c"), "a\\x1b[2Jb\\xe2\\x80\\xaec");
        assert_eq!(safe(&safe("\x07 é \\")), "\\x07 é \\");
        assert!(matches!(safe("/usr/bin"), Cow::Borrowed(_)));
    }

    #[test]
    fn words_of_a_shell_are_one_each() {
        for (text, word) in [
            ("/var/run", "/var/run"),
            ("Set=jobs[].spec", "'Set=jobs[].spec'"),
            ("/srv/a b's", r"'/srv/a b'\''s'"),
            ("", "''"),
            ("é\n'\\", r"$'\xc3\xa9\x0a\'\\'"),
        ] {
            assert_eq!(shell_word(text), word, "{text:?}");
        }
    }
}
