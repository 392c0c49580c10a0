//! Registries: the distribution-spec's HTTP API, as a small blocking client.
//!
//! Does not know images: it moves manifests and blobs, verified both ways, and says why where it cannot.
//!
//! A [`Registries`] is made once for a run and gives a [`Client`] per repository. Clients of one host share its
//! connections, its tokens and what they learned about which repository holds which blob. A client can:
//!
//! - [`Client::get_manifest`], [`Client::head_manifest`], [`Client::put_manifest`], by tag or by digest;
//! - [`Client::has_blob`], [`Client::get_blob`], [`Client::put_blob`], which mounts where it can.
//!
//! - [`Client::put_companions`], [`Client::companions`]: documents beside an image, listed by the registry or under a tag.
//!
//! Everything is tried again where that may help ([`Pace`]), downloads go on where they were cut, and every digest
//! and size is compared. A password goes to the registry that it is for, and to the token endpoint that it names: on the
//! same host, never from TLS into the clear, or of the same domain over TLS; nowhere else, redirects included.
//!
//! Why not `oci-client`, the maintained successor of `oci-distribution`: it does not retry, does not know status 429
//! or `Retry-After`, does not authenticate again when a token ends in the middle, swallows the errors of token
//! endpoints, cannot go on with a download, loses the session of a mount that was answered with 202, and sends
//! passwords to whatever realm a registry names, over plain HTTP too. None of it can be closed from outside. `ureq`
//! does HTTP, `rustls` with ring does TLS, and what is above them is here.

mod challenge;
mod client;
mod credentials;
mod download;
mod environment;
mod error;
mod exchange;
mod host;
mod pace;
mod proxy;
mod referrers;
mod secret;
mod transport;
mod upload;
mod url;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

pub use client::{Client, FetchedManifest, Stored, Tag};
pub use download::Download;
pub use environment::Environment;
pub use error::RegistryError;
pub use pace::Pace;
pub use upload::{Content, Sent};

use crate::reference::Repository;
use host::Host;
use transport::Transport;

/// How registries are spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Certificates to trust besides the system's (`--ca-file`).
    pub ca_file: Option<PathBuf>,
    /// Whether plain HTTP is spoken to hosts other than this machine that speak no TLS (`--plain-http`).
    pub plain_http: bool,
    /// How patient to be.
    pub pace: Pace,
    /// Largest piece of a blob sent at once, in bytes; what is smaller goes in one request.
    pub chunk: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ca_file: None,
            plain_http: false,
            pace: Pace::default(),
            // Registries want pieces of at least 5 MiB (ECR), and proxies in front of them often take no more than
            // some ten.
            chunk: 16 << 20,
        }
    }
}

/// What a client may do, as token endpoints want to know it beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Read.
    Pull,
    /// Read and write.
    Push,
}

/// All registries of a run. Nothing is read or connected to before it is needed.
#[derive(Clone)]
pub struct Registries {
    transport: Arc<Transport>,
    hosts: Arc<Mutex<BTreeMap<String, Arc<Host>>>>,
}

impl Registries {
    /// Spoken to as `settings` and `environment` say.
    pub fn new(settings: Settings, environment: Environment) -> Self {
        Self { transport: Arc::new(Transport::new(settings, environment)), hosts: Arc::default() }
    }

    /// A client for one repository.
    pub fn client(&self, repository: &Repository, right: Right) -> Client {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let host = hosts.entry(repository.host.clone());
        let host = Arc::clone(host.or_insert_with(|| Arc::new(Host::new(&repository.host))));
        Client::new(Arc::clone(&self.transport), host, repository.clone(), right)
    }
}

impl Default for Registries {
    /// As a process with an empty environment speaks to them: no proxy and no credentials.
    fn default() -> Self {
        Self::new(Settings::default(), Environment::default())
    }
}
