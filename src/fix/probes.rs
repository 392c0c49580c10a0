//! Commands in probes and hooks, as what Kubernetes does without a program of the image.
//!
//! Converts what asks the same question; a command that asks another stays.

use serde_json::{Map, Value, json};

use super::mend::Mender;
use crate::audit::ValueFinding;

/// Takes out a probe or hook that changes files.
pub(super) fn mutating(mender: &mut Mender<'_>, finding: &ValueFinding) {
    let name = mender.name(finding);
    let Some(of) = handler(finding) else { return };
    let Some(container) = mender.container_mut(finding) else { return };
    match of.strip_prefix("lifecycle.") {
        Some(hook) => {
            let Some(lifecycle) = container.get_mut("lifecycle").and_then(Value::as_object_mut) else {
                return;
            };
            lifecycle.remove(hook);
            if lifecycle.is_empty() {
                container.remove("lifecycle");
            }
        }
        None => drop(container.remove(&of)),
    }
    mender.did("FS022", format!("{name}the {of} is taken out: {}", finding.message));
}

/// `startupProbe` or `lifecycle.preStop` of `spec.containers[0].startupProbe.exec.command`.
fn handler(finding: &ValueFinding) -> Option<String> {
    let (before, _) = finding.field.rsplit_once(".exec.command")?;
    let (_, of) = before.rsplit_once("].")?;
    Some(of.to_owned())
}

/// Asks without a program what a probe's command asks.
pub(super) fn convert(mender: &mut Mender<'_>, finding: &ValueFinding) {
    let name = mender.name(finding);
    let Some(of) = handler(finding) else { return };
    let words = words(mender.container(finding), &of);
    if words.is_empty() {
        // It was taken out a moment ago.
        return;
    }
    let Some((action, ask)) = action(&words) else {
        return mender
            .leaves("CF001", format!("{name}the {of} asks `{}`, which Kubernetes cannot", words.join(" ")));
    };
    let Some(probe) = mender.container_mut(finding).and_then(|of_it| of_it.get_mut(&of)?.as_object_mut())
    else {
        return;
    };
    probe.remove("exec");
    probe.insert(action.to_owned(), ask);
    mender.did("CF001", format!("{name}the {of} asks by `{action}` what `{}` asked", words.join(" ")));
}

/// Waits without a program.
pub(super) fn hook(mender: &mut Mender<'_>, finding: &ValueFinding) {
    /// The first version that has the action by default.
    const SINCE: u32 = 30;
    let name = mender.name(finding);
    let Some(of) = handler(finding) else { return };
    let words = words(mender.container(finding), &of);
    if words.is_empty() {
        return;
    }
    let seconds = match words.as_slice() {
        [program, time] if program.rsplit('/').next() == Some("sleep") => seconds(time),
        _ => None,
    };
    let Some(seconds) = seconds.filter(|_| mender.options.version.0 >= SINCE) else {
        return mender.leaves(
            "CF002",
            format!("{name}the {of} runs `{}`, which the image does not have", words.join(" ")),
        );
    };
    let hook = of.strip_prefix("lifecycle.").unwrap_or(&of).to_owned();
    let container = mender.container_mut(finding);
    let handler = container.and_then(|of_it| of_it.get_mut("lifecycle")?.get_mut(&hook)?.as_object_mut());
    let Some(handler) = handler else { return };
    handler.remove("exec");
    handler.insert("sleep".to_owned(), json!({"seconds": seconds}));
    mender.did("CF002", format!("{name}the {of} waits {seconds} s by `sleep`, without a program"));
}

/// `10`, `10s`, `1m`.
fn seconds(text: &str) -> Option<u64> {
    let (number, factor) = match text.strip_suffix('m') {
        Some(minutes) => (minutes, 60),
        None => (text.strip_suffix('s').unwrap_or(text), 1),
    };
    number.parse::<u64>().ok()?.checked_mul(factor).filter(|seconds| *seconds > 0)
}

/// The one command of a handler: what a shell is given too.
fn words(container: &Value, of: &str) -> Vec<String> {
    let command = of.split('.').try_fold(container, |at, field| at.get(field));
    let argv = command.and_then(|of| of.get("exec")?.get("command")?.as_array());
    let argv: Vec<&str> = argv.into_iter().flatten().filter_map(Value::as_str).collect();
    match crate::audit::command::programs(&argv).as_slice() {
        [_, only] => only.clone(),
        // `curl … || exit 1`
        [_, first, exit] if exit.first().is_some_and(|name| ["exit", "false"].contains(&name.as_str())) => {
            first.clone()
        }
        _ => argv.iter().map(ToString::to_string).collect(),
    }
}

/// What Kubernetes does to ask the same, by field.
fn action(words: &[String]) -> Option<(&'static str, Value)> {
    let (program, rest) = words.split_first()?;
    match program.rsplit('/').next()? {
        "curl" | "wget" => http(rest),
        "nc" | "ncat" | "netcat" => {
            let plain: Vec<&String> = rest.iter().filter(|word| !word.starts_with('-')).collect();
            let is_scan = rest.iter().any(|word| word.starts_with('-') && word.contains('z'));
            // `-w 2` has a word of its own.
            let port = plain.last()?.parse::<u16>().ok().filter(|_| is_scan)?;
            let host = plain.iter().rev().nth(1)?;
            is_own(host).then(|| ("tcpSocket", json!({"port": port})))
        }
        "grpc_health_probe" => {
            let value = |name: &str| {
                rest.iter().enumerate().find_map(|(at, word)| {
                    let word = word.trim_start_matches('-');
                    match word.split_once('=') {
                        Some((key, value)) if key == name => Some(value.to_owned()),
                        None if word == name => rest.get(at + 1).cloned(),
                        _ => None,
                    }
                })
            };
            // The kubelet does not speak TLS to it.
            let is_plain = !rest.iter().any(|word| word.trim_start_matches('-').starts_with("tls"));
            let address = value("addr").filter(|_| is_plain)?;
            let (host, port) = address.rsplit_once(':')?;
            let mut grpc = Map::from_iter([("port".to_owned(), json!(port.parse::<u16>().ok()?))]);
            if let Some(service) = value("service") {
                grpc.insert("service".to_owned(), json!(service));
            }
            (host.is_empty() || is_own(host)).then_some(("grpc", Value::Object(grpc)))
        }
        _ => None,
    }
}

/// Whether a host is the pod itself.
fn is_own(host: &str) -> bool {
    ["localhost", "127.0.0.1", "::1", "[::1]", "0.0.0.0"].contains(&host)
}

/// The one address that `curl` or `wget` asks of the pod itself, with nothing that changes the question.
fn http(words: &[String]) -> Option<(&'static str, Value)> {
    /// Options that say how much is told, or how long is waited: with a word of their own or without.
    const PLAIN: [&str; 17] = [
        "-f",
        "-s",
        "-S",
        "-q",
        "-sf",
        "-fs",
        "-sS",
        "-fsS",
        "-sSf",
        "-fSs",
        "-k",
        "-L",
        "--fail",
        "--silent",
        "--show-error",
        "--spider",
        "--quiet",
    ];
    const VALUED: [&str; 10] =
        ["-o", "-O", "-m", "-T", "-t", "--max-time", "--connect-timeout", "--timeout", "--tries", "--output"];
    let mut address = None;
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let name = word.split('=').next().unwrap_or_default();
        if PLAIN.contains(&word.as_str())
            || ["-qO-", "-qO/dev/null", "-O-", "-nv", "--no-verbose"].contains(&word.as_str())
        {
            continue;
        }
        if VALUED.contains(&name) {
            if !word.contains('=') {
                words.next()?;
            }
            continue;
        }
        if word.starts_with('-') || address.is_some() {
            return None;
        }
        address = Some(word.as_str());
    }
    let address = address?;
    let (scheme, rest) = match address.split_once("://") {
        Some(("http", rest)) => (None, rest),
        Some(("https", rest)) => (Some("HTTPS"), rest),
        Some(_) => return None,
        None => (None, address),
    };
    let (authority, path) = match rest.find('/') {
        Some(slash) => rest.split_at(slash),
        None => (rest, "/"),
    };
    let (host, port) = match authority.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')) {
        Some((host, port)) => (host, port.parse::<u16>().ok()?),
        None => (authority, if scheme.is_some() { 443 } else { 80 }),
    };
    // A variable is the shell's to expand.
    if !is_own(host) || path.contains(['$', '`']) {
        return None;
    }
    let mut get = Map::from_iter([("path".to_owned(), json!(path)), ("port".to_owned(), json!(port))]);
    if let Some(scheme) = scheme {
        get.insert("scheme".to_owned(), json!(scheme));
    }
    Some(("httpGet", Value::Object(get)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(text: &str) -> Option<String> {
        let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
        action(&words).map(|(action, value)| format!("{action} {value}"))
    }

    #[test]
    fn commands_that_ask_the_pod_itself_are_converted() {
        let cases = [
            ("curl -fsS http://localhost:8080/healthz", r#"httpGet {"path":"/healthz","port":8080}"#),
            ("/usr/bin/curl --fail --max-time 2 127.0.0.1/x?y=1", r#"httpGet {"path":"/x?y=1","port":80}"#),
            ("wget -q -O /dev/null https://localhost", r#"httpGet {"path":"/","port":443,"scheme":"HTTPS"}"#),
            ("wget --spider --timeout=2 http://[::1]:90/", r#"httpGet {"path":"/","port":90}"#),
            ("nc -z localhost 6379", r#"tcpSocket {"port":6379}"#),
            ("nc -zv -w 2 127.0.0.1 5432", r#"tcpSocket {"port":5432}"#),
            ("grpc_health_probe -addr=:9000", r#"grpc {"port":9000}"#),
            (
                "/bin/grpc_health_probe --addr localhost:9000 -service=a.B",
                r#"grpc {"port":9000,"service":"a.B"}"#,
            ),
        ];
        for (text, expect) in cases {
            assert_eq!(ask(text).as_deref(), Some(expect), "{text}");
        }
    }

    #[test]
    fn commands_that_ask_another_question_stay() {
        for text in [
            "curl http://example.com/",
            "curl -H X:y http://localhost/",
            "curl -X POST http://localhost/",
            "curl http://localhost/$X",
            "curl ftp://localhost/",
            "curl http://localhost/ http://localhost/b",
            "curl",
            "nc localhost 80",
            "nc -z db 5432",
            "grpc_health_probe -addr=:9000 -tls",
            "pg_isready -U postgres",
            "cat /tmp/healthy",
        ] {
            assert_eq!(ask(text), None, "{text}");
        }
    }

    #[test]
    fn times_are_read_as_sleep_reads_them() {
        for (text, expect) in
            [("10", Some(10)), ("5s", Some(5)), ("2m", Some(120)), ("0", None), ("x", None), ("1.5", None)]
        {
            assert_eq!(seconds(text), expect, "{text}");
        }
    }
}
