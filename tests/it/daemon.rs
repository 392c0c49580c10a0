//! From a daemon and into a daemon: the binary against one that lives in this process.
//!
//! What it answers is what Docker answers; the end-to-end suite asks podman's.
#![expect(clippy::disallowed_methods, reason = "edge: fixtures on disk")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Output;
use std::sync::{Arc, Mutex};

use assert_cmd::Command;
use kiln::image::Codec;

use crate::fixture::Fixture;
use crate::layout;

/// A daemon with one image; remembers what was loaded into it. Its thread ends with the process.
struct Daemon {
    directory: tempfile::TempDir,
    loaded: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Daemon {
    fn start(answer_to_load: &'static str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let fixture =
            Fixture::new("/app/main f 0755 elf static\n/bin/sh f 0755 elf static").cmd(&["/app/main"]);
        let layers: Vec<_> =
            fixture.layers.iter().map(|layer| (Codec::Gzip, layout::tar_of(layer))).collect();
        layout::write(&directory.path().join("in"), &layers, &fixture.config);
        let loaded = Arc::new(Mutex::new(Vec::new()));
        let daemon = Self { directory, loaded: Arc::clone(&loaded) };
        // What `docker save` would give: the same layers, without compression.
        assert!(daemon.kiln(&["harden", "oci:in", "-o", "docker-archive:saved.tar:web:1"]).status.success());
        let saved = fs::read(daemon.path().join("saved.tar")).unwrap();
        let listener = UnixListener::bind(daemon.path().join("socket")).unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                let mut reader = BufReader::new(&stream);
                let (mut request, mut length) = (String::new(), 0);
                // Who only looks whether somebody is there says nothing.
                if reader.read_line(&mut request).unwrap() == 0 {
                    continue;
                }
                loop {
                    let mut line = String::new();
                    reader.read_line(&mut line).unwrap();
                    if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                    if line == "\r\n" {
                        break;
                    }
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                let (status, answer) = if request.starts_with("GET /images/web:1/get ") {
                    ("200 OK", saved.as_slice())
                } else if request.starts_with("POST /images/load") {
                    loaded.lock().unwrap().push(body);
                    ("200 OK", answer_to_load.as_bytes())
                } else {
                    ("404 Not Found", br#"{"message":"No such image"}"#.as_slice())
                };
                let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", answer.len());
                (&stream).write_all(&[head.as_bytes(), answer].concat()).unwrap();
            }
        });
        daemon
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn kiln(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("kiln"));
        command.env("DOCKER_HOST", format!("unix://{}", self.path().join("socket").display()));
        command.env_remove("RUST_BACKTRACE").current_dir(self.path()).args(arguments).output().unwrap()
    }
}

fn told(output: &Output) -> (i32, String) {
    (output.status.code().unwrap(), String::from_utf8(output.stderr.clone()).unwrap())
}

#[test]
fn image_of_the_daemon_is_hardened_as_its_saved_archive_is() {
    let daemon = Daemon::start(r#"{"stream":"Loaded image: hard:1"}"#);
    let to_daemon = daemon.kiln(&["harden", "docker-daemon:web:1", "-o", "docker-daemon:hard:1"]);
    assert_eq!(told(&to_daemon), (0, String::new()));
    let to_file =
        daemon.kiln(&["harden", "docker-archive:saved.tar", "-o", "docker-archive:hard.tar:hard:1"]);
    assert_eq!(told(&to_file), (0, String::new()));
    let loaded = daemon.loaded.lock().unwrap();
    assert_eq!(*loaded, [fs::read(daemon.path().join("hard.tar")).unwrap()]);
    // Nothing stays in the directory that the command ran in.
    let names =
        fs::read_dir(daemon.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(names.into_iter().all(|name| !name.starts_with(".kiln")));
}

#[test]
fn what_the_daemon_has_not_or_does_not_take_is_told_with_its_status() {
    let daemon = Daemon::start(r#"{"errorDetail":{"message":"disk full"},"error":"disk full"}"#);
    let (status, text) = told(&daemon.kiln(&["inspect", "docker-daemon:other"]));
    assert_eq!(status, 3);
    assert!(text.contains("has no image `other:latest`: No such image\nhint: "), "{text}");
    let (status, text) = told(&daemon.kiln(&["harden", "docker-daemon:web:1", "-o", "docker-daemon:hard:1"]));
    assert_eq!(status, 4);
    assert!(text.contains(": loading the image: it answered with 200: disk full\n"), "{text}");
    let id = format!("docker-daemon:sha256:{}", "0".repeat(64));
    let (status, text) = told(&daemon.kiln(&["harden", "docker-daemon:web:1", "-o", &id]));
    assert_eq!(status, 2, "{text}");
    let all = ["harden", "docker-daemon:web:1", "-o", "docker-daemon:hard:1", "--platform", "all"];
    let (status, text) = told(&daemon.kiln(&all));
    assert_eq!(status, 2, "{text}");
    assert!(daemon.loaded.lock().unwrap().len() == 1, "only the one that was refused");
}

#[test]
fn no_daemon_is_a_network_error_with_a_way_out() {
    let lab = tempfile::tempdir().unwrap();
    let inspect = |host: String| {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("kiln"));
        told(&command.env("DOCKER_HOST", host).args(["inspect", "docker-daemon:web:1"]).output().unwrap())
    };
    let (status, text) = inspect(format!("unix://{}/none", lab.path().display()));
    assert_eq!(status, 4);
    assert!(
        text.starts_with("error: no daemon answers at `") && text.contains("\nhint: start the daemon"),
        "{text}"
    );
    let (status, text) = inspect("tcp://127.0.0.1:2375".into());
    assert_eq!(status, 2);
    assert!(
        text.starts_with("error: `DOCKER_HOST` is `tcp://127.0.0.1:2375`: expected `unix://PATH`"),
        "{text}"
    );
}
