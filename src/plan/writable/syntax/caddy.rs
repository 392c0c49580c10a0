//! Caddy's own grammar, as far as it says where sites are listened on.
//!
//! Knows addresses and blocks (caddyserver.com, "Caddyfile Concepts"), not what a site does; follows no import.

use super::{Reader, Setting, directory_of, place_of};
use crate::path::ImagePath;

/// Reads the ports of the site addresses of `file` as settings `site`, and the global options by their names.
pub(super) fn read(reader: &mut Reader<'_>, file: &ImagePath) {
    let Some(text) = reader.open(file, 0) else { return };
    let (mut depth, mut is_first, mut is_global) = (0usize, true, false);
    for (number, line) in text.lines().enumerate() {
        let mut words: Vec<&str> =
            line.split_whitespace().take_while(|word| !word.starts_with('#')).collect();
        let opens = words.last() == Some(&"{");
        let closes = words.first() == Some(&"}");
        if opens {
            words.pop();
        }
        let mut push = |name: &str, words: Vec<String>| {
            let (source, base) = (place_of(file, number + 1), directory_of(file));
            reader.push(Setting { name: name.to_owned(), words, source, base });
        };
        match words.split_first() {
            None if opens && is_first => is_global = true,
            Some((name, values)) if depth == 1 && is_global && !closes => {
                push(name, values.iter().map(ToString::to_string).collect());
            }
            // `(name) {` is a snippet. Without a brace the first line is the only site's.
            Some((first, _)) if depth == 0 && (opens || is_first || first.ends_with(',')) && !closes => {
                let addresses = words.iter().flat_map(|word| word.split(','));
                for address in
                    addresses.filter(|address| !address.is_empty() && !address.starts_with(['(', '&']))
                {
                    for words in ports(address) {
                        push("site", words);
                    }
                }
            }
            _ => {}
        }
        is_first &= words.is_empty() && !opens;
        depth = if closes { depth.saturating_sub(1) } else { depth + usize::from(opens) };
        is_global &= depth > 0 || !closes;
    }
}

/// What a site's address has Caddy listen on: a name alone is served on 443, with a redirection on 80.
fn ports(address: &str) -> Vec<Vec<String>> {
    let https = |port: &str| vec![format!(":{port}"), "https".to_owned()];
    let (scheme, rest) =
        address.split_once("://").map_or((None, address), |(scheme, rest)| (Some(scheme), rest));
    let authority = rest.split('/').next().unwrap_or_default();
    match (scheme, authority.rsplit_once(':')) {
        (Some("https"), Some((_, port))) if !port.ends_with(']') => vec![https(port)],
        (_, Some((_, port))) if !port.ends_with(']') => vec![vec![format!(":{port}")]],
        (Some("http"), _) => vec![vec![":80".to_owned()]],
        _ if authority.contains('{') => vec![vec![authority.to_owned()]],
        _ => vec![https("443"), vec![":80".to_owned()]],
    }
}
