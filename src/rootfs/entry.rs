//! One member of a layer's tar stream, reduced to what decisions need.
//!
//! Does not hold file content, but for the few small files that pass 1 was asked to keep.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::Kept;
use crate::elf::facts::ElfFacts;
use crate::path::ImagePath;
use crate::rootfs::identity::Identity;

/// Position of an entry in an image: layer from the bottom, then member from the start of its tar.
///
/// PAX, GNU long-name and global headers are no members of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryId {
    layer: u32,
    /// Counted from 1, so that no entry at all takes no more room than one: a tree holds two for every name.
    member: NonZeroU32,
}

impl EntryId {
    /// The member `member` of the layer `layer`, both from 0.
    pub fn new(layer: u32, member: u32) -> Self {
        Self { layer, member: NonZeroU32::MIN.saturating_add(member) }
    }

    /// Layer, counted from the bottom, from 0.
    pub fn layer(self) -> u32 {
        self.layer
    }

    /// Tar member within the layer, from 0.
    pub fn member(self) -> u32 {
        self.member.get() - 1
    }
}

/// One tar member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Where it is; for a whiteout, what it hides.
    pub path: ImagePath,
    /// What it is.
    pub kind: Kind,
    /// Permission bits with setuid, setgid and sticky: `0o7777` at the most.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Modification time, seconds since 1970.
    pub mtime: u64,
    /// Extended attributes, by name; mostly none.
    pub xattrs: Option<Box<Xattrs>>,
}

/// Extended attributes: name and value, in the order of the archive.
pub type Xattrs = Vec<(Box<[u8]>, Box<[u8]>)>;

/// What a tar member is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// A regular file with its data in this member.
    File(File),
    /// A directory.
    Directory,
    /// A symbolic link; its target as written.
    Symlink(Box<[u8]>),
    /// A further name of an earlier file, of this layer or one below.
    Hardlink(ImagePath),
    /// A character device.
    CharDevice(u32, u32),
    /// A block device.
    BlockDevice(u32, u32),
    /// A named pipe.
    Fifo,
    /// `.wh.NAME`: hides `path` of the layers below.
    Whiteout,
    /// `.wh..wh..opq`: hides all below the directory `path` in the layers below.
    Opaque,
}

/// A regular file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct File {
    /// Logical size, bytes; a sparse file's holes count.
    pub size: u64,
    /// What its first bytes say it is.
    pub content: Content,
    /// The bytes, where pass 1 was asked to keep them.
    pub bytes: Option<Kept>,
    /// What it is whatever it is called: of ELF files and of scripts that may be started.
    pub identity: Option<Box<Identity>>,
}

/// What a file's content is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Content {
    /// Nothing that a kernel would start.
    #[default]
    Data,
    /// An ELF file and what it needs.
    Elf(Box<ElfFacts>),
    /// An ELF file whose needs could not be read.
    ElfUnreadable,
    /// `#!`: what follows on the first line, blanks trimmed.
    Script(Box<[u8]>),
}

impl Entry {
    /// The regular file here, if it is one.
    pub fn file(&self) -> Option<&File> {
        match &self.kind {
            Kind::File(file) => Some(file),
            _ => None,
        }
    }

    /// Whether this is a directory.
    pub fn is_directory(&self) -> bool {
        matches!(self.kind, Kind::Directory)
    }
}
