//! Who runs in a container, and what of its image he may start.
//!
//! Knows no rule: several ask.

use serde_json::Value;

use super::super::image::Image;
use super::super::options::Platform;
use super::super::subject::{Container, Subject, list, value};
use crate::accounts::{Accounts, Identity};
use crate::path::ImagePath;
use crate::rootfs::{Content, Entry};

/// Who runs in a container.
pub(super) struct Who {
    /// Number of the user.
    pub(super) uid: i64,
    /// Numbers of the groups.
    groups: Vec<i64>,
}

impl Who {
    /// As the pod has it, else as the image's config and accounts do; `None` where they name nobody, and on OpenShift, which
    /// takes somebody of its own.
    pub(super) fn of(subject: &Subject<'_>, container: &Container<'_>, image: &Image) -> Option<Self> {
        if subject.options.platform == Platform::Openshift {
            return None;
        }
        let own = identity(subject, container, image);
        let of_pod = |field: &str| subject.effective(container, field).and_then(Value::as_i64);
        let uid = of_pod("runAsUser").or_else(|| Some(own.as_ref()?.uid.into()))?;
        let gid = of_pod("runAsGroup").unwrap_or_else(|| own.as_ref().map_or(0, |own| own.gid.into()));
        let context = |field: &str| value(subject.spec, &format!("securityContext.{field}"));
        let said =
            list(subject.spec, "securityContext.supplementalGroups").filter_map(|(_, group)| group.as_i64());
        let mut groups: Vec<i64> =
            said.chain([gid]).chain(context("fsGroup").and_then(Value::as_i64)).collect();
        if context("supplementalGroupsPolicy").and_then(Value::as_str) != Some("Strict") {
            groups.extend(own.into_iter().flat_map(|own| own.groups).map(i64::from));
        }
        Some(Self { uid, groups })
    }

    /// What keeps him from starting the program at `path`: a directory on the way, or the program itself.
    pub(super) fn keeps_out(&self, image: &Image, path: &ImagePath) -> Option<ImagePath> {
        /// To start a program, or to pass a directory.
        const EXECUTE: u16 = 0o1;
        /// And to read it, as whoever interprets a script must.
        const READ: u16 = 0o5;
        let may = |path: &ImagePath, wanted: u16| {
            let Some(entry) = image.rootfs.entry(path) else { return true };
            let bits = if self.uid == 0 {
                // Root passes and reads all, and starts what anybody may.
                entry.mode | entry.mode >> 3 | entry.mode >> 6 | 0o4
            } else if i64::from(entry.uid) == self.uid {
                entry.mode >> 6
            } else if self.groups.contains(&i64::from(entry.gid)) {
                entry.mode >> 3
            } else {
                entry.mode
            };
            bits & wanted == wanted
        };
        let is_script = image
            .rootfs
            .entry(path)
            .and_then(Entry::file)
            .is_some_and(|file| matches!(file.content, Content::Script(_)));
        let way = path.ancestors().filter(|directory| !directory.is_root() && self.uid != 0);
        let closed = way.filter(|directory| !may(directory, EXECUTE)).last();
        closed.or_else(|| (!may(path, if is_script { READ } else { EXECUTE })).then(|| path.clone()))
    }
}

/// Whom the image's accounts know the container's user as.
pub(super) fn identity(subject: &Subject<'_>, container: &Container<'_>, image: &Image) -> Option<Identity> {
    let user = match subject.effective(container, "runAsUser").and_then(Value::as_i64) {
        Some(uid) => uid.to_string(),
        None => image.config.user.clone(),
    };
    Accounts::read(&image.rootfs).resolve(&user).ok()
}

/// Whether a container is not root's: by its number, by `runAsNonRoot`, by its platform or by its image; `None` where none
/// of them says.
pub(super) fn is_unprivileged(subject: &Subject<'_>, container: &Container<'_>) -> Option<bool> {
    if let Some(uid) = subject.effective(container, "runAsUser").and_then(Value::as_i64) {
        return Some(uid > 0);
    }
    let refuses = subject.effective(container, "runAsNonRoot").and_then(Value::as_bool) == Some(true);
    if refuses || subject.options.platform == Platform::Openshift {
        return Some(true);
    }
    Some(Who::of(subject, container, container.known?)?.uid > 0)
}
