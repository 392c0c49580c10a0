//! `kiln verify`: an image in, a proof or what speaks against it out.
//!
//! Does not look: that is the pipeline's.

use super::args::{Format, VerifyArgs};
use super::harden::{detail, progress};
use super::output::World;
use super::pipeline::VerifyRequest;
use super::{Failure, Outcome, Pipeline, analysis};
use crate::promise::State;
use crate::report::{Verification, render_verified};

pub(super) fn run(
    args: VerifyArgs,
    pipeline: &dyn Pipeline,
    world: &mut World<'_>,
) -> Result<Outcome, Failure> {
    let request = VerifyRequest {
        image: args.image,
        against: args.against,
        recipes: analysis::recipes(&args.recipe, pipeline)?,
        profile: analysis::profile(&args.profile)?,
        platform: args.platform,
        jobs: args.jobs.unwrap_or_else(analysis::processors),
        limits: args.limits.into(),
        registry: args.registry.into(),
    };
    let found = pipeline.verify(&request, &*progress(&args.talk, world))?;
    let verification = Verification::of(&found.image, &found.platform, found.against.as_ref(), &found.proofs);
    match args.talk.format {
        Format::Json => world.say(&verification.render())?,
        Format::Text if args.talk.quiet => {}
        Format::Text => {
            let text = render_verified(&verification, world.out_style, detail(&args.talk));
            world.say(&text)?;
        }
    }
    // What was to be compared and could not be is not proved.
    let fails = |state| match state {
        State::Held => false,
        State::Open => found.against.is_some(),
        State::Broken => true,
    };
    let failed = found.proofs.iter().any(|proof| fails(proof.state()));
    Ok(if failed { Outcome::Findings } else { Outcome::Clean })
}
