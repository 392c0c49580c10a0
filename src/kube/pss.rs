//! The Pod Security Standards of Kubernetes: what a pod must not ask for at each level, by the version that is asked.
//!
//! Reads a pod as it was written, fields of newer versions too; decides as the admission of that version does, and knows
//! nothing besides the standards.

mod baseline;
mod pod;
mod restricted;

use serde_json::Value;

use super::version::Version;
pub use baseline::APP_ARMOR_ANNOTATION;
use pod::Pod;

/// How strict the standard is; `privileged` forbids nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// What is known to break out of a container.
    Baseline,
    /// What a hardened pod does not need.
    Restricted,
}

/// What a pod asks for and may not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Upstream's name of the control.
    pub control: &'static str,
    /// What is wrong, in one line.
    pub message: String,
    /// The fields that say so, or that should have said something, from the pod's top: `spec.containers[0].name`.
    pub fields: Vec<String>,
}

/// A control, from the version on that has it.
struct Control {
    name: &'static str,
    level: Level,
    since: u32,
    /// The control of the lower level that this one makes needless.
    instead_of: Option<&'static str>,
    check: fn(&Pod<'_>) -> Option<Found>,
}

/// What a control found.
struct Found {
    message: String,
    fields: Vec<String>,
}

/// By name.
const CONTROLS: [Control; 19] = [
    restricted::ALLOW_PRIVILEGE_ESCALATION,
    baseline::APP_ARMOR_PROFILE,
    baseline::CAPABILITIES,
    restricted::CAPABILITIES,
    baseline::HOST_NAMESPACES,
    baseline::HOST_PATH_VOLUMES,
    baseline::HOST_PORTS,
    baseline::HOST_PROBES,
    baseline::PRIVILEGED,
    baseline::PROC_MOUNT,
    restricted::PROC_MOUNT,
    restricted::VOLUMES,
    restricted::RUN_AS_NON_ROOT,
    restricted::RUN_AS_USER,
    baseline::SELINUX_OPTIONS,
    baseline::SECCOMP_PROFILE,
    restricted::SECCOMP_PROFILE,
    baseline::SYSCTLS,
    baseline::WINDOWS_HOST_PROCESS,
];

/// What the pod with this `metadata` and `spec` may not be at `level` in Kubernetes `version`; by control.
pub fn evaluate(level: Level, version: Version, metadata: &Value, spec: &Value) -> Vec<Violation> {
    let pod = Pod { metadata, spec, minor: version.min(Version::NEWEST).0 };
    let applies = |control: &&Control| control.level <= level && control.since <= pod.minor;
    let needless: Vec<&str> =
        CONTROLS.iter().filter(applies).filter_map(|control| control.instead_of).collect();
    CONTROLS
        .iter()
        .filter(applies)
        .filter(|control| !needless.contains(&control.name))
        .filter_map(|control| {
            let Found { message, fields } = (control.check)(&pod)?;
            Some(Violation { control: control.name, message, fields })
        })
        .collect()
}

#[cfg(test)]
mod tests;
