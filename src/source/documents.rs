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
use crate::image::{Codec, Config, LayerDescriptor, MAX_DOCUMENT, Platform};
use crate::path::Escaped;

/// How deep indexes nest: buildx makes 2 (layout, platforms); containerd follows a few more.
pub(super) const MAX_INDEX_DEPTH: usize = 4;

/// Most documents that an index leads to, over all depths: the largest known have a hundred. Few bytes can name the same
/// document very often, and so can that one.
const MAX_DOCUMENTS: u64 = 1000;

/// Most entries of all indexes on the way, those that are no images too: each of a hundred platforms may have a hundred
/// attestations.
const MAX_LISTED: u64 = 10_000;

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

    /// Says that these will be opened soon; an error where they are too much to be fetched.
    fn expect(&self, _layers: &[ManifestLayer]) -> Result<(), SourceError> {
        Ok(())
    }

    /// How a layer is stored, where that is known without fetching it.
    fn known_codec(&self, _layer: &Blob) -> Option<Codec> {
        None
    }

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
    let entries = choose_by_name(blobs.path(), parse_list(blobs, index_json)?, tag)?;
    resolve_entries(blobs, &entries, platform)
}

/// What the layout's own index calls the image that `tag` chooses.
pub(super) fn name_in(
    blobs: &dyn Blobs,
    index_json: &[u8],
    tag: Option<&str>,
) -> Result<Option<String>, SourceError> {
    let entries = choose_by_name(blobs.path(), parse_list(blobs, index_json)?, tag)?;
    Ok(entries.into_iter().find_map(|entry| entry.name))
}

/// Reads a layout's own index.
pub(super) fn parse_list(blobs: &dyn Blobs, index_json: &[u8]) -> Result<Vec<IndexEntry>, SourceError> {
    match parse_document("index.json".to_owned(), index_json, "")? {
        Document::Index(entries) => Ok(entries),
        Document::Manifest(_) => {
            Err(SourceError::NotALayout { path: blobs.path().to_owned(), missing: "list of manifests" })
        }
    }
}

/// Reads the image that `platform` chooses of what `entries` lead to.
pub(super) fn resolve_entries(
    blobs: &dyn Blobs,
    entries: &[IndexEntry],
    platform: Option<&Platform>,
) -> Result<SourceImage, SourceError> {
    let name = entries.iter().find_map(|entry| entry.name.clone());
    let asked = platform.cloned().unwrap_or_else(Platform::host);
    let (mut candidates, mut walked) = (Vec::new(), Walked::default());
    for entry in entries {
        let step = Step { entry, index: None, depth: 1 };
        collect(blobs, &step, &asked, &mut candidates, &mut walked)?;
    }
    let chosen = choose_by_platform(blobs, candidates, platform, &mut walked)?;
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

/// How much was read on the way through an index. What is not there counts, too: asking for it costs as much.
#[derive(Default)]
pub(super) struct Walked {
    entries: u64,
    documents: u64,
    bytes: u64,
}

impl Walked {
    /// Counts what an index lists.
    pub(super) fn count(&mut self, entries: &[IndexEntry]) -> Result<(), SourceError> {
        self.entries = self.entries.saturating_add(entries.len() as u64);
        if self.entries > MAX_LISTED {
            return Err(SourceError::IndexTooLarge { limit: MAX_LISTED, what: "entries" });
        }
        Ok(())
    }

    /// As [`read_manifest`].
    pub(super) fn read_manifest(&mut self, blobs: &dyn Blobs, blob: Blob) -> Result<Vec<u8>, SourceError> {
        self.count_document(blob)?;
        read_manifest(blobs, blob)
    }

    /// The platform that a config is for.
    pub(super) fn read_platform(&mut self, blobs: &dyn Blobs, blob: Blob) -> Result<Platform, SourceError> {
        self.count_document(blob)?;
        Ok(read_config(blobs, blob)?.0.platform)
    }

    fn count_document(&mut self, blob: Blob) -> Result<(), SourceError> {
        self.documents += 1;
        // One that is larger is an error of its own.
        self.bytes = self.bytes.saturating_add(blob.size.min(MAX_DOCUMENT));
        if self.documents > MAX_DOCUMENTS {
            return Err(SourceError::IndexTooLarge { limit: MAX_DOCUMENTS, what: "documents" });
        }
        if self.bytes > MAX_DOCUMENT_BYTES {
            return Err(SourceError::IndexTooLarge { limit: MAX_DOCUMENT_BYTES, what: "bytes of documents" });
        }
        Ok(())
    }
}

/// A place on the way through an index.
struct Step<'a> {
    entry: &'a IndexEntry,
    /// The index that lists it.
    index: Option<BlobDigest>,
    depth: usize,
}

/// Follows `step` to all manifests it leads to.
fn collect(
    blobs: &dyn Blobs,
    step: &Step<'_>,
    asked: &Platform,
    candidates: &mut Vec<Candidate>,
    walked: &mut Walked,
) -> Result<(), SourceError> {
    let Step { entry, index, depth } = *step;
    let bytes = walked.read_manifest(blobs, entry.blob)?;
    let digest = entry.blob.digest;
    match parse_document(format!("manifest {digest}"), &bytes, &entry.media_type)? {
        Document::Manifest(manifest) => {
            candidates.push(Candidate { manifest, digest, index, platform: entry.platform.clone() });
            Ok(())
        }
        Document::Index(_) if depth >= MAX_INDEX_DEPTH => Err(SourceError::IndexDepth(MAX_INDEX_DEPTH)),
        Document::Index(entries) => {
            walked.count(&entries)?;
            let entries = entries.into_iter().filter(|entry| !entry.is_attestation).collect();
            for entry in &worth_reading(entries, blobs.cost(), asked) {
                let step = Step { entry, index: Some(digest), depth: depth + 1 };
                // An index need not hold every platform's manifest: layouts are often copied for one platform only.
                match collect(blobs, &step, asked, candidates, walked) {
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
    walked: &mut Walked,
) -> Result<Candidate, SourceError> {
    for candidate in &mut candidates {
        if candidate.platform.is_none() {
            candidate.platform = Some(walked.read_platform(blobs, candidate.manifest.config)?);
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
    blobs.expect(&manifest.layers)?;
    let mut layers = Vec::with_capacity(manifest.layers.len());
    for (layer, &diff_id) in manifest.layers.into_iter().zip(&config.diff_ids) {
        let codec = match blobs.known_codec(&layer.blob) {
            Some(known) => known,
            None => codec_of(blobs, layer.blob)?,
        };
        layers.push(LayerDescriptor {
            digest: layer.blob.digest,
            size: layer.blob.size,
            diff_id,
            codec,
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

/// How a layer is stored, as its first bytes say.
fn codec_of(blobs: &dyn Blobs, layer: Blob) -> Result<Codec, SourceError> {
    let reader = open_sized(blobs, layer)?;
    let path = || blobs.path().join(layer.digest.hex());
    let (codec, _) = peek_codec(reader).map_err(|source| SourceError::Read { path: path(), source })?;
    codec.map_err(|source| SourceError::Compression { path: path(), source })
}

fn read_config(blobs: &dyn Blobs, blob: Blob) -> Result<(Config, Vec<u8>), SourceError> {
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
fn read_manifest(blobs: &dyn Blobs, blob: Blob) -> Result<Vec<u8>, SourceError> {
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
