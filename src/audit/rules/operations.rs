//! What the pod may use, and what the cluster around it says.
//!
//! Rules only. What is in no manifest of the audit is not known, and said so.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::checklist::Point;
use super::super::resource::{Resource, Role};
use super::super::rule::{Check, Fix, Found, Rule, WholeFound};
use super::super::subject::{Container, Subject, list, text, value};
use super::super::whole::Whole;
use crate::finding::Severity;
use crate::kube::quantity;

/// An amount of a container: `limits.memory`.
fn amount(container: &Container<'_>, of: &str) -> Option<f64> {
    let (kind, name) = of.split_once('.')?;
    let value = value(container.fields, &format!("resources.{kind}"))?.get(name)?;
    match value {
        Value::String(text) => quantity::parse(text),
        value => value.as_f64(),
    }
}

fn size_limit(source: &Value) -> Option<f64> {
    match value(source, "sizeLimit")? {
        Value::String(text) => quantity::parse(text),
        value => value.as_f64(),
    }
}

pub(super) const FS008: Rule = Rule {
    id: "FS008",
    title: "volumes in memory fit into the memory limit",
    severity: Severity::High,
    passes: "The `sizeLimit`s of the `emptyDir`s with `medium: Memory` that a container mounts are together at most half of its memory limit, which is set.",
    why: "What is written to a volume in memory counts to the container's memory: a full `/tmp` ends in the app being killed.",
    remedy: "Raise the memory limit, lower the `sizeLimit`, or take the node's disk.",
    fix: Fix::WithImage,
    maps: &[],
    point: None,
    check: Check::Pod(memory),
};

fn memory(subject: &Subject<'_>, found: &mut Found) {
    for container in subject.own_containers() {
        let mut sum = 0.0;
        let mut names = Vec::new();
        for mount in container.mounts.iter().filter(|mount| !mount.is_read_only) {
            let Some(volume) = mount.volume.and_then(|index| subject.volumes.get(index)) else { continue };
            let in_memory = volume.kind == "emptyDir" && text(volume.source, "medium") == Some("Memory");
            if in_memory && !names.contains(&volume.name) {
                names.push(volume.name);
                sum += size_limit(volume.source).unwrap_or_default();
            }
        }
        if names.is_empty() {
            continue;
        }
        let at = container.field("resources.limits.memory");
        let names = names.join(", ");
        match amount(container, "limits.memory") {
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
    passes: "A pod with `emptyDir`s on disk has requests and limits for `ephemeral-storage` at the containers that write them, together at least the `sizeLimit`s.",
    why: "The kubelet evicts a pod that uses more than its limit, and without a request it is put on nodes that have no room.",
    remedy: "Set requests and limits for `ephemeral-storage` to the sum of the limits of the volumes and some room for logs.",
    fix: Fix::WithImage,
    maps: &["kube-score container-ephemeral-storage-request-and-limit"],
    point: None,
    check: Check::Pod(storage),
};

fn storage(subject: &Subject<'_>, found: &mut Found) {
    let is_disk = |volume: &&super::super::subject::Volume<'_>| {
        volume.kind == "emptyDir" && text(volume.source, "medium").is_none_or(|medium| medium != "Memory")
    };
    let sum: f64 =
        subject.volumes.iter().filter(is_disk).filter_map(|volume| size_limit(volume.source)).sum();
    let mut limits = 0.0;
    let mut writes = false;
    for container in subject.containers.iter().filter(|one| matches!(one.role, Role::App | Role::Sidecar)) {
        limits += amount(container, "limits.ephemeral-storage").unwrap_or_default();
        let mounts = container.mounts.iter().filter(|mount| !mount.is_read_only);
        let on_disk =
            mounts.filter_map(|mount| subject.volumes.get(mount.volume?)).any(|volume| is_disk(&volume));
        if !on_disk {
            continue;
        }
        writes = true;
        for kind in ["requests", "limits"] {
            if amount(container, &format!("{kind}.ephemeral-storage")).is_none() {
                let at = container.field(&format!("resources.{kind}.ephemeral-storage"));
                let message = format!("it writes volumes on disk, and `{kind}` has no `ephemeral-storage`");
                found.container(subject, container, at, message);
            }
        }
    }
    if writes && found.hits.is_empty() && limits < sum {
        found.pod(
            "spec.volumes",
            "the volumes on disk may grow beyond the limits for `ephemeral-storage`: the pod is evicted",
        );
    }
}

pub(super) const RS001: Rule = Rule {
    id: "RS001",
    title: "what a container may use is limited",
    severity: Severity::Medium,
    passes: "Every container, init containers and sidecars too, has requests for CPU and memory and a limit for memory. A limit for CPU is a matter of taste and not asked for.",
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
        for of in ["requests.cpu", "requests.memory", "limits.memory"] {
            if amount(container, of).is_none() {
                let at = container.field(&format!("resources.{of}"));
                found.container(subject, container, at, format!("`resources.{of}` is not set"));
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

pub(super) const OP001: Rule = Rule {
    id: "OP001",
    title: "the namespace enforces `restricted`",
    severity: Severity::Medium,
    passes: "A Namespace has the labels `pod-security.kubernetes.io/enforce`, `warn` and `audit`, all `restricted`, and the version of each pinned.",
    why: "What is not enforced is not kept: the next manifest may ask for root. `latest` changes with every upgrade: 1.34, 1.35 and 1.37 each added checks.",
    remedy: "`kiln policy psa` writes the labels, and how to see beforehand what they would refuse.",
    fix: Fix::None,
    maps: &["CKV2_K8S_2"],
    point: None,
    check: Check::Resource(&["Namespace"], enforced),
};

fn enforced(_: &Resource, value: &Value, found: &mut Found) {
    let labels = value.pointer("/metadata/labels");
    let label = |name: &str| {
        labels.and_then(|labels| labels.get(format!("pod-security.kubernetes.io/{name}"))?.as_str())
    };
    for mode in ["enforce", "warn", "audit"] {
        let field = format!("metadata.labels[\"pod-security.kubernetes.io/{mode}\"]");
        match label(mode) {
            Some("restricted") => {}
            Some(other) => {
                found.pod(field, format!("`{mode}` is {other:?}, not `restricted`"));
                continue;
            }
            None => {
                found.pod(field, format!("no label `pod-security.kubernetes.io/{mode}`"));
                continue;
            }
        }
        let field = format!("metadata.labels[\"pod-security.kubernetes.io/{mode}-version\"]");
        match label(&format!("{mode}-version")) {
            Some("latest") | None => {
                found
                    .pod(field, format!("the version of `{mode}` is not pinned: it changes with an upgrade"));
            }
            Some(_) => {}
        }
    }
}

pub(super) const OP002: Rule = Rule {
    id: "OP002",
    title: "the cluster enforces read-only root file systems",
    severity: Severity::Info,
    passes: "A policy that is audited with the pods (ValidatingAdmissionPolicy, Gatekeeper, Kyverno) asks for `readOnlyRootFilesystem`, of ephemeral containers too.",
    why: "The Pod Security Standards do not ask for it: without a policy nobody does. One that leaves out ephemeral containers lets `kubectl debug` in with a writable root file system.",
    remedy: "`kiln policy vap`, `gatekeeper` or `kyverno` writes one.",
    fix: Fix::None,
    maps: &[],
    point: None,
    check: Check::Whole(policy),
};

fn policy(whole: &Whole, found: &mut WholeFound) {
    for policy in &whole.policies {
        if policy.covers_ephemeral {
            found.passed.push(policy.resource);
        } else {
            found.hits.push((
                policy.resource,
                policy.at,
                "the policy leaves out `ephemeralContainers`".to_owned(),
            ));
        }
    }
    if whole.policies.is_empty() {
        found.undecided = whole.pods.iter().map(|pod| pod.resource).collect();
        found.why = "no admission policy is audited with the pods";
    }
}

pub(super) const OP003: Rule = Rule {
    id: "OP003",
    title: "a NetworkPolicy selects the pod",
    severity: Severity::Low,
    passes: "Where NetworkPolicies are audited with the pods, one of the pod's namespace selects it.",
    why: "A pod that no policy selects speaks to everything in the cluster, and everything to it.",
    remedy: "`kiln generate --with networkpolicy` writes one that allows the declared ports.",
    fix: Fix::None,
    maps: &["CKV2_K8S_6"],
    point: None,
    check: Check::Whole(network),
};

fn network(whole: &Whole, found: &mut WholeFound) {
    if whole.networks.is_empty() {
        found.undecided = whole.pods.iter().map(|pod| pod.resource).collect();
        found.why = "no NetworkPolicy is audited with the pods";
        return;
    }
    for pod in &whole.pods {
        let selects =
            |network: &(String, Value)| network.0 == pod.namespace && selected(&network.1, &pod.labels);
        if whole.networks.iter().any(selects) {
            found.passed.push(pod.resource);
        } else {
            found.hits.push((pod.resource, pod.at, "no NetworkPolicy selects the pod".to_owned()));
        }
    }
}

/// Whether a label selector, which says `selector`, selects what has `labels`.
fn selected(selector: &Value, labels: &BTreeMap<String, String>) -> bool {
    let wanted = value(selector, "matchLabels").and_then(Value::as_object);
    let equal = wanted
        .into_iter()
        .flatten()
        .all(|(name, wanted)| labels.get(name).map(String::as_str) == wanted.as_str());
    equal
        && list(selector, "matchExpressions").all(|(_, expression)| {
            let own = text(expression, "key").and_then(|key| labels.get(key));
            let listed =
                own.is_some_and(|own| list(expression, "values").any(|(_, one)| one.as_str() == Some(own)));
            match text(expression, "operator") {
                Some("In") => listed,
                Some("NotIn") => !listed,
                Some("Exists") => own.is_some(),
                Some("DoesNotExist") => own.is_none(),
                _ => false,
            }
        })
}

pub(super) const OP004: Rule = Rule {
    id: "OP004",
    title: "something brings the pod back",
    severity: Severity::Info,
    passes: "A Pod belongs to a Deployment or another workload.",
    why: "A Pod on its own is gone with its node.",
    remedy: "`kiln generate deployment`.",
    fix: Fix::None,
    maps: &["C-0073"],
    point: None,
    check: Check::Pod(|subject, found| {
        if subject.resource.kind != "Pod" {
            return found.void();
        }
        if list(subject.metadata, "ownerReferences").next().is_none() {
            found.pod("metadata", "the pod belongs to nothing that would bring it back");
        }
    }),
};

pub(super) const OP005: Rule = Rule {
    id: "OP005",
    title: "few may get into running pods",
    severity: Severity::Info,
    passes: "No Role or ClusterRole allows to create or update `pods/exec`, `pods/attach` or `pods/ephemeralcontainers`.",
    why: "Whoever may is in every container that the role reaches, hardened or not.",
    remedy: "Give the right to few, for a time.",
    fix: Fix::None,
    maps: &["KSV-0053", "C-0002"],
    point: None,
    check: Check::Resource(&["Role", "ClusterRole"], access),
};

fn access(_: &Resource, value: &Value, found: &mut Found) {
    const INTO: [&str; 3] = ["pods/exec", "pods/attach", "pods/ephemeralcontainers"];
    const ACTS: [&str; 4] = ["create", "update", "patch", "*"];
    for (index, rule) in list(value, "rules") {
        let has = |field: &str, wanted: &dyn Fn(&str) -> bool| {
            list(rule, field).any(|(_, one)| one.as_str().is_some_and(wanted))
        };
        let core = has("apiGroups", &|group| ["", "*"].contains(&group));
        if !core || !has("verbs", &|verb| ACTS.contains(&verb)) {
            continue;
        }
        let what = list(rule, "resources")
            .filter_map(|(_, one)| one.as_str())
            .find(|name| INTO.contains(name) || ["*", "pods/*", "*/exec", "*/attach"].contains(name));
        if let Some(what) = what {
            found.pod(format!("rules[{index}].resources"), format!("it allows to get into pods: `{what}`"));
        }
    }
}

/// Whether a resource is a policy about read-only root file systems, and whether it knows ephemeral containers.
pub(in super::super) fn as_policy(resource: &Resource, value: &Value) -> Option<bool> {
    const KINDS: [(&str, &str); 6] = [
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"),
        ("templates.gatekeeper.sh", "ConstraintTemplate"),
        ("kyverno.io", "ClusterPolicy"),
        ("kyverno.io", "Policy"),
        ("policies.kyverno.io", "ValidatingPolicy"),
        ("policies.kyverno.io", "NamespacedValidatingPolicy"),
    ];
    if !KINDS.contains(&(resource.group(), resource.kind.as_str())) {
        return None;
    }
    let text = value.to_string();
    text.contains("readOnlyRootFilesystem").then(|| text.contains("ephemeralContainers"))
}

/// The namespace and the pod selector of a NetworkPolicy.
pub(in super::super) fn network_of(resource: &Resource, value: &Value) -> Option<(String, Value)> {
    let is_policy = resource.kind == "NetworkPolicy" && resource.group() == "networking.k8s.io";
    let selector = || value.pointer("/spec/podSelector").cloned().unwrap_or_default();
    is_policy.then(|| (resource.namespace.clone(), selector()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn label_selectors_select_as_kubernetes_has_it() {
        let labels = BTreeMap::from([("app".to_owned(), "web".to_owned())]);
        let cases = [
            (json!({}), true),
            (json!({"matchLabels": {"app": "web"}}), true),
            (json!({"matchLabels": {"app": "db"}}), false),
            (json!({"matchExpressions": [{"key": "app", "operator": "In", "values": ["web", "x"]}]}), true),
            (json!({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}), false),
            (json!({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["a"]}]}), true),
            (json!({"matchExpressions": [{"key": "tier", "operator": "Exists"}]}), false),
            (json!({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}), true),
        ];
        for (selector, expect) in cases {
            assert_eq!(selected(&selector, &labels), expect, "{selector}");
        }
    }
}
