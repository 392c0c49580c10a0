//! An image that kiln already hardened: verified, and if it is what it says, passed on as it is.
//!
//! Believes no label: the claim is checked on the image's bytes, and one that does not hold makes it an image as any.

use std::collections::HashSet;
use std::sync::Arc;

use super::error::HardenError;
use super::record::{OPTIONS_KEY, SOURCE_KEY, VERSION_KEY};
use super::{Hardened, Way, write};
use crate::finding::{Code, Finding};
use crate::image::{FinishedImage, FinishedLayer};
use crate::manifest::{self, Manifest, ProbeEntry, Volume};
use crate::options::Options;
use crate::packages::Database;
use crate::path::{Escaped, ImagePath};
use crate::plan::{
    Entrypoint, PackageFate, Patch, Plan, Port, Residual, Step, Totals, User, UserOrigin, Verdict,
    WritablePath,
};
use crate::promise::{Proof, State};
use crate::recipe::{EnvRule, Probe};
use crate::rootfs::{Kind, Rootfs};
use crate::sink::Destinations;
use crate::source::{Source, SourceImage};
use crate::verify;

/// What an image that says that kiln hardened it turns out to be.
pub enum Claim {
    /// What it says, as far as its own bytes tell.
    True(Box<Manifest>),
    /// Something else.
    False(Finding),
}

/// The version of the kiln that an image says has hardened it; `None` where it says nothing of the kind.
pub fn claim(image: &SourceImage) -> Option<String> {
    image.config.labels.get(VERSION_KEY).cloned()
}

/// Checks the claim of an image.
pub fn examine(image: &SourceImage, version: &str, rootfs: &Rootfs) -> Claim {
    let proofs = verify::examine(image, rootfs);
    if let (true, Some(manifest)) = (verify::is_unbroken(&proofs), verify::manifest_inside(rootfs)) {
        return Claim::True(Box::new(manifest));
    }
    Claim::False(Finding::new(Code::HardenedClaimFalse, VERSION_KEY, broken(version, &proofs)))
}

fn broken(version: &str, proofs: &[Proof]) -> String {
    let broken = || proofs.iter().filter(|proof| proof.state() == State::Broken);
    let ids: Vec<String> = broken().map(|proof| proof.promise.to_string()).collect();
    let first = broken().flat_map(|proof| &proof.breaches).next();
    let first = first.map(|breach| format!(" ({}: {})", breach.subject, breach.message)).unwrap_or_default();
    format!(
        "the image says that kiln {} hardened it, but {} {} not hold{first}: it is hardened as any other image",
        Escaped::new(version.as_bytes()),
        ids.join(", "),
        if ids.len() == 1 { "does" } else { "do" }
    )
}

/// Refuses options that an image was not hardened with: what is gone from it cannot come back, and its `VOLUME`s and
/// its original start are known to its source only. No options at all are no wish for others.
pub fn check_options(image: &SourceImage, options: &Options) -> Result<(), HardenError> {
    let found = options.canonical();
    let label = |key: &str| image.config.labels.get(key).cloned().unwrap_or_default();
    let recorded = label(OPTIONS_KEY);
    if found.is_empty() || found == recorded {
        return Ok(());
    }
    Err(HardenError::HardenedOtherwise { recorded, found, source_digest: label(SOURCE_KEY) })
}

/// Passes the image on, blob by blob; gives what a hardening gives.
pub fn pass_on(
    source: &dyn Source,
    image: SourceImage,
    rootfs: &Rootfs,
    manifest: Manifest,
    destinations: &Destinations,
) -> Result<(Hardened, FinishedImage), HardenError> {
    for layer in &image.layers {
        write::pass_through(source, layer, destinations)?;
    }
    let layers: Vec<_> = image.layers.iter().map(FinishedLayer::from).collect();
    let finished = FinishedImage::new(
        image.config.platform.clone(),
        image.config_bytes.clone(),
        layers.clone(),
        &image.annotations,
    );
    let digest = finished.manifest_digest();
    let mut plan = plan(rootfs, &manifest);
    let stored = if image.manifest_digest == Some(digest) {
        "it is passed on as it is, with the same digest"
    } else {
        "config and layers are passed on as they are; the manifest is written as kiln writes it"
    };
    let text = format!("kiln {} hardened it, and what it promises holds: {stored}", manifest.kiln_version);
    plan.findings.push(Finding::new(Code::AlreadyHardened, image.image_id, text));
    let ways = vec![Way::Untouched; layers.len()];
    Ok((Hardened { image, plan, manifest, digest, layers, ways }, finished))
}

/// The plan that changes nothing, with what `manifest` says of the image.
fn plan(rootfs: &Rootfs, manifest: &Manifest) -> Plan {
    let process = &manifest.process;
    let totals = totals(rootfs, manifest);
    let chain = process.entrypoint.steps.iter().filter_map(|step| {
        Some(Step {
            path: ImagePath::unescape(&step.path)?,
            file: ImagePath::unescape(&step.file)?,
            role: step.role,
        })
    });
    Plan {
        level: manifest.options.level,
        entrypoint: Entrypoint {
            source: process.argv.clone(),
            argv: process.argv.clone(),
            chain: chain.collect(),
            ..Entrypoint::default()
        },
        user: User {
            uid: process.uid,
            gid: process.gid,
            groups: process.groups.clone(),
            name: process.user_name.clone(),
            home: None,
            origin: UserOrigin::Image,
        },
        writable: manifest.paths.iter().filter_map(writable).collect(),
        ports: manifest.ports.iter().map(port).collect(),
        probe: manifest.probe.as_ref().map(|probe| match probe {
            ProbeEntry::Http { path } => Probe::Http { path: path.clone() },
            ProbeEntry::Tcp => Probe::Tcp,
        }),
        env: manifest
            .env_added
            .iter()
            .map(|variable| EnvRule {
                name: variable.name.clone(),
                value: variable.value.clone(),
                why: variable.why.clone().unwrap_or_default(),
            })
            .collect(),
        healthcheck_dropped: None,
        recipes: manifest.recipes.clone(),
        verdicts: rootfs
            .layers()
            .iter()
            .map(|layer| vec![Verdict::Keep(Arc::new(Patch::default())); layer.entries.len()])
            .collect(),
        dense: vec![false; rootfs.layers().len()],
        additions: Vec::new(),
        baked: Vec::new(),
        seeding: manifest.seeding.as_ref().map(|seeding| seeding.argv.clone()),
        preparing: manifest.preparing.as_ref().map(|preparing| preparing.argv.clone()),
        wants: Vec::new(),
        removed: Vec::new(),
        residual: manifest
            .residual
            .iter()
            .filter_map(|program| {
                Some(Residual {
                    path: ImagePath::unescape(&program.path)?,
                    class: program.class,
                    why: program.why.clone(),
                    remedy: program.remedy.clone(),
                    // The manifest does not record them.
                    multi_call: None,
                    applets: Vec::new(),
                })
            })
            .collect(),
        packages: packages(rootfs),
        before: totals,
        after: totals,
        findings: Vec::new(),
    }
}

fn writable(declared: &manifest::Path) -> Option<WritablePath> {
    let (size_limit, memory) = match declared.volume {
        Volume::None => (0, false),
        Volume::Memory { size_limit } => (size_limit, true),
        Volume::Disk { size_limit } => (size_limit, false),
    };
    Some(WritablePath {
        path: declared.image_path()?,
        purpose: declared.purpose,
        content: declared.content.clone(),
        seeded: declared.seeded,
        uid: declared.uid,
        gid: declared.gid,
        mode: u16::from_str_radix(&declared.mode, 8).ok()?,
        size_limit,
        memory,
        confidence: declared.confidence,
        evidence: declared.evidence.clone(),
    })
}

fn port(entry: &manifest::PortEntry) -> Port {
    let protocol = Port::protocol_named(&entry.protocol).unwrap_or("TCP");
    Port { port: entry.port, protocol, name: entry.name.clone(), evidence: entry.evidence.clone() }
}

fn packages(rootfs: &Rootfs) -> Vec<PackageFate> {
    let database = Database::read(rootfs);
    let installed = database.iter().flat_map(Database::installed);
    let mut out: Vec<PackageFate> = installed
        .map(|(_, package)| PackageFate {
            name: package.name.clone(),
            version: package.version.clone(),
            kept: true,
            why: "the hardened image has it".into(),
        })
        .collect();
    out.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    out
}

fn totals(rootfs: &Rootfs, manifest: &Manifest) -> Totals {
    let mut totals = Totals { catalogued: manifest.residual.len() as u64, ..Totals::default() };
    totals.packages = packages(rootfs).len() as u64;
    let mut seen = HashSet::new();
    for (path, node) in rootfs.nodes() {
        let Some(entry) = rootfs.entry(path) else { continue };
        if matches!(entry.kind, Kind::Symlink(_)) || !seen.insert(node.inode) {
            continue;
        }
        totals.writable += u64::from(entry.mode & 0o222 != 0);
        if let Some(file) = entry.file() {
            totals.files += 1;
            totals.bytes += file.size;
            totals.executables += u64::from(entry.mode & 0o111 != 0);
            totals.setuid += u64::from(entry.mode & 0o6000 != 0);
        }
    }
    totals
}
