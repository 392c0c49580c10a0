//! What kiln and its stages say to each other.
//!
//! Values only; how they travel is in `wire`.

use std::{fmt, io};

use serde::{Deserialize, Serialize};

use super::attack::{Attack, Attacked};
use super::left::Left;
use super::settings::{Limits, Mount, Settings};
use super::wire::Bytes;
use crate::path::Escaped;

/// From kiln.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// To the outer stage: the first words; who is called by hand does not hear them.
    Hello,
    /// The ids are there; root of the container is this user and group.
    Mapped(Credentials),
    /// To the server: a tree follows.
    Tree(IdNumber),
    /// A directory, its parent first.
    Directory(Bytes, Meta),
    /// A regular file; pieces of its stored content follow.
    File(Bytes, Meta, Content),
    /// A further name of a file.
    Hardlink {
        /// The name.
        path: Bytes,
        /// The first one.
        target: Bytes,
    },
    /// A symbolic link.
    Symlink {
        /// Where.
        path: Bytes,
        /// What it says.
        target: Bytes,
        /// Whose.
        meta: Meta,
    },
    /// A named pipe.
    Fifo(Bytes, Meta),
    /// The tree is whole.
    TreeEnd,
    /// To the server: empty directories that containers share, by number, instead of those before.
    Volumes(Vec<Mount>, Limits, IdNumber),
    /// To the server: starts a keeper, which reads on.
    Keep,
    /// To the keeper: prepares this.
    Prepare(Box<Settings>, IdNumber),
    /// To the keeper: lets it run.
    Go,
    /// To the keeper: what was written so far?
    Changes,
    /// To the keeper: which files and links that were written are there?
    Left,
    /// To the keeper: the bytes of a file as the container has it, up to a limit.
    Read(Bytes, u64),
    /// To the keeper: is there something at this path of a shared volume?
    InVolume(usize, Bytes),
    /// To the keeper: end.
    End,
    /// To a joining stage: the container of this process.
    Join(u32, Credentials, Errand),
    /// To the attack stage: what it tries besides.
    Attack(Attack),
    /// To the attempt stage: a program, absolute.
    Execute(Bytes),
}

/// What to do in a running container.
#[derive(Debug, Serialize, Deserialize)]
pub enum Errand {
    /// Carry bytes to and from a TCP port.
    Connect(u16),
    /// Run a command.
    Command(Box<Settings>),
    /// Try what an intruder would who is the app.
    Attack(Box<Settings>, Attack),
}

/// To kiln.
#[derive(Debug, Serialize, Deserialize)]
pub enum Reply {
    /// The outer stage has its user namespace.
    Unshared {
        /// Its process, for kiln.
        pid: u32,
    },
    /// The tree is there; what of the image is not.
    Unpacked(Vec<LeftOut>),
    /// The volumes are there.
    Mounted,
    /// All is set up but the filter and the program.
    Ready {
        /// The app's process, for kiln.
        pid: u32,
        /// Made so that something could be mounted, paths without a leading `/`.
        made: Vec<Bytes>,
    },
    /// The program runs, the port is connected.
    Executed,
    /// The program could not be started.
    NotExecuted(NotExecuted),
    /// The program has ended.
    Ended(End),
    /// What was written.
    Changes(Vec<Change>),
    /// What was written and is there.
    Left(Vec<Left>),
    /// A file's bytes.
    Content(Bytes),
    /// It cannot be read.
    NoContent(i32),
    /// Whether something is in a volume.
    InVolume(bool),
    /// What came of an attack.
    Attacked(Box<Attacked>),
    /// The keeper is done with its container.
    Closed,
    /// The stage gives up.
    Failed(Failed),
}

/// Who root of the container is outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// How many ids there are.
    pub ids: IdNumber,
    /// User of the stages: 0, or the only one.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// Whether there is more than one id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum IdNumber {
    /// There is.
    Many,
    /// There is not.
    One,
}

/// What a file system keeps about a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// Permission bits, set-id and sticky included.
    pub mode: u32,
    /// Owner, of the container's.
    pub uid: u32,
    /// Group, of the container's.
    pub gid: u32,
    /// Seconds since 1970.
    pub mtime: u64,
    /// Extended attributes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub xattrs: Vec<(Bytes, Bytes)>,
}

/// How a file's content follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// The file's size.
    pub size: u64,
    /// Where the stored bytes belong, offset and length; `None`: one after the other from 0.
    pub map: Option<Vec<(u64, u64)>>,
}

/// Something of the image that is not in the container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LeftOut {
    /// Without a leading `/`.
    pub path: Bytes,
    /// Why.
    pub why: WhyLeftOut,
}

/// Why something of the image is not in the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhyLeftOut {
    /// A device: nobody in a user namespace may make one.
    Device,
    /// Its owner is beyond the container's ids; it is root's there.
    Owner,
    /// An extended attribute that may not be set.
    Attribute,
}

/// A path that the container wrote.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Change {
    /// Without a leading `/`.
    pub path: Bytes,
    /// What became of it.
    pub kind: ChangeKind,
}

/// What became of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// The image does not have it.
    Created,
    /// Other content, mode or owner.
    Changed,
    /// It was the image's.
    Deleted,
}

/// How a container ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// It ended itself.
    Exited(u8),
    /// A signal ended it.
    Signaled(i32),
    /// It used more than it may.
    Limit(LimitKind),
}

/// What there was too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LimitKind {
    /// Memory of its processes.
    Memory,
    /// Processes and threads.
    Processes,
    /// Files it wrote.
    Disk,
    /// Seconds.
    Time,
}

impl LimitKind {
    /// What there was too much of.
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Processes => "processes",
            Self::Disk => "disk",
            Self::Time => "time",
        }
    }
}

/// Why a program could not be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum NotExecuted {
    /// There is none of that name.
    NotFound,
    /// The kernel refuses it: an error number.
    Refused(i32),
}

/// A step that a stage could not do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// Which.
    pub step: Step,
    /// With what: a path, a name.
    pub with: String,
    /// Error number; 0 where the kernel gave none.
    pub errno: i32,
}

/// What a stage does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Step {
    /// Talks to kiln.
    #[error("talking to a stage of the sandbox")]
    Talk,
    /// Leaves the terminal.
    #[error("starting a session")]
    Session,
    /// Makes the user namespace.
    #[error("making a user namespace")]
    UserNamespace,
    /// Makes the others.
    #[error("making namespaces")]
    Namespaces,
    /// Becomes the container's root.
    #[error("taking on the container's ids")]
    Credentials,
    /// Writes a file of the image.
    #[error("unpacking")]
    Unpack,
    /// Starts the next stage.
    #[error("starting a stage of the sandbox")]
    Spawn,
    /// Mounts.
    #[error("mounting")]
    Mount,
    /// Makes something to mount on.
    #[error("making a mount point")]
    MountPoint,
    /// Brings up the network.
    #[error("bringing up the loopback interface")]
    Loopback,
    /// Sets the name.
    #[error("setting the host name")]
    HostName,
    /// Sets a kernel parameter.
    #[error("setting the kernel parameter")]
    Sysctl,
    /// Makes the image the root.
    #[error("changing the root")]
    PivotRoot,
    /// Limits resources.
    #[error("limiting")]
    Limit,
    /// Drops what the app must not have.
    #[error("dropping privileges")]
    Confine,
    /// Compiles or installs the filter.
    #[error("filtering system calls")]
    Filter,
    /// Looks at what was written.
    #[error("listing what was written")]
    Changes,
    /// Joins a running container.
    #[error("joining the container")]
    Join,
    /// Tries what an intruder would.
    #[error("attacking the container")]
    Attack,
    /// Connects to a port of the container.
    #[error("connecting to the port")]
    Connect,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.step)?;
        if !self.with.is_empty() {
            write!(f, " `{}`", Escaped::new(self.with.as_bytes()))?;
        }
        if self.errno != 0 {
            write!(f, ": {}", io::Error::from_raw_os_error(self.errno))?;
        }
        Ok(())
    }
}

impl std::error::Error for Failed {}

impl Failed {
    /// `step` went wrong.
    pub fn new(step: Step, with: impl Into<String>, error: &io::Error) -> Self {
        Self { step, with: with.into(), errno: error.raw_os_error().unwrap_or(0) }
    }
}
