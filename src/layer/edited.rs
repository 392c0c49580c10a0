//! Pass 2 without compressing again: what verdicts change in a layer's tar stream, as edits of the stored stream.
//!
//! Makes the tar stream that [`rewrite`](super::rewrite::rewrite) makes, byte for byte; does not decide.

use std::io::{self, Write};

use super::header;
use super::rewrite::{RewriteError, headers};
use super::stream::{Member, StreamError, TarStream};
use super::writer::zeros;
use crate::deflate::{Edit, EditError, Editor};
use crate::limits::Meter;
use crate::plan::{Patch, Verdict};

/// As many bytes that stay part two that change into two edits: less is told with them.
const APART: usize = 16;

/// Bytes of the stream that are read at once: headers are, and content is passed over.
const STEP: usize = 4096;

/// Bytes that end an archive.
const END: usize = 1024;

/// Edits the layer that `editor` reads as `verdicts` say, by position, and ends the archive; counts what it is unpacked on `meter`.
/// Gives what the stream and its content were written to.
pub fn edit<W: Write, C: Write>(
    editor: Editor<'_, W, C>,
    verdicts: &[Verdict],
    meter: &Meter,
) -> Result<(W, C), RewriteError> {
    let mut layer = Layer { stream: TarStream::in_steps(editor, STEP) };
    let mut seen = 0;
    // Global headers of members that go still hold for those that stay.
    let mut globals: Vec<u8> = Vec::new();
    // Where the padding of the last member begins, if it has to be noughts, and where the member ends.
    let mut padding = None;
    let mut end = 0;
    while let Some(member) = layer.stream.next_member().map_err(RewriteError::Stream)? {
        let verdict =
            verdicts.get(seen).ok_or(RewriteError::Changed { expected: verdicts.len(), found: seen + 1 })?;
        seen += 1;
        layer.clean(padding.take(), end)?;
        let start = end;
        let content = layer.stream.position();
        let stored = content + member.stored_size;
        end = stored + header::padding(member.stored_size) as u64;
        meter
            .count_bytes(end - start)
            .map_err(|limit| RewriteError::Stream(StreamError::Read(limit.into())))?;
        match verdict {
            Verdict::Keep(patch) => {
                layer.replace(start, start, std::mem::take(&mut globals))?;
                layer.keep(&member, patch, start + member.globals.len() as u64, content)?;
                if let Some(bytes) = &patch.content {
                    let padding = zeros(header::padding(bytes.len() as u64));
                    layer.replace(content, end, [bytes, padding].concat())?;
                } else {
                    padding = Some(stored);
                }
            }
            Verdict::Drop(_) | Verdict::Merged => {
                globals.extend_from_slice(&member.globals);
                layer.replace(start, end, Vec::new())?;
            }
        }
        layer.settle(padding.unwrap_or(end))?;
        layer.pass_content()?;
    }
    if seen != verdicts.len() {
        return Err(RewriteError::Changed { expected: verdicts.len(), found: seen });
    }
    layer.clean(padding, end)?;
    layer.replace(end, Edit::END, zeros(END).to_vec())?;
    layer.stream.into_inner().finish().map_err(failed)
}

fn failed(error: EditError) -> RewriteError {
    match error {
        EditError::Write(source) => RewriteError::Write(source),
        error => RewriteError::Edit(error),
    }
}

/// A layer while it is edited.
struct Layer<'s, W, C> {
    stream: TarStream<Editor<'s, W, C>>,
}

impl<W: Write, C: Write> Layer<'_, W, C> {
    fn replace(&mut self, start: u64, end: u64, new: Vec<u8>) -> Result<(), RewriteError> {
        self.stream.get_mut().edit(Edit { start, end, new }).map_err(failed)
    }

    fn settle(&mut self, position: u64) -> Result<(), RewriteError> {
        self.stream.get_mut().settle(position).map_err(failed)
    }

    /// Passes over the content of the member, which says nothing of what follows.
    fn pass_content(&mut self) -> Result<(), RewriteError> {
        let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        let skip = |editor: &mut Editor<'_, W, C>, count| editor.skip(count).map_err(invalid);
        self.stream.pass_content(skip).map_err(RewriteError::Stream)
    }

    /// Makes the padding from `padding` to `end`, which was passed over last, noughts.
    fn clean(&mut self, padding: Option<u64>, end: u64) -> Result<(), RewriteError> {
        let Some(start) = padding.filter(|_| !self.stream.is_padding_clean()) else { return Ok(()) };
        let noughts = usize::try_from(end - start).map_or(zeros(END), zeros);
        self.replace(start, end, noughts.to_vec())
    }

    /// Changes the headers of a member that stays, which stand from `start` to `end`.
    fn keep(&mut self, member: &Member, patch: &Patch, start: u64, end: u64) -> Result<(), RewriteError> {
        let Some(new) = headers(member, patch) else { return Ok(()) };
        if new.len() != member.raw.len() {
            return self.replace(start, end, new);
        }
        for (from, to) in differences(&member.raw, &new) {
            let bytes = new.get(from..to).unwrap_or_default().to_vec();
            self.replace(start + from as u64, start + to as u64, bytes)?;
        }
        Ok(())
    }
}

/// Where two texts of one length differ.
fn differences(old: &[u8], new: &[u8]) -> Vec<(usize, usize)> {
    let mut out: Vec<(usize, usize)> = Vec::new();
    for at in old.iter().zip(new).enumerate().filter(|(_, (old, new))| old != new).map(|(at, _)| at) {
        match out.last_mut() {
            Some((_, end)) if at - *end < APART => *end = at + 1,
            _ => out.push((at, at + 1)),
        }
    }
    out
}
