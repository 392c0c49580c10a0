//! kiln's own layer: directories and small files, the same bytes every time.
//!
//! Does not know what they are for.

use std::io::{self, Write};

use super::header::{self, Fresh};
use crate::plan::{Addition, Made};

/// Writes `additions` as a tar stream, in the order given, without times.
pub fn write_layer(mut out: impl Write, additions: &[Addition]) -> io::Result<()> {
    for addition in additions {
        let mut path = addition.path.as_bytes().to_vec();
        let (kind, content): (Fresh<'_>, &[u8]) = match &addition.made {
            Made::Directory => {
                path.push(b'/');
                (Fresh::Directory, &[])
            }
            Made::Link(target) => (Fresh::Link(target), &[]),
            Made::File(content) => (Fresh::File(content.len() as u64), content),
        };
        out.write_all(&header::fresh(&path, kind, addition.mode, addition.uid, addition.gid))?;
        out.write_all(content)?;
        out.write_all(zeros(header::padding(content.len() as u64)))?;
    }
    write_end(out)
}

/// Writes the end-of-archive marker: two blocks of zeros.
pub fn write_end(mut out: impl Write) -> io::Result<()> {
    out.write_all(zeros(1024))
}

/// Up to 1024 zero bytes.
pub fn zeros(count: usize) -> &'static [u8] {
    static ZEROS: [u8; 1024] = [0; 1024];
    ZEROS.get(..count).unwrap_or(&ZEROS)
}
