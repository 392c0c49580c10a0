//! Keeps a cache within its limit: what was not used for the longest time goes.
//!
//! Removes nothing but files that have names as kiln gives them, below the directory of its version.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::{Cache, CacheError, Written, entry, own_directory};
use crate::options::CacheSettings;
use crate::sink::remove_leftovers;

/// The directory of this arrangement of files.
pub(super) const VERSION: &str = "v1";
pub(super) const BLOBS: &str = "blobs";
pub(super) const INDEX: &str = "index-";
pub(super) const PLAN: &str = "plan-";
pub(super) const LAYER: &str = "layer-";

/// A blob that no entry leads to stays so long: its entry may be about to be written.
const IN_FLIGHT: Duration = Duration::from_hours(1);

/// What a cache holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Indexes of layers.
    pub indexes: u64,
    /// Plans of images.
    pub plans: u64,
    /// Layers written again.
    pub layers: u64,
    /// Bytes of all files.
    pub bytes: u64,
}

impl Cache {
    /// What the cache that `settings` name holds.
    pub fn usage(settings: &CacheSettings) -> Result<Usage, CacheError> {
        let Some(root) = root(settings) else { return Ok(Usage::default()) };
        let listed = list(&root).map_err(|source| CacheError::Prune { path: root, source })?;
        Ok(listed.usage())
    }

    /// Removes what was not used for the longest time until it keeps to its limit; gives what is left.
    pub fn prune(settings: &CacheSettings) -> Result<Usage, CacheError> {
        let Some(root) = root(settings) else { return Ok(Usage::default()) };
        let work = || {
            let Some(lock) = open(&root)? else { return Ok(Usage::default()) };
            // Where a file system knows no locks, two may remove the same things.
            let _ = lock.lock();
            match remove_down_to(&root, settings.limit)? {
                Some(failed) => Err(failed),
                None => Ok(list(&root)?.usage()),
            }
        };
        work().map_err(|source| CacheError::Prune { path: root, source })
    }
}

fn root(settings: &CacheSettings) -> Option<PathBuf> {
    Some(settings.directory.clone().or_else(own_directory)?.join(VERSION))
}

/// What is in a cache.
#[derive(Default)]
struct Listed {
    entries: Vec<Entry>,
    /// By name.
    blobs: BTreeMap<String, Blob>,
    /// Directories of programs, and when something was made or removed in them last.
    programs: Vec<(PathBuf, SystemTime)>,
}

/// What can be found.
struct Entry {
    path: PathBuf,
    used: SystemTime,
    bytes: u64,
    leads_to: LeadsTo,
}

/// What an entry has besides itself.
enum LeadsTo {
    /// Nothing: an index.
    Index,
    /// Nothing: a plan.
    Plan,
    /// A layer, as the blob of this name.
    Blob(String),
}

struct Blob {
    path: PathBuf,
    made: SystemTime,
    bytes: u64,
    /// How many entries lead to it.
    entries: u64,
}

impl Listed {
    fn usage(&self) -> Usage {
        let mut usage = Usage { bytes: self.bytes(), ..Usage::default() };
        for entry in &self.entries {
            match entry.leads_to {
                LeadsTo::Index => usage.indexes += 1,
                LeadsTo::Plan => usage.plans += 1,
                LeadsTo::Blob(_) => usage.layers += 1,
            }
        }
        usage
    }

    fn bytes(&self) -> u64 {
        let entries = self.entries.iter().map(|entry| entry.bytes);
        entries.chain(self.blobs.values().map(|blob| blob.bytes)).sum()
    }
}

/// As [`Cache::prune`], of the directory of a version; leaves it to others where they are at it.
pub(super) fn trim(root: &Path, limit: u64) -> io::Result<()> {
    let Some(lock) = open(root)? else { return Ok(()) };
    match lock.try_lock() {
        Err(TryLockError::WouldBlock) => Ok(()),
        Ok(()) | Err(TryLockError::Error(_)) => remove_down_to(root, limit).map(drop),
    }
}

/// The directory, to be locked; `None` where there is none.
fn open(root: &Path) -> io::Result<Option<File>> {
    match File::open(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some),
    }
}

/// Removes down to `limit` bytes; gives why the first that could not be removed could not.
fn remove_down_to(root: &Path, limit: u64) -> io::Result<Option<io::Error>> {
    let mut listed = list(root)?;
    let (mut bytes, mut failed) = (listed.bytes(), None);
    let mut remove = |path: &Path, size: u64, bytes: &mut u64| match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => failed = failed.take().or(Some(error)),
        _ => *bytes -= size,
    };
    let old = SystemTime::now().checked_sub(IN_FLIGHT).unwrap_or(SystemTime::UNIX_EPOCH);
    listed.blobs.retain(|_, blob| {
        let stays = blob.entries > 0 || (limit > 0 && blob.made > old);
        if !stays {
            remove(&blob.path, blob.bytes, &mut bytes);
        }
        stays
    });
    // The one that was used last stands first, and goes last.
    listed.entries.sort_by(|left, right| (right.used, &right.path).cmp(&(left.used, &left.path)));
    while bytes > limit {
        let Some(entry) = listed.entries.pop() else { break };
        remove(&entry.path, entry.bytes, &mut bytes);
        let LeadsTo::Blob(name) = entry.leads_to else { continue };
        let Some(blob) = listed.blobs.get_mut(&name) else { continue };
        blob.entries -= 1;
        if blob.entries == 0 {
            remove(&blob.path, blob.bytes, &mut bytes);
            listed.blobs.remove(&name);
        }
    }
    // What runs that were killed have left. A directory goes where nothing is in it and nobody is about to make something.
    remove_leftovers(&root.join(BLOBS));
    for (program, made) in &listed.programs {
        remove_leftovers(program);
        if *made < old {
            let _ = fs::remove_dir(program);
        }
    }
    Ok(failed)
}

fn list(root: &Path) -> io::Result<Listed> {
    let mut listed = Listed::default();
    let mut programs = Vec::new();
    for (name, path, metadata) in names(root)? {
        if name == BLOBS {
            for (name, path, metadata) in names(&path)? {
                if is_hex(&name) && metadata.is_file() {
                    let made = metadata.modified()?;
                    let blob = Blob { path, made, bytes: metadata.len(), entries: 0 };
                    listed.blobs.insert(name, blob);
                }
            }
        } else if is_hex(&name) && metadata.is_dir() {
            programs.push((path, metadata.modified()?));
        }
    }
    for (program, _) in &programs {
        for (name, path, metadata) in names(program)? {
            let is = |prefix: &str| name.strip_prefix(prefix).is_some_and(is_hex);
            let leads_to = if is(LAYER) {
                // One that cannot be read leads nowhere.
                let written = entry::peek::<Written>(&path);
                LeadsTo::Blob(written.map(|written| written.digest.hex()).unwrap_or_default())
            } else if is(INDEX) {
                LeadsTo::Index
            } else if is(PLAN) {
                LeadsTo::Plan
            } else {
                continue;
            };
            if let LeadsTo::Blob(name) = &leads_to
                && let Some(blob) = listed.blobs.get_mut(name)
            {
                blob.entries += 1;
            }
            listed.entries.push(Entry { path, used: metadata.modified()?, bytes: metadata.len(), leads_to });
        }
    }
    listed.programs = programs;
    Ok(listed)
}

/// What is in a directory now; nothing where there is none. Others may remove things meanwhile.
fn names(directory: &Path) -> io::Result<Vec<(String, PathBuf, Metadata)>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        match (entry.file_name().into_string(), entry.metadata()) {
            (Ok(name), Ok(metadata)) => found.push((name, entry.path(), metadata)),
            (_, Err(error)) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(found)
}

fn is_hex(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}
