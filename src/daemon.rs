//! The Docker daemon, or podman's service that speaks as it does, over its Unix socket: an image out, an image in.
//!
//! Speaks HTTP through `ureq`, whose transport is the socket. Knows no image: what goes over it is an archive of `docker save`.

mod transport;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use ureq::config::Config;
use ureq::http::Response;
use ureq::{Agent, Body};

use transport::{NoResolver, UnixConnector};

/// Where Docker listens, the world over.
const DOCKER_SOCKET: &str = "/var/run/docker.sock";
/// Where podman's service of the system listens.
const PODMAN_SOCKET: &str = "/run/podman/podman.sock";

/// Longest silence of a daemon that works. It may write a whole image to disk before the first byte: 2 GB took a minute.
const STALL: Duration = Duration::from_mins(10);

/// Longest answer that is no image, in bytes: a line of JSON for each layer that is loaded, with its progress.
const MAX_ANSWER: u64 = 4 << 20;

/// Longest complaint of a daemon that is passed on, in characters.
const MAX_MESSAGE: usize = 500;

/// A daemon that answers.
#[derive(Debug, Clone)]
pub struct Daemon {
    agent: Agent,
    socket: PathBuf,
}

/// Why a daemon is of no use.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// `DOCKER_HOST` is something else.
    #[error("`DOCKER_HOST` is `{0}`: expected `unix://PATH`, the socket of a daemon on this machine")]
    Host(String),
    /// Nobody listens.
    #[error("no daemon answers at {}", tried(.0))]
    NotThere(Vec<(PathBuf, io::Error)>),
    /// The conversation broke off.
    #[error("daemon at `{}`: {act}", socket.display())]
    Talk {
        /// Where it listens.
        socket: PathBuf,
        /// What was being done.
        act: &'static str,
        /// Why it failed.
        #[source]
        source: ureq::Error,
    },
    /// It has no image of that name.
    #[error("daemon at `{}` has no image `{name}`: {message}", socket.display())]
    NoImage {
        /// Where it listens.
        socket: PathBuf,
        /// What was asked for.
        name: String,
        /// In its own words.
        message: String,
    },
    /// It says no.
    #[error("daemon at `{}`: {act}: it answered with {status}: {message}", socket.display())]
    Refused {
        /// Where it listens.
        socket: PathBuf,
        /// What was being done.
        act: &'static str,
        /// HTTP's number for it.
        status: u16,
        /// In its own words.
        message: String,
    },
}

fn tried(sockets: &[(PathBuf, io::Error)]) -> String {
    let one = |(socket, error): &(PathBuf, io::Error)| format!("`{}` ({error})", socket.display());
    sockets.iter().map(one).collect::<Vec<_>>().join(" nor at ")
}

/// What a daemon says of a failure: as a whole answer, or as a line of the answer to a load.
#[derive(Deserialize)]
struct Complaint {
    #[serde(alias = "error")]
    message: Option<String>,
}

impl Daemon {
    /// The daemon that `DOCKER_HOST` names, else the first that answers of Docker's, and podman's of the user and the system.
    pub fn open() -> Result<Self, DaemonError> {
        Self::first_of(sockets(|name| std::env::var_os(name))?)
    }

    fn first_of(sockets: Vec<PathBuf>) -> Result<Self, DaemonError> {
        let mut failed = Vec::new();
        for socket in sockets {
            match transport::connect(&socket) {
                Ok(_) => return Ok(Self::at(socket)),
                Err(error) => failed.push((socket, error)),
            }
        }
        Err(DaemonError::NotThere(failed))
    }

    fn at(socket: PathBuf) -> Self {
        let config = Config::builder()
            .http_status_as_error(false)
            // A socket has no proxy, whatever the environment says of one.
            .proxy(None)
            .max_redirects(0)
            .timeout_per_read(Some(STALL))
            .timeout_per_write(Some(STALL))
            .build();
        let agent = Agent::with_parts(config, UnixConnector::new(&socket), NoResolver);
        Self { agent, socket }
    }

    /// The image `name` as an archive of `docker save`; how long it is shows when it has been read.
    pub fn export(&self, name: &str) -> Result<impl Read + use<>, DaemonError> {
        let act = "exporting the image";
        let answer = self.agent.get(format!("http://daemon/images/{name}/get")).call();
        let answer = answer.map_err(|source| self.broken(act, source))?;
        match answer.status().as_u16() {
            200 => Ok(answer.into_body().into_with_config().limit(u64::MAX).reader()),
            404 => {
                let message = self.message(answer, act)?;
                Err(DaemonError::NoImage { socket: self.socket.clone(), name: name.to_owned(), message })
            }
            _ => Err(self.refused(answer, act)),
        }
    }

    /// Loads an archive of `docker save`, whose names then name what is in it.
    pub fn import(&self, archive: &File) -> Result<(), DaemonError> {
        let act = "loading the image";
        let request = self.agent.post("http://daemon/images/load?quiet=1").content_type("application/x-tar");
        let answer = request.send(archive).map_err(|source| self.broken(act, source))?;
        let status = answer.status().as_u16();
        if status != 200 {
            return Err(self.refused(answer, act));
        }
        // A load that fails half way has said 200 already: the failure is a line of the answer.
        let text = self.text(answer, act)?;
        let complaint = text.lines().find_map(|line| {
            let value: serde_json::Value = serde_json::from_str(line).ok()?;
            Some(short(value.get("error")?.as_str()?))
        });
        match complaint {
            Some(message) => Err(DaemonError::Refused { socket: self.socket.clone(), act, status, message }),
            None => Ok(()),
        }
    }

    fn broken(&self, act: &'static str, source: ureq::Error) -> DaemonError {
        DaemonError::Talk { socket: self.socket.clone(), act, source }
    }

    /// A read of an export that failed.
    pub fn cut(&self, source: io::Error) -> DaemonError {
        self.broken("receiving the image", ureq::Error::Io(source))
    }

    fn refused(&self, answer: Response<Body>, act: &'static str) -> DaemonError {
        let status = answer.status().as_u16();
        match self.message(answer, act) {
            Ok(message) => DaemonError::Refused { socket: self.socket.clone(), act, status, message },
            Err(error) => error,
        }
    }

    fn message(&self, answer: Response<Body>, act: &'static str) -> Result<String, DaemonError> {
        let text = self.text(answer, act)?;
        let said: Option<Complaint> = serde_json::from_str(&text).ok();
        Ok(short(&said.and_then(|said| said.message).unwrap_or(text)))
    }

    fn text(&self, mut answer: Response<Body>, act: &'static str) -> Result<String, DaemonError> {
        let body = answer.body_mut().with_config().limit(MAX_ANSWER).lossy_utf8(true);
        body.read_to_string().map_err(|source| self.broken(act, source))
    }
}

fn short(message: &str) -> String {
    let message = message.trim();
    if message.chars().count() <= MAX_MESSAGE {
        return message.to_owned();
    }
    message.chars().take(MAX_MESSAGE).chain("…".chars()).collect()
}

/// Where to look, in order.
fn sockets(env: impl Fn(&str) -> Option<OsString>) -> Result<Vec<PathBuf>, DaemonError> {
    let set = |name: &str| env(name).filter(|value| !value.is_empty());
    if let Some(host) = set("DOCKER_HOST") {
        let text = host.to_string_lossy();
        return match text.strip_prefix("unix://").filter(|path| path.starts_with('/')) {
            Some(path) => Ok(vec![PathBuf::from(path)]),
            None => Err(DaemonError::Host(text.into_owned())),
        };
    }
    let user = set("XDG_RUNTIME_DIR").map(|directory| Path::new(&directory).join("podman/podman.sock"));
    Ok([Some(DOCKER_SOCKET.into()), user, Some(PODMAN_SOCKET.into())].into_iter().flatten().collect())
}

#[cfg(test)]
mod tests;
