//! Tokens, and the symbols that they are written with (RFC 1951, 3.2.5).

use super::{MAX_MATCH, MIN_MATCH};

/// Symbols of literals and lengths; the last two stand for nothing.
pub(super) const LITERALS: usize = 288;

/// Symbols of distances; the last two stand for nothing.
pub(super) const DISTANCES: usize = 32;

/// The symbol that ends a block.
pub(super) const END: usize = 256;

/// First symbol of a length.
const FIRST_LENGTH: usize = 257;

/// Symbols of lengths: the shortest length of each, and how many bits say which.
pub(super) const LENGTHS: [(u16, u8); 29] = [
    (3, 0),
    (4, 0),
    (5, 0),
    (6, 0),
    (7, 0),
    (8, 0),
    (9, 0),
    (10, 0),
    (11, 1),
    (13, 1),
    (15, 1),
    (17, 1),
    (19, 2),
    (23, 2),
    (27, 2),
    (31, 2),
    (35, 3),
    (43, 3),
    (51, 3),
    (59, 3),
    (67, 4),
    (83, 4),
    (99, 4),
    (115, 4),
    (131, 5),
    (163, 5),
    (195, 5),
    (227, 5),
    (258, 0),
];

/// Symbols of distances: the shortest distance of each, and how many bits say which.
pub(super) const OFFSETS: [(u16, u8); 30] = [
    (1, 0),
    (2, 0),
    (3, 0),
    (4, 0),
    (5, 1),
    (7, 1),
    (9, 2),
    (13, 2),
    (17, 3),
    (25, 3),
    (33, 4),
    (49, 4),
    (65, 5),
    (97, 5),
    (129, 6),
    (193, 6),
    (257, 7),
    (385, 7),
    (513, 8),
    (769, 8),
    (1025, 9),
    (1537, 9),
    (2049, 10),
    (3073, 10),
    (4097, 11),
    (6145, 11),
    (8193, 12),
    (12289, 12),
    (16385, 13),
    (24577, 13),
];

/// What a stream is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    /// A byte.
    Literal(u8),
    /// So many bytes from so far back.
    Match(Match),
}

/// A copy of what stands before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Match {
    /// From 3 to 258.
    pub(super) length: u16,
    /// From 1 to 32,768.
    pub(super) distance: u16,
}

/// A symbol, and the bits behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Symbol {
    pub(super) number: usize,
    pub(super) extra: u16,
    pub(super) bits: u8,
}

/// Numbers of the symbols of all lengths, from the shortest on.
#[expect(clippy::indexing_slicing, reason = "done by the compiler")]
const OF_LENGTH: [u8; MAX_MATCH - MIN_MATCH + 1] = {
    let mut all = [0; MAX_MATCH - MIN_MATCH + 1];
    let (mut index, mut symbol) = (0, 0);
    while index < all.len() {
        while symbol + 1 < LENGTHS.len() && LENGTHS[symbol + 1].0 as usize <= index + MIN_MATCH {
            symbol += 1;
        }
        all[index] = symbol as u8;
        index += 1;
    }
    all
};

/// The symbol of a length.
#[inline]
pub(super) fn length_symbol(length: u16) -> Symbol {
    debug_assert!((MIN_MATCH..=MAX_MATCH).contains(&usize::from(length)));
    let index = OF_LENGTH.get(usize::from(length).saturating_sub(MIN_MATCH)).copied().unwrap_or(0);
    symbol(&LENGTHS, index.into(), length, FIRST_LENGTH)
}

/// The symbol of a distance.
#[inline]
pub(super) fn distance_symbol(distance: u16) -> Symbol {
    // Two symbols for each power of two.
    let before = u32::from(distance.saturating_sub(1));
    let power = before.checked_ilog2().unwrap_or(0);
    let index = if before < 2 { before } else { 2 * power + (before >> (power - 1) & 1) };
    symbol(&OFFSETS, index as usize, distance, 0)
}

#[inline]
fn symbol(bases: &[(u16, u8)], index: usize, value: u16, first: usize) -> Symbol {
    let (base, bits) = bases.get(index).copied().unwrap_or_default();
    Symbol { number: first + index, extra: value.saturating_sub(base), bits }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_stand_for_what_the_standard_says() {
        assert_eq!(length_symbol(3), Symbol { number: 257, extra: 0, bits: 0 });
        assert_eq!(length_symbol(12), Symbol { number: 265, extra: 1, bits: 1 });
        assert_eq!(length_symbol(257), Symbol { number: 284, extra: 30, bits: 5 });
        assert_eq!(length_symbol(258), Symbol { number: 285, extra: 0, bits: 0 });
        assert_eq!(distance_symbol(1), Symbol { number: 0, extra: 0, bits: 0 });
        assert_eq!(distance_symbol(24576), Symbol { number: 28, extra: 8191, bits: 13 });
        assert_eq!(distance_symbol(32768), Symbol { number: 29, extra: 8191, bits: 13 });
        for distance in 1..=32768 {
            let Symbol { number, extra, bits } = distance_symbol(distance);
            assert!(OFFSETS[number].0 + extra == distance && extra < 1 << bits, "{distance}");
        }
        for length in 3..=258 {
            let Symbol { number, extra, bits } = length_symbol(length);
            assert!(LENGTHS[number - FIRST_LENGTH].0 + extra == length && extra < 1 << bits, "{length}");
        }
        for (all, last) in [(&LENGTHS[..], 259), (&OFFSETS[..], 32769)] {
            let ends = all.iter().map(|&(base, bits)| base + (1 << bits));
            let next = all.iter().skip(1).map(|&(base, _)| base).chain([last]);
            // Length 258 could be said in two ways, and is said in the shorter one.
            assert!(ends.zip(next).all(|(end, next)| end == next || (end, next) == (259, 258)));
        }
    }
}
