//! A request with everything around it: redirects, tries, waits, authentication.
//!
//! Does not know what is asked for.

use std::io;
use std::time::{Duration, SystemTime};

use ureq::http::Method;

use super::challenge::parse_challenges;
use super::error::{RegistryError, message_of};
use super::pace::{MAX_ATTEMPTS, MAX_FIRST_ATTEMPTS, MAX_RETRY_AFTER, is_passing, parse_retry_after};
use super::secret::Secret;
use super::transport::{Answer, Patience, Payload, Request, Transport, sleep};
use super::url::{Scheme, Url};

/// Most redirects of one request: storage behind a registry is one or two away.
const MAX_REDIRECTS: usize = 5;

/// Longest body of an error that is looked at, in bytes.
const MAX_ERROR_BODY: u64 = 64 << 10;

/// What is asked for.
pub(super) struct Call<'a> {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) payload: Payload<'a>,
    pub(super) patience: Patience,
}

impl<'a> Call<'a> {
    /// Without headers and payload.
    pub(super) fn new(method: Method, url: Url) -> Self {
        Self { method, url, headers: Vec::new(), payload: Payload::None, patience: Patience::Exchange }
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn payload(mut self, payload: Payload<'a>) -> Self {
        self.payload = payload;
        self
    }

    pub(super) fn patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }
}

/// Sends and follows redirects of what only reads. Credentials go to the first host only.
pub(super) fn redirected(
    transport: &Transport,
    call: &Call<'_>,
    authorization: Option<&Secret>,
) -> Result<Answer, RegistryError> {
    let mut url = call.url.clone();
    for _ in 0..=MAX_REDIRECTS {
        let answer = transport.send(&Request {
            method: call.method.clone(),
            url: &url,
            headers: &call.headers,
            authorization: authorization.filter(|_| url.is_same_place(&call.url)),
            payload: call.payload,
            patience: call.patience,
        })?;
        let reads = matches!(call.method, Method::GET | Method::HEAD);
        if !reads || !matches!(answer.status, 301 | 302 | 303 | 307 | 308) {
            return Ok(answer);
        }
        let next = answer.header("location").and_then(|location| url.join(location));
        let next = next.ok_or_else(|| RegistryError::Location { url: url.to_string() })?;
        if url.scheme == Scheme::Https && next.scheme == Scheme::Http {
            return Err(RegistryError::Downgrade { from: url.to_string(), to: next.to_string() });
        }
        url = next;
    }
    Err(RegistryError::Redirects { url: call.url.to_string(), limit: MAX_REDIRECTS })
}

/// Tries again what may pass, with waits between; the last answer or error counts.
pub(super) fn retried(
    transport: &Transport,
    call: &Call<'_>,
    mut attempt: impl FnMut(&Call<'_>) -> Result<Answer, RegistryError>,
) -> Result<Answer, RegistryError> {
    let mut tried = 0;
    loop {
        tried += 1;
        let (failed, asked) = match attempt(call) {
            Ok(answer) if is_passing(answer.status) => {
                let asked = retry_after(&answer);
                (refusal(&call.method, answer, tried), asked)
            }
            Err(error @ RegistryError::Unreachable { .. }) => (error.tried(tried), None),
            other => return other,
        };
        let wait = transport.pace().before(tried + 1, asked).filter(|_| tried < most_attempts(&failed));
        match wait {
            Some(wait) => sleep(wait),
            None => return Err(failed),
        }
    }
}

/// A name that nobody knows or a port where nobody listens is mostly mistyped, and waited for a little only.
pub(super) fn most_attempts(error: &RegistryError) -> u32 {
    let RegistryError::Unreachable { source, .. } = error else { return MAX_ATTEMPTS };
    match &**source {
        ureq::Error::HostNotFound => MAX_FIRST_ATTEMPTS,
        _ if error.is_refused_connection() => MAX_FIRST_ATTEMPTS,
        // The standard library has no kind for it.
        ureq::Error::Io(error) if error.to_string().starts_with("failed to lookup address") => {
            MAX_FIRST_ATTEMPTS
        }
        _ => MAX_ATTEMPTS,
    }
}

/// What a 401 challenges with.
pub(super) fn challenge_of(answer: &Answer) -> Option<super::challenge::Challenge> {
    let values = answer.headers.get_all("www-authenticate");
    parse_challenges(values.iter().filter_map(|value| value.to_str().ok()))
}

/// An answer that is none, as an error.
pub(super) fn refusal(method: &Method, answer: Answer, attempts: u32) -> RegistryError {
    let (status, url) = (answer.status, answer.url.to_string());
    let asked = retry_after(&answer).filter(|asked| is_passing(status) && asked.as_secs() > MAX_RETRY_AFTER);
    let mut message = said(answer);
    if let Some(asked) = asked {
        let words = format!("asks to be tried again in {} seconds, longer than is waited", asked.as_secs());
        message = if message.is_empty() { words } else { format!("{message}; {words}") };
    }
    RegistryError::Status { method: method.to_string(), url, status, message, attempts }
}

/// What an answer that is none says.
pub(super) fn said(mut answer: Answer) -> String {
    let body = answer.take_body(MAX_ERROR_BODY).ok().flatten().unwrap_or_default();
    message_of(&body)
}

/// A body that ended in an error.
pub(super) fn broken(url: String, source: io::Error) -> RegistryError {
    RegistryError::Unreachable { url, attempts: 1, source: Box::new(source.into()) }
}

pub(super) fn retry_after(answer: &Answer) -> Option<Duration> {
    parse_retry_after(answer.header("retry-after")?, SystemTime::now())
}
