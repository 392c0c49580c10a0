//! What an audit knows of an image: its files, its config, and what must be writable.
//!
//! Reads nothing; whoever audits brings it.

use crate::catalog::{Catalog, Class};
use crate::digest::BlobDigest;
use crate::image::Config;
use crate::manifest::{Manifest, Path, Volume};
use crate::path::ImagePath;
use crate::plan::PathContent;
use crate::rootfs::{Content, Entry, Kind, Rootfs};

/// Directories in which a name is looked for where the image does not say.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// An image that a pod runs.
#[derive(Debug)]
pub struct Image {
    /// What must be writable, who runs and where it listens.
    pub manifest: Manifest,
    /// Where that is from.
    pub origin: Origin,
    /// The merged tree of its layers.
    pub rootfs: Rootfs,
    /// Its config.
    pub config: Config,
    /// Digests by which it may be pinned: of its index and of its manifest.
    pub digests: Vec<BlobDigest>,
}

/// Where a writable manifest is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// kiln hardened the image and recorded it.
    Recorded,
    /// kiln would write it for the image as it is.
    Planned,
}

impl Image {
    /// Where a mount at `path` lies, the image's links followed.
    pub fn canonical(&self, path: &str) -> Option<ImagePath> {
        self.rootfs.canonicalize_missing(&ImagePath::parse(path.as_bytes()).ok()?)
    }

    /// Whether a container with these words starts what the image does: other arguments for its entrypoint are not another
    /// program.
    pub fn is_started_by(&self, command: &[&str], args: &[&str]) -> bool {
        let Config { entrypoint, cmd, .. } = &self.config;
        let own: Vec<&str> = entrypoint.iter().map(String::as_str).collect();
        let said = [if command.is_empty() { own.as_slice() } else { command }, args].concat();
        let is_whole = self.manifest.process.argv == said || said.iter().eq(entrypoint.iter().chain(cmd));
        // What follows no entrypoint is the program.
        let is_entrypoint =
            !entrypoint.is_empty() && (command.is_empty() || command == entrypoint.as_slice());
        (command.is_empty() && args.is_empty()) || is_whole || (is_entrypoint && !is_launcher(entrypoint))
    }

    /// Paths that need a volume, canonical.
    pub(super) fn mounted(&self) -> impl Iterator<Item = (ImagePath, &Path)> {
        let needs = self.manifest.paths.iter().filter(|path| !matches!(path.volume, Volume::None));
        needs.filter_map(|path| Some((path.image_path()?, path)))
    }

    /// The manifest's entry for what lies at `path` or around it.
    pub(super) fn around(&self, path: &ImagePath) -> Option<&Path> {
        self.mounted().filter(|(known, _)| path.is_within(known)).map(|(_, entry)| entry).last()
    }

    /// Where the program `name` lies, links followed: from `directory` if it is a path, else in those of `path`. Of several
    /// the first that somebody may start counts.
    pub(super) fn find(&self, name: &str, directory: &str, path: &str) -> Option<ImagePath> {
        let candidates: Vec<String> = match name {
            name if name.starts_with('/') => vec![name.to_owned()],
            name if name.contains('/') => vec![format!("/{directory}/{name}")],
            name => path.split(':').map(|directory| format!("{directory}/{name}")).collect(),
        };
        let resolve = |path: &String| self.rootfs.resolve_from(&ImagePath::root(), path.as_bytes());
        let found = candidates.iter().filter_map(resolve).map(|resolved| resolved.path);
        let found: Vec<ImagePath> = found.filter(|path| !self.rootfs.is_directory(path)).collect();
        let starts =
            found.iter().find(|path| self.rootfs.entry(path).is_some_and(|entry| entry.mode & 0o111 != 0));
        starts.or(found.first()).cloned()
    }

    /// `PATH`.
    pub(super) fn search_path(&self) -> &str {
        let path = self.config.env.iter().rfind(|(name, _)| name == "PATH");
        path.map_or(DEFAULT_PATH, |(_, path)| path)
    }

    /// What the image has in the directory `path`.
    pub(super) fn content(&self, path: &ImagePath) -> Below {
        let mut below = Below::default();
        let Some(resolved) = self.rootfs.resolve(path) else { return below };
        if !self.rootfs.is_directory(&resolved.path) {
            below.files = usize::from(self.rootfs.node(&resolved.path).is_some());
            return below;
        }
        for (path, node) in self.rootfs.below(&resolved.path) {
            let Some(entry) = node.inode.and_then(|id| self.rootfs.member(id)) else { continue };
            if entry.is_directory() {
                continue;
            }
            if is_log_link(entry) {
                below.log_links.push(path.to_string());
                continue;
            }
            let Some(file) = entry.file() else {
                below.files += 1;
                continue;
            };
            below.files += usize::from(file.size > 0);
            let runs = !matches!(file.content, Content::Data) && entry.mode & 0o111 != 0;
            if below.program.is_none() && runs {
                below.program = Some(path.to_string());
            }
        }
        below
    }
}

/// What is below a directory of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Below {
    /// Files with bytes, and what else is no directory.
    pub(super) files: usize,
    /// The first program.
    pub(super) program: Option<String>,
    /// Links to the log streams.
    pub(super) log_links: Vec<String>,
}

/// Whether `path` of the manifest holds links to the log streams.
pub(super) fn is_log_directory(path: &Path) -> bool {
    matches!(path.content, PathContent::LogLinks)
}

/// Whether what follows an entrypoint is the program that it starts.
fn is_launcher(entrypoint: &[String]) -> bool {
    const INITS: [&str; 4] = ["catatonit", "dumb-init", "env", "tini"];
    let starts_others = |program: &String| {
        let name = program.rsplit('/').next().unwrap_or_default();
        let class = Catalog::builtin().program(name.as_bytes());
        INITS.contains(&name) || matches!(class, Some(Class::Shell | Class::Interpreter))
    };
    match entrypoint {
        [] => true,
        [only] => starts_others(only),
        // `java -jar app.jar` says itself what it starts, and `tini -- app` too.
        [first, .., last] => starts_others(first) && last.starts_with('-'),
    }
}

fn is_log_link(entry: &Entry) -> bool {
    const STREAMS: [&[u8]; 6] =
        [b"/dev/stdout", b"/dev/stderr", b"/proc/self/fd/1", b"/proc/self/fd/2", b"/dev/fd/1", b"/dev/fd/2"];
    matches!(&entry.kind, Kind::Symlink(target) if STREAMS.contains(&target.as_ref()))
}
