//! What kiln tells of an image: the report for programs, the summary for people.
//!
//! Pure functions of a plan and its surroundings: no clock, no environment, no terminal. What decides lives in
//! `plan`; nothing here changes what happens.

mod convert;
mod document;
#[cfg(test)]
pub(crate) mod fixture;
mod index;
mod inspection;
mod profile;
mod sections;
mod size;
mod style;
mod summary;
mod table;
mod trial;
mod verification;

use crate::digest::BlobDigest;

pub use document::{MEDIA_TYPE, Report, Sum, schema};
pub use index::{IndexContext, MEDIA_TYPE as INDEX_MEDIA_TYPE, ReportIndex, index_schema};
pub use inspection::{ImageFacts, Inspection};
pub use profile::render_profile;
pub use sections::Detail;
pub use size::{count, human};
pub use style::{Style, safe, shell_word};
pub use summary::{render_hardened, render_hardened_index, render_inspected};
pub use table::columns;
pub use trial::{Gained, Round, Trial};
pub use verification::{Verification, render_verified, verification_schema};

/// What a report says besides the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// kiln's version.
    pub version: String,
    /// The image that was read.
    pub source: ImageName,
    /// `OS/ARCH[/VARIANT]` of the image.
    pub platform: String,
    /// Where the result went; empty while nothing is written.
    pub destinations: Vec<ImageName>,
    /// [`crate::options::Options::canonical`].
    pub options: String,
    /// Layers of the result, bottom first; empty while nothing is written.
    pub layers: Vec<LayerChange>,
    /// What trying it showed, if it was tried.
    pub trial: Option<Trial>,
}

/// An image by name and content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageName {
    /// As the user named it.
    pub name: String,
    /// Digest of its manifest; `None` where the place keeps none (a `docker-archive:`).
    pub digest: Option<BlobDigest>,
}

/// A layer, before and after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerChange {
    /// The source's blob; `None` for kiln's own layer.
    pub before: Option<LayerBlob>,
    /// The result's blob. Equal to `before` where nothing changed.
    pub after: LayerBlob,
}

/// A stored layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerBlob {
    /// Of the bytes as stored.
    pub digest: BlobDigest,
    /// How many they are.
    pub bytes: u64,
}
