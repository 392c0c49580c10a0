//! Pass 2: every layer written again, or passed through where nothing in it changes.
//!
//! Follows verdicts; bytes of the output depend on nothing else.

use std::collections::BTreeMap;

use super::error::HardenError;
use super::read::LayerStream;
use super::{parallel, stored_bytes};
use crate::digest::HashingWriter;
use crate::image::{Codec, FinishedLayer, LayerDescriptor};
use crate::layer::codec::Encoder;
use crate::layer::gzip::Pool;
use crate::layer::rewrite::{is_unchanged, rewrite};
use crate::layer::writer::write_layer;
use crate::plan::{Addition, Plan, Verdict};
use crate::progress::Progress;
use crate::sink::Destinations;
use crate::source::Source;

/// The new layers, one for each of the source's.
pub fn layers(
    source: &dyn Source,
    layers: &[LayerDescriptor],
    plan: &Plan,
    destinations: &Destinations,
    jobs: usize,
    progress: &dyn Progress,
) -> Result<Vec<FinishedLayer>, HardenError> {
    progress.start("writing", Some(stored_bytes(layers)));
    let pool = Pool::new(jobs);
    let finished = parallel::for_each_layer(layers, jobs, |number, layer| {
        let verdicts = plan.verdicts.get(number).map_or(&[][..], Vec::as_slice);
        if is_unchanged(verdicts) {
            pass_through(source, layer, destinations)?;
            progress.advance(layer.size);
            return Ok(FinishedLayer::from(layer));
        }
        write_again(source, number, layer, verdicts, destinations, &pool, progress)
    });
    progress.finish();
    finished
}

fn pass_through(
    source: &dyn Source,
    layer: &LayerDescriptor,
    destinations: &Destinations,
) -> Result<(), HardenError> {
    if destinations.has_blob(&layer.digest) {
        return Ok(());
    }
    let stored = source.open_layer(layer).map_err(HardenError::Source)?;
    destinations.copy_layer(stored, layer).map_err(HardenError::Sink)
}

fn write_again(
    source: &dyn Source,
    number: usize,
    layer: &LayerDescriptor,
    verdicts: &[Verdict],
    destinations: &Destinations,
    pool: &Pool,
    progress: &dyn Progress,
) -> Result<FinishedLayer, HardenError> {
    let encode = |source| HardenError::Encode { layer: number, source };
    // What was compressed stays so, in its own way; what was not is not worth a registry's space.
    let codec = match layer.codec {
        Codec::Zstd => Codec::Zstd,
        Codec::Gzip | Codec::Plain => Codec::Gzip,
    };
    let blob = destinations.new_blob().map_err(HardenError::Sink)?;
    let mut out = HashingWriter::new(Encoder::new(codec, blob, pool).map_err(encode)?);
    let mut stream = LayerStream::open(source, layer, progress)?;
    let written = rewrite(&mut stream, verdicts, &mut out);
    stream.finish()?;
    written.map_err(|source| HardenError::Rewrite { layer: number, source })?;
    let (encoder, hasher) = out.finish();
    let (digest, size) = encoder.finish().map_err(encode)?.finish().map_err(HardenError::Sink)?;
    // Annotations of a layer are about its bytes (zstd:chunked's checksums): these are others.
    Ok(FinishedLayer { digest, size, diff_id: hasher.diff_id(), codec, annotations: BTreeMap::new() })
}

/// kiln's own layer.
pub fn own_layer(
    number: usize,
    additions: &[Addition],
    destinations: &Destinations,
) -> Result<FinishedLayer, HardenError> {
    let encode = |source| HardenError::Encode { layer: number, source };
    let blob = destinations.new_blob().map_err(HardenError::Sink)?;
    let mut out = HashingWriter::new(Encoder::new(Codec::Gzip, blob, &Pool::new(1)).map_err(encode)?);
    write_layer(&mut out, additions).map_err(encode)?;
    let (encoder, hasher) = out.finish();
    let (digest, size) = encoder.finish().map_err(encode)?.finish().map_err(HardenError::Sink)?;
    Ok(FinishedLayer {
        digest,
        size,
        diff_id: hasher.diff_id(),
        codec: Codec::Gzip,
        annotations: BTreeMap::new(),
    })
}
