//! Gatekeeper: a template for each kind of rule, with both engines, and the constraints that put it to use.
//!
//! The Rego is of the old syntax, which every release takes; it stands in files of its own beside this one.

use serde_json::{Map, Value, json};

use super::cel::{self, Deletions, Dialect, Rules};
use super::document::{file, put};
use super::pairs::{self, Case, Operation, Verdict};
use super::{Enforce, File, Request, Role};

/// A template: a kind of constraint, and its program.
struct Template {
    kind: &'static str,
    title: &'static str,
    rego: &'static [&'static str],
    rules: fn(&Dialect) -> Rules,
    /// `parameters`, each with what it is for; all are lists of texts.
    parameters: &'static [(&'static str, &'static str)],
}

const EXEMPT: (&str, &str) = (
    "exemptImages",
    "Containers of these images are not checked. What ends in `*` is the beginning of a name; name the registry too.",
);
const SHARED: &str = include_str!("gatekeeper/shared.rego");
const EXEMPTING: &str = include_str!("gatekeeper/exempt.rego");

const ROOTFS: Template = Template {
    kind: "K8sRequireReadOnlyRootFilesystem",
    title: "Every container, init container and ephemeral container has a read-only root file system.",
    rego: &[include_str!("gatekeeper/rootfs.rego"), SHARED, EXEMPTING],
    rules: cel::rootfs,
    parameters: &[EXEMPT],
};

const DIGEST: Template = Template {
    kind: "K8sRequireImageDigest",
    title: "Every image is pinned by its digest, so that what runs is what was looked at.",
    rego: &[include_str!("gatekeeper/digest.rego"), SHARED, EXEMPTING],
    rules: cel::digest,
    parameters: &[EXEMPT],
};

const MOUNTS: Template = Template {
    kind: "K8sAllowWritableMounts",
    title: "Containers of an image have a read-only root file system and writable mounts only where the image writes.",
    rego: &[include_str!("gatekeeper/mounts.rego"), SHARED],
    rules: cel::mounts,
    parameters: &[
        ("repositories", "The image's names, without tag and digest."),
        ("writablePaths", "Where it may have writable mounts: there and below."),
    ],
};

pub(super) fn files(request: &Request) -> Vec<File> {
    if request.images.is_empty() {
        let exempt = request.exempt_images();
        let mut files = Vec::new();
        for (template, name, cases) in [
            (ROOTFS, "require-readonly-rootfs", pairs::rootfs(request)),
            (DIGEST, "require-image-digest", pairs::digest(request)),
        ] {
            let parameters = if exempt.is_empty() { json!({}) } else { json!({ "exemptImages": exempt }) };
            files.push(template.file());
            files.push(template.constraint(name, &parameters, request));
            files.extend(template.suite(&[(name.to_owned(), cases)]));
        }
        return files;
    }
    let mut files = vec![MOUNTS.file()];
    let mut tests = Vec::new();
    for image in &request.images {
        let name = format!("writable-mounts-{}", image.name());
        let parameters = json!({ "repositories": image.spellings(), "writablePaths": image.writable() });
        files.push(MOUNTS.constraint(&name, &parameters, request));
        tests.push((name, pairs::mounts(image, request)));
    }
    files.extend(MOUNTS.suite(&tests));
    files
}

impl Template {
    fn name(&self) -> String {
        self.kind.to_ascii_lowercase()
    }

    fn file(&self) -> File {
        let property = |(name, what): &(&str, &str)| {
            let schema = json!({ "type": "array", "items": { "type": "string" }, "description": what });
            ((*name).to_owned(), schema)
        };
        let properties: Map<String, Value> = self.parameters.iter().map(property).collect();
        let rules = (self.rules)(&Dialect {
            object: "variables.anyObject",
            deletions: Deletions::Asked,
            exempt: self.parameters.iter().any(|(name, _)| *name == EXEMPT.0).then(|| parameter(EXEMPT.0)),
            repositories: parameter("repositories"),
            writable: parameter("writablePaths"),
        });
        let template = json!({
            "apiVersion": "templates.gatekeeper.sh/v1",
            "kind": "ConstraintTemplate",
            "metadata": { "name": self.name(), "annotations": { "description": self.title } },
            "spec": {
                "crd": { "spec": {
                    "names": { "kind": self.kind },
                    "validation": { "openAPIV3Schema": { "type": "object", "properties": properties } },
                } },
                "targets": [{
                    "target": "admission.k8s.gatekeeper.sh",
                    "code": [
                        { "engine": "K8sNativeValidation", "source": {
                            "variables": rules.variables(), "validations": rules.validations(),
                        } },
                        { "engine": "Rego", "source": { "rego": self.rego.concat() } },
                    ],
                }],
            },
        });
        let comment = format!(
            "{}\nGatekeeper uses the first engine that it has: CEL from 3.18 on, or Rego.",
            self.title
        );
        file(format!("{}/template.yaml", self.name()), Role::Definition, &comment, &[template])
    }

    fn constraint(&self, name: &str, parameters: &Value, request: &Request) -> File {
        let mut matches = json!({ "kinds": [{ "apiGroups": [""], "kinds": ["Pod"] }] });
        let places = request.places(request.images.is_empty());
        if !places.is_empty() {
            put(&mut matches, "/namespaces", json!(places));
        }
        let action = match request.enforce() {
            Enforce::Deny => "deny",
            Enforce::Warn => "warn",
            Enforce::Audit => "dryrun",
        };
        let constraint = json!({
            "apiVersion": "constraints.gatekeeper.sh/v1beta1",
            "kind": self.kind,
            "metadata": { "name": name },
            "spec": { "enforcementAction": action, "match": matches, "parameters": parameters },
        });
        let comment = "Needs the template beside it, and a moment after that is applied.";
        file(format!("{}/{name}.yaml", self.name()), Role::Policy, comment, &[constraint])
    }

    /// `gator verify` finds the suite by itself.
    fn suite(&self, tests: &[(String, Vec<Case>)]) -> Vec<File> {
        let mut files = Vec::new();
        let mut suite = Vec::new();
        for (constraint, cases) in tests {
            let mut own = Vec::new();
            for case in cases {
                let object = format!("samples/{constraint}/{}.yaml", case.name);
                let value = match case.operation {
                    Operation::Create => case.pod.clone(),
                    _ => case.review(),
                };
                files.push(file(format!("{}/{object}", self.name()), Role::Test, &case.comment(), &[value]));
                let assertions = match &case.verdict {
                    Verdict::Accepted => json!([{ "violations": "no" }]),
                    Verdict::Rejected(message) => json!([{ "violations": 1, "message": message }]),
                };
                own.push(json!({ "name": case.name, "object": object, "assertions": assertions }));
            }
            suite.push(json!({
                "name": constraint,
                "template": "template.yaml",
                "constraint": format!("{constraint}.yaml"),
                "cases": own,
            }));
        }
        let value = json!({
            "apiVersion": "test.gatekeeper.sh/v1alpha1",
            "kind": "Suite",
            "metadata": { "name": self.name() },
            "tests": suite,
        });
        let comment = "Run with: gator verify .";
        files.push(file(format!("{}/suite.yaml", self.name()), Role::Test, comment, &[value]));
        files
    }
}

/// A parameter of the constraint; none is an empty list.
fn parameter(name: &str) -> String {
    format!("has(variables.params.{name}) ? variables.params.{name} : []")
}
