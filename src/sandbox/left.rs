//! Files and links that a container wrote and that are there: values between the keeper and kiln.
//!
//! Does not know who wrote them, nor what is in files.

use serde::{Deserialize, Serialize};

use super::wire::Bytes;

/// A regular file or symbolic link above the image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// Without a leading `/`.
    pub path: Bytes,
    /// Permission bits, set-id and sticky included.
    pub mode: u32,
    /// Owner, of the container's.
    pub uid: u32,
    /// Group, of the container's.
    pub gid: u32,
    /// What changes when anything of it does.
    pub stamp: Stamp,
    /// Where it leads, if it is a link.
    pub target: Option<Bytes>,
}

/// What the kernel changes whenever a file is written, given away or replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Number of its inode.
    pub inode: u64,
    /// Bytes.
    pub size: u64,
    /// When its bytes were last changed: seconds and nanoseconds.
    pub modified: (i64, u64),
    /// When anything of it was.
    pub changed: (i64, u64),
}
