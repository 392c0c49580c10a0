//! What stands in a document: a resource of Kubernetes, and what came of it.
//!
//! Knows what it says of itself; what is right or wrong is for the rules.

use serde_json::Value;

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
    /// The containers of its pods: role, name, and whether the root file system is read-only.
    pub containers: Vec<(Role, String, bool)>,
    /// The checklist, if it has a pod; of several a point holds where it does for all.
    pub checklist: Option<super::checklist::Marks>,
    /// The strictest of the Pod Security Standards that it meets with every pod, if it has one.
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

    /// Remembers what came of the rule of that number.
    pub(super) fn came(&mut self, rule: usize, outcome: super::Outcome) {
        if let Some(slot) = self.outcomes.get_mut(rule) {
            *slot = outcome.max(*slot);
        }
    }

    /// `apiVersion` before its `/`; empty for the core's.
    pub fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
