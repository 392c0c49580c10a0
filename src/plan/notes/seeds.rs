//! What is copied to volumes at start, and what of it is not.
//!
//! Why a path is not copied at all is told where that is decided.

use super::{Decision, some_of};
use crate::finding::{Code, Finding};
use crate::plan::seed::Tree;

/// A finding for each tree.
pub(super) fn copied(decision: &Decision<'_>) -> Vec<Finding> {
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
            let names: Vec<String> = left_out.iter().map(ToString::to_string).collect();
            let without = match names.as_slice() {
                [] => String::new(),
                names => format!("; the user could not read {}, which the volume is without", some_of(names)),
            };
            let copied = Finding::new(Code::WritableSeeded, path, format!("{what}{without}"));
            let code: Vec<String> = code.iter().map(ToString::to_string).collect();
            let changeable = (!code.is_empty()).then(|| {
                let text = format!(
                    "{} is code, and can be changed in the volume by whoever gets into the app, as long as the volume lives: `--writable` asked for that",
                    some_of(&code)
                );
                Finding::new(Code::WritableCode, path, text)
            });
            std::iter::once(copied).chain(changeable)
        })
        .collect()
}
