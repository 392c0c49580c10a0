//! Findings about what is more than its name says: look-alikes that go or stay, and many programs in one file.
//!
//! Looks at what was decided; changes nothing.

use std::collections::BTreeMap;

use super::some_of;
use crate::catalog::Catalog;
use crate::finding::{Code, Finding};
use crate::path::ImagePath;
use crate::plan::decide::Decision;
use crate::plan::known::Known;
use crate::plan::likeness::Likeness;
use crate::plan::{Reason, Residual};

/// Look-alikes that go, by what they are.
pub(super) fn gone(decision: &Decision<'_>) -> Vec<Finding> {
    let mut by_likeness: BTreeMap<&Likeness, Vec<String>> = BTreeMap::new();
    for (path, reason) in &decision.fate.gone {
        if let Reason::Catalogued { alike: Some(alike), .. } = reason
            && !is_applet(decision.known, path)
            && !is_packaged_twice(decision.known, path, alike)
        {
            by_likeness.entry(&**alike).or_default().push(path.to_string());
        }
    }
    let finding = |(alike, paths): (&Likeness, Vec<String>)| {
        if let [path] = paths.as_slice() {
            return Finding::new(Code::LookAlike, path, format!("is {alike}, and went as that"));
        }
        let text = format!("each is {alike}, and went as that: {}", some_of(&paths));
        Finding::new(Code::LookAlike, format!("{} files", paths.len()), text)
    };
    by_likeness.into_iter().map(finding).collect()
}

/// Whether `path` is one name of many programs in one file that also has its own name in the image: no disguise.
fn is_applet(known: &Known<'_>, path: &ImagePath) -> bool {
    let tool = known
        .rootfs
        .entry(path)
        .and_then(|entry| entry.file())
        .and_then(|file| Catalog::builtin().tool_of(file));
    let own_name = |class| known.names_of(path).iter().any(|name| known.named(name) == Some(class));
    tool.is_some_and(|tool| tool.multi_call && own_name(tool.class))
}

/// Whether one package brings `path` and what it is the same as: perl and perl5.36.0 hide nothing.
fn is_packaged_twice(known: &Known<'_>, path: &ImagePath, alike: &Likeness) -> bool {
    match alike {
        Likeness::Link(original) | Likeness::Copy(original) => {
            let owners = known.owners(original);
            known.owners(path).iter().any(|owner| owners.contains(owner))
        }
        Likeness::Tool(_) => false,
    }
}

/// A catalogued program that stays.
pub(super) fn stays(known: &Known<'_>, residual: &Residual) -> Finding {
    let path = &residual.path;
    if let Some(tool) = &residual.multi_call {
        let applets = match residual.applets.as_slice() {
            [] => String::new(),
            names => format!(", {} of them by the names it had here: {}", names.len(), some_of(names)),
        };
        let text = format!(
            "{}; {tool} is many programs in one file and runs the one that its first words name{applets}; that their links went does not take them away",
            residual.why
        );
        return Finding::new(Code::MultiCallStays, path, text);
    }
    let code = if known.disguise(path).is_some() { Code::LookAlikeStays } else { Code::ToolStays };
    Finding::new(code, path, residual.why.clone())
}
