//! Pods as people write them.

use super::*;

const POD: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  terminationGracePeriodSeconds: 5
  securityContext:
    runAsUser: 33
    runAsGroup: 34
    runAsNonRoot: true
    supplementalGroups: [7]
    fsGroup: 8
    seccompProfile: {type: RuntimeDefault}
    sysctls: [{name: net.ipv4.ip_unprivileged_port_start, value: "80"}]
  volumes:
  - {name: run, emptyDir: {medium: Memory, sizeLimit: 16Mi}}
  - {name: data, persistentVolumeClaim: {claimName: data}}
  containers:
  - name: web
    image: web@sha256:0
    args: ["--name=$(NAME)", "$$(NAME)"]
    env: [{name: NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}, {name: B, value: "$(NAME)!"}]
    ports: [{name: http, containerPort: 8080}]
    securityContext:
      allowPrivilegeEscalation: false
      readOnlyRootFilesystem: true
      capabilities: {drop: [ALL], add: [NET_ADMIN]}
    volumeMounts: [{name: run, mountPath: /run}, {name: data, mountPath: /data, readOnly: true}]
    readinessProbe: {httpGet: {port: http, path: healthz}, periodSeconds: 5}
    livenessProbe: {exec: {command: [check, "a b"]}}
    resources: {limits: {memory: 1Gi, cpu: 1}}
"#;

#[test]
fn pod_is_read_with_all_that_says_how_it_runs() {
    let given = parse(POD).unwrap();
    assert_eq!((given.kind.as_str(), given.hostname.as_str(), given.grace), ("Pod", "web", 5));
    let container = &given.containers[0];
    assert_eq!(container.args, Some(vec!["--name=web".into(), "$(NAME)".into()]));
    assert_eq!(container.env, [("NAME".into(), "web".into()), ("B".into(), "web!".into())]);
    let security = &container.security;
    assert_eq!((security.user, security.group, security.fs_group), (Some(33), Some(34), Some(8)));
    assert_eq!(security.fs_group_change, GroupChange::Always);
    let rare = POD.replacen("fsGroup: 8", "fsGroupChangePolicy: OnRootMismatch", 1);
    assert_eq!(parse(&rare).unwrap().containers[0].security.fs_group_change, GroupChange::OnRootMismatch);
    assert!(security.read_only && !security.escalation && security.non_root && !security.privileged);
    assert_eq!((security.drop.join(" "), security.add.join(" ")), ("ALL".into(), "NET_ADMIN".into()));
    assert_eq!(security.seccomp, Seccomp::RuntimeDefault);
    assert_eq!(container.memory, Some(1 << 30));
    let mounts: Vec<_> = container
        .mounts
        .iter()
        .map(|mount| (&*mount.path, mount.medium, mount.size, mount.read_only))
        .collect();
    assert_eq!(
        mounts,
        [("/run", Medium::Memory, Some(16 << 20), false), ("/data", Medium::Claim, None, true)]
    );
    let page = Ask::Http { port: 8080, path: "/healthz".into(), host: None, scheme: Scheme::Http };
    assert_eq!(
        container.probes,
        [(ProbeKind::Readiness, page), (ProbeKind::Liveness, Ask::Exec(vec!["check".into(), "a b".into()]))]
    );
}

#[test]
fn template_of_a_workload_is_a_pod() {
    let set = "kind: StatefulSet\nmetadata: {name: db}\nspec:\n  replicas: 3\n  volumeClaimTemplates: [{metadata: {name: data}, spec: {}}]\n  \
        template:\n    metadata: {labels: {a: b}}\n    spec:\n      containers:\n      - {name: db, image: db, volumeMounts: [{name: data, mountPath: /d}]}\n";
    let given = parse(&format!("kind: ConfigMap\n---\n{set}---\n")).unwrap();
    assert_eq!((given.kind.as_str(), given.name.as_str()), ("StatefulSet", "db"));
    assert_eq!(given.containers[0].mounts[0].medium, Medium::Claim);
    let job = "kind: CronJob\nmetadata: {name: j}\nspec: {jobTemplate: {spec: {template: {spec: {containers: [{name: a, image: b}]}}}}}\n";
    assert_eq!(parse(job).unwrap().containers[0].image, "b");
}

#[test]
fn directory_of_a_volume_is_mounted_where_it_is_named() {
    let pod = POD.replacen("readOnly: true", "subPath: tree", 1);
    let mounts = &parse(&pod).unwrap().containers[0].mounts;
    let found: Vec<_> = mounts.iter().map(|mount| mount.sub_path.as_deref()).collect();
    assert_eq!(found, [None, Some("tree")]);
}

#[test]
fn volume_has_the_mode_that_the_pod_says() {
    let with = |volume: &str| parse(&POD.replacen("emptyDir: {medium: Memory, sizeLimit: 16Mi}", volume, 1));
    let mode = |volume: &str| with(volume).unwrap().containers[0].mounts[0].mode;
    assert_eq!(mode("emptyDir: {medium: Memory, mode: 1023}"), Some(0o1777));
    assert_eq!(mode("emptyDir: {}"), None);
    assert!(with("emptyDir: {mode: 4095}").unwrap_err().to_string().contains("is no mode of a volume"));
}

#[test]
fn files_of_a_config_map_beside_the_pod_are_in_its_volume_and_cannot_be_written() {
    let map = "kind: ConfigMap\nmetadata: {name: x}\ndata: {a.conf: \"a\"}\nbinaryData: {key: AP8=}\n";
    let with = |volume: &str| {
        let pod = POD.replacen("emptyDir: {medium: Memory, sizeLimit: 16Mi}", volume, 1);
        parse(&format!("{map}---\n{pod}"))
    };
    let mount = with("configMap: {name: x, defaultMode: 420}").unwrap().containers[0].mounts[0].clone();
    assert_eq!((mount.medium, mount.read_only), (Medium::Config, true));
    assert_eq!(mount.files, [("a.conf".into(), b"a".to_vec()), ("key".into(), vec![0, 255])]);
    let one = with("configMap: {name: x, items: [{key: key, path: other}]}").unwrap();
    assert_eq!(one.containers[0].mounts[0].files, [("other".into(), vec![0, 255])]);
    for (volume, expected) in [
        (
            "configMap: {name: x, items: [{key: none, path: a}]}",
            "items[0].key: `none` is not in the ConfigMap",
        ),
        ("configMap: {name: x, items: [{key: key, path: a/b}]}", "items[0].path: `a/b` is no name of a file"),
    ] {
        let error = with(volume).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let list = format!("kind: List\nitems:\n- {}", POD.trim_start().replace('\n', "\n  "));
    assert_eq!(parse(&list).unwrap(), parse(POD).unwrap());
    let strict = POD.replacen("mountPath: /run", "mountPath: /run, bindMountOptions: [noexec]", 1);
    assert!(parse(&strict).unwrap().containers[0].mounts[0].no_exec);
}

#[test]
fn what_is_not_understood_is_named() {
    let with = |from: &str, to: &str| {
        assert!(POD.contains(from), "{from}");
        parse(&POD.replacen(from, to, 1)).unwrap_err().to_string()
    };
    for (from, to, expected) in [
        ("args:", "lifecycle: {}\n    args:", ""),
        (
            "args:",
            "lifecycle: {preStop: {}}\n    args:",
            "spec.containers[0].lifecycle: this field is not understood",
        ),
        (
            "emptyDir: {medium: Memory, sizeLimit: 16Mi}",
            "configMap: {name: x}",
            "spec.volumes[0].configMap.name: `x` is no ConfigMap that stands beside the pod",
        ),
        (
            "emptyDir: {medium: Memory, sizeLimit: 16Mi}",
            "secret: {secretName: x}",
            "spec.volumes[0].secret: this field",
        ),
        ("Memory", "HugePages", "spec.volumes[0].emptyDir.medium: `HugePages` is a medium"),
        ("16Mi", "lots", "spec.volumes[0].emptyDir.sizeLimit: `lots` is no quantity"),
        ("type: RuntimeDefault", "type: Localhost", "spec.securityContext.seccompProfile.type: `Localhost`"),
        ("runAsUser: 33", "runAsUser: -1", "spec.securityContext.runAsUser: expected a number"),
        (
            "fsGroup: 8",
            "fsGroupChangePolicy: Never",
            "spec.securityContext.fsGroupChangePolicy: `Never` is no such policy",
        ),
        (
            "runAsNonRoot: true",
            "runAsNonRoot: \"yes\"",
            "spec.securityContext.runAsNonRoot: expected `true` or",
        ),
        ("port: http", "port: https", "spec.containers[0].readinessProbe.httpGet.port: `https` is no port"),
        ("metadata.name}", "spec.nodeName}", "valueFrom.fieldRef.fieldPath: `spec.nodeName` is known"),
        (
            "name: run, mountPath",
            "name: ran, mountPath",
            "spec.containers[0].volumeMounts[0].name: `ran` is no volume",
        ),
        ("readOnly: true", "subPathExpr: a", "spec.containers[0].volumeMounts[1].subPathExpr: this field"),
        ("readOnly: true", "subPath: a/../b", "spec.containers[0].volumeMounts[1].subPath: `a/../b` is no"),
        ("readOnly: true", "subPath: /a", "spec.containers[0].volumeMounts[1].subPath: `/a` is no"),
        ("terminationGracePeriodSeconds: 5", "hostPID: true", "spec.hostPID: `true` is not possible"),
        (
            "name: web\n    image",
            "name: web\n    envFrom: [{}]\n    image",
            "spec.containers[0].envFrom: this field",
        ),
    ] {
        let found = with(from, to);
        assert!(!expected.is_empty() || found.contains("lifecycle"), "{found}");
        assert!(found.contains(expected), "{found}");
    }
    for (text, expected) in [
        (
            "kind: Service",
            "expected a Pod, Deployment, StatefulSet, DaemonSet, ReplicaSet, ReplicationController, Job or CronJob, found Service",
        ),
        ("", "found none"),
        ("kind: Pod\n---\nkind: Pod\n", "expected one document that makes a pod, found 2"),
        ("kind: Pod", "spec.containers: missing"),
        ("a: [", "not YAML"),
        ("kind: Pod\nspec: 7", "spec: expected an object"),
    ] {
        let found = parse(text).unwrap_err().to_string();
        assert!(found.contains(expected), "{found}");
    }
}
