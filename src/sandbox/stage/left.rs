//! The files and links of the upper directory: what a container wrote and has not removed.
//!
//! Opens no file. What went into mounts is not there, and what only a directory became is `changes`'.

use std::os::fd::OwnedFd;

use rustix::fs::{CWD, FileType, Mode, OFlags, Stat, openat, readlinkat};

use super::changes::{names, open, stat};
use super::{Failed, Step, step};
use crate::sandbox::left::{Left, Stamp};
use crate::sandbox::wire::Bytes;

/// Most that are listed; who wrote more has written data, and nobody asks for that.
const MOST: usize = 100_000;

/// What is in `upper`, sorted.
pub(super) fn list(upper: &str) -> Result<Vec<Left>, Failed> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = openat(CWD, upper, flags, Mode::empty());
    Ok(walk(&step(Step::Changes, "", root)?))
}

fn walk(root: &OwnedFd) -> Vec<Left> {
    let mut left = Vec::new();
    let mut pending = vec![Vec::new()];
    while let Some(directory) = pending.pop() {
        // An app that runs removes what was just named.
        let Ok(paths) = names(root, &directory) else { continue };
        for path in paths {
            let Ok(now) = stat(root, &path) else { continue };
            let target = match FileType::from_raw_mode(now.st_mode) {
                FileType::Directory => {
                    pending.push(path);
                    continue;
                }
                FileType::RegularFile => None,
                FileType::Symlink => {
                    match open(root, &path, OFlags::PATH).map(|link| readlinkat(link, "", Vec::new())) {
                        Ok(Ok(target)) => Some(Bytes(target.into_bytes())),
                        _ => continue,
                    }
                }
                _ => continue,
            };
            if left.len() < MOST {
                left.push(entry(path, &now, target));
            }
        }
    }
    left.sort_by(|a, b| a.path.cmp(&b.path));
    left
}

fn entry(path: Vec<u8>, now: &Stat, target: Option<Bytes>) -> Left {
    Left {
        path: Bytes(path),
        mode: now.st_mode & 0o7777,
        uid: now.st_uid,
        gid: now.st_gid,
        stamp: Stamp {
            inode: now.st_ino,
            size: u64::try_from(now.st_size).unwrap_or(0),
            modified: (now.st_mtime, now.st_mtime_nsec),
            changed: (now.st_ctime, now.st_ctime_nsec),
        },
        target,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn files_and_links_are_listed_and_a_change_shows() {
        let directory = tempfile::tempdir().unwrap();
        let upper = directory.path();
        fs::create_dir_all(upper.join("etc/empty")).unwrap();
        fs::write(upper.join("etc/app.conf"), "a").unwrap();
        symlink("/etc", upper.join("link")).unwrap();
        let list = || list(upper.to_str().unwrap()).unwrap();
        let before = list();
        let told: Vec<_> = before.iter().map(|left| String::from_utf8_lossy(&left.path.0)).collect();
        assert_eq!(told, ["etc/app.conf", "link"]);
        assert_eq!(before[1].target, Some(Bytes(b"/etc".to_vec())));
        assert_eq!(before, list());
        // As `sed -i` does: the same bytes, another file.
        fs::write(upper.join("new"), "a").unwrap();
        fs::rename(upper.join("new"), upper.join("etc/app.conf")).unwrap();
        assert_ne!(before, list());
    }
}
