//! From stored bytes to a layer's tar stream, verified at both ends.
//!
//! Does not know tar.

use std::io::{self, BufRead, BufReader, Chain, Cursor, Read};

use flate2::bufread::MultiGzDecoder;

use super::media::{Codec, LayerDescriptor, UnsupportedCompression};
use super::verify::VerifyingReader;
use crate::digest::{DiffId, HashingReader};

/// Largest window of a zstd frame, as a power of two: 128 MiB, what the `zstd` tool accepts without `--long`.
const MAX_ZSTD_WINDOW_LOG: u32 = 27;

/// Longest tar stream of one layer, in bytes: 64 GiB. Real ones stay below a tenth of it; a bomb stops here.
pub const MAX_LAYER: u64 = 64 << 30;

/// Bytes read from storage at once.
const READ_SIZE: usize = 128 << 10;

/// A stream whose first bytes were looked at and put back.
pub type Peeked<R> = Chain<Cursor<Vec<u8>>, R>;

/// Looks at a stream's first bytes to tell how it is stored.
pub fn peek_codec<R: Read>(mut reader: R) -> io::Result<(Result<Codec, UnsupportedCompression>, Peeked<R>)> {
    let mut start = Vec::with_capacity(Codec::MAGIC);
    reader.by_ref().take(Codec::MAGIC as u64).read_to_end(&mut start)?;
    Ok((Codec::sniff(&start), Cursor::new(start).chain(reader)))
}

/// A stream as it was before it was compressed.
pub enum Decoded<R: BufRead> {
    /// It was not.
    Plain(R),
    /// gzip: every member, one after the other. What follows a member and is no member is an error, as in skopeo and
    /// containerd.
    Gzip(Box<MultiGzDecoder<R>>),
    /// zstd: every frame, one after the other.
    Zstd(Box<zstd::Decoder<'static, R>>),
}

/// Undoes `codec`. Fails only where the decoder cannot be set up.
pub fn decode<R: Read>(codec: Codec, reader: R) -> io::Result<Decoded<BufReader<R>>> {
    let reader = BufReader::with_capacity(READ_SIZE, reader);
    Ok(match codec {
        Codec::Plain => Decoded::Plain(reader),
        Codec::Gzip => Decoded::Gzip(Box::new(MultiGzDecoder::new(reader))),
        Codec::Zstd => {
            let mut decoder = zstd::Decoder::with_buffer(reader)?;
            decoder.window_log_max(MAX_ZSTD_WINDOW_LOG)?;
            Decoded::Zstd(Box::new(decoder))
        }
    })
}

impl<R: BufRead> Decoded<R> {
    /// What was wrapped; bytes may be left in it.
    pub fn into_inner(self) -> R {
        match self {
            Self::Plain(reader) => reader,
            Self::Gzip(decoder) => decoder.into_inner(),
            Self::Zstd(decoder) => decoder.finish(),
        }
    }
}

impl<R: BufRead> Read for Decoded<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(reader) => reader.read(buf),
            Self::Gzip(decoder) => decoder.read(buf),
            Self::Zstd(decoder) => decoder.read(buf),
        }
    }
}

/// Why a layer cannot be trusted or read.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// Storage, decompression, or a [`VerifyError`](super::verify::VerifyError) inside.
    #[error("cannot read layer {layer}")]
    Read {
        /// Which layer.
        layer: DiffId,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Compressed in a way that kiln does not read.
    #[error("cannot read layer {layer}")]
    Compression {
        /// Which layer.
        layer: DiffId,
        /// Why.
        #[source]
        source: UnsupportedCompression,
    },
    /// The blob is right, the tar stream in it is not the config's.
    #[error("layer is not what the config says: expected diff_id {expected}, found {found}")]
    WrongDiffId {
        /// The config's.
        expected: DiffId,
        /// The stream's.
        found: DiffId,
    },
}

/// More than [`MAX_LAYER`] bytes; inside an [`io::Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("layer is longer than {MAX_LAYER} bytes")]
pub struct LayerTooLong;

/// A layer's tar stream; [`LayerReader::finish`] tells whether it was the right one.
///
/// Until then nothing read from it is verified: parse it, decide nothing that cannot be taken back.
pub struct LayerReader<R: Read> {
    stream: HashingReader<Decoded<BufReader<VerifyingReader<Peeked<R>>>>>,
    diff_id: DiffId,
    codec: Codec,
    limit: u64,
}

impl<R: Read> LayerReader<R> {
    /// Reads `stored`, the bytes of `layer` as stored, by what their first bytes are.
    pub fn new(stored: R, layer: &LayerDescriptor) -> Result<Self, LayerError> {
        let diff_id = layer.diff_id;
        let failed = |source| LayerError::Read { layer: diff_id, source };
        let (codec, stored) = peek_codec(stored).map_err(failed)?;
        let codec = codec.map_err(|source| LayerError::Compression { layer: diff_id, source })?;
        let verified = VerifyingReader::new(stored, layer.digest, layer.size);
        let decoded = decode(codec, verified).map_err(failed)?;
        Ok(Self { stream: HashingReader::new(decoded), diff_id, codec, limit: MAX_LAYER })
    }

    /// How it is really stored.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Number of bytes of the tar stream that were read.
    pub fn stream_bytes(&self) -> u64 {
        HashingReader::bytes(&self.stream)
    }

    /// Reads what is left and checks the blob's size and digest and the stream's `diff_id`; gives the stream's length.
    pub fn finish(mut self) -> Result<u64, LayerError> {
        let layer = self.diff_id;
        let failed = |source| LayerError::Read { layer, source };
        // `io::copy` on a plain stream would take 8 KiB steps.
        let mut scratch = vec![0; READ_SIZE];
        while self.read(&mut scratch).map_err(failed)? != 0 {}
        let (decoded, hasher) = self.stream.finish();
        let mut stored = decoded.into_inner();
        // A decoder may know the end of its data before the end of the blob was seen.
        while stored.read(&mut scratch).map_err(failed)? != 0 {}
        assert!(stored.get_ref().is_verified(), "a verifying reader at its end has verified");
        let bytes = hasher.bytes();
        let found = hasher.diff_id();
        if found == layer { Ok(bytes) } else { Err(LayerError::WrongDiffId { expected: layer, found }) }
    }
}

impl<R: Read> Read for LayerReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.stream.read(buf)?;
        if self.stream_bytes() > self.limit {
            return Err(io::Error::new(io::ErrorKind::InvalidData, LayerTooLong));
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Write;

    use super::super::verify::VerifyError;
    use super::*;
    use crate::digest::BlobDigest;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd_frame(bytes: &[u8]) -> Vec<u8> {
        zstd::encode_all(bytes, 1).unwrap()
    }

    fn layer(stored: &[u8], tar: &[u8]) -> LayerDescriptor {
        LayerDescriptor {
            digest: BlobDigest::of(stored),
            size: stored.len() as u64,
            diff_id: DiffId::of(tar),
            // Wrong on purpose for two of three: the first bytes decide.
            codec: Codec::Plain,
            media_type: Codec::Plain.media_type().to_owned(),
            annotations: BTreeMap::new(),
        }
    }

    const TAR: &[u8] = b"not really a tar, but long enough to be one member";

    fn stored_forms() -> [Vec<u8>; 5] {
        let (left, right) = TAR.split_at(10);
        [
            TAR.to_vec(),
            gzip(TAR),
            [gzip(left), gzip(right)].concat(),
            zstd_frame(TAR),
            [vec![0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 7], zstd_frame(left), zstd_frame(right)].concat(),
        ]
    }

    #[test]
    fn every_form_gives_the_same_stream() {
        for stored in stored_forms() {
            let mut reader = LayerReader::new(stored.as_slice(), &layer(&stored, TAR)).unwrap();
            let mut out = Vec::new();
            reader.read_to_end(&mut out).unwrap();
            assert_eq!(out, TAR);
            assert_eq!(reader.finish().unwrap(), TAR.len() as u64);
        }
    }

    #[test]
    fn finish_drains_what_nobody_read() {
        for stored in stored_forms() {
            let mut reader = LayerReader::new(stored.as_slice(), &layer(&stored, TAR)).unwrap();
            reader.read_exact(&mut [0; 3]).unwrap();
            reader.finish().unwrap();
        }
    }

    #[test]
    fn a_lie_about_the_stream_is_found_at_the_end() {
        for stored in stored_forms() {
            let mut descriptor = layer(&stored, TAR);
            descriptor.diff_id = DiffId::of(b"other");
            let error = LayerReader::new(stored.as_slice(), &descriptor).unwrap().finish().unwrap_err();
            assert!(matches!(error, LayerError::WrongDiffId { .. }), "{error}");
        }
    }

    #[test]
    fn a_changed_blob_is_found_whatever_the_decoder_says() {
        for stored in stored_forms() {
            let descriptor = layer(&stored, TAR);
            let longer = [stored.as_slice(), b"x"].concat();
            let error = LayerReader::new(longer.as_slice(), &descriptor).unwrap().finish().unwrap_err();
            let LayerError::Read { source, .. } = error else { panic!("{error}") };
            assert!(matches!(VerifyError::find(&source), Some(VerifyError::TooLong { .. })), "{source}");
            let shorter = &stored[..stored.len() - 1];
            let error = LayerReader::new(shorter, &descriptor).unwrap().finish().unwrap_err();
            let LayerError::Read { source, .. } = error else { panic!("{error}") };
            assert!(matches!(VerifyError::find(&source), Some(VerifyError::TooShort { .. })), "{source}");
        }
    }

    #[test]
    fn garbage_after_a_gzip_member_is_an_error() {
        let stored = [gzip(TAR).as_slice(), b"garbage and more"].concat();
        let error = LayerReader::new(stored.as_slice(), &layer(&stored, TAR)).unwrap().finish().unwrap_err();
        assert!(matches!(error, LayerError::Read { .. }), "{error}");
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        let stored = gzip(&vec![0; 1 << 20]);
        let mut reader = LayerReader::new(stored.as_slice(), &layer(&stored, &[])).unwrap();
        reader.limit = 1 << 16;
        let LayerError::Read { source, .. } = reader.finish().unwrap_err() else { panic!() };
        assert!(source.downcast::<LayerTooLong>().is_ok());
    }
}
