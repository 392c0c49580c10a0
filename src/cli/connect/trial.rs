//! Running a hardened image under its pod: where its output goes, and what its errors mean.
//!
//! Does not know what is printed at the end.

use std::sync::Arc;

use super::run::place;
use super::trace::observe_failure;
use crate::cli::Failure;
use crate::observe::{Heard, Subject};
use crate::profile::Probe;
use crate::trial::{self, Asked, TrialError, Tried};

/// Tries the image of `subject`, which was made from `source`.
pub(super) fn try_image(
    subject: &Subject<'_>,
    source: Option<&Subject<'_>>,
    asked: &Asked,
) -> Result<Tried, Failure> {
    let wanted = match &asked.probe {
        Some(Probe::Log(text)) => Some(text.as_str()),
        _ => None,
    };
    let heard = Arc::new(Heard::new(wanted, None));
    trial::run(subject, source, asked, &place(), &heard).map_err(|error| match error {
        TrialError::Observe(error) => observe_failure(error),
        error @ TrialError::Container { .. } => Failure::input(error)
            .hint("a container is found by the digest of its image, else by the name that is given to `kiln verify`"),
        error => Failure::input(error),
    })
}
