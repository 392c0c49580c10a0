//! Which pod, and which of its containers, an image is tried as.
//!
//! Knows names and digests; starts nothing.

use super::TrialError;
use crate::kube::given::{self, Container, Given};
use crate::kube::pod::{PodOptions, RunAs, render_pod};
use crate::manifest::Manifest;
use crate::observe::Subject;

/// What kiln's own pod calls the source image.
pub(super) const SOURCE: &str = "source";

/// The pod that kiln makes of `manifest`; the names in it are of no account.
pub(super) fn own_pod(manifest: &Manifest) -> Result<Given, TrialError> {
    let options = PodOptions {
        name: "app".to_owned(),
        image: String::new(),
        source: String::new(),
        source_image: SOURCE.to_owned(),
        namespace: None,
        run_as: RunAs::Manifest,
        united: Vec::new(),
    };
    given::parse(&render_pod(manifest, &options)).map_err(TrialError::OwnPod)
}

/// What names the image of `subject`.
pub(super) fn digests(subject: &Subject<'_>) -> Vec<String> {
    let image = subject.image;
    let digests = [image.manifest_digest, image.index_digest];
    digests
        .into_iter()
        .flatten()
        .map(|digest| digest.to_string())
        .chain([image.image_id.to_string()])
        .collect()
}

/// The container of the image that is called `name` and has one of `digests`.
pub(super) fn choose<'a>(
    given: &'a Given,
    digests: &[String],
    name: &str,
) -> Result<&'a Container, TrialError> {
    if let [only] = given.containers.as_slice() {
        return Ok(only);
    }
    let name = name.strip_prefix("docker://").unwrap_or(name);
    let is_pinned = |container: &&Container| {
        container
            .image
            .rsplit_once('@')
            .is_some_and(|(_, digest)| digests.iter().any(|known| known == digest))
    };
    let mut found: Vec<&Container> = given.containers.iter().filter(is_pinned).collect();
    if found.is_empty() {
        found = given.containers.iter().filter(|container| container.image == name).collect();
    }
    if let [only] = found.as_slice() {
        return Ok(only);
    }
    let all: Vec<&str> = given.containers.iter().map(|container| container.name.as_str()).collect();
    Err(TrialError::Container { found: found.len(), all: all.join(", ") })
}

/// A container that comes before the others.
pub(super) struct Init<'a> {
    pub(super) container: &'a Container,
    /// Of which image it is; `None` where it is of another one, or comes after one that is.
    pub(super) of: Option<Of>,
}

/// Which image a container is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// The one that is tried.
    Tried,
    /// The one that it was made from.
    Source,
}

/// An image as a pod may name it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named<'a> {
    /// What it is pinned by.
    pub(super) digests: &'a [String],
    /// What it is called without.
    pub(super) name: &'a str,
}

/// Those that come before `container`; after the first of an image that is not known none can be run.
pub(super) fn inits<'a>(
    given: &'a Given,
    container: &Container,
    tried: Named<'_>,
    source: Option<Named<'_>>,
) -> Vec<Init<'a>> {
    let plain = |name: &str| name.strip_prefix("docker://").unwrap_or(name).to_owned();
    let of = |image: &str| {
        let pinned = image.rsplit_once('@').map(|(_, digest)| digest);
        let is = |named: Named<'_>| match pinned {
            Some(digest) => named.digests.iter().any(|known| known == digest),
            None => image == plain(named.name),
        };
        if source.is_some_and(is) {
            return Some(Of::Source);
        }
        let is_tried = is(tried) || pinned.is_none() && image == container.image;
        is_tried.then_some(Of::Tried)
    };
    let mut known = true;
    let each = given.init.iter().map(|container| {
        let of = of(&container.image).filter(|_| known);
        known = of.is_some();
        Init { container, of }
    });
    each.collect()
}
