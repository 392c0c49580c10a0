//! `kiln manifest`: documents of a hardened image read back from what the image itself carries.
//!
//! What a registry holds beside an image is in `referrers`.
#![expect(clippy::disallowed_methods, reason = "edge: fixtures on disk")]

use std::fs;
use std::path::Path;
use std::process::Output;

use assert_cmd::Command;
use kiln::image::Codec;

use crate::fixture::Fixture;
use crate::layout;

fn lab() -> tempfile::TempDir {
    let lab = tempfile::tempdir().unwrap();
    let fixture = Fixture::new("/app/main f 0755 elf static\n/bin/sh f 0755 elf static").cmd(&["/app/main"]);
    let layers: Vec<_> = fixture.layers.iter().map(|layer| (Codec::Gzip, layout::tar_of(layer))).collect();
    layout::write(&lab.path().join("in"), &layers, &fixture.config);
    lab
}

fn kiln(lab: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("kiln"));
    command.env_remove("RUST_BACKTRACE").current_dir(lab).args(arguments).output().unwrap()
}

fn done(lab: &Path, arguments: &[&str]) -> String {
    let output = kiln(lab, arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn layout_and_archives_carry_the_manifest_that_was_written() {
    let lab = lab();
    let destinations = ["oci:out", "oci-archive:out.tar", "docker-archive:docker.tar:app:1"];
    let mut arguments = vec!["harden", "oci:in", "--manifest", "manifest.json"];
    arguments.extend(destinations.iter().flat_map(|name| ["-o", name]));
    done(lab.path(), &arguments);
    let written = fs::read_to_string(lab.path().join("manifest.json")).unwrap();
    for name in destinations {
        assert_eq!(done(lab.path(), &["manifest", "show", name]), written, "{name}");
    }
    let pulled = done(lab.path(), &["manifest", "pull", "oci:out", "-o", "documents"]);
    assert_eq!(pulled, "documents/writable-manifest.json\n");
    assert_eq!(fs::read_to_string(lab.path().join("documents/writable-manifest.json")).unwrap(), written);
}

#[test]
fn index_carries_a_manifest_for_each_platform() {
    let lab = lab();
    done(lab.path(), &["harden", "oci:in", "-o", "oci:out", "--platform", "all"]);
    let one = done(lab.path(), &["manifest", "show", "oci:out", "--platform", "linux/amd64"]);
    assert!(one.contains("application/vnd.kiln.writable-manifest.v1+json"));
    let none = kiln(lab.path(), &["manifest", "show", "oci:out", "--platform", "linux/s390x"]);
    assert_eq!(none.status.code(), Some(3));
}

/// The lines of `text` that say which image it is, what it was made from, and by which manifest.
fn origins(text: &str) -> Vec<String> {
    let keys = ["image: ", "- image: ", "kiln.dev/source: ", "kiln.dev/writable-manifest"];
    let lines = text.lines().map(str::trim).filter(|line| keys.iter().any(|key| line.starts_with(key)));
    lines.map(str::to_owned).collect()
}

#[test]
fn what_runs_an_image_in_a_cluster_names_what_its_pod_names() {
    let lab = lab();
    for more in [&[][..], &["--platform", "all"]] {
        let image = ["harden", "oci:in", "-o", "oci:out", "--manifest", "m.json", "--pod", "pod.yaml"];
        let name = ["--pod-image", "registry.example/app:1"];
        done(lab.path(), &[&image[..], &name, more].concat());
        let pod = origins(&fs::read_to_string(lab.path().join("pod.yaml")).unwrap());
        assert_eq!(pod.len(), 3, "{pod:?}");
        let generate = ["generate", "pod", "oci:out", "--image", "registry.example/app:1", "-q"];
        let made = done(lab.path(), &generate);
        assert_eq!(origins(&made), pod, "{more:?}");
        assert_eq!(done(lab.path(), &generate), made, "the same bytes again");
        // The manifest alone does not tell what it was made from.
        let named = pod.iter().find_map(|line| line.strip_prefix("- image: ")).unwrap();
        let made = done(lab.path(), &["generate", "pod", "--manifest", "m.json", "--image", named, "-q"]);
        let rest: Vec<_> = pod.iter().filter(|line| !line.starts_with("kiln.dev/source")).cloned().collect();
        assert_eq!(origins(&made), rest, "{more:?}");
        fs::remove_dir_all(lab.path().join("out")).unwrap();
    }
}

#[test]
fn archive_without_a_manifest_does_not_say_what_a_registry_has_it_by() {
    let lab = lab();
    done(lab.path(), &["harden", "oci:in", "-o", "docker-archive:docker.tar:app:1", "-o", "oci:out"]);
    let image = format!("registry.example/app@sha256:{}", "0".repeat(64));
    let generate = ["generate", "docker-archive:docker.tar", "-q"];
    let made = done(lab.path(), &[&generate[..], &["--image", &image]].concat());
    assert!(made.contains(&format!("image: {image}\n")), "{made}");
    let output = kiln(lab.path(), &generate);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.starts_with("error: expected the image's digest, as `--image NAME@DIGEST`\nhint: "),
        "{text}"
    );
}

#[test]
fn image_that_kiln_did_not_make_has_none() {
    let lab = lab();
    let output = kiln(lab.path(), &["generate", "oci:in"]);
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(3), &b""[..]));
    let output = kiln(lab.path(), &["manifest", "show", "oci:in"]);
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(3), &b""[..]));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains(" has no writable manifest: ") && text.contains("\nhint: "), "{text}");
}
