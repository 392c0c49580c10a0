//! The profile's fields, in the order they are written.
//!
//! Shapes only; how they come from events is `builder`'s. Paths and words are escaped text.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::prepared::Prepared;

/// What the runs of an image showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// `application/vnd.kiln.profile.v1+json`.
    pub media_type: String,
    /// Version of this shape.
    pub schema_version: u32,
    /// The kiln that wrote it.
    pub kiln_version: String,
    /// What ran.
    pub image: Image,
    /// How it was started.
    pub start: Start,
    /// How many runs are in it.
    #[schemars(range(min = 1))]
    pub runs: u32,
    /// What ran, a process before those that it started.
    pub processes: Vec<Process>,
    /// Files that were executed, links followed, by path.
    pub executed: Vec<FileUse>,
    /// Files and directories that were opened for reading, links followed, by path.
    pub opened: Vec<FileUse>,
    /// Files that were mapped as code: libraries, loaders, plugins, by path.
    pub mapped: Vec<FileUse>,
    /// What was created, written, renamed, removed or changed, by path.
    pub written: Vec<Written>,
    /// Files and links that programs left behind which were gone when it was ready, by path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prepared: Vec<Prepared>,
    /// How the image makes by itself, before its app starts, what only its script makes; where that was tried and holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preparing: Option<Preparing>,
    /// Where it listened.
    pub sockets: Vec<Socket>,
    /// Calls that failed, but for those that only look whether something is there.
    pub failures: Vec<Failure>,
    /// How the first process ended.
    pub endings: Vec<Ending>,
    /// Names of all system calls that were made, sorted; only where that was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub syscalls: Vec<String>,
    /// Paths of this document whose last part is another in each run: `XXXXXX` stands for characters of chance in it.
    pub chance: Vec<String>,
    /// Lists of this document that are not whole, because they grew beyond kiln's limits.
    pub cut: Vec<String>,
    /// What two runs of one image need not have in common, one for each run; left out by `--no-times`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub observed: Vec<Observed>,
}

/// A command of the source image that ended by itself under the settings of the app's pod, before the app started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Preparing {
    /// Entrypoint and command.
    pub argv: Vec<String>,
    /// What it left of what the app needs, by path.
    pub made: Vec<String>,
}

/// What ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// OCI `ChainID` of all its layers, the same in every encoding.
    pub chain_id: String,
    /// Digest of its config.
    pub config: String,
    /// `OS/ARCH[/VARIANT]`.
    pub platform: String,
}

/// How it was started: by its config, and by what the user gave besides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// Entrypoint and command.
    pub argv: Vec<String>,
    /// Working directory.
    pub cwd: String,
    /// The config's user; empty is root.
    pub user: String,
    /// `NAME=VALUE` that the user gave.
    pub env: Vec<String>,
    /// Mounts that the user gave.
    pub mounts: Vec<String>,
    /// URLs and scripts that drove it.
    pub exercises: Vec<String>,
}

/// A process, or several that one process started alike: same programs, same words, same user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Process {
    /// Who started it: a place in this list, and after how many of its `execs`. The first has none.
    pub parent: Option<(u32, u32)>,
    /// Programs that it became, in order; none where it stayed what its parent was.
    pub execs: Vec<Exec>,
    /// Whether one of them was still there when it was ready.
    pub lasted: bool,
    /// Whether one of them was ended by a stop signal that it did not catch; as the first process it would not have been.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub uncaught: bool,
    /// In how many runs at least one of them was.
    pub runs: u32,
}

/// A program that a process became, as it was when it did.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exec {
    /// What was asked for, absolute, links not followed.
    pub path: String,
    /// The same, links followed.
    pub file: String,
    /// What the kernel ran where `file` is a script.
    pub interpreter: Option<String>,
    /// Words, the first as given.
    pub argv: Vec<String>,
    /// Environment, by name.
    pub env: Vec<EnvVar>,
    /// Working directory.
    pub cwd: String,
    /// Effective user.
    pub uid: u32,
    /// Effective group.
    pub gid: u32,
    /// Supplementary groups, sorted.
    pub groups: Vec<u32>,
    /// Mode bits that new files do not get.
    #[schemars(regex(pattern = "^0[0-7]{3}$"))]
    pub umask: String,
}

/// A variable of an environment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnvVar {
    /// Its name.
    pub name: String,
    /// Its values, sorted: several where processes alike, or runs, differ.
    pub values: Vec<String>,
    /// Whether it was always set.
    pub always: bool,
}

/// When something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Before it was ready.
    StartUp,
    /// While it served.
    Steady,
    /// After it was asked to stop.
    Shutdown,
}

/// Who did something, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Actor {
    /// A place in `processes`.
    pub process: u32,
    /// After how many of its `execs`.
    pub exec: u32,
    /// When.
    pub phase: Phase,
}

/// A file that was used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileUse {
    /// Which.
    pub path: String,
    /// By whom.
    pub by: Vec<Actor>,
    /// In how many runs.
    pub runs: u32,
}

/// What happened to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// A file was made.
    Created,
    /// A directory was made.
    Directory,
    /// A symbolic or hard link was made.
    Linked,
    /// A socket was bound there.
    Socket,
    /// A node that is no regular file was made: a named pipe, a device.
    Node,
    /// A file without a name was made in this directory.
    Unnamed,
    /// Opened for writing.
    Opened,
    /// Cut or extended.
    Truncated,
    /// Something else was renamed to this.
    RenamedHere,
    /// It was renamed to something else.
    RenamedAway,
    /// Removed.
    Removed,
    /// Its mode was set.
    Mode,
    /// Its owner was set.
    Owner,
    /// Its times were set.
    Times,
    /// Its extended attributes were set.
    Attributes,
}

/// A path that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Written {
    /// Which.
    pub path: String,
    /// In what ways, sorted.
    #[schemars(length(min = 1))]
    pub how: Vec<How>,
    /// By whom.
    pub by: Vec<Actor>,
    /// In how many runs.
    pub runs: u32,
}

/// Over what a socket listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// A socket of the file system, or of no name.
    Unix,
}

/// A place where connections or datagrams arrive.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bind {
    /// Over what.
    pub protocol: Protocol,
    /// Address, or path.
    pub address: String,
    /// Port; 0 for Unix, and where the program left the choice to the kernel.
    pub port: u16,
}

/// Where it listened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Socket {
    /// Where.
    pub bind: Bind,
    /// Who.
    pub by: Vec<Actor>,
    /// In how many runs.
    pub runs: u32,
}

/// A call that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// The system call.
    pub call: String,
    /// The path or address.
    pub subject: String,
    /// `EROFS`, `EACCES`.
    pub error: String,
    /// Who.
    pub by: Vec<Actor>,
    /// In how many runs.
    pub runs: u32,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// With this status.
    Exit(i32),
    /// By this signal.
    Signal(i32),
}

/// How the first process ended, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ending {
    /// How.
    pub end: End,
    /// When.
    pub phase: Phase,
    /// In how many runs.
    pub runs: u32,
}

/// What was asked to know that it serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Probe {
    /// A port that accepts.
    Tcp(u16),
    /// A page that answers.
    Http {
        /// Port.
        port: u16,
        /// Path.
        path: String,
    },
    /// A command in the container that exits with 0.
    Exec(String),
    /// Text in its output.
    Log(String),
    /// Nothing was made and nothing executed for a while.
    Quiet,
}

/// When it was ready, and by what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ready {
    /// What said so.
    pub probe: Probe,
    /// Milliseconds from the start.
    pub after_ms: u64,
}

/// The most bytes that a directory held of what was written there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Directory {
    /// Which.
    pub path: String,
    /// Bytes on disk.
    pub peak_bytes: u64,
}

/// What two runs of one image need not have in common.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Observed {
    /// When it was ready; none where it never was.
    pub ready: Option<Ready>,
    /// Milliseconds from the start to the end.
    pub duration_ms: u64,
    /// Directories with what was written there, by path.
    pub directories: Vec<Directory>,
    /// How many calls only looked whether something is there, and found nothing.
    pub searches: u64,
    /// How many calls were watched.
    pub calls: u64,
    /// Real-time signals that could not be handed on to a watched program.
    pub lost_signals: u64,
}
