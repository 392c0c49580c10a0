//! Images for an audit: read once, with what kiln recorded of them, or would.
//!
//! Judges nothing.

use super::{failure, open, parse, registries};
use crate::audit::{Image, Origin};
use crate::cli::Failure;
use crate::harden::{self, MANIFEST_PATH, record};
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
    let recorded = own.and_then(|bytes| Manifest::parse(&String::from_utf8_lossy(&bytes)).ok());
    let (manifest, origin) = match recorded {
        Some(manifest) => (manifest, Origin::Recorded),
        None => (record::manifest(&analysed.image, &analysed.plan, &options), Origin::Planned),
    };
    Ok(Image { manifest, origin, rootfs: analysed.rootfs, config: analysed.image.config, digests })
}
