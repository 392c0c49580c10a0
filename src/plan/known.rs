//! All that is known when the plan is made, in one place.
//!
//! References only; gathers nothing itself.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::accounts::Accounts;
use crate::catalog::{Catalog, Class, Rule, Rules};
use crate::image::Config;
use crate::options::Options;
use crate::packages::{Database, Package, PackageId};
use crate::path::ImagePath;
use crate::path::glob::PathGlobs;
use crate::plan::likeness::{Likeness, Originals};
use crate::plan::traced::Traced;
use crate::recipe::Recipe;
use crate::rootfs::{Content, EntryId, Kind, Rootfs};

/// What a plan is made from.
pub struct Known<'a> {
    /// The merged file tree.
    pub rootfs: &'a Rootfs,
    /// The source's config.
    pub config: &'a Config,
    /// The config's working directory.
    pub working_dir: ImagePath,
    /// The package database, if the image has one that kiln reads.
    pub packages: Option<&'a Database>,
    /// passwd and group.
    pub accounts: &'a Accounts,
    /// Recipes in the order in which they are asked: the user's, then kiln's own.
    pub recipes: &'a [Recipe],
    /// What the user asked for.
    pub options: &'a Options,
    /// What runs of the image showed, where it was watched.
    pub traced: Option<Traced<'a>>,
    /// Every name of an inode that has more than one, in byte order.
    pub names: HashMap<EntryId, Vec<ImagePath>>,
    /// Packages that are tools, or that were installed only because tools need them.
    pub for_tools: BTreeSet<PackageId>,
    /// Packages that no other depends on: somebody asked for them.
    pub leaves: BTreeSet<PackageId>,
    originals: Originals,
}

impl<'a> Known<'a> {
    /// Gathers references, and the names of hard links.
    pub fn new(
        rootfs: &'a Rootfs,
        config: &'a Config,
        packages: Option<&'a Database>,
        accounts: &'a Accounts,
        recipes: &'a [Recipe],
        options: &'a Options,
    ) -> Self {
        let working_dir =
            ImagePath::parse(config.working_dir.as_bytes()).unwrap_or_else(|_| ImagePath::root());
        let mut names: HashMap<EntryId, Vec<ImagePath>> = HashMap::new();
        for (path, node) in rootfs.nodes() {
            // Only inodes with a hard link somewhere are remembered.
            if let (Some(name), Some(inode)) = (node.name, node.inode)
                && name != inode
            {
                names.entry(inode).or_default().push(path.clone());
            }
        }
        for (path, node) in rootfs.nodes() {
            if let (Some(name), Some(inode)) = (node.name, node.inode)
                && name == inode
                && let Some(list) = names.get_mut(&inode)
            {
                list.push(path.clone());
                list.sort();
            }
        }
        let dependents = packages.map_or_else(BTreeMap::new, dependents);
        let for_tools = packages.map_or_else(BTreeSet::new, |packages| for_tools(packages, &dependents));
        let installed = packages.iter().flat_map(|packages| packages.installed());
        let leaves = installed.map(|(id, _)| id).filter(|id| !dependents.contains_key(id)).collect();
        let originals = Originals::default();
        let mut known = Self {
            rootfs,
            config,
            working_dir,
            packages,
            accounts,
            recipes,
            options,
            traced: options.profile.as_ref().map(|own| Traced::new(&own.profile)),
            names,
            for_tools,
            leaves,
            originals,
        };
        known.originals = Originals::of(&known);
        known
    }

    /// Every name of the inode at `path`, if it has more than one.
    pub fn names_of(&self, path: &ImagePath) -> &[ImagePath] {
        let inode = self.rootfs.node(path).and_then(|node| node.inode);
        inode.and_then(|inode| self.names.get(&inode)).map_or(&[], Vec::as_slice)
    }

    /// Packages that own `path`.
    pub fn owners(&self, path: &ImagePath) -> &'a [PackageId] {
        self.packages.map_or(&[], |packages| packages.owners(path))
    }

    /// Name of the first package that owns `path`.
    pub fn owner_name(&self, path: &ImagePath) -> Option<String> {
        let packages = self.packages?;
        self.owners(path).first().map(|&id| packages.get(id).name.clone())
    }

    /// Whether the package `id` is built from the same source as one that owns `path`: Debian splits a program and its
    /// configuration.
    pub fn is_built_with(&self, path: &ImagePath, id: PackageId) -> bool {
        let Some(packages) = self.packages else { return false };
        let source = |id: PackageId| {
            let package = packages.get(id);
            package.source.as_ref().unwrap_or(&package.name)
        };
        self.owners(path).iter().any(|&other| source(other) == source(id))
    }

    /// Whether the catalog knows the package as a tool.
    pub fn is_tool(&self, id: PackageId) -> bool {
        self.packages.is_some_and(|packages| Catalog::builtin().package(&packages.get(id).name).is_some())
    }

    /// Globs, compiled; those that are none were refused when the options and recipes were read.
    pub fn compile(&self, globs: &[String]) -> PathGlobs {
        PathGlobs::new(globs).unwrap_or_default()
    }

    /// Whether the entry at `path` is a symbolic link.
    pub fn is_link(&self, path: &ImagePath) -> bool {
        self.rootfs.entry(path).is_some_and(|entry| matches!(entry.kind, Kind::Symlink(_)))
    }

    /// Whether `path` is a directory, or a link that leads to one: `/bin` of a merged-usr system, which packages
    /// list as a directory.
    pub fn leads_to_directory(&self, path: &ImagePath) -> bool {
        self.rootfs.resolve(path).is_some_and(|resolved| self.rootfs.is_directory(&resolved.path))
    }

    /// Whether `package` has a file or link in the image at `path`, which it lists.
    pub fn has_file(&self, package: &Package, path: &ImagePath) -> bool {
        package.has_file(self.rootfs, path)
    }

    /// The first of `rules` that names `path`.
    pub fn rule<'r>(&self, rules: &'r Rules, path: &ImagePath) -> Option<&'r Rule> {
        let absolute = path.absolute();
        if self.is_link(path) { rules.find_link(&absolute) } else { rules.find(&absolute) }
    }

    /// What the catalog says of the file or link at `path`: the worst of its name and of what it is besides.
    pub fn class(&self, path: &ImagePath) -> Option<Class> {
        let likeness = self.likeness(path).map(|(class, _)| class);
        self.named(path).into_iter().chain(likeness).min()
    }

    /// What the file at `path` is by its bytes, its inode or its content.
    pub fn likeness(&self, path: &ImagePath) -> Option<(Class, Likeness)> {
        self.originals.likeness(self, path)
    }

    /// What the file at `path` is, where its own name says nothing or something less.
    pub fn disguise(&self, path: &ImagePath) -> Option<(Class, Likeness)> {
        let (class, likeness) = self.likeness(path)?;
        self.named(path).is_none_or(|own| own > class).then_some((class, likeness))
    }

    /// What the catalog says of the name of the program at `path`: an executable regular file, or a symbolic link
    /// to one.
    pub fn named(&self, path: &ImagePath) -> Option<Class> {
        let entry = self.rootfs.entry(path)?;
        let catalog = Catalog::builtin();
        match &entry.kind {
            // `/etc/passwd` with an execute bit is no program.
            Kind::File(file)
                if file.content == Content::Data && self.rule(catalog.always_keep(), path).is_some() =>
            {
                None
            }
            Kind::File(_) if entry.mode & 0o111 != 0 => catalog.program(path.name()),
            Kind::Symlink(_) => {
                let class = catalog.program(path.name())?;
                // Only a link to a program is one.
                let target = self.rootfs.resolve(path)?.path;
                let entry = self.rootfs.entry(&target)?;
                (entry.file().is_some() && entry.mode & 0o111 != 0).then_some(class)
            }
            _ => None,
        }
    }
}

/// Who depends on a package, for each on which another one does.
fn dependents(packages: &Database) -> BTreeMap<PackageId, Vec<PackageId>> {
    let mut dependents: BTreeMap<PackageId, Vec<PackageId>> = BTreeMap::new();
    for (id, _) in packages.installed() {
        for dependency in packages.dependencies(id).into_iter().filter(|dependency| *dependency != id) {
            dependents.entry(dependency).or_default().push(id);
        }
    }
    dependents
}

/// Tools, and every package that others depend on and only such packages do.
fn for_tools(packages: &Database, dependents: &BTreeMap<PackageId, Vec<PackageId>>) -> BTreeSet<PackageId> {
    let mut out: BTreeSet<PackageId> = packages
        .installed()
        .filter(|(_, package)| Catalog::builtin().package(&package.name).is_some())
        .map(|(id, _)| id)
        .collect();
    loop {
        let more: Vec<PackageId> = dependents
            .iter()
            .filter(|(id, by)| !out.contains(id) && by.iter().all(|other| out.contains(other)))
            .map(|(id, _)| *id)
            .collect();
        if more.is_empty() {
            return out;
        }
        out.extend(more);
    }
}
