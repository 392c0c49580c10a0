//! A program that kiln does not know and that may start what its arguments name.
//!
//! Knows no option of it: a word that is a program is enough to doubt.

use super::Walk;
use crate::catalog::Class;
use crate::path::ImagePath;
use crate::plan::{Role, command};
use crate::rootfs::Content;

impl Walk<'_, '_> {
    /// The words that `path` probably starts, where it is no program whose arguments are known to be its own. All that
    /// its words name is mentioned then.
    pub(super) fn launched(
        &mut self,
        path: &ImagePath,
        file: &ImagePath,
        class: Option<Class>,
        argv: &[String],
    ) -> Option<Vec<String>> {
        if matches!(class, Some(Class::Interpreter | Class::Application)) || self.is_known(path, file) {
            return None;
        }
        let is_tool = class.is_some();
        self.texts(path, argv, is_tool);
        let mut found: Vec<(usize, ImagePath, bool)> = Vec::new();
        for (at, word) in argv.iter().enumerate().skip(1) {
            let Some((named, target)) = self.find(word).filter(|(_, target)| target != file) else {
                continue;
            };
            if !matches!(
                self.content(&target),
                Some(Content::Elf(_) | Content::ElfUnreadable | Content::Script(_))
            ) {
                continue;
            }
            let class = self.class(&named, &target);
            // `app sync`: subcommands are often called as tools are.
            let is_telling =
                matches!(class, None | Some(Class::Shell | Class::Interpreter | Class::Application));
            found.push((at, named, is_telling));
        }
        let is_launcher = found.iter().any(|(_, _, is_telling)| *is_telling);
        if is_launcher || is_tool {
            for (_, named, _) in &found {
                self.mention(named.clone(), path);
            }
        }
        // What stands behind `--` is no option's value.
        let end = argv.iter().position(|word| word == "--").unwrap_or(0);
        let telling = |from: usize| found.iter().find(|(at, _, is_telling)| *is_telling && *at > from);
        let (at, ..) = telling(end).or_else(|| telling(0))?;
        self.doubt(
            path.to_string(),
            &format!("kiln does not know it, and it may start `{}` or anything else", argv.get(*at)?),
        );
        self.push(path, file, Role::Wrapper);
        self.held = true;
        argv.get(*at..).map(<[String]>::to_vec)
    }

    /// Command lines among the arguments of a tool: `su -c TEXT`, `script -c TEXT`.
    fn texts(&mut self, path: &ImagePath, argv: &[String], is_tool: bool) {
        for text in argv.iter().skip(1).filter(|word| is_tool && word.contains(char::is_whitespace)) {
            let commands = command::commands(text);
            if command::started(&commands).any(|name| self.find(name).is_some()) {
                self.needs_shell(path.to_string(), "start the program itself");
                self.doubt(path.to_string(), "it starts a command line in a shell");
                self.mention_words("sh", path);
                self.mention_words(text, path);
            }
        }
    }
}
