//! The main job: an image in, a hardened image and its documents out.
//!
//! Each stage is a function of its own; this module calls them in order and opens nothing itself.

mod again;
mod error;
mod parallel;
mod platforms;
mod read;
pub mod record;
mod write;

pub use error::HardenError;
pub use platforms::{HardenedIndex, harden_platforms};
pub use record::MANIFEST_PATH;
pub use write::Way;

use again::Claim;

use crate::accounts::Accounts;
use crate::cache::Cache;
use crate::digest::BlobDigest;
use crate::finding::Code;
use crate::image::{Companion, FinishedImage, FinishedLayer, LayerDescriptor, Platform, Published};
use crate::layer::spool::{self, Unpacked};
use crate::manifest::Manifest;
use crate::options::{Builtin, Options};
use crate::packages::Database;
use crate::path::glob::PathGlobs;
use crate::plan::decide::decide;
use crate::plan::known::Known;
use crate::plan::{Level, Plan};
use crate::progress::Progress;
use crate::recipe::{self, Recipe};
use crate::rootfs::Rootfs;
use crate::sink::{Destinations, Scratch};
use crate::source::{Source, SourceImage};

/// An image that was read and decided on.
pub struct Analysed {
    /// Its documents.
    pub image: SourceImage,
    /// Its merged tree.
    pub rootfs: Rootfs,
    /// What would happen to it.
    pub plan: Plan,
}

/// An image that was hardened and written.
pub struct Hardened {
    /// The source's documents.
    pub image: SourceImage,
    /// What happened to it.
    pub plan: Plan,
    /// The writable manifest, as it is in the image.
    pub manifest: Manifest,
    /// Digest of the new image's manifest.
    pub digest: BlobDigest,
    /// The new layers, base first; kiln's own is the last.
    pub layers: Vec<FinishedLayer>,
    /// How each of the source's layers came to be what it is.
    pub ways: Vec<Way>,
}

impl Hardened {
    /// Whether it was hardened before, so that nothing was done to it.
    pub fn is_passed_on(&self) -> bool {
        self.plan.findings.iter().any(|finding| finding.code == Code::AlreadyHardened)
    }
}

/// Reads an image and decides; writes nothing.
pub fn analyse(
    source: &dyn Source,
    options: &Options,
    progress: &dyn Progress,
) -> Result<Analysed, HardenError> {
    analyse_for(source, platform(options)?.as_ref(), options, progress)
}

fn analyse_for(
    source: &dyn Source,
    platform: Option<&Platform>,
    options: &Options,
    progress: &dyn Progress,
) -> Result<Analysed, HardenError> {
    check(options)?;
    let (image, rootfs) = read(source, platform, options, progress)?;
    // Pass 2, which does it else, does not come.
    Cache::open(options.cache.as_ref()).map_err(HardenError::Cache)?.trim();
    let plan = decide_on(&image, &rootfs, options)?;
    Ok(Analysed { image, rootfs, plan })
}

/// What is wrong with options whatever the image is.
fn check(options: &Options) -> Result<(), HardenError> {
    if options.level == Level::Minimal && options.profile.is_none() {
        return Err(HardenError::Unwatched);
    }
    for globs in [&options.keep, &options.strip] {
        PathGlobs::new(globs).map_err(HardenError::Glob)?;
    }
    Ok(())
}

/// What would happen to `image`, whose tree is `rootfs`.
pub fn decide_on(image: &SourceImage, rootfs: &Rootfs, options: &Options) -> Result<Plan, HardenError> {
    let expected = record::chain_id(&image.config.diff_ids).to_string();
    if let Some(own) = options.profile.as_ref().filter(|own| own.profile.image.chain_id != expected) {
        return Err(HardenError::Profile { expected, found: own.profile.image.chain_id.clone() });
    }
    // Layers may be the same, as of an image that only calls itself otherwise.
    let (own, platform) = (options.profile.as_ref(), &image.config.platform);
    let found = own.and_then(|own| own.profile.image.platform.parse::<Platform>().ok());
    if let Some(found) = found.filter(|found| found.architecture() != platform.architecture()) {
        return Err(HardenError::ProfilePlatform {
            expected: platform.to_string(),
            found: found.to_string(),
        });
    }
    let packages = Database::read(rootfs);
    let accounts = Accounts::read(rootfs);
    let recipes = recipes(options);
    let known = Known::new(rootfs, &image.config, packages.as_ref(), &accounts, &recipes, options);
    decide(&known).map_err(HardenError::User)
}

/// Hardens an image into every destination, whole or not at all.
pub fn harden(
    source: &dyn Source,
    options: &Options,
    destinations: Destinations,
    progress: &dyn Progress,
) -> Result<Hardened, HardenError> {
    harden_with(source, options, destinations, &mut |_, _| Ok(Vec::new()), progress)
}

/// Makes the documents that go with a hardened image, or says why it is not to be written.
pub type MakeCompanions<'a> =
    dyn FnMut(&mut Hardened, &Published) -> Result<Vec<Companion>, HardenError> + 'a;

/// As [`harden`]; `companions` makes the documents that go with the image where a destination keeps them, before it is
/// visible; where it fails, it never is.
pub fn harden_with(
    source: &dyn Source,
    options: &Options,
    destinations: Destinations,
    companions: &mut MakeCompanions<'_>,
    progress: &dyn Progress,
) -> Result<Hardened, HardenError> {
    let (mut hardened, finished) =
        make(source, platform(options)?.as_ref(), options, &destinations, progress)?;
    let published = Published::Image(finished);
    let companions = companions(&mut hardened, &published)?;
    destinations.commit(&published, &companions).map_err(HardenError::Sink)?;
    Ok(hardened)
}

/// Hardens the image for one platform; its blobs are staged, and nothing of it is visible yet.
fn make(
    source: &dyn Source,
    platform: Option<&Platform>,
    options: &Options,
    destinations: &Destinations,
    progress: &dyn Progress,
) -> Result<(Hardened, FinishedImage), HardenError> {
    check(options)?;
    let (image, rootfs, unpacked) =
        read_into(source, platform, options, &|| destinations.scratch(spool::FREE), progress)?;
    let claim = again::examine(&image, &rootfs);
    if let Some(Claim::True(manifest)) = claim {
        again::check_options(&image, options)?;
        return again::pass_on(source, image, &rootfs, *manifest, destinations);
    }
    let mut plan = decide_on(&image, &rootfs, options)?;
    if let Some(Claim::False(finding)) = claim {
        plan.findings.push(finding);
        plan.findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    }
    let refused = options.refused(&plan.findings);
    if !refused.is_empty() {
        return Err(HardenError::Refused(refused));
    }
    // Pass 2 needs the verdicts only, and memory must not grow with the image.
    drop(rootfs);
    carry_out_from(source, image, &unpacked, plan, options, destinations, progress)
}

/// Makes of `image` what `plan` says; its blobs are staged, and nothing of it is visible yet.
pub fn carry_out(
    source: &dyn Source,
    image: SourceImage,
    plan: Plan,
    options: &Options,
    destinations: &Destinations,
    progress: &dyn Progress,
) -> Result<(Hardened, FinishedImage), HardenError> {
    carry_out_from(source, image, &[], plan, options, destinations, progress)
}

/// The same with what is left of pass 1.
fn carry_out_from(
    source: &dyn Source,
    image: SourceImage,
    unpacked: &[Option<Unpacked<Scratch>>],
    mut plan: Plan,
    options: &Options,
    destinations: &Destinations,
    progress: &dyn Progress,
) -> Result<(Hardened, FinishedImage), HardenError> {
    let manifest = record::manifest(&image, &plan, options);
    record::embed(&mut plan, &manifest);
    let made = write::layers(source, &image.layers, unpacked, &plan, destinations, options, progress)?;
    let (mut layers, ways): (Vec<_>, Vec<_>) = made.into_iter().unzip();
    let unchanged = image.layers.iter().zip(&layers).all(|(before, after)| before.digest == after.digest);
    layers.push(write::own_layer(layers.len(), &plan.additions, destinations, options.compression)?);
    let finished = record::image(&image, &plan, options, layers, unchanged);
    let layers = finished.layers.clone();
    let digest = finished.manifest_digest();
    Ok((Hardened { image, plan, manifest, digest, layers, ways }, finished))
}

/// Reads an image's documents and layers.
pub fn read(
    source: &dyn Source,
    platform: Option<&Platform>,
    options: &Options,
    progress: &dyn Progress,
) -> Result<(SourceImage, Rootfs), HardenError> {
    let (image, rootfs, _) = read_into(source, platform, options, &|| None, progress)?;
    Ok((image, rootfs))
}

/// What pass 1 leaves: documents, the tree, and what layers unpack to, where that was kept.
type PassOne = (SourceImage, Rootfs, Vec<Option<Unpacked<Scratch>>>);

/// The same; what layers unpack to is kept where `scratch` gives a file for it.
fn read_into(
    source: &dyn Source,
    platform: Option<&Platform>,
    options: &Options,
    scratch: &(dyn Fn() -> Option<Scratch> + Sync),
    progress: &dyn Progress,
) -> Result<PassOne, HardenError> {
    let image = source.image(platform).map_err(HardenError::Source)?;
    let cache = Cache::open(options.cache.as_ref()).map_err(HardenError::Cache)?;
    let known = read::layers(source, &image.layers, options, &cache, scratch, progress)?;
    let (indexes, unpacked) = known.into_iter().map(|layer| (layer.index, layer.unpacked)).unzip();
    let rootfs = Rootfs::merge(indexes).map_err(HardenError::Merge)?;
    Ok((image, rootfs, unpacked))
}

fn platform(options: &Options) -> Result<Option<Platform>, HardenError> {
    options.platform.as_ref().map(|text| text.parse()).transpose().map_err(HardenError::Platform)
}

fn recipes(options: &Options) -> Vec<Recipe> {
    let own = options.recipes.iter().map(|user| user.recipe.clone());
    let builtin = match options.builtin {
        Builtin::Used => recipe::builtin(),
        Builtin::Ignored => &[],
    };
    own.chain(builtin.iter().cloned()).collect()
}

/// Bytes of stored layers, for progress.
fn stored_bytes(layers: &[LayerDescriptor]) -> u64 {
    layers.iter().fold(0, |sum, layer| sum.saturating_add(layer.size))
}
