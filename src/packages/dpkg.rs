//! dpkg's database, read from the bytes that pass 1 kept of it.
//!
//! Knows its files and their format; what they mean for a plan is not its business.

pub mod alternatives;
mod control;
pub mod filter;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;

use alternatives::{LINKS, RECORDS};
use control::{Stanza, relations, stanzas};

use super::Kind;
use super::database::{Database, Package, State, Warning};
use crate::path::{ImagePath, PathMap};
use crate::rootfs::Rootfs;

/// Directory of the database.
pub(super) const ADMIN: &str = "var/lib/dpkg/";

/// Largest `status`: 50 MiB are some 40,000 packages.
const MAX_STATUS: u64 = 50 << 20;

/// Largest list of one package's files; the kernel's headers have 2 MiB.
const MAX_LIST: u64 = 16 << 20;

/// Largest of the small files: diversions, one group of alternatives, one stanza of `status.d`.
const MAX_SMALL: u64 = 1 << 20;

/// How many bytes of the file at `path` pass 1 must keep; `None`: none.
pub(super) fn wanted(path: &ImagePath) -> Option<u64> {
    let rest = path.as_bytes().strip_prefix(ADMIN.as_bytes())?;
    let ends = |end: &[u8]| rest.ends_with(end);
    let (directory, name) = match rest.iter().position(|&byte| byte == b'/') {
        Some(at) => rest.split_at(at),
        None => (&b""[..], rest),
    };
    // One level only.
    if name.get(1..).unwrap_or_default().contains(&b'/') {
        return None;
    }
    match directory {
        b"" if name == b"status" => Some(MAX_STATUS),
        b"" if name == b"diversions" => Some(MAX_SMALL),
        b"status.d" if ends(b".md5sums") => Some(MAX_LIST),
        b"status.d" | b"alternatives" => Some(MAX_SMALL),
        b"info" if ends(b".list") || ends(b".md5sums") => Some(MAX_LIST),
        _ => None,
    }
}

/// `dpkg-divert`: other packages' file `from` lies at `to`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diversion {
    /// The name that packages list.
    pub from: ImagePath,
    /// Where the file is.
    pub to: ImagePath,
    /// The package whose own file stays at `from`; `None` for a local diversion, which moves every package's.
    pub package: Option<String>,
}

impl Diversion {
    /// Whether the file that `package` lists at the canonical `path` lies elsewhere for this.
    pub(super) fn moves(&self, path: &ImagePath, package: &str) -> bool {
        self.from == *path && self.package.as_deref() != Some(package)
    }
}

pub(super) fn read(rootfs: &Rootfs, database: &mut Database) {
    let Some(admin) = rootfs.resolve(&ImagePath::literal(ADMIN)).map(|resolved| resolved.path) else {
        return;
    };
    let status = admin.child(b"status");
    let directory = admin.child(b"status.d");
    if rootfs.entry(&status).is_none() && !rootfs.is_directory(&directory) {
        return;
    }
    database.kinds.insert(Kind::Dpkg);
    let mut reader =
        Reader { rootfs, admin, database, parents: PathMap::default(), diversions: PathMap::default() };
    reader.diversions();
    reader.status(&status);
    reader.status_directory(&directory);
    reader.alternatives();
}

struct Reader<'a> {
    rootfs: &'a Rootfs,
    admin: ImagePath,
    database: &'a mut Database,
    /// Directories as listed, and where they are: thousands of files share them.
    parents: PathMap<ImagePath>,
    /// Positions of diversions by the name they move.
    diversions: PathMap<usize>,
}

impl<'a> Reader<'a> {
    /// Bytes of a file; a file that is there without bytes was too large.
    fn bytes(&mut self, path: &ImagePath) -> Option<Cow<'a, [u8]>> {
        let found = self.rootfs.resolve(path)?.path;
        let file = self.rootfs.entry(&found)?.file()?;
        match (&file.bytes, file.size) {
            (Some(bytes), _) => Some(bytes.bytes()),
            (None, 0) => Some(Cow::default()),
            (None, _) => {
                self.database.warnings.push(Warning::TooLarge(path.clone()));
                None
            }
        }
    }

    fn canonical(&mut self, path: ImagePath) -> ImagePath {
        let rootfs = self.rootfs;
        if let Some(own) = rootfs.own(&path) {
            return own.clone();
        }
        let Some(parent) = path.parent() else { return path };
        let path = self
            .parents
            .entry(parent)
            .or_insert_with_key(|parent| {
                rootfs.canonicalize_missing(parent).unwrap_or_else(|| parent.clone())
            })
            .child(path.name());
        rootfs.shared(path)
    }

    /// Where a path that `package` lists lies.
    fn location(&mut self, package: &str, listed: &[u8]) -> Option<ImagePath> {
        let path = self.canonical(ImagePath::parse(listed).ok()?);
        let diversion = self.diversions.get(&path).and_then(|at| self.database.diversions.get(*at));
        match diversion {
            Some(diversion) if diversion.moves(&path, package) => Some(diversion.to.clone()),
            _ => Some(path),
        }
    }

    fn diversions(&mut self) {
        let file = self.admin.child(b"diversions");
        let Some(bytes) = self.bytes(&file) else { return };
        let lines: Vec<&[u8]> = lines(&bytes).collect();
        for (number, triple) in lines.chunks(3).enumerate() {
            let parsed = match triple {
                [from, to, package] => {
                    ImagePath::parse(from).ok().zip(ImagePath::parse(to).ok()).map(|pair| (pair, package))
                }
                _ => None,
            };
            let Some(((from, to), package)) = parsed else {
                self.database.warnings.push(Warning::Line { file: file.clone(), line: number * 3 + 1 });
                continue;
            };
            let (from, to) = (self.canonical(from), self.canonical(to));
            // A single colon stands for the administrator.
            let package = (*package != b":").then(|| String::from_utf8_lossy(package).into_owned());
            self.diversions.insert(from.clone(), self.database.diversions.len());
            self.database.diversions.push(Diversion { from, to, package });
        }
    }

    fn status(&mut self, file: &ImagePath) {
        let Some(bytes) = self.bytes(file) else { return };
        for (number, stanza) in stanzas(&bytes).enumerate() {
            let Some(package) = self.package(stanza, file, number + 1) else { continue };
            let info = self.admin.child(b"info");
            let plain = package.name.clone();
            let qualified = format!("{plain}:{}", package.architecture);
            let part = |stem: &str, kind: &str| info.child(format!("{stem}.{kind}").as_bytes());
            let find = |kind: &str| {
                let names = [part(&qualified, kind), part(&plain, kind)];
                names.into_iter().find(|name| self.rootfs.node(name).is_some())
            };
            let (list, sums) = (find("list"), find("md5sums"));
            self.add(package, list.as_ref(), sums.as_ref());
        }
        if bytes.last().is_some_and(|last| *last != b'\n') {
            self.database.warnings.push(Warning::Cut(file.clone()));
        }
        self.unlisted();
    }

    /// Lists of files that belong to no stanza: a status file that lost its end at a stanza's border looks whole.
    fn unlisted(&mut self) {
        for (path, _) in self.rootfs.children(&self.admin.child(b"info")) {
            let Some(stem) = path.name().strip_suffix(b".list") else { continue };
            let name = stem.split(|&byte| byte == b':').next().unwrap_or_default();
            let is_known =
                std::str::from_utf8(name).is_ok_and(|name| self.database.by_name.contains_key(name));
            if !is_known {
                self.database.warnings.push(Warning::Unlisted(path.clone()));
            }
        }
    }

    /// Distroless images have a file of control data and one of sums per package, and no lists.
    fn status_directory(&mut self, directory: &ImagePath) {
        let files: Vec<ImagePath> = self.rootfs.children(directory).map(|(path, _)| path.clone()).collect();
        for file in files.iter().filter(|file| !file.name().ends_with(b".md5sums")) {
            if self.rootfs.is_directory(file) {
                continue;
            }
            let Some(bytes) = self.bytes(file) else { continue };
            let sums = directory.child(&[file.name(), b".md5sums"].concat());
            let sums = self.rootfs.node(&sums).is_some().then_some(sums);
            for (number, stanza) in stanzas(&bytes).enumerate() {
                if let Some(package) = self.package(stanza, file, number + 1) {
                    self.add(package, None, sums.as_ref());
                }
            }
        }
    }

    fn package(&mut self, stanza: Stanza<'_>, file: &ImagePath, number: usize) -> Option<Package> {
        let Some(name) = stanza.text("Package").filter(|name| is_name(name)) else {
            if !stanza.bytes.trim_ascii().is_empty() {
                self.database.warnings.push(Warning::Nameless { file: file.clone(), stanza: number });
            }
            return None;
        };
        let yes = |field: &str| stanza.text(field).is_some_and(|value| value.eq_ignore_ascii_case("yes"));
        let list = |field: &str| stanza.text(field).map(|value| relations(&value)).unwrap_or_default();
        let mut package = Package {
            kind: Kind::Dpkg,
            architecture: stanza.text("Architecture").unwrap_or_default(),
            version: stanza.text("Version").unwrap_or_default(),
            state: stanza.text("Status").map_or(State::Installed, |status| state(&status)),
            essential: yes("Essential"),
            protected: yes("Protected") || yes("Important"),
            depends: [list("Pre-Depends"), list("Depends")].concat(),
            provides: list("Provides").into_iter().flatten().collect(),
            multi_arch: stanza.text("Multi-Arch"),
            source: stanza
                .text("Source")
                .and_then(|source| source.split_whitespace().next().map(str::to_owned)),
            conffiles: BTreeMap::new(),
            files: Vec::new(),
            name,
        };
        for line in stanza.field("Conffiles").unwrap_or_default() {
            let mut words = line.rsplitn(2, |byte| *byte == b' ');
            // `obsolete` and `remove-on-upgrade` may follow the sum.
            let (mut sum, mut path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            while matches!(sum, b"obsolete" | b"remove-on-upgrade") {
                let mut words = path.rsplitn(2, |byte| *byte == b' ');
                (sum, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            }
            if let (Some(sum), Some(path)) = (md5(sum), self.location(&package.name, path)) {
                package.conffiles.insert(path, sum);
            }
        }
        Some(package)
    }

    fn add(&mut self, mut package: Package, list: Option<&ImagePath>, sums: Option<&ImagePath>) {
        let mut sums = sums.map(|file| self.sums(&package.name, file)).unwrap_or_default();
        match list {
            Some(file) => package.files = self.list(&package.name, file),
            None => package.files = sums.iter().map(|(path, _)| path.clone()).collect(),
        }
        if package.state == State::Installed {
            if list.is_none() && package.files.is_empty() {
                self.database.warnings.push(Warning::Listless(package.name.clone()));
            }
            sums.extend(package.conffiles.iter().map(|(path, sum)| (path.clone(), sum.clone())));
            // A sum is of use only where there are bytes to compare it with.
            let rootfs = self.rootfs;
            self.database.sums.extend(sums.into_iter().filter(|(path, _)| rootfs.has_bytes(path)));
        }
        self.database.add(package);
    }

    fn list(&mut self, package: &str, file: &ImagePath) -> Vec<ImagePath> {
        let mut files = Vec::new();
        for (number, line) in lines(&self.bytes(file).unwrap_or_default()).enumerate() {
            match self.location(package, line) {
                Some(path) if path.is_root() => {}
                Some(path) => files.push(path),
                None => self.database.warnings.push(Warning::Line { file: file.clone(), line: number + 1 }),
            }
        }
        files
    }

    fn sums(&mut self, package: &str, file: &ImagePath) -> Vec<(ImagePath, String)> {
        let mut sums = Vec::new();
        for (number, line) in lines(&self.bytes(file).unwrap_or_default()).enumerate() {
            let parsed =
                split_sum(line).and_then(|(sum, path)| Some((self.location(package, path)?, md5(sum)?)));
            match parsed {
                Some(pair) => sums.push(pair),
                None => self.database.warnings.push(Warning::Line { file: file.clone(), line: number + 1 }),
            }
        }
        sums
    }

    fn alternatives(&mut self) {
        let records: Vec<ImagePath> =
            self.rootfs.children(&ImagePath::literal(RECORDS)).map(|(path, _)| path.clone()).collect();
        for record in records {
            let Some(bytes) = self.bytes(&record) else { continue };
            let Some(alternative) = alternatives::parse(&record, &bytes) else {
                self.database.warnings.push(Warning::Line { file: record, line: 1 });
                continue;
            };
            let at = self.database.alternatives.len();
            for link in &alternative.links {
                let used = self.canonical(link.path.clone());
                self.database.links.insert(used, at);
                self.database.links.insert(ImagePath::literal(LINKS).child(&link.name), at);
            }
            self.database.alternatives.push(alternative);
        }
    }
}

/// `SUM  PATH`, as md5sum(1) writes it, in text or binary mode.
pub(super) fn split_sum(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let (sum, path) = line.split_at_checked(32)?;
    let path = path.strip_prefix(b"  ").or_else(|| path.strip_prefix(b" *"))?;
    Some((sum, path))
}

/// Lines without their ends; blank ones are left out.
pub(super) fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes
        .split(|&byte| byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .filter(|line| !line.is_empty())
}

fn md5(text: &[u8]) -> Option<String> {
    let hex = std::str::from_utf8(text).ok()?;
    (hex.len() == 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| hex.to_ascii_lowercase())
}

/// `Status: WANT FLAG STATE` (dpkg(1)); a line that says none of this is taken for installed: what is there
/// must not be overlooked.
fn state(status: &str) -> State {
    match status.split_whitespace().nth(2) {
        Some("config-files") => State::ConfigFiles,
        Some("not-installed") => State::NotInstalled,
        _ => State::Installed,
    }
}

/// A name that is safe to look for as a file name.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/')
}
