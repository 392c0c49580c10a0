//! What stays: everything that the start leads to, closed over needs.
//!
//! Grows a set from roots; what goes, and under which name for it, is `plan::fate`'s.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::Level;
use super::entrypoint::Start;
use super::known::Known;
use crate::catalog::{Catalog, Class};
use crate::elf::closure::Need;
use crate::elf::facts::ObjectKind;
use crate::elf::search::{LoaderEnv, Search};
use crate::packages::PackageId;
use crate::path::ImagePath;
use crate::path::glob::PathGlobs;
use crate::plan::application;
use crate::recipe::Recipe;
use crate::rootfs::{Content, Kind};

/// Why a file stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// The start passes through it.
    Chain,
    /// A script of the chain names it.
    Mentioned(ImagePath),
    /// This file needs it: a library, a loader, an interpreter, a link's target.
    Needed(ImagePath),
    /// `--keep`.
    Requested(String),
    /// A recipe's rule.
    Recipe(String),
    /// A rule for what only `dlopen` finds, or a directory of plugins.
    Loaded(String),
    /// No package owns it: the application.
    Application,
    /// Part of a package that stays.
    Package(PackageId),
    /// Data that every image keeps.
    Always(String),
    /// Level `strip` keeps what the catalog does not name.
    Level,
}

impl Why {
    /// Whether this alone keeps a program that the catalog names.
    pub fn is_strong(&self) -> bool {
        matches!(
            self,
            Self::Chain
                | Self::Mentioned(_)
                | Self::Needed(_)
                | Self::Requested(_)
                | Self::Recipe(_)
                | Self::Loaded(_)
        )
    }
}

/// A need that the source itself does not meet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Missing {
    /// Who needs it.
    pub file: ImagePath,
    /// The library, as named.
    pub name: String,
}

/// What stays, before scripts and links are cut.
#[derive(Debug, Default)]
pub struct Kept {
    /// Files, links and what else is no directory, with the strongest reason.
    pub files: BTreeMap<ImagePath, Why>,
    /// Packages that something kept leads to, and what.
    pub packages: BTreeMap<PackageId, String>,
    /// Catalogued programs that nothing strong keeps.
    pub catalogued: BTreeMap<ImagePath, Class>,
    /// Files that `--strip` takes although something needs them: the need.
    pub broken: BTreeMap<ImagePath, Why>,
    /// Libraries that were never there.
    pub missing: BTreeSet<Missing>,
    /// Names of `--keep` and `--strip` globs, and recipe rules, that matched nothing.
    pub unused: Vec<(Rule, String)>,
}

/// Where an unused glob stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// `--keep`
    Keep,
    /// `--strip`
    Strip,
    /// The user's recipe of this name.
    Recipe(String),
}

/// Computes what stays.
pub fn close_over(known: &Known<'_>, start: &Start, recipes: &[&Recipe], level: Level) -> Kept {
    let strip = known.compile(&known.options.strip);
    let chain: BTreeSet<ImagePath> = start.entrypoint.chain.iter().map(|step| step.file.clone()).collect();
    let lines: Vec<String> = known
        .config
        .env
        .iter()
        .chain(&start.entrypoint.env)
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let env = LoaderEnv::new(lines.iter().map(String::as_str), known.working_dir.clone());
    let mut closure = Closure {
        known,
        search: Search::new(known.rootfs, &env),
        program: start.program.clone(),
        chain,
        strip,
        level,
        kept: Kept::default(),
        queue: VecDeque::new(),
        fired: BTreeSet::new(),
        module_directories: BTreeSet::new(),
    };
    closure.roots(start, recipes);
    closure.run();
    closure.kept
}

struct Closure<'k> {
    known: &'k Known<'k>,
    search: Search<'k>,
    /// The main program: what it brings, plugins find.
    program: Option<ImagePath>,
    /// Files of the entrypoint's chain, links followed.
    chain: BTreeSet<ImagePath>,
    strip: PathGlobs,
    level: Level,
    kept: Kept,
    queue: VecDeque<ImagePath>,
    /// Rules for `dlopen` that have been called for.
    fired: BTreeSet<usize>,
    /// Directories of modules that have been looked through.
    module_directories: BTreeSet<ImagePath>,
}

impl Closure<'_> {
    fn roots(&mut self, start: &Start, recipes: &[&Recipe]) {
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
                let used = self.add_matching(&below, |_| Why::Loaded(rule.why.clone()));
                self.note_use(recipe, &rule.glob, used);
            }
        }
        for glob in &self.known.options.strip {
            let globs = self.known.compile(std::slice::from_ref(glob));
            if !self.known.rootfs.nodes().any(|(path, _)| globs.is_match(&path.absolute())) {
                self.kept.unused.push((Rule::Strip, glob.clone()));
            }
        }
        let always = Catalog::builtin().always_keep();
        let paths: Vec<ImagePath> = self.non_directories().cloned().collect();
        for path in &paths {
            if let Some(rule) = self.known.rule(always, path) {
                self.add(path, Why::Always(rule.why.clone()));
            }
            if self.level == Level::Strip {
                self.add(path, Why::Level);
            } else if application::is_application(self.known, path) {
                self.add(path, Why::Application);
            }
        }
    }

    /// kiln's own recipes cover several layouts: a rule that fits none of them here is no news.
    fn note_use(&mut self, recipe: &Recipe, glob: &str, used: bool) {
        if !used && self.known.options.recipes.iter().any(|own| own.recipe == *recipe) {
            self.kept.unused.push((Rule::Recipe(recipe.name.clone()), glob.to_owned()));
        }
    }

    fn non_directories(&self) -> impl Iterator<Item = &ImagePath> {
        let rootfs = self.known.rootfs;
        rootfs.nodes().map(|(path, _)| path).filter(|path| !rootfs.is_directory(path))
    }

    fn add_matching(&mut self, glob: &str, why: impl Fn(&ImagePath) -> Why) -> bool {
        let globs = self.known.compile(&[glob.to_owned()]);
        let found: Vec<ImagePath> = self
            .known
            .rootfs
            .nodes()
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

    /// A plugin directory may hold tools (pip is a Python package, npm a Node one) and what only they need.
    fn may_be_loaded(&self, path: &ImagePath) -> bool {
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

    /// Adds the file at the end of `path` and every link on the way.
    fn add_following(&mut self, path: &ImagePath, why: &Why) {
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

    fn add(&mut self, path: &ImagePath, why: Why) {
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

    fn run(&mut self) {
        while let Some(path) = self.queue.pop_front() {
            let Some(why) = self.kept.files.get(&path).cloned() else { continue };
            self.lead_to_package(&path, &why);
            let Some(entry) = self.known.rootfs.entry(&path) else { continue };
            match &entry.kind {
                Kind::File(file) => match &file.content {
                    Content::Elf(_) => {
                        self.elf_needs(&path);
                        self.modules_beside(&path);
                    }
                    Content::Script(line) if entry.mode & 0o111 != 0 => self.script_needs(&path, line, &why),
                    _ => {}
                },
                Kind::Symlink(_) if matches!(why, Why::Application) => self.link_needs(&path),
                _ => {}
            }
            self.loaded_with(&path);
        }
    }

    /// A file leads to its package, and the package to what it depends on.
    fn lead_to_package(&mut self, path: &ImagePath, why: &Why) {
        if matches!(why, Why::Level) || self.known.leads_to_directory(path) {
            return;
        }
        let Some(packages) = self.known.packages else { return };
        let mut todo: Vec<(PackageId, String)> = Vec::new();
        for &id in self.known.owners(path) {
            let is_tool = Catalog::builtin().package(&packages.get(id).name).is_some();
            // Data that every image keeps does not bring the tool it came with.
            if matches!(why, Why::Always(_)) && is_tool {
                continue;
            }
            todo.push((id, path.to_string()));
        }
        while let Some((id, why)) = todo.pop() {
            if self.kept.packages.contains_key(&id) {
                continue;
            }
            self.kept.packages.insert(id, why);
            let package = packages.get(id);
            for file in &package.files {
                self.add(file, Why::Package(id));
            }
            for dependency in packages.dependencies(id) {
                let name = &packages.get(dependency).name;
                let needless = Catalog::builtin().package(name).is_some() && !self.runs_chain(dependency);
                if !needless {
                    todo.push((dependency, format!("package {}", package.name)));
                }
            }
        }
    }

    /// Whether a package holds a program of the chain: then it is what the image is for, whatever its class.
    fn runs_chain(&self, id: PackageId) -> bool {
        self.chain.iter().any(|file| self.known.owners(file).contains(&id))
    }

    fn elf_needs(&mut self, path: &ImagePath) {
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

    fn meet(&mut self, path: &ImagePath, needs: &[Need]) {
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
    fn modules_beside(&mut self, path: &ImagePath) {
        let Some(directory) = path.parent() else { return };
        let is_module = |path: &ImagePath| {
            matches!(
                self.known.rootfs.entry(path).and_then(|entry| entry.file()).map(|file| &file.content),
                Some(Content::Elf(facts)) if facts.interpreter.is_none() && facts.kind == ObjectKind::SharedObject
            )
        };
        if self.level == Level::Strip
            || is_library_directory(&directory)
            || self.module_directories.contains(&directory)
            || self.known.owners(path).is_empty()
            || !is_module(path)
        {
            return;
        }
        let beside: Vec<ImagePath> = self
            .known
            .rootfs
            .children(&directory)
            .map(|(path, _)| path)
            .filter(|path| is_module(path) && self.may_be_loaded(path))
            .cloned()
            .collect();
        let why = Why::Loaded(format!(
            "`{directory}` is a directory of modules, and the program that loads them stays"
        ));
        for module in beside {
            self.add_following(&module, &why);
        }
        self.module_directories.insert(directory);
    }

    /// A script needs its interpreter, unless the catalog names it: only the chain can hold a shell.
    fn script_needs(&mut self, path: &ImagePath, line: &[u8], why: &Why) {
        // What a script of the chain starts is the chain's too.
        let of_chain = matches!(why, Why::Mentioned(_));
        for interpreter in application::interpreters(self.known, line) {
            if of_chain || self.known.class(&interpreter).is_none() {
                self.add_following(&interpreter, &Why::Needed(path.clone()));
            }
        }
    }

    /// A link of the application leads to its target, be it in a package.
    fn link_needs(&mut self, path: &ImagePath) {
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
    fn loaded_with(&mut self, path: &ImagePath) {
        let absolute = path.absolute();
        let sonames: &[Box<[u8]>] =
            match self.known.rootfs.entry(path).and_then(|entry| entry.file()).map(|file| &file.content) {
                Some(Content::Elf(facts)) => &facts.needed,
                _ => &[],
            };
        for (number, rule) in Catalog::builtin().dlopen_rules().iter().enumerate() {
            let called =
                rule.called_by_path(&absolute) || sonames.iter().any(|name| rule.called_by_soname(name));
            if called && self.fired.insert(number) {
                for glob in &rule.keep {
                    self.add_matching(glob, |_| Why::Loaded(rule.why.clone()));
                }
            }
        }
    }
}

/// Whether the loader searches `directory` of itself: `/lib`, `/usr/lib64`, `/usr/lib/x86_64-linux-gnu`.
fn is_library_directory(directory: &ImagePath) -> bool {
    let mut components = directory.components().peekable();
    components.next_if_eq(&&b"usr"[..]);
    components.next_if_eq(&&b"local"[..]);
    let is_library = components.next().is_some_and(|name| name.starts_with(b"lib"));
    let is_triplet = |name: &[u8]| name.windows(7).any(|part| part == b"-linux-");
    is_library && components.next().is_none_or(is_triplet) && components.next().is_none()
}
