//! Why a registry could not be used.
//!
//! No secret is in here: URLs show no query, and headers are not kept.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use crate::digest::BlobDigest;

/// Why a registry could not be used.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// No connection, or one that broke.
    #[error("cannot talk to `{url}`{}", after(*.attempts))]
    Unreachable {
        /// What was asked for.
        url: String,
        /// How often it was tried.
        attempts: u32,
        /// Why.
        #[source]
        source: Box<ureq::Error>,
    },
    /// A proxy that does not let through.
    #[error("proxy refuses to lead to `{host}`")]
    ProxyRefused {
        /// Where to.
        host: String,
        /// What it answered.
        #[source]
        source: Box<ureq::Error>,
    },
    /// A tag for referrers that somebody uses for something else.
    #[error(
        "`{repository}:{tag}` is no index of referrers: documents about the image cannot be listed there"
    )]
    NoReferrersIndex {
        /// Where.
        repository: String,
        /// The tag.
        tag: String,
    },
    /// Others write the same list at the same time, again and again.
    #[error("`{repository}:{tag}` lost what was written to it, each time")]
    ReferrersRace {
        /// Where.
        repository: String,
        /// The tag.
        tag: String,
    },
    /// A document beside an image that cannot be read.
    #[error("cannot read document {digest}")]
    Document {
        /// Which.
        digest: BlobDigest,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A certificate that nothing here vouches for.
    #[error("certificate of `{host}` is not trusted")]
    Certificate {
        /// The host.
        host: String,
        /// Why.
        #[source]
        source: Box<ureq::Error>,
    },
    /// Something else than TLS where TLS must be.
    #[error("`{host}` does not speak TLS")]
    NotTls {
        /// The host.
        host: String,
        /// What was found instead.
        #[source]
        source: Box<ureq::Error>,
    },
    /// An answer that is none.
    #[error("registry answered {method} `{url}` with status {status}{}{}", colon(message), after(*.attempts))]
    Status {
        /// The request's method.
        method: String,
        /// What was asked for.
        url: String,
        /// The status.
        status: u16,
        /// What the registry says to it.
        message: String,
        /// How often it was tried.
        attempts: u32,
    },
    /// The registry does not let us in.
    #[error(
        "`{host}` does not allow this {}{}",
        if *.known { "with the credentials there are" } else { "without credentials" },
        colon(message)
    )]
    Unauthorized {
        /// The host.
        host: String,
        /// What the registry says to it.
        message: String,
        /// Whether there were credentials.
        known: bool,
        /// The files that were looked at for credentials.
        looked_at: Vec<PathBuf>,
    },
    /// The registry wants a kind of authentication that is not known.
    #[error("`{host}` asks for an authentication other than Basic and Bearer")]
    Challenge {
        /// The host.
        host: String,
    },
    /// The registry names a token endpoint that must not see the user's password.
    #[error(
        "`{host}` sends for a token to `{realm}`, which is neither the same host nor of the same domain over TLS: no password is sent there"
    )]
    Realm {
        /// The registry.
        host: String,
        /// The endpoint.
        realm: String,
    },
    /// The token endpoint refuses.
    #[error("token endpoint `{realm}` answered with status {status}{}", colon(message))]
    TokenStatus {
        /// The registry that named it.
        host: String,
        /// The endpoint.
        realm: String,
        /// The status.
        status: u16,
        /// What it says.
        message: String,
        /// The files that were looked at for credentials.
        looked_at: Vec<PathBuf>,
    },
    /// The token endpoint's answer holds no token.
    #[error("token endpoint `{realm}` answered without a token")]
    NoToken {
        /// The endpoint.
        realm: String,
    },
    /// One redirect after the other.
    #[error("`{url}` is redirected more than {limit} times")]
    Redirects {
        /// What was asked for.
        url: String,
        /// How many are followed.
        limit: usize,
    },
    /// From TLS into the clear.
    #[error("`{from}` redirects to `{to}`: from https to http is not followed")]
    Downgrade {
        /// What was asked for.
        from: String,
        /// Where it would lead.
        to: String,
    },
    /// A `Location` that is missing or no URL.
    #[error("registry answered `{url}` without a usable `Location`")]
    Location {
        /// What was asked for.
        url: String,
    },
    /// No such manifest or blob.
    #[error("`{repository}` has no {what}{}", colon(message))]
    NotFound {
        /// The repository.
        repository: String,
        /// The manifest or blob.
        what: String,
        /// What the registry says to it.
        message: String,
    },
    /// Other bytes than asked for.
    #[error("registry sent a {what} that is not what was asked for: expected {expected}, found {found}")]
    WrongDigest {
        /// Manifest or blob.
        what: &'static str,
        /// Asked for, or announced.
        expected: BlobDigest,
        /// Of the bytes.
        found: BlobDigest,
    },
    /// Took the bytes for others.
    #[error("registry stored {expected} as {found}")]
    StoredOther {
        /// What was sent.
        expected: BlobDigest,
        /// What it says it has.
        found: String,
    },
    /// Says that it has more of an upload than was sent, or never as much.
    #[error("registry was sent {sent} bytes of an upload to `{url}` and says that it has {has}")]
    Received {
        /// Where the upload went.
        url: String,
        /// How many bytes were sent.
        sent: u64,
        /// How many it says it has.
        has: u64,
    },
    /// A blob that the registry has a part of, and does not take again.
    #[error("registry holds blob {digest} with the wrong size: expected {expected} bytes, found {found}")]
    HeldOther {
        /// Which.
        digest: BlobDigest,
        /// Of the blob that was sent.
        expected: u64,
        /// What the registry has under its name.
        found: u64,
    },
    /// Documents beside an image beyond all measure.
    #[error("`{repository}` has more than {limit} {what} beside an image")]
    TooMuchBeside {
        /// Where.
        repository: String,
        /// How much is read.
        limit: u64,
        /// Of what.
        what: String,
    },
    /// More or fewer bytes than announced.
    #[error("registry sent blob {digest} with the wrong size: expected {expected} bytes, found {}{found}", if *.more { "more than " } else { "" })]
    WrongSize {
        /// Which.
        digest: BlobDigest,
        /// What the descriptor says.
        expected: u64,
        /// How many came.
        found: u64,
        /// Whether more would have come.
        more: bool,
    },
    /// A document beyond all measure.
    #[error("registry sent a document longer than {limit} bytes for `{url}`")]
    TooLong {
        /// What was asked for.
        url: String,
        /// How long it may be.
        limit: u64,
    },
    /// Bytes that come too slowly to wait for.
    #[error("`{url}` stalled{}", after(*.attempts))]
    Stalled {
        /// What was asked for.
        url: String,
        /// How often it was tried.
        attempts: u32,
    },
    /// An auth file that cannot be read.
    #[error("auth file `{}` cannot be read", path.display())]
    AuthFile {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A credential helper that gives nothing.
    #[error("credential helper `{name}` {problem}")]
    Helper {
        /// Its program.
        name: String,
        /// What it did.
        problem: &'static str,
    },
    /// `--ca-file` cannot be read.
    #[error("certificates in `{}` cannot be read", path.display())]
    CaFile {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// An environment variable that names no proxy.
    #[error("environment variable `{variable}` is not the URL of a proxy")]
    Proxy {
        /// Which.
        variable: &'static str,
    },
    /// A blob that the registry had when this began.
    #[error("registry does not hold blob {digest} any more")]
    Vanished {
        /// Which.
        digest: BlobDigest,
    },
    /// Nobody wants it any more.
    #[error("download was given up")]
    Abandoned,
    /// Storing what came, reading what goes, or working on it.
    #[error("this machine has no file or thread to spare for it")]
    Temporary(#[source] io::Error),
}

impl RegistryError {
    /// Whether the cause is on this machine: asking again changes nothing.
    pub fn is_local(&self) -> bool {
        matches!(
            self,
            Self::AuthFile { .. }
                | Self::Helper { .. }
                | Self::CaFile { .. }
                | Self::Proxy { .. }
                | Self::Temporary(_)
        )
    }

    /// Whether what was asked for is not there as it was named, while the registry itself answers.
    pub(super) fn is_lost_or_wrong(&self) -> bool {
        matches!(
            self,
            Self::NotFound { .. } | Self::WrongDigest { .. } | Self::WrongSize { .. } | Self::TooLong { .. }
        )
    }

    /// Whether nobody listens there.
    pub(super) fn is_refused_connection(&self) -> bool {
        let Self::Unreachable { source, .. } = self else { return false };
        matches!(&**source, ureq::Error::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused)
    }

    /// With the number of tries, where the error shows it.
    #[must_use]
    pub(super) fn tried(mut self, times: u32) -> Self {
        if let Self::Unreachable { attempts, .. }
        | Self::Status { attempts, .. }
        | Self::Stalled { attempts, .. } = &mut self
        {
            *attempts = times;
        }
        self
    }

    /// The registry's error somewhere below `error`, I/O errors looked into.
    pub fn find<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref::<Self>() {
                return Some(found);
            }
            if let Some(shared) = error.downcast_ref::<Shared>() {
                return Some(&shared.0);
            }
            next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
                Some(inner) => Some(inner as &(dyn Error + 'static)),
                None => error.source(),
            };
        }
        None
    }
}

/// One error for every reader of the same download, inside an [`io::Error`].
#[derive(Debug, Clone, thiserror::Error)]
#[error(transparent)]
pub(super) struct Shared(pub(super) std::sync::Arc<RegistryError>);

impl From<Shared> for io::Error {
    fn from(shared: Shared) -> Self {
        Self::other(shared)
    }
}

fn after(attempts: u32) -> String {
    if attempts > 1 { format!(" after {attempts} attempts") } else { String::new() }
}

fn colon(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

/// What an answer's body says: the distribution-spec's error list, an OAuth error, or nothing.
pub(super) fn message_of(body: &[u8]) -> String {
    /// Longest message shown; it comes from outside.
    const MAX_MESSAGE: usize = 200;
    let value: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |value: &serde_json::Value, key: &str| {
        value.get(key).and_then(|text| text.as_str().map(str::to_owned))
    };
    let first = value.pointer("/errors/0");
    let message = match first {
        Some(first) => [text(first, "code"), text(first, "message")],
        None => {
            [text(&value, "error"), text(&value, "error_description").or_else(|| text(&value, "details"))]
        }
    };
    let words: Vec<String> = message.into_iter().flatten().filter(|word| !word.is_empty()).collect();
    words.join(": ").chars().take(MAX_MESSAGE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_is_what_registries_and_token_endpoints_say() {
        let said = |text: &str| message_of(text.as_bytes());
        assert_eq!(said(r#"{"errors":[{"code":"DENIED","message":"no","detail":{}}]}"#), "DENIED: no");
        assert_eq!(said(r#"{"error":"invalid_grant","error_description":"old"}"#), "invalid_grant: old");
        assert_eq!(said(r#"{"details":"incorrect username or password"}"#), "incorrect username or password");
        assert_eq!(said("<html>"), "");
        assert_eq!(said(r#"{"errors":[]}"#), "");
    }

    #[test]
    fn error_is_found_below_io_errors() {
        let shared = Shared(std::sync::Arc::new(RegistryError::NoToken { realm: "x".into() }));
        let wrapped = io::Error::other(io::Error::from(shared));
        assert!(matches!(RegistryError::find(&wrapped), Some(RegistryError::NoToken { .. })));
        assert!(RegistryError::find(&io::Error::other("x")).is_none());
    }
}
