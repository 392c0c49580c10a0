//! What a start-up script left behind, taken from a watched container while it is still there.
//!
//! Knows which programs are told of: those that were gone when the app was ready, and shells, which only wait for what
//! they started. What the app itself writes is never looked at. Does not know what is made of it.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::{Catalog, Class};
use crate::path::{Escaped, ImagePath, unescape};
use crate::plan::traced::is_content;
use crate::profile::{
    Actor, Exec, Holds, Phase, Prepared, Profile, Untold, Written, has_private_key, has_word, is_secret_name,
};
use crate::sandbox::{Left, Running, SandboxError};

/// Largest file whose text is told: configuration is far smaller, and a profile is read by people.
const MAX_FILE: u64 = 256 << 10;
/// Most text in one profile.
const MAX_TEXT: u64 = 4 << 20;
/// Most files whose text is in one profile.
const MAX_FILES: usize = 256;
/// Most bytes that are read to find out what is text: initialising a database leaves some ten megabytes of small files.
const MAX_READ: u64 = 64 << 20;
/// A value of fewer characters is no secret.
const SHORTEST_SECRET: usize = 4;
/// Values of switches whose names look like those of secrets: `ALLOW_EMPTY_PASSWORD=true`.
const SWITCHES: &[&str] = &["true", "false", "none", "null"];

/// What was left behind in the run of `profile`, by path: what of it was there `before`, when the app was ready, and is
/// `running`'s, whose app has ended.
pub(super) fn prepared(
    running: &mut Running<'_>,
    profile: &Profile,
    before: &[Left],
) -> Result<Vec<Prepared>, SandboxError> {
    let now = running.left()?;
    let [before, now] = [before, &now].map(by_path);
    let secrets = secrets(profile);
    let opened: BTreeSet<&str> = profile.opened.iter().map(|used| used.path.as_str()).collect();
    let mut told = Told { text: MAX_TEXT, files: MAX_FILES, read: MAX_READ };
    let mut prepared = Vec::new();
    for written in &profile.written {
        let Some(path) = ImagePath::unescape(&written.path) else { continue };
        let Some(left) = now.get(path.as_bytes()).filter(|_| is_left_behind(profile, written)) else {
            continue;
        };
        let is_still = before.get(path.as_bytes()) == Some(left);
        let is_over = written.by.iter().all(|by| by.phase == Phase::StartUp);
        let holds = if !(is_still && is_over) {
            Holds::Untold(Untold::Changed)
        } else if !written.how.iter().any(is_content) {
            // Only of what somebody opens it matters who may.
            if !opened.contains(written.path.as_str()) {
                continue;
            }
            Holds::Image
        } else if let Some(target) = &left.target {
            let text = Escaped::new(&target.0).to_string();
            untold(&text, profile, &secrets).map_or(Holds::Link(text), Holds::Untold)
        } else if is_secret_file(&path) {
            Holds::Untold(Untold::Secret)
        } else {
            match told.text(running, left)? {
                Ok(text) => untold(&text, profile, &secrets).map_or(Holds::Text(text), Holds::Untold),
                Err(why) => Holds::Untold(why),
            }
        };
        let mode = format!("{:04o}", left.mode & 0o7777);
        prepared.push(Prepared {
            path: written.path.clone(),
            mode,
            uid: left.uid,
            gid: left.gid,
            holds,
            runs: 1,
        });
    }
    Ok(prepared)
}

fn by_path(left: &[Left]) -> BTreeMap<&[u8], &Left> {
    left.iter().map(|left| (left.path.0.as_slice(), left)).collect()
}

/// What may still be told.
struct Told {
    text: u64,
    files: usize,
    read: u64,
}

impl Told {
    fn text(
        &mut self,
        running: &mut Running<'_>,
        left: &Left,
    ) -> Result<Result<String, Untold>, SandboxError> {
        let size = left.stamp.size;
        if size > MAX_FILE || size > self.text || size > self.read || self.files == 0 {
            return Ok(Err(Untold::Large));
        }
        self.read = self.read.saturating_sub(size);
        let bytes = running.read(&left.path.0, MAX_FILE)?.unwrap_or_default();
        // Nobody is left who could write; a file that cannot be read is none of which anything is told.
        if bytes.len() as u64 != size {
            return Ok(Err(Untold::Changed));
        }
        let text = String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'));
        let Some(text) = text else { return Ok(Err(Untold::Binary)) };
        self.text = self.text.saturating_sub(size);
        self.files = self.files.saturating_sub(1);
        Ok(Ok(text))
    }
}

/// Whether only programs wrote it that were gone when the app was ready, or that wait for others.
fn is_left_behind(profile: &Profile, written: &Written) -> bool {
    written.by.iter().all(|by| {
        let Some(process) = profile.processes.get(by.process as usize) else { return false };
        let is_last = by.exec as usize == process.execs.len();
        !process.lasted || !is_last || program(profile, by).is_some_and(is_shell)
    })
}

/// What `by` ran: its own program, or that of who started it.
fn program<'p>(profile: &'p Profile, by: &Actor) -> Option<&'p Exec> {
    let mut at = (by.process, by.exec);
    loop {
        let process = profile.processes.get(at.0 as usize)?;
        if let Some(exec) = at.1.checked_sub(1).and_then(|exec| process.execs.get(exec as usize)) {
            return Some(exec);
        }
        at = process.parent.filter(|parent| parent.0 < at.0)?;
    }
}

fn is_shell(exec: &Exec) -> bool {
    let file = ImagePath::unescape(exec.interpreter.as_ref().unwrap_or(&exec.file));
    file.and_then(|file| Catalog::builtin().program(file.name())) == Some(Class::Shell)
}

fn is_secret_file(path: &ImagePath) -> bool {
    Catalog::builtin().secrets().find(&path.absolute()).is_some()
        || is_secret_name(&String::from_utf8_lossy(path.name()))
}

/// Values of variables that look like secrets, of all programs.
fn secrets(profile: &Profile) -> Vec<String> {
    let execs = profile.processes.iter().flat_map(|process| &process.execs);
    let variables = execs.flat_map(|exec| &exec.env).filter(|variable| is_secret_name(&variable.name));
    let values = variables.flat_map(|variable| &variable.values).filter_map(|value| plain(value));
    let mut values: Vec<String> = values
        .filter(|value| value.len() >= SHORTEST_SECRET && !SWITCHES.contains(&value.as_str()))
        .collect();
    values.sort();
    values.dedup();
    values
}

fn plain(escaped: &str) -> Option<String> {
    unescape(escaped).and_then(|bytes| String::from_utf8(bytes).ok())
}

/// Why `text` is not told.
fn untold(text: &str, profile: &Profile, secrets: &[String]) -> Option<Untold> {
    if has_private_key(text) || secrets.iter().any(|secret| text.contains(secret.as_str())) {
        return Some(Untold::Secret);
    }
    let given = profile.start.env.iter().filter_map(|pair| pair.split_once('=')).map(|(_, value)| value);
    given.filter(|value| !value.is_empty()).any(|value| has_word(text, value)).then_some(Untold::Given)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::tests::profile;

    /// The profile of a script that ran `mkdir` and `chown` and became a server; `written` is what the last process of
    /// that name wrote.
    fn is_left(by: &[(u32, u32)], phase: Phase) -> bool {
        let mut profile = profile();
        profile.processes[0].lasted = true;
        let actors = by.iter().map(|&(process, exec)| Actor { process, exec, phase });
        let written = Written { by: actors.collect(), ..profile.written[0].clone() };
        is_left_behind(&profile, &written)
    }

    #[test]
    fn only_what_programs_left_that_are_gone_is_looked_at() {
        // The script itself, before it became the server; a program that it ran.
        assert!(is_left(&[(0, 1)], Phase::StartUp));
        assert!(is_left(&[(1, 1)], Phase::StartUp));
        // The server: its data, its logs, its secrets.
        assert!(!is_left(&[(0, 2)], Phase::StartUp));
        assert!(!is_left(&[(1, 1), (0, 2)], Phase::StartUp));
    }

    #[test]
    fn shell_that_waits_for_its_server_leaves_files_behind() {
        let mut profile = profile();
        let root = &mut profile.processes[0];
        root.lasted = true;
        root.execs.truncate(1);
        let written = Written {
            by: vec![Actor { process: 0, exec: 1, phase: Phase::StartUp }],
            ..profile.written[0].clone()
        };
        assert!(!is_left_behind(&profile, &written));
        profile.processes[0].execs[0].interpreter = Some("/usr/bin/dash".into());
        assert!(is_left_behind(&profile, &written));
    }

    #[test]
    fn secrets_and_what_was_given_are_not_told() {
        let mut profile = profile();
        let variable = |name: &str, value: &str| crate::profile::EnvVar {
            name: name.into(),
            values: vec![value.into()],
            always: true,
        };
        profile.processes[0].execs[0].env = vec![
            variable("DB_PASSWORD", "hunter2"),
            variable("ALLOW_EMPTY_PASSWORD", "true"),
            variable("A_KEY", "on"),
        ];
        profile.start.env = vec!["SITE=example.org".into(), "EMPTY=".into(), "LEVEL=2".into()];
        let secrets = secrets(&profile);
        assert_eq!(secrets, ["hunter2"]);
        let why = |text: &str| untold(text, &profile, &secrets);
        assert_eq!(why("pass=hunter2"), Some(Untold::Secret));
        assert_eq!(why("-----BEGIN PRIVATE KEY-----\n"), Some(Untold::Secret));
        assert_eq!(why("server example.org;"), Some(Untold::Given));
        assert_eq!(why("level = 2"), Some(Untold::Given));
        assert_eq!(why("empty = true, port 8082, on"), None);
        assert!(is_secret_file(&ImagePath::literal("etc/ssh/ssh_host_rsa_key")));
        assert!(is_secret_file(&ImagePath::literal("run/app.token")));
        assert!(!is_secret_file(&ImagePath::literal("etc/nginx/nginx.conf")));
    }
}
