//! A pod held against the writable manifest of its image: what it allows too much, and what it leaves out.
//!
//! Runs nothing: what is looser is told even where this start did not suffer from it.

use std::collections::BTreeMap;

use crate::image::Config;
use crate::kube::given::{Container, Given, ImageGroups, Medium};
use crate::manifest::{Manifest, Volume};
use crate::path::ImagePath;
use crate::promise::{Proof, Shown};
use crate::sandbox::{Root, Seccomp, Settings};

/// Whether `container` names the image that has `digests`.
pub(super) fn image(container: &Container, digests: &[String], proof: &mut Proof<Shown>) {
    match container.image.rsplit_once('@') {
        Some((_, digest)) if !digests.iter().any(|known| known == digest) => {
            proof.break_at("image", format!("the pod names another image, {digest}"));
        }
        Some(_) => proof.prove("the pod names this very image, by its digest"),
        None => {}
    }
}

/// Why the kubelet would not start the container of an image with `config`.
pub(super) fn refused(container: &Container, settings: &Settings, config: &Config) -> Option<String> {
    if !container.security.non_root {
        return None;
    }
    let user = config.user.split(':').next().unwrap_or_default();
    if settings.process.uid == 0 {
        return Some("the kubelet does not start it: it would run as root".to_owned());
    }
    let is_named = container.security.user.is_none() && user.parse::<u32>().is_err();
    is_named.then(|| format!("the kubelet does not start it: it cannot tell whether `{user}` is root"))
}

/// Whether `container` of `given`, started with `settings`, is as strict as the manifest lets it be.
pub(super) fn pod(
    given: &Given,
    container: &Container,
    settings: &Settings,
    manifest: Option<&Manifest>,
    proof: &mut Proof<Shown>,
) {
    rights(container, settings, proof);
    match manifest {
        Some(manifest) => {
            let uid = settings.process.uid;
            if uid == 0 && manifest.process.uid != 0 {
                let expected = manifest.process.uid;
                proof.break_at("runAsUser", format!("runs as root, where the manifest says {expected}"));
            }
            groups(container, settings, manifest, proof);
            mounts(container, manifest, proof);
        }
        None => proof.leave_open("mounts and user: the image has no manifest to compare the pod with"),
    }
    let others: Vec<&str> = given
        .containers
        .iter()
        .map(|other| other.name.as_str())
        .filter(|name| *name != container.name)
        .collect();
    if !others.is_empty() {
        proof.leave_open(format!("the pod's other containers were not run: {}", others.join(", ")));
    }
    if container.mounts.iter().any(|mount| mount.medium == Medium::Claim) {
        proof.leave_open("a claim was taken for a new, empty disk");
    }
}

/// Whether an init container is as strict.
pub(super) fn init(container: &Container, settings: &Settings, proof: &mut Proof<Shown>) {
    let mut own = Proof::new(Shown::Pod);
    rights(container, settings, &mut own);
    for breach in own.breaches {
        proof.break_at(format!("init container {}: {}", container.name, breach.subject), breach.message);
    }
}

fn rights(container: &Container, settings: &Settings, proof: &mut Proof<Shown>) {
    let security = &container.security;
    if security.privileged {
        proof.break_at("privileged", "asks for all of the machine; it was run without that");
    }
    if security.escalation {
        proof.break_at(
            "allowPrivilegeEscalation",
            "is not `false`: a set-user-id program gives its owner's rights",
        );
    }
    if settings.root == Root::Writable {
        proof.break_at(
            "readOnlyRootFilesystem",
            "is not `true`: only modes and owners protect the image's files",
        );
    }
    if settings.seccomp != Seccomp::Default {
        proof.break_at("seccompProfile", "is not `RuntimeDefault`: no system call is refused");
    }
    let is_added = |name: &String| {
        security.add.iter().any(|added| added == "ALL" || *added == *name || format!("CAP_{added}") == *name)
    };
    let (added, kept): (Vec<String>, Vec<String>) =
        settings.capabilities.iter().map(ToString::to_string).partition(is_added);
    for capability in &added {
        proof.break_at(capability, "the pod adds this capability, which no hardened image needs");
    }
    if !kept.is_empty() {
        proof.break_at("capabilities", format!("does not drop `ALL`: {} are left", kept.join(", ")));
    }
    if added.is_empty() && kept.is_empty() {
        proof.prove("no capability is left");
    }
}

fn groups(container: &Container, settings: &Settings, manifest: &Manifest, proof: &mut Proof<Shown>) {
    let process = &manifest.process;
    let known = |group: &u32| {
        *group == process.gid || process.groups.contains(group) || container.security.fs_group == Some(*group)
    };
    let given =
        if container.security.image_groups == ImageGroups::Left { "the pod" } else { "the pod or the image" };
    for group in
        std::iter::once(&settings.process.gid).chain(&settings.process.groups).filter(|group| !known(group))
    {
        if *group == 0 || container.security.groups.contains(group) {
            proof.break_at(
                format!("group {group}"),
                format!("{given} gives the user this group, which the manifest does not name"),
            );
        }
    }
}

fn mounts(container: &Container, manifest: &Manifest, proof: &mut Proof<Shown>) {
    let mut declared: BTreeMap<ImagePath, bool> = manifest
        .paths
        .iter()
        .filter_map(|path| Some((path.image_path()?, path.volume == Volume::None)))
        .collect();
    let count = container.mounts.len();
    for mount in &container.mounts {
        let Ok(path) = ImagePath::parse(mount.path.as_bytes()) else {
            proof.break_at(&mount.path, "is no path of an image");
            continue;
        };
        match declared.remove(&path) {
            Some(false) if mount.read_only => {
                proof.break_at(&path, "is mounted read-only, where the app must write");
            }
            Some(false) => {}
            Some(true) => proof.break_at(&path, "the mount hides what the image has there"),
            None if mount.read_only => {}
            None => proof.break_at(
                &path,
                format!(
                    "volume `{}` is mounted there, which the manifest does not declare writable",
                    mount.volume
                ),
            ),
        }
    }
    for (path, _) in declared.iter().filter(|(_, is_unmounted)| !**is_unmounted) {
        proof.break_at(path, "the manifest declares it writable, and the pod mounts nothing there");
    }
    if proof.breaches.is_empty() {
        proof.prove(format!("mounts: {count}, each where the manifest declares it, and none is missing"));
    }
}
