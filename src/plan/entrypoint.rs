//! What starts: from the config's words to the program that serves, inside the image.
//!
//! Lowers only where the result is the same process for certain; else it says what the start needs.

mod lookup;
mod mention;
mod script;
mod shell;
mod wrapper;

use super::{Entrypoint, Lowered, Role, Step};
use crate::catalog::{Catalog, Class};
use crate::path::ImagePath;
use crate::path::glob::PathGlobs;
use crate::plan::known::Known;
use crate::recipe::{Recipe, ShellRule};
use crate::rootfs::Content;

pub use lookup::find_program;

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
    /// User that a lowered wrapper (`gosu USER`) would have switched to.
    pub switched_user: Option<String>,
    /// Directories that a lowered script would have made.
    pub directories: Vec<ImagePath>,
    /// Scripts that were lowered and the variables that they read at each start.
    pub frozen: Vec<Frozen>,
}

/// Why there is no program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// Neither entrypoint nor command.
    Nothing,
    /// This word names no executable file.
    NotFound(String),
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
    /// Variables, none of which the image sets: what runs now knows none of them.
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

/// Resolves the start of the image in `known`.
pub fn resolve(known: &Known<'_>) -> Start {
    let source: Vec<String> = known.config.entrypoint.iter().chain(&known.config.cmd).cloned().collect();
    let mut walk = Walk {
        known,
        start: Start {
            entrypoint: Entrypoint { source: source.clone(), argv: source.clone(), ..Entrypoint::default() },
            ..Start::default()
        },
        prefix: Vec::new(),
        held: false,
    };
    walk.run(source);
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
}

impl Walk<'_, '_> {
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

    fn find(&self, word: &str) -> Option<(ImagePath, ImagePath)> {
        find_program(self.known.rootfs, &self.known.config.env, &self.known.working_dir, word)
    }

    fn step(&mut self, path: &ImagePath, file: &ImagePath, argv: &[String]) -> Next {
        let class =
            Catalog::builtin().program(file.name()).or_else(|| Catalog::builtin().program(path.name()));
        let content =
            self.known.rootfs.entry(file).and_then(|entry| entry.file()).map(|file| file.content.clone());
        if class == Some(Class::Shell) && !matches!(content, Some(Content::Script(_))) {
            return self.shell(path, file, argv);
        }
        if let Some(wrapper) = Catalog::builtin().wrapper(path.name())
            && let Some(wrapped) = wrapper.unwrap_words(argv.get(1..).unwrap_or_default())
        {
            return self.wrapper(path, file, argv, wrapper, wrapped);
        }
        if let Some(Content::Script(line)) = content {
            return self.script(path, file, argv, &line);
        }
        self.push(path, file, Role::Program);
        self.start.program = Some(file.clone());
        if class == Some(Class::PackageManager) {
            self.package_manager(path);
        }
        Next::Done
    }

    fn needs_shell(&mut self, who: String, remedy: &str) {
        let why = "nothing says for certain what it ends up running".to_owned();
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

enum Next {
    /// The program is found, or nothing more can be known.
    Done,
    /// These words start next.
    Words(Vec<String>),
}
