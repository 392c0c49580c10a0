//! The sources of this package as text that rules can be checked on.
//!
//! Knows no rule. A scanner, not a parser: it tells code from comments, literals and tests, and no more.

use std::fs;
use std::path::{Path, PathBuf};

/// One file of Rust.
pub struct Source {
    /// From the package's root: `src/plan/decide.rs`.
    pub path: String,
    /// As it stands there.
    pub text: String,
    /// Without comments, what strings hold, and test modules; line for line as `text`.
    pub code: String,
    /// As `code`, with test modules.
    pub code_and_tests: String,
}

impl Source {
    /// The module's path: `["plan", "decide"]`; empty for `lib.rs`.
    pub fn module(&self) -> Vec<&str> {
        let path = self.path.strip_prefix("src/").unwrap_or(&self.path).trim_end_matches(".rs");
        path.split('/').filter(|name| *name != "lib").collect()
    }

    /// Whether it holds nothing but tests and their fixtures.
    pub fn is_test(&self) -> bool {
        self.path.starts_with("tests/")
            || self.path.contains("/tests/")
            || ["/tests.rs", "/fixture.rs"].iter().any(|end| self.path.ends_with(end))
    }
}

/// Every `.rs` file below `directory` of the package, by path.
pub fn below(directory: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    collect(&root.join(directory), &mut files);
    files.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let code_and_tests = blank(&text);
        let code = without_tests(&code_and_tests);
        let path = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        Source { path, text, code, code_and_tests }
    };
    files.into_iter().map(read).collect()
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// `text` with blanks for comments and for what stands in literals; newlines stay.
fn blank(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let at = |index: usize| chars.get(index).copied().unwrap_or('\0');
    let mut out = String::with_capacity(text.len());
    let mut index = 0;
    while index < chars.len() {
        let end = match at(index) {
            '/' if at(index + 1) == '/' => find(&chars, index, |i| at(i) == '\n'),
            '/' if at(index + 1) == '*' => block_comment(&chars, index),
            '"' => 1 + escaped_end(&chars, index + 1, '"'),
            'r' if !is_word(at(index.wrapping_sub(1))) || at(index.wrapping_sub(1)) == 'b' => {
                raw_string(&chars, index)
            }
            // A lifetime has no closing quote near; a character literal has one or an escape.
            '\'' if at(index + 1) == '\\' => 1 + escaped_end(&chars, index + 1, '\''),
            '\'' if at(index + 2) == '\'' => index + 3,
            _ => index,
        };
        if end == index {
            out.push(at(index));
            index += 1;
        }
        while index < end {
            out.push(if at(index) == '\n' { '\n' } else { ' ' });
            index += 1;
        }
    }
    out
}

fn find(chars: &[char], from: usize, wanted: impl Fn(usize) -> bool) -> usize {
    (from..chars.len()).find(|&index| wanted(index)).unwrap_or(chars.len())
}

fn block_comment(chars: &[char], start: usize) -> usize {
    let mut depth = 0_usize;
    let mut index = start;
    while index < chars.len() {
        match (chars[index], chars.get(index + 1)) {
            ('/', Some('*')) => (depth, index) = (depth + 1, index + 2),
            ('*', Some('/')) => (depth, index) = (depth - 1, index + 2),
            _ => index += 1,
        }
        if depth == 0 {
            return index;
        }
    }
    chars.len()
}

fn escaped_end(chars: &[char], start: usize, close: char) -> usize {
    let mut index = start;
    while index < chars.len() && chars[index] != close {
        index += if chars[index] == '\\' { 2 } else { 1 };
    }
    index
}

/// The end of the raw string that begins at `start`; `start` if none does.
fn raw_string(chars: &[char], start: usize) -> usize {
    let hashes = chars[start + 1..].iter().take_while(|&&c| c == '#').count();
    if chars.get(start + 1 + hashes) != Some(&'"') {
        return start;
    }
    let closes = |index: usize| {
        chars[index] == '"' && chars[index + 1..].iter().take_while(|&&c| c == '#').count() >= hashes
    };
    1 + hashes + find(chars, start + 2 + hashes, closes)
}

pub fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// `code` up to its test module, which by the house's order stands at the end.
fn without_tests(code: &str) -> String {
    let mut offset = 0;
    for line in code.split_inclusive('\n') {
        // Between this line and the module stand attributes at most.
        let begins = line.trim() == "#[cfg(test)]"
            && code[offset + line.len()..]
                .lines()
                .find(|next| !next.trim().starts_with("#["))
                .is_some_and(|next| next.trim_start().starts_with("mod ") && next.trim_end().ends_with('{'));
        if begins {
            return code[..offset].to_owned();
        }
        offset += line.len();
    }
    code.to_owned()
}

/// Every path in `code` that begins at the crate's root, as `crate::`, a `use` group or `super::` says it:
/// its first component, and the line.
pub fn crate_paths(module: &[&str], code: &str) -> Vec<(String, usize)> {
    let mut out = Vec::new();
    for (offset, _) in code.match_indices("::") {
        let before = &code[..offset];
        let climbs = climbs(before);
        if before.ends_with("crate") && !before.ends_with("$crate") || climbs == Some(module.len()) {
            let line = before.lines().count();
            out.extend(first_components(&code[offset + 2..]).into_iter().map(|name| (name, line)));
        }
    }
    out
}

/// How many modules a path that ends here climbs; `None` where it does not end in `super`.
fn climbs(before: &str) -> Option<usize> {
    let mut rest = before;
    let mut count = 0;
    while let Some(shorter) = rest.strip_suffix("super") {
        count += 1;
        rest = shorter.strip_suffix("::").unwrap_or(shorter);
    }
    (count > 0).then_some(count)
}

/// `a::b` is `a`; `{a::b, c}` is `a` and `c`.
fn first_components(rest: &str) -> Vec<String> {
    let name = |text: &str| text.trim_start().chars().take_while(|&c| is_word(c)).collect::<String>();
    let Some(group) = rest.strip_prefix('{') else { return vec![name(rest)] };
    let mut out = Vec::new();
    let mut depth = 0;
    let mut start = 0;
    for (index, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                out.push(name(&group[start..index]));
                start = index + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    out.retain(|name| !name.is_empty());
    out
}

#[test]
fn comments_literals_and_tests_are_no_code() {
    let text = "a /* x /* y */ */ b // z\nc \"str\\\"ing\" 'x' '\\'' r#\"raw\"# &'a d\n#[cfg(test)]\nmod tests {\n e }\n";
    let code = blank(text);
    assert_eq!(
        code.split_whitespace().collect::<Vec<_>>().join(" "),
        "a b c &'a d #[cfg(test)] mod tests { e }"
    );
    assert_eq!(code.lines().count(), text.lines().count());
    assert!(!without_tests(&code).contains("tests"));
}

#[test]
fn paths_from_the_root_are_seen_in_every_spelling() {
    let code = "use crate::plan::Plan;\nuse crate::{\n  digest::X,\n  path::{A, B},\n};\nlet x = super::super::cli::y;\n";
    let names: Vec<_> = crate_paths(&["report", "x"], code).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["plan", "digest", "path", "cli"]);
    assert_eq!(crate_paths(&["report"], "use super::cli;"), [("cli".to_owned(), 1)]);
    assert_eq!(crate_paths(&["report", "x"], "use super::cli;"), []);
}
