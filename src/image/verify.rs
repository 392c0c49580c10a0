//! Stored bytes that are what their descriptor says, or an error before the end is reported.
//!
//! Does not know what the bytes mean.

use std::io::{self, Read};

use crate::digest::{BlobDigest, Hasher};

/// A blob that is not what its descriptor says; found inside an [`io::Error`] by [`VerifyError::find`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// More bytes than declared.
    #[error("blob {digest} is longer than its descriptor says: expected {expected} bytes")]
    TooLong {
        /// Which blob.
        digest: BlobDigest,
        /// Declared size.
        expected: u64,
    },
    /// Fewer bytes than declared.
    #[error("blob {digest} ends early: expected {expected} bytes, found {found}")]
    TooShort {
        /// Which blob.
        digest: BlobDigest,
        /// Declared size.
        expected: u64,
        /// Size found.
        found: u64,
    },
    /// As many bytes as declared, but others.
    #[error("blob is not what its digest says: expected {expected}, found {found}")]
    WrongDigest {
        /// Declared digest.
        expected: BlobDigest,
        /// Digest found.
        found: BlobDigest,
    },
}

impl VerifyError {
    /// The verification error at the bottom of an I/O error, however often readers wrapped it.
    pub fn find(error: &io::Error) -> Option<&Self> {
        let mut next: Option<&(dyn std::error::Error + 'static)> =
            error.get_ref().map(|inner| inner as &(dyn std::error::Error + 'static));
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref() {
                return Some(found);
            }
            next = match error.downcast_ref::<io::Error>() {
                Some(wrapped) => wrapped.get_ref().map(|inner| inner as &(dyn std::error::Error + 'static)),
                None => error.source(),
            };
        }
        None
    }
}

impl From<VerifyError> for io::Error {
    fn from(error: VerifyError) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}

/// Passes bytes through and fails where size or digest disagree with what was declared.
///
/// The end is reported (`Ok(0)`) only after both were found right; one byte too many is an error at once.
pub struct VerifyingReader<R> {
    inner: R,
    digest: BlobDigest,
    size: u64,
    hasher: Hasher,
    verified: bool,
    interrupted: bool,
}

impl<R: Read> VerifyingReader<R> {
    /// Wraps the stored bytes of a blob.
    pub fn new(inner: R, digest: BlobDigest, size: u64) -> Self {
        Self { inner, digest, size, hasher: Hasher::default(), verified: false, interrupted: false }
    }

    /// Whether the end was reached and everything was right.
    pub fn is_verified(&self) -> bool {
        self.verified
    }

    /// Whether the bytes stopped coming for a reason that is not theirs.
    pub fn is_interrupted(&self) -> bool {
        self.interrupted
    }

    fn verify(&mut self) -> Result<(), VerifyError> {
        let found = self.hasher.bytes();
        if found < self.size {
            return Err(VerifyError::TooShort { digest: self.digest, expected: self.size, found });
        }
        let found = self.hasher.clone().blob();
        if found != self.digest {
            return Err(VerifyError::WrongDigest { expected: self.digest, found });
        }
        self.verified = true;
        Ok(())
    }
}

impl<R: Read> Read for VerifyingReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.verified || buf.is_empty() {
            return Ok(0);
        }
        let n = self.inner.read(buf).inspect_err(|_| self.interrupted = true)?;
        if n == 0 {
            self.verify()?;
            return Ok(0);
        }
        self.hasher.update(buf.get(..n).unwrap_or_default());
        if self.hasher.bytes() > self.size {
            return Err(VerifyError::TooLong { digest: self.digest, expected: self.size }.into());
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_as(bytes: &[u8], digest: BlobDigest, size: u64) -> Result<Vec<u8>, VerifyError> {
        let mut out = Vec::new();
        let mut reader = VerifyingReader::new(bytes, digest, size);
        match reader.read_to_end(&mut out) {
            Ok(_) => {
                assert!(reader.is_verified());
                Ok(out)
            }
            Err(error) => Err(VerifyError::find(&error).unwrap().clone()),
        }
    }

    #[test]
    fn right_bytes_pass() {
        assert_eq!(read_as(b"clay", BlobDigest::of(b"clay"), 4), Ok(b"clay".to_vec()));
        assert_eq!(read_as(b"", BlobDigest::of(b""), 0), Ok(Vec::new()));
    }

    #[test]
    fn size_and_digest_are_both_held() {
        let digest = BlobDigest::of(b"clay");
        assert_eq!(read_as(b"clay!", digest, 4), Err(VerifyError::TooLong { digest, expected: 4 }));
        assert_eq!(read_as(b"cla", digest, 4), Err(VerifyError::TooShort { digest, expected: 4, found: 3 }));
        let found = BlobDigest::of(b"Clay");
        assert_eq!(read_as(b"Clay", digest, 4), Err(VerifyError::WrongDigest { expected: digest, found }));
    }

    #[test]
    fn the_error_is_found_below_other_io_errors() {
        let inner = io::Error::from(VerifyError::TooLong { digest: BlobDigest::of(b""), expected: 0 });
        let outer = io::Error::other(io::Error::other(inner));
        assert!(matches!(VerifyError::find(&outer), Some(VerifyError::TooLong { .. })));
        assert_eq!(VerifyError::find(&io::Error::other("x")), None);
    }
}
