//! A container that is held, then runs, then has ended: what can be asked of it.
//!
//! Knows nothing of what it means.

use std::fs::File;
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::cell::Sandbox;
use super::door::Door;
use super::error::SandboxError;
use super::left::Left;
use super::message::{Change, End, NotExecuted, Reply, Request};
use super::settings::Settings;
use super::wire::Bytes;

/// How long a keeper may take to end its container.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// A container that is set up; its program starts when it is let go. A tracer may attach meanwhile: the process is
/// kiln's descendant, and waits.
pub struct Held<'a> {
    running: Running<'a>,
}

/// A container whose program was started.
pub struct Running<'a> {
    sandbox: &'a Sandbox,
    pid: u32,
    process: OwnedFd,
    root: OwnedFd,
    door: Door,
    ended: Option<End>,
}

impl<'a> Held<'a> {
    pub(super) fn new(sandbox: &'a Sandbox, pid: u32, settings: &Settings) -> Result<Self, SandboxError> {
        let number = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(SandboxError::Confused)?;
        let talk = |error: rustix::io::Errno| SandboxError::Talk(error.into());
        let process = pidfd_open(number, PidfdFlags::empty()).map_err(talk)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = openat(CWD, format!("/proc/{pid}/root"), flags, Mode::empty()).map_err(talk)?;
        let door = Door::new(pid, sandbox, settings);
        Ok(Self { running: Running { sandbox, pid, process, root, door, ended: None } })
    }

    /// The process that becomes the app, as this machine numbers it.
    pub fn pid(&self) -> u32 {
        self.running.pid
    }

    /// Starts the program.
    pub fn release(self) -> Result<Result<Running<'a>, NotExecuted>, SandboxError> {
        self.running.sandbox.say(&Request::Go)?;
        match self.running.sandbox.hear()? {
            Reply::Executed => Ok(Ok(self.running)),
            Reply::NotExecuted(why) => Ok(Err(why)),
            _ => Err(SandboxError::Confused),
        }
    }
}

impl Running<'_> {
    /// The app's first process, as this machine numbers it.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// How it ended; `None` where it still runs after `patience`.
    pub fn wait(&mut self, patience: Duration) -> Result<Option<End>, SandboxError> {
        let until = Instant::now().checked_add(patience);
        while self.ended.is_none() {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let left = left.and_then(|left| Timespec::try_from(left).ok());
            let mut fds = [PollFd::new(self.sandbox.control(), PollFlags::IN)];
            match poll(&mut fds, left.as_ref()) {
                Ok(0) => return Ok(None),
                Ok(_) => match self.sandbox.hear()? {
                    Reply::Ended(end) => self.ended = Some(end),
                    _ => return Err(SandboxError::Confused),
                },
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(SandboxError::Talk(error.into())),
            }
        }
        Ok(self.ended)
    }

    /// Sends the app's first process a signal, as a runtime does that stops it. Nothing happens where it has ended.
    pub fn signal(&self, signal: Signal) {
        // Only a process that is gone cannot be reached.
        let _ = pidfd_send_signal(&self.process, signal);
    }

    /// What was written over the image so far, sorted.
    pub fn changes(&mut self) -> Result<Vec<Change>, SandboxError> {
        match self.ask(&Request::Changes)? {
            Reply::Changes(changes) => Ok(changes),
            _ => Err(SandboxError::Confused),
        }
    }

    /// Files and links above the image that are there now, sorted; mounts apart.
    pub fn left(&mut self) -> Result<Vec<Left>, SandboxError> {
        match self.ask(&Request::Left)? {
            Reply::Left(left) => Ok(left),
            _ => Err(SandboxError::Confused),
        }
    }

    /// The first `limit` bytes of a regular file as the container had it, links followed within it; `None` where there is none.
    /// Mounts are not part of it; see [`Self::open`].
    pub fn read(&mut self, path: &[u8], limit: u64) -> Result<Option<Vec<u8>>, SandboxError> {
        match self.ask(&Request::Read(Bytes(path.to_vec()), limit))? {
            Reply::Content(bytes) => Ok(Some(bytes.0)),
            Reply::NoContent(_) => Ok(None),
            _ => Err(SandboxError::Confused),
        }
    }

    /// Whether something is at `path` of the shared volume `number`, links not followed.
    pub fn is_in_volume(&mut self, number: usize, path: &[u8]) -> Result<bool, SandboxError> {
        match self.ask(&Request::InVolume(number, Bytes(path.to_vec())))? {
            Reply::InVolume(is_there) => Ok(is_there),
            _ => Err(SandboxError::Confused),
        }
    }

    /// Opens a file of the running container for reading, mounts included, links followed within it; as far as who runs
    /// kiln may read it.
    pub fn open(&self, path: &[u8]) -> std::io::Result<File> {
        // A pipe that nobody writes to must not stop kiln.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let how = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        Ok(openat2(self.root.as_fd(), path, flags, Mode::empty(), how)?.into())
    }

    /// A way in, for others to use at the same time.
    pub fn door(&self) -> &Door {
        &self.door
    }

    fn ask(&mut self, request: &Request) -> Result<Reply, SandboxError> {
        self.sandbox.say(request)?;
        loop {
            match self.sandbox.hear()? {
                // It ends while it is asked.
                Reply::Ended(end) => self.ended = Some(end),
                reply => return Ok(reply),
            }
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        // Another container may be next. If the keeper is gone, it needs no telling, and does not answer.
        let control = self.sandbox.control();
        let _ = control.set_read_timeout(Some(LAST_WORDS));
        let asked = self.sandbox.say(&Request::End);
        while asked.is_ok() && !matches!(self.sandbox.hear(), Ok(Reply::Closed) | Err(_)) {}
        let _ = control.set_read_timeout(None);
    }
}
