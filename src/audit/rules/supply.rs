//! Which image runs, and with what configuration.
//!
//! Rules only. A secret that is found is never told.

use serde_json::Value;

use super::super::checklist::Point;
use super::super::image::Origin;
use super::super::resource::{Resource, Role};
use super::super::rule::{Check, Fix, Found, NO_IMAGE, Rule};
use super::super::subject::{Subject, list, text, truth, value};
use crate::digest::BlobDigest;
use crate::finding::Severity;
use crate::reference::RegistryReference;

/// The images of the pod: field, number of the container if it is one's, and name.
fn images<'s>(subject: &'s Subject<'_>) -> impl Iterator<Item = (String, Option<usize>, &'s str)> {
    let containers = subject.containers.iter().enumerate();
    let containers =
        containers.map(|(index, container)| (container.field("image"), Some(index), container.image));
    let volumes = subject.volumes.iter().filter(|volume| volume.kind == "image").map(|volume| {
        (format!("{}.image.reference", volume.at), None, text(volume.source, "reference").unwrap_or_default())
    });
    containers.chain(volumes)
}

fn hit(subject: &Subject<'_>, found: &mut Found, container: Option<usize>, field: String, message: String) {
    match container.and_then(|index| subject.containers.get(index)) {
        Some(container) => found.container(subject, container, field, message),
        None => found.pod(field, message),
    }
}

/// Whether the name ends in a digest, whatever else it is.
fn is_pinned(name: &str) -> bool {
    name.split_once("@sha256:")
        .is_some_and(|(_, digest)| digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

pub(super) const SC001: Rule = Rule {
    id: "SC001",
    title: "images are pinned by digest",
    severity: Severity::High,
    passes: "The image of every container and of every image volume ends in `@sha256:` and a digest.",
    why: "A tag can be moved: what runs tomorrow is then not what was looked at today, and two nodes may run different things.",
    remedy: "`NAME:TAG@sha256:…`, with the digest of the index where there are several platforms. `kiln fix --resolve` asks the registry.",
    fix: Fix::WithImage,
    maps: &["checklist 7", "CKV_K8S_43"],
    point: Some(Point::Digest),
    check: Check::Pod(pinned),
};

fn pinned(subject: &Subject<'_>, found: &mut Found) {
    for (field, container, name) in images(subject) {
        if !is_pinned(name) {
            let message = if name.contains("@sha256:") {
                format!("the digest of {name:?} is none: 64 hexadecimal digits")
            } else {
                format!("{name:?} is not pinned by digest")
            };
            hit(subject, found, container, field, message);
        }
    }
}

pub(super) const SC002: Rule = Rule {
    id: "SC002",
    title: "no image is `latest`",
    severity: Severity::Medium,
    passes: "Every image has a tag that is not `latest`, or a digest.",
    why: "Without a tag nobody can say what ran yesterday, or go back to it.",
    remedy: "Name the version, and pin it by digest.",
    fix: Fix::None,
    maps: &["KSV-0013", "CKV_K8S_14"],
    point: None,
    check: Check::Pod(tagged),
};

fn tagged(subject: &Subject<'_>, found: &mut Found) {
    for (field, container, name) in images(subject) {
        let is_latest = RegistryReference::parse(name)
            .is_some_and(|known| known.digest.is_none() && known.tag.as_deref() == Some("latest"));
        if is_latest {
            let how = if name.ends_with(":latest") { "is `latest`" } else { "has no tag" };
            hit(subject, found, container, field, format!("{name:?} {how}"));
        }
    }
}

pub(super) const SC003: Rule = Rule {
    id: "SC003",
    title: "the image was hardened, and the pod fits it",
    severity: Severity::Medium,
    passes: "kiln recorded a writable manifest for the image, and where the pod names one by digest (`kiln.dev/writable-manifest`) or the image by digest, it is that.",
    why: "What kiln proves, it proves of one image and the pod that fits it.",
    remedy: "Harden the image with `kiln harden`, and generate the pod from it.",
    fix: Fix::None,
    maps: &[],
    point: None,
    check: Check::Pod(hardened),
};

fn hardened(subject: &Subject<'_>, found: &mut Found) {
    const KEY: &str = "/annotations/kiln.dev~1writable-manifest";
    let named = [Some(subject.metadata), subject.whole.get("metadata")];
    let named = named.into_iter().flatten().find_map(|of| of.pointer(KEY)).and_then(Value::as_str);
    let mut is_of_one = false;
    // What prepares volumes may be the source image.
    for container in subject.own_containers().filter(|container| container.role != Role::Init) {
        let Some(image) = container.known else {
            found.undecided(NO_IMAGE);
            is_of_one = true;
            continue;
        };
        let digest = RegistryReference::parse(container.image).and_then(|name| name.digest);
        let field = container.field("image");
        if let Some(digest) = digest.filter(|digest| !image.digests.contains(digest)) {
            let message = format!("the image that was looked at is not {digest}");
            found.container(subject, container, field.clone(), message);
        }
        if image.origin == Origin::Recorded {
            let own = BlobDigest::of(image.manifest.render().as_bytes()).to_string();
            is_of_one |= named.is_none_or(|named| named == own);
        } else {
            found.container(subject, container, field, "the image was not hardened by kiln");
        }
    }
    if let Some(named) = named.filter(|_| !is_of_one && found.hits.is_empty()) {
        let at = "metadata.annotations[\"kiln.dev/writable-manifest\"]";
        found.pod(at, format!("no image of the pod has the writable manifest {named}"));
    }
}

pub(super) const SC004: Rule = Rule {
    id: "SC004",
    title: "no secret stands in the manifest",
    severity: Severity::High,
    passes: "No variable of a container, nor of an image that is at hand, has a value that looks like a secret: by its name (`PASSWORD`, `TOKEN`, `API_KEY`, …) or by its shape (keys of cloud providers, tokens, private keys).",
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
            if let Some(how) = text(variable, "value").and_then(|value| secret(name, value)) {
                found.container(subject, container, field, format!("the variable {name} {how}"));
            }
        }
        for (name, value) in container.known.iter().flat_map(|image| &image.config.env) {
            if let Some(how) = secret(name, value) {
                let message = format!("the image's variable {name} {how}");
                found.container(subject, container, container.field("image"), message);
            }
        }
    }
}

/// Why a variable's value looks like a secret.
fn secret(name: &str, value: &str) -> Option<&'static str> {
    /// Parts of names, between underscores.
    const WORDS: [&str; 9] =
        ["PASSWORD", "PASSWD", "PASSPHRASE", "SECRET", "TOKEN", "APIKEY", "CREDENTIAL", "CREDENTIALS", "PWD"];
    /// Parts of names that are two words.
    const PAIRS: [&str; 4] = ["API_KEY", "ACCESS_KEY", "PRIVATE_KEY", "SECRET_KEY"];
    /// Ends of names that say something about a secret.
    const ABOUT: [&str; 13] = [
        "_FILE",
        "_PATH",
        "_NAME",
        "_ID",
        "_URL",
        "_TTL",
        "_LENGTH",
        "_ENABLED",
        "_TYPE",
        "_POLICY",
        "_EXPIRY",
        "_HEADER",
        "_ENDPOINT",
    ];
    /// Beginnings of values that are secrets whatever they are called.
    const SHAPES: [&str; 10] = [
        "-----BEGIN",
        "AKIA",
        "ASIA",
        "ghp_",
        "github_pat_",
        "glpat-",
        "xoxb-",
        "xoxp-",
        "sk_live_",
        "eyJhbGciOi",
    ];
    /// Shortest of them.
    const SHORTEST: usize = 16;
    if SHAPES.iter().any(|shape| value.starts_with(shape)) && value.len() >= SHORTEST {
        return Some("has the shape of a key or token");
    }
    let name = name.to_ascii_uppercase().replace(['-', '.'], "_");
    // The shell's own.
    if ["PWD", "OLDPWD"].contains(&name.as_str()) || ABOUT.iter().any(|end| name.ends_with(end)) {
        return None;
    }
    let is_named =
        name.split('_').any(|word| WORDS.contains(&word)) || PAIRS.iter().any(|pair| name.contains(pair));
    let says_nothing = value.is_empty()
        || value.starts_with("$(")
        || value.starts_with('/')
        || ["true", "false", "yes", "no", "none", "null", "0", "1"]
            .contains(&value.to_ascii_lowercase().as_str());
    (is_named && !says_nothing).then_some("is called like a secret and has a value")
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

pub(super) const SC006: Rule = Rule {
    id: "SC006",
    title: "no token of the API is in the pod",
    severity: Severity::Medium,
    passes: "`automountServiceAccountToken: false` at the pod, not only at its ServiceAccount.",
    why: "With the token an intruder asks the API server who he is and what he may: most apps never do.",
    remedy: "Set it at the pod. An app that needs the API gets a ServiceAccount of its own, and a reason in `kiln.dev/ignore`.",
    fix: Fix::Safe,
    maps: &["checklist 8", "KSV-0036", "CKV_K8S_38", "C-0034"],
    point: Some(Point::NoToken),
    check: Check::Pod(|subject, found| {
        if truth(subject.spec, "automountServiceAccountToken") != Some(false) {
            found.pod("spec.automountServiceAccountToken", "`automountServiceAccountToken` is not false");
        }
    }),
};

pub(super) const SC007: Rule = Rule {
    id: "SC007",
    title: "the pod has a ServiceAccount of its own",
    severity: Severity::Low,
    passes: "`serviceAccountName` is set and not `default`.",
    why: "The namespace's `default` account is every pod's: what one of them is allowed all are.",
    remedy: "Make a ServiceAccount for the app and name it.",
    fix: Fix::None,
    maps: &[],
    point: None,
    check: Check::Pod(|subject, found| {
        let name = text(subject.spec, "serviceAccountName").or_else(|| text(subject.spec, "serviceAccount"));
        if name.is_none_or(|name| ["", "default"].contains(&name)) {
            found.pod(
                "spec.serviceAccountName",
                "the pod runs under the namespace's `default` ServiceAccount",
            );
        }
    }),
};

pub(super) const SC008: Rule = Rule {
    id: "SC008",
    title: "the environment does not list the namespace's services",
    severity: Severity::Info,
    passes: "`enableServiceLinks: false`.",
    why: "Otherwise every container gets variables with the addresses of all services: a map for intruders, and names that clash with the app's own (`REDIS_PORT`).",
    remedy: "Set it to false; services are found by DNS.",
    fix: Fix::None,
    maps: &[],
    point: None,
    check: Check::Pod(|subject, found| {
        if truth(subject.spec, "enableServiceLinks") != Some(false) {
            found.pod("spec.enableServiceLinks", "`enableServiceLinks` is not false");
        }
    }),
};

pub(super) const SC009: Rule = Rule {
    id: "SC009",
    title: "a ConfigMap or Secret cannot be changed",
    severity: Severity::Info,
    passes: "`immutable: true` in every ConfigMap and Secret.",
    why: "Who may change a ConfigMap changes what running pods read. An immutable one is replaced by another name, and the kubelet need not watch it.",
    remedy: "Set `immutable: true`, and put a hash of the content into the name.",
    fix: Fix::None,
    maps: &[],
    point: None,
    check: Check::Resource(&["ConfigMap", "Secret"], immutable),
};

fn immutable(_: &Resource, value: &Value, found: &mut Found) {
    if truth(value, "immutable") != Some(true) {
        found.pod("immutable", "`immutable` is not true");
    }
}

pub(super) const SC010: Rule = Rule {
    id: "SC010",
    title: "the pull policy fits the image's name",
    severity: Severity::Info,
    passes: "An image that is only named by tag has `imagePullPolicy: Always`; one with a digest may have any.",
    why: "With a tag and `IfNotPresent` a node runs whatever it pulled last under that name, without asking whether it may.",
    remedy: "Pin the image by digest.",
    fix: Fix::None,
    maps: &["KSV-0037", "CKV_K8S_15", "C-0075"],
    point: None,
    check: Check::Pod(pull_policy),
};

fn pull_policy(subject: &Subject<'_>, found: &mut Found) {
    for container in &subject.containers {
        let is_latest = RegistryReference::parse(container.image)
            .is_some_and(|name| name.digest.is_none() && name.tag.as_deref() == Some("latest"));
        let policy = text(container.fields, "imagePullPolicy");
        // What is `latest` is pulled always where nothing is said.
        let always = policy == Some("Always") || (policy.is_none() && is_latest);
        if !is_pinned(container.image) && !always {
            let message = format!("{:?} is only a tag, and is not pulled always", container.image);
            found.container(subject, container, container.field("imagePullPolicy"), message);
        }
    }
}
