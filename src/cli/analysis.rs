//! From typed arguments to options: reads the recipes and profiles that are named, and counts the processors.
//!
//! Does not know what an image holds.

use std::io::Read as _;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, anyhow};

use super::args::{AnalysisArgs, CacheArgs, LimitArgs, Platforms};
use super::{Failure, Pipeline};
use crate::digest::BlobDigest;
use crate::limits::{Limits, Size};
use crate::options::{Builtin, CacheSettings, Compression, Options, Refusal, UserProfile, UserRecipe};
use crate::profile::Profile;

/// Largest recipe read: a hundred times the largest that kiln brings.
const MAX_RECIPE: u64 = 1 << 20;
/// Largest profile read: all lists of one at their limits, with long paths.
const MAX_PROFILE: u64 = 256 << 20;

/// The options that `args` mean. Who can work on all platforms takes that word off first.
pub(super) fn options(args: AnalysisArgs, pipeline: &dyn Pipeline) -> Result<Options, Failure> {
    let platform = match args.platform {
        Some(Platforms::All) => {
            return Err(Failure::usage(anyhow!(
                "`--platform all` is for `kiln harden`: expected one platform"
            )));
        }
        Some(Platforms::One(platform)) => Some(platform),
        None => None,
    };
    let recipes = recipes(&args.recipe, pipeline)?;
    Ok(Options {
        level: args.level,
        platform,
        keep: args.keep,
        strip: args.strip,
        user: args.user,
        recipes,
        builtin: if args.no_recipes { Builtin::Ignored } else { Builtin::Used },
        writable: args.writable,
        profile: profile(&args.profile)?,
        refusal: if args.strict { Refusal::High } else { Refusal::Never },
        jobs: args.jobs.unwrap_or_else(processors),
        limits: args.limits.into(),
        compression: Compression::default(),
        cache: args.cache.into(),
    })
}

impl From<CacheArgs> for Option<CacheSettings> {
    fn from(CacheArgs { cache_dir: directory, cache_size, no_cache }: CacheArgs) -> Self {
        let limit = cache_size.unwrap_or(CacheSettings::LIMIT);
        (!no_cache).then_some(CacheSettings { directory, limit })
    }
}

impl From<LimitArgs> for Limits {
    fn from(args: LimitArgs) -> Self {
        Self { entries: args.max_entries, size: args.max_size.map_or(Size::Proportionate, Size::AtMost) }
    }
}

/// What hardening takes of the profiles in the files at `paths`; none where there are no files.
pub(super) fn profile(paths: &[PathBuf]) -> Result<Option<Arc<UserProfile>>, Failure> {
    Ok(united(paths)?.map(|profile| Arc::new(UserProfile::new(profile))))
}

/// The profiles in the files at `paths`, united; none where there are no files.
pub(super) fn united(paths: &[PathBuf]) -> Result<Option<Profile>, Failure> {
    let mut profiles = Vec::new();
    for path in paths {
        let named = || format!("profile `{}`", path.display());
        let text = read_text(path, MAX_PROFILE).with_context(named).map_err(Failure::input)?;
        profiles.push(Profile::parse(&text).with_context(named).map_err(Failure::input)?);
    }
    if profiles.is_empty() {
        return Ok(None);
    }
    // Given in another order they are the same.
    profiles.sort_by_cached_key(Profile::render);
    Profile::merge(profiles).map(Some).map_err(Failure::input)
}

/// The recipes in the files at `paths`, in order.
pub(super) fn recipes(paths: &[PathBuf], pipeline: &dyn Pipeline) -> Result<Vec<UserRecipe>, Failure> {
    let mut recipes = Vec::new();
    for path in paths {
        let text = read_recipe(path)?;
        let recipe = pipeline.parse_recipe(&path.to_string_lossy(), &text).map_err(|problems| {
            Failure::input(anyhow!("recipe `{}`: {}", path.display(), problems.join("; ")))
                .hint(format!("`kiln recipe lint {}` tells them one by one", path.display()))
        })?;
        recipes.push(UserRecipe { recipe, digest: BlobDigest::of(text.as_bytes()) });
    }
    Ok(recipes)
}

/// The text of the recipe at `path`.
pub(super) fn read_recipe(path: &Path) -> Result<String, Failure> {
    read_text(path, MAX_RECIPE)
        .with_context(|| format!("recipe `{}`", path.display()))
        .map_err(Failure::input)
}

fn read_text(path: &Path, most: u64) -> anyhow::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(most + 1).read_to_string(&mut text)?;
    if text.len() as u64 > most {
        return Err(anyhow!("longer than {most} bytes"));
    }
    Ok(text)
}

/// How many threads this machine runs at once.
pub(super) fn processors() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}
