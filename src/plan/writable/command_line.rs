//! The words that the main program is started with, as evidence.
//!
//! Knows how options are written, not what one program's mean; that is in the grammars and recipes.

use super::{Inputs, place};
use crate::path::ImagePath;

/// The arguments of the main program.
#[derive(Debug, Clone, Default)]
pub(super) struct CommandLine {
    words: Vec<String>,
    prefix: Option<String>,
}

/// Options whose value is a configuration file.
const CONFIG_OPTIONS: &[&str] =
    &["-c", "-f", "--config", "--config-file", "--conf", "-config", "--configuration", "config_file"];

/// How the command line names configuration files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ConfigFiles {
    /// Those that the image has.
    pub present: Vec<ImagePath>,
    /// Those that it has not.
    pub missing: Vec<ImagePath>,
}

impl CommandLine {
    /// What follows the main program's own word; all but the first word where it cannot be found.
    pub fn of(inputs: &Inputs<'_>) -> Self {
        let is_program = |word: &String| {
            inputs.program.is_some_and(|program| {
                inputs.chain.iter().any(|step| {
                    step.file == *program
                        && (step.path.absolute() == word.as_bytes() || step.path.name() == word.as_bytes())
                })
            })
        };
        let at = inputs.argv.iter().position(is_program).unwrap_or(0);
        let words: Vec<String> = inputs.argv.iter().skip(at + 1).cloned().collect();
        let mut line = Self { words, prefix: None };
        line.prefix =
            line.values(&["-p"]).last().filter(|value| value.starts_with('/')).map(|&value| value.to_owned());
        line
    }

    /// The words.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// nginx' `-p`, where it is a path.
    pub fn prefix(&self) -> Option<&str> {
        self.prefix.as_deref()
    }

    /// Values of the options `names`: the next word, what follows `=`, or what follows a one-letter option.
    pub fn values(&self, names: &[&str]) -> Vec<&str> {
        let mut out = Vec::new();
        for (at, word) in self.words.iter().enumerate() {
            for name in names {
                let Some(rest) = word.strip_prefix(name) else { continue };
                if rest.is_empty() {
                    out.extend(self.words.get(at + 1).map(String::as_str));
                } else if let Some(value) = rest.strip_prefix('=') {
                    out.push(value);
                } else if name.len() == 2 && name.starts_with('-') && !rest.starts_with('-') {
                    out.push(rest);
                }
            }
        }
        out
    }

    /// Configuration files named; `bare` ones, without an option, too where the software takes them so.
    pub fn config_files(&self, inputs: &Inputs<'_>, bare: Bare) -> ConfigFiles {
        let mut named: Vec<(&str, bool)> = self
            .values(CONFIG_OPTIONS)
            .into_iter()
            .map(|value| (value.strip_prefix("config_file=").unwrap_or(value), true))
            .collect();
        if matches!(bare, Bare::Taken) {
            named.extend(
                self.words.iter().filter(|word| !word.starts_with('-')).map(|word| (word.as_str(), false)),
            );
        }
        let mut out = ConfigFiles::default();
        for (text, by_option) in named {
            if text.is_empty() || text.contains(|c: char| c.is_whitespace() || c == '=' || c == ';') {
                continue;
            }
            let Some(path) = place::absolute(text, inputs.working_dir) else { continue };
            let looks_like_one =
                [".conf", ".cnf", ".ini", ".yml", ".yaml", ".cfg"].iter().any(|end| text.ends_with(end));
            let file = inputs.rootfs.entry_following(&path).and_then(|entry| entry.file());
            let list = match file {
                Some(file)
                    if matches!(file.content, crate::rootfs::Content::Data)
                        && (by_option || file.bytes.is_some()) =>
                {
                    &mut out.present
                }
                None if looks_like_one => &mut out.missing,
                _ => continue,
            };
            if !list.contains(&path) {
                list.push(path);
            }
        }
        out
    }
}

/// Whether software takes its configuration file as a word without an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bare {
    /// As redis and docker-registry do.
    Taken,
    /// As nginx and httpd do.
    NotTaken,
}
