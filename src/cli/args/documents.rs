//! Arguments of what prints documents: of an image, and of kiln itself.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};

use super::values::platforms;
use super::{Format, Platforms, RegistryArgs};

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct ManifestArgs {
    #[command(subcommand)]
    pub(in crate::cli) action: ManifestAction,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ManifestAction {
    /// Print the writable manifest of a hardened image: from its registry, else from the image itself
    Show {
        /// The hardened image
        image: String,
        /// Which image of an index: OS/ARCH[/VARIANT] [default: this machine's]
        #[arg(long, value_name = "PLATFORM", value_parser = platforms)]
        platform: Option<Platforms>,
        #[command(flatten)]
        registry: RegistryArgs,
    },
    /// Write the documents of a hardened image to files: the writable manifest of each platform, and from a registry
    /// also the pod spec and the report
    Pull {
        /// The hardened image
        image: String,
        /// The directory for them; made where it is missing
        #[arg(short, long, value_name = "DIR")]
        output: PathBuf,
        #[command(flatten)]
        registry: RegistryArgs,
    },
}

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct RecipeArgs {
    #[command(subcommand)]
    pub(in crate::cli) action: RecipeAction,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum RecipeAction {
    /// Name the recipes that kiln brings
    List {
        /// What to print
        #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
        format: Format,
    },
    /// Print a recipe that kiln brings: a start for one of your own
    Show {
        /// As `kiln recipe list` names it
        name: String,
    },
    /// Say all that is wrong with recipes; exit with 1 if anything is
    Lint {
        /// TOML files
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// What to print
        #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
        format: Format,
    },
}

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct ExplainArgs {
    /// A code (KN001), its word (shell-stays), a rule of the audit (FS001), or a promise (H1); none lists them all
    pub(in crate::cli) code: Option<String>,
    /// What to print
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(in crate::cli) format: Format,
}

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct SchemaArgs {
    /// Of what
    #[arg(value_enum)]
    pub(in crate::cli) document: Document,
}

/// A document of kiln's.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(in crate::cli) enum Document {
    /// What must be writable, and how the app starts
    Manifest,
    /// What went and why
    Report,
    /// The writable manifests of an image for several platforms
    ManifestIndex,
    /// The report of an image for several platforms
    ReportIndex,
    /// Which promises hold
    Verification,
    /// What runs of an image showed
    Profile,
    /// What came of `kiln run`
    Run,
    /// What `kiln audit` found
    Audit,
    /// What `kiln audit --logs` found
    LogPaths,
}

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct CompletionArgs {
    /// For which shell
    #[arg(value_enum)]
    pub(in crate::cli) shell: clap_complete::Shell,
}
