//! Tables that say what the next bits of a stream stand for.
//!
//! The next few bits are looked up at once; where a code is longer its first bits lead to a table of the rest.

use super::DecodeError;
use super::code::{self, MAX_BITS};
use super::token::{DISTANCES, END, LENGTHS, LITERALS, OFFSETS};

/// Bits that are looked up at once in literals and lengths.
pub(super) const LITERAL_BITS: u32 = 11;

/// The same in distances.
pub(super) const DISTANCE_BITS: u32 = 9;

/// What a code stands for, in one word: 5 bits say how long it is with the bits that follow it, 4 how many those are, 3 what it is, 4 how
/// long it is itself, and 16 its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Entry(u32);

/// What kind of thing a code stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// Nothing.
    Nothing = 0,
    /// The literal byte `value`.
    Literal = 1,
    /// A length or a distance of `value` and what the bits behind it say.
    Base = 2,
    /// The end of the block.
    End = 3,
    /// It is longer: `extra` more bits are looked up from `value` on in the table of the rest.
    More = 4,
}

impl Entry {
    const fn new(kind: Kind, value: u16, extra: u8, length: u8) -> Self {
        let total = (length + extra) as u32;
        Self((value as u32) << 16 | (length as u32) << 12 | (kind as u32) << 9 | (extra as u32) << 5 | total)
    }

    /// Bits to pass over: the code's, and those that follow.
    #[inline]
    pub(super) fn total(self) -> u32 {
        self.0 & 31
    }

    /// Bits that follow the code.
    #[inline]
    pub(super) fn extra(self) -> u32 {
        self.0 >> 5 & 15
    }

    /// Bits of the code.
    #[inline]
    fn length(self) -> u32 {
        self.0 >> 12 & 15
    }

    #[inline]
    pub(super) fn value(self) -> u32 {
        self.0 >> 16
    }

    /// The value, and what those of `bits` add that follow the code, with which they begin.
    #[inline]
    pub(super) fn sum(self, bits: u64) -> u32 {
        self.value() + ((bits >> self.length()) as u32 & ((1 << self.extra()) - 1))
    }

    #[inline]
    pub(super) fn is(self, kind: Kind) -> bool {
        self.0 >> 9 & 7 == kind as u32
    }
}

/// The tables of a code.
#[derive(Debug, Clone)]
pub(super) struct Table<const SIZE: usize> {
    first: Box<[Entry; SIZE]>,
    rest: Vec<Entry>,
}

/// Of literals and lengths.
pub(super) type Literals = Table<{ 1 << LITERAL_BITS }>;

/// Of distances.
pub(super) type Distances = Table<{ 1 << DISTANCE_BITS }>;

impl<const SIZE: usize> Table<SIZE> {
    /// What `bits` begin with.
    #[inline]
    pub(super) fn look_up(&self, bits: u64) -> Entry {
        let entry = self.first.get(bits as usize % SIZE).copied().unwrap_or_default();
        if entry.is(Kind::More) { self.look_further(bits, entry) } else { entry }
    }

    #[inline]
    fn look_further(&self, bits: u64, entry: Entry) -> Entry {
        let within = (bits >> SIZE.trailing_zeros()) as u32 & ((1 << entry.extra()) - 1);
        self.rest.get((entry.value() + within) as usize).copied().unwrap_or_default()
    }

    /// The tables of the code with these lengths, whose symbols stand for what `entry` says. Where `is_lone` there may be a single one of one
    /// bit, or none at all.
    fn of(
        lengths: &[u8],
        is_lone: bool,
        entry: impl Fn(usize) -> (Kind, u16, u8),
    ) -> Result<Self, DecodeError> {
        let first_bits = SIZE.trailing_zeros();
        let counts = code::counts(lengths);
        let taken: u32 = (1..=MAX_BITS)
            .map(|length| u32::from(counts.get(length).copied().unwrap_or(0)) << (MAX_BITS - length))
            .sum();
        let longest = (1..=MAX_BITS).rev().find(|&length| counts.get(length).is_some_and(|&count| count > 0));
        let is_short = is_lone && longest.is_none_or(|longest| longest == 1);
        if taken > 1 << MAX_BITS || (taken < 1 << MAX_BITS && !is_short) {
            return Err(DecodeError::Codes);
        }
        let mut first = Box::new([Entry::default(); SIZE]);
        let mut next = code::first_codes(lengths);
        let mut long: Vec<(u32, u32, usize)> = Vec::new();
        for (symbol, &length) in lengths.iter().enumerate().filter(|(_, length)| **length > 0) {
            let length = u32::from(length);
            let Some(code) = next.get_mut(length as usize) else { continue };
            let bits = u32::from(code.reverse_bits() >> (16 - length));
            *code = code.wrapping_add(1);
            if length > first_bits {
                long.push((bits, length, symbol));
                continue;
            }
            let (kind, value, extra) = entry(symbol);
            let entry = Entry::new(kind, value, extra, length as u8);
            for slot in first.iter_mut().skip(bits as usize).step_by(1 << length) {
                *slot = entry;
            }
        }
        let rest = Self::rest(&mut first, &long, entry);
        Ok(Self { first, rest })
    }

    /// The table of the rest of `long` codes: their bits, how many, and their symbol.
    fn rest(
        first: &mut [Entry; SIZE],
        long: &[(u32, u32, usize)],
        entry: impl Fn(usize) -> (Kind, u16, u8),
    ) -> Vec<Entry> {
        let first_bits = SIZE.trailing_zeros();
        // How many bits the longest with the same beginning has behind it.
        let mut behind = vec![0u8; if long.is_empty() { 0 } else { SIZE }];
        for &(bits, length, _) in long {
            if let Some(most) = behind.get_mut(bits as usize % SIZE) {
                *most = (*most).max((length - first_bits) as u8);
            }
        }
        let mut rest: Vec<Entry> = Vec::new();
        for (slot, &bits) in first.iter_mut().zip(&behind).filter(|(_, bits)| **bits > 0) {
            *slot = Entry::new(Kind::More, rest.len() as u16, bits, 0);
            rest.resize(rest.len() + (1 << bits), Entry::default());
        }
        for &(bits, length, symbol) in long {
            let lead = first.get(bits as usize % SIZE).copied().unwrap_or_default();
            let (kind, value, extra) = entry(symbol);
            let entry = Entry::new(kind, value, extra, length as u8);
            let own = rest.get_mut(lead.value() as usize..).unwrap_or_default();
            let own = own.iter_mut().take(1 << lead.extra());
            for slot in own.skip((bits >> first_bits) as usize).step_by(1 << (length - first_bits)) {
                *slot = entry;
            }
        }
        rest
    }
}

/// The tables of a block with these lengths of literals and lengths.
pub(super) fn literals(lengths: &[u8]) -> Result<Literals, DecodeError> {
    if lengths.get(END).is_none_or(|&length| length == 0) {
        return Err(DecodeError::Codes);
    }
    Literals::of(lengths, true, |symbol| match symbol {
        0..END => (Kind::Literal, symbol as u16, 0),
        END => (Kind::End, 0, 0),
        _ => base(&LENGTHS, symbol - END - 1),
    })
}

/// The same with these lengths of distances.
pub(super) fn distances(lengths: &[u8]) -> Result<Distances, DecodeError> {
    Distances::of(lengths, true, |symbol| base(&OFFSETS, symbol))
}

fn base(bases: &[(u16, u8)], index: usize) -> (Kind, u16, u8) {
    bases.get(index).map_or((Kind::Nothing, 0, 0), |&(base, extra)| (Kind::Base, base, extra))
}

/// The table of a code of code lengths, whose symbols are given as literals; it must be complete.
pub(super) fn code_lengths(lengths: &[u8]) -> Result<Table<128>, DecodeError> {
    Table::of(lengths, false, |symbol| (Kind::Literal, symbol as u16, 0))
}

/// The lengths of the fixed codes (RFC 1951, 3.2.6).
pub(super) fn fixed_lengths() -> ([u8; LITERALS], [u8; DISTANCES]) {
    let literals = std::array::from_fn(|symbol| match symbol {
        144..=255 => 9,
        256..=279 => 7,
        _ => 8,
    });
    (literals, [5; DISTANCES])
}

#[cfg(test)]
mod tests {
    use super::super::code::Code;
    use super::*;

    #[test]
    fn every_code_is_found_whatever_follows_it() {
        // Lengths from 1 to 15, so that the table of the rest is used.
        let mut lengths = [0u8; LITERALS];
        for (symbol, length) in [
            (65, 1),
            (66, 2),
            (67, 3),
            (68, 4),
            (69, 5),
            (70, 6),
            (71, 7),
            (72, 8),
            (73, 9),
            (74, 10),
            (75, 11),
        ] {
            lengths[symbol] = length;
        }
        (lengths[256], lengths[257], lengths[284], lengths[0], lengths[255]) = (12, 13, 14, 15, 15);
        let table = literals(&lengths).unwrap();
        let code = Code::of(&lengths);
        for symbol in (0..LITERALS).filter(|&symbol| lengths[symbol] > 0) {
            for behind in [0, u64::MAX, 0x5a5a_5a5a] {
                let length = u32::from(lengths[symbol]);
                let entry = table.look_up(u64::from(code.bits(symbol)) | behind << length);
                assert_eq!(entry.length(), length, "{symbol}");
                let kind = match symbol {
                    0..=255 => Kind::Literal,
                    256 => Kind::End,
                    _ => Kind::Base,
                };
                assert!(entry.is(kind), "{symbol}");
            }
        }
        assert_eq!(table.look_up(code.bits(284).into()).extra(), 5);
    }

    #[test]
    fn lengths_that_are_no_code_are_refused() {
        let with = |all: &[(usize, u8)]| {
            let mut lengths = [0u8; LITERALS];
            for &(symbol, length) in all {
                lengths[symbol] = length;
            }
            literals(&lengths).is_ok()
        };
        assert!(with(&[(0, 1), (256, 1)]) && with(&[(256, 1)]));
        assert!(!with(&[]), "no end of the block");
        assert!(!with(&[(0, 1), (1, 1)]), "no end of the block");
        assert!(!with(&[(0, 2), (256, 1)]), "fewer than needed");
        assert!(!with(&[(0, 1), (1, 1), (256, 1)]), "more than fit");
        assert!(distances(&[0; 30]).is_ok() && distances(&[1]).is_ok());
        assert!(distances(&[2]).is_err() && distances(&[1, 2]).is_err());
        let (fixed, of_distances) = fixed_lengths();
        assert!(literals(&fixed).is_ok() && distances(&of_distances).is_ok());
    }
}
