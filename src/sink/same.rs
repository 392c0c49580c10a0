//! Whether a destination is the source: the same file or the same name in the same layout, whatever it is called.
//!
//! Reads no image; what the source's image is called comes in.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::SinkError;
use crate::reference::{Reference, RegistryReference, STDIO};

/// Refuses a destination that is the source: the original would be gone, with nothing to harden again or to compare with.
///
/// `name` gives the source image's name in its layout; it is asked only where it decides.
pub fn refuse_source(
    source: &Reference,
    destinations: &[Reference],
    name: &dyn Fn() -> Option<String>,
) -> Result<(), SinkError> {
    let is_source = |destination: &&Reference| match (source, *destination) {
        (Reference::OciLayout { directory: from, .. }, Reference::OciLayout { directory: to, tag }) => {
            is_same_file(from, to) && name() == *tag
        }
        (
            Reference::OciArchive { file: from, .. } | Reference::DockerArchive { file: from, .. },
            Reference::OciArchive { file: to, .. } | Reference::DockerArchive { file: to, .. },
        ) => is_same_file(from, to),
        (Reference::Registry(from), Reference::Registry(to)) => is_same_tag(from, to),
        (from, to) => from == to,
    };
    match destinations.iter().find(is_source) {
        Some(destination) => Err(SinkError::IsSource(destination.clone())),
        None => Ok(()),
    }
}

/// A digest beside the source's tag says which image the tag is believed to be on: moved, it would be on another one. Names
/// of hosts know no case.
fn is_same_tag(from: &RegistryReference, to: &RegistryReference) -> bool {
    from.tag.is_some()
        && from.tag == to.tag
        && from.repository.path == to.repository.path
        && from.repository.host.eq_ignore_ascii_case(&to.repository.host)
}

/// Symbolic and hard links are the file; stdin is not stdout.
fn is_same_file(left: &Path, right: &Path) -> bool {
    if [left, right].contains(&Path::new(STDIO)) {
        return false;
    }
    let identity = |path: &Path| fs::metadata(path).map(|file| (file.dev(), file.ino())).ok();
    identity(left).is_some_and(|left| identity(right) == Some(left))
}
