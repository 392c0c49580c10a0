//! `--platform all`: the library's answer for several platforms, as the command line wants it.
//!
//! Maps values only; what is done for each platform is the library's.

use super::companions::{bytes_of, companions};
use super::{Opened, context, destination_names, failure, image_name, layer_changes, pod_name};
use crate::cli::{Failure, HardenRequest, HardenedPlatforms};
use crate::digest::BlobDigest;
use crate::harden::{Hardened, HardenedIndex, harden_platforms};
use crate::image::Published;
use crate::kube::pod::{PodOptions, RunAs, render_pod};
use crate::manifest::{ManifestIndex, PlatformManifest};
use crate::progress::Progress;
use crate::reference::Reference;
use crate::report::{Context, ImageName, IndexContext, Report, ReportIndex};

pub(super) fn harden(
    opened: Opened,
    request: &HardenRequest,
    progress: &dyn Progress,
) -> Result<HardenedPlatforms, Failure> {
    let Opened { reference, source, references, destinations, beside } = opened;
    let mut told = None;
    let mut documents = |hardened: &mut HardenedIndex, published: &Published| {
        let all = tell(request, &references, hardened);
        let mut beside_it = Vec::new();
        if beside {
            let reports = hardened.platforms.iter().zip(&all.contexts);
            let reports = reports.map(|((_, hardened), context)| Report::of(&hardened.plan, context));
            let report = ReportIndex::of(&all.context, &hardened.findings, reports.collect());
            let report = bytes_of(|out| report.write_to(out));
            let manifests = hardened.platforms.iter().map(|(_, hardened)| &hardened.manifest);
            beside_it = companions(published, manifests, &all.pod, report);
        }
        told = Some(all);
        beside_it
    };
    let hardened = harden_platforms(&*source, &request.options, destinations, &mut documents, progress)
        .map_err(|error| failure(error, &reference))?;
    let Told { context, contexts, manifest, pod } =
        told.unwrap_or_else(|| unreachable!("what is hardened is told"));
    let ways = hardened.platforms.iter().flat_map(|(_, hardened)| &hardened.ways).copied().collect();
    let plans = hardened.platforms.into_iter().map(|(_, hardened)| hardened.plan);
    let platforms = plans.zip(contexts).collect();
    Ok(HardenedPlatforms { platforms, context, findings: hardened.findings, manifest, pod, ways })
}

/// What is said of an index besides the plans.
struct Told {
    context: IndexContext,
    /// One for each platform.
    contexts: Vec<Context>,
    manifest: String,
    pod: String,
}

/// An index without a name becomes a finding.
fn tell(request: &HardenRequest, references: &[Reference], hardened: &mut HardenedIndex) -> Told {
    let HardenedIndex { source, digest, platforms, united, findings } = hardened;
    let image = image_name(request, references, *digest, findings);
    let manifest_digest = |hardened: &Hardened| BlobDigest::of(hardened.manifest.render().as_bytes());
    let pod = render_pod(
        &united.manifest,
        &PodOptions {
            name: pod_name(request),
            image,
            source: source.to_string(),
            // The pod of an index has no container of one.
            source_image: String::new(),
            namespace: None,
            run_as: if united.same_user { RunAs::Manifest } else { RunAs::Image },
            united: platforms
                .iter()
                .map(|(platform, hardened)| (platform.to_string(), manifest_digest(hardened)))
                .collect(),
        },
    );
    let manifests = platforms.iter().map(|(platform, hardened)| PlatformManifest {
        platform: platform.to_string(),
        image: hardened.digest.to_string(),
        manifest: hardened.manifest.clone(),
    });
    let contexts = platforms.iter().map(|(platform, hardened)| {
        let mut context = context(&request.source, &hardened.image, &request.options);
        context.platform = platform.to_string();
        context.destinations = destination_names(references, hardened.digest);
        context.layers = layer_changes(&hardened.image, &hardened.layers);
        context
    });
    Told {
        context: IndexContext {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            source: ImageName { name: request.source.clone(), digest: Some(*source) },
            destinations: destination_names(references, *digest),
            options: request.options.canonical(),
        },
        contexts: contexts.collect(),
        manifest: ManifestIndex::new(manifests.collect()).render(),
        pod,
    }
}
