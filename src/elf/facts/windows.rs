//! The parts of a streamed file that are worth remembering, by offset.
//!
//! Does not know what stands in them; `elf::facts` chooses the ranges.

use std::ops::Range;

/// Byte ranges of one file, filled as the file streams by.
#[derive(Debug, Default)]
pub(super) struct Windows {
    at: u64,
    kept: Vec<Window>,
}

#[derive(Debug)]
struct Window {
    range: Range<u64>,
    bytes: Vec<u8>,
}

impl Windows {
    /// Number of bytes that have streamed by.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// Takes the next bytes of the file.
    pub(super) fn push(&mut self, chunk: &[u8]) {
        let end = self.at.saturating_add(chunk.len() as u64);
        for window in &mut self.kept {
            let start = self.at.max(window.range.start);
            let stop = end.min(window.range.end);
            if start < stop {
                window.bytes.extend_from_slice(slice(chunk, start - self.at, stop - self.at));
            }
        }
        self.at = end;
    }

    /// Keeps `ranges` from now on and forgets the rest. Of a range that has begun to stream by, the past
    /// must have been kept already, or the range is lost.
    pub(super) fn keep(&mut self, mut ranges: Vec<Range<u64>>) {
        ranges.retain(|range| range.start < range.end);
        ranges.sort_by_key(|range| (range.start, range.end));
        let mut merged: Vec<Range<u64>> = Vec::new();
        for range in ranges {
            match merged.last_mut() {
                Some(last) if range.start < last.end => last.end = last.end.max(range.end),
                _ => merged.push(range),
            }
        }
        self.kept = merged
            .into_iter()
            .filter_map(|range| {
                let past = range.start.min(self.at)..range.end.min(self.at);
                Some(Window { bytes: self.gather(past)?, range })
            })
            .collect();
    }

    /// The `len` bytes at `offset`, if all of them were kept.
    pub(super) fn get(&self, offset: u64, len: u64) -> Option<&[u8]> {
        let end = offset.checked_add(len)?;
        self.kept.iter().find_map(|window| {
            let from = usize::try_from(offset.checked_sub(window.range.start)?).ok()?;
            let to = usize::try_from(end.checked_sub(window.range.start)?).ok()?;
            window.bytes.get(from..to)
        })
    }

    /// Number of bytes held.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.kept.iter().map(|window| window.bytes.len()).sum()
    }

    fn gather(&self, range: Range<u64>) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        let mut at = range.start;
        while at < range.end {
            let window = self.kept.iter().find(|window| window.range.contains(&at))?;
            let stop = range.end.min(window.range.end);
            let piece = slice(&window.bytes, at - window.range.start, stop - window.range.start);
            if piece.is_empty() {
                return None;
            }
            out.extend_from_slice(piece);
            at += piece.len() as u64;
        }
        Some(out)
    }
}

/// `bytes[from..to]`, cut to what there is.
fn slice(bytes: &[u8], from: u64, to: u64) -> &[u8] {
    let limit = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
    bytes.get(limit(from)..limit(to)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_fill_across_chunk_borders() {
        let mut windows = Windows::default();
        windows.keep(vec![2..6, 8..9]);
        for chunk in [&b"012"[..], b"3", b"", b"456789"] {
            windows.push(chunk);
        }
        assert_eq!(windows.get(2, 4), Some(&b"2345"[..]));
        assert_eq!(windows.get(3, 2), Some(&b"34"[..]));
        assert_eq!(windows.get(8, 1), Some(&b"8"[..]));
        assert_eq!(windows.get(5, 2), None);
        assert_eq!(windows.get(u64::MAX, 2), None);
    }

    #[test]
    fn a_new_choice_keeps_what_was_kept_and_loses_what_was_not() {
        let mut windows = Windows::default();
        windows.keep(vec![0..4, 4..6]);
        windows.push(b"01234567");
        windows.keep(vec![2..6, 6..9, 9..11]);
        windows.push(b"89abc");
        assert_eq!(windows.get(2, 4), Some(&b"2345"[..]));
        assert_eq!(windows.get(6, 1), None);
        assert_eq!(windows.get(9, 2), Some(&b"9a"[..]));
    }
}
