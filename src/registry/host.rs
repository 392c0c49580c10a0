//! One registry: whether it speaks TLS, how it authenticates, the tokens it gave, which repositories hold what.
//!
//! Does not know manifests or blobs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use serde::Deserialize;
use ureq::http::Method;

use super::challenge::{Challenge, may_see_secret};
use super::credentials::Found;
use super::error::{RegistryError, message_of};
use super::exchange::{self, Call, most_attempts};
use super::secret::{Credential, Secret};
use super::transport::{Patience, Payload, Request, Transport, sleep};
use super::url::{Scheme, Url};
use crate::digest::BlobDigest;
use crate::reference::DOCKER_HUB;

/// Who answers for Docker Hub.
const HUB_API: &str = "registry-1.docker.io";

/// Longest answer of a token endpoint, in bytes: tokens with many scopes have some ten KiB.
const MAX_TOKEN: u64 = 1 << 20;

/// How long a token holds whose endpoint does not say, in seconds (distribution, "Token Authentication").
const DEFAULT_EXPIRY: u64 = 60;

/// Longest that a token is trusted to hold, in seconds: endpoints say anything.
const MAX_EXPIRY: u64 = 24 * 60 * 60;

/// One registry, as all repositories on it share it.
pub(super) struct Host {
    name: String,
    base: Mutex<Option<Url>>,
    access: Mutex<Access>,
    holders: Mutex<BTreeMap<BlobDigest, BTreeSet<String>>>,
}

/// How to be let in, as far as it is known.
#[derive(Default)]
struct Access {
    scheme: Option<Challenged>,
    tokens: BTreeMap<Vec<String>, Token>,
}

#[derive(Clone)]
enum Challenged {
    Basic,
    Bearer { realm: Url, service: Option<String> },
}

struct Token {
    header: Secret,
    until: Instant,
}

impl Host {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            base: Mutex::default(),
            access: Mutex::default(),
            holders: Mutex::default(),
        }
    }

    /// As the reference names it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Notes that a repository holds a blob: others on the same host can mount it.
    pub(super) fn note_holder(&self, digest: BlobDigest, path: &str) {
        lock(&self.holders).entry(digest).or_default().insert(path.to_owned());
    }

    /// A repository other than `path` that holds the blob.
    pub(super) fn holder(&self, digest: &BlobDigest, path: &str) -> Option<String> {
        lock(&self.holders).get(digest)?.iter().find(|holder| *holder != path).cloned()
    }

    /// `scheme://host:port/`. Found out once: TLS, and plain HTTP where that is allowed and TLS is not spoken.
    ///
    /// On other machines TLS is not spoken where something else is answered, or where nobody listens. A connection that
    /// breaks, a time limit or a proxy's refusal says nothing of the host: a password in the clear does not follow from it.
    pub(super) fn base(&self, transport: &Transport) -> Result<Url, RegistryError> {
        // Held while probing: others wait for the answer and do not ask again.
        let mut known = lock(&self.base);
        if let Some(base) = &*known {
            return Ok(base.clone());
        }
        let host = if self.name == DOCKER_HUB { HUB_API } else { &self.name };
        let url = |scheme| {
            Url::of_host(scheme, host).ok_or_else(|| RegistryError::Location { url: host.to_owned() })
        };
        let mut base = url(Scheme::Https)?;
        let may_be_plain = base.is_loopback() || (transport.settings().plain_http && host != HUB_API);
        if may_be_plain {
            match probe(transport, &base) {
                Ok(()) => {}
                Err(RegistryError::NotTls { .. }) => base = url(Scheme::Http)?,
                Err(error) if error.is_refused_connection() => base = url(Scheme::Http)?,
                // Whoever has a certificate speaks TLS, and is not asked for less.
                Err(error @ RegistryError::Certificate { .. }) => return Err(error),
                Err(error) if error.is_local() || !base.is_loopback() => return Err(error),
                Err(_) => base = url(Scheme::Http)?,
            }
        }
        *known = Some(base.clone());
        Ok(base)
    }

    /// What goes into `Authorization`, as far as is known before the registry asks.
    pub(super) fn authorization(
        &self,
        transport: &Transport,
        found: &Found,
        scopes: &[String],
    ) -> Result<Option<Secret>, RegistryError> {
        if let Some(Credential::Access(token)) = &found.credential {
            return Ok(Some(Secret::new(format!("Bearer {}", token.expose()))));
        }
        // Held while a token is fetched: others want the same one.
        let mut access = lock(&self.access);
        match access.scheme.clone() {
            None => Ok(None),
            Some(Challenged::Basic) => Ok(found.credential.as_ref().and_then(basic)),
            Some(Challenged::Bearer { realm, service }) => {
                if let Some(token) = access.tokens.get(scopes).filter(|token| Instant::now() < token.until) {
                    return Ok(Some(token.header.clone()));
                }
                let token = self.fetch_token(transport, found, &realm, service.as_deref(), scopes)?;
                let header = token.header.clone();
                access.tokens.insert(scopes.to_vec(), token);
                Ok(Some(header))
            }
        }
    }

    /// Learns from a challenge; `sent` was refused. `false` where nothing better can be sent than was.
    pub(super) fn learn(
        &self,
        challenge: Option<Challenge>,
        base: &Url,
        found: &Found,
        scopes: &[String],
        sent: Option<&Secret>,
    ) -> Result<bool, RegistryError> {
        let mut access = lock(&self.access);
        match challenge {
            None => Err(RegistryError::Challenge { host: self.name.clone() }),
            Some(Challenge::Basic) => {
                access.scheme = Some(Challenged::Basic);
                let header = found.credential.as_ref().and_then(basic);
                Ok(header.is_some() && header.as_ref() != sent)
            }
            Some(Challenge::Bearer { realm, service }) => {
                let realm = base.join(&realm).ok_or_else(|| RegistryError::Realm {
                    host: self.name.clone(),
                    realm: realm.chars().take(200).collect(),
                })?;
                access.scheme = Some(Challenged::Bearer { realm, service });
                if access.tokens.get(scopes).is_some_and(|token| Some(&token.header) == sent) {
                    access.tokens.remove(scopes);
                }
                Ok(!matches!(found.credential, Some(Credential::Access(_))))
            }
        }
    }

    fn fetch_token(
        &self,
        transport: &Transport,
        found: &Found,
        realm: &Url,
        service: Option<&str>,
        scopes: &[String],
    ) -> Result<Token, RegistryError> {
        let registry = lock(&self.base).clone();
        let refused = || RegistryError::Realm { host: self.name.clone(), realm: realm.to_string() };
        let registry = registry.ok_or_else(refused)?;
        if registry.scheme == Scheme::Https && realm.scheme == Scheme::Http {
            return Err(refused());
        }
        let may_see = may_see_secret(&registry, realm);
        let asked_at = Instant::now();
        let mut url = realm.clone();
        let (mut form, mut authorization, mut headers) = (String::new(), None, Vec::new());
        match &found.credential {
            Some(Credential::Identity(_) | Credential::Password { .. }) if !may_see => return Err(refused()),
            Some(Credential::Identity(token)) => {
                form = oauth_form(token, service, scopes);
                headers.push(("Content-Type", "application/x-www-form-urlencoded".to_owned()));
            }
            other => {
                authorization = other.as_ref().and_then(basic);
                url = service.into_iter().fold(url, |url, service| url.with_query("service", service));
                url = scopes.iter().fold(url, |url, scope| url.with_query("scope", scope));
            }
        }
        let call = Call {
            method: if form.is_empty() { Method::GET } else { Method::POST },
            headers,
            payload: if form.is_empty() { Payload::None } else { Payload::Bytes(form.as_bytes()) },
            patience: Patience::Exchange,
            url,
        };
        let mut answer = exchange::retried(transport, &call, |call| {
            exchange::redirected(transport, call, authorization.as_ref())
        })?;
        let status = answer.status;
        let url = answer.url.to_string();
        let body = answer.take_body(MAX_TOKEN).map_err(|source| exchange::broken(url.clone(), source))?;
        let body = body.ok_or(RegistryError::TooLong { url, limit: MAX_TOKEN })?;
        if !(200..300).contains(&status) {
            return Err(RegistryError::TokenStatus {
                host: self.name.clone(),
                realm: realm.to_string(),
                status,
                message: message_of(&body),
                looked_at: found.looked_at.clone(),
            });
        }
        let no_token = || RegistryError::NoToken { realm: realm.to_string() };
        let answer: TokenAnswer = serde_json::from_slice(&body).map_err(|_| no_token())?;
        let token = [answer.token, answer.access_token].into_iter().flatten().find(|token| !token.is_empty());
        let token =
            token.filter(|token| token.bytes().all(|byte| byte.is_ascii_graphic())).ok_or_else(no_token)?;
        let expiry = Duration::from_secs(answer.expires_in.unwrap_or(DEFAULT_EXPIRY).min(MAX_EXPIRY));
        Ok(Token {
            header: Secret::new(format!("Bearer {token}")),
            // A tenth less, so that it still holds when it arrives.
            until: asked_at + expiry.mul_f64(0.9),
        })
    }
}

/// Both names are in use (distribution, "Token Authentication", and RFC 6749).
#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

fn basic(credential: &Credential) -> Option<Secret> {
    let Credential::Password { user, password } = credential else { return None };
    let both = format!("{user}:{}", password.expose());
    Some(Secret::new(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(both))))
}

fn oauth_form(token: &Secret, service: Option<&str>, scopes: &[String]) -> String {
    let escape = |text: &str| {
        percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
    };
    format!(
        "grant_type=refresh_token&client_id=kiln&service={}&scope={}&refresh_token={}",
        escape(service.unwrap_or_default()),
        escape(&scopes.join(" ")),
        escape(token.expose())
    )
}

/// Whether a TLS handshake succeeds; what is answered does not matter.
fn probe(transport: &Transport, base: &Url) -> Result<(), RegistryError> {
    let url = base.join("/v2/").unwrap_or_else(|| base.clone());
    let request = Request {
        method: Method::GET,
        url: &url,
        headers: &[],
        authorization: None,
        payload: Payload::None,
        patience: Patience::Exchange,
    };
    let mut tried = 0;
    loop {
        tried += 1;
        let error = match transport.send(&request) {
            // On this machine nothing breaks that a wait mends.
            Err(error @ RegistryError::Unreachable { .. }) if !base.is_loopback() => error.tried(tried),
            other => return other.map(drop),
        };
        let may = tried < most_attempts(&error) && !error.is_refused_connection();
        match transport.pace().before(tried + 1, None).filter(|_| may) {
            Some(wait) => sleep(wait),
            None => return Err(error),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // What is behind these locks is replaced whole: a panic elsewhere leaves nothing half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
