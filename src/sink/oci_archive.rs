//! `oci-archive:FILE`: an OCI image layout with one image, as a tar archive.
//!
//! Does not add to an archive: it is replaced whole.

use super::archive::Target;
use super::layout::{OCI_LAYOUT, index_entry, with_entry};
use super::{Prepared, Sink, SinkError, Staging};
use crate::digest::BlobDigest;
use crate::image::FinishedImage;

pub(super) struct OciArchive {
    pub(super) target: Target,
    pub(super) tag: Option<String>,
}

impl Sink for OciArchive {
    fn has_blob(&self, _: &BlobDigest) -> bool {
        false
    }

    fn prepare(&self, image: &FinishedImage, staging: &Staging) -> Result<Box<dyn Prepared>, SinkError> {
        let mut tar = self.target.create()?;
        tar.add_bytes("oci-layout", OCI_LAYOUT)?;
        tar.add_bytes("index.json", &with_entry(None, &index_entry(image, self.tag.as_deref())))?;
        tar.add_directory("blobs/")?;
        tar.add_directory("blobs/sha256/")?;
        let name = |digest: &BlobDigest| format!("blobs/sha256/{}", digest.hex());
        tar.add_bytes(&name(&image.manifest_digest()), &image.manifest_bytes)?;
        tar.add_bytes(&name(&image.image_id().into()), &image.config_bytes)?;
        let mut written = Vec::new();
        for layer in &image.layers {
            // One blob may be several layers.
            if !written.contains(&layer.digest) {
                tar.add_stream(&name(&layer.digest), &mut staging.open_blob(&layer.digest)?)?;
                written.push(layer.digest);
            }
        }
        tar.finish()
    }
}
