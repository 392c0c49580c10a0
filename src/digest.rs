//! Content digests: three types for three things, so that a blob's digest is never taken for a layer's.
//!
//! Does not know where bytes come from; it hashes what passes through it.

use std::fmt;
use std::io::{self, Read, Write};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

/// A digest that is not `sha256:` and 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("digest `{0}` is not `sha256:` followed by 64 lower-case hexadecimal digits")]
pub struct ParseDigestError(String);

macro_rules! digest_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; 32]);

        impl $name {
            /// The digest of `bytes`.
            pub fn of(bytes: &[u8]) -> Self {
                Self(Sha256::digest(bytes).into())
            }

            /// The 64 hexadecimal digits, without `sha256:`.
            pub fn hex(&self) -> String {
                self.0.iter().map(|byte| format!("{byte:02x}")).collect()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "sha256:{}", self.hex())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = ParseDigestError;

            fn from_str(text: &str) -> Result<Self, ParseDigestError> {
                parse_sha256(text).map(Self).ok_or_else(|| ParseDigestError(text.chars().take(100).collect()))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

digest_type!(
    /// Digest of stored bytes: a layer as compressed, a manifest, any blob.
    BlobDigest
);
digest_type!(
    /// Digest of a layer's uncompressed tar stream (`rootfs.diff_ids`).
    DiffId
);
digest_type!(
    /// Digest of an image's config document.
    ImageId
);

impl From<ImageId> for BlobDigest {
    fn from(id: ImageId) -> Self {
        Self(id.0)
    }
}

impl From<BlobDigest> for ImageId {
    fn from(digest: BlobDigest) -> Self {
        Self(digest.0)
    }
}

impl From<DiffId> for BlobDigest {
    /// An uncompressed layer is stored as it is: its blob digest is its `diff_id`.
    fn from(id: DiffId) -> Self {
        Self(id.0)
    }
}

fn parse_sha256(text: &str) -> Option<[u8; 32]> {
    let hex = text.strip_prefix("sha256:")?.as_bytes();
    if hex.len() != 64 {
        return None;
    }
    let mut out = [0; 32];
    for (slot, &[high, low]) in out.iter_mut().zip(hex.as_chunks::<2>().0) {
        *slot = nibble(high)? << 4 | nibble(low)?;
    }
    Some(out)
}

fn nibble(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

/// What computes SHA-256 on this machine.
pub fn engine() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    let by_processor = std::arch::is_x86_feature_detected!("sha");
    #[cfg(target_arch = "aarch64")]
    let by_processor = std::arch::is_aarch64_feature_detected!("sha2");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let by_processor = false;
    if by_processor { "by the processor's own instructions" } else { "in software" }
}

/// A running SHA-256 that also counts.
#[derive(Clone, Default)]
pub struct Hasher {
    state: Sha256,
    bytes: u64,
}

impl Hasher {
    /// Takes the next bytes of the stream.
    pub fn update(&mut self, bytes: &[u8]) {
        self.state.update(bytes);
        self.bytes += bytes.len() as u64;
    }

    /// Number of bytes taken so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The digest of stored bytes.
    pub fn blob(self) -> BlobDigest {
        BlobDigest(self.state.finalize().into())
    }

    /// The digest of an uncompressed layer.
    pub fn diff_id(self) -> DiffId {
        DiffId(self.state.finalize().into())
    }
}

/// Hashes everything read through it.
pub struct HashingReader<R> {
    inner: R,
    hasher: Hasher,
}

impl<R: Read> HashingReader<R> {
    /// Wraps `inner`.
    pub fn new(inner: R) -> Self {
        Self { inner, hasher: Hasher::default() }
    }

    /// Number of bytes that have passed.
    pub fn bytes(&self) -> u64 {
        self.hasher.bytes()
    }

    /// What is wrapped; what is read from it here is not hashed.
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.inner
    }

    /// What was wrapped, and the hash of all that was read.
    pub fn finish(self) -> (R, Hasher) {
        (self.inner, self.hasher)
    }
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.hasher.update(buf.get(..n).unwrap_or_default());
        Ok(n)
    }
}

/// Hashes everything written through it.
pub struct HashingWriter<W> {
    inner: W,
    hasher: Hasher,
}

impl<W: Write> HashingWriter<W> {
    /// Wraps `inner`.
    pub fn new(inner: W) -> Self {
        Self { inner, hasher: Hasher::default() }
    }

    /// What was wrapped, and the hash of all that was written.
    pub fn finish(self) -> (W, Hasher) {
        (self.inner, self.hasher)
    }
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(buf)?;
        self.hasher.update(buf.get(..n).unwrap_or_default());
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_survives_text() {
        let digest = BlobDigest::of(b"");
        assert_eq!(
            digest.to_string(),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(digest.to_string().parse(), Ok(digest));
    }

    #[test]
    fn digest_refuses_other_algorithms_case_and_length() {
        for text in ["", "sha256:", "sha512:00", &format!("sha256:{}", "A".repeat(64)), &"0".repeat(64)] {
            assert!(text.parse::<DiffId>().is_err(), "{text}");
        }
    }
}
