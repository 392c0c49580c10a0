//! Paths that variables of the config name, and the working directory.
//!
//! Knows variables that many programs share; one program's own are its recipe's.

use super::candidate::evidence;
use super::{Candidate, Inputs, ownership, place};
use crate::evidence::{Confidence, EvidenceKind};
use crate::path::ImagePath;
use crate::recipe::Purpose;

/// Variables that name a directory, and what for (POSIX `TMPDIR`; XDG Base Directory 0.8; postgres' `PGDATA`).
const VARIABLES: &[(&str, Purpose)] = &[
    ("TMPDIR", Purpose::Tmp),
    ("TMP", Purpose::Tmp),
    ("TEMP", Purpose::Tmp),
    ("PGDATA", Purpose::State),
    ("XDG_RUNTIME_DIR", Purpose::Run),
    ("XDG_CACHE_HOME", Purpose::Cache),
    ("XDG_STATE_HOME", Purpose::State),
    ("XDG_DATA_HOME", Purpose::State),
    ("XDG_CONFIG_HOME", Purpose::Config),
];

/// Candidates of the environment and the working directory.
pub(super) fn candidates(inputs: &Inputs<'_>) -> Vec<Candidate> {
    let mut out = Vec::new();
    for (name, value) in inputs.env {
        let Some((_, purpose)) = VARIABLES.iter().find(|(known, _)| known == name) else { continue };
        let Some(path) = directory(value) else { continue };
        let why = evidence(EvidenceKind::Config, "config Env", format!("{name}={value}"));
        let candidate = Candidate::directory(path, Confidence::Likely, why).purpose(*purpose);
        // postgres starts with no other, and neither does its `initdb`.
        let is_private = name == "PGDATA";
        let mode = is_private.then_some(0o700);
        out.push(Candidate { mode, insists: is_private, ..candidate });
    }
    if let Some((_, value)) = inputs.env.iter().rev().find(|(name, _)| name == "HOME")
        && let Some(path) = directory(value)
        && ownership::is_users(inputs, &path)
    {
        // Dot files are content that a mount would hide: reason enough to say so, not to fail.
        let why = evidence(EvidenceKind::Ownership, "config Env", format!("HOME={value}, owned by the user"));
        out.push(Candidate::directory(path, Confidence::Possible, why));
    }
    if let Some(path) = directory(inputs.working_dir)
        && ownership::is_users(inputs, &path)
    {
        let detail = format!("working directory {}, owned by the user", inputs.working_dir);
        let why = evidence(EvidenceKind::Ownership, "config WorkingDir", detail);
        out.push(Candidate::directory(path, Confidence::Possible, why));
    }
    out
}

fn directory(value: &str) -> Option<ImagePath> {
    value.starts_with('/').then(|| place::absolute(value, "/")).flatten()
}
