//! The pod that kiln writes for an image, and what an intruder would make of it.
//!
//! Every case changes one thing of that pod.

use serde_json::{Value, json};

use super::super::document::{at, push, put};
use super::super::{Image, Request};
use super::{Case, Operation, PINNED, container, mutable, namespace, of_legacy};

/// For `cel::mounts`: the pod that kiln writes for the image, and what an intruder would make of it.
pub(in super::super) fn mounts(image: &Image, request: &Request) -> Vec<Case> {
    let mut own = image.pod().clone();
    put(&mut own, "/metadata/namespace", json!(namespace(request)));
    let name = at(&own, "/spec/containers/0/name").as_str().unwrap_or_default().to_owned();
    let with = |volume: Value, mount: Value| {
        let mut pod = own.clone();
        push(&mut pod, "/spec/volumes", volume);
        push(&mut pod, "/spec/containers/0/volumeMounts", mount);
        pod
    };
    let undeclared =
        |path: &str| format!("Container '{name}' mounts {path} writable, where its image does not write");
    let extra = || json!({ "name": "extra", "emptyDir": {} });
    let mut writable_root = own.clone();
    put(&mut writable_root, "/spec/containers/0/securityContext/readOnlyRootFilesystem", json!(false));
    let mut ephemeral = own.clone();
    put(
        &mut ephemeral,
        "/spec/ephemeralContainers",
        json!([{
            "name": "debug",
            "image": at(&own, "/spec/containers/0/image"),
            "securityContext": { "readOnlyRootFilesystem": true },
            "volumeMounts": [{ "name": "extra", "mountPath": "/usr/local" }],
        }]),
    );
    push(&mut ephemeral, "/spec/volumes", extra());
    let before = json!({ "spec": at(&own, "/spec") });
    let legacy = with(extra(), json!({ "name": "extra", "mountPath": "/usr/local" }));
    let foreign = container("other", PINNED, Some(false));
    let mut beside =
        with(extra(), json!({ "name": "extra", "mountPath": "/usr/share/more", "readOnly": true }));
    let mut other = foreign;
    put(&mut other, "/volumeMounts", json!([{ "name": "extra", "mountPath": "/anywhere" }]));
    push(&mut beside, "/spec/containers", other);
    let mut cases = vec![
        Case::accepted("declared-mounts", "the pod that kiln writes for the image", own.clone()),
        Case::rejected(
            "undeclared-mount",
            "a writable mount where the image does not write",
            undeclared("/usr/local"),
            legacy.clone(),
        ),
        Case::accepted(
            "read-only-mount",
            "one that cannot be written to, and another image beside it",
            beside,
        ),
        Case::accepted(
            "config-mount",
            "a volume that is of a read-only kind",
            with(
                json!({ "name": "config", "configMap": { "name": "config" } }),
                json!({ "name": "config", "mountPath": "/etc/more" }),
            ),
        ),
        Case::rejected(
            "host-mount",
            "files of the host, read-only or not",
            format!("Container '{name}' mounts the host's files at /host"),
            with(
                json!({ "name": "host", "hostPath": { "path": "/" } }),
                json!({ "name": "host", "mountPath": "/host", "readOnly": true }),
            ),
        ),
        Case::rejected(
            "writable-root",
            "a root that can be written to",
            mutable("Container", &name),
            writable_root,
        ),
        Case::rejected(
            "undeclared-debug-mount",
            "an ephemeral container of the image with a writable mount where it does not write",
            "Ephemeral container 'debug' mounts /usr/local writable, where its image does not write"
                .to_owned(),
            ephemeral,
        )
        .of(Operation::Ephemeral, &before),
    ];
    cases.extend(of_legacy(&legacy, undeclared("/usr/local")));
    cases.extend(other_registry(image, &legacy));
    if let Some(path) = image.app_writable().first() {
        let crooked = format!("{path}/../etc");
        cases.push(Case::rejected(
            "crooked-mount",
            "a path that begins like a declared one and means another",
            undeclared(&crooked),
            with(extra(), json!({ "name": "extra", "mountPath": crooked })),
        ));
        let below = format!("{path}/below");
        cases.push(Case::accepted(
            "mount-below",
            "a mount below one that is declared",
            with(extra(), json!({ "name": "extra", "mountPath": below })),
        ));
    }
    cases
}

/// A pod of another registry's image whose host is called like the image: with its port it begins like a name with a tag.
fn other_registry(image: &Image, pod: &Value) -> Option<Case> {
    let name = image.spellings().into_iter().find(|name| !name.contains('/'))?;
    let mut pod = pod.clone();
    for list in ["/spec/initContainers", "/spec/containers"] {
        let containers = pod.pointer_mut(list).and_then(Value::as_array_mut).into_iter().flatten();
        for container in containers {
            put(container, "/image", json!(format!("{name}:5000/team/app:1")));
        }
    }
    Some(Case::accepted("other-registry", "an image of a registry whose host is called so", pod))
}
