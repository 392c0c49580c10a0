//! A place with an image to harden and destinations that hold something: whatever fails must leave them as they are.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use assert_cmd::Command;
use kiln::digest::{BlobDigest, DiffId};
use kiln::elf::fixture::ElfBuilder;
use serde_json::{Value, json};

use super::tar::{program, tar};

pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub const PLAIN: &str = "application/vnd.oci.image.layer.v1.tar";
pub const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
pub const ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";

/// A layer as it is stored, and the `diff_id` that the config gives it.
pub struct Layer {
    pub media_type: &'static str,
    pub stored: Vec<u8>,
    pub diff_id: DiffId,
}

impl Layer {
    pub fn plain(tar: Vec<u8>) -> Self {
        Self { media_type: PLAIN, diff_id: DiffId::of(&tar), stored: tar }
    }

    pub fn gzip(tar: &[u8]) -> Self {
        Self { media_type: GZIP, stored: gzip(tar), diff_id: DiffId::of(tar) }
    }

    pub fn zstd(tar: &[u8]) -> Self {
        Self { media_type: ZSTD, stored: zstd::encode_all(tar, 1).unwrap(), diff_id: DiffId::of(tar) }
    }
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, bytes).unwrap();
    encoder.finish().unwrap()
}

/// A layer with a program that needs nothing.
pub fn app() -> Vec<u8> {
    tar(&[program(b"app", &ElfBuilder::static_program().build())])
}

pub struct Lab(tempfile::TempDir);

impl Lab {
    /// With destinations of every kind that hold an older image or an older document.
    pub fn new() -> Self {
        let lab = Self(tempfile::tempdir().unwrap());
        fs::create_dir(lab.path("to")).unwrap();
        lab.write("to/layout", &[Layer::plain(app())]);
        for name in ["oci.tar", "docker.tar", "report.json", "pod.yaml", "manifest.json"] {
            fs::write(lab.path("to").join(name), b"what was here before").unwrap();
        }
        lab
    }

    /// A lab with an image of these layers.
    pub fn with(layers: &[Layer]) -> Self {
        let lab = Self::new();
        lab.write("from", layers);
        lab
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Puts an image into the layout `name`.
    pub fn write(&self, name: &str, layers: &[Layer]) {
        self.write_with(name, layers, |_| {}, |_| {});
    }

    /// As [`Self::write`], with changed documents.
    pub fn write_with(
        &self,
        name: &str,
        layers: &[Layer],
        config_change: impl FnOnce(&mut Value),
        manifest_change: impl FnOnce(&mut Value),
    ) {
        let diff_ids: Vec<DiffId> = layers.iter().map(|layer| layer.diff_id).collect();
        let mut config = json!({
            "os": "linux", "architecture": "amd64", "config": {"Entrypoint": ["/app"]},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        config_change(&mut config);
        let layers: Vec<Value> =
            layers.iter().map(|layer| self.put(name, layer.media_type, &layer.stored)).collect();
        let config = self.put(name, CONFIG, config.to_string().as_bytes());
        let mut manifest =
            json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers});
        manifest_change(&mut manifest);
        let manifest = self.put(name, MANIFEST, manifest.to_string().as_bytes());
        self.point(name, &manifest);
    }

    /// Stores a blob; gives its descriptor.
    pub fn put(&self, name: &str, media_type: &str, bytes: &[u8]) -> Value {
        let digest = BlobDigest::of(bytes);
        let blobs = self.path(name).join("blobs/sha256");
        fs::create_dir_all(&blobs).unwrap();
        fs::write(blobs.join(digest.hex()), bytes).unwrap();
        json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
    }

    /// Makes the layout's index lead to `descriptor`.
    pub fn point(&self, name: &str, descriptor: &Value) {
        let mut descriptor = descriptor.clone();
        descriptor["annotations"] = json!({"org.opencontainers.image.ref.name": "old"});
        let index = json!({"schemaVersion": 2, "manifests": [descriptor]}).to_string();
        fs::write(self.path(name).join("index.json"), index).unwrap();
        fs::write(self.path(name).join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    }

    /// The file of the blob that `document` of the image in `from` leads to: `manifest`, `config` or `layer`.
    pub fn blob(&self, document: &str) -> PathBuf {
        let read = |path: PathBuf| serde_json::from_slice::<Value>(&fs::read(path).unwrap()).unwrap();
        let find = |descriptor: &Value| {
            let digest = descriptor["digest"].as_str().unwrap();
            self.path("from/blobs/sha256").join(digest.trim_start_matches("sha256:"))
        };
        let manifest = find(&read(self.path("from/index.json"))["manifests"][0]);
        match document {
            "manifest" => manifest,
            "config" => find(&read(manifest)["config"]),
            _ => find(&read(manifest)["layers"][0]),
        }
    }

    /// Hardens `from` into every kind of destination and document.
    pub fn harden(&self, from: &str, more: &[&str]) -> Output {
        let to = self.path("to").display().to_string();
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("kiln"));
        command.arg("harden").arg(from);
        for output in ["oci:TO/layout:new", "oci-archive:TO/oci.tar", "docker-archive:TO/docker.tar"] {
            command.arg("-o").arg(output.replace("TO", &to));
        }
        for document in ["report.json", "pod.yaml", "manifest.json"] {
            let flag = document.split('.').next().unwrap();
            command.arg(format!("--{flag}")).arg(format!("{to}/{document}"));
        }
        command.args(more).env_remove("RUST_BACKTRACE").output().unwrap()
    }

    /// That hardening `from` is refused with exit status 3 and one error that says all of `words`, and that every
    /// destination is what it was.
    pub fn refuses_from(&self, from: &str, more: &[&str], words: &[&str]) -> String {
        let before = snapshot(&self.path("to"));
        let output = self.harden(from, more);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(3), "{error}");
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "", "nothing on stdout: {error}");
        assert!(error.starts_with("error: "), "{error}");
        assert_eq!(error.lines().filter(|line| !line.starts_with("hint: ")).count(), 1, "{error}");
        for word in words {
            assert!(error.contains(word), "expected `{word}` in {error}");
        }
        let after = snapshot(&self.path("to"));
        assert!(before == after, "touched: {:?} became {:?}", before.keys(), after.keys());
        error
    }

    /// As [`Self::refuses_from`], of the layout `from`.
    pub fn refuses(&self, words: &[&str]) -> String {
        self.refuses_from(&format!("oci:{}", self.path("from").display()), &[], words)
    }

    /// That hardening the layout `from` works; gives stdout and stderr.
    pub fn accepts(&self, more: &[&str]) -> String {
        let output = self.harden(&format!("oci:{}", self.path("from").display()), more);
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8(text).unwrap();
        assert_eq!(output.status.code(), Some(0), "{text}");
        text
    }

    /// The report of a hardening that worked.
    pub fn report(&self) -> Value {
        serde_json::from_slice(&fs::read(self.path("to/report.json")).unwrap()).unwrap()
    }
}

/// Every file below `directory`, with its bytes' digest.
pub fn snapshot(directory: &Path) -> BTreeMap<PathBuf, Option<BlobDigest>> {
    let mut out = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            out.extend(snapshot(&path));
            out.insert(path, None);
        } else {
            let digest = BlobDigest::of(&fs::read(&path).unwrap());
            out.insert(path, Some(digest));
        }
    }
    out
}
