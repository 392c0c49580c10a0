//! A layer's tar stream: indexed, written again, patched; whatever it is, nothing panics and nothing is lost.

use std::io::{self, Read};
use std::sync::Arc;

use kiln::layer::index::read_index;
use kiln::layer::rewrite::rewrite;
use kiln::path::ImagePath;
use kiln::plan::{Patch, Verdict};
use kiln::rootfs::{Entry, File, Kind, LayerIndex};

/// Longest name that a patch gives: longer than a header's field, so that it takes an extension.
const LONG_NAME: usize = 150;

/// Checks one stream.
pub fn check(data: &[u8]) {
    let bytes = with_checksums(data);
    let Ok(index) = read_index(bytes.as_slice(), &wanted) else { return };
    let pieces = read_index(Pieces { rest: &bytes, step: 1 + data.len() % 700 }, &wanted);
    assert_eq!(pieces.ok().as_ref(), Some(&index), "the sizes of reads do not matter");

    let keep = vec![Verdict::unchanged(); index.entries.len()];
    assert_eq!(after(&bytes, &keep), index, "what is kept is what it was");

    let patch = Patch { mode: Some(0o555), owner: Some((7, 8)), drop_capabilities: true, ..Patch::default() };
    let patched = after(&bytes, &vec![Verdict::Keep(Arc::new(patch)); index.entries.len()]);
    assert_eq!(patched.entries.len(), index.entries.len());
    for (was, is) in index.entries.iter().zip(&patched.entries) {
        assert_eq!((&was.path, was.mtime), (&is.path, is.mtime));
        assert_eq!(without_identity(&was.kind), without_identity(&is.kind));
        assert_eq!((is.mode, is.uid, is.gid), (0o555, 7, 8));
        let mut attributes = is.xattrs.iter().flat_map(|list| list.iter());
        assert!(attributes.all(|(name, _)| **name != *b"security.capability"));
    }

    let renamed: Vec<ImagePath> = (0..index.entries.len())
        .map(|number| ImagePath::literal(&format!("{number}/{}", "n".repeat(number % LONG_NAME + 1))))
        .collect();
    // A whiteout's name is what it is.
    let is_whiteout = |entry: &Entry| matches!(entry.kind, Kind::Whiteout | Kind::Opaque);
    let verdict = |(path, entry): (&ImagePath, &Entry)| {
        let path = (!is_whiteout(entry)).then(|| path.clone());
        Verdict::Keep(Arc::new(Patch { path, ..Patch::default() }))
    };
    let verdicts: Vec<Verdict> = renamed.iter().zip(&index.entries).map(verdict).collect();
    let moved = after(&bytes, &verdicts);
    for (path, (was, is)) in renamed.iter().zip(index.entries.iter().zip(&moved.entries)) {
        if !is_whiteout(was) {
            assert_eq!((path, was.mode, was.uid), (&is.path, is.mode, is.uid));
            let (was, is) = (without_bytes(&was.kind), without_bytes(&is.kind));
            assert!(was == is || was == Kind::Directory, "{was:?} became {is:?}");
        }
    }
}

fn after(bytes: &[u8], verdicts: &[Verdict]) -> LayerIndex {
    let mut out = Vec::new();
    rewrite(bytes, verdicts, &mut out).unwrap_or_else(|error| panic!("indexed, but not written: {error:?}"));
    read_index(out.as_slice(), &wanted).unwrap_or_else(|error| panic!("written, but not read: {error:?}"))
}

/// Which bytes are kept depends on the name.
fn without_bytes(kind: &Kind) -> Kind {
    match kind {
        Kind::File(file) => Kind::File(File { bytes: None, ..file.clone() }),
        other => other.clone(),
    }
}

/// Only what has an execute bit is identified.
fn without_identity(kind: &Kind) -> Kind {
    match kind {
        Kind::File(file) => Kind::File(File { identity: None, ..file.clone() }),
        other => other.clone(),
    }
}

/// Some files' bytes are kept, some are not.
fn wanted(path: &ImagePath) -> Option<u64> {
    path.as_bytes().len().is_multiple_of(2).then_some(1000)
}

/// Gives a few bytes at a time.
struct Pieces<'a> {
    rest: &'a [u8],
    step: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let step = self.step.min(buf.len());
        self.rest.read(&mut buf[..step])
    }
}

/// `data` with right checksums where headers are: a mutation of anything else would end at the first header.
pub fn with_checksums(data: &[u8]) -> Vec<u8> {
    let mut bytes = data.to_vec();
    let mut at = 0;
    while let Some(header) = bytes.get_mut(at..at + 512) {
        if header.iter().any(|&byte| byte != 0) {
            header[148..156].fill(b' ');
            let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
            header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
        let digits: String = header[124..136].iter().map(|&byte| char::from(byte)).collect();
        let size = usize::from_str_radix(digits.trim_matches(['\0', ' ']), 8).unwrap_or(0);
        at = at.saturating_add(512).saturating_add(size.div_ceil(512).saturating_mul(512));
    }
    bytes
}
