//! The command line over a library that only remembers what it was asked for.
//!
//! No image is read; files are written below a temporary directory.

mod audit;
mod fake;
mod generate;

use std::path::Path;

use fake::{ran, run_with, text};

use super::*;
use crate::digest::BlobDigest;
use crate::options::Builtin;
use crate::path::ImagePath;
use crate::plan::Level;
use crate::profile::Profile;
use crate::report::fixture;

#[test]
fn hardening_writes_every_document_and_a_summary() {
    let directory = tempfile::tempdir().unwrap();
    let [report, manifest, pod] = ["r.json", "m.json", "p.yaml"].map(|name| directory.path().join(name));
    let ran = ran(&[
        "harden",
        "oci:a",
        "-o",
        "oci:b",
        "--report",
        text(&report),
        "--manifest",
        text(&manifest),
        "--pod",
        text(&pod),
    ]);
    assert_eq!((ran.status, ran.err.as_str()), (0, ""));
    assert!(ran.out.contains("\ngone: "), "{}", ran.out);
    assert_eq!(std::fs::read_to_string(&manifest).unwrap(), "the manifest\n");
    assert_eq!(std::fs::read_to_string(&pod).unwrap(), "the pod\n");
    let document = std::fs::read_to_string(&report).unwrap();
    assert!(document.contains("\"mediaType\": \"application/vnd.kiln.report.v1+json\""));
}

#[test]
fn arguments_become_options() {
    let directory = tempfile::tempdir().unwrap();
    let recipe = directory.path().join("mine.toml");
    std::fs::write(&recipe, "mine").unwrap();
    let ran = ran(&[
        "harden",
        "oci:a:1",
        "-o",
        "oci:b",
        "-o",
        "oci-archive:c.tar",
        "--level",
        "strip",
        "--platform",
        "linux/arm64",
        "--keep",
        "/usr/bin/perl",
        "--strip",
        "/opt/**",
        "--user",
        "33:33",
        "--recipe",
        text(&recipe),
        "--no-recipes",
        "--writable",
        "/var/tmp/",
        "--jobs",
        "3",
    ]);
    assert_eq!((ran.status, ran.err.as_str()), (0, ""));
    let [request] = ran.asked.as_slice() else { panic!("one request: {:?}", ran.asked) };
    assert_eq!(request.source, "oci:a:1");
    assert_eq!(request.destinations, ["oci:b", "oci-archive:c.tar"]);
    let options = &request.options;
    assert_eq!((options.level, options.builtin), (Level::Strip, Builtin::Ignored));
    assert_eq!(options.jobs.get(), 3);
    assert_eq!(options.platform.as_deref(), Some("linux/arm64"));
    let canonical = options.canonical();
    assert!(
        canonical.starts_with(
            "--level=strip --keep=/usr/bin/perl --strip='/opt/**' --user=33:33 --recipe=mine@sha256:"
        ),
        "{canonical}"
    );
    assert!(canonical.ends_with(" --no-recipes --writable=/var/tmp"), "{canonical}");
}

#[test]
fn summary_leaves_stdout_to_an_image_or_document_that_goes_there() {
    let image = ran(&["harden", "oci:a", "-o", "docker-archive:-:web:1"]);
    assert_eq!((image.status, image.out.as_str()), (0, ""));
    assert!(image.err.contains("\ngone: "), "{}", image.err);
    let pod = ran(&["harden", "oci:a", "-o", "oci:b", "--pod", "-"]);
    assert_eq!((pod.status, pod.out.as_str()), (0, "the pod\n"));
    assert!(pod.err.contains("\ngone: "), "{}", pod.err);
}

#[test]
fn two_things_cannot_go_to_stdout() {
    for other in [["--report", "-"], ["--format", "json"], ["-o", "oci-archive:-"]] {
        let ran = ran(&["harden", "oci:a", "-o", "oci:b", "--pod", "-", other[0], other[1]]);
        assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{other:?}");
        assert!(ran.err.ends_with("both write to stdout\n"), "{}", ran.err);
        assert!(ran.asked.is_empty(), "known before the work");
    }
}

#[test]
fn strict_makes_high_findings_the_status_and_only_those() {
    let strict = ran(&["inspect", "oci:a", "--strict"]);
    assert_eq!((strict.status, strict.err.as_str()), (1, "strict: 1 finding of severity high\n"));
    assert!(!strict.out.is_empty());
    let strict = ran(&["harden", "oci:a", "-o", "oci:b", "--strict"]);
    assert_eq!((strict.status, strict.out.as_str()), (1, ""));
    let lines: Vec<&str> = strict.err.lines().collect();
    let [finding, error, hint] = lines.as_slice() else { panic!("{}", strict.err) };
    assert!(finding.starts_with("high KN"), "{finding}");
    assert_eq!(*error, "error: strict: 1 finding of severity high, and nothing is written");
    assert!(hint.starts_with("hint: "), "{hint}");
    assert_eq!(ran(&["harden", "oci:a", "-o", "oci:b"]).status, 0);
    assert_eq!(ran(&["inspect", "oci:a", "--strict", "--quiet"]).status, 1);
    let quiet = run_with(fixture::quiet_plan(), &["harden", "oci:a", "-o", "oci:b", "--strict"]);
    assert_eq!((quiet.status, quiet.err.as_str()), (0, ""));
}

#[test]
fn quiet_says_nothing_and_json_says_all() {
    assert_eq!(ran(&["harden", "oci:a", "-o", "oci:b", "--quiet"]).out, "");
    for arguments in [&["harden", "oci:a", "-o", "oci:b"][..], &["inspect", "oci:a"]] {
        let ran = ran(&[arguments, &["--format", "json"]].concat());
        assert_eq!((ran.status, ran.err.as_str()), (0, ""));
        let document: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!(document["before"]["files"], 6012);
    }
}

#[test]
fn what_is_written_is_what_was_tried_and_held() {
    let tried = ran(&["harden", "oci:a", "-o", "oci:b", "--verify", "--rounds", "3", "--trace-env", "A=b"]);
    assert_eq!(tried.status, 0, "{}", tried.err);
    assert_eq!(tried.asked[0].options.writable, [ImagePath::literal("/srv/data")]);
    assert_eq!(tried.asked[0].tried.as_ref().unwrap().0, BlobDigest::of(b"tried"));
    let told = tried.out.split_once("tried under").unwrap().1;
    assert_eq!(
        told,
        " its pod: holds after 2 rounds\n  hold: start\n  round 2, with --writable=/srv/data:\n    mkdir failed at /srv/data/x: EROFS\n"
    );
    let json = ran(&["harden", "oci:a", "-o", "oci:b", "--verify", "--rounds=3", "--format=json"]);
    assert!(json.out.contains("\"rounds\": ["), "{}", json.out);

    let broken = ran(&["harden", "oci:broken", "-o", "oci:b", "--verify", "--rounds", "3"]);
    assert_eq!((broken.status, broken.asked.len()), (1, 0));
    for words in
        ["does not hold after 2 rounds", "app: does not start", "no \\x1b[31mroom", "nothing is written"]
    {
        assert!(broken.err.contains(words), "{}", broken.err);
    }
    for wrong in [
        &["--rounds", "3"][..],
        &["--verify", "--rounds", "0"],
        &["--probe", "tcp:80"],
        &["--trace-env", "A=b"],
        &["--verify", "--for", "3"],
        &["--verify", "--platform", "all"],
    ] {
        let arguments = [&["harden", "oci:a", "-o", "oci:b"], wrong].concat();
        assert_eq!(ran(&arguments).status, 2, "{wrong:?}");
    }
}

#[test]
fn all_platforms_have_documents_of_their_own() {
    let all = |more: &[&str]| ran(&[&["harden", "oci:a", "-o", "oci:b", "--platform", "all"], more].concat());
    assert!(all(&[]).out.contains(" (1 platform)\n"));
    assert_eq!(all(&["--manifest", "-"]).out, "the manifests\n");
    assert_eq!(all(&["--pod", "-"]).out, "the pod of all\n");
    let json: serde_json::Value = serde_json::from_str(&all(&["--format", "json"]).out).unwrap();
    assert_eq!(json["platforms"][0]["before"]["files"], 6012);
    assert_eq!(all(&["--strict"]).status, 1);
    assert_eq!(all(&[]).asked[0].options.platform, None);
    let inspect = ran(&["inspect", "oci:a", "--platform", "all"]);
    assert_eq!(inspect.status, 2);
    assert!(inspect.err.starts_with("error: `--platform all` is for `kiln harden`"), "{}", inspect.err);
}

#[test]
fn document_that_cannot_be_written_is_known_before_the_work() {
    let ran = ran(&["harden", "oci:a", "-o", "oci:b", "--report", "/nonexistent/r.json"]);
    assert_eq!(ran.status, 3);
    assert!(ran.err.starts_with("error: cannot write `/nonexistent/r.json`: "), "{}", ran.err);
    assert_eq!(ran.err.lines().count(), 1);
    assert!(ran.asked.is_empty());
}

#[test]
fn documents_are_shown_and_pulled() {
    assert_eq!(ran(&["manifest", "show", "oci:a"]).out, "manifest of oci:a for here\n");
    let arm = ran(&["manifest", "show", "oci:a", "--platform", "linux/arm64"]);
    assert_eq!(arm.out, "manifest of oci:a for linux/arm64\n");
    assert_eq!(ran(&["manifest", "show", "oci:a", "--platform", "all"]).status, 2);
    let directory = tempfile::tempdir().unwrap();
    let new = directory.path().join("a/b");
    let pulled = ran(&["manifest", "pull", "oci:a", "-o", text(&new)]);
    assert_eq!(pulled.out.lines().count(), 2, "{}", pulled.out);
    assert_eq!(std::fs::read_to_string(new.join("pod.yaml")).unwrap(), "pod.yaml of oci:a\n");
}

#[test]
fn documents_go_with_an_image_unless_told_otherwise() {
    let asked =
        |more: &[&str]| ran(&[&["harden", "oci:a", "-o", "oci:b"], more].concat()).asked.remove(0).referrers;
    assert_eq!(asked(&[]), Referrers::Pushed);
    assert_eq!(asked(&["--no-referrers"]), Referrers::Left);
}

#[test]
fn recipes_are_listed_and_shown() {
    assert_eq!(ran(&["recipe", "list"]).out, "apache  APACHE\nnginx   NGINX\n");
    assert!(ran(&["recipe", "list", "--format", "json"]).out.contains("\"name\": \"nginx\""));
    assert_eq!(ran(&["recipe", "show", "nginx"]).out, "name = \"nginx\"\n");
    let none = ran(&["recipe", "show", "x"]);
    assert_eq!(
        (none.status, none.err.as_str()),
        (2, "error: no recipe `x`\nhint: `kiln recipe list` names them\n")
    );
}

#[test]
fn lint_tells_every_problem_of_every_file() {
    let directory = tempfile::tempdir().unwrap();
    let [good, bad] = ["good.toml", "bad.toml"].map(|name| directory.path().join(name));
    std::fs::write(&good, "good").unwrap();
    std::fs::write(&bad, "bad").unwrap();
    let both = ran(&["recipe", "lint", text(&bad), text(&good)]);
    assert_eq!(both.status, 1);
    assert_eq!(both.out.lines().count(), 3, "{}", both.out);
    assert_eq!(ran(&["recipe", "lint", text(&good)]).status, 0);
    let missing = ran(&["recipe", "lint", "/nonexistent.toml"]);
    assert_eq!(missing.status, 3);
    assert!(missing.err.starts_with("error: recipe `/nonexistent.toml`: "), "{}", missing.err);
    let used = ran(&["inspect", "oci:a", "--recipe", text(&bad)]);
    assert_eq!(used.status, 3);
    assert!(used.err.contains("line 1: no `name`; line 2: no `why`\nhint: "), "{}", used.err);
}

#[test]
fn what_cannot_be_checked_fails_only_where_it_was_asked_for() {
    for (arguments, status, out) in [
        (&["verify", "oci:good"][..], 0, "all promises hold"),
        (&["verify", "oci:good", "--against", "oci:source"], 0, "against oci:source"),
        (&["verify", "oci:open"], 0, "not checked in full: H4"),
        (&["verify", "oci:open", "--against", "oci:source"], 1, "not proved: H4"),
        (&["verify", "oci:broken"], 1, "/bin/sh: is there"),
        (&["verify", "oci:broken", "--format", "json"], 1, "\"outcome\": \"broken\""),
    ] {
        let ran = ran(arguments);
        assert_eq!((ran.status, ran.err.as_str()), (status, ""), "{arguments:?}");
        assert!(ran.out.contains(out), "{arguments:?}: {}", ran.out);
    }
    assert_eq!(ran(&["verify", "oci:broken", "-q"]).out, "");
}

#[test]
fn image_is_run_under_the_pod_that_is_given() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let good = file("good", "kind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: a, image: b}]}\n");
    let bad = file("bad", "kind: Pod\nspec: {hostPID: true, containers: [{name: a}]}\n");
    let held = ran(&["verify", "oci:good", "--run", "--pod", &good, "-v"]);
    assert_eq!(held.status, 0, "{}{}", held.out, held.err);
    assert!(held.out.contains("run under a pod") && held.out.contains("checked: web"), "{}", held.out);
    let broken = ran(&["verify", "oci:good", "--run"]);
    assert_eq!((broken.status, broken.out.contains("broken: start")), (1, true));
    let bad = ran(&["verify", "oci:good", "--run", "--pod", &bad]);
    assert_eq!(bad.status, 3);
    assert!(bad.err.contains("spec.hostPID: `true` is not possible in kiln's sandbox"), "{}", bad.err);
    assert_eq!(ran(&["verify", "oci:good", "--run", "--pod", "/nonexistent/pod"]).status, 3);
    for arguments in [&["verify", "oci:good", "--pod", "x"][..], &["verify", "oci:good", "--probe", "tcp:80"]]
    {
        assert_eq!(ran(arguments).status, 2, "{arguments:?}");
    }
}

#[test]
fn profile_for_system_calls_is_written_where_the_app_holds_under_it_and_nowhere_else() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (pod, seen, out) = (path("pod"), path("profile"), path("seccomp"));
    std::fs::write(&pod, "kind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: a, image: b}]}\n")
        .unwrap();
    let called = Profile { syscalls: vec!["getpriority".into()], ..crate::profile::tests::profile() };
    std::fs::write(&seen, called.render()).unwrap();
    let run = ["verify", "oci:good", "--run", "--pod", &pod, "--seccomp"];
    let with = |more: &[&str]| ran(&[&run[..], more].concat());
    assert_eq!(with(&[&out, "--profile", &seen]).status, 0);
    let text = std::fs::read_to_string(&out).unwrap();
    assert!(text.contains("\"getpriority\"") && text.contains("SCMP_ACT_LOG"), "{text}");
    let enforced = with(&["-", "--seccomp-mode", "enforce"]);
    assert!(enforced.out.starts_with('{') && !enforced.out.contains("SCMP_ACT_LOG"), "{}", enforced.out);
    assert!(!enforced.out.contains("getpriority") && enforced.err.contains("run under a pod"));
    let none = path("none");
    let failed = ran(&["verify", "oci:good", "--run", "--seccomp", &none]);
    assert_eq!((failed.status, Path::new(&none).exists()), (1, false));
    assert!(failed.err.contains("no profile for system calls is written"), "{}", failed.err);
    for arguments in [
        &["verify", "oci:good", "--seccomp", "x"][..],
        &["verify", "oci:good", "--run", "--seccomp-mode", "enforce"],
        &["verify", "oci:good", "--run", "--profile", &seen],
        &["verify", "oci:good", "--run", "--seccomp", "-", "--format", "json"],
    ] {
        assert_eq!(ran(arguments).status, 2, "{arguments:?}");
    }
}

#[test]
fn app_gives_the_exit_status_and_kiln_has_one_of_its_own() {
    for (arguments, status) in [
        (&["run", "oci:a"][..], 0),
        (&["run", "oci:a", "--", "7"], 7),
        (&["run", "oci:a", "--", "125"], 125),
        (&["run", "oci:a", "--for", "3", "--", "die"], 143),
        (&["run", "oci:a", "--", "grow"], 125),
        (&["run", "oci:none"], 125),
        (&["run", "oci:a", "--mount", "tmp"], 2),
        (&["run", "oci:a", "--env", "=x"], 2),
    ] {
        assert_eq!(ran(arguments).status, status, "{arguments:?}");
    }
    assert!(ran(&["run", "oci:a", "--", "grow"]).err.contains("its limit of memory"));
    let json = ran(&["run", "oci:a", "--format", "json", "--for", "1"]);
    let document: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!((&document["ended"]["exited"], &document["stopped"]), (&0.into(), &true.into()));
    assert_eq!(ran(&["run", "oci:a", "--user", "x"]).err.lines().count(), 1);
    assert_eq!(ran(&["run", "oci:a", "--user", "x", "-q"]).err, "");
}

#[test]
fn stage_of_the_sandbox_does_nothing_by_hand() {
    for stage in ["guard", "init"] {
        let ran = ran(&["sandbox-stage", stage]);
        assert_eq!(ran.status, 2);
        assert!(ran.err.contains("does nothing by itself"), "{}", ran.err);
    }
    assert_eq!(ran(&["sandbox-stage", "other"]).status, 2);
}

#[test]
fn profile_is_written_where_it_was_asked_for_and_told_otherwise() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("profile.json");
    let done = ran(&["trace", "oci:a", "-o", text(&file), "--probe", "http:80/x", "--exercise", "http://a/"]);
    assert_eq!((done.status, done.err.as_str()), (0, ""));
    assert!(done.out.starts_with("oci:a (linux/amd64), 1 run\n"), "{}", done.out);
    let profile = Profile::parse(&std::fs::read_to_string(&file).unwrap()).unwrap();
    for arguments in [&["trace", "oci:a", "-o", "-"][..], &["trace", "oci:a", "--format", "json"]] {
        assert_eq!(ran(arguments).out, profile.render(), "{arguments:?}");
    }
    assert_eq!(ran(&["trace", "oci:a", "-q"]).out, "");
    for bad in [
        &["trace", "oci:a", "--probe", "udp:53"][..],
        &["trace", "oci:a", "--exercise", "https://a/"],
        &["trace", "oci:a", "--runs", "0"],
        &["trace"],
    ] {
        assert_eq!(ran(bad).status, 2, "{bad:?}");
    }
}

#[test]
fn run_that_did_not_go_well_is_told_with_the_apps_last_words() {
    let failed = ran(&["trace", "oci:a", "-q", "--", "die"]);
    assert_eq!(failed.status, 1);
    let told =
        "incomplete: it ended before it was ready\nthe app's last words:\n  one\n  cannot \\x1b[31mbind\n";
    assert_eq!(failed.err, told);
}

#[test]
fn policies_of_an_image_come_from_its_manifest_in_the_registry() {
    let done = ran(&["policy", "vap", "--image", "registry.example/hardened/web:1"]);
    assert_eq!((done.status, done.err.as_str()), (0, ""));
    for part in
        ["kind: ValidatingAdmissionPolicyBinding", "'registry.example/hardened/web'", "'/var/lib/nginx'"]
    {
        assert!(done.out.contains(part), "{part}: {}", done.out);
    }
    // An image that has none, and one that pods cannot name.
    let none = ran(&["policy", "vap", "--image", "registry.example/plain"]);
    assert_eq!((none.status, none.out.as_str()), (3, ""));
    assert_eq!(none.err, "error: registry.example/plain has no writable manifest\n");
    let local = ran(&["policy", "vap", "--image", "oci:dir"]);
    assert_eq!(local.status, 2);
    assert!(local.err.contains("hint: write its manifest with `kiln manifest show`"), "{}", local.err);
    let source =
        ran(&["policy", "map", "--kube-version", "1.36", "--image", "registry.example/hardened/web:1"]);
    assert_eq!(source.status, 0, "{}", source.err);
}

#[test]
fn policies_of_an_index_allow_what_the_images_of_all_its_platforms_need() {
    let of = |more: &[&str]| ran(&[&["policy", "kyverno", "--image", "registry.example/all"], more].concat());
    assert!(of(&[]).out.contains("'/var/lib/arm'"), "{}", of(&[]).out);
    assert!(of(&["--platform", "linux/arm64"]).out.contains("'/var/lib/arm'"));
    assert!(!of(&["--platform", "linux/amd64/v3"]).out.contains("'/var/lib/arm'"));
    assert_eq!(of(&["--platform", "linux/s390x"]).status, 3);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("index.json");
    let manifest = crate::manifest::tests::manifest();
    let index = crate::manifest::ManifestIndex::new(vec![crate::manifest::PlatformManifest {
        platform: "linux/amd64".into(),
        image: "sha256:x".into(),
        manifest,
    }]);
    std::fs::write(&file, index.render()).unwrap();
    let from =
        |file: &str| ran(&["policy", "vap", "--manifest", file, "--image-name", "registry.example/web"]);
    let done = from(text(&file));
    assert!(done.out.contains("'/var/lib/nginx'"), "{}", done.err);
    std::fs::write(&file, "{}").unwrap();
    let wrong = from(text(&file));
    assert_eq!(wrong.status, 3);
    assert!(wrong.err.starts_with("error: --manifest `"), "{}", wrong.err);
    let name = ["--image-name", "registry.example/web"];
    let twice = ran(&[&["policy", "vap", "--manifest", "-", "--manifest", "-"], &name[..], &name].concat());
    assert_eq!(
        (twice.status, twice.err.as_str()),
        (2, "error: `-` stands there twice: stdin is read once\n")
    );
}
