//! Pass 1: a layer's tar stream to its index.
//!
//! Keeps the bytes of the few files that were asked for and of shell scripts; decides nothing.

use std::io::Read;

use super::stream::{Member, StreamError, TarStream};
use crate::catalog::MarkReader;
use crate::elf;
use crate::elf::facts::{ElfFacts, FactsReader, ObjectKind, Outcome};
use crate::limits::{LimitError, Meter};
use crate::path::{Escaped, ImagePath, PathError};
use crate::rootfs::identity::{FingerprintReader, Identity};
use crate::rootfs::{Content, Entry, File, Kept, Kind, LayerIndex};

/// Why a layer has no index.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// No tar stream.
    #[error(transparent)]
    Stream(StreamError),
    /// A member's name is no path in an image.
    #[error("member {member}: bad name")]
    Path {
        /// Position of the member.
        member: u32,
        /// What is wrong with it.
        #[source]
        source: PathError,
    },
    /// A file or a link in the place of the root directory: no runtime unpacks it, and all else would be below it.
    #[error("member {member}: the root directory is no directory")]
    Root {
        /// Position of the member.
        member: u32,
    },
    /// A member is of a kind that no container runtime unpacks.
    #[error("member {member} `{path}`: unknown tar entry type `{kind}`")]
    Kind {
        /// Position of the member.
        member: u32,
        /// Its name.
        path: Escaped,
        /// The type byte.
        kind: Escaped,
    },
    /// More than the user allows.
    #[error("{0}")]
    Limit(#[source] LimitError),
    /// An owner that is no 32-bit number.
    #[error("member {member} `{path}`: owner {uid}:{gid} is out of range")]
    Owner {
        /// Position of the member.
        member: u32,
        /// Its name.
        path: Escaped,
        /// User.
        uid: u64,
        /// Group.
        gid: u64,
    },
}

/// Which files' bytes are kept: the most bytes to keep of the file at a path, `None` for none.
pub type Wanted<'a> = &'a (dyn Fn(&ImagePath) -> Option<u64> + Sync);

/// Longest shell script whose text is kept: entrypoint scripts are a few KiB; what is longer is a program.
const MAX_SCRIPT: u64 = 64 * 1024;

/// Most bytes kept of one layer: ten times what the package database of a 2 GB image takes.
const MAX_KEPT: u64 = 64 * 1024 * 1024;

/// Bytes looked at to tell what a file is: Linux looks at as many for `#!`.
const HEAD: usize = 256;

/// Reads a layer's uncompressed tar stream to its end marker, within the limits of an image of its own.
pub fn read_index(reader: impl Read, wanted: Wanted<'_>) -> Result<LayerIndex, IndexError> {
    read_index_within(reader, wanted, &Meter::default())
}

/// As [`read_index`]; entries count on the meter of the whole image.
pub fn read_index_within(
    reader: impl Read,
    wanted: Wanted<'_>,
    meter: &Meter,
) -> Result<LayerIndex, IndexError> {
    let mut stream = TarStream::new(reader);
    let mut index = LayerIndex::default();
    let mut budget = MAX_KEPT;
    while let Some(member) = stream.next_member().map_err(IndexError::Stream)? {
        let path = ImagePath::parse(&member.path)
            .map_err(|source| IndexError::Path { member: member.number, source })?;
        let (path, kind) = if let Some(pair) = whiteout(&path) {
            pair
        } else {
            let kind = kind(&mut stream, &member, &path, wanted, &mut budget)?;
            (path, kind)
        };
        if path.is_root() && !matches!(kind, Kind::Directory | Kind::Opaque) {
            return Err(IndexError::Root { member: member.number });
        }
        let entry = entry(&member, path, kind)?;
        meter.count_entry(held(&entry)).map_err(IndexError::Limit)?;
        index.entries.push(entry);
    }
    index.entries.shrink_to_fit();
    Ok(index)
}

/// Counts an index that was made before, of a stream of `unpacked` bytes, as reading it would have.
pub fn count_index(index: &LayerIndex, unpacked: u64, meter: &Meter) -> Result<(), IndexError> {
    let counted = index.entries.iter().try_for_each(|entry| meter.count_entry(held(entry)));
    counted.and_then(|()| meter.count_bytes(unpacked)).map_err(IndexError::Limit)
}

fn entry(member: &Member, path: ImagePath, kind: Kind) -> Result<Entry, IndexError> {
    let (Ok(uid), Ok(gid)) = (u32::try_from(member.uid), u32::try_from(member.gid)) else {
        let path = Escaped::new(path.as_bytes());
        return Err(IndexError::Owner { member: member.number, path, uid: member.uid, gid: member.gid });
    };
    let xattrs: Vec<_> =
        member.xattrs.iter().map(|(name, value)| (Box::from(&**name), Box::from(&**value))).collect();
    Ok(Entry {
        path,
        kind,
        mode: u16::try_from(member.mode & 0o7777).unwrap_or(0),
        uid,
        gid,
        mtime: member.mtime,
        xattrs: (!xattrs.is_empty()).then(|| Box::new(xattrs)),
    })
}

/// Bytes that are remembered of an entry beyond its fixed part.
fn held(entry: &Entry) -> u64 {
    let attributes = entry.xattrs.iter().flat_map(|list| list.iter());
    let attributes: usize = attributes.map(|(name, value)| name.len() + value.len()).sum();
    let kind = match &entry.kind {
        Kind::Symlink(target) => target.len(),
        Kind::Hardlink(target) => target.as_bytes().len(),
        Kind::File(file) => {
            let content = match &file.content {
                Content::Elf(facts) => facts.held(),
                Content::Script(line) => line.len(),
                Content::Data | Content::ElfUnreadable => 0,
            };
            // Packed while nobody reads it, but read it is.
            content + file.bytes.as_ref().map_or(0, |_| usize::try_from(file.size).unwrap_or(usize::MAX))
        }
        _ => 0,
    };
    (entry.path.as_bytes().len() + attributes + kind) as u64
}

/// What a whiteout's name says: OCI image spec, layer.md, "Whiteouts".
fn whiteout(path: &ImagePath) -> Option<(ImagePath, Kind)> {
    let hidden = path.name().strip_prefix(b".wh.")?;
    let parent = path.parent()?;
    match hidden {
        b".wh..opq" => Some((parent, Kind::Opaque)),
        // AUFS' own bookkeeping, and a name that hides nothing: no runtime unpacks them.
        [] => Some((path.clone(), Kind::Whiteout)),
        hidden if hidden.starts_with(b".wh.") => Some((path.clone(), Kind::Whiteout)),
        hidden => Some((parent.child(hidden), Kind::Whiteout)),
    }
}

fn kind<R: Read>(
    stream: &mut TarStream<R>,
    member: &Member,
    path: &ImagePath,
    wanted: Wanted<'_>,
    budget: &mut u64,
) -> Result<Kind, IndexError> {
    let kind = member.entry_type;
    let link = || member.link.clone().unwrap_or_default();
    Ok(if kind.is_dir() {
        Kind::Directory
    } else if kind.is_symlink() {
        Kind::Symlink(link().into())
    } else if kind.is_hard_link() {
        let target =
            ImagePath::parse(&link()).map_err(|source| IndexError::Path { member: member.number, source })?;
        Kind::Hardlink(target)
    } else if kind.is_character_special() {
        Kind::CharDevice(member.device.0, member.device.1)
    } else if kind.is_block_special() {
        Kind::BlockDevice(member.device.0, member.device.1)
    } else if kind.is_fifo() {
        Kind::Fifo
    } else if kind.is_file() || kind.is_contiguous() || kind.is_gnu_sparse() {
        // Old archives mark directories by a slash at the end of a regular file's name.
        if member.path.ends_with(b"/") && member.size == 0 {
            Kind::Directory
        } else {
            Kind::File(file(stream, member, path, wanted, budget)?)
        }
    } else {
        return Err(IndexError::Kind {
            member: member.number,
            path: Escaped::new(path.as_bytes()),
            kind: Escaped::new(&[kind.to_byte()]),
        });
    })
}

fn file<R: Read>(
    stream: &mut TarStream<R>,
    member: &Member,
    path: &ImagePath,
    wanted: Wanted<'_>,
    budget: &mut u64,
) -> Result<File, IndexError> {
    let mut limit = wanted(path).filter(|&limit| member.size <= limit.min(*budget)).map(|_| member.size);
    let mut kept = Vec::new();
    let mut facts: Option<FactsReader> = None;
    let mut identity: Option<IdentityReader> = None;
    let mut content = Content::Data;
    let mut first = true;
    stream.gather_content(HEAD).map_err(IndexError::Stream)?;
    loop {
        let piece = stream.content().map_err(IndexError::Stream)?;
        if piece.is_empty() {
            break;
        }
        if first {
            first = false;
            if member.sparse {
                // Stored bytes are not the file's: only what begins it can be told.
                if piece.starts_with(b"\x7fELF") {
                    content = Content::ElfUnreadable;
                }
                limit = None;
            } else if piece.starts_with(b"\x7fELF") {
                facts = Some(FactsReader::new(member.size));
                identity = Some(IdentityReader::new(elf::facts::may_start(piece)));
            } else if let Some(line) = shebang(piece) {
                if is_shell(&line) && member.size <= MAX_SCRIPT.min(*budget) {
                    limit = Some(member.size);
                }
                content = Content::Script(line);
                identity = (member.mode & 0o111 != 0).then(|| IdentityReader::new(false));
            }
        }
        if limit.is_some() {
            kept.extend_from_slice(piece);
        }
        if let Some(facts) = &mut facts {
            facts.push(piece);
        }
        if let Some(identity) = &mut identity {
            identity.push(piece);
        }
        if limit.is_none() && facts.is_none() && identity.is_none() {
            break;
        }
    }
    if let Some(facts) = facts {
        content = match facts.finish() {
            Outcome::Elf(facts) => Content::Elf(facts),
            Outcome::NotElf => Content::Data,
            Outcome::Unreadable => Content::ElfUnreadable,
        };
    }
    let bytes = limit.map(|_| Kept::new(&kept));
    *budget = budget.saturating_sub(limit.unwrap_or(0));
    let identity = identity.map(|identity| Box::new(identity.finish(&content)));
    Ok(File { size: member.size, content, bytes, identity })
}

/// Takes a file's fingerprint, and looks for a tool's marks where it may be a program.
struct IdentityReader {
    fingerprint: FingerprintReader,
    marks: Option<MarkReader>,
}

impl IdentityReader {
    fn new(may_start: bool) -> Self {
        Self { fingerprint: FingerprintReader::new(), marks: may_start.then(MarkReader::new) }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.fingerprint.push(bytes);
        if let Some(marks) = &mut self.marks {
            marks.push(bytes);
        }
    }

    fn finish(self, content: &Content) -> Identity {
        let is_program = match content {
            Content::Elf(facts) => is_program(facts),
            // Whatever its tables say, the kernel may start it.
            Content::ElfUnreadable => true,
            Content::Script(_) | Content::Data => false,
        };
        let tool = self.marks.filter(|_| is_program).and_then(MarkReader::finish);
        Identity { fingerprint: self.fingerprint.finish(), tool: tool.map(|tool| tool.name.clone()) }
    }
}

/// A library holds what the programs around it are made of, and starts nothing.
fn is_program(facts: &ElfFacts) -> bool {
    facts.kind == ObjectKind::Executable
        || facts.interpreter.is_some()
        || (facts.is_static() && facts.soname.is_none())
}

/// The rest of a `#!` line, blanks trimmed.
fn shebang(head: &[u8]) -> Option<Box<[u8]>> {
    let line = head.get(..HEAD.min(head.len()))?.strip_prefix(b"#!")?;
    Some(line.split(|&byte| byte == b'\n').next()?.trim_ascii().into())
}

fn is_shell(line: &[u8]) -> bool {
    line.split(u8::is_ascii_whitespace).filter_map(|word| word.rsplit(|&byte| byte == b'/').next()).any(
        |name| {
            matches!(
                name,
                b"sh"
                    | b"bash"
                    | b"dash"
                    | b"ash"
                    | b"ksh"
                    | b"zsh"
                    | b"mksh"
                    | b"busybox"
                    | b"execlineb"
                    | b"with-contenv"
            )
        },
    )
}
