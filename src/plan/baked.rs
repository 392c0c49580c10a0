//! What a start-up script prepared from nothing but the image: files that the hardened image has from the beginning.
//!
//! Says what is put where; whether it is constant is asked where a start is lowered, and nobody but that asks for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::access::{Access, Permissions};
use super::fate::Fate;
use super::known::Known;
use super::{Addition, Made};
use crate::digest::BlobDigest;
use crate::path::ImagePath;

/// A file as a script left it, the same in every run that was watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baked {
    /// Where, no link in it.
    pub path: ImagePath,
    /// What is in it.
    pub holds: Holds,
    /// As the script left them; what the hardened image has is decided with all other modes and owners.
    pub permissions: Permissions,
    /// The program that wrote it; escaped.
    pub by: String,
    /// In how many runs.
    pub runs: u32,
    /// Whether the server read it in one of them.
    pub is_read: bool,
}

/// What a script left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Holds {
    /// A file with these bytes.
    Bytes(Arc<[u8]>),
    /// A symbolic link that says this.
    Link(Arc<[u8]>),
    /// What the image has there, of which it set mode or owner only.
    Image,
}

impl Baked {
    /// What is in the file, where that is another thing than the image's.
    pub fn bytes(&self) -> Option<&Arc<[u8]>> {
        match &self.holds {
            Holds::Bytes(bytes) => Some(bytes),
            Holds::Link(_) | Holds::Image => None,
        }
    }

    /// Its digest.
    pub fn digest(&self) -> Option<BlobDigest> {
        self.bytes().map(|bytes| BlobDigest::of(bytes))
    }

    /// What a link says.
    pub fn target(&self) -> Option<&[u8]> {
        match &self.holds {
            Holds::Link(target) => Some(target),
            Holds::Bytes(_) | Holds::Image => None,
        }
    }
}

/// A link has all bits, and whose it is matters to nobody.
const LINK: Permissions = Permissions { mode: 0o777, uid: 0, gid: 0 };

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
    for Baked { path, holds, permissions, .. } in baked {
        let is_there = known.rootfs.node(path).is_some();
        let (made, permissions) = match holds {
            Holds::Bytes(bytes) if is_there => {
                if fate.stays(path) {
                    edits.insert(path.clone(), Arc::clone(bytes));
                }
                continue;
            }
            Holds::Bytes(bytes) => (Made::File(Arc::clone(bytes)), access.changed(path, *permissions, false)),
            Holds::Link(target) if !is_there => (Made::Link(Arc::clone(target)), LINK),
            Holds::Link(_) | Holds::Image => continue,
        };
        let Permissions { mode, uid, gid } = permissions;
        new.push(Addition { path: path.clone(), made, mode, uid, gid });
    }
    new
}
