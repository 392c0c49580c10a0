//! Recipes: what is known of one piece of software, as data.
//!
//! A recipe runs nothing and reads nothing; it is checked as a whole when it is loaded.

mod builtin;
mod check;
mod matching;
mod raw;

use crate::digest::BlobDigest;
use crate::path::ImagePath;

pub use builtin::{builtin, builtin_text};
pub use check::{Problem, RecipeError, parse_recipe};
pub use matching::{effective_lines, lines_digest, matching, static_binary};

/// What is known of one piece of software.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Recipe {
    /// Short name, unique: `nginx`.
    pub name: String,
    /// The software's own name: `nginx`, `Apache HTTP Server`.
    pub title: String,
    /// The recipe applies if a program of the entrypoint's chain matches one of these globs (absolute path,
    /// as started or with links followed): `/usr/sbin/nginx`, `**/redis-server`.
    pub programs: Vec<String>,
    /// What must stay, with the reason.
    pub keep: Vec<KeepRule>,
    /// Directories whose files the software loads by name at run time: whatever stands there is needed, and
    /// so is its package. Globs of directories: `/usr/lib/nginx/modules`.
    pub plugin_directories: Vec<KeepRule>,
    /// What it writes whatever its configuration says.
    pub writable: Vec<WritableRule>,
    /// Where its configuration says what it writes and listens on.
    pub directives: Vec<Directive>,
    /// Ports it listens on if no directive says so.
    pub ports: Vec<PortRule>,
    /// Accounts it is meant to run as; the first that the image has.
    pub users: Vec<String>,
    /// How to ask whether it serves.
    pub probe: Option<Probe>,
    /// Environment that keeps it from writing where it need not.
    pub env: Vec<EnvRule>,
    /// Scripts that images start it with, and what they end up running.
    pub lowerings: Vec<Lowering>,
    /// Scripts that images start it with and that no rule lowers, with the reason and the way out.
    pub shells: Vec<ShellRule>,
    /// What it needs of the pod or of its author that no pod spec of kiln's gives.
    pub caveats: Vec<Caveat>,
}

/// Something that must stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeepRule {
    /// Glob of absolute paths.
    pub glob: String,
    /// Why, for the report.
    pub why: String,
}

/// What a writable path is for.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// Scratch files.
    Tmp,
    /// Sockets, pid files, locks.
    Run,
    /// Can be made again.
    Cache,
    /// Logs.
    Log,
    /// Data that must outlive the process.
    State,
    /// Configuration that is written at start.
    Config,
}

/// A path that is written whatever the configuration says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WritableRule {
    /// Absolute path of a directory.
    pub path: ImagePath,
    /// What for.
    pub purpose: Purpose,
    /// Only if this path exists in the image (a distribution's layout against upstream's). A `*` in its last name stands
    /// for anything.
    pub if_exists: Option<ImagePath>,
    /// Suggested size limit, MiB.
    pub size_mib: Option<u32>,
    /// Why, for the evidence.
    pub why: String,
}

/// How a configuration file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Syntax {
    /// `name value… ;` in nested braces; `include` with globs.
    Nginx,
    /// `Name value`, `<Section …>`; `Include` and `IncludeOptional` with globs; `${VAR}`, `Define`.
    Apache,
    /// `name value`, a line each; `include` (redis).
    Words,
    /// `name = value`, `[section]` lines skipped; quotes stripped (postgresql, php, mysql).
    Ini,
    /// `name value…`, `name: value` or `name = value`, a line each, every one of which counts; a name may be two
    /// words (`stats socket`), and nothing is included (haproxy, nats).
    Lines,
    /// `name: value` anywhere in a YAML document; dotted names walk down: `storage.filesystem.rootdirectory`.
    Yaml,
    /// Caddy's: `site` is a port that a site's address names, global options have their own names.
    Caddy,
}

/// What a directive's value means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Meaning {
    /// A file is written: its directory must be writable.
    File,
    /// Files are written in this directory.
    Directory,
    /// A port, `address:port` or `port …`.
    Port,
    /// No value: whoever sets it needs root at the start, which a hardened image never has.
    Root,
}

/// A directive of a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directive {
    /// Globs of the files it stands in; included files are read too.
    pub files: Vec<String>,
    /// How they are written.
    pub syntax: Syntax,
    /// Names of the directive; letter case does not count for [`Syntax::Apache`].
    pub names: Vec<String>,
    /// What the value is.
    pub meaning: Meaning,
    /// What the path is for; unused for ports.
    pub purpose: Purpose,
    /// The value where no file sets it: compiled in. `None`: nothing is written unless set.
    pub default: Option<String>,
}

/// A port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortRule {
    /// 1–65535.
    pub port: u16,
    /// As a Kubernetes port name: `http`.
    pub name: String,
    /// Why, for the evidence.
    pub why: String,
}

/// A probe of the pod spec.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Probe {
    /// `GET path` on the first port.
    Http {
        /// Begins with `/`.
        path: String,
    },
    /// A connection to the first port.
    Tcp,
}

/// An environment variable to set in the pod.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct EnvRule {
    /// Name.
    pub name: String,
    /// Value.
    pub value: String,
    /// Why, for the report.
    pub why: String,
}

/// A script that images start the software with, and what it ends up running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lowering {
    /// Absolute paths (links followed) of the script.
    pub scripts: Vec<ImagePath>,
    /// What must hold, or the shell stays. All of them.
    pub conditions: Vec<Condition>,
    /// What the script is called with.
    pub arguments: Arguments,
    /// What runs in the end; a word `$@` stands for the script's arguments (after `Arguments::prefix`),
    /// `${@:2}` for those after the first. The first word is an absolute path, `$1` (the script's first
    /// argument, looked up in `PATH`) or `$@`.
    pub exec: Vec<String>,
    /// Environment that the script adds.
    pub env: Vec<(String, String)>,
    /// Directories that the script makes: they become mount points.
    pub directories: Vec<ImagePath>,
    /// Why this is what runs, for the report.
    pub why: String,
}

/// A script that cannot be lowered: its shell stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShellRule {
    /// Globs of the scripts, as started or with links followed.
    pub scripts: Vec<String>,
    /// What it does that no fixed command does; completes "it needs a shell: …".
    pub why: String,
    /// What would make the shell needless; completes "to lose the shell, …".
    pub remedy: String,
}

/// Something that a person has to see to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caveat {
    /// What it is about: a path, a setting.
    pub subject: String,
    /// What fails, and why.
    pub why: String,
    /// What to do.
    pub remedy: String,
}

/// What must hold for a lowering to be true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// These files are as their package delivered them (dpkg's md5 sums and conffile sums).
    Unmodified(Vec<ImagePath>),
    /// The script's effective lines (comments, blank lines and indentation dropped) are exactly these.
    Lines(Vec<String>),
    /// None of these globs matches anything.
    Absent(Vec<String>),
    /// None of these variables is in the image's environment.
    Unset(Vec<String>),
    /// Every file that these globs match is a known text: the digest of its effective lines
    /// ([`lines_digest`]) is one of these. A file of another kind, or one that cannot be read, is unknown.
    Known {
        /// Globs of absolute paths.
        files: Vec<String>,
        /// Digests of effective lines.
        digests: Vec<BlobDigest>,
    },
}

/// What a script is called with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arguments {
    /// Exactly these.
    Exactly(Vec<String>),
    /// Whatever is given.
    Any {
        /// Put before them if the first begins with `-` (the usual idiom of official images).
        option_prefix: Option<String>,
        /// Put before them if the first ends with this too (redis' `.conf`).
        suffix: Option<String>,
        /// Only if the first word (after prefixing) names one of these programs; empty: any program.
        programs: Vec<String>,
    },
}
