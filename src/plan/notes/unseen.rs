//! The finding of level `minimal`: how much was seen of what it goes by.
//!
//! Looks at what was decided; changes nothing.

use super::some_of;
use crate::finding::{Code, Finding};
use crate::plan::Level;
use crate::plan::decide::Decision;

/// How many runs there were, what drove them, and which modules went unloaded.
pub(super) fn finding(decision: &Decision<'_>) -> Option<Finding> {
    let profile = decision.known.traced.filter(|_| decision.level == Level::Minimal)?.profile();
    let driven = match profile.start.exercises.len() {
        0 => "nothing but the probe drove".to_owned(),
        1 => "1 exercise drove".to_owned(),
        some => format!("{some} exercises drove"),
    };
    let mut text = format!(
        "what stays is what it used in {} that {driven}: a way through the app that none of them took may miss a file",
        if profile.runs == 1 { "1 run".to_owned() } else { format!("{} runs", profile.runs) }
    );
    let unfit: Vec<String> = decision.kept.unfit.iter().map(ToString::to_string).collect();
    if !unfit.is_empty() {
        let what = "modules that were not loaded and need libraries that nothing else does went";
        text = format!("{text}; {what}: {}", some_of(&unfit));
    }
    let subject = decision.start.program.as_ref().map_or_else(|| "the app".into(), ToString::to_string);
    Some(Finding::new(Code::UsedInRunsOnly, subject, text))
}
