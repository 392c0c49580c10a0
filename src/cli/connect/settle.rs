//! Hardening into a directory that nobody else sees, and trying what is there.
//!
//! Does not decide what a failure teaches, nor when to give up: that is `converge`'s.

use std::rc::Rc;
use std::sync::Arc;

use super::failures::{failure, sink_failure};
use super::trial::try_image;
use super::{open, registries};
use crate::cli::{Failure, HardenRequest, Settled, TrialRequest};
use crate::converge::{Attempt, Bench, Converged, Made, converge};
use crate::digest::BlobDigest;
use crate::harden;
use crate::observe::Subject;
use crate::options::Options;
use crate::plan::WritablePath;
use crate::progress::Progress;
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
}

pub(super) fn settle(
    reference: Reference,
    source: Rc<dyn Source>,
    request: &HardenRequest,
    trial: &TrialRequest,
    progress: &dyn Progress,
) -> Result<Settled, Failure> {
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
    };
    let settled = settle_on(bench, request, trial);
    private.remove();
    settled
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

impl Bench for Workbench<'_> {
    type Error = Failure;

    fn harden(&mut self, options: &Options) -> Result<Made, Failure> {
        // One is enough to have on disk; where there is none yet, that is well.
        if let Reference::OciLayout { directory, .. } = &self.layout {
            let _ = std::fs::remove_dir_all(directory);
        }
        let destinations =
            Destinations::open(std::slice::from_ref(&self.layout), &self.registries).map_err(sink_failure)?;
        let hardened = harden::harden(&*self.source, options, destinations, self.progress)
            .map_err(|error| failure(error, &self.reference))?;
        self.digest = Some(hardened.digest);
        let plan = hardened.plan;
        let mounted = plan.writable.into_iter().filter(WritablePath::is_mounted);
        let gone = plan.removed.into_iter().map(|removed| removed.path);
        Ok(Made {
            user: User { uid: plan.user.uid, gid: plan.user.gid, groups: plan.user.groups },
            mounted: mounted.map(|declared| declared.path).collect(),
            gone: Arc::new(gone.collect()),
        })
    }

    fn attempt(&mut self, made: &Made) -> Result<Attempt, Failure> {
        let source = open(&self.layout, &self.registries, &self.options)?;
        let found = verify::verify(&*source, None, None, &self.options, self.progress).map_err(|error| {
            let (VerifyError::Image(error) | VerifyError::Source(error)) = error;
            failure(error, &self.layout)
        })?;
        let limits = self.options.limits;
        let subject = Subject { source: &*source, image: &found.image, rootfs: &found.rootfs, limits };
        let asked = trial::Asked {
            pod: None,
            name: String::new(),
            env: self.trial.env.clone(),
            probe: self.trial.probe.clone(),
            exercises: self.trial.exercises.clone(),
            gone: Arc::clone(&made.gone),
            narrow: None,
        };
        let tried = try_image(&subject, &asked)?;
        Ok(Attempt { rootfs: found.rootfs, promises: found.proofs, tried })
    }
}
