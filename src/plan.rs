//! The plan: what will happen to every entry, and why. Data only.
//!
//! Pure functions of what is known; nothing is read or written, and no order of a hash table reaches the result.

pub mod access;
pub mod application;
pub mod baked;
pub mod both;
pub mod command;
pub mod database;
pub mod decide;
pub mod dense;
pub mod entrypoint;
pub mod fate;
pub mod filler;
pub mod keep;
pub mod known;
pub mod likeness;
pub mod lowering;
pub mod notes;
pub mod preparing;
pub mod readable;
pub mod residual;
pub mod seed;
pub mod totals;
pub mod traced;
pub mod user;
pub mod verdict;
pub mod writable;

use std::fmt::Write as _;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::catalog::Class;
use crate::digest::{BlobDigest, Hasher};
use crate::evidence::{Confidence, Evidence};
use crate::path::ImagePath;
use crate::plan::likeness::Likeness;
use crate::recipe::Purpose;

/// How much goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// What the catalog names; the rest stays.
    Strip,
    /// Also every executable, library and package of the distribution that nothing kept leads to.
    #[default]
    Distroless,
    /// Of the distribution only what runs of the app used, what that needs, and what the catalog adds.
    Minimal,
}

impl Level {
    /// All of them, from the one that takes least.
    pub const ALL: [Self; 3] = [Self::Strip, Self::Distroless, Self::Minimal];

    /// As the command line and documents name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Strip => "strip",
            Self::Distroless => "distroless",
            Self::Minimal => "minimal",
        }
    }
}

/// Who the container runs as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct User {
    /// Numeric user.
    pub uid: u32,
    /// Numeric primary group.
    pub gid: u32,
    /// Supplementary groups of the account in the image, numeric, sorted, without `gid`.
    pub groups: Vec<u32>,
    /// The account's name, if the image's passwd has or gets one.
    pub name: Option<String>,
    /// Its home directory, as passwd names it.
    pub home: Option<String>,
    /// Where the choice comes from.
    pub origin: UserOrigin,
}

/// Where the choice of the user comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind", content = "name")]
pub enum UserOrigin {
    /// `--user`.
    Option,
    /// The image's config.
    Image,
    /// The server ran as this user when it was watched.
    Trace,
    /// A script of the entrypoint's chain switches to this account.
    Script(ImagePath),
    /// A recipe's account, found in the image.
    Recipe(String),
    /// A systemd unit of the image starts the main program as this account.
    Unit(String),
    /// An account of the image named as the program or its package.
    Account(String),
    /// Nothing better: 65532, added to passwd and group.
    Added,
}

/// A path that the app must be able to write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WritablePath {
    /// Canonical: no symbolic link of the image in it.
    pub path: ImagePath,
    /// What for; with several purposes the most lasting one.
    pub purpose: Purpose,
    /// What the image has there.
    pub content: PathContent,
    /// Whether kiln's helper, or the source image where there is none, makes it in its volume before the app starts, with the
    /// image's content.
    pub seeded: bool,
    /// Owner of the mount point; where it is seeded, of the directory in the volume.
    pub uid: u32,
    /// Group of the same.
    pub gid: u32,
    /// Mode of the same.
    pub mode: u16,
    /// Suggested size limit, bytes, a power of two.
    pub size_limit: u64,
    /// In memory rather than on the node's disk.
    pub memory: bool,
    /// How sure kiln is; the strongest of the evidence.
    pub confidence: Confidence,
    /// Why: sorted, without duplicates, never empty.
    pub evidence: Vec<Evidence>,
}

impl WritablePath {
    /// Whether a volume is mounted here: one over content that nobody copies, or over links to the log streams, would hide
    /// them.
    pub fn is_mounted(&self) -> bool {
        self.seeded || self.content.hides_nothing()
    }
}

/// What the image has at a writable path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum PathContent {
    /// Nothing there: a mount point is made.
    Absent,
    /// A directory with nothing in it but directories and files of no bytes.
    Empty,
    /// A directory with content that a mount would hide.
    Seed {
        /// Number of files with bytes in them.
        files: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// A directory whose files are links to `/dev/stdout` and the like: needs no mount.
    LogLinks,
}

impl PathContent {
    /// Whether an empty volume mounted over it hides nothing.
    pub fn hides_nothing(&self) -> bool {
        matches!(self, Self::Absent | Self::Empty)
    }
}

/// Why an entry goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Reason {
    /// The catalog names it.
    Catalogued {
        /// As what.
        class: Class,
        /// What it really is, where its own name does not say so.
        alike: Option<Arc<Likeness>>,
    },
    /// A package that nothing kept leads to.
    UnneededPackage,
    /// What remains in a directory of packages: caches, databases, logs of package managers.
    PackageManagerState,
    /// Unowned and part of what goes: an alternatives link, byte code, a generated file.
    Derived,
    /// A script whose interpreter goes.
    ScriptOfStripped {
        /// The interpreter.
        interpreter: ImagePath,
    },
    /// A symbolic link whose target goes.
    LinkToStripped {
        /// What it led to.
        target: ImagePath,
    },
    /// A directory with nothing left in it.
    EmptyDirectory,
    /// An upper layer deletes or replaces it.
    Shadowed,
    /// A whiteout with nothing left to hide.
    WhiteoutOfNothing,
    /// The script that the image started with removes it at each start, and is not started any more.
    RemovedAtStart,
    /// `--strip`.
    Requested {
        /// The glob; shared, for as many entries as it matches.
        glob: Arc<String>,
    },
}

/// All that will happen to an image, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// How much goes.
    pub level: Level,
    /// What starts.
    pub entrypoint: Entrypoint,
    /// Who it runs as.
    pub user: User,
    /// What it must be able to write, by path.
    pub writable: Vec<WritablePath>,
    /// What it listens on, by port.
    pub ports: Vec<Port>,
    /// How to ask whether it serves.
    pub probe: Option<crate::recipe::Probe>,
    /// Environment to set in the pod, by name.
    pub env: Vec<crate::recipe::EnvRule>,
    /// The source's health check, if it cannot run any more.
    pub healthcheck_dropped: Option<String>,
    /// Names of the recipes that apply, in order.
    pub recipes: Vec<String>,
    /// What happens to each member of each layer: `verdicts[layer][member]`.
    pub verdicts: Vec<Vec<Verdict>>,
    /// Whether so much of a layer changes that it is compressed anew, by layer.
    pub dense: Vec<bool>,
    /// What kiln's own layer on top holds, by path; the manifest is not in it yet.
    pub additions: Vec<Addition>,
    /// Files that a lowered script would have written, by path.
    pub baked: Vec<baked::Baked>,
    /// What goes, by path, then layer.
    pub removed: Vec<Removed>,
    /// The command of the source image that copies content to volumes, where kiln has no helper that would.
    pub seeding: Option<Vec<String>>,
    /// The command of the source image that makes in the pod, before each start, what only a script of the source makes.
    pub preparing: Option<Vec<String>>,
    /// Files for whose sake the start is not lowered: such a command would do.
    pub wants: Vec<ImagePath>,
    /// Catalogued programs that stay, by path.
    pub residual: Vec<Residual>,
    /// Packages of the image, by name.
    pub packages: Vec<PackageFate>,
    /// The image before.
    pub before: Totals,
    /// The image after.
    pub after: Totals,
    /// What a person should know.
    pub findings: Vec<crate::finding::Finding>,
}

/// What starts, from the config's words to the program that serves.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Entrypoint {
    /// Entrypoint and command of the source's config, joined.
    pub source: Vec<String>,
    /// What the hardened image starts; equal to `source` unless lowered.
    pub argv: Vec<String>,
    /// Environment that a lowering adds to the image.
    pub env: Vec<(String, String)>,
    /// Working directory that a lowering gives the image, where it is another than the source's.
    pub working_dir: Option<ImagePath>,
    /// Files that the start passes through, in order: wrappers, scripts, interpreters, the program.
    pub chain: Vec<Step>,
    /// Every lowering applied, in order.
    pub lowerings: Vec<Lowered>,
}

/// A file that the start passes through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// As started: found in `PATH`, links not followed.
    pub path: ImagePath,
    /// Links followed.
    pub file: ImagePath,
    /// What part it plays.
    pub role: Role,
}

/// The part a file plays in the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Starts its arguments: `tini`, `dumb-init`.
    Wrapper,
    /// A script.
    Script,
    /// Runs the script before it.
    Interpreter,
    /// The program.
    Program,
}

/// One replacement of what starts by what it ends up running.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lowered {
    /// The words before.
    pub from: Vec<String>,
    /// The words after.
    pub to: Vec<String>,
    /// Why that is the same, and by which rule.
    pub why: String,
}

/// A port that the app listens on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Port {
    /// 1–65535.
    pub port: u16,
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: &'static str,
    /// As a Kubernetes port name.
    pub name: String,
    /// Why; never empty.
    pub evidence: Vec<Evidence>,
}

impl Port {
    /// The protocol of that name.
    pub fn protocol_named(name: &str) -> Option<&'static str> {
        ["TCP", "UDP", "SCTP"].into_iter().find(|known| *known == name)
    }
}

/// What happens to one tar member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It stays, changed as the patch says. Equal patches are one: most of an image's members lose the same bits.
    Keep(Arc<Patch>),
    /// It is not written.
    Drop(Reason),
    /// It is not written, because the member that holds the data takes its name.
    Merged,
}

/// How a member that stays is changed. The default changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Patch {
    /// New permission bits.
    pub mode: Option<u16>,
    /// New owner and group.
    pub owner: Option<(u32, u32)>,
    /// New name: the data moves to the first kept name of its inode.
    pub path: Option<ImagePath>,
    /// New target of a hard link, because the data moved.
    pub link: Option<ImagePath>,
    /// New content (filtered package databases).
    pub content: Option<Arc<[u8]>>,
    /// `security.capability` goes.
    pub drop_capabilities: bool,
}

/// Something in kiln's own layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addition {
    /// Where.
    pub path: ImagePath,
    /// What it is.
    pub made: Made,
    /// Permission bits.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// What something in kiln's own layer is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Made {
    /// A directory.
    Directory,
    /// A regular file with this content.
    File(Arc<[u8]>),
    /// A symbolic link that says this.
    Link(Arc<[u8]>),
}

impl Addition {
    /// Content of a file; `None` where it is something else.
    pub fn content(&self) -> Option<&Arc<[u8]>> {
        match &self.made {
            Made::File(content) => Some(content),
            Made::Directory | Made::Link(_) => None,
        }
    }
}

/// A symbolic link in place of a file that the app writes, for no volume can stand in its directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Where.
    pub path: ImagePath,
    /// Where it leads: into a volume.
    pub target: ImagePath,
    /// Whether the source has the file: its data then stand at `target` in the image, to be copied to the volume.
    pub moved: bool,
}

/// Something that goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// Where it was.
    pub path: ImagePath,
    /// Why it goes.
    pub reason: Reason,
    /// The package that owned it; shared, for as many entries as it has.
    pub package: Option<Arc<str>>,
    /// Layer, from 0 at the bottom.
    pub layer: u32,
    /// Bytes of content; 0 for what has none. Hard links count once.
    pub bytes: u64,
}

/// A catalogued program that stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Residual {
    /// Where.
    pub path: ImagePath,
    /// As what the catalog names it.
    pub class: Class,
    /// Why it stays.
    pub why: String,
    /// What would remove it, where kiln knows.
    pub remedy: Option<String>,
    /// What it is, if it is many programs in one file: `busybox`. Told of the first of its names only.
    pub multi_call: Option<String>,
    /// Names under which the source started it as another program, sorted: what it still does when told so.
    pub applets: Vec<String>,
}

/// What becomes of a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageFate {
    /// Name, with `:ARCH` where it is not the image's.
    pub name: String,
    /// Version.
    pub version: String,
    /// Whether it still owns files.
    pub kept: bool,
    /// What led to it, or why it went.
    pub why: String,
}

/// Counts of a merged file tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Totals {
    /// Regular files; names of one inode count once.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Regular files with an execute bit.
    pub executables: u64,
    /// Files with setuid or setgid.
    pub setuid: u64,
    /// Files and directories with a write bit for anyone, links aside.
    pub writable: u64,
    /// Programs that the catalog names.
    pub catalogued: u64,
    /// Packages that own files.
    pub packages: u64,
}

impl Plan {
    /// A digest of all verdicts and additions: equal plans for equal layers have equal digests.
    ///
    /// Taken over a text of its own, a line a member, so that it does not change with how kiln is built.
    pub fn digest(&self) -> BlobDigest {
        let mut hasher = Hasher::default();
        let mut line = |text: String| hasher.update(text.as_bytes());
        for (number, layer) in self.verdicts.iter().enumerate() {
            line(format!("layer {number} {}\n", layer.len()));
            for verdict in layer {
                line(match verdict {
                    Verdict::Drop(_) => "drop\n".to_owned(),
                    Verdict::Merged => "merged\n".to_owned(),
                    Verdict::Keep(patch) => format!("keep {}\n", patch.text()),
                });
            }
        }
        for addition in &self.additions {
            let Addition { path, made, mode, uid, gid } = addition;
            let content = match made {
                Made::Directory => "directory".to_owned(),
                Made::File(content) => BlobDigest::of(content).to_string(),
                Made::Link(target) => format!("link {}", BlobDigest::of(target)),
            };
            line(format!("add {path} {mode:o} {uid}:{gid} {content}\n"));
        }
        hasher.blob()
    }
}

impl Verdict {
    /// The verdict on what stays as it is.
    pub fn unchanged() -> Self {
        Self::Keep(Arc::default())
    }

    /// Whether it stays as it is.
    pub fn is_unchanged(&self) -> bool {
        matches!(self, Self::Keep(patch) if **patch == Patch::default())
    }
}

impl Patch {
    fn text(&self) -> String {
        let Self { mode, owner, path, link, content, drop_capabilities } = self;
        let mut out = String::new();
        let mut field = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                let _ = write!(out, " {name}={value}");
            }
        };
        field("mode", mode.map(|mode| format!("{mode:o}")));
        field("owner", owner.map(|(uid, gid)| format!("{uid}:{gid}")));
        field("path", path.as_ref().map(ToString::to_string));
        field("link", link.as_ref().map(ToString::to_string));
        field("content", content.as_ref().map(|content| BlobDigest::of(content).to_string()));
        field("capabilities", drop_capabilities.then(|| "dropped".to_owned()));
        out
    }
}
