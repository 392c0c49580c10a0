//! Kinds of workloads that documents are made of, and what each can be asked.
//!
//! Knows no fields.

use std::str::FromStr;

use super::schedule::is_schedule;
use super::{Extra, GenerateError, Options, Wish, claims};
use crate::manifest::Manifest;

/// What makes pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One, by itself.
    Pod,
    /// Some that are alike.
    Deployment,
    /// Some with data of their own.
    StatefulSet,
    /// One on every node.
    DaemonSet,
    /// One that ends.
    Job,
    /// One that ends, again and again.
    CronJob,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Pod, Self::Deployment, Self::StatefulSet, Self::DaemonSet, Self::Job, Self::CronJob];

    /// Its `kind`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pod => "Pod",
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
            Self::Job => "Job",
            Self::CronJob => "CronJob",
        }
    }

    /// The one that fits an image of that manifest.
    pub fn fitting(manifest: &Manifest) -> Self {
        if manifest.paths.iter().any(claims::must_outlive) { Self::StatefulSet } else { Self::Deployment }
    }

    /// Whether its pods end by themselves.
    pub fn ends(self) -> bool {
        matches!(self, Self::Job | Self::CronJob)
    }

    /// Whether it can be told how many pods there are.
    pub fn has_replicas(self) -> bool {
        matches!(self, Self::Deployment | Self::StatefulSet)
    }

    /// Whether it can be asked for what `options` ask.
    pub(super) fn check(self, options: &Options) -> Result<(), GenerateError> {
        let refuse = |option: &'static str, why: &'static str| {
            Err(GenerateError::Kind { option, kind: self.name(), why })
        };
        if options.replicas.is_some() && !self.has_replicas() {
            return refuse("--replicas", "has no number of pods");
        }
        match (&options.schedule, self) {
            (None, Self::CronJob) => return Err(GenerateError::NoSchedule),
            (Some(_), other) if other != Self::CronJob => {
                return refuse("--schedule", "runs at no fixed times");
            }
            (Some(schedule), _) if !is_schedule(schedule) => {
                return Err(GenerateError::Schedule(schedule.clone()));
            }
            _ => {}
        }
        if options.with.contains(&Extra::Service) && self.ends() {
            return refuse("--with service", "ends, and serves nobody");
        }
        if options.with.contains(&Extra::DisruptionBudget) && !self.has_replicas() {
            return refuse("--with pdb", "has no pods to spare");
        }
        if options.wishes.contains(&Wish::Claims) {
            if self == Self::DaemonSet {
                return refuse("--claims", "has a pod on every node, and a claim is mounted on one");
            }
            if self == Self::Deployment && options.replicas.is_some_and(|replicas| replicas > 1) {
                return refuse("--claims", "with more than one pod would share one claim");
            }
        }
        Ok(())
    }
}

/// Something that is no kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected Pod, Deployment, StatefulSet, DaemonSet, Job or CronJob, found `{0}`")]
pub struct ParseKindError(String);

impl FromStr for Kind {
    type Err = ParseKindError;

    fn from_str(text: &str) -> Result<Self, ParseKindError> {
        let mut all = Self::ALL.into_iter();
        all.find(|kind| kind.name().eq_ignore_ascii_case(text)).ok_or_else(|| ParseKindError(text.to_owned()))
    }
}
