//! What goes, by name, and why: the complement of what stays, with scripts, links and directories settled.
//!
//! Knows the merged tree only; what that means for layers is `plan::verdict`'s.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::application;
use super::both::both;
use super::keep::{Kept, Why};
use super::known::Known;
use super::{Level, Reason};
use crate::catalog::Catalog;
use crate::packages::{self, PackageId};
use crate::path::{ImagePath, PathMap, PathSet};
use crate::rootfs::{Content, Kind, Node};

/// The tree, settled.
#[derive(Debug, Default)]
pub struct Fate {
    /// Every name that goes, directories too, and why, in byte order. What is not here stays.
    pub gone: PathMap<Reason>,
    /// Files whose data take another name, and which: a link stands at their own.
    pub moved: BTreeMap<ImagePath, ImagePath>,
    /// Packages that still own something that is no directory.
    pub packages: BTreeSet<PackageId>,
    /// Scripts that stay although a program of their first line goes: they cannot be started by name any more.
    pub indirect_scripts: Vec<ImagePath>,
    /// Scripts that stay as asked although their interpreter goes, and that interpreter.
    pub broken_scripts: Vec<(ImagePath, ImagePath)>,
}

impl Fate {
    /// Whether `path` stays.
    pub fn stays(&self, path: &ImagePath) -> bool {
        !self.gone.contains_key(path)
    }
}

/// Settles every name of the tree. The directories `mount_points` stay whatever is in them, and what a lowered script would
/// have `removed` goes.
pub fn settle(
    known: &Known<'_>,
    kept: &Kept,
    level: Level,
    mount_points: &BTreeSet<ImagePath>,
    removed: &[ImagePath],
) -> Fate {
    let globs = &known.options.strip;
    let mut settling = Settling {
        known,
        kept,
        level,
        strip: known.compile(globs),
        strip_globs: globs.iter().cloned().map(Arc::new).collect(),
        fate: Fate::default(),
    };
    settling.files();
    for path in removed {
        settling.fate.gone.entry(path.clone()).or_insert(Reason::RemovedAtStart);
    }
    settling.scripts();
    settling.data_of_upper_links();
    // A link that goes can take a link to it along, and leave a directory empty that a link leads to.
    loop {
        let before = settling.fate.gone.len();
        settling.links();
        settling.count_packages();
        settling.database();
        settling.directories(mount_points);
        if settling.fate.gone.len() == before {
            settling.fate.gone.sort_unstable_keys();
            return settling.fate;
        }
    }
}

struct Settling<'a> {
    known: &'a Known<'a>,
    kept: &'a Kept,
    level: Level,
    strip: crate::path::glob::PathGlobs,
    /// What `strip` was compiled from.
    strip_globs: Vec<Arc<String>>,
    fate: Fate,
}

impl Settling<'_> {
    fn files(&mut self) {
        let rootfs = self.known.rootfs;
        // What is said of a name follows from what is known, and not from what goes already.
        let half = rootfs.nodes().count() / 2;
        let gone = |(path, node): (&ImagePath, &Node)| {
            let stays = rootfs.is_directory_node(node)
                || self.kept.files.contains_key(path)
                || self.follows_what_stays(path);
            (!stays).then(|| (path.clone(), self.reason(path)))
        };
        let (first, second): (PathMap<Reason>, Vec<_>) = both(
            || rootfs.nodes().take(half).filter_map(gone).collect(),
            || rootfs.nodes().skip(half).filter_map(gone).collect(),
        );
        self.fate.gone = first;
        self.fate.gone.extend(second);
    }

    /// Names that no root leads to and that stay with something else: byte code with its source, the package
    /// database until it is filtered, links of the system until their targets are known.
    fn follows_what_stays(&self, path: &ImagePath) -> bool {
        if self.strip.is_match(&path.absolute()) || self.kept.catalogued.contains_key(path) {
            return false;
        }
        if self.is_aside(path) {
            return false;
        }
        let unowned = self.known.owners(path).is_empty();
        if let Some(source) = application::byte_code_source(path)
            && unowned
        {
            return self.kept.files.contains_key(&source);
        }
        if packages::is_database(path) {
            return !application::is_state(self.known, path);
        }
        if !self.known.is_link(path) || application::is_state(self.known, path) {
            return false;
        }
        // Packages list `/bin` as a directory; where it is a link, it is nobody's.
        let of_merged_usr =
            || application::is_spirit(self.known, path) && self.known.leads_to_directory(path);
        // Nothing says through which links a file was reached, and one that leads to what stays costs nothing.
        let may_be_passed = || {
            self.level == Level::Minimal
                && self.known.owners(path).iter().any(|id| !self.known.for_tools.contains(id))
                && self.known.class(path).is_none()
                && self.known.rootfs.resolve(path).is_some()
        };
        unowned || of_merged_usr() || may_be_passed()
    }

    /// Whether `path` is there for people or for software that does not run in a container, and that counts.
    fn is_aside(&self, path: &ImagePath) -> bool {
        self.level == Level::Minimal && self.known.rule(Catalog::builtin().aside(), path).is_some()
    }

    fn reason(&self, path: &ImagePath) -> Reason {
        let asked = self.strip.first_match(&path.absolute()).and_then(|at| self.strip_globs.get(at));
        if let Some(glob) = asked {
            return Reason::Requested { glob: Arc::clone(glob) };
        }
        if let Some(class) = self.kept.catalogued.get(path).copied().or_else(|| self.known.class(path)) {
            let alike = self.known.disguise(path).map(|(_, likeness)| Arc::new(likeness));
            return Reason::Catalogued { class, alike };
        }
        if !self.known.owners(path).is_empty() {
            return Reason::UnneededPackage;
        }
        if application::is_state(self.known, path) || packages::is_database(path) {
            return Reason::PackageManagerState;
        }
        Reason::Derived
    }

    fn scripts(&mut self) {
        for (path, why) in &self.kept.files {
            let Some(entry) = self.known.rootfs.entry(path) else { continue };
            let Some(Content::Script(line)) = entry.file().map(|file| &file.content) else { continue };
            if entry.mode & 0o111 == 0 {
                continue;
            }
            let interpreters = application::interpreters(self.known, line);
            let Some(last) = interpreters.last() else { continue };
            if self.fate.gone.contains_key(last) {
                // A link of the application is no reason to keep what cannot start.
                let is_weak = match why {
                    Why::Loaded(_) | Why::InNamed(_) => !application::is_module_script(path),
                    Why::Needed(by) => self.known.is_link(by),
                    why => !why.is_strong(),
                };
                if is_weak {
                    let reason = Reason::ScriptOfStripped { interpreter: last.clone() };
                    self.fate.gone.insert(path.clone(), reason);
                } else if matches!(why, Why::Loaded(_) | Why::InNamed(_)) {
                    self.fate.indirect_scripts.push(path.clone());
                } else {
                    self.fate.broken_scripts.push((path.clone(), last.clone()));
                }
            } else if application::interpreter_links(self.known, line)
                .iter()
                .chain(&interpreters)
                .any(|path| self.fate.gone.contains_key(path))
            {
                self.fate.indirect_scripts.push(path.clone());
            }
        }
    }

    /// Level `strip` leaves hidden content and whiteouts in lower layers, which would come between data that moves
    /// to another name there and the upper layer's link of that name: such data keeps the name it has.
    fn data_of_upper_links(&mut self) {
        if self.level != Level::Strip {
            return;
        }
        for (inode, names) in &self.known.names {
            let name_of = |path: &ImagePath| self.known.rootfs.node(path).and_then(|node| node.name);
            let upper = |path: &ImagePath| name_of(path).is_some_and(|name| name.layer() > inode.layer());
            if names.iter().any(|path| self.fate.stays(path) && upper(path)) {
                let own: Vec<&ImagePath> =
                    names.iter().filter(|path| name_of(path) == Some(*inode)).collect();
                for path in own {
                    self.fate.gone.swap_remove(path);
                }
            }
        }
    }

    fn links(&mut self) {
        let mut cut = Vec::new();
        for (path, node) in self.known.rootfs.nodes() {
            let inode = self.known.rootfs.inode(node);
            if !inode.is_some_and(|entry| matches!(entry.kind, Kind::Symlink(_))) || !self.fate.stays(path) {
                continue;
            }
            // What led nowhere in the source leads nowhere still.
            let Some(resolved) = self.known.rootfs.resolve(path) else { continue };
            let lost = resolved
                .links
                .iter()
                .filter(|link| *link != path)
                .chain([&resolved.path])
                .find(|target| self.fate.gone.contains_key(*target));
            if lost.is_some() {
                cut.push((path.clone(), Reason::LinkToStripped { target: resolved.path }));
            }
        }
        self.fate.gone.extend(cut);
    }

    fn count_packages(&mut self) {
        let Some(packages) = self.known.packages else { return };
        self.fate.packages = packages
            .installed()
            .filter(|(_, package)| {
                package.files.iter().any(|path| self.fate.stays(path) && self.known.has_file(package, path))
            })
            .map(|(id, _)| id)
            .collect();
    }

    /// Files of the database that belong to one package go with it.
    fn database(&mut self) {
        let Some(packages) = self.known.packages else { return };
        let info = ImagePath::literal("var/lib/dpkg");
        let gone: Vec<ImagePath> = self
            .known
            .rootfs
            .below(&info)
            .map(|(path, _)| path)
            .filter(|path| {
                super::database::belongs_to(packages, path)
                    .is_some_and(|ids| !ids.iter().any(|id| self.fate.packages.contains(id)))
            })
            .cloned()
            .collect();
        for path in gone {
            self.fate.gone.entry(path).or_insert(Reason::UnneededPackage);
        }
    }

    fn directories(&mut self, mount_points: &BTreeSet<ImagePath>) {
        if self.level == Level::Strip {
            return;
        }
        // Every directory above something that stays.
        let mut needed = Above::default();
        // Every directory above something that is no directory in the source.
        let mut filled = Above::default();
        let mut directories = Vec::new();
        for (path, node) in self.known.rootfs.nodes() {
            if self.known.rootfs.is_directory_node(node) {
                directories.push(path);
            } else {
                filled.mark(path);
                if self.fate.stays(path) {
                    needed.mark(path);
                }
            }
        }
        for mount_point in mount_points {
            needed.mark(mount_point);
        }
        directories.retain(|path| !mount_points.contains(*path));
        let mut kept_empty = Vec::new();
        for path in &directories {
            if needed.contains(path) {
                continue;
            }
            let owners = self.known.owners(path);
            // A package of which only some data stays is not there for its directories.
            let by_package = !self.is_aside(path)
                && owners
                    .iter()
                    .any(|id| self.fate.packages.contains(id) && self.kept.packages.contains_key(id));
            let expected = self.known.rule(Catalog::builtin().directories(), path).is_some();
            let is_state = application::is_state(self.known, path);
            // An empty directory is there for a reason; one that became empty is not.
            let empty_before = !filled.contains(path) && owners.is_empty() && !is_state;
            if by_package || expected || empty_before || path.is_root() {
                kept_empty.push(*path);
            }
        }
        for path in &kept_empty {
            needed.mark(path);
        }
        needed.all.extend(kept_empty.into_iter().cloned());
        for path in directories.into_iter().filter(|path| !needed.contains(path)) {
            self.fate.gone.entry(path.clone()).or_insert(Reason::EmptyDirectory);
        }
    }
}

/// Directories above paths.
#[derive(Default)]
struct Above {
    all: PathSet,
    /// The one that was marked last: in order, many names of a directory follow each other.
    last: Option<ImagePath>,
}

impl Above {
    /// Adds every directory above `path`.
    fn mark(&mut self, path: &ImagePath) {
        if self.last.as_ref().is_some_and(|last| path.is_in(last)) {
            return;
        }
        self.last = path.parent();
        for parent in path.ancestors() {
            if !self.all.insert(parent) {
                break;
            }
        }
    }

    fn contains(&self, path: &ImagePath) -> bool {
        self.all.contains(path)
    }
}
