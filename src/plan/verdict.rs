//! From names to layers: what happens to each member of each layer.
//!
//! Decides nothing about names; it finds where each name's bytes lie and what they are called from now on.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::access::{Access, Permissions};
use super::fate::Fate;
use super::known::Known;
use super::{Level, Patch, Reason, Removed, Verdict};
use crate::packages::PackageId;
use crate::path::ImagePath;
use crate::rootfs::{Entry, EntryId, Kind};

/// The extended attribute that holds file capabilities.
const CAPABILITY: &[u8] = b"security.capability";

/// Everything that layers need to be told.
#[derive(Debug, Default)]
pub struct Verdicts {
    /// By layer, by member.
    pub members: Vec<Vec<Verdict>>,
    /// What goes, by path, then layer.
    pub removed: Vec<Removed>,
    /// Bytes of shadowed content that stays in lower layers.
    pub shadowed: u64,
}

/// Turns the fate of names into verdicts on members. `edits` are new contents by path.
pub fn judge(
    known: &Known<'_>,
    fate: &Fate,
    access: &Access<'_>,
    level: Level,
    edits: &BTreeMap<ImagePath, Arc<[u8]>>,
) -> Verdicts {
    let mut judge = Judge {
        known,
        fate,
        access,
        level,
        edits,
        live: Vec::new(),
        linked: HashMap::new(),
        moved_to: BTreeSet::new(),
    };
    judge.find_names();
    let mut book = Book::default();
    // Nearly what will be there, so that it does not stand in memory twice while it grows.
    book.out.removed.reserve_exact(fate.gone.len());
    for (layer, index) in (0u32..).zip(known.rootfs.layers()) {
        let mut members = Vec::with_capacity(index.entries.len());
        for (member, entry) in (0u32..).zip(&index.entries) {
            let id = EntryId::new(layer, member);
            let verdict = judge.verdict(id, entry);
            judge.account(&mut book, id, entry, &verdict);
            members.push(book.shared(verdict));
        }
        book.out.members.push(members);
    }
    let mut out = book.out;
    // In place: there are as many as an image has entries.
    out.removed.sort_unstable_by(|a, b| {
        (&a.path, a.layer, a.bytes, &a.reason).cmp(&(&b.path, b.layer, b.bytes, &b.reason))
    });
    out.removed.shrink_to_fit();
    out
}

/// Verdicts so far. What many members have in common is held once.
#[derive(Default)]
struct Book {
    out: Verdicts,
    /// Patches of bits and owners only, which few images have more than a dozen of.
    patches: HashSet<Arc<Patch>>,
    /// Names of packages.
    packages: HashMap<PackageId, Arc<str>>,
}

impl Book {
    fn shared(&mut self, verdict: Verdict) -> Verdict {
        match verdict {
            Verdict::Keep(patch)
                if patch.path.is_none() && patch.link.is_none() && patch.content.is_none() =>
            {
                if let Some(same) = self.patches.get(&patch) {
                    return Verdict::Keep(Arc::clone(same));
                }
                self.patches.insert(Arc::clone(&patch));
                Verdict::Keep(patch)
            }
            other => other,
        }
    }

    fn package(&mut self, known: &Known<'_>, path: &ImagePath) -> Option<Arc<str>> {
        let packages = known.packages?;
        let id = *known.owners(path).first()?;
        let name = self.packages.entry(id).or_insert_with(|| Arc::from(packages.get(id).name.as_str()));
        Some(Arc::clone(name))
    }
}

struct Judge<'a> {
    known: &'a Known<'a>,
    fate: &'a Fate,
    access: &'a Access<'a>,
    level: Level,
    edits: &'a BTreeMap<ImagePath, Arc<[u8]>>,
    /// The name that a member gives in the merged tree: by layer, by member.
    live: Vec<Vec<Option<&'a ImagePath>>>,
    /// Names that stay, of each inode that has a hard link: by position of the member that gives them.
    linked: HashMap<EntryId, Vec<(EntryId, &'a ImagePath)>>,
    /// Names that data takes in place of its own.
    moved_to: BTreeSet<ImagePath>,
}

impl<'a> Judge<'a> {
    fn find_names(&mut self) {
        self.live = self.known.rootfs.layers().iter().map(|layer| vec![None; layer.entries.len()]).collect();
        for (path, node) in self.known.rootfs.nodes() {
            let (Some(name), Some(inode)) = (node.name, node.inode) else { continue };
            let slot = self
                .live
                .get_mut(name.layer() as usize)
                .and_then(|layer| layer.get_mut(name.member() as usize));
            if let Some(slot) = slot {
                *slot = Some(path);
            }
            if name != inode {
                self.linked.entry(inode).or_default();
            }
        }
        for (path, node) in self.known.rootfs.nodes() {
            let (Some(name), Some(inode)) = (node.name, node.inode) else { continue };
            if let Some(names) = self.linked.get_mut(&inode)
                && self.fate.stays(path)
            {
                names.push((name, path));
            }
        }
        for (inode, names) in &mut self.linked {
            names.sort();
            if let Some((_, first)) = names.first().filter(|_| names.iter().all(|(name, _)| name != inode)) {
                self.moved_to.insert((*first).clone());
            }
        }
    }

    /// The name that a member gives in the merged tree.
    fn live(&self, id: EntryId) -> Option<&'a ImagePath> {
        *self.live.get(id.layer() as usize)?.get(id.member() as usize)?
    }

    /// Under which name the data of `inode` stands from now on: its own if that stays, else the first other.
    fn data_name(&self, inode: EntryId) -> Option<(EntryId, &'a ImagePath)> {
        match self.linked.get(&inode) {
            Some(names) => names.iter().find(|(name, _)| *name == inode).or_else(|| names.first()).copied(),
            None => self.live(inode).filter(|path| self.fate.stays(path)).map(|path| (inode, path)),
        }
    }

    fn verdict(&self, id: EntryId, entry: &Entry) -> Verdict {
        match &entry.kind {
            Kind::Whiteout | Kind::Opaque => match self.level {
                Level::Strip => Verdict::unchanged(),
                Level::Distroless | Level::Minimal => Verdict::Drop(Reason::WhiteoutOfNothing),
            },
            Kind::Hardlink(target) => self.link(id, entry, target),
            Kind::Directory => self.directory(id, entry),
            _ => self.data(id, entry),
        }
    }

    fn link(&self, id: EntryId, entry: &Entry, target: &ImagePath) -> Verdict {
        let Some(path) = self.live(id) else { return self.shadowed(entry) };
        if let Some(reason) = self.fate.gone.get(path) {
            return Verdict::Drop(reason.clone());
        }
        let Some(inode) = self.known.rootfs.node(path).and_then(|node| node.inode) else {
            return Verdict::unchanged();
        };
        let Some((data, data_path)) = self.data_name(inode) else { return Verdict::unchanged() };
        let mut patch = self
            .known
            .rootfs
            .member(inode)
            .map_or_else(Patch::default, |inode| self.patch(path, inode, Permissions::of(entry)));
        patch.content = None;
        patch.path = self.new_path(id, entry, path);
        if self.stays_hidden(inode) {
            return Verdict::Keep(Arc::new(patch));
        }
        if data == id {
            return Verdict::Merged;
        }
        patch.link = (target != data_path).then(|| data_path.clone());
        Verdict::Keep(Arc::new(patch))
    }

    fn directory(&self, id: EntryId, entry: &Entry) -> Verdict {
        // Every entry of a directory that stays is kept: an upper one only changes owner and mode.
        let path = match self.live(id) {
            Some(path) => path,
            // One that a layer deleted and the next only implies is another directory.
            None if self.known.rootfs.node(&entry.path).is_some_and(|node| node.name.is_some())
                && self.known.rootfs.is_directory(&entry.path) =>
            {
                &entry.path
            }
            None => return self.shadowed(entry),
        };
        if let Some(reason) = self.fate.gone.get(path) {
            Verdict::Drop(reason.clone())
        } else {
            let mut patch = self.patch(path, entry, Permissions::of(entry));
            patch.path = self.new_path(id, entry, path);
            Verdict::Keep(Arc::new(patch))
        }
    }

    /// The member's own path, where it was written through a symbolic link that will not be there any more.
    fn new_path(&self, id: EntryId, entry: &Entry, path: &ImagePath) -> Option<ImagePath> {
        if entry.path == *path {
            return None;
        }
        let rootfs = self.known.rootfs;
        let parent = entry.path.parent().and_then(|parent| rootfs.resolve(&parent));
        let lands = parent.is_some_and(|parent| {
            Some(parent.path) == path.parent()
                && parent.links.iter().all(|link| {
                    self.fate.stays(link)
                        && rootfs.node(link).and_then(|node| node.name).is_some_and(|name| name < id)
                })
        });
        (!lands).then(|| path.clone())
    }

    /// Level `strip`: data whose own name an upper layer hides stays under it, for its layer stays as it is.
    fn stays_hidden(&self, inode: EntryId) -> bool {
        self.level == Level::Strip
            && self.live(inode).is_none()
            && self.known.rootfs.member(inode).is_some_and(|entry| self.fate.stays(&entry.path))
    }

    fn data(&self, id: EntryId, entry: &Entry) -> Verdict {
        let Some((name, path)) = self.data_name(id) else {
            return match self.live(id) {
                Some(path) => Verdict::Drop(self.fate.gone.get(path).cloned().unwrap_or(Reason::Shadowed)),
                None => self.shadowed(entry),
            };
        };
        let mut patch = self.patch(path, entry, Permissions::of(entry));
        patch.path = match name == id {
            _ if self.fate.moved.contains_key(path) => self.fate.moved.get(path).cloned(),
            true => self.new_path(id, entry, path),
            false if self.stays_hidden(id) => None,
            false => Some(path.clone()),
        };
        Verdict::Keep(Arc::new(patch))
    }

    /// A member that the merged tree does not show.
    fn shadowed(&self, entry: &Entry) -> Verdict {
        if self.level != Level::Strip {
            return Verdict::Drop(Reason::Shadowed);
        }
        // A hidden link may name data that goes or moves, and a hidden name may be one that data moves to.
        let mut names = std::iter::once(entry.path.clone()).chain(entry.path.ancestors());
        if matches!(entry.kind, Kind::Hardlink(_)) || names.any(|name| self.moved_to.contains(&name)) {
            return Verdict::Drop(Reason::Shadowed);
        }
        // What goes goes from every layer, not only from the one that shows it, and so does what only that hid.
        let rootfs = self.known.rootfs;
        let landing = entry
            .path
            .parent()
            .and_then(|parent| rootfs.canonicalize_missing(&parent))
            .map(|parent| parent.child(entry.path.name()));
        let mut hidden_by = [Some(entry.path.clone()), landing]
            .into_iter()
            .flatten()
            .flat_map(|path| std::iter::once(path.clone()).chain(path.ancestors()));
        match hidden_by.find_map(|path| self.fate.gone.get(&path)) {
            Some(reason) => Verdict::Drop(reason.clone()),
            None => Verdict::unchanged(),
        }
    }

    fn patch(&self, path: &ImagePath, inode: &Entry, written: Permissions) -> Patch {
        if matches!(inode.kind, Kind::Symlink(_)) {
            return Patch::default();
        }
        let now = self.access.permissions(path, inode);
        Patch {
            mode: (now.mode != written.mode).then_some(now.mode),
            owner: ((now.uid, now.gid) != (written.uid, written.gid)).then_some((now.uid, now.gid)),
            path: None,
            link: None,
            content: self.edits.get(path).cloned(),
            drop_capabilities: inode
                .xattrs
                .iter()
                .flat_map(|list| list.iter())
                .any(|(name, _)| **name == *CAPABILITY),
        }
    }

    fn account(&self, book: &mut Book, id: EntryId, entry: &Entry, verdict: &Verdict) {
        let size = entry.file().map_or(0, |file| file.size);
        let (path, reason, bytes) = match verdict {
            Verdict::Drop(reason) => (self.live(id).unwrap_or(&entry.path), reason.clone(), size),
            // The data stays under another name; this name goes.
            Verdict::Keep(patch) if patch.path.is_some() => {
                let Some(path) = self.live(id) else { return };
                let Some(reason) = self.fate.gone.get(path) else { return };
                (path, reason.clone(), 0)
            }
            Verdict::Keep(_) => {
                if self.live(id).is_none() && self.data_name(id).is_none() {
                    book.out.shadowed += size;
                }
                return;
            }
            Verdict::Merged => return,
        };
        let package = book.package(self.known, path);
        book.out.removed.push(Removed { path: path.clone(), reason, package, layer: id.layer(), bytes });
    }
}
