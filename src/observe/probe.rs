//! Whether an app serves: asked of a port, a page, a command or its output.
//!
//! Does not decide when that is believed: that is `drive`'s.

use std::io::{self, Read as _, Write as _};
use std::time::{Duration, Instant};

use super::output::Heard;
use crate::profile::{Probe, Protocol};
use crate::sandbox::{Connection, Door, End, Process};
use crate::trace::Live;

/// How long one question may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);
/// How long a command may take that is a probe: interpreters need a while to start.
const COMMAND_PATIENCE: Duration = Duration::from_secs(10);
/// Nothing was executed and nothing made for so long: then a program without a port is taken for ready. Longer than
/// entrypoint scripts sleep between two looks at what they wait for.
pub(super) const QUIET: Duration = Duration::from_secs(3);
/// How much of an answer is read for its status.
const MAX_HEAD: u64 = 4096;

/// `tcp:PORT`, `http:PORT/PATH`, `exec:COMMAND`, `log:TEXT`.
pub fn parse_probe(text: &str) -> Result<Probe, String> {
    let expected = "expected `tcp:PORT`, `http:PORT/PATH`, `exec:COMMAND` or `log:TEXT`";
    let port = |text: &str| text.parse().ok().filter(|&port: &u16| port != 0);
    let (kind, rest) = text.split_once(':').ok_or(expected)?;
    let probe = match kind {
        "tcp" => port(rest).map(Probe::Tcp),
        "http" => {
            let (number, path) = rest.split_once('/').unwrap_or((rest, ""));
            let plain = path.bytes().all(|byte| byte.is_ascii_graphic());
            port(number).filter(|_| plain).map(|port| Probe::Http { port, path: format!("/{path}") })
        }
        "exec" => (!rest.trim().is_empty()).then(|| Probe::Exec(rest.to_owned())),
        "log" => (!rest.is_empty()).then(|| Probe::Log(rest.to_owned())),
        _ => None,
    };
    probe.ok_or_else(|| expected.to_owned())
}

/// Asks `probe`, or what there is without one; what answered where it did.
pub(super) fn ask(
    probe: Option<&Probe>,
    door: &Door,
    live: &Live,
    heard: &Heard,
    process: &Process,
) -> Option<Probe> {
    let Some(probe) = probe else { return ask_any(door, live) };
    let answered = match probe {
        Probe::Tcp(port) => door.connect(*port).is_ok(),
        Probe::Http { port, path } => get(door, *port, "localhost", path).is_ok_and(is_good),
        // Words between blanks: there may be no shell to ask.
        Probe::Exec(command) => {
            succeeds(door, command.split_whitespace().map(str::to_owned).collect(), process)
        }
        Probe::Log(_) => heard.found(),
        Probe::Quiet => live.quiet() >= QUIET,
    };
    answered.then(|| probe.clone())
}

/// The first port that accepts, in the order in which they began to listen; else quiet, where nothing listens.
fn ask_any(door: &Door, live: &Live) -> Option<Probe> {
    let listening = live.listening();
    let ports: Vec<u16> = listening
        .iter()
        .filter(|listening| listening.bind.protocol == Protocol::Tcp && listening.bind.port != 0)
        .map(|listening| listening.bind.port)
        .collect();
    if ports.is_empty() {
        return (live.quiet() >= QUIET).then_some(Probe::Quiet);
    }
    ports.into_iter().find(|&port| door.connect(port).is_ok()).map(Probe::Tcp)
}

/// Whether a command in the container, started as its `process` is, exits with 0.
pub fn succeeds(door: &Door, argv: Vec<String>, process: &Process) -> bool {
    let process = Process { argv, ..process.clone() };
    matches!(door.command(process, COMMAND_PATIENCE), Ok(Ok((End::Exited(0), _))))
}

/// Whether `ask` is answered within `patience`, asked again and again.
pub fn answers(ask: impl Fn() -> bool, patience: Duration) -> bool {
    let began = Instant::now();
    loop {
        if ask() {
            return true;
        }
        if began.elapsed() >= patience {
            return false;
        }
        std::thread::sleep(AGAIN);
    }
}

/// Between two questions.
const AGAIN: Duration = Duration::from_millis(100);

/// Whether a status says that a server serves, as Kubernetes takes it.
pub fn is_good(status: u16) -> bool {
    (200..400).contains(&status)
}

/// Fetches a page of the container's loopback; its status.
pub fn get(door: &Door, port: u16, host: &str, path: &str) -> io::Result<u16> {
    let mut connection = door.connect(port).map_err(io::Error::other)?;
    connection.set_timeout(PATIENCE)?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: kiln/{}\r\nAccept: */*\r\nConnection: close\r\n\r\n",
        env!("CARGO_PKG_VERSION")
    );
    connection.write_all(request.as_bytes())?;
    let head = read_head(&mut connection)?;
    let status = parse_status(&head).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
    // A server that is cut off in its answer does something else than one that is heard out.
    io::copy(&mut connection.take(MAX_BODY), &mut io::sink())?;
    Ok(status)
}

/// How much of a page is read.
pub(super) const MAX_BODY: u64 = 64 << 20;

fn read_head(connection: &mut Connection) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\n") && (head.len() as u64) < MAX_HEAD {
        if connection.read(&mut byte)? == 0 {
            break;
        }
        head.extend(byte);
    }
    Ok(head)
}

/// `HTTP/1.1 200 OK`
pub(super) fn parse_status(line: &[u8]) -> Option<u16> {
    let line = std::str::from_utf8(line).ok()?;
    let (version, rest) = line.split_once(' ')?;
    version.strip_prefix("HTTP/")?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_are_read_as_they_are_written() {
        let http = |port, path: &str| Ok(Probe::Http { port, path: path.into() });
        assert_eq!(parse_probe("tcp:80"), Ok(Probe::Tcp(80)));
        assert_eq!(parse_probe("http:8080/health?x=1"), http(8080, "/health?x=1"));
        assert_eq!(parse_probe("http:80"), http(80, "/"));
        assert_eq!(parse_probe("exec:redis-cli ping"), Ok(Probe::Exec("redis-cli ping".into())));
        assert_eq!(parse_probe("log:a: b"), Ok(Probe::Log("a: b".into())));
        for bad in
            ["tcp", "tcp:", "tcp:0", "tcp:70000", "http:/x", "http:80/a b", "exec: ", "log:", "udp:53", ""]
        {
            assert!(parse_probe(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn status_of_an_answer_is_its_second_word() {
        assert_eq!(parse_status(b"HTTP/1.1 204 No Content\r\n"), Some(204));
        assert_eq!(parse_status(b"HTTP/1.0 302\r\n"), Some(302));
        for bad in [&b""[..], b"SSH-2.0-x\r\n", b"HTTP/1.1\r\n", b"\xff 200"] {
            assert_eq!(parse_status(bad), None);
        }
        assert!(is_good(200) && is_good(302) && !is_good(404) && !is_good(500));
    }
}
