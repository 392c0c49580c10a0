//! A package's header, as rpm's database holds it (rpm, `docs/manual/format_header.md`; without magic and signature).
//!
//! Knows the layout of tags and values; what they mean is `packages::rpm`'s.

/// Most tags of one header (rpm's `HEADER_TAGS_MAX`).
const MAX_TAGS: usize = 0xffff;

/// Bytes of one entry of the index: tag, type, offset, count.
const ENTRY: usize = 16;

/// What a value is for; the number in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tag {
    Name = 1000,
    Version = 1001,
    Release = 1002,
    Epoch = 1003,
    Architecture = 1022,
    FileModes = 1030,
    SourceRpm = 1044,
    ProvideNames = 1047,
    RequireNames = 1049,
    DirectoryIndexes = 1116,
    BaseNames = 1117,
    DirectoryNames = 1118,
}

/// A header: its index, and the store that the index points into.
#[derive(Debug, Clone, Copy)]
pub struct Header<'a> {
    index: &'a [u8],
    store: &'a [u8],
}

struct Value<'a> {
    kind: u32,
    count: usize,
    /// From the value's first byte to the end of the store.
    bytes: &'a [u8],
}

/// Reads a header; `None` where the bytes are none.
pub fn parse_header(bytes: &[u8]) -> Option<Header<'_>> {
    let (tags, rest) = number(bytes)?;
    let (size, rest) = number(rest)?;
    if tags > MAX_TAGS {
        return None;
    }
    let (index, store) = rest.split_at_checked(tags.checked_mul(ENTRY)?)?;
    Some(Header { index, store: store.get(..size)? })
}

impl<'a> Header<'a> {
    /// The one string of `tag`.
    pub(super) fn text(&self, tag: Tag) -> Option<String> {
        let text = std::str::from_utf8(self.strings(tag).next()?).ok()?;
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// The strings of `tag`.
    pub(super) fn strings(&self, tag: Tag) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        // STRING, STRING_ARRAY, I18NSTRING
        let value = self.value(tag).filter(|value| matches!(value.kind, 6 | 8 | 9));
        let count = value.as_ref().map_or(0, |value| if value.kind == 6 { 1 } else { value.count });
        let mut rest = value.map_or(&[][..], |value| value.bytes);
        let next = move || {
            let end = rest.iter().position(|&byte| byte == 0)?;
            let (text, tail) = rest.split_at(end);
            rest = tail.get(1..).unwrap_or_default();
            Some(text)
        };
        std::iter::from_fn(next).take(count)
    }

    /// The numbers of `tag`, of 16 or 32 bits.
    pub(super) fn numbers(&self, tag: Tag) -> impl Iterator<Item = u32> + use<'a> {
        let value = self.value(tag);
        let width = value.as_ref().map_or(0, |value| match value.kind {
            3 => 2,
            4 => 4,
            _ => 0,
        });
        let (bytes, count) = value.map_or((&[][..], 0), |value| (value.bytes, value.count));
        let big_endian = |bytes: &[u8]| bytes.iter().fold(0u32, |sum, &byte| (sum << 8) | u32::from(byte));
        let count = if width == 0 { 0 } else { count };
        bytes.chunks_exact(width.max(1)).take(count).map(big_endian)
    }

    fn value(&self, tag: Tag) -> Option<Value<'a>> {
        self.index.chunks_exact(ENTRY).find_map(|entry| {
            let (found, rest) = number(entry)?;
            if found != tag as usize {
                return None;
            }
            let (kind, rest) = number(rest)?;
            let (offset, rest) = number(rest)?;
            let (count, _) = number(rest)?;
            Some(Value { kind: u32::try_from(kind).ok()?, count, bytes: self.store.get(offset..)? })
        })
    }
}

fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (first, rest) = bytes.split_first_chunk::<4>()?;
    Some((usize::try_from(u32::from_be_bytes(*first)).ok()?, rest))
}
