//! apk's database: Alpine, Wolfi and what is built from their packages.
//!
//! Reads who owns what and who needs what; `installed` knows the syntax, `filter` writes what remains.

pub mod filter;
mod installed;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use installed::{Part, Stanza, parse_installed};

use super::database::{Database, Package, State, Warning};
use super::{Kind, canonical};
use crate::path::ImagePath;
use crate::rootfs::Rootfs;

/// Where the database is: apk-tools 2, and apk-tools 3 on a merged `/usr`.
const DIRECTORIES: [&str; 2] = ["lib/apk/db", "usr/lib/apk/db"];

/// What was asked to be installed, by name.
const WORLD: &str = "etc/apk/world";

/// Largest `installed`: a desktop's of 1,500 packages has 15 MiB.
const MAX_INSTALLED: u64 = 64 << 20;

/// Largest of the other files; the scripts of 1,500 packages are 3 MiB.
const MAX_SMALL: u64 = 16 << 20;

/// A file of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatabaseFile {
    /// Packages with their files.
    Installed,
    /// Which package's trigger watches which directories.
    Triggers,
    /// A tar archive of what packages run when they come and go.
    Scripts,
    /// What was asked to be installed.
    World,
}

/// Which file of the database `path` is.
pub fn file_at(path: &ImagePath) -> Option<DatabaseFile> {
    if *path.as_bytes() == *WORLD.as_bytes() {
        return Some(DatabaseFile::World);
    }
    let below = |directory: &str| path.as_bytes().strip_prefix(directory.as_bytes())?.strip_prefix(b"/");
    match DIRECTORIES.iter().find_map(|directory| below(directory))? {
        b"installed" => Some(DatabaseFile::Installed),
        b"triggers" => Some(DatabaseFile::Triggers),
        b"scripts.tar" => Some(DatabaseFile::Scripts),
        _ => None,
    }
}

/// How many bytes of the file at `path` pass 1 must keep; `None`: none.
pub(super) fn wanted(path: &ImagePath) -> Option<u64> {
    Some(match file_at(path)? {
        DatabaseFile::Installed => MAX_INSTALLED,
        DatabaseFile::Triggers | DatabaseFile::Scripts | DatabaseFile::World => MAX_SMALL,
    })
}

/// The database's files in the image, links followed, each once.
pub fn files(rootfs: &Rootfs) -> Vec<(ImagePath, DatabaseFile)> {
    let names = ["installed", "triggers", "scripts.tar"];
    let places = DIRECTORIES.iter().flat_map(|directory| names.map(|name| format!("{directory}/{name}")));
    let mut found: Vec<(ImagePath, DatabaseFile)> = Vec::new();
    for place in places.chain([WORLD.to_owned()]) {
        let place = ImagePath::literal(&place);
        let (Some(file), Some(resolved)) = (file_at(&place), rootfs.resolve(&place)) else { continue };
        let is_file = rootfs.entry(&resolved.path).is_some_and(|entry| entry.file().is_some());
        if is_file && found.iter().all(|(path, _)| *path != resolved.path) {
            found.push((resolved.path, file));
        }
    }
    found
}

pub(super) fn read(rootfs: &Rootfs, database: &mut Database) {
    for (path, file) in files(rootfs) {
        if file != DatabaseFile::Installed {
            continue;
        }
        let Some(file) = rootfs.entry(&path).and_then(|entry| entry.file()) else { continue };
        match &file.bytes {
            Some(bytes) => {
                for stanza in parse_installed(&bytes.bytes()) {
                    add(rootfs, database, &path, &stanza);
                }
            }
            None if file.size == 0 => {}
            None => {
                // Not read: what it says is not known.
                database.warnings.push(Warning::TooLarge(path));
                continue;
            }
        }
        database.kinds.insert(Kind::Apk);
    }
}

fn add(rootfs: &Rootfs, database: &mut Database, file: &ImagePath, stanza: &Stanza<'_>) {
    let Some(name) = stanza.name() else {
        if !stanza.bytes().trim_ascii().is_empty() {
            let stanza = database.packages.len() + 1;
            database.warnings.push(Warning::Nameless { file: file.clone(), stanza });
        }
        return;
    };
    let text = |field| stanza.field(field).map(|value| String::from_utf8_lossy(value).into_owned());
    let names = |field| stanza.field(field).map(installed::names).unwrap_or_default();
    let mut files = Vec::new();
    for part in stanza.parts() {
        let path = match part {
            // A directory that is a link here is the directory that it leads to: links are listed as files.
            Part::Directory { path, .. } => {
                path.map(|path| rootfs.canonicalize_missing(&path).unwrap_or(path))
            }
            Part::File { path, .. } => path.map(|path| canonical(rootfs, &path)),
            Part::Field(_) => continue,
        };
        match path {
            Some(path) if path.is_root() => {}
            Some(path) => files.push(rootfs.shared(path)),
            None => database.warnings.push(Warning::Unreadable { file: file.clone(), package: name.clone() }),
        }
    }
    database.add(Package {
        kind: Kind::Apk,
        name,
        architecture: text(b'A').unwrap_or_default(),
        version: text(b'V').unwrap_or_default(),
        state: State::Installed,
        essential: false,
        protected: false,
        depends: names(b'D').into_iter().map(|name| vec![name]).collect(),
        provides: names(b'p'),
        multi_arch: None,
        source: text(b'o'),
        conffiles: BTreeMap::new(),
        files,
    });
}
