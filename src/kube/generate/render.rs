//! Objects as text: YAML with comments, one list of JSON, a directory for kustomize.
//!
//! Does not know what an object is for.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Generated, Object};
use crate::json;
use crate::kube::document;
use crate::kube::pod::plain_yaml;

/// What a directory for kustomize says first, by which it is known to be nobody else's.
pub const KUSTOMIZATION_HEAD: &str = "# Written by kiln generate, which replaces it.\n";

/// A file's name and what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedText {
    /// Name of the file.
    pub name: String,
    /// What is in it.
    pub text: String,
}

impl Generated {
    /// A stream of YAML documents, with comments.
    pub fn yaml(&self) -> String {
        self.objects.iter().map(Object::yaml).collect::<Vec<_>>().join("---\n")
    }

    /// One JSON document: a `List`.
    pub fn json(&self) -> String {
        let items: Vec<&Value> = self.objects.iter().map(|object| &object.value).collect();
        json::render(&json!({ "apiVersion": "v1", "kind": "List", "items": items }))
    }

    /// A directory that `kubectl apply -k` takes: a file for each object, then `kustomization.yaml`.
    pub fn kustomize(&self) -> Vec<NamedText> {
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        let mut files: Vec<NamedText> = Vec::new();
        for object in &self.objects {
            let count = seen.entry(object.kind).or_default();
            *count += 1;
            let kind = object.kind.to_ascii_lowercase();
            let name = if *count == 1 { format!("{kind}.yaml") } else { format!("{kind}-{count}.yaml") };
            files.push(NamedText { name, text: object.yaml() });
        }
        let names: Vec<&String> = files.iter().map(|file| &file.name).collect();
        let kustomization = json!({
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": names,
        });
        let text = format!("{KUSTOMIZATION_HEAD}{}", plain_yaml(&kustomization));
        files.push(NamedText { name: "kustomization.yaml".to_owned(), text });
        files
    }
}

impl Object {
    /// It as a YAML document, with its comments.
    pub fn yaml(&self) -> String {
        // A file in a ConfigMap is read by people, as it stands where YAML has a form for it.
        let readable = (self.kind == "ConfigMap").then(|| readable_yaml(&self.value)).flatten();
        self.comments.insert(&readable.unwrap_or_else(|| plain_yaml(&self.value)))
    }
}

/// `value` with long texts as they stand, where they are read back the same.
fn readable_yaml(value: &Value) -> Option<String> {
    let options = serde_saphyr::ser_options! { prefer_block_scalars: true };
    let text = serde_saphyr::to_string_with_options(value, options).ok()?;
    let read = document::read(&text).ok()?;
    matches!(read.as_slice(), [one] if one.root.value() == *value).then_some(text)
}
