//! A start that runs showed: the shell of a script goes where what it ended as is certain, and was all that mattered.
//!
//! Asked only where nothing in the image itself says what a script ends as. What speaks against it is said.

mod beside;
mod constant;
mod frozen;
mod prepared;
mod words;

use std::fmt::Write as _;

use crate::catalog::{Catalog, Class, WrapperKind};
use crate::path::ImagePath;
use crate::plan::known::Known;
use crate::plan::traced::{Part, Reached, Traced, Whose};
use crate::profile::Exec;
use beside::{beside, on_the_way};
use constant::{are_constant, are_of_this_start, asks_the_machine, reads_nothing_given};
pub use frozen::frozen;
use prepared::{Prepared, prepared};
use words::{added, words, words_of_init, working_dir};

/// Files named in one message.
const NAMED: usize = 3;

/// What a start is replaced by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    /// The words.
    pub(super) argv: Vec<String>,
    /// Environment that the script added.
    pub(super) env: Vec<(String, String)>,
    /// Where it starts, if not where the image does.
    pub(super) working_dir: Option<ImagePath>,
    /// Directories that it made and the server uses.
    pub(super) directories: Vec<ImagePath>,
    /// Why.
    pub(super) why: String,
}

/// What runs showed that a start with a shell ends as: `Err` says why that cannot be started instead; `None` where it is
/// not known.
pub(super) fn shown(known: &Known<'_>) -> Option<Result<Shown, String>> {
    let traced = known.traced?;
    if traced.first().is_none() {
        return Some(Err("the runs that were watched started differently".into()));
    }
    let reached = server(known, traced)?;
    let words: Vec<&str> = reached.exec.argv.iter().map(String::as_str).collect();
    let ended = words.join(" ");
    Some(
        lower(known, traced, &reached)
            .map_err(|why| format!("runs showed that it ends as `{ended}`, but {why}")),
    )
}

/// Whether `program`, links followed, is what `exec` ran.
pub(super) fn is_program(exec: &Exec, program: &ImagePath) -> bool {
    [Some(&exec.file), exec.interpreter.as_ref()]
        .into_iter()
        .flatten()
        .any(|file| ImagePath::unescape(file).as_ref() == Some(program))
}

/// The server of the runs that are known.
pub fn server<'p>(known: &Known<'_>, traced: Traced<'p>) -> Option<Reached<'p>> {
    traced.server(|exec| {
        let file = exec.interpreter.as_ref().unwrap_or(&exec.file);
        let Some(file) = ImagePath::unescape(file) else { return Part::Other };
        let name = ImagePath::unescape(&exec.path);
        let wrapper = name.as_ref().and_then(|path| Catalog::builtin().wrapper(path.name()));
        match known.class(&file) {
            Some(Class::Shell) => Part::Shell,
            _ if exec.interpreter.is_none()
                && wrapper.is_some_and(|wrapper| wrapper.kind == WrapperKind::Init) =>
            {
                Part::Init
            }
            _ => Part::Other,
        }
    })
}

fn lower(known: &Known<'_>, traced: Traced<'_>, reached: &Reached<'_>) -> Result<Shown, String> {
    let profile = traced.profile();
    let first = traced.first().and_then(<[Exec]>::first).ok_or("nothing of its start is known")?;
    are_of_this_start(known, traced, first)?;
    let beside = beside(known, traced, reached)?;
    on_the_way(reached)?;
    reads_nothing_given(known, traced)?;
    let masks = [&first.umask, &reached.exec.umask].map(|mask| u32::from_str_radix(mask, 8).ok());
    let [Some(before), Some(after)] = masks else { return Err("with no umask".into()) };
    // Whose files everybody may write, others rely on; user and group are the pod's.
    if before & !after & 0o7 != 0 {
        return Err(format!("with the umask {}", reached.exec.umask));
    }
    let Prepared { mut directories, made, unread } =
        prepared(known, traced.of(Whose::Server(reached.server)))?;
    let working_dir = working_dir(known, reached.exec, &made)?;
    directories.extend(working_dir.clone().filter(|path| made.contains(path)));
    let env = added(known, first, reached.exec, &profile.start.env)?;
    let directory = working_dir.as_ref().unwrap_or(&known.working_dir);
    let mut argv = Vec::new();
    for above in &reached.above {
        argv.extend(words_of_init(above)?);
    }
    argv.extend(words(known, reached.exec, directory, &env)?);
    are_constant(profile, &argv, &env)?;
    let own = |word: &String| known.config.entrypoint.contains(word) || known.config.cmd.contains(word);
    if let Some(asks) = asks_the_machine(traced, reached)
        && !(env.is_empty() && argv.iter().skip(1).all(own))
    {
        return Err(format!(
            "the script asks the machine (`{asks}`), and what it answers may be in the words"
        ));
    }
    let mut why = format!("{} runs ended as this, and it read nothing that the script makes", profile.runs);
    if before != after {
        let _ = write!(why, "; the script's umask of {} is not set any more", reached.exec.umask);
    }
    for (what, names) in [("not made any more", unread), ("not started any more", beside)] {
        if !names.is_empty() {
            let _ = write!(why, "; {what}: {}", some_of(&names));
        }
    }
    Ok(Shown { argv, env, working_dir, directories, why })
}

/// The first of `paths`, and how many more there are.
fn some_of(paths: &[ImagePath]) -> String {
    let names: Vec<String> = paths.iter().take(NAMED).map(ToString::to_string).collect();
    match paths.len().saturating_sub(NAMED) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}
