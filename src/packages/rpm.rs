//! rpm's database in `SQLite`: Fedora, Red Hat and SUSE of today.
//!
//! Reads who owns what and who needs what. Berkeley DB and rpm's own ndb are noticed elsewhere and not read here.

#[doc(hidden)]
pub mod fixture;
mod header;
mod sqlite;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use header::parse_header;
pub use sqlite::SqliteError;

use self::header::{Header, Tag};
use super::database::{Database, Package, State, Warning};
use super::{Kind, canonical};
use crate::path::ImagePath;
use crate::rootfs::Rootfs;

/// Where the database is: rpm's default, Fedora's and SUSE's, and what image-based systems have.
const DIRECTORIES: [&str; 3] = ["var/lib/rpm", "usr/lib/sysimage/rpm", "usr/share/rpm"];

const NAME: &str = "rpmdb.sqlite";

/// Largest database: a workstation's of 3,000 packages has 120 MiB, a server image's some 10.
const MAX_DATABASE: u64 = 128 << 20;

/// How many bytes of the file at `path` pass 1 must keep; `None`: none.
pub(super) fn wanted(path: &ImagePath) -> Option<u64> {
    let is_there = |directory: &str| *path == ImagePath::literal(directory).child(NAME.as_bytes());
    DIRECTORIES.iter().any(|directory| is_there(directory)).then_some(MAX_DATABASE)
}

/// The databases of the image, links followed, each once.
pub fn files(rootfs: &Rootfs) -> Vec<ImagePath> {
    let mut found: Vec<ImagePath> = Vec::new();
    for directory in DIRECTORIES {
        let place = ImagePath::literal(directory).child(NAME.as_bytes());
        let Some(path) = rootfs.resolve(&place).map(|resolved| resolved.path) else { continue };
        if !found.contains(&path) && rootfs.entry(&path).is_some_and(|entry| entry.file().is_some()) {
            found.push(path);
        }
    }
    found
}

pub(super) fn read(rootfs: &Rootfs, database: &mut Database) {
    for path in files(rootfs) {
        // What is still in the write-ahead log is not in the file.
        let log = path.parent().unwrap_or_else(ImagePath::root).child(&[path.name(), b"-wal"].concat());
        let has_log = rootfs.entry(&log).and_then(|entry| entry.file()).is_some_and(|file| file.size > 0);
        let Some(bytes) = rootfs.bytes(&path).filter(|_| !has_log) else {
            database.warnings.push(Warning::Unread(path));
            continue;
        };
        let Ok(rows) = sqlite::read_packages(&bytes) else {
            database.warnings.push(Warning::Unread(path));
            continue;
        };
        database.kinds.insert(Kind::Rpm);
        for (number, blob) in rows.iter().enumerate() {
            match parse_header(blob).and_then(|header| package(rootfs, &header)) {
                Some(package) => database.add(package),
                None => database.warnings.push(Warning::Nameless { file: path.clone(), stanza: number + 1 }),
            }
        }
    }
}

/// The database without the packages that `keep` says no to; `None` where none goes. It is given name and
/// architecture (empty where there is none). A package's header is signed as a whole: it stays as it is, or goes.
pub fn filter_database(
    bytes: &[u8],
    keep: &dyn Fn(&str, &str) -> bool,
) -> Result<Option<Vec<u8>>, SqliteError> {
    sqlite::without_packages(bytes, &|blob| {
        parse_header(blob).is_some_and(|header| {
            let name = header.text(Tag::Name);
            name.is_some_and(|name| !keep(&name, &header.text(Tag::Architecture).unwrap_or_default()))
        })
    })
}

fn package(rootfs: &Rootfs, header: &Header<'_>) -> Option<Package> {
    let name = header.text(Tag::Name)?;
    let text = |tag| header.text(tag).unwrap_or_default();
    let epoch = header.numbers(Tag::Epoch).next().map(|epoch| format!("{epoch}:")).unwrap_or_default();
    let directories: Vec<&[u8]> = header.strings(Tag::DirectoryNames).collect();
    let modes: Vec<u32> = header.numbers(Tag::FileModes).collect();
    let mut files = Vec::new();
    for (at, (base, directory)) in
        header.strings(Tag::BaseNames).zip(header.numbers(Tag::DirectoryIndexes)).enumerate()
    {
        let directory = usize::try_from(directory).ok().and_then(|directory| directories.get(directory));
        let Some(path) = directory.and_then(|dir| ImagePath::parse(&[dir, base].concat()).ok()) else {
            continue;
        };
        // A directory that is a link here is the directory that it leads to: links are listed as links.
        let is_directory = modes.get(at).is_some_and(|mode| mode & 0o170_000 == 0o040_000);
        let path = if is_directory {
            rootfs.canonicalize_missing(&path).unwrap_or(path)
        } else {
            canonical(rootfs, &path)
        };
        if !path.is_root() {
            files.push(rootfs.shared(path));
        }
    }
    Some(Package {
        kind: Kind::Rpm,
        architecture: text(Tag::Architecture),
        version: format!("{epoch}{}-{}", text(Tag::Version), text(Tag::Release)),
        state: State::Installed,
        essential: false,
        protected: false,
        depends: header.strings(Tag::RequireNames).filter_map(|name| requirement(rootfs, name)).collect(),
        provides: header.strings(Tag::ProvideNames).map(lossy).collect(),
        multi_arch: None,
        source: header.text(Tag::SourceRpm).map(|source| source_name(&source).to_owned()),
        conffiles: BTreeMap::new(),
        files,
        name,
    })
}

/// A name, a capability or a file; `None` for features of rpm itself and for conditions (`(a if b)`).
fn requirement(rootfs: &Rootfs, name: &[u8]) -> Option<Vec<String>> {
    if name.starts_with(b"rpmlib(") || name.starts_with(b"(") || name.is_empty() {
        return None;
    }
    let path = name.starts_with(b"/").then(|| ImagePath::parse(name).ok()).flatten();
    Some(vec![path.map_or_else(|| lossy(name), |path| lossy(&canonical(rootfs, &path).absolute()))])
}

/// `bash-5.2.26-3.fc40.src.rpm` → `bash`
fn source_name(file: &str) -> &str {
    file.rsplitn(3, '-').nth(2).unwrap_or(file)
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
