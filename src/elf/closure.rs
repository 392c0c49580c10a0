//! What a process maps: a program, its loader, and every library that these lead to, in loader order.
//!
//! Knows `DT_NEEDED` and preloading; what programs load by name at run time has rules elsewhere.

use std::collections::{BTreeMap, HashMap};

use super::facts::ElfFacts;
use super::search::{Loader, LoaderEnv, Located, Requester, Search};
use crate::path::ImagePath;
use crate::rootfs::Rootfs;

/// Most objects of one process. `LibreOffice` maps 300.
const MAX_OBJECTS: usize = 8192;

/// A library by name, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// As written in `DT_NEEDED`, `PT_INTERP` or a list of preloads.
    pub name: Box<[u8]>,
    /// The files: several where it depends on the processor, none where the loader would fail.
    pub found: Vec<Located>,
}

/// A name that leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Missing {
    /// Who needs it.
    pub file: ImagePath,
    /// As written there.
    pub name: Box<[u8]>,
}

/// One process: objects in the order they are loaded, the program first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Process {
    /// Objects with what each needs.
    pub objects: Vec<Object>,
}

/// An object of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Where it is, canonical.
    pub path: ImagePath,
    /// Loader, preloads (for the program) and libraries that it needs, in that order.
    pub needs: Vec<Need>,
}

/// What a set of files needs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Closure {
    /// For every object that is reached, what it needs; united over the processes it is in.
    pub needs: BTreeMap<ImagePath, Vec<Need>>,
    /// Names that lead nowhere in some process, sorted.
    pub missing: Vec<Missing>,
}

/// Everything that the ELF files `starts` (canonical paths) lead to, each as a process of its own.
///
/// A library among them is taken as loaded alone: with its own search path and no program's.
pub fn close_over(rootfs: &Rootfs, starts: &[ImagePath], env: &LoaderEnv) -> Closure {
    let search = Search::new(rootfs, env);
    let mut closure = Closure::default();
    for start in starts {
        closure.add(search.process(start));
    }
    closure
}

impl Closure {
    /// Adds a process.
    pub fn add(&mut self, process: Process) {
        self.missing.extend(process.missing());
        self.missing.sort();
        self.missing.dedup();
        for Object { path, needs } in process.objects {
            let known = self.needs.entry(path).or_default();
            for need in needs {
                match known.iter_mut().find(|known| known.name == need.name) {
                    None => known.push(need),
                    Some(known) => {
                        for located in need.found {
                            if !known.found.contains(&located) {
                                known.found.push(located);
                            }
                        }
                    }
                }
            }
        }
    }
}

impl Process {
    /// Names that lead nowhere, in loader order.
    pub fn missing(&self) -> impl Iterator<Item = Missing> + '_ {
        self.objects.iter().flat_map(|object| {
            let names = object.needs.iter().filter(|need| need.found.is_empty());
            names.map(|need| Missing { file: object.path.clone(), name: need.name.clone() })
        })
    }

    /// Every file that the process needs, canonical, with the links passed on the way; the program itself too.
    pub fn files(&self) -> impl Iterator<Item = &ImagePath> {
        self.objects.iter().flat_map(|object| {
            let found = object.needs.iter().flat_map(|need| &need.found);
            std::iter::once(&object.path)
                .chain(found.flat_map(|located| located.links.iter().chain([&located.path])))
        })
    }
}

impl Search<'_> {
    /// What the program or library at the canonical path `root` maps when it is started, or loaded alone.
    pub fn process(&self, root: &ImagePath) -> Process {
        let mut mapping = Mapping::new(self);
        mapping.start(root);
        mapping.finish(0)
    }

    /// What loading `plugin` adds to the process of `program`: the program's search path and the libraries it has
    /// already count. Only the objects that are added are listed.
    pub fn plugin(&self, program: &ImagePath, plugin: &ImagePath) -> Process {
        let mut mapping = Mapping::new(self);
        mapping.start(program);
        let known = mapping.objects.len();
        mapping.push(plugin.clone(), parent_of(&plugin.absolute()), Some(0));
        mapping.load_all();
        mapping.finish(known)
    }

    /// What the ELF file at the canonical path `file` needs itself: loader, preloads and libraries, without what
    /// these need. As loaded alone: inherited search paths are not known.
    pub fn needs_of(&self, file: &ImagePath) -> Vec<Need> {
        let mut mapping = Mapping::new(self);
        mapping.begin(file);
        mapping.load(0);
        mapping.finish(0).objects.into_iter().next().map(|object| object.needs).unwrap_or_default()
    }
}

/// A process while it is loaded.
struct Mapping<'s, 'a> {
    search: &'s Search<'a>,
    loader: Loader,
    objects: Vec<Mapped<'a>>,
    places: HashMap<ImagePath, usize>,
    /// Names that are satisfied already: as asked for, and sonames.
    names: HashMap<Box<[u8]>, Vec<Located>>,
}

struct Mapped<'a> {
    path: ImagePath,
    facts: Option<&'a ElfFacts>,
    origin: Vec<u8>,
    /// Who asked for it first.
    parent: Option<usize>,
    needs: Vec<Need>,
}

impl<'s, 'a> Mapping<'s, 'a> {
    fn new(search: &'s Search<'a>) -> Self {
        Self {
            search,
            loader: Loader::Glibc,
            objects: Vec::new(),
            places: HashMap::new(),
            names: HashMap::new(),
        }
    }

    fn start(&mut self, root: &ImagePath) {
        self.begin(root);
        self.load_all();
    }

    /// Maps the program, its loader and preloads.
    fn begin(&mut self, root: &ImagePath) {
        self.push(root.clone(), parent_of(&root.absolute()), None);
        let Some(facts) = self.search.facts(root) else { return };
        self.loader = Loader::of(facts);
        let Some(name) = &facts.interpreter else { return };
        let found: Vec<Located> = self.search.interpreter(name).into_iter().collect();
        // The loader is in the process already: who needs it by its soname gets this one.
        self.names.insert(name.clone(), found.clone());
        if let Some(soname) = found.first().and_then(|found| self.soname(&found.path)) {
            self.names.insert(soname, found.clone());
        }
        self.map(0, Need { name: name.clone(), found });
        for name in self.search.preloads(&self.loader) {
            let need = self.find(0, &name);
            // A preload that is not there is passed over.
            if !need.found.is_empty() {
                self.map(0, need);
            }
        }
    }

    fn load_all(&mut self) {
        let mut next = 0;
        while next < self.objects.len() && self.objects.len() < MAX_OBJECTS {
            self.load(next);
            next += 1;
        }
    }

    /// Maps what the object `at` needs, once.
    fn load(&mut self, at: usize) {
        let Some(facts) = self.objects.get(at).and_then(|object| object.facts) else { return };
        for name in &facts.needed {
            if self.objects.get(at).is_some_and(|object| object.needs.iter().any(|need| need.name == *name)) {
                continue;
            }
            let need = self.find(at, name);
            self.map(at, need);
        }
    }

    fn find(&self, at: usize, name: &[u8]) -> Need {
        let found = match self.names.get(name) {
            Some(known) => known.clone(),
            None => self.search_for(at, name),
        };
        Need { name: name.into(), found }
    }

    fn search_for(&self, at: usize, name: &[u8]) -> Vec<Located> {
        let Some(object) = self.objects.get(at) else { return Vec::new() };
        let Some(facts) = object.facts else { return Vec::new() };
        let mut inherited: Vec<(&ElfFacts, &[u8])> = Vec::new();
        let mut above = object.parent;
        // Parents come before children, so this ends.
        while let Some(object) = above.and_then(|at| self.objects.get(at)) {
            inherited.extend(object.facts.map(|facts| (facts, &*object.origin)));
            above = object.parent;
        }
        let by = Requester { facts, origin: &object.origin, inherited: &inherited, loader: &self.loader };
        self.search.find(name, &by)
    }

    /// Notes that the object `at` needs `need`, and maps what was found.
    fn map(&mut self, at: usize, need: Need) {
        for located in &need.found {
            if !self.places.contains_key(&located.path) && self.objects.len() < MAX_OBJECTS {
                self.push(located.path.clone(), parent_of(&located.opened), Some(at));
            }
            if let Some(soname) = self.soname(&located.path) {
                self.names.entry(soname).or_insert_with(|| need.found.clone());
            }
        }
        // What musl has loaded by its path is no answer to its bare name.
        let by_path = matches!(self.loader, Loader::Musl(_)) && need.name.contains(&b'/');
        if !need.found.is_empty() && !by_path {
            self.names.entry(need.name.clone()).or_insert_with(|| need.found.clone());
        }
        if let Some(object) = self.objects.get_mut(at) {
            object.needs.push(need);
        }
    }

    /// The name that the object at `path` gives itself, if the loader asks for it: musl does not.
    fn soname(&self, path: &ImagePath) -> Option<Box<[u8]>> {
        match self.loader {
            Loader::Glibc => self.search.facts(path)?.soname.clone(),
            Loader::Musl(_) => None,
        }
    }

    fn push(&mut self, path: ImagePath, origin: Vec<u8>, parent: Option<usize>) {
        if self.places.contains_key(&path) {
            return;
        }
        self.places.insert(path.clone(), self.objects.len());
        let facts = self.search.facts(&path);
        self.objects.push(Mapped { path, facts, origin, parent, needs: Vec::new() });
    }

    fn finish(self, from: usize) -> Process {
        let objects = self.objects.into_iter().skip(from);
        Process { objects: objects.map(|object| Object { path: object.path, needs: object.needs }).collect() }
    }
}

/// The directory of an absolute path, as written.
fn parent_of(path: &[u8]) -> Vec<u8> {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(0) | None => b"/".to_vec(),
        Some(at) => path.get(..at).unwrap_or_default().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rootfs::dump::parse_image;

    /// The fixture's programs have glibc's loader.
    const LOADER: &str =
        "/lib64/ld-linux-x86-64.so.2 l /usr/lib/ld.so\n/usr/lib/ld.so f elf soname=ld-linux-x86-64.so.2";

    fn files(process: &Process) -> Vec<String> {
        process.objects.iter().map(|object| object.path.to_string()).collect()
    }

    fn missing(process: &Process) -> Vec<String> {
        let name = |missing: Missing| format!("{} {}", missing.file, String::from_utf8_lossy(&missing.name));
        process.missing().map(name).collect()
    }

    fn with<T>(image: &str, env: &[&str], act: impl FnOnce(&Search<'_>) -> T) -> T {
        let rootfs = parse_image(
            &format!("{LOADER}\n{image}").replace("PROGRAM", "f elf interp=/lib64/ld-linux-x86-64.so.2"),
        );
        let env = LoaderEnv::new(env.iter().copied(), ImagePath::root());
        act(&Search::new(&rootfs, &env))
    }

    fn process(image: &str, root: &str) -> Process {
        with(image, &[], |search| search.process(&ImagePath::literal(root)))
    }

    #[test]
    fn libraries_are_loaded_breadth_first_after_the_loader() {
        let process = process(
            "/bin/x PROGRAM needed=a.so,b.so\n/lib/a.so f elf needed=c.so\n/lib/b.so f elf\n/lib/c.so f elf needed=ld-linux-x86-64.so.2,a.so",
            "/bin/x",
        );
        assert_eq!(files(&process), ["/bin/x", "/usr/lib/ld.so", "/lib/a.so", "/lib/b.so", "/lib/c.so"]);
        assert_eq!(missing(&process), [""; 0]);
        assert!(
            process.files().any(|file| *file == ImagePath::literal("/lib64/ld-linux-x86-64.so.2")),
            "links stay"
        );
    }

    #[test]
    fn rpath_is_inherited_and_runpath_is_not() {
        let libraries = "/p/a.so f elf needed=b.so\n/p/b.so f elf";
        let rpath = process(&format!("/bin/x PROGRAM needed=a.so rpath=/p\n{libraries}"), "/bin/x");
        assert_eq!(missing(&rpath), [""; 0]);
        let runpath = process(&format!("/bin/x PROGRAM needed=a.so runpath=/p\n{libraries}"), "/bin/x");
        assert_eq!(missing(&runpath), ["/p/a.so b.so"]);
        // An object with RUNPATH forgets the RPATH of its loaders.
        let libraries = "/p/a.so f elf needed=b.so runpath=/q\n/p/b.so f elf";
        let mixed = process(&format!("/bin/x PROGRAM needed=a.so rpath=/p\n{libraries}"), "/bin/x");
        assert_eq!(missing(&mixed), ["/p/a.so b.so"]);
    }

    #[test]
    fn what_is_loaded_already_serves_by_name_and_soname() {
        let process = process(
            "/bin/x PROGRAM needed=/p/file.so,a.so runpath=/p\n/p/file.so f elf soname=real.so.1\n/p/a.so f elf needed=real.so.1",
            "/bin/x",
        );
        assert_eq!(missing(&process), [""; 0]);
        assert_eq!(files(&process), ["/bin/x", "/usr/lib/ld.so", "/p/file.so", "/p/a.so"]);
    }

    #[test]
    fn a_soname_answers_for_a_library_under_glibc_and_not_under_musl() {
        let image = "needed=/p/file.so,a.so runpath=/p\n/p/file.so f elf soname=real.so.1\n/p/a.so f elf needed=real.so.1";
        let glibc = process(&format!("/bin/x PROGRAM {image}"), "/bin/x");
        assert_eq!(missing(&glibc), [""; 0]);
        let musl = process(&format!("/bin/x f elf interp=/lib/ld-musl-x86_64.so.1 {image}"), "/bin/x");
        assert_eq!(missing(&musl), ["/bin/x /lib/ld-musl-x86_64.so.1", "/p/a.so real.so.1"]);
    }

    #[test]
    fn origin_is_where_a_library_was_opened_not_where_its_link_leads() {
        let image = "/bin/x PROGRAM needed=a.so runpath=/links\n/links/a.so l /real/a.so\n/real/a.so f elf needed=b.so runpath=$ORIGIN";
        assert_eq!(missing(&process(&format!("{image}\n/real/b.so f elf"), "/bin/x")), ["/real/a.so b.so"]);
        assert_eq!(missing(&process(&format!("{image}\n/links/b.so f elf"), "/bin/x")), [""; 0]);
    }

    #[test]
    fn a_plugin_sees_what_its_program_has() {
        let image = "/bin/x PROGRAM needed=a.so rpath=/p\n/p/a.so f elf\n/p/b.so f elf\n/m/plugin.so f elf needed=a.so,b.so";
        let (program, plugin) = (ImagePath::literal("/bin/x"), ImagePath::literal("/m/plugin.so"));
        let alone = with(image, &[], |search| search.process(&plugin));
        assert_eq!(missing(&alone), ["/m/plugin.so a.so", "/m/plugin.so b.so"]);
        let inside = with(image, &[], |search| search.plugin(&program, &plugin));
        assert_eq!(missing(&inside), [""; 0]);
        assert_eq!(files(&inside), ["/m/plugin.so", "/p/b.so"]);
    }

    #[test]
    fn preloads_are_needs_of_the_program_if_they_are_there() {
        let image = "/bin/x PROGRAM\n/lib/jemalloc.so f elf needed=c.so\n/lib/c.so f elf\n/bin/static f elf exec static";
        let env = ["LD_PRELOAD=jemalloc.so nothing.so"];
        let process = with(image, &env, |search| search.process(&ImagePath::literal("/bin/x")));
        assert_eq!(files(&process), ["/bin/x", "/usr/lib/ld.so", "/lib/jemalloc.so", "/lib/c.so"]);
        assert_eq!(missing(&process), [""; 0]);
        let process = with(image, &env, |search| search.process(&ImagePath::literal("/bin/static")));
        assert_eq!(files(&process), ["/bin/static"]);
    }

    #[test]
    fn a_missing_loader_is_missing() {
        let rootfs = parse_image("/bin/x f elf interp=/lib/none.so.1");
        let closure = close_over(&rootfs, &[ImagePath::literal("/bin/x")], &LoaderEnv::default());
        assert_eq!(closure.missing.len(), 1);
        assert_eq!(&*closure.missing[0].name, b"/lib/none.so.1");
    }

    #[test]
    fn closures_unite_processes() {
        let image = format!(
            "{LOADER}\n/bin/x PROGRAM needed=a.so runpath=/p\n/bin/y PROGRAM needed=a.so runpath=/q\n/p/a.so f elf needed=c.so\n/q/a.so f elf needed=c.so\n/lib/c.so f elf"
        )
        .replace("PROGRAM", "f elf interp=/lib64/ld-linux-x86-64.so.2");
        let rootfs = parse_image(&image);
        let starts = [ImagePath::literal("/bin/x"), ImagePath::literal("/bin/y")];
        let closure = close_over(&rootfs, &starts, &LoaderEnv::default());
        assert_eq!(closure.needs.len(), 6);
        assert!(closure.missing.is_empty());
        let env = LoaderEnv::default();
        let direct = Search::new(&rootfs, &env).needs_of(&starts[0]);
        let names: Vec<&[u8]> = direct.iter().map(|need| &*need.name).collect();
        assert_eq!(names, [&b"/lib64/ld-linux-x86-64.so.2"[..], b"a.so"]);
    }

    #[test]
    fn cycles_end() {
        let process = process(
            "/bin/x PROGRAM needed=a.so\n/lib/a.so f elf needed=b.so\n/lib/b.so f elf needed=a.so,b.so",
            "/bin/x",
        );
        assert_eq!(files(&process).len(), 4);
    }
}
