//! Structures of an ELF file, read from the parts of it that were kept.
//!
//! Follows program headers and dynamic section, as loaders do; section headers are hints where to look, no more.

use std::borrow::Cow;
use std::ops::Range;

use goblin::container::{Container, Ctx};
use goblin::elf::Elf;
use goblin::elf::dynamic::{self, Dyn, Dynamic};
use goblin::elf::header::{ET_CORE, ET_DYN, ET_EXEC, ET_REL, Header};
use goblin::elf::program_header::{PT_DYNAMIC, PT_INTERP, PT_LOAD, ProgramHeader};
use goblin::elf::section_header::{SHF_ALLOC, SHT_DYNSYM, SHT_GNU_HASH, SHT_HASH, SHT_STRTAB, SectionHeader};
use goblin::elf::sym::{Symtab, sym32, sym64};

use super::windows::Windows;
use super::{Class, ElfFacts, ObjectKind};

/// Longest `PT_INTERP`: the kernel's `PATH_MAX`.
const MAX_INTERPRETER: u64 = 4096;

/// Largest dynamic section read: 16 bytes an entry, 65536 of them. Real ones have a hundred.
const MAX_DYNAMIC: u64 = 1 << 20;

/// Most `DT_NEEDED` entries read. The most seen in a distribution is below 300.
const MAX_NEEDED: usize = 4096;

/// Longest string read from the string table: a `DT_RUNPATH` of many directories.
const MAX_STRING: usize = 64 << 10;

/// Most dynamic symbols looked at: the largest libraries import fewer than 100,000.
const MAX_SYMBOLS: u64 = 1 << 20;

/// Functions of the C library that run `sh -c`.
const SHELL_CALLS: &[&[u8]] = &[b"system", b"popen", b"_IO_popen"];

/// Entries of the dynamic section whose value is where a table or function begins.
const ADDRESSES: &[u64] = &[
    dynamic::DT_STRTAB,
    dynamic::DT_HASH,
    dynamic::DT_GNU_HASH,
    dynamic::DT_VERSYM,
    dynamic::DT_VERNEED,
    dynamic::DT_VERDEF,
    dynamic::DT_RELA,
    dynamic::DT_REL,
    dynamic::DT_JMPREL,
    dynamic::DT_INIT,
    dynamic::DT_FINI,
];

/// Where the parts of a file lie, as its headers say.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) headers: Headers,
    segments: Vec<ProgramHeader>,
}

/// The file header.
#[derive(Debug, Clone, Copy)]
pub(super) struct Headers {
    header: Header,
    ctx: Ctx,
}

/// Facts, and whether the file is something to start.
pub(super) struct Found {
    pub(super) facts: ElfFacts,
    pub(super) is_program: bool,
}

/// Entries of a dynamic section that count here; addresses are virtual.
#[derive(Debug, Default)]
struct Tags {
    needed: Vec<u64>,
    soname: Option<u64>,
    rpath: Option<u64>,
    runpath: Option<u64>,
    strings: Option<u64>,
    strings_size: u64,
    symbols: Option<u64>,
    hash: Option<u64>,
    gnu_hash: Option<u64>,
    flags_1: u64,
    /// The nearest address behind the symbols that something else begins at.
    behind_symbols: Option<u64>,
}

/// Reads the file header; `None` where it is cut or broken.
pub(super) fn headers(windows: &Windows) -> Option<Headers> {
    // The larger of the two classes' headers, or what there is.
    let bytes = windows.get(0, 64).or_else(|| windows.get(0, 52))?;
    let header = Elf::parse_header(&bytes).ok()?;
    let ctx = Ctx::new(header.container().ok()?, header.endianness().ok()?);
    Some(Headers { header, ctx })
}

/// Reads file and program headers; `None` where they are broken or not kept.
pub(super) fn layout(windows: &Windows) -> Option<Layout> {
    let headers = headers(windows)?;
    let Headers { header, ctx } = headers;
    if header.e_phnum == 0 || usize::from(header.e_phentsize) != ProgramHeader::size(ctx) {
        return None;
    }
    let table = headers.segments();
    let bytes = windows.get(table.start, table.end - table.start)?;
    let segments = ProgramHeader::parse(&bytes, 0, usize::from(header.e_phnum), ctx).ok()?;
    Some(Layout { headers, segments })
}

impl Headers {
    /// Whether this may be no plain library: it has an entry point.
    pub(super) fn may_be_program(&self) -> bool {
        match self.header.e_type {
            ET_EXEC => true,
            ET_DYN => self.header.e_entry != 0,
            _ => false,
        }
    }

    /// Bytes of the file that hold the program headers.
    pub(super) fn segments(&self) -> Range<u64> {
        let size = ProgramHeader::size(self.ctx) as u64 * u64::from(self.header.e_phnum);
        let start = self.header.e_phoff.min(u64::MAX - size);
        start..start + size
    }
}

impl Layout {
    /// Bytes of the file that hold the dynamic section; `None` where header and memory disagree about them.
    pub(super) fn dynamic(&self) -> Option<Range<u64>> {
        let segment = self.only(PT_DYNAMIC)?;
        let range = file_range(segment).filter(|range| range.end - range.start <= MAX_DYNAMIC)?;
        // Loaders take the address; the offset is for tools. A file where they differ would have one set of
        // libraries for kiln and another for the loader.
        (self.locate(segment.p_vaddr)?.start == range.start).then_some(range)
    }

    /// Whether the loader would find a dynamic section; files of debug symbols have the header alone.
    fn wants_dynamic(&self) -> bool {
        let mut all = self.segments.iter().filter(|segment| segment.p_type == PT_DYNAMIC);
        all.any(|segment| segment.p_filesz > 0 || self.is_loaded(segment.p_vaddr))
    }

    fn is_loaded(&self, address: u64) -> bool {
        let loads = self.segments.iter().filter(|segment| segment.p_type == PT_LOAD);
        loads
            .filter_map(|segment| Some((segment, address.checked_sub(segment.p_vaddr)?)))
            .any(|(segment, within)| within < segment.p_filesz)
    }

    /// The one segment of this kind; `None` for two, of which loaders take the first or the last.
    fn only(&self, kind: u32) -> Option<&ProgramHeader> {
        let mut all = self.segments.iter().filter(|segment| segment.p_type == kind);
        all.next().filter(|_| all.next().is_none())
    }

    /// Bytes of the file that name the loader.
    pub(super) fn interpreter(&self) -> Option<Range<u64>> {
        self.segment(PT_INTERP).filter(|range| range.end - range.start <= MAX_INTERPRETER)
    }

    /// Where dynamic strings and symbols probably are, before the dynamic section has been seen.
    pub(super) fn likely_tables(&self, windows: &Windows) -> Vec<Range<u64>> {
        let hints = self.section_hints(windows);
        if !hints.is_empty() {
            return hints;
        }
        let loads =
            || self.segments.iter().filter(|segment| segment.p_type == PT_LOAD).filter_map(file_range);
        let mut ranges = Vec::new();
        ranges.extend(loads().min_by_key(|range| range.start));
        // A library rewritten by patchelf has its tables in a segment at the end, before its dynamic section.
        if let Some(dynamic) = self.dynamic() {
            ranges.extend(
                loads()
                    .filter(|range| range.contains(&dynamic.start))
                    .map(|range| range.start..dynamic.start),
            );
        }
        ranges
    }

    /// Go's linker puts the dynamic tables into the middle of a large segment, but section headers first.
    fn section_hints(&self, windows: &Windows) -> Vec<Range<u64>> {
        let size = SectionHeader::size(self.headers.ctx) as u64;
        let count = u64::from(self.headers.header.e_shnum);
        if count == 0 || u64::from(self.headers.header.e_shentsize) != size {
            return Vec::new();
        }
        let Some(sections) = windows
            .get(self.headers.header.e_shoff, size * count)
            // goblin takes the first section to tell a count that the header could not.
            .and_then(|bytes| {
                SectionHeader::parse(&bytes, 0, usize::from(self.headers.header.e_shnum), self.headers.ctx)
                    .ok()
            })
        else {
            return Vec::new();
        };
        sections
            .iter()
            .filter(|section| section.sh_flags & u64::from(SHF_ALLOC) != 0)
            .filter(|section| matches!(section.sh_type, SHT_DYNSYM | SHT_STRTAB | SHT_HASH | SHT_GNU_HASH))
            .filter_map(|section| Some(section.sh_offset..section.sh_offset.checked_add(section.sh_size)?))
            .collect()
    }

    fn segment(&self, kind: u32) -> Option<Range<u64>> {
        self.segments.iter().find(|segment| segment.p_type == kind).and_then(file_range)
    }

    /// Where in the file the byte at virtual `address` is, and how many follow it in its segment; `None` where it is
    /// nowhere, or segments that overlap in memory disagree.
    fn locate(&self, address: u64) -> Option<Range<u64>> {
        let mut places =
            self.segments.iter().filter(|segment| segment.p_type == PT_LOAD).filter_map(|segment| {
                let within =
                    address.checked_sub(segment.p_vaddr).filter(|within| *within < segment.p_filesz)?;
                let range = file_range(segment)?;
                Some(range.start.checked_add(within)?..range.end)
            });
        let first = places.next()?;
        places.all(|other| other.start == first.start).then_some(first)
    }
}

fn file_range(segment: &ProgramHeader) -> Option<Range<u64>> {
    Some(segment.p_offset..segment.p_offset.checked_add(segment.p_filesz)?)
}

/// Where the tables are that the dynamic section names; empty where it cannot be read.
pub(super) fn tables(windows: &Windows, layout: &Layout) -> Vec<Range<u64>> {
    let Some(tags) = dynamic_tags(windows, layout) else { return Vec::new() };
    let mut ranges = Vec::new();
    if let Some(range) = tags.strings.and_then(|address| layout.locate(address)) {
        ranges.push(range.start..range.start.saturating_add(tags.strings_size).min(range.end));
    }
    for hash in [tags.hash, tags.gnu_hash].into_iter().flatten() {
        ranges.extend(layout.locate(hash).map(|range| range.start..range.start.saturating_add(8)));
    }
    if let Some(range) = tags.symbols.and_then(|address| layout.locate(address)) {
        let count = symbol_count(windows, layout, &tags).unwrap_or(MAX_SYMBOLS);
        let size = symbol_size(layout.headers.ctx).saturating_mul(count);
        ranges.push(range.start..range.start.saturating_add(size).min(range.end));
    }
    ranges
}

/// All facts but the paths; `None` where something that a loader reads is cut, broken or beyond the limits.
pub(super) fn facts(windows: &Windows) -> Option<Found> {
    let Headers { header, ctx } = headers(windows)?;
    let mut facts = ElfFacts {
        class: if ctx.container == Container::Big { Class::Elf64 } else { Class::Elf32 },
        machine: header.e_machine,
        kind: match header.e_type {
            ET_EXEC => ObjectKind::Executable,
            ET_DYN => ObjectKind::SharedObject,
            _ => ObjectKind::Other,
        },
        ..ElfFacts::default()
    };
    if matches!(header.e_type, ET_REL | ET_CORE) {
        return Some(Found { facts, is_program: false });
    }
    let layout = layout(windows)?;
    // Nothing that could be loaded: what else stands there means nothing.
    layout.segments.iter().find(|segment| segment.p_type == PT_LOAD)?;
    // Of no bytes: a file of debug symbols, which has the headers of its program only.
    if layout.segment(PT_INTERP).is_some_and(|range| range.start < range.end) {
        let range = layout.interpreter()?;
        let bytes = windows.get(range.start, range.end - range.start)?;
        let end = memchr::memchr(0, &bytes)?;
        facts.interpreter = Some(bytes.get(..end)?.into());
    }
    let mut is_pie = false;
    if layout.wants_dynamic() {
        let tags = dynamic_tags(windows, &layout)?;
        is_pie = tags.flags_1 & dynamic::DF_1_PIE != 0;
        facts.no_default_lib = tags.flags_1 & dynamic::DF_1_NODEFLIB != 0;
        let strings = Strings::find(windows, &layout, &tags);
        let text = |offset: u64| strings.as_ref()?.get(offset).map(Box::<[u8]>::from);
        for offset in &tags.needed {
            facts.needed.push(text(*offset)?);
        }
        // What is named must be readable: a library path that is lost would look like none.
        for (slot, offset) in [
            (&mut facts.soname, tags.soname),
            (&mut facts.rpath, tags.rpath),
            (&mut facts.runpath, tags.runpath),
        ] {
            if let Some(offset) = offset {
                *slot = Some(text(offset)?);
            }
        }
        facts.calls_shell = strings.is_some_and(|strings| imports_shell(windows, &layout, &tags, &strings));
    }
    let is_program = match facts.kind {
        ObjectKind::Executable => true,
        ObjectKind::SharedObject => facts.interpreter.is_some() || is_pie,
        ObjectKind::Other => false,
    };
    Some(Found { facts, is_program })
}

fn dynamic_tags(windows: &Windows, layout: &Layout) -> Option<Tags> {
    let range = layout.dynamic()?;
    let bytes = windows.get(range.start, range.end - range.start)?;
    let section = ProgramHeader { p_type: PT_DYNAMIC, p_filesz: bytes.len() as u64, ..ProgramHeader::new() };
    let entries = Dynamic::parse(&bytes, &[section], layout.headers.ctx).ok()??.dyns;
    // Loaders read on to the end mark, wherever the header says that the section ends.
    entries.last().filter(|last| last.d_tag == dynamic::DT_NULL)?;
    let mut tags = Tags::default();
    let symbols = entries.iter().find(|entry| entry.d_tag == dynamic::DT_SYMTAB).map(|entry| entry.d_val);
    for Dyn { d_tag, d_val } in entries {
        if ADDRESSES.contains(&d_tag) && symbols.is_some_and(|symbols| symbols < d_val) {
            tags.behind_symbols = Some(tags.behind_symbols.map_or(d_val, |nearest| nearest.min(d_val)));
        }
        match d_tag {
            dynamic::DT_NEEDED if tags.needed.len() >= MAX_NEEDED => return None,
            dynamic::DT_NEEDED => tags.needed.push(d_val),
            dynamic::DT_SONAME => tags.soname = Some(d_val),
            dynamic::DT_RPATH => tags.rpath = Some(d_val),
            dynamic::DT_RUNPATH => tags.runpath = Some(d_val),
            dynamic::DT_STRTAB => tags.strings = Some(d_val),
            dynamic::DT_STRSZ => tags.strings_size = d_val,
            dynamic::DT_SYMTAB => tags.symbols = Some(d_val),
            dynamic::DT_HASH => tags.hash = Some(d_val),
            dynamic::DT_GNU_HASH => tags.gnu_hash = Some(d_val),
            dynamic::DT_FLAGS_1 => tags.flags_1 = d_val,
            _ => {}
        }
    }
    Some(tags)
}

/// The dynamic string table.
struct Strings<'a>(Cow<'a, [u8]>);

impl<'a> Strings<'a> {
    fn find(windows: &'a Windows, layout: &Layout, tags: &Tags) -> Option<Self> {
        let range = layout.locate(tags.strings?)?;
        let size = tags.strings_size.min(range.end.checked_sub(range.start)?);
        windows.get(range.start, size).map(Self)
    }

    fn get(&self, offset: u64) -> Option<&[u8]> {
        let rest = self.0.get(usize::try_from(offset).ok()?..)?;
        let rest = rest.get(..rest.len().min(MAX_STRING))?;
        rest.get(..memchr::memchr(0, rest)?)
    }
}

fn imports_shell(windows: &Windows, layout: &Layout, tags: &Tags, strings: &Strings<'_>) -> bool {
    let Some(range) = tags.symbols.and_then(|address| layout.locate(address)) else { return false };
    let Some(count) = symbol_count(windows, layout, tags) else { return false };
    let Some(bytes) = windows.get(range.start, count.saturating_mul(symbol_size(layout.headers.ctx))) else {
        return false;
    };
    let Ok(count) = usize::try_from(count) else { return false };
    let Ok(symbols) = Symtab::parse(&bytes, 0, count, layout.headers.ctx) else { return false };
    symbols.iter().any(|symbol| {
        symbol.st_shndx == 0
            && strings.get(symbol.st_name as u64).is_some_and(|name| SHELL_CALLS.contains(&name))
    })
}

/// Number of symbols that can be imports: all of them, or those before the first exported one (the GNU hash
/// table covers exported symbols only, which stand at the end).
fn symbol_count(windows: &Windows, layout: &Layout, tags: &Tags) -> Option<u64> {
    let second_word = |address: u64| {
        let bytes = windows.get(layout.locate(address)?.start.checked_add(4)?, 4)?;
        let word: [u8; 4] = (*bytes).try_into().ok()?;
        let read =
            if layout.headers.ctx.is_little_endian() { u32::from_le_bytes } else { u32::from_be_bytes };
        Some(u64::from(read(word)))
    };
    // GNU ld writes 1 into a table of nothing: then it says nothing.
    let exported_from = tags.gnu_hash.and_then(second_word).filter(|first| *first > 1);
    let count = match (exported_from, tags.hash) {
        (Some(first), _) => first,
        (None, Some(address)) => second_word(address)?,
        (None, None) => tags.behind_symbols?.checked_sub(tags.symbols?)? / symbol_size(layout.headers.ctx),
    };
    (count > 0 && count <= MAX_SYMBOLS).then_some(count)
}

fn symbol_size(ctx: Ctx) -> u64 {
    if ctx.is_big() { sym64::SIZEOF_SYM as u64 } else { sym32::SIZEOF_SYM as u64 }
}
