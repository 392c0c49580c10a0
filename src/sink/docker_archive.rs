//! `docker-archive:FILE`: what `docker load`, `podman load` and skopeo read; plain layers and `manifest.json`.
//!
//! Does not write `repositories` and the `json` of Docker before 1.10: nothing in use reads only those.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::archive::{TarWriter, Target};
use super::{Prepared, Sink, SinkError, Staging};
use crate::digest::{BlobDigest, DiffId};
use crate::image::json::canonical_bytes;
use crate::image::manifest::Blob;
use crate::image::{FinishedImage, FinishedLayer, LayerDescriptor, LayerReader, Published};

pub(super) struct DockerArchive {
    pub(super) target: Target,
    pub(super) tag: Option<String>,
}

impl Sink for DockerArchive {
    fn has_blob(&self, _: Blob) -> bool {
        false
    }

    fn check_index(&self) -> Result<(), SinkError> {
        Err(SinkError::NoIndex(self.target.path().to_owned()))
    }

    fn prepare(&self, published: &Published, staging: &Staging) -> Result<Box<dyn Prepared>, SinkError> {
        let Published::Image(image) = published else {
            return Err(SinkError::NoIndex(self.target.path().to_owned()));
        };
        write(self.target.create()?, self.tag.as_deref(), image, staging)?.finish()
    }
}

/// Writes an archive with one image, named `tag`.
pub(super) fn write(
    mut tar: TarWriter,
    tag: Option<&str>,
    image: &FinishedImage,
    staging: &Staging,
) -> Result<TarWriter, SinkError> {
    let member = |diff_id: &DiffId| format!("{}.tar", diff_id.hex());
    let config = format!("{}.json", BlobDigest::from(image.image_id()).hex());
    let mut item = Map::new();
    item.insert("Config".to_owned(), json!(config));
    item.insert("RepoTags".to_owned(), json!(tag.iter().collect::<Vec<_>>()));
    item.insert(
        "Layers".to_owned(),
        image.layers.iter().map(|layer| Value::from(member(&layer.diff_id))).collect(),
    );
    // First, so that a reader of a stream knows what will come.
    tar.add_bytes("manifest.json", &canonical_bytes(&json!([item])))?;
    tar.add_bytes(&config, &image.config_bytes)?;
    let mut written = Vec::new();
    for layer in &image.layers {
        // One tar stream may be several layers.
        if !written.contains(&layer.diff_id) {
            let failed = |source| SinkError::Decompress { digest: layer.digest, source };
            let stored = staging.open_blob(&layer.digest)?;
            let mut reader = LayerReader::new(stored, &descriptor(layer)).map_err(failed)?;
            tar.add_stream(&member(&layer.diff_id), &mut reader)?;
            reader.finish().map_err(failed)?;
            written.push(layer.diff_id);
        }
    }
    Ok(tar)
}

fn descriptor(layer: &FinishedLayer) -> LayerDescriptor {
    LayerDescriptor {
        digest: layer.digest,
        size: layer.size,
        diff_id: layer.diff_id,
        codec: layer.codec,
        media_type: layer.codec.media_type().to_owned(),
        annotations: BTreeMap::new(),
    }
}
