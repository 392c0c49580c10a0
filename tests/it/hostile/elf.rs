//! Broken ELF files: every field of every header, each with values that break things; the facts are those that a loader
//! would find, or none.

use kiln::elf::facts::{ElfFacts, FactsReader, Outcome};
use kiln::elf::fixture::ElfBuilder;

use super::lab::{Lab, Layer};
use super::tar::{program, tar};

fn original() -> Vec<u8> {
    ElfBuilder {
        runpath: Some("$ORIGIN/lib".into()),
        soname: Some("me.so".into()),
        imports: vec!["system".into()],
        ..ElfBuilder::program(&["liba.so.1", "libb.so.2"])
    }
    .build()
}

fn read(bytes: &[u8], announced: u64) -> Outcome {
    let mut reader = FactsReader::new(announced);
    bytes.chunks(777).for_each(|piece| reader.push(piece));
    reader.finish()
}

/// Offset and width of every field of the file header, of the three program headers and of the dynamic section.
fn fields(bytes: &[u8]) -> Vec<(usize, usize)> {
    let mut out: Vec<(usize, usize)> = (4..16).map(|at| (at, 1)).collect();
    out.extend([(16, 2), (18, 2), (20, 4), (24, 8), (32, 8), (40, 8), (48, 4)]);
    out.extend((52..64).step_by(2).map(|at| (at, 2)));
    for header in 0..3 {
        let start = 64 + header * 56;
        out.extend([(start, 4), (start + 4, 4)]);
        out.extend((start + 8..start + 56).step_by(8).map(|at| (at, 8)));
    }
    let (start, length) = (number(bytes, 64 + 2 * 56 + 8, 8), number(bytes, 64 + 2 * 56 + 32, 8));
    out.extend((start..start + length).step_by(8).map(|at| (usize::try_from(at).unwrap(), 8)));
    out
}

fn number(bytes: &[u8], at: usize, width: usize) -> u64 {
    bytes
        .get(at..at + width)
        .map_or(0, |field| field.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
}

fn values(old: u64, length: u64) -> Vec<u64> {
    let edges = [0, 1, 2, 3, 6, 0x7f, 0xff, 0x1000, 0xffff, 0x7fff_ffff, 0xffff_ffff, 0x6fff_fffb];
    let around = [old.wrapping_sub(1), old.wrapping_add(1), old ^ 0x80, old.wrapping_mul(2), !old];
    let ends = [length - 1, length, length + 1, 0x40_0000, u64::MAX - 7, u64::MAX, u64::MAX >> 1, 1 << 63];
    edges.into_iter().chain(around).chain(ends).collect()
}

type Text = Vec<u8>;

/// What glibc's loader and the kernel would find, in their way: the segments in memory, and the section by its address.
/// `None` where they would not get so far.
fn loader(bytes: &[u8]) -> Option<(Option<Text>, Vec<Text>)> {
    if bytes.get(..7)? != b"\x7fELF\x02\x01\x01"
        || !matches!(number(bytes, 16, 2), 2 | 3)
        || number(bytes, 54, 2) != 56
    {
        return None;
    }
    let (table, count) =
        (usize::try_from(number(bytes, 32, 8)).ok()?, usize::try_from(number(bytes, 56, 2)).ok()?);
    bytes.get(table..table.checked_add(count * 56)?)?;
    let header = |index: usize| {
        let field = |at: usize, width: usize| number(bytes, table + index * 56 + at, width);
        (field(0, 4), field(8, 8), field(16, 8), field(32, 8))
    };
    let headers: Vec<_> = (0..count).map(header).collect();
    let at = |address: u64| {
        // Later segments are mapped over earlier ones.
        let (_, offset, start, _) = *headers
            .iter()
            .rev()
            .find(|(kind, _, start, size)| *kind == 1 && address >= *start && address - start < *size)?;
        usize::try_from(offset.checked_add(address - start)?).ok().filter(|at| *at < bytes.len())
    };
    let text = |at: usize| Some(bytes.get(at..)?.split(|byte| *byte == 0).next()?.to_vec());
    let interpreter = match headers.iter().find(|(kind, ..)| *kind == 3) {
        Some((_, offset, _, size)) => {
            let range = usize::try_from(*offset).ok()?..usize::try_from(offset.checked_add(*size)?).ok()?;
            let bytes = bytes.get(range)?;
            // binfmt_elf: two bytes at least, and the last one is NUL.
            bytes.last().filter(|last| **last == 0 && bytes.len() > 1)?;
            Some(bytes.split(|byte| *byte == 0).next()?.to_vec())
        }
        None => None,
    };
    let Some((_, _, dynamic, _)) = headers.iter().rev().find(|(kind, ..)| *kind == 2) else {
        return Some((interpreter, Vec::new()));
    };
    let mut entry = at(*dynamic)?;
    let (mut needed, mut strings) = (Vec::new(), None);
    loop {
        bytes.get(entry..entry + 16)?;
        match (number(bytes, entry, 8), number(bytes, entry + 8, 8)) {
            (0, _) => break,
            (1, value) => needed.push(value),
            (5, value) => strings = Some(value),
            _ => {}
        }
        entry += 16;
    }
    let strings = match strings {
        Some(address) => at(address),
        None => None,
    };
    let names = needed.into_iter().map(|offset| text(strings?.checked_add(usize::try_from(offset).ok()?)?));
    Some((interpreter, names.collect::<Option<_>>()?))
}

#[test]
fn every_broken_field_gives_what_a_loader_finds_or_nothing() {
    let good = original();
    let length = good.len() as u64;
    let (mut read_on, mut refused) = (0, 0);
    for (at, width) in fields(&good) {
        for value in values(number(&good, at, width), length) {
            let mut bytes = good.clone();
            bytes[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
            // As a small file, as a part of a large one, and as one that is shorter than announced.
            for announced in [length, 3 << 20, u64::MAX] {
                match read(&bytes, announced) {
                    Outcome::Elf(facts) => {
                        read_on += 1;
                        agrees(&bytes, &facts, &format!("{value:#x} at {at}"));
                    }
                    Outcome::Unreadable => refused += 1,
                    Outcome::NotElf => panic!("the magic is untouched"),
                }
            }
        }
    }
    assert!(read_on > 1000 && refused > 1000, "{read_on} read, {refused} refused");
}

fn agrees(bytes: &[u8], facts: &ElfFacts, what: &str) {
    // What no loader takes needs nothing, whatever is believed of it.
    let Some((interpreter, needed)) = loader(bytes) else { return };
    let texts: Vec<Vec<u8>> = facts.needed.iter().map(|text| text.to_vec()).collect();
    assert_eq!(texts, needed, "needed: {what}");
    assert_eq!(facts.interpreter.as_deref(), interpreter.as_deref(), "interpreter: {what}");
}

#[test]
fn the_loader_of_this_test_reads_a_whole_file() {
    let (interpreter, needed) = loader(&original()).unwrap();
    assert_eq!(interpreter.unwrap(), b"/lib64/ld-linux-x86-64.so.2");
    assert_eq!(needed, [b"liba.so.1".to_vec(), b"libb.so.2".to_vec()]);
}

#[test]
fn files_cut_anywhere_are_unreadable_or_the_same() {
    let good = original();
    let Outcome::Elf(whole) = read(&good, good.len() as u64) else { panic!("the fixture is whole") };
    for left in 0..good.len() {
        if let Outcome::Elf(facts) = read(&good[..left], left as u64) {
            assert_eq!(
                (&facts.needed, &facts.interpreter),
                (&whole.needed, &whole.interpreter),
                "cut at {left}"
            );
        }
    }
}

#[test]
fn broken_program_stays_and_is_a_finding() {
    let mut bytes = original();
    // The dynamic section begins elsewhere than its address says.
    bytes[64 + 2 * 56 + 8..][..8].fill(0);
    let library = ElfBuilder::library("liba.so.1", &[]).build();
    let lab =
        Lab::with(&[Layer::gzip(&tar(&[program(b"app", &bytes), program(b"usr/lib/liba.so.1", &library)]))]);
    let text = lab.accepts(&[]);
    assert!(text.contains("KN009") && text.contains("/app"), "{text}");
    let removed = lab.report()["removed"].to_string();
    assert!(!removed.contains("liba"), "what it may need stays: {removed}");
}
