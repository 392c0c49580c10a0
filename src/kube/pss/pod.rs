//! A pod as its author wrote it, for controls: containers of every kind, fields by path, and who said something.
//!
//! What is not there, and what is of another kind than it should be, says nothing: the API server refuses the second.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Found;
pub(super) use crate::kube::field::{list, text, truth, value};

/// A pod, and the version that looks at it.
pub(super) struct Pod<'a> {
    pub(super) metadata: &'a Value,
    pub(super) spec: &'a Value,
    /// `N` of `1.N`.
    pub(super) minor: u32,
    /// In the order in which admission goes through them.
    pub(super) containers: Vec<Container<'a>>,
}

/// A container of any kind.
pub(super) struct Container<'a> {
    /// `spec.containers[0]`.
    pub(super) at: String,
    pub(super) name: &'a str,
    pub(super) fields: &'a Value,
}

impl<'a> Pod<'a> {
    pub(super) fn new(metadata: &'a Value, spec: &'a Value, minor: u32) -> Self {
        let containers = ["initContainers", "containers", "ephemeralContainers"]
            .iter()
            .flat_map(|kind| list(spec, kind).map(move |(index, fields)| (kind, index, fields)))
            .map(|(kind, index, fields)| Container {
                at: format!("spec.{kind}[{index}]"),
                name: text(fields, "name").unwrap_or_default(),
                fields,
            });
        Self { metadata, spec, minor, containers: containers.collect() }
    }

    /// Whether the pod has users of its own, for whom some controls make way.
    pub(super) fn is_in_user_namespace(&self) -> bool {
        self.minor >= 35 && truth(self.spec, "hostUsers") == Some(false)
    }

    /// Whether it is for Windows, where some fields mean nothing.
    pub(super) fn is_windows(&self) -> bool {
        self.minor >= 25 && text(self.spec, "os.name") == Some("windows")
    }

    /// Who has a forbidden `field`: the pod where `of_pod`, and containers.
    pub(super) fn setters(&self, field: &str, of_pod: bool, is_bad: impl Fn(&Value) -> bool) -> Setters {
        let mut setters = self.containers_where(field, |value| value.is_some_and(&is_bad));
        if of_pod && value(self.spec, field).is_some_and(&is_bad) {
            setters.is_pod = true;
            setters.fields.insert(0, format!("spec.{field}"));
        }
        setters
    }

    /// Containers whose `field` is bad, if only for it is not there.
    pub(super) fn containers_where(&self, field: &str, is_bad: impl Fn(Option<&Value>) -> bool) -> Setters {
        let mut setters = Setters::default();
        for container in &self.containers {
            if is_bad(value(container.fields, field)) {
                setters.add(container.name, format!("{}.{field}", container.at));
            }
        }
        setters
    }
}

/// Who has what is forbidden.
#[derive(Default)]
pub(super) struct Setters {
    is_pod: bool,
    names: Vec<String>,
    fields: Vec<String>,
}

impl Setters {
    pub(super) fn add(&mut self, name: &str, field: String) {
        if !self.names.iter().any(|known| known == name) {
            self.names.push(name.to_owned());
        }
        self.fields.push(field);
    }

    /// `Some` where there are any, with what `say` makes of them in words: `pod and container "a"`.
    pub(super) fn found(self, say: impl FnOnce(&str) -> String) -> Option<Found> {
        if self.fields.is_empty() {
            return None;
        }
        let containers = (!self.names.is_empty()).then(|| named("container", &self.names));
        let pod = self.is_pod.then(|| "pod".to_owned());
        let whom: Vec<String> = pod.into_iter().chain(containers).collect();
        Some(Found { message: say(&whom.join(" and ")), fields: self.fields })
    }
}

/// `container "a"`, `containers "a", "b"`.
pub(super) fn named(what: &str, names: &[String]) -> String {
    let plural = if names.len() == 1 { "" } else { "s" };
    format!("{what}{plural} {}", quoted(names))
}

/// `"a", "b"`.
pub(super) fn quoted<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> String {
    names.into_iter().map(|name| format!("{:?}", name.as_ref())).collect::<Vec<_>>().join(", ")
}

/// Different texts, in order.
pub(super) fn distinct<'t>(texts: impl IntoIterator<Item = &'t str>) -> Vec<&'t str> {
    texts.into_iter().collect::<BTreeSet<_>>().into_iter().collect()
}
