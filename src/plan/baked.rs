//! What a start-up script prepared from nothing but the image: files that the hardened image has from the beginning.
//!
//! Says what is put where; whether it is constant is asked where a start is lowered, and nobody but that asks for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Addition;
use super::access::{Access, Permissions};
use super::fate::Fate;
use super::known::Known;
use crate::digest::BlobDigest;
use crate::path::ImagePath;

/// A file as a script left it, the same in every run that was watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Baked {
    /// Where, no link in it.
    pub path: ImagePath,
    /// What is in it; `None`: what the image has there, of which the script set mode or owner only.
    pub content: Option<Arc<[u8]>>,
    /// As the script left them; what the hardened image has is decided with all other modes and owners.
    pub permissions: Permissions,
    /// The program that wrote it; escaped.
    pub by: String,
    /// In how many runs.
    pub runs: u32,
    /// Whether the server read it in one of them.
    pub is_read: bool,
}

impl Baked {
    /// Digest of what is in it, where that is another than the image's.
    pub fn digest(&self) -> Option<BlobDigest> {
        self.content.as_deref().map(BlobDigest::of)
    }
}

/// Puts what of `baked` the image has in another form into `edits`, and gives back what it does not have at all. What the
/// user strips is not there to be edited.
pub fn carry(
    known: &Known<'_>,
    baked: &[Baked],
    fate: &Fate,
    access: &Access<'_>,
    edits: &mut BTreeMap<ImagePath, Arc<[u8]>>,
) -> Vec<Addition> {
    let mut new = Vec::new();
    for Baked { path, content, permissions, .. } in baked {
        let Some(content) = content else { continue };
        if known.rootfs.node(path).is_some() {
            if fate.stays(path) {
                edits.insert(path.clone(), Arc::clone(content));
            }
            continue;
        }
        let Permissions { mode, uid, gid } = access.changed(path, *permissions, false);
        new.push(Addition { path: path.clone(), content: Some(Arc::clone(content)), mode, uid, gid });
    }
    new
}
