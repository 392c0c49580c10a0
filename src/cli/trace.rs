//! `kiln trace`: an image in, a profile of what its app did out.
//!
//! Does not run or watch anything: that is the pipeline's.

use anyhow::anyhow;

use super::args::{Format, RegistryArgs, TalkArgs, TraceArgs, WatchArgs};
use super::harden::{detail, progress};
use super::output::{Target, World};
use super::pipeline::{TraceRequest, Traced};
use super::{Failure, Outcome, Pipeline};
use crate::finding::Severity;
use crate::observe::{Asked, Complaint, Times};
use crate::options::{Options, UserProfile};
use crate::report::{render_profile, safe};
use crate::run;
use crate::sandbox::{Limits, Root};
use crate::trace::Calls;

pub(super) fn run(
    args: TraceArgs,
    pipeline: &dyn Pipeline,
    world: &mut World<'_>,
) -> Result<Outcome, Failure> {
    // Before the long work: a directory that is not there is known now.
    let target = args.output.as_deref().map(Target::prepare_private).transpose()?;
    let request = TraceRequest {
        image: args.image.clone(),
        platform: args.start.platform,
        asked: Asked {
            run: run::Asked {
                user: args.app.user,
                args: args.start.args,
                env: args.app.env,
                mounts: args.app.mount,
                root: Root::Writable,
                limits: Limits::default(),
                duration: Some(std::time::Duration::from_secs(args.duration.into())),
            },
            probe: args.probe,
            exercises: args.exercise,
            times: if args.no_times { Times::Left } else { Times::Told },
            calls: if args.syscalls { Calls::Every } else { Calls::Watched },
        },
        runs: args.runs.get(),
        aloud: args.start.talk.verbose,
        limits: args.start.limits.into(),
        registry: args.start.registry.into(),
    };
    let progress = progress(&args.start.talk, world);
    let traced = pipeline.trace(&request, &*progress)?;
    let to_stdout = args.output.as_ref().is_some_and(|path| path.as_os_str() == "-");
    if let Some(target) = target {
        target.write(&traced.observation.profile.render(), world)?;
    }
    match args.start.talk.format {
        // Written already.
        Format::Json if to_stdout => {}
        Format::Json => world.say(&traced.observation.profile.render())?,
        Format::Text if args.start.talk.quiet => {}
        Format::Text => {
            let style = if to_stdout { world.err_style } else { world.out_style };
            let text =
                render_profile(&traced.observation.profile, &args.image, style, detail(&args.start.talk));
            if to_stdout { world.tell(&text) } else { world.say(&text)? }
        }
    }
    tell_doubts(&traced, args.start.talk.verbose, world);
    let complaints = &traced.observation.complaints;
    Ok(if complaints.is_empty() { Outcome::Clean } else { Outcome::Findings })
}

/// Starts that are watched before hardening: two tell what is constant.
const RUNS: u32 = 2;

/// Watches `image` and gives what hardening takes from it. An app that does not serve shows nothing to harden with.
pub(super) fn before_hardening(
    image: &str,
    watch: &WatchArgs,
    options: &Options,
    registry: &RegistryArgs,
    talk: &TalkArgs,
    pipeline: &dyn Pipeline,
    world: &mut World<'_>,
) -> Result<UserProfile, Failure> {
    let request = TraceRequest {
        image: image.to_owned(),
        platform: options.platform.clone(),
        asked: Asked {
            run: run::Asked {
                user: None,
                args: Vec::new(),
                env: watch.trace_env.clone(),
                mounts: Vec::new(),
                root: Root::Writable,
                limits: Limits::default(),
                duration: Some(std::time::Duration::from_secs(watch.duration.into())),
            },
            probe: watch.probe.clone(),
            exercises: watch.exercise.clone(),
            times: Times::Left,
            calls: Calls::Watched,
        },
        runs: RUNS,
        aloud: talk.verbose,
        limits: options.limits,
        registry: registry.clone().into(),
    };
    let traced = pipeline.trace(&request, &*progress(talk, world))?;
    tell_doubts(&traced, talk.verbose, world);
    // A shell that waits for its server hands no signal on; what such an app does at its end is not in the profile.
    if traced.observation.complaints.iter().all(|complaint| matches!(complaint, Complaint::Killed(_))) {
        return Ok(UserProfile::new(traced.observation.profile));
    }
    let is_driven =
        |complaint: &Complaint| matches!(complaint, Complaint::Exercise { .. } | Complaint::Killed(_));
    let what = if traced.observation.complaints.iter().all(is_driven) {
        "what should have driven it failed"
    } else {
        "it did not start and serve"
    };
    let error = anyhow!("`{image}` was watched, and {what}: nothing is written");
    Err(Failure::findings(error, Vec::new()).hint(
        "`--probe` says what it answers, `--trace-env` what it needs; `kiln trace -v` shows what it says; without `--trace` the image alone decides",
    ))
}

/// Says what makes a profile tell less than it might.
fn tell_doubts(traced: &Traced, verbose: bool, world: &mut World<'_>) {
    if let Some(why) = &traced.observation.single_id {
        let note =
            format!("note: the app had a single id, so that owners and users could not change: {why}\n");
        world.tell(&note);
    }
    let complaints = &traced.observation.complaints;
    for complaint in complaints {
        let head = world.err_style.severity(Severity::High, "incomplete:");
        world.tell(&format!("{head} {}\n", safe(&complaint.to_string())));
    }
    if !complaints.is_empty() && !verbose {
        tell_last_words(&traced.last_words, world);
    }
}

/// Most lines of an app's last words that are told.
const LINES: usize = 12;

fn tell_last_words(words: &[u8], world: &mut World<'_>) {
    let text = String::from_utf8_lossy(words);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = lines.get(lines.len().saturating_sub(LINES)..).unwrap_or_default();
    if last.is_empty() {
        return;
    }
    let heading = world.err_style.heading("the app's last words:");
    world.tell(&format!("{heading}\n"));
    for line in last {
        world.tell(&format!("  {}\n", safe(line)));
    }
}
