//! A profile from events, one at a time, in memory that is bounded whatever the image does.
//!
//! Does not know where events come from.

use std::collections::{BTreeMap, BTreeSet};

use super::chance::Chance;
use super::errno::errno_name;
use super::event::{Act, Event, Program};
use super::tree::{self, Order, Raw};
use super::types::{
    Actor, Bind, End, Ending, EnvVar, Exec, Failure, FileUse, How, Image, Observed, Phase, Profile, Socket,
    Start, Written,
};
use super::{MEDIA_TYPE, SCHEMA_VERSION};
use crate::path::{Escaped, ImagePath};

/// Most processes told apart; what further ones do is their parent's. A start of the busiest image measured has 400.
pub(super) const MAX_PROCESSES: usize = 20_000;
/// Most programs that one process becomes; further ones are not told. Chains of entrypoints have up to six.
const MAX_EXECS: usize = 256;
/// Most paths in each list: twice the files of the largest images, so that a loop that makes files ends here.
const MAX_PATHS: usize = 200_000;
/// Most failures told: more than anybody reads, and a loop that fails for ever ends here.
const MAX_FAILURES: usize = 10_000;
/// Most sockets told.
const MAX_SOCKETS: usize = 4_096;
/// Most paths in wait for a process to find what it looked for elsewhere.
const MAX_MISSED: usize = 4_096;

/// `SIGKILL`, which nobody catches.
const KILL: i32 = 9;

/// `ENOENT`.
const NOT_THERE: i32 = 2;

/// What the profile says that no event does.
#[derive(Debug, Clone)]
pub struct Context {
    /// What ran.
    pub image: Image,
    /// How it was started.
    pub start: Start,
    /// What need not be the same the next time; `None` leaves it out.
    pub observed: Option<Observed>,
}

/// Gathers events.
#[derive(Debug, Default)]
pub struct Builder {
    processes: Vec<Raw>,
    /// Those of `processes` whose present program has several threads.
    threaded: BTreeSet<usize>,
    /// Where the process of each number stands in `processes`.
    places: Vec<usize>,
    executed: Uses<ImagePath>,
    opened: Uses<ImagePath>,
    mapped: Uses<ImagePath>,
    written: Uses<ImagePath>,
    ways: BTreeMap<ImagePath, BTreeSet<How>>,
    /// What was made new and for one user only.
    private: BTreeSet<ImagePath>,
    sockets: Uses<Bind>,
    failures: Uses<(&'static str, String, i32)>,
    /// By process and name: what it looked for and did not find yet.
    missed: BTreeMap<(usize, Vec<u8>), BTreeSet<Missed>>,
    missed_count: usize,
    end: Option<(End, Phase)>,
    searches: u64,
    cut: BTreeSet<&'static str>,
}

/// The call, what it looked for, after how many programs, and when.
type Missed = (&'static str, ImagePath, u32, Phase);

/// Who used what.
type Uses<K> = BTreeMap<K, BTreeSet<(usize, u32, Phase)>>;

impl Builder {
    /// Takes what happened.
    pub fn take(&mut self, event: Event) {
        if let Act::Born { parent } = event.act {
            self.born(event.process, parent);
            return;
        }
        let Some(&place) = self.places.get(event.process as usize) else { return };
        let Some(process) = self.processes.get_mut(place) else { return };
        let exec = u32::try_from(process.execs.len()).unwrap_or(u32::MAX);
        let by = (place, exec, event.phase);
        match event.act {
            Act::Born { .. } => {}
            Act::Threaded => {
                self.threaded.insert(place);
            }
            Act::Exec(program) => {
                if process.execs.len() < MAX_EXECS {
                    process.execs.push(exec_of(&program));
                } else {
                    self.cut.insert("processes");
                }
                // Other threads end where a program becomes another.
                self.threaded.remove(&place);
                let by = (place, exec.saturating_add(1), event.phase);
                self.found(place, program.path.name());
                self.cut.extend(
                    note(&mut self.executed, program.file, by, MAX_PATHS).err().map(|Full| "executed"),
                );
                if let Some(interpreter) = program.interpreter {
                    self.cut.extend(
                        note(&mut self.executed, interpreter, by, MAX_PATHS).err().map(|Full| "executed"),
                    );
                }
            }
            Act::Opened(path) => {
                self.cut.extend(note(&mut self.opened, path, by, MAX_PATHS).err().map(|Full| "opened"));
            }
            Act::Mapped(path) => {
                self.cut.extend(note(&mut self.mapped, path, by, MAX_PATHS).err().map(|Full| "mapped"));
            }
            // Too many to be kept are too many to be told.
            Act::MadePrivate(path) => {
                if self.private.len() < MAX_PATHS {
                    self.private.insert(path);
                }
            }
            Act::Wrote(path, how) => match note(&mut self.written, path.clone(), by, MAX_PATHS) {
                Ok(()) => {
                    self.ways.entry(path).or_default().insert(how);
                }
                Err(Full) => {
                    self.cut.insert("written");
                }
            },
            Act::Listens(bind) => {
                self.cut.extend(note(&mut self.sockets, bind, by, MAX_SOCKETS).err().map(|Full| "sockets"));
            }
            Act::Failed { call, subject, errno } => {
                let failure = (call, subject.to_string(), errno);
                self.cut
                    .extend(note(&mut self.failures, failure, by, MAX_FAILURES).err().map(|Full| "failures"));
            }
            Act::Missed { call, path } => {
                self.searches = self.searches.saturating_add(1);
                if self.missed_count < MAX_MISSED {
                    let key = (place, path.name().to_vec());
                    let new = self.missed.entry(key).or_default().insert((call, path, exec, event.phase));
                    self.missed_count += usize::from(new);
                } else {
                    self.cut.insert("failures");
                }
            }
            Act::Found(name) => self.found(place, &name),
            Act::Searched => self.searches = self.searches.saturating_add(1),
            Act::Ended(end) => {
                process.lasted = event.phase != Phase::StartUp;
                let is_signal = matches!(end, End::Signal(signal) if signal != KILL);
                process.uncaught |= event.phase == Phase::Shutdown && is_signal;
                if event.process == 0 {
                    self.end = Some((end, event.phase));
                }
            }
        }
    }

    fn born(&mut self, number: u32, parent: Option<u32>) {
        if self.places.len() != number as usize {
            return;
        }
        let parent = parent.and_then(|parent| self.places.get(parent as usize)).copied();
        let place = match parent {
            Some(parent) if self.processes.len() >= MAX_PROCESSES => {
                self.cut.insert("processes");
                parent
            }
            _ => {
                let execs = |place| self.processes.get(place).map_or(0, |raw: &Raw| raw.execs.len());
                let chance = parent.is_some_and(|parent| self.threaded.contains(&parent));
                let order = if chance { Order::Chance } else { Order::Told };
                let parent = parent.map(|place| (place, u32::try_from(execs(place)).unwrap_or(u32::MAX)));
                self.processes.push(Raw {
                    parent,
                    execs: Vec::new(),
                    order,
                    lasted: true,
                    uncaught: false,
                    runs: 1,
                });
                self.processes.len() - 1
            }
        };
        self.places.push(place);
    }

    /// What `place` looked for under this name it has found.
    fn found(&mut self, place: usize, name: &[u8]) {
        if let Some(paths) = self.missed.remove(&(place, name.to_vec())) {
            self.missed_count = self.missed_count.saturating_sub(paths.len());
        }
    }

    /// How many calls looked for what is not there.
    pub fn searches(&self) -> u64 {
        self.searches
    }

    /// The profile of one run.
    pub fn finish(mut self, context: Context) -> Profile {
        for ((place, _), paths) in std::mem::take(&mut self.missed) {
            for (call, path, exec, phase) in paths {
                let failure = (call, path.to_string(), NOT_THERE);
                let noted = note(&mut self.failures, failure, (place, exec, phase), MAX_FAILURES);
                self.cut.extend(noted.err().map(|Full| "failures"));
            }
        }
        let chance = Chance::find(&self.private, &self.ways);
        if !chance.is_empty() {
            self.tell_by_template(&chance);
        }
        let (mut processes, places) = tree::number(&self.processes, Order::Chance);
        // How many are alike is how far one got before it was stopped.
        for process in &mut processes {
            process.runs = 1;
        }
        let actors = |by: BTreeSet<(usize, u32, Phase)>| -> Vec<Actor> {
            let mut actors: Vec<Actor> = by
                .into_iter()
                .filter_map(|(place, exec, phase)| Some(Actor { process: *places.get(place)?, exec, phase }))
                .collect();
            actors.sort_unstable();
            actors.dedup();
            actors
        };
        let uses = |uses: Uses<ImagePath>| -> Vec<FileUse> {
            uses.into_iter()
                .map(|(path, by)| FileUse { path: path.to_string(), by: actors(by), runs: 1 })
                .collect()
        };
        let mut ways = self.ways;
        let written = self.written.into_iter().map(|(path, by)| Written {
            how: ways.remove(&path).unwrap_or_default().into_iter().collect(),
            path: path.to_string(),
            by: actors(by),
            runs: 1,
        });
        let mut failures: Vec<Failure> = self
            .failures
            .into_iter()
            .map(|((call, subject, errno), by)| Failure {
                call: call.to_owned(),
                subject,
                error: errno_name(errno),
                by: actors(by),
                runs: 1,
            })
            .collect();
        failures.sort_by(|a, b| (&a.subject, &a.call, &a.error).cmp(&(&b.subject, &b.call, &b.error)));
        let endings = self.end.map(|(end, phase)| Ending { end, phase, runs: 1 });
        Profile {
            media_type: MEDIA_TYPE.to_owned(),
            schema_version: SCHEMA_VERSION,
            kiln_version: env!("CARGO_PKG_VERSION").to_owned(),
            image: context.image,
            start: context.start,
            runs: 1,
            executed: uses(self.executed),
            opened: uses(self.opened),
            mapped: uses(self.mapped),
            written: written.collect(),
            prepared: Vec::new(),
            preparing: None,
            sockets: self
                .sockets
                .into_iter()
                .map(|(bind, by)| Socket { bind, by: actors(by), runs: 1 })
                .collect(),
            failures,
            endings: endings.into_iter().collect(),
            syscalls: Vec::new(),
            chance: chance.templates().iter().map(ToString::to_string).collect(),
            cut: self.cut.into_iter().map(str::to_owned).collect(),
            observed: context.observed.into_iter().collect(),
            processes,
        }
    }
}

impl Builder {
    /// Writes templates for names that are chance wherever they stand; what differs by them only becomes one.
    fn tell_by_template(&mut self, chance: &Chance) {
        for exec in self.processes.iter_mut().flat_map(|process| &mut process.execs) {
            chance.put_into(exec);
        }
        for uses in [&mut self.executed, &mut self.opened, &mut self.mapped, &mut self.written] {
            united(uses, |path| chance.path(&path));
        }
        united(&mut self.ways, |path| chance.path(&path));
        united(&mut self.sockets, |bind| Bind { address: chance.text(&bind.address), ..bind });
        united(&mut self.failures, |(call, subject, errno)| (call, chance.text(&subject), errno));
    }
}

/// Gives each key another, and those of equal keys together.
fn united<K: Ord, V: Ord>(uses: &mut BTreeMap<K, BTreeSet<V>>, other: impl Fn(K) -> K) {
    for (key, by) in std::mem::take(uses) {
        uses.entry(other(key)).or_default().extend(by);
    }
}

/// A list that takes no more.
struct Full;

fn note<K: Ord>(uses: &mut Uses<K>, key: K, by: (usize, u32, Phase), limit: usize) -> Result<(), Full> {
    if uses.len() >= limit && !uses.contains_key(&key) {
        return Err(Full);
    }
    uses.entry(key).or_default().insert(by);
    Ok(())
}

fn exec_of(program: &Program) -> Exec {
    let text = |bytes: &[u8]| Escaped::new(bytes).to_string();
    let mut groups = program.groups.clone();
    groups.sort_unstable();
    groups.dedup();
    // Of two with one name the first counts, as for `getenv`.
    let mut env = BTreeMap::new();
    for entry in &program.env {
        let at = entry.iter().position(|&byte| byte == b'=').unwrap_or(entry.len());
        let (name, value) = entry.split_at(at);
        env.entry(text(name)).or_insert_with(|| text(value.get(1..).unwrap_or_default()));
    }
    Exec {
        path: program.path.to_string(),
        file: program.file.to_string(),
        interpreter: program.interpreter.as_ref().map(ToString::to_string),
        argv: program.argv.iter().map(|word| text(word)).collect(),
        env: env
            .into_iter()
            .map(|(name, value)| EnvVar { name, values: vec![value], always: true })
            .collect(),
        cwd: program.cwd.to_string(),
        uid: program.uid,
        gid: program.gid,
        groups,
        umask: format!("{:04o}", program.umask & 0o777),
    }
}
