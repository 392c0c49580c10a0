//! Programs that start what their own files name.
//!
//! Knows names only: what such a program starts in one image is not for the catalog.

use serde::Deserialize;

/// A program that starts others, and no word of its command line says which.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Supervisor {
    /// File names of the program.
    pub names: Vec<String>,
    /// Programs that it needs for that, as words to be looked up in `PATH`.
    pub starts: Vec<String>,
    /// What it does, for the report.
    pub why: String,
    /// Whether it starts at every start all that it ever starts, so that a watched start shows it.
    #[serde(default)]
    pub at_start: bool,
}
