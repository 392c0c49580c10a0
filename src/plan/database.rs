//! The package database, filtered to what remains.
//!
//! Text in, text out, in the original layout; which packages remain is `plan::fate`'s.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::fate::Fate;
use super::known::Known;
use crate::packages::dpkg::filter;
use crate::packages::{self, Database, Kind, PackageId};
use crate::path::ImagePath;

/// New contents of database files, by path; files that do not change are left out.
pub fn edits(known: &Known<'_>, fate: &Fate) -> BTreeMap<ImagePath, Arc<[u8]>> {
    let mut out = BTreeMap::new();
    let Some(database) = known.packages else { return out };
    let filter = Filter { known, database, fate };
    for (path, _) in known.rootfs.below(&ImagePath::literal("var/lib/dpkg")) {
        let Some(bytes) = known.rootfs.bytes(path).filter(|_| fate.stays(path)) else { continue };
        let Some(new) = filter.filtered(path, &bytes) else { continue };
        if *new != *bytes {
            out.insert(path.clone(), Arc::from(new));
        }
    }
    out
}

/// The kind of package database that kiln cannot filter, if that is what the image has.
pub fn unsupported(known: &Known<'_>) -> Option<Kind> {
    packages::detect(known.rootfs).into_keys().find(|kind| *kind != Kind::Dpkg)
}

/// Packages that the database file at `path` belongs to; `None` where it belongs to none in particular.
pub fn belongs_to(database: &Database, path: &ImagePath) -> Option<Vec<PackageId>> {
    if let Some(name) = path.as_bytes().strip_prefix(b"var/lib/dpkg/status.d/") {
        let name = String::from_utf8_lossy(name);
        let name = name.strip_suffix(".md5sums").unwrap_or(&name);
        return Some(database.named(name).collect());
    }
    let info = filter::belongs_to(path)?;
    let matches = |id: &PackageId| {
        info.architecture.as_ref().is_none_or(|wanted| *wanted == database.get(*id).architecture)
    };
    Some(database.named(&info.package).filter(matches).collect())
}

struct Filter<'a> {
    known: &'a Known<'a>,
    database: &'a Database,
    fate: &'a Fate,
}

impl Filter<'_> {
    fn filtered(&self, path: &ImagePath, bytes: &[u8]) -> Option<Vec<u8>> {
        let name = path.as_bytes().strip_prefix(b"var/lib/dpkg/")?;
        Some(match name {
            b"status" => {
                filter::filter_status(bytes, &|name, architecture| self.package_stays(name, architecture))
            }
            b"diversions" => {
                filter::filter_diversions(bytes, &|from, to, _| self.remains(from) || self.remains(to))
            }
            _ if name.starts_with(b"alternatives/") => {
                filter::filter_alternative(bytes, &|path| self.remains(path))?
            }
            _ => {
                // What a package lists may have been diverted elsewhere.
                let ids = belongs_to(self.database, path)?;
                let remains = |listed: &ImagePath| match ids.first() {
                    Some(&id) => self.is_there(&self.database.location(self.known.rootfs, id, listed)),
                    None => self.remains(listed),
                };
                match filter::belongs_to(path).map(|info| info.kind) {
                    Some(filter::InfoKind::List) => filter::filter_list(bytes, &remains),
                    Some(filter::InfoKind::Conffiles) => filter::filter_conffiles(bytes, &remains),
                    Some(filter::InfoKind::Sums) => filter::filter_md5sums(bytes, &remains),
                    None if name.ends_with(b".md5sums") => filter::filter_md5sums(bytes, &remains),
                    _ => return None,
                }
            }
        })
    }

    fn is_there(&self, path: &ImagePath) -> bool {
        self.known.rootfs.node(path).is_some() && self.fate.stays(path)
    }

    fn remains(&self, listed: &ImagePath) -> bool {
        self.is_there(&packages::canonical(self.known.rootfs, listed))
    }

    fn package_stays(&self, name: &str, architecture: &str) -> bool {
        self.database.named(name).any(|id| {
            let package = self.database.get(id);
            (architecture.is_empty() || package.architecture == architecture)
                && self.fate.packages.contains(&id)
        })
    }
}
