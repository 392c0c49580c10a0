//! What starts: from the config's words to the program that serves, inside the image.
//!
//! Lowers only where the result is the same process for certain; else it says what the start needs.

mod launcher;
mod lookup;
mod mention;
mod script;
mod shell;
mod started;
mod supervisor;
mod traced;
mod wrapper;

use std::collections::{BTreeMap, BTreeSet};

use super::{Entrypoint, Lowered, Role, Step};
use crate::catalog::{Catalog, Class};
use crate::path::ImagePath;
use crate::path::glob::PathGlobs;
use crate::plan::baked::Baked;
use crate::plan::known::Known;
use crate::plan::traced::Whose;
use crate::recipe::{self, Recipe, ShellRule};
use crate::rootfs::Content;
use started::Started;
use traced::Shown;

pub use lookup::find_program;
pub use mention::wanted;
pub use traced::{Refusal, hidden, server};

/// Programs started one by another before kiln gives up: far above any real chain.
const MAX_STEPS: usize = 32;

/// The start, resolved.
#[derive(Debug, Clone, Default)]
pub struct Start {
    /// Words, chain and lowerings.
    pub entrypoint: Entrypoint,
    /// The program that serves, links followed; `None` where it could not be found.
    pub program: Option<ImagePath>,
    /// Why it could not.
    pub problem: Option<Problem>,
    /// Why a shell must stay, where one must.
    pub shell: Option<ShellNeed>,
    /// Programs and scripts that a script of the chain names: it may start them.
    pub mentioned: Vec<Mention>,
    /// User that a wrapper (`gosu USER`) of the command line switches to.
    pub switched_user: Option<String>,
    /// Users that scripts of the chain switch to, each with the script.
    pub script_users: BTreeMap<String, ImagePath>,
    /// Wrappers that stay and that only root can run, each with the user that it switches to.
    pub needs_root: Vec<(ImagePath, String)>,
    /// Variables that `env` sets on the way, whether it was lowered or not.
    pub assigned: Vec<(String, String)>,
    /// Why it is not certain what starts, or that it is all that starts.
    pub doubts: Vec<Doubt>,
    /// Directories that a lowered script would have made.
    pub directories: Vec<ImagePath>,
    /// Files that it would have written, by path, and that are constants of the image.
    pub baked: Vec<Baked>,
    /// Files of the image that it would have removed.
    pub removed: Vec<ImagePath>,
    /// The command of the source that makes the rest of it before each start.
    pub preparing: Option<Vec<String>>,
    /// Files of which it would be enough that the script makes them before the app starts, if it did only that.
    pub wants: Vec<ImagePath>,
    /// Scripts that were lowered and the variables that they read at each start.
    pub frozen: Vec<Frozen>,
    /// Whose doings in a watched run are the hardened image's.
    pub whose: Whose,
}

impl Start {
    /// Where it starts.
    pub fn working_dir<'a>(&'a self, known: &'a Known<'_>) -> &'a ImagePath {
        self.entrypoint.working_dir.as_ref().unwrap_or(&known.working_dir)
    }

    /// Whether `who` is the program that serves.
    pub fn program_is(&self, who: &str) -> bool {
        let is_it = |step: &Step| step.role == Role::Program && step.path.to_string() == who;
        self.entrypoint.chain.iter().any(is_it)
    }

    /// Says why the shell stays.
    fn refuse(&mut self, refusal: &Refusal) {
        self.wants.clone_from(&refusal.wants);
        if let Some(need) = &mut self.shell {
            need.why.clone_from(&refusal.why);
            if let Some(remedy) = &refusal.remedy {
                need.remedy.clone_from(remedy);
            }
        }
    }
}

/// Why there is no program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// Neither entrypoint nor command.
    Nothing,
    /// This word names no executable file.
    NotFound(String),
}

/// What makes the start uncertain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// What starts the unknown: a program, a script or a command.
    pub who: String,
    /// Why that is unknown.
    pub why: String,
}

/// A shell that must stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShellNeed {
    /// Who needs it: the script or command.
    pub who: String,
    /// What it does that no fixed command does.
    pub why: String,
    /// What would remove it.
    pub remedy: String,
}

/// A script that was lowered, and the variables that it read at each start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frozen {
    /// The script.
    pub script: ImagePath,
    /// Variables, none of which the image sets.
    pub variables: Vec<String>,
}

/// A file that a script of the chain names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mention {
    /// As found, links not followed.
    pub path: ImagePath,
    /// The script that names it.
    pub by: ImagePath,
}

/// Resolves the start of the image in `known`; what runs showed does not count where it is `refused`.
pub fn resolve(known: &Known<'_>, refused: Option<&Refusal>) -> Start {
    let source: Vec<String> = known.config.entrypoint.iter().chain(&known.config.cmd).cloned().collect();
    let mut walk = Walk::new(known, &source);
    walk.run(source.clone());
    walk.others();
    let mut start = walk.start;
    if let Some(refusal) = refused {
        start.refuse(refusal);
    } else if start.shell.is_some() {
        match traced::shown(known) {
            Some(Ok(shown)) => start = instead(known, &source, shown, start),
            Some(Err(refusal)) => start.refuse(&refusal),
            None => {}
        }
    }
    // What was not replaced happens again, all of it.
    if start.shell.as_ref().is_none_or(|need| start.program_is(&need.who))
        && !start.entrypoint.lowerings.is_empty()
        && let Some(reached) = known.traced.and_then(|runs| server(known, runs))
        && start.program.iter().any(|program| traced::is_program(reached.exec, program))
    {
        start.whose = Whose::Server(reached.server);
    }
    start
}

/// The start that runs showed, in place of `before`, which needs a shell.
fn instead(known: &Known<'_>, source: &[String], shown: Shown, before: Start) -> Start {
    let Shown { argv, env, working_dir, directories, baked, removed, preparing, why } = shown;
    let mut walk = Walk::new(known, source);
    walk.start.entrypoint.working_dir = working_dir;
    walk.start.assigned.clone_from(&env);
    walk.start.entrypoint.env = env;
    walk.start.directories = directories;
    walk.start.baked = baked;
    walk.start.removed = removed;
    walk.start.preparing = preparing;
    walk.start.frozen = traced::frozen(known, &before.entrypoint.chain);
    walk.lower(source, argv.clone(), why);
    walk.run(argv);
    walk.others();
    // Its own shell a server may have, if all that it does with it was seen; a script's is what was to go.
    let is_servers = |need: &ShellNeed| walk.start.doubts.is_empty() && walk.start.program_is(&need.who);
    if walk.start.shell.as_ref().is_some_and(|need| !is_servers(need)) || walk.start.problem.is_some() {
        return before;
    }
    walk.start
}

/// Says in the words of a recipe that applies why a script's shell stays, and what would make it needless.
pub fn explain(start: &mut Start, recipes: &[&Recipe]) {
    let Some(need) = &mut start.shell else { return };
    let script = start
        .entrypoint
        .chain
        .iter()
        .find(|step| step.role == Role::Script && step.path.to_string() == need.who);
    let Some(script) = script else { return };
    let is_of = |rule: &&ShellRule| {
        PathGlobs::new(&rule.scripts).is_ok_and(|globs| {
            globs.is_match(&script.path.absolute()) || globs.is_match(&script.file.absolute())
        })
    };
    if let Some(rule) = recipes.iter().flat_map(|recipe| &recipe.shells).find(is_of) {
        rule.why.clone_into(&mut need.why);
        rule.remedy.clone_into(&mut need.remedy);
    }
}

struct Walk<'a, 'k> {
    known: &'a Known<'k>,
    start: Start,
    /// Words of wrappers that stay, before the words that are being resolved.
    prefix: Vec<String>,
    /// A script that stays was passed: it gets its arguments as they are, whatever it does with them.
    held: bool,
    /// What the scripts of the chain start, in order.
    started: Vec<Started>,
    /// Scripts that were read.
    scanned: BTreeSet<ImagePath>,
    /// Paths of `start.mentioned`.
    named: BTreeSet<ImagePath>,
}

impl<'a, 'k> Walk<'a, 'k> {
    fn new(known: &'a Known<'k>, source: &[String]) -> Self {
        Self {
            known,
            start: Start {
                entrypoint: Entrypoint {
                    source: source.to_vec(),
                    argv: source.to_vec(),
                    ..Entrypoint::default()
                },
                ..Start::default()
            },
            prefix: Vec::new(),
            held: false,
            started: Vec::new(),
            scanned: BTreeSet::new(),
            named: BTreeSet::new(),
        }
    }

    fn run(&mut self, mut argv: Vec<String>) {
        for _ in 0..MAX_STEPS {
            let Some(word) = argv.first().cloned() else {
                self.start.problem.get_or_insert(Problem::Nothing);
                return;
            };
            let Some((path, file)) = self.find(&word) else {
                self.start.problem = Some(Problem::NotFound(word));
                return;
            };
            match self.step(&path, &file, &argv) {
                Next::Done => return,
                Next::Words(words) => argv = words,
            }
        }
    }

    /// What `word` starts where the variables of the way are set.
    fn find(&self, word: &str) -> Option<(ImagePath, ImagePath)> {
        let (known, assigned) = (self.known, &self.start.assigned);
        if assigned.is_empty() {
            return find_program(known.rootfs, &known.config.env, self.start.working_dir(known), word);
        }
        let env: Vec<(String, String)> = known.config.env.iter().chain(assigned).cloned().collect();
        find_program(known.rootfs, &env, self.start.working_dir(known), word)
    }

    fn content(&self, file: &ImagePath) -> Option<&Content> {
        self.known.rootfs.entry(file).and_then(|entry| entry.file()).map(|file| &file.content)
    }

    /// What the program at `path`, whose links lead to `file`, is. A program of many is what it is called as.
    fn class(&self, path: &ImagePath, file: &ImagePath) -> Option<Class> {
        let catalog = Catalog::builtin();
        let own = catalog.program(path.name());
        let class = catalog
            .program(file.name())
            .or_else(|| self.known.likeness(file).map(|(class, _)| class).filter(|_| own.is_none()));
        match class {
            Some(Class::Shell) if own.is_some() && self.is_many(file) => own,
            class => class.or(own),
        }
    }

    /// Whether `file` is many programs in one: busybox.
    fn is_many(&self, file: &ImagePath) -> bool {
        let by_bytes = self.known.rootfs.entry(file).and_then(|entry| entry.file());
        let by_bytes = by_bytes.and_then(|file| Catalog::builtin().tool_of(file));
        by_bytes.map_or(is_many_by_name(file), |tool| tool.multi_call)
    }

    fn step(&mut self, path: &ImagePath, file: &ImagePath, argv: &[String]) -> Next {
        let class = self.class(path, file);
        let content = self.content(file).cloned();
        let catalog = Catalog::builtin();
        if let Some(supervisor) = catalog.supervisor(path.name()).or_else(|| catalog.supervisor(file.name()))
        {
            self.supervisor(path, supervisor);
        }
        if let Some(wrapper) = catalog.wrapper(path.name())
            && let Some(wrapped) = wrapper.unwrap_words(argv.get(1..).unwrap_or_default())
        {
            return self.wrapper(path, file, argv, wrapper, wrapped);
        }
        if let Some(Content::Script(line)) = content {
            return self.script(path, file, argv, &line);
        }
        if class == Some(Class::Shell) {
            return self.shell(path, file, argv);
        }
        if let Some(words) = self.launched(path, file, class, argv) {
            return Next::Words(words);
        }
        self.push(path, file, Role::Program);
        self.start.program = Some(file.clone());
        if class == Some(Class::PackageManager) {
            self.package_manager(path);
            self.doubt(
                path.to_string(),
                "it is a package manager, and what it starts it finds out by itself",
            );
        }
        Next::Done
    }

    fn doubt(&mut self, who: String, why: &str) {
        let doubt = Doubt { who, why: why.to_owned() };
        if !self.start.doubts.contains(&doubt) {
            self.start.doubts.push(doubt);
        }
    }

    /// Whether a recipe knows the program at `path`, whose links lead to `file`.
    fn is_known(&self, path: &ImagePath, file: &ImagePath) -> bool {
        !recipe::matching(self.known.recipes, &[path.clone(), file.clone()]).is_empty()
    }

    fn needs_shell(&mut self, who: String, remedy: &str) {
        let why = "nothing says for certain what it ends up running".to_owned();
        self.needs_shell_for(who, why, remedy);
    }

    fn needs_shell_for(&mut self, who: String, why: String, remedy: &str) {
        self.start.shell.get_or_insert(ShellNeed { who, why, remedy: remedy.to_owned() });
    }

    fn lower(&mut self, from: &[String], to: Vec<String>, why: String) {
        if self.held {
            return;
        }
        self.start.entrypoint.argv = self.prefix.iter().chain(&to).cloned().collect();
        self.start.entrypoint.lowerings.push(Lowered { from: from.to_vec(), to, why });
    }

    fn push(&mut self, path: &ImagePath, file: &ImagePath, role: Role) {
        let step = Step { path: path.clone(), file: file.clone(), role };
        if !self.start.entrypoint.chain.contains(&step) {
            self.start.entrypoint.chain.push(step);
        }
    }
}

fn is_many_by_name(file: &ImagePath) -> bool {
    file.name().starts_with(b"busybox") || file.name().starts_with(b"toybox")
}

enum Next {
    /// The program is found, or nothing more can be known.
    Done,
    /// These words start next.
    Words(Vec<String>),
}
