//! Catalogued programs that stay, each with its reason.
//!
//! Lists; does not judge whether the reason is good.

use super::entrypoint::Start;
use super::fate::Fate;
use super::keep::{Kept, Why};
use super::known::Known;
use super::{Residual, Role};
use crate::catalog::Class;
use crate::path::ImagePath;

/// Lists them, by path.
pub fn list(known: &Known<'_>, start: &Start, kept: &Kept, fate: &Fate) -> Vec<Residual> {
    known
        .rootfs
        .nodes()
        .map(|(path, _)| path)
        .filter(|path| fate.stays(path))
        .filter_map(|path| {
            let class = known.class(path)?;
            let (why, remedy) = reason(known, start, kept, path, class);
            Some(Residual { path: path.clone(), class, why, remedy })
        })
        .collect()
}

fn reason(
    known: &Known<'_>,
    start: &Start,
    kept: &Kept,
    path: &ImagePath,
    class: Class,
) -> (String, Option<String>) {
    let file = known.rootfs.resolve(path).map_or_else(|| path.clone(), |resolved| resolved.path);
    let step = start.entrypoint.chain.iter().find(|step| step.file == file);
    if class == Class::Shell
        && let Some(need) = &start.shell
    {
        return (format!("`{}` needs a shell", need.who), Some(need.remedy.clone()));
    }
    if let Some(step) = step {
        let why = match step.role {
            Role::Wrapper => "the entrypoint starts through it",
            Role::Script => "the entrypoint is this script",
            Role::Interpreter => "it runs the entrypoint's script",
            Role::Program => "it is the program that the image is for",
        };
        return (why.into(), None);
    }
    match kept.files.get(path) {
        Some(Why::Mentioned(by)) => (
            format!("the script `{by}` of the entrypoint names it"),
            start.shell.as_ref().map(|need| need.remedy.clone()),
        ),
        Some(Why::Needed(by)) => (format!("`{by}` needs it"), None),
        Some(Why::Requested(glob)) => (format!("`--keep {glob}`"), Some("leave the option out".into())),
        Some(Why::Recipe(why) | Why::Loaded(why)) => (why.clone(), None),
        Some(Why::Application) => (
            "no package owns it: it is the application's own file".into(),
            Some(format!("`--strip {path}` if the application does not use it")),
        ),
        Some(Why::Level) => {
            ("level `strip` keeps what may run the application".into(), Some("use level `distroless`".into()))
        }
        Some(Why::Chain | Why::Package(_) | Why::Always(_)) | None => ("part of what stays".into(), None),
    }
}
