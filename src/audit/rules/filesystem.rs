//! The root file system, and what lies over it.
//!
//! Rules only; what a mount is, and what an image has, is known elsewhere.

use super::super::checklist::Point;
use super::super::rule::{Check, Fix, Found, Rule};
use super::super::subject::{FIXED_KINDS, Subject, absolute, amount, is_within, text, truth, value};
use crate::finding::Severity;
use crate::kube::field;

pub(super) const FS001: Rule = Rule {
    id: "FS001",
    title: "the root file system is read-only",
    severity: Severity::High,
    passes: "Every container, init container, sidecar and ephemeral container has `securityContext.readOnlyRootFilesystem: true`.",
    why: "Whoever gets into a container with a writable root file system settles in: programs are replaced, tools downloaded, configuration changed, and nothing of it shows in the image. The field is per container: one that lacks it is enough, an init container too.",
    remedy: "Set it in every container, and mount an `emptyDir` where the app must write: kiln finds out where (`kiln harden`, `kiln trace`).",
    fix: Fix::WithImage,
    maps: &["checklist 1", "KSV-0014", "CKV_K8S_22", "C-0017", "kube-linter no-read-only-root-fs"],
    point: Some(Point::ReadOnly),
    check: Check::Pod(read_only),
};

fn read_only(subject: &Subject<'_>, found: &mut Found) {
    if subject.is_windows() {
        return found.void();
    }
    for container in &subject.containers {
        let field = "securityContext.readOnlyRootFilesystem";
        let message = match value(container.fields, field) {
            Some(value) if value.as_bool() == Some(true) => continue,
            Some(_) => "`readOnlyRootFilesystem` is not true",
            None => "`readOnlyRootFilesystem` is not set: the root file system can be changed",
        };
        found.container(subject, container, container.field(field), message);
    }
}

pub(super) const FS007: Rule = Rule {
    id: "FS007",
    title: "an `emptyDir` has a size limit",
    severity: Severity::Medium,
    passes: "Every `emptyDir` has a `sizeLimit` that is an amount above 0.",
    why: "Without one, and 0 is none, a container fills the node's disk, or with `medium: Memory` its memory, and takes other pods with it.",
    remedy: "Set `sizeLimit` to some times what the app was seen to write; kiln records the peak and proposes a limit.",
    fix: Fix::WithImage,
    maps: &["kyverno require-emptydir-requests-limits"],
    point: None,
    check: Check::Pod(size_limit),
};

fn size_limit(subject: &Subject<'_>, found: &mut Found) {
    for volume in subject.volumes.iter().filter(|volume| volume.kind == "emptyDir") {
        let how = match value(volume.source, "sizeLimit") {
            None => "has no `sizeLimit`".to_owned(),
            Some(_) if amount(volume.source, "sizeLimit").is_some_and(|limit| limit > 0.0) => continue,
            Some(limit) => format!("has the `sizeLimit` {limit}, which limits nothing"),
        };
        let message = format!("the `emptyDir` {:?} {how}", volume.name);
        found.pod(format!("{}.emptyDir.sizeLimit", volume.at), message);
    }
}

pub(super) const FS010: Rule = Rule {
    id: "FS010",
    title: "writable mounts are noexec, nosuid and nodev",
    severity: Severity::Low,
    passes: "Every mount that can be written has `bindMountOptions` with `noexec`, `nosuid` and `nodev`; from Kubernetes 1.37 on, where the field exists.",
    why: "A writable volume is where an intruder puts a program. Mounted `noexec` it cannot be started from there; scripts need an interpreter, which a hardened image does not have.",
    remedy: "Add `bindMountOptions: [noexec, nosuid, nodev]` to the mount, unless the app starts programs or loads libraries from it.",
    fix: Fix::None,
    maps: &["KEP-5855"],
    point: None,
    check: Check::Pod(no_exec),
};

fn no_exec(subject: &Subject<'_>, found: &mut Found) {
    /// The first version with the field.
    const SINCE: u32 = 37;
    if subject.options.version.0 < SINCE || subject.is_windows() {
        return found.void();
    }
    for container in &subject.containers {
        for mount in container.mounts.iter().filter(|mount| !mount.is_read_only) {
            let has = |wanted: &str| {
                field::list(mount.fields, "bindMountOptions").any(|(_, option)| option == wanted)
            };
            let missing: Vec<&str> =
                ["noexec", "nosuid", "nodev"].into_iter().filter(|option| !has(option)).collect();
            if !missing.is_empty() {
                let message = format!("{} is mounted without {}", mount.path, missing.join(", "));
                found.container(subject, container, format!("{}.bindMountOptions", mount.at), message);
                if subject.options.strict {
                    found.weighs(Severity::High);
                }
            }
        }
    }
}

pub(super) const FS014: Rule = Rule {
    id: "FS014",
    title: "a ConfigMap or Secret is not mounted by `subPath`",
    severity: Severity::Info,
    passes: "No mount of a ConfigMap, Secret, projected or downwardAPI volume has a `subPath`.",
    why: "A file mounted by `subPath` is what it was when the container started: later changes do not reach it. That may be wanted, and should be known.",
    remedy: "Mount the whole directory, or say with an annotation that it is meant to be static: `kiln.dev/ignore: \"FS014: meant to be static\"`.",
    fix: Fix::None,
    maps: &[],
    point: None,
    check: Check::Pod(sub_path),
};

fn sub_path(subject: &Subject<'_>, found: &mut Found) {
    for container in &subject.containers {
        for mount in &container.mounts {
            let kind = subject.kind_of(mount).unwrap_or_default();
            let is_fixed = ["configMap", "secret", "projected", "downwardAPI"].contains(&kind);
            let by = ["subPath", "subPathExpr"].into_iter().find(|key| value(mount.fields, key).is_some());
            if let Some(key) = by.filter(|_| is_fixed) {
                let message =
                    format!("{} is a {kind} by `{key}`: it never changes in a running pod", mount.path);
                found.container(subject, container, format!("{}.{key}", mount.at), message);
            }
        }
    }
}

pub(super) const FS015: Rule = Rule {
    id: "FS015",
    title: "configuration is mounted read-only, and says so",
    severity: Severity::Low,
    passes: "Every mount of a ConfigMap, Secret, projected, downwardAPI or image volume has `readOnly: true`.",
    why: "Kubernetes mounts them read-only anyhow, today; whoever reads the manifest, and every policy that looks at it, has to know that.",
    remedy: "Add `readOnly: true` to the mount.",
    fix: Fix::Safe,
    maps: &[],
    point: None,
    check: Check::Pod(explicit_read_only),
};

fn explicit_read_only(subject: &Subject<'_>, found: &mut Found) {
    for container in &subject.containers {
        for mount in &container.mounts {
            let kind = subject.kind_of(mount).unwrap_or_default();
            let is_fixed = FIXED_KINDS.contains(&kind);
            if is_fixed && truth(mount.fields, "readOnly") != Some(true) {
                let message = format!("{} is mounted from a {kind} without `readOnly: true`", mount.path);
                found.container(subject, container, format!("{}.readOnly", mount.at), message);
            }
        }
    }
}

pub(super) const FS017: Rule = Rule {
    id: "FS017",
    title: "a read-only volume of the node or of a claim is read-only below too",
    severity: Severity::Info,
    passes: "Every read-only mount of a claim or a hostPath has `recursiveReadOnly: IfPossible` or `Enabled`; from Kubernetes 1.33 on, where it is stable.",
    why: "`readOnly: true` is about the mount itself: what is mounted below it stays writable unless the read-only flag is recursive.",
    remedy: "Add `recursiveReadOnly: IfPossible`.",
    fix: Fix::None,
    maps: &["KEP-3857"],
    point: None,
    check: Check::Pod(recursive),
};

fn recursive(subject: &Subject<'_>, found: &mut Found) {
    /// The first version in which it is stable.
    const SINCE: u32 = 33;
    if subject.options.version.0 < SINCE || subject.is_windows() {
        return found.void();
    }
    for container in &subject.containers {
        for mount in &container.mounts {
            let kind = subject.kind_of(mount).unwrap_or_default();
            if !["persistentVolumeClaim", "hostPath"].contains(&kind) || !mount.is_read_only {
                continue;
            }
            let how = text(mount.fields, "recursiveReadOnly");
            if !matches!(how, Some("IfPossible" | "Enabled")) {
                let message = format!("{} is read-only, what is mounted below it need not be", mount.path);
                found.container(subject, container, format!("{}.recursiveReadOnly", mount.at), message);
            }
        }
    }
}

pub(super) const FS018: Rule = Rule {
    id: "FS018",
    title: "nothing of the node is mounted",
    severity: Severity::High,
    passes: "The pod has no `hostPath` volume. One that a container may write, that is a socket or that is, holds or lies in what belongs to the node is critical: its programs, configuration and homes, `/dev`, `/proc`, `/run` and `/sys`, the state of the kubelet, of etcd and of container runtimes; but not what every node has alike and a container only reads: certificates of authorities, the time zone, the kernel's modules.",
    why: "A directory of the node outlives the pod, is shared with others, and is a way out: with the runtime's socket or `/etc` writable, whoever is in the container is on the node.",
    remedy: "Use a claim, an `emptyDir` or a ConfigMap. Where an agent must read the node, mount the one directory it needs, `readOnly: true`.",
    fix: Fix::None,
    maps: &["checklist 10", "PSS hostPathVolumes", "KSV-0023", "C-0045", "C-0048"],
    point: Some(Point::NoHostPath),
    check: Check::Pod(host_path),
};

fn host_path(subject: &Subject<'_>, found: &mut Found) {
    /// What belongs to the node, with what lies below.
    const SENSITIVE: [&str; 19] = [
        "/bin",
        "/boot",
        "/dev",
        "/etc",
        "/home",
        "/lib",
        "/proc",
        "/root",
        "/run",
        "/sbin",
        "/sys",
        "/usr",
        "/var/lib/containerd",
        "/var/lib/containers",
        "/var/lib/crio",
        "/var/lib/docker",
        "/var/lib/etcd",
        "/var/lib/kubelet",
        "/var/run",
    ];
    /// What tells nothing of the node.
    const ALIKE: [&str; 7] = [
        "/etc/localtime",
        "/etc/timezone",
        "/etc/ssl/certs",
        "/lib/modules",
        "/usr/lib/modules",
        "/usr/share/ca-certificates",
        "/usr/share/zoneinfo",
    ];
    found.spares_point = true;
    for (index, volume) in subject.volumes.iter().enumerate().filter(|(_, volume)| volume.kind == "hostPath")
    {
        let path = text(volume.source, "path").unwrap_or_default();
        let mut mounts = subject.containers.iter().flat_map(|container| {
            container
                .mounts
                .iter()
                .filter(|mount| mount.volume == Some(index))
                .map(move |mount| (container, mount))
        });
        let writer = mounts.find(|(_, mount)| !mount.is_read_only);
        let place = absolute(path);
        let is_socket = text(volume.source, "type") == Some("Socket")
            || path.rsplit_once('.').is_some_and(|(_, end)| end == "sock");
        let is_sensitive = is_socket
            || SENSITIVE.iter().any(|known| is_within(&place, known) || is_within(known, &place))
                && !ALIKE.iter().any(|known| is_within(&place, known));
        let how = match writer {
            Some((container, _)) => format!(", and {} may write it", container.title()),
            None if is_socket => ", a socket: whoever speaks to it acts on the node".to_owned(),
            None if is_sensitive => ", which belongs to the node".to_owned(),
            None => String::new(),
        };
        let message = format!("the volume {:?} is {path:?} of the node{how}", volume.name);
        found.pod(format!("{}.hostPath.path", volume.at), message);
        // The checklist is about what can be written.
        found.spares_point &= writer.is_none();
        if writer.is_some() || is_sensitive {
            found.weighs(Severity::Critical);
        }
    }
}

pub(super) const FS021: Rule = Rule {
    id: "FS021",
    title: "what belongs to a container does not stand at the pod",
    severity: Severity::High,
    passes: "The pod's `securityContext` has none of `readOnlyRootFilesystem`, `allowPrivilegeEscalation`, `capabilities`, `privileged` and `procMount`.",
    why: "These fields exist for containers only. At the pod they mean nothing: the API server drops them with a warning, or refuses the manifest, and the pod looks hardened and is not.",
    remedy: "Move them to the `securityContext` of every container.",
    fix: Fix::Safe,
    maps: &[],
    point: None,
    check: Check::Pod(misplaced),
};

/// Fields of a container's `securityContext` that a pod's does not have.
pub const CONTAINER_ONLY: [&str; 5] =
    ["allowPrivilegeEscalation", "capabilities", "privileged", "procMount", "readOnlyRootFilesystem"];

fn misplaced(subject: &Subject<'_>, found: &mut Found) {
    for key in CONTAINER_ONLY {
        if subject.spec.get("securityContext").is_some_and(|context| context.get(key).is_some()) {
            let message = format!("`{key}` stands in the pod's `securityContext`, where it means nothing");
            found.pod(format!("spec.securityContext.{key}"), message);
        }
    }
}
