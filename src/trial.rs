//! A hardened image under its pod's settings: started, asked, driven, attacked and stopped; and once more on a writable root.
//!
//! Knows the order of these and what each result means; how a pod is read is `kube`'s, how an app is started and attacked
//! `sandbox`'s, how it is watched `observe`'s. Writes nothing into the image.

mod asks;
mod compare;
mod first;
mod judge;
mod narrow;
mod pick;
mod settings;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use asks::{as_probe, ask_all};
pub use narrow::Narrow;
use pick::{Named, Of, choose, digests, inits, own_pod};
pub use settings::SettingsError;

use crate::accounts::Accounts;
use crate::kube::given::{Container, Given, GivenError};
use crate::manifest::Manifest;
use crate::observe::{self, Complaint, Exercise, Heard, ObserveError, Serving, Subject, Times};
use crate::path::ImagePath;
use crate::profile::{Probe, Profile};
use crate::promise::{Proof, Shown};
use crate::run::{self, RunError};
use crate::sandbox::seccomp;
use crate::sandbox::{
    Attack, Attacked, Bytes, Door, Limits, Mount, Place, Root, Sandbox, SandboxError, Settings, WhyLeftOut,
};
use crate::trace::Calls;
use crate::verify::manifest_inside;

/// How long the pod's probes may take to answer once the app was ready: the kubelet asks for minutes.
const TO_ANSWER: Duration = Duration::from_mins(1);
/// And after the attack: a server that is busy.
const TO_ANSWER_AGAIN: Duration = Duration::from_secs(10);
/// How long an attack may take: a tree of a million files on a slow machine.
const TO_ATTACK: Duration = Duration::from_mins(5);
/// Most lines of an app's last words that are told.
const LINES: usize = 12;

/// What to run it under, and what to do with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// The pod; `None` is the one that follows from the manifest in the image.
    pub pod: Option<Given>,
    /// What the user calls the image: a pod's container may call it so.
    pub name: String,
    /// What the user calls the image that it was made from, likewise.
    pub source: String,
    /// Environment that it gets besides the pod's.
    pub env: Vec<(String, String)>,
    /// What says that it is ready; `None`: the pod's probe, or a port that accepts, or quiet.
    pub probe: Option<Probe>,
    /// What is done when it is.
    pub exercises: Vec<Exercise>,
    /// Files of the source that the image has no more: where the app looks for one, that is told.
    pub gone: Arc<BTreeSet<ImagePath>>,
    /// Files that a container of the source is to leave in volumes.
    pub wants: Vec<ImagePath>,
    /// What the profile for system calls is to be that is made of its calls; `None`: none is made.
    pub narrow: Option<Narrow>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Tried {
    /// Which pod it was.
    pub pod: String,
    /// What was shown, in order.
    pub proofs: Vec<Proof<Shown>>,
    /// The end of what the app said, by line, where it did not do what it should.
    pub last_words: Vec<String>,
    /// What was seen of its first start under the pod; none where it could not be started.
    pub watched: Option<Profile>,
    /// The profile for system calls, where one was wanted and it serves under it.
    pub seccomp: Option<seccomp::Profile>,
}

/// Why an image cannot be tried.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// The pod that kiln itself makes of the manifest is not understood: the manifest is not kiln's.
    #[error("the pod that follows from the image's manifest")]
    OwnPod(#[source] GivenError),
    /// It is not clear which container the image is.
    #[error("expected one container of the image, found {found} of {all}")]
    Container {
        /// How many could be it.
        found: usize,
        /// Names of all of them.
        all: String,
    },
    /// The pod does not fit the image.
    #[error("container `{name}`")]
    Settings {
        /// Which.
        name: String,
        /// Why.
        #[source]
        source: SettingsError,
    },
    /// It cannot be run or watched.
    #[error(transparent)]
    Observe(ObserveError),
}

/// Everything that stays the same from start to start.
struct Case<'a> {
    subject: &'a Subject<'a>,
    given: &'a Given,
    container: &'a Container,
    manifest: Option<&'a Manifest>,
    settings: Settings,
    /// Containers that come first, with their settings where they are of this image and can be run.
    init: Vec<Init<'a>>,
    volumes: &'a [Mount],
    wants: &'a [ImagePath],
    attack: Attack,
    asked: observe::Asked,
    /// Why all files are the app's own, where they are.
    single_id: Option<String>,
    /// How many files have another owner or other attributes than in the image.
    left_out: usize,
    gone: Arc<BTreeSet<ImagePath>>,
    narrow: Option<&'a Narrow>,
}

/// A container that comes before the app, with its settings where its image is known.
type Init<'a> = (&'a Container, Option<Settings>);

/// What is done in one start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Round {
    /// It is attacked.
    Attacked,
    /// It is asked by clients, and which calls it makes is told; then it is attacked.
    Recorded,
    /// It is asked by clients: for the first time.
    Asked,
    /// And again, with what the time before left in its volumes.
    AskedAgain,
}

/// One start, and what was seen.
#[derive(Debug, Default)]
struct Seen {
    /// `None` where its program could not be started.
    profile: Option<Profile>,
    /// Why it could not.
    refused: Option<String>,
    /// The container before it that failed, and how.
    unprepared: Option<(String, String)>,
    complaints: Vec<Complaint>,
    /// Whether it was ready, and was driven.
    served: bool,
    /// What clients got.
    answers: Vec<(String, narrow::Got)>,
    /// The pod's probes, and whether they answered, before the attack and after it.
    before: Vec<(String, bool)>,
    after: Vec<(String, bool)>,
    /// What came of the attack: nothing where it was not done in time.
    attacked: Option<Result<Option<Attacked>, String>>,
}

/// Tries the image of `subject`; of `source`, which it was made from, a container of the pod may be that comes first.
pub fn run(
    subject: &Subject<'_>,
    source: Option<&Subject<'_>>,
    asked: &Asked,
    place: &Place,
    heard: &Arc<Heard>,
) -> Result<Tried, TrialError> {
    let manifest = manifest_inside(subject.rootfs);
    let (mut given, pod) = match (&asked.pod, &manifest) {
        (Some(given), _) => (given.clone(), format!("{} `{}`", given.kind, given.name)),
        (None, Some(manifest)) => {
            (own_pod(manifest)?, "the pod that follows from the image's manifest".to_owned())
        }
        (None, None) => return Ok(untried()),
    };
    run::check_platform(&subject.image.config)
        .map_err(|error| TrialError::Observe(ObserveError::Run(error)))?;
    for container in &mut given.containers {
        container.env.extend(asked.env.iter().cloned());
    }
    let (of_tried, of_source) = (digests(subject), source.map(digests).unwrap_or_default());
    let container = choose(&given, &of_tried, &asked.name)?;
    let source_name = if asked.pod.is_some() { asked.source.as_str() } else { pick::SOURCE };
    let named = Named { digests: &of_source, name: source_name };
    let tried = Named { digests: &of_tried, name: &asked.name };
    let inits = inits(&given, container, tried, source.map(|_| named));
    let volumes = settings::volumes(
        inits.iter().filter(|init| init.of.is_some()).map(|init| init.container).chain([container]),
    );
    let set = |container: &Container, subject: &Subject<'_>| {
        let failed = |source| TrialError::Settings { name: container.name.clone(), source };
        let accounts = Accounts::read(subject.rootfs);
        settings::settings(&given, container, &subject.image.config, &accounts, &volumes).map_err(failed)
    };
    let mut settings = set(container, subject)?;
    let mut init = Vec::new();
    for one in &inits {
        let settings = match (one.of, source) {
            (Some(Of::Tried), _) => Some(set(one.container, subject)?),
            (Some(Of::Source), Some(source)) => {
                Some(Settings { image: first::SOURCE, ..set(one.container, source)? })
            }
            _ => None,
        };
        init.push((one.container, settings));
    }
    let mut pod_proof = Proof::new(Shown::Pod);
    compare::image(container, &of_tried, &mut pod_proof);
    let from = compare::From { manifest: manifest.as_ref(), rootfs: subject.rootfs };
    compare::pod(&given, container, &settings, &from, &mut pod_proof);
    first::compare(&init, container, (subject, source), manifest.as_ref(), &mut pod_proof);
    settings.watch = Some(observe::filter().map_err(TrialError::Observe)?);
    let failed = |error: SandboxError| TrialError::Observe(ObserveError::Run(RunError::Sandbox(error)));
    let (uid, gid) = (settings.process.uid, settings.process.gid);
    let mut sandbox = Sandbox::new(place, uid, gid, heard.listener()).map_err(failed)?;
    let left_out = first::unpack(&mut sandbox, (subject, source), &init).map_err(failed)?;
    // Devices are the runtime's, whatever the image has.
    let left_out = left_out.iter().filter(|entry| entry.why != WhyLeftOut::Device).count();
    let of = |read_only: bool| {
        let mounts = settings.mounts.iter().filter(|mount| mount.read_only == read_only);
        mounts.map(|mount| Bytes(mount.path.clone().into_bytes())).collect()
    };
    let probe = asked.probe.clone().or_else(|| container.probes.iter().find_map(|(_, ask)| as_probe(ask)));
    let case = Case {
        attack: Attack { mounts: of(false), read_only: of(true), programs: judge::tools(subject.rootfs) },
        left_out,
        gone: Arc::clone(&asked.gone),
        narrow: asked.narrow.as_ref(),
        single_id: sandbox.ids().why_single.map(|why| why.to_string()),
        asked: observe::Asked {
            run: run::Asked {
                user: None,
                args: Vec::new(),
                env: Vec::new(),
                mounts: Vec::new(),
                root: settings.root,
                limits: Limits::default(),
                // Its probes tell whether it still serves.
                duration: None,
            },
            probe,
            exercises: asked.exercises.clone(),
            times: Times::Told,
            calls: Calls::Watched,
        },
        subject,
        given: &given,
        container,
        manifest: manifest.as_ref(),
        settings,
        init,
        volumes: &volumes.made,
        wants: &asked.wants,
    };
    let Outcome { proofs, last_words, watched, seccomp } =
        try_all(&case, pod_proof, asked.probe.is_some(), &mut sandbox, heard)?;
    // Now all that it said has come.
    sandbox.close();
    let last_words = last_words.unwrap_or_else(|| last_lines(heard));
    Ok(Tried { pod, proofs, last_words, watched, seccomp })
}

/// What all starts showed.
struct Outcome {
    proofs: Vec<Proof<Shown>>,
    /// `None` where they are those of the only start, which may not all have come yet.
    last_words: Option<Vec<String>>,
    watched: Option<Profile>,
    seccomp: Option<seccomp::Profile>,
}

fn try_all(
    case: &Case<'_>,
    pod: Proof<Shown>,
    has_own_probe: bool,
    sandbox: &mut Sandbox,
    heard: &Heard,
) -> Result<Outcome, TrialError> {
    // Kubernetes does not start it at all.
    if let Some(why) = compare::refused(case.container, &case.settings, &case.subject.image.config) {
        let mut start = Proof::new(Shown::Start);
        start.break_at("runAsNonRoot", why);
        let proofs = vec![pod, start];
        return Ok(Outcome { proofs, last_words: Some(Vec::new()), watched: None, seccomp: None });
    }
    let round = if case.narrow.is_some() { Round::Recorded } else { Round::Attacked };
    let seen = start(case, &case.settings, round, sandbox, heard)?;
    let is_well = seen.complaints.is_empty() && seen.refused.is_none() && seen.unprepared.is_none();
    let last_words = match (is_well, judge::is_ready(&seen)) {
        (true, _) => Some(Vec::new()),
        // The next start is heard, too.
        (false, true) => Some(last_lines(heard)),
        (false, false) => None,
    };
    let mut proofs = vec![pod, judge::start(case, &seen), judge::ready(case, &seen, has_own_probe)];
    proofs.extend(judge::driven(case, &seen));
    proofs.push(judge::stop(case, &seen));
    proofs.push(judge::attack(case, Shown::Attack, case.settings.root, &seen));
    if case.settings.root == Root::ReadOnly {
        let settings = Settings { root: Root::Writable, ..case.settings.clone() };
        let again = if judge::is_ready(&seen) {
            start(case, &settings, Round::Attacked, sandbox, heard)?
        } else {
            Seen::default()
        };
        proofs.push(judge::attack(case, Shown::AttackWritable, Root::Writable, &again));
    }
    let mut seccomp = None;
    if let Some(wanted) = case.narrow {
        let (proof, profile) = narrow::prove(case, wanted, &seen, sandbox, heard)?;
        proofs.push(proof);
        seccomp = profile;
    }
    Ok(Outcome { proofs, last_words, watched: seen.profile, seccomp })
}

fn last_lines(heard: &Heard) -> Vec<String> {
    let tail = heard.tail();
    let text = String::from_utf8_lossy(&tail);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = lines.get(lines.len().saturating_sub(LINES)..).unwrap_or_default();
    last.iter().map(|line| (*line).to_owned()).collect()
}

/// One start.
fn start(
    case: &Case<'_>,
    settings: &Settings,
    round: Round,
    sandbox: &mut Sandbox,
    heard: &Heard,
) -> Result<Seen, TrialError> {
    let mut seen = Seen::default();
    if round != Round::AskedAgain {
        seen.unprepared = first::prepare(case, settings, sandbox)?;
    }
    if seen.unprepared.is_some() {
        return Ok(seen);
    }
    let process = &case.settings.process;
    let mut then = |door: &Door| {
        seen.served = true;
        seen.before = ask_all(case.container, door, process, TO_ANSWER);
        if round != Round::Attacked {
            seen.answers = narrow::ask(case, door);
        }
        if matches!(round, Round::Asked | Round::AskedAgain) {
            return;
        }
        let attacked = door.attack(case.attack.clone(), TO_ATTACK);
        seen.attacked = Some(attacked.map_err(|error| chain(&error)));
        seen.after = ask_all(case.container, door, process, TO_ANSWER_AGAIN);
    };
    let serving = Serving {
        then: Some(&mut then),
        grace: Duration::from_secs(case.given.grace),
        gone: Arc::clone(&case.gone),
    };
    let calls = if round == Round::Recorded { Calls::Every } else { Calls::Watched };
    let asked = observe::Asked { calls, ..case.asked.clone() };
    match observe::watch(sandbox, settings, case.subject, &asked, heard, serving) {
        Ok((profile, complaints)) => {
            seen.profile = Some(profile);
            seen.complaints = complaints;
        }
        Err(ObserveError::Run(error @ RunError::NotExecuted { .. })) => {
            seen.refused = Some(error.to_string());
        }
        Err(error) => return Err(TrialError::Observe(error)),
    }
    Ok(seen)
}

/// An error and its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// What is said of an image that tells of no pod.
fn untried() -> Tried {
    let mut pod = Proof::new(Shown::Pod);
    pod.break_at(
        "/.kiln/manifest.json",
        "the image has no writable manifest that a pod would follow from, so it was not run; `--pod` names a pod",
    );
    Tried {
        pod: "no pod".to_owned(),
        proofs: vec![pod],
        last_words: Vec::new(),
        watched: None,
        seccomp: None,
    }
}

#[cfg(test)]
mod tests;
