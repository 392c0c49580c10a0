//! The outer stage: makes the user namespace, becomes its root, and removes the tree at the end.
//!
//! Ends when kiln does, whatever way: the other end of its socket is closed then.

use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;

use nix::sched::CloneFlags;

use super::credentials::take_on;
use super::{Failed, Stage, Step, listen, outlive, say, spawn, step, unexpected};
use crate::sandbox::message::{Reply, Request};

/// Makes the namespace, and waits until all in it are gone.
pub(super) fn run(control: &UnixStream) -> Result<u8, Failed> {
    let Request::Hello = listen(control)? else { return Err(unexpected()) };
    // Of its own, without a terminal: the app must not get at that of who runs kiln.
    step(Step::Session, "", rustix::process::setsid())?;
    // Processes count as of the new process namespace from the next on.
    let flags = CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWPID;
    step(Step::UserNamespace, "", nix::sched::unshare(flags))?;
    say(control, &Reply::Unshared { pid: std::process::id() })?;
    let Request::Mapped(credentials) = listen(control)? else { return Err(unexpected()) };
    take_on(credentials)?;
    let own = step(Step::Spawn, "", control.as_fd().try_clone_to_owned())?;
    let result = outlive(spawn(Stage::Server, own)?, control);
    remove_tree();
    result.map(|()| 0)
}

/// Removes all that is in the current directory; what other ids own is this stage's here.
fn remove_tree() {
    for entry in std::fs::read_dir(".").into_iter().flatten().flatten() {
        // Nothing can be done about what fails; the guard and the next run try again.
        let _ = std::fs::remove_dir_all(entry.path());
    }
}
