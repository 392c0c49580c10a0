//! `/dev` of a container: the machine's harmless devices, terminals of its own, and the links that programs expect.
//!
//! Makes no device: that is not allowed in a user namespace, so the machine's own are mounted.

use std::os::fd::OwnedFd;

use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat, symlinkat};
use rustix::mount::{MountAttrFlags, OpenTreeFlags, open_tree};

use super::init::{attach, new_mount};
use super::{Failed, Step, step};
use crate::sandbox::message::IdNumber;
use crate::sandbox::settings::SHM_SIZE;

/// The devices of the OCI runtime specification ("Default Devices").
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// And its links.
const LINKS: [(&str, &str); 6] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
    ("core", "/proc/kcore"),
];

/// The directory, mounted nowhere yet.
pub(super) fn make() -> Result<OwnedFd, Failed> {
    let dev = new_mount("tmpfs", &[("mode", "755"), ("size", "64k")], MountAttrFlags::MOUNT_ATTR_NOSUID);
    step(Step::Mount, "/dev", dev)
}

/// Fills it once it is mounted.
pub(super) fn fill(dev: &OwnedFd, ids: IdNumber) -> Result<(), Failed> {
    for name in DEVICES {
        let clone = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let device = step(Step::Mount, name, open_tree(CWD, format!("/dev/{name}"), clone))?;
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        let target = step(Step::MountPoint, name, openat(dev, name, flags, Mode::from_raw_mode(0o666)))?;
        step(Step::Mount, name, attach(&device, &target))?;
    }
    for (name, target) in LINKS {
        step(Step::MountPoint, name, symlinkat(target, dev, name))?;
    }
    let quiet = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let size = SHM_SIZE.to_string();
    let shm = [("mode", "1777"), ("size", size.as_str())];
    place(dev, "shm", "tmpfs", &shm, quiet | MountAttrFlags::MOUNT_ATTR_NODEV)?;
    place(dev, "mqueue", "mqueue", &[], quiet | MountAttrFlags::MOUNT_ATTR_NODEV)?;
    // Group 5 is `tty` in every distribution; there is none with a single id.
    let terminals = [("ptmxmode", "0666"), ("mode", "0620"), ("gid", "5")];
    let options = if ids == IdNumber::Many { terminals.as_slice() } else { terminals.split_at(2).0 };
    place(dev, "pts", "devpts", options, quiet)
}

fn place(
    dev: &OwnedFd,
    name: &str,
    kind: &str,
    options: &[(&str, &str)],
    attributes: MountAttrFlags,
) -> Result<(), Failed> {
    step(Step::MountPoint, name, mkdirat(dev, name, Mode::from_raw_mode(0o755)))?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let target = step(Step::MountPoint, name, openat(dev, name, flags, Mode::empty()))?;
    let mount = step(Step::Mount, name, new_mount(kind, options, attributes))?;
    step(Step::Mount, name, attach(&mount, &target))
}
