//! Arguments of `kiln generate` and `kiln debug-profile`.
//!
//! Touches nothing: a file named here is opened later.

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};

use super::RegistryArgs;
use super::values::{env_from, env_variable, extra, label, object_name, pod_image, port, set_config};
use crate::kube::Version;
use crate::kube::generate::{ClusterPlatform, Demand, EnvSource, Extra, Port};
use crate::path::ImagePath;

#[derive(Debug, ClapArgs)]
#[command(
    override_usage = "kiln generate [OPTIONS] [KIND] IMAGE\n       kiln generate [OPTIONS] [KIND] --manifest FILE --image NAME@DIGEST",
    after_help = "KIND is Pod, Deployment, StatefulSet, DaemonSet, Job or CronJob; without it, a StatefulSet where the app keeps \
    data that must outlive its pods, else a Deployment. All that the pod is comes from the image's writable manifest: user, ports, \
    probes, a volume for each directory that the app writes, with the evidence for it as a comment. A ServiceAccount of its own \
    goes with it, and a headless Service with a StatefulSet. Two calls with the same arguments give the same bytes.\n\n\
    Nothing is written that the Kubernetes of --kube-version lacks; what a newer one would add is said on stderr."
)]
#[expect(clippy::struct_excessive_bools, reason = "flags, each of its own")]
pub(in crate::cli) struct GenerateArgs {
    /// What makes the pods
    #[arg(value_name = "KIND")]
    pub(in crate::cli) first: Option<String>,
    /// The hardened image; of an index, all its platforms
    #[arg(value_name = "IMAGE")]
    pub(in crate::cli) second: Option<String>,
    /// Write there: a file, with `--format kustomize` a directory [default: stdout]
    #[arg(short, long, value_name = "PATH")]
    pub(in crate::cli) output: Option<PathBuf>,
    /// As what
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(in crate::cli) format: OutputFormat,
    /// Name of the workload and of what goes with it [default: from the image's name]
    #[arg(long, value_name = "NAME", value_parser = object_name)]
    pub(in crate::cli) name: Option<String>,
    /// Where all of it is
    #[arg(long, value_name = "NAME", value_parser = label)]
    pub(in crate::cli) namespace: Option<String>,
    /// What else is made: `service`, `serviceaccount` (made in any case), `networkpolicy`, `pdb`, `namespace`; several between
    /// commas
    #[arg(long, value_name = "WHAT", value_delimiter = ',', value_parser = extra)]
    pub(in crate::cli) with: Vec<Extra>,
    /// Pods at a time [default: 2 of a Deployment, 1 of a StatefulSet]
    #[arg(long, value_name = "N")]
    pub(in crate::cli) replicas: Option<u32>,
    /// When a CronJob runs, as cron has it
    #[arg(long, value_name = "SCHEDULE")]
    pub(in crate::cli) schedule: Option<String>,
    /// The app listens there, instead of where the manifest says; may be given several times
    #[arg(long, value_name = "N[/udp]", value_parser = port, help_heading = "The pod")]
    pub(in crate::cli) port: Vec<Port>,
    /// Mount this file read-only over the image's, from a ConfigMap; may be given several times
    #[arg(long, value_name = "PATH=FILE", value_parser = set_config, help_heading = "The pod")]
    pub(in crate::cli) set_config: Vec<(ImagePath, PathBuf)>,
    /// Set this in the app's environment; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = env_variable, help_heading = "The pod")]
    pub(in crate::cli) env: Vec<(String, String)>,
    /// Set what this object of the cluster holds in the app's environment; may be given several times
    #[arg(long, value_name = "configmap/NAME|secret/NAME", value_parser = env_from, help_heading = "The pod")]
    pub(in crate::cli) env_from: Vec<EnvSource>,
    /// What the pod gets: `requests.` or `limits.` and `cpu`, `memory` or `ephemeral-storage`; several between commas
    #[arg(long, value_name = "WHAT=QUANTITY", value_delimiter = ',', help_heading = "The pod")]
    pub(in crate::cli) resources: Vec<Demand>,
    /// Claim a volume for data that must outlive the pod, also where the kind is no StatefulSet
    #[arg(long, help_heading = "The pod")]
    pub(in crate::cli) claims: bool,
    /// Say in each container, too, what the pod says for all, for tools that read no more
    #[arg(long, help_heading = "The pod")]
    pub(in crate::cli) explicit: bool,
    /// Give the pod users of its own (Kubernetes 1.36)
    #[arg(long, help_heading = "The pod")]
    pub(in crate::cli) userns: bool,
    /// Let nothing on a volume be executed (Kubernetes 1.37, with the feature gate VolumeBindMountOptions)
    #[arg(long, help_heading = "The pod")]
    pub(in crate::cli) noexec: bool,
    /// What kind of cluster it is for
    #[arg(long, value_enum, default_value_t, value_name = "PLATFORM", help_heading = "The cluster")]
    pub(in crate::cli) platform: Cluster,
    /// The oldest version of Kubernetes that must take it, 1.25 or newer
    #[arg(long, value_name = "1.N", default_value_t = Version::OLDEST_SUPPORTED, help_heading = "The cluster")]
    pub(in crate::cli) kube_version: Version,
    #[command(flatten)]
    pub(in crate::cli) subject: ImageArgs,
    /// The source image as the cluster has it, where an init container of it does what only that can
    #[arg(long, value_name = "NAME[@DIGEST]", value_parser = pod_image, help_heading = "The image")]
    pub(in crate::cli) source_image: Option<String>,
    /// Say nothing but errors
    #[arg(short, long)]
    pub(in crate::cli) quiet: bool,
}

/// What is known of the image, and how.
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct ImageArgs {
    /// Read this writable manifest, or index of some, and no image
    #[arg(long, value_name = "FILE", help_heading = "The image")]
    pub(in crate::cli) manifest: Option<PathBuf>,
    /// The image as the cluster has it; of one that is read its digest comes from there
    #[arg(long, value_name = "NAME[@DIGEST]", value_parser = pod_image, help_heading = "The image")]
    pub(in crate::cli) image: Option<String>,
    #[command(flatten)]
    pub(in crate::cli) registry: RegistryArgs,
}

/// As what objects are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(in crate::cli) enum OutputFormat {
    /// YAML, with comments
    #[default]
    Yaml,
    /// One list, JSON
    Json,
    /// A directory that `kubectl apply -k` takes
    Kustomize,
    /// Values for a chart in the shape of `helm create`
    HelmValues,
}

/// What kind of cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(in crate::cli) enum Cluster {
    /// Upstream's
    #[default]
    Kubernetes,
    /// OpenShift, whose namespaces give users and groups
    #[value(name = "openshift")]
    OpenShift,
}

impl From<Cluster> for ClusterPlatform {
    fn from(cluster: Cluster) -> Self {
        match cluster {
            Cluster::Kubernetes => Self::Kubernetes,
            Cluster::OpenShift => Self::OpenShift,
        }
    }
}

#[derive(Debug, ClapArgs)]
#[command(
    override_usage = "kiln debug-profile [OPTIONS] IMAGE\n       kiln debug-profile [OPTIONS] --manifest FILE",
    after_help = "A hardened pod has no shell. `kubectl debug` puts a container beside the app's, of an image of yours that has \
    one; with this profile it has the app's user and volumes, a read-only root and no capability, so that what admits the \
    pod admits it. The command is said on stderr."
)]
pub(in crate::cli) struct DebugProfileArgs {
    /// The hardened image
    #[arg(value_name = "IMAGE")]
    pub(in crate::cli) from: Option<String>,
    /// Write there [default: stdout]
    #[arg(short, long, value_name = "FILE")]
    pub(in crate::cli) output: Option<PathBuf>,
    /// As what
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(in crate::cli) format: DebugFormat,
    /// The app's container, for the command [default: from the image's name]
    #[arg(long, value_name = "NAME", value_parser = label)]
    pub(in crate::cli) name: Option<String>,
    /// What kind of cluster it is for
    #[arg(long, value_enum, default_value_t, value_name = "PLATFORM")]
    pub(in crate::cli) platform: Cluster,
    #[command(flatten)]
    pub(in crate::cli) subject: ImageArgs,
    /// Say nothing but errors
    #[arg(short, long)]
    pub(in crate::cli) quiet: bool,
}

/// As what the profile is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(in crate::cli) enum DebugFormat {
    /// YAML, with comments
    #[default]
    Yaml,
    /// JSON
    Json,
}
