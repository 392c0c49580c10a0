//! One watched start of an image: started, waited for until it is ready, driven, stopped, and told as a profile.
//!
//! Knows the order of these; how a process is watched is `trace`'s, and how it is started `sandbox`'s.

mod drive;
mod exercise;
mod fetch;
mod forward;
mod left;
mod output;
mod probe;

use std::sync::Arc;
use std::time::Duration;

pub use exercise::{Exercise, ExerciseError, parse_url};
pub use fetch::{Answer, Client, fetch};
pub use probe::{answers, get, is_good, parse_probe, succeeds};

use crate::harden::record::chain_id;
use crate::limits::Limits;
use crate::profile::{Context, Image, MergeError, Observed, Probe, Profile, Start};
use crate::rootfs::Rootfs;
use crate::run::{self, RunError};
use crate::sandbox::seccomp::Filter;
use crate::sandbox::{self, LimitKind, Place, Sandbox, SandboxError};
use crate::source::{Source, SourceImage};
use crate::trace::{self, Calls, FilterError, TraceError};
use drive::Driven;
pub use drive::Serving;
pub use output::{Heard, Listener};

/// What to watch for, and what to do meanwhile.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// What differs from how the author wrote it. Its duration is how long it is watched after it is ready.
    pub run: run::Asked,
    /// What says that it is ready; `None`: a port that accepts, or quiet.
    pub probe: Option<Probe>,
    /// What is done when it is.
    pub exercises: Vec<Exercise>,
    /// Whether the profile tells what two runs cannot have in common.
    pub times: Times,
    /// Which system calls it tells.
    pub calls: Calls,
}

/// Whether a profile tells what two runs cannot have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    /// It does.
    Told,
    /// It does not: two profiles of one image are the same bytes.
    Left,
}

/// What came of watching.
#[derive(Debug, Clone)]
pub struct Observation {
    /// What was seen.
    pub profile: Profile,
    /// What is to be said besides: the run, or a part of what drove it, did not go well.
    pub complaints: Vec<Complaint>,
    /// Why all files were the app's, where there was a single id.
    pub single_id: Option<String>,
}

/// Something that did not go well, so that the profile tells less than it might.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Complaint {
    /// It ended before it was ready.
    #[error("it ended before it was ready")]
    Ended,
    /// It was not ready in time.
    #[error("it was not ready after {0} seconds")]
    NotReady(u64),
    /// It ended while it should serve.
    #[error("it ended while it should have served")]
    Died,
    /// It used more than it may, and was killed.
    #[error("it used more {} than it may, and was killed", .0.name())]
    Limit(LimitKind),
    /// It did not end after its stop signal, and was killed.
    #[error("it did not end {0} seconds after its stop signal, and was killed")]
    Killed(u64),
    /// Something that should have driven it failed.
    #[error("exercise `{exercise}`: {said}")]
    Exercise {
        /// As it was given.
        exercise: String,
        /// What came of it.
        said: String,
    },
}

/// Why an image cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum ObserveError {
    /// It cannot be run.
    #[error(transparent)]
    Run(RunError),
    /// There is no filter for this machine.
    #[error(transparent)]
    Filter(FilterError),
    /// Its process cannot be watched.
    #[error(transparent)]
    Trace(TraceError),
    /// Several runs of it have no common profile.
    #[error(transparent)]
    Merge(MergeError),
}

/// What is watched.
pub struct Subject<'a> {
    /// Where the image is.
    pub source: &'a dyn Source,
    /// Its documents.
    pub image: &'a SourceImage,
    /// Its merged tree.
    pub rootfs: &'a Rootfs,
    /// How much of it is read.
    pub limits: Limits,
}

/// Watches `runs` starts, one after the other, and tells of all in one profile.
pub fn observe(
    subject: &Subject<'_>,
    asked: &Asked,
    runs: u32,
    place: &Place,
    heard: &Arc<Heard>,
) -> Result<Observation, ObserveError> {
    run::check_platform(&subject.image.config).map_err(ObserveError::Run)?;
    let mut settings =
        run::settings(&subject.image.config, subject.rootfs, &asked.run).map_err(ObserveError::Run)?;
    settings.watch = Some(filter()?);
    let failed = |error: SandboxError| ObserveError::Run(RunError::Sandbox(error));
    let (uid, gid) = (settings.process.uid, settings.process.gid);
    let mut sandbox = Sandbox::new(place, uid, gid, heard.listener()).map_err(failed)?;
    let unpacked = sandbox::Image {
        source: subject.source,
        layers: &subject.image.layers,
        rootfs: subject.rootfs,
        limits: subject.limits,
    };
    sandbox.unpack(&unpacked).map_err(failed)?;
    let single_id = sandbox.ids().why_single.map(|why| why.to_string());
    let mut profiles = Vec::new();
    let mut complaints = Vec::new();
    for run in 0..runs.max(1) {
        set_apart(&mut settings, run);
        let serving = Serving::default();
        let (profile, more) = watch(&mut sandbox, &settings, subject, asked, heard, serving)?;
        profiles.push(profile);
        complaints.extend(more);
    }
    sandbox.close();
    complaints.dedup();
    let mut profile = Profile::merge(profiles).map_err(ObserveError::Merge)?;
    // One run cannot know what the next would have in common with it.
    if asked.times == Times::Left && profile.runs == 1 {
        profile.prepared.clear();
    }
    Ok(Observation { profile, complaints, single_id })
}

/// Gives a run a name, an address and process numbers of its own, as every pod has, and another share of the machine: what
/// an app makes of them is not constant.
fn set_apart(settings: &mut sandbox::Settings, run: u32) {
    settings.replica = u8::try_from(run).unwrap_or(u8::MAX);
    let name = if run == 0 { run::HOSTNAME.to_owned() } else { format!("{}-{}", run::HOSTNAME, run + 1) };
    let is_set_by_kiln =
        |(variable, value): &&mut (String, String)| variable == "HOSTNAME" && *value == settings.hostname;
    if let Some((_, value)) = settings.process.env.iter_mut().find(is_set_by_kiln) {
        value.clone_from(&name);
    }
    settings.hostname = name;
}

/// The filter that a container needs to be watched.
pub fn filter() -> Result<Filter, ObserveError> {
    Ok(Filter::from(&trace::filter().map_err(ObserveError::Filter)?))
}

/// One start with `settings`, which have [`filter`]; of what is asked of the run only its duration counts.
pub fn watch(
    sandbox: &mut Sandbox,
    settings: &sandbox::Settings,
    subject: &Subject<'_>,
    asked: &Asked,
    heard: &Heard,
    serving: Serving<'_>,
) -> Result<(Profile, Vec<Complaint>), ObserveError> {
    let failed = |error: SandboxError| ObserveError::Run(RunError::Sandbox(error));
    heard.forget();
    let held = sandbox.hold(settings).map_err(failed)?;
    let pid = i32::try_from(held.pid()).unwrap_or_else(|_| unreachable!("a process number is positive"));
    let attached = trace::attach(pid, Arc::clone(&serving.gone), asked.calls).map_err(ObserveError::Trace)?;
    let live = Arc::clone(&attached.live);
    let program = || settings.process.argv.first().cloned().unwrap_or_default();
    let not_executed = |reason| ObserveError::Run(RunError::NotExecuted { program: program(), reason });
    let mut running = held.release().map_err(failed)?.map_err(not_executed)?;
    let signal = run::stop_signal(&subject.image.config);
    let watched = drive::Watched { live: &live, process: &settings.process, heard };
    let driven = drive::drive(&mut running, &watched, asked, signal, serving).map_err(failed);
    // What still runs is killed, so that there is an end to watch for; what has ended leaves its files until then.
    let has_ended = driven.is_ok() && matches!(running.wait(Duration::ZERO), Ok(Some(_)));
    let mut ended = has_ended.then_some(running);
    let recorded = attached.finish();
    let Driven { ready, complaints, left } = driven?;
    let observed = Observed {
        ready,
        duration_ms: u64::try_from(live.elapsed().as_millis()).unwrap_or(u64::MAX),
        directories: live.peaks(),
        searches: recorded.events.searches(),
        calls: recorded.calls,
        lost_signals: recorded.lost_signals,
    };
    let context = Context {
        image: Image {
            chain_id: chain_id(&subject.image.config.diff_ids).to_string(),
            config: subject.image.image_id.to_string(),
            platform: subject.image.config.platform.to_string(),
        },
        start: start(settings, subject, asked),
        observed: (asked.times == Times::Told).then_some(observed),
    };
    let mut profile = recorded.events.finish(context);
    profile.syscalls = recorded.names.into_iter().map(str::to_owned).collect();
    if let Some(running) = &mut ended {
        profile.prepared = left::prepared(running, &profile, &left).map_err(failed)?;
    }
    Ok((profile, complaints))
}

fn start(settings: &sandbox::Settings, subject: &Subject<'_>, asked: &Asked) -> Start {
    let mounts = asked.run.mounts.iter().map(|(path, size)| match size {
        Some(size) => format!("{path}:{size}"),
        None => path.to_string(),
    });
    Start {
        argv: settings.process.argv.clone(),
        cwd: if settings.process.cwd.is_empty() { "/".to_owned() } else { settings.process.cwd.clone() },
        user: asked.run.user.clone().unwrap_or_else(|| subject.image.config.user.clone()),
        env: asked.run.env.iter().map(|(name, value)| format!("{name}={value}")).collect(),
        mounts: mounts.collect(),
        exercises: asked.exercises.iter().map(ToString::to_string).collect(),
    }
}
