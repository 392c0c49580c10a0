//! For each rule what breaks it, and nothing else.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::super::*;
use super::fixture::{Edit, audited, edited, found, good, image, options};

/// What is changed, for which version, and which rules find something then.
struct Case {
    edits: Vec<Edit>,
    minor: u32,
    expect: &'static [&'static str],
}

fn case(expect: &'static [&'static str], edits: impl Into<Vec<Edit>>) -> Case {
    Case { edits: edits.into(), minor: 35, expect }
}

macro_rules! container {
    ($field:literal) => {
        concat!("/spec/template/spec/containers/0/", $field)
    };
}

macro_rules! spec {
    ($field:literal) => {
        concat!("/spec/template/spec/", $field)
    };
}

// Behind the macros, which it uses.
mod images;

fn filesystem() -> Vec<Case> {
    let mount = |name: &str, path: &str| json!({"name": name, "mountPath": path});
    vec![
        case(&["FS001"], [(container!("securityContext/readOnlyRootFilesystem"), json!(false))]),
        case(&["FS001"], [(container!("securityContext/readOnlyRootFilesystem"), json!("true"))]),
        case(&["FS002"], [(container!("volumeMounts/1"), Value::Null)]),
        case(&["FS002"], [(container!("volumeMounts/0/readOnly"), json!(true))]),
        // The command that the image starts anyhow, and with other arguments.
        case(
            &["FS002"],
            [
                (container!("volumeMounts/1"), Value::Null),
                (container!("command"), json!(["/usr/sbin/nginx"])),
                (container!("args"), json!(["-g", "daemon off;"])),
            ],
        ),
        case(
            &[],
            [
                (container!("volumeMounts/1"), Value::Null),
                (container!("command"), json!(["/usr/sbin/nginx", "-t"])),
            ],
        ),
        // Around what must be written is enough for the app, and more than it needs.
        case(&["FS003"], [(container!("volumeMounts/1/mountPath"), json!("/var/cache"))]),
        case(&["FS003"], [(container!("volumeMounts/-"), mount("cache", "/opt/other"))]),
        case(&["FS003", "FS004"], [(container!("volumeMounts/-"), mount("cache", "/usr/local/bin"))]),
        case(&["FS003", "FS004", "FS005"], [(container!("volumeMounts/-"), mount("cache", "/etc/"))]),
        case(&["FS003", "FS004", "FS005"], [(container!("volumeMounts/-"), mount("cache", "/opt/plugins"))]),
        case(&["FS003", "FS004"], [(container!("volumeMounts/-"), mount("cache", "//usr//local/bin"))]),
        case(&["FS003", "FS004"], [(container!("volumeMounts/-"), mount("cache", "usr/lib"))]),
        case(
            &["FS003", "FS004", "FS005", "PR016"],
            [
                (spec!("volumes/-"), json!({"name": "block", "rbd": {"image": "x"}})),
                (container!("volumeMounts/-"), mount("block", "/opt/plugins")),
            ],
        ),
        // Read-only at its source, whatever the mount says.
        case(
            &["FS005", "PR016"],
            [
                (spec!("volumes/-"), json!({"name": "block", "rbd": {"image": "x", "readOnly": true}})),
                (container!("volumeMounts/-"), mount("block", "/opt/plugins")),
            ],
        ),
        case(&["FS003", "FS005"], [(container!("volumeMounts/-"), mount("cache", "/srv/www"))]),
        case(&["FS006"], [(container!("volumeMounts/-"), mount("cache", "/var/log/nginx"))]),
    ]
}

fn volumes() -> Vec<Case> {
    let mount = |name: &str, path: &str| json!({"name": name, "mountPath": path});
    let volume = |name: &str| json!({"name": name, "emptyDir": {"sizeLimit": "1Mi"}});
    vec![
        case(&["FS007"], [(spec!("volumes/1/emptyDir"), json!({}))]),
        case(&["FS007"], [(spec!("volumes/1/emptyDir/sizeLimit"), json!(0))]),
        case(&["FS007"], [(spec!("volumes/1/emptyDir/sizeLimit"), json!("0"))]),
        case(&["FS007"], [(spec!("volumes/1/emptyDir/sizeLimit"), json!("64mb"))]),
        case(&["FS008"], [(spec!("volumes/0/emptyDir/sizeLimit"), json!("65Mi"))]),
        case(&["FS007", "FS008"], [(spec!("volumes/0/emptyDir/sizeLimit"), Value::Null)]),
        case(&["FS008", "RS001"], [(container!("resources/limits/memory"), Value::Null)]),
        case(&["FS009"], [(container!("resources/limits/ephemeral-storage"), json!("63Mi"))]),
        case(&["FS009"], [(container!("resources/requests/ephemeral-storage"), json!("1Ki"))]),
        // A limit alone is a request too.
        case(&[], [(container!("resources/requests/ephemeral-storage"), Value::Null)]),
        case(
            &["FS009"],
            [
                (container!("resources/requests/ephemeral-storage"), Value::Null),
                (container!("resources/limits/ephemeral-storage"), Value::Null),
            ],
        ),
        // Large pages are no disk.
        case(&[], [(spec!("volumes/1/emptyDir"), json!({"medium": "HugePages-2Mi", "sizeLimit": "1Gi"}))]),
        case(&["FS009"], [(spec!("volumes/1/emptyDir"), json!({"medium": "", "sizeLimit": "1Gi"}))]),
        case(&["FS011"], [(container!("volumeMounts/-"), mount("cache", "/var/run/"))]),
        case(&["FS011"], [(container!("volumeMounts/-"), mount("cache", "/run"))]),
        case(
            &["FS012", "FS017"],
            [
                (spec!("volumes/-"), json!({"name": "ro", "persistentVolumeClaim": {"claimName": "x"}})),
                (
                    container!("volumeMounts/-"),
                    json!({"name": "ro", "mountPath": "/var/cache", "readOnly": true}),
                ),
            ],
        ),
        // The kubelet makes the directory in a ConfigMap's volume.
        case(&["FS003"], [(container!("volumeMounts/-"), mount("cache", "/etc/nginx/conf.d/x"))]),
        case(&["FS014"], [(container!("volumeMounts/3/subPath"), json!("a.conf"))]),
        case(&["FS015"], [(container!("volumeMounts/3/readOnly"), Value::Null)]),
        case(
            &["FS003", "FS016"],
            [(container!("volumeMounts/-"), json!({"name": "data", "mountPath": "/srv/more"}))],
        ),
        case(
            &["FS018", "PR016"],
            [(spec!("volumes/-"), json!({"name": "log", "hostPath": {"path": "/var/log/x"}}))],
        ),
        case(
            &["FS019"],
            [
                (spec!("volumes/2"), volume("data")),
                (spec!("securityContext/fsGroup"), Value::Null),
                (spec!("securityContext/fsGroupChangePolicy"), Value::Null),
            ],
        ),
        case(
            &["FS020", "RS001", "RS002"],
            [(spec!("containers/-"), sidecar(&[("cache", "/var/cache/nginx")]))],
        ),
        case(
            &["FS003", "FS016", "FS020", "RS001", "RS002"],
            [
                ("/kind", json!("StatefulSet")),
                ("/spec/volumeClaimTemplates", json!([{"metadata": {"name": "files"}}])),
                (container!("volumeMounts/-"), mount("files", "/srv/files")),
                (spec!("containers/-"), sidecar(&[("files", "/srv/files")])),
            ],
        ),
        case(&["FS021"], [(spec!("securityContext/capabilities"), json!({"drop": ["ALL"]}))]),
    ]
}

/// A second container of the same image, which asks for nothing.
fn sidecar(mounts: &[(&str, &str)]) -> Value {
    let mounts: Vec<Value> =
        mounts.iter().map(|(name, path)| json!({"name": name, "mountPath": path})).collect();
    json!({
        "name": "more",
        "image": format!("alpine@sha256:{}", "b".repeat(64)),
        "securityContext": {
            "readOnlyRootFilesystem": true,
            "allowPrivilegeEscalation": false,
            "capabilities": {"drop": ["ALL"]},
        },
        "resources": {"requests": {"ephemeral-storage": "1Mi"}, "limits": {"ephemeral-storage": "1Mi"}},
        "volumeMounts": mounts,
    })
}

fn commands() -> Vec<Case> {
    let exec = |words: &[&str]| json!({"exec": {"command": words}});
    vec![
        case(&["FS022", "CF001"], [(container!("startupProbe"), exec(&["rm", "/bin/bash"]))]),
        case(
            &["FS022", "CF002"],
            [(container!("lifecycle"), json!({"postStart": exec(&["sh", "-c", "chmod -w /etc"])}))],
        ),
        // A mount by which it cannot be written, and a way out of one by which it can.
        case(
            &["FS022", "CF002"],
            [(container!("lifecycle"), json!({"postStart": exec(&["rm", "/etc/nginx/conf.d/a"])}))],
        ),
        case(
            &["FS022", "CF002"],
            [(container!("lifecycle"), json!({"postStart": exec(&["rm", "/run/../bin/sh"])}))],
        ),
        case(&["FS022", "CF002"], [(container!("lifecycle"), json!({"postStart": exec(&["rm", "ready"])}))]),
        case(
            &["CF002"],
            [(container!("lifecycle"), json!({"postStart": exec(&["ln", "-sf", "/data/a", "/data/b"])}))],
        ),
        case(
            &["CF002"],
            [(
                container!("lifecycle"),
                json!({"preStop": exec(&["sh", "-c", "rm -f /run/ready; sleep 5"]),
                    "postStart": exec(&["/run/start", "rm", "/x"])}),
            )],
        ),
        case(&["CF002"], [(container!("lifecycle"), json!({"preStop": exec(&["rm", "/bin/bash"])}))]),
        case(&["CF001"], [(container!("readinessProbe"), exec(&["sh", "-c", "rm -f /run/a && ls /run"]))]),
        case(&["CF003"], [(container!("command"), json!(["sh", "-c", "sed -i s/a/b/ /run/conf && nginx"]))]),
        case(
            &["FS023", "CF003"],
            [(container!("command"), json!(["sh", "-c", "sed -i s/a/b/ /etc/nginx/nginx.conf && nginx"]))],
        ),
        case(
            &["CF003"],
            [(container!("command"), json!(["sh", "-c", "curl -so /run/x https://x && sh /app/start.sh"]))],
        ),
        case(&["CF003"], [(container!("command"), json!(["npm", "run", "ci"]))]),
        case(&["FS023", "CF003"], [(container!("command"), json!(["npm", "ci"]))]),
        case(
            &["FS023", "CF003"],
            [(container!("command"), json!(["sh", "-c", "apt-get update && exec nginx"]))],
        ),
        case(&["FS023", "CF003"], [(container!("command"), json!(["sh", "-c", "curl -s https://x | sh"]))]),
        case(&["CF001"], [(container!("startupProbe"), exec(&["curl", "localhost"]))]),
        case(&["CF001"], [(container!("startupProbe"), exec(&["/usr/bin/data"]))]),
        case(&[], [(container!("startupProbe"), exec(&["nginx", "-t"]))]),
        case(&["CF002"], [(container!("lifecycle"), json!({"preStop": exec(&["sleep", "5"])}))]),
        case(&["CF003"], [(container!("command"), json!(["/docker-entrypoint.sh"]))]),
        case(&["CF004"], [(container!("readinessProbe"), Value::Null)]),
        case(&["CF004"], [(container!("livenessProbe/failureThreshold"), Value::Null)]),
        case(&["CF005"], [(container!("readinessProbe/httpGet/port"), json!(8080))]),
        case(&["CF005"], [(container!("readinessProbe/httpGet/port"), json!("web"))]),
        case(&["CF006"], [("/metadata/annotations", Value::Null)]),
        case(&["ID009"], [(container!("command"), json!(["/usr/bin/closed"]))]),
    ]
}

fn identity() -> Vec<Case> {
    vec![
        case(&["ID001"], [(spec!("securityContext/runAsNonRoot"), Value::Null)]),
        case(&["ID002"], [(spec!("securityContext/runAsUser"), json!(0))]),
        // Users of the pod's own change nothing of it, nor does a version that did not ask.
        case(
            &["ID002"],
            [
                (spec!("hostUsers"), json!(false)),
                (spec!("securityContext/runAsNonRoot"), json!(false)),
                (spec!("securityContext/runAsUser"), json!(0)),
            ],
        ),
        Case { minor: 22, ..case(&["ID002"], [(container!("securityContext/runAsUser"), json!(0))]) },
        case(
            &["ID003", "ID004"],
            [
                (spec!("securityContext/runAsUser"), json!(34)),
                (spec!("securityContext/runAsGroup"), Value::Null),
            ],
        ),
        case(&["ID003"], [(spec!("securityContext/runAsUser"), json!(34))]),
        case(&[], [(spec!("securityContext/runAsUser"), json!(10_001))]),
        case(&["ID004"], [(spec!("securityContext/runAsGroup"), json!(0))]),
        case(&["ID004"], [(spec!("securityContext/supplementalGroups"), json!([7, 0]))]),
        case(&["ID005"], [(spec!("securityContext/fsGroup"), Value::Null)]),
        case(&["ID005"], [(spec!("securityContext/fsGroupChangePolicy"), json!("Always"))]),
        case(&["ID006"], [(spec!("securityContext/supplementalGroupsPolicy"), json!("Merge"))]),
    ]
}

fn privilege() -> Vec<Case> {
    let armor = |profile: &str| {
        let annotations = json!({"container.apparmor.security.beta.kubernetes.io/app": profile});
        ("/spec/template/metadata/annotations", annotations)
    };
    vec![
        case(&["PR001"], [(container!("securityContext/privileged"), json!(true))]),
        case(&["PR002"], [(container!("securityContext/allowPrivilegeEscalation"), Value::Null)]),
        case(&["PR003"], [(container!("securityContext/capabilities/drop"), json!(["all"]))]),
        case(&["PR004"], [(container!("securityContext/capabilities/add"), json!(["NET_RAW"]))]),
        case(&["PR005"], [(container!("securityContext/capabilities/add"), json!(["NET_BIND_SERVICE"]))]),
        case(&["PR006"], [(spec!("securityContext/sysctls"), Value::Null)]),
        case(&["PR006"], [(spec!("securityContext/sysctls/0/value"), json!("81"))]),
        case(&["PR007"], [(spec!("securityContext/seccompProfile/type"), json!("Unconfined"))]),
        case(&["PR008"], [(spec!("securityContext/appArmorProfile"), json!({"type": "Unconfined"}))]),
        case(&["PR008"], [armor("runtime/default")]),
        Case { minor: 29, ..case(&[], [armor("runtime/default")]) },
        Case { minor: 29, ..case(&["PR008"], [armor("unconfined")]) },
        case(&["PR009"], [(container!("securityContext/procMount"), json!("Unmasked"))]),
        case(&["PR010"], [(spec!("securityContext/seLinuxOptions"), json!({"type": "spc_t"}))]),
        case(
            &["PR011"],
            [(spec!("securityContext/sysctls/-"), json!({"name": "kernel.msgmax", "value": "1"}))],
        ),
        case(&["PR012"], [(spec!("hostNetwork"), json!(true))]),
        case(&["PR013"], [(container!("ports/0/hostPort"), json!(80))]),
        case(&["PR014"], [(spec!("securityContext/windowsOptions"), json!({"hostProcess": true}))]),
        case(&["PR015"], [(container!("readinessProbe/httpGet/host"), json!("example.com"))]),
        case(&["PR016"], [(spec!("volumes/-"), json!({"name": "n", "nfs": {"server": "a", "path": "/"}}))]),
        case(&["PR017"], [(spec!("shareProcessNamespace"), json!(true))]),
        case(&["PR018"], [(container!("tty"), json!(true))]),
    ]
}

fn supply() -> Vec<Case> {
    let variable = |name: &str, value: &str| json!([{"name": name, "value": value}]);
    let from = json!([{"name": "P", "valueFrom": {"secretKeyRef": {"name": "s", "key": "p"}}}]);
    let other = format!("registry.example.com/web:1@sha256:{}", "c".repeat(64));
    let pinned: Value = json!("registry.example.com/web:1@sha256:abc123");
    vec![
        case(&["SC001", "SC010"], [(container!("image"), json!("other:1"))]),
        case(&["SC001", "SC010"], [(container!("image"), pinned)]),
        case(
            &["SC001", "SC002"],
            [(container!("image"), json!("other")), (container!("imagePullPolicy"), Value::Null)],
        ),
        case(&[], [(container!("image"), json!(other))]),
        case(&["SC001"], [(spec!("volumes/-"), json!({"name": "i", "image": {"reference": "models:1"}}))]),
        case(
            &["SC003"],
            [(
                "/metadata/annotations/kiln.dev~1writable-manifest",
                json!(format!("sha256:{}", "0".repeat(64))),
            )],
        ),
        case(&["SC004"], [(container!("env"), variable("DB_PASSWORD", "hunter2"))]),
        case(&["SC004"], [(container!("env"), variable("X", "AKIAIOSFODNN7EXAMPLE"))]),
        case(&["SC004"], [(container!("env"), variable("DATABASE_URL", "postgres://app:hunter2@db/app"))]),
        case(&["SC004"], [(container!("args"), json!(["--admin-password=hunter2"]))]),
        case(&["SC004"], [(container!("args"), json!(["--admin-password", "hunter2"]))]),
        case(&[], [(container!("args"), json!(["--admin-password=$(PASSWORD)", "--token-ttl", "forever"]))]),
        case(&[], [(container!("env"), variable("TOKEN_REFRESH_INTERVAL", "30s"))]),
        case(&[], [(container!("env"), variable("DB_PASSWORD_FILE", "/run/secrets/p"))]),
        case(&[], [(container!("env"), variable("DB_PASSWORD", "$(FROM_ELSEWHERE)"))]),
        case(&["SC005"], [(container!("env"), from)]),
        case(&["SC005"], [(container!("envFrom"), json!([{"secretRef": {"name": "s"}}]))]),
        case(&["SC006"], [(spec!("automountServiceAccountToken"), json!(true))]),
        case(&["SC007"], [(spec!("serviceAccountName"), json!("default"))]),
        case(&["SC008"], [(spec!("enableServiceLinks"), Value::Null)]),
        case(&["RS001"], [(container!("resources/requests/cpu"), Value::Null)]),
        case(&["RS001"], [(container!("resources/requests/cpu"), json!("0"))]),
        // A limit alone is a request too.
        case(&[], [(container!("resources/requests/memory"), Value::Null)]),
        case(&["RS002"], [(container!("terminationMessagePolicy"), json!("File"))]),
    ]
}

/// What only newer versions have.
fn versions() -> Vec<Case> {
    let at = |minor: u32, case: Case| Case { minor, ..case };
    let options = json!(["noexec", "nosuid", "nodev", "x"]);
    let bound: Vec<Edit> = vec![
        (container!("volumeMounts/0/bindMountOptions"), options.clone()),
        (container!("volumeMounts/1/bindMountOptions"), options.clone()),
        (container!("volumeMounts/2/bindMountOptions"), options),
        (spec!("hostUsers"), json!(false)),
    ];
    // The pod's own limit instead of the container's.
    let of_pod = || {
        let limits = json!({"limits": {"memory": "128Mi"}});
        vec![(container!("resources/limits/memory"), Value::Null), (spec!("resources"), limits)]
    };
    vec![
        at(37, case(&["FS010", "ID007"], [])),
        at(37, case(&[], bound)),
        at(36, case(&["ID007"], [])),
        at(36, case(&[], [(spec!("hostUsers"), json!(false))])),
        at(34, case(&[], [(spec!("securityContext/supplementalGroupsPolicy"), Value::Null)])),
        at(33, case(&[], [(container!("readinessProbe/httpGet/host"), json!("example.com"))])),
        at(33, case(&["FS008", "RS001"], of_pod())),
        at(34, case(&[], of_pod())),
    ]
}

fn all_cases() -> Vec<Case> {
    [filesystem(), volumes(), commands(), identity(), privilege(), supply(), versions()]
        .into_iter()
        .flatten()
        .collect()
}

#[test]
fn each_rule_finds_what_breaks_it_and_nothing_else() {
    assert_eq!(found(&audited(&good().to_string(), &options(35))), Vec::<&str>::new());
    let mut wrong = String::new();
    for Case { edits, minor, expect } in all_cases() {
        let value = edited(good(), &edits);
        let audit = audited(&value.to_string(), &options(minor));
        let mut expect = expect.to_vec();
        expect.sort_by_key(|id| rules::RULES.iter().position(|rule| rule.id == *id));
        if found(&audit) != expect {
            let lines: Vec<String> = audit.open().map(|f| format!("{}: {}", f.rule.id, f.message)).collect();
            let _ = writeln!(wrong, "{edits:?} at 1.{minor}: expected {expect:?}, found {lines:#?}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Rules whose cases are below, or in other files.
const ELSEWHERE: [&str; 13] = [
    "FS013", "FS024", "FS025", "ID008", "SC009", "OP001", "OP002", "OP003", "OP004", "OP005", "IG001",
    "IG002", "IG003",
];

#[test]
fn every_rule_has_a_case_that_breaks_it() {
    let broken: Vec<&str> = all_cases().iter().flat_map(|case| case.expect).copied().collect();
    for rule in rules::RULES {
        let here = broken.contains(&rule.id);
        assert!(here || ELSEWHERE.contains(&rule.id), "{} has no case", rule.id);
    }
}

/// What is found in the workload with `edits`, its image having `files` more and changed otherwise.
fn with(files: &str, change: &dyn Fn(&mut Image), edits: &[Edit]) -> Vec<&'static str> {
    let mut options = options(35);
    let mut image = image(files);
    change(&mut image);
    let name = options.images.keys().next().unwrap().clone();
    options.images.insert(name, image);
    found(&audited(&edited(good(), edits).to_string(), &options))
}

#[test]
fn what_an_image_declares_needs_a_mount_and_what_it_speaks_a_place() {
    let volume = |image: &mut Image| image.config.volumes = vec!["/var/lib/more".into()];
    assert_eq!(with("", &volume, &[]), ["FS013"]);
    let covered = |image: &mut Image| image.config.volumes = vec!["/data/".into()];
    assert_eq!(with("", &covered, &[]), Vec::<&str>::new());
    // Ruby wants a sticky /tmp, or another.
    let tmp = json!({"name": "run", "mountPath": "/tmp"});
    let mount: Edit = (container!("volumeMounts/-"), tmp);
    assert_eq!(with("/usr/bin/ruby f 0555 elf\n", &|_| {}, std::slice::from_ref(&mount)), ["FS003", "FS024"]);
    let directory: Edit = (container!("env"), json!([{"name": "TMPDIR", "value": "/run/tmp"}]));
    assert_eq!(with("/usr/bin/ruby f 0555 elf\n", &|_| {}, &[mount.clone(), directory]), ["FS003"]);
    assert_eq!(with("", &|_| {}, &[mount]), ["FS003"]);
    // An image that kiln did not make.
    assert_eq!(with("", &|image| image.origin = Origin::Planned, &[]), ["SC003"]);
    // A secret in its environment, and a user by name.
    let secret = |image: &mut Image| image.config.env = vec![("API_KEY".into(), "s3cr3t".into())];
    assert_eq!(with("", &secret, &[]), ["SC004"]);
    let named = |image: &mut Image| image.config.user = "www-data".into();
    assert_eq!(with("", &named, &[(spec!("securityContext/runAsUser"), Value::Null)]), ["ID002"]);
}

#[test]
fn volume_that_is_filled_before_need_not_be_written() {
    let mut init = sidecar(&[("files", "/fill")]);
    init["name"] = json!("fill");
    init["resources"] = good().pointer(container!("resources")).unwrap().clone();
    init["terminationMessagePolicy"] = json!("FallbackToLogsOnError");
    let edits: Vec<Edit> = vec![
        (spec!("initContainers"), json!([init])),
        (spec!("volumes/-"), json!({"name": "files", "emptyDir": {"sizeLimit": "1Mi"}})),
        (container!("volumeMounts/-"), json!({"name": "files", "mountPath": "/srv/www"})),
    ];
    assert_eq!(found(&audited(&edited(good(), &edits).to_string(), &options(35))), ["FS003", "FS025"]);
}

#[test]
fn ids_are_the_platforms_on_openshift() {
    let mut options = options(35);
    options.platform = Platform::Openshift;
    assert_eq!(found(&audited(&good().to_string(), &options)), ["ID008"]);
    let edits: Vec<Edit> = ["runAsUser", "runAsGroup", "fsGroup", "fsGroupChangePolicy"]
        .map(|field| (&*format!("/spec/template/spec/securityContext/{field}").leak(), Value::Null))
        .into();
    assert_eq!(found(&audited(&edited(good(), &edits).to_string(), &options)), Vec::<&str>::new());
}

#[test]
fn documents_around_the_pod_are_held_to_their_rules() {
    let found_in = |value: Value| found(&audited(&value.to_string(), &options(35)));
    let map = |immutable: bool| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "immutable": immutable});
    assert_eq!(found_in(map(false)), ["SC009"]);
    assert_eq!(found_in(map(true)), Vec::<&str>::new());
    let namespace = |version: &str| {
        let labels: serde_json::Map<String, Value> = ["enforce", "warn", "audit"]
            .iter()
            .flat_map(|mode| {
                let key = format!("pod-security.kubernetes.io/{mode}");
                [(format!("{key}-version"), json!(version)), (key, json!("restricted"))]
            })
            .collect();
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": labels}})
    };
    assert_eq!(found_in(namespace("latest")), ["OP001"]);
    assert_eq!(found_in(namespace("v1.35")), Vec::<&str>::new());
    for none in ["1.35", "banana", "", "v1.035", "v1."] {
        assert_eq!(found_in(namespace(none)), ["OP001"], "{none}");
    }
    let role = |resource: &str| {
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "r"},
            "rules": [{"apiGroups": [""], "resources": [resource], "verbs": ["get", "create"]}]})
    };
    assert_eq!(found_in(role("pods/exec")), ["OP005"]);
    assert_eq!(found_in(role("pods/log")), Vec::<&str>::new());
    let pod = edited(good(), &[]);
    let mut naked = pod["spec"]["template"].clone();
    naked["apiVersion"] = json!("v1");
    naked["kind"] = json!("Pod");
    naked["metadata"]["annotations"] = json!({"kiln.dev/debug": "…"});
    assert_eq!(found_in(naked), ["OP004"]);
}

#[test]
fn pods_are_held_against_the_policies_beside_them() {
    let policy = |text: &str| json!({"apiVersion": "kyverno.io/v1", "kind": "ClusterPolicy", "metadata": {"name": "p"}, "spec": {"rules": text}});
    let network = |namespace: &str, app: &str| {
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "metadata": {"name": "n", "namespace": namespace},
            "spec": {"podSelector": {"matchLabels": {"app": app}}}})
    };
    let with = |other: Value| found(&audited(&format!("{}\n---\n{other}\n", good()), &options(35)));
    assert_eq!(with(network("shop", "web")), Vec::<&str>::new());
    assert_eq!(with(network("shop", "db")), ["OP003"]);
    assert_eq!(with(network("other", "web")), ["OP003"]);
    // Whoever applies it may say another namespace than the pod's.
    assert_eq!(with(network("", "db")), ["OP003"]);
    let text = format!("{}\n---\n{}\n", good(), network("", "web"));
    let audit = audited(&text, &options(35));
    assert_eq!(found(&audit), Vec::<&str>::new());
    assert_eq!(audit.tally(rules::rule("OP003").unwrap()).undecided, 1);
    assert_eq!(with(policy("readOnlyRootFilesystem of containers")), ["OP002"]);
    assert_eq!(with(policy("readOnlyRootFilesystem of ephemeralContainers")), Vec::<&str>::new());
}

#[test]
fn what_can_be_written_of_the_node_is_critical_and_fails_the_checklist() {
    let severity = |mount: Value, host: Value| {
        let edits: Vec<Edit> = vec![
            (spec!("volumes/-"), json!({"name": "host", "hostPath": host})),
            (container!("volumeMounts/-"), mount),
        ];
        let audit = audited(&edited(good(), &edits).to_string(), &options(35));
        let finding = audit.findings.iter().find(|finding| finding.rule.id == "FS018").unwrap();
        let mark = audit.resources[0].checklist.unwrap().of(checklist::Point::NoHostPath);
        (finding.severity, mark)
    };
    let mount = |read_only: bool| json!({"name": "host", "mountPath": "/srv/host", "readOnly": read_only});
    let plain = json!({"path": "/srv/data"});
    assert_eq!(severity(mount(true), plain.clone()), (Severity::High, checklist::Mark::Holds));
    assert_eq!(severity(mount(false), plain), (Severity::Critical, checklist::Mark::Broken));
    for path in [
        "/",
        "//etc/",
        "/var",
        "/var/lib",
        "/run/containerd",
        "/var/lib/docker/overlay2",
        "/var/lib/kubelet/pki",
        "/etc/kubernetes",
        "/proc/1/root",
    ] {
        let host = json!({"path": path});
        assert_eq!(severity(mount(true), host), (Severity::Critical, checklist::Mark::Holds), "{path}");
    }
    for path in [
        "/var/log",
        "/var/log/pods",
        "/var/lib/app",
        "/etcd",
        "/mnt",
        "/etc/localtime",
        "/lib/modules",
        "/etc/ssl/certs",
    ] {
        let host = json!({"path": path});
        assert_eq!(severity(mount(true), host), (Severity::High, checklist::Mark::Holds), "{path}");
    }
    let socket = json!({"path": "/run/containerd/containerd.sock"});
    assert_eq!(severity(mount(true), socket), (Severity::Critical, checklist::Mark::Holds));
}
