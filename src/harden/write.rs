//! Pass 2: every layer written again, or passed through where nothing in it changes.
//!
//! Follows verdicts; bytes of the output depend on nothing else.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::Arc;

use super::error::HardenError;
use super::read::{LayerStream, meter};
use super::{parallel, stored_bytes};
use crate::deflate::{Editor, Format};
use crate::digest::HashingWriter;
use crate::image::decode::peek_codec;
use crate::image::manifest::Blob;
use crate::image::{Codec, FinishedLayer, LayerDescriptor, LayerError, LayerReader, VerifyingReader};
use crate::layer::codec::Encoder;
use crate::layer::edited::edit;
use crate::layer::gzip::Pool;
use crate::layer::rewrite::{RewriteError, is_unchanged, rewrite};
use crate::layer::writer::write_layer;
use crate::limits::Meter;
use crate::options::Options;
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
    options: &Options,
    progress: &dyn Progress,
) -> Result<Vec<FinishedLayer>, HardenError> {
    progress.start("writing", Some(stored_bytes(layers)));
    let jobs = options.jobs.get();
    // Held again: between the passes the source may have become another.
    let meter = meter(layers, &options.limits)?;
    let pass = Pass { source, destinations, pool: Pool::new(jobs), meter, progress };
    let finished = parallel::for_each_layer(layers, jobs, |number, layer| {
        let verdicts = plan.verdicts.get(number).map_or(&[][..], Vec::as_slice);
        if is_unchanged(verdicts) {
            pass_through(source, layer, destinations)?;
            progress.advance(layer.size);
            return Ok(FinishedLayer::from(layer));
        }
        pass.write_again(number, layer, verdicts)
    });
    progress.finish();
    finished
}

/// Takes over a layer as it is stored.
pub fn pass_through(
    source: &dyn Source,
    layer: &LayerDescriptor,
    destinations: &Destinations,
) -> Result<(), HardenError> {
    if destinations.has_blob(Blob { digest: layer.digest, size: layer.size }) {
        return Ok(());
    }
    let stored = source.open_layer(layer).map_err(HardenError::Source)?;
    destinations.copy_layer(stored, layer).map_err(HardenError::Sink)
}

/// What all layers have in common.
struct Pass<'a> {
    source: &'a dyn Source,
    destinations: &'a Destinations,
    pool: Pool,
    meter: Arc<Meter>,
    progress: &'a dyn Progress,
}

impl Pass<'_> {
    fn write_again(
        &self,
        number: usize,
        layer: &LayerDescriptor,
        verdicts: &[Verdict],
    ) -> Result<FinishedLayer, HardenError> {
        if let Some(edited) = self.edit(number, layer, verdicts)? {
            return Ok(edited);
        }
        let encode = |source| HardenError::Encode { layer: number, source };
        // What was compressed stays so, in its own way; what was not is not worth a registry's space.
        let codec = match layer.codec {
            Codec::Zstd => Codec::Zstd,
            Codec::Gzip | Codec::Plain => Codec::Gzip,
        };
        let blob = self.destinations.new_blob().map_err(HardenError::Sink)?;
        let mut out = HashingWriter::new(Encoder::new(codec, blob, &self.pool).map_err(encode)?);
        let mut stream = LayerStream::open(self.source, layer, &self.meter, self.progress)?;
        let written = rewrite(&mut stream, verdicts, &mut out);
        stream.finish()?;
        written.map_err(|source| HardenError::Rewrite { layer: number, source })?;
        let (encoder, hasher) = out.finish();
        let (digest, size) = encoder.finish().map_err(encode)?.finish().map_err(HardenError::Sink)?;
        // Annotations of a layer are about its bytes (zstd:chunked's checksums): these are others.
        Ok(FinishedLayer { digest, size, diff_id: hasher.diff_id(), codec, annotations: BTreeMap::new() })
    }
}

impl Pass<'_> {
    /// The same without compressing again; `None` where the layer is not stored as what can be edited.
    fn edit(
        &self,
        number: usize,
        layer: &LayerDescriptor,
        verdicts: &[Verdict],
    ) -> Result<Option<FinishedLayer>, HardenError> {
        if layer.codec != Codec::Gzip {
            return Ok(None);
        }
        let open = || self.source.open_layer(layer).map_err(HardenError::Source);
        let unread = |source| HardenError::Layer(LayerError::Read { layer: layer.diff_id, source });
        let told = Told { inner: open()?, progress: self.progress };
        let (codec, stored) = peek_codec(told).map_err(unread)?;
        // What its first bytes say counts.
        if !matches!(codec, Ok(Codec::Gzip)) {
            return Ok(None);
        }
        let stored = VerifyingReader::new(stored, layer.digest, layer.size);
        let blob = self.destinations.new_blob().map_err(HardenError::Sink)?;
        let editor = Editor::new(stored, Format::Gzip, blob, HashingWriter::new(io::sink()));
        let (blob, content) = match edit(editor, verdicts, &self.meter) {
            Ok(edited) => edited,
            Err(error) => {
                // A blob that is not what its digest says explains whatever else was wrong with it.
                if !matches!(error, RewriteError::Write(_)) {
                    LayerReader::new(open()?, layer)
                        .and_then(LayerReader::finish)
                        .map_err(HardenError::Layer)?;
                }
                return Err(HardenError::Rewrite { layer: number, source: error });
            }
        };
        let (_, hasher) = content.finish();
        let (digest, size) = blob.finish().map_err(HardenError::Sink)?;
        let diff_id = hasher.diff_id();
        Ok(Some(FinishedLayer { digest, size, diff_id, codec: Codec::Gzip, annotations: BTreeMap::new() }))
    }
}

/// Tells of stored bytes as they are read.
struct Told<'a, R> {
    inner: R,
    progress: &'a dyn Progress,
}

impl<R: Read> Read for Told<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.progress.advance(n as u64);
        Ok(n)
    }
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
