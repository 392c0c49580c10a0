//! What platforms an image is for: the images of its index, and what stands beside them there.
//!
//! Reads documents only; a layer is opened for no platform.

use std::collections::BTreeMap;

use super::documents::{Blobs, MAX_INDEX_DEPTH, Walked, choose_by_name, parse_document, parse_list};
use super::{SourceError, SourceImage};
use crate::digest::BlobDigest;
use crate::image::Platform;
use crate::image::manifest::{Document, IndexEntry, parse_annotations};
use crate::path::Escaped;

/// Most platforms of one image. Go knows some fifty pairs of system and processor, and the most ported images have a dozen.
const MAX_PLATFORMS: usize = 64;

/// The system whose images kiln hardens.
const LINUX: &str = "linux";

/// What an image has for which platform.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Platforms {
    /// The index, where there is one; a layout's own `index.json` is none.
    pub index_digest: Option<BlobDigest>,
    /// Annotations of that index.
    pub annotations: BTreeMap<String, String>,
    /// Linux platforms in the order of the index, each once; never empty. [`super::Source::image`] gives each exactly.
    pub linux: Vec<PlatformImage>,
    /// What else the index holds, in its order.
    pub left_out: Vec<LeftOut>,
}

/// An image and what it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlatformImage {
    /// As the index says, or the config where there is none.
    pub platform: Platform,
    /// Its manifest, or its config where it has none.
    pub digest: BlobDigest,
    /// Annotations of the manifest: what the image says of itself.
    pub annotations: BTreeMap<String, String>,
}

/// An entry of an index that is no image to harden.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The document it leads to.
    pub digest: BlobDigest,
    /// Why it is left out.
    pub why: WhyLeftOut,
}

/// Why an entry of an index is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhyLeftOut {
    /// It says something of an image: an attestation, a signature, a bill of materials.
    Attestation,
    /// An image for a system that is not Linux.
    OtherSystem(Platform),
    /// The place does not hold it: copied for some platforms only.
    Absent(Option<Platform>),
    /// An earlier entry is for the same platform; clients take that one.
    Twice(Platform),
}

impl Platforms {
    /// Those of an image without an index.
    pub(super) fn of(image: &SourceImage) -> Result<Self, SourceError> {
        let mut walk = Walk::default();
        walk.add(PlatformImage {
            platform: image.config.platform.clone(),
            digest: image.manifest_digest.unwrap_or_else(|| BlobDigest::from(image.image_id)),
            annotations: image.annotations.clone(),
        });
        walk.found.checked()
    }

    /// The image that fits `wanted` best, as [`super::Source::image`] chooses; `None` is this machine's, or the only one.
    pub fn choose(&self, wanted: Option<&Platform>) -> Result<&PlatformImage, SourceError> {
        if let (None, [only]) = (wanted, self.linux.as_slice()) {
            return Ok(only);
        }
        let asked = wanted.cloned().unwrap_or_else(Platform::host);
        let fit = |image: &&PlatformImage| asked.distance(&image.platform);
        let best = self.linux.iter().filter(|image| fit(image).is_some()).min_by_key(fit);
        best.ok_or_else(|| SourceError::NoSuchPlatform {
            wanted: asked.clone(),
            platforms: self.linux.iter().map(|image| image.platform.to_string()).collect(),
        })
    }

    fn checked(self) -> Result<Self, SourceError> {
        if self.linux.len() > MAX_PLATFORMS {
            return Err(SourceError::TooManyPlatforms { found: self.linux.len(), limit: MAX_PLATFORMS });
        }
        if self.linux.is_empty() {
            let others = self.left_out.iter().filter_map(|left| match &left.why {
                WhyLeftOut::OtherSystem(platform) | WhyLeftOut::Absent(Some(platform)) => {
                    Some(Escaped::new(platform.to_string().as_bytes()).to_string())
                }
                _ => None,
            });
            return Err(SourceError::NoLinux { platforms: others.collect() });
        }
        Ok(self)
    }
}

/// Lists the platforms of the image that `tag` chooses from a layout's own index.
pub(super) fn list(
    blobs: &dyn Blobs,
    index_json: &[u8],
    tag: Option<&str>,
) -> Result<Platforms, SourceError> {
    let entries = parse_list(blobs, index_json)?;
    let chosen = choose_by_name(blobs.path(), entries.clone(), tag)?;
    // What stands beside an image in the layout's own index, under the same name or with none, is about it.
    let names: Vec<_> = chosen.iter().map(|entry| entry.name.clone()).collect();
    let beside = entries.into_iter().filter(|entry| entry.is_attestation && names.contains(&entry.name));
    let entries: Vec<IndexEntry> = chosen.into_iter().chain(beside).collect();
    list_entries(blobs, &entries)
}

/// Lists the platforms that `entries` lead to: the root of an image, or all that a layout has of it.
pub(super) fn list_entries(blobs: &dyn Blobs, entries: &[IndexEntry]) -> Result<Platforms, SourceError> {
    let mut walk = Walk::default();
    walk.all(blobs, entries, 1)?;
    walk.found.checked()
}

/// What was found on the way through an index, and how much was read for it.
#[derive(Default)]
struct Walk {
    found: Platforms,
    seen: BTreeMap<Platform, BlobDigest>,
    walked: Walked,
}

impl Walk {
    fn all(&mut self, blobs: &dyn Blobs, entries: &[IndexEntry], depth: usize) -> Result<(), SourceError> {
        self.walked.count(entries)?;
        entries.iter().try_for_each(|entry| self.one(blobs, entry, depth))
    }

    fn one(&mut self, blobs: &dyn Blobs, entry: &IndexEntry, depth: usize) -> Result<(), SourceError> {
        let digest = entry.blob.digest;
        if entry.is_attestation {
            self.leave_out(digest, WhyLeftOut::Attestation);
            return Ok(());
        }
        // Nothing of another system's image is looked at: it may not even be there.
        if let Some(platform) = entry.platform.as_ref().filter(|platform| platform.os() != LINUX) {
            self.leave_out(digest, WhyLeftOut::OtherSystem(platform.clone()));
            return Ok(());
        }
        let bytes = match self.walked.read_manifest(blobs, entry.blob) {
            Err(SourceError::MissingBlob { .. }) if depth > 1 => {
                self.leave_out(digest, WhyLeftOut::Absent(entry.platform.clone()));
                return Ok(());
            }
            other => other?,
        };
        match parse_document(format!("manifest {digest}"), &bytes, &entry.media_type)? {
            Document::Manifest(manifest) => {
                let platform = match &entry.platform {
                    Some(platform) => platform.clone(),
                    None => self.walked.read_platform(blobs, manifest.config)?,
                };
                self.add(PlatformImage { platform, digest, annotations: manifest.annotations });
                Ok(())
            }
            Document::Index(_) if depth >= MAX_INDEX_DEPTH => Err(SourceError::IndexDepth(MAX_INDEX_DEPTH)),
            Document::Index(entries) => {
                if self.found.index_digest.is_none() {
                    self.found.index_digest = Some(digest);
                    self.found.annotations = parse_annotations(&bytes);
                }
                self.all(blobs, &entries, depth + 1)
            }
        }
    }

    fn add(&mut self, image: PlatformImage) {
        let PlatformImage { platform, digest, .. } = &image;
        if platform.os() != LINUX {
            self.leave_out(*digest, WhyLeftOut::OtherSystem(platform.clone()));
            return;
        }
        match self.seen.get(platform) {
            Some(first) if first == digest => {}
            Some(_) => self.leave_out(*digest, WhyLeftOut::Twice(platform.clone())),
            None => {
                self.seen.insert(platform.clone(), *digest);
                self.found.linux.push(image);
            }
        }
    }

    fn leave_out(&mut self, digest: BlobDigest, why: WhyLeftOut) {
        self.found.left_out.push(LeftOut { digest, why });
    }
}
