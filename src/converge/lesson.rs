//! What a failed start says that the image lacks: a file that went, a directory that must be writable.
//!
//! Reads the calls that failed, never what the app printed. Decides nothing else: what cannot be had from a call is for a person.

use std::collections::BTreeMap;

use super::{Attempt, Made};
use crate::catalog::{Catalog, Class};
use crate::options::Options;
use crate::path::ImagePath;
use crate::path::glob::literal;
use crate::plan::decide::is_account_secret;
use crate::plan::traced::Traced;
use crate::plan::writable::{is_code, is_kernel, is_system};
use crate::profile::{Failure, Profile};
use crate::rootfs::{Content, Rootfs};

/// Something that an image is given.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gain {
    /// A file stays, and the user can read it: `--keep`.
    Keep(ImagePath),
    /// A directory is writable: `--writable`.
    Writable(ImagePath),
}

impl Gain {
    /// Whether `options` ask for it.
    pub(super) fn is_in(&self, options: &Options) -> bool {
        match self {
            Self::Keep(path) => options.keep.contains(&glob(path)),
            Self::Writable(path) => options.writable.contains(path),
        }
    }

    /// Asks for it.
    pub(super) fn add_to(&self, options: &mut Options) {
        match self {
            Self::Keep(path) => options.keep.push(glob(path)),
            Self::Writable(path) => options.writable.push(path.clone()),
        }
    }

    /// Asks for it no more.
    pub(super) fn take_from(&self, options: &mut Options) {
        match self {
            Self::Keep(path) => options.keep.retain(|kept| *kept != glob(path)),
            Self::Writable(path) => options.writable.retain(|writable| writable != path),
        }
    }

    /// How much weaker an image is with it.
    pub(super) fn weight(&self) -> u8 {
        match self {
            Self::Keep(path) => match Catalog::builtin().program(path.name()) {
                Some(Class::Shell) => 3,
                Some(_) => 1,
                None => 0,
            },
            Self::Writable(_) => 2,
        }
    }

    /// As an option of the command line.
    pub fn option(&self) -> String {
        match self {
            Self::Keep(path) => format!("--keep={}", glob(path)),
            Self::Writable(path) => format!("--writable={path}"),
        }
    }
}

/// The glob that matches `path` and nothing else.
fn glob(path: &ImagePath) -> String {
    literal(&path.text())
}

/// What an image lacked, and what shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lesson {
    /// What it is given.
    pub gain: Gain,
    /// The calls that failed, each with who called.
    pub why: Vec<String>,
}

/// Calls that say something about a file and change nothing in it: an app that may not do so goes on, most of the time.
const REMARKS: &[&str] = &["chmod", "chown", "utime", "xattr", "futimesat"];

/// What the failures of a start ask for, by what it is; those that only speak of modes, owners and times count where no
/// other does.
pub(super) fn lessons(attempt: &Attempt, made: &Made) -> Vec<Lesson> {
    let Some(profile) = &attempt.tried.watched else { return Vec::new() };
    let looked = Looked { rootfs: &attempt.rootfs, made };
    let is_remark = |failure: &&Failure| REMARKS.iter().any(|word| failure.call.contains(word));
    let (remarks, acts): (Vec<&Failure>, Vec<&Failure>) = profile.failures.iter().partition(is_remark);
    let of = |failures: Vec<&Failure>| {
        let mut out: BTreeMap<Gain, Vec<String>> = BTreeMap::new();
        for failure in failures {
            for gain in looked.gains(failure) {
                out.entry(gain).or_default().push(told(profile, failure));
            }
        }
        out
    };
    let mut out = of(acts);
    if out.is_empty() {
        out = of(remarks);
    }
    out.into_iter().map(|(gain, why)| Lesson { gain, why }).collect()
}

/// A failed call in words, with the program that called.
fn told(profile: &Profile, failure: &Failure) -> String {
    let program = failure.by.first().and_then(|by| Traced::new(profile).program(by));
    let by = program.map(|program| format!(" of {program}")).unwrap_or_default();
    format!("{}{by} failed at {}: {}", failure.call, failure.subject, failure.error)
}

/// What a failure is looked up in.
struct Looked<'a> {
    rootfs: &'a Rootfs,
    made: &'a Made,
}

impl Looked<'_> {
    fn gains(&self, failure: &Failure) -> Vec<Gain> {
        // An address is no path.
        let Some(path) = ImagePath::unescape(&failure.subject).filter(|path| !is_kernel(path)) else {
            return Vec::new();
        };
        let path = self.rootfs.canonicalize_missing(&path).unwrap_or(path);
        // Python writes down what it has compiled where it can, and goes on where it cannot.
        if path.components().any(|name| name == b"__pycache__") || is_secret(&path) {
            return Vec::new();
        }
        match failure.error.as_str() {
            "ENOENT" => self.missing(failure, &path),
            "EROFS" => self.writable(failure, &path),
            "EACCES" | "EPERM" => self.refused(failure, &path),
            _ => Vec::new(),
        }
    }

    /// Something is not there: a file that went, or the directory in which another was to be made.
    fn missing(&self, failure: &Failure, path: &ImagePath) -> Vec<Gain> {
        if self.made.gone.contains(path) {
            return vec![Gain::Keep(path.clone())];
        }
        // A loader names the last place it looked; the file was in one of them.
        if is_library(path) {
            let same = self.made.gone.iter().filter(|other| other.name() == path.name());
            return same.cloned().map(Gain::Keep).collect();
        }
        let makes = !matches!(failure.call.as_str(), "execve" | "execveat" | "connect");
        let parent = path.parent().filter(|parent| makes && self.rootfs.node(parent).is_none());
        parent.filter(|parent| !is_system(parent)).map(Gain::Writable).into_iter().collect()
    }

    /// The user may not: read what is closed to him, or write.
    fn refused(&self, failure: &Failure, path: &ImagePath) -> Vec<Gain> {
        let way = path.ancestors().chain([path.clone()]);
        let closed = way.filter(|at| {
            let wanted = if self.rootfs.is_directory(at) { 0o1 } else { 0o4 };
            self.rootfs.entry(at).is_some_and(|entry| self.made.user.bits(entry) & wanted != wanted)
        });
        match closed.last() {
            // What is closed on the way is opened with what is kept.
            Some(_) if self.rootfs.entry(path).is_some_and(|entry| entry.file().is_some()) => {
                vec![Gain::Keep(path.clone())]
            }
            Some(_) => Vec::new(),
            None => self.writable(failure, path),
        }
    }

    /// Whether a directory has code in it, which nobody may change.
    fn has_code(&self, directory: &ImagePath) -> bool {
        self.rootfs.below(directory).any(|(path, _)| {
            let file = self.rootfs.entry(path).and_then(|entry| entry.file());
            file.is_some_and(|file| !matches!(file.content, Content::Data) || is_code(path))
        })
    }

    /// The directory that must be writable for `path` to be written.
    fn writable(&self, failure: &Failure, path: &ImagePath) -> Vec<Gain> {
        let is_directory = self.rootfs.is_directory(path) && !failure.call.contains("dir");
        let around = if is_directory { Some(path.clone()) } else { path.parent() };
        let made = failure.call.starts_with("mkdir").then(|| path.clone());
        let wanted = around.into_iter().chain(made);
        let wanted = wanted.into_iter().find(|directory| !is_system(directory) && !self.has_code(directory));
        wanted.map(Gain::Writable).into_iter().collect()
    }
}

/// Whether nobody but root is meant to read a file, whoever asks for it.
fn is_secret(path: &ImagePath) -> bool {
    is_account_secret(path) || Catalog::builtin().secrets().find(&path.absolute()).is_some()
}

/// Whether a path is that of a shared library.
fn is_library(path: &ImagePath) -> bool {
    let name = path.name();
    name.ends_with(b".so") || name.windows(4).any(|part| part == b".so.")
}
