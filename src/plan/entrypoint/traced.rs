//! A start that runs showed: the shell of a script goes where what it ended as is certain, and was all that mattered.
//!
//! Asked only where nothing in the image itself says what a script ends as. What speaks against it is said.

mod bake;
mod beside;
mod constant;
mod first;
mod frozen;
mod given;
mod moment;
mod prepared;
mod words;

use std::fmt::Write as _;

use crate::catalog::{Catalog, Class, WrapperKind};
use crate::path::ImagePath;
use crate::plan::baked::{Baked, Holds};
use crate::plan::known::Known;
use crate::plan::preparing::becomes_its_arguments;
use crate::plan::traced::{Part, Reached, Traced, Whose};
use crate::profile::{Exec, Profile};
use beside::{Beside, beside, on_the_way};
use constant::{are_constant, are_of_this_start};
pub use frozen::frozen;
use given::{is_more_than_the_images, reads_nothing_given};
use moment::{asks_for_limits, asks_the_moment};
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
    /// Files that it wrote, which are constants of the image.
    pub(super) baked: Vec<Baked>,
    /// Files of the image that it removed.
    pub(super) removed: Vec<ImagePath>,
    /// The command of the source that makes the rest before each start.
    pub(super) preparing: Option<Vec<String>>,
    /// Why.
    pub(super) why: String,
}

/// Why a start is not lowered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// In words.
    pub why: String,
    /// What would help, where that is another thing than usual.
    pub remedy: Option<String>,
    /// Files of which it would be enough that the script makes them before the app starts, if it did only that.
    pub wants: Vec<ImagePath>,
}

impl From<String> for Refusal {
    fn from(why: String) -> Self {
        Self { why, remedy: None, wants: Vec::new() }
    }
}

impl Refusal {
    /// For a file that only the script can write.
    pub(super) fn of_file(why: String, file: &ImagePath) -> Self {
        let remedy = format!(
            "mount {file} from a ConfigMap, or from a Secret if it holds one, and start in the image what the script ends in; or let its build write the file"
        );
        Self { why, remedy: Some(remedy), wants: Vec::new() }
    }

    /// For data in `directory` that only the script makes, at a first start.
    pub(super) fn of_data(known: &Known<'_>, server: Traced<'_>, why: String, directory: &ImagePath) -> Self {
        let (profile, config) = (server.profile(), known.config);
        let entrypoint = config.entrypoint.join(" ");
        // A script that ends in `exec "$@"` ends at once with a command that does nothing.
        let command = if becomes_its_arguments(config, profile) {
            format!("`{entrypoint} true`, if the script prepares for that as for the server")
        } else {
            "a command that its script takes and that ends".to_owned()
        };
        let remedy = format!(
            "fill a volume at {directory} before the start, by an init container of the source image that runs {command}, and start in the image what the script ends in"
        );
        Self { why, remedy: Some(remedy), wants: Vec::new() }
    }

    /// For `what`, which a variable that the runs were given may have made.
    fn of_given(profile: &Profile, what: &str) -> Self {
        let names = given::names(profile).collect::<Vec<_>>().join(", ");
        let why = format!(
            "{what}, and whether that is so without what the watched runs were given ({names}) is not known"
        );
        let remedy = "watch it without given variables, if it starts so: such runs tell what is constant";
        Self { why, remedy: Some(remedy.to_owned()), wants: Vec::new() }
    }

    /// As it is said of `reached`.
    fn of(self, reached: &Reached<'_>) -> Self {
        let words: Vec<&str> = reached.exec.argv.iter().map(String::as_str).collect();
        let ended = words.join(" ");
        Self { why: format!("runs showed that it ends as `{ended}`, but {}", self.why), ..self }
    }
}

/// What runs showed that a start with a shell ends as: `Err` says why that cannot be started instead; `None` where it is
/// not known.
pub(super) fn shown(known: &Known<'_>) -> Option<Result<Shown, Refusal>> {
    let traced = known.traced?;
    if traced.first().is_none() {
        return Some(Err(Refusal::from("the runs that were watched started differently".to_owned())));
    }
    let reached = server(known, traced)?;
    Some(lower(known, traced, &reached).map_err(|refusal| refusal.of(&reached)))
}

/// Why a start is not lowered whose script writes `file`: the volume at `volume` hides it.
pub fn hidden(known: &Known<'_>, file: &ImagePath, volume: &ImagePath) -> Refusal {
    let why = format!("the script writes {file}, which the volume at {volume} hides");
    let refusal = Refusal::of_file(why, file);
    match known.traced.and_then(|traced| server(known, traced)) {
        Some(reached) => refusal.of(&reached),
        None => refusal,
    }
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
        // `npm start` is a shell's work: it starts one, which starts the server, and waits.
        let manager = |word: &String| {
            let path = ImagePath::unescape(word);
            path.is_some_and(|path| Catalog::builtin().program(path.name()) == Some(Class::PackageManager))
        };
        match known.class(&file) {
            Some(Class::Shell | Class::PackageManager) => Part::Shell,
            Some(Class::Interpreter) if exec.argv.get(1).is_some_and(manager) => Part::Shell,
            _ if exec.interpreter.is_none()
                && wrapper.is_some_and(|wrapper| wrapper.kind == WrapperKind::Init) =>
            {
                Part::Init
            }
            _ => Part::Other,
        }
    })
}

fn lower(known: &Known<'_>, traced: Traced<'_>, reached: &Reached<'_>) -> Result<Shown, Refusal> {
    let profile = traced.profile();
    let first =
        traced.first().and_then(<[Exec]>::first).ok_or_else(|| "nothing of its start is known".to_owned())?;
    are_of_this_start(known, traced, first)?;
    let Beside { gone: beside, ended } = beside(known, traced, reached)?;
    on_the_way(reached)?;
    stops_by_itself(profile, reached)?;
    reads_nothing_given(known, traced, reached)?;
    let masks = [&first.umask, &reached.exec.umask].map(|mask| u32::from_str_radix(mask, 8).ok());
    let [Some(before), Some(after)] = masks else { return Err(Refusal::from("with no umask".to_owned())) };
    // Whose files everybody may write, others rely on; user and group are the pod's.
    if before & !after & 0o7 != 0 {
        return Err(Refusal::from(format!("with the umask {}", reached.exec.umask)));
    }
    let Prepared { mut directories, made, unread, baked, removed, first: preparing } =
        prepared(known, traced.of(Whose::Server(reached.server)))?;
    // What served for a while, for the script alone, does so again where the script runs again.
    if let (Some(why), None) = (ended, &preparing) {
        return Err(Refusal::from(why));
    }
    let working_dir = working_dir(known, reached.exec, &made)?;
    let is_made_first =
        |path: &ImagePath| preparing.is_some() && directories.iter().any(|above| path.is_within(above));
    let own = working_dir.clone().filter(|path| made.contains(path) && !is_made_first(path));
    directories.extend(own);
    let env = added(known, first, reached.exec, &profile.start.env)?;
    let directory = working_dir.as_ref().unwrap_or(&known.working_dir);
    let mut argv = Vec::new();
    for above in &reached.above {
        argv.extend(words_of_init(above)?);
    }
    argv.extend(words(known, reached.exec, directory, &env)?);
    are_constant(profile, &argv, &env)?;
    let mut shown =
        Shown { argv, env, working_dir, directories, baked, removed, preparing, why: String::new() };
    if !profile.start.env.is_empty()
        && let Some(what) = is_more_than_the_images(known, reached, &shown, &profile.start.env)
    {
        return Err(Refusal::of_given(profile, &what));
    }
    asks_nothing_of_elsewhere(known, traced.of(Whose::Server(reached.server)), &shown)?;
    let files: Vec<ImagePath> = shown.baked.iter().map(|baked| baked.path.clone()).collect();
    let besides = match files.as_slice() {
        [] => String::new(),
        some => format!(" but what is the same in all of them and in the image now: {}", some_of(some)),
    };
    shown.why = format!("{} runs ended as this", profile.runs);
    match &shown.preparing {
        None => _ = write!(shown.why, ", and it read nothing that the script makes{besides}"),
        Some(command) => {
            let command = command.join(" ");
            let _ = write!(
                shown.why,
                ", and what the script makes for it{besides}, `{command}` of the source image makes before each start of the pod"
            );
        }
    }
    if before != after {
        let _ = write!(shown.why, "; the script's umask of {} is not set any more", reached.exec.umask);
    }
    for (what, names) in [
        ("removed in the image", shown.removed.clone()),
        ("not made any more", unread),
        ("not started any more", beside),
    ] {
        if !names.is_empty() {
            let _ = write!(shown.why, "; {what}: {}", some_of(&names));
        }
    }
    Ok(shown)
}

/// Whether a server that was another's child still ends when it is asked to, as the first process: the kernel gives that no
/// signal that it does not catch.
fn stops_by_itself(profile: &Profile, reached: &Reached<'_>) -> Result<(), Refusal> {
    let process = profile.processes.get(reached.server.process() as usize);
    if reached.server.process() != 0
        && reached.above.is_empty()
        && process.is_some_and(|process| process.uncaught)
    {
        return Err(Refusal::from(
            "it does not catch its stop signal, and as the first process of a container it would ignore it"
                .to_owned(),
        ));
    }
    Ok(())
}

/// Refuses words, variables and files of a script that asked what answers otherwise elsewhere.
fn asks_nothing_of_elsewhere(known: &Known<'_>, server: Traced<'_>, shown: &Shown) -> Result<(), Refusal> {
    let asks = asks_the_moment(known, server).or_else(|| asks_for_limits(known, server));
    let Some(asks) = asks else { return Ok(()) };
    let own = |word: &String| known.config.entrypoint.contains(word) || known.config.cmd.contains(word);
    if !(shown.env.is_empty() && shown.argv.iter().skip(1).all(own)) {
        let why = format!("the script asks {asks}, and what it answers may be in the words");
        return Err(Refusal::from(why));
    }
    let file = shown.baked.iter().find(|baked| baked.holds != Holds::Image);
    let Some(Baked { path, .. }) = file else { return Ok(()) };
    let why = format!("the script asks {asks}, and what it answers may be in {path}, which it writes");
    Err(Refusal::of_file(why, path))
}

/// The first of `paths`, and how many more there are.
fn some_of(paths: &[ImagePath]) -> String {
    let names: Vec<String> = paths.iter().take(NAMED).map(ToString::to_string).collect();
    match paths.len().saturating_sub(NAMED) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}
