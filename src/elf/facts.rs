//! Facts of one ELF file: what a loader would read from its headers and dynamic section.
//!
//! The only module that knows goblin. Does not search; `elf::search` does.

mod parse;
mod paths;
mod windows;

use std::ops::Range;

use parse::Layout;
use paths::PathScanner;
use serde::{Deserialize, Serialize};
use windows::Windows;

/// What an ELF file says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ElfFacts {
    /// 32 or 64 bit.
    pub class: Class,
    /// `e_machine`: 62 is x86-64, 183 is `AArch64`.
    pub machine: u16,
    /// Executable, shared object (a position-independent executable is one too) or something else.
    pub kind: ObjectKind,
    /// `PT_INTERP`: the loader, as written.
    pub interpreter: Option<Box<[u8]>>,
    /// `DT_NEEDED`, in order.
    pub needed: Vec<Box<[u8]>>,
    /// `DT_SONAME`.
    pub soname: Option<Box<[u8]>>,
    /// `DT_RPATH`, unsplit.
    pub rpath: Option<Box<[u8]>>,
    /// `DT_RUNPATH`, unsplit. Where there is one, `DT_RPATH` does not count.
    pub runpath: Option<Box<[u8]>>,
    /// `DT_FLAGS_1` has `DF_1_NODEFLIB`: default directories are not searched.
    pub no_default_lib: bool,
    /// Imports `system` or `popen`.
    pub calls_shell: bool,
    /// Absolute paths below `/var`, `/run`, `/srv`, `/data`, `/tmp`, `/opt` and the like that stand in an
    /// executable's bytes; none for libraries. Sorted, at most [`MAX_PATHS`].
    pub paths: Vec<Box<[u8]>>,
}

/// Most paths remembered of one executable.
pub const MAX_PATHS: usize = 256;

/// ELF class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Class {
    /// `ELFCLASS32`
    Elf32,
    /// `ELFCLASS64`
    #[default]
    Elf64,
}

/// `e_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum ObjectKind {
    /// `ET_EXEC`
    Executable,
    /// `ET_DYN`
    #[default]
    SharedObject,
    /// Relocatable objects, core files.
    Other,
}

impl ElfFacts {
    /// Neither loader nor libraries: starts on an empty file system.
    pub fn is_static(&self) -> bool {
        self.interpreter.is_none() && self.needed.is_empty()
    }

    /// Bytes of all texts.
    pub fn held(&self) -> usize {
        let one = [&self.interpreter, &self.soname, &self.rpath, &self.runpath].into_iter().flatten();
        one.chain(&self.needed).chain(&self.paths).map(|text| text.len()).sum()
    }

    /// A shared object that has a loader: a position-independent executable.
    pub fn is_pie(&self) -> bool {
        self.kind == ObjectKind::SharedObject && self.interpreter.is_some()
    }
}

/// Files up to this size are held whole while they stream by; most programs and libraries are smaller.
const WHOLE: u64 = 2 << 20;

/// Bytes from the start of a larger file that must hold the program headers: the kernel takes at most 64 KiB
/// of them, and linkers put them first.
const HEAD: u64 = 128 << 10;

/// Most bytes held of one speculative range of a larger file. The dynamic symbol and string tables come
/// first in the first segment; 16 MiB hold those of the largest C++ libraries several times over.
const RANGE: u64 = 16 << 20;

/// What a stream of bytes turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// No ELF magic.
    NotElf,
    /// An ELF file and its facts.
    Elf(Box<ElfFacts>),
    /// ELF magic, but headers or dynamic section are cut, broken or beyond the limits.
    Unreadable,
}

/// What the first bytes of a file say it is, as the kernel would read them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Head {
    /// ELF magic.
    Elf,
    /// `#!`: the rest of the first line, blanks trimmed, never empty.
    Script(Box<[u8]>),
    /// Neither.
    Other,
}

/// First bytes of a file that Linux looks at to start it (`BINPRM_BUF_SIZE`); [`classify`] wants as many.
pub const HEAD_BYTES: usize = 256;

/// Sorts a file by its first [`HEAD_BYTES`] bytes (more do no harm, fewer only if the file is shorter).
pub fn classify(head: &[u8]) -> Head {
    if head.starts_with(MAGIC) {
        return Head::Elf;
    }
    let Some(line) = head.get(..head.len().min(HEAD_BYTES)).and_then(|head| head.strip_prefix(b"#!")) else {
        return Head::Other;
    };
    let line = line.split(|&byte| byte == b'\n' || byte == 0).next().unwrap_or_default().trim_ascii();
    if line.is_empty() { Head::Other } else { Head::Script(line.into()) }
}

/// Whether the ELF file that begins with `head` may be a program: it has an entry point. Some libraries have one, too.
pub fn may_start(head: &[u8]) -> bool {
    let mut windows = Windows::default();
    windows.keep(std::iter::once(0..HEAD_BYTES as u64).collect());
    windows.push(head.get(..head.len().min(HEAD_BYTES)).unwrap_or_default());
    parse::headers(&windows).is_some_and(|headers| headers.may_be_program())
}

/// `\x7fELF`
const MAGIC: &[u8] = b"\x7fELF";

/// Collects the facts of one file from its bytes, in order and without seeking, in bounded memory.
///
/// Holds files up to 2 MiB whole, of larger ones 33 MiB at the most, for a moment twice that; mostly far less.
#[derive(Debug)]
pub struct FactsReader {
    size: u64,
    windows: Windows,
    stage: Stage,
    scanner: Option<PathScanner>,
    unterminated: bool,
}

#[derive(Debug)]
enum Stage {
    /// Waits for the headers, complete at this offset.
    Head(u64),
    /// Waits for program headers that do not come first, complete at this offset.
    Segments(u64),
    /// Waits for the dynamic section, complete at this offset.
    Dynamic(u64, Box<Layout>),
    /// Nothing more to choose.
    Rest,
    /// No ELF file: nothing is kept.
    NotElf,
}

impl FactsReader {
    /// Begins a file of `size` bytes.
    pub fn new(size: u64) -> Self {
        let mut windows = Windows::new(size);
        windows.keep(std::iter::once(0..if size <= WHOLE { size } else { HEAD }).collect());
        Self { size, windows, stage: Stage::Head(size.min(HEAD)), scanner: None, unterminated: false }
    }

    /// Takes the next bytes of the file.
    pub fn push(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let goal = match &self.stage {
                Stage::NotElf => return,
                Stage::Rest => u64::MAX,
                Stage::Head(goal) | Stage::Segments(goal) | Stage::Dynamic(goal, _) => *goal,
            };
            let room = usize::try_from(goal.saturating_sub(self.windows.at())).unwrap_or(usize::MAX);
            let (now, later) = rest.split_at(room.min(rest.len()));
            rest = later;
            self.windows.push(now);
            if let Some(scanner) = &mut self.scanner {
                scanner.push(now);
            }
            if self.windows.at() >= goal {
                self.advance();
            } else if let Stage::Head(_) = self.stage
                && self.windows.get(0, MAGIC.len() as u64).is_some_and(|magic| *magic != *MAGIC)
            {
                self.forget();
            }
        }
    }

    /// What the file is, as far as its bytes came.
    pub fn finish(mut self) -> Outcome {
        if let Stage::Head(_) = self.stage {
            // The file was shorter than announced.
            self.advance();
        }
        if let Stage::NotElf = self.stage {
            return Outcome::NotElf;
        }
        let Some(mut facts) = parse::facts(&self.windows) else { return Outcome::Unreadable };
        if let Some(scanner) = self.scanner
            && facts.is_program
        {
            facts.facts.paths = scanner.finish(self.unterminated);
        }
        Outcome::Elf(Box::new(facts.facts))
    }

    /// A part that was waited for is complete: chooses what to keep from here on.
    fn advance(&mut self) {
        match std::mem::replace(&mut self.stage, Stage::Rest) {
            Stage::Head(_) => self.leave_head(),
            Stage::Segments(_) => self.choose_tables(),
            Stage::Dynamic(_, layout) => {
                let ranges = parse::tables(&self.windows, &layout);
                self.keep(&layout, ranges);
            }
            stage @ (Stage::Rest | Stage::NotElf) => self.stage = stage,
        }
    }

    fn leave_head(&mut self) {
        let head = self.windows.get(0, self.windows.at().min(HEAD)).unwrap_or_default();
        if !head.starts_with(MAGIC) {
            self.forget();
            return;
        }
        let Some(headers) = parse::headers(&self.windows) else { return };
        if headers.may_be_program() {
            self.unterminated = memchr::memmem::find(&head, GO_NOTE).is_some();
            let mut scanner = PathScanner::new();
            scanner.push(&head);
            self.scanner = Some(scanner);
        }
        if self.size <= WHOLE {
            return;
        }
        let table = headers.segments();
        if table.end <= self.windows.at() {
            self.choose_tables();
        } else if table.end <= self.size {
            // BOLT and patchelf move the program headers behind all that was there. The dynamic section is
            // then a little before them or after them, the tables there too or at their old place.
            self.windows.keep(vec![0..RANGE, table.start.saturating_sub(RANGE)..table.end]);
            self.stage = Stage::Segments(table.end);
        }
    }

    /// The program headers are known: keeps what they point to.
    fn choose_tables(&mut self) {
        let Some(layout) = parse::layout(&self.windows) else { return };
        let Some(dynamic) = layout.dynamic() else {
            self.keep(&layout, Vec::new());
            return;
        };
        if dynamic.end <= self.windows.at() {
            let ranges = parse::tables(&self.windows, &layout);
            self.keep(&layout, ranges);
            return;
        }
        let ranges = layout.likely_tables(&self.windows);
        self.keep(&layout, ranges);
        self.stage = Stage::Dynamic(dynamic.end, Box::new(layout));
    }

    /// Keeps head, interpreter, dynamic section and `ranges`, each up to its limit.
    fn keep(&mut self, layout: &Layout, ranges: Vec<Range<u64>>) {
        let cap =
            |range: Range<u64>| range.start..range.end.min(range.start.saturating_add(RANGE)).min(self.size);
        let first = [0..HEAD, layout.headers.segments()];
        // Of a file that names very many ranges the first few are kept: bounded memory, and `Unreadable` at the worst.
        let mut room = 2 * RANGE;
        let ranges = ranges.into_iter().map(cap).take_while(|range| {
            let length = range.end.saturating_sub(range.start);
            let fits = length <= room;
            room = room.saturating_sub(length);
            fits
        });
        let all = first.into_iter().chain(layout.interpreter()).chain(layout.dynamic());
        self.windows.keep(all.map(cap).chain(ranges).collect());
    }

    fn forget(&mut self) {
        self.stage = Stage::NotElf;
        self.windows.keep(Vec::new());
        self.scanner = None;
    }
}

/// Owner and type of the note that Go's linker puts first into every program: strings of Go run together.
const GO_NOTE: &[u8] = b"\x04\0\0\0Go\0\0";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elf::fixture::ElfBuilder;

    fn read(bytes: &[u8], chunk: usize) -> Outcome {
        let mut reader = FactsReader::new(bytes.len() as u64);
        for piece in bytes.chunks(chunk) {
            reader.push(piece);
        }
        reader.finish()
    }

    fn facts(builder: &ElfBuilder) -> ElfFacts {
        let bytes = builder.build();
        match read(&bytes, 1000) {
            Outcome::Elf(facts) => *facts,
            other => panic!("{other:?} from {builder:?}"),
        }
    }

    fn texts(list: &[Box<[u8]>]) -> Vec<&str> {
        list.iter().map(|text| std::str::from_utf8(text).unwrap()).collect()
    }

    #[test]
    fn every_class_and_byte_order_is_read() {
        for class in [Class::Elf32, Class::Elf64] {
            for big_endian in [false, true] {
                let facts = facts(&ElfBuilder {
                    class,
                    big_endian,
                    machine: 183,
                    runpath: Some("$ORIGIN/../lib".into()),
                    soname: Some("me".into()),
                    imports: vec!["malloc".into(), "system".into()],
                    ..ElfBuilder::program(&["libc.so.6", "libm.so.6"])
                });
                assert_eq!((facts.class, facts.machine), (class, 183));
                assert_eq!(facts.interpreter.as_deref(), Some(&b"/lib64/ld-linux-x86-64.so.2"[..]));
                assert_eq!(texts(&facts.needed), ["libc.so.6", "libm.so.6"]);
                assert_eq!(facts.soname.as_deref(), Some(&b"me"[..]));
                assert_eq!(
                    (facts.runpath.as_deref(), facts.rpath.as_deref()),
                    (Some(&b"$ORIGIN/../lib"[..]), None)
                );
                assert!(facts.calls_shell && facts.is_pie() && !facts.is_static());
            }
        }
    }

    #[test]
    fn names_that_only_end_like_a_shell_call_are_none() {
        let imports = vec!["posix_system".into(), "systemd".into(), "popenx".into()];
        assert!(!facts(&ElfBuilder { imports, ..ElfBuilder::program(&[]) }).calls_shell);
    }

    #[test]
    fn static_programs_and_objects_need_nothing() {
        let program = facts(&ElfBuilder::static_program());
        assert!(program.is_static() && program.kind == ObjectKind::Executable);
        let object = facts(&ElfBuilder { kind: ObjectKind::Other, ..ElfBuilder::default() });
        assert_eq!(object.kind, ObjectKind::Other);
        assert!(facts(&ElfBuilder { flags_1: 0x800, ..ElfBuilder::default() }).no_default_lib);
    }

    #[test]
    fn paths_are_of_programs_only() {
        let payload = b"\0/var/lib/app\0".to_vec();
        let of = |builder: ElfBuilder| {
            texts(&facts(&ElfBuilder { payload: payload.clone(), ..builder }).paths).join(" ")
        };
        assert_eq!(of(ElfBuilder::program(&[])), "/var/lib/app");
        assert_eq!(of(ElfBuilder::static_program()), "/var/lib/app");
        assert_eq!(of(ElfBuilder::library("a", &[])), "");
    }

    #[test]
    fn a_large_file_is_read_without_being_held() {
        let builder = ElfBuilder {
            // The string table is cut by no limit, the dynamic section lies 40 MiB behind it.
            padding: 40 << 20,
            payload: b"\0/srv/x\0".to_vec(),
            imports: vec!["popen".into()],
            ..ElfBuilder::program(&["libc.so.6"])
        };
        let bytes = builder.build();
        let mut reader = FactsReader::new(bytes.len() as u64);
        for piece in bytes.chunks(100_000) {
            reader.push(piece);
            assert!(reader.windows.held() as u64 <= HEAD + 2 * RANGE);
        }
        let Outcome::Elf(facts) = reader.finish() else { panic!("not read") };
        assert_eq!(texts(&facts.needed), ["libc.so.6"]);
        assert_eq!(texts(&facts.paths), ["/srv/x"]);
        assert!(facts.calls_shell);
    }

    #[test]
    fn a_cut_file_is_unreadable_and_other_files_are_no_elf() {
        let bytes = ElfBuilder::program(&["libc.so.6"]).build();
        assert_eq!(read(&bytes[..bytes.len() - 1], 64), Outcome::Unreadable);
        assert_eq!(read(&bytes[..20], 64), Outcome::Unreadable);
        assert_eq!(read(b"\x7fELF", 1), Outcome::Unreadable);
        for other in [&b""[..], b"\x7fEL", b"#!/bin/sh\n", &vec![0; 70_000]] {
            assert_eq!(read(other, 3), Outcome::NotElf);
        }
        let mut reader = FactsReader::new(10 << 20);
        reader.push(&bytes);
        assert!(matches!(reader.finish(), Outcome::Elf(_)), "shorter than announced, but whole");
    }

    #[test]
    fn first_bytes_tell_programs_from_scripts() {
        let script = |text: &[u8]| match classify(text) {
            Head::Script(line) => String::from_utf8(line.to_vec()).unwrap(),
            other => format!("{other:?}"),
        };
        assert_eq!(script(b"#! /bin/sh -e \r\nexit"), "/bin/sh -e");
        assert_eq!(script(b"#!/usr/bin/env python3"), "/usr/bin/env python3");
        assert_eq!(script(&[b"#!/", &[b'x'; 300][..]].concat()).len(), HEAD_BYTES - 2);
        assert_eq!(script(b"#!\n/bin/sh"), "Other");
        assert_eq!(script(b"\x7fELF\x02"), "Elf");
        assert_eq!(script(b""), "Other");
    }

    proptest::proptest! {
        #[test]
        fn no_mutation_makes_the_reader_panic_and_chunks_do_not_matter(
            changes in proptest::collection::vec((0usize..1000, proptest::prelude::any::<u8>()), 0..6),
            (wide, big_endian) in proptest::prelude::any::<(bool, bool)>(),
            cut in 0usize..2000, chunk in 1usize..300, announced in proptest::prelude::any::<u64>(),
        ) {
            let class = if wide { Class::Elf64 } else { Class::Elf32 };
            let imports = vec!["system".into()];
            let mut bytes = ElfBuilder { class, big_endian, imports, ..ElfBuilder::program(&["a", "b"]) }.build();
            for (at, byte) in changes {
                let length = bytes.len();
                bytes[at % length] = byte;
            }
            bytes.truncate(cut);
            let whole = read(&bytes, usize::MAX);
            proptest::prop_assert_eq!(read(&bytes, chunk), whole);
            let mut reader = FactsReader::new(announced);
            reader.push(&bytes);
            reader.finish();
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
            read(&[MAGIC, &bytes].concat(), 7);
            read(&[MAGIC, &[2, 1, 1], &bytes].concat(), 64);
        }
    }
}
