//! What a script leaves behind: what of that its server needs, and what of that can be had without the script.
//!
//! Knows the image and the runs; what is made of it is the plan's.

use std::collections::BTreeSet;

use super::some_of;
use crate::path::ImagePath;
use crate::plan::known::Known;
use crate::plan::traced::{Traced, is_content};
use crate::plan::writable::is_kernel;
use crate::profile::How;

/// Trees of what is of the moment: marks, process numbers, messages. A server that needs one of these opens it.
const MOMENTARY: &[&str] = &["/tmp", "/run", "/var/run", "/var/lock", "/var/tmp", "/var/log"];

/// What a script leaves behind.
pub(super) struct Prepared {
    /// Directories that the server uses.
    pub(super) directories: Vec<ImagePath>,
    /// All directories.
    pub(super) made: BTreeSet<ImagePath>,
    /// What it did not open, nor execute, and that is of the moment.
    pub(super) unread: Vec<ImagePath>,
}

/// What others than the server made; an error where more of that may be read than directories.
pub(super) fn prepared(known: &Known<'_>, server: Traced<'_>) -> Result<Prepared, String> {
    let read: BTreeSet<ImagePath> = server.read().chain(server.executed()).map(|used| used.path).collect();
    let read_below: BTreeSet<ImagePath> = read.iter().flat_map(ImagePath::ancestors).collect();
    let written: BTreeSet<ImagePath> = server.written().map(|write| write.place.path).collect();
    let mut prepared = Prepared { directories: Vec::new(), made: BTreeSet::new(), unread: Vec::new() };
    let (mut needed, mut lasting) = (Vec::new(), Vec::new());
    for (path, how) in server.prepared() {
        let is_gone = how.contains(&How::Removed) || how.contains(&How::RenamedAway);
        let is_within = |trees: &[&str]| trees.iter().any(|tree| path.is_within(&ImagePath::literal(tree)));
        // What a script writes there it writes to the kernel.
        if is_kernel(&path) {
            continue;
        }
        // `ln -f` makes it under another name.
        if how.contains(&How::Linked) && !how.contains(&How::Removed) {
            return Err(format!("the script makes a link, {path}"));
        }
        if is_gone && known.rootfs.node(&path).is_some() {
            return Err(format!("the script removes {path} of the image"));
        }
        let is_new_directory = how.contains(&How::Directory) && !is_gone;
        let is_read = read.contains(&path) || how.contains(&How::RenamedHere) && read_below.contains(&path);
        if !how.iter().any(is_content) {
            if is_read && is_opened_by(known, &path, &how) {
                return Err(format!("it reads {path}, whose mode or owner the script sets"));
            }
        } else if is_new_directory && !how.contains(&How::RenamedHere) {
            // Whether a directory is there is asked without opening it.
            prepared.made.insert(path.clone());
            if !known.rootfs.is_directory(&path) {
                prepared.directories.push(path);
            }
        } else if is_read {
            needed.push(path);
        } else if !is_gone && !written.contains(&path) {
            if is_within(MOMENTARY) { prepared.unread.push(path) } else { lasting.push(path) }
        }
    }
    match (needed.as_slice(), lasting.as_slice()) {
        ([], []) => Ok(prepared),
        ([only], _) => Err(format!("it reads {only}, which the script writes")),
        ([], [only]) => Err(format!("it may read {only}, which the script writes")),
        ([], many) => {
            Err(format!("it may read {} files that the script writes: {}", many.len(), some_of(many)))
        }
        (many, _) => Err(format!("it reads {} files that the script writes: {}", many.len(), some_of(many))),
    }
}

/// Whether a file of the image may be usable only because of how the script set its mode or owner.
fn is_opened_by(known: &Known<'_>, path: &ImagePath, how: &BTreeSet<How>) -> bool {
    let Some(entry) = known.rootfs.entry(path).filter(|entry| entry.file().is_some()) else { return false };
    how.contains(&How::Mode) || how.contains(&How::Owner) && entry.mode & 0o004 == 0
}
