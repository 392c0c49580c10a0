//! The pod spec that fits a hardened image: a bare Pod with exactly the mounts, user and ports it needs.
//!
//! Talks to no cluster, names no registry of its own accord, and runs nothing in the container but the image's entrypoint.

mod again;
pub(super) mod comments;
mod preparing;
mod probes;
mod seeding;
pub(super) mod volumes;

use std::collections::BTreeMap;

pub use again::is_pod_of;
use k8s_openapi::api::core::v1::{
    Capabilities, Container, ContainerPort, EnvVar, Pod, PodOS, PodSecurityContext, PodSpec,
    ResourceRequirements, SeccompProfile, SecurityContext, Sysctl,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
pub(crate) use volumes::volume_name;

use crate::digest::BlobDigest;
use crate::manifest::{Manifest, Path, Volume};

/// What the pod spec says that the manifest does not know.
#[derive(Debug, Clone)]
pub struct PodOptions {
    /// Name of the pod, its container and its label; made a DNS label if it is none.
    pub name: String,
    /// The image, best with its digest.
    pub image: String,
    /// Digest of the source's manifest, or of its config where it has none.
    pub source: String,
    /// The source image, best with its digest, for what it prepares in the pod.
    pub source_image: String,
    /// Namespace, if it is to be fixed.
    pub namespace: Option<String>,
    /// Who the pod runs as.
    pub run_as: RunAs,
    /// The manifests that the pod's unites, each with its platform and digest; empty for an image of one platform.
    pub united: Vec<(String, BlobDigest)>,
}

/// Who the pod runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RunAs {
    /// The manifest's user and group.
    #[default]
    Manifest,
    /// Whoever the image of the node's platform names: they are not the same.
    Image,
}

/// The document's type, where it stands beside an image in a registry.
pub const MEDIA_TYPE: &str = "application/vnd.kiln.pod.v1+yaml";

/// The annotation that names the source.
const SOURCE_KEY: &str = "kiln.dev/source";

/// The annotation that names the writable manifest, where there is one.
pub(super) const MANIFEST_KEY: &str = "kiln.dev/writable-manifest";

/// Names of the init containers, unless the app is called so.
pub(super) const INIT_NAMES: [&str; 2] = [seeding::NAME, preparing::NAME];

/// Longest name of a pod that is also a host name: a DNS label, RFC 1123.
pub(crate) const MAX_LABEL: usize = 63;

/// Renders the pod spec as YAML, with a line of evidence above each mount.
///
/// Strings stay strings under YAML 1.1 and 1.2. Two calls with equal arguments give equal bytes.
pub fn render_pod(manifest: &Manifest, options: &PodOptions) -> String {
    comments::Comments::of(manifest, &options.source).insert(&plain_yaml(&pod(manifest, options)))
}

/// `value` as YAML, every text on one line: what stands in a line of its own is structure.
pub(super) fn plain_yaml(value: &impl serde::Serialize) -> String {
    let yaml_options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    serde_saphyr::to_string_with_options(value, yaml_options)
        .unwrap_or_else(|error| unreachable!("an object is maps, lists and scalars only: {error}"))
}

/// The pod as an object.
pub fn pod(manifest: &Manifest, options: &PodOptions) -> Pod {
    pod_with(manifest, options, |_| {})
}

/// The pod as an object, its app's container changed by `change` before containers that have its rights come beside it.
pub(super) fn pod_with(
    manifest: &Manifest,
    options: &PodOptions,
    change: impl FnOnce(&mut Container),
) -> Pod {
    let name = dns_label(&options.name);
    let text = |value: &str| value.to_owned();
    let mut annotations = BTreeMap::from([(text(SOURCE_KEY), options.source.clone())]);
    if options.united.is_empty() {
        let digest = BlobDigest::of(manifest.render().as_bytes());
        annotations.insert(text(MANIFEST_KEY), digest.to_string());
    }
    for (platform, digest) in &options.united {
        let platform = slug(platform, MAX_LABEL - "writable-manifest.".len());
        annotations.insert(format!("{MANIFEST_KEY}.{platform}"), digest.to_string());
    }
    annotations.retain(|_, value| !value.is_empty());
    let mut app = container(manifest, options, name.clone());
    change(&mut app);
    Pod {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            namespace: options.namespace.clone(),
            labels: Some(BTreeMap::from([
                (text("app.kubernetes.io/managed-by"), text("kiln")),
                (text("app.kubernetes.io/name"), name.clone()),
            ])),
            annotations: Some(annotations),
            ..ObjectMeta::default()
        },
        spec: Some(PodSpec {
            automount_service_account_token: Some(false),
            enable_service_links: Some(false),
            os: Some(PodOS { name: text("linux") }),
            security_context: Some(pod_security(manifest, options.run_as)),
            init_containers: Some(init_containers(manifest, &app, &options.source_image))
                .filter(|containers| !containers.is_empty()),
            containers: vec![app],
            volumes: Some(volumes::volumes(manifest)).filter(|volumes| !volumes.is_empty()),
            ..PodSpec::default()
        }),
        ..Pod::default()
    }
}

/// What comes before the app's `container`: what the image has is there before the source's script looks for it.
fn init_containers(manifest: &Manifest, app: &Container, source_image: &str) -> Vec<Container> {
    let prepares = preparing::container(manifest, app, source_image);
    seeding::container(manifest, app, source_image).into_iter().chain(prepares).collect()
}

/// The init container `own`, called `name` unless the app's `container` is, with the rights of that.
fn beside(container: &Container, name: &str, own: Container) -> Container {
    let suffix = if container.name == name { "-0" } else { "" };
    Container {
        name: format!("{name}{suffix}"),
        image_pull_policy: container.image_pull_policy.clone(),
        resources: container.resources.clone(),
        security_context: container.security_context.clone(),
        termination_message_policy: container.termination_message_policy.clone(),
        ..own
    }
}

/// `text` for Kubernetes, which expands `$(NAME)`; `$$` is a plain `$` to it, before whatever.
pub(super) fn literal(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        out.push(c);
        if c == '$' && matches!(rest.peek(), Some('$' | '(')) {
            out.push('$');
        }
    }
    out
}

/// Whether `text` is a DNS label, RFC 1123: lower case, digits and inner hyphens, at most 63 characters.
pub fn is_dns_label(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.len() <= MAX_LABEL
        && text.bytes().next().is_some_and(is_word)
        && text.bytes().last().is_some_and(is_word)
        && text.bytes().all(|byte| is_word(byte) || byte == b'-')
}

/// `text` as a DNS label: lower case, digits and inner hyphens; `app` where nothing is left.
pub fn dns_label(text: &str) -> String {
    let label = slug(text, MAX_LABEL);
    if label.is_empty() { "app".to_owned() } else { label }
}

pub(super) fn slug(text: &str, longest: usize) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c.to_ascii_lowercase() {
            c if c.is_ascii_lowercase() || c.is_ascii_digit() => out.push(c),
            _ if out.is_empty() || out.ends_with('-') => {}
            _ => out.push('-'),
        }
        if out.len() == longest {
            break;
        }
    }
    out.trim_end_matches('-').to_owned()
}

/// No `fsGroup`: an `emptyDir` is writable for everybody in the pod, and nothing else is mounted.
fn pod_security(manifest: &Manifest, run_as: RunAs) -> PodSecurityContext {
    let process = &manifest.process;
    let fixed = run_as == RunAs::Manifest;
    PodSecurityContext {
        run_as_non_root: Some(process.uid != 0),
        run_as_user: fixed.then(|| i64::from(process.uid)),
        run_as_group: fixed.then(|| i64::from(process.gid)),
        supplemental_groups: Some(process.groups.iter().map(|&group| i64::from(group)).collect::<Vec<_>>())
            .filter(|groups| !groups.is_empty()),
        seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), localhost_profile: None }),
        sysctls: low_port(manifest).map(|port| {
            // The lowest port needed, not 0: what lies below stays privileged.
            vec![Sysctl { name: "net.ipv4.ip_unprivileged_port_start".to_owned(), value: port.to_string() }]
        }),
        ..PodSecurityContext::default()
    }
}

/// The lowest port below 1024, where the user could not bind it without help.
fn low_port(manifest: &Manifest) -> Option<u16> {
    let lowest = manifest.ports.iter().map(|port| port.port).min()?;
    (lowest < 1024 && manifest.process.uid != 0).then_some(lowest)
}

fn container(manifest: &Manifest, options: &PodOptions, name: String) -> Container {
    let probes = probes::of(manifest);
    let ports: Vec<ContainerPort> = manifest
        .ports
        .iter()
        .map(|port| ContainerPort {
            name: Some(port.name.clone()),
            container_port: i32::from(port.port),
            protocol: Some(port.protocol.clone()),
            ..ContainerPort::default()
        })
        .collect();
    let env: Vec<EnvVar> = manifest
        .env_added
        .iter()
        .map(|variable| EnvVar {
            name: variable.name.clone(),
            value: Some(literal(&variable.value)),
            value_from: None,
        })
        .collect();
    Container {
        name,
        image: Some(options.image.clone()),
        image_pull_policy: Some("IfNotPresent".to_owned()),
        ports: Some(ports).filter(|ports| !ports.is_empty()),
        env: Some(env).filter(|env| !env.is_empty()),
        resources: Some(resources(&Room::of(&manifest.paths))),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            capabilities: Some(Capabilities { add: None, drop: Some(vec!["ALL".to_owned()]) }),
            privileged: Some(false),
            read_only_root_filesystem: Some(true),
            run_as_non_root: Some(manifest.process.uid != 0),
            ..SecurityContext::default()
        }),
        startup_probe: probes.startup,
        readiness_probe: probes.readiness,
        liveness_probe: probes.liveness,
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        volume_mounts: Some(volumes::mounts(manifest)).filter(|mounts| !mounts.is_empty()),
        ..Container::default()
    }
}

/// Memory that a server of unknown size may use besides its volumes in memory.
const MEMORY_LIMIT: u64 = 512 << 20;
/// Memory asked for, so that the pod is scheduled where there is some.
const MEMORY_REQUEST: u64 = 128 << 20;
/// Room for the container's own log and what else the kubelet counts beside volumes on disk.
const LOG_ROOM: u64 = 128 << 20;

/// Bytes that the pod's `emptyDir`s may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Room {
    /// In memory.
    pub(super) memory: u64,
    /// On the node's disk.
    pub(super) disk: u64,
}

impl Room {
    /// That of the volumes of `paths`.
    pub(crate) fn of<'p>(paths: impl IntoIterator<Item = &'p Path>) -> Self {
        let mut room = Self::default();
        for path in paths {
            match path.volume {
                Volume::Memory { size_limit } => room.memory = room.memory.saturating_add(size_limit),
                Volume::Disk { size_limit } => room.disk = room.disk.saturating_add(size_limit),
                Volume::None => {}
            }
        }
        room
    }
}

/// Volumes in memory take at most half of the memory; those on disk fit into the ephemeral storage.
pub(crate) fn resources(room: &Room) -> ResourceRequirements {
    let disk = quantity(room.disk.saturating_add(LOG_ROOM));
    let named = |name: &str, value: Quantity| (name.to_owned(), value);
    ResourceRequirements {
        requests: Some(BTreeMap::from([
            named("cpu", Quantity("100m".to_owned())),
            named("memory", quantity(MEMORY_REQUEST)),
            named("ephemeral-storage", disk.clone()),
        ])),
        limits: Some(BTreeMap::from([
            named("memory", quantity(room.memory.saturating_mul(2).max(MEMORY_LIMIT))),
            named("ephemeral-storage", disk),
        ])),
        ..ResourceRequirements::default()
    }
}

/// `bytes` in the largest binary unit that holds it exactly.
pub(crate) fn quantity(bytes: u64) -> Quantity {
    let text = [(30, "Gi"), (20, "Mi"), (10, "Ki")]
        .into_iter()
        .find(|(shift, _)| bytes >= 1 << shift && bytes.is_multiple_of(1 << shift))
        .map_or_else(|| bytes.to_string(), |(shift, unit)| format!("{}{unit}", bytes >> shift));
    Quantity(text)
}

#[cfg(test)]
mod tests;
