//! Who makes the directory that the app finds at a writable path: the kubelet an empty one, or whoever fills volumes one as
//! the image has it.
//!
//! Decides for whole paths; what is copied, entry by entry, is `plan::seed`'s.

use std::fmt;

use super::{Candidate, Inputs, place};
use crate::evidence::EvidenceKind;
use crate::path::ImagePath;
use crate::plan::PathContent;
use crate::plan::filler::Filler;
use crate::rootfs::{Content, Entry, File, Kind};
use crate::seed;

/// Extensions, in lower case, of what a program reads and runs: in a volume whoever can write there can change it.
const CODE: &[&[u8]] = &[
    b"beam", b"cgi", b"class", b"cjs", b"dll", b"exe", b"inc", b"jar", b"js", b"jsp", b"lua", b"mjs",
    b"phar", b"php", b"phtml", b"pl", b"pm", b"py", b"pyc", b"rb", b"sh", b"so", b"tcl", b"war", b"wasm",
];

/// Rights of everybody but the owner.
const OF_OTHERS: u16 = 0o077;

/// Room that a file takes at least, bytes: a block of most file systems.
pub(super) const BLOCK: u64 = 4096;

/// Who makes the directory at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Maker {
    /// The kubelet, or nobody: it is empty and for everybody, or not mounted at all.
    Kubelet,
    /// Who fills volumes: with the image's content, owner and mode.
    Filler {
        /// Room for the content, bytes.
        room: u64,
        /// Bytes that it takes to say what is copied, at the most.
        table: usize,
    },
    /// Nobody can: it has content, and that is not copied.
    Nobody(Obstacle),
}

impl Maker {
    /// The same where there are `left` bytes to say it in, which become fewer; else whoever makes it without being told.
    pub(super) fn within(self, left: &mut usize, content: &PathContent) -> Self {
        match self {
            Self::Filler { table, .. } => match left.checked_sub(table) {
                Some(less) => {
                    *left = less;
                    self
                }
                None if content.hides_nothing() => Self::Kubelet,
                None => Self::Nobody(Obstacle::Entries),
            },
            other => other,
        }
    }

    /// The same, which makes the directory at `made` as well in the one at `path`; `None` where it cannot.
    pub(super) fn with_directory(
        &self,
        inputs: &Inputs<'_>,
        path: &ImagePath,
        made: &ImagePath,
    ) -> Option<Self> {
        let own = match self {
            Self::Filler { .. } => self.clone(),
            Self::Kubelet => measure(inputs, path, 0, true).ok()?,
            Self::Nobody(_) => return None,
        };
        let (Self::Filler { room, table }, Some(filler)) = (own, inputs.filler) else { return None };
        let table = table + cost_of_new(filler, made, path);
        (filler.takes(made) && table <= filler.room()).then_some(Self::Filler { room: room + BLOCK, table })
    }

    pub(super) fn is_filled(&self) -> bool {
        matches!(self, Self::Filler { .. })
    }
}

/// Why the content of a path is not copied to a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// There is no helper for the image's architecture, and the source has no shell that would do.
    Architecture,
    /// There is no helper for it, and the source would copy this otherwise than the volume must have it.
    Source(ImagePath),
    /// Its bytes are more than [`seed::MAX_BYTES`].
    Size,
    /// Its entries do not fit into the helper's table.
    Entries,
    /// It holds a program of an interpreter.
    Code(ImagePath),
    /// It holds a device, or a name that no file system takes.
    Odd(ImagePath),
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Architecture => {
                f.write_str("kiln has no helper for this architecture that would copy them, and the source has no shell and `cp`")
            }
            Self::Source(path) => write!(
                f,
                "kiln has no helper for this architecture, and the source's own `cp` would not copy {path} as the volume must have it"
            ),
            Self::Size => write!(f, "kiln copies no more than {} MiB at a start", seed::MAX_BYTES >> 20),
            Self::Entries => f.write_str("they are more than kiln copies at a start"),
            Self::Code(path) => {
                write!(
                    f,
                    "{path} is code, which could be changed in a volume (`--writable` copies it all the same)"
                )
            }
            Self::Odd(path) => write!(f, "{path} is a device or has a name that cannot be copied"),
        }
    }
}

/// Who makes the directory at `path`, which has `content` and is declared for the reasons of `group`.
pub(super) fn maker(
    inputs: &Inputs<'_>,
    path: &ImagePath,
    content: &PathContent,
    group: &[Candidate],
) -> Maker {
    match content {
        PathContent::Seed { bytes, .. } => {
            let is_asked_for = group.iter().any(|candidate| candidate.evidence.kind == EvidenceKind::User);
            match measure(inputs, path, *bytes, is_asked_for) {
                Ok(maker) => maker,
                Err(obstacle) => Maker::Nobody(obstacle),
            }
        }
        PathContent::Empty | PathContent::Absent
            if is_private(inputs, path, group) || has_directories(inputs, path, group) =>
        {
            measure(inputs, path, 0, true).unwrap_or(Maker::Kubelet)
        }
        PathContent::Empty | PathContent::Absent | PathContent::LogLinks => Maker::Kubelet,
    }
}

/// Who fills volumes, and what that needs for the entries below `path`, of `bytes` together, and for what scripts would have
/// put there.
pub(super) fn measure(
    inputs: &Inputs<'_>,
    path: &ImagePath,
    bytes: u64,
    with_code: bool,
) -> Result<Maker, Obstacle> {
    let filler = inputs.filler.ok_or(Obstacle::Architecture)?;
    if !seed::takes(path) {
        return Err(Obstacle::Odd(path.clone()));
    }
    if bytes > seed::MAX_BYTES {
        return Err(Obstacle::Size);
    }
    let mut room = bytes;
    let mut table = filler.cost(path);
    let copy = |path: &ImagePath, kind| {
        filler.cost_of_copy(inputs, path, kind).ok_or_else(|| Obstacle::Source(path.clone()))
    };
    if inputs.rootfs.node(path).is_some() {
        copy(path, seed::Kind::Tree)?;
    }
    if !filler.reaches(inputs, path) || !filler.takes(path) {
        return Err(Obstacle::Source(path.clone()));
    }
    for (below, _) in inputs.rootfs.below(path) {
        let kind = inputs.rootfs.entry(below).map_or(&Kind::Directory, |entry| &entry.kind);
        let copied = match kind {
            Kind::Directory => seed::Kind::Directory,
            Kind::Symlink(_) => seed::Kind::Link,
            Kind::Fifo => seed::Kind::Pipe,
            _ => seed::Kind::File,
        };
        let cost = copy(below, copied)?;
        if !matches!(kind, Kind::Directory) && !(inputs.kept)(below) {
            continue;
        }
        room += BLOCK;
        table += cost;
        if table > seed::MAX_TABLE {
            return Err(Obstacle::Entries);
        }
        if matches!(kind, Kind::CharDevice(..) | Kind::BlockDevice(..)) || !seed::takes(below) {
            return Err(Obstacle::Odd(below.clone()));
        }
        if matches!(kind, Kind::File(_)) && !with_code && is_code(below) {
            return Err(Obstacle::Code(below.clone()));
        }
    }
    let baked = inputs.baked.iter().map(|baked| &baked.path);
    for made in baked.filter(|made| made.is_within(path) && inputs.rootfs.node(made).is_none()) {
        if !seed::takes(made) {
            return Err(Obstacle::Odd(made.clone()));
        }
        if !with_code && is_code(made) {
            return Err(Obstacle::Code(made.clone()));
        }
        if filler == Filler::Source {
            return Err(Obstacle::Source(made.clone()));
        }
        room += BLOCK;
        table += cost_of_new(filler, made, path);
    }
    if table > filler.room() {
        return Err(Obstacle::Entries);
    }
    Ok(Maker::Filler { room, table })
}

/// Bytes that it takes to say that `made` is new in the tree at `top`, with the directories above, at the most.
fn cost_of_new(filler: Filler, made: &ImagePath, top: &ImagePath) -> usize {
    between(made, top).chain([made.clone()]).map(|path| filler.cost(&path)).sum()
}

/// The directories above `path` and below `top`.
pub(super) fn between(path: &ImagePath, top: &ImagePath) -> impl Iterator<Item = ImagePath> {
    path.ancestors().take_while(move |above| above != top && above.is_within(top))
}

/// The first program of an interpreter below `path`, by its name; `None` where `--writable` asks for the path.
pub(super) fn code_by_name(inputs: &Inputs<'_>, path: &ImagePath) -> Option<ImagePath> {
    if inputs.extra.iter().any(|asked| path.is_within(asked)) {
        return None;
    }
    let is_file = |path: &ImagePath| inputs.rootfs.entry(path).is_some_and(|entry| entry.file().is_some());
    let mut below = inputs.rootfs.below(path).map(|(below, _)| below);
    below.find(|below| is_code(below) && is_file(below) && (inputs.kept)(below)).cloned()
}

/// Whether the name of `path` says that a program reads and runs it.
pub fn is_code(path: &ImagePath) -> bool {
    // The version of a library (`.so.1.2`) is no extension.
    let is_version = |part: &&[u8]| part.iter().all(u8::is_ascii_digit);
    let mut parts = path.name().split(|&byte| byte == b'.').rev().peekable();
    let mut is_versioned = false;
    while parts.next_if(is_version).is_some() {
        is_versioned = true;
    }
    let extension = parts.next().filter(|_| parts.peek().is_some());
    let code = if is_versioned { &[b"so".as_slice()] } else { CODE };
    extension.is_some_and(|extension| code.iter().any(|code| extension.eq_ignore_ascii_case(code)))
}

/// Whether the file `entry` at `path` is code by its name, by what is in it, or for somebody may execute it.
pub fn is_program(path: &ImagePath, entry: &Entry) -> bool {
    let is_one = |file: &File| file.content != Content::Data || entry.mode & 0o111 != 0 || is_code(path);
    entry.file().is_some_and(is_one)
}

/// Whether there are directories in a directory without content: they are there for a reason, and an app may not make
/// them itself. Of software of which a recipe knows that it writes there it is known that it does.
fn has_directories(inputs: &Inputs<'_>, path: &ImagePath, group: &[Candidate]) -> bool {
    let is_described = |candidate: &Candidate| {
        matches!(candidate.evidence.kind, EvidenceKind::Recipe | EvidenceKind::Directive)
    };
    let mut children = inputs.rootfs.children(path);
    !group.iter().any(is_described)
        && !place::is_shared(path)
        && children.any(|(child, _)| inputs.rootfs.is_directory(child))
}

/// Whether a directory without content is the user's alone: software that keeps secrets or data in it refuses one that is
/// for everybody, as an `emptyDir` is.
fn is_private(inputs: &Inputs<'_>, path: &ImagePath, group: &[Candidate]) -> bool {
    let is_for_all = ["/tmp", "/var/tmp"].iter().any(|tree| path.is_within(&ImagePath::literal(tree)));
    let wanted = || group.iter().filter_map(|candidate| candidate.mode).max();
    let mode = match inputs.rootfs.entry(path) {
        _ if group.iter().any(|candidate| candidate.insists) => wanted(),
        Some(entry) => Some(entry.mode).filter(|_| entry.uid == inputs.user.uid),
        None if inputs.rootfs.node(path).is_some() => None,
        None => wanted(),
    };
    !is_for_all && inputs.user.uid != 0 && mode.is_some_and(|mode| mode & OF_OTHERS == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_known_by_its_name_in_any_case_and_any_version() {
        for name in [
            "a.php",
            "a.PHP",
            "a.pHtml",
            "a.phar",
            "a.inc",
            "a.jsp",
            "a.cgi",
            "a.tcl",
            "a.beam",
            "a.Dll",
            "a.exe",
            "liba.so",
            "liba.so.1",
            "liba.so.1.2.3",
            "LIBA.SO.1",
            "a.b.py",
            ".js",
        ] {
            assert!(is_code(&ImagePath::literal(&format!("srv/{name}"))), "{name}");
        }
        for name in ["php", "so", "a.1", "1", "a.php.1", "a.php.bak", "a.sox", "so.1", "a.txt", "a.d.so/x"] {
            assert!(!is_code(&ImagePath::literal(&format!("srv/{name}"))), "{name}");
        }
    }
}
