//! What fills volumes at start: the helper is kiln's, byte by byte, and its table is of what the image has.
//!
//! A part of H9. Reads the table as the helper does, and compares it with tree and manifest; does not run anything.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::Facts;
use crate::harden::record::VERSION_KEY;
use crate::manifest::{self, SourceCommand};
use crate::path::ImagePath;
use crate::promise::Proof;
use crate::rootfs;
use crate::seed::{self, HELPER_PATH, Kind, TABLE_PATH};

/// Adds to H9 what seeding needs.
pub(super) fn check(facts: &Facts<'_>, proof: &mut Proof) {
    let mut declared: BTreeMap<&ImagePath, &manifest::Path> = BTreeMap::new();
    declared
        .extend(facts.declared.iter().filter(|(_, path)| path.seeded).map(|(path, entry)| (path, *entry)));
    if let Some(seeding) = facts.document().and_then(|manifest| manifest.seeding.as_ref()) {
        from_source(facts, seeding, declared.len(), proof);
        return;
    }
    if declared.is_empty() {
        return;
    }
    helper(facts, proof);
    let table = ImagePath::literal(TABLE_PATH);
    if facts.rootfs.entry(&table).is_some_and(|entry| facts.user.bits(entry) & 0o4 == 0) {
        proof.break_at(&table, "the user cannot read it");
    }
    let points = declared.keys().map(|path| seed::mount_point(path));
    passable(facts, points.chain([table.clone(), ImagePath::literal(HELPER_PATH)]), proof);
    for path in declared.keys() {
        let point = seed::mount_point(path);
        if !facts.rootfs.is_directory(&point) {
            proof
                .break_at(&point, format!("there is no mount point for the volume that {path} is copied to"));
        }
    }
    let Some(trees) = facts.rootfs.bytes(&table).and_then(|table| read(&table)) else {
        proof.break_at(table, "there is no table of what is copied to volumes");
        return;
    };
    let mut copied = 0;
    for Tree { path, mode, names, early } in &trees {
        for path in early {
            proof.break_at(path, "the table has it twice, or before the directory that it is copied to");
        }
        match declared.remove(path) {
            Some(entry) if u32::from_str_radix(&entry.mode, 8) == Ok(*mode) => {}
            Some(entry) => proof.break_at(
                path,
                format!("expected a copy with mode {}, found {mode:04o} in the table", entry.mode),
            ),
            None => proof.break_at(path, "is copied to a volume, and the manifest does not say so"),
        }
        copied += names.len();
        compare(facts, path, names, proof);
    }
    for path in declared.keys() {
        proof.break_at(*path, "the manifest says that it is copied to its volume, and the table does not");
    }
    proof.prove(format!("{copied} files and directories to copy to volumes, by kiln's own helper"));
}

/// What only the source tells of a command of it.
pub(super) const BY_SOURCE: &str =
    "whether the source image copies content to volumes as it should needs --against";

/// Where the source image copies, nothing that does is in this one.
fn from_source(facts: &Facts<'_>, seeding: &SourceCommand, count: usize, proof: &mut Proof) {
    let has_helper = seed::helper(&facts.image.config.platform).is_some();
    if has_helper || count == 0 || seeding.argv.is_empty() {
        let message = "the manifest has the source image copy content to volumes instead, for no reason or by no command";
        proof.break_at(ImagePath::literal(HELPER_PATH), message);
    }
    for path in [HELPER_PATH, TABLE_PATH].map(ImagePath::literal) {
        if facts.rootfs.node(&path).is_some() {
            proof.break_at(path, "is there, and the source image is to copy content to volumes");
        }
    }
    proof.leave_open(BY_SOURCE);
}

/// A tree of the table: where, its mode, and what is below it.
struct Tree {
    path: ImagePath,
    mode: u32,
    names: BTreeMap<ImagePath, Kind>,
    /// Those that the helper fails at: it makes each name once, in a directory that it made.
    early: Vec<ImagePath>,
}

/// What `table` says; `None` where it is none.
fn read(table: &[u8]) -> Option<Vec<Tree>> {
    let mut trees: Vec<Tree> = Vec::new();
    for record in seed::records(table) {
        let record = record.ok()?;
        if record.kind == Kind::Tree {
            let path = ImagePath::parse(record.path).ok()?;
            trees.push(Tree { path, mode: record.mode, names: BTreeMap::new(), early: Vec::new() });
        } else {
            let tree = trees.last_mut()?;
            let path = ImagePath::parse(&[tree.path.as_bytes(), b"/", record.path].concat()).ok()?;
            let parent = path.parent()?;
            let has_parent = parent == tree.path || tree.names.get(&parent) == Some(&Kind::Directory);
            if !has_parent || tree.names.contains_key(&path) {
                tree.early.push(path.clone());
            }
            tree.names.insert(path, record.kind);
        }
    }
    Some(trees)
}

/// The user can pass what is above `paths`.
fn passable(facts: &Facts<'_>, paths: impl Iterator<Item = ImagePath>, proof: &mut Proof) {
    let above: BTreeSet<ImagePath> = paths.flat_map(|path| path.ancestors()).collect();
    for path in above {
        if facts.rootfs.entry(&path).is_some_and(|entry| facts.user.bits(entry) & 0o1 == 0) {
            proof.break_at(
                path,
                "the user cannot pass it on the way to the helper, its table and its volumes",
            );
        }
    }
}

fn helper(facts: &Facts<'_>, proof: &mut Proof) {
    let path = ImagePath::literal(HELPER_PATH);
    let entry = facts.rootfs.entry(&path);
    let Some(found) = facts.rootfs.bytes(&path) else {
        proof.break_at(path, "there is no helper that would copy content to volumes");
        return;
    };
    if entry.is_none_or(|entry| facts.user.bits(entry) & 0o1 == 0) {
        proof.break_at(&path, "the user cannot start it");
    }
    let version = facts.image.config.labels.get(VERSION_KEY).map(String::as_str);
    match seed::helper(&facts.image.config.platform) {
        Some(helper) if helper == &*found => {}
        _ if version.is_some_and(|version| version != env!("CARGO_PKG_VERSION")) => {
            proof.leave_open("the helper is of another version of kiln, whose bytes this one does not know");
        }
        _ => proof.break_at(&path, "is not the helper of this kiln for the image's platform"),
    }
}

/// Compares what is to be copied with what the image has, as far as the user can read that.
fn compare(facts: &Facts<'_>, tree: &ImagePath, names: &BTreeMap<ImagePath, Kind>, proof: &mut Proof) {
    for path in names.keys().filter(|path| facts.rootfs.node(path).is_none()) {
        proof.break_at(path, "is to be copied to a volume, and the image does not have it");
    }
    let is_closed = facts.rootfs.entry(tree).is_some_and(|entry| facts.user.bits(entry) & 0o1 == 0);
    let mut closed = Some(tree).filter(|_| is_closed);
    for (path, _) in facts.rootfs.below(tree) {
        if closed.is_some_and(|closed| path.is_within(closed)) {
            if names.contains_key(path) {
                proof.break_at(
                    path,
                    "is to be copied to a volume, and the user cannot pass a directory above it",
                );
            }
            continue;
        }
        let entry = facts.rootfs.entry(path);
        let can = |wanted| entry.is_none_or(|entry| facts.user.bits(entry) & wanted == wanted);
        let (kind, is_readable) = match entry.map(|entry| &entry.kind) {
            None | Some(rootfs::Kind::Directory) => {
                closed = Some(path).filter(|_| !can(0o1));
                (Kind::Directory, true)
            }
            Some(rootfs::Kind::File(_)) => (Kind::File, can(0o4)),
            Some(rootfs::Kind::Symlink(_)) => (Kind::Link, true),
            Some(rootfs::Kind::Fifo) => (Kind::Pipe, true),
            Some(_) => {
                proof.break_at(path, "cannot be copied to a volume, as all around it is");
                continue;
            }
        };
        match names.get(path) {
            Some(found) if *found != kind => {
                proof.break_at(path, "is to be copied to a volume as something that it is not");
            }
            Some(_) if !is_readable => {
                proof.break_at(path, "is to be copied to a volume, and the user cannot read it");
            }
            None if is_readable => {
                proof.break_at(path, "is not among what is copied to the volume, which hides it");
            }
            _ => {}
        }
    }
}
