//! Findings about directories that the command line names and that were too much to keep for that.
//!
//! Looks at what was decided; changes nothing.

use crate::finding::{Code, Finding};
use crate::path::ImagePath;
use crate::plan::decide::Decision;

/// One for each directory from which something of a package went.
pub(super) fn shared(decision: &Decision<'_>) -> Vec<Finding> {
    let (known, fate) = (decision.known, decision.fate);
    let lost = |directory: &&ImagePath| {
        known.rootfs.below(directory).any(|(path, _)| {
            !fate.stays(path) && !known.rootfs.is_directory(path) && !known.owners(path).is_empty()
        })
    };
    let finding = |(directory, word): (&ImagePath, &String)| {
        let text = format!(
            "the command line names it (`{word}`), and packages of all kinds put files there: what nothing else leads to went; name what the program reads there with `--keep GLOB`"
        );
        Finding::new(Code::DirectoryTooBroad, directory, text)
    };
    decision.kept.shared.iter().filter(|(directory, _)| lost(directory)).map(finding).collect()
}
