//! Arguments of `kiln fix`.
//!
//! Touches nothing: a file named here is opened later.

use std::path::PathBuf;

use clap::{ArgGroup, Args as ClapArgs, ValueEnum};

use super::audit::AskedArgs;

#[derive(Debug, ClapArgs)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
#[command(group = ArgGroup::new("how").multiple(false))]
#[command(
    after_help = "What is mended is told on stderr, and what was left and why. Comments, order, quotes, anchors and line ends stay.\n\n\
    A read-only root file system is set where it is known what the image writes: name it with --image, or let --resolve fetch it. \
    Where it is not, nothing is written and the status is 6.\n\n\
    With - it is a post-renderer of Helm 3: helm template … | kiln fix - , or --post-renderer kiln --post-renderer-args fix \
    --post-renderer-args - . For Helm 4 --helm-plugin writes one, with the options beside it: helm plugin install DIR, then \
    --post-renderer kiln. Helm does not show what a plugin says: try helm template … | kiln fix - first.\n\n\
    Exit status: 0 done; 2 usage; 3 a file that cannot be read or changed; 4 network or registry; 6 the read-only flag is refused."
)]
pub(in crate::cli) struct FixArgs {
    /// A file of manifests, or - for stdin; several, and directories, with --write, --diff or --patch
    #[arg(required_unless_present = "helm_plugin", value_name = "PATH")]
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
    /// Write a plugin for Helm 4 into this directory, which mends what Helm renders as these options say
    #[arg(
        long,
        group = "how",
        value_name = "DIR",
        conflicts_with = "paths",
        help_heading = "What comes of it"
    )]
    pub(in crate::cli) helm_plugin: Option<PathBuf>,
    /// Also mend what may change what the pod does
    #[arg(long = "unsafe", help_heading = "How far")]
    pub(in crate::cli) unsafe_: bool,
    #[command(flatten)]
    pub(in crate::cli) asked: AskedArgs,
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
