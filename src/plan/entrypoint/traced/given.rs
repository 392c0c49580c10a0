//! What variables that only the watched runs were given may have made of a start.
//!
//! A script may put such a value anywhere, hashed or encoded, or only switch something on by it. So no run that was given
//! one tells what is constant; it tells what the image's own words start. Does not know what a script does with a value.

use super::words::text;
use super::{Shown, some_of};
use crate::catalog::Class;
use crate::path::ImagePath;
use crate::plan::known::Known;
use crate::plan::traced::{Reached, Traced, Whose};
use crate::profile::Profile;
use crate::rootfs::Content;

/// Files that shells open on their own, and in which no command is.
const NO_COMMANDS: &[&str] =
    &["/etc/ld.so.cache", "/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/localtime"];

/// Parts of paths of what shells open on their own for languages, characters and terminals.
const NO_COMMAND_TREES: &[&str] = &["/locale/", "/gconv/", "/terminfo/", "/zoneinfo/"];

/// Names of the variables that the runs of `profile` were given.
pub(super) fn names(profile: &Profile) -> impl Iterator<Item = &str> {
    profile.start.env.iter().filter_map(|pair| pair.split_once('=')).map(|(name, _)| name)
}

/// Whether `text` has in it a value that the watched runs were given, and the image does not give.
pub(super) fn is_given(text: &str, given: &[String]) -> bool {
    let values = given.iter().filter_map(|pair| pair.split_once('=')).map(|(_, value)| value);
    values.filter(|value| !value.is_empty()).any(|value| text.contains(value))
}

/// Refuses scripts that read, or may read, what only the watched runs were given: it may have switched something off.
pub(super) fn reads_nothing_given(
    known: &Known<'_>,
    traced: Traced<'_>,
    reached: &Reached<'_>,
) -> Result<(), String> {
    let given: Vec<&str> = names(traced.profile()).collect();
    if given.is_empty() {
        return Ok(());
    }
    let content =
        |path: &ImagePath| known.rootfs.entry(path).and_then(|entry| entry.file()).map(|file| &file.content);
    let scripts = traced.read().filter(|used| matches!(content(&used.path), Some(Content::Script(_))));
    let texts: Vec<String> = scripts
        .filter_map(|used| Some(String::from_utf8_lossy(&known.rootfs.bytes(&used.path)?).into_owned()))
        .chain(known.config.entrypoint.iter().chain(&known.config.cmd).cloned())
        .collect();
    if let Some(name) = given.iter().find(|name| texts.iter().any(|text| text.contains(*name))) {
        return Err(format!("its script reads `{name}`, which only the watched runs were given"));
    }
    // What `.` reads begins with no `#!`, and its bytes are not known.
    let is_of_scripts = |by: &str| {
        let class = ImagePath::unescape(by).and_then(|by| known.class(&by));
        matches!(class, Some(Class::Shell | Class::Interpreter))
    };
    let server = traced.of(Whose::Server(reached.server));
    let mut read = server.others_read().filter(|read| is_of_scripts(read.by)).map(|read| read.path);
    let is_part = |path: &ImagePath| matches!(content(path), Some(Content::Data)) && may_have_commands(path);
    match read.find(is_part) {
        Some(path) => Err(format!(
            "its script reads {path}, which may read what only the watched runs were given ({})",
            given.join(", ")
        )),
        None => Ok(()),
    }
}

fn may_have_commands(path: &ImagePath) -> bool {
    let text = path.to_string();
    !NO_COMMANDS.contains(&text.as_str()) && !NO_COMMAND_TREES.iter().any(|tree| text.contains(tree))
}

/// What of a start is not the image's own, in words: what a variable that was `given` may have made.
pub(super) fn is_more_than_the_images(
    known: &Known<'_>,
    reached: &Reached<'_>,
    shown: &Shown,
    given: &[String],
) -> Option<String> {
    let own = |word: &String| known.config.entrypoint.contains(word) || known.config.cmd.contains(word);
    let mut words = reached.above.iter().copied().chain([reached.exec]).flat_map(|exec| &exec.argv);
    if let Some(word) = words.find(|word| !text(word).is_ok_and(|word| own(&word))) {
        return Some(format!("the word `{word}` is the script's"));
    }
    if let Some((name, _)) = shown.env.first() {
        return Some(format!("the variable `{name}` is the script's"));
    }
    if let Some(directory) = &shown.working_dir {
        return Some(format!("the script goes to {directory}"));
    }
    let is_named = |path: &&ImagePath| is_given(&path.to_string(), given);
    if let Some(directory) = shown.directories.iter().find(is_named) {
        return Some(format!("the script makes {directory}"));
    }
    let files: Vec<ImagePath> = shown.baked.iter().map(|baked| baked.path.clone()).collect();
    [("writes", files.as_slice()), ("removes", &shown.removed)]
        .into_iter()
        .find(|(_, files)| !files.is_empty())
        .map(|(verb, files)| format!("the script {verb} {}", some_of(files)))
}
