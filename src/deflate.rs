//! Deflate streams (RFC 1951) that are edited without being compressed again.
//!
//! Knows nothing of images or of tar: bytes come in from a [`Read`](std::io::Read), edits are told by their place in what
//! those bytes stand for, and a stream of what is left comes out.
//!
//! # How a stream says what it stands for
//!
//! A stream is a row of *blocks*. A *stored* block holds bytes as they are. Any other holds *tokens*: a literal byte, or a
//! *match*, which copies a number of bytes from some distance back, at most 32 KiB. Tokens are written with two Huffman
//! codes, one for literals and lengths and one for distances; a block uses fixed ones or describes its own in a few dozen bytes
//! at its beginning. Most of the time that compressing takes goes into finding matches. What they say is still true
//! almost everywhere after a small change, so that an [`Editor`] keeps them:
//!
//! 1. The [`decode`](self) half reads tokens in *segments* of bounded size, and hands out what they stand for. Where an edit
//!    can reach it notes the place of each match.
//! 2. The new content of a segment is built: the old one with the edits made. A *zone* begins at an edit and ends 32 KiB
//!    behind its end, for no match reaches further back.
//! 3. Outside of zones the bits of tokens are copied as they are, and stored bytes are stored again. Within, each match is held against the new content: it stays if it copies
//!    the right bytes; or it gets the distance that follows from what was inserted or removed between its source and itself; or
//!    it is cut into parts that do, and literals. A token is only ever kept that gives the new bytes.
//! 4. Tokens go out with the codes of the block that they came in. Where those have no code for one, or so much changed that
//!    other codes are shorter, a block of its own is written.
//!
//! Whoever reads a stream before he edits it pays for decoding once: a [`Reader`] gives what the stream stands for and leaves a
//! [`Trail`], which says where the segments are, in some 32 bytes for each. From a trail and a copy of the content an editor takes bits and
//! bytes as they are ([`Editor::replay`]); tokens are read again only where an edit can reach them, and what goes is not
//! even looked at.
//!
//! What comes out depends on the bytes that came in and on the edits alone: not on how they were read, nor on whether they were
//! read before, nor on when the edits were told.

#[expect(clippy::cast_possible_truncation, reason = "bits of a known number, that fit")]
mod bits;
#[expect(clippy::cast_possible_truncation, reason = "bits of a known number, that fit")]
mod block;
mod code;
mod compress;
#[expect(clippy::cast_possible_truncation, reason = "lengths and bits of a segment, which is small")]
mod decode;
#[expect(clippy::cast_possible_truncation, reason = "lengths and distances of matches, which are small")]
mod edit;
mod emit;
mod gzip;
mod history;
#[expect(clippy::cast_possible_truncation, reason = "symbols and lengths of codes, which are small")]
mod table;
#[expect(clippy::cast_possible_truncation, reason = "numbers of symbols, which are small")]
mod token;
#[expect(clippy::cast_possible_truncation, reason = "bytes of a buffer")]
mod trail;

pub use compress::{LEVEL, compress};
pub use edit::{Edit, EditError, Editor};
pub use trail::{Reader, Trail};

/// How far back a match reaches at most.
pub const WINDOW: usize = 32 * 1024;

/// Longest match.
const MAX_MATCH: usize = 258;

/// Shortest match.
const MIN_MATCH: usize = 3;

/// What is round a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Nothing.
    Deflate,
    /// gzip's headers and trailers; several members are one content, and come out as one.
    Gzip,
}

/// Why bytes are no stream of deflate.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Reading them failed.
    #[error("reading the stream")]
    Read(#[source] std::io::Error),
    /// They end in the middle.
    #[error("the stream ends in the middle")]
    Truncated,
    /// A block of the type that is reserved.
    #[error("a block of a type that there is not")]
    BlockType,
    /// The length of a stored block, which is said twice, is said differently.
    #[error("a stored block whose length and its complement differ")]
    StoredLength,
    /// Code lengths that are no code: more than fit, fewer than needed, or none for the end of the block.
    #[error("the description of a block's codes is wrong")]
    Codes,
    /// A code that stands for nothing.
    #[error("a code that stands for nothing")]
    Symbol,
    /// A match from before the beginning.
    #[error("a match reaches back before the beginning")]
    Distance,
    /// What should be a header of gzip is none.
    #[error("no header of gzip, or one that asks for what there is not")]
    Header,
    /// A checksum or a length of gzip that is not the content's.
    #[error("the content is not what the checksum says")]
    Checksum,
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "content of tests is small")]
mod tests;
