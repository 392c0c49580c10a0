//! What tells a program whatever it is called: a fingerprint of its content, and what its bytes say it is.
//!
//! Does not know what programs there are: the catalog names them, and pass 1 asks it.

use std::fmt;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

/// What a program is apart from its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Equal for copies.
    pub fingerprint: Fingerprint,
    /// The catalog's name of the tool whose marks stand in the bytes: `busybox`.
    pub tool: Option<Box<str>>,
}

/// A 128-bit hash (XXH3) of a file's content, to find copies within one image.
///
/// Not cryptographic, and no promise rests on it: whoever forges one has a file of the image's own taken for a copy
/// of a tool, and could have called it `sh` instead; hiding a tool takes one changed byte under any hash. In return
/// it costs a tenth of a digest, over every program of every layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Fingerprint(u128);

impl Fingerprint {
    /// Of bytes that are there as a whole.
    pub fn of(bytes: &[u8]) -> Self {
        let mut reader = FingerprintReader::new();
        reader.push(bytes);
        reader.finish()
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Takes the fingerprint of a stream.
pub struct FingerprintReader(Box<Xxh3>);

impl FingerprintReader {
    /// Begins a file.
    #[expect(clippy::new_without_default, reason = "a reader of nothing is no default of anything")]
    pub fn new() -> Self {
        Self(Box::new(Xxh3::new()))
    }

    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The fingerprint of all bytes.
    pub fn finish(&self) -> Fingerprint {
        Fingerprint(self.0.digest128())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_of_the_bytes_however_they_come() {
        let bytes: Vec<u8> = (0..5000u32).map(|number| u8::try_from(number % 251).unwrap()).collect();
        let mut reader = FingerprintReader::new();
        bytes.chunks(7).for_each(|piece| reader.push(piece));
        assert_eq!(reader.finish(), Fingerprint::of(&bytes));
        assert_ne!(Fingerprint::of(&bytes[1..]), Fingerprint::of(&bytes));
    }
}
