//! Mounts: over the image's log, over each other, and what of them is read-only.
//!
//! What an app must write is not decided here.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::lock::{add_mount, add_volume, around, is_writable};
use super::mend::{Mender, list, title};
use crate::audit::rules::usual;
use crate::audit::{Image, Origin, ValueFinding};
use crate::kube::field;
use crate::kube::pod::volume_name;
use crate::path::ImagePath;

/// Leaves out a mount over links to the log streams, if nobody else has the volume.
pub(super) fn hides_logs(mender: &mut Mender<'_>, finding: &ValueFinding) {
    let name = mender.name(finding);
    let Some(index) = mount_of(finding) else { return };
    let Some(mount) = mounts(mender, finding).get(index).cloned() else { return };
    if !is_emptied(mender, &mount) || mounts_of(mender, &mount) > 1 {
        let message =
            format!("{name}{}, and others may have the volume: a person has to decide", finding.message);
        return mender.leaves("FS006", message);
    }
    take_out(mender, finding, index);
    mender.did("FS006", format!("{name}no mount at {}: the log goes to the streams again", path(&mount)));
}

/// The number of the mount that a finding is about: of `…/volumeMounts/1/mountPath`.
fn mount_of(finding: &ValueFinding) -> Option<usize> {
    let (mount, _) = finding.pointer.rsplit_once('/')?;
    mount.rsplit_once('/')?.1.parse().ok()
}

/// The mounts of the container that a finding is about.
fn mounts(mender: &Mender<'_>, finding: &ValueFinding) -> Vec<Value> {
    field::list(mender.container(finding), "volumeMounts").map(|(_, mount)| mount.clone()).collect()
}

/// How often the volume of a mount is mounted in the pod.
fn mounts_of(mender: &Mender<'_>, mount: &Value) -> usize {
    let all = mender.containers().flat_map(|(_, one)| field::list(one, "volumeMounts"));
    all.filter(|(_, other)| other.get("name") == mount.get("name")).count()
}

fn path(mount: &Value) -> &str {
    field::text(mount, "mountPath").unwrap_or_default()
}

/// Takes out a mount, and its volume if nobody else mounts that.
fn take_out(mender: &mut Mender<'_>, finding: &ValueFinding, index: usize) {
    let Some(container) = mender.container_mut(finding) else { return };
    let mounts = list(container, "volumeMounts");
    if index >= mounts.len() {
        return;
    }
    let mount = mounts.remove(index);
    if mounts.is_empty() {
        container.remove("volumeMounts");
    }
    if mounts_of(mender, &mount) > 0 {
        return;
    }
    let Some(spec) = mender.spec_mut() else { return };
    let volumes = list(spec, "volumes");
    volumes.retain(|one| one.get("name") != mount.get("name"));
    if volumes.is_empty() {
        spec.remove("volumes");
    }
}

/// Of two mounts at one place the one that hides the other stays, at the path without links: runtimes mount the deeper path
/// later, and of two equally deep ones the second.
pub(super) fn aliased(mender: &mut Mender<'_>, finding: &ValueFinding) {
    let name = mender.name(finding);
    let image = mender.image(mender.container(finding));
    let at = |mount: &Value| {
        let path = path(mount);
        let place = image.and_then(|image| image.canonical(path));
        place.map_or_else(|| usual(path.trim_end_matches('/')), |place| place.to_string())
    };
    let mounts = mounts(mender, finding);
    let Some(second) = mount_of(finding) else { return };
    let Some(late) = mounts.get(second) else { return };
    let Some(first) = mounts.iter().position(|mount| at(mount) == at(late)) else { return };
    let Some(early) = mounts.get(first).filter(|_| first < second) else { return };
    let depth = |mount: &Value| path(mount).matches('/').count();
    let (stays, goes) = if depth(early) > depth(late) { (first, second) } else { (second, first) };
    let canonical = at(late);
    if !mounts.get(goes).is_some_and(|mount| is_emptied(mender, mount)) {
        return mender.leaves("FS011", format!("{name}{}: a person has to decide", finding.message));
    }
    if let Some(container) = mender.container_mut(finding)
        && let Some(fields) = list(container, "volumeMounts").get_mut(stays).and_then(Value::as_object_mut)
    {
        fields.insert("mountPath".to_owned(), json!(canonical));
    }
    take_out(mender, finding, goes);
    mender.did("FS011", format!("{name}one mount at {canonical}"));
}

/// Whether nothing is lost with a mount: its volume begins empty.
fn is_emptied(mender: &Mender<'_>, mount: &Value) -> bool {
    let volume = field::list(mender.spec(), "volumes").find(|(_, one)| one.get("name") == mount.get("name"));
    // What says nothing is one too.
    let is_empty =
        |volume: &Value| volume.as_object().is_some_and(|fields| fields.keys().all(|key| key == "name"));
    volume.is_some_and(|(_, volume)| volume.get("emptyDir").is_some() || is_empty(volume))
}

/// Mounts an `emptyDir` at a `VOLUME` of the image, as containerd does, but in sight.
pub(super) fn image_volume(mender: &mut Mender<'_>, finding: &ValueFinding) {
    let Some(at) = finding.container.as_deref() else { return };
    let Some(image) = mender.image(mender.at(at)) else { return };
    let own = mender.at(at).clone();
    let has = |volume: &str| {
        let same = |mount: &Value| path(mount).trim_end_matches('/') == volume.trim_end_matches('/');
        field::list(&own, "volumeMounts").any(|(_, mount)| same(mount))
    };
    let next = image
        .config
        .volumes
        .iter()
        .find(|volume| !has(volume) && finding.message.contains(&format!("`VOLUME {volume}`")));
    let Some(volume) = next else { return };
    let name = title(&own);
    let place = image.canonical(volume);
    let is_free = place.as_ref().is_some_and(|place| around(mender, &own, image, place).is_none());
    if !is_free || !place.is_some_and(|place| is_like_empty(mender, &own, image, &place)) {
        let message = format!(
            "{name}{}, and an `emptyDir` there would not be what the image has: a person has to decide",
            finding.message
        );
        return mender.leaves("FS013", message);
    }
    let source = json!({"name": volume_name(volume, &BTreeSet::new()), "emptyDir": {}});
    let container = field::text(&own, "name").unwrap_or_default();
    let added = add_volume(mender, container, source);
    add_mount(mender, at, json!({"mountPath": volume}), &added);
    mender.did("FS013", format!("{name}an `emptyDir` at {volume}, a `VOLUME` of the image"));
}

/// Whether an `emptyDir` at `place` is what the image has there: nothing, that belongs to nobody who minds.
fn is_like_empty(mender: &Mender<'_>, container: &Value, image: &Image, place: &ImagePath) -> bool {
    let rootfs = &image.rootfs;
    let is_void = rootfs.below(place).all(|(path, _)| rootfs.is_directory(path));
    let config = || image.config.user.split(':').next().is_some_and(|user| ["", "0", "root"].contains(&user));
    let is_root = mender.uid(container).map_or_else(config, |uid| uid == 0);
    // Who is not root cannot make an `emptyDir` his own, as some do with their directory.
    let is_anybodys = rootfs.entry(place).is_none_or(|entry| entry.uid == 0);
    is_void && (is_root || is_anybodys)
}

/// Mounts read-only what the image, as it was hardened, need not write.
pub(super) fn seal(mender: &mut Mender<'_>, finding: &ValueFinding) {
    let name = mender.name(finding);
    let container = mender.container(finding);
    let Some(mount) = mount_of(finding).and_then(|index| mounts(mender, finding).get(index).cloned()) else {
        return;
    };
    let image = mender.image(container).filter(|image| image.origin == Origin::Recorded);
    let place = image.and_then(|image| image.canonical(path(&mount)));
    let is_needed = |place: &ImagePath| {
        let mut paths = image.into_iter().flat_map(|image| &image.manifest.paths);
        paths.any(|path| path.image_path().is_some_and(|path| path.is_within(place)))
    };
    // A runtime cannot make a mount point in what is read-only.
    let has_below = |place: &ImagePath| {
        let others = field::list(container, "volumeMounts").map(|(_, other)| other);
        let mut places = others.filter_map(|other| image?.canonical(path(other)));
        places.any(|other| other != *place && other.is_within(place))
    };
    if place.is_none_or(|place| is_needed(&place) || has_below(&place)) {
        return mender.leaves(finding.rule, format!("{name}{}: a person has to decide", finding.message));
    }
    if !is_writable(mender, &mount) {
        return;
    }
    if !mender.is_unsafe() {
        let message =
            format!("{name}{}; the app may at times: `--unsafe` mounts it read-only", finding.message);
        return mender.leaves(finding.rule, message);
    }
    say_read_only(mender, finding);
}

/// Says of a mount that it is read-only.
pub(super) fn say_read_only(mender: &mut Mender<'_>, finding: &ValueFinding) {
    let name = mender.name(finding);
    let Some((mount, _)) = finding.pointer.rsplit_once('/') else { return };
    let Some(mount) = mender.value.pointer_mut(mount).and_then(Value::as_object_mut) else { return };
    mount.insert("readOnly".to_owned(), json!(true));
    let path = mount.get("mountPath").and_then(Value::as_str).unwrap_or_default().to_owned();
    mender.did(finding.rule, format!("{name}{path} is `readOnly: true`"));
}
