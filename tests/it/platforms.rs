//! `--platform all`: every Linux image of an index into a new index.
//!
//! Images are fixtures in a layout; the end-to-end suite takes real ones.
#![expect(clippy::disallowed_methods, reason = "edge: fixtures on disk")]

use std::fs;
use std::path::Path;

use kiln::digest::BlobDigest;
use kiln::finding::{Code, Finding};
use kiln::harden::{HardenError, HardenedIndex, harden, harden_platforms};
use kiln::image::Codec;
use kiln::options::Options;
use kiln::progress::Silent;
use kiln::registry::Registries;
use kiln::sink::{Destinations, SinkError};
use kiln::source::{SourceError, open_source};
use serde_json::{Value, json};

use crate::fixture::Fixture;
use crate::layout;

/// A directory with the layout `in`, whose one image is an index.
struct Lab {
    directory: tempfile::TempDir,
    entries: Vec<Value>,
}

impl Lab {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), entries: Vec::new() }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn name(&self, transport: &str, name: &str) -> String {
        format!("{transport}:{}:latest", self.path().join(name).display())
    }

    /// Adds the image of `fixture` for `platform`.
    fn image(mut self, platform: Value, fixture: &Fixture) -> Self {
        let mut config = fixture.config.clone();
        for key in ["os", "architecture"] {
            config[key] = platform[key].clone();
        }
        let layers: Vec<_> =
            fixture.layers.iter().map(|layer| (Codec::Gzip, layout::tar_of(layer))).collect();
        let directory = self.path().join("in");
        layout::write(&directory, &layers, &config);
        let index: Value = serde_json::from_slice(&fs::read(directory.join("index.json")).unwrap()).unwrap();
        let mut entry = index["manifests"][0].clone();
        entry["annotations"] = json!({});
        entry["platform"] = platform;
        self.entries.push(entry);
        self
    }

    /// Adds an entry for something that is not stored.
    fn absent(mut self, platform: &Value, annotations: &Value) -> Self {
        let text = format!("{platform} {annotations}");
        self.entries.push(json!({
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": BlobDigest::of(text.as_bytes()), "size": 7,
            "platform": platform, "annotations": annotations,
        }));
        self
    }

    /// Writes the index, itself in as many others as `nesting` says.
    fn index(self, nesting: usize) -> Self {
        let directory = self.path().join("in");
        let mut document = json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": self.entries, "annotations": {"org.opencontainers.image.title": "app"},
        });
        for level in 0..=nesting {
            let bytes = document.to_string().into_bytes();
            let digest = BlobDigest::of(&bytes);
            fs::write(directory.join("blobs/sha256").join(digest.hex()), &bytes).unwrap();
            let mut entry = json!({
                "mediaType": "application/vnd.oci.image.index.v1+json", "digest": digest, "size": bytes.len(),
            });
            if level == nesting {
                entry["annotations"] = json!({"org.opencontainers.image.ref.name": "latest"});
            }
            document = json!({"schemaVersion": 2, "manifests": [entry]});
        }
        fs::write(directory.join("index.json"), document.to_string()).unwrap();
        self
    }

    fn harden(&self, to: &[&str], options: &Options) -> Result<HardenedIndex, HardenError> {
        let source = open_source(&self.name("oci", "in").parse().unwrap(), &Registries::default()).unwrap();
        let references: Vec<_> = to.iter().map(|name| name.parse().unwrap()).collect();
        let destinations = Destinations::open(&references, &Registries::default()).unwrap();
        harden_platforms(source.as_ref(), options, destinations, &mut |_, _| Vec::new(), &Silent)
    }
}

fn linux(architecture: &str) -> Value {
    json!({"os": "linux", "architecture": architecture})
}

fn app(more: &str) -> Fixture {
    Fixture::new(&format!("/app/main f 0755 elf static\n/bin/sh f 0755 elf static\n{more}"))
        .cmd(&["/app/main"])
        .user("7:7")
}

fn two() -> Lab {
    Lab::new().image(linux("amd64"), &app("")).image(linux("arm64"), &app("/other f 5"))
}

fn codes(findings: &[Finding]) -> Vec<(Code, &str)> {
    findings.iter().map(|finding| (finding.code, finding.subject.as_str())).collect()
}

#[test]
fn every_linux_image_is_hardened_as_if_alone_and_the_index_names_them_in_order() {
    let lab = two().index(0);
    let done = lab.harden(&[&lab.name("oci", "out")], &Options::default()).unwrap();
    assert_eq!(codes(&done.findings), []);
    let out = open_source(&lab.name("oci", "out").parse().unwrap(), &Registries::default()).unwrap();
    let listed = out.platforms().unwrap();
    assert_eq!(listed.index_digest, Some(done.digest));
    assert_eq!(listed.annotations["org.opencontainers.image.title"], "app");
    assert_eq!(listed.annotations["dev.kiln.source.digest"], done.source.to_string());
    let names: Vec<String> = listed.linux.iter().map(|image| image.platform.to_string()).collect();
    assert_eq!(names, ["linux/amd64", "linux/arm64"]);
    for (platform, hardened) in &done.platforms {
        let image = out.image(Some(platform)).unwrap();
        assert_eq!(image.manifest_digest, Some(hardened.digest));
        let source = open_source(&lab.name("oci", "in").parse().unwrap(), &Registries::default()).unwrap();
        let alone = Destinations::open(
            &[lab.name("oci", &format!("one-{}", platform.architecture())).parse().unwrap()],
            &Registries::default(),
        );
        let options = Options { platform: Some(platform.to_string()), ..Options::default() };
        let alone = harden(source.as_ref(), &options, alone.unwrap(), &Silent).unwrap();
        assert_eq!(alone.digest, hardened.digest);
    }
}

#[test]
fn layout_and_archive_hold_the_same_index_and_threads_change_nothing() {
    let lab = two().index(0);
    let (layout, archive) = (lab.name("oci", "out"), lab.name("oci-archive", "out.tar"));
    let both = lab.harden(&[&layout, &archive], &Options::default()).unwrap();
    let jobs = Options { jobs: 8.try_into().unwrap(), ..Options::default() };
    let again = lab.harden(&[&lab.name("oci-archive", "again.tar")], &jobs).unwrap();
    assert_eq!(both.digest, again.digest);
    let bytes = |name: &str| fs::read(lab.path().join(name)).unwrap();
    assert_eq!(bytes("out.tar"), bytes("again.tar"));
    for name in [layout, archive] {
        let listed =
            open_source(&name.parse().unwrap(), &Registries::default()).unwrap().platforms().unwrap();
        assert_eq!((listed.index_digest, listed.linux.len()), (Some(both.digest), 2));
    }
}

#[test]
fn attestations_other_systems_and_what_is_not_stored_are_left_out_and_told() {
    let lab = two()
        .absent(&json!({"os": "windows", "architecture": "amd64", "os.version": "10.0"}), &json!({}))
        .absent(
            &json!({"os": "unknown", "architecture": "unknown"}),
            &json!({"vnd.docker.reference.type": "attestation-manifest"}),
        )
        .absent(&linux("s390x"), &json!({}))
        .image(linux("amd64"), &app("/second f 5"))
        .index(1);
    let attestation = lab.entries[3]["digest"].as_str().unwrap().to_owned();
    let done = lab.harden(&[&lab.name("oci", "out")], &Options::default()).unwrap();
    assert_eq!(
        codes(&done.findings),
        [
            (Code::PlatformLeftOut, "windows/amd64"),
            (Code::AttestationLeftOut, attestation.as_str()),
            (Code::PlatformLeftOut, "linux/s390x"),
            (Code::PlatformLeftOut, "linux/amd64"),
        ]
    );
    assert_eq!(done.platforms.len(), 2);
}

#[test]
fn variant_of_the_index_survives_a_config_without_one() {
    let v6 = json!({"os": "linux", "architecture": "arm", "variant": "v6"});
    let lab = Lab::new().image(v6, &app("")).index(0);
    lab.harden(&[&lab.name("oci", "out")], &Options::default()).unwrap();
    let listed = open_source(&lab.name("oci", "out").parse().unwrap(), &Registries::default())
        .unwrap()
        .platforms()
        .unwrap();
    assert_eq!(listed.linux[0].platform.to_string(), "linux/arm/v6");
}

#[test]
fn platforms_that_disagree_are_told_and_the_union_has_what_each_needs() {
    let lab = Lab::new()
        .image(linux("amd64"), &app("").volume("/data"))
        .image(linux("arm64"), &app("").volume("/state").user("8:8"))
        .index(0);
    let done = lab.harden(&[&lab.name("oci", "out")], &Options::default()).unwrap();
    assert_eq!(
        codes(&done.findings),
        [
            (Code::PlatformsDisagree, "user"),
            (Code::PlatformsDisagree, "/data"),
            (Code::PlatformsDisagree, "/state"),
        ]
    );
    let paths: Vec<_> = done.united.manifest.paths.iter().map(|path| path.path.as_str()).collect();
    assert_eq!(paths, ["/data", "/state"]);
    assert!(!done.united.same_user);
}

#[test]
fn an_image_without_an_index_becomes_an_index_of_one() {
    let lab = Lab::new().image(linux("arm64"), &app(""));
    let done = lab.harden(&[&lab.name("oci", "out")], &Options::default()).unwrap();
    let listed = open_source(&lab.name("oci", "out").parse().unwrap(), &Registries::default())
        .unwrap()
        .platforms()
        .unwrap();
    assert_eq!((listed.index_digest, listed.linux.len()), (Some(done.digest), 1));
    assert_ne!(done.digest, done.platforms[0].1.digest);
}

#[test]
fn docker_archive_takes_no_index_and_nothing_is_written() {
    let lab = two().index(0);
    let (layout, archive) = (lab.name("oci", "out"), lab.name("docker-archive", "out.tar"));
    let error = lab.harden(&[&layout, &archive], &Options::default()).err().unwrap();
    assert!(matches!(error, HardenError::Sink(SinkError::NoIndex(_))), "{error}");
    let mut names: Vec<_> =
        fs::read_dir(lab.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["in"]);
}

#[test]
fn index_without_linux_and_index_nested_too_deep_are_errors() {
    let windows = Lab::new()
        .image(linux("amd64"), &app(""))
        .absent(&json!({"os": "windows", "architecture": "amd64"}), &json!({}));
    let windows = Lab { entries: windows.entries[1..].to_vec(), directory: windows.directory }.index(0);
    let error = windows.harden(&[&windows.name("oci", "out")], &Options::default()).err().unwrap();
    let HardenError::Source(SourceError::NoLinux { platforms }) = error else { panic!("{error}") };
    assert_eq!(platforms, ["windows/amd64"]);
    let deep = two().index(4);
    let error = deep.harden(&[&deep.name("oci", "out")], &Options::default()).err().unwrap();
    assert!(matches!(error, HardenError::Source(SourceError::IndexDepth(_))), "{error}");
}

#[test]
fn an_error_names_the_platform_it_is_about_and_nothing_is_published() {
    let lab = two().index(0);
    let manifest = lab.entries[1]["digest"].as_str().unwrap().trim_start_matches("sha256:").to_owned();
    let blobs = lab.path().join("in/blobs/sha256");
    let manifest: Value = serde_json::from_slice(&fs::read(blobs.join(manifest)).unwrap()).unwrap();
    let layer = manifest["layers"][0]["digest"].as_str().unwrap().trim_start_matches("sha256:").to_owned();
    let mut bytes = fs::read(blobs.join(&layer)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(blobs.join(&layer), bytes).unwrap();
    let error = lab.harden(&[&lab.name("oci", "out")], &Options::default()).err().unwrap();
    assert_eq!(error.to_string(), "platform linux/arm64");
    assert!(!lab.path().join("out").exists());
}
