//! Where the closure begins: the start, `--keep`, recipes, data that every image keeps, the application.
//!
//! Follows no need; whether a root is admitted is `admit`'s.

use super::needs::is_library_directory;
use super::{Closure, Rule, Why};
use crate::catalog::{Catalog, Class};
use crate::path::{ImagePath, glob};
use crate::plan::entrypoint::Start;
use crate::plan::{Level, application};
use crate::recipe::Recipe;
use crate::rootfs::Content;

impl Closure<'_> {
    pub(super) fn roots(&mut self, start: &Start, recipes: &[&Recipe]) {
        for step in &start.entrypoint.chain {
            self.add_following(&step.path, &Why::Chain);
            self.add_following(&step.file, &Why::Chain);
        }
        for step in &start.entrypoint.chain {
            // npm as the entrypoint needs the whole of npm.
            let tree = step.file.ancestors().take_while(|dir| application::is_spirit(self.known, dir)).last();
            let below: Vec<ImagePath> = tree
                .iter()
                .flat_map(|tree| self.known.rootfs.below(tree))
                .map(|(path, _)| path.clone())
                .collect();
            for path in below {
                self.add(&path, Why::Needed(step.file.clone()));
            }
        }
        for mention in &start.mentioned {
            self.add_following(&mention.path, &Why::Mentioned(mention.by.clone()));
        }
        self.named(start);
        self.asked_for();
        // `--keep`, then recipes: each glob is asked for its own use, so each is matched alone.
        for glob in &self.known.options.keep {
            if !self.add_matching(glob, |_| Why::Requested(glob.clone())) {
                self.kept.unused.push((Rule::Keep, glob.clone()));
            }
        }
        for recipe in recipes {
            for rule in &recipe.keep {
                let used = self.add_matching(&rule.glob, |_| Why::Recipe(rule.why.clone()));
                self.note_use(recipe, &rule.glob, used);
            }
            for rule in &recipe.plugin_directories {
                let below = format!("{}/**", rule.glob.trim_end_matches('/'));
                let why = Why::Loaded(rule.why.clone());
                let used = match self.level {
                    Level::Minimal => self.plugins(&below, &why),
                    _ => self.add_matching(&below, |_| why.clone()),
                };
                self.note_use(recipe, &rule.glob, used);
            }
        }
        for glob in &self.known.options.strip {
            let globs = self.known.compile(std::slice::from_ref(glob));
            let mut named = self.known.rootfs.within(&glob::directory(glob));
            if !named.any(|(path, _)| globs.is_match(&path.absolute())) {
                self.kept.unused.push((Rule::Strip, glob.clone()));
            }
        }
        let always = Catalog::builtin().always_keep();
        let paths: Vec<ImagePath> = self.non_directories().cloned().collect();
        for path in &paths {
            if let Some(rule) = self.known.rule(always, path).filter(|_| !self.is_aside(path)) {
                self.add(path, Why::Always(rule.why.clone()));
            }
            if self.level == Level::Strip {
                self.add(path, Why::Level);
            } else if application::is_application(self.known, path) {
                self.add(path, Why::Application);
            }
        }
        self.traced(start);
    }

    /// What was executed and read when the app was watched.
    fn traced(&mut self, start: &Start) {
        let Some(traced) = self.known.traced.map(|traced| traced.of(start.whose)) else { return };
        for used in traced.executed() {
            let file = self.known.rootfs.resolve(&used.path).map(|resolved| resolved.path);
            let when = file.map(|file| traced.when_executed(&file)).filter(|when| !when.is_empty());
            let when = when.map(|when| format!(": {when}")).unwrap_or_default();
            let why = format!("`{}` executed it while it was watched{when}", used.by);
            self.add_following(&used.path, &Why::Executed(why));
        }
        for baked in &start.baked {
            self.add(&baked.path, Why::Baked);
            let parent = baked.path.parent().unwrap_or_else(ImagePath::root);
            let end = baked.target().and_then(|target| self.known.rootfs.resolve_from(&parent, target));
            if let Some(end) = end {
                self.add_following(&end.path, &Why::Baked);
            }
        }
        for used in traced.read() {
            self.add_following(&used.path, &Why::Read(used.by));
        }
        if self.level == Level::Minimal {
            // What is opened to read and write is there for both.
            for write in traced.written() {
                self.add_following(&write.place.path, &Why::Read(write.place.by));
            }
            self.data_of_packages(&traced);
        }
    }

    /// An interpreter loads libraries by names that its scripts compute (ctypes, FFI, JNA, P/Invoke). A library that is
    /// installed although no package depends on it was asked for, and nothing else can be its reason.
    fn asked_for(&mut self) {
        let known = self.known;
        let Some((program, packages)) = self.program.clone().zip(known.packages) else { return };
        if self.level == Level::Strip || known.class(&program) != Some(Class::Interpreter) {
            return;
        }
        let why = Why::Loaded(format!(
            "it was installed on its own, no package depends on it, and `{program}` can load it by name"
        ));
        for &id in &known.leaves {
            let files = &packages.get(id).files;
            let is_program = |path: &ImagePath| {
                known.rootfs.entry(path).is_some_and(|entry| entry.mode & 0o111 != 0)
                    && path.parent().is_some_and(|parent| parent.name().ends_with(b"bin"))
            };
            if known.is_tool(id) || files.iter().any(is_program) {
                continue;
            }
            let libraries: Vec<&ImagePath> = files.iter().filter(|file| self.is_library(file)).collect();
            for library in libraries {
                self.add_following(library, &why);
            }
        }
    }

    /// Whether a shared object stands at `path` where the loader looks for it.
    fn is_library(&self, path: &ImagePath) -> bool {
        let Some(resolved) = self.known.rootfs.resolve(path) else { return false };
        let file = self.known.rootfs.entry(&resolved.path).and_then(|entry| entry.file());
        matches!(file.map(|file| &file.content), Some(Content::Elf(_)))
            && resolved.path.parent().is_some_and(|parent| is_library_directory(&parent))
    }

    /// kiln's own recipes cover several layouts: a rule that fits none of them here is no news.
    fn note_use(&mut self, recipe: &Recipe, glob: &str, used: bool) {
        if !used && self.known.options.recipes.iter().any(|own| own.recipe == *recipe) {
            self.kept.unused.push((Rule::Recipe(recipe.name.clone()), glob.to_owned()));
        }
    }

    fn non_directories(&self) -> impl Iterator<Item = &ImagePath> {
        let rootfs = self.known.rootfs;
        rootfs.nodes().filter(|(_, node)| !rootfs.is_directory_node(node)).map(|(path, _)| path)
    }

    pub(super) fn add_matching(&mut self, glob: &str, why: impl Fn(&ImagePath) -> Why) -> bool {
        let globs = self.known.compile(&[glob.to_owned()]);
        let found: Vec<ImagePath> = self
            .known
            .rootfs
            .within(&glob::directory(glob))
            .map(|(path, _)| path)
            .filter(|path| globs.is_match(&path.absolute()))
            .cloned()
            .collect();
        for path in &found {
            if self.known.rootfs.is_directory(path) {
                continue;
            }
            let why = why(path);
            if matches!(why, Why::Loaded(_)) && !self.may_be_loaded(path) {
                continue;
            }
            self.add_following(path, &why);
        }
        !found.is_empty()
    }
}
