//! H3: nothing to write, and nothing to become somebody else with, outside the declared writable paths.
//!
//! Walks the merged tree and reads modes, owners and attributes as they are.

use super::facts::Facts;
use crate::promise::{Promise, Proof};
use crate::rootfs::{Entry, Kind};

/// The extended attribute that holds file capabilities.
const CAPABILITY: &[u8] = b"security.capability";

/// Checks H3.
pub fn check(facts: &Facts<'_>) -> Proof {
    let mut proof = Proof::new(Promise::NotWritable);
    let (mut seen, mut inside) = (0u64, 0u64);
    for (path, _) in facts.rootfs.nodes() {
        let Some(entry) = facts.rootfs.entry(path).filter(|entry| !matches!(entry.kind, Kind::Symlink(_)))
        else {
            continue;
        };
        seen += 1;
        if entry.mode & 0o6000 != 0 {
            proof.break_at(path, format!("setuid or setgid: mode {:04o}", entry.mode));
        }
        if has_capability(entry) {
            proof.break_at(path, "has file capabilities");
        }
        // One inode with a name outside is outside.
        if facts.names_of(path).into_iter().all(|name| facts.is_declared(name)) {
            inside += 1;
            continue;
        }
        if entry.mode & 0o222 != 0 {
            proof.break_at(
                path,
                format!("has a write bit and is no declared writable path: mode {:04o}", entry.mode),
            );
        }
        if entry.uid == facts.user.uid && facts.user.uid != 0 {
            proof.break_at(
                path,
                format!("belongs to user {}, whom the container runs as: an owner can give himself the right to write", entry.uid),
            );
        }
    }
    if facts.document().is_none() && !proof.breaches.is_empty() {
        proof.leave_open("without a manifest nothing is declared writable");
    }
    let root = if facts.user.uid == 0 { "; the user is root, whom owners do not stop" } else { "" };
    proof.prove(format!("{seen} files and directories, {inside} of them in declared writable paths{root}"));
    proof
}

fn has_capability(entry: &Entry) -> bool {
    entry.xattrs.iter().flat_map(|list| list.iter()).any(|(name, _)| **name == *CAPABILITY)
}
