//! The guard: stays outside, and removes the private directory when the stages inside are gone.
//!
//! Does not end with kiln: kiln may be killed, and nothing must stay. What belongs to other ids was removed by the outer
//! stage already, which is who they are.

use std::os::fd::AsFd as _;

use super::{Failed, Stage, Step, spawn, step};

/// Starts the outer stage in the current directory, waits for it, and removes the directory with its parent.
pub(super) fn guard() -> Result<u8, Failed> {
    close_inherited();
    let tree = step(Step::Talk, ".", std::env::current_dir())?;
    let own = step(Step::Talk, "", std::io::stdin().as_fd().try_clone_to_owned())?;
    let mut outer = spawn(Stage::Outer, own)?;
    // It may have been killed; what it had to say it said itself.
    let _ = outer.wait();
    if let Some(private) = tree.parent() {
        // What cannot be removed now is tried again by the next run.
        let _ = std::fs::remove_dir_all(private);
    }
    Ok(0)
}

/// Closes what kiln's own caller left open: it is nothing of the container's.
fn close_inherited() {
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else { return };
    let numbers: Vec<i32> =
        entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for number in numbers.into_iter().filter(|&number| number > 2 && is_inherited(number)) {
        let _ = nix::unistd::close(number);
    }
}

/// Whether the descriptor stays open when a program starts: kiln opens none like that.
fn is_inherited(number: i32) -> bool {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap_or_default();
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|octal| u32::from_str_radix(octal.trim(), 8).ok());
    flags.is_some_and(|flags| flags & rustix::fs::OFlags::CLOEXEC.bits() == 0)
}
