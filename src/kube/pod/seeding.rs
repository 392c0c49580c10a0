//! The init container that fills volumes with what the image has at their paths.
//!
//! Runs kiln's helper, or a command of the source image where there is none, as the app's user and with the app's rights; which
//! paths are filled the manifest says.

use k8s_openapi::api::core::v1::{Container, VolumeMount};

use super::volumes;
use crate::manifest::Manifest;
use crate::path::ImagePath;
use crate::seed;

/// Its name, unless the app is called so.
pub(super) const NAME: &str = "kiln-seed";

/// The init container that goes with the app's `container`, where it must be of the image `source`; none where nothing is to be
/// filled.
pub(super) fn container(manifest: &Manifest, container: &Container, source: &str) -> Option<Container> {
    let mounts: Vec<VolumeMount> = volumes::mounted(manifest)
        .into_iter()
        .filter(|(path, _, _)| path.seeded)
        .filter_map(|(path, name, _)| {
            let mount_path = text(&seed::mount_point(&path.image_path()?))?;
            Some(VolumeMount { name, mount_path, ..VolumeMount::default() })
        })
        .collect();
    if mounts.is_empty() {
        return None;
    }
    let (image, command) = match &manifest.seeding {
        Some(seeding) => {
            (Some(source.to_owned()), seeding.argv.iter().map(|word| super::literal(word)).collect())
        }
        None => (container.image.clone(), vec![text(&ImagePath::literal(seed::HELPER_PATH))?]),
    };
    let own =
        Container { image, command: Some(command), volume_mounts: Some(mounts), ..Container::default() };
    Some(super::beside(container, NAME, own))
}

fn text(path: &ImagePath) -> Option<String> {
    String::from_utf8(path.absolute()).ok()
}
