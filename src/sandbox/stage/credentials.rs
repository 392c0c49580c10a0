//! Taking on the ids and capabilities of a user namespace's root.
//!
//! Does not know which ids those are outside.

use rustix::process::{Gid, Uid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, configure_capability_in_ambient_set, set_capabilities,
    set_keep_capabilities, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};

use super::{Failed, Step, step};
use crate::sandbox::capability::Capability;
use crate::sandbox::message::{Credentials, IdNumber};

/// Becomes root of the namespace, and sees to it that it stays so over the next start of a program.
pub(super) fn take_on(credentials: Credentials) -> Result<(), Failed> {
    let (uid, gid) = (Uid::from_raw(credentials.uid), Gid::from_raw(credentials.gid));
    if credentials.ids == IdNumber::Many {
        step(Step::Credentials, "groups", set_thread_groups(&[]))?;
    }
    step(Step::Credentials, "group", set_thread_res_gid(gid, gid, gid))?;
    // Becoming an ordinary user would drop them.
    let all = step(Step::Credentials, "capabilities", capabilities(None))?.permitted;
    step(Step::Credentials, "capabilities", set_keep_capabilities(true))?;
    step(Step::Credentials, "user", set_thread_res_uid(uid, uid, uid))?;
    let sets = CapabilitySets { effective: all, permitted: all, inheritable: all };
    step(Step::Credentials, "capabilities", set_capabilities(None, sets))?;
    for capability in Capability::all() {
        let capability = CapabilitySet::from_bits_retain(capability.bit());
        if all.contains(capability) {
            step(Step::Credentials, "capabilities", configure_capability_in_ambient_set(capability, true))?;
        }
    }
    Ok(())
}
