//! What joins the closure, and what the catalog, `--strip` or a tool's package keep out of it.
//!
//! Judges one path at a time; what the path then leads to is for others.

use super::{Closure, Why};
use crate::catalog::Class;
use crate::packages::PackageId;
use crate::path::ImagePath;
use crate::plan::{Level, application};

impl Closure<'_> {
    /// Adds the file at the end of `path` and every link on the way.
    pub(super) fn add_following(&mut self, path: &ImagePath, why: &Why) {
        let Some(resolved) = self.known.rootfs.resolve(path) else {
            // A dangling link: it stays as it was.
            self.add(path, why.clone());
            return;
        };
        for link in &resolved.links {
            self.add(link, why.clone());
        }
        self.add(&resolved.path, why.clone());
    }

    pub(super) fn add(&mut self, path: &ImagePath, why: Why) {
        if self.known.rootfs.node(path).is_none() || self.known.rootfs.is_directory(path) {
            return;
        }
        match self.kept.files.get(path) {
            Some(before) if before.is_strong() || !why.is_strong() => return,
            _ => {}
        }
        if self.strip.is_match(&path.absolute()) && !matches!(why, Why::Requested(_)) {
            if why.is_strong() {
                self.kept.broken.entry(path.clone()).or_insert(why);
            }
            return;
        }
        if !why.is_strong()
            && let Some(class) = self.catalogued(path)
        {
            self.kept.catalogued.insert(path.clone(), class);
            return;
        }
        self.kept.catalogued.remove(path);
        self.kept.files.insert(path.clone(), why);
        self.queue.push_back(path.clone());
    }

    /// The class for which `path` goes unless something strong keeps it.
    fn catalogued(&self, path: &ImagePath) -> Option<Class> {
        let class = self.known.class(path)?;
        match class {
            // What may run the application is not for `strip` to judge.
            Class::Interpreter | Class::Application if self.level == Level::Strip => return None,
            // Other names of the program itself: `python3` beside `python3.11`.
            Class::Interpreter | Class::Application => {
                let target = self.known.rootfs.resolve(path).map(|resolved| resolved.path)?;
                if self.chain.contains(&target) {
                    return None;
                }
            }
            _ => {}
        }
        // A name says little about a file that no package brought and that stands where no program of the
        // system does: it is the application's own.
        let own = self.known.owners(path).is_empty() && !application::is_system_directory(path);
        if own && !matches!(class, Class::Shell | Class::PackageManager) {
            return None;
        }
        Some(class)
    }

    /// A plugin directory may hold tools (pip is a Python package, npm a Node one) and what only they need.
    pub(super) fn may_be_loaded(&self, path: &ImagePath) -> bool {
        let owners = self.known.owners(path);
        let is_for_tools = |id: &PackageId| self.known.for_tools.contains(id) && !self.is_of_program(*id);
        let only_tools = !owners.is_empty() && owners.iter().all(is_for_tools);
        self.known.class(path).is_none() && !application::is_spirit(self.known, path) && !only_tools
    }

    /// Whether a package is built from the same source as one that holds a program of the chain: Python's standard
    /// library is Python's, though only `python3-venv` asks for it by `Depends:`.
    fn is_of_program(&self, id: PackageId) -> bool {
        let Some(packages) = self.known.packages else { return false };
        let source = |id: PackageId| {
            let package = packages.get(id);
            package.source.as_ref().unwrap_or(&package.name)
        };
        let owners = |file| self.known.owners(file).iter();
        self.chain.iter().flat_map(owners).any(|&other| source(other) == source(id))
    }
}
