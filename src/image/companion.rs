//! Documents that go with an image into a registry: OCI 1.1 artifacts that name it as their subject.
//!
//! Does not know what the documents say, or how a registry lists them.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::finished::descriptor;
use super::json::canonical_bytes;
use super::manifest::Blob;
use super::media;
use super::published::Published;
use crate::digest::BlobDigest;

/// What stands in the place of a config where there is none (image-spec, "Guidance for an Empty Descriptor").
pub const EMPTY_CONFIG: &[u8] = b"{}";

/// The annotation that names a document's file.
const TITLE: &str = "org.opencontainers.image.title";

/// What a document is about: a manifest or an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Its bytes.
    pub blob: Blob,
    /// Their media type.
    pub media_type: &'static str,
}

/// A document about an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Companion {
    /// What it is about.
    pub subject: Subject,
    /// What it is; also the media type of its bytes.
    pub artifact_type: &'static str,
    /// The name of the file that it would be.
    pub title: String,
    /// The document.
    pub bytes: Vec<u8>,
}

/// Which documents about an image are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WantedCompanion {
    /// What they are.
    pub artifact_type: &'static str,
    /// Longest that is read, in bytes.
    pub max_size: u64,
    /// The only one that will do, where somebody who is believed names it.
    pub digest: Option<BlobDigest>,
}

/// A document about an image, read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundCompanion {
    /// What it is.
    pub artifact_type: String,
    /// The name of the file that it would be; whatever its maker says.
    pub title: Option<String>,
    /// The document, as its digest says.
    pub bytes: Vec<u8>,
}

impl WantedCompanion {
    /// Whether a document may be one of them.
    pub fn may_be(&self, document: Blob) -> bool {
        document.size <= self.max_size && self.digest.is_none_or(|digest| digest == document.digest)
    }
}

impl Subject {
    /// The document that names all the rest.
    pub fn root(published: &Published) -> Self {
        let blob = Blob { digest: published.root_digest(), size: published.root_bytes().len() as u64 };
        Self { blob, media_type: published.root_media_type() }
    }

    /// Each image, in order.
    pub fn images(published: &Published) -> Vec<Self> {
        let one = |image: &super::FinishedImage| Self {
            blob: Blob { digest: image.manifest_digest(), size: image.manifest_bytes.len() as u64 },
            media_type: media::OCI_MANIFEST,
        };
        published.images().iter().map(one).collect()
    }
}

impl Companion {
    /// The artifact's manifest: no time and no name of a place, so that the same document has the same digest.
    pub fn manifest_bytes(&self) -> Vec<u8> {
        let empty = descriptor(media::EMPTY, BlobDigest::of(EMPTY_CONFIG), EMPTY_CONFIG.len() as u64);
        let mut layer = descriptor(self.artifact_type, BlobDigest::of(&self.bytes), self.bytes.len() as u64);
        layer.insert("annotations".to_owned(), json!({ TITLE: self.title }));
        let Subject { blob, media_type } = &self.subject;
        let mut manifest = Map::new();
        manifest.insert("schemaVersion".to_owned(), json!(2));
        manifest.insert("mediaType".to_owned(), json!(media::OCI_MANIFEST));
        manifest.insert("artifactType".to_owned(), json!(self.artifact_type));
        manifest.insert("config".to_owned(), Value::Object(empty));
        manifest.insert("layers".to_owned(), json!([layer]));
        manifest.insert("subject".to_owned(), Value::Object(descriptor(media_type, blob.digest, blob.size)));
        canonical_bytes(&Value::Object(manifest))
    }

    /// How an index of referrers lists it.
    pub fn descriptor(&self) -> Value {
        let bytes = self.manifest_bytes();
        let mut entry = descriptor(media::OCI_MANIFEST, BlobDigest::of(&bytes), bytes.len() as u64);
        entry.insert("artifactType".to_owned(), json!(self.artifact_type));
        Value::Object(entry)
    }
}

/// An index of referrers with `entries` in it, as it was besides; `None` where `index` is none: somebody's image under
/// that name is not written over, nor made into what is both an image and an index (CVE-2021-41190).
pub fn with_referrers(index: Option<&[u8]>, entries: &[Value]) -> Option<Vec<u8>> {
    let mut index: Map<String, Value> = match index {
        Some(bytes) => {
            let index: Map<String, Value> = serde_json::from_slice(bytes).ok()?;
            let is_index = index.get("mediaType").is_none_or(|own| own == media::OCI_INDEX)
                && index.get("manifests").is_some_and(Value::is_array)
                && !["config", "layers", "fsLayers"].iter().any(|key| index.contains_key(*key));
            is_index.then_some(index)?
        }
        None => Map::from_iter([
            ("schemaVersion".to_owned(), json!(2)),
            ("mediaType".to_owned(), json!(media::OCI_INDEX)),
        ]),
    };
    let list = index.entry("manifests").or_insert_with(|| json!([])).as_array_mut()?;
    for entry in entries {
        if !list.iter().any(|old| old.get("digest") == entry.get("digest")) {
            list.push(entry.clone());
        }
    }
    Some(canonical_bytes(&Value::Object(index)))
}

/// What an index of referrers lists, but for what cannot be read; `None` where it is no index.
pub fn parse_referrers(bytes: &[u8]) -> Option<Vec<(String, Blob)>> {
    #[derive(Deserialize)]
    struct Index {
        manifests: Vec<Value>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Entry {
        digest: String,
        size: u64,
        artifact_type: String,
    }
    let index: Index = serde_json::from_slice(bytes).ok()?;
    let entries = index.manifests.into_iter().filter_map(|entry| {
        let entry: Entry = serde_json::from_value(entry).ok()?;
        Some((entry.artifact_type, Blob { digest: entry.digest.parse().ok()?, size: entry.size }))
    });
    Some(entries.collect())
}

/// The document that an artifact's manifest names, with its title; `None` where it is not one document about `subject`.
pub fn parse_artifact(bytes: &[u8], subject: &BlobDigest) -> Option<(Blob, Option<String>)> {
    #[derive(Deserialize)]
    struct Artifact {
        layers: Vec<Entry>,
        subject: Entry,
    }
    #[derive(Deserialize)]
    struct Entry {
        digest: String,
        size: u64,
        #[serde(default)]
        annotations: Map<String, Value>,
    }
    let artifact: Artifact = serde_json::from_slice(bytes).ok()?;
    let [layer] = artifact.layers.as_slice() else { return None };
    if artifact.subject.digest != subject.to_string() {
        return None;
    }
    let title = layer.annotations.get(TITLE).and_then(Value::as_str).map(ToOwned::to_owned);
    Some((Blob { digest: layer.digest.parse().ok()?, size: layer.size }, title))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn companion(bytes: &[u8]) -> Companion {
        let blob = Blob { digest: BlobDigest::of(b"image"), size: 5 };
        Companion {
            subject: Subject { blob, media_type: media::OCI_MANIFEST },
            artifact_type: "application/vnd.example+json",
            title: "example.json".to_owned(),
            bytes: bytes.to_vec(),
        }
    }

    #[test]
    fn an_artifact_is_read_back_and_only_as_one_about_its_subject() {
        let companion = companion(b"document");
        let bytes = companion.manifest_bytes();
        let blob = Blob { digest: BlobDigest::of(b"document"), size: 8 };
        let read = parse_artifact(&bytes, &BlobDigest::of(b"image"));
        assert_eq!(read, Some((blob, Some("example.json".to_owned()))));
        assert_eq!(parse_artifact(&bytes, &BlobDigest::of(b"other")), None);
        assert_eq!(parse_artifact(b"{}", &BlobDigest::of(b"image")), None);
    }

    #[test]
    fn an_index_of_referrers_keeps_what_it_had_and_lists_each_once() {
        let (one, two) = (companion(b"one").descriptor(), companion(b"two").descriptor());
        let old = json!({"schemaVersion": 2, "x": 1, "manifests": [one, {"digest": "other"}]}).to_string();
        let new = with_referrers(Some(old.as_bytes()), &[one.clone(), two.clone()]).unwrap();
        let index: Value = serde_json::from_slice(&new).unwrap();
        assert_eq!((&index["x"], &index["manifests"]), (&json!(1), &json!([one, {"digest": "other"}, two])));
        let listed = parse_referrers(&new).unwrap();
        assert_eq!(listed.len(), 2, "what has no type and digest is none of ours");
        let fresh = with_referrers(None, &[one]).unwrap();
        assert_eq!(parse_referrers(&fresh).unwrap().len(), 1);
        for none in [
            "[]",
            "{}",
            r#"{"manifests":{}}"#,
            r#"{"manifests":[],"layers":[]}"#,
            r#"{"manifests":[],"config":{}}"#,
            r#"{"mediaType":"application/vnd.oci.image.manifest.v1+json","manifests":[]}"#,
            r#"{"schemaVersion":2,"config":{},"layers":[]}"#,
        ] {
            assert_eq!(with_referrers(Some(none.as_bytes()), &[]), None, "{none}");
        }
        assert_eq!(parse_referrers(b"{}"), None);
    }
}
