//! Streams of deflate: read as another decoder reads them, or refused where that one refuses; and written again as the same content.

use std::io::Read;

use flate2::read::DeflateDecoder;
use kiln::deflate::{Editor, Format};

/// Most bytes read of one stream here.
const MOST: u64 = 8 << 20;

/// What another decoder makes of it; `None` where that is too much.
pub(super) fn inflated(data: &[u8]) -> Option<Result<Vec<u8>, std::io::Error>> {
    let mut out = Vec::new();
    let read = DeflateDecoder::new(data).take(MOST).read_to_end(&mut out);
    (out.len() as u64).lt(&MOST).then(|| read.map(|_| out))
}

/// Checks one stream.
pub fn check(data: &[u8]) {
    let Some(expect) = inflated(data) else { return };
    let editor = Editor::new(data, Format::Deflate, Vec::new(), Vec::new());
    match (editor.finish(), expect) {
        (Ok((stream, content)), Ok(expect)) => {
            assert!(content == expect, "read as something else");
            let again = inflated(&stream).and_then(Result::ok);
            assert!(again == Some(expect), "written as something else");
        }
        (Ok(_), Err(error)) => panic!("read, and refused by another decoder: {error}"),
        (Err(error), Ok(_)) => panic!("refused, and read by another decoder: {error}"),
        (Err(_), Err(_)) => {}
    }
}
