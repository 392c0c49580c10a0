//! What the image has at a path, told so that a mount hides nothing unseen.
//!
//! Counts only what stays; does not know who writes there.

use super::Inputs;
use crate::path::ImagePath;
use crate::plan::PathContent;
use crate::rootfs::Kind;

/// Where links that stand for log files point.
const LOG_STREAMS: &[&[u8]] = &[
    b"/dev/stdout",
    b"/dev/stderr",
    b"/proc/self/fd/1",
    b"/proc/self/fd/2",
    b"/dev/fd/1",
    b"/dev/fd/2",
    b"/proc/1/fd/1",
    b"/proc/1/fd/2",
];

/// What the image has at the canonical directory `path`.
pub(super) fn content(inputs: &Inputs<'_>, path: &ImagePath) -> PathContent {
    if inputs.rootfs.node(path).is_none() {
        return PathContent::Absent;
    }
    let (mut files, mut bytes, mut log_links) = (0, 0, 0_u64);
    for (below, _) in inputs.rootfs.below(path) {
        let Some(entry) = inputs.rootfs.entry(below) else { continue };
        match &entry.kind {
            Kind::File(file) if file.size > 0 && (inputs.kept)(below) => {
                files += 1;
                bytes += file.size;
            }
            Kind::Symlink(_) if is_log_link(inputs, below) => log_links += 1,
            // A mount would hide these too, though they have no bytes.
            Kind::Symlink(_) | Kind::Fifo | Kind::CharDevice(..) | Kind::BlockDevice(..)
                if (inputs.kept)(below) =>
            {
                files += 1;
            }
            _ => {}
        }
    }
    if files > 0 {
        PathContent::Seed { files, bytes }
    } else if log_links > 0 {
        PathContent::LogLinks
    } else {
        PathContent::Empty
    }
}

/// Whether `path` itself is a link to a log stream of the container.
pub(super) fn is_log_link(inputs: &Inputs<'_>, path: &ImagePath) -> bool {
    matches!(inputs.rootfs.entry(path).map(|entry| &entry.kind), Some(Kind::Symlink(target)) if LOG_STREAMS.contains(&&**target))
}
