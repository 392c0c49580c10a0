//! One request, one answer: TLS, proxies and time limits around `ureq`.
//!
//! Does not follow redirects, try again or authenticate.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use ureq::http::{self, HeaderMap, Method};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, BodyReader, SendBody};

use super::download::{MAX_PARALLEL, Permits};
use super::environment::Environment;
use super::error::RegistryError;
use super::proxy::proxy_for;
use super::secret::Secret;
use super::url::{Scheme, Url};
use super::{Pace, Settings};

/// Largest file of `--ca-file`, in bytes: all of Mozilla's roots are a quarter of a MiB.
const MAX_CA_FILE: u64 = 16 << 20;

/// Longest exchange about a document, in stalls: a manifest that trickles in is given up too.
const EXCHANGE_STALLS: u32 = 2;

/// What goes with a request.
#[derive(Clone, Copy)]
pub(super) enum Payload<'a> {
    /// Nothing.
    None,
    /// A document or form.
    Bytes(&'a [u8]),
    /// A part of a file.
    Part { file: &'a File, offset: u64, length: u64 },
}

impl Payload<'_> {
    fn length(self) -> u64 {
        match self {
            Self::None => 0,
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Part { length, .. } => length,
        }
    }
}

/// How long the whole exchange may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// As a document does.
    Exchange,
    /// As long as bytes move.
    Stream,
}

/// One request.
pub(super) struct Request<'a> {
    pub(super) method: Method,
    pub(super) url: &'a Url,
    pub(super) headers: &'a [(&'static str, String)],
    pub(super) authorization: Option<&'a Secret>,
    pub(super) payload: Payload<'a>,
    pub(super) patience: Patience,
}

/// Its answer; the body is not read yet.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    /// Where it came from, after redirects.
    pub(super) url: Url,
    pub(super) body: BodyReader<'static>,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The rest of the body where it is at most `limit` bytes; `None` where it is longer.
    pub(super) fn take_body(&mut self, limit: u64) -> io::Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        self.body.by_ref().take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
        Ok((bytes.len() as u64 <= limit).then_some(bytes))
    }
}

/// Connections, kept open between requests.
pub(super) struct Transport {
    settings: Settings,
    pub(super) environment: Environment,
    agents: Mutex<BTreeMap<Option<&'static str>, Agent>>,
    roots: OnceLock<Arc<Vec<Certificate<'static>>>>,
    /// For downloads.
    pub(super) permits: Permits,
}

impl Transport {
    pub(super) fn new(settings: Settings, environment: Environment) -> Self {
        Self {
            settings,
            environment,
            agents: Mutex::default(),
            roots: OnceLock::new(),
            permits: Permits::new(MAX_PARALLEL),
        }
    }

    pub(super) fn pace(&self) -> Pace {
        self.settings.pace
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Sends a request and waits for the head of its answer.
    pub(super) fn send(&self, request: &Request<'_>) -> Result<Answer, RegistryError> {
        let agent = self.agent(request.url)?;
        self.run(&agent, request).map_err(|source| classified(request.url, source))
    }

    fn run(&self, agent: &Agent, request: &Request<'_>) -> Result<Answer, ureq::Error> {
        let mut builder = http::Request::builder().method(&request.method).uri(request.url.for_request());
        for (name, value) in request.headers {
            builder = builder.header(*name, value);
        }
        if let Some(authorization) = request.authorization {
            let mut value = http::HeaderValue::from_str(authorization.expose()).map_err(http::Error::from)?;
            value.set_sensitive(true);
            builder = builder.header(http::header::AUTHORIZATION, value);
        }
        if !matches!(request.method, Method::GET | Method::HEAD) {
            builder = builder.header(http::header::CONTENT_LENGTH, request.payload.length());
        }
        let limit = match request.patience {
            Patience::Exchange => Some(self.settings.pace.stall * EXCHANGE_STALLS),
            Patience::Stream => None,
        };
        let answer = if matches!(request.method, Method::GET | Method::HEAD) {
            agent.run(agent.configure_request(builder.body(())?).timeout_global(limit).build())?
        } else {
            let mut payload: Box<dyn Read + '_> = match request.payload {
                Payload::None => Box::new(io::empty()),
                Payload::Bytes(bytes) => Box::new(bytes),
                Payload::Part { file, offset, length } => Box::new(PartReader { file, offset, left: length }),
            };
            let body = builder.body(SendBody::from_reader(&mut payload))?;
            agent.run(agent.configure_request(body).timeout_global(limit).build())?
        };
        let (head, body) = answer.into_parts();
        Ok(Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            url: request.url.clone(),
            body: body.into_reader(),
        })
    }

    /// The agent for the proxy that `url` goes through.
    fn agent(&self, url: &Url) -> Result<Agent, RegistryError> {
        let proxy = proxy_for(url, &self.environment);
        let mut agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        let key = proxy.map(|(variable, _)| variable);
        if let Some(agent) = agents.get(&key) {
            return Ok(agent.clone());
        }
        let proxy = match proxy {
            Some((variable, text)) => {
                Some(ureq::Proxy::new(text).map_err(|_| RegistryError::Proxy { variable })?)
            }
            None => None,
        };
        let pace = self.settings.pace;
        let roots = RootCerts::Specific(self.roots()?);
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("kiln/", env!("CARGO_PKG_VERSION")))
            .proxy(proxy)
            .timeout_connect(Some(pace.connect))
            .timeout_per_read(Some(pace.stall))
            .timeout_per_write(Some(pace.stall))
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .build()
            .new_agent();
        agents.insert(key, agent.clone());
        Ok(agent)
    }

    /// This machine's trusted certificates, and those of `--ca-file`.
    fn roots(&self) -> Result<Arc<Vec<Certificate<'static>>>, RegistryError> {
        if let Some(roots) = self.roots.get() {
            return Ok(Arc::clone(roots));
        }
        let mut roots: Vec<_> = rustls_native_certs::load_native_certs()
            .certs
            .iter()
            .map(|der| Certificate::from_der(der).to_owned())
            .collect();
        if let Some(path) = &self.settings.ca_file {
            roots.extend(read_ca_file(path)?);
        }
        Ok(Arc::clone(self.roots.get_or_init(|| Arc::new(roots))))
    }
}

fn read_ca_file(path: &Path) -> Result<Vec<Certificate<'static>>, RegistryError> {
    let failed = |source| RegistryError::CaFile { path: path.to_owned(), source };
    let bad = |what| failed(io::Error::new(io::ErrorKind::InvalidData, what));
    let mut text = Vec::new();
    File::open(path).and_then(|file| file.take(MAX_CA_FILE).read_to_end(&mut text)).map_err(failed)?;
    let mut certificates = Vec::new();
    for item in parse_pem(&text) {
        if let PemItem::Certificate(certificate) = item.map_err(|_| bad("it is not PEM"))? {
            certificates.push(certificate);
        }
    }
    if certificates.is_empty() { Err(bad("it holds no certificate in PEM")) } else { Ok(certificates) }
}

fn classified(url: &Url, source: ureq::Error) -> RegistryError {
    let host = || format!("{}:{}", url.host(), url.port());
    let source = Box::new(source);
    // Of its refusals ureq keeps the text only. Other answers of a proxy's, such as 502, may pass.
    if let ureq::Error::ConnectProxyFailed(reason) = &*source
        && ["401", "403", "407"].iter().any(|status| reason.contains(&format!("responded {status}")))
    {
        return RegistryError::ProxyRefused { host: host(), source };
    }
    match tls_error(&source) {
        Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented) => {
            RegistryError::Certificate { host: host(), source }
        }
        Some(rustls::Error::InvalidMessage(_)) if url.scheme == Scheme::Https => {
            RegistryError::NotTls { host: host(), source }
        }
        _ => RegistryError::Unreachable { url: url.to_string(), attempts: 1, source },
    }
}

fn tls_error(error: &ureq::Error) -> Option<&rustls::Error> {
    match error {
        ureq::Error::Rustls(error) => Some(error),
        ureq::Error::Io(error) => error.get_ref()?.downcast_ref(),
        _ => None,
    }
}

/// A part of a file, read by position so that others may read it too.
struct PartReader<'a> {
    file: &'a File,
    offset: u64,
    left: u64,
}

impl Read for PartReader<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let want = usize::try_from(self.left).unwrap_or(usize::MAX).min(buf.len());
        let n = self.file.read_at(buf.get_mut(..want).unwrap_or_default(), self.offset)?;
        self.offset += n as u64;
        self.left -= n as u64;
        Ok(n)
    }
}

/// A wait between tries.
pub(super) fn sleep(wait: Duration) {
    std::thread::sleep(wait);
}
