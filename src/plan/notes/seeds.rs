//! What is copied to volumes at start, and what of it is not.
//!
//! Why a path is not copied at all is told where that is decided.

use super::{Decision, some_of};
use crate::finding::{Code, Finding};
use crate::plan::seed::Tree;
use crate::plan::writable::is_code;

/// A finding for each tree.
pub(super) fn copied(decision: &Decision<'_>) -> Vec<Finding> {
    let who = match decision.seeds.command {
        Some(_) => {
            "; the source image does it, for kiln has no helper for this architecture: the pod needs both images"
        }
        None => "",
    };
    decision
        .seeds
        .trees
        .iter()
        .flat_map(|Tree { path, files, bytes, left_out, code }| {
            let what = match files {
                0 => "an init container makes it in its volume, with owner, mode and directories of the image".to_owned(),
                files => format!(
                    "an init container copies its {files} files with {bytes} bytes to its volume: what the app writes there is lost with the pod, unless the volume is a claim"
                ),
            };
            let copied = Finding::new(Code::WritableSeeded, path, format!("{what}{who}"));
            let names: Vec<String> = left_out.iter().map(ToString::to_string).collect();
            let incomplete = (!names.is_empty()).then(|| {
                let text = format!(
                    "the volume is without {}: the user could not read that in the source, and is not given what is another's",
                    some_of(&names)
                );
                Finding::new(Code::SeedIncomplete, path, text)
            });
            let is_asked_for = code.iter().any(is_code);
            let code: Vec<String> = code.iter().map(ToString::to_string).collect();
            let changeable = (!code.is_empty()).then(|| {
                let (is, why) = if is_asked_for {
                    ("is code", ": `--writable` asked for that")
                } else {
                    ("may be executed", "")
                };
                let text = format!(
                    "{} {is}, and can be changed in the volume by whoever gets into the app, as long as the volume lives{why}",
                    some_of(&code)
                );
                Finding::new(Code::WritableCode, path, text)
            });
            std::iter::once(copied).chain(incomplete).chain(changeable)
        })
        .collect()
}
