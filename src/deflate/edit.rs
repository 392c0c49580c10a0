//! The editor: old content out, edits in, a stream of the new content on the way.
//!
//! See the documentation of the [module above](super) for how it works.

mod walk;

use std::collections::VecDeque;
use std::io::{self, Read, Seek, Write};

use flate2::Crc;

use walk::Walk;

use super::decode::{Body, Coded, Decoder, Need, Segment, Segments};
use super::emit::{Emitter, Op};
use super::history::History;
use super::token::Token;
use super::trail::{Replay, Trail};
use super::{DecodeError, Format, WINDOW, gzip};

/// New bytes in a row that are compressed for themselves: fewer go out as literals.
const LONG: usize = 1024;

/// Bytes that are written at once.
const WRITE_SIZE: usize = 64 * 1024;

/// What comes in place of a part of the old content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// Where it begins, in old bytes.
    pub start: u64,
    /// Where it ends; at `start` nothing goes.
    pub end: u64,
    /// What comes.
    pub new: Vec<u8>,
}

impl Edit {
    /// The end of an edit that reaches to the end of the content, wherever that is.
    pub const END: u64 = u64::MAX;
}

/// Why a stream cannot be edited.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// It is no stream.
    #[error(transparent)]
    Decode(DecodeError),
    /// Writing failed.
    #[error("writing the stream")]
    Write(#[source] io::Error),
    /// An edit begins before the end of another, or before what was settled; or ends before it begins.
    #[error("an edit from {start} to {end} comes when all before {settled} is settled")]
    Order {
        /// Its begin.
        start: u64,
        /// Its end.
        end: u64,
        /// What cannot be edited any more.
        settled: u64,
    },
    /// It failed before: what it did since then is not known.
    #[error("the stream was given up")]
    Failed,
    /// An edit reaches further than the stream.
    #[error("an edit ends at {end}, and the content at {content}")]
    Beyond {
        /// The edit's end.
        end: u64,
        /// The content's.
        content: u64,
    },
}

/// Part of the old content that stays: where it was, and where it is.
#[derive(Debug, Clone, Copy)]
struct Kept {
    old: u64,
    new: u64,
    length: u64,
}

/// What a segment's new content is made of.
#[derive(Debug, Clone, Copy)]
enum Piece {
    /// Old content. Before `zone` matches may have lost what they copy.
    Old { from: u64, to: u64, zone: u64 },
    /// New, from one place in the new content to another.
    New(u64, u64),
}

/// Edits a stream of deflate.
///
/// Old content is read from it. [`Self::edit`] says what changes, in order; [`Self::settle`] up to where nothing else will, so that it
/// can be written; [`Self::finish`] writes the rest. `content` gets the new content.
pub struct Editor<'s, W, C> {
    segments: Box<dyn Segments + 's>,
    /// Old content.
    old: History,
    sink: W,
    content: C,
    /// Segments that are read and not settled.
    pending: VecDeque<Segment>,
    /// Edits that are not made, and whether the new bytes of the first one are.
    edits: VecDeque<Edit>,
    is_begun: bool,
    /// Where the last edit ends.
    last: u64,
    /// Nothing before it is edited any more.
    settled: u64,
    /// Old content that was read by others, or that they do not need.
    served: u64,
    /// Matches that begin before this may have lost what they copy.
    zone: u64,
    new: History,
    kept: VecDeque<Kept>,
    emitter: Emitter,
    format: Format,
    has_failed: bool,
    /// Of the new content.
    checksum: Crc,
}

impl<'s, W: Write, C: Write> Editor<'s, W, C> {
    /// Begins to edit what `source` gives.
    pub fn new(source: impl Read + 's, format: Format, sink: W, content: C) -> Self {
        Self::of(Box::new(Decoder::new(source, format)), format, sink, content)
    }

    /// The same where `source` was read before and left a trail: it stands for `old`, and is not decoded.
    pub fn replay(
        source: impl Read + 's,
        (trail, old): (&'s Trail, impl Read + Seek + 's),
        format: Format,
        sink: W,
        content: C,
    ) -> Self {
        Self::of(Box::new(Replay::new(source, trail, old)), format, sink, content)
    }

    fn of(segments: Box<dyn Segments + 's>, format: Format, sink: W, content: C) -> Self {
        let mut emitter = Emitter::default();
        if format == Format::Gzip {
            gzip::write_header(&mut emitter.out);
        }
        Self {
            format,
            has_failed: false,
            checksum: Crc::new(),
            segments,
            old: History::default(),
            sink,
            content,
            pending: VecDeque::new(),
            edits: VecDeque::new(),
            is_begun: false,
            last: 0,
            settled: 0,
            served: 0,
            zone: 0,
            new: History::default(),
            kept: VecDeque::new(),
            emitter,
        }
    }

    /// Tells of the next edit.
    pub fn edit(&mut self, edit: Edit) -> Result<(), EditError> {
        let settled = self.settled.max(self.last);
        if edit.start < settled || edit.end < edit.start {
            return Err(EditError::Order { start: edit.start, end: edit.end, settled });
        }
        self.last = edit.end;
        if edit.start == edit.end && edit.new.is_empty() {
            return Ok(());
        }
        self.edits.push_back(edit);
        Ok(())
    }

    /// Says that no edit that is still to be told begins before `position`.
    pub fn settle(&mut self, position: u64) -> Result<(), EditError> {
        self.settled = self.settled.max(position);
        self.guarded(Self::write_settled)
    }

    /// Does something, and nothing any more once it failed.
    fn guarded<T>(&mut self, act: impl FnOnce(&mut Self) -> Result<T, EditError>) -> Result<T, EditError> {
        if self.has_failed {
            return Err(EditError::Failed);
        }
        let done = act(self);
        self.has_failed = done.is_err();
        done
    }

    /// Old content, some of it; nothing at the end.
    fn serve(&mut self, buf: &mut [u8]) -> Result<usize, EditError> {
        while self.served == self.old.end() {
            if !self.read_segment()? {
                return Ok(0);
            }
        }
        let from = self.served;
        self.served = self.old.copy_to(buf, from);
        self.let_go();
        Ok((self.served - from) as usize)
    }

    /// Passes over `count` bytes of old content that nobody reads; false where it ends before.
    pub fn skip(&mut self, count: u64) -> Result<bool, EditError> {
        self.served = self.served.saturating_add(count);
        self.guarded(|editor| {
            while editor.old.end() < editor.served {
                if !editor.read_segment()? {
                    return Ok(false);
                }
            }
            editor.let_go();
            Ok(true)
        })
    }

    /// Reads the next segment, and writes what is settled; false at the end.
    fn read_segment(&mut self) -> Result<bool, EditError> {
        let start = self.old.end();
        // A segment ends at most a match behind its size: is there anything that edits can reach?
        let reach = start + 2 * super::decode::SEGMENT as u64;
        let is_quiet = reach <= self.settled && self.edits.is_empty() && start >= self.zone;
        // What is not written yet is held together with what follows.
        let gone = if self.pending.is_empty() { self.gone(start).min(self.served) } else { start };
        let need = Need { matches: !is_quiet, gone };
        let Some(segment) = self.segments.next(&mut self.old, need).map_err(EditError::Decode)? else {
            return Ok(false);
        };
        self.pending.push_back(segment);
        self.write_settled()?;
        Ok(true)
    }

    /// Up to where old content from `start` on goes.
    fn gone(&self, start: u64) -> u64 {
        let edit = self.edits.iter().take_while(|edit| edit.start <= start).last();
        edit.map_or(start, |edit| edit.end)
    }

    fn write_settled(&mut self) -> Result<(), EditError> {
        while let Some(segment) = self.pending.pop_front_if(|segment| segment.end <= self.settled) {
            self.write_segment(segment)?;
        }
        self.let_go();
        Ok(())
    }

    /// Reads and writes what is left, and ends the stream.
    pub fn finish(mut self) -> Result<(W, C), EditError> {
        self.guarded(Self::write_rest)?;
        Ok((self.sink, self.content))
    }

    fn write_rest(&mut self) -> Result<(), EditError> {
        // Nothing is read by others any more.
        (self.settled, self.served) = (u64::MAX, u64::MAX);
        self.write_settled()?;
        while self.read_segment()? {}
        let end = self.old.end();
        while let Some(edit) = self.edits.pop_front() {
            if edit.start > end || (edit.end > end && edit.end != Edit::END) {
                return Err(EditError::Beyond { end: edit.end.max(edit.start), content: end });
            }
            if !std::mem::take(&mut self.is_begun) {
                self.append(&edit.new)?;
            }
        }
        self.emitter.finish();
        if self.format == Format::Gzip {
            gzip::write_trailer(&mut self.emitter.out, &self.checksum);
        }
        self.flush(0)
    }

    /// New bytes behind all old ones.
    fn append(&mut self, bytes: &[u8]) -> Result<(), EditError> {
        let begin = self.new.end();
        self.new.push(bytes);
        self.emitter.compressed(bytes);
        self.tell(begin)
    }

    /// Hands on new content, from `begin` on.
    fn tell(&mut self, begin: u64) -> Result<(), EditError> {
        let bytes = self.new.range(begin, self.new.end());
        if self.format == Format::Gzip {
            self.checksum.update(bytes);
        }
        self.content.write_all(bytes).map_err(EditError::Write)
    }

    fn let_go(&mut self) {
        let end = self.old.end();
        let waiting = self.pending.front().map_or(end, |segment| segment.start);
        self.old.let_go(waiting.min(self.served).min(end.saturating_sub(WINDOW as u64)));
    }

    fn flush(&mut self, least: usize) -> Result<(), EditError> {
        if self.emitter.out.len() >= least {
            let bytes = self.emitter.out.whole();
            self.sink.write_all(&bytes).map_err(EditError::Write)?;
        }
        Ok(())
    }

    fn write_segment(&mut self, mut segment: Segment) -> Result<(), EditError> {
        let begin = self.new.end();
        let is_quiet =
            segment.start >= self.zone && self.edits.front().is_none_or(|edit| edit.start >= segment.end);
        let pieces = self.build(&segment);
        let end = self.new.end();
        self.tell(begin)?;
        if let Body::Marked(mark) = segment.body
            && !pieces.is_empty()
        {
            segment.body = Body::Coded(self.segments.fetch(mark).map_err(EditError::Decode)?);
        }
        match &segment.body {
            Body::Marked(mark) => self.emitter.end(mark.is_end),
            Body::Stored => self.emitter.stored(self.new.range(begin, end)),
            Body::Coded(coded) if is_quiet => self.emitter.copy(coded),
            Body::Coded(coded) => {
                let ops = self.changed(&segment, coded, &pieces).map_err(EditError::Decode)?;
                let new = &self.new;
                self.emitter
                    .changed(coded, &ops, |from, to| new.range(from, to))
                    .map_err(EditError::Decode)?;
            }
        }
        self.new.let_go(end.saturating_sub(WINDOW as u64));
        while self.kept.front().is_some_and(|kept| kept.new + kept.length + (2 * WINDOW as u64) < end) {
            self.kept.pop_front();
        }
        self.flush(WRITE_SIZE)
    }

    /// Builds the new content of a segment.
    fn build(&mut self, segment: &Segment) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut at = segment.start;
        while at < segment.end {
            let Some(edit) = self.edits.front().filter(|edit| edit.start < segment.end) else { break };
            let (start, end) = (edit.start, edit.end);
            if start > at {
                pieces.push(self.keep(at, start));
                at = start;
            }
            if !std::mem::replace(&mut self.is_begun, true) {
                let from = self.new.end();
                if let Some(edit) = self.edits.front() {
                    self.new.push(&edit.new);
                }
                let to = self.new.end();
                if to > from {
                    pieces.push(Piece::New(from, to));
                }
            }
            self.zone = end.saturating_add(WINDOW as u64);
            if end > segment.end {
                return pieces;
            }
            at = at.max(end);
            self.edits.pop_front();
            self.is_begun = false;
        }
        if at < segment.end {
            pieces.push(self.keep(at, segment.end));
        }
        pieces
    }

    fn keep(&mut self, from: u64, to: u64) -> Piece {
        let new = self.new.end();
        self.new.push(self.old.range(from, to));
        let length = to - from;
        match self.kept.back_mut() {
            Some(last) if last.old + last.length == from && last.new + last.length == new => {
                last.length += length;
            }
            _ => self.kept.push_back(Kept { old: from, new, length }),
        }
        Piece::Old { from, to, zone: self.zone }
    }

    /// Where the old byte at `old` is now.
    fn moved(&self, old: u64) -> Option<u64> {
        let index = self.kept.partition_point(|kept| kept.old <= old).checked_sub(1)?;
        let kept = self.kept.get(index).filter(|kept| old < kept.old + kept.length)?;
        Some(kept.new + (old - kept.old))
    }

    /// What becomes of the tokens of a segment that is made of `pieces` now.
    fn changed(&self, segment: &Segment, coded: &Coded, pieces: &[Piece]) -> Result<Vec<Op>, DecodeError> {
        let again;
        let places = if let Some(places) = &coded.matches {
            places
        } else {
            again = coded.places((needed(segment, pieces) - segment.start) as u32)?;
            &again
        };
        let mut walk = Walk::new(self, segment, places, coded.bits);
        for piece in pieces {
            match *piece {
                Piece::New(from, to) if to - from >= LONG as u64 => walk.ops.push(Op::New(from, to)),
                Piece::New(from, to) => {
                    let bytes = self.new.range(from, to).iter();
                    walk.ops.extend(bytes.map(|&byte| Op::Token(Token::Literal(byte))));
                }
                Piece::Old { from, to, zone } => walk.old(from, to, zone),
            }
        }
        Ok(walk.ops)
    }
}

/// Up to where matches of a segment may become others: behind the last edit, and what that can reach, all stays as it is.
fn needed(segment: &Segment, pieces: &[Piece]) -> u64 {
    let last = pieces.iter().rev().find_map(|piece| match *piece {
        Piece::Old { to, zone, .. } => Some(if to == segment.end { zone.min(to) } else { to }),
        Piece::New(..) => None,
    });
    last.unwrap_or(0).max(segment.start)
}

impl<W: Write, C: Write> Read for Editor<'_, W, C> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.guarded(|editor| editor.serve(buf))
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}
