//! Files over the image's: each in a ConfigMap of its own that never changes.
//!
//! Reads no file; whether the image has one there is not known here.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, ConfigMapVolumeSource, Volume, VolumeMount};

use super::{ConfigFile, GenerateError, Object, Options, around};
use crate::digest::BlobDigest;
use crate::kube::pod::{MAX_LABEL, slug};
use crate::manifest::{self, Manifest};
use crate::path::{Escaped, ImagePath};

/// Most bytes that a ConfigMap holds (`k8s.io/api/core/v1`, `MaxSecretSize`).
pub const MAX_CONFIG: usize = 1 << 20;

/// Most bytes of annotations (`k8s.io/apimachinery`, `TotalAnnotationSizeLimitB`), where `kubectl apply` keeps the object.
const MAX_ANNOTATIONS: usize = 256 << 10;

/// Longest part of a ConfigMap's name that the file's own gives.
const MAX_STEM: usize = 24;

/// What the runtime makes itself, or kiln.
const TAKEN: [&str; 4] = [".kiln", "dev", "proc", "sys"];

/// A file, as the pod has it.
#[derive(Debug, Clone)]
pub(super) struct Mounted {
    pub(super) object: Object,
    pub(super) volume: Volume,
    pub(super) mount: VolumeMount,
    pub(super) comment: String,
}

/// The files of `options`, none of which is where the app of `manifest` writes.
pub(super) fn mounted(manifest: &Manifest, options: &Options) -> Result<Vec<Mounted>, GenerateError> {
    let mut before: Vec<&ImagePath> = Vec::new();
    let mut all = Vec::new();
    for file in &options.configs {
        let wrong = |why: String| GenerateError::ConfigPath { path: file.path.to_string(), why };
        let path = String::from_utf8(file.path.absolute()).ok().filter(|path| !path.contains(':'));
        let path = path.ok_or_else(|| wrong("no path that a pod can name".to_owned()))?;
        if file.path.is_root() || TAKEN.iter().any(|taken| file.path.is_within(&ImagePath::literal(taken))) {
            return Err(wrong("no file can be mounted there".to_owned()));
        }
        for other in manifest.paths.iter().filter(|other| other.volume != manifest::Volume::None) {
            let Some(at) = other.image_path() else { continue };
            if file.path.is_within(&at) || at.is_within(&file.path) {
                return Err(wrong(format!("the app writes to {at}, where a volume is")));
            }
        }
        if before.contains(&&file.path) {
            return Err(wrong("stands there twice".to_owned()));
        }
        if let Some(other) =
            before.iter().find(|other| file.path.is_within(other) || other.is_within(&file.path))
        {
            return Err(wrong(format!("one of it and {other} would lie in the other, and both are files")));
        }
        before.push(&file.path);
        all.push(one(file, path, options)?);
    }
    Ok(all)
}

fn one(file: &ConfigFile, path: String, options: &Options) -> Result<Mounted, GenerateError> {
    let key = key(file.path.name());
    let bytes = file.bytes.len();
    if bytes + key.len() > MAX_CONFIG {
        return Err(GenerateError::ConfigLarge { path: file.path.to_string(), bytes });
    }
    // The content names it, too: what is in a ConfigMap that never changes is another one when it does.
    let hash = BlobDigest::of(&[path.as_bytes(), b"\0", &file.bytes].concat()).hex();
    let at = BlobDigest::of(path.as_bytes()).hex();
    let (hash, at) = (hash.chars().take(8).collect::<String>(), at.chars().take(8).collect::<String>());
    let name = match slug(&key, MAX_STEM) {
        stem if stem.is_empty() => format!("{}-{hash}", options.name),
        stem => format!("{}-{stem}-{hash}", options.name),
    };
    let stem = slug(&path, MAX_LABEL - "c--".len() - at.len());
    let volume = format!("c-{stem}-{at}");
    let (data, binary_data) = match text(&file.bytes) {
        Some(text) => (Some(BTreeMap::from([(key.clone(), text.to_owned())])), None),
        None => (None, Some(BTreeMap::from([(key.clone(), ByteString(file.bytes.clone()))]))),
    };
    let object = ConfigMap {
        metadata: around::metadata(&name, options, BTreeMap::new()),
        immutable: Some(true),
        data,
        binary_data,
    };
    let head = format!("{}, read-only. Another content is another ConfigMap.", file.path);
    Ok(Mounted {
        object: Object::new("ConfigMap", &name, &object, vec![head]),
        volume: Volume {
            name: volume.clone(),
            config_map: Some(ConfigMapVolumeSource { name, ..ConfigMapVolumeSource::default() }),
            ..Volume::default()
        },
        mount: VolumeMount {
            name: volume,
            mount_path: path,
            sub_path: Some(key),
            read_only: Some(true),
            ..VolumeMount::default()
        },
        comment: "config: of a ConfigMap, in place of what the image has".to_owned(),
    })
}

/// What is to be known of a ConfigMap that does not fit into an annotation of its own.
pub(super) fn note(object: &Object) -> Option<String> {
    (object.value.to_string().len() >= MAX_ANNOTATIONS).then(|| {
        format!(
            "the ConfigMap `{}` is too large for what `kubectl apply` notes of it: `kubectl apply --server-side`",
            object.name
        )
    })
}

/// A file's name as a ConfigMap takes it.
fn key(name: &[u8]) -> String {
    let is_fine = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let key: String =
        Escaped::new(name).to_string().chars().map(|c| if is_fine(&c) { c } else { '-' }).take(200).collect();
    if key.is_empty() || key.starts_with("..") || key == "." { "file".to_owned() } else { key }
}

/// `bytes` as text that every reader of YAML gives back.
fn text(bytes: &[u8]) -> Option<&str> {
    let is_plain = |c: char| !c.is_control() || matches!(c, '\n' | '\t' | '\r');
    std::str::from_utf8(bytes).ok().filter(|text| text.chars().all(is_plain))
}
