//! From stored bytes to a layer's tar stream, verified at both ends.
//!
//! Does not know tar.

use std::io::{self, BufRead, BufReader, Chain, Cursor, Read};
use std::sync::Arc;

use super::media::{Codec, LayerDescriptor, UnsupportedCompression};
use super::verify::{VerifyError, VerifyingReader};
use crate::deflate::{self, Trail};
use crate::digest::{DiffId, HashingReader};
use crate::limits::{Limits, Meter};

/// Largest window of a zstd frame, as a power of two: 128 MiB, what the `zstd` tool accepts without `--long`.
const MAX_ZSTD_WINDOW_LOG: u32 = 27;

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
    Gzip(Box<deflate::Reader<R>>),
    /// zstd: every frame, one after the other.
    Zstd(Box<zstd::Decoder<'static, R>>),
}

/// Undoes `codec`. Fails only where the decoder cannot be set up.
pub fn decode<R: Read>(codec: Codec, reader: R) -> io::Result<Decoded<BufReader<R>>> {
    let reader = BufReader::with_capacity(READ_SIZE, reader);
    Ok(match codec {
        Codec::Plain => Decoded::Plain(reader),
        Codec::Gzip => Decoded::Gzip(Box::new(deflate::Reader::new(reader, deflate::Format::Gzip))),
        Codec::Zstd => {
            let mut decoder = zstd::Decoder::with_buffer(reader)?;
            decoder.window_log_max(MAX_ZSTD_WINDOW_LOG)?;
            Decoded::Zstd(Box::new(decoder))
        }
    })
}

impl<R: BufRead> Decoded<R> {
    /// What is wrapped.
    fn get_mut(&mut self) -> &mut R {
        match self {
            Self::Plain(reader) => reader,
            Self::Gzip(decoder) => decoder.get_mut(),
            Self::Zstd(decoder) => decoder.get_mut(),
        }
    }

    /// What was wrapped, in which bytes may be left; and the trail that decoding left.
    fn into_parts(self) -> (R, Option<Trail>) {
        match self {
            Self::Plain(reader) => (reader, None),
            Self::Gzip(decoder) => decoder.into_parts(),
            Self::Zstd(decoder) => (decoder.finish(), None),
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
    /// Storage, decompression, or a [`VerifyError`] or
    /// [`LimitError`](crate::limits::LimitError) inside.
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

/// A layer's tar stream; [`LayerReader::finish`] tells whether it was the right one.
///
/// Until then nothing read from it is verified: parse it, decide nothing that cannot be taken back.
pub struct LayerReader<R: Read> {
    stream: HashingReader<Decoded<BufReader<VerifyingReader<Peeked<R>>>>>,
    diff_id: DiffId,
    codec: Codec,
    meter: Arc<Meter>,
}

impl<R: Read> LayerReader<R> {
    /// Reads `stored`, the bytes of `layer` as stored, by what their first bytes are; within the limits of an image
    /// that has no other layer.
    pub fn new(stored: R, layer: &LayerDescriptor) -> Result<Self, LayerError> {
        Self::metered(stored, layer, Arc::new(Meter::new(&Limits::default(), layer.size)))
    }

    /// As [`LayerReader::new`], counting on the meter of the whole image.
    pub fn metered(stored: R, layer: &LayerDescriptor, meter: Arc<Meter>) -> Result<Self, LayerError> {
        let diff_id = layer.diff_id;
        let failed = |source| LayerError::Read { layer: diff_id, source };
        let (codec, stored) = peek_codec(stored).map_err(failed)?;
        let codec = codec.map_err(|source| LayerError::Compression { layer: diff_id, source })?;
        let verified = VerifyingReader::new(stored, layer.digest, layer.size);
        let decoded = decode(codec, verified).map_err(failed)?;
        Ok(Self { stream: HashingReader::new(decoded), diff_id, codec, meter })
    }

    /// How it is really stored.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Reads what is left and checks the blob's size and digest and the stream's `diff_id`; gives the stream's length, and the trail
    /// that decoding left, if it left one.
    pub fn finish(mut self) -> Result<(u64, Option<Trail>), LayerError> {
        let layer = self.diff_id;
        let failed = |source| LayerError::Read { layer, source };
        // `io::copy` on a plain stream would take 8 KiB steps.
        let mut scratch = vec![0; READ_SIZE];
        while self.read(&mut scratch).map_err(failed)? != 0 {}
        let (decoded, hasher) = self.stream.finish();
        let (mut stored, trail) = decoded.into_parts();
        // A decoder may know the end of its data before the end of the blob was seen.
        while stored.read(&mut scratch).map_err(failed)? != 0 {}
        assert!(stored.get_ref().is_verified(), "a verifying reader at its end has verified");
        let bytes = hasher.bytes();
        let found = hasher.diff_id();
        if found == layer {
            Ok((bytes, trail))
        } else {
            Err(LayerError::WrongDiffId { expected: layer, found })
        }
    }
}

impl<R: Read> LayerReader<R> {
    /// Of two reasons the deeper one: bytes that are not what their digest says decode to nothing good.
    fn explained(&mut self, error: io::Error) -> io::Error {
        let stored = self.stream.get_mut().get_mut();
        if stored.get_ref().is_interrupted() || VerifyError::find(&error).is_some() {
            return error;
        }
        let rest = io::copy(stored, &mut io::sink());
        rest.err().filter(|rest| VerifyError::find(rest).is_some()).unwrap_or(error)
    }
}

impl<R: Read> Read for LayerReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.stream.read(buf).map_err(|error| self.explained(error))?;
        self.meter.count_bytes(n as u64)?;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Write;

    use super::*;
    use crate::digest::BlobDigest;
    use crate::limits::{LimitError, Size};

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
            assert_eq!(reader.finish().unwrap().0, TAR.len() as u64);
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
    fn changed_bytes_are_told_as_that_and_not_as_what_they_decode_to() {
        for mut stored in stored_forms() {
            let descriptor = layer(&stored, TAR);
            let middle = stored.len() / 2;
            stored[middle] ^= 0xff;
            let error = LayerReader::new(stored.as_slice(), &descriptor).unwrap().finish().unwrap_err();
            let LayerError::Read { source, .. } = error else { panic!("{error}") };
            assert!(matches!(VerifyError::find(&source), Some(VerifyError::WrongDigest { .. })), "{source}");
        }
    }

    #[test]
    fn a_place_that_stops_is_told_as_that_and_not_as_a_short_blob() {
        struct Reset;
        impl Read for Reset {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::ConnectionReset.into())
            }
        }
        for stored in stored_forms() {
            let descriptor = layer(&stored, TAR);
            let cut = stored[..stored.len() - 3].chain(Reset);
            let error = LayerReader::new(cut, &descriptor).unwrap().finish().unwrap_err();
            let LayerError::Read { source, .. } = error else { panic!("{error}") };
            assert_eq!(source.kind(), io::ErrorKind::ConnectionReset);
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
        let meter = Arc::new(Meter::new(&Limits { size: Size::AtMost(1 << 16), ..Limits::default() }, 0));
        let reader = LayerReader::metered(stored.as_slice(), &layer(&stored, &[]), meter).unwrap();
        let LayerError::Read { source, .. } = reader.finish().unwrap_err() else { panic!() };
        assert_eq!(LimitError::find(&source), Some(&LimitError::Size { limit: 1 << 16 }));
    }
}
