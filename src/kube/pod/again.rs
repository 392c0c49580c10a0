//! Whether a pod spec that comes from elsewhere is the one that kiln renders.
//!
//! Judges no pod by what it says: it is rendered again and compared, byte for byte.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{PodOptions, RunAs, SOURCE_KEY, render_pod};
use crate::digest::BlobDigest;
use crate::manifest::Manifest;

/// What a pod spec says that does not follow from the manifest.
#[derive(Deserialize)]
struct Said {
    metadata: Metadata,
    spec: Spec,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    #[serde(default)]
    namespace: Option<String>,
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    containers: Vec<Container>,
    #[serde(default)]
    init_containers: Vec<Container>,
}

#[derive(Deserialize)]
struct Container {
    image: String,
}

/// Whether `text` is what [`render_pod`] makes of `manifest` for `image`, for a node that runs it as `run_as` and, where
/// there are several, for the manifests that `united` names.
///
/// Names are free, that of the repository too, for the digest says which image it is; so is the digest of the source, unless a
/// container of it runs in the pod: then it is `origin`, which the image itself says that it was made from. All
/// else (mounts, user, rights, programs) is the manifest's. A pod spec of another version of kiln may be none.
pub fn is_pod_of(
    text: &str,
    manifest: &Manifest,
    image: &BlobDigest,
    origin: Option<&BlobDigest>,
    run_as: RunAs,
    united: &[(String, BlobDigest)],
) -> bool {
    let Ok(Said { metadata, spec }) = serde_saphyr::from_str::<Said>(text) else { return false };
    let [container] = spec.containers.as_slice() else { return false };
    let Some(source) = metadata.annotations.get(SOURCE_KEY) else { return false };
    let is_pinned = container.image.rsplit_once('@').is_some_and(|(_, digest)| digest == image.to_string());
    let mut inits = spec.init_containers.into_iter().map(|init| init.image);
    let source_image = inits.rfind(|init| *init != container.image).unwrap_or_default();
    // What runs in the pod besides is the image that this one was made from, and no other.
    let is_source = !manifest.needs_source()
        || origin.is_some_and(|origin| {
            let pinned = source_image.rsplit_once('@').map(|(_, digest)| digest);
            *source == origin.to_string() && pinned == Some(source.as_str())
        });
    if !is_pinned || !is_source || source.parse::<BlobDigest>().is_err() {
        return false;
    }
    let options = PodOptions {
        name: metadata.name,
        image: container.image.clone(),
        source: source.clone(),
        source_image,
        namespace: metadata.namespace,
        run_as,
        united: united.to_vec(),
    };
    render_pod(manifest, &options) == text
}
