//! apk's database, file by file.
//!
//! Knows which of its files lists what; the formats are `packages::apk::filter`'s.

use super::Remains;
use crate::packages::Kind;
use crate::packages::apk::{self, DatabaseFile, filter};
use crate::path::ImagePath;

/// New contents of the database's files that change.
pub(super) fn filtered(remains: &Remains<'_>) -> Vec<(ImagePath, Vec<u8>)> {
    let rootfs = remains.known.rootfs;
    let stays = |name: &str| remains.package_stays(Kind::Apk, name, "");
    let mut remaining = filter::Remaining::default();
    let files = apk::files(rootfs);
    for (path, _) in files.iter().filter(|(_, file)| *file == DatabaseFile::Installed) {
        remaining.add(&rootfs.bytes(path).unwrap_or_default(), &stays);
    }
    let filtered = files.into_iter().filter_map(|(path, file)| {
        let bytes = remains.bytes(&path)?;
        let new = match file {
            DatabaseFile::Installed => {
                filter::filter_installed(&bytes, &stays, &|listed| remains.remains(listed))
            }
            DatabaseFile::Triggers => filter::filter_triggers(&bytes, &remaining),
            DatabaseFile::Scripts => filter::filter_scripts(&bytes, &remaining),
            DatabaseFile::World => filter::filter_world(&bytes, &remaining),
        };
        (*new != *bytes).then_some((path, new))
    });
    filtered.collect()
}
