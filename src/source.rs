//! Where images come from: one narrow door, one file per place.
//!
//! Does not interpret layers: it gives their stored bytes, and the reader verifies them.

mod archive;
mod docker_archive;
mod docker_daemon;
mod documents;
mod layout;
mod oci_archive;
mod platforms;
mod registry;

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::PathBuf;

pub use platforms::{LeftOut, PlatformImage, Platforms, WhyLeftOut};

use crate::cache::Cache;
use crate::daemon::DaemonError;
use crate::digest::{BlobDigest, ImageId};
use crate::image::config::ConfigError;
use crate::image::manifest::ManifestError;
use crate::image::media::UnsupportedCompression;
use crate::image::{Config, FoundCompanion, LayerDescriptor, Platform, WantedCompanion};
use crate::limits::{LimitError, Limits};
use crate::reference::Reference;
use crate::registry::{Registries, RegistryError};

/// A place that holds images.
pub trait Source: Send + Sync {
    /// The image for `platform`; `None` is this machine's, or the only one there is.
    fn image(&self, platform: Option<&Platform>) -> Result<SourceImage, SourceError>;

    /// What platforms there are images for, and what an index holds besides.
    fn platforms(&self) -> Result<Platforms, SourceError>;

    /// What the place's own list calls the image, whatever platforms it is for; only a layout has such a list.
    fn name(&self) -> Result<Option<String>, SourceError> {
        Ok(None)
    }

    /// Documents that are `wanted` and stand beside the manifest or index `subject`; only a registry keeps any.
    fn companions(
        &self,
        subject: &BlobDigest,
        wanted: &[WantedCompanion],
    ) -> Result<Vec<FoundCompanion>, SourceError> {
        let _ = (subject, wanted);
        Ok(Vec::new())
    }

    /// The stored bytes of `layer`, from the start, not verified.
    ///
    /// May be called again, and from several threads at once; readers do not disturb each other.
    fn open_layer(&self, layer: &LayerDescriptor) -> Result<Box<dyn Read + Send>, SourceError>;
}

/// An image as its documents say; the layers are not read yet.
#[derive(Debug, Clone)]
pub struct SourceImage {
    /// The manifest that was read; `None` for a docker archive, which has none: there [`SourceImage::image_id`] names it.
    pub manifest_digest: Option<BlobDigest>,
    /// The index that led to the manifest by platform, the innermost where they nest. A layout's own `index.json` is none.
    pub index_digest: Option<BlobDigest>,
    /// The config.
    pub config: Config,
    /// Its bytes.
    pub config_bytes: Vec<u8>,
    /// Their digest.
    pub image_id: ImageId,
    /// The layers, base first; as many as the config has `diff_ids`.
    pub layers: Vec<LayerDescriptor>,
    /// Annotations of the manifest.
    pub annotations: BTreeMap<String, String>,
    /// What the place calls it: reference name, or repository and tag. Not a fact about the image: never goes into outputs.
    pub name: Option<String>,
}

/// Opens what `reference` names, within the default limits; reads no image yet.
///
/// Compressed archives, stdin and what a daemon exports are spooled to a temporary file first. Registries are connected to
/// when the image is asked for.
pub fn open_source(reference: &Reference, registries: &Registries) -> Result<Box<dyn Source>, SourceError> {
    open_source_within(reference, registries, &Limits::default(), &Cache::default())
}

/// As [`open_source`]; spools and fetches as far as `limits` go, and does not fetch layers that `cache` knows before somebody
/// asks for their bytes.
pub fn open_source_within(
    reference: &Reference,
    registries: &Registries,
    limits: &Limits,
    cache: &Cache,
) -> Result<Box<dyn Source>, SourceError> {
    Ok(match reference {
        Reference::OciLayout { directory, tag } => Box::new(layout::Layout::open(directory, tag.clone())?),
        Reference::OciArchive { file, tag } => {
            Box::new(oci_archive::OciArchive::open(file, tag.clone(), limits)?)
        }
        Reference::DockerArchive { file, tag } => {
            Box::new(docker_archive::DockerArchive::open(file, tag.clone(), limits)?)
        }
        Reference::DockerDaemon { name } => Box::new(docker_daemon::open(name, limits)?),
        Reference::Registry(reference) => {
            Box::new(registry::Registry::open(reference, registries, limits, cache))
        }
    })
}

/// Why an image cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A registry that does not give it.
    #[error("{0}")]
    Registry(#[source] RegistryError),
    /// Nothing there, or not allowed.
    #[error("cannot open `{}`", path.display())]
    Open {
        /// What.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Something there that cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// What.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A directory without an image layout's files.
    #[error("`{}` is not an OCI image layout: `{missing}` is missing", path.display())]
    NotALayout {
        /// The directory or archive.
        path: PathBuf,
        /// What is not there.
        missing: &'static str,
    },
    /// A layout of a version that is not known.
    #[error("`{}` is an OCI image layout of an unknown version: expected `1.x`", .0.display())]
    LayoutVersion(PathBuf),
    /// A file where a directory must be, or the other way round.
    #[error("`{}` is not a {expected}", path.display())]
    WrongKind {
        /// What.
        path: PathBuf,
        /// What it must be.
        expected: &'static str,
    },
    /// Compressed in a way that kiln does not read.
    #[error("cannot read `{}`", path.display())]
    Compression {
        /// The archive or layer.
        path: PathBuf,
        /// Why.
        #[source]
        source: UnsupportedCompression,
    },
    /// Not a tar archive, or a broken one.
    #[error("`{}` is not a tar archive that can be read", path.display())]
    Tar {
        /// The archive.
        path: PathBuf,
        /// Why.
        #[source]
        source: tar_core::parse::ParseError,
    },
    /// More members than any image has.
    #[error("archive `{}` has more than {limit} members", path.display())]
    TooManyMembers {
        /// The archive.
        path: PathBuf,
        /// How many at most.
        limit: usize,
    },
    /// A compressed archive, or layers of a registry's, of more bytes than the user allows.
    #[error("cannot read `{}`", path.display())]
    Limit {
        /// The archive or image.
        path: PathBuf,
        /// Which limit.
        #[source]
        source: LimitError,
    },
    /// The temporary copy of a compressed archive.
    #[error("cannot unpack `{}` to a temporary file", path.display())]
    Spool {
        /// The archive.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A document that leads to more others than any real one.
    #[error("index leads to more than {limit} {what}")]
    IndexTooLarge {
        /// How many at most.
        limit: u64,
        /// Of what.
        what: &'static str,
    },
    /// An archive that is shorter than its member says.
    #[error("archive `{}` ends within its member `{member}`", path.display())]
    CutMember {
        /// The archive.
        path: PathBuf,
        /// The member, escaped.
        member: String,
    },
    /// An archive without a member that it names or needs.
    #[error("archive `{}` does not contain `{member}`", path.display())]
    MissingMember {
        /// The archive.
        path: PathBuf,
        /// The member, escaped.
        member: String,
    },
    /// A blob that a document names is not there.
    #[error("blob {digest} is missing in `{}`", path.display())]
    MissingBlob {
        /// Where.
        path: PathBuf,
        /// Which.
        digest: BlobDigest,
    },
    /// A blob of another size than its descriptor says.
    #[error("blob {digest} has the wrong size: expected {expected} bytes, found {found}")]
    WrongSize {
        /// Which.
        digest: BlobDigest,
        /// What the descriptor says.
        expected: u64,
        /// What is stored.
        found: u64,
    },
    /// A document whose bytes are not its digest's.
    #[error("blob is not what its digest says: expected {expected}, found {found}")]
    WrongDigest {
        /// What the descriptor says.
        expected: BlobDigest,
        /// What is stored.
        found: BlobDigest,
    },
    /// An index, manifest or config larger than any real one.
    #[error("{what} is larger than {} bytes", crate::image::MAX_DOCUMENT)]
    DocumentTooLarge {
        /// Which.
        what: String,
    },
    /// A manifest or index that cannot be used.
    #[error("{what} cannot be used")]
    Manifest {
        /// Which.
        what: String,
        /// Why.
        #[source]
        source: ManifestError,
    },
    /// A config that cannot be used.
    #[error("config {image_id} cannot be used")]
    Config {
        /// Which.
        image_id: ImageId,
        /// Why.
        #[source]
        source: ConfigError,
    },
    /// `manifest.json` of a docker archive that cannot be used.
    #[error("`manifest.json` of `{}` cannot be parsed", path.display())]
    DockerManifest {
        /// The archive.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// Manifest and config disagree.
    #[error(
        "config {image_id} has {diff_ids} diff_ids and the manifest {layers} layers: expected the same number"
    )]
    LayerCount {
        /// Which config.
        image_id: ImageId,
        /// In the config.
        diff_ids: usize,
        /// In the manifest.
        layers: usize,
    },
    /// No image of that name.
    #[error("`{}` has no image named `{tag}`: {}", path.display(), found(names))]
    NoSuchTag {
        /// Where.
        path: PathBuf,
        /// The name asked for.
        tag: String,
        /// The names there are, sorted.
        names: Vec<String>,
    },
    /// Several images and no name to choose by.
    #[error("`{}` has several images and none was named: {}", path.display(), found(names))]
    SeveralImages {
        /// Where.
        path: PathBuf,
        /// Their names, sorted.
        names: Vec<String>,
    },
    /// No image at all.
    #[error("`{}` has no image", .0.display())]
    NoImage(PathBuf),
    /// The daemon has it not, or there is none.
    #[error(transparent)]
    Daemon(DaemonError),
    /// Images for other machines only.
    #[error("no image for platform `{wanted}`: {}", found(platforms))]
    NoSuchPlatform {
        /// What was asked for.
        wanted: Platform,
        /// What there is, sorted.
        platforms: Vec<String>,
    },
    /// Images for other systems only.
    #[error("no image for Linux: {}", found(platforms))]
    NoLinux {
        /// What there is.
        platforms: Vec<String>,
    },
    /// More platforms than there are.
    #[error("index has images for {found} platforms, more than {limit}")]
    TooManyPlatforms {
        /// How many.
        found: usize,
        /// How many at most.
        limit: usize,
    },
    /// Indexes within indexes beyond reason.
    #[error("indexes are nested more than {0} deep")]
    IndexDepth(usize),
}

fn found(names: &[String]) -> String {
    if names.is_empty() { "found none".to_owned() } else { format!("found `{}`", names.join("`, `")) }
}
