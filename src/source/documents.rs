//! From a layout's `index.json` to one image: tags, nested indexes, platforms, manifest, config.
//!
//! Does not know whether blobs lie in a directory or in an archive.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;

use super::{SourceError, SourceImage};
use crate::digest::{BlobDigest, ImageId};
use crate::image::decode::peek_codec;
use crate::image::manifest::{Blob, Document, IndexEntry, Manifest, ManifestLayer};
use crate::image::{Config, LayerDescriptor, MAX_DOCUMENT, Platform};
use crate::path::Escaped;

/// How deep indexes nest: buildx makes 2 (layout, platforms); containerd follows a few more.
pub(super) const MAX_INDEX_DEPTH: usize = 4;

/// Most documents that an index leads to, over all depths: the largest known have a hundred. Few bytes can name the same
/// document very often, and so can that one.
const MAX_DOCUMENTS: u64 = 1000;

/// Bytes of all documents that an index leads to: each is held while the one to use is chosen.
const MAX_DOCUMENT_BYTES: u64 = 32 << 20;

/// Where blobs are found by digest.
pub(super) trait Blobs {
    /// For messages.
    fn path(&self) -> &Path;

    /// A blob's size as found, and its bytes from the start.
    fn open_blob(&self, blob: Blob) -> Result<(u64, Box<dyn Read + Send>), SourceError>;

    /// A manifest's or index', where those are not blobs like others.
    fn open_manifest(&self, blob: Blob) -> Result<(u64, Box<dyn Read + Send>), SourceError> {
        self.open_blob(blob)
    }

    /// Says that these will be opened soon.
    fn expect(&self, _layers: &[ManifestLayer]) {}

    /// What reading a document costs.
    fn cost(&self) -> Cost {
        Cost::Local
    }
}

/// What reading a document costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cost {
    /// Nothing to speak of.
    Local,
    /// A request, which registries count.
    Request,
}

/// Reads the image that `tag` and `platform` choose from the layout's own index.
pub(super) fn resolve(
    blobs: &dyn Blobs,
    index_json: &[u8],
    tag: Option<&str>,
    platform: Option<&Platform>,
) -> Result<SourceImage, SourceError> {
    let Document::Index(entries) = parse_document("index.json".to_owned(), index_json, "")? else {
        return Err(SourceError::NotALayout { path: blobs.path().to_owned(), missing: "list of manifests" });
    };
    let entries = choose_by_name(blobs.path(), entries, tag)?;
    resolve_entries(blobs, &entries, platform)
}

/// Reads the image that `platform` chooses of what `entries` lead to.
pub(super) fn resolve_entries(
    blobs: &dyn Blobs,
    entries: &[IndexEntry],
    platform: Option<&Platform>,
) -> Result<SourceImage, SourceError> {
    let name = entries.iter().find_map(|entry| entry.name.clone());
    let asked = platform.cloned().unwrap_or_else(Platform::host);
    let mut walk = Walk::default();
    for entry in entries {
        collect(blobs, entry, None, 1, &asked, &mut walk)?;
    }
    let chosen = choose_by_platform(blobs, walk.candidates, platform)?;
    read_image(blobs, chosen, name)
}

/// Reads a document; `what` names it in errors.
pub(super) fn parse_document(what: String, bytes: &[u8], media_type: &str) -> Result<Document, SourceError> {
    Document::parse(bytes, media_type).map_err(|source| SourceError::Manifest { what, source })
}

/// The entries that the name leads to; several only where they are one image for several platforms.
pub(super) fn choose_by_name(
    path: &Path,
    entries: Vec<IndexEntry>,
    tag: Option<&str>,
) -> Result<Vec<IndexEntry>, SourceError> {
    let entries: Vec<_> = entries.into_iter().filter(|entry| !entry.is_attestation).collect();
    let names: BTreeSet<_> = entries.iter().map(|entry| entry.name.as_deref()).collect();
    let shown = || {
        let name = |entry: &IndexEntry| match &entry.name {
            Some(name) => Escaped::new(name.as_bytes()).to_string(),
            None => entry.blob.digest.to_string(),
        };
        entries.iter().map(name).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>()
    };
    match tag {
        Some(tag) => {
            if !names.contains(&Some(tag)) {
                return Err(SourceError::NoSuchTag {
                    path: path.to_owned(),
                    tag: tag.to_owned(),
                    names: shown(),
                });
            }
            Ok(entries.into_iter().filter(|entry| entry.name.as_deref() == Some(tag)).collect())
        }
        None if entries.is_empty() => Err(SourceError::NoImage(path.to_owned())),
        None => {
            let blobs: BTreeSet<_> = entries.iter().map(|entry| entry.blob.digest).collect();
            let platforms: BTreeSet<_> = entries.iter().map(|entry| &entry.platform).collect();
            let one_image = blobs.len() == 1
                || (names.len() == 1 && platforms.len() == entries.len() && !platforms.contains(&None));
            if one_image {
                return Ok(entries);
            }
            Err(SourceError::SeveralImages { path: path.to_owned(), names: shown() })
        }
    }
}

/// An image manifest that could be the one.
struct Candidate {
    manifest: Manifest,
    digest: BlobDigest,
    index: Option<BlobDigest>,
    platform: Option<Platform>,
}

/// What was found on the way through an index, and how much of it.
#[derive(Default)]
struct Walk {
    candidates: Vec<Candidate>,
    documents: u64,
    bytes: u64,
}

impl Walk {
    fn count(&mut self, bytes: &[u8]) -> Result<(), SourceError> {
        self.documents += 1;
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
        if self.documents > MAX_DOCUMENTS {
            return Err(SourceError::IndexTooLarge { limit: MAX_DOCUMENTS, what: "documents" });
        }
        if self.bytes > MAX_DOCUMENT_BYTES {
            return Err(SourceError::IndexTooLarge { limit: MAX_DOCUMENT_BYTES, what: "bytes of documents" });
        }
        Ok(())
    }
}

/// Follows `entry` to all manifests it leads to.
fn collect(
    blobs: &dyn Blobs,
    entry: &IndexEntry,
    index: Option<BlobDigest>,
    depth: usize,
    asked: &Platform,
    walk: &mut Walk,
) -> Result<(), SourceError> {
    let bytes = read_manifest(blobs, entry.blob)?;
    walk.count(&bytes)?;
    let digest = entry.blob.digest;
    match parse_document(format!("manifest {digest}"), &bytes, &entry.media_type)? {
        Document::Manifest(manifest) => {
            walk.candidates.push(Candidate { manifest, digest, index, platform: entry.platform.clone() });
            Ok(())
        }
        Document::Index(_) if depth >= MAX_INDEX_DEPTH => Err(SourceError::IndexDepth(MAX_INDEX_DEPTH)),
        Document::Index(entries) => {
            let entries = entries.into_iter().filter(|entry| !entry.is_attestation).collect();
            for entry in &worth_reading(entries, blobs.cost(), asked) {
                // An index need not hold every platform's manifest: layouts are often copied for one platform only.
                match collect(blobs, entry, Some(digest), depth + 1, asked, walk) {
                    Err(SourceError::MissingBlob { digest, .. }) if digest == entry.blob.digest => {}
                    other => other?,
                }
            }
            Ok(())
        }
    }
}

/// Without what another entry fits better than, where reading costs.
fn worth_reading(entries: Vec<IndexEntry>, cost: Cost, asked: &Platform) -> Vec<IndexEntry> {
    let fit = |entry: &IndexEntry| entry.platform.as_ref().and_then(|offered| asked.distance(offered));
    let Some(best) = entries.iter().filter_map(fit).min().filter(|_| cost == Cost::Request) else {
        return entries;
    };
    entries.into_iter().filter(|entry| entry.platform.is_none() || fit(entry) == Some(best)).collect()
}

/// The candidate that fits `wanted` best; the first of equals.
fn choose_by_platform(
    blobs: &dyn Blobs,
    mut candidates: Vec<Candidate>,
    wanted: Option<&Platform>,
) -> Result<Candidate, SourceError> {
    for candidate in &mut candidates {
        if candidate.platform.is_none() {
            candidate.platform = Some(read_config(blobs, candidate.manifest.config)?.0.platform);
        }
    }
    let platforms: BTreeSet<String> =
        candidates.iter().flat_map(|candidate| &candidate.platform).map(Platform::to_string).collect();
    let mut digests = candidates.iter().map(|candidate| candidate.digest);
    let first = digests.next();
    let only_one = first.is_some() && digests.all(|digest| Some(digest) == first);
    let asked = wanted.cloned().unwrap_or_else(Platform::host);
    let fit = |candidate: &Candidate| candidate.platform.as_ref().and_then(|offered| asked.distance(offered));
    let best = if only_one && wanted.is_none() {
        candidates.into_iter().next()
    } else {
        candidates.into_iter().filter(|candidate| fit(candidate).is_some()).min_by_key(fit)
    };
    best.ok_or_else(|| {
        if platforms.is_empty() {
            return SourceError::NoImage(blobs.path().to_owned());
        }
        SourceError::NoSuchPlatform { wanted: asked, platforms: platforms.into_iter().collect() }
    })
}

fn read_image(
    blobs: &dyn Blobs,
    chosen: Candidate,
    name: Option<String>,
) -> Result<SourceImage, SourceError> {
    let Candidate { manifest, digest, index, .. } = chosen;
    let (config, config_bytes) = read_config(blobs, manifest.config)?;
    let image_id = ImageId::from(manifest.config.digest);
    if config.diff_ids.len() != manifest.layers.len() {
        return Err(SourceError::LayerCount {
            image_id,
            diff_ids: config.diff_ids.len(),
            layers: manifest.layers.len(),
        });
    }
    blobs.expect(&manifest.layers);
    let mut layers = Vec::with_capacity(manifest.layers.len());
    for (layer, &diff_id) in manifest.layers.into_iter().zip(&config.diff_ids) {
        let reader = open_sized(blobs, layer.blob)?;
        let path = || blobs.path().join(layer.blob.digest.hex());
        let (codec, _) = peek_codec(reader).map_err(|source| SourceError::Read { path: path(), source })?;
        layers.push(LayerDescriptor {
            digest: layer.blob.digest,
            size: layer.blob.size,
            diff_id,
            codec: codec.map_err(|source| SourceError::Compression { path: path(), source })?,
            media_type: layer.media_type,
            annotations: layer.annotations,
        });
    }
    Ok(SourceImage {
        manifest_digest: Some(digest),
        index_digest: index,
        config,
        config_bytes,
        image_id,
        layers,
        annotations: manifest.annotations,
        name,
    })
}

pub(super) fn read_config(blobs: &dyn Blobs, blob: Blob) -> Result<(Config, Vec<u8>), SourceError> {
    let bytes = read_document(blobs, blob)?;
    let image_id = ImageId::from(blob.digest);
    let config = Config::parse(&bytes).map_err(|source| SourceError::Config { image_id, source })?;
    Ok((config, bytes))
}

/// Opens a blob and holds its size against what was declared, before anything is read.
pub(super) fn open_sized(blobs: &dyn Blobs, blob: Blob) -> Result<Box<dyn Read + Send>, SourceError> {
    sized(blob, blobs.open_blob(blob)?)
}

fn sized(
    blob: Blob,
    (found, reader): (u64, Box<dyn Read + Send>),
) -> Result<Box<dyn Read + Send>, SourceError> {
    if found != blob.size {
        return Err(SourceError::WrongSize { digest: blob.digest, expected: blob.size, found });
    }
    Ok(reader)
}

/// A whole config, verified.
fn read_document(blobs: &dyn Blobs, blob: Blob) -> Result<Vec<u8>, SourceError> {
    read_verified(blobs, blob, |blobs| blobs.open_blob(blob))
}

/// A whole manifest or index, verified.
pub(super) fn read_manifest(blobs: &dyn Blobs, blob: Blob) -> Result<Vec<u8>, SourceError> {
    read_verified(blobs, blob, |blobs| blobs.open_manifest(blob))
}

fn read_verified(
    blobs: &dyn Blobs,
    blob: Blob,
    open: impl FnOnce(&dyn Blobs) -> Result<(u64, Box<dyn Read + Send>), SourceError>,
) -> Result<Vec<u8>, SourceError> {
    if blob.size > MAX_DOCUMENT {
        return Err(SourceError::DocumentTooLarge { what: format!("blob {}", blob.digest) });
    }
    let mut bytes = Vec::new();
    sized(blob, open(blobs)?)?
        .take(MAX_DOCUMENT)
        .read_to_end(&mut bytes)
        .map_err(|source| SourceError::Read { path: blobs.path().join(blob.digest.hex()), source })?;
    let found = BlobDigest::of(&bytes);
    if found != blob.digest {
        return Err(SourceError::WrongDigest { expected: blob.digest, found });
    }
    Ok(bytes)
}
