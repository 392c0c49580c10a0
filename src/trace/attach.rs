//! Attaching to a process that waits, and the thread that watches it from then on.
//!
//! The kernel hands stops to the thread that attached, so that one does everything.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;

use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::unistd::Pid;

use super::live::Live;
use super::recorder::{Recorded, Recorder};
use crate::path::ImagePath;

/// Why a process cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// Registers and numbers of calls are known for one only.
    #[error("programs can be watched on x86-64 only")]
    Architecture,
    /// The kernel refuses: no ptrace in this environment, or the process is gone.
    #[error("cannot watch process {pid}")]
    Attach {
        /// Which, as this machine numbers it.
        pid: i32,
        /// Why.
        #[source]
        source: Errno,
    },
    /// No thread.
    #[error("cannot start a thread to watch process {pid}")]
    Thread {
        /// Which.
        pid: i32,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Which calls are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Calls {
    /// The watched ones, with what they are about.
    #[default]
    Watched,
    /// These, and the name of every other: each call stops.
    Every,
}

/// A process that is watched, with all that it starts.
#[derive(Debug)]
pub struct Attached {
    /// What it is doing.
    pub live: Arc<Live>,
    thread: JoinHandle<Recorded>,
}

/// Watches `pid`, a process of one thread that waits and has no children, until it and all that come of it have ended.
///
/// When kiln ends, they are killed. A file of `gone` that is looked for and not found is told as a failure: it was there once.
pub fn attach(pid: i32, gone: Arc<BTreeSet<ImagePath>>, calls: Calls) -> Result<Attached, TraceError> {
    if !cfg!(target_arch = "x86_64") {
        return Err(TraceError::Architecture);
    }
    let live = Arc::new(Live::new());
    let shared = Arc::clone(&live);
    let (tell, told) = sync_channel(1);
    let watch = move || {
        let seized = ptrace::seize(Pid::from_raw(pid), options());
        let failed = seized.is_err();
        // The other side waits for this and nothing else.
        let _ = tell.send(seized);
        let recorder = Recorder::new(pid, Arc::clone(&shared), gone, calls);
        let recorded = if failed { recorder.finish() } else { recorder.run() };
        shared.over();
        recorded
    };
    let thread = std::thread::Builder::new()
        .name("watch".to_owned())
        .spawn(watch)
        .map_err(|source| TraceError::Thread { pid, source })?;
    match told.recv() {
        Ok(Ok(())) => Ok(Attached { live, thread }),
        Ok(Err(source)) => Err(TraceError::Attach { pid, source }),
        Err(_) => unreachable!("the thread sends before anything that could fail"),
    }
}

impl Attached {
    /// Waits until nothing is left to watch, and gives what was seen.
    pub fn finish(self) -> Recorded {
        match self.thread.join() {
            Ok(recorded) => recorded,
            // A bug there is a bug here.
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

pub(super) fn options() -> Options {
    Options::PTRACE_O_TRACESYSGOOD
        | Options::PTRACE_O_TRACEFORK
        | Options::PTRACE_O_TRACEVFORK
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACEEXEC
        | Options::PTRACE_O_TRACESECCOMP
        | Options::PTRACE_O_EXITKILL
}
