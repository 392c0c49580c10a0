//! The paths an app must write and the ports it listens on, each with evidence, found without running it.
//!
//! Does not decide who it runs as or what stays; both come in. Reads only bytes that pass 1 kept.

mod binary;
mod candidate;
mod command_line;
mod content;
mod directives;
mod environment;
mod links;
mod ownership;
mod place;
mod ports;
mod recipes;
mod seeding;
mod silence;
mod syntax;
mod tmpfiles;
mod traced;
mod unite;
mod units;
mod volumes;
mod wanted;

use crate::finding::{Code, Finding};
use crate::path::ImagePath;
use crate::plan::baked::Baked;
use crate::plan::filler::Filler;
use crate::plan::traced::Traced;
use crate::plan::{Link, Port, Step, User, WritablePath};
use crate::recipe::{EnvRule, Recipe};
use crate::rootfs::Rootfs;

use candidate::Candidate;
pub use place::{is_kernel, is_system};
pub use seeding::{is_code, is_program};
pub use units::unit_user;
pub use wanted::wanted;

/// What is known before writable paths are looked for.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// The merged tree of the source.
    pub rootfs: &'a Rootfs,
    /// The main program, links followed.
    pub program: Option<&'a ImagePath>,
    /// What the start passes through.
    pub chain: &'a [Step],
    /// What starts, after lowering.
    pub argv: &'a [String],
    /// The recipes that apply, in order.
    pub recipes: &'a [&'a Recipe],
    /// Who it runs as.
    pub user: &'a User,
    /// The environment of the config and of lowerings.
    pub env: &'a [(String, String)],
    /// The config's working directory; empty is `/`.
    pub working_dir: &'a str,
    /// The config's `VOLUME`s.
    pub volumes: &'a [String],
    /// The config's `EXPOSE`: port and protocol (`tcp`, `udp`; empty is `tcp`).
    pub exposed_ports: &'a [(u16, String)],
    /// Whether a file stays.
    pub kept: &'a dyn Fn(&ImagePath) -> bool,
    /// Who copies content to volumes; `None` where nobody can.
    pub filler: Option<Filler>,
    /// `--writable`.
    pub extra: &'a [ImagePath],
    /// Directories that lowered scripts would have made.
    pub lowering_directories: &'a [ImagePath],
    /// Files that lowered scripts would have written, and that the hardened image has.
    pub baked: &'a [Baked],
    /// What the app did while it was watched.
    pub traced: Option<Traced<'a>>,
}

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// By path, one entry each.
    pub paths: Vec<WritablePath>,
    /// Files that become links, by path.
    pub links: Vec<Link>,
    /// Directories in them that lowered scripts made, and that are there when the app starts.
    pub prepared: Vec<ImagePath>,
    /// By port, then protocol.
    pub ports: Vec<Port>,
    /// Environment to set in the pod, by name.
    pub env: Vec<EnvRule>,
    /// What a person should know; in order of code, then subject.
    pub findings: Vec<Finding>,
    /// Rules of the recipes that match nothing in this image, in words: `nginx: directive pid in /x`.
    pub unused: Vec<String>,
}

/// Looks at everything in the image that says what the app writes and where it listens.
pub fn find(inputs: &Inputs<'_>) -> Found {
    let mut found = Found::default();
    let mut candidates: Vec<Candidate> = Vec::new();
    let settings = directives::read(inputs, &mut found);
    candidates.extend(volumes::candidates(inputs, &mut found.findings));
    candidates.extend(traced::candidates(inputs));
    candidates.extend(recipes::candidates(inputs, &mut found.unused));
    candidates.extend(settings.candidates);
    candidates.extend(units::candidates(inputs));
    candidates.extend(tmpfiles::candidates(inputs));
    candidates.extend(environment::candidates(inputs));
    candidates.extend(ownership::candidates(inputs));
    candidates.extend(binary::candidates(inputs));
    if let Some(silence) = settings.logs.silence() {
        candidates = silence::without_logs(inputs, candidates, silence, &mut found.findings);
    }
    let links::Taken { links, declared, table } = links::take(inputs, &mut candidates, &mut found.findings);
    found.links = links;
    let room = inputs.filler.map_or(0, Filler::room).saturating_sub(table);
    (found.paths, found.prepared) = unite::unite(inputs, candidates, room, &mut found.findings);
    found.paths.extend(declared);
    found.paths.sort_by(|a, b| a.path.cmp(&b.path));
    ownership::undeclared(inputs, &found.paths, &mut found.findings);
    found.ports = ports::find(inputs, settings.ports, &mut found.findings);
    found.env = recipes::environment(inputs, &mut found.findings);
    found.findings.sort_by(|a, b| (a.code, &a.subject, &a.message).cmp(&(b.code, &b.subject, &b.message)));
    found.findings.dedup_by(|a, b| {
        a == b || a.code == Code::WritableUndeclared && a.code == b.code && a.subject == b.subject
    });
    found.unused.sort();
    found.unused.dedup();
    found
}

#[cfg(test)]
mod tests;
