//! Ports the app listens on: directives, the command line, `EXPOSE`, recipes.
//!
//! Knows how addresses are written; not whether a container runtime lets anybody reach them.

use std::collections::{BTreeMap, BTreeSet};

use super::Inputs;
use super::candidate::evidence;
use super::command_line::CommandLine;
use super::traced::TRACE;
use crate::evidence::{Evidence, EvidenceKind};
use crate::finding::{Code, Finding};
use crate::plan::Port;
use crate::plan::traced::Traced;
use crate::recipe::Recipe;

/// One reason to believe that a port is listened on.
#[derive(Debug, Clone)]
pub(super) struct PortCandidate {
    port: u16,
    protocol: &'static str,
    name: Option<String>,
    host: Option<String>,
    evidence: Evidence,
}

/// What an address to listen on says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Listen {
    /// A port, and the host part where there is one.
    Port {
        /// 1–65535.
        port: u16,
        /// As written, brackets removed.
        host: Option<String>,
    },
    /// A socket in the file system.
    Socket(String),
    /// Port 0, or an address without a port.
    Nothing,
}

/// Options of servers that take an address or a port.
const OPTIONS: &[&str] = &[
    "-b",
    "--bind",
    "--port",
    "--listen",
    "--listen-address",
    "--listen-addr",
    "--addr",
    "--address",
    "--http",
    "--http-port",
    "--http-address",
    "--web.listen-address",
    "-p",
];

impl PortCandidate {
    /// Of a directive with these `words`.
    pub fn directive(
        port: u16,
        host: Option<String>,
        recipe: &Recipe,
        words: &[String],
        evidence: Evidence,
    ) -> Self {
        let tls = words.iter().skip(1).any(|word| matches!(word.as_str(), "ssl" | "https" | "quic"));
        let known = recipe.ports.iter().find(|rule| rule.port == port).or_else(|| recipe.ports.first());
        let name = if tls { Some("https".to_owned()) } else { known.map(|rule| rule.name.clone()) };
        Self { port, protocol: "TCP", name, host, evidence }
    }
}

/// All ports with all evidence, by port.
pub(super) fn find(
    inputs: &Inputs<'_>,
    directives: Vec<PortCandidate>,
    findings: &mut Vec<Finding>,
) -> Vec<Port> {
    let mut candidates = directives;
    candidates.extend(command_line(inputs));
    candidates.extend(variables(inputs));
    let is_told = !candidates.is_empty();
    loopback_only(&candidates, findings);
    for (port, protocol) in inputs.exposed_ports {
        let Some(protocol) = protocol_name(protocol).filter(|_| *port != 0) else { continue };
        let why = evidence(
            EvidenceKind::Config,
            "config ExposedPorts",
            format!("{port}/{}", protocol.to_lowercase()),
        );
        candidates.push(PortCandidate { port: *port, protocol, name: None, host: None, evidence: why });
    }
    if candidates.is_empty() {
        candidates.extend(environment(inputs));
    }
    for recipe in inputs.recipes {
        for rule in &recipe.ports {
            let listed = candidates.iter().any(|candidate| candidate.port == rule.port);
            if listed || !is_told && inputs.exposed_ports.is_empty() {
                let why = evidence(EvidenceKind::Recipe, format!("recipe {}", recipe.name), &rule.why);
                candidates.push(PortCandidate {
                    port: rule.port,
                    protocol: "TCP",
                    name: Some(rule.name.clone()),
                    host: None,
                    evidence: why,
                });
            }
        }
    }
    candidates.extend(traced(inputs));
    unite(inputs, candidates, findings)
}

/// Ports that were listened on while the app was watched.
fn traced(inputs: &Inputs<'_>) -> impl Iterator<Item = PortCandidate> {
    inputs.traced.iter().flat_map(Traced::listens).filter(|listens| !is_loopback(&listens.address)).map(
        |listens| PortCandidate {
            port: listens.port,
            protocol: listens.protocol,
            name: None,
            host: Some(listens.address),
            evidence: evidence(EvidenceKind::Trace, TRACE, format!("{} listened on it", listens.by)),
        },
    )
}

/// What speaks for one port.
#[derive(Default)]
struct Group {
    name: Option<String>,
    evidence: Vec<Evidence>,
}

fn unite(inputs: &Inputs<'_>, candidates: Vec<PortCandidate>, findings: &mut Vec<Finding>) -> Vec<Port> {
    let mut groups: BTreeMap<(u16, &'static str), Group> = BTreeMap::new();
    for candidate in candidates {
        let group = groups.entry((candidate.port, candidate.protocol)).or_default();
        group.name = group.name.take().or(candidate.name);
        group.evidence.push(candidate.evidence);
    }
    let mut names = BTreeSet::new();
    let mut out = Vec::new();
    for ((port, protocol), Group { name, mut evidence }) in groups {
        evidence.sort();
        evidence.dedup();
        let base = name.unwrap_or_else(|| customary_name(port).to_owned());
        let name = [base.clone(), format!("{base}-{port}"), format!("p{port}-{}", protocol.to_lowercase())]
            .into_iter()
            .find(|name| is_port_name(name) && !names.contains(name))
            .unwrap_or_else(|| format!("p{port}"));
        names.insert(name.clone());
        if port < 1024 && inputs.user.uid != 0 {
            findings.push(Finding::new(
                Code::LowPort,
                port,
                "below 1024, and the app is not root: the pod spec lowers `net.ipv4.ip_unprivileged_port_start` for the pod; where that cannot be set, let the app listen on a higher port",
            ));
        }
        out.push(Port { port, protocol, name, evidence });
    }
    out
}

/// Says which ports are bound to addresses that only the container itself reaches.
fn loopback_only(candidates: &[PortCandidate], findings: &mut Vec<Finding>) {
    let is_loopback = |candidate: &PortCandidate| candidate.host.as_deref().is_some_and(is_loopback);
    for candidate in candidates.iter().filter(|candidate| is_loopback(candidate)) {
        if !candidates.iter().any(|other| other.port == candidate.port && !is_loopback(other)) {
            findings.push(Finding::new(
                Code::LoopbackOnly,
                candidate.port,
                format!(
                    "{} ({}) is listened on at {} only: no probe and no client outside the pod reaches it",
                    candidate.evidence.source,
                    candidate.evidence.detail,
                    candidate.host.as_deref().unwrap_or_default()
                ),
            ));
        }
    }
}

/// Ports that options of the main program name.
fn command_line(inputs: &Inputs<'_>) -> Vec<PortCandidate> {
    let line = CommandLine::of(inputs);
    let mut out = Vec::new();
    let mut push = |value: &str, detail: String| {
        if let Some(Listen::Port { port, host }) = parse_listen(value) {
            let why = evidence(EvidenceKind::Config, "command line", detail);
            let name = inputs.recipes.iter().flat_map(|recipe| &recipe.ports).next();
            let name = name.map(|rule| rule.name.clone());
            out.push(PortCandidate { port, protocol: "TCP", name, host, evidence: why });
        }
    };
    for option in OPTIONS {
        for value in line.values(&[option]) {
            push(value, format!("{option} {value}"));
        }
    }
    if let Some((value, detail)) = http_server(&line) {
        push(&value, detail);
    }
    out
}

/// `python3 -m http.server [--bind ADDRESS] [OPTION VALUE…] [PORT]`: 8000 on all addresses unless told.
fn http_server(line: &CommandLine) -> Option<(String, String)> {
    let at = line.words().iter().position(|word| word == "http.server")?;
    let mut words = line.words().iter().skip(at + 1);
    let (mut host, mut port) = ("", "8000");
    while let Some(word) = words.next() {
        match word.as_str() {
            "-b" | "--bind" => host = words.next().map_or("", String::as_str),
            "--cgi" => {}
            option if option.starts_with('-') => drop((!option.contains('=')).then(|| words.next())),
            word => port = word,
        }
    }
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    Some((format!("{host}:{port}"), format!("http.server on port {port}")))
}

/// Ports in variables that one software reads: ASP.NET Core's (`ASPNETCORE_URLS` hides the others), Grafana's, Keycloak's.
fn variables(inputs: &Inputs<'_>) -> Vec<PortCandidate> {
    const HIDING: &[&str] = &["ASPNETCORE_URLS", "DOTNET_URLS"];
    const OTHERS: &[&str] =
        &["ASPNETCORE_HTTP_PORTS", "ASPNETCORE_HTTPS_PORTS", "GF_SERVER_HTTP_PORT", "KC_HTTP_PORT"];
    let value = |name: &&str| {
        let (name, value) = inputs.env.iter().rev().find(|(known, _)| known == name)?;
        (!value.is_empty()).then_some((name, value))
    };
    let mut found: Vec<_> = HIDING.iter().find_map(value).into_iter().collect();
    let is_hidden = |name: &&&str| !found.is_empty() && name.starts_with("ASPNETCORE");
    let others: Vec<_> = OTHERS.iter().filter(|name| !is_hidden(name)).filter_map(value).collect();
    found.extend(others);
    let mut out = Vec::new();
    for (name, value) in found {
        for part in value.split([';', ',']) {
            let Some(Listen::Port { port, host }) = parse_listen(part) else { continue };
            let tls = part.starts_with("https:") || name.contains("HTTPS");
            let why = evidence(EvidenceKind::Config, "config Env", format!("{name}={value}"));
            let name = Some(if tls { "https" } else { "http" }.to_owned());
            out.push(PortCandidate { port, protocol: "TCP", name, host, evidence: why });
        }
    }
    out
}

/// `PORT`, which many frameworks and hosting services agree on.
fn environment(inputs: &Inputs<'_>) -> Option<PortCandidate> {
    let (_, value) = inputs.env.iter().rev().find(|(name, _)| name == "PORT")?;
    let port = value.parse().ok().filter(|&port: &u16| port != 0)?;
    let why = evidence(EvidenceKind::Config, "config Env", format!("PORT={value}"));
    Some(PortCandidate { port, protocol: "TCP", name: None, host: None, evidence: why })
}

/// Reads `80`, `*:80`, `:80`, `127.0.0.1:80`, `[::]:80`, `tcp://0.0.0.0:80`, `unix:/path`; `None`: none of them.
pub(super) fn parse_listen(text: &str) -> Option<Listen> {
    let text = text.trim();
    if let Some(path) = text.strip_prefix("unix:").or_else(|| text.starts_with('/').then_some(text)) {
        return Some(Listen::Socket(path.strip_prefix("//").unwrap_or(path).to_owned()));
    }
    let text = text.split_once("://").map_or(text, |(_, rest)| rest).trim_end_matches('/');
    let (host, port) = match text.rsplit_once(':') {
        Some((host, _)) if host.contains(':') && !host.starts_with('[') => return Some(Listen::Nothing),
        Some((_, rest)) if text.starts_with('[') && rest.ends_with(']') => return Some(Listen::Nothing),
        Some((host, port)) => (Some(host.trim_matches(['[', ']'])), port),
        None => (None, text),
    };
    match port.parse::<u16>() {
        Ok(0) => Some(Listen::Nothing),
        Ok(port) => {
            let host = host.filter(|host| !matches!(*host, "" | "*" | "+")).map(str::to_owned);
            Some(Listen::Port { port, host })
        }
        // An address alone: the port is the software's default.
        Err(_) if host.is_none() && !port.is_empty() && !port.contains('$') => Some(Listen::Nothing),
        Err(_) => None,
    }
}

/// Whether `host` is an address that only the container itself reaches.
pub(super) fn is_loopback(host: &str) -> bool {
    host == "localhost" || host == "::1" || host.starts_with("127.")
}

fn protocol_name(text: &str) -> Option<&'static str> {
    match text.to_ascii_lowercase().as_str() {
        "" | "tcp" => Some("TCP"),
        "udp" => Some("UDP"),
        "sctp" => Some("SCTP"),
        _ => None,
    }
}

fn customary_name(port: u16) -> &'static str {
    match port {
        53 => "dns",
        443 | 8443 => "https",
        3306 => "mysql",
        5432 => "postgresql",
        6379 => "redis",
        80 | 3000 | 5000 | 8000..=8999 => "http",
        _ => "port",
    }
}

/// What Kubernetes takes as a port's name: RFC 6335, 5.1, lower case.
fn is_port_name(name: &str) -> bool {
    name.len() <= 15
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && name.bytes().any(|byte| byte.is_ascii_lowercase())
        && !name.starts_with('-')
        && !name.ends_with('-')
        && !name.contains("--")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_in_every_common_spelling() {
        let port = |port, host: Option<&str>| Some(Listen::Port { port, host: host.map(str::to_owned) });
        for (text, expect) in [
            ("80", port(80, None)),
            ("*:80", port(80, None)),
            ("http://+:80", port(80, None)),
            (":5000", port(5000, None)),
            ("127.0.0.1:8000", port(8000, Some("127.0.0.1"))),
            ("[::]:80", port(80, Some("::"))),
            ("[::1]:80", port(80, Some("::1"))),
            ("tcp://0.0.0.0:2375", port(2375, Some("0.0.0.0"))),
            ("unix:/run/x.sock", Some(Listen::Socket("/run/x.sock".to_owned()))),
            ("/run/x.sock", Some(Listen::Socket("/run/x.sock".to_owned()))),
            ("0", Some(Listen::Nothing)),
            ("localhost", Some(Listen::Nothing)),
            ("[::1]", Some(Listen::Nothing)),
            ("::1", Some(Listen::Nothing)),
            ("$PORT", None),
            ("0.0.0.0:$PORT", None),
            ("70000", Some(Listen::Nothing)),
        ] {
            assert_eq!(parse_listen(text), expect, "{text}");
        }
    }

    #[test]
    fn port_names_are_what_kubernetes_takes() {
        for (name, expect) in [
            ("http", true),
            ("http-8080", true),
            ("80", false),
            ("a--b", false),
            ("waytoolongforaport", false),
        ] {
            assert_eq!(is_port_name(name), expect, "{name}");
        }
    }
}
