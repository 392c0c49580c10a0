//! What the cluster around the pod says.
//!
//! Rules only. What is in no manifest of the audit is not known, and said so.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::resource::Resource;
use super::super::rule::{Check, Fix, Found, Rule, WholeFound};
use super::super::subject::{list, text, value};
use super::super::whole::{Policy, Whole};
use crate::finding::Severity;

pub(super) const OP001: Rule = Rule {
    id: "OP001",
    title: "the namespace enforces `restricted`",
    severity: Severity::Medium,
    passes: "A Namespace has the labels `pod-security.kubernetes.io/enforce`, `warn` and `audit`, all `restricted`, and the version of each pinned, as admission takes it: `v1.35`.",
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
            Some(version) if !is_pinned(version) => {
                let message =
                    format!("the version of `{mode}` is {version:?}, which is none: `v1.35` is one");
                found.pod(field, message);
            }
            Some(_) => {}
        }
    }
}

/// Whether it is a version as Pod Security admission reads it: `v1.` and a number without zeros before it.
fn is_pinned(version: &str) -> bool {
    version.strip_prefix("v1.").is_some_and(|minor| {
        let is_number = !minor.is_empty() && minor.bytes().all(|byte| byte.is_ascii_digit());
        is_number && (minor == "0" || !minor.starts_with('0'))
    })
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
    passes: "Where NetworkPolicies are audited with the pods, one of the pod's namespace selects it. It is not decided where one would, and either of the two names no namespace: that is whoever applies it to say.",
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
        let selecting = || whole.networks.iter().filter(|(_, selector)| selected(selector, &pod.labels));
        let is_open = |namespace: &String| namespace.is_empty() || pod.namespace.is_empty();
        if selecting().any(|(namespace, _)| *namespace == pod.namespace) {
            found.passed.push(pod.resource);
        } else if selecting().any(|(namespace, _)| is_open(namespace)) {
            found.undecided.push(pod.resource);
            found.why = "a pod or a NetworkPolicy names no namespace";
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

/// What rules about everything together need of a resource, but for its pods.
pub(in super::super) fn remembered(resource: &Resource, value: &Value) -> Whole {
    let policy = as_policy(resource, value).map(|covers_ephemeral| {
        let at = (resource.line, resource.column);
        Policy { resource: 0, at, covers_ephemeral }
    });
    Whole {
        pods: Vec::new(),
        networks: network_of(resource, value).into_iter().collect(),
        policies: policy.into_iter().collect(),
    }
}

/// Whether a resource is a policy about read-only root file systems, and whether it knows ephemeral containers.
fn as_policy(resource: &Resource, value: &Value) -> Option<bool> {
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
fn network_of(resource: &Resource, value: &Value) -> Option<(String, Value)> {
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
