//! What containers may do besides what their user may.
//!
//! Takes what nobody needs; what would keep an app from starting that did start is left and told.

use serde_json::{Value, json};

use super::lock::lock_next;
use super::mend::{Mender, list, sub, title};
use crate::audit::rules::{APP_ARMOR, CONTAINER_ONLY};
use crate::audit::{Image, ValueFinding};
use crate::kube::field;

/// Moves what restricts from the pod to the containers that can do with it and say nothing of it; the rest goes.
pub(super) fn misplaced(mender: &mut Mender<'_>, _: &ValueFinding) {
    let of_pod = |mender: &Mender<'_>, key: &str| {
        field::value(mender.spec(), &format!("securityContext.{key}")).cloned()
    };
    // One at a time: what it needs may move the others.
    if of_pod(mender, "readOnlyRootFilesystem") == Some(json!(true)) && lock_next(mender) {
        return;
    }
    let escalates = of_pod(mender, "allowPrivilegeEscalation") == Some(json!(false));
    let dropped = of_pod(mender, "capabilities").and_then(|all| all.get("drop").cloned());
    let mut moves: Vec<(String, &str, Value)> = Vec::new();
    for (at, container) in mender.containers() {
        let says = |key: &str| field::value(container, &format!("securityContext.{key}")).is_some();
        if escalates && !says("allowPrivilegeEscalation") && needs_escalation(mender, container).is_none() {
            moves.push((at.clone(), "allowPrivilegeEscalation", json!(false)));
        }
        if let Some(dropped) = &dropped
            && !says("capabilities.drop")
            && (mender.is_unsafe() || needs_capabilities(mender, container).is_none())
        {
            moves.push((at, "drop", dropped.clone()));
        }
    }
    for (at, key, value) in moves {
        let Some(container) = mender.at_mut(&at) else { continue };
        let context = sub(container, "securityContext");
        let place = if key == "drop" { sub(context, "capabilities") } else { context };
        place.insert(key.to_owned(), value.clone());
        let message = format!("{}`{key}: {value}`, as the pod has it", title(mender.at(&at)));
        mender.did("FS021", message);
    }
    let Some(spec) = mender.spec_mut() else { return };
    let context = sub(spec, "securityContext");
    let gone: Vec<&str> =
        CONTAINER_ONLY.iter().copied().filter(|key| context.remove(*key).is_some()).collect();
    if context.is_empty() {
        spec.remove("securityContext");
    }
    mender.did("FS021", format!("taken out of the pod, where it means nothing: {}", gone.join(", ")));
}

/// Pins the image by the digest of the one that was looked at.
pub(super) fn pin(mender: &mut Mender<'_>, finding: &ValueFinding) {
    let name = mender.name(finding);
    let known = mender.image(mender.container(finding));
    let Some(digest) = known.and_then(|image| image.digests.first()).copied() else {
        return mender
            .leaves("SC001", format!("{name}the digest is not known: name the image, or `--resolve`"));
    };
    let Some(container) = mender.container_mut(finding) else { return };
    let Some(image) = container.get("image").and_then(Value::as_str) else { return };
    let pinned = format!("{}@{digest}", image.split('@').next().unwrap_or_default());
    container.insert("image".to_owned(), json!(pinned));
    mender.did("SC001", format!("{name}the image is pinned: {pinned}"));
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

/// Whether a program of the image has capabilities of its own: without them in the bounding set it does not start
/// (capabilities(7), "Transformation of capabilities during `execve()`").
fn gives_capabilities(image: &Image) -> bool {
    let rootfs = &image.rootfs;
    let entries = rootfs.nodes().filter_map(|(_, node)| rootfs.member(node.inode?));
    let mut names = entries.flat_map(|entry| entry.xattrs.iter().flat_map(|all| all.iter()));
    names.any(|(name, _)| **name == *b"security.capability")
}

/// Why a container may need what `allowPrivilegeEscalation: false` takes.
fn needs_escalation(mender: &Mender<'_>, container: &Value) -> Option<&'static str> {
    let adds = || field::list(container, "securityContext.capabilities.add").map(|(_, name)| name);
    if field::truth(container, "securityContext.privileged") == Some(true) {
        return Some("it is privileged");
    }
    // Spelled so the API server refuses the two together, and only so.
    if adds().any(|name| name == "CAP_SYS_ADMIN") {
        return Some("it adds `CAP_SYS_ADMIN`");
    }
    // Root becomes nothing more.
    if mender.uid(container) == Some(0) || mender.is_unsafe() {
        return None;
    }
    match mender.image(container) {
        Some(image) if gives_capabilities(image) => {
            Some("a program of the image has capabilities that it may need: `--unsafe` says `false`")
        }
        Some(_) => None,
        None => Some(
            "whether a program of the image becomes root is not known: name it with `--image`, or `--unsafe`",
        ),
    }
}

/// Forbids that somebody becomes more than he is.
pub(super) fn no_escalation(mender: &mut Mender<'_>, finding: &ValueFinding) {
    let name = mender.name(finding);
    let container = mender.container(finding);
    let said = field::truth(container, "securityContext.allowPrivilegeEscalation");
    if said == Some(true) && !mender.is_unsafe() {
        let message = format!("{name}it says `true` on purpose: `--unsafe` says `false`");
        return mender.leaves("PR002", message);
    }
    if let Some(why) = needs_escalation(mender, container) {
        return mender.leaves("PR002", format!("{name}{why}"));
    }
    let Some(container) = mender.container_mut(finding) else { return };
    sub(container, "securityContext").insert("allowPrivilegeEscalation".to_owned(), json!(false));
    mender.did("PR002", format!("{name}`allowPrivilegeEscalation: false`"));
}

/// Why a container may need the capabilities that it has: root uses them, for changing owners and users, and so do programs
/// that have some of their own.
fn needs_capabilities(mender: &Mender<'_>, container: &Value) -> Option<&'static str> {
    if mender.uid(container).is_none_or(|uid| uid <= 0) {
        return Some("it may be root, which uses capabilities: settle who it runs as, or `--unsafe`");
    }
    match mender.image(container) {
        Some(image) if gives_capabilities(image) => {
            Some("a program of the image has capabilities and would not start: `--unsafe`")
        }
        Some(_) => None,
        None => Some(
            "whether a program of the image has capabilities is not known: name it with `--image`, or `--unsafe`",
        ),
    }
}

/// Drops all capabilities.
pub(super) fn drop_all(mender: &mut Mender<'_>, finding: &ValueFinding) {
    let name = mender.name(finding);
    let why = needs_capabilities(mender, mender.container(finding));
    if let Some(why) = why.filter(|_| !mender.is_unsafe()) {
        return mender.leaves("PR003", format!("{name}{why}"));
    }
    let Some(container) = mender.container_mut(finding) else { return };
    let capabilities = sub(sub(container, "securityContext"), "capabilities");
    capabilities.insert("drop".to_owned(), json!(["ALL"]));
    mender.did("PR003", format!("{name}`capabilities.drop: [ALL]`"));
}

/// Takes out `NET_BIND_SERVICE` where no program of the image can take it up.
pub(super) fn in_vain(mender: &mut Mender<'_>, finding: &ValueFinding) {
    let name = mender.name(finding);
    let image = mender.image(mender.container(finding));
    if image.is_none_or(gives_capabilities) && !mender.is_unsafe() {
        let message = format!(
            "{name}a program of the image may have capabilities, and not start without `NET_BIND_SERVICE`: `--unsafe` takes it out"
        );
        return mender.leaves("PR005", message);
    }
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
    if field::truth(mender.spec(), "hostNetwork") == Some(true) {
        return mender.leaves("PR006", "the sysctl that opens low ports is not for the node's network");
    }
    // Where the pod does not declare it the image does.
    let image = mender.image(mender.container(finding));
    let of_image = || image?.manifest.ports.iter().map(|port| i64::from(port.port)).min();
    let declared = mender.value.pointer(&finding.pointer).and_then(Value::as_i64);
    let Some(port) = declared.or_else(of_image) else { return };
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

/// Filters system calls, where nobody says that they are not to be.
pub(super) fn seccomp(mender: &mut Mender<'_>, finding: &ValueFinding) {
    let path = "securityContext.seccompProfile";
    let profile = json!({"type": "RuntimeDefault"});
    let is_said = [mender.container(finding), mender.spec()].map(|of| field::value(of, path).is_some());
    if is_said.contains(&true) && !mender.is_unsafe() {
        let name = mender.name(finding);
        return mender.leaves(
            "PR007",
            format!("{name}the filter is switched off on purpose: `--unsafe` switches it on"),
        );
    }
    // A container that says otherwise says it for itself.
    let [is_own, _] = is_said;
    let of = if is_own { mender.container_mut(finding) } else { mender.spec_mut() };
    if let Some(of) = of {
        sub(of, "securityContext").insert("seccompProfile".to_owned(), profile);
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
    if field::truth(mender.spec(), "automountServiceAccountToken") == Some(true) && !mender.is_unsafe() {
        return mender.leaves("SC006", "the pod asks for the token: `--unsafe` takes it");
    }
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

/// Lets the end of the log be the pod's last word.
pub(super) fn last_words(mender: &mut Mender<'_>, finding: &ValueFinding) {
    let name = mender.name(finding);
    let Some(container) = mender.container_mut(finding) else { return };
    container.insert("terminationMessagePolicy".to_owned(), json!("FallbackToLogsOnError"));
    mender.did("RS002", format!("{name}`terminationMessagePolicy: FallbackToLogsOnError`"));
}
