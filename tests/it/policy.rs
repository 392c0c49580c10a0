//! Policies, executed: every document that `kiln policy` writes, with the pairs that it writes beside them and with the pods that
//! guides show.
//!
//! Needs no cluster and no tool: Rego and CEL are executed by libraries, Falco's conditions and Tetragon's selectors by what is
//! here.

mod cel;
mod celpolicies;
mod engine;
mod falco;
mod gatekeeper;
mod mutation;
mod seeds;
mod standards;
mod tetragon;

use std::collections::BTreeMap;
use std::path::Path;

use assert_cmd::Command;
use kiln::kube::document;
use serde_json::{Value, json};

/// What was written, by its path below the directory.
type Written = BTreeMap<String, Vec<Value>>;

/// Runs `kiln policy` with tests into a directory and reads what it writes as `kubectl` does.
fn written(arguments: &[&str]) -> Written {
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new(assert_cmd::cargo::cargo_bin!("kiln"))
        .arg("policy")
        .args(arguments)
        .args(["--with-tests", "-o"])
        .arg(directory.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    let mut all = Written::new();
    for line in std::str::from_utf8(&output.stdout).unwrap().lines() {
        let path = Path::new(line).strip_prefix(directory.path()).unwrap().to_str().unwrap();
        all.insert(path.to_owned(), documents(&std::fs::read_to_string(line).unwrap()));
    }
    assert!(!all.is_empty());
    all
}

/// As [`written`], for the images of [`manifest`] under these names.
fn written_for(engine: &[&str], names: &[&str]) -> Written {
    written_with(&manifest(), engine, names)
}

/// As [`written_for`], with another manifest.
fn written_with(manifest: &Value, engine: &[&str], names: &[&str]) -> Written {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("manifest.json");
    std::fs::write(&file, manifest.to_string()).unwrap();
    let mut arguments = engine.to_vec();
    for name in names {
        arguments.extend(["--manifest", file.to_str().unwrap(), "--image-name", name]);
    }
    written(&arguments)
}

fn documents(text: &str) -> Vec<Value> {
    let read = document::read(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    read.iter().map(|document| document.root.value()).collect()
}

/// The name of the hardened image of the tests.
const WEB: &str =
    "registry.example/team/web:1@sha256:3333333333333333333333333333333333333333333333333333333333333333";

/// A writable manifest of a web server: a volume in memory, one on disk, one that is filled, and one that cannot be.
fn manifest() -> Value {
    let evidence =
        json!([{ "kind": "directive", "source": "/etc/nginx/nginx.conf:4", "detail": "pid /run/nginx.pid" }]);
    let path = |path: &str, purpose: &str, content: Value, volume: Value, seeded: bool| {
        json!({
            "path": path, "purpose": purpose, "kind": "directory", "uid": 33, "gid": 33, "mode": "0755",
            "content": content, "seeded": seeded, "persistence": "ephemeral", "volume": volume,
            "confidence": "proven", "evidence": evidence,
        })
    };
    let memory = json!({ "kind": "memory", "size_limit": 16 << 20 });
    let disk = json!({ "kind": "disk", "size_limit": 256 << 20 });
    json!({
        "media_type": "application/vnd.kiln.writable-manifest.v1+json",
        "schema_version": 1,
        "kiln_version": "0.1.0",
        "source_chain_id": "sha256:0",
        "options": { "level": "distroless" },
        "recipes": ["nginx"],
        "process": {
            "argv": ["/usr/sbin/nginx", "-g", "daemon off;"], "cwd": "/", "uid": 33, "gid": 33, "groups": [],
            "user_name": "www-data",
            "entrypoint": { "source": ["nginx"], "steps": [], "lowerings": [], "env": [] },
        },
        "env_added": [],
        "paths": [
            path("/run", "run", json!({ "kind": "empty" }), memory.clone(), false),
            path("/tmp", "tmp", json!({ "kind": "empty" }), memory, false),
            path("/var/lib/nginx", "state", json!({ "kind": "seed", "files": 2, "bytes": 30 }), disk.clone(), true),
            path("/var/log/nginx", "log", json!({ "kind": "log-links" }), json!({ "kind": "none" }), false),
        ],
        "ports": [],
        "probe": null,
        "stripped_volumes": [],
        "residual": [
            { "path": "/usr/sbin/nginx", "class": "application", "why": "it is what the image is for", "remedy": null },
            { "path": "/usr/bin/dash", "class": "shell", "why": "a script of the app needs it", "remedy": null },
        ],
    })
}

fn text<'v>(value: &'v Value, path: &str) -> &'v str {
    value.pointer(path).and_then(Value::as_str).unwrap_or_else(|| panic!("no text at {path}: {value}"))
}

fn items<'v>(value: &'v Value, path: &str) -> &'v [Value] {
    value.pointer(path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Fails where `value` has a field that `allowed` does not name: what an engine does not know it drops or refuses.
fn only_fields(value: &Value, what: &str, allowed: &[&str]) {
    for name in value.as_object().unwrap_or_else(|| panic!("{what}: {value}")).keys() {
        assert!(allowed.contains(&name.as_str()), "{what} has no field `{name}`");
    }
}

#[test]
fn nonsense_is_one_error_before_anything_is_read() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let manifest = file.path().to_str().unwrap();
    for (arguments, words) in [
        (&["map"][..], "no image is named"),
        (&["kyverno", "--mutate"], "no image is named"),
        (&["vap", "--latest"], "`--latest` means nothing to `vap`"),
        (&["psa", "--exempt", "a/"], "`--exempt` means nothing to `psa`"),
        (&["falco", "--enforce", "deny"], "Falco only tells"),
        (&["vap", "--image", "oci:dir"], "is in no registry"),
        (&["vap", "--manifest", manifest], "one `--image-name` for each `--manifest`"),
        (&["vap", "--app", "web"], "`--app` means nothing to `vap`"),
        (
            &["tetragon", "--app", "web"],
            "`--app` means nothing to `tetragon`: it is what the workload of one",
        ),
        (&["tetragon", "--app", "Web"], "expected lower-case letters"),
        (&["vap", "--kube-version", "1.29"], "1.30 on"),
        (&["vap", "--kube-version", "2"], "expected a version of Kubernetes"),
        (&["vap", "--namespace", "A_b"], "expected lower-case letters"),
        (&["vap", "--exempt", "*"], "expected the beginning of an image's name"),
        (&["vap", "--with-tests"], "--output"),
        (&["psa", "--with-tests", "-o", "-"], "expected a directory"),
        (&["nobody"], "invalid value"),
    ] {
        let output = Command::new(assert_cmd::cargo::cargo_bin!("kiln"))
            .arg("policy")
            .args(arguments)
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {told}");
        assert!(told.contains(words) && output.stdout.is_empty(), "{arguments:?}: {told}");
    }
}

#[test]
fn stdout_has_what_a_directory_has_but_the_tests_and_is_the_same_each_time() {
    let run = |arguments: &[&str]| {
        let output = Command::new(assert_cmd::cargo::cargo_bin!("kiln"))
            .arg("policy")
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    for engine in ["gatekeeper", "kyverno", "vap", "psa", "falco", "tetragon"] {
        let told = run(&[engine]);
        assert_eq!(told, run(&[engine]), "{engine}");
        let all = documents(&told);
        for (path, own) in written(&[engine]) {
            let is_test = ["tests/", "samples/", "suite.yaml", "kyverno-test.yaml", "resources.yaml"];
            let expected = !is_test.iter().any(|part| path.contains(part));
            assert_eq!(own.iter().all(|document| all.contains(document)), expected, "{engine}: {path}");
        }
    }
    let gatekeeper = documents(&run(&["gatekeeper"]));
    let kinds: Vec<&str> = gatekeeper.iter().map(|document| text(document, "/kind")).collect();
    assert_eq!(kinds[..2], ["ConstraintTemplate"; 2], "what defines a kind comes before what uses it");
}

/// What a repository may be called at most, all of it a label.
const LONG: &str =
    "registry.example/department-of-long-names/team-with-a-long-name/service-with-a-long-name-of-its-own";

#[test]
fn names_fit_where_they_go_and_tell_long_repositories_apart() {
    let other = format!("{LONG}-and-more");
    for engine in
        [&["gatekeeper"][..], &["kyverno"], &["kyverno", "--legacy"], &["kyverno", "--mutate"], &["vap"]]
    {
        let files = written_for(engine, &[LONG, &other]);
        let mut names = Vec::new();
        for document in files.iter().filter(|(path, _)| !path.contains("tests/")).flat_map(|(_, all)| all) {
            let name = document.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
            // The webhook of Gatekeeper and the definitions of Kyverno take no more of constraints and rules.
            let is_own = document["apiVersion"].as_str().is_some_and(|api| !api.starts_with("templates."));
            if is_own && !["Test", "Suite", "Pod", "AdmissionReview"].contains(&text(document, "/kind")) {
                assert!(name.len() <= 63, "{engine:?}: {name}");
                names.push(name.to_owned());
            }
            for rule in items(document, "/spec/rules") {
                assert!(text(rule, "/name").len() <= 63, "{rule}");
            }
        }
        names.sort();
        names.dedup();
        assert!(names.len() > 1, "{engine:?}: {names:?}");
    }
}

#[test]
fn file_gets_the_policies_and_no_directory_is_made() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("policies.yaml");
    let output = Command::new(assert_cmd::cargo::cargo_bin!("kiln"))
        .args(["policy", "psa", "--namespace", "web", "-o"])
        .arg(&file)
        .output()
        .unwrap();
    assert!(output.status.success() && output.stdout.is_empty());
    assert_eq!(text(&documents(&std::fs::read_to_string(&file).unwrap())[0], "/metadata/name"), "web");
}

#[test]
fn readme_shows_what_is_printed() {
    let readme = include_str!("../../README.md");
    let shown =
        readme.split_once("<!-- policy -->\n").unwrap().1.split_once("<!-- end of policy -->").unwrap().0;
    let shown: String =
        shown.lines().map(|line| line.strip_prefix("    ").unwrap().to_owned() + "\n").collect();
    let output = Command::new(assert_cmd::cargo::cargo_bin!("kiln"))
        .args(["policy", "psa", "--namespace", "web"])
        .output();
    assert_eq!(String::from_utf8(output.unwrap().stdout).unwrap(), shown);
}
