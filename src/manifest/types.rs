//! The writable manifest's fields, in the order they are written.
//!
//! Shapes only; how they come from a plan is in the parent.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalog::Class;
use crate::evidence::{Confidence, Evidence};
use crate::path::Escaped;
use crate::plan::baked::Baked;
use crate::plan::{Level, PathContent, Role, Step};
use crate::recipe::Purpose;

/// What a hardened image runs, writes and listens on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// `application/vnd.kiln.writable-manifest.v1+json`.
    pub media_type: String,
    /// Version of this shape.
    pub schema_version: u32,
    /// The kiln that wrote it.
    pub kiln_version: String,
    /// The image it was made from, by its layers: the OCI `ChainID` of them all, the same in every encoding.
    /// Digests of manifests stand in the image's labels.
    pub source_chain_id: String,
    /// What it was hardened with.
    pub options: Options,
    /// Recipes that apply.
    pub recipes: Vec<String>,
    /// What starts, and as whom.
    pub process: Process,
    /// Environment that the pod sets, by name; it is not in the image's config.
    pub env_added: Vec<EnvVar>,
    /// What must be writable, by path.
    pub paths: Vec<Path>,
    /// Files that a script of the source wrote at each start, and that are in the image instead, by path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub baked: Vec<BakedFile>,
    /// What the source image runs before each start of the pod to copy content to volumes, where the image has no helper.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seeding: Option<SourceCommand>,
    /// What the source image runs before each start of the pod, because only its script makes what the app needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preparing: Option<SourceCommand>,
    /// Where it listens, by port.
    pub ports: Vec<PortEntry>,
    /// How to ask whether it serves.
    pub probe: Option<ProbeEntry>,
    /// `VOLUME`s of the source that the hardened image no longer declares.
    pub stripped_volumes: Vec<String>,
    /// Shells, interpreters and tools that stay, by path.
    pub residual: Vec<ResidualProgram>,
}

/// A command of the source image that ends, as the app's user, with the app's rights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceCommand {
    /// Entrypoint and command.
    pub argv: Vec<String>,
}

/// What the image was hardened with.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// How much goes.
    pub level: Level,
    /// `--keep`.
    #[serde(default)]
    pub keep: Vec<String>,
    /// `--strip`.
    #[serde(default)]
    pub strip: Vec<String>,
    /// `--writable`.
    #[serde(default)]
    pub writable: Vec<String>,
    /// `--user`.
    #[serde(default)]
    pub user: Option<String>,
    /// `--recipe`: digests of the files' bytes.
    #[serde(default)]
    pub recipes: Vec<String>,
    /// `--profile`: digest of what runs of the image showed, times, sizes and counts left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
}

impl Options {
    /// The same options, in an order that does not depend on the command line's.
    pub(super) fn sorted(mut self) -> Self {
        for list in [&mut self.keep, &mut self.strip, &mut self.writable, &mut self.recipes] {
            list.sort();
            list.dedup();
        }
        self
    }
}

/// What starts, and as whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Process {
    /// Entrypoint and command of the hardened image.
    pub argv: Vec<String>,
    /// Working directory.
    pub cwd: String,
    /// Numeric user.
    pub uid: u32,
    /// Numeric primary group.
    pub gid: u32,
    /// Numeric supplementary groups.
    pub groups: Vec<u32>,
    /// The account's name.
    pub user_name: Option<String>,
    /// How the start was followed.
    pub entrypoint: Chain,
}

/// How the start was followed, from the source's words to the program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Chain {
    /// Entrypoint and command of the source.
    pub source: Vec<String>,
    /// Files that the start passes through, in order.
    pub steps: Vec<ChainStep>,
    /// Replacements of a script by what it ends up running.
    pub lowerings: Vec<Lowering>,
    /// Environment that lowering adds to the image's config.
    pub env: Vec<EnvVar>,
}

/// A file that the start passes through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChainStep {
    /// As started; escaped.
    pub path: String,
    /// Links followed; escaped.
    pub file: String,
    /// What part it plays.
    pub role: Role,
}

impl From<&Step> for ChainStep {
    fn from(step: &Step) -> Self {
        Self { path: step.path.to_string(), file: step.file.to_string(), role: step.role }
    }
}

/// A replacement of a script by what it ends up running.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lowering {
    /// The words before.
    pub from: Vec<String>,
    /// The words after.
    pub to: Vec<String>,
    /// Why that is the same.
    pub why: String,
}

/// A variable.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnvVar {
    /// Name.
    pub name: String,
    /// Value.
    pub value: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// A path that must be writable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Path {
    /// Canonical, absolute; what is not printable is escaped.
    pub path: String,
    /// What for.
    pub purpose: Purpose,
    /// What it is.
    pub kind: Kind,
    /// Owner of the mount point; where it is seeded, of the directory in the volume.
    pub uid: u32,
    /// Group of the same.
    pub gid: u32,
    /// Mode of the same, four octal digits.
    #[schemars(regex(pattern = r"^[0-7]{4}$"))]
    pub mode: String,
    /// What the image has there.
    pub content: PathContent,
    /// Whether `/.kiln/seed` makes it before the app starts, as the directory `tree` of its volume: with the image's content,
    /// owner and mode.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub seeded: bool,
    /// How long what is written should live.
    pub persistence: Persistence,
    /// The volume that fits.
    pub volume: Volume,
    /// How sure kiln is.
    pub confidence: Confidence,
    /// Why; never empty.
    #[schemars(length(min = 1))]
    pub evidence: Vec<Evidence>,
}

/// What a writable path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A directory.
    Directory,
}

/// How long what is written should live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Persistence {
    /// No longer than the process.
    Ephemeral,
    /// Useful later, but can be lost.
    Cache,
    /// Must outlive the pod.
    Persistent,
}

/// The volume that fits a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Volume {
    /// None may be mounted: it would hide what the image has there.
    None,
    /// An `emptyDir` in memory.
    Memory {
        /// Bytes, a power of two.
        size_limit: u64,
    },
    /// An `emptyDir` on the node's disk, or a claim.
    Disk {
        /// Bytes, a power of two.
        size_limit: u64,
    },
}

/// A file that a script of the source wrote alike in every run that was watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BakedFile {
    /// Where; escaped.
    pub path: String,
    /// Digest of its bytes; none where the script set only its mode or owner.
    pub digest: Option<String>,
    /// How many bytes.
    pub bytes: Option<u64>,
    /// Where it leads, if it is a link; escaped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The program that wrote it; escaped.
    pub by: String,
    /// In how many runs.
    #[schemars(range(min = 2))]
    pub runs: u32,
}

impl From<&Baked> for BakedFile {
    fn from(baked: &Baked) -> Self {
        Self {
            path: baked.path.to_string(),
            digest: baked.digest().map(|digest| digest.to_string()),
            bytes: baked.bytes().map(|bytes| bytes.len() as u64),
            target: baked.target().map(|target| Escaped::new(target).to_string()),
            by: baked.by.clone(),
            runs: baked.runs,
        }
    }
}

/// A port that the app listens on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PortEntry {
    /// 1–65535.
    #[schemars(range(min = 1))]
    pub port: u16,
    /// `TCP` or `UDP`.
    #[schemars(regex(pattern = r"^(TCP|UDP|SCTP)$"))]
    pub protocol: String,
    /// As a Kubernetes port name.
    pub name: String,
    /// Why; never empty.
    pub evidence: Vec<Evidence>,
}

/// How to ask whether it serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum ProbeEntry {
    /// `GET path`.
    Http {
        /// Begins with `/`.
        path: String,
    },
    /// A connection.
    Tcp,
}

/// A catalogued program that stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResidualProgram {
    /// Where; escaped.
    pub path: String,
    /// As what the catalog names it.
    pub class: Class,
    /// Why it stays.
    pub why: String,
    /// What would remove it.
    pub remedy: Option<String>,
}
