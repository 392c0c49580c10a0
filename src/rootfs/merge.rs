//! Layers to one tree, per the OCI image spec's "Applying changesets".
//!
//! Decides nothing: what an upper layer hides is only unreachable in the tree, still listed in its layer.

use std::ops::Bound;

use super::{EntryId, Kind, LayerIndex, Node, Rootfs};
use crate::path::ImagePath;

/// Most bytes of names of directories that no entry is for: 128 MiB. Real layers lack a few of them; a single name can
/// imply 2000, with 4 MiB of names.
const MAX_IMPLIED: u64 = 128 << 20;

/// Why layers make no file tree.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// A hard link names nothing, or a directory.
    #[error(
        "layer {layer}: hard link `{path}` points to `{target}`, which is no file in this or a lower layer"
    )]
    HardlinkTarget {
        /// Layer, from 0 at the bottom.
        layer: u32,
        /// The link.
        path: ImagePath,
        /// What it names.
        target: ImagePath,
    },
    /// Directories that only names imply, without an end.
    #[error("layer {layer}: directories without an entry have more than {MAX_IMPLIED} bytes of names")]
    Implied {
        /// Layer, from 0 at the bottom.
        layer: u32,
    },
}

impl Rootfs {
    /// Applies `layers`, bottom first.
    ///
    /// Whiteouts hide only lower layers, wherever they stand in their own (OCI image spec, layer.md,
    /// "Whiteouts"). An entry below a symbolic link lands where the link leads, as it does when a runtime
    /// unpacks it. A directory over a directory changes owner and mode only; any other pair replaces.
    pub fn merge(layers: Vec<LayerIndex>) -> Result<Self, MergeError> {
        let mut rootfs = Self::default();
        rootfs.growing.insert(ImagePath::root(), Node { name: None, inode: None });
        for layer in layers {
            rootfs.layers.push(layer);
            rootfs.apply_top()?;
        }
        rootfs.nodes = std::mem::take(&mut rootfs.growing).into_iter().collect();
        Ok(rootfs)
    }

    fn apply_top(&mut self) -> Result<(), MergeError> {
        let Some(number) = self.layers.len().checked_sub(1) else { return Ok(()) };
        let layer = u32::try_from(number).unwrap_or(u32::MAX);
        let entries = std::mem::take(
            &mut self.layers.get_mut(number).unwrap_or_else(|| unreachable!("just counted")).entries,
        );
        for entry in &entries {
            match entry.kind {
                Kind::Whiteout => {
                    let path = self.landing(&entry.path);
                    self.remove_below(&path);
                    self.growing.remove(&path);
                }
                Kind::Opaque => {
                    // It stands in the directory: a link of that name is followed, as on the way to any entry.
                    let path = self.canonicalize_missing(&entry.path).unwrap_or_else(|| entry.path.clone());
                    self.remove_below(&path);
                }
                _ => {}
            }
        }
        // Put back first: resolving symbolic links reads entries of this layer too.
        if let Some(slot) = self.layers.get_mut(number) {
            slot.entries = entries;
        }
        let count = self.layers.get(number).map_or(0, |slot| slot.entries.len());
        for member in 0..count {
            let id = EntryId::new(layer, u32::try_from(member).unwrap_or(u32::MAX));
            self.add(id)?;
        }
        Ok(())
    }

    fn add(&mut self, id: EntryId) -> Result<(), MergeError> {
        let Some(entry) = self.member(id) else { return Ok(()) };
        let is_directory = entry.is_directory();
        let written = entry.path.clone();
        let target = match &entry.kind {
            Kind::Whiteout | Kind::Opaque => return Ok(()),
            Kind::Hardlink(target) => Some(target.clone()),
            _ => None,
        };
        let path = self.landing(&written);
        let inode = match target {
            None => id,
            Some(target) => {
                let found = self.growing.get(&self.landing(&target)).and_then(|node| node.inode);
                match found {
                    Some(inode) if !self.member(inode).is_none_or(super::Entry::is_directory) => inode,
                    _ => return Err(MergeError::HardlinkTarget { layer: id.layer(), path: written, target }),
                }
            }
        };
        if !is_directory {
            self.remove_below(&path);
        }
        self.imply_parents(&path);
        if self.implied > MAX_IMPLIED {
            return Err(MergeError::Implied { layer: id.layer() });
        }
        self.growing.insert(path, Node { name: Some(id), inode: Some(inode) });
        Ok(())
    }

    /// Where an entry written at `path` lands: symbolic links among its parents are followed.
    fn landing(&self, path: &ImagePath) -> ImagePath {
        let Some(parent) = path.parent() else { return path.clone() };
        // What is in the tree stands in directories of it, up to the root.
        if self.is_directory(&parent) {
            return path.clone();
        }
        self.canonicalize_missing(&parent).map_or_else(|| path.clone(), |parent| parent.child(path.name()))
    }

    fn imply_parents(&mut self, path: &ImagePath) {
        for parent in path.ancestors() {
            if self.is_directory(&parent) {
                break;
            }
            // A file where a directory must be: the later entry wins.
            self.implied = self.implied.saturating_add(parent.as_bytes().len() as u64);
            self.growing.insert(parent, Node { name: None, inode: None });
        }
    }

    fn remove_below(&mut self, path: &ImagePath) {
        if !self.is_directory(path) {
            return;
        }
        let bound = path.lower_bound_of_below();
        let behind = self.growing.range((Bound::Excluded(&bound), Bound::Unbounded));
        let below = behind.take_while(|(path, _)| path.as_bytes().starts_with(bound.as_bytes()));
        let gone: Vec<ImagePath> = below.map(|(path, _)| path.clone()).collect();
        for path in gone {
            self.growing.remove(&path);
        }
    }
}
