//! Layers that change in so many places that their stored streams are not worth editing.
//!
//! Every member that stays gets another header. Where little stands between two of them, most of the stream says something else
//! afterwards: matches are cut, codes do not fit any more. Measured on text as gzip and pigz store it, in files of one
//! size: of 256 bytes the edited stream is 11 % longer than one that is compressed anew by level 6, of 512 3 %, of 1024 as long, of 4096
//! 1 % shorter; the processor time is the same for up to 512 bytes, and from 1024 on a quarter less.

use super::Verdict;
use crate::rootfs::{Kind, LayerIndex};

/// Bytes of content that members which stay have on average, at least, where the stream is edited.
const LEAST: u64 = 768;

/// For each layer, whether so little stands between what changes.
pub fn dense(layers: &[LayerIndex], verdicts: &[Vec<Verdict>]) -> Vec<bool> {
    layers.iter().zip(verdicts).map(|(layer, verdicts)| is_dense(layer, verdicts)).collect()
}

fn is_dense(layer: &LayerIndex, verdicts: &[Verdict]) -> bool {
    let mut members = 0u64;
    let mut content = 0u64;
    for (entry, verdict) in layer.entries.iter().zip(verdicts) {
        if let Verdict::Keep(_) = verdict {
            members += 1;
            if let Kind::File(file) = &entry.kind {
                content = content.saturating_add(file.size);
            }
        }
    }
    content < members * LEAST
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::path::ImagePath;
    use crate::plan::{Patch, Reason};
    use crate::rootfs::{Content, Entry, File};

    #[test]
    fn what_stays_counts_and_what_goes_does_not() {
        let entry = |kind| Entry {
            path: ImagePath::literal("/a"),
            kind,
            mode: 0o644,
            uid: 0,
            gid: 0,
            mtime: 0,
            xattrs: None,
        };
        let file =
            |size| entry(Kind::File(File { size, content: Content::Data, bytes: None, identity: None }));
        let keep = || Verdict::Keep(Arc::new(Patch::default()));
        let gone = || Verdict::Drop(Reason::UnneededPackage);
        let is_dense =
            |entries: Vec<Entry>, verdicts: Vec<Verdict>| dense(&[LayerIndex { entries }], &[verdicts]);
        let pair = || vec![file(100), file(LEAST)];
        assert_eq!(is_dense(pair(), vec![keep(), keep()]), [true]);
        assert_eq!(is_dense(pair(), vec![keep(), gone()]), [true]);
        assert_eq!(is_dense(pair(), vec![gone(), keep()]), [false]);
        assert_eq!(is_dense(pair(), vec![gone(), gone()]), [false], "nothing is left to compress");
        // A directory has a header too.
        assert_eq!(is_dense(vec![entry(Kind::Directory), file(LEAST)], vec![keep(), keep()]), [true]);
        assert_eq!(is_dense(vec![entry(Kind::Directory), file(2 * LEAST)], vec![keep(), keep()]), [false]);
    }
}
