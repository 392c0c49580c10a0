//! What stays: everything that the start leads to, closed over needs.
//!
//! Grows a set from roots; what goes, and under which name for it, is `plan::fate`'s.

mod admit;
mod least;
mod named;
mod needs;
mod roots;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::Level;
use super::entrypoint::Start;
use super::known::Known;
use crate::catalog::{Catalog, Class};
use crate::elf::search::{LoaderEnv, Search};
use crate::packages::PackageId;
use crate::path::glob::PathGlobs;
use crate::path::{ImagePath, PathMap};
use crate::recipe::Recipe;
use crate::rootfs::{Content, Kind};

/// Why a file stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// The start passes through it.
    Chain,
    /// A script of the chain names it.
    Mentioned(ImagePath),
    /// A program executed it while it was watched: which, and when.
    Executed(String),
    /// This program read it, or ran code of it, while it was watched.
    Read(String),
    /// A lowered script would have written, linked or set it.
    Baked,
    /// A word of the command line names it, or a variable that stands for such words: the word.
    Named(String),
    /// It stands in a directory that such a word names: the word.
    InNamed(String),
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
                | Self::Executed(_)
                | Self::Named(_)
                | Self::InNamed(_)
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
    pub files: PathMap<Why>,
    /// Packages that something kept leads to, and what.
    pub packages: BTreeMap<PackageId, String>,
    /// Catalogued programs that nothing strong keeps.
    pub catalogued: BTreeMap<ImagePath, Class>,
    /// Files that `--strip` takes although something needs them: the need.
    pub broken: BTreeMap<ImagePath, Why>,
    /// Directories that the command line names and that hold too much of others: the word.
    pub shared: BTreeMap<ImagePath, String>,
    /// Libraries that were never there.
    pub missing: BTreeSet<Missing>,
    /// Modules that were not loaded while the app was watched, and that need a library that goes.
    pub unfit: BTreeSet<ImagePath>,
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
pub fn close_over<'k>(known: &'k Known<'k>, start: &'k Start, recipes: &[&Recipe], level: Level) -> Kept {
    let strip = known.compile(&known.options.strip);
    let chain: BTreeSet<ImagePath> = start.entrypoint.chain.iter().map(|step| step.file.clone()).collect();
    let lines: Vec<String> = known
        .config
        .env
        .iter()
        .chain(&start.entrypoint.env)
        .chain(&start.assigned)
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let env = LoaderEnv::new(lines.iter().map(String::as_str), start.working_dir(known).clone());
    let mut closure = Closure {
        known,
        search: Search::new(known.rootfs, &env),
        program: start.program.clone(),
        working_dir: start.working_dir(known),
        chain,
        strip,
        level,
        kept: Kept::default(),
        queue: VecDeque::new(),
        fired: BTreeSet::new(),
        module_directories: BTreeSet::new(),
        walked: BTreeSet::new(),
        opened: BTreeSet::new(),
    };
    closure.roots(start, recipes);
    closure.run();
    if level == Level::Minimal {
        while closure.modules_that_fit() {
            closure.run();
        }
        closure.licences();
    }
    closure.kept.files.sort_unstable_keys();
    closure.kept
}

struct Closure<'k> {
    known: &'k Known<'k>,
    search: Search<'k>,
    /// The main program: what it brings, plugins find.
    program: Option<ImagePath>,
    /// Where it starts.
    working_dir: &'k ImagePath,
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
    /// Directories that the command line names, or that a link in one leads to.
    walked: BTreeSet<ImagePath>,
    /// Directories whose archives it names.
    opened: BTreeSet<ImagePath>,
}

impl Closure<'_> {
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
        let is_left_open = self.level == Level::Minimal || matches!(why, Why::Level);
        if is_left_open || self.known.leads_to_directory(path) {
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
}
