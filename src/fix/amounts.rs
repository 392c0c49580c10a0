//! Amounts: what a container may use, and what its volumes may take.
//!
//! Limits are those of generated pods, for images that kiln knows; nobody measured what others need, and they get none.

use serde_json::{Value, json};

use super::lock::app_image;
use super::mend::{Mender, sub, title};
use crate::audit::{Image, ValueFinding};
use crate::kube::pod::{Room, resources as generated};
use crate::kube::{field, quantity};
use crate::manifest::Volume;

/// For a volume in memory of which nothing is known.
const MEMORY_LIMIT: &str = "64Mi";
/// For one on disk.
const DISK_LIMIT: &str = "1Gi";
/// A mebibyte.
const MIB: f64 = 1_048_576.0;

/// The `resources` that a generated pod has for an image, or for one of which nothing is known.
fn usual(image: Option<&Image>) -> Value {
    let paths = image.map(|image| &image.manifest.paths);
    serde_json::to_value(generated(&Room::of(paths.into_iter().flatten()))).unwrap_or_default()
}

/// An amount of `resources`: `limits` of `memory`.
fn amount<'v>(resources: &'v Value, kind: &str, what: &str) -> Option<&'v Value> {
    field::value(resources, kind)?.get(what).filter(|amount| quantity::of(amount).is_some())
}

/// The same of a container.
fn own<'v>(container: &'v Value, kind: &str, what: &str) -> Option<&'v Value> {
    amount(container.get("resources")?, kind, what)
}

/// The larger of two amounts; one where there is no other.
fn larger(a: Option<&Value>, b: Option<&Value>) -> Value {
    let number = |of: Option<&Value>| of.and_then(quantity::of);
    if number(a) > number(b) { a } else { b }.cloned().unwrap_or_default()
}

/// An amount as it is written, quotes aside.
fn says(amount: &Value) -> String {
    amount.as_str().map_or_else(|| amount.to_string(), str::to_owned)
}

/// So many bytes in mebibytes, or in gibibytes where that is exact.
fn mebibytes(bytes: f64) -> Value {
    let count = (bytes / MIB).ceil();
    json!(if count % 1024.0 == 0.0 { format!("{}Gi", count / 1024.0) } else { format!("{count}Mi") })
}

/// Sets an amount of the container at `at`.
fn set(mender: &mut Mender<'_>, at: &str, (kind, what): (&str, &str), amount: Value) {
    if let Some(container) = mender.at_mut(at) {
        sub(sub(container, "resources"), kind).insert(what.to_owned(), amount);
    }
}

/// Gives a volume the limit that the images' manifests have for it.
pub(super) fn size_limit(mender: &mut Mender<'_>, finding: &ValueFinding) {
    let Some((source, _)) = finding.pointer.rsplit_once('/') else { return };
    let Some((place, _)) = source.rsplit_once('/') else { return };
    let Some(volume) = mender.value.pointer(place) else { return };
    let name = field::text(volume, "name").unwrap_or_default().to_owned();
    let in_memory = field::text(volume, "emptyDir.medium") == Some("Memory");
    let other = if in_memory { MEMORY_LIMIT } else { DISK_LIMIT };
    let limit = match known_limit(mender, &name) {
        Some(limit) => limit,
        None if mender.is_unsafe() => json!(other),
        None => {
            let message = format!(
                "the volume {name:?}: it is not known what is written to it: `--unsafe` sets {other}"
            );
            return mender.leaves("FS007", message);
        }
    };
    let Some(fields) = mender.value.pointer_mut(place).and_then(Value::as_object_mut) else { return };
    sub(fields, "emptyDir").insert("sizeLimit".to_owned(), limit.clone());
    mender.did("FS007", format!("the volume {name:?} takes {} at the most", says(&limit)));
}

/// The limits that the images' manifests have for what lies in the volume, together; `None` where somebody writes to it of whom
/// that is not known.
fn known_limit(mender: &Mender<'_>, volume: &str) -> Option<Value> {
    let mut bytes = 0;
    for (at, container) in mender.containers() {
        for (_, mount) in field::list(container, "volumeMounts") {
            let is_written = field::truth(mount, "readOnly") != Some(true);
            if field::text(mount, "name") != Some(volume) || !is_written {
                continue;
            }
            let image = app_image(mender, &at)?;
            let place = image.canonical(field::text(mount, "mountPath")?)?;
            let sizes = image.manifest.paths.iter().filter_map(|path| {
                let own = path.image_path()?;
                match path.volume {
                    Volume::Memory { size_limit } | Volume::Disk { size_limit } => {
                        (own.is_within(&place) || place.is_within(&own)).then_some(size_limit)
                    }
                    Volume::None => None,
                }
            });
            let own: u64 = sizes.fold(0, u64::saturating_add);
            if own == 0 {
                return None;
            }
            bytes = own.saturating_add(bytes);
        }
    }
    (bytes > 0).then(|| json!(crate::kube::pod::quantity(bytes).0))
}

/// What the volumes may take that a container has.
#[derive(Debug, Default, Clone, Copy)]
struct Takes {
    /// Bytes in memory.
    memory: f64,
    /// Bytes on disk.
    disk: f64,
    /// Whether one on disk has no limit.
    is_open: bool,
}

fn takes(mender: &Mender<'_>, container: &Value) -> Takes {
    let mut takes = Takes::default();
    let mut seen = Vec::new();
    for (_, mount) in field::list(container, "volumeMounts") {
        let name = mount.get("name");
        let volume = field::list(mender.spec(), "volumes").find(|(_, one)| one.get("name") == name);
        let Some((_, volume)) = volume.filter(|_| !seen.contains(&name)) else { continue };
        seen.push(name);
        let limit = volume.pointer("/emptyDir/sizeLimit").and_then(quantity::of);
        if field::text(volume, "emptyDir.medium") == Some("Memory") {
            let is_read_only = field::truth(mount, "readOnly") == Some(true);
            takes.memory += limit.filter(|_| !is_read_only).unwrap_or_default();
        } else {
            // Whoever wrote it, an init container that is gone: the pod has it.
            takes.disk += limit.unwrap_or_default();
            takes.is_open |= limit.is_none() && volume.get("emptyDir").is_some();
        }
    }
    takes
}

/// Gives the container memory for itself and its volumes.
pub(super) fn memory(mender: &mut Mender<'_>, finding: &ValueFinding) {
    let Some(at) = finding.container.as_deref() else {
        // Bounding it is FS007's.
        return mender.leaves("FS008", finding.message.clone());
    };
    let known = app_image(mender, at);
    let container = mender.at(at);
    let name = title(container);
    if known.is_none() && !mender.is_unsafe() {
        let message =
            format!("{name}{}: nobody measured what it uses, `--unsafe` sets a limit", finding.message);
        return mender.leaves("FS008", message);
    }
    let needed = mebibytes(takes(mender, container).memory * 2.0);
    let usual = usual(known);
    let (limit, request) = (own(container, "limits", "memory"), own(container, "requests", "memory"));
    let least = if limit.is_some() { None } else { amount(&usual, "limits", "memory") };
    let new = larger(Some(&larger(limit, Some(&needed))), Some(&larger(request, least)));
    // Where the two are one the pod is never killed for another's need: so it stays.
    let is_guaranteed = limit.is_some() && request == limit;
    if is_guaranteed {
        set(mender, at, ("requests", "memory"), new.clone());
    }
    set(mender, at, ("limits", "memory"), new.clone());
    let message =
        format!("{name}`resources.limits.memory: {}`: half of it holds the volumes in memory", says(&new));
    mender.did("FS008", message);
}

/// Gives the containers the node's disk for their volumes and their logs.
pub(super) fn storage(mender: &mut Mender<'_>, finding: &ValueFinding) {
    match finding.container.as_deref() {
        Some(at) => give_storage(mender, at),
        // Together they are too small: each gets what its own volumes need.
        None => raise_storage(mender, finding),
    }
}

/// What of the disk a container needs: its volumes, and room for its log.
fn needed_storage(takes: Takes) -> Value {
    let room = usual(None);
    let room = amount(&room, "limits", "ephemeral-storage").and_then(quantity::of);
    mebibytes(takes.disk + room.unwrap_or_default())
}

fn give_storage(mender: &mut Mender<'_>, at: &str) {
    const WHAT: &str = "ephemeral-storage";
    let container = mender.at(at);
    let name = title(container);
    let takes = takes(mender, container);
    let (limit, request) = (own(container, "limits", WHAT), own(container, "requests", WHAT));
    let is_locked = field::truth(container, "securityContext.readOnlyRootFilesystem") == Some(true);
    // What is written beside the volumes counts too.
    let is_known = app_image(mender, at).is_some() && is_locked && !takes.is_open;
    if limit.is_none() && !is_known && !mender.is_unsafe() {
        let message = format!("{name}it is not known how much it writes: `--unsafe` sets `{WHAT}`");
        return mender.leaves("FS009", message);
    }
    let needed = needed_storage(takes);
    let new_limit = limit.cloned().unwrap_or_else(|| larger(request, Some(&needed)));
    // Kubernetes takes a limit for a request that is not set.
    let new_request = request.or(limit).cloned().unwrap_or(needed);
    let (has_limit, has_request) = (limit.is_some(), request.is_some());
    if has_limit && has_request {
        return;
    }
    if !has_limit {
        set(mender, at, ("limits", WHAT), new_limit.clone());
    }
    if !has_request {
        set(mender, at, ("requests", WHAT), new_request.clone());
    }
    let message = if has_limit {
        format!("{name}`resources.requests.{WHAT}: {}`, as its limit", says(&new_request))
    } else {
        format!("{name}`resources.limits.{WHAT}: {}` for its volumes and its log", says(&new_limit))
    };
    mender.did("FS009", message);
}

fn raise_storage(mender: &mut Mender<'_>, finding: &ValueFinding) {
    const WHAT: &str = "ephemeral-storage";
    let mut raised = Vec::new();
    for (at, container) in mender.containers() {
        let takes = takes(mender, container);
        let Some(limit) = own(container, "limits", WHAT) else { continue };
        if quantity::of(limit) < Some(takes.disk) {
            raised.push((at, title(container), needed_storage(takes), limit.clone()));
        }
    }
    if raised.is_empty() {
        mender.leaves("FS009", format!("{}: a person has to decide", finding.message));
    }
    for (at, name, amount, was) in raised {
        // A request that is not set is the limit, and stays what it was.
        if own(mender.at(&at), "requests", WHAT).is_none() {
            set(mender, &at, ("requests", WHAT), was);
        }
        set(mender, &at, ("limits", WHAT), amount.clone());
        let message =
            format!("{name}`resources.limits.{WHAT}: {}` for its volumes and its log", says(&amount));
        mender.did("FS009", message);
    }
}

/// Fills in what generated pods have; what was measured is better.
pub(super) fn resources(mender: &mut Mender<'_>, finding: &ValueFinding) {
    let Some(at) = finding.container.as_deref() else { return };
    let Some((kind, what)) = finding.field.rsplit_once("resources.").and_then(|(_, of)| of.split_once('.'))
    else {
        return;
    };
    let known = app_image(mender, at);
    let usual = usual(known);
    let container = mender.at(at);
    let name = title(container);
    let usually = amount(&usual, kind, what);
    let (new, why) = match (kind, own(container, "limits", what)) {
        // Kubernetes takes it for the request.
        ("requests", Some(limit)) => (limit.clone(), "as its limit"),
        ("requests", None) => (larger(usually, None), "which nobody measured"),
        _ if known.is_none() && !mender.is_unsafe() => {
            let limit = usually.map(says).unwrap_or_default();
            let message = format!(
                "{name}nobody measured what it uses: `--unsafe` sets `resources.limits.{what}: {limit}`"
            );
            return mender.leaves("RS001", message);
        }
        _ => (larger(own(container, "requests", what), usually), "which nobody measured"),
    };
    set(mender, at, (kind, what), new.clone());
    mender.did("RS001", format!("{name}`resources.{kind}.{what}: {}`, {why}", says(&new)));
}
