//! Secrets: in the manifest, and as variables.
//!
//! Rules only; what looks like a secret is told by names and values. A secret that is found is never told.

mod literal;

use super::super::checklist::Point;
use super::super::rule::{Check, Fix, Found, Rule};
use super::super::subject::{Container, Subject, list, text, value};
use crate::finding::Severity;
use crate::plan::command::commands;

pub(super) const SC004: Rule = Rule {
    id: "SC004",
    title: "no secret stands in the manifest",
    severity: Severity::High,
    passes: "No variable of a container, nor of an image that is at hand, and no option of `command` and `args` has a value that looks like a secret: by its name (`DB_PASS`, `apiToken`, `--admin-password=`, but not what only tells about one, as `TOKEN_TTL` or `PASSWORD_FILE` do), by its shape (keys of cloud providers, tokens, private keys, addresses with a password), or, of variables, for it is long and random. Numbers, durations, paths and references to variables are none.",
    why: "A manifest is in a repository, and `kubectl get pod -o yaml` shows it to everybody who may look.",
    remedy: "Put it into a Secret and mount that as a file.",
    fix: Fix::None,
    maps: &["checklist 6", "C-0012", "kube-linter env-var-secret", "CKV_SECRET"],
    point: Some(Point::Configuration),
    check: Check::Pod(literals),
};

fn literals(subject: &Subject<'_>, found: &mut Found) {
    for container in &subject.containers {
        for (index, variable) in list(container.fields, "env") {
            let name = text(variable, "name").unwrap_or_default();
            let field = container.field(&format!("env[{index}].value"));
            if let Some(how) = text(variable, "value").and_then(|value| literal::variable(name, value)) {
                found.container(subject, container, field, format!("the variable {name} {how}"));
            }
        }
        for (name, value) in container.known.iter().flat_map(|image| &image.config.env) {
            if let Some(how) = literal::variable(name, value) {
                let message = format!("the image's variable {name} {how}");
                found.container(subject, container, container.field("image"), message);
            }
        }
        for field in ["command", "args"] {
            options(subject, container, field, found);
        }
    }
}

/// Looks at the words of `command` or `args`, those of a text for a shell apart.
fn options(subject: &Subject<'_>, container: &Container<'_>, field: &str, found: &mut Found) {
    let mut words: Vec<(usize, String)> = Vec::new();
    for (index, word) in list(container.fields, field) {
        let Some(word) = word.as_str() else { continue };
        if word.contains(char::is_whitespace) && literal::shaped(word).is_none() {
            let inner = commands(word).into_iter().flat_map(|command| command.words);
            words.extend(inner.map(|word| (index, word)));
        } else {
            words.push((index, word.to_owned()));
        }
    }
    for (at, (index, word)) in words.iter().enumerate() {
        let next = words.get(at + 1).map(|(_, next)| next.as_str());
        if let Some(how) = literal::option(word, next) {
            let name = word.split('=').next().filter(|name| literal::is_option(name)).unwrap_or("a word");
            let message = format!("{name} of `{field}` {how}");
            found.container(subject, container, container.field(&format!("{field}[{index}]")), message);
        }
    }
}

pub(super) const SC005: Rule = Rule {
    id: "SC005",
    title: "secrets come as files",
    severity: Severity::Low,
    passes: "No variable comes from a Secret: neither by `secretKeyRef` nor by `envFrom`.",
    why: "Variables are inherited by every child, stand in crash dumps and in `/proc`, and do not change when the Secret does.",
    remedy: "Mount the Secret as a volume, `readOnly: true`; most software takes `NAME_FILE`.",
    fix: Fix::None,
    maps: &["CKV_K8S_35"],
    point: None,
    check: Check::Pod(from_secrets),
};

fn from_secrets(subject: &Subject<'_>, found: &mut Found) {
    for container in &subject.containers {
        for (index, variable) in list(container.fields, "env") {
            if value(variable, "valueFrom.secretKeyRef").is_some() {
                let name = text(variable, "name").unwrap_or_default();
                let field = container.field(&format!("env[{index}].valueFrom.secretKeyRef"));
                found.container(
                    subject,
                    container,
                    field,
                    format!("the variable {name} comes from a Secret"),
                );
            }
        }
        for (index, from) in list(container.fields, "envFrom") {
            if value(from, "secretRef").is_some() {
                let name = text(from, "secretRef.name").unwrap_or_default();
                let field = container.field(&format!("envFrom[{index}].secretRef"));
                found.container(
                    subject,
                    container,
                    field,
                    format!("all of the Secret {name:?} becomes variables"),
                );
            }
        }
    }
}
