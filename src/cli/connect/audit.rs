//! Images for an audit: read once, with what kiln recorded of them, or would.
//!
//! Judges nothing.

use super::{failure, open, parse, registries};
use crate::audit::{Image, Origin};
use crate::cli::Failure;
use crate::harden::{self, MANIFEST_PATH, record};
use crate::image::Config;
use crate::manifest::Manifest;
use crate::options::Options;
use crate::path::ImagePath;
use crate::progress::Silent;
use crate::registry;

pub(super) fn image(
    name: &str,
    platform: Option<&str>,
    registry: &registry::Settings,
) -> Result<Image, Failure> {
    let options = Options { platform: platform.map(str::to_owned), ..Options::default() };
    let reference = parse(name)?;
    let source = open(&reference, &registries(registry), &options)?;
    let analysed =
        harden::analyse(&*source, &options, &Silent).map_err(|error| failure(error, &reference))?;
    let image = &analysed.image;
    let digests = image.index_digest.into_iter().chain(image.manifest_digest).collect();
    let own = analysed.rootfs.bytes(&ImagePath::literal(MANIFEST_PATH));
    // Built upon, or not kiln's: then what counts is what the image is now.
    let recorded = own
        .and_then(|bytes| Manifest::parse(&String::from_utf8_lossy(&bytes)).ok())
        .filter(|manifest| is_of(manifest, &image.config));
    let (manifest, origin) = match recorded {
        Some(manifest) => (manifest, Origin::Recorded),
        None => (record::manifest(&analysed.image, &analysed.plan, &options), Origin::Planned),
    };
    Ok(Image { manifest, origin, rootfs: analysed.rootfs, config: analysed.image.config, digests })
}

/// Whether a manifest is of the image with this config: it starts the same, as the same user. One that was built upon keeps the
/// manifest of its base.
fn is_of(manifest: &Manifest, config: &Config) -> bool {
    let process = &manifest.process;
    let starts = config.entrypoint.iter().chain(&config.cmd).eq(&process.argv);
    starts && config.user == format!("{}:{}", process.uid, process.gid)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::manifest::tests::manifest;

    #[test]
    fn manifest_of_the_base_is_not_that_of_what_is_built_upon_it() {
        let manifest = manifest();
        let is_of = |change: Value| {
            let argv = ["/usr/sbin/nginx", "-g", "daemon off;"];
            let mut own = json!({"User": "33:33", "Entrypoint": argv});
            own.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            let config = json!({"architecture": "amd64", "os": "linux", "config": own,
                "rootfs": {"type": "layers", "diff_ids": []}});
            is_of(&manifest, &Config::parse(config.to_string().as_bytes()).unwrap())
        };
        assert!(is_of(json!({})));
        assert!(!is_of(json!({"User": "root"})));
        assert!(!is_of(json!({"User": "33"})));
        assert!(!is_of(json!({"Cmd": ["-c", "/other.conf"]})));
        assert!(!is_of(json!({"Entrypoint": ["/bin/app"]})));
    }
}
