//! How a layer's tar stream is stored: one writer for every codec.
//!
//! Bytes depend on the stream and the codec alone, not on threads or on the sizes of writes.

use std::io::{self, BufWriter, Write};

use super::gzip::{GzipWriter, Pool};
use crate::deflate::LEVEL;
use crate::image::Codec;

/// zstd's own default.
const ZSTD_LEVEL: u8 = 3;

/// Bytes that reach zstd at once: its output could otherwise depend on how the stream was cut.
const ZSTD_WRITE: usize = 1024 * 1024;

/// How a stream is stored, and how hard it is compressed: by default as the codec's own tool does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encoding {
    /// How.
    pub codec: Codec,
    /// gzip: 1 to 9; zstd: 1 to 22.
    pub level: Option<u8>,
}

/// Encodes what is written to it.
pub enum Encoder<W: Write> {
    /// As it is.
    Plain(W),
    /// gzip, on the pool's threads.
    Gzip(GzipWriter<W>),
    /// zstd, on threads of its own.
    Zstd(BufWriter<zstd::Encoder<'static, W>>),
}

impl<W: Write> Encoder<W> {
    /// Begins a stream.
    pub fn new(Encoding { codec, level }: Encoding, inner: W, pool: &Pool) -> io::Result<Self> {
        Ok(match codec {
            Codec::Plain => Self::Plain(inner),
            Codec::Gzip => Self::Gzip(GzipWriter::new(inner, pool.clone(), level.map_or(LEVEL, u32::from))?),
            Codec::Zstd => {
                let mut encoder = zstd::Encoder::new(inner, level.unwrap_or(ZSTD_LEVEL).into())?;
                // At least one: none at all cuts the stream elsewhere, any number above cuts it alike.
                encoder.multithread(u32::try_from(pool.workers()).unwrap_or(1).max(1))?;
                Self::Zstd(BufWriter::with_capacity(ZSTD_WRITE, encoder))
            }
        })
    }

    /// Ends the stream.
    pub fn finish(self) -> io::Result<W> {
        match self {
            Self::Plain(inner) => Ok(inner),
            Self::Gzip(writer) => writer.finish(),
            Self::Zstd(writer) => writer.into_inner().map_err(io::IntoInnerError::into_error)?.finish(),
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(inner) => inner.write(buf),
            Self::Gzip(writer) => writer.write(buf),
            Self::Zstd(writer) => writer.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(inner) => inner.flush(),
            // Flushing a compressor cuts its stream.
            Self::Gzip(_) | Self::Zstd(_) => Ok(()),
        }
    }
}
