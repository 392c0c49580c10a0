//! Arguments of `kiln audit`.
//!
//! Touches nothing: a file named here is opened later.

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};

use super::RegistryArgs;
use crate::audit::place::PodSpecPath;
use crate::audit::{Platform, render};
use crate::finding::Severity;
use crate::kube::Version;

#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Rules that need an image are not decided without it and do not count as passed: name it with --image, or let \
    --resolve fetch it. `kiln explain CODE` tells what a rule finds and what to do.\n\n\
    A resource that is not to be told of a finding says so in an annotation, a line each:\n  \
    kiln.dev/ignore: |\n    FS007/app until 2027-03-31: bounded by the app itself\n\n\
    Exit status: 0 nothing of the severity of --fail-on; 1 something is; 3 a file that cannot be read or is no YAML."
)]
pub(in crate::cli) struct AuditArgs {
    /// Files of manifests, directories of them (*.yaml, *.yml, *.json), or - for stdin
    #[arg(required_unless_present = "logs", value_name = "PATH")]
    pub(in crate::cli) paths: Vec<PathBuf>,
    /// Read logs of an app instead, and say which directories it could not write: files, or - for stdin
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with_all = ["paths", "images", "resolve", "rules", "skip", "baseline", "write_baseline", "pss"])]
    pub(in crate::cli) logs: Vec<PathBuf>,
    #[command(flatten)]
    pub(in crate::cli) asked: AskedArgs,
    /// What only new versions can do weighs in full
    #[arg(long, help_heading = "What is asked")]
    pub(in crate::cli) strict: bool,
    /// Exit with 1 if anything of this severity or above is found
    #[arg(long, value_enum, default_value_t, value_name = "SEVERITY", help_heading = "What decides")]
    pub(in crate::cli) fail_on: FailOn,
    /// Exit with 1 if a pod does not meet this level of the Pod Security Standards
    #[arg(long, value_enum, value_name = "LEVEL", help_heading = "What decides")]
    pub(in crate::cli) pss: Option<PssLevel>,
    /// Findings in this file do not count
    #[arg(long, value_name = "FILE", help_heading = "What decides")]
    pub(in crate::cli) baseline: Option<PathBuf>,
    /// Write what is found there, as a baseline for the next time
    #[arg(long, value_name = "FILE", help_heading = "What decides")]
    pub(in crate::cli) write_baseline: Option<PathBuf>,
    /// What to print
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT", help_heading = "What is said")]
    pub(in crate::cli) format: AuditFormat,
    /// Write it there
    #[arg(short, long, value_name = "FILE", help_heading = "What is said")]
    pub(in crate::cli) output: Option<PathBuf>,
    /// Tell findings of severity info too
    #[arg(short, long, help_heading = "What is said")]
    pub(in crate::cli) verbose: bool,
}

/// What is asked of manifests, and which images are known.
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct AskedArgs {
    /// Only these rules: FS001, or FS for all of them; may be given several times
    #[arg(long = "rule", value_name = "RULE", value_delimiter = ',', value_parser = rule, help_heading = "What is asked")]
    pub(in crate::cli) rules: Vec<String>,
    /// None of these
    #[arg(long, value_name = "RULE", value_delimiter = ',', value_parser = rule, help_heading = "What is asked")]
    pub(in crate::cli) skip: Vec<String>,
    /// The version of Kubernetes whose rules count
    #[arg(long, value_name = "1.N", default_value_t, help_heading = "What is asked")]
    pub(in crate::cli) kube_version: Version,
    /// What runs the pods
    #[arg(long, value_enum, default_value_t, value_name = "PLATFORM", help_heading = "What is asked")]
    pub(in crate::cli) platform: PlatformArg,
    /// Where a kind that kiln does not know has its pods: Fleet=spec.groups[].template.spec; may be given several times
    #[arg(long, value_name = "KIND=FIELDS", help_heading = "What is asked")]
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
}

/// What runs the pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(in crate::cli) enum PlatformArg {
    /// Kubernetes as upstream has it
    #[default]
    Kubernetes,
    /// OpenShift, which gives each namespace user ids of its own
    Openshift,
}

impl From<PlatformArg> for Platform {
    fn from(platform: PlatformArg) -> Self {
        match platform {
            PlatformArg::Kubernetes => Self::Kubernetes,
            PlatformArg::Openshift => Self::Openshift,
        }
    }
}

/// From which severity on a finding decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(in crate::cli) enum FailOn {
    /// Whatever is found
    Info,
    /// All that is to be mended
    #[default]
    Low,
    /// What weighs more
    Medium,
    /// What lets the pod be changed or keeps it from running
    High,
    /// What gives away the node
    Critical,
    /// Nothing
    Never,
}

impl FailOn {
    /// The least severity that decides.
    pub(in crate::cli) fn severity(self) -> Option<Severity> {
        match self {
            Self::Info => Some(Severity::Info),
            Self::Low => Some(Severity::Low),
            Self::Medium => Some(Severity::Medium),
            Self::High => Some(Severity::High),
            Self::Critical => Some(Severity::Critical),
            Self::Never => None,
        }
    }
}

/// A level of the Pod Security Standards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum PssLevel {
    /// What is known to break out of a container is not asked for
    Baseline,
    /// What a hardened pod does not need is not asked for
    Restricted,
}

/// How an audit is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(in crate::cli) enum AuditFormat {
    /// For people
    #[default]
    Text,
    /// All of it, for programs
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// JUnit XML, for CI
    Junit,
    /// Notes beside the lines of a pull request on GitHub
    Github,
}

impl From<AuditFormat> for render::Format {
    fn from(format: AuditFormat) -> Self {
        match format {
            AuditFormat::Text => Self::Text,
            AuditFormat::Json => Self::Json,
            AuditFormat::Sarif => Self::Sarif,
            AuditFormat::Junit => Self::Junit,
            AuditFormat::Github => Self::Github,
        }
    }
}

/// What a pod names NAME is the image SOURCE.
pub(in crate::cli) fn known_image(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, source)) if !name.is_empty() && !source.is_empty() => {
            Ok((name.to_owned(), source.to_owned()))
        }
        _ => Err("expected NAME=SOURCE: the image's name in the pod, and where it is".to_owned()),
    }
}

/// The id of a rule, or what those of several begin with.
pub(in crate::cli) fn rule(text: &str) -> Result<String, String> {
    let is_one = |rule: &&crate::audit::rule::Rule| {
        rule.id.get(..text.len()).is_some_and(|start| start.eq_ignore_ascii_case(text))
    };
    if text.is_empty() || !crate::audit::rules::RULES.iter().any(is_one) {
        return Err("no such rule: `kiln explain` lists them".to_owned());
    }
    Ok(text.to_owned())
}
