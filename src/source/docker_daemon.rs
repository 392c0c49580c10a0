//! `docker-daemon:NAME`: an image of the Docker daemon, or of podman's service.
//!
//! Reads no image itself: what the daemon exports is a docker archive.

use std::io::{self, Read};
use std::path::PathBuf;

use super::SourceError;
use super::archive::Archive;
use super::docker_archive::DockerArchive;
use crate::daemon::Daemon;
use crate::limits::Limits;

/// Exports the image `name` into a temporary file without a name, and opens that.
pub(super) fn open(name: &str, limits: &Limits) -> Result<DockerArchive, SourceError> {
    let daemon = Daemon::open().map_err(SourceError::Daemon)?;
    let exported = daemon.export(name).map_err(SourceError::Daemon)?;
    let shown = PathBuf::from(format!("docker-daemon:{name}"));
    let write_error = |source| SourceError::Read { path: shown.clone(), source };
    let mut file = tempfile::tempfile().map_err(write_error)?;
    // Nothing is compressed: as much is stored as comes.
    let limit = limits.unpacked(u64::MAX);
    let mut exported = Received { inner: exported.take(limit.limit().saturating_add(1)), failed: None };
    let copied = io::copy(&mut exported, &mut file);
    if let Some(failed) = exported.failed {
        return Err(SourceError::Daemon(daemon.cut(failed)));
    }
    if copied.map_err(write_error)? > limit.limit() {
        return Err(SourceError::Limit { path: shown, source: limit });
    }
    // A daemon exports the image it was asked for, under that name or, asked by its ID, under none.
    Ok(DockerArchive::new(Archive::of_file(shown, file)?, None))
}

/// Tells the daemon's failures from those of the disk.
struct Received<R> {
    inner: R,
    failed: Option<io::Error>,
}

impl<R: Read> Read for Received<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buf).map_err(|error| {
            let again = io::Error::from(error.kind());
            if error.kind() != io::ErrorKind::Interrupted {
                self.failed = Some(error);
            }
            again
        })
    }
}
