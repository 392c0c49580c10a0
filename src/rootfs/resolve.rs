//! Symbolic links, followed inside the image only, as a process whose root it is would.
//!
//! Does not know `PATH` or loaders; `plan::entrypoint` and `elf::search` do.

use std::borrow::Cow;

use super::{Entry, Kind, Rootfs};
use crate::path::ImagePath;

/// Most symbolic links followed for one path: Linux' `MAXSYMLINKS`; one more is `ELOOP`.
pub const MAX_LINKS: usize = 40;

/// A path followed to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// Where it ends: a name without symbolic links in it.
    pub path: ImagePath,
    /// Every symbolic link passed, in order, by its own canonical name.
    pub links: Vec<ImagePath>,
}

impl Rootfs {
    /// Follows every link of `path`; `None` where it ends nowhere, in a loop, or passes through a file.
    pub fn resolve(&self, path: &ImagePath) -> Option<Resolved> {
        self.follow(path.as_bytes(), &ImagePath::root(), Missing::Refuse)
    }

    /// As [`Rootfs::resolve`], for a `target` as written in a link or a file, relative to `directory`.
    pub fn resolve_from(&self, directory: &ImagePath, target: &[u8]) -> Option<Resolved> {
        self.follow(target, directory, Missing::Refuse)
    }

    /// Follows links as far as names exist and keeps the rest as written: where a file created at `path`
    /// would land. `None` in a loop.
    pub fn canonicalize_missing(&self, path: &ImagePath) -> Option<ImagePath> {
        self.follow(path.as_bytes(), &ImagePath::root(), Missing::Accept).map(|resolved| resolved.path)
    }

    /// The entry at the end of `path`, links followed.
    pub fn entry_following(&self, path: &ImagePath) -> Option<&Entry> {
        self.entry(&self.resolve(path)?.path)
    }

    /// Kept bytes of the file at the end of `path`, links followed.
    pub fn bytes_following(&self, path: &ImagePath) -> Option<Cow<'_, [u8]>> {
        self.bytes(&self.resolve(path)?.path)
    }

    fn follow(&self, path: &[u8], from: &ImagePath, missing: Missing) -> Option<Resolved> {
        let mut links = Vec::new();
        let mut at = if path.first() == Some(&b'/') { ImagePath::root() } else { from.clone() };
        // Components still to walk, next one last.
        let mut todo: Vec<Box<[u8]>> = split_reversed(path);
        while let Some(name) = todo.pop() {
            match &*name {
                b"" | b"." => continue,
                // As the kernel does: `..` of the root is the root.
                b".." => {
                    at = at.parent().unwrap_or(at);
                    continue;
                }
                _ => {}
            }
            let next = at.child(&name);
            let Some(node) = self.node(&next) else {
                if matches!(missing, Missing::Refuse) {
                    return None;
                }
                at = next;
                continue;
            };
            let entry = node.inode.and_then(|id| self.member(id));
            match entry.map(|entry| &entry.kind) {
                Some(Kind::Symlink(target)) => {
                    links.push(next);
                    if links.len() > MAX_LINKS {
                        return None;
                    }
                    if target.first() == Some(&b'/') {
                        at = ImagePath::root();
                    }
                    todo.extend(split_reversed(target));
                }
                Some(Kind::Directory) | None => at = next,
                Some(_) if todo.iter().all(|rest| matches!(&**rest, b"" | b".")) => at = next,
                // A file in the middle: `ENOTDIR`.
                Some(_) if matches!(missing, Missing::Refuse) => return None,
                Some(_) => at = next,
            }
        }
        Some(Resolved { path: at, links })
    }
}

#[derive(Clone, Copy)]
enum Missing {
    Refuse,
    Accept,
}

fn split_reversed(path: &[u8]) -> Vec<Box<[u8]>> {
    path.split(|&byte| byte == b'/').rev().map(Box::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rootfs::dump::parse_image;

    fn check(image: &str, path: &str, expect: Option<&str>) {
        let rootfs = parse_image(image);
        let found = rootfs.resolve(&ImagePath::literal(path)).map(|resolved| resolved.path.to_string());
        assert_eq!(found.as_deref(), expect, "{path} in\n{image}");
    }

    #[test]
    fn links_relative_absolute_and_chained_are_followed() {
        let image =
            "/usr/bin/x f\n/bin l usr/bin\n/etc/alternatives/x l /usr/bin/x\n/opt/y l ../etc/alternatives/x";
        check(image, "bin/x", Some("/usr/bin/x"));
        check(image, "opt/y", Some("/usr/bin/x"));
    }

    #[test]
    fn climbing_stops_at_the_root() {
        check("/x f\n/a/b l ../../../../x", "a/b", Some("/x"));
    }

    #[test]
    fn loops_and_files_in_the_middle_lead_nowhere() {
        let image = "/a l b\n/b l a\n/f f";
        check(image, "a", None);
        check(image, "f/x", None);
    }

    #[test]
    fn missing_names_stay_as_written() {
        let rootfs = parse_image("/run d\n/var/run l /run");
        assert_eq!(
            rootfs.canonicalize_missing(&ImagePath::literal("var/run/nginx.pid")),
            Some(ImagePath::literal("run/nginx.pid"))
        );
    }
}
