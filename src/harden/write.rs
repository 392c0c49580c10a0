//! Pass 2: every layer written again, or passed through where nothing in it changes.
//!
//! Follows verdicts; bytes of the output depend on nothing else.

use std::io::{self, Read};
use std::sync::Arc;

use super::error::HardenError;
use super::read::{LayerStream, meter};
use super::{Means, parallel, stored_bytes};
use crate::cache::LayerKey;
use crate::deflate::{Editor, Format};
use crate::digest::HashingWriter;
use crate::image::decode::peek_codec;
use crate::image::manifest::Blob;
use crate::image::{Codec, FinishedLayer, LayerDescriptor, LayerError, LayerReader, VerifyingReader};
use crate::layer::codec::{Encoder, Encoding};
use crate::layer::edited::edit;
use crate::layer::gzip::Pool;
use crate::layer::pipe::WriteBehind;
use crate::layer::rewrite::{RewriteError, is_unchanged, rewrite};
use crate::layer::spool::Unpacked;
use crate::layer::stream::StreamError;
use crate::layer::writer::write_layer;
use crate::limits::Meter;
use crate::options::Compression;
use crate::plan::{Addition, Plan, Verdict};
use crate::progress::Progress;
use crate::sink::{Broken, Destinations, Scratch, copy};
use crate::source::Source;

/// How a layer came to be what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// Nothing in it changed.
    Untouched,
    /// A run before made it.
    Cached,
    /// Its compressed stream was edited.
    Edited,
    /// It was compressed anew.
    Compressed,
}

/// A new layer, and how it came to be.
pub type Made = (FinishedLayer, Way);

/// The new layers, one for each of the source's.
pub fn layers(
    means: &Means<'_>,
    layers: &[LayerDescriptor],
    kept: &[Option<Unpacked<Scratch>>],
    plan: &Plan,
    destinations: &Destinations,
) -> Result<Vec<Made>, HardenError> {
    let &Means { options, progress, .. } = means;
    progress.start("writing", Some(stored_bytes(layers)));
    let jobs = options.jobs.get();
    // Held again: between the passes the source may have become another.
    let meter = meter(layers, &options.limits)?;
    let pass = Pass { means, plan, kept, destinations, pool: Pool::new(jobs), meter };
    let finished = parallel::for_each_layer(layers, jobs, |number, layer| {
        let (made, way) = pass.layer(number, layer)?;
        destinations.offer(Blob { digest: made.digest, size: made.size });
        Ok((made, way))
    });
    means.cache.trim();
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

/// How a layer that is stored as `stored` is stored when it is written again.
fn encoding(compression: Compression, stored: Codec) -> Encoding {
    match (compression, stored) {
        (Compression::To(codec, level), _) => Encoding { codec, level },
        // What was compressed stays so, in its own way; what was not is not worth a registry's space.
        (Compression::Keep, Codec::Zstd) => Encoding { codec: Codec::Zstd, level: None },
        (Compression::Keep, Codec::Gzip | Codec::Plain) => Encoding { codec: Codec::Gzip, level: None },
    }
}

/// Whether the stream of a layer that is stored as `stored` is edited where the layer is written again.
pub fn is_edited(compression: Compression, stored: Codec) -> bool {
    stored == Codec::Gzip && encoding(compression, stored) == Encoding { codec: Codec::Gzip, level: None }
}

/// What all layers have in common.
struct Pass<'a> {
    means: &'a Means<'a>,
    plan: &'a Plan,
    kept: &'a [Option<Unpacked<Scratch>>],
    destinations: &'a Destinations,
    pool: Pool,
    meter: Arc<Meter>,
}

impl Pass<'_> {
    fn layer(&self, number: usize, layer: &LayerDescriptor) -> Result<Made, HardenError> {
        let verdicts = self.plan.verdicts.get(number).map_or(&[][..], Vec::as_slice);
        let &Means { source, options, ref cache, progress } = self.means;
        let compression = options.compression;
        let encoding = encoding(compression, layer.codec);
        let stays = compression == Compression::Keep || encoding.codec == layer.codec;
        if stays && is_unchanged(verdicts) {
            pass_through(source, layer, self.destinations)?;
            progress.advance(layer.size);
            return Ok((FinishedLayer::from(layer), Way::Untouched));
        }
        let key = LayerKey::new(layer, verdicts, compression);
        if let Some(known) = self.known(&key) {
            progress.advance(layer.size);
            return Ok((known, Way::Cached));
        }
        let is_dense = self.plan.dense.get(number).copied().unwrap_or(false);
        let may_edit = is_edited(compression, layer.codec) && !is_dense;
        let edited = if may_edit { self.edit(number, layer, verdicts)? } else { None };
        let made = match edited {
            Some(edited) => (edited, Way::Edited),
            None => (self.compress(number, layer, verdicts, encoding)?, Way::Compressed),
        };
        if let Some(blob) = self.destinations.staged(&made.0.digest) {
            cache.keep_layer(&key, &made.0, &blob);
        }
        Ok(made)
    }

    /// What a run before made of it, brought to where it is needed.
    fn known(&self, key: &LayerKey) -> Option<FinishedLayer> {
        let cache = &self.means.cache;
        let known = cache.layer(key)?;
        if self.destinations.has_blob(Blob { digest: known.digest, size: known.size }) {
            return Some(known);
        }
        let kept = cache.open_blob(&known)?;
        // Where nothing can be written, that is told of what is made instead.
        let mut blob = self.destinations.new_blob().ok()?;
        copy(kept, &mut blob).ok()?;
        if blob.finish().ok()? == (known.digest, known.size) {
            return Some(known);
        }
        cache.forget_blob(&known);
        None
    }

    fn compress(
        &self,
        number: usize,
        layer: &LayerDescriptor,
        verdicts: &[Verdict],
        encoding: Encoding,
    ) -> Result<FinishedLayer, HardenError> {
        let encode = |source| HardenError::Encode { layer: number, source };
        let blob = WriteBehind::new(self.destinations.new_blob().map_err(HardenError::Sink)?);
        let mut out = HashingWriter::new(Encoder::new(encoding, blob, &self.pool).map_err(encode)?);
        let &Means { source, progress, .. } = self.means;
        let mut stream = LayerStream::open(source, layer, &self.meter, progress)?;
        let written = if is_unchanged(verdicts) {
            // Only stored otherwise: the stream stays what its digest says, to what follows its end mark.
            copy(&mut stream, &mut out).map_err(|broken| match broken {
                Broken::Reading(source) => RewriteError::Stream(StreamError::Read(source)),
                Broken::Writing(source) => RewriteError::Write(source),
            })
        } else {
            rewrite(&mut stream, verdicts, &mut out)
        };
        stream.finish()?;
        written.map_err(|source| HardenError::Rewrite { layer: number, source })?;
        let (encoder, hasher) = out.finish();
        let blob = encoder.finish().and_then(WriteBehind::finish).map_err(encode)?;
        let (digest, size) = blob.finish().map_err(HardenError::Sink)?;
        Ok(FinishedLayer::new(digest, size, hasher.diff_id(), encoding.codec))
    }

    /// The same without compressing again; `None` where the layer is not stored as what can be edited.
    fn edit(
        &self,
        number: usize,
        layer: &LayerDescriptor,
        verdicts: &[Verdict],
    ) -> Result<Option<FinishedLayer>, HardenError> {
        let &Means { source, progress, .. } = self.means;
        let open = || source.open_layer(layer).map_err(HardenError::Source);
        let unread = |source| HardenError::Layer(LayerError::Read { layer: layer.diff_id, source });
        let told = Told { inner: open()?, progress };
        let (codec, stored) = peek_codec(told).map_err(unread)?;
        // What its first bytes say counts.
        if !matches!(codec, Ok(Codec::Gzip)) {
            return Ok(None);
        }
        let stored = VerifyingReader::new(stored, layer.digest, layer.size);
        // Three threads: one reads and edits, one hashes the content, one hashes and writes what is stored.
        let blob = WriteBehind::new(self.destinations.new_blob().map_err(HardenError::Sink)?);
        let content = WriteBehind::new(HashingWriter::new(io::sink()));
        let editor = match self.kept.get(number).and_then(Option::as_ref) {
            Some(Unpacked { trail, content: old }) => {
                Editor::replay(stored, (trail, old), Format::Gzip, blob, content)
            }
            None => Editor::new(stored, Format::Gzip, blob, content),
        };
        let edited = edit(editor, verdicts, &self.meter);
        let ended = edited.and_then(|(blob, content)| {
            let ended = content.finish().and_then(|content| Ok((blob.finish()?, content)));
            ended.map_err(RewriteError::Write)
        });
        let (blob, content) = match ended {
            Ok(ended) => ended,
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
        Ok(Some(FinishedLayer::new(digest, size, hasher.diff_id(), Codec::Gzip)))
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
    compression: Compression,
) -> Result<FinishedLayer, HardenError> {
    let encode = |source| HardenError::Encode { layer: number, source };
    // As any new layer.
    let encoding = encoding(compression, Codec::Plain);
    let blob = destinations.new_blob().map_err(HardenError::Sink)?;
    let mut out = HashingWriter::new(Encoder::new(encoding, blob, &Pool::new(1)).map_err(encode)?);
    write_layer(&mut out, additions).map_err(encode)?;
    let (encoder, hasher) = out.finish();
    let (digest, size) = encoder.finish().map_err(encode)?.finish().map_err(HardenError::Sink)?;
    Ok(FinishedLayer::new(digest, size, hasher.diff_id(), encoding.codec))
}
