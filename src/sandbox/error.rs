//! Why there is no sandbox, or why it failed.
//!
//! An app that ends badly is no error here.

use std::io;
use std::path::PathBuf;

use super::message::Failed;
use super::refusal::Refusal;
use super::unpack::UnpackError;

/// Why there is no sandbox, or why it failed.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The machine gives no namespaces.
    #[error("no sandbox on this machine: {refusal}")]
    Refused {
        /// The setting behind it.
        refusal: Refusal,
        /// What was refused.
        #[source]
        source: Failed,
    },
    /// No directory to unpack in.
    #[error("cannot make a private directory in `{}`", path.display())]
    Private {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No copy of kiln's own program.
    #[error("cannot copy kiln's own program `{}`", path.display())]
    Program {
        /// Where it is.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A stage cannot be started.
    #[error("cannot start a stage of the sandbox")]
    Start(#[source] io::Error),
    /// The ids cannot be set.
    #[error("cannot map ids with `{tool}`: {said}")]
    Map {
        /// What was tried.
        tool: String,
        /// What came of it.
        said: String,
    },
    /// A stage gave up.
    #[error("sandbox")]
    Stage(#[source] Failed),
    /// The image cannot be unpacked.
    #[error("cannot unpack the image")]
    Unpack(#[source] UnpackError),
    /// A stage ended and did not say why: somebody killed it.
    #[error("a stage of the sandbox is gone")]
    Gone,
    /// A stage answers something else.
    #[error("a stage of the sandbox does not answer as expected")]
    Confused,
    /// A stage cannot be talked to.
    #[error("talking to a stage of the sandbox")]
    Talk(#[source] io::Error),
}
