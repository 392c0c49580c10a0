//! What stands in a document: a resource of Kubernetes, and where in it a pod is described.
//!
//! Knows kinds and places; what is right or wrong is for the rules.

use serde_json::Value;

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

/// Where a kind that kiln does not know describes its pods: `--pod-spec-path KIND=FIELD.FIELD`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodSpecPath {
    /// The kind.
    pub kind: String,
    /// Fields that lead to the pod's `spec`.
    pub fields: Vec<String>,
}

/// Text that is no place of a pod's spec.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected KIND=FIELD.FIELD.spec, the last field `spec`, found `{0}`")]
pub struct ParsePodSpecPathError(String);

impl std::str::FromStr for PodSpecPath {
    type Err = ParsePodSpecPathError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ParsePodSpecPathError(text.to_owned());
        let (kind, path) = text.split_once('=').ok_or_else(wrong)?;
        let fields: Vec<String> = path.trim_start_matches('.').split('.').map(str::to_owned).collect();
        let is_spec = fields.last().is_some_and(|last| last == "spec");
        if kind.is_empty() || !is_spec || fields.iter().any(String::is_empty) {
            return Err(wrong());
        }
        Ok(Self { kind: kind.to_owned(), fields })
    }
}

/// A resource, by what it says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Number of its file.
    pub file: usize,
    /// `apiVersion`.
    pub api_version: String,
    /// `kind`.
    pub kind: String,
    /// `metadata.namespace`; empty where it does not say.
    pub namespace: String,
    /// `metadata.name`, or `metadata.generateName` with a `*`.
    pub name: String,
    /// Where it begins, from 1.
    pub line: usize,
    /// From 1, characters.
    pub column: usize,
    /// Its containers, if it has a pod: role, name, and whether the root file system is read-only.
    pub containers: Vec<(Role, String, bool)>,
    /// What of the checklist holds: `None` where it cannot be said.
    pub checklist: Option<super::checklist::Marks>,
    /// The strictest of the Pod Security Standards that it meets, if it has a pod.
    pub standard: Option<Standard>,
    /// What came of each rule, in the order of [`super::rules::RULES`].
    pub outcomes: Box<[super::Outcome]>,
}

/// The strictest of the Pod Security Standards that a pod meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standard {
    /// It does not even meet `baseline`.
    Privileged,
    /// `baseline`.
    Baseline,
    /// `restricted`.
    Restricted,
}

/// What a container is in its pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Runs before the others and ends.
    Init,
    /// Starts before the others and stays: an init container with `restartPolicy: Always`.
    Sidecar,
    /// The app's.
    App,
    /// Somebody debugs with it.
    Ephemeral,
}

impl Role {
    /// As a message names it.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Init => "init container",
            Self::Sidecar => "sidecar",
            Self::App => "container",
            Self::Ephemeral => "ephemeral container",
        }
    }
}

impl Resource {
    /// What `value` says of itself; `None` if it is no resource.
    pub(super) fn of(file: usize, (line, column): (usize, usize), value: &Value) -> Option<Self> {
        let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str);
        let name = text("/metadata/name").map(str::to_owned);
        let made = || text("/metadata/generateName").map(|stem| format!("{stem}*"));
        Some(Self {
            file,
            api_version: text("/apiVersion")?.to_owned(),
            kind: text("/kind")?.to_owned(),
            namespace: text("/metadata/namespace").unwrap_or_default().to_owned(),
            name: name.or_else(made).unwrap_or_default(),
            line,
            column,
            containers: Vec::new(),
            checklist: None,
            standard: None,
            outcomes: vec![super::Outcome::Void; super::rules::RULES.len()].into(),
        })
    }

    /// `Deployment production/web`.
    pub fn title(&self) -> String {
        let name = if self.name.is_empty() { "(without a name)" } else { &self.name };
        match self.namespace.as_str() {
            "" => format!("{} {name}", self.kind),
            namespace => format!("{} {namespace}/{name}", self.kind),
        }
    }

    /// `apiVersion` before its `/`; empty for the core's.
    pub fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }
}

/// Where a resource describes its pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// The fields that lead to what has the pod's `metadata` and `spec`.
    At(Vec<String>),
    /// Nowhere that is known, but there are containers.
    Unknown(String),
    /// It makes none.
    Nowhere,
}

/// Where `resource`, which says `value`, describes its pods.
pub(super) fn place(resource: &Resource, value: &Value, paths: &[PodSpecPath]) -> Place {
    let own = |fields: &[&str]| Place::At(fields.iter().map(|&field| field.to_owned()).collect());
    if let Some(path) = paths.iter().find(|path| path.kind == resource.kind) {
        let (_, template) = path.fields.split_last().unwrap_or((&path.kind, &[]));
        return Place::At(template.to_vec());
    }
    let (group, kind) = (resource.group(), resource.kind.as_str());
    // Old versions of a kind had another group: `extensions/v1beta1`.
    let old = |known: &str| group == known || group == "extensions";
    if let Some(known) = workload::of(kind).filter(|known| old(known.group)) {
        return own(known.template);
    }
    if let Some((_, _, fields)) = OTHERS.iter().find(|other| (other.0, other.1) == (group, kind)) {
        return own(fields);
    }
    match containers(value, "", MAX_DEPTH) {
        Some(path) => Place::Unknown(path),
        None => Place::Nowhere,
    }
}

/// The first field below `value` that holds containers with images.
fn containers(value: &Value, at: &str, depth: usize) -> Option<String> {
    let depth = depth.checked_sub(1)?;
    match value {
        Value::Object(fields) => {
            let is_list = |value: &Value| {
                let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
                !items.is_empty() && items.iter().all(|item| item.get("image").is_some_and(Value::is_string))
            };
            if fields.get("containers").is_some_and(is_list) {
                return Some(at.to_owned());
            }
            let dot = if at.is_empty() { "" } else { "." };
            fields.iter().find_map(|(name, value)| containers(value, &format!("{at}{dot}{name}"), depth))
        }
        Value::Array(items) => {
            items.iter().enumerate().find_map(|(i, value)| containers(value, &format!("{at}[{i}]"), depth))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn where_is(value: &Value, paths: &[PodSpecPath]) -> Place {
        let resource = Resource::of(0, (1, 1), value).unwrap();
        place(&resource, value, paths)
    }

    #[test]
    fn pods_are_found_by_kind_and_by_what_the_user_says() {
        let at = |fields: &[&str]| Place::At(fields.iter().map(ToString::to_string).collect());
        let kind = |api: &str, kind: &str| json!({"apiVersion": api, "kind": kind});
        assert_eq!(where_is(&kind("v1", "Pod"), &[]), at(&[]));
        assert_eq!(where_is(&kind("extensions/v1beta1", "Deployment"), &[]), at(&["spec", "template"]));
        assert_eq!(where_is(&kind("argoproj.io/v1alpha1", "Rollout"), &[]), at(&["spec", "template"]));
        // A service of Kubernetes is none of Knative.
        assert_eq!(where_is(&kind("v1", "Service"), &[]), Place::Nowhere);
        let path: PodSpecPath = "Fleet=spec.pods.spec".parse().unwrap();
        assert_eq!(where_is(&kind("x/v1", "Fleet"), &[path]), at(&["spec", "pods"]));
        let mut fleet = kind("x/v1", "Fleet");
        fleet["spec"] = json!({"pods": [{"spec": {"containers": [{"image": "a"}]}}]});
        assert_eq!(where_is(&fleet, &[]), Place::Unknown("spec.pods[0].spec".into()));
        for wrong in ["Fleet", "=spec", "Fleet=", "Fleet=spec.template", "Fleet=a..spec"] {
            assert!(wrong.parse::<PodSpecPath>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn resource_says_what_it_is() {
        let of = |value: Value| Resource::of(0, (1, 1), &value).map(|resource| resource.title());
        let metadata = json!({"name": "web", "namespace": "shop"});
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata});
        assert_eq!(of(pod).as_deref(), Some("Pod shop/web"));
        let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"generateName": "x-"}});
        assert_eq!(of(job).as_deref(), Some("Job x-*"));
        assert_eq!(of(json!({"replicaCount": 1})), None);
    }
}
