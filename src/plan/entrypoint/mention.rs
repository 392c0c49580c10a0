//! What the scripts of the chain name: programs and files that they may start or read.
//!
//! Reads words, not meaning: more than a script runs, never less, but for names it computes.

use std::collections::BTreeSet;

use super::{Mention, Walk};
use crate::path::ImagePath;
use crate::plan::command;
use crate::plan::entrypoint::started::Started;
use crate::rootfs::Content;

/// Scripts that name scripts, one below another: far above any real chain.
const MAX_DEPTH: usize = 4;

/// Most bytes kept of a file that scripts may read: as of a script itself.
const MAX_SOURCED: u64 = 64 << 10;

/// How many bytes of the file at `path` pass 1 must keep because a shell may read it without `#!`, or a cron its table;
/// `None`: none.
pub fn wanted(path: &ImagePath) -> Option<u64> {
    const ENDS: &[&[u8]] = &[b".sh", b".bash", b".ksh", b".inc", b".env", b".envrc", b".functions", b".subr"];
    const NAMES: &[&[u8]] =
        &[b"functions", b"environment", b"env", b".env", b"profile", b"Procfile", b"crontab"];
    const DIRECTORIES: &[&[u8]] =
        &[b"default", b"sysconfig", b"conf.d", b"profile.d", b"crontabs", b"cron.d"];
    let directory = path.parent()?;
    let is_named = ENDS.iter().any(|end| path.name().ends_with(end)) || NAMES.contains(&path.name());
    let is_below_etc = directory.components().next() == Some(b"etc") || directory.name() == b"crontabs";
    let is_shell = is_named || (is_below_etc && DIRECTORIES.contains(&directory.name()));
    is_shell.then_some(MAX_SOURCED)
}

impl Walk<'_, '_> {
    /// Remembers what the script `file` names, and what the scripts it names name. Gives what it starts itself.
    pub(super) fn scan(&mut self, file: &ImagePath, depth: usize) -> Vec<Started> {
        if !self.scanned.insert(file.clone()) {
            return Vec::new();
        }
        let Some(bytes) = self.known.rootfs.bytes(file) else { return Vec::new() };
        let text = String::from_utf8_lossy(&bytes).into_owned();
        self.read(&text, file, depth)
    }

    /// As [`Self::scan`], of a text that `by` holds or runs.
    pub(super) fn read(&mut self, text: &str, by: &ImagePath, depth: usize) -> Vec<Started> {
        let before = self.start.mentioned.len();
        self.mention_words(text, by);
        let commands = command::commands(text);
        if self.start.script_users.is_empty() {
            let users = command::switched_users(&commands);
            self.start.script_users.extend(users.into_iter().map(|user| (user, by.clone())));
        }
        let sourced: BTreeSet<ImagePath> =
            command::sourced(&commands).filter_map(|operand| self.sourced(operand, by)).collect();
        let started = self.programs_of(commands);
        self.started.extend(started.iter().cloned());
        if depth >= MAX_DEPTH {
            return started;
        }
        for file in sourced {
            self.mention(file.clone(), by);
            let entry = self.known.rootfs.entry(&file).and_then(|entry| entry.file());
            if entry.is_some_and(|file| file.bytes.is_none() && file.size > 0) {
                self.doubt(by.to_string(), &format!("it reads `{file}` into its shell, and kiln did not"));
            }
            self.scan(&file, depth + 1);
        }
        let found: Vec<ImagePath> =
            self.start.mentioned.iter().skip(before).map(|mention| mention.path.clone()).collect();
        for path in found {
            let Some(resolved) = self.known.rootfs.resolve(&path) else { continue };
            if matches!(self.content(&resolved.path), Some(Content::Script(_))) {
                self.scan(&resolved.path, depth + 1);
            }
        }
        started
    }

    /// The file that `. OPERAND` of the script `by` reads. A directory that the script computes is taken for its own.
    fn sourced(&self, operand: &str, by: &ImagePath) -> Option<ImagePath> {
        let own = by.parent()?;
        let beside = |name: &str| {
            let file = self.known.rootfs.resolve_from(&own, name.as_bytes())?.path;
            self.known.rootfs.entry(&file)?.file().map(|_| file)
        };
        match operand.rfind(['$', '`', ')', '}']) {
            Some(at) => beside(operand.get(at..)?.split_once('/')?.1),
            None => self.find_file(operand).map(|(_, file)| file).or_else(|| beside(operand)),
        }
    }

    pub(super) fn mention_words(&mut self, text: &str, by: &ImagePath) {
        for word in command::mentioned_words(text) {
            if word.starts_with('/') {
                if let Some((path, _)) = self.find_file(word) {
                    self.mention(path, by);
                } else if word.len() > 1
                    && let Ok(directory) = ImagePath::parse(word.as_bytes())
                    && word.trim_end_matches('/').as_bytes().ends_with(b".d")
                {
                    // A directory of hooks.
                    let hooks: Vec<ImagePath> =
                        self.known.rootfs.children(&directory).map(|(path, _)| path.clone()).collect();
                    for path in hooks {
                        self.mention(path, by);
                    }
                }
            } else if let Some((path, _)) = self.find(word) {
                self.mention(path, by);
            }
        }
    }

    pub(super) fn mention(&mut self, path: ImagePath, by: &ImagePath) {
        if self.named.insert(path.clone()) {
            self.start.mentioned.push(Mention { path, by: by.clone() });
        }
    }
}
