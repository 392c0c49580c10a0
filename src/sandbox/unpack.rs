//! An image's merged tree, sent to the stage that makes it: directories first, then files as the layers have them.
//!
//! Writes nothing itself. What upper layers hide is not sent; digests are checked as everywhere.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::sync::Arc;

use super::message::{Content, IdNumber, LeftOut, Meta, Request, WhyLeftOut};
use super::wire::{self, Bytes, PIECE};
use crate::image::{LayerDescriptor, LayerError, LayerReader};
use crate::layer::stream::{Member, StreamError, TarStream};
use crate::limits::{Limits, Meter};
use crate::path::ImagePath;
use crate::rootfs::{Entry, EntryId, Kind, Rootfs};
use crate::source::{Source, SourceError};

/// What is unpacked.
pub struct Image<'a> {
    /// Where it is.
    pub source: &'a dyn Source,
    /// Its layers, base first.
    pub layers: &'a [LayerDescriptor],
    /// What they make together.
    pub rootfs: &'a Rootfs,
    /// How much is read.
    pub limits: Limits,
}

/// Why an image cannot be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// A layer is not to be had.
    #[error(transparent)]
    Source(SourceError),
    /// A layer is not what it says.
    #[error(transparent)]
    Layer(LayerError),
    /// A layer is no tar stream.
    #[error("layer {layer}")]
    Stream {
        /// From 0 at the bottom.
        layer: usize,
        /// What is wrong.
        #[source]
        source: StreamError,
    },
    /// Nobody takes it.
    #[error("handing it over")]
    Send(#[source] io::Error),
}

/// Sends the tree; returns what nobody may make.
pub fn send(image: &Image<'_>, ids: IdNumber, out: impl Write) -> Result<Vec<LeftOut>, UnpackError> {
    let mut out = BufWriter::with_capacity(PIECE, out);
    let mut left_out = Vec::new();
    let mut files: BTreeMap<EntryId, Vec<&ImagePath>> = BTreeMap::new();
    say(&mut out, &Request::Tree(ids))?;
    for (path, node) in image.rootfs.nodes() {
        let entry = node.inode.and_then(|id| image.rootfs.member(id));
        let name = Bytes(path.as_bytes().to_vec());
        let request = match (entry, entry.map(|entry| &entry.kind), node.inode) {
            (Some(_), Some(Kind::File(_)), Some(id)) => {
                files.entry(id).or_default().push(path);
                continue;
            }
            (Some(entry), Some(Kind::Directory), _) => Request::Directory(name, meta(entry)),
            (Some(entry), Some(Kind::Symlink(target)), _) => {
                Request::Symlink { path: name, target: Bytes(target.to_vec()), meta: meta(entry) }
            }
            (Some(entry), Some(Kind::Fifo), _) => Request::Fifo(name, meta(entry)),
            (Some(_), Some(Kind::CharDevice(..) | Kind::BlockDevice(..)), _) => {
                // There the container gets its own.
                if !path.is_within(&ImagePath::literal("dev")) {
                    left_out.push(LeftOut { path: name, why: WhyLeftOut::Device });
                }
                continue;
            }
            // Nobody says whose a directory is that only its content implies: root's, as runtimes make it.
            _ => Request::Directory(name, Meta { mode: 0o755, uid: 0, gid: 0, mtime: 0, xattrs: Vec::new() }),
        };
        say(&mut out, &request)?;
    }
    let stored = image.layers.iter().fold(0u64, |sum, layer| sum.saturating_add(layer.size));
    let meter = Arc::new(Meter::new(&image.limits, stored));
    for (number, layer) in image.layers.iter().enumerate() {
        let is_here = |id: &EntryId| usize::try_from(id.layer()).is_ok_and(|of| of == number);
        if files.keys().any(is_here) {
            send_layer(image, number, layer, &files, &meter, &mut out)?;
        }
    }
    say(&mut out, &Request::TreeEnd)?;
    out.flush().map_err(UnpackError::Send)?;
    Ok(left_out)
}

fn send_layer(
    image: &Image<'_>,
    number: usize,
    layer: &LayerDescriptor,
    files: &BTreeMap<EntryId, Vec<&ImagePath>>,
    meter: &Arc<Meter>,
    out: &mut impl Write,
) -> Result<(), UnpackError> {
    let stored = image.source.open_layer(layer).map_err(UnpackError::Source)?;
    let mut reader = LayerReader::metered(stored, layer, Arc::clone(meter)).map_err(UnpackError::Layer)?;
    let failed = |source| UnpackError::Stream { layer: number, source };
    let mut stream = TarStream::new(&mut reader);
    while let Some(member) = stream.next_member().map_err(failed)? {
        let id = EntryId::new(u32::try_from(number).unwrap_or(u32::MAX), member.number);
        let (Some(paths), Some(entry)) = (files.get(&id), image.rootfs.member(id)) else { continue };
        let Some((first, others)) = paths.split_first() else { continue };
        let name = Bytes(first.as_bytes().to_vec());
        say(out, &Request::File(name.clone(), meta(entry), content(&member)))?;
        loop {
            let bytes = stream.content().map_err(failed)?;
            for piece in bytes.chunks(PIECE) {
                wire::send_piece(&mut *out, piece).map_err(UnpackError::Send)?;
            }
            if bytes.is_empty() {
                break;
            }
        }
        wire::send_piece(&mut *out, &[]).map_err(UnpackError::Send)?;
        for other in others {
            let link = Request::Hardlink { path: Bytes(other.as_bytes().to_vec()), target: name.clone() };
            say(out, &link)?;
        }
    }
    reader.finish().map(drop).map_err(UnpackError::Layer)
}

fn say(out: &mut impl Write, request: &Request) -> Result<(), UnpackError> {
    wire::send(out, request).map_err(UnpackError::Send)
}

fn content(member: &Member) -> Content {
    Content { size: member.size, map: member.sparse.then(|| member.regions.clone()) }
}

fn meta(entry: &Entry) -> Meta {
    let xattrs = entry.xattrs.iter().flat_map(|xattrs| xattrs.iter());
    Meta {
        mode: entry.mode.into(),
        uid: entry.uid,
        gid: entry.gid,
        mtime: entry.mtime,
        xattrs: xattrs.map(|(name, value)| (Bytes(name.to_vec()), Bytes(value.to_vec()))).collect(),
    }
}
