//! What a container is started with: the settings of a pod or of a plain `run`, as values.
//!
//! Does not know how the kernel is told; what stands here is checked where it is used.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::capability::{Capability, DEFAULT};
use super::seccomp::{Filter, Profile};
use super::wire::Bytes;

/// Size of `/dev/shm`: 64 MiB, as Docker and containerd give.
pub const SHM_SIZE: u64 = 64 << 20;

/// All that a start needs to know, the files of the image aside.
///
/// `no_new_privs` is no field: it is always set, because a filter for system calls demands it here and because kiln's pods
/// always set it. A set-user-id program of the image runs, but as its caller.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// What starts.
    pub process: Process,
    /// On which of the images that were unpacked, counted from 0.
    pub image: u8,
    /// What root may keep; what is not here is dropped from every set, the bounding set included.
    pub capabilities: Vec<Capability>,
    /// The filter for system calls.
    pub seccomp: Seccomp,
    /// One filter more, of a tracer that attached while the process was held.
    pub watch: Option<Filter>,
    /// Kernel parameters of its namespaces, by dotted name.
    pub sysctls: BTreeMap<String, String>,
    /// Whether the image's files can be changed.
    pub root: Root,
    /// What is mounted over the image.
    pub mounts: Vec<Mount>,
    /// Its name.
    pub hostname: String,
    /// Which of several it is: its address, its name server and the numbers of its processes are those of one of them, and
    /// every other has fewer open files and processors.
    pub replica: u8,
    /// How much it may use.
    pub limits: Limits,
}

impl Settings {
    /// As a container runtime starts `process` when nothing else is said.
    pub fn new(process: Process) -> Self {
        Self {
            process,
            image: 0,
            capabilities: DEFAULT.to_vec(),
            seccomp: Seccomp::Default,
            watch: None,
            sysctls: BTreeMap::new(),
            root: Root::Writable,
            mounts: Vec::new(),
            hostname: "kiln".to_owned(),
            replica: 0,
            limits: Limits::default(),
        }
    }
}

/// The first process.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Process {
    /// Its words; the first is looked for in the image's `PATH` where it has no `/`.
    pub argv: Vec<String>,
    /// Its environment, all of it.
    pub env: Vec<(String, String)>,
    /// Where it starts; made where it is missing, as runtimes do. Empty is `/`.
    pub cwd: String,
    /// Numeric user.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
}

/// The filter for system calls.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Seccomp {
    /// That of Docker and containerd.
    Default,
    /// Another.
    Profile(Profile),
    /// None.
    Unconfined,
}

/// Whether the image's files can be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Root {
    /// What is written goes to a directory above the image.
    Writable,
    /// `readOnlyRootFilesystem`.
    ReadOnly,
}

/// An empty directory, as `emptyDir` is one, or one with a few files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Where, absolute; links of the image are followed within the image.
    pub path: String,
    /// What it counts as.
    pub medium: Medium,
    /// Most bytes in it; else the limit of its medium.
    pub size: Option<u64>,
    /// Mode; the kubelet gives 0777.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Whether nothing can be written there.
    pub read_only: bool,
    /// Whether nothing can be executed there.
    pub no_exec: bool,
    /// What is in it when it is made, by name.
    pub files: Vec<(String, Bytes)>,
    /// One of the sandbox's volumes, by its number, with what other containers left in it; else the directory is new.
    pub volume: Option<usize>,
    /// The directory of that volume that is mounted, made where it is missing; else its top. Links in the volume are not
    /// followed.
    pub sub_path: Option<String>,
}

impl Mount {
    /// Whether one of its files is mounted, and not a directory.
    pub fn is_file(&self) -> bool {
        self.sub_path.as_ref().is_some_and(|path| self.files.iter().any(|(name, _)| name == path))
    }

    /// Most bytes in it: it is in this machine's memory, so that no more than the limit may be asked for.
    pub fn bytes(&self, limits: Limits) -> u64 {
        let medium = match self.medium {
            Medium::Disk => limits.disk,
            Medium::Memory => limits.memory,
        };
        self.size.unwrap_or(medium).min(medium)
    }
}

/// What a mounted directory counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Medium {
    /// Without a size of its own it may hold as much as [`Limits::disk`].
    Disk,
    /// Without a size of its own it may hold as much as [`Limits::memory`].
    Memory,
}

/// How much a container may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of memory of all its processes together; shared pages count once.
    pub memory: u64,
    /// Threads of all its processes together.
    pub processes: u64,
    /// Bytes that it may write over the image.
    pub disk: u64,
}

impl Default for Limits {
    /// 4 GiB of memory, more than most servers start with; 2048 threads, podman's default; 2 GiB of files, which are in
    /// memory.
    fn default() -> Self {
        Self { memory: 4 << 30, processes: 2048, disk: 2 << 30 }
    }
}
