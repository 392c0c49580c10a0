//! Volumes, and where containers mount them.
//!
//! Only those whose content a pod tells: empty ones.

use std::collections::BTreeMap;

use super::expand::quantity;
use super::fields::Fields;
use super::{GivenError, Medium, Mount};

/// What a volume is, and how much it may hold.
pub(super) type Volumes = BTreeMap<String, (Medium, Option<u64>)>;

/// The pod's volumes by name; `claims` are names of claims that are made for each pod.
pub(super) fn volumes(spec: &mut Fields, claims: &[String]) -> Result<Volumes, GivenError> {
    let mut volumes: Volumes = claims.iter().map(|claim| (claim.clone(), (Medium::Claim, None))).collect();
    for (at, value) in spec.list("volumes")? {
        let mut volume = Fields::new(at, value)?;
        let name = volume.needed("name")?;
        let kind = if volume.has("persistentVolumeClaim") || volume.has("ephemeral") {
            volume.pass(&["persistentVolumeClaim", "ephemeral"]);
            (Medium::Claim, None)
        } else {
            // A volume that says nothing else is one of these.
            empty_dir(volume.fields("emptyDir")?)?
        };
        volume.done()?;
        volumes.insert(name, kind);
    }
    Ok(volumes)
}

fn empty_dir(mut fields: Fields) -> Result<(Medium, Option<u64>), GivenError> {
    let medium = match fields.text("medium")?.as_deref() {
        None | Some("") => Medium::Disk,
        Some("Memory") => Medium::Memory,
        Some(other) => return Err(fields.value("medium", other, "is a medium that kiln does not have")),
    };
    let size = size(&mut fields, "sizeLimit")?;
    fields.done()?;
    Ok((medium, size))
}

/// A quantity of bytes.
pub(super) fn size(fields: &mut Fields, key: &str) -> Result<Option<u64>, GivenError> {
    let text = match fields.take(key) {
        None => return Ok(None),
        Some(serde_json::Value::String(text)) => text,
        Some(other) => other.to_string(),
    };
    quantity(&text).map(Some).ok_or_else(|| fields.value(key, text, "is no quantity that kiln reads"))
}

/// What a container mounts.
pub(super) fn mounts(container: &mut Fields, volumes: &Volumes) -> Result<Vec<Mount>, GivenError> {
    let mut mounts = Vec::new();
    for (at, value) in container.list("volumeMounts")? {
        let mut mount = Fields::new(at, value)?;
        let volume = mount.needed("name")?;
        let path = mount.needed("mountPath")?;
        let read_only = mount.truth("readOnly")?;
        if let Some(other) = mount.text("mountPropagation")?.filter(|mode| mode != "None") {
            return Err(mount.value("mountPropagation", other, "is not possible in kiln's sandbox"));
        }
        if !path.starts_with('/') {
            return Err(mount.value("mountPath", path, "is not absolute"));
        }
        let Some(&(medium, size)) = volumes.get(&volume) else {
            return Err(mount.value("name", volume, "is no volume of the pod"));
        };
        let sub_path = mount.text("subPath")?.filter(|path| !path.is_empty());
        if let Some(other) = sub_path.as_ref().filter(|path| !is_below(path)) {
            return Err(mount.value("subPath", other.clone(), "is no directory in a volume"));
        }
        mount.pass(&["recursiveReadOnly"]);
        mount.done()?;
        mounts.push(Mount { volume, path, sub_path, read_only, medium, size });
    }
    Ok(mounts)
}

/// Whether Kubernetes takes `path` for a directory in a volume.
fn is_below(path: &str) -> bool {
    !path.starts_with('/') && path.split('/').all(|name| name != "..")
}
