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
        .map(|Tree { path, files, bytes, left_out }| {
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
            Finding::new(Code::WritableSeeded, path, format!("{what}{without}"))
        })
        .collect()
}
