//! H10: labels, annotations, config and the manifest inside the image agree, and say where it came from.
//!
//! Recomputes every digest that can be recomputed without the source.

use super::facts::Facts;
use super::recorded::Recorded;
use crate::digest::BlobDigest;
use crate::harden::record::{
    ANNOTATED, MANIFEST_KEY, MANIFEST_PATH, OPTIONS_KEY, PLAN_KEY, SOURCE_KEY, VERSION_KEY,
};
use crate::manifest::Manifest;
use crate::path::{Escaped, ImagePath};
use crate::plan::Level;
use crate::promise::{Promise, Proof};

/// Checks H10 on the image alone.
pub fn check(facts: &Facts<'_>) -> Proof {
    let mut proof = Proof::new(Promise::Provenance);
    labels(facts, &mut proof);
    embedded(facts, &mut proof);
    if let Some(manifest) = facts.document() {
        record(facts, manifest, &mut proof);
        process(facts, manifest, &mut proof);
    }
    proof
}

fn label<'a>(facts: &'a Facts<'_>, key: &str) -> Option<&'a str> {
    facts.image.config.labels.get(key).map(String::as_str)
}

fn labels(facts: &Facts<'_>, proof: &mut Proof) {
    for key in ANNOTATED {
        let Some(value) = label(facts, key) else {
            proof.break_at(key, "the image has no such label");
            continue;
        };
        if let Some(other) = facts.image.annotations.get(key).filter(|other| *other != value) {
            proof.break_at(
                key,
                format!("label and annotation differ: `{}` and `{}`", escaped(value), escaped(other)),
            );
        }
        let is_digest = value.parse::<BlobDigest>().is_ok();
        if [SOURCE_KEY, PLAN_KEY, MANIFEST_KEY].contains(&key) && !is_digest {
            proof.break_at(key, format!("`{}` is no digest", escaped(value)));
        }
    }
    // An annotation of kiln's that is no label was put there by somebody else.
    for key in facts.image.annotations.keys().filter(|key| ANNOTATED.contains(&key.as_str())) {
        if label(facts, key).is_none() {
            proof.break_at(key, "the manifest has an annotation that the config has no label for");
        }
    }
    proof.prove("labels and annotations");
}

fn embedded(facts: &Facts<'_>, proof: &mut Proof) {
    let path = ImagePath::literal(MANIFEST_PATH);
    let Some(bytes) = &facts.manifest.bytes else {
        proof.break_at(&path, "the image has no writable manifest inside");
        return;
    };
    let found = BlobDigest::of(bytes);
    if let Some(expected) = label(facts, MANIFEST_KEY).filter(|label| **label != found.to_string()) {
        proof.break_at(
            &path,
            format!(
                "is not the manifest that the label names: expected {}, found {found}",
                escaped(expected)
            ),
        );
    }
    let Some(manifest) = facts.document() else {
        proof.break_at(&path, "is no writable manifest that this kiln can read");
        return;
    };
    if manifest.render().as_bytes() != bytes.as_slice() {
        proof.break_at(&path, "is not written as kiln writes it");
    }
    let top = facts.rootfs.layers().len().checked_sub(1);
    let layer = facts.rootfs.node(&path).and_then(|node| node.name).map(|id| id.layer() as usize);
    if layer != top {
        proof.break_at(&path, "is not in the topmost layer: something was put over the hardened image");
    }
    proof.prove(format!("manifest {found}"));
}

/// What the labels say is what the manifest says.
fn record(facts: &Facts<'_>, manifest: &Manifest, proof: &mut Proof) {
    if let Some(version) = label(facts, VERSION_KEY).filter(|version| *version != manifest.kiln_version) {
        proof.break_at(
            VERSION_KEY,
            format!(
                "`{}`, but the manifest was written by kiln {}",
                escaped(version),
                escaped(&manifest.kiln_version)
            ),
        );
    }
    let Some(text) = label(facts, OPTIONS_KEY) else { return };
    let recorded = match Recorded::parse(text) {
        Ok(recorded) => recorded,
        Err(problem) => {
            proof.break_at(OPTIONS_KEY, problem.to_string());
            return;
        }
    };
    let theirs = &manifest.options;
    // Where kiln cannot tell what an image is for, less goes than was asked for.
    let level = theirs.level == recorded.options.level || theirs.level == Level::Strip;
    let writable: Vec<String> = recorded.options.writable.iter().map(ToString::to_string).collect();
    let recipes: Vec<String> = recorded.recipes.iter().map(|recipe| recipe.digest.to_string()).collect();
    let same = level
        && same_set(&theirs.keep, &recorded.options.keep)
        && same_set(&theirs.strip, &recorded.options.strip)
        && same_set(&theirs.writable, &writable)
        && same_set(&theirs.recipes, &recipes)
        && theirs.user == recorded.options.user;
    if same {
        let options = if text.is_empty() { "the defaults" } else { text };
        proof.prove(format!("options: {}", escaped(options)));
    } else {
        proof.break_at(OPTIONS_KEY, format!("`{}`, but the manifest has other options", escaped(text)));
    }
}

fn same_set(one: &[String], other: &[String]) -> bool {
    let sorted = |list: &[String]| {
        let mut list = list.to_vec();
        list.sort();
        list.dedup();
        list
    };
    sorted(one) == sorted(other)
}

/// What the config starts is what the manifest says.
fn process(facts: &Facts<'_>, manifest: &Manifest, proof: &mut Proof) {
    let config = &facts.image.config;
    let process = &manifest.process;
    let user = format!("{}:{}", process.uid, process.gid);
    if config.user != user {
        proof.break_at("User", format!("`{}`, but the manifest says {user}", escaped(&config.user)));
    }
    let argv: Vec<&String> = config.entrypoint.iter().chain(&config.cmd).collect();
    if argv != process.argv.iter().collect::<Vec<_>>() {
        proof.break_at("Entrypoint", "starts something else than the manifest says");
    }
    let cwd = if config.working_dir.is_empty() { "/" } else { &config.working_dir };
    if cwd != process.cwd {
        proof.break_at(
            "WorkingDir",
            format!("`{}`, but the manifest says `{}`", escaped(cwd), escaped(&process.cwd)),
        );
    }
    for volume in &config.volumes {
        proof.break_at("Volumes", format!("`{}`: volumes belong to the manifest", escaped(volume)));
    }
    for variable in &process.entrypoint.env {
        let value = config.env.iter().rev().find(|(name, _)| *name == variable.name).map(|(_, value)| value);
        if value != Some(&variable.value) {
            proof.break_at("Env", format!("`{}` is not what the manifest says", escaped(&variable.name)));
        }
    }
    proof.prove("user, command, directory and environment are the manifest's");
}

fn escaped(text: &str) -> Escaped {
    Escaped::new(text.as_bytes())
}
