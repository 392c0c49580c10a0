//! Why documents cannot be made as they were asked for.
//!
//! Words only.

use super::{MAX_CONFIG, MAX_NAME, OLDEST};
use crate::kube::version::Version;

/// Why documents cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GenerateError {
    /// A version that lacks what every pod here has.
    #[error("Kubernetes {0}: expected {OLDEST} or newer")]
    Version(Version),
    /// A name that not every object can have.
    #[error(
        "name `{0}`: expected lower-case letters, digits and inner hyphens, a letter first, at most {MAX_NAME} characters"
    )]
    Name(String),
    /// Something that the kind has not.
    #[error("`{option}`: a {kind} {why}")]
    Kind {
        /// What was asked for.
        option: &'static str,
        /// Of what.
        kind: &'static str,
        /// Why not.
        why: &'static str,
    },
    /// A CronJob that never runs.
    #[error("a CronJob needs `--schedule`, such as `--schedule '0 3 * * *'`")]
    NoSchedule,
    /// A schedule that cron does not read.
    #[error(
        "`--schedule`: expected five fields such as `0 3 * * 0`, or `@daily`, `@every 1h` and the like, found `{0}`"
    )]
    Schedule(String),
    /// A Service before nothing.
    #[error("`--with service`: the manifest names no port: `--port N` does")]
    NoPorts,
    /// A Namespace without a name.
    #[error("`--with namespace`: expected its name as `--namespace NAME`")]
    NoNamespace,
    /// Containers of the source image, which nobody names.
    #[error(
        "an init container is of the source image: expected its name as `--source-image REPOSITORY@DIGEST`"
    )]
    NoSourceImage,
    /// One port for two.
    #[error("`--port`: {0} stands there twice")]
    PortTwice(String),
    /// A variable that stands there twice.
    #[error("`--env`: `{0}` stands there twice")]
    EnvTwice(String),
    /// A file that cannot be mounted there.
    #[error("`--set-config`: {path}: {why}")]
    ConfigPath {
        /// Where.
        path: String,
        /// Why not.
        why: String,
    },
    /// A file that is too large for an object of a cluster.
    #[error("`--set-config`: {path}: {bytes} bytes, and a ConfigMap holds no more than {MAX_CONFIG}")]
    ConfigLarge {
        /// Where.
        path: String,
        /// How large.
        bytes: usize,
    },
    /// Resources that do not hold what the pod has.
    #[error("`--resources`: {field}: {said} is less than {least}: {why}")]
    Little {
        /// Which.
        field: String,
        /// What it says.
        said: String,
        /// What it must be at least.
        least: String,
        /// Why.
        why: &'static str,
    },
    /// A wish that clusters of the version need not fulfil.
    #[error(
        "`{option}`: `{field}` is written for Kubernetes 1.{since} and newer, found {version}: `--kube-version 1.{since}`"
    )]
    Lacks {
        /// What was asked for.
        option: &'static str,
        /// The field that does it.
        field: &'static str,
        /// What was asked to take it.
        version: Version,
        /// `N` of the first that has it.
        since: u32,
    },
    /// A format that cannot say it.
    #[error("`--format helm-values`: {0}")]
    Helm(String),
}
