//! The attempt stage: becomes a program, and is stopped before its first instruction.
//!
//! The kernel does all that it does when a program starts, then stops who is traced (ptrace(2), `PTRACE_TRACEME`): so that it
//! can start is known, and nothing of it has run.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use rustix::fs::{Access, AtFlags, CWD, accessat};
use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, waitpid};

use super::{Failed, Stage, Step, listen, say, spawn_connected, step, unexpected};
use crate::sandbox::message::{NotExecuted, Reply, Request};
use crate::sandbox::wire::{self, Bytes};

/// Errors that say that a program cannot be executed; with any other it might be, the next time.
const DENIED: [Errno; 7] =
    [Errno::ACCESS, Errno::PERM, Errno::NOENT, Errno::NOEXEC, Errno::LIBBAD, Errno::NOTDIR, Errno::LOOP];

/// Whether the program at `path` starts; `None` where that cannot be told.
pub(super) fn starts(path: &[u8]) -> Result<Option<bool>, Failed> {
    let (mut child, near) = spawn_connected(Stage::Attempt)?;
    step(Step::Talk, "", wire::send(&near, &Request::Execute(Bytes(path.to_vec()))))?;
    let mut stopped = false;
    // A stop is seen once; what ends by itself said why before.
    if let Ok(Some((_, status))) = waitpid(Some(Pid::from_child(&child)), WaitOptions::UNTRACED) {
        stopped = status.stopped();
    }
    // Ended already where it was not stopped.
    let _ = child.kill();
    let _ = child.wait();
    if stopped {
        return Ok(Some(true));
    }
    match wire::receive(&near) {
        // Nobody may be traced here: then it is known only whether the program may be executed.
        Ok(Some(Reply::Failed(_))) => {
            Ok(Some(accessat(CWD, path, Access::EXEC_OK, AtFlags::empty()).is_ok()))
        }
        Ok(Some(Reply::NotExecuted(NotExecuted::NotFound))) => Ok(Some(false)),
        Ok(Some(Reply::NotExecuted(NotExecuted::Refused(number)))) => {
            Ok(DENIED.iter().any(|error| error.raw_os_error() == number).then_some(false))
        }
        _ => Ok(None),
    }
}

/// Becomes the program that is named.
pub(super) fn run(control: &UnixStream) -> Result<u8, Failed> {
    super::die_with_parent()?;
    let Request::Execute(path) = listen(control)? else { return Err(unexpected()) };
    let traced = nix::sys::ptrace::traceme().map_err(|errno| std::io::Error::from_raw_os_error(errno as i32));
    step(Step::Attack, "ptrace", traced)?;
    let error = Command::new(OsStr::from_bytes(&path.0)).env_clear().exec();
    say(control, &Reply::NotExecuted(NotExecuted::Refused(error.raw_os_error().unwrap_or(0))))?;
    Ok(super::GAVE_UP)
}
