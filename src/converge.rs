//! Hardening until it holds: hardened, tried under its pod, and where that fails hardened again with what it lacked.
//!
//! Knows the order of the rounds and when to give up; how an image is hardened and tried is the caller's.

mod lesson;

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;

pub use lesson::{Gain, Lesson};

use crate::options::Options;
use crate::path::ImagePath;
use crate::profile::{End, Phase, Profile};
use crate::promise::{Proof, Shown, State};
use crate::rootfs::Rootfs;
use crate::trial::Tried;
use crate::verify::User;

/// A hardened image, not tried yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Who its app runs as.
    pub user: User,
    /// Paths that its pod mounts for the app to write.
    pub mounted: BTreeSet<ImagePath>,
    /// Files of the source that it has no more.
    pub gone: Arc<BTreeSet<ImagePath>>,
}

/// What came of trying one.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Its merged tree.
    pub rootfs: Rootfs,
    /// A proof for each promise.
    pub promises: Vec<Proof>,
    /// What a run of it showed.
    pub tried: Tried,
}

/// How an image is hardened and tried.
pub trait Bench {
    /// Why that is not possible.
    type Error;

    /// Hardens it where nobody else sees it.
    fn harden(&mut self, options: &Options) -> Result<Made, Self::Error>;

    /// Tries what was hardened last.
    fn attempt(&mut self, made: &Made) -> Result<Attempt, Self::Error>;
}

/// One time that the image was hardened and tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Round {
    /// What it was given that the one before lacked.
    pub gained: Vec<Lesson>,
    /// What it was tried without, to see whether it is needed.
    pub without: Option<Gain>,
    /// What did not hold, each with where: empty for the last one of those that came to a good end.
    pub broken: Vec<String>,
}

/// What came of all rounds.
#[derive(Debug, Clone)]
pub struct Converged {
    /// What the last one was hardened with.
    pub options: Options,
    /// Every one, in order; never empty.
    pub rounds: Vec<Round>,
    /// What the last one showed.
    pub last: Attempt,
}

impl Converged {
    /// Whether the last one holds.
    pub fn holds(&self) -> bool {
        self.rounds.last().is_some_and(|round| round.broken.is_empty())
    }
}

/// Hardens and tries with `options`, and again with what was lacking, at most `rounds` times. Gives up where a failure
/// tells nothing that would help.
pub fn converge<B: Bench>(
    mut options: Options,
    rounds: NonZeroU32,
    bench: &mut B,
) -> Result<Converged, B::Error> {
    let does_stop = options.profile.as_ref().is_some_and(|own| stops(&own.profile));
    let mut told: Vec<Round> = Vec::new();
    let mut gained: Vec<Lesson> = Vec::new();
    // What no hardening can give.
    let mut refused: BTreeSet<Gain> = BTreeSet::new();
    let mut made = bench.harden(&options)?;
    loop {
        let last = bench.attempt(&made)?;
        let broken = broken(&last, does_stop);
        let is_over = broken.is_empty() || told.len() + 1 >= rounds.get() as usize;
        let holds = broken.is_empty();
        let is_taught = is_taught(&last);
        told.push(Round { gained: std::mem::take(&mut gained), without: None, broken });
        if is_over || !is_taught {
            let converged = Converged { options, rounds: told, last };
            return if holds { without_needless(converged, does_stop, bench) } else { Ok(converged) };
        }
        loop {
            let mut lessons = lesson::lessons(&last, &made);
            lessons.retain(|lesson| !lesson.gain.is_in(&options) && !refused.contains(&lesson.gain));
            if lessons.is_empty() {
                return Ok(Converged { options, rounds: told, last });
            }
            let mut more = options.clone();
            for lesson in &lessons {
                lesson.gain.add_to(&mut more);
            }
            let next = bench.harden(&more)?;
            let lost: Vec<Gain> =
                lessons.iter().map(|lesson| lesson.gain.clone()).filter(|gain| !next.has(gain)).collect();
            if lost.is_empty() {
                (options, made, gained) = (more, next, lessons);
                break;
            }
            refused.extend(lost);
        }
    }
}

/// Takes back what the image holds without: of several failures of one start some are of no account.
fn without_needless<B: Bench>(
    mut converged: Converged,
    does_stop: bool,
    bench: &mut B,
) -> Result<Converged, B::Error> {
    let several = converged.rounds.iter().filter(|round| round.gained.len() > 1);
    let mut doubtful: Vec<Gain> =
        several.flat_map(|round| &round.gained).map(|lesson| lesson.gain.clone()).collect();
    // What makes an image weaker first.
    doubtful.sort_by_key(|gain| std::cmp::Reverse(gain.weight()));
    let mut is_last = true;
    for gain in doubtful {
        let mut fewer = converged.options.clone();
        gain.take_from(&mut fewer);
        let made = bench.harden(&fewer)?;
        let attempt = bench.attempt(&made)?;
        let broken = broken(&attempt, does_stop);
        is_last = broken.is_empty();
        converged.rounds.push(Round { gained: Vec::new(), without: Some(gain), broken });
        if is_last {
            (converged.options, converged.last) = (fewer, attempt);
        }
    }
    if !is_last {
        // What is written is what was tried last.
        let made = bench.harden(&converged.options)?;
        converged.last = bench.attempt(&made)?;
        let broken = broken(&converged.last, does_stop);
        converged.rounds.push(Round { gained: Vec::new(), without: None, broken });
    }
    Ok(converged)
}

/// Whether a start that failed tells what was lacking: what breaks without one is for a person.
fn is_taught(attempt: &Attempt) -> bool {
    let mut proofs = attempt.tried.proofs.iter();
    proofs.any(|proof| proof.promise.is_of_start() && proof.state() == State::Broken)
}

impl Made {
    /// Whether it has what was asked for: a directory that cannot be a volume is none, whoever asks for it.
    fn has(&self, gain: &Gain) -> bool {
        match gain {
            Gain::Keep(path) => !self.gone.contains(path),
            Gain::Writable(path) => path.is_within_any(|above| self.mounted.contains(above)),
        }
    }
}

/// Whether an app ended by its stop signal whenever it was watched.
fn stops(profile: &Profile) -> bool {
    let is_killed = |end: &End| *end == End::Signal(9);
    !profile.endings.iter().any(|ending| ending.phase == Phase::Shutdown && is_killed(&ending.end))
}

/// What speaks against the image, each with where. That it has to be killed does only where its source is known to have
/// ended by itself.
fn broken(attempt: &Attempt, does_stop: bool) -> Vec<String> {
    fn breaches<P: std::fmt::Display>(proof: &Proof<P>) -> impl Iterator<Item = String> {
        proof
            .breaches
            .iter()
            .map(|breach| format!("{}: {}: {}", proof.promise, breach.subject, breach.message))
    }
    let counts = |proof: &&Proof<Shown>| does_stop || proof.promise != Shown::Stop;
    let promises = attempt.promises.iter().filter(|proof| proof.state() == State::Broken);
    let shown = attempt.tried.proofs.iter().filter(counts);
    promises.flat_map(breaches).chain(shown.flat_map(breaches)).collect()
}

#[cfg(test)]
mod tests;
