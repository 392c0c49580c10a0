//! A shell in the chain: a command as text, a script as argument, or a shell for its own sake.
//!
//! Lowers one simple command; does not interpret text that a shell would expand. A shell is never the program.

use super::{Next, Walk, is_many_by_name};
use crate::catalog::{Catalog, Class};
use crate::path::ImagePath;
use crate::plan::command::{self, Invocation};
use crate::plan::{Role, command::invocation};

/// Shells that read no file before the text of `-c`, unless an option asks for it.
const READ_NOTHING: &[&[u8]] =
    &[b"sh", b"dash", b"ash", b"busybox", b"ksh", b"mksh", b"lksh", b"pdksh", b"posh", b"yash", b"toybox"];

impl Walk<'_, '_> {
    /// `sh -c TEXT`, `sh SCRIPT`, or a shell for its own sake.
    pub(super) fn shell(&mut self, path: &ImagePath, file: &ImagePath, argv: &[String]) -> Next {
        // `busybox sh -c TEXT`
        let applet = argv.get(1).map(String::as_bytes).filter(|_| is_many_by_name(path));
        let own =
            usize::from(applet.and_then(|name| Catalog::builtin().program(name)) == Some(Class::Shell)) + 1;
        let words = argv.get(own..).unwrap_or_default();
        match invocation(words) {
            Invocation::Text { text, plain } => {
                if !self.held
                    && plain
                    && !self.reads_files(path)
                    && let Some(words) = command::simple_command(text)
                    && words.first().is_some_and(|word| self.find(word).is_some())
                {
                    self.lower(argv, words.clone(), "a shell would run exactly this one command".into());
                    return Next::Words(words);
                }
                self.push(path, file, Role::Interpreter);
                let who = format!("sh -c {text}");
                self.needs_shell(
                    who.clone(),
                    "start the program itself: an exec form without variables or operators",
                );
                let started = self.read(text, path, 0);
                self.guess(&started, path, &who)
            }
            Invocation::Script(at) => {
                self.push(path, file, Role::Interpreter);
                let rest = words.get(at..).unwrap_or_default();
                let script = rest.first().and_then(|word| self.find_file(word));
                let Some((script_path, script_file)) = script else { return self.for_its_own_sake(path) };
                self.needs_shell(script_path.to_string(), "start the program that the script ends in");
                self.push(&script_path, &script_file, Role::Script);
                self.held = true;
                let started = self.scan(&script_file, 0);
                self.arguments_program(rest, &started, &script_file)
            }
            Invocation::Input => {
                self.push(path, file, Role::Interpreter);
                self.for_its_own_sake(path)
            }
        }
    }

    fn for_its_own_sake(&mut self, path: &ImagePath) -> Next {
        self.needs_shell(path.to_string(), "give the image the program as its entrypoint");
        self.doubt(path.to_string(), "it is a shell, and what it is to run is not in the image");
        Next::Done
    }

    /// Whether the shell called `path` may read files before a text: bash where `BASH_ENV` is set, zsh, fish and csh
    /// always.
    fn reads_files(&self, path: &ImagePath) -> bool {
        let mut env = self.known.config.env.iter().chain(&self.start.entrypoint.env);
        match path.name() {
            b"bash" | b"rbash" => env.any(|(name, _)| name == "BASH_ENV"),
            name => !READ_NOTHING.contains(&name),
        }
    }
}
