//! What of a start is the same in every container, and what only in the runs that were watched.
//!
//! Knows words and variables; what a script writes is `prepared`'s, and what it asks is `moment`'s.

use super::given::is_given;
use super::words::text;
use crate::plan::known::Known;
use crate::plan::traced::Traced;
use crate::profile::{Exec, Phase, Profile};

/// Runs that must agree: one says nothing about what is constant.
const RUNS: u32 = 2;

/// What an open file of a script is called.
const DESCRIPTORS: &[&str] = &["/dev/fd/", "/proc/self/fd/"];

/// Refuses runs that say nothing of how the image starts by itself.
pub(super) fn are_of_this_start(known: &Known<'_>, traced: Traced<'_>, first: &Exec) -> Result<(), String> {
    let (profile, config) = (traced.profile(), known.config);
    let words = config.entrypoint.iter().chain(&config.cmd);
    if !profile.start.argv.iter().eq(words) {
        return Err("they were started with other arguments".into());
    }
    let cwd = if config.working_dir.is_empty() { "/" } else { config.working_dir.as_str() };
    let has = |(name, value): &(String, String)| {
        let variable = first.env.iter().find(|variable| variable.name == *name);
        variable.is_some_and(|variable| variable.values.iter().all(|other| text(other).as_ref() == Ok(value)))
    };
    let is_given = |name: &String| {
        profile.start.env.iter().any(|pair| pair.split_once('=').is_some_and(|(given, _)| given == name))
    };
    let is_own = config.env.iter().all(|pair| is_given(&pair.0) || has(pair));
    if !is_own || profile.start.user != config.user || profile.start.cwd != cwd {
        return Err("they were started with another user, directory or environment".into());
    }
    if profile.runs < RUNS {
        return Err("one run does not say what is constant: watch several, `--runs 2`".into());
    }
    if !profile.cut.is_empty() {
        return Err("not all that they did was written down".into());
    }
    if profile.endings.iter().any(|ending| ending.phase == Phase::StartUp) {
        return Err("one of them ended before it was ready".into());
    }
    Ok(())
}

/// Refuses words and variables that are constant only in the runs that were watched.
pub(super) fn are_constant(
    profile: &Profile,
    argv: &[String],
    env: &[(String, String)],
) -> Result<(), String> {
    let mut all = argv.iter().chain(env.iter().map(|(_, value)| value));
    let names: Vec<&str> = profile.chance.iter().filter_map(|path| path.rsplit('/').next()).collect();
    if let Some(word) = all.clone().find(|word| names.iter().any(|name| word.contains(name))) {
        return Err(format!("with a name that is another in each run, `{word}`"));
    }
    if let Some(word) = all.find(|word| DESCRIPTORS.iter().any(|tree| word.contains(tree))) {
        return Err(format!("with a file that its script holds open, `{word}`"));
    }
    if argv.iter().any(|word| is_given(word, &profile.start.env)) {
        return Err("with words that only the watched runs were given".into());
    }
    Ok(())
}
