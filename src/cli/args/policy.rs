//! Arguments of `kiln policy`.
//!
//! Which of them mean something to which engine the library says.

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};

use super::RegistryArgs;
use super::values::{image_name, label, object_name, platform};
use crate::kube::Version;
use crate::kube::policy::{Enforce, Engine};
use crate::reference::RegistryReference;

#[derive(Debug, ClapArgs)]
#[expect(clippy::struct_excessive_bools, reason = "flags as they are typed")]
#[command(
    after_help = "Without an image the rules are for every image: a read-only root file system in every kind of container, and images \
    pinned by digest. With images they are for those: writable mounts only where their writable manifests have them, and for Falco \
    and Tetragon writes elsewhere, programs from where they write, and tools that they do not have. Several manifests of one \
    repository are united, and those of an index.\n\n\
    Pods are checked, not what makes them: of a Deployment whose pods break a rule nothing is said before its pods are refused, in \
    the events of its ReplicaSet.\n\n\
    --with-tests adds what each policy accepts and rejects: for `gator verify`, `kyverno test`, and `kubectl apply --dry-run=server`; \
    for Falco and Tetragon as events."
)]
pub(in crate::cli) struct PolicyArgs {
    /// For whom
    #[arg(value_enum, value_name = "KIND")]
    pub(in crate::cli) engine: PolicyEngine,
    /// Rules for this hardened image, in a registry; may be given several times
    #[arg(long, value_name = "IMAGE", help_heading = "Images")]
    pub(in crate::cli) image: Vec<String>,
    /// Rules for the image of this writable manifest; may be given several times
    #[arg(long, value_name = "FILE", help_heading = "Images")]
    pub(in crate::cli) manifest: Vec<PathBuf>,
    /// What the image of a manifest is called in the cluster, one for each `--manifest`, in order: HOST/REPO:TAG@DIGEST
    #[arg(long, value_name = "NAME", value_parser = image_name, help_heading = "Images")]
    pub(in crate::cli) image_name: Vec<RegistryReference>,
    /// Only this image of an index: OS/ARCH[/VARIANT] [default: all of them together]
    #[arg(long, value_name = "PLATFORM", value_parser = platform, requires = "image", help_heading = "Images")]
    pub(in crate::cli) platform: Option<String>,
    /// The cluster's version, for what not every one has
    #[arg(long, value_name = "VERSION", default_value_t = Version::OLDEST_SUPPORTED)]
    pub(in crate::cli) kube_version: Version,
    /// Where the rules hold; may be given several times [default: for every image production and staging, for named ones
    /// everywhere; Falco and Tetragon everywhere]
    #[arg(long, value_name = "NAMESPACE", value_parser = label)]
    pub(in crate::cli) namespace: Vec<String>,
    /// What becomes of a pod that breaks a rule [default: deny; Falco and Tetragon audit]
    #[arg(long, value_enum, value_name = "HOW")]
    pub(in crate::cli) enforce: Option<PolicyEnforce>,
    /// Let through images whose name begins so, as it is written in pods; may be given several times
    #[arg(long, value_name = "IMAGE-PREFIX", value_parser = prefix)]
    pub(in crate::cli) exempt: Vec<String>,
    /// tetragon: what the workload of the image is called, as in `kiln generate --name` [default: from the image's name]
    #[arg(long, value_name = "NAME", value_parser = object_name)]
    pub(in crate::cli) app: Option<String>,
    /// psa: the standard of whichever version the cluster has, also after an upgrade
    #[arg(long, conflicts_with_all = ["mutate", "legacy"])]
    pub(in crate::cli) latest: bool,
    /// kyverno: instead of refusing pods of the named images, give them the volumes and the read-only root that they need
    #[arg(long, conflicts_with = "legacy")]
    pub(in crate::cli) mutate: bool,
    /// kyverno: `ClusterPolicy`, which Kyverno had before `ValidatingPolicy`
    #[arg(long)]
    pub(in crate::cli) legacy: bool,
    /// Also write what each policy accepts and what it rejects; needs a directory
    #[arg(long, requires = "output")]
    pub(in crate::cli) with_tests: bool,
    /// Write the policies there: into a directory if it is one, ends in `/` or is for tests too, else into one file
    /// [default: stdout]
    #[arg(short, long, value_name = "FILE|DIR")]
    pub(in crate::cli) output: Option<PathBuf>,
    #[command(flatten)]
    pub(in crate::cli) registry: RegistryArgs,
}

/// For whom policies are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum PolicyEngine {
    /// OPA Gatekeeper: constraint templates with Rego and CEL, and constraints
    Gatekeeper,
    /// Kyverno: `ValidatingPolicy`
    Kyverno,
    /// The API server's `ValidatingAdmissionPolicy`
    Vap,
    /// The API server's `MutatingAdmissionPolicy`: adds what named images need
    Map,
    /// Labels of namespaces for Pod Security admission
    Psa,
    /// Rules for Falco
    Falco,
    /// Tetragon's `TracingPolicy`
    Tetragon,
}

impl From<PolicyEngine> for Engine {
    fn from(engine: PolicyEngine) -> Self {
        match engine {
            PolicyEngine::Gatekeeper => Self::Gatekeeper,
            PolicyEngine::Kyverno => Self::Kyverno,
            PolicyEngine::Vap => Self::Vap,
            PolicyEngine::Map => Self::Map,
            PolicyEngine::Psa => Self::Psa,
            PolicyEngine::Falco => Self::Falco,
            PolicyEngine::Tetragon => Self::Tetragon,
        }
    }
}

/// What becomes of a pod that breaks a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum PolicyEnforce {
    /// It is refused; Tetragon kills the process
    Deny,
    /// Whoever makes it is told
    Warn,
    /// It is recorded
    Audit,
}

impl From<PolicyEnforce> for Enforce {
    fn from(enforce: PolicyEnforce) -> Self {
        match enforce {
            PolicyEnforce::Deny => Self::Deny,
            PolicyEnforce::Warn => Self::Warn,
            PolicyEnforce::Audit => Self::Audit,
        }
    }
}

/// The beginning of an image's name; one that is empty would be every image's.
fn prefix(text: &str) -> Result<String, String> {
    let plain = text.trim_end_matches('*');
    let good = !plain.is_empty()
        && plain.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:@/[]".contains(&byte));
    if good {
        Ok(plain.to_owned())
    } else {
        Err("expected the beginning of an image's name, such as `registry.example/istio/`".into())
    }
}
