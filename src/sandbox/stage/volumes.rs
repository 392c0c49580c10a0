//! Volumes: empty directories over the image, of one container or shared by several.
//!
//! Shared ones are mounted by the server, in a mount namespace that is made for them, which every container's begins as a copy of.

use std::os::fd::{AsRawFd as _, OwnedFd};

use nix::sched::CloneFlags;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags, chmodat, fchmod, mkdirat, openat, openat2};
use rustix::io::Errno;
use rustix::mount::{
    MountAttrFlags, MountFlags, MountPropagationFlags, OpenTreeFlags, UnmountFlags, mount_change,
    mount_remount, open_tree, unmount,
};

use super::init::{attach, new_mount};
use super::{Failed, Step, step};
use crate::sandbox::message::IdNumber;
use crate::sandbox::settings::{Limits, Mount};
use crate::sandbox::wire::Bytes;

/// Where shared ones are, by number, in the directory that stages share.
const VOLUMES: &str = "volumes";

/// Makes shared volumes instead of those before.
pub(super) fn make(volumes: &[Mount], limits: Limits, ids: IdNumber) -> Result<(), Failed> {
    match mkdirat(CWD, VOLUMES, Mode::RWXU) {
        Ok(()) => {
            step(Step::Namespaces, "mount", nix::sched::unshare(CloneFlags::CLONE_NEWNS))?;
            let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
            step(Step::Mount, "/", mount_change("/", private))?;
        }
        // The namespace is there, with what was mounted before.
        Err(Errno::EXIST) => {}
        other => step(Step::MountPoint, VOLUMES, other)?,
    }
    for (number, mount) in volumes.iter().enumerate() {
        let path = place(number);
        match mkdirat(CWD, path.as_str(), Mode::RWXU) {
            Ok(()) => {}
            Err(Errno::EXIST) => {
                // Whoever has it open keeps it until it ends.
                let _ = unmount(path.as_str(), UnmountFlags::DETACH);
            }
            other => step(Step::MountPoint, &path, other)?,
        }
        let target = step(Step::MountPoint, &path, open(number))?;
        let volume =
            step(Step::Mount, &path, directory(&Mount { read_only: false, ..mount.clone() }, limits, ids))?;
        step(Step::Mount, &path, attach(&volume, &target))?;
        for (name, bytes) in &mount.files {
            step(Step::Mount, &path, put(&volume, name, &bytes.0))?;
        }
    }
    Ok(())
}

/// Makes a file that everybody may read.
fn put(volume: &OwnedFd, name: &str, bytes: &[u8]) -> Result<(), Errno> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(volume, name, flags, Mode::RUSR | Mode::WUSR)?;
    let mut rest = bytes;
    while !rest.is_empty() {
        let written = rustix::io::write(&file, rest)?;
        rest = rest.get(written..).unwrap_or_default();
    }
    // Whatever the umask is.
    fchmod(&file, Mode::from_raw_mode(0o644))
}

/// A new one, mounted nowhere yet.
pub(super) fn directory(mount: &Mount, limits: Limits, ids: IdNumber) -> Result<OwnedFd, Errno> {
    let size = mount.bytes(limits).to_string();
    let (mode, uid, gid) = (format!("{:o}", mount.mode), mount.uid.to_string(), mount.gid.to_string());
    let mut options = vec![("size", size.as_str()), ("mode", mode.as_str())];
    if ids == IdNumber::Many {
        options.extend([("uid", uid.as_str()), ("gid", gid.as_str())]);
    }
    let mut attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    attributes.set(MountAttrFlags::MOUNT_ATTR_RDONLY, mount.read_only);
    attributes.set(MountAttrFlags::MOUNT_ATTR_NOEXEC, mount.no_exec);
    new_mount("tmpfs", &options, attributes)
}

/// Mounts a shared one on what is open.
pub(super) fn attach_shared(number: usize, mount: &Mount, target: &OwnedFd) -> Result<(), Errno> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let volume = match &mount.sub_path {
        None => open_tree(CWD, place(number), flags)?,
        // No container has written to a volume with files.
        Some(path) if mount.is_file() => open_tree(&open(number)?, path.as_str(), flags)?,
        Some(path) => {
            let below = sub_directory(&open(number)?, path, mount)?;
            open_tree(&below, "", flags | OpenTreeFlags::AT_EMPTY_PATH)?
        }
    };
    attach(&volume, target)?;
    if mount.read_only || mount.no_exec {
        // Its own path may be reached through links of the image only; the descriptor is the mount itself.
        let mut flags = MountFlags::BIND | MountFlags::NOSUID | MountFlags::NODEV;
        flags.set(MountFlags::RDONLY, mount.read_only);
        flags.set(MountFlags::NOEXEC, mount.no_exec);
        mount_remount(format!("/proc/self/fd/{}", volume.as_raw_fd()), flags, "")?;
    }
    Ok(())
}

/// Whether there is something at `path` of a shared one, no link followed.
pub(super) fn has(number: usize, path: &Bytes) -> bool {
    let how = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    open(number).is_ok_and(|volume| openat2(&volume, path.0.as_slice(), flags, Mode::empty(), how).is_ok())
}

fn open(number: usize) -> Result<OwnedFd, Errno> {
    rustix::fs::open(place(number).as_str(), super::init::DIRECTORY, Mode::empty())
}

/// The directory at `path` in `volume`, made with the mode of the volume where it is missing, as the kubelet does: what stands
/// there already keeps its owner and mode. A container may have put links there; none is followed.
fn sub_directory(volume: &OwnedFd, path: &str, mount: &Mount) -> Result<OwnedFd, Errno> {
    let how = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    let mut at = openat2(volume, ".", super::init::DIRECTORY, Mode::empty(), how)?;
    for name in path.split('/').filter(|name| !matches!(*name, "" | ".")) {
        match mkdirat(&at, name, Mode::RWXU) {
            Ok(()) => chmodat(&at, name, Mode::from_raw_mode(mount.mode), AtFlags::empty())?,
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error),
        }
        at = openat2(&at, name, super::init::DIRECTORY, Mode::empty(), how)?;
    }
    Ok(at)
}

fn place(number: usize) -> String {
    format!("{VOLUMES}/{number}")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use rustix::fs::{Stat, fstat};

    use super::*;
    use crate::sandbox::settings::Medium;

    fn mount() -> Mount {
        Mount {
            path: "/data".to_owned(),
            medium: Medium::Disk,
            size: None,
            mode: 0o1777,
            uid: 0,
            gid: 0,
            read_only: false,
            no_exec: false,
            files: Vec::new(),
            volume: Some(0),
            sub_path: None,
        }
    }

    /// Opens `path` in a volume that a container had before.
    fn opened(directory: &std::path::Path, path: &str) -> Result<Stat, Errno> {
        let volume = rustix::fs::open(directory, super::super::init::DIRECTORY, Mode::empty()).unwrap();
        fstat(sub_directory(&volume, path, &mount())?)
    }

    #[test]
    fn directory_of_a_volume_keeps_its_mode_and_one_that_is_made_has_that_of_the_volume() {
        let directory = tempfile::tempdir().unwrap();
        let there = directory.path().join("tree");
        std::fs::create_dir(&there).unwrap();
        std::fs::set_permissions(&there, std::fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(opened(directory.path(), "tree").unwrap().st_mode & 0o7777, 0o700);
        assert_eq!(opened(directory.path(), "new/./below").unwrap().st_mode & 0o7777, 0o1777);
    }

    #[test]
    fn file_of_a_volume_is_for_everybody_to_read_and_replaces_none() {
        let directory = tempfile::tempdir().unwrap();
        let volume =
            rustix::fs::open(directory.path(), super::super::init::DIRECTORY, Mode::empty()).unwrap();
        put(&volume, "app.conf", b"port 80").unwrap();
        let path = directory.path().join("app.conf");
        assert_eq!(std::fs::read(&path).unwrap(), b"port 80");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o644);
        assert_eq!(put(&volume, "app.conf", b""), Err(Errno::EXIST));
        let mut of_file = Mount { files: vec![("app.conf".to_owned(), Bytes::default())], ..mount() };
        assert!(!of_file.is_file());
        of_file.sub_path = Some("app.conf".to_owned());
        assert!(of_file.is_file() && !Mount { sub_path: Some("other".to_owned()), ..of_file }.is_file());
    }

    #[test]
    fn links_that_a_container_left_in_a_volume_lead_nowhere() {
        let directory = tempfile::tempdir().unwrap();
        let (volume, outside) = (directory.path().join("volume"), directory.path().join("outside"));
        std::fs::create_dir_all(volume.join("real")).unwrap();
        std::fs::create_dir(&outside).unwrap();
        symlink("../outside", volume.join("up")).unwrap();
        symlink(&outside, volume.join("absolute")).unwrap();
        symlink("real", volume.join("within")).unwrap();
        for path in ["up", "up/x", "absolute", "absolute/x", "within", "..", "real/../.."] {
            assert!(opened(&volume, path).is_err(), "{path}");
        }
        assert_eq!(std::fs::read_dir(outside).unwrap().count(), 0);
    }
}
