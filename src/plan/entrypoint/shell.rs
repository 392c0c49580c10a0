//! A shell in the chain: a command as text, a script as argument, or a shell for its own sake.
//!
//! Lowers one simple command; does not interpret text that a shell would expand.

use super::{Next, Walk};
use crate::path::ImagePath;
use crate::plan::{Role, command};

impl Walk<'_, '_> {
    /// `sh -c TEXT`, `sh SCRIPT`, or a shell for its own sake.
    pub(super) fn shell(&mut self, path: &ImagePath, file: &ImagePath, argv: &[String]) -> Next {
        if let [_, flag, text] = argv
            && flag == "-c"
        {
            if !self.held
                && let Some(words) = command::simple_command(text)
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
            self.held = true;
            self.scan(&script_file, 0);
            return self.arguments_program(argv);
        }
        self.needs_shell(path.to_string(), "give the image the program as its entrypoint");
        self.start.program = Some(file.clone());
        Next::Done
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
}
