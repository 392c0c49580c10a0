//! H8: the package database lists exactly the packages that still own files.
//!
//! Reads the finished database as a scanner does; does not know how it was filtered.

use std::collections::BTreeSet;

use super::facts::Facts;
use crate::packages::dpkg::filter;
use crate::packages::{self, Database, Package, Warning};
use crate::path::ImagePath;
use crate::promise::{Promise, Proof};
use crate::rootfs::Rootfs;

/// Checks H8: on the image alone as far as that goes, against the source's tree in full.
pub fn check(facts: &Facts<'_>, source: Option<&Rootfs>) -> Proof {
    let mut proof = Proof::new(Promise::PackagesMatch);
    let database = Database::read(facts.rootfs);
    if let Some(database) = &database {
        listed(facts, database, &mut proof);
    } else if let Some((kind, place)) = packages::detect(facts.rootfs).into_iter().next() {
        proof.leave_open(format!("`{place}` is a database of {kind}, which this kiln does not read"));
    }
    match source {
        Some(source) => compare(facts, database.as_ref(), source, &mut proof),
        None => proof.leave_open("whether a package is missing from the list is told by --against"),
    }
    proof
}

fn listed(facts: &Facts<'_>, database: &Database, proof: &mut Proof) {
    let (mut count, mut signed, mut files) = (0u64, 0u64, 0u64);
    for (_, package) in database.installed() {
        count += 1;
        if !package.files.iter().any(|path| package.has_file(facts.rootfs, path)) {
            proof.break_at(name(package), "is listed as installed and owns no file of the image");
        }
        // A header of rpm's is signed as a whole: it stays with all the files that the package ever had.
        if package.kind == packages::Kind::Rpm {
            signed += 1;
            continue;
        }
        files += package.files.len() as u64;
        let missing: Vec<&ImagePath> =
            package.files.iter().filter(|path| facts.rootfs.node(path).is_none()).collect();
        if let Some(first) = missing.first() {
            let more = missing.len() - 1;
            let more = if more == 0 { String::new() } else { format!(" and {more} more") };
            proof.break_at(name(package), format!("lists {first}{more}, which is not there"));
        }
    }
    for (path, _) in facts.rootfs.nodes() {
        let Some(info) = filter::belongs_to(path) else { continue };
        if database.packages().all(|(_, package)| package.name != info.package) {
            proof
                .break_at(path, format!("is about package `{}`, which the list does not have", info.package));
        }
    }
    for warning in database.warnings() {
        if let Warning::TooLarge(path) = warning {
            proof.leave_open(format!("{path} is too large to be read"));
        }
    }
    let signed = match signed {
        0 => String::new(),
        some => format!("; the headers of {some} are as signed, and list what the packages once had"),
    };
    proof.prove(format!("{count} packages, {files} listed files, all of which are there{signed}"));
}

fn compare(facts: &Facts<'_>, database: Option<&Database>, source: &Rootfs, proof: &mut Proof) {
    let before = Database::read(source);
    let expected: BTreeSet<[&str; 3]> = before
        .iter()
        .flat_map(Database::installed)
        .filter(|(_, package)| {
            package
                .files
                .iter()
                .any(|path| package.has_file(source, path) && package.has_file(facts.rootfs, path))
        })
        .map(|(_, package)| identity(package))
        .collect();
    let found: BTreeSet<[&str; 3]> =
        database.into_iter().flat_map(Database::installed).map(|(_, package)| identity(package)).collect();
    for [name, version, architecture] in expected.difference(&found) {
        proof.break_at(
            name,
            format!("version {version} ({architecture}) still owns files, but is not listed"),
        );
    }
    for [name, version, architecture] in found.difference(&expected) {
        proof.break_at(name, format!("version {version} ({architecture}) is listed, but the source has no such package with files that stay"));
    }
    proof.prove(format!("{} packages of the source still own files", expected.len()));
}

fn identity(package: &Package) -> [&str; 3] {
    [&package.name, &package.version, &package.architecture]
}

fn name(package: &Package) -> String {
    format!("package {}", package.name)
}
