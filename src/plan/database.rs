//! The package databases, filtered to what remains.
//!
//! Bytes in, bytes out, in the original layout; which packages remain is `plan::fate`'s.

mod apk;
mod dpkg;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

pub use dpkg::belongs_to;

use super::fate::Fate;
use super::known::Known;
use crate::packages::{self, Database, Kind};
use crate::path::ImagePath;

/// New contents of database files, by path; files that do not change are left out.
pub fn edits(known: &Known<'_>, fate: &Fate) -> BTreeMap<ImagePath, Arc<[u8]>> {
    let mut out = BTreeMap::new();
    let Some(database) = known.packages else { return out };
    let remains = Remains { known, database, fate };
    for (path, new) in dpkg::filtered(&remains).into_iter().chain(apk::filtered(&remains)) {
        out.insert(path, Arc::from(new));
    }
    out
}

/// The kind of package database that kiln cannot filter, if that is what the image has.
pub fn unsupported(known: &Known<'_>) -> Option<Kind> {
    let was_read = |kind: &Kind| known.packages.is_some_and(|packages| packages.kinds().contains(kind));
    packages::detect(known.rootfs).into_keys().find(|kind| !was_read(kind))
}

/// What remains of the image, as databases are asked.
struct Remains<'a> {
    known: &'a Known<'a>,
    database: &'a Database,
    fate: &'a Fate,
}

impl<'a> Remains<'a> {
    /// Whether the canonical `path` is in the source and stays.
    fn is_there(&self, path: &ImagePath) -> bool {
        self.known.rootfs.node(path).is_some() && self.fate.stays(path)
    }

    /// As [`Self::is_there`], for a path as a database lists it.
    fn remains(&self, listed: &ImagePath) -> bool {
        self.is_there(&packages::canonical(self.known.rootfs, listed))
    }

    /// Whether a package of this name still owns something; any architecture where `architecture` is empty.
    fn package_stays(&self, kind: Kind, name: &str, architecture: &str) -> bool {
        self.database.named(name).any(|id| {
            let package = self.database.get(id);
            package.kind == kind
                && (architecture.is_empty() || package.architecture == architecture)
                && self.fate.packages.contains(&id)
        })
    }

    /// Bytes of the file at `path`, if it stays.
    fn bytes(&self, path: &ImagePath) -> Option<Cow<'a, [u8]>> {
        self.known.rootfs.bytes(path).filter(|_| self.fate.stays(path))
    }
}
