//! Manifests that come by a pipe and go by one: as Helm gives them to a post-renderer, and kustomize to a function.

use std::path::Path;

use assert_cmd::Command;
use expect_test::expect_file;

/// What `kiln` of these words makes of the file.
fn piped(words: &[&str], file: &str) -> String {
    let input = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(file);
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("kiln"));
    let done = command.args(words).pipe_stdin(input).unwrap().assert().success();
    String::from_utf8(done.get_output().stdout.clone()).unwrap()
}

#[test]
fn rendered_chart_is_mended() {
    let golden = expect_file!["../../testdata/pipes/helm-chart.out.yaml"];
    let words = ["fix", "--unsafe", "-q", "-"];
    golden.assert_eq(&piped(&words, "manifests/helm-chart.yaml"));
    // And nothing is left to be done.
    golden.assert_eq(&piped(&words, "pipes/helm-chart.out.yaml"));
}

#[test]
fn list_of_resources_is_mended_and_its_results_tell_what_was_done() {
    let golden = expect_file!["../../testdata/pipes/resource-list.out.yaml"];
    golden.assert_eq(&piped(&["krm"], "pipes/resource-list.yaml"));
}
