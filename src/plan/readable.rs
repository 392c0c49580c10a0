//! What is opened to the user that he could not read: what the app needs, for it ran as somebody who could.
//!
//! Chooses paths; which bits and owners they get is `access`'s.

use std::collections::BTreeSet;

use super::access::Access;
use super::decide::is_account_secret;
use super::entrypoint::Start;
use super::fate::Fate;
use super::keep::{self, Kept};
use super::known::Known;
use super::{User, UserOrigin};
use crate::catalog::Catalog;
use crate::path::ImagePath;

/// What may have to be read.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    /// The start.
    pub start: &'a Start,
    /// What stays and why.
    pub kept: &'a Kept,
    /// What goes.
    pub fate: &'a Fate,
    /// Directories that stay whatever is in them.
    pub standing: &'a BTreeSet<ImagePath>,
    /// Of these the mount points and the working directory.
    pub mounted: &'a BTreeSet<ImagePath>,
    /// What is copied to volumes.
    pub copied: &'a BTreeSet<&'a ImagePath>,
}

/// Files that the user must be able to read, and directories that he must be able to pass. Of what is copied nothing is
/// missing, what only root could read included; but a third user's is not opened to a server that was never root.
pub fn readable(known: &Known<'_>, wanted: &Wanted<'_>, access: &Access<'_>) -> BTreeSet<ImagePath> {
    if is_same_user(known, access.user) {
        return BTreeSet::new();
    }
    let Wanted { start, kept, fate, mounted, copied, .. } = *wanted;
    let mut readable = must_read(known, wanted);
    readable.extend(copied.iter().copied().chain(fate.moved.keys()).filter(|path| fate.stays(path)).cloned());
    if becomes(known, start, access.user) {
        let is_needed = |why: &keep::Why| why.is_strong() || matches!(why, keep::Why::Read(_));
        let needed = kept.files.iter().filter(|(_, why)| is_needed(why)).map(|(path, _)| path);
        let needed: BTreeSet<ImagePath> =
            needed.chain(mounted).flat_map(|path| path.ancestors().chain([path.clone()])).collect();
        readable.retain(|path| needed.contains(path) || !is_of_another(known, access, path));
    }
    readable
}

/// Whether the image ran as `user` before: then it read all it needs, and nothing is opened to it.
fn is_same_user(known: &Known<'_>, user: &User) -> bool {
    user.uid != 0 && known.accounts.resolve(&known.config.user).is_ok_and(|before| before.uid == user.uid)
}

/// Whether the image's own start ends up as `user`: what serves was never root, and read no more than he can.
fn becomes(known: &Known<'_>, start: &Start, user: &User) -> bool {
    // Scripts that switch to several users do not say which of them serves.
    let by_script = start.script_users.keys().filter(|_| start.script_users.len() == 1);
    let named = start.switched_user.iter().chain(by_script);
    let mut uids = named.filter_map(|name| known.accounts.resolve(name).ok()).map(|found| found.uid);
    user.origin == UserOrigin::Trace || uids.any(|uid| uid == user.uid)
}

/// Whether `path` is a third user's, who keeps it from `access`' one: neither his, nor root's, who prepares it at the start.
fn is_of_another(known: &Known<'_>, access: &Access<'_>, path: &ImagePath) -> bool {
    let Some(entry) = known.rootfs.entry(path) else { return false };
    let wanted = if entry.is_directory() { 0o1 } else { 0o4 };
    let was_set = access.set.contains_key(path);
    !was_set && entry.uid != 0 && entry.uid != access.user.uid && !access.could(entry, wanted)
}

/// Files of the start, of what it loads and of the application, configuration that comes with the program, the
/// directories `standing` (the working directory and mount points), and every directory above.
fn must_read(known: &Known<'_>, wanted: &Wanted<'_>) -> BTreeSet<ImagePath> {
    let Wanted { start, kept, fate, standing, .. } = *wanted;
    let secrets = Catalog::builtin().secrets();
    let mut out: BTreeSet<ImagePath> = standing
        .iter()
        .flat_map(|directory| directory.ancestors().chain([directory.clone()]))
        .filter(|directory| known.rootfs.is_directory(directory))
        .collect();
    let etc = ImagePath::literal("etc");
    let is_of_program = |id| start.program.iter().any(|program| known.is_built_with(program, id));
    for (path, why) in &kept.files {
        let wanted = match why {
            keep::Why::Application | keep::Why::Read(_) => true,
            keep::Why::Package(id) => path.is_within(&etc) && is_of_program(*id),
            why => why.is_strong(),
        };
        if !wanted || !fate.stays(path) || known.rule(secrets, path).is_some() || is_account_secret(path) {
            continue;
        }
        if known.rootfs.entry(path).is_some_and(|entry| entry.file().is_some()) {
            out.extend(path.ancestors());
            out.insert(path.clone());
            out.extend(known.names_of(path).iter().cloned());
        }
    }
    for baked in start.baked.iter().filter(|baked| baked.is_read) {
        out.extend(baked.path.ancestors());
        out.insert(baked.path.clone());
    }
    out
}
