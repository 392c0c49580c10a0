//! Packages, who owns what, and what needs what, whatever kind of database said so.
//!
//! Reads no format; `dpkg`, `apk` and `rpm` do.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use md5::{Digest as _, Md5};

use super::dpkg::alternatives::Alternative;
use super::dpkg::{self, Diversion};
use super::{Kind, apk, canonical, rpm};
use crate::path::{ImagePath, PathMap};
use crate::rootfs::{self, Rootfs};

/// A package of a [`Database`]: its position in [`Database::packages`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackageId(pub(super) u32);

/// Packages that own one path. Nearly every file has one, and there are as many as an image has files: no list of
/// their own for those.
#[derive(Debug, Clone, Default)]
pub(super) enum Owners {
    #[default]
    Nobody,
    One(PackageId),
    #[expect(
        clippy::box_collection,
        reason = "few paths have many owners: the rest would pay for a list's width"
    )]
    Many(Box<Vec<PackageId>>),
}

impl Owners {
    /// Adds a package, once.
    fn add(&mut self, id: PackageId) {
        match self {
            Self::Nobody => *self = Self::One(id),
            Self::One(other) if *other == id => {}
            Self::One(other) => *self = Self::Many(Box::new(vec![*other, id])),
            Self::Many(list) if list.contains(&id) => {}
            Self::Many(list) => list.push(id),
        }
    }

    fn as_slice(&self) -> &[PackageId] {
        match self {
            Self::Nobody => &[],
            Self::One(id) => std::slice::from_ref(id),
            Self::Many(list) => list,
        }
    }
}

/// What has become of a package; only dpkg remembers those that are gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum State {
    /// Its files are there, configured or not.
    #[default]
    Installed,
    /// Removed, but for its configuration files.
    ConfigFiles,
    /// Known by name only.
    NotInstalled,
}

/// One package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Whose package it is.
    pub kind: Kind,
    /// Name, without architecture.
    pub name: String,
    /// `amd64`, `x86_64`, `all`, `noarch`, …; empty if the database does not say.
    pub architecture: String,
    /// As written; empty if the database does not say.
    pub version: String,
    /// Whether it is there.
    pub state: State,
    /// `Essential: yes`.
    pub essential: bool,
    /// `Protected: yes` or `Important: yes`.
    pub protected: bool,
    /// All that it needs (`Pre-Depends` and `Depends`): clauses, each with its alternatives; versions and
    /// architectures dropped.
    pub depends: Vec<Vec<String>>,
    /// Virtual packages that this one is too; versions dropped.
    pub provides: Vec<String>,
    /// `Multi-Arch`, as written.
    pub multi_arch: Option<String>,
    /// Source package where it has another name; version dropped.
    pub source: Option<String>,
    /// Configuration files, where they lie in the image, and the sum they were delivered with.
    pub conffiles: BTreeMap<ImagePath, String>,
    /// Files, links and directories it lists, where they lie in the image (directory links followed,
    /// diversions applied), in the database's order. Not all of them need exist.
    pub files: Vec<ImagePath>,
}

impl Package {
    /// Whether there is a file or link of the package in the image at `path`, which it lists; directories belong to many.
    /// apk's and rpm's lists tell links from directories. dpkg's do not: a link to a directory into which the package puts
    /// something (`/lib` of a merged `/usr`) is that directory to it, and another (`/usr/lib/jvm/default-java`) is its own.
    pub fn has_file(&self, rootfs: &Rootfs, path: &ImagePath) -> bool {
        if rootfs.node(path).is_none() || rootfs.is_directory(path) {
            return false;
        }
        let is_link = rootfs.entry(path).is_some_and(|entry| matches!(entry.kind, rootfs::Kind::Symlink(_)));
        let stands_for_directory = || {
            let found = rootfs.resolve(path).map(|found| found.path);
            found.filter(|found| rootfs.is_directory(found)).is_some_and(|directory| {
                self.files.iter().any(|file| *file != directory && file.is_within(&directory))
            })
        };
        !(is_link && self.kind == Kind::Dpkg && stands_for_directory())
    }
}

/// Something odd in a database; what could be read was read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// The file was too large to be remembered.
    #[error("`{0}` is too large and was not read")]
    TooLarge(ImagePath),
    /// A stanza without `Package`.
    #[error("`{file}`: stanza {stanza} names no package")]
    Nameless {
        /// Where.
        file: ImagePath,
        /// Which, from 1.
        stanza: usize,
    },
    /// A line that means nothing there.
    #[error("`{file}`: line {line} cannot be read")]
    Line {
        /// Where.
        file: ImagePath,
        /// Which, from 1.
        line: usize,
    },
    /// A database that cannot be used.
    #[error("`{0}` cannot be read")]
    Unread(ImagePath),
    /// A path that is none.
    #[error("`{file}`: package `{package}` lists what is no path")]
    Unreadable {
        /// Where.
        file: ImagePath,
        /// Whose.
        package: String,
    },
    /// A file without a newline at its end: the rest is lost.
    #[error("`{0}` ends in the middle of a line")]
    Cut(ImagePath),
    /// A list of files of a package that the database does not have.
    #[error("`{0}` is the list of a package that no stanza tells of")]
    Unlisted(ImagePath),
    /// An installed package of which nothing says what files it has.
    #[error("no list of files of package `{0}`")]
    Listless(String),
}

/// All packages of an image.
#[derive(Debug, Clone, Default)]
pub struct Database {
    pub(super) kinds: BTreeSet<Kind>,
    pub(super) packages: Vec<Package>,
    pub(super) by_name: BTreeMap<String, Vec<PackageId>>,
    pub(super) providers: BTreeMap<String, Vec<PackageId>>,
    pub(super) owners: PathMap<Owners>,
    pub(super) sums: PathMap<String>,
    pub(super) diversions: Vec<Diversion>,
    pub(super) alternatives: Vec<Alternative>,
    pub(super) links: PathMap<usize>,
    pub(super) warnings: Vec<Warning>,
}

impl Database {
    /// Reads every database of `rootfs` that kiln reads; `None` if there is none.
    pub fn read(rootfs: &Rootfs) -> Option<Self> {
        let mut database = Self::default();
        dpkg::read(rootfs, &mut database);
        apk::read(rootfs, &mut database);
        rpm::read(rootfs, &mut database);
        (!database.kinds.is_empty()).then_some(database)
    }

    /// The kinds of database that were read.
    pub fn kinds(&self) -> &BTreeSet<Kind> {
        &self.kinds
    }

    /// Adds a package and says what it owns and provides.
    pub(super) fn add(&mut self, package: Package) {
        let Ok(number) = u32::try_from(self.packages.len()) else { return };
        let id = PackageId(number);
        self.by_name.entry(package.name.clone()).or_default().push(id);
        if package.state == State::Installed {
            for name in &package.provides {
                self.providers.entry(name.clone()).or_default().push(id);
            }
            for path in package.files.iter().chain(package.conffiles.keys()) {
                self.owners.entry(path.clone()).or_default().add(id);
            }
        }
        self.packages.push(package);
    }

    /// Every package known, installed or not, in the database's order.
    pub fn packages(&self) -> impl Iterator<Item = (PackageId, &Package)> {
        (0..).map(PackageId).zip(&self.packages)
    }

    /// Every package whose files are there.
    pub fn installed(&self) -> impl Iterator<Item = (PackageId, &Package)> {
        self.packages().filter(|(_, package)| package.state == State::Installed)
    }

    /// The package of this id.
    pub fn get(&self, id: PackageId) -> &Package {
        self.packages
            .get(id.0 as usize)
            .unwrap_or_else(|| unreachable!("package ids come from this database and it does not shrink"))
    }

    /// The installed package called `name`; the first one, where several architectures are installed.
    pub fn package(&self, name: &str) -> Option<PackageId> {
        self.named(name).next()
    }

    /// Every installed package called `name`, one per architecture.
    pub fn named(&self, name: &str) -> impl Iterator<Item = PackageId> {
        self.by_name
            .get(name)
            .into_iter()
            .flatten()
            .copied()
            .filter(|id| self.get(*id).state == State::Installed)
    }

    /// Installed packages that own `path`, which is canonical: no directory link in it. A directory has many.
    pub fn owners(&self, path: &ImagePath) -> &[PackageId] {
        self.owners.get(path).map_or(&[], Owners::as_slice)
    }

    /// The package that owns the file `path`: the first, where several list it.
    ///
    /// Diversions are accounted for: a diverted file is owned where it was moved to.
    pub fn owner_of(&self, path: &ImagePath) -> Option<PackageId> {
        self.owners(path).first().copied()
    }

    /// What `id` needs to be installed: for each clause of its dependencies, what satisfies the first
    /// alternative that is satisfied — the packages of that name, else all that provide it. Sorted.
    ///
    /// A clause that nothing installed satisfies adds nothing.
    pub fn dependencies(&self, id: PackageId) -> Vec<PackageId> {
        let wanting = self.get(id);
        let mut needed: Vec<PackageId> = wanting
            .depends
            .iter()
            .filter_map(|clause| {
                clause.iter().map(|name| self.satisfying(wanting, name)).find(|ids| !ids.is_empty())
            })
            .flatten()
            .filter(|needed| *needed != id)
            .collect();
        needed.sort_unstable();
        needed.dedup();
        needed
    }

    fn satisfying(&self, wanting: &Package, name: &str) -> Vec<PackageId> {
        let same_kind = |id: &PackageId| self.get(*id).kind == wanting.kind;
        let mut found: Vec<PackageId> = self.named(name).filter(same_kind).collect();
        if found.is_empty() {
            found = self.providers.get(name).into_iter().flatten().copied().filter(same_kind).collect();
        }
        // rpm's packages need files, too.
        if found.is_empty()
            && name.starts_with('/')
            && let Ok(path) = ImagePath::parse(name.as_bytes())
        {
            found = self.owners(&path).iter().copied().filter(same_kind).collect();
        }
        let fits_all = |architecture: &str| matches!(architecture, "all" | "noarch");
        let fits = |id: &PackageId| {
            let architecture = &self.get(*id).architecture;
            architecture == &wanting.architecture || fits_all(architecture) || fits_all(&wanting.architecture)
        };
        if found.iter().any(fits) { found.into_iter().filter(fits).collect() } else { found }
    }

    /// The MD5 sum, in lower-case hexadecimal, that the file at the canonical `path` was delivered with; only
    /// for files whose bytes were kept.
    pub fn md5(&self, path: &ImagePath) -> Option<&str> {
        self.sums.get(path).map(String::as_str)
    }

    /// Whether the file at the canonical `path` is as its package delivered it; `None` where no sum is known
    /// or its bytes were not kept.
    pub fn is_unmodified(&self, rootfs: &Rootfs, path: &ImagePath) -> Option<bool> {
        let expected = self.md5(path)?;
        Some(md5_hex(&rootfs.bytes(path)?) == expected)
    }

    /// Where a path that `id` lists as `listed` lies in the image: directory links followed, diversions applied.
    pub fn location(&self, rootfs: &Rootfs, id: PackageId, listed: &ImagePath) -> ImagePath {
        let path = canonical(rootfs, listed);
        let name = &self.get(id).name;
        let diverted = self.diversions.iter().find(|diversion| diversion.moves(&path, name));
        diverted.map_or(path, |diversion| diversion.to.clone())
    }

    /// Diversions, in the database's order; paths canonical.
    pub fn diversions(&self) -> &[Diversion] {
        &self.diversions
    }

    /// Groups of alternatives, by name.
    pub fn alternatives(&self) -> &[Alternative] {
        &self.alternatives
    }

    /// The group of alternatives that made the link at the canonical `path`, be it the name that is used
    /// (`/usr/bin/awk`) or the one in `/etc/alternatives`.
    pub fn alternative_of(&self, path: &ImagePath) -> Option<&Alternative> {
        self.alternatives.get(*self.links.get(path)?)
    }

    /// What was odd, in the order it was seen.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }
}

pub(super) fn md5_hex(bytes: &[u8]) -> String {
    let mut hex = String::with_capacity(32);
    for byte in Md5::digest(bytes) {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}
