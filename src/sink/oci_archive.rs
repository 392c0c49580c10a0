//! `oci-archive:FILE`: an OCI image layout with one image or one index, as a tar archive.
//!
//! Does not add to an archive: it is replaced whole.

use std::collections::BTreeSet;

use super::archive::Target;
use super::layout::{OCI_LAYOUT, index_entry, with_entry};
use super::{Prepared, Sink, SinkError, Staging};
use crate::digest::BlobDigest;
use crate::image::Published;
use crate::image::manifest::Blob;

pub(super) struct OciArchive {
    pub(super) target: Target,
    pub(super) tag: Option<String>,
}

impl Sink for OciArchive {
    fn has_blob(&self, _: Blob) -> bool {
        false
    }

    fn prepare(&self, published: &Published, staging: &Staging) -> Result<Box<dyn Prepared>, SinkError> {
        let mut tar = self.target.create()?;
        tar.add_bytes("oci-layout", OCI_LAYOUT)?;
        tar.add_bytes("index.json", &with_entry(None, &index_entry(published, self.tag.as_deref())))?;
        tar.add_directory("blobs/")?;
        tar.add_directory("blobs/sha256/")?;
        let name = |digest: &BlobDigest| format!("blobs/sha256/{}", digest.hex());
        // One blob may be several layers, also of several images; one image may stand for several platforms.
        let mut written = BTreeSet::from([published.root_digest()]);
        tar.add_bytes(&name(&published.root_digest()), published.root_bytes())?;
        for image in published.images() {
            let config = BlobDigest::from(image.image_id());
            let documents = [(image.manifest_digest(), &image.manifest_bytes), (config, &image.config_bytes)];
            for (digest, bytes) in documents {
                if written.insert(digest) {
                    tar.add_bytes(&name(&digest), bytes)?;
                }
            }
            for layer in &image.layers {
                if written.insert(layer.digest) {
                    tar.add_stream(&name(&layer.digest), &mut staging.open_blob(&layer.digest)?)?;
                }
            }
        }
        tar.finish()
    }
}
