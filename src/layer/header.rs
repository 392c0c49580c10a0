//! Tar headers, patched in place where that is enough and built anew where it is not.
//!
//! Keeps every byte it has no reason to change; does not know why a change is made.

use tar_core::{HEADER_SIZE, Header, PAX_LINKPATH, PAX_PATH, PAX_SIZE, PaxExtensions};

use super::stream::Member;

/// What changes in a member's headers.
#[derive(Debug, Clone, Copy, Default)]
pub struct HeaderPatch<'a> {
    /// New permission bits.
    pub mode: Option<u16>,
    /// New owner and group.
    pub owner: Option<(u32, u32)>,
    /// New name, as tar writes it: no leading `/`.
    pub path: Option<&'a [u8]>,
    /// New link target, likewise.
    pub link: Option<&'a [u8]>,
    /// New size of the content.
    pub size: Option<u64>,
    /// `security.capability` goes.
    pub drop_capabilities: bool,
}

/// The extended attribute that holds file capabilities, as PAX names it.
const CAPABILITY_RECORD: &[u8] = b"SCHILY.xattr.security.capability";

/// `member`'s headers with `patch` applied: all that stands before its content.
pub fn patched(member: &Member, patch: HeaderPatch<'_>) -> Vec<u8> {
    let pax_overrides = |keys: &[&[u8]]| {
        member.pax.as_deref().is_some_and(|pax| records(pax).iter().any(|(key, _)| keys.contains(key)))
    };
    let rebuild = patch.path.is_some()
        || patch.link.is_some()
        || (patch.drop_capabilities && pax_overrides(&[CAPABILITY_RECORD]))
        || (patch.owner.is_some() && pax_overrides(&[b"uid", b"gid", b"uname", b"gname"]))
        || (patch.size.is_some() && pax_overrides(&[PAX_SIZE.as_bytes()]));
    let mut out = if rebuild { extensions(member, patch) } else { before_main(member).to_vec() };
    let at = out.len();
    out.extend_from_slice(member.raw.get(member.main_header..).unwrap_or_default());
    if let Some(header) = out.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<HEADER_SIZE>()) {
        patch_main(header, patch);
    }
    out
}

fn before_main(member: &Member) -> &[u8] {
    member.raw.get(..member.main_header).unwrap_or_default()
}

/// The extension headers, with the records that would undo the patch left out.
fn extensions(member: &Member, patch: HeaderPatch<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = before_main(member);
    while let Some(header) = rest.first_chunk::<HEADER_SIZE>() {
        // The parser has read all of it: what it cannot have read is not there.
        let size = Header::from_bytes(header).entry_size().ok().and_then(|size| usize::try_from(size).ok());
        let size = size.unwrap_or(0).min(rest.len());
        let length = HEADER_SIZE + size.next_multiple_of(HEADER_SIZE);
        let whole = rest.get(..length).unwrap_or(rest);
        match header.get(156) {
            Some(b'L') if patch.path.is_some() => {}
            Some(b'K') if patch.link.is_some() => {}
            Some(b'x') => {
                let data =
                    kept_records(whole.get(HEADER_SIZE..HEADER_SIZE + size).unwrap_or_default(), patch);
                if !data.is_empty() {
                    let mut header = *header;
                    set_octal(header.get_mut(124..136), data.len() as u64);
                    set_checksum(&mut header);
                    out.extend_from_slice(&header);
                    push_padded(&mut out, &data);
                }
            }
            _ => out.extend_from_slice(whole),
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    if let Some(link) = patch.link.filter(|link| link.len() > 100) {
        out.extend_from_slice(&long_name(b'K', link));
    }
    if let Some(path) = patch.path.filter(|path| path.len() > 100) {
        out.extend_from_slice(&long_name(b'L', path));
    }
    out
}

fn kept_records(pax: &[u8], patch: HeaderPatch<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    for (key, value) in records(pax) {
        let stale = match key {
            key if key == PAX_PATH.as_bytes() => patch.path.is_some(),
            key if key == PAX_LINKPATH.as_bytes() => patch.link.is_some(),
            key if key == PAX_SIZE.as_bytes() => patch.size.is_some(),
            b"uid" | b"gid" | b"uname" | b"gname" => patch.owner.is_some(),
            key if key == CAPABILITY_RECORD => patch.drop_capabilities,
            _ => false,
        };
        match (key, patch.path) {
            _ if stale => {}
            // A sparse file's real name stands here, the main header holds a made-up one.
            (b"GNU.sparse.name", Some(name)) => push_record(&mut out, key, name),
            _ => push_record(&mut out, key, value),
        }
    }
    out
}

/// Key and value of every PAX record; broken ones are left out (the parser has refused them before).
fn records(pax: &[u8]) -> Vec<(&[u8], &[u8])> {
    PaxExtensions::new(pax).flatten().map(|record| (record.key_bytes(), record.value_bytes())).collect()
}

/// One PAX record: its own length in decimal, blank, key, `=`, value, newline.
fn push_record(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    out.extend_from_slice(length.to_string().as_bytes());
    out.push(b' ');
    out.extend_from_slice(key);
    out.push(b'=');
    out.extend_from_slice(value);
    out.push(b'\n');
}

fn patch_main(header: &mut [u8; HEADER_SIZE], patch: HeaderPatch<'_>) {
    if let Some(mode) = patch.mode {
        set_octal(header.get_mut(100..108), u64::from(mode));
    }
    if let Some((uid, gid)) = patch.owner {
        set_octal(header.get_mut(108..116), u64::from(uid));
        set_octal(header.get_mut(116..124), u64::from(gid));
        // Names would win over numbers for readers that look them up.
        let is_posix = header.get(257..262) == Some(b"ustar");
        for name in [265..297, 297..329] {
            if let Some(field) = header.get_mut(name).filter(|_| is_posix) {
                field.fill(0);
            }
        }
    }
    if let Some(size) = patch.size {
        set_octal(header.get_mut(124..136), size);
    }
    if let Some(path) = patch.path {
        set_name(header.get_mut(0..100), path);
        // Only POSIX headers have a prefix there; GNU ones keep times in the same bytes.
        if header.get(257..263) == Some(b"ustar\0")
            && let Some(prefix) = header.get_mut(345..500)
        {
            prefix.fill(0);
        }
    }
    if let Some(link) = patch.link {
        set_name(header.get_mut(157..257), link);
    }
    set_checksum(header);
}

fn set_name(field: Option<&mut [u8]>, name: &[u8]) {
    let Some(field) = field else { return };
    field.fill(0);
    for (slot, byte) in field.iter_mut().zip(name) {
        *slot = *byte;
    }
}

/// Writes `value` as zero-padded octal digits and NUL, or in base 256 where it does not fit.
fn set_octal(field: Option<&mut [u8]>, value: u64) {
    let Some(field) = field else { return };
    let digits = field.len() - 1;
    let text = format!("{value:0digits$o}\0");
    if text.len() == field.len() {
        field.copy_from_slice(text.as_bytes());
        return;
    }
    field.fill(0);
    for (slot, byte) in field.iter_mut().rev().zip(value.to_le_bytes()) {
        *slot = byte;
    }
    if let Some(first) = field.first_mut() {
        *first = 0x80;
    }
}

fn set_checksum(header: &mut [u8; HEADER_SIZE]) {
    if let Some(field) = header.get_mut(148..156) {
        field.fill(b' ');
    }
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    if let Some(field) = header.get_mut(148..156) {
        field.copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}

fn long_name(kind: u8, name: &[u8]) -> Vec<u8> {
    let mut header = [0; HEADER_SIZE];
    set_name(header.get_mut(0..100), b"././@LongLink");
    set_octal(header.get_mut(100..108), 0o644);
    set_octal(header.get_mut(108..116), 0);
    set_octal(header.get_mut(116..124), 0);
    set_octal(header.get_mut(124..136), name.len() as u64 + 1);
    set_octal(header.get_mut(136..148), 0);
    set_name(header.get_mut(156..157), &[kind]);
    set_name(header.get_mut(257..265), b"ustar  \0");
    set_checksum(&mut header);
    let mut out = header.to_vec();
    push_padded(&mut out, &[name, b"\0"].concat());
    out
}

/// What something new is.
#[derive(Debug, Clone, Copy)]
pub enum Fresh<'a> {
    /// A directory.
    Directory,
    /// A regular file of this size.
    File(u64),
    /// A symbolic link that says this.
    Link(&'a [u8]),
}

/// Headers of something new, times and names zero.
pub fn fresh(path: &[u8], kind: Fresh<'_>, mode: u16, uid: u32, gid: u32) -> Vec<u8> {
    let (flag, size, link): (&[u8], u64, &[u8]) = match kind {
        Fresh::Directory => (b"5", 0, b""),
        Fresh::File(size) => (b"0", size, b""),
        Fresh::Link(target) => (b"2", 0, target),
    };
    let mut out = if link.len() > 100 { long_name(b'K', link) } else { Vec::new() };
    if path.len() > 100 {
        out.extend_from_slice(&long_name(b'L', path));
    }
    let mut header = [0; HEADER_SIZE];
    set_name(header.get_mut(0..100), path);
    set_octal(header.get_mut(100..108), u64::from(mode));
    set_octal(header.get_mut(108..116), u64::from(uid));
    set_octal(header.get_mut(116..124), u64::from(gid));
    set_octal(header.get_mut(124..136), size);
    set_octal(header.get_mut(136..148), 0);
    set_name(header.get_mut(156..157), flag);
    set_name(header.get_mut(157..257), link);
    // GNU magic, because the long-name header before it is GNU's.
    set_name(header.get_mut(257..265), b"ustar  \0");
    set_checksum(&mut header);
    out.extend_from_slice(&header);
    out
}

/// Appends `data` and zeros up to the next block border.
fn push_padded(out: &mut Vec<u8>, data: &[u8]) {
    out.extend_from_slice(data);
    out.resize(out.len() + padding(data.len() as u64), 0);
}

/// Bytes of padding after `size` bytes of content.
pub fn padding(size: u64) -> usize {
    usize::try_from(size.next_multiple_of(HEADER_SIZE as u64) - size).unwrap_or(0)
}
