//! Level `minimal`: what stays of packages besides the files that runs of the app used.
//!
//! A run shows what one way through the app needs. Programs and libraries are taken at that; data is not, for only the
//! documents that an app serves tell which of it is asked for. Knows nothing of what the application itself brings.

use std::collections::{BTreeMap, BTreeSet};

use super::{Closure, Why};
use crate::catalog::Catalog;
use crate::packages::PackageId;
use crate::path::ImagePath;
use crate::plan::traced::Traced;
use crate::plan::{Level, application};
use crate::rootfs::Content;

impl Closure<'_> {
    /// Whether `path` is there for people or for software that does not run in a container, and that counts.
    pub(super) fn is_aside(&self, path: &ImagePath) -> bool {
        self.level == Level::Minimal && self.known.rule(Catalog::builtin().aside(), path).is_some()
    }

    /// Keeps the data of packages that the app is made of: those built with a program of the start, and those of which
    /// it read more than its libraries do by themselves.
    pub(super) fn data_of_packages(&mut self, traced: &Traced<'_>) {
        let Some(packages) = self.known.packages else { return };
        for (id, why) in self.packages_of_the_app(traced) {
            self.kept.packages.insert(id, why);
            for path in
                packages.get(id).files.iter().filter(|path| self.is_data(path)).cloned().collect::<Vec<_>>()
            {
                let why = Why::Package(id);
                // A link leads into another package: Tomcat's into those of its libraries.
                match self.known.rootfs.resolve(&path) {
                    Some(found) if self.is_data(&found.path) => self.add_following(&path, &why),
                    _ => self.add(&path, why),
                }
            }
        }
    }

    /// Each with what leads to it.
    fn packages_of_the_app(&self, traced: &Traced<'_>) -> BTreeMap<PackageId, String> {
        let mut out = BTreeMap::new();
        let Some(packages) = self.known.packages else { return out };
        for (id, _) in packages.installed() {
            if let Some(program) = self.chain.iter().find(|program| self.known.is_built_with(program, id)) {
                out.insert(id, program.to_string());
            }
        }
        let read: BTreeSet<ImagePath> = traced.read().map(|used| used.path).collect();
        for path in read.iter().filter(|path| self.is_data(path) && !self.is_read_by_libraries(path)) {
            for id in self.known.owners(path).iter().filter(|id| !self.known.is_tool(**id)) {
                out.entry(*id).or_insert_with(|| path.to_string());
            }
        }
        out
    }

    /// Whether `path` is a file or link of a package that is neither program nor library, nor there for somebody else.
    fn is_data(&self, path: &ImagePath) -> bool {
        let Some(entry) = self.known.rootfs.entry(path).filter(|entry| !entry.is_directory()) else {
            return false;
        };
        let is_code = match entry.file().map(|file| &file.content) {
            Some(Content::Elf(_)) => true,
            Some(Content::Script(_)) => entry.mode & 0o111 != 0 && !application::is_module_script(path),
            _ => false,
        };
        !is_code && !self.is_aside(path) && !application::is_state(self.known, path)
    }

    /// Whether libraries read `path` on their own account, whatever the app is: time zones, name services.
    fn is_read_by_libraries(&self, path: &ImagePath) -> bool {
        let (catalog, absolute) = (Catalog::builtin(), path.absolute());
        self.known.rule(catalog.always_keep(), path).is_some()
            || catalog.dlopen_rules().iter().any(|rule| rule.keeps(&absolute))
    }

    /// Keeps modules that nothing loaded and that bring no library along: those beside one that stays, and those of
    /// the program's own packages. Whether there were any.
    pub(super) fn modules_that_fit(&mut self) -> bool {
        let beside = self.module_directories.iter().flat_map(|directory| self.modules_in(directory));
        let packages = self.known.packages.iter().flat_map(|packages| packages.installed());
        let own =
            packages.filter(|(id, _)| self.chain.iter().any(|file| self.known.is_built_with(file, *id)));
        let own = own.flat_map(|(_, package)| &package.files).filter(|path| self.is_module(path));
        let left: BTreeSet<ImagePath> = beside
            .chain(own.cloned())
            .filter(|path| !self.kept.files.contains_key(path) && !is_spared(path))
            .collect();
        let (fit, unfit) = left.into_iter().partition(|path| self.needs_nothing_more(path));
        let fit: BTreeSet<ImagePath> = fit;
        self.kept.unfit = unfit;
        let why = Why::Loaded("what loads it by name stays, and so does all that it needs".into());
        for module in &fit {
            self.add_following(module, &why);
        }
        fit.iter().any(|path| self.kept.files.contains_key(path))
    }

    /// Keeps what `glob` matches, where something loads it by name for the reason `why`; modules of packages wait until
    /// it is known what else stays. Whether there was anything.
    pub(super) fn plugins(&mut self, glob: &str, why: &Why) -> bool {
        let globs = self.known.compile(&[glob.to_owned()]);
        let nodes = self.known.rootfs.nodes().map(|(path, _)| path);
        let found: Vec<ImagePath> = nodes.filter(|path| globs.is_match(&path.absolute())).cloned().collect();
        for path in found.iter().filter(|path| !self.known.rootfs.is_directory(path)) {
            let of_package = !self.known.owners(path).is_empty();
            match path.parent().filter(|_| of_package && self.is_module(path)) {
                Some(directory) => _ = self.module_directories.insert(directory),
                None if self.may_be_loaded(path) => self.add_following(path, why),
                None => {}
            }
        }
        !found.is_empty()
    }

    /// Whether all that the module at `path` needs stays already.
    fn needs_nothing_more(&self, path: &ImagePath) -> bool {
        let process = match &self.program {
            Some(program) => self.search.plugin(program, path),
            None => self.search.process(path),
        };
        let stays = |file: &ImagePath| file == path || self.kept.files.contains_key(file);
        process.missing().next().is_none() && process.files().all(stays)
    }

    /// Keeps what the licences of packages say, of which something stays.
    pub(super) fn licences(&mut self) {
        let Some(packages) = self.known.packages else { return };
        let mut told = BTreeSet::new();
        loop {
            // Packages list `/lib` as a directory, and it is a link that stays.
            let kept = self.kept.files.keys().filter(|path| !self.known.leads_to_directory(path));
            let owners = kept.flat_map(|path| self.known.owners(path).iter().copied());
            let more: BTreeSet<PackageId> = owners.filter(|id| !told.contains(id)).collect();
            if more.is_empty() {
                return;
            }
            for id in &more {
                let name = packages.get(*id).name.clone();
                let name = name.split(':').next().unwrap_or_default();
                for place in ["usr/share/doc", "usr/share/licenses"] {
                    self.licences_in(*id, &format!("{place}/{name}"));
                }
            }
            told.extend(more);
        }
    }

    fn licences_in(&mut self, id: PackageId, directory: &str) {
        let rootfs = self.known.rootfs;
        let Some(found) = rootfs.resolve_from(&ImagePath::root(), directory.as_bytes()) else { return };
        let licences: Vec<ImagePath> = rootfs
            .children(&found.path)
            .map(|(path, _)| path)
            .filter(|path| directory.starts_with("usr/share/licenses") || path.name() == b"copyright")
            .cloned()
            .collect();
        for path in found.links.iter().chain(&licences) {
            self.add_following(path, &Why::Package(id));
        }
    }
}

/// Whether a rule leaves `path` out at this level.
fn is_spared(path: &ImagePath) -> bool {
    let absolute = path.absolute();
    Catalog::builtin().dlopen_rules().iter().any(|rule| rule.spares(&absolute))
}
