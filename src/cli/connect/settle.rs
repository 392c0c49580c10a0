//! Hardening into a directory that nobody else sees, and trying what is there: until it holds, and which command of the source
//! prepares what only its script makes.
//!
//! Does not decide what a failure teaches, nor when to give up: that is `converge`'s; nor which commands may do: that is
//! `plan`'s.

use std::rc::Rc;
use std::sync::Arc;

use super::failures::{failure, sink_failure};
use super::trial::try_image;
use super::{open, registries};
use crate::cli::{Failure, HardenRequest, Settled, TrialRequest};
use crate::converge::{Attempt, Bench, Converged, Made, converge};
use crate::digest::BlobDigest;
use crate::harden::{self, Analysed};
use crate::observe::Subject;
use crate::options::{Options, UserProfile};
use crate::path::ImagePath;
use crate::plan::preparing::{commands, lasting};
use crate::plan::{Plan, WritablePath};
use crate::profile::{Preparing, Profile};
use crate::progress::Progress;
use crate::promise::{Proof, Shown, State};
use crate::reference::Reference;
use crate::registry::Registries;
use crate::report::{Gained, Round, Trial};
use crate::sandbox::Private;
use crate::sink::Destinations;
use crate::source::Source;
use crate::trial;
use crate::verify::{self, User, VerifyError};

/// Where hardened images are tried, one after the other.
struct Workbench<'a> {
    reference: Reference,
    source: Rc<dyn Source>,
    registries: Registries,
    /// The layout that they are in.
    layout: Reference,
    trial: &'a TrialRequest,
    progress: &'a dyn Progress,
    options: Options,
    digest: Option<BlobDigest>,
    /// The source, read where a container of it comes before the app.
    origin: Option<Analysed>,
    /// What such a container is to leave.
    wants: Vec<ImagePath>,
}

pub(super) fn settle(
    reference: Reference,
    source: Rc<dyn Source>,
    request: &HardenRequest,
    trial: &TrialRequest,
    progress: &dyn Progress,
) -> Result<Settled, Failure> {
    at_bench(reference, source, request, trial, progress, |bench| settle_on(bench, request, trial))
}

/// The command of the source that prepares what only its script makes; `None` where nothing is to be prepared, or none does.
pub(super) fn prepare(
    reference: Reference,
    source: Rc<dyn Source>,
    request: &HardenRequest,
    trial: &TrialRequest,
    progress: &dyn Progress,
) -> Result<Option<Preparing>, Failure> {
    let Some(watched) = &request.options.profile else { return Ok(None) };
    // What runs were given is not the pod's to give on: nothing is prepared then.
    if !watched.profile.start.env.is_empty() {
        return Ok(None);
    }
    let analysed =
        harden::analyse(&*source, &request.options, progress).map_err(|error| failure(error, &reference))?;
    if analysed.plan.wants.is_empty() {
        return Ok(None);
    }
    let made: Vec<String> =
        lasting(&analysed.plan.wants, &watched.profile).iter().map(ToString::to_string).collect();
    if made.is_empty() {
        return Ok(None);
    }
    let commands = commands(&analysed.image.config, &analysed.rootfs, &watched.profile);
    at_bench(reference, source, request, trial, progress, |mut bench| {
        bench.origin = Some(analysed);
        for argv in commands {
            let preparing = Preparing { argv, made: made.clone() };
            let profile = Profile { preparing: Some(preparing.clone()), ..watched.profile.clone() };
            let profile = Some(Arc::new(UserProfile::new(profile)));
            if bench.is_prepared(&Options { profile, ..request.options.clone() })? {
                return Ok(Some(preparing));
            }
        }
        Ok(None)
    })
}

/// Does `work` at a bench of its own, of which nothing is left.
fn at_bench<T>(
    reference: Reference,
    source: Rc<dyn Source>,
    request: &HardenRequest,
    trial: &TrialRequest,
    progress: &dyn Progress,
    work: impl FnOnce(Workbench<'_>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let directory = std::env::temp_dir();
    let private = Private::create(&directory)
        .map_err(|error| Failure::input(error).within(format!("a directory in `{}`", directory.display())))?;
    let layout =
        Reference::OciLayout { directory: private.tree().join("tried"), tag: Some("tried".to_owned()) };
    let bench = Workbench {
        reference,
        source,
        registries: registries(&request.registry),
        layout,
        trial,
        progress,
        options: request.options.clone(),
        digest: None,
        origin: None,
        wants: Vec::new(),
    };
    let done = work(bench);
    private.remove();
    done
}

fn settle_on(
    mut bench: Workbench<'_>,
    request: &HardenRequest,
    trial: &TrialRequest,
) -> Result<Settled, Failure> {
    let converged = converge(request.options.clone(), trial.rounds, &mut bench)?;
    let digest = bench.digest.unwrap_or_else(|| unreachable!("what was tried was hardened"));
    let holds = converged.holds();
    let Converged { options, rounds, last } = converged;
    let rounds = rounds.into_iter().map(|round| Round {
        gained: round
            .gained
            .into_iter()
            .map(|lesson| Gained { option: lesson.gain.option(), why: lesson.why })
            .collect(),
        without: round.without.map(|gain| gain.option()),
        broken: round.broken,
    });
    let tried = last.tried;
    let trial = Trial::new(rounds.collect(), &tried.pod, &tried.proofs, &tried.last_words);
    Ok(Settled { options, digest, trial, holds })
}

impl Workbench<'_> {
    /// Hardens, in place of what was there.
    fn make(&mut self, options: &Options) -> Result<Plan, Failure> {
        // One is enough to have on disk; where there is none yet, that is well.
        if let Reference::OciLayout { directory, .. } = &self.layout {
            let _ = std::fs::remove_dir_all(directory);
        }
        let destinations =
            Destinations::open(std::slice::from_ref(&self.layout), &self.registries).map_err(sink_failure)?;
        let hardened = harden::harden(&*self.source, options, destinations, self.progress)
            .map_err(|error| failure(error, &self.reference))?;
        self.digest = Some(hardened.digest);
        self.wants = options.profile.iter().flat_map(|own| own.wants()).collect();
        if hardened.manifest.needs_source() && self.origin.is_none() {
            let analysed = harden::analyse(&*self.source, options, self.progress);
            self.origin = Some(analysed.map_err(|error| failure(error, &self.reference))?);
        }
        Ok(hardened.plan)
    }

    /// Whether an image hardened so has what it needs from the source, and starts with it.
    fn is_prepared(&mut self, options: &Options) -> Result<bool, Failure> {
        // Whether the start is lowered then needs no image.
        if let Some(Analysed { image, rootfs, .. }) = &self.origin {
            let plan = harden::decide_on(image, rootfs, options);
            if plan.map_err(|error| failure(error, &self.reference))?.preparing.is_none() {
                return Ok(false);
            }
        }
        let made = self.make(options)?;
        let attempt = self.attempt(&made_of(made))?;
        let serves = |proof: &Proof<Shown>| !proof.promise.is_of_start() || proof.state() == State::Held;
        Ok(attempt.tried.proofs.iter().all(serves))
    }
}

/// What is to be known of a hardened image besides its layers.
fn made_of(plan: Plan) -> Made {
    let mounted = plan.writable.into_iter().filter(WritablePath::is_mounted);
    let gone = plan.removed.into_iter().map(|removed| removed.path);
    Made {
        user: User { uid: plan.user.uid, gid: plan.user.gid, groups: plan.user.groups },
        mounted: mounted.map(|declared| declared.path).collect(),
        gone: Arc::new(gone.collect()),
    }
}

impl Bench for Workbench<'_> {
    type Error = Failure;

    fn harden(&mut self, options: &Options) -> Result<Made, Failure> {
        self.make(options).map(made_of)
    }

    fn attempt(&mut self, made: &Made) -> Result<Attempt, Failure> {
        let hardened = open(&self.layout, &self.registries, &self.options)?;
        let found =
            verify::verify(&*hardened, None, None, &self.options, self.progress).map_err(|error| {
                let (VerifyError::Image(error) | VerifyError::Source(error)) = error;
                failure(error, &self.layout)
            })?;
        let limits = self.options.limits;
        let subject = Subject { source: &*hardened, image: &found.image, rootfs: &found.rootfs, limits };
        let asked = trial::Asked {
            pod: None,
            name: String::new(),
            source: String::new(),
            env: self.trial.env.clone(),
            probe: self.trial.probe.clone(),
            exercises: self.trial.exercises.clone(),
            gone: Arc::clone(&made.gone),
            wants: self.wants.clone(),
            narrow: None,
        };
        let source = self.origin.as_ref().map(|origin| Subject {
            source: &*self.source,
            image: &origin.image,
            rootfs: &origin.rootfs,
            limits,
        });
        let tried = try_image(&subject, source.as_ref(), &asked)?;
        Ok(Attempt { rootfs: found.rootfs, promises: found.proofs, tried })
    }
}
