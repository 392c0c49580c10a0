//! Tests of `daemon`: a daemon of one answer, in this process.

use std::io::Write;
use std::os::unix::net::UnixListener;
use std::thread::JoinHandle;

use super::*;

/// Answers one request with `answer` and gives what it was asked.
fn daemon(answer: &'static [u8]) -> (Daemon, JoinHandle<Vec<u8>>, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("socket");
    let listener = UnixListener::bind(&socket).unwrap();
    let asked = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            let text = String::from_utf8_lossy(&asked);
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| {
                    let (name, value) = line.split_once(':')?;
                    name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().unwrap())
                });
                if body.len() >= length.unwrap_or(0) {
                    break;
                }
            }
            let n = stream.read(&mut buffer).unwrap();
            asked.extend_from_slice(&buffer[..n]);
        }
        stream.write_all(answer).unwrap();
        asked
    });
    (Daemon::at(socket), asked, directory)
}

fn exported(answer: &'static [u8]) -> Result<Vec<u8>, DaemonError> {
    let (daemon, asked, _directory) = daemon(answer);
    let result = daemon.export("app/web:1").and_then(|mut reader| {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).map_err(|error| daemon.cut(error))?;
        Ok(bytes)
    });
    let asked = String::from_utf8(asked.join().unwrap()).unwrap();
    assert!(asked.starts_with("GET /images/app/web:1/get HTTP/1.1\r\n"), "{asked}");
    result
}

fn imported(answer: &'static [u8]) -> (Result<(), DaemonError>, String) {
    let (daemon, asked, directory) = daemon(answer);
    let path = directory.path().join("archive");
    std::fs::write(&path, b"the archive").unwrap();
    let result = daemon.import(&File::open(path).unwrap());
    (result, String::from_utf8(asked.join().unwrap()).unwrap())
}

#[test]
fn body_of_known_length_and_body_in_chunks_are_the_same() {
    let whole = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-tar\r\nContent-Length: 8\r\n\r\nan image";
    assert_eq!(exported(whole).unwrap(), b"an image");
    let chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nan \r\n5\r\nimage\r\n0\r\n\r\n";
    assert_eq!(exported(chunks).unwrap(), b"an image");
}

#[test]
fn body_that_ends_early_is_an_error() {
    for cut in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nan image"[..],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nan \r\n5\r\nima",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nan \r\n",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"",
    ] {
        let error = exported(cut).unwrap_err();
        assert!(matches!(error, DaemonError::Talk { .. }), "{error}: {}", String::from_utf8_lossy(cut));
    }
}

#[test]
fn missing_image_and_failing_daemon_are_told_in_its_words() {
    let none = exported(
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 39\r\n\r\n{\"message\":\"No such image: app/web:1\"}\r\n",
    );
    let Err(DaemonError::NoImage { message, .. }) = none else { panic!("{none:?}") };
    assert_eq!(message, "No such image: app/web:1");
    let broken = exported(b"HTTP/1.1 500 Oops\r\nContent-Length: 9\r\n\r\nno space\n");
    let Err(DaemonError::Refused { status: 500, message, .. }) = broken else { panic!("{broken:?}") };
    assert_eq!(message, "no space");
}

#[test]
fn an_archive_is_sent_whole_with_its_length() {
    let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 31\r\n\r\n{\"stream\":\"Loaded image: a:1\"}\r\n";
    let (result, asked) = imported(ok);
    result.unwrap();
    assert!(asked.starts_with("POST /images/load?quiet=1 HTTP/1.1\r\n"), "{asked}");
    let head = asked.to_ascii_lowercase();
    assert!(
        head.contains("\r\ncontent-length: 11\r\n")
            && head.contains("\r\ncontent-type: application/x-tar\r\n")
    );
    assert!(asked.ends_with("\r\n\r\nthe archive"));
}

#[test]
fn load_that_fails_after_it_said_200_is_an_error() {
    let late = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n{\"stream\":\"a\"}\r\n\r\n1c\r\n{\"error\":\"no space on disk\"}\r\n0\r\n\r\n";
    let (result, _) = imported(late);
    let Err(DaemonError::Refused { message, .. }) = result else { panic!("{result:?}") };
    assert_eq!(message, "no space on disk");
}

#[test]
fn sockets_are_looked_for_where_docker_and_podman_have_them() {
    let found = |set: &[(&str, &str)]| {
        let set: Vec<(String, OsString)> =
            set.iter().map(|(name, value)| ((*name).to_owned(), OsString::from(value))).collect();
        sockets(move |name| set.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone()))
    };
    let shown = |paths: Vec<PathBuf>| paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>();
    assert_eq!(shown(found(&[]).unwrap()), [DOCKER_SOCKET, PODMAN_SOCKET]);
    let user = [("XDG_RUNTIME_DIR", "/run/user/7"), ("DOCKER_HOST", "")];
    assert_eq!(
        shown(found(&user).unwrap()),
        [DOCKER_SOCKET, "/run/user/7/podman/podman.sock", PODMAN_SOCKET]
    );
    assert_eq!(shown(found(&[("DOCKER_HOST", "unix:///x/y.sock")]).unwrap()), ["/x/y.sock"]);
    for other in ["tcp://127.0.0.1:2375", "ssh://host", "unix://", "unix://relative"] {
        assert!(matches!(found(&[("DOCKER_HOST", other)]), Err(DaemonError::Host(_))), "{other}");
    }
}

#[test]
fn nobody_at_any_socket_names_all_that_were_tried() {
    let error = Daemon::first_of(vec!["/nonexistent/a".into(), "/nonexistent/b".into()]).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("no daemon answers at `/nonexistent/a` ("), "{text}");
    assert!(text.contains(" nor at `/nonexistent/b` ("), "{text}");
}
