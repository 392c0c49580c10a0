//! What a command of a probe asks, as Kubernetes asks the same of the pod itself.
//!
//! Reads words only, and knows every option that it passes over; a command with another asks another question.

use serde_json::{Map, Value, json};

/// What Kubernetes does to ask the same, by field.
pub(super) fn action(words: &[String]) -> Option<(&'static str, Value)> {
    let (program, rest) = words.split_first()?;
    match super::base(program) {
        // By itself curl is content with any answer, and Kubernetes with none from 400 on.
        "curl" => http(rest).filter(|_| rest.iter().any(|word| fails(word))),
        "wget" => http(rest),
        "nc" | "ncat" | "netcat" => {
            let plain: Vec<&String> = rest.iter().filter(|word| !word.starts_with('-')).collect();
            let mut options = rest.iter().filter_map(|word| word.strip_prefix('-'));
            // Only whether somebody listens, over TCP.
            let is_known = |letter: char| "znvw46".contains(letter) || letter.is_ascii_digit();
            let is_scan = rest.iter().any(|word| word.starts_with('-') && word.contains('z'))
                && options.all(|letters| letters.chars().all(is_known));
            // `-w 2` has a word of its own.
            let port = plain.last()?.parse::<u16>().ok().filter(|_| is_scan)?;
            let host = plain.iter().rev().nth(1)?;
            is_own(host).then(|| ("tcpSocket", json!({"port": port})))
        }
        "grpc_health_probe" => grpc(rest),
        _ => None,
    }
}

/// What `grpc_health_probe` asks of the pod itself, plainly: the kubelet speaks no TLS to it, and gives no name.
fn grpc(words: &[String]) -> Option<(&'static str, Value)> {
    /// Options that say how long is waited.
    const WAITS: [&str; 2] = ["connect-timeout", "rpc-timeout"];
    let (mut address, mut service) = (None, None);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let option = word.strip_prefix("--").or_else(|| word.strip_prefix('-'))?;
        let (name, value) = match option.split_once('=') {
            Some((name, value)) => (name, value.to_owned()),
            None => (option, words.next()?.clone()),
        };
        match name {
            "addr" => address = Some(value),
            "service" => service = Some(value),
            name if WAITS.contains(&name) => {}
            _ => return None,
        }
    }
    let address = address?;
    let (host, port) = address.rsplit_once(':')?;
    let mut grpc = Map::from_iter([("port".to_owned(), json!(port.parse::<u16>().ok()?))]);
    grpc.extend(service.map(|service| ("service".to_owned(), json!(service))));
    (host.is_empty() || is_own(host)).then_some(("grpc", Value::Object(grpc)))
}

/// Whether an option of `curl` makes it fail where the answer is an error.
fn fails(word: &str) -> bool {
    word == "--fail" || (word.starts_with('-') && !word.starts_with("--") && word.contains('f'))
}

/// Whether a host is the pod itself.
pub(super) fn is_own(host: &str) -> bool {
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
            "curl http://localhost/",
            "curl -sS -L http://localhost/",
            "curl -f http://example.com/",
            "curl -f -H X:y http://localhost/",
            "curl -f -X POST http://localhost/",
            "curl -f http://localhost/$X",
            "curl -f ftp://localhost/",
            "curl -f http://localhost/ http://localhost/b",
            "curl",
            "nc localhost 80",
            "nc -z db 5432",
            "grpc_health_probe -addr=:9000 -tls",
            "grpc_health_probe -addr=:9000 -spiffe",
            "grpc_health_probe -addr=:9000 -alts",
            "nc -zu localhost 53",
            "pg_isready -U postgres",
            "cat /tmp/healthy",
        ] {
            assert_eq!(ask(text), None, "{text}");
        }
    }
}
