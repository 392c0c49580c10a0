//! `docker://NAME`: an image in a registry; every blob comes once, into a temporary file that both passes read.
//!
//! Does not speak HTTP; `registry` does.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::documents::{Blobs, Cost, open_sized, resolve_entries};
use super::{Platforms, Source, SourceError, SourceImage, platforms};
use crate::cache::Cache;
use crate::digest::BlobDigest;
use crate::image::manifest::{Blob, IndexEntry, ManifestLayer};
use crate::image::{Codec, FoundCompanion, LayerDescriptor, Platform, WantedCompanion};
use crate::limits::Limits;
use crate::reference::RegistryReference;
use crate::registry::{Client, Download, FetchedManifest, Registries, RegistryError, Right, Tag};

/// An image that a registry holds.
pub(super) struct Registry {
    client: Client,
    reference: RegistryReference,
    shown: PathBuf,
    limits: Limits,
    /// What is known of layers from runs before: those need not be fetched.
    cache: Cache,
    /// What it said of them.
    known: Mutex<BTreeMap<BlobDigest, Option<Codec>>>,
    /// What the reference leads to, fetched once: a tag may move meanwhile.
    root: Mutex<Option<Arc<FetchedManifest>>>,
    /// Manifests by digest, asked for once: registries count.
    manifests: Mutex<BTreeMap<BlobDigest, Arc<[u8]>>>,
    downloads: Mutex<BTreeMap<BlobDigest, Arc<Download>>>,
}

impl Registry {
    /// Connects to nothing yet.
    pub(super) fn open(
        reference: &RegistryReference,
        registries: &Registries,
        limits: &Limits,
        cache: &Cache,
    ) -> Self {
        Self {
            client: registries.client(&reference.repository, Right::Pull),
            shown: PathBuf::from(reference.to_string()),
            reference: reference.clone(),
            limits: *limits,
            cache: cache.clone(),
            known: Mutex::default(),
            root: Mutex::default(),
            manifests: Mutex::default(),
            downloads: Mutex::default(),
        }
    }

    fn root(&self) -> Result<Arc<FetchedManifest>, SourceError> {
        let mut root = self.root.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(root) = &*root {
            return Ok(Arc::clone(root));
        }
        let tag = match (&self.reference.digest, &self.reference.tag) {
            (Some(digest), _) => Tag::Digest(*digest),
            (None, Some(tag)) => Tag::Name(tag.clone()),
            (None, None) => unreachable!("a reference has a tag or a digest"),
        };
        let fetched = Arc::new(self.client.get_manifest(&tag).map_err(SourceError::Registry)?);
        *root = Some(Arc::clone(&fetched));
        Ok(fetched)
    }

    fn manifest(&self, digest: BlobDigest) -> Result<Arc<[u8]>, SourceError> {
        let mut manifests = self.manifests.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bytes) = manifests.get(&digest) {
            return Ok(Arc::clone(bytes));
        }
        let root = self.root()?;
        let bytes: Arc<[u8]> = if root.digest == digest {
            Arc::from(root.bytes.as_slice())
        } else {
            match self.client.get_manifest(&Tag::Digest(digest)) {
                Ok(fetched) => Arc::from(fetched.bytes),
                Err(RegistryError::NotFound { .. }) => {
                    return Err(SourceError::MissingBlob { path: self.shown.clone(), digest });
                }
                Err(error) => return Err(SourceError::Registry(error)),
            }
        };
        manifests.insert(digest, Arc::clone(&bytes));
        Ok(bytes)
    }

    fn download(&self, blob: Blob) -> Result<Arc<Download>, SourceError> {
        let mut downloads = self.downloads.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(download) = downloads.get(&blob.digest) {
            return Ok(Arc::clone(download));
        }
        let begun = self.client.get_blob(blob.digest, blob.size).map_err(SourceError::Registry)?;
        let download = Arc::new(begun);
        downloads.insert(blob.digest, Arc::clone(&download));
        Ok(download)
    }
}

impl Blobs for Registry {
    fn path(&self) -> &Path {
        &self.shown
    }

    fn open_blob(&self, blob: Blob) -> Result<(u64, Box<dyn Read + Send>), SourceError> {
        Ok((blob.size, Box::new(self.download(blob)?.open())))
    }

    fn open_manifest(&self, blob: Blob) -> Result<(u64, Box<dyn Read + Send>), SourceError> {
        let bytes = self.manifest(blob.digest)?;
        Ok((bytes.len() as u64, Box::new(Cursor::new(bytes))))
    }

    fn expect(&self, layers: &[ManifestLayer]) -> Result<(), SourceError> {
        // What is stored cannot unpack to less, by more than a little: what is too much is not fetched first.
        let stored = layers.iter().fold(0_u64, |sum, layer| sum.saturating_add(layer.blob.size));
        let limit = self.limits.unpacked(stored);
        if stored > limit.limit() {
            return Err(SourceError::Limit { path: self.shown.clone(), source: limit });
        }
        // Blobs of an image that was asked for before take room, and are fetched again should somebody want them. Who
        // still reads one has it.
        let mut downloads = self.downloads.lock().unwrap_or_else(PoisonError::into_inner);
        downloads.retain(|digest, _| layers.iter().any(|layer| layer.blob.digest == *digest));
        drop(downloads);
        for layer in layers.iter().filter(|layer| self.known_codec(&layer.blob).is_none()) {
            // What cannot be begun is told when it is opened.
            let _ = self.download(layer.blob);
        }
        Ok(())
    }

    fn known_codec(&self, layer: &Blob) -> Option<Codec> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        *known.entry(layer.digest).or_insert_with(|| self.cache.codec(&layer.digest))
    }

    fn cost(&self) -> Cost {
        Cost::Request
    }
}

impl Registry {
    /// The reference, as if an index led to it.
    fn entry(&self) -> Result<IndexEntry, SourceError> {
        let root = self.root()?;
        Ok(IndexEntry {
            blob: Blob { digest: root.digest, size: root.bytes.len() as u64 },
            media_type: root.media_type.clone(),
            platform: None,
            name: Some(self.reference.name()),
            is_attestation: false,
        })
    }
}

impl Source for Registry {
    fn image(&self, platform: Option<&Platform>) -> Result<SourceImage, SourceError> {
        resolve_entries(self, &[self.entry()?], platform)
    }

    fn platforms(&self) -> Result<Platforms, SourceError> {
        platforms::list_entries(self, &[self.entry()?])
    }

    fn companions(
        &self,
        subject: &BlobDigest,
        wanted: &[WantedCompanion],
    ) -> Result<Vec<FoundCompanion>, SourceError> {
        self.client.companions(subject, wanted).map_err(SourceError::Registry)
    }

    fn open_layer(&self, layer: &LayerDescriptor) -> Result<Box<dyn Read + Send>, SourceError> {
        open_sized(self, Blob { digest: layer.digest, size: layer.size })
    }
}
