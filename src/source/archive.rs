//! A tar archive on disk whose members are read by position, by several threads at once.
//!
//! Does not know which members make an image.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tar_core::parse::{self, ParseEvent, Parser};

use super::SourceError;
use crate::image::decode::{decode, peek_codec};
use crate::image::{Codec, MAX_DOCUMENT};
use crate::layer::stream::NO_END;
use crate::limits::Limits;
use crate::path::{Escaped, ImagePath};
use crate::reference::STDIO;

/// Most members of an image archive: `docker save` writes four per layer and one per blob.
const MAX_MEMBERS: usize = 100_000;

/// Bytes spooled at once.
const SPOOL_BUFFER: usize = 128 << 10;

/// Longest chain of links between members; `docker save` makes chains of one.
const MAX_LINKS: usize = 8;

/// Smallest piece that the tar parser is given; most archives have nothing longer before a member's data.
const HEADER_BUFFER: usize = 4096;

/// An archive and where its members lie.
pub(super) struct Archive {
    path: PathBuf,
    file: Arc<File>,
    members: BTreeMap<ImagePath, Member>,
}

enum Member {
    File { offset: u64, size: u64 },
    Link(ImagePath),
}

impl Archive {
    /// Opens `path` and finds its members. Spools what is compressed or cannot be read by position.
    pub(super) fn open(path: &Path, limits: &Limits) -> Result<Self, SourceError> {
        let file = if path == Path::new(STDIO) {
            spool(path, io::stdin().lock(), limits)?
        } else {
            let open_error = |source| SourceError::Open { path: path.to_owned(), source };
            let kind = fs::metadata(path).map_err(open_error)?;
            if kind.is_dir() {
                return Err(SourceError::WrongKind { path: path.to_owned(), expected: "file" });
            }
            let file = File::open(path).map_err(open_error)?;
            if kind.is_file() && read_codec(path, &file)? == Codec::Plain {
                file
            } else {
                spool(path, file, limits)?
            }
        };
        Self::of_file(path.to_owned(), file)
    }

    /// Finds the members of `file`, which `path` names in messages.
    pub(super) fn of_file(path: PathBuf, file: File) -> Result<Self, SourceError> {
        let file = Arc::new(file);
        let members = scan(&path, &file)?;
        Ok(Self { path, file, members })
    }

    /// For messages.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A member's size and bytes; links between members are followed.
    pub(super) fn open_member(&self, name: &str) -> Result<(u64, MemberReader), SourceError> {
        let missing = || SourceError::MissingMember {
            path: self.path.clone(),
            member: Escaped::new(name.as_bytes()).to_string(),
        };
        let mut wanted = ImagePath::parse(name.as_bytes()).map_err(|_| missing())?;
        for _ in 0..=MAX_LINKS {
            match self.members.get(&wanted) {
                Some(&Member::File { offset, size }) => {
                    return Ok((size, MemberReader { file: self.file.clone(), offset, left: size }));
                }
                Some(Member::Link(target)) => wanted = target.clone(),
                None => break,
            }
        }
        Err(missing())
    }

    /// A whole member that must be small.
    pub(super) fn read_document(&self, name: &str) -> Result<Vec<u8>, SourceError> {
        let (size, reader) = self.open_member(name)?;
        if size > MAX_DOCUMENT {
            return Err(SourceError::DocumentTooLarge {
                what: format!("`{}` of `{}`", Escaped::new(name.as_bytes()), self.path.display()),
            });
        }
        let mut bytes = Vec::new();
        let read = reader.take(MAX_DOCUMENT).read_to_end(&mut bytes);
        read.map_err(|source| SourceError::Read { path: self.path.clone(), source })?;
        Ok(bytes)
    }
}

/// Reads one member by position, so that no other reader is disturbed.
pub(super) struct MemberReader {
    file: Arc<File>,
    offset: u64,
    left: u64,
}

impl Read for MemberReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let want = usize::try_from(self.left).unwrap_or(usize::MAX).min(buf.len());
        let n = self.file.read_at(buf.get_mut(..want).unwrap_or_default(), self.offset)?;
        self.offset += n as u64;
        self.left -= n as u64;
        Ok(n)
    }
}

fn read_codec(path: &Path, file: &File) -> Result<Codec, SourceError> {
    let mut start = [0; Codec::MAGIC];
    let n =
        file.read_at(&mut start, 0).map_err(|source| SourceError::Read { path: path.to_owned(), source })?;
    Codec::sniff(start.get(..n).unwrap_or_default())
        .map_err(|source| SourceError::Compression { path: path.to_owned(), source })
}

/// Copies a stream, uncompressed, into a temporary file without a name. A compressed bomb must not fill the disk.
fn spool(path: &Path, stream: impl Read, limits: &Limits) -> Result<File, SourceError> {
    let read_error = |source| SourceError::Read { path: path.to_owned(), source };
    let stored = Cell::new(0);
    let (codec, stream) = peek_codec(Counted { inner: stream, bytes: &stored }).map_err(read_error)?;
    let codec = codec.map_err(|source| SourceError::Compression { path: path.to_owned(), source })?;
    let mut decoded = decode(codec, stream).map_err(read_error)?;
    let mut file = tempfile::tempfile().map_err(read_error)?;
    let mut unpacked = 0_u64;
    let mut buffer = vec![0; SPOOL_BUFFER];
    loop {
        let n = decoded.read(&mut buffer).map_err(read_error)?;
        if n == 0 {
            return Ok(file);
        }
        unpacked = unpacked.saturating_add(n as u64);
        // How long the stream is shows at its end only: what came so far must be in proportion.
        let limit = limits.unpacked(stored.get());
        if unpacked > limit.limit() {
            return Err(SourceError::Limit { path: path.to_owned(), source: limit });
        }
        file.write_all(buffer.get(..n).unwrap_or_default())
            .map_err(|source| SourceError::Spool { path: path.to_owned(), source })?;
    }
}

/// Counts bytes as they are read.
struct Counted<'a, R> {
    inner: R,
    bytes: &'a Cell<u64>,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.bytes.set(self.bytes.get().saturating_add(n as u64));
        Ok(n)
    }
}

/// Finds all members; of equal names the last one counts, as for a program that unpacks.
fn scan(path: &Path, file: &File) -> Result<BTreeMap<ImagePath, Member>, SourceError> {
    let tar_error = |source| SourceError::Tar { path: path.to_owned(), source };
    let end = file.metadata().map_err(|source| SourceError::Read { path: path.to_owned(), source })?.len();
    let mut parser = Parser::new(parse::Limits::default());
    let mut members = BTreeMap::new();
    let mut buffer = vec![0; HEADER_BUFFER];
    let mut offset = 0_u64;
    let mut want = HEADER_BUFFER;
    let mut count = 0;
    loop {
        buffer.resize(want.max(buffer.len()), 0);
        let filled = read_up_to(file, &mut buffer, offset)
            .map_err(|source| SourceError::Read { path: path.to_owned(), source })?;
        let input = buffer.get(..filled).unwrap_or_default();
        // Some writers leave out one or both blocks of zeros at the end.
        if filled <= 512 && count > 0 && input.iter().all(|&byte| byte == 0) {
            return Ok(members);
        }
        let (consumed, size) = match parser.parse(input).map_err(tar_error)? {
            ParseEvent::NeedData { min_bytes } if min_bytes > filled => {
                if filled < buffer.len() {
                    let pos = offset.saturating_add(filled as u64);
                    return Err(tar_error(parse::ParseError::UnexpectedEof { pos }));
                }
                want = min_bytes;
                continue;
            }
            // It had what it asked for, and asks for the same again: as for a layer's stream.
            ParseEvent::NeedData { .. } => {
                return Err(tar_error(parse::ParseError::InvalidPaxSparseMap(NO_END.into())));
            }
            ParseEvent::End { .. } => return Ok(members),
            ParseEvent::GlobalExtensions { consumed, .. } => (consumed, 0),
            ParseEvent::SparseEntry { consumed, entry, .. } => (consumed, padded(entry.size)),
            ParseEvent::Entry { consumed, entry } => {
                let data = offset.saturating_add(consumed as u64);
                if data.saturating_add(entry.size) > end {
                    return Err(SourceError::CutMember {
                        path: path.to_owned(),
                        member: Escaped::new(&entry.path).to_string(),
                    });
                }
                // A name that climbs out of the archive can be no image's; a name twice is the last one's.
                if let Ok(name) = ImagePath::parse(&entry.path) {
                    let target = entry.link_target.as_deref().unwrap_or_default();
                    let member = if entry.is_file() || entry.entry_type.is_contiguous() {
                        Some(Member::File { offset: data, size: entry.size })
                    } else if entry.is_hard_link() {
                        ImagePath::parse(target).ok().map(Member::Link)
                    } else if entry.is_symlink() {
                        resolve_symlink(&name, target).map(Member::Link)
                    } else {
                        None
                    };
                    if let Some(member) = member {
                        members.insert(name, member);
                    }
                }
                (consumed, padded(entry.size))
            }
        };
        count += 1;
        if count > MAX_MEMBERS {
            return Err(SourceError::TooManyMembers { path: path.to_owned(), limit: MAX_MEMBERS });
        }
        offset = offset.saturating_add(consumed as u64).saturating_add(size);
    }
}

/// Sizes come from whoever made the archive; beyond the end of every file there is nothing to read.
fn padded(size: u64) -> u64 {
    size.checked_next_multiple_of(512).unwrap_or(u64::MAX)
}

/// Where a link leads, by names only; `None` where it leads out of the archive.
fn resolve_symlink(name: &ImagePath, target: &[u8]) -> Option<ImagePath> {
    let mut at = if target.starts_with(b"/") { ImagePath::root() } else { name.parent()? };
    for component in target.split(|&byte| byte == b'/') {
        at = match component {
            b"" | b"." => at,
            b".." => at.parent()?,
            name => at.child(name),
        };
    }
    Some(at)
}

fn read_up_to(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        let n = file.read_at(rest, offset.saturating_add(filled as u64))?;
        if n == 0 {
            break;
        }
        filled += n;
    }
    Ok(filled)
}
