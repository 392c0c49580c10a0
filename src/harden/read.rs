//! Pass 1: every layer read, verified and indexed.
//!
//! Knows which modules want which files' bytes, not what they are for.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::error::HardenError;
use super::write::is_edited;
use super::{Means, parallel, record, stored_bytes};
use crate::cache::Indexed;
use crate::image::{LayerDescriptor, LayerError, LayerReader};
use crate::layer::index::{count_index, read_index_within};
use crate::layer::pipe::ReadAhead;
use crate::layer::spool::{self, Spool, Unpacked};
use crate::limits::{LimitError, Limits, Meter};
use crate::path::ImagePath;
use crate::progress::Progress;
use crate::rootfs::LayerIndex;
use crate::sink::{Destinations, Scratch};
use crate::source::Source;
use crate::{accounts, elf, packages, plan, seed};

/// Bytes read at once where nobody looks at them.
const READ_SIZE: usize = 128 << 10;

/// What is known of a layer once it was read.
pub struct Known {
    /// Its members.
    pub index: LayerIndex,
    /// What it unpacks to, where that was kept.
    pub unpacked: Option<Unpacked<Scratch>>,
}

/// All layers, bottom first. What they unpack to is kept for `destinations`, where there is room.
pub fn layers(
    means: &Means<'_>,
    layers: &[LayerDescriptor],
    destinations: Option<&Destinations>,
) -> Result<Vec<Known>, HardenError> {
    let &Means { source, options, ref cache, progress } = means;
    progress.start("reading", Some(stored_bytes(layers)));
    let meter = meter(layers, &options.limits)?;
    let room = Arc::default();
    let spool = |layer: &LayerDescriptor| {
        let destinations = destinations.filter(|_| is_edited(options.compression, layer.codec))?;
        let file = destinations.scratch(spool::FREE)?;
        Spool::new(file, &room, layer.size)
    };
    let read = parallel::for_each_layer(layers, options.jobs.get(), |number, layer| {
        let failed = |source| HardenError::Index { layer: number, source };
        if let Some(known) = cache.index(layer) {
            // A limit is passed by what an image is, and not by how kiln came to know it.
            count_index(&known.index, known.unpacked, &meter).map_err(failed)?;
            progress.advance(layer.size);
            return Ok(Known { index: known.index, unpacked: None });
        }
        let mut stream = LayerStream::open(source, layer, &meter, progress)?;
        stream.spool = spool(layer);
        let index = read_index_within(&mut stream, &wanted, &meter);
        match index {
            // Nobody waits for the rest of what is too much already.
            Err(error) if LimitError::find(&error).is_some() => Err(failed(error)),
            index => {
                // A blob that is not what its digest says explains whatever else was wrong with it.
                let (bytes, unpacked) = stream.finish()?;
                let index = index.map_err(failed)?;
                let &LayerDescriptor { size, diff_id, codec, .. } = layer;
                let known = Indexed { size, diff_id, codec, unpacked: bytes, index };
                cache.keep_index(layer, &known);
                Ok(Known { index: known.index, unpacked })
            }
        }
    });
    progress.finish();
    read
}

/// A meter for one pass over all layers; what is stored cannot unpack to less, by more than a little.
pub fn meter(layers: &[LayerDescriptor], limits: &Limits) -> Result<Arc<Meter>, HardenError> {
    let stored = stored_bytes(layers);
    let unpacked = limits.unpacked(stored);
    if stored > unpacked.limit() {
        return Err(HardenError::Limit(unpacked));
    }
    Ok(Arc::new(Meter::new(limits, stored)))
}

fn wanted(path: &ImagePath) -> Option<u64> {
    packages::wanted(path)
        .or_else(|| elf::search::wanted(path))
        .or_else(|| accounts::wanted(path))
        .or_else(|| plan::writable::wanted(path))
        .or_else(|| plan::entrypoint::wanted(path))
        .or_else(|| record::wanted(path))
        .or_else(|| seed::wanted(path))
}

/// The tar stream of a layer, decoded and hashed on a thread of its own.
pub struct LayerStream<'a> {
    ahead: ReadAhead<LayerReader<Counted>>,
    layer: LayerDescriptor,
    seen: Arc<AtomicU64>,
    told: u64,
    progress: &'a dyn Progress,
    /// Keeps what it unpacks to.
    spool: Option<Spool<Scratch>>,
}

impl<'a> LayerStream<'a> {
    /// Opens `layer`.
    pub fn open(
        source: &dyn Source,
        layer: &LayerDescriptor,
        meter: &Arc<Meter>,
        progress: &'a dyn Progress,
    ) -> Result<Self, HardenError> {
        let seen = Arc::new(AtomicU64::new(0));
        let stored = source.open_layer(layer).map_err(HardenError::Source)?;
        let counted = Counted { inner: stored, seen: Arc::clone(&seen) };
        let reader = LayerReader::metered(counted, layer, Arc::clone(meter)).map_err(HardenError::Layer)?;
        let (ahead, layer) = (ReadAhead::new(reader), layer.clone());
        Ok(Self { ahead, layer, seen, told: 0, progress, spool: None })
    }

    /// Reads the rest and gives the length of the stream, and what it unpacks to, if that was kept; an error where the layer was not
    /// the one that was named.
    pub fn finish(mut self) -> Result<(u64, Option<Unpacked<Scratch>>), HardenError> {
        let layer = self.layer.diff_id;
        let failed = |source| HardenError::Layer(LayerError::Read { layer, source });
        let mut rest = vec![0; if self.spool.is_some() { READ_SIZE } else { 0 }];
        while self.spool.is_some() && self.read(&mut rest).map_err(failed)? > 0 {}
        let reader = self.ahead.finish().map_err(failed)?;
        let (bytes, trail) = reader.finish().map_err(HardenError::Layer)?;
        let left = self.layer.size.saturating_sub(self.told);
        self.progress.advance(left);
        let unpacked = self.spool.zip(trail).and_then(|(spool, trail)| spool.finish(trail));
        Ok((bytes, unpacked))
    }
}

impl Read for LayerStream<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.ahead.read(buf)?;
        let bytes = buf.get(..n).unwrap_or_default();
        self.spool = self.spool.take().and_then(|spool| spool.with(bytes));
        let now = self.seen.load(Ordering::Relaxed);
        if now > self.told {
            self.progress.advance(now - self.told);
            self.told = now;
        }
        Ok(n)
    }
}

/// Counts stored bytes as they are read.
struct Counted {
    inner: Box<dyn Read + Send>,
    seen: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.seen.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}
