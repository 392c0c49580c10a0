//! Paths inside an image: bytes, normalised, never a path of the host.
//!
//! Does not know what exists; symbolic links are `rootfs::resolve`'s.

pub mod glob;

use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;
use std::hash::{Hash, Hasher};

use foldhash::fast::RandomState;
use indexmap::IndexMap;
use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use triomphe::ThinArc;

/// Why bytes are no path inside an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// `..` could climb out of the image.
    #[error("path `{0}` contains `..`")]
    ParentComponent(Escaped),
    /// No file system has such a name.
    #[error("path `{0}` contains a NUL byte")]
    Nul(Escaped),
    /// Linux refuses longer ones.
    #[error("path of {0} bytes is longer than {MAX_PATH}")]
    TooLong(usize),
}

/// Longest path accepted, in bytes: Linux' `PATH_MAX`.
pub const MAX_PATH: usize = 4096;

/// An absolute, normalised path inside an image; need not be UTF-8.
///
/// Stored without the leading `/`; the root is empty. Cheap to clone, and one word wide: every name of an image
/// stands in a dozen tables while its plan is made.
#[derive(Clone)]
pub struct ImagePath(ThinArc<(), u8>);

impl ImagePath {
    fn new(normal: &[u8]) -> Self {
        Self(ThinArc::from_header_and_slice((), normal))
    }

    /// The image's root directory.
    pub fn root() -> Self {
        Self::new(b"")
    }

    /// Normalises `bytes` (`./a//b/` and `/a/b` are `a/b`), taken as relative to the root.
    pub fn parse(bytes: &[u8]) -> Result<Self, PathError> {
        if bytes.len() > MAX_PATH {
            return Err(PathError::TooLong(bytes.len()));
        }
        if bytes.contains(&0) {
            return Err(PathError::Nul(Escaped::new(bytes)));
        }
        let mut out = Vec::with_capacity(bytes.len());
        for component in bytes.split(|&byte| byte == b'/') {
            match component {
                b"" | b"." => {}
                b".." => return Err(PathError::ParentComponent(Escaped::new(bytes))),
                name => {
                    if !out.is_empty() {
                        out.push(b'/');
                    }
                    out.extend_from_slice(name);
                }
            }
        }
        Ok(Self::new(&out))
    }

    /// A path written in kiln's own source or data.
    ///
    /// Panics where it is none: a bug, not input.
    pub fn literal(text: &str) -> Self {
        Self::parse(text.as_bytes()).unwrap_or_else(|error| unreachable!("literal path: {error}"))
    }

    /// The bytes without a leading `/`, as tar entries name them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0.slice
    }

    /// The bytes with a leading `/`.
    pub fn absolute(&self) -> Vec<u8> {
        [b"/", self.as_bytes()].concat()
    }

    /// Whether this is `/`.
    pub fn is_root(&self) -> bool {
        self.as_bytes().is_empty()
    }

    /// The last component; empty for the root.
    pub fn name(&self) -> &[u8] {
        self.as_bytes().rsplit(|&byte| byte == b'/').next().unwrap_or_default()
    }

    /// The directory that holds this; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        self.parent_bytes().map(Self::new)
    }

    /// The bytes of the directory that holds this; `None` for the root.
    fn parent_bytes(&self) -> Option<&[u8]> {
        if self.is_root() {
            return None;
        }
        let bytes = self.as_bytes();
        let end = bytes.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
        bytes.get(..end)
    }

    /// Whether it stands directly in `directory`.
    pub fn is_in(&self, directory: &Self) -> bool {
        self.parent_bytes() == Some(directory.as_bytes())
    }

    /// Every directory above this, nearest first, the root last.
    pub fn ancestors(&self) -> impl Iterator<Item = Self> + use<> {
        std::iter::successors(self.parent(), Self::parent)
    }

    /// The path that is written as `text` in a document, escaped; `None` where it is none.
    pub fn unescape(text: &str) -> Option<Self> {
        Self::parse(&unescape(text)?).ok()
    }

    /// As text, absolute, for documents that hold nothing else; what is not UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.absolute()).into_owned()
    }

    /// The components, first to last.
    pub fn components(&self) -> impl Iterator<Item = &[u8]> {
        self.as_bytes().split(|&byte| byte == b'/').filter(|component| !component.is_empty())
    }

    /// This path with one `name` more. `name` must be a single component.
    #[must_use]
    pub fn child(&self, name: &[u8]) -> Self {
        if self.is_root() {
            return Self::new(name);
        }
        Self::new(&[self.as_bytes(), b"/", name].concat())
    }

    /// A bound, and no path itself: all that lies below this sorts behind it, and nothing else comes between.
    pub(crate) fn lower_bound_of_below(&self) -> Self {
        if self.is_root() { Self::root() } else { Self::new(&[self.as_bytes(), b"/"].concat()) }
    }

    /// Whether this or a directory above it is one that `is_member` knows: one look-up a component, however many there are.
    pub fn is_within_any(&self, is_member: impl Fn(&Self) -> bool) -> bool {
        is_member(self) || self.ancestors().any(|ancestor| is_member(&ancestor))
    }

    /// Whether this is `other` or lies below it.
    pub fn is_within(&self, other: &Self) -> bool {
        other.is_root()
            || self
                .as_bytes()
                .strip_prefix(other.as_bytes())
                .is_some_and(|rest| rest.is_empty() || rest.first() == Some(&b'/'))
    }
}

/// What is known of paths, found by their hash: in a tree each look-up reads many paths, which lie apart. In the order in which
/// they came, until it is sorted.
pub type PathMap<V> = IndexMap<ImagePath, V, RandomState>;

/// Paths, in no order.
pub type PathSet = HashSet<ImagePath, RandomState>;

// By the bytes alone, as a slice of them would.
impl PartialEq for ImagePath {
    fn eq(&self, other: &Self) -> bool {
        if std::ptr::eq(self.0.ptr(), other.0.ptr()) {
            return true;
        }
        let (own, other) = (self.as_bytes(), other.as_bytes());
        own.len() == other.len() && compare(own, other).is_eq()
    }
}

impl Eq for ImagePath {}

impl PartialOrd for ImagePath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ImagePath {
    fn cmp(&self, other: &Self) -> Ordering {
        compare(self.as_bytes(), other.as_bytes())
    }
}

/// As slices are compared, but eight bytes at a time: paths of an image begin alike, and the C library of the static binary
/// compares byte by byte.
fn compare(mut left: &[u8], mut right: &[u8]) -> Ordering {
    while let (Some((own, rest)), Some((other, others))) =
        (left.split_first_chunk::<8>(), right.split_first_chunk::<8>())
    {
        if own != other {
            return u64::from_be_bytes(*own).cmp(&u64::from_be_bytes(*other));
        }
        (left, right) = (rest, others);
    }
    // Of one of them fewer than eight are left.
    left.iter().cmp(right)
}

impl Hash for ImagePath {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl fmt::Display for ImagePath {
    /// With a leading `/`, safe to print on a terminal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", Escaped::new(self.as_bytes()))
    }
}

impl fmt::Debug for ImagePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Serialize for ImagePath {
    /// For people as displayed: what is not printable is escaped. For kiln itself as it is.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_bytes(self.as_bytes())
        }
    }
}

impl<'de> Deserialize<'de> for ImagePath {
    /// Of what kiln wrote for itself.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = ImagePath;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the bytes of a path")
            }

            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<ImagePath, E> {
                ImagePath::parse(bytes).map_err(E::custom)
            }
        }
        if deserializer.is_human_readable() {
            return Err(D::Error::custom("paths of documents are read where it is known what they are"));
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

/// Bytes from an image, displayed so that a terminal cannot act on them.
///
/// Printable UTF-8 stays; `\` doubles; all else becomes `\n`, `\t`, `\r` or `\xNN`. Reversible.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Escaped(Box<[u8]>);

impl Escaped {
    /// Wraps a copy of `bytes`.
    pub fn new(bytes: &[u8]) -> Self {
        Self(Box::from(bytes))
    }
}

impl fmt::Display for Escaped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                match c {
                    '\\' => f.write_str("\\\\")?,
                    '\n' => f.write_str("\\n")?,
                    '\t' => f.write_str("\\t")?,
                    '\r' => f.write_str("\\r")?,
                    c if c.is_control() || is_bidi(c) => {
                        let mut utf8 = [0; 4];
                        for byte in c.encode_utf8(&mut utf8).bytes() {
                            write!(f, "\\x{byte:02x}")?;
                        }
                    }
                    c => fmt::Write::write_char(f, c)?,
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Escaped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Serialize for Escaped {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Characters that reorder the text around them, to make one name look like another.
fn is_bidi(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Undoes [`Escaped`]'s text; `None` where a `\` starts nothing known.
pub fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'\\' {
            out.push(*first);
            continue;
        }
        match rest {
            [b'x', high, low, tail @ ..] => {
                let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
                out.push(digit(*high)? << 4 | digit(*low)?);
                rest = tail;
            }
            [escaped, tail @ ..] => {
                out.push(match escaped {
                    b'n' => b'\n',
                    b't' => b'\t',
                    b'r' => b'\r',
                    b'\\' => b'\\',
                    _ => return None,
                });
                rest = tail;
            }
            [] => return None,
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_path_are_equal() {
        for text in ["usr/bin", "/usr/bin", "./usr/bin/", "usr//./bin"] {
            assert_eq!(ImagePath::literal(text), ImagePath::literal("/usr/bin"), "{text}");
        }
        assert!(ImagePath::literal("./").is_root());
    }

    proptest::proptest! {
        #[test]
        fn paths_are_ordered_as_their_bytes(
            same in proptest::collection::vec(0x61u8..=0xff, 0..20),
            left in proptest::collection::vec(0x61u8..=0x62, 0..20),
            right in proptest::collection::vec(0x61u8..=0x62, 0..20),
        ) {
            let (left, right) = ([same.as_slice(), &left].concat(), [same.as_slice(), &right].concat());
            let path = |bytes: &[u8]| ImagePath::parse(bytes).unwrap();
            proptest::prop_assert_eq!(path(&left).cmp(&path(&right)), left.cmp(&right));
            proptest::prop_assert_eq!(path(&left) == path(&right), left == right);
        }
    }

    #[test]
    fn climbing_nul_and_overlong_paths_are_refused() {
        assert!(matches!(ImagePath::parse(b"a/../b"), Err(PathError::ParentComponent(_))));
        assert!(matches!(ImagePath::parse(b"a\0b"), Err(PathError::Nul(_))));
        assert!(matches!(ImagePath::parse(&[b'a'; 5000]), Err(PathError::TooLong(5000))));
        assert!(ImagePath::parse(b"a/..b").is_ok());
    }

    #[test]
    fn parent_of_a_top_level_name_is_the_root() {
        assert_eq!(ImagePath::literal("usr").parent(), Some(ImagePath::root()));
        assert_eq!(ImagePath::root().parent(), None);
    }

    #[test]
    fn within_respects_component_borders() {
        let usr = ImagePath::literal("usr");
        assert!(ImagePath::literal("usr/bin").is_within(&usr));
        assert!(!ImagePath::literal("usrx").is_within(&usr));
        assert!(usr.is_within(&ImagePath::root()));
    }

    #[test]
    fn escapes_are_safe_and_reversible() {
        let nasty = b"a\x1b[31m\n\\\xff\xc3\xa9\xe2\x80\xae";
        let text = Escaped::new(nasty).to_string();
        assert_eq!(text, "a\\x1b[31m\\n\\\\\\xffé\\xe2\\x80\\xae");
        assert_eq!(unescape(&text), Some(nasty.to_vec()));
    }
}
