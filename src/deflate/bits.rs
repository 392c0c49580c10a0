//! Bits of a byte stream, in and out, the lowest of a byte first.
//!
//! What was read stays at hand until it is let go: bits can be copied.

use std::io::Read;

use super::DecodeError;

/// Bytes read at once.
const READ_SIZE: usize = 64 * 1024;

/// Nought bytes behind the end, so that words can be loaded there.
const PADDING: usize = 16;

/// Where a reader is, apart from it: what is kept in registers while much is read at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'w> {
    /// What was read and is not let go.
    window: &'w [u8],
    /// Next byte of it to be loaded.
    next: usize,
    /// Loaded bits, the next one lowest.
    pub(super) bits: u64,
    /// How many of them count.
    count: u32,
}

impl Cursor<'_> {
    /// Makes sure that at least 56 bits are loaded; false where the window has no more.
    #[inline]
    pub(super) fn fill(&mut self) -> bool {
        let Some(word) = self.window.get(self.next..).and_then(|rest| rest.first_chunk::<8>()) else {
            return false;
        };
        // Fewer than 64 count: what is loaded of a byte that does not count yet is loaded again, and is the same.
        self.bits |= u64::from_le_bytes(*word) << (self.count & 63);
        self.next += ((63 - (self.count & 63)) >> 3) as usize;
        self.count |= 0x38;
        true
    }

    /// Passes over `n` loaded bits.
    #[inline]
    pub(super) fn skip(&mut self, n: u32) {
        self.bits >>= n & 63;
        self.count = self.count.wrapping_sub(n);
    }

    /// Number of the next bit in the window.
    #[inline]
    pub(super) fn position(&self) -> usize {
        self.next * 8 - self.count as usize
    }
}

/// A reader of bits.
pub(super) struct BitReader<R> {
    inner: R,
    /// What was read and is not let go, then the padding once all is read.
    window: Vec<u8>,
    /// Position of the window in all that was read.
    base: u64,
    /// Next byte of the window to be loaded.
    next: usize,
    /// Loaded bits, the next one lowest.
    bits: u64,
    /// How many of them count.
    count: u32,
    /// Length of the window without padding, once all is read.
    end: Option<usize>,
}

impl<R: Read> BitReader<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, window: Vec::new(), base: 0, next: 0, bits: 0, count: 0, end: None }
    }

    /// Number of the next bit.
    pub(super) fn position(&self) -> u64 {
        (self.base + self.next as u64) * 8 - u64::from(self.count)
    }

    /// Makes sure that at least 56 bits are loaded: those behind the end are noughts.
    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the method is one for each lifetime of a window"
    )]
    #[inline]
    pub(super) fn fill(&mut self) -> Result<(), DecodeError> {
        while !self.advance(|cursor| cursor.fill()) {
            self.read_more()?;
        }
        Ok(())
    }

    /// Number of the first bit of the window.
    pub(super) fn window_start(&self) -> u64 {
        self.base * 8
    }

    /// Goes to where a cursor of its window went: what `go` gives with it.
    pub(super) fn advance<T>(&mut self, go: impl FnOnce(&mut Cursor<'_>) -> T) -> T {
        let mut cursor = Cursor { window: &self.window, next: self.next, bits: self.bits, count: self.count };
        let out = go(&mut cursor);
        (self.next, self.bits, self.count) = (cursor.next, cursor.bits, cursor.count);
        out
    }

    #[cold]
    pub(super) fn read_more(&mut self) -> Result<(), DecodeError> {
        if self.end.is_some() {
            return Err(DecodeError::Truncated);
        }
        let filled = self.window.len();
        self.window.resize(filled + READ_SIZE, 0);
        let mut end = filled;
        while let Some(free) = self.window.get_mut(end..).filter(|free| !free.is_empty()) {
            match self.inner.read(free) {
                Ok(0) => {
                    self.end = Some(end);
                    self.window.truncate(end);
                    self.window.resize(end + PADDING, 0);
                    return Ok(());
                }
                Ok(n) => end += n,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(DecodeError::Read(error)),
            }
        }
        Ok(())
    }

    /// The next `n` bits, at most 32, without passing over them; they must be loaded.
    #[inline]
    pub(super) fn peek(&self, n: u32) -> u32 {
        (self.bits & ((1 << n) - 1)) as u32
    }

    /// Passes over `n` loaded bits.
    #[inline]
    pub(super) fn skip(&mut self, n: u32) {
        self.advance(|cursor| cursor.skip(n));
    }

    /// The next `n` bits, at most 32.
    pub(super) fn read(&mut self, n: u32) -> Result<u32, DecodeError> {
        if self.count < n {
            self.fill()?;
        }
        let bits = self.peek(n);
        self.skip(n);
        Ok(bits)
    }

    /// Passes over what is left of the byte.
    pub(super) fn align(&mut self) {
        self.skip(self.count % 8);
    }

    /// Whether more was passed over than there is.
    pub(super) fn is_beyond(&self) -> bool {
        self.end.is_some_and(|end| self.position() > (self.base + end as u64) * 8)
    }

    /// Whether nothing follows.
    pub(super) fn is_over(&mut self) -> Result<bool, DecodeError> {
        self.align();
        while self.end.is_none() && self.position() / 8 >= self.base + self.window.len() as u64 {
            self.read_more()?;
        }
        Ok(self.end.is_some_and(|end| self.position() / 8 >= self.base + end as u64))
    }

    /// The next bytes as they are, at most `most`; none at the end. The reader must be at the beginning of a byte.
    pub(super) fn bytes(&mut self, most: usize) -> Result<&[u8], DecodeError> {
        // Loaded bytes are given back to the window.
        self.next -= (self.count / 8) as usize;
        (self.bits, self.count) = (0, 0);
        if self.next == self.window.len() && self.end.is_none() {
            self.read_more()?;
        }
        let end = self.end.unwrap_or(self.window.len());
        let from = self.next.min(end);
        let to = end.min(from.saturating_add(most));
        self.next = to;
        Ok(self.window.get(from..to).unwrap_or_default())
    }

    /// Goes on to the bit of that number, and lets go of what stands before it.
    pub(super) fn go_to(&mut self, position: u64) -> Result<(), DecodeError> {
        while self.end.is_none() && self.base + (self.window.len() as u64) <= position / 8 {
            self.base += self.window.len() as u64;
            self.window.clear();
            self.read_more()?;
        }
        let byte = (position / 8).saturating_sub(self.base);
        (self.next, self.bits, self.count) = (usize::try_from(byte).unwrap_or(usize::MAX), 0, 0);
        self.let_go(position);
        self.fill()?;
        self.skip((position % 8) as u32);
        Ok(())
    }

    /// Makes sure that all before the bit of that number is at hand, if it is there.
    pub(super) fn hold(&mut self, position: u64) -> Result<(), DecodeError> {
        while self.end.is_none() && self.base + (self.window.len() as u64) < position.div_ceil(8) {
            self.read_more()?;
        }
        Ok(())
    }

    /// Reads what is left, and lets go of it.
    pub(super) fn drain(&mut self) -> Result<(), DecodeError> {
        while self.end.is_none() {
            self.base += self.window.len() as u64;
            self.window.clear();
            self.next = 0;
            self.read_more()?;
        }
        Ok(())
    }

    /// What it reads from.
    pub(super) fn get_mut(&mut self) -> &mut R {
        &mut self.inner
    }

    /// The same, at the end.
    pub(super) fn into_inner(self) -> R {
        self.inner
    }

    /// Lets go of what stands before the bit of that number.
    pub(super) fn let_go(&mut self, position: u64) {
        let keep = (position / 8).min(self.base + self.next as u64);
        let gone = usize::try_from(keep.saturating_sub(self.base)).unwrap_or(0);
        // Moving what is left costs something: not for a few bytes.
        if gone < 2 * READ_SIZE {
            return;
        }
        self.window.drain(..gone);
        self.base += gone as u64;
        self.next -= gone;
        self.end = self.end.map(|end| end.saturating_sub(gone));
    }

    /// The bytes that hold the bits from number `from` to number `to`, which must be at hand; and which of theirs is the first.
    pub(super) fn copy_of(&self, from: u64, to: u64) -> (Vec<u8>, u32) {
        let index = |byte: u64| usize::try_from(byte.saturating_sub(self.base)).unwrap_or(usize::MAX);
        let bytes = self.window.get(index(from / 8)..index(to.div_ceil(8))).unwrap_or_default();
        (bytes.to_vec(), (from % 8) as u32)
    }
}

impl BitReader<std::io::Empty> {
    /// Of the bits of `bytes` from number `from` to number `to`.
    pub(super) fn within(bytes: &[u8], from: u32, to: u32) -> Self {
        let first = from as usize / 8;
        let own = bytes.get(first..(to as usize).div_ceil(8)).unwrap_or_default();
        let mut window = Vec::with_capacity(own.len() + PADDING);
        window.extend_from_slice(own);
        window.resize(own.len() + PADDING, 0);
        let mut reader = Self {
            inner: std::io::empty(),
            window,
            base: first as u64,
            next: 0,
            bits: 0,
            count: 0,
            end: Some(own.len()),
        };
        // There are sixteen bytes at least.
        drop(reader.fill());
        reader.skip(from % 8);
        reader
    }
}

/// A row of bits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bits<'b> {
    bytes: &'b [u8],
    /// Bits of the first byte that do not belong to it.
    skip: u32,
    count: u64,
}

impl<'b> Bits<'b> {
    /// Those of `bytes`, from the first on.
    pub(super) fn of(bytes: &'b [u8], count: u64) -> Self {
        Self { bytes, skip: 0, count }
    }

    /// `count` of those of `bytes`, from number `first` on.
    pub(super) fn within(bytes: &'b [u8], first: u32, count: u32) -> Self {
        let bytes = bytes.get(first as usize / 8..).unwrap_or_default();
        Self { bytes, skip: first % 8, count: count.into() }
    }
}

/// A writer of bits, to memory.
#[derive(Debug, Default)]
pub(super) struct BitWriter {
    out: Vec<u8>,
    bits: u64,
    count: u32,
}

impl BitWriter {
    /// Adds the lowest `n` of `bits`, at most 57; those above must be noughts.
    #[inline]
    pub(super) fn write(&mut self, bits: u64, n: u32) {
        self.bits |= bits << self.count;
        let count = self.count + n;
        if count >= 64 {
            self.out.extend_from_slice(&self.bits.to_le_bytes());
            self.bits = bits.checked_shr(64 - self.count).unwrap_or(0);
            self.count = count - 64;
        } else {
            self.count = count;
        }
    }

    /// Adds a row of bits.
    pub(super) fn copy(&mut self, row: Bits<'_>) {
        let Bits { bytes, skip, mut count } = row;
        let mut bytes = bytes;
        if skip > 0 && count > 0 {
            let n = count.min(u64::from(8 - skip)) as u32;
            let first = bytes.first().copied().unwrap_or(0);
            self.write((u64::from(first) >> skip) & ((1 << n) - 1), n);
            count -= u64::from(n);
            bytes = bytes.get(1..).unwrap_or_default();
        }
        let whole = usize::try_from(count / 8).unwrap_or(usize::MAX).min(bytes.len());
        let (whole, rest) = bytes.split_at(whole);
        self.copy_bytes(whole);
        let n = (count % 8) as u32;
        if n > 0 {
            let last = rest.first().copied().unwrap_or(0);
            self.write(u64::from(last) & ((1 << n) - 1), n);
        }
    }

    /// Adds whole bytes, at whatever bit.
    fn copy_bytes(&mut self, bytes: &[u8]) {
        // At the beginning of a byte nothing has to be shifted.
        if self.count.is_multiple_of(8) {
            self.settle();
            self.out.extend_from_slice(bytes);
            return;
        }
        let words = bytes.chunks_exact(8);
        let rest = words.remainder();
        self.out.reserve(bytes.len() + 8);
        let count = self.count;
        let mut bits = self.bits;
        for word in words {
            let word = u64::from_le_bytes(word.try_into().unwrap_or_default());
            self.out.extend_from_slice(&(bits | word << count).to_le_bytes());
            bits = word >> (64 - count);
        }
        self.bits = bits;
        for &byte in rest {
            self.write(u64::from(byte), 8);
        }
    }

    /// Puts out whole bytes.
    fn settle(&mut self) {
        while self.count >= 8 {
            self.out.push(self.bits as u8);
            self.bits >>= 8;
            self.count -= 8;
        }
    }

    /// Fills the byte up with noughts.
    pub(super) fn align(&mut self) {
        self.write(0, self.count.wrapping_neg() % 8);
    }

    /// Adds bytes at the beginning of one.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.align();
        self.copy_bytes(bytes);
    }

    /// Whole bytes so far; they are taken away.
    pub(super) fn whole(&mut self) -> Vec<u8> {
        self.settle();
        std::mem::take(&mut self.out)
    }

    /// How many bytes wait, at the least.
    pub(super) fn len(&self) -> usize {
        self.out.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_come_out_as_they_went_in() {
        let mut writer = BitWriter::default();
        let all: Vec<(u64, u32)> = (0..2000u64).map(|n| (n % 7, 3 + (n % 54) as u32)).collect();
        for &(bits, n) in &all {
            writer.write(bits, n);
        }
        writer.align();
        writer.align();
        writer.bytes(&[]);
        let bytes = writer.whole();
        let mut reader = BitReader::new(bytes.as_slice());
        for &(bits, n) in &all {
            let (low, high) = (n.min(32), n.saturating_sub(32));
            let read = u64::from(reader.read(low).unwrap()) | u64::from(reader.read(high).unwrap()) << 32;
            assert_eq!(read, bits);
        }
        assert!(!reader.is_beyond());
        assert!(reader.is_over().unwrap());
    }

    #[test]
    fn rows_of_bits_are_copied_from_anywhere_to_anywhere() {
        let bytes: Vec<u8> = (0..200u32).map(|n| (n * 37 % 251) as u8).collect();
        let bit = |bytes: &[u8], n: usize| bytes[n / 8] >> (n % 8) & 1;
        for from in [0u32, 1, 7, 8, 13, 64, 101] {
            for length in [0u32, 1, 5, 8, 9, 64, 77, 500, 1000] {
                for before in 0..70 {
                    let mut writer = BitWriter::default();
                    for _ in 0..before {
                        writer.write(1, 1);
                    }
                    writer.copy(Bits::within(&bytes, from, length));
                    writer.write(1, 1);
                    writer.bytes(&[]);
                    let out = writer.whole();
                    for n in 0..length as usize {
                        assert_eq!(
                            bit(&out, before + n),
                            bit(&bytes, from as usize + n),
                            "{from} {length} {before}"
                        );
                    }
                    assert_eq!(bit(&out, before + length as usize), 1);
                }
            }
        }
    }

    #[test]
    fn end_is_seen_and_not_passed() {
        let mut reader = BitReader::new([0xffu8].as_slice());
        assert!(!reader.is_over().unwrap());
        assert_eq!(reader.read(8).unwrap(), 0xff);
        assert!(reader.is_over().unwrap() && !reader.is_beyond());
        assert_eq!(reader.read(1).unwrap(), 0);
        assert!(reader.is_beyond());
        let mut empty = BitReader::new([].as_slice());
        assert!(empty.is_over().unwrap());
        let read = (0..100).try_for_each(|_| empty.read(8).map(drop));
        assert!(matches!(read, Err(DecodeError::Truncated)));
    }
}
