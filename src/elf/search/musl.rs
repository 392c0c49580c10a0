//! musl's rules (`ldso/dynlink.c`: `load_library`, `path_open`, `fixup_rpath`).
//!
//! One file a name: musl knows neither a cache nor libraries for some processors only, and the first file that it
//! can open ends its search, whatever is in it.

use super::{Located, MAX_DIRECTORIES, Musl, Requester, Search};
use crate::path::ImagePath;

/// Where musl looks if it has no path file.
const DEFAULT_PATH: &[u8] = b"/lib:/usr/local/lib:/usr/lib";

/// Libraries that are inside the loader: a name that begins with one of these is the loader's own.
const RESERVED: [&[u8]; 7] =
    [b"libc.", b"libpthread.", b"librt.", b"libm.", b"libdl.", b"libutil.", b"libxnet."];

/// Whether the path of musl's directories may stand at `path`: `etc/ld-musl-ARCH.path`, below the loader's prefix.
pub(super) fn is_path_file(path: &ImagePath) -> bool {
    let in_etc = path.parent().is_some_and(|directory| directory.name() == b"etc");
    in_etc && path.name().starts_with(b"ld-musl-") && path.name().ends_with(b".path")
}

impl Search<'_> {
    /// `LD_LIBRARY_PATH`, the paths of the object and of those that led to it (RUNPATH and RPATH are one to musl), and
    /// the path file or three directories.
    pub(super) fn find_musl(&self, name: &[u8], by: &Requester<'_>, musl: &Musl) -> Option<Located> {
        if RESERVED.iter().any(|own| name.starts_with(own)) || name == &*musl.name {
            return self.open(&musl.name);
        }
        if name.contains(&b'/') {
            return self.open(name);
        }
        if let Some(found) = self.env.library_path.as_deref().and_then(|path| self.open_in(path, name)) {
            return Some(found);
        }
        for (facts, origin) in [(by.facts, by.origin)].iter().chain(by.inherited) {
            let path = facts.runpath.as_ref().or(facts.rpath.as_ref());
            if let Some(found) = path.and_then(|path| self.open_in(&with_origin(path, origin)?, name)) {
                return Some(found);
            }
        }
        let listed = ImagePath::parse(&musl.path_file()).ok().and_then(|file| self.rootfs.resolve(&file));
        let is_there = listed.as_ref().and_then(|found| self.rootfs.entry(&found.path)).is_some();
        match listed.and_then(|found| self.rootfs.bytes(&found.path)) {
            Some(path) => self.open_in(&path, name),
            // A file without bytes is an empty path, not a missing one.
            None if is_there => None,
            None => self.open_in(DEFAULT_PATH, name),
        }
    }

    /// The first directory of `path` that has something called `name`. Empty directories mean nothing.
    fn open_in(&self, path: &[u8], name: &[u8]) -> Option<Located> {
        path.split(|byte| matches!(byte, b':' | b'\n'))
            .filter(|directory| !directory.is_empty())
            .take(MAX_DIRECTORIES)
            .find_map(|directory| self.open(&[directory, b"/", name].concat()))
    }
}

impl Musl {
    /// The path file of this loader: `PREFIX/etc/ld-musl-ARCH.path`, the prefix being two above the loader's name.
    fn path_file(&self) -> Vec<u8> {
        let slashes = self.name.iter().enumerate().rev().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        let prefix = slashes.take(2).last().and_then(|at| self.name.get(..at)).unwrap_or_default();
        [prefix, b"/etc/ld-musl-", &*self.arch, b".path"].concat()
    }
}

/// `path` with the object's directory for `$ORIGIN`; `None` where another token is in it: musl then ignores it.
fn with_origin(path: &[u8], origin: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut rest = path;
    while let Some(at) = rest.iter().position(|&byte| byte == b'$') {
        let (before, token) = rest.split_at(at);
        out.extend_from_slice(before);
        out.extend_from_slice(origin);
        rest = token.strip_prefix(b"$ORIGIN").or_else(|| token.strip_prefix(b"${ORIGIN}"))?;
    }
    out.extend_from_slice(rest);
    Some(out)
}
