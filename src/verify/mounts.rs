//! H9: mount points are there as declared, and the user can read what the start needs.
//!
//! Follows the config's own words through the tree, and the steps that the manifest names besides.

use std::collections::BTreeSet;

use super::facts::Facts;
use super::{needs, seeds};
use crate::manifest::Volume;
use crate::path::ImagePath;
use crate::plan::PathContent;
use crate::promise::{Promise, Proof};
use crate::rootfs::{Content, Entry, Kind};

/// Checks H9.
pub fn check(facts: &Facts<'_>) -> Proof {
    let mut proof = Proof::new(Promise::MountPoints);
    mount_points(facts, &mut proof);
    seeds::check(facts, &mut proof);
    readable(facts, &mut proof);
    proof
}

fn mount_points(facts: &Facts<'_>, proof: &mut Proof) {
    let Some(manifest) = facts.document() else {
        proof.leave_open("without a manifest no mount point is known");
        return;
    };
    for declared in &manifest.paths {
        let Some(path) = declared.image_path() else {
            proof.break_at(&declared.path, "the manifest declares it writable, but it is no path");
            continue;
        };
        let Some(node) = facts.rootfs.node(&path) else {
            proof.break_at(&path, "the manifest declares it writable, but there is no mount point");
            continue;
        };
        if !facts.rootfs.is_directory(&path) {
            proof.break_at(&path, "the manifest declares it writable, but it is no directory");
            continue;
        }
        let closed = path
            .ancestors()
            .find(|ancestor| facts.rootfs.entry(ancestor).is_some_and(|entry| !may(facts, entry, 0o1)));
        if let Some(closed) = closed.filter(|_| declared.volume != Volume::None) {
            proof.break_at(
                closed,
                format!("{} cannot pass it on the way to the volume at {path}", who(facts)),
            );
        }
        // Where the logs are links to streams nothing is written and nothing mounted. What is seeded has its owner and mode
        // in its volume.
        if declared.content == PathContent::LogLinks || declared.seeded {
            continue;
        }
        let Some(entry) = node.inode.and_then(|id| facts.rootfs.member(id)) else {
            proof.break_at(
                &path,
                "the mount point has no entry of its own, so that its owner and mode are the runtime's",
            );
            continue;
        };
        let found = (entry.uid, entry.gid, format!("{:04o}", entry.mode));
        let expected = (declared.uid, declared.gid, declared.mode.clone());
        if found != expected {
            proof.break_at(
                &path,
                format!(
                    "expected a mount point of {}:{} mode {}, found {}:{} mode {}",
                    expected.0, expected.1, expected.2, found.0, found.1, found.2
                ),
            );
        } else if facts.user.bits(entry) & 0o3 != 0o3
            && facts.user.uid != 0
            && declared.volume != Volume::None
        {
            proof.break_at(
                &path,
                format!(
                    "user {}:{} cannot write there: {}:{} mode {}",
                    facts.user.uid, facts.user.gid, found.0, found.1, found.2
                ),
            );
        }
    }
    proof.prove(format!("{} mount points", manifest.paths.len()));
}

fn readable(facts: &Facts<'_>, proof: &mut Proof) {
    let mut needed: BTreeSet<ImagePath> = BTreeSet::new();
    let starts = needs::starts(facts).paths;
    for start in &starts {
        needed.insert(start.clone());
        needed.extend(needs::libraries(facts, start));
    }
    let mut told = BTreeSet::new();
    let mut files = 0u64;
    for path in &needed {
        // Links and the directories on the way are passed with the right to search.
        let Some(resolved) = facts.rootfs.resolve(path) else { continue };
        let passed = resolved.links.iter().chain([&resolved.path]).flat_map(ImagePath::ancestors);
        for directory in passed {
            let entry = facts.rootfs.entry(&directory);
            if entry.is_some_and(|entry| !may(facts, entry, 0o1)) && told.insert(directory.clone()) {
                proof.break_at(&directory, format!("{} cannot pass it on the way to {path}", who(facts)));
            }
        }
        let Some(entry) = facts.rootfs.entry(&resolved.path) else { continue };
        files += 1;
        // Programs are executed, libraries and scripts are read.
        let is_program = matches!(&entry.kind, Kind::File(file) if matches!(&file.content, Content::Elf(_)));
        let wanted = match starts.contains(path) {
            true if is_program => 0o1,
            true => 0o5,
            false => 0o4,
        };
        if !may(facts, entry, wanted) && told.insert(resolved.path.clone()) {
            let verb = if wanted == 0o4 { "read" } else { "start" };
            proof.break_at(
                &resolved.path,
                format!(
                    "{} cannot {verb} it: mode {:04o}, owner {}:{}",
                    who(facts),
                    entry.mode,
                    entry.uid,
                    entry.gid
                ),
            );
        }
    }
    let directory = &facts.loader.working_directory;
    match facts.rootfs.resolve(directory) {
        Some(found) if facts.rootfs.is_directory(&found.path) => {
            let mut way = found.path.ancestors().chain([found.path.clone()]);
            if let Some(closed) =
                way.find(|path| facts.rootfs.entry(path).is_some_and(|entry| !may(facts, entry, 0o1)))
            {
                proof.break_at(
                    closed,
                    format!("{} cannot enter the working directory {directory}", who(facts)),
                );
            }
        }
        _ if directory.is_root() => {}
        _ => proof.break_at(directory, "the working directory is not there, and not every runtime makes it"),
    }
    proof.prove(format!("{files} files of the start can be read by {}", who(facts)));
}

fn who(facts: &Facts<'_>) -> String {
    format!("user {}:{}", facts.user.uid, facts.user.gid)
}

/// Whether the user may do what `wanted` says. A pod has no capabilities, root's own ones neither; but what nobody
/// may execute nobody starts.
fn may(facts: &Facts<'_>, entry: &Entry, wanted: u16) -> bool {
    facts.user.bits(entry) & wanted == wanted
}
