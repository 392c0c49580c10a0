//! The workload round the pods, of each kind.
//!
//! Knows nothing of what is in a pod.

use k8s_openapi::api::apps::v1::{
    DaemonSet, DaemonSetSpec, DaemonSetUpdateStrategy, Deployment, DeploymentSpec, DeploymentStrategy,
    RollingUpdateDaemonSet, RollingUpdateDeployment, StatefulSet,
    StatefulSetPersistentVolumeClaimRetentionPolicy, StatefulSetSpec, StatefulSetUpdateStrategy,
};
use k8s_openapi::api::batch::v1::{CronJob, CronJobSpec, Job, JobSpec, JobTemplateSpec};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::{Value, json};

use super::feature::{CLAIM_RETENTION, Gate};
use super::template::Made;
use super::{Kind, Object, Options, around, object, sticky};
use crate::kube::workload as known;

/// Pods of a Deployment, so that one can go without the app being away.
const REPLICAS: i32 = 2;
/// Old versions that can be gone back to.
const HISTORY: i32 = 5;
/// How often a Job is tried again.
const BACKOFF: i32 = 3;
/// Seconds that a finished Job is there to be looked at: a day.
const AFTER: i32 = 24 * 60 * 60;
/// Seconds that a CronJob's start may be late: what is later than this is not made up for.
const LATE: i64 = 10 * 60;

/// What makes the pods of `made`.
pub(super) fn workload(made: &Made, kind: Kind, options: &Options, gate: &mut Gate) -> Object {
    let metadata = around::metadata(&options.name, options, made.annotations.clone());
    let mut value = match kind {
        Kind::Pod => object(&Pod { metadata, spec: Some(made.spec.clone()), status: None }),
        Kind::Deployment => object(&deployment(made, metadata, options)),
        Kind::StatefulSet => object(&stateful_set(made, metadata, options, gate)),
        Kind::DaemonSet => object(&daemon_set(made, metadata, options)),
        Kind::Job => object(&Job { metadata, spec: Some(job(made, options)), status: None }),
        Kind::CronJob => object(&cron_job(made, metadata, options)),
    };
    if made.no_exec {
        bind_strictly(&mut value, kind);
    }
    if !made.sticky.is_empty() {
        make_sticky(&mut value, kind, &made.sticky);
    }
    Object { kind: kind.name(), name: options.name.clone(), value, comments: made.comments.clone() }
}

fn selector(options: &Options) -> LabelSelector {
    LabelSelector { match_labels: Some(around::selector(options)), match_expressions: None }
}

fn deployment(made: &Made, metadata: ObjectMeta, options: &Options) -> Deployment {
    // Two pods cannot have one claim, not even while one takes the other's place.
    let (replicas, strategy) = if made.claims.is_any() {
        (1, DeploymentStrategy { type_: Some("Recreate".to_owned()), rolling_update: None })
    } else {
        let rolling_update = RollingUpdateDeployment {
            max_surge: Some(IntOrString::Int(1)),
            max_unavailable: Some(IntOrString::Int(0)),
        };
        let type_ = Some("RollingUpdate".to_owned());
        (REPLICAS, DeploymentStrategy { type_, rolling_update: Some(rolling_update) })
    };
    let spec = DeploymentSpec {
        replicas: Some(asked(options).unwrap_or(replicas)),
        revision_history_limit: Some(HISTORY),
        selector: selector(options),
        strategy: Some(strategy),
        template: made.template(options),
        ..DeploymentSpec::default()
    };
    Deployment { metadata, spec: Some(spec), status: None }
}

fn stateful_set(made: &Made, metadata: ObjectMeta, options: &Options, gate: &mut Gate) -> StatefulSet {
    let templates = made.claims.templates();
    let says = templates.is_some() && gate.has(&CLAIM_RETENTION);
    let retain = || Some("Retain".to_owned());
    let retention =
        || StatefulSetPersistentVolumeClaimRetentionPolicy { when_deleted: retain(), when_scaled: retain() };
    let spec = StatefulSetSpec {
        persistent_volume_claim_retention_policy: says.then(retention),
        pod_management_policy: Some("OrderedReady".to_owned()),
        // What software makes of a second pod with data of its own is not known here.
        replicas: Some(asked(options).unwrap_or(1)),
        revision_history_limit: Some(HISTORY),
        selector: selector(options),
        service_name: Some(around::headless(options)),
        template: made.template(options),
        update_strategy: Some(StatefulSetUpdateStrategy {
            type_: Some("RollingUpdate".to_owned()),
            rolling_update: None,
        }),
        volume_claim_templates: templates,
        ..StatefulSetSpec::default()
    };
    StatefulSet { metadata, spec: Some(spec), status: None }
}

fn daemon_set(made: &Made, metadata: ObjectMeta, options: &Options) -> DaemonSet {
    let spec = DaemonSetSpec {
        revision_history_limit: Some(HISTORY),
        selector: selector(options),
        template: made.template(options),
        update_strategy: Some(DaemonSetUpdateStrategy {
            type_: Some("RollingUpdate".to_owned()),
            rolling_update: Some(RollingUpdateDaemonSet {
                max_surge: None,
                max_unavailable: Some(IntOrString::Int(1)),
            }),
        }),
        ..DaemonSetSpec::default()
    };
    DaemonSet { metadata, spec: Some(spec), status: None }
}

fn job(made: &Made, options: &Options) -> JobSpec {
    JobSpec {
        backoff_limit: Some(BACKOFF),
        template: made.template(options),
        ttl_seconds_after_finished: Some(AFTER),
        ..JobSpec::default()
    }
}

fn cron_job(made: &Made, metadata: ObjectMeta, options: &Options) -> CronJob {
    let spec = CronJobSpec {
        // Two at a time share what they write to.
        concurrency_policy: Some("Forbid".to_owned()),
        failed_jobs_history_limit: Some(1),
        job_template: JobTemplateSpec {
            metadata: Some(ObjectMeta { labels: Some(around::labels(options)), ..ObjectMeta::default() }),
            spec: Some(job(made, options)),
        },
        schedule: options.schedule.clone().unwrap_or_default(),
        starting_deadline_seconds: Some(LATE),
        successful_jobs_history_limit: Some(3),
        ..CronJobSpec::default()
    };
    CronJob { metadata, spec: Some(spec), status: None }
}

fn asked(options: &Options) -> Option<i32> {
    options.replicas.map(|replicas| i32::try_from(replicas).unwrap_or(i32::MAX))
}

/// The spec of the pods of a workload.
fn pod_spec(value: &mut Value, kind: Kind) -> Option<&mut Value> {
    let place = known::of(kind.name()).map_or(&[][..], |workload| workload.template);
    place.iter().try_fold(value, |at, key| at.get_mut(*key))?.get_mut("spec")
}

/// Makes the volumes `names` sticky. The types have no such field yet.
fn make_sticky(value: &mut Value, kind: Kind, names: &[String]) {
    let spec = pod_spec(value, kind);
    let volumes = spec.and_then(|spec| spec.get_mut("volumes")?.as_array_mut()).into_iter().flatten();
    for volume in volumes {
        let is_named = volume["name"].as_str().is_some_and(|name| names.iter().any(|known| known == name));
        if let Some(fields) = volume.get_mut("emptyDir").and_then(Value::as_object_mut).filter(|_| is_named) {
            fields.insert("mode".to_owned(), json!(sticky::MODE));
        }
    }
}

/// Lets nothing be executed on what containers can write to. The types have no such field yet.
fn bind_strictly(value: &mut Value, kind: Kind) {
    let Some(spec) = pod_spec(value, kind) else { return };
    for list in ["containers", "initContainers"] {
        let containers = spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten();
        let mounts = containers
            .filter_map(|container| container.get_mut("volumeMounts").and_then(Value::as_array_mut))
            .flatten();
        for mount in mounts.filter_map(Value::as_object_mut) {
            if !mount.contains_key("readOnly") {
                mount.insert("bindMountOptions".to_owned(), json!(["nodev", "noexec", "nosuid"]));
            }
        }
    }
}
