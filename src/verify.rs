//! Proof of a finished image: every promise, checked on its bytes.
//!
//! Trusts nothing that a hardening remembers, and asks none of the code that decides: a check takes facts and gives
//! breaches. What the image alone does not tell is told by its source, hardened again into nothing.

mod access;
mod config;
mod facts;
mod layers;
mod mounts;
mod needs;
mod packages;
mod programs;
mod provenance;
pub mod recorded;
mod repeat;
mod seeds;

use std::sync::Arc;

pub use facts::User;
use facts::{Embedded, Facts};

use crate::digest::BlobDigest;
use crate::harden::{self, Analysed, HardenError, Means};
use crate::image::Platform;
use crate::manifest::Manifest;
use crate::options::{Options, UserProfile, UserRecipe};
use crate::progress::Progress;
use crate::promise::{Promise, Proof, State};
use crate::rootfs::Rootfs;
use crate::sink::Destinations;
use crate::source::{Source, SourceImage};

/// What a verification compares with.
pub struct Against<'a> {
    /// The image that was hardened.
    pub source: &'a dyn Source,
    /// Recipes that the user brings; the image records their digests.
    pub recipes: &'a [UserRecipe],
    /// The profile that the user brings; the image records its digest.
    pub profile: Option<&'a Arc<UserProfile>>,
}

/// What was found out about an image.
#[derive(Debug, Clone)]
pub struct Verified {
    /// Its documents.
    pub image: SourceImage,
    /// The source that it was compared with, if that is its source and was read.
    pub against: Option<FoundSource>,
    /// Its merged tree.
    pub rootfs: Rootfs,
    /// A proof for each promise, in order.
    pub proofs: Vec<Proof>,
}

/// The image that another was made from, in a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundSource {
    /// For which platform the place has it.
    pub platform: Platform,
    /// What names it.
    pub digest: BlobDigest,
}

impl Verified {
    /// Whether nothing speaks against the image.
    pub fn is_unbroken(&self) -> bool {
        is_unbroken(&self.proofs)
    }

    /// Whether every promise was checked in full, and holds.
    pub fn is_proved(&self) -> bool {
        self.proofs.iter().all(|proof| proof.state() == State::Held)
    }
}

/// Why an image could not be verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The image cannot be read.
    #[error(transparent)]
    Image(HardenError),
    /// What it is compared with cannot be read or hardened.
    #[error("the source to compare with")]
    Source(#[source] HardenError),
}

/// Whether none of `proofs` is broken.
pub fn is_unbroken(proofs: &[Proof]) -> bool {
    proofs.iter().all(|proof| proof.state() != State::Broken)
}

/// Verifies the image of `source` for `platform`. Of `how` the threads and the limits count.
pub fn verify(
    source: &dyn Source,
    platform: Option<&Platform>,
    against: Option<&Against<'_>>,
    how: &Options,
    progress: &dyn Progress,
) -> Result<Verified, VerifyError> {
    let (image, rootfs) = harden::read(source, platform, how, progress).map_err(VerifyError::Image)?;
    let (against, proofs) = match against {
        None => (None, examine(&image, &rootfs)),
        Some(against) => {
            let inside = Embedded::read(&rootfs);
            repeated(&Facts::new(&image, &rootfs, &inside), against, how, progress)
                .map_err(VerifyError::Source)?
        }
    };
    Ok(Verified { image, against, rootfs, proofs })
}

/// The writable manifest inside the image whose tree is `rootfs`, if it can be read.
pub fn manifest_inside(rootfs: &Rootfs) -> Option<Manifest> {
    Embedded::read(rootfs).document
}

/// Checks `image`, whose tree is `rootfs`, on its own bytes alone.
pub fn examine(image: &SourceImage, rootfs: &Rootfs) -> Vec<Proof> {
    let inside = Embedded::read(rootfs);
    let facts = Facts::new(image, rootfs, &inside);
    let losses = needs::losses(&facts);
    let mut unrepeated = Proof::new(Promise::Reproducible);
    unrepeated.leave_open("needs --against");
    vec![
        programs::check(&facts),
        needs::check(&facts, &losses),
        access::check(&facts),
        layers::check_gone(&facts, None),
        layers::check_mapped(&facts, None),
        unrepeated,
        config::check(&facts, None),
        packages::check(&facts, None),
        mounts::check(&facts),
        provenance::check(&facts),
    ]
}

/// Checks everything, with the source hardened again.
fn repeated(
    facts: &Facts<'_>,
    against: &Against<'_>,
    how: &Options,
    progress: &dyn Progress,
) -> Result<(Option<FoundSource>, Vec<Proof>), HardenError> {
    let options = match repeat::options(facts, against) {
        Ok(options) => options,
        Err(why) => return Ok((None, unrepeatable(facts, &why))),
    };
    // By its layers: a config often leaves out the variant by which an index names its platform.
    let Some(found) = repeat::find_source(facts, against.source)? else {
        return Ok((None, unrepeatable(facts, &repeat::Unrepeatable::OtherSource)));
    };
    let options =
        Options { platform: Some(found.platform.to_string()), jobs: how.jobs, limits: how.limits, ..options };
    let Analysed { image, rootfs, plan } = match harden::analyse(against.source, &options, progress) {
        Ok(analysed) => analysed,
        Err(error @ (HardenError::User(_) | HardenError::Glob(_))) => {
            return Ok((Some(found), unrepeatable(facts, &repeat::Unrepeatable::Refused(error.to_string()))));
        }
        Err(error) => return Err(error),
    };
    let losses = needs::losses(facts);
    let mut needs = needs::check(facts, &losses);
    repeat::needs(facts, &losses, &rootfs, &plan, &mut needs);
    let source = layers::Source { layers: &image.layers, rootfs: &rootfs, plan: &plan };
    let gone = layers::check_gone(facts, Some(&source));
    let mapped = layers::check_mapped(facts, Some(&source));
    let config = config::check(facts, Some(&image.config));
    let packages = packages::check(facts, Some(&rootfs));
    // Pass 2 needs the verdicts only.
    drop(rootfs);
    let nowhere = Destinations::nowhere();
    let means = Means::new(against.source, &options, progress)?;
    let (again, finished) = harden::carry_out(&means, image, &[], plan, &nowhere)?;
    let mut mount_points = mounts::check(facts);
    repeat::seeding(facts, &again.plan, &mut mount_points);
    let mut provenance = provenance::check(facts);
    repeat::provenance(facts, &again.image, &again.plan, &mut provenance);
    let proofs = vec![
        programs::check(facts),
        needs,
        access::check(facts),
        gone,
        mapped,
        repeat::check(facts, &again, finished.image_id()),
        config,
        packages,
        mount_points,
        provenance,
    ];
    Ok((Some(found), proofs))
}

/// What the image alone tells, where its source cannot be hardened as it was.
fn unrepeatable(facts: &Facts<'_>, why: &repeat::Unrepeatable) -> Vec<Proof> {
    let mut proofs = examine(facts.image, facts.rootfs);
    for proof in &mut proofs {
        // Nothing but the source would have closed these.
        for open in &mut proof.open {
            *open = format!("not compared with the source: {why}");
        }
        proof.open.dedup();
        if proof.promise == Promise::Provenance && *why == repeat::Unrepeatable::OtherSource {
            proof.break_at("source", why.to_string());
        }
    }
    proofs
}
