//! What joins the closure, and what the catalog, `--strip` or a tool's package keep out of it.
//!
//! Judges one path at a time; what the path then leads to is for others.

use super::{Closure, Why};
use crate::catalog::{Catalog, Class};
use crate::packages::PackageId;
use crate::path::ImagePath;
use crate::plan::likeness::{self, Likeness};
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
        let may_run_it = matches!(class, Class::Interpreter | Class::Application);
        // What may run the application is not for `strip` to judge; other names and copies of the program itself are
        // the program: `python3` beside `python3.11`, a virtual environment made with copies.
        if may_run_it && (self.level == Level::Strip || self.is_of_chain(path)) {
            return None;
        }
        let own = self.known.owners(path).is_empty() && !application::is_system_directory(path);
        if !own {
            return Some(class);
        }
        match self.known.likeness(path) {
            // A copied tool goes as a link to it would.
            Some((class, Likeness::Link(_) | Likeness::Copy(_))) => Some(class),
            // An interpreter that says so is what the application runs in, though kiln does not see where.
            Some((class, Likeness::Tool(_))) => {
                let says_so = self.known.named(path) == Some(class);
                (!(may_run_it && says_so)).then_some(class)
            }
            // A name says little about a file that no package brought and that stands where no program of the
            // system does: it is the application's own.
            None => {
                let is_told = matches!(class, Class::Shell | Class::PackageManager);
                (is_told && !Catalog::builtin().is_word(path.name())).then_some(class)
            }
        }
    }

    /// Whether the file at the end of `path` is one of the chain, or has the content of one.
    fn is_of_chain(&self, path: &ImagePath) -> bool {
        let Some(target) = self.known.rootfs.resolve(path).map(|resolved| resolved.path) else {
            return false;
        };
        let content = |path: &ImagePath| {
            self.known.rootfs.entry(path).and_then(|entry| entry.file()).and_then(likeness::comparable)
        };
        let own = content(&target);
        self.chain.contains(&target) || (own.is_some() && self.chain.iter().any(|file| content(file) == own))
    }

    /// A plugin directory may hold tools (pip is a Python package, npm a Node one) and what only they need.
    pub(super) fn may_be_loaded(&self, path: &ImagePath) -> bool {
        let owners = self.known.owners(path);
        // What only a tool asks for by `Depends:` an application may import without: that is no package.
        let is_importable = is_python_module(path);
        let is_for_tools = |id: &PackageId| {
            let is_tool = !is_importable || self.known.is_tool(*id);
            is_tool && self.known.for_tools.contains(id) && !self.is_of_program(*id)
        };
        let only_tools = !owners.is_empty() && owners.iter().all(is_for_tools);
        self.known.class(path).is_none() && !application::is_spirit(self.known, path) && !only_tools
    }

    /// Whether a package is built from the same source as one that holds a program of the chain: Python's standard
    /// library is Python's, though only `python3-venv` asks for it by `Depends:`.
    fn is_of_program(&self, id: PackageId) -> bool {
        self.chain.iter().any(|file| self.known.is_built_with(file, id))
    }
}

/// Whether `path` stands where `import` of Python finds it.
fn is_python_module(path: &ImagePath) -> bool {
    path.components().any(|name| matches!(name, b"dist-packages" | b"site-packages"))
}
