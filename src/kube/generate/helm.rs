//! Values for a chart in the shape that `helm create` makes.
//!
//! Makes no chart. What its templates have no place for is told.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::{Map, Value, json};

use super::feature::Gate;
use super::template::{self, Made};
use super::{Extra, GenerateError, Kind, Object, Options, Wish, workload};
use crate::manifest::Manifest;

/// What the templates of `helm create` call the app's port.
const PORT: &str = "http";

/// Fields of the pod that those templates do not read from values.
const NOT_OF_POD: [&str; 4] = ["enableServiceLinks", "hostUsers", "initContainers", "os"];

/// Fields of the container that they do read.
const OF_CONTAINER: [&str; 5] =
    ["livenessProbe", "readinessProbe", "resources", "securityContext", "volumeMounts"];

/// Fields of the container that they do not.
const NOT_OF_CONTAINER: [&str; 4] = ["env", "envFrom", "startupProbe", "terminationMessagePolicy"];

/// The values, YAML, and what is to be known besides.
pub fn helm_values(manifest: &Manifest, options: &Options) -> Result<(String, Vec<String>), GenerateError> {
    let kind = options.kind.unwrap_or(Kind::Deployment);
    options.check(kind)?;
    refuse(kind, options)?;
    let (mut gate, mut notes) = (Gate::new(options.version), Vec::new());
    let made = template::template(manifest, kind, options, &mut gate, &mut notes)?;
    notes.extend(made.claims.note("a StatefulSet gives each pod a claim, and the chart makes none"));
    let deployment = workload::workload(&made, kind, options, &mut gate).value;
    let at = |pointer: &str| deployment.pointer(pointer).filter(|value| !value.is_null()).cloned();
    let of_pod = |field: &str| at(&format!("/spec/template/spec/{field}"));
    let of_app = |field: &str| {
        let mut value = at(&format!("/spec/template/spec/containers/0/{field}"))?;
        for pointer in ["/httpGet/port", "/tcpSocket/port"] {
            if let Some(port) = value.pointer_mut(pointer) {
                *port = json!(PORT);
            }
        }
        if let Some(probe) = value.as_object_mut().filter(|probe| probe.contains_key("tcpSocket")) {
            // Helm merges the chart's own values into these, and a probe that asks in two ways is refused.
            probe.insert("httpGet".to_owned(), Value::Null);
        }
        Some(value)
    };

    let account = json!({ "create": true, "automount": false, "annotations": {}, "name": options.name });
    let mut values = Map::new();
    let mut put = |name: &str, value: Value| values.insert(name.to_owned(), value);
    put("replicaCount", at("/spec/replicas").unwrap_or_default());
    put("image", image(&options.image.name));
    put("fullnameOverride", json!(options.name));
    put("serviceAccount", account);
    put("podAnnotations", json!(made.annotations));
    put("podSecurityContext", of_pod("securityContext").unwrap_or_default());
    put("volumes", of_pod("volumes").unwrap_or_else(|| json!([])));
    if let Some(port) = served(&made) {
        put("service", json!({ "type": "ClusterIP", "port": port }));
    }
    for field in OF_CONTAINER {
        // A probe of the chart's own would be there where none is named.
        put(field, of_app(field).unwrap_or_default());
    }
    let mut unread = Vec::new();
    let rest = NOT_OF_POD.iter().map(|field| (*field, of_pod(field)));
    for (field, value) in rest.chain(NOT_OF_CONTAINER.iter().map(|field| (*field, of_app(field)))) {
        if let Some(value) = value {
            put(field, value);
            unread.push(field);
        }
    }
    notes.push(format!(
        "the templates of `helm create` do not read these values: {}; `templates/deployment.yaml` must, for the pod to be what it should",
        unread.join(", ")
    ));
    if made.ports().len() > 1 {
        notes.push("the chart of `helm create` has one port; the app listens on more".to_owned());
    }
    notes.extend(gate.notes());
    let mut comments = made.comments.clone();
    // Here init containers stand before the app's mounts.
    let before =
        made.spec.init_containers.iter().flatten().flat_map(|init| init.volume_mounts.iter().flatten());
    comments.mounts.splice(0..0, before.map(|_| Vec::new()));
    comments.head.insert(0, "Values for a chart in the shape of `helm create`.".to_owned());
    let value = Value::Object(values);
    let values = Object { kind: "Values", name: options.name.clone(), value, comments };
    Ok((values.yaml(), notes))
}

/// What a chart of that shape has no place for.
fn refuse(kind: Kind, options: &Options) -> Result<(), GenerateError> {
    let refused = |what: &str| Err(GenerateError::Helm(format!("the chart of `helm create` has no {what}")));
    if kind != Kind::Deployment {
        return refused(kind.name());
    }
    if !options.configs.is_empty() {
        return refused("ConfigMap: another format makes it");
    }
    for extra in &options.with {
        match extra {
            Extra::Service | Extra::ServiceAccount => {}
            Extra::NetworkPolicy => return refused("NetworkPolicy"),
            Extra::DisruptionBudget => return refused("PodDisruptionBudget"),
            Extra::Namespace => return refused("Namespace"),
        }
    }
    if options.wishes.contains(&Wish::Claims) { refused("claim") } else { Ok(()) }
}

/// The port that the chart's Service leads to: the one that is asked whether the app serves, else the first.
fn served(made: &Made) -> Option<i32> {
    let asked = made.spec.containers.iter().find_map(|app| {
        let probe = app.readiness_probe.as_ref()?;
        let of_page = probe.http_get.as_ref().map(|page| &page.port);
        match of_page.or(probe.tcp_socket.as_ref().map(|socket| &socket.port))? {
            IntOrString::String(name) => Some(name.clone()),
            IntOrString::Int(_) => None,
        }
    });
    let mut ports = made.ports().iter();
    let found = ports.clone().find(|port| asked.is_some() && port.name == asked);
    found.or_else(|| ports.next()).map(|port| port.container_port)
}

/// `repository:tag` is what the chart writes: the digest's own colon is that one.
fn image(name: &str) -> Value {
    let (repository, tag) = name.rsplit_once(':').unwrap_or((name, ""));
    json!({ "repository": repository, "pullPolicy": "IfNotPresent", "tag": tag })
}
