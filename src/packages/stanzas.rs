//! Texts of stanzas with blank lines between them, which dpkg's and apk's databases are.
//!
//! Does not know fields; what a blank line is says whoever asks.

/// Splits a text into stanzas, each with the blank lines that follow it: together they are the text. Blank lines before
/// the first stanza belong to it.
pub(super) fn split_stanzas(text: &[u8], is_blank: fn(&[u8]) -> bool) -> impl Iterator<Item = &[u8]> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut end = 0;
        let (mut seen_field, mut seen_blank) = (false, false);
        for line in rest.split_inclusive(|&byte| byte == b'\n') {
            let blank = is_blank(line);
            if !blank && seen_blank {
                break;
            }
            seen_field |= !blank;
            seen_blank |= blank && seen_field;
            end += line.len();
        }
        let (stanza, tail) = rest.split_at(end);
        rest = tail;
        Some(stanza)
    })
}
