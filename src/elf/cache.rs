//! `/etc/ld.so.cache`: which file stands for a library's name, as `ldconfig` saw it.
//!
//! Does not know whether the files exist. Format: glibc's `sysdeps/generic/dl-cache.h`, old, new, and both.

use std::collections::BTreeMap;

/// Start of the format of before 2.2, which may precede the new one.
const OLD_MAGIC: &[u8] = b"ld.so-1.7.0";

/// Bytes before the old format's entries: magic, a byte of padding, the number of entries.
const OLD_HEADER: usize = 16;

/// Bytes of an entry in the old format: flags, key, value.
const OLD_ENTRY: usize = 12;

/// Start of the format since 2.2, with its version.
const NEW_MAGIC: &[u8] = b"glibc-ld.so.cache1.1";

/// Bytes before the new format's entries.
const NEW_HEADER: usize = 48;

/// Bytes of an entry in the new format: flags, key, value, kernel version, hardware capabilities.
const NEW_ENTRY: usize = 24;

/// Most entries read; a desktop has 5,000.
const MAX_ENTRIES: usize = 1 << 18;

/// Longest name or path read.
const MAX_STRING: usize = 4096;

/// Entries by name of the library.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cache {
    entries: BTreeMap<Box<[u8]>, Vec<Cached>>,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cached {
    /// The file, as ldconfig wrote it.
    pub path: Box<[u8]>,
    /// Only for processors with certain capabilities.
    pub for_some_processors: bool,
}

impl Cache {
    /// Reads a cache; `None` where `bytes` are none. Entries that point outside are left out.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes.starts_with(NEW_MAGIC) {
            return Self::parse_new(bytes);
        }
        let rest = bytes.strip_prefix(OLD_MAGIC)?;
        let count = usize::try_from(u32::from_le_bytes(rest.get(1..5)?.try_into().ok()?)).ok()?;
        let strings = count.checked_mul(OLD_ENTRY)?.checked_add(OLD_HEADER)?;
        // The new format begins at the next multiple of its alignment, where glibc looks for it too.
        if let Some(new) = strings.checked_next_multiple_of(8).and_then(|at| bytes.get(at..))
            && new.starts_with(NEW_MAGIC)
        {
            return Self::parse_new(new);
        }
        let mut cache = Self::default();
        let table = bytes.get(OLD_HEADER..strings)?;
        for entry in table.as_chunks::<OLD_ENTRY>().0.iter().take(MAX_ENTRIES) {
            let [_, _, _, _, key @ .., _, _, _, _] = entry;
            let [.., v0, v1, v2, v3] = entry;
            let text = bytes.get(strings..).unwrap_or_default();
            cache.add(text, u32::from_le_bytes(*key), u32::from_le_bytes([*v0, *v1, *v2, *v3]), 0);
        }
        Some(cache)
    }

    fn parse_new(bytes: &[u8]) -> Option<Self> {
        let word = |at: usize| -> Option<[u8; 4]> { bytes.get(at..at + 4)?.try_into().ok() };
        // Byte 28 tells the byte order since 2.33: 2 is little, 3 is big; before, it is 0.
        let big = bytes.get(28).is_some_and(|flags| flags & 3 == 3);
        let read = |word: [u8; 4]| if big { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) };
        let count = usize::try_from(read(word(NEW_MAGIC.len())?)).ok()?;
        let end = count.checked_mul(NEW_ENTRY)?.checked_add(NEW_HEADER)?;
        let mut cache = Self::default();
        for entry in bytes.get(NEW_HEADER..end)?.as_chunks::<NEW_ENTRY>().0.iter().take(MAX_ENTRIES) {
            let field = |at: usize| entry.get(at..at + 4).and_then(|word| word.try_into().ok()).map(read);
            let (Some(key), Some(value)) = (field(4), field(8)) else { continue };
            let hwcap = field(16).unwrap_or(0) | field(20).unwrap_or(0);
            cache.add(bytes, key, value, hwcap);
        }
        Some(cache)
    }

    fn add(&mut self, text: &[u8], key: u32, value: u32, hwcap: u32) {
        if let (Some(name), Some(path)) = (string(text, key), string(text, value)) {
            let cached = Cached { path: path.into(), for_some_processors: hwcap != 0 };
            self.entries.entry(name.into()).or_default().push(cached);
        }
    }

    /// What the cache has for `name`, in its order.
    pub fn get(&self, name: &[u8]) -> &[Cached] {
        self.entries.get(name).map_or(&[], Vec::as_slice)
    }
}

fn string(bytes: &[u8], at: u32) -> Option<&[u8]> {
    let rest = bytes.get(usize::try_from(at).ok()?..)?;
    let rest = rest.get(..rest.len().min(MAX_STRING))?;
    rest.get(..memchr::memchr(0, rest)?).filter(|text| !text.is_empty())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A cache in the new format: name, path, hardware capabilities.
    pub(in crate::elf) fn new_format(entries: &[(&str, &str, u64)]) -> Vec<u8> {
        let mut out = NEW_MAGIC.to_vec();
        out.extend(u32::try_from(entries.len()).unwrap().to_le_bytes());
        out.extend([0; 4]);
        out.extend([2, 0, 0, 0]);
        out.resize(NEW_HEADER, 0);
        let mut strings = Vec::new();
        let start = NEW_HEADER + entries.len() * NEW_ENTRY;
        for (name, path, hwcap) in entries {
            out.extend(0x303_u32.to_le_bytes());
            for text in [name, path] {
                out.extend(u32::try_from(start + strings.len()).unwrap().to_le_bytes());
                strings.extend(text.bytes().chain([0]));
            }
            out.extend([0; 4]);
            out.extend(hwcap.to_le_bytes());
        }
        out.extend(strings);
        out
    }

    fn old_format(name: &str, path: &str) -> Vec<u8> {
        let mut out = [OLD_MAGIC, &[0, 1, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]].concat();
        out.extend(u32::try_from(name.len() + 1).unwrap().to_le_bytes());
        out.extend([name.as_bytes(), b"\0", path.as_bytes(), b"\0"].concat());
        out
    }

    #[test]
    fn entries_are_found_by_name_in_order() {
        let bytes =
            new_format(&[("libc.so.6", "/lib/v3/libc.so.6", 1 << 62), ("libc.so.6", "/lib/libc.so.6", 0)]);
        let cache = Cache::parse(&bytes).unwrap();
        let found: Vec<(&[u8], bool)> =
            cache.get(b"libc.so.6").iter().map(|entry| (&*entry.path, entry.for_some_processors)).collect();
        assert_eq!(found, [(&b"/lib/v3/libc.so.6"[..], true), (b"/lib/libc.so.6", false)]);
        assert!(cache.get(b"libm.so.6").is_empty());
    }

    #[test]
    fn the_old_format_is_read_and_the_new_one_preferred() {
        let old = old_format("liba.so", "/old/liba.so");
        let cache = Cache::parse(&old).unwrap();
        assert_eq!(&*cache.get(b"liba.so")[0].path, b"/old/liba.so");
        let mut both = old.get(..OLD_HEADER + OLD_ENTRY).unwrap().to_vec();
        both.resize(32, 0);
        both.extend(new_format(&[("liba.so", "/new/liba.so", 0)]));
        let cache = Cache::parse(&both).unwrap();
        assert_eq!(&*cache.get(b"liba.so")[0].path, b"/new/liba.so");
    }

    #[test]
    fn other_files_are_no_cache() {
        assert_eq!(Cache::parse(b""), None);
        assert_eq!(Cache::parse(b"include /etc/ld.so.conf.d/*.conf\n"), None);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(
            at in 0usize..200, bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..40), cut in 0usize..300,
        ) {
            for valid in [new_format(&[("a", "/a", 0), ("b", "/b", 1)]), old_format("a", "/b")] {
                let mut broken = valid;
                for (offset, byte) in bytes.iter().enumerate() {
                    if let Some(slot) = broken.get_mut(at + offset) {
                        *slot = *byte;
                    }
                }
                broken.truncate(cut);
                Cache::parse(&broken);
            }
            Cache::parse(&[NEW_MAGIC, &bytes].concat());
            Cache::parse(&[OLD_MAGIC, &bytes].concat());
        }
    }
}
