//! What a run puts out: one hardened image, or an index of hardened images for several platforms.
//!
//! Does not know where it goes; a destination that takes no index says so itself.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::finished::{FinishedImage, annotate, descriptor};
use super::json::canonical_bytes;
use super::media;
use super::platform::Platform;
use crate::digest::BlobDigest;

/// Images for several platforms under one digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinishedIndex {
    /// The index's bytes.
    pub index_bytes: Vec<u8>,
    /// The images, in the order of the index.
    pub images: Vec<FinishedImage>,
}

/// What becomes visible at a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Published {
    /// One image.
    Image(FinishedImage),
    /// Several.
    Index(FinishedIndex),
}

impl FinishedIndex {
    /// Writes the index: keys sorted, no white space, the same for the same input. Each image's platform is what its
    /// descriptor says.
    pub fn new(images: Vec<FinishedImage>, annotations: &BTreeMap<String, String>) -> Self {
        let entry = |image: &FinishedImage| {
            let size = image.manifest_bytes.len() as u64;
            let mut entry = descriptor(media::OCI_MANIFEST, image.manifest_digest(), size);
            entry.insert("platform".to_owned(), platform_value(&image.platform));
            Value::Object(entry)
        };
        let mut index = Map::new();
        index.insert("schemaVersion".to_owned(), json!(2));
        index.insert("mediaType".to_owned(), json!(media::OCI_INDEX));
        index.insert("manifests".to_owned(), images.iter().map(entry).collect());
        annotate(&mut index, annotations);
        Self { index_bytes: canonical_bytes(&Value::Object(index)), images }
    }
}

impl Published {
    /// The images in it.
    pub fn images(&self) -> &[FinishedImage] {
        match self {
            Self::Image(image) => std::slice::from_ref(image),
            Self::Index(index) => &index.images,
        }
    }

    /// The document that names all the rest: a manifest or an index.
    pub fn root_bytes(&self) -> &[u8] {
        match self {
            Self::Image(image) => &image.manifest_bytes,
            Self::Index(index) => &index.index_bytes,
        }
    }

    /// Digest of [`Self::root_bytes`]: what a tag or a pod spec names.
    pub fn root_digest(&self) -> BlobDigest {
        BlobDigest::of(self.root_bytes())
    }

    /// Media type of [`Self::root_bytes`].
    pub fn root_media_type(&self) -> &'static str {
        match self {
            Self::Image(_) => media::OCI_MANIFEST,
            Self::Index(_) => media::OCI_INDEX,
        }
    }

    /// The descriptor that leads to it; an image's says its platform.
    pub fn root_descriptor(&self) -> Map<String, Value> {
        let mut root = descriptor(self.root_media_type(), self.root_digest(), self.root_bytes().len() as u64);
        if let Self::Image(image) = self {
            root.insert("platform".to_owned(), platform_value(&image.platform));
        }
        root
    }
}

impl From<FinishedImage> for Published {
    fn from(image: FinishedImage) -> Self {
        Self::Image(image)
    }
}

fn platform_value(platform: &Platform) -> Value {
    let mut value = Map::new();
    value.insert("os".to_owned(), json!(platform.os()));
    value.insert("architecture".to_owned(), json!(platform.architecture()));
    if let Some(variant) = platform.variant() {
        value.insert("variant".to_owned(), json!(variant));
    }
    Value::Object(value)
}

#[cfg(test)]
mod tests {
    use super::super::manifest::Document;
    use super::*;

    fn image(platform: &str) -> FinishedImage {
        let config = format!("{{\"for\":\"{platform}\"}}").into_bytes();
        FinishedImage::new(platform.parse().unwrap(), config, Vec::new(), &BTreeMap::new())
    }

    #[test]
    fn the_index_is_read_back_with_its_platforms_in_order() {
        let images = vec![image("linux/arm/v6"), image("linux/amd64")];
        let annotations = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
        let index = FinishedIndex::new(images.clone(), &annotations);
        let Document::Index(entries) = Document::parse(&index.index_bytes, media::OCI_INDEX).unwrap() else {
            panic!()
        };
        let read: Vec<_> =
            entries.iter().map(|entry| (entry.platform.clone().unwrap(), entry.blob.digest)).collect();
        let written: Vec<_> =
            images.iter().map(|image| (image.platform.clone(), image.manifest_digest())).collect();
        assert_eq!(read, written);
        let published = Published::Index(index);
        assert_eq!(published.root_descriptor()["digest"], json!(published.root_digest()));
        assert!(!published.root_descriptor().contains_key("platform"));
    }
}
