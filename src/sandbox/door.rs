//! A way into a running container: a connection to one of its ports, a command in it, an attack on it.
//!
//! Each is a stage of its own, so that several can be used at once.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Stdio};
use std::time::Duration;

use super::attack::{Attack, Attacked};
use super::cell::Sandbox;
use super::error::SandboxError;
use super::message::{Credentials, End, Errand, NotExecuted, Reply, Request};
use super::program::Program;
use super::settings::{Process, Settings};
use super::stage::Stage;
use super::wire;

/// Most output of a command that is kept.
const MAX_OUTPUT: u64 = 1 << 20;

/// A way into a container. Of no use when the container has ended.
#[derive(Debug, Clone)]
pub struct Door {
    pid: u32,
    program: Program,
    credentials: Credentials,
    settings: Settings,
}

impl Door {
    pub(super) fn new(pid: u32, sandbox: &Sandbox, settings: &Settings) -> Self {
        Self {
            pid,
            program: sandbox.program().clone(),
            credentials: sandbox.credentials(),
            settings: settings.clone(),
        }
    }

    /// Connects to a TCP port on the container's loopback.
    pub fn connect(&self, port: u16) -> Result<Connection, SandboxError> {
        let (stage, control) = self.enter(Errand::Connect(port), Stdio::null())?;
        let connection = Connection { control, stage };
        match hear(&connection.control)? {
            Reply::Executed => Ok(connection),
            _ => Err(SandboxError::Confused),
        }
    }

    /// Runs a command with the settings of the container, and waits for it; returns how it ended and the first MiB
    /// that it printed. After `patience` it is killed, which is its end.
    pub fn command(
        &self,
        process: Process,
        patience: Duration,
    ) -> Result<Result<(End, Vec<u8>), NotExecuted>, SandboxError> {
        let settings = Box::new(Settings { process, watch: None, ..self.settings.clone() });
        let (reader, writer) = io::pipe().map_err(SandboxError::Start)?;
        let (mut stage, control) = self.enter(Errand::Command(settings), Stdio::from(writer))?;
        let output = std::thread::spawn(move || {
            let mut output = Vec::new();
            let _ = reader.take(MAX_OUTPUT).read_to_end(&mut output);
            output
        });
        control.set_read_timeout(Some(patience)).map_err(SandboxError::Talk)?;
        let ended = hear(&control).and_then(|reply| match reply {
            Reply::Executed => hear(&control),
            other => Ok(other),
        });
        let _ = stage.kill();
        let _ = stage.wait();
        let output = output.join().unwrap_or_default();
        match ended {
            Ok(Reply::Ended(end)) => Ok(Ok((end, output))),
            Ok(Reply::NotExecuted(why)) => Ok(Err(why)),
            Err(SandboxError::Talk(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                Ok(Ok((End::Limit(super::LimitKind::Time), output)))
            }
            Err(error) => Err(error),
            Ok(_) => Err(SandboxError::Confused),
        }
    }

    /// Tries what an intruder would who is the app; `None` where it was not done after `patience`.
    pub fn attack(&self, attack: Attack, patience: Duration) -> Result<Option<Attacked>, SandboxError> {
        let settings = Box::new(Settings { watch: None, ..self.settings.clone() });
        let (mut stage, control) = self.enter(Errand::Attack(settings, attack), Stdio::null())?;
        control.set_read_timeout(Some(patience)).map_err(SandboxError::Talk)?;
        let told = hear(&control);
        let _ = stage.kill();
        let _ = stage.wait();
        match told {
            Ok(Reply::Attacked(attacked)) => Ok(Some(*attacked)),
            Ok(_) => Err(SandboxError::Confused),
            Err(SandboxError::Talk(error)) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn enter(&self, errand: Errand, output: Stdio) -> Result<(Child, UnixStream), SandboxError> {
        let (control, far) = UnixStream::pair().map_err(SandboxError::Start)?;
        let mut command = self.program.stage(Stage::Join, far);
        let stage = command.stdout(output).stderr(Stdio::null()).spawn().map_err(SandboxError::Start)?;
        let join = Request::Join(self.pid, self.credentials, errand);
        wire::send(&control, &join).map_err(SandboxError::Talk)?;
        Ok((stage, control))
    }
}

fn hear(control: &UnixStream) -> Result<Reply, SandboxError> {
    match wire::receive(control).map_err(SandboxError::Talk)? {
        Some(Reply::Failed(failed)) => Err(SandboxError::Stage(failed)),
        Some(reply) => Ok(reply),
        None => Err(SandboxError::Gone),
    }
}

/// A connection to a port of a container.
#[derive(Debug)]
pub struct Connection {
    control: UnixStream,
    stage: Child,
}

impl Connection {
    /// How long to wait for bytes.
    pub fn set_timeout(&self, patience: Duration) -> io::Result<()> {
        self.control.set_read_timeout(Some(patience))?;
        self.control.set_write_timeout(Some(patience))
    }

    /// Its stream, for who reads and writes at the same time; it lives as long as the connection.
    pub fn stream(&self) -> io::Result<UnixStream> {
        self.control.try_clone()
    }
}

impl Read for Connection {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.control.read(buf)
    }
}

impl Write for Connection {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.control.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let _ = self.stage.kill();
        let _ = self.stage.wait();
    }
}
