//! What a policy knows of an image: its names, where its containers may write, and which tools it must not have.
//!
//! Comes from the writable manifest; nothing here is read from the image itself.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::catalog::{Catalog, Class};
use crate::digest::BlobDigest;
use crate::kube::generate::name_for;
use crate::kube::pod::{self, PodOptions, RunAs};
use crate::manifest::{Manifest, Volume};
use crate::plan::PathContent;
use crate::reference::{DOCKER_HUB, RegistryReference, Repository};

/// An image, and what its manifest says.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    repository: Repository,
    /// The names under which manifests came, by name.
    references: BTreeSet<String>,
    /// Where its containers may have writable mounts.
    writable: BTreeSet<String>,
    /// Where the app itself may write.
    app_writable: BTreeSet<String>,
    /// Where its files lead to the log streams, which it writes to by those names.
    log_links: BTreeSet<String>,
    /// The directories at the top that what it runs lies in.
    tops: BTreeSet<String>,
    /// File names of catalogued programs that stay, and of the app.
    stays: BTreeSet<String>,
    /// The pod that fits it, as a value.
    pod: Value,
    needs_source: bool,
    /// Whether its manifests ask for volumes that are not the same.
    is_ambiguous: bool,
    name: String,
}

/// Stands for the source image where nobody knows its name.
const SOURCE: &str =
    "registry.invalid/source@sha256:0000000000000000000000000000000000000000000000000000000000000000";

/// Longest name of its own: Kyverno's rules and Gatekeeper's constraints have 63 characters, `kiln-writable-mounts-` comes before it,
/// and a number may come after it.
const MAX_NAME: usize = 38;

/// Digits of a hash that tell names apart.
const HASH: usize = 8;

/// The port that a registry has where its name has none.
const HTTPS_PORT: &str = ":443";

/// Directories at the top that are the kernel's.
const KERNEL: [&str; 3] = ["dev", "proc", "sys"];

/// Stands for a digest that is not given.
const DIGEST: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

impl Image {
    /// The image that `reference` names, with its `manifest`.
    pub fn new(reference: &RegistryReference, manifest: &Manifest) -> Self {
        let image = match reference.digest {
            Some(_) => reference.name(),
            None => format!("{}@{DIGEST}", reference.name()),
        };
        let options = PodOptions {
            name: app_name(&reference.repository),
            image,
            source: String::new(),
            source_image: SOURCE.to_owned(),
            namespace: None,
            run_as: RunAs::Manifest,
            united: Vec::new(),
        };
        let pod = serde_json::to_value(pod::pod(manifest, &options))
            .unwrap_or_else(|error| unreachable!("a pod is maps, lists and scalars only: {error}"));
        let all = |field: &str| -> BTreeSet<String> {
            let containers = pod.pointer(field).and_then(Value::as_array).into_iter().flatten();
            containers.flat_map(mount_paths).collect()
        };
        let app_writable = all("/spec/containers");
        let stays = manifest.residual.iter().map(|program| program.path.as_str());
        let stays = stays.chain(manifest.process.argv.first().map(String::as_str));
        let log_links = manifest.paths.iter().filter(|path| {
            path.content == PathContent::LogLinks && path.volume == Volume::None && is_plain(&path.path)
        });
        Self {
            repository: reference.repository.clone(),
            references: BTreeSet::from([reference.name()]),
            writable: app_writable.iter().cloned().chain(all("/spec/initContainers")).collect(),
            app_writable,
            log_links: log_links.map(|path| path.path.clone()).collect(),
            tops: tops(manifest),
            stays: stays.filter_map(|path| path.rsplit('/').next()).map(str::to_owned).collect(),
            pod,
            needs_source: manifest.needs_source(),
            is_ambiguous: false,
            name: own_name(&reference.repository),
        }
    }

    /// `HOST/PATH`, whole.
    pub fn repository(&self) -> String {
        self.repository.to_string()
    }

    /// Whether its pod has an init container of the source image.
    pub(super) fn needs_source(&self) -> bool {
        self.needs_source
    }

    /// Whether its manifests ask for volumes that are not the same: a pod that names it does not say which it needs.
    pub(super) fn is_ambiguous(&self) -> bool {
        self.is_ambiguous
    }

    /// A DNS label of its own, short enough for what stands before it in names.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What `kiln generate` calls the workload, its pods' label `app.kubernetes.io/name` and the app's container, unless it is told
    /// another name.
    pub(super) fn app(&self) -> String {
        app_name(&self.repository)
    }

    /// The name of the policy about its mounts.
    pub(super) fn mounts_policy(&self) -> String {
        format!("kiln-writable-mounts-{}", self.name)
    }

    /// What that policy is for.
    pub(super) fn mounts_comment(&self) -> String {
        format!(
            "Containers of {} have a read-only root file system and writable mounts only where the image\nwrites, from its writable manifest.",
            self.references()
        )
    }

    /// The names under which manifests came, for comments.
    pub(super) fn references(&self) -> String {
        self.references.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
    }

    /// All spellings of its name that a pod may have, without tag and digest, in lower case; sorted.
    pub(super) fn spellings(&self) -> Vec<String> {
        let Repository { host, path } = &self.repository;
        let host = host.to_ascii_lowercase();
        let (hosts, short) = if host == DOCKER_HUB {
            (vec!["docker.io", "index.docker.io", "registry-1.docker.io"], path.strip_prefix("library/"))
        } else {
            (vec![host.strip_suffix(HTTPS_PORT).unwrap_or(&host)], None)
        };
        let is_hub = host == DOCKER_HUB;
        let is_open = |host: &&str| !host.rsplit(']').next().is_some_and(|rest| rest.contains(':'));
        let ports = hosts.iter().filter(|host| is_open(host)).map(|host| format!("{host}{HTTPS_PORT}/"));
        let hosts: Vec<String> = hosts
            .iter()
            .map(|host| format!("{host}/"))
            .chain(ports)
            .chain(is_hub.then(String::new))
            .collect();
        let paths = std::iter::once(path.as_str()).chain(short);
        let mut all: Vec<String> =
            paths.flat_map(|path| hosts.iter().map(move |host| format!("{host}{path}"))).collect();
        all.sort();
        all
    }

    /// Where its containers may have writable mounts, init containers included; sorted.
    pub(super) fn writable(&self) -> Vec<String> {
        self.writable.iter().cloned().collect()
    }

    /// Where a process of it may write; sorted.
    pub(super) fn app_writable(&self) -> Vec<String> {
        self.app_writable.iter().cloned().collect()
    }

    /// Where it opens its logs by names that lead to the log streams; sorted.
    pub(super) fn log_links(&self) -> Vec<String> {
        self.log_links.iter().cloned().collect()
    }

    /// The directories at the top that what it runs lies in, with a `/` at the end; sorted.
    pub(super) fn tops(&self) -> Vec<String> {
        self.tops.iter().cloned().collect()
    }

    /// File names of the shells and package managers that must not be in it; sorted.
    pub(super) fn gone(&self) -> Vec<String> {
        tools().into_iter().filter(|name| !self.stays.contains(name)).collect()
    }

    /// The pod that fits it.
    pub(super) fn pod(&self) -> &Value {
        &self.pod
    }

    /// Adds what another manifest of the same repository allows: during a roll-out both are there.
    fn unite(&mut self, other: &Self) {
        self.references.extend(other.references.iter().cloned());
        let asks = |image: &Self| {
            ["/spec/volumes", "/spec/containers/0/volumeMounts", "/spec/initContainers/0/volumeMounts"]
                .map(|pointer| image.pod.pointer(pointer).cloned())
        };
        self.is_ambiguous |= other.is_ambiguous || asks(self) != asks(other);
        self.needs_source |= other.needs_source;
        self.writable.extend(other.writable.iter().cloned());
        self.app_writable.extend(other.app_writable.iter().cloned());
        self.log_links.extend(other.log_links.iter().cloned());
        self.tops.extend(other.tops.iter().cloned());
        self.stays.extend(other.stays.iter().cloned());
    }
}

/// Names of all shells and package managers that the catalog has; sorted.
pub(super) fn tools() -> Vec<String> {
    let classes = [Class::Shell, Class::PackageManager];
    let names = classes.into_iter().flat_map(|class| Catalog::builtin().names(class));
    names.map(str::to_owned).collect::<BTreeSet<_>>().into_iter().collect()
}

/// One for each repository, by repository, each with a name of its own.
pub(super) fn united(images: &[Image]) -> Vec<Image> {
    let mut by_repository: BTreeMap<String, Image> = BTreeMap::new();
    // The first one's pod stands for all, whatever the order in which they are given.
    let mut images: Vec<&Image> = images.iter().collect();
    images.sort_by_key(|image| image.references());
    for image in images {
        by_repository
            .entry(image.repository())
            .and_modify(|known| known.unite(image))
            .or_insert_with(|| image.clone());
    }
    let mut taken = BTreeSet::new();
    let mut all: Vec<Image> = by_repository.into_values().collect();
    for image in &mut all {
        let plain = image.name.clone();
        let mut number = 2_u32;
        while !taken.insert(image.name.clone()) {
            image.name = format!("{plain}-{number}");
            number += 1;
        }
    }
    all
}

/// Where `container` mounts something that a rule can name.
fn mount_paths(container: &Value) -> Vec<String> {
    let mounts = container.get("volumeMounts").and_then(Value::as_array).into_iter().flatten();
    let paths = mounts.filter_map(|mount| Some(mount.get("mountPath")?.as_str()?.to_owned()));
    paths.filter(|path| is_plain(path)).collect()
}

/// Whether engines that trim, or have a line for each path, take `path` for what it is.
fn is_plain(path: &str) -> bool {
    !path.chars().any(char::is_control) && path.trim() == path
}

/// The directories at the top that hold the programs that stay, what starts, and where it starts.
fn tops(manifest: &Manifest) -> BTreeSet<String> {
    let process = &manifest.process;
    let programs = manifest.residual.iter().map(|program| program.path.as_str());
    let all = programs.chain(process.argv.iter().map(String::as_str)).chain([process.cwd.as_str()]);
    let top = |path: &str| Some(path.strip_prefix('/')?.split('/').next()?.to_owned());
    let is_directory = |top: &String| !top.is_empty() && !KERNEL.contains(&top.as_str()) && is_plain(top);
    all.filter_map(top).filter(is_directory).map(|top| format!("/{top}/")).collect()
}

/// As `kiln generate` names what runs an image: by the last component.
fn app_name(repository: &Repository) -> String {
    name_for(repository.path.rsplit('/').next().unwrap_or_default())
}

/// A name for rules of the image: its path, which is cut where it is too long, and then told apart by a hash.
fn own_name(repository: &Repository) -> String {
    let path = repository.path.strip_prefix("library/").unwrap_or(&repository.path);
    let name = pod::slug(path, path.len());
    if name.len() <= MAX_NAME {
        return if name.is_empty() { "app".to_owned() } else { name };
    }
    let hash: String = BlobDigest::of(repository.to_string().as_bytes()).hex().chars().take(HASH).collect();
    format!("{}-{hash}", pod::slug(path, MAX_NAME - HASH - 1))
}
