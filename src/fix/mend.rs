//! A resource while it is mended, and which rules are mended how.
//!
//! Holds the table; how each is mended is in the file of its concept.

use serde_json::{Map, Value};

use super::{Reach, amounts, identity, lock, mounts, probes, security};
use crate::audit::resource::Role;
use crate::audit::{Image, Options, ValueFinding};
use crate::kube::field;

/// How a finding is mended.
pub(super) type Mend = fn(&mut Mender<'_>, &ValueFinding);

/// By rule, in the order in which they are best mended: who runs, before what he may; where it is written, before how much.
pub(super) const MENDS: [(&str, Mend); 38] = [
    ("SC001", security::pin),
    ("ID001", identity::user),
    ("ID002", identity::user),
    ("ID003", identity::left_to_a_person),
    ("ID004", identity::group),
    ("ID005", identity::fs_group),
    ("ID006", identity::strict_groups),
    ("ID007", identity::user_namespace),
    ("ID008", security::remove),
    ("PR001", security::remove_unsafe),
    ("PR002", security::no_escalation),
    ("PR003", security::drop_all),
    ("PR005", security::in_vain),
    ("PR006", security::low_port),
    ("PR007", security::seccomp),
    ("PR008", security::app_armor),
    ("PR009", security::remove_unsafe),
    ("PR012", security::remove_unsafe),
    ("PR013", security::remove_unsafe),
    ("PR015", probes::host),
    ("PR017", security::remove_unsafe),
    ("PR018", security::remove_unsafe),
    ("SC006", security::no_token),
    ("FS022", probes::mutating),
    ("CF001", probes::convert),
    ("CF002", probes::hook),
    ("FS006", mounts::hides_logs),
    ("FS011", mounts::aliased),
    ("FS021", security::misplaced),
    ("FS001", lock::read_only),
    ("FS002", lock::missing),
    ("FS013", mounts::image_volume),
    ("FS003", mounts::seal),
    ("FS016", mounts::seal),
    ("FS025", mounts::seal),
    ("FS015", mounts::say_read_only),
    ("FS019", identity::left_to_a_person),
    ("RS002", security::last_words),
];

/// By rule, what fills in amounts, after all else.
pub(super) const AMOUNTS: [(&str, Mend); 4] = [
    ("FS007", amounts::size_limit),
    ("FS008", amounts::memory),
    ("FS009", amounts::storage),
    ("RS001", amounts::resources),
];

/// Rules whose mending moves places in lists: something is taken out of one, or put into its midst.
pub(super) const MOVES: [&str; 6] = ["FS001", "FS002", "FS006", "FS011", "FS021", "PR005"];

/// Rules that mean on Windows what they mean on Linux.
pub(super) const ON_WINDOWS: [&str; 5] = ["FS015", "RS001", "RS002", "SC001", "SC006"];

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
    /// Names of the containers that got the read-only flag.
    pub(super) locked: Vec<String>,
}

impl<'a> Mender<'a> {
    pub(super) fn new(value: &'a mut Value, template: &[String], options: &'a Options, reach: Reach) -> Self {
        let template = template.iter().fold(String::new(), |path, field| format!("{path}/{field}"));
        Self {
            value,
            template,
            options,
            reach,
            done: Vec::new(),
            left: Vec::new(),
            refused: Vec::new(),
            locked: Vec::new(),
        }
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

    /// What is at a JSON pointer from the pod's `spec`.
    pub(super) fn at(&self, at: &str) -> &Value {
        self.spec().pointer(at).unwrap_or(&Value::Null)
    }

    /// The same, to be changed.
    pub(super) fn at_mut(&mut self, at: &str) -> Option<&mut Map<String, Value>> {
        self.value.pointer_mut(&format!("{}/spec{at}", self.template))?.as_object_mut()
    }

    /// The container that a finding is about; nothing if it is about the pod.
    pub(super) fn container(&self, finding: &ValueFinding) -> &Value {
        finding.container.as_deref().map_or(&Value::Null, |at| self.at(at))
    }

    /// The same, to be changed.
    pub(super) fn container_mut(&mut self, finding: &ValueFinding) -> Option<&mut Map<String, Value>> {
        self.at_mut(finding.container.as_deref()?)
    }

    /// Every container, with the JSON pointer to it from the pod's `spec`.
    pub(super) fn containers(&self) -> impl Iterator<Item = (String, &Value)> {
        ["initContainers", "containers", "ephemeralContainers"].into_iter().flat_map(|kind| {
            field::list(self.spec(), kind).map(move |(index, one)| (format!("/{kind}/{index}"), one))
        })
    }

    /// The container's name, for messages.
    pub(super) fn name(&self, finding: &ValueFinding) -> String {
        title(self.container(finding))
    }

    /// What is known of a container's image.
    pub(super) fn image(&self, container: &Value) -> Option<&'a Image> {
        let options: &'a Options = self.options;
        options.image(field::text(container, "image")?)
    }

    /// Whether what may change what the pod does is allowed.
    pub(super) fn is_unsafe(&self) -> bool {
        self.reach == Reach::Unsafe
    }

    pub(super) fn did(&mut self, rule: &'static str, message: impl Into<String>) {
        self.done.push((rule, message.into()));
    }

    pub(super) fn leaves(&mut self, rule: &'static str, message: impl Into<String>) {
        self.left.push((rule, message.into()));
    }

    pub(super) fn refuses(&mut self, rule: &'static str, message: impl Into<String>) {
        self.refused.push((rule, message.into()));
    }

    /// The value of a field of `securityContext`: the container's, else the pod's.
    pub(super) fn effective<'s>(&'s self, container: &'s Value, name: &str) -> Option<&'s Value> {
        let path = format!("securityContext.{name}");
        field::value(container, &path).or_else(|| field::value(self.spec(), &path))
    }

    /// The user that the pod gives a container, if it does.
    pub(super) fn uid(&self, container: &Value) -> Option<i64> {
        self.effective(container, "runAsUser").and_then(Value::as_i64)
    }

    /// Whether the pod runs on Windows, where most fields mean nothing or keep it from running.
    pub(super) fn is_windows(&self) -> bool {
        let selected = self.spec().get("nodeSelector").and_then(|labels| labels.get("kubernetes.io/os"));
        let said = field::text(self.spec(), "os.name");
        said == Some("windows") || selected.and_then(Value::as_str) == Some("windows")
    }
}

/// A container's name, for messages: nothing where there is none.
pub(super) fn title(container: &Value) -> String {
    field::text(container, "name").map(|name| format!("container {name:?}: ")).unwrap_or_default()
}

/// What the container at `at` is in its pod.
pub(super) fn role(at: &str, container: &Value) -> Role {
    match at.split('/').nth(1) {
        Some("containers") => Role::App,
        Some("ephemeralContainers") => Role::Ephemeral,
        _ if field::text(container, "restartPolicy") == Some("Always") => Role::Sidecar,
        _ => Role::Init,
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
