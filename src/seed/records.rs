//! The table of seeds as it lies in an image: which trees are copied into volumes, entry by entry.
//!
//! Parses only, without an allocation or the standard library: the helper is compiled with this very file. Does not know
//! what an image holds.

/// The first record: what the file is, and the version of its form.
pub const HEAD: &[u8] = b"kiln-seeds 1";

/// Largest table, bytes: an image with more to copy is asked for another start.
pub const MAX_TABLE: usize = 8 << 20;

/// Longest path of a record, bytes: the kernel takes no longer one (`PATH_MAX` with its final NUL).
pub const MAX_PATH: usize = 4095;

/// Longest name in a path, bytes (`NAME_MAX`).
pub const MAX_NAME: usize = 255;

/// What a record asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Begins a tree: the path is absolute, and those of the records that follow are below it.
    Tree,
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link.
    Link,
    /// A named pipe.
    Pipe,
}

impl Kind {
    /// All.
    pub const ALL: [Self; 5] = [Self::Tree, Self::Directory, Self::File, Self::Link, Self::Pipe];

    /// Its letter.
    pub fn letter(self) -> u8 {
        match self {
            Self::Tree => b'T',
            Self::Directory => b'd',
            Self::File => b'f',
            Self::Link => b'l',
            Self::Pipe => b'p',
        }
    }
}

/// One entry of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// What it is.
    pub kind: Kind,
    /// The mode of the copy, without setuid and setgid.
    pub mode: u32,
    /// Absolute for a tree, else relative to it; no component is empty, `.` or `..`.
    pub path: &'a [u8],
}

/// Something that is no table of seeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// The records of `table`, in its order; ends at the first that is malformed.
pub fn records(table: &[u8]) -> impl Iterator<Item = Result<Record<'_>, Malformed>> {
    let mut rest = Some(table);
    let mut is_first = true;
    let mut in_tree = false;
    core::iter::from_fn(move || {
        loop {
            let left = rest?;
            if left.is_empty() && !is_first {
                return None;
            }
            let mut parts = left.splitn(2, |&byte| byte == 0);
            let (text, after) = (parts.next().unwrap_or_default(), parts.next());
            rest = after;
            let head = is_first;
            is_first = false;
            let record = match after {
                Some(_) if head && text == HEAD => continue,
                Some(_) if !head => parse(text).filter(|record| in_tree || record.kind == Kind::Tree),
                _ => None,
            };
            in_tree = true;
            if record.is_none() {
                rest = None;
            }
            return Some(record.ok_or(Malformed));
        }
    })
}

/// `f 0640 name`
fn parse(text: &[u8]) -> Option<Record<'_>> {
    let (&letter, rest) = text.split_first()?;
    let kind = Kind::ALL.into_iter().find(|kind| kind.letter() == letter)?;
    let rest = rest.strip_prefix(b" ")?;
    let (digits, rest) = rest.split_first_chunk::<4>()?;
    let mut mode = 0;
    for digit in digits {
        mode = match digit {
            b'0'..=b'7' => mode << 3 | u32::from(digit - b'0'),
            _ => return None,
        };
    }
    let path = rest.strip_prefix(b" ")?;
    let below = if kind == Kind::Tree { path.strip_prefix(b"/")? } else { path };
    let is_name = |name: &[u8]| !matches!(name, b"" | b"." | b"..") && name.len() <= MAX_NAME;
    let is_path = path.len() <= MAX_PATH && below.split(|&byte| byte == b'/').all(is_name);
    (is_path && mode & 0o6000 == 0).then_some(Record { kind, mode, path })
}
