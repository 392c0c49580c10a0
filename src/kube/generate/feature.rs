//! What newer versions of Kubernetes have that documents use, as data.
//!
//! Decides by the version alone; whether a cluster has a feature switched off is not known here.

use super::GenerateError;
use crate::kube::version::Version;

/// A field, and the first version in which every cluster has it, unless it says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Feature {
    /// The field, and its value where it has only one here.
    pub(super) field: &'static str,
    /// `N` of `1.N`.
    pub(super) since: u32,
    /// What comes of it.
    pub(super) gives: &'static str,
}

/// Files of the image do not give groups (KEP-3619, stable in 1.35).
pub(super) const STRICT_GROUPS: Feature = Feature {
    field: "supplementalGroupsPolicy: Strict",
    since: 35,
    gives: "the image's `/etc/group` gives the app no groups",
};

/// What becomes of claims is said (KEP-1847, stable in 1.32).
pub(super) const CLAIM_RETENTION: Feature = Feature {
    field: "persistentVolumeClaimRetentionPolicy",
    since: 32,
    gives: "the document says itself that data stay when the StatefulSet goes",
};

/// Pods that do not serve are no reason to wait (KEP-3017, stable in 1.31).
pub(super) const UNHEALTHY_EVICTION: Feature = Feature {
    field: "unhealthyPodEvictionPolicy: AlwaysAllow",
    since: 31,
    gives: "a pod that does not serve holds up no node's maintenance",
};

/// Users of the pod are others on the node (KEP-127, stable in 1.36).
pub(super) const USER_NAMESPACE: Feature = Feature {
    field: "hostUsers: false",
    since: 36,
    gives: "`--userns` gives the pod users of its own, where its nodes can",
};

/// Directories of volumes have a mode (KEP-5502). Alpha in 1.37, so that a cluster drops the field unless its gate is open, which
/// does no harm.
pub(super) const STICKY: Feature = Feature {
    field: "emptyDir.mode: 1023",
    since: 37,
    gives: "files in `/tmp` are their owners' to remove, where the feature gate EmptyDirVolumeMode is open",
};

/// Mounts have flags (KEP-5855). Alpha in 1.37, so that a cluster drops the field unless its gate is open, and an app that loads
/// libraries it has unpacked to a volume would not start: only by wish.
pub(super) const NO_EXEC: Feature = Feature {
    field: "bindMountOptions",
    since: 37,
    gives: "`--noexec` lets nothing on a volume be executed, where the feature gate VolumeBindMountOptions is open",
};

/// What of all that a version has, and what was missed.
#[derive(Debug)]
pub(super) struct Gate {
    version: Version,
    missed: Vec<&'static Feature>,
}

impl Gate {
    pub(super) fn new(version: Version) -> Self {
        Self { version, missed: Vec::new() }
    }

    /// Whether `feature` may be used; where not, it is told.
    pub(super) fn has(&mut self, feature: &'static Feature) -> bool {
        let has = self.version.0 >= feature.since;
        if !has && !self.missed.contains(&feature) {
            self.missed.push(feature);
        }
        has
    }

    /// Whether `feature` is wished for by `option`, and can be had.
    pub(super) fn wished(
        &mut self,
        feature: &'static Feature,
        option: &'static str,
        is_wished: bool,
    ) -> Result<bool, GenerateError> {
        let has = self.has(feature);
        if is_wished && !has {
            let Feature { field, since, .. } = *feature;
            return Err(GenerateError::Lacks { option, field, version: self.version, since });
        }
        Ok(is_wished)
    }

    /// What is written for newer versions only, by version.
    pub(super) fn notes(mut self) -> Vec<String> {
        self.missed.sort_by_key(|feature| (feature.since, feature.field));
        let note = |feature: &&Feature| {
            format!("`--kube-version 1.{}` adds `{}`: {}", feature.since, feature.field, feature.gives)
        };
        self.missed.iter().map(note).collect()
    }
}
