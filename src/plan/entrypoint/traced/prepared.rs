//! What a script leaves behind: what of that its server needs, and what of that can be had without the script.
//!
//! Knows the image and the runs; what is made of it is the plan's.

use std::collections::{BTreeMap, BTreeSet};

use super::bake::{bake, remove};
use super::{Refusal, first, some_of};
use crate::path::{ImagePath, unescape};
use crate::plan::baked::Baked;
use crate::plan::known::Known;
use crate::plan::traced::{Preparation, Traced, is_content};
use crate::plan::writable::is_kernel;
use crate::profile::{Holds, How, Prepared as Told};
use crate::rootfs::Kind;

/// Trees of what is of the moment: marks, process numbers, messages. A server that needs one of these opens it.
const MOMENTARY: &[&str] = &["/tmp", "/run", "/var/run", "/var/lock", "/var/tmp", "/var/log"];

/// Names of directories that package managers keep their logs and downloads in: `npm start` writes a log of itself there.
const CACHES: &[&[u8]] = &[b".npm", b".yarn", b".cache", b".pnpm-store"];

/// Why what a server writes as well is none of the image's.
const STATE: &str = "it writes it as well";

/// What a script leaves behind.
#[derive(Default)]
pub(super) struct Prepared {
    /// Directories that the server uses.
    pub(super) directories: Vec<ImagePath>,
    /// All directories.
    pub(super) made: BTreeSet<ImagePath>,
    /// What it did not open, nor execute, and that is of the moment.
    pub(super) unread: Vec<ImagePath>,
    /// Files that are the same in every container, by path.
    pub(super) baked: Vec<Baked>,
    /// Files of the image that it removes.
    pub(super) removed: Vec<ImagePath>,
    /// The command of the source that makes the rest before each start.
    pub(super) first: Option<Vec<String>>,
}

/// Files that cannot be had without the script, each with the reason.
#[derive(Default)]
struct Wanting {
    /// Those that the server reads.
    read: Vec<(ImagePath, String)>,
    /// Those that it may read.
    lasting: Vec<(ImagePath, String)>,
}

/// What others than the server made; an error where more of that may be read than directories and constants.
pub(super) fn prepared(known: &Known<'_>, server: Traced<'_>) -> Result<Prepared, Refusal> {
    let read: BTreeSet<ImagePath> = server.read().chain(server.executed()).map(|used| used.path).collect();
    let read_below: BTreeSet<ImagePath> = read.iter().flat_map(ImagePath::ancestors).collect();
    let written: BTreeSet<ImagePath> = server.written().map(|write| write.place.path).collect();
    let all_told: BTreeMap<ImagePath, &Told> = server
        .profile()
        .prepared
        .iter()
        .filter_map(|told| Some((ImagePath::unescape(&told.path)?, told)))
        .collect();
    let mut prepared = Prepared::default();
    let mut wanting = Wanting::default();
    let all: Vec<Preparation<'_>> = server.prepared().collect();
    for made in &all {
        let Preparation { path, how, .. } = made;
        let told = all_told.get(path).copied();
        let is_gone = told.is_none() && (how.contains(&How::Removed) || how.contains(&How::RenamedAway));
        let is_within = |trees: &[&str]| trees.iter().any(|tree| path.is_within(&ImagePath::literal(tree)));
        // What a script writes there it writes to the kernel.
        if is_kernel(path) {
            continue;
        }
        let is_cache = path.components().any(|name| CACHES.contains(&name));
        let is_read = read.contains(path) || how.contains(&How::RenamedHere) && read_below.contains(path);
        let constant = || {
            if written.contains(path) {
                return Err(STATE.to_owned());
            }
            bake(known, server, made, told, is_read)
        };
        let link = told.filter(|told| matches!(told.holds, Holds::Link(_)));
        if let Some(link) = link.filter(|_| how.iter().any(is_content)) {
            if !has_link(known, path, link) {
                match constant() {
                    Ok(baked) => prepared.baked.push(baked),
                    Err(why) => wanting.lasting.push((path.clone(), why)),
                }
            }
            continue;
        }
        if how.contains(&How::Linked) && told.is_none() && !how.contains(&How::Removed) {
            // `ln -f` makes it under another name.
            if !(how.contains(&How::RenamedAway) && are_told(&all, &all_told, path)) {
                return Err(Refusal::from(format!("the script makes a link, {path}")));
            }
            continue;
        }
        if is_gone && known.rootfs.node(path).is_some() {
            let removal = match (written.contains(path), is_read) {
                (true, _) => Err(STATE.to_owned()),
                (_, true) => Err("it reads it".to_owned()),
                _ => remove(known, made, server.profile().runs),
            };
            removal.map_err(|why| format!("the script removes {path} of the image: {why}"))?;
            prepared.removed.push(path.clone());
            continue;
        }
        let is_new_directory = how.contains(&How::Directory) && !is_gone;
        if !how.iter().any(is_content) {
            if is_read && is_opened_by(known, path, how) {
                let why = |why| {
                    Refusal::of_file(
                        format!("it reads {path}, whose mode or owner the script sets: {why}"),
                        path,
                    )
                };
                prepared.baked.push(constant().map_err(why)?);
            }
        } else if is_new_directory && is_cache && !read_below.contains(path) && !is_read {
            // Its own, and empty without what it puts there.
        } else if is_new_directory && !how.contains(&How::RenamedHere) {
            // Whether a directory is there is asked without opening it.
            prepared.made.insert(path.clone());
            if !known.rootfs.is_directory(path) {
                prepared.directories.push(path.clone());
            }
        } else if is_within(MOMENTARY) && is_mark(path) && written.contains(path) {
            // Of both: squid looks for the number of a process that made its directories, and then puts its own there.
            if !is_gone {
                prepared.unread.push(path.clone());
            }
        } else if is_read {
            match constant() {
                Ok(baked) => prepared.baked.push(baked),
                Err(why) => wanting.read.push((path.clone(), why)),
            }
        } else if !is_gone && !written.contains(path) {
            if is_within(MOMENTARY) || is_cache {
                prepared.unread.push(path.clone());
            } else {
                match constant() {
                    Ok(baked) => prepared.baked.push(baked),
                    Err(why) => wanting.lasting.push((path.clone(), why)),
                }
            }
        }
    }
    wanting.settle(known, server, &written, &mut prepared)?;
    // A directory for constants alone is there with them.
    let Prepared { directories, baked, .. } = &mut prepared;
    directories.retain(|directory| {
        let is_below = |path: &ImagePath| path.is_within(directory) && path != directory;
        !baked.iter().any(|baked| is_below(&baked.path)) || written.iter().any(is_below)
    });
    Ok(prepared)
}

/// Whether the image has the link that the script makes.
fn has_link(known: &Known<'_>, path: &ImagePath, told: &Told) -> bool {
    match (known.rootfs.entry(path).map(|entry| &entry.kind), &told.holds) {
        (Some(Kind::Symlink(own)), Holds::Link(target)) => unescape(target).as_deref() == Some(own),
        _ => false,
    }
}

/// Whether all that was renamed to a name beside `path` is told, a link among it.
fn are_told(all: &[Preparation<'_>], told: &BTreeMap<ImagePath, &Told>, path: &ImagePath) -> bool {
    let renamed =
        |made: &&Preparation<'_>| made.how.contains(&How::RenamedHere) && made.path.parent() == path.parent();
    let mut found = all.iter().filter(renamed).map(|made| told.get(&made.path)).peekable();
    found.peek().is_some()
        && found.clone().all(|told| told.is_some())
        && found.any(|told| told.is_some_and(|told| matches!(told.holds, Holds::Link(_))))
}

impl Wanting {
    /// Leaves to the source's own script, run before each start, what was seen to come of that; else refuses.
    fn settle(
        self,
        known: &Known<'_>,
        server: Traced<'_>,
        written: &BTreeSet<ImagePath>,
        prepared: &mut Prepared,
    ) -> Result<(), Refusal> {
        let files = self.read.iter().chain(&self.lasting).map(|(path, _)| path.clone());
        let mut wants: Vec<ImagePath> = files.collect::<BTreeSet<_>>().into_iter().collect();
        if wants.is_empty() {
            return Ok(());
        }
        let mut volumes = first::volumes(known, server.profile(), &wants, written);
        if let Some(shared) = &volumes {
            let is_below = |path: &ImagePath| shared.iter().any(|volume| path.is_within(volume));
            // Constants beside data are of one making with them, and a volume would hide them; so are directories.
            let hidden = prepared.baked.iter().map(|baked| &baked.path).filter(|path| is_below(path));
            let hidden: Vec<ImagePath> = hidden.cloned().collect();
            let directories =
                prepared.directories.iter().filter(|path| is_below(path) && !shared.contains(path));
            wants.extend(directories.cloned().chain(hidden.iter().cloned()));
            wants.sort();
            if hidden.iter().any(|path| known.rootfs.node(path).is_some()) {
                volumes = None;
            } else if let Some(command) = first::command(server.profile(), &wants) {
                prepared.baked.retain(|baked| !is_below(&baked.path));
                prepared.directories.retain(|directory| !is_below(directory));
                prepared.directories.extend(shared.iter().cloned());
                prepared.first = Some(command);
                return Ok(());
            }
        }
        let refused = self.refuse(known, server);
        refused.map_err(|refusal| Refusal {
            wants: if volumes.is_some() { wants } else { Vec::new() },
            ..refusal
        })
    }

    fn refuse(self, known: &Known<'_>, server: Traced<'_>) -> Result<(), Refusal> {
        let (verb, wanting) =
            if self.read.is_empty() { ("may read", self.lasting) } else { ("reads", self.read) };
        let names: Vec<ImagePath> = wanting.iter().map(|(path, _)| path.clone()).collect();
        let Some((first, why)) = wanting.first() else { return Ok(()) };
        let text = match names.as_slice() {
            [only] => format!("it {verb} {only}, which the script writes: {why}"),
            _ => format!(
                "it {verb} {} files that the script writes: {}; of {first}: {why}",
                names.len(),
                some_of(&names)
            ),
        };
        // What the server goes on writing are data, which no configuration replaces.
        if wanting.iter().any(|(_, why)| why == STATE) {
            return Err(Refusal::of_data(known, server, text, &common(&names)));
        }
        Err(Refusal::of_file(text, first))
    }
}

/// Whether a file is a process number, a lock or a log, by its name.
fn is_mark(path: &ImagePath) -> bool {
    let name = path.name();
    [b".pid".as_slice(), b".lock", b".lck", b".log"].iter().any(|end| name.ends_with(end))
}

/// The lowest directory that all of `paths` are in.
fn common(paths: &[ImagePath]) -> ImagePath {
    let mut above = paths.first().and_then(ImagePath::parent).unwrap_or_else(ImagePath::root);
    while !paths.iter().all(|path| path.is_within(&above)) {
        let Some(parent) = above.parent() else { break };
        above = parent;
    }
    above
}

/// Whether a file of the image may be usable only because of how the script set its mode or owner.
fn is_opened_by(known: &Known<'_>, path: &ImagePath, how: &BTreeSet<How>) -> bool {
    let Some(entry) = known.rootfs.entry(path).filter(|entry| entry.file().is_some()) else { return false };
    how.contains(&How::Mode) || how.contains(&How::Owner) && entry.mode & 0o004 == 0
}
