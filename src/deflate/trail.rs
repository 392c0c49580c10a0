//! A stream that was read once: where its segments are, so that it is not decoded a second time.
//!
//! A [`Reader`] gives what a stream stands for, and leaves a [`Trail`]. Whoever kept what it gave has all that an
//! [`Editor`](super::Editor) needs besides the stream.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use super::bits::BitReader;
use super::block::{Codes, Content, read_head};
use super::decode::{Body, Coded, Decoder, Mark, Need, Segment, Segments, Step};
use super::history::History;
use super::{DecodeError, Format, WINDOW};

/// Segments that may be as short as they like.
const FREE: usize = 4096;

/// Bytes that the others stand for, each, on average: what is remembered of one takes 32.
const LEAST: u64 = 1024;

/// Where the segments of a stream are: where what each stands for ends, and its tokens; `None` for bytes as they are.
#[derive(Debug, Default)]
pub struct Trail(Vec<(u64, Option<Mark>)>);

const _: () = assert!(size_of::<(u64, Option<Mark>)>() == 32);

/// Reads what a stream stands for.
pub struct Reader<R> {
    decoder: Decoder<R>,
    old: History,
    /// How much of it was given.
    given: u64,
    /// `None` once it is too long.
    trail: Option<Trail>,
}

impl<R: Read> Reader<R> {
    /// Begins to read what `source` gives.
    pub fn new(source: R, format: Format) -> Self {
        let decoder = Decoder::new(source, format);
        Self { decoder, old: History::default(), given: 0, trail: Some(Trail::default()) }
    }

    /// What it reads from; some of that was taken ahead.
    pub fn get_mut(&mut self) -> &mut R {
        self.decoder.reader.get_mut()
    }

    /// The same, and where the segments are that were read; `None` where there are too many small ones.
    pub fn into_parts(self) -> (R, Option<Trail>) {
        (self.decoder.reader.into_inner(), self.trail)
    }
}

impl<R: Read> Read for Reader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.given == self.old.end() {
            let Some(step) = self.decoder.step(&mut self.old, None)? else { return Ok(0) };
            self.trail = self.trail.take().and_then(|trail| trail.with(&step));
        }
        let from = self.given;
        self.given = self.old.copy_to(buf, from);
        self.old.let_go(self.given.min(self.old.end().saturating_sub(WINDOW as u64)));
        Ok((self.given - from) as usize)
    }
}

impl From<DecodeError> for io::Error {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Read(error) => error,
            DecodeError::Truncated => Self::new(io::ErrorKind::UnexpectedEof, error),
            error => Self::new(io::ErrorKind::InvalidData, error),
        }
    }
}

impl Trail {
    /// With one more segment, if that is not one too many.
    fn with(mut self, step: &Step) -> Option<Self> {
        if self.0.len() >= FREE && (self.0.len() - FREE) as u64 > step.end / LEAST {
            return None;
        }
        self.0.push((step.end, step.tokens.as_ref().map(|(mark, _)| *mark)));
        Some(self)
    }
}

/// The segments of a stream that was read before.
pub(super) struct Replay<'t, R, C> {
    reader: BitReader<R>,
    trail: std::slice::Iter<'t, (u64, Option<Mark>)>,
    /// What the stream stands for.
    content: C,
    /// How much of that was passed.
    position: u64,
    /// The block that was begun last, by its first bit.
    block: Option<(u64, Arc<Codes>)>,
}

impl<'t, R: Read, C: Read + Seek> Replay<'t, R, C> {
    pub(super) fn new(source: R, Trail(marks): &'t Trail, content: C) -> Self {
        Self {
            reader: BitReader::new(source),
            trail: marks.iter(),
            content,
            // Nobody knows where it stands.
            position: u64::MAX,
            block: None,
        }
    }

    /// The codes of the block that begins at a bit.
    fn codes(&mut self, block: u64) -> Result<Arc<Codes>, DecodeError> {
        if let Some((_, codes)) = self.block.as_ref().filter(|(begin, _)| *begin == block) {
            return Ok(Arc::clone(codes));
        }
        self.reader.go_to(block)?;
        let Content::Coded(codes) = read_head(&mut self.reader)?.content else {
            return Err(DecodeError::BlockType);
        };
        self.block = Some((block, Arc::clone(&codes)));
        Ok(codes)
    }

    /// Puts what the stream stands for, up to `end`, behind what is in `old`.
    fn load(&mut self, old: &mut History, end: u64) -> io::Result<()> {
        if self.position != old.end() {
            self.content.seek(SeekFrom::Start(old.end()))?;
        }
        let length = usize::try_from(end - old.end()).unwrap_or(usize::MAX);
        self.content.read_exact(old.room(length))?;
        self.position = end;
        Ok(())
    }
}

impl<R: Read, C: Read + Seek> Segments for Replay<'_, R, C> {
    fn next(&mut self, old: &mut History, need: Need) -> Result<Option<Segment>, DecodeError> {
        let start = old.end();
        let Some(&(end, tokens)) = self.trail.next() else {
            self.reader.drain()?;
            return Ok(None);
        };
        if start < end && end <= need.gone {
            old.pass_over(end);
        } else {
            self.load(old, end).map_err(DecodeError::Read)?;
        }
        Ok(Some(Segment { start, end, body: tokens.map_or(Body::Stored, Body::Marked) }))
    }

    fn fetch(&mut self, mark: Mark) -> Result<Coded, DecodeError> {
        let codes = self.codes(mark.block)?;
        self.reader.go_to(mark.first)?;
        self.reader.hold(mark.first + u64::from(mark.bits))?;
        Ok(Coded::of(&self.reader, mark, codes, None))
    }
}
