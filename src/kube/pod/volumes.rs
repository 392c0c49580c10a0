//! `emptyDir`s for the writable paths, and where they are mounted.
//!
//! Mounts nothing over content of the image that is not copied into the volume before.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{EmptyDirVolumeSource, Volume as PodVolume, VolumeMount};

use super::{MAX_LABEL, quantity, slug};
use crate::digest::BlobDigest;
use crate::manifest::{Manifest, Path, Volume};
use crate::seed;

/// Paths that get a volume, in order, with the volume's name and the path as the runtime knows it.
pub(in crate::kube) fn mounted(manifest: &Manifest) -> Vec<(&Path, String, String)> {
    let mut names = BTreeSet::new();
    manifest
        .paths
        .iter()
        .filter(|path| !matches!(path.volume, Volume::None))
        .filter_map(|path| {
            let target = String::from_utf8(path.image_path()?.absolute()).ok()?;
            let name = volume_name(&target, &names);
            names.insert(name.clone());
            Some((path, name, target))
        })
        .collect()
}

/// The volumes, in the order of the paths.
pub(super) fn volumes(manifest: &Manifest) -> Vec<PodVolume> {
    mounted(manifest)
        .into_iter()
        .map(|(path, name, _)| {
            let (medium, size_limit) = match path.volume {
                Volume::Memory { size_limit } => (Some("Memory".to_owned()), size_limit),
                Volume::Disk { size_limit } => (None, size_limit),
                Volume::None => unreachable!("only paths with a volume are mounted"),
            };
            PodVolume {
                name,
                empty_dir: Some(EmptyDirVolumeSource { medium, size_limit: Some(quantity(size_limit)) }),
                ..PodVolume::default()
            }
        })
        .collect()
}

/// The mounts, in the order of the paths.
pub(super) fn mounts(manifest: &Manifest) -> Vec<VolumeMount> {
    mounted(manifest)
        .into_iter()
        .map(|(path, name, mount_path)| {
            let sub_path = path.seeded.then(|| seed::TREE.to_owned());
            VolumeMount { name, mount_path, sub_path, ..VolumeMount::default() }
        })
        .collect()
}

/// `w-SLUG-HASH`: a DNS label that tells the path, and tells apart paths whose slugs are equal.
pub(crate) fn volume_name(path: &str, taken: &BTreeSet<String>) -> String {
    let hash = BlobDigest::of(path.as_bytes()).hex();
    [4, 8, 16]
        .into_iter()
        .filter_map(|digits| {
            let hash = hash.get(..digits)?;
            let slug = slug(path, MAX_LABEL.checked_sub("w--".len() + digits)?);
            Some(if slug.is_empty() { format!("w-{hash}") } else { format!("w-{slug}-{hash}") })
        })
        .find(|name| !taken.contains(name))
        .unwrap_or_else(|| unreachable!("16 digits of SHA-256 are equal for two paths"))
}
