//! dpkg's database, file by file.
//!
//! Knows which of its files lists what; the formats are `packages::dpkg::filter`'s.

use super::Remains;
use crate::packages::dpkg::filter;
use crate::packages::{Database, Kind, PackageId};
use crate::path::ImagePath;

/// Packages that the database file at `path` belongs to; `None` where it belongs to none in particular.
pub fn belongs_to(database: &Database, path: &ImagePath) -> Option<Vec<PackageId>> {
    let of_dpkg = |id: &PackageId| database.get(*id).kind == Kind::Dpkg;
    if let Some(name) = path.as_bytes().strip_prefix(b"var/lib/dpkg/status.d/") {
        let name = String::from_utf8_lossy(name);
        let name = name.strip_suffix(".md5sums").unwrap_or(&name);
        return Some(database.named(name).filter(of_dpkg).collect());
    }
    let info = filter::belongs_to(path)?;
    let matches = |id: &PackageId| {
        info.architecture.as_ref().is_none_or(|wanted| *wanted == database.get(*id).architecture)
    };
    Some(database.named(&info.package).filter(of_dpkg).filter(matches).collect())
}

/// New contents of the database's files that change.
pub(super) fn filtered(remains: &Remains<'_>) -> Vec<(ImagePath, Vec<u8>)> {
    let below = remains.known.rootfs.below(&ImagePath::literal("var/lib/dpkg"));
    let files = below.filter_map(|(path, _)| {
        let bytes = remains.bytes(path)?;
        let new = file(remains, path, &bytes)?;
        (*new != *bytes).then(|| (path.clone(), new))
    });
    files.collect()
}

fn file(remains: &Remains<'_>, path: &ImagePath, bytes: &[u8]) -> Option<Vec<u8>> {
    let name = path.as_bytes().strip_prefix(b"var/lib/dpkg/")?;
    Some(match name {
        b"status" => filter::filter_status(bytes, &|name, architecture| {
            remains.package_stays(Kind::Dpkg, name, architecture)
        }),
        b"diversions" => {
            filter::filter_diversions(bytes, &|from, to, _| remains.remains(from) || remains.remains(to))
        }
        _ if name.starts_with(b"alternatives/") => {
            filter::filter_alternative(bytes, &|path| remains.remains(path))?
        }
        _ => {
            // What a package lists may have been diverted elsewhere.
            let ids = belongs_to(remains.database, path)?;
            let is_there = |listed: &ImagePath| match ids.first() {
                Some(&id) => remains.is_there(&remains.database.location(remains.known.rootfs, id, listed)),
                None => remains.remains(listed),
            };
            match filter::belongs_to(path).map(|info| info.kind) {
                Some(filter::InfoKind::List) => filter::filter_list(bytes, &is_there),
                Some(filter::InfoKind::Conffiles) => filter::filter_conffiles(bytes, &is_there),
                Some(filter::InfoKind::Sums) => filter::filter_md5sums(bytes, &is_there),
                None if name.ends_with(b".md5sums") => filter::filter_md5sums(bytes, &is_there),
                _ => return None,
            }
        }
    })
}
