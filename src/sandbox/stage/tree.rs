//! The tree of an image, made from entries as they come, parents first.
//!
//! Every entry is made by its name in the directory that holds it, and that directory is opened from the top without
//! following any link or leaving the tree (openat2(2)): whatever the image says, nothing outside is touched.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, ResolveFlags, Timespec, Timestamps, Uid, XattrFlags, chownat,
    fchmod, fchown, fsetxattr, futimens, linkat, mkdirat, mknodat, openat, openat2, symlinkat,
};
use rustix::io::Errno;

use super::{Failed, Step, step};
use crate::path::Escaped;
use crate::sandbox::message::{Content, IdNumber, LeftOut, Meta, Request, WhyLeftOut};
use crate::sandbox::wire::{self, Bytes};

/// Extended attributes that mean something to programs; those of security modules are the machine's own.
const ATTRIBUTES: [&[u8]; 2] = [b"user.", b"security.capability"];

/// A tree that grows.
pub(super) struct Tree {
    root: OwnedFd,
    ids: IdNumber,
    /// The directory that was used last: entries come in the order of their paths.
    last: Option<(Vec<u8>, OwnedFd)>,
    /// Directories, to be given their modes when nothing more is written into them.
    directories: Vec<(Bytes, Meta)>,
    left_out: Vec<LeftOut>,
}

impl Tree {
    /// Makes the empty directory `name` in the current one.
    pub(super) fn create(name: &str, ids: IdNumber) -> Result<Self, Failed> {
        step(Step::Unpack, name, mkdirat(CWD, name, Mode::RWXU))?;
        let root = step(Step::Unpack, name, openat(CWD, name, DIRECTORY, Mode::empty()))?;
        Ok(Self { root, ids, last: None, directories: Vec::new(), left_out: Vec::new() })
    }

    /// Makes the entry that `request` is; a file's content is read from `input`.
    pub(super) fn add(&mut self, request: Request, input: impl Read) -> Result<(), Failed> {
        match request {
            Request::Directory(path, meta) => {
                if !path.0.is_empty() {
                    self.make(&path, |parent, name| mkdirat(parent, name, Mode::RWXU))?;
                }
                self.directories.push((path, meta));
                Ok(())
            }
            Request::File(path, meta, content) => {
                let flags =
                    OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let made =
                    self.make(&path, |parent, name| openat(parent, name, flags, Mode::RUSR | Mode::WUSR))?;
                let file = File::from(made);
                of(&path, fill(&file, &content, input))?;
                self.give(&path, &file, &meta)
            }
            Request::Hardlink { path, target } => {
                let (directory, name) = split(&target.0);
                let from = of(&target, self.open(directory))?;
                self.make(&path, |parent, new| linkat(&from, name, parent, new, AtFlags::empty()))
            }
            Request::Symlink { path, target, meta } => {
                self.make(&path, |parent, name| symlinkat(target.0.as_slice(), parent, name))?;
                self.own_name(&path, &meta)
            }
            Request::Fifo(path, meta) => {
                let mode = Mode::from_raw_mode(meta.mode);
                self.make(&path, |parent, name| mknodat(parent, name, FileType::Fifo, mode, 0))?;
                self.own_name(&path, &meta)
            }
            _ => Err(Failed::new(Step::Talk, "", &io::ErrorKind::InvalidData.into())),
        }
    }

    /// Gives directories what they are to have; says what could not be made.
    pub(super) fn finish(mut self) -> Result<Vec<LeftOut>, Failed> {
        let directories = std::mem::take(&mut self.directories);
        // The deepest first: a directory that may not be searched hides what is below it.
        for (path, meta) in directories.into_iter().rev() {
            let directory = of(&path, self.open(&path.0))?;
            self.give(&path, &directory, &meta)?;
        }
        self.left_out.sort();
        Ok(self.left_out)
    }

    /// Makes `path` by its name in the directory that holds it.
    fn make<T>(
        &mut self,
        path: &Bytes,
        make: impl FnOnce(BorrowedFd<'_>, &[u8]) -> Result<T, Errno>,
    ) -> Result<T, Failed> {
        let (directory, name) = split(&path.0);
        of(path, self.parent(directory).and_then(|parent| make(parent, name)))
    }

    fn parent(&mut self, directory: &[u8]) -> Result<BorrowedFd<'_>, Errno> {
        if self.last.as_ref().is_none_or(|(path, _)| path != directory) {
            self.last = Some((directory.to_vec(), self.open(directory)?));
        }
        let (_, opened) = self.last.as_ref().unwrap_or_else(|| unreachable!("just set"));
        Ok(opened.as_fd())
    }

    fn open(&self, directory: &[u8]) -> Result<OwnedFd, Errno> {
        let path: &[u8] = if directory.is_empty() { b"." } else { directory };
        let how = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
        openat2(&self.root, path, DIRECTORY, Mode::empty(), how)
    }

    /// Owner, attributes, mode and time of what is open; in this order, as each undoes those after it.
    fn give(&mut self, path: &Bytes, file: impl AsFd, meta: &Meta) -> Result<(), Failed> {
        if self.ids == IdNumber::Many {
            let owner = fchown(&file, Some(Uid::from_raw(meta.uid)), Some(Gid::from_raw(meta.gid)));
            self.note(path, owner, WhyLeftOut::Owner)?;
        }
        of(path, fchmod(&file, Mode::from_raw_mode(meta.mode)))?;
        for (name, value) in &meta.xattrs {
            if ATTRIBUTES.iter().any(|known| name.0.starts_with(known)) {
                let set = fsetxattr(&file, name.0.as_slice(), &value.0, XattrFlags::empty());
                self.note(path, set, WhyLeftOut::Attribute)?;
            }
        }
        let time = Timespec { tv_sec: i64::try_from(meta.mtime).unwrap_or(0), tv_nsec: 0 };
        of(path, futimens(&file, &Timestamps { last_access: time, last_modification: time }))
    }

    /// The owner of what cannot be opened: a link, a pipe.
    fn own_name(&mut self, path: &Bytes, meta: &Meta) -> Result<(), Failed> {
        if self.ids == IdNumber::One {
            return Ok(());
        }
        let (directory, name) = split(&path.0);
        let (uid, gid) = (Uid::from_raw(meta.uid), Gid::from_raw(meta.gid));
        let parent = of(path, self.parent(directory))?;
        let owner = chownat(parent, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW);
        self.note(path, owner, WhyLeftOut::Owner)
    }

    /// Remembers what the kernel does not allow here; anything else is an error.
    fn note(&mut self, path: &Bytes, result: Result<(), Errno>, why: WhyLeftOut) -> Result<(), Failed> {
        match result {
            Err(Errno::INVAL | Errno::PERM | Errno::NOTSUP) => {
                self.left_out.push(LeftOut { path: path.clone(), why });
                Ok(())
            }
            other => of(path, other),
        }
    }
}

const DIRECTORY: OFlags =
    OFlags::DIRECTORY.union(OFlags::RDONLY).union(OFlags::CLOEXEC).union(OFlags::NOFOLLOW);

fn of<T, E: Into<io::Error>>(path: &Bytes, result: Result<T, E>) -> Result<T, Failed> {
    result.map_err(|error| Failed::new(Step::Unpack, format!("/{}", Escaped::new(&path.0)), &error.into()))
}

/// The directory and the name of a path without a leading `/`.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(at) => (path.get(..at).unwrap_or_default(), path.get(at + 1..).unwrap_or_default()),
        None => (b"", path),
    }
}

/// Writes the pieces that follow to where they belong.
fn fill(mut file: &File, content: &Content, mut input: impl Read) -> io::Result<()> {
    let mut regions = content.map.iter().flatten();
    let mut left = if content.map.is_some() { 0 } else { content.size };
    let mut piece = Vec::new();
    loop {
        wire::receive_piece(&mut input, &mut piece)?;
        if piece.is_empty() {
            return file.set_len(content.size);
        }
        let mut rest = piece.as_slice();
        while !rest.is_empty() {
            if left == 0 {
                let &(offset, length) = regions.next().ok_or(io::ErrorKind::InvalidData)?;
                file.seek(SeekFrom::Start(offset))?;
                left = length;
                continue;
            }
            let take = usize::try_from(left).map_or(rest.len(), |left| left.min(rest.len()));
            let (now, later) = rest.split_at(take);
            file.write_all(now)?;
            left -= take as u64;
            rest = later;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    fn meta() -> Meta {
        Meta { mode: 0o755, uid: 0, gid: 0, mtime: 0, xattrs: Vec::new() }
    }

    /// A tree in a directory of its own, beside a directory that must stay as it is.
    fn tree(directory: &std::path::Path) -> Tree {
        let inside = directory.join("lower");
        std::fs::create_dir(&inside).unwrap();
        std::fs::create_dir(directory.join("outside")).unwrap();
        let root = openat(CWD, &inside, DIRECTORY, Mode::empty()).unwrap();
        Tree { root, ids: IdNumber::One, last: None, directories: Vec::new(), left_out: Vec::new() }
    }

    fn bytes(text: &str) -> Bytes {
        Bytes(text.as_bytes().to_vec())
    }

    #[test]
    fn nothing_is_made_through_a_link_or_above_the_top() {
        let directory = tempfile::tempdir().unwrap();
        let mut tree = tree(directory.path());
        let (near, _far) = UnixStream::pair().unwrap();
        for (name, target) in [("up", "../outside"), ("abs", directory.path().to_str().unwrap())] {
            let link = Request::Symlink { path: bytes(name), target: bytes(target), meta: meta() };
            tree.add(link, &near).unwrap();
            for path in [format!("{name}/x"), format!("{name}/outside/x")] {
                let failed = tree.add(Request::Directory(bytes(&path), meta()), &near).unwrap_err();
                assert_ne!(failed.errno, 0, "{path}");
            }
        }
        for path in ["../outside/x", "..", "a/../../x"] {
            assert!(tree.add(Request::Directory(bytes(path), meta()), &near).is_err(), "{path}");
            let link = Request::Hardlink { path: bytes("own"), target: bytes(path) };
            assert!(tree.add(link, &near).is_err(), "{path}");
        }
        assert_eq!(std::fs::read_dir(directory.path().join("outside")).unwrap().count(), 0);
    }

    #[test]
    fn stored_bytes_of_a_sparse_file_land_in_their_regions() {
        let mut file = tempfile::tempfile().unwrap();
        let (near, far) = UnixStream::pair().unwrap();
        for piece in [&b"ab"[..], b"cde", b""] {
            wire::send_piece(&near, piece).unwrap();
        }
        fill(&file, &Content { size: 12, map: Some(vec![(2, 4), (10, 1)]) }, &far).unwrap();
        let mut found = Vec::new();
        file.seek(SeekFrom::Start(0)).unwrap();
        Read::read_to_end(&mut file, &mut found).unwrap();
        assert_eq!(found, b"\0\0abcd\0\0\0\0e\0");
    }

    #[test]
    fn more_bytes_than_a_file_has_are_an_error() {
        let file = tempfile::tempfile().unwrap();
        let (near, far) = UnixStream::pair().unwrap();
        wire::send_piece(&near, b"abc").unwrap();
        assert!(fill(&file, &Content { size: 2, map: None }, &far).is_err());
    }
}
