//! The image in numbers, before and after.
//!
//! Counts the merged tree, as whoever runs the image sees it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::access::Access;
use super::fate::Fate;
use super::known::Known;
use super::{Addition, Made, Totals};
use crate::path::ImagePath;
use crate::rootfs::{EntryId, Kind, Rootfs};

/// Counts before and after.
pub fn count(
    known: &Known<'_>,
    fate: &Fate,
    access: &Access<'_>,
    edits: &BTreeMap<ImagePath, Arc<[u8]>>,
    additions: &[Addition],
) -> (Totals, Totals) {
    // What a source has where kiln's own layer has something is not what is seen.
    let replaced: BTreeSet<&ImagePath> = additions.iter().map(|addition| &addition.path).collect();
    let (mut before, mut after) = (Totals::default(), Totals::default());
    let (mut seen_before, mut seen_after) = (Seen::new(known.rootfs), Seen::new(known.rootfs));
    for (path, node) in known.rootfs.nodes() {
        let (Some(entry), Some(inode)) = (known.rootfs.inode(node), node.inode) else { continue };
        let stays = fate.stays(path) && (!replaced.contains(path) || fate.moved.contains_key(path));
        let class = known.class(path).is_some();
        let new_mode = access.permissions(path, entry).mode;
        for (totals, seen, counted, mode, edited) in [
            (&mut before, &mut seen_before, true, entry.mode, None),
            (&mut after, &mut seen_after, stays, new_mode, edits.get(path)),
        ] {
            if !counted {
                continue;
            }
            totals.catalogued += u64::from(class);
            if matches!(entry.kind, Kind::Symlink(_)) || !seen.insert(inode) {
                continue;
            }
            totals.writable += u64::from(mode & 0o222 != 0);
            if let Some(file) = entry.file() {
                totals.files += 1;
                totals.bytes += edited.map_or(file.size, |content| content.len() as u64);
                totals.executables += u64::from(mode & 0o111 != 0);
                totals.setuid += u64::from(mode & 0o6000 != 0);
            }
        }
    }
    for addition in additions {
        let is_link = matches!(addition.made, Made::Link(_));
        after.writable += u64::from(!is_link && addition.mode & 0o222 != 0);
        if let Some(content) = addition.content() {
            after.files += 1;
            after.bytes += content.len() as u64;
            after.executables += u64::from(addition.mode & 0o111 != 0);
        }
    }
    if let Some(packages) = known.packages {
        before.packages = packages
            .installed()
            .filter(|(_, package)| package.files.iter().any(|path| known.has_file(package, path)))
            .count() as u64;
        after.packages = fate.packages.len() as u64;
    }
    (before, after)
}

/// Which inodes were counted already, by layer and member: one with hard links counts once.
struct Seen(Vec<Vec<bool>>);

impl Seen {
    fn new(rootfs: &Rootfs) -> Self {
        Self(rootfs.layers().iter().map(|layer| vec![false; layer.entries.len()]).collect())
    }

    /// Whether `inode` was not there before.
    fn insert(&mut self, inode: EntryId) -> bool {
        let layer = self.0.get_mut(inode.layer() as usize);
        let seen = layer.and_then(|layer| layer.get_mut(inode.member() as usize));
        seen.is_some_and(|seen| !std::mem::replace(seen, true))
    }
}
