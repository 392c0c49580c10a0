//! Blobs on their way out: written once, named by digest, gone with the run.
//!
//! Does not know the destinations beyond where the first one lies.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::leftover::{ClaimedDir, claim_dir, claim_file, temp_file};
use super::{SinkError, write_error};
use crate::digest::{BlobDigest, HashingWriter};
use crate::reference::{Reference, STDIO};

/// Bytes hashed and written at once.
const WRITE_SIZE: usize = 128 << 10;

/// What the kernel calls a file system in memory (`linux/magic.h`).
const TMPFS: rustix::fs::FsWord = 0x0102_1994;

/// A directory of finished blobs, on the file system of the first destination so that a layout can take them by link.
pub struct Staging {
    /// `None` where nobody wants the bytes: they are hashed and forgotten.
    directory: Option<ClaimedDir>,
    sync: Sync,
}

/// Whether the files themselves will become part of a destination.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sync {
    /// Written to disk while other threads still compute.
    AtOnce,
    /// Copied into an archive, which is written to disk instead.
    Never,
}

impl Staging {
    /// Makes the directory: inside an existing layout, else beside the first file or directory to be made, else among
    /// temporary files.
    pub fn beside(references: &[Reference]) -> Result<Self, SinkError> {
        let place = |reference: &Reference| match reference {
            Reference::OciLayout { directory, .. } if directory.is_dir() => Some(directory.clone()),
            Reference::OciLayout { directory: path, .. }
            | Reference::OciArchive { file: path, .. }
            | Reference::DockerArchive { file: path, .. } => (path != Path::new(STDIO)).then(|| parent(path)),
            Reference::DockerDaemon { .. } | Reference::Registry(_) => None,
        };
        let parent = references.iter().find_map(place).unwrap_or_else(tempfile::env::temp_dir);
        let layouts = references.iter().any(|reference| matches!(reference, Reference::OciLayout { .. }));
        let directory = temp_dir_in(&parent)?;
        Ok(Self { directory: Some(directory), sync: if layouts { Sync::AtOnce } else { Sync::Never } })
    }

    /// Keeps nothing.
    pub fn nowhere() -> Self {
        Self { directory: None, sync: Sync::Never }
    }

    /// Whether a blob of this digest is finished.
    pub fn has_blob(&self, digest: &BlobDigest) -> bool {
        self.directory.is_some() && self.path_of(digest).is_file()
    }

    /// A new blob.
    pub fn new_blob(&self) -> Result<BlobWriter, SinkError> {
        let out = match &self.directory {
            Some(claimed) => {
                let directory = claimed.path();
                let file = temp_file(directory)
                    .map_err(|source| SinkError::Parent { path: directory.to_owned(), source })?;
                Out::File(file)
            }
            None => Out::Nowhere,
        };
        let writer = BufWriter::with_capacity(WRITE_SIZE, HashingWriter::new(out));
        let directory = self.directory.as_ref().map(|directory| directory.path().to_owned());
        Ok(BlobWriter { writer, directory: directory.unwrap_or_default(), sync: self.sync })
    }

    /// A file without a name, where blobs are staged; `None` where it could be in the way: in memory, or on a disk that has no
    /// more than `free` bytes.
    pub(super) fn scratch(&self, free: u64) -> Option<File> {
        let file = tempfile::tempfile_in(self.directory.as_ref()?.path()).ok()?;
        let disk = rustix::fs::fstatfs(&file).ok()?;
        let unit = u64::try_from(disk.f_bsize).ok()?;
        (disk.f_type != TMPFS && disk.f_bavail.saturating_mul(unit) > free).then_some(file)
    }

    /// The bytes of a finished blob.
    pub(super) fn open_blob(&self, digest: &BlobDigest) -> Result<File, SinkError> {
        let path = self.path_of(digest);
        File::open(&path).map_err(|source| SinkError::Read { path, source })
    }

    pub(super) fn path_of(&self, digest: &BlobDigest) -> PathBuf {
        let directory = self.directory.as_ref();
        let directory = directory.unwrap_or_else(|| unreachable!("nobody asks for blobs that went nowhere"));
        directory.path().join(digest.hex())
    }
}

/// A blob being written. Dropped without [`BlobWriter::finish`], it leaves nothing.
pub struct BlobWriter {
    writer: BufWriter<HashingWriter<Out>>,
    directory: PathBuf,
    sync: Sync,
}

/// Where a blob's bytes go.
enum Out {
    File(NamedTempFile),
    Nowhere,
}

impl Write for Out {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.write(buf),
            Self::Nowhere => Ok(buf.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(file) => file.flush(),
            Self::Nowhere => Ok(()),
        }
    }
}

impl BlobWriter {
    /// An error of writing it.
    pub(super) fn failed(&self, source: io::Error) -> SinkError {
        SinkError::Write { path: self.directory.clone(), source }
    }

    /// Names the blob; gives its digest and size.
    pub fn finish(self) -> Result<(BlobDigest, u64), SinkError> {
        let error = write_error(&self.directory);
        let finish = || {
            let (out, hasher) = self.writer.into_inner().map_err(io::IntoInnerError::into_error)?.finish();
            let (size, digest) = (hasher.bytes(), hasher.blob());
            if let Out::File(file) = out {
                if self.sync == Sync::AtOnce {
                    file.as_file().sync_all()?;
                }
                file.persist(self.directory.join(digest.hex()))?;
            }
            Ok((digest, size))
        };
        finish().map_err(error)
    }
}

impl Write for BlobWriter {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.writer.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// The directory that holds `path`.
pub(super) fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        // `DIR/.` and `/` have no parent to write to but themselves.
        None => path.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// A temporary directory that may be renamed into place.
pub(super) fn temp_dir_in(parent: &Path) -> Result<ClaimedDir, SinkError> {
    claim_dir(parent).map_err(|source| SinkError::Parent { path: parent.to_owned(), source })
}

/// A temporary file that may be renamed into place.
pub(super) fn temp_file_in(parent: &Path) -> Result<NamedTempFile, SinkError> {
    claim_file(parent).map_err(|source| SinkError::Parent { path: parent.to_owned(), source })
}

/// Writes a directory's names to disk: without it a rename may be lost though the file is not.
pub(super) fn sync_directory(path: &Path) -> Result<(), SinkError> {
    File::open(path).and_then(|directory| directory.sync_all()).map_err(write_error(path))
}
