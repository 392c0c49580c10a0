//! Documents of a hardened image, read back: from the registry that holds them beside it, or from the image itself.
//!
//! Believes no document more than its digest: what it says is for `verify` to hold against the image. Anybody who may push
//! can put a document beside an image. A writable manifest is taken only where the image names its digest, and a pod spec
//! is called one where it is what those manifests give. A report is as whoever put it there left it.

use std::collections::{BTreeMap, BTreeSet};

use crate::digest::BlobDigest;
use crate::harden::{MANIFEST_PATH, record};
use crate::image::{LayerError, LayerReader, Platform, WantedCompanion};
use crate::kube::pod::{self, RunAs};
use crate::layer::index::{IndexError, read_index};
use crate::manifest::{self, Manifest, ParseManifestError, United};
use crate::path::ImagePath;
use crate::report;
use crate::rootfs::Kind;
use crate::source::{PlatformImage, Source, SourceError};

/// Largest writable manifest, in bytes: real ones have some ten KiB.
const MAX_MANIFEST: u64 = 16 << 20;

/// Largest pod spec, in bytes: the API server takes no object of more than 1.5 MiB.
const MAX_POD: u64 = 2 << 20;

/// Largest report, in bytes: that of an image with a million removed paths.
const MAX_REPORT: u64 = 256 << 20;

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
    manifest_of(source, image).map(|(text, _)| text)
}

fn manifest_of(source: &dyn Source, image: &PlatformImage) -> Result<(String, Manifest), DocumentsError> {
    // One beside the image saves its layers, and is the image's where the image says so.
    let stated = image.annotations.get(record::MANIFEST_KEY).and_then(|digest| digest.parse().ok());
    let wanted = stated.map(|digest| WantedCompanion {
        artifact_type: manifest::MEDIA_TYPE,
        max_size: MAX_MANIFEST,
        digest: Some(digest),
    });
    let beside = match wanted {
        Some(wanted) => source.companions(&image.digest, &[wanted]).map_err(DocumentsError::Source)?,
        None => Vec::new(),
    };
    let bytes = match beside.into_iter().next() {
        Some(stated) => stated.bytes,
        None => own_manifest(source, image)?.ok_or(DocumentsError::NoManifest(image.digest))?,
    };
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let wrong = |source| DocumentsError::Manifest { image: image.digest, source };
    let manifest = Manifest::parse(&text).map_err(wrong)?;
    Ok((text, manifest))
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

/// A hardened image, as its documents tell.
#[derive(Debug, Clone)]
pub struct Described {
    /// Its index, or its manifest where there is none; an archive of Docker's has neither.
    pub digest: Option<BlobDigest>,
    /// The image that it was made from, as it says itself.
    pub source: Option<BlobDigest>,
    /// Whether it is an index.
    pub is_index: bool,
    /// The writable manifest of each platform, with the digest of its text.
    pub manifests: Vec<(String, Manifest, BlobDigest)>,
}

/// What the image says of itself, for all platforms that it is for.
pub fn describe(source: &dyn Source) -> Result<Described, DocumentsError> {
    let listed = source.platforms().map_err(DocumentsError::Source)?;
    let mut manifests = Vec::new();
    let mut label = listed.annotations.get(record::SOURCE_KEY).cloned();
    let mut digest = listed.index_digest;
    for image in &listed.linux {
        let (text, manifest) = manifest_of(source, image)?;
        if listed.index_digest.is_none() {
            let documents = source.image(Some(&image.platform)).map_err(DocumentsError::Source)?;
            label = documents.config.labels.get(record::SOURCE_KEY).cloned();
            digest = documents.manifest_digest;
        }
        manifests.push((image.platform.to_string(), manifest, BlobDigest::of(text.as_bytes())));
    }
    Ok(Described {
        digest,
        source: label.and_then(|digest| digest.parse().ok()),
        is_index: listed.index_digest.is_some(),
        manifests,
    })
}

/// Every document of the image that there is: the writable manifest of each platform, and the pod specs and reports beside
/// the image that name it.
///
/// The only one of its kind is `pod.yaml`; of several, none is: they are `pod-1.yaml`, `pod-2.yaml`, … A pod spec that does
/// not follow from the manifests (a stranger's, or another version's) is `unproven-pod.yaml`.
pub fn all(source: &dyn Source) -> Result<Vec<Named>, DocumentsError> {
    let listed = source.platforms().map_err(DocumentsError::Source)?;
    let (mut named, mut manifests, mut origin) = (BTreeMap::new(), Vec::new(), None);
    for image in &listed.linux {
        let name = match listed.linux.as_slice() {
            [_] => "writable-manifest.json".to_owned(),
            _ => format!("writable-manifest.{}.json", file_word(&image.platform.to_string())),
        };
        let (text, manifest) = manifest_of(source, image)?;
        if manifest.needs_source() {
            let documents = source.image(Some(&image.platform)).map_err(DocumentsError::Source)?;
            origin = documents.config.labels.get(record::SOURCE_KEY).and_then(|digest| digest.parse().ok());
        }
        named.insert(name, text.into_bytes());
        manifests.push((image.platform.to_string(), manifest));
    }
    let Some(root) = listed.index_digest.or_else(|| listed.linux.first().map(|image| image.digest)) else {
        return Ok(into_list(named));
    };
    let report = match listed.index_digest {
        Some(_) => report::INDEX_MEDIA_TYPE,
        None => report::MEDIA_TYPE,
    };
    let wanted = [(pod::MEDIA_TYPE, MAX_POD), (report, MAX_REPORT)];
    let wanted =
        wanted.map(|(artifact_type, max_size)| WantedCompanion { artifact_type, max_size, digest: None });
    let beside = source.companions(&root, &wanted).map_err(DocumentsError::Source)?;
    let follows = followers(&manifests, root, origin, listed.index_digest.is_some());
    let about = root.to_string();
    let mut by_name: BTreeMap<(&str, &str), BTreeSet<String>> = BTreeMap::new();
    for found in beside {
        // What is about another image, or about none, is no document of this one.
        let Some(text) = String::from_utf8(found.bytes).ok().filter(|text| text.contains(&about)) else {
            continue;
        };
        let name = match found.artifact_type.as_str() {
            pod::MEDIA_TYPE if follows(&text) => ("pod", "yaml"),
            pod::MEDIA_TYPE => ("unproven-pod", "yaml"),
            _ => ("report", "json"),
        };
        by_name.entry(name).or_default().insert(text);
    }
    for ((stem, extension), those) in by_name {
        let is_only_one = those.len() == 1;
        for (number, text) in (1..).zip(those) {
            // Each push of the image under another name or from another place has documents of its own, and so may a
            // stranger's: which is the right one is not for the order to say.
            let name = if is_only_one {
                format!("{stem}.{extension}")
            } else {
                format!("{stem}-{number}.{extension}")
            };
            named.insert(name, text.into_bytes());
        }
    }
    Ok(into_list(named))
}

/// Tells which pod specs follow from the manifests of the image or index `root`.
fn followers(
    manifests: &[(String, Manifest)],
    root: BlobDigest,
    origin: Option<BlobDigest>,
    is_index: bool,
) -> impl Fn(&str) -> bool + use<> {
    let pairs: Vec<_> = manifests.iter().map(|(platform, manifest)| (platform.clone(), manifest)).collect();
    let united = match pairs.as_slice() {
        [(_, manifest)] if !is_index => Some(United::one(manifest)),
        pairs => United::of(pairs),
    };
    let run_as = match &united {
        Some(united) if is_index && !united.same_user => RunAs::Image,
        _ => RunAs::Manifest,
    };
    let digest = |manifest: &Manifest| BlobDigest::of(manifest.render().as_bytes());
    let names: Vec<_> = manifests
        .iter()
        .filter(|_| is_index)
        .map(|(platform, manifest)| (platform.clone(), digest(manifest)))
        .collect();
    move |text| {
        let united = united.as_ref();
        united.is_some_and(|united| {
            pod::is_pod_of(text, &united.manifest, &root, origin.as_ref(), run_as, &names)
        })
    }
}

fn into_list(named: BTreeMap<String, Vec<u8>>) -> Vec<Named> {
    named.into_iter().map(|(name, bytes)| Named { name, bytes }).collect()
}

/// `text` as part of a file's name, whatever an index says.
fn file_word(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' || c == '_' { c } else { '-' }).collect()
}
