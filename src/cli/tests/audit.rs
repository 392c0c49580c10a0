//! `kiln audit` from its arguments to its exit status.

use super::fake::{ran, text};

#[test]
fn log_decides_as_fail_on_says() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("app.log");
    std::fs::write(&log, "touch: cannot touch '/data/x': Read-only file system\n").unwrap();
    for (fail_on, status) in [("low", 1), ("high", 1), ("critical", 0), ("never", 0)] {
        let ran = ran(&["audit", "--logs", text(&log), "--fail-on", fail_on]);
        assert_eq!((ran.status, ran.err.as_str()), (status, ""), "{fail_on}");
        assert!(ran.out.contains("--writable /data"), "{}", ran.out);
    }
}

#[test]
fn what_is_not_audited_is_told_and_no_status_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.yaml");
    let set = "apiVersion: x/v1\nkind: Set\nmetadata: {name: s}\nspec: {jobs: [{spec: {containers: [{image: a}]}}]}\n";
    std::fs::write(&file, set).unwrap();
    let ran = |more: &[&str]| ran(&[&["audit", "--fail-on", "high", text(&file)], more].concat());
    let first = ran(&[]);
    assert_eq!(first.status, 0);
    assert!(first.out.contains("--pod-spec-path 'Set=spec.jobs[].spec'"), "{}", first.out);
    // The hint is what does it.
    let second = ran(&["--pod-spec-path", "Set=spec.jobs[].spec"]);
    assert_eq!(second.status, 1);
    assert!(second.out.contains("FS001") && !second.out.contains("not audited"), "{}", second.out);
}
