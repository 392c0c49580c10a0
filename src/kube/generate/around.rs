//! What goes with a workload: its account, Services, its Namespace, who may talk to it, and how many pods may be away.
//!
//! Knows the pods by their labels and ports.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    ContainerPort, Namespace, Service, ServiceAccount, ServicePort, ServiceSpec,
};
use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::feature::{Gate, UNHEALTHY_EVICTION};
use super::template::Made;
use super::{ClusterPlatform, Extra, GenerateError, Kind, Object, Options};
use crate::kube::policy::psa;
use crate::kube::version::Version;
use crate::manifest::Manifest;

/// The label that pods are found by.
const NAME_KEY: &str = "app.kubernetes.io/name";

/// Where name servers listen.
const NAME_PORT: i32 = 53;
/// Where OpenShift's own listen, too: rules are for ports of pods, not of the Service before them.
const OPENSHIFT_NAME_PORT: i32 = 5353;

/// Longest tag that is a label, too.
const MAX_VALUE: usize = 63;

/// Labels that pods are found by; no newer image changes them.
pub(super) fn selector(options: &Options) -> BTreeMap<String, String> {
    BTreeMap::from([(NAME_KEY.to_owned(), options.name.clone())])
}

/// Labels of all that is made.
pub(super) fn labels(options: &Options) -> BTreeMap<String, String> {
    let mut labels = selector(options);
    labels.insert("app.kubernetes.io/managed-by".to_owned(), "kiln".to_owned());
    if let Some(tag) = tag(&options.image.name) {
        labels.insert("app.kubernetes.io/version".to_owned(), tag.to_owned());
    }
    labels
}

/// The tag of an image, where it is the value of a label.
fn tag(image: &str) -> Option<&str> {
    let name = image.split('@').next()?;
    let (_, tag) = name.rsplit('/').next()?.split_once(':')?;
    let is_end = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let is_value = tag.len() <= MAX_VALUE && is_end(tag.chars().next()) && is_end(tag.chars().next_back());
    is_value.then_some(tag)
}

/// Of an object called `name`.
pub(super) fn metadata(name: &str, options: &Options, annotations: BTreeMap<String, String>) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: options.namespace.clone(),
        labels: Some(labels(options)),
        annotations: Some(annotations).filter(|annotations| !annotations.is_empty()),
        ..ObjectMeta::default()
    }
}

/// Name of the Service by which each pod of a StatefulSet has a name.
pub(super) fn headless(options: &Options) -> String {
    format!("{}-headless", options.name)
}

/// What must be there before pods can be.
pub(super) fn before(made: &Made, kind: Kind, options: &Options) -> Result<Vec<Object>, GenerateError> {
    let mut objects = Vec::new();
    if options.with.contains(&Extra::Namespace) {
        objects.push(namespace(options)?);
    }
    let account = ServiceAccount {
        metadata: metadata(&options.name, options, BTreeMap::new()),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    };
    let head = "An account of its own, which the cluster's API knows nothing of.".to_owned();
    objects.push(Object::new("ServiceAccount", &options.name, &account, vec![head]));
    if options.with.contains(&Extra::NetworkPolicy) {
        objects.push(network_policy(made, kind, options));
    }
    Ok(objects)
}

fn namespace(options: &Options) -> Result<Object, GenerateError> {
    let name = options.namespace.as_ref().ok_or(GenerateError::NoNamespace)?;
    // Of a fixed version: an update of the cluster must not refuse pods that were fine before.
    let version = format!("v{}", options.version.min(Version::NEWEST));
    let mut labels = psa::labels(&["audit", "enforce", "warn"], &version);
    labels.insert("app.kubernetes.io/managed-by".to_owned(), "kiln".to_owned());
    let namespace = Namespace {
        metadata: ObjectMeta { name: Some(name.clone()), labels: Some(labels), ..ObjectMeta::default() },
        ..Namespace::default()
    };
    let head = "Refuses pods that are not hardened.".to_owned();
    Ok(Object::new("Namespace", name, &namespace, vec![head]))
}

/// Services before the pods.
pub(super) fn services(made: &Made, kind: Kind, options: &Options) -> Result<Vec<Object>, GenerateError> {
    let ports: Vec<ServicePort> = made.ports().iter().map(service_port).collect();
    let service = |name: &str, spec: ServiceSpec, head: &str| {
        let spec = ServiceSpec {
            selector: Some(selector(options)),
            ports: Some(ports.clone()).filter(|ports| !ports.is_empty()),
            ..spec
        };
        let service =
            Service { metadata: metadata(name, options, BTreeMap::new()), spec: Some(spec), status: None };
        Object::new("Service", name, &service, vec![head.to_owned()])
    };
    let mut objects = Vec::new();
    if options.with.contains(&Extra::Service) {
        if ports.is_empty() {
            return Err(GenerateError::NoPorts);
        }
        let spec = ServiceSpec { type_: Some("ClusterIP".to_owned()), ..ServiceSpec::default() };
        objects.push(service(&options.name, spec, "For whom the app serves."));
    }
    if kind == Kind::StatefulSet {
        let spec = ServiceSpec { cluster_ip: Some("None".to_owned()), ..ServiceSpec::default() };
        objects.push(service(&headless(options), spec, "Gives each pod of the StatefulSet a name."));
    }
    Ok(objects)
}

fn service_port(port: &ContainerPort) -> ServicePort {
    let number = IntOrString::Int(port.container_port);
    ServicePort {
        name: port.name.clone(),
        port: port.container_port,
        protocol: port.protocol.clone(),
        target_port: Some(port.name.clone().map_or(number, IntOrString::String)),
        ..ServicePort::default()
    }
}

fn network_policy(made: &Made, kind: Kind, options: &Options) -> Object {
    let policy_port = |port: &ContainerPort| NetworkPolicyPort {
        port: Some(IntOrString::Int(port.container_port)),
        protocol: port.protocol.clone(),
        end_port: None,
    };
    let ports: Vec<NetworkPolicyPort> = made.ports().iter().map(policy_port).collect();
    // Without ports it would be a rule for all of them.
    let ingress = (!ports.is_empty() && !kind.ends())
        .then_some(NetworkPolicyIngressRule { ports: Some(ports), from: None });
    let own = (options.platform == ClusterPlatform::OpenShift).then_some(OPENSHIFT_NAME_PORT);
    let names = std::iter::once(NAME_PORT).chain(own).flat_map(|number| {
        ["TCP", "UDP"].map(|protocol| NetworkPolicyPort {
            port: Some(IntOrString::Int(number)),
            protocol: Some(protocol.to_owned()),
            end_port: None,
        })
    });
    let policy = NetworkPolicy {
        metadata: metadata(&options.name, options, BTreeMap::new()),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(LabelSelector {
                match_labels: Some(selector(options)),
                match_expressions: None,
            }),
            policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
            ingress: Some(ingress.into_iter().collect()),
            egress: Some(vec![NetworkPolicyEgressRule { ports: Some(names.collect()), to: None }]),
        }),
    };
    let head = vec![
        "Lets in what asks the app's ports, and out what asks for names.".to_owned(),
        "What else the app itself asks, a rule of `egress` must let out.".to_owned(),
    ];
    Object::new("NetworkPolicy", &options.name, &policy, head)
}

/// What is about pods that are there.
pub(super) fn after(options: &Options, gate: &mut Gate) -> Vec<Object> {
    if !options.with.contains(&Extra::DisruptionBudget) {
        return Vec::new();
    }
    let always = gate.has(&UNHEALTHY_EVICTION).then(|| "AlwaysAllow".to_owned());
    let budget = PodDisruptionBudget {
        metadata: metadata(&options.name, options, BTreeMap::new()),
        spec: Some(PodDisruptionBudgetSpec {
            // Of one pod, too: else no node that has it could be emptied.
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(LabelSelector { match_labels: Some(selector(options)), match_expressions: None }),
            unhealthy_pod_eviction_policy: always,
            ..PodDisruptionBudgetSpec::default()
        }),
        status: None,
    };
    let head = "No more than one pod at a time is away for a node's maintenance.".to_owned();
    vec![Object::new("PodDisruptionBudget", &options.name, &budget, vec![head])]
}

/// What is to be known of all that.
pub(super) fn notes(
    made: &Made,
    manifest: &Manifest,
    kind: Kind,
    options: &Options,
    notes: &mut Vec<String>,
) {
    if options.with.contains(&Extra::NetworkPolicy) {
        notes.push(
            "the NetworkPolicy lets the app ask name servers and nobody else: what else it asks, a rule of `egress` must let out"
                .to_owned(),
        );
    }
    let lives = made.spec.containers.iter().any(|app| app.liveness_probe.is_some());
    if kind.ends() || lives {
        return;
    }
    // Datagrams are answered by nobody that the kubelet knows to ask.
    let is_asked = made.ports().iter().any(|port| port.protocol.as_deref() == Some("TCP"));
    let note = if !is_asked {
        "the app has no TCP port, so that nothing asks whether it serves: `--port N` names one"
    } else if manifest.probe.is_some() {
        "that the app listens is announced and not known, so that nothing starts it again where it does not answer: `--port N` vouches for a port"
    } else {
        "no recipe knows how long the app may be silent, so that nothing starts it again where it does not answer: `--port N` vouches for a port"
    };
    notes.push(note.to_owned());
}
