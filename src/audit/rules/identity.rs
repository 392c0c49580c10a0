//! Who the containers run as.
//!
//! Rules only. What Kubernetes' own standards say of it is asked of them.

use serde_json::Value;

use super::super::checklist::Point;
use super::super::options::Platform;
use super::super::rule::{Check, Fix, Found, NO_IMAGE, Rule};
use super::super::subject::{Container, Subject, list, number, text, truth, value};
use super::violated;
use super::who::{Who, identity};
use crate::finding::Severity;

pub(super) const ID001: Rule = Rule {
    id: "ID001",
    title: "containers may not run as root",
    severity: Severity::High,
    passes: "`runAsNonRoot: true` at the pod, or at every container; from Kubernetes 1.35 on a pod with users of its own (`hostUsers: false`) passes too.",
    why: "Root in a container is root wherever the kernel has a hole. With `runAsNonRoot` the kubelet refuses to start an image that would run as root.",
    remedy: "Set `runAsNonRoot: true` and a numeric `runAsUser`.",
    fix: Fix::WithImage,
    maps: &["checklist 3", "PSS runAsNonRoot", "KSV-0012", "CKV_K8S_23", "C-0013"],
    point: Some(Point::NonRoot),
    check: Check::Pod(|subject, found| {
        violated(subject, found, &["runAsNonRoot"], "`runAsNonRoot` is not true");
    }),
};

pub(super) const ID002: Rule = Rule {
    id: "ID002",
    title: "containers run as a number that is not 0",
    severity: Severity::High,
    passes: "`runAsUser` is 0 nowhere, whatever the version and whether or not the pod has users of its own; and where neither the container nor the pod has it, the image's `USER` is a number above 0.",
    why: "0 is root. The kubelet cannot tell whether a name is root's: with `runAsNonRoot: true` and an image whose `USER` is a name the container does not start (`CreateContainerConfigError`).",
    remedy: "Set `runAsUser` and `runAsGroup` to the numbers that the image's `/etc/passwd` has; hardened images have numbers in `USER`.",
    fix: Fix::WithImage,
    maps: &["checklist 3", "PSS runAsUser", "KSV-0105"],
    point: Some(Point::NonRoot),
    check: Check::Pod(numeric_user),
};

/// The user of a container: what the pod says, else what the image does.
fn user(subject: &Subject<'_>, container: &Container<'_>) -> Option<Result<i64, String>> {
    if let Some(uid) = subject.effective(container, "runAsUser") {
        return Some(uid.as_i64().ok_or_else(|| uid.to_string()));
    }
    let named = &container.known?.config.user;
    let name = named.split(':').next().unwrap_or_default();
    Some(if name.is_empty() { Ok(0) } else { name.parse().map_err(|_| name.to_owned()) })
}

fn numeric_user(subject: &Subject<'_>, found: &mut Found) {
    let is_root = |fields: &Value| number(fields, "securityContext.runAsUser") == Some(0);
    let message = "`runAsUser` is 0: root";
    if is_root(subject.spec) {
        found.pod("spec.securityContext.runAsUser", message);
    }
    for container in subject.containers.iter().filter(|container| is_root(container.fields)) {
        found.container(subject, container, container.field("securityContext.runAsUser"), message);
    }
    // On OpenShift the platform sets one.
    if subject.is_windows() || subject.options.platform == Platform::Openshift {
        return;
    }
    for container in &subject.containers {
        if subject.effective(container, "runAsUser").is_some() {
            continue;
        }
        let field = container.field("securityContext.runAsUser");
        match user(subject, container) {
            None => found.undecided(NO_IMAGE),
            Some(Ok(0)) => {
                found.container(subject, container, field, "no `runAsUser`, and the image runs as root");
            }
            Some(Ok(_)) => {}
            Some(Err(name)) => {
                let message = format!("no `runAsUser`, and the image's `USER` is a name: {name:?}");
                found.container(subject, container, field, message);
            }
        }
    }
}

pub(super) const ID003: Rule = Rule {
    id: "ID003",
    title: "user and group are none of the node's",
    severity: Severity::Low,
    passes: "User and group are 10000 or above, or the ones that the image's own files are for.",
    why: "Ids of containers are ids of the node where no user namespace is: a low one is likely to be somebody there.",
    remedy: "Take ids from 10000 on where the image does not mind; keep the image's own (101 of nginx) where its files need them, and audit with `--image` so that this is known.",
    fix: Fix::None,
    maps: &["KSV-0020", "KSV-0021", "CKV_K8S_40"],
    point: None,
    check: Check::Pod(high_ids),
};

fn high_ids(subject: &Subject<'_>, found: &mut Found) {
    /// From here on nobody of the node is expected.
    const FIRST: i64 = 10_000;
    if subject.is_windows() || subject.options.platform == Platform::Openshift {
        return found.void();
    }
    for container in &subject.containers {
        let process = container.known.map(|image| &image.manifest.process);
        let own = [
            ("runAsUser", process.map(|process| process.uid)),
            ("runAsGroup", process.map(|process| process.gid)),
        ];
        for (field, own) in own {
            let Some(id) = subject.effective(container, field).and_then(Value::as_i64) else {
                continue;
            };
            // Root is another rule's.
            if id == 0 || id >= FIRST {
                continue;
            }
            match own {
                None => found.undecided(NO_IMAGE),
                Some(own) if i64::from(own) == id => {}
                Some(own) => {
                    let message = format!("`{field}` is {id}, below {FIRST}, and the image's own is {own}");
                    let at = place(subject, container, field);
                    found.container(subject, container, at, message);
                }
            }
        }
    }
}

/// Where a field of `securityContext` stands for the container: its own, or the pod's.
fn place(subject: &Subject<'_>, container: &Container<'_>, field: &str) -> String {
    let own = value(container.fields, &format!("securityContext.{field}")).is_some();
    let pod = value(subject.spec, &format!("securityContext.{field}")).is_some();
    if own || !pod {
        container.field(&format!("securityContext.{field}"))
    } else {
        format!("spec.securityContext.{field}")
    }
}

pub(super) const ID004: Rule = Rule {
    id: "ID004",
    title: "no group is root's",
    severity: Severity::Low,
    passes: "`runAsGroup` is set and not 0, or the image's own group is not; neither `fsGroup` nor `supplementalGroups` is 0. On OpenShift the group is root's on purpose.",
    why: "Where no group is said the container's is 0: files of the image that only root's group may read or write are the app's then.",
    remedy: "Set `runAsGroup` beside `runAsUser`.",
    fix: Fix::WithImage,
    maps: &["KSV-0116"],
    point: None,
    check: Check::Pod(root_group),
};

fn root_group(subject: &Subject<'_>, found: &mut Found) {
    if subject.is_windows() || subject.options.platform == Platform::Openshift {
        return found.void();
    }
    for container in &subject.containers {
        match subject.effective(container, "runAsGroup").map(Value::as_i64) {
            Some(Some(0)) => {
                found.container(
                    subject,
                    container,
                    place(subject, container, "runAsGroup"),
                    "`runAsGroup` is 0: root's",
                );
            }
            Some(_) => {}
            None => {
                // The kubelet takes the group from the image's USER, or from its accounts; 0 where neither says.
                let gid = container
                    .known
                    .map(|image| identity(subject, container, image).map_or(0, |identity| identity.gid));
                match gid {
                    None => found.undecided(NO_IMAGE),
                    Some(0) => {
                        let at = container.field("securityContext.runAsGroup");
                        found.container(
                            subject,
                            container,
                            at,
                            "no `runAsGroup`, and the image's group is root's",
                        );
                    }
                    Some(_) => {}
                }
            }
        }
    }
    if number(subject.spec, "securityContext.fsGroup") == Some(0) {
        found.pod("spec.securityContext.fsGroup", "`fsGroup` is 0: root's");
    }
    for (index, group) in list(subject.spec, "securityContext.supplementalGroups") {
        if group.as_i64() == Some(0) {
            let at = format!("spec.securityContext.supplementalGroups[{index}]");
            found.pod(at, "`supplementalGroups` has 0: root's");
        }
    }
}

pub(super) const ID005: Rule = Rule {
    id: "ID005",
    title: "`fsGroup` stands where it is needed, and only there",
    severity: Severity::Low,
    passes: "A pod that writes to a claim has `fsGroup`, with `fsGroupChangePolicy: OnRootMismatch`; one with nothing but `emptyDir`s, or without volumes, has none.",
    why: "A new claim belongs to root: without `fsGroup` the app cannot write to it. An `emptyDir` everybody in the pod can write as it is: there `fsGroup` adds a group to every process and nothing else.",
    remedy: "Set `fsGroup` to the app's group where there is a claim; leave it out elsewhere.",
    fix: Fix::WithImage,
    maps: &[],
    point: None,
    check: Check::Pod(fs_group),
};

fn fs_group(subject: &Subject<'_>, found: &mut Found) {
    if subject.is_windows() || subject.options.platform == Platform::Openshift {
        return found.void();
    }
    let mounts = || subject.own_containers().flat_map(|container| &container.mounts);
    let is_claim = |kind: &str| ["persistentVolumeClaim", "ephemeral"].contains(&kind);
    let writes_claim =
        mounts().any(|mount| !mount.is_read_only && subject.kind_of(mount).is_some_and(is_claim));
    let has = value(subject.spec, "securityContext.fsGroup").is_some();
    let at = "spec.securityContext.fsGroup";
    if writes_claim && !has {
        found.pod(at, "a claim is written, and `fsGroup` is not set: it belongs to root");
    } else if writes_claim
        && text(subject.spec, "securityContext.fsGroupChangePolicy") != Some("OnRootMismatch")
    {
        let at = "spec.securityContext.fsGroupChangePolicy";
        found.pod(at, "without `OnRootMismatch` every start changes the group of every file in the claim");
    } else if has
        && subject.volumes.iter().all(|volume| volume.kind == "emptyDir")
        && subject.claim_templates().next().is_none()
    {
        found.pod(at, "`fsGroup` is set, and no volume needs it");
    }
}

pub(super) const ID006: Rule = Rule {
    id: "ID006",
    title: "the image adds no groups",
    severity: Severity::Low,
    passes: "`supplementalGroupsPolicy: Strict`, from Kubernetes 1.35 on, where it is stable.",
    why: "Without it the container gets every group that the image's `/etc/group` gives its user, and the pod does not show them.",
    remedy: "Set `securityContext.supplementalGroupsPolicy: Strict`, and name the groups that the app needs in `supplementalGroups`.",
    fix: Fix::WithImage,
    maps: &["KEP-3619"],
    point: None,
    check: Check::Pod(strict_groups),
};

fn strict_groups(subject: &Subject<'_>, found: &mut Found) {
    /// The first version in which it is stable.
    const SINCE: u32 = 35;
    if subject.options.version.0 < SINCE || subject.is_windows() {
        return found.void();
    }
    if text(subject.spec, "securityContext.supplementalGroupsPolicy") != Some("Strict") {
        let at = "spec.securityContext.supplementalGroupsPolicy";
        found.pod(
            at,
            "the groups of the image's `/etc/group` are added: `supplementalGroupsPolicy` is not `Strict`",
        );
    }
}

pub(super) const ID007: Rule = Rule {
    id: "ID007",
    title: "the pod has users of its own",
    severity: Severity::Info,
    passes: "`hostUsers: false`, from Kubernetes 1.36 on, where it is stable; not where the pod uses the node's namespaces.",
    why: "With a user namespace root in the container is nobody on the node.",
    remedy: "Set `hostUsers: false` where the nodes and the file systems of the volumes support it.",
    fix: Fix::Unsafe,
    maps: &["KEP-127"],
    point: None,
    check: Check::Pod(user_namespace),
};

fn user_namespace(subject: &Subject<'_>, found: &mut Found) {
    /// The first version in which it is stable.
    const SINCE: u32 = 36;
    let host = ["hostNetwork", "hostPID", "hostIPC"];
    let shares = host.iter().any(|field| truth(subject.spec, field) == Some(true));
    if subject.options.version.0 < SINCE || subject.is_windows() || shares {
        return found.void();
    }
    if truth(subject.spec, "hostUsers") != Some(false) {
        found.pod("spec.hostUsers", "`hostUsers` is not false: the container's users are the node's");
    }
}

pub(super) const ID008: Rule = Rule {
    id: "ID008",
    title: "no fixed ids on OpenShift",
    severity: Severity::High,
    passes: "With `--platform openshift`: neither `runAsUser`, `runAsGroup`, `fsGroup` nor `seLinuxOptions` is set anywhere.",
    why: "OpenShift gives each namespace ids of its own and refuses a pod that asks for others (`unable to validate against any security context constraint`).",
    remedy: "Leave them out: `kiln generate --platform openshift`.",
    fix: Fix::Safe,
    maps: &[],
    point: None,
    check: Check::Pod(fixed_ids),
};

fn fixed_ids(subject: &Subject<'_>, found: &mut Found) {
    if subject.options.platform != Platform::Openshift {
        return found.void();
    }
    for field in ["runAsUser", "runAsGroup", "fsGroup", "seLinuxOptions"] {
        let path = format!("securityContext.{field}");
        let message = format!("`{field}` is set: the namespace's ids are others");
        if value(subject.spec, &path).is_some() {
            found.pod(format!("spec.{path}"), message.clone());
        }
        for container in &subject.containers {
            if value(container.fields, &path).is_some() {
                found.container(subject, container, container.field(&path), message.clone());
            }
        }
    }
}

pub(super) const ID009: Rule = Rule {
    id: "ID009",
    title: "the user may start the program",
    severity: Severity::High,
    passes: "The pod's user, group and groups may start what the container starts of the image, may read it if it is a script, and may pass the directories on the way.",
    why: "A pod that runs an image as another user than it was built for does not start where the files are for that user only (`permission denied`).",
    remedy: "Run it as the image's own user, or harden the image for this one: `kiln harden --user UID:GID`.",
    fix: Fix::None,
    maps: &[],
    point: None,
    check: Check::Pod(may_start),
};

fn may_start(subject: &Subject<'_>, found: &mut Found) {
    if subject.is_windows() || subject.options.platform == Platform::Openshift {
        return found.void();
    }
    for container in &subject.containers {
        let Some(image) = container.known else {
            found.undecided(NO_IMAGE);
            continue;
        };
        let argv = container.argv(image);
        let Some(program) = argv.first().filter(|name| !container.is_mounted_over(image, name)) else {
            continue;
        };
        let Some(who) = Who::of(subject, container, image) else { continue };
        // What is not there is another rule's.
        let closed = container.find(image, program).and_then(|path| who.keeps_out(image, &path));
        if let Some(path) = closed.filter(|_| who.uid != 0) {
            let at = place(subject, container, "runAsUser");
            let message = format!("user {} may not use {path} of the image", who.uid);
            found.container(subject, container, at, message);
        }
    }
}
