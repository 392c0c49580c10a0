//! `oci:DIR`: a new OCI image layout, or one more image in an existing one.
//!
//! Does not remove what no tag leads to any more; that is `umoci gc`'s.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::leftover::{ClaimedDir, is_temporary, remove_leftovers, temp_file};
use super::staging::{parent, sync_directory, temp_dir_in, temp_file_in};
use super::{Prepared, Sink, SinkError, Staging, write_error};
use crate::digest::{BlobDigest, HashingReader};
use crate::image::json::canonical_bytes;
use crate::image::manifest::{Blob, REF_NAME, is_known_layout_version};
use crate::image::{MAX_DOCUMENT, Published, media};
use serde_json::{Map, Value, json};

/// The file that says that a directory is a layout.
pub(super) const OCI_LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

const BLOBS: &str = "blobs/sha256";

/// Times that a lock on a layout is tried, a minute in all, and the time between two of them: another run holds it while
/// it moves names, and everybody who can open the directory can hold it for ever.
const LOCK_TRIES: u32 = 600;
const LOCK_WAIT: Duration = Duration::from_millis(100);

/// A layout to write to.
pub(super) struct Layout {
    directory: PathBuf,
    tag: Option<String>,
}

impl Layout {
    pub(super) fn open(directory: &Path, tag: Option<String>) -> Result<Self, SinkError> {
        let layout = Self { directory: directory.to_owned(), tag };
        match fs::metadata(directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let parent = parent(directory);
                temp_file_in(&parent)?;
            }
            Err(source) => return Err(SinkError::Read { path: directory.to_owned(), source }),
            Ok(kind) if !kind.is_dir() => {
                return Err(SinkError::WrongKind { path: directory.to_owned(), expected: "directory" });
            }
            Ok(_) => {
                if !is_empty(directory)? {
                    layout.check_existing()?;
                }
                temp_file_in(directory)?;
                // A run that made it, and was killed right after, staged its blobs beside it.
                remove_leftovers(&parent(directory));
            }
        }
        Ok(layout)
    }

    fn check_existing(&self) -> Result<(), SinkError> {
        let Some(oci_layout) = read_document(&self.directory.join("oci-layout"))? else {
            return Err(SinkError::NotALayout(self.directory.clone()));
        };
        if !is_known_layout_version(&oci_layout) {
            return Err(SinkError::BrokenLayout { path: self.directory.clone(), file: "oci-layout" });
        }
        read_index(&self.directory).map(drop)
    }
}

impl Sink for Layout {
    /// Reads it to be sure: a blob that is there only by name would make the new image unreadable.
    fn has_blob(&self, Blob { digest, size }: Blob) -> bool {
        let Ok((found, file)) = open_regular(&self.directory.join(BLOBS).join(digest.hex())) else {
            return false;
        };
        // What is longer is not read to its end; what grows meanwhile, no further than the blob.
        let mut reader = HashingReader::new(file.take(size));
        let hashed = io::copy(&mut reader, &mut io::sink()).map(|_| reader.finish().1.blob());
        found == size && hashed.is_ok_and(|found| found == digest)
    }

    fn prepare(&self, published: &Published, staging: &Staging) -> Result<Box<dyn Prepared>, SinkError> {
        let exists = self.directory.is_dir();
        let temp = temp_dir_in(&if exists { self.directory.clone() } else { parent(&self.directory) })?;
        let blobs = temp.path().join(BLOBS);
        fs::create_dir_all(&blobs).map_err(write_error(&blobs))?;
        for image in published.images() {
            for layer in &image.layers {
                let target = blobs.join(layer.digest.hex());
                // One blob may be several layers; a blob that was never staged is at the destination already.
                if !target.exists() && staging.has_blob(&layer.digest) {
                    link_or_copy(&staging.path_of(&layer.digest), &target)?;
                }
            }
            write_synced(&blobs.join(BlobDigest::from(image.image_id()).hex()), &image.config_bytes)?;
            write_synced(&blobs.join(image.manifest_digest().hex()), &image.manifest_bytes)?;
        }
        write_synced(&blobs.join(published.root_digest().hex()), published.root_bytes())?;
        let entry = index_entry(published, self.tag.as_deref());
        Ok(Box::new(Ready { directory: self.directory.clone(), temp, entry }))
    }
}

/// A layout without its index, with the new blobs only.
struct Ready {
    directory: PathBuf,
    temp: ClaimedDir,
    entry: Value,
}

impl Prepared for Ready {
    fn publish(self: Box<Self>) -> Result<(), SinkError> {
        if !self.directory.exists() {
            let from = self.temp.path();
            write_synced(&from.join("oci-layout"), OCI_LAYOUT)?;
            write_synced(&from.join("index.json"), &with_entry(None, &self.entry))?;
            for directory in [&from.join(BLOBS), &from.join("blobs"), from] {
                sync_directory(directory)?;
            }
            match fs::rename(from, &self.directory) {
                Ok(()) => return sync_directory(&parent(&self.directory)),
                // Somebody else made one meanwhile: ours is added to it.
                Err(error) if self.directory.is_dir() && self.temp.path().is_dir() => drop(error),
                Err(source) => return Err(SinkError::Write { path: self.directory.clone(), source }),
            }
        }
        self.add_to_existing()
    }
}

impl Ready {
    /// What makes it a layout first, then blobs, the index last, all under a lock that other runs of kiln respect.
    fn add_to_existing(&self) -> Result<(), SinkError> {
        let directory = &self.directory;
        let _lock = lock(directory, LOCK_TRIES).map_err(write_error(directory))?;
        // Before all else: were this run killed now, the next one would find a layout, and not a directory of somebody's.
        if read_document(&directory.join("oci-layout"))?.is_none() {
            replace(directory, "oci-layout", OCI_LAYOUT)?;
        }
        let blobs = directory.join(BLOBS);
        fs::create_dir_all(&blobs).map_err(write_error(&blobs))?;
        let from = self.temp.path().join(BLOBS);
        for blob in fs::read_dir(&from).map_err(write_error(&from))? {
            let blob = blob.map_err(write_error(&from))?;
            let target = blobs.join(blob.file_name());
            fs::rename(blob.path(), &target).map_err(write_error(&target))?;
        }
        sync_directory(&blobs)?;
        let index = read_index(directory)?;
        replace(directory, "index.json", &with_entry(index, &self.entry))?;
        sync_directory(directory)
    }
}

/// Keeps other runs of kiln from adding at the same time. The directory itself is locked: a lock file would have to stay in
/// the user's layout.
fn lock(directory: &Path, tries: u32) -> io::Result<File> {
    let lock = File::open(directory)?;
    for _ in 0..tries {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_WAIT),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Err(io::Error::new(io::ErrorKind::ResourceBusy, "somebody holds a lock on it"))
}

/// The descriptor of the image or index in `index.json`.
pub(super) fn index_entry(published: &Published, tag: Option<&str>) -> Value {
    let mut entry = published.root_descriptor();
    if let Some(tag) = tag {
        entry.insert("annotations".to_owned(), json!({REF_NAME: tag}));
    }
    Value::Object(entry)
}

/// The index with `entry` in the place of what had its name, or of the same image without one, or at the end.
pub(super) fn with_entry(index: Option<Map<String, Value>>, entry: &Value) -> Vec<u8> {
    let mut index = index.unwrap_or_else(|| {
        let mut fresh = Map::new();
        fresh.insert("schemaVersion".to_owned(), json!(2));
        fresh.insert("mediaType".to_owned(), json!(media::OCI_INDEX));
        fresh
    });
    let name_of = |entry: &Value| entry.pointer("/annotations").and_then(|map| map.get(REF_NAME)).cloned();
    let name = name_of(entry);
    let replaced = |old: &Value| match name_of(old) {
        Some(old_name) => name.as_ref() == Some(&old_name),
        None => old.get("digest") == entry.get("digest"),
    };
    let old = match index.remove("manifests") {
        Some(Value::Array(entries)) => entries,
        _ => Vec::new(),
    };
    let mut entries = Vec::with_capacity(old.len() + 1);
    let mut placed = false;
    for old in old {
        if !replaced(&old) {
            entries.push(old);
        } else if !placed {
            placed = true;
            entries.push(entry.clone());
        }
    }
    if !placed {
        entries.push(entry.clone());
    }
    index.insert("manifests".to_owned(), Value::Array(entries));
    canonical_bytes(&Value::Object(index))
}

/// `index.json` as it is; `None` where there is none yet.
fn read_index(directory: &Path) -> Result<Option<Map<String, Value>>, SinkError> {
    let broken = || SinkError::BrokenLayout { path: directory.to_owned(), file: "index.json" };
    let Some(bytes) = read_document(&directory.join("index.json"))? else {
        return Ok(None);
    };
    match serde_json::from_slice(&bytes) {
        Ok(Value::Object(map)) if map.get("manifests").is_none_or(Value::is_array) => Ok(Some(map)),
        _ => Err(broken()),
    }
}

fn read_document(path: &Path) -> Result<Option<Vec<u8>>, SinkError> {
    let read_error = |source| SinkError::Read { path: path.to_owned(), source };
    let file = match open_regular(path) {
        Ok((_, file)) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(read_error(error)),
    };
    let mut bytes = Vec::new();
    file.take(MAX_DOCUMENT + 1).read_to_end(&mut bytes).map_err(read_error)?;
    if bytes.len() as u64 > MAX_DOCUMENT {
        return Err(read_error(io::ErrorKind::FileTooLarge.into()));
    }
    Ok(Some(bytes))
}

/// Opens a regular file only: a pipe or device in a layout that others write to, too, must not hang the run.
fn open_regular(path: &Path) -> io::Result<(u64, File)> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let file = File::open(path)?;
    Ok((file.metadata()?.len(), file))
}

/// Whether there is nothing but what an interrupted run of kiln may have left.
fn is_empty(directory: &Path) -> Result<bool, SinkError> {
    let read_error = |source| SinkError::Read { path: directory.to_owned(), source };
    for entry in fs::read_dir(directory).map_err(read_error)? {
        if !is_temporary(&entry.map_err(read_error)?.file_name().to_string_lossy()) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The same file under one more name; where the file system has no such thing, or it is another one, a copy.
fn link_or_copy(from: &Path, to: &Path) -> Result<(), SinkError> {
    if fs::hard_link(from, to).is_err() {
        fs::copy(from, to).map_err(write_error(to))?;
    }
    File::open(to).and_then(|file| file.sync_all()).map_err(write_error(to))
}

fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), SinkError> {
    let write = || {
        let mut file = File::create(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(write_error(path))
}

/// Puts a file into the place of another, whole.
fn replace(directory: &Path, name: &str, bytes: &[u8]) -> Result<(), SinkError> {
    let path = directory.join(name);
    let write = || {
        // The caller holds the lock of the directory.
        let mut file = temp_file(directory)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(&path)?;
        Ok(())
    };
    write().map_err(write_error(&path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_is_held_is_waited_for_and_not_for_ever() {
        let directory = tempfile::tempdir().unwrap();
        let theirs = lock(directory.path(), 1).unwrap();
        let refused = lock(directory.path(), 2).unwrap_err();
        assert_eq!(refused.to_string(), "somebody holds a lock on it");
        let release = std::thread::spawn(move || drop(theirs));
        lock(directory.path(), LOCK_TRIES).unwrap();
        release.join().unwrap();
    }

    #[test]
    fn what_was_staged_beside_a_new_layout_is_removed_when_the_layout_is_there() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        // As a run leaves them that was killed after its last rename.
        fs::create_dir(at("layout")).unwrap();
        fs::write(at("layout/oci-layout"), OCI_LAYOUT).unwrap();
        fs::write(at("layout/index.json"), with_entry(None, &json!({}))).unwrap();
        fs::create_dir(at(".kiln-tmp-aB3dEf")).unwrap();
        fs::write(at(".kiln-tmp-aB3dEf/blob"), "staged").unwrap();
        Layout::open(&at("layout"), None).unwrap();
        assert!(!at(".kiln-tmp-aB3dEf").exists());
    }
}
