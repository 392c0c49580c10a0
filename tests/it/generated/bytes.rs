//! Layers as tar streams: indexed, merged, rewritten, and read again by another reader.
//!
//! What to rewrite comes from real plans; nothing here depends on codecs.

use std::borrow::Cow;
use std::collections::BTreeMap;

use kiln::layer::index::read_index;
use kiln::layer::rewrite::{is_unchanged, rewrite};
use kiln::layer::writer::write_layer;
use kiln::path::ImagePath;
use kiln::plan::{Patch, Reason, Verdict};
use kiln::rootfs::{Entry, Kept, Kind, LayerIndex, Rootfs, dump};
use proptest::prelude::*;

use super::oracle::Tree;
use super::{cases, image};
use crate::fixture::rewritten;
use crate::layers::rewritten as rewritten_layer;
use crate::layout::tar_of;

fn index(tar: &[u8]) -> LayerIndex {
    read_index(tar, &|_| Some(1 << 20)).unwrap()
}

/// kiln's tree in the oracle's words.
fn lines(rootfs: &Rootfs) -> BTreeMap<String, String> {
    let mut first = BTreeMap::new();
    let mut out = BTreeMap::new();
    for (path, node) in rootfs.nodes().filter(|(path, _)| !path.is_root()) {
        let name = path.as_bytes().escape_ascii().to_string();
        let Some(entry) = rootfs.entry(path) else {
            out.insert(name, "5 0755 0:0  ".to_owned());
            continue;
        };
        let (kind, content) = match &entry.kind {
            Kind::File(file) => (b'0', file.bytes.as_ref().map(Kept::bytes).unwrap_or_default()),
            Kind::Symlink(target) => (b'2', Cow::Borrowed(&**target)),
            Kind::Directory => (b'5', Cow::default()),
            Kind::CharDevice(..) => (b'3', Cow::default()),
            Kind::BlockDevice(..) => (b'4', Cow::default()),
            Kind::Fifo => (b'6', Cow::default()),
            other => panic!("{path} is {other:?}"),
        };
        let first: &mut String = first.entry(node.inode).or_insert_with(|| name.clone());
        let shown = if kind == b'5' { "" } else { first.as_str() };
        let (kind, mode) = (char::from(kind), entry.mode);
        let line =
            format!("{kind} {mode:04o} {}:{} {shown} {}", entry.uid, entry.gid, content.escape_ascii());
        out.insert(name, line);
    }
    out
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn merging_agrees_with_the_oracle(image in image::any()) {
        let tars: Vec<Vec<u8>> = image.layers().iter().map(tar_of).collect();
        let rootfs = Rootfs::merge(tars.iter().map(|tar| index(tar)).collect()).unwrap();
        prop_assert_eq!(lines(&rootfs), Tree::of(&tars).lines());
    }

    #[test]
    fn keeping_everything_keeps_bytes_and_dump(image in image::any()) {
        for layer in image.layers() {
            let tar = tar_of(&layer);
            let read = index(&tar);
            let keep: Vec<Verdict> = read.entries.iter().map(|_| Verdict::unchanged()).collect();
            prop_assert!(is_unchanged(&keep));
            let out = rewritten_layer(&tar, &keep);
            prop_assert!(out[..] == tar[..out.len()] && tar[out.len()..].iter().all(|&byte| byte == 0));
            prop_assert_eq!(index(&out), read);
        }
    }

    #[test]
    fn rewritten_bytes_are_what_the_plan_says(image in image::any()) {
        let mut fixture = image.fixture();
        let tars: Vec<Vec<u8>> = fixture.layers.iter().map(tar_of).collect();
        fixture.layers = tars.iter().map(|tar| index(tar)).collect();
        let plan = fixture.plan();
        let mut out: Vec<Vec<u8>> =
            tars.iter().zip(&plan.verdicts).map(|(tar, verdicts)| rewritten_layer(tar, verdicts)).collect();
        let mut own = Vec::new();
        write_layer(&mut own, &plan.additions).unwrap();
        out.push(own);
        let after = Rootfs::merge(out.iter().map(|tar| index(tar)).collect()).unwrap();
        let expect = Rootfs::merge(rewritten(&fixture.layers, &plan)).unwrap();
        prop_assert_eq!(dump::render(&after), dump::render(&expect));
        prop_assert_eq!(lines(&after), Tree::of(&out).lines());
        // Content is the source's, but for the few files that were edited.
        let before = Rootfs::merge(fixture.layers.clone()).unwrap();
        for (path, _) in after.nodes() {
            let is_edited = *path == ImagePath::literal("etc/passwd") || *path == ImagePath::literal("etc/group");
            if let (Some(was), Some(is), false) = (before.bytes(path), after.bytes(path), is_edited) {
                prop_assert!(was == is, "content of {path}");
            }
        }
    }

    #[test]
    fn no_reader_panics_on_damaged_streams(
        image in image::any(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        for layer in image.layers() {
            let mut tar = tar_of(&layer);
            for (at, byte) in &flips {
                let at = at.index(tar.len());
                tar[at] = *byte;
                // Half of the damage is to be found behind the checksum.
                if byte % 2 == 0 {
                    mend_checksum(&mut tar, at);
                }
            }
            if let Some(cut) = cut {
                tar.truncate(cut.index(tar.len()));
            }
            survive(&tar);
        }
    }

    #[test]
    fn no_reader_panics_on_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        survive(&bytes);
    }
}

fn mend_checksum(tar: &mut [u8], at: usize) {
    let start = at / 512 * 512;
    let Some(header) = tar.get_mut(start..start + 512) else { return };
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

fn is_whiteout(entry: &Entry) -> bool {
    matches!(entry.kind, Kind::Whiteout | Kind::Opaque)
}

/// Whatever can be read can be merged, shown and written again.
fn survive(tar: &[u8]) {
    let Ok(read) = read_index(tar, &|_| Some(1 << 16)) else { return };
    let keep: Vec<Verdict> = read.entries.iter().map(|_| Verdict::unchanged()).collect();
    let patched: Vec<Verdict> = read
        .entries
        .iter()
        .map(|entry| {
            let is_file = entry.file().is_some();
            if is_whiteout(entry) {
                return Verdict::Drop(Reason::WhiteoutOfNothing);
            }
            let patch = Patch {
                mode: Some(0o444),
                owner: Some((7, 8)),
                path: Some(ImagePath::literal("moved")),
                content: is_file.then(|| b"new"[..].into()),
                drop_capabilities: true,
                ..Patch::default()
            };
            Verdict::Keep(patch.into())
        })
        .collect();
    let mut out = Vec::new();
    rewrite(tar, &keep, &mut out).unwrap();
    assert_eq!(read_index(&out[..], &|_| Some(1 << 16)).unwrap(), read);
    out.clear();
    rewrite(tar, &patched, &mut out).unwrap();
    for entry in read_index(&out[..], &|_| Some(1 << 16)).unwrap().entries {
        assert_eq!((entry.mode, entry.uid, entry.gid), (0o444, 7, 8), "{}", entry.path);
        assert_eq!(entry.path, ImagePath::literal("moved"));
    }
    if let Ok(rootfs) = Rootfs::merge(vec![read]) {
        dump::render(&rootfs);
    }
}
