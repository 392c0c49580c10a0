//! Every Linux platform of an image, one after the other, and an index of what came out.
//!
//! Decides nothing about an image: each platform has a plan of its own, the same as if it were hardened alone.

use super::{HardenError, Hardened, Means, make, record};
use crate::digest::BlobDigest;
use crate::finding::{Code, Finding};
use crate::image::{Companion, FinishedIndex, Platform, Published};
use crate::manifest::United;
use crate::options::Options;
use crate::path::Escaped;
use crate::progress::Progress;
use crate::sink::Destinations;
use crate::source::{LeftOut, PlatformImage, Source, WhyLeftOut};

/// An image that was hardened for every Linux platform.
pub struct HardenedIndex {
    /// What names the source: its index, or its only image where it has none.
    pub source: BlobDigest,
    /// Digest of the new index.
    pub digest: BlobDigest,
    /// The images, in the order of the index; their plans have no verdicts any more.
    pub platforms: Vec<(Platform, Hardened)>,
    /// What their manifests need together.
    pub united: United,
    /// What was left out, and where the platforms disagree.
    pub findings: Vec<Finding>,
}

/// Hardens every Linux platform of an image and writes an index to every destination, whole or not at all.
///
/// `companions` makes the documents that go with the index where a destination keeps them, before it is visible.
pub fn harden_platforms(
    source: &dyn Source,
    options: &Options,
    destinations: Destinations,
    companions: &mut dyn FnMut(&mut HardenedIndex, &Published) -> Vec<Companion>,
    progress: &dyn Progress,
) -> Result<HardenedIndex, HardenError> {
    destinations.check_index().map_err(HardenError::Sink)?;
    let listed = source.platforms().map_err(HardenError::Source)?;
    let means = Means::new(source, options, progress)?;
    let (mut platforms, mut images) = (Vec::new(), Vec::new());
    for PlatformImage { platform, .. } in &listed.linux {
        let failed = |source| HardenError::Of { platform: shown(platform), source: Box::new(source) };
        let (mut hardened, mut image) = make(&means, Some(platform), &destinations).map_err(failed)?;
        // As the source's index has it: a config often leaves out the variant by which clients choose.
        image.platform = platform.clone();
        // Nothing reads them after the layers are written, and memory must not grow with the platforms.
        hardened.plan.verdicts = Vec::new();
        platforms.push((platform.clone(), hardened));
        images.push(image);
    }
    let only = || platforms.first().map(|(_, hardened)| record::source_digest(&hardened.image));
    let source = listed
        .index_digest
        .or_else(only)
        .unwrap_or_else(|| unreachable!("a source without a Linux platform is an error"));
    let annotations = if platforms.iter().all(|(_, hardened)| hardened.is_passed_on()) {
        listed.annotations
    } else {
        record::index_annotations(&listed.annotations, source, options)
    };
    let index = FinishedIndex::new(images, &annotations);
    let published = Published::Index(index);

    let manifests: Vec<_> =
        platforms.iter().map(|(platform, hardened)| (shown(platform), &hardened.manifest)).collect();
    let united = United::of(&manifests)
        .unwrap_or_else(|| unreachable!("a source without a Linux platform is an error"));
    let mut findings: Vec<Finding> = listed.left_out.iter().map(finding).collect();
    findings.extend(united.differences.iter().map(|difference| {
        Finding::new(Code::PlatformsDisagree, &difference.subject, difference.message.clone())
    }));
    let mut hardened = HardenedIndex { source, digest: published.root_digest(), platforms, united, findings };
    let companions = companions(&mut hardened, &published);
    destinations.commit(&published, &companions).map_err(HardenError::Sink)?;
    Ok(hardened)
}

/// `platform` with what a terminal could act on escaped: an index can say anything.
fn shown(platform: &Platform) -> String {
    Escaped::new(platform.to_string().as_bytes()).to_string()
}

fn finding(left_out: &LeftOut) -> Finding {
    let LeftOut { digest, why } = left_out;
    match why {
        WhyLeftOut::Attestation => Finding::new(
            Code::AttestationLeftOut,
            digest,
            "attestation or other artifact of the source's index: it is about bytes that the hardened image does not have",
        ),
        WhyLeftOut::OtherSystem(platform) => Finding::new(
            Code::PlatformLeftOut,
            shown(platform),
            format!("{digest} is not for Linux and not in the hardened index"),
        ),
        WhyLeftOut::Absent(platform) => Finding::new(
            Code::PlatformLeftOut,
            platform.as_ref().map_or_else(|| digest.to_string(), shown),
            format!(
                "{digest} is named by the source's index but not stored with it: it is not in the hardened index"
            ),
        ),
        WhyLeftOut::Twice(platform) => Finding::new(
            Code::PlatformLeftOut,
            shown(platform),
            format!(
                "{digest} is a second image for the same platform, which no client chooses: it is not in the hardened index"
            ),
        ),
    }
}
