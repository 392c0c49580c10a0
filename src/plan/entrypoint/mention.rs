//! What the scripts of the chain name: programs and files that they may start or read.
//!
//! Reads words, not meaning: more than a script runs, never less, but for names it computes.

use super::{Mention, Walk};
use crate::catalog::{Catalog, Class};
use crate::path::ImagePath;
use crate::plan::{Role, command};
use crate::rootfs::Content;

impl Walk<'_, '_> {
    /// Remembers what the script `file` names, and what the scripts it names name.
    pub(super) fn scan(&mut self, file: &ImagePath, depth: usize) {
        let Some(text) =
            self.known.rootfs.bytes(file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
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

    pub(super) fn mention_words(&mut self, text: &str, by: &ImagePath) {
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

    /// The last mentioned program that is no tool: a script ends in what it is for.
    pub(super) fn guess_program(&mut self) {
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

    pub(super) fn is_tool(file: &ImagePath) -> bool {
        Catalog::builtin()
            .program(file.name())
            .is_some_and(|class| !matches!(class, Class::Interpreter | Class::Application))
    }
}
