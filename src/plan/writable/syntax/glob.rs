//! Globs as configuration files write them, expanded inside the image.
//!
//! Knows glob(7) patterns, links followed; not which server includes what.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::super::place;
use crate::path::ImagePath;
use crate::rootfs::Rootfs;

/// Files that `pattern` names, in byte order; relative patterns are taken from `base`. A directory stands for
/// the files in it (Apache's `Include`).
pub(super) fn expand(rootfs: &Rootfs, pattern: &str, base: &str) -> Vec<ImagePath> {
    let Some(pattern) = place::absolute(pattern, base) else { return Vec::new() };
    let mut found = vec![ImagePath::root()];
    for component in pattern.components() {
        let Ok(component) = std::str::from_utf8(component) else { return Vec::new() };
        let has_wildcard = component.contains(['*', '?', '[']);
        let mut next = Vec::new();
        for directory in found {
            if !has_wildcard {
                next.push(directory.child(component.as_bytes()));
                continue;
            }
            let Some(glob) = glob(component) else { continue };
            let Some(resolved) = rootfs.resolve(&directory) else { continue };
            next.extend(
                rootfs
                    .children(&resolved.path)
                    .filter(|(path, _)| !path.name().starts_with(b".") || component.starts_with('.'))
                    .filter(|(path, _)| {
                        std::str::from_utf8(path.name()).is_ok_and(|name| glob.is_match(name))
                    })
                    .map(|(path, _)| directory.child(path.name())),
            );
        }
        found = next;
    }
    found
        .into_iter()
        .flat_map(|path| {
            let Some(resolved) = rootfs.resolve(&path).map(|resolved| resolved.path) else {
                return Vec::new();
            };
            if rootfs.is_directory(&resolved) {
                return rootfs.children(&resolved).map(|(child, _)| path.child(child.name())).collect();
            }
            vec![path]
        })
        .collect()
}

/// Whether one of the recipe's `globs` matches `path`; what is no glob matches nothing.
pub(in super::super) fn matches(globs: &[String]) -> impl Fn(&ImagePath) -> bool {
    let mut builder = GlobSetBuilder::new();
    for text in globs {
        if let Ok(glob) = GlobBuilder::new(text).literal_separator(true).build() {
            builder.add(glob);
        }
    }
    let set = builder.build().unwrap_or_else(|_| GlobSet::empty());
    move |path| std::str::from_utf8(&path.absolute()).is_ok_and(|text| set.is_match(text))
}

fn glob(component: &str) -> Option<globset::GlobMatcher> {
    GlobBuilder::new(component)
        .literal_separator(true)
        .backslash_escape(true)
        .build()
        .ok()
        .map(|glob| glob.compile_matcher())
}
