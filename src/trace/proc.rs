//! What `/proc` says of a process: its ids, its directory, what its descriptors are.
//!
//! Text of the kernel's only. Ids are told as the process itself sees them, whatever user namespace it is in.

use std::io::Read as _;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;

use nix::unistd::Pid;
use rustix::process::{PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

/// Longest text read: a status of a process in the most groups that Linux allows (65,536) is shorter.
const MAX_TEXT: u64 = 1 << 20;

/// A process as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Status {
    /// Its thread group: the process that a thread belongs to, as the reader numbers it.
    pub(super) process: i32,
    /// Its parent, as the reader numbers it.
    pub(super) parent: i32,
    /// Effective user.
    pub(super) uid: u32,
    /// Effective group.
    pub(super) gid: u32,
    /// Supplementary groups.
    pub(super) groups: Vec<u32>,
    /// Mode bits that new files do not get.
    pub(super) umask: u32,
}

/// The status of `pid`; `None` where it is gone.
pub(super) fn status(pid: Pid) -> Option<Status> {
    Some(parse_status(&text(pid, "status")?))
}

/// As [`status`], with ids as the process sees them.
pub(super) fn status_inside(pid: Pid) -> Option<Status> {
    let mut status = status(pid)?;
    let users = parse_map(&text(pid, "uid_map")?);
    let groups = parse_map(&text(pid, "gid_map")?);
    status.uid = inside(&users, status.uid);
    status.gid = inside(&groups, status.gid);
    for group in &mut status.groups {
        *group = inside(&groups, *group);
    }
    Some(status)
}

/// The numbers of the process and of the thread `pid` in their own namespace.
pub(super) fn inner_numbers(pid: Pid) -> Option<(u32, u32)> {
    let text = text(pid, "status")?;
    let last = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().last()?.parse().ok()
    };
    Some((last("NStgid:")?, last("NSpid:")?))
}

/// Whether `signal` waits for the thread `pid`.
pub(super) fn is_pending(pid: Pid, signal: i32) -> bool {
    let text = text(pid, "status").unwrap_or_default();
    let set = text.lines().find_map(|line| line.strip_prefix("SigPnd:"));
    let set = set.and_then(|set| u64::from_str_radix(set.trim(), 16).ok()).unwrap_or(0);
    u32::try_from(signal).is_ok_and(|signal| signal >= 1 && set >> (signal - 1) & 1 == 1)
}

/// Where code is mapped: first address, and the first behind it.
pub(super) fn code(pid: Pid) -> Vec<(u64, u64)> {
    let maps = text(pid, "maps").unwrap_or_default();
    let mapping = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let (from, to) = fields.next()?.split_once('-')?;
        fields.next().filter(|permissions| permissions.starts_with("r-x"))?;
        Some((u64::from_str_radix(from, 16).ok()?, u64::from_str_radix(to, 16).ok()?))
    };
    maps.lines().filter_map(mapping).collect()
}

/// Where the link `name` of `pid` leads, as the kernel writes it.
pub(super) fn link(pid: Pid, name: &str) -> Option<Vec<u8>> {
    let path = std::fs::read_link(format!("/proc/{pid}/{name}")).ok()?;
    Some(path.into_os_string().into_vec())
}

/// Where the descriptor of the thread `pid` leads.
pub(super) fn descriptor(pid: Pid, descriptor: i32) -> Option<Vec<u8>> {
    link(pid, &format!("fd/{descriptor}")).or_else(|| {
        // The directory of descriptors is closed to who is neither root nor of the process' user; its tracer may borrow them.
        let lent = lend(status(pid)?.process, descriptor)?;
        let path = std::fs::read_link(format!("/proc/self/fd/{}", lent.as_raw_fd())).ok()?;
        Some(path.into_os_string().into_vec())
    })
}

/// What is behind `descriptor` of `process`, lent by the kernel.
pub(super) fn lend(process: i32, descriptor: i32) -> Option<OwnedFd> {
    let process = pidfd_open(rustix::process::Pid::from_raw(process)?, PidfdFlags::empty()).ok()?;
    pidfd_getfd(process, descriptor, PidfdGetfdFlags::empty()).ok()
}

/// A file of `pid`'s directory.
pub(super) fn text(pid: Pid, name: &str) -> Option<String> {
    let file = std::fs::File::open(format!("/proc/{pid}/{name}")).ok()?;
    // Most are shorter than this, and are had at once.
    let mut bytes = Vec::with_capacity(4096);
    file.take(MAX_TEXT).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn parse_status(text: &str) -> Status {
    let mut status = Status::default();
    for line in text.lines() {
        let Some((name, value)) = line.split_once(':') else { continue };
        let mut fields = value.split_whitespace();
        match name {
            "Tgid" => status.process = number(fields.next()),
            "PPid" => status.parent = number(fields.next()),
            // Real, effective, saved, of the file system.
            "Uid" => status.uid = number(fields.nth(1)),
            "Gid" => status.gid = number(fields.nth(1)),
            "Groups" => status.groups = fields.filter_map(|field| field.parse().ok()).collect(),
            "Umask" => {
                status.umask =
                    fields.next().and_then(|field| u32::from_str_radix(field, 8).ok()).unwrap_or_default();
            }
            _ => {}
        }
    }
    status
}

fn number<N: std::str::FromStr + Default>(field: Option<&str>) -> N {
    field.and_then(|field| field.parse().ok()).unwrap_or_default()
}

/// A line of `uid_map`: ids from `inside` on are `outside` on, for `count` of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mapped {
    inside: u32,
    outside: u32,
    count: u32,
}

fn parse_map(text: &str) -> Vec<Mapped> {
    text.lines()
        .filter_map(|line| {
            let mut fields = line.split_whitespace().map(str::parse);
            let mut next = || fields.next()?.ok();
            Some(Mapped { inside: next()?, outside: next()?, count: next()? })
        })
        .collect()
}

fn inside(map: &[Mapped], id: u32) -> u32 {
    map.iter()
        .find_map(|line| {
            let offset = id.checked_sub(line.outside).filter(|offset| *offset < line.count)?;
            line.inside.checked_add(offset)
        })
        .unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_is_read_by_its_names() {
        let text = "Name:\tnginx\nUmask:\t0027\nTgid:\t71\nPid:\t72\nPPid:\t1\nUid:\t0\t33\t0\t0\nGid:\t0\t34\t0\t0\n\
            Groups:\t4 33 \nVmPeak:\t1 kB\n";
        let expect = Status { process: 71, parent: 1, uid: 33, gid: 34, groups: vec![4, 33], umask: 0o27 };
        assert_eq!(parse_status(text), expect);
        assert_eq!(parse_status("nothing of the kind"), Status::default());
    }

    #[test]
    fn ids_are_told_as_the_process_sees_them() {
        let map = parse_map("         0       1000          1\n         1     100000      65536\n");
        assert_eq!(inside(&map, 1000), 0);
        assert_eq!(inside(&map, 100_032), 33);
        assert_eq!(inside(&map, 7), 7, "an id that is not mapped stays");
        assert_eq!(inside(&parse_map("0 0 4294967295"), 33), 33);
    }
}
