//! Telling the application from the distribution: what no package owns, and what that means.
//!
//! Asks only where a file is and who owns it; keeps nothing itself.

use super::entrypoint::find_program;
use super::known::Known;
use crate::catalog::{Catalog, Rules};
use crate::packages;
use crate::path::ImagePath;

/// Whether the file or link at `path` is the application's: no package owns it, in fact or in spirit.
pub fn is_application(known: &Known<'_>, path: &ImagePath) -> bool {
    if !known.owners(path).is_empty() || is_spirit(known, path) || packages::is_database(path) {
        return false;
    }
    if is_state(known, path) {
        return false;
    }
    if let Some(source) = byte_code_source(path)
        && known.rootfs.node(&source).is_some()
    {
        return is_application(known, &source);
    }
    // Links of the system (alternatives, ldconfig's) go where their target goes.
    !(known.is_link(path) && is_system_directory(path))
}

/// Whether `path` belongs to the distribution although no package lists it.
pub fn is_spirit(known: &Known<'_>, path: &ImagePath) -> bool {
    names(known, Catalog::builtin().spirit(), path)
}

/// Whether `path` is state of package managers or of an init system.
pub fn is_state(known: &Known<'_>, path: &ImagePath) -> bool {
    names(known, Catalog::builtin().state(), path)
}

fn names(known: &Known<'_>, rules: &Rules, path: &ImagePath) -> bool {
    known.rule(rules, path).is_some()
}

/// Whether `path` lies where a distribution puts its files.
pub fn is_system_directory(path: &ImagePath) -> bool {
    let mut components = path.components();
    match components.next() {
        Some(
            b"bin" | b"sbin" | b"lib" | b"lib32" | b"lib64" | b"libx32" | b"etc" | b"var" | b"run" | b"boot"
            | b"dev",
        ) => true,
        Some(b"usr") => {
            // `/usr/local` is for what did not come with the distribution, but its program directories
            // are where a downloaded tool is put.
            components.next() != Some(b"local") || matches!(components.next(), Some(b"bin" | b"sbin"))
        }
        _ => false,
    }
}

/// The `.py` file that `…/__pycache__/NAME.cpython-311.pyc` was made from.
pub fn byte_code_source(path: &ImagePath) -> Option<ImagePath> {
    let cache = path.parent()?;
    if cache.name() != b"__pycache__" {
        return None;
    }
    let stem = path.name().strip_suffix(b".pyc")?;
    let end = stem.iter().position(|&byte| byte == b'.')?;
    let name = [stem.get(..end)?, b".py"].concat();
    Some(cache.parent()?.child(&name))
}

/// Whether a script is named as what an interpreter inside another program loads: half of Python's standard
/// library begins with `#!` and has an execute bit.
pub fn is_module_script(path: &ImagePath) -> bool {
    const MODULES: &[&[u8]] =
        &[b".py", b".pm", b".pl", b".al", b".rb", b".js", b".mjs", b".cjs", b".lua", b".tcl", b".php"];
    MODULES.iter().any(|end| path.name().ends_with(end))
}

/// Symbolic links between the first word of a `#!` line and the file it leads to.
pub fn interpreter_links(known: &Known<'_>, line: &[u8]) -> Vec<ImagePath> {
    let first = line.split(u8::is_ascii_whitespace).next().unwrap_or_default();
    known.rootfs.resolve_from(&ImagePath::root(), first).map_or_else(Vec::new, |resolved| resolved.links)
}

/// What a `#!` line leads to, last the one that reads the script: `/usr/bin/env python3` leads to both.
/// Paths are followed; what the image does not have is left out.
pub fn interpreters(known: &Known<'_>, line: &[u8]) -> Vec<ImagePath> {
    let text = String::from_utf8_lossy(line);
    let mut words = text.split_whitespace();
    let mut out = Vec::new();
    let Some(first) = words.next() else { return out };
    let Some((_, file)) = find_program(known.rootfs, &known.config.env, &ImagePath::root(), first) else {
        return out;
    };
    let is_env = first.rsplit('/').next() == Some("env");
    out.push(file);
    if is_env {
        let word = words
            .map(|word| word.strip_prefix("-S").unwrap_or(word))
            .find(|word| !word.is_empty() && !word.starts_with('-'));
        let found =
            word.and_then(|word| find_program(known.rootfs, &known.config.env, &ImagePath::root(), word));
        out.extend(found.map(|(_, file)| file));
    }
    out
}
