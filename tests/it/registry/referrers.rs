//! Documents beside an image: pushed before its tag, listed by the registry or under a tag, and read back.

use std::fs;
use std::path::Path;
use std::process::Output;

use assert_cmd::Command;
use kiln::digest::BlobDigest;
use serde_json::Value;

use super::add_image;
use super::server::{Guard, Server, answer};

/// The binary, in a directory of its own, with nothing of the machine's credentials and proxies.
struct Lab(tempfile::TempDir);

impl Lab {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn kiln(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("kiln"));
        command.env_clear().env("HOME", self.0.path()).env("TMPDIR", self.0.path());
        command.current_dir(self.0.path()).args(arguments).output().unwrap()
    }

    fn done(&self, arguments: &[&str]) -> String {
        let output = self.kiln(arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn push(&self, server: &Server, more: &[&str]) {
        let (from, to) = (server.name("in/app:1"), server.name("out/app:1"));
        let documents = ["--manifest", "m.json", "--pod", "p.yaml", "--report", "r.json", "--quiet"];
        self.done(&[&["harden", &from, "-o", &to], &documents[..], more].concat());
    }

    fn text(&self, name: impl AsRef<Path>) -> String {
        fs::read_to_string(self.0.path().join(name)).unwrap()
    }
}

fn server(lists_referrers: bool) -> Server {
    let server = Server::open();
    server.state().lists_referrers = lists_referrers;
    add_image(&server, "in/app", "1");
    server
}

/// Manifests that were put, by the last part of their path.
fn put(server: &Server) -> Vec<String> {
    let state = server.state();
    let put = state.log.iter().filter(|asked| asked.is("PUT", "/manifests/"));
    put.map(|asked| asked.path.rsplit('/').next().unwrap().to_owned()).collect()
}

#[test]
fn documents_come_before_the_tag_and_are_read_back_with_and_without_a_referrers_api() {
    for lists_referrers in [false, true] {
        let (lab, server) = (Lab::new(), server(lists_referrers));
        lab.push(&server, &[]);
        let pushed = put(&server);
        assert_eq!(pushed.last().map(String::as_str), Some("1"), "the tag comes last");
        // The image, three documents, the tag; the list under a tag where the registry has none of its own.
        assert_eq!(pushed.len(), if lists_referrers { 5 } else { 6 }, "{pushed:?}");
        let image = server.whole("out/app", "1").unwrap();
        let listed = pushed.contains(&format!("sha256-{}", image.hex()));
        assert_eq!(listed, !lists_referrers);
        let name = server.name("out/app:1");
        assert_eq!(lab.done(&["manifest", "show", &name]), lab.text("m.json"));
        lab.done(&["manifest", "pull", &name, "-o", "pulled"]);
        for (pulled, written) in
            [("writable-manifest.json", "m.json"), ("pod.yaml", "p.yaml"), ("report.json", "r.json")]
        {
            assert_eq!(lab.text(Path::new("pulled").join(pulled)), lab.text(written), "{pulled}");
        }
        assert!(lab.text("p.yaml").contains(&format!("@{image}")));
        // No layer was fetched for any of it.
        let blobs = server.state().log.iter().filter(|asked| asked.is("GET", "/out/app/blobs/")).count();
        assert_eq!(blobs, 6, "four documents, and twice the config, which says the platform");
        // Again: all is there.
        let requests = put(&server).len();
        lab.push(&server, &[]);
        assert_eq!(put(&server).len(), requests);
        assert!(server.state().incomplete.is_empty());
    }
}

#[test]
fn list_of_several_pages_is_read_to_its_end() {
    let (lab, server) = (Lab::new(), server(true));
    server.state().referrers_per_page = Some(1);
    lab.push(&server, &[]);
    lab.done(&["manifest", "pull", &server.name("out/app:1"), "-o", "pulled"]);
    for (pulled, written) in
        [("writable-manifest.json", "m.json"), ("pod.yaml", "p.yaml"), ("report.json", "r.json")]
    {
        assert_eq!(lab.text(Path::new("pulled").join(pulled)), lab.text(written), "{pulled}");
    }
    let requests = put(&server).len();
    lab.push(&server, &[]);
    assert_eq!(put(&server).len(), requests, "what a later page lists is there");
}

#[test]
fn index_has_a_writable_manifest_beside_each_image_and_the_rest_beside_itself() {
    let (lab, server) = (Lab::new(), server(true));
    lab.push(&server, &["--platform", "all"]);
    let state = server.state();
    let manifests: Vec<Value> = state
        .log
        .iter()
        .filter(|asked| asked.is("PUT", "/manifests/"))
        .map(|asked| serde_json::from_slice(&asked.body).unwrap())
        .collect();
    drop(state);
    let index = server.whole("out/app", "1").unwrap().to_string();
    let about: Vec<(&str, bool)> = manifests
        .iter()
        .filter_map(|manifest| {
            Some((manifest["artifactType"].as_str()?, manifest["subject"]["digest"] == *index))
        })
        .collect();
    let mut sorted = about.clone();
    sorted.sort_unstable();
    assert_eq!(
        sorted,
        [
            ("application/vnd.kiln.pod.v1+yaml", true),
            ("application/vnd.kiln.report-index.v1+json", true),
            ("application/vnd.kiln.writable-manifest.v1+json", false),
        ]
    );
    lab.done(&["manifest", "pull", &server.name("out/app:1"), "-o", "pulled"]);
    assert_eq!(lab.text("pulled/report.json"), lab.text("r.json"));
}

#[test]
fn image_without_documents_shows_the_manifest_that_it_carries() {
    let (lab, server) = (Lab::new(), server(false));
    lab.push(&server, &["--no-referrers"]);
    assert_eq!(put(&server).len(), 2, "the image by digest and its tag");
    assert_eq!(lab.done(&["manifest", "show", &server.name("out/app:1")]), lab.text("m.json"));
}

#[test]
fn registry_that_refuses_a_document_keeps_the_tag_where_it_was() {
    let server = Server::start(Guard::Nobody, |asked| {
        let is_document = String::from_utf8_lossy(&asked.body).contains("artifactType");
        (asked.is("PUT", "/manifests/") && is_document).then(|| answer(400))
    });
    add_image(&server, "in/app", "1");
    let lab = Lab::new();
    let output = lab.kiln(&["harden", &server.name("in/app:1"), "-o", &server.name("out/app:1"), "--quiet"]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(4), "{text}");
    assert!(
        text.contains("cannot put the documents beside the image") && text.contains("--no-referrers"),
        "{text}"
    );
    assert_eq!(server.whole("out/app", "1"), None);
}

#[test]
fn documents_that_are_not_about_the_image_or_not_what_they_say_are_passed_over() {
    let (lab, server) = (Lab::new(), server(false));
    lab.push(&server, &["--no-referrers"]);
    let image = server.whole("out/app", "1").unwrap();
    // A list that names what is not there, an artifact about another image, and somebody's signature.
    let strange = server.add_blob("out/app", b"{\"strange\":1}");
    let artifact = format!(
        r#"{{"schemaVersion":2,"artifactType":"application/vnd.kiln.writable-manifest.v1+json","config":{strange},"layers":[{strange}],"subject":{{"digest":"{}","size":1}}}}"#,
        BlobDigest::of(b"other")
    );
    let digest = BlobDigest::of(artifact.as_bytes());
    server.add_manifest("out/app", "x", "application/vnd.oci.image.manifest.v1+json", artifact.as_bytes());
    let kind = "application/vnd.kiln.writable-manifest.v1+json";
    let entry = |digest: BlobDigest, kind: &str| {
        format!(r#"{{"digest":"{digest}","size":9,"artifactType":"{kind}"}}"#)
    };
    let index = format!(
        r#"{{"schemaVersion":2,"manifests":[{},{},{},{{"odd":1}}]}}"#,
        entry(BlobDigest::of(b"gone"), kind),
        entry(digest, kind),
        entry(digest, "application/vnd.dev.cosign.artifact.sig.v1+json"),
    );
    let tag = format!("sha256-{}", image.hex());
    server.add_manifest("out/app", &tag, "application/vnd.oci.image.index.v1+json", index.as_bytes());
    assert_eq!(lab.done(&["manifest", "show", &server.name("out/app:1")]), lab.text("m.json"));
}
