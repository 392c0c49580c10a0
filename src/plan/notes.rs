//! Findings of a plan: what a person should know, put in words.
//!
//! Looks at what was decided; changes nothing.

mod alike;
mod baked;
mod named;
mod preparing;
mod seeds;
mod unseen;

use std::collections::{BTreeMap, BTreeSet};

use super::database::{self, Limit};
use super::decide::{Decision, unknown_interpreter};
use super::entrypoint::Problem;
use super::keep::{Missing, Rule, Why};
use super::{Level, Reason, Residual, Role, UserOrigin, WritablePath, command, residual};
use crate::catalog::{Catalog, Class};
use crate::finding::{Code, Finding};
use crate::packages::Database;
use crate::path::{Escaped, ImagePath};
use crate::rootfs::Content;

/// Names listed in one message; the report has all.
const NAMED: usize = 8;

/// Everything worth a word, ordered by weight, code and subject.
pub fn findings(decision: &Decision<'_>, residual: &[Residual]) -> Vec<Finding> {
    let mut out = decision.found.findings.clone();
    out.extend(start(decision));
    out.extend(tools(decision, residual));
    out.extend(alike::gone(decision));
    out.extend(baked::findings(decision));
    out.extend(preparing::finding(decision));
    out.extend(named::shared(decision));
    out.extend(unseen::finding(decision));
    out.extend(needs(decision));
    out.extend(scripts(decision));
    out.extend(privileges(decision));
    out.extend(identity(decision));
    out.extend(options(decision));
    out.extend(seeds::copied(decision));
    out.extend(leftovers(decision));
    out.sort_by(|a, b| {
        (b.severity, a.code, &a.subject, &a.message).cmp(&(a.severity, b.code, &b.subject, &b.message))
    });
    out.dedup();
    out
}

/// At most [`NAMED`] of `names`, and how many more there are.
fn some_of(names: &[String]) -> String {
    let shown = names.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn start(decision: &Decision<'_>) -> Vec<Finding> {
    let start = decision.start;
    let mut out = Vec::new();
    match &start.problem {
        Some(Problem::Nothing) => out.push(Finding::new(
            Code::EntrypointMissing,
            "image config",
            "there is neither entrypoint nor command, so nothing says what must stay: everything but catalogued tools stays",
        )),
        Some(Problem::NotFound(word)) => out.push(Finding::new(
            Code::EntrypointNotFound,
            format!("`{word}`"),
            "no executable file of the image has this name: everything but catalogued tools stays",
        )),
        None if start.program.is_none() && start.doubts.is_empty() => out.push(Finding::new(
            Code::StartUncertain,
            start.entrypoint.source.join(" "),
            "what it ends up running cannot be told: everything but catalogued tools stays",
        )),
        None => {}
    }
    for doubt in &start.doubts {
        let text = format!("{}: everything but catalogued tools stays", doubt.why);
        out.push(Finding::new(Code::StartUncertain, &doubt.who, text));
    }
    for (wrapper, user) in &start.needs_root {
        let text = format!(
            "it switches to `{user}` at the start, which the pod allows nobody: start the program without it, and harden with `--user`"
        );
        out.push(Finding::new(Code::NeedsRoot, wrapper, text));
    }
    if let Some(interpreter) = unknown_interpreter(decision.known, start, decision.recipes)
        && decision.known.options.level != Level::Strip
    {
        out.push(Finding::new(
            Code::InterpreterUnknown,
            interpreter,
            "no recipe says where its modules stand: everything but catalogued tools stays",
        ));
    }
    if let Some(need) = &start.shell {
        out.push(Finding::new(
            Code::ShellStays,
            &need.who,
            format!("it needs a shell: {}; to lose the shell, {}", need.why, need.remedy),
        ));
    }
    for caveat in decision.recipes.iter().flat_map(|recipe| &recipe.caveats) {
        let text = format!("{}; {}", caveat.why, caveat.remedy);
        out.push(Finding::new(Code::RecipeCaveat, &caveat.subject, text));
    }
    if let Some(program) = start.program.as_ref().filter(|_| decision.recipes.is_empty()) {
        let text = match decision.known.traced {
            Some(_) => {
                "no recipe knows it: what it writes is what it wrote while it was watched, and what the image says"
            }
            None => "no recipe knows it: what it writes is guessed from the image alone",
        };
        out.push(Finding::new(Code::RecipeNone, program, text));
    }
    for lowered in &start.entrypoint.lowerings {
        out.push(Finding::new(
            Code::EntrypointLowered,
            lowered.from.join(" "),
            format!("replaced by `{}`: {}", lowered.to.join(" "), lowered.why),
        ));
    }
    for frozen in start.frozen.iter().filter(|frozen| !frozen.variables.is_empty()) {
        let variables = some_of(&frozen.variables);
        let text = match start.preparing {
            None => format!(
                "it read {variables} at each start, and is not started any more: a deployment that sets one for it has to set it in the image before it is hardened"
            ),
            Some(_) => format!(
                "it read {variables} at each start, and runs in the init container of the source image only: a deployment that sets one for it has to set it there"
            ),
        };
        out.push(Finding::new(Code::VariablesFrozen, &frozen.script, text));
    }
    out
}

fn tools(decision: &Decision<'_>, listed: &[Residual]) -> Vec<Finding> {
    let chain = &decision.start.entrypoint.chain;
    listed
        .iter()
        .filter(|residual| {
            // The program itself is what the image is for; no news.
            let target = decision.known.rootfs.resolve(&residual.path).map(|resolved| resolved.path);
            let is_program = chain.iter().any(|step| {
                Some(&step.file) == target.as_ref()
                    && matches!(step.role, Role::Program | Role::Interpreter | Role::Script)
            });
            let runs_it = is_program || decision.level == Level::Strip;
            // Many names of one file are one finding.
            let is_other = target.as_ref().is_some_and(|file| {
                residual::is_other_name(decision.start, &residual.path, file)
                    && listed.iter().any(|other| other.path == *file && other.multi_call.is_some())
            });
            if is_other {
                return false;
            }
            let is_disguised = decision.known.disguise(&residual.path).is_some();
            is_disguised || !(runs_it && matches!(residual.class, Class::Interpreter | Class::Application))
        })
        .map(|residual| alike::stays(decision.known, residual))
        .collect()
}

fn needs(decision: &Decision<'_>) -> Vec<Finding> {
    let (known, fate) = (decision.known, decision.fate);
    let mut out = Vec::new();
    let mut missing: BTreeMap<&ImagePath, Vec<String>> = BTreeMap::new();
    // What the program has loaded by its path is not searched for again: the JVM's own libraries need `libjvm.so`.
    let kept: BTreeSet<String> = decision
        .kept
        .files
        .keys()
        .filter(|path| fate.stays(path))
        .map(|path| Escaped::new(path.name()).to_string())
        .collect();
    let is_missing = |need: &&Missing| fate.stays(&need.file) && !kept.contains(&need.name);
    for need in decision.kept.missing.iter().filter(is_missing) {
        missing.entry(&need.file).or_default().push(need.name.clone());
    }
    for (file, names) in missing {
        out.push(Finding::new(
            Code::LibraryMissing,
            file,
            format!("needs {}, which the source does not have either", some_of(&names)),
        ));
    }
    for (path, why) in &decision.kept.broken {
        if decision.kept.files.contains_key(path) {
            continue;
        }
        let by = match why {
            Why::Needed(by) | Why::Mentioned(by) => format!("`{by}` needs it"),
            Why::Chain => "the entrypoint starts it".into(),
            Why::Named(word) | Why::InNamed(word) => format!("the command line names `{word}`"),
            Why::Executed(why) | Why::Recipe(why) | Why::Loaded(why) => why.clone(),
            _ => "something kept needs it".into(),
        };
        out.push(Finding::new(Code::StripBreaks, path, format!("stripped as asked, but {by}")));
    }
    let (mut callers, mut unreadable) = (Vec::new(), Vec::new());
    let shell_stays = decision.start.shell.is_some();
    for path in decision.kept.files.keys().filter(|path| fate.stays(path)) {
        match known.rootfs.entry(path).and_then(|entry| entry.file()).map(|file| &file.content) {
            Some(Content::Elf(facts)) if facts.calls_shell && !shell_stays => callers.push(path.to_string()),
            Some(Content::ElfUnreadable) => unreadable.push(path),
            _ => {}
        }
    }
    if let Some(first) = callers.first() {
        let count = callers.len();
        let subject = if count == 1 { first.clone() } else { format!("{count} files") };
        let text =
            format!("{} import `system` or `popen`; a call of theirs finds no `/bin/sh`", some_of(&callers));
        out.push(Finding::new(Code::CallsShell, subject, text));
    }
    for path in unreadable {
        out.push(Finding::new(
            Code::ElfUnreadable,
            path,
            "kept; what it needs is not known, so it may not be complete",
        ));
    }
    out
}

fn scripts(decision: &Decision<'_>) -> Vec<Finding> {
    let mut by_interpreter: BTreeMap<&ImagePath, Vec<String>> = BTreeMap::new();
    for (path, reason) in &decision.fate.gone {
        // Scripts of packages that go anyway are no news.
        if let Reason::ScriptOfStripped { interpreter } = reason {
            by_interpreter.entry(interpreter).or_default().push(path.to_string());
        }
    }
    let mut out: Vec<Finding> = by_interpreter
        .into_iter()
        .map(|(interpreter, names)| {
            let text = format!("{} of its scripts went with it: {}", names.len(), some_of(&names));
            Finding::new(Code::ScriptStripped, interpreter, text)
        })
        .collect();
    out.extend(decision.fate.broken_scripts.iter().map(|(script, interpreter)| {
        let text =
            format!("stays as asked, but its interpreter {interpreter} went: `--keep {interpreter}` too");
        Finding::new(Code::ScriptStripped, script, text)
    }));
    let indirect: Vec<String> = decision.fate.indirect_scripts.iter().map(ToString::to_string).collect();
    if !indirect.is_empty() {
        let text = format!(
            "{} begin with a program that went: nothing starts them by name any more, as modules and as arguments of an interpreter they work",
            some_of(&indirect)
        );
        out.push(Finding::new(Code::ScriptNotDirect, format!("{} scripts", indirect.len()), text));
    }
    out
}

fn privileges(decision: &Decision<'_>) -> Vec<Finding> {
    let known = decision.known;
    let mut out = Vec::new();
    for (path, node) in known.rootfs.nodes() {
        let Some(entry) = known.rootfs.entry(path).filter(|entry| entry.file().is_some()) else { continue };
        if !decision.fate.stays(path) || node.name != node.inode {
            continue;
        }
        let capabilities = entry
            .xattrs
            .iter()
            .flat_map(|list| list.iter())
            .any(|(name, _)| **name == *b"security.capability");
        let what = match (entry.mode & 0o6000 != 0, capabilities) {
            (false, false) => continue,
            (true, false) => "its setuid or setgid bit",
            (false, true) => "its file capabilities",
            (true, true) => "its setuid or setgid bit and its file capabilities",
        };
        out.push(Finding::new(Code::PrivilegeLost, path, format!("it stays without {what}")));
    }
    out
}

fn identity(decision: &Decision<'_>) -> Vec<Finding> {
    let (known, user) = (decision.known, decision.user);
    let mut out = Vec::new();
    let before = if known.config.user.is_empty() { "root" } else { known.config.user.as_str() };
    if !matches!(user.origin, UserOrigin::Image | UserOrigin::Option) {
        let from = match &user.origin {
            UserOrigin::Trace => "the server ran as it when it was watched".into(),
            UserOrigin::Script(script) => format!("the script `{script}` of the entrypoint switches to it"),
            UserOrigin::Recipe(name) => format!("recipe `{name}` names the account"),
            UserOrigin::Unit(unit) => format!("`{unit}` runs the program as this account"),
            UserOrigin::Account(name) => format!("the image has an account `{name}` for the program"),
            _ => "nothing in the image says which account the program should have".into(),
        };
        let name = user.name.as_deref().unwrap_or("no name");
        out.push(Finding::new(
            Code::UserChanged,
            format!("{}:{}", user.uid, user.gid),
            format!("the image ran as `{before}`, and now as {name} ({}:{}): {from}", user.uid, user.gid),
        ));
    }
    if !matches!(user.origin, UserOrigin::Option)
        && !known.config.user.is_empty()
        && let Err(error) = known.accounts.resolve(&known.config.user)
    {
        out.push(Finding::new(
            Code::UserUnknown,
            &known.config.user,
            format!("the image asks for this user, and {error}: the pod runs as {}:{}", user.uid, user.gid),
        ));
    }
    // What a volume hides nobody needs to read.
    let is_hidden = |path: &ImagePath| {
        let is_over = |declared: &&WritablePath| declared.is_mounted() && !declared.seeded;
        let mut mounted = decision.found.paths.iter().filter(is_over);
        mounted.any(|declared| path.is_within(&declared.path) && *path != declared.path)
    };
    let (mut unreadable, mut opened) = (Vec::new(), Vec::new());
    for path in decision.access.readable.iter().filter(|path| !is_hidden(path)) {
        let Some(entry) = known.rootfs.entry(path) else { continue };
        let now = decision.access.permissions(path, entry);
        let wanted = if entry.is_directory() { 1 } else { 4 };
        if !decision.access.can(now, wanted) {
            unreadable.push(path.to_string());
        } else if entry.file().is_some() && !decision.access.could(entry, wanted) {
            opened.push(path.to_string());
        }
    }
    if let Some(first) = opened.first() {
        let text = format!("opened to group {}: {}", user.gid, some_of(&opened));
        out.push(Finding::new(Code::OpenedToUser, first, text));
    }
    if let Some(first) = unreadable.first() {
        out.push(Finding::new(
            Code::Unreadable,
            first,
            format!("user {} cannot read {}", user.uid, some_of(&unreadable)),
        ));
    }
    out
}

fn options(decision: &Decision<'_>) -> Vec<Finding> {
    let mut out = Vec::new();
    for (rule, glob) in &decision.kept.unused {
        let (code, subject) = match rule {
            Rule::Keep => (Code::GlobUnused, format!("--keep {glob}")),
            Rule::Strip => (Code::GlobUnused, format!("--strip {glob}")),
            Rule::Recipe(name) => (Code::RecipeRuleUnused, format!("recipe {name}: {glob}")),
        };
        out.push(Finding::new(code, subject, "nothing in the image matches it"));
    }
    out
}

fn leftovers(decision: &Decision<'_>) -> Vec<Finding> {
    let known = decision.known;
    let mut out = Vec::new();
    if let Some(test) = dropped_healthcheck(decision) {
        out.push(Finding::new(
            Code::HealthcheckDropped,
            test,
            "a program that it starts is not there any more, and Kubernetes ignores it anyway: the pod spec has a probe instead",
        ));
    }
    let secrets = Catalog::builtin().secrets();
    for (path, _) in known.rootfs.nodes() {
        if !known.rootfs.is_directory(path)
            && decision.fate.stays(path)
            && known.rule(secrets, path).is_some()
        {
            let empty =
                known.rootfs.entry(path).and_then(|entry| entry.file()).is_none_or(|file| file.size == 0);
            if !empty {
                let text = "whoever has the image has it, and every container shares it; mount one per deployment and `--strip` this";
                // ssh and libpq do not use what others than its owner may read.
                let is_open = |mode: u16| mode & 0o077 != 0;
                let opened = known.rootfs.entry(path).is_some_and(|entry| {
                    !is_open(entry.mode) && is_open(decision.access.permissions(path, entry).mode)
                });
                let more = if opened {
                    " (it is root's now and its group reads it, which ssh and libpq refuse)"
                } else {
                    ""
                };
                out.push(Finding::new(Code::SecretBaked, path, format!("{text}{more}")));
            }
        }
    }
    if decision.shadowed > 0 {
        out.push(Finding::new(
            Code::ShadowedKept,
            "lower layers",
            format!("{} bytes that upper layers replaced or deleted are still in the image; level `distroless` removes them", decision.shadowed),
        ));
    }
    out.extend(packages(decision));
    out
}

/// What the package databases do not allow.
fn packages(decision: &Decision<'_>) -> Vec<Finding> {
    let asked_for_more = decision.known.options.level != Level::Strip;
    let limit = match database::limit(decision.known) {
        Some(Limit::Unread(kind)) => Some((
            kind,
            "what belongs to which package is not known: hardened at level `strip`, and the package list still names all",
        )),
        Some(Limit::Unknown(kind)) if asked_for_more => Some((
            kind,
            "what its packages load by name is not known: hardened at level `strip`, which removes what the catalog names and filters the package list",
        )),
        _ => None,
    };
    let unfiltered = decision
        .unfiltered
        .map(|kind| (kind, "no package can be deleted from the database: the package list still names all"));
    let all = limit.into_iter().chain(unfiltered);
    let all = all.map(|(kind, text)| Finding::new(Code::PackagesUnsupported, kind, text));
    all.chain(broken(decision.known.packages)).collect()
}

/// What a database no longer says; one finding, however much it is.
fn broken(packages: Option<&Database>) -> Option<Finding> {
    let (first, more) = packages?.warnings().split_first()?;
    let more = if more.is_empty() { String::new() } else { format!(", and {} more", more.len()) };
    let text = format!(
        "{first}{more}: files of which no package is known are taken for the application's, and stay"
    );
    Some(Finding::new(Code::PackagesBroken, "package database", text))
}

/// The health check's command, if a program that it starts does not stay.
pub fn dropped_healthcheck(decision: &Decision<'_>) -> Option<String> {
    let known = decision.known;
    let test = &known.config.healthcheck.as_ref()?.test;
    let stays = |word: &String| {
        let found = super::entrypoint::find_program(
            known.rootfs,
            &known.config.env,
            decision.start.working_dir(known),
            word,
        );
        found.is_some_and(|(path, file)| decision.fate.stays(&path) && decision.fate.stays(&file))
    };
    (!command::of_healthcheck(test).iter().all(stays)).then(|| test.join(" "))
}
