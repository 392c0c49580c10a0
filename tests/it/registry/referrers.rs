//! Documents beside an image: pushed before its tag, listed by the registry or under a tag, and read back.

use std::fs;
use std::path::Path;
use std::process::Output;

use assert_cmd::Command;
use kiln::digest::BlobDigest;
use kiln::image::media::OCI_MANIFEST;
use serde_json::{Value, json};

use super::add_image;
use super::server::{Fault, Guard, Server, answer};

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
    assert_eq!(lab.text("pulled/pod.yaml"), lab.text("p.yaml"));
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
    let kind = MANIFEST_TYPE;
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

const MANIFEST_TYPE: &str = "application/vnd.kiln.writable-manifest.v1+json";
const POD_TYPE: &str = "application/vnd.kiln.pod.v1+yaml";
const REPORT_TYPE: &str = "application/vnd.kiln.report.v1+json";

/// Puts a document of `kind` beside `image`, as anybody may who may push; `size` is what its artifact claims.
fn claim(server: &Server, image: BlobDigest, kind: &str, digest: BlobDigest, size: u64) {
    let config = server.add_blob("out/app", b"{}");
    let artifact = json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": kind, "config": config,
        "layers": [{"digest": digest, "size": size, "mediaType": kind}], "subject": {"digest": image, "size": 1}});
    let artifact = artifact.to_string();
    let name = BlobDigest::of(artifact.as_bytes()).to_string();
    server.add_manifest("out/app", &name, OCI_MANIFEST, artifact.as_bytes());
}

fn put_beside(server: &Server, image: BlobDigest, kind: &str, document: &str) {
    server.add_blob("out/app", document.as_bytes());
    claim(server, image, kind, BlobDigest::of(document.as_bytes()), document.len() as u64);
}

#[test]
fn a_strangers_manifest_is_not_believed_be_it_the_only_one_or_not() {
    for own in [&["--no-referrers"][..], &[]] {
        let (lab, server) = (Lab::new(), server(true));
        lab.push(&server, own);
        let image = server.whole("out/app", "1").unwrap();
        put_beside(&server, image, MANIFEST_TYPE, &format!("{} ", lab.text("m.json")));
        let name = format!("{}@{image}", server.name("out/app:1"));
        assert_eq!(lab.done(&["manifest", "show", &name]), lab.text("m.json"));
        lab.done(&["manifest", "pull", &name, "-o", "pulled"]);
        assert_eq!(lab.text("pulled/writable-manifest.json"), lab.text("m.json"));
    }
}

#[test]
fn a_pod_is_the_images_where_its_manifest_gives_it_and_of_several_none_is_the_one() {
    let (lab, server) = (Lab::new(), server(true));
    lab.push(&server, &[]);
    let image = server.whole("out/app", "1").unwrap();
    let name = server.name("out/app:1");
    put_beside(&server, image, POD_TYPE, "apiVersion: v1\nimage: evil\n");
    lab.done(&["manifest", "pull", &name, "-o", "one"]);
    assert_eq!(lab.text("one/pod.yaml"), lab.text("p.yaml"));
    // Somebody's that names the image and the manifest, and allows more.
    let pod = lab.text("p.yaml");
    put_beside(&server, image, POD_TYPE, &pod.replace("privileged: false", "privileged: true"));
    lab.done(&["manifest", "pull", &name, "-o", "two"]);
    assert_eq!(lab.text("two/pod.yaml"), pod);
    assert!(lab.text("two/unproven-pod.yaml").contains("privileged: true"));
    // The same image under another name: either is right.
    put_beside(&server, image, POD_TYPE, &pod.replace("/out/app:1@", "/else/where:2@"));
    let written = lab.done(&["manifest", "pull", &name, "-o", "three"]);
    let names = ["pod-1.yaml", "pod-2.yaml", "report.json", "unproven-pod.yaml", "writable-manifest.json"];
    assert_eq!(written, names.map(|name| format!("three/{name}\n")).concat());
    // Alone it is no more to be believed.
    lab.push(&server, &["--no-referrers", "--level", "strip"]);
    let other = server.whole("out/app", "1").unwrap();
    let pod = lab.text("p.yaml").replace("privileged: false", "privileged: true");
    put_beside(&server, other, POD_TYPE, &pod);
    lab.done(&["manifest", "pull", &name, "-o", "four"]);
    assert_eq!(lab.text("four/unproven-pod.yaml"), pod);
    assert!(!lab.0.path().join("four/pod.yaml").exists());
}

#[test]
fn a_document_that_is_lost_or_wrong_does_not_hide_the_others() {
    let wrong = BlobDigest::of(b"cut");
    let path = format!("/blobs/{wrong}");
    let server = Server::start(Guard::Nobody, move |asked| asked.is("GET", &path).then_some(Fault::Short));
    server.state().lists_referrers = true;
    add_image(&server, "in/app", "1");
    let lab = Lab::new();
    lab.push(&server, &[]);
    let image = server.whole("out/app", "1").unwrap();
    put_beside(&server, image, POD_TYPE, "cut");
    claim(&server, image, POD_TYPE, BlobDigest::of(b"lost"), 4);
    claim(&server, image, POD_TYPE, BlobDigest::of(b"huge"), 1 << 40);
    lab.done(&["manifest", "pull", &server.name("out/app:1"), "-o", "pulled"]);
    assert_eq!(lab.text("pulled/pod.yaml"), lab.text("p.yaml"));
}

#[test]
fn documents_and_lists_without_measure_are_an_error() {
    let refuses = |server: &Server, words: &str| {
        let output = Lab::new().kiln(&["manifest", "pull", &server.name("out/app:1"), "-o", "pulled"]);
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(4) && text.contains(words), "{text}");
    };
    let lab = Lab::new();
    // Whether there is anything behind them or not.
    let many = server(true);
    lab.push(&many, &[]);
    let image = many.whole("out/app", "1").unwrap();
    for number in 0_u8..32 {
        claim(&many, image, POD_TYPE, BlobDigest::of(&[number]), 1);
    }
    let before = many.state().log.len();
    refuses(&many, &format!("more than 32 documents of type `{POD_TYPE}`"));
    assert!(many.state().log.len() - before < 20);

    let long = server(true);
    lab.push(&long, &[]);
    claim(&long, long.whole("out/app", "1").unwrap(), REPORT_TYPE, BlobDigest::of(b"long"), 256 << 20);
    refuses(&long, "more than 268435456 bytes of documents");

    let endless = Server::start(Guard::Nobody, |asked| {
        let next = || vec![("Link", format!("<{}?x>; rel=\"next\"", asked.path))];
        (asked.is("GET", "/referrers/") && asked.path.starts_with("/v2/out")).then(|| Fault::Headers(next()))
    });
    add_image(&endless, "in/app", "1");
    lab.push(&endless, &["--no-referrers"]);
    endless.state().lists_referrers = true;
    refuses(&endless, "more than 100 pages of documents");
    assert!(endless.count("GET", "/referrers/") <= 100);
}

#[test]
fn an_image_under_the_tag_of_a_list_is_not_written_over() {
    let (lab, server) = (Lab::new(), server(false));
    lab.push(&server, &["--no-referrers"]);
    let image = server.whole("out/app", "1").unwrap();
    let tag = format!("sha256-{}", image.hex());
    let theirs = br#"{"schemaVersion":2,"config":{"digest":"x"},"layers":[]}"#;
    server.add_manifest("out/app", &tag, OCI_MANIFEST, theirs);
    let before = put(&server).len();
    let output = lab.kiln(&["harden", &server.name("in/app:1"), "-o", &server.name("out/app:2"), "--quiet"]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(4) && text.contains("is no index of referrers"), "{text}");
    let pushed = put(&server).split_off(before);
    assert!(pushed.iter().all(|name| *name != tag && name != "2"), "{pushed:?}");
}
