//! `docker://NAME`: an image or index pushed to a registry. Blobs first, then manifests by digest, the tag last.
//!
//! Does not speak HTTP; `registry` does.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use super::{Prepared, Sink, SinkError, Staging};
use crate::digest::BlobDigest;
use crate::image::manifest::Blob;
use crate::image::{Companion, Published, media};
use crate::reference::{Reference, RegistryReference};
use crate::registry::{Client, Content, Registries, RegistryError, Right, Tag};

/// Blobs sent at once: as many as are fetched at once.
const PARALLEL: usize = 4;

/// A tag to push to.
pub(super) struct Registry {
    client: Client,
    tag: Tag,
    /// Blobs that are sent while others are made.
    begun: Mutex<BTreeMap<BlobDigest, Begun>>,
}

/// A blob on its way.
type Begun = JoinHandle<Result<(), SinkError>>;

impl Registry {
    /// Asks for the tag, so that a name, certificate or password that will not do is known before the work.
    pub(super) fn open(reference: &RegistryReference, registries: &Registries) -> Result<Self, SinkError> {
        let tag = match (&reference.tag, reference.digest) {
            (Some(tag), None) => Tag::Name(tag.clone()),
            _ => return Err(SinkError::Digested(Reference::Registry(reference.clone()))),
        };
        let client = registries.client(&reference.repository, Right::Push);
        client.head_manifest(&tag).map_err(SinkError::Registry)?;
        Ok(Self { client, tag, begun: Mutex::default() })
    }

    fn send(&self, digest: &BlobDigest, size: u64, staging: &Staging) -> Result<(), SinkError> {
        if staging.has_blob(digest) {
            return send_file(&self.client, digest, size, &staging.open_blob(digest)?);
        }
        // It was there when it was not staged.
        match self.client.has_blob(Blob { digest: *digest, size }) {
            Ok(true) => Ok(()),
            Ok(false) => Err(SinkError::Registry(RegistryError::Vanished { digest: *digest })),
            Err(error) => Err(SinkError::Registry(error)),
        }
    }
}

fn send_file(client: &Client, digest: &BlobDigest, size: u64, file: &File) -> Result<(), SinkError> {
    client.put_blob(digest, size, Content::File(file)).map(drop).map_err(SinkError::Registry)
}

impl Registry {
    /// The largest first, several at once; the first error counts.
    fn send_all(&self, blobs: BTreeMap<BlobDigest, u64>, staging: &Staging) -> Result<(), SinkError> {
        let mut blobs: Vec<_> = blobs.into_iter().collect();
        blobs.sort_by_key(|&(digest, size)| (std::cmp::Reverse(size), digest));
        let (next, failed) = (AtomicUsize::new(0), Mutex::new(None));
        let worker = || {
            while let Some((digest, size)) = blobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                if let Err(error) = self.send(digest, *size, staging) {
                    next.store(blobs.len(), Ordering::Relaxed);
                    failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..PARALLEL.min(blobs.len()) {
                scope.spawn(worker);
            }
            worker();
        });
        match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}

impl Sink for Registry {
    fn has_blob(&self, blob: Blob) -> bool {
        // What goes wrong here goes wrong again, and is told, when the blob is to be sent.
        self.client.has_blob(blob).unwrap_or(false)
    }

    fn offer(&self, Blob { digest, size }: Blob, staging: &Staging) {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let under_way = begun.values().filter(|begun| !begun.is_finished()).count();
        // What is not begun now is sent in the end.
        if under_way < PARALLEL
            && !begun.contains_key(&digest)
            && let Ok(file) = staging.open_blob(&digest)
        {
            let client = self.client.clone();
            let send = move || send_file(&client, &digest, size, &file);
            if let Ok(thread) = std::thread::Builder::new().spawn(send) {
                begun.insert(digest, thread);
            }
        }
    }

    fn keeps_companions(&self) -> bool {
        true
    }

    fn prepare(&self, published: &Published, staging: &Staging) -> Result<Box<dyn Prepared>, SinkError> {
        let images = published.images();
        // One blob may be several layers, also of several images.
        let layers = images.iter().flat_map(|image| &image.layers);
        let mut layers: BTreeMap<_, _> = layers.map(|layer| (layer.digest, layer.size)).collect();
        let begun = std::mem::take(&mut *self.begun.lock().unwrap_or_else(PoisonError::into_inner));
        for (digest, sent) in begun {
            // What could not be sent then may be sent now, and if not it is told now.
            if sent.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)).is_ok() {
                layers.remove(&digest);
            }
        }
        self.send_all(layers, staging)?;
        for image in images {
            let (id, config) = (BlobDigest::from(image.image_id()), &image.config_bytes);
            let sent = self.client.put_blob(&id, config.len() as u64, Content::Bytes(config));
            sent.map_err(SinkError::Registry)?;
            let tag = Tag::Digest(image.manifest_digest());
            put(&self.client, &tag, &image.manifest_bytes, media::OCI_MANIFEST)?;
        }
        let root = Ready {
            client: self.client.clone(),
            tag: self.tag.clone(),
            bytes: published.root_bytes().to_vec(),
            media_type: published.root_media_type(),
        };
        put(&root.client, &Tag::Digest(published.root_digest()), &root.bytes, root.media_type)?;
        Ok(Box::new(root))
    }
}

/// An image or index that is there by its digest.
struct Ready {
    client: Client,
    tag: Tag,
    bytes: Vec<u8>,
    media_type: &'static str,
}

impl Prepared for Ready {
    fn attach(&self, companions: &[Companion]) -> Result<(), SinkError> {
        self.client.put_companions(companions).map_err(SinkError::Companions)
    }

    fn publish(self: Box<Self>) -> Result<(), SinkError> {
        put(&self.client, &self.tag, &self.bytes, self.media_type)
    }
}

/// Stores a manifest under a name, unless it is there.
fn put(client: &Client, tag: &Tag, bytes: &[u8], media_type: &str) -> Result<(), SinkError> {
    let there = client.head_manifest(tag).map_err(SinkError::Registry)?;
    if there == Some(BlobDigest::of(bytes)) {
        return Ok(());
    }
    client.put_manifest(tag, bytes, media_type).map(drop).map_err(SinkError::Registry)
}
