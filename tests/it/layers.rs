//! Layers read, indexed and written again: exactness, links, names, extensions.

use std::io::{Cursor, Read as _, Write as _};
use std::sync::Arc;

use kiln::deflate::{self, Editor, Format};
use kiln::elf::fixture::ElfBuilder;
use kiln::layer::edited::edit;
use kiln::layer::index::read_index;
use kiln::layer::rewrite::rewrite;
use kiln::limits::Meter;
use kiln::path::ImagePath;
use kiln::plan::{Patch, Reason, Verdict};
use kiln::rootfs::{Kind, LayerIndex, Rootfs, dump};

/// A tar stream built by the `tar` crate, an independent writer.
struct Tar(tar::Builder<Vec<u8>>);

impl Tar {
    fn new() -> Self {
        Self(tar::Builder::new(Vec::new()))
    }

    fn add(mut self, path: &str, kind: tar::EntryType, link: &str, mode: u32, content: &[u8]) -> Self {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_700_000_000);
        header.set_size(content.len() as u64);
        if link.is_empty() {
            self.0.append_data(&mut header, path, content).unwrap();
        } else {
            self.0.append_link(&mut header, path, link).unwrap();
        }
        self
    }

    fn file(self, path: &str, content: &str) -> Self {
        self.add(path, tar::EntryType::Regular, "", 0o644, content.as_bytes())
    }

    fn directory(self, path: &str) -> Self {
        self.add(path, tar::EntryType::Directory, "", 0o755, b"")
    }

    fn hardlink(self, path: &str, target: &str) -> Self {
        self.add(path, tar::EntryType::Link, target, 0o644, b"")
    }

    fn pax(mut self, records: &[(&str, &[u8])]) -> Self {
        self.0.append_pax_extensions(records.iter().copied()).unwrap();
        self
    }

    fn finish(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }
}

fn index(tar: &[u8]) -> LayerIndex {
    read_index(tar, &|_| Some(1 << 20)).unwrap()
}

fn keep_all(index: &LayerIndex) -> Vec<Verdict> {
    index.entries.iter().map(|_| Verdict::unchanged()).collect()
}

/// The layer written again; editing what it is stored as makes the same of it.
pub fn rewritten(tar: &[u8], verdicts: &[Verdict]) -> Vec<u8> {
    let mut out = Vec::new();
    rewrite(tar, verdicts, &mut out).unwrap();
    for level in [0, 1, 6] {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(level));
        encoder.write_all(tar).unwrap();
        let stored = encoder.finish().unwrap();
        let editor = Editor::new(stored.as_slice(), Format::Gzip, Vec::new(), Vec::new());
        let (stream, content) = edit(editor, verdicts, &Meter::default()).unwrap();
        assert!(content == out, "the edited layer is another");
        // As it is where the layer was read before, and what it unpacks to was kept.
        let mut reader = deflate::Reader::new(stored.as_slice(), Format::Gzip);
        let mut unpacked = Vec::new();
        reader.read_to_end(&mut unpacked).unwrap();
        let trail = reader.into_parts().1.expect("a trail");
        let kept = Cursor::new(unpacked);
        let editor = Editor::replay(stored.as_slice(), (&trail, kept), Format::Gzip, Vec::new(), Vec::new());
        let again = edit(editor, verdicts, &Meter::default()).unwrap();
        assert!(again == (stream.clone(), content), "of what was kept another layer is made");
        let mut inflated = Vec::new();
        flate2::read::GzDecoder::new(stream.as_slice()).read_to_end(&mut inflated).unwrap();
        assert!(inflated == out, "the edited stream stands for another layer");
    }
    out
}

fn dump_of(tar: &[u8]) -> String {
    dump::render(&Rootfs::merge(vec![index(tar)]).unwrap())
}

#[test]
fn keeping_everything_keeps_every_byte() {
    let long = "d/".repeat(80) + "name";
    let tar = Tar::new()
        .directory("etc")
        .file("etc/passwd", "root:x:0:0::/:/bin/sh\n")
        .hardlink("etc/link", "etc/passwd")
        .file(&long, "long")
        .pax(&[("SCHILY.xattr.user.x", b"v\xff"), ("mtime", b"1700000000.123456789")])
        .file("x", "with records")
        .finish();
    let out = rewritten(&tar, &keep_all(&index(&tar)));
    assert_eq!(out, tar[..out.len()], "all but the padding after the end marker");
    assert!(tar[out.len()..].iter().all(|&byte| byte == 0));
}

#[test]
fn mode_owner_and_content_change_and_nothing_else() {
    let tar = Tar::new().file("a", "old content").file("b", "b").finish();
    let patch = Patch {
        mode: Some(0o444),
        owner: Some((0, 7_000_000)),
        content: Some(Arc::from(&b"new"[..])),
        ..Patch::default()
    };
    let out = rewritten(&tar, &[Verdict::Keep(patch.into()), Verdict::unchanged()]);
    let mut seen = Vec::new();
    for entry in tar::Archive::new(&out[..]).entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut text = String::new();
        std::io::Read::read_to_string(&mut entry, &mut text).unwrap();
        let header = entry.header();
        seen.push((header.mode().unwrap(), header.gid().unwrap(), header.mtime().unwrap(), text));
    }
    assert_eq!(
        seen,
        [(0o444, 7_000_000, 1_700_000_000, "new".to_owned()), (0o644, 0, 1_700_000_000, "b".to_owned())]
    );
}

#[test]
fn data_of_a_stripped_name_survives_under_the_kept_link() {
    let long = "very-long-directory-name/".repeat(6) + "kept";
    for kept in ["kept", &long] {
        let tar =
            Tar::new().file("gone", "precious").hardlink("also", "gone").hardlink(kept, "also").finish();
        let path = ImagePath::literal(kept);
        let verdicts = [
            Verdict::Keep(Patch { path: Some(path), ..Patch::default() }.into()),
            Verdict::Drop(Reason::UnneededPackage),
            Verdict::Merged,
        ];
        let out = rewritten(&tar, &verdicts);
        let rootfs = Rootfs::merge(vec![index(&out)]).unwrap();
        assert_eq!(rootfs.bytes(&ImagePath::literal(kept)), Some(b"precious"[..].into()));
        assert!(rootfs.node(&ImagePath::literal("gone")).is_none());
    }
}

#[test]
fn stale_path_records_go_and_others_stay_when_data_moves() {
    let tar = Tar::new()
        .pax(&[
            ("path", b"old/\xc3\xa9"),
            ("SCHILY.xattr.user.keep", b"1"),
            ("SCHILY.xattr.security.capability", b"c"),
        ])
        .file("placeholder", "data")
        .finish();
    let patch = Patch { path: Some(ImagePath::literal("new")), drop_capabilities: true, ..Patch::default() };
    let out = rewritten(&tar, &[Verdict::Keep(patch.into())]);
    let again = index(&out);
    assert_eq!(again.entries[0].path, ImagePath::literal("new"));
    let names: Vec<_> =
        again.entries[0].xattrs.iter().flat_map(|list| list.iter()).map(|(name, _)| name.to_vec()).collect();
    assert_eq!(names, [b"user.keep".to_vec()]);
}

#[test]
fn whiteouts_are_told_from_files() {
    let tar = Tar::new()
        .file("d/.wh.x", "")
        .file("d/.wh..wh..opq", "")
        .file("d/.wh.", "")
        .file(".wh.top", "")
        .finish();
    let kinds: Vec<String> =
        index(&tar).entries.iter().map(|entry| format!("{} {:?}", entry.path, entry.kind)).collect();
    assert_eq!(kinds, ["/d/x Whiteout", "/d Opaque", "/d/.wh. Whiteout", "/top Whiteout"]);
}

#[test]
fn truncated_streams_and_changed_layers_are_errors() {
    let tar = Tar::new().file("a", "content").finish();
    assert!(read_index(&tar[..600], &|_| None).is_err());
    assert!(read_index(&tar[..100], &|_| None).is_err());
    let mut out = Vec::new();
    assert!(rewrite(&tar[..], &[], &mut out).is_err());
    assert!(rewrite(&tar[..], &[Verdict::Merged, Verdict::Merged], &mut out).is_err());
}

#[test]
fn missing_end_marker_is_accepted() {
    let tar = Tar::new().file("a", "content").finish();
    assert_eq!(index(&tar[..1024]).entries.len(), 1);
    assert_eq!(dump_of(&tar[..1024]), dump_of(&tar));
}

#[test]
fn base_256_numbers_and_odd_names_are_read() {
    let mut header = tar::Header::new_gnu();
    header.set_size(0);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_uid(3_000_000_000);
    header.set_gid(0);
    header.as_gnu_mut().unwrap().name[..6].copy_from_slice(b"./a\xff\nb");
    header.set_cksum();
    let mut tar = Vec::new();
    tar.write_all(header.as_bytes()).unwrap();
    tar.write_all(&[0; 1024]).unwrap();
    let index = index(&tar);
    assert_eq!(index.entries[0].uid, 3_000_000_000);
    assert_eq!(index.entries[0].path.as_bytes(), b"a\xff\nb");
    assert!(matches!(index.entries[0].kind, Kind::File(_)));
}

#[test]
fn a_program_has_an_identity_whatever_its_name_and_mode_and_a_library_is_no_tool() {
    let marked = |builder: ElfBuilder| {
        let marks = b"x\0: applet not found\n\0 multi-call binary.\n\0".to_vec();
        // Enough that the marks lie in another piece of the stream than the headers.
        ElfBuilder { padding: 300_000, payload: marks, ..builder }.build()
    };
    let program = marked(ElfBuilder::static_program());
    let library = marked(ElfBuilder::library("libbusybox.so.1", &["libc.so.6"]));
    let regular = tar::EntryType::Regular;
    let tar = Tar::new()
        .add("app/check", regular, "", 0o755, &program)
        .add("app/data.bin", regular, "", 0o644, &program)
        .add("lib/libbusybox.so.1", regular, "", 0o755, &library)
        .add("bin/dynamic", regular, "", 0o755, &marked(ElfBuilder::program(&["libc.so.6"])))
        .add("manual.txt", regular, "", 0o755, &program[4..])
        .add("run.sh", regular, "", 0o755, b"#!/bin/sh\n")
        .add("lib.sh", regular, "", 0o644, b"#!/bin/sh\n")
        .finish();
    let index = index(&tar);
    let tools: Vec<String> = index
        .entries
        .iter()
        .map(|entry| {
            let identity = entry.file().unwrap().identity.as_ref();
            let tool = identity.map_or("-", |identity| identity.tool.as_deref().unwrap_or("no tool"));
            format!("{} {tool}", entry.path)
        })
        .collect();
    let expected = [
        "/app/check busybox",
        "/app/data.bin busybox",
        "/lib/libbusybox.so.1 no tool",
        "/bin/dynamic busybox",
        "/manual.txt -",
        "/run.sh no tool",
        "/lib.sh -",
    ];
    assert_eq!(tools, expected);
    let fingerprint = |at: usize| index.entries[at].file().unwrap().identity.as_ref().unwrap().fingerprint;
    assert_eq!(fingerprint(0), fingerprint(1));
    assert_ne!(fingerprint(0), fingerprint(3));
}

/// Gives a few bytes at a time.
struct Pieces<'a>(&'a [u8], usize);

impl std::io::Read for Pieces<'_> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let step = self.1.min(buf.len());
        self.0.read(&mut buf[..step])
    }
}

#[test]
fn what_a_file_is_does_not_depend_on_where_a_read_ends() {
    let program = ElfBuilder::program(&["libc.so.6"]).build();
    let tar = Tar::new()
        .file("run", "#!/bin/busybox sh\nexit\n")
        .add("app", tar::EntryType::Regular, "", 0o755, &program)
        .finish();
    let whole = index(&tar);
    for step in [1, 2, 3, 5, 100, 511, 513, 517, 1025] {
        let pieces = read_index(Pieces(&tar, step), &|_| Some(1 << 20)).unwrap();
        assert_eq!(pieces, whole, "{step} bytes at a time");
    }
}
