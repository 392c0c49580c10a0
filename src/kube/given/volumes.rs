//! Volumes, and where containers mount them.
//!
//! Only those whose content is told: empty ones, and ConfigMaps that stand in the same text.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::expand::quantity;
use super::fields::Fields;
use super::{GivenError, Medium, Mount};

/// What a volume is.
#[derive(Debug, Clone)]
pub(super) struct Volume {
    medium: Medium,
    /// Most bytes in it.
    size: Option<u64>,
    /// Of its top, where the pod says it.
    mode: Option<u32>,
    files: Vec<(String, Vec<u8>)>,
}

/// The pod's volumes, by name.
pub(super) type Volumes = BTreeMap<String, Volume>;

/// What is in ConfigMaps, by their names and those of files.
pub(super) type Configs = BTreeMap<String, BTreeMap<String, Vec<u8>>>;

/// The ConfigMaps of `documents`.
pub(super) fn configs(documents: &[Value]) -> Result<Configs, GivenError> {
    let maps =
        documents.iter().filter(|document| document.get("kind").is_some_and(|kind| kind == "ConfigMap"));
    let mut configs = Configs::new();
    for map in maps {
        let mut map = Fields::new("", map.clone())?;
        // Without a name no pod can mean it.
        let Some(name) = map.fields("metadata")?.text("name")? else { continue };
        let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for key in ["data", "binaryData"] {
            let mut entries = map.fields(key)?;
            for name in entries.names() {
                let text = entries.needed(&name)?;
                let bytes = if key == "data" {
                    text.into_bytes()
                } else {
                    let decoded = STANDARD.decode(&text);
                    decoded.map_err(|_| entries.value(&name, text, "is no base64"))?
                };
                files.insert(name, bytes);
            }
        }
        configs.insert(name, files);
    }
    Ok(configs)
}

/// The pod's volumes by name; `claims` are names of claims that are made for each pod.
pub(super) fn volumes(
    spec: &mut Fields,
    claims: &[String],
    configs: &Configs,
) -> Result<Volumes, GivenError> {
    let claim = Volume { medium: Medium::Claim, size: None, mode: None, files: Vec::new() };
    let mut volumes: Volumes = claims.iter().map(|name| (name.clone(), claim.clone())).collect();
    for (at, value) in spec.list("volumes")? {
        let mut volume = Fields::new(at, value)?;
        let name = volume.needed("name")?;
        let kind = if volume.has("persistentVolumeClaim") || volume.has("ephemeral") {
            volume.pass(&["persistentVolumeClaim", "ephemeral"]);
            claim.clone()
        } else if volume.has("configMap") {
            config(volume.fields("configMap")?, configs)?
        } else {
            // A volume that says nothing else is one of these.
            empty_dir(volume.fields("emptyDir")?)?
        };
        volume.done()?;
        volumes.insert(name, kind);
    }
    Ok(volumes)
}

fn config(mut fields: Fields, configs: &Configs) -> Result<Volume, GivenError> {
    let name = fields.needed("name")?;
    let Some(all) = configs.get(&name) else {
        return Err(fields.value("name", name, "is no ConfigMap that stands beside the pod"));
    };
    let mut files: Vec<(String, Vec<u8>)> =
        all.iter().map(|(key, bytes)| (key.clone(), bytes.clone())).collect();
    if fields.has("items") {
        files.clear();
        for (at, value) in fields.list("items")? {
            let mut item = Fields::new(at, value)?;
            let (key, path) = (item.needed("key")?, item.needed("path")?);
            let Some(bytes) = all.get(&key) else {
                return Err(item.value("key", key, "is not in the ConfigMap"));
            };
            if path.contains('/') || path.starts_with("..") {
                return Err(item.value("path", path, "is no name of a file"));
            }
            item.pass(&["mode"]);
            item.done()?;
            files.push((path, bytes.clone()));
        }
    }
    fields.pass(&["defaultMode", "optional"]);
    fields.done()?;
    Ok(Volume { medium: Medium::Config, size: None, mode: None, files })
}

fn empty_dir(mut fields: Fields) -> Result<Volume, GivenError> {
    let medium = match fields.text("medium")?.as_deref() {
        None | Some("") => Medium::Disk,
        Some("Memory") => Medium::Memory,
        Some(other) => return Err(fields.value("medium", other, "is a medium that kiln does not have")),
    };
    let size = size(&mut fields, "sizeLimit")?;
    let mode: Option<u32> = fields.number("mode")?;
    if let Some(other) = mode.filter(|mode| *mode > 0o1777) {
        return Err(fields.value("mode", other.to_string(), "is no mode of a volume"));
    }
    fields.done()?;
    Ok(Volume { medium, size, mode, files: Vec::new() })
}

/// A quantity of bytes.
pub(super) fn size(fields: &mut Fields, key: &str) -> Result<Option<u64>, GivenError> {
    let text = match fields.take(key) {
        None => return Ok(None),
        Some(Value::String(text)) => text,
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
        let says_read_only = mount.truth("readOnly")?;
        let options = mount.texts("bindMountOptions")?;
        let no_exec = options.iter().any(|option| option == "noexec");
        if let Some(other) = mount.text("mountPropagation")?.filter(|mode| mode != "None") {
            return Err(mount.value("mountPropagation", other, "is not possible in kiln's sandbox"));
        }
        if !path.starts_with('/') {
            return Err(mount.value("mountPath", path, "is not absolute"));
        }
        let Some(Volume { medium, size, mode, files }) = volumes.get(&volume).cloned() else {
            return Err(mount.value("name", volume, "is no volume of the pod"));
        };
        let sub_path = mount.text("subPath")?.filter(|path| !path.is_empty());
        if let Some(other) = sub_path.as_ref().filter(|path| !is_below(path)) {
            return Err(mount.value("subPath", other.clone(), "is no directory in a volume"));
        }
        mount.pass(&["recursiveReadOnly"]);
        mount.done()?;
        // Of a ConfigMap nothing can be written.
        let read_only = says_read_only || medium == Medium::Config;
        mounts.push(Mount { volume, path, sub_path, read_only, medium, size, mode, no_exec, files });
    }
    Ok(mounts)
}

/// Whether Kubernetes takes `path` for a directory in a volume.
fn is_below(path: &str) -> bool {
    !path.starts_with('/') && path.split('/').all(|name| name != "..")
}
