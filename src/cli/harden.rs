//! `kiln harden`: options in, documents and a summary out.
//!
//! Does not harden: that is the pipeline's.

use std::cell::LazyCell;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use anyhow::anyhow;

use super::args::{Format, HardenArgs, Platforms, TalkArgs};
use super::output::{Target, World};
use super::progress::Drawn;
use super::{
    Failure, HardenRequest, Hardened, HardenedPlatforms, Outcome, Pipeline, Referrers, TrialRequest,
    analysis, trace,
};
use crate::digest;
use crate::harden::Way;
use crate::options::UserProfile;
use crate::profile::Profile;
use crate::progress::{Progress, Silent};
use crate::report::{Detail, Report, ReportIndex, Style, render_hardened, render_hardened_index};

pub(super) fn run(
    mut args: HardenArgs,
    pipeline: &dyn Pipeline,
    world: &mut World<'_>,
) -> Result<Outcome, Failure> {
    let stdout = claims(&args)?;
    let all = args.analysis.platform.take_if(|platform| *platform == Platforms::All).is_some();
    let runs_one_image = args.watch.trace || args.watch.verify || !args.analysis.profile.is_empty();
    if all && runs_one_image {
        return Err(Failure::usage(anyhow!(
            "`--platform all` with runs of one image: expected one platform"
        )));
    }
    let mut options = analysis::options(args.analysis, pipeline)?;
    options.compression = args.compression;
    // Before the long work: a directory that is not there is known now.
    let prepare = |path: Option<&Path>| path.map(Target::prepare).transpose();
    let report_to = prepare(args.report.as_deref())?;
    let manifest_to = prepare(args.manifest.as_deref())?;
    let pod_to = prepare(args.pod.as_deref())?;
    let profile_to = args.watch.save_profile.as_deref().map(Target::prepare_private).transpose()?;
    if args.watch.trace {
        let own = trace::before_hardening(
            &args.image,
            &args.watch,
            &options,
            &args.registry,
            &args.talk,
            pipeline,
            world,
        )?;
        if profile_to.is_none() && !args.talk.quiet {
            world.tell(
                "note: `kiln verify --against` will ask for the profile, which `--save-profile` writes\n",
            );
        }
        options.profile = Some(Arc::new(own));
    }
    let mut request = HardenRequest {
        source: args.image,
        destinations: args.output,
        options,
        registry: args.registry.into(),
        referrers: if args.no_referrers { Referrers::Left } else { Referrers::Pushed },
        pod_name: args.pod_name,
        pod_image: args.pod_image,
        pod_source_image: args.pod_source_image,
        tried: None,
    };
    let progress = progress(&args.talk, world);
    let trial = TrialRequest {
        env: args.watch.trace_env,
        probe: args.watch.probe,
        exercises: args.watch.exercise,
        rounds: args.watch.rounds,
    };
    if args.watch.trace {
        let_source_prepare(&mut request, &trial, pipeline, &*progress)?;
        if let (Some(target), Some(own)) = (profile_to, &request.options.profile) {
            target.write(&own.profile.render(), world)?;
        }
    }
    if args.watch.verify {
        settle(&mut request, &trial, &args.talk, pipeline, &*progress, world)?;
    }
    let done =
        if all { several(pipeline, &request, &*progress)? } else { one(pipeline, &request, &*progress)? };

    if args.talk.verbose {
        world.tell(&ways(&done.ways));
    }
    if let Some(target) = manifest_to {
        target.write(&done.manifest, world)?;
    }
    if let Some(target) = pod_to {
        target.write(&done.pod, world)?;
    }
    if let Some(target) = report_to {
        target.write_with(world, |out| done.report.write_to(out))?;
    }
    match (args.talk.format, stdout) {
        (Format::Json, _) => world.say_with(|out| done.report.write_to(out))?,
        (Format::Text, _) if args.talk.quiet => {}
        (Format::Text, Stdout::Free) => {
            let text = done.report.summary(world.out_style, detail(&args.talk));
            world.say(&text)?;
        }
        (Format::Text, Stdout::Taken) => {
            let text = done.report.summary(world.err_style, detail(&args.talk));
            world.tell(&text);
        }
    }
    Ok(Outcome::Clean)
}

/// Puts a command of the source that prepares what only its script makes into the profile, where there is one.
fn let_source_prepare(
    request: &mut HardenRequest,
    trial: &TrialRequest,
    pipeline: &dyn Pipeline,
    progress: &dyn Progress,
) -> Result<(), Failure> {
    let preparing = pipeline.prepare(request, trial, progress)?;
    if let (Some(preparing), Some(own)) = (preparing, &request.options.profile) {
        let profile = Profile { preparing: Some(preparing), ..own.profile.clone() };
        request.options.profile = Some(Arc::new(UserProfile::new(profile)));
    }
    Ok(())
}

/// Hardens and tries until it holds: what the image is written with then.
fn settle(
    request: &mut HardenRequest,
    trial: &TrialRequest,
    talk: &TalkArgs,
    pipeline: &dyn Pipeline,
    progress: &dyn Progress,
    world: &mut World<'_>,
) -> Result<(), Failure> {
    let settled = pipeline.settle(request, trial, progress)?;
    if !settled.holds {
        world.tell(&settled.trial.render(world.err_style, detail(talk)));
        let error = anyhow!(
            "`{}` does not hold under its pod once it is hardened: nothing is written",
            request.source
        );
        return Err(Failure::findings(error, Vec::new()).hint(
            "what failed is told above; `--keep`, `--writable`, `--user` and `--trace-env` give what it needs, `--level strip` removes less",
        ));
    }
    request.options = settled.options;
    request.tried = Some((settled.digest, settled.trial));
    Ok(())
}

/// What is told of a hardening, for one platform or several.
struct Done {
    /// Made where somebody reads it.
    report: LazyCell<Told, Box<dyn FnOnce() -> Told>>,
    manifest: String,
    pod: String,
    ways: Vec<Way>,
}

/// How layers came to be what they are, and what hashed them.
fn ways(ways: &[Way]) -> String {
    let of = |way: Way| ways.iter().filter(|found| **found == way).count();
    format!(
        "note: layers: {} kept as stored, {} from the cache, {} edited as compressed, {} compressed anew; SHA-256 {}\n",
        of(Way::Untouched),
        of(Way::Cached),
        of(Way::Edited),
        of(Way::Compressed),
        digest::engine()
    )
}

enum Told {
    One(Box<Report>),
    Several(ReportIndex),
}

impl Told {
    fn write_to(&self, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::One(report) => report.write_to(out),
            Self::Several(report) => report.write_to(out),
        }
    }

    fn summary(&self, style: Style, detail: Detail) -> String {
        match self {
            Self::One(report) => render_hardened(report, style, detail),
            Self::Several(report) => render_hardened_index(report, style, detail),
        }
    }
}

fn one(pipeline: &dyn Pipeline, request: &HardenRequest, progress: &dyn Progress) -> Result<Done, Failure> {
    let Hardened { plan, context, manifest, pod, ways, .. } = pipeline.harden(request, progress)?;
    let report = move || Told::One(Box::new(Report::of(&plan, &context)));
    Ok(Done { report: LazyCell::new(Box::new(report)), manifest, pod, ways })
}

fn several(
    pipeline: &dyn Pipeline,
    request: &HardenRequest,
    progress: &dyn Progress,
) -> Result<Done, Failure> {
    let hardened = pipeline.harden_platforms(request, progress)?;
    let HardenedPlatforms { platforms, context, findings, manifest, pod, ways, .. } = hardened;
    let report = move || {
        let reports = platforms.iter().map(|(plan, context)| Report::of(plan, context)).collect();
        Told::Several(ReportIndex::of(&context, &findings, reports))
    };
    Ok(Done { report: LazyCell::new(Box::new(report)), manifest, pod, ways })
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
    let images = args.output.iter().filter(|name| is_stream(name)).map(|name| format!("-o {name}"));
    let documents = [
        ("--pod -", dash(&args.pod)),
        ("--manifest -", dash(&args.manifest)),
        ("--report -", dash(&args.report)),
        ("--save-profile -", dash(&args.watch.save_profile)),
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

/// Whether the image name `TRANSPORT:-[:REF]` means stdin or stdout.
fn is_stream(name: &str) -> bool {
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
