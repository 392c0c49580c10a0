//! A pod's probes: asked as the kubelet asks them, and named.
//!
//! Judges no answer.

use std::time::Duration;

use crate::kube::given::{Ask, Container, Scheme};
use crate::observe;
use crate::profile::Probe;
use crate::sandbox::{Door, Process};

/// Asks each of the pod's probes.
pub(super) fn ask_all(
    container: &Container,
    door: &Door,
    process: &Process,
    patience: Duration,
) -> Vec<(String, bool)> {
    distinct(container)
        .into_iter()
        .map(|(name, ask)| (name, observe::answers(|| is_answered(ask, door, process), patience)))
        .collect()
}

/// The pod's probes that ask something else than those before, each with what it is called.
pub(super) fn distinct(container: &Container) -> Vec<(String, &Ask)> {
    let mut asks: Vec<(Vec<&str>, &Ask)> = Vec::new();
    for (kind, ask) in &container.probes {
        match asks.iter_mut().find(|(_, known)| *known == ask) {
            Some((kinds, _)) => kinds.push(kind.name()),
            None => asks.push((vec![kind.name()], ask)),
        }
    }
    let named =
        |(kinds, ask): (Vec<&str>, _)| (format!("{} probe ({})", kinds.join(", "), describe(ask)), ask);
    asks.into_iter().map(named).collect()
}

fn describe(ask: &Ask) -> String {
    match ask {
        Ask::Tcp(port) => format!("port {port}"),
        Ask::Http { port, path, scheme: Scheme::Http, .. } => format!("GET {path} of port {port}"),
        Ask::Http { port, scheme: Scheme::Https, .. } => {
            format!("port {port}, by connection only: kiln speaks no TLS with it")
        }
        Ask::Exec(words) => format!("exec {}", words.join(" ")),
    }
}

fn is_answered(ask: &Ask, door: &Door, process: &Process) -> bool {
    match ask {
        Ask::Tcp(port) | Ask::Http { port, scheme: Scheme::Https, .. } => door.connect(*port).is_ok(),
        Ask::Http { port, path, host, .. } => {
            let host = host.as_deref().unwrap_or("localhost");
            observe::get(door, *port, host, path).is_ok_and(observe::is_good)
        }
        Ask::Exec(words) => observe::succeeds(door, words.clone(), process),
    }
}

/// The probe that asks the same, where there is one: which probes are told apart by more is asked later.
pub(super) fn as_probe(ask: &Ask) -> Option<Probe> {
    match ask {
        Ask::Tcp(port) | Ask::Http { port, scheme: Scheme::Https, .. } => Some(Probe::Tcp(*port)),
        Ask::Http { port, path, host: None, .. } => Some(Probe::Http { port: *port, path: path.clone() }),
        Ask::Exec(words)
            if words.iter().all(|word| !word.is_empty() && !word.contains(char::is_whitespace)) =>
        {
            Some(Probe::Exec(words.join(" ")))
        }
        Ask::Http { .. } | Ask::Exec(_) => None,
    }
}
