//! A resource while it is mended, and which rules are mended how.
//!
//! Holds the table; how each is mended is in the file of its concept.

use serde_json::{Map, Value};

use super::{Reach, mounts, probes, security};
use crate::audit::{Image, Options, ValueFinding};

/// How a finding is mended.
pub(super) type Mend = fn(&mut Mender<'_>, &ValueFinding);

/// By rule, in the order in which they are best mended: who runs, before what he may; where it is written, before how much.
pub(super) const MENDS: [(&str, Mend); 33] = [
    ("FS021", security::misplaced),
    ("SC001", security::pin),
    ("ID001", security::user),
    ("ID002", security::user),
    ("ID003", security::left_to_a_person),
    ("ID004", security::group),
    ("ID005", security::fs_group),
    ("ID006", security::strict_groups),
    ("ID007", security::user_namespace),
    ("ID008", security::remove),
    ("PR001", security::remove_unsafe),
    ("PR002", security::no_escalation),
    ("PR003", security::drop_all),
    ("PR005", security::in_vain),
    ("PR006", security::low_port),
    ("PR007", security::seccomp),
    ("PR008", security::app_armor),
    ("PR009", security::remove),
    ("PR012", security::remove_unsafe),
    ("PR013", security::remove_unsafe),
    ("PR015", security::remove),
    ("PR017", security::remove_unsafe),
    ("PR018", security::remove),
    ("SC006", security::no_token),
    ("FS022", probes::mutating),
    ("CF001", probes::convert),
    ("CF002", probes::hook),
    ("FS001", mounts::read_only),
    ("FS002", mounts::missing),
    ("FS006", mounts::hides_logs),
    ("FS011", mounts::aliased),
    ("FS015", mounts::say_read_only),
    ("RS002", security::last_words),
];

/// By rule, what fills in amounts, after all else.
pub(super) const AMOUNTS: [(&str, Mend); 4] = [
    ("FS007", mounts::size_limit),
    ("FS008", mounts::memory),
    ("FS009", mounts::storage),
    ("RS001", security::resources),
];

/// Rules whose mending takes something out of a list.
pub(super) const SHORTEN: [&str; 4] = ["FS002", "FS006", "FS011", "PR005"];

/// A resource while it is mended.
pub(super) struct Mender<'a> {
    pub(super) value: &'a mut Value,
    /// JSON pointer to what has the pod's `metadata` and `spec`.
    template: String,
    pub(super) options: &'a Options,
    pub(super) reach: Reach,
    pub(super) done: Vec<(&'static str, String)>,
    pub(super) left: Vec<(&'static str, String)>,
    pub(super) refused: Vec<(&'static str, String)>,
}

impl<'a> Mender<'a> {
    pub(super) fn new(value: &'a mut Value, template: &[String], options: &'a Options, reach: Reach) -> Self {
        let template = template.iter().fold(String::new(), |path, field| format!("{path}/{field}"));
        Self { value, template, options, reach, done: Vec::new(), left: Vec::new(), refused: Vec::new() }
    }

    /// `spec` of the pod.
    pub(super) fn spec(&self) -> &Value {
        self.value.pointer(&format!("{}/spec", self.template)).unwrap_or(&Value::Null)
    }

    /// What has the pod's `metadata` and `spec`, to be changed.
    pub(super) fn template_mut(&mut self) -> Option<&mut Map<String, Value>> {
        self.value.pointer_mut(&self.template)?.as_object_mut()
    }

    /// `spec` of the pod, to be changed.
    pub(super) fn spec_mut(&mut self) -> Option<&mut Map<String, Value>> {
        self.value.pointer_mut(&format!("{}/spec", self.template))?.as_object_mut()
    }

    /// The container that a finding is about.
    pub(super) fn container(&self, finding: &ValueFinding) -> &Value {
        finding.container.as_ref().and_then(|at| self.spec().pointer(at)).unwrap_or(&Value::Null)
    }

    /// The same, to be changed.
    pub(super) fn container_mut(&mut self, finding: &ValueFinding) -> Option<&mut Map<String, Value>> {
        let at = finding.container.as_ref()?;
        self.value.pointer_mut(&format!("{}/spec{at}", self.template))?.as_object_mut()
    }

    /// Its name, for messages.
    pub(super) fn name(&self, finding: &ValueFinding) -> String {
        match self.container(finding).get("name").and_then(Value::as_str) {
            Some(name) => format!("container {name:?}: "),
            None => String::new(),
        }
    }

    /// What is known of its image.
    pub(super) fn image(&self, finding: &ValueFinding) -> Option<&'a Image> {
        let options: &'a Options = self.options;
        options.image(self.container(finding).get("image")?.as_str()?)
    }

    /// Whether what may change what the pod does is allowed.
    pub(super) fn is_unsafe(&self) -> bool {
        self.reach == Reach::Unsafe
    }

    pub(super) fn did(&mut self, rule: &'static str, message: impl Into<String>) {
        self.done.push((rule, message.into()));
    }

    pub(super) fn leaves(&mut self, rule: &'static str, message: impl Into<String>) {
        let message = message.into();
        if !self.left.iter().any(|(known, text)| *known == rule && *text == message) {
            self.left.push((rule, message));
        }
    }

    pub(super) fn refuses(&mut self, rule: &'static str, message: impl Into<String>) {
        let message = message.into();
        if !self.refused.iter().any(|(known, text)| *known == rule && *text == message) {
            self.refused.push((rule, message));
        }
    }

    /// The value of a field of `securityContext`: the container's, else the pod's.
    pub(super) fn effective(&self, finding: &ValueFinding, field: &str) -> Option<&Value> {
        let of = |of: &'_ Value| -> Option<Value> {
            of.get("securityContext")?.get(field).filter(|value| !value.is_null()).cloned()
        };
        // Looked up twice, so that the borrow is of the resource.
        if of(self.container(finding)).is_some() {
            return self.container(finding).get("securityContext")?.get(field);
        }
        self.spec().get("securityContext")?.get(field).filter(|value| !value.is_null())
    }

    /// Whether the container is known not to be root's.
    pub(super) fn is_unprivileged(&self, finding: &ValueFinding) -> bool {
        self.effective(finding, "runAsUser").and_then(Value::as_i64).is_some_and(|uid| uid > 0)
    }
}

/// The mapping `field` of `of`, made where it is not there.
pub(super) fn sub<'m>(of: &'m mut Map<String, Value>, field: &str) -> &'m mut Map<String, Value> {
    let value = of.entry(field).or_insert(Value::Null);
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut().unwrap_or_else(|| unreachable!("it was made a mapping"))
}

/// The list `field` of `of`, made where it is not there.
pub(super) fn list<'m>(of: &'m mut Map<String, Value>, field: &str) -> &'m mut Vec<Value> {
    let value = of.entry(field).or_insert(Value::Null);
    if !value.is_array() {
        *value = Value::Array(Vec::new());
    }
    value.as_array_mut().unwrap_or_else(|| unreachable!("it was made a list"))
}
