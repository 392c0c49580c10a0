//! What runs before made of images: indexes of layers, plans, and layers written again. Nothing of it changes a byte of an output.
//!
//! An entry is found by what it was made of: the digest of the stored layer, the verdicts on its members, the options, and the
//! program that made it, so that a kiln that would make something else never sees it. What is found is verified before it is
//! used; what is not what it says is removed, and counts as not there: that is about disks that break and runs that are killed,
//! while whoever may write to the directory is trusted. Entries appear whole or not at all, so that any number of runs may share a
//! directory. No file of it is shared with an image. Does not decide.
//!
//! A plan that is found takes the place of all of pass 1. What that verifies was verified before the plan was kept, of the same
//! blobs: that each is what its digest says and has the size, the stream and the form that the image says of it, that it is a
//! layer, and that all together keep to the limits; all of that is in the key. Whether the blobs are there and still are what
//! their digests say is asked where they are read, as with an index that is found: a layer that stays is verified on its way to
//! the destination, and one that is written again comes from here or is made, and verified by that. What findings refuse is no
//! matter of the plan's, and asked each time.
//!
//! ```text
//! DIR/CACHEDIR.TAG             says to programs that keep copies that this is none of their business
//! DIR/v1/blobs/SHA256          layers written again
//! DIR/v1/PROGRAM/index-SHA256  what pass 1 knows of the stored layer of that digest
//! DIR/v1/PROGRAM/plan-KEY      what was decided of the image and under the options of that key
//! DIR/v1/PROGRAM/layer-KEY     which blob a layer became under the verdicts of that key
//! ```

mod decided;
mod entry;
mod key;
mod prune;

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use decided::Decided;
pub use key::{LayerKey, PlanKey};
pub use prune::Usage;

use crate::digest::{BlobDigest, DiffId};
use crate::image::{Codec, FinishedLayer, LayerDescriptor};
use crate::options::CacheSettings;
use crate::plan::Plan;
use crate::rootfs::LayerIndex;
use crate::rootfs::identity::FingerprintReader;

/// Bytes of a blob read at once.
const READ_SIZE: usize = 128 << 10;

/// Says what the directory is (<https://bford.info/cachedir/>).
const TAG: &str =
    "Signature: 8a477f597d28d172789f06886806bc55\n# Made by kiln; `kiln cache prune` empties it.\n";

/// Why a cache cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The directory cannot be made, or files not be made in it.
    #[error("cannot use the cache directory `{}`", path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What is in it cannot be listed or removed.
    #[error("cannot clear up `{}`", path.display())]
    Prune {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A directory of entries; or none, which has nothing and keeps nothing.
#[derive(Debug, Clone, Default)]
pub struct Cache(Option<Place>);

#[derive(Debug, Clone)]
struct Place {
    /// `DIR/v1`.
    root: PathBuf,
    /// What this program made.
    own: PathBuf,
    /// Bytes that all entries may take together.
    limit: u64,
}

/// What pass 1 knows of a stored layer. [`Cache::codec`] reads the first three of it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Indexed {
    /// Number of its stored bytes.
    pub size: u64,
    /// The stream that it unpacked to; an image that says otherwise is wrong about it.
    pub diff_id: DiffId,
    /// How it is stored.
    pub codec: Codec,
    /// Bytes that it unpacked to.
    pub unpacked: u64,
    /// Its members.
    pub index: LayerIndex,
}

/// A layer that was written again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Written {
    digest: BlobDigest,
    size: u64,
    diff_id: DiffId,
    codec: Codec,
}

impl Cache {
    /// The cache that `settings` name. The user's own is none where it cannot be used.
    pub fn open(settings: Option<&CacheSettings>) -> Result<Self, CacheError> {
        let Some(settings) = settings else { return Ok(Self(None)) };
        match &settings.directory {
            Some(directory) => match place(directory, settings.limit) {
                Ok(place) => Ok(Self(Some(place))),
                Err(source) => Err(CacheError::Directory { path: directory.clone(), source }),
            },
            None => Ok(Self(own_directory().and_then(|own| place(&own, settings.limit).ok()))),
        }
    }

    /// How the layer of this digest is stored.
    pub fn codec(&self, layer: &BlobDigest) -> Option<Codec> {
        let (_, _, codec): (u64, DiffId, Codec) = entry::read(&self.0.as_ref()?.index(layer))?;
        Some(codec)
    }

    /// What pass 1 knows of `layer`; nothing where that has another size or stream than its image says.
    pub fn index(&self, layer: &LayerDescriptor) -> Option<Indexed> {
        let place = self.0.as_ref()?;
        let indexed: Indexed = entry::read(&place.index(&layer.digest))?;
        let is_said = indexed.diff_id == layer.diff_id && indexed.size == layer.size;
        is_said.then_some(indexed)
    }

    /// Keeps what pass 1 knows of `layer`, all of which was read and found right.
    pub fn keep_index(&self, layer: &LayerDescriptor, indexed: &Indexed) {
        if let Some(place) = &self.0 {
            entry::write(&place.index(&layer.digest), indexed);
        }
    }

    /// What was decided of an image that has `layers`. That what is known of them was of use is noted too: the next image on
    /// them needs it.
    pub fn plan(&self, key: &PlanKey, layers: &[LayerDescriptor]) -> Option<Plan> {
        let place = self.0.as_ref()?;
        let decided: Decided = entry::read(&place.plan(key))?;
        for layer in layers {
            entry::note_use(&place.index(&layer.digest));
        }
        decided.into_plan()
    }

    /// Keeps what was decided of an image, all of which was read and found right.
    pub fn keep_plan(&self, key: &PlanKey, plan: &Plan) {
        if let Some(place) = &self.0 {
            entry::write(&place.plan(key), &Decided::new(plan));
        }
    }

    /// What `layer` became under these verdicts.
    pub fn layer(&self, key: &LayerKey) -> Option<FinishedLayer> {
        let place = self.0.as_ref()?;
        let Written { digest, size, diff_id, codec } = entry::read(&place.layer(key))?;
        place.blob(&digest).is_file().then(|| FinishedLayer::new(digest, size, diff_id, codec))
    }

    /// The bytes of a layer that [`Cache::layer`] named; whoever reads them makes sure that they are.
    pub fn open_blob(&self, layer: &FinishedLayer) -> Option<File> {
        File::open(self.0.as_ref()?.blob(&layer.digest)).ok()
    }

    /// Removes the bytes of a layer, which were not what its digest says. Its entry leads nowhere then.
    pub fn forget_blob(&self, layer: &FinishedLayer) {
        if let Some(place) = &self.0 {
            let _ = fs::remove_file(place.blob(&layer.digest));
        }
    }

    /// Keeps `layer`, whose bytes are the file `blob`.
    pub fn keep_layer(&self, key: &LayerKey, layer: &FinishedLayer, blob: &Path) {
        let Some(place) = &self.0 else { return };
        // The bytes first: an entry that leads nowhere would be read in vain. What has the name may have broken since.
        if entry::copy(blob, &place.blob(&layer.digest)).is_ok() {
            let &FinishedLayer { digest, size, diff_id, codec, .. } = layer;
            entry::write(&place.layer(key), &Written { digest, size, diff_id, codec });
        }
    }

    /// Keeps to the limit, once in a run; what cannot be removed now can be by the next one.
    pub fn trim(&self) {
        if let Some(place) = &self.0 {
            let _ = prune::trim(&place.root, place.limit);
        }
    }
}

impl Place {
    fn index(&self, digest: &BlobDigest) -> PathBuf {
        self.own.join(format!("{}{}", prune::INDEX, digest.hex()))
    }

    fn plan(&self, key: &PlanKey) -> PathBuf {
        self.own.join(format!("{}{}", prune::PLAN, key.hex()))
    }

    fn layer(&self, key: &LayerKey) -> PathBuf {
        self.own.join(format!("{}{}", prune::LAYER, key.hex()))
    }

    fn blob(&self, digest: &BlobDigest) -> PathBuf {
        self.root.join(prune::BLOBS).join(digest.hex())
    }
}

/// The user's own: `kiln` in `$XDG_CACHE_HOME` or `~/.cache` (XDG Base Directory Specification, by which a path that is not
/// absolute counts as none).
fn own_directory() -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let caches = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")));
    Some(caches?.join("kiln"))
}

/// Makes what has to be there.
fn place(directory: &Path, limit: u64) -> io::Result<Place> {
    let root = directory.join(prune::VERSION);
    let mut builder = fs::DirBuilder::new();
    // Layers of images are nobody else's business.
    builder.recursive(true).mode(0o700);
    // First: where nothing can be made, the program need not be read.
    builder.create(root.join(prune::BLOBS))?;
    let own = root.join(program()?);
    builder.create(&own)?;
    let tag = directory.join("CACHEDIR.TAG");
    if !tag.exists() {
        fs::write(&tag, TAG)?;
    }
    // A directory that only can be read is of no use.
    entry::probe(&own)?;
    Ok(Place { root, own, limit })
}

/// What tells this program from all others: a fingerprint of its file. Another version, or the same built otherwise, may make
/// other bytes.
fn program() -> io::Result<&'static str> {
    static PROGRAM: OnceLock<String> = OnceLock::new();
    if let Some(known) = PROGRAM.get() {
        return Ok(known);
    }
    // By this name whatever became of the file since.
    let mut file = File::open("/proc/self/exe")?;
    let mut reader = FingerprintReader::new();
    let mut buffer = vec![0; READ_SIZE];
    loop {
        match io::Read::read(&mut file, &mut buffer)? {
            0 => break,
            n => reader.push(buffer.get(..n).unwrap_or_default()),
        }
    }
    Ok(PROGRAM.get_or_init(|| reader.finish().to_string()))
}
