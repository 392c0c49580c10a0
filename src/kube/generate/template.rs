//! The template of the pods: the pod of the image, with what a workload adds and the user asks for.
//!
//! Knows no kind of workload but by what its pods differ in.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{
    ConfigMapEnvSource, Container, ContainerPort, EnvFromSource, EnvVar, PodSecurityContext, PodSpec,
    PodTemplateSpec, SecretEnvSource,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::claims::Claims;
use super::config::{self, Mounted};
use super::feature::{Gate, NO_EXEC, STRICT_GROUPS, USER_NAMESPACE};
use super::{
    ClusterPlatform, EnvSource, GenerateError, Kind, Manifests, Object, Options, Wish, around, demand, sticky,
};
use crate::evidence::{Evidence, EvidenceKind};
use crate::kube::pod::comments::Comments;
use crate::kube::pod::{self, MANIFEST_KEY, PodOptions, Room, RunAs, volumes};
use crate::manifest::{Manifest, PortEntry, ProbeEntry};

/// The annotation that tells how to look into a pod that has no shell.
const DEBUG_KEY: &str = "kiln.dev/debug";

/// The pods, and what goes with them.
#[derive(Debug, Clone)]
pub(super) struct Made {
    /// Annotations of whatever makes the pods, and of the pods.
    pub(super) annotations: BTreeMap<String, String>,
    /// The pods' spec.
    pub(super) spec: PodSpec,
    /// The ConfigMaps of the files.
    pub(super) configs: Vec<Object>,
    /// Claims.
    pub(super) claims: Claims,
    /// What stands above lines of the workload.
    pub(super) comments: Comments,
    /// Whether nothing on a volume may be executed.
    pub(super) no_exec: bool,
    /// Names of the volumes in which files are their owners' to remove.
    pub(super) sticky: Vec<String>,
}

impl Made {
    /// The template.
    pub(super) fn template(&self, options: &Options) -> PodTemplateSpec {
        PodTemplateSpec {
            metadata: Some(ObjectMeta {
                labels: Some(around::labels(options)),
                annotations: Some(self.annotations.clone()),
                ..ObjectMeta::default()
            }),
            spec: Some(self.spec.clone()),
        }
    }

    /// Ports that the app listens on.
    pub(super) fn ports(&self) -> &[ContainerPort] {
        self.spec.containers.iter().find_map(|app| app.ports.as_deref()).unwrap_or_default()
    }
}

/// The pods that run the image of `manifest`.
pub(super) fn template(
    manifest: &Manifest,
    kind: Kind,
    options: &Options,
    gate: &mut Gate,
    notes: &mut Vec<String>,
) -> Result<Made, GenerateError> {
    if manifest.needs_source() && options.image.source_name.is_none() {
        return Err(GenerateError::NoSourceImage);
    }
    let told = with_ports(manifest, options)?;
    let claims = Claims::of(&told, kind, options);
    let files = config::mounted(&told, options)?;
    let mut env = environment(options)?;
    if let Some((variable, note)) = sticky::directory(&told, &env) {
        env.push(variable);
        notes.push(note);
    }
    let room = Room::of(told.paths.iter().filter(|path| !claims.hold(path)));
    let resources = demand::resources(&room, &options.demands)?;
    let no_exec = gate.wished(&NO_EXEC, "--noexec", options.wishes.contains(&Wish::NoExec))?;
    let has_own_users =
        gate.wished(&USER_NAMESPACE, "--userns", options.wishes.contains(&Wish::UserNamespace))?;

    let pod = pod::pod_with(&told, &pod_options(options), |app| {
        app.resources = Some(resources);
        set_env(app, env, options);
        if kind.ends() {
            (app.startup_probe, app.readiness_probe, app.liveness_probe) = (None, None, None);
        }
        app.volume_mounts.get_or_insert_default().extend(files.iter().map(|file| file.mount.clone()));
    });
    let mut annotations = pod.metadata.annotations.unwrap_or_default();
    if let Manifests::One(digest) = &options.image.manifests {
        // Of the document that the image has, which is not the one with the user's ports.
        annotations.insert(MANIFEST_KEY.to_owned(), digest.to_string());
    }
    annotations.insert(DEBUG_KEY.to_owned(), debug_recipe(options));
    let mut spec = pod.spec.unwrap_or_default();
    for container in spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()) {
        container.volume_mounts = container.volume_mounts.take().filter(|mounts| !mounts.is_empty());
    }
    spec.service_account_name = Some(options.name.clone());
    spec.restart_policy = kind.ends().then(|| "Never".to_owned());
    spec.host_users = has_own_users.then_some(false);
    spec.volumes.get_or_insert_default().extend(files.iter().map(|file| file.volume.clone()));
    spec.volumes = spec.volumes.take().filter(|volumes| !volumes.is_empty());
    claims.put(&mut spec, options);
    if let Some(security) = &mut spec.security_context {
        secure(security, &told, &claims, options, gate);
    }
    if options.wishes.contains(&Wish::Explicit) {
        say_again(&mut spec);
    }
    tell(&told, options, notes);
    notes.extend(files.iter().filter_map(|file| config::note(&file.object)));
    let comments = comments(&told, &claims, &files, options);
    let configs = files.into_iter().map(|file| file.object).collect();
    let sticky = sticky::volumes(&told, &claims, gate);
    Ok(Made { annotations, spec, configs, claims, comments, no_exec, sticky })
}

fn pod_options(options: &Options) -> PodOptions {
    let image = &options.image;
    PodOptions {
        name: options.name.clone(),
        image: image.name.clone(),
        source: image.source.clone(),
        source_image: image.source_name.clone().unwrap_or_default(),
        namespace: None,
        run_as: match options.platform {
            ClusterPlatform::Kubernetes => image.run_as,
            ClusterPlatform::OpenShift => RunAs::Image,
        },
        united: match &image.manifests {
            Manifests::One(_) => Vec::new(),
            Manifests::Several(united) => united.clone(),
        },
    }
}

/// `manifest`, listening where the user says.
fn with_ports(manifest: &Manifest, options: &Options) -> Result<Manifest, GenerateError> {
    let mut told = manifest.clone();
    if options.ports.is_empty() {
        return Ok(told);
    }
    told.ports.clear();
    let mut names = BTreeSet::new();
    for port in &options.ports {
        let protocol = port.protocol.name();
        if told.ports.iter().any(|known| known.port == port.number && known.protocol == protocol) {
            return Err(GenerateError::PortTwice(format!("{}/{protocol}", port.number)));
        }
        let known =
            manifest.ports.iter().find(|known| known.port == port.number && known.protocol == protocol);
        // One for one: what it is called stays.
        let known = known.or_else(|| match (manifest.ports.as_slice(), options.ports.as_slice()) {
            ([one], [_]) if one.protocol == protocol => Some(one),
            _ => None,
        });
        let mut name = known.map_or_else(
            || format!("{}-{}", protocol.to_lowercase(), port.number),
            |known| known.name.clone(),
        );
        if !names.insert(name.clone()) {
            name = format!("{}-{}", protocol.to_lowercase(), port.number);
            names.insert(name.clone());
        }
        told.ports.push(PortEntry {
            port: port.number,
            protocol: protocol.to_owned(),
            name,
            evidence: vec![Evidence {
                kind: EvidenceKind::User,
                source: "command line".to_owned(),
                detail: format!("--port {}", port.number),
            }],
        });
    }
    // Somebody vouches for it: what does not answer there may be started again.
    told.probe.get_or_insert(ProbeEntry::Tcp);
    told.ports.sort_by(|a, b| (a.port, &a.protocol).cmp(&(b.port, &b.protocol)));
    Ok(told)
}

fn environment(options: &Options) -> Result<Vec<EnvVar>, GenerateError> {
    let mut names = BTreeSet::new();
    let variable = |(name, value): &(String, String)| {
        if !names.insert(name.clone()) {
            return Err(GenerateError::EnvTwice(name.clone()));
        }
        Ok(EnvVar { name: name.clone(), value: Some(pod::literal(value)), value_from: None })
    };
    options.env.iter().map(variable).collect()
}

/// What the user sets goes before what the manifest sets.
fn set_env(app: &mut Container, env: Vec<EnvVar>, options: &Options) {
    let own = app.env.get_or_insert_default();
    own.retain(|variable| !env.iter().any(|other| other.name == variable.name));
    own.extend(env);
    app.env = app.env.take().filter(|env| !env.is_empty());
    let from = options.env_from.iter().map(|source| match source {
        EnvSource::ConfigMap(name) => EnvFromSource {
            config_map_ref: Some(ConfigMapEnvSource { name: name.clone(), optional: None }),
            ..EnvFromSource::default()
        },
        EnvSource::Secret(name) => EnvFromSource {
            secret_ref: Some(SecretEnvSource { name: name.clone(), optional: None }),
            ..EnvFromSource::default()
        },
    });
    app.env_from = Some(from.collect::<Vec<_>>()).filter(|from| !from.is_empty());
}

/// What the pod says of user and system calls, in each container: some tools read no pod.
fn say_again(spec: &mut PodSpec) {
    let Some(of_pod) = spec.security_context.clone() else { return };
    for container in spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()) {
        let own = container.security_context.get_or_insert_default();
        own.run_as_user = of_pod.run_as_user;
        own.run_as_group = of_pod.run_as_group;
        own.seccomp_profile.clone_from(&of_pod.seccomp_profile);
    }
}

fn secure(
    security: &mut PodSecurityContext,
    manifest: &Manifest,
    claims: &Claims,
    options: &Options,
    gate: &mut Gate,
) {
    if gate.has(&STRICT_GROUPS) {
        security.supplemental_groups_policy = Some("Strict".to_owned());
    }
    if options.platform == ClusterPlatform::OpenShift {
        // The namespace's own range gives them all.
        security.supplemental_groups = None;
        return;
    }
    if claims.is_any() {
        // A new disk's top is root's. Where files keep a group's rights, they are not opened to it at every start.
        security.fs_group = Some(i64::from(manifest.process.gid));
        security.fs_group_change_policy = Some("OnRootMismatch".to_owned());
    }
}

fn debug_recipe(options: &Options) -> String {
    let platform = match options.platform {
        ClusterPlatform::Kubernetes => "",
        ClusterPlatform::OpenShift => " --platform openshift",
    };
    format!(
        "kiln debug-profile {image}{platform} -o debug.yaml; kubectl debug -it POD --target={name} --image=IMAGE --profile=restricted --custom=debug.yaml",
        image = options.image.name,
        name = options.name
    )
}

fn tell(manifest: &Manifest, options: &Options, notes: &mut Vec<String>) {
    if options.platform == ClusterPlatform::OpenShift {
        notes.push(
            "on OpenShift the namespace gives user and groups: what the app reads in the image must be readable for group 0 or for everybody, and what it makes is its own"
                .to_owned(),
        );
    } else if manifest.process.uid == 0 {
        notes.push(
            "the image runs as root, which the Pod Security Standards refuse at level restricted: `kiln harden --user` gives it another user"
                .to_owned(),
        );
    }
    let is_secret = |name: &str| {
        let name = name.to_ascii_uppercase();
        ["PASSWORD", "PASSWD", "SECRET", "TOKEN", "CREDENTIAL", "API_KEY", "PRIVATE_KEY"]
            .iter()
            .any(|word| name.contains(word))
    };
    for (name, _) in options.env.iter().filter(|(name, _)| is_secret(name)) {
        notes.push(format!(
            "`--env {name}` by its name is a secret, and stands in the document for all who may read it: `--env-from secret/NAME`"
        ));
    }
}

fn comments(manifest: &Manifest, claims: &Claims, files: &[Mounted], options: &Options) -> Comments {
    let source = &options.image.source;
    let source =
        if source.is_empty() { format!("the layers {}", manifest.source_chain_id) } else { source.clone() };
    let mut comments = Comments::of(manifest, &source);
    let lost = claims.lost();
    for ((path, _, _), lines) in volumes::mounted(manifest).into_iter().zip(&mut comments.mounts) {
        if lost.contains(&path.path.as_str()) {
            lines.push("These data must outlive the pod, and here they go with it.".to_owned());
        }
    }
    comments.mounts.extend(files.iter().map(|file| vec![file.comment.clone()]));
    comments
}
