//! Credential helpers: programs that keep passwords (docker-credential-helpers' protocol).
//!
//! A helper gets the server's name on stdin and no secret of anybody.

use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::registry::environment::Environment;
use crate::registry::error::RegistryError;
use crate::registry::secret::{Credential, Secret};

/// Longest answer, in bytes: tokens have some KiB.
const MAX_ANSWER: u64 = 1 << 20;

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
    let mut answer = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        stdout.take(MAX_ANSWER).read_to_end(&mut answer).map_err(|_| failed("cannot be read from"))?;
    }
    let status = child.wait().map_err(|_| failed("cannot be waited for"))?;
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

fn find(program: &str, environment: &Environment) -> Option<PathBuf> {
    let directories = environment.get("PATH")?.split(':').filter(|directory| !directory.is_empty());
    directories.map(|directory| PathBuf::from(directory).join(program)).find(|path| path.is_file())
}
