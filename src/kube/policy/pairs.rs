//! Pods that a rule accepts and pods that it rejects, with what it says of them.
//!
//! Knows the rules' words, not the engines: each engine writes them as its own tools read them.

mod mounts;
mod restricted;

use serde_json::{Value, json};

use super::cel::MUST_BE_READ_ONLY;
pub(super) use mounts::mounts;
pub(super) use restricted::restricted;

use super::Request;
use super::document::{at, put};

/// A pod, and what becomes of it.
pub(super) struct Case {
    pub(super) name: String,
    /// What it shows.
    pub(super) why: &'static str,
    pub(super) operation: Operation,
    pub(super) verdict: Verdict,
    pub(super) pod: Value,
    /// As it was before, where it was there.
    old: Value,
}

/// What is asked of the API server.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    /// A pod is made.
    Create,
    /// One that is there is changed.
    Update,
    /// It gets an ephemeral container.
    Ephemeral,
    /// It goes.
    Delete,
}

/// What becomes of it.
pub(super) enum Verdict {
    Accepted,
    /// With these words.
    Rejected(String),
}

/// An image by its digest, which no rule minds.
const PINNED: &str =
    "registry.example/app:1.0@sha256:1111111111111111111111111111111111111111111111111111111111111111";

/// What `kubectl debug` brings.
const DEBUG: &str =
    "registry.example/debug@sha256:2222222222222222222222222222222222222222222222222222222222222222";

impl Case {
    /// As a comment above the pod.
    pub(super) fn comment(&self) -> String {
        match &self.verdict {
            Verdict::Accepted => format!("Accepted: {}.", self.why),
            Verdict::Rejected(message) => format!("Rejected: {}.\n{message}", self.why),
        }
    }

    /// What the API server asks, for tools that test more than a pod's making.
    pub(super) fn review(&self) -> Value {
        let mut request = json!({
            "uid": "00000000-0000-0000-0000-000000000000",
            "kind": { "group": "", "version": "v1", "kind": "Pod" },
            "resource": { "group": "", "version": "v1", "resource": "pods" },
            "name": at(&self.pod, "/metadata/name"),
            "namespace": at(&self.pod, "/metadata/namespace"),
            "operation": match self.operation {
                Operation::Create => "CREATE",
                Operation::Update | Operation::Ephemeral => "UPDATE",
                Operation::Delete => "DELETE",
            },
            "userInfo": { "username": "kiln" },
        });
        if self.operation != Operation::Delete {
            put(&mut request, "/object", self.pod.clone());
        }
        if self.operation != Operation::Create {
            put(&mut request, "/oldObject", self.old.clone());
        }
        if self.operation == Operation::Ephemeral {
            put(&mut request, "/subResource", json!("ephemeralcontainers"));
        }
        json!({ "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request })
    }

    fn new(name: &str, why: &'static str, verdict: Verdict, pod: Value) -> Self {
        let mut pod = pod;
        put(&mut pod, "/metadata/name", json!(name));
        Self { name: name.to_owned(), why, operation: Operation::Create, verdict, pod, old: Value::Null }
    }

    fn accepted(name: &str, why: &'static str, pod: Value) -> Self {
        Self::new(name, why, Verdict::Accepted, pod)
    }

    fn rejected(name: &str, why: &'static str, message: String, pod: Value) -> Self {
        Self::new(name, why, Verdict::Rejected(message), pod)
    }

    /// The same of a pod that is there already.
    fn of(mut self, operation: Operation, old: &Value) -> Self {
        self.operation = operation;
        self.old = self.pod.clone();
        put(&mut self.old, "/spec", at(old, "/spec").clone());
        self
    }
}

/// What becomes of a pod that was there before the policy, and breaks it by its first container: it may be changed, and go, but
/// no other image comes into it without being looked at.
fn of_legacy(pod: &Value, message: String) -> [Case; 3] {
    let mut other = pod.clone();
    put(&mut other, "/spec/containers/0/image", json!(PINNED));
    [
        Case::accepted(
            "legacy-pod",
            "it was there before the policy, and what cannot be changed must not keep it from ending",
            pod.clone(),
        )
        .of(Operation::Update, pod),
        Case::accepted("legacy-pod-goes", "it was there before the policy, and goes", pod.clone())
            .of(Operation::Delete, pod),
        Case::rejected(
            "changed-image",
            "it was there before the policy, and gets another image",
            message,
            pod.clone(),
        )
        .of(Operation::Update, &other),
    ]
}

/// Where images are let through, a pod of one.
fn of_exempt(namespace: &str, request: &Request) -> Option<Case> {
    let image = format!("{}sidecar:1", request.exempt.first()?.trim_end_matches('*'));
    let spec = json!({ "containers": [container("proxy", &image, None)] });
    Some(Case::accepted("exempt-pod", "its image is let through", pod(namespace, &spec)))
}

/// Where the pods of the tests are.
fn namespace(request: &Request) -> String {
    let places = request.places(request.images.is_empty());
    places.into_iter().next().unwrap_or_else(|| "production".to_owned())
}

fn pod(namespace: &str, spec: &Value) -> Value {
    json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "pod", "namespace": namespace }, "spec": spec })
}

fn container(name: &str, image: &str, read_only: Option<bool>) -> Value {
    let mut container = json!({ "name": name, "image": image });
    if let Some(read_only) = read_only {
        put(&mut container, "/securityContext", json!({ "readOnlyRootFilesystem": read_only }));
    }
    container
}

/// What a root that can be written to is called.
fn mutable(label: &str, name: &str) -> String {
    format!("{label} '{name}' {MUST_BE_READ_ONLY}")
}

/// For `cel::rootfs`: the pair that everybody knows, and one for every way round it.
pub(super) fn rootfs(request: &Request) -> Vec<Case> {
    let namespace = namespace(request);
    let pod = |spec: Value| pod(&namespace, &spec);
    let app = || container("app", "nginx:1.25", Some(true));
    let mut immutable = app();
    put(&mut immutable, "/volumeMounts", json!([{ "name": "tmp", "mountPath": "/tmp" }]));
    let volumes = json!([{ "name": "tmp", "emptyDir": {} }]);
    let ephemeral = |debug: Value| pod(json!({ "containers": [app()], "ephemeralContainers": [debug] }));
    let legacy = json!({ "containers": [container("app", "nginx:1.25", None)] });
    let mut cases = vec![
        Case::rejected(
            "mutable-pod",
            "nothing says that its root is read-only",
            mutable("Container", "app"),
            pod(json!({ "containers": [container("app", "nginx:1.25", None)] })),
        ),
        Case::accepted(
            "immutable-pod",
            "its root is read-only, and it writes to a volume",
            pod(json!({ "containers": [immutable], "volumes": volumes })),
        ),
        Case::rejected(
            "mutable-on-purpose",
            "it says that its root is not read-only",
            mutable("Container", "app"),
            pod(json!({ "containers": [container("app", "nginx:1.25", Some(false))] })),
        ),
        Case::rejected(
            "mutable-sidecar",
            "one of its containers says nothing",
            mutable("Container", "log"),
            pod(json!({ "containers": [app(), container("log", "busybox:1.36", None)] })),
        ),
        Case::rejected(
            "mutable-init",
            "its init container says nothing",
            mutable("Init container", "setup"),
            pod(
                json!({ "initContainers": [container("setup", "busybox:1.36", None)], "containers": [app()] }),
            ),
        ),
        Case::accepted(
            "immutable-init",
            "its init container has a read-only root as well",
            pod(
                json!({ "initContainers": [container("setup", "busybox:1.36", Some(true))], "containers": [app()] }),
            ),
        ),
        Case::rejected(
            "mutable-debug",
            "it gets an ephemeral container that says nothing",
            mutable("Ephemeral container", "debug"),
            ephemeral(container("debug", "busybox:1.36", None)),
        )
        .of(Operation::Ephemeral, &json!({ "spec": { "containers": [app()] } })),
        Case::accepted(
            "immutable-debug",
            "it gets an ephemeral container with a read-only root",
            ephemeral(container("debug", "busybox:1.36", Some(true))),
        )
        .of(Operation::Ephemeral, &json!({ "spec": { "containers": [app()] } })),
    ];
    cases.extend(of_legacy(&pod(legacy), mutable("Container", "app")));
    cases.extend(of_exempt(&namespace, request));
    cases
}

/// For `cel::digest`.
pub(super) fn digest(request: &Request) -> Vec<Case> {
    let namespace = namespace(request);
    let pod = |spec: Value| pod(&namespace, &spec);
    let app = || container("app", PINNED, Some(true));
    let unpinned = |label: &str, name: &str, image: &str| {
        format!("{label} '{name}' must pin its image by digest, found '{image}'")
    };
    let ephemeral = |image| {
        let debug = container("debug", image, Some(true));
        pod(json!({ "containers": [app()], "ephemeralContainers": [debug] }))
    };
    let legacy = json!({ "containers": [container("app", "nginx:1.25", None)] });
    let mut cases = vec![
        Case::rejected(
            "tagged-pod",
            "what a tag names today is not what it names tomorrow",
            unpinned("Container", "app", "nginx:1.25"),
            pod(json!({ "containers": [container("app", "nginx:1.25", Some(true))] })),
        ),
        Case::accepted("pinned-pod", "its image is pinned", pod(json!({ "containers": [app()] }))),
        Case::rejected(
            "abridged-pod",
            "its digest is none",
            unpinned("Container", "app", "myapp:1.0@sha256:abc123..."),
            pod(json!({ "containers": [container("app", "myapp:1.0@sha256:abc123...", Some(true))] })),
        ),
        Case::rejected(
            "tagged-init",
            "its init container's image is not pinned",
            unpinned("Init container", "setup", "busybox"),
            pod(
                json!({ "initContainers": [container("setup", "busybox", Some(true))], "containers": [app()] }),
            ),
        ),
        Case::rejected(
            "tagged-debug",
            "it gets an ephemeral container whose image is not pinned",
            unpinned("Ephemeral container", "debug", "busybox:1.36"),
            ephemeral("busybox:1.36"),
        )
        .of(Operation::Ephemeral, &json!({ "spec": { "containers": [app()] } })),
        Case::accepted(
            "pinned-debug",
            "it gets an ephemeral container whose image is pinned",
            ephemeral(DEBUG),
        )
        .of(Operation::Ephemeral, &json!({ "spec": { "containers": [app()] } })),
    ];
    cases.extend(of_legacy(&pod(legacy), unpinned("Container", "app", "nginx:1.25")));
    cases.extend(of_exempt(&namespace, request));
    cases
}
