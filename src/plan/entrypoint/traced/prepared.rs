//! What a script leaves behind: what of that its server needs, and what of that can be had without the script.
//!
//! Knows the image and the runs; what is made of it is the plan's.

use std::collections::BTreeSet;

use super::bake::bake;
use super::{Refusal, some_of};
use crate::path::ImagePath;
use crate::plan::baked::Baked;
use crate::plan::known::Known;
use crate::plan::traced::{Preparation, Traced, is_content};
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
    /// Files that are the same in every container, by path.
    pub(super) baked: Vec<Baked>,
}

/// Files that cannot be had without the script, each with the reason.
#[derive(Default)]
struct Wanting {
    /// Those that the server reads.
    read: Vec<(ImagePath, String)>,
    /// Those that it may read.
    lasting: Vec<(ImagePath, String)>,
}

/// What others than the server made; an error where more of that may be read than directories and constants.
pub(super) fn prepared(known: &Known<'_>, server: Traced<'_>) -> Result<Prepared, Refusal> {
    let read: BTreeSet<ImagePath> = server.read().chain(server.executed()).map(|used| used.path).collect();
    let read_below: BTreeSet<ImagePath> = read.iter().flat_map(ImagePath::ancestors).collect();
    let written: BTreeSet<ImagePath> = server.written().map(|write| write.place.path).collect();
    let mut prepared =
        Prepared { directories: Vec::new(), made: BTreeSet::new(), unread: Vec::new(), baked: Vec::new() };
    let mut wanting = Wanting::default();
    for made in server.prepared() {
        let Preparation { path, how, .. } = &made;
        let is_gone = how.contains(&How::Removed) || how.contains(&How::RenamedAway);
        let is_within = |trees: &[&str]| trees.iter().any(|tree| path.is_within(&ImagePath::literal(tree)));
        // What a script writes there it writes to the kernel.
        if is_kernel(path) {
            continue;
        }
        // `ln -f` makes it under another name.
        if how.contains(&How::Linked) && !how.contains(&How::Removed) {
            return Err(Refusal::from(format!("the script makes a link, {path}")));
        }
        if is_gone && known.rootfs.node(path).is_some() {
            return Err(Refusal::from(format!("the script removes {path} of the image")));
        }
        let is_new_directory = how.contains(&How::Directory) && !is_gone;
        let is_read = read.contains(path) || how.contains(&How::RenamedHere) && read_below.contains(path);
        let constant = || {
            if written.contains(path) {
                return Err("it writes it as well".to_owned());
            }
            bake(known, server, &made, is_read)
        };
        if !how.iter().any(is_content) {
            if is_read && is_opened_by(known, path, how) {
                let why = |why| {
                    Refusal::of_file(
                        format!("it reads {path}, whose mode or owner the script sets: {why}"),
                        path,
                    )
                };
                prepared.baked.push(constant().map_err(why)?);
            }
        } else if is_new_directory && !how.contains(&How::RenamedHere) {
            // Whether a directory is there is asked without opening it.
            prepared.made.insert(path.clone());
            if !known.rootfs.is_directory(path) {
                prepared.directories.push(path.clone());
            }
        } else if is_read {
            match constant() {
                Ok(baked) => prepared.baked.push(baked),
                Err(why) => wanting.read.push((path.clone(), why)),
            }
        } else if !is_gone && !written.contains(path) {
            if is_within(MOMENTARY) {
                prepared.unread.push(path.clone());
            } else {
                match constant() {
                    Ok(baked) => prepared.baked.push(baked),
                    Err(why) => wanting.lasting.push((path.clone(), why)),
                }
            }
        }
    }
    wanting.refuse()?;
    // A directory for constants alone is there with them.
    let Prepared { directories, baked, .. } = &mut prepared;
    directories.retain(|directory| {
        let is_below = |path: &ImagePath| path.is_within(directory) && path != directory;
        !baked.iter().any(|baked| is_below(&baked.path)) || written.iter().any(is_below)
    });
    Ok(prepared)
}

impl Wanting {
    fn refuse(self) -> Result<(), Refusal> {
        let (verb, wanting) =
            if self.read.is_empty() { ("may read", self.lasting) } else { ("reads", self.read) };
        let names: Vec<ImagePath> = wanting.iter().map(|(path, _)| path.clone()).collect();
        match wanting.as_slice() {
            [] => Ok(()),
            [(only, why)] => {
                Err(Refusal::of_file(format!("it {verb} {only}, which the script writes: {why}"), only))
            }
            [(first, why), ..] => Err(Refusal::of_file(
                format!(
                    "it {verb} {} files that the script writes: {}; of {first}: {why}",
                    names.len(),
                    some_of(&names)
                ),
                first,
            )),
        }
    }
}

/// Whether a file of the image may be usable only because of how the script set its mode or owner.
fn is_opened_by(known: &Known<'_>, path: &ImagePath, how: &BTreeSet<How>) -> bool {
    let Some(entry) = known.rootfs.entry(path).filter(|entry| entry.file().is_some()) else { return false };
    how.contains(&How::Mode) || how.contains(&How::Owner) && entry.mode & 0o004 == 0
}
