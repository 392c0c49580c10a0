//! The writable manifests of an image for several platforms, in one document.
//!
//! Adds nothing to them: each is as it stands in its image.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Manifest, ParseManifestError};
use crate::json;

/// The document's media type.
const MEDIA_TYPE: &str = "application/vnd.kiln.writable-manifest-index.v1+json";

/// The writable manifests of an image for several platforms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ManifestIndex {
    /// `application/vnd.kiln.writable-manifest-index.v1+json`.
    pub media_type: String,
    /// One for each platform, in the order of the index.
    pub platforms: Vec<PlatformManifest>,
}

/// The writable manifest of the image for one platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlatformManifest {
    /// `OS/ARCH[/VARIANT]`.
    pub platform: String,
    /// Digest of the hardened image.
    pub image: String,
    /// As it stands in the image.
    pub manifest: Manifest,
}

impl ManifestIndex {
    /// The document of `platforms`.
    pub fn new(platforms: Vec<PlatformManifest>) -> Self {
        Self { media_type: MEDIA_TYPE.to_owned(), platforms }
    }

    /// Reads such a document; `None` where `text` says that it is another.
    pub fn parse(text: &str) -> Option<Result<Self, ParseManifestError>> {
        #[derive(Deserialize)]
        struct Type {
            media_type: String,
        }
        let said: Type = serde_json::from_str(text).ok()?;
        (said.media_type == MEDIA_TYPE).then(|| serde_json::from_str(text).map_err(ParseManifestError::Shape))
    }

    /// Indented, fields in a fixed order, a newline at the end.
    pub fn render(&self) -> String {
        json::render(self)
    }
}

/// The JSON Schema of the document.
pub fn index_schema() -> String {
    json::render_schema::<ManifestIndex>()
}
