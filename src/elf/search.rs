//! Where a dynamic loader finds a library by name inside the image: glibc's rules (`ld.so(8)`,
//! `elf/dl-load.c`), and musl's (`ldso/dynlink.c`).
//!
//! One name at a time; what a whole process loads is `elf::closure`'s. Does not know which processor the image will
//! run on: what a library has for some processors is found along with what it has for the others.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;

use super::cache::Cache;
use super::facts::{Class, ElfFacts, ObjectKind};
use crate::path::ImagePath;
use crate::rootfs::{Content, Rootfs};

const CACHE: &str = "etc/ld.so.cache";
const PRELOAD: &str = "etc/ld.so.preload";

/// Largest `ld.so.cache`: a desktop's has 300 KiB.
const MAX_CACHE: u64 = 16 << 20;

/// Largest of the small text files.
const MAX_SMALL: u64 = 1 << 20;

/// Most directories of one search path.
const MAX_DIRECTORIES: usize = 1024;

/// Longest path after `$ORIGIN` and the like are put in.
const MAX_EXPANDED: usize = 4096;

/// How many bytes of the file at `path` pass 1 must keep for [`Search`]; `None`: none.
pub fn wanted(path: &ImagePath) -> Option<u64> {
    match path.as_bytes() {
        b"etc/ld.so.cache" => Some(MAX_CACHE),
        b"etc/ld.so.preload" => Some(MAX_SMALL),
        name if name.starts_with(b"etc/ld-musl-") && name.ends_with(b".path") => Some(MAX_SMALL),
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
    Musl {
        /// `x86_64`, as in the loader's name.
        arch: Vec<u8>,
    },
}

impl Loader {
    /// The loader that `facts` asks for, or was built for where it asks for none.
    pub fn of(facts: &ElfFacts) -> Self {
        let arch_in = |name: &[u8], start: &[u8]| {
            let name = name.rsplit(|&byte| byte == b'/').next()?.strip_prefix(start)?;
            Some(name.strip_suffix(b".so.1").unwrap_or(name).to_vec())
        };
        let arch = match &facts.interpreter {
            Some(name) => arch_in(name, b"ld-musl-"),
            None => facts.needed.iter().find_map(|name| arch_in(name, b"libc.musl-")),
        };
        arch.map_or(Self::Glibc, |arch| Self::Musl { arch })
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

type DefaultKey = (Class, u16, bool, Box<[u8]>);

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
            Loader::Musl { arch } => self.find_musl(name, by, arch).into_iter().collect(),
        }
    }

    /// Names of libraries that the environment has loaded into every process, as written.
    pub fn preloads(&self) -> Vec<Vec<u8>> {
        let words = |text: &[u8], separators: &'static [u8]| {
            text.split(move |byte| separators.contains(byte))
                .filter(|word| !word.is_empty())
                .map(<[u8]>::to_vec)
                .collect::<Vec<_>>()
        };
        let mut names = words(self.env.preload.as_deref().unwrap_or_default(), b" :");
        for line in self
            .rootfs
            .bytes_following(&ImagePath::literal(PRELOAD))
            .unwrap_or_default()
            .split(|&byte| byte == b'\n')
        {
            let text = line.split(|&byte| byte == b'#').next().unwrap_or_default();
            names.extend(words(text, b" :\t\r"));
        }
        names.truncate(MAX_DIRECTORIES);
        names
    }

    fn find_glibc(&self, name: &[u8], by: &Requester<'_>) -> Vec<Located> {
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
            .get_or_init(|| Cache::parse(self.rootfs.bytes_following(&ImagePath::literal(CACHE))?))
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

    /// `$ORIGIN`, `$LIB` and `$PLATFORM`, with or without braces, put into `text`.
    fn expand(&self, text: &[u8], facts: &ElfFacts, origin: &[u8]) -> Box<[u8]> {
        if !text.contains(&b'$') {
            return text.into();
        }
        let library: Vec<u8> = match triplet(facts) {
            Some(triplet) if self.is_directory(&format!("/usr/lib/{triplet}")) => {
                format!("lib/{triplet}").into_bytes()
            }
            _ if facts.class == Class::Elf64 && self.is_directory("/usr/lib64") => b"lib64".to_vec(),
            _ => b"lib".to_vec(),
        };
        let tokens: [(&[u8], &[u8]); 3] =
            [(b"ORIGIN", origin), (b"LIB", &library), (b"PLATFORM", platform(facts.machine))];
        let mut out = Vec::new();
        let mut rest = text;
        while let Some((first, tail)) = rest.split_first() {
            let token = tokens.iter().find_map(|(token, value)| {
                if *first != b'$' {
                    return None;
                }
                let braced =
                    tail.strip_prefix(b"{").and_then(|tail| tail.strip_prefix(*token)?.strip_prefix(b"}"));
                let bare = || {
                    let after = tail.strip_prefix(*token)?;
                    let goes_on =
                        after.first().is_some_and(|next| next.is_ascii_alphanumeric() || *next == b'_');
                    (!goes_on).then_some(after)
                };
                Some((value, braced.or_else(bare)?))
            });
            rest = if let Some((value, after)) = token {
                out.extend_from_slice(value);
                after
            } else {
                out.push(*first);
                tail
            };
            if out.len() > MAX_EXPANDED {
                return text.into();
            }
        }
        out.into()
    }

    fn is_directory(&self, path: &str) -> bool {
        self.rootfs
            .resolve(&ImagePath::literal(path))
            .is_some_and(|found| self.rootfs.is_directory(&found.path))
    }

    /// Musl looks in `LD_LIBRARY_PATH`, the paths of object and loaders (RUNPATH and RPATH are one to it), and its
    /// path file or three directories. It has its own libraries inside it.
    fn find_musl(&self, name: &[u8], by: &Requester<'_>, arch: &[u8]) -> Option<Located> {
        let own = [&b"libc."[..], b"libpthread.", b"librt.", b"libm.", b"libdl.", b"libutil.", b"libxnet."];
        if own.iter().any(|own| name.starts_with(own)) {
            return self.open(&[b"/lib/ld-musl-", arch, b".so.1"].concat());
        }
        if name.contains(&b'/') {
            return self.open(name);
        }
        let file = [b"etc/ld-musl-", arch, b".path"].concat();
        let listed = ImagePath::parse(&file).ok().and_then(|file| self.rootfs.bytes_following(&file));
        let system = listed.unwrap_or(b"/lib:/usr/local/lib:/usr/lib");
        let chain = [(by.facts, by.origin)];
        let own_paths = chain.iter().chain(by.inherited).filter_map(|(facts, origin)| {
            Some((&**facts.runpath.as_ref().or(facts.rpath.as_ref())?, *origin))
        });
        let environment = self.env.library_path.as_deref().map(|path| (path, by.origin));
        for (path, origin) in environment.into_iter().chain(own_paths).chain([(system, by.origin)]) {
            for directory in path.split(|byte| matches!(byte, b':' | b'\n')).take(MAX_DIRECTORIES) {
                let directory = self.expand(directory, by.facts, origin);
                if directory.is_empty() {
                    continue;
                }
                if let Probe::Fits(located) = self.probe(&[&*directory, b"/", name].concat(), by.facts) {
                    return Some(located);
                }
            }
        }
        None
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

/// Debian's name for a machine, by `e_machine`.
fn triplet(facts: &ElfFacts) -> Option<&'static str> {
    Some(match (facts.machine, facts.class) {
        (3, _) => "i386-linux-gnu",
        (8, Class::Elf64) => "mips64el-linux-gnuabi64",
        (8, Class::Elf32) => "mipsel-linux-gnu",
        (21, _) => "powerpc64le-linux-gnu",
        (22, _) => "s390x-linux-gnu",
        (40, _) => "arm-linux-gnueabihf",
        (62, Class::Elf64) => "x86_64-linux-gnu",
        (62, Class::Elf32) => "x86_64-linux-gnux32",
        (183, _) => "aarch64-linux-gnu",
        (243, _) => "riscv64-linux-gnu",
        (258, _) => "loongarch64-linux-gnu",
        _ => return None,
    })
}

/// What `$PLATFORM` becomes (`AT_PLATFORM`); glibc before 2.37 says `haswell` on some x86 processors.
fn platform(machine: u16) -> &'static [u8] {
    match machine {
        3 => b"i686",
        21 => b"power8",
        22 => b"z900",
        40 => b"v7l",
        62 => b"x86_64",
        183 => b"aarch64",
        _ => b"",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elf::cache::tests::new_format;
    use crate::path::Escaped;
    use crate::rootfs::dump::parse_image;

    const MAIN: &str = "/app/bin/main f elf interp=/lib64/ld-linux-x86-64.so.2";

    /// Looks for `name` on behalf of an object at /app/bin with the `facts` of the fixture line.
    fn check(image: &str, env: &[&str], options: &str, name: &str, expect: &[&str]) {
        let rootfs = parse_image(&format!("{image}\n{MAIN} {options}"));
        let env = LoaderEnv::new(env.iter().copied(), ImagePath::literal("/home/app"));
        let search = Search::new(&rootfs, &env);
        let facts = search.facts(&ImagePath::literal("/app/bin/main")).unwrap();
        let loader = Loader::of(facts);
        let by = Requester { facts, origin: b"/app/bin", inherited: &[], loader: &loader };
        let found: Vec<String> =
            search.find(name.as_bytes(), &by).iter().map(|located| located.path.to_string()).collect();
        assert_eq!(found, expect, "{name} in\n{image}\n{options}");
    }

    #[test]
    fn paths_are_searched_in_the_loaders_order() {
        let image = "/r/liba.so f elf\n/e/liba.so f elf\n/u/liba.so f elf\n/usr/lib/liba.so f elf";
        let env = &["LD_LIBRARY_PATH=/e"][..];
        check(image, env, "rpath=/r", "liba.so", &["/r/liba.so"]);
        check(image, env, "rpath=/r runpath=/u", "liba.so", &["/e/liba.so"]);
        check(image, &[], "rpath=/r runpath=/u", "liba.so", &["/u/liba.so"]);
        check(image, &["LD_LIBRARY_PATH=", "OTHER=/e"], "", "liba.so", &["/usr/lib/liba.so"]);
        check(image, &["LD_LIBRARY_PATH=/nothing;/e"], "", "liba.so", &["/e/liba.so"]);
        check(image, &[], "", "libb.so", &[]);
    }

    #[test]
    fn tokens_stand_for_directories() {
        let image = "/app/lib/liba.so f elf\n/x/lib/x86_64-linux-gnu/libb.so f elf\n/usr/lib/x86_64-linux-gnu d\n/x/x86_64/libc.so f elf";
        check(image, &[], "runpath=$ORIGIN/../lib", "liba.so", &["/app/lib/liba.so"]);
        check(image, &[], "runpath=/none:${ORIGIN}/../lib", "liba.so", &["/app/lib/liba.so"]);
        check(image, &[], "runpath=$ORIGINAL/../lib", "liba.so", &[]);
        check(image, &[], "runpath=/x/$LIB", "libb.so", &["/x/lib/x86_64-linux-gnu/libb.so"]);
        check(image, &[], "runpath=/x/$PLATFORM", "libc.so", &["/x/x86_64/libc.so"]);
        check(image, &[], "", "$ORIGIN/../lib/liba.so", &["/app/lib/liba.so"]);
    }

    #[test]
    fn relative_directories_begin_at_the_working_directory() {
        let image = "/home/app/liba.so f elf\n/home/app/sub/libb.so f elf";
        check(image, &["LD_LIBRARY_PATH=:/none"], "", "liba.so", &["/home/app/liba.so"]);
        check(image, &[], "runpath=sub", "libb.so", &["/home/app/sub/libb.so"]);
        check(image, &[], "", "sub/libb.so", &["/home/app/sub/libb.so"]);
        check(image, &[], "runpath=", "liba.so", &[]);
    }

    #[test]
    fn capabilities_add_files_and_do_not_end_the_search() {
        let image = "/u/glibc-hwcaps/x86-64-v3/liba.so f elf\n/u/glibc-hwcaps/x86-64-v2/libb.so f elf\n/u/libb.so f elf\n/usr/lib/liba.so f elf";
        check(
            image,
            &[],
            "runpath=/u",
            "liba.so",
            &["/u/glibc-hwcaps/x86-64-v3/liba.so", "/usr/lib/liba.so"],
        );
        check(image, &[], "runpath=/u", "libb.so", &["/u/glibc-hwcaps/x86-64-v2/libb.so", "/u/libb.so"]);
    }

    #[test]
    fn what_is_no_library_ends_the_search() {
        let image = "/u/liba.so f \"INPUT(x)\"\n/usr/lib/liba.so f elf\n/u/libb.so f elf exec\n/usr/lib/libb.so f elf";
        check(image, &[], "runpath=/u", "liba.so", &[]);
        check(image, &[], "runpath=/u", "libb.so", &[]);
        check(image, &[], "runpath=/none", "liba.so", &["/usr/lib/liba.so"]);
    }

    #[test]
    fn libraries_of_other_machines_are_passed_over() {
        let mut layers = crate::rootfs::dump::parse_layers(&format!(
            "/u/liba.so f elf\n/u2/liba.so f elf\n/usr/lib/liba.so f elf\n{MAIN} runpath=/u:/u2"
        ));
        for entry in &mut layers[0].entries {
            if let crate::rootfs::Kind::File(file) = &mut entry.kind
                && let Content::Elf(facts) = &mut file.content
            {
                match entry.path.as_bytes() {
                    b"u/liba.so" => facts.machine = 183,
                    b"u2/liba.so" => facts.class = Class::Elf32,
                    _ => {}
                }
            }
        }
        let rootfs = Rootfs::merge(layers).unwrap();
        let env = LoaderEnv::default();
        let search = Search::new(&rootfs, &env);
        let facts = search.facts(&ImagePath::literal("/app/bin/main")).unwrap();
        let by = Requester { facts, origin: b"/app/bin", inherited: &[], loader: &Loader::Glibc };
        assert_eq!(search.find(b"liba.so", &by)[0].path, ImagePath::literal("/usr/lib/liba.so"));
    }

    #[test]
    fn the_cache_comes_before_default_directories_and_may_be_stale() {
        let bytes = new_format(&[
            ("liba.so", "/opt/v3/liba.so", 1 << 62),
            ("liba.so", "/opt/liba.so", 0),
            ("libb.so", "/opt/gone/libb.so", 0),
        ]);
        let image = format!(
            "/etc/ld.so.cache f \"{}\"\n/opt/v3/liba.so f elf\n/opt/liba.so f elf\n/usr/lib/liba.so f elf\n/usr/lib/libb.so f elf",
            Escaped::new(&bytes)
        );
        check(&image, &[], "", "liba.so", &["/opt/v3/liba.so", "/opt/liba.so"]);
        check(&image, &[], "", "libb.so", &["/usr/lib/libb.so"]);
    }

    #[test]
    fn links_on_the_way_are_told() {
        let rootfs = parse_image("/lib l usr/lib\n/usr/lib/liba.so l liba.so.1\n/usr/lib/liba.so.1 f elf");
        let env = LoaderEnv::default();
        let search = Search::new(&rootfs, &env);
        let facts = ElfFacts { machine: 62, ..ElfFacts::default() };
        let by = Requester { facts: &facts, origin: b"/", inherited: &[], loader: &Loader::Glibc };
        let found = search.find(b"liba.so", &by);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].path, ImagePath::literal("/usr/lib/liba.so.1"));
        assert_eq!(found[0].links, [ImagePath::literal("/lib"), ImagePath::literal("/usr/lib/liba.so")]);
        assert_eq!(&*found[0].opened, b"/lib/liba.so");
    }

    #[test]
    fn musl_has_its_own_libraries_inside_and_its_own_path() {
        let loader = "/lib/ld-musl-x86_64.so.1 f elf soname=libc.musl-x86_64.so.1\n/usr/local/lib/liba.so f elf\n/usr/lib/liba.so f elf";
        let musl = "interp=/lib/ld-musl-x86_64.so.1";
        check(loader, &[], musl, "libc.musl-x86_64.so.1", &["/lib/ld-musl-x86_64.so.1"]);
        check(loader, &[], musl, "liba.so", &["/usr/local/lib/liba.so"]);
        let listed = format!("{loader}\n/etc/ld-musl-x86_64.path f \"/usr/lib\\n\"");
        check(&listed, &[], musl, "liba.so", &["/usr/lib/liba.so"]);
    }

    #[test]
    fn preloads_come_from_environment_and_file() {
        let rootfs = parse_image("/etc/ld.so.preload f \"# all\\n/lib/a.so b.so # c.so\\n\"");
        let env = LoaderEnv::new(["LD_PRELOAD=x.so:/y.so"], ImagePath::root());
        let search = Search::new(&rootfs, &env);
        let names: Vec<String> =
            search.preloads().iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        assert_eq!(names, ["x.so", "/y.so", "/lib/a.so", "b.so"]);
    }

    #[test]
    fn the_files_that_a_loader_reads_are_wanted() {
        for path in ["/etc/ld.so.cache", "/etc/ld.so.preload", "/etc/ld-musl-x86_64.path"] {
            assert!(wanted(&ImagePath::literal(path)).is_some(), "{path}");
        }
        assert!(wanted(&ImagePath::literal("/etc/ld.so.conf")).is_none());
    }
}
