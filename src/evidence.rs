//! Evidence: why kiln believes that an app writes somewhere, listens somewhere, runs as somebody.
//!
//! Values only; who finds it is in `plan::writable`.

use serde::{Deserialize, Serialize};

/// Where a belief comes from, strongest kinds first.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum EvidenceKind {
    /// The user said so on the command line.
    User,
    /// The app did it while it was watched.
    Trace,
    /// The image's config: `VOLUME`, `EXPOSE`, `ENV`, `USER`.
    Config,
    /// A directive in a configuration file of the image.
    Directive,
    /// A systemd unit of the image.
    Unit,
    /// A `tmpfiles.d` line of the image.
    Tmpfiles,
    /// A recipe knows this software.
    Recipe,
    /// Owner and mode of a directory.
    Ownership,
    /// A path in the main program's bytes that exists as a directory.
    Binary,
}

/// One piece of evidence.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Evidence {
    /// Where it comes from.
    pub kind: EvidenceKind,
    /// The place: a file and line of the image, a recipe's name, a config field. Escaped.
    pub source: String,
    /// What stands there. Escaped.
    pub detail: String,
}

/// How sure kiln is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// It may be written.
    Possible,
    /// Software of this kind writes it.
    Likely,
    /// The image itself says so: a directive that is read, a `VOLUME`.
    Proven,
}
