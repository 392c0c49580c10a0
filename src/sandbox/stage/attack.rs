//! The attack stage: in a running container, with nothing but what its app has, it tries what an intruder would.
//!
//! Goes through the tree as the container has it, through no link, each path opened below the root (openat2(2)). What it makes it
//! removes, files are opened and not written to, modes are set to what they are, programs are stopped before their first
//! instruction. In the app's own directories it makes one file and looks at nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, RandomState};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use rustix::fs::{
    Access, AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, StatVfsMountFlags, Statx, StatxFlags,
    accessat, chmodat, fstatvfs, openat, openat2, statx, unlinkat,
};
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, set_dumpable_behavior};

use super::confine::{Confinement, drop_privileges};
use super::{Failed, Step, attempt, listen, say, step, unexpected};
use crate::catalog::Catalog;
use crate::sandbox::attack::{Act, Attack, Attacked, Cut, Hole};
use crate::sandbox::message::{Reply, Request};
use crate::sandbox::wire::Bytes;

/// Most names that are looked at: as many as an image may have entries, and what an app makes in a moment.
const MAX_ENTRIES: u64 = 2_000_000;
/// Most things of one kind that are named; the others are counted.
const MAX_HOLES: u64 = 200;
/// After so many of one kind no more is tried: each that is opened on an overlay is copied up, and nothing new is learnt.
const ENOUGH: u64 = 2000;
/// Most programs that are executed: an image has some two thousand.
const MAX_PROGRAMS: u64 = 4000;
/// Most that is named of what every container can write.
const MAX_COMMON: usize = 100;

/// Tries, and says what came of it.
pub(super) fn run(control: &UnixStream) -> Result<u8, Failed> {
    super::die_with_parent()?;
    let Request::Prepare(settings, ids) = listen(control)? else { return Err(unexpected()) };
    let Request::Attack(attack) = listen(control)? else { return Err(unexpected()) };
    let confinement = Confinement::new(&settings, ids)?;
    drop_privileges(&settings, ids)?;
    // Who becomes another user outlives its parent again (prctl(2), `PR_SET_PDEATHSIG`).
    super::die_with_parent()?;
    // The app has the same user: it must not write down what is found here.
    step(Step::Confine, "dumpable", set_dumpable_behavior(DumpableBehavior::NotDumpable))?;
    confinement.install()?;
    let mut attacker = step(Step::Attack, "/", Attacker::new(&attack))?;
    step(Step::Attack, "/", attacker.walk())?;
    for program in &attack.programs {
        attacker.execute(&program.0)?;
    }
    for program in std::mem::take(&mut attacker.programs) {
        attacker.execute(&program)?;
    }
    say(control, &Reply::Attacked(Box::new(attacker.finish())))?;
    Ok(0)
}

/// Whose a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// The image's, with what the app wrote over it.
    Image,
    /// The app's own directories.
    App,
    /// The runtime's: `/proc`, `/dev`, `/etc/hosts`.
    Runtime,
}

struct Attacker {
    root: OwnedFd,
    image: u64,
    /// Mounts of the app, and whether a file could be made in each.
    mounts: BTreeMap<u64, (Bytes, Option<bool>)>,
    /// Mounts that the app may only read.
    read_only: BTreeSet<u64>,
    programs: BTreeSet<Vec<u8>>,
    executed: BTreeSet<Vec<u8>>,
    seen: u64,
    found: Attacked,
    cut: BTreeSet<Cut>,
}

const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

impl Attacker {
    fn new(attack: &Attack) -> Result<Self, Errno> {
        let root = openat(CWD, "/", DIRECTORY, Mode::empty())?;
        let image = statx(&root, "", AtFlags::EMPTY_PATH, FACTS)?.stx_mnt_id;
        // Links of the image may lead there, as they led who mounted it.
        let mount = |path: &Bytes| {
            statx(CWD, path.0.as_slice(), AtFlags::empty(), FACTS).map(|facts| facts.stx_mnt_id)
        };
        let (mut mounts, mut found) = (BTreeMap::new(), Attacked::default());
        for path in &attack.mounts {
            match mount(path) {
                Ok(mount) => drop(mounts.insert(mount, (path.clone(), None))),
                // In a directory that is closed to the user.
                Err(_) => found.mounts.push((path.clone(), None)),
            }
        }
        let read_only = attack.read_only.iter().filter_map(|path| mount(path).ok()).collect();
        Ok(Self {
            root,
            image,
            mounts,
            read_only,
            programs: BTreeSet::new(),
            executed: BTreeSet::new(),
            seen: 0,
            found,
            cut: BTreeSet::new(),
        })
    }

    fn walk(&mut self) -> Result<(), Errno> {
        let mut pending = vec![(Vec::new(), self.image)];
        while let Some((path, above)) = pending.pop() {
            let directory = match self.open(&path) {
                Ok(directory) => directory,
                Err(Errno::NAMETOOLONG) => {
                    self.cut.insert(Cut::Depth);
                    continue;
                }
                Err(Errno::ACCESS) => {
                    self.found.closed += 1;
                    continue;
                }
                // It is gone, or is something else by now.
                Err(error) if is_gone(error) => continue,
                Err(_) => {
                    self.cut.insert(Cut::Unread);
                    continue;
                }
            };
            let facts = statx(&directory, "", AtFlags::EMPTY_PATH, FACTS)?;
            let whose = self.whose(&facts);
            self.create(&directory, &path, &facts, whose);
            if whose == Whose::App {
                continue;
            }
            if whose == Whose::Image {
                self.set_mode(&directory, &path, b".", &facts);
            } else if facts.stx_mnt_id != above && is_read_only(&directory) {
                // `/sys`, and what is masked: as a whole.
                continue;
            }
            self.look(&directory, &path, whose, facts.stx_mnt_id, &mut pending);
            if self.seen > MAX_ENTRIES {
                self.cut.insert(Cut::Entries);
                break;
            }
        }
        Ok(())
    }

    /// Goes through one directory.
    fn look(
        &mut self,
        directory: &OwnedFd,
        path: &[u8],
        whose: Whose,
        mount: u64,
        pending: &mut Vec<(Vec<u8>, u64)>,
    ) {
        let listed =
            openat(directory, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        let Ok(listed) = listed.and_then(Dir::read_from) else {
            if whose == Whose::Image {
                if accessat(directory, ".", Access::EXEC_OK, AtFlags::empty()).is_ok() {
                    self.cut.insert(Cut::Hidden);
                } else {
                    self.found.closed += 1;
                }
            }
            return;
        };
        for entry in listed {
            let Ok(entry) = entry else {
                self.cut.insert(Cut::Unread);
                break;
            };
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") || (path == b"proc" && name.iter().all(u8::is_ascii_digit)) {
                continue;
            }
            self.seen += 1;
            let facts = match statx(directory, name, AtFlags::SYMLINK_NOFOLLOW, FACTS) {
                Ok(facts) => facts,
                Err(error) => {
                    // Who may list and not pass through can reach nothing in it.
                    if !is_gone(error) && error != Errno::ACCESS {
                        self.cut.insert(Cut::Unread);
                    }
                    continue;
                }
            };
            let path = if path.is_empty() { name.to_vec() } else { [path, b"/", name].concat() };
            let kind = FileType::from_raw_mode(facts.stx_mode.into());
            let whose = self.whose(&facts);
            match kind {
                FileType::Directory => pending.push((path, mount)),
                FileType::Symlink => self.consider(&path, name, whose),
                _ if whose == Whose::Image => {
                    if kind == FileType::RegularFile {
                        self.open_for_writing(directory, &path, name);
                        self.consider(&path, name, whose);
                    }
                    self.set_mode(directory, &path, name, &facts);
                }
                FileType::RegularFile | FileType::CharacterDevice | FileType::BlockDevice
                    if whose == Whose::Runtime && is_allowed(&open(directory, name)) =>
                {
                    self.note_common(&path);
                }
                _ => {}
            }
        }
    }

    fn whose(&self, facts: &Statx) -> Whose {
        match facts.stx_mnt_id {
            mount if mount == self.image || self.read_only.contains(&mount) => Whose::Image,
            mount if self.mounts.contains_key(&mount) => Whose::App,
            _ => Whose::Runtime,
        }
    }

    fn open(&self, path: &[u8]) -> Result<OwnedFd, Errno> {
        let path: &[u8] = if path.is_empty() { b"." } else { path };
        let how = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        openat2(&self.root, path, DIRECTORY | OFlags::NOFOLLOW, Mode::empty(), how)
    }

    /// Makes a file and removes it.
    fn create(&mut self, directory: &OwnedFd, path: &[u8], facts: &Statx, whose: Whose) {
        if whose == Whose::Image && !self.more(Act::Create) {
            return;
        }
        let made = make(directory);
        let is_made = made.is_ok();
        if let Ok(name) = &made
            && unlinkat(directory, name.as_str(), AtFlags::empty()).is_err()
        {
            self.found.left.push(absolute(&[path, b"/", name.as_bytes()].concat()));
        }
        match whose {
            Whose::Image => self.note(Act::Create, path, is_allowed(&made)),
            Whose::App => {
                if let Some((_, can)) = self.mounts.get_mut(&facts.stx_mnt_id) {
                    *can = Some(is_made);
                }
            }
            Whose::Runtime if is_made => self.note_common(path),
            Whose::Runtime => {}
        }
    }

    fn open_for_writing(&mut self, directory: &OwnedFd, path: &[u8], name: &[u8]) {
        if self.more(Act::Write) {
            let opened = open(directory, name);
            match opened {
                Err(error) if is_gone(error) => {}
                opened => self.note(Act::Write, path, is_allowed(&opened)),
            }
        }
    }

    /// Sets the mode that it has.
    fn set_mode(&mut self, directory: &OwnedFd, path: &[u8], name: &[u8], facts: &Statx) {
        if self.more(Act::Mode) {
            let mode = Mode::from_raw_mode(u32::from(facts.stx_mode) & 0o7777);
            match chmodat(directory, name, mode, AtFlags::empty()) {
                Err(error) if is_gone(error) => {}
                set => self.note(Act::Mode, path, is_allowed(&set)),
            }
        }
    }

    /// Remembers a program that the catalog names.
    fn consider(&mut self, path: &[u8], name: &[u8], whose: Whose) {
        if whose == Whose::Image && Catalog::builtin().program(name).is_some() {
            if (self.programs.len() as u64) < MAX_PROGRAMS {
                self.programs.insert(absolute(path).0);
            } else {
                self.cut.insert(Cut::Programs);
            }
        }
    }

    /// Starts a program, and ends it before its first instruction.
    fn execute(&mut self, path: &[u8]) -> Result<(), Failed> {
        if self.executed.insert(path.to_vec()) {
            let done = attempt::starts(path)?;
            let relative = path.strip_prefix(b"/").unwrap_or(path);
            match done {
                Some(done) => self.note(Act::Execute, relative, done),
                None => drop(self.cut.insert(Cut::NotTried)),
            }
        }
        Ok(())
    }

    /// Whether more of this is worth trying.
    fn more(&mut self, act: Act) -> bool {
        let more = self.found.count(act).done < ENOUGH;
        if !more {
            self.cut.insert(Cut::Enough);
        }
        more
    }

    fn note(&mut self, act: Act, path: &[u8], done: bool) {
        let count = self.found.count(act);
        count.tried += 1;
        count.done += u64::from(done);
        // All programs are named: some have a reason to be there.
        if done && (count.done <= MAX_HOLES || act == Act::Execute) {
            self.found.holes.push(Hole { path: absolute(path), act });
        }
    }

    fn note_common(&mut self, path: &[u8]) {
        if self.found.common.len() < MAX_COMMON {
            self.found.common.push(absolute(path));
        }
    }

    /// Whether a file can be made in the directory at `path`; `None` where it cannot be reached.
    fn can_make(&mut self, path: &Bytes) -> Option<bool> {
        let directory = openat(CWD, path.0.as_slice(), DIRECTORY, Mode::empty()).ok()?;
        let made = make(&directory);
        if let Ok(name) = &made
            && unlinkat(&directory, name.as_str(), AtFlags::empty()).is_err()
        {
            self.found.left.push(Bytes([path.0.as_slice(), b"/", name.as_bytes()].concat()));
        }
        Some(made.is_ok())
    }

    fn finish(mut self) -> Attacked {
        self.found.holes.sort();
        self.found.common.sort();
        // One in another was not come by.
        for (path, can) in std::mem::take(&mut self.mounts).into_values() {
            let can = can.or_else(|| self.can_make(&path));
            self.found.mounts.push((path, can));
        }
        self.found.mounts.sort();
        self.found.cut = self.cut.into_iter().collect();
        self.found
    }
}

/// What is asked of a path.
const FACTS: StatxFlags = StatxFlags::TYPE.union(StatxFlags::MODE).union(StatxFlags::MNT_ID);

/// Makes a file of a name that nobody can have foreseen; what it is called.
fn make(directory: &OwnedFd) -> Result<String, Errno> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // Every one of these has keys of its own.
    let name = format!(".kiln-verify-{:016x}", RandomState::new().hash_one(0));
    openat(directory, name.as_str(), flags, Mode::RUSR | Mode::WUSR).map(|_| name)
}

/// Opens for writing, and writes nothing.
fn open(directory: &OwnedFd, name: &[u8]) -> Result<(), Errno> {
    let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    openat(directory, name, flags, Mode::empty()).map(drop)
}

/// Whether nothing forbids it: what fails for any other reason (a full disk, a program that runs) might not fail the next time.
fn is_allowed<T>(result: &Result<T, Errno>) -> bool {
    !matches!(result, Err(Errno::ACCESS | Errno::PERM | Errno::ROFS | Errno::NXIO | Errno::NODEV))
}

/// Whether what was there is no longer.
fn is_gone(error: Errno) -> bool {
    matches!(error, Errno::NOENT | Errno::NOTDIR | Errno::LOOP)
}

fn is_read_only(directory: &OwnedFd) -> bool {
    fstatvfs(directory).is_ok_and(|stat| stat.f_flag.contains(StatVfsMountFlags::RDONLY))
}

fn absolute(path: &[u8]) -> Bytes {
    Bytes([b"/", path].concat())
}
