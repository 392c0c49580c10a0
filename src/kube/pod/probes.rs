//! Probes: how the kubelet asks whether the app serves. Never a command: a hardened image has none to run.
//!
//! Knows only what the manifest says of ports and of the recipe's probe.

use k8s_openapi::api::core::v1::{HTTPGetAction, Probe, TCPSocketAction};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::evidence::EvidenceKind;
use crate::manifest::{Manifest, PortEntry, ProbeEntry};

/// The three probes; all absent without a TCP port.
#[derive(Debug, Default)]
pub(super) struct Probes {
    pub startup: Option<Probe>,
    pub readiness: Option<Probe>,
    pub liveness: Option<Probe>,
}

/// The probes that fit `manifest`.
///
/// Without a recipe's probe only readiness is asked for, by a connection. A port that only `EXPOSE` or a recipe's default
/// names must not kill the container either: the configuration may say otherwise where kiln does not read it.
pub(super) fn of(manifest: &Manifest) -> Probes {
    let Some(port) = port(manifest) else { return Probes::default() };
    let Some(entry) = &manifest.probe else {
        return Probes { readiness: Some(probe(&ProbeEntry::Tcp, port, 5, 3)), ..Probes::default() };
    };
    if !is_told(port) {
        return Probes { readiness: Some(probe(entry, port, 5, 3)), ..Probes::default() };
    }
    Probes {
        // A minute to start, then quick to take out of service and slow to kill.
        startup: Some(probe(entry, port, 2, 30)),
        readiness: Some(probe(entry, port, 5, 3)),
        liveness: Some(probe(entry, port, 10, 6)),
    }
}

fn probe(entry: &ProbeEntry, port: &PortEntry, period: i32, failures: i32) -> Probe {
    let target = IntOrString::String(port.name.clone());
    let base = Probe {
        period_seconds: Some(period),
        failure_threshold: Some(failures),
        timeout_seconds: Some(2),
        ..Probe::default()
    };
    match entry {
        ProbeEntry::Http { path } => Probe {
            http_get: Some(HTTPGetAction {
                path: Some(path.clone()),
                port: target,
                scheme: is_tls(port).then(|| "HTTPS".to_owned()),
                ..HTTPGetAction::default()
            }),
            ..base
        },
        ProbeEntry::Tcp => Probe { tcp_socket: Some(TCPSocketAction { host: None, port: target }), ..base },
    }
}

/// The port to ask: one that the software is told to listen on before one that is only announced, plain
/// before TLS, then the lowest.
fn port(manifest: &Manifest) -> Option<&PortEntry> {
    manifest
        .ports
        .iter()
        .filter(|port| port.protocol == "TCP")
        .min_by_key(|port| (!is_told(port), is_tls(port), port.port))
}

/// Whether the software itself is told to listen there: by its configuration, its command line or its environment.
fn is_told(port: &PortEntry) -> bool {
    port.evidence.iter().any(|evidence| {
        matches!(evidence.kind, EvidenceKind::Directive | EvidenceKind::Trace)
            || matches!(evidence.source.as_str(), "command line" | "config Env")
    })
}

fn is_tls(port: &PortEntry) -> bool {
    port.name.starts_with("https")
}
