//! The package databases, filtered to what remains.
//!
//! Bytes in, bytes out, in the original layout; which packages remain is `plan::fate`'s.

mod apk;
mod dpkg;
mod rpm;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

pub use dpkg::belongs_to;

use super::fate::Fate;
use super::known::Known;
use crate::packages::{self, Database, Kind};
use crate::path::ImagePath;

/// Databases, filtered.
#[derive(Debug, Default)]
pub struct Filtered {
    /// New contents of database files, by path; files that do not change are left out.
    pub contents: BTreeMap<ImagePath, Arc<[u8]>>,
    /// A database that was read and could not be filtered.
    pub failed: Option<Kind>,
}

/// Filters every database of the image.
pub fn filter(known: &Known<'_>, fate: &Fate) -> Filtered {
    let mut out = Filtered::default();
    let Some(database) = known.packages else { return out };
    let remains = Remains { known, database, fate };
    let (rpm, rpm_failed) = rpm::filtered(&remains);
    for (path, new) in dpkg::filtered(&remains).into_iter().chain(apk::filtered(&remains)).chain(rpm) {
        out.contents.insert(path, Arc::from(new));
    }
    out.failed = rpm_failed.then_some(Kind::Rpm);
    out
}

/// Why an image's packages do not allow more than level `strip`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// A database of this kind is there and was not read.
    Unread(Kind),
    /// It was read, but what packages of this kind load by name is not known.
    Unknown(Kind),
}

/// What limits the level, if anything does.
pub fn limit(known: &Known<'_>) -> Option<Limit> {
    let was_read = |kind: &Kind| known.packages.is_some_and(|packages| packages.kinds().contains(kind));
    let unread = packages::detect(known.rootfs).into_keys().find(|kind| !was_read(kind));
    let is_unknown =
        |packages: &&Database| packages.installed().any(|(_, package)| package.kind == Kind::Rpm);
    let unknown = || known.packages.filter(is_unknown).map(|_| Limit::Unknown(Kind::Rpm));
    unread.map(Limit::Unread).or_else(unknown)
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
