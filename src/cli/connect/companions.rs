//! The documents that go with an image into a registry, as artifacts about it.
//!
//! Makes no document: the writable manifest, the pod spec and the report are those that are written to files.

use crate::image::{Companion, Published, Subject};
use crate::kube::pod;
use crate::manifest::{self, Manifest};
use crate::report;

/// A writable manifest about each image, in order; the pod spec and the report about what names them all.
pub(super) fn companions<'a>(
    published: &Published,
    manifests: impl IntoIterator<Item = &'a Manifest>,
    pod: &str,
    report: Vec<u8>,
) -> Vec<Companion> {
    let document = |subject: Subject, artifact_type, title: &str, bytes: Vec<u8>| Companion {
        subject,
        artifact_type,
        title: title.to_owned(),
        bytes,
    };
    let report_type = match published {
        Published::Image(_) => report::MEDIA_TYPE,
        Published::Index(_) => report::INDEX_MEDIA_TYPE,
    };
    let mut all: Vec<Companion> = Subject::images(published)
        .into_iter()
        .zip(manifests)
        .map(|(subject, manifest)| {
            let bytes = manifest.render().into_bytes();
            document(subject, manifest::MEDIA_TYPE, "writable-manifest.json", bytes)
        })
        .collect();
    let root = Subject::root(published);
    all.push(document(root.clone(), pod::MEDIA_TYPE, "pod.yaml", pod.as_bytes().to_vec()));
    all.push(document(root, report_type, "report.json", report));
    all
}

/// What `write` writes, in memory: it goes over the network with its length and digest before it.
pub(super) fn bytes_of(write: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut bytes).unwrap_or_else(|error| unreachable!("memory takes every write: {error}"));
    bytes
}
