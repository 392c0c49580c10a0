//! Names of images as pods have them, and names of pods after them.
//!
//! Looks nothing up.

use crate::digest::BlobDigest;
use crate::reference::Reference;

/// The last name of the image `named`, as a DNS label.
pub(super) fn label_of(named: &str) -> String {
    let path = match named.parse() {
        Ok(Reference::Registry(reference)) => reference.repository.path,
        _ => named.split(':').nth(1).unwrap_or(named).to_owned(),
    };
    let stem = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let stem = stem.strip_suffix(".tar.gz").or_else(|| stem.strip_suffix(".tar")).unwrap_or(stem);
    let label: String = stem
        .to_ascii_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(53)
        .collect();
    let label = label.trim_matches('-');
    if label.is_empty() { "hardened".to_owned() } else { label.to_owned() }
}

/// `name` with the digest, whatever digest it had.
pub(super) fn pinned(name: &str, digest: BlobDigest) -> String {
    format!("{}@{digest}", name.split('@').next().unwrap_or(name))
}
