//! Pods for Pod Security admission.
//!
//! What a rejected one is told is the name of the control.

use serde_json::{Value, json};

use super::super::document::put;
use super::{Case, PINNED, container, pod};

/// For Pod Security admission: one pod that the restricted standard accepts, and one for each thing that it asks.
pub(in super::super) fn restricted(namespace: &str) -> Vec<Case> {
    let good = || {
        let mut app = container("app", PINNED, Some(true));
        put(
            &mut app,
            "/securityContext",
            json!({
                "allowPrivilegeEscalation": false,
                "capabilities": { "drop": ["ALL"] },
                "readOnlyRootFilesystem": true,
            }),
        );
        let security = json!({ "runAsNonRoot": true, "seccompProfile": { "type": "RuntimeDefault" } });
        pod(namespace, &json!({ "securityContext": security, "containers": [app] }))
    };
    let changed = |name: &str, why: &'static str, control: &str, field: &str, value: Value| {
        let mut pod = good();
        if let Some(at) = pod.pointer_mut(field) {
            *at = value;
        }
        Case::rejected(name, why, control.to_owned(), pod)
    };
    let app = "/spec/containers/0/securityContext";
    let mut host = good();
    put(&mut host, "/spec/volumes", json!([{ "name": "host", "hostPath": { "path": "/" } }]));
    vec![
        Case::accepted("restricted-pod", "it asks for nothing that the restricted standard forbids", good()),
        changed(
            "escalating-pod",
            "its processes may gain privileges",
            "allowPrivilegeEscalation",
            &format!("{app}/allowPrivilegeEscalation"),
            json!(true),
        ),
        changed(
            "capable-pod",
            "it keeps capabilities",
            "capabilities",
            &format!("{app}/capabilities"),
            json!({}),
        ),
        changed(
            "root-pod",
            "it may run as root",
            "runAsNonRoot",
            "/spec/securityContext/runAsNonRoot",
            json!(false),
        ),
        changed(
            "unconfined-pod",
            "it has no filter of system calls",
            "seccompProfile",
            "/spec/securityContext/seccompProfile",
            json!({ "type": "Unconfined" }),
        ),
        Case::rejected("host-pod", "it mounts files of the host", "hostPathVolumes".to_owned(), host),
    ]
}
