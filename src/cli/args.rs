//! Arguments as they are typed; what they mean together is in `analysis`, `harden` and `inspect`.
//!
//! Touches nothing: a file named here is opened later.

mod audit;
mod cache;
mod documents;
mod fix;
mod generate;
mod policy;
mod run;
mod values;

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{ArgGroup, Args as ClapArgs, Parser, Subcommand, ValueEnum};

use crate::limits::MAX_ENTRIES;
use crate::observe::{Exercise, parse_probe};
use crate::options::Compression;
use crate::path::ImagePath;
use crate::plan::Level;
use crate::profile::Probe;
use crate::registry;
use crate::sandbox::stage::{COMMAND, Stage};

pub(super) use audit::{AskedArgs, AuditArgs, AuditFormat, PssLevel, known_image, rule};
pub(super) use cache::{CacheArgs, KeptAction, KeptArgs};
pub(super) use documents::{
    CompletionArgs, Document, ExplainArgs, ManifestAction, ManifestArgs, RecipeAction, RecipeArgs, SchemaArgs,
};
pub(super) use fix::{FixArgs, PatchKind};
pub(super) use generate::{DebugFormat, DebugProfileArgs, GenerateArgs, ImageArgs, OutputFormat};
pub(super) use policy::PolicyArgs;
pub(super) use run::{RunArgs, TraceArgs, WatchArgs};
use values::{bytes, exercise, glob, image_path, level, platform, platforms, stage, user, variable};

/// Soft clay in, a hard vessel out: container images without shell, package manager, utilities or write
/// bits, and the pod spec that fits them
#[derive(Debug, Parser)]
#[command(name = "kiln", version, max_term_width = 100, disable_help_subcommand = true)]
#[command(
    after_help = "Images are named as skopeo names them: docker://[HOST[:PORT]/]REPO[:TAG][@DIGEST] or without \
    the docker://, oci:DIR[:REF], oci-archive:FILE[:REF], docker-archive:FILE[:REF], docker-daemon:NAME; - is stdin or stdout.\n\n\
    Exit status: 0 done; 1 findings that decide against it; 2 usage; 3 bad input or output; \
    4 network or registry, worth a retry; 6 refused, for it is not known what an image needs; 70 a bug of kiln."
)]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a hardened image, its writable manifest and its pod spec
    Harden(Box<HardenArgs>),
    /// Say what is in an image and what hardening would do to it
    Inspect(InspectArgs),
    /// Read back the documents of a hardened image
    Manifest(ManifestArgs),
    /// Make what runs a hardened image in a cluster: a workload, and what goes with it
    Generate(Box<GenerateArgs>),
    /// Make the profile for `kubectl debug` that fits pods of a hardened image
    DebugProfile(DebugProfileArgs),
    /// Prove that a hardened image is what it says, or say what is not
    Verify(VerifyArgs),
    /// Run an image's app in a sandbox of kiln's own, without a daemon
    Run(RunArgs),
    /// Watch an image's app from its start to its end: what it executes, opens, writes and listens on
    Trace(TraceArgs),
    /// Write policies that hold a cluster to what hardened images promise
    Policy(PolicyArgs),
    /// Say what of a Kubernetes manifest lets its pods be changed, or keeps them from running
    Audit(Box<AuditArgs>),
    /// Mend what the audit finds in a manifest, where it is known what the pod needs
    Fix(Box<FixArgs>),
    /// Mend the resources of a list from stdin, as a function of kustomize or kpt
    #[command(
        after_help = "The list's functionConfig, a ConfigMap, may say: images (NAME=SOURCE …), resolve, unsafe (true or false), \
        kubeVersion (1.N), rules, skip."
    )]
    Krm,
    /// Say what is kept of layers for the next run, or remove it
    Cache(KeptArgs),
    /// List, show and check recipes
    Recipe(RecipeArgs),
    /// Say what a finding's code means
    Explain(ExplainArgs),
    /// Print the JSON Schema of a document of kiln's
    Schema(SchemaArgs),
    /// Print a script that completes kiln's arguments in a shell
    Completion(CompletionArgs),
    /// A part of the sandbox
    #[command(name = COMMAND, hide = true)]
    SandboxStage(StageArgs),
}

#[derive(Debug, ClapArgs)]
pub(super) struct HardenArgs {
    /// The image to harden
    pub(super) image: String,
    /// Where the hardened image goes; may be given several times
    #[arg(short, long = "output", value_name = "DEST", required = true)]
    pub(super) output: Vec<String>,
    #[command(flatten)]
    pub(super) analysis: AnalysisArgs,
    /// How layers are stored: keep (as they were; what changes and was not compressed becomes gzip), gzip[:1-9] or zstd[:1-19].
    /// Without a level, layers that are gzip are edited and not compressed again
    #[arg(long, value_name = "HOW", default_value_t)]
    pub(super) compression: Compression,
    #[command(flatten)]
    pub(super) watch: WatchArgs,
    /// Write the pod spec there
    #[arg(long, value_name = "FILE", help_heading = "Documents (- is stdout)")]
    pub(super) pod: Option<PathBuf>,
    /// Name of the pod [default: from the image's name]
    #[arg(long, value_name = "NAME", requires = "pod", help_heading = "Documents (- is stdout)")]
    pub(super) pod_name: Option<String>,
    /// The hardened image as the pod names it: HOST/REPO:TAG@DIGEST
    #[arg(long, value_name = "REF", requires = "pod", help_heading = "Documents (- is stdout)")]
    pub(super) pod_image: Option<String>,
    /// The source image as the pod names it, where an init container of it prepares what only its script makes
    #[arg(long, value_name = "REF", requires = "pod", help_heading = "Documents (- is stdout)")]
    pub(super) pod_source_image: Option<String>,
    /// Write the writable manifest there
    #[arg(long, value_name = "FILE", help_heading = "Documents (- is stdout)")]
    pub(super) manifest: Option<PathBuf>,
    /// Write the report there: every removed path with its reason, JSON
    #[arg(long, value_name = "FILE", help_heading = "Documents (- is stdout)")]
    pub(super) report: Option<PathBuf>,
    /// Push the image alone, without its writable manifest, pod spec and report beside it
    #[arg(long, help_heading = "Documents (- is stdout)")]
    pub(super) no_referrers: bool,
    #[command(flatten)]
    pub(super) registry: RegistryArgs,
    #[command(flatten)]
    pub(super) talk: TalkArgs,
}

#[derive(Debug, ClapArgs)]
pub(super) struct InspectArgs {
    /// The image to look at
    pub(super) image: String,
    #[command(flatten)]
    pub(super) analysis: AnalysisArgs,
    #[command(flatten)]
    pub(super) registry: RegistryArgs,
    #[command(flatten)]
    pub(super) talk: TalkArgs,
}

#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Without --against, what the image alone tells is checked; what it does not tell is said \
    and is no failure. With --against, a promise that could not be checked in full is one.\n\n\
    With --run the app starts in the sandbox of `kiln run`, under the settings of its pod: user, groups, capabilities, system calls, \
    kernel parameters, read-only root, mounts, words and environment. When its probes answer, kiln attacks it from within, as \
    the app: it tries to make a file in every directory, to open every file for writing, to change every mode, and to start \
    every program that the catalog knows; then once more on a writable root. The app must still answer, and end when it is asked to. \
    What could not be told in this environment is said and is no failure.\n\n\
    With --seccomp every system call of the app is told, which is slow, and the default profile of Docker and containerd is cut \
    down to those, to what runtimes call and to what does the same. Under that, the app is started twice more, asked by plain and \
    by gzip clients, and stopped: if it fails, nothing is written."
)]
#[command(group = ArgGroup::new("profiled").multiple(true))]
pub(super) struct VerifyArgs {
    /// The hardened image
    pub(super) image: String,
    /// Harden this image again as the first one was, in memory only, and compare
    #[arg(long, value_name = "SOURCE", group = "profiled")]
    pub(super) against: Option<String>,
    /// A recipe that the image was hardened with, needed with --against; may be given several times
    #[arg(long, value_name = "FILE", requires = "against")]
    pub(super) recipe: Vec<PathBuf>,
    /// The profile that the image was hardened with, needed with --against; with --seccomp, calls that other runs made
    /// (`kiln trace --syscalls`); several are united
    #[arg(long, value_name = "FILE", requires = "profiled")]
    pub(super) profile: Vec<PathBuf>,
    /// Run it under its pod's settings, and attack it
    #[arg(long, help_heading = "Running it")]
    pub(super) run: bool,
    /// The pod, in a file: YAML or JSON of kind Pod, or of a workload that makes pods; - is stdin [default: what follows from
    /// the image's manifest]
    #[arg(long, value_name = "FILE", requires = "run", help_heading = "Running it")]
    pub(super) pod: Option<PathBuf>,
    /// What says that it is ready, instead of the pod's probe: `tcp:PORT`, `http:PORT/PATH`, `exec:COMMAND` or `log:TEXT`
    #[arg(long, value_name = "PROBE", value_parser = parse_probe, requires = "run", help_heading = "Running it")]
    pub(super) probe: Option<Probe>,
    /// Fetch this page when it is ready, or run this program, as `kiln trace` does; may be given several times
    #[arg(long, value_name = "URL|PROGRAM", value_parser = exercise, requires = "run", help_heading = "Running it")]
    pub(super) exercise: Vec<Exercise>,
    /// Set this in its environment, besides what the pod sets; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable, requires = "run", help_heading = "Running it")]
    pub(super) env: Vec<(String, String)>,
    /// Make a profile for system calls of those that it makes while it is run, and write it there, JSON as the OCI and Docker
    /// have it, if it starts twice under it and serves as before; - is stdout
    #[arg(long, value_name = "FILE", requires = "run", group = "profiled", help_heading = "Running it")]
    pub(super) seccomp: Option<PathBuf>,
    /// What that profile does with calls that the app was not seen to make and the default profile allows
    #[arg(
        long,
        value_enum,
        value_name = "MODE",
        default_value_t,
        requires = "seccomp",
        help_heading = "Running it"
    )]
    pub(super) seccomp_mode: SeccompMode,
    /// Which image of an index: OS/ARCH[/VARIANT] [default: this machine's]
    #[arg(long, value_name = "PLATFORM", value_parser = platform)]
    pub(super) platform: Option<String>,
    /// How many layers are read at a time [default: one per processor]
    #[arg(long, value_name = "N")]
    pub(super) jobs: Option<NonZeroUsize>,
    #[command(flatten)]
    pub(super) limits: LimitArgs,
    #[command(flatten)]
    pub(super) registry: RegistryArgs,
    #[command(flatten)]
    pub(super) talk: TalkArgs,
}

#[derive(Debug, ClapArgs)]
pub(super) struct StageArgs {
    /// Which
    #[arg(value_parser = stage)]
    pub(super) stage: Stage,
}

/// How much of an image is read.
#[derive(Debug, ClapArgs)]
pub(super) struct LimitArgs {
    /// Most entries that all layers may have together
    #[arg(long, value_name = "N", default_value_t = MAX_ENTRIES, help_heading = "Limits")]
    pub(super) max_entries: u64,
    /// Most bytes that all layers may unpack to, with K, M, G or T for powers of 1024 [default: 128G, and beyond 4G
    /// no more than 200 times what is stored]
    #[arg(long, value_name = "BYTES", value_parser = bytes, help_heading = "Limits")]
    pub(super) max_size: Option<u64>,
}

/// What decides what happens to an image.
#[derive(Debug, ClapArgs)]
pub(super) struct AnalysisArgs {
    /// How much goes: `strip` takes what the catalog names, `distroless` also what nothing kept leads to, `minimal`
    /// also what no watched run used (with `--trace` or `--profile`)
    #[arg(long, value_name = "LEVEL", default_value = "distroless", value_parser = level)]
    pub(super) level: Level,
    /// Which image of an index: OS/ARCH[/VARIANT]; for `kiln harden` also `all`: every Linux image, into a new
    /// index [default: this machine's]
    #[arg(long, value_name = "PLATFORM", value_parser = platforms)]
    pub(super) platform: Option<Platforms>,
    /// Keep what this glob matches, and what it needs; may be given several times
    #[arg(long, value_name = "GLOB", value_parser = glob)]
    pub(super) keep: Vec<String>,
    /// Remove what this glob matches; may be given several times
    #[arg(long, value_name = "GLOB", value_parser = glob)]
    pub(super) strip: Vec<String>,
    /// Run as this user and group: names of the image, or numbers
    #[arg(long, value_name = "USER[:GROUP]", value_parser = user)]
    pub(super) user: Option<String>,
    /// Use this recipe too, before kiln's own; may be given several times
    #[arg(long, value_name = "FILE")]
    pub(super) recipe: Vec<PathBuf>,
    /// Do not use kiln's own recipes
    #[arg(long)]
    pub(super) no_recipes: bool,
    /// The app writes to this directory; may be given several times
    #[arg(long, value_name = "PATH", value_parser = image_path)]
    pub(super) writable: Vec<ImagePath>,
    /// Use what runs of this image showed: a profile of `kiln trace`; several are united
    #[arg(long, value_name = "FILE")]
    pub(super) profile: Vec<PathBuf>,
    /// Exit with 1 if there is a finding of severity high, such as a shell that stays, and write nothing then
    #[arg(long)]
    pub(super) strict: bool,
    #[command(flatten)]
    pub(super) limits: LimitArgs,
    /// How many layers are worked on at a time, and how many threads compress; changes no byte of the result [default: one per processor]
    #[arg(long, value_name = "N")]
    pub(super) jobs: Option<NonZeroUsize>,
    #[command(flatten)]
    pub(super) cache: CacheArgs,
}

/// Which images of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Platforms {
    /// All for Linux.
    All,
    /// The one that fits `OS/ARCH[/VARIANT]` best.
    One(String),
}

/// How registries are spoken to.
#[derive(Debug, Clone, ClapArgs)]
pub(super) struct RegistryArgs {
    /// Trust the certificates in this file too, PEM
    #[arg(long, value_name = "FILE", help_heading = "Registries")]
    pub(super) ca_file: Option<PathBuf>,
    /// Speak plain HTTP to registries that speak no TLS; to this machine's own it is spoken anyway, to Docker Hub
    /// never
    #[arg(long, help_heading = "Registries")]
    pub(super) plain_http: bool,
}

impl From<RegistryArgs> for registry::Settings {
    fn from(args: RegistryArgs) -> Self {
        Self { ca_file: args.ca_file, plain_http: args.plain_http, ..Self::default() }
    }
}

/// What a profile for system calls does with those that were not seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum SeccompMode {
    /// Allows and logs them: for a first time in production
    #[default]
    Log,
    /// Lets them fail
    Enforce,
}

/// What is said, and how.
#[derive(Debug, ClapArgs)]
pub(super) struct TalkArgs {
    /// What to print
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT", help_heading = "What is said")]
    pub(super) format: Format,
    /// Say nothing but errors
    #[arg(short, long, conflicts_with = "verbose", help_heading = "What is said")]
    pub(super) quiet: bool,
    /// Do not cut lists short; `kiln harden` also says how layers were made
    #[arg(short, long, help_heading = "What is said")]
    pub(super) verbose: bool,
}

/// What is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum Format {
    /// A summary for people
    #[default]
    Text,
    /// The whole report for programs
    Json,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn arguments_are_well_defined() {
        Args::command().debug_assert();
    }
}
