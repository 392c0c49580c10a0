//! `kiln cache`: what is kept of images for the next run.
//!
//! Does not know what that is; `cache` does.

use anyhow::Error;

use super::args::KeptAction;
use super::output::World;
use super::{Failure, Outcome};
use crate::cache::{Cache, Usage};
use crate::options::CacheSettings;
use crate::report::{count, human};

pub(super) fn run(action: KeptAction, world: &mut World<'_>) -> Result<Outcome, Failure> {
    let usage = match action {
        KeptAction::Size { cache_dir: directory } => {
            Cache::usage(&CacheSettings { directory, ..CacheSettings::default() })
        }
        KeptAction::Prune { cache_dir: directory, keep: limit } => {
            Cache::prune(&CacheSettings { directory, limit })
        }
    };
    let Usage { indexes, plans, layers, bytes } = usage.map_err(|error| Failure::input(Error::new(error)))?;
    let (indexes, plans) = (count(indexes, "index", "indexes"), count(plans, "plan", "plans"));
    let layers = count(layers, "layer", "layers");
    world.say(&format!("{}: {indexes} of layers, {plans}, {layers} written again\n", human(bytes)))?;
    Ok(Outcome::Clean)
}
