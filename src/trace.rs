//! Watching processes: what they execute, open, write and listen on, with the result of every such call.
//!
//! By ptrace, and a seccomp filter that stops the watched calls only: everything else runs at full speed, unwatched.
//! Of the two ways that there are, seccomp's user notification would cost one stop less and leave signals alone, but it
//! shows no result, and there is no safe interface to it; here each watched call stops twice, before and after, and its
//! failure is seen as well. `tests/bench/trace` measures what that costs: starts of 14 ms and more took up to 1.8 times as
//! long, one of nginx, which is 3.5 ms of little but watched calls, 2.2 times; about 40 µs for each stop. More on a machine
//! that does much else, because each stop is two changes of who runs.
//!
//! Does not start anything: who starts a process makes it wait until [`attach()`] has it, installs
//! [`filter`] in it, and lets it go. Does not know images or profiles' shape: it tells [`Event`]s.
//!
//! Which calls are made at all is told only where it is asked for: then every one stops twice, watched or not, and a run
//! takes many times as long.
//!
//! # What is not seen, and what is not the same
//!
//! - Writes through a descriptor are not counted one by one: who writes has opened, and the opening is seen.
//! - `io_uring_setup` fails with `ENOSYS`, as on an old kernel: what goes through a ring would pass unseen.
//! - A program for another architecture (32-bit code on a 64-bit machine) is killed by the filter.
//! - A watched program cannot be traced by another.
//! - Job control: a process that stops itself is continued at once (`PTRACE_LISTEN` has no safe interface).
//! - Real-time signals take a way of their own (`recorder/realtime`); those that cannot are counted, and the profile tells.

mod attach;
mod live;
mod memory;
mod place;
mod proc;
mod recorder;
mod sockets;
mod table;

pub use attach::{Attached, Calls, TraceError, attach};
pub use live::{Listening, Live};
pub use recorder::Recorded;
pub use table::{FilterError, filter};

#[cfg(doc)]
use crate::profile::Event;
