//! Where images go: every destination gets the same bytes, and shows them whole or not at all.
//!
//! Does not make blobs; they are staged once, by several threads, and handed to each destination.

mod archive;
mod docker_archive;
mod docker_daemon;
mod layout;
mod leftover;
mod oci_archive;
mod registry;
mod same;
mod staging;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

pub use leftover::{claim_file, remove_leftovers};
pub use same::refuse_source;
pub use staging::{BlobWriter, Staging};

use crate::daemon::DaemonError;
use crate::digest::BlobDigest;
use crate::image::manifest::Blob;
use crate::image::{Companion, LayerDescriptor, LayerError, Published, VerifyingReader};
use crate::reference::{Reference, STDIO};
use crate::registry::{Registries, RegistryError};

/// Bytes copied at once.
const COPY_SIZE: usize = 128 << 10;

/// A place that takes images.
pub trait Sink: Send + Sync {
    /// Whether the blob is there already, whole and right, and need not be staged.
    fn has_blob(&self, blob: Blob) -> bool;

    /// Whether an index of several images can be put there; asked before the work.
    fn check_index(&self) -> Result<(), SinkError> {
        Ok(())
    }

    /// Whether documents can stand beside an image there.
    fn keeps_companions(&self) -> bool {
        false
    }

    /// Says that the blob is staged and will be wanted: whoever takes long to take it may begin. What is begun goes on where the
    /// image is given up; nothing leads to it then.
    fn offer(&self, blob: Blob, staging: &Staging) {
        let _ = (blob, staging);
    }

    /// Does all of the work that can fail, under temporary names that vanish when the result is dropped.
    fn prepare(&self, published: &Published, staging: &Staging) -> Result<Box<dyn Prepared>, SinkError>;
}

/// An image or index that lies ready at its destination.
pub trait Prepared {
    /// Brings documents about it along, for places that keep them beside an image; nothing points there yet.
    fn attach(&self, companions: &[Companion]) -> Result<(), SinkError> {
        let _ = companions;
        Ok(())
    }

    /// Makes it visible: a rename, or the copy to stdout.
    fn publish(self: Box<Self>) -> Result<(), SinkError>;
}

/// A file without a name.
pub type Scratch = File;

/// All destinations of a run.
pub struct Destinations {
    sinks: Vec<Box<dyn Sink>>,
    staging: Staging,
}

impl Destinations {
    /// Finds out what can be wrong with the destinations before any work is done; changes nothing but for a staging
    /// directory beside the first, which is removed when this is dropped.
    pub fn open(references: &[Reference], registries: &Registries) -> Result<Self, SinkError> {
        let mut seen = BTreeSet::new();
        for reference in references {
            // Two images in one layout are two destinations; two archives in one file are not.
            let key = match reference {
                Reference::DockerDaemon { .. } | Reference::Registry(_) => {
                    (reference.to_string().into(), None)
                }
                Reference::OciLayout { directory, tag } => (place_of(directory), tag.clone()),
                Reference::OciArchive { file, .. } | Reference::DockerArchive { file, .. } => {
                    (place_of(file), None)
                }
            };
            if !seen.insert(key) {
                return Err(SinkError::Twice(reference.clone()));
            }
        }
        // Destinations before staging: it may lie inside one of them, which then would not be empty.
        let sinks =
            references.iter().map(|reference| open_sink(reference, registries)).collect::<Result<_, _>>()?;
        Ok(Self { sinks, staging: Staging::beside(references)? })
    }

    /// No destination: blobs are hashed and forgotten, to know what an image would be without writing it.
    pub fn nowhere() -> Self {
        Self { sinks: Vec::new(), staging: Staging::nowhere() }
    }

    /// Whether nobody needs the bytes of this blob any more.
    pub fn has_blob(&self, blob: Blob) -> bool {
        self.staging.has_blob(&blob.digest) || self.sinks.iter().all(|sink| sink.has_blob(blob))
    }

    /// A new blob, to be written by one thread while others write theirs.
    pub fn new_blob(&self) -> Result<BlobWriter, SinkError> {
        self.staging.new_blob()
    }

    /// A file without a name, for what need not last; `None` where nothing is written, or not `free` bytes are free on a disk.
    pub fn scratch(&self, free: u64) -> Option<Scratch> {
        self.staging.scratch(free)
    }

    /// The file of a blob that is staged; `None` where nobody wants the bytes.
    pub fn staged(&self, digest: &BlobDigest) -> Option<PathBuf> {
        self.staging.has_blob(digest).then(|| self.staging.path_of(digest))
    }

    /// Lets destinations begin to take a blob, if it is staged, while others are made.
    pub fn offer(&self, blob: Blob) {
        if self.staging.has_blob(&blob.digest) {
            self.sinks.iter().for_each(|sink| sink.offer(blob, &self.staging));
        }
    }

    /// Takes over a layer as it is stored, verified on the way.
    pub fn copy_layer(&self, stored: impl Read, layer: &LayerDescriptor) -> Result<(), SinkError> {
        let mut blob = self.new_blob()?;
        let stored = VerifyingReader::new(stored, layer.digest, layer.size);
        match copy(stored, &mut blob) {
            Ok(()) => blob.finish().map(drop),
            Err(Broken::Reading(source)) => Err(SinkError::CopyLayer { digest: layer.digest, source }),
            Err(Broken::Writing(source)) => Err(blob.failed(source)),
        }
    }

    /// Whether every destination takes an index of several images.
    pub fn check_index(&self) -> Result<(), SinkError> {
        self.sinks.iter().try_for_each(|sink| sink.check_index())
    }

    /// Whether documents can stand beside the image at any destination.
    pub fn keeps_companions(&self) -> bool {
        self.sinks.iter().any(|sink| sink.keeps_companions())
    }

    /// Brings an image or index to every destination, with the documents about it where they are kept, then makes it
    /// visible in each; gives the digest that names it.
    pub fn commit(self, published: &Published, companions: &[Companion]) -> Result<BlobDigest, SinkError> {
        let prepared: Vec<_> =
            self.sinks.iter().map(|sink| sink.prepare(published, &self.staging)).collect::<Result<_, _>>()?;
        prepared.iter().try_for_each(|prepared| prepared.attach(companions))?;
        for prepared in prepared {
            prepared.publish()?;
        }
        Ok(published.root_digest())
    }
}

/// Which end of a copy broke: what is wrong with the image is not what is wrong with this machine's disk.
#[derive(Debug)]
pub enum Broken {
    /// What is copied from.
    Reading(io::Error),
    /// What is copied to.
    Writing(io::Error),
}

/// Copies all that can be read.
pub fn copy(mut from: impl Read, mut to: impl Write) -> Result<(), Broken> {
    let mut buffer = vec![0; COPY_SIZE];
    loop {
        let n = match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Broken::Reading(error)),
        };
        to.write_all(buffer.get(..n).unwrap_or_default()).map_err(Broken::Writing)?;
    }
}

fn open_sink(reference: &Reference, registries: &Registries) -> Result<Box<dyn Sink>, SinkError> {
    Ok(match reference {
        Reference::OciLayout { directory, tag } => Box::new(layout::Layout::open(directory, tag.clone())?),
        Reference::OciArchive { file, tag } => {
            Box::new(oci_archive::OciArchive { target: archive::Target::open(file)?, tag: tag.clone() })
        }
        Reference::DockerArchive { file, tag } => {
            Box::new(docker_archive::DockerArchive { target: archive::Target::open(file)?, tag: tag.clone() })
        }
        Reference::DockerDaemon { name } => Box::new(docker_daemon::DockerDaemon::open(name)?),
        Reference::Registry(reference) => Box::new(registry::Registry::open(reference, registries)?),
    })
}

/// Why an image cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// A registry that does not take it.
    #[error("{0}")]
    Registry(#[source] RegistryError),
    /// A registry that takes the image, and not the documents about it.
    #[error("cannot put the documents beside the image; its tag is where it was")]
    Companions(#[source] RegistryError),
    /// A digest as destination.
    #[error("destination `{0}` names a digest: expected a tag, for the digest comes from the image")]
    Digested(Reference),
    /// A directory with something else in it.
    #[error("`{}` is a directory with other things in it: expected an OCI image layout, an empty or a new directory", .0.display())]
    NotALayout(PathBuf),
    /// A layout that cannot be added to.
    #[error("OCI image layout `{}` cannot be added to: `{file}` is not what the specification says", path.display())]
    BrokenLayout {
        /// The layout.
        path: PathBuf,
        /// Which of its files.
        file: &'static str,
    },
    /// A file where a directory must be, or something that is no plain file.
    #[error("`{}` exists and is not a {expected}: choose another destination", path.display())]
    WrongKind {
        /// What.
        path: PathBuf,
        /// What it must be.
        expected: &'static str,
    },
    /// The directory that would hold the destination.
    #[error("cannot write to `{}`: it must be an existing directory that allows it", path.display())]
    Parent {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// An archive on somebody's screen.
    #[error("stdout is a terminal: redirect it to a file or a pipe")]
    Terminal,
    /// A place for one image only.
    #[error("`{}` cannot hold images for several platforms: a docker archive and a daemon have no index; expected `oci:` or `oci-archive:`", .0.display())]
    NoIndex(PathBuf),
    /// The ID of an image as the name of a new one.
    #[error(
        "`docker-daemon:{0}` is an image's ID, which follows from its content: expected `docker-daemon:NAME[:TAG]`"
    )]
    ChosenId(String),
    /// The daemon does not take it, or there is none.
    #[error(transparent)]
    Daemon(DaemonError),
    /// One place twice.
    #[error("destination `{0}` is given twice")]
    Twice(Reference),
    /// What would be written over is what is read.
    #[error("destination `{0}` is the source")]
    IsSource(Reference),
    /// Reading something at the destination.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// What.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Writing.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// What.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Writing to stdout.
    #[error("cannot write to stdout")]
    Stdout(#[source] io::Error),
    /// Reading a layer that is taken over; a verification error may be inside.
    #[error("cannot copy layer blob {digest}")]
    CopyLayer {
        /// Which.
        digest: BlobDigest,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Decompressing a layer for an archive of plain ones.
    #[error("cannot decompress layer blob {digest}")]
    Decompress {
        /// Which.
        digest: BlobDigest,
        /// Why.
        #[source]
        source: LayerError,
    },
}

fn write_error(path: &Path) -> impl FnOnce(io::Error) -> SinkError + use<'_> {
    |source| SinkError::Write { path: path.to_owned(), source }
}

/// One spelling for the names of one file, which need not be there.
fn place_of(path: &Path) -> PathBuf {
    if path == Path::new(STDIO) {
        return path.to_owned();
    }
    let there = || std::fs::canonicalize(path).ok();
    let to_be = || Some(std::fs::canonicalize(staging::parent(path)).ok()?.join(path.file_name()?));
    // What is a link is refused where it is opened.
    there().or_else(to_be).unwrap_or_else(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Neither read from nor written to.
    struct Defect;

    impl Read for Defect {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }

    impl Write for Defect {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_is_no_fault_of_the_layers() {
        assert!(matches!(copy(&b"layer"[..], Defect), Err(Broken::Writing(_))));
        assert!(matches!(copy(Defect, io::sink()), Err(Broken::Reading(_))));
        let mut copied = Vec::new();
        copy(&b"layer"[..], &mut copied).unwrap();
        assert_eq!(copied, b"layer");
    }
}
