//! What is copied to volumes, entry by entry: the table of kiln's helper, or the command of the source image.
//!
//! Follows what was decided: which paths are seeded is `writable`'s, what of them stays is `fate`'s, who can read it is
//! `access`'s.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::access::{Access, IMPLIED, Permissions};
use super::fate::Fate;
use super::filler::{is_plain, mode};
use super::known::Known;
use super::writable::{Found, is_code, is_program};
use super::{Addition, Link, Made, WritablePath};
use crate::path::ImagePath;
use crate::rootfs;
use crate::seed::{self, HELPER_PATH, Kind, TABLE_PATH, script};

/// Bits of the helper, and of the directories that its volumes are mounted on: everybody reads, nobody writes.
const OPEN_MODE: u16 = 0o555;

/// A tree that is copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// Where it is.
    pub path: ImagePath,
    /// Regular files in it.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What of it the user cannot read, and is not copied.
    pub left_out: Vec<ImagePath>,
    /// What of it is code: by its name, by what is in it, or for somebody may execute it.
    pub code: Vec<ImagePath>,
}

/// All that is copied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seeds {
    /// By path.
    pub trees: Vec<Tree>,
    /// The helper, its table and the mount points of its volumes, by path; nothing where there are no trees, or the source
    /// copies them.
    pub additions: Vec<Addition>,
    /// The command of the source image that copies them, where the helper does not.
    pub command: Option<Vec<String>>,
}

/// Every name below the seeded ones of `paths`, with the directories themselves.
pub fn names<'k>(known: &'k Known<'_>, paths: &[WritablePath]) -> BTreeSet<&'k ImagePath> {
    let seeded = paths.iter().filter(|declared| declared.seeded);
    seeded.flat_map(|declared| known.rootfs.below(&declared.path)).map(|(path, _)| path).collect()
}

/// What is copied for the seeded paths of `found`, with what links lead to; `new` files and directories are in the hardened
/// image only.
pub fn seeds(known: &Known<'_>, fate: &Fate, access: &Access<'_>, found: &Found, new: &[Addition]) -> Seeds {
    let Some(helper) = seed::helper(&known.config.platform) else {
        return from_source(known, fate, access, found, new);
    };
    let mut trees = Vec::new();
    let mut records: Vec<(Kind, u16, Vec<u8>)> = Vec::new();
    let mut points: BTreeSet<ImagePath> = BTreeSet::new();
    for declared in found.paths.iter().filter(|declared| declared.seeded) {
        let (mut tree, mut names) = tree(known, fate, access, &declared.path, new);
        if declared.path == ImagePath::literal(seed::FILES_PATH) {
            linked(known, access, &found.links, &mut tree, &mut names);
            points.extend(
                names.iter().filter(|(_, (kind, _))| *kind == Kind::Directory).map(|(path, _)| path.clone()),
            );
        }
        trees.push(tree);
        records.push((Kind::Tree, declared.mode, declared.path.absolute()));
        let top = declared.path.as_bytes().len() + 1;
        let relative = |path: ImagePath| path.as_bytes().get(top..).unwrap_or_default().to_vec();
        records.extend(names.into_iter().map(|(path, (kind, mode))| (kind, mode, relative(path))));
        let point = seed::mount_point(&declared.path);
        points
            .extend(point.ancestors().filter(|path| path.is_within(&ImagePath::literal(seed::VOLUMES_PATH))));
        points.insert(point);
    }
    if trees.is_empty() {
        return Seeds::default();
    }
    let table =
        seed::table(records).unwrap_or_else(|| unreachable!("what does not fit into a table is not seeded"));
    let addition = |path: ImagePath, content: Option<&[u8]>, mode| Addition {
        path,
        made: content.map_or(Made::Directory, |content| Made::File(Arc::from(content))),
        mode,
        uid: 0,
        gid: 0,
    };
    let mut additions = vec![
        addition(ImagePath::literal(HELPER_PATH), Some(helper), OPEN_MODE),
        addition(ImagePath::literal(TABLE_PATH), Some(&table), 0o444),
    ];
    additions.extend(points.into_iter().map(|path| addition(path, None, OPEN_MODE)));
    Seeds { trees, additions, command: None }
}

/// The same where a command of the source does it.
fn from_source(
    known: &Known<'_>,
    fate: &Fate,
    access: &Access<'_>,
    found: &Found,
    new: &[Addition],
) -> Seeds {
    let seeded = found.paths.iter().filter(|declared| declared.seeded);
    let (trees, copies): (Vec<Tree>, Vec<script::Tree>) = seeded
        .map(|declared| {
            let (tree, names) = tree(known, fate, access, &declared.path, new);
            let top = (declared.path.clone(), (Kind::Tree, declared.mode));
            let has_entries = !names.is_empty();
            let changes = names.into_iter().chain([top]).filter_map(|(path, (kind, mode))| {
                // The tree itself is made in any case.
                let is_made = known.rootfs.node(&path).is_none() && kind != Kind::Tree;
                let had = known.rootfs.entry(&path).map_or(IMPLIED, Permissions::of);
                let is_changed = is_made || kind == Kind::Tree || !is_plain(kind, had, mode);
                is_changed.then_some(script::Change { path, mode, is_made })
            });
            let mut changes: Vec<_> = changes.collect();
            changes.sort_by(|a, b| a.path.cmp(&b.path));
            let is_there = known.rootfs.node(&declared.path).is_some();
            (tree, script::Tree { path: declared.path.clone(), is_there, has_entries, changes })
        })
        .unzip();
    if trees.is_empty() {
        return Seeds::default();
    }
    let command = script::command(&copies, access.user.uid, access.user.gid);
    let command = command.unwrap_or_else(|| unreachable!("what does not fit into a script is not seeded"));
    Seeds { trees, additions: Vec::new(), command: Some(command) }
}

/// What is copied of each name below a path, and with which mode.
type Names = BTreeMap<ImagePath, (Kind, u16)>;

/// The tree at `path`.
fn tree(
    known: &Known<'_>,
    fate: &Fate,
    access: &Access<'_>,
    path: &ImagePath,
    new: &[Addition],
) -> (Tree, Names) {
    let mut tree = Tree { path: path.clone(), files: 0, bytes: 0, left_out: Vec::new(), code: Vec::new() };
    let mut names = Names::new();
    let mut closed: Option<&ImagePath> = None;
    for (below, _) in known.rootfs.below(path) {
        if !fate.stays(below) || closed.is_some_and(|closed| below.is_within(closed)) {
            continue;
        }
        let entry = known.rootfs.entry(below);
        let can = |wanted| entry.is_none_or(|entry| access.can(access.permissions(below, entry), wanted));
        let kind = match entry.map(|entry| &entry.kind) {
            None | Some(rootfs::Kind::Directory) => {
                if !can(0o1) {
                    closed = Some(below);
                    tree.left_out.push(below.clone());
                }
                Kind::Directory
            }
            Some(rootfs::Kind::File(_)) if !can(0o4) => {
                tree.left_out.push(below.clone());
                continue;
            }
            Some(rootfs::Kind::File(file)) => {
                tree.files += 1;
                tree.bytes += file.size;
                if entry.is_some_and(|entry| is_program(below, entry)) {
                    tree.code.push(below.clone());
                }
                Kind::File
            }
            Some(rootfs::Kind::Symlink(_)) => Kind::Link,
            Some(rootfs::Kind::Fifo) => Kind::Pipe,
            // An inode is what a hard link leads to, and a path with a device is not seeded.
            Some(_) => continue,
        };
        let own = entry.map(Permissions::of);
        // What a script set before is what the server found.
        let set = access.set.get(below).filter(|_| kind == Kind::File).copied();
        names.insert(below.clone(), (kind, mode(kind, set.or(own).unwrap_or(IMPLIED), access.user.uid)));
    }
    let is_below = |new: &&Addition| new.path.is_within(path) && new.path != *path;
    for Addition { path: below, made, .. } in new.iter().filter(is_below) {
        let kind = match made {
            Made::Directory => Kind::Directory,
            Made::Link(_) => Kind::Link,
            Made::File(content) => {
                tree.files += 1;
                tree.bytes += content.len() as u64;
                if is_code(below) || content.starts_with(b"#!") {
                    tree.code.push(below.clone());
                }
                Kind::File
            }
        };
        for above in below.ancestors().filter(|above| above.is_within(path) && above != path) {
            names.entry(above).or_insert((Kind::Directory, IMPLIED.mode));
        }
        let had = access.set.get(below).copied().unwrap_or(IMPLIED);
        names.insert(below.clone(), (kind, mode(kind, had, access.user.uid)));
    }
    (tree, names)
}

/// Adds what links lead to, and the directories above.
fn linked(known: &Known<'_>, access: &Access<'_>, links: &[Link], tree: &mut Tree, names: &mut Names) {
    for Link { path, target, moved } in links {
        for above in target.ancestors().filter(|above| above.is_within(&tree.path) && *above != tree.path) {
            names.insert(above, (Kind::Directory, IMPLIED.mode));
        }
        let Some(entry) = known.rootfs.entry(path).filter(|_| *moved) else { continue };
        if !access.can(access.permissions(path, entry), 0o4) {
            tree.left_out.push(path.clone());
            continue;
        }
        tree.files += 1;
        tree.bytes += entry.file().map_or(0, |file| file.size);
        let had = access.set.get(path).copied().unwrap_or_else(|| Permissions::of(entry));
        names.insert(target.clone(), (Kind::File, mode(Kind::File, had, access.user.uid)));
    }
}
