//! Processes, numbered by who started them: the same run gives the same numbers, whatever the scheduler did.
//!
//! Processes that one process started alike (same programs, words, directory and user) are one entry; what differs
//! in their environments stands beside each other. The children of a program with one thread stand in the order
//! in which it started them; where threads or likes of it started them, order says nothing, and they are sorted.

use std::collections::BTreeMap;

use super::types::{EnvVar, Exec, Process};

/// A process as it was seen.
#[derive(Debug, Clone)]
pub(super) struct Raw {
    /// Who started it, and after how many of its `execs`.
    pub(super) parent: Option<(usize, u32)>,
    /// What it became.
    pub(super) execs: Vec<Exec>,
    /// Whether its place among its parent's children says something.
    pub(super) order: Order,
    /// Whether it was still there when the first process was ready.
    pub(super) lasted: bool,
    /// Whether a stop signal ended it that it did not catch.
    pub(super) uncaught: bool,
    /// In how many runs.
    pub(super) runs: u32,
}

/// Whether the order in which something was seen says something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// It does.
    Told,
    /// The scheduler made it.
    Chance,
}

/// What makes two children of a process alike.
type Likeness<'a> = (u32, Vec<Sameness<'a>>);

/// An [`Exec`] without its environment.
type Sameness<'a> = (&'a str, &'a str, Option<&'a str>, &'a [String], &'a str, [u32; 2], &'a [u32], &'a str);

fn sameness(exec: &Exec) -> Sameness<'_> {
    (
        &exec.path,
        &exec.file,
        exec.interpreter.as_deref(),
        &exec.argv,
        &exec.cwd,
        [exec.uid, exec.gid],
        &exec.groups,
        &exec.umask,
    )
}

fn likeness(raw: &Raw) -> Likeness<'_> {
    (raw.parent.map_or(0, |(_, exec)| exec), raw.execs.iter().map(sameness).collect())
}

/// The entries for `raws`, and which entry each became. A parent stands before its children in `raws`; `likes_order` is what
/// the order says in which those stand there whose parents are alike.
pub(super) fn number(raws: &[Raw], likes_order: Order) -> (Vec<Process>, Vec<u32>) {
    let mut children: BTreeMap<Option<usize>, Vec<usize>> = BTreeMap::new();
    for (index, raw) in raws.iter().enumerate() {
        children.entry(raw.parent.map(|(parent, _)| parent)).or_default().push(index);
    }
    let mut places = vec![0; raws.len()];
    let mut processes = Vec::new();
    // Classes of likes still to be numbered, next one last; each with its parent's entry.
    let mut todo = classes(raws, children.get(&None).map_or(&[], Vec::as_slice), Order::Told);
    todo.reverse();
    while let Some(likes) = todo.pop() {
        let place = u32::try_from(processes.len()).unwrap_or(u32::MAX);
        for &like in &likes {
            if let Some(slot) = places.get_mut(like) {
                *slot = place;
            }
        }
        let members: Vec<&Raw> = likes.iter().filter_map(|&like| raws.get(like)).collect();
        let parent = members.first().and_then(|first| first.parent);
        let parent = parent.and_then(|(raw, exec)| Some((places.get(raw).copied()?, exec)));
        processes.push(Process {
            parent,
            execs: united(&members),
            lasted: members.iter().any(|member| member.lasted),
            uncaught: members.iter().any(|member| member.uncaught),
            runs: members.iter().map(|member| member.runs).fold(0, u32::saturating_add),
        });
        let below: Vec<usize> =
            likes.iter().filter_map(|&like| children.get(&Some(like))).flatten().copied().collect();
        let order = if members.len() == 1 { Order::Told } else { likes_order };
        let mut next = classes(raws, &below, order);
        next.reverse();
        todo.append(&mut next);
    }
    (processes, places)
}

/// `members` by likeness.
fn classes(raws: &[Raw], members: &[usize], order: Order) -> Vec<Vec<usize>> {
    let mut by_likeness: BTreeMap<Likeness<'_>, Vec<usize>> = BTreeMap::new();
    for &member in members {
        if let Some(raw) = raws.get(member) {
            by_likeness.entry(likeness(raw)).or_default().push(member);
        }
    }
    let mut classes: Vec<Vec<usize>> = by_likeness.into_values().collect();
    // First those of the parent's first program. Sorting is stable: what is not told keeps the order of likeness.
    classes.sort_by_key(|class| {
        let first = class.first().and_then(|&first| Some((first, raws.get(first)?)));
        let exec = first.and_then(|(_, raw)| raw.parent).map(|(_, exec)| exec);
        let told = first.filter(|(_, raw)| order == Order::Told && raw.order == Order::Told);
        (exec, told.map_or(usize::MAX, |(first, _)| first))
    });
    classes
}

/// The programs of processes alike, with all their environments.
fn united(members: &[&Raw]) -> Vec<Exec> {
    let Some((first, rest)) = members.split_first() else { return Vec::new() };
    let mut execs = first.execs.clone();
    for other in rest {
        for (exec, more) in execs.iter_mut().zip(&other.execs) {
            unite_env(&mut exec.env, &more.env);
        }
    }
    execs
}

fn unite_env(env: &mut Vec<EnvVar>, more: &[EnvVar]) {
    let mut united: BTreeMap<String, EnvVar> =
        env.drain(..).map(|variable| (variable.name.clone(), variable)).collect();
    for variable in united.values_mut() {
        let other = more.iter().find(|other| other.name == variable.name);
        variable.always &= other.is_some_and(|other| other.always);
    }
    for other in more {
        match united.get_mut(&other.name) {
            Some(variable) => {
                variable.values.extend(other.values.iter().cloned());
                variable.values.sort();
                variable.values.dedup();
            }
            None => {
                united.insert(other.name.clone(), EnvVar { always: false, ..other.clone() });
            }
        }
    }
    env.extend(united.into_values());
}
