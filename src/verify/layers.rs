//! H4 and H5: what was removed is gone from every layer, and layers are the source's one by one.
//!
//! Looks at layers as they are stored, below what the merged tree shows.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::facts::Facts;
use crate::image::LayerDescriptor;
use crate::path::ImagePath;
use crate::plan::{Plan, Verdict};
use crate::promise::{Promise, Proof};
use crate::rootfs::{Entry, EntryId, Kind, LayerIndex, Rootfs};
use crate::seed;

/// The source of an image, read again.
pub struct Source<'a> {
    /// Its layers as stored.
    pub layers: &'a [LayerDescriptor],
    /// Its merged tree.
    pub rootfs: &'a Rootfs,
    /// What a hardening does to it.
    pub plan: &'a Plan,
}

/// Checks H4.
pub fn check_gone(facts: &Facts<'_>, source: Option<&Source<'_>>) -> Proof {
    let mut proof = Proof::new(Promise::Gone);
    if facts.hides_nothing() == Some(true) {
        hidden(facts, &mut proof);
    }
    let Some(source) = source else {
        let left = if facts.hides_nothing() == Some(true) {
            "what the source had and how many bytes went is told by --against"
        } else {
            "level `strip` keeps what upper layers hide: whether it was hidden in the source is told by --against"
        };
        proof.leave_open(left);
        return proof;
    };
    let stripped = stripped(facts, source.rootfs);
    let mut entries = 0u64;
    for (number, layer) in (0u32..).zip(facts.rootfs.layers()) {
        let theirs: HashSet<&ImagePath> = whiteouts(source.rootfs.layers().get(number as usize)).collect();
        for entry in &layer.entries {
            entries += 1;
            if matches!(entry.kind, Kind::Whiteout | Kind::Opaque) {
                if !theirs.contains(&entry.path) {
                    proof.break_at(
                        &entry.path,
                        format!("layer {number} hides it with a whiteout that the source does not have"),
                    );
                }
            } else if stripped.contains(&landing(facts.rootfs, &entry.path)) {
                proof
                    .break_at(&entry.path, format!("was removed, and its bytes are still in layer {number}"));
            }
        }
    }
    proof.prove(format!("none of {} removed names is in one of {entries} entries", stripped.len()));
    sums(facts, source, &mut proof);
    proof
}

/// No whiteouts, and nothing that a whiteout or an upper layer hides.
fn hidden(facts: &Facts<'_>, proof: &mut Proof) {
    let mut shown: HashSet<EntryId> = HashSet::new();
    for (_, node) in facts.rootfs.nodes() {
        shown.extend(node.name);
        shown.extend(node.inode);
    }
    for (layer, index) in (0u32..).zip(facts.rootfs.layers()) {
        for (member, entry) in (0u32..).zip(&index.entries) {
            match entry.kind {
                Kind::Whiteout => proof.break_at(
                    &entry.path,
                    format!("a whiteout of layer {layer} hides it: its bytes are in the image"),
                ),
                Kind::Opaque => proof.break_at(
                    &entry.path,
                    format!("layer {layer} hides what lower layers have there: their bytes are in the image"),
                ),
                // An upper entry of a directory only changes its owner and mode.
                Kind::Directory => {}
                _ if shown.contains(&EntryId::new(layer, member)) => {}
                _ => proof.break_at(
                    &entry.path,
                    format!("layer {layer} holds bytes of it that an upper layer hides"),
                ),
            }
        }
    }
    proof.prove(format!("nothing is hidden in {} layers", facts.rootfs.layers().len()));
}

/// Names of the source that the finished image does not have.
fn stripped(facts: &Facts<'_>, source: &Rootfs) -> BTreeSet<ImagePath> {
    let gone = source.nodes().map(|(path, _)| path).filter(|path| facts.rootfs.node(path).is_none());
    gone.cloned().collect()
}

fn whiteouts(layer: Option<&LayerIndex>) -> impl Iterator<Item = &ImagePath> {
    let entries = layer.map_or(&[][..], |layer| &layer.entries);
    let is_whiteout = |entry: &&Entry| matches!(entry.kind, Kind::Whiteout | Kind::Opaque);
    entries.iter().filter(is_whiteout).map(|entry| &entry.path)
}

/// Where an entry written at `path` lands.
fn landing(rootfs: &Rootfs, path: &ImagePath) -> ImagePath {
    let parent = path.parent().and_then(|parent| rootfs.canonicalize_missing(&parent));
    parent.map_or_else(|| path.clone(), |parent| parent.child(path.name()))
}

/// The bytes that the layers lost are those that a report of the hardening counts.
fn sums(facts: &Facts<'_>, source: &Source<'_>, proof: &mut Proof) {
    let bytes = |layers: &[LayerIndex]| -> u64 {
        layers.iter().flat_map(|layer| &layer.entries).filter_map(Entry::file).map(|file| file.size).sum()
    };
    let before = bytes(source.rootfs.layers());
    let kept = facts.rootfs.layers().get(..source.layers.len()).unwrap_or_default();
    let after = bytes(kept);
    let removed: u64 = source.plan.removed.iter().map(|removed| removed.bytes).sum();
    // Filtered databases and files of accounts are other bytes, not removed ones.
    let (mut cut, mut new) = (0u64, 0u64);
    for (layer, verdicts) in source.rootfs.layers().iter().zip(&source.plan.verdicts) {
        for (entry, verdict) in layer.entries.iter().zip(verdicts) {
            if let (Some(file), Verdict::Keep(patch)) = (entry.file(), verdict)
                && let Some(content) = &patch.content
            {
                cut += file.size;
                new += content.len() as u64;
            }
        }
    }
    if before + new == removed + cut + after {
        proof.prove(format!("{removed} bytes reported as removed, {after} of {before} left"));
    } else {
        proof.break_at(
            "layers",
            format!("the bytes do not add up: {before} in the source, {removed} reported as removed, {cut} replaced by {new}, {after} left"),
        );
    }
}

/// Checks H5.
pub fn check_mapped(facts: &Facts<'_>, source: Option<&Source<'_>>) -> Proof {
    let mut proof = Proof::new(Promise::LayersMapped);
    let Some(source) = source else {
        proof.leave_open("needs --against");
        return proof;
    };
    let found = facts.image.layers.len();
    let (least, most) = (source.layers.len(), source.layers.len() + 1);
    if !(least..=most).contains(&found) {
        proof
            .break_at("layers", format!("expected the source's {least} and at most one more, found {found}"));
    }
    let (mut same, mut changed) = (0u64, 0u64);
    let names = places(source.rootfs);
    for (number, (ours, theirs)) in facts.image.layers.iter().zip(source.layers).enumerate() {
        let indexes = (facts.rootfs.layers().get(number), source.rootfs.layers().get(number));
        let (Some(now), Some(then)) = indexes else { continue };
        if ours.diff_id == theirs.diff_id {
            same += 1;
            // Stored in another way everywhere (a docker archive has plain layers), a blob is not needlessly another.
            if ours.codec == theirs.codec && ours.digest != theirs.digest {
                proof.break_at(
                    format!("layer {number}"),
                    format!(
                        "has no change, but another blob: expected {}, found {}",
                        theirs.digest, ours.digest
                    ),
                );
            }
            continue;
        }
        changed += 1;
        if now == then {
            proof.break_at(format!("layer {number}"), "was written again although nothing in it changed");
        }
        for entry in &now.entries {
            // Data of a hard link may move to the name of a link in an upper layer.
            let fits = |place: &Place| place.layer == number || place.is_link && place.layer > number;
            // The data of a file that a link replaces stand where the link leads.
            let path = unlinked(&entry.path);
            if !names.get(&path).is_some_and(|places| places.iter().any(fits)) {
                proof.break_at(
                    &entry.path,
                    format!("layer {number} has it, and the source's layer {number} does not"),
                );
            }
        }
    }
    proof.prove(format!(
        "{same} layers kept bit for bit, {changed} written again, {} of kiln's own",
        found.saturating_sub(least)
    ));
    proof
}

/// The name that data have in the source, which stand at `path` where a link leads there.
fn unlinked(path: &ImagePath) -> ImagePath {
    let files = ImagePath::literal(seed::FILES_PATH);
    let below = path.as_bytes().get(files.as_bytes().len() + 1..).filter(|_| path.is_within(&files));
    below.and_then(|below| ImagePath::parse(below).ok()).unwrap_or_else(|| path.clone())
}

/// Where a name stands.
struct Place {
    layer: usize,
    is_link: bool,
}

/// Every place of each name, as written and as it lands.
fn places(rootfs: &Rootfs) -> BTreeMap<ImagePath, Vec<Place>> {
    let mut out: BTreeMap<ImagePath, Vec<Place>> = BTreeMap::new();
    for (layer, index) in rootfs.layers().iter().enumerate() {
        for entry in &index.entries {
            let is_link = matches!(entry.kind, Kind::Hardlink(_));
            for name in [entry.path.clone(), landing(rootfs, &entry.path)] {
                out.entry(name).or_default().push(Place { layer, is_link });
            }
        }
    }
    out
}
