//! kiln's own program as a sealed copy in memory, from which stages start.
//!
//! Nobody can write to it, not even who could write to the file (`memfd_create(2)`, "File sealing"): an image that starts
//! `/proc/self/exe` gets this copy, and what it does to it is nothing (CVE-2019-5736).

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::Errno;

use super::stage::{COMMAND, Stage};

/// Tries of sealing: the kernel refuses while it still has a page of the file in hand itself, be it to move it or on a
/// list of another core's (`mm/memfd.c`), which passes within milliseconds.
const MAX_SEALS: u32 = 200;

/// Between two of them.
const SEAL_WAIT: Duration = Duration::from_millis(20);

/// The copy; stays as long as somebody has it.
#[derive(Debug, Clone)]
pub struct Program(Arc<OwnedFd>);

impl Program {
    /// Copies the program at `path`.
    pub fn seal(path: &Path) -> io::Result<Self> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        // Kernels before 6.3 do not know that a file may be for running; there all may.
        let copy = match memfd_create("kiln", flags | MemfdFlags::EXEC) {
            Err(Errno::INVAL) => memfd_create("kiln", flags)?,
            other => other?,
        };
        let mut copy = File::from(copy);
        io::copy(&mut File::open(path)?, &mut copy)?;
        let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
        let mut attempts = 1;
        while let Err(error) = fcntl_add_seals(&copy, seals) {
            if error != Errno::BUSY || attempts == MAX_SEALS {
                return Err(error.into());
            }
            attempts += 1;
            std::thread::sleep(SEAL_WAIT);
        }
        Ok(Self(Arc::new(copy.into())))
    }

    /// A command that starts `stage`, listening to `control`, with nothing of this process's environment.
    pub fn stage(&self, stage: Stage, control: UnixStream) -> Command {
        let mut command = Command::new(format!("/proc/self/fd/{}", self.0.as_raw_fd()));
        command.args([COMMAND, stage.name()]).env_clear().stdin(Stdio::from(OwnedFd::from(control)));
        command
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn copy_is_the_program_and_nobody_can_change_it() {
        let program = Program::seal(Path::new("/proc/self/exe")).unwrap();
        let path = format!("/proc/self/fd/{}", program.0.as_raw_fd());
        let bytes = std::fs::read(&path).unwrap();
        assert!(bytes == std::fs::read("/proc/self/exe").unwrap(), "another program");
        let mut own = File::from(program.0.try_clone().unwrap());
        assert!(own.write_all(b"x").is_err());
        assert!(own.set_len(0).is_err());
        let other = std::fs::OpenOptions::new().write(true).open(&path);
        assert!(other.and_then(|mut file| file.write_all(b"x")).is_err());
    }
}
