//! Two profiles of one image as one.
//!
//! Does not know how many there are: a third is merged to what came of the first two.

use std::collections::{BTreeMap, BTreeSet};

use super::MergeError;
use super::prepared::{self, Prepared};
use super::tree::{self, Order, Raw};
use super::types::{Actor, Ending, Failure, FileUse, Process, Profile, Socket, Start, Written};

/// What either shows; each entry with the number of runs that did.
pub(super) fn merge(one: Profile, other: Profile) -> Result<Profile, MergeError> {
    if one.image != other.image {
        return Err(MergeError::Image { expected: one.image.chain_id, found: other.image.chain_id });
    }
    let offset = one.processes.len();
    let mut raws = raws(one.processes, 0);
    raws.extend(self::raws(other.processes, offset));
    let (processes, places) = tree::number(&raws, Order::Told);
    let renumber = |by: Vec<Actor>, offset: usize| -> Vec<Actor> {
        let place = |process: u32| places.get(offset.checked_add(process as usize)?).copied();
        let actors = by.into_iter().filter_map(|by| Some(Actor { process: place(by.process)?, ..by }));
        actors.collect::<BTreeSet<_>>().into_iter().collect()
    };
    let uses = |a: Vec<FileUse>, b: Vec<FileUse>| -> Vec<FileUse> {
        let mut all: BTreeMap<String, (Vec<Actor>, u32)> = BTreeMap::new();
        for (offset, list) in [(0, a), (offset, b)] {
            for entry in list {
                add(&mut all, entry.path, renumber(entry.by, offset), entry.runs);
            }
        }
        all.into_iter().map(|(path, (by, runs))| FileUse { path, by, runs }).collect()
    };

    let mut ways: BTreeMap<String, BTreeSet<_>> = BTreeMap::new();
    let mut written = BTreeMap::new();
    for (offset, list) in [(0, one.written), (offset, other.written)] {
        for entry in list {
            ways.entry(entry.path.clone()).or_default().extend(entry.how);
            add(&mut written, entry.path, renumber(entry.by, offset), entry.runs);
        }
    }
    let mut prepared: BTreeMap<String, Prepared> = BTreeMap::new();
    for entry in one.prepared.into_iter().chain(other.prepared) {
        let entry = match prepared.remove(&entry.path) {
            Some(before) => prepared::united(before, entry),
            None => entry,
        };
        prepared.insert(entry.path.clone(), entry);
    }
    let mut sockets = BTreeMap::new();
    for (offset, list) in [(0, one.sockets), (offset, other.sockets)] {
        for entry in list {
            add(&mut sockets, entry.bind, renumber(entry.by, offset), entry.runs);
        }
    }
    let mut failures = BTreeMap::new();
    for (offset, list) in [(0, one.failures), (offset, other.failures)] {
        for entry in list {
            let key = (entry.subject, entry.call, entry.error);
            add(&mut failures, key, renumber(entry.by, offset), entry.runs);
        }
    }
    let mut endings = BTreeMap::new();
    for entry in one.endings.into_iter().chain(other.endings) {
        let runs: &mut u32 = endings.entry((entry.end, entry.phase)).or_default();
        *runs = runs.saturating_add(entry.runs);
    }
    // How else the others were started is told by what their processes were.
    let mut exercises = one.start.exercises;
    exercises.extend(other.start.exercises);
    let mut seen = BTreeSet::new();
    exercises.retain(|exercise| seen.insert(exercise.clone()));
    let syscalls: BTreeSet<String> = one.syscalls.into_iter().chain(other.syscalls).collect();
    let chance: BTreeSet<String> = one.chance.into_iter().chain(other.chance).collect();
    let cut: BTreeSet<String> = one.cut.into_iter().chain(other.cut).collect();
    Ok(Profile {
        runs: one.runs.saturating_add(other.runs),
        executed: uses(one.executed, other.executed),
        opened: uses(one.opened, other.opened),
        mapped: uses(one.mapped, other.mapped),
        written: written
            .into_iter()
            .map(|(path, (by, runs))| Written {
                how: ways.remove(&path).unwrap_or_default().into_iter().collect(),
                path,
                by,
                runs,
            })
            .collect(),
        prepared: prepared.into_values().collect(),
        // Of other runs it was not seen that it is enough for them.
        preparing: one.preparing.filter(|preparing| other.preparing.as_ref() == Some(preparing)),
        sockets: sockets.into_iter().map(|(bind, (by, runs))| Socket { bind, by, runs }).collect(),
        failures: failures
            .into_iter()
            .map(|((subject, call, error), (by, runs))| Failure { call, subject, error, by, runs })
            .collect(),
        endings: endings.into_iter().map(|((end, phase), runs)| Ending { end, phase, runs }).collect(),
        syscalls: syscalls.into_iter().collect(),
        chance: chance.into_iter().collect(),
        cut: cut.into_iter().collect(),
        observed: one.observed.into_iter().chain(other.observed).collect(),
        processes,
        media_type: one.media_type,
        schema_version: one.schema_version,
        kiln_version: one.kiln_version,
        image: one.image,
        start: Start { exercises, ..one.start },
    })
}

fn add<K: Ord>(all: &mut BTreeMap<K, (Vec<Actor>, u32)>, key: K, by: Vec<Actor>, runs: u32) {
    let (actors, count) = all.entry(key).or_default();
    actors.extend(by);
    actors.sort_unstable();
    actors.dedup();
    *count = count.saturating_add(runs);
}

/// `processes` as if they had been seen, `offset` further.
fn raws(processes: Vec<Process>, offset: usize) -> Vec<Raw> {
    processes
        .into_iter()
        .map(|process| Raw {
            parent: process.parent.map(|(parent, exec)| (offset.saturating_add(parent as usize), exec)),
            execs: process.execs,
            order: Order::Told,
            lasted: process.lasted,
            uncaught: process.uncaught,
            runs: process.runs,
        })
        .collect()
}
