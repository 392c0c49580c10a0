//! Images made of fixtures, as real bytes: tar streams by an independent writer, OCI image layouts on disk.
//!
//! Edge: writes to directories that tests own. Files without content in the fixture get some of their size.
#![expect(clippy::disallowed_methods, reason = "edge: fixtures on disk")]

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use kiln::digest::{BlobDigest, DiffId};
use kiln::elf::facts::ElfFacts;
use kiln::elf::fixture::ElfBuilder;
use kiln::image::Codec;
use kiln::rootfs::{Content, Entry, File, Kind, LayerIndex};
use serde_json::{Value, json};

/// The layer as a tar stream.
pub fn tar_of(layer: &LayerIndex) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for entry in &layer.entries {
        append(&mut tar, entry);
    }
    tar.into_inner().unwrap()
}

fn append(tar: &mut tar::Builder<Vec<u8>>, entry: &Entry) {
    let records: Vec<(String, &[u8])> = entry
        .xattrs
        .iter()
        .flat_map(|list| list.iter())
        .map(|(name, value)| (format!("SCHILY.xattr.{}", String::from_utf8_lossy(name)), &**value))
        .collect();
    if !records.is_empty() {
        tar.append_pax_extensions(records.iter().map(|(name, value)| (name.as_str(), *value))).unwrap();
    }
    let mut header = tar::Header::new_gnu();
    header.set_mode(u32::from(entry.mode));
    header.set_uid(u64::from(entry.uid));
    header.set_gid(u64::from(entry.gid));
    header.set_mtime(entry.mtime);
    header.set_size(0);
    let (parent, name) = (entry.path.parent(), entry.path.name());
    let hidden = |name: &[u8]| {
        let parent = parent.as_ref().map_or(&b""[..], |parent| parent.as_bytes());
        if parent.is_empty() { name.to_vec() } else { [parent, b"/", name].concat() }
    };
    let (kind, path, link) = match &entry.kind {
        Kind::File(file) => {
            let bytes = content(file);
            header.set_entry_type(tar::EntryType::Regular);
            header.set_size(bytes.len() as u64);
            tar.append_data(&mut header, path_of(entry.path.as_bytes()), bytes.as_slice()).unwrap();
            return;
        }
        Kind::Directory => (tar::EntryType::Directory, entry.path.as_bytes().to_vec(), None),
        Kind::Symlink(target) => (tar::EntryType::Symlink, entry.path.as_bytes().to_vec(), Some(&**target)),
        Kind::Hardlink(target) => {
            (tar::EntryType::Link, entry.path.as_bytes().to_vec(), Some(target.as_bytes()))
        }
        Kind::Fifo => (tar::EntryType::Fifo, entry.path.as_bytes().to_vec(), None),
        Kind::Whiteout => (tar::EntryType::Regular, hidden(&[b".wh.", name].concat()), None),
        Kind::Opaque => {
            let path = [entry.path.as_bytes(), b"/.wh..wh..opq"].concat();
            (tar::EntryType::Regular, path.strip_prefix(b"/").unwrap_or(&path).to_vec(), None)
        }
        Kind::CharDevice(major, minor) | Kind::BlockDevice(major, minor) => {
            header.set_device_major(*major).unwrap();
            header.set_device_minor(*minor).unwrap();
            let is_char = matches!(entry.kind, Kind::CharDevice(..));
            let kind = if is_char { tar::EntryType::Char } else { tar::EntryType::Block };
            (kind, entry.path.as_bytes().to_vec(), None)
        }
    };
    header.set_entry_type(kind);
    match link {
        Some(link) => tar.append_link(&mut header, path_of(&path), path_of(link)).unwrap(),
        None => tar.append_data(&mut header, path_of(&path), std::io::empty()).unwrap(),
    }
}

fn path_of(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

/// Bytes that an index of the tar stream sees as what the fixture says.
fn content(file: &File) -> Vec<u8> {
    match (&file.bytes, &file.content) {
        (Some(bytes), _) => bytes.bytes().into_owned(),
        (None, Content::Elf(facts)) => elf(facts),
        (None, _) => (0..file.size).map(|at| b'a' + (at % 23) as u8).collect(),
    }
}

fn elf(facts: &ElfFacts) -> Vec<u8> {
    let text =
        |bytes: &Option<Box<[u8]>>| bytes.as_ref().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    ElfBuilder {
        kind: facts.kind,
        interpreter: text(&facts.interpreter),
        needed: facts.needed.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect(),
        soname: text(&facts.soname),
        rpath: text(&facts.rpath),
        runpath: text(&facts.runpath),
        imports: if facts.calls_shell { vec!["system".into()] } else { Vec::new() },
        ..ElfBuilder::default()
    }
    .build()
}

/// Writes an image of `layers`, each stored by its codec, as `DIRECTORY:latest`. For linux/amd64 unless `config` says.
pub fn write(directory: &Path, layers: &[(Codec, Vec<u8>)], config: &Value) {
    let blobs = directory.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let put = |bytes: &[u8]| {
        let digest = BlobDigest::of(bytes).to_string();
        fs::write(blobs.join(digest.trim_start_matches("sha256:")), bytes).unwrap();
        (digest, bytes.len())
    };
    let mut config = config.clone();
    for (key, usual) in [("os", "linux"), ("architecture", "amd64")] {
        if config.get(key).is_none() {
            config[key] = json!(usual);
        }
    }
    let diff_ids: Vec<DiffId> = layers.iter().map(|(_, tar)| DiffId::of(tar)).collect();
    config["rootfs"] = json!({"type": "layers", "diff_ids": diff_ids});
    let descriptors: Vec<Value> = layers
        .iter()
        .map(|(codec, tar)| {
            let (suffix, bytes) = match codec {
                Codec::Plain => ("", tar.clone()),
                Codec::Zstd => ("+zstd", zstd::encode_all(tar.as_slice(), 1).unwrap()),
                Codec::Gzip => {
                    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                    encoder.write_all(tar).unwrap();
                    ("+gzip", encoder.finish().unwrap())
                }
            };
            let (digest, size) = put(&bytes);
            json!({"mediaType": format!("application/vnd.oci.image.layer.v1.tar{suffix}"), "digest": digest, "size": size})
        })
        .collect();
    let (config_digest, config_size) = put(config.to_string().as_bytes());
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config_digest, "size": config_size},
        "layers": descriptors,
    });
    let (digest, size) = put(manifest.to_string().as_bytes());
    let index = json!({"schemaVersion": 2, "manifests": [{
        "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "size": size,
        "annotations": {"org.opencontainers.image.ref.name": "latest"},
    }]});
    fs::write(directory.join("index.json"), index.to_string()).unwrap();
    fs::write(directory.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
}
