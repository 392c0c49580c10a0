//! What a finished image says and holds: everything that checks look at, read once.
//!
//! Judges nothing; a document that cannot be read is a fact, too.

use std::collections::{BTreeMap, HashMap};

use crate::accounts::Accounts;
use crate::elf::search::LoaderEnv;
use crate::harden::record::MANIFEST_PATH;
use crate::image::Config;
use crate::manifest::{self, Manifest};
use crate::path::ImagePath;
use crate::plan::PathContent;
use crate::rootfs::{Entry, EntryId, Kind, Rootfs};
use crate::source::SourceImage;

/// A finished image.
pub struct Facts<'a> {
    /// Its documents.
    pub image: &'a SourceImage,
    /// Its merged tree.
    pub rootfs: &'a Rootfs,
    /// The writable manifest inside.
    pub manifest: &'a Embedded,
    /// What the manifest declares writable, by path.
    pub declared: BTreeMap<ImagePath, &'a manifest::Path>,
    /// Who the container runs as, as its config says.
    pub user: User,
    /// What the config tells a loader.
    pub loader: LoaderEnv,
    /// Every name of an inode that has more than one, in byte order.
    names: HashMap<EntryId, Vec<&'a ImagePath>>,
}

/// What is done with a script's `#!` line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstLine {
    /// The kernel reads it, and starts what it names.
    Read,
    /// The script is an argument of its interpreter.
    Skipped,
}

/// The writable manifest inside an image.
#[derive(Debug)]
pub struct Embedded {
    /// The file's bytes; `None` where there is none, or none of a sane size.
    pub bytes: Option<Vec<u8>>,
    /// What it says; `None` where that cannot be read.
    pub document: Option<Manifest>,
}

/// Who a process of the image is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct User {
    /// Numeric user.
    pub uid: u32,
    /// Numeric primary group.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
}

impl User {
    /// Which of read (4), write (2) and search (1) `entry`'s mode gives this user.
    pub fn bits(&self, entry: &Entry) -> u16 {
        let shift = if entry.uid == self.uid {
            6
        } else if entry.gid == self.gid || self.groups.contains(&entry.gid) {
            3
        } else {
            0
        };
        entry.mode >> shift & 0o7
    }
}

impl Embedded {
    /// Reads it.
    pub fn read(rootfs: &Rootfs) -> Self {
        let bytes = rootfs.bytes(&ImagePath::literal(MANIFEST_PATH)).map(|bytes| bytes.to_vec());
        let text = bytes.as_ref().and_then(|bytes| std::str::from_utf8(bytes).ok());
        let document = text.and_then(|text| Manifest::parse(text).ok());
        Self { bytes, document }
    }
}

impl<'a> Facts<'a> {
    /// Gathers what `image`, of the tree `rootfs`, says with the manifest inside it.
    pub fn new(image: &'a SourceImage, rootfs: &'a Rootfs, manifest: &'a Embedded) -> Self {
        let paths = manifest.document.as_ref().map_or(&[][..], |manifest| &manifest.paths);
        let declared = paths.iter().filter_map(|path| Some((path.image_path()?, path))).collect();
        let mut names: HashMap<EntryId, Vec<&ImagePath>> = HashMap::new();
        for (path, node) in rootfs.nodes() {
            if let Some(inode) = node.inode {
                names.entry(inode).or_default().push(path);
            }
        }
        names.retain(|_, names| names.len() > 1);
        let user = user(&image.config, rootfs, manifest.document.as_ref());
        Self { image, rootfs, manifest, declared, user, loader: loader(&image.config), names }
    }

    /// What the manifest inside says.
    pub fn document(&self) -> Option<&'a Manifest> {
        self.manifest.document.as_ref()
    }

    /// Every name of the inode at `path`, `path` among them.
    pub fn names_of(&self, path: &'a ImagePath) -> Vec<&'a ImagePath> {
        let inode = self.rootfs.node(path).and_then(|node| node.inode);
        inode.and_then(|inode| self.names.get(&inode)).cloned().unwrap_or_else(|| vec![path])
    }

    /// Whether `path` is a declared writable path, or lies in one, in which something is really written: where the
    /// logs are links to streams nothing is, and what is seeded is written in its copy.
    pub fn is_declared(&self, path: &ImagePath) -> bool {
        let mut declared = self.declared.iter();
        declared.any(|(root, entry)| {
            path.is_within(root) && !entry.seeded && entry.content != PathContent::LogLinks
        })
    }

    /// Whether the image is hardened at a level that leaves nothing hidden in lower layers.
    pub fn hides_nothing(&self) -> Option<bool> {
        self.document().map(|manifest| manifest.options.level != crate::plan::Level::Strip)
    }

    /// The file that a process started as `word` in the image's environment runs, links not followed.
    pub fn program(&self, word: &str) -> Option<ImagePath> {
        let is_file = |path: &ImagePath| {
            let entry = self.rootfs.entry_following(path)?;
            matches!(entry.kind, Kind::File(_)).then(|| path.clone())
        };
        if word.contains('/') {
            let directory = self.loader.working_directory.as_bytes();
            let text = if word.starts_with('/') {
                word.as_bytes().to_vec()
            } else {
                [directory, b"/", word.as_bytes()].concat()
            };
            return is_file(&ImagePath::parse(&text).ok()?);
        }
        let path = self.image.config.env.iter().rev().find(|(name, _)| name == "PATH");
        let path = path.map_or(DEFAULT_PATH, |(_, value)| value.as_str());
        path.split(':').filter(|directory| directory.starts_with('/')).find_map(|directory| {
            let directory = ImagePath::parse(directory.as_bytes()).ok()?;
            is_file(&directory.child(word.as_bytes()))
        })
    }

    /// The interpreter of a `#!` line, and the program that `env` starts for it; `Err` names what is not there.
    pub fn interpreters(&self, line: &[u8], first_line: FirstLine) -> Result<Vec<ImagePath>, String> {
        let text = String::from_utf8_lossy(line);
        let mut words = text.split_whitespace();
        let Some(first) = words.next() else { return Ok(Vec::new()) };
        let mut out = match (first_line, self.program(first)) {
            (_, Some(path)) => vec![path],
            (FirstLine::Read, None) => return Err(first.to_owned()),
            (FirstLine::Skipped, None) => Vec::new(),
        };
        if first.rsplit('/').next() == Some("env") {
            let mut words = words.map(|word| word.strip_prefix("-S").unwrap_or(word));
            // `NAME=VALUE` words and options come before the program.
            let program =
                words.find(|word| !word.is_empty() && !word.starts_with('-') && !word.contains('='));
            if let Some(program) = program {
                out.push(self.program(program).ok_or_else(|| program.to_owned())?);
            }
        }
        Ok(out)
    }
}

/// Where runtimes look for a program when the config has no `PATH` (`runc`, `containerd`).
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What `config` tells a loader.
pub fn loader(config: &Config) -> LoaderEnv {
    let lines: Vec<String> = config.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let directory = ImagePath::parse(config.working_dir.as_bytes()).unwrap_or_else(|_| ImagePath::root());
    LoaderEnv::new(lines.iter().map(String::as_str), directory)
}

/// The config's user; supplementary groups are the pod's to give, so they are the manifest's.
fn user(config: &Config, rootfs: &Rootfs, manifest: Option<&Manifest>) -> User {
    let groups = manifest.map(|manifest| manifest.process.groups.clone()).unwrap_or_default();
    match Accounts::read(rootfs).resolve(&config.user) {
        Ok(found) => User { uid: found.uid, gid: found.gid, groups: [found.groups, groups].concat() },
        Err(_) => User { groups, ..User::default() },
    }
}
