//! What the command line needs done, as an interface.
//!
//! So that arguments, streams, files and exit statuses are tested without an image.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;

use crate::audit;
use crate::digest::BlobDigest;
use crate::documents::{Described, Named};
use crate::finding::Finding;
use crate::harden::Way;
use crate::limits::Limits;
use crate::observe::{self, Exercise, Observation};
use crate::options::{Options, UserProfile, UserRecipe};
use crate::plan::Plan;
use crate::profile::{Preparing, Probe};
use crate::progress::Progress;
use crate::promise::Proof;
use crate::recipe::Recipe;
use crate::registry;
use crate::report::{Context, ImageFacts, ImageName, IndexContext, Trial};
use crate::rootfs::Rootfs;
use crate::run::{Asked, RunReport};
use crate::trial::{self, Tried};

use super::Failure;

/// The library's work, as the command line asks for it.
pub trait Pipeline {
    /// Hardens an image and writes it to every destination, whole or not at all.
    fn harden(&self, request: &HardenRequest, progress: &dyn Progress) -> Result<Hardened, Failure>;

    /// Looks for a command of the source that makes, before the app starts, what hardening would keep its script for: tried as
    /// an init container of the hardened image's pod.
    fn prepare(
        &self,
        request: &HardenRequest,
        trial: &TrialRequest,
        progress: &dyn Progress,
    ) -> Result<Option<Preparing>, Failure>;

    /// Hardens an image where nobody sees it and tries it, again and again, until it holds or nothing helps.
    fn settle(
        &self,
        request: &HardenRequest,
        trial: &TrialRequest,
        progress: &dyn Progress,
    ) -> Result<Settled, Failure>;

    /// Hardens an image for every Linux platform and writes an index to every destination, whole or not at all.
    fn harden_platforms(
        &self,
        request: &HardenRequest,
        progress: &dyn Progress,
    ) -> Result<HardenedPlatforms, Failure>;

    /// Reads the image `source` and plans, without writing.
    fn inspect(
        &self,
        source: &str,
        options: &Options,
        registry: &registry::Settings,
        progress: &dyn Progress,
    ) -> Result<Inspected, Failure>;

    /// What an audit knows of an image: its files, its config, and what must be writable, recorded or planned.
    fn audited_image(
        &self,
        name: &str,
        platform: Option<&str>,
        registry: &registry::Settings,
    ) -> Result<audit::Image, Failure>;

    /// The writable manifest of a hardened image, JSON, for `platform` or this machine.
    fn writable_manifest(
        &self,
        image: &str,
        platform: Option<&str>,
        registry: &registry::Settings,
    ) -> Result<String, Failure>;

    /// Every document of a hardened image that there is.
    fn documents(&self, image: &str, registry: &registry::Settings) -> Result<Vec<Named>, Failure>;

    /// What a hardened image says of itself, for all its platforms.
    fn describe(&self, image: &str, registry: &registry::Settings) -> Result<Described, Failure>;

    /// Checks the promises of a hardened image.
    fn verify(&self, request: &VerifyRequest, progress: &dyn Progress) -> Result<VerifiedImage, Failure>;

    /// Runs an image in the sandbox, gives on what it says, and waits for its end.
    fn run(&self, request: &RunRequest, progress: &dyn Progress) -> Result<RunReport, Failure>;

    /// Watches an image in the sandbox from its start to its end.
    fn trace(&self, request: &TraceRequest, progress: &dyn Progress) -> Result<Traced, Failure>;

    /// kiln's own recipes, by name.
    fn builtin_recipes(&self) -> Vec<BuiltinRecipe>;

    /// The recipe in `text`, or all that is wrong with it, each with its line. `file` names it in errors.
    fn parse_recipe(&self, file: &str, text: &str) -> Result<Recipe, Vec<String>>;

    /// The JSON Schema of the writable manifest.
    fn manifest_schema(&self) -> String;
}

/// What to harden, and into what.
#[derive(Debug, Clone, PartialEq)]
pub struct HardenRequest {
    /// The image, as named: `oci:DIR[:REF]`, `docker://NAME`.
    pub source: String,
    /// Where to, as named; at least one.
    pub destinations: Vec<String>,
    /// How.
    pub options: Options,
    /// How registries are spoken to.
    pub registry: registry::Settings,
    /// Whether documents go with the image where a registry keeps them.
    pub referrers: Referrers,
    /// `metadata.name` of the pod; else from the image's name.
    pub pod_name: Option<String>,
    /// The image as the pod names it: a registry's; else a placeholder.
    pub pod_image: Option<String>,
    /// The source image as the pod names it, where it needs it; likewise.
    pub pod_source_image: Option<String>,
    /// What came of trying it, and the digest that was tried: another image is not written.
    pub tried: Option<(BlobDigest, Trial)>,
}

/// How a hardened image is tried before it is written.
#[derive(Debug, Clone, PartialEq)]
pub struct TrialRequest {
    /// Environment that the app gets besides the pod's.
    pub env: Vec<(String, String)>,
    /// What says that it is ready.
    pub probe: Option<Probe>,
    /// What is done when it is.
    pub exercises: Vec<Exercise>,
    /// How often it may be hardened and tried.
    pub rounds: NonZeroU32,
}

/// What came of hardening and trying.
#[derive(Debug, Clone)]
pub struct Settled {
    /// What it is to be hardened with: what was asked for, and what failed starts taught.
    pub options: Options,
    /// Digest of what was tried last.
    pub digest: BlobDigest,
    /// Every round, and what the last showed.
    pub trial: Trial,
    /// Whether that one holds.
    pub holds: bool,
}

/// Whether documents go with an image into a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Referrers {
    /// They do.
    #[default]
    Pushed,
    /// Only the image does.
    Left,
}

/// What a hardening leaves behind.
#[derive(Debug, Clone)]
pub struct Hardened {
    /// What was decided.
    pub plan: Plan,
    /// What the report says besides.
    pub context: Context,
    /// The writable manifest, JSON.
    pub manifest: String,
    /// The pod spec, YAML.
    pub pod: String,
    /// How the layers came to be what they are.
    pub ways: Vec<Way>,
}

/// What a hardening for several platforms leaves behind.
#[derive(Debug, Clone)]
pub struct HardenedPlatforms {
    /// What was decided for each, and what its report says besides; in the order of the index.
    pub platforms: Vec<(Plan, Context)>,
    /// What the report of all says besides.
    pub context: IndexContext,
    /// What is to be known of the index.
    pub findings: Vec<Finding>,
    /// The writable manifests in one document, JSON.
    pub manifest: String,
    /// The pod spec, YAML.
    pub pod: String,
    /// How the layers of all of them came to be what they are.
    pub ways: Vec<Way>,
}

/// What an inspection found.
#[derive(Debug, Clone)]
pub struct Inspected {
    /// What would be decided.
    pub plan: Plan,
    /// The merged tree of the image as it is.
    pub rootfs: Rootfs,
    /// What its config says.
    pub facts: ImageFacts,
    /// What the report says besides.
    pub context: Context,
}

/// What to verify, and against what.
#[derive(Debug, Clone, PartialEq)]
pub struct VerifyRequest {
    /// The hardened image, as named.
    pub image: String,
    /// Its source, as named.
    pub against: Option<String>,
    /// Recipes that the user brings.
    pub recipes: Vec<UserRecipe>,
    /// The profile that the user brings.
    pub profile: Option<Arc<UserProfile>>,
    /// How it is to be run, if it is.
    pub trial: Option<trial::Asked>,
    /// `OS/ARCH[/VARIANT]`; `None` is the host's.
    pub platform: Option<String>,
    /// Threads at the most.
    pub jobs: NonZeroUsize,
    /// How much is read.
    pub limits: Limits,
    /// How registries are talked to.
    pub registry: registry::Settings,
}

/// What to run, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct RunRequest {
    /// The image, as named.
    pub image: String,
    /// `OS/ARCH[/VARIANT]`; `None` is the host's.
    pub platform: Option<String>,
    /// What differs from how its author wrote it.
    pub asked: Asked,
    /// Where its output goes.
    pub said: Said,
    /// How much is read.
    pub limits: Limits,
    /// How registries are talked to.
    pub registry: registry::Settings,
}

/// What to watch, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceRequest {
    /// The image, as named.
    pub image: String,
    /// `OS/ARCH[/VARIANT]`; `None` is the host's.
    pub platform: Option<String>,
    /// What differs from how its author wrote it, and what to wait for.
    pub asked: observe::Asked,
    /// How many starts.
    pub runs: u32,
    /// Whether the app's output goes to kiln's stderr.
    pub aloud: bool,
    /// How much is read.
    pub limits: Limits,
    /// How registries are talked to.
    pub registry: registry::Settings,
}

/// What watching left behind.
#[derive(Debug, Clone)]
pub struct Traced {
    /// What was seen.
    pub observation: Observation,
    /// The end of what the app said.
    pub last_words: Vec<u8>,
}

/// Where an app's output goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// To kiln's stdout and stderr.
    ToBoth,
    /// To kiln's stderr, all of it.
    ToStderr,
}

/// What a verification found.
#[derive(Debug, Clone)]
pub struct VerifiedImage {
    /// The image.
    pub image: ImageName,
    /// Its platform.
    pub platform: String,
    /// The source that it was compared with.
    pub against: Option<ImageName>,
    /// A proof for each promise.
    pub proofs: Vec<Proof>,
    /// What a run of it showed.
    pub tried: Option<Tried>,
}

/// A recipe that kiln brings.
#[derive(Debug, Clone, PartialEq)]
pub struct BuiltinRecipe {
    /// Short name.
    pub name: String,
    /// The software's own name.
    pub title: String,
    /// Its TOML.
    pub text: String,
}
