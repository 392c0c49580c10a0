//! One container of a pod.
//!
//! Says nothing of what its image says.

use serde_json::Value;

use super::expand::expand;
use super::fields::Fields;
use super::volumes::{self, Volumes};
use super::{Ask, Container, GivenError, ProbeKind, Scheme, Security, security};

/// What does not change how a container runs, or comes from outside of it: where its image is had from, what counts against
/// it, where its last words are kept.
const PASSED: [&str; 5] =
    ["imagePullPolicy", "resizePolicy", "stdinOnce", "terminationMessagePath", "terminationMessagePolicy"];

/// Reads one.
pub(super) fn container(
    at: String,
    value: Value,
    pod: &Security,
    pod_name: &str,
    volumes: &Volumes,
) -> Result<Container, GivenError> {
    let mut fields = Fields::new(at, value)?;
    let name = fields.needed("name")?;
    let image = fields.text("image")?.unwrap_or_default();
    let env = env(&mut fields, pod_name)?;
    let known =
        |name: &str| env.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    let words = |words: Vec<String>| words.iter().map(|word| expand(word, known)).collect::<Vec<_>>();
    let command = words(fields.texts("command")?);
    let args = if fields.has("args") { Some(words(fields.texts("args")?)) } else { None };
    // An empty list is none, as everywhere in Kubernetes.
    let args = args.filter(|args| !args.is_empty());
    let working_dir = fields.text("workingDir")?.filter(|directory| !directory.is_empty());
    let security = security::of_container(fields.fields("securityContext")?, pod)?;
    let mounts = volumes::mounts(&mut fields, volumes)?;
    let probes = probes(&mut fields)?;
    let memory = memory(fields.fields("resources")?)?;
    fields.refuse(&["stdin", "tty"])?;
    fields.pass(&PASSED);
    fields.done()?;
    Ok(Container { name, image, command, args, env, working_dir, security, mounts, probes, memory })
}

fn env(fields: &mut Fields, pod_name: &str) -> Result<Vec<(String, String)>, GivenError> {
    let mut env: Vec<(String, String)> = Vec::new();
    for (at, value) in fields.list("env")? {
        let mut variable = Fields::new(at, value)?;
        let name = variable.needed("name")?;
        let value = if variable.has("valueFrom") {
            from_pod(variable.fields("valueFrom")?, pod_name)?
        } else {
            let text = variable.text("value")?.unwrap_or_default();
            let known = |name: &str| {
                env.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.clone())
            };
            expand(&text, known)
        };
        variable.done()?;
        env.push((name, value));
    }
    Ok(env)
}

/// What a pod knows of itself before it is in a cluster.
fn from_pod(mut from: Fields, pod_name: &str) -> Result<String, GivenError> {
    let mut field = from.fields("fieldRef")?;
    from.done()?;
    let path = field.needed("fieldPath")?;
    field.pass(&["apiVersion"]);
    match path.as_str() {
        "metadata.name" => Ok(pod_name.to_owned()),
        "metadata.namespace" => Ok("default".to_owned()),
        // The only address that a container has in kiln's sandbox.
        "status.podIP" | "status.hostIP" => Ok("127.0.0.1".to_owned()),
        _ => Err(field.value("fieldPath", path, "is known in a cluster only")),
    }
}

fn memory(mut resources: Fields) -> Result<Option<u64>, GivenError> {
    let mut limits = resources.fields("limits")?;
    let memory = volumes::size(&mut limits, "memory")?;
    // What counts outside of the container: its share of processors, and of the node's disk.
    limits.pass(&["cpu", "ephemeral-storage"]);
    limits.done()?;
    resources.pass(&["requests"]);
    resources.done()?;
    Ok(memory)
}

fn probes(container: &mut Fields) -> Result<Vec<(ProbeKind, Ask)>, GivenError> {
    let mut ports = Vec::new();
    for (at, value) in container.list("ports")? {
        let mut port = Fields::new(at, value)?;
        let name = port.text("name")?.unwrap_or_default();
        let number: Option<u16> = port.number("containerPort")?;
        port.pass(&["protocol", "hostPort", "hostIP"]);
        port.done()?;
        ports.extend(number.map(|number| (name, number)));
    }
    let kinds = [
        ("startupProbe", ProbeKind::Startup),
        ("readinessProbe", ProbeKind::Readiness),
        ("livenessProbe", ProbeKind::Liveness),
    ];
    let mut probes = Vec::new();
    for (key, kind) in kinds {
        if container.has(key) {
            probes.push((kind, ask(container.fields(key)?, &ports)?));
        }
    }
    Ok(probes)
}

fn ask(mut probe: Fields, ports: &[(String, u16)]) -> Result<Ask, GivenError> {
    let ask = if probe.has("httpGet") {
        page(probe.fields("httpGet")?, ports)?
    } else if probe.has("tcpSocket") {
        let mut socket = probe.fields("tcpSocket")?;
        let number = port(&mut socket, ports)?;
        socket.done()?;
        Ask::Tcp(number)
    } else {
        let mut exec = probe.fields("exec")?;
        let words = exec.texts("command")?;
        if words.is_empty() {
            return Err(GivenError::Missing(exec.at("command")));
        }
        exec.done()?;
        Ask::Exec(words)
    };
    // How often and how long it is asked.
    probe.pass(&[
        "failureThreshold",
        "initialDelaySeconds",
        "periodSeconds",
        "successThreshold",
        "terminationGracePeriodSeconds",
        "timeoutSeconds",
    ]);
    probe.done()?;
    Ok(ask)
}

fn page(mut get: Fields, ports: &[(String, u16)]) -> Result<Ask, GivenError> {
    let number = port(&mut get, ports)?;
    let path = get.text("path")?.filter(|path| !path.is_empty()).unwrap_or_else(|| "/".to_owned());
    let path = if path.starts_with('/') { path } else { format!("/{path}") };
    if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(get.value("path", path, "is no path of a request"));
    }
    let scheme = match get.text("scheme")?.as_deref() {
        None | Some("HTTP") => Scheme::Http,
        Some("HTTPS") => Scheme::Https,
        Some(other) => return Err(get.value("scheme", other, "is no scheme")),
    };
    let mut host = None;
    for (at, value) in get.list("httpHeaders")? {
        let mut header = Fields::new(at, value)?;
        let name = header.needed("name")?;
        if !name.eq_ignore_ascii_case("host") {
            return Err(header.value("name", name, "is a header that kiln does not send"));
        }
        let value = header.needed("value")?;
        if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(header.value("value", value, "is no name of a host"));
        }
        host = Some(value);
        header.done()?;
    }
    get.done()?;
    Ok(Ask::Http { port: number, path, host, scheme })
}

/// A number, or the name of one of the container's ports.
fn port(fields: &mut Fields, ports: &[(String, u16)]) -> Result<u16, GivenError> {
    let (number, said) = match fields.take("port") {
        Some(Value::String(name)) => {
            let named = ports.iter().find(|(known, _)| *known == name).map(|(_, number)| *number);
            (named.or_else(|| name.parse().ok()), name)
        }
        Some(other) => (other.as_u64().and_then(|number| number.try_into().ok()), other.to_string()),
        None => return Err(GivenError::Missing(fields.at("port"))),
    };
    if let Some(host) = fields.text("host")? {
        return Err(fields.value("host", host, "is not the pod"));
    }
    number
        .filter(|&number| number != 0)
        .ok_or_else(|| fields.value("port", said, "is no port of the container"))
}
