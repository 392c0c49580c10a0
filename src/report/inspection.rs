//! What is in an image and what hardening would do with it, as one value.
//!
//! Derived from a plan that nobody carries out; decides nothing of its own.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::Context;
use super::document::{Entrypoint, Finding, Image, Port, Report, Sums, Totals, User, Writable};
use crate::catalog::Class;
use crate::json;
use crate::path::ImagePath;
use crate::plan::{Plan, Reason};
use crate::rootfs::{Entry, Kind, Rootfs};

/// What this document is.
const FORMAT: &str = "application/vnd.kiln.inspection.v1+json";

/// What the source's config says, as it says it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageFacts {
    /// `User`; empty is root.
    pub user: String,
    /// `WorkingDir`.
    pub workdir: String,
    /// `ExposedPorts`.
    pub exposed: Vec<String>,
    /// `Volumes`.
    pub volumes: Vec<String>,
}

/// What is in an image, and what hardening would do with it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Inspection {
    /// `application/vnd.kiln.inspection.v1+json`.
    pub media_type: &'static str,
    /// Version of kiln.
    pub kiln: String,
    /// The image.
    pub source: Image,
    /// `OS/ARCH[/VARIANT]`.
    pub platform: String,
    /// The level that `after` and `goes` speak of.
    pub level: crate::plan::Level,
    /// Options that change the outcome, as words of a shell.
    pub options: String,
    /// Names of the recipes that apply.
    pub recipes: Vec<String>,
    /// What the config says.
    pub config: ImageFacts,
    /// What starts, and what would start.
    pub entrypoint: Entrypoint,
    /// Who the hardened image would run as.
    pub user: User,
    /// Catalogued programs, by path.
    pub programs: Vec<Program>,
    /// Files with setuid, setgid or file capabilities, by path.
    pub privileged: Vec<String>,
    /// Directories and files that every user may write, by path.
    pub world_writable: Vec<String>,
    /// What the app would have to be able to write.
    pub writable: Vec<Writable>,
    /// What it listens on.
    pub ports: Vec<Port>,
    /// The image as it is.
    pub before: Totals,
    /// The image as it would be.
    pub after: Totals,
    /// Sums of what would go.
    pub goes: Sums,
    /// Packages that would stay, of all there are.
    pub packages: PackageCount,
    /// What a person should know.
    pub findings: Vec<Finding>,
}

/// A catalogued program of the image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Program {
    /// Where.
    pub path: String,
    /// As what the catalog names it.
    pub class: Class,
    /// Whether it would stay.
    pub stays: bool,
    /// Why it would stay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What would remove it, where kiln knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// How many packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PackageCount {
    /// In the image.
    pub all: u64,
    /// That would still own files.
    pub kept: u64,
}

impl Inspection {
    /// What `plan` says of the image whose merged tree is `rootfs`.
    pub fn of(plan: &Plan, rootfs: &Rootfs, config: &ImageFacts, context: &Context) -> Self {
        let Report {
            kiln,
            source,
            platform,
            level,
            options,
            recipes,
            entrypoint,
            user,
            writable,
            ports,
            before,
            after,
            totals,
            packages,
            findings,
            ..
        } = Report::of(plan, context);
        Self {
            media_type: FORMAT,
            kiln,
            source,
            platform,
            level,
            options,
            recipes,
            config: config.clone(),
            entrypoint,
            user,
            programs: programs(plan, rootfs),
            privileged: paths(rootfs, is_privileged),
            world_writable: paths(rootfs, is_world_writable),
            writable,
            ports,
            before,
            after,
            goes: totals,
            packages: PackageCount {
                all: packages.len() as u64,
                kept: packages.iter().filter(|package| package.kept).count() as u64,
            },
            findings,
        }
    }

    /// The document: two blanks of indentation, a newline at the end.
    pub fn render(&self) -> String {
        json::render(self)
    }
}

/// Catalogued programs of the merged tree: what lower layers only hide is not in the image that runs.
fn programs(plan: &Plan, rootfs: &Rootfs) -> Vec<Program> {
    let mut out = BTreeMap::new();
    for removed in &plan.removed {
        let Reason::Catalogued { class, .. } = removed.reason else { continue };
        let visible = rootfs.node(&removed.path).and_then(|node| node.name);
        if visible.is_some_and(|id| id.layer() == removed.layer) {
            let path = removed.path.to_string();
            out.insert(removed.path.clone(), Program { path, class, stays: false, why: None, remedy: None });
        }
    }
    for residual in &plan.residual {
        let program = Program {
            path: residual.path.to_string(),
            class: residual.class,
            stays: true,
            why: Some(residual.why.clone()),
            remedy: residual.remedy.clone(),
        };
        out.insert(residual.path.clone(), program);
    }
    out.into_values().collect()
}

fn paths(rootfs: &Rootfs, wanted: fn(&Entry) -> bool) -> Vec<String> {
    let has = |path: &ImagePath| rootfs.entry(path).is_some_and(wanted);
    rootfs.nodes().filter(|(path, _)| has(path)).map(|(path, _)| path.to_string()).collect()
}

fn is_privileged(entry: &Entry) -> bool {
    let capabilities = || {
        let names = || entry.xattrs.iter().flat_map(|list| list.iter());
        names().any(|(name, _)| name.ends_with(b"security.capability"))
    };
    matches!(entry.kind, Kind::File(_)) && (entry.mode & 0o6000 != 0 || capabilities())
}

fn is_world_writable(entry: &Entry) -> bool {
    entry.mode & 0o002 != 0 && matches!(entry.kind, Kind::File(_) | Kind::Directory)
}

/// Programs by class: how many go, how many stay.
pub(super) fn by_class(programs: &[Program]) -> BTreeMap<Class, (u64, u64)> {
    let mut out = BTreeMap::<Class, (u64, u64)>::new();
    for program in programs {
        let (goes, stays) = out.entry(program.class).or_default();
        *(if program.stays { stays } else { goes }) += 1;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    #[test]
    fn programs_are_those_of_the_merged_tree() {
        let rootfs = fixture::rootfs();
        let inspection =
            Inspection::of(&fixture::plan(), &rootfs, &ImageFacts::default(), &fixture::context());
        let listed: Vec<_> = inspection.programs.iter().map(|p| (p.path.as_str(), p.stays)).collect();
        assert_eq!(listed, [("/usr/bin/apt", false), ("/usr/bin/dash", false), ("/usr/bin/perl", true)]);
    }

    #[test]
    fn privileged_and_world_writable_names_are_listed() {
        let rootfs = fixture::rootfs();
        let inspection =
            Inspection::of(&fixture::plan(), &rootfs, &ImageFacts::default(), &fixture::context());
        assert_eq!(inspection.privileged, ["/usr/bin/su"]);
        assert_eq!(inspection.world_writable, ["/tmp"]);
    }
}
