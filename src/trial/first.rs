//! The containers of a pod that come before the app: of the image that is tried, and of the one that it was made from.
//!
//! Runs them and says which failed; which image each is of was chosen before.

use std::time::Duration;

use super::{Case, Init, TrialError, compare};
use crate::kube::given::Container;
use crate::manifest::Manifest;
use crate::observe::{ObserveError, Subject};
use crate::path::ImagePath;
use crate::promise::{Proof, Shown};
use crate::run::RunError;
use crate::sandbox::{self, End, LeftOut, Mount, Running, Sandbox, SandboxError, Settings};

/// How long one may take: copying or initialising what a database needs.
const TO_PREPARE: Duration = Duration::from_mins(2);

/// The number of the source among the images of the sandbox.
pub(super) const SOURCE: u8 = 1;

/// The image that is tried, and the one that it was made from.
type Images<'s, 'a> = (&'s Subject<'a>, Option<&'s Subject<'a>>);

/// Whether they are as strict as the app's `container`, and do what the manifest says.
pub(super) fn compare(
    inits: &[Init<'_>],
    container: &Container,
    (tried, source): Images<'_, '_>,
    manifest: Option<&Manifest>,
    proof: &mut Proof<Shown>,
) {
    for init @ (other, settings) in inits {
        let image = source.filter(|_| is_of_source(init)).unwrap_or(tried);
        compare::init(other, settings.as_ref(), &image.image.config, proof);
    }
    let of_source = inits.iter().filter(|init| is_of_source(init));
    let of_source = of_source.filter_map(|(init, settings)| Some((*init, settings.as_ref()?)));
    compare::preparing(of_source, container, manifest, proof);
}

fn is_of_source((_, settings): &Init<'_>) -> bool {
    settings.as_ref().is_some_and(|settings| settings.image == SOURCE)
}

/// Unpacks the image that is tried, and its source where a container is of it; gives what of the first is not there.
pub(super) fn unpack(
    sandbox: &mut Sandbox,
    (tried, source): Images<'_, '_>,
    inits: &[Init<'_>],
) -> Result<Vec<LeftOut>, SandboxError> {
    let left_out = sandbox.unpack(&unpackable(tried))?;
    if let Some(source) = source.filter(|_| inits.iter().any(is_of_source)) {
        sandbox.unpack(&unpackable(source))?;
    }
    Ok(left_out)
}

fn unpackable<'a>(subject: &Subject<'a>) -> sandbox::Image<'a> {
    sandbox::Image {
        source: subject.source,
        layers: &subject.image.layers,
        rootfs: subject.rootfs,
        limits: subject.limits,
    }
}

/// Makes the volumes, and runs the containers that come first; the one that failed, and how.
pub(super) fn prepare(
    case: &Case<'_>,
    settings: &Settings,
    sandbox: &mut Sandbox,
) -> Result<Option<(String, String)>, TrialError> {
    let failed = |error: SandboxError| TrialError::Observe(ObserveError::Run(RunError::Sandbox(error)));
    sandbox.make_volumes(case.volumes, settings.limits).map_err(failed)?;
    // What it leaves a container of the source finds again when a pod's sandbox is made anew on the same node: tried once, in
    // the start that is as the pod says.
    let again = if *settings == case.settings { ["", ", the second time"].as_slice() } else { &[""] };
    let last = case.init.iter().rposition(is_of_source);
    for (number, (container, settings)) in case.init.iter().enumerate() {
        // What comes after one that was not run may need what it would have prepared.
        let Some(settings) = settings else { break };
        let times = if settings.image == SOURCE { again } else { &[""] };
        for time in times {
            let wants = if Some(number) == last { case.wants } else { &[] };
            if let Some(how) = run_first(wants, settings, sandbox)? {
                return Ok(Some((container.name.clone(), format!("{how}{time}"))));
            }
        }
    }
    Ok(None)
}

/// Runs one of the containers that come first to its end; how it failed.
fn run_first(
    wants: &[ImagePath],
    settings: &Settings,
    sandbox: &mut Sandbox,
) -> Result<Option<String>, TrialError> {
    let failed = |error: SandboxError| TrialError::Observe(ObserveError::Run(RunError::Sandbox(error)));
    let held = sandbox.hold(settings).map_err(failed)?;
    Ok(Some(match held.release().map_err(failed)? {
        Err(reason) => {
            let program = settings.process.argv.first().cloned().unwrap_or_default();
            RunError::NotExecuted { program, reason }.to_string()
        }
        Ok(mut running) => match running.wait(TO_PREPARE).map_err(failed)? {
            Some(End::Exited(0)) => match missing(wants, settings, &mut running).map_err(failed)? {
                None => return Ok(None),
                Some(path) => format!("ended, and {path} is not there"),
            },
            Some(End::Exited(status)) => format!("ended with status {status}"),
            Some(End::Signaled(signal)) => format!("ended by signal {signal}"),
            Some(End::Limit(kind)) => format!("used more {} than it may, and was killed", kind.name()),
            None => format!("did not end in {} seconds", TO_PREPARE.as_secs()),
        },
    }))
}
/// The first of `wants` that a container was to leave and did not.
fn missing(
    wants: &[ImagePath],
    settings: &Settings,
    running: &mut Running<'_>,
) -> Result<Option<ImagePath>, SandboxError> {
    for path in wants {
        let is_there = match within(&settings.mounts, path) {
            Some((number, below)) => running.is_in_volume(number, &below)?,
            None => false,
        };
        if !is_there {
            return Ok(Some(path.clone()));
        }
    }
    Ok(None)
}

/// In which of the shared volumes `path` is, and where in that.
pub(super) fn within(mounts: &[Mount], path: &ImagePath) -> Option<(usize, Vec<u8>)> {
    let of = |mount: &Mount| ImagePath::parse(mount.path.as_bytes()).ok();
    let around = mounts.iter().filter_map(|mount| Some((of(mount)?, mount)));
    let around = around.filter(|(directory, _)| path.is_within(directory));
    let (directory, mount) = around.max_by_key(|(directory, _)| directory.components().count())?;
    let names = path.components().skip(directory.components().count());
    let top = mount.sub_path.iter().map(String::as_bytes);
    let names: Vec<&[u8]> = top.chain(names).collect();
    Some((mount.volume?, if names.is_empty() { b".".to_vec() } else { names.join(&b'/') }))
}
