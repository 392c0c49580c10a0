//! Real-time signals, handed on to a watched thread by its own hand.
//!
//! The kernel stops a watched thread before every signal and asks what to deliver, and the safe interface to the answer
//! knows no real-time signals. They must arrive all the same: C libraries change ids and cancel threads by them, .NET
//! collects garbage by them; all of those send them from thread to thread of one process. So the thread is made to send the signal to itself, as it was sent to it, and is let go
//! for the moment in which it arrives. A handler by which the GNU C library changes ids comes back to an instruction that
//! leads to itself, where the thread is caught again and put where it was; all others come back to where the thread was,
//! because they may look at that place, or leave it (a thread that is cancelled is unwound from there).
//!
//! A watched call within that moment is not seen and fails with `ENOSYS`; handlers of such signals do next to nothing. How the call that was interrupted goes on (again, or with `EINTR`) is what the kernel
//! does for handlers with `SA_RESTART`, which those of the C libraries are. Signals from another process are lost, and
//! counted: they may carry a value, which is not to be had.

use std::io::IoSlice;
use std::time::Duration;

use nix::libc::{self, user_regs_struct};
use nix::sys::ptrace;
use nix::sys::uio::{RemoteIoVec, process_vm_writev};
use nix::unistd::Pid;

use super::Recorder;
use crate::trace::attach::options;
use crate::trace::{memory, proc};

/// `syscall`, and `jmp` to itself.
const CALL: [u8; 2] = [0x0f, 0x05];
const STAY: [u8; 2] = [0xeb, 0xfe];
/// By this the GNU C library has every thread change its ids.
const CHANGE_IDS: i32 = 33;
/// How much code is looked through for the two: a C library has both.
const MAX_CODE: usize = 16 << 20;
/// Below the stack pointer programs may keep data without moving it (System V ABI, the red zone).
const RED_ZONE: u64 = 128;
/// Size of a `siginfo_t`.
const INFO: usize = 128;
/// How often it is looked whether a signal has arrived, or a handler has come back: a second, all in all. Who takes
/// longer has left its handler by another way: a thread that ends, a long jump.
const LOOKS: u32 = 5_000;
/// Between two looks.
pub(super) const LOOK: Duration = Duration::from_micros(200);

/// Places in a program's code.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gadgets {
    call: u64,
    stay: u64,
}

/// A thread on its way to a signal and back.
#[derive(Debug)]
pub(super) enum Detour {
    /// It sends the signal to itself: first the beginning of the call is seen, then its end.
    Sending { home: Box<user_regs_struct>, signal: i32, gadgets: Gadgets, begun: bool },
    /// Its handler runs, or is done.
    Handling { home: Box<user_regs_struct>, stay: u64, looks: u32 },
}

impl Recorder {
    /// Begins to hand `signal` on to `tid`, which stopped before it; false where that cannot be done.
    pub(super) fn hand_on_realtime(&mut self, tid: i32, signal: i32) -> bool {
        self.send_to_itself(tid, signal).is_some()
    }

    fn send_to_itself(&mut self, tid: i32, signal: i32) -> Option<()> {
        let pid = Pid::from_raw(tid);
        // Who sends one from elsewhere may send a value with it, which is not to be had.
        let told = ptrace::getsiginfo(pid).ok()?;
        (told.si_code == libc::SI_TKILL).then_some(())?;
        let home = ptrace::getregs(pid).ok()?;
        let process = self.tasks.get(&tid)?.process;
        let gadgets = self.gadgets.get(&process).copied().or_else(|| find_gadgets(pid))?;
        self.gadgets.insert(process, gadgets);
        let (inner_process, inner_thread) = proc::inner_numbers(pid)?;
        let info = info_bytes(signal, inner_process, proc::status_inside(pid)?.uid);
        let at = home.rsp.checked_sub(RED_ZONE + INFO as u64)? & !15;
        let remote = [RemoteIoVec { base: usize::try_from(at).ok()?, len: info.len() }];
        let written = process_vm_writev(pid, &[IoSlice::new(&info)], &remote).ok()?;
        (written == info.len()).then_some(())?;
        let mut regs = home;
        regs.rip = gadgets.call;
        regs.rax = libc::SYS_rt_tgsigqueueinfo.cast_unsigned();
        // It is in no call that the kernel would begin again.
        regs.orig_rax = u64::MAX;
        regs.rdi = inner_process.into();
        regs.rsi = inner_thread.into();
        regs.rdx = u64::from(signal.unsigned_abs());
        regs.r10 = at;
        ptrace::setregs(pid, regs).ok()?;
        let detour = Detour::Sending { home: Box::new(home), signal, gadgets, begun: false };
        self.tasks.get_mut(&tid)?.detours.push(detour);
        Some(())
    }

    /// A stop at the beginning or end of a call: whether it is that of a thread that sends itself a signal.
    pub(super) fn sent_to_itself(&mut self, tid: i32) -> Option<LetGo> {
        let detours = &mut self.tasks.get_mut(&tid)?.detours;
        let Some(Detour::Sending { begun, gadgets, .. }) = detours.last_mut() else { return None };
        let pid = Pid::from_raw(tid);
        let now = ptrace::getregs(pid).ok()?;
        // The handler of another signal may come first, with calls of its own.
        if now.rip != gadgets.call + CALL.len() as u64 {
            return None;
        }
        if !*begun {
            *begun = true;
            return Some(LetGo::NotYet);
        }
        let Some(Detour::Sending { home, signal, gadgets, .. }) = detours.pop() else { return None };
        let stay = gadgets.stay;
        let mut regs = *home;
        if signal == CHANGE_IDS {
            regs.rip = stay;
            regs.orig_rax = u64::MAX;
        }
        // Who is gone meanwhile is not waited for any more.
        let _ = ptrace::setregs(pid, regs);
        let _ = ptrace::detach(pid, None);
        for _ in 0..LOOKS {
            if !proc::is_pending(pid, signal) {
                break;
            }
            std::thread::yield_now();
        }
        if ptrace::seize(pid, options()).is_err() {
            self.tasks.remove(&tid);
        } else if signal == CHANGE_IDS {
            let _ = ptrace::interrupt(pid);
            detours.push(Detour::Handling { home, stay, looks: 0 });
            self.away.insert(tid);
        }
        Some(LetGo::Gone)
    }

    /// A stop that was asked for: puts a thread whose handler is done where it was.
    pub(super) fn come_back(&mut self, tid: i32) {
        let pid = Pid::from_raw(tid);
        let Some(task) = self.tasks.get_mut(&tid) else { return };
        let Some(Detour::Handling { home, stay, looks }) = task.detours.last_mut() else { return };
        let back = ptrace::getregs(pid).is_ok_and(|regs| regs.rip == *stay);
        *looks = looks.saturating_add(1);
        if back {
            let _ = ptrace::setregs(pid, resumed(**home));
        }
        if back || *looks > LOOKS {
            task.detours.pop();
        }
        if !task.detours.iter().any(|detour| matches!(detour, Detour::Handling { .. })) {
            self.away.remove(&tid);
        }
    }

    /// Asks threads that are away for a stop.
    pub(super) fn look_for_away(&mut self) {
        std::thread::sleep(LOOK);
        for &tid in &self.away {
            let _ = ptrace::interrupt(Pid::from_raw(tid));
        }
    }
}

/// What becomes of a thread that sent itself a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LetGo {
    /// It has only begun.
    NotYet,
    /// It was let go already.
    Gone,
}

/// The registers of who was interrupted, after a handler: calls that wait do not wait again (signal(7)).
fn resumed(mut regs: user_regs_struct) -> user_regs_struct {
    // ERESTARTNOHAND, ERESTART_RESTARTBLOCK
    let error = regs.rax.cast_signed();
    if regs.orig_rax != u64::MAX && [-514, -516].contains(&error) {
        regs.rax = (-i64::from(libc::EINTR)).cast_unsigned();
        regs.orig_rax = u64::MAX;
    }
    regs
}

/// A `siginfo_t` of a signal that `process` sent to a thread of its own, as the kernel lays it out on 64-bit machines.
fn info_bytes(signal: i32, process: u32, user: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Number, error, code, and a gap.
    for number in [signal, 0, libc::SI_TKILL, 0] {
        bytes.extend(number.to_ne_bytes());
    }
    bytes.extend(process.to_ne_bytes());
    bytes.extend(user.to_ne_bytes());
    bytes.resize(INFO, 0);
    bytes
}

/// Looks for them in what is mapped as code.
fn find_gadgets(pid: Pid) -> Option<Gadgets> {
    let (mut call, mut stay) = (None, None);
    let mut left = MAX_CODE;
    for (from, to) in proc::code(pid) {
        let length = usize::try_from(to.saturating_sub(from)).unwrap_or(usize::MAX).min(left);
        left -= length;
        let code = memory::code(pid, from, length);
        let find = |wanted: &[u8]| memchr::memmem::find(&code, wanted).map(|at| from + at as u64);
        call = call.or_else(|| find(&CALL));
        stay = stay.or_else(|| find(&STAY));
        if let (Some(call), Some(stay)) = (call, stay) {
            return Some(Gadgets { call, stay });
        }
    }
    None
}
