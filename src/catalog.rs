//! The catalog: shells, package managers, utilities and what else an intruder uses, as data.
//!
//! Knows names, not images: what it says of a name holds wherever the name stands in a program directory.

use serde::{Deserialize, Serialize};

/// What a catalogued program is to an intruder.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Runs command lines: `sh`, `bash`, `busybox`.
    Shell,
    /// Installs software: `apt`, `dpkg`, `pip`, `npm`.
    PackageManager,
    /// Files, text, processes: `cp`, `sed`, `ps`.
    Utility,
    /// `vi`, `ed`, pagers.
    Editor,
    /// Fetches or sends: `curl`, `scp`.
    Downloader,
    /// Compilers, assemblers, linkers, debuggers, build tools.
    Compiler,
    /// `ip`, `nc`, `tcpdump`.
    NetworkTool,
    /// Leaves the container or changes privileges: `nsenter`, `su`, `mount`, `setcap`.
    Escape,
    /// Runs programs in a language: `python`, `perl`, `node`. Stays where the entrypoint is one of its programs.
    Interpreter,
    /// A server or application that an intruder can misuse; stays where it is what the image is for.
    Application,
}
