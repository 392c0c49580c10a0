//! What a mount lies over: code, files of the image, links to the log streams, volumes of the image.
//!
//! Rules only. Without the image a mount is known by its path as written.

use super::super::image::Image;
use super::super::resource::Role;
use super::super::rule::{Check, Fix, Found, NO_IMAGE, Rule};
use super::super::subject::{Container, FIXED_KINDS, Mount, Subject, absolute};
use super::super::system::is_system;
use crate::finding::Severity;
use crate::path::ImagePath;

pub(super) const FS004: Rule = Rule {
    id: "FS004",
    title: "no writable mount over code",
    severity: Severity::High,
    passes: "No mount that the container can write lies over `/`, `/etc`, `/usr`, a directory of programs or libraries, a directory of `PATH`, a directory of the image that holds a program, or the directory that the container starts in, if the image has files there and kiln has not recorded that it must be writable.",
    why: "A writable mount over programs undoes the read-only root file system where it matters most: what starts next is what an intruder left there.",
    remedy: "Mount a directory that holds data only, or mount this one `readOnly: true`.",
    fix: Fix::None,
    maps: &[],
    point: None,
    check: Check::Pod(over_code),
};

fn over_code(subject: &Subject<'_>, found: &mut Found) {
    for container in &subject.containers {
        for mount in subject.writable(container) {
            let says = |what: &str| format!("{} can be written and {what}", mount.path);
            if is_system(&mount.place) {
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
            } else if let Some(program) = image.content(&at).program {
                Some(format!("holds the image's {program}"))
            } else {
                hides_start(container, image, &at)
                    .then(|| "lies over what the container starts in".to_owned())
            };
            if let Some(what) = holds {
                found.container(subject, container, format!("{}.mountPath", mount.at), says(&what));
            }
        }
    }
}

/// Whether a mount at `at` hides the directory that the container starts in, with the image's files there.
fn hides_start(container: &Container<'_>, image: &Image, at: &ImagePath) -> bool {
    let start = image.canonical(container.working_dir(image));
    let start = start.filter(|start| !start.is_root() && start.is_within(at));
    start.is_some_and(|start| image.around(&start).is_none() && image.content(&start).files > 0)
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
pub(super) fn is_filled(subject: &Subject<'_>, mount: &Mount<'_>) -> bool {
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
            if !container.mounts.iter().any(|mount| mount.place == absolute(volume)) {
                let message = format!("the image declares `VOLUME {volume}`, and nothing is mounted there");
                found.container(subject, container, container.field("volumeMounts"), message);
            }
        }
    }
}
