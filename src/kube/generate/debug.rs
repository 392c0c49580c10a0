//! The profile for `kubectl debug`: a container beside the app's that the same admission lets in.
//!
//! Names no image and no command; those are the user's, as `kubectl` wants it.

use k8s_openapi::api::core::v1::{Capabilities, EnvVar, SeccompProfile, SecurityContext, VolumeMount};
use serde_json::{Map, Value};

use super::{ClusterPlatform, object};
use crate::json;
use crate::kube::pod::comments::Comments;
use crate::kube::pod::{RunAs, plain_yaml, volumes};
use crate::manifest::Manifest;
use crate::seed;

/// A partial container, as `kubectl debug --custom` reads it.
#[derive(Debug, Clone, PartialEq)]
pub struct DebugProfile {
    value: Value,
    comments: Comments,
}

/// Where a shell keeps what it remembers; `/` cannot be written to.
const HOME: &str = "/tmp";

/// The profile that fits pods of the image of `manifest`.
pub fn debug_profile(manifest: &Manifest, run_as: RunAs, platform: ClusterPlatform) -> DebugProfile {
    let is_fixed = run_as == RunAs::Manifest && platform == ClusterPlatform::Kubernetes;
    let process = &manifest.process;
    let security = SecurityContext {
        allow_privilege_escalation: Some(false),
        capabilities: Some(Capabilities { add: None, drop: Some(vec!["ALL".to_owned()]) }),
        privileged: Some(false),
        read_only_root_filesystem: Some(true),
        run_as_non_root: Some(process.uid != 0),
        // The app's own: nobody else may look into its files and processes.
        run_as_user: is_fixed.then(|| i64::from(process.uid)),
        run_as_group: is_fixed.then(|| i64::from(process.gid)),
        seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), localhost_profile: None }),
        ..SecurityContext::default()
    };
    let env = EnvVar { name: "HOME".to_owned(), value: Some(HOME.to_owned()), value_from: None };
    let mounted = volumes::mounted(manifest);
    let mut comments = Comments::default();
    comments.head.push(format!(
        "For `kubectl debug --profile=restricted --custom`, beside the app that kiln {} hardened.",
        manifest.kiln_version
    ));
    let mut mounts = Vec::new();
    for (path, name, mount_path) in mounted {
        let what = if path.seeded {
            // Such a container has no part of a volume, only all of it.
            format!("{mount_path} of the app, in the directory `{}`", seed::TREE)
        } else {
            format!("{mount_path} of the app")
        };
        comments.mounts.push(vec![what]);
        mounts.push(VolumeMount { name, mount_path, ..VolumeMount::default() });
    }
    let mut value = Map::new();
    value.insert("env".to_owned(), object(&[env]));
    value.insert("securityContext".to_owned(), object(&security));
    if !mounts.is_empty() {
        value.insert("volumeMounts".to_owned(), object(&mounts));
    }
    DebugProfile { value: Value::Object(value), comments }
}

impl DebugProfile {
    /// As YAML, with comments.
    pub fn yaml(&self) -> String {
        self.comments.insert(&plain_yaml(&self.value))
    }

    /// As JSON.
    pub fn json(&self) -> String {
        json::render(&self.value)
    }
}
