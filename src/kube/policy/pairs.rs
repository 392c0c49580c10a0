//! Pods that a rule accepts and pods that it rejects, with what it says of them.
//!
//! Knows the rules' words, not the engines: each engine writes them as its own tools read them.

use serde_json::{Value, json};

use super::cel::MUST_BE_READ_ONLY;
use super::document::{at, push, put};
use super::{Image, Request};

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
            "operation": if self.operation == Operation::Create { "CREATE" } else { "UPDATE" },
            "userInfo": { "username": "kiln" },
            "object": self.pod,
        });
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
    fn of(mut self, operation: Operation, old: Value) -> Self {
        self.operation = operation;
        self.old = old;
        put(&mut self.old, "/metadata", at(&self.pod, "/metadata").clone());
        self
    }
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
        .of(Operation::Ephemeral, json!({ "spec": { "containers": [app()] } })),
        Case::accepted(
            "immutable-debug",
            "it gets an ephemeral container with a read-only root",
            ephemeral(container("debug", "busybox:1.36", Some(true))),
        )
        .of(Operation::Ephemeral, json!({ "spec": { "containers": [app()] } })),
        Case::accepted(
            "legacy-pod",
            "it was there before the policy, and what cannot be changed must not keep it from ending",
            pod(legacy.clone()),
        )
        .of(Operation::Update, json!({ "spec": legacy })),
    ];
    cases.extend(request.exempt.iter().take(1).map(|prefix| {
        let image = format!("{}sidecar:1", prefix.trim_end_matches('*'));
        let why = "its image is let through";
        Case::accepted("exempt-pod", why, pod(json!({ "containers": [container("proxy", &image, None)] })))
    }));
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
        .of(Operation::Ephemeral, json!({ "spec": { "containers": [app()] } })),
        Case::accepted(
            "pinned-debug",
            "it gets an ephemeral container whose image is pinned",
            ephemeral(DEBUG),
        )
        .of(Operation::Ephemeral, json!({ "spec": { "containers": [app()] } })),
        Case::accepted(
            "legacy-pod",
            "it was there before the policy, and what cannot be changed must not keep it from ending",
            pod(legacy.clone()),
        )
        .of(Operation::Update, json!({ "spec": legacy })),
    ];
    cases.extend(request.exempt.iter().take(1).map(|prefix| {
        let image = format!("{}sidecar:1", prefix.trim_end_matches('*'));
        let why = "its image is let through";
        Case::accepted("exempt-pod", why, pod(json!({ "containers": [container("proxy", &image, None)] })))
    }));
    cases
}

/// For `cel::mounts`: the pod that kiln writes for the image, and what an intruder would make of it.
pub(super) fn mounts(image: &Image, request: &Request) -> Vec<Case> {
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
            with(extra(), json!({ "name": "extra", "mountPath": "/usr/local" })),
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
        .of(Operation::Ephemeral, before),
    ];
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

/// For Pod Security admission: one pod that the restricted standard accepts, and one for each thing that it asks.
pub(super) fn restricted(namespace: &str) -> Vec<Case> {
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
