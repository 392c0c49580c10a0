//! The hidden command that stages of the sandbox are started with.
//!
//! Knows none of them.

use super::args::StageArgs;
use super::{Failure, Outcome};

pub(super) fn run(args: &StageArgs) -> Result<Outcome, Failure> {
    args.stage.run().map(Outcome::Ended).map_err(Failure::usage)
}
