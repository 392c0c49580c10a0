//! A sandbox as kiln holds it: the stages started, the ids mapped, an image unpacked.
//!
//! Ends everything when it is dropped. What runs in it is `running`'s.

use std::fmt;
use std::io::{self, PipeReader, PipeWriter, Read as _};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rustix::fs::Mode;

use super::error::SandboxError;
use super::ids::{Caller, Extent, IdMode, Ids};
use super::message::{Credentials, Failed, IdNumber, LeftOut, Reply, Request, Step};
use super::private::Private;
use super::program::Program;
use super::refusal::{Machine, Refusal};
use super::running::Held;
use super::settings::{Limits, Mount, Settings};
use super::stage::Stage;
use super::unpack::{self, Image, UnpackError};
use super::wire;

/// Bytes of the app's output that are read at once.
const OUTPUT_PIECE: usize = 64 << 10;

/// Where kiln is, and where it may unpack.
#[derive(Debug, Clone)]
pub struct Place {
    /// kiln's own program.
    pub program: PathBuf,
    /// A directory for temporary files, on a file system with room for the image.
    pub directory: PathBuf,
}

/// Which of its outputs an app wrote to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// stdout
    Out,
    /// stderr
    Err,
}

/// Takes what an app says, as it says it.
pub type Output = Box<dyn FnMut(Stream, &[u8]) + Send>;

/// A sandbox with an image in it, or about to have one.
pub struct Sandbox {
    /// Closed before all else: that ends the stages.
    control: Option<UnixStream>,
    guard: Child,
    readers: Vec<JoinHandle<()>>,
    private: Option<Private>,
    program: Program,
    ids: Ids,
    credentials: Credentials,
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox").field("ids", &self.ids).finish_non_exhaustive()
    }
}

impl Sandbox {
    /// Makes one for an app that is to run as `user` and `group`; removes what earlier runs left behind.
    pub fn new(place: &Place, user: u32, group: u32, output: Output) -> Result<Self, SandboxError> {
        let program = Program::seal(&place.program)
            .map_err(|source| SandboxError::Program { path: place.program.clone(), source })?;
        let ids = Ids::choose(&caller(), user, group);
        for private in Private::left_behind(&place.directory, rustix::process::geteuid().as_raw()) {
            // Made only to be dropped. If it cannot be removed today, it is tried again.
            drop(Self::open(private, &program, &ids, None));
        }
        let private = Private::create(&place.directory)
            .map_err(|source| SandboxError::Private { path: place.directory.clone(), source })?;
        Self::open(private, &program, &ids, Some(output))
    }

    fn open(
        private: Private,
        program: &Program,
        ids: &Ids,
        output: Option<Output>,
    ) -> Result<Self, SandboxError> {
        let (control, far) = UnixStream::pair().map_err(SandboxError::Start)?;
        let mut command = program.stage(Stage::Guard, far);
        // Of its own, so that what a terminal sends to kiln does not end those who clean up.
        command.current_dir(private.tree()).process_group(0);
        let pipes =
            output.map(|output| pipes(output, &mut command)).transpose().map_err(SandboxError::Start)?;
        if pipes.is_none() {
            command.stdout(Stdio::null()).stderr(Stdio::null());
        }
        let guard = command.spawn().map_err(SandboxError::Start)?;
        // Closes this process's ends of what the stages write to.
        drop(command);
        let single = ids.mode == IdMode::Single;
        let inside =
            |extents: &[Extent]| extents.first().filter(|_| single).map_or(0, |extent| extent.inside);
        let credentials = Credentials {
            ids: if single { IdNumber::One } else { IdNumber::Many },
            uid: inside(&ids.uids),
            gid: inside(&ids.gids),
        };
        let readers = pipes.map(Vec::from).unwrap_or_default();
        let sandbox = Self {
            control: Some(control),
            guard,
            readers,
            private: Some(private),
            program: program.clone(),
            ids: ids.clone(),
            credentials,
        };
        sandbox.map_ids()?;
        Ok(sandbox)
    }

    fn map_ids(&self) -> Result<(), SandboxError> {
        self.say(&Request::Hello)?;
        let Reply::Unshared { pid } = self.hear()? else { return Err(SandboxError::Confused) };
        match self.ids.mode {
            IdMode::Subordinate => {
                map_with("newuidmap", pid, &self.ids.uids)?;
                map_with("newgidmap", pid, &self.ids.gids)?;
            }
            IdMode::Shifted => {
                Self::write_map(pid, "uid_map", &self.ids.uids)?;
                Self::write_map(pid, "gid_map", &self.ids.gids)?;
            }
            IdMode::Single => {
                Self::write(pid, "setgroups", "deny")?;
                Self::write_map(pid, "uid_map", &self.ids.uids)?;
                Self::write_map(pid, "gid_map", &self.ids.gids)?;
            }
        }
        self.say(&Request::Mapped(self.credentials))
    }

    fn write_map(pid: u32, file: &str, extents: &[Extent]) -> Result<(), SandboxError> {
        let lines: Vec<String> = extents
            .iter()
            .map(|extent| format!("{} {} {}\n", extent.inside, extent.outside, extent.count))
            .collect();
        Self::write(pid, file, &lines.concat())
    }

    fn write(pid: u32, file: &str, text: &str) -> Result<(), SandboxError> {
        let path = format!("/proc/{pid}/{file}");
        std::fs::write(&path, text).map_err(|error| refused(Failed::new(Step::Credentials, path, &error)))
    }

    /// Unpacks an image, beside those before; returns what of it is not there, sorted.
    pub fn unpack(&mut self, image: &Image<'_>) -> Result<Vec<LeftOut>, SandboxError> {
        let control = self.control();
        let sent = unpack::send(image, self.credentials.ids, control);
        let mut left_out = match sent {
            Ok(left_out) => left_out,
            // What the other end says about it explains more.
            Err(error @ UnpackError::Send(_)) => {
                self.hear()?;
                return Err(SandboxError::Unpack(error));
            }
            Err(error) => return Err(SandboxError::Unpack(error)),
        };
        let Reply::Unpacked(more) = self.hear()? else { return Err(SandboxError::Confused) };
        left_out.extend(more);
        left_out.sort();
        left_out.dedup();
        Ok(left_out)
    }

    /// Makes empty volumes that containers share, numbered from 0, instead of those before.
    pub fn make_volumes(&mut self, volumes: &[Mount], limits: Limits) -> Result<(), SandboxError> {
        self.say(&Request::Volumes(volumes.to_vec(), limits, self.credentials.ids))?;
        match self.hear()? {
            Reply::Mounted => Ok(()),
            _ => Err(SandboxError::Confused),
        }
    }

    /// Sets up a container on an image that was unpacked, and holds it just before its program starts.
    pub fn hold(&mut self, settings: &Settings) -> Result<Held<'_>, SandboxError> {
        self.say(&Request::Keep)?;
        self.say(&Request::Prepare(Box::new(settings.clone()), self.credentials.ids))?;
        match self.hear()? {
            Reply::Ready { pid, .. } => Held::new(self, pid, settings),
            _ => Err(SandboxError::Confused),
        }
    }

    /// Which ids it has.
    pub fn ids(&self) -> &Ids {
        &self.ids
    }

    /// Ends it; whatever the app said was given to the output when this returns.
    pub fn close(self) {
        drop(self);
    }

    pub(super) fn program(&self) -> &Program {
        &self.program
    }

    pub(super) fn credentials(&self) -> Credentials {
        self.credentials
    }

    pub(super) fn control(&self) -> &UnixStream {
        self.control.as_ref().unwrap_or_else(|| unreachable!("closed by `drop` only"))
    }

    pub(super) fn say(&self, request: &Request) -> Result<(), SandboxError> {
        match wire::send(self.control(), request) {
            // The reason is still to be read.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other.map_err(SandboxError::Talk),
        }
    }

    pub(super) fn hear(&self) -> Result<Reply, SandboxError> {
        let reply: Option<Reply> = wire::receive(self.control()).map_err(SandboxError::Talk)?;
        match reply {
            Some(Reply::Failed(failed)) => Err(refused(failed)),
            Some(reply) => Ok(reply),
            None => Err(SandboxError::Gone),
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.control = None;
        // Its status tells nothing; when it has ended, nothing is left of the sandbox.
        let _ = self.guard.wait();
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
        self.private = None;
    }
}

/// What a stage could not do; where the machine is likely to forbid it, with the setting that does.
fn refused(failed: Failed) -> SandboxError {
    let is_early = matches!(failed.step, Step::UserNamespace | Step::Namespaces | Step::Credentials);
    let machine = machine();
    let is_denied = [rustix::io::Errno::PERM, rustix::io::Errno::ACCESS]
        .iter()
        .any(|error| error.raw_os_error() == failed.errno);
    let refusal = Refusal::of(&machine);
    if is_early || (is_denied && failed.step == Step::Mount && refusal != Refusal::Unknown) {
        return SandboxError::Refused { refusal, source: failed };
    }
    SandboxError::Stage(failed)
}

/// Lets the setuid tool of the `uidmap` package write a map.
fn map_with(tool: &str, pid: u32, extents: &[Extent]) -> Result<(), SandboxError> {
    let numbers = extents.iter().flat_map(|extent| [extent.inside, extent.outside, extent.count]);
    let arguments = std::iter::once(pid).chain(numbers).map(|number| number.to_string());
    let failed = |said: String| SandboxError::Map { tool: tool.to_owned(), said };
    let done = Command::new(tool).args(arguments).stdin(Stdio::null()).output();
    let done = done.map_err(|error| failed(error.to_string()))?;
    if done.status.success() {
        return Ok(());
    }
    Err(failed(String::from_utf8_lossy(&done.stderr).trim().to_owned()))
}

/// Pipes for what the app says, and a thread that reads each.
fn pipes(output: Output, command: &mut Command) -> io::Result<[JoinHandle<()>; 2]> {
    let output = Arc::new(Mutex::new(output));
    let (out, err) = (open_pipe()?, open_pipe()?);
    command.stdout(out.1).stderr(err.1);
    let read = |stream, mut pipe: PipeReader| {
        let output = Arc::clone(&output);
        std::thread::spawn(move || {
            let mut piece = vec![0; OUTPUT_PIECE];
            while let Ok(length @ 1..) = pipe.read(&mut piece) {
                let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
                output(stream, piece.get(..length).unwrap_or_default());
            }
        })
    };
    Ok([read(Stream::Out, out.0), read(Stream::Err, err.0)])
}

/// A pipe that the app may open again by its name (`/dev/stdout`): it is kiln's, and the app is somebody else.
fn open_pipe() -> io::Result<(PipeReader, PipeWriter)> {
    let (reader, writer) = io::pipe()?;
    rustix::fs::fchmod(&writer, Mode::from_raw_mode(0o666))?;
    Ok((reader, writer))
}

fn caller() -> Caller {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let passwd = read("/etc/passwd");
    let name = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        (number == uid.to_string()).then(|| name.to_owned())
    });
    Caller {
        uid,
        gid,
        name,
        uid_map: read("/proc/self/uid_map"),
        gid_map: read("/proc/self/gid_map"),
        subuid: read("/etc/subuid"),
        subgid: read("/etc/subgid"),
        has_tools: ["newuidmap", "newgidmap"].iter().all(|tool| is_on_path(tool)),
    }
}

fn is_on_path(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(tool).is_file())
}

fn machine() -> Machine {
    let number = |path: &str| std::fs::read_to_string(path).ok()?.trim().parse().ok();
    let none_of = |name: &&str| number(&format!("/proc/sys/user/{name}")) == Some(0u64);
    let others = [
        "max_mnt_namespaces",
        "max_pid_namespaces",
        "max_net_namespaces",
        "max_ipc_namespaces",
        "max_uts_namespaces",
        "max_cgroup_namespaces",
    ];
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let filter = status.lines().find_map(|line| line.strip_prefix("Seccomp:"));
    Machine {
        max_user_namespaces: number("/proc/sys/user/max_user_namespaces"),
        none_of: others.iter().filter(|name| none_of(name)).map(ToString::to_string).collect(),
        unprivileged_userns_clone: number("/proc/sys/kernel/unprivileged_userns_clone"),
        apparmor_restrict: number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
        is_root: rustix::process::geteuid().is_root(),
        is_filtered: filter.is_some_and(|mode| mode.trim() == "2"),
        knows_user_namespaces: Path::new("/proc/self/ns/user").exists(),
    }
}
