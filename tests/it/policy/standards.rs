//! Pod Security admission: labels as the admission reads them, and pods held against the standard that the labels name.
//!
//! What the standard says is kiln's own rendering of it, tested elsewhere by version.

use kiln::kube::{Version, pss};
use serde_json::Value;

use super::{text, written};

fn labels(arguments: &[&str]) -> Vec<(String, String)> {
    let files = written(&[&["psa"], arguments].concat());
    let labels = files["namespaces.yaml"][0]["metadata"]["labels"].as_object().unwrap().clone();
    labels.into_iter().map(|(key, value)| (key, value.as_str().unwrap().to_owned())).collect()
}

#[test]
fn labels_name_level_and_version_of_every_mode_that_is_asked_for() {
    let key = |mode: &str| format!("pod-security.kubernetes.io/{mode}");
    let expected = |modes: &[&str], version: &str| -> Vec<(String, String)> {
        let pairs = modes.iter().flat_map(|mode| {
            [(key(mode), "restricted".to_owned()), (format!("{}-version", key(mode)), version.to_owned())]
        });
        pairs.collect()
    };
    let all = ["audit", "enforce", "warn"];
    assert_eq!(labels(&[]), expected(&all, "v1.35"));
    assert_eq!(labels(&["--kube-version", "1.30"]), expected(&all, "v1.30"));
    assert_eq!(labels(&["--latest"]), expected(&all, "latest"));
    assert_eq!(labels(&["--enforce", "warn"]), expected(&["audit", "warn"], "v1.35"));
    assert_eq!(labels(&["--enforce", "audit"]), expected(&["audit"], "v1.35"));
}

#[test]
fn pods_are_judged_as_the_pairs_say_in_every_version() {
    let files = written(&["psa"]);
    let names: Vec<&str> =
        files["namespaces.yaml"].iter().map(|namespace| text(namespace, "/metadata/name")).collect();
    assert_eq!(names, ["production", "staging"]);
    let mut count = 0;
    for (path, documents) in files.iter().filter(|(path, _)| path.starts_with("tests/")) {
        let pod = &documents[0];
        for minor in 25..=37 {
            let nothing = Value::Null;
            let metadata = pod.get("metadata").unwrap_or(&nothing);
            let found = pss::evaluate(pss::Level::Restricted, Version(minor), metadata, &pod["spec"]);
            assert_eq!(found.is_empty(), path.starts_with("tests/accept-"), "{path} in 1.{minor}: {found:?}");
        }
        count += 1;
    }
    assert_eq!(count, 6);
}
