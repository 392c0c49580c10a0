//! Credential helpers: programs that keep passwords (docker-credential-helpers' protocol).
//!
//! A helper gets the server's name on stdin and no secret of anybody.

use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::registry::environment::Environment;
use crate::registry::error::RegistryError;
use crate::registry::secret::{Credential, Secret};

/// Longest answer, in bytes: tokens have some KiB.
const MAX_ANSWER: u64 = 1 << 20;

/// How long a helper may take, in seconds: somebody may have to unlock a keychain or to touch a key.
pub(super) const MAX_WAIT: u32 = 120;

/// Time between two looks at whether a helper that has answered has ended.
const LOOK: Duration = Duration::from_millis(10);

/// How helpers say that they have nothing; the text is part of the protocol.
const NOT_FOUND: &[u8] = b"credentials not found in native keychain";

/// The user's name beside a refresh token.
const TOKEN_USER: &str = "<token>";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    #[serde(default)]
    username: String,
    secret: String,
}

/// What `docker-credential-NAME get` gives for `server`; `None` where it has nothing.
pub(super) fn get(
    name: &str,
    server: &str,
    environment: &Environment,
    second: Duration,
) -> Result<Option<Credential>, RegistryError> {
    let program = format!("docker-credential-{name}");
    let failed = |problem| RegistryError::Helper { name: program.clone(), problem };
    // A file names it, and a file must not name a path.
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)) {
        return Err(failed("has no usable name"));
    }
    let path = find(&program, environment).ok_or_else(|| failed("is not in PATH"))?;
    let started = Command::new(path)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut child = started.map_err(|_| failed("cannot be started"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // Whether it read that shows in its answer.
        let _ = stdin.write_all(server.as_bytes());
    }
    let ended = answer_of(&mut child, Instant::now() + second * MAX_WAIT);
    if ended.is_err() {
        // Whether it was there to be ended: nobody waits for it any more.
        let _ = child.kill().and_then(|()| child.wait());
    }
    let (status, answer) = ended.map_err(failed)?;
    if !status.success() {
        return if answer.trim_ascii() == NOT_FOUND { Ok(None) } else { Err(failed("failed")) };
    }
    let answer: Answer = serde_json::from_slice(&answer).map_err(|_| failed("answered something else"))?;
    let secret = Secret::new(answer.secret);
    Ok(Some(match answer.username.as_str() {
        TOKEN_USER => Credential::Identity(secret),
        user => Credential::Password { user: user.to_owned(), password: secret },
    }))
}

/// How a helper ended, and what it said by then; what is wrong where it did not in time.
fn answer_of(child: &mut Child, until: Instant) -> Result<(ExitStatus, Vec<u8>), &'static str> {
    const LATE: &str = "does not answer";
    let stdout = child.stdout.take().ok_or("cannot be read from")?;
    let (tell, told) = mpsc::channel();
    // On a thread of its own, for a read has no time limit; it ends with the last program that has the pipe.
    let read = move || {
        let mut answer = Vec::new();
        let read = stdout.take(MAX_ANSWER).read_to_end(&mut answer);
        let _ = tell.send(read.map(|_| answer));
    };
    std::thread::Builder::new().spawn(read).map_err(|_| "cannot be read from")?;
    let left = || until.saturating_duration_since(Instant::now());
    let answer = told.recv_timeout(left()).map_err(|_| LATE)?.map_err(|_| "cannot be read from")?;
    loop {
        match child.try_wait().map_err(|_| "cannot be waited for")? {
            Some(status) => return Ok((status, answer)),
            None if left().is_zero() => return Err(LATE),
            None => std::thread::sleep(LOOK.min(left())),
        }
    }
}

fn find(program: &str, environment: &Environment) -> Option<PathBuf> {
    let directories = environment.get("PATH")?.split(':').filter(|directory| !directory.is_empty());
    directories.map(|directory| PathBuf::from(directory).join(program)).find(|path| path.is_file())
}
