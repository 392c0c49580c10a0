//! Pass 2: a layer's tar stream written again, by verdicts.
//!
//! Every byte that no verdict touches comes out as it went in; does not decide.

use std::io::{self, Read, Write};

use super::header::{self, HeaderPatch};
use super::stream::{Member, StreamError, TarStream};
use super::writer;
use crate::deflate::EditError;
use crate::plan::{Patch, Verdict};

/// Why a layer cannot be written again.
#[derive(Debug, thiserror::Error)]
pub enum RewriteError {
    /// The source is no tar stream (any more).
    #[error(transparent)]
    Stream(StreamError),
    /// The source has another number of members than were decided on: it changed between two reads.
    #[error("the layer changed while kiln ran: {found} members or more, {expected} decided")]
    Changed {
        /// Verdicts at hand.
        expected: usize,
        /// Members seen.
        found: usize,
    },
    /// Writing failed.
    #[error("writing the layer")]
    Write(#[source] io::Error),
    /// The stored stream cannot be edited.
    #[error("editing the layer")]
    Edit(#[source] EditError),
}

/// Whether a layer with these verdicts stays as it is, bit for bit.
pub fn is_unchanged(verdicts: &[Verdict]) -> bool {
    verdicts.iter().all(Verdict::is_unchanged)
}

/// Copies `reader`'s members to `out` as `verdicts` say, by position, and ends the archive.
pub fn rewrite(reader: impl Read, verdicts: &[Verdict], mut out: impl Write) -> Result<(), RewriteError> {
    let mut stream = TarStream::new(reader);
    let mut seen = 0;
    // Global headers of members that go still hold for those that stay.
    let mut globals = Vec::new();
    while let Some(member) = stream.next_member().map_err(RewriteError::Stream)? {
        let verdict =
            verdicts.get(seen).ok_or(RewriteError::Changed { expected: verdicts.len(), found: seen + 1 })?;
        seen += 1;
        globals.extend_from_slice(&member.globals);
        if let Verdict::Keep(patch) = verdict {
            out.write_all(&globals).map_err(RewriteError::Write)?;
            globals.clear();
            copy(&mut stream, &member, patch, &mut out)?;
        }
    }
    if seen != verdicts.len() {
        return Err(RewriteError::Changed { expected: verdicts.len(), found: seen });
    }
    writer::write_end(&mut out).map_err(RewriteError::Write)
}

/// The headers of a member that stays; `None` where they stay as they are.
pub(super) fn headers(member: &Member, patch: &Patch) -> Option<Vec<u8>> {
    (*patch != Patch::default()).then(|| {
        let changes = HeaderPatch {
            mode: patch.mode,
            owner: patch.owner,
            path: patch.path.as_ref().map(crate::path::ImagePath::as_bytes),
            link: patch.link.as_ref().map(crate::path::ImagePath::as_bytes),
            size: patch.content.as_ref().map(|content| content.len() as u64),
            drop_capabilities: patch.drop_capabilities,
        };
        header::patched(member, changes)
    })
}

fn copy<R: Read>(
    stream: &mut TarStream<R>,
    member: &Member,
    patch: &Patch,
    out: &mut impl Write,
) -> Result<(), RewriteError> {
    let write = RewriteError::Write;
    match headers(member, patch) {
        Some(headers) => out.write_all(&headers).map_err(write)?,
        None => out.write_all(&member.raw).map_err(write)?,
    }
    if let Some(content) = &patch.content {
        out.write_all(content).map_err(write)?;
        return out.write_all(writer::zeros(header::padding(content.len() as u64))).map_err(write);
    }
    loop {
        let piece = stream.content().map_err(RewriteError::Stream)?;
        if piece.is_empty() {
            break;
        }
        out.write_all(piece).map_err(write)?;
    }
    out.write_all(writer::zeros(header::padding(member.stored_size))).map_err(write)
}
