//! Tokens read, in segments of bounded size, with the bits that they are written with.
//!
//! Where a segment ends depends on the stream alone.

use std::io::Read;
use std::sync::Arc;

use flate2::Crc;

use super::bits::{BitReader, Bits, Cursor};
use super::block::{Codes, Content, read_head};
use super::history::{History, copy_match};
use super::table::Kind;
use super::token::{Match, Token};
use super::{DecodeError, Format, gzip};

/// A segment ends with the block, or behind the first few tokens that reach so many bytes: large enough to cost little, small enough to be held.
pub(super) const SEGMENT: usize = 64 * 1024;

/// A part of a stream: of one block, and of bounded size.
#[derive(Debug)]
pub(super) struct Segment {
    /// Where what it stands for begins.
    pub(super) start: u64,
    /// And ends.
    pub(super) end: u64,
    pub(super) body: Body,
}

/// What a segment is made of.
#[derive(Debug)]
pub(super) enum Body {
    /// Bytes as they are.
    Stored,
    /// Tokens.
    Coded(Coded),
}

/// Tokens, with the bits that they are written with.
#[derive(Debug)]
pub(super) struct Coded {
    pub(super) codes: Arc<Codes>,
    /// Whether the block ends with it.
    pub(super) is_end: bool,
    /// Bytes that hold its bits.
    bytes: Vec<u8>,
    /// The first of its bits there.
    first: u32,
    /// How many bits its tokens have.
    pub(super) bits: u32,
    /// Its matches, where they were noted.
    pub(super) matches: Option<Vec<Place>>,
}

/// A match, and where it stands in its segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// What it stands for begins so many bytes from the segment's start.
    pub(super) at: u32,
    /// Its bits end so many bits from the segment's first.
    pub(super) bits_end: u32,
    /// How many bits it has.
    pub(super) bits: u8,
    pub(super) is: Match,
}

impl Coded {
    /// Bits of the segment, by their numbers in it.
    pub(super) fn range(&self, from: u32, to: u32) -> Bits<'_> {
        Bits::within(&self.bytes, self.first + from, to.saturating_sub(from))
    }

    /// Its tokens between two of its bits.
    pub(super) fn tokens(&self, from: u32, to: u32) -> Result<Vec<Token>, DecodeError> {
        let mut reader = BitReader::within(&self.bytes, self.first + from, self.first + to);
        let end = u64::from(self.first + to);
        let mut out = Vec::new();
        while reader.position() < end {
            let token = token(&mut reader, &self.codes)?.ok_or(DecodeError::Symbol)?;
            out.push(token);
        }
        Ok(out)
    }

    /// Its matches, read again if they were not noted.
    pub(super) fn places(&self) -> Result<Vec<Place>, DecodeError> {
        let mut reader = BitReader::within(&self.bytes, self.first, self.first + self.bits);
        let (mut at, mut out) = (0, Vec::new());
        while reader.position() < u64::from(self.first + self.bits) {
            let begin = reader.position();
            match token(&mut reader, &self.codes)?.ok_or(DecodeError::Symbol)? {
                Token::Literal(_) => at += 1,
                Token::Match(is) => {
                    let bits_end = (reader.position() - u64::from(self.first)) as u32;
                    let bits = (reader.position() - begin) as u8;
                    out.push(Place { at, bits_end, bits, is });
                    at += u32::from(is.length);
                }
            }
        }
        Ok(out)
    }
}

/// The next token; none at the end of the block.
fn token<R: Read>(reader: &mut BitReader<R>, codes: &Codes) -> Result<Option<Token>, DecodeError> {
    reader.fill()?;
    reader.advance(|cursor| {
        let entry = codes.literals.look_up(cursor.bits);
        let length = entry.sum(cursor.bits);
        cursor.skip(entry.total());
        if entry.is(Kind::Literal) {
            Ok(Some(Token::Literal(entry.value() as u8)))
        } else if entry.is(Kind::Base) {
            let entry = codes.distances.look_up(cursor.bits);
            let distance = entry.sum(cursor.bits);
            cursor.skip(entry.total());
            if !entry.is(Kind::Base) {
                return Err(DecodeError::Symbol);
            }
            Ok(Some(Token::Match(Match { length: length as u16, distance: distance as u16 })))
        } else if entry.is(Kind::End) {
            Ok(None)
        } else {
            Err(DecodeError::Symbol)
        }
    })
}

/// Where in its stream a decoder is.
#[derive(Debug)]
enum State {
    /// Before a block.
    Before,
    /// In a stored block, with so many bytes left.
    Stored { left: usize, is_last: bool },
    /// In a block of tokens; whether some of it was given out.
    Coded { codes: Arc<Codes>, is_last: bool, is_begun: bool },
    /// Behind the last block.
    Over,
    /// Before the header of a member of gzip.
    Outside,
}

/// Reads a stream, segment by segment.
pub(super) struct Decoder<R> {
    reader: BitReader<R>,
    pub(super) history: History,
    state: State,
    /// Where the stream began: no match reaches further back.
    begin: u64,
    /// The checksum of the stream, if it is a member of gzip.
    checksum: Option<Crc>,
}

impl<R: Read> Decoder<R> {
    pub(super) fn new(inner: R, format: Format) -> Self {
        let (state, checksum) = match format {
            Format::Deflate => (State::Before, None),
            Format::Gzip => (State::Outside, Some(Crc::new())),
        };
        Self { reader: BitReader::new(inner), history: History::default(), state, begin: 0, checksum }
    }

    /// The next segment; none behind the last block. Its matches are noted where `notes`.
    pub(super) fn segment(&mut self, notes: bool) -> Result<Option<Segment>, DecodeError> {
        let segment = self.next_segment(notes)?;
        if let Some((segment, checksum)) = segment.as_ref().zip(self.checksum.as_mut()) {
            checksum.update(self.history.range(segment.start, segment.end));
        }
        Ok(segment)
    }

    fn next_segment(&mut self, notes: bool) -> Result<Option<Segment>, DecodeError> {
        loop {
            self.reader.let_go(self.reader.position());
            match std::mem::replace(&mut self.state, State::Before) {
                State::Before => {
                    let head = read_head(&mut self.reader)?;
                    self.state = match head.content {
                        Content::Stored(left) => State::Stored { left, is_last: head.is_last },
                        Content::Coded(codes) => {
                            State::Coded { codes, is_last: head.is_last, is_begun: false }
                        }
                    };
                }
                State::Stored { left: 0, is_last } => self.after(is_last),
                State::Stored { left, is_last } => {
                    let start = self.history.end();
                    let bytes = self.reader.bytes(left.min(SEGMENT))?;
                    if bytes.is_empty() {
                        return Err(DecodeError::Truncated);
                    }
                    self.history.push(bytes);
                    let left = left - bytes.len();
                    self.state = State::Stored { left, is_last };
                    return Ok(Some(Segment { start, end: self.history.end(), body: Body::Stored }));
                }
                State::Coded { codes, is_last, is_begun } => {
                    let segment = self.coded(codes, is_last, notes)?;
                    // Of a block without tokens nothing is said: there may be any number of them.
                    if segment.end > segment.start || is_begun {
                        return Ok(Some(segment));
                    }
                }
                State::Over => {
                    let Some(checksum) = self.checksum.as_mut() else {
                        self.state = State::Over;
                        return Ok(None);
                    };
                    gzip::read_trailer(&mut self.reader, checksum)?;
                    checksum.reset();
                    self.begin = self.history.end();
                    if self.reader.is_over()? {
                        self.checksum = None;
                        self.state = State::Over;
                    } else {
                        self.state = State::Outside;
                    }
                }
                State::Outside => gzip::read_header(&mut self.reader)?,
            }
        }
    }

    fn after(&mut self, is_last: bool) {
        self.state = if is_last { State::Over } else { State::Before };
    }

    fn coded(&mut self, codes: Arc<Codes>, is_last: bool, notes: bool) -> Result<Segment, DecodeError> {
        let start = self.history.end();
        let first_bit = self.reader.position();
        let mut matches = Vec::new();
        let ended = if notes {
            self.tokens::<true>(&codes, &mut matches)?
        } else {
            self.tokens::<false>(&codes, &mut matches)?
        };
        if self.reader.is_beyond() {
            return Err(DecodeError::Truncated);
        }
        let end_bit = ended.unwrap_or(self.reader.position());
        let (bytes, first) = self.reader.copy_of(first_bit, end_bit);
        match ended {
            Some(_) => self.after(is_last),
            None => self.state = State::Coded { codes: Arc::clone(&codes), is_last, is_begun: true },
        }
        let body = Body::Coded(Coded {
            codes,
            is_end: ended.is_some(),
            bytes,
            first,
            bits: (end_bit - first_bit) as u32,
            matches: notes.then_some(matches),
        });
        Ok(Segment { start, end: self.history.end(), body })
    }

    /// Reads tokens up to the end of the segment, or of the block: then the bit at which that is said.
    fn tokens<const NOTES: bool>(
        &mut self,
        codes: &Codes,
        matches: &mut Vec<Place>,
    ) -> Result<Option<u64>, DecodeError> {
        self.history.reserve(SEGMENT);
        let Self { reader, history, .. } = self;
        let first_bit = reader.position();
        let floor = usize::try_from(self.begin.saturating_sub(history.base)).unwrap_or(0);
        let mut run = Run { bytes: &mut history.bytes, floor, start: history.len, at: history.len, matches };
        loop {
            // Where the segment begins, as the cursor counts.
            let first = first_bit.wrapping_sub(reader.window_start());
            match reader.advance(|cursor| run.tokens::<NOTES>(cursor, codes, first))? {
                Stop::Full => {
                    history.len = run.at;
                    return Ok(None);
                }
                Stop::End(bits) => {
                    history.len = run.at;
                    return Ok(Some(first_bit + bits));
                }
                Stop::Empty => reader.read_more()?,
            }
        }
    }
}

/// Why no more tokens are read.
enum Stop {
    /// The segment is as long as one gets.
    Full,
    /// The block ends, so many bits behind the segment's first.
    End(u64),
    /// The window has no more.
    Empty,
}

/// Content that is being made.
struct Run<'d> {
    /// Content before it, then room for more.
    bytes: &'d mut [u8],
    /// No match reaches further back.
    floor: usize,
    /// Where the segment begins.
    start: usize,
    /// Where the next byte comes.
    at: usize,
    matches: &'d mut Vec<Place>,
}

impl Run<'_> {
    /// Reads tokens of a segment whose first bit is number `first` of the cursor's window.
    #[inline]
    fn tokens<const NOTES: bool>(
        &mut self,
        cursor: &mut Cursor<'_>,
        codes: &Codes,
        first: u64,
    ) -> Result<Stop, DecodeError> {
        let limit = self.start + SEGMENT;
        let mut at = self.at;
        let stop = loop {
            if at >= limit {
                break Stop::Full;
            }
            if !cursor.fill() {
                break Stop::Empty;
            }
            let mut entry = codes.literals.look_up(cursor.bits);
            // Three codes fit into what is loaded.
            if entry.is(Kind::Literal) {
                cursor.skip(entry.total());
                put(self.bytes, at, entry.value());
                at += 1;
                entry = codes.literals.look_up(cursor.bits);
                if entry.is(Kind::Literal) {
                    cursor.skip(entry.total());
                    put(self.bytes, at, entry.value());
                    at += 1;
                    entry = codes.literals.look_up(cursor.bits);
                    if entry.is(Kind::Literal) {
                        cursor.skip(entry.total());
                        put(self.bytes, at, entry.value());
                        at += 1;
                    }
                    // What follows a match has no room beside two literals.
                    continue;
                }
                if at >= limit {
                    break Stop::Full;
                }
                if !cursor.fill() {
                    break Stop::Empty;
                }
            }
            if entry.is(Kind::Base) {
                let length = entry.sum(cursor.bits) as usize;
                cursor.skip(entry.total());
                let far = codes.distances.look_up(cursor.bits);
                let distance = far.sum(cursor.bits) as usize;
                cursor.skip(far.total());
                if !far.is(Kind::Base) {
                    return Err(DecodeError::Symbol);
                }
                if distance > at - self.floor {
                    return Err(DecodeError::Distance);
                }
                copy_match(self.bytes, at, distance, length);
                if NOTES {
                    self.matches.push(Place {
                        at: (at - self.start) as u32,
                        bits_end: (cursor.position() as u64).wrapping_sub(first) as u32,
                        bits: (entry.total() + far.total()) as u8,
                        is: Match { length: length as u16, distance: distance as u16 },
                    });
                }
                at += length;
            } else if entry.is(Kind::End) {
                let bits = (cursor.position() as u64).wrapping_sub(first);
                cursor.skip(entry.total());
                break Stop::End(bits);
            } else {
                return Err(DecodeError::Symbol);
            }
        };
        self.at = at;
        Ok(stop)
    }
}

#[inline]
fn put(bytes: &mut [u8], at: usize, value: u32) {
    if let Some(slot) = bytes.get_mut(at) {
        *slot = value as u8;
    }
}
