//! Where in a resource its pods are described: in known kinds, in those that the user tells of, and where it is not known.
//!
//! Finds places only; what stands there is for the rules.

use std::collections::BTreeSet;

use serde_json::Value;

use super::resource::Resource;
use crate::kube::workload;

/// Kinds of others that make pods: the group of their `apiVersion`, their kind, and what has the pod's `metadata` and `spec`.
const OTHERS: [(&str, &str, &[&str]); 8] = [
    ("argoproj.io", "Rollout", &["spec", "template"]),
    ("serving.knative.dev", "Service", &["spec", "template"]),
    ("serving.knative.dev", "Configuration", &["spec", "template"]),
    ("serving.knative.dev", "Revision", &[]),
    ("apps.openshift.io", "DeploymentConfig", &["spec", "template"]),
    ("apps.kruise.io", "CloneSet", &["spec", "template"]),
    ("apps.kruise.io", "StatefulSet", &["spec", "template"]),
    ("apps.kruise.io", "DaemonSet", &["spec", "template"]),
];

/// Deepest field in which containers are looked for where the kind is not known.
const MAX_DEPTH: usize = 24;

/// Where a kind that kiln does not know describes its pods: `--pod-spec-path KIND=FIELD.FIELD[].spec`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodSpecPath {
    /// The kind.
    pub kind: String,
    /// The steps to what has the pod's `metadata` and `spec`.
    steps: Vec<Step>,
}

/// A step on the way to a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// To the field of that name.
    Field(String),
    /// To the member of that number: `[0]`.
    Item(usize),
    /// To every member: `[]`.
    Every,
}

/// Text that is no place of a pod's spec.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected KIND=FIELD.FIELD.spec, the last field `spec`, `[]` behind a list, found `{0}`")]
pub struct ParsePodSpecPathError(String);

impl std::str::FromStr for PodSpecPath {
    type Err = ParsePodSpecPathError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ParsePodSpecPathError(text.to_owned());
        let (kind, path) = text.split_once('=').ok_or_else(wrong)?;
        let mut steps = Vec::new();
        for part in path.trim_start_matches('.').split('.') {
            parse_steps(part, &mut steps).ok_or_else(wrong)?;
        }
        let last = steps.pop();
        if kind.is_empty() || last != Some(Step::Field("spec".to_owned())) {
            return Err(wrong());
        }
        Ok(Self { kind: kind.to_owned(), steps })
    }
}

impl std::fmt::Display for PodSpecPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}={}spec", self.kind, written(&self.steps))
    }
}

/// Adds the steps of a field and what stands behind it: `jobs[][0]`.
fn parse_steps(text: &str, steps: &mut Vec<Step>) -> Option<()> {
    let (name, mut rest) = text.split_at(text.find('[').unwrap_or(text.len()));
    if name.is_empty() || name.contains([']', '"']) {
        return None;
    }
    steps.push(Step::Field(name.to_owned()));
    while !rest.is_empty() {
        let (index, behind) = rest.strip_prefix('[')?.split_once(']')?;
        steps.push(if index.is_empty() { Step::Every } else { Step::Item(index.parse().ok()?) });
        rest = behind;
    }
    Some(())
}

/// What a resource says of its pods.
#[derive(Debug, Default)]
pub(super) struct Described<'v> {
    /// What has a pod's `metadata` and `spec`.
    pub(super) templates: Vec<Template<'v>>,
    /// Where pods should be, or are, that no rule can look at.
    pub(super) unread: Vec<(String, Why)>,
}

/// What has the `metadata` and the `spec` of a pod.
#[derive(Debug)]
pub(super) struct Template<'v> {
    /// The way to it, a dot at its end: `spec.template.`; empty where it is the resource itself.
    pub(super) prefix: String,
    /// Of the pod.
    pub(super) metadata: &'v Value,
    /// Of the pod.
    pub(super) spec: &'v Value,
}

/// Why no rule looked at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Why {
    /// There are containers, but the kind is not known.
    Unknown,
    /// There is no pod.
    Missing,
    /// It is no list of containers, or one of none.
    Empty,
}

/// What `resource`, which says `value`, says of its pods.
pub(super) fn described<'v>(resource: &Resource, value: &'v Value, paths: &[PodSpecPath]) -> Described<'v> {
    let mut described = Described::default();
    let mut given = paths.iter().filter(|path| path.kind == resource.kind).peekable();
    if given.peek().is_none()
        && let Some(fields) = known(resource)
    {
        // A Rollout may take its pods from a Deployment.
        let is_elsewhere = value.pointer("/spec/workloadRef").is_some_and(Value::is_object);
        if !is_elsewhere || value.pointer("/spec/template").is_some() {
            let steps: Vec<Step> = fields.iter().map(|&field| Step::Field(field.to_owned())).collect();
            described.add(value, &steps);
        }
        return described;
    }
    for path in given {
        described.add(value, &path.steps);
    }
    let mut unknown = BTreeSet::new();
    containers(value, &mut Way::default(), MAX_DEPTH, &mut |way| {
        let is_read = |template: &Template<'_>| template.prefix.clone() + "spec" == way.exact;
        if !described.templates.iter().any(is_read) {
            unknown.insert(way.every.clone());
        }
    });
    described.unread.extend(unknown.into_iter().map(|path| (path, Why::Unknown)));
    described
}

/// The fields that lead to what has the pod's `metadata` and `spec`, if the kind is known.
fn known(resource: &Resource) -> Option<&'static [&'static str]> {
    let (group, kind) = (resource.group(), resource.kind.as_str());
    // Old versions of a kind had another group: `extensions/v1beta1`.
    let old = |known: &str| group == known || group == "extensions";
    let workload = workload::of(kind).filter(|known| old(known.group)).map(|known| known.template);
    let other = || OTHERS.iter().find(|other| (other.0, other.1) == (group, kind)).map(|other| other.2);
    workload.or_else(other)
}

impl<'v> Described<'v> {
    /// Adds the pods to which `steps` lead.
    fn add(&mut self, value: &'v Value, steps: &[Step]) {
        const NONE: &Value = &Value::Null;
        let mut is_there = false;
        walk(value, steps, String::new(), &mut |prefix, template| {
            is_there = true;
            let Some(spec) = template.get("spec") else {
                self.unread.push((prefix + "spec", Why::Missing));
                return;
            };
            let containers = spec.get("containers").and_then(Value::as_array);
            if containers.is_none_or(Vec::is_empty) {
                self.unread.push((prefix + "spec.containers", Why::Empty));
            } else if self.templates.iter().all(|other| other.prefix != prefix) {
                let metadata = template.get("metadata").unwrap_or(NONE);
                self.templates.push(Template { prefix, metadata, spec });
            }
        });
        if !is_there {
            self.unread.push((written(steps) + "spec", Why::Missing));
        }
    }
}

/// Calls `act` with everything to which `steps` lead from `value`, which stands at `prefix`.
fn walk<'v>(value: &'v Value, steps: &[Step], prefix: String, act: &mut dyn FnMut(String, &'v Value)) {
    let Some((step, rest)) = steps.split_first() else { return act(prefix, value) };
    let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
    let item = |index: usize| format!("{}[{index}].", prefix.trim_end_matches('.'));
    match step {
        Step::Field(name) => {
            if let Some(inner) = value.get(name) {
                walk(inner, rest, format!("{prefix}{name}."), act);
            }
        }
        Step::Item(index) => {
            if let Some(inner) = items.get(*index) {
                walk(inner, rest, item(*index), act);
            }
        }
        Step::Every => {
            for (index, inner) in items.iter().enumerate() {
                walk(inner, rest, item(index), act);
            }
        }
    }
}

/// `steps` as the user writes them, a dot at their end.
fn written(steps: &[Step]) -> String {
    steps.iter().fold(String::new(), |text, step| match step {
        Step::Field(name) => format!("{text}{name}."),
        Step::Item(index) => format!("{}[{index}].", text.trim_end_matches('.')),
        Step::Every => format!("{}[].", text.trim_end_matches('.')),
    })
}

/// The way to a value.
#[derive(Debug, Clone, Default)]
struct Way {
    /// With the numbers of members: `spec.jobs[0].spec`.
    exact: String,
    /// With all members for each: `spec.jobs[].spec`.
    every: String,
}

/// Calls `act` with the way to every value at or below `value` that holds containers with images.
fn containers(value: &Value, way: &mut Way, depth: usize, act: &mut dyn FnMut(&Way)) {
    let Some(depth) = depth.checked_sub(1) else { return };
    let ends = (way.exact.len(), way.every.len());
    let mut within = |exact: &str, every: &str, value: &Value| {
        way.exact.push_str(exact);
        way.every.push_str(every);
        containers(value, way, depth, act);
        way.exact.truncate(ends.0);
        way.every.truncate(ends.1);
    };
    match value {
        Value::Object(fields) => {
            let dot = if ends.0 == 0 { "" } else { "." };
            for (name, value) in fields {
                // A name that no path can hold is written as one that none has.
                let step = if name.contains(['.', '[', ']', '"']) {
                    format!("[{name:?}]")
                } else {
                    format!("{dot}{name}")
                };
                within(&step, &step, value);
            }
            if fields.get("containers").is_some_and(have_images) {
                act(way);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                within(&format!("[{index}]"), "[]", value);
            }
        }
        _ => {}
    }
}

/// Whether `value` is a list of containers, each with its image.
fn have_images(value: &Value) -> bool {
    let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
    !items.is_empty() && items.iter().all(|item| item.get("image").is_some_and(Value::is_string))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The ways to the pods, and what cannot be looked at.
    fn places(value: &Value, paths: &[&str]) -> (Vec<String>, Vec<(String, Why)>) {
        let resource = Resource::of(0, (1, 1), value).unwrap();
        let paths: Vec<PodSpecPath> = paths.iter().map(|path| path.parse().unwrap()).collect();
        let Described { templates, unread } = described(&resource, value, &paths);
        (templates.into_iter().map(|template| template.prefix).collect(), unread)
    }

    fn spec() -> Value {
        json!({"spec": {"containers": [{"name": "a", "image": "b"}]}})
    }

    #[test]
    fn pods_are_found_by_kind() {
        let of = |api: &str, kind: &str| {
            let value = json!({"apiVersion": api, "kind": kind, "spec": {"template": spec()}});
            places(&value, &[])
        };
        let template = (vec!["spec.template.".to_owned()], vec![]);
        assert_eq!(of("extensions/v1beta1", "Deployment"), template);
        assert_eq!(of("argoproj.io/v1alpha1", "Rollout"), template);
        // A service of Kubernetes is none of Knative.
        assert_eq!(of("serving.knative.dev/v1", "Service"), template);
        assert_eq!(of("v1", "Service"), (vec![], vec![("spec.template.spec".into(), Why::Unknown)]));
        let mut pod = spec();
        (pod["apiVersion"], pod["kind"]) = (json!("v1"), json!("Pod"));
        assert_eq!(places(&pod, &[]), (vec![String::new()], vec![]));
        let rollout = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
            "spec": {"workloadRef": {"kind": "Deployment", "name": "web"}}});
        assert_eq!(places(&rollout, &[]), (vec![], vec![]));
    }

    #[test]
    fn known_kinds_without_a_pod_are_unread() {
        let deployment = |spec: Value| json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": spec});
        let cases = [
            (json!({}), "spec.template.spec", Why::Missing),
            (json!({"Template": spec()}), "spec.template.spec", Why::Missing),
            (json!({"template": {"metadata": {}}}), "spec.template.spec", Why::Missing),
            (json!({"template": {"spec": null}}), "spec.template.spec.containers", Why::Empty),
            (
                json!({"template": {"spec": {"containers": null}}}),
                "spec.template.spec.containers",
                Why::Empty,
            ),
            (json!({"template": {"spec": {"containers": []}}}), "spec.template.spec.containers", Why::Empty),
            (
                json!({"template": {"spec": {"containers": {"name": "a", "image": "b"}}}}),
                "spec.template.spec.containers",
                Why::Empty,
            ),
        ];
        for (spec, field, why) in cases {
            assert_eq!(places(&deployment(spec.clone()), &[]), (vec![], vec![(field.into(), why)]), "{spec}");
        }
    }

    #[test]
    fn pods_are_found_where_the_user_says_and_the_others_are_told() {
        let cluster = json!({"apiVersion": "ray.io/v1", "kind": "RayCluster", "spec": {
            "head": {"template": spec()},
            "workers": [{"template": spec()}, {"template": spec()}, {"template": {}}]}});
        let unknown = |path: &str| (path.to_owned(), Why::Unknown);
        let (head, workers) = ("spec.head.template.spec", "spec.workers[].template.spec");
        assert_eq!(places(&cluster, &[]), (vec![], vec![unknown(head), unknown(workers)]));
        let of_workers = |n: usize| format!("spec.workers[{n}].template.");
        let missing = |path: &str| (path.to_owned(), Why::Missing);
        let last = missing("spec.workers[2].template.spec");
        let given = ["RayCluster=spec.head.template.spec", "RayCluster=spec.workers[].template.spec"];
        let all = vec!["spec.head.template.".to_owned(), of_workers(0), of_workers(1)];
        assert_eq!(places(&cluster, &given), (all, vec![last]));
        let one = ["RayCluster=spec.workers[1].template.spec"];
        assert_eq!(places(&cluster, &one), (vec![of_workers(1)], vec![unknown(head), unknown(workers)]));
        // What is mistyped is told, and the pods with it.
        let wrong = ["RayCluster=spec.heads[].template.spec", "Other=spec"];
        let told = vec![missing("spec.heads[].template.spec"), unknown(head), unknown(workers)];
        assert_eq!(places(&cluster, &wrong), (vec![], told));
    }

    #[test]
    fn paths_are_fields_and_members_of_lists() {
        for wrong in ["Fleet", "=spec", "Fleet=", "Fleet=spec.template", "Fleet=a..spec"] {
            assert!(wrong.parse::<PodSpecPath>().is_err(), "{wrong}");
        }
        for wrong in
            ["F=[0].spec", "F=a[x].spec", "F=a[.spec", "F=a[0]b.spec", "F=spec[]", "F=[\"a.b\"].spec"]
        {
            assert!(wrong.parse::<PodSpecPath>().is_err(), "{wrong}");
        }
        for right in ["a.spec", "a[].spec", "a[0][].b.spec", "spec"] {
            let path: PodSpecPath = format!("F={right}").parse().unwrap();
            assert_eq!(path.to_string(), format!("F={right}"));
            assert_eq!(written(&path.steps) + "spec", right);
        }
    }
}
