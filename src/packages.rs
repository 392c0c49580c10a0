//! The package database of an image: which package owns a file, and what a package needs.
//!
//! Does not decide what goes; reads dpkg, and only notices rpm and apk.

pub mod alternatives;
mod control;
mod dpkg;
pub mod filter;

use std::collections::{BTreeMap, HashMap};
use std::fmt::{self, Write as _};

use md5::{Digest as _, Md5};

pub use alternatives::Alternative;
pub use dpkg::{Diversion, wanted};

use crate::path::ImagePath;
use crate::rootfs::Rootfs;

/// A kind of package database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Debian, Ubuntu, and distroless images made of their packages.
    Dpkg,
    /// Red Hat, SUSE.
    Rpm,
    /// Alpine, Wolfi.
    Apk,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dpkg => "dpkg",
            Self::Rpm => "rpm",
            Self::Apk => "apk",
        })
    }
}

/// Where each kind keeps its database.
const PLACES: &[(Kind, &str)] = &[
    (Kind::Dpkg, "var/lib/dpkg/status"),
    (Kind::Dpkg, "var/lib/dpkg/status.d"),
    (Kind::Rpm, "var/lib/rpm"),
    (Kind::Rpm, "usr/lib/sysimage/rpm"),
    (Kind::Apk, "lib/apk/db/installed"),
    (Kind::Apk, "usr/lib/apk/db/installed"),
];

/// The kinds of database that the image has something of, each once, with the place it was seen at.
///
/// An empty directory is none: Debian's `rpm` libraries leave one.
pub fn detect(rootfs: &Rootfs) -> BTreeMap<Kind, ImagePath> {
    let mut kinds = BTreeMap::new();
    for (kind, place) in PLACES {
        let Some(found) = rootfs.resolve(&ImagePath::literal(place)) else { continue };
        if !rootfs.is_directory(&found.path) || rootfs.below(&found.path).next().is_some() {
            kinds.entry(*kind).or_insert(found.path);
        }
    }
    kinds
}

/// A package of a [`Database`]: its position in [`Database::packages`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackageId(u32);

/// What dpkg says has become of a package.
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
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Package {
    /// Name, without architecture.
    pub name: String,
    /// `amd64`, `all`, …; empty if the database does not say.
    pub architecture: String,
    /// As written; empty if the database does not say.
    pub version: String,
    /// Whether it is there.
    pub state: State,
    /// `Essential: yes`.
    pub essential: bool,
    /// `Protected: yes` or `Important: yes`.
    pub protected: bool,
    /// `Pre-Depends` and `Depends`: all clauses, each with its alternatives; versions and architectures dropped.
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
    /// An installed package of which nothing says what files it has.
    #[error("no list of files of package `{0}`")]
    Listless(String),
}

/// All packages of an image.
#[derive(Debug, Clone, Default)]
pub struct Database {
    packages: Vec<Package>,
    by_name: BTreeMap<String, Vec<PackageId>>,
    providers: BTreeMap<String, Vec<PackageId>>,
    owners: HashMap<ImagePath, Vec<PackageId>>,
    sums: HashMap<ImagePath, String>,
    diversions: Vec<Diversion>,
    alternatives: Vec<Alternative>,
    links: HashMap<ImagePath, usize>,
    warnings: Vec<Warning>,
}

impl Database {
    /// Reads the dpkg database of `rootfs`; `None` if there is none.
    pub fn read(rootfs: &Rootfs) -> Option<Self> {
        dpkg::read(rootfs)
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
        self.owners.get(path).map_or(&[], Vec::as_slice)
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
        let real: Vec<PackageId> = self.named(name).collect();
        let found =
            if real.is_empty() { self.providers.get(name).cloned().unwrap_or_default() } else { real };
        let fits = |id: &PackageId| {
            let architecture = &self.get(*id).architecture;
            architecture == &wanting.architecture || architecture == "all" || wanting.architecture == "all"
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
        Some(md5_hex(rootfs.bytes(path)?) == expected)
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

fn md5_hex(bytes: &[u8]) -> String {
    let mut hex = String::with_capacity(32);
    for byte in Md5::digest(bytes) {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

/// `path` as the tree has it: links among its directories followed, its last name as it is.
pub fn canonical(rootfs: &Rootfs, path: &ImagePath) -> ImagePath {
    match path.parent().and_then(|parent| rootfs.canonicalize_missing(&parent)) {
        Some(parent) => parent.child(path.name()),
        None => path.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rootfs::dump::parse_image;

    /// Debian's status file, shortened; merged usr; dash's diversion.
    const DEBIAN: &str = r#"
        /bin l usr/bin
        /usr/bin/bash f 0755 1000
        /usr/bin/sh l dash
        /usr/bin/sh.distrib f "old"
        /usr/bin/dash f "dash"
        /usr/bin/mawk f
        /usr/bin/awk l /etc/alternatives/awk
        /etc/alternatives/awk l /usr/bin/mawk
        /etc/adduser.conf f "changed"
        /var/lib/dpkg/status f "Package: bash\nEssential: yes\nStatus: install ok installed\nArchitecture: amd64\nMulti-Arch: foreign\nVersion: 5.2.15-2+b7\nSource: bash (5.2.15-2)\nDepends: base-files (>= 2.1.12), debianutils (>= 5.6-0.1)\nPre-Depends: libc6 (>= 2.36), awk | mawk\nDescription: GNU Bourne Again SHell\n Bash is\n .\n Depends: nothing\n\nPackage: mawk\nStatus: install ok installed\nArchitecture: amd64\nProvides: awk\nDepends: libc6 (>= 2.29)\n\nPackage: libc6\nStatus: install ok triggers-awaited\nArchitecture: amd64\nMulti-Arch: same\nVersion: 2.36\n\nPackage: libc6\nStatus: install ok installed\nArchitecture: i386\nMulti-Arch: same\n\nPackage: adduser\nStatus: deinstall ok config-files\nArchitecture: all\nConffiles:\n /etc/adduser.conf cc3493ecd2d09837ffdcc3e25fdfff18\n /etc/old 11a06baf8245fd8d690b99024d228c1f obsolete\n\nPackage: dash\nStatus: install ok installed\nArchitecture: amd64\n\nPackage: posh\nStatus: install ok installed\nArchitecture: amd64\n"
        /var/lib/dpkg/info/bash.list f "/.\n/bin\n/bin/bash\n/usr\n/usr/bin\n"
        /var/lib/dpkg/info/mawk.list f "/usr/bin/mawk\n"
        /var/lib/dpkg/info/libc6:amd64.list f "/lib/x86_64-linux-gnu/libc.so.6\n"
        /var/lib/dpkg/info/libc6:i386.list f "/lib/i386-linux-gnu/libc.so.6\n"
        /var/lib/dpkg/info/adduser.list f "/etc/adduser.conf\n"
        /var/lib/dpkg/info/dash.list f "/bin/dash\n/bin/sh\n"
        /var/lib/dpkg/info/posh.list f "/bin/sh\n"
        /var/lib/dpkg/info/dash.md5sums f "a9fe1862e6a79f0ab5ffe25d8f2ab1c1  bin/dash\n0123456789abcdef0123456789abcdef  bin/sh\n"
        /var/lib/dpkg/diversions f "/bin/sh\n/bin/sh.distrib\ndash\n"
        /var/lib/dpkg/alternatives/awk f "auto\n/usr/bin/awk\n\n/usr/bin/mawk\n5\n\n"
    "#;

    fn names(database: &Database, ids: &[PackageId]) -> Vec<String> {
        let name = |id: &PackageId| format!("{}:{}", database.get(*id).name, database.get(*id).architecture);
        ids.iter().map(name).collect()
    }

    #[test]
    fn owners_are_found_through_merged_usr_links_and_diversions() {
        let rootfs = parse_image(DEBIAN);
        let database = Database::read(&rootfs).unwrap();
        let owner = |path: &str| names(&database, database.owners(&ImagePath::literal(path)));
        assert_eq!(owner("/usr/bin/bash"), ["bash:amd64"]);
        assert_eq!(owner("/bin/bash"), [""; 0]);
        assert_eq!(owner("/usr/bin/sh"), ["dash:amd64"]);
        assert_eq!(owner("/usr/bin/sh.distrib"), ["posh:amd64"]);
        assert_eq!(owner("/lib/i386-linux-gnu/libc.so.6"), ["libc6:i386"]);
        assert_eq!(owner("/etc/adduser.conf"), [""; 0], "a removed package owns nothing");
        assert_eq!(database.warnings(), []);
        let posh = database.package("posh").unwrap();
        assert_eq!(
            database.location(&rootfs, posh, &ImagePath::literal("/bin/sh")),
            ImagePath::literal("/usr/bin/sh.distrib")
        );
    }

    #[test]
    fn fields_of_a_package_are_read() {
        let database = Database::read(&parse_image(DEBIAN)).unwrap();
        let bash = database.get(database.package("bash").unwrap());
        assert!(bash.essential && !bash.protected);
        assert_eq!((bash.version.as_str(), bash.source.as_deref()), ("5.2.15-2+b7", Some("bash")));
        assert_eq!(
            bash.depends,
            [vec!["libc6"], vec!["awk", "mawk"], vec!["base-files"], vec!["debianutils"]]
        );
        assert_eq!(database.package("adduser"), None);
        let adduser = database.packages().find(|(_, package)| package.name == "adduser").unwrap().1;
        assert_eq!(adduser.state, State::ConfigFiles);
        assert_eq!(adduser.conffiles.len(), 2);
    }

    #[test]
    fn dependencies_are_of_the_same_architecture_and_may_be_virtual() {
        let database = Database::read(&parse_image(DEBIAN)).unwrap();
        let needed = database.dependencies(database.package("bash").unwrap());
        assert_eq!(names(&database, &needed), ["mawk:amd64", "libc6:amd64"]);
    }

    #[test]
    fn an_edited_file_is_told_from_a_delivered_one() {
        let rootfs = parse_image(DEBIAN);
        let database = Database::read(&rootfs).unwrap();
        let unmodified = |path: &str| database.is_unmodified(&rootfs, &ImagePath::literal(path));
        assert_eq!(unmodified("/usr/bin/dash"), Some(md5_hex(b"dash") == "a9fe1862e6a79f0ab5ffe25d8f2ab1c1"));
        assert_eq!(unmodified("/usr/bin/bash"), None);
        let edited = DEBIAN.replace("a9fe1862e6a79f0ab5ffe25d8f2ab1c1", &md5_hex(b"dash").to_uppercase());
        let rootfs = parse_image(&edited);
        let database = Database::read(&rootfs).unwrap();
        assert_eq!(database.is_unmodified(&rootfs, &ImagePath::literal("/usr/bin/dash")), Some(true));
    }

    #[test]
    fn both_links_of_an_alternative_lead_to_its_group() {
        let database = Database::read(&parse_image(DEBIAN)).unwrap();
        for link in ["/usr/bin/awk", "/etc/alternatives/awk"] {
            assert_eq!(database.alternative_of(&ImagePath::literal(link)).unwrap().name, "awk");
        }
        assert_eq!(database.alternative_of(&ImagePath::literal("/usr/bin/mawk")), None);
    }

    #[test]
    fn distroless_files_are_known_by_their_sums() {
        let rootfs = parse_image(
            r#"
            /var/lib/dpkg/status.d/base f "Package: base-files\nVersion: 12\nArchitecture: amd64\n"
            /usr/lib/os-release f "x"
            /usr/lib/big f 1000
            /var/lib/dpkg/status.d/base.md5sums f "0123456789abcdef0123456789abcdef  usr/lib/os-release\n0123456789abcdef0123456789abcdef  usr/lib/big\n"
            /var/lib/dpkg/status.d/netbase f "Package: netbase\n"
            "#,
        );
        let database = Database::read(&rootfs).unwrap();
        let owner = database.owner_of(&ImagePath::literal("/usr/lib/os-release")).unwrap();
        assert_eq!(database.get(owner).name, "base-files");
        assert_eq!(
            database.md5(&ImagePath::literal("/usr/lib/os-release")),
            Some("0123456789abcdef0123456789abcdef")
        );
        assert_eq!(database.md5(&ImagePath::literal("/usr/lib/big")), None, "no bytes to compare with");
        assert_eq!(database.warnings(), [Warning::Listless("netbase".into())]);
    }

    #[test]
    fn a_broken_database_is_read_as_far_as_it_goes() {
        let rootfs = parse_image(
            r#"
            /var/lib/dpkg/status f "Version: 1\r\n\r\nPackage: a\r\nStatus: install ok installed\r\n\r\nPackage: ../b\n\nPackage: c\nDepe"
            /var/lib/dpkg/info/a.list f "/usr/bin/a\r\n/../x\r\n"
            /var/lib/dpkg/info/c.list f 99999999
            /var/lib/dpkg/diversions f "/a\n/b\n"
            "#,
        );
        let database = Database::read(&rootfs).unwrap();
        assert_eq!(
            database.installed().map(|(_, package)| package.name.as_str()).collect::<Vec<_>>(),
            ["a", "c"]
        );
        assert!(database.owner_of(&ImagePath::literal("/usr/bin/a")).is_some());
        let warnings: Vec<String> = database.warnings().iter().map(Warning::to_string).collect();
        assert_eq!(
            warnings,
            [
                "`/var/lib/dpkg/diversions`: line 1 cannot be read",
                "`/var/lib/dpkg/status`: stanza 1 names no package",
                "`/var/lib/dpkg/info/a.list`: line 2 cannot be read",
                "`/var/lib/dpkg/status`: stanza 3 names no package",
                "`/var/lib/dpkg/info/c.list` is too large and was not read",
            ]
        );
    }

    #[test]
    fn kinds_of_database_are_noticed() {
        let kinds = |image: &str| detect(&parse_image(image)).into_keys().collect::<Vec<_>>();
        assert_eq!(kinds("/var/lib/dpkg/status f"), [Kind::Dpkg]);
        assert_eq!(
            kinds("/var/lib/rpm l ../../usr/lib/sysimage/rpm\n/usr/lib/sysimage/rpm/rpmdb.sqlite f"),
            [Kind::Rpm]
        );
        assert_eq!(kinds("/lib/apk/db/installed f\n/var/lib/rpm d"), [Kind::Apk]);
        assert_eq!(kinds("/app f"), []);
        assert!(Database::read(&parse_image("/app f")).is_none());
    }

    #[test]
    fn only_files_of_the_database_are_wanted() {
        let is_wanted = |path: &str| wanted(&ImagePath::literal(path)).is_some();
        for path in [
            "status",
            "status.d/base",
            "status.d/base.md5sums",
            "info/a:b.list",
            "info/a.md5sums",
            "diversions",
            "alternatives/awk",
        ] {
            assert!(is_wanted(&format!("/var/lib/dpkg/{path}")), "{path}");
        }
        for path in ["status-old", "info/a.postinst", "info/x/a.list", "lock", "available"] {
            assert!(!is_wanted(&format!("/var/lib/dpkg/{path}")), "{path}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(
            status in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..400),
            at in 0usize..2000, byte in proptest::prelude::any::<u8>(),
        ) {
            use crate::rootfs::{LayerIndex, Rootfs, Kind};
            let mut layers = crate::rootfs::dump::parse_layers(DEBIAN);
            for entry in layers.iter_mut().flat_map(|layer: &mut LayerIndex| &mut layer.entries) {
                if let Kind::File(file) = &mut entry.kind
                    && entry.path.as_bytes().starts_with(b"var/lib/dpkg")
                    && let Some(bytes) = &file.bytes
                {
                    let mut bytes = bytes.to_vec();
                    let length = bytes.len();
                    bytes[at % length] = byte;
                    if entry.path.name() == b"diversions" {
                        bytes.extend_from_slice(&status);
                    }
                    file.bytes = Some(bytes.into());
                }
            }
            let rootfs = Rootfs::merge(layers).unwrap();
            let database = Database::read(&rootfs).unwrap();
            for (id, _) in database.packages() {
                database.dependencies(id);
            }
        }
    }
}
