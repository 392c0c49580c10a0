//! What a file really is where its name does not say so: a tool by its bytes, a copy of one, or a further name of one.
//!
//! Compares names, fingerprints and marks; what follows from a likeness is for others to decide.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;

use serde::{Deserialize, Serialize};

use super::application;
use super::known::Known;
use crate::catalog::{Catalog, Class};
use crate::path::ImagePath;
use crate::rootfs::identity::Fingerprint;
use crate::rootfs::{Content, EntryId, File};

/// What a file is by something else than its name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Likeness {
    /// Its bytes have the marks of this tool.
    Tool(String),
    /// It has the same inode as this program.
    Link(ImagePath),
    /// It has the same content as this program.
    Copy(ImagePath),
}

impl fmt::Display for Likeness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tool(name) => write!(f, "{name} by its content"),
            Self::Link(path) => write!(f, "a hard link of {path}"),
            Self::Copy(path) => write!(f, "a copy of {path}"),
        }
    }
}

/// Shortest script that counts as a copy: `#!/bin/sh` and `exit 0` are in many files that have nothing to do with
/// each other, and the shortest program that a tool's package brings as a script is longer.
const MIN_SCRIPT: u64 = 128;

/// Programs that the catalog names and that nothing but the entrypoint could excuse, by what their look-alikes share.
#[derive(Debug, Default)]
pub struct Originals {
    by_inode: HashMap<EntryId, (Class, ImagePath)>,
    by_content: HashMap<Fingerprint, (Class, ImagePath)>,
}

impl Originals {
    /// Those of `known`. A file of the application that only has a tool's name is no original.
    pub fn of(known: &Known<'_>) -> Self {
        let mut out = Self::default();
        for (path, node) in known.rootfs.nodes() {
            let (Some(inode), Some(class)) = (node.inode, known.named(path)) else { continue };
            let Some(file) = known.rootfs.entry(path).and_then(|entry| entry.file()) else { continue };
            if is_tool(known, path, class) {
                keep_worst(&mut out.by_inode, inode, class, path);
                if let Some(fingerprint) = comparable(file) {
                    keep_worst(&mut out.by_content, fingerprint, class, path);
                }
            }
        }
        // A copy outlives the original that an upper layer deletes or replaces.
        for entry in known.rootfs.layers().iter().flat_map(|layer| &layer.entries) {
            let Some(file) = entry.file().filter(|_| entry.mode & 0o111 != 0) else { continue };
            let Some(class) = Catalog::builtin().program(entry.path.name()) else { continue };
            if let Some(fingerprint) = comparable(file)
                && is_tool(known, &entry.path, class)
            {
                keep_worst(&mut out.by_content, fingerprint, class, &entry.path);
            }
        }
        out
    }

    /// What the file at `path` is by its bytes, its inode or its content; `None` where nothing is known of it or it is
    /// the original itself.
    pub fn likeness(&self, known: &Known<'_>, path: &ImagePath) -> Option<(Class, Likeness)> {
        let inode = known.rootfs.node(path)?.inode?;
        let file = known.rootfs.member(inode)?.file()?;
        let found = Catalog::builtin().tool_of(file);
        let named = found.map(|tool| (tool.class, Likeness::Tool(tool.name.to_string())));
        // The names of many programs in one file say little of what it is.
        let (first, last) =
            if found.is_some_and(|tool| tool.multi_call) { (named, None) } else { (None, named) };
        let other = |(class, original): &(Class, ImagePath), likeness: fn(ImagePath) -> Likeness| {
            (original != path).then(|| (*class, likeness(original.clone())))
        };
        let link = self.by_inode.get(&inode).and_then(|original| other(original, Likeness::Link));
        let copy = comparable(file)
            .and_then(|fingerprint| self.by_content.get(&fingerprint))
            .and_then(|original| other(original, Likeness::Copy));
        // The worst class; of equals a hard link says most, then a copy.
        first.into_iter().chain(link).chain(copy).chain(last).min_by_key(|(class, _)| *class)
    }
}

/// Whether a program named as one of `class` is one: outside the system's directories a name says little of a file that
/// no package brought.
fn is_tool(known: &Known<'_>, path: &ImagePath, class: Class) -> bool {
    let own = known.owners(path).is_empty() && !application::is_system_directory(path);
    !own || matches!(class, Class::Shell | Class::PackageManager)
}

/// Remembers the worst class of what has the same `key`, and of equals the first path that came.
fn keep_worst<K: Eq + Hash>(
    map: &mut HashMap<K, (Class, ImagePath)>,
    key: K,
    class: Class,
    path: &ImagePath,
) {
    let slot = map.entry(key).or_insert_with(|| (class, path.clone()));
    if class < slot.0 {
        *slot = (class, path.clone());
    }
}

/// What a copy of `file` has in common with it, if that says anything.
pub fn comparable(file: &File) -> Option<Fingerprint> {
    let is_program = match file.content {
        Content::Elf(_) | Content::ElfUnreadable => true,
        Content::Script(_) => file.size >= MIN_SCRIPT,
        Content::Data => false,
    };
    file.identity.as_ref().filter(|_| is_program).map(|identity| identity.fingerprint)
}
