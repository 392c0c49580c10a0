//! Manifests mended: what the audit finds and a program can set right, without breaking what runs.
//!
//! Text in, text out. What is found is the audit's to say, what must be writable the image's: where neither says enough, a
//! manifest stays as it is and it is told why. Reads no file and no registry.

mod amounts;
mod identity;
mod lock;
mod mend;
mod mounts;
pub mod patch;
mod probes;
mod security;

use serde_json::Value;

use crate::audit::{self, Auditor, Options};
use crate::kube::document::{self, DocumentError};
use crate::kube::edit::{EditError, edit};
use mend::{AMOUNTS, MENDS, MOVES, Mend, Mender, ON_WINDOWS};

/// How often a resource is audited again after it was mended: what one mends another may ask for.
const MAX_ROUNDS: usize = 64;

/// How far mending goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reach {
    /// Only where the pod does what it did.
    #[default]
    Safe,
    /// Also where it may not.
    Unsafe,
}

/// A manifest, mended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fixed {
    /// The whole text.
    pub text: String,
    /// What was done.
    pub done: Vec<Note>,
    /// What was not, and why: nothing of it keeps the manifest from being given out.
    pub left: Vec<Note>,
    /// What was refused: the manifest is not immutable without it.
    pub refused: Vec<Note>,
    /// Resources with containers that were not looked at, and where the containers are.
    pub unread: Vec<(String, String)>,
    /// Every resource that was changed, before and after.
    pub changed: Vec<Changed>,
}

/// Something that was done, or was not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Note {
    /// `Deployment shop/web`.
    pub resource: String,
    /// The rule's id.
    pub rule: &'static str,
    /// In one line.
    pub message: String,
}

/// A resource before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// As it was.
    pub before: Value,
    /// As it is.
    pub after: Value,
}

/// Why a manifest cannot be mended.
#[derive(Debug, thiserror::Error)]
pub enum FixError {
    /// It is no document.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// It cannot be changed in place.
    #[error(transparent)]
    Edit(#[from] EditError),
}

/// Mends the documents in `text`.
pub fn fix(text: &str, options: &Options, reach: Reach) -> Result<Fixed, FixError> {
    let documents = document::read(text)?;
    let mut fixed = Fixed::default();
    let wanted: Vec<Option<Value>> = documents
        .iter()
        .map(|document| {
            let before = document.root.value();
            let mut after = before.clone();
            resources(&mut after, &mut |resource| {
                fixed.resource(resource, options, reach);
            });
            (before != after).then_some(after)
        })
        .collect();
    fixed.text = edit(text, &wanted)?;
    for notes in [&mut fixed.done, &mut fixed.left, &mut fixed.refused] {
        notes.sort();
        notes.dedup();
    }
    Ok(fixed)
}

/// Calls `act` with the resource `value`, or with each member if it is a list of them.
fn resources(value: &mut Value, act: &mut dyn FnMut(&mut Value)) {
    let is_list = value.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("List"));
    match value.get_mut("items").and_then(Value::as_array_mut).filter(|_| is_list) {
        Some(items) => items.iter_mut().for_each(|item| resources(item, act)),
        None => act(value),
    }
}

impl Fixed {
    fn resource(&mut self, value: &mut Value, options: &Options, reach: Reach) {
        let Some(found) = audit::of_value(value, options) else { return self.unread(value, options) };
        let before = value.clone();
        let title = found.title;
        let mut mender = Mender::new(value, &found.template, options, reach);
        for mends in [MENDS.as_slice(), &AMOUNTS] {
            let mut rounds = 0;
            while round(&mut mender, mends) && rounds < MAX_ROUNDS {
                rounds += 1;
            }
        }
        lock::recheck(&mut mender);
        let notes = |notes: Vec<(&'static str, String)>| {
            let title = title.clone();
            notes.into_iter().map(move |(rule, message)| Note { resource: title.clone(), rule, message })
        };
        let Mender { done, left, refused, .. } = mender;
        self.done.extend(notes(done));
        self.left.extend(notes(left));
        self.refused.extend(notes(refused));
        if *value != before {
            self.changed.push(Changed { before, after: value.clone() });
        }
    }

    /// Notes a resource that has containers where nobody looks for them.
    fn unread(&mut self, value: &Value, options: &Options) {
        let mut auditor = Auditor::new(options);
        if auditor.text("", &value.to_string()).is_err() {
            return;
        }
        let audit = auditor.finish();
        self.unread.extend(audit.unread.iter().filter_map(|unread| {
            Some((audit.resources.get(unread.resource)?.title(), unread.field.clone()))
        }));
    }
}

/// Audits and mends once; whether anything changed. What is left and refused is what the last round says.
fn round(mender: &mut Mender<'_>, mends: &[(&str, Mend)]) -> bool {
    let Some(found) = audit::of_value(mender.value, mender.options) else { return false };
    let before = mender.value.clone();
    let is_windows = mender.is_windows();
    for notes in [&mut mender.left, &mut mender.refused] {
        notes.retain(|(rule, _)| !mends.iter().any(|(id, _)| id == rule));
    }
    // By rule, so that the order in which fields stand says nothing.
    for (rule, mend) in mends.iter().filter(|(rule, _)| !is_windows || ON_WINDOWS.contains(rule)) {
        for finding in found.findings.iter().filter(|finding| finding.rule == *rule) {
            mend(mender, finding);
            // What is taken out of a list moves the places of what comes behind.
            if MOVES.contains(rule) && *mender.value != before {
                return true;
            }
        }
    }
    *mender.value != before
}

#[cfg(test)]
mod tests;
