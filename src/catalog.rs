//! The catalog: shells, package managers, utilities and what else an intruder uses, as data.
//!
//! Knows names and marks, not images: what it says of a name holds wherever the name stands in a program directory,
//! and what it says of bytes wherever they are.

mod content;
mod globs;
mod load;
mod supervisor;
mod wrapper;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use serde::{Deserialize, Serialize};

pub use content::{MarkReader, Tool, Tools};
pub use globs::{DlopenRule, Rule, Rules};
pub use supervisor::Supervisor;
pub use wrapper::{Switch, Wrapped, Wrapper, WrapperKind};

use crate::rootfs::File;

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

impl Class {
    /// One of them, in a sentence.
    pub fn phrase(self) -> &'static str {
        match self {
            Self::Shell => "a shell",
            Self::PackageManager => "a package manager",
            Self::Utility => "a utility",
            Self::Editor => "an editor",
            Self::Downloader => "a downloader",
            Self::Compiler => "a compiler or debugger",
            Self::NetworkTool => "a network tool",
            Self::Escape => "a tool to change privileges",
            Self::Interpreter => "an interpreter",
            Self::Application => "another application",
        }
    }
}

/// All that is known about names.
#[derive(Debug)]
pub struct Catalog {
    programs: BTreeMap<Box<[u8]>, Class>,
    versioned: BTreeSet<Box<[u8]>>,
    suffixes: BTreeSet<Box<[u8]>>,
    words: BTreeSet<Box<[u8]>>,
    package_globs: GlobSet,
    package_classes: Vec<Class>,
    dlopen: Vec<DlopenRule>,
    libraries: Vec<DlopenRule>,
    aside: Rules,
    always_keep: Rules,
    directories: Rules,
    state: Rules,
    spirit: Rules,
    secrets: Rules,
    wrappers: Vec<Wrapper>,
    supervisors: Vec<Supervisor>,
    tools: Tools,
}

static BUILTIN: LazyLock<Catalog> = LazyLock::new(Catalog::load);

impl Catalog {
    /// The catalog that kiln carries.
    pub fn builtin() -> &'static Self {
        &BUILTIN
    }

    /// What the file name `name` means where programs stand; `None` where the catalog has nothing to say.
    ///
    /// Versions, triplets and the alternatives system's suffixes are seen through: `python3.11`,
    /// `x86_64-linux-gnu-gcc-12`, `vim.tiny`.
    pub fn program(&self, name: &[u8]) -> Option<Class> {
        if let Some(class) = self.unversioned(name) {
            return Some(class);
        }
        let bare = without_triplet(name);
        (bare.len() < name.len()).then(|| self.unversioned(bare)).flatten()
    }

    fn unversioned(&self, name: &[u8]) -> Option<Class> {
        if let Some(class) = self.programs.get(name) {
            return Some(*class);
        }
        let stem = without_version(name);
        if stem.len() < name.len() && self.versioned.contains(stem) {
            return self.programs.get(stem).copied();
        }
        let dot = name.iter().rposition(|&byte| byte == b'.')?;
        let (stem, suffix) = name.split_at(dot);
        if self.suffixes.contains(suffix.get(1..)?) {
            return self.unversioned(stem);
        }
        None
    }

    /// The exact names of the programs of `class`, sorted.
    pub fn names(&self, class: Class) -> impl Iterator<Item = &str> {
        let of_class = self.programs.iter().filter(move |(_, known)| **known == class);
        of_class.filter_map(|(name, _)| std::str::from_utf8(name).ok())
    }

    /// Whether `name`, though [`Self::program`] knows it, is a name that applications give to programs of their own.
    pub fn is_word(&self, name: &[u8]) -> bool {
        self.words.contains(name)
    }

    /// What the package `name` (without architecture; Debian's name or Alpine's) is for, if it is there to be a tool.
    ///
    /// A tool package is not followed through `Depends:` and goes as a whole, unless the entrypoint's own
    /// chain or an ELF need leads into it. Packages of interpreters that applications are written in are
    /// none, though [`Self::program`] names their programs; perl is one: debconf's machinery.
    pub fn package(&self, name: &str) -> Option<Class> {
        let at = self.package_globs.matches(name).into_iter().min()?;
        self.package_classes.get(at).copied()
    }

    /// What only `dlopen` or a compiled-in path finds.
    pub fn dlopen_rules(&self) -> &[DlopenRule] {
        &self.dlopen
    }

    /// Libraries of interpreters: a run shows the modules of one way through a program, and another loads others.
    pub fn libraries(&self) -> &[DlopenRule] {
        &self.libraries
    }

    /// What packages bring for people, and for software that does not run in a container.
    pub fn aside(&self) -> &Rules {
        &self.aside
    }

    /// What stays whatever leads to it.
    pub fn always_keep(&self) -> &Rules {
        &self.always_keep
    }

    /// Directories that programs expect, whoever brought them and whatever is in them.
    pub fn directories(&self) -> &Rules {
        &self.directories
    }

    /// State of package managers and of a system's init. The package database itself is not in it.
    pub fn state(&self) -> &Rules {
        &self.state
    }

    /// What no package lists and is yet the distribution's, not the application's.
    pub fn spirit(&self) -> &Rules {
        &self.spirit
    }

    /// Secrets that are made when a package is installed, or that builds leave behind.
    pub fn secrets(&self) -> &Rules {
        &self.secrets
    }

    /// Programs that start their arguments.
    pub fn wrappers(&self) -> &[Wrapper] {
        &self.wrappers
    }

    /// The wrapper whose file name is `name`.
    pub fn wrapper(&self, name: &[u8]) -> Option<&Wrapper> {
        self.wrappers.iter().find(|wrapper| wrapper.names.iter().any(|known| known.as_bytes() == name))
    }

    /// The supervisor whose file name is `name`.
    pub fn supervisor(&self, name: &[u8]) -> Option<&Supervisor> {
        self.supervisors.iter().find(|known| known.names.iter().any(|known| known.as_bytes() == name))
    }

    /// Tools that are known by their bytes.
    pub fn tools(&self) -> &Tools {
        &self.tools
    }

    /// What `file` is by its bytes, whatever it is called: the tool whose marks pass 1 found in it.
    pub fn tool_of(&self, file: &File) -> Option<&Tool> {
        let name = file.identity.as_ref()?.tool.as_ref()?;
        self.tools.list().iter().find(|tool| tool.name == *name)
    }

    fn load() -> Self {
        let names = load::programs();
        let mut programs = BTreeMap::new();
        let mut versioned = BTreeSet::new();
        for (class, list) in names.classes {
            programs.extend(list.programs.into_iter().map(|name| (boxed(&name), class)));
            versioned.extend(list.versioned.iter().map(|name| boxed(name)));
        }
        let mut package_globs = GlobSetBuilder::new();
        let mut package_classes = Vec::new();
        for (class, list) in load::packages() {
            for glob in list {
                let glob = GlobBuilder::new(&glob)
                    .build()
                    .unwrap_or_else(|error| unreachable!("catalog/packages.toml: {error}"));
                package_globs.add(glob);
                package_classes.push(class);
            }
        }
        let package_globs =
            package_globs.build().unwrap_or_else(|error| unreachable!("catalog/packages.toml: {error}"));
        let paths = load::paths();
        Self {
            programs,
            versioned,
            suffixes: names.suffixes.iter().map(|name| boxed(name)).collect(),
            words: names.words.iter().map(|name| boxed(name)).collect(),
            package_globs,
            package_classes,
            dlopen: paths.dlopen.into_iter().map(DlopenRule::literal).collect(),
            libraries: paths.library.into_iter().map(DlopenRule::literal).collect(),
            aside: Rules::literal(paths.aside),
            always_keep: Rules::literal(paths.always_keep),
            directories: Rules::literal(paths.directory),
            state: Rules::literal(paths.state),
            spirit: Rules::literal(paths.spirit),
            secrets: Rules::literal(paths.secret),
            wrappers: paths.wrapper,
            supervisors: paths.supervisor,
            tools: Tools::literal(load::content()),
        }
    }
}

fn boxed(name: &str) -> Box<[u8]> {
    Box::from(name.as_bytes())
}

/// `gcc-12` → `gcc`, `python3.11` → `python`; the name itself where nothing but a version is missing.
fn without_version(name: &[u8]) -> &[u8] {
    let end = name
        .iter()
        .rposition(|byte| !byte.is_ascii_digit() && *byte != b'.')
        .map_or(0, |last| last.saturating_add(1));
    let (stem, version) = name.split_at(end);
    if version.first().is_none_or(|byte| !byte.is_ascii_digit()) {
        return name;
    }
    stem.strip_suffix(b"-").unwrap_or(stem)
}

/// `x86_64-linux-gnu-gcc-12` → `gcc-12`, `cpan5.36-x86_64-linux-gnu` → `cpan5.36`.
fn without_triplet(name: &[u8]) -> &[u8] {
    const SYSTEMS: [&[u8]; 5] =
        [b"-linux-gnux32", b"-linux-gnueabihf", b"-linux-gnueabi", b"-linux-gnu", b"-linux-musl"];
    for system in SYSTEMS {
        let Some(at) = memchr::memmem::find(name, system) else { continue };
        let (before, after) =
            (name.get(..at).unwrap_or_default(), name.get(at + system.len()..).unwrap_or_default());
        if let Some(program) = after.strip_prefix(b"-") {
            let machine = before.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
            return if machine && !before.is_empty() { program } else { name };
        }
        if after.is_empty()
            && let Some(dash) = before.iter().rposition(|&byte| byte == b'-')
        {
            return before.get(..dash).unwrap_or(name);
        }
    }
    name
}

#[cfg(test)]
mod tests;
