//! `docker-daemon:NAME`: an image into the Docker daemon, or into podman's service.
//!
//! Writes a docker archive, which the daemon loads whole or not at all.

use std::fs::File;

use super::archive::TarWriter;
use super::{Prepared, Sink, SinkError, Staging, docker_archive};
use crate::daemon::Daemon;
use crate::image::Published;
use crate::image::manifest::Blob;

pub(super) struct DockerDaemon {
    daemon: Daemon,
    name: String,
}

impl DockerDaemon {
    pub(super) fn open(name: &str) -> Result<Self, SinkError> {
        // An ID follows from the image's bytes; nobody chooses it.
        if name.starts_with("sha256:") {
            return Err(SinkError::ChosenId(name.to_owned()));
        }
        Ok(Self { daemon: Daemon::open().map_err(SinkError::Daemon)?, name: name.to_owned() })
    }

    fn no_index(&self) -> SinkError {
        SinkError::NoIndex(format!("docker-daemon:{}", self.name).into())
    }
}

impl Sink for DockerDaemon {
    fn has_blob(&self, _: Blob) -> bool {
        false
    }

    fn check_index(&self) -> Result<(), SinkError> {
        Err(self.no_index())
    }

    fn prepare(&self, published: &Published, staging: &Staging) -> Result<Box<dyn Prepared>, SinkError> {
        let Published::Image(image) = published else {
            return Err(self.no_index());
        };
        let tar = docker_archive::write(TarWriter::scratch()?, Some(&self.name), image, staging)?;
        Ok(Box::new(Ready { daemon: self.daemon.clone(), archive: tar.into_file()? }))
    }
}

struct Ready {
    daemon: Daemon,
    archive: File,
}

impl Prepared for Ready {
    fn publish(self: Box<Self>) -> Result<(), SinkError> {
        self.daemon.import(&self.archive).map_err(SinkError::Daemon)
    }
}
