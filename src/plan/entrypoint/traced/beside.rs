//! What a script leaves running or set beside its server, and what of that a server can do without.
//!
//! Looks at programs only.

use crate::catalog::{Catalog, Class, WrapperKind};
use crate::path::ImagePath;
use crate::plan::known::Known;
use crate::plan::traced::{Reached, Traced};
use crate::profile::Exec;

/// Programs that carry on what comes through a pipe.
const READERS: &[&[u8]] = &[b"logger", b"tee", b"cat"];

/// Wrappers whose settings a container does not have, or a runtime makes itself.
const HARMLESS: &[&[u8]] = &[b"nohup", b"setsid", b"stdbuf", b"nice", b"timeout"];

/// Programs that are no wrappers of kiln's catalog, and that leave a limit, a root or a namespace to what they become.
const INHERITED: &[&[u8]] = &[b"chroot", b"unshare", b"nsenter", b"prlimit", b"capsh"];

/// What a script leaves beside its server, none of which the server needs.
pub(super) struct Beside {
    /// Programs that are not started any more.
    pub(super) gone: Vec<ImagePath>,
    /// Why something that listened, and had ended when it was ready, may matter.
    pub(super) ended: Option<String>,
}

/// Readers of a pipe that only carry on what a server says, which a runtime does as well: they may go.
pub(super) fn beside(known: &Known<'_>, traced: Traced<'_>, reached: &Reached<'_>) -> Result<Beside, String> {
    let (mut gone, mut ended) = (Vec::new(), None);
    for other in traced.others(reached.server) {
        let program = ImagePath::unescape(other.program);
        let is_utility = program.as_ref().is_some_and(|path| known.class(path) == Some(Class::Utility));
        let is_reader = is_utility && program.as_ref().is_some_and(|path| READERS.contains(&path.name()));
        if is_reader && !other.listens {
            gone.extend(program);
        } else if other.listens && !other.lasted {
            ended.get_or_insert_with(|| {
                format!("the script starts `{}` before it, which listens", other.program)
            });
        } else if other.lasted {
            return Err(format!("the script starts `{}` beside it", other.program));
        } else if other.is_later
            && !is_utility
            && program.is_none_or(|path| known.class(&path) != Some(Class::Shell))
        {
            return Err(format!("the script starts `{}` after it", other.program));
        }
    }
    gone.sort();
    gone.dedup();
    Ok(Beside { gone, ended })
}

/// Refuses what its process was before, where that leaves something behind that a server inherits.
pub(super) fn on_the_way(reached: &Reached<'_>) -> Result<(), String> {
    let name =
        |exec: &Exec| ImagePath::unescape(&exec.path).map(|path| path.name().to_vec()).unwrap_or_default();
    let sets = |exec: &&Exec| {
        let name = name(exec);
        let wrapper = Catalog::builtin().wrapper(&name);
        let is_setting = wrapper.is_some_and(|wrapper| wrapper.kind == WrapperKind::Settings);
        (is_setting && !HARMLESS.contains(&name.as_slice())) || INHERITED.contains(&name.as_slice())
    };
    match reached.before.iter().find(sets) {
        Some(exec) => Err(format!("through `{}`, whose settings it keeps", exec.path)),
        None => Ok(()),
    }
}
