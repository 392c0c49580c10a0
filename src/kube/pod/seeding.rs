//! The init container that fills volumes with what the image has at their paths.
//!
//! Runs kiln's helper, as the app's user and with the app's rights; which paths it fills the manifest says.

use k8s_openapi::api::core::v1::{Container, VolumeMount};

use super::volumes;
use crate::manifest::Manifest;
use crate::path::ImagePath;
use crate::seed;

/// Its name, unless the app is called so.
const NAME: &str = "kiln-seed";

/// The init container that goes with the app's `container`; none where nothing is to be filled.
pub(super) fn container(manifest: &Manifest, container: &Container) -> Option<Container> {
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
    let suffix = if container.name == NAME { "-0" } else { "" };
    Some(Container {
        name: format!("{NAME}{suffix}"),
        image: container.image.clone(),
        image_pull_policy: container.image_pull_policy.clone(),
        command: Some(vec![text(&ImagePath::literal(seed::HELPER_PATH))?]),
        resources: container.resources.clone(),
        security_context: container.security_context.clone(),
        termination_message_policy: container.termination_message_policy.clone(),
        volume_mounts: Some(mounts),
        ..Container::default()
    })
}

fn text(path: &ImagePath) -> Option<String> {
    String::from_utf8(path.absolute()).ok()
}
