//! `/.kiln/seed`: fills the volumes of a pod with what the image has at their paths, before the app starts.
//!
//! Takes no argument and reads no environment: `/.kiln/seeds`, a table that kiln wrote into the image, says what is copied.
//! Each tree goes into the directory `tree` of the volume that is mounted for it below `/.kiln/volumes`, as the user whom the
//! container runs as. It is made under another name and renamed when it is whole, so that it is there whole or not at all.
//! What an earlier run left that was interrupted is made anew; where there is a tree with anything in it, nothing is changed;
//! a volume without one that holds something else is refused, for an app on a copy would not see what is there. No link is
//! followed, nothing is overwritten, and nothing becomes setuid or setgid. Names of one file become files of their own, and
//! holes of a sparse one are filled.
//!
//! A program of its own, not a module of kiln: without the standard library and without an allocation.
#![no_std]
#![no_main]

#[path = "../records.rs"]
mod records;
mod system;

use core::ffi::CStr;

use records::{Kind, MAX_NAME, MAX_PATH, MAX_TABLE, Record};
use system::{Errno, Fd, How, Name};

// The stack is as the kernel left it, and nothing on it is looked at.
#[cfg(target_arch = "x86_64")]
core::arch::global_asm!(".globl _start", "_start:", "xor %ebp, %ebp", "and $-16, %rsp", "call {}", "ud2", sym start, options(att_syntax));
#[cfg(target_arch = "aarch64")]
core::arch::global_asm!(".globl _start", "_start:", "mov x29, xzr", "mov x30, xzr", "bl {}", "brk 1", sym start);

/// The table.
const TABLE: &CStr = c"seeds";
/// Below it volumes are mounted, each at the path of its tree.
const VOLUMES: &CStr = c"volumes";
/// What a tree is called in its volume.
const TREE: &CStr = c"tree";
/// What it is called until it is whole.
const NEW: &CStr = c".kiln-new";
/// What a file is called until it is whole.
const PART: &CStr = c".kiln-part";
/// What may stand at the top of a volume that is to be filled: those, and what file systems put there themselves.
const OWN: [&CStr; 4] = [TREE, NEW, PART, c"lost+found"];
/// Most names that are removed of what an interrupted run left: more than a table of records can have made.
const MAX_REMOVED: usize = MAX_TABLE / 8;
/// A directory itself.
const SELF: &CStr = c".";
/// How much of a file is copied at once.
const PIECE: usize = 64 << 10;

/// What could not be done, and where.
struct Failed<'a> {
    tree: &'a [u8],
    path: &'a [u8],
    act: &'static str,
    /// What was met.
    met: Option<Name>,
    errno: Errno,
}

extern "C" fn start() -> ! {
    system::clear_umask();
    match run(&mut [0; PIECE]) {
        Ok(()) => system::exit(0),
        Err(failed) => {
            let slash: &[u8] = if failed.path.is_empty() { b"" } else { b"/" };
            let mut digits = [0; 10];
            tell(&[
                failed.tree,
                slash,
                failed.path,
                b": ",
                failed.act.as_bytes(),
                if failed.met.is_some() { b" " } else { b"" },
                failed.met.as_ref().map_or(b"", Name::as_bytes),
                b": ",
                failed.errno.name().as_bytes(),
                b" ",
                decimal(failed.errno.0, &mut digits),
            ]);
            system::exit(1)
        }
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    system::say(b"kiln-seed: a bug\n");
    system::exit(70)
}

/// Says one line; what a terminal could act on is a `?`.
fn tell(parts: &[&[u8]]) {
    let mut line = [0; 1024];
    let all = [b"kiln-seed: ".as_slice()].into_iter().chain(parts.iter().copied()).flatten();
    let mut length = 0;
    for (slot, byte) in line.iter_mut().zip(all) {
        *slot = if (b' '..0x7f).contains(byte) { *byte } else { b'?' };
        length += 1;
    }
    // A longer line is cut; its end is the line's end in any case.
    if let Some(end) = line.get_mut(length.min(1023)) {
        *end = b'\n';
        system::say(line.get(..=length.min(1023)).unwrap_or_default());
    }
}

fn decimal(number: i32, digits: &mut [u8; 10]) -> &[u8] {
    let mut left = number.unsigned_abs();
    let mut at = digits.len();
    for (index, digit) in digits.iter_mut().enumerate().rev() {
        *digit = b'0' + u8::try_from(left % 10).unwrap_or_default();
        left /= 10;
        at = index;
        if left == 0 {
            break;
        }
    }
    digits.get(at..).unwrap_or_default()
}

fn run(piece: &mut [u8]) -> Result<(), Failed<'static>> {
    let failed = |act, errno| Failed { tree: b"/.kiln/seeds", path: b"", act, met: None, errno };
    let root = system::open_root().map_err(|errno| failed("open the root", errno))?;
    let own = system::open(&root, c".kiln", How::PASS).map_err(|errno| failed("open /.kiln", errno))?;
    let table = read_table(&own).map_err(|errno| failed("read", errno))?;
    let mut copying: Option<Copying> = None;
    let mut records = records::records(table).peekable();
    while let Some(record) = records.next() {
        let Ok(record) = record else { return Err(failed("is no table of seeds", Errno::INVAL)) };
        match (record.kind, &mut copying) {
            (Kind::Tree, _) => {
                if let Some(done) = copying.take() {
                    done.finish()?;
                }
                let has_entries = matches!(records.peek(), Some(Ok(next)) if next.kind != Kind::Tree);
                copying = Some(Copying::begin(&root, &own, &record, has_entries)?);
            }
            (_, Some(copying)) => copying.copy(&record, piece)?,
            // The table's own rule: there is a tree before anything in it.
            (_, None) => return Err(failed("is no table of seeds", Errno::INVAL)),
        }
    }
    copying.map_or(Ok(()), Copying::finish)
}

fn read_table(own: &Fd) -> Result<&'static [u8], Errno> {
    let file = system::open(own, TABLE, How::READ)?;
    let facts = system::look(&file, c"")?;
    match usize::try_from(facts.size) {
        Ok(length @ 1..=MAX_TABLE) if facts.is_file() => system::map(&file, length),
        _ => Err(Errno::FBIG),
    }
}

/// `name` with a NUL after it, in `buffer`.
fn text<'b>(name: &[u8], buffer: &'b mut [u8]) -> Result<&'b CStr, Errno> {
    let place = buffer.get_mut(..=name.len()).ok_or(Errno::INVAL)?;
    if let Some((last, rest)) = place.split_last_mut() {
        rest.copy_from_slice(name);
        *last = 0;
    }
    CStr::from_bytes_with_nul(place).map_err(|_| Errno::INVAL)
}

/// The directory at `path` below `base`, through no link.
fn walk(base: &Fd, path: &[u8], last: How) -> Result<Fd, Errno> {
    let mut at = system::open(base, SELF, if path.is_empty() { last } else { How::PASS })?;
    let mut names = path.split(|&byte| byte == b'/').filter(|name| !name.is_empty()).peekable();
    while let Some(name) = names.next() {
        let how = if names.peek().is_some() { How::PASS } else { last };
        at = system::open(&at, text(name, &mut [0; MAX_NAME + 1])?, how)?;
    }
    Ok(at)
}

/// The directory and the name of a path.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(at) => (path.get(..at).unwrap_or_default(), path.get(at + 1..).unwrap_or_default()),
        None => (b"", path),
    }
}

/// A tree that is copied.
struct Copying {
    tree: &'static [u8],
    /// `None` where the volume was filled before.
    open: Option<Open>,
}

struct Open {
    volume: Fd,
    source: Fd,
    copy: Fd,
    /// The directory that was used last, in the image and in the copy: entries come in the order of their paths.
    parent: Option<(&'static [u8], Fd, Fd)>,
}

impl Copying {
    fn begin(
        root: &Fd,
        own: &Fd,
        record: &Record<'static>,
        has_entries: bool,
    ) -> Result<Self, Failed<'static>> {
        let tree = record.path;
        let failed = |act| move |errno| Failed { tree, path: b"", act, met: None, errno };
        let volumes = system::open(own, VOLUMES, How::PASS).map_err(failed("open /.kiln/volumes"))?;
        let volume =
            walk(&volumes, tree, How::LIST).map_err(failed("open its volume below /.kiln/volumes"))?;
        let above = system::look(&volumes, c"").map_err(failed("look at /.kiln/volumes"))?;
        let facts = system::look(&volume, c"").map_err(failed("look at its volume"))?;
        if !facts.is_mount_of(&above) {
            return Err(failed("no volume is mounted for it below /.kiln/volumes")(Errno::INVAL));
        }
        // Of a claim that two pods share the second waits.
        if system::lock(&volume, false) == Err(Errno::AGAIN) {
            tell(&[tree, b": waits for another pod that fills its volume"]);
            system::lock(&volume, true).map_err(failed("lock its volume"))?;
        }
        let is_there = match system::look(&volume, TREE) {
            Ok(facts) if facts.is_directory() => true,
            Ok(_) => return Err(failed("`tree` of its volume is no directory")(Errno::NOTDIR)),
            Err(Errno::NOENT) => false,
            Err(errno) => return Err(failed("look at `tree` of its volume")(errno)),
        };
        if is_there && !(has_entries && is_empty(&volume).map_err(failed("list `tree` of its volume"))?) {
            return Ok(Self { tree, open: None });
        }
        let is_foreign = |name: &[u8]| OWN.iter().all(|own| own.to_bytes() != name);
        if let Some(met) = system::find(&volume, is_foreign).map_err(failed("list its volume"))? {
            let act = "its volume has no `tree` yet, and holds what that would hide:";
            return Err(Failed { met: Some(met), ..failed(act)(Errno::EXIST) });
        }
        if is_there {
            // The kubelet makes a directory that it is to mount and that is not there, for everybody.
            system::remove_directory(&volume, TREE).map_err(failed("remove the empty `tree` of its volume"))?;
        }
        clear(&volume, PART).map_err(failed("remove `.kiln-part` from its volume"))?;
        clear(&volume, NEW).map_err(failed("remove `.kiln-new` from its volume"))?;
        let copy = make_directory(&volume, NEW, record.mode).map_err(failed("make it in its volume"))?;
        let source = walk(root, tree, How::PASS).map_err(failed("open it in the image"))?;
        Ok(Self { tree, open: Some(Open { volume, source, copy, parent: None }) })
    }

    fn copy(&mut self, record: &Record<'static>, piece: &mut [u8]) -> Result<(), Failed<'static>> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let tree = self.tree;
        let failed = |act| move |errno| Failed { tree, path: record.path, act, met: None, errno };
        let (directory, name) = split(record.path);
        if open.parent.as_ref().is_none_or(|(path, _, _)| *path != directory) {
            let source = walk(&open.source, directory, How::PASS)
                .map_err(failed("open its directory in the image"))?;
            let copy =
                walk(&open.copy, directory, How::PASS).map_err(failed("open its directory in the volume"))?;
            open.parent = Some((directory, source, copy));
        }
        let Some((_, source, copy)) = &open.parent else { return Ok(()) };
        let mut buffer = [0; MAX_NAME + 1];
        let name = text(name, &mut buffer).map_err(failed("name"))?;
        match record.kind {
            Kind::Directory => make_directory(copy, name, record.mode).map(drop).map_err(failed("make")),
            Kind::File => copy_file(&open.volume, source, copy, name, record.mode, piece)
                .map_err(|(act, errno)| failed(act)(errno)),
            Kind::Link => copy_link(source, copy, name).map_err(failed("link")),
            Kind::Pipe => system::make_pipe(copy, name, record.mode).map_err(failed("make")),
            Kind::Tree => Ok(()),
        }
    }

    /// Gives the tree its name: it is whole.
    fn finish(self) -> Result<(), Failed<'static>> {
        let tree = self.tree;
        let failed = |act| move |errno| Failed { tree, path: b"", act, met: None, errno };
        let Some(open) = self.open else {
            tell(&[tree, b": its volume was filled before"]);
            return Ok(());
        };
        let is_safe = system::sync(&open.volume).map_err(failed("sync"))?;
        system::rename(&open.volume, NEW, &open.volume, TREE).map_err(failed("rename it to `tree`"))?;
        let unsafe_yet: &[u8] =
            if is_safe { b"" } else { b"; syncfs is refused: a power cut in the next minute can leave it in pieces" };
        tell(&[tree, b": copied to its volume", unsafe_yet]);
        Ok(())
    }
}

/// Whether there is nothing in the tree of `volume`. Of one that its user may not list somebody has made something.
fn is_empty(volume: &Fd) -> Result<bool, Errno> {
    match system::open(volume, TREE, How::LIST) {
        Ok(tree) => Ok(system::find(&tree, |_| true)?.is_none()),
        Err(Errno::ACCES) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Removes `name` from `volume` with all that is in it.
fn clear(volume: &Fd, name: &CStr) -> Result<(), Errno> {
    for _ in 0..MAX_REMOVED {
        let mut at = system::open(volume, SELF, How::LIST)?;
        let mut next = Name::new(name.to_bytes()).ok_or(Errno::INVAL)?;
        // One name at a time, from the top: however deep it is, one directory is open.
        loop {
            match system::remove_directory(&at, next.text()) {
                Ok(()) => break,
                Err(Errno::NOENT) => return Ok(()),
                Err(Errno::NOTDIR) => {
                    system::remove(&at, next.text())?;
                    break;
                }
                Err(Errno::NOTEMPTY | Errno::EXIST) => {
                    at = system::open(&at, next.text(), How::LIST)?;
                    match system::find(&at, |_| true)? {
                        Some(name) => next = name,
                        None => break,
                    }
                }
                Err(errno) => return Err(errno),
            }
        }
    }
    Err(Errno::NOTEMPTY)
}

/// Makes the directory `name`, with `mode`.
fn make_directory(parent: &Fd, name: &CStr, mode: u32) -> Result<Fd, Errno> {
    system::make_directory(parent, name)?;
    let made = system::open(parent, name, How::LIST)?;
    system::set_mode(&made, mode)?;
    Ok(made)
}

fn copy_link(source: &Fd, copy: &Fd, name: &CStr) -> Result<(), Errno> {
    let mut target = [0; MAX_PATH + 1];
    let length = system::read_link(source, name, &mut target)?;
    // One byte is left for the NUL, or it is longer than a path may be.
    let target = target.get(..=length).ok_or(Errno::LOOP)?;
    let target = CStr::from_bytes_with_nul(target).map_err(|_| Errno::INVAL)?;
    system::make_link(target, copy, name)
}

fn copy_file(
    volume: &Fd,
    source: &Fd,
    copy: &Fd,
    name: &CStr,
    mode: u32,
    piece: &mut [u8],
) -> Result<(), (&'static str, Errno)> {
    let failed = |act| move |errno| (act, errno);
    match system::look(copy, name) {
        Ok(_) => return Err(("is something else in the volume", Errno::EXIST)),
        Err(Errno::NOENT) => {}
        Err(errno) => return Err(("look at it in the volume", errno)),
    }
    let from = system::open(source, name, How::READ).map_err(failed("open"))?;
    let facts = system::look(&from, c"").map_err(failed("look at"))?;
    if !facts.is_file() {
        return Err(("is no file in the image", Errno::INVAL));
    }
    let to = system::open(volume, PART, How::CREATE).map_err(failed("make"))?;
    loop {
        let length = system::read(&from, piece).map_err(failed("read"))?;
        let mut rest = piece.get(..length).unwrap_or_default();
        if rest.is_empty() {
            break;
        }
        while !rest.is_empty() {
            let written = system::write(&to, rest).map_err(failed("write"))?;
            rest = rest.get(written..).unwrap_or_default();
        }
    }
    system::set_mode(&to, mode).map_err(failed("set the mode of"))?;
    system::set_time(&to, &facts).map_err(failed("set the time of"))?;
    system::rename(volume, PART, copy, name).map_err(failed("rename"))
}
