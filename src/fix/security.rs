//! Who runs, and what he may.
//!
//! Sets what is known to be right for the image; what would keep an app from starting that did start is left and told.

use serde_json::{Value, json};

use super::mend::{Mender, list, sub};
use crate::audit::ValueFinding;
use crate::audit::rules::{APP_ARMOR, CONTAINER_ONLY};

/// Memory for an app of unknown size, as generated pods have it.
const MEMORY_LIMIT: &str = "512Mi";
/// Memory asked for.
const MEMORY_REQUEST: &str = "128Mi";
/// Processor time asked for.
const CPU_REQUEST: &str = "100m";

/// Moves fields of containers from the pod to the containers, where they do not say otherwise.
pub(super) fn misplaced(mender: &mut Mender<'_>, _: &ValueFinding) {
    let Some(spec) = mender.spec_mut() else { return };
    let Some(context) = spec.get_mut("securityContext").and_then(Value::as_object_mut) else { return };
    let moved: Vec<(&str, Value)> =
        CONTAINER_ONLY.iter().filter_map(|&key| Some((key, context.remove(key)?))).collect();
    if moved.is_empty() {
        return;
    }
    if context.is_empty() {
        spec.remove("securityContext");
    }
    for kind in ["initContainers", "containers", "ephemeralContainers"] {
        for container in spec.get_mut(kind).and_then(Value::as_array_mut).into_iter().flatten() {
            let Some(container) = container.as_object_mut() else { continue };
            let own = sub(container, "securityContext");
            for (key, value) in &moved {
                own.entry(*key).or_insert_with(|| value.clone());
            }
        }
    }
    let names: Vec<&str> = moved.iter().map(|(key, _)| *key).collect();
    mender.did("FS021", format!("moved from the pod to its containers: {}", names.join(", ")));
}

/// Pins the image by the digest of the one that was looked at.
pub(super) fn pin(mender: &mut Mender<'_>, finding: &ValueFinding) {
    let name = mender.name(finding);
    let Some(digest) = mender.image(finding).and_then(|image| image.digests.first()).copied() else {
        return mender
            .leaves("SC001", format!("{name}the digest is not known: name the image, or `--resolve`"));
    };
    let Some(container) = mender.container_mut(finding) else { return };
    let Some(image) = container.get("image").and_then(Value::as_str) else { return };
    let pinned = format!("{}@{digest}", image.split('@').next().unwrap_or_default());
    container.insert("image".to_owned(), json!(pinned));
    mender.did("SC001", format!("{name}the image is pinned: {pinned}"));
}

/// Lets the container run as its image's user, if that is not root.
pub(super) fn user(mender: &mut Mender<'_>, finding: &ValueFinding) {
    let name = mender.name(finding);
    let now = mender.effective(finding, "runAsUser").and_then(Value::as_i64);
    if finding.rule == "ID001" && now.is_some_and(|uid| uid > 0) {
        set(mender, finding, "runAsNonRoot", json!(true), "ID001");
        return;
    }
    let known = mender.image(finding).map(|image| (image.manifest.process.uid, image.manifest.process.gid));
    let is_root = now == Some(0);
    match known {
        Some((uid, gid)) if uid != 0 && (!is_root || mender.is_unsafe()) => {
            let Some(container) = mender.container_mut(finding) else { return };
            let context = sub(container, "securityContext");
            context.insert("runAsUser".to_owned(), json!(uid));
            context.insert("runAsGroup".to_owned(), json!(gid));
            context.insert("runAsNonRoot".to_owned(), json!(true));
            mender.did("ID002", format!("{name}runs as {uid}:{gid}, the image's own"));
        }
        Some((0, _)) => mender.leaves("ID002", format!("{name}the image runs as root: harden it")),
        Some(_) => mender
            .leaves("ID002", format!("{name}it runs as root on purpose: `--unsafe` takes the image's user")),
        None => mender.leaves(
            "ID001",
            format!("{name}whether the image runs without root is not known: name it with `--image`"),
        ),
    }
}

/// Sets a field of `securityContext` where the pod or the container has it, else at the container.
fn set(mender: &mut Mender<'_>, finding: &ValueFinding, field: &str, value: Value, rule: &'static str) {
    let name = mender.name(finding);
    let own = mender.container(finding).pointer(&format!("/securityContext/{field}")).is_some();
    let message = format!("{name}`{field}: {value}`");
    if own {
        if let Some(container) = mender.container_mut(finding) {
            sub(container, "securityContext").insert(field.to_owned(), value);
        }
    } else if let Some(spec) = mender.spec_mut() {
        sub(spec, "securityContext").insert(field.to_owned(), value);
    }
    mender.did(rule, message);
}

pub(super) fn left_to_a_person(mender: &mut Mender<'_>, finding: &ValueFinding) {
    let name = mender.name(finding);
    mender.leaves(finding.rule, format!("{name}{}: a person has to decide", finding.message));
}

/// Takes the image's group beside its user.
pub(super) fn group(mender: &mut Mender<'_>, finding: &ValueFinding) {
    let name = mender.name(finding);
    let own = mender.image(finding).map(|image| &image.manifest.process).filter(|own| own.gid != 0);
    let uid = mender.effective(finding, "runAsUser").and_then(Value::as_i64);
    let is_unset = mender.effective(finding, "runAsGroup").is_none();
    match own {
        Some(own) if is_unset && uid.is_none_or(|uid| uid == i64::from(own.uid)) => {
            set(mender, finding, "runAsGroup", json!(own.gid), "ID004");
        }
        _ => mender.leaves("ID004", format!("{name}which group its files are for is not known")),
    }
}

/// Gives a claim to the app's group.
pub(super) fn fs_group(mender: &mut Mender<'_>, finding: &ValueFinding) {
    let of_pod = |mender: &Mender<'_>, field: &str| {
        mender.spec().pointer(&format!("/securityContext/{field}")).cloned()
    };
    if finding.field.ends_with("fsGroupChangePolicy") {
        let Some(spec) = mender.spec_mut() else { return };
        sub(spec, "securityContext").insert("fsGroupChangePolicy".to_owned(), json!("OnRootMismatch"));
        return mender.did("ID005", "`fsGroupChangePolicy: OnRootMismatch`");
    }
    if of_pod(mender, "fsGroup").is_some() {
        return mender.leaves("ID005", "no volume needs `fsGroup`, but who runs may rely on the group");
    }
    let own = of_pod(mender, "runAsGroup").or_else(|| {
        let containers = mender.spec().get("containers")?.as_array()?;
        containers.iter().find_map(|container| container.pointer("/securityContext/runAsGroup").cloned())
    });
    match own.filter(|group| group.as_i64().is_some_and(|group| group > 0)) {
        Some(group) => {
            let Some(spec) = mender.spec_mut() else { return };
            let context = sub(spec, "securityContext");
            context.insert("fsGroup".to_owned(), group.clone());
            context.insert("fsGroupChangePolicy".to_owned(), json!("OnRootMismatch"));
            mender.did("ID005", format!("`fsGroup: {group}`: the claim belongs to the app's group"));
        }
        None => mender.leaves("ID005", "a claim is written, and the app's group is not known"),
    }
}

/// Takes no groups from the image but those that the app is known to have.
pub(super) fn strict_groups(mender: &mut Mender<'_>, _: &ValueFinding) {
    let containers = mender.spec().get("containers").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut groups: Vec<u32> = Vec::new();
    for container in &containers {
        let image =
            container.get("image").and_then(Value::as_str).and_then(|name| mender.options.image(name));
        match image {
            Some(image) => groups.extend(&image.manifest.process.groups),
            None if mender.is_unsafe() => {}
            None => {
                return mender.leaves(
                    "ID006",
                    "which groups the image gives its user is not known: name it with `--image`",
                );
            }
        }
    }
    let Some(spec) = mender.spec_mut() else { return };
    let context = sub(spec, "securityContext");
    context.insert("supplementalGroupsPolicy".to_owned(), json!("Strict"));
    groups.retain(|group| *group != 0);
    if !groups.is_empty() {
        let own = list(context, "supplementalGroups");
        for group in groups {
            if !own.contains(&json!(group)) {
                own.push(json!(group));
            }
        }
    }
    mender.did("ID006", "`supplementalGroupsPolicy: Strict`, with the groups that the app has");
}

pub(super) fn user_namespace(mender: &mut Mender<'_>, _: &ValueFinding) {
    if !mender.is_unsafe() {
        return;
    }
    let Some(spec) = mender.spec_mut() else { return };
    spec.insert("hostUsers".to_owned(), json!(false));
    mender.did("ID007", "`hostUsers: false`");
}

/// Takes out the field that a finding is about.
pub(super) fn remove(mender: &mut Mender<'_>, finding: &ValueFinding) {
    let Some((parent, field)) = finding.pointer.rsplit_once('/') else { return };
    let name = mender.name(finding);
    let Some(fields) = mender.value.pointer_mut(parent).and_then(Value::as_object_mut) else { return };
    if fields.remove(field).is_some() {
        mender.did(finding.rule, format!("{name}`{field}` is taken out"));
    }
}

/// The same, where that is allowed.
pub(super) fn remove_unsafe(mender: &mut Mender<'_>, finding: &ValueFinding) {
    if mender.is_unsafe() {
        return remove(mender, finding);
    }
    let name = mender.name(finding);
    let message = format!("{name}{}; the app may need it: `--unsafe` takes it out", finding.message);
    mender.leaves(finding.rule, message);
}

pub(super) fn no_escalation(mender: &mut Mender<'_>, finding: &ValueFinding) {
    let name = mender.name(finding);
    let is_unsafe = mender.is_unsafe();
    let Some(container) = mender.container_mut(finding) else { return };
    let context = sub(container, "securityContext");
    if context.get("allowPrivilegeEscalation") == Some(&json!(true)) && !is_unsafe {
        let message = format!("{name}it says `true` on purpose: `--unsafe` says `false`");
        return mender.leaves("PR002", message);
    }
    // The API server refuses the two together.
    if context.get("privileged") == Some(&json!(true)) {
        return mender.leaves("PR002", format!("{name}it is privileged"));
    }
    context.insert("allowPrivilegeEscalation".to_owned(), json!(false));
    mender.did("PR002", format!("{name}`allowPrivilegeEscalation: false`"));
}

/// Root uses its capabilities, for changing owners and users: whoever is not root has none to lose.
pub(super) fn drop_all(mender: &mut Mender<'_>, finding: &ValueFinding) {
    let name = mender.name(finding);
    if !mender.is_unprivileged(finding) && !mender.is_unsafe() {
        let message =
            format!("{name}it may be root, which uses capabilities: settle who it runs as, or `--unsafe`");
        return mender.leaves("PR003", message);
    }
    let Some(container) = mender.container_mut(finding) else { return };
    let capabilities = sub(sub(container, "securityContext"), "capabilities");
    capabilities.insert("drop".to_owned(), json!(["ALL"]));
    mender.did("PR003", format!("{name}`capabilities.drop: [ALL]`"));
}

pub(super) fn in_vain(mender: &mut Mender<'_>, finding: &ValueFinding) {
    let name = mender.name(finding);
    let Some(container) = mender.container_mut(finding) else { return };
    let capabilities = sub(sub(container, "securityContext"), "capabilities");
    let added = list(capabilities, "add");
    added.retain(|name| name != "NET_BIND_SERVICE");
    if added.is_empty() {
        capabilities.remove("add");
    }
    mender.did("PR005", format!("{name}`NET_BIND_SERVICE` is taken out: it does nothing"));
}

/// Opens the lowest port that the pod declares to whoever is in it.
pub(super) fn low_port(mender: &mut Mender<'_>, finding: &ValueFinding) {
    const NAME: &str = "net.ipv4.ip_unprivileged_port_start";
    if mender.spec().get("hostNetwork") == Some(&json!(true)) {
        return mender.leaves("PR006", "the sysctl that opens low ports is not for the node's network");
    }
    let Some(port) = mender.value.pointer(&finding.pointer).and_then(Value::as_i64) else { return };
    let Some(spec) = mender.spec_mut() else { return };
    let sysctls = list(sub(spec, "securityContext"), "sysctls");
    match sysctls.iter_mut().find(|one| one.get("name") == Some(&json!(NAME))) {
        Some(one) => {
            if let Some(fields) = one.as_object_mut() {
                fields.insert("value".to_owned(), json!(port.to_string()));
            }
        }
        None => sysctls.push(json!({"name": NAME, "value": port.to_string()})),
    }
    mender.did("PR006", format!("the sysctl `{NAME}` opens port {port}"));
}

pub(super) fn seccomp(mender: &mut Mender<'_>, finding: &ValueFinding) {
    let profile = json!({"type": "RuntimeDefault"});
    // A container that says otherwise says it for itself.
    let own = mender.container(finding).pointer("/securityContext/seccompProfile").is_some();
    if own && !mender.is_unsafe() {
        let name = mender.name(finding);
        return mender.leaves(
            "PR007",
            format!("{name}the filter is switched off on purpose: `--unsafe` switches it on"),
        );
    }
    if own {
        if let Some(container) = mender.container_mut(finding) {
            sub(container, "securityContext").insert("seccompProfile".to_owned(), profile);
        }
    } else if let Some(spec) = mender.spec_mut() {
        sub(spec, "securityContext").insert("seccompProfile".to_owned(), profile);
    }
    mender.did("PR007", "`seccompProfile: {type: RuntimeDefault}`");
}

/// Writes what the annotation of before 1.30 says as the field.
pub(super) fn app_armor(mender: &mut Mender<'_>, finding: &ValueFinding) {
    /// The first version with the field.
    const SINCE: u32 = 30;
    let key = finding.field.split_once("[\"").map(|(_, key)| key.trim_end_matches("\"]").to_owned());
    let Some(key) = key.filter(|key| key.starts_with(APP_ARMOR)) else {
        return remove_unsafe(mender, finding);
    };
    if mender.options.version.0 < SINCE {
        return mender.leaves("PR008", "the field for AppArmor is there from 1.30 on");
    }
    let name = key.strip_prefix(APP_ARMOR).unwrap_or_default().to_owned();
    let Some(template) = mender.template_mut() else { return };
    let Some(annotations) = template.get_mut("metadata").and_then(|of| of.get_mut("annotations")) else {
        return;
    };
    let Some(annotations) = annotations.as_object_mut() else { return };
    let Some(said) = annotations.get(&key).and_then(Value::as_str).map(str::to_owned) else { return };
    let profile = match said.split_once('/') {
        Some(("runtime", "default")) => json!({"type": "RuntimeDefault"}),
        Some(("localhost", profile)) => json!({"type": "Localhost", "localhostProfile": profile}),
        _ => return mender.leaves("PR008", format!("the annotation says {said:?}: a person has to decide")),
    };
    annotations.remove(&key);
    if annotations.is_empty() {
        sub(template, "metadata").remove("annotations");
    }
    let Some(spec) = mender.spec_mut() else { return };
    for kind in ["initContainers", "containers"] {
        for container in spec.get_mut(kind).and_then(Value::as_array_mut).into_iter().flatten() {
            if container.get("name") == Some(&json!(name))
                && let Some(container) = container.as_object_mut()
            {
                sub(container, "securityContext").insert("appArmorProfile".to_owned(), profile.clone());
            }
        }
    }
    mender.did("PR008", format!("the annotation for {name:?} is the field `appArmorProfile` now"));
}

/// Whoever has an account of his own may speak to the API: that is for a person to say.
pub(super) fn no_token(mender: &mut Mender<'_>, _: &ValueFinding) {
    let named = ["serviceAccountName", "serviceAccount"]
        .iter()
        .find_map(|field| mender.spec().get(*field)?.as_str())
        .is_some_and(|name| !["", "default"].contains(&name));
    if named && !mender.is_unsafe() {
        let message =
            "the pod has an account of its own and may speak to the API: `--unsafe` takes its token";
        return mender.leaves("SC006", message);
    }
    let Some(spec) = mender.spec_mut() else { return };
    spec.insert("automountServiceAccountToken".to_owned(), json!(false));
    mender.did("SC006", "`automountServiceAccountToken: false`");
}

pub(super) fn last_words(mender: &mut Mender<'_>, finding: &ValueFinding) {
    let name = mender.name(finding);
    let Some(container) = mender.container_mut(finding) else { return };
    container.insert("terminationMessagePolicy".to_owned(), json!("FallbackToLogsOnError"));
    mender.did("RS002", format!("{name}`terminationMessagePolicy: FallbackToLogsOnError`"));
}

/// Fills in what generated pods have; what was measured is better.
pub(super) fn resources(mender: &mut Mender<'_>, finding: &ValueFinding) {
    let name = mender.name(finding);
    let Some((kind, what)) = finding.field.rsplit_once("resources.").and_then(|(_, of)| of.split_once('.'))
    else {
        return;
    };
    let Some(container) = mender.container_mut(finding) else { return };
    let resources = sub(container, "resources");
    // Kubernetes takes a limit for a request that is not set.
    let amount = match (kind, what) {
        ("requests", "cpu") => CPU_REQUEST.to_owned(),
        ("requests", _) => match resources.get("limits").and_then(|limits| limits.get(what)?.as_str()) {
            Some(limit) => limit.to_owned(),
            None => MEMORY_REQUEST.to_owned(),
        },
        _ => match resources.get("requests").and_then(|requests| requests.get(what)?.as_str()) {
            Some(request) => larger(request, MEMORY_LIMIT),
            None => MEMORY_LIMIT.to_owned(),
        },
    };
    sub(resources, kind).insert(what.to_owned(), json!(amount));
    mender.did("RS001", format!("{name}`resources.{kind}.{what}: {amount}`, which nobody measured"));
}

/// The larger of two amounts.
fn larger(a: &str, b: &str) -> String {
    let parse = crate::kube::quantity::parse;
    if parse(a) > parse(b) { a.to_owned() } else { b.to_owned() }
}
