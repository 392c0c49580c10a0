//! The image's file tree: what each layer holds, and what all of them make together.
//!
//! Knows nothing of packages, programs or policy, and does not read streams: entries come in as values.

pub mod dump;
pub mod entry;
pub mod identity;
mod kept;
pub mod merge;
pub mod resolve;

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use entry::{Content, Entry, EntryId, File, Kind};
pub use identity::Identity;
pub use kept::Kept;

use crate::path::{ImagePath, PathMap};

/// What pass 1 knows of one layer: its members in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerIndex {
    /// Tar members; the position is [`EntryId::member`].
    pub entries: Vec<Entry>,
}

/// The merged file tree of all layers.
#[derive(Debug, Clone, Default)]
pub struct Rootfs {
    layers: Vec<LayerIndex>,
    /// In byte order of the path, once all layers are merged.
    nodes: PathMap<Node>,
    /// While they are.
    growing: BTreeMap<ImagePath, Node>,
    /// Bytes of the names of implied directories.
    implied: u64,
}

/// One name in the merged tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    /// The member that gives the name; for a hard link, the link's own. `None` for a directory that no
    /// layer has an entry for but that an entry below it implies.
    pub name: Option<EntryId>,
    /// The member that gives the inode: content, owner and mode. Equal for all names of one inode.
    pub inode: Option<EntryId>,
}

impl Rootfs {
    /// The layers, bottom first.
    pub fn layers(&self) -> &[LayerIndex] {
        &self.layers
    }

    /// Every name, in byte order of the path; directories come before what is in them.
    pub fn nodes(&self) -> impl Iterator<Item = (&ImagePath, &Node)> {
        self.nodes.iter()
    }

    /// The tree's own copy of `path`, so that what remembers many paths shares their bytes; `path` itself where
    /// the tree does not have it.
    pub fn shared(&self, path: ImagePath) -> ImagePath {
        self.own(&path).cloned().unwrap_or(path)
    }

    /// The tree's own copy of `path`, if it has it. No link stands above such a name.
    pub fn own(&self, path: &ImagePath) -> Option<&ImagePath> {
        self.nodes.get_key_value(path).map(|(own, _)| own)
    }

    /// The name at `path`, symbolic links not followed.
    pub fn node(&self, path: &ImagePath) -> Option<&Node> {
        self.nodes.get(path).or_else(|| self.growing.get(path))
    }

    /// The member that holds the inode at `path` (links not followed); `None` where there is nothing or
    /// only an implied directory.
    pub fn entry(&self, path: &ImagePath) -> Option<&Entry> {
        self.inode(self.node(path)?)
    }

    /// The member that holds the inode of `node`; `None` for an implied directory.
    pub fn inode(&self, node: &Node) -> Option<&Entry> {
        self.member(node.inode?)
    }

    /// The member at `id`.
    pub fn member(&self, id: EntryId) -> Option<&Entry> {
        self.layers.get(id.layer() as usize)?.entries.get(id.member() as usize)
    }

    /// Whether `path` itself (links not followed) is a directory.
    pub fn is_directory(&self, path: &ImagePath) -> bool {
        self.node(path).is_some_and(|node| self.is_directory_node(node))
    }

    /// Whether `node` is a directory.
    pub fn is_directory_node(&self, node: &Node) -> bool {
        node.inode.is_none_or(|id| self.member(id).is_some_and(Entry::is_directory))
    }

    /// All names strictly below the directory `path`.
    pub fn below<'a>(
        &'a self,
        path: &ImagePath,
    ) -> impl Iterator<Item = (&'a ImagePath, &'a Node)> + use<'a> {
        // Not from `path` itself: `a-1`, `a-2` and a million more stand between `a` and `a/b`.
        let bound = path.lower_bound_of_below();
        let first = self.nodes.partition_point(|path, _| *path <= bound);
        let behind = self.nodes.as_slice().get_range(first..).into_iter().flatten();
        behind.take_while(move |(path, _)| path.as_bytes().starts_with(bound.as_bytes()))
    }

    /// The name `path`, and all strictly below it.
    pub fn within<'a>(
        &'a self,
        path: &ImagePath,
    ) -> impl Iterator<Item = (&'a ImagePath, &'a Node)> + use<'a> {
        self.nodes.get_key_value(path).into_iter().chain(self.below(path))
    }

    /// The names directly in the directory `path`.
    pub fn children<'a>(
        &'a self,
        path: &ImagePath,
    ) -> impl Iterator<Item = (&'a ImagePath, &'a Node)> + use<'a> {
        let depth = path.components().count() + 1;
        self.below(path).filter(move |(path, _)| path.components().count() == depth)
    }

    /// Bytes that pass 1 kept of the regular file at `path` (links not followed).
    pub fn bytes(&self, path: &ImagePath) -> Option<Cow<'_, [u8]>> {
        self.entry(path)?.file()?.bytes.as_ref().map(Kept::bytes)
    }

    /// Whether pass 1 kept bytes of the regular file at `path` (links not followed).
    pub fn has_bytes(&self, path: &ImagePath) -> bool {
        self.entry(path).and_then(Entry::file).is_some_and(|file| file.bytes.is_some())
    }
}
