//! Lists of globs with a reason each.
//!
//! Knows no image; says of a path which rule names it.

use serde::Deserialize;

use super::load::RawDlopen;
use crate::path::glob::PathGlobs;

/// A glob of absolute paths and the reason it stands in its list.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Glob of absolute paths, as [`PathGlobs`] reads it.
    pub glob: String,
    /// Why, for the report.
    pub why: String,
    /// Only symbolic links are meant.
    #[serde(default)]
    pub links: bool,
}

/// A list of rules, compiled.
#[derive(Debug, Clone)]
pub struct Rules {
    rules: Vec<Rule>,
    globs: PathGlobs,
}

impl Rules {
    /// Compiles rules of kiln's own data. Panics where a glob is none: a bug, not input.
    pub(super) fn literal(rules: Vec<Rule>) -> Self {
        let globs = PathGlobs::new(rules.iter().map(|rule| &rule.glob))
            .unwrap_or_else(|error| unreachable!("catalog: {error}"));
        Self { rules, globs }
    }

    /// The rules, in order.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The first rule that names `absolute` (with its leading `/`). Rules for links only are passed over.
    pub fn find(&self, absolute: &[u8]) -> Option<&Rule> {
        self.all(absolute).find(|rule| !rule.links)
    }

    /// The first rule that names the symbolic link `absolute` (with its leading `/`).
    pub fn find_link(&self, absolute: &[u8]) -> Option<&Rule> {
        self.all(absolute).next()
    }

    fn all(&self, absolute: &[u8]) -> impl Iterator<Item = &Rule> {
        let mut found = self.globs.matches(absolute);
        found.sort_unstable();
        found.into_iter().filter_map(|at| self.rules.get(at))
    }
}

/// Libraries and data that a kept file finds at run time only.
#[derive(Debug, Clone)]
pub struct DlopenRule {
    /// Sonames, or absolute paths of kept files, that call for it; globs.
    pub needed: Vec<String>,
    /// What must then stay; globs of absolute paths.
    pub keep: Vec<String>,
    /// What of that stays where only what was seen does; all of it where this is `None`.
    pub least: Option<Vec<String>>,
    /// Why, for the report.
    pub why: String,
    pub(super) needed_globs: PathGlobs,
    pub(super) keep_globs: PathGlobs,
    least_globs: Option<PathGlobs>,
}

impl DlopenRule {
    /// Compiles a rule of kiln's own data. Panics where a glob is none: a bug, not input.
    pub(super) fn literal(raw: RawDlopen) -> Self {
        let RawDlopen { needed, keep, least, why } = raw;
        let compile = |globs: Vec<String>| {
            PathGlobs::new(globs).unwrap_or_else(|error| unreachable!("catalog: {error}"))
        };
        let needed_globs = compile(needed.iter().map(|name| rooted(name)).collect());
        let keep_globs = compile(keep.clone());
        let least_globs = least.clone().map(compile);
        Self { needed, keep, least, why, needed_globs, keep_globs, least_globs }
    }

    /// Whether a kept object that needs `soname` calls for this.
    pub fn called_by_soname(&self, soname: &[u8]) -> bool {
        !soname.contains(&b'/') && self.needed_globs.is_match(&[b"/", soname].concat())
    }

    /// Whether the kept file `absolute` (with its leading `/`) calls for this.
    pub fn called_by_path(&self, absolute: &[u8]) -> bool {
        self.needed_globs
            .matches(absolute)
            .into_iter()
            .any(|at| self.needed.get(at).is_some_and(|name| name.starts_with('/')))
    }

    /// Whether `absolute` (with its leading `/`) must stay when the rule is called for.
    pub fn keeps(&self, absolute: &[u8]) -> bool {
        self.keep_globs.is_match(absolute)
    }

    /// Whether `absolute` is among what the rule keeps only where more stays than what was seen.
    pub fn spares(&self, absolute: &[u8]) -> bool {
        self.keeps(absolute) && self.least_globs.as_ref().is_some_and(|least| !least.is_match(absolute))
    }
}

/// Sonames are matched as paths of one component.
fn rooted(name: &str) -> String {
    if name.starts_with('/') { name.to_owned() } else { format!("/{name}") }
}
