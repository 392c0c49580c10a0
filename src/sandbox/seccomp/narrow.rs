//! The default profile cut down to the calls that an app was seen to make, and what runtimes and other machines add.
//!
//! Takes away only: what the default does not allow is in none of them. Watches and runs nothing.

use std::collections::BTreeSet;

use super::{Action, Condition, EPERM, Profile, Rule, number_of};
use crate::sandbox::capability::Capability;

/// What a runtime calls from the moment in which it installs the filter to that in which the app is executed: runc does
/// so last where privileges cannot grow, and else before it sets user and capabilities (libcontainer,
/// `standard_init_linux.go`); it is written in Go, whose own calls are among them. crun's are fewer.
const RUNTIME: &[&str] = &[
    "capget",
    "capset",
    "chdir",
    "clone",
    "close",
    "close_range",
    "dup3",
    "epoll_create1",
    "epoll_ctl",
    "epoll_pwait",
    "eventfd2",
    "execve",
    "faccessat2",
    "fchdir",
    "fchown",
    "fcntl",
    "fstat",
    "fstatfs",
    "getcwd",
    "getdents64",
    "getegid",
    "geteuid",
    "getgid",
    "getppid",
    "getuid",
    "lseek",
    "nanosleep",
    "newfstatat",
    "openat",
    "openat2",
    "pipe2",
    "prctl",
    "prlimit64",
    "read",
    "readlinkat",
    "sched_getaffinity",
    "setgid",
    "setgroups",
    "setresgid",
    "setresuid",
    "setuid",
    "sigaltstack",
    "statx",
    "umask",
    "write",
];

/// What C libraries call when memory grows, a thread ends or a process aborts; what is answered without the kernel where
/// the machine's clock allows it; what a parent does with a child, which it may have an hour after its start; and by what
/// kiln hands signals on to who is watched. No run needs to show it.
const ALWAYS: &[&str] = &[
    "brk",
    "clock_getres",
    "clock_gettime",
    "clock_nanosleep",
    "exit",
    "exit_group",
    "futex",
    "getcpu",
    "getpid",
    "getrandom",
    "gettid",
    "gettimeofday",
    "kill",
    "madvise",
    "membarrier",
    "mmap",
    "mprotect",
    "mremap",
    "munmap",
    "restart_syscall",
    "rseq",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "rt_tgsigqueueinfo",
    "sched_yield",
    "set_robust_list",
    "set_tid_address",
    "tgkill",
    "time",
    "wait4",
    "waitid",
];

/// Ordinary work with files, and with sockets that are open: which of it a run does is for clients to say (an upload makes a
/// directory, a large page goes out in pieces), and what may be done with which file is for the root, the mounts, owners and
/// modes to say.
const ORDINARY: &[&str] = &[
    "access",
    "chmod",
    "dup",
    "fadvise64",
    "fallocate",
    "flock",
    "fsync",
    "ftruncate",
    "getpeername",
    "getsockname",
    "getsockopt",
    "link",
    "mkdir",
    "poll",
    "pread64",
    "pselect6",
    "pwrite64",
    "readlink",
    "recvfrom",
    "rename",
    "sendfile",
    "sendto",
    "setsockopt",
    "shutdown",
    "stat",
    "statfs",
    "symlink",
    "truncate",
    "unlink",
    "utimensat",
];

/// Calls that do the same: which of them a library makes depends on its version and on the kernel's.
const ALIKE: &[&[&str]] = &[
    &["accept", "accept4"],
    &["access", "faccessat", "faccessat2"],
    &["chmod", "fchmod", "fchmodat", "fchmodat2"],
    &["chown", "fchown", "fchownat", "lchown"],
    &["clone", "fork", "vfork"],
    &["creat", "open", "openat", "openat2"],
    &["dup", "dup2", "dup3"],
    &["epoll_create", "epoll_create1"],
    &["epoll_pwait", "epoll_pwait2", "epoll_wait"],
    &["eventfd", "eventfd2"],
    &["execve", "execveat"],
    &["fadvise64", "readahead"],
    &["fdatasync", "fsync", "sync_file_range"],
    &["fstat", "lstat", "newfstatat", "stat", "statx"],
    &["fstatfs", "statfs"],
    &["getdents", "getdents64"],
    &["getrlimit", "prlimit64", "setrlimit", "ugetrlimit"],
    &["inotify_init", "inotify_init1"],
    &["link", "linkat"],
    &["mkdir", "mkdirat"],
    &["mknod", "mknodat"],
    &["pipe", "pipe2"],
    &["poll", "ppoll"],
    &["pread64", "preadv", "preadv2", "read", "readv"],
    &["pselect6", "select"],
    &["pwrite64", "pwritev", "pwritev2", "write", "writev"],
    &["readlink", "readlinkat"],
    &["recvfrom", "recvmmsg", "recvmsg"],
    &["rename", "renameat", "renameat2"],
    &["rmdir", "unlink", "unlinkat"],
    &["sendmmsg", "sendmsg", "sendto"],
    &["copy_file_range", "sendfile", "splice"],
    &["signalfd", "signalfd4"],
    &["symlink", "symlinkat"],
    &["futimesat", "utime", "utimensat", "utimes"],
    &["wait4", "waitid"],
];

/// What becomes of calls that the default profile allows and nobody was seen to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unseen {
    /// They are done and logged.
    Logged,
    /// They fail.
    Refused,
}

impl Profile {
    /// The default profile, for a process that keeps `capabilities`, without what is not among `seen` and what that brings.
    ///
    /// It names this machine's architecture and no other, and says nothing that depends on capabilities: the document of the OCI
    /// and Docker's are the same.
    pub fn narrowed(seen: &BTreeSet<String>, capabilities: &[Capability], unseen: Unseen) -> Self {
        let standard = Self::standard();
        let caps: Vec<String> = capabilities.iter().map(ToString::to_string).collect();
        let allowed = widened(seen);
        let mut syscalls = Vec::new();
        for rule in standard.syscalls.iter().filter(|rule| rule.applies(&caps)) {
            let of = |action: Action, wanted: &dyn Fn(&str) -> bool| {
                let names = rule.names.iter().filter(|name| number_of(name).is_some() && wanted(name));
                let names: Vec<String> = names.cloned().collect();
                let bare = Condition::default();
                let rule = Rule { names, action, includes: bare.clone(), excludes: bare, ..rule.clone() };
                (!rule.names.is_empty()).then_some(rule)
            };
            if rule.action == Action::Allow {
                syscalls.extend(of(Action::Allow, &|name| allowed.contains(name)));
                if unseen == Unseen::Logged {
                    syscalls.extend(of(Action::Log, &|name| !allowed.contains(name)));
                }
            } else {
                syscalls.extend(of(rule.action, &|_| true));
            }
        }
        let architectures = match std::env::consts::ARCH {
            "x86_64" => vec!["SCMP_ARCH_X86_64".to_owned()],
            "aarch64" => vec!["SCMP_ARCH_AARCH64".to_owned()],
            _ => Vec::new(),
        };
        Self { default_action: Action::Errno, default_errno_ret: Some(EPERM), architectures, syscalls }
    }

    /// How many calls it allows, and how many it allows and logs.
    pub fn counts(&self) -> (usize, usize) {
        let of = |action: Action| {
            let rules = self.syscalls.iter().filter(|rule| rule.action == action);
            rules.flat_map(|rule| &rule.names).collect::<BTreeSet<_>>().len()
        };
        (of(Action::Allow), of(Action::Log))
    }

    /// As a document.
    pub fn render(&self) -> String {
        crate::json::render(self)
    }
}

/// `seen`, what runtimes and libraries call besides, ordinary work, and what does the same as one of these.
fn widened(seen: &BTreeSet<String>) -> BTreeSet<&str> {
    let mut out: BTreeSet<&str> = seen.iter().map(String::as_str).collect();
    out.extend(RUNTIME.iter().chain(ALWAYS).chain(ORDINARY));
    let alike = ALIKE.iter().filter(|names| names.iter().any(|name| out.contains(name)));
    let more: Vec<&str> = alike.flat_map(|names| names.iter().copied()).collect();
    out.extend(more);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::capability;

    fn allowed(profile: &Profile, name: &str) -> bool {
        let rules = profile.syscalls.iter().filter(|rule| rule.action == Action::Allow);
        rules.flat_map(|rule| &rule.names).any(|known| known == name)
    }

    #[test]
    fn what_was_not_seen_is_refused_and_what_does_the_same_is_not() {
        let seen = BTreeSet::from(["epoll_wait".to_owned()]);
        let profile = Profile::narrowed(&seen, &[], Unseen::Refused);
        for name in ["epoll_wait", "epoll_pwait2", "execve", "futex", "mkdirat", "writev"] {
            assert!(allowed(&profile, name), "{name}");
        }
        for name in ["mount", "keyctl", "ptrace", "socket", "connect", "ioctl", "chroot", "shmget"] {
            assert!(!allowed(&profile, name), "{name}");
        }
        assert_eq!(profile.counts().1, 0);
    }

    #[test]
    fn nothing_is_allowed_or_logged_that_the_default_refuses() {
        let every: BTreeSet<String> = syscalls::Sysno::iter().map(|call| call.name().to_owned()).collect();
        let standard = Profile::standard();
        let caps: Vec<String> = capability::DEFAULT.iter().map(ToString::to_string).collect();
        for (seen, unseen) in [(&every, Unseen::Refused), (&BTreeSet::new(), Unseen::Logged)] {
            let profile = Profile::narrowed(seen, &capability::DEFAULT, unseen);
            for rule in profile.syscalls.iter().filter(|rule| rule.action != Action::Errno) {
                for name in &rule.names {
                    let same = |known: &&Rule| {
                        known.names.contains(name) && known.args == rule.args && known.applies(&caps)
                    };
                    assert!(standard.syscalls.iter().any(|known| same(&known)), "{name}");
                }
            }
        }
    }

    #[test]
    fn every_name_of_the_lists_is_a_call_and_lists_of_the_alike_are_apart() {
        let mut named = BTreeSet::new();
        for name in ALIKE.iter().copied().flatten() {
            assert!(named.insert(name), "{name} is in two lists");
        }
        let unknown: Vec<&&str> = RUNTIME
            .iter()
            .chain(ALWAYS)
            .chain(ORDINARY)
            .chain(named)
            .filter(|name| number_of(name).is_none())
            .collect();
        if cfg!(target_arch = "x86_64") {
            assert_eq!(unknown, [&"ugetrlimit"], "of 32-bit machines only");
        }
    }

    #[test]
    fn document_is_read_back_and_compiles() {
        let seen = BTreeSet::from(["socket".to_owned()]);
        for unseen in [Unseen::Logged, Unseen::Refused] {
            let profile = Profile::narrowed(&seen, &[], unseen);
            assert_eq!(Profile::parse(profile.render().as_bytes()).unwrap(), profile);
            assert!(!profile.compile(&[]).unwrap().is_empty());
            assert!(!profile.render().contains("includes"));
        }
    }
}
