//! gzip and zstd around a layer: read to the end or refused, and never taken for another layer.

use std::collections::BTreeMap;
use std::io::Read;

use kiln::digest::{BlobDigest, DiffId};
use kiln::image::{Codec, LayerDescriptor, LayerError, LayerReader};

/// Most bytes read of one stream here.
const MOST: u64 = 8 << 20;

/// Checks one stored layer.
pub fn check(data: &[u8]) {
    let mut layer = LayerDescriptor {
        digest: BlobDigest::of(data),
        size: data.len() as u64,
        diff_id: DiffId::of(b"another layer"),
        codec: Codec::Plain,
        media_type: String::new(),
        annotations: BTreeMap::new(),
    };
    let Ok(reader) = LayerReader::new(data, &layer) else { return };
    let mut stream = Vec::new();
    if reader.take(MOST).read_to_end(&mut stream).is_err() || stream.len() as u64 == MOST {
        return;
    }
    let again = LayerReader::new(data, &layer).unwrap_or_else(|error| panic!("opened before: {error}"));
    assert!(
        matches!(again.finish(), Err(LayerError::WrongDiffId { found, .. }) if found == DiffId::of(&stream))
    );
    layer.diff_id = DiffId::of(&stream);
    let right = LayerReader::new(data, &layer).unwrap_or_else(|error| panic!("opened before: {error}"));
    assert_eq!(right.finish().ok().map(|(bytes, _)| bytes), Some(stream.len() as u64));
    layer.size += 1;
    let short = LayerReader::new(data, &layer).unwrap_or_else(|error| panic!("opened before: {error}"));
    assert!(short.finish().is_err(), "a blob that is too short is refused");
}
