//! Debian control data: stanzas of fields, as dpkg's status file has them (deb822(5)).
//!
//! Knows the syntax, not what a field means.

use crate::packages::stanzas::split_stanzas;

/// One stanza, with the blank lines that follow it: the stanzas of a text are the text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stanza<'a> {
    /// All its bytes.
    pub(super) bytes: &'a [u8],
}

/// Splits a text into its stanzas; blank lines before the first belong to it.
pub(super) fn stanzas(text: &[u8]) -> impl Iterator<Item = Stanza<'_>> {
    split_stanzas(text, |line| line.trim_ascii().is_empty()).map(|bytes| Stanza { bytes })
}

impl<'a> Stanza<'a> {
    /// The value of the field `name`, letter case aside, lines as written; the first, if there are several.
    pub(super) fn field(&self, name: &str) -> Option<Vec<&'a [u8]>> {
        let mut value: Option<Vec<&'a [u8]>> = None;
        for line in self.bytes.split(|&byte| byte == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.first().is_some_and(|first| matches!(first, b' ' | b'\t')) {
                if let Some(value) = &mut value {
                    value.push(line.trim_ascii());
                }
                continue;
            }
            if value.is_some() {
                break;
            }
            let Some(colon) = line.iter().position(|&byte| byte == b':') else { continue };
            let (key, rest) = line.split_at(colon);
            if key.eq_ignore_ascii_case(name.as_bytes()) {
                value = Some(vec![rest.get(1..).unwrap_or_default().trim_ascii()]);
            }
        }
        value
    }

    /// The value of a field, its lines joined by blanks.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        let lines = self.field(name)?;
        let joined = lines.join(&b' ');
        Some(String::from_utf8_lossy(joined.trim_ascii()).into_owned())
    }
}

/// Splits `a (>= 1) | b:any, c [amd64] <!nocheck>` into clauses of bare names.
pub(super) fn relations(text: &str) -> Vec<Vec<String>> {
    text.split(',')
        .map(|clause| clause.split('|').filter_map(package_name).collect::<Vec<String>>())
        .filter(|clause| !clause.is_empty())
        .collect()
}

fn package_name(relation: &str) -> Option<String> {
    let end = relation
        .trim_start()
        .find(|c: char| c.is_whitespace() || matches!(c, '(' | '[' | '<' | ':'))
        .unwrap_or(relation.trim_start().len());
    let name = relation.trim_start().get(..end)?;
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stanzas_together_are_the_text() {
        let text = b"\nPackage: a\n\n\nPackage: b\r\nX:\r\n y\r\n\r\nPackage: c";
        let parts: Vec<&[u8]> = stanzas(text).map(|stanza| stanza.bytes).collect();
        assert_eq!(parts.len(), 3);
        assert_eq!(parts.concat(), text);
    }

    #[test]
    fn fields_go_on_over_indented_lines() {
        let stanza =
            Stanza { bytes: b"Package: a\r\nConffiles:\n /x 1\n\t/y 2\nX-Conffiles: no\nconffiles: again\n" };
        assert_eq!(stanza.field("conffiles"), Some(vec![&b""[..], b"/x 1", b"/y 2"]));
        assert_eq!(stanza.text("PACKAGE").as_deref(), Some("a"));
        assert_eq!(stanza.text("Version"), None);
    }

    #[test]
    fn relations_lose_versions_and_architectures() {
        let text = "libc6 (>= 2.34), a:any | b(<< 1) |, , perl [amd64] <!nocheck>,";
        assert_eq!(relations(text), [vec!["libc6"], vec!["a", "b"], vec!["perl"]]);
    }
}
