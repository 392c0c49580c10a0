//! Data that must outlive the pod: claims for them, or the loss of them, told.
//!
//! Which paths hold such data the manifest says.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, PersistentVolumeClaimSpec, PersistentVolumeClaimVolumeSource, PodSpec,
    VolumeResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{Kind, Object, Options, Wish, around};
use crate::kube::pod::{quantity, volumes};
use crate::manifest::{Manifest, Path, Persistence, Volume};

/// What becomes of such data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    /// A StatefulSet makes a claim for each of its pods.
    PerPod,
    /// There is one claim, for whatever pod there is.
    Once,
    /// They go with the pod.
    Lost,
}

/// The claims of a pod.
#[derive(Debug, Clone)]
pub(super) struct Claims {
    kept: Kept,
    claims: Vec<Claim>,
}

#[derive(Debug, Clone)]
struct Claim {
    /// The path, as the manifest has it.
    path: String,
    /// The pod's volume.
    volume: String,
    /// Bytes.
    size: u64,
}

/// Whether what is written at `path` must outlive the pod, and a volume can be there.
pub(super) fn must_outlive(path: &Path) -> bool {
    path.persistence == Persistence::Persistent && path.volume != Volume::None
}

impl Claims {
    pub(super) fn of(manifest: &Manifest, kind: Kind, options: &Options) -> Self {
        let kept = if kind == Kind::StatefulSet {
            Kept::PerPod
        } else if options.wishes.contains(&Wish::Claims) {
            Kept::Once
        } else {
            Kept::Lost
        };
        let claim = |(path, volume, _): (&Path, String, String)| {
            let size = match path.volume {
                Volume::Disk { size_limit } | Volume::Memory { size_limit } => size_limit,
                Volume::None => unreachable!("only paths with a volume are mounted"),
            };
            Claim { path: path.path.clone(), volume, size }
        };
        let mounted = volumes::mounted(manifest).into_iter();
        Self { kept, claims: mounted.filter(|(path, _, _)| must_outlive(path)).map(claim).collect() }
    }

    /// Whether there is a claim at `path`, which is no `emptyDir` then.
    pub(super) fn hold(&self, path: &Path) -> bool {
        self.kept != Kept::Lost && self.claims.iter().any(|claim| claim.path == path.path)
    }

    /// Whether the pod has any.
    pub(super) fn is_any(&self) -> bool {
        self.kept != Kept::Lost && !self.claims.is_empty()
    }

    /// Paths whose data go with the pod.
    pub(super) fn lost(&self) -> Vec<&str> {
        let lost = self.claims.iter().filter(|_| self.kept == Kept::Lost);
        lost.map(|claim| claim.path.as_str()).collect()
    }

    /// What is to be known of data that go with the pod, and `what` keeps them.
    pub(super) fn note(&self, what: &str) -> Option<String> {
        let lost = self.lost().join(", ");
        (!lost.is_empty()).then(|| {
            format!("{lost}: data that must outlive the pod are in an emptyDir and go with it; {what}")
        })
    }

    /// Puts them in the place of `spec`'s `emptyDir`s.
    pub(super) fn put(&self, spec: &mut PodSpec, options: &Options) {
        let Some(volumes) = spec.volumes.as_mut().filter(|_| self.is_any()) else { return };
        let claim_of = |name: &str| self.claims.iter().find(|claim| claim.volume == name);
        if self.kept == Kept::PerPod {
            // The StatefulSet brings them by the names of its templates.
            volumes.retain(|volume| claim_of(&volume.name).is_none());
        } else {
            for volume in volumes.iter_mut() {
                let Some(claim) = claim_of(&volume.name) else { continue };
                volume.empty_dir = None;
                volume.persistent_volume_claim = Some(PersistentVolumeClaimVolumeSource {
                    claim_name: claim.name(options),
                    read_only: None,
                });
            }
        }
        if volumes.is_empty() {
            spec.volumes = None;
        }
    }

    /// A StatefulSet's templates of claims.
    pub(super) fn templates(&self) -> Option<Vec<PersistentVolumeClaim>> {
        let claims = self.claims.iter().filter(|_| self.kept == Kept::PerPod);
        let all: Vec<_> = claims
            .map(|claim| {
                claim.object(ObjectMeta { name: Some(claim.volume.clone()), ..ObjectMeta::default() })
            })
            .collect();
        Some(all).filter(|all| !all.is_empty())
    }

    /// Claims that stand by themselves.
    pub(super) fn objects(&self, options: &Options) -> Vec<Object> {
        let claims = self.claims.iter().filter(|_| self.kept == Kept::Once);
        claims
            .map(|claim| {
                let name = claim.name(options);
                let object = claim.object(around::metadata(&name, options, BTreeMap::new()));
                let head = format!("For {}: it stays when the pod goes.", claim.path);
                Object::new("PersistentVolumeClaim", &name, &object, vec![head])
            })
            .collect()
    }
}

impl Claim {
    /// Its name, where it stands by itself.
    fn name(&self, options: &Options) -> String {
        format!("{}-{}", options.name, self.volume)
    }

    fn object(&self, metadata: ObjectMeta) -> PersistentVolumeClaim {
        PersistentVolumeClaim {
            metadata,
            spec: Some(PersistentVolumeClaimSpec {
                access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
                resources: Some(VolumeResourceRequirements {
                    requests: Some(BTreeMap::from([("storage".to_owned(), quantity(self.size))])),
                    limits: None,
                }),
                ..PersistentVolumeClaimSpec::default()
            }),
            status: None,
        }
    }
}
