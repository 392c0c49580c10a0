//! What a lowered script wrote and is in the image now: a finding for each file, with what may be frozen in it.
//!
//! A hint is told as one: nobody sees which variables a program used.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::some_of;
use crate::digest::BlobDigest;
use crate::finding::{Code, Finding};
use crate::path::{Escaped, ImagePath};
use crate::plan::Role;
use crate::plan::baked::{Baked, Holds};
use crate::plan::decide::Decision;
use crate::profile::has_word;

/// Programs that put variables of the environment into a text.
const TEMPLATES: &[&[u8]] =
    &[b"envsubst", b"gomplate", b"dockerize", b"confd", b"envtpl", b"j2", b"jinja2", b"erb", b"m4"];
/// Shorter values stand in any text.
const SHORTEST: usize = 2;
/// Trees of the kernel, of which a script asks without opening anything whether a file is there.
const OF_MACHINE: &[&str] = &["/proc/", "/sys/"];

/// One for each file.
pub(super) fn findings(decision: &Decision<'_>) -> Vec<Finding> {
    let asked = asked_of_the_machine(decision);
    let fills = fills_templates(decision);
    let stays = |baked: &&Baked| decision.fate.stays(&baked.path);
    decision.start.baked.iter().filter(stays).map(|baked| finding(decision, baked, &asked, fills)).collect()
}

fn finding(decision: &Decision<'_>, baked: &Baked, asked: &BTreeSet<String>, fills: bool) -> Finding {
    let Baked { path, holds, permissions, by, runs, .. } = baked;
    let alike = format!("alike in {runs} runs");
    let mut text = match holds {
        Holds::Bytes(bytes) => format!(
            "`{by}` wrote it {alike}: these {} bytes ({}) are in the image, and nobody writes them at a start any more",
            bytes.len(),
            BlobDigest::of(bytes)
        ),
        Holds::Link(target) => {
            format!("`{by}` made it {alike}: the image has this link to `{}`", Escaped::new(target))
        }
        Holds::Image => format!(
            "`{by}` set its mode or owner {alike} ({:04o} {}:{}): the image's file counts as that",
            permissions.mode, permissions.uid, permissions.gid
        ),
    };
    let written = baked.bytes().map(|bytes| String::from_utf8_lossy(bytes)).unwrap_or_default();
    let is_in = |(name, value): &&(String, String)| {
        name != "PATH" && value.len() >= SHORTEST && has_word(&written, value)
    };
    let names: Vec<String> =
        decision.known.config.env.iter().filter(is_in).map(|(name, _)| name.clone()).collect();
    if !names.is_empty() {
        let _ = write!(
            text,
            "; it may hold the image's {}, which a pod that sets it does not change any more",
            some_of(&names)
        );
    } else if fills && baked.bytes().is_some() {
        text.push_str("; a variable that a pod sets does not reach it any more");
    }
    if *holds != Holds::Image && !asked.is_empty() {
        let asked: Vec<String> = asked.iter().cloned().collect();
        let _ = write!(
            text,
            "; the script names {}, which may say otherwise on another machine",
            some_of(&asked)
        );
    }
    Finding::new(Code::FileBaked, path, text)
}

/// Whether a program that puts variables into a text ran before the server.
fn fills_templates(decision: &Decision<'_>) -> bool {
    let Some(traced) = decision.known.traced.map(|traced| traced.of(decision.start.whose)) else {
        return false;
    };
    let mut programs = traced.others_became();
    programs.any(|exec| ImagePath::unescape(&exec.path).is_some_and(|path| TEMPLATES.contains(&path.name())))
}

/// Files of the kernel that scripts name which ran before the server.
fn asked_of_the_machine(decision: &Decision<'_>) -> BTreeSet<String> {
    let known = decision.known;
    let Some(traced) = known.traced.map(|traced| traced.of(decision.start.whose)) else {
        return BTreeSet::new();
    };
    let opened = traced.others_read().map(|read| read.path);
    let chain = decision.start.entrypoint.chain.iter().filter(|step| step.role == Role::Script);
    let scripts: BTreeSet<ImagePath> = opened.chain(chain.map(|step| step.file.clone())).collect();
    let texts = scripts.iter().filter_map(|script| known.rootfs.bytes(script));
    texts.flat_map(|text| named(&String::from_utf8_lossy(&text))).collect()
}

/// Paths of the kernel in a script, comments apart.
fn named(script: &str) -> Vec<String> {
    let lines = script.lines().filter(|line| !line.trim_start().starts_with('#'));
    let is_end = |c: char| c.is_whitespace() || "\"';|&()<>`$]}".contains(c);
    lines
        .flat_map(|line| line.split(is_end))
        .filter(|word| {
            OF_MACHINE.iter().any(|tree| word.starts_with(tree)) && !word.starts_with("/proc/self/")
        })
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_kernel_are_found_in_scripts() {
        let script =
            "# /proc/none\nif [ ! -f \"/proc/net/if_inet6\" ]; then x; fi\necho a >/proc/self/fd/2\n";
        assert_eq!(named(script), ["/proc/net/if_inet6"]);
    }
}
