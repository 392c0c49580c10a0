//! What a container wrote: the upper directory of the overlay, read as a list.
//!
//! Misses what was made and removed again, and what went into mounts. Knows how overlayfs marks things
//! (Documentation/filesystems/overlayfs.rst, with `userxattr`).

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{CWD, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, fgetxattr, fstat, openat, openat2};

use super::{Failed, Step, step};
use crate::sandbox::message::{Change, ChangeKind};
use crate::sandbox::wire::Bytes;

/// Marks a directory that hides the one below it.
const OPAQUE: &str = "user.overlay.opaque";

/// Most changes that are listed; a run that writes more has not been understood anyway.
const MOST: usize = 500_000;

/// What differs between `upper` and `lower`, sorted; without what was `made` for mounts.
pub(super) fn list(upper: &str, lower: &str, made: &[Bytes]) -> Result<Vec<Change>, Failed> {
    let changes = Trees::open(upper, lower).and_then(|trees| trees.changes(made));
    step(Step::Changes, "", changes)
}

/// The two directories. What is in them is never found by a path that the machine resolves: links are the image's.
struct Trees {
    upper: OwnedFd,
    lower: OwnedFd,
}

impl Trees {
    fn open(upper: &str, lower: &str) -> io::Result<Self> {
        let open =
            |path: &str| openat(CWD, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        Ok(Self { upper: open(upper)?, lower: open(lower)? })
    }

    fn changes(&self, made: &[Bytes]) -> io::Result<Vec<Change>> {
        let mut changes = Vec::new();
        let mut pending = vec![Vec::new()];
        while let Some(directory) = pending.pop() {
            for path in names(&self.upper, &directory)? {
                let (kind, is_directory) = self.change(&path)?;
                let path = Bytes(path);
                if let Some(kind) = kind.filter(|_| changes.len() < MOST && !made.contains(&path)) {
                    changes.push(Change { path: path.clone(), kind });
                }
                if is_directory {
                    self.hidden(&path.0, &mut changes)?;
                    pending.push(path.0);
                }
            }
        }
        changes.sort();
        Ok(changes)
    }

    /// What happened to one path, and whether it is a directory now.
    fn change(&self, path: &[u8]) -> io::Result<(Option<ChangeKind>, bool)> {
        let now = stat(&self.upper, path)?;
        let before = stat(&self.lower, path).ok();
        if is_whiteout(&now) {
            return Ok((before.map(|_| ChangeKind::Deleted), false));
        }
        let Some(before) = before else { return Ok((Some(ChangeKind::Created), is_directory(&now))) };
        if !is_directory(&now) || !is_directory(&before) {
            return Ok((Some(ChangeKind::Changed), is_directory(&now)));
        }
        // A directory is copied up for what is written in it; that alone is no change of its own.
        let facts = |stat: &Stat| (stat.st_mode, stat.st_uid, stat.st_gid);
        let is_changed = facts(&now) != facts(&before) || self.is_opaque(path);
        Ok((is_changed.then_some(ChangeKind::Changed), true))
    }

    /// Adds what an opaque directory hides: it is gone.
    fn hidden(&self, directory: &[u8], changes: &mut Vec<Change>) -> io::Result<()> {
        if !self.is_opaque(directory) || !stat(&self.lower, directory).is_ok_and(|stat| is_directory(&stat)) {
            return Ok(());
        }
        for path in names(&self.lower, directory)? {
            if changes.len() < MOST && stat(&self.upper, &path).is_err() {
                changes.push(Change { path: Bytes(path), kind: ChangeKind::Deleted });
            }
        }
        Ok(())
    }

    fn is_opaque(&self, path: &[u8]) -> bool {
        let mut value = [0u8; 1];
        let found = open(&self.upper, path, OFlags::RDONLY | OFlags::DIRECTORY)
            .and_then(|directory| Ok(fgetxattr(directory, OPAQUE, &mut value)?));
        found.is_ok_and(|length| value.get(..length) == Some(b"y"))
    }
}

/// Opens `path` below `root`, through no link.
pub(super) fn open(root: &OwnedFd, path: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
    let path: &[u8] = if path.is_empty() { b"." } else { path };
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    Ok(openat2(root, path, flags, Mode::empty(), ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS)?)
}

pub(super) fn stat(root: &OwnedFd, path: &[u8]) -> io::Result<Stat> {
    Ok(fstat(open(root, path, OFlags::PATH)?)?)
}

/// The paths of what is in a directory.
pub(super) fn names(root: &OwnedFd, directory: &[u8]) -> io::Result<Vec<Vec<u8>>> {
    let opened = open(root, directory, OFlags::RDONLY | OFlags::DIRECTORY)?;
    let mut paths = Vec::new();
    for entry in Dir::read_from(opened)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if !matches!(name, b"." | b"..") {
            paths.push(if directory.is_empty() { name.to_vec() } else { [directory, b"/", name].concat() });
        }
    }
    Ok(paths)
}

fn is_directory(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

fn is_whiteout(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn directories_on_the_way_are_no_change() {
        let directory = tempfile::tempdir().unwrap();
        let [upper, lower] = ["upper", "lower"].map(|name| directory.path().join(name));
        for path in
            ["lower/etc/app", "lower/var", "upper/etc/app", "upper/var", "upper/new/deep", "upper/link"]
        {
            fs::create_dir_all(directory.path().join(path)).unwrap();
        }
        for path in
            ["lower/etc/app/a", "upper/etc/app/a", "upper/etc/app/b", "upper/new/deep/c", "upper/made"]
        {
            fs::write(directory.path().join(path), path).unwrap();
        }
        // In the image a link out of it; what it leads to is no part of the image.
        std::os::unix::fs::symlink(directory.path().join("lower/etc"), lower.join("link")).unwrap();
        fs::write(upper.join("link/app"), "").unwrap();
        let mode: fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        fs::set_permissions(upper.join("var"), mode).unwrap();
        let found =
            list(upper.to_str().unwrap(), lower.to_str().unwrap(), &[Bytes(b"made".to_vec())]).unwrap();
        let found: Vec<_> =
            found.iter().map(|change| (String::from_utf8_lossy(&change.path.0), change.kind)).collect();
        let expected = [
            ("etc/app/a", ChangeKind::Changed),
            ("etc/app/b", ChangeKind::Created),
            ("link", ChangeKind::Changed),
            ("link/app", ChangeKind::Created),
            ("new", ChangeKind::Created),
            ("new/deep", ChangeKind::Created),
            ("new/deep/c", ChangeKind::Created),
            ("var", ChangeKind::Changed),
        ];
        assert_eq!(found, expected.map(|(path, kind)| (path.into(), kind)));
    }
}
