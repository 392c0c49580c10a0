//! What the pod may use: processors, memory and disk.
//!
//! Rules only. An amount is what the API server makes of what is written.

use serde_json::Value;

use super::super::checklist::Point;
use super::super::resource::Role;
use super::super::rule::{Check, Fix, Found, Rule};
use super::super::subject::{Container, Subject, Volume, amount, text};
use crate::finding::Severity;

/// What a container asks for, or may use at the most, as the API server fills it in: a request is the limit where only that
/// is set, and from 1.34 on the pod's own `resources` count for a container that says nothing. 0 is none.
fn granted(subject: &Subject<'_>, container: &Container<'_>, of: &str, what: &str) -> Option<f64> {
    /// The first version that has `resources` of a pod by default; disk is no part of them.
    const SINCE: u32 = 34;
    let kinds: &[&str] = if of == "requests" { &["requests", "limits"] } else { &["limits"] };
    let set = |fields: &Value| {
        let said = kinds.iter().find_map(|kind| amount(fields, &format!("resources.{kind}.{what}")));
        said.filter(|amount| *amount > 0.0)
    };
    let has_pod = subject.options.version.0 >= SINCE && what != STORAGE;
    set(container.fields).or_else(|| set(subject.spec).filter(|_| has_pod))
}

/// Disk of the node, as a resource.
const STORAGE: &str = "ephemeral-storage";

/// Whether a volume is an `emptyDir` of that medium; the disk's is empty.
fn is_on(volume: &Volume<'_>, medium: &str) -> bool {
    volume.kind == "emptyDir" && text(volume.source, "medium").unwrap_or_default() == medium
}

pub(super) const FS008: Rule = Rule {
    id: "FS008",
    title: "volumes in memory fit into the memory limit",
    severity: Severity::High,
    passes: "Every `emptyDir` with `medium: Memory` that a container can write has a `sizeLimit`, and those of a container are together at most half of its memory limit, which is set: at the container, or from Kubernetes 1.34 on at the pod.",
    why: "What is written to a volume in memory counts to the container's memory: a full `/tmp` ends in the app being killed.",
    remedy: "Raise the memory limit, lower the `sizeLimit`, or take the node's disk.",
    fix: Fix::WithImage,
    maps: &[],
    point: None,
    check: Check::Pod(memory),
};

fn memory(subject: &Subject<'_>, found: &mut Found) {
    let mut unbounded = Vec::new();
    for container in subject.own_containers() {
        let mut sum = 0.0;
        let mut names = Vec::new();
        for mount in subject.writable(container) {
            let Some(volume) = mount.volume.and_then(|index| subject.volumes.get(index)) else { continue };
            if !is_on(volume, "Memory") || names.contains(&volume.name) {
                continue;
            }
            names.push(volume.name);
            match amount(volume.source, "sizeLimit").filter(|limit| *limit > 0.0) {
                Some(limit) => sum += limit,
                None if unbounded.contains(&volume.name) => {}
                None => {
                    unbounded.push(volume.name);
                    let message = format!("the volume in memory {:?} is not bounded", volume.name);
                    found.pod(format!("{}.emptyDir.sizeLimit", volume.at), message);
                }
            }
        }
        if names.is_empty() {
            continue;
        }
        let at = container.field("resources.limits.memory");
        let names = names.join(", ");
        match granted(subject, container, "limits", "memory") {
            None => {
                let message = format!("volumes in memory ({names}), and no memory limit");
                found.container(subject, container, at, message);
            }
            Some(limit) if sum > limit / 2.0 => {
                let message =
                    format!("the volumes in memory ({names}) may take more than half of the memory limit");
                found.container(subject, container, at, message);
            }
            Some(_) => {}
        }
    }
}

pub(super) const FS009: Rule = Rule {
    id: "FS009",
    title: "volumes on disk fit into the ephemeral storage",
    severity: Severity::Medium,
    passes: "In a pod with `emptyDir`s on disk each container that writes one has a request and a limit for `ephemeral-storage`; a limit alone is both. The requests of all are together at least the `sizeLimit`s, and so are the limits.",
    why: "The kubelet evicts a pod that uses more than its limit, and without a request it is put on nodes that have no room.",
    remedy: "Set requests and limits for `ephemeral-storage` to the sum of the limits of the volumes and some room for logs.",
    fix: Fix::WithImage,
    maps: &["kube-score container-ephemeral-storage-request-and-limit"],
    point: None,
    check: Check::Pod(storage),
};

fn storage(subject: &Subject<'_>, found: &mut Found) {
    const KINDS: [&str; 2] = ["requests", "limits"];
    let on_disk = subject.volumes.iter().filter(|volume| is_on(volume, ""));
    let sum: f64 = on_disk.filter_map(|volume| amount(volume.source, "sizeLimit")).sum();
    let runs = |role| matches!(role, Role::App | Role::Sidecar);
    let mut writes = false;
    for container in subject.containers.iter().filter(|container| runs(container.role)) {
        let mut volumes = subject.writable(container).filter_map(|mount| subject.volumes.get(mount.volume?));
        if !volumes.any(|volume| is_on(volume, "")) {
            continue;
        }
        writes = true;
        for kind in KINDS {
            if granted(subject, container, kind, STORAGE).is_none() {
                let at = container.field(&format!("resources.{kind}.{STORAGE}"));
                let message = format!("it writes volumes on disk, and `{kind}` has no `{STORAGE}`");
                found.container(subject, container, at, message);
            }
        }
    }
    if !writes || !found.hits.is_empty() {
        return;
    }
    for kind in KINDS {
        let all = subject.containers.iter().filter(|container| runs(container.role));
        let together: f64 = all.filter_map(|container| granted(subject, container, kind, STORAGE)).sum();
        if together < sum {
            let then = if kind == "limits" { "the pod is evicted" } else { "the node may have no room" };
            let message = format!("the volumes on disk may grow beyond the {kind} for `{STORAGE}`: {then}");
            found.pod("spec.volumes", message);
        }
    }
}

pub(super) const RS001: Rule = Rule {
    id: "RS001",
    title: "what a container may use is limited",
    severity: Severity::Medium,
    passes: "Every container, init containers and sidecars too, has requests for CPU and memory and a limit for memory, above 0. A limit alone is a request too, and from Kubernetes 1.34 on what the pod's own `resources` say counts for all. A limit for CPU is a matter of taste and not asked for.",
    why: "Without a limit one container takes the node's memory, and others are killed for it; without requests the pod is put where there is no room, and is the first to go.",
    remedy: "Set `resources` to what was measured, with some room. `kiln fix` sets requests, and limits where the image is at hand: those of generated pods.",
    fix: Fix::WithImage,
    maps: &[
        "checklist 9",
        "KSV-0011",
        "KSV-0015",
        "KSV-0016",
        "KSV-0018",
        "CKV_K8S_10",
        "CKV_K8S_12",
        "CKV_K8S_13",
    ],
    point: Some(Point::Limits),
    check: Check::Pod(limited),
};

fn limited(subject: &Subject<'_>, found: &mut Found) {
    for container in subject.own_containers() {
        for (of, what) in [("requests", "cpu"), ("requests", "memory"), ("limits", "memory")] {
            if granted(subject, container, of, what).is_none() {
                let at = container.field(&format!("resources.{of}.{what}"));
                found.container(subject, container, at, format!("`resources.{of}.{what}` is not set"));
            }
        }
    }
}

pub(super) const RS002: Rule = Rule {
    id: "RS002",
    title: "the reason of a crash is seen",
    severity: Severity::Info,
    passes: "`terminationMessagePolicy: FallbackToLogsOnError` in every container.",
    why: "With it the end of the log is in the pod's status: `Read-only file system` is seen by whoever looks at the pod.",
    remedy: "Set it.",
    fix: Fix::Safe,
    maps: &[],
    point: None,
    check: Check::Pod(|subject, found| {
        for container in subject.own_containers() {
            if text(container.fields, "terminationMessagePolicy") != Some("FallbackToLogsOnError") {
                let at = container.field("terminationMessagePolicy");
                found.container(
                    subject,
                    container,
                    at,
                    "`terminationMessagePolicy` is not `FallbackToLogsOnError`",
                );
            }
        }
    }),
};
