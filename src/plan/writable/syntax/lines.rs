//! Configuration of one setting a line: redis' `name value` and the `name = value` of many.
//!
//! Knows no software's names but those that include files or say what values are relative to.

use std::collections::BTreeSet;

use super::super::{command_line::CommandLine, place};
use super::{Reader, Setting, directory_of, place_of, split_words};
use crate::path::ImagePath;
use crate::rootfs::Rootfs;

/// Reads `name value…` lines; of settings with one name the last counts, as redis does.
pub(super) fn read_words(reader: &mut Reader<'_>, file: &ImagePath, working_dir: &str) {
    words_of_file(reader, file, working_dir, 0);
    keep_last(&mut reader.out, |setting| setting.name.to_ascii_lowercase());
}

fn words_of_file(reader: &mut Reader<'_>, file: &ImagePath, working_dir: &str, depth: usize) {
    let Some(text) = reader.open(file, depth) else { return };
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut words = split_words(line).into_iter();
        let Some(name) = words.next() else { continue };
        let words: Vec<String> = words.collect();
        if name.eq_ignore_ascii_case("include") {
            for pattern in &words {
                for included in reader.included(pattern, working_dir) {
                    words_of_file(reader, &included, working_dir, depth + 1);
                }
            }
            continue;
        }
        let source = place_of(file, number + 1);
        reader.push(Setting { name, words, source, base: working_dir.to_owned() });
    }
}

/// `--name value…` (redis-server(1)): up to the next word that begins with `--`.
pub(super) fn words_of_command_line(reader: &mut Reader<'_>, line: &CommandLine, working_dir: &str) {
    let mut words = line.words().iter().peekable();
    while let Some(word) = words.next() {
        let Some(name) = word.strip_prefix("--").filter(|name| !name.is_empty()) else { continue };
        let mut values = Vec::new();
        let name = match name.split_once('=') {
            Some((name, value)) => {
                values.push(value.to_owned());
                name
            }
            None => name,
        };
        while let Some(value) = words.next_if(|next| !next.starts_with("--")) {
            values.push(value.clone());
        }
        let source = format!("command line: --{name}");
        reader.push(Setting { name: name.to_owned(), words: values, source, base: working_dir.to_owned() });
    }
    keep_last(&mut reader.out, |setting| setting.name.to_ascii_lowercase());
}

/// Reads `name value…` lines, each of which counts: two words may be the name (`stats socket`), `:` or `=` may stand
/// after it, and what braces hold is read as if it stood outside.
pub(super) fn read_lines(reader: &mut Reader<'_>, file: &ImagePath, working_dir: &str) {
    let Some(text) = reader.open(file, 0) else { return };
    for (number, line) in text.lines().enumerate() {
        let mut words = split_words(without_comment(line)).into_iter();
        let Some(name) = words.next() else { continue };
        let name = name.trim_end_matches([':', '=']).to_owned();
        let words: Vec<String> = words.skip_while(|word| matches!(word.as_str(), ":" | "=")).collect();
        let source = place_of(file, number + 1);
        let mut push = |name: String, words: &[String]| {
            let (source, base) = (source.clone(), working_dir.to_owned());
            reader.push(Setting { name, words: words.to_vec(), source, base });
        };
        if let [second, rest @ ..] = words.as_slice()
            && !rest.is_empty()
        {
            push(format!("{name} {second}"), rest);
        }
        push(name, &words);
    }
}

/// Reads `name = value` lines (postgresql also has `name value`); of one name the last of its section counts.
pub(super) fn read_ini(reader: &mut Reader<'_>, file: &ImagePath) {
    let mut sections = Vec::new();
    ini_of_file(reader, file, &mut sections, 0);
    let mut section = sections.into_iter();
    keep_last(&mut reader.out, |setting| (section.next(), setting.name.to_ascii_lowercase()));
}

fn ini_of_file(reader: &mut Reader<'_>, file: &ImagePath, sections: &mut Vec<String>, depth: usize) {
    let Some(text) = reader.open(file, depth) else { return };
    let base = directory_of(file);
    let mut section = String::new();
    for (number, line) in text.lines().enumerate() {
        let line = without_comment(line).trim();
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name.clone_into(&mut section);
            continue;
        }
        let split = line.split_once('=').or_else(|| line.split_once(char::is_whitespace));
        let (name, value) = split.unwrap_or((line, ""));
        let (name, value) = (name.trim(), unquote(value.trim()));
        let pattern = match name {
            "" => continue,
            "include" | "include_if_exists" | "!include" => Some(value.clone()),
            "include_dir" | "!includedir" => Some(format!("{value}/*.c*nf")),
            _ => None,
        };
        if let Some(pattern) = pattern {
            for included in reader.included(&pattern, &base) {
                ini_of_file(reader, &included, sections, depth + 1);
            }
            continue;
        }
        let before = reader.out.len();
        let source = place_of(file, number + 1);
        reader.push(Setting { name: name.to_owned(), words: vec![value], source, base: base.clone() });
        if reader.out.len() > before {
            sections.push(section.clone());
        }
    }
}

/// `-c name=value`, `--name=value` and `-D DIRECTORY` (postgres(1)).
///
/// The directory of `-D` holds the data only where its own `postgresql.conf` names no other (PostgreSQL, 20.2
/// "File Locations").
pub(super) fn ini_of_command_line(reader: &mut Reader<'_>, line: &CommandLine, working_dir: &str) {
    let is_config_only = |directory: &&str| {
        place::absolute(&format!("{directory}/postgresql.conf"), working_dir)
            .is_some_and(|file| sets_data_directory(reader.rootfs, &file))
    };
    let data: Vec<&str> =
        line.values(&["-D"]).into_iter().filter(|directory| !is_config_only(directory)).collect();
    let mut push = |name: &str, value: &str, source: String| {
        let name = name.replace('-', "_");
        reader.push(Setting { name, words: vec![unquote(value)], source, base: working_dir.to_owned() });
    };
    for directory in data {
        push("data_directory", directory, "command line: -D".to_owned());
    }
    for assignment in line.values(&["-c"]) {
        if let Some((name, value)) = assignment.split_once('=') {
            push(name, value, "command line: -c".to_owned());
        }
    }
    for word in line.words() {
        if let Some((name, value)) = word.strip_prefix("--").and_then(|rest| rest.split_once('=')) {
            push(name, value, format!("command line: --{name}"));
        }
    }
    keep_last(&mut reader.out, |setting| setting.name.to_ascii_lowercase());
}

fn sets_data_directory(rootfs: &Rootfs, file: &ImagePath) -> bool {
    let mut reader = Reader { rootfs, seen: BTreeSet::new(), out: Vec::new() };
    read_ini(&mut reader, file);
    reader.out.iter().any(|setting| setting.name == "data_directory")
}

/// Keeps the last setting of each key, in order.
fn keep_last<K: Ord>(settings: &mut Vec<Setting>, key: impl FnMut(&Setting) -> K) {
    let keys: Vec<K> = settings.iter().map(key).collect();
    let mut last = std::collections::BTreeMap::new();
    for (at, key) in keys.iter().enumerate() {
        last.insert(key, at);
    }
    let mut kept: Vec<usize> = last.into_values().collect();
    kept.sort_unstable();
    let mut kept = kept.into_iter().peekable();
    let mut at = 0;
    settings.retain(|_| {
        let keep = kept.next_if_eq(&at).is_some();
        at += 1;
        keep
    });
}

/// The line up to a `#` or `;` outside quotes.
fn without_comment(line: &str) -> &str {
    let mut quote = None;
    for (at, c) in line.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '#' | ';') => return line.get(..at).unwrap_or_default(),
            _ => {}
        }
    }
    line
}

fn unquote(value: &str) -> String {
    for quote in ['"', '\''] {
        if let Some(inner) = value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            return inner.to_owned();
        }
    }
    value.to_owned()
}
