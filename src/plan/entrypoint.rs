//! What starts: from the config's words to the program that serves, inside the image.
//!
//! Lowers only where the result is the same process for certain; else it says what the start needs.

use super::command;
use super::lowering;
use super::{Entrypoint, Lowered, Role, Step};
use crate::catalog::{Catalog, Class, Wrapped, Wrapper, WrapperKind};
use crate::path::ImagePath;
use crate::plan::known::Known;
use crate::recipe::Recipe;
use crate::rootfs::{Content, Rootfs};

/// Programs started one by another before kiln gives up: far above any real chain.
const MAX_STEPS: usize = 32;

/// `PATH` where the config has none: what runc and Docker set.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

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
    /// What would remove it.
    pub remedy: String,
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
    };
    walk.run(source);
    walk.start
}

/// The file that `word` starts: as found, then links followed. `execvpe(3)`: a word with a slash is a path
/// from the working directory, any other is looked up in `PATH`.
pub fn find_program(
    rootfs: &Rootfs,
    env: &[(String, String)],
    working_dir: &ImagePath,
    word: &str,
) -> Option<(ImagePath, ImagePath)> {
    let candidates: Vec<Vec<u8>> = if word.contains('/') {
        vec![word.as_bytes().to_vec()]
    } else {
        let path = env.iter().rev().find(|(name, _)| name == "PATH").map_or(DEFAULT_PATH, |(_, value)| value);
        path.split(':').map(|dir| [dir.as_bytes(), b"/", word.as_bytes()].concat()).collect()
    };
    candidates.into_iter().find_map(|candidate| {
        let file = rootfs.resolve_from(working_dir, &candidate)?.path;
        let entry = rootfs.entry(&file)?;
        (entry.file().is_some() && entry.mode & 0o111 != 0).then(|| {
            let found = absolute(working_dir, &candidate).unwrap_or_else(|| file.clone());
            (found, file)
        })
    })
}

/// `written` as a path from the root, `..` taken literally; `None` where it climbs out.
fn absolute(working_dir: &ImagePath, written: &[u8]) -> Option<ImagePath> {
    if written.first() == Some(&b'/') {
        return ImagePath::parse(written).ok();
    }
    ImagePath::parse(&[working_dir.as_bytes(), b"/", written].concat()).ok()
}

struct Walk<'a, 'k> {
    known: &'a Known<'k>,
    start: Start,
    /// Words of wrappers that stay, before the words that are being resolved.
    prefix: Vec<String>,
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

    /// `sh -c TEXT`, `sh SCRIPT`, or a shell for its own sake.
    fn shell(&mut self, path: &ImagePath, file: &ImagePath, argv: &[String]) -> Next {
        if let [_, flag, text] = argv
            && flag == "-c"
        {
            if let Some(words) = command::simple_command(text)
                && words.first().is_some_and(|word| self.find(word).is_some())
            {
                self.lower(argv, words.clone(), "a shell would run exactly this one command".into());
                return Next::Words(words);
            }
            self.push(path, file, Role::Interpreter);
            self.needs_shell(
                format!("sh -c {text}"),
                "start the program itself: an exec form without variables or operators",
            );
            self.mention_words(text, path);
            return self.first_program(text);
        }
        self.push(path, file, Role::Interpreter);
        let script = argv.iter().skip(1).find(|word| !word.starts_with('-'));
        if let Some((script_path, script_file)) = script.and_then(|word| self.find_file(word)) {
            self.needs_shell(script_path.to_string(), "start the program that the script ends in");
            self.push(&script_path, &script_file, Role::Script);
            self.scan(&script_file, 0);
            return self.arguments_program(argv);
        }
        self.needs_shell(path.to_string(), "give the image the program as its entrypoint");
        self.start.program = Some(file.clone());
        Next::Done
    }

    fn find_file(&self, word: &str) -> Option<(ImagePath, ImagePath)> {
        let file = self.known.rootfs.resolve_from(&self.known.working_dir, word.as_bytes())?.path;
        let path = absolute(&self.known.working_dir, word.as_bytes()).unwrap_or_else(|| file.clone());
        self.known.rootfs.entry(&file)?.file().map(|_| (path, file))
    }

    fn wrapper(
        &mut self,
        path: &ImagePath,
        file: &ImagePath,
        argv: &[String],
        wrapper: &Wrapper,
        parsed: Wrapped,
    ) -> Next {
        // Options change more than the user or a variable; a wrapper with some stays.
        let plain = |words: &[String]| words.iter().all(|word| word == "--" || word.starts_with("-S"));
        match (wrapper.kind, parsed.skipped.as_slice()) {
            (WrapperKind::UserSwitch, [user]) if wrapper.operands == 1 => {
                let why = format!(
                    "`{}` only switches the user, and the container starts as that user",
                    path.name().escape_ascii()
                );
                self.start.switched_user = Some(user.clone());
                self.lower(argv, parsed.command.clone(), why);
            }
            (WrapperKind::Environment, skipped) if plain(skipped) => {
                self.start.entrypoint.env.extend(parsed.assignments);
                self.lower(
                    argv,
                    parsed.command.clone(),
                    "`env` only sets the environment and starts this".into(),
                );
            }
            _ => {
                self.push(path, file, Role::Wrapper);
                let own = argv.len().saturating_sub(parsed.command.len());
                self.prefix.extend(argv.iter().take(own).cloned());
            }
        }
        Next::Words(parsed.command)
    }

    fn script(&mut self, path: &ImagePath, file: &ImagePath, argv: &[String], line: &[u8]) -> Next {
        if let Some(lowered) = self.recipe_lowering(path, file, argv) {
            self.lower(argv, lowered.argv.clone(), lowered.why);
            for pair in lowered.env {
                self.start.entrypoint.env.push(pair);
            }
            self.start.directories.extend(lowered.directories);
            return Next::Words(lowered.argv);
        }
        let line = String::from_utf8_lossy(line).into_owned();
        let (interpreter, argument) = match line.split_once(char::is_whitespace) {
            Some((interpreter, argument)) => (interpreter.to_owned(), Some(argument.trim().to_owned())),
            None => (line.clone(), None),
        };
        let Some((interpreter_path, interpreter_file)) =
            self.find(&interpreter).filter(|_| interpreter.contains('/'))
        else {
            self.push(path, file, Role::Script);
            self.start.problem = Some(Problem::NotFound(interpreter));
            return Next::Done;
        };
        if interpreter_path.name() == b"env" {
            return self.env_script(path, argv, argument.as_deref());
        }
        let class = Catalog::builtin().program(interpreter_file.name());
        self.push(path, file, Role::Script);
        self.push(&interpreter_path, &interpreter_file, Role::Interpreter);
        if class == Some(Class::Shell) {
            self.needs_shell(
                path.to_string(),
                "start the program that the script ends in, or give kiln a recipe that lowers it",
            );
            self.scan(file, 0);
            return self.arguments_program(argv);
        }
        self.start.program = Some(interpreter_file);
        if Catalog::builtin().program(path.name()) == Some(Class::PackageManager)
            || Catalog::builtin().program(file.name()) == Some(Class::PackageManager)
        {
            self.package_manager(path);
        }
        Next::Done
    }

    /// `npm start` runs a line of `package.json` in a shell.
    fn package_manager(&mut self, path: &ImagePath) {
        self.needs_shell(path.to_string(), "start the program itself instead of through its package manager");
        self.mention_words("sh", path);
    }

    /// `#!/usr/bin/env X`: the kernel starts `env X SCRIPT…`, and env starts `X SCRIPT…`.
    fn env_script(&mut self, path: &ImagePath, argv: &[String], argument: Option<&str>) -> Next {
        let mut words: Vec<String> = match argument {
            Some(text) => match text.strip_prefix("-S") {
                Some(split) => split.split_whitespace().map(str::to_owned).collect(),
                None => vec![text.to_owned()],
            },
            None => Vec::new(),
        };
        let Some((found, _)) = words.first().and_then(|word| self.find(word)) else {
            self.start.problem =
                Some(Problem::NotFound(words.first().cloned().unwrap_or_else(|| "env".into())));
            return Next::Done;
        };
        if let Some(first) = words.first_mut() {
            *first = text(&found);
        }
        words.push(text(path));
        words.extend(argv.iter().skip(1).cloned());
        self.lower(
            argv,
            words.clone(),
            "the script's first line has `env` look its interpreter up in `PATH`".into(),
        );
        // The interpreter is now a program with the script as argument: record both.
        if let (Some((interpreter_path, interpreter_file)), Some((script_path, script_file))) =
            (self.find(&text(&found)), self.find_file(&text(path)))
        {
            let class = Catalog::builtin().program(interpreter_file.name());
            if class == Some(Class::Shell) {
                return Next::Words(words);
            }
            self.push(&script_path, &script_file, Role::Script);
            self.push(&interpreter_path, &interpreter_file, Role::Interpreter);
            self.start.program = Some(interpreter_file);
            if [&script_path, &script_file]
                .iter()
                .any(|file| Catalog::builtin().program(file.name()) == Some(Class::PackageManager))
            {
                self.package_manager(path);
            }
        }
        Next::Done
    }

    fn recipe_lowering(
        &self,
        path: &ImagePath,
        file: &ImagePath,
        argv: &[String],
    ) -> Option<lowering::FromRecipe> {
        let arguments = argv.get(1..).unwrap_or_default();
        self.known
            .recipes
            .iter()
            .flat_map(|recipe: &Recipe| recipe.lowerings.iter().map(move |rule| (recipe, rule)))
            .filter(|(_, rule)| rule.scripts.contains(path) || rule.scripts.contains(file))
            .find_map(|(recipe, rule)| lowering::by_recipe(self.known, &recipe.name, rule, file, arguments))
    }

    /// After a script that stays: its arguments may be a program that it ends in (`exec "$@"`).
    fn arguments_program(&mut self, argv: &[String]) -> Next {
        let rest: Vec<String> =
            argv.iter().skip(1).skip_while(|word| word.starts_with('-')).cloned().collect();
        // `sh SCRIPT PROGRAM…` has the script before the program.
        let rest = match rest.first().and_then(|word| self.find_file(word)) {
            Some((_, file)) if self.is_last_script(&file) => rest.get(1..).unwrap_or_default().to_vec(),
            _ => rest,
        };
        if rest.first().and_then(|word| self.find(word)).is_some() {
            Next::Words(rest)
        } else {
            self.guess_program();
            Next::Done
        }
    }

    fn is_last_script(&self, file: &ImagePath) -> bool {
        self.start.entrypoint.chain.iter().rev().any(|step| step.role == Role::Script && step.file == *file)
    }

    fn first_program(&mut self, text: &str) -> Next {
        let words: Vec<&str> = text.split_whitespace().map(|word| word.trim_matches(['"', '\''])).collect();
        let found = words.iter().filter_map(|word| self.find(word)).find(|(_, file)| !Self::is_tool(file));
        if let Some((path, file)) = found {
            self.push(&path, &file, Role::Program);
            self.start.program = Some(file);
        }
        Next::Done
    }

    /// The last mentioned program that is no tool: a script ends in what it is for.
    fn guess_program(&mut self) {
        let guess = self
            .start
            .mentioned
            .iter()
            .rev()
            .filter_map(|mention| {
                self.known.rootfs.resolve(&mention.path).map(|resolved| (mention.path.clone(), resolved.path))
            })
            .find(|(_, file)| {
                !Self::is_tool(file)
                    && self
                        .known
                        .rootfs
                        .entry(file)
                        .and_then(|entry| entry.file())
                        .is_some_and(|file| matches!(file.content, Content::Elf(_)))
            });
        if let Some((path, file)) = guess {
            self.push(&path, &file, Role::Program);
            self.start.program = Some(file);
        }
    }

    fn is_tool(file: &ImagePath) -> bool {
        Catalog::builtin()
            .program(file.name())
            .is_some_and(|class| !matches!(class, Class::Interpreter | Class::Application))
    }

    /// Remembers what the script `file` names, and what the scripts it names name.
    fn scan(&mut self, file: &ImagePath, depth: usize) {
        let Some(text) =
            self.known.rootfs.bytes(file).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
        else {
            return;
        };
        let before = self.start.mentioned.len();
        self.mention_words(&text, file);
        if self.start.switched_user.is_none() {
            self.start.switched_user = command::switched_user(&text);
        }
        if depth >= 4 {
            return;
        }
        let found: Vec<ImagePath> =
            self.start.mentioned.iter().skip(before).map(|mention| mention.path.clone()).collect();
        for path in found {
            let Some(resolved) = self.known.rootfs.resolve(&path) else { continue };
            let is_script = self
                .known
                .rootfs
                .entry(&resolved.path)
                .and_then(|entry| entry.file())
                .is_some_and(|file| matches!(file.content, Content::Script(_)));
            if is_script {
                self.scan(&resolved.path, depth + 1);
            }
        }
    }

    fn mention_words(&mut self, text: &str, by: &ImagePath) {
        for word in command::mentioned_words(text) {
            let mut found = Vec::new();
            if word.starts_with('/') {
                if let Some((path, _)) = self.find_file(word) {
                    found.push(path);
                } else if word.len() > 1
                    && let Ok(directory) = ImagePath::parse(word.as_bytes())
                    && word.trim_end_matches('/').as_bytes().ends_with(b".d")
                {
                    // A directory of hooks.
                    found.extend(self.known.rootfs.children(&directory).map(|(path, _)| path.clone()));
                }
            } else if let Some((path, _)) = self.find(word) {
                found.push(path);
            }
            for path in found {
                if !self.start.mentioned.iter().any(|mention| mention.path == path) {
                    self.start.mentioned.push(Mention { path, by: by.clone() });
                }
            }
        }
    }

    fn needs_shell(&mut self, who: String, remedy: &str) {
        self.start.shell.get_or_insert(ShellNeed { who, remedy: remedy.to_owned() });
    }

    fn lower(&mut self, from: &[String], to: Vec<String>, why: String) {
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

/// A path as a word of a command line. Names that are not UTF-8 never come from a config, which is JSON.
fn text(path: &ImagePath) -> String {
    String::from_utf8_lossy(&path.absolute()).into_owned()
}
