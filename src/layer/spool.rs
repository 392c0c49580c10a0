//! What a layer unpacks to, kept between the passes: what pass 1 decoded pass 2 need not decode again.
//!
//! To save work and nothing else: where there is no room, or the disk has none, a layer is decoded twice.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::deflate::Trail;

/// Bytes that all layers of a run may take together: what lies in memory for a moment, and on the disk if that is needed. More
/// would be written before it is read.
const MOST: u64 = 512 << 20;

/// Bytes that must be free on the disk: what is kept is never in the way of the image that is written.
pub const FREE: u64 = 4 * MOST;

/// What a layer unpacks to, at least, for each byte that is stored: if there is no room for so much it is not begun.
const RATIO: u64 = 2;

/// The room that the layers of a run share.
#[derive(Debug)]
pub struct Room(AtomicU64);

impl Default for Room {
    fn default() -> Self {
        Self(AtomicU64::new(MOST))
    }
}

/// What a layer unpacks to, while it is read.
#[derive(Debug)]
pub struct Spool<F> {
    /// `None` once it was handed on.
    file: Option<F>,
    room: Arc<Room>,
    taken: u64,
}

/// A layer that was read: what it unpacks to, and where in the stored stream.
#[derive(Debug)]
pub struct Unpacked<F> {
    /// Where the segments of the stored stream are.
    pub trail: Trail,
    /// What it unpacks to.
    pub content: F,
}

impl<F: Write> Spool<F> {
    /// For a layer of `stored` bytes, into `file`; `None` where there is no room.
    pub fn new(file: F, room: &Arc<Room>, stored: u64) -> Option<Self> {
        let has_room = stored.saturating_mul(RATIO) <= room.0.load(Ordering::Relaxed);
        has_room.then(|| Self { file: Some(file), room: Arc::clone(room), taken: 0 })
    }

    /// With more bytes, if there is room.
    pub fn with(mut self, bytes: &[u8]) -> Option<Self> {
        let more = bytes.len() as u64;
        self.room.0.try_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(more)).ok()?;
        self.taken += more;
        self.file.as_mut()?.write_all(bytes).ok()?;
        Some(self)
    }

    /// All of it.
    pub fn finish(mut self, trail: Trail) -> Option<Unpacked<F>> {
        Some(Unpacked { trail, content: self.file.take()? })
    }
}

impl<F> Drop for Spool<F> {
    /// What was given up makes room for others.
    fn drop(&mut self) {
        if self.file.is_some() {
            self.room.0.fetch_add(self.taken, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_share_the_room_that_there_is() {
        let room = Arc::new(Room(AtomicU64::new(10)));
        let spool = |stored| Spool::new(Vec::new(), &room, stored);
        assert!(spool(6).is_none(), "it unpacks to more");
        let first = spool(2).unwrap().with(b"1234567").unwrap();
        assert!(spool(2).is_none(), "the first has it");
        let second = spool(1).unwrap().with(b"123").unwrap();
        assert!(second.with(b"4").is_none());
        // What was given up has none.
        let kept = first.with(b"890").unwrap().finish(Trail::default()).unwrap();
        assert!(spool(1).is_none(), "what is kept stays");
        assert_eq!(kept.content, b"1234567890");
    }

    #[test]
    fn a_disk_that_is_full_is_no_error() {
        let room = Arc::default();
        let full = &mut [0; 3][..];
        assert!(Spool::new(full, &room, 1).unwrap().with(b"1234").is_none());
        assert_eq!(room.0.load(Ordering::Relaxed), MOST);
    }
}
