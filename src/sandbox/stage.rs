//! The other side: what kiln does when it runs as a part of the sandbox.
//!
//! A stage is kiln itself, started again from a sealed copy; it does what kiln tells it and knows no image. Stages have
//! one thread: the kernel gives namespaces to no others.

mod attack;
mod attempt;
mod changes;
mod confine;
mod credentials;
mod devices;
mod files;
mod guard;
mod init;
mod join;
mod keeper;
mod left;
mod loopback;
mod outer;
mod server;
mod tree;
mod usage;
mod volumes;

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, set_parent_process_death_signal};

use super::message::{End, Failed, Reply, Step};
use super::wire;

/// The hidden command that stages are started with.
pub const COMMAND: &str = "sandbox-stage";

/// A part of the sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Outside: removes the private directory when all others are gone.
    Guard,
    /// In the user namespace: removes what was unpacked.
    Outer,
    /// First in the outer process namespace: unpacks, and starts keepers.
    Server,
    /// Around one container: mounts the image, watches, answers.
    Keeper,
    /// First in the inner one: becomes the app.
    Init,
    /// Joins a running container to ask something of it.
    Join,
    /// A command in a running container.
    Enter,
    /// Tries what an intruder would, in a running container.
    Attack,
    /// A program that must not start.
    Attempt,
}

impl Stage {
    /// All.
    pub const ALL: [Self; 9] = [
        Self::Guard,
        Self::Outer,
        Self::Server,
        Self::Keeper,
        Self::Init,
        Self::Join,
        Self::Enter,
        Self::Attack,
        Self::Attempt,
    ];

    /// Its word on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Guard => "guard",
            Self::Outer => "outer",
            Self::Server => "server",
            Self::Keeper => "keeper",
            Self::Init => "init",
            Self::Join => "join",
            Self::Enter => "enter",
            Self::Attack => "attack",
            Self::Attempt => "attempt",
        }
    }

    /// Does its part; called by the hidden command only. The exit status is for the stage before it.
    pub fn run(self) -> Result<u8, NotByHand> {
        let control = control()?;
        let result = match self {
            Self::Guard => guard::guard(),
            Self::Outer => outer::run(&control),
            Self::Server => server::run(&control),
            Self::Keeper => keeper::run(&control),
            Self::Init => init::run(&control),
            Self::Join => join::run(&control),
            Self::Enter => join::enter(&control),
            Self::Attack => attack::run(&control),
            Self::Attempt => attempt::run(&control),
        };
        match result {
            Ok(status) => Ok(status),
            Err(failed) => {
                // Who does not listen any more is gone.
                let _ = wire::send(&control, &Reply::Failed(failed));
                Ok(GAVE_UP)
            }
        }
    }
}

/// Where the image is, in the directory that stages share.
const LOWER: &str = "lower";

/// Where the image is that was unpacked as this one, counted from 0.
fn lower(image: u8) -> String {
    if image == 0 { LOWER.to_owned() } else { format!("{LOWER}{image}") }
}

/// The exit status of a stage that could not do its part, as `docker run` has it.
const GAVE_UP: u8 = 125;

/// Somebody tries a stage on the command line.
#[derive(Debug, thiserror::Error)]
#[error("`kiln {COMMAND}` is a part of kiln's sandbox and does nothing by itself")]
pub struct NotByHand;

/// The socket to the stage before or to kiln: stdin, and nothing else.
fn control() -> Result<UnixStream, NotByHand> {
    let own = io::stdin().as_fd().try_clone_to_owned().map_err(|_| NotByHand)?;
    let control = UnixStream::from(own);
    // Whatever else stdin is, it has no peer.
    control.peer_addr().map_err(|_| NotByHand)?;
    Ok(control)
}

/// Starts `stage` from this very program; its stdin is `control`, its output this stage's own.
fn spawn(stage: Stage, control: OwnedFd) -> Result<Child, Failed> {
    Command::new("/proc/self/exe")
        .args([COMMAND, stage.name()])
        .env_clear()
        .stdin(Stdio::from(control))
        .spawn()
        .map_err(|error| Failed::new(Step::Spawn, stage.name(), &error))
}

/// As [`spawn`], with a socket of its own.
fn spawn_connected(stage: Stage) -> Result<(Child, UnixStream), Failed> {
    let failed = |error: io::Error| Failed::new(Step::Spawn, stage.name(), &error);
    let (near, far) = UnixStream::pair().map_err(failed)?;
    Ok((spawn(stage, far.into())?, near))
}

/// Waits until `child` ends by itself or kiln is gone, which ends it.
fn outlive(mut child: Child, control: &UnixStream) -> Result<(), Failed> {
    let pidfd = step(Step::Spawn, "", pidfd_open(Pid::from_child(&child), PidfdFlags::empty()))?;
    // Requests are the child's to read.
    let mut fds = [PollFd::new(&pidfd, PollFlags::IN), PollFd::new(control, PollFlags::empty())];
    while let Err(Errno::INTR) = poll(&mut fds, None) {}
    // Already ended where nobody had to tell it.
    let _ = child.kill();
    step(Step::Spawn, "", child.wait()).map(drop)
}

/// Asks the kernel to kill this process when the stage before it ends. A program of a stranger could take that back:
/// it is not what the sandbox rests on.
fn die_with_parent() -> Result<(), Failed> {
    step(Step::Spawn, "", set_parent_process_death_signal(Some(Signal::KILL)))
}

/// How a process ended.
fn end_of(status: ExitStatus) -> End {
    match status.signal() {
        Some(signal) => End::Signaled(signal),
        None => End::Exited(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)),
    }
}

/// A message that is not for this stage.
fn unexpected() -> Failed {
    Failed::new(Step::Talk, "", &io::ErrorKind::InvalidData.into())
}

/// `result`, or what failed at it.
fn step<T, E: Into<io::Error>>(
    step: Step,
    with: impl Into<String>,
    result: Result<T, E>,
) -> Result<T, Failed> {
    result.map_err(|error| Failed::new(step, with, &error.into()))
}

/// The next request; whoever asks is gone where there is none.
fn listen<T: serde::de::DeserializeOwned>(control: impl io::Read) -> Result<T, Failed> {
    let message = step(Step::Talk, "", wire::receive(control))?;
    message.ok_or_else(|| Failed::new(Step::Talk, "", &io::ErrorKind::UnexpectedEof.into()))
}

/// Answers.
fn say(control: &UnixStream, reply: &Reply) -> Result<(), Failed> {
    step(Step::Talk, "", wire::send(control, reply))
}
