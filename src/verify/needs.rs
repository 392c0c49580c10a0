//! H2: nothing that stays has lost what it needs.
//!
//! Computes the closure anew from the finished tree. What led nowhere in the source already is told from what was lost
//! only where the source is there to compare with.

use std::collections::BTreeSet;

use super::facts::{Facts, FirstLine};
use crate::elf::closure::close_over;
use crate::elf::facts::{ElfFacts, ObjectKind};
use crate::elf::search::Search;
use crate::manifest::Volume;
use crate::path::{Escaped, ImagePath};
use crate::promise::{Promise, Proof};
use crate::rootfs::{Content, Kind, Rootfs};

/// Most losses named in one sentence about what cannot be told.
const NAMED: usize = 3;

/// Something in the tree that leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Loss {
    /// What needs it.
    pub by: ImagePath,
    /// What is not there.
    pub need: Need,
}

/// What can be missing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// A library or loader, as written.
    Library(Box<[u8]>),
    /// A program of a `#!` line, as written.
    Interpreter(String),
    /// A symbolic link's target.
    Target,
}

/// The files that a start passes through.
#[derive(Debug, Default)]
pub struct Starts {
    /// Those that are there: as started, links not followed.
    pub paths: BTreeSet<ImagePath>,
    /// Those that are not, and who names them.
    pub missing: Vec<(String, &'static str)>,
    /// A first word that leads nowhere, where the manifest knows of no start either.
    pub unknown: Option<String>,
}

/// All losses of a tree.
#[derive(Debug, Default)]
pub struct Losses {
    /// Of what the start loads.
    pub start: BTreeSet<Loss>,
    /// Of everything else.
    pub other: BTreeSet<Loss>,
    /// How many ELF files, scripts and links were looked at.
    pub seen: [u64; 3],
}

/// Checks H2 on the image alone.
pub fn check(facts: &Facts<'_>, losses: &Losses) -> Proof {
    let mut proof = Proof::new(Promise::NothingMissing);
    let starts = starts(facts);
    for (what, who) in &starts.missing {
        proof.break_at(what, format!("{who}, and it is not there"));
    }
    if let Some(word) = &starts.unknown {
        proof.leave_open(format!(
            "`{}` is what starts, and it is not in the image: whether it ever was is told by --against",
            Escaped::new(word.as_bytes())
        ));
    }
    for loss in &losses.start {
        proof.break_at(&loss.by, loss.text());
    }
    if !losses.other.is_empty() {
        let named: Vec<String> =
            losses.other.iter().take(NAMED).map(|loss| format!("{} {}", loss.by, loss.text())).collect();
        let more = losses.other.len().saturating_sub(NAMED);
        let more = if more == 0 { String::new() } else { format!(", and {more} more") };
        proof.leave_open(format!(
            "{}{more}: whether it was so in the source is told by --against",
            named.join("; ")
        ));
    }
    let [elf, scripts, links] = losses.seen;
    proof.prove(format!(
        "{} files of the start, {elf} ELF files, {scripts} scripts, {links} symbolic links",
        starts.paths.len()
    ));
    proof
}

impl Loss {
    /// What `by` misses, as a predicate.
    pub fn text(&self) -> String {
        match &self.need {
            Need::Library(name) => format!("needs {}, which is not there", Escaped::new(name)),
            Need::Interpreter(name) => {
                format!("begins with `{}`, which is not there", Escaped::new(name.as_bytes()))
            }
            Need::Target => "is a symbolic link that leads nowhere".into(),
        }
    }
}

/// What the image starts: the config's first word and its interpreters, found here, and what the manifest names.
pub fn starts(facts: &Facts<'_>) -> Starts {
    let mut out = Starts::default();
    let config = &facts.image.config;
    let steps = facts.document().map_or(&[][..], |manifest| &manifest.process.entrypoint.steps);
    if let Some(first) = config.entrypoint.iter().chain(&config.cmd).next() {
        match facts.program(first) {
            Some(path) => _ = out.paths.insert(path),
            None if steps.is_empty() => out.unknown = Some(first.clone()),
            None => out.missing.push((Escaped::new(first.as_bytes()).to_string(), "the image starts it")),
        }
    }
    for step in steps {
        for text in [&step.path, &step.file] {
            let path = ImagePath::unescape(text);
            match path
                .filter(|path| facts.rootfs.entry_following(path).is_some_and(|entry| entry.file().is_some()))
            {
                Some(path) => _ = out.paths.insert(path),
                None => out.missing.push((text.clone(), "the start passes through it")),
            }
        }
    }
    out.missing.dedup();
    let mut scripts: Vec<ImagePath> = out.paths.iter().cloned().collect();
    while let Some(path) = scripts.pop() {
        let Some(Content::Script(line)) = content(facts.rootfs, &path) else { continue };
        match facts.interpreters(line, reader(facts, &path, line)) {
            Ok(found) => scripts.extend(found.into_iter().filter(|path| out.paths.insert(path.clone()))),
            Err(word) => out
                .missing
                .push((Escaped::new(word.as_bytes()).to_string(), "a script of the start begins with it")),
        }
    }
    out
}

/// Who reads the first line of the script at `path`: nobody where the start hands it to its interpreter, as kiln has it
/// done in place of `env`.
fn reader(facts: &Facts<'_>, path: &ImagePath, line: &[u8]) -> FirstLine {
    let config = &facts.image.config;
    let mut words = config.entrypoint.iter().chain(&config.cmd);
    let file = |path: &ImagePath| facts.rootfs.resolve(path).map(|found| found.path);
    let started = words.next().and_then(|word| file(&facts.program(word)?));
    let reads = facts.interpreters(line, FirstLine::Skipped).ok().and_then(|found| file(found.last()?));
    let mut is_handed = || {
        words.any(|word| {
            word.starts_with('/') && ImagePath::parse(word.as_bytes()).is_ok_and(|word| word == *path)
        })
    };
    if started.is_some() && started == reads && is_handed() { FirstLine::Skipped } else { FirstLine::Read }
}

/// Every file that the program at `start` maps, links passed on the way included.
pub fn libraries(facts: &Facts<'_>, start: &ImagePath) -> Vec<ImagePath> {
    let Some(file) = facts.rootfs.resolve(start) else { return Vec::new() };
    Search::new(facts.rootfs, &facts.loader).process(&file.path).files().cloned().collect()
}

/// What leads nowhere in the image.
pub fn losses(facts: &Facts<'_>) -> Losses {
    let mut out = Losses::default();
    let rootfs = facts.rootfs;
    let search = Search::new(rootfs, &facts.loader);
    let starts: Vec<ImagePath> =
        starts(facts).paths.iter().filter_map(|path| Some(rootfs.resolve(path)?.path)).collect();
    out.start.extend(missing(rootfs, &starts, facts));
    let (mut programs, mut plugins) = (Vec::new(), Vec::new());
    for (path, node) in rootfs.nodes() {
        let Some(entry) = rootfs.entry(path) else { continue };
        match &entry.kind {
            Kind::Symlink(target) => {
                out.seen[2] += 1;
                if rootfs.resolve(path).is_none() && !is_made_at_run_time(facts, path, target) {
                    out.other.insert(Loss { by: path.clone(), need: Need::Target });
                }
            }
            // Every inode once.
            Kind::File(file) if node.name == node.inode => match &file.content {
                Content::Elf(elf) => {
                    out.seen[0] += 1;
                    if is_program(elf) { programs.push(path.clone()) } else { plugins.push(path.clone()) }
                }
                Content::Script(line) if entry.mode & 0o111 != 0 && !is_of_a_database(path) => {
                    out.seen[1] += 1;
                    if let Err(word) = facts.interpreters(line, reader(facts, path, line)) {
                        out.other.insert(Loss { by: path.clone(), need: Need::Interpreter(word) });
                    }
                }
                _ => {}
            },
            _ => {}
        }
    }
    out.other.extend(missing(rootfs, &programs, facts));
    // What a program loads has that program's search path; what nothing loads is a plugin, with its own and the
    // main program's.
    let loaded: BTreeSet<ImagePath> = starts
        .iter()
        .chain(&programs)
        .flat_map(|path| search.process(path).files().cloned().collect::<Vec<_>>())
        .collect();
    for plugin in plugins.iter().filter(|path| !loaded.contains(*path)) {
        let alone: BTreeSet<Loss> = missing(rootfs, std::slice::from_ref(plugin), facts).collect();
        let in_program = |program: &ImagePath| search.plugin(program, plugin).missing().next().is_none();
        if !alone.is_empty() && !starts.iter().any(in_program) {
            out.other.extend(alone);
        }
    }
    out.other.retain(|loss| !out.start.contains(loss));
    out
}

fn missing<'a>(
    rootfs: &'a Rootfs,
    roots: &'a [ImagePath],
    facts: &'a Facts<'_>,
) -> impl Iterator<Item = Loss> + use<> {
    let closure = close_over(rootfs, roots, &facts.loader);
    closure.missing.into_iter().map(|missing| Loss { by: missing.file, need: Need::Library(missing.name) })
}

/// Whether a kernel starts it, rather than a loader loading it.
fn is_program(elf: &ElfFacts) -> bool {
    elf.interpreter.is_some() || elf.kind == ObjectKind::Executable
}

fn content<'a>(rootfs: &'a Rootfs, path: &ImagePath) -> Option<&'a Content> {
    Some(&rootfs.entry_following(path)?.file()?.content)
}

/// Maintainer scripts: part of a package's record, for a package manager that is gone.
fn is_of_a_database(path: &ImagePath) -> bool {
    path.is_within(&ImagePath::literal("var/lib/dpkg/info"))
}

/// Where the kernel, the runtime or the app itself makes things, a target need not be there yet.
fn is_made_at_run_time(facts: &Facts<'_>, link: &ImagePath, target: &[u8]) -> bool {
    let text = if target.starts_with(b"/") {
        target.to_vec()
    } else {
        [link.parent().unwrap_or_else(ImagePath::root).absolute(), b"/".to_vec(), target.to_vec()].concat()
    };
    let Some(path) = lexical(&text) else { return false };
    let landing = facts.rootfs.canonicalize_missing(&path).unwrap_or(path);
    ["proc", "sys", "dev", "run", "var/run"].iter().any(|place| landing.is_within(&ImagePath::literal(place)))
        || facts
            .declared
            .iter()
            .any(|(declared, entry)| entry.volume != Volume::None && landing.is_within(declared))
}

/// `text` with `..` taken back by name.
fn lexical(text: &[u8]) -> Option<ImagePath> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in text.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => _ = parts.pop(),
            part => parts.push(part),
        }
    }
    ImagePath::parse(&parts.join(&b'/')).ok()
}
