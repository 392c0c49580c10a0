//! rpm's database: rows in, rows out.
//!
//! Knows that it can fail; what a row is, is `packages::rpm`'s.

use super::Remains;
use crate::packages::{Kind, rpm};
use crate::path::ImagePath;

/// New contents of the databases, and whether one could not be filtered.
pub(super) fn filtered(remains: &Remains<'_>) -> (Vec<(ImagePath, Vec<u8>)>, bool) {
    let (mut out, mut failed) = (Vec::new(), false);
    if !remains.database.kinds().contains(&Kind::Rpm) {
        return (out, failed);
    }
    let stays = |name: &str, architecture: &str| remains.package_stays(Kind::Rpm, name, architecture);
    for path in rpm::files(remains.known.rootfs) {
        let Some(bytes) = remains.bytes(&path) else { continue };
        match rpm::filter_database(&bytes, &stays) {
            Ok(new) => out.extend(new.map(|new| (path, new))),
            Err(_) => failed = true,
        }
    }
    (out, failed)
}
