//! What only a script of the source makes, at a first start or from what a pod is given, and whether a container of the
//! source can make it before the app starts.
//!
//! Which command of the source does that is tried elsewhere; the profile tells what was seen.

use std::collections::BTreeSet;

use crate::path::ImagePath;
use crate::plan::known::Known;
use crate::plan::preparing::lasting;
use crate::plan::writable::is_system;
use crate::profile::Profile;

/// The command that was seen to make those of `wants` that last, and to end.
pub(super) fn command(profile: &Profile, wants: &[ImagePath]) -> Option<Vec<String>> {
    let preparing = profile.preparing.as_ref()?;
    let made: BTreeSet<ImagePath> =
        preparing.made.iter().filter_map(|path| ImagePath::unescape(path)).collect();
    let lasting = lasting(wants, profile);
    let is_made = !lasting.is_empty() && lasting.iter().all(|path| made.contains(path));
    (is_made && !preparing.argv.is_empty()).then(|| preparing.argv.clone())
}

/// Directories that must be in volumes for two containers to share `wants`; `None` where they cannot share all.
///
/// A volume hides what the image has there: but where one is in any case only a directory that it does not have, or that is
/// empty, becomes one. What a run was given is not the pod's to give on.
pub(super) fn volumes(
    known: &Known<'_>,
    profile: &Profile,
    wants: &[ImagePath],
    written: &BTreeSet<ImagePath>,
) -> Option<BTreeSet<ImagePath>> {
    if !profile.start.env.is_empty() {
        return None;
    }
    let volumes = known.config.volumes.iter();
    let declared: Vec<ImagePath> =
        volumes.filter_map(|path| ImagePath::parse(path.as_bytes()).ok()).collect();
    let mut volumes = BTreeSet::new();
    for path in wants {
        // What the image has there is there whatever a command does.
        if known.rootfs.node(path).is_some() {
            return None;
        }
        let volume = declared.iter().find(|volume| path.is_within(volume)).cloned();
        // Where the app writes is a volume in any case.
        let own = || path.parent().filter(|_| written.contains(path));
        volumes.insert(volume.or_else(|| volume_for(known, path)).or_else(own)?);
    }
    let above = volumes.clone();
    volumes.retain(|volume| !volume.ancestors().any(|directory| above.contains(&directory)));
    Some(volumes)
}

/// The highest directory around `path` that a volume can be mounted on and hides nothing.
fn volume_for(known: &Known<'_>, path: &ImagePath) -> Option<ImagePath> {
    let around: Vec<ImagePath> = path.ancestors().collect();
    let holds_nothing = |directory: &&ImagePath| {
        (known.rootfs.node(directory).is_none() || known.rootfs.is_directory(directory))
            && known.rootfs.below(directory).next().is_none()
    };
    // From the file upwards: as long as there is nothing of the image.
    let free = around.iter().skip_while(|directory| *directory == path).take_while(holds_nothing);
    free.filter(|directory| !is_system(directory)).last().cloned()
}
