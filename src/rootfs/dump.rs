//! The text form of a file tree: golden output, fixture, and what a person reads.
//!
//! One line is one entry: `PATH KIND [MODE] [UID:GID] [REST]`. Kinds: `d` directory, `f` file, `l` symbolic
//! link, `h` hard link, `c` and `b` devices, `p` pipe, `w` whiteout, `o` opaque. Names are escaped as
//! [`Escaped`] does, blanks as `\x20`. A fixture separates layers by lines `--`. Does not hold content.

use std::fmt::Write as _;

use super::identity::{Fingerprint, Identity};
use super::{Content, Entry, File, Kept, Kind, LayerIndex, Rootfs};
use crate::elf::facts::{ElfFacts, ObjectKind};
use crate::path::{Escaped, ImagePath, unescape};

/// Renders the merged tree, a line a name, in byte order of the paths.
///
/// A file: its size, and `elf` (with `is=TOOL`) or `#!…`. A hard link: the first name of its inode. Times are left out.
pub fn render(rootfs: &Rootfs) -> String {
    let mut first_names = std::collections::HashMap::new();
    let mut out = String::new();
    for (path, node) in rootfs.nodes() {
        let _ = write!(out, "{}", quote(path));
        let Some(inode) = node.inode else {
            out.push_str(" d\n");
            continue;
        };
        let Some(entry) = rootfs.member(inode) else { continue };
        if !entry.is_directory() {
            let first = first_names.entry(inode).or_insert_with(|| path.clone());
            if first != path {
                let _ = writeln!(out, " h {}", quote(first));
                continue;
            }
        }
        let meta = format!("{:04o} {}:{}", entry.mode, entry.uid, entry.gid);
        let _ = match &entry.kind {
            Kind::Directory => write!(out, " d {meta}"),
            Kind::File(file) => write!(out, " f {meta} {}{}", file.size, describe(file)),
            Kind::Symlink(target) => write!(out, " l {}", quote_bytes(target)),
            Kind::CharDevice(major, minor) => write!(out, " c {meta} {major} {minor}"),
            Kind::BlockDevice(major, minor) => write!(out, " b {meta} {major} {minor}"),
            Kind::Fifo => write!(out, " p {meta}"),
            Kind::Hardlink(_) | Kind::Whiteout | Kind::Opaque => Ok(()),
        };
        for (name, value) in entry.xattrs.iter().flat_map(|list| list.iter()) {
            let _ = write!(out, " {}={}", quote_bytes(name), quote_bytes(value));
        }
        out.push('\n');
    }
    out
}

fn describe(file: &File) -> String {
    let tool = file.identity.as_ref().and_then(|identity| identity.tool.as_ref());
    match &file.content {
        Content::Data => String::new(),
        Content::Elf(_) => tool.map_or_else(|| " elf".into(), |tool| format!(" elf is={tool}")),
        Content::ElfUnreadable => " elf-unreadable".into(),
        Content::Script(line) => format!(" #!{}", quote_bytes(line)),
    }
}

fn quote(path: &ImagePath) -> String {
    path.to_string().replace(' ', "\\x20")
}

fn quote_bytes(bytes: &[u8]) -> String {
    Escaped::new(bytes).to_string().replace(' ', "\\x20")
}

/// Reads a fixture into one index per layer. Mode and owner may be left out.
///
/// A file's rest is `"text"` with escapes, `#!interpreter` (a script of that one line), a number of bytes, or
/// `elf` with `interp=`, `needed=A,B`, `soname=`, `rpath=`, `runpath=`, `paths=A,B`, `static`, `exec`,
/// `system`, `content=NAME` (equal names, equal content) and `is=TOOL` (the catalog's marks of it are inside). Panics with the line where the text is no fixture: it is written by hand, in tests.
pub fn parse_layers(text: &str) -> Vec<LayerIndex> {
    let mut layers = vec![LayerIndex::default()];
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//")) {
        if line == "--" {
            layers.push(LayerIndex::default());
            continue;
        }
        let entry = parse_entry(line).unwrap_or_else(|| unreachable!("no fixture line: {line}"));
        if let Some(layer) = layers.last_mut() {
            layer.entries.push(entry);
        }
    }
    layers
}

/// Reads a fixture and merges its layers. Panics as [`parse_layers`] does.
pub fn parse_image(text: &str) -> Rootfs {
    Rootfs::merge(parse_layers(text)).unwrap_or_else(|error| unreachable!("fixture does not merge: {error}"))
}

fn parse_entry(line: &str) -> Option<Entry> {
    let (path, rest) = line.split_once(' ')?;
    let path = ImagePath::unescape(path)?;
    let (kind, mut rest) = rest.split_once(' ').unwrap_or((rest, ""));
    rest = rest.trim_start();
    let mut mode = match kind {
        "d" => 0o755,
        "l" => 0o777,
        _ => 0o644,
    };
    let (mut uid, mut gid) = (0, 0);
    let (word, tail) = rest.split_once(' ').unwrap_or((rest, ""));
    if word.len() == 4 && word.bytes().all(|byte| (b'0'..=b'7').contains(&byte)) {
        mode = u16::from_str_radix(word, 8).ok()?;
        rest = tail;
    }
    let (word, tail) = rest.split_once(' ').unwrap_or((rest, ""));
    if let Some((user, group)) = word.split_once(':')
        && let (Ok(user), Ok(group)) = (user.parse(), group.parse())
    {
        (uid, gid) = (user, group);
        rest = tail;
    }
    let kind = match kind {
        "d" => Kind::Directory,
        "f" => Kind::File(parse_file(rest)?),
        "l" => Kind::Symlink(unescape(rest)?.into()),
        "h" => Kind::Hardlink(ImagePath::unescape(rest)?),
        "p" => Kind::Fifo,
        "w" => Kind::Whiteout,
        "o" => Kind::Opaque,
        "c" | "b" => {
            let (major, minor) = rest.split_once(' ')?;
            let (major, minor) = (major.parse().ok()?, minor.parse().ok()?);
            if kind == "c" { Kind::CharDevice(major, minor) } else { Kind::BlockDevice(major, minor) }
        }
        _ => return None,
    };
    Some(Entry { path, kind, mode, uid, gid, mtime: 0, xattrs: None })
}

fn parse_file(rest: &str) -> Option<File> {
    let rest = rest.trim();
    if rest.is_empty() {
        return Some(File::default());
    }
    if let Some(text) = rest.strip_prefix('"') {
        let bytes = unescape(text.strip_suffix('"')?)?;
        let content = match bytes.strip_prefix(b"#!") {
            Some(line) => Content::Script(
                line.split(|&byte| byte == b'\n').next().unwrap_or_default().trim_ascii().into(),
            ),
            None => Content::Data,
        };
        let identity = matches!(content, Content::Script(_)).then(|| Box::new(identity(&bytes, None)));
        return Some(File { size: bytes.len() as u64, content, bytes: Some(Kept::new(&bytes)), identity });
    }
    if let Some(line) = rest.strip_prefix("#!") {
        let bytes = format!("#!{line}\n").into_bytes();
        return Some(File {
            size: bytes.len() as u64,
            content: Content::Script(line.trim().as_bytes().into()),
            identity: Some(Box::new(identity(&bytes, None))),
            bytes: Some(Kept::new(&bytes)),
        });
    }
    if let Some(options) = rest.strip_prefix("elf") {
        let mut facts = ElfFacts { machine: 62, ..ElfFacts::default() };
        let (mut content, mut tool) = (None, None);
        for option in options.split_whitespace() {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            let list = || value.split(',').map(|item| Box::from(item.as_bytes())).collect();
            let bytes = || Some(Box::from(value.as_bytes()));
            match name {
                "interp" => facts.interpreter = bytes(),
                "needed" => facts.needed = list(),
                "soname" => facts.soname = bytes(),
                "rpath" => facts.rpath = bytes(),
                "runpath" => facts.runpath = bytes(),
                "paths" => facts.paths = list(),
                "static" => {}
                "exec" => facts.kind = ObjectKind::Executable,
                "system" => facts.calls_shell = true,
                "content" => content = Some(value),
                "is" => tool = Some(value),
                _ => return None,
            }
        }
        let named = content.or(tool);
        let identity = named.map(|content| Box::new(identity(content.as_bytes(), tool)));
        return Some(File { size: 1000, content: Content::Elf(Box::new(facts)), bytes: None, identity });
    }
    let size: u64 = rest.parse().ok()?;
    Some(File { size, ..File::default() })
}

fn identity(bytes: &[u8], tool: Option<&str>) -> Identity {
    Identity { fingerprint: Fingerprint::of(bytes), tool: tool.map(Box::from) }
}
