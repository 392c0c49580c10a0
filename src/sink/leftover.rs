//! Temporary names beside a destination, and what runs that were killed have left under such names.
//!
//! Whoever works under a temporary name holds a lock on it (flock(2)), and the lock ends with the process, however that
//! ends. So a name without a lock is nobody's, and the next run removes it. Does not know what is written there.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use tempfile::{NamedTempFile, TempDir};

/// What temporary names begin with.
pub(super) const TEMP_PREFIX: &str = ".kiln-tmp-";

/// Letters and digits after it.
const RANDOM: usize = 6;

/// Times that a lock on a directory is tried, a second in all; and the time between two of them.
const SHARE_TRIES: u32 = 50;
const SHARE_WAIT: Duration = Duration::from_millis(20);

/// A temporary directory in use: removed when dropped, or by another run when this one is killed.
pub(super) struct ClaimedDir {
    directory: TempDir,
    // After the directory: it is given free when it is gone.
    _lock: Option<File>,
}

impl ClaimedDir {
    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }
}

/// A temporary directory in `parent`, with the mode that the user's mask gives, for it may be renamed into place.
pub(super) fn claim_dir(parent: &Path) -> io::Result<ClaimedDir> {
    remove_leftovers(parent);
    let _names = share(parent);
    let directory = builder().permissions(fs::Permissions::from_mode(0o777)).tempdir_in(parent)?;
    let lock = File::open(directory.path()).ok();
    let lock = lock.filter(|lock| lock.try_lock().is_ok());
    Ok(ClaimedDir { directory, _lock: lock })
}

/// A temporary file in `parent` that may be renamed into place: with the mode that the user's mask gives.
pub fn claim_file(parent: &Path) -> io::Result<NamedTempFile> {
    remove_leftovers(parent);
    let _names = share(parent);
    let file = temp_file(parent)?;
    // Where a file system knows no locks, nobody finds a name to be without one.
    let _ = file.as_file().try_lock();
    Ok(file)
}

/// As [`claim_file`] where nobody else looks: in a directory of kiln's own, or under its lock.
pub(super) fn temp_file(parent: &Path) -> io::Result<NamedTempFile> {
    builder().permissions(fs::Permissions::from_mode(0o666)).tempfile_in(parent)
}

fn builder() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMP_PREFIX).rand_bytes(RANDOM);
    builder
}

/// Keeps others from looking for leftovers until a new name has its lock.
///
/// Whoever looks is done in a moment. Somebody else's lock, on a directory that everybody can open, may never end: then
/// the name is made without.
fn share(directory: &Path) -> Option<File> {
    let lock = File::open(directory).ok()?;
    for _ in 0..SHARE_TRIES {
        match lock.try_lock_shared() {
            Ok(()) => return Some(lock),
            Err(TryLockError::WouldBlock) => std::thread::sleep(SHARE_WAIT),
            Err(TryLockError::Error(_)) => break,
        }
    }
    None
}

/// Removes what nobody works in any more. What cannot be removed, or cannot be told now, stays: it disturbs nobody.
pub fn remove_leftovers(directory: &Path) {
    let Ok(names) = File::open(directory) else { return };
    if names.try_lock().is_err() {
        return;
    }
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let Ok(kind) = entry.file_type() else { continue };
        if !is_temporary(&entry.file_name().to_string_lossy()) || !(kind.is_dir() || kind.is_file()) {
            continue;
        }
        let path = entry.path();
        let is_free = File::open(&path).is_ok_and(|file| file.try_lock().is_ok());
        if is_free {
            let _ = if kind.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        }
    }
}

/// Whether kiln gives such names: nothing of the user's may be taken for one.
pub(super) fn is_temporary(name: &str) -> bool {
    let random = name.strip_prefix(TEMP_PREFIX);
    random.is_some_and(|random| {
        random.len() == RANDOM && random.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_claim_is_respected_as_long_as_it_is_held() {
        let directory = tempfile::tempdir().unwrap();
        let first = claim_dir(directory.path()).unwrap();
        let second = claim_file(directory.path()).unwrap();
        let third = claim_file(directory.path()).unwrap();
        assert_eq!(names(directory.path()).len(), 3, "nobody took them for leftovers");
        assert!(names(directory.path()).iter().all(|name| is_temporary(name)));
        drop((first, second, third));
        assert!(names(directory.path()).is_empty());
    }

    #[test]
    fn what_was_left_is_removed_by_the_next_claim_and_nothing_else_is() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::create_dir_all(at(".kiln-tmp-aB3dEf/blobs")).unwrap();
        fs::write(at(".kiln-tmp-aaaaaa"), "half").unwrap();
        std::os::unix::fs::symlink("/", at(".kiln-tmp-bbbbbb")).unwrap();
        for name in [".kiln-tmp-aaaaaaa", ".kiln-tmp-aaa.aa", ".kiln-aaaaaa", "kiln-tmp-aaaaaa"] {
            fs::write(at(name), "mine").unwrap();
        }
        drop(claim_file(directory.path()).unwrap());
        assert_eq!(
            names(directory.path()),
            [".kiln-aaaaaa", ".kiln-tmp-aaa.aa", ".kiln-tmp-aaaaaaa", ".kiln-tmp-bbbbbb", "kiln-tmp-aaaaaa"]
        );
    }

    #[test]
    fn somebody_elses_lock_on_the_directory_is_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let theirs = File::open(directory.path()).unwrap();
        theirs.lock().unwrap();
        drop((claim_file(directory.path()).unwrap(), claim_dir(directory.path()).unwrap()));
        assert!(names(directory.path()).is_empty());
    }

    #[test]
    fn nobody_looks_while_a_name_is_made() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(".kiln-tmp-aaaaaa"), "new, and not locked yet").unwrap();
        let making = share(directory.path()).unwrap();
        remove_leftovers(directory.path());
        assert_eq!(names(directory.path()).len(), 1);
        drop(making);
        remove_leftovers(directory.path());
        assert!(names(directory.path()).is_empty());
    }
}
