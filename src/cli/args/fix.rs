//! Arguments of `kiln fix`.
//!
//! Touches nothing: a file named here is opened later.

use std::path::PathBuf;

use clap::{ArgGroup, Args as ClapArgs, ValueEnum};

use super::RegistryArgs;
use super::audit::{PlatformArg, known_image, rule};
use crate::audit::resource::PodSpecPath;
use crate::kube::Version;

#[derive(Debug, ClapArgs)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
#[command(group = ArgGroup::new("how").multiple(false))]
#[command(
    after_help = "What is mended is told on stderr, and what was left and why. Comments, order, quotes, anchors and line ends stay.\n\n\
    A read-only root file system is set where it is known what the image writes: name it with --image, or let --resolve fetch it. \
    Where it is not, nothing is written and the status is 6.\n\n\
    With - it is a post-renderer of Helm: helm template … | kiln fix - , or --post-renderer kiln --post-renderer-args fix \
    --post-renderer-args -\n\n\
    Exit status: 0 done; 2 usage; 3 a file that cannot be read or changed; 4 network or registry; 6 the read-only flag is refused."
)]
pub(in crate::cli) struct FixArgs {
    /// A file of manifests, or - for stdin; several, and directories, with --write, --diff or --patch
    #[arg(required = true, value_name = "PATH")]
    pub(in crate::cli) paths: Vec<PathBuf>,
    /// Change the files
    #[arg(long, group = "how", help_heading = "What comes of it")]
    pub(in crate::cli) write: bool,
    /// Print what would change, line by line
    #[arg(long, group = "how", help_heading = "What comes of it")]
    pub(in crate::cli) diff: bool,
    /// Print a patch for what would change
    #[arg(long, value_enum, group = "how", value_name = "KIND", help_heading = "What comes of it")]
    pub(in crate::cli) patch: Option<PatchKind>,
    /// Also mend what may change what the pod does
    #[arg(long = "unsafe", help_heading = "How far")]
    pub(in crate::cli) unsafe_: bool,
    /// Only these rules: FS001, or FS for all of them; may be given several times
    #[arg(long = "rule", value_name = "RULE", value_delimiter = ',', value_parser = rule, help_heading = "How far")]
    pub(in crate::cli) rules: Vec<String>,
    /// None of these
    #[arg(long, value_name = "RULE", value_delimiter = ',', value_parser = rule, help_heading = "How far")]
    pub(in crate::cli) skip: Vec<String>,
    /// The version of Kubernetes that is to take it
    #[arg(long, value_name = "1.N", default_value_t, help_heading = "How far")]
    pub(in crate::cli) kube_version: Version,
    /// What runs the pods
    #[arg(long, value_enum, default_value_t, value_name = "PLATFORM", help_heading = "How far")]
    pub(in crate::cli) platform: PlatformArg,
    /// Where a kind that kiln does not know has its pods: Fleet=spec.template.spec
    #[arg(long, value_name = "KIND=FIELDS", help_heading = "How far")]
    pub(in crate::cli) pod_spec_path: Vec<PodSpecPath>,
    /// What a pod names NAME is the image SOURCE, as kiln names images; may be given several times
    #[arg(long = "image", value_name = "NAME=SOURCE", value_parser = known_image, help_heading = "Images")]
    pub(in crate::cli) images: Vec<(String, String)>,
    /// Fetch every image that a pod names from its registry
    #[arg(long, help_heading = "Images")]
    pub(in crate::cli) resolve: bool,
    /// Which image of an index: OS/ARCH[/VARIANT] [default: this machine's]
    #[arg(long, value_name = "PLATFORM", value_parser = super::values::platform, help_heading = "Images")]
    pub(in crate::cli) image_platform: Option<String>,
    #[command(flatten)]
    pub(in crate::cli) registry: RegistryArgs,
    /// Tell nothing but what is refused, and errors
    #[arg(short, long, help_heading = "What is said")]
    pub(in crate::cli) quiet: bool,
}

/// A kind of patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum PatchKind {
    /// A kustomization with a patch for each resource
    Kustomize,
    /// Operations of RFC 6902, JSON, for each resource
    Json6902,
    /// Strategic merge patches of Kubernetes
    Strategic,
}
