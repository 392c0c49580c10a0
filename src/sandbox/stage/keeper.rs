//! The keeper: around one container; mounts what it is made of, starts it, watches it, and answers questions about it.
//!
//! Outlives the app, so that what it wrote can be read, and ends with kiln. Does not set the container up from within:
//! that is `init`'s.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream;
use std::process::Child;

use nix::sched::CloneFlags;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, Gid, Mode, OFlags, ResolveFlags, Uid, chmodat, chownat, mkdirat, openat2};
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::usage::{Usage, is_full};
use super::{
    Failed, Stage, Step, changes, end_of, files, left, listen, loopback, lower, say, spawn_connected, step,
    unexpected, volumes,
};
use crate::sandbox::message::{End, LimitKind, Reply, Request};
use crate::sandbox::settings::Settings;
use crate::sandbox::wire::{self, Bytes};

/// What is written, and what overlayfs needs besides: in memory, with a size.
pub(super) const SCRATCH: &str = "scratch";
/// What the container wrote.
pub(super) const UPPER: &str = "scratch/upper";
/// The image with what was written over it.
pub(super) const MERGED: &str = "merged";
/// The outer process namespace.
pub(super) const PROC: &str = "proc";

/// How often resources are looked at: a page fault takes a microsecond, so that some hundred megabytes are written
/// between two looks at the most.
const TICK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// Bytes of a file in memory for each file that may be made, so that empty ones are bounded too.
const BYTES_PER_FILE: u64 = 4096;

/// Keeps one container.
pub(super) fn run(control: &UnixStream) -> Result<u8, Failed> {
    super::die_with_parent()?;
    let Request::Prepare(settings, ids) = listen(control)? else { return Err(unexpected()) };
    let flags = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWCGROUP
        | CloneFlags::CLONE_NEWPID;
    step(Step::Namespaces, "", nix::sched::unshare(flags))?;
    mount_all(&settings)?;
    files::write(&settings.hostname, settings.replica)?;
    step(Step::Loopback, "", loopback::up())?;
    step(Step::HostName, &settings.hostname, rustix::system::sethostname(settings.hostname.as_bytes()))?;
    let (mut app, near) = spawn_connected(Stage::Init)?;
    step(Step::Talk, "", wire::send(&near, &Request::Prepare(settings.clone(), ids)))?;
    let kept = start(control, &near).and_then(|made| match made {
        Some(made) => keep(control, &mut app, &settings, &made),
        None => Ok(()),
    });
    // Ended already, or nobody asks for it any more.
    let _ = app.kill();
    step(Step::Spawn, "", app.wait())?;
    kept?;
    say(control, &Reply::Closed)?;
    Ok(0)
}

/// Passes on what kiln and the app's process say to each other until its program runs; what was made for mounts, or
/// nothing where it never was to run.
fn start(control: &UnixStream, near: &UnixStream) -> Result<Option<Vec<Bytes>>, Failed> {
    let (pid, made) = match listen(near)? {
        Reply::Ready { pid, made } => (pid, made),
        Reply::Failed(failed) => return Err(failed),
        _ => return Err(unexpected()),
    };
    say(control, &Reply::Ready { pid, made: made.clone() })?;
    let Ok(Request::Go) = listen(control) else { return Ok(None) };
    step(Step::Talk, "", wire::send(near, &Request::Go))?;
    // The socket closes when the program starts.
    let started: Option<Reply> = step(Step::Talk, "", wire::receive(near))?;
    if let Some(Reply::Failed(failed)) = started {
        return Err(failed);
    }
    say(control, &started.unwrap_or(Reply::Executed))?;
    Ok(Some(made))
}

fn mount_all(settings: &Settings) -> Result<(), Failed> {
    // Nothing of this goes back to the machine, and nothing of the machine's comes in later.
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    step(Step::Mount, "/", mount_change("/", private))?;
    for directory in [SCRATCH, MERGED, PROC] {
        match mkdirat(CWD, directory, Mode::RWXU) {
            // From an earlier container on the same image.
            Ok(()) | Err(Errno::EXIST) => {}
            other => step(Step::MountPoint, directory, other)?,
        }
    }
    let flags = MountFlags::NODEV | MountFlags::NOSUID;
    let size = settings.limits.disk;
    let options = format!("mode=0700,size={size},nr_inodes={}", (size / BYTES_PER_FILE).max(1));
    step(Step::Mount, SCRATCH, mount("tmpfs", SCRATCH, "tmpfs", flags, Some(c_text(&options)?.as_c_str())))?;
    let image = lower(settings.image);
    let top = step(Step::Mount, &image, std::fs::metadata(&image))?;
    for directory in [UPPER, "scratch/work"] {
        step(Step::MountPoint, directory, mkdirat(CWD, directory, Mode::RWXU))?;
    }
    // The top of the merged tree is that of the upper one.
    let owner = (Some(Uid::from_raw(top.uid())), Some(Gid::from_raw(top.gid())));
    step(Step::MountPoint, UPPER, chownat(CWD, UPPER, owner.0, owner.1, rustix::fs::AtFlags::empty()))?;
    let mode = Mode::from_raw_mode(top.mode());
    step(Step::MountPoint, UPPER, chmodat(CWD, UPPER, mode, rustix::fs::AtFlags::empty()))?;
    let options = c_text(&format!("lowerdir={image},upperdir={UPPER},workdir=scratch/work,userxattr"))?;
    let overlay = mount("overlay", MERGED, "overlay", MountFlags::NODEV, Some(options.as_c_str()));
    step(Step::Mount, "overlay", overlay)?;
    let flags = flags | MountFlags::NOEXEC;
    step(Step::Mount, PROC, mount("proc", PROC, "proc", flags, None::<&std::ffi::CStr>))
}

fn c_text(text: &str) -> Result<std::ffi::CString, Failed> {
    std::ffi::CString::new(text)
        .map_err(|_| Failed::new(Step::Mount, text, &io::ErrorKind::InvalidInput.into()))
}

/// Watches and answers until kiln has had enough.
fn keep(control: &UnixStream, app: &mut Child, settings: &Settings, made: &[Bytes]) -> Result<(), Failed> {
    let pidfd = step(Step::Spawn, "", pidfd_open(Pid::from_child(app), PidfdFlags::empty()))?;
    let usage = Usage::new(settings.limits);
    let (mut exceeded, mut is_running) = (None, true);
    loop {
        let mut fds = [PollFd::new(control, PollFlags::IN), PollFd::new(&pidfd, PollFlags::IN)];
        let watched = if is_running { fds.as_mut_slice() } else { fds.split_at_mut(1).0 };
        match poll(watched, is_running.then_some(&TICK)) {
            Err(Errno::INTR) => continue,
            other => step(Step::Talk, "", other)?,
        };
        let [asked, _] = fds;
        if is_running {
            exceeded = exceeded.or_else(|| usage.exceeded());
            if exceeded.is_some() {
                // Ended by itself meanwhile.
                let _ = app.kill();
            }
            if let Some(status) = step(Step::Spawn, "", app.try_wait())? {
                is_running = false;
                // It may have ended of it, between two looks.
                let exceeded = exceeded.or_else(|| is_full().then_some(LimitKind::Disk));
                say(control, &Reply::Ended(exceeded.map_or_else(|| end_of(status), End::Limit)))?;
            }
        }
        if !asked.revents().is_empty() && !answer(control, &lower(settings.image), made)? {
            return Ok(());
        }
    }
}

/// Answers one request; false where kiln has had enough.
fn answer(control: &UnixStream, image: &str, made: &[Bytes]) -> Result<bool, Failed> {
    match wire::receive(control) {
        Ok(Some(Request::Changes)) => say(control, &Reply::Changes(changes::list(UPPER, image, made)?))?,
        Ok(Some(Request::Left)) => say(control, &Reply::Left(left::list(UPPER)?))?,
        Ok(Some(Request::InVolume(number, path))) => {
            say(control, &Reply::InVolume(volumes::has(number, &path)))?;
        }
        Ok(Some(Request::Read(path, limit))) => {
            let reply = match read(&path, limit) {
                Ok(bytes) => Reply::Content(Bytes(bytes)),
                Err(error) => Reply::NoContent(error.raw_os_error().unwrap_or(0)),
            };
            say(control, &reply)?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// Reads a file as the container has it; links lead to where they lead in the container.
fn read(path: &Bytes, limit: u64) -> io::Result<Vec<u8>> {
    let root = rustix::fs::open(MERGED, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    // A pipe that nobody writes to must not stop the keeper.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let how = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let file = File::from(openat2(root, path.0.as_slice(), flags, Mode::empty(), how)?);
    if !file.metadata()?.is_file() {
        return Err(Errno::INVAL.into());
    }
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}
