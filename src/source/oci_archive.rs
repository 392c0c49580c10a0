//! `oci-archive:FILE`: an OCI image layout in a tar archive.
//!
//! Does not unpack; members are read where they lie.

use std::io::Read;
use std::path::Path;

use super::archive::Archive;
use super::documents::{Blobs, open_sized, resolve};
use super::{Platforms, Source, SourceError, SourceImage, platforms};
use crate::image::manifest::{Blob, is_known_layout_version};
use crate::image::{LayerDescriptor, Platform};
use crate::limits::Limits;

/// An open archive.
pub(super) struct OciArchive {
    archive: Archive,
    tag: Option<String>,
}

impl OciArchive {
    pub(super) fn open(file: &Path, tag: Option<String>, limits: &Limits) -> Result<Self, SourceError> {
        let opened = Self { archive: Archive::open(file, limits)?, tag };
        if !is_known_layout_version(&opened.read_file("oci-layout")?) {
            return Err(SourceError::LayoutVersion(file.to_owned()));
        }
        Ok(opened)
    }

    fn read_file(&self, name: &'static str) -> Result<Vec<u8>, SourceError> {
        match self.archive.read_document(name) {
            Err(SourceError::MissingMember { path, .. }) => {
                Err(SourceError::NotALayout { path, missing: name })
            }
            other => other,
        }
    }
}

impl Blobs for OciArchive {
    fn path(&self) -> &Path {
        self.archive.path()
    }

    fn open_blob(&self, Blob { digest, .. }: Blob) -> Result<(u64, Box<dyn Read + Send>), SourceError> {
        match self.archive.open_member(&format!("blobs/sha256/{}", digest.hex())) {
            Ok((size, reader)) => Ok((size, Box::new(reader))),
            Err(SourceError::MissingMember { path, .. }) => Err(SourceError::MissingBlob { path, digest }),
            Err(error) => Err(error),
        }
    }
}

impl Source for OciArchive {
    fn image(&self, platform: Option<&Platform>) -> Result<SourceImage, SourceError> {
        resolve(self, &self.read_file("index.json")?, self.tag.as_deref(), platform)
    }

    fn platforms(&self) -> Result<Platforms, SourceError> {
        platforms::list(self, &self.read_file("index.json")?, self.tag.as_deref())
    }

    fn open_layer(&self, layer: &LayerDescriptor) -> Result<Box<dyn Read + Send>, SourceError> {
        open_sized(self, Blob { digest: layer.digest, size: layer.size })
    }
}
