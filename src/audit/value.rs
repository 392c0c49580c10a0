//! The audit of a resource that comes as a value, not as text: of one that is being mended.
//!
//! Finds what the audit of its text finds, and says where as programs want it.

use serde_json::Value;

use super::judge::Judge;
use super::members::Members;
use super::place::described;
use super::resource::Resource;
use super::subject::{Subject, list};
use super::{Auditor, Options};
use crate::kube::document::{Node, Stream, pointer};

/// What is found in one resource that comes as a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueAudit {
    /// `Deployment shop/web`.
    pub title: String,
    /// The parts of a JSON pointer (RFC 6901) to what has the pod's `metadata` and `spec`.
    pub template: Vec<String>,
    /// What counts.
    pub findings: Vec<ValueFinding>,
}

/// A place in a value where a rule does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueFinding {
    /// The rule's id.
    pub rule: &'static str,
    /// What is wrong, in one line.
    pub message: String,
    /// From the resource's top: `spec.template.spec.containers[0].image`.
    pub field: String,
    /// The same as a JSON pointer (RFC 6901).
    pub pointer: String,
    /// The container, as a JSON pointer from the pod's `spec`.
    pub container: Option<String>,
}

/// What is found in the resource that `value` is, and in its first pod if it describes several; `None` if it has none.
pub fn of_value(value: &Value, options: &Options) -> Option<ValueAudit> {
    let resource = Resource::of(0, (1, 1), value)?;
    let described = described(&resource, value, &options.pod_spec_paths);
    let (first, others) = described.templates.split_first()?;
    let containers: Vec<String> = ["initContainers", "containers", "ephemeralContainers"]
        .iter()
        .flat_map(|kind| list(first.spec, kind).map(move |(index, _)| format!("/{kind}/{index}")))
        .collect();
    let title = resource.title();
    let mut auditor = Auditor::new(options);
    auditor.add(Judge::new(options).judge(resource, value, &Node::nowhere()));
    let audit = auditor.finish();
    let findings = audit
        .open()
        .filter(|finding| others.iter().all(|other| !finding.field.starts_with(&other.prefix)))
        .map(|finding| ValueFinding {
            rule: finding.rule.id,
            message: finding.message.to_string(),
            field: finding.field.to_string(),
            pointer: pointer(&finding.field),
            container: finding.container.and_then(|index| containers.get(index).cloned()),
        })
        .collect();
    let template = pointer(first.prefix.trim_end_matches('.'));
    let template = template.split('/').skip(1).map(str::to_owned).collect();
    Some(ValueAudit { title, template, findings })
}

/// The images that the pods in `text` name, as far as it can be read.
pub fn image_names(text: &str, options: &Options) -> Vec<String> {
    let mut names = Vec::new();
    let mut members = Members::default();
    for part in Stream::new(text).map_while(Result::ok) {
        members.of(part, &mut |value, _| {
            let Some(resource) = Resource::of(0, (1, 1), &value) else { return };
            for template in described(&resource, &value, &options.pod_spec_paths).templates {
                let subject = Subject::new(&resource, &value, options, &Value::Null, template.spec);
                let images = subject.containers.iter().map(|container| container.image);
                names.extend(images.filter(|image| !image.is_empty()).map(str::to_owned));
            }
        });
    }
    names
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn images_of_every_pod_are_named() {
        let spec = |image: &str| json!({"spec": {"containers": [{"name": "a", "image": image}]}});
        let list = json!({"kind": "PodList", "apiVersion": "v1", "items": [spec("a:1")]});
        let set = json!({"kind": "Set", "apiVersion": "x/v1", "pods": [spec("b:1"), spec("c:1")]});
        let options =
            Options { pod_spec_paths: vec!["Set=pods[].spec".parse().unwrap()], ..Options::default() };
        assert_eq!(image_names(&format!("{list}\n---\n{set}\n"), &options), ["a:1", "b:1", "c:1"]);
    }

    #[test]
    fn first_of_several_pods_is_the_one_that_is_told_of() {
        let spec = |name: &str| json!({"spec": {"containers": [{"name": name, "image": "a:1"}]}});
        let set = json!({"kind": "Set", "apiVersion": "x/v1", "pods": [spec("a"), spec("b")]});
        let options =
            Options { pod_spec_paths: vec!["Set=pods[].spec".parse().unwrap()], ..Options::default() };
        let found = of_value(&set, &options).unwrap();
        assert_eq!(found.template, ["pods", "0"]);
        assert!(found.findings.iter().all(|finding| finding.pointer.starts_with("/pods/0/")));
        assert!(found.findings.iter().any(|finding| finding.container.as_deref() == Some("/containers/0")));
    }
}
