//! The rules as CEL, for the API server, Kyverno and Gatekeeper's native engine.
//!
//! Fields that may be missing are asked for with `has`, which every version of every engine understands; what an engine calls the
//! pod, and where it has its parameters, is a [`Dialect`].

use serde_json::{Value, json};

/// What an engine calls things.
pub(super) struct Dialect {
    /// The pod.
    pub(super) object: &'static str,
    /// Whether it also asks of pods that go.
    pub(super) deletions: Deletions,
    /// A list of images' names that are let through, if any can be; what ends in `*` is a beginning.
    pub(super) exempt: Option<String>,
    /// A list of the image's names, without tag and digest.
    pub(super) repositories: String,
    /// A list of the paths where it may have writable mounts.
    pub(super) writable: String,
}

/// Whether an engine asks of pods that go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Deletions {
    /// It may: what goes must not be held back by what it is.
    Asked,
    /// Its document names what it asks of.
    Unasked,
}

/// Rules that belong together, and what they are made of.
pub(super) struct Rules {
    /// What is computed first, each from those before it.
    variables: Vec<(String, String)>,
    validations: Vec<Validation>,
}

struct Validation {
    expression: String,
    message: String,
    message_expression: String,
}

/// A list of containers.
struct Kind {
    field: &'static str,
    /// At the end of a variable's name.
    suffix: &'static str,
    /// As a message begins.
    label: &'static str,
    /// Several of them.
    plural: &'static str,
}

const KINDS: [Kind; 3] = [
    Kind { field: "containers", suffix: "Containers", label: "Container", plural: "Containers" },
    Kind {
        field: "initContainers",
        suffix: "InitContainers",
        label: "Init container",
        plural: "Init containers",
    },
    Kind {
        field: "ephemeralContainers",
        suffix: "EphemeralContainers",
        label: "Ephemeral container",
        plural: "Ephemeral containers",
    },
];

/// What a violation says after the container's name.
pub(super) const MUST_BE_READ_ONLY: &str = "must set securityContext.readOnlyRootFilesystem to true";

/// A reference that no registry can give another meaning.
const PINNED: &str = "r'@sha256:[0-9a-f]{64}$'";

/// A path that means another one.
const CROOKED: &str = "r'(^|/)[.][.]?(/|$)|//'";

/// Every root file system is read-only.
pub(super) fn rootfs(dialect: &Dialect) -> Rules {
    let mut rules = Rules { variables: containers(dialect), validations: Vec::new() };
    for kind in &KINDS {
        let condition = format!("{}!{READ_ONLY}", not_exempt(dialect));
        let message = format!("{} {MUST_BE_READ_ONLY}", kind.plural);
        let each = format!("\"{} '\" + c.name + \"' {MUST_BE_READ_ONLY}\"", kind.label);
        rules.none(kind, "mutable", &condition, message, &each);
    }
    rules
}

/// Every image is pinned by its digest.
pub(super) fn digest(dialect: &Dialect) -> Rules {
    let mut rules = Rules { variables: containers(dialect), validations: Vec::new() };
    for kind in &KINDS {
        let condition = format!("{}!(has(c.image) && c.image.matches({PINNED}))", not_exempt(dialect));
        let message = format!("{} must pin their image by digest", kind.plural);
        let each = format!(
            "\"{} '\" + c.name + \"' must pin its image by digest, found '\" + (has(c.image) ? c.image : '') + \"'\"",
            kind.label
        );
        rules.none(kind, "unpinned", &condition, message, &each);
    }
    rules
}

/// Containers of the image have a read-only root, and writable mounts only where its manifest has them.
pub(super) fn mounts(dialect: &Dialect) -> Rules {
    let mut variables = containers(dialect);
    let object = dialect.object;
    let volumes = |which: &str| {
        format!(
            "!has({object}.spec.volumes) ? [] :\n  {object}.spec.volumes.filter(v, {which}).map(v, v.name)"
        )
    };
    let mut variable = |name: &str, expression: String| variables.push((name.to_owned(), expression));
    variable("repositories", dialect.repositories.clone());
    variable("writablePaths", dialect.writable.clone());
    variable(
        "readOnlyVolumes",
        volumes(
            "has(v.configMap) || has(v.secret) || has(v.projected) || has(v.downwardAPI) || has(v.image)",
        ),
    );
    variable("hostVolumes", volumes("has(v.hostPath)"));
    for kind in &KINDS {
        variable(
            &format!("own{}", kind.suffix),
            format!("variables.{}.filter(c, {})", kind.field, runs("variables.repositories")),
        );
    }
    let every = |of: &dyn Fn(&Kind) -> String| KINDS.iter().map(of).collect::<Vec<_>>().join(" +\n");
    variable(
        "mutable",
        every(&|Kind { suffix, label, .. }| {
            format!(
                "variables.own{suffix}.filter(c, !{READ_ONLY})\n  .map(c, \"{label} '\" + c.name + \"' {MUST_BE_READ_ONLY}\")"
            )
        }),
    );
    // Containers with mounts like `which`. Kubernetes takes lists of one type only: name and paths are text, both.
    let mounting = |which: &str, between: &str, after: &str| {
        every(&|Kind { suffix, label, .. }| {
            format!(
                "variables.own{suffix}.map(c, [string(c.name), !has(c.volumeMounts) ? '' :\n    c.volumeMounts.filter(m, {which})\n      .map(m, m.mountPath).join(', ')])\n  .filter(found, found[1] != '')\n  .map(found, \"{label} '\" + found[0] + \"' {between} \" + found[1]{after})"
            )
        })
    };
    let undeclared = format!(
        "!(has(m.readOnly) && m.readOnly == true) && !(m.name in variables.readOnlyVolumes) &&\n      (m.mountPath.matches({CROOKED}) ||\n        !variables.writablePaths.exists(p, m.mountPath == p || m.mountPath.startsWith(p + '/')))"
    );
    variable(
        "undeclared",
        mounting(&undeclared, "mounts", " + \" writable, where its image does not write\""),
    );
    variable("onHost", mounting("m.name in variables.hostVolumes", "mounts the host's files at", ""));
    let validation = |name: &str, message: &str| Validation {
        expression: format!("size(variables.{name}) == 0"),
        message: message.to_owned(),
        message_expression: format!("variables.{name}.join('; ')"),
    };
    let validations = vec![
        validation(
            "mutable",
            "Containers of this image must set securityContext.readOnlyRootFilesystem to true",
        ),
        validation("undeclared", "Containers of this image have writable mounts only where it writes"),
        validation("onHost", "Containers of this image mount no files of the host"),
    ];
    Rules { variables, validations }
}

/// Whether the pod that `object` is has a container of one of `repositories`: a condition on requests, which has no variables.
pub(super) fn runs_image(object: &str, repositories: &str) -> String {
    let of = |kind: &Kind| {
        let field = kind.field;
        format!("(has({object}.spec.{field}) &&\n  {object}.spec.{field}.exists(c, {}))", runs(repositories))
    };
    KINDS.iter().map(of).collect::<Vec<_>>().join(" ||\n")
}

/// What may follow the name of a repository: nothing, a tag, a digest. A port is followed by a path.
const BEHIND_NAME: &str = "r'^([:@][^/]*)?$'";

/// Whether the container `c` is of one of `repositories`, which are in lower case: hosts are the same in any.
pub(super) fn runs(repositories: &str) -> String {
    format!(
        "has(c.image) &&\n  {repositories}.exists(r, c.image.lowerAscii().startsWith(r) &&\n    c.image.substring(size(r)).matches({BEHIND_NAME}))"
    )
}

/// Whether the root of the container `c` is read-only.
pub(super) const READ_ONLY: &str = "(has(c.securityContext) &&\n    has(c.securityContext.readOnlyRootFilesystem) && c.securityContext.readOnlyRootFilesystem == true)";

fn not_exempt(dialect: &Dialect) -> &'static str {
    if dialect.exempt.is_none() {
        return "";
    }
    "!(has(c.image) && variables.exemptImages.exists(e,\n    e.endsWith('*') ? c.image.startsWith(e.substring(0, size(e) - 1)) : c.image == e)) &&\n  "
}

/// The containers that a request brings: of a pod that is there already those that are new or get another image, for nothing else
/// of them can change.
fn containers(dialect: &Dialect) -> Vec<(String, String)> {
    let object = dialect.object;
    let asks = |name: &str, operation: &str| {
        (name.to_owned(), format!("has(request.operation) && request.operation == '{operation}'"))
    };
    let (gone, none) = match dialect.deletions {
        Deletions::Asked => (Some(asks("isDelete", "DELETE")), "variables.isDelete || "),
        Deletions::Unasked => (None, ""),
    };
    let list = |Kind { field, .. }: &Kind| {
        let text = format!(
            "{none}!has({object}.spec.{field}) ? [] :\n  {object}.spec.{field}.filter(c, !(variables.isUpdate && has(oldObject.spec.{field}) &&\n    oldObject.spec.{field}.exists(old, old.name == c.name &&\n      (has(old.image) ? old.image : '') == (has(c.image) ? c.image : ''))))"
        );
        ((*field).to_owned(), text)
    };
    let mut variables = vec![asks("isUpdate", "UPDATE")];
    variables.extend(gone);
    variables.extend(KINDS.iter().map(list));
    variables.extend(dialect.exempt.clone().map(|exempt| ("exemptImages".to_owned(), exempt)));
    variables
}

impl Rules {
    /// No container of that kind is as `condition` says.
    fn none(&mut self, kind: &Kind, word: &str, condition: &str, message: String, each: &str) {
        let name = format!("{word}{}", kind.suffix);
        self.variables.push((name.clone(), format!("variables.{}.filter(c,\n  {condition})", kind.field)));
        self.validations.push(Validation {
            expression: format!("size(variables.{name}) == 0"),
            message,
            message_expression: format!("variables.{name}.map(c, {each}).join('; ')"),
        });
    }

    /// As documents have them.
    pub(super) fn variables(&self) -> Value {
        let variable =
            |(name, expression): &(String, String)| json!({ "name": name, "expression": expression });
        self.variables.iter().map(variable).collect()
    }

    /// As documents have them.
    pub(super) fn validations(&self) -> Value {
        let validation = |rule: &Validation| {
            json!({
                "expression": rule.expression,
                "message": rule.message,
                "messageExpression": rule.message_expression,
            })
        };
        self.validations.iter().map(validation).collect()
    }
}

/// Longest list that stays in one line.
const MAX_LINE: usize = 80;

/// `items` as a list of CEL, a line each where there are many.
pub(super) fn list(items: &[String]) -> String {
    let items: Vec<String> = items.iter().map(|item| quoted(item)).collect();
    let line = items.join(", ");
    if line.len() <= MAX_LINE { format!("[{line}]") } else { format!("[\n  {}\n]", items.join(",\n  ")) }
}

/// `text` as a string of CEL.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from("'");
    for c in text.chars() {
        match c {
            '\'' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c => out.push(c),
        }
    }
    out.push('\'');
    out
}
