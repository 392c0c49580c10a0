//! The beginning of a block: of what type it is, and with which codes its tokens are written.

use std::io::Read;
use std::sync::{Arc, OnceLock};

use super::DecodeError;
use super::bits::{BitReader, BitWriter, Bits};
use super::code::{Code, lengths};
use super::table::{self, Distances, Literals, fixed_lengths};
use super::token::{DISTANCES, END, LITERALS};

/// The order in which lengths of the code of code lengths stand (RFC 1951, 3.2.7).
const ORDER: [u8; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// Symbols that stand for repeated lengths: the symbol, the fewest, and how many bits say how many more.
const SAME: (u8, u8, u8) = (16, 3, 2);
const FEW_NOUGHTS: (u8, u8, u8) = (17, 3, 3);
const MANY_NOUGHTS: (u8, u8, u8) = (18, 11, 7);

/// Longest code of a code length.
const MAX_LENGTH_BITS: usize = 7;

/// The first symbols of literals and lengths, and of distances, that no description may have.
const MOST: (usize, usize) = (286, 30);

/// How a block begins.
#[derive(Debug, Clone)]
pub(super) struct Head {
    /// Whether it is the last one.
    pub(super) is_last: bool,
    pub(super) content: Content,
}

/// What a block holds.
#[derive(Debug, Clone)]
pub(super) enum Content {
    /// So many bytes as they are.
    Stored(usize),
    /// Tokens with these codes.
    Coded(Arc<Codes>),
}

/// The two codes of a block.
#[derive(Debug)]
pub(super) struct Codes {
    pub(super) literals: Literals,
    pub(super) distances: Distances,
    /// Both, to be written.
    pub(super) written: Written,
}

/// The two codes of a block, as they are written, and how they are described.
#[derive(Debug, Clone)]
pub(super) struct Written {
    literal_lengths: Box<[u8]>,
    distance_lengths: Box<[u8]>,
    literals: OnceLock<Code>,
    distances: OnceLock<Code>,
    /// Type and description, as they stand in the stream.
    head: Vec<u8>,
    /// Bits of that.
    head_bits: u64,
}

impl Written {
    fn new(literal_lengths: &[u8], distance_lengths: &[u8], head: Vec<u8>, head_bits: u64) -> Self {
        Self {
            literal_lengths: literal_lengths.into(),
            distance_lengths: distance_lengths.into(),
            literals: OnceLock::new(),
            distances: OnceLock::new(),
            head,
            head_bits,
        }
    }

    /// Of literals and lengths.
    pub(super) fn literals(&self) -> &Code {
        self.literals.get_or_init(|| Code::of(&self.literal_lengths))
    }

    /// Of distances.
    pub(super) fn distances(&self) -> &Code {
        self.distances.get_or_init(|| Code::of(&self.distance_lengths))
    }

    /// Bits that the beginning of a block with them takes.
    pub(super) fn cost(&self) -> u64 {
        1 + self.head_bits
    }

    /// Writes the beginning of a block that is not the last one.
    pub(super) fn begin(&self, out: &mut BitWriter) {
        out.write(0, 1);
        out.copy(Bits::of(&self.head, self.head_bits));
    }

    /// Writes the end of the block.
    pub(super) fn end(&self, out: &mut BitWriter) {
        let code = self.literals();
        out.write(code.bits(END).into(), code.length(END).into());
    }

    /// The fixed codes.
    pub(super) fn fixed() -> &'static Self {
        static FIXED: OnceLock<Written> = OnceLock::new();
        FIXED.get_or_init(Self::of_fixed)
    }

    fn of_fixed() -> Self {
        let (literals, distances) = fixed_lengths();
        Self::new(&literals, &distances, vec![1], 2)
    }

    /// The best codes for symbols that stand so often; the end of the block must be among them.
    pub(super) fn fitting(literals: &[u32; LITERALS], distances: &[u32; DISTANCES]) -> Self {
        let literals = lengths(literals.get(..MOST.0).unwrap_or_default(), super::code::MAX_BITS);
        let distances = lengths(distances.get(..MOST.1).unwrap_or_default(), super::code::MAX_BITS);
        let (head, head_bits) = describe(&literals, &distances);
        Self::new(&literals, &distances, head, head_bits)
    }
}

/// Reads the beginning of a block.
pub(super) fn read_head<R: Read>(reader: &mut BitReader<R>) -> Result<Head, DecodeError> {
    let is_last = reader.read(1)? == 1;
    let content = match reader.read(2)? {
        0 => {
            reader.align();
            let (length, complement) = (reader.read(16)?, reader.read(16)?);
            if length != !complement & 0xffff {
                return Err(if reader.is_beyond() {
                    DecodeError::Truncated
                } else {
                    DecodeError::StoredLength
                });
            }
            Content::Stored(length as usize)
        }
        1 => Content::Coded(fixed()?),
        2 => Content::Coded(Arc::new(described(reader)?)),
        _ => return Err(DecodeError::BlockType),
    };
    if reader.is_beyond() {
        return Err(DecodeError::Truncated);
    }
    Ok(Head { is_last, content })
}

/// The fixed codes, made once.
fn fixed() -> Result<Arc<Codes>, DecodeError> {
    static FIXED: OnceLock<Arc<Codes>> = OnceLock::new();
    if let Some(codes) = FIXED.get() {
        return Ok(Arc::clone(codes));
    }
    let (literals, distances) = fixed_lengths();
    let codes = Codes {
        literals: table::literals(&literals)?,
        distances: table::distances(&distances)?,
        written: Written::of_fixed(),
    };
    Ok(Arc::clone(FIXED.get_or_init(|| Arc::new(codes))))
}

/// Codes that the block describes.
fn described<R: Read>(reader: &mut BitReader<R>) -> Result<Codes, DecodeError> {
    let mut head = BitWriter::default();
    head.write(2, 2);
    let mut head_bits = 2;
    let mut read = |reader: &mut BitReader<R>, n: u32| {
        let bits = reader.read(n)?;
        head.write(bits.into(), n);
        head_bits += u64::from(n);
        Ok::<usize, DecodeError>(bits as usize)
    };
    let literals = read(reader, 5)? + 257;
    let distances = read(reader, 5)? + 1;
    let lengths = read(reader, 4)? + 4;
    if literals > MOST.0 || distances > MOST.1 {
        return Err(DecodeError::Codes);
    }
    let mut of_lengths = [0u8; ORDER.len()];
    for &symbol in ORDER.iter().take(lengths) {
        let length = read(reader, 3)? as u8;
        if let Some(slot) = of_lengths.get_mut(usize::from(symbol)) {
            *slot = length;
        }
    }
    let table = table::code_lengths(&of_lengths)?;
    let mut all: Vec<u8> = Vec::with_capacity(literals + distances);
    while all.len() < literals + distances {
        reader.fill()?;
        let entry = table.look_up(reader.peek(MAX_LENGTH_BITS as u32).into());
        if !entry.is(table::Kind::Literal) {
            return Err(DecodeError::Codes);
        }
        read(reader, entry.total())?;
        let symbol = entry.value() as u8;
        let (value, (_, fewest, bits)) = match symbol {
            16 => (all.last().copied().ok_or(DecodeError::Codes)?, SAME),
            17 => (0, FEW_NOUGHTS),
            18 => (0, MANY_NOUGHTS),
            length => {
                all.push(length);
                continue;
            }
        };
        let count = usize::from(fewest) + read(reader, bits.into())?;
        if all.len() + count > literals + distances {
            return Err(DecodeError::Codes);
        }
        all.resize(all.len() + count, value);
    }
    let (literal_lengths, distance_lengths) = all.split_at(literals);
    head.align();
    Ok(Codes {
        literals: table::literals(literal_lengths)?,
        distances: table::distances(distance_lengths)?,
        written: Written::new(literal_lengths, distance_lengths, head.whole(), head_bits),
    })
}

/// Type and description of a block with these lengths, and how many bits they are.
fn describe(literals: &[u8], distances: &[u8]) -> (Vec<u8>, u64) {
    let used = |lengths: &[u8], least: usize| {
        lengths.iter().rposition(|&length| length > 0).map_or(least, |last| least.max(last + 1))
    };
    let (literal_count, distance_count) = (used(literals, 257), used(distances, 1));
    let all: Vec<u8> =
        literals.iter().take(literal_count).chain(distances.iter().take(distance_count)).copied().collect();
    let symbols = repeats(&all);
    let mut frequencies = [0u32; ORDER.len()];
    for &(symbol, ..) in &symbols {
        if let Some(frequency) = frequencies.get_mut(usize::from(symbol)) {
            *frequency += 1;
        }
    }
    // One code alone would not be complete, which this code must be.
    if frequencies.iter().filter(|frequency| **frequency > 0).count() == 1 {
        let free = frequencies.iter_mut().find(|frequency| **frequency == 0);
        if let Some(frequency) = free {
            *frequency = 1;
        }
    }
    let code = Code::of(&lengths(&frequencies, MAX_LENGTH_BITS));
    let length_of = |symbol: u8| code.length(usize::from(symbol));
    let count = ORDER.iter().rposition(|&symbol| length_of(symbol) > 0).map_or(4, |last| (last + 1).max(4));
    let mut out = BitWriter::default();
    let mut bits = 0;
    let mut write = |value: usize, n: u32| {
        out.write(value as u64, n);
        bits += u64::from(n);
    };
    write(2, 2);
    write(literal_count - 257, 5);
    write(distance_count - 1, 5);
    write(count - 4, 4);
    for &symbol in ORDER.iter().take(count) {
        write(length_of(symbol).into(), 3);
    }
    for (symbol, more, n) in symbols {
        write(code.bits(usize::from(symbol)).into(), length_of(symbol).into());
        write(more.into(), n.into());
    }
    out.align();
    (out.whole(), bits)
}

/// Lengths in a row, with repeated ones said once: the symbol, and how many more with how many bits.
fn repeats(lengths: &[u8]) -> Vec<(u8, u8, u8)> {
    let mut out = Vec::new();
    for same in lengths.chunk_by(|a, b| a == b) {
        let (value, mut left) = (same.first().copied().unwrap_or(0), same.len());
        if value != 0 {
            out.push((value, 0, 0));
            left -= 1;
        }
        while left > 0 {
            let kind = match (value, left) {
                (0, 11..) => Some(MANY_NOUGHTS),
                (0, 3..) => Some(FEW_NOUGHTS),
                (1.., 3..) => Some(SAME),
                _ => None,
            };
            let Some((symbol, fewest, bits)) = kind else {
                out.push((value, 0, 0));
                left -= 1;
                continue;
            };
            let more = (left - usize::from(fewest)).min((1 << bits) - 1);
            out.push((symbol, more as u8, bits));
            left -= usize::from(fewest) + more;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes the best codes for symbols that stand so often, and reads them back.
    fn read_back(literals: &[u32; LITERALS], distances: &[u32; DISTANCES]) {
        let written = Written::fitting(literals, distances);
        let mut out = BitWriter::default();
        written.begin(&mut out);
        assert_eq!(written.cost(), 1 + written.head_bits);
        out.align();
        let bytes = out.whole();
        let mut reader = BitReader::new(bytes.as_slice());
        let head = read_head(&mut reader).unwrap();
        let Content::Coded(codes) = head.content else { panic!("stored") };
        assert_eq!(reader.position(), written.cost());
        let pairs = [
            (codes.written.literals(), written.literals()),
            (codes.written.distances(), written.distances()),
        ];
        for (read, said) in pairs {
            for symbol in 0..LITERALS {
                assert_eq!(
                    (read.length(symbol), read.bits(symbol)),
                    (said.length(symbol), said.bits(symbol))
                );
            }
        }
        // Again, as it was read.
        let mut again = BitWriter::default();
        codes.written.begin(&mut again);
        again.align();
        assert_eq!(again.whole(), bytes);
    }

    proptest::proptest! {
        #[test]
        fn what_is_described_is_read_back(
            mut literals in proptest::collection::vec(proptest::prop_oneof![3 => proptest::strategy::Just(0u32), 1 => 1u32..5000], LITERALS),
            distances in proptest::collection::vec(proptest::prop_oneof![3 => proptest::strategy::Just(0u32), 1 => 1u32..5000], DISTANCES),
        ) {
            literals[END] = 1;
            read_back(&literals.try_into().unwrap(), &distances.try_into().unwrap());
        }
    }

    #[test]
    fn codes_are_no_longer_than_there_is_room_for() {
        // By which frequencies grow like Fibonacci's numbers codes get as long as they can.
        let (mut one, mut other) = (1u32, 1u32);
        let mut growing = std::iter::repeat_with(|| {
            (one, other) = (other, one.saturating_add(other));
            one
        });
        let mut literals = [0; LITERALS];
        literals[END] = 1;
        literals.iter_mut().take(40).for_each(|frequency| *frequency = growing.next().unwrap());
        read_back(&literals, &[1; DISTANCES]);

        // Lengths of codes that stand so often that the code for them would be longer than seven bits: of each length so
        // many symbols, and none beside one of its own length.
        let counts = [1, 1, 1, 1, 0, 1, 1, 3, 4, 6, 8, 14, 21, 34, 56];
        assert_eq!((1..).zip(counts).map(|(length, count)| count << (15 - length)).sum::<usize>(), 1 << 15);
        let mut lengths: Vec<u32> =
            (1..).zip(counts).flat_map(|(length, count)| std::iter::repeat_n(length, count)).collect();
        let (short, long) = lengths.split_at_mut(76);
        let mut mixed = short.iter().zip(long).flat_map(|(short, long)| [*short, *long]);
        let mut literals = [0; LITERALS];
        literals[END] = 1 << (15 - mixed.next().unwrap());
        literals.iter_mut().zip(mixed).for_each(|(frequency, length)| *frequency = 1 << (15 - length));
        read_back(&literals, &[1; DISTANCES]);
    }
}
