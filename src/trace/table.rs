//! The watched system calls as data, and the filter that stops them.
//!
//! Does not know what is done at a stop.

use std::collections::BTreeMap;

use nix::libc;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use crate::profile::How;

/// A watched system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Call {
    /// Its number on this architecture.
    pub(super) number: i64,
    /// Its name.
    pub(super) name: &'static str,
    /// What it does, and where its arguments are.
    pub(super) shape: Shape,
}

/// Where an argument is: 0 is the first.
pub(super) type Arg = usize;

/// A path argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PathArg {
    /// The descriptor of the directory it is relative to; `None` is the working directory.
    pub(super) directory: Option<Arg>,
    /// The text.
    pub(super) path: Arg,
}

/// Whether a symbolic link at the end of a path is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Links {
    /// It is.
    Followed,
    /// It is not.
    Kept,
    /// Unless this argument has `AT_SYMLINK_NOFOLLOW`.
    Flag(Arg),
}

/// Where the flags of an opening are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OpenFlags {
    /// In an argument.
    In(Arg),
    /// In the first word of the `open_how` that an argument points to.
    Behind(Arg),
    /// `creat`'s.
    Create,
}

impl PathArg {
    /// Where `mkdir` and its like have the mode: behind the path.
    pub(super) const fn mode(self) -> Arg {
        self.path + 1
    }
}

/// What a call does, and where its arguments are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Becomes another program.
    Exec {
        /// Which.
        file: PathArg,
        /// Its words.
        argv: Arg,
        /// Its environment.
        env: Arg,
    },
    /// Opens.
    Open {
        /// What.
        file: PathArg,
        /// How.
        flags: OpenFlags,
    },
    /// Changes something at a path.
    At {
        /// Where.
        file: PathArg,
        /// Whether a link there is followed.
        links: Links,
        /// In what way.
        how: How,
    },
    /// Changes what a descriptor stands for.
    On {
        /// The descriptor.
        descriptor: Arg,
        /// In what way.
        how: How,
    },
    /// Renames.
    Rename {
        /// What.
        from: PathArg,
        /// To what.
        to: PathArg,
    },
    /// Maps a file as code.
    Map {
        /// The descriptor.
        descriptor: Arg,
    },
    /// Gives a socket an address.
    Bind,
    /// Lets a socket accept.
    Listen,
    /// Connects.
    Connect,
    /// May give a process another root directory.
    Root,
    /// Makes a ring, through which files would be opened unseen: it is not done.
    Ring,
}

const fn at(path: Arg) -> PathArg {
    PathArg { directory: None, path }
}

const fn below(directory: Arg, path: Arg) -> PathArg {
    PathArg { directory: Some(directory), path }
}

const fn call(number: libc::c_long, name: &'static str, shape: Shape) -> Call {
    Call { number, name, shape }
}

const fn change(file: PathArg, links: Links, how: How) -> Shape {
    Shape::At { file, links, how }
}

/// Calls that every architecture has.
const CALLS: &[Call] = &[
    call(libc::SYS_execve, "execve", Shape::Exec { file: at(0), argv: 1, env: 2 }),
    call(libc::SYS_execveat, "execveat", Shape::Exec { file: below(0, 1), argv: 2, env: 3 }),
    call(libc::SYS_openat, "openat", Shape::Open { file: below(0, 1), flags: OpenFlags::In(2) }),
    call(libc::SYS_openat2, "openat2", Shape::Open { file: below(0, 1), flags: OpenFlags::Behind(2) }),
    call(libc::SYS_mkdirat, "mkdirat", change(below(0, 1), Links::Kept, How::Directory)),
    call(libc::SYS_mknodat, "mknodat", change(below(0, 1), Links::Kept, How::Node)),
    call(libc::SYS_symlinkat, "symlinkat", change(below(1, 2), Links::Kept, How::Linked)),
    call(libc::SYS_linkat, "linkat", change(below(2, 3), Links::Kept, How::Linked)),
    call(libc::SYS_unlinkat, "unlinkat", change(below(0, 1), Links::Kept, How::Removed)),
    call(libc::SYS_renameat2, "renameat2", Shape::Rename { from: below(0, 1), to: below(2, 3) }),
    call(libc::SYS_truncate, "truncate", change(at(0), Links::Followed, How::Truncated)),
    call(libc::SYS_ftruncate, "ftruncate", Shape::On { descriptor: 0, how: How::Truncated }),
    call(libc::SYS_fchmod, "fchmod", Shape::On { descriptor: 0, how: How::Mode }),
    call(libc::SYS_fchmodat, "fchmodat", change(below(0, 1), Links::Followed, How::Mode)),
    call(FCHMODAT2, "fchmodat2", change(below(0, 1), Links::Flag(3), How::Mode)),
    call(libc::SYS_fchown, "fchown", Shape::On { descriptor: 0, how: How::Owner }),
    call(libc::SYS_fchownat, "fchownat", change(below(0, 1), Links::Flag(4), How::Owner)),
    call(libc::SYS_utimensat, "utimensat", change(below(0, 1), Links::Flag(3), How::Times)),
    call(libc::SYS_setxattr, "setxattr", change(at(0), Links::Followed, How::Attributes)),
    call(libc::SYS_lsetxattr, "lsetxattr", change(at(0), Links::Kept, How::Attributes)),
    call(libc::SYS_fsetxattr, "fsetxattr", Shape::On { descriptor: 0, how: How::Attributes }),
    call(libc::SYS_removexattr, "removexattr", change(at(0), Links::Followed, How::Attributes)),
    call(libc::SYS_lremovexattr, "lremovexattr", change(at(0), Links::Kept, How::Attributes)),
    call(libc::SYS_fremovexattr, "fremovexattr", Shape::On { descriptor: 0, how: How::Attributes }),
    call(libc::SYS_mmap, "mmap", Shape::Map { descriptor: 4 }),
    call(libc::SYS_bind, "bind", Shape::Bind),
    call(libc::SYS_listen, "listen", Shape::Listen),
    call(libc::SYS_connect, "connect", Shape::Connect),
    call(libc::SYS_chroot, "chroot", Shape::Root),
    call(libc::SYS_pivot_root, "pivot_root", Shape::Root),
    call(libc::SYS_setns, "setns", Shape::Root),
    call(libc::SYS_unshare, "unshare", Shape::Root),
    call(libc::SYS_io_uring_setup, "io_uring_setup", Shape::Ring),
];

/// Calls that only older architectures have: what they do is done by others elsewhere.
#[cfg(target_arch = "x86_64")]
const OLDER: &[Call] = &[
    call(libc::SYS_open, "open", Shape::Open { file: at(0), flags: OpenFlags::In(1) }),
    call(libc::SYS_creat, "creat", Shape::Open { file: at(0), flags: OpenFlags::Create }),
    call(libc::SYS_mkdir, "mkdir", change(at(0), Links::Kept, How::Directory)),
    call(libc::SYS_mknod, "mknod", change(at(0), Links::Kept, How::Node)),
    call(libc::SYS_symlink, "symlink", change(at(1), Links::Kept, How::Linked)),
    call(libc::SYS_link, "link", change(at(1), Links::Kept, How::Linked)),
    call(libc::SYS_unlink, "unlink", change(at(0), Links::Kept, How::Removed)),
    call(libc::SYS_rmdir, "rmdir", change(at(0), Links::Kept, How::Removed)),
    call(libc::SYS_rename, "rename", Shape::Rename { from: at(0), to: at(1) }),
    call(libc::SYS_renameat, "renameat", Shape::Rename { from: below(0, 1), to: below(2, 3) }),
    call(libc::SYS_chmod, "chmod", change(at(0), Links::Followed, How::Mode)),
    call(libc::SYS_chown, "chown", change(at(0), Links::Followed, How::Owner)),
    call(libc::SYS_lchown, "lchown", change(at(0), Links::Kept, How::Owner)),
    call(libc::SYS_utime, "utime", change(at(0), Links::Followed, How::Times)),
    call(libc::SYS_utimes, "utimes", change(at(0), Links::Followed, How::Times)),
    call(libc::SYS_futimesat, "futimesat", change(below(0, 1), Links::Followed, How::Times)),
];
#[cfg(target_arch = "aarch64")]
const OLDER: &[Call] =
    &[call(libc::SYS_renameat, "renameat", Shape::Rename { from: below(0, 1), to: below(2, 3) })];
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const OLDER: &[Call] = &[];

/// `fchmodat2` has one number everywhere (Linux 6.6); the libraries do not all name it yet.
const FCHMODAT2: libc::c_long = 452;

/// The watched call of this number.
pub(super) fn watched(number: u64) -> Option<&'static Call> {
    CALLS.iter().chain(OLDER).find(|call| u64::try_from(call.number) == Ok(number))
}

/// Why there is no filter.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// Registers and numbers of calls are known for two only.
    #[error("programs can be watched on x86-64 only")]
    Architecture,
    /// It does not compile.
    #[error("cannot make a seccomp filter")]
    Compile(#[source] BackendError),
}

/// The filter that stops watched calls for who is attached.
///
/// To be installed after attaching: without a tracer a call that is to be traced fails with `ENOSYS`.
pub fn filter() -> Result<BpfProgram, FilterError> {
    if !cfg!(target_arch = "x86_64") {
        return Err(FilterError::Architecture);
    }
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for call in CALLS.iter().chain(OLDER) {
        let conditions = match call.shape {
            Shape::Map { descriptor } => map_conditions(descriptor).map_err(FilterError::Compile)?,
            _ => Vec::new(),
        };
        rules.insert(call.number, conditions);
    }
    let traced = SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Trace(0), TargetArch::x86_64);
    traced.and_then(BpfProgram::try_from).map_err(FilterError::Compile)
}

/// Only what is mapped executable and from a file: allocators and compilers of code map much, and often.
fn map_conditions(descriptor: Arg) -> Result<Vec<SeccompRule>, BackendError> {
    let executable = u64::from(libc::PROT_EXEC.unsigned_abs());
    let number = |arg: Arg| u8::try_from(arg).unwrap_or(u8::MAX);
    let code =
        SeccompCondition::new(2, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(executable), executable)?;
    let no_file = u64::from(u32::MAX);
    let file = SeccompCondition::new(number(descriptor), SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, no_file)?;
    Ok(vec![SeccompRule::new(vec![code, file])?])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_call_is_named_once_and_found_by_its_number() {
        let mut names = BTreeSet::new();
        for call in CALLS.iter().chain(OLDER) {
            assert!(names.insert(call.name), "{}", call.name);
            let number = u64::try_from(call.number).unwrap();
            assert_eq!(watched(number), Some(call));
        }
        assert_eq!(watched(u64::MAX), None);
    }

    #[test]
    fn filter_compiles_where_programs_can_be_watched() {
        let filter = filter();
        if cfg!(target_arch = "x86_64") {
            assert!(filter.is_ok_and(|filter| !filter.is_empty()));
        } else {
            assert!(matches!(filter, Err(FilterError::Architecture)));
        }
    }
}
