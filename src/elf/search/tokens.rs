//! `$ORIGIN`, `$LIB` and `$PLATFORM` in search paths, and names of machines.
//!
//! Does not know where a path stands; expands it.

use super::Search;
use crate::elf::facts::{Class, ElfFacts};

/// Longest path after `$ORIGIN` and the like are put in.
const MAX_EXPANDED: usize = 4096;

impl Search<'_> {
    /// `$ORIGIN`, `$LIB` and `$PLATFORM`, with or without braces, put into `text`.
    pub(super) fn expand(&self, text: &[u8], facts: &ElfFacts, origin: &[u8]) -> Box<[u8]> {
        if !text.contains(&b'$') {
            return text.into();
        }
        let library: Vec<u8> = match triplet(facts) {
            Some(triplet) if self.is_directory(&format!("/usr/lib/{triplet}")) => {
                format!("lib/{triplet}").into_bytes()
            }
            _ if facts.class == Class::Elf64 && self.is_directory("/usr/lib64") => b"lib64".to_vec(),
            _ => b"lib".to_vec(),
        };
        let tokens: [(&[u8], &[u8]); 3] =
            [(b"ORIGIN", origin), (b"LIB", &library), (b"PLATFORM", platform(facts.machine))];
        let mut out = Vec::new();
        let mut rest = text;
        while let Some((first, tail)) = rest.split_first() {
            let token = tokens.iter().find_map(|(token, value)| {
                if *first != b'$' {
                    return None;
                }
                let braced =
                    tail.strip_prefix(b"{").and_then(|tail| tail.strip_prefix(*token)?.strip_prefix(b"}"));
                let bare = || {
                    let after = tail.strip_prefix(*token)?;
                    let goes_on =
                        after.first().is_some_and(|next| next.is_ascii_alphanumeric() || *next == b'_');
                    (!goes_on).then_some(after)
                };
                Some((value, braced.or_else(bare)?))
            });
            rest = if let Some((value, after)) = token {
                out.extend_from_slice(value);
                after
            } else {
                out.push(*first);
                tail
            };
            if out.len() > MAX_EXPANDED {
                return text.into();
            }
        }
        out.into()
    }
}

/// Debian's name for a machine, by `e_machine`.
pub(super) fn triplet(facts: &ElfFacts) -> Option<&'static str> {
    Some(match (facts.machine, facts.class) {
        (3, _) => "i386-linux-gnu",
        (8, Class::Elf64) => "mips64el-linux-gnuabi64",
        (8, Class::Elf32) => "mipsel-linux-gnu",
        (21, _) => "powerpc64le-linux-gnu",
        (22, _) => "s390x-linux-gnu",
        (40, _) => "arm-linux-gnueabihf",
        (62, Class::Elf64) => "x86_64-linux-gnu",
        (62, Class::Elf32) => "x86_64-linux-gnux32",
        (183, _) => "aarch64-linux-gnu",
        (243, _) => "riscv64-linux-gnu",
        (258, _) => "loongarch64-linux-gnu",
        _ => return None,
    })
}

/// What `$PLATFORM` becomes (`AT_PLATFORM`); glibc before 2.37 says `haswell` on some x86 processors.
fn platform(machine: u16) -> &'static [u8] {
    match machine {
        3 => b"i686",
        21 => b"power8",
        22 => b"z900",
        40 => b"v7l",
        62 => b"x86_64",
        183 => b"aarch64",
        _ => b"",
    }
}
