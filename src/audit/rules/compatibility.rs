//! Commands in a pod: what they change, and whether the image can run them at all.
//!
//! Rules only; what a command runs is told by its words.

use serde_json::Value;

use super::super::command::{base, changes_files, installs, is_shell, programs};
use super::super::image::{Image, Program};
use super::super::resource::Role;
use super::super::rule::{Check, Fix, Found, NO_IMAGE, Rule};
use super::super::subject::{Container, Subject, list, number, text, value};
use crate::finding::Severity;

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
    title: "no probe and no hook changes the image's files",
    severity: Severity::Medium,
    passes: "No `exec` of a probe or a hook runs `rm`, `mv`, `chmod`, `chown`, `ln`, `sed -i` or a package manager.",
    why: "A startup probe that removes the shell was a way to harden before images were hardened. It needs root and a writable root file system, it leaves a window and other shells, and with a read-only root file system it fails: the kubelet restarts the container for ever.",
    remedy: "Take it out and harden the image: `kiln harden` removes shells and tools for good.",
    fix: Fix::Safe,
    maps: &[],
    point: None,
    check: Check::Pod(mutating),
};

fn mutating(subject: &Subject<'_>, found: &mut Found) {
    for container in &subject.containers {
        for of in PROBES.iter().chain(&HOOKS) {
            let Some(argv) = command(container, of) else { continue };
            let what =
                programs(&argv).iter().find_map(|words| changes_files(words).or_else(|| installs(words)));
            if let Some(what) = what {
                let at = container.field(&format!("{of}.exec.command"));
                found.container(subject, container, at, format!("the {of} runs `{what}`"));
            }
        }
    }
}

pub(super) const FS023: Rule = Rule {
    id: "FS023",
    title: "no container installs software at start",
    severity: Severity::Medium,
    passes: "No `command` or `args` runs a package manager, `pip install` and the like, `chmod`, `sed -i`, or gives what it downloads to a shell.",
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
        let programs = programs(&argv);
        let downloads = programs.iter().skip(1).zip(programs.iter().skip(2)).find_map(|(from, to)| {
            let loads = from.first().is_some_and(|name| ["curl", "wget"].contains(&base(name)));
            (loads && to.first().is_some_and(|name| is_shell(name)))
                .then(|| format!("{} | {}", from.join(" "), to.join(" ")))
        });
        let changes = |words: &Vec<String>| {
            let opens = words.first().is_some_and(|name| ["chmod", "sed"].contains(&base(name)));
            changes_files(words).filter(|_| opens)
        };
        let what = downloads
            .or_else(|| programs.iter().find_map(|words| installs(words).or_else(|| changes(words))));
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
        for mount in container.mounts.iter().filter(|mount| mount.path.trim_end_matches('/') == "/tmp") {
            let Some(image) = container.known else {
                found.undecided(NO_IMAGE);
                continue;
            };
            if image.program("ruby") == Program::Missing {
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

/// What is wrong with the program of `argv` in `image`.
fn missing(image: &Image, argv: &[&str]) -> Option<String> {
    let programs = programs(argv);
    let first = programs.first()?.first()?;
    let judge = |name: &str| match image.program(name) {
        Program::Found => None,
        Program::NotExecutable => Some(format!("`{name}` of the image cannot be started")),
        Program::Missing => Some(format!("the image has no `{name}`")),
    };
    // What else a shell is to run it may have built in.
    judge(first)
}

pub(super) const CF001: Rule = Rule {
    id: "CF001",
    title: "the image has what probes run",
    severity: Severity::High,
    passes: "The program of every `exec` probe is in the image and can be started.",
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
    passes: "The program of every `exec` hook is in the image and can be started; waiting is the hook's own `sleep`.",
    why: "A `preStop` that cannot run is skipped: the server is stopped while requests still come in. A `postStart` that cannot run kills the container.",
    remedy: "Use `preStop: {sleep: {seconds: N}}`, which Kubernetes has from 1.30 on.",
    fix: Fix::WithImage,
    maps: &[],
    point: None,
    check: Check::Pod(|subject, found| runnable(subject, found, &HOOKS)),
};

fn runnable(subject: &Subject<'_>, found: &mut Found, of: &[&str]) {
    for container in subject.own_containers() {
        for of in of {
            let Some(argv) = command(container, of) else { continue };
            let Some(image) = container.known else {
                found.undecided(NO_IMAGE);
                continue;
            };
            if let Some(why) = missing(image, &argv) {
                let at = container.field(&format!("{of}.exec.command"));
                found.container(subject, container, at, format!("the {of} cannot run: {why}"));
            }
        }
    }
}

pub(super) const CF003: Rule = Rule {
    id: "CF003",
    title: "the image has what the pod starts",
    severity: Severity::High,
    passes: "The first word of every `command` is a program of the image.",
    why: "A command that begins with `sh -c` does not start on an image without a shell.",
    remedy: "Start the program itself, with its arguments one by one in `command` and `args`; variables as `$(NAME)`.",
    fix: Fix::None,
    maps: &[],
    point: None,
    check: Check::Pod(startable),
};

fn startable(subject: &Subject<'_>, found: &mut Found) {
    for container in subject.own_containers() {
        let argv = container.words("command");
        if argv.is_empty() {
            continue;
        }
        let Some(image) = container.known else {
            found.undecided(NO_IMAGE);
            continue;
        };
        if let Some(why) = missing(image, &argv) {
            found.container(subject, container, container.field("command"), why);
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
    passes: "A probe's port is one that the container declares, by name or number, or that the image is known to listen on.",
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
                let listens = |image: &Image| {
                    image.manifest.ports.iter().any(|one| {
                        port.as_u64() == Some(u64::from(one.port))
                            || port.as_str() == Some(&one.port.to_string())
                    })
                };
                if declared || container.known.is_some_and(listens) {
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
