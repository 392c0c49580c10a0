//! Tests of `kube::pod`.

#![allow(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]

use expect_test::expect;

use super::*;
use crate::evidence::EvidenceKind;
use crate::manifest::tests::{context, plan};
use crate::manifest::{EnvVar as ManifestEnv, ProbeEntry};

fn manifest() -> Manifest {
    Manifest::new(&plan(), &context())
}

fn options() -> PodOptions {
    PodOptions {
        source: format!("sha256:{}", "a".repeat(64)),
        source_image: String::new(),
        name: "My Nginx_1".to_owned(),
        image: format!("registry.example/nginx@sha256:{}", "b".repeat(64)),
        namespace: Some("web".to_owned()),
        run_as: RunAs::Manifest,
        united: Vec::new(),
    }
}

#[test]
fn pod_of_several_platforms_names_every_manifest_and_no_user_where_they_differ() {
    let digest = BlobDigest::of(b"manifest");
    let united = vec![("linux/amd64".to_owned(), digest), ("linux/arm/v7".to_owned(), digest)];
    let options = PodOptions { run_as: RunAs::Image, united, ..options() };
    rendered_is_the_pod(&manifest(), &options);
    let pod = pod(&manifest(), &options);
    let annotations: Vec<String> = pod.metadata.annotations.unwrap().into_keys().collect();
    assert_eq!(
        annotations,
        [
            "kiln.dev/source",
            "kiln.dev/writable-manifest.linux-amd64",
            "kiln.dev/writable-manifest.linux-arm-v7"
        ]
    );
    let security = pod.spec.unwrap().security_context.unwrap();
    assert_eq!((security.run_as_user, security.run_as_group), (None, None));
    assert_eq!(security.run_as_non_root, Some(true));
}

fn rendered_is_the_pod(manifest: &Manifest, options: &PodOptions) -> String {
    let text = render_pod(manifest, options);
    let read: Pod = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(read, pod(manifest, options), "{text}");
    text
}

#[test]
fn pod_of_nginx_has_exactly_what_it_needs() {
    // The manifest's digest follows the version of kiln; all else is fixed.
    let text = rendered_is_the_pod(&manifest(), &options());
    let digest = BlobDigest::of(manifest().render().as_bytes()).to_string();
    let text = text.replace(&digest, "MANIFEST").replace(env!("CARGO_PKG_VERSION"), "VERSION");
    expect![[r##"
        # Fits the image that kiln VERSION made from sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.
        # No mount at /srv/data: must be writable, but a volume would hide 2 files of the image.
        # No mount at /var/log/nginx: holds links to the log streams, which a volume would hide.
        apiVersion: v1
        kind: Pod
        metadata:
          annotations:
            kiln.dev/source: sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
            kiln.dev/writable-manifest: MANIFEST
          labels:
            app.kubernetes.io/managed-by: kiln
            app.kubernetes.io/name: my-nginx-1
          name: my-nginx-1
          namespace: web
        spec:
          automountServiceAccountToken: false
          containers:
          - env:
            - name: PYTHONDONTWRITEBYTECODE
              value: "1"
            image: registry.example/nginx@sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
            imagePullPolicy: IfNotPresent
            livenessProbe:
              failureThreshold: 6
              httpGet:
                path: /
                port: http
              periodSeconds: 10
              timeoutSeconds: 2
            name: my-nginx-1
            ports:
            - containerPort: 80
              name: http
              protocol: TCP
            readinessProbe:
              failureThreshold: 3
              httpGet:
                path: /
                port: http
              periodSeconds: 5
              timeoutSeconds: 2
            resources:
              limits:
                ephemeral-storage: 144Mi
                memory: 512Mi
              requests:
                cpu: 100m
                ephemeral-storage: 144Mi
                memory: 128Mi
            securityContext:
              allowPrivilegeEscalation: false
              capabilities:
                drop:
                - ALL
              privileged: false
              readOnlyRootFilesystem: true
              runAsNonRoot: true
            startupProbe:
              failureThreshold: 30
              httpGet:
                path: /
                port: http
              periodSeconds: 2
              timeoutSeconds: 2
            terminationMessagePolicy: FallbackToLogsOnError
            volumeMounts:
            # run (proven): /etc/nginx/nginx.conf:4: pid /run/nginx.pid
            - mountPath: /run
              name: w-run-b3d4
            # cache (proven): /etc/nginx/nginx.conf:4: pid /run/nginx.pid
            - mountPath: /var/lib/nginx
              name: w-var-lib-nginx-fc95
          enableServiceLinks: false
          os:
            name: linux
          securityContext:
            runAsGroup: 33
            runAsNonRoot: true
            runAsUser: 33
            seccompProfile:
              type: RuntimeDefault
            supplementalGroups:
            - 4
            sysctls:
            - name: net.ipv4.ip_unprivileged_port_start
              value: "80"
          volumes:
          - emptyDir:
              medium: Memory
              sizeLimit: 16Mi
            name: w-run-b3d4
          - emptyDir:
              sizeLimit: 16Mi
            name: w-var-lib-nginx-fc95
    "##]].assert_eq(&text);
}

#[test]
fn strings_that_look_like_other_things_stay_strings() {
    let mut manifest = manifest();
    let tricky = [
        "0",
        "yes",
        "1e3",
        "0x1f",
        "~",
        "null",
        "2026-01-01",
        "12:30:45",
        "a: b",
        "# x",
        "- y",
        "",
        " z ",
        "line\nvolumeMounts:\n- mountPath: /etc",
        "\u{2028}x\u{85}",
        "'\"\\",
        "&a",
        "*b",
        "!c",
        "%d",
        "@e",
        "`f",
        "{g}",
        "$(HOME)",
        "é",
    ];
    manifest.env_added = tricky
        .iter()
        .enumerate()
        .map(|(at, value)| ManifestEnv { name: format!("V{at}"), value: (*value).to_owned(), why: None })
        .collect();
    let text = rendered_is_the_pod(&manifest, &options());
    for word in ["value: yes\n", "value: 0\n", "value: 1e3\n", "value: 2026-01-01\n", "value: 12:30:45\n"] {
        assert!(!text.contains(word), "{word}{text}");
    }
    assert!(text.contains("$$(HOME)"), "{text}");
}

#[test]
fn evidence_cannot_leave_its_comment() {
    let mut manifest = manifest();
    for path in &mut manifest.paths {
        path.evidence[0].detail = "x\n  - name: evil\r\u{85}\u{2028}\u{2029}\u{1b}[0m\u{202e}".to_owned();
    }
    manifest.source_chain_id = "a\nb: c".to_owned();
    let text = rendered_is_the_pod(&manifest, &options());
    assert!(!text.contains("- name: evil\n"));
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text}");
}

#[test]
fn every_mount_has_its_evidence_above_it_and_its_volume() {
    let mut manifest = manifest();
    let template = manifest.paths[0].clone();
    manifest.paths = ["/run", "/run/a-b", "/run/a/b", "/run/A b"]
        .into_iter()
        .map(|path| Path { path: path.to_owned(), ..template.clone() })
        .collect();
    manifest.paths[3].evidence[0].detail = "e".repeat(1000);
    let text = rendered_is_the_pod(&manifest, &options());
    let lines: Vec<&str> = text.lines().collect();
    let mounts: Vec<usize> = (0..lines.len()).filter(|&at| lines[at].contains("mountPath:")).collect();
    assert_eq!(mounts.len(), 4);
    for at in mounts {
        assert!(lines[at - 1].trim_start().starts_with("# run (proven): /etc/nginx/nginx.conf:4"), "{text}");
    }
    let spec = pod(&manifest, &options()).spec.unwrap();
    let volumes: Vec<String> = spec.volumes.unwrap().into_iter().map(|volume| volume.name).collect();
    let mounts: Vec<String> =
        spec.containers[0].volume_mounts.clone().unwrap().into_iter().map(|mount| mount.name).collect();
    assert_eq!(volumes, mounts);
    for name in &volumes {
        assert_eq!(&dns_label(name), name);
    }
    let distinct: std::collections::BTreeSet<_> = volumes.iter().collect();
    assert_eq!(distinct.len(), 4);
}

#[test]
fn ports_above_1023_need_no_sysctl_and_the_lowest_decides() {
    let sysctl = |ports: &[u16]| {
        let mut manifest = manifest();
        let template = manifest.ports[0].clone();
        manifest.ports =
            ports.iter().map(|&port| crate::manifest::PortEntry { port, ..template.clone() }).collect();
        pod(&manifest, &options())
            .spec
            .unwrap()
            .security_context
            .unwrap()
            .sysctls
            .map(|list| list[0].value.clone())
    };
    assert_eq!(sysctl(&[8080]), None);
    assert_eq!(sysctl(&[443, 80, 8080]), Some("80".to_owned()));
    assert_eq!(sysctl(&[]), None);
}

#[test]
fn limits_hold_all_volumes() {
    let mut manifest = manifest();
    let template = manifest.paths[0].clone();
    let of = |path: &str, volume| Path { path: path.to_owned(), volume, ..template.clone() };
    manifest.paths = vec![
        of("/a", Volume::Memory { size_limit: 512 << 20 }),
        of("/b", Volume::Disk { size_limit: 1 << 30 }),
        of("/c", Volume::Disk { size_limit: 256 << 20 }),
    ];
    let resources = pod(&manifest, &options()).spec.unwrap().containers[0].resources.clone().unwrap();
    let limits = resources.limits.unwrap();
    assert_eq!(limits["memory"].0, "1Gi");
    assert_eq!(limits["ephemeral-storage"].0, "1408Mi");
    assert_eq!(resources.requests.unwrap()["ephemeral-storage"].0, "1408Mi");
}

#[test]
fn probes_ask_the_port_that_is_listened_on() {
    let mut manifest = manifest();
    let mut announced = manifest.ports[0].clone();
    announced.port = 79;
    announced.name = "other".to_owned();
    announced.evidence[0].kind = EvidenceKind::Config;
    manifest.ports.insert(0, announced);
    let container = pod(&manifest, &options()).spec.unwrap().containers.remove(0);
    let target = serde_json::to_value(container.liveness_probe.unwrap()).unwrap();
    assert_eq!(target["httpGet"]["port"], "http");
    manifest.probe = Some(ProbeEntry::Tcp);
    let container = pod(&manifest, &options()).spec.unwrap().containers.remove(0);
    let target = serde_json::to_value(container.startup_probe.unwrap()).unwrap();
    assert_eq!(target["tcpSocket"]["port"], "http");
    for (kind, source, is_told) in [
        (EvidenceKind::Config, "config ExposedPorts", false),
        (EvidenceKind::Recipe, "recipe caddy", false),
        (EvidenceKind::Config, "config Env", true),
        (EvidenceKind::Config, "command line", true),
        (EvidenceKind::Directive, "/etc/nginx/nginx.conf:3", true),
    ] {
        let mut manifest = manifest.clone();
        for port in &mut manifest.ports {
            port.evidence.truncate(1);
            port.evidence[0].kind = kind;
            port.evidence[0].source = source.to_owned();
        }
        let container = pod(&manifest, &options()).spec.unwrap().containers.remove(0);
        let kills = [container.liveness_probe.is_some(), container.startup_probe.is_some()];
        assert_eq!((kills, container.readiness_probe.is_some()), ([is_told; 2], true), "{source}");
    }
    manifest.probe = None;
    let container = pod(&manifest, &options()).spec.unwrap().containers.remove(0);
    assert!(container.liveness_probe.is_none() && container.startup_probe.is_none());
    assert!(container.readiness_probe.is_some());
    manifest.ports.clear();
    let container = pod(&manifest, &options()).spec.unwrap().containers.remove(0);
    assert!(container.readiness_probe.is_none() && container.ports.is_none());
}

#[test]
fn names_become_dns_labels() {
    for (text, expect) in [
        ("nginx", "nginx"),
        ("My Nginx_1", "my-nginx-1"),
        ("--..", "app"),
        ("", "app"),
        ("registry.example/a/b:1", "registry-example-a-b-1"),
    ] {
        assert_eq!(dns_label(text), expect, "{text}");
    }
    let long = dns_label(&format!("{}-x", "a".repeat(62)));
    assert_eq!(long, "a".repeat(62));
}

/// One control of the Pod Security Standards: its name, and whether a pod (as JSON) breaks it.
type Control = (&'static str, fn(&serde_json::Value) -> bool);

/// The controls of level `restricted`, baseline's included, as
/// <https://kubernetes.io/docs/concepts/security/pod-security-standards/> lists them.
const RESTRICTED: &[Control] = &[
    ("host process", |pod| pod["spec"]["securityContext"]["windowsOptions"]["hostProcess"] == true),
    ("host namespaces", |pod| {
        ["hostNetwork", "hostPID", "hostIPC"].iter().any(|field| pod["spec"][field] == true)
    }),
    ("privileged containers", |pod| containers(pod).any(|c| c["securityContext"]["privileged"] == true)),
    ("capabilities: drop ALL", |pod| {
        containers(pod)
            .any(|c| !list(&c["securityContext"]["capabilities"]["drop"]).any(|name| name == "ALL"))
    }),
    ("capabilities: add only NET_BIND_SERVICE", |pod| {
        containers(pod).any(|c| {
            list(&c["securityContext"]["capabilities"]["add"]).any(|name| name != "NET_BIND_SERVICE")
        })
    }),
    ("host path volumes", |pod| list(&pod["spec"]["volumes"]).any(|volume| !volume["hostPath"].is_null())),
    ("host ports", |pod| {
        containers(pod)
            .any(|c| list(&c["ports"]).any(|port| !port["hostPort"].is_null() && port["hostPort"] != 0))
    }),
    ("host probes", |pod| {
        let probes = ["livenessProbe", "readinessProbe", "startupProbe"];
        containers(pod).any(|c| {
            probes.iter().any(|probe| {
                !c[probe]["httpGet"]["host"].is_null() || !c[probe]["tcpSocket"]["host"].is_null()
            })
        })
    }),
    ("apparmor", |pod| pod["spec"]["securityContext"]["appArmorProfile"]["type"] == "Unconfined"),
    ("selinux", |pod| !pod["spec"]["securityContext"]["seLinuxOptions"].is_null()),
    ("proc mount", |pod| {
        containers(pod).any(|c| !matches!(c["securityContext"]["procMount"].as_str(), None | Some("Default")))
    }),
    ("seccomp", |pod| {
        let is_fine = |context: &serde_json::Value| {
            matches!(context["seccompProfile"]["type"].as_str(), Some("RuntimeDefault" | "Localhost"))
        };
        !is_fine(&pod["spec"]["securityContext"]) && !containers(pod).all(|c| is_fine(&c["securityContext"]))
    }),
    ("sysctls", |pod| {
        let safe = [
            "kernel.shm_rmid_forced",
            "net.ipv4.ip_local_port_range",
            "net.ipv4.ip_unprivileged_port_start",
            "net.ipv4.tcp_syncookies",
            "net.ipv4.ping_group_range",
        ];
        list(&pod["spec"]["securityContext"]["sysctls"])
            .any(|sysctl| !safe.iter().any(|name| sysctl["name"] == *name))
    }),
    ("volume types", |pod| {
        let allowed = [
            "configMap",
            "csi",
            "downwardAPI",
            "emptyDir",
            "ephemeral",
            "persistentVolumeClaim",
            "projected",
            "secret",
        ];
        list(&pod["spec"]["volumes"]).any(|volume| !allowed.iter().any(|kind| !volume[kind].is_null()))
    }),
    ("privilege escalation", |pod| {
        containers(pod).any(|c| c["securityContext"]["allowPrivilegeEscalation"] != false)
    }),
    ("run as non-root", |pod| {
        pod["spec"]["securityContext"]["runAsNonRoot"] != true
            && !containers(pod).all(|c| c["securityContext"]["runAsNonRoot"] == true)
            || containers(pod).any(|c| c["securityContext"]["runAsNonRoot"] == false)
    }),
    ("run as non-root user", |pod| {
        pod["spec"]["securityContext"]["runAsUser"] == 0
            || containers(pod).any(|c| c["securityContext"]["runAsUser"] == 0)
    }),
];

fn list(value: &serde_json::Value) -> impl Iterator<Item = &serde_json::Value> {
    value.as_array().into_iter().flatten()
}

fn containers(pod: &serde_json::Value) -> impl Iterator<Item = &serde_json::Value> {
    ["initContainers", "containers", "ephemeralContainers"]
        .into_iter()
        .flat_map(|kind| list(&pod["spec"][kind]))
}

fn broken(pod: &serde_json::Value) -> Vec<&'static str> {
    RESTRICTED.iter().filter(|(_, breaks)| breaks(pod)).map(|(name, _)| *name).collect()
}

#[test]
fn pod_meets_every_control_of_the_restricted_standard() {
    let value = serde_json::to_value(pod(&manifest(), &options())).unwrap();
    assert_eq!(broken(&value), Vec::<&str>::new());
}

#[test]
fn the_checker_of_the_standard_sees_what_breaks_it() {
    let good = serde_json::to_value(pod(&manifest(), &options())).unwrap();
    for (pointer, field, value, expect) in [
        ("/spec", "hostPID", serde_json::json!(true), "host namespaces"),
        (
            "/spec/containers/0/securityContext",
            "privileged",
            serde_json::json!(true),
            "privileged containers",
        ),
        (
            "/spec/containers/0/securityContext/capabilities",
            "drop",
            serde_json::json!(["all"]),
            "capabilities: drop ALL",
        ),
        (
            "/spec/containers/0/securityContext/capabilities",
            "add",
            serde_json::json!(["CHOWN"]),
            "capabilities: add only NET_BIND_SERVICE",
        ),
        (
            "/spec/containers/0/securityContext",
            "allowPrivilegeEscalation",
            serde_json::json!(null),
            "privilege escalation",
        ),
        ("/spec/containers/0/ports/0", "hostPort", serde_json::json!(80), "host ports"),
        ("/spec/containers/0/livenessProbe/httpGet", "host", serde_json::json!("x"), "host probes"),
        ("/spec/securityContext", "seccompProfile", serde_json::json!({"type": "Unconfined"}), "seccomp"),
        ("/spec/securityContext", "sysctls", serde_json::json!([{"name": "kernel.msgmax"}]), "sysctls"),
        ("/spec/securityContext", "runAsUser", serde_json::json!(0), "run as non-root user"),
        ("/spec/volumes/0", "emptyDir", serde_json::json!(null), "volume types"),
    ] {
        let mut bad = good.clone();
        bad.pointer_mut(pointer).unwrap()[field] = value;
        assert_eq!(broken(&bad), [expect], "{pointer}/{field}");
    }
}

#[test]
fn what_the_helper_fills_is_mounted_for_it_first_and_then_a_directory_of_it_for_the_app() {
    let mut manifest = manifest();
    let path = manifest.paths.iter_mut().find(|path| path.path == "/srv/data").unwrap();
    (path.seeded, path.volume) = (true, Volume::Disk { size_limit: 1 << 30 });
    let named = |name: &str| PodOptions { name: name.to_owned(), ..options() };
    let spec = pod(&manifest, &named("web")).spec.unwrap();
    let [init] = spec.init_containers.as_deref().unwrap() else { panic!("one init container") };
    let [app] = spec.containers.as_slice() else { panic!("one container") };
    assert_eq!(init.command.as_deref(), Some(&["/.kiln/seed".to_owned()][..]));
    assert_eq!(
        (&init.image, &init.security_context, &init.resources),
        (&app.image, &app.security_context, &app.resources)
    );
    assert_eq!((init.env.as_ref(), init.ports.as_ref(), init.args.as_ref()), (None, None, None));
    let mounts = |container: &Container| -> Vec<(String, String, Option<String>)> {
        let mounts = container.volume_mounts.iter().flatten();
        mounts
            .map(|mount| (mount.name.clone(), mount.mount_path.clone(), mount.sub_path.clone()))
            .filter(|(name, ..)| name.contains("srv-data"))
            .collect()
    };
    let [(volume, at, None)] = &mounts(init)[..] else { panic!("{:?}", mounts(init)) };
    assert_eq!(at, "/.kiln/volumes/srv/data");
    assert_eq!(mounts(app), [(volume.clone(), "/srv/data".to_owned(), Some("tree".to_owned()))]);

    let text = rendered_is_the_pod(&manifest, &named("web"));
    assert!(!text.contains("No mount at /srv/data"), "{text}");
    assert!(text.contains("volumes that are not filled yet.\n  initContainers:\n"), "{text}");
    // Names of a pod's containers differ.
    let spec = pod(&manifest, &named("kiln-seed")).spec.unwrap();
    assert_ne!(spec.init_containers.unwrap()[0].name, spec.containers[0].name);
}

#[test]
fn container_of_the_source_is_of_the_image_that_this_one_was_made_from_and_does_what_the_manifest_says() {
    let mut manifest = manifest();
    let argv = ["/entry.sh", "app", "$(HOME)"].map(str::to_owned).to_vec();
    manifest.preparing = Some(crate::manifest::SourceCommand { argv });
    let origin: BlobDigest = options().source.parse().unwrap();
    let options = PodOptions { source_image: format!("registry.example/base@{origin}"), ..options() };
    let init = pod(&manifest, &options).spec.unwrap().init_containers.unwrap();
    let [.., init] = init.as_slice() else { panic!("no init container") };
    let app = &pod(&manifest, &options).spec.unwrap().containers[0];
    assert_eq!(init.command.as_ref().unwrap(), &["/entry.sh", "app", "$$(HOME)"]);
    assert_eq!((&init.security_context, &init.volume_mounts), (&app.security_context, &app.volume_mounts));
    let image: BlobDigest = format!("sha256:{}", "b".repeat(64)).parse().unwrap();
    let text = render_pod(&manifest, &options);
    let follows = |text: &str, origin: Option<&BlobDigest>| {
        is_pod_of(text, &manifest, &image, origin, RunAs::Manifest, &[])
    };
    assert!(follows(&text, Some(&origin)));
    // Nobody says what it was made from; another image, also where the pod says that it was made from that one; no digest;
    // another command.
    let other = format!("sha256:{}", "c".repeat(64));
    assert!(!follows(&text, None));
    assert!(!follows(&text.replace(&format!("base@{origin}"), &format!("base@{other}")), Some(&origin)));
    assert!(!follows(&text.replace(&origin.to_string(), &other), Some(&origin)));
    assert!(!follows(&text.replace(&format!("base@{origin}"), "base:latest"), Some(&origin)));
    assert!(!follows(&text.replace("- /entry.sh", "- /bin/sh"), Some(&origin)));
}

#[test]
fn where_the_image_has_no_helper_the_source_fills_volumes_before_it_prepares_anything() {
    let mut manifest = manifest();
    let path = manifest.paths.iter_mut().find(|path| path.path == "/srv/data").unwrap();
    (path.seeded, path.volume) = (true, Volume::Disk { size_limit: 1 << 30 });
    let command = |words: &[&str]| {
        let argv = words.iter().map(|word| (*word).to_owned()).collect();
        Some(crate::manifest::SourceCommand { argv })
    };
    manifest.seeding = command(&["sh", "-c", "cp '/srv/data/$(x)'"]);
    manifest.preparing = command(&["/entry.sh", "true"]);
    let origin: BlobDigest = options().source.parse().unwrap();
    let options = PodOptions { source_image: format!("registry.example/base@{origin}"), ..options() };
    let spec = pod(&manifest, &options).spec.unwrap();
    let [fills, prepares] = spec.init_containers.as_deref().unwrap() else { panic!("two init containers") };
    assert_eq!((&fills.image, &prepares.image), (&prepares.image, &Some(options.source_image.clone())));
    assert_eq!(fills.command.as_ref().unwrap(), &["sh", "-c", "cp '/srv/data/$$(x)'"]);
    assert_eq!(fills.security_context, spec.containers[0].security_context);
    let points: Vec<&str> =
        fills.volume_mounts.iter().flatten().map(|mount| mount.mount_path.as_str()).collect();
    assert_eq!(points, ["/.kiln/volumes/srv/data"]);
    let text = rendered_is_the_pod(&manifest, &options);
    assert!(text.contains("# The source image copies what the image has there"), "{text}");
    let image: BlobDigest = format!("sha256:{}", "b".repeat(64)).parse().unwrap();
    let follows = |text: &str, origin| is_pod_of(text, &manifest, &image, origin, RunAs::Manifest, &[]);
    assert!(follows(&text, Some(&origin)) && !follows(&text, None));
    assert!(!follows(&text.replace("- sh\n", "- bash\n"), Some(&origin)));
}

proptest::proptest! {
    #[test]
    fn what_kubernetes_expands_is_what_was_meant(text in "[$()a]{0,12}") {
        let expanded = crate::kube::given::expand::expand(&literal(&text), |_| Some("other".to_owned()));
        proptest::prop_assert_eq!(expanded, text);
    }
}
