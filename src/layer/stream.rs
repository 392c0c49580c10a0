//! A tar stream, member by member, with the exact bytes of every header.
//!
//! Does not interpret paths or kinds beyond what finding the next member takes.

use std::io::{self, Read};

use tar_core::parse::{Limits, ParseError, ParseEvent, ParsedEntry, Parser};
use tar_core::{EntryType, HEADER_SIZE};

use crate::path::MAX_PATH;

/// Bytes read at once from the layer.
const READ_SIZE: usize = 128 * 1024;

/// Most bytes of headers before one member: PAX records with extended attributes are the largest part, and
/// Linux limits all attributes of a file to 64 KiB on most file systems.
const MAX_HEADER: u32 = 1024 * 1024;

/// Most bytes that the files of one layer may claim to have: 256 TiB, for a sparse file may claim what it likes (that of
/// the last logins claims some hundred GiB). With as many layers and platforms as there may be, their sum is a number.
const MAX_CLAIMED: u64 = 256 << 40;

/// The parser looks for the end of a line of a sparse map where none can be: lines have 20 digits.
pub const NO_END: &str = "line without an end";

/// Why a tar stream cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// Reading the layer failed.
    #[error("reading the layer")]
    Read(#[source] io::Error),
    /// The headers are no tar.
    #[error("member {member}: broken tar header")]
    Header {
        /// Position of the member.
        member: u32,
        /// What is wrong with it.
        #[source]
        source: ParseError,
    },
    /// The stream ends within a member.
    #[error("member {member}: the tar stream ends in the middle")]
    Truncated {
        /// Position of the member.
        member: u32,
    },
    /// Files that nothing could hold.
    #[error("member {member}: with it the files of the layer claim more than {MAX_CLAIMED} bytes")]
    Claimed {
        /// Position of the member.
        member: u32,
    },
    /// More members than positions count.
    #[error("more than {} members in one layer", u32::MAX)]
    TooMany,
    /// Global headers without an end.
    #[error("member {member}: more than {MAX_HEADER} bytes of global headers before it")]
    Globals {
        /// Position of the member.
        member: u32,
    },
}

/// Reads a tar stream from front to back.
pub struct TarStream<R> {
    inner: R,
    parser: Parser,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    eof: bool,
    /// Content and padding of the current member that was not read yet.
    content: u64,
    padding: u64,
    next_member: u32,
    /// Bytes that were passed over.
    position: u64,
    /// Whether the padding that was passed over last is all noughts.
    is_clean: bool,
    /// Bytes that all files so far claim to have.
    claimed: u64,
    /// Exact bytes of global headers met since the last member.
    globals: Vec<u8>,
}

/// One member's headers; its content follows in the stream.
pub struct Member {
    /// Position, from 0.
    pub number: u32,
    /// Exact bytes of all its headers, extensions and sparse maps included.
    pub raw: Vec<u8>,
    /// Exact bytes of the PAX global headers before it; mostly none.
    pub globals: Vec<u8>,
    /// Where the 512-byte main header begins in `raw`.
    pub main_header: usize,
    /// Kind of member.
    pub entry_type: EntryType,
    /// Name, as written.
    pub path: Vec<u8>,
    /// Target of a link, as written.
    pub link: Option<Vec<u8>>,
    /// Mode bits, as written.
    pub mode: u32,
    /// Owner.
    pub uid: u64,
    /// Group.
    pub gid: u64,
    /// Seconds since 1970.
    pub mtime: u64,
    /// Bytes of content that follow in the stream, padding aside.
    pub stored_size: u64,
    /// Size of the file; more than stored for a sparse one.
    pub size: u64,
    /// Whether it is a sparse file: the stored bytes are not the file's bytes.
    pub sparse: bool,
    /// Where the stored bytes of a sparse file belong in it: offset and length, in the order they are stored.
    pub regions: Vec<(u64, u64)>,
    /// Device numbers.
    pub device: (u32, u32),
    /// Extended attributes, name and value.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Raw PAX records, if there are any.
    pub pax: Option<Vec<u8>>,
}

impl<R: Read> TarStream<R> {
    /// Begins at the first member.
    pub fn new(inner: R) -> Self {
        Self::in_steps(inner, READ_SIZE)
    }

    /// As [`TarStream::new`], for whoever passes over content: no more than `step` bytes are read at once.
    pub fn in_steps(inner: R, step: usize) -> Self {
        let limits = Limits {
            max_metadata_size: MAX_HEADER,
            max_path_len: u32::try_from(MAX_PATH).ok(),
            ..Limits::default()
        };
        let mut parser = Parser::new(limits);
        // `./` with an empty rest is how some writers name the root.
        parser.set_allow_empty_path(true);
        Self {
            inner,
            parser,
            buffer: vec![0; step],
            start: 0,
            end: 0,
            eof: false,
            content: 0,
            padding: 0,
            next_member: 0,
            position: 0,
            is_clean: true,
            claimed: 0,
            globals: Vec::new(),
        }
    }

    /// The next member, after what is left of the current one; `None` at the end of the archive.
    pub fn next_member(&mut self) -> Result<Option<Member>, StreamError> {
        self.skip_content()?;
        loop {
            let number = self.next_member;
            let available = self.buffer.get(self.start..self.end).unwrap_or_default();
            let event = self
                .parser
                .parse(available)
                .map_err(|source| StreamError::Header { member: number, source })?;
            let (consumed, member) = match event {
                // What is there already does not help it: it would be asked for again and again.
                ParseEvent::NeedData { min_bytes } if min_bytes <= available.len() => {
                    let source = ParseError::InvalidPaxSparseMap(NO_END.into());
                    return Err(StreamError::Header { member: number, source });
                }
                ParseEvent::NeedData { min_bytes } => {
                    if !self.fill(min_bytes)? {
                        let rest = self.buffer.get(self.start..self.end).unwrap_or_default();
                        // Some writers leave the end marker out, or half of it.
                        if rest.iter().all(|&byte| byte == 0) && rest.len() < 2 * HEADER_SIZE {
                            return Ok(None);
                        }
                        return Err(StreamError::Truncated { member: number });
                    }
                    continue;
                }
                ParseEvent::End { .. } => return Ok(None),
                ParseEvent::GlobalExtensions { consumed, .. } => {
                    self.globals.extend_from_slice(available.get(..consumed).unwrap_or_default());
                    if self.globals.len() > MAX_HEADER as usize {
                        return Err(StreamError::Globals { member: number });
                    }
                    self.pass(consumed);
                    continue;
                }
                ParseEvent::Entry { consumed, entry } => {
                    (consumed, Self::member(number, available, consumed, &entry, None))
                }
                ParseEvent::SparseEntry { consumed, entry, real_size, sparse_map } => {
                    let mut member = Self::member(number, available, consumed, &entry, Some(real_size));
                    member.regions = sparse_map.iter().map(|region| (region.offset, region.length)).collect();
                    (consumed, member)
                }
            };
            let mut member = member;
            self.claimed = self.claimed.saturating_add(member.size.max(member.stored_size));
            if self.claimed > MAX_CLAIMED {
                return Err(StreamError::Claimed { member: number });
            }
            member.globals = std::mem::take(&mut self.globals);
            self.pass(consumed);
            self.content = member.stored_size;
            self.padding = member.stored_size.next_multiple_of(HEADER_SIZE as u64) - member.stored_size;
            self.next_member = number.checked_add(1).ok_or(StreamError::TooMany)?;
            return Ok(Some(member));
        }
    }

    fn member(
        number: u32,
        available: &[u8],
        consumed: usize,
        entry: &ParsedEntry<'_>,
        real: Option<u64>,
    ) -> Member {
        let header = entry.header.as_bytes().as_ptr().addr();
        // Only regular files have content, whatever a link's or directory's size field says (Go's
        // archive/tar and GNU tar agree).
        let has_content = !(entry.entry_type.is_hard_link()
            || entry.entry_type.is_symlink()
            || entry.entry_type.is_dir()
            || entry.entry_type.is_character_special()
            || entry.entry_type.is_block_special()
            || entry.entry_type.is_fifo());
        let stored_size = if has_content { entry.size } else { 0 };
        Member {
            number,
            raw: available.get(..consumed).unwrap_or_default().to_vec(),
            globals: Vec::new(),
            main_header: header.saturating_sub(available.as_ptr().addr()),
            entry_type: entry.entry_type,
            path: entry.path.to_vec(),
            link: entry.link_target.as_ref().map(|target| target.to_vec()),
            mode: entry.mode,
            uid: entry.uid,
            gid: entry.gid,
            mtime: entry.mtime,
            stored_size,
            size: real.unwrap_or(stored_size),
            sparse: real.is_some(),
            regions: Vec::new(),
            device: (entry.dev_major.unwrap_or(0), entry.dev_minor.unwrap_or(0)),
            xattrs: entry.xattrs.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect(),
            pax: entry.pax.map(<[u8]>::to_vec),
        }
    }

    /// The next piece of the current member's content; empty at its end. Padding is not part of it.
    pub fn content(&mut self) -> Result<&[u8], StreamError> {
        if self.content == 0 {
            return Ok(&[]);
        }
        if self.start == self.end && !self.fill(1)? {
            return Err(StreamError::Truncated { member: self.next_member.saturating_sub(1) });
        }
        let available = self.end - self.start;
        let take = usize::try_from(self.content).map_or(available, |content| content.min(available));
        let start = self.start;
        self.pass(take);
        self.content -= take as u64;
        Ok(self.buffer.get(start..start + take).unwrap_or_default())
    }

    /// Passes over bytes that are there.
    fn pass(&mut self, bytes: usize) {
        self.start += bytes;
        self.position += bytes as u64;
    }

    /// How many bytes of the stream were passed over.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Whether the padding that was passed over last is all noughts.
    pub fn is_padding_clean(&self) -> bool {
        self.is_clean
    }

    /// What it reads from.
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.inner
    }

    /// The same, at the end.
    pub fn into_inner(self) -> R {
        self.inner
    }

    /// Makes the next piece of content hold `bytes` or all that is left, wherever reads of the layer end.
    pub fn gather_content(&mut self, bytes: usize) -> Result<(), StreamError> {
        let wanted = usize::try_from(self.content).map_or(bytes, |content| content.min(bytes));
        if self.fill(wanted)? {
            return Ok(());
        }
        Err(StreamError::Truncated { member: self.next_member.saturating_sub(1) })
    }

    /// Passes over what is left of the member's content, without reading it: `skip` passes over so many bytes of what it reads from,
    /// and says whether they are there.
    pub fn pass_content(
        &mut self,
        skip: impl FnOnce(&mut R, u64) -> io::Result<bool>,
    ) -> Result<(), StreamError> {
        let there = (self.end - self.start) as u64;
        if self.content <= there {
            return Ok(());
        }
        let beyond = self.content - there;
        self.pass(self.end - self.start);
        if !skip(&mut self.inner, beyond).map_err(StreamError::Read)? {
            return Err(StreamError::Truncated { member: self.next_member.saturating_sub(1) });
        }
        self.position += beyond;
        self.content = 0;
        Ok(())
    }

    fn skip_content(&mut self) -> Result<(), StreamError> {
        while !self.content()?.is_empty() {}
        self.content = std::mem::take(&mut self.padding);
        self.is_clean = true;
        loop {
            let padding = self.content()?;
            if padding.is_empty() {
                return Ok(());
            }
            let is_clean = padding.iter().all(|&byte| byte == 0);
            self.is_clean &= is_clean;
        }
    }

    /// Makes at least `wanted` bytes available; false where the stream ends before.
    fn fill(&mut self, wanted: usize) -> Result<bool, StreamError> {
        while self.end - self.start < wanted {
            if self.eof {
                return Ok(false);
            }
            if self.start > 0 {
                self.buffer.copy_within(self.start..self.end, 0);
                self.end -= self.start;
                self.start = 0;
            }
            if self.buffer.len() < wanted {
                // Bounded: the parser asks for no more than its limits allow.
                self.buffer.resize(wanted, 0);
            }
            let free = self.buffer.get_mut(self.end..).unwrap_or_default();
            match self.inner.read(free) {
                Ok(0) => self.eof = true,
                Ok(n) => self.end += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(StreamError::Read(error)),
            }
        }
        Ok(true)
    }
}
