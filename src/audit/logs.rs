//! Logs of an app on a read-only root file system: which paths it could not write.
//!
//! Reads lines as the common runtimes and servers print them, plain or within JSON, and says where each is from. What a line
//! does not tell, the directory of a relative path, is not guessed.

mod line;
mod lines;
mod named;
mod place;
mod quotes;
mod relative;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead};

use serde::Serialize;

use super::rules::usual;
use super::system::is_system;
pub use line::{Act, Denied, read_line};
pub use lines::{Lines, Told};

/// Lines that are remembered as evidence of one directory.
const MAX_EVIDENCE: usize = 5;

/// What logs tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Learned {
    /// Directories that the app could not write, by path.
    pub directories: Vec<Directory>,
    /// Errors whose line has no absolute path: about a relative path, which is told, or about one that is not.
    pub unclear: Vec<LogLine>,
    /// Lines that were read.
    pub lines: u64,
}

/// A directory that the app could not write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Directory {
    /// Absolute.
    pub path: String,
    /// Whether the system's programs, libraries or configuration are there: it must stay read-only, and the app do without.
    pub is_system: bool,
    /// How many lines say so.
    pub count: u64,
    /// The first of them.
    pub evidence: Vec<LogLine>,
}

/// A line of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct LogLine {
    /// The file, as named.
    pub file: String,
    /// From 1.
    pub line: u64,
    /// The path in it, as it stands there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// What it says, as it stands.
    pub text: String,
}

impl Learned {
    /// The directories to mount volumes at: none of the system's, and none that is in another's volume.
    pub fn suggested(&self) -> Vec<&str> {
        let own: BTreeSet<&str> =
            self.directories.iter().filter(|one| !one.is_system).map(|one| one.path.as_str()).collect();
        // `/var/run` is `/run` in nearly every image.
        let places: BTreeSet<String> = own.iter().map(|path| usual(path)).collect();
        let is_first = |path: &&str| {
            let place = usual(path);
            let is_within = place
                .match_indices('/')
                .any(|(end, _)| place.get(..end).is_some_and(|outer| places.contains(outer)));
            !is_within && (place == *path || !own.contains(place.as_str()))
        };
        own.iter().copied().filter(is_first).collect()
    }
}

/// Gathers what logs tell.
#[derive(Debug, Default)]
pub struct Learner {
    found: BTreeMap<String, (u64, Vec<LogLine>)>,
    unclear: Vec<LogLine>,
    lines: u64,
}

impl Learner {
    /// Reads the log `input`, of the file `name`.
    pub fn read(&mut self, name: &str, input: &mut dyn BufRead) -> io::Result<()> {
        let mut lines = Lines::new(input);
        let result = lines.try_for_each(|told| {
            let Told { line, text, denied } = told?;
            for denied in denied {
                self.add(denied, LogLine { file: name.to_owned(), line, path: None, text: text.clone() });
            }
            Ok(())
        });
        self.lines += lines.number();
        result
    }

    fn add(&mut self, denied: Denied, mut line: LogLine) {
        line.path = denied.path;
        let absolute = line.path.as_deref().filter(|path| path.starts_with('/'));
        let Some(directory) = absolute.map(|path| directory(path, denied.act)) else {
            self.unclear.push(line);
            return;
        };
        let (count, evidence) = self.found.entry(directory).or_default();
        *count += 1;
        if evidence.len() < MAX_EVIDENCE {
            evidence.push(line);
        }
    }

    /// What was gathered.
    pub fn finish(self) -> Learned {
        let directories = self
            .found
            .into_iter()
            .map(|(path, (count, evidence))| Directory { is_system: is_system(&path), path, count, evidence })
            .collect();
        Learned { directories, unclear: self.unclear, lines: self.lines }
    }
}

/// What must be writable so that `act` succeeds at `path`: a directory that is to be made can be the volume itself.
fn directory(path: &str, act: Act) -> String {
    let path = path.trim_end_matches('/');
    match act {
        Act::MakeDirectory | Act::InDirectory if !path.is_empty() => path.to_owned(),
        // Some programs put a path together with two slashes.
        _ => match path.rsplit_once('/').map(|(parent, _)| parent.trim_end_matches('/')) {
            Some("") | None => "/".to_owned(),
            Some(parent) => parent.to_owned(),
        },
    }
}

/// The JSON Schema of what is learned (`kiln schema log-paths`).
pub fn schema() -> String {
    crate::json::render(&schemars::schema_for!(Learned).to_value())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_directories_with_their_evidence() {
        let log = "starting\n\
            nginx: [emerg] open() \"/var/run/nginx.pid\" failed (30: Read-only file system)\n\
            mkdir: cannot create directory '/var/cache/app': Read-only file system\n\
            touch: cannot touch 'x': Read-only file system\n\
            nginx: [emerg] open() \"/var/run//other.pid\" failed (30: Read-only file system)\n";
        let mut learner = Learner::default();
        learner.read("app.log", &mut log.as_bytes()).unwrap();
        let learned = learner.finish();
        let found: Vec<(&str, u64, u64)> = learned
            .directories
            .iter()
            .map(|one| (one.path.as_str(), one.count, one.evidence[0].line))
            .collect();
        assert_eq!(found, [("/var/cache/app", 1, 3), ("/var/run", 2, 2)]);
        assert_eq!(learned.unclear.iter().map(|line| line.line).collect::<Vec<_>>(), [4]);
        assert_eq!(learned.unclear[0].path.as_deref(), Some("x"), "relative to what the log does not tell");
        assert_eq!(learned.lines, 5);
        assert_eq!(learned.directories[1].evidence[1].path.as_deref(), Some("/var/run//other.pid"));
    }

    #[test]
    fn long_lines_are_read_as_far_as_they_may_and_the_next_ones_all_the_same() {
        let log = format!("{}\nOSError: [Errno 30] Read-only file system: '/srv/a'\n", "x".repeat(3 << 20));
        let mut learner = Learner::default();
        learner.read("-", &mut log.as_bytes()).unwrap();
        let learned = learner.finish();
        assert_eq!((learned.lines, learned.directories[0].path.as_str()), (2, "/srv"));
        assert_eq!(learned.directories[0].evidence[0].line, 2);
    }

    #[test]
    fn volumes_are_suggested_once_and_never_over_the_system() {
        let paths = [
            "/bin/bash",
            "/entry.sh",
            "/etc/app.conf",
            "/etc/nginx/x",
            "/run/a",
            "/var/run/b",
            "/var/run/c/d",
        ];
        let mut learner = Learner::default();
        for path in paths {
            let line = format!("touch: cannot touch '{path}': Read-only file system\n");
            learner.read("-", &mut line.as_bytes()).unwrap();
        }
        let learned = learner.finish();
        let system: Vec<&str> =
            learned.directories.iter().filter(|one| one.is_system).map(|one| one.path.as_str()).collect();
        assert_eq!(system, ["/", "/bin", "/etc"]);
        assert_eq!(learned.suggested(), ["/etc/nginx", "/run"]);
    }
}
