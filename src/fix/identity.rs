//! Who runs: user, group and groups.
//!
//! Says what is so already, for the kubelet to hold to; nobody becomes another.

use serde_json::{Value, json};

use super::mend::{Mender, list, sub, title};
use crate::accounts::Accounts;
use crate::audit::{Image, Options, Origin, Platform, ValueFinding};
use crate::kube::field;

/// The user and group that an image runs as when nobody says otherwise; `None` where kiln would choose others.
fn own_user(image: &Image) -> Option<(u32, u32)> {
    let process = &image.manifest.process;
    if image.origin == Origin::Recorded {
        return Some((process.uid, process.gid));
    }
    let named = Some(&image.config.user).filter(|user| !user.is_empty())?;
    let own = Accounts::read(&image.rootfs).resolve(named).ok()?;
    (own.uid == process.uid).then_some((own.uid, own.gid))
}

fn is_openshift(options: &Options) -> bool {
    options.platform == Platform::Openshift
}

/// Lets the container run as its image's user, if that is not root.
pub(super) fn user(mender: &mut Mender<'_>, finding: &ValueFinding) {
    let container = mender.container(finding);
    if container.is_null() {
        return left_to_a_person(mender, finding);
    }
    let name = title(container);
    let now = mender.uid(container);
    if finding.rule == "ID001" && now.is_some_and(|uid| uid > 0) {
        return set(mender, finding, "runAsNonRoot", json!(true));
    }
    let Some(image) = mender.image(container) else {
        let message =
            format!("{name}whether the image runs without root is not known: name it with `--image`");
        return mender.leaves("ID001", message);
    };
    if now == Some(0) && !mender.is_unsafe() {
        let message = format!("{name}it runs as root on purpose: `--unsafe` takes the image's user");
        return mender.leaves("ID002", message);
    }
    let process = &image.manifest.process;
    let own = own_user(image);
    let chosen = own.or_else(|| mender.is_unsafe().then_some((process.uid, process.gid)));
    let Some((uid, gid)) = chosen.filter(|(uid, _)| *uid != 0) else {
        let message = format!("{name}the image runs as root: harden it (`kiln harden`)");
        return mender.leaves("ID002", message);
    };
    // The platform gives the numbers.
    if is_openshift(mender.options) {
        if finding.rule == "ID001" {
            set(mender, finding, "runAsNonRoot", json!(true));
        }
        return;
    }
    let has_group = mender.effective(container, "runAsGroup").is_some();
    let Some(container) = mender.container_mut(finding) else { return };
    let context = sub(container, "securityContext");
    context.insert("runAsUser".to_owned(), json!(uid));
    if !has_group {
        context.insert("runAsGroup".to_owned(), json!(gid));
    }
    context.insert("runAsNonRoot".to_owned(), json!(true));
    let whose = if own.is_some() { "the image's own" } else { "which kiln would choose for the image" };
    mender.did("ID002", format!("{name}runs as {uid}:{gid}, {whose}"));
}

/// Sets a field of the container's `securityContext`: the pod's would be the other containers' too.
fn set(mender: &mut Mender<'_>, finding: &ValueFinding, field: &str, value: Value) {
    let message = format!("{}`{field}: {value}`", mender.name(finding));
    let Some(container) = mender.container_mut(finding) else { return };
    sub(container, "securityContext").insert(field.to_owned(), value);
    mender.did(finding.rule, message);
}

/// Tells what no program can decide.
pub(super) fn left_to_a_person(mender: &mut Mender<'_>, finding: &ValueFinding) {
    let name = mender.name(finding);
    mender.leaves(finding.rule, format!("{name}{}: a person has to decide", finding.message));
}

/// Takes the image's group beside its user.
pub(super) fn group(mender: &mut Mender<'_>, finding: &ValueFinding) {
    let container = mender.container(finding);
    let own = mender.image(container).and_then(own_user).filter(|(_, gid)| *gid != 0);
    let uid = mender.uid(container);
    let is_unset = mender.effective(container, "runAsGroup").is_none();
    match own {
        Some((own, gid)) if is_unset && uid.is_none_or(|uid| uid == i64::from(own)) => {
            set(mender, finding, "runAsGroup", json!(gid));
        }
        _ => {
            let message = format!("{}which group its files are for is not known", title(container));
            mender.leaves("ID004", message);
        }
    }
}

/// Gives a claim to the app's group.
pub(super) fn fs_group(mender: &mut Mender<'_>, finding: &ValueFinding) {
    let of_pod = |field: &str| field::value(mender.spec(), &format!("securityContext.{field}")).cloned();
    if finding.field.ends_with("fsGroupChangePolicy") {
        if of_pod("fsGroupChangePolicy").is_some() && !mender.is_unsafe() {
            return left_to_a_person(mender, finding);
        }
        let Some(spec) = mender.spec_mut() else { return };
        sub(spec, "securityContext").insert("fsGroupChangePolicy".to_owned(), json!("OnRootMismatch"));
        return mender.did("ID005", "`fsGroupChangePolicy: OnRootMismatch`");
    }
    if of_pod("fsGroup").is_some() {
        return mender.leaves("ID005", "no volume needs `fsGroup`, but who runs may rely on the group");
    }
    let own = of_pod("runAsGroup").or_else(|| {
        let mut containers = field::list(mender.spec(), "containers");
        containers.find_map(|(_, one)| field::value(one, "securityContext.runAsGroup").cloned())
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

/// Takes no groups from the image but those that the containers have by it.
pub(super) fn strict_groups(mender: &mut Mender<'_>, finding: &ValueFinding) {
    if field::value(mender.spec(), "securityContext.supplementalGroupsPolicy").is_some()
        && !mender.is_unsafe()
    {
        return left_to_a_person(mender, finding);
    }
    let own = |container: &Value| own_groups(mender.image(container)?, mender.uid(container));
    let all: Vec<Option<Vec<u32>>> = mender.containers().map(|(_, container)| own(container)).collect();
    if all.contains(&None) && !mender.is_unsafe() {
        let message = "which groups the images give their users is not known: name them with `--image`";
        return mender.leaves("ID006", message);
    }
    let mut groups: Vec<u32> = all.into_iter().flatten().flatten().collect();
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

/// The groups that an image gives the user `uid`, or its own.
fn own_groups(image: &Image, uid: Option<i64>) -> Option<Vec<u32>> {
    let process = &image.manifest.process;
    if image.origin == Origin::Recorded && uid.is_none_or(|uid| uid == i64::from(process.uid)) {
        return Some(process.groups.clone());
    }
    let user = uid.map_or_else(|| image.config.user.clone(), |uid| uid.to_string());
    Some(Accounts::read(&image.rootfs).resolve(&user).ok()?.groups)
}

/// Gives the pod users of its own, where that is allowed.
pub(super) fn user_namespace(mender: &mut Mender<'_>, _: &ValueFinding) {
    if !mender.is_unsafe() {
        return;
    }
    let Some(spec) = mender.spec_mut() else { return };
    spec.insert("hostUsers".to_owned(), json!(false));
    mender.did("ID007", "`hostUsers: false`");
}
