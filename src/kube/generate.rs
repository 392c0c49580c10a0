//! Documents for a cluster: a workload that runs a hardened image, and what goes with it.
//!
//! Talks to no cluster. The pod is the one of [`super::pod`]; what a version of Kubernetes lacks is left out and told.

mod around;
mod claims;
mod config;
mod debug;
mod demand;
mod error;
mod feature;
mod helm;
mod kind;
mod render;
mod schedule;
mod sticky;
mod template;
mod workload;

use std::collections::BTreeSet;

use serde_json::Value;

use super::pod::RunAs;
use super::pod::comments::Comments;
use super::version::Version;
use crate::digest::BlobDigest;
use crate::manifest::Manifest;
use crate::path::ImagePath;

pub use config::MAX_CONFIG;
pub use debug::{DebugProfile, debug_profile};
pub use demand::{Demand, ParseDemandError};
pub use error::GenerateError;
pub use helm::helm_values;
pub use kind::Kind;
pub use render::{KUSTOMIZATION_HEAD, NamedText};

use feature::Gate;

/// The oldest version that documents can be made for: before it there is no `os` in a pod.
pub const OLDEST: Version = Version(25);

/// Longest name: a CronJob's has no more room, and a StatefulSet's goes into labels with something behind it.
pub const MAX_NAME: usize = 52;

/// What to make, for an image whose manifest is known.
#[derive(Debug, Clone)]
pub struct Options {
    /// What makes the pods; `None` is a StatefulSet where there is data that must outlive them, else a Deployment.
    pub kind: Option<Kind>,
    /// Name of the workload and of what goes with it, as [`is_name`] has them.
    pub name: String,
    /// Where all of it is.
    pub namespace: Option<String>,
    /// The image and where it is from.
    pub image: Image,
    /// How many pods at a time.
    pub replicas: Option<u32>,
    /// Where the app listens, instead of where the manifest says.
    pub ports: Vec<Port>,
    /// What is made besides the workload and its account.
    pub with: BTreeSet<Extra>,
    /// Files that are mounted over the image's.
    pub configs: Vec<ConfigFile>,
    /// More environment.
    pub env: Vec<(String, String)>,
    /// Objects of the cluster whose entries become environment.
    pub env_from: Vec<EnvSource>,
    /// Resources that are not the default ones.
    pub demands: Vec<Demand>,
    /// What kind of cluster it is.
    pub platform: ClusterPlatform,
    /// The oldest version that must take it.
    pub version: Version,
    /// When a CronJob runs.
    pub schedule: Option<String>,
    /// What is asked for that is not in every pod.
    pub wishes: BTreeSet<Wish>,
}

impl Options {
    /// Whether a workload of that kind can be made.
    fn check(&self, kind: Kind) -> Result<(), GenerateError> {
        if self.version < OLDEST {
            return Err(GenerateError::Version(self.version));
        }
        if !is_name(&self.name) {
            return Err(GenerateError::Name(self.name.clone()));
        }
        kind.check(self)
    }
}

/// The image that the pods run, as the cluster has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Its name, with its digest.
    pub name: String,
    /// Digest of the source, as the image says it; empty where nobody does.
    pub source: String,
    /// Name of the source image with its digest, where the pods need it.
    pub source_name: Option<String>,
    /// Who the pods run as.
    pub run_as: RunAs,
    /// Digests of the manifests, each with its platform where there are several.
    pub manifests: Manifests,
}

/// The writable manifests that a document is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manifests {
    /// That of the one image.
    One(BlobDigest),
    /// Those of an index, by platform.
    Several(Vec<(String, BlobDigest)>),
}

/// A port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Port {
    /// 1–65535.
    pub number: u16,
    /// How it is spoken.
    pub protocol: Protocol,
}

/// How a port is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// By connections.
    Tcp,
    /// By datagrams.
    Udp,
}

impl Protocol {
    /// As Kubernetes writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
        }
    }
}

/// An object besides the workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Extra {
    /// A Service before the app's ports.
    Service,
    /// The account that the pods run under; made in any case.
    ServiceAccount,
    /// A NetworkPolicy that lets in what asks the app's ports, and out what asks for names.
    NetworkPolicy,
    /// A PodDisruptionBudget.
    DisruptionBudget,
    /// The Namespace, which enforces the Pod Security Standards.
    Namespace,
}

/// Something that not every pod can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wish {
    /// Claims for data that must outlive the pod, also where the kind is no StatefulSet.
    Claims,
    /// Users of its own.
    UserNamespace,
    /// Nothing on a volume can be executed.
    NoExec,
    /// What the pod says for its containers, each says again.
    Explicit,
}

/// A file over one of the image's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFile {
    /// Where, in the image.
    pub path: ImagePath,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// An object whose entries become environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvSource {
    /// A ConfigMap.
    ConfigMap(String),
    /// A Secret.
    Secret(String),
}

/// A kind of cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClusterPlatform {
    /// Upstream's.
    #[default]
    Kubernetes,
    /// One that gives every namespace users of its own.
    OpenShift,
}

/// What was made.
#[derive(Debug, Clone)]
pub struct Generated {
    /// In the order in which a cluster wants them.
    pub objects: Vec<Object>,
    /// What is to be known besides, a sentence each.
    pub notes: Vec<String>,
}

/// An object of the cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// Its `kind`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// All of it.
    pub value: Value,
    comments: Comments,
}

impl Object {
    /// `value`, which is of that `kind`, with `head` above it.
    fn new(kind: &'static str, name: &str, value: &impl serde::Serialize, head: Vec<String>) -> Self {
        let comments = Comments { head, ..Comments::default() };
        Self { kind, name: name.to_owned(), value: object(value), comments }
    }
}

/// A Kubernetes object as a value; what is not said is not there.
fn object(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value)
        .unwrap_or_else(|error| unreachable!("an object is maps, lists and scalars only: {error}"))
}

/// Whether `name` is one that every object can have, a Service too: a label that begins with a letter.
pub fn is_name(name: &str) -> bool {
    name.len() <= MAX_NAME
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.ends_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// A name for an image whose own is `text`.
pub fn name_for(text: &str) -> String {
    let label = super::pod::slug(text, MAX_NAME);
    let label = if label.starts_with(|c: char| c.is_ascii_digit()) { format!("app-{label}") } else { label };
    let label: String = label.chars().take(MAX_NAME).collect();
    let label = label.trim_end_matches('-');
    if label.is_empty() { "app".to_owned() } else { label.to_owned() }
}

/// Makes what runs the image of `manifest`, which is the union where there are several.
pub fn generate(manifest: &Manifest, options: &Options) -> Result<Generated, GenerateError> {
    let kind = options.kind.unwrap_or_else(|| Kind::fitting(manifest));
    options.check(kind)?;
    let mut gate = Gate::new(options.version);
    let mut notes = Vec::new();
    let made = template::template(manifest, kind, options, &mut gate, &mut notes)?;
    notes.extend(made.claims.note(match kind {
        Kind::DaemonSet => "a StatefulSet gives each pod a claim",
        _ => "a StatefulSet gives each pod a claim, `--claims` this kind",
    }));
    let mut objects = around::before(&made, kind, options)?;
    objects.extend(made.configs.iter().cloned());
    objects.extend(made.claims.objects(options));
    objects.extend(around::services(&made, kind, options)?);
    objects.push(workload::workload(&made, kind, options, &mut gate));
    objects.extend(around::after(options, &mut gate));
    around::notes(&made, manifest, kind, options, &mut notes);
    notes.extend(gate.notes());
    Ok(Generated { objects, notes })
}

#[cfg(test)]
mod tests;
