//! What a start and an attack show: profiles, complaints and holes made into proofs.
//!
//! Starts nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::asks::distinct;
use super::{Case, Seen};
use crate::catalog::Catalog;
use crate::kube::given::Ask;
use crate::observe::Complaint;
use crate::path::{Escaped, ImagePath};
use crate::profile::{End, Failure, Probe, Profile, Protocol};
use crate::promise::{Proof, Shown};
use crate::rootfs::Rootfs;
use crate::sandbox::{Act, Attacked, Bytes, Cut, Hole, Root};

/// Most failed calls that are told of a start that failed.
const MAX_FAILURES: usize = 6;

/// Errors that say that something was forbidden, rather than searched for and not found.
const FORBIDDEN: [&str; 5] = ["EROFS", "EACCES", "EPERM", "EADDRINUSE", "EADDRNOTAVAIL"];

/// Programs that are tools by their bytes, whatever they are called.
pub(super) fn tools(rootfs: &Rootfs) -> Vec<Bytes> {
    let is_tool = |path: &ImagePath| {
        let file = rootfs.entry(path).and_then(|entry| entry.file());
        file.is_some_and(|file| Catalog::builtin().tool_of(file).is_some())
    };
    rootfs
        .nodes()
        .map(|(path, _)| path)
        .filter(|path| is_tool(path))
        .map(|path| Bytes(path.absolute()))
        .collect()
}

/// Whether it was ready, and served until it was asked to end.
pub(super) fn is_ready(seen: &Seen) -> bool {
    seen.served
}

/// Whether it ran.
pub(super) fn start(case: &Case<'_>, seen: &Seen) -> Proof<Shown> {
    let mut proof = Proof::new(Shown::Start);
    let program = case.settings.process.argv.first().map_or("", String::as_str);
    if let Some(why) = &seen.refused {
        proof.break_at(program, why.clone());
    }
    for complaint in &seen.complaints {
        match complaint {
            Complaint::Ended if is_done_job(case, seen) => {
                proof.prove("it did its work and ended with status 0");
            }
            Complaint::Ended => {
                let how = seen
                    .profile
                    .as_ref()
                    .and_then(|profile| profile.endings.first())
                    .map(|ending| ending.end);
                let how = match how {
                    Some(End::Exit(status)) => format!(", with status {status}"),
                    Some(End::Signal(signal)) => format!(", by signal {signal}"),
                    None => String::new(),
                };
                proof.break_at(program, format!("does not start: {complaint}{how}"));
            }
            Complaint::Limit(_) => proof.break_at(program, complaint.to_string()),
            _ => {}
        }
    }
    if !proof.breaches.is_empty()
        || seen.complaints.iter().any(|complaint| matches!(complaint, Complaint::NotReady(_)))
    {
        failures(seen.profile.as_ref(), &mut proof);
    }
    if let Some((init, how)) = &seen.unprepared {
        proof.break_at(format!("init container {init}"), how.clone());
    }
    for (init, settings) in &case.init {
        match settings {
            Some(_) if seen.unprepared.is_some() => {}
            Some(_) => proof.prove(format!("init container `{}` ran before, and ended well", init.name)),
            None => proof.leave_open(format!(
                "init container `{}` was not run: it, or one before it, is of another image; what it prepares is not there (`{}`)",
                init.name, init.image
            )),
        }
    }
    if seen.unprepared.is_none() {
        proof.prove(settings(case));
    }
    proof
}

/// A job that ended well.
fn is_done_job(case: &Case<'_>, seen: &Seen) -> bool {
    let endings = seen.profile.as_ref().map_or(&[][..], |profile| profile.endings.as_slice());
    let well = endings.first().is_some_and(|ending| ending.end == End::Exit(0));
    well && matches!(case.given.kind.as_str(), "Job" | "CronJob") && case.container.probes.is_empty()
}

/// What was forbidden to it, the most telling first.
fn failures(profile: Option<&Profile>, proof: &mut Proof<Shown>) {
    let Some(profile) = profile else { return };
    let is_forbidden = |failure: &&Failure| FORBIDDEN.contains(&failure.error.as_str());
    let (forbidden, others): (Vec<&Failure>, Vec<&Failure>) = profile.failures.iter().partition(is_forbidden);
    let mut told = BTreeSet::new();
    for failure in forbidden.into_iter().chain(others) {
        if told.len() < MAX_FAILURES && told.insert((&failure.subject, &failure.call)) {
            proof.break_at(&failure.subject, format!("{} failed: {}", failure.call, failure.error));
        }
    }
}

/// How it was started, in words.
fn settings(case: &Case<'_>) -> String {
    let settings = &case.settings;
    let process = &settings.process;
    let groups = match process.groups.as_slice() {
        [] => String::new(),
        groups => {
            format!(" with groups {}", groups.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
        }
    };
    let capabilities = match settings.capabilities.len() {
        0 => "no capability".to_owned(),
        1 => "1 capability".to_owned(),
        number => format!("{number} capabilities"),
    };
    let root = if settings.root == Root::ReadOnly { "read-only" } else { "writable" };
    let mounts: Vec<&str> = settings.mounts.iter().map(|mount| mount.path.as_str()).collect();
    let mounts = if mounts.is_empty() { "none".to_owned() } else { mounts.join(", ") };
    let sysctls: Vec<String> =
        settings.sysctls.iter().map(|(name, value)| format!(", {name}={value}")).collect();
    let ids = case.single_id.as_ref().map_or_else(String::new, |_| " (the only one there is)".to_owned());
    format!(
        "user {}:{}{groups}{ids}, {capabilities}, root {root}{}, mounts: {mounts}",
        process.uid,
        process.gid,
        sysctls.concat()
    )
}

/// Whether it served.
pub(super) fn ready(case: &Case<'_>, seen: &Seen, has_own_probe: bool) -> Proof<Shown> {
    let mut proof = Proof::new(Shown::Ready);
    for complaint in &seen.complaints {
        if matches!(complaint, Complaint::NotReady(_) | Complaint::Died) {
            proof.break_at("app", complaint.to_string());
        }
    }
    for (name, is_answered) in &seen.before {
        if !is_answered {
            proof.break_at(name, "is not answered");
        }
    }
    let again = seen.after.iter().filter(|_| seen.before.iter().all(|(_, is_answered)| *is_answered));
    for (name, is_answered) in again {
        if *is_answered {
            proof.prove(format!("the {name} is answered, before the attack and after it"));
        } else {
            proof.break_at(name, "is not answered any more after the attack");
        }
    }
    only_loopback(case, seen, &mut proof);
    let observed = seen.profile.as_ref().and_then(|profile| profile.observed.first());
    match observed.and_then(|observed| observed.ready.as_ref()).map(|ready| &ready.probe) {
        None => proof.leave_open("it was never ready"),
        Some(probe) if has_own_probe => proof.prove(format!("it was ready by what was asked for: {}", by(probe))),
        Some(_) if !seen.before.is_empty() => {}
        Some(Probe::Quiet) => proof.leave_open(
            "the pod has no probe, and the app no port: it kept running and did nothing new for a while, which is all that is known",
        ),
        Some(probe) => proof.prove(format!("the pod has no probe; what answered is {}", by(probe))),
    }
    proof
}

fn by(probe: &Probe) -> String {
    match probe {
        Probe::Tcp(port) => format!("port {port}, which accepts connections"),
        Probe::Http { port, path } => format!("GET {path} of port {port}"),
        Probe::Exec(command) => format!("exec {command}"),
        Probe::Log(text) => format!("`{text}` in its output"),
        Probe::Quiet => "quiet".to_owned(),
    }
}

/// kiln asks on the loopback, the kubelet does not.
fn only_loopback(case: &Case<'_>, seen: &Seen, proof: &mut Proof<Shown>) {
    let Some(profile) = &seen.profile else { return };
    for (name, ask) in distinct(case.container) {
        let (Ask::Tcp(port) | Ask::Http { port, .. }) = ask else { continue };
        let sockets = profile.sockets.iter().map(|socket| &socket.bind);
        let mut addresses = sockets
            .filter(|bind| bind.protocol == Protocol::Tcp && bind.port == *port)
            .map(|bind| bind.address.as_str())
            .peekable();
        let is_loopback = |address: &str| address.starts_with("127.") || address == "::1";
        if addresses.peek().is_some() && addresses.all(is_loopback) {
            proof.break_at(
                name,
                "the app listens on the loopback only, and the kubelet asks the pod's own address",
            );
        }
    }
}

/// Whether what drove it went well; `None` where nothing did.
pub(super) fn driven(case: &Case<'_>, seen: &Seen) -> Option<Proof<Shown>> {
    if case.asked.exercises.is_empty() {
        return None;
    }
    let mut proof = Proof::new(Shown::Driven);
    for complaint in &seen.complaints {
        if let Complaint::Exercise { exercise, said } = complaint {
            proof.break_at(exercise, said.clone());
        }
    }
    if !is_ready(seen) {
        proof.leave_open("it was never ready");
    } else if proof.breaches.is_empty() {
        proof.prove(format!("{} exercises", case.asked.exercises.len()));
    }
    Some(proof)
}

/// Whether it ended when it was asked to.
pub(super) fn stop(case: &Case<'_>, seen: &Seen) -> Proof<Shown> {
    let mut proof = Proof::new(Shown::Stop);
    let signal = case.subject.image.config.stop_signal.as_deref().unwrap_or("SIGTERM");
    for complaint in &seen.complaints {
        if let Complaint::Killed(seconds) = complaint {
            proof.break_at(
                signal,
                format!("it did not end in the {seconds} seconds that the pod gives it, and was killed"),
            );
        }
    }
    if !is_ready(seen) {
        proof.leave_open("it was never ready");
    } else if seen.complaints.contains(&Complaint::Died) {
        proof.leave_open("it ended before it was asked to");
    } else if proof.breaches.is_empty() {
        proof.prove(format!("{signal} ended it within {} seconds", case.given.grace));
    }
    proof
}

/// What the attack on a root of this kind showed.
pub(super) fn attack(case: &Case<'_>, shown: Shown, root: Root, seen: &Seen) -> Proof<Shown> {
    let mut proof = Proof::new(shown);
    let attacked = match &seen.attacked {
        None => {
            match seen.complaints.first() {
                Some(complaint) if shown == Shown::AttackWritable => {
                    proof.break_at("app", complaint.to_string());
                }
                _ => proof.leave_open("not attacked: it was never ready"),
            }
            return proof;
        }
        Some(Err(why)) => {
            proof.leave_open(format!("the attack did not come to its end: {why}"));
            return proof;
        }
        Some(Ok(None)) => {
            proof.leave_open("the attack did not come to its end in time");
            return proof;
        }
        Some(Ok(Some(attacked))) => attacked,
    };
    let why = unprotected(case, root);
    programs(case, attacked, &mut proof);
    match why {
        Some(why) => {
            let files = attacked.create.done + attacked.write.done + attacked.mode.done;
            proof.leave_open(format!(
                "{why}: {files} of the acts that would change the image were not refused"
            ));
        }
        None => changes(attacked, &mut proof),
    }
    own(attacked, &mut proof);
    if case.left_out > 0 {
        let count = case.left_out;
        proof.leave_open(format!("{count} files of the image have another owner or attributes here"));
    }
    told(attacked, &mut proof);
    proof
}

/// Why modes and owners protect nothing from this user, where they do not.
fn unprotected(case: &Case<'_>, root: Root) -> Option<String> {
    if root == Root::ReadOnly {
        return None;
    }
    match &case.single_id {
        Some(why) => {
            Some(format!("modes and owners cannot be told here, because all files are the app's own ({why})"))
        }
        None if case.settings.process.uid == 0 => Some(
            "the user is root, to whom all files belong, so that only a read-only root protects them"
                .to_owned(),
        ),
        None => None,
    }
}

/// Holes that change the image.
fn changes(attacked: &Attacked, proof: &mut Proof<Shown>) {
    let mut by_path: BTreeMap<&Bytes, Vec<&str>> = BTreeMap::new();
    for Hole { path, act } in &attacked.holes {
        let words = match act {
            Act::Create => "a file can be made in it",
            Act::Write => "it can be opened for writing",
            Act::Mode => "its mode can be changed",
            Act::Execute => continue,
        };
        by_path.entry(path).or_default().push(words);
    }
    for (path, acts) in &by_path {
        proof.break_at(Escaped::new(&path.0), acts.join("; "));
    }
    let named = attacked.holes.iter().filter(|hole| hole.act != Act::Execute).count() as u64;
    let more = (attacked.create.done + attacked.write.done + attacked.mode.done).saturating_sub(named);
    if more > 0 {
        proof.break_at("…", format!("and {more} times more"));
    }
}

/// What of the app's own directories is not as it should be.
fn own(attacked: &Attacked, proof: &mut Proof<Shown>) {
    for (path, can_write) in &attacked.mounts {
        let path = Escaped::new(&path.0);
        match can_write {
            Some(true) => {}
            Some(false) => proof.break_at(path, "is mounted for the app to write, and it cannot"),
            None => proof.leave_open(format!("{path} is mounted where the user cannot come to")),
        }
    }
    for path in &attacked.left {
        proof.break_at(Escaped::new(&path.0), "was made and cannot be removed again");
    }
}

/// Programs that start and have no reason to be there.
fn programs(case: &Case<'_>, attacked: &Attacked, proof: &mut Proof<Shown>) {
    let residual = case.manifest.map_or(&[][..], |manifest| manifest.residual.as_slice());
    let named: BTreeSet<&str> = residual
        .iter()
        .filter(|program| !program.why.trim().is_empty())
        .map(|program| program.path.as_str())
        .collect();
    let mut excused = 0_u64;
    for hole in attacked.holes.iter().filter(|hole| hole.act == Act::Execute) {
        let Ok(path) = ImagePath::parse(&hole.path.0) else { continue };
        if names(case.subject.rootfs, &path).iter().any(|name| named.contains(name.as_str())) {
            excused += 1;
            continue;
        }
        let class = Catalog::builtin().program(path.name());
        let what = class.map_or("a tool by its content", |class| class.phrase());
        proof.break_at(path, format!("can be started: {what}"));
    }
    proof.prove(format!(
        "tried to start {} programs that the catalog knows, by name or content; {excused} start and have their reason in the manifest",
        attacked.execute.tried
    ));
}

/// All names of what `path` leads to, and its own.
fn names(rootfs: &Rootfs, path: &ImagePath) -> Vec<String> {
    let resolved = rootfs.resolve(path).map(|resolved| resolved.path);
    let inode = resolved.as_ref().and_then(|path| rootfs.node(path)).and_then(|node| node.inode);
    let others = rootfs.nodes().filter(|(_, node)| inode.is_some() && node.inode == inode);
    others.map(|(name, _)| name.to_string()).chain([path.to_string()]).collect()
}

/// How much was tried, and what is writable on purpose.
fn told(attacked: &Attacked, proof: &mut Proof<Shown>) {
    proof.prove(format!(
        "tried to make a file in {} directories, to open {} files for writing and to change {} modes",
        attacked.create.tried, attacked.write.tried, attacked.mode.tried
    ));
    let list = |paths: Vec<&Bytes>| {
        paths.iter().map(|path| Escaped::new(&path.0).to_string()).collect::<Vec<_>>().join(", ")
    };
    if attacked.closed > 0 {
        proof.prove(format!(
            "{} directories are closed to the user, with all that is in them",
            attacked.closed
        ));
    }
    let mounts: Vec<&Bytes> =
        attacked.mounts.iter().filter(|(_, can)| *can == Some(true)).map(|(path, _)| path).collect();
    if !mounts.is_empty() {
        proof.prove(format!(
            "writable as the pod says, tried with a file that was removed again: {}",
            list(mounts)
        ));
    }
    if !attacked.common.is_empty() {
        proof.prove(format!(
            "writable in every container, as runtimes set it up: {}; and what processes say of themselves in /proc",
            list(attacked.common.iter().collect())
        ));
    }
    for cut in &attacked.cut {
        proof.leave_open(match cut {
            Cut::Entries => "there is more in the container than was tried",
            Cut::Depth => "paths that are too long to be named were not tried",
            Cut::Enough => "so much could be changed that the rest was not tried",
            Cut::Programs => "more programs than are started have names of the catalog",
            Cut::NotTried => "programs of the catalog did not start, and nothing says that they cannot",
            Cut::Hidden => {
                "directories that the user may pass through and not list: what is in them was not tried"
            }
            Cut::Unread => "files or directories that could not be looked at were not tried",
        });
    }
}
