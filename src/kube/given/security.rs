//! Security contexts: the pod's, and a container's over it.
//!
//! Does not know what a runtime makes of them.

use super::fields::Fields;
use super::{GivenError, GroupChange, ImageGroups, Seccomp, Security};

/// What the pod says for all containers.
pub(super) fn of_pod(mut fields: Fields) -> Result<Security, GivenError> {
    let mut security = Security { escalation: true, ..Security::default() };
    security.groups = fields.numbers("supplementalGroups")?;
    security.image_groups = match fields.text("supplementalGroupsPolicy")?.as_deref() {
        None | Some("Merge") => ImageGroups::Merged,
        Some("Strict") => ImageGroups::Left,
        Some(other) => return Err(fields.value("supplementalGroupsPolicy", other, "is no such policy")),
    };
    security.fs_group = fields.number("fsGroup")?;
    for (at, value) in fields.list("sysctls")? {
        let mut sysctl = Fields::new(at, value)?;
        security.sysctls.insert(sysctl.needed("name")?, sysctl.needed("value")?);
        sysctl.done()?;
    }
    security.fs_group_change = match fields.text("fsGroupChangePolicy")?.as_deref() {
        None | Some("Always") => GroupChange::Always,
        Some("OnRootMismatch") => GroupChange::OnRootMismatch,
        Some(other) => return Err(fields.value("fsGroupChangePolicy", other, "is no such policy")),
    };
    // What only other systems know.
    fields.pass(&["windowsOptions"]);
    of_both(&mut fields, &mut security)?;
    fields.done()?;
    Ok(security)
}

/// What a container says over `pod`'s.
pub(super) fn of_container(mut fields: Fields, pod: &Security) -> Result<Security, GivenError> {
    let mut security = pod.clone();
    let mut capabilities = fields.fields("capabilities")?;
    security.add = capabilities.texts("add")?;
    security.drop = capabilities.texts("drop")?;
    capabilities.done()?;
    security.privileged = fields.truth("privileged")?;
    security.escalation = fields.told("allowPrivilegeEscalation")?.unwrap_or(true);
    security.read_only = fields.truth("readOnlyRootFilesystem")?;
    if let Some(other) = fields.text("procMount")?.filter(|mount| mount != "Default") {
        return Err(fields.value("procMount", other, "is not possible in kiln's sandbox"));
    }
    fields.pass(&["windowsOptions"]);
    of_both(&mut fields, &mut security)?;
    fields.done()?;
    Ok(security)
}

/// What either may say.
fn of_both(fields: &mut Fields, security: &mut Security) -> Result<(), GivenError> {
    security.user = fields.number("runAsUser")?.or(security.user);
    security.group = fields.number("runAsGroup")?.or(security.group);
    security.non_root = fields.told("runAsNonRoot")?.unwrap_or(security.non_root);
    if fields.has("seccompProfile") {
        let mut profile = fields.fields("seccompProfile")?;
        security.seccomp = match profile.needed("type")?.as_str() {
            "RuntimeDefault" => Seccomp::RuntimeDefault,
            "Unconfined" => Seccomp::Unconfined,
            other => return Err(profile.value("type", other, "is a profile that the pod does not hold")),
        };
        profile.done()?;
    }
    // A security module's rules come on top, and kiln applies none: less is refused here than in the cluster, not more.
    fields.pass(&["appArmorProfile", "seLinuxOptions"]);
    Ok(())
}
