//! The read-only root file system, and the volumes that it needs.
//!
//! Where an image is not known it is not known what it writes: then the flag is refused, for the app would die of it.

use serde_json::{Value, json};

use super::mend::{Mender, list, sub};
use crate::audit::rules::usual;
use crate::audit::{Image, Origin, ValueFinding};
use crate::kube::pod::{PodOptions, RunAs, pod};
use crate::kube::quantity;
use crate::manifest::Volume;

/// For a volume in memory of which nothing is known.
const MEMORY_LIMIT: &str = "64Mi";
/// For one on disk.
const DISK_LIMIT: &str = "1Gi";
/// What an app may log besides, bytes.
const LOG_ROOM: f64 = 134_217_728.0;
/// A mebibyte.
const MIB: f64 = 1_048_576.0;

/// Sets the flag where it is known what is written, or where that does not matter.
pub(super) fn read_only(mender: &mut Mender<'_>, finding: &ValueFinding) {
    let name = mender.name(finding);
    let image = mender.image(finding);
    let unmountable: Vec<String> = image.into_iter().flat_map(unmountable).collect();
    if image.is_none() && !mender.is_unsafe() {
        let of =
            mender.container(finding).get("image").and_then(Value::as_str).unwrap_or_default().to_owned();
        let message = format!(
            "{name}what {of:?} writes is not known: name it with `--image {of}=SOURCE`, or `--resolve`; `--unsafe` sets the flag all the same"
        );
        return mender.refuses("FS001", message);
    }
    if !unmountable.is_empty() && !mender.is_unsafe() {
        let message = format!(
            "{name}it writes {}, where a volume would hide files of the image: harden it (`kiln harden`), and take that image",
            unmountable.join(", ")
        );
        return mender.refuses("FS001", message);
    }
    let Some(container) = mender.container_mut(finding) else { return };
    sub(container, "securityContext").insert("readOnlyRootFilesystem".to_owned(), json!(true));
    mender.did("FS001", format!("{name}`readOnlyRootFilesystem: true`"));
}

/// Paths that must be writable and that no volume can be mounted over.
fn unmountable(image: &Image) -> Vec<String> {
    let paths = image.manifest.paths.iter();
    let is_hidden = |path: &&crate::manifest::Path| {
        matches!(path.volume, Volume::None) && matches!(path.content, crate::plan::PathContent::Seed { .. })
    };
    paths.filter(is_hidden).map(|path| path.path.clone()).collect()
}

/// Adds the volumes and mounts that the image's manifest says it needs, and what fills them.
pub(super) fn missing(mender: &mut Mender<'_>, finding: &ValueFinding) {
    let name = mender.name(finding);
    let Some(image) = mender.image(finding) else { return };
    let Some(at) = finding.container.clone() else { return };
    let own = mender.container(finding).clone();
    let Some(generated) = generated(image, &own) else { return };
    let Some(app) = generated.pointer("/spec/containers/0") else { return };
    let mounted: Vec<String> = own
        .get("volumeMounts")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter(|mount| mount.get("readOnly") != Some(&json!(true)))
        .filter_map(|mount| place(image, mount.get("mountPath")?.as_str()?))
        .collect();
    let wanted = app.get("volumeMounts").and_then(Value::as_array).into_iter().flatten();
    let wanted: Vec<&Value> = wanted
        .filter(|mount| {
            let path = mount.get("mountPath").and_then(Value::as_str).unwrap_or_default();
            !mounted.iter().any(|own| {
                path == own || path.strip_prefix(own.as_str()).is_some_and(|rest| rest.starts_with('/'))
            })
        })
        .collect();
    let seeds = wanted.iter().any(|mount| mount.get("subPath").is_some());
    if seeds && image.origin == Origin::Planned {
        return mender
            .leaves("FS002", format!("{name}only a hardened image can fill its volumes: `kiln harden`"));
    }
    let volumes = generated.pointer("/spec/volumes").and_then(Value::as_array).cloned().unwrap_or_default();
    let init =
        generated.pointer("/spec/initContainers").and_then(Value::as_array).cloned().unwrap_or_default();
    for mount in wanted {
        let (Some(volume), Some(path)) = (mount.get("name"), mount.get("mountPath").and_then(Value::as_str))
        else {
            continue;
        };
        let Some(volume) = volumes.iter().find(|one| one.get("name") == Some(volume)) else { continue };
        let Some(spec) = mender.spec_mut() else { return };
        let all = list(spec, "volumes");
        if !all.iter().any(|one| one.get("name") == volume.get("name")) {
            all.push(volume.clone());
        }
        let Some(container) = mender.container_mut(finding) else { return };
        list(container, "volumeMounts").push(mount.clone());
        mender.did("FS002", format!("{name}an `emptyDir` at {path}"));
    }
    if seeds && at.starts_with("/containers/") {
        let Some(spec) = mender.spec_mut() else { return };
        let own = list(spec, "initContainers");
        for (index, container) in init.into_iter().enumerate() {
            if !own.iter().any(|one| one.get("name") == container.get("name")) {
                own.insert(index.min(own.len()), container);
            }
        }
        mender.did("FS005", format!("{name}an init container fills its volumes"));
    }
}

/// The pod that kiln generates for the image, for its volumes.
fn generated(image: &Image, container: &Value) -> Option<Value> {
    let options = PodOptions {
        name: container.get("name")?.as_str()?.to_owned(),
        image: container.get("image")?.as_str()?.to_owned(),
        source: String::new(),
        source_image: String::new(),
        namespace: None,
        run_as: RunAs::Manifest,
        united: Vec::new(),
    };
    // What prepares with the source image has to be named by a person.
    if image.manifest.needs_source() {
        return None;
    }
    serde_json::to_value(pod(&image.manifest, &options)).ok()
}

/// Where a mount lies, the image's links followed.
fn place(image: &Image, path: &str) -> Option<String> {
    image.canonical(path).map(|path| path.to_string())
}

/// Leaves out a mount over links to the log streams.
pub(super) fn hides_logs(mender: &mut Mender<'_>, finding: &ValueFinding) {
    let name = mender.name(finding);
    let Some(index) = mount_of(finding) else { return };
    let Some(mount) = mounts(mender, finding).get(index).cloned() else { return };
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
    mender.container(finding).get("volumeMounts").and_then(Value::as_array).cloned().unwrap_or_default()
}

fn path(mount: &Value) -> &str {
    mount.get("mountPath").and_then(Value::as_str).unwrap_or_default()
}

/// Takes out a mount, and its volume if nobody else mounts that.
fn take_out(mender: &mut Mender<'_>, finding: &ValueFinding, index: usize) {
    let Some(container) = mender.container_mut(finding) else { return };
    let mounts = list(container, "volumeMounts");
    if index >= mounts.len() {
        return;
    }
    let volume = mounts.remove(index).get("name").cloned().unwrap_or_default();
    if mounts.is_empty() {
        container.remove("volumeMounts");
    }
    let Some(spec) = mender.spec_mut() else { return };
    let kinds = ["initContainers", "containers", "ephemeralContainers"].into_iter();
    let containers = kinds.filter_map(|kind| spec.get(kind)?.as_array()).flatten();
    let mut mounts = containers.filter_map(|container| container.get("volumeMounts")?.as_array()).flatten();
    if mounts.any(|one| one.get("name") == Some(&volume)) {
        return;
    }
    let volumes = list(spec, "volumes");
    volumes.retain(|one| one.get("name") != Some(&volume));
    if volumes.is_empty() {
        spec.remove("volumes");
    }
}

/// Of two mounts at one place the one that hides the other stays, at the path without links: runtimes mount the deeper path
/// later, and of two equally deep ones the second.
pub(super) fn aliased(mender: &mut Mender<'_>, finding: &ValueFinding) {
    let name = mender.name(finding);
    let image = mender.image(finding);
    let at = |mount: &Value| {
        let path = path(mount);
        image.and_then(|image| place(image, path)).unwrap_or_else(|| usual(path.trim_end_matches('/')))
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
    let volumes = mender.spec().get("volumes").and_then(Value::as_array);
    let volume = volumes.into_iter().flatten().find(|one| one.get("name") == mount.get("name"));
    // What says nothing is one too.
    let is_empty =
        |volume: &Value| volume.as_object().is_some_and(|fields| fields.keys().all(|key| key == "name"));
    volume.is_some_and(|volume| volume.get("emptyDir").is_some() || is_empty(volume))
}

pub(super) fn say_read_only(mender: &mut Mender<'_>, finding: &ValueFinding) {
    let name = mender.name(finding);
    let Some((mount, _)) = finding.pointer.rsplit_once('/') else { return };
    let Some(mount) = mender.value.pointer_mut(mount).and_then(Value::as_object_mut) else { return };
    mount.insert("readOnly".to_owned(), json!(true));
    let path = mount.get("mountPath").and_then(Value::as_str).unwrap_or_default().to_owned();
    mender.did("FS015", format!("{name}{path} is `readOnly: true`"));
}

/// Gives a volume the limit that the image's manifest has for it, or one that is not small.
pub(super) fn size_limit(mender: &mut Mender<'_>, finding: &ValueFinding) {
    let Some((source, _)) = finding.pointer.rsplit_once('/') else { return };
    let Some((place, _)) = source.rsplit_once('/') else { return };
    let Some(volume) = mender.value.pointer(place).cloned() else { return };
    let name = volume.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let in_memory = volume.pointer("/emptyDir/medium") == Some(&json!("Memory"));
    let known = known_limit(mender, &name);
    let limit = known.unwrap_or_else(|| if in_memory { MEMORY_LIMIT } else { DISK_LIMIT }.to_owned());
    let Some(fields) = mender.value.pointer_mut(place).and_then(Value::as_object_mut) else { return };
    sub(fields, "emptyDir").insert("sizeLimit".to_owned(), json!(limit));
    mender.did("FS007", format!("the volume {name:?} takes {limit} at the most"));
}

/// The largest limit that an image's manifest has for what lies in the volume.
fn known_limit(mender: &Mender<'_>, volume: &str) -> Option<String> {
    let spec = mender.spec();
    let containers = spec.get("containers").and_then(Value::as_array)?;
    let mut largest = 0;
    for container in containers {
        let Some(image) =
            container.get("image").and_then(Value::as_str).and_then(|name| mender.options.image(name))
        else {
            continue;
        };
        let mounts = container.get("volumeMounts").and_then(Value::as_array).into_iter().flatten();
        for mount in mounts.filter(|mount| mount.get("name").and_then(Value::as_str) == Some(volume)) {
            let Some(at) =
                mount.get("mountPath").and_then(Value::as_str).and_then(|path| image.canonical(path))
            else {
                continue;
            };
            for path in &image.manifest.paths {
                let is_in = path.image_path().is_some_and(|path| path.is_within(&at) || at.is_within(&path));
                match path.volume {
                    Volume::Memory { size_limit } | Volume::Disk { size_limit } if is_in => {
                        largest = largest.max(size_limit);
                    }
                    _ => {}
                }
            }
        }
    }
    (largest > 0).then(|| mebibytes(u32::try_from(largest >> 20).unwrap_or(u32::MAX).max(1).into()))
}

/// So many mebibytes, in gibibytes where that is exact.
fn mebibytes(count: f64) -> String {
    let count = count.ceil();
    if count % 1024.0 == 0.0 { format!("{}Gi", count / 1024.0) } else { format!("{count}Mi") }
}

/// What the volumes of a container may take: in memory, and on disk.
fn volumes(mender: &Mender<'_>, container: &Value) -> (f64, f64) {
    let (mut memory, mut disk) = (0.0, 0.0);
    let mut seen = Vec::new();
    for mount in container.get("volumeMounts").and_then(Value::as_array).into_iter().flatten() {
        let name = mount.get("name").cloned().unwrap_or_default();
        let all = mender.spec().get("volumes").and_then(Value::as_array).into_iter().flatten();
        let Some(volume) =
            all.clone().find(|one| one.get("name") == Some(&name)).filter(|_| !seen.contains(&name))
        else {
            continue;
        };
        seen.push(name);
        let limit = volume.pointer("/emptyDir/sizeLimit").and_then(Value::as_str).and_then(quantity::parse);
        match volume.pointer("/emptyDir/medium").and_then(Value::as_str) {
            Some("Memory") => memory += limit.unwrap_or_default(),
            _ => disk += limit.unwrap_or_default(),
        }
    }
    (memory, disk)
}

/// Gives the container memory for itself and its volumes.
pub(super) fn memory(mender: &mut Mender<'_>, finding: &ValueFinding) {
    let name = mender.name(finding);
    let (needs, _) = volumes(mender, mender.container(finding));
    let limit = mebibytes((needs * 2.0 / MIB).max(512.0));
    let Some(container) = mender.container_mut(finding) else { return };
    sub(sub(container, "resources"), "limits").insert("memory".to_owned(), json!(limit));
    mender.did(
        "FS008",
        format!("{name}`resources.limits.memory: {limit}`: half of it holds the volumes in memory"),
    );
}

/// Gives the container the node's disk for its volumes and its log.
pub(super) fn storage(mender: &mut Mender<'_>, finding: &ValueFinding) {
    let Some(container) = finding.container.as_ref() else {
        // Together they are too small: each gets what its own volumes need.
        return raise(mender);
    };
    let at = container.clone();
    give_storage(mender, &at);
}

fn raise(mender: &mut Mender<'_>) {
    let count = mender.spec().get("containers").and_then(Value::as_array).map_or(0, Vec::len);
    for index in 0..count {
        give_storage(mender, &format!("/containers/{index}"));
    }
}

fn give_storage(mender: &mut Mender<'_>, at: &str) {
    let Some(container) = mender.spec().pointer(at).cloned() else { return };
    let (_, disk) = volumes(mender, &container);
    let amount = mebibytes((disk + LOG_ROOM) / MIB);
    let Some(fields) = mender.spec_mut() else { return };
    let mut spec = Value::Object(std::mem::take(fields));
    let mut changed = false;
    if let Some(container) = spec.pointer_mut(at).and_then(Value::as_object_mut) {
        let resources = sub(container, "resources");
        for kind in ["requests", "limits"] {
            let own = sub(resources, kind);
            let has = own.get("ephemeral-storage").and_then(Value::as_str).and_then(quantity::parse);
            if has.is_none_or(|has| has < disk) {
                own.insert("ephemeral-storage".to_owned(), json!(amount));
                changed = true;
            }
        }
    }
    if let (Value::Object(back), Some(fields)) = (spec, mender.spec_mut()) {
        *fields = back;
    }
    if changed {
        let name = container.get("name").and_then(Value::as_str).unwrap_or_default();
        mender.did(
            "FS009",
            format!("container {name:?}: `ephemeral-storage: {amount}` for its volumes and its log"),
        );
    }
}
