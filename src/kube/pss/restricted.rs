//! The controls that level `restricted` has besides those of `baseline`.

use serde_json::Value;

use super::baseline::{SECCOMP_FIELD, added, both, is_confined, unconfined, unmasked, volumes};
use super::pod::{Pod, value};
use super::{Control, Found, Level};

/// Volumes that hold nothing of the host.
const VOLUMES_ALLOWED: [&str; 9] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

const fn control(
    name: &'static str,
    since: u32,
    instead_of: Option<&'static str>,
    check: fn(&Pod<'_>) -> Option<Found>,
) -> Control {
    Control { name, level: Level::Restricted, since, instead_of, check }
}

pub(super) const ALLOW_PRIVILEGE_ESCALATION: Control =
    control("allowPrivilegeEscalation", 8, None, escalation);
pub(super) const CAPABILITIES: Control =
    control("capabilities_restricted", 22, Some("capabilities_baseline"), capabilities);
pub(super) const PROC_MOUNT: Control = control("procMount_restricted", 35, Some("procMount"), unmasked);
pub(super) const RUN_AS_NON_ROOT: Control = control("runAsNonRoot", 0, None, non_root);
pub(super) const RUN_AS_USER: Control = control("runAsUser", 23, None, user);
pub(super) const SECCOMP_PROFILE: Control =
    control("seccompProfile_restricted", 19, Some("seccompProfile_baseline"), seccomp);
pub(super) const VOLUMES: Control = control("restrictedVolumes", 0, Some("hostPathVolumes"), kinds);

fn escalation(pod: &Pod<'_>) -> Option<Found> {
    if pod.is_windows() {
        return None;
    }
    let field = "securityContext.allowPrivilegeEscalation";
    let setters = pod.containers_where(field, |value| value.and_then(Value::as_bool) != Some(false));
    setters.found(|whom| format!("{whom} must set {field}=false"))
}

fn capabilities(pod: &Pod<'_>) -> Option<Found> {
    if pod.is_windows() {
        return None;
    }
    let field = "securityContext.capabilities.drop";
    // The very word, and nothing that means it.
    let drops = |names: &Vec<Value>| names.iter().any(|name| name == "ALL");
    let keeping = pod.containers_where(field, |value| !value.and_then(Value::as_array).is_some_and(drops));
    both(
        keeping.found(|whom| format!("{whom} must set {field}=[\"ALL\"]")),
        added(pod, &["NET_BIND_SERVICE"]),
    )
}

fn non_root(pod: &Pod<'_>) -> Option<Found> {
    if pod.is_in_user_namespace() {
        return None;
    }
    let field = "securityContext.runAsNonRoot";
    let told = pod.setters(field, true, |value| value.as_bool() != Some(true));
    let told = told.found(|whom| format!("{whom} must not set {field}=false"));
    told.or_else(|| silent(pod, field, |value| value.as_bool() == Some(true), "true"))
}

fn seccomp(pod: &Pod<'_>) -> Option<Found> {
    if pod.is_windows() {
        return None;
    }
    let told = pod.setters(SECCOMP_FIELD, true, |value| !is_confined(value)).found(unconfined);
    told.or_else(|| silent(pod, SECCOMP_FIELD, is_confined, "one of type `RuntimeDefault` or `Localhost`"))
}

/// Containers that do not say `field`, where the pod does not say it for them.
fn silent(pod: &Pod<'_>, field: &str, is_good: impl Fn(&Value) -> bool, wanted: &str) -> Option<Found> {
    if value(pod.spec, field).is_some_and(&is_good) {
        return None;
    }
    let setters = pod.containers_where(field, |value| value.is_none());
    setters.found(|whom| format!("pod or {whom} must set {field} to {wanted}"))
}

fn user(pod: &Pod<'_>) -> Option<Found> {
    if pod.is_in_user_namespace() {
        return None;
    }
    let field = "securityContext.runAsUser";
    let setters = pod.setters(field, true, |value| value.as_i64() == Some(0));
    setters.found(|whom| format!("{whom} must not set {field}=0"))
}

fn kinds(pod: &Pod<'_>) -> Option<Found> {
    let is_allowed = |volume: &Value| VOLUMES_ALLOWED.iter().any(|kind| value(volume, kind).is_some());
    volumes(
        pod,
        |volume| !is_allowed(volume),
        |names| {
            format!(
                "{names} must be of a type that holds nothing of the host: {}",
                VOLUMES_ALLOWED.join(", ")
            )
        },
    )
}
