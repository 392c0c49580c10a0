//! `kiln manifest`: the documents of a hardened image, read back.
//!
//! Does not know where they are kept: that is the pipeline's.

use std::path::Path;

use anyhow::Context as _;

use super::args::{ManifestAction, Platforms};
use super::output::{Target, World};
use super::{Failure, Outcome, Pipeline};

pub(super) fn run(
    action: ManifestAction,
    pipeline: &dyn Pipeline,
    world: &mut World<'_>,
) -> Result<Outcome, Failure> {
    match action {
        ManifestAction::Show { image, platform, registry } => {
            let platform = match platform {
                Some(Platforms::One(platform)) => Some(platform),
                Some(Platforms::All) => {
                    let error =
                        anyhow::anyhow!("`--platform all` is for `kiln harden`: expected one platform");
                    return Err(
                        Failure::usage(error).hint("`kiln manifest pull` writes those of all platforms")
                    );
                }
                None => None,
            };
            let manifest = pipeline.writable_manifest(&image, platform.as_deref(), &registry.into())?;
            world.say(&manifest)?;
        }
        ManifestAction::Pull { image, output, registry } => {
            let documents = pipeline.documents(&image, &registry.into())?;
            directory(&output)?;
            for document in documents {
                let path = output.join(&document.name);
                let target = Target::prepare(&path)?;
                target.write_with(world, |out| out.write_all(&document.bytes))?;
                world.say(&format!("{}\n", path.display()))?;
            }
        }
    }
    Ok(Outcome::Clean)
}

/// Makes sure that `path` is a directory.
pub(super) fn directory(path: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(path)
        .with_context(|| format!("cannot make the directory `{}`", path.display()))
        .map_err(Failure::input)
}
