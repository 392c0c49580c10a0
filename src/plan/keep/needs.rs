//! What a kept file leads to: libraries, modules, interpreters, link targets, what only `dlopen` finds.
//!
//! Does not know why the file stays, but where that decides what it may ask for.

use super::{Closure, Missing, Why};
use crate::catalog::Catalog;
use crate::elf::closure::Need;
use crate::elf::facts::ObjectKind;
use crate::path::ImagePath;
use crate::plan::{Level, application};
use crate::rootfs::Content;

impl Closure<'_> {
    pub(super) fn elf_needs(&mut self, path: &ImagePath) {
        let is_program = self.search.facts(path).is_some_and(|facts| facts.interpreter.is_some());
        if is_program {
            // As one process: libraries inherit the program's search path.
            for object in self.search.process(path).objects {
                self.meet(&object.path, &object.needs);
            }
            return;
        }
        let needs = self.search.needs_of(path);
        match &self.program {
            Some(program) if needs.iter().any(|need| need.found.is_empty()) => {
                // A plugin may need what the program that loads it has found already.
                let process = self.search.plugin(program, path);
                for object in process.objects {
                    self.meet(&object.path, &object.needs);
                }
            }
            _ => self.meet(path, &needs),
        }
    }

    pub(super) fn meet(&mut self, path: &ImagePath, needs: &[Need]) {
        for need in needs {
            for located in &need.found {
                for found in located.links.iter().chain([&located.path]) {
                    self.add_following(found, &Why::Needed(path.clone()));
                }
            }
            if need.found.is_empty() {
                let name = crate::path::Escaped::new(&need.name).to_string();
                self.kept.missing.insert(Missing { file: path.clone(), name });
            }
        }
    }

    /// A shared object of a package that stands where the loader does not search is a module, and what other
    /// packages put beside it is for the same program: PHP's extensions, `uWSGI`'s and `PostgreSQL`'s plugins.
    pub(super) fn modules_beside(&mut self, path: &ImagePath) {
        let Some(directory) = path.parent() else { return };
        if self.level == Level::Strip
            || self.module_directories.contains(&directory)
            || self.known.owners(path).is_empty()
            || !self.is_module(path)
        {
            return;
        }
        // At level `minimal` each is judged on its own, when all else is known.
        let beside = if self.level == Level::Minimal { Vec::new() } else { self.modules_in(&directory) };
        let why = Why::Loaded(format!(
            "`{directory}` is a directory of modules, and the program that loads them stays"
        ));
        for module in beside {
            self.add_following(&module, &why);
        }
        self.module_directories.insert(directory);
    }

    /// Modules in `directory` that what stays may load.
    pub(super) fn modules_in(&self, directory: &ImagePath) -> Vec<ImagePath> {
        let children = self.known.rootfs.children(directory).map(|(path, _)| path);
        children.filter(|path| self.is_module(path) && self.may_be_loaded(path)).cloned().collect()
    }

    /// Whether a shared object stands at `path` where the loader does not search of itself.
    pub(super) fn is_module(&self, path: &ImagePath) -> bool {
        let file = self.known.rootfs.entry(path).and_then(|entry| entry.file());
        let is_shared = matches!(
            file.map(|file| &file.content),
            Some(Content::Elf(facts)) if facts.interpreter.is_none() && facts.kind == ObjectKind::SharedObject
        );
        is_shared && path.parent().is_some_and(|directory| !is_library_directory(&directory))
    }

    /// A script needs its interpreter, unless the catalog names it: only the chain can hold a shell.
    pub(super) fn script_needs(&mut self, path: &ImagePath, line: &[u8], why: &Why) {
        // What a script of the chain starts is the chain's too.
        let of_chain = matches!(why, Why::Mentioned(_));
        for interpreter in application::interpreters(self.known, line) {
            if of_chain || self.known.class(&interpreter).is_none() {
                self.add_following(&interpreter, &Why::Needed(path.clone()));
            }
        }
    }

    /// A link of the application leads to its target, be it in a package.
    pub(super) fn link_needs(&mut self, path: &ImagePath) {
        let Some(resolved) = self.known.rootfs.resolve(path) else { return };
        if self.known.class(&resolved.path).is_some() && !self.chain.contains(&resolved.path) {
            return;
        }
        let why = Why::Needed(path.clone());
        if self.known.rootfs.is_directory(&resolved.path) {
            let below: Vec<ImagePath> =
                self.known.rootfs.below(&resolved.path).map(|(path, _)| path.clone()).collect();
            for path in below {
                if self.known.class(&path).is_none() {
                    self.add(&path, why.clone());
                }
            }
        }
        self.add_following(path, &why);
    }

    /// Rules for what only `dlopen` finds.
    pub(super) fn loaded_with(&mut self, path: &ImagePath) {
        let absolute = path.absolute();
        let sonames: &[Box<[u8]>] =
            match self.known.rootfs.entry(path).and_then(|entry| entry.file()).map(|file| &file.content) {
                Some(Content::Elf(facts)) => &facts.needed,
                _ => &[],
            };
        let catalog = Catalog::builtin();
        let libraries = if self.level == Level::Minimal { catalog.libraries() } else { &[] };
        for (number, rule) in catalog.dlopen_rules().iter().chain(libraries).enumerate() {
            let called =
                rule.called_by_path(&absolute) || sonames.iter().any(|name| rule.called_by_soname(name));
            if called && self.fired.insert(number) {
                let least = rule.least.as_ref().filter(|_| self.level == Level::Minimal);
                for glob in least.unwrap_or(&rule.keep) {
                    self.add_matching(glob, |_| Why::Loaded(rule.why.clone()));
                }
            }
        }
    }
}

/// Whether the loader searches `directory` of itself: `/lib`, `/usr/lib64`, `/usr/lib/x86_64-linux-gnu`.
pub(super) fn is_library_directory(directory: &ImagePath) -> bool {
    let mut components = directory.components().peekable();
    components.next_if_eq(&&b"usr"[..]);
    components.next_if_eq(&&b"local"[..]);
    let is_library = components.next().is_some_and(|name| name.starts_with(b"lib"));
    let is_triplet = |name: &[u8]| name.windows(7).any(|part| part == b"-linux-");
    is_library && components.next().is_none_or(is_triplet) && components.next().is_none()
}
