//! What scripts of the chain start: which of it is the program that serves, and whether that is certain.
//!
//! Judges commands as they stand, not whether they run.

use std::collections::{BTreeMap, BTreeSet};

use super::lookup::text;
use super::{Next, Walk};
use crate::catalog::{Catalog, Class};
use crate::path::ImagePath;
use crate::plan::application;
use crate::plan::command::Command;
use crate::rootfs::Content;

/// Wrappers before a program in one command: far above any real line.
const MAX_WRAPPERS: usize = 8;

/// A command of a script that starts a program.
#[derive(Debug, Clone)]
pub(super) struct Started {
    /// Its words, wrappers among them.
    pub words: Vec<String>,
    /// The program as found.
    pub path: ImagePath,
    /// What runs: the program, or the interpreter of a script.
    pub file: ImagePath,
    /// It takes the shell's place.
    pub exec: bool,
}

impl Walk<'_, '_> {
    /// What `commands` start, tools apart.
    pub(super) fn programs_of(&self, commands: Vec<Command>) -> Vec<Started> {
        commands.into_iter().filter_map(|command| self.started(command)).collect()
    }

    fn started(&self, command: Command) -> Option<Started> {
        let Command { words, exec, .. } = command;
        let mut rest = words.clone();
        for _ in 0..MAX_WRAPPERS {
            let (path, file) = self.find(rest.first().filter(|word| !word.contains('$'))?)?;
            let wrapper = Catalog::builtin().wrapper(path.name());
            if let Some(wrapped) = wrapper.and_then(|wrapper| wrapper.unwrap_words(rest.get(1..)?)) {
                rest = wrapped.command;
                continue;
            }
            if is_tool(self.class(&path, &file)) {
                return None;
            }
            let runs = match self.content(&file)? {
                Content::Script(line) => {
                    let interpreter = application::interpreters(self.known, line).pop()?;
                    match self.class(&interpreter, &interpreter) {
                        // The script goes on elsewhere only where it ends there.
                        Some(Class::Shell) if exec => file,
                        class if is_tool(class) => return None,
                        _ => interpreter,
                    }
                }
                Content::Elf(_) | Content::ElfUnreadable => file,
                Content::Data => return None,
            };
            return Some(Started { words, path, file: runs, exec });
        }
        None
    }

    /// The program that a text ends in: what its last `exec` starts, or else its last command; or else the last program
    /// that `by` names.
    pub(super) fn guess(&mut self, own: &[Started], by: &ImagePath, who: &str) -> Next {
        let mut all: BTreeMap<&ImagePath, &ImagePath> = BTreeMap::new();
        for started in own {
            all.entry(&started.file).or_insert(&started.path);
        }
        let mut names: Vec<String> = all.into_values().map(ToString::to_string).collect();
        let last = own.iter().rfind(|started| started.exec).or(own.last());
        let words = if let Some(last) = last {
            last.words.clone()
        } else {
            let mentioned = self.mentioned_programs(by);
            names = mentioned.values().map(|(_, path)| path.to_string()).collect();
            let Some((_, path)) = mentioned.values().max() else { return Next::Done };
            vec![text(path)]
        };
        if names.len() > 1 {
            let why =
                format!("it may start any of {}, and nothing says which of them serves", names.join(", "));
            self.doubt(who.to_owned(), &why);
        }
        self.held = true;
        Next::Words(words)
    }

    /// Programs that `by` names and that are no tools: by file, with the position of the last mention.
    fn mentioned_programs(&self, by: &ImagePath) -> BTreeMap<ImagePath, (usize, ImagePath)> {
        let mut out = BTreeMap::new();
        for (at, mention) in self.start.mentioned.iter().enumerate().filter(|(_, mention)| mention.by == *by)
        {
            let Some(resolved) = self.known.rootfs.resolve(&mention.path) else { continue };
            let is_program = matches!(self.content(&resolved.path), Some(Content::Elf(_)))
                && self.known.rootfs.entry(&resolved.path).is_some_and(|entry| entry.mode & 0o111 != 0)
                && !is_tool(self.class(&mention.path, &resolved.path));
            if is_program {
                out.insert(resolved.path, (at, mention.path.clone()));
            }
        }
        out
    }

    /// Doubts where a script starts more than the program that was found, and a recipe knows what that would need: its
    /// modules are not looked for.
    pub(super) fn others(&mut self) {
        let chain: BTreeSet<&ImagePath> = self.start.entrypoint.chain.iter().map(|step| &step.file).collect();
        let others: BTreeMap<&ImagePath, &ImagePath> = self
            .started
            .iter()
            .filter(|started| !chain.contains(&started.file))
            .map(|started| (&started.file, &started.path))
            .collect();
        let known: Vec<String> = others
            .into_iter()
            .filter(|(file, path)| self.is_known(path, file))
            .map(|(_, path)| path.to_string())
            .collect();
        for path in known {
            self.doubt(path, "a script or a configuration file starts it besides the program that was found");
        }
    }
}

/// Whether a program of this class is there to help, not to serve.
pub(super) fn is_tool(class: Option<Class>) -> bool {
    class.is_some_and(|class| !matches!(class, Class::Interpreter | Class::Application))
}
