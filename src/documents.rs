//! Documents of a hardened image, read back: from the registry that holds them beside it, or from the image itself.
//!
//! Believes no document more than its digest: what it says is for `verify` to hold against the image.

use std::collections::BTreeMap;

use crate::digest::BlobDigest;
use crate::harden::MANIFEST_PATH;
use crate::image::{LayerError, LayerReader, Platform};
use crate::layer::index::{IndexError, read_index};
use crate::manifest::{self, Manifest, ParseManifestError};
use crate::path::ImagePath;
use crate::rootfs::Kind;
use crate::source::{PlatformImage, Source, SourceError};

/// Largest writable manifest, in bytes: real ones have some ten KiB.
const MAX_MANIFEST: u64 = 16 << 20;

/// Why the documents of an image cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum DocumentsError {
    /// The image cannot be read.
    #[error(transparent)]
    Source(SourceError),
    /// A layer of it cannot be read.
    #[error(transparent)]
    Layer(LayerError),
    /// A layer of it is no tar stream of an image.
    #[error("layer {layer}")]
    Index {
        /// From 0 at the bottom.
        layer: usize,
        /// What is wrong.
        #[source]
        source: IndexError,
    },
    /// kiln did not make it, or somebody took the manifest away.
    #[error(
        "image {0} has no writable manifest: neither beside it in its registry nor as `/.kiln/manifest.json` in itself"
    )]
    NoManifest(BlobDigest),
    /// What is there is none.
    #[error("image {image}")]
    Manifest {
        /// Whose.
        image: BlobDigest,
        /// What is wrong.
        #[source]
        source: ParseManifestError,
    },
}

/// A document as a file would hold it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Name of the file.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// The writable manifest of the image for `platform`; `None` is this machine's, or the only one there is.
pub fn writable_manifest(source: &dyn Source, platform: Option<&Platform>) -> Result<String, DocumentsError> {
    let listed = source.platforms().map_err(DocumentsError::Source)?;
    let image = listed.choose(platform).map_err(DocumentsError::Source)?;
    manifest_of(source, image)
}

fn manifest_of(source: &dyn Source, image: &PlatformImage) -> Result<String, DocumentsError> {
    let beside = source.companions(&image.digest, &[manifest::MEDIA_TYPE]);
    let mut beside = beside.map_err(DocumentsError::Source)?.into_iter();
    let bytes = match (beside.next(), beside.next()) {
        (Some(only), None) => only.bytes,
        // Anybody who may push can put one beside the image; of several the image's own is the true one.
        _ => own_manifest(source, image)?.ok_or(DocumentsError::NoManifest(image.digest))?,
    };
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let wrong = |source| DocumentsError::Manifest { image: image.digest, source };
    Manifest::parse(&text).map_err(wrong)?;
    Ok(text)
}

/// `/.kiln/manifest.json` of the image, from the topmost layer that has it: kiln's own, unless the image was built upon.
fn own_manifest(source: &dyn Source, image: &PlatformImage) -> Result<Option<Vec<u8>>, DocumentsError> {
    let path = ImagePath::literal(MANIFEST_PATH);
    let documents = source.image(Some(&image.platform)).map_err(DocumentsError::Source)?;
    for (layer, descriptor) in documents.layers.iter().enumerate().rev() {
        let stored = source.open_layer(descriptor).map_err(DocumentsError::Source)?;
        let mut reader = LayerReader::new(stored, descriptor).map_err(DocumentsError::Layer)?;
        let index = read_index(&mut reader, &|other| (*other == path).then_some(MAX_MANIFEST));
        reader.finish().map_err(DocumentsError::Layer)?;
        let index = index.map_err(|source| DocumentsError::Index { layer, source })?;
        if let Some(entry) = index.entries.into_iter().rfind(|entry| entry.path == path) {
            return Ok(match entry.kind {
                Kind::File(file) => file.bytes.map(|kept| kept.bytes().into_owned()),
                _ => None,
            });
        }
    }
    Ok(None)
}

/// Every document of the image that there is: the writable manifest of each platform, and what stands beside the image.
pub fn all(source: &dyn Source) -> Result<Vec<Named>, DocumentsError> {
    let listed = source.platforms().map_err(DocumentsError::Source)?;
    let mut named = BTreeMap::new();
    for image in &listed.linux {
        let name = match listed.linux.as_slice() {
            [_] => "writable-manifest.json".to_owned(),
            _ => format!("writable-manifest.{}.json", file_word(&image.platform.to_string())),
        };
        named.insert(name, manifest_of(source, image)?.into_bytes());
    }
    let kinds = [
        (crate::kube::pod::MEDIA_TYPE, "pod", "yaml"),
        (crate::report::MEDIA_TYPE, "report", "json"),
        (crate::report::INDEX_MEDIA_TYPE, "report", "json"),
    ];
    let root = listed.index_digest.or_else(|| listed.linux.first().map(|image| image.digest));
    let beside = match root {
        Some(root) => {
            let types = kinds.map(|(media_type, ..)| media_type);
            source.companions(&root, &types).map_err(DocumentsError::Source)?
        }
        None => Vec::new(),
    };
    for (media_type, stem, extension) in kinds {
        let mut those: Vec<_> = beside
            .iter()
            .filter(|found| found.artifact_type == media_type)
            .map(|found| &found.bytes)
            .collect();
        those.sort_unstable();
        for (number, bytes) in those.into_iter().enumerate() {
            // Each push of the image under another name or from another place has documents of its own.
            let name = match number {
                0 => format!("{stem}.{extension}"),
                more => format!("{stem}-{}.{extension}", more + 1),
            };
            named.insert(name, bytes.clone());
        }
    }
    Ok(named.into_iter().map(|(name, bytes)| Named { name, bytes }).collect())
}

/// `text` as part of a file's name, whatever an index says.
fn file_word(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' || c == '_' { c } else { '-' }).collect()
}
