//! A profile without what two times of watching one image need not have in common.
//!
//! What is left is what hardening takes; who wants the rest has the profile itself.

use std::collections::{BTreeMap, BTreeSet};

use super::prepared::{Prepared, united};
use super::types::{Actor, EnvVar, FileUse, Phase, Profile, Written};

impl Profile {
    /// The profile without times, sizes, counts, system calls and failures, without when a file was used, and with marks in
    /// place of values that were not always the same, the same where the same values were, and of digits in names of files that
    /// are others in each run: logs are called by the day.
    ///
    /// When a program was executed stays: that is told.
    #[must_use]
    pub fn settled(mut self) -> Self {
        self.observed.clear();
        self.syscalls.clear();
        self.failures.clear();
        for used in self.opened.iter_mut().chain(&mut self.mapped) {
            forget_when(&mut used.by);
        }
        for written in &mut self.written {
            forget_when(&mut written.by);
        }
        for socket in &mut self.sockets {
            forget_when(&mut socket.by);
        }
        let runs = self.runs;
        // What none of the runs wrote is the image's, and has its name.
        let written: BTreeSet<String> = self.written.iter().map(|written| written.path.clone()).collect();
        let (made, own): (Vec<FileUse>, Vec<FileUse>) =
            self.opened.into_iter().partition(|used| written.contains(&used.path));
        self.opened = without_dates(made, runs);
        self.opened.extend(own);
        self.opened.sort_by(|a, b| a.path.cmp(&b.path));
        self.written = without_dates(self.written, runs);
        self.prepared = without_dates(self.prepared, runs);
        let mut marks: BTreeMap<Vec<String>, usize> = BTreeMap::new();
        for exec in self.processes.iter_mut().flat_map(|process| &mut process.execs) {
            exec.env.iter_mut().for_each(|variable| mark(variable, &mut marks));
        }
        self
    }
}

/// Fewest digits in a name that is taken for a date or a number of the moment.
const DIGITS: usize = 4;

/// A list by path, in which entries of one path become one.
trait ByPath: Sized {
    fn path(&mut self) -> &mut String;
    fn runs(&self) -> u32;
    /// Takes another of the same path.
    fn take(&mut self, other: Self);
}

impl ByPath for FileUse {
    fn path(&mut self) -> &mut String {
        &mut self.path
    }

    fn runs(&self) -> u32 {
        self.runs
    }

    fn take(&mut self, other: Self) {
        join(&mut self.by, other.by);
        self.runs = self.runs.saturating_add(other.runs);
    }
}

impl ByPath for Written {
    fn path(&mut self) -> &mut String {
        &mut self.path
    }

    fn runs(&self) -> u32 {
        self.runs
    }

    fn take(&mut self, other: Self) {
        join(&mut self.by, other.by);
        join(&mut self.how, other.how);
        self.runs = self.runs.saturating_add(other.runs);
    }
}

impl ByPath for Prepared {
    fn path(&mut self) -> &mut String {
        &mut self.path
    }

    fn runs(&self) -> u32 {
        self.runs
    }

    fn take(&mut self, other: Self) {
        *self = united(self.clone(), other);
    }
}

/// Adds `more` to a sorted list without repetition, which stays one.
fn join<T: Ord>(list: &mut Vec<T>, more: Vec<T>) {
    list.extend(more);
    list.sort_unstable();
    list.dedup();
}

/// `list` with marks for the digits in names that not all of `runs` have.
fn without_dates<T: ByPath>(list: Vec<T>, runs: u32) -> Vec<T> {
    let mut out: BTreeMap<String, T> = BTreeMap::new();
    for mut entry in list {
        if entry.runs() < runs
            && let Some(path) = without_date(entry.path())
        {
            *entry.path() = path;
        }
        match out.get_mut(entry.path()) {
            Some(known) => known.take(entry),
            None => _ = out.insert(entry.path().clone(), entry),
        }
    }
    out.into_values().collect()
}

/// `path` with marks for the digits of its name, where they are many.
fn without_date(path: &str) -> Option<String> {
    let (directory, name) = path.rsplit_once('/')?;
    let is_digit = |c: char| c.is_ascii_digit();
    (name.chars().filter(|&c| is_digit(c)).count() >= DIGITS)
        .then(|| format!("{directory}/{}", name.replace(is_digit, "X")))
}

/// The first of an app's clients may come before it counts as ready, or after.
fn forget_when(by: &mut Vec<Actor>) {
    for actor in by.iter_mut() {
        actor.phase = Phase::StartUp;
    }
    by.sort_unstable();
    by.dedup();
}

fn mark(variable: &mut EnvVar, marks: &mut BTreeMap<Vec<String>, usize>) {
    if variable.values.len() < 2 {
        return;
    }
    let next = marks.len() + 1;
    let number = *marks.entry(std::mem::take(&mut variable.values)).or_insert(next);
    variable.values = [1, 2].map(|which| format!("XXXXXX {number}.{which}")).to_vec();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{Failure, Observed};

    fn variable(name: &str, values: &[&str]) -> EnvVar {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        EnvVar { name: name.to_owned(), values, always: true }
    }

    fn watched(stamp: &str, phase: Phase) -> Profile {
        let mut profile = crate::profile::tests::profile();
        let varying = [format!("at {stamp}"), format!("later than {stamp}")];
        let varying = varying.each_ref().map(String::as_str);
        for exec in profile.processes.iter_mut().flat_map(|process| &mut process.execs) {
            exec.env =
                vec![variable("A", &["same"]), variable("B", &varying), variable("C", &["kiln", "kiln-2"])];
            exec.env.push(variable("D", &varying));
        }
        let by = profile.opened[0].by[0];
        profile.opened[0].by.push(Actor { phase, ..by });
        profile.observed = vec![Observed { calls: stamp.len() as u64, ..Observed::default() }];
        let failure =
            Failure { call: "x".into(), subject: stamp.into(), error: "E".into(), by: vec![by], runs: 1 };
        profile.failures.push(failure);
        profile
    }

    #[test]
    fn logs_that_are_called_by_the_day_are_one() {
        let of = |names: [&str; 2]| {
            let mut profile = crate::profile::tests::profile();
            let first = profile.written[0].clone();
            profile.runs = 2;
            profile.written = names.map(|path| Written { path: path.into(), ..first.clone() }).to_vec();
            profile.written.push(Written { path: "/srv/always-2026".into(), runs: 2, ..first });
            profile
                .settled()
                .written
                .into_iter()
                .map(|written| (written.path, written.runs))
                .collect::<Vec<_>>()
        };
        let expected = [("/srv/always-2026".to_owned(), 2), ("/srv/log-XXXX-XX".to_owned(), 2)];
        assert_eq!(of(["/srv/log-2026-11", "/srv/log-2026-12"]), expected);
        assert_eq!(of(["/srv/log-2027-01", "/srv/log-2027-02"]), expected);
    }

    #[test]
    fn files_that_no_run_wrote_have_their_names() {
        let mut profile = crate::profile::tests::profile();
        let (written, opened) = (profile.written[0].clone(), profile.opened[0].clone());
        profile.runs = 2;
        profile.written = vec![Written { path: "/srv/log-2026-11".into(), ..written }];
        let names = ["/srv/log-2026-11", "/usr/lib/base64.cpython-311.pyc"];
        profile.opened = names.map(|path| FileUse { path: path.into(), ..opened.clone() }).to_vec();
        let found: Vec<String> = profile.settled().opened.into_iter().map(|used| used.path).collect();
        assert_eq!(found, ["/srv/log-XXXX-XX", "/usr/lib/base64.cpython-311.pyc"]);
    }

    #[test]
    fn two_times_of_watching_leave_the_same() {
        let first = watched("1795900802", Phase::Steady).settled();
        assert_eq!(first, watched("1795900826", Phase::StartUp).settled());
        let env = &first.processes[0].execs[0].env;
        assert_eq!(env[0], variable("A", &["same"]));
        assert_eq!(env[1].values, env[3].values, "they were equal before");
        assert_ne!(env[1].values, env[2].values);
        assert!(env[1].values.len() > 1, "it is still known that it varies");
        assert_eq!(first.clone().settled(), first, "it is settled");
    }
}
