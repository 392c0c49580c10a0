//! H1: no catalogued program is left that the manifest does not give a reason for.
//!
//! Looks at every name and every program's content; does not ask how the plan came to keep something.

use std::collections::BTreeMap;

use super::facts::Facts;
use crate::catalog::{Catalog, Class};
use crate::path::ImagePath;
use crate::promise::{Promise, Proof};
use crate::rootfs::{Content, Entry, Kind};

/// Checks H1.
pub fn check(facts: &Facts<'_>) -> Proof {
    let mut proof = Proof::new(Promise::NoTools);
    let residual = facts.document().map_or(&[][..], |manifest| &manifest.residual);
    let named: BTreeMap<&str, &str> =
        residual.iter().map(|program| (program.path.as_str(), program.why.as_str())).collect();
    let (mut programs, mut excused) = (0u64, 0u64);
    for (path, _) in facts.rootfs.nodes() {
        let Some(entry) = facts.rootfs.entry(path) else { continue };
        programs += u64::from(entry.file().is_some() && entry.mode & 0o111 != 0);
        let Some((class, sign)) = class(facts, path, entry) else { continue };
        // All names of one inode are one program, and the manifest may name it by any of them.
        let names = facts.names_of(path);
        match names.iter().find_map(|name| named.get(name.to_string().as_str())) {
            Some(why) if !why.trim().is_empty() => excused += 1,
            Some(_) => proof.break_at(
                path,
                format!("{} ({sign}): the manifest names it without a reason", class.phrase()),
            ),
            None => {
                proof.break_at(path, format!("{} ({sign}) that the manifest does not name", class.phrase()));
            }
        }
    }
    proof.prove(format!(
        "{programs} executable files; {excused} catalogued names have their reason in the manifest"
    ));
    proof
}

/// What the catalog says of the file or link at `path`, and by which sign.
fn class<'a>(facts: &Facts<'a>, path: &'a ImagePath, entry: &Entry) -> Option<(Class, &'static str)> {
    let catalog = Catalog::builtin();
    match &entry.kind {
        Kind::File(file) => {
            // `/etc/passwd` with an execute bit is no program.
            if file.content == Content::Data && catalog.always_keep().find(&path.absolute()).is_some() {
                return None;
            }
            // Its bytes tell what it is under any name, and whoever can copy it can set the bit.
            let by_content = catalog.tool_of(file).map(|tool| (tool.class, "by its content"));
            if entry.mode & 0o111 == 0 {
                return by_content;
            }
            // Two names of one inode are one program: busybox called httpd is still a shell.
            let names = facts.names_of(path);
            let by_name = names.into_iter().filter_map(|name| catalog.program(name.name())).min();
            by_name
                .map(|class| (class, "by name"))
                .into_iter()
                .chain(by_content)
                .min_by_key(|(class, _)| *class)
        }
        Kind::Symlink(_) => {
            let class = catalog.program(path.name())?;
            let target = facts.rootfs.entry_following(path)?;
            (target.file().is_some() && target.mode & 0o111 != 0).then_some((class, "by the link's name"))
        }
        _ => None,
    }
}
