//! `kiln run`: an image in, its app's output and exit status out.
//!
//! Does not run anything: that is the pipeline's.

use std::fmt::Write as _;

use super::args::{Format, RunArgs};
use super::harden::{detail, progress};
use super::output::World;
use super::pipeline::{RunRequest, Said};
use super::{Failure, Outcome, Pipeline};
use crate::report::{Detail, safe};
use crate::run::{Asked, Ended, RunReport};
use crate::sandbox::{Limits, Root};

pub(super) fn run(args: RunArgs, pipeline: &dyn Pipeline, world: &mut World<'_>) -> Result<Outcome, Failure> {
    let limits = Limits::default();
    let detail = detail(&args.start.talk);
    let request = RunRequest {
        image: args.image,
        platform: args.start.platform,
        asked: Asked {
            user: args.app.user,
            args: args.start.args,
            env: args.app.env,
            mounts: args.app.mount,
            root: if args.read_only { Root::ReadOnly } else { Root::Writable },
            limits: Limits {
                memory: args.memory.unwrap_or(limits.memory),
                processes: args.processes.map_or(limits.processes, |number| number.get().into()),
                disk: args.disk.unwrap_or(limits.disk),
            },
            duration: args.duration.map(|seconds| std::time::Duration::from_secs(seconds.get().into())),
        },
        // What is printed is data, and the app's words are not part of it.
        said: if args.start.talk.format == Format::Json { Said::ToStderr } else { Said::ToBoth },
        limits: args.start.limits.into(),
        registry: args.start.registry.into(),
    };
    let report = pipeline.run(&request, &*progress(&args.start.talk, world)).map_err(Failure::of_run)?;
    if args.start.talk.format == Format::Json {
        world.say(&report.render())?;
    } else if !args.start.talk.quiet {
        world.tell(&remarks(&report, detail));
    }
    Ok(Outcome::Ended(match report.ended {
        Ended::Exited(status) => status,
        Ended::Signaled(number) => u8::try_from(number).map_or(u8::MAX, |number| number.saturating_add(128)),
        Ended::Limit(what) => {
            let error = anyhow::anyhow!("the run was ended: it used more than its limit of {what}");
            return Err(Failure::input(error).hint("`kiln run --help` names the limits").of_run());
        }
    }))
}

/// What a person should know of a run that ended.
fn remarks(report: &RunReport, detail: Detail) -> String {
    let mut text = String::new();
    if let Some(why) = &report.ids.why {
        text.push_str("note: with a single id all files belong to the app: ");
        text.push_str(&safe(why));
        text.push('\n');
    }
    let shown = if detail == Detail::Full { report.left_out.len() } else { 1 };
    for left_out in report.left_out.iter().take(shown) {
        let _ = writeln!(text, "note: not as in the image: {} ({})", safe(&left_out.path), left_out.why);
    }
    let more = report.left_out.len().saturating_sub(shown);
    if more > 0 {
        let _ = writeln!(text, "note: not as in the image: {more} more; `--verbose` names them");
    }
    text
}
