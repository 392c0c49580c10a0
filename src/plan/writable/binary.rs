//! Paths that stand in the main program's bytes and exist as directories.
//!
//! A path in a program is a hint only: it is taken where software writes by custom, or where the user owns it.

use super::candidate::evidence;
use super::{Candidate, Inputs, content, ownership, place};
use crate::evidence::{Confidence, EvidenceKind};
use crate::path::{Escaped, ImagePath};
use crate::plan::PathContent;
use crate::rootfs::Content;

/// Candidates of the main program's bytes.
pub(super) fn candidates(inputs: &Inputs<'_>) -> Vec<Candidate> {
    let Some(program) = inputs.program else { return Vec::new() };
    let file = inputs.rootfs.entry_following(program).and_then(|entry| entry.file());
    let Some(Content::Elf(facts)) = file.map(|file| &file.content) else { return Vec::new() };
    facts
        .paths
        .iter()
        .filter_map(|bytes| {
            let named = ImagePath::parse(bytes).ok()?;
            let directory = existing_directory(inputs, &named)?;
            is_plausible(inputs, &directory).then(|| {
                let detail = format!("contains `{}`", Escaped::new(bytes));
                let why = evidence(EvidenceKind::Binary, program.absolute(), detail);
                Candidate { made_by_app: true, ..Candidate::directory(directory, Confidence::Possible, why) }
            })
        })
        .collect()
}

/// The directory named, or the one that a named file or directory would be made in; canonical.
fn existing_directory(inputs: &Inputs<'_>, named: &ImagePath) -> Option<ImagePath> {
    let canonical = inputs.rootfs.canonicalize_missing(named)?;
    if inputs.rootfs.is_directory(&canonical) {
        return Some(canonical);
    }
    let parent = canonical.parent()?;
    // `/run/x.pid` in a program's bytes is a default that its configuration mostly replaces.
    (inputs.rootfs.is_directory(&parent) && !place::is_shared(&parent)).then_some(parent)
}

fn is_plausible(inputs: &Inputs<'_>, directory: &ImagePath) -> bool {
    let data = ["/srv", "/data"].iter().any(|tree| directory.is_within(&ImagePath::literal(tree)));
    (place::is_customary(directory) && !place::is_shared(directory)
        || ownership::is_users(inputs, directory)
        || data && inputs.recipes.is_empty())
        && place::refuse(inputs, directory).is_none()
        && !matches!(content::content(inputs, directory), PathContent::Seed { .. })
}
