//! What containers may do besides what their user may.
//!
//! Rules only. What Kubernetes' own standards say of it is asked of them, at the version that is audited for.

use std::collections::BTreeSet;

use super::super::checklist::Point;
use super::super::rule::{Check, Fix, Found, NO_IMAGE, Rule};
use super::super::subject::{FIXED_KINDS, Subject, list, number, text, truth, value};
use super::violated;
use super::who::is_unprivileged;
use crate::finding::Severity;
use crate::kube::pss::APP_ARMOR_ANNOTATION;

/// A rule that is a control of the Pod Security Standards and nothing else.
macro_rules! control {
    ($name:ident $severity:ident $fix:ident [$($map:literal),*] $controls:expr; $title:literal, passes $passes:literal, why $why:literal, remedy $remedy:literal, says $says:literal) => {
        pub(super) const $name: Rule = Rule {
            id: stringify!($name),
            title: $title,
            severity: Severity::$severity,
            passes: $passes,
            why: $why,
            remedy: $remedy,
            fix: Fix::$fix,
            maps: &[$($map),*],
            point: None,
            check: Check::Pod(|subject, found| violated(subject, found, &$controls, $says)),
        };
    };
}

control! { PR001 Critical Unsafe ["PSS privileged", "KSV-0017", "CKV_K8S_16", "C-0057"] ["privileged"];
    "no container is privileged",
    passes "No container has `securityContext.privileged: true`.",
    why "A privileged container has every capability, every device and no filter: whoever is in it is on the node.",
    remedy "Leave it out; give the one capability or device that is needed.",
    says "`privileged` is true"
}

pub(super) const PR002: Rule = Rule {
    id: "PR002",
    title: "nobody becomes more than he is",
    severity: Severity::High,
    passes: "Every container has `securityContext.allowPrivilegeEscalation: false`.",
    why: "With it the kernel takes no notice of setuid programs and file capabilities (`no_new_privs`): a way to root that needs no hole in the kernel is closed.",
    remedy: "Set it in every container.",
    fix: Fix::WithImage,
    maps: &["checklist 4", "PSS allowPrivilegeEscalation", "KSV-0001", "CKV_K8S_20", "C-0016"],
    point: Some(Point::NoEscalation),
    check: Check::Pod(|subject, found| {
        if subject.is_windows() {
            return found.void();
        }
        violated(subject, found, &["allowPrivilegeEscalation"], "`allowPrivilegeEscalation` is not false");
    }),
};

pub(super) const PR003: Rule = Rule {
    id: "PR003",
    title: "all capabilities are dropped",
    severity: Severity::High,
    passes: "Every container has `ALL` in `securityContext.capabilities.drop`, in capitals.",
    why: "The capabilities that containers start with let root change owners, bypass permissions and forge packets. A server needs none of them. `all` in small letters drops nothing as admission sees it.",
    remedy: "Set `capabilities: {drop: [ALL]}` in every container.",
    fix: Fix::WithImage,
    maps: &["checklist 5", "PSS capabilities_restricted", "KSV-0003", "CKV_K8S_37"],
    point: Some(Point::NoCapabilities),
    check: Check::Pod(drop_all),
};

fn drop_all(subject: &Subject<'_>, found: &mut Found) {
    if subject.is_windows() {
        return found.void();
    }
    for container in &subject.containers {
        let dropped = container.words("securityContext.capabilities.drop");
        if dropped.contains(&"ALL") {
            continue;
        }
        let message = if dropped.iter().any(|name| name.eq_ignore_ascii_case("ALL")) {
            "`ALL` must be written in capitals"
        } else {
            "`capabilities.drop` does not have `ALL`"
        };
        let field = container.field("securityContext.capabilities.drop");
        found.container(subject, container, field, message);
    }
}

pub(super) const PR004: Rule = Rule {
    id: "PR004",
    title: "no capability is added",
    severity: Severity::High,
    passes: "`capabilities.add` has nothing but `NET_BIND_SERVICE`, in every container.",
    why: "Each capability is a part of root's power.",
    remedy: "Leave it out, and change what needs it: a high port instead of a low one, files that belong to the user instead of `CHOWN`.",
    fix: Fix::None,
    maps: &[
        "PSS capabilities_baseline",
        "PSS capabilities_restricted",
        "KSV-0106",
        "CKV_K8S_25",
        "CKV_K8S_28",
    ],
    point: None,
    check: Check::Pod(added),
};

fn added(subject: &Subject<'_>, found: &mut Found) {
    if subject.is_windows() {
        return found.void();
    }
    for container in &subject.containers {
        for (index, name) in list(container.fields, "securityContext.capabilities.add") {
            let name = name.as_str().unwrap_or_default();
            if name != "NET_BIND_SERVICE" {
                let field = container.field(&format!("securityContext.capabilities.add[{index}]"));
                found.container(subject, container, field, format!("`capabilities.add` has {name:?}"));
            }
        }
    }
}

pub(super) const PR005: Rule = Rule {
    id: "PR005",
    title: "`NET_BIND_SERVICE` is not added in vain",
    severity: Severity::Medium,
    passes: "A container that is not root's does not add `NET_BIND_SERVICE`. Whose it is `runAsUser` says, or `runAsNonRoot: true`, or OpenShift, or the image's `USER`.",
    why: "A user who is not root gets an added capability into the bounding set only: `bind` to a low port is refused all the same. Only a program that has the capability as its file's needs it there: without it such a program is not even started, and `kiln fix` leaves it where the image has one.",
    remedy: "Use the sysctl `net.ipv4.ip_unprivileged_port_start`, or a port from 1024 on.",
    fix: Fix::WithImage,
    maps: &[],
    point: None,
    check: Check::Pod(in_vain),
};

fn in_vain(subject: &Subject<'_>, found: &mut Found) {
    for container in &subject.containers {
        for (index, name) in list(container.fields, "securityContext.capabilities.add") {
            if name.as_str() != Some("NET_BIND_SERVICE") {
                continue;
            }
            match is_unprivileged(subject, container) {
                Some(true) => {
                    let field = container.field(&format!("securityContext.capabilities.add[{index}]"));
                    let message = "`NET_BIND_SERVICE` does nothing for a user who is not root";
                    found.container(subject, container, field, message);
                }
                Some(false) => {}
                None => found.undecided(NO_IMAGE),
            }
        }
    }
}

/// The sysctl that says from which port on anybody may listen.
const PORT_START: &str = "net.ipv4.ip_unprivileged_port_start";

pub(super) const PR006: Rule = Rule {
    id: "PR006",
    title: "a low port can be listened on",
    severity: Severity::High,
    passes: "Where a container that is not root's declares a port below 1024, or its image is known to listen on one (which weighs little where a ConfigMap or Secret may say otherwise), the pod has the sysctl `net.ipv4.ip_unprivileged_port_start` at that port or below. Whose it is `runAsUser` says, or `runAsNonRoot: true`, or OpenShift, or the image's `USER`.",
    why: "Ports below 1024 are root's. Some runtimes open them to all, others do not: the same pod starts on one node and fails with `permission denied` on another.",
    remedy: "Add the sysctl: it is allowed at `restricted`. Or let the app listen on a higher port, and the Service keep the low one.",
    fix: Fix::Safe,
    maps: &["KSV-0117", "kube-linter privileged-ports"],
    point: None,
    check: Check::Pod(low_port),
};

fn low_port(subject: &Subject<'_>, found: &mut Found) {
    if subject.is_windows() {
        return found.void();
    }
    let sysctl =
        list(subject.spec, "securityContext.sysctls").find(|(_, one)| text(one, "name") == Some(PORT_START));
    let start: i64 =
        sysctl.and_then(|(_, one)| text(one, "value")).and_then(|text| text.parse().ok()).unwrap_or(1024);
    let is_low = |port: &i64| *port < start.min(1024);
    for container in subject.own_containers() {
        let declared = list(container.fields, "ports").filter_map(|(index, port)| {
            Some((format!("ports[{index}].containerPort"), number(port, "containerPort")?))
        });
        // The app listens there whether the pod says so or not, unless configuration from outside says otherwise.
        let is_configured = container
            .mounts
            .iter()
            .any(|mount| subject.kind_of(mount).is_some_and(|kind| FIXED_KINDS.contains(&kind)));
        let known = container.known.filter(|image| container.runs_own(image));
        let listens = known.into_iter().flat_map(|image| &image.manifest.ports);
        let listens = listens.map(|port| ("ports".to_owned(), i64::from(port.port)));
        let mut low: Vec<(String, i64)> = declared.chain(listens).filter(|(_, port)| is_low(port)).collect();
        let mut seen = BTreeSet::new();
        low.retain(|(_, port)| seen.insert(*port));
        for (field, port) in low {
            match is_unprivileged(subject, container) {
                Some(true) => {
                    let is_declared = field != "ports";
                    let whose = if is_declared { "" } else { ", on which the image listens," };
                    let message =
                        format!("port {port}{whose} is root's, and no sysctl `{PORT_START}` opens it");
                    found.container(subject, container, container.field(&field), message);
                    if !is_declared && is_configured {
                        found.weighs(Severity::Low);
                    }
                }
                Some(false) => {}
                None => found.undecided(NO_IMAGE),
            }
        }
    }
}

control! { PR007 High Safe ["PSS seccompProfile_restricted", "KSV-0104", "CKV_K8S_31", "C-0055"] ["seccompProfile_restricted"];
    "system calls are filtered",
    passes "`seccompProfile.type` is `RuntimeDefault` or `Localhost` at the pod, or at every container.",
    why "Without a filter every system call of the kernel is open to the container, and with it every hole in one that no server uses.",
    remedy "Set `seccompProfile: {type: RuntimeDefault}` at the pod; `kiln verify --run --seccomp FILE` makes a narrower one.",
    says "no `seccompProfile` of type `RuntimeDefault` or `Localhost`"
}

pub(super) const PR008: Rule = Rule {
    id: "PR008",
    title: "AppArmor is not switched off",
    severity: Severity::Medium,
    passes: "No `appArmorProfile` is `Unconfined`, nor does the annotation of before Kubernetes 1.30 (`container.apparmor.security.beta.kubernetes.io/NAME`) say so; from 1.30 on, which has the field, the annotation is not used at all.",
    why: "`Unconfined` takes the runtime's profile away. The annotation is deprecated: the API server still copies it into the field, and need not for ever.",
    remedy: "Leave `appArmorProfile` out, or set `RuntimeDefault`; write what the annotation says as the field.",
    fix: Fix::Safe,
    maps: &["PSS appArmorProfile", "KSV-0002"],
    point: None,
    check: Check::Pod(app_armor),
};

fn app_armor(subject: &Subject<'_>, found: &mut Found) {
    /// The first version with the field.
    const SINCE: u32 = 30;
    violated(subject, found, &["appArmorProfile"], "the AppArmor profile is switched off");
    if subject.options.version.0 < SINCE {
        return;
    }
    let annotations = value(subject.metadata, "annotations").and_then(serde_json::Value::as_object);
    let keys = annotations.into_iter().flatten().map(|(key, _)| key);
    for key in keys.filter(|key| key.starts_with(APP_ARMOR_ANNOTATION)) {
        let at = format!("metadata.annotations[\"{key}\"]");
        if !found.hits.iter().any(|hit| hit.field == at) {
            found.pod(at, format!("the annotation {key} is deprecated since 1.30: write it as the field"));
        }
    }
}

control! { PR009 Medium Unsafe ["PSS procMount", "PSS procMount_restricted", "KSV-0027"] ["procMount", "procMount_restricted"];
    "`/proc` is masked",
    passes "`procMount` is not set, or `Default`.",
    why "`Unmasked` shows and opens what the runtime hides in `/proc`.",
    remedy "Leave it out.",
    says "`procMount` is not `Default`"
}

control! { PR010 Medium None ["PSS seLinuxOptions", "KSV-0025"] ["seLinuxOptions"];
    "SELinux keeps the type of a container",
    passes "`seLinuxOptions` has no user, no role, and no type but those of containers.",
    why "Another type takes away what keeps the container apart from the node on systems with SELinux.",
    remedy "Leave it out.",
    says "`seLinuxOptions` is not one of a container's"
}

control! { PR011 Medium None ["PSS sysctls", "KSV-0026"] ["sysctls"];
    "only safe sysctls are set",
    passes "Every sysctl of the pod is in the list that the version holds to be safe.",
    why "Others act on the node, or on every pod of it, and the kubelet refuses them unless it was told otherwise.",
    remedy "Leave it out, or audit for the version that has it in its list (`--kube-version`).",
    says "the sysctl is not in the safe list"
}

control! { PR012 High Unsafe ["PSS hostNamespaces", "KSV-0008", "KSV-0009", "KSV-0010", "CKV_K8S_17", "CKV_K8S_18", "CKV_K8S_19"] ["hostNamespaces"];
    "the node's namespaces are the node's",
    passes "None of `hostNetwork`, `hostPID` and `hostIPC` is true.",
    why "With them the container sees the node's processes, listens on its addresses and reads its shared memory.",
    remedy "Leave them out.",
    says "a namespace of the node is used"
}

control! { PR013 Medium Unsafe ["PSS hostPorts", "KSV-0024", "CKV_K8S_26"] ["hostPorts"];
    "no port of the node is taken",
    passes "No port has a `hostPort`.",
    why "It opens the app on the node's address, past every NetworkPolicy of some networks, and only one such pod fits on a node.",
    remedy "Use a Service.",
    says "`hostPort` is set"
}

control! { PR014 High None ["PSS windowsHostProcess", "KSV-0103"] ["windowsHostProcess"];
    "no process of a Windows node",
    passes "`windowsOptions.hostProcess` is true nowhere.",
    why "Such a container is a process of the node.",
    remedy "Leave it out.",
    says "`hostProcess` is true"
}

control! { PR015 Medium Safe ["PSS hostProbesAndHostLifecycle"] ["hostProbesAndHostLifecycle"];
    "probes ask the pod",
    passes "No probe and no hook names a `host`; from Kubernetes 1.34 on.",
    why "The kubelet asks whatever host is named there, from the node: a way to reach what the pod cannot.",
    remedy "Leave `host` out: the pod's address is asked.",
    says "a probe or hook names a `host`"
}

control! { PR016 High None ["PSS restrictedVolumes", "KSV-0028"] ["restrictedVolumes"];
    "only volumes of the pod's own",
    passes "Every volume is a configMap, csi, downwardAPI, emptyDir, ephemeral, image, persistentVolumeClaim, projected or secret.",
    why "Other kinds mount what the node has, or a server that the node speaks to, with the node's rights.",
    remedy "Use a claim.",
    says "a volume of a kind that `restricted` does not allow"
}

pub(super) const PR017: Rule = Rule {
    id: "PR017",
    title: "containers do not see each other's processes",
    severity: Severity::Medium,
    passes: "`shareProcessNamespace` is not true.",
    why: "In one process namespace a container of the same user reads the others' environment and files through `/proc/PID/root`.",
    remedy: "Leave it out; for debugging there is `kubectl debug --target`.",
    fix: Fix::Unsafe,
    maps: &[],
    point: None,
    check: Check::Pod(|subject, found| {
        if truth(subject.spec, "shareProcessNamespace") == Some(true) {
            found.pod("spec.shareProcessNamespace", "`shareProcessNamespace` is true");
        }
    }),
};

pub(super) const PR018: Rule = Rule {
    id: "PR018",
    title: "nobody is meant to type",
    severity: Severity::Low,
    passes: "No container that runs with the pod has `stdin` or `tty`.",
    why: "A server needs neither; whoever may attach to it has a session.",
    remedy: "Leave them out.",
    fix: Fix::Unsafe,
    maps: &["kube-linter disallow-interactive"],
    point: None,
    check: Check::Pod(interactive),
};

fn interactive(subject: &Subject<'_>, found: &mut Found) {
    for container in subject.own_containers() {
        for field in ["stdin", "tty"] {
            if truth(container.fields, field) == Some(true) {
                found.container(subject, container, container.field(field), format!("`{field}` is true"));
            }
        }
    }
}
