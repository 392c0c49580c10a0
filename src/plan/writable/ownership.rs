//! Directories that their owner and mode let the user write.
//!
//! Modes say what may be written, not what is: only empty directories of the user's own are declared for it.

use std::collections::BTreeSet;

use super::candidate::evidence;
use super::{Candidate, Inputs, content, place};
use crate::evidence::{Confidence, EvidenceKind};
use crate::finding::{Code, Finding};
use crate::path::ImagePath;
use crate::plan::{PathContent, WritablePath};

/// Whether `path`, links followed, is a directory of the user, who is not root.
pub(super) fn is_users(inputs: &Inputs<'_>, path: &ImagePath) -> bool {
    inputs.user.uid != 0
        && inputs
            .rootfs
            .entry_following(path)
            .is_some_and(|entry| entry.is_directory() && entry.uid == inputs.user.uid)
}

/// Topmost directories without content that the user or its groups may write.
pub(super) fn candidates(inputs: &Inputs<'_>) -> Vec<Candidate> {
    topmost(inputs, |access| access != Access::World)
        .into_iter()
        .filter(|(path, _)| content::content(inputs, path) == PathContent::Empty)
        .filter(|(path, _)| place::refuse(inputs, path).is_none())
        .map(|(path, access)| {
            let why = evidence(EvidenceKind::Ownership, path.absolute(), access.to_string());
            Candidate::directory(path, Confidence::Possible, why)
        })
        .collect()
}

/// Says which directories the user could write in the source and cannot any more.
pub(super) fn undeclared(inputs: &Inputs<'_>, declared: &[WritablePath], findings: &mut Vec<Finding>) {
    for (path, access) in topmost(inputs, |_| true) {
        // Of a directory that holds a declared one, that one is what the app writes.
        if declared.iter().any(|writable| path.is_within(&writable.path) || writable.path.is_within(&path)) {
            continue;
        }
        if findings
            .iter()
            .any(|told| told.code == Code::WritableUndeclared && told.subject == path.to_string())
        {
            continue;
        }
        let message = match place::refuse(inputs, &path) {
            Some(refusal) => format!("{access}, but not in the hardened image: {refusal}"),
            None => format!(
                "{access}, but nothing else says that the app writes there; `--writable {path}` declares it"
            ),
        };
        findings.push(Finding::new(Code::WritableUndeclared, &path, message));
    }
}

/// By what right the user may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    Owner,
    Group(u32),
    World,
}

impl std::fmt::Display for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Owner => f.write_str("a directory owned by the user"),
            Self::Group(gid) => write!(f, "a directory that the user's group {gid} may write"),
            Self::World => f.write_str("a directory that everybody may write"),
        }
    }
}

/// Directories the user may write that have none such above them, by path.
fn topmost(inputs: &Inputs<'_>, wanted: impl Fn(Access) -> bool) -> Vec<(ImagePath, Access)> {
    let mut seen: BTreeSet<ImagePath> = BTreeSet::new();
    let mut out = Vec::new();
    for (path, _) in inputs.rootfs.nodes() {
        let Some(entry) = inputs.rootfs.entry(path).filter(|entry| entry.is_directory()) else { continue };
        if place::is_kernel(path) {
            continue;
        }
        let in_group = entry.gid == inputs.user.gid || inputs.user.groups.contains(&entry.gid);
        let access = if entry.uid == inputs.user.uid && inputs.user.uid != 0 {
            Access::Owner
        } else if in_group && entry.gid != 0 && entry.mode & 0o020 != 0 {
            Access::Group(entry.gid)
        } else if entry.mode & 0o002 != 0 {
            Access::World
        } else {
            continue;
        };
        if !wanted(access) || path.ancestors().any(|above| seen.contains(&above)) {
            continue;
        }
        seen.insert(path.clone());
        out.push((path.clone(), access));
    }
    out
}
