//! The command over a registry: exit statuses, and hints that lead on.

use std::path::Path;

use assert_cmd::Command;
use kiln::digest::BlobDigest;
use kiln::image::media;
use serde_json::json;

use super::add_image;
use super::server::{Fault, Guard, Server, answer, basic};

/// Status and stderr of `kiln` with nothing but `home` to know of.
fn kiln(home: &Path, arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("kiln"));
    let output = command.env_clear().env("HOME", home).args(arguments).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn an_image_goes_through_the_command_and_the_pod_names_what_was_pushed() {
    let (home, server) = (tempfile::tempdir().unwrap(), Server::open());
    add_image(&server, "in/app", "1");
    let pod = home.path().join("pod.yaml");
    let (from, to) = (server.name("in/app:1"), server.name("out/my-app:2"));
    let arguments = ["harden", &from, "-o", &to, "--pod", pod.to_str().unwrap(), "--quiet"];
    assert_eq!(kiln(home.path(), &arguments), (0, String::new()));
    let digest = server.whole("out/my-app", "2").unwrap();
    let pod = std::fs::read_to_string(pod).unwrap();
    assert!(pod.contains(&format!("{}/out/my-app:2@{digest}", server.address)), "{pod}");
    assert!(pod.contains("name: my-app"), "{pod}");
}

#[test]
fn refusals_are_status_4_and_name_the_files_that_were_looked_at() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(Guard::Basic("me:secret".into()), |_| None);
    let (status, text) = kiln(home.path(), &["inspect", &server.name("in/app:1")]);
    assert_eq!(status, 4, "{text}");
    let files = format!(
        "/auth.json`, `{0}/.config/containers/auth.json`, `{0}/.docker/config.json`;",
        home.path().display()
    );
    assert!(
        text.contains("hint: credentials were looked for in `/run/containers/") && text.contains(&files),
        "{text}"
    );
    assert_eq!(text.matches("does not allow this").count(), 1, "{text}");

    std::fs::create_dir(home.path().join(".docker")).unwrap();
    let auth = basic("me:wrong").trim_start_matches("Basic ").to_owned();
    let file = json!({"auths": {server.address.to_string(): {"auth": auth}}}).to_string();
    std::fs::write(home.path().join(".docker/config.json"), file).unwrap();
    let (status, text) = kiln(home.path(), &["inspect", &server.name("in/app:1")]);
    assert!(status == 4 && text.contains("with the credentials there are"), "{text}");
    assert!(!text.contains("me:wrong") && !text.contains(&auth), "{text}");
}

#[test]
fn what_this_machine_does_wrong_is_not_the_registrys_fault() {
    let (home, server) = (tempfile::tempdir().unwrap(), Server::open());
    add_image(&server, "in/app", "1");
    let missing = home.path().join("none.pem");
    let image = server.name("in/app:1");
    let (status, text) = kiln(home.path(), &["inspect", &image, "--ca-file", missing.to_str().unwrap()]);
    assert!(status == 3 && text.contains("none.pem` cannot be read"), "{status} {text}");
    std::fs::create_dir(home.path().join(".docker")).unwrap();
    std::fs::write(home.path().join(".docker/config.json"), "{").unwrap();
    let (status, text) = kiln(home.path(), &["inspect", &image]);
    assert!(status == 3 && text.contains("config.json` cannot be read"), "{status} {text}");
    let (status, text) = kiln(home.path(), &["inspect", "docker://UPPER"]);
    assert!(status == 2 && text.contains("hint: images are named `docker://NAME`"), "{status} {text}");
}

#[test]
fn bad_content_of_a_registrys_image_is_status_4_and_nothing_is_written() {
    let home = tempfile::tempdir().unwrap();
    let out = home.path().join("out");
    let to = format!("oci:{}", out.display());
    let server =
        Server::start(Guard::Nobody, |asked| asked.is("GET", "/gone/app/blobs/").then(|| answer(404)));
    for repository in ["gone/app", "bad/app"] {
        add_image(&server, repository, "1");
    }
    let broken = json!({"schemaVersion": 2, "layers": "x", "config": {}}).to_string();
    server.add_manifest("bad/app", "1", "application/json", broken.as_bytes());
    for (name, expected) in [
        ("gone/app:1", "has no blob sha256:"),
        ("gone/app:none", "has no manifest `none`: MANIFEST_UNKNOWN: none"),
        ("bad/app:1", "cannot be used"),
    ] {
        let (status, text) = kiln(home.path(), &["harden", &server.name(name), "-o", &to]);
        assert!(status == 4 && text.contains(expected), "{name}: {status} {text}");
        assert!(!out.exists(), "{name}");
    }
}

/// An image with one layer of so many bytes, which are not there.
fn add_promise(server: &Server, bytes: u64) {
    let layer = json!({"digest": BlobDigest::of(b"huge"), "size": bytes,
        "mediaType": "application/vnd.oci.image.layer.v1.tar"});
    let config = json!({"os": "linux", "architecture": "amd64",
        "rootfs": {"type": "layers", "diff_ids": [BlobDigest::of(b"huge")]}});
    let mut config = server.add_blob("in/app", config.to_string().as_bytes());
    config["mediaType"] = media::OCI_CONFIG.into();
    let manifest = json!({"schemaVersion": 2, "config": config, "layers": [layer]}).to_string();
    server.add_manifest("in/app", "1", media::OCI_MANIFEST, manifest.as_bytes());
}

#[test]
fn layers_beyond_the_limit_are_not_fetched() {
    let home = tempfile::tempdir().unwrap();
    let layer = format!("/in/app/blobs/{}", BlobDigest::of(b"huge"));
    let path = layer.clone();
    let server = Server::start(Guard::Nobody, move |asked| asked.is("GET", &path).then_some(Fault::Endless));
    for (bytes, more, limit) in [(1 << 40, &[][..], 128_u64 << 30), (2 << 20, &["--max-size", "1M"], 1 << 20)]
    {
        add_promise(&server, bytes);
        let image = server.name("in/app:1");
        let (status, text) = kiln(home.path(), &[&["inspect", &image], more].concat());
        assert_eq!(status, 3, "{text}");
        assert!(text.contains(&format!("unpacks to more than {limit} bytes")), "{text}");
        assert!(text.contains("hint: ") && text.contains("`--max-size`"), "{text}");
    }
    assert_eq!(server.count("GET", &layer), 0);
}

#[test]
fn the_tag_that_is_read_is_not_moved_whatever_digest_stands_beside_it() {
    let (home, server) = (tempfile::tempdir().unwrap(), Server::open());
    add_image(&server, "in/app", "1");
    let digest = server.whole("in/app", "1").unwrap();
    let to = server.name("in/app:1");
    for from in [to.clone(), format!("{to}@{digest}")] {
        let (status, text) = kiln(home.path(), &["harden", &from, "-o", &to]);
        assert!(status == 3 && text.contains("is the source"), "{from}: {status} {text}");
    }
    assert_eq!(server.whole("in/app", "1"), Some(digest));
}

#[test]
fn a_broken_credential_helper_is_told_where_its_answer_is_needed_only() {
    let (home, open) = (tempfile::tempdir().unwrap(), Server::open());
    let closed = Server::start(Guard::Basic("me:secret".into()), |_| None);
    std::fs::create_dir(home.path().join(".docker")).unwrap();
    std::fs::write(home.path().join(".docker/config.json"), r#"{"credsStore": "none"}"#).unwrap();
    for server in [&open, &closed] {
        add_image(server, "in/app", "1");
    }
    let (status, text) = kiln(home.path(), &["inspect", &open.name("in/app:1")]);
    assert_eq!(status, 0, "{text}");
    let (status, text) = kiln(home.path(), &["inspect", &closed.name("in/app:1")]);
    assert_eq!(status, 3, "{text}");
    assert!(text.contains("credential helper `docker-credential-none` is not in PATH"), "{text}");
    assert!(text.contains("hint: an auth file names"), "{text}");
}
