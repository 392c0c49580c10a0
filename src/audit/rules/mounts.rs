//! What is mounted, and who writes it.
//!
//! Rules only. Without the image a mount is known by its path as written.

use super::super::checklist::Point;
use super::super::image::{Origin, is_log_directory};
use super::super::resource::Role;
use super::super::rule::{Check, Fix, Found, NO_IMAGE, Rule};
use super::super::subject::{Container, Mount, Subject, is_within, truth};
use super::shadow::is_filled;
use crate::evidence::Confidence;
use crate::finding::Severity;
use crate::manifest::Persistence;
use crate::path::ImagePath;

pub(super) const FS002: Rule = Rule {
    id: "FS002",
    title: "what the app must write is writable",
    severity: Severity::High,
    passes: "Every path that the image's writable manifest names lies at or below a mount that the container can write. It is not decided where the pod starts another command than the image: what that writes is not known. A path that is only likely to be written weighs little.",
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
        let locked = truth(container.fields, "securityContext.readOnlyRootFilesystem") == Some(true);
        if container.role == Role::Init || (!locked && image.origin == Origin::Planned) {
            continue;
        }
        // Another command of the image writes elsewhere: its own is the one that is known.
        if !container.runs_own(image) {
            found.undecided("the pod starts another command than the image");
            continue;
        }
        let mounts: Vec<ImagePath> =
            subject.writable(container).filter_map(|mount| image.canonical(mount.path)).collect();
        for path in &image.manifest.paths {
            let Some(at) = path.image_path() else { continue };
            if is_log_directory(path) || mounts.iter().any(|mount| at.is_within(mount)) {
                continue;
            }
            let why = path.evidence.first().map(|known| format!(" ({}: {})", known.source, known.detail));
            let is_likely = path.confidence == Confidence::Likely;
            let must = if is_likely { "is likely to have to be" } else { "must be" };
            let message = format!("{} {must} writable{}", path.path, why.unwrap_or_default());
            found.container(subject, container, container.field("volumeMounts"), message);
            if is_likely {
                found.weighs(Severity::Low);
            }
        }
    }
}

pub(super) const FS003: Rule = Rule {
    id: "FS003",
    title: "nothing is writable that need not be",
    severity: Severity::Medium,
    passes: "Every mount that the container can write is one that the image's writable manifest names, or lies below one. One over links to the log streams is FS006's.",
    why: "Each writable directory is one more place for an intruder's files. What the app does not write should not be there for others to write.",
    remedy: "Mount it `readOnly: true` or leave it out. If the app needs it, harden the image with `--writable PATH` so that it is recorded, or name the reason in `kiln.dev/ignore`.",
    fix: Fix::Unsafe,
    maps: &[],
    point: None,
    check: Check::Pod(undeclared),
};

fn undeclared(subject: &Subject<'_>, found: &mut Found) {
    for container in subject.own_containers().filter(|container| container.role != Role::Init) {
        for mount in subject.writable(container) {
            let Some(image) = container.known else {
                found.undecided(NO_IMAGE);
                continue;
            };
            let Some(at) = image.canonical(mount.path) else { continue };
            // What hides links to the log streams is another rule's.
            if image.around(&at).is_some() || !image.content(&at).log_links.is_empty() {
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
            None => usual(&mount.place),
        };
        for (index, mount) in container.mounts.iter().enumerate() {
            let earlier = container.mounts.iter().take(index).find(|other| place(other) == place(mount));
            if let Some(other) = earlier {
                let message = if other.place == mount.place {
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
        if let Some(rest) = path.strip_prefix(link).filter(|_| is_within(path, link)) {
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
                let (inner, around) = (usual(&mount.place), usual(&outer.place));
                outer.is_read_only && !makes && inner != around && is_within(&inner, &around)
            });
            if let Some(outer) = outer {
                let message = format!("{} lies below {}, which is mounted read-only", mount.path, outer.path);
                found.container(subject, container, format!("{}.mountPath", mount.at), message);
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
        for mount in subject.writable(container) {
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
    passes: "No volume, of the pod or of a claim template, is mounted writable by more than one of the containers that run at a time.",
    why: "A volume that two containers write is a way from one to the other: who takes over the sidecar leaves files for the app.",
    remedy: "Mount it `readOnly: true` where it is only read, or name the reason in `kiln.dev/ignore`.",
    fix: Fix::None,
    maps: &[],
    point: None,
    check: Check::Pod(shared),
};

fn shared(subject: &Subject<'_>, found: &mut Found) {
    let own = subject.volumes.iter().map(|volume| (volume.name, Some(format!("{}.name", volume.at))));
    let templates: Vec<&str> = subject.claim_templates().collect();
    // A template takes the place of a volume of its name.
    let own = own.filter(|(name, _)| !templates.contains(name));
    for (name, at) in own.chain(templates.iter().map(|&name| (name, None))) {
        let runs = subject.own_containers().filter(|container| container.role != Role::Init);
        let writers: Vec<(&Container<'_>, &Mount<'_>)> = runs
            .filter_map(|container| {
                Some((container, subject.writable(container).find(|mount| mount.name == name)?))
            })
            .collect();
        let [_, .., (last, mount)] = writers.as_slice() else { continue };
        let names: Vec<&str> = writers.iter().map(|(container, _)| container.name).collect();
        let message = format!("the containers {} all write the volume {name:?}", names.join(", "));
        match at {
            Some(at) => found.pod(at, message),
            // A template stands outside of the pod.
            None => found.container(subject, last, format!("{}.name", mount.at), message),
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
        for mount in subject.writable(container) {
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
