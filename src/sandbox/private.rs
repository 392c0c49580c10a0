//! The private directory that an image is unpacked in, and those that earlier runs left behind.
//!
//! A directory is in use as long as somebody has its lock; the kernel gives a lock back when its owner ends, whatever way.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// How their names begin.
const PREFIX: &str = "kiln-sandbox-";
const LOCK: &str = "lock";
const TREE: &str = "tree";

/// How often another run may take a new directory for one that was left behind, between making it and locking it.
const TRIES: usize = 16;

/// A directory that nobody else can enter.
#[derive(Debug)]
pub struct Private {
    path: PathBuf,
    _lock: File,
}

impl Private {
    /// Makes one in `directory`.
    pub fn create(directory: &Path) -> io::Result<Self> {
        let mut error = io::ErrorKind::ResourceBusy.into();
        for _ in 0..TRIES {
            let closed = Permissions::from_mode(0o700);
            let made = tempfile::Builder::new().prefix(PREFIX).permissions(closed).tempdir_in(directory)?;
            // The guard removes it.
            let path = made.keep();
            match Self::fill(&path) {
                Ok(private) => return Ok(private),
                Err(failed) => error = failed,
            }
            let _ = fs::remove_dir_all(path);
        }
        Err(error)
    }

    fn fill(path: &Path) -> io::Result<Self> {
        let lock = File::create_new(path.join(LOCK))?;
        lock.try_lock()?;
        let tree = path.join(TREE);
        fs::create_dir(&tree)?;
        // For ids that are nobody's here; nobody else gets past the directory above.
        fs::set_permissions(tree, Permissions::from_mode(0o777))?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Where stages work.
    pub fn tree(&self) -> PathBuf {
        self.path.join(TREE)
    }

    /// Removes it, where nothing in it belongs to ids that are somebody else's. What cannot be removed today is left behind.
    pub fn remove(self) {
        let _ = fs::remove_dir_all(&self.path);
    }

    /// Those of user `uid` in `directory` that nobody uses any more.
    pub fn left_behind(directory: &Path, uid: u32) -> Vec<Self> {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        let names = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX));
        names.filter_map(|entry| Self::adopt(entry.path(), uid)).collect()
    }

    fn adopt(path: PathBuf, uid: u32) -> Option<Self> {
        let metadata = path.symlink_metadata().ok()?;
        if !metadata.is_dir() || metadata.uid() != uid || metadata.mode() & 0o077 != 0 {
            return None;
        }
        let Ok(lock) = File::open(path.join(LOCK)) else {
            // Not filled yet, or for ever; who is about to fill it makes another.
            let _ = fs::remove_dir(path);
            return None;
        };
        lock.try_lock().ok()?;
        if !path.join(TREE).is_dir() {
            let _ = fs::remove_dir_all(path);
            return None;
        }
        Some(Self { path, _lock: lock })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own_uid(directory: &Path) -> u32 {
        directory.metadata().unwrap().uid()
    }

    #[test]
    fn directory_is_closed_to_others_and_in_use_while_it_is_held() {
        let directory = tempfile::tempdir().unwrap();
        let uid = own_uid(directory.path());
        let private = Private::create(directory.path()).unwrap();
        assert_eq!(private.path.metadata().unwrap().mode() & 0o7777, 0o700);
        assert!(Private::left_behind(directory.path(), uid).is_empty());
        let path = private.path.clone();
        drop(private);
        let found = Private::left_behind(directory.path(), uid);
        assert_eq!(found.iter().map(|private| &private.path).collect::<Vec<_>>(), [&path]);
    }

    #[test]
    fn what_is_not_its_own_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let uid = own_uid(directory.path());
        let other = directory.path().join("kiln-sandbox-open");
        fs::create_dir(&other).unwrap();
        fs::set_permissions(&other, Permissions::from_mode(0o755)).unwrap();
        std::os::unix::fs::symlink("/", directory.path().join("kiln-sandbox-link")).unwrap();
        drop(Private::create(directory.path()).unwrap());
        assert!(Private::left_behind(directory.path(), uid.wrapping_add(1)).is_empty());
        assert_eq!(Private::left_behind(directory.path(), uid).len(), 1);
        assert!(other.exists());
    }

    #[test]
    fn directory_without_a_lock_goes_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let half = directory.path().join("kiln-sandbox-half");
        fs::create_dir(&half).unwrap();
        fs::set_permissions(&half, Permissions::from_mode(0o700)).unwrap();
        assert!(Private::left_behind(directory.path(), own_uid(directory.path())).is_empty());
        assert!(!half.exists());
    }
}
