//! Destinations that cannot be written, or that are the source.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use serde_json::{Value, json};

use super::lab::{Lab, Layer, app, snapshot};
use super::tar::{file, tar};

/// Runs kiln with `arguments` in which `LAB` is the lab's directory; gives status and stderr.
fn kiln(lab: &Lab, arguments: &[&str]) -> (Option<i32>, String) {
    let directory = lab.path(".").display().to_string();
    let arguments = arguments.iter().map(|word| word.replace("LAB", &directory));
    let output = Command::new(assert_cmd::cargo::cargo_bin!("kiln")).args(arguments).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

fn refuses(lab: &Lab, arguments: &[&str], words: &str) {
    let before = snapshot(&lab.path("."));
    let (status, error) = kiln(lab, arguments);
    assert_eq!(status, Some(3), "{arguments:?}: {error}");
    assert!(error.starts_with("error: ") && error.contains(words), "{arguments:?}: {error}");
    assert!(snapshot(&lab.path(".")) == before, "{arguments:?}: touched");
}

#[test]
fn destination_equal_to_the_source_is_refused_under_any_name() {
    let lab = Lab::with(&[Layer::gzip(&app())]);
    fs::create_dir(lab.path("other")).unwrap();
    symlink(lab.path("from"), lab.path("other/link")).unwrap();
    let layouts = [
        ["oci:LAB/from:old", "oci:LAB/from:old"],
        ["oci:LAB/from", "oci:LAB/from:old"],
        ["oci:LAB/from:old", "oci:LAB/other/../from/:old"],
        ["oci:LAB/from:old", "oci:LAB/other/link:old"],
        ["oci:LAB/other/link", "oci:LAB/from:old"],
    ];
    for [from, to] in layouts {
        refuses(&lab, &["harden", from, "-o", to], "is the source");
    }
    for transport in ["oci-archive", "docker-archive"] {
        let archive = format!("{transport}:LAB/a.tar");
        let made = kiln(&lab, &["harden", "oci:LAB/from:old", "-o", &archive, "--quiet"]);
        assert_eq!(made.0, Some(0), "{}", made.1);
        let _ = fs::remove_file(lab.path("other/hard"));
        fs::hard_link(lab.path("a.tar"), lab.path("other/hard")).unwrap();
        for to in ["LAB/a.tar", "LAB/other/../a.tar", "LAB/other/hard"] {
            refuses(&lab, &["harden", &archive, "-o", &format!("{transport}:{to}")], "is the source");
        }
    }
    // Another name in the same layout is another image.
    let (status, error) = kiln(&lab, &["harden", "oci:LAB/from:old", "-o", "oci:LAB/from:new"]);
    assert_eq!(status, Some(0), "{error}");
}

#[test]
fn destination_equal_to_the_source_is_refused_whatever_platforms_it_has() {
    let lab = Lab::new();
    // Two images of one name, neither for every machine that runs the tests.
    let entries = ["ppc64le", "s390x"].map(|architecture| {
        let change = |config: &mut Value| config["architecture"] = json!(architecture);
        lab.write_with("from", &[Layer::gzip(&app())], change, |_| {});
        let index: Value = serde_json::from_slice(&fs::read(lab.path("from/index.json")).unwrap()).unwrap();
        let mut entry = index["manifests"][0].clone();
        entry["platform"] = json!({"os": "linux", "architecture": architecture});
        entry
    });
    let index = json!({"schemaVersion": 2, "manifests": entries}).to_string();
    fs::write(lab.path("from/index.json"), index).unwrap();
    for from in ["oci:LAB/from", "oci:LAB/from:old"] {
        let arguments = ["harden", from, "--platform", "linux/s390x", "-o", "oci:LAB/from:old"];
        refuses(&lab, &arguments, "is the source");
    }
}

#[test]
fn places_that_cannot_be_written_are_refused_before_the_work() {
    let lab = Lab::with(&[Layer::gzip(&app())]);
    fs::write(lab.path("file"), b"x").unwrap();
    let cases = [
        ("oci:LAB/missing/layout", "cannot write to"),
        ("oci:LAB/file", "is not a directory"),
        ("oci:LAB/file/below", "cannot"),
        ("oci-archive:LAB/missing/a.tar", "cannot write to"),
        ("oci-archive:LAB/other", "is not a regular file"),
        ("docker-archive:LAB/file/below", "cannot"),
        ("docker-archive:/dev/full", "is not a regular file"),
        ("oci:/proc/self/layout", "cannot write to"),
    ];
    fs::create_dir(lab.path("other")).unwrap();
    for (to, words) in cases {
        refuses(&lab, &["harden", "oci:LAB/from", "-o", to], words);
        // Nor is another destination written when one of two cannot be.
        refuses(&lab, &["harden", "oci:LAB/from", "-o", "oci:LAB/to/layout:new", "-o", to], words);
    }
    for flag in ["--pod", "--manifest", "--report"] {
        let arguments =
            ["harden", "oci:LAB/from", "-o", "oci:LAB/to/layout:new", flag, "LAB/missing/document"];
        refuses(&lab, &arguments, "cannot write");
    }
}

/// A file system that is full after a few blocks: every file may have so many, and more is an error.
#[test]
fn disk_that_fills_up_leaves_everything_as_it_was() {
    let noise: Vec<u8> = (0_u32..400_000).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
    let lab = Lab::with(&[Layer::gzip(&app()), Layer::gzip(&tar(&[file(b"noise", &noise)]))]);
    for to in [
        "oci:LAB/to/layout:new",
        "oci:LAB/fresh:x",
        "oci-archive:LAB/to/oci.tar",
        "docker-archive:LAB/to/docker.tar",
    ] {
        let before = snapshot(&lab.path("."));
        let directory = lab.path(".").display().to_string();
        // Ignored, the signal becomes an error of `write`.
        let output = Command::new("sh")
            .args(["-c", "trap '' XFSZ; ulimit -f 200; exec \"$@\"", "sh"])
            .arg(assert_cmd::cargo::cargo_bin!("kiln"))
            .args([
                "harden",
                "--strip",
                "/none",
                &format!("oci:{directory}/from"),
                "-o",
                &to.replace("LAB", &directory),
            ])
            .output()
            .unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(3), "{to}: {error}");
        assert!(error.starts_with("error: ") && error.contains("File too large"), "{to}: {error}");
        assert!(snapshot(&lab.path(".")) == before, "{to}: touched");
    }
}

#[test]
fn full_stdout_is_an_error() {
    let lab = Lab::with(&[Layer::gzip(&app())]);
    let from = format!("oci:{}", lab.path("from").display());
    for to in ["oci-archive:-", "docker-archive:-"] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let child = Command::new(assert_cmd::cargo::cargo_bin!("kiln"))
            .args(["harden", &from, "-o", to])
            .stdout(full)
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let output = child.wait_with_output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(3), "{error}");
        assert!(error.contains("cannot write to stdout: No space left on device"), "{error}");
    }
}

#[test]
fn what_a_killed_run_left_is_removed_and_what_is_not_kilns_stays() {
    let lab = Lab::with(&[Layer::gzip(&app())]);
    let to = lab.path("to");
    for left in [to.join("layout/.kiln-tmp-AAAAAA"), to.join(".kiln-tmp-BBBBBB")] {
        fs::create_dir_all(left.join("blobs/sha256")).unwrap();
        fs::write(left.join("blobs/sha256/0"), b"half a blob").unwrap();
    }
    fs::write(to.join(".kiln-tmp-CCCCCC"), b"half an archive").unwrap();
    let others = [".kiln-notes", ".kiln-tmp-", ".kiln-tmp-abc", ".kiln-tmp-toolong", "x.kiln-tmp-AAAAAA"];
    for name in others {
        fs::write(to.join(name), b"mine").unwrap();
    }
    // Somebody works there.
    let busy = to.join(".kiln-tmp-DDDDDD");
    fs::create_dir(&busy).unwrap();
    let lock = fs::File::open(&busy).unwrap();
    lock.lock().unwrap();
    lab.accepts(&[]);
    let mut names: Vec<_> =
        fs::read_dir(&to).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name.contains("kiln"));
    names.sort();
    let mut expected: Vec<_> =
        others.iter().map(ToString::to_string).chain([".kiln-tmp-DDDDDD".into()]).collect();
    expected.sort();
    assert_eq!(names, expected);
    assert!(!to.join("layout/.kiln-tmp-AAAAAA").exists());
    drop(lock);
    lab.accepts(&[]);
    assert!(!busy.exists());
}
