//! `oci:DIR`: an OCI image layout in a directory (image-spec, image-layout).
//!
//! Does not write; `sink::layout` does.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::documents::{Blobs, name_in, open_sized, resolve};
use super::{Platforms, Source, SourceError, SourceImage, platforms};
use crate::image::manifest::{Blob, is_known_layout_version};
use crate::image::{LayerDescriptor, MAX_DOCUMENT, Platform};

/// An open layout; nothing of it is held in memory.
pub(super) struct Layout {
    directory: PathBuf,
    tag: Option<String>,
}

impl Layout {
    pub(super) fn open(directory: &Path, tag: Option<String>) -> Result<Self, SourceError> {
        let open_error = |source| SourceError::Open { path: directory.to_owned(), source };
        if !fs::metadata(directory).map_err(open_error)?.is_dir() {
            return Err(SourceError::WrongKind { path: directory.to_owned(), expected: "directory" });
        }
        let layout = Self { directory: directory.to_owned(), tag };
        if !is_known_layout_version(&layout.read_file("oci-layout")?) {
            return Err(SourceError::LayoutVersion(directory.to_owned()));
        }
        Ok(layout)
    }

    fn read_file(&self, name: &'static str) -> Result<Vec<u8>, SourceError> {
        let path = self.directory.join(name);
        let (size, file) = match open_regular(&path) {
            Ok(opened) => opened,
            Err(SourceError::Open { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Err(SourceError::NotALayout { path: self.directory.clone(), missing: name });
            }
            Err(error) => return Err(error),
        };
        if size > MAX_DOCUMENT {
            return Err(SourceError::DocumentTooLarge { what: format!("`{}`", path.display()) });
        }
        let mut bytes = Vec::new();
        file.take(MAX_DOCUMENT)
            .read_to_end(&mut bytes)
            .map_err(|source| SourceError::Read { path, source })?;
        Ok(bytes)
    }
}

/// Opens a regular file only: a pipe or device in a stranger's layout must not hang the run.
fn open_regular(path: &Path) -> Result<(u64, File), SourceError> {
    let open_error = |source| SourceError::Open { path: path.to_owned(), source };
    if !fs::metadata(path).map_err(open_error)?.is_file() {
        return Err(SourceError::WrongKind { path: path.to_owned(), expected: "regular file" });
    }
    let file = File::open(path).map_err(open_error)?;
    let size = file.metadata().map_err(open_error)?.len();
    Ok((size, file))
}

impl Blobs for Layout {
    fn path(&self) -> &Path {
        &self.directory
    }

    fn open_blob(&self, Blob { digest, .. }: Blob) -> Result<(u64, Box<dyn Read + Send>), SourceError> {
        let path = self.directory.join("blobs/sha256").join(digest.hex());
        match open_regular(&path) {
            Ok((size, file)) => Ok((size, Box::new(file))),
            Err(SourceError::Open { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Err(SourceError::MissingBlob { path: self.directory.clone(), digest })
            }
            Err(error) => Err(error),
        }
    }
}

impl Source for Layout {
    fn image(&self, platform: Option<&Platform>) -> Result<SourceImage, SourceError> {
        resolve(self, &self.read_file("index.json")?, self.tag.as_deref(), platform)
    }

    fn platforms(&self) -> Result<Platforms, SourceError> {
        platforms::list(self, &self.read_file("index.json")?, self.tag.as_deref())
    }

    fn name(&self) -> Result<Option<String>, SourceError> {
        name_in(self, &self.read_file("index.json")?, self.tag.as_deref())
    }

    fn open_layer(&self, layer: &LayerDescriptor) -> Result<Box<dyn Read + Send>, SourceError> {
        open_sized(self, Blob { digest: layer.digest, size: layer.size })
    }
}
