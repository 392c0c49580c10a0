//! The package database of an image: which package owns a file, and what a package needs.
//!
//! Does not decide what goes; reads dpkg's, apk's and rpm's, and notices what it cannot read.

pub mod apk;
mod database;
pub mod dpkg;
pub mod rpm;
mod stanzas;

use std::collections::BTreeMap;
use std::fmt;

pub use database::{Database, Package, PackageId, State, Warning};

use crate::path::ImagePath;
use crate::rootfs::Rootfs;

/// How many bytes of the file at `path` pass 1 must keep for [`Database::read`]; `None`: none.
pub fn wanted(path: &ImagePath) -> Option<u64> {
    dpkg::wanted(path).or_else(|| apk::wanted(path)).or_else(|| rpm::wanted(path))
}

/// Whether `path` is part of a database that is filtered, and is neither kept nor stripped as a file.
pub fn is_database(path: &ImagePath) -> bool {
    path.is_within(&ImagePath::literal(dpkg::ADMIN)) || apk::file_at(path).is_some()
}

/// A kind of package database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Debian, Ubuntu, and distroless images made of their packages.
    Dpkg,
    /// Red Hat, SUSE.
    Rpm,
    /// Alpine, Wolfi.
    Apk,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dpkg => "dpkg",
            Self::Rpm => "rpm",
            Self::Apk => "apk",
        })
    }
}

/// Where each kind keeps its database.
const PLACES: &[(Kind, &str)] = &[
    (Kind::Dpkg, "var/lib/dpkg/status"),
    (Kind::Dpkg, "var/lib/dpkg/status.d"),
    (Kind::Rpm, "var/lib/rpm"),
    (Kind::Rpm, "usr/lib/sysimage/rpm"),
    (Kind::Rpm, "usr/share/rpm"),
    (Kind::Apk, "lib/apk/db/installed"),
    (Kind::Apk, "usr/lib/apk/db/installed"),
];

/// The kinds of database that the image has something of, each once, with the place it was seen at.
///
/// An empty directory is none: Debian's `rpm` libraries leave one.
pub fn detect(rootfs: &Rootfs) -> BTreeMap<Kind, ImagePath> {
    let mut kinds = BTreeMap::new();
    for (kind, place) in PLACES {
        let Some(found) = rootfs.resolve(&ImagePath::literal(place)) else { continue };
        if !rootfs.is_directory(&found.path) || rootfs.below(&found.path).next().is_some() {
            kinds.entry(*kind).or_insert(found.path);
        }
    }
    kinds
}
/// `path` as the tree has it: links among its directories followed, its last name as it is.
pub fn canonical(rootfs: &Rootfs, path: &ImagePath) -> ImagePath {
    if let Some(own) = rootfs.own(path) {
        return own.clone();
    }
    match path.parent().and_then(|parent| rootfs.canonicalize_missing(&parent)) {
        Some(parent) => parent.child(path.name()),
        None => path.clone(),
    }
}

#[cfg(test)]
mod tests;
