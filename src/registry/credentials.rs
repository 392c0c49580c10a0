//! Credentials from the files that Docker and podman keep, and from credential helpers.
//!
//! Does not know how they are sent. Own code: the crates there are know neither `REGISTRY_AUTH_FILE` nor podman's
//! keys for single repositories, and cannot say which files they looked at.

mod helper;

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use serde::Deserialize;

use super::environment::Environment;
use super::error::RegistryError;
use super::secret::{Credential, Secret};
use crate::reference::{DOCKER_HUB, Repository};

/// Largest auth file, in bytes: real ones have some hundred per registry.
const MAX_AUTH_FILE: u64 = 4 << 20;

/// What Docker calls Docker Hub in its files and to its helpers.
const HUB_SERVER: &str = "https://index.docker.io/v1/";

/// The part of `config.json` and `auth.json` that is about credentials.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct AuthFile {
    auths: BTreeMap<String, Entry>,
    creds_store: Option<String>,
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
}

/// What was found for a repository, and where was looked.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) credential: Option<Credential>,
    /// The helper that was asked and failed, and how: for whoever needs its answer. A registry may want none.
    pub(super) failed: Option<(String, &'static str)>,
    /// All files that would have been read, in order, whether they are there or not.
    pub(super) looked_at: Vec<PathBuf>,
}

/// Looks in all auth files; the first that knows the repository or its host counts (containers-auth.json(5)).
///
/// `second` is what a second is, where a helper is waited for.
pub(super) fn find(
    repository: &Repository,
    environment: &Environment,
    second: Duration,
) -> Result<Found, RegistryError> {
    let looked_at = auth_files(environment);
    for path in &looked_at {
        let Some(file) = load(path)? else { continue };
        let ask = |helper: &str, server: &str| helper::get(helper, server, environment, second);
        match in_file(&file, path, repository, &ask) {
            Ok(None) => {}
            Ok(credential) => return Ok(Found { credential, failed: None, looked_at }),
            Err(RegistryError::Helper { name, problem }) => {
                return Ok(Found { credential: None, failed: Some((name, problem)), looked_at });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Found { credential: None, failed: None, looked_at })
}

fn auth_files(environment: &Environment) -> Vec<PathBuf> {
    if let Some(path) = environment.get("REGISTRY_AUTH_FILE") {
        return vec![path.into()];
    }
    let home = environment.get("HOME").map(PathBuf::from);
    let below = |variable: &str, default: &str| {
        let set = environment.get(variable).map(PathBuf::from);
        set.or_else(|| home.as_ref().map(|home| home.join(default)))
    };
    // Where `podman login` writes to: root has no directory of its own at run time.
    let runtime = match environment.get("XDG_RUNTIME_DIR") {
        Some(directory) => Some(PathBuf::from(directory).join("containers")),
        None => environment.uid().map(|uid| PathBuf::from(format!("/run/containers/{uid}"))),
    };
    [
        runtime.map(|directory| directory.join("auth.json")),
        below("XDG_CONFIG_HOME", ".config").map(|directory| directory.join("containers/auth.json")),
        below("DOCKER_CONFIG", ".docker").map(|directory| directory.join("config.json")),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn load(path: &Path) -> Result<Option<AuthFile>, RegistryError> {
    let failed = |source| RegistryError::AuthFile { path: path.to_owned(), source };
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        // Another user's home is no reason to fail: the registry may want no credentials.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => {
            return Ok(None);
        }
        Err(error) => return Err(failed(error)),
    };
    let mut bytes = Vec::new();
    file.take(MAX_AUTH_FILE).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    // The position only: serde's own words may repeat a secret.
    let parsed = serde_json::from_slice(&bytes).map_err(|error| {
        let place = format!("not JSON as expected at line {} column {}", error.line(), error.column());
        failed(io::Error::new(io::ErrorKind::InvalidData, place))
    })?;
    Ok(Some(parsed))
}

/// Asks the helper of a name for a server.
type Ask<'a> = dyn Fn(&str, &str) -> Result<Option<Credential>, RegistryError> + 'a;

fn in_file(
    file: &AuthFile,
    path: &Path,
    repository: &Repository,
    ask: &Ask<'_>,
) -> Result<Option<Credential>, RegistryError> {
    let is_hub = repository.host == DOCKER_HUB;
    let server = if is_hub { HUB_SERVER } else { &repository.host };
    let helpers = &file.cred_helpers;
    if let Some(helper) = helpers.get(server).or_else(|| helpers.get(&repository.host)) {
        return ask(helper, server);
    }
    for key in keys(repository) {
        let entry = file.auths.iter().find(|(name, _)| normalised(name) == key).map(|(_, entry)| entry);
        if let Some(credential) = entry.and_then(|entry| from_entry(entry, path).transpose()) {
            return credential.map(Some);
        }
    }
    match &file.creds_store {
        Some(helper) => ask(helper, server),
        None => Ok(None),
    }
}

/// The repository, then what is above it, then the host.
fn keys(repository: &Repository) -> Vec<String> {
    let whole = repository.to_string();
    let mut keys = vec![whole.clone()];
    let mut rest = whole.as_str();
    while let Some((above, _)) = rest.rsplit_once('/') {
        keys.push(above.to_owned());
        rest = above;
    }
    keys
}

/// Docker writes URLs, podman names.
fn normalised(key: &str) -> String {
    let bare = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let bare = bare.trim_end_matches('/');
    let bare = bare.strip_suffix("/v1").or_else(|| bare.strip_suffix("/v2")).unwrap_or(bare);
    match bare.split_once('/').unwrap_or((bare, "")) {
        ("index.docker.io" | "registry-1.docker.io", "") => DOCKER_HUB.to_owned(),
        ("index.docker.io" | "registry-1.docker.io", path) => format!("{DOCKER_HUB}/{path}"),
        _ => bare.to_owned(),
    }
}

fn from_entry(entry: &Entry, path: &Path) -> Result<Option<Credential>, RegistryError> {
    let text = |value: &Option<String>| value.clone().filter(|value| !value.is_empty());
    if let Some(token) = text(&entry.registrytoken) {
        return Ok(Some(Credential::Access(Secret::new(token))));
    }
    if let Some(token) = text(&entry.identitytoken) {
        return Ok(Some(Credential::Identity(Secret::new(token))));
    }
    if let Some(encoded) = text(&entry.auth) {
        let bad = |what: &'static str| RegistryError::AuthFile {
            path: path.to_owned(),
            source: io::Error::new(io::ErrorKind::InvalidData, what),
        };
        let bytes = base64::engine::general_purpose::STANDARD.decode(encoded.trim());
        let decoded = bytes.ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let decoded = decoded.ok_or_else(|| bad("an `auth` is not base64"))?;
        let (user, password) = decoded.split_once(':').ok_or_else(|| bad("an `auth` holds no colon"))?;
        // Old versions of Docker pad with NUL.
        let password = Secret::new(password.trim_end_matches('\0'));
        return Ok(Some(Credential::Password { user: user.to_owned(), password }));
    }
    Ok(text(&entry.username)
        .zip(text(&entry.password))
        .map(|(user, password)| Credential::Password { user, password: Secret::new(password) }))
}

#[cfg(test)]
mod tests;
