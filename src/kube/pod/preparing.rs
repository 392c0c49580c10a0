//! The init container of the source image: what only a script of it makes, it makes before each start of the app.
//!
//! As the app's user, with the app's mounts and rights, and no others; which command does it and ends, the manifest says.

use k8s_openapi::api::core::v1::Container;

use crate::manifest::Manifest;

/// Its name, unless the app is called so.
pub(super) const NAME: &str = "kiln-prepare";

/// The init container that goes with the app's `container`, of the image `source`; none where nothing is to be prepared.
pub(super) fn container(manifest: &Manifest, container: &Container, source: &str) -> Option<Container> {
    let preparing = manifest.preparing.as_ref()?;
    let own = Container {
        image: Some(source.to_owned()),
        command: Some(preparing.argv.iter().map(|word| super::literal(word)).collect()),
        env: container.env.clone(),
        env_from: container.env_from.clone(),
        volume_mounts: container.volume_mounts.clone(),
        ..Container::default()
    };
    Some(super::beside(container, NAME, own))
}
