//! What a stream stands for, as far back as matches and edits reach.
//!
//! Knows bytes only, and no codes.

use super::{MAX_MATCH, WINDOW};

/// Bytes behind the end that copies of whole words may touch.
const SLACK: usize = MAX_MATCH + 32;

/// What a stream stands for, as far as it is still needed.
#[derive(Debug, Default)]
pub(super) struct History {
    /// Content, then room for more.
    pub(super) bytes: Vec<u8>,
    /// Position of the first byte.
    pub(super) base: u64,
    /// How many of them are content.
    pub(super) len: usize,
}

impl History {
    /// Where the content ends.
    pub(super) fn end(&self) -> u64 {
        self.base + self.len as u64
    }

    /// The content from `from` to `to`, which must be at hand.
    pub(super) fn range(&self, from: u64, to: u64) -> &[u8] {
        let index =
            |at: u64| usize::try_from(at.saturating_sub(self.base)).unwrap_or(usize::MAX).min(self.len);
        self.bytes.get(index(from)..index(to)).unwrap_or_default()
    }

    /// Copies content from `from` on, as much as there is and `buf` has room for: where that ends.
    pub(super) fn copy_to(&self, buf: &mut [u8], from: u64) -> u64 {
        let bytes = self.range(from, self.end().min(from.saturating_add(buf.len() as u64)));
        if let Some(to) = buf.get_mut(..bytes.len()) {
            to.copy_from_slice(bytes);
        }
        from + bytes.len() as u64
    }

    /// Whether the `length` bytes at `one` and at `other`, which must be at hand, are the same.
    #[inline]
    pub(super) fn is_same(&self, one: u64, other: u64, length: usize) -> bool {
        let index = |at: u64| usize::try_from(at.saturating_sub(self.base)).unwrap_or(usize::MAX);
        let (one, other) = (index(one), index(other));
        if one.max(other).saturating_add(length) > self.len {
            return false;
        }
        // Word by word: there is room behind the content, and what is too much is shifted out.
        let word = |at: usize| {
            let word = self.bytes.get(at..).and_then(|rest| rest.first_chunk::<8>());
            word.map_or(0, |word| u64::from_le_bytes(*word))
        };
        (0..length).step_by(8).all(|offset| {
            let differs = word(one + offset) ^ word(other + offset);
            let left = length - offset;
            if left < 8 { differs << (64 - 8 * left) == 0 } else { differs == 0 }
        })
    }

    /// Adds content.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.room(bytes.len()).copy_from_slice(bytes);
    }

    /// Adds so many bytes, which are to be written.
    pub(super) fn room(&mut self, length: usize) -> &mut [u8] {
        self.reserve(length);
        let from = self.len;
        self.len += length;
        self.bytes.get_mut(from..self.len).unwrap_or_default()
    }

    /// Lets go of everything, and goes on at `position`.
    pub(super) fn pass_over(&mut self, position: u64) {
        (self.base, self.len) = (position, 0);
    }

    /// Lets go of what stands before `position`.
    pub(super) fn let_go(&mut self, position: u64) {
        let gone = usize::try_from(position.saturating_sub(self.base)).unwrap_or(0).min(self.len);
        // Moving what is left costs something: not for less than that is.
        if gone < (self.len - gone).max(4 * WINDOW) {
            return;
        }
        self.bytes.copy_within(gone..self.len, 0);
        self.base += gone as u64;
        self.len -= gone;
    }

    /// Makes room for so many bytes.
    pub(super) fn reserve(&mut self, more: usize) {
        let needed = self.len + more + SLACK;
        if self.bytes.len() < needed {
            self.bytes.resize(needed.next_power_of_two(), 0);
        }
    }
}

/// Copies `length` bytes from `distance` back to `at`, which may overlap; up to 16 bytes behind may change.
#[expect(clippy::inline_always, reason = "a call for each match costs a tenth of all decoding")]
#[inline(always)]
pub(super) fn copy_match(bytes: &mut [u8], at: usize, distance: usize, length: usize) {
    if distance < 16 {
        return repeat(bytes, at, distance, length);
    }
    let from = at - distance;
    for offset in (0..length).step_by(16) {
        let Some(chunk) = bytes.get(from + offset..).and_then(|rest| rest.first_chunk::<16>()).copied()
        else {
            return;
        };
        let Some(to) = bytes.get_mut(at + offset..).and_then(|rest| rest.first_chunk_mut::<16>()) else {
            return;
        };
        *to = chunk;
    }
}

/// The same where it does overlap.
#[inline(never)]
fn repeat(bytes: &mut [u8], at: usize, distance: usize, length: usize) {
    if distance == 1 {
        let byte = bytes.get(at - 1).copied().unwrap_or(0);
        if let Some(run) = bytes.get_mut(at..at + length) {
            run.fill(byte);
        }
        return;
    }
    // The first sixteen bytes one by one, then as many at once as whole periods fit into them.
    let first = length.min(16);
    for offset in at..at + first {
        let byte = bytes.get(offset - distance).copied().unwrap_or(0);
        if let Some(to) = bytes.get_mut(offset) {
            *to = byte;
        }
    }
    let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<16>()).copied() else { return };
    for offset in (0..length).step_by(16 - 16 % distance.max(1)).skip(1) {
        let Some(to) = bytes.get_mut(at + offset..).and_then(|rest| rest.first_chunk_mut::<16>()) else {
            return;
        };
        *to = chunk;
    }
}
