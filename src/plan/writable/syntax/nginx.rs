//! nginx' configuration grammar: `name value… ;` in nested braces, `#` comments, `include` with globs.
//!
//! Keeps no contexts: a directive counts wherever it stands. `lua` blocks and the like are skipped as unknown words.

use super::super::command_line::CommandLine;
use super::{Reader, Setting, directory_of, place_of, prefix_of};
use crate::path::ImagePath;

/// Reads the main file `file`.
pub(super) fn read(reader: &mut Reader<'_>, file: &ImagePath, line: &CommandLine) {
    let bases = Bases {
        // Included files are relative to the main file's directory, other values to the prefix (nginx(8), `-p`).
        include: directory_of(file),
        prefix: line.prefix().map_or_else(|| prefix_of(file), str::to_owned),
    };
    read_file(reader, file, &bases, 0);
}

/// Reads directives given with `-g`.
pub(super) fn read_text(reader: &mut Reader<'_>, text: &str, prefix: Option<&str>) {
    let prefix = prefix.unwrap_or("/").to_owned();
    let bases = Bases { include: prefix.clone(), prefix };
    for (words, _) in statements(text) {
        push(reader, words, "command line: -g".to_owned(), &bases);
    }
}

struct Bases {
    include: String,
    prefix: String,
}

fn read_file(reader: &mut Reader<'_>, file: &ImagePath, bases: &Bases, depth: usize) {
    let Some(text) = reader.open(file, depth) else { return };
    for (words, line) in statements(&text) {
        if let [name, pattern] = words.as_slice()
            && name == "include"
        {
            for included in reader.included(pattern, &bases.include) {
                read_file(reader, &included, bases, depth + 1);
            }
            continue;
        }
        push(reader, words, place_of(file, line), bases);
    }
}

fn push(reader: &mut Reader<'_>, words: Vec<String>, source: String, bases: &Bases) {
    let mut words = words.into_iter();
    if let Some(name) = words.next() {
        reader.push(Setting { name, words: words.collect(), source, base: bases.prefix.clone() });
    }
}

/// Statements with the line each begins on; a block's head is a statement too.
fn statements(text: &str) -> Vec<(Vec<String>, usize)> {
    let mut out = Vec::new();
    let mut words: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let (mut line, mut first) = (1, 1);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\n' {
            line += 1;
        }
        match c {
            '#' if word.is_none() => while chars.next_if(|&c| c != '\n').is_some() {},
            '"' | '\'' if word.is_none() => {
                let mut quoted = String::new();
                while let Some(inner) = chars.next() {
                    match inner {
                        '\\' => quoted.extend(chars.next()),
                        inner if inner == c => break,
                        inner => {
                            line += usize::from(inner == '\n');
                            quoted.push(inner);
                        }
                    }
                }
                if words.is_empty() {
                    first = line;
                }
                words.push(quoted);
            }
            ';' | '{' | '}' if !(c == '{' && word.as_deref().is_some_and(|word| word.ends_with('$'))) => {
                words.extend(word.take());
                if !words.is_empty() {
                    out.push((std::mem::take(&mut words), first));
                }
            }
            c if c.is_whitespace() => words.extend(word.take()),
            c => {
                if words.is_empty() && word.is_none() {
                    first = line;
                }
                let word = word.get_or_insert_default();
                word.push(c);
                // `${name}` belongs to the word.
                if c == '{' {
                    while let Some(inner) = chars.next_if(|&c| c != '\n') {
                        word.push(inner);
                        if inner == '}' {
                            break;
                        }
                    }
                }
            }
        }
    }
    words.extend(word);
    if !words.is_empty() {
        out.push((words, first));
    }
    out
}
