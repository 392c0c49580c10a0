//! The binary as a user runs it: help, exit statuses, streams.
//!
//! Reads no image; what a hardening does to one is tested elsewhere.

use std::process::Output;

use assert_cmd::Command;
use expect_test::{ExpectFile, expect_file};

fn kiln(arguments: &[&str]) -> Output {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("kiln"));
    // What a developer's shell sets must not change what is compared.
    for name in ["COLUMNS", "NO_COLOR", "CLICOLOR_FORCE", "RUST_BACKTRACE"] {
        command.env_remove(name);
    }
    command.args(arguments).output().unwrap()
}

fn status(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn check_help(arguments: &[&str], expected: &ExpectFile) {
    let output = kiln(&[arguments, &["--help"]].concat());
    assert_eq!((status(&output), text(&output.stderr)), (0, ""));
    // clap pads empty columns; golden files have no blanks at the end of a line.
    let lines = text(&output.stdout).lines().map(|line| line.trim_end().to_owned() + "\n");
    expected.assert_eq(&lines.collect::<String>());
}

#[test]
fn help_is_as_written_down() {
    check_help(&[], &expect_file!["../../testdata/help/kiln.txt"]);
    check_help(&["harden"], &expect_file!["../../testdata/help/harden.txt"]);
    check_help(&["inspect"], &expect_file!["../../testdata/help/inspect.txt"]);
    check_help(&["generate"], &expect_file!["../../testdata/help/generate.txt"]);
    check_help(&["debug-profile"], &expect_file!["../../testdata/help/debug-profile.txt"]);
    check_help(&["verify"], &expect_file!["../../testdata/help/verify.txt"]);
    check_help(&["manifest"], &expect_file!["../../testdata/help/manifest.txt"]);
    check_help(&["manifest", "show"], &expect_file!["../../testdata/help/manifest-show.txt"]);
    check_help(&["manifest", "pull"], &expect_file!["../../testdata/help/manifest-pull.txt"]);
    check_help(&["audit"], &expect_file!["../../testdata/help/audit.txt"]);
    check_help(&["fix"], &expect_file!["../../testdata/help/fix.txt"]);
    check_help(&["krm"], &expect_file!["../../testdata/help/krm.txt"]);
    check_help(&["policy"], &expect_file!["../../testdata/help/policy.txt"]);
    check_help(&["run"], &expect_file!["../../testdata/help/run.txt"]);
    check_help(&["trace"], &expect_file!["../../testdata/help/trace.txt"]);
    check_help(&["recipe"], &expect_file!["../../testdata/help/recipe.txt"]);
    check_help(&["recipe", "lint"], &expect_file!["../../testdata/help/recipe-lint.txt"]);
    check_help(&["explain"], &expect_file!["../../testdata/help/explain.txt"]);
    check_help(&["schema"], &expect_file!["../../testdata/help/schema.txt"]);
    check_help(&["completion"], &expect_file!["../../testdata/help/completion.txt"]);
}

#[test]
fn version_is_the_packages() {
    let output = kiln(&["--version"]);
    assert_eq!(text(&output.stdout), concat!("kiln ", env!("CARGO_PKG_VERSION"), "\n"));
    assert_eq!(status(&output), 0);
}

#[test]
fn wrong_usage_is_status_2_and_says_so_on_stderr() {
    let cases: &[&[&str]] = &[
        &[],
        &["frobnicate"],
        &["harden", "oci:a"],
        &["harden", "oci:a", "-o", "oci:b", "--level", "tiny"],
        &["harden", "oci:a", "-o", "oci:b", "--platform", "linux"],
        &["harden", "oci:a", "-o", "oci:b", "--jobs", "0"],
        &["harden", "oci:a", "-o", "oci:b", "--keep", "relative"],
        &["harden", "oci:a", "-o", "oci:b", "--writable", "/"],
        &["harden", "oci:a", "-o", "oci:b", "--pod-name", "x"],
        &["harden", "oci:a", "-o", "oci:b", "--quiet", "--verbose"],
        &["harden", "oci:a", "-o", "docker-archive:-", "--report", "-"],
        &["verify"],
        &["verify", "oci:a", "--recipe", "x.toml"],
        &["recipe", "show", "no-such-recipe"],
        &["explain", "KN999"],
        &["completion", "tcsh"],
    ];
    for arguments in cases {
        let output = kiln(arguments);
        assert_eq!(status(&output), 2, "{arguments:?}");
        assert_eq!(text(&output.stdout), "", "{arguments:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn image_that_is_not_there_is_status_3_with_one_error() {
    for image in
        ["oci:/nonexistent/layout", "oci-archive:/nonexistent.tar", "docker-archive:/nonexistent.tar"]
    {
        for command in ["inspect", "verify"] {
            let output = kiln(&[command, image]);
            assert_eq!(status(&output), 3, "{image}");
            let err = text(&output.stderr);
            assert!(err.starts_with("error: ") && err.contains("/nonexistent"), "{err}");
            assert_eq!(err.matches("error:").count(), 1, "{err}");
            assert_eq!(text(&output.stdout), "");
        }
    }
}

#[test]
fn recipe_with_problems_is_status_1_and_one_that_is_not_there_3() {
    let directory = tempfile::tempdir().unwrap();
    let bad = directory.path().join("bad.toml");
    std::fs::write(&bad, "this is no TOML\n").unwrap();
    let output = kiln(&["recipe", "lint", bad.to_str().unwrap()]);
    assert_eq!(status(&output), 1);
    assert!(text(&output.stdout).contains("bad.toml: "), "{}", text(&output.stdout));
    assert_eq!(status(&kiln(&["recipe", "lint", "/nonexistent.toml"])), 3);
}

#[test]
fn every_code_is_listed_and_explained() {
    let output = kiln(&["explain"]);
    assert_eq!(status(&output), 0);
    for code in kiln::finding::Code::ALL {
        let doc = code.doc();
        assert!(text(&output.stdout).contains(doc.id), "{}", doc.id);
        let one = kiln(&["explain", doc.slug]);
        assert_eq!(status(&one), 0, "{}", doc.id);
        assert!(text(&one.stdout).starts_with(&format!("{} {} ({})\n", doc.id, doc.slug, doc.severity)));
    }
}

#[test]
fn every_promise_is_explained() {
    for promise in kiln::promise::Promise::ALL {
        let doc = promise.doc();
        let one = kiln(&["explain", &doc.id.to_lowercase()]);
        assert_eq!(status(&one), 0, "{}", doc.id);
        let start = format!("{} promise\n{}\n\nWhy it matters\n", doc.id, doc.title);
        assert!(text(&one.stdout).starts_with(&start), "{}", text(&one.stdout));
        let json = kiln(&["explain", doc.id, "--format", "json"]);
        let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
        assert_eq!(json["remedy"], doc.remedy);
    }
}

#[test]
fn completion_is_there_for_every_shell_people_use() {
    for shell in ["bash", "zsh", "fish"] {
        let output = kiln(&["completion", shell]);
        assert_eq!(status(&output), 0, "{shell}");
        assert!(text(&output.stdout).contains("harden"), "{shell}");
    }
}

#[test]
fn schema_of_the_report_is_a_schema() {
    let output = kiln(&["schema", "report"]);
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(schema["title"], "Report");
}

#[test]
fn reader_that_goes_away_is_no_error() {
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin!("kiln"))
        .args(["explain"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((status(&output), text(&output.stderr)), (0, ""));
}
