//! H7: the config is the source's, but for what is changed on purpose.
//!
//! Compares the documents field by field, unknown fields too.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::facts::Facts;
use crate::harden::record::ANNOTATED;
use crate::image::Config;
use crate::path::Escaped;
use crate::plan::command;
use crate::promise::{Promise, Proof};

/// Fields that have a rule of their own below.
const RULED: [&str; 8] =
    ["User", "Entrypoint", "Cmd", "Env", "WorkingDir", "Volumes", "Healthcheck", "Labels"];

/// Labels that say what the source was made from, which is not true of layers that were written again.
const BASE_PREFIX: &str = "org.opencontainers.image.base.";

/// Checks H7.
pub fn check(facts: &Facts<'_>, source: Option<&Config>) -> Proof {
    let mut proof = Proof::new(Promise::ConfigSurvives);
    let Some(source) = source else {
        proof.leave_open("needs --against");
        return proof;
    };
    let now = &facts.image.config;
    same_fields(
        "",
        &without(&source.raw, &["config", "rootfs", "history"]),
        &without(&now.raw, &["config", "rootfs", "history"]),
        &mut proof,
    );
    let run = |config: &Config| without(config.raw.get("config").unwrap_or(&Value::Null), &RULED);
    same_fields("config.", &run(source), &run(now), &mut proof);
    history(source, now, &mut proof);
    environment(facts, source, &mut proof);
    labels(source, now, &mut proof);
    start(facts, source, &mut proof);
    healthcheck(facts, source, &mut proof);
    proof.prove("every field is the source's, or changed as the manifest says");
    proof
}

fn without(object: &Value, fields: &[&str]) -> Map<String, Value> {
    let mut map = object.as_object().cloned().unwrap_or_default();
    // An absent field and `null` mean the same.
    map.retain(|key, value| !fields.contains(&key.as_str()) && !value.is_null());
    map
}

fn same_fields(prefix: &str, source: &Map<String, Value>, now: &Map<String, Value>, proof: &mut Proof) {
    for (key, value) in source {
        if now.get(key) != Some(value) {
            let verb = if now.contains_key(key) { "is not the source's" } else { "is lost" };
            proof.break_at(field(prefix, key), verb);
        }
    }
    for key in now.keys().filter(|key| !source.contains_key(*key)) {
        proof.break_at(field(prefix, key), "is not in the source");
    }
}

fn field(prefix: &str, key: &str) -> String {
    format!("{prefix}{}", Escaped::new(key.as_bytes()))
}

fn history(source: &Config, now: &Config, proof: &mut Proof) {
    let kept = now.history.get(..source.history.len()) == Some(&source.history);
    let added = now.history.len().saturating_sub(source.history.len());
    if !kept || added > 1 {
        proof.break_at("history", "is not the source's and one step of kiln's");
    }
}

fn environment(facts: &Facts<'_>, source: &Config, proof: &mut Proof) {
    let added = facts.document().map_or(&[][..], |manifest| &manifest.process.entrypoint.env);
    let mut expected = source.env.clone();
    for variable in added {
        expected.retain(|(name, _)| *name != variable.name);
        expected.push((variable.name.clone(), variable.value.clone()));
    }
    if facts.image.config.env != expected {
        proof.break_at("config.Env", "is not the source's with what the lowering adds");
    }
}

fn labels(source: &Config, now: &Config, proof: &mut Proof) {
    let others = |config: &Config| -> BTreeMap<String, String> {
        let mut labels = config.labels.clone();
        labels.retain(|key, _| !key.starts_with(BASE_PREFIX) && !ANNOTATED.contains(&key.as_str()));
        labels
    };
    if others(source) != others(now) {
        proof.break_at("config.Labels", "are not the source's and kiln's");
    }
}

fn start(facts: &Facts<'_>, source: &Config, proof: &mut Proof) {
    let now = &facts.image.config;
    let is_numeric = now
        .user
        .split_once(':')
        .is_some_and(|(uid, gid)| uid.parse::<u32>().is_ok() && gid.parse::<u32>().is_ok());
    if !is_numeric {
        proof.break_at("config.User", format!("`{}` is not numeric", Escaped::new(now.user.as_bytes())));
    }
    let Some(manifest) = facts.document() else { return };
    let is_lowered = !manifest.process.entrypoint.lowerings.is_empty();
    if !is_lowered && (&now.entrypoint, &now.cmd) != (&source.entrypoint, &source.cmd) {
        proof.break_at("config.Entrypoint", "is not the source's, and the manifest knows of no lowering");
    }
    // The manifest's is the image's own: that is H10.
    if !is_lowered && now.working_dir != source.working_dir {
        proof.break_at("config.WorkingDir", "is not the source's, and the manifest knows of no lowering");
    }
    let mut volumes = source.volumes.clone();
    volumes.sort();
    volumes.dedup();
    if volumes != manifest.stripped_volumes {
        proof.break_at("config.Volumes", "the manifest does not name the source's volumes");
    }
}

fn healthcheck(facts: &Facts<'_>, source: &Config, proof: &mut Proof) {
    let (Some(then), now) = (&source.healthcheck, &facts.image.config.healthcheck) else {
        if facts.image.config.healthcheck.is_some() {
            proof.break_at("config.Healthcheck", "is not in the source");
        }
        return;
    };
    let programs = command::of_healthcheck(&then.test);
    match now {
        Some(now) if now.raw == then.raw => {
            if let Some(gone) = programs.iter().find(|program| facts.program(program).is_none()) {
                let gone = Escaped::new(gone.as_bytes());
                proof.break_at(
                    "config.Healthcheck",
                    format!("stays, and `{gone}` that it starts is not there"),
                );
            }
        }
        Some(_) => proof.break_at("config.Healthcheck", "is not the source's"),
        None => {
            // Only one that cannot run any more goes.
            if programs.iter().all(|program| facts.program(program).is_some()) {
                proof.break_at("config.Healthcheck", "was dropped, and what it runs is there");
            }
        }
    }
}
