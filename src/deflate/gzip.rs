//! What gzip puts round a stream (RFC 1952): a header, and a trailer with a checksum.

use std::io::Read;

use flate2::Crc;

use super::DecodeError;
use super::bits::{BitReader, BitWriter};

/// The first two bytes.
const MAGIC: u32 = 0x8b1f;

/// Flags that say what follows the fixed part of the header; the others are reserved.
const FLAGS: Flags = Flags { checksum: 2, extra: 4, name: 8, comment: 16, reserved: 0xe0 };

struct Flags {
    checksum: u32,
    extra: u32,
    name: u32,
    comment: u32,
    reserved: u32,
}

/// Passes over the header of a member.
pub(super) fn read_header<R: Read>(reader: &mut BitReader<R>) -> Result<(), DecodeError> {
    let (magic, method, flags) = (reader.read(16)?, reader.read(8)?, reader.read(8)?);
    // Time, and what says nothing of the content.
    reader.read(32)?;
    reader.read(16)?;
    if magic != MAGIC || method != 8 || flags & FLAGS.reserved != 0 {
        return Err(if reader.is_beyond() { DecodeError::Truncated } else { DecodeError::Header });
    }
    if flags & FLAGS.extra != 0 {
        let length = reader.read(16)?;
        for _ in 0..length {
            reader.read(8)?;
        }
    }
    for text in [FLAGS.name, FLAGS.comment] {
        while flags & text != 0 && reader.read(8)? != 0 {
            reader.let_go(reader.position());
        }
    }
    if flags & FLAGS.checksum != 0 {
        reader.read(16)?;
    }
    if reader.is_beyond() { Err(DecodeError::Truncated) } else { Ok(()) }
}

/// Reads the trailer of a member, and holds it against the checksum of the content.
pub(super) fn read_trailer<R: Read>(reader: &mut BitReader<R>, content: &Crc) -> Result<(), DecodeError> {
    reader.align();
    let (checksum, length) = (reader.read(32)?, reader.read(32)?);
    if reader.is_beyond() {
        return Err(DecodeError::Truncated);
    }
    if (checksum, length) != (content.sum(), content.amount()) {
        return Err(DecodeError::Checksum);
    }
    Ok(())
}

/// Writes a header: no name, no time, no hint, and no system.
pub(super) fn write_header(out: &mut BitWriter) {
    out.bytes(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
}

/// Writes the trailer.
pub(super) fn write_trailer(out: &mut BitWriter, content: &Crc) {
    out.bytes(&content.sum().to_le_bytes());
    out.bytes(&content.amount().to_le_bytes());
}
