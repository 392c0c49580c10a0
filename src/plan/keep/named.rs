//! What the words of the start name: the program looks for these files and directories where its command line, or a
//! variable that Java reads, says.
//!
//! Knows how paths stand among words, not what one program's options mean; what joins is `admit`'s to say.

use std::collections::BTreeSet;

use super::{Closure, Why};
use crate::packages;
use crate::path::glob::PathGlobs;
use crate::path::{Escaped, ImagePath, MAX_PATH};
use crate::plan::application;
use crate::plan::entrypoint::Start;
use crate::rootfs::resolve::Resolved;

/// Directories that any package may put something into (Filesystem Hierarchy Standard 3.0, 3 to 5): an argument that
/// names one of them is about little of what is in it, and nothing says which.
const SHARED: &[&str] = &[
    "/",
    "/{bin,boot,dev,etc,lib,lib32,lib64,libx32,proc,run,sbin,sys,tmp,usr,var}",
    "/{usr,var}/*",
    "/usr/local/{bin,etc,games,include,lib,lib64,libexec,man,sbin,share,src}",
    "/{usr/,}{lib,lib64,libexec}/*-linux-*",
];

/// Variables that hold words of Java's command line, or its class path (java(1), `JDK_JAVA_OPTIONS`; JVM tool interface,
/// `JAVA_TOOL_OPTIONS`).
const VARIABLES: &[&str] = &["CLASSPATH", "JDK_JAVA_OPTIONS", "JAVA_TOOL_OPTIONS"];

impl Closure<'_> {
    /// Adds what the words of the start name, and what stands in directories that they name.
    pub(super) fn named(&mut self, start: &Start) {
        let starts =
            |word: &String| {
                start.entrypoint.chain.iter().any(|step| {
                    [step.path.absolute().as_slice(), step.path.name()].contains(&word.as_bytes())
                })
            };
        let arguments = start.entrypoint.argv.iter().filter(|word| !starts(word));
        let variables = self.known.config.env.iter().chain(&start.entrypoint.env);
        let values = variables.filter(|(name, _)| VARIABLES.contains(&name.as_str())).map(|(_, value)| value);
        let words: BTreeSet<&String> = arguments.chain(values).collect();
        for word in words {
            self.word(word);
        }
    }

    /// The path that `word` is, or those that stand in it: `--config=/etc/x`, `-I/usr/share/x`, `a.jar:lib/*`,
    /// `include /etc/x;`, `file:///etc/x`. What is found whole is not taken apart.
    fn word(&mut self, word: &str) {
        if self.piece(word) {
            return;
        }
        for part in word.split(|c: char| c.is_whitespace() || "'\"`;,&|<>()".contains(c)) {
            let value = part.split_once('=').map(|(_, value)| value).unwrap_or_default();
            if self.piece(part) || self.piece(value) {
                continue;
            }
            for piece in part.split([':', '=', '@']) {
                let glued = piece.find('/').filter(|_| piece.starts_with('-'));
                if !self.piece(piece) {
                    self.piece(glued.and_then(|at| piece.get(at..)).unwrap_or_default());
                }
            }
        }
    }

    /// Adds what `text` names, and whether it names anything.
    fn piece(&mut self, text: &str) -> bool {
        if text.is_empty() || text.len() > MAX_PATH {
            return false;
        }
        // `DIR/*` in a class path is every archive of the directory (java(1), `--class-path`).
        let (text, archives) = match text.strip_suffix('*') {
            Some("") => (".", true),
            Some(directory) if directory.ends_with('/') => (directory, true),
            _ => (text, false),
        };
        let Some(found) = self.known.rootfs.resolve_from(self.working_dir, text.as_bytes()) else {
            return false;
        };
        if archives {
            self.archives(text, &found);
        } else if self.known.rootfs.is_directory(&found.path) {
            self.directory(text, &found);
        } else if text.contains('/') || self.known.class(&found.path).is_none() {
            // A bare word that happens to be a tool's name in the working directory is no path to it.
            self.add_resolved(&found, &Why::Named(quoted(text)));
        }
        true
    }

    fn archives(&mut self, text: &str, directory: &Resolved) {
        // An image's config can name one directory in a thousand ways.
        if !self.opened.insert(directory.path.clone()) {
            return;
        }
        let is_archive =
            |path: &ImagePath| [&b".jar"[..], b".JAR"].iter().any(|end| path.name().ends_with(end));
        let found: Vec<ImagePath> = self
            .known
            .rootfs
            .children(&directory.path)
            .map(|(path, _)| path.clone())
            .filter(is_archive)
            .collect();
        let why = Why::Named(quoted(&format!("{text}*")));
        self.add_resolved(directory, &why);
        for path in found {
            self.add_following(&path, &why);
        }
    }

    /// Everything in a directory and in those that links in it lead to, but for what the catalog names.
    fn directory(&mut self, text: &str, named: &Resolved) {
        let shared = PathGlobs::new(SHARED).unwrap_or_else(|error| unreachable!("globs above: {error}"));
        let why = Why::InNamed(quoted(text));
        self.add_resolved(named, &why);
        let mut todo = vec![named.path.clone()];
        while let Some(directory) = todo.pop() {
            if shared.is_match(&directory.absolute()) {
                if text.contains('/') {
                    self.kept.shared.insert(directory, quoted(text));
                }
                continue;
            }
            let is_walked = directory.ancestors().any(|above| self.walked.contains(&above));
            if is_walked || !self.walked.insert(directory.clone()) {
                continue;
            }
            let below: Vec<ImagePath> =
                self.known.rootfs.below(&directory).map(|(path, _)| path.clone()).collect();
            for path in below {
                let target = self.known.rootfs.resolve(&path).map(|resolved| resolved.path);
                if [Some(&path), target.as_ref()].into_iter().flatten().any(|path| self.is_no_content(path)) {
                    continue;
                }
                self.add_following(&path, &why);
                if self.known.is_link(&path) {
                    todo.extend(target.filter(|target| self.known.rootfs.is_directory(target)));
                }
            }
        }
    }

    /// What stands in a named directory and is not what it was named for.
    fn is_no_content(&self, path: &ImagePath) -> bool {
        self.known.class(path).is_some()
            || packages::is_database(path)
            || application::is_state(self.known, path)
    }

    fn add_resolved(&mut self, found: &Resolved, why: &Why) {
        for path in found.links.iter().chain([&found.path]) {
            self.add(path, why.clone());
        }
    }
}

/// Words of a config can hold anything.
fn quoted(text: &str) -> String {
    Escaped::new(text.as_bytes()).to_string()
}
