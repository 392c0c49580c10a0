//! How a server was started, as words, variables and a directory of an image.
//!
//! Does not ask whether they are constant beyond the environment's own values.

use std::collections::BTreeSet;

use super::given::is_given;
use crate::catalog::Catalog;
use crate::path::{ImagePath, unescape};
use crate::plan::entrypoint::find_program;
use crate::plan::known::Known;
use crate::profile::{Exec, is_secret_name};

/// Variables that shells set for themselves, and those that a runtime gives every container.
pub(super) const OWN: &[&str] = &["_", "SHLVL", "PWD", "OLDPWD", "HOSTNAME"];

/// Where `exec` starts, if not where the image does: a directory of the image, or one that was `made`.
pub(super) fn working_dir(
    known: &Known<'_>,
    exec: &Exec,
    made: &BTreeSet<ImagePath>,
) -> Result<Option<ImagePath>, String> {
    let path = ImagePath::unescape(&exec.cwd).ok_or("in a directory that has no path")?;
    if known.rootfs.resolve(&known.working_dir).is_some_and(|own| own.path == path)
        || path == known.working_dir
    {
        return Ok(None);
    }
    let is_there = known.rootfs.is_directory(&path) || made.contains(&path);
    if is_there && std::str::from_utf8(path.as_bytes()).is_ok() {
        return Ok(Some(path));
    }
    Err(format!("in the directory {path}, which the image does not have"))
}

/// The words of `exec`, the first as it is found again.
pub(super) fn words(
    known: &Known<'_>,
    exec: &Exec,
    directory: &ImagePath,
    env: &[(String, String)],
) -> Result<Vec<String>, String> {
    let mut words = plain(&exec.argv)?;
    let path = ImagePath::unescape(&exec.path).ok_or("its program has no path")?;
    let Some(first) = words.first_mut() else { return Err("without a word".into()) };
    let all: Vec<(String, String)> = known.config.env.iter().chain(env).cloned().collect();
    let is_found = find_program(known.rootfs, &all, directory, first).is_some_and(|(found, file)| {
        found == path || known.rootfs.resolve(&path).is_some_and(|end| end.path == file)
    });
    if !is_found {
        if first.rsplit('/').next().map(str::as_bytes) != Some(path.name()) {
            return Err(format!("it calls {path} by the name `{first}`"));
        }
        *first = String::from_utf8(path.absolute()).map_err(|_| "its path is no text")?;
    }
    Ok(words)
}

/// The words of an init before those of what it starts.
pub(super) fn words_of_init(exec: &Exec) -> Result<Vec<String>, String> {
    let words = plain(&exec.argv)?;
    let path = ImagePath::unescape(&exec.path);
    let wrapper = path.and_then(|path| Catalog::builtin().wrapper(path.name()));
    let command = wrapper.and_then(|wrapper| wrapper.unwrap_words(words.get(1..)?)).map(|all| all.command);
    let command = command.ok_or_else(|| format!("what `{}` starts cannot be told", exec.path))?;
    let own = words.len().saturating_sub(command.len());
    let mut own: Vec<String> = words.into_iter().take(own).collect();
    if let Some(first) = own.first_mut() {
        // As it was found, whatever it was called.
        first.clone_from(&exec.path);
    }
    Ok(own)
}

/// What the script added to the environment.
pub(super) fn added(
    known: &Known<'_>,
    first: &Exec,
    last: &Exec,
    given: &[String],
) -> Result<Vec<(String, String)>, String> {
    let mut added = Vec::new();
    let is_own = |name: &str| OWN.contains(&name);
    for variable in last.env.iter().filter(|variable| !is_own(&variable.name)) {
        let before = first.env.iter().find(|before| before.name == variable.name);
        if before.is_some_and(|before| before.values == variable.values) {
            continue;
        }
        let name = &variable.name;
        let [value] = variable.values.as_slice() else {
            return Err(format!("with a variable that differs from run to run, `{name}`"));
        };
        if !variable.always {
            return Err(format!("with a variable that only some runs have, `{name}`"));
        }
        if is_secret_name(name) {
            return Err(format!("with a variable that may be a secret, `{name}`, which is not baked"));
        }
        if is_given(value, given) {
            return Err(format!("with a variable that only the watched runs were given, `{name}`"));
        }
        if name == "HOME" && is_home(known, last.uid, value) {
            continue;
        }
        added.push((text(name)?, text(value)?));
    }
    let is_lost = |name: &String| !is_own(name) && !last.env.iter().any(|variable| variable.name == *name);
    if let Some((name, _)) = known.config.env.iter().find(|(name, _)| is_lost(name)) {
        return Err(format!("without the image's variable `{name}`"));
    }
    Ok(added)
}

/// Whether `home` is what a runtime sets for the user.
fn is_home(known: &Known<'_>, uid: u32, home: &str) -> bool {
    known.accounts.of_uid(uid).is_some_and(|account| account.home == home)
}

fn plain(words: &[String]) -> Result<Vec<String>, String> {
    words.iter().map(|word| text(word)).collect()
}

pub(super) fn text(escaped: &str) -> Result<String, String> {
    let bytes = unescape(escaped).and_then(|bytes| String::from_utf8(bytes).ok());
    bytes.ok_or_else(|| "one of its words is no text".into())
}
