//! `kiln inspect`: options in, what is in an image out.
//!
//! Does not look: that is the pipeline's.

use super::args::{Format, InspectArgs};
use super::harden::{detail, progress};
use super::output::World;
use super::{Failure, Outcome, Pipeline, analysis};
use crate::report::{Inspection, count, render_inspected};

pub(super) fn run(
    args: InspectArgs,
    pipeline: &dyn Pipeline,
    world: &mut World<'_>,
) -> Result<Outcome, Failure> {
    let options = analysis::options(args.analysis, pipeline)?;
    let seen =
        pipeline.inspect(&args.image, &options, &args.registry.into(), &*progress(&args.talk, world))?;
    let inspection = Inspection::of(&seen.plan, &seen.rootfs, &seen.facts, &seen.context);
    match args.talk.format {
        Format::Json => world.say(&inspection.render())?,
        Format::Text if args.talk.quiet => {}
        Format::Text => {
            let text = render_inspected(&inspection, world.out_style, detail(&args.talk));
            world.say(&text)?;
        }
    }
    let refused = options.refused(&seen.plan.findings);
    if refused.is_empty() {
        return Ok(Outcome::Clean);
    }
    world.tell(&format!("strict: {} of severity high\n", count(refused.len() as u64, "finding", "findings")));
    Ok(Outcome::Findings)
}
