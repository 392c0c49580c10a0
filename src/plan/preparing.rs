//! Commands of a source image that may make what its start-up script makes, and end.
//!
//! A guess, from conventions and from programs that are known: which of them does it is for a trial to say.

use std::collections::BTreeSet;

use crate::image::Config;
use crate::path::ImagePath;
use crate::plan::entrypoint::find_program;
use crate::profile::{How, Profile};
use crate::rootfs::Rootfs;

/// Scripts by which images offer it: `docker-ensure-initdb.sh`.
const ENSURES: &[u8] = b"docker-ensure-";

/// Words with which a server of this name does all that it does before it serves, and ends. What scripts take for a
/// question (`--help`, `--version`) they answer without preparing anything.
const ENDS: &[(&str, &[&str])] = &[
    ("postgres", &["-C", "data_directory"]),
    ("mariadbd", &["--bootstrap"]),
    ("mysqld", &["--validate-config"]),
    ("mysqld", &["--bootstrap"]),
];

/// What stands in a profile for characters of a name that are others in each run, at the least.
const MARKS: &[u8] = b"XXXX";

/// Those of `wants` that a command must have left: not what was there for a moment only, and what has a name.
pub fn lasting(wants: &[ImagePath], profile: &Profile) -> Vec<ImagePath> {
    let momentary: BTreeSet<ImagePath> = profile
        .written
        .iter()
        .filter(|written| written.how.iter().any(|how| matches!(how, How::Removed | How::RenamedAway)))
        .filter_map(|written| ImagePath::unescape(&written.path))
        .collect();
    let is_marked = |name: &[u8]| name.windows(MARKS.len()).any(|part| part == MARKS);
    let lasts = |path: &&ImagePath| !path.components().any(is_marked) && !momentary.contains(path);
    wants.iter().filter(lasts).cloned().collect()
}

/// Such commands, the likeliest first.
pub fn commands(config: &Config, rootfs: &Rootfs, profile: &Profile) -> Vec<Vec<String>> {
    let mut commands: Vec<Vec<String>> = ensuring(config, rootfs).map(|path| vec![path]).collect();
    // What a script does not become it may pass over, and serve instead.
    if !becomes_its_arguments(config, profile) {
        return commands;
    }
    let with = |words: &[&str]| -> Vec<String> {
        let words = words.iter().map(|word| (*word).to_owned());
        config.entrypoint.iter().cloned().chain(words).collect()
    };
    let cmd: Vec<&str> = config.cmd.iter().map(String::as_str).collect();
    let server = cmd.first().copied().unwrap_or_default();
    let name = server.rsplit('/').next().unwrap_or_default();
    for (_, words) in ENDS.iter().filter(|(known, _)| *known == name) {
        commands.push(with(&[cmd.as_slice(), words].concat()));
    }
    commands.push(with(&[&cmd, ["--version"].as_slice()].concat()));
    // Who asks for its server by name does nothing for another program.
    if !scripts_name(config, rootfs, profile, name) {
        commands.push(with(&["true"]));
    }
    commands
}

/// Whether the entrypoint was seen to become the command that it is given: a script that ends in `exec "$@"`.
pub fn becomes_its_arguments(config: &Config, profile: &Profile) -> bool {
    let mut execs = profile.processes.iter().flat_map(|process| &process.execs);
    !config.entrypoint.is_empty() && !config.cmd.is_empty() && execs.any(|exec| exec.argv == config.cmd)
}

/// Whether a script of the start has `name` in it, as far as is known.
fn scripts_name(config: &Config, rootfs: &Rootfs, profile: &Profile, name: &str) -> bool {
    let is_named = |path: &ImagePath| match rootfs.bytes(path) {
        Some(text) => text.windows(name.len().max(1)).any(|part| part == name.as_bytes()),
        None => true,
    };
    let entrypoint = config.entrypoint.first();
    let found = entrypoint.and_then(|word| find_program(rootfs, &config.env, &ImagePath::root(), word));
    let scripts = profile.processes.iter().flat_map(|process| &process.execs);
    let scripts = scripts.filter(|exec| exec.interpreter.is_some());
    let mut scripts = scripts.filter_map(|exec| ImagePath::unescape(&exec.file));
    found.is_none_or(|(_, file)| is_named(&file)) || scripts.any(|script| is_named(&script))
}

/// Scripts of the image that offer it, by path.
fn ensuring<'a>(config: &'a Config, rootfs: &'a Rootfs) -> impl Iterator<Item = String> + use<'a> {
    let named = rootfs.below(&ImagePath::root()).filter(|(path, _)| path.name().starts_with(ENSURES));
    named.filter_map(|(path, _)| {
        let text = String::from_utf8(path.absolute()).ok()?;
        find_program(rootfs, &config.env, &ImagePath::root(), &text)?;
        Some(text)
    })
}
