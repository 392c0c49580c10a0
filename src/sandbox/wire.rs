//! Messages between kiln and its stages: a length, then JSON.
//!
//! Does not know what is said; both ends are kiln, yet one of them reads what strangers' images made of it, so lengths
//! have a limit.

use std::io::{self, Read, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest message: a list of a million written paths of 60 bytes.
const MAX_MESSAGE: u32 = 64 << 20;

/// Longest piece of a file's content in one go.
pub const PIECE: usize = 256 << 10;

/// Sends `message`.
pub fn send(mut out: impl Write, message: &impl Serialize) -> io::Result<()> {
    let mut bytes = vec![0; 4];
    serde_json::to_writer(&mut bytes, message)?;
    let length = u32::try_from(bytes.len() - 4).ok().filter(|&length| length <= MAX_MESSAGE);
    let length = length.ok_or(io::ErrorKind::FileTooLarge)?;
    if let Some(head) = bytes.first_chunk_mut() {
        *head = length.to_be_bytes();
    }
    out.write_all(&bytes)
}

/// The next message; `None` where the other end is gone.
pub fn receive<T: DeserializeOwned>(mut input: impl Read) -> io::Result<Option<T>> {
    let Some(length) = length(&mut input)? else { return Ok(None) };
    if length > MAX_MESSAGE {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let mut bytes = Vec::new();
    input.by_ref().take(length.into()).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != u64::from(length) {
        return Ok(None);
    }
    Ok(Some(serde_json::from_slice(&bytes)?))
}

fn length(mut input: impl Read) -> io::Result<Option<u32>> {
    let mut head = [0; 4];
    match input.read_exact(&mut head) {
        Ok(()) => Ok(Some(u32::from_be_bytes(head))),
        Err(error)
            if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Sends a piece of a file's content; an empty one ends it.
pub fn send_piece(mut out: impl Write, piece: &[u8]) -> io::Result<()> {
    let length = u32::try_from(piece.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
    out.write_all(&length.to_be_bytes())?;
    out.write_all(piece)
}

/// Reads the next piece into `buffer`; empty at the end of the content.
pub fn receive_piece(mut input: impl Read, buffer: &mut Vec<u8>) -> io::Result<()> {
    let length = length(&mut input)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    buffer.resize(usize::try_from(length).unwrap_or(usize::MAX).min(PIECE), 0);
    if buffer.len() as u64 != u64::from(length) {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    input.read_exact(buffer)
}

/// Bytes that need not be UTF-8, as text with one character for each.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Bytes(pub Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text: String = self.0.iter().map(|&byte| char::from(byte)).collect();
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = text.chars().map(|c| u8::try_from(u32::from(c)));
        bytes.collect::<Result<_, _>>().map(Self).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_comes_out_as_it_went_in() {
        let bytes = Bytes((0..=255).collect());
        let mut stream = Vec::new();
        send(&mut stream, &bytes).unwrap();
        send(&mut stream, &7).unwrap();
        send_piece(&mut stream, b"abc").unwrap();
        let mut input = stream.as_slice();
        assert_eq!(receive::<Bytes>(&mut input).unwrap(), Some(bytes));
        assert_eq!(receive::<u32>(&mut input).unwrap(), Some(7));
        let mut piece = Vec::new();
        receive_piece(&mut input, &mut piece).unwrap();
        assert_eq!(piece, b"abc");
        assert_eq!(receive::<u32>(&mut input).unwrap(), None);
    }

    #[test]
    fn length_beyond_the_limit_is_refused_before_it_is_held() {
        let stream = u32::MAX.to_be_bytes();
        assert!(receive::<u32>(stream.as_slice()).is_err());
        assert!(receive_piece(stream.as_slice(), &mut Vec::new()).is_err());
    }

    #[test]
    fn message_that_breaks_off_is_an_end() {
        assert_eq!(receive::<u32>([0, 0, 0, 9, b'1'].as_slice()).unwrap(), None);
    }
}
