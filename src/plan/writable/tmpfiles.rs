//! `tmpfiles.d`: directories that systemd would make at boot for the software, tmpfiles.d(5).
//!
//! Reads only files named as the software, or lines for the account it runs as; the system's own are not its.

use std::collections::BTreeSet;

use super::candidate::evidence;
use super::units::expand_specifiers;
use super::{Candidate, Inputs, place, units};
use crate::evidence::{Confidence, EvidenceKind};
use crate::path::ImagePath;

/// Where packages and administrators put them, tmpfiles.d(5).
const DIRECTORIES: &[&str] = &["/usr/lib/tmpfiles.d", "/etc/tmpfiles.d"];

/// systemd's and the distribution's own, whatever account their lines name.
const SYSTEM: &[&[u8]] = &[
    b"debian.conf",
    b"home.conf",
    b"journal-nocow.conf",
    b"legacy.conf",
    b"libselinux1.conf",
    b"passwd.conf",
    b"provision.conf",
    b"static-nodes-permissions.conf",
    b"tmp.conf",
    b"var.conf",
    b"x11.conf",
    b"dbus.conf",
];

/// Candidates of all lines that concern the software.
pub(super) fn candidates(inputs: &Inputs<'_>) -> Vec<Candidate> {
    let names = software_names(inputs);
    let mut out = Vec::new();
    for directory in DIRECTORIES {
        for (path, _) in inputs.rootfs.children(&ImagePath::literal(directory)) {
            let name = path.name();
            if !name.ends_with(b".conf") || name.starts_with(b"systemd") || SYSTEM.contains(&name) {
                continue;
            }
            let Some(text) = inputs.rootfs.bytes_following(path) else { continue };
            let stem = String::from_utf8_lossy(name.strip_suffix(b".conf").unwrap_or(name)).into_owned();
            let is_named = names.contains(stem.as_str());
            for (number, line) in String::from_utf8_lossy(&text).lines().enumerate() {
                out.extend(candidate(inputs, path, number + 1, line, is_named));
            }
        }
    }
    out
}

/// Names under which the software may have put its file.
fn software_names(inputs: &Inputs<'_>) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = inputs.recipes.iter().map(|recipe| recipe.name.clone()).collect();
    for step in inputs.chain {
        names.insert(String::from_utf8_lossy(step.path.name()).into_owned());
        names.insert(String::from_utf8_lossy(step.file.name()).into_owned());
    }
    names.extend(inputs.program.map(|program| String::from_utf8_lossy(program.name()).into_owned()));
    names.extend(units::matching_names(inputs));
    names
}

fn candidate(
    inputs: &Inputs<'_>,
    file: &ImagePath,
    number: usize,
    line: &str,
    is_named: bool,
) -> Option<Candidate> {
    let line = line.trim();
    if line.starts_with('#') {
        return None;
    }
    let mut words = line.split_whitespace();
    let (kind, path, mode, owner) = (words.next()?, words.next()?, words.next(), words.next());
    let for_user = owner.is_some_and(|owner| {
        Some(owner) == inputs.user.name.as_deref() || owner.parse() == Ok(inputs.user.uid)
    });
    if !is_named && !for_user {
        return None;
    }
    let path = place::absolute(&expand_specifiers(path, None)?, "/")?;
    let why = evidence(
        EvidenceKind::Tmpfiles,
        format!("{}:{number}", String::from_utf8_lossy(&file.absolute())),
        line.split_whitespace().collect::<Vec<_>>().join(" "),
    );
    match kind.trim_end_matches(['!', '-', '=', '~', '^', '+', '$']) {
        "d" | "D" | "v" | "q" | "Q" => {
            let mode = mode.and_then(|mode| u16::from_str_radix(mode.trim_start_matches(['~', ':']), 8).ok());
            Some(Candidate { mode, ..Candidate::directory(path, Confidence::Likely, why) })
        }
        "f" | "F" | "p" => Some(Candidate::file(path, Confidence::Likely, why)),
        _ => None,
    }
}
