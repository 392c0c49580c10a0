//! Pod Security admission: labels of namespaces.
//!
//! Does not ask for a read-only root: the standards have no such control, which is why there are other policies.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::document::file;
use super::{Enforce, File, Form, Request, Role, pairs};
use crate::kube::Version;

/// The modes that go with each way to enforce: who is refused is also told, and it is recorded.
fn modes(enforce: Enforce) -> &'static [&'static str] {
    match enforce {
        Enforce::Deny => &["enforce", "warn", "audit"],
        Enforce::Warn => &["warn", "audit"],
        Enforce::Audit => &["audit"],
    }
}

/// Labels that hold a namespace to the restricted standard of `version` in `modes`.
pub(in crate::kube) fn labels(modes: &[&str], version: &str) -> BTreeMap<String, String> {
    let pairs = modes.iter().flat_map(|mode| {
        let key = format!("pod-security.kubernetes.io/{mode}");
        [(format!("{key}-version"), version.to_owned()), (key, "restricted".to_owned())]
    });
    pairs.collect()
}

pub(super) fn files(request: &Request) -> Vec<File> {
    let version = match request.form {
        Form::Latest => "latest".to_owned(),
        _ => format!("v{}", request.version.min(Version::NEWEST)),
    };
    let labels = labels(modes(request.enforce()), &version);
    let namespaces = request.generic_namespaces();
    let namespace = |name: &String| json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name, "labels": labels } });
    let preview = |name: &String| {
        format!(
            "\n  kubectl label --dry-run=server --overwrite namespace {name} pod-security.kubernetes.io/enforce=restricted pod-security.kubernetes.io/enforce-version={version}"
        )
    };
    let preview: Vec<String> = namespaces.iter().map(preview).collect();
    let drift = match request.form {
        Form::Latest => "With an upgrade of the cluster its new controls hold at once.",
        _ => "The version is fixed: what an upgrade of the cluster adds holds when it is raised here.",
    };
    let comment = format!(
        "The restricted Pod Security Standard. It does not ask for a read-only root file system: other policies do.\n{drift}\nWhich pods that are there break it:{}",
        preview.concat()
    );
    let values: Vec<Value> = namespaces.iter().map(namespace).collect();
    let mut files = vec![file("namespaces.yaml", Role::Policy, &comment, &values)];
    let first = namespaces.first().map_or("production", String::as_str);
    files.extend(pairs::restricted(first).into_iter().map(|case| {
        let verdict = match case.verdict {
            pairs::Verdict::Accepted => "accept",
            pairs::Verdict::Rejected(_) => "reject",
        };
        file(
            format!("tests/{verdict}-{}.yaml", case.name),
            Role::Test,
            &case.comment(),
            std::slice::from_ref(&case.pod),
        )
    }));
    files
}
