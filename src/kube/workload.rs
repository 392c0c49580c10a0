//! Kinds that make pods, and where the pod stands in each.
//!
//! Knows names and places only; what is in a pod is for those who read it.

/// A kind that makes pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Workload {
    /// `kind`.
    pub kind: &'static str,
    /// Names of its `apiVersion` before the `/`; empty is the core's.
    pub group: &'static str,
    /// Fields that lead to what has the pod's `metadata` and `spec`.
    pub template: &'static [&'static str],
}

const fn workload(kind: &'static str, group: &'static str, template: &'static [&'static str]) -> Workload {
    Workload { kind, group, template }
}

/// Those of Kubernetes itself.
pub const WORKLOADS: [Workload; 9] = [
    workload("Pod", "", &[]),
    workload("PodTemplate", "", &["template"]),
    workload("Deployment", "apps", &["spec", "template"]),
    workload("StatefulSet", "apps", &["spec", "template"]),
    workload("DaemonSet", "apps", &["spec", "template"]),
    workload("ReplicaSet", "apps", &["spec", "template"]),
    workload("ReplicationController", "", &["spec", "template"]),
    workload("Job", "batch", &["spec", "template"]),
    workload("CronJob", "batch", &["spec", "jobTemplate", "spec", "template"]),
];

/// The workload of that `kind`.
pub fn of(kind: &str) -> Option<&'static Workload> {
    WORKLOADS.iter().find(|workload| workload.kind == kind)
}
