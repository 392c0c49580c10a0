//! The init stage: sets the container up from within, waits for the word, and becomes the app.
//!
//! First process of the inner process namespace, as an app in Kubernetes is. Links of the image lead to where they lead
//! within it: mount points are opened below its root (openat2(2), `RESOLVE_IN_ROOT`), and mounted on as opened.

use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, mkdirat, openat, openat2, readlinkat};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
    fsconfig_create, fsconfig_set_string, fsmount, fsopen, mount, mount_bind, mount_remount, move_mount,
    open_tree, unmount,
};
use rustix::process::{fchdir, pivot_root};

use super::confine::{Confinement, drop_privileges};
use super::files::FILES;
use super::keeper::MERGED;
use super::{Failed, Step, devices, listen, say, step, unexpected, volumes};
use crate::sandbox::message::{IdNumber, Reply, Request};
use crate::sandbox::settings::{Mount, Root, Settings};
use crate::sandbox::wire::Bytes;

/// Nothing there tells a container anything, or lets it change anything (runc's `maskedPaths`).
const MASKED: [&str; 10] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/sys/firmware",
];

/// To be read only (runc's `readonlyPaths`).
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Sets up, waits, and becomes the app; comes back only where that fails.
pub(super) fn run(control: &UnixStream) -> Result<u8, Failed> {
    super::die_with_parent()?;
    let Request::Prepare(settings, ids) = listen(control)? else { return Err(unexpected()) };
    // The machine's `/proc` is still there: its process numbers are those that kiln sees.
    let own = step(Step::Namespaces, "/proc/self", std::fs::read_link("/proc/self"))?;
    let pid = own.to_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| unreachable!("a number"));
    step(Step::Namespaces, "mount", nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS))?;
    let null = step(Step::Mount, "/dev/null", std::fs::File::open("/dev/null"))?;
    // Everything that is needed of the machine is opened before it is out of reach.
    let confinement = Confinement::new(&settings, ids)?;
    let made = set_up(&settings, ids)?;
    drop_privileges(&settings, ids)?;
    step(Step::Confine, "stdin", rustix::stdio::dup2_stdin(&null))?;
    drop(null);
    say(control, &Reply::Ready { pid, made })?;
    let Request::Go = listen(control)? else { return Ok(0) };
    let failed = confinement.become_app(&settings.process)?;
    say(control, &Reply::NotExecuted(failed))?;
    Ok(super::GAVE_UP)
}

/// Mounts everything and makes the image the root.
fn set_up(settings: &Settings, ids: IdNumber) -> Result<Vec<Bytes>, Failed> {
    let mut image = Image::open()?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let proc = step(Step::Mount, "/proc", new_mount("proc", &[], attributes))?;
    let target = image.own_directory("proc")?;
    step(Step::Mount, "/proc", attach(&proc, &target))?;
    count_from(&proc, settings.replica);
    mount_sys(&mut image, attributes)?;
    let devices = devices::make()?;
    let target = image.own_directory("dev")?;
    step(Step::Mount, "/dev", attach(&devices, &target))?;
    devices::fill(&devices, ids)?;
    for (path, file) in FILES {
        let source = step(
            Step::Mount,
            file,
            open_tree(CWD, file, OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC),
        )?;
        // An image may have a directory there; then it has no use for the file.
        if let Ok(target) = image.file(path) {
            step(Step::Mount, path, attach(&source, &target))?;
        }
    }
    let mut mounts: Vec<&Mount> = settings.mounts.iter().collect();
    mounts.sort_by_key(|mount| (mount.path.split('/').filter(|name| !name.is_empty()).count(), &mount.path));
    for mount in mounts {
        let target = if mount.is_file() {
            step(Step::MountPoint, &mount.path, image.file(&mount.path))?
        } else {
            image.directory(&mount.path)?
        };
        match mount.volume {
            None => {
                let volume = volumes::directory(mount, settings.limits, ids);
                step(Step::Mount, &mount.path, attach(&step(Step::Mount, &mount.path, volume)?, &target))?;
            }
            Some(number) => step(Step::Mount, &mount.path, volumes::attach_shared(number, mount, &target))?,
        }
    }
    if !settings.process.cwd.is_empty() {
        image.directory(&settings.process.cwd)?;
    }
    let made = image.made;
    change_root(&image.root)?;
    for (name, value) in &settings.sysctls {
        let path = format!("/proc/sys/{}", name.replace('.', "/"));
        step(Step::Sysctl, name, std::fs::write(path, value))?;
    }
    hide()?;
    if settings.root == Root::ReadOnly {
        let flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NODEV;
        step(Step::Mount, "/", mount_remount("/", flags, ""))?;
    }
    Ok(made)
}

/// How far apart the numbers of processes of two replicas begin: few starts take as many.
const STRIDE: u32 = 1000;

/// Lets the numbers of further processes begin elsewhere in each replica. A kernel without checkpoints cannot, and then
/// they do not.
fn count_from(proc: &OwnedFd, replica: u8) {
    if replica > 0 {
        let last = (u32::from(replica) * STRIDE).to_string();
        let opened = openat(proc, "sys/kernel/ns_last_pid", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty());
        let _ = opened.and_then(|file| rustix::io::write(file, last.as_bytes()));
    }
}

/// `/sys`, read-only; empty where the machine does not let a user namespace see it.
fn mount_sys(image: &mut Image, attributes: MountAttrFlags) -> Result<(), Failed> {
    let read_only = attributes | MountAttrFlags::MOUNT_ATTR_RDONLY;
    let target = image.own_directory("sys")?;
    let sys =
        new_mount("sysfs", &[], read_only).or_else(|_| new_mount("tmpfs", &[("size", "4k")], read_only));
    step(Step::Mount, "/sys", attach(&step(Step::Mount, "/sys", sys)?, &target))?;
    // Programs look there for their limits; where there is none they have none.
    if let (Ok(cgroup), Ok(target)) =
        (new_mount("cgroup2", &[], read_only), image.open_at("sys/fs/cgroup", DIRECTORY))
    {
        let _ = attach(&cgroup, &target);
    }
    Ok(())
}

/// Makes the image the root, and the machine's files unreachable (`pivot_root(2)`, `pivot_root(".", ".")`).
fn change_root(root: &OwnedFd) -> Result<(), Failed> {
    step(Step::PivotRoot, "", fchdir(root))?;
    step(Step::PivotRoot, "", pivot_root(".", "."))?;
    step(Step::PivotRoot, "", unmount(".", UnmountFlags::DETACH))?;
    step(Step::PivotRoot, "", rustix::process::chdir("/"))
}

/// Covers what a container must not see or change; `/proc` and `/sys` are the container's own by now.
fn hide() -> Result<(), Failed> {
    for path in MASKED {
        match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => {
                let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
                step(Step::Mount, path, mount("tmpfs", path, "tmpfs", flags, Some(c"size=4k")))?;
            }
            Ok(_) => step(Step::Mount, path, mount_bind("/dev/null", path))?,
            // Not every kernel has every one.
            Err(_) => {}
        }
    }
    for path in READ_ONLY {
        if std::fs::metadata(path).is_ok() {
            step(Step::Mount, path, mount_bind(path, path))?;
            let flags = MountFlags::BIND
                | MountFlags::RDONLY
                | MountFlags::NOSUID
                | MountFlags::NODEV
                | MountFlags::NOEXEC;
            step(Step::Mount, path, mount_remount(path, flags, ""))?;
        }
    }
    Ok(())
}

/// A new file system, mounted nowhere yet.
pub(super) fn new_mount(
    kind: &str,
    options: &[(&str, &str)],
    attributes: MountAttrFlags,
) -> Result<OwnedFd, Errno> {
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (key, value) in options {
        fsconfig_set_string(context.as_fd(), *key, *value)?;
    }
    fsconfig_create(context.as_fd())?;
    fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// Mounts on what is open.
pub(super) fn attach(mount: &OwnedFd, target: &OwnedFd) -> Result<(), Errno> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(mount, "", target, "", flags)
}

/// A directory that something is mounted on.
pub(super) const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// The merged tree, before it is the root.
struct Image {
    root: OwnedFd,
    /// Made to mount on.
    made: Vec<Bytes>,
}

impl Image {
    fn open() -> Result<Self, Failed> {
        let root = step(Step::MountPoint, MERGED, openat(CWD, MERGED, DIRECTORY, Mode::empty()))?;
        Ok(Self { root, made: Vec::new() })
    }

    /// A directory that must be one of the image's own top: a link there would put `/proc` elsewhere.
    fn own_directory(&mut self, name: &str) -> Result<OwnedFd, Failed> {
        let opened = match mkdirat(&self.root, name, Mode::from_raw_mode(0o755)) {
            Ok(()) => {
                self.made.push(Bytes(name.into()));
                openat(&self.root, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())
            }
            Err(Errno::EXIST) => openat(&self.root, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty()),
            Err(error) => Err(error),
        };
        step(Step::MountPoint, format!("/{name}"), opened)
    }

    /// The directory at `path`, made where it is missing, links followed within the image.
    fn directory(&mut self, path: &str) -> Result<OwnedFd, Failed> {
        let names: Vec<&str> = path.split('/').filter(|name| !name.is_empty()).collect();
        let mut at = String::from(".");
        for name in &names {
            let above = at.clone();
            at = format!("{at}/{name}");
            if self.open_at(&at, DIRECTORY).is_err() {
                let parent = step(Step::MountPoint, path, self.open_at(&above, DIRECTORY))?;
                step(Step::MountPoint, path, mkdirat(&parent, *name, Mode::from_raw_mode(0o755)))?;
                let made = step(Step::MountPoint, path, self.open_at(&at, DIRECTORY))?;
                step(Step::MountPoint, path, self.note(&made))?;
            }
        }
        step(Step::MountPoint, path, self.open_at(&at, DIRECTORY))
    }

    /// The file at `path`, made where it is missing, links followed within the image.
    fn file(&mut self, path: &str) -> Result<OwnedFd, Errno> {
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.directory(parent).map_err(|_| Errno::NOENT)?;
        }
        let existing = self.open_at(path, OFlags::PATH | OFlags::CLOEXEC);
        if let Ok(opened) = existing {
            let kind = rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(&opened)?.st_mode);
            return if kind.is_dir() { Err(Errno::ISDIR) } else { Ok(opened) };
        }
        let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
        let opened = openat2(&self.root, path, flags, Mode::from_raw_mode(0o644), IN_ROOT)?;
        self.note(&opened)?;
        Ok(opened)
    }

    /// Remembers what was made by where it really is: links may have led there.
    fn note(&mut self, made: &OwnedFd) -> Result<(), Errno> {
        let real =
            |opened: &OwnedFd| readlinkat(CWD, format!("/proc/self/fd/{}", opened.as_raw_fd()), Vec::new());
        let (top, made) = (real(&self.root)?, real(made)?);
        let path = made.as_bytes().strip_prefix(top.as_bytes()).and_then(|path| path.strip_prefix(b"/"));
        self.made.extend(path.map(|path| Bytes(path.to_vec())));
        Ok(())
    }

    fn open_at(&self, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        openat2(&self.root, path, flags, Mode::empty(), IN_ROOT)
    }
}

const IN_ROOT: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);
