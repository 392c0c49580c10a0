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
    /// Tokens that were not looked at.
    Marked(Mark),
}

/// Where tokens are in a stream that was read before.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    /// The first of their bits.
    pub(super) first: u64,
    /// How many there are.
    pub(super) bits: u32,
    /// The first bit of their block.
    pub(super) block: u64,
    /// Whether the block ends behind them.
    pub(super) is_end: bool,
}

/// Where a segment is that was read.
#[derive(Debug)]
pub(super) struct Step {
    /// Where what it stands for ends.
    pub(super) end: u64,
    /// Its tokens, and their codes; `None` for bytes as they are.
    pub(super) tokens: Option<(Mark, Arc<Codes>)>,
}

/// What is needed of the next segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Need {
    /// Whether edits may reach its matches.
    pub(super) matches: bool,
    /// Up to where old content is neither read nor stays.
    pub(super) gone: u64,
}

/// Where the segments of a stream come from, one after the other.
pub(super) trait Segments {
    /// The next one, with what it stands for behind what is in `old`; none behind the last block.
    fn next(&mut self, old: &mut History, need: Need) -> Result<Option<Segment>, DecodeError>;

    /// The tokens of a segment that was handed out as marked, in order.
    fn fetch(&mut self, mark: Mark) -> Result<Coded, DecodeError>;
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
    /// Those at `mark`, which `reader` has at hand.
    pub(super) fn of<R: Read>(
        reader: &BitReader<R>,
        Mark { first, bits, is_end, .. }: Mark,
        codes: Arc<Codes>,
        matches: Option<Vec<Place>>,
    ) -> Self {
        let (bytes, first) = reader.copy_of(first, first + u64::from(bits));
        Self { codes, is_end, bytes, first, bits, matches }
    }

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

    /// Its matches, read again where they were not noted: those that begin before `until`, in bytes from its start, and one more.
    pub(super) fn places(&self, until: u32) -> Result<Vec<Place>, DecodeError> {
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
                    if at >= until {
                        break;
                    }
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
    pub(super) reader: BitReader<R>,
    state: State,
    /// Where the stream began: no match reaches further back.
    begin: u64,
    /// Where the last block began, as the number of a bit.
    block: u64,
    /// The checksum of the stream, if it is a member of gzip.
    checksum: Option<Crc>,
}

impl<R: Read> Decoder<R> {
    pub(super) fn new(inner: R, format: Format) -> Self {
        let (state, checksum) = match format {
            Format::Deflate => (State::Before, None),
            Format::Gzip => (State::Outside, Some(Crc::new())),
        };
        Self { reader: BitReader::new(inner), state, begin: 0, block: 0, checksum }
    }

    /// Reads the next segment, and puts what it stands for behind what is in `old`; none behind the last block. Its matches go to
    /// `notes`, if they are to be noted.
    pub(super) fn step(
        &mut self,
        old: &mut History,
        notes: Option<&mut Vec<Place>>,
    ) -> Result<Option<Step>, DecodeError> {
        let start = old.end();
        let step = self.next_step(old, notes)?;
        if let Some((step, checksum)) = step.as_ref().zip(self.checksum.as_mut()) {
            checksum.update(old.range(start, step.end));
        }
        Ok(step)
    }

    fn next_step(
        &mut self,
        old: &mut History,
        mut notes: Option<&mut Vec<Place>>,
    ) -> Result<Option<Step>, DecodeError> {
        loop {
            self.reader.let_go(self.reader.position());
            match std::mem::replace(&mut self.state, State::Before) {
                State::Before => {
                    self.block = self.reader.position();
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
                    let bytes = self.reader.bytes(left.min(SEGMENT))?;
                    if bytes.is_empty() {
                        return Err(DecodeError::Truncated);
                    }
                    old.push(bytes);
                    let left = left - bytes.len();
                    self.state = State::Stored { left, is_last };
                    return Ok(Some(Step { end: old.end(), tokens: None }));
                }
                State::Coded { codes, is_last, is_begun } => {
                    let start = old.end();
                    let tokens = self.coded(old, codes, is_last, notes.as_deref_mut())?;
                    // Of a block without tokens nothing is said: there may be any number of them.
                    if old.end() > start || is_begun {
                        return Ok(Some(Step { end: old.end(), tokens: Some(tokens) }));
                    }
                }
                State::Over => {
                    let Some(checksum) = self.checksum.as_mut() else {
                        self.state = State::Over;
                        return Ok(None);
                    };
                    gzip::read_trailer(&mut self.reader, checksum)?;
                    checksum.reset();
                    self.begin = old.end();
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

    fn coded(
        &mut self,
        old: &mut History,
        codes: Arc<Codes>,
        is_last: bool,
        notes: Option<&mut Vec<Place>>,
    ) -> Result<(Mark, Arc<Codes>), DecodeError> {
        let first = self.reader.position();
        let ended = match notes {
            Some(notes) => self.tokens::<true>(old, &codes, notes)?,
            None => self.tokens::<false>(old, &codes, &mut Vec::new())?,
        };
        if self.reader.is_beyond() {
            return Err(DecodeError::Truncated);
        }
        let bits = (ended.unwrap_or(self.reader.position()) - first) as u32;
        match ended {
            Some(_) => self.after(is_last),
            None => self.state = State::Coded { codes: Arc::clone(&codes), is_last, is_begun: true },
        }
        Ok((Mark { first, bits, block: self.block, is_end: ended.is_some() }, codes))
    }

    /// Reads tokens up to the end of the segment, or of the block: then the bit at which that is said.
    fn tokens<const NOTES: bool>(
        &mut self,
        old: &mut History,
        codes: &Codes,
        matches: &mut Vec<Place>,
    ) -> Result<Option<u64>, DecodeError> {
        old.reserve(SEGMENT);
        let reader = &mut self.reader;
        let first_bit = reader.position();
        let floor = usize::try_from(self.begin.saturating_sub(old.base)).unwrap_or(0);
        let mut run = Run { bytes: &mut old.bytes, floor, start: old.len, at: old.len, matches };
        loop {
            // Where the segment begins, as the cursor counts.
            let first = first_bit.wrapping_sub(reader.window_start());
            match reader.advance(|cursor| run.tokens::<NOTES>(cursor, codes, first))? {
                Stop::Full => {
                    old.len = run.at;
                    return Ok(None);
                }
                Stop::End(bits) => {
                    old.len = run.at;
                    return Ok(Some(first_bit + bits));
                }
                Stop::Empty => reader.read_more()?,
            }
        }
    }
}

impl<R: Read> Segments for Decoder<R> {
    fn next(&mut self, old: &mut History, need: Need) -> Result<Option<Segment>, DecodeError> {
        let start = old.end();
        let mut matches = Vec::new();
        let Some(Step { end, tokens }) = self.step(old, need.matches.then_some(&mut matches))? else {
            return Ok(None);
        };
        let body = match tokens {
            None => Body::Stored,
            Some((mark, codes)) => {
                Body::Coded(Coded::of(&self.reader, mark, codes, need.matches.then_some(matches)))
            }
        };
        Ok(Some(Segment { start, end, body }))
    }

    fn fetch(&mut self, _: Mark) -> Result<Coded, DecodeError> {
        unreachable!("what was decoded is handed out with its tokens")
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
