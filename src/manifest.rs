//! The writable manifest: what a hardened image runs, writes and listens on, as an immutable JSON document.
//!
//! Says nothing of where the image goes, and holds nothing that two runs could tell apart: no clock, no name.

mod index;
mod types;
mod united;

use crate::json;
use crate::path::ImagePath;
use crate::plan::{Plan, WritablePath};
use crate::recipe::{Probe, Purpose};
pub use index::{ManifestIndex, PlatformManifest, index_schema};
pub use types::{
    BakedFile, Chain, ChainStep, EnvVar, Kind, Lowering, Manifest, Options, Path, Persistence, PortEntry,
    ProbeEntry, Process, ResidualProgram, SourceCommand, Volume,
};
pub use united::{Difference, United};

/// The document's media type, also its artifact type as a referrer.
pub const MEDIA_TYPE: &str = "application/vnd.kiln.writable-manifest.v1+json";

/// The version of the document's shape; grows when a reader of the old shape would misread the new.
pub const SCHEMA_VERSION: u32 = 1;

/// What the manifest says that the plan does not know.
#[derive(Debug, Clone)]
pub struct ManifestContext {
    /// `ChainID` of the source's layers.
    pub source_chain_id: String,
    /// What the image was hardened with.
    pub options: Options,
    /// The config's working directory; empty is `/`.
    pub working_dir: String,
    /// The config's `VOLUME`s, which the hardened image no longer has.
    pub volumes: Vec<String>,
}

/// Text that is no writable manifest.
#[derive(Debug, thiserror::Error)]
pub enum ParseManifestError {
    /// No JSON, or not of the manifest's shape.
    #[error("writable manifest: not of the expected shape")]
    Shape(#[source] serde_json::Error),
    /// A version that this kiln does not know.
    #[error("writable manifest: schema version {0}, expected {SCHEMA_VERSION}")]
    Version(u32),
}

impl Manifest {
    /// The manifest of the image that `plan` makes.
    pub fn new(plan: &Plan, context: &ManifestContext) -> Self {
        let mut stripped_volumes = context.volumes.clone();
        stripped_volumes.sort();
        stripped_volumes.dedup();
        let mut env_added: Vec<EnvVar> = plan
            .env
            .iter()
            .map(|rule| EnvVar {
                name: rule.name.clone(),
                value: rule.value.clone(),
                why: Some(rule.why.clone()).filter(|why| !why.is_empty()),
            })
            .collect();
        env_added.sort();
        let mut paths: Vec<Path> = plan.writable.iter().map(path_entry).collect();
        paths.sort_by(|a, b| a.path.cmp(&b.path));
        let mut ports: Vec<PortEntry> = plan
            .ports
            .iter()
            .map(|port| PortEntry {
                port: port.port,
                protocol: port.protocol.to_owned(),
                name: port.name.clone(),
                evidence: port.evidence.clone(),
            })
            .collect();
        ports.sort_by(|a, b| (a.port, &a.protocol).cmp(&(b.port, &b.protocol)));
        let mut residual: Vec<ResidualProgram> = plan
            .residual
            .iter()
            .map(|program| ResidualProgram {
                path: program.path.to_string(),
                class: program.class,
                why: program.why.clone(),
                remedy: program.remedy.clone(),
            })
            .collect();
        residual.sort_by(|a, b| a.path.cmp(&b.path));
        Self {
            media_type: MEDIA_TYPE.to_owned(),
            schema_version: SCHEMA_VERSION,
            kiln_version: env!("CARGO_PKG_VERSION").to_owned(),
            source_chain_id: context.source_chain_id.clone(),
            options: context.options.clone().sorted(),
            recipes: plan.recipes.clone(),
            process: process(plan, context),
            env_added,
            paths,
            baked: plan.baked.iter().map(Into::into).collect(),
            seeding: plan.seeding.clone().map(|argv| SourceCommand { argv }),
            preparing: plan.preparing.clone().map(|argv| SourceCommand { argv }),
            ports,
            probe: plan.probe.as_ref().map(|probe| match probe {
                Probe::Http { path } => ProbeEntry::Http { path: path.clone() },
                Probe::Tcp => ProbeEntry::Tcp,
            }),
            stripped_volumes,
            residual,
        }
    }

    /// Whether containers of the source image come before the app's.
    pub fn needs_source(&self) -> bool {
        self.of_source().next().is_some()
    }

    /// What they run, in order.
    pub fn of_source(&self) -> impl Iterator<Item = &SourceCommand> {
        self.seeding.iter().chain(&self.preparing)
    }

    /// The document: indented, fields in a fixed order, a newline at the end.
    pub fn render(&self) -> String {
        json::render(self)
    }

    /// Reads a document of this version.
    pub fn parse(text: &str) -> Result<Self, ParseManifestError> {
        #[derive(serde::Deserialize)]
        struct Version {
            schema_version: u32,
        }
        let version: Version = serde_json::from_str(text).map_err(ParseManifestError::Shape)?;
        if version.schema_version != SCHEMA_VERSION {
            return Err(ParseManifestError::Version(version.schema_version));
        }
        serde_json::from_str(text).map_err(ParseManifestError::Shape)
    }
}

/// The JSON Schema of the document (`kiln schema manifest`).
pub fn schema() -> String {
    json::render(&schemars::schema_for!(Manifest).to_value())
}

fn process(plan: &Plan, context: &ManifestContext) -> Process {
    let entrypoint = &plan.entrypoint;
    Process {
        argv: entrypoint.argv.clone(),
        cwd: if context.working_dir.is_empty() { "/".to_owned() } else { context.working_dir.clone() },
        uid: plan.user.uid,
        gid: plan.user.gid,
        groups: plan.user.groups.clone(),
        user_name: plan.user.name.clone(),
        entrypoint: Chain {
            source: entrypoint.source.clone(),
            steps: entrypoint.chain.iter().map(Into::into).collect(),
            lowerings: entrypoint
                .lowerings
                .iter()
                .map(|lowered| Lowering {
                    from: lowered.from.clone(),
                    to: lowered.to.clone(),
                    why: lowered.why.clone(),
                })
                .collect(),
            env: entrypoint
                .env
                .iter()
                .map(|(name, value)| EnvVar { name: name.clone(), value: value.clone(), why: None })
                .collect(),
        },
    }
}

fn path_entry(writable: &WritablePath) -> Path {
    let persistence = match writable.purpose {
        Purpose::Tmp | Purpose::Run => Persistence::Ephemeral,
        Purpose::Cache | Purpose::Log => Persistence::Cache,
        Purpose::State | Purpose::Config => Persistence::Persistent,
    };
    let volume = if !writable.is_mounted() {
        Volume::None
    } else if writable.memory {
        Volume::Memory { size_limit: writable.size_limit }
    } else {
        Volume::Disk { size_limit: writable.size_limit }
    };
    Path {
        path: writable.path.to_string(),
        purpose: writable.purpose,
        kind: Kind::Directory,
        uid: writable.uid,
        gid: writable.gid,
        mode: format!("{:04o}", writable.mode),
        content: writable.content.clone(),
        seeded: writable.seeded,
        persistence,
        volume,
        confidence: writable.confidence,
        evidence: writable.evidence.clone(),
    }
}

impl Path {
    /// The path as bytes of the image; `None` where the document's text is no escaped path.
    pub fn image_path(&self) -> Option<ImagePath> {
        ImagePath::unescape(&self.path)
    }
}

#[cfg(test)]
pub(crate) mod tests;
