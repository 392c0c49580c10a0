//! A pod as somebody wrote it, as far as it says how its containers run.
//!
//! What is not understood is an error that names it: nothing that changes how a container runs is passed over in silence.
//! Knows no image; what the image says instead is for who starts it.

mod container;
pub(super) mod expand;
mod fields;
mod security;
mod volumes;
mod workload;

pub use workload::parse;

use std::collections::BTreeMap;

/// A pod, or what makes pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// `Pod`, `Deployment`, …
    pub kind: String,
    /// Its name.
    pub name: String,
    /// What the containers see as their host's name.
    pub hostname: String,
    /// Seconds between the stop signal and the kill.
    pub grace: u64,
    /// Containers that must end before the others start, in order.
    pub init: Vec<Container>,
    /// The others.
    pub containers: Vec<Container>,
}

/// A container, with what the pod says of all its containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// The image.
    pub image: String,
    /// Instead of the image's entrypoint and command.
    pub command: Vec<String>,
    /// Instead of the image's command.
    pub args: Option<Vec<String>>,
    /// More environment, in order.
    pub env: Vec<(String, String)>,
    /// Instead of the image's working directory.
    pub working_dir: Option<String>,
    /// Who it is, and what it may.
    pub security: Security,
    /// What is mounted over the image.
    pub mounts: Vec<Mount>,
    /// How the kubelet asks whether it serves: startup, readiness, liveness.
    pub probes: Vec<(ProbeKind, Ask)>,
    /// Bytes of memory it may use.
    pub memory: Option<u64>,
}

/// Who a container is, and what it may.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "as many as Kubernetes has, by the same names")]
pub struct Security {
    /// Numeric user; else the image's.
    pub user: Option<u32>,
    /// Numeric group; else the user's own.
    pub group: Option<u32>,
    /// Whether the kubelet refuses to start it as root.
    pub non_root: bool,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// Whether the groups that the image gives the user count, too.
    pub image_groups: ImageGroups,
    /// The group that volumes are given to.
    pub fs_group: Option<u32>,
    /// When files on them are.
    pub fs_group_change: GroupChange,
    /// Capabilities more than a runtime's default, as written.
    pub add: Vec<String>,
    /// Capabilities less, as written; `ALL` are all.
    pub drop: Vec<String>,
    /// `privileged`.
    pub privileged: bool,
    /// `allowPrivilegeEscalation`; Kubernetes allows it where nothing is said.
    pub escalation: bool,
    /// `readOnlyRootFilesystem`.
    pub read_only: bool,
    /// The filter for system calls.
    pub seccomp: Seccomp,
    /// Kernel parameters.
    pub sysctls: BTreeMap<String, String>,
}

/// When files that are on a volume already are given to the pod's `fsGroup`, with its rights to read and write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GroupChange {
    /// At every start, which is what Kubernetes does where nothing is said.
    #[default]
    Always,
    /// Where the volume's top is not the group's yet.
    OnRootMismatch,
}

/// Whether the groups that the image gives a user count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ImageGroups {
    /// They do.
    #[default]
    Merged,
    /// Only the pod's do.
    Left,
}

/// The filter for system calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Seccomp {
    /// None, which is what Kubernetes gives where nothing is said.
    #[default]
    Unconfined,
    /// The runtime's own.
    RuntimeDefault,
}

/// Something mounted over the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Name of the volume.
    pub volume: String,
    /// Where, absolute.
    pub path: String,
    /// The directory of the volume that is mounted, where it is not the volume's top.
    pub sub_path: Option<String>,
    /// Whether nothing can be written there.
    pub read_only: bool,
    /// What it is.
    pub medium: Medium,
    /// Most bytes in it.
    pub size: Option<u64>,
    /// Of its top, where the pod says it: from Kubernetes 1.37 on.
    pub mode: Option<u32>,
    /// Whether nothing can be executed there.
    pub no_exec: bool,
    /// What is in it, by name, where the document tells.
    pub files: Vec<(String, Vec<u8>)>,
}

/// What a volume is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Medium {
    /// An `emptyDir` on the node's disk.
    Disk,
    /// An `emptyDir` in memory.
    Memory,
    /// A claim, which is taken for a new, empty disk.
    Claim,
    /// A ConfigMap that stands beside the pod.
    Config,
}

/// Which of a container's probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeKind {
    /// `startupProbe`
    Startup,
    /// `readinessProbe`
    Readiness,
    /// `livenessProbe`
    Liveness,
}

impl ProbeKind {
    /// Its word in a sentence.
    pub fn name(self) -> &'static str {
        match self {
            Self::Startup => "startup",
            Self::Readiness => "readiness",
            Self::Liveness => "liveness",
        }
    }
}

/// What a probe asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// A port that accepts.
    Tcp(u16),
    /// A page that answers.
    Http {
        /// Port.
        port: u16,
        /// Path.
        path: String,
        /// The `Host` of the request.
        host: Option<String>,
        /// Over TLS or not.
        scheme: Scheme,
    },
    /// A command in the container.
    Exec(Vec<String>),
}

/// How a page is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Plain.
    Http,
    /// Over TLS.
    Https,
}

/// Why a pod cannot be taken as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GivenError {
    /// No YAML.
    #[error("not YAML: {0}")]
    Yaml(String),
    /// Nothing in it makes a pod.
    #[error(
        "expected a Pod, Deployment, StatefulSet, DaemonSet, ReplicaSet, ReplicationController, Job or CronJob, found {0}"
    )]
    NoPod(String),
    /// More than one does.
    #[error("expected one document that makes a pod, found {0}")]
    Several(usize),
    /// A field that is not understood.
    #[error("{0}: this field is not understood")]
    Unknown(String),
    /// A field that must be there.
    #[error("{0}: missing")]
    Missing(String),
    /// A value of another kind.
    #[error("{at}: expected {expected}")]
    Kind {
        /// Which field.
        at: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A value that kiln cannot give a container.
    #[error("{at}: `{value}` {why}")]
    Value {
        /// Which field.
        at: String,
        /// What it says.
        value: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

#[cfg(test)]
mod tests;
