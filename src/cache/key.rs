//! Under what a layer that was written again is found: all that its bytes follow from, but for the program.

use crate::digest::{BlobDigest, Hasher};
use crate::image::LayerDescriptor;
use crate::options::Compression;
use crate::plan::{Patch, Verdict};

/// All that the bytes of a layer that is written again follow from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerKey(BlobDigest);

impl LayerKey {
    /// That of `layer` under `verdicts`, compressed as was asked for.
    pub fn new(layer: &LayerDescriptor, verdicts: &[Verdict], compression: Compression) -> Self {
        let mut hasher = Hasher::default();
        let mut text = |bytes: &[u8]| {
            // Its length first: else the end of one could be the beginning of the next.
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        text(layer.digest.hex().as_bytes());
        text(compression.to_string().as_bytes());
        for verdict in verdicts {
            match verdict {
                // No patch is so short.
                Verdict::Drop(_) | Verdict::Merged => text(b""),
                Verdict::Keep(patch) => text(&bytes_of(patch)),
            }
        }
        Self(hasher.blob())
    }

    /// As the name of a file.
    pub fn hex(&self) -> String {
        self.0.hex()
    }
}

/// A patch as bytes; whatever is added to one belongs in here.
fn bytes_of(Patch { mode, owner, path, link, content, drop_capabilities }: &Patch) -> Vec<u8> {
    postcard::to_allocvec(&(mode, owner, path, link, content.as_deref(), drop_capabilities))
        .unwrap_or_else(|error| unreachable!("numbers, paths and bytes are written as they are: {error}"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::digest::DiffId;
    use crate::image::Codec;
    use crate::path::ImagePath;
    use crate::plan::Reason;

    #[test]
    fn whatever_changes_the_bytes_changes_the_key() {
        let layer = |text: &[u8]| LayerDescriptor {
            digest: BlobDigest::of(text),
            size: text.len() as u64,
            diff_id: DiffId::of(b"stream"),
            codec: Codec::Gzip,
            media_type: Codec::Gzip.media_type().to_owned(),
            annotations: std::collections::BTreeMap::new(),
        };
        let keep = |patch: Patch| Verdict::Keep(Arc::new(patch));
        let as_it_is = || keep(Patch::default());
        let patches = [
            Patch { mode: Some(0o555), ..Patch::default() },
            Patch { mode: Some(0o444), ..Patch::default() },
            Patch { owner: Some((0, 0)), ..Patch::default() },
            Patch { path: Some(ImagePath::literal("/a")), ..Patch::default() },
            Patch { link: Some(ImagePath::literal("/a")), ..Patch::default() },
            Patch { content: Some(Arc::from(&b"a"[..])), ..Patch::default() },
            Patch { content: Some(Arc::from(&b""[..])), ..Patch::default() },
            Patch { drop_capabilities: true, ..Patch::default() },
        ];
        let mut all = vec![
            vec![],
            vec![as_it_is()],
            vec![as_it_is(), as_it_is()],
            vec![as_it_is(), Verdict::Merged],
            vec![Verdict::Merged, as_it_is()],
            vec![Verdict::Merged],
        ];
        all.extend(patches.into_iter().map(|patch| vec![keep(patch)]));
        let mut keys: Vec<_> =
            all.iter().map(|list| LayerKey::new(&layer(b"one"), list, Compression::Keep).hex()).collect();
        keys.push(LayerKey::new(&layer(b"two"), &[], Compression::Keep).hex());
        keys.push(LayerKey::new(&layer(b"one"), &[], Compression::To(Codec::Gzip, None)).hex());
        keys.push(LayerKey::new(&layer(b"one"), &[], Compression::To(Codec::Gzip, Some(9))).hex());
        let number = keys.len();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), number);
        // Why something goes is no part of what is left.
        let gone = |verdict: Verdict| LayerKey::new(&layer(b"one"), &[verdict], Compression::Keep);
        assert_eq!(gone(Verdict::Drop(Reason::UnneededPackage)), gone(Verdict::Merged));
    }
}
