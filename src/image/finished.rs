//! A hardened image, ready for any destination: its documents and the list of its layers.
//!
//! Does not know where the blobs are staged or go.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::json::canonical_bytes;
use super::media::{self, Codec, LayerDescriptor};
use super::platform::Platform;
use crate::digest::{BlobDigest, DiffId, ImageId};

/// A layer of the new image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinishedLayer {
    /// Digest of the stored bytes.
    pub digest: BlobDigest,
    /// Number of stored bytes.
    pub size: u64,
    /// Digest of the tar stream.
    pub diff_id: DiffId,
    /// How the bytes are stored; gives the media type.
    pub codec: Codec,
    /// Annotations of the layer.
    pub annotations: BTreeMap<String, String>,
}

impl FinishedLayer {
    /// A layer that was written again. Annotations of one are about its bytes (zstd:chunked's checksums): it has none.
    pub fn new(digest: BlobDigest, size: u64, diff_id: DiffId, codec: Codec) -> Self {
        Self { digest, size, diff_id, codec, annotations: BTreeMap::new() }
    }
}

impl From<&LayerDescriptor> for FinishedLayer {
    /// A layer that stays as it is. Its media type becomes OCI's, and true.
    fn from(layer: &LayerDescriptor) -> Self {
        Self {
            digest: layer.digest,
            size: layer.size,
            diff_id: layer.diff_id,
            codec: layer.codec,
            annotations: layer.annotations.clone(),
        }
    }
}

/// The same for every destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinishedImage {
    /// What machine it is for.
    pub platform: Platform,
    /// The config's bytes.
    pub config_bytes: Vec<u8>,
    /// The OCI manifest's bytes.
    pub manifest_bytes: Vec<u8>,
    /// The layers, base first.
    pub layers: Vec<FinishedLayer>,
}

impl FinishedImage {
    /// Writes the manifest: keys sorted, no white space, the same for the same input.
    pub fn new(
        platform: Platform,
        config_bytes: Vec<u8>,
        layers: Vec<FinishedLayer>,
        annotations: &BTreeMap<String, String>,
    ) -> Self {
        let config = descriptor(media::OCI_CONFIG, BlobDigest::of(&config_bytes), config_bytes.len() as u64);
        let layer_values = layers.iter().map(|layer| {
            let mut value = descriptor(layer.codec.media_type(), layer.digest, layer.size);
            annotate(&mut value, &layer.annotations);
            Value::Object(value)
        });
        let mut manifest = Map::new();
        manifest.insert("schemaVersion".to_owned(), json!(2));
        manifest.insert("mediaType".to_owned(), json!(media::OCI_MANIFEST));
        manifest.insert("config".to_owned(), Value::Object(config));
        manifest.insert("layers".to_owned(), layer_values.collect());
        annotate(&mut manifest, annotations);
        let manifest_bytes = canonical_bytes(&Value::Object(manifest));
        Self { platform, config_bytes, manifest_bytes, layers }
    }

    /// What names the image in a layout or registry.
    pub fn manifest_digest(&self) -> BlobDigest {
        BlobDigest::of(&self.manifest_bytes)
    }

    /// What names the image in Docker and podman.
    pub fn image_id(&self) -> ImageId {
        ImageId::of(&self.config_bytes)
    }
}

pub(super) fn descriptor(media_type: &str, digest: BlobDigest, size: u64) -> Map<String, Value> {
    let mut map = Map::new();
    map.insert("mediaType".to_owned(), json!(media_type));
    map.insert("digest".to_owned(), json!(digest));
    map.insert("size".to_owned(), json!(size));
    map
}

pub(super) fn annotate(map: &mut Map<String, Value>, annotations: &BTreeMap<String, String>) {
    if !annotations.is_empty() {
        map.insert("annotations".to_owned(), json!(annotations));
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::super::manifest::Document;
    use super::*;

    #[test]
    fn the_manifest_is_read_back() {
        let layer = FinishedLayer {
            digest: BlobDigest::of(b"stored"),
            size: 6,
            diff_id: DiffId::of(b"tar"),
            codec: Codec::Gzip,
            annotations: BTreeMap::new(),
        };
        let annotations = BTreeMap::from([("vnd.kiln.source".to_owned(), "x".to_owned())]);
        let platform = "linux/amd64".parse().unwrap();
        let image = FinishedImage::new(platform, b"{}".to_vec(), vec![layer], &annotations);
        let Document::Manifest(manifest) =
            Document::parse(&image.manifest_bytes, media::OCI_MANIFEST).unwrap()
        else {
            panic!()
        };
        assert_eq!(manifest.annotations, annotations);
        assert_eq!(manifest.layers[0].blob.digest, BlobDigest::of(b"stored"));
        expect![[r#"{"annotations":{"vnd.kiln.source":"x"},"config":{"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","mediaType":"application/vnd.oci.image.config.v1+json","size":2},"layers":[{"digest":"sha256:87b04e58961f9a99d853d4046a0b5b793e7c3e4bbd21f5aca8fb17c20cdb1d8b","mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","size":6}],"mediaType":"application/vnd.oci.image.manifest.v1+json","schemaVersion":2}"#]]
        .assert_eq(std::str::from_utf8(&image.manifest_bytes).unwrap());
    }
}
