//! A watched call, read where it begins and told where it ends, when its result is known.
//!
//! Arguments are read at the beginning: later the program may have changed them. Links are followed at the end:
//! only calls that are told pay for it.

use nix::libc;
use nix::sys::ptrace;
use nix::unistd::Pid;

use super::Recorder;
use crate::path::{Escaped, ImagePath};
use crate::profile::{Act, How, Program};
use crate::trace::place::{Last, Root, Roots, named, tidy};
use crate::trace::sockets::{Address, MAX_ADDRESS};
use crate::trace::table::{Call, Links, OpenFlags, PathArg, Shape, watched};
use crate::trace::{memory, proc};

/// Failures that say nothing: of looking whether something is there, of doing again what is done, of waiting.
const IDLE: &[i32] = &[
    libc::ENOENT,
    libc::EEXIST,
    libc::ENOTDIR,
    libc::EISDIR,
    libc::ENOTEMPTY,
    libc::EINTR,
    libc::EAGAIN,
    libc::EINPROGRESS,
    libc::EALREADY,
    libc::EISCONN,
    libc::ENXIO,
    libc::EBADF,
];
/// Results from here on are no errors of a call but orders to the kernel to begin it again (`ERESTARTSYS`).
const RESTART: i32 = 512;

/// A call between its beginning and its end.
#[derive(Debug)]
pub(super) struct Pending {
    call: &'static Call,
    what: What,
}

/// What of a call must be known at its end.
#[derive(Debug)]
enum What {
    Exec(Box<Program>),
    Open { absolute: Vec<u8>, flags: i32, before: Before },
    At { absolute: Vec<u8>, last: Last, how: How, private: bool },
    On { descriptor: i32, how: How },
    Rename { from: Vec<u8>, to: Vec<u8> },
    Socket { descriptor: i32, address: Option<Address>, directory: Option<Vec<u8>> },
}

/// What of an opening is decided where it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    /// It opens what is there, or fails.
    There,
    /// It makes what it opens.
    Not,
    /// As before, and it is for one user only and must be new.
    Private,
}

/// Mode bits of who is not the owner.
const OF_OTHERS: u64 = 0o077;

impl What {
    /// Whether the call is to make something, or to reach what must be there.
    fn makes(&self) -> bool {
        match self {
            Self::Open { flags, .. } => flags & libc::O_CREAT != 0,
            Self::At { how, .. } => matches!(how, How::Directory | How::Node | How::Linked),
            Self::Socket { .. } => true,
            _ => false,
        }
    }
}

/// Arguments, as registers hold them.
struct Arguments([u64; 6]);

impl Arguments {
    fn get(&self, index: usize) -> u64 {
        self.0.get(index).copied().unwrap_or(0)
    }

    /// The argument as an `int`: its low half.
    #[expect(clippy::cast_possible_truncation, reason = "as the kernel takes it")]
    fn int(&self, index: usize) -> i32 {
        self.get(index) as i32
    }
}

#[cfg(target_arch = "x86_64")]
fn registers(pid: Pid) -> Option<(u64, Arguments)> {
    let regs = ptrace::getregs(pid).ok()?;
    Some((regs.orig_rax, Arguments([regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8, regs.r9])))
}

/// A result, or the number of an error.
#[cfg(target_arch = "x86_64")]
fn result(pid: Pid) -> Option<Result<i32, i32>> {
    let value = ptrace::getregs(pid).ok()?.rax.cast_signed();
    Some(if (-4095..0).contains(&value) {
        Err(i32::try_from(-value).unwrap_or(libc::EINVAL))
    } else {
        // Of the results only descriptors are looked at.
        Ok(i32::try_from(value).unwrap_or(i32::MAX))
    })
}

/// The number of the call that a thread is in.
pub(super) fn number(pid: Pid) -> Option<u64> {
    registers(pid).map(|(number, _)| number)
}

/// Lets the call that begins fail, as if the kernel did not have it.
#[cfg(target_arch = "x86_64")]
fn deny(pid: Pid) {
    if let Ok(mut regs) = ptrace::getregs(pid) {
        // The kernel skips what has no number, and leaves the result alone.
        regs.orig_rax = u64::MAX;
        regs.rax = (-i64::from(libc::ENOSYS)).cast_unsigned();
        // Who is gone needs no answer.
        let _ = ptrace::setregs(pid, regs);
    }
}

// Nothing is attached to on other architectures.
#[cfg(not(target_arch = "x86_64"))]
fn deny(_: Pid) {}
#[cfg(not(target_arch = "x86_64"))]
fn registers(_: Pid) -> Option<(u64, Arguments)> {
    None
}
#[cfg(not(target_arch = "x86_64"))]
fn result(_: Pid) -> Option<Result<i32, i32>> {
    None
}

impl Recorder {
    /// At the beginning of a watched call.
    pub(super) fn enter_call(&mut self, tid: i32) {
        let pid = Pid::from_raw(tid);
        let Some((number, arguments)) = registers(pid) else { return };
        let Some(call) = watched(number) else { return };
        self.recorded.calls = self.recorded.calls.saturating_add(1);
        let exec = matches!(call.shape, Shape::Exec { .. });
        if exec
            && self.live.root.get().is_none()
            && let Some(root) = Root::of(pid)
        {
            let _ = self.live.root.set(root);
        }
        if !exec && !self.started {
            return;
        }
        if call.shape == Shape::Ring {
            deny(pid);
            return;
        }
        if call.shape == Shape::Root {
            self.roots = Roots::Several;
            return;
        }
        if let Shape::Map { descriptor } = call.shape {
            self.maps(pid, arguments.int(descriptor));
            return;
        }
        let what = self.begin(pid, call.shape, &arguments);
        if let Some(task) = self.tasks.get_mut(&tid) {
            task.pending = what.map(|what| Pending { call, what });
        }
    }

    /// What was opened for reading is mapped as code, or lies where nothing may be executed: its end is not waited for.
    fn maps(&mut self, pid: Pid, descriptor: i32) {
        let number = self.tasks.get(&pid.as_raw()).map(|task| task.number);
        let path = proc::descriptor(pid, descriptor).and_then(|text| named(&text));
        if let (Some(number), Some(path)) = (number, path) {
            self.tell(number, Act::Mapped(path));
        }
    }

    fn begin(&self, pid: Pid, shape: Shape, arguments: &Arguments) -> Option<What> {
        let absolute = |file: PathArg| {
            let path = memory::path(pid, arguments.get(file.path))?;
            let directory = file.directory.map_or(libc::AT_FDCWD, |at| arguments.int(at));
            Root::absolute(pid, self.roots, directory, &path)
        };
        match shape {
            Shape::Exec { file, argv, env } => {
                let absolute = absolute(file)?;
                let status = proc::status_inside(pid)?;
                let root = self.live.root.get()?;
                let path = tidy(&absolute)?;
                Some(What::Exec(Box::new(Program {
                    file: root.real(&absolute).unwrap_or_else(|| path.clone()),
                    path,
                    interpreter: None,
                    argv: memory::words(pid, arguments.get(argv)),
                    env: memory::words(pid, arguments.get(env)),
                    cwd: named(&proc::link(pid, "cwd")?).unwrap_or_else(ImagePath::root),
                    uid: status.uid,
                    gid: status.gid,
                    groups: status.groups,
                    umask: status.umask,
                })))
            }
            Shape::Open { file, flags } => {
                let absolute = absolute(file)?;
                let (flags, mode) = match flags {
                    OpenFlags::In(at) => (arguments.int(at), Some(arguments.get(at.saturating_add(1)))),
                    OpenFlags::Behind(at) => {
                        let how = arguments.get(at);
                        let word = memory::word(pid, how)?;
                        let flags = i32::try_from(word & u64::from(u32::MAX >> 1)).unwrap_or(0);
                        (flags, memory::word(pid, how.wrapping_add(8)))
                    }
                    OpenFlags::Create => (libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC, None),
                };
                let private = mode.is_some_and(|mode| mode & OF_OTHERS == 0);
                let (creates, new) = (flags & libc::O_CREAT != 0, flags & libc::O_EXCL != 0);
                let is_there = || self.live.root.get().is_some_and(|root| root.has(&absolute));
                let before = if !creates || !new && is_there() {
                    Before::There
                } else if new && private {
                    Before::Private
                } else {
                    Before::Not
                };
                Some(What::Open { absolute, flags, before })
            }
            Shape::At { file, links, how } => {
                if how == How::Times && arguments.get(file.path) == 0 {
                    // `futimens`: no path is the descriptor itself.
                    return Some(What::On { descriptor: arguments.int(file.directory?), how });
                }
                let kept = match links {
                    Links::Followed => false,
                    Links::Kept => true,
                    Links::Flag(at) => arguments.int(at) & libc::AT_SYMLINK_NOFOLLOW != 0,
                };
                let last = if kept { Last::Kept } else { Last::Followed };
                let private = how == How::Directory && arguments.get(file.mode()) & OF_OTHERS == 0;
                Some(What::At { absolute: absolute(file)?, last, how, private })
            }
            Shape::On { descriptor, how } => Some(What::On { descriptor: arguments.int(descriptor), how }),
            Shape::Rename { from, to } => Some(What::Rename { from: absolute(from)?, to: absolute(to)? }),
            Shape::Bind | Shape::Connect => {
                let length = usize::try_from(arguments.int(2)).unwrap_or(0).min(MAX_ADDRESS);
                let address = Address::parse(&memory::bytes(pid, arguments.get(1), length));
                let directory = match &address {
                    Some(Address::Path(path)) => Root::absolute(pid, self.roots, libc::AT_FDCWD, path),
                    _ => None,
                };
                Some(What::Socket { descriptor: arguments.int(0), address, directory })
            }
            Shape::Ring | Shape::Root | Shape::Map { .. } => None,
            Shape::Listen => {
                Some(What::Socket { descriptor: arguments.int(0), address: None, directory: None })
            }
        }
    }

    /// At the end of a watched call.
    pub(super) fn leave_call(&mut self, tid: i32) {
        let Some(task) = self.tasks.get_mut(&tid) else { return };
        let (number, Some(Pending { call, what })) = (task.number, task.pending.take()) else { return };
        let pid = Pid::from_raw(tid);
        match result(pid) {
            Some(Ok(value)) => self.succeeded(pid, number, call, what, value),
            Some(Err(errno)) if errno < RESTART => self.failed(number, call, &what, errno),
            _ => {}
        }
    }

    /// A program has become another: the calls of its other threads have gone with them.
    pub(super) fn became(&mut self, tid: i32) {
        let pid = Pid::from_raw(tid);
        // A thread that is not the first takes the number of the process.
        let former = ptrace::getevent(pid).ok().and_then(|former| i32::try_from(former).ok()).unwrap_or(tid);
        let pending = self.tasks.get_mut(&former).and_then(|task| task.pending.take());
        self.tasks.retain(|&other, task| other == tid || task.process != tid);
        let Some(task) = self.tasks.get_mut(&tid) else { return };
        task.pending = None;
        task.detours.clear();
        self.away.retain(|away| self.tasks.contains_key(away));
        self.gadgets.remove(&tid);
        let Some(task) = self.tasks.get(&tid) else { return };
        let number = task.number;
        let Some(Pending { what: What::Exec(mut program), .. }) = pending else { return };
        self.started = true;
        self.live.acted();
        let running = proc::link(pid, "exe").and_then(|exe| named(&exe));
        program.interpreter = running.filter(|running| *running != program.file);
        self.tell(number, Act::Exec(program));
        // The kernel itself has mapped the program and its loader.
        for path in mapped(pid) {
            self.tell(number, Act::Mapped(path));
        }
    }

    fn succeeded(&mut self, pid: Pid, number: u32, call: &Call, what: What, value: i32) {
        match what {
            // Told where the program has become another.
            What::Exec(_) => {}
            What::Open { absolute, flags, before } => {
                self.opened(pid, number, &absolute, flags, before, value);
            }
            What::At { absolute, last, how, private } => {
                // A link that is followed is not there any more only where it was removed.
                if let Some(path) = self.resolve(&absolute, last) {
                    if private {
                        self.tell(number, Act::MadePrivate(path.clone()));
                    }
                    self.wrote(number, path, how);
                }
            }
            What::On { descriptor, how } => {
                if let Some(path) = proc::descriptor(pid, descriptor).and_then(|text| named(&text)) {
                    self.wrote(number, path, how);
                }
            }
            What::Rename { from, to } => {
                if let Some(path) = self.resolve(&from, Last::Kept) {
                    self.wrote(number, path, How::RenamedAway);
                }
                if let Some(path) = self.resolve(&to, Last::Kept) {
                    self.wrote(number, path, How::RenamedHere);
                }
            }
            What::Socket { descriptor, address, directory } => match call.shape {
                Shape::Bind => {
                    if let Some(path) = directory.and_then(|absolute| self.resolve(&absolute, Last::Kept)) {
                        self.wrote(number, path, How::Socket);
                    }
                    self.was_bound(pid, number, descriptor, address.as_ref());
                }
                Shape::Listen => self.accepts(pid, number, descriptor),
                _ => {}
            },
        }
    }

    fn opened(
        &mut self,
        pid: Pid,
        number: u32,
        absolute: &[u8],
        flags: i32,
        before: Before,
        descriptor: i32,
    ) {
        let text = proc::descriptor(pid, descriptor);
        let real = text.as_deref().and_then(named);
        let writes = flags & libc::O_ACCMODE != libc::O_RDONLY;
        if flags & libc::O_TMPFILE == libc::O_TMPFILE {
            if let Some(path) = self.resolve(absolute, Last::Followed) {
                self.wrote(number, path, How::Unnamed);
            }
            return;
        }
        // What has no name any more was there under the one that was asked for.
        let path = real.or_else(|| self.resolve(absolute, Last::Followed));
        let Some(path) = path else { return };
        if flags & libc::O_PATH != 0 {
            return;
        }
        if before == Before::Private {
            self.tell(number, Act::MadePrivate(path.clone()));
        }
        if before != Before::There {
            self.wrote(number, path.clone(), How::Created);
        }
        if writes {
            self.wrote(number, path.clone(), How::Opened);
        }
        if flags & libc::O_TRUNC != 0 && before == Before::There {
            self.wrote(number, path.clone(), How::Truncated);
        }
        if flags & libc::O_ACCMODE != libc::O_WRONLY {
            if is_library(absolute) {
                self.tell(number, Act::Found(name_of(absolute).to_vec()));
            }
            self.tell(number, Act::Opened(path));
        }
    }

    fn wrote(&mut self, number: u32, path: ImagePath, how: How) {
        self.live.acted();
        if matches!(how, How::Created | How::Opened | How::RenamedHere | How::Truncated) {
            self.live.wrote(&path);
        }
        self.tell(number, Act::Wrote(path, how));
    }

    fn failed(&mut self, number: u32, call: &'static Call, what: &What, errno: i32) {
        let missing = errno == libc::ENOENT;
        let act = match what {
            What::Exec(program) if missing => {
                Some(Act::Missed { call: call.name, path: program.path.clone() })
            }
            What::Open { absolute, .. } if missing && !what.makes() && is_library(absolute) => {
                self.resolve(absolute, Last::Kept).map(|path| Act::Missed { call: call.name, path })
            }
            What::Open { absolute, .. } if missing && !what.makes() && self.is_gone(absolute) => {
                self.failure(call, what, errno)
            }
            // Somewhere on the way to what is to be made there is no directory.
            _ if missing && what.makes() => self.failure(call, what, errno),
            _ if missing => Some(Act::Searched),
            _ if IDLE.contains(&errno) => None,
            _ => self.failure(call, what, errno),
        };
        if let Some(act) = act {
            self.tell(number, act);
        }
    }

    /// Whether a file is one of those that were there once.
    fn is_gone(&self, absolute: &[u8]) -> bool {
        // Most of the time none is.
        !self.gone.is_empty()
            && self.resolve(absolute, Last::Followed).is_some_and(|path| self.gone.contains(&path))
    }

    fn failure(&self, call: &'static Call, what: &What, errno: i32) -> Option<Act> {
        let subject = Escaped::new(&self.subject(what)?);
        Some(Act::Failed { call: call.name, subject, errno })
    }

    /// What a failed call was about.
    fn subject(&self, what: &What) -> Option<Vec<u8>> {
        let path = match what {
            What::Exec(program) => Some(program.path.clone()),
            What::Open { absolute, flags, .. } => {
                let kept = flags & libc::O_NOFOLLOW != 0;
                self.resolve(absolute, if kept { Last::Kept } else { Last::Followed })
            }
            What::At { absolute, last, .. } => self.resolve(absolute, *last),
            What::Rename { to, .. } => self.resolve(to, Last::Kept),
            // Its descriptor says nothing to anybody.
            What::On { .. } => None,
            What::Socket { address, directory, .. } => {
                if let Some(absolute) = directory {
                    return Some(self.resolve(absolute, Last::Kept)?.absolute());
                }
                return address.as_ref().map(Address::told);
            }
        };
        path.map(|path| path.absolute())
    }

    fn resolve(&self, absolute: &[u8], last: Last) -> Option<ImagePath> {
        self.live.root.get()?.resolve(absolute, last)
    }
}

/// Whether a path is that of a shared library: `libc.so.6`, `mod_ssl.so`.
fn is_library(path: &[u8]) -> bool {
    let name = name_of(path);
    name.ends_with(b".so") || memchr::memmem::find(name, b".so.").is_some()
}

fn name_of(path: &[u8]) -> &[u8] {
    path.rsplit(|&byte| byte == b'/').next().unwrap_or_default()
}

/// Files that are mapped as code, by the kernel's own list.
fn mapped(pid: Pid) -> Vec<ImagePath> {
    let maps = proc::text(pid, "maps").unwrap_or_default();
    maps.lines()
        .filter_map(|line| {
            // address perms offset device inode path
            let mut fields = line.split_ascii_whitespace();
            fields.nth(1).filter(|permissions| permissions.contains('x'))?;
            let at = line.find('/')?;
            named(line.get(at..)?.as_bytes())
        })
        .collect()
}
