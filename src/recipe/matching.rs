//! Which recipes apply to an entrypoint, and what a script's text amounts to.
//!
//! Knows paths and bytes that it is given; reads no image.

use super::Recipe;
use crate::digest::BlobDigest;
use crate::path::ImagePath;
use crate::path::glob::PathGlobs;

/// The name of the recipe for a static program that no other recipe knows; see [`static_binary`].
const STATIC: &str = "static";

/// The recipes that know one of `program_paths` (as started, and with links followed), in the order given.
pub fn matching<'a>(recipes: &'a [Recipe], program_paths: &[ImagePath]) -> Vec<&'a Recipe> {
    recipes
        .iter()
        .filter(|recipe| {
            // The globs were checked when the recipe was read; together they may still be too large.
            PathGlobs::new(&recipe.programs)
                .is_ok_and(|globs| program_paths.iter().any(|path| globs.is_match(&path.absolute())))
        })
        .collect()
}

/// The recipe for a main program that is statically linked and that [`matching`] finds no recipe for.
///
/// It names no programs: whether a program is static is a fact of its bytes, not of its path.
pub fn static_binary(recipes: &[Recipe]) -> Option<&Recipe> {
    recipes.iter().find(|recipe| recipe.name == STATIC)
}

/// The lines of a shell script that do something: without comments, blank lines and blanks at both ends.
///
/// A comment after a line that ends in `\` is kept: there it cuts the command short. The first line, `#!…`,
/// is a comment.
pub fn effective_lines(script: &[u8]) -> Vec<&[u8]> {
    let mut continued = false;
    script
        .split(|&byte| byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| {
            let keep = continued || !(line.is_empty() || line.starts_with(b"#"));
            continued = line.ends_with(b"\\");
            keep
        })
        .collect()
}

/// The digest of a script's effective lines, each ended by a newline.
pub fn lines_digest(script: &[u8]) -> BlobDigest {
    let mut text = Vec::new();
    for line in effective_lines(script) {
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    BlobDigest::of(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_blanks_and_indentation_do_not_count() {
        let one = b"#!/bin/sh\nset -e\n\n# why\n\tif true; then # here\n  exec x\nfi\n";
        let two = b"#!/bin/bash\n  set -e\nif true; then # here\nexec x  \nfi";
        assert_eq!(effective_lines(one), effective_lines(two));
        assert_eq!(lines_digest(one), lines_digest(two));
    }

    #[test]
    fn a_comment_that_cuts_a_continued_line_counts() {
        assert_ne!(lines_digest(b"exec a \\\n-b\n"), lines_digest(b"exec a \\\n# x\n-b\n"));
        assert_ne!(lines_digest(b"exec a \\\n-b\n"), lines_digest(b"exec a \\\n\n-b\n"));
    }
}
