//! The controls of level `baseline`.

use serde_json::Value;

use super::pod::{Pod, Setters, distinct, list, named, quoted, text, truth, value};
use super::{Control, Found, Level};

/// Capabilities that a container may add.
const CAPABILITIES_ALLOWED: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// Kernel settings that a pod may change, and since when.
const SYSCTLS_ALLOWED: [(u32, &str); 14] = [
    (0, "kernel.shm_rmid_forced"),
    (0, "net.ipv4.ip_local_port_range"),
    (0, "net.ipv4.ip_unprivileged_port_start"),
    (0, "net.ipv4.ping_group_range"),
    (0, "net.ipv4.tcp_syncookies"),
    (27, "net.ipv4.ip_local_reserved_ports"),
    (29, "net.ipv4.tcp_fin_timeout"),
    (29, "net.ipv4.tcp_keepalive_intvl"),
    (29, "net.ipv4.tcp_keepalive_probes"),
    (29, "net.ipv4.tcp_keepalive_time"),
    (32, "net.ipv4.tcp_rmem"),
    (32, "net.ipv4.tcp_wmem"),
    (37, "net.ipv4.tcp_notsent_lowat"),
    (37, "net.ipv4.tcp_slow_start_after_idle"),
];

/// Types that a pod may name to `SELinux`, and since when.
const SELINUX_TYPES: [(u32, &str); 5] = [
    (0, ""),
    (0, "container_t"),
    (0, "container_init_t"),
    (0, "container_kvm_t"),
    (31, "container_engine_t"),
];

/// What annotations that name a profile of `AppArmor` begin with, of before there was a field; a container's name follows.
pub const APP_ARMOR_ANNOTATION: &str = "container.apparmor.security.beta.kubernetes.io/";
/// Annotations of before there were fields.
const SECCOMP_ANNOTATION: &str = "seccomp.security.alpha.kubernetes.io/pod";
const SECCOMP_ANNOTATION_OF: &str = "container.seccomp.security.alpha.kubernetes.io/";

const fn control(name: &'static str, since: u32, check: fn(&Pod<'_>) -> Option<Found>) -> Control {
    Control { name, level: Level::Baseline, since, instead_of: None, check }
}

pub(super) const APP_ARMOR_PROFILE: Control = control("appArmorProfile", 0, app_armor);
pub(super) const CAPABILITIES: Control = control("capabilities_baseline", 0, capabilities);
pub(super) const HOST_NAMESPACES: Control = control("hostNamespaces", 0, host_namespaces);
pub(super) const HOST_PATH_VOLUMES: Control = control("hostPathVolumes", 0, host_paths);
pub(super) const HOST_PORTS: Control = control("hostPorts", 0, host_ports);
pub(super) const HOST_PROBES: Control = control("hostProbesAndHostLifecycle", 34, host_probes);
pub(super) const PRIVILEGED: Control = control("privileged", 0, privileged);
pub(super) const PROC_MOUNT: Control = control("procMount", 0, proc_mount);
pub(super) const SECCOMP_PROFILE: Control = control("seccompProfile_baseline", 0, seccomp);
pub(super) const SELINUX_OPTIONS: Control = control("seLinuxOptions", 0, selinux);
pub(super) const SYSCTLS: Control = control("sysctls", 0, sysctls);
pub(super) const WINDOWS_HOST_PROCESS: Control = control("windowsHostProcess", 0, host_process);

fn app_armor(pod: &Pod<'_>) -> Option<Found> {
    let is_allowed = |profile: &str| {
        profile.is_empty() || profile == "runtime/default" || profile.starts_with("localhost/")
    };
    let is_bad = |kind: &Value| !matches!(kind.as_str(), Some("RuntimeDefault" | "Localhost") | None);
    let by_field = pod.setters("securityContext.appArmorProfile.type", true, is_bad);
    let by_field = by_field.found(|whom| {
        format!("{whom} must not set securityContext.appArmorProfile.type to anything but `RuntimeDefault` or `Localhost`")
    });
    let by_annotation =
        annotations(pod, |key, value| key.starts_with(APP_ARMOR_ANNOTATION) && !is_allowed(value));
    both(by_field, by_annotation)
}

fn capabilities(pod: &Pod<'_>) -> Option<Found> {
    added(pod, &CAPABILITIES_ALLOWED)
}

/// Containers that add capabilities besides `allowed`.
pub(super) fn added(pod: &Pod<'_>, allowed: &[&str]) -> Option<Found> {
    let mut setters = Setters::default();
    let mut all = Vec::new();
    for container in &pod.containers {
        for (index, name) in list(container.fields, "securityContext.capabilities.add") {
            let Some(name) = name.as_str().filter(|name| !allowed.contains(name)) else { continue };
            all.push(name);
            setters
                .add(container.name, format!("{}.securityContext.capabilities.add[{index}]", container.at));
        }
    }
    let all = quoted(distinct(all));
    setters.found(|whom| format!("{whom} must not include {all} in securityContext.capabilities.add"))
}

fn host_namespaces(pod: &Pod<'_>) -> Option<Found> {
    let shared: Vec<&str> = ["hostNetwork", "hostPID", "hostIPC"]
        .into_iter()
        .filter(|field| truth(pod.spec, field) == Some(true))
        .collect();
    let fields: Vec<String> = shared.iter().map(|field| format!("spec.{field}")).collect();
    let message = shared.iter().map(|field| format!("{field}=true")).collect::<Vec<_>>().join(", ");
    (!fields.is_empty())
        .then_some(Found { message: format!("the pod shares namespaces of its host: {message}"), fields })
}

fn host_paths(pod: &Pod<'_>) -> Option<Found> {
    volumes(
        pod,
        |volume| value(volume, "hostPath").is_some(),
        |names| format!("{names} must not be of the host's own files"),
    )
}

/// Volumes that are bad.
pub(super) fn volumes(
    pod: &Pod<'_>,
    is_bad: impl Fn(&Value) -> bool,
    say: impl FnOnce(&str) -> String,
) -> Option<Found> {
    let bad = || list(pod.spec, "volumes").filter(|(_, volume)| is_bad(volume));
    let names: Vec<String> =
        bad().map(|(_, volume)| text(volume, "name").unwrap_or_default().to_owned()).collect();
    let fields: Vec<String> = bad().map(|(index, _)| format!("spec.volumes[{index}]")).collect();
    (!names.is_empty()).then(|| Found { message: say(&named("volume", &names)), fields })
}

fn host_ports(pod: &Pod<'_>) -> Option<Found> {
    let mut setters = Setters::default();
    let mut ports = Vec::new();
    for container in &pod.containers {
        for (index, port) in list(container.fields, "ports") {
            let Some(number) = value(port, "hostPort").and_then(Value::as_i64).filter(|&port| port != 0)
            else {
                continue;
            };
            ports.push(number);
            setters.add(container.name, format!("{}.ports[{index}].hostPort", container.at));
        }
    }
    ports.sort_unstable();
    ports.dedup();
    let ports = ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    setters.found(|whom| format!("{whom} must not set hostPort: {ports}"))
}

fn host_probes(pod: &Pod<'_>) -> Option<Found> {
    let mut setters = Setters::default();
    let mut hosts = Vec::new();
    let asking =
        ["livenessProbe", "readinessProbe", "startupProbe", "lifecycle.postStart", "lifecycle.preStop"];
    for container in &pod.containers {
        for asks in asking {
            let Some(handler) = value(container.fields, asks) else { continue };
            for field in ["httpGet.host", "tcpSocket.host"] {
                let Some(host) = text(handler, field).filter(|host| !host.is_empty()) else { continue };
                hosts.push(host);
                setters.add(container.name, format!("{}.{asks}.{field}", container.at));
            }
        }
    }
    let hosts = quoted(distinct(hosts));
    setters.found(|whom| format!("{whom} must not name a host in probes and hooks: {hosts}"))
}

fn privileged(pod: &Pod<'_>) -> Option<Found> {
    let setters = pod.setters("securityContext.privileged", false, |value| value.as_bool() == Some(true));
    setters.found(|whom| format!("{whom} must not set securityContext.privileged=true"))
}

fn proc_mount(pod: &Pod<'_>) -> Option<Found> {
    if pod.is_in_user_namespace() { None } else { unmasked(pod) }
}

/// Containers that see all of `/proc`.
pub(super) fn unmasked(pod: &Pod<'_>) -> Option<Found> {
    let is_bad = |value: &Value| value.as_str() != Some("Default");
    let setters = pod.setters("securityContext.procMount", false, is_bad);
    setters.found(|whom| format!("{whom} must not set securityContext.procMount to anything but `Default`"))
}

fn seccomp(pod: &Pod<'_>) -> Option<Found> {
    if pod.minor >= 19 {
        return pod.setters(SECCOMP_FIELD, true, |value| !is_confined(value)).found(unconfined);
    }
    let is_allowed = |value: &str| {
        matches!(value, "runtime/default" | "docker/default") || value.starts_with("localhost/")
    };
    let containers: Vec<String> =
        pod.containers.iter().map(|container| format!("{SECCOMP_ANNOTATION_OF}{}", container.name)).collect();
    annotations(pod, |key, value| {
        (key == SECCOMP_ANNOTATION || containers.iter().any(|of| of == key)) && !is_allowed(value)
    })
}

pub(super) const SECCOMP_FIELD: &str = "securityContext.seccompProfile";

pub(super) fn is_confined(profile: &Value) -> bool {
    matches!(text(profile, "type"), Some("RuntimeDefault" | "Localhost"))
}

pub(super) fn unconfined(whom: &str) -> String {
    format!("{whom} must not set {SECCOMP_FIELD}.type to anything but `RuntimeDefault` or `Localhost`")
}

fn selinux(pod: &Pod<'_>) -> Option<Found> {
    let allowed =
        |kind: &str| SELINUX_TYPES.iter().any(|(since, known)| *since <= pod.minor && *known == kind);
    let types = pod
        .setters("securityContext.seLinuxOptions.type", true, |value| !value.as_str().is_some_and(allowed));
    let types = types.found(|whom| {
        format!("{whom} must not set securityContext.seLinuxOptions.type to a type of its own")
    });
    let is_set = |value: &Value| value.as_str() != Some("");
    let parts = ["securityContext.seLinuxOptions.user", "securityContext.seLinuxOptions.role"];
    parts.into_iter().fold(types, |found, part| {
        let set = pod.setters(part, true, is_set);
        both(found, set.found(|whom| format!("{whom} must not set {part}")))
    })
}

fn sysctls(pod: &Pod<'_>) -> Option<Found> {
    let is_allowed =
        |name: &str| SYSCTLS_ALLOWED.iter().any(|(since, known)| *since <= pod.minor && *known == name);
    let bad: Vec<(usize, &str)> = list(pod.spec, "securityContext.sysctls")
        .map(|(index, sysctl)| (index, text(sysctl, "name").unwrap_or_default()))
        .filter(|(_, name)| !is_allowed(name))
        .collect();
    let names = quoted(distinct(bad.iter().map(|(_, name)| *name)));
    let fields: Vec<String> =
        bad.iter().map(|(index, _)| format!("spec.securityContext.sysctls[{index}].name")).collect();
    (!fields.is_empty())
        .then(|| Found { message: format!("the pod must not set the sysctls {names}"), fields })
}

fn host_process(pod: &Pod<'_>) -> Option<Found> {
    let field = "securityContext.windowsOptions.hostProcess";
    let setters = pod.setters(field, true, |value| value.as_bool() == Some(true));
    setters.found(|whom| format!("{whom} must not set {field}=true"))
}

/// Annotations of the pod that are bad.
fn annotations(pod: &Pod<'_>, is_bad: impl Fn(&str, &str) -> bool) -> Option<Found> {
    let all = value(pod.metadata, "annotations").and_then(Value::as_object).into_iter().flatten();
    let bad: Vec<(&String, &str)> = all
        .filter_map(|(key, value)| Some((key, value.as_str()?)))
        .filter(|(key, value)| is_bad(key, value))
        .collect();
    let said: Vec<String> = bad.iter().map(|(key, value)| format!("{key}={value:?}")).collect();
    let fields: Vec<String> = bad.iter().map(|(key, _)| format!("metadata.annotations[{key:?}]")).collect();
    (!fields.is_empty()).then(|| Found {
        message: format!("the pod must not have the annotation {}", said.join(", ")),
        fields,
    })
}

/// What one and the other found.
pub(super) fn both(one: Option<Found>, other: Option<Found>) -> Option<Found> {
    match (one, other) {
        (Some(one), Some(other)) => Some(Found {
            message: format!("{}; {}", one.message, other.message),
            fields: [one.fields, other.fields].concat(),
        }),
        (one, other) => one.or(other),
    }
}
