//! The loop that takes every stop of every watched process and lets it go on.
//!
//! Knows ptrace; what a watched call means is in `calls`.

mod calls;
#[cfg_attr(not(target_arch = "x86_64"), path = "recorder/no_realtime.rs")]
mod realtime;
mod receive;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::ptrace::{self, Event as Stop};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use rustix::process::{WaitOptions, WaitStatus, wait};
use syscalls::Sysno;

use super::attach::Calls;
use super::live::Live;
use super::place::Roots;
use super::proc;
use crate::path::ImagePath;
use crate::profile::{Act, Builder, End, Event, Phase};
use calls::Pending;
use realtime::{Detour, Gadgets, LetGo};

/// `__WALL | __WNOTHREAD`: threads too, and only what this thread watches: no other child of kiln is taken away.
const WATCHED: u32 = 0x4000_0000 | 0x2000_0000;
/// `SIGTRAP` with the bit of `PTRACE_O_TRACESYSGOOD`: a stop at the end of a call.
const CALL_STOP: i32 = 5 | 0x80;

/// How long the watcher stays awake after a stop.
const AWAKE: Duration = Duration::from_micros(200);

/// What was seen of a run.
#[derive(Debug)]
pub struct Recorded {
    /// What happened, for a profile.
    pub events: Builder,
    /// How many calls were watched.
    pub calls: u64,
    /// Real-time signals that could not be handed on.
    pub lost_signals: u64,
    /// Names of all calls that were made, where that was asked for.
    pub names: BTreeSet<&'static str>,
}

/// Watches from the first process on.
pub(super) struct Recorder {
    live: Arc<Live>,
    /// Files whose absence is a failure.
    gone: Arc<BTreeSet<ImagePath>>,
    recorded: Recorded,
    /// Which calls are told.
    calls: Calls,
    /// Whether there is more than one processor.
    has_two: bool,
    /// Threads by number.
    tasks: BTreeMap<i32, Task>,
    /// Numbers in events, by process.
    processes: BTreeMap<i32, u32>,
    born: u32,
    /// Whether the image's own program runs: what the starter does before that is not the image's doing.
    started: bool,
    /// Sockets whose port the program chose: what the kernel chooses is another each time.
    chosen: BTreeSet<u64>,
    /// Whether some process may have changed its root directory.
    roots: Roots,
    /// Where the code of each process has what it takes to send itself a signal.
    gadgets: BTreeMap<i32, Gadgets>,
    /// Threads and processes that were seen before the stop of who made them.
    early: BTreeSet<i32>,
    /// Threads that were let go for a signal, and are asked to stop again.
    away: BTreeSet<i32>,
}

/// A watched thread.
#[derive(Debug)]
struct Task {
    /// Its process, as this machine numbers it.
    process: i32,
    /// Its process' number in events.
    number: u32,
    /// The call that it is in.
    pending: Option<Pending>,
    /// Where it is sent for real-time signals, one within the other.
    detours: Vec<Detour>,
}

impl Task {
    /// Whether it stops where a call ends, watched or not.
    fn stops_at_calls(&self) -> bool {
        self.pending.is_some() || matches!(self.detours.last(), Some(Detour::Sending { .. }))
    }
}

impl Recorder {
    /// To watch `pid`, which is attached to or will be.
    pub(super) fn new(pid: i32, live: Arc<Live>, gone: Arc<BTreeSet<ImagePath>>, calls: Calls) -> Self {
        let recorded =
            Recorded { events: Builder::default(), calls: 0, lost_signals: 0, names: BTreeSet::new() };
        let mut recorder = Self {
            live,
            gone,
            recorded,
            calls,
            has_two: std::thread::available_parallelism().is_ok_and(|number| number.get() > 1),
            tasks: BTreeMap::new(),
            processes: BTreeMap::new(),
            born: 0,
            started: false,
            chosen: BTreeSet::new(),
            roots: Roots::One,
            gadgets: BTreeMap::new(),
            early: BTreeSet::new(),
            away: BTreeSet::new(),
        };
        recorder.add_process(pid, None);
        recorder
    }

    /// What was seen.
    pub(super) fn finish(self) -> Recorded {
        self.recorded
    }

    /// Watches until nothing is left.
    pub(super) fn run(mut self) -> Recorded {
        loop {
            match self.wait() {
                Ok(Some((pid, status))) => self.take(pid.as_raw_nonzero().get(), status.as_raw()),
                Ok(None) => self.look_for_away(),
                Err(rustix::io::Errno::INTR) => {}
                // Nothing is left to wait for.
                Err(_) => return self.finish(),
            }
        }
    }

    /// The next stop; nothing where somebody who is away is to be looked for.
    fn wait(&self) -> rustix::io::Result<Option<(rustix::process::Pid, WaitStatus)>> {
        let watched = WaitOptions::from_bits_retain(WATCHED);
        if !self.away.is_empty() {
            return wait(watched | WaitOptions::NOHANG);
        }
        // Who sleeps is woken late: longer than most stops are apart, where there is a processor for each.
        if self.has_two {
            let began = Instant::now();
            while began.elapsed() < AWAKE {
                match wait(watched | WaitOptions::NOHANG) {
                    Ok(None) => std::thread::yield_now(),
                    other => return other,
                }
            }
        }
        wait(watched)
    }

    fn take(&mut self, tid: i32, status: i32) {
        // As `wait(2)` lays it out.
        match status & 0x7f {
            0 => self.ended(tid, End::Exit(status >> 8 & 0xff)),
            0x7f => self.stopped(tid, status >> 8 & 0xff, status >> 16),
            signal => self.ended(tid, End::Signal(signal)),
        }
    }

    fn ended(&mut self, tid: i32, end: End) {
        let Some(task) = self.tasks.remove(&tid) else {
            self.early.insert(tid);
            return;
        };
        self.away.remove(&tid);
        // A process ends with its first thread, which is told last.
        if task.process != tid {
            return;
        }
        self.processes.remove(&tid);
        self.gadgets.remove(&tid);
        self.tell(task.number, Act::Ended(end));
        if task.number == 0 {
            self.live.ended(end);
        }
    }

    fn stopped(&mut self, tid: i32, signal: i32, event: i32) {
        if !self.tasks.contains_key(&tid) {
            // Its own first stop came before that of who made it.
            self.early.insert(tid);
            self.meet(tid);
        }
        let pid = Pid::from_raw(tid);
        let mut hand_on = None;
        if event == Stop::PTRACE_EVENT_SECCOMP as i32 {
            self.enter_call(tid);
        } else if event == Stop::PTRACE_EVENT_EXEC as i32 {
            self.became(tid);
        } else if [Stop::PTRACE_EVENT_FORK, Stop::PTRACE_EVENT_VFORK, Stop::PTRACE_EVENT_CLONE]
            .iter()
            .any(|made| *made as i32 == event)
        {
            if let Some(child) = ptrace::getevent(pid).ok().and_then(|child| i32::try_from(child).ok())
                // What was met before may be gone by now: it is no second one.
                && !self.early.remove(&child)
                && !self.tasks.contains_key(&child)
            {
                self.meet(child);
            }
        } else if event != 0 {
            // The first stop of a thread, one for job control, or one that was asked for: it goes on.
            self.come_back(tid);
        } else if signal == CALL_STOP {
            match self.sent_to_itself(tid) {
                Some(LetGo::Gone) => return,
                Some(LetGo::NotYet) => {}
                None if self.calls == Calls::Every && is_entry(pid) => self.name_call(pid),
                None => self.leave_call(tid),
            }
        } else {
            hand_on = Signal::try_from(signal).ok();
            if hand_on.is_none() && !self.hand_on_realtime(tid, signal) {
                self.recorded.lost_signals = self.recorded.lost_signals.saturating_add(1);
            }
        }
        // At the end of a call whose result matters it stops again. Who is gone meanwhile needs no push.
        let at_calls = self.calls == Calls::Every || self.tasks.get(&tid).is_some_and(Task::stops_at_calls);
        let _ = if at_calls { ptrace::syscall(pid, hand_on) } else { ptrace::cont(pid, hand_on) };
    }

    /// Remembers which call begins. The starter's are not the image's.
    fn name_call(&mut self, pid: Pid) {
        let number = calls::number(pid).filter(|_| self.started);
        let call = number.and_then(|number| Sysno::new(usize::try_from(number).ok()?));
        self.recorded.names.extend(call.map(|call| call.name()));
    }

    /// A thread or process that was not known.
    fn meet(&mut self, tid: i32) {
        let Some(status) = proc::status(Pid::from_raw(tid)) else { return };
        if status.process == tid {
            let parent = self.processes.get(&status.parent).copied();
            self.add_process(tid, Some(parent.unwrap_or(0)));
        } else if let Some(&number) = self.processes.get(&status.process) {
            self.tasks
                .insert(tid, Task { process: status.process, number, pending: None, detours: Vec::new() });
            self.tell(number, Act::Threaded);
        }
    }

    fn add_process(&mut self, pid: i32, parent: Option<u32>) {
        let number = self.born;
        self.born = self.born.saturating_add(1);
        self.processes.insert(pid, number);
        self.tasks.insert(pid, Task { process: pid, number, pending: None, detours: Vec::new() });
        self.tell(number, Act::Born { parent });
    }

    fn tell(&mut self, process: u32, act: Act) {
        let phase = self.live.phase();
        self.tell_of(process, phase, act);
    }

    fn tell_of(&mut self, process: u32, phase: Phase, act: Act) {
        self.recorded.events.take(Event { process, phase, act });
    }
}

/// Whether the stop of a thread at a call is the one where it begins (`PTRACE_EVENTMSG_SYSCALL_ENTRY`, Linux 5.3).
fn is_entry(pid: Pid) -> bool {
    ptrace::getevent(pid) == Ok(1)
}
