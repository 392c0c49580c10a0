//! How a layer is stored: its compression, media type and descriptor.
//!
//! Does not know which images hold it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digest::{BlobDigest, DiffId};

/// OCI image manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// OCI image index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// OCI image config.
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// What an empty config says it is (image-spec, "Guidance for an Empty Descriptor").
pub const EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// Docker image manifest, schema 2.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker manifest list.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Docker image config.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";

/// How a layer's stored bytes become its tar stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    /// Stored as it is.
    Plain,
    /// One or more gzip members.
    Gzip,
    /// One or more zstd frames.
    Zstd,
}

/// A compression that other tools read and kiln does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("compression `{0}` is not supported: expected gzip, zstd or none")]
pub struct UnsupportedCompression(pub &'static str);

impl Codec {
    /// Number of bytes that [`Codec::sniff`] wants to see; fewer are fine at the end of a stream.
    pub const MAGIC: usize = 10;

    /// What the first bytes of a stream say. They decide, as in containerd and podman: media types are sometimes wrong.
    pub fn sniff(start: &[u8]) -> Result<Self, UnsupportedCompression> {
        match start {
            [0x1f, 0x8b, 0x08, ..] => Ok(Self::Gzip),
            // A zstd frame, or a skippable frame before one (zstd:chunked, seekable format).
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Ok(Self::Zstd),
            [b'B', b'Z', b'h', _, 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, ..] => {
                Err(UnsupportedCompression("bzip2"))
            }
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Err(UnsupportedCompression("xz")),
            _ => Ok(Self::Plain),
        }
    }

    /// Its name: `plain`, `gzip`, `zstd`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// The OCI media type of a layer stored so.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Plain => "application/vnd.oci.image.layer.v1.tar",
            Self::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
            Self::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
        }
    }
}

/// Why a layer's media type stops everything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MediaTypeError {
    /// Its bytes are kept elsewhere, under terms of their own.
    #[error("layer of media type `{0}` is not distributable: its bytes are not part of the image")]
    Foreign(String),
    /// Nobody without the key can read it.
    #[error("layer of media type `{0}` is encrypted")]
    Encrypted(String),
    /// Not a tar archive.
    #[error("layer has the unknown media type `{0}`")]
    Unknown(String),
}

/// What a manifest's media type of a layer promises.
pub fn parse_layer_media_type(text: &str) -> Result<Codec, MediaTypeError> {
    match text {
        "application/vnd.oci.image.layer.v1.tar"
        | "application/vnd.docker.image.rootfs.diff.tar"
        | "application/vnd.docker.container.image.rootfs.diff+x-tar" => Ok(Codec::Plain),
        "application/vnd.oci.image.layer.v1.tar+gzip"
        | "application/vnd.oci.image.layer.v1.tar.gzip"
        | "application/vnd.docker.image.rootfs.diff.tar.gzip"
        | "application/vnd.docker.image.rootfs.diff.tar+gzip" => Ok(Codec::Gzip),
        "application/vnd.oci.image.layer.v1.tar+zstd"
        | "application/vnd.docker.image.rootfs.diff.tar.zstd"
        | "application/vnd.docker.image.rootfs.diff.tar+zstd" => Ok(Codec::Zstd),
        other if other.ends_with("+encrypted") => Err(MediaTypeError::Encrypted(other.to_owned())),
        other if other.contains(".nondistributable.") || other.contains(".foreign.") => {
            Err(MediaTypeError::Foreign(other.to_owned()))
        }
        other => Err(MediaTypeError::Unknown(other.to_owned())),
    }
}

/// A layer of a source image: what is stored, and what it must become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerDescriptor {
    /// Digest of the stored bytes.
    pub digest: BlobDigest,
    /// Number of stored bytes.
    pub size: u64,
    /// Digest of the tar stream.
    pub diff_id: DiffId,
    /// How the bytes are really stored, by their first bytes.
    pub codec: Codec,
    /// As the source's manifest says, which may be wrong; for archives without one, as `codec` says.
    pub media_type: String,
    /// Annotations of the layer in the source's manifest.
    pub annotations: BTreeMap<String, String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_written_are_read_back() {
        for codec in [Codec::Plain, Codec::Gzip, Codec::Zstd] {
            assert_eq!(parse_layer_media_type(codec.media_type()), Ok(codec));
        }
    }

    #[test]
    fn foreign_encrypted_and_unknown_layers_are_told_apart() {
        let parse = parse_layer_media_type;
        for foreign in [
            "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
            "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        ] {
            assert!(matches!(parse(foreign), Err(MediaTypeError::Foreign(_))), "{foreign}");
        }
        assert!(matches!(
            parse("application/vnd.oci.image.layer.v1.tar+gzip+encrypted"),
            Err(MediaTypeError::Encrypted(_))
        ));
        assert!(matches!(parse("application/vnd.in-toto+json"), Err(MediaTypeError::Unknown(_))));
    }

    #[test]
    fn first_bytes_tell_the_codec() {
        assert_eq!(Codec::sniff(b""), Ok(Codec::Plain));
        assert_eq!(Codec::sniff(&[0x1f, 0x8b, 8, 0]), Ok(Codec::Gzip));
        assert_eq!(Codec::sniff(&[0x50, 0x2a, 0x4d, 0x18]), Ok(Codec::Zstd));
        assert!(Codec::sniff(b"\xfd7zXZ\0rest").is_err());
    }
}
