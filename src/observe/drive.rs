//! What is done with a watched app from its start to its end.
//!
//! Ready is what answers twice, a second apart, while the app still runs: databases open their port for a moment and die.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::output::Heard;
use super::{Asked, Complaint, exercise, probe};
use crate::path::ImagePath;
use crate::profile::{Phase, Ready};
use crate::sandbox::{Door, End, Left, Process, Running, SandboxError, Signal};
use crate::trace::Live;

/// Between two questions.
const STEP: Duration = Duration::from_millis(100);
/// Who answers must answer again after this.
const STABLE: Duration = Duration::from_secs(1);
/// The longest start that is waited for: initialising a database takes half a minute on a busy machine.
const START_UP: Duration = Duration::from_mins(1);
/// Workers still start when the first answers: so long nothing may be executed or made before it counts as serving,
const SETTLED: Duration = Duration::from_millis(500);
/// but an app that never rests is serving after this.
const RESTLESS: Duration = Duration::from_secs(5);
/// How long an app may take to end after its stop signal: as Docker.
const GRACE: Duration = Duration::from_secs(10);
/// Between two looks at how much was written.
const LOOK: Duration = Duration::from_secs(1);

/// What came of it.
pub(super) struct Driven {
    /// When it was ready.
    pub(super) ready: Option<Ready>,
    /// What did not go well.
    pub(super) complaints: Vec<Complaint>,
    /// Files and links that were written and were there when it was ready.
    pub(super) left: Vec<Left>,
}

/// What is looked at meanwhile.
pub(super) struct Watched<'a> {
    /// What it is doing.
    pub(super) live: &'a Live,
    /// Its first process.
    pub(super) process: &'a Process,
    /// What it says.
    pub(super) heard: &'a Heard,
}

/// What else is done with an app that serves, and how long it may take to end.
pub struct Serving<'a> {
    /// Called once, when it is ready and was driven, with a way into the container.
    pub then: Option<&'a mut dyn FnMut(&Door)>,
    /// From its stop signal to its end.
    pub grace: Duration,
    /// Files that the app may look for and not find any more: each such search is told.
    pub gone: Arc<BTreeSet<ImagePath>>,
}

impl Default for Serving<'_> {
    /// Nothing, and as long as Docker waits.
    fn default() -> Self {
        Self { then: None, grace: GRACE, gone: Arc::default() }
    }
}

/// Waits, drives, and stops.
pub(super) fn drive(
    running: &mut Running<'_>,
    watched: &Watched<'_>,
    asked: &Asked,
    stop: Signal,
    serving: Serving<'_>,
) -> Result<Driven, SandboxError> {
    let (live, grace) = (watched.live, serving.grace);
    let (mut complaints, mut left) = (Vec::new(), Vec::new());
    let ready = wait_until_ready(running, watched, asked);
    if ready.is_some() {
        settle(live);
        live.enter(Phase::Steady);
        live.measure();
        left = running.left()?;
        for exercise in &asked.exercises {
            let failed = exercise::run(exercise, running.door(), live);
            complaints.extend(failed.err().map(|error| Complaint::Exercise {
                exercise: exercise.to_string(),
                said: error.to_string(),
            }));
        }
        if let Some(then) = serving.then {
            then(running.door());
        }
        hold(live, asked.run.duration.unwrap_or_default());
    }
    live.measure();
    let ended = live.end().is_some();
    match (&ready, ended) {
        (None, true) => complaints.push(Complaint::Ended),
        (None, false) => complaints.push(Complaint::NotReady(START_UP.as_secs())),
        (Some(_), true) => complaints.push(Complaint::Died),
        (Some(_), false) => {}
    }
    if !ended {
        live.enter(Phase::Shutdown);
        running.signal(stop);
    }
    let mut end = running.wait(grace)?;
    if end.is_none() {
        complaints.push(Complaint::Killed(grace.as_secs()));
        running.signal(Signal::KILL);
        end = running.wait(GRACE)?;
    }
    if let Some(End::Limit(kind)) = end {
        complaints.push(Complaint::Limit(kind));
    }
    Ok(Driven { ready, complaints, left })
}

fn wait_until_ready(running: &Running<'_>, watched: &Watched<'_>, asked: &Asked) -> Option<Ready> {
    let &Watched { live, process, heard } = watched;
    let ask = || probe::ask(asked.probe.as_ref(), running.door(), live, heard, process);
    while live.elapsed() < START_UP {
        let before = live.elapsed();
        if ask().is_some() {
            if live.wait_for_end(STABLE).is_some() {
                return None;
            }
            if let Some(probe) = ask() {
                let after_ms = u64::try_from(before.as_millis()).unwrap_or(u64::MAX);
                return Some(Ready { probe, after_ms });
            }
        }
        if live.wait_for_end(STEP).is_some() {
            return None;
        }
    }
    None
}

/// Waits until start-up is over for all of it.
fn settle(live: &Live) {
    let from = live.elapsed();
    while live.quiet() < SETTLED && live.elapsed().saturating_sub(from) < RESTLESS {
        if live.wait_for_end(STEP).is_some() {
            return;
        }
    }
}

fn hold(live: &Live, duration: Duration) {
    let until = live.elapsed().saturating_add(duration);
    while let Some(left) = until.checked_sub(live.elapsed()).filter(|left| !left.is_zero()) {
        if live.wait_for_end(left.min(LOOK)).is_some() {
            return;
        }
        live.measure();
    }
}
