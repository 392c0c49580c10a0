//! Where a dynamic loader finds a library by name inside the image, by glibc's rules and by musl's.
//!
//! One name at a time; what a whole process loads is `elf::closure`'s. Does not know which processor the image will
//! run on: what a library has for some processors is found along with what it has for the others.

mod glibc;
mod musl;
#[cfg(test)]
mod tests;
mod tokens;

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;

use glibc::DefaultKey;

use super::cache::Cache;
use super::facts::{ElfFacts, ObjectKind};
use crate::path::ImagePath;
use crate::rootfs::{Content, Rootfs};

const PRELOAD: &str = "etc/ld.so.preload";

/// Largest `ld.so.cache`: a desktop's has 300 KiB.
const MAX_CACHE: u64 = 16 << 20;

/// Largest of the small text files.
const MAX_SMALL: u64 = 1 << 20;

/// Most directories of one search path.
const MAX_DIRECTORIES: usize = 1024;

/// How many bytes of the file at `path` pass 1 must keep for [`Search`]; `None`: none.
pub fn wanted(path: &ImagePath) -> Option<u64> {
    match path.as_bytes() {
        b"etc/ld.so.cache" => Some(MAX_CACHE),
        b"etc/ld.so.preload" => Some(MAX_SMALL),
        _ if musl::is_path_file(path) => Some(MAX_SMALL),
        _ => None,
    }
}

/// What the image's config tells a loader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoaderEnv {
    /// `LD_LIBRARY_PATH`
    pub library_path: Option<Vec<u8>>,
    /// `LD_PRELOAD`
    pub preload: Option<Vec<u8>>,
    /// Where relative names begin: the config's working directory.
    pub working_directory: ImagePath,
}

impl Default for LoaderEnv {
    fn default() -> Self {
        Self { library_path: None, preload: None, working_directory: ImagePath::root() }
    }
}

impl LoaderEnv {
    /// Takes what a loader reads from `NAME=VALUE` lines; the last of a name counts, an empty one does not.
    pub fn new<'a>(env: impl IntoIterator<Item = &'a str>, working_directory: ImagePath) -> Self {
        let mut new = Self { working_directory, ..Self::default() };
        for line in env {
            let value = |value: &str| (!value.is_empty()).then(|| value.as_bytes().to_vec());
            match line.split_once('=') {
                Some(("LD_LIBRARY_PATH", path)) => new.library_path = value(path),
                Some(("LD_PRELOAD", names)) => new.preload = value(names),
                _ => {}
            }
        }
        new
    }
}

/// A file that a loader would open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// Where it is: no symbolic link in it.
    pub path: ImagePath,
    /// Every symbolic link passed on the way, in order, by its own canonical name.
    pub links: Vec<ImagePath>,
    /// The absolute path that the loader opens; its directory is the library's `$ORIGIN`.
    pub opened: Box<[u8]>,
}

/// Which loader a process has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Loader {
    /// `ld-linux*.so`, and whatever else is not musl's.
    Glibc,
    /// `ld-musl-ARCH.so.1`
    Musl(Musl),
}

/// musl's loader, which is its C library too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Musl {
    /// The path it is started by, as programs name it.
    pub name: Box<[u8]>,
    /// `x86_64`, as in the loader's name.
    pub arch: Box<[u8]>,
}

impl Loader {
    /// The loader that `facts` asks for, or was built for where it asks for none.
    pub fn of(facts: &ElfFacts) -> Self {
        let arch_in = |name: &[u8], start: &[u8]| {
            let name = name.rsplit(|&byte| byte == b'/').next()?.strip_prefix(start)?;
            Some(Box::from(name.strip_suffix(b".so.1").unwrap_or(name)))
        };
        let musl = match &facts.interpreter {
            Some(name) => arch_in(name, b"ld-musl-").map(|arch| Musl { name: name.clone(), arch }),
            None => {
                facts.needed.iter().find_map(|name| arch_in(name, b"libc.musl-")).map(|arch: Box<[u8]>| {
                    Musl { name: [b"/lib/ld-musl-", &*arch, b".so.1"].concat().into(), arch }
                })
            }
        };
        musl.map_or(Self::Glibc, Self::Musl)
    }
}

/// Who asks for a library.
#[derive(Debug, Clone, Copy)]
pub struct Requester<'a> {
    /// The object with the `DT_NEEDED`.
    pub facts: &'a ElfFacts,
    /// Its directory, absolute.
    pub origin: &'a [u8],
    /// Search paths inherited from who loaded it, nearest first, the program's own last: facts and directory each.
    pub inherited: &'a [(&'a ElfFacts, &'a [u8])],
    /// The process's loader.
    pub loader: &'a Loader,
}

/// Finds libraries in one image under one environment.
pub struct Search<'a> {
    rootfs: &'a Rootfs,
    env: &'a LoaderEnv,
    cache: OnceCell<Option<Cache>>,
    /// Results of cache and default directories: they depend on nothing else.
    by_default: RefCell<HashMap<DefaultKey, Vec<Located>>>,
    /// Names in `glibc-hwcaps` of a directory.
    hwcaps: RefCell<HashMap<Vec<u8>, Vec<Vec<u8>>>>,
}

/// What stands at a path that a loader tries.
enum Probe {
    Fits(Located),
    /// Nothing, or for another machine: the loader goes on.
    Unfit,
    /// Something that is no library: the loader gives up.
    Broken,
}

/// What a search has found so far.
#[derive(Default)]
struct Hits {
    found: Vec<Located>,
    /// Every processor has a library, or the loader has given up.
    done: bool,
}

impl<'a> Search<'a> {
    /// A search in `rootfs` under `env`.
    pub fn new(rootfs: &'a Rootfs, env: &'a LoaderEnv) -> Self {
        Self {
            rootfs,
            env,
            cache: OnceCell::new(),
            by_default: RefCell::default(),
            hwcaps: RefCell::default(),
        }
    }

    /// The tree that is searched.
    pub fn rootfs(&self) -> &'a Rootfs {
        self.rootfs
    }

    /// Facts of the ELF file at the canonical `path`.
    pub fn facts(&self, path: &ImagePath) -> Option<&'a ElfFacts> {
        match &self.rootfs.entry(path)?.file()?.content {
            Content::Elf(facts) => Some(facts),
            _ => None,
        }
    }

    /// The program that the kernel starts for `PT_INTERP` `name`.
    pub fn interpreter(&self, name: &[u8]) -> Option<Located> {
        self.open(name)
    }

    /// What is loaded for `name`: several files where it depends on the processor, none where the loader fails.
    pub fn find(&self, name: &[u8], by: &Requester<'_>) -> Vec<Located> {
        match by.loader {
            Loader::Glibc => self.find_glibc(name, by),
            Loader::Musl(musl) => self.find_musl(name, by, musl).into_iter().collect(),
        }
    }

    /// Names of libraries that `loader` loads into every process, as written. musl has no file of them.
    pub fn preloads(&self, loader: &Loader) -> Vec<Vec<u8>> {
        let words = |text: &[u8], separators: &'static [u8]| {
            text.split(move |byte| separators.contains(byte))
                .filter(|word| !word.is_empty())
                .map(<[u8]>::to_vec)
                .collect::<Vec<_>>()
        };
        let mut names = words(self.env.preload.as_deref().unwrap_or_default(), b" :");
        let file = match loader {
            Loader::Glibc => self.rootfs.bytes_following(&ImagePath::literal(PRELOAD)),
            Loader::Musl(_) => None,
        };
        for line in file.unwrap_or_default().split(|&byte| byte == b'\n') {
            let text = line.split(|&byte| byte == b'#').next().unwrap_or_default();
            names.extend(words(text, b" :\t\r"));
        }
        names.truncate(MAX_DIRECTORIES);
        names
    }

    fn is_directory(&self, path: &str) -> bool {
        self.rootfs
            .resolve(&ImagePath::literal(path))
            .is_some_and(|found| self.rootfs.is_directory(&found.path))
    }

    fn probe(&self, opened: &[u8], want: &ElfFacts) -> Probe {
        let Some(located) = self.open(opened) else { return Probe::Unfit };
        let Some(file) = self.rootfs.entry(&located.path).and_then(|entry| entry.file()) else {
            return Probe::Broken;
        };
        match &file.content {
            Content::Elf(facts) if (facts.class, facts.machine) != (want.class, want.machine) => Probe::Unfit,
            Content::Elf(facts) if facts.kind == ObjectKind::SharedObject => Probe::Fits(located),
            // What cannot be read here may still be read by the loader.
            Content::ElfUnreadable => Probe::Fits(located),
            Content::Elf(_) | Content::Data | Content::Script(_) => Probe::Broken,
        }
    }

    fn open(&self, path: &[u8]) -> Option<Located> {
        let found = self.rootfs.resolve_from(&self.env.working_directory, path)?;
        let opened = if path.first() == Some(&b'/') {
            path.into()
        } else {
            [&self.env.working_directory.absolute(), &b"/"[..], path].concat().into()
        };
        Some(Located { path: found.path, links: found.links, opened })
    }
}

impl Hits {
    fn add(&mut self, located: Located) {
        if !self.found.iter().any(|known| known.opened == located.opened) {
            self.found.push(located);
        }
    }
}
