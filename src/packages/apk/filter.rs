//! apk's database reduced to what remains, in its original layout and bytes.
//!
//! Bytes in, bytes out: what remains is the caller's to say, and paths are as written, not as they lie in the image.

use std::collections::BTreeSet;

use super::installed::{Part, Stanza, name_of, names, parse_installed};
use crate::path::ImagePath;

/// Bytes of a block of a tar archive.
const BLOCK: usize = 512;

/// `installed`: packages that `keep` says no to are left out, and of the others the files and directories that do
/// not remain. All else stays, byte for byte.
pub fn filter_installed(
    bytes: &[u8],
    keep: &dyn Fn(&str) -> bool,
    remains: &dyn Fn(&ImagePath) -> bool,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for stanza in kept(bytes, keep) {
        // Without a name where apk writes it, nothing in it is what it looks like.
        if stanza.name().is_none() {
            out.extend_from_slice(stanza.bytes());
            continue;
        }
        for part in stanza.parts() {
            match part {
                // What cannot be read as a path is not kiln's to judge.
                Part::Directory { path: Some(path), bytes } | Part::File { path: Some(path), bytes } => {
                    if path.is_root() || remains(&path) {
                        out.extend_from_slice(bytes);
                    }
                }
                Part::Directory { path: None, bytes }
                | Part::File { path: None, bytes }
                | Part::Field(bytes) => out.extend_from_slice(bytes),
            }
        }
    }
    out
}

/// What the packages that stay in an `installed` are called, be it by their own name or by what they provide, and
/// what identifies them elsewhere in the database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remaining {
    names: BTreeSet<String>,
    checksums: BTreeSet<Vec<u8>>,
}

impl Remaining {
    /// Adds the packages of `installed` that `keep` says yes to.
    pub fn add(&mut self, installed: &[u8], keep: &dyn Fn(&str) -> bool) {
        for stanza in kept(installed, keep) {
            self.names.extend(stanza.name());
            self.names.extend(stanza.field(b'p').map(names).unwrap_or_default());
            self.checksums.extend(stanza.checksum().map(<[u8]>::to_vec));
        }
    }
}

/// `world`: names that no package has any more are left out; conflicts stay.
pub fn filter_world(bytes: &[u8], remaining: &Remaining) -> Vec<u8> {
    let stays = |word: &&[u8]| name_of(word.trim_ascii()).is_none_or(|name| remaining.names.contains(&name));
    bytes.split_inclusive(u8::is_ascii_whitespace).filter(stays).collect::<Vec<_>>().concat()
}

/// `triggers`: lines of packages that are gone are left out.
pub fn filter_triggers(bytes: &[u8], remaining: &Remaining) -> Vec<u8> {
    let stays = |line: &&[u8]| {
        let first = line.split(u8::is_ascii_whitespace).next().unwrap_or_default();
        first.is_empty() || remaining.checksums.contains(first)
    };
    bytes.split_inclusive(|&byte| byte == b'\n').filter(stays).collect::<Vec<_>>().concat()
}

/// `scripts.tar`: scripts of packages that are gone are left out. What is not as apk writes it stays.
pub fn filter_scripts(bytes: &[u8], remaining: &Remaining) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((member, tail)) = split_member(rest) {
        let is_gone = checksum_of(member).is_some_and(|sum| !remaining.checksums.contains(sum));
        if !is_gone {
            out.extend_from_slice(member);
        }
        rest = tail;
    }
    out.extend_from_slice(rest);
    out
}

/// The first member of a tar archive with its header and padding, and what follows; `None` at the end, and where
/// there is no header that tells its size in octal.
fn split_member(archive: &[u8]) -> Option<(&[u8], &[u8])> {
    let header = archive.get(..BLOCK)?;
    if header.first() == Some(&0) {
        return None;
    }
    let digits =
        header.get(124..136)?.split(|byte| matches!(byte, 0 | b' ')).find(|part| !part.is_empty())?;
    let size = usize::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok()?;
    let end = size.checked_next_multiple_of(BLOCK)?.checked_add(BLOCK)?;
    archive.split_at_checked(end)
}

/// The checksum in a script's name: `busybox-1.36.1-r29.Q1yY8lhMF1VhgegJgkcXfqaNabDJw=.post-install`.
fn checksum_of(member: &[u8]) -> Option<&[u8]> {
    let name = member.get(..100)?.split(|&byte| byte == 0).next()?;
    let stem = name.get(..name.iter().rposition(|&byte| byte == b'.')?)?;
    let start = stem.iter().rposition(|&byte| byte == b'.')?.checked_add(1)?;
    stem.get(start..).filter(|sum| sum.starts_with(b"Q"))
}

fn kept<'a>(bytes: &'a [u8], keep: &'a dyn Fn(&str) -> bool) -> impl Iterator<Item = Stanza<'a>> {
    parse_installed(bytes).filter(|stanza| stanza.name().is_none_or(|name| keep(&name)))
}
