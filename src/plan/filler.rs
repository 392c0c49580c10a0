//! Who copies content to volumes when a pod starts: kiln's helper, or the source image where there is none for its processor.
//!
//! Knows what each of them can and what it takes; which paths are filled is decided elsewhere.

use super::User;
use super::access::{IMPLIED, Permissions};
use super::entrypoint::find_program;
use super::known::Known;
use super::writable::Inputs;
use crate::path::ImagePath;
use crate::rootfs::Rootfs;
use crate::seed::{self, Kind, script};

/// Who copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filler {
    /// kiln's helper, in the hardened image.
    Helper,
    /// The source image's own shell, in a container of it.
    Source,
}

impl Filler {
    /// Who does it for this image; `None` where there is no helper, and the source has not the programs for `user`.
    pub fn of(known: &Known<'_>, user: &User) -> Option<Self> {
        if seed::helper(&known.config.platform).is_some() {
            return Some(Self::Helper);
        }
        let is_there = |word| {
            let found = find_program(known.rootfs, &known.config.env, &ImagePath::root(), word);
            found.is_some_and(|(name, file)| {
                let way = name.ancestors().chain(file.ancestors()).chain([file]);
                may_pass(known.rootfs, user, way)
            })
        };
        std::iter::once(script::SHELL).chain(script::PROGRAMS).all(is_there).then_some(Self::Source)
    }

    /// Whether it can be told of `path`.
    pub fn takes(self, path: &ImagePath) -> bool {
        seed::takes(path) && (self == Self::Helper || std::str::from_utf8(path.as_bytes()).is_ok())
    }

    /// Whether `user` comes to the tree at `path` in the source; the helper finds in the hardened image what it needs.
    pub fn reaches(self, inputs: &Inputs<'_>, path: &ImagePath) -> bool {
        self == Self::Helper || may_pass(inputs.rootfs, inputs.user, path.ancestors())
    }

    /// Bytes that it can be told in.
    pub fn room(self) -> usize {
        match self {
            Self::Helper => seed::table_room(),
            Self::Source => script::ROOM,
        }
    }

    /// Bytes that it takes to tell it of a tree at `path`, or of what in one is made or has another mode, at the most.
    pub fn cost(self, path: &ImagePath) -> usize {
        match self {
            Self::Helper => path.as_bytes().len() + "d 0000 /\0".len(),
            Self::Source => script::cost(path),
        }
    }

    /// The same of the entry at `path`, which is a `kind` in the source. `None` where it would be copied, and must not be, or
    /// cannot be and must.
    pub fn cost_of_copy(self, inputs: &Inputs<'_>, path: &ImagePath, kind: Kind) -> Option<usize> {
        if self == Self::Helper {
            return Some(self.cost(path));
        }
        let found = inputs.rootfs.entry(path).map_or(IMPLIED, Permissions::of);
        let (wanted, must_stay) = match kind {
            Kind::Tree | Kind::Directory => (0o5, false),
            Kind::File => (0o4, true),
            Kind::Link | Kind::Pipe => (0, true),
        };
        let can = inputs.user.bits(found) & wanted == wanted && self.takes(path);
        let stays = !must_stay || (inputs.kept)(path);
        let is_made = inputs.baked.iter().any(|baked| baked.path == *path);
        let is_plain = is_plain(kind, found, mode(kind, found, inputs.user.uid));
        (can && stays && !is_made).then(|| if is_plain { 0 } else { self.cost(path) })
    }
}

/// Whether `user` may search, or execute, all of `paths`.
fn may_pass(rootfs: &Rootfs, user: &User, mut paths: impl Iterator<Item = ImagePath>) -> bool {
    paths.all(|path| user.bits(rootfs.entry(&path).map_or(IMPLIED, Permissions::of)) & 0o1 != 0)
}

/// Whether a copy by the source's programs has `wanted` as its mode where the source `had` these: not every `cp` leaves the
/// bits above the owner's.
pub fn is_plain(kind: Kind, had: Permissions, wanted: u16) -> bool {
    kind == Kind::Link || had.mode == wanted && had.mode & 0o7000 == 0
}

/// The mode of a copy: what the source has. The user owns it; what was another's he could write as root.
pub fn mode(kind: Kind, had: Permissions, uid: u32) -> u16 {
    match kind {
        Kind::Link => 0o777,
        Kind::Tree | Kind::Directory => had.mode & 0o1777 | 0o700,
        Kind::File | Kind::Pipe if had.uid == uid => had.mode & 0o777,
        Kind::File | Kind::Pipe => had.mode & 0o777 | 0o600,
    }
}
