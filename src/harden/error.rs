//! Why an image could not be hardened.
//!
//! Wraps what the stages say; adds which layer it was.

use crate::cache::CacheError;
use crate::digest::BlobDigest;
use crate::finding::Finding;
use crate::image::LayerError;
use crate::image::platform::ParsePlatformError;
use crate::layer::index::IndexError;
use crate::layer::rewrite::RewriteError;
use crate::limits::LimitError;
use crate::path::glob::GlobError;
use crate::plan::user::UserError;
use crate::report::count;
use crate::rootfs::merge::MergeError;
use crate::sink::SinkError;
use crate::source::SourceError;

/// Why an image could not be hardened.
#[derive(Debug, thiserror::Error)]
pub enum HardenError {
    /// `--platform` is no platform.
    #[error(transparent)]
    Platform(ParsePlatformError),
    /// `--keep` or `--strip` is no glob.
    #[error(transparent)]
    Glob(GlobError),
    /// The source's documents cannot be read.
    #[error(transparent)]
    Source(SourceError),
    /// The cache that was asked for cannot be used.
    #[error(transparent)]
    Cache(CacheError),
    /// The image is larger than the user allows.
    #[error("{0}")]
    Limit(#[source] LimitError),
    /// A layer is not what it should be.
    #[error(transparent)]
    Layer(LayerError),
    /// A layer is no tar stream of an image.
    #[error("layer {layer}")]
    Index {
        /// From 0 at the bottom.
        layer: usize,
        /// What is wrong.
        #[source]
        source: IndexError,
    },
    /// The layers make no file tree.
    #[error(transparent)]
    Merge(MergeError),
    /// The image was hardened already, and other options are asked for now.
    #[error(
        "the image was hardened already, with {}: expected the same options or none, found {}",
        shown(recorded),
        shown(found)
    )]
    HardenedOtherwise {
        /// What it records.
        recorded: String,
        /// What is asked for.
        found: String,
        /// What it says that it was made from.
        source_digest: String,
    },
    /// The profile is of another image.
    #[error("the profile is of another image: expected one of layers {expected}, found {found}")]
    Profile {
        /// `ChainID` of the image.
        expected: String,
        /// That of the profile's.
        found: String,
    },
    /// The profile is of runs on another processor.
    #[error("the profile is of another platform: expected one of {expected}, found {found}")]
    ProfilePlatform {
        /// What the image is for.
        expected: String,
        /// What it ran on.
        found: String,
    },
    /// The level goes by runs, and there are none.
    #[error("level `minimal` keeps what runs of the image used: expected a profile of some, found none")]
    Unwatched,
    /// There are findings of the severity from which on nothing is to be written.
    #[error("strict: {} of severity high, and nothing is written", count(.0.len() as u64, "finding", "findings"))]
    Refused(Vec<Finding>),
    /// The source is not what it was when the hardened image was tried.
    #[error("the source has changed meanwhile: tried was {tried}, and now it would be {found}")]
    Changed {
        /// Digest of the image that was tried.
        tried: BlobDigest,
        /// Digest of the one that was made now.
        found: BlobDigest,
    },
    /// No user can be chosen.
    #[error(transparent)]
    User(UserError),
    /// A layer cannot be written again.
    #[error("layer {layer}")]
    Rewrite {
        /// From 0 at the bottom.
        layer: usize,
        /// What is wrong.
        #[source]
        source: RewriteError,
    },
    /// A compressor could not be started or ended.
    #[error("layer {layer}: compressing")]
    Encode {
        /// From 0 at the bottom.
        layer: usize,
        /// What is wrong.
        #[source]
        source: std::io::Error,
    },
    /// The destination cannot be written.
    #[error(transparent)]
    Sink(SinkError),
    /// One platform of several.
    #[error("platform {platform}")]
    Of {
        /// Which; escaped.
        platform: String,
        /// What is wrong.
        #[source]
        source: Box<HardenError>,
    },
}

/// Options in a sentence.
fn shown(options: &str) -> String {
    if options.is_empty() {
        "no options".into()
    } else {
        format!("`{}`", crate::path::Escaped::new(options.as_bytes()))
    }
}
