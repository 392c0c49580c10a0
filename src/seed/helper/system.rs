//! The kernel, as far as the helper needs it: raw system calls behind safe functions.
//!
//! Follows no symbolic link: every path is one name in a directory that is open.

use core::arch::asm;
use core::ffi::CStr;

use super::records::MAX_NAME;

/// Number of an error, as the kernel gives it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Errno(pub i32);

impl Errno {
    pub const PERM: Self = Self(1);
    pub const NOENT: Self = Self(2);
    pub const AGAIN: Self = Self(11);
    pub const ACCES: Self = Self(13);
    pub const EXIST: Self = Self(17);
    pub const NOTDIR: Self = Self(20);
    pub const INVAL: Self = Self(22);
    pub const FBIG: Self = Self(27);
    pub const NOSYS: Self = Self(38);
    pub const NOTEMPTY: Self = Self(39);
    pub const LOOP: Self = Self(40);

    /// What errors that an operator meets are called.
    pub fn name(self) -> &'static str {
        match self.0 {
            1 => "EPERM",
            2 => "ENOENT",
            5 => "EIO",
            13 => "EACCES",
            16 => "EBUSY",
            17 => "EEXIST",
            20 => "ENOTDIR",
            21 => "EISDIR",
            22 => "EINVAL",
            27 => "EFBIG",
            28 => "ENOSPC",
            30 => "EROFS",
            36 => "ENAMETOOLONG",
            38 => "ENOSYS",
            39 => "ENOTEMPTY",
            40 => "ELOOP",
            122 => "EDQUOT",
            _ => "errno",
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod number {
    pub const READ: usize = 0;
    pub const WRITE: usize = 1;
    pub const CLOSE: usize = 3;
    pub const MMAP: usize = 9;
    pub const FLOCK: usize = 73;
    pub const FCHMOD: usize = 91;
    pub const UMASK: usize = 95;
    pub const GETDENTS64: usize = 217;
    pub const EXIT_GROUP: usize = 231;
    pub const OPENAT: usize = 257;
    pub const MKDIRAT: usize = 258;
    pub const MKNODAT: usize = 259;
    pub const UNLINKAT: usize = 263;
    pub const SYMLINKAT: usize = 266;
    pub const READLINKAT: usize = 267;
    pub const UTIMENSAT: usize = 280;
    pub const SYNCFS: usize = 306;
    pub const RENAMEAT2: usize = 316;
    pub const STATX: usize = 332;
}

#[cfg(target_arch = "aarch64")]
mod number {
    pub const FLOCK: usize = 32;
    pub const MKNODAT: usize = 33;
    pub const MKDIRAT: usize = 34;
    pub const UNLINKAT: usize = 35;
    pub const SYMLINKAT: usize = 36;
    pub const FCHMOD: usize = 52;
    pub const OPENAT: usize = 56;
    pub const CLOSE: usize = 57;
    pub const GETDENTS64: usize = 61;
    pub const READ: usize = 63;
    pub const WRITE: usize = 64;
    pub const READLINKAT: usize = 78;
    pub const UTIMENSAT: usize = 88;
    pub const EXIT_GROUP: usize = 94;
    pub const UMASK: usize = 166;
    pub const MMAP: usize = 222;
    pub const SYNCFS: usize = 267;
    pub const RENAMEAT2: usize = 276;
    pub const STATX: usize = 291;
}

/// # Safety
///
/// As the system call demands: what is a pointer must be one, to as many bytes as the kernel reads or writes there.
#[cfg(target_arch = "x86_64")]
unsafe fn call(number: usize, [a, b, c, d, e, f]: [usize; 6]) -> isize {
    let result;
    // SAFETY: the kernel's convention; it keeps all registers but these. What the call does is the caller's promise.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e, in("r9") f,
            lateout("rcx") _, lateout("r11") _,
            options(nostack)
        );
    }
    result
}

/// # Safety
///
/// As the system call demands: what is a pointer must be one, to as many bytes as the kernel reads or writes there.
#[cfg(target_arch = "aarch64")]
unsafe fn call(number: usize, [a, b, c, d, e, f]: [usize; 6]) -> isize {
    let result;
    // SAFETY: the kernel's convention; it keeps all registers but this one. What the call does is the caller's promise.
    unsafe {
        asm!(
            "svc 0",
            in("x8") number,
            inlateout("x0") a => result,
            in("x1") b, in("x2") c, in("x3") d, in("x4") e, in("x5") f,
            options(nostack)
        );
    }
    result
}

fn result(value: isize) -> Result<usize, Errno> {
    match usize::try_from(value) {
        Ok(value) => Ok(value),
        Err(_) => Err(Errno(i32::try_from(-value).unwrap_or(Errno::INVAL.0))),
    }
}

/// A call whose arguments are numbers only.
fn plain(number: usize, arguments: [usize; 6]) -> Result<usize, Errno> {
    // SAFETY: used below with calls only that take no pointer, or null where they may.
    result(unsafe { call(number, arguments) })
}

/// A call with a name in a directory as its second argument.
fn named(number: usize, directory: &Fd, name: &CStr, rest: [usize; 4]) -> Result<usize, Errno> {
    let [c, d, e, f] = rest;
    // SAFETY: the name ends with a NUL and outlives the call; used below with calls only whose other arguments are numbers.
    result(unsafe { call(number, [directory.0, name.as_ptr() as usize, c, d, e, f]) })
}

/// An open file, closed when it is dropped.
pub struct Fd(usize);

impl Drop for Fd {
    fn drop(&mut self) {
        // Nothing written is held back until here: a failing close tells nothing that matters.
        let _ = plain(number::CLOSE, [self.0, 0, 0, 0, 0, 0]);
    }
}

/// How something is opened; never through a link, and never handed on.
#[derive(Clone, Copy)]
pub struct How(usize);

const CLOEXEC: usize = 0o2_000_000;
#[cfg(target_arch = "x86_64")]
const DIRECTORY: usize = 0o200_000;
#[cfg(target_arch = "x86_64")]
const NOFOLLOW: usize = 0o400_000;
#[cfg(target_arch = "aarch64")]
const DIRECTORY: usize = 0o40_000;
#[cfg(target_arch = "aarch64")]
const NOFOLLOW: usize = 0o100_000;

impl How {
    /// A directory to pass through (`O_PATH`).
    pub const PASS: Self = Self(0o10_000_000 | DIRECTORY | NOFOLLOW | CLOEXEC);
    /// A directory, to change it.
    pub const LIST: Self = Self(DIRECTORY | NOFOLLOW | CLOEXEC);
    /// A file, to read it; a pipe of that name keeps nobody waiting.
    pub const READ: Self = Self(0o4000 | NOFOLLOW | CLOEXEC);
    /// A file that is not there yet, for its owner only.
    pub const CREATE: Self = Self(0o1 | 0o100 | 0o200 | NOFOLLOW | CLOEXEC);
}

/// Opens the top of everything.
pub fn open_root() -> Result<Fd, Errno> {
    // An absolute path needs no directory.
    open(&Fd(usize::MAX), c"/", How::PASS)
}

pub fn open(directory: &Fd, name: &CStr, how: How) -> Result<Fd, Errno> {
    named(number::OPENAT, directory, name, [how.0, 0o600, 0, 0]).map(Fd)
}

pub fn make_directory(directory: &Fd, name: &CStr) -> Result<(), Errno> {
    named(number::MKDIRAT, directory, name, [0o700, 0, 0, 0]).map(drop)
}

pub fn make_pipe(directory: &Fd, name: &CStr, mode: u32) -> Result<(), Errno> {
    named(number::MKNODAT, directory, name, [(PIPE | mode) as usize, 0, 0, 0]).map(drop)
}

pub fn remove(directory: &Fd, name: &CStr) -> Result<(), Errno> {
    named(number::UNLINKAT, directory, name, [0; 4]).map(drop)
}

/// Removes a directory that is empty; what is none is `NOTDIR`, a link to one included.
pub fn remove_directory(directory: &Fd, name: &CStr) -> Result<(), Errno> {
    const REMOVEDIR: usize = 0x200;
    named(number::UNLINKAT, directory, name, [REMOVEDIR, 0, 0, 0]).map(drop)
}

/// A name in a directory, with its NUL.
pub struct Name {
    bytes: [u8; MAX_NAME + 1],
    length: usize,
}

impl Name {
    pub fn new(name: &[u8]) -> Option<Self> {
        let mut bytes = [0; MAX_NAME + 1];
        bytes.get_mut(..name.len()).filter(|_| name.len() <= MAX_NAME)?.copy_from_slice(name);
        Some(Self { bytes, length: name.len() })
    }

    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    pub fn text(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or_default()
    }
}

/// The first name in `directory` that is `wanted`, itself and what is above it left out.
pub fn find(directory: &Fd, wanted: impl Fn(&[u8]) -> bool) -> Result<Option<Name>, Errno> {
    // Of a record of the kernel: its length, then where the name begins.
    const LENGTH: usize = 16;
    const NAME: usize = 19;
    // A place of its own in the directory: at its beginning.
    let listed = open(directory, c".", How::LIST)?;
    let mut records = [0_u8; 2048];
    loop {
        let arguments = [listed.0, records.as_mut_ptr() as usize, records.len(), 0, 0, 0];
        // SAFETY: the kernel writes no more than the length into what is borrowed for that.
        let filled = result(unsafe { call(number::GETDENTS64, arguments) })?;
        if filled == 0 {
            return Ok(None);
        }
        let mut rest = records.get(..filled).unwrap_or_default();
        while let (Some(&[low, high]), Some(name)) = (rest.get(LENGTH..LENGTH + 2), rest.get(NAME..)) {
            let name = name.split(|&byte| byte == 0).next().unwrap_or_default();
            if !matches!(name, b"." | b"..") && wanted(name) {
                return Name::new(name).map(Some).ok_or(Errno::INVAL);
            }
            // A record is at least as long as what was read of it.
            let length = usize::from(u16::from_le_bytes([low, high])).max(NAME);
            rest = rest.get(length..).unwrap_or_default();
        }
    }
}

pub fn make_link(target: &CStr, directory: &Fd, name: &CStr) -> Result<(), Errno> {
    let arguments = [target.as_ptr() as usize, directory.0, name.as_ptr() as usize, 0, 0, 0];
    // SAFETY: both texts end with a NUL and outlive the call.
    result(unsafe { call(number::SYMLINKAT, arguments) }).map(drop)
}

/// Reads where a link leads; how many bytes of `target` that is.
pub fn read_link(directory: &Fd, name: &CStr, target: &mut [u8]) -> Result<usize, Errno> {
    let (pointer, length) = (target.as_mut_ptr() as usize, target.len());
    named(number::READLINKAT, directory, name, [pointer, length, 0, 0])
}

/// Renames and replaces nothing, where the file system can tell that in one step; else whoever asks has looked.
pub fn rename(from: &Fd, name: &CStr, to: &Fd, new: &CStr) -> Result<(), Errno> {
    const NOREPLACE: usize = 1;
    let with = |flags| {
        let arguments = [from.0, name.as_ptr() as usize, to.0, new.as_ptr() as usize, flags, 0];
        // SAFETY: both names end with a NUL and outlive the call.
        result(unsafe { call(number::RENAMEAT2, arguments) }).map(drop)
    };
    match with(NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS) => with(0),
        other => other,
    }
}

pub fn set_mode(file: &Fd, mode: u32) -> Result<(), Errno> {
    plain(number::FCHMOD, [file.0, mode as usize, 0, 0, 0, 0]).map(drop)
}

/// No bit of a mode is taken away.
pub fn clear_umask() {
    let _ = plain(number::UMASK, [0; 6]);
}

/// Holds `directory` until the process ends; gives `AGAIN` where somebody else does, unless it `waits` for that. Where locks
/// are not known there is none.
pub fn lock(directory: &Fd, waits: bool) -> Result<(), Errno> {
    const EXCLUSIVE: usize = 2;
    const NOT_BLOCKING: usize = 4;
    let operation = if waits { EXCLUSIVE } else { EXCLUSIVE | NOT_BLOCKING };
    match plain(number::FLOCK, [directory.0, operation, 0, 0, 0, 0]) {
        Err(Errno::AGAIN) => Err(Errno::AGAIN),
        _ => Ok(()),
    }
}

/// What was written to the file system of `file` outlives the machine from here on; whether that was to be had: a profile for
/// system calls that was made for the app may forbid it.
pub fn sync(file: &Fd) -> Result<bool, Errno> {
    match plain(number::SYNCFS, [file.0, 0, 0, 0, 0, 0]) {
        Ok(_) => Ok(true),
        Err(Errno::PERM | Errno::NOSYS) => Ok(false),
        Err(errno) => Err(errno),
    }
}

pub fn read(file: &Fd, into: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: the kernel writes no more than the length into what is borrowed for that.
    result(unsafe { call(number::READ, [file.0, into.as_mut_ptr() as usize, into.len(), 0, 0, 0]) })
}

pub fn write(file: &Fd, from: &[u8]) -> Result<usize, Errno> {
    // SAFETY: the kernel reads no more than the length of what is borrowed.
    result(unsafe { call(number::WRITE, [file.0, from.as_ptr() as usize, from.len(), 0, 0, 0]) })
}

/// Says something on stderr; whether anybody listens is all the same.
pub fn say(text: &[u8]) {
    let stderr = core::mem::ManuallyDrop::new(Fd(2));
    let _ = write(&stderr, text);
}

pub fn exit(status: u8) -> ! {
    loop {
        let _ = plain(number::EXIT_GROUP, [usize::from(status), 0, 0, 0, 0, 0]);
    }
}

/// All bytes of `file`, of which it has `length`, as long as the process lives.
pub fn map(file: &Fd, length: usize) -> Result<&'static [u8], Errno> {
    const READ: usize = 1;
    const PRIVATE: usize = 2;
    let at = plain(number::MMAP, [0, length, READ, PRIVATE, file.0, 0])?;
    // SAFETY: the kernel mapped so many bytes there to be read, and nobody unmaps them. They lie on the image, which is
    // mounted read-only or belongs to root.
    Ok(unsafe { core::slice::from_raw_parts(at as *const u8, length) })
}

const KIND: u32 = 0o170_000;
const PIPE: u32 = 0o010_000;

/// `struct statx`, as far as it is looked at.
#[repr(C)]
pub struct Facts {
    mask: u32,
    block: u32,
    attributes: u64,
    links: u32,
    uid: u32,
    gid: u32,
    mode: u16,
    spare: u16,
    inode: u64,
    pub size: u64,
    blocks: u64,
    attributes_known: u64,
    times: [[u64; 2]; 3],
    changed: [u64; 2],
    device: [u32; 4],
    more: [u64; 14],
}

impl Facts {
    const EMPTY: Self = Self {
        mask: 0,
        block: 0,
        attributes: 0,
        links: 0,
        uid: 0,
        gid: 0,
        mode: 0,
        spare: 0,
        inode: 0,
        size: 0,
        blocks: 0,
        attributes_known: 0,
        times: [[0; 2]; 3],
        changed: [0; 2],
        device: [0; 4],
        more: [0; 14],
    };

    fn is(&self, kind: u32) -> bool {
        u32::from(self.mode) & KIND == kind
    }

    pub fn is_directory(&self) -> bool {
        self.is(0o040_000)
    }

    pub fn is_file(&self) -> bool {
        self.is(0o100_000)
    }

    /// Whether something is mounted here, in a directory of `above`.
    pub fn is_mount_of(&self, above: &Self) -> bool {
        // Since Linux 5.8. A directory bound from the same file system has the same device.
        const MOUNT_ROOT: u64 = 0x2000;
        if self.attributes_known & MOUNT_ROOT != 0 {
            self.attributes & MOUNT_ROOT != 0
        } else {
            self.device[2..] != above.device[2..]
        }
    }
}

/// What stands at `name`, a link itself included.
pub fn look(directory: &Fd, name: &CStr) -> Result<Facts, Errno> {
    const SYMLINK_NOFOLLOW: usize = 0x100;
    const EMPTY_PATH: usize = 0x1000;
    const BASIC: usize = 0x7ff;
    let mut facts = Facts::EMPTY;
    let into = (&raw mut facts) as usize;
    named(number::STATX, directory, name, [SYMLINK_NOFOLLOW | EMPTY_PATH, BASIC, into, 0])?;
    Ok(facts)
}

/// Gives `file` the time of the last change of what `facts` are of.
pub fn set_time(file: &Fd, facts: &Facts) -> Result<(), Errno> {
    const OMIT: u64 = (1 << 30) - 2;
    // The kernel has 32 bits of nanoseconds and 32 that are none there.
    let times: [[u64; 2]; 2] = [[0, OMIT], [facts.changed[0], facts.changed[1] & 0xffff_ffff]];
    // SAFETY: two times, as the call wants them; without a name it is about the file itself.
    result(unsafe { call(number::UTIMENSAT, [file.0, 0, (&raw const times) as usize, 0, 0, 0]) }).map(drop)
}
