//! What an audit is asked for.
//!
//! Values only: what the images hold is read elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use super::image::Image;
use super::place::PodSpecPath;
use crate::kube::Version;
use crate::reference::RegistryReference;

/// What an audit is asked for.
#[derive(Debug, Default)]
pub struct Options {
    /// The version of Kubernetes whose rules count.
    pub version: Version,
    /// What runs the pods.
    pub platform: Platform,
    /// Whether what only new versions can do weighs in full.
    pub strict: bool,
    /// Only these rules; all where it is empty.
    pub only: BTreeSet<String>,
    /// None of these.
    pub skip: BTreeSet<String>,
    /// Whether findings need no names that stay when lines and numbers change: nobody compares this audit with another.
    pub is_single: bool,
    /// Where kinds that kiln does not know have their pods.
    pub pod_spec_paths: Vec<PodSpecPath>,
    /// What is known of images, by the name in the pod, in full.
    pub images: BTreeMap<String, Image>,
    /// The day, `YYYY-MM-DD`, for what ends on one; nothing ends where it is not known.
    pub today: Option<String>,
}

/// What runs the pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Platform {
    /// Kubernetes as upstream has it.
    #[default]
    Kubernetes,
    /// OpenShift, which gives each namespace user ids of its own.
    Openshift,
}

impl Options {
    /// What is known of the image that a pod names so.
    pub fn image(&self, name: &str) -> Option<&Image> {
        let exact = self.images.get(&full_name(name));
        exact.or_else(|| {
            // Named by tag when it was looked at, and by its digest in the pod.
            let wanted = RegistryReference::parse(name)?;
            let digest = wanted.digest?;
            let is_same = |(known, image): &(&String, &Image)| {
                let known = RegistryReference::parse(known);
                known.is_some_and(|known| known.repository == wanted.repository)
                    && image.digests.contains(&digest)
            };
            self.images.iter().find(is_same).map(|(_, image)| image)
        })
    }

    pub(super) fn wants(&self, id: &str) -> bool {
        let is_in = |set: &BTreeSet<String>| {
            set.iter().any(|wanted| {
                // `FS` names all of them.
                id.get(..wanted.len()).is_some_and(|start| start.eq_ignore_ascii_case(wanted))
            })
        };
        (self.only.is_empty() || is_in(&self.only)) && !is_in(&self.skip)
    }
}

/// The name of an image with its registry and its tag, so that `nginx` and `docker.io/library/nginx:latest` are one.
pub fn full_name(name: &str) -> String {
    RegistryReference::parse(name).map_or_else(|| name.to_owned(), |reference| reference.name())
}
