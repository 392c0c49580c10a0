//! `--platform all`: the library's answer for several platforms, as the command line wants it.
//!
//! Maps values only; what is done for each platform is the library's.

use super::{
    context, destination_names, failure, image_name, layer_changes, open, parse, parse_all, pod_name,
    registries, sink_failure,
};
use crate::cli::{Failure, HardenRequest, HardenedPlatforms};
use crate::digest::BlobDigest;
use crate::harden::{Hardened, HardenedIndex, harden_platforms};
use crate::image::Platform;
use crate::kube::pod::{PodOptions, RunAs, render_pod};
use crate::manifest::{ManifestIndex, PlatformManifest};
use crate::progress::Progress;
use crate::report::{ImageName, IndexContext};
use crate::sink::Destinations;

pub(super) fn harden(request: &HardenRequest, progress: &dyn Progress) -> Result<HardenedPlatforms, Failure> {
    let references = parse_all(&request.destinations)?;
    let registries = registries(&request.registry);
    let reference = parse(&request.source)?;
    let source = open(&reference, &registries)?;
    let destinations = Destinations::open(&references, &registries).map_err(sink_failure)?;
    let done = harden_platforms(&*source, &request.options, destinations, progress)
        .map_err(|error| failure(error, &reference))?;
    let HardenedIndex { source, digest, platforms, united, mut findings } = done;

    let image = image_name(request, &references, digest, &mut findings);
    let manifest_digest = |hardened: &Hardened| BlobDigest::of(hardened.manifest.render().as_bytes());
    let pod = render_pod(
        &united.manifest,
        &PodOptions {
            name: pod_name(request),
            image,
            source: source.to_string(),
            namespace: None,
            run_as: if united.same_user { RunAs::Manifest } else { RunAs::Image },
            united: platforms
                .iter()
                .map(|(platform, hardened)| (platform.to_string(), manifest_digest(hardened)))
                .collect(),
        },
    );
    let index_context = IndexContext {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        source: ImageName { name: request.source.clone(), digest: Some(source) },
        destinations: destination_names(&references, digest),
        options: request.options.canonical(),
    };
    let manifests = platforms.iter().map(|(platform, hardened)| PlatformManifest {
        platform: platform.to_string(),
        image: hardened.digest.to_string(),
        manifest: hardened.manifest.clone(),
    });
    let manifest = ManifestIndex::new(manifests.collect()).render();
    let platforms = platforms.into_iter().map(|(platform, hardened): (Platform, Hardened)| {
        let mut context = context(&request.source, &hardened.image, &request.options);
        context.platform = platform.to_string();
        context.destinations = destination_names(&references, hardened.digest);
        context.layers = layer_changes(&hardened.image, &hardened.layers);
        (hardened.plan, context)
    });
    Ok(HardenedPlatforms { platforms: platforms.collect(), context: index_context, findings, manifest, pod })
}
