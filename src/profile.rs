//! What a run of an image showed: what it executed, opened, wrote and listened on, as a JSON document.
//!
//! Values in, a document out. Who watches a run is `trace`; what hardening makes of a profile is the plan's.
//!
//! The same run gives the same bytes: processes are numbered by who started them and not by when, lists are sorted
//! sets, and all that two runs of one image cannot have in common (times, peaks, counts of mere searching) stands in
//! one object, [`Observed`], which can be left out. Names that a program makes up are told by a template (`chance`).

mod builder;
mod chance;
mod errno;
mod event;
mod merge;
mod prepared;
mod settled;
mod tree;
mod types;

pub use builder::{Builder, Context};
pub use errno::errno_name;
pub use event::{Act, Event, Program};
pub use prepared::{Holds, Prepared, Untold, has_private_key, has_word, is_secret_name};
pub use types::{
    Actor, Bind, Directory, End, Ending, EnvVar, Exec, Failure, FileUse, How, Image, Observed, Phase,
    Preparing, Probe, Process, Profile, Protocol, Ready, Socket, Start, Written,
};

use crate::json;

/// The document's media type.
pub const MEDIA_TYPE: &str = "application/vnd.kiln.profile.v1+json";

/// The version of the document's shape; grows when a reader of the old shape would misread the new.
pub const SCHEMA_VERSION: u32 = 1;

/// Text that is no profile.
#[derive(Debug, thiserror::Error)]
pub enum ParseProfileError {
    /// No JSON, or not of the profile's shape.
    #[error("profile: not of the expected shape")]
    Shape(#[source] serde_json::Error),
    /// A version that this kiln does not know.
    #[error("profile: schema version {0}, expected {SCHEMA_VERSION}")]
    Version(u32),
    /// A process that stands before the one that started it.
    #[error("profile: process {0} stands before the one that started it")]
    Parent(usize),
    /// More processes than are ever written down.
    #[error("profile: {0} processes, expected at most {most}", most = builder::MAX_PROCESSES)]
    Processes(usize),
}

/// Profiles that do not belong together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// Nothing to merge.
    #[error("no profile was given")]
    None,
    /// They are of different images.
    #[error("profiles are of different images: expected `{expected}`, found `{found}`")]
    Image {
        /// `ChainID` of the first.
        expected: String,
        /// That of the other.
        found: String,
    },
}

impl Profile {
    /// The document: indented, fields in a fixed order, a newline at the end.
    pub fn render(&self) -> String {
        json::render(self)
    }

    /// Reads a document of this version.
    pub fn parse(text: &str) -> Result<Self, ParseProfileError> {
        #[derive(serde::Deserialize)]
        struct Version {
            schema_version: u32,
        }
        let version: Version = serde_json::from_str(text).map_err(ParseProfileError::Shape)?;
        if version.schema_version != SCHEMA_VERSION {
            return Err(ParseProfileError::Version(version.schema_version));
        }
        let profile: Self = serde_json::from_str(text).map_err(ParseProfileError::Shape)?;
        let is_late = |(at, process): &(usize, &Process)| {
            process.parent.is_some_and(|(parent, _)| parent as usize >= *at)
        };
        match profile.processes.iter().enumerate().find(is_late) {
            Some((at, _)) => Err(ParseProfileError::Parent(at)),
            None if profile.processes.len() > builder::MAX_PROCESSES => {
                Err(ParseProfileError::Processes(profile.processes.len()))
            }
            None => Ok(profile),
        }
    }

    /// All of `profiles` in one: the union, each entry with the number of runs that showed it.
    pub fn merge(profiles: Vec<Self>) -> Result<Self, MergeError> {
        let mut profiles = profiles.into_iter();
        let first = profiles.next().ok_or(MergeError::None)?;
        profiles.try_fold(first, merge::merge)
    }
}

/// The JSON Schema of the document (`kiln schema profile`).
pub fn schema() -> String {
    json::render_schema::<Profile>()
}

#[cfg(test)]
pub(crate) mod tests;
