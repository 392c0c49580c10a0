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
use crate::cache::{Cache, PlanKey};
use crate::digest::BlobDigest;
use crate::finding::Code;
use crate::image::{Companion, FinishedImage, FinishedLayer, LayerDescriptor, Platform, Published};
use crate::layer::spool::Unpacked;
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

/// What every stage of a run has at hand.
pub struct Means<'a> {
    source: &'a dyn Source,
    options: &'a Options,
    cache: Cache,
    progress: &'a dyn Progress,
}

/// What the layers of an image unpack to, as far as that was kept.
type Kept = Vec<Option<Unpacked<Scratch>>>;

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

impl<'a> Means<'a> {
    /// Opens the cache that `options` name.
    pub fn new(
        source: &'a dyn Source,
        options: &'a Options,
        progress: &'a dyn Progress,
    ) -> Result<Self, HardenError> {
        let cache = Cache::open(options.cache.as_ref()).map_err(HardenError::Cache)?;
        Ok(Self { source, options, cache, progress })
    }

    fn image(&self, platform: Option<&Platform>) -> Result<SourceImage, HardenError> {
        self.source.image(platform).map_err(HardenError::Source)
    }

    fn rootfs(&self, image: &SourceImage) -> Result<Rootfs, HardenError> {
        self.rootfs_for(image, None).map(|(rootfs, _)| rootfs)
    }

    /// The tree of `image`, and what its layers unpack to, as far as that was kept for `destinations`.
    fn rootfs_for(
        &self,
        image: &SourceImage,
        destinations: Option<&Destinations>,
    ) -> Result<(Rootfs, Kept), HardenError> {
        let known = read::layers(self, &image.layers, destinations)?;
        let (indexes, kept) = known.into_iter().map(|layer| (layer.index, layer.unpacked)).unzip();
        Ok((Rootfs::merge(indexes).map_err(HardenError::Merge)?, kept))
    }

    /// An error where findings of `plan` keep the image from being written.
    fn refuse(&self, plan: &Plan) -> Result<(), HardenError> {
        let refused = self.options.refused(&plan.findings);
        if refused.is_empty() {
            return Ok(());
        }
        // Pass 2, which does it else, does not come.
        self.cache.trim();
        Err(HardenError::Refused(refused))
    }
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
    let platform = platform(options)?;
    check(options)?;
    let means = Means::new(source, options, progress)?;
    let image = means.image(platform.as_ref())?;
    let rootfs = means.rootfs(&image)?;
    // Pass 2, which does it else, does not come.
    means.cache.trim();
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
    let platform = platform(options)?;
    let means = Means::new(source, options, progress)?;
    let (mut hardened, finished) = make(&means, platform.as_ref(), &destinations)?;
    let published = Published::Image(finished);
    let companions = companions(&mut hardened, &published)?;
    destinations.commit(&published, &companions).map_err(HardenError::Sink)?;
    Ok(hardened)
}

/// Hardens the image for one platform; its blobs are staged, and nothing of it is visible yet.
fn make(
    means: &Means<'_>,
    platform: Option<&Platform>,
    destinations: &Destinations,
) -> Result<(Hardened, FinishedImage), HardenError> {
    let Means { options, cache, .. } = means;
    check(options)?;
    let image = means.image(platform)?;
    if let Some(version) = again::claim(&image) {
        return make_of_claimed(means, image, &version, destinations);
    }
    let key = PlanKey::new(&image, options);
    let (plan, kept) = if let Some(known) = cache.plan(&key, &image.layers) {
        (known, Kept::new())
    } else {
        // The tree goes: pass 2 needs the verdicts only, and memory must not grow with the image.
        let (rootfs, kept) = means.rootfs_for(&image, Some(destinations))?;
        let plan = decide_on(&image, &rootfs, options)?;
        cache.keep_plan(&key, &plan);
        (plan, kept)
    };
    means.refuse(&plan)?;
    carry_out(means, image, &kept, plan, destinations)
}

/// As [`make`], of an image that says that kiln hardened it. Its files tell whether it did, so no plan stands for them.
fn make_of_claimed(
    means: &Means<'_>,
    image: SourceImage,
    version: &str,
    destinations: &Destinations,
) -> Result<(Hardened, FinishedImage), HardenError> {
    let rootfs = means.rootfs(&image)?;
    let finding = match again::examine(&image, version, &rootfs) {
        Claim::True(manifest) => {
            again::check_options(&image, means.options)?;
            return again::pass_on(means.source, image, &rootfs, *manifest, destinations);
        }
        Claim::False(finding) => finding,
    };
    let mut plan = decide_on(&image, &rootfs, means.options)?;
    drop(rootfs);
    plan.findings.push(finding);
    plan.findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    means.refuse(&plan)?;
    carry_out(means, image, &[], plan, destinations)
}

/// Makes of `image`, of which pass 1 left `kept`, what `plan` says; its blobs are staged, and nothing of it is visible yet.
pub fn carry_out(
    means: &Means<'_>,
    image: SourceImage,
    kept: &[Option<Unpacked<Scratch>>],
    mut plan: Plan,
    destinations: &Destinations,
) -> Result<(Hardened, FinishedImage), HardenError> {
    let options = means.options;
    let manifest = record::manifest(&image, &plan, options);
    record::embed(&mut plan, &manifest);
    let made = write::layers(means, &image.layers, kept, &plan, destinations)?;
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
    let means = Means::new(source, options, progress)?;
    let image = means.image(platform)?;
    let rootfs = means.rootfs(&image)?;
    Ok((image, rootfs))
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
