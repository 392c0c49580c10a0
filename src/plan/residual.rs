//! Catalogued programs that stay, each with its reason.
//!
//! Lists; does not judge whether the reason is good.

use std::collections::BTreeSet;

use super::entrypoint::Start;
use super::fate::Fate;
use super::keep::{Kept, Why};
use super::known::Known;
use super::{Residual, Role};
use crate::catalog::{Catalog, Class};
use crate::path::{Escaped, ImagePath};
use crate::rootfs::{Entry, EntryId};

/// Lists them, by path.
pub fn list(known: &Known<'_>, start: &Start, kept: &Kept, fate: &Fate) -> Vec<Residual> {
    let mut told: BTreeSet<EntryId> = BTreeSet::new();
    known
        .rootfs
        .nodes()
        .filter(|(path, _)| fate.stays(path))
        .filter_map(|(path, node)| {
            let class = known.class(path)?;
            let (why, remedy) = reason(known, start, kept, path, class);
            let why = match known.disguise(path) {
                Some((_, likeness)) => format!("it is {likeness}, and {why}"),
                None => why,
            };
            let mut residual =
                Residual { path: path.clone(), class, why, remedy, multi_call: None, applets: Vec::new() };
            if let Some(inode) = node.inode
                && let Some(tool) = known
                    .rootfs
                    .member(inode)
                    .and_then(Entry::file)
                    .and_then(|file| Catalog::builtin().tool_of(file))
                && tool.multi_call
                && told.insert(inode)
            {
                residual.multi_call = Some(tool.name.to_string());
                residual.applets = applets(known, inode);
            }
            Some(residual)
        })
        .collect()
}

/// File names that lead to `inode`, be they links or names of its own.
fn applets(known: &Known<'_>, inode: EntryId) -> Vec<String> {
    let leads = |path: &ImagePath| {
        let end = known.rootfs.resolve(path).and_then(|resolved| known.rootfs.node(&resolved.path)?.inode);
        end == Some(inode)
    };
    let names: BTreeSet<String> = known
        .rootfs
        .nodes()
        .filter(|(path, node)| node.inode == Some(inode) || (known.is_link(path) && leads(path)))
        .map(|(path, _)| Escaped::new(path.name()).to_string())
        .collect();
    names.into_iter().collect()
}

/// Whether `path`, which leads to `file` of the chain, is none of the names by which the chain starts it.
pub fn is_other_name(start: &Start, path: &ImagePath, file: &ImagePath) -> bool {
    let mut steps = start.entrypoint.chain.iter().filter(|step| step.file == *file).peekable();
    path != file && steps.peek().is_some() && steps.all(|step| step.path != *path)
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
    let own = kept.files.get(path);
    if class == Class::Shell
        && matches!(own, Some(Why::Chain | Why::Mentioned(_) | Why::Executed(_) | Why::Needed(_)))
        && let Some(need) = &start.shell
    {
        if let Some(Why::Executed(why)) = own.filter(|_| start.program_is(&need.who)) {
            return (format!("{why}; {}", need.why), Some(need.remedy.clone()));
        }
        return (format!("`{}` needs a shell", need.who), Some(need.remedy.clone()));
    }
    if let Some(step) = step
        && !matches!(own, Some(Why::Requested(_) | Why::Level))
    {
        if is_other_name(start, path, &file) {
            return (format!("it is another name of `{file}`, which the entrypoint starts"), None);
        }
        let why = match step.role {
            Role::Wrapper => "the entrypoint starts through it",
            Role::Script => "the entrypoint is this script",
            Role::Interpreter => "it runs the entrypoint's script",
            Role::Program => "it is the program that the image is for",
        };
        return (why.into(), None);
    }
    match own {
        Some(Why::Mentioned(by)) => (
            format!("the script `{by}` of the entrypoint names it"),
            start.shell.as_ref().map(|need| need.remedy.clone()),
        ),
        Some(Why::Named(word) | Why::InNamed(word)) => (
            format!("the command line names it: `{word}`"),
            Some(format!("`--strip {path}` if the program does not use it")),
        ),
        Some(Why::Needed(by)) => (format!("`{by}` needs it"), None),
        Some(Why::Requested(glob)) => (format!("`--keep {glob}`"), Some("leave the option out".into())),
        Some(Why::Executed(why) | Why::Recipe(why) | Why::Loaded(why)) => (why.clone(), None),
        Some(Why::Application) => (
            "no package owns it: it is the application's own file".into(),
            Some(format!("`--strip {path}` if the application does not use it")),
        ),
        Some(Why::Level) => {
            ("level `strip` keeps what may run the application".into(), Some("use level `distroless`".into()))
        }
        Some(Why::Read(by)) => (format!("`{by}` read it while it was watched"), None),
        Some(Why::Chain | Why::Package(_) | Why::Always(_) | Why::Baked) | None => {
            ("part of what stays".into(), None)
        }
    }
}
