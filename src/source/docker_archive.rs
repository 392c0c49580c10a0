//! `docker-archive:FILE`: what `docker save` writes, in its old and new forms, and `podman save` and skopeo.
//!
//! Does not use the archive's other documents (`repositories`, `json`, `index.json`): `manifest.json` is in all of them.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Mutex;

use serde::Deserialize;

use super::archive::Archive;
use super::{Platforms, Source, SourceError, SourceImage};
use crate::digest::{BlobDigest, HashingReader, ImageId};
use crate::image::decode::peek_codec;
use crate::image::manifest::ManifestError;
use crate::image::{Codec, Config, LayerDescriptor, MAX_LAYERS, Platform};
use crate::limits::Limits;
use crate::path::Escaped;

/// An open archive.
pub(super) struct DockerArchive {
    archive: Archive,
    tag: Option<String>,
    /// Which member holds a blob; the archive's documents have names only.
    blobs: Mutex<BTreeMap<BlobDigest, String>>,
}

/// One image in `manifest.json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

impl Item {
    fn tags(&self) -> impl Iterator<Item = &String> {
        self.repo_tags.iter().flatten()
    }
}

impl DockerArchive {
    pub(super) fn open(file: &Path, tag: Option<String>, limits: &Limits) -> Result<Self, SourceError> {
        Ok(Self::new(Archive::open(file, limits)?, tag))
    }

    pub(super) fn new(archive: Archive, tag: Option<String>) -> Self {
        Self { archive, tag, blobs: Mutex::default() }
    }

    fn choose(&self) -> Result<Item, SourceError> {
        let path = || self.archive.path().to_owned();
        let bytes = self.archive.read_document("manifest.json")?;
        let mut items: Vec<Item> = serde_json::from_slice(&bytes)
            .map_err(|source| SourceError::DockerManifest { path: path(), source })?;
        let mut names: Vec<String> =
            items.iter().flat_map(Item::tags).map(|tag| Escaped::new(tag.as_bytes()).to_string()).collect();
        names.sort_unstable();
        names.dedup();
        match &self.tag {
            Some(wanted) => {
                let wanted_name = familiar(wanted);
                let found =
                    items.into_iter().find(|item| item.tags().any(|tag| familiar(tag) == wanted_name));
                found.ok_or_else(|| SourceError::NoSuchTag { path: path(), tag: wanted.clone(), names })
            }
            None if items.len() > 1 => Err(SourceError::SeveralImages { path: path(), names }),
            None => items.pop().ok_or_else(|| SourceError::NoImage(path())),
        }
    }

    /// What a layer's member is: nothing in the archive says, so that a compressed one is read once to know its digest.
    fn describe(&self, name: &str, diff_id: crate::digest::DiffId) -> Result<LayerDescriptor, SourceError> {
        let read_error = |source| SourceError::Read { path: self.archive.path().to_owned(), source };
        let (size, reader) = self.archive.open_member(name)?;
        let (codec, reader) = peek_codec(reader).map_err(read_error)?;
        let codec = codec
            .map_err(|source| SourceError::Compression { path: self.archive.path().join(name), source })?;
        let digest = if codec == Codec::Plain {
            BlobDigest::from(diff_id)
        } else {
            let mut reader = HashingReader::new(reader);
            io::copy(&mut reader, &mut io::sink()).map_err(read_error)?;
            reader.finish().1.blob()
        };
        self.lock_blobs().insert(digest, name.to_owned());
        Ok(LayerDescriptor {
            digest,
            size,
            diff_id,
            codec,
            media_type: codec.media_type().to_owned(),
            annotations: BTreeMap::new(),
        })
    }

    fn lock_blobs(&self) -> std::sync::MutexGuard<'_, BTreeMap<BlobDigest, String>> {
        // Nothing panics while it is held; were it so, the map would still be whole.
        self.blobs.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Source for DockerArchive {
    fn image(&self, platform: Option<&Platform>) -> Result<SourceImage, SourceError> {
        let item = self.choose()?;
        let config_bytes = self.archive.read_document(&item.config)?;
        let image_id = ImageId::of(&config_bytes);
        let config =
            Config::parse(&config_bytes).map_err(|source| SourceError::Config { image_id, source })?;
        if let Some(wanted) = platform
            && wanted.distance(&config.platform).is_none()
        {
            let platforms = vec![config.platform.to_string()];
            return Err(SourceError::NoSuchPlatform { wanted: wanted.clone(), platforms });
        }
        let names = item.layers.as_deref().unwrap_or_default();
        if names.len() > MAX_LAYERS {
            let source = ManifestError::TooManyLayers(names.len());
            return Err(SourceError::Manifest { what: "manifest.json".to_owned(), source });
        }
        if names.len() != config.diff_ids.len() {
            return Err(SourceError::LayerCount {
                image_id,
                diff_ids: config.diff_ids.len(),
                layers: names.len(),
            });
        }
        let layers = names.iter().zip(&config.diff_ids).map(|(name, &diff_id)| self.describe(name, diff_id));
        let layers = layers.collect::<Result<_, _>>()?;
        let name = self.tag.clone().or_else(|| item.tags().next().cloned());
        Ok(SourceImage {
            manifest_digest: None,
            index_digest: None,
            config,
            config_bytes,
            image_id,
            layers,
            annotations: BTreeMap::new(),
            name,
        })
    }

    fn platforms(&self) -> Result<Platforms, SourceError> {
        Platforms::of(&self.image(None)?)
    }

    fn open_layer(&self, layer: &LayerDescriptor) -> Result<Box<dyn Read + Send>, SourceError> {
        let missing =
            || SourceError::MissingBlob { path: self.archive.path().to_owned(), digest: layer.digest };
        let name = self.lock_blobs().get(&layer.digest).cloned().ok_or_else(missing)?;
        let (found, reader) = self.archive.open_member(&name)?;
        if found != layer.size {
            return Err(SourceError::WrongSize { digest: layer.digest, expected: layer.size, found });
        }
        Ok(Box::new(reader))
    }
}

/// One spelling for the names of one image: Docker leaves out its own registry, podman and skopeo write it.
fn familiar(tag: &str) -> &str {
    let tag = tag.strip_prefix("docker.io/").or_else(|| tag.strip_prefix("index.docker.io/")).unwrap_or(tag);
    tag.strip_prefix("library/").unwrap_or(tag)
}
