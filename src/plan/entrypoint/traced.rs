//! A start that runs showed: the shell of a script goes where what it ended as is certain, and was all that mattered.
//!
//! Asked only where nothing in the image itself says what a script ends as. What speaks against it is said.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::Frozen;
use super::find_program;
use crate::catalog::{Catalog, Class, WrapperKind};
use crate::path::{ImagePath, unescape};
use crate::plan::known::Known;
use crate::plan::traced::{Part, Reached, Traced, Whose, is_content};
use crate::plan::writable::is_kernel;
use crate::plan::{Role, Step};
use crate::profile::{Exec, How, Phase, Profile};
use crate::rootfs::Content;

/// Runs that must agree: one says nothing about what is constant.
const RUNS: u32 = 2;

/// Variables that shells set for themselves, and those that a runtime gives every container.
const OWN: &[&str] = &["_", "SHLVL", "PWD", "OLDPWD", "HOSTNAME"];

/// Parts of names that secrets have.
const SECRET: &[&str] =
    &["PASSWORD", "PASSWD", "PASSPHRASE", "SECRET", "TOKEN", "CREDENTIAL", "PRIVATE", "_KEY"];

/// Trees of what is of the moment: marks, process numbers, messages. A server that needs one of these opens it.
const MOMENTARY: &[&str] = &["/tmp", "/run", "/var/run", "/var/lock", "/var/tmp", "/var/log"];

/// Programs that carry on what comes through a pipe.
const READERS: &[&[u8]] = &[b"logger", b"tee", b"cat"];

/// Wrappers whose settings a container does not have, or a runtime makes itself.
const HARMLESS: &[&[u8]] = &[b"nohup", b"setsid", b"stdbuf", b"nice", b"timeout"];

/// Programs that are no wrappers of kiln's catalog, and that leave a limit, a root or a namespace to what they become.
const INHERITED: &[&[u8]] = &[b"chroot", b"unshare", b"nsenter", b"prlimit", b"capsh"];

/// Programs that answer with what the machine of the watched runs has, and another may have not.
const MACHINE: &[&[u8]] =
    &[b"nproc", b"free", b"lscpu", b"getconf", b"hostname", b"hostid", b"ip", b"ifconfig"];

/// What an open file of a script is called.
const DESCRIPTORS: &[&str] = &["/dev/fd/", "/proc/self/fd/"];

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

/// Refuses runs that say nothing of how the image starts by itself.
fn are_of_this_start(known: &Known<'_>, traced: Traced<'_>, first: &Exec) -> Result<(), String> {
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

/// Readers of a pipe that only carry on what a server says, which a runtime does as well: they may go.
fn beside(known: &Known<'_>, traced: Traced<'_>, reached: &Reached<'_>) -> Result<Vec<ImagePath>, String> {
    let mut gone = Vec::new();
    for other in traced.others(reached.server) {
        let program = ImagePath::unescape(other.program);
        let is_utility = program.as_ref().is_some_and(|path| known.class(path) == Some(Class::Utility));
        let is_reader = is_utility && program.as_ref().is_some_and(|path| READERS.contains(&path.name()));
        if is_reader && !other.listens {
            gone.extend(program);
        } else if other.listens || other.lasted {
            return Err(format!("the script starts `{}` beside it", other.program));
        } else if other.is_later
            && !is_utility
            && program.is_none_or(|path| known.class(&path) != Some(Class::Shell))
        {
            return Err(format!("the script starts `{}` after it", other.program));
        }
    }
    gone.sort();
    gone.dedup();
    Ok(gone)
}

/// Refuses what its process was before, where that leaves something behind that a server inherits.
fn on_the_way(reached: &Reached<'_>) -> Result<(), String> {
    let name =
        |exec: &Exec| ImagePath::unescape(&exec.path).map(|path| path.name().to_vec()).unwrap_or_default();
    let sets = |exec: &&Exec| {
        let name = name(exec);
        let wrapper = Catalog::builtin().wrapper(&name);
        let is_setting = wrapper.is_some_and(|wrapper| wrapper.kind == WrapperKind::Settings);
        (is_setting && !HARMLESS.contains(&name.as_slice())) || INHERITED.contains(&name.as_slice())
    };
    match reached.before.iter().find(sets) {
        Some(exec) => Err(format!("through `{}`, whose settings it keeps", exec.path)),
        None => Ok(()),
    }
}

/// Refuses scripts that read what only the watched runs were given: it may have switched something on.
fn reads_nothing_given(known: &Known<'_>, traced: Traced<'_>) -> Result<(), String> {
    let given =
        traced.profile().start.env.iter().filter_map(|pair| pair.split_once('=')).map(|(name, _)| name);
    let scripts = traced.read().filter(|used| {
        let file = known.rootfs.entry(&used.path).and_then(|entry| entry.file());
        file.is_some_and(|file| matches!(file.content, Content::Script(_)))
    });
    let texts: Vec<String> = scripts
        .filter_map(|used| Some(String::from_utf8_lossy(&known.rootfs.bytes(&used.path)?).into_owned()))
        .chain(known.config.entrypoint.iter().chain(&known.config.cmd).cloned())
        .collect();
    match given.into_iter().find(|name| texts.iter().any(|text| text.contains(name))) {
        Some(name) => Err(format!("its script reads `{name}`, which only the watched runs were given")),
        None => Ok(()),
    }
}

/// A program that others than the server ran, and whose answer is that of the machine.
fn asks_the_machine<'p>(traced: Traced<'p>, reached: &Reached<'_>) -> Option<&'p str> {
    let asks =
        |program: &&str| ImagePath::unescape(program).is_some_and(|path| MACHINE.contains(&path.name()));
    traced.others(reached.server).map(|other| other.program).find(asks)
}

/// Refuses words and variables that are constant only in the runs that were watched.
fn are_constant(profile: &Profile, argv: &[String], env: &[(String, String)]) -> Result<(), String> {
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

/// Where `exec` starts, if not where the image does: a directory of the image, or one that was `made`.
fn working_dir(
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
fn words(
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
fn words_of_init(exec: &Exec) -> Result<Vec<String>, String> {
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
fn added(
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
        let upper = name.to_ascii_uppercase();
        if SECRET.iter().any(|part| upper.contains(part)) {
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

/// Whether `text` has in it a value that the watched runs were given, and the image does not give.
fn is_given(text: &str, given: &[String]) -> bool {
    let values = given.iter().filter_map(|pair| pair.split_once('=')).map(|(_, value)| value);
    values.filter(|value| !value.is_empty()).any(|value| text.contains(value))
}

/// What a script leaves behind.
struct Prepared {
    /// Directories that the server uses.
    directories: Vec<ImagePath>,
    /// All directories.
    made: BTreeSet<ImagePath>,
    /// What it did not open, nor execute, and that is of the moment.
    unread: Vec<ImagePath>,
}

/// What others than the server made; an error where more of that may be read than directories.
fn prepared(known: &Known<'_>, server: Traced<'_>) -> Result<Prepared, String> {
    let read: BTreeSet<ImagePath> = server.read().chain(server.executed()).map(|used| used.path).collect();
    let read_below: BTreeSet<ImagePath> = read.iter().flat_map(ImagePath::ancestors).collect();
    let written: BTreeSet<ImagePath> = server.written().map(|write| write.place.path).collect();
    let mut prepared = Prepared { directories: Vec::new(), made: BTreeSet::new(), unread: Vec::new() };
    let (mut needed, mut lasting) = (Vec::new(), Vec::new());
    for (path, how) in server.prepared() {
        let is_gone = how.contains(&How::Removed) || how.contains(&How::RenamedAway);
        let is_within = |trees: &[&str]| trees.iter().any(|tree| path.is_within(&ImagePath::literal(tree)));
        // What a script writes there it writes to the kernel.
        if is_kernel(&path) {
            continue;
        }
        // `ln -f` makes it under another name.
        if how.contains(&How::Linked) && !how.contains(&How::Removed) {
            return Err(format!("the script makes a link, {path}"));
        }
        if is_gone && known.rootfs.node(&path).is_some() {
            return Err(format!("the script removes {path} of the image"));
        }
        let is_new_directory = how.contains(&How::Directory) && !is_gone;
        let is_read = read.contains(&path) || how.contains(&How::RenamedHere) && read_below.contains(&path);
        if !how.iter().any(is_content) {
            if is_read && is_opened_by(known, &path, &how) {
                return Err(format!("it reads {path}, whose mode or owner the script sets"));
            }
        } else if is_new_directory && !how.contains(&How::RenamedHere) {
            // Whether a directory is there is asked without opening it.
            prepared.made.insert(path.clone());
            if !known.rootfs.is_directory(&path) {
                prepared.directories.push(path);
            }
        } else if is_read {
            needed.push(path);
        } else if !is_gone && !written.contains(&path) {
            if is_within(MOMENTARY) { prepared.unread.push(path) } else { lasting.push(path) }
        }
    }
    match (needed.as_slice(), lasting.as_slice()) {
        ([], []) => Ok(prepared),
        ([only], _) => Err(format!("it reads {only}, which the script writes")),
        ([], [only]) => Err(format!("it may read {only}, which the script writes")),
        ([], many) => {
            Err(format!("it may read {} files that the script writes: {}", many.len(), some_of(many)))
        }
        (many, _) => Err(format!("it reads {} files that the script writes: {}", many.len(), some_of(many))),
    }
}

/// Whether a file of the image may be usable only because of how the script set its mode or owner.
fn is_opened_by(known: &Known<'_>, path: &ImagePath, how: &BTreeSet<How>) -> bool {
    let Some(entry) = known.rootfs.entry(path).filter(|entry| entry.file().is_some()) else { return false };
    how.contains(&How::Mode) || how.contains(&How::Owner) && entry.mode & 0o004 == 0
}

/// The first of `paths`, and how many more there are.
fn some_of(paths: &[ImagePath]) -> String {
    let names: Vec<String> = paths.iter().take(NAMED).map(ToString::to_string).collect();
    match paths.len().saturating_sub(NAMED) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}

/// The scripts of a chain, each with the variables that it reads.
pub(super) fn frozen(known: &Known<'_>, chain: &[Step]) -> Vec<Frozen> {
    let scripts = chain.iter().filter(|step| step.role == Role::Script);
    scripts
        .map(|step| {
            let bytes = known.rootfs.bytes(&step.file).unwrap_or_default();
            let mut variables = variables(&String::from_utf8_lossy(&bytes));
            variables.retain(|name| !known.config.env.iter().any(|(own, _)| own == name));
            Frozen { script: step.path.clone(), variables }
        })
        .collect()
}

/// Variables that a script reads and does not set, by the custom of writing those of the environment in capitals.
fn variables(script: &str) -> Vec<String> {
    let is_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let lines = || script.lines().map(str::trim_start).filter(|line| !line.starts_with('#'));
    let mut out = BTreeSet::new();
    for line in lines() {
        for (at, _) in line.match_indices('$') {
            let rest = line.get(at + 1..).unwrap_or_default();
            let rest = rest.strip_prefix('{').unwrap_or(rest);
            let name: String = rest.chars().take_while(|&c| is_name(c)).collect();
            let is_variable = name.len() > 1 && name.starts_with(|c: char| c.is_ascii_uppercase());
            if is_variable && !OWN.contains(&name.as_str()) && !["PATH", "HOME"].contains(&name.as_str()) {
                out.insert(name);
            }
        }
    }
    // `A=x` sets it; `A=${A:-x}` still reads it.
    let is_set = |name: &String| {
        let value = |line: &str| {
            line.trim_start_matches("export ")
                .strip_prefix(name.as_str())?
                .strip_prefix('=')
                .map(str::to_owned)
        };
        lines()
            .filter_map(value)
            .any(|value| !value.contains(&format!("${name}")) && !value.contains(&format!("${{{name}")))
    };
    out.into_iter().filter(|name| !is_set(name)).collect()
}

fn plain(words: &[String]) -> Result<Vec<String>, String> {
    words.iter().map(|word| text(word)).collect()
}

fn text(escaped: &str) -> Result<String, String> {
    let bytes = unescape(escaped).and_then(|bytes| String::from_utf8(bytes).ok());
    bytes.ok_or_else(|| "one of its words is no text".into())
}
