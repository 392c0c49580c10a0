//! What a watcher tells, one happening at a time.
//!
//! Plain values: processes by number in order of arrival, paths of the image. Does not know how they were learnt.

use super::types::{Bind, End, How, Phase};
use crate::path::{Escaped, ImagePath};

/// Something that a process of the image did.
#[derive(Debug, Clone)]
pub struct Event {
    /// Which process; its [`Act::Born`] comes first.
    pub process: u32,
    /// When.
    pub phase: Phase,
    /// What.
    pub act: Act,
}

/// What a process did.
#[derive(Debug, Clone)]
pub enum Act {
    /// It began.
    Born {
        /// Who started it; `None` for the first.
        parent: Option<u32>,
    },
    /// It got a second thread: from here on the order of what it does says nothing.
    Threaded,
    /// It became another program.
    Exec(Box<Program>),
    /// It opened something for reading.
    Opened(ImagePath),
    /// It mapped a file as code.
    Mapped(ImagePath),
    /// It is about to tell of something that it made new, and that only its own user may use.
    MadePrivate(ImagePath),
    /// It wrote.
    Wrote(ImagePath, How),
    /// It listens.
    Listens(Bind),
    /// A call failed for a reason that may matter.
    Failed {
        /// The system call.
        call: &'static str,
        /// Path or address.
        subject: Escaped,
        /// Linux' error number.
        errno: i32,
    },
    /// It looked for a program or library of this path, and there is none: it matters only if none is found elsewhere.
    Missed {
        /// The system call.
        call: &'static str,
        /// What it looked for.
        path: ImagePath,
    },
    /// It found something of this name that it may have missed before.
    Found(Vec<u8>),
    /// It looked whether something is there, and nothing was.
    Searched,
    /// It ended.
    Ended(End),
}

/// A program that a process became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// What was asked for, links not followed.
    pub path: ImagePath,
    /// The same, links followed.
    pub file: ImagePath,
    /// What the kernel ran, where that is another file.
    pub interpreter: Option<ImagePath>,
    /// Words.
    pub argv: Vec<Vec<u8>>,
    /// `NAME=VALUE`, in order.
    pub env: Vec<Vec<u8>>,
    /// Working directory.
    pub cwd: ImagePath,
    /// Effective user.
    pub uid: u32,
    /// Effective group.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// Mode bits that new files do not get.
    pub umask: u32,
}
