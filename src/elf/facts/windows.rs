//! The parts of a streamed file that are worth remembering, by offset.
//!
//! Does not know what stands in them; `elf::facts` chooses the ranges.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

/// Bytes that are remembered or forgotten together: what is chosen is mostly much longer, or short and alone.
const CHUNK: u64 = 128 << 10;

/// Files up to this size are held as they are. Of larger ones whole segments are held until it is known what in
/// them counts: symbols and relocations, which zstd shrinks to a quarter.
const PLAIN: u64 = 8 << 20;

/// zstd's fastest level but the negative ones.
const LEVEL: i32 = 1;

/// Byte ranges of one file, filled as the file streams by.
#[derive(Debug, Default)]
pub(super) struct Windows {
    at: u64,
    /// Length of the file.
    size: u64,
    ranges: Vec<Range<u64>>,
    /// By number: chunk 2 begins at twice a chunk's length. What is held of one has no gap.
    chunks: BTreeMap<u64, Chunk>,
}

#[derive(Debug)]
struct Chunk {
    /// Offset in the file of the first byte held.
    start: u64,
    bytes: Held,
}

#[derive(Debug)]
enum Held {
    Plain(Vec<u8>),
    /// Packed; this many bytes before.
    Packed(usize, Vec<u8>),
}

impl Windows {
    /// For a file of `size` bytes.
    pub(super) fn new(size: u64) -> Self {
        Self { size, ..Self::default() }
    }

    /// Number of bytes that have streamed by.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// Takes the next bytes of the file.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let number = self.at / CHUNK;
            let end = number.saturating_add(1).saturating_mul(CHUNK);
            let room = usize::try_from(end.saturating_sub(self.at)).unwrap_or(usize::MAX);
            let (piece, later) = rest.split_at(room.min(rest.len()));
            if self.is_wanted(number) {
                let start = self.at;
                let length = end.min(self.size.max(start)) - start;
                let length = usize::try_from(length).unwrap_or(usize::MAX).max(piece.len());
                let new = || Chunk { start, bytes: Held::Plain(Vec::with_capacity(length)) };
                let chunk = self.chunks.entry(number).or_insert_with(new);
                chunk.bytes.extend(piece);
                if self.size > PLAIN && piece.len() == room {
                    chunk.bytes.pack();
                }
            }
            self.at = self.at.saturating_add(piece.len() as u64);
            rest = later;
            if piece.is_empty() {
                // Beyond what offsets can count.
                return;
            }
        }
    }

    /// Keeps `ranges` from now on and forgets the rest. Of a range that has begun to stream by, the past
    /// must have been kept already, or the range is lost.
    pub(super) fn keep(&mut self, mut ranges: Vec<Range<u64>>) {
        ranges.retain(|range| range.start < range.end);
        self.ranges = ranges;
        let mut chunks = std::mem::take(&mut self.chunks);
        chunks.retain(|number, _| self.is_wanted(*number));
        self.chunks = chunks;
    }

    fn is_wanted(&self, number: u64) -> bool {
        self.ranges.iter().any(|range| (range.start / CHUNK..=(range.end - 1) / CHUNK).contains(&number))
    }

    /// The `len` bytes at `offset`, if all of them were kept.
    pub(super) fn get(&self, offset: u64, len: u64) -> Option<Cow<'_, [u8]>> {
        let end = offset.checked_add(len)?;
        let numbers = offset / CHUNK..=end.saturating_sub(1).max(offset) / CHUNK;
        let mut at = offset;
        for number in numbers.clone() {
            let chunk = self.chunks.get(&number)?;
            if at < chunk.start {
                return None;
            }
            at = chunk.start.saturating_add(chunk.bytes.len() as u64);
        }
        if at < end {
            return None;
        }
        if numbers.start() == numbers.end() {
            let chunk = self.chunks.get(numbers.start())?;
            return Some(match chunk.bytes.bytes() {
                Cow::Borrowed(bytes) => Cow::Borrowed(chunk.cut(bytes, offset, end)),
                Cow::Owned(bytes) => Cow::Owned(chunk.cut(&bytes, offset, end).to_vec()),
            });
        }
        // All of it is there: no more than was kept.
        let mut out = Vec::with_capacity(usize::try_from(len).ok()?);
        for (_, chunk) in self.chunks.range(numbers) {
            out.extend_from_slice(chunk.cut(&chunk.bytes.bytes(), offset, end));
        }
        Some(Cow::Owned(out))
    }

    /// Number of bytes held.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        let held = |chunk: &Chunk| match &chunk.bytes {
            Held::Plain(bytes) | Held::Packed(_, bytes) => bytes.len(),
        };
        self.chunks.values().map(held).sum()
    }
}

impl Chunk {
    /// The part of this chunk's `bytes` that lies in `from..to` of the file.
    fn cut<'b>(&self, bytes: &'b [u8], from: u64, to: u64) -> &'b [u8] {
        let within = |offset: u64| {
            usize::try_from(offset.saturating_sub(self.start)).unwrap_or(usize::MAX).min(bytes.len())
        };
        bytes.get(within(from)..within(to)).unwrap_or_default()
    }
}

impl Held {
    fn len(&self) -> usize {
        match self {
            Self::Plain(bytes) => bytes.len(),
            Self::Packed(length, _) => *length,
        }
    }

    fn bytes(&self) -> Cow<'_, [u8]> {
        match self {
            Self::Plain(bytes) => Cow::Borrowed(bytes),
            Self::Packed(length, bytes) => Cow::Owned(
                zstd::bulk::decompress(bytes, *length)
                    .unwrap_or_else(|error| unreachable!("zstd packed these bytes itself: {error}")),
            ),
        }
    }

    fn extend(&mut self, more: &[u8]) {
        match self {
            Self::Plain(bytes) => bytes.extend_from_slice(more),
            Self::Packed(..) => unreachable!("a chunk is packed when its last byte has come"),
        }
    }

    fn pack(&mut self) {
        if let Self::Plain(bytes) = self {
            let packed = zstd::bulk::compress(bytes, LEVEL).unwrap_or_else(|error| {
                unreachable!("zstd takes any bytes, with room for all of them: {error}")
            });
            *self = if packed.len() < bytes.len() {
                let mut packed = packed;
                packed.shrink_to_fit();
                Self::Packed(bytes.len(), packed)
            } else {
                Self::Plain(std::mem::take(bytes))
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `length` bytes of a file, different at every offset that matters.
    fn file(length: u64) -> Vec<u8> {
        (0..length).map(|at| (at % 251) as u8).collect()
    }

    fn part(file: &[u8], range: Range<u64>) -> &[u8] {
        let at = |offset| usize::try_from(offset).unwrap();
        &file[at(range.start)..at(range.end)]
    }

    #[test]
    fn ranges_fill_across_pieces_and_chunks_packed_or_not() {
        let file = file(4 * CHUNK);
        for size in [0, PLAIN + 1] {
            let mut windows = Windows::new(size);
            windows.keep(vec![CHUNK - 9..CHUNK + 9, 2 * CHUNK..2 * CHUNK + 1]);
            for piece in file.chunks(50_001) {
                windows.push(piece);
            }
            let get = |from: u64, to: u64| windows.get(from, to - from).map(Cow::into_owned);
            let expect = |from: u64, to: u64| Some(part(&file, from..to).to_vec());
            for (from, to) in [(CHUNK - 9, CHUNK + 9), (3, 4), (CHUNK, CHUNK), (7, 3 * CHUNK - 1)] {
                assert_eq!(get(from, to), expect(from, to), "{from}..{to}");
            }
            assert_eq!(get(3 * CHUNK, 3 * CHUNK + 1), None, "in a chunk of its own");
            assert_eq!(get(CHUNK, 3 * CHUNK + 1), None);
            assert_eq!(windows.get(u64::MAX, 2), None);
            assert_eq!(windows.held() < file.len() / 4, size > PLAIN);
        }
    }

    #[test]
    fn a_new_choice_keeps_what_was_kept_and_loses_what_was_not() {
        let file = file(4 * CHUNK);
        let now = 2 * CHUNK + 10;
        let mut windows = Windows::new(0);
        windows.keep(vec![0..4, CHUNK..CHUNK + 1]);
        windows.push(part(&file, 0..now));
        windows.keep(vec![CHUNK + 2..CHUNK + 6, 2 * CHUNK + 5..3 * CHUNK]);
        windows.push(part(&file, now..4 * CHUNK));
        assert_eq!(windows.get(CHUNK + 2, 4).as_deref(), Some(part(&file, CHUNK + 2..CHUNK + 6)));
        assert_eq!(windows.get(0, 1), None, "not chosen again");
        assert_eq!(windows.get(2 * CHUNK + 5, 6), None, "half of it was past");
        assert_eq!(windows.get(now, 5).as_deref(), Some(part(&file, now..now + 5)));
    }
}
