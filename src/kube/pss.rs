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
    /// The lowest level that has it.
    pub level: Level,
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
    let Standing { violations, .. } = stand(level, version, metadata, spec);
    violations
}

/// What a pod may not be at a level.
pub(crate) struct Standing {
    /// By control, those of lower levels too.
    pub(crate) violations: Vec<Violation>,
    /// What only lower levels forbid: controls that the level asks for in other words.
    pub(crate) needless: Vec<Violation>,
}

/// The same as [`evaluate`], and what lower levels forbid besides.
pub(crate) fn stand(level: Level, version: Version, metadata: &Value, spec: &Value) -> Standing {
    let pod = Pod::new(metadata, spec, version.min(Version::NEWEST).0);
    let applies = |control: &&Control| control.level <= level && control.since <= pod.minor;
    let is_needless = |control: &Control| {
        let mut others = CONTROLS.iter().filter(applies);
        others.any(|other| other.instead_of == Some(control.name))
    };
    let mut standing = Standing { violations: Vec::new(), needless: Vec::new() };
    for control in CONTROLS.iter().filter(applies) {
        let Some(Found { message, fields }) = (control.check)(&pod) else { continue };
        let violation = Violation { control: control.name, level: control.level, message, fields };
        let list = if is_needless(control) { &mut standing.needless } else { &mut standing.violations };
        list.push(violation);
    }
    standing
}

#[cfg(test)]
mod tests;
