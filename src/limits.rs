//! How much of a stranger's image is read before kiln gives up: what a user may raise, and the meter that holds it.
//!
//! Limits of one format stand where the format is read (`MAX_…` in `image`, `path`, `layer`, `source`, `packages`); those
//! here are over all layers of an image together. No limit ever changes a byte of the output. Does not know flags; the
//! command line names the one that raises a limit.

use std::error::Error;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

/// Most entries of all layers together: four times the largest images known, and an index of them takes some hundred
/// bytes each.
pub const MAX_ENTRIES: u64 = 2_000_000;

/// Most bytes that all layers together unpack to: 128 GiB. The largest images known (of machine learning) have 40.
pub const MAX_SIZE: u64 = 128 << 30;

/// How many times their stored bytes layers may unpack to. Layers of real files come to 5, those of text to 20; gzip
/// ends at 1032, zstd far beyond.
pub const MAX_RATIO: u64 = 200;

/// Bytes to which layers may unpack whatever their ratio: 4 GiB. A small image may hold a large file of zeros, and so
/// much is gone through in seconds.
pub const ANY_RATIO: u64 = 4 << 30;

/// Bytes remembered of an entry on average, beyond a fixed part: name, link target, attributes, kept content, ELF facts.
/// Real layers come to 100.
pub const HELD_PER_ENTRY: u64 = 256;

/// What a user may raise or lower.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most entries of all layers together.
    pub entries: u64,
    /// Most bytes that all layers together unpack to.
    pub size: Size,
}

/// How the unpacked bytes of an image are limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// By [`MAX_SIZE`], and by [`MAX_RATIO`] beyond [`ANY_RATIO`].
    Proportionate,
    /// By this number, at any ratio: somebody who knows the image said so.
    AtMost(u64),
}

impl Default for Limits {
    fn default() -> Self {
        Self { entries: MAX_ENTRIES, size: Size::Proportionate }
    }
}

impl Limits {
    /// What `stored` bytes may unpack to, and the error where they do not keep to it.
    pub fn unpacked(&self, stored: u64) -> LimitError {
        match self.size {
            Size::AtMost(limit) => LimitError::Size { limit },
            Size::Proportionate => {
                let limit = stored.saturating_mul(MAX_RATIO).max(ANY_RATIO);
                if limit < MAX_SIZE {
                    LimitError::Ratio { limit, stored }
                } else {
                    LimitError::Size { limit: MAX_SIZE }
                }
            }
        }
    }
}

/// An image beyond a limit. May be inside an [`io::Error`]: [`LimitError::find`] finds it there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// Too many entries.
    #[error("the image has more than {limit} entries")]
    Entries {
        /// How many at most.
        limit: u64,
    },
    /// Entries with more to remember than memory should hold.
    #[error("names, attributes and package data of the image take more than {limit} bytes")]
    Held {
        /// How much at most.
        limit: u64,
    },
    /// Too many bytes.
    #[error("the image unpacks to more than {limit} bytes")]
    Size {
        /// How many at most.
        limit: u64,
    },
    /// Bytes that are out of proportion to what is stored: a decompression bomb, or very many zeros.
    #[error("{stored} stored bytes unpack to more than {limit}: this looks like a decompression bomb")]
    Ratio {
        /// How many at most.
        limit: u64,
        /// Stored bytes.
        stored: u64,
    },
}

impl LimitError {
    /// Of how many the limit is.
    pub fn limit(self) -> u64 {
        match self {
            Self::Entries { limit }
            | Self::Held { limit }
            | Self::Size { limit }
            | Self::Ratio { limit, .. } => limit,
        }
    }

    /// The limit at the bottom of an error, however often it was wrapped.
    pub fn find<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref() {
                return Some(found);
            }
            next = match error.downcast_ref::<io::Error>() {
                Some(wrapped) => wrapped.get_ref().map(|inner| inner as &(dyn Error + 'static)),
                None => error.source(),
            };
        }
        None
    }
}

impl From<LimitError> for io::Error {
    fn from(error: LimitError) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}

/// Counts what the layers of one image come to, on all threads. Sums do not depend on who comes first: whether a limit
/// is passed is a property of the image.
#[derive(Debug)]
pub struct Meter {
    entries: u64,
    unpacked: LimitError,
    seen_entries: AtomicU64,
    seen_held: AtomicU64,
    seen_bytes: AtomicU64,
}

impl Default for Meter {
    /// For a small image, within the default limits.
    fn default() -> Self {
        Self::new(&Limits::default(), 0)
    }
}

impl Meter {
    /// A meter for an image whose layers are stored in `stored` bytes.
    pub fn new(limits: &Limits, stored: u64) -> Self {
        Self {
            entries: limits.entries,
            unpacked: limits.unpacked(stored),
            seen_entries: AtomicU64::new(0),
            seen_held: AtomicU64::new(0),
            seen_bytes: AtomicU64::new(0),
        }
    }

    /// One entry more, with `held` bytes to remember.
    pub fn count_entry(&self, held: u64) -> Result<(), LimitError> {
        if add(&self.seen_entries, 1) > self.entries {
            return Err(LimitError::Entries { limit: self.entries });
        }
        let limit = self.entries.saturating_mul(HELD_PER_ENTRY);
        if add(&self.seen_held, held) > limit { Err(LimitError::Held { limit }) } else { Ok(()) }
    }

    /// So many unpacked bytes more.
    pub fn count_bytes(&self, bytes: u64) -> Result<(), LimitError> {
        if add(&self.seen_bytes, bytes) > self.unpacked.limit() { Err(self.unpacked) } else { Ok(()) }
    }
}

/// Adds, and gives the sum; stays at the largest number there is.
fn add(counter: &AtomicU64, more: u64) -> u64 {
    counter.fetch_add(more, Ordering::Relaxed).saturating_add(more)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_images_may_unpack_to_much_and_large_ones_in_proportion() {
        let limit = |stored| Limits::default().unpacked(stored);
        assert_eq!(limit(10), LimitError::Ratio { limit: ANY_RATIO, stored: 10 });
        assert_eq!(limit(100 << 20), LimitError::Ratio { limit: 200 * (100 << 20), stored: 100 << 20 });
        assert_eq!(limit(10 << 30), LimitError::Size { limit: MAX_SIZE });
        assert_eq!(limit(u64::MAX), LimitError::Size { limit: MAX_SIZE });
        let asked = Limits { size: Size::AtMost(7), ..Limits::default() };
        assert_eq!(asked.unpacked(1 << 40), LimitError::Size { limit: 7 });
    }

    #[test]
    fn the_meter_counts_up_to_the_limit_and_not_beyond() {
        let meter = Meter::new(&Limits { entries: 2, size: Size::AtMost(10) }, 0);
        assert_eq!(meter.count_bytes(10), Ok(()));
        assert_eq!(meter.count_bytes(1), Err(LimitError::Size { limit: 10 }));
        assert_eq!(
            meter.count_bytes(u64::MAX),
            Err(LimitError::Size { limit: 10 }),
            "and never wraps around"
        );
        assert_eq!(meter.count_entry(2 * HELD_PER_ENTRY), Ok(()));
        assert_eq!(meter.count_entry(1), Err(LimitError::Held { limit: 2 * HELD_PER_ENTRY }));
        assert_eq!(meter.count_entry(0), Err(LimitError::Entries { limit: 2 }));
    }

    #[test]
    fn a_limit_is_found_below_other_errors() {
        let wrapped = io::Error::other(io::Error::from(LimitError::Entries { limit: 1 }));
        assert_eq!(LimitError::find(&wrapped), Some(&LimitError::Entries { limit: 1 }));
        assert_eq!(LimitError::find(&io::Error::other("x")), None);
    }
}
