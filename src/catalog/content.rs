//! Tools known by their bytes: marks that a tool must contain, found while a file streams by.
//!
//! Knows no image and no name of a file. What a mark is and how one is chosen stands in `content.toml`.

use aho_corasick::packed::{Config, MatchKind, Searcher};
use memchr::memmem::Finder;

use super::{Catalog, Class};

/// A tool that is recognised whatever it is called.
#[derive(Debug)]
pub struct Tool {
    /// What people call it: `busybox`.
    pub name: Box<str>,
    /// What it is to an intruder.
    pub class: Class,
    /// Whether it is many programs in one file and does what the word it is started as names.
    pub multi_call: bool,
    /// Positions in [`Tools`]' list of marks, by group: one of each group must be there.
    groups: Vec<Vec<usize>>,
    /// Marks that say it is something else that has the tool inside: a program packed with its interpreter.
    unless: Vec<usize>,
}

/// All tools, and what finds their marks.
#[derive(Debug)]
pub struct Tools {
    list: Vec<Tool>,
    /// Each looks for [`AT_ONCE`] marks, in order.
    searchers: Vec<Searcher>,
    longest: usize,
}

/// As it stands in `content.toml`.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawTool {
    name: String,
    class: Class,
    #[serde(default)]
    multi_call: bool,
    marks: Vec<Vec<String>>,
    #[serde(default)]
    unless: Vec<String>,
}

/// Most marks of all tools together: a set of them is a word.
const MAX_MARKS: usize = 64;

/// Marks that one search looks for: as many as the vectorised one takes on every processor that has one.
const AT_ONCE: usize = 32;

impl Tools {
    /// Compiles kiln's own data. Panics where it is wrong: a bug, not input.
    pub(super) fn literal(raw: Vec<RawTool>) -> Self {
        let mut marks: Vec<Vec<u8>> = Vec::new();
        let mut position = |text: &str| {
            let bytes = text.as_bytes();
            let known = marks.iter().position(|mark| mark == bytes);
            known.unwrap_or_else(|| {
                marks.push(bytes.to_vec());
                marks.len() - 1
            })
        };
        let list = raw
            .into_iter()
            .map(|raw| Tool {
                groups: raw
                    .marks
                    .iter()
                    .map(|group| group.iter().map(|text| position(text)).collect())
                    .collect(),
                unless: raw.unless.iter().map(|text| position(text)).collect(),
                name: raw.name.into(),
                class: raw.class,
                multi_call: raw.multi_call,
            })
            .collect();
        assert!(marks.len() <= MAX_MARKS, "catalog/content.toml: more than {MAX_MARKS} marks");
        // A mark within another would be found at the one's place only.
        for (at, mark) in marks.iter().enumerate() {
            let finder = Finder::new(mark);
            let other =
                marks.iter().enumerate().any(|(other, bytes)| other != at && finder.find(bytes).is_some());
            assert!(
                !other,
                "catalog/content.toml: {:?} is part of another mark",
                String::from_utf8_lossy(mark)
            );
        }
        let searcher = |marks: &[Vec<u8>]| {
            let config = Config::new().match_kind(MatchKind::LeftmostFirst).builder().extend(marks).build();
            config
                .unwrap_or_else(|| unreachable!("catalog/content.toml: marks that the search does not take"))
        };
        let searchers = marks.chunks(AT_ONCE).map(searcher).collect();
        let longest = marks.iter().map(Vec::len).max().unwrap_or(1);
        Self { list, searchers, longest }
    }

    /// The tools, in the order in which they are asked: busybox has a shell's marks inside.
    pub fn list(&self) -> &[Tool] {
        &self.list
    }

    fn with(&self, found: u64) -> Option<&Tool> {
        let has = |mark: &usize| found & (1 << mark) != 0;
        self.list.iter().find(|tool| {
            tool.groups.iter().all(|group| group.iter().any(has)) && !tool.unless.iter().any(has)
        })
    }
}

/// Looks for marks in one file from its bytes, in order and without seeking; holds less than two marks' bytes.
pub struct MarkReader {
    tools: &'static Tools,
    /// The last bytes that a mark may have begun in.
    pending: Vec<u8>,
    found: u64,
}

impl MarkReader {
    /// Begins a file.
    #[expect(clippy::new_without_default, reason = "a reader of nothing is no default of anything")]
    pub fn new() -> Self {
        Self { tools: Catalog::builtin().tools(), pending: Vec::new(), found: 0 }
    }

    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        let overlap = self.tools.longest - 1;
        // Marks that begin in what came before, then those that begin here.
        let join = bytes.len().min(overlap);
        self.pending.extend_from_slice(bytes.get(..join).unwrap_or_default());
        let pending = std::mem::take(&mut self.pending);
        self.search(&pending);
        self.search(bytes);
        let tail = if join < bytes.len() { bytes } else { &pending };
        self.pending = tail.get(tail.len().saturating_sub(overlap)..).unwrap_or_default().to_vec();
    }

    fn search(&mut self, bytes: &[u8]) {
        for (number, searcher) in self.tools.searchers.iter().enumerate() {
            for hit in searcher.find_iter(bytes) {
                self.found |= 1 << (number * AT_ONCE + hit.pattern().as_usize());
            }
        }
    }

    /// The tool that the bytes are, if one.
    pub fn finish(self) -> Option<&'static Tool> {
        self.tools.with(self.found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes with marks between other bytes.
    fn bytes_with(marks: &[&[u8]]) -> Vec<u8> {
        let mut out = vec![b'x'; 300];
        for mark in marks {
            out.extend_from_slice(mark);
            out.extend([0xff; 37]);
        }
        out
    }

    fn read(bytes: &[u8], chunk: usize) -> Option<&'static str> {
        let mut reader = MarkReader::new();
        bytes.chunks(chunk).for_each(|piece| reader.push(piece));
        reader.finish().map(|tool| &*tool.name)
    }

    fn raw() -> Vec<RawTool> {
        super::super::load::content()
    }

    #[test]
    fn every_tool_is_known_by_a_mark_of_each_group_however_the_bytes_come() {
        for tool in raw() {
            let most = tool.marks.iter().map(Vec::len).max().unwrap();
            for pick in 0..most {
                let marks: Vec<&[u8]> =
                    tool.marks.iter().map(|group| group[pick.min(group.len() - 1)].as_bytes()).collect();
                let bytes = bytes_with(&marks);
                for chunk in [1, 2, 7, 64, 301, bytes.len()] {
                    assert_eq!(read(&bytes, chunk), Some(&*tool.name), "in pieces of {chunk}");
                }
                for missing in 0..marks.len() {
                    let rest: Vec<&[u8]> =
                        (0..marks.len()).filter(|at| *at != missing).map(|at| marks[at]).collect();
                    assert_eq!(read(&bytes_with(&rest), 64), None, "{} by {rest:?} alone", tool.name);
                }
            }
        }
    }

    #[test]
    fn a_program_packed_with_its_interpreter_is_not_the_interpreter() {
        for tool in raw() {
            for unless in &tool.unless {
                let mut marks: Vec<&[u8]> = tool.marks.iter().map(|group| group[0].as_bytes()).collect();
                marks.push(unless.as_bytes());
                assert_eq!(read(&bytes_with(&marks), 64), None, "{}", tool.name);
            }
        }
    }

    #[test]
    fn text_that_quotes_marks_is_no_tool() {
        // kiln's own program carries this file.
        assert_eq!(read(include_str!("content.toml").as_bytes(), 4096), None);
        let quoted: String =
            raw().iter().flat_map(|tool| tool.marks.concat()).map(|mark| mark.replace('\0', "\n")).collect();
        assert_eq!(
            read(quoted.as_bytes(), 4096),
            Some("uutils"),
            "Rust's strings have no end mark; nothing else is found"
        );
    }

    #[test]
    fn busybox_is_asked_before_the_shell_in_it() {
        let tools = raw();
        let marks: Vec<&[u8]> = tools
            .iter()
            .filter(|tool| ["busybox", "dash"].contains(&&*tool.name))
            .flat_map(|tool| tool.marks.iter().map(|group| group[0].as_bytes()))
            .collect();
        assert_eq!(read(&bytes_with(&marks), 64), Some("busybox"));
    }
}
