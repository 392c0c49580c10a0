//! Each control, at each version: pods that break it and pods that do not.

use serde_json::json;

use super::*;

/// The controls that a pod breaks, without what is the same for all.
fn broken(level: Level, minor: u32, yaml: &str) -> Vec<&'static str> {
    let pod: Value = serde_saphyr::from_str(yaml).unwrap_or_else(|error| panic!("{yaml}: {error}"));
    let nothing = Value::Null;
    let part = |name: &str| pod.get(name).unwrap_or(&nothing);
    let found = evaluate(level, Version(minor), part("metadata"), part("spec"));
    assert!(found.iter().all(|violation| !violation.fields.is_empty() && !violation.message.is_empty()));
    found.iter().map(|violation| violation.control).collect()
}

/// What breaks nothing in any version: with this in the pod, its security context, its container and its security context.
fn pod(spec: &str, security: &str, container: &str, own: &str) -> String {
    format!(
        "
metadata: {{name: a}}
spec:
  {spec}
  securityContext:
    runAsNonRoot: true
    seccompProfile: {{type: RuntimeDefault}}
    {security}
  containers:
  - name: app
    {container}
    securityContext:
      allowPrivilegeEscalation: false
      capabilities: {{drop: [ALL]}}
      {own}
"
    )
}

#[test]
fn hardened_pod_breaks_nothing_in_any_version() {
    for minor in 0..=40 {
        assert_eq!(broken(Level::Restricted, minor, &pod("", "", "", "")), [""; 0], "1.{minor}");
    }
}

#[test]
fn pod_that_says_nothing_breaks_what_must_be_said_and_nothing_of_baseline() {
    let bare = "spec: {containers: [{name: app}]}";
    assert_eq!(broken(Level::Baseline, 33, bare), [""; 0]);
    let restricted =
        ["allowPrivilegeEscalation", "capabilities_restricted", "runAsNonRoot", "seccompProfile_restricted"];
    assert_eq!(broken(Level::Restricted, 33, bare), restricted);
    // Before there were such controls.
    assert_eq!(broken(Level::Restricted, 18, bare), ["allowPrivilegeEscalation", "runAsNonRoot"]);
    assert_eq!(broken(Level::Restricted, 7, bare), ["runAsNonRoot"]);
}

/// Where a change of the hardened pod is forbidden, by version.
struct Case {
    control: &'static str,
    level: Level,
    /// The first version that forbids it, and the last.
    minors: (u32, u32),
    /// What is changed: pod, its security context, container, its security context.
    change: [&'static str; 4],
}

fn case(control: &'static str, level: Level, minors: (u32, u32), change: [&'static str; 4]) -> Case {
    Case { control, level, minors, change }
}

const ALWAYS: (u32, u32) = (0, 40);
const POD: usize = 0;
const POD_SECURITY: usize = 1;
const CONTAINER: usize = 2;
const SECURITY: usize = 3;

fn at(place: usize, text: &'static str) -> [&'static str; 4] {
    let mut change = [""; 4];
    change[place] = text;
    change
}

#[test]
fn controls_of_baseline_forbid_from_their_version_on() {
    use Level::Baseline;
    let cases = [
        case("hostNamespaces", Baseline, ALWAYS, at(POD, "hostNetwork: true")),
        case("hostNamespaces", Baseline, ALWAYS, at(POD, "hostPID: true")),
        case("hostNamespaces", Baseline, ALWAYS, at(POD, "hostIPC: true")),
        case("hostPathVolumes", Baseline, ALWAYS, at(POD, "volumes: [{name: a, hostPath: {path: /}}]")),
        case("hostPorts", Baseline, ALWAYS, at(CONTAINER, "ports: [{containerPort: 80, hostPort: 80}]")),
        case("privileged", Baseline, ALWAYS, at(SECURITY, "privileged: true")),
        case("windowsHostProcess", Baseline, ALWAYS, at(SECURITY, "windowsOptions: {hostProcess: true}")),
        case("windowsHostProcess", Baseline, ALWAYS, at(POD_SECURITY, "windowsOptions: {hostProcess: true}")),
        case("appArmorProfile", Baseline, ALWAYS, at(SECURITY, "appArmorProfile: {type: Unconfined}")),
        case("appArmorProfile", Baseline, ALWAYS, at(POD_SECURITY, "appArmorProfile: {type: Unconfined}")),
        case("seLinuxOptions", Baseline, ALWAYS, at(SECURITY, "seLinuxOptions: {type: spc_t}")),
        case("seLinuxOptions", Baseline, ALWAYS, at(POD_SECURITY, "seLinuxOptions: {user: a}")),
        case("seLinuxOptions", Baseline, ALWAYS, at(SECURITY, "seLinuxOptions: {role: a}")),
        case("seLinuxOptions", Baseline, (0, 30), at(SECURITY, "seLinuxOptions: {type: container_engine_t}")),
        case(
            "seccompProfile_baseline",
            Baseline,
            (19, 40),
            at(SECURITY, "seccompProfile: {type: Unconfined}"),
        ),
        case("procMount", Baseline, ALWAYS, at(SECURITY, "procMount: Unmasked")),
        case("sysctls", Baseline, ALWAYS, at(POD_SECURITY, "sysctls: [{name: kernel.msgmax, value: '1'}]")),
        case(
            "sysctls",
            Baseline,
            (0, 26),
            at(POD_SECURITY, "sysctls: [{name: net.ipv4.ip_local_reserved_ports}]"),
        ),
        case(
            "sysctls",
            Baseline,
            (0, 28),
            at(POD_SECURITY, "sysctls: [{name: net.ipv4.tcp_keepalive_time}]"),
        ),
        case("sysctls", Baseline, (0, 31), at(POD_SECURITY, "sysctls: [{name: net.ipv4.tcp_rmem}]")),
        case("sysctls", Baseline, (0, 36), at(POD_SECURITY, "sysctls: [{name: net.ipv4.tcp_notsent_lowat}]")),
        case(
            "hostProbesAndHostLifecycle",
            Baseline,
            (34, 40),
            at(CONTAINER, "livenessProbe: {httpGet: {port: 80, host: 127.0.0.1}}"),
        ),
        case(
            "hostProbesAndHostLifecycle",
            Baseline,
            (34, 40),
            at(CONTAINER, "lifecycle: {preStop: {tcpSocket: {port: 80, host: other}}}"),
        ),
    ];
    check(&cases, Baseline);
}

#[test]
fn controls_of_restricted_forbid_from_their_version_on() {
    use Level::Restricted;
    let in_user_namespace = |text: &'static str| ["hostUsers: false", "", "", text];
    let cases = [
        case("restrictedVolumes", Restricted, ALWAYS, at(POD, "volumes: [{name: a, hostPath: {path: /}}]")),
        case("restrictedVolumes", Restricted, ALWAYS, at(POD, "volumes: [{name: a, nfs: {path: /}}]")),
        case("runAsNonRoot", Restricted, ALWAYS, at(SECURITY, "runAsNonRoot: false")),
        case("runAsNonRoot", Restricted, (0, 34), in_user_namespace("runAsNonRoot: false")),
        case("runAsUser", Restricted, (23, 40), at(SECURITY, "runAsUser: 0")),
        case("runAsUser", Restricted, (23, 40), at(POD_SECURITY, "runAsUser: 0")),
        case("runAsUser", Restricted, (23, 34), in_user_namespace("runAsUser: 0")),
        case(
            "seccompProfile_restricted",
            Restricted,
            (19, 40),
            at(SECURITY, "seccompProfile: {type: Unconfined}"),
        ),
        case("procMount_restricted", Restricted, (35, 40), in_user_namespace("procMount: Unmasked")),
        case("procMount", Restricted, (0, 34), at(SECURITY, "procMount: Unmasked")),
        case("procMount_restricted", Restricted, (35, 40), at(SECURITY, "procMount: Unmasked")),
    ];
    check(&cases, Restricted);
}

fn check(cases: &[Case], level: Level) {
    for Case { control, level: least, minors, change } in cases {
        let [spec, security, container, own] = change;
        let text = pod(spec, security, container, own);
        for minor in 0..=40 {
            let is_broken = broken(level, minor, &text).contains(control);
            assert_eq!(is_broken, (minors.0..=minors.1).contains(&minor), "{control} 1.{minor} {change:?}");
        }
        // What the higher level alone forbids the lower does not.
        if *least == Level::Restricted && *control != "procMount" {
            assert!(!broken(Level::Baseline, 37, &text).contains(control), "{control}");
        }
    }
}

#[test]
fn what_is_allowed_breaks_nothing() {
    for change in [
        at(POD, "hostNetwork: false"),
        at(
            POD,
            "volumes: [{name: a, emptyDir: {}}, {name: b, image: {reference: x}}, {name: c, secret: {}}]",
        ),
        at(CONTAINER, "ports: [{containerPort: 80}, {containerPort: 81, hostPort: 0}]"),
        at(CONTAINER, "livenessProbe: {httpGet: {port: 80, host: ''}}"),
        at(SECURITY, "runAsUser: 1000"),
        at(SECURITY, "procMount: Default"),
        at(SECURITY, "privileged: false"),
        at(SECURITY, "appArmorProfile: {type: Localhost, localhostProfile: x}"),
        at(SECURITY, "seLinuxOptions: {type: container_t, level: 's0:c1'}"),
        at(SECURITY, "seccompProfile: {type: Localhost, localhostProfile: x}"),
        at(POD_SECURITY, "sysctls: [{name: net.ipv4.ip_unprivileged_port_start, value: '0'}]"),
    ] {
        let [spec, security, container, own] = change;
        for minor in [0, 19, 23, 30, 34, 35, 37] {
            assert_eq!(
                broken(Level::Restricted, minor, &pod(spec, security, container, own)),
                [""; 0],
                "{change:?}"
            );
        }
    }
}

#[test]
fn capabilities_are_counted_by_their_very_names() {
    let with = |capabilities: &str| {
        let pod = format!(
            "spec: {{securityContext: {{runAsNonRoot: true, seccompProfile: {{type: RuntimeDefault}}}}, containers: [{{name: app,
            securityContext: {{allowPrivilegeEscalation: false, capabilities: {capabilities}}}}}]}}"
        );
        (
            broken(Level::Baseline, 33, &pod),
            broken(Level::Restricted, 33, &pod),
            broken(Level::Restricted, 21, &pod),
        )
    };
    let none: Vec<&str> = Vec::new();
    let (baseline, restricted) = (vec!["capabilities_baseline"], vec!["capabilities_restricted"]);
    assert_eq!(with("{drop: [ALL], add: [NET_BIND_SERVICE]}"), (none.clone(), none.clone(), none.clone()));
    assert_eq!(with("{drop: [ALL], add: [CHOWN]}"), (none.clone(), restricted.clone(), none.clone()));
    assert_eq!(with("{drop: [all]}"), (none.clone(), restricted.clone(), none.clone()));
    assert_eq!(
        with("{drop: [ALL], add: [NET_RAW]}"),
        (baseline.clone(), restricted.clone(), baseline.clone())
    );
    assert_eq!(with("{drop: [ALL], add: [ALL]}"), (baseline.clone(), restricted, baseline));
}

#[test]
fn every_kind_of_container_counts() {
    for kind in ["initContainers", "ephemeralContainers"] {
        let text = format!(
            "{}\n  {kind}: [{{name: other, securityContext: {{privileged: true}}}}]",
            pod("", "", "", "")
        );
        let found = broken(Level::Restricted, 33, &text);
        assert_eq!(found, ["allowPrivilegeEscalation", "capabilities_restricted", "privileged"], "{kind}");
    }
}

#[test]
fn windows_is_not_asked_for_what_means_nothing_there() {
    let text =
        "spec: {os: {name: windows}, securityContext: {runAsNonRoot: true}, containers: [{name: app}]}";
    assert_eq!(broken(Level::Restricted, 25, text), [""; 0]);
    let before = ["allowPrivilegeEscalation", "capabilities_restricted", "seccompProfile_restricted"];
    assert_eq!(broken(Level::Restricted, 24, text), before);
}

#[test]
fn annotations_of_before_there_were_fields_count() {
    let with = |key: &str, value: &str| {
        format!("metadata: {{annotations: {{{key}: {value}}}}}\nspec: {{containers: [{{name: app}}]}}")
    };
    let armor = "container.apparmor.security.beta.kubernetes.io/app";
    assert_eq!(broken(Level::Baseline, 33, &with(armor, "unconfined")), ["appArmorProfile"]);
    for allowed in ["runtime/default", "localhost/x", "''"] {
        assert_eq!(broken(Level::Baseline, 33, &with(armor, allowed)), [""; 0], "{allowed}");
    }
    for key in
        ["seccomp.security.alpha.kubernetes.io/pod", "container.seccomp.security.alpha.kubernetes.io/app"]
    {
        assert_eq!(
            broken(Level::Baseline, 18, &with(key, "unconfined")),
            ["seccompProfile_baseline"],
            "{key}"
        );
        assert_eq!(broken(Level::Baseline, 18, &with(key, "docker/default")), [""; 0], "{key}");
        assert_eq!(broken(Level::Baseline, 19, &with(key, "unconfined")), [""; 0], "{key}");
    }
}

#[test]
fn violation_names_the_fields_that_say_so_or_that_say_nothing() {
    let spec = json!({"containers": [
        {"name": "a", "securityContext": {"runAsNonRoot": true}},
        {"name": "b", "securityContext": {"privileged": true}},
    ]});
    let found = evaluate(Level::Restricted, Version(33), &Value::Null, &spec);
    let of = |control: &str| found.iter().find(|violation| violation.control == control).unwrap();
    assert_eq!(of("privileged").fields, ["spec.containers[1].securityContext.privileged"]);
    assert_eq!(of("privileged").message, "container \"b\" must not set securityContext.privileged=true");
    assert_eq!(of("runAsNonRoot").fields, ["spec.containers[1].securityContext.runAsNonRoot"]);
    assert_eq!(
        of("seccompProfile_restricted").message,
        "pod or containers \"a\", \"b\" must set securityContext.seccompProfile to one of type `RuntimeDefault` or `Localhost`"
    );
}

#[test]
fn versions_are_read_as_people_write_them() {
    assert_eq!(("1.33".parse(), "v1.30".parse()), (Ok(Version(33)), Ok(Version(30))));
    for wrong in ["", "1", "2.1", "1.", "1.x", "1.33.1", "latest", "1.-3"] {
        assert!(wrong.parse::<Version>().is_err(), "{wrong}");
    }
    assert_eq!(Version(33).to_string(), "1.33");
}

proptest::proptest! {
    #[test]
    fn no_document_makes_it_panic_and_the_higher_level_forbids_no_less(
        text in "(containers|volumes|securityContext|[a-z]{1,3}): ?[\\[\\]{}a-z0-9: ,]{0,30}",
        minor in 0u32..50,
    ) {
        let spec: Value = serde_saphyr::from_str(&text).unwrap_or_default();
        let baseline = evaluate(Level::Baseline, Version(minor), &Value::Null, &spec);
        let restricted = evaluate(Level::Restricted, Version(minor), &Value::Null, &spec);
        proptest::prop_assert!(baseline.is_empty() || !restricted.is_empty());
    }
}
