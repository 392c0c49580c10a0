//! Commands in a pod: what they change, and whether the image can run them at all.
//!
//! Rules only; what a command runs is told by its words.

use serde_json::Value;

use super::super::command::{Step, base, changed_files, installs, is_shell, only_waits, steps};
use super::super::image::Image;
use super::super::resource::Role;
use super::super::rule::{Check, Fix, Found, NO_IMAGE, Rule};
use super::super::subject::{Container, Subject, absolute, is_within, list, number, text, value};
use super::who::Who;
use crate::finding::Severity;
use crate::plan::command::{Joined, is_builtin};

/// Probes by field.
const PROBES: [&str; 3] = ["startupProbe", "readinessProbe", "livenessProbe"];
/// Hooks by field.
const HOOKS: [&str; 2] = ["lifecycle.postStart", "lifecycle.preStop"];

/// The command of a probe or hook.
fn command<'v>(container: &'v Container<'_>, of: &str) -> Option<Vec<&'v str>> {
    let words = container.words(&format!("{of}.exec.command"));
    (!words.is_empty()).then_some(words)
}

pub(super) const FS022: Rule = Rule {
    id: "FS022",
    title: "no probe and no `postStart` changes the image's files",
    severity: Severity::Medium,
    passes: "No `exec` of a probe or of `postStart` runs `rm`, `mv`, `chmod`, `chown`, `ln`, `sed -i` and the like, but for files in a volume that the container can write, named in full; and none runs a package manager.",
    why: "A startup probe that removes the shell was a way to harden before images were hardened. It needs root and a writable root file system, it leaves a window and other shells, and with a read-only root file system it fails: the kubelet restarts the container for ever.",
    remedy: "Take it out and harden the image: `kiln harden` removes shells and tools for good.",
    fix: Fix::Safe,
    maps: &[],
    point: None,
    check: Check::Pod(mutating),
};

fn mutating(subject: &Subject<'_>, found: &mut Found) {
    for container in &subject.containers {
        // What happens before the end changes nothing that runs.
        for of in PROBES.iter().chain(&["lifecycle.postStart"]) {
            let Some(argv) = command(container, of) else { continue };
            let steps = steps(&argv);
            let what = steps
                .iter()
                .find(|step| changes_image(subject, container, &step.words) || installs(&step.words));
            if let Some(step) = what {
                let at = container.field(&format!("{of}.exec.command"));
                found.container(subject, container, at, format!("the {of} runs `{}`", step.words.join(" ")));
            }
        }
    }
}

/// Whether a command changes files, and not all of them lie in volumes that the container can write.
fn changes_image(subject: &Subject<'_>, container: &Container<'_>, words: &[String]) -> bool {
    let is_in_volume = |file: &&str| {
        let is_plain = file.starts_with('/') && !file.split('/').any(|name| name == "..");
        let file = absolute(file);
        is_plain && subject.writable(container).any(|mount| is_within(&file, &mount.place))
    };
    changed_files(words).is_some_and(|files| files.is_empty() || !files.iter().all(is_in_volume))
}

pub(super) const FS023: Rule = Rule {
    id: "FS023",
    title: "no container installs software at start",
    severity: Severity::Medium,
    passes: "No `command` or `args` runs a package manager, `pip install` and the like, nor `chmod` or `sed -i` but for files in a volume that the container can write, named in full; and none pipes what it downloads into a shell.",
    why: "What is installed at start is in no image that anybody scanned, and with a read-only root file system it cannot be installed.",
    remedy: "Do it when the image is built.",
    fix: Fix::None,
    maps: &[],
    point: None,
    check: Check::Pod(installing),
};

fn installing(subject: &Subject<'_>, found: &mut Found) {
    for container in &subject.containers {
        let mut argv = container.words("command");
        let field = if argv.is_empty() { "args" } else { "command" };
        argv.extend(container.words("args"));
        let steps = steps(&argv);
        let is_called =
            |step: &Step, names: &[&str]| step.words.first().is_some_and(|name| names.contains(&base(name)));
        let downloads = steps.windows(2).find_map(|pair| {
            let [from, to] = pair else { return None };
            let runs = to.joined == Joined::Pipe && to.words.first().is_some_and(|name| is_shell(name));
            (runs && is_called(from, &["curl", "wget"]))
                .then(|| format!("{} | {}", from.words.join(" "), to.words.join(" ")))
        });
        let does = |step: &&Step| {
            installs(&step.words)
                || is_called(step, &["chmod", "sed"]) && changes_image(subject, container, &step.words)
        };
        let what = downloads.or_else(|| steps.iter().find(does).map(|step| step.words.join(" ")));
        if let Some(what) = what {
            found.container(subject, container, container.field(field), format!("the start runs `{what}`"));
        }
    }
}

pub(super) const FS024: Rule = Rule {
    id: "FS024",
    title: "`/tmp` is sticky where the language asks for it",
    severity: Severity::Low,
    passes: "Where the image has Ruby and a volume is mounted at `/tmp`, the volume's `mode` is 1777 (octal; Kubernetes 1.37), or `TMPDIR` leads to another directory.",
    why: "Ruby does not use a temporary directory that everybody may write and that is not sticky, as an `emptyDir` is: it falls back to the working directory, which is read-only.",
    remedy: "Set `TMPDIR` to a directory of the app's own, or from 1.37 on `emptyDir.mode: 1023`.",
    fix: Fix::None,
    maps: &["kubernetes#110835"],
    point: None,
    check: Check::Pod(sticky),
};

fn sticky(subject: &Subject<'_>, found: &mut Found) {
    /// 1777.
    const STICKY: i64 = 0o1777;
    for container in subject.own_containers() {
        for mount in container.mounts.iter().filter(|mount| mount.place == "/tmp") {
            let Some(image) = container.known else {
                found.undecided(NO_IMAGE);
                continue;
            };
            if container.find(image, "ruby").is_none() {
                continue;
            }
            let set = list(container.fields, "env").find(|(_, one)| text(one, "name") == Some("TMPDIR"));
            let elsewhere = set.is_some_and(|(_, one)| text(one, "value").is_some_and(|path| path != "/tmp"));
            let volume = mount.volume.and_then(|index| subject.volumes.get(index));
            let mode = volume.and_then(|volume| number(volume.source, "mode"));
            if !elsewhere && mode != Some(STICKY) && mount.fields.get("subPath").is_none() {
                let at = format!("{}.mountPath", mount.at);
                found.container(subject, container, at, "Ruby will not use /tmp: the volume is not sticky");
            }
        }
    }
}

/// What is wrong with the program `name`, for `who`, or for everybody.
fn wrong(container: &Container<'_>, image: &Image, who: Option<&Who>, name: &str) -> Option<String> {
    // What a volume brings, or a variable names, the image does not say.
    if name.contains("$(") || container.is_mounted_over(image, name) {
        return None;
    }
    let Some(path) = container.find(image, name) else { return Some(format!("the image has no `{name}`")) };
    if image.rootfs.entry(&path).is_some_and(|entry| entry.mode & 0o111 == 0) {
        return Some(format!("`{name}` of the image cannot be started"));
    }
    let who = who.filter(|who| who.keeps_out(image, &path).is_some())?;
    Some(format!("`{name}` of the image cannot be started by user {}", who.uid))
}

/// What is wrong with what a plain text for a shell runs: the steps behind the first, those that the shell has to find.
fn wrong_within(
    container: &Container<'_>,
    image: &Image,
    who: Option<&Who>,
    steps: &[Step],
) -> Option<String> {
    let moves = steps.iter().any(|step| step.words.first().is_some_and(|name| name == "cd"));
    let is_name = |name: &str| {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._+-".contains(c);
        let is_told = name.starts_with('/') || !name.contains('/') || !moves;
        name.chars().all(is_plain) && is_told && !is_builtin(name)
    };
    let names = steps.iter().skip(1).filter(|step| step.is_sure).filter_map(|step| step.words.first());
    names.filter(|name| is_name(name)).find_map(|name| wrong(container, image, who, name))
}

pub(super) const CF001: Rule = Rule {
    id: "CF001",
    title: "the image has what probes run",
    severity: Severity::High,
    passes: "The program of every `exec` probe is in the image, or in a volume, and the container's user can start it; if it is a shell with a text of plain commands (no branches, loops, `||` or substitutions) so is each of them.",
    why: "A probe that cannot run fails: the pod is never ready, or is restarted for ever.",
    remedy: "Ask by `httpGet`, `tcpSocket` or `grpc`, which need nothing in the image; `kiln fix` converts what it can.",
    fix: Fix::WithImage,
    maps: &["prometheus#8605"],
    point: None,
    check: Check::Pod(|subject, found| runnable(subject, found, &PROBES)),
};

pub(super) const CF002: Rule = Rule {
    id: "CF002",
    title: "the image has what hooks run",
    severity: Severity::High,
    passes: "The program of every `exec` hook is in the image, or in a volume, and the container's user can start it; if it is a shell with a text of plain commands (no branches, loops, `||` or substitutions) so is each of them. From Kubernetes 1.30 on a hook that only waits does so by its own `sleep`.",
    why: "A `preStop` that cannot run is skipped: the server is stopped while requests still come in. A `postStart` that cannot run kills the container.",
    remedy: "Use `preStop: {sleep: {seconds: N}}`, which Kubernetes has from 1.30 on.",
    fix: Fix::WithImage,
    maps: &[],
    point: None,
    check: Check::Pod(|subject, found| runnable(subject, found, &HOOKS)),
};

fn runnable(subject: &Subject<'_>, found: &mut Found, of: &[&str]) {
    /// The first version in which hooks wait by themselves.
    const SLEEPS: u32 = 30;
    for container in subject.own_containers() {
        for of in of {
            let Some(argv) = command(container, of) else { continue };
            let at = container.field(&format!("{of}.exec.command"));
            let steps = steps(&argv);
            if HOOKS.contains(of) && subject.options.version.0 >= SLEEPS && only_waits(&steps) {
                found.container(
                    subject,
                    container,
                    at,
                    format!("the {of} waits by a program, not by `sleep`"),
                );
                continue;
            }
            let Some(image) = container.known else {
                found.undecided(NO_IMAGE);
                continue;
            };
            let who = Who::of(subject, container, image);
            let first = argv.first().and_then(|name| wrong(container, image, who.as_ref(), name));
            let why = first.or_else(|| wrong_within(container, image, who.as_ref(), &steps));
            if let Some(why) = why {
                found.container(subject, container, at, format!("the {of} cannot run: {why}"));
            }
        }
    }
}

pub(super) const CF003: Rule = Rule {
    id: "CF003",
    title: "the image has what the pod starts",
    severity: Severity::High,
    passes: "Where the pod has `command` or `args`, the program that these start is in the image, or in a volume, and can be started; if it is a shell with a text of plain commands (no branches, loops, `||` or substitutions) so is each of them, for the container's user.",
    why: "A command that begins with `sh -c` does not start on an image without a shell, and a text for the shell fails where it comes to a program that the image does not have.",
    remedy: "Start the program itself, with its arguments one by one in `command` and `args`; variables as `$(NAME)`.",
    fix: Fix::None,
    maps: &[],
    point: None,
    check: Check::Pod(startable),
};

fn startable(subject: &Subject<'_>, found: &mut Found) {
    for container in subject.own_containers() {
        let has = |field: &str| !container.words(field).is_empty();
        let Some(field) = ["command", "args"].into_iter().find(|field| has(field)) else { continue };
        let Some(image) = container.known else {
            found.undecided(NO_IMAGE);
            continue;
        };
        let argv = container.argv(image);
        let who = Who::of(subject, container, image);
        // Whether this user may start the first program is another rule's.
        let first = argv.first().and_then(|name| wrong(container, image, None, name));
        if let Some(why) = first.or_else(|| wrong_within(container, image, who.as_ref(), &steps(&argv))) {
            found.container(subject, container, container.field(field), why);
        }
    }
}

pub(super) const CF004: Rule = Rule {
    id: "CF004",
    title: "the kubelet can tell whether the app serves",
    severity: Severity::Low,
    passes: "A container that declares a port has a `readinessProbe`, and its `livenessProbe` is not the same in all. Jobs and init containers need none.",
    why: "Without a probe a pod gets requests before it can answer. A liveness probe that is the readiness probe kills every pod that is only busy. Docker's `HEALTHCHECK` means nothing to Kubernetes.",
    remedy: "Add a `readinessProbe`, and a slower `livenessProbe` if any.",
    fix: Fix::None,
    maps: &["CKV_K8S_8", "CKV_K8S_9"],
    point: None,
    check: Check::Pod(probed),
};

fn probed(subject: &Subject<'_>, found: &mut Found) {
    if ["Job", "CronJob"].contains(&subject.resource.kind.as_str()) {
        return found.void();
    }
    for container in subject.containers.iter().filter(|container| container.role == Role::App) {
        let probe = |name: &str| value(container.fields, name);
        let (ready, live) = (probe("readinessProbe"), probe("livenessProbe"));
        let has_port = list(container.fields, "ports").next().is_some();
        if ready.is_none() && has_port {
            let check = container.known.is_some_and(|image| image.config.healthcheck.is_some());
            let hint = if check { "; the image's `HEALTHCHECK` means nothing to Kubernetes" } else { "" };
            let at = container.field("readinessProbe");
            found.container(subject, container, at, format!("a port, and no `readinessProbe`{hint}"));
        }
        if live.is_some() && ready == live {
            let at = container.field("livenessProbe");
            found.container(
                subject,
                container,
                at,
                "the `livenessProbe` is the `readinessProbe`: busy pods are killed",
            );
        }
    }
}

pub(super) const CF005: Rule = Rule {
    id: "CF005",
    title: "probes ask a port that is there",
    severity: Severity::Medium,
    passes: "A probe's port is one that the container declares, by name or number; or it is a number on which the image is known to listen.",
    why: "A probe of a port where nobody listens fails, and so does the pod.",
    remedy: "Declare the port under `ports`, and name it in the probe.",
    fix: Fix::None,
    maps: &[],
    point: None,
    check: Check::Pod(probed_ports),
};

fn probed_ports(subject: &Subject<'_>, found: &mut Found) {
    for container in subject.own_containers() {
        for probe in PROBES {
            for how in ["httpGet", "tcpSocket", "grpc"] {
                let field = format!("{probe}.{how}.port");
                let Some(port) = value(container.fields, &field) else { continue };
                let declared = list(container.fields, "ports").any(|(_, one)| is_port(one, port));
                if declared {
                    continue;
                }
                let number = port.as_u64().or_else(|| port.as_str()?.parse().ok());
                // A port need not be declared, and nobody but the image knows of it then.
                if number.is_some() && container.known.is_none() {
                    found.undecided(NO_IMAGE);
                    continue;
                }
                let mut listens = container.known.into_iter().flat_map(|image| &image.manifest.ports);
                if listens.any(|one| Some(u64::from(one.port)) == number) {
                    continue;
                }
                let says = match port.as_str() {
                    Some(name) => name.to_owned(),
                    None => port.to_string(),
                };
                let message = format!("the {probe} asks port {says}, which the container does not declare");
                found.container(subject, container, container.field(&field), message);
            }
        }
    }
}

fn is_port(declared: &Value, port: &Value) -> bool {
    let number = declared.get("containerPort");
    match port.as_str() {
        Some(name) => {
            text(declared, "name") == Some(name)
                || number.and_then(Value::as_u64).is_some_and(|number| name.parse() == Ok(number))
        }
        None => number == Some(port),
    }
}

pub(super) const CF006: Rule = Rule {
    id: "CF006",
    title: "it is known how to debug the pod",
    severity: Severity::Info,
    passes: "The pod has the annotation `kiln.dev/debug` with the command.",
    why: "A pod without a shell cannot be looked into with `kubectl exec`. Whoever has to at three in the morning should find how.",
    remedy: "`kiln debug-profile IMAGE` writes the profile and tells the command; `kiln generate` adds the annotation.",
    fix: Fix::None,
    maps: &[],
    point: None,
    check: Check::Pod(|subject, found| {
        let of = |value: &Value| value.pointer("/annotations/kiln.dev~1debug").is_some();
        if !of(subject.metadata) && !subject.whole.get("metadata").is_some_and(of) {
            found.pod("metadata.annotations", "no annotation `kiln.dev/debug`");
        }
    }),
};
