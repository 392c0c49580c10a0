//! Manifests and indexes, OCI and Docker schema 2, as values of our own.
//!
//! Does not know where documents are kept; digests over their bytes are checked before they come here.

use std::collections::{BTreeMap, HashMap};

use oci_spec::image as oci;
use serde_json::Value;

use super::media::{self, MediaTypeError};
use super::platform::Platform;
use super::{Codec, MAX_LAYERS};
use crate::digest::{BlobDigest, ParseDigestError};

/// Why bytes are no manifest that kiln can work with.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Not JSON, or not of a manifest's shape.
    #[error("manifest cannot be parsed")]
    Parse(#[source] serde_json::Error),
    /// Docker's first format, whose layers have no digests of their own.
    #[error(
        "manifest is of Docker schema 1: expected schema 2 or OCI (pull and save the image with a current tool)"
    )]
    Schema1,
    /// It could be read as two things (CVE-2021-41190).
    #[error("manifest is ambiguous: it holds both `layers` and `manifests`")]
    Ambiguous,
    /// Neither layers nor manifests.
    #[error("document is neither a manifest nor an index")]
    Neither,
    /// The descriptor promises an index and a manifest is there, or the other way round.
    #[error("document is not of the media type `{0}` that leads to it")]
    MediaType(String),
    /// An artifact: a chart, a signature, an attestation.
    #[error("config has media type `{0}`: this is no container image")]
    NotAnImage(String),
    /// A digest that is not SHA-256.
    #[error("manifest names an unusable digest")]
    Digest(#[source] ParseDigestError),
    /// A layer that cannot be read.
    #[error("layer {number} of the manifest cannot be used")]
    Layer {
        /// Counted from 1, base first.
        number: usize,
        /// Why.
        #[source]
        source: MediaTypeError,
    },
    /// More layers than any runtime mounts.
    #[error("manifest has {0} layers, more than {MAX_LAYERS}")]
    TooManyLayers(usize),
}

/// A manifest or an index of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// One image.
    Manifest(Manifest),
    /// Several.
    Index(Vec<IndexEntry>),
}

/// One image: its config and layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The config.
    pub config: Blob,
    /// The layers, base first.
    pub layers: Vec<ManifestLayer>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
}

/// Stored bytes, by digest and size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blob {
    /// Their digest.
    pub digest: BlobDigest,
    /// Their number.
    pub size: u64,
}

/// A layer as the manifest has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestLayer {
    /// Its stored bytes.
    pub blob: Blob,
    /// As written.
    pub media_type: String,
    /// What the media type promises.
    pub codec: Codec,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
}

/// What an index leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexEntry {
    /// The document's bytes.
    pub blob: Blob,
    /// As written.
    pub media_type: String,
    /// What machine it is for, where said.
    pub platform: Option<Platform>,
    /// `org.opencontainers.image.ref.name`.
    pub name: Option<String>,
    /// Not an image but something about one: its platform is unknown, or its type is an artifact's.
    pub is_attestation: bool,
}

/// The annotation that names an image in a layout.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// `BuildKit`'s mark of a manifest that is about another.
const DOCKER_REFERENCE_TYPE: &str = "vnd.docker.reference.type";

impl Document {
    /// Reads a document that a descriptor of `media_type` leads to; empty where nothing says.
    pub fn parse(bytes: &[u8], media_type: &str) -> Result<Self, ManifestError> {
        let value: Value = serde_json::from_slice(bytes).map_err(ManifestError::Parse)?;
        let has = |key: &str| value.get(key).is_some_and(|value| !value.is_null());
        if has("fsLayers") || value.get("schemaVersion").and_then(Value::as_u64) == Some(1) {
            return Err(ManifestError::Schema1);
        }
        let own_type = value.get("mediaType").and_then(Value::as_str).unwrap_or_default();
        let is_index = match (has("manifests"), has("layers") || has("config")) {
            (true, true) => return Err(ManifestError::Ambiguous),
            (true, false) => true,
            (false, true) => false,
            (false, false) => return Err(ManifestError::Neither),
        };
        for said in [media_type, own_type] {
            let contradicts = match said {
                media::OCI_INDEX | media::DOCKER_LIST => !is_index,
                media::OCI_MANIFEST | media::DOCKER_MANIFEST => is_index,
                _ => false,
            };
            if contradicts {
                return Err(ManifestError::MediaType(said.to_owned()));
            }
        }
        if is_index {
            let index: oci::ImageIndex = serde_json::from_value(value).map_err(ManifestError::Parse)?;
            let entries = index.manifests().iter().map(IndexEntry::from_descriptor);
            return Ok(Self::Index(entries.collect::<Result<_, _>>()?));
        }
        let manifest: oci::ImageManifest = serde_json::from_value(value).map_err(ManifestError::Parse)?;
        Manifest::from_oci(&manifest).map(Self::Manifest)
    }
}

impl Manifest {
    fn from_oci(manifest: &oci::ImageManifest) -> Result<Self, ManifestError> {
        let config_type = manifest.config().media_type().to_string();
        if config_type != media::OCI_CONFIG && config_type != media::DOCKER_CONFIG {
            return Err(ManifestError::NotAnImage(config_type));
        }
        if manifest.layers().len() > MAX_LAYERS {
            return Err(ManifestError::TooManyLayers(manifest.layers().len()));
        }
        let layer = |(position, layer): (usize, &oci::Descriptor)| {
            let media_type = layer.media_type().to_string();
            let codec = media::parse_layer_media_type(&media_type)
                .map_err(|source| ManifestError::Layer { number: position + 1, source })?;
            Ok(ManifestLayer {
                blob: Blob::from_descriptor(layer)?,
                media_type,
                codec,
                annotations: sorted(layer.annotations().as_ref()),
            })
        };
        Ok(Self {
            config: Blob::from_descriptor(manifest.config())?,
            layers: manifest.layers().iter().enumerate().map(layer).collect::<Result<_, _>>()?,
            annotations: sorted(manifest.annotations().as_ref()),
        })
    }
}

impl Blob {
    fn from_descriptor(descriptor: &oci::Descriptor) -> Result<Self, ManifestError> {
        let digest = descriptor.digest().to_string().parse().map_err(ManifestError::Digest)?;
        Ok(Self { digest, size: descriptor.size() })
    }
}

impl IndexEntry {
    fn from_descriptor(descriptor: &oci::Descriptor) -> Result<Self, ManifestError> {
        let platform = descriptor.platform().as_ref().map(|platform| {
            let (os, architecture) = (platform.os().to_string(), platform.architecture().to_string());
            Platform::new(&os, &architecture, platform.variant().as_deref())
        });
        let annotations = descriptor.annotations().as_ref();
        let annotated = |key: &str| annotations.and_then(|annotations| annotations.get(key));
        Ok(Self {
            blob: Blob::from_descriptor(descriptor)?,
            media_type: descriptor.media_type().to_string(),
            is_attestation: platform.as_ref().is_some_and(Platform::is_unknown)
                || descriptor.artifact_type().is_some()
                || annotated(DOCKER_REFERENCE_TYPE).is_some(),
            name: annotated(REF_NAME).cloned(),
            platform,
        })
    }
}

/// The annotations of a manifest or index; none where the bytes are neither.
pub fn parse_annotations(bytes: &[u8]) -> BTreeMap<String, String> {
    #[derive(serde::Deserialize)]
    struct Annotated {
        #[serde(default)]
        annotations: BTreeMap<String, String>,
    }
    serde_json::from_slice(bytes).map_or_else(|_| BTreeMap::new(), |document: Annotated| document.annotations)
}

fn sorted(map: Option<&HashMap<String, String>>) -> BTreeMap<String, String> {
    map.into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// Whether the bytes of `oci-layout` are of a version that is known.
pub fn is_known_layout_version(oci_layout: &[u8]) -> bool {
    let value: Option<Value> = serde_json::from_slice(oci_layout).ok();
    let version = value.as_ref().and_then(|value| value.get("imageLayoutVersion")?.as_str());
    version.is_some_and(|version| version.starts_with("1."))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn descriptor(media_type: &str) -> Value {
        json!({"mediaType": media_type, "digest": BlobDigest::of(b"x").to_string(), "size": 1})
    }

    fn parse(value: &Value) -> Result<Document, ManifestError> {
        Document::parse(value.to_string().as_bytes(), "")
    }

    #[test]
    fn docker_and_oci_manifests_are_read_alike() {
        let docker = json!({
            "schemaVersion": 2, "mediaType": media::DOCKER_MANIFEST, "config": descriptor(media::DOCKER_CONFIG),
            "layers": [descriptor("application/vnd.docker.image.rootfs.diff.tar.gzip")],
        });
        let Document::Manifest(manifest) = parse(&docker).unwrap() else { panic!() };
        assert_eq!(manifest.layers[0].codec, Codec::Gzip);
        let oci = json!({
            "schemaVersion": 2, "config": descriptor(media::OCI_CONFIG), "annotations": {"a": "b"},
            "layers": [descriptor("application/vnd.oci.image.layer.v1.tar+zstd")],
        });
        let Document::Manifest(manifest) = parse(&oci).unwrap() else { panic!() };
        assert_eq!(manifest.layers[0].codec, Codec::Zstd);
        assert_eq!(manifest.annotations["a"], "b");
    }

    #[test]
    fn attestations_in_an_index_are_marked() {
        let mut attestation = descriptor(media::OCI_MANIFEST);
        attestation["platform"] = json!({"os": "unknown", "architecture": "unknown"});
        let mut image = descriptor(media::OCI_MANIFEST);
        image["platform"] = json!({"os": "linux", "architecture": "arm", "variant": "v6"});
        let Document::Index(entries) =
            parse(&json!({"schemaVersion": 2, "manifests": [attestation, image]})).unwrap()
        else {
            panic!()
        };
        assert!(entries[0].is_attestation && !entries[1].is_attestation);
        assert_eq!(entries[1].platform, Some("linux/arm/v6".parse().unwrap()));
    }

    #[test]
    fn what_is_no_image_is_refused_by_name() {
        assert!(matches!(parse(&json!({"schemaVersion": 1, "fsLayers": []})), Err(ManifestError::Schema1)));
        let both = json!({"schemaVersion": 2, "layers": [], "manifests": []});
        assert!(matches!(parse(&both), Err(ManifestError::Ambiguous)));
        assert!(matches!(parse(&json!({"schemaVersion": 2})), Err(ManifestError::Neither)));
        let chart = json!({
            "schemaVersion": 2, "layers": [], "config": descriptor("application/vnd.cncf.helm.config.v1+json"),
        });
        assert!(matches!(parse(&chart), Err(ManifestError::NotAnImage(_))));
        let foreign = json!({
            "schemaVersion": 2, "config": descriptor(media::OCI_CONFIG),
            "layers": [descriptor("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip")],
        });
        assert!(matches!(parse(&foreign), Err(ManifestError::Layer { number: 1, .. })));
    }

    #[test]
    fn a_document_of_another_kind_than_promised_is_refused() {
        let index = json!({"schemaVersion": 2, "manifests": []}).to_string();
        let error = Document::parse(index.as_bytes(), media::OCI_MANIFEST).unwrap_err();
        assert!(matches!(error, ManifestError::MediaType(_)));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Document::parse(&bytes, "");
        }
    }
}
