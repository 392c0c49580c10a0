//! Edits of streams of deflate: what comes out stands for the edited content, whenever the edits were told.

use std::io::{Cursor, Read};

use kiln::deflate::{Edit, Editor, Format, Reader};

use super::deflate::inflated;

/// Checks edits and the stream behind them: how many, then for each how much stays before it, how much goes, and what comes.
pub fn check(data: &[u8]) {
    let mut data = data;
    let Some(told) = told(&mut data) else { return };
    let Some(Ok(old)) = inflated(data) else { return };
    let mut edits: Vec<Edit> = Vec::new();
    let (mut expect, mut at) = (Vec::new(), 0);
    for (stays, goes, new) in told {
        let start = (at + stays).min(old.len());
        let end = (start + goes).min(old.len());
        expect.extend_from_slice(&old[at..start]);
        expect.extend_from_slice(&new);
        edits.push(Edit { start: start as u64, end: end as u64, new });
        at = end;
    }
    expect.extend_from_slice(&old[at..]);
    let outcome = [edit(data, &edits, 1 << 20), edit(data, &edits, 100), edit_again(data, &old, &edits)];
    for (stream, content) in &outcome {
        assert!(*content == expect, "the new content is another");
        assert!(inflated(stream).and_then(Result::ok) == Some(expect.clone()), "the stream is another's");
    }
    assert!(outcome[0].0 == outcome[1].0, "it depends on how it was read");
    assert!(outcome[0].0 == outcome[2].0, "it depends on whether it was read before");
}

fn told(data: &mut &[u8]) -> Option<Vec<(usize, usize, Vec<u8>)>> {
    let mut take = |n: usize| {
        let (head, rest) = data.split_at_checked(n)?;
        *data = rest;
        Some(head.to_vec())
    };
    let count = take(1)?[0] % 8;
    (0..count)
        .map(|_| {
            let [stays, goes] =
                [take(2)?, take(2)?].map(|two| usize::from(two[0]) | usize::from(two[1]) << 8);
            let length = take(1)?[0];
            Some((stays, goes, take(length.into())?))
        })
        .collect()
}

/// The edited stream, and its content; read so many bytes at once.
fn edit(stream: &[u8], edits: &[Edit], step: usize) -> (Vec<u8>, Vec<u8>) {
    tell(Editor::new(stream, Format::Deflate, Vec::new(), Vec::new()), edits, step, Reading::All)
}

/// The same of a stream that was read before, if that left a trail.
fn edit_again(stream: &[u8], old: &[u8], edits: &[Edit]) -> (Vec<u8>, Vec<u8>) {
    let mut reader = Reader::new(stream, Format::Deflate);
    let mut read = Vec::new();
    reader.read_to_end(&mut read).unwrap_or_else(|error| panic!("read before: {error}"));
    assert!(read == old, "the reader reads something else");
    let Some(trail) = reader.into_parts().1 else { return edit(stream, edits, 100) };
    let before = (&trail, Cursor::new(old));
    tell(
        Editor::replay(stream, before, Format::Deflate, Vec::new(), Vec::new()),
        edits,
        1 << 12,
        Reading::WhatStays,
    )
}

/// Whether old content is read that goes.
#[derive(Clone, Copy, PartialEq)]
enum Reading {
    All,
    WhatStays,
}

fn tell(
    mut editor: Editor<'_, Vec<u8>, Vec<u8>>,
    edits: &[Edit],
    step: usize,
    reading: Reading,
) -> (Vec<u8>, Vec<u8>) {
    let mut buffer = vec![0; step];
    let mut at = 0;
    for edit in edits {
        while at < edit.start {
            let wanted = usize::try_from(edit.start - at).map_or(step, |left| left.min(step));
            let read =
                editor.read(&mut buffer[..wanted]).unwrap_or_else(|error| panic!("read before: {error}"));
            at += read as u64;
            editor.settle(at).unwrap_or_else(|error| panic!("{error}"));
        }
        editor.edit(edit.clone()).unwrap_or_else(|error| panic!("{error}"));
        if reading == Reading::WhatStays {
            let passed = editor.settle(edit.end).and_then(|()| editor.skip(edit.end.saturating_sub(at)));
            assert!(passed.unwrap_or_else(|error| panic!("{error}")), "nothing is there to be passed over");
        }
        at = at.max(edit.end);
    }
    editor.finish().unwrap_or_else(|error| panic!("{error}"))
}
