//! What an intruder in a container tries, and what came of it: values.
//!
//! Judges nothing: which of it is a hole is for who asked.

use serde::{Deserialize, Serialize};

use super::wire::Bytes;

/// What is to be tried besides what is tried everywhere.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Attack {
    /// Where the app may write, absolute. Nothing below is looked at or touched, but for one file of the attacker's own.
    pub mounts: Vec<Bytes>,
    /// Mounts that the app may only read, absolute: as the image's own.
    pub read_only: Vec<Bytes>,
    /// Programs to execute whatever they are called, absolute.
    pub programs: Vec<Bytes>,
}

/// Something that was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Act {
    /// To make a file in a directory.
    Create,
    /// To open a file for writing.
    Write,
    /// To set the mode of a file or directory.
    Mode,
    /// To execute a program.
    Execute,
}

/// Something that was tried and not refused.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Hole {
    /// Absolute.
    pub path: Bytes,
    /// What.
    pub act: Act,
}

/// How often something was tried, and how often it was not refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Count {
    /// Tried.
    pub tried: u64,
    /// Not refused.
    pub done: u64,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Attacked {
    /// Making files in directories of the image.
    pub create: Count,
    /// Opening files of the image for writing.
    pub write: Count,
    /// Setting modes in the image.
    pub mode: Count,
    /// Executing programs.
    pub execute: Count,
    /// What of these was not refused, the first of each kind, sorted.
    pub holes: Vec<Hole>,
    /// Directories of the image that the user may not look into; what is in them is out of its reach.
    pub closed: u64,
    /// Where the app may write, and whether a file could be made there; `None` where it could not be reached.
    pub mounts: Vec<(Bytes, Option<bool>)>,
    /// What can be written in every container, as runtimes set it up: directories, files and devices, sorted.
    pub common: Vec<Bytes>,
    /// What was made and could not be removed again.
    pub left: Vec<Bytes>,
    /// What it did not get to the end of.
    pub cut: Vec<Cut>,
}

/// Why an attack is not whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Cut {
    /// There is more in the image than is looked at.
    Entries,
    /// A path is too deep to be named.
    Depth,
    /// So much could be written already that no more was tried.
    Enough,
    /// More programs than are executed.
    Programs,
    /// Programs that did not start, and nothing says that they cannot.
    NotTried,
    /// Directories that the user may pass through and not list: what is in them can be reached by name.
    Hidden,
    /// Files or directories that could not be looked at.
    Unread,
}

impl Attacked {
    /// The count of `act`.
    pub fn count(&mut self, act: Act) -> &mut Count {
        match act {
            Act::Create => &mut self.create,
            Act::Write => &mut self.write,
            Act::Mode => &mut self.mode,
            Act::Execute => &mut self.execute,
        }
    }
}
