//! Where the app wrote while it was watched.
//!
//! What it made for itself needs no volume of its own: the directory that was there before does.

use std::collections::BTreeSet;

use super::candidate::evidence;
use super::content::content;
use super::{Candidate, Inputs, place, seeding};
use crate::evidence::{Confidence, EvidenceKind};
use crate::path::ImagePath;
use crate::plan::PathContent;
use crate::plan::traced::Write;
use crate::profile::How;

/// What the evidence of a watched run is called.
pub(super) const TRACE: &str = "trace";

/// A candidate for each directory and each writer.
pub(super) fn candidates(inputs: &Inputs<'_>) -> Vec<Candidate> {
    let Some(traced) = inputs.traced else { return Vec::new() };
    let given: BTreeSet<ImagePath> =
        traced.prepared().filter(|made| made.how.contains(&How::Directory)).map(|made| made.path).collect();
    // What holds content somebody else has to bring, with all that is below it.
    let is_closed = |path: &ImagePath| {
        place::refuse(inputs, path).is_some() || seeding::code_by_name(inputs, path).is_some()
    };
    let is_brought =
        |path: &ImagePath| !is_closed(path) && matches!(content(inputs, path), PathContent::Seed { .. });
    let standing: BTreeSet<ImagePath> = traced
        .written()
        .filter_map(|write| around(&write))
        .map(|directory| standing(inputs, &directory, &given))
        .collect();
    let standing: BTreeSet<ImagePath> = standing.into_iter().filter(is_brought).collect();
    let mut told = BTreeSet::new();
    let mut out = Vec::new();
    for write in traced.written() {
        let Some(directory) = around(&write) else { continue };
        let (path, by) = (write.place.path, write.place.by);
        let kept = self::standing(inputs, &directory, &given);
        let kept = kept.ancestors().find(|above| standing.contains(above)).unwrap_or(kept);
        if !told.insert((kept.clone(), by.clone())) {
            continue;
        }
        let why = evidence(EvidenceKind::Trace, TRACE, format!("{by} wrote there while it was watched"));
        out.push(if is_closed(&kept) && kept == directory && !write.is_around && !write.is_directory {
            // Its directory cannot be a volume, and a person must know which file it is.
            told.remove(&(kept, by));
            Candidate::file(path, Confidence::Proven, why)
        } else {
            Candidate::directory(kept, Confidence::Proven, why)
        });
    }
    out
}

/// The directory in which something was written; none in the kernel's.
fn around(write: &Write) -> Option<ImagePath> {
    let path = &write.place.path;
    let is_one = write.is_around || write.is_directory;
    let directory = if is_one { Some(path.clone()) } else { path.parent() };
    directory.filter(|directory| !place::is_kernel(directory))
}

/// `directory`, or what stood there before the app made directories: the lowest that the image has or a lowered script
/// made, `given`, if it can be a volume, or else the highest that the app made.
fn standing(inputs: &Inputs<'_>, directory: &ImagePath, given: &BTreeSet<ImagePath>) -> ImagePath {
    // A directory that nobody else made the app did, or it was renamed to this.
    let is_made = |path: &ImagePath| !inputs.rootfs.is_directory(path) && !given.contains(path);
    let mut at = directory.clone();
    while is_made(&at) {
        let Some(parent) = at.parent() else { break };
        let is_of_many = place::is_shared(&parent) && parent != ImagePath::literal("/tmp");
        if !is_made(&parent) && (is_of_many || place::refuse(inputs, &parent).is_some()) {
            break;
        }
        at = parent;
    }
    at
}
