//! One file of the cache: a value and the digest of its bytes, put into place as a whole.
//!
//! Failing to keep something is no error: it is made again the next time.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;
use std::time::SystemTime;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::digest::BlobDigest;
use crate::sink::claim_file;

/// Hexadecimal digits of the digest that stands first.
const DIGEST: usize = 64;

/// The value at `path`, or what it begins with; `None` where there is none that is whole and right. That it was used is noted.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    let value = parse(&fs::read(path).ok()?);
    if value.is_none() {
        let _ = fs::remove_file(path);
    } else {
        note_use(path);
    }
    value
}

/// Notes that the entry at `path` was of use, where there is one.
pub(super) fn note_use(path: &Path) {
    if let Ok(file) = File::open(path) {
        let _ = file.set_modified(SystemTime::now());
    }
}

/// As [`read`], and nothing is noted.
pub(super) fn peek<T: DeserializeOwned>(path: &Path) -> Option<T> {
    parse(&fs::read(path).ok()?)
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let (digest, value) = bytes.split_at_checked(DIGEST)?;
    (BlobDigest::of(value).hex().as_bytes() == digest).then_some(())?;
    postcard::from_bytes(value).ok()
}

/// Puts `value` at `path`.
pub(super) fn write<T: Serialize>(path: &Path, value: &T) {
    let Ok(bytes) = postcard::to_allocvec(value) else { return };
    let put = || {
        let mut file = claim_file(path.parent().unwrap_or(path))?;
        file.write_all(BlobDigest::of(&bytes).hex().as_bytes())?;
        file.write_all(&bytes)?;
        file.persist(path).map_err(io::Error::from)
    };
    let _ = put();
}

/// Copies the file `from` into the place of `to`: no file of an image is a file of the cache, whatever is done to it later.
pub(super) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut file = claim_file(to.parent().unwrap_or(to))?;
    io::copy(&mut File::open(from)?, file.as_file_mut())?;
    file.persist(to)?;
    Ok(())
}

/// Whether files can be made in `directory`.
pub(super) fn probe(directory: &Path) -> io::Result<()> {
    claim_file(directory).map(drop)
}
