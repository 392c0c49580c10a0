//! Blobs on their way out: not sent where they are, mounted where a neighbour has them, in chunks or whole.
//!
//! Does not know what blobs mean, or when a tag may move.

use std::fs::File;
use std::time::Duration;

use ureq::http::Method;

use super::client::{Client, check_stored};
use super::error::RegistryError;
use super::exchange::{self, Call};
use super::pace::{MAX_ATTEMPTS, MAX_RESUMES, is_passing};
use super::transport::{Answer, Patience, Payload, sleep};
use super::url::{Scheme, Url};
use crate::digest::BlobDigest;
use crate::image::manifest::Blob;

/// Times that an upload is begun again because the registry found other bytes or lost the session.
const MAX_WRONG: u32 = 4;

/// An upload that was begun.
struct Session {
    /// Where it goes on.
    url: Url,
    /// The shortest piece but the last that the registry takes (distribution-spec, `OCI-Chunk-Min-Length`).
    least: u64,
}

/// The bytes of a blob.
#[derive(Debug, Clone, Copy)]
pub enum Content<'a> {
    /// In memory.
    Bytes(&'a [u8]),
    /// All of a file.
    File(&'a File),
}

impl<'a> Content<'a> {
    fn part(self, offset: u64, length: u64) -> Payload<'a> {
        match self {
            Self::Bytes(bytes) => {
                let at = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
                let part = bytes.get(at(offset)..at(offset.saturating_add(length)));
                Payload::Bytes(part.unwrap_or_default())
            }
            Self::File(file) => Payload::Part { file, offset, length },
        }
    }
}

/// How a blob came to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// It was there.
    Present,
    /// From another repository of the registry.
    Mounted,
    /// Every byte was sent.
    Uploaded,
}

/// How the bytes are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// `PATCH` after `PATCH`, then `PUT`.
    Chunks,
    /// One `PUT`: for what is small, and for registries that take no chunks.
    Whole,
}

/// How a try ended that did not finish the upload.
enum Broken {
    /// A new session may get further.
    Passing(RegistryError, Option<Duration>),
    /// The registry does not take chunks.
    NoChunks,
    /// The registry has other bytes, or has lost the session.
    Wrong(RegistryError),
    /// Trying again does not help.
    Final(RegistryError),
}

impl Client {
    /// Whether the repository holds the blob, all of it: a part under its name is not the blob.
    pub fn has_blob(&self, blob: Blob) -> Result<bool, RegistryError> {
        Ok(matches!(self.held(blob)?, Held::Whole))
    }

    fn held(&self, Blob { digest, size }: Blob) -> Result<Held, RegistryError> {
        let call = Call::new(Method::HEAD, self.url(&format!("blobs/{digest}"))?);
        let answer = self.send(&call)?;
        match answer.status {
            200 => {
                check_stored(&answer, digest)?;
                let length = answer.header("content-length").and_then(|length| length.parse().ok());
                // Who says no length is believed.
                if let Some(found) = length.filter(|&length: &u64| length != size) {
                    return Ok(Held::Other(found));
                }
                self.host.note_holder(digest, &self.repository.path);
                Ok(Held::Whole)
            }
            404 => Ok(Held::Nothing),
            _ => Err(exchange::refusal(&call.method, answer, 1)),
        }
    }

    /// Brings a blob of `size` bytes into the repository, by the least effort.
    pub fn put_blob(
        &self,
        digest: &BlobDigest,
        size: u64,
        content: Content<'_>,
    ) -> Result<Sent, RegistryError> {
        let blob = Blob { digest: *digest, size };
        let before = self.held(blob)?;
        if matches!(before, Held::Whole) {
            return Ok(Sent::Present);
        }
        let session = match self.host.holder(digest, &self.repository.path) {
            Some(from) => match self.mount(digest, &from)? {
                Mount::Done => {
                    self.host.note_holder(*digest, &self.repository.path);
                    return Ok(Sent::Mounted);
                }
                Mount::Session(session) => Some(session),
                Mount::Refused => None,
            },
            None => None,
        };
        self.upload(digest, size, content, session)?;
        // What had the name may have kept it: registries do not write over what they take for the same blob.
        if let Held::Other(_) = before
            && let Held::Other(found) = self.held(blob)?
        {
            return Err(RegistryError::HeldOther { digest: *digest, expected: size, found });
        }
        self.host.note_holder(*digest, &self.repository.path);
        Ok(Sent::Uploaded)
    }

    fn mount(&self, digest: &BlobDigest, from: &str) -> Result<Mount, RegistryError> {
        let url =
            self.url("blobs/uploads/")?.with_query("mount", &digest.to_string()).with_query("from", from);
        let answer = self.send_as(&Call::new(Method::POST, url), Some(from));
        match answer {
            Ok(answer) if answer.status == 201 => check_stored(&answer, *digest).map(|()| Mount::Done),
            Ok(answer) if answer.status == 202 => begun(&answer).map(Mount::Session),
            // Not allowed there, or not known here: then it is sent.
            Ok(_) | Err(RegistryError::Unauthorized { .. } | RegistryError::TokenStatus { .. }) => {
                Ok(Mount::Refused)
            }
            Err(error) => Err(error),
        }
    }

    fn upload(
        &self,
        digest: &BlobDigest,
        size: u64,
        content: Content<'_>,
        mut session: Option<Session>,
    ) -> Result<(), RegistryError> {
        let mut way = if size > self.transport.settings().chunk { Way::Chunks } else { Way::Whole };
        let (mut passing, mut wrong) = (0, 0);
        loop {
            let begun = match session.take() {
                Some(session) => session,
                None => self.begin_upload()?,
            };
            let sent = match way {
                Way::Chunks => self.send_chunks(begun, digest, size, content),
                Way::Whole => self.finish_upload(&begun.url, digest, content.part(0, size)),
            };
            let (error, wait) = match sent {
                Ok(()) => return Ok(()),
                Err(Broken::Final(error)) => return Err(error),
                Err(Broken::NoChunks) => {
                    way = Way::Whole;
                    continue;
                }
                Err(Broken::Wrong(error)) => {
                    wrong += 1;
                    (error, self.transport.pace().before(wrong + 1, None).filter(|_| wrong < MAX_WRONG))
                }
                Err(Broken::Passing(error, asked)) => {
                    passing += 1;
                    let wait = self.transport.pace().before(passing + 1, asked);
                    (error, wait.filter(|_| passing < MAX_ATTEMPTS))
                }
            };
            match wait {
                Some(wait) => sleep(wait),
                None => return Err(error.tried(passing + wrong)),
            }
            // The answer may have been lost, and not the bytes.
            if self.has_blob(Blob { digest: *digest, size })? {
                return Ok(());
            }
        }
    }

    fn begin_upload(&self) -> Result<Session, RegistryError> {
        let call = Call::new(Method::POST, self.url("blobs/uploads/")?);
        let answer = self.send(&call)?;
        if answer.status != 202 {
            return Err(exchange::refusal(&call.method, answer, 1));
        }
        begun(&answer)
    }

    fn send_chunks(
        &self,
        begun: Session,
        digest: &BlobDigest,
        size: u64,
        content: Content<'_>,
    ) -> Result<(), Broken> {
        let (mut session, mut offset, mut resumed, mut fruitless) = (begun.url, 0, 0, 0);
        let piece = self.transport.settings().chunk.max(begun.least);
        while offset < size {
            let length = piece.clamp(1, size - offset);
            let call = Call::new(Method::PATCH, session.clone())
                .header("Content-Type", "application/octet-stream")
                .header("Content-Range", format!("{offset}-{}", offset + length - 1))
                .payload(content.part(offset, length))
                .patience(Patience::Stream);
            match self.step(&call) {
                Ok(answer) if matches!(answer.status, 200..=204) => {
                    session = next_location(&answer).map_err(Broken::Final)?;
                    let sent = offset + length;
                    let has = next_offset(&answer).unwrap_or(sent);
                    // Less than was sent is sent again, as after a cut, and as often: what a registry says of itself
                    // must not keep a run going.
                    resumed += u32::from(has < sent);
                    fruitless = if has > offset { 0 } else { fruitless + 1 };
                    if has > sent || fruitless >= MAX_ATTEMPTS || resumed >= MAX_RESUMES {
                        let url = answer.url.to_string();
                        return Err(Broken::Wrong(RegistryError::Received { url, sent, has }));
                    }
                    offset = has;
                }
                // Whatever a registry calls it that does not take the first piece: whole it is told what is wrong.
                Ok(answer) if offset == 0 && matches!(answer.status, 400 | 402..=499 | 501) => {
                    return Err(Broken::NoChunks);
                }
                Ok(answer) => return Err(Broken::Wrong(exchange::refusal(&call.method, answer, 1))),
                Err(Broken::Passing(error, asked)) => {
                    (resumed, fruitless) = (resumed + 1, fruitless + 1);
                    let may = fruitless < MAX_ATTEMPTS && resumed < MAX_RESUMES;
                    let Some(wait) = self.transport.pace().before(fruitless + 1, asked).filter(|_| may)
                    else {
                        return Err(Broken::Final(error.tried(resumed)));
                    };
                    sleep(wait);
                    (session, offset) = self.where_it_stands(&session, offset + length)?;
                }
                Err(other) => return Err(other),
            }
        }
        self.finish_upload(&session, digest, Payload::None)
    }

    /// How far the registry got before a piece broke off; `sent` is what it can have at most.
    fn where_it_stands(&self, session: &Url, sent: u64) -> Result<(Url, u64), Broken> {
        let call = Call::new(Method::GET, session.clone());
        let answer = self.send(&call).map_err(Broken::Final)?;
        if !matches!(answer.status, 200..=204) {
            return Err(Broken::Wrong(exchange::refusal(&call.method, answer, 1)));
        }
        let session = next_location(&answer).unwrap_or_else(|_| session.clone());
        match next_offset(&answer) {
            Some(offset) if offset <= sent => Ok((session, offset)),
            _ => Err(Broken::Wrong(exchange::refusal(&call.method, answer, 1))),
        }
    }

    /// `PUT` with the digest, and with all bytes or none.
    fn finish_upload(&self, session: &Url, digest: &BlobDigest, payload: Payload<'_>) -> Result<(), Broken> {
        let call = Call::new(Method::PUT, session.with_query("digest", &digest.to_string()))
            .header("Content-Type", "application/octet-stream")
            .payload(payload)
            .patience(Patience::Stream);
        let answer = self.step(&call)?;
        match answer.status {
            200..=204 => check_stored(&answer, *digest).map_err(Broken::Wrong),
            400 | 404 | 416 => Err(Broken::Wrong(exchange::refusal(&call.method, answer, 1))),
            _ => Err(Broken::Final(exchange::refusal(&call.method, answer, 1))),
        }
    }

    /// One request of an upload, tried once: what was sent may have counted.
    fn step(&self, call: &Call<'_>) -> Result<Answer, Broken> {
        match self.authenticated(call, None) {
            Ok(answer) if is_passing(answer.status) => {
                let asked = exchange::retry_after(&answer);
                Err(Broken::Passing(exchange::refusal(&call.method, answer, 1), asked))
            }
            Ok(answer) => Ok(answer),
            Err(error @ RegistryError::Unreachable { .. }) => Err(Broken::Passing(error, None)),
            Err(error) => Err(Broken::Final(error)),
        }
    }
}

/// What a repository has under a blob's name.
enum Held {
    Nothing,
    Whole,
    /// So many bytes, which are not as many as the blob's.
    Other(u64),
}

enum Mount {
    Done,
    /// The registry does not have it after all, and waits for the bytes.
    Session(Session),
    Refused,
}

/// The upload that an answer begins.
fn begun(answer: &Answer) -> Result<Session, RegistryError> {
    let least = answer.header("oci-chunk-min-length").and_then(|length| length.trim().parse().ok());
    Ok(Session { url: next_location(answer)?, least: least.unwrap_or(0) })
}

/// Where an upload goes on.
fn next_location(answer: &Answer) -> Result<Url, RegistryError> {
    let missing = || RegistryError::Location { url: answer.url.to_string() };
    let next =
        answer.header("location").and_then(|location| answer.url.join(location)).ok_or_else(missing)?;
    if answer.url.scheme == Scheme::Https && next.scheme == Scheme::Http {
        return Err(RegistryError::Downgrade { from: answer.url.to_string(), to: next.to_string() });
    }
    Ok(next)
}

/// The first byte that the registry does not have, from `Range: 0-LAST`. Distribution answers `0-0` to nothing, too.
fn next_offset(answer: &Answer) -> Option<u64> {
    let range = answer.header("range")?;
    let range = range.strip_prefix("bytes=").unwrap_or(range);
    match range.strip_prefix("0-")?.trim().parse::<u64>().ok()? {
        0 => Some(0),
        last => last.checked_add(1),
    }
}
