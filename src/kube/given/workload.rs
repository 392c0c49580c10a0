//! What makes pods: a Pod itself, or the template in a workload.
//!
//! Knows where the pod's spec stands in each.

use serde_json::Value;

use super::fields::Fields;
use super::{Container, Given, GivenError, container, security, volumes};
use crate::kube::workload;

/// Longest name of a host.
const MAX_LABEL: usize = 63;

/// Seconds that Kubernetes waits where a pod does not say.
const GRACE: u64 = 30;

/// Who is in the cluster and where it runs, and when; names and links that are there in a cluster only. What of it a container
/// would see, kiln's does not.
const PASSED: [&str; 24] = [
    "activeDeadlineSeconds",
    "affinity",
    "automountServiceAccountToken",
    "dnsConfig",
    "dnsPolicy",
    "enableServiceLinks",
    "hostUsers",
    "imagePullSecrets",
    "nodeName",
    "nodeSelector",
    "overhead",
    "preemptionPolicy",
    "priority",
    "priorityClassName",
    "readinessGates",
    "restartPolicy",
    "schedulerName",
    "schedulingGates",
    "serviceAccount",
    "serviceAccountName",
    "setHostnameAsFQDN",
    "subdomain",
    "tolerations",
    "topologySpreadConstraints",
];

/// Reads the one pod, or template of pods, in `text`, YAML or JSON.
pub fn parse(text: &str) -> Result<Given, GivenError> {
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(text).map_err(|error| GivenError::Yaml(one_line(&error.to_string())))?;
    let documents: Vec<Value> = documents.into_iter().flat_map(members).collect();
    let configs = volumes::configs(&documents)?;
    let kind = |document: &Value| document.get("kind").and_then(Value::as_str).map(str::to_owned);
    let place = |kind: &str| workload::of(kind).map(|workload| workload.template);
    let kinds: Vec<String> = documents.iter().filter_map(kind).collect();
    let mut pods: Vec<(String, &[&str], Value)> = documents
        .into_iter()
        .filter_map(|document| {
            let kind = kind(&document)?;
            Some((kind.clone(), place(&kind)?, document))
        })
        .collect();
    let Some((kind, place, document)) = pods.pop() else {
        let found = if kinds.is_empty() { "none".to_owned() } else { kinds.join(", ") };
        return Err(GivenError::NoPod(found));
    };
    if !pods.is_empty() {
        return Err(GivenError::Several(pods.len() + 1));
    }
    given(kind, place, document, &configs)
}

/// What is in a `List`, which `kubectl` writes where there are several; anything else is itself, and nothing is nothing.
fn members(document: Value) -> Vec<Value> {
    match document {
        Value::Null => Vec::new(),
        Value::Object(mut fields) if fields.get("kind").is_some_and(|kind| kind == "List") => {
            match fields.remove("items") {
                Some(Value::Array(items)) => items.into_iter().filter(|item| !item.is_null()).collect(),
                _ => Vec::new(),
            }
        }
        other => vec![other],
    }
}

fn one_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

fn given(
    kind: String,
    place: &[&str],
    document: Value,
    configs: &volumes::Configs,
) -> Result<Given, GivenError> {
    let mut template = Fields::new("", document)?;
    let mut metadata = template.fields("metadata")?;
    // What is generated for each pod is not there yet.
    let name = metadata.text("name")?.or(metadata.text("generateName")?).unwrap_or_else(|| "pod".to_owned());
    let mut claims = Vec::new();
    for (depth, key) in place.iter().enumerate() {
        template = template.fields(key)?;
        if depth == 0 {
            for (at, claim) in template.list("volumeClaimTemplates")? {
                claims.push(Fields::new(at, claim)?.fields("metadata")?.needed("name")?);
            }
        }
    }
    let mut spec = template.fields("spec")?;
    let hostname = spec.text("hostname")?.unwrap_or_else(|| name.clone());
    let hostname = hostname.chars().take(MAX_LABEL).collect();
    let mut os = spec.fields("os")?;
    if let Some(other) = os.text("name")?.filter(|name| name != "linux") {
        return Err(os.value("name", other, "is another system"));
    }
    os.done()?;
    spec.refuse(&["hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"])?;
    let grace = spec.number("terminationGracePeriodSeconds")?.unwrap_or(GRACE);
    let security = security::of_pod(spec.fields("securityContext")?)?;
    let volumes = volumes::volumes(&mut spec, &claims, configs)?;
    let mut read = |key: &str| -> Result<Vec<Container>, GivenError> {
        let list = spec.list(key)?.into_iter();
        list.map(|(at, value)| container::container(at, value, &security, &name, &volumes)).collect()
    };
    let (init, containers) = (read("initContainers")?, read("containers")?);
    if containers.is_empty() {
        return Err(GivenError::Missing(spec.at("containers")));
    }
    spec.pass(&PASSED);
    spec.done()?;
    Ok(Given { kind, name, hostname, grace, init, containers })
}
