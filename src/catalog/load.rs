//! Reads the catalog's own data files; what is wrong with them is a bug and found by a test.
//!
//! Knows the files' shape only.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::content::RawTool;
use super::globs::Rule;
use super::{Class, Supervisor, Wrapper};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Paths {
    pub(super) dlopen: Vec<RawDlopen>,
    pub(super) library: Vec<RawDlopen>,
    pub(super) aside: Vec<Rule>,
    #[serde(rename = "always-keep")]
    pub(super) always_keep: Vec<Rule>,
    pub(super) directory: Vec<Rule>,
    pub(super) state: Vec<Rule>,
    pub(super) spirit: Vec<Rule>,
    pub(super) secret: Vec<Rule>,
    pub(super) wrapper: Vec<Wrapper>,
    pub(super) supervisor: Vec<Supervisor>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDlopen {
    pub(super) needed: Vec<String>,
    pub(super) keep: Vec<String>,
    #[serde(default)]
    pub(super) least: Option<Vec<String>>,
    pub(super) why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    tool: Vec<RawTool>,
}

#[derive(Deserialize)]
pub(super) struct Programs {
    pub(super) suffixes: BTreeSet<String>,
    pub(super) words: BTreeSet<String>,
    #[serde(flatten)]
    pub(super) classes: BTreeMap<Class, ClassNames>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClassNames {
    pub(super) programs: Vec<String>,
    pub(super) versioned: Vec<String>,
}

/// `programs.toml`.
pub(super) fn programs() -> Programs {
    parse("programs.toml", include_str!("programs.toml"))
}

/// `packages.toml`: globs of package names by class.
pub(super) fn packages() -> BTreeMap<Class, Vec<String>> {
    parse("packages.toml", include_str!("packages.toml"))
}

/// `paths.toml`.
pub(super) fn paths() -> Paths {
    parse("paths.toml", include_str!("paths.toml"))
}

/// `content.toml`.
pub(super) fn content() -> Vec<RawTool> {
    parse::<Content>("content.toml", include_str!("content.toml")).tool
}

fn parse<T: serde::de::DeserializeOwned>(name: &str, text: &str) -> T {
    toml::from_str(text).unwrap_or_else(|error| unreachable!("catalog/{name}: {error}"))
}
