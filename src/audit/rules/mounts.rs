//! Where volumes are mounted: over code, over each other, over what the image has.
//!
//! Rules only. Without the image a mount is known by its path as written.

use super::super::checklist::Point;
use super::super::image::{Origin, is_log_directory};
use super::super::resource::Role;
use super::super::rule::{Check, Fix, Found, NO_IMAGE, Rule};
use super::super::subject::{Container, FIXED_KINDS, Mount, Subject, WRITABLE_KINDS, truth, value};
use crate::finding::Severity;
use crate::manifest::Persistence;
use crate::path::ImagePath;

/// A mount through which its container can write, and where it lies in the image.
fn writable<'c>(
    subject: &'c Subject<'_>,
    container: &'c Container<'c>,
) -> impl Iterator<Item = &'c Mount<'c>> {
    container.mounts.iter().filter(|mount| {
        !mount.is_read_only && subject.kind_of(mount).is_some_and(|kind| WRITABLE_KINDS.contains(&kind))
    })
}

pub(super) const FS002: Rule = Rule {
    id: "FS002",
    title: "what the app must write is writable",
    severity: Severity::High,
    passes: "Every path that the image's writable manifest names lies at or below a mount that the container can write.",
    why: "With a read-only root file system an app that cannot write where it must dies with `Read-only file system`, often not at start but with the first upload or the first rotated log.",
    remedy: "Mount an `emptyDir` there, or a claim where the data must outlive the pod. `kiln fix` adds what is missing.",
    fix: Fix::WithImage,
    maps: &["checklist 2"],
    point: Some(Point::Volumes),
    check: Check::Pod(declared),
};

fn declared(subject: &Subject<'_>, found: &mut Found) {
    for container in subject.own_containers() {
        let Some(image) = container.known else {
            found.undecided(NO_IMAGE);
            continue;
        };
        // Another command of the image writes elsewhere: its own is the one that is known.
        if container.role == Role::Init || runs_another(container) {
            continue;
        }
        let locked = truth(container.fields, "securityContext.readOnlyRootFilesystem") == Some(true);
        if !locked && image.origin == Origin::Planned {
            continue;
        }
        let mounts: Vec<ImagePath> =
            writable(subject, container).filter_map(|mount| image.canonical(mount.path)).collect();
        for path in &image.manifest.paths {
            let Some(at) = path.image_path() else { continue };
            if is_log_directory(path) || mounts.iter().any(|mount| at.is_within(mount)) {
                continue;
            }
            let why = path.evidence.first().map(|known| format!(" ({}: {})", known.source, known.detail));
            let message = format!("{} must be writable{}", path.path, why.unwrap_or_default());
            found.container(subject, container, container.field("volumeMounts"), message);
        }
    }
}

/// Whether the pod starts something else than the image does.
fn runs_another(container: &Container<'_>) -> bool {
    value(container.fields, "command").is_some()
}

pub(super) const FS003: Rule = Rule {
    id: "FS003",
    title: "nothing is writable that need not be",
    severity: Severity::Medium,
    passes: "Every mount that the container can write is one that the image's writable manifest names, or lies below one.",
    why: "Each writable directory is one more place for an intruder's files. What the app does not write should not be there for others to write.",
    remedy: "Mount it `readOnly: true` or leave it out. If the app needs it, harden the image with `--writable PATH` so that it is recorded, or name the reason in `kiln.dev/ignore`.",
    fix: Fix::Unsafe,
    maps: &[],
    point: None,
    check: Check::Pod(undeclared),
};

fn undeclared(subject: &Subject<'_>, found: &mut Found) {
    for container in subject.own_containers().filter(|container| container.role != Role::Init) {
        for mount in writable(subject, container) {
            let Some(image) = container.known else {
                found.undecided(NO_IMAGE);
                continue;
            };
            let Some(at) = image.canonical(mount.path) else { continue };
            if image.around(&at).is_some() {
                continue;
            }
            let message = match image.mounted().find(|(path, _)| path.is_within(&at)) {
                Some((path, _)) => format!("{} is writable, but only {path} below it need be", mount.path),
                None => format!("{} is writable, but the image does not need it", mount.path),
            };
            found.container(subject, container, format!("{}.mountPath", mount.at), message);
        }
    }
}

pub(super) const FS004: Rule = Rule {
    id: "FS004",
    title: "no writable mount over code",
    severity: Severity::High,
    passes: "No mount that the container can write lies over `/`, `/etc`, `/usr`, a directory of programs or libraries, a directory of `PATH`, or a directory of the image that holds a program.",
    why: "A writable mount over programs undoes the read-only root file system where it matters most: what starts next is what an intruder left there.",
    remedy: "Mount a directory that holds data only, or mount this one `readOnly: true`.",
    fix: Fix::None,
    maps: &[],
    point: None,
    check: Check::Pod(over_code),
};

fn over_code(subject: &Subject<'_>, found: &mut Found) {
    /// With what is below them.
    const CODE: [&str; 14] = [
        "/bin",
        "/sbin",
        "/lib",
        "/lib32",
        "/lib64",
        "/libx32",
        "/usr/bin",
        "/usr/sbin",
        "/usr/lib",
        "/usr/lib64",
        "/usr/libexec",
        "/usr/local/bin",
        "/usr/local/sbin",
        "/usr/local/lib",
    ];
    /// Themselves.
    const ROOTS: [&str; 5] = ["/", "/etc", "/usr", "/usr/local", "/usr/share"];
    let below = |path: &str, of: &str| {
        path.strip_prefix(of).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    for container in &subject.containers {
        for mount in writable(subject, container) {
            let path = trimmed(mount.path);
            let says = |what: &str| format!("{} can be written and {what}", mount.path);
            let fixed = ROOTS.contains(&path) || CODE.iter().any(|code| below(path, code));
            if fixed {
                let message = says("lies over the system's programs, libraries or configuration");
                found.container(subject, container, format!("{}.mountPath", mount.at), message);
                continue;
            }
            let Some(image) = container.known else {
                found.undecided(NO_IMAGE);
                continue;
            };
            let Some(at) = image.canonical(mount.path) else { continue };
            if image.around(&at).is_some_and(|path| path.seeded) {
                continue;
            }
            let listed = |list: &str| list.split(':').any(|one| image.canonical(one).as_ref() == Some(&at));
            let holds = if listed(image.search_path()) {
                Some("is a directory of `PATH`".to_owned())
            } else {
                image.content(&at).program.map(|program| format!("holds the image's {program}"))
            };
            if let Some(what) = holds {
                found.container(subject, container, format!("{}.mountPath", mount.at), says(&what));
            }
        }
    }
}

/// Without slashes at the end.
fn trimmed(path: &str) -> &str {
    match path.trim_end_matches('/') {
        "" => "/",
        trimmed => trimmed,
    }
}

pub(super) const FS005: Rule = Rule {
    id: "FS005",
    title: "a mount does not hide what the image has there",
    severity: Severity::High,
    passes: "Where a volume is mounted the image has nothing, or an init container fills the volume, or the volume brings content of its own (ConfigMap, Secret, projected, image).",
    why: "A volume over a directory hides what the image has in it: default configuration, templates, an initial database. The app does not find it and fails, or starts without it.",
    remedy: "Fill the volume before: `kiln harden` puts a helper into the image that does, and `kiln fix` the init container into the pod.",
    fix: Fix::WithImage,
    maps: &[],
    point: None,
    check: Check::Pod(hides),
};

fn hides(subject: &Subject<'_>, found: &mut Found) {
    for container in subject.own_containers() {
        for mount in &container.mounts {
            if subject.kind_of(mount).is_some_and(|kind| FIXED_KINDS.contains(&kind)) {
                continue;
            }
            let Some(image) = container.known else {
                found.undecided(NO_IMAGE);
                continue;
            };
            if container.role == Role::Init || is_filled(subject, mount) {
                continue;
            }
            let Some(at) = image.canonical(mount.path) else { continue };
            let files = image.content(&at).files;
            if files > 0 {
                let s = if files == 1 { "" } else { "s" };
                let message = format!("the mount at {} hides {files} file{s} of the image", mount.path);
                found.container(subject, container, format!("{}.mountPath", mount.at), message);
            }
        }
    }
}

/// Whether an init container can write the volume before.
fn is_filled(subject: &Subject<'_>, mount: &Mount<'_>) -> bool {
    let init = subject.containers.iter().filter(|container| container.role == Role::Init);
    init.flat_map(|container| &container.mounts).any(|other| other.name == mount.name && !other.is_read_only)
}

pub(super) const FS006: Rule = Rule {
    id: "FS006",
    title: "a mount does not hide links to the log streams",
    severity: Severity::Medium,
    passes: "No volume is mounted over a directory of the image whose files are links to `/dev/stdout` and `/dev/stderr`.",
    why: "Images link their log files to the container's streams. A volume over that directory hides the links: `kubectl logs` goes silent and files grow in the volume.",
    remedy: "Leave the mount out: nothing is written there but through the links.",
    fix: Fix::WithImage,
    maps: &[],
    point: None,
    check: Check::Pod(hides_logs),
};

fn hides_logs(subject: &Subject<'_>, found: &mut Found) {
    for container in subject.own_containers() {
        for mount in &container.mounts {
            let Some(image) = container.known else {
                found.undecided(NO_IMAGE);
                continue;
            };
            let Some(at) = image.canonical(mount.path) else { continue };
            let links = image.content(&at).log_links;
            if let Some(first) = links.first().filter(|_| !is_filled(subject, mount)) {
                let message = format!("the mount at {} hides {first}, a link to the log stream", mount.path);
                found.container(subject, container, format!("{}.mountPath", mount.at), message);
            }
        }
    }
}

pub(super) const FS011: Rule = Rule {
    id: "FS011",
    title: "no two mounts at one place",
    severity: Severity::High,
    passes: "The mounts of a container lie at different paths, the image's links followed: `/var/run` is a link to `/run` in most images.",
    why: "Two mounts at one place hide each other, and which one counts depends on the order: what one process writes another does not find.",
    remedy: "Keep one of them, at the path without links.",
    fix: Fix::Safe,
    maps: &[],
    point: None,
    check: Check::Pod(aliased),
};

/// Links that nearly every image has: where they lie, and where they lead.
pub const USUAL_LINKS: [(&str, &str); 2] = [("/var/run", "/run"), ("/var/lock", "/run/lock")];

fn aliased(subject: &Subject<'_>, found: &mut Found) {
    for container in &subject.containers {
        let place = |mount: &Mount<'_>| match container.known.and_then(|image| image.canonical(mount.path)) {
            Some(at) => at.to_string(),
            None => usual(trimmed(mount.path)),
        };
        for (index, mount) in container.mounts.iter().enumerate() {
            let earlier = container.mounts.iter().take(index).find(|other| place(other) == place(mount));
            if let Some(other) = earlier {
                let message = if trimmed(other.path) == trimmed(mount.path) {
                    format!("{} is mounted twice", mount.path)
                } else {
                    format!("{} and {} are one place", other.path, mount.path)
                };
                found.container(subject, container, format!("{}.mountPath", mount.at), message);
            }
        }
    }
}

/// `path` with the links that nearly every image has followed.
pub fn usual(path: &str) -> String {
    for (link, target) in USUAL_LINKS {
        if let Some(rest) = path.strip_prefix(link).filter(|rest| rest.is_empty() || rest.starts_with('/')) {
            return format!("{target}{rest}");
        }
    }
    path.to_owned()
}

pub(super) const FS012: Rule = Rule {
    id: "FS012",
    title: "no mount lies below a read-only one",
    severity: Severity::High,
    passes: "No mount lies below the path of a read-only volume, ConfigMaps, Secrets and projected volumes apart, in which the kubelet makes the directory.",
    why: "The runtime makes the mount point before it mounts. In a volume that is read-only it cannot, and the container does not start.",
    remedy: "Mount the outer volume at another place, or the inner one outside.",
    fix: Fix::None,
    maps: &["kubernetes#121294"],
    point: None,
    check: Check::Pod(nested),
};

fn nested(subject: &Subject<'_>, found: &mut Found) {
    for container in &subject.containers {
        for mount in &container.mounts {
            let outer = container.mounts.iter().find(|outer| {
                let kind = subject.kind_of(outer).unwrap_or_default();
                let makes = ["configMap", "secret", "projected", "downwardAPI"].contains(&kind);
                let rest = usual(trimmed(mount.path));
                let rest = rest.strip_prefix(&usual(trimmed(outer.path)));
                outer.is_read_only && !makes && rest.is_some_and(|rest| rest.starts_with('/'))
            });
            if let Some(outer) = outer {
                let message = format!("{} lies below {}, which is mounted read-only", mount.path, outer.path);
                found.container(subject, container, format!("{}.mountPath", mount.at), message);
            }
        }
    }
}

pub(super) const FS013: Rule = Rule {
    id: "FS013",
    title: "a `VOLUME` of the image has a mount",
    severity: Severity::High,
    passes: "For every `VOLUME` that the image declares the pod mounts something at exactly that path; hardened images declare none.",
    why: "Where nothing is mounted at a `VOLUME`, containerd makes a directory on the node, copies the image's content into it and mounts it writable, executable and without a limit, and the pod spec does not show it; CRI-O does not.",
    remedy: "Mount a volume there (`kiln fix` does where the image has nothing), or harden the image: kiln takes `VOLUME`s out and records the paths.",
    fix: Fix::WithImage,
    maps: &[],
    point: None,
    check: Check::Pod(image_volumes),
};

fn image_volumes(subject: &Subject<'_>, found: &mut Found) {
    for container in &subject.containers {
        let Some(image) = container.known else {
            found.undecided(NO_IMAGE);
            continue;
        };
        for volume in &image.config.volumes {
            if !container.mounts.iter().any(|mount| trimmed(mount.path) == trimmed(volume)) {
                let message = format!("the image declares `VOLUME {volume}`, and nothing is mounted there");
                found.container(subject, container, container.field("volumeMounts"), message);
            }
        }
    }
}

pub(super) const FS016: Rule = Rule {
    id: "FS016",
    title: "a claim is written only where data is to persist",
    severity: Severity::Medium,
    passes: "Every mount of a claim or a CSI volume is `readOnly: true`, or the image's writable manifest names the path.",
    why: "What is written to a claim survives the pod: an intruder's file too.",
    remedy: "Mount it `readOnly: true`, or harden the image with `--writable PATH` so that it is recorded.",
    fix: Fix::Unsafe,
    maps: &[],
    point: None,
    check: Check::Pod(claims),
};

fn claims(subject: &Subject<'_>, found: &mut Found) {
    for container in subject.own_containers() {
        for mount in writable(subject, container) {
            let kind = subject.kind_of(mount).unwrap_or_default();
            if !["persistentVolumeClaim", "ephemeral", "csi"].contains(&kind) {
                continue;
            }
            let Some(image) = container.known else {
                found.undecided(NO_IMAGE);
                continue;
            };
            // What fills a volume for the app has no paths of its own.
            if container.role == Role::Init {
                continue;
            }
            if image.canonical(mount.path).is_some_and(|at| image.around(&at).is_none()) {
                let message =
                    format!("{} is a {kind} that can be written, and the image does not need it", mount.path);
                found.container(subject, container, format!("{}.readOnly", mount.at), message);
            }
        }
    }
}

pub(super) const FS019: Rule = Rule {
    id: "FS019",
    title: "data that must persist is not on an `emptyDir`",
    severity: Severity::High,
    passes: "No `emptyDir` covers a path whose content must outlive the pod.",
    why: "An `emptyDir` goes with the pod: a database on one is empty after every rescheduling.",
    remedy: "Use a claim: a StatefulSet with `volumeClaimTemplates` (`kiln generate statefulset`).",
    fix: Fix::None,
    maps: &[],
    point: None,
    check: Check::Pod(lost),
};

fn lost(subject: &Subject<'_>, found: &mut Found) {
    for container in subject.own_containers().filter(|container| container.role != Role::Init) {
        for mount in &container.mounts {
            if subject.kind_of(mount) != Some("emptyDir") {
                continue;
            }
            let Some(image) = container.known else {
                found.undecided(NO_IMAGE);
                continue;
            };
            let Some(at) = image.canonical(mount.path) else { continue };
            let covered = image.mounted().find(|(path, entry)| {
                entry.persistence == Persistence::Persistent && (path.is_within(&at) || at.is_within(path))
            });
            if let Some((path, _)) = covered {
                let message = format!("{path} must outlive the pod, and {} is an `emptyDir`", mount.path);
                found.container(subject, container, format!("{}.name", mount.at), message);
            }
        }
    }
}

pub(super) const FS020: Rule = Rule {
    id: "FS020",
    title: "one container writes a volume",
    severity: Severity::Low,
    passes: "No volume is mounted writable by more than one of the containers that run at a time.",
    why: "A volume that two containers write is a way from one to the other: who takes over the sidecar leaves files for the app.",
    remedy: "Mount it `readOnly: true` where it is only read, or name the reason in `kiln.dev/ignore`.",
    fix: Fix::None,
    maps: &[],
    point: None,
    check: Check::Pod(shared),
};

fn shared(subject: &Subject<'_>, found: &mut Found) {
    for volume in &subject.volumes {
        let runs = subject.own_containers().filter(|container| container.role != Role::Init);
        let writers: Vec<&str> = runs
            .filter(|container| writable(subject, container).any(|mount| mount.name == volume.name))
            .map(|container| container.name)
            .collect();
        if writers.len() > 1 {
            let message =
                format!("the containers {} all write the volume {:?}", writers.join(", "), volume.name);
            found.pod(format!("{}.name", volume.at), message);
        }
    }
}

pub(super) const FS025: Rule = Rule {
    id: "FS025",
    title: "a volume that was filled before is read-only in the app",
    severity: Severity::Low,
    passes: "A volume that an init container writes is mounted `readOnly: true` in the app, unless the image's writable manifest names the path.",
    why: "Configuration that an init container prepared is configuration: an app that need not write it should not be able to. An `emptyDir` survives a restart of the container, and so does what an intruder changed in it.",
    remedy: "Add `readOnly: true` to the app's mount.",
    fix: Fix::Unsafe,
    maps: &[],
    point: None,
    check: Check::Pod(filled),
};

fn filled(subject: &Subject<'_>, found: &mut Found) {
    for container in subject.own_containers().filter(|container| container.role != Role::Init) {
        for mount in writable(subject, container) {
            if !is_filled(subject, mount) {
                continue;
            }
            let Some(image) = container.known else {
                found.undecided(NO_IMAGE);
                continue;
            };
            if image.canonical(mount.path).is_some_and(|at| image.around(&at).is_none()) {
                let message =
                    format!("{} is filled by an init container and need not be written", mount.path);
                found.container(subject, container, format!("{}.readOnly", mount.at), message);
            }
        }
    }
}
