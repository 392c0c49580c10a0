//! Tar streams byte by byte: headers that no well-behaved writer makes.

/// One member: name and link target as they stand in the header, cut to its fields.
pub struct Member<'a> {
    pub name: &'a [u8],
    pub kind: u8,
    pub link: &'a [u8],
    pub mode: u32,
    /// What the header says; as many bytes need not follow.
    pub size: u64,
    pub content: &'a [u8],
}

impl Default for Member<'_> {
    fn default() -> Self {
        Self { name: b"f", kind: b'0', link: b"", mode: 0o644, size: 0, content: b"" }
    }
}

pub fn file<'a>(name: &'a [u8], content: &'a [u8]) -> Member<'a> {
    Member { name, content, size: content.len() as u64, ..Member::default() }
}

pub fn program<'a>(name: &'a [u8], content: &'a [u8]) -> Member<'a> {
    Member { mode: 0o755, ..file(name, content) }
}

pub fn link<'a>(kind: u8, name: &'a [u8], link: &'a [u8]) -> Member<'a> {
    Member { name, kind, link, ..Member::default() }
}

/// The members, without an end mark.
pub fn members(list: &[Member<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    for member in list {
        out.extend(header(member));
        out.extend(member.content);
        out.resize(out.len().next_multiple_of(512), 0);
    }
    out
}

/// The members and the end mark.
pub fn tar(list: &[Member<'_>]) -> Vec<u8> {
    let mut out = members(list);
    out.resize(out.len() + 1024, 0);
    out
}

/// A PAX header for the member that follows.
pub fn pax(records: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (key, value) in records {
        let rest = key.len() + value.len() + 3;
        let length = (rest..rest + 20).find(|length| *length == rest + length.to_string().len()).unwrap();
        body.extend([format!("{length} {key}=").as_bytes(), value, b"\n"].concat());
    }
    members(&[Member { name: b"pax", kind: b'x', ..file(b"", &body) }])
}

/// GNU's header for a long name of the member that follows.
pub fn long_name(name: &[u8]) -> Vec<u8> {
    members(&[Member { kind: b'L', ..file(b"././@LongLink", &[name, b"\0"].concat()) }])
}

fn header(member: &Member<'_>) -> [u8; 512] {
    let mut out = [0; 512];
    let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &member.name[..member.name.len().min(100)]);
    put(100, format!("{:07o}", member.mode).as_bytes());
    put(108, b"0000000\x000000000");
    match member.size {
        small @ ..0o100_000_000_000 => put(124, format!("{small:011o}").as_bytes()),
        large => put(124, &[&[0x80, 0, 0, 0][..], &large.to_be_bytes()].concat()),
    }
    put(136, b"00000000000");
    put(156, &[member.kind]);
    put(157, &member.link[..member.link.len().min(100)]);
    put(257, b"ustar\x0000");
    seal(&mut out);
    out
}

/// Writes the checksum.
pub fn seal(header: &mut [u8; 512]) {
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}
