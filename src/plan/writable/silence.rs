//! Logs that the software says it does not write: what its distribution prepared for them is not needed.
//!
//! A unit, a `tmpfiles.d` line, the owner of a directory and a path in a program's bytes say how software is usually
//! run; the directives of this image say how it runs. Reads none of them itself: `directives` does.

use std::collections::BTreeMap;

use super::{Candidate, Inputs, place};
use crate::evidence::{Evidence, EvidenceKind};
use crate::finding::{Code, Finding};
use crate::path::ImagePath;
use crate::recipe::Purpose;

/// What the directives about logs say together.
#[derive(Debug, Default)]
pub(super) struct Logs {
    switched_off: Option<Evidence>,
    written: bool,
}

impl Logs {
    /// A directive that is certainly read, and says that no file is written: off, a stream, a daemon, a pipe.
    pub(super) fn no_file(&mut self, why: &Evidence) {
        self.switched_off.get_or_insert_with(|| why.clone());
    }

    /// A directive names a file, or may: one of several is enough to need its directory, and perhaps others.
    pub(super) fn maybe_file(&mut self) {
        self.written = true;
    }

    /// The directive that says so, where no log is written to any file.
    pub(super) fn silence(&self) -> Option<&Evidence> {
        self.switched_off.as_ref().filter(|_| !self.written)
    }
}

/// Leaves out directories for logs that nothing but custom speaks for, and says so.
pub(super) fn without_logs(
    inputs: &Inputs<'_>,
    candidates: Vec<Candidate>,
    silence: &Evidence,
    findings: &mut Vec<Finding>,
) -> Vec<Candidate> {
    let place_of = |candidate: &Candidate| {
        let directory = inputs.rootfs.canonicalize_missing(&candidate.directory);
        directory.unwrap_or_else(|| candidate.directory.clone())
    };
    let mut by_place: BTreeMap<ImagePath, Vec<&Candidate>> = BTreeMap::new();
    for candidate in &candidates {
        by_place.entry(place_of(candidate)).or_default().push(candidate);
    }
    by_place.retain(|path, group| group.iter().all(|candidate| is_customary_log(candidate, path)));
    let others: Vec<ImagePath> =
        candidates.iter().map(place_of).filter(|place| !by_place.contains_key(place)).collect();
    for (path, group) in &by_place {
        let Some(first) = group.first().filter(|_| !others.iter().any(|other| path.is_within(other))) else {
            continue;
        };
        findings.push(Finding::new(
            Code::WritableUndeclared,
            path,
            format!(
                "`{}` ({}) sends the log elsewhere, so {} ({}) is no reason for a mount; `--writable {path}` declares it",
                silence.detail.trim_end(), silence.source, first.evidence.source, first.evidence.detail
            ),
        ));
    }
    let left_out: Vec<ImagePath> = by_place.into_keys().collect();
    candidates.into_iter().filter(|candidate| !left_out.contains(&place_of(candidate))).collect()
}

fn is_customary_log(candidate: &Candidate, path: &ImagePath) -> bool {
    let by_custom = matches!(
        candidate.evidence.kind,
        EvidenceKind::Unit | EvidenceKind::Tmpfiles | EvidenceKind::Ownership | EvidenceKind::Binary
    );
    by_custom && candidate.purpose.unwrap_or_else(|| place::purpose(path)) == Purpose::Log
}
