//! What a watched run is doing now, shared between the thread that watches and the one that drives.
//!
//! Does not decide what it means: readiness is the driver's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::place::Root;
use crate::path::ImagePath;
use crate::profile::{Bind, Directory, End, Phase};

/// Most files whose size is looked at: more are not measured, to keep a look cheap.
const MAX_MEASURED: usize = 20_000;

/// A socket that listens, and a process that has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listening {
    /// Where.
    pub bind: Bind,
    /// Who, as this machine numbers processes.
    pub pid: i32,
}

/// A watched run as it is.
#[derive(Debug)]
pub struct Live {
    began: Instant,
    /// Milliseconds after `began` at which something was last executed or made.
    active: AtomicU64,
    state: Mutex<State>,
    changed: Condvar,
    pub(super) root: OnceLock<Root>,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    listening: Vec<Listening>,
    files: BTreeSet<ImagePath>,
    peaks: BTreeMap<ImagePath, u64>,
    end: Option<End>,
    over: bool,
}

impl Live {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            active: AtomicU64::new(0),
            state: Mutex::new(State {
                phase: Phase::StartUp,
                listening: Vec::new(),
                files: BTreeSet::new(),
                peaks: BTreeMap::new(),
                end: None,
                over: false,
            }),
            changed: Condvar::new(),
            root: OnceLock::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // What a panicking thread left is still true.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long it has been watched.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// How long nothing has been executed or made.
    pub fn quiet(&self) -> Duration {
        self.elapsed().saturating_sub(Duration::from_millis(self.active.load(Ordering::Relaxed)))
    }

    /// Says in what phase it is from now on.
    pub fn enter(&self, phase: Phase) {
        self.state().phase = phase;
    }

    /// The phase that was said last.
    pub fn phase(&self) -> Phase {
        self.state().phase
    }

    /// Sockets that listen, in the order in which they began to.
    pub fn listening(&self) -> Vec<Listening> {
        self.state().listening.clone()
    }

    /// How the first process ended; `None` while it runs.
    pub fn end(&self) -> Option<End> {
        self.state().end
    }

    /// Waits until the first process has ended, for `most` at the most.
    pub fn wait_for_end(&self, most: Duration) -> Option<End> {
        let waiting = |state: &mut State| state.end.is_none() && !state.over;
        let (state, _) = self
            .changed
            .wait_timeout_while(self.state(), most, waiting)
            .unwrap_or_else(PoisonError::into_inner);
        state.end
    }

    /// Looks how much the directories hold that were written.
    pub fn measure(&self) {
        let Some(root) = self.root.get() else { return };
        let files = self.state().files.clone();
        let mut sums: BTreeMap<ImagePath, u64> = BTreeMap::new();
        for file in &files {
            if let (Some(parent), Some(bytes)) = (file.parent(), root.bytes(file)) {
                let sum = sums.entry(parent).or_default();
                *sum = sum.saturating_add(bytes);
            }
        }
        let mut state = self.state();
        for (directory, bytes) in sums {
            let peak = state.peaks.entry(directory).or_default();
            *peak = bytes.max(*peak);
        }
    }

    /// The most that was measured, by directory.
    pub fn peaks(&self) -> Vec<Directory> {
        let state = self.state();
        let peaks = state.peaks.iter();
        peaks.map(|(path, &peak_bytes)| Directory { path: path.to_string(), peak_bytes }).collect()
    }

    pub(super) fn acted(&self) {
        let now = u64::try_from(self.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.active.store(now, Ordering::Relaxed);
    }

    pub(super) fn wrote(&self, path: &ImagePath) {
        let mut state = self.state();
        if state.files.len() < MAX_MEASURED {
            state.files.insert(path.clone());
        }
    }

    pub(super) fn listens(&self, listening: Listening) {
        let mut state = self.state();
        if !state.listening.contains(&listening) {
            state.listening.push(listening);
        }
    }

    pub(super) fn ended(&self, end: End) {
        self.state().end.get_or_insert(end);
        self.changed.notify_all();
    }

    pub(super) fn over(&self) {
        self.state().over = true;
        self.changed.notify_all();
    }
}
