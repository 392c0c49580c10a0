//! A workload in which no rule finds anything, the image that it runs, and how both are changed.

use serde_json::{Value, json};

use super::super::*;
use crate::image::Config;
use crate::kube::Version;
use crate::manifest::Manifest;
use crate::manifest::tests as manifests;
use crate::plan::PathContent;
use crate::recipe::Purpose;
use crate::rootfs::dump::parse_image;

/// The image as the pod names it.
const NAME: &str = "registry.example.com/web:1";

/// A JSON pointer and what stands there; nothing takes it out.
pub(crate) type Edit = (&'static str, Value);

/// The digest of the image.
fn digest() -> String {
    format!("sha256:{}", "a".repeat(64))
}

/// The files of the image.
pub(crate) const FILES: &str = "
    /etc/passwd f \"www-data:x:33:33::/:/usr/sbin/nologin\\n\"
    /etc/nginx/nginx.conf f 100
    /usr/sbin/nginx f 0555 elf
    /usr/bin/closed f 0500 elf
    /usr/bin/data f 0444 10
    /var/run l /run
    /run d
    /data d
    /var/log/nginx/access.log l /dev/stdout
    /srv/www/index.html f 10
    /opt/plugins/module.so f 0555 elf
";

/// The image, hardened, with `files` more.
pub(crate) fn image(files: &str) -> Image {
    let mut plan = manifests::plan();
    plan.writable = vec![
        manifests::writable("/data", Purpose::State, PathContent::Empty, false),
        manifests::writable("/run", Purpose::Run, PathContent::Empty, true),
        manifests::writable("/var/cache/nginx", Purpose::Cache, PathContent::Absent, false),
        manifests::writable("/var/log/nginx", Purpose::Log, PathContent::LogLinks, false),
    ];
    let config = json!({
        "architecture": "amd64", "os": "linux",
        "config": {"User": "33:33", "Entrypoint": ["/usr/sbin/nginx"], "WorkingDir": "/"},
        "rootfs": {"type": "layers", "diff_ids": []},
    });
    Image {
        manifest: Manifest::new(&plan, &manifests::context()),
        origin: Origin::Recorded,
        rootfs: parse_image(&format!("{FILES}{files}")),
        config: Config::parse(config.to_string().as_bytes()).unwrap(),
        digests: vec![digest().parse().unwrap()],
    }
}

/// For Kubernetes 1.`minor`, with the image at hand, on a day.
pub(crate) fn options(minor: u32) -> Options {
    Options {
        version: Version(minor),
        today: Some("2026-11-29".into()),
        images: [(format!("{NAME}@{}", digest()), image(""))].into(),
        ..Options::default()
    }
}

/// A workload in which nothing is found with [`options`] for 1.35.
pub(crate) fn good() -> Value {
    let image = format!("{NAME}@{}", digest());
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop", "annotations": {"kiln.dev/debug": "kubectl debug …"}},
        "spec": {"template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {
                "serviceAccountName": "web",
                "automountServiceAccountToken": false,
                "enableServiceLinks": false,
                "securityContext": {
                    "runAsNonRoot": true,
                    "runAsUser": 33,
                    "runAsGroup": 33,
                    "fsGroup": 33,
                    "fsGroupChangePolicy": "OnRootMismatch",
                    "supplementalGroupsPolicy": "Strict",
                    "seccompProfile": {"type": "RuntimeDefault"},
                    "sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "80"}],
                },
                "containers": [{
                    "name": "app",
                    "image": image,
                    "imagePullPolicy": "IfNotPresent",
                    "terminationMessagePolicy": "FallbackToLogsOnError",
                    "ports": [{"name": "http", "containerPort": 80}],
                    "readinessProbe": {"httpGet": {"port": "http", "path": "/"}},
                    "livenessProbe": {"httpGet": {"port": "http", "path": "/"}, "failureThreshold": 6},
                    "resources": {
                        "requests": {"cpu": "100m", "memory": "64Mi", "ephemeral-storage": "256Mi"},
                        "limits": {"memory": "128Mi", "ephemeral-storage": "256Mi"},
                    },
                    "securityContext": {
                        "readOnlyRootFilesystem": true,
                        "allowPrivilegeEscalation": false,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    "volumeMounts": [
                        {"name": "run", "mountPath": "/run"},
                        {"name": "cache", "mountPath": "/var/cache/nginx"},
                        {"name": "data", "mountPath": "/data"},
                        {"name": "config", "mountPath": "/etc/nginx/conf.d", "readOnly": true},
                    ],
                }],
                "volumes": [
                    {"name": "run", "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}},
                    {"name": "cache", "emptyDir": {"sizeLimit": "64Mi"}},
                    {"name": "data", "persistentVolumeClaim": {"claimName": "web"}},
                    {"name": "config", "configMap": {"name": "web"}},
                ],
            },
        }},
    })
}

/// A pod with nothing but a name and an image.
pub(crate) fn pod(name: &str) -> Value {
    let container = json!({"name": "app", "image": "nginx:1"});
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [container]}})
}

/// `value` with the edits made; a pointer that ends in `/-` adds to a list.
pub(crate) fn edited(mut value: Value, edits: &[Edit]) -> Value {
    for (pointer, to) in edits {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let key = key.replace("~1", "/");
        let key = key.as_str();
        let parent = value.pointer_mut(parent).unwrap_or_else(|| panic!("{pointer}"));
        match parent {
            Value::Array(items) if key == "-" => items.push(to.clone()),
            Value::Array(items) if to.is_null() => drop(items.remove(key.parse().unwrap())),
            Value::Array(items) => items[key.parse::<usize>().unwrap()] = to.clone(),
            Value::Object(fields) if to.is_null() => drop(fields.remove(key)),
            Value::Object(fields) => drop(fields.insert(key.to_owned(), to.clone())),
            _ => panic!("{pointer}"),
        }
    }
    value
}

/// The audit of `text`.
pub(crate) fn audited(text: &str, options: &Options) -> Audit {
    let mut auditor = Auditor::new(options);
    auditor.text("x.yaml", text).unwrap();
    auditor.finish()
}

/// The rules whose findings count, each once, in the order of the table.
pub(crate) fn found(audit: &Audit) -> Vec<&'static str> {
    let is_found = |rule: &&Rule| audit.open().any(|finding| finding.rule.id == rule.id);
    rules::RULES.into_iter().filter(is_found).map(|rule| rule.id).collect()
}
