//! `kiln trace`: an image in, a profile of what its app did out.
//!
//! Does not run or watch anything: that is the pipeline's.

use super::args::{Format, TraceArgs};
use super::harden::{detail, progress};
use super::output::{Target, World};
use super::pipeline::TraceRequest;
use super::{Failure, Outcome, Pipeline};
use crate::finding::Severity;
use crate::observe::{Asked, Times};
use crate::report::{render_profile, safe};
use crate::run;
use crate::sandbox::{Limits, Root};

pub(super) fn run(
    args: TraceArgs,
    pipeline: &dyn Pipeline,
    world: &mut World<'_>,
) -> Result<Outcome, Failure> {
    // Before the long work: a directory that is not there is known now.
    let target = args.output.as_deref().map(Target::prepare).transpose()?;
    let request = TraceRequest {
        image: args.image.clone(),
        platform: args.platform,
        asked: Asked {
            run: run::Asked {
                user: args.app.user,
                args: args.args,
                env: args.app.env,
                mounts: args.app.mount,
                root: Root::Writable,
                limits: Limits::default(),
                duration: Some(std::time::Duration::from_secs(args.duration.into())),
            },
            probe: args.probe,
            exercises: args.exercise,
            times: if args.no_times { Times::Left } else { Times::Told },
        },
        runs: args.runs.get(),
        aloud: args.talk.verbose,
        limits: args.limits.into(),
        registry: args.registry.into(),
    };
    let progress = progress(&args.talk, world);
    let traced = pipeline.trace(&request, &*progress)?;
    let to_stdout = args.output.as_ref().is_some_and(|path| path.as_os_str() == "-");
    if let Some(target) = target {
        target.write(&traced.observation.profile.render(), world)?;
    }
    match args.talk.format {
        // Written already.
        Format::Json if to_stdout => {}
        Format::Json => world.say(&traced.observation.profile.render())?,
        Format::Text if args.talk.quiet => {}
        Format::Text => {
            let style = if to_stdout { world.err_style } else { world.out_style };
            let text = render_profile(&traced.observation.profile, &args.image, style, detail(&args.talk));
            if to_stdout { world.tell(&text) } else { world.say(&text)? }
        }
    }
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
    if !complaints.is_empty() && !args.talk.verbose {
        tell_last_words(&traced.last_words, world);
    }
    Ok(if complaints.is_empty() { Outcome::Clean } else { Outcome::Findings })
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
