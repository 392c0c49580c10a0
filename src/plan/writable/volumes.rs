//! Paths that the config or the command line declares: `VOLUME`, `--writable`, what lowered scripts make.
//!
//! Takes them at their word; what the image has there is `content`'s.

use super::candidate::evidence;
use super::{Candidate, Inputs, place};
use crate::evidence::{Confidence, EvidenceKind};
use crate::finding::{Code, Finding};
use crate::path::{Escaped, ImagePath};
use crate::recipe::Purpose;

/// What the evidence of a lowered script is called.
pub(super) const LOWERING: &str = "lowering";

/// Candidates of `VOLUME`, `--writable` and lowering.
pub(super) fn candidates(inputs: &Inputs<'_>, findings: &mut Vec<Finding>) -> Vec<Candidate> {
    let mut out = Vec::new();
    for volume in inputs.volumes {
        let Some(path) = place::absolute(volume, "/") else {
            findings.push(Finding::new(
                Code::WritableRefused,
                Escaped::new(volume.as_bytes()),
                "the config declares it as a volume, but it is no path",
            ));
            continue;
        };
        findings.push(Finding::new(
            Code::VolumeMoved,
            &path,
            "a runtime would mount a volume here that the pod spec does not show; the hardened image declares none",
        ));
        let why = evidence(EvidenceKind::Config, "config Volumes", volume);
        out.push(Candidate::directory(path, Confidence::Proven, why));
    }
    for path in inputs.extra {
        let why = evidence(EvidenceKind::User, "--writable", path.absolute());
        out.push(Candidate::directory(path.clone(), Confidence::Proven, why));
    }
    for path in inputs.lowering_directories {
        let kind = if inputs.traced.is_some() { EvidenceKind::Trace } else { EvidenceKind::Recipe };
        let why = evidence(kind, LOWERING, "the script that was lowered makes this directory");
        out.push(Candidate::directory(path.clone(), Confidence::Likely, why));
    }
    out.extend(tmp(inputs));
    out
}

/// `/tmp`, where the image has it: what any library may use without asking.
fn tmp(inputs: &Inputs<'_>) -> Option<Candidate> {
    let path = ImagePath::literal("/tmp");
    inputs.rootfs.node(&path)?;
    let why =
        evidence(EvidenceKind::Ownership, "/tmp", "directory for scratch files, writable for everybody");
    Some(Candidate::directory(path, Confidence::Likely, why).purpose(Purpose::Tmp))
}
