//! Bytes of a file that pass 1 kept, packed while nobody reads them.
//!
//! Does not know what they are for.

use std::borrow::Cow;
use std::cell::RefCell;
use std::{fmt, io};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use triomphe::ThinArc;
use zstd::bulk::Decompressor;

/// Files of fewer bytes are held as they are: packing them saves little.
const PACKED_FROM: usize = 512;

/// zstd's fastest level but the negative ones: a package's list of files shrinks to a sixth of its bytes.
const LEVEL: i32 = 1;

/// Most bytes that are kept of a file: more than pass 1 keeps of a whole layer.
const MAX_LENGTH: usize = 64 << 20;

/// The bytes of one file, one word wide.
///
/// A package database is most of what decisions need of an image, and grows with the number of its files. All of it
/// is read once, little of it twice.
#[derive(Clone, PartialEq, Eq)]
pub struct Kept(ThinArc<Form, u8>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Form {
    Plain,
    /// Packed; this many bytes before.
    Packed(usize),
}

impl Kept {
    /// Keeps a copy of `bytes`.
    pub fn new(bytes: &[u8]) -> Self {
        if bytes.len() >= PACKED_FROM {
            let packed = zstd::bulk::compress(bytes, LEVEL).unwrap_or_else(|error| {
                unreachable!("zstd takes any bytes, with room for all of them: {error}")
            });
            if packed.len() < bytes.len() {
                return Self(ThinArc::from_header_and_slice(Form::Packed(bytes.len()), &packed));
            }
        }
        Self(ThinArc::from_header_and_slice(Form::Plain, bytes))
    }

    /// The bytes.
    pub fn bytes(&self) -> Cow<'_, [u8]> {
        let held = &self.0.slice;
        match self.0.header.header {
            Form::Plain => Cow::Borrowed(held),
            Form::Packed(length) => Cow::Owned(
                unpack(held, length)
                    .unwrap_or_else(|error| unreachable!("zstd packed these bytes itself: {error}")),
            ),
        }
    }
}

/// The `length` bytes that were packed as `held`.
fn unpack(held: &[u8], length: usize) -> io::Result<Vec<u8>> {
    thread_local! {
        /// Making one takes longer than unpacking a small file.
        static UNPACKER: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
    }
    UNPACKER.with_borrow_mut(|unpacker| {
        let unpacker = match unpacker {
            Some(unpacker) => unpacker,
            None => unpacker.insert(Decompressor::new()?),
        };
        unpacker.decompress(held, length)
    })
}

impl Serialize for Kept {
    /// As it is held.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.0.header.header, &self.0.slice).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Kept {
    /// Refuses what is not packed as it says.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (form, held) = <(Form, Box<[u8]>)>::deserialize(deserializer)?;
        if let Form::Packed(length) = form {
            let is_likely = length <= MAX_LENGTH;
            let bytes = is_likely.then(|| unpack(&held, length).ok()).flatten();
            if bytes.is_none_or(|bytes| bytes.len() != length) {
                return Err(D::Error::custom("kept bytes are not packed as they say"));
            }
        }
        Ok(Self(ThinArc::from_header_and_slice(form, &held)))
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_as_they_went_in_and_text_takes_less() {
        let list: Vec<u8> =
            (0..500).flat_map(|n| format!("/usr/share/doc/package/{n}\n").into_bytes()).collect();
        let noise: Vec<u8> = (0..2000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        for bytes in [&b""[..], b"root:x:0:0", &noise, &list] {
            assert_eq!(*Kept::new(bytes).bytes(), *bytes);
        }
        assert!(Kept::new(&list).0.slice.len() < list.len() / 5);
    }

    #[test]
    fn what_is_not_packed_is_refused_and_the_next_is_unpacked_as_ever() {
        let list = b"/usr/share/doc/package\n".repeat(100);
        let kept = Kept::new(&list);
        let packed = postcard::to_allocvec(&kept).unwrap();
        let mut cut = postcard::to_allocvec(&(Form::Packed(list.len()), &kept.0.slice[..20])).unwrap();
        assert!(postcard::from_bytes::<Kept>(&cut).is_err());
        assert!(postcard::from_bytes::<Kept>(&packed).unwrap() == kept);
        cut = postcard::to_allocvec(&(Form::Packed(list.len() + 1), &kept.0.slice)).unwrap();
        assert!(postcard::from_bytes::<Kept>(&cut).is_err());
        assert_eq!(*kept.bytes(), *list);
    }
}
