//! Which path of the image a call means: relative to what the process stands in, links followed inside it.
//!
//! Links are followed by the kernel (`openat2` with `RESOLVE_IN_ROOT`), as if the container's root were the only one:
//! nothing of the image leads out of it.

use std::os::fd::OwnedFd;

use nix::unistd::Pid;
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};

use super::proc;
use crate::path::ImagePath;

/// `AT_FDCWD`.
const HERE: i32 = -100;

/// The container's file system, as its first process has it.
#[derive(Debug)]
pub(super) struct Root(OwnedFd);

/// Whether absolute paths mean the same to all processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Roots {
    /// They do: none has changed its root directory.
    One,
    /// Each is to be asked.
    Several,
}

/// Whether a link at the end of a path is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Last {
    /// It is.
    Followed,
    /// It is not.
    Kept,
}

impl Root {
    /// The root directory of `pid`.
    pub(super) fn of(pid: Pid) -> Option<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::open(format!("/proc/{pid}/root"), flags, Mode::empty()).ok().map(Self)
    }

    /// `path` as `pid` means it relative to `directory`: absolute, no link followed.
    pub(super) fn absolute(pid: Pid, roots: Roots, directory: i32, path: &[u8]) -> Option<Vec<u8>> {
        let base = if path.first() == Some(&b'/') {
            match roots {
                Roots::One => Vec::new(),
                // Below a root of its own where the process has one.
                Roots::Several => {
                    proc::link(pid, "root").map(|root| if root == b"/" { Vec::new() } else { root })?
                }
            }
        } else if directory == HERE {
            proc::link(pid, "cwd")?
        } else {
            proc::descriptor(pid, directory)?
        };
        if path.is_empty() {
            return Some(base);
        }
        Some([base.as_slice(), b"/", path].concat())
    }

    /// Where `absolute` is, links followed as far as names exist.
    pub(super) fn resolve(&self, absolute: &[u8], last: Last) -> Option<ImagePath> {
        if last == Last::Followed
            && let Some(path) = self.real(absolute)
        {
            return Some(path);
        }
        let (parent, name) = split(absolute);
        if matches!(name, b"." | b".." | b"") {
            return self.real(absolute).or_else(|| tidy(absolute));
        }
        match self.real(parent) {
            Some(parent) => Some(parent.child(name)),
            None => tidy(absolute),
        }
    }

    /// What is at `absolute`, all links followed; `None` where nothing is.
    pub(super) fn real(&self, absolute: &[u8]) -> Option<ImagePath> {
        let file = self.open(absolute)?;
        let path = rustix::fs::readlink(format!("/proc/self/fd/{}", raw(&file)), Vec::new()).ok()?;
        named(path.as_bytes())
    }

    /// Whether something is at `absolute`, links followed.
    pub(super) fn has(&self, absolute: &[u8]) -> bool {
        self.open(absolute).is_some()
    }

    /// Bytes on disk of the file at `path`, where it is a regular one.
    pub(super) fn bytes(&self, path: &ImagePath) -> Option<u64> {
        let file = self.open(&path.absolute())?;
        let status = rustix::fs::fstat(&file).ok()?;
        let regular = rustix::fs::FileType::from_raw_mode(status.st_mode).is_file();
        // In units of 512 bytes, whatever the file system's are.
        regular.then(|| u64::try_from(status.st_blocks).unwrap_or(0).saturating_mul(512))
    }

    fn open(&self, absolute: &[u8]) -> Option<OwnedFd> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        openat2(&self.0, absolute, flags, Mode::empty(), ResolveFlags::IN_ROOT).ok()
    }
}

fn raw(file: &OwnedFd) -> i32 {
    use std::os::fd::AsRawFd as _;
    file.as_raw_fd()
}

/// The path of a descriptor's text; `None` for what has none: a pipe, a socket, a file without a name.
pub(super) fn named(text: &[u8]) -> Option<ImagePath> {
    if text.first() != Some(&b'/') || text.ends_with(b" (deleted)") || text.starts_with(b"/memfd:") {
        return None;
    }
    tidy(text)
}

/// `absolute` without `.`, `..` and doubled slashes, and with the numbers of processes taken out: they are chance.
pub(super) fn tidy(absolute: &[u8]) -> Option<ImagePath> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in absolute.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    if parts.first() == Some(&b"proc".as_slice()) {
        let mut before: &[u8] = b"proc";
        for part in parts.iter_mut().skip(1) {
            let number = !part.is_empty() && part.iter().all(u8::is_ascii_digit);
            if number && matches!(before, b"proc" | b"task") {
                *part = b"PID";
            }
            before = part;
        }
    }
    ImagePath::parse(&parts.join(&b'/')).ok()
}

fn split(path: &[u8]) -> (&[u8], &[u8]) {
    let path = path.strip_suffix(b"/").unwrap_or(path);
    let at = path.iter().rposition(|&byte| byte == b'/').map_or(0, |at| at.saturating_add(1));
    path.split_at(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_place_are_one() {
        for text in ["/var/./lib//x", "/var/lib/y/../x", "/../var/lib/x"] {
            assert_eq!(tidy(text.as_bytes()), Some(ImagePath::literal("/var/lib/x")), "{text}");
        }
        assert_eq!(split(b"/a/b/"), (b"/a/".as_slice(), b"b".as_slice()));
        assert_eq!(split(b"b"), (b"".as_slice(), b"b".as_slice()));
    }

    #[test]
    fn numbers_of_processes_are_taken_out() {
        let of = |text: &str| tidy(text.as_bytes()).unwrap().to_string();
        assert_eq!(of("/proc/12/task/13/comm"), "/proc/PID/task/PID/comm");
        assert_eq!(of("/proc/self/fd/1"), "/proc/self/fd/1");
        assert_eq!(of("/srv/12"), "/srv/12");
    }

    #[test]
    fn what_has_no_name_has_no_path() {
        for text in
            ["pipe:[12]", "socket:[7]", "/memfd:x (deleted)", "/tmp/#71 (deleted)", "anon_inode:[eventfd]"]
        {
            assert_eq!(named(text.as_bytes()), None, "{text}");
        }
    }
}
