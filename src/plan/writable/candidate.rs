//! One reason to believe that a path is written, before reasons are united.
//!
//! Does not know what the image has at the path; `content` and `unite` do.

use crate::evidence::{Confidence, Evidence, EvidenceKind};
use crate::path::{Escaped, ImagePath};
use crate::recipe::Purpose;

/// One reason to believe that a path is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    /// The directory, as named: symbolic links not followed yet.
    pub directory: ImagePath,
    /// The file in it, where a single file is named.
    pub file: Option<ImagePath>,
    /// What for; `None` is told from the place.
    pub purpose: Option<Purpose>,
    /// How sure.
    pub confidence: Confidence,
    /// Why.
    pub evidence: Evidence,
    /// Suggested size limit, MiB.
    pub size_mib: Option<u32>,
    /// Whether the app makes the directory itself where its parent is writable.
    pub made_by_app: bool,
    /// Whether whoever says so says that it may be missing.
    pub optional: bool,
    /// Mode of a mount point that the image does not have.
    pub mode: Option<u16>,
    /// Whether the software refuses a directory of another owner or mode.
    pub insists: bool,
}

impl Candidate {
    /// A directory in which files are written; it must be there.
    pub fn directory(directory: ImagePath, confidence: Confidence, evidence: Evidence) -> Self {
        Self {
            directory,
            file: None,
            purpose: None,
            confidence,
            evidence,
            size_mib: None,
            made_by_app: false,
            optional: false,
            mode: None,
            insists: false,
        }
    }

    /// A file that is written: its directory must be writable.
    pub fn file(file: ImagePath, confidence: Confidence, evidence: Evidence) -> Self {
        let directory = file.parent().unwrap_or_else(ImagePath::root);
        Self { file: Some(file), ..Self::directory(directory, confidence, evidence) }
    }

    /// The same, for `purpose`.
    pub fn purpose(self, purpose: Purpose) -> Self {
        Self { purpose: Some(purpose), ..self }
    }

    /// Whether nothing but names and modes speaks for it: not reason enough to hide content or to say that
    /// the app cannot start.
    pub fn is_weak(&self) -> bool {
        matches!(self.evidence.kind, EvidenceKind::Ownership | EvidenceKind::Binary)
    }
}

/// Evidence in escaped words.
pub(super) fn evidence(kind: EvidenceKind, source: impl AsRef<[u8]>, detail: impl AsRef<[u8]>) -> Evidence {
    Evidence {
        kind,
        source: Escaped::new(source.as_ref()).to_string(),
        detail: Escaped::new(detail.as_ref()).to_string(),
    }
}
