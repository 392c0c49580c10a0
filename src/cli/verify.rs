//! `kiln verify`: an image in, a proof or what speaks against it out.
//!
//! Does not look: that is the pipeline's.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use anyhow::anyhow;

use super::args::{Format, SeccompMode, VerifyArgs};
use super::harden::{detail, progress};
use super::output::{Target, World};
use super::pipeline::VerifyRequest;
use super::{Failure, Outcome, Pipeline, analysis};
use crate::kube::given::{self, Given};
use crate::options::UserProfile;
use crate::promise::State;
use crate::report::{Verification, render_verified};
use crate::sandbox::seccomp::Unseen;
use crate::trial::{self, Narrow};

pub(super) fn run(
    args: VerifyArgs,
    pipeline: &dyn Pipeline,
    world: &mut World<'_>,
) -> Result<Outcome, Failure> {
    let pod = args.pod.as_deref().map(read_pod).transpose()?;
    let profile = analysis::united(&args.profile)?;
    let seccomp_to = args.seccomp.as_deref().map(Target::prepare).transpose()?;
    let narrow = args.seccomp.as_ref().map(|_| Narrow {
        seen: profile.iter().flat_map(|profile| &profile.syscalls).cloned().collect(),
        unseen: match args.seccomp_mode {
            SeccompMode::Log => Unseen::Logged,
            SeccompMode::Enforce => Unseen::Refused,
        },
    });
    let claimed = args.seccomp.as_ref().is_some_and(|path| path.as_os_str() == "-");
    if claimed && args.talk.format == Format::Json {
        return Err(Failure::usage(anyhow!("`--seccomp -` and `--format json` both write to stdout")));
    }
    let own = profile.map(|profile| Arc::new(UserProfile::new(profile)));
    let trial = args.run.then(|| trial::Asked {
        pod,
        name: args.image.clone(),
        source: args.against.clone().unwrap_or_default(),
        probe: args.probe,
        exercises: args.exercise,
        env: args.env,
        gone: Arc::default(),
        wants: own.iter().flat_map(|own| own.wants()).collect(),
        narrow,
    });
    let request = VerifyRequest {
        image: args.image,
        against: args.against,
        recipes: analysis::recipes(&args.recipe, pipeline)?,
        profile: own,
        trial,
        platform: args.platform,
        jobs: args.jobs.unwrap_or_else(analysis::processors),
        limits: args.limits.into(),
        registry: args.registry.into(),
    };
    let found = pipeline.verify(&request, &*progress(&args.talk, world))?;
    let mut verification =
        Verification::of(&found.image, &found.platform, found.against.as_ref(), &found.proofs);
    if let Some(tried) = &found.tried {
        verification = verification.with_run(&tried.pod, &tried.proofs, &tried.last_words);
    }
    match args.talk.format {
        Format::Json => world.say(&verification.render())?,
        Format::Text if args.talk.quiet => {}
        Format::Text => {
            let style = if claimed { world.err_style } else { world.out_style };
            let text = render_verified(&verification, style, detail(&args.talk));
            if claimed { world.tell(&text) } else { world.say(&text)? }
        }
    }
    // What was to be compared and could not be is not proved.
    let fails = |state| match state {
        State::Held => false,
        State::Open => found.against.is_some(),
        State::Broken => true,
    };
    let mut failed = found.proofs.iter().any(|proof| fails(proof.state()));
    let shown = found.tried.iter().flat_map(|tried| &tried.proofs);
    failed |= shown.into_iter().any(|proof| proof.state() == State::Broken);
    if let Some(target) = seccomp_to {
        if let Some(profile) = found.tried.and_then(|tried| tried.seccomp).filter(|_| !failed) {
            target.write(&profile.render(), world)?;
        } else {
            // What was asked for was not made.
            failed = true;
            world.tell("no profile for system calls is written: not all that a run shows holds\n");
        }
    }
    Ok(if failed { Outcome::Findings } else { Outcome::Clean })
}

/// Most bytes of a pod that is read: the API server takes no object of more than 1.5 MiB.
const MAX_POD: u64 = 4 << 20;

fn read_pod(path: &Path) -> Result<Given, Failure> {
    let within = || format!("--pod `{}`", path.display());
    let read = |input: &mut dyn Read| {
        let mut text = String::new();
        input.take(MAX_POD + 1).read_to_string(&mut text)?;
        if text.len() as u64 > MAX_POD {
            return Err(std::io::Error::other(format!("longer than {MAX_POD} bytes")));
        }
        Ok(text)
    };
    let text = if path.as_os_str() == "-" {
        read(&mut std::io::stdin().lock())
    } else {
        std::fs::File::open(path).and_then(|mut file| read(&mut file))
    };
    let text = text.map_err(|error| Failure::input(error).within(within()))?;
    given::parse(&text).map_err(|error| Failure::input(error).within(within()))
}
