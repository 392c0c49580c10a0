//! glibc's rules (`ld.so(8)`, `elf/dl-load.c`).
//!
//! Does not know which processor the image will run on: all that the loader may choose from is found.

use super::tokens::triplet;
use super::{Hits, Located, MAX_DIRECTORIES, Probe, Requester, Search};
use crate::elf::cache::Cache;
use crate::elf::facts::{Class, ElfFacts};
use crate::path::ImagePath;

const CACHE: &str = "etc/ld.so.cache";

pub(super) type DefaultKey = (Class, u16, bool, Box<[u8]>);

impl Search<'_> {
    pub(super) fn find_glibc(&self, name: &[u8], by: &Requester<'_>) -> Vec<Located> {
        let name = &*self.expand(name, by.facts, by.origin);
        if name.contains(&b'/') {
            return match self.probe(name, by.facts) {
                Probe::Fits(located) => vec![located],
                Probe::Unfit | Probe::Broken => Vec::new(),
            };
        }
        let mut hits = Hits::default();
        // RUNPATH makes the loader forget RPATH, the object's own and the inherited ones.
        if by.facts.runpath.is_none() {
            for (facts, origin) in [(by.facts, by.origin)].iter().chain(by.inherited) {
                if let (Some(rpath), None) = (&facts.rpath, &facts.runpath) {
                    self.look_in_path(rpath, b":", name, (facts, origin), by.facts, &mut hits);
                }
            }
        }
        if let Some(path) = &self.env.library_path {
            let program = by.inherited.last().copied().unwrap_or((by.facts, by.origin));
            self.look_in_path(path, b":;", name, program, by.facts, &mut hits);
        }
        if let Some(runpath) = &by.facts.runpath {
            self.look_in_path(runpath, b":", name, (by.facts, by.origin), by.facts, &mut hits);
        }
        if !hits.done {
            for located in self.find_by_default(name, by.facts) {
                hits.add(located);
            }
        }
        hits.found
    }

    /// Cache and default directories.
    fn find_by_default(&self, name: &[u8], facts: &ElfFacts) -> Vec<Located> {
        let key: DefaultKey = (facts.class, facts.machine, facts.no_default_lib, name.into());
        if let Some(known) = self.by_default.borrow().get(&key) {
            return known.clone();
        }
        let mut hits = Hits::default();
        let directories = default_directories(facts);
        let cached = self.cache().map_or(&[][..], |cache| cache.get(name));
        for entry in cached {
            let parent =
                entry.path.iter().rposition(|&byte| byte == b'/').and_then(|at| entry.path.get(..at));
            let is_default = directories.iter().any(|directory| parent == Some(directory));
            if !(hits.done || facts.no_default_lib && is_default) {
                // A cached file that is gone or broken does not end the search.
                if let Probe::Fits(located) = self.probe(&entry.path, facts) {
                    hits.add(located);
                    hits.done |= !entry.for_some_processors;
                }
            }
        }
        if !facts.no_default_lib {
            for directory in &directories {
                self.look_in(directory, name, facts, &mut hits);
            }
        }
        self.by_default.borrow_mut().insert(key, hits.found.clone());
        hits.found
    }

    fn cache(&self) -> Option<&Cache> {
        self.cache
            .get_or_init(|| Cache::parse(&self.rootfs.bytes_following(&ImagePath::literal(CACHE))?))
            .as_ref()
    }

    fn look_in_path(
        &self,
        path: &[u8],
        separators: &[u8],
        name: &[u8],
        (owner, origin): (&ElfFacts, &[u8]),
        want: &ElfFacts,
        hits: &mut Hits,
    ) {
        if path.is_empty() {
            return;
        }
        for directory in path.split(|byte| separators.contains(byte)).take(MAX_DIRECTORIES) {
            if hits.done {
                return;
            }
            // An empty directory is the working directory.
            self.look_in(&self.expand(directory, owner, origin), name, want, hits);
        }
    }

    fn look_in(&self, directory: &[u8], name: &[u8], want: &ElfFacts, hits: &mut Hits) {
        if hits.done {
            return;
        }
        let relative = directory.is_empty();
        let join = |middle: &[u8]| {
            let directory: &[u8] = if relative { b"." } else { directory };
            [directory, b"/", middle, name].concat()
        };
        for capability in self.hwcaps_in(directory) {
            let middle = [b"glibc-hwcaps/", &*capability, b"/"].concat();
            if let Probe::Fits(located) = self.probe(&join(&middle), want) {
                hits.add(located);
            }
        }
        match self.probe(&join(b""), want) {
            Probe::Fits(located) => {
                hits.add(located);
                hits.done = true;
            }
            Probe::Unfit => {}
            Probe::Broken => hits.done = true,
        }
    }

    fn hwcaps_in(&self, directory: &[u8]) -> Vec<Vec<u8>> {
        if let Some(known) = self.hwcaps.borrow().get(directory) {
            return known.clone();
        }
        let place = [directory, b"/glibc-hwcaps"].concat();
        let names: Vec<Vec<u8>> = match self.rootfs.resolve_from(&self.env.working_directory, &place) {
            Some(found) if self.rootfs.is_directory(&found.path) => {
                self.rootfs.children(&found.path).map(|(path, _)| path.name().to_vec()).collect()
            }
            _ => Vec::new(),
        };
        self.hwcaps.borrow_mut().insert(directory.to_vec(), names.clone());
        names
    }
}

/// The directories that are compiled into the loader, which differ by distribution.
fn default_directories(facts: &ElfFacts) -> Vec<Vec<u8>> {
    let mut directories: Vec<Vec<u8>> = Vec::new();
    if let Some(triplet) = triplet(facts) {
        directories
            .extend([format!("/lib/{triplet}").into_bytes(), format!("/usr/lib/{triplet}").into_bytes()]);
    }
    // Debian's loader knows no `lib64`, but then it holds nothing there.
    if facts.class == Class::Elf64 {
        directories.extend([b"/lib64".to_vec(), b"/usr/lib64".to_vec()]);
    }
    directories.extend([b"/lib".to_vec(), b"/usr/lib".to_vec()]);
    directories
}
