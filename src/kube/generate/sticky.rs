//! Directories in which everybody may make files and only their owners remove them: what `/tmp` is outside of volumes.
//!
//! Which images have Ruby, which takes no other, their recipes say.

use k8s_openapi::api::core::v1::EnvVar;

use super::claims::Claims;
use super::feature::{Gate, STICKY};
use crate::kube::pod::volumes::mounted;
use crate::manifest::{Manifest, Path};

/// The mode that such a volume is given, which Kubernetes takes as a decimal number only.
pub(super) const MODE: u32 = 0o1777;

/// The bit that makes it such a one.
const STICKY_BIT: u32 = 0o1000;

/// Names the directory for temporary files.
const VARIABLE: &str = "TMPDIR";

/// Memory that processes share, 64 MiB at most unless the runtime is told otherwise: every container has it, and it is sticky.
const SHARED_MEMORY: &str = "/dev/shm";

/// The recipe of the language that takes no directory that everybody may write to and that is not sticky.
const RECIPE: &str = "ruby";

/// Names of the volumes of directories that are sticky in the image, where the version can make them so.
pub(super) fn volumes(manifest: &Manifest, claims: &Claims, gate: &mut Gate) -> Vec<String> {
    let is_sticky = |path: &Path| u32::from_str_radix(&path.mode, 8).is_ok_and(|mode| mode & STICKY_BIT != 0);
    let names: Vec<String> = mounted(manifest)
        .into_iter()
        // What is filled is a directory of the volume, with a mode of its own.
        .filter(|(path, _, _)| is_sticky(path) && !path.seeded && !claims.hold(path))
        .map(|(_, name, _)| name)
        .collect();
    if !names.is_empty() && gate.has(&STICKY) { names } else { Vec::new() }
}

/// Another directory for temporary files than a `/tmp` that Ruby does not take, unless somebody named one, and what is to be known
/// of that. Also where the version can make that sticky: not every cluster of that version does.
pub(super) fn directory(manifest: &Manifest, env: &[EnvVar]) -> Option<(EnvVar, String)> {
    let tmp = manifest.paths.iter().find(|path| path.path == "/tmp" && !path.seeded)?;
    let assigned = format!("{VARIABLE}=");
    let is_named = env.iter().any(|variable| variable.name == VARIABLE)
        || manifest.env_added.iter().any(|variable| variable.name == VARIABLE)
        || manifest.process.entrypoint.env.iter().any(|variable| variable.name == VARIABLE)
        || manifest
            .paths
            .iter()
            .flat_map(|path| &path.evidence)
            .any(|evidence| evidence.detail.starts_with(&assigned));
    let is_mounted = mounted(manifest).iter().any(|(path, _, _)| path.path == tmp.path);
    if !is_mounted || is_named || !manifest.recipes.iter().any(|recipe| recipe == RECIPE) {
        return None;
    }
    let variable =
        EnvVar { name: VARIABLE.to_owned(), value: Some(SHARED_MEMORY.to_owned()), value_from: None };
    let note = format!(
        "Ruby takes no temporary directory that everybody may write to and that is not sticky, as a volume at /tmp is: `{VARIABLE}` is {SHARED_MEMORY}, 64 MiB of memory; `--env {VARIABLE}=DIR` names another"
    );
    Some((variable, note))
}
