//! One repository: manifests by tag and digest, and requests that authenticate themselves.
//!
//! Does not know what manifests mean; blobs are in `download` and `upload`.

use std::fmt;
use std::sync::{Arc, OnceLock};

use ureq::http::Method;

use super::Right;
use super::credentials::{self, Found};
use super::error::RegistryError;
use super::exchange::{self, Call};
use super::host::Host;
use super::transport::{Answer, Payload, Transport};
use super::url::Url;
use crate::digest::BlobDigest;
use crate::image::{MAX_DOCUMENT, media};
use crate::reference::Repository;

/// Tries to get a document whose digest is right: a proxy that mixes up answers once may not do so twice.
const MAX_WRONG: u32 = 3;

/// Challenges answered for one request: the first, one for a token that ended meanwhile, and some for tokens that
/// requests side by side had used up before this one was sent.
const MAX_CHALLENGES: u32 = 6;

/// What a manifest is asked for by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tag {
    /// A name that may move.
    Name(String),
    /// Exactly this one.
    Digest(BlobDigest),
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

/// A manifest's bytes, verified against their digest where it was asked for or announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedManifest {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// `Content-Type`, without parameters; empty where there was none.
    pub media_type: String,
    /// Of the bytes.
    pub digest: BlobDigest,
}

/// What a registry says of a manifest that it stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// The subject beside which the registry lists it (distribution-spec, `OCI-Subject`); `None` where it lists none.
    pub subject: Option<BlobDigest>,
}

/// Speaks to one repository. Cheap to clone; may be used by several threads at once.
#[derive(Clone)]
pub struct Client {
    pub(super) transport: Arc<Transport>,
    pub(super) host: Arc<Host>,
    pub(super) repository: Repository,
    right: Right,
    found: Arc<OnceLock<Found>>,
}

impl Client {
    pub(super) fn new(
        transport: Arc<Transport>,
        host: Arc<Host>,
        repository: Repository,
        right: Right,
    ) -> Self {
        Self { transport, host, repository, right, found: Arc::default() }
    }

    /// The manifest; [`RegistryError::NotFound`] where there is none.
    pub fn get_manifest(&self, tag: &Tag) -> Result<FetchedManifest, RegistryError> {
        let mut tried = 0;
        loop {
            tried += 1;
            match self.get_manifest_once(tag) {
                Err(RegistryError::WrongDigest { .. }) if tried < MAX_WRONG => {}
                other => return other,
            }
        }
    }

    fn get_manifest_once(&self, tag: &Tag) -> Result<FetchedManifest, RegistryError> {
        let call = self.manifest_call(Method::GET, tag)?;
        // Bodies break too: what is read is part of the try.
        let (answer, bytes) = self.send_and_read(&call, MAX_DOCUMENT)?;
        match answer.status {
            200 => {}
            404 => return Err(self.not_found(&format!("manifest `{tag}`"), &bytes)),
            _ => return Err(answer.refusal(&call.method, &bytes)),
        }
        let found = BlobDigest::of(&bytes);
        let expected = match tag {
            Tag::Digest(digest) => Some(*digest),
            Tag::Name(_) => answer.digest,
        };
        if let Some(expected) = expected.filter(|expected| *expected != found) {
            return Err(RegistryError::WrongDigest { what: "manifest", expected, found });
        }
        Ok(FetchedManifest { bytes, media_type: answer.media_type, digest: found })
    }

    /// The digest of the manifest there, as the registry says; `None` where there is none, or it does not say.
    pub fn head_manifest(&self, tag: &Tag) -> Result<Option<BlobDigest>, RegistryError> {
        let call = self.manifest_call(Method::HEAD, tag)?;
        let answer = self.send(&call)?;
        match answer.status {
            200 => Ok(digest_header(&answer)),
            404 => Ok(None),
            _ => Err(exchange::refusal(&call.method, answer, 1)),
        }
    }

    /// Stores a manifest; the digest that the registry answers with is compared.
    pub fn put_manifest(&self, tag: &Tag, bytes: &[u8], media_type: &str) -> Result<Stored, RegistryError> {
        let url = self.url(&format!("manifests/{tag}"))?;
        let call =
            Call::new(Method::PUT, url).header("Content-Type", media_type).payload(Payload::Bytes(bytes));
        let answer = self.send(&call)?;
        if !matches!(answer.status, 200..=204) {
            return Err(exchange::refusal(&call.method, answer, 1));
        }
        check_stored(&answer, BlobDigest::of(bytes))?;
        Ok(Stored { subject: answer.header("oci-subject").and_then(|subject| subject.parse().ok()) })
    }

    fn manifest_call(&self, method: Method, tag: &Tag) -> Result<Call<'static>, RegistryError> {
        let accepted = [media::OCI_INDEX, media::OCI_MANIFEST, media::DOCKER_LIST, media::DOCKER_MANIFEST];
        Ok(Call::new(method, self.url(&format!("manifests/{tag}"))?).header("Accept", accepted.join(", ")))
    }

    /// `/v2/REPOSITORY/…` on the registry.
    pub(super) fn url(&self, below: &str) -> Result<Url, RegistryError> {
        let base = self.host.base(&self.transport)?;
        let path = format!("/v2/{}/{below}", self.repository.path);
        base.join(&path).ok_or(RegistryError::Location { url: path })
    }

    pub(super) fn not_found(&self, what: &str, body: &[u8]) -> RegistryError {
        RegistryError::NotFound {
            repository: self.repository.to_string(),
            what: what.to_owned(),
            message: super::error::message_of(body),
        }
    }

    /// Sends with credentials, redirects and tries. Any answer that will not pass is one.
    pub(super) fn send(&self, call: &Call<'_>) -> Result<Answer, RegistryError> {
        self.send_as(call, None)
    }

    /// As [`Client::send`], with the right to read from another repository of the host too.
    pub(super) fn send_as(&self, call: &Call<'_>, also: Option<&str>) -> Result<Answer, RegistryError> {
        exchange::retried(&self.transport, call, |call| self.authenticated(call, also))
    }

    /// One try, with as many challenges answered as make sense.
    pub(super) fn authenticated(&self, call: &Call<'_>, also: Option<&str>) -> Result<Answer, RegistryError> {
        let base = self.host.base(&self.transport)?;
        // An upload's address may be elsewhere, where neither our credentials nor its challenges count.
        if !call.url.is_same_place(&base) {
            return exchange::redirected(&self.transport, call, None);
        }
        let found = self.found()?;
        let scopes = self.scopes(also);
        let mut challenges = 0;
        loop {
            let authorization = self.host.authorization(&self.transport, found, &scopes)?;
            let answer = exchange::redirected(&self.transport, call, authorization.as_ref())?;
            if answer.status != 401 || !answer.url.is_same_place(&base) {
                return Ok(answer);
            }
            if let Some((name, problem)) = &found.failed {
                return Err(RegistryError::Helper { name: name.clone(), problem });
            }
            challenges += 1;
            let challenge = exchange::challenge_of(&answer);
            let learned = self.host.learn(challenge, &base, found, &scopes, authorization.as_ref())?;
            if challenges > MAX_CHALLENGES || !learned {
                return Err(RegistryError::Unauthorized {
                    host: self.host.name().to_owned(),
                    message: exchange::said(answer),
                    known: found.credential.is_some(),
                    looked_at: found.looked_at.clone(),
                });
            }
        }
    }

    /// An answer with its whole body; a body that breaks is tried again like a connection that does.
    pub(super) fn send_and_read(
        &self,
        call: &Call<'_>,
        limit: u64,
    ) -> Result<(Head, Vec<u8>), RegistryError> {
        let mut body = None;
        let answer = exchange::retried(&self.transport, call, |call| {
            let mut answer = self.authenticated(call, None)?;
            if super::pace::is_passing(answer.status) {
                return Ok(answer);
            }
            let url = answer.url.to_string();
            let broken = |source| exchange::broken(url.clone(), source);
            body = Some(
                answer
                    .take_body(limit)
                    .map_err(broken)?
                    .ok_or_else(|| RegistryError::TooLong { url: url.clone(), limit })?,
            );
            Ok(answer)
        })?;
        Ok((Head::of(&answer), body.unwrap_or_default()))
    }

    fn found(&self) -> Result<&Found, RegistryError> {
        if let Some(found) = self.found.get() {
            return Ok(found);
        }
        let second = self.transport.pace().second;
        let found = credentials::find(&self.repository, &self.transport.environment, second)?;
        Ok(self.found.get_or_init(|| found))
    }

    fn scopes(&self, also: Option<&str>) -> Vec<String> {
        let actions = match self.right {
            Right::Pull => "pull",
            Right::Push => "pull,push",
        };
        let own = format!("repository:{}:{actions}", self.repository.path);
        std::iter::once(own).chain(also.map(|path| format!("repository:{path}:pull"))).collect()
    }
}

/// What counts of an answer's head.
pub(super) struct Head {
    status: u16,
    url: Url,
    media_type: String,
    digest: Option<BlobDigest>,
    next: Option<Url>,
}

impl Head {
    /// HTTP's number.
    pub(super) fn status(&self) -> u16 {
        self.status
    }

    /// Where the rest of a list is.
    pub(super) fn next(&self) -> Option<&Url> {
        self.next.as_ref()
    }

    fn of(answer: &Answer) -> Self {
        let media_type = answer.header("content-type").unwrap_or_default();
        Self {
            status: answer.status,
            url: answer.url.clone(),
            media_type: media_type.split(';').next().unwrap_or_default().trim().to_owned(),
            digest: digest_header(answer),
            next: answer.header("link").and_then(|link| answer.url.next_of(link)),
        }
    }

    pub(super) fn refusal(&self, method: &Method, body: &[u8]) -> RegistryError {
        RegistryError::Status {
            method: method.to_string(),
            url: self.url.to_string(),
            status: self.status,
            message: super::error::message_of(body),
            attempts: 1,
        }
    }
}

/// `Docker-Content-Digest`, where it is a SHA-256.
fn digest_header(answer: &Answer) -> Option<BlobDigest> {
    answer.header("docker-content-digest")?.parse().ok()
}

/// Compares what the registry says it stored; it need not say.
pub(super) fn check_stored(answer: &Answer, expected: BlobDigest) -> Result<(), RegistryError> {
    match answer.header("docker-content-digest") {
        Some(found) if found != expected.to_string() => {
            Err(RegistryError::StoredOther { expected, found: found.chars().take(200).collect() })
        }
        _ => Ok(()),
    }
}
