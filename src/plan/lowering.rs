//! Wrappers taken off and scripts replaced, where a rule says what is left and its conditions hold.
//!
//! Looks at text and at what the image has; runs nothing.

use crate::path::ImagePath;
use crate::plan::entrypoint::find_program;
use crate::plan::known::Known;
use crate::recipe::{self, Arguments, Condition, Lowering};

/// What a recipe says that a script ends up running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FromRecipe {
    /// The words.
    pub argv: Vec<String>,
    /// Environment it adds.
    pub env: Vec<(String, String)>,
    /// Directories it makes.
    pub directories: Vec<ImagePath>,
    /// Variables that the script reads at each start, and that the words here do not.
    pub frozen: Vec<String>,
    /// Why, with the recipe's name.
    pub why: String,
}

/// Applies `rule` to the script `file` called with `arguments`; `None` where a condition does not hold.
pub fn by_recipe(
    known: &Known<'_>,
    recipe: &str,
    rule: &Lowering,
    file: &ImagePath,
    arguments: &[String],
) -> Option<FromRecipe> {
    if !rule.conditions.iter().all(|condition| holds(known, condition, file)) {
        return None;
    }
    let arguments = match &rule.arguments {
        Arguments::Exactly(words) => (words == arguments).then(|| arguments.to_vec())?,
        Arguments::Any { option_prefix, suffix, programs } => {
            let mut words = arguments.to_vec();
            let first = words.first()?;
            let prefixed = first.starts_with('-')
                || suffix.as_ref().is_some_and(|suffix| first.ends_with(suffix.as_str()));
            if let Some(prefix) = option_prefix.as_ref().filter(|_| prefixed) {
                words.insert(0, prefix.clone());
            }
            let name = words.first()?.rsplit('/').next()?.to_owned();
            if !programs.is_empty() && !programs.contains(&name) {
                return None;
            }
            words
        }
    };
    let mut argv = Vec::new();
    for word in &rule.exec {
        match word.as_str() {
            "$@" => argv.extend(arguments.iter().cloned()),
            "${@:2}" => argv.extend(arguments.iter().skip(1).cloned()),
            "$1" => argv.push(arguments.first()?.clone()),
            word => argv.push(word.to_owned()),
        }
    }
    // A rule for another layout of the same script names a program that is not here.
    find_program(known.rootfs, &known.config.env, &known.working_dir, argv.first()?)?;
    Some(FromRecipe {
        argv,
        env: rule.env.clone(),
        directories: rule.directories.clone(),
        frozen: frozen(rule),
        why: format!("recipe `{recipe}`: {}", rule.why),
    })
}

/// That the image sets none of these is a condition; a deployment may set one all the same.
fn frozen(rule: &Lowering) -> Vec<String> {
    rule.conditions
        .iter()
        .filter_map(|condition| match condition {
            Condition::Unset(names) => Some(names.clone()),
            _ => None,
        })
        .flatten()
        .collect()
}

fn holds(known: &Known<'_>, condition: &Condition, script: &ImagePath) -> bool {
    match condition {
        Condition::Unmodified(files) => files.iter().all(|file| {
            let file = known.rootfs.resolve(file).map_or_else(|| file.clone(), |resolved| resolved.path);
            known.packages.is_some_and(|packages| packages.is_unmodified(known.rootfs, &file) == Some(true))
        }),
        Condition::Lines(lines) => known.rootfs.bytes(script).is_some_and(|bytes| {
            recipe::effective_lines(&bytes).into_iter().eq(lines.iter().map(String::as_bytes))
        }),
        Condition::Known { files, digests } => {
            let globs = known.compile(files);
            let named =
                known.rootfs.nodes().map(|(path, _)| path).filter(|path| globs.is_match(&path.absolute()));
            named.into_iter().all(|path| {
                known
                    .rootfs
                    .bytes_following(path)
                    .is_some_and(|bytes| digests.contains(&recipe::lines_digest(&bytes)))
            })
        }
        Condition::Absent(globs) => {
            let globs = known.compile(globs);
            !known.rootfs.nodes().any(|(path, _)| globs.is_match(&path.absolute()))
        }
        Condition::Unset(names) => !known.config.env.iter().any(|(name, _)| names.contains(name)),
    }
}
