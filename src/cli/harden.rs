//! `kiln harden`: options in, documents and a summary out.
//!
//! Does not harden: that is the pipeline's.

use std::path::Path;

use anyhow::anyhow;

use super::args::{Format, HardenArgs, TalkArgs};
use super::output::{Target, World};
use super::progress::Drawn;
use super::{Failure, HardenRequest, Outcome, Pipeline, analysis};
use crate::progress::{Progress, Silent};
use crate::report::{Detail, Report, render_hardened};

pub(super) fn run(
    args: HardenArgs,
    pipeline: &dyn Pipeline,
    world: &mut World<'_>,
) -> Result<Outcome, Failure> {
    let stdout = claims(&args)?;
    let (options, threshold) = analysis::options(args.analysis, pipeline)?;
    // Before the long work: a directory that is not there is known now.
    let prepare = |path: Option<&Path>| path.map(Target::prepare).transpose();
    let report_to = prepare(args.report.as_deref())?;
    let manifest_to = prepare(args.manifest.as_deref())?;
    let pod_to = prepare(args.pod.as_deref())?;
    let request = HardenRequest {
        source: args.image,
        destinations: args.output,
        options,
        pod_name: args.pod_name,
        pod_image: args.pod_image,
    };
    let hardened = pipeline.harden(&request, &*progress(&args.talk, world))?;

    let report = Report::of(&hardened.plan, &hardened.context);
    if let Some(target) = manifest_to {
        target.write(&hardened.manifest, world)?;
    }
    if let Some(target) = pod_to {
        target.write(&hardened.pod, world)?;
    }
    if let Some(target) = report_to {
        target.write(&report.render(), world)?;
    }
    match (args.talk.format, stdout) {
        (Format::Json, _) => world.say(&report.render())?,
        (Format::Text, _) if args.talk.quiet => {}
        (Format::Text, Stdout::Free) => {
            let text = render_hardened(&report, world.out_style, detail(&args.talk));
            world.say(&text)?;
        }
        (Format::Text, Stdout::Taken) => {
            let text = render_hardened(&report, world.err_style, detail(&args.talk));
            world.tell(&text);
        }
    }
    let (outcome, remark) = threshold.judge(&hardened.plan.findings);
    world.tell(&remark.unwrap_or_default());
    Ok(outcome)
}

/// Whether something that was asked for goes to stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stdout {
    Free,
    Taken,
}

/// What goes to stdout besides the summary; two things there would be neither.
fn claims(args: &HardenArgs) -> Result<Stdout, Failure> {
    let dash = |path: &Option<std::path::PathBuf>| path.as_ref().is_some_and(|path| path.as_os_str() == "-");
    let images = args.output.iter().filter(|name| is_stdout(name)).map(|name| format!("-o {name}"));
    let documents = [
        ("--pod -", dash(&args.pod)),
        ("--manifest -", dash(&args.manifest)),
        ("--report -", dash(&args.report)),
    ];
    let mut claims: Vec<String> = images.collect();
    claims.extend(documents.iter().filter(|(_, claimed)| *claimed).map(|(name, _)| (*name).to_owned()));
    if args.talk.format == Format::Json {
        claims.push("--format json".into());
    }
    match claims.as_slice() {
        [] => Ok(Stdout::Free),
        [_] => Ok(Stdout::Taken),
        [first, second, ..] => Err(Failure::usage(anyhow!("`{first}` and `{second}` both write to stdout"))),
    }
}

/// Whether the image name `TRANSPORT:-[:REF]` means stdout.
fn is_stdout(name: &str) -> bool {
    name.split(':').nth(1) == Some("-")
}

/// How much is told.
pub(super) fn detail(talk: &TalkArgs) -> Detail {
    if talk.verbose { Detail::Full } else { Detail::Short }
}

/// Draws progress only where a person sees it.
pub(super) fn progress(talk: &TalkArgs, world: &World<'_>) -> Box<dyn Progress> {
    if world.progress && !talk.quiet { Box::new(Drawn::new()) } else { Box::new(Silent) }
}
