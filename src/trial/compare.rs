//! A pod held against the writable manifest of its image: what it allows too much, and what it leaves out.
//!
//! Runs nothing: what is looser is told even where this start did not suffer from it.

use std::collections::{BTreeMap, BTreeSet};

use crate::image::Config;
use crate::kube::given::{Container, Given, GroupChange, ImageGroups, Medium, Mount, Security};
use crate::manifest::{Manifest, Volume};
use crate::path::ImagePath;
use crate::promise::{Proof, Shown};
use crate::rootfs::Rootfs;
use crate::sandbox::{Root, Seccomp, Settings};
use crate::seed;

/// Whether `container` names the image that has `digests`.
pub(super) fn image(container: &Container, digests: &[String], proof: &mut Proof<Shown>) {
    match container.image.rsplit_once('@') {
        Some((_, digest)) if !digests.iter().any(|known| known == digest) => {
            proof.break_at("image", format!("the pod names another image, {digest}"));
        }
        Some(_) => proof.prove("the pod names this very image, by its digest"),
        // The pod that follows from the manifest names none.
        None if container.image.is_empty() => {}
        None => {
            proof.leave_open("the pod names its image without a digest: whether it is this one is not known");
        }
    }
}

/// What a pod is held against.
pub(super) struct From<'a> {
    /// The image's manifest.
    pub(super) manifest: Option<&'a Manifest>,
    /// Its tree, whose links lead to mount points.
    pub(super) rootfs: &'a Rootfs,
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
    from: &From<'_>,
    proof: &mut Proof<Shown>,
) {
    rights(container, settings, proof);
    match from.manifest {
        Some(manifest) => {
            let (uid, expected) = (settings.process.uid, manifest.process.uid);
            if uid == 0 && expected != 0 {
                proof.break_at("runAsUser", format!("runs as root, where the manifest says {expected}"));
            } else if uid != expected {
                proof.leave_open(format!("it runs as user {uid}, where the manifest says {expected}"));
            }
            if settings.process.argv != manifest.process.argv {
                proof.leave_open(format!(
                    "it starts `{}`, not what the image does",
                    settings.process.argv.join(" ")
                ));
            }
            groups(container, settings, manifest, proof);
            mounts(container, manifest, from.rootfs, proof);
            seeds(given, container, manifest, proof);
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

/// Whether an init container is as strict; `settings` are what it is started with, if it is of the same image.
pub(super) fn init(
    container: &Container,
    settings: Option<&Settings>,
    config: &Config,
    proof: &mut Proof<Shown>,
) {
    let named = |subject: &str| format!("init container {}: {subject}", container.name);
    let security = &container.security;
    let Some(settings) = settings else {
        if security.privileged {
            proof.break_at(named("privileged"), "asks for all of the machine");
        }
        for capability in &security.add {
            proof.break_at(named(capability), "the pod adds this capability");
        }
        if security.user == Some(0) {
            proof.break_at(named("runAsUser"), "runs as root");
        }
        proof.leave_open(format!(
            "init container {} is of another image: what it may besides was not compared",
            container.name
        ));
        return;
    };
    let mut own = Proof::new(Shown::Pod);
    rights(container, settings, &mut own);
    if settings.process.uid == 0 {
        own.break_at("runAsUser", "runs as root");
    }
    if let Some(why) = refused(container, settings, config) {
        own.break_at("runAsNonRoot", why);
    }
    for breach in own.breaches {
        proof.break_at(named(&breach.subject), breach.message);
    }
}

/// Whether the source image does in the pod what the manifest says, and nothing else; `inits` are those of it.
pub(super) fn preparing<'a>(
    inits: impl Iterator<Item = (&'a Container, &'a Settings)>,
    container: &Container,
    manifest: Option<&Manifest>,
    proof: &mut Proof<Shown>,
) {
    let expected = manifest.and_then(|manifest| manifest.preparing.as_ref());
    let copies = manifest.and_then(|manifest| manifest.seeding.as_ref());
    let mut is_there = false;
    for (init, settings) in inits {
        let named = format!("init container {}", init.name);
        let argv = &settings.process.argv;
        let fills = copies.is_some_and(|copies| copies.argv == *argv);
        if !fills && expected.is_none_or(|expected| expected.argv != *argv) {
            let words = argv.join(" ");
            proof.break_at(
                named,
                format!("runs `{words}` of the source image, and the manifest does not ask for that"),
            );
            continue;
        }
        is_there |= !fills;
        let is_apps = |mount: &Mount| {
            let mut own = container.mounts.iter().filter(|own| own.volume == mount.volume);
            own.any(|own| match ImagePath::parse(own.path.as_bytes()) {
                Ok(path) if fills => mount.sub_path.is_none() && is_at(mount, &seed::mount_point(&path)),
                _ => (&own.sub_path, &own.path) == (&mount.sub_path, &mount.path),
            })
        };
        for mount in init.mounts.iter().filter(|mount| !is_apps(mount)) {
            let text = format!("mounts volume `{}` at {}, and the app does not", mount.volume, mount.path);
            proof.break_at(&named, text);
        }
    }
    if let Some(expected) = expected.filter(|_| !is_there) {
        proof.leave_open(format!(
            "no init container of the source image was run that runs `{}`: who makes what the app needs is not known",
            expected.argv.join(" ")
        ));
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
    let has_claim = container.mounts.iter().any(|mount| mount.medium == Medium::Claim);
    // A claim is given to a group of its own.
    let is_of_claim = |group: u32| group != 0 && has_claim && container.security.fs_group == Some(group);
    let known = |group: u32| group == process.gid || process.groups.contains(&group) || is_of_claim(group);
    let given =
        if container.security.image_groups == ImageGroups::Left { "the pod" } else { "the pod or the image" };
    let all = std::iter::once(&settings.process.gid).chain(&settings.process.groups);
    let fs_group = container.security.fs_group.iter();
    let more: BTreeSet<u32> = all.chain(fs_group).copied().filter(|group| !known(*group)).collect();
    for group in more {
        proof.break_at(
            format!("group {group}"),
            format!("{given} gives the user this group, which the manifest does not name"),
        );
    }
}

/// Whether what the helper makes is what the app gets.
fn seeds(given: &Given, container: &Container, manifest: &Manifest, proof: &mut Proof<Shown>) {
    let helper = String::from_utf8_lossy(&ImagePath::literal(seed::HELPER_PATH).absolute()).into_owned();
    let command = manifest.seeding.as_ref().map_or_else(|| vec![helper], |seeding| seeding.argv.clone());
    let who = match manifest.seeding {
        Some(_) => "the source image",
        None => "`/.kiln/seed`",
    };
    let seeded = manifest.paths.iter().filter(|path| path.seeded);
    for (path, mode) in seeded.filter_map(|path| Some((path.image_path()?, &path.mode))) {
        let Some(mount) = container.mounts.iter().find(|mount| is_at(mount, &path)) else { continue };
        let fills = |init: &Container| {
            let mut mounts = init.mounts.iter();
            init.command == command
                && mounts.any(|other| {
                    other.volume == mount.volume
                        && is_at(other, &seed::mount_point(&path))
                        && !other.read_only
                })
        };
        let is_private = u16::from_str_radix(mode, 8).is_ok_and(|mode| mode & 0o027 == 0);
        if is_private && mount.medium == Medium::Claim && is_given_away(&container.security) {
            proof.break_at(
                "fsGroupChangePolicy",
                format!(
                    "is not `OnRootMismatch`: from the second start on the group may read and write all of {path}, which does not keep its mode {mode}, nor do the files in it"
                ),
            );
        }
        if mount.sub_path.as_deref() == Some(seed::TREE) && given.init.iter().any(fills) {
            proof.prove(format!("{path} is filled before the app starts"));
        } else {
            proof.leave_open(format!(
                "{path}: the pod does not have {who} fill it: who does, and with what owner and mode, is not known"
            ));
        }
    }
}

fn is_at(mount: &Mount, at: &ImagePath) -> bool {
    ImagePath::parse(mount.path.as_bytes()).is_ok_and(|path| path == *at)
}

/// Whether the kubelet gives all files of a claim to a group at every start, with the right to read and write.
fn is_given_away(security: &Security) -> bool {
    security.fs_group.is_some() && security.fs_group_change == GroupChange::Always
}

fn mounts(container: &Container, manifest: &Manifest, rootfs: &Rootfs, proof: &mut Proof<Shown>) {
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
        // `/var/run` is `/run`.
        let path = rootfs.canonicalize_missing(&path).unwrap_or(path);
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
