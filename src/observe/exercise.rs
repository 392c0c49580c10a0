//! What drives an app while it is watched: pages that are fetched, programs of the user's that ask for more.
//!
//! A page is fetched from within the container's network. A program runs on this machine, as who runs kiln, and not in the
//! container: for each port that the app listens on, kiln gives it one on this machine's loopback that leads there.

use std::fmt;
use std::io::{self, Read as _};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};

use super::forward::Forward;
use super::probe;
use crate::profile::Protocol;
use crate::sandbox::Door;
use crate::trace::Live;

/// What drives an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exercise {
    /// A page that is fetched.
    Page {
        /// As it was given.
        url: String,
        /// The name in it, for the server.
        host: String,
        /// The port.
        port: u16,
        /// The path, and what follows.
        path: String,
    },
    /// A program of the user's.
    Program(PathBuf),
}

/// Why an exercise failed.
#[derive(Debug, thiserror::Error)]
pub enum ExerciseError {
    /// No answer.
    #[error("no answer: {0}")]
    NoAnswer(#[source] io::Error),
    /// An answer that says no.
    #[error("status {0}")]
    Status(u16),
    /// No port to listen on.
    #[error("cannot forward a port: {0}")]
    Forward(#[source] io::Error),
    /// The program does not start.
    #[error("cannot start it: {0}")]
    Start(#[source] io::Error),
    /// The program failed.
    #[error("{status}{}{said}", if said.is_empty() { "" } else { ": " })]
    Failed {
        /// How it ended.
        status: ExitStatus,
        /// The last line it wrote to stderr.
        said: String,
    },
}

/// Most bytes of a program's words that are kept.
const MAX_SAID: u64 = 64 << 10;

impl fmt::Display for Exercise {
    /// What says the same on every machine: of a program its name only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Page { url, .. } => f.write_str(url),
            Self::Program(path) => {
                let name = path.file_name().unwrap_or(path.as_os_str());
                write!(f, "{}", name.to_string_lossy())
            }
        }
    }
}

/// `http://HOST[:PORT][/PATH]`; `None` where it is no URL at all, but perhaps the name of a program.
pub fn parse_url(text: &str) -> Option<Result<Exercise, String>> {
    if text.starts_with("https://") {
        return Some(Err("expected `http://…`: kiln does not speak TLS with a watched app".to_owned()));
    }
    let rest = text.strip_prefix("http://")?;
    let at = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(at);
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok()),
        None => (authority, Some(80)),
    };
    let graphic = text.bytes().all(|byte| byte.is_ascii_graphic());
    let Some(port) = port.filter(|&port: &u16| port != 0 && !host.is_empty() && graphic) else {
        return Some(Err("expected `http://HOST[:PORT][/PATH]`".to_owned()));
    };
    Some(Ok(Exercise::Page {
        url: text.to_owned(),
        host: authority.to_owned(),
        port,
        path: if path.is_empty() { "/".to_owned() } else { path.to_owned() },
    }))
}

/// Does it, and waits for its end.
pub(super) fn run(exercise: &Exercise, door: &Door, live: &Live) -> Result<(), ExerciseError> {
    match exercise {
        Exercise::Page { host, port, path, .. } => {
            let status = probe::get(door, *port, host, path).map_err(ExerciseError::NoAnswer)?;
            if probe::is_good(status) { Ok(()) } else { Err(ExerciseError::Status(status)) }
        }
        Exercise::Program(program) => {
            let mut ports: Vec<u16> = live
                .listening()
                .iter()
                .filter(|listening| listening.bind.protocol == Protocol::Tcp && listening.bind.port != 0)
                .map(|listening| listening.bind.port)
                .collect();
            let mut seen = std::collections::BTreeSet::new();
            ports.retain(|&port| seen.insert(port));
            let forwards: Vec<Forward> = ports
                .iter()
                .map(|&port| Forward::open(door, port))
                .collect::<Result<_, _>>()
                .map_err(ExerciseError::Forward)?;
            start(program, &forwards)
        }
    }
}

fn start(program: &PathBuf, forwards: &[Forward]) -> Result<(), ExerciseError> {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    if let Some(first) = forwards.first() {
        command.env("KILN_PORT", first.near().to_string());
    }
    for forward in forwards {
        command.env(format!("KILN_PORT_{}", forward.far()), forward.near().to_string());
    }
    let mut child = command.spawn().map_err(ExerciseError::Start)?;
    let mut said = Vec::new();
    if let Some(mut stderr) = child.stderr.take() {
        // What cannot be read is not told.
        let _ = (&mut stderr).take(MAX_SAID).read_to_end(&mut said);
        let _ = io::copy(&mut stderr, &mut io::sink());
    }
    let status = child.wait().map_err(ExerciseError::Start)?;
    if status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&said);
    let said = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default().to_owned();
    Err(ExerciseError::Failed { status, said })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_and_programs_are_not_urls() {
        let page = |text: &str| match parse_url(text) {
            Some(Ok(Exercise::Page { host, port, path, .. })) => (host, port, path),
            other => panic!("{other:?}"),
        };
        assert_eq!(page("http://localhost:8080/a?b"), ("localhost:8080".into(), 8080, "/a?b".into()));
        assert_eq!(page("http://x"), ("x".into(), 80, "/".into()));
        for bad in ["https://x/", "http://", "http://:80/", "http://x:0/", "http://x:y/", "http://x/a b"] {
            assert!(matches!(parse_url(bad), Some(Err(_))), "{bad}");
        }
        assert!(parse_url("./script").is_none());
    }

    #[test]
    fn failure_of_a_program_is_told_with_its_last_words() {
        let program = |text: &str| start(&PathBuf::from(text), &[]);
        assert!(program("/bin/true").is_ok());
        assert!(matches!(program("/nonexistent"), Err(ExerciseError::Start(_))));
        let failed = program("/bin/false").unwrap_err();
        assert_eq!(failed.to_string(), "exit status: 1");
    }
}
