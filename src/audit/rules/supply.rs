//! Which image runs, and what the pod has of the cluster.
//!
//! Rules only.

use serde_json::Value;

use super::super::checklist::Point;
use super::super::image::Origin;
use super::super::resource::{Resource, Role};
use super::super::rule::{Check, Fix, Found, NO_IMAGE, Rule};
use super::super::subject::{Subject, text, truth};
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
