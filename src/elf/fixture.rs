//! ELF files made to measure, for tests: headers, dynamic section, symbols, and bytes behind them.
//!
//! Contains no code: no kernel would get far with these.

use super::facts::{Class, ObjectKind};

/// An ELF file to be.
#[derive(Debug, Clone)]
pub struct ElfBuilder {
    /// 32 or 64 bit.
    pub class: Class,
    /// Most significant byte first.
    pub big_endian: bool,
    /// `e_machine`
    pub machine: u16,
    /// `e_type`; [`ObjectKind::Other`] is a relocatable object.
    pub kind: ObjectKind,
    /// `PT_INTERP`
    pub interpreter: Option<String>,
    /// `DT_NEEDED`
    pub needed: Vec<String>,
    /// `DT_SONAME`
    pub soname: Option<String>,
    /// `DT_RPATH`
    pub rpath: Option<String>,
    /// `DT_RUNPATH`
    pub runpath: Option<String>,
    /// `DT_FLAGS_1`
    pub flags_1: u64,
    /// Undefined symbols.
    pub imports: Vec<String>,
    /// Bytes between headers and tables: those of a large program.
    pub padding: usize,
    /// Bytes at the end.
    pub payload: Vec<u8>,
}

impl Default for ElfBuilder {
    /// An empty shared object for x86-64.
    fn default() -> Self {
        Self {
            class: Class::Elf64,
            big_endian: false,
            machine: 62,
            kind: ObjectKind::SharedObject,
            interpreter: None,
            needed: Vec::new(),
            soname: None,
            rpath: None,
            runpath: None,
            flags_1: 0,
            imports: Vec::new(),
            padding: 0,
            payload: Vec::new(),
        }
    }
}

/// Difference between virtual addresses and offsets, so that one is never taken for the other.
const BASE: u64 = 0x40_0000;

const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;

impl ElfBuilder {
    /// A program for x86-64 that needs these libraries.
    pub fn program(needed: &[&str]) -> Self {
        Self {
            interpreter: Some("/lib64/ld-linux-x86-64.so.2".into()),
            needed: needed.iter().map(ToString::to_string).collect(),
            ..Self::default()
        }
    }

    /// A library for x86-64 of this name that needs these.
    pub fn library(soname: &str, needed: &[&str]) -> Self {
        Self {
            soname: Some(soname.into()),
            needed: needed.iter().map(ToString::to_string).collect(),
            ..Self::default()
        }
    }

    /// A static program for x86-64.
    pub fn static_program() -> Self {
        Self { kind: ObjectKind::Executable, ..Self::default() }
    }

    /// The file's bytes.
    pub fn build(&self) -> Vec<u8> {
        let mut strings = vec![0];
        let mut intern = |text: &str| {
            let at = strings.len() as u64;
            strings.extend(text.bytes().chain([0]));
            at
        };
        let mut tags: Vec<(u64, u64)> = Vec::new();
        tags.extend(self.needed.iter().map(|name| (1, intern(name))));
        tags.extend(self.soname.iter().map(|name| (14, intern(name))));
        tags.extend(self.rpath.iter().map(|path| (15, intern(path))));
        tags.extend(self.runpath.iter().map(|path| (29, intern(path))));
        let names: Vec<u64> = self.imports.iter().map(|name| intern(name)).collect();

        let wide = self.class == Class::Elf64;
        let (header, segment, symbol, entry) = if wide { (64, 56, 24, 16) } else { (52, 32, 16, 8) };
        let dynamic =
            self.kind != ObjectKind::Executable || !self.needed.is_empty() || !self.imports.is_empty();
        let relocatable = self.kind == ObjectKind::Other;
        let count =
            if relocatable { 0 } else { 1 + u64::from(dynamic) + u64::from(self.interpreter.is_some()) };

        // Offsets, in the order linkers use: interpreter, hash, symbols, strings, the rest, dynamic section.
        let interpreter = header + segment * count;
        let length = self.interpreter.as_ref().map_or(0, |name| name.len() as u64 + 1);
        let hash = (interpreter + length).next_multiple_of(8);
        let symbols = hash + 16;
        let text = symbols + symbol * (names.len() as u64 + 1);
        let section = (text + strings.len() as u64 + self.padding as u64).next_multiple_of(8);
        tags.extend([
            (4, BASE + hash),
            (5, BASE + text),
            (6, BASE + symbols),
            (10, strings.len() as u64),
            (11, symbol),
        ]);
        if self.flags_1 != 0 {
            tags.push((0x6fff_fffb, self.flags_1));
        }
        tags.push((0, 0));
        let section_size = if dynamic { entry * tags.len() as u64 } else { 0 };
        let total = section + section_size + self.payload.len() as u64;

        let mut out = Out { bytes: Vec::new(), wide, big: self.big_endian };
        out.bytes.extend(b"\x7fELF");
        out.bytes.extend([if wide { 2 } else { 1 }, if self.big_endian { 2 } else { 1 }, 1, 0]);
        out.bytes.extend([0; 8]);
        out.half(match self.kind {
            ObjectKind::Executable => 2,
            ObjectKind::SharedObject => 3,
            ObjectKind::Other => 1,
        });
        out.half(self.machine);
        out.word(1);
        out.address(if self.kind == ObjectKind::Executable || self.interpreter.is_some() { BASE } else { 0 });
        out.address(if relocatable { 0 } else { header });
        out.address(0);
        out.word(0);
        for half in [header, segment, count, if wide { 64 } else { 40 }, 0, 0] {
            out.half(u16::try_from(half).unwrap_or_default());
        }
        if !relocatable {
            out.segment(PT_LOAD, 0, total);
            if self.interpreter.is_some() {
                out.segment(PT_INTERP, interpreter, length);
            }
            if dynamic {
                out.segment(PT_DYNAMIC, section, section_size);
            }
        }
        out.bytes.extend(self.interpreter.iter().flat_map(|name| name.bytes().chain([0])));
        out.pad_to(hash);
        // One bucket, and as many chains as symbols.
        for word in [1, names.len() as u64 + 1, 0, 0] {
            out.word(u32::try_from(word).unwrap_or_default());
        }
        for name in [0].iter().chain(&names) {
            out.symbol(*name);
        }
        out.bytes.extend(strings);
        out.pad_to(section);
        if dynamic {
            for (tag, value) in tags {
                out.address(tag);
                out.address(value);
            }
        }
        out.bytes.extend(&self.payload);
        out.bytes
    }
}

struct Out {
    bytes: Vec<u8>,
    wide: bool,
    big: bool,
}

impl Out {
    fn half(&mut self, value: u16) {
        self.bytes.extend(if self.big { value.to_be_bytes() } else { value.to_le_bytes() });
    }

    fn word(&mut self, value: u32) {
        self.bytes.extend(if self.big { value.to_be_bytes() } else { value.to_le_bytes() });
    }

    fn address(&mut self, value: u64) {
        if self.wide {
            self.bytes.extend(if self.big { value.to_be_bytes() } else { value.to_le_bytes() });
        } else {
            self.word(u32::try_from(value).unwrap_or(u32::MAX));
        }
    }

    fn segment(&mut self, kind: u32, offset: u64, size: u64) {
        self.word(kind);
        if self.wide {
            self.word(5);
        }
        for value in [offset, BASE + offset, BASE + offset, size, size] {
            self.address(value);
        }
        if !self.wide {
            self.word(5);
        }
        self.address(8);
    }

    /// An undefined global function.
    fn symbol(&mut self, name: u64) {
        self.word(u32::try_from(name).unwrap_or_default());
        if self.wide {
            self.bytes.extend([0x12, 0, 0, 0]);
            self.address(0);
            self.address(0);
        } else {
            self.word(0);
            self.word(0);
            self.bytes.extend([0x12, 0, 0, 0]);
        }
    }

    fn pad_to(&mut self, offset: u64) {
        self.bytes.resize(usize::try_from(offset).unwrap_or_default().max(self.bytes.len()), 0);
    }
}
