//! What the source image does in the pod before the app starts: a finding.
//!
//! Which command that is was decided, and tried, elsewhere.

use crate::finding::{Code, Finding};
use crate::path::Escaped;
use crate::plan::decide::Decision;

/// One where there is such a command.
pub(super) fn finding(decision: &Decision<'_>) -> Option<Finding> {
    let command = decision.start.preparing.as_ref()?;
    let traced = decision.known.traced?;
    let made = traced.profile().preparing.as_ref().map_or_else(Vec::new, |preparing| preparing.made.clone());
    Some(Finding::new(
        Code::SourcePrepares,
        Escaped::new(command.join(" ").as_bytes()),
        format!(
            "the source image makes with it what the app needs, before each start of the pod: {}; the pod needs both images",
            first_of(&made)
        ),
    ))
}

/// The first two of `names`, and how many more there are: of a database there are a thousand.
fn first_of(names: &[String]) -> String {
    match names {
        [first, second, rest @ ..] if !rest.is_empty() => {
            format!("{first}, {second} and {} more", rest.len())
        }
        few => few.join(", "),
    }
}
