//! Images through every source and sink, with faults.
//!
//! Does not compare with other tools; the end-to-end suite does.
#![expect(clippy::disallowed_methods, reason = "edge: fixtures on disk")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use kiln::digest::{BlobDigest, DiffId, ImageId};
use kiln::image::manifest::Blob;
use kiln::image::{Codec, Config, FinishedImage, FinishedLayer, LayerReader, Platform};
use kiln::reference::Reference;
use kiln::registry::Registries;
use kiln::sink::{Destinations, SinkError};
use kiln::source::{Source, SourceError, SourceImage, open_source};
use serde_json::{Value, json};

fn tar_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, *bytes).unwrap();
    }
    tar.into_inner().unwrap()
}

fn encode(codec: Codec, bytes: &[u8]) -> Vec<u8> {
    match codec {
        Codec::Plain => bytes.to_vec(),
        Codec::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        Codec::Zstd => zstd::encode_all(bytes, 1).unwrap(),
    }
}

const LAYERS: [(Codec, &str); 4] =
    [(Codec::Gzip, "one"), (Codec::Zstd, "two"), (Codec::Plain, "three"), (Codec::Gzip, "one")];

fn layer_tar(text: &str) -> Vec<u8> {
    tar_of(&[("etc/file", text.as_bytes())])
}

fn config(architecture: &str) -> Vec<u8> {
    let diff_ids: Vec<_> = LAYERS.iter().map(|(_, text)| DiffId::of(&layer_tar(text))).collect();
    json!({"os": "linux", "architecture": architecture, "config": {"Cmd": ["/app"]},
        "rootfs": {"type": "layers", "diff_ids": diff_ids}})
    .to_string()
    .into_bytes()
}

/// Writes the test image for `architecture` to all of `texts`; the second layer list entry repeats the first layer.
fn write_image(architecture: &str, texts: &[&str]) -> Result<BlobDigest, SinkError> {
    let references: Vec<Reference> = texts.iter().map(|text| text.parse().unwrap()).collect();
    let destinations = Destinations::open(&references, &Registries::default())?;
    let mut layers = Vec::new();
    for (codec, text) in LAYERS {
        let tar = layer_tar(text);
        let mut blob = destinations.new_blob()?;
        blob.write_all(&encode(codec, &tar)).unwrap();
        let (digest, size) = blob.finish()?;
        assert!(destinations.has_blob(Blob { digest, size }));
        layers.push(FinishedLayer {
            digest,
            size,
            diff_id: DiffId::of(&tar),
            codec,
            annotations: BTreeMap::new(),
        });
    }
    let platform = Platform::new("linux", architecture, None);
    destinations
        .commit(&FinishedImage::new(platform, config(architecture), layers, &BTreeMap::new()).into(), &[])
}

fn open(text: &str) -> Result<(Box<dyn Source>, SourceImage), SourceError> {
    let source = open_source(&text.parse().unwrap(), &Registries::default())?;
    let image = source.image(None)?;
    Ok((source, image))
}

fn failure(text: &str) -> SourceError {
    match open(text) {
        Ok((_, image)) => panic!("{text} was read: {:?}", image.name),
        Err(error) => error,
    }
}

fn check_layers(source: &dyn Source, image: &SourceImage) {
    assert_eq!(image.layers.len(), LAYERS.len());
    for (layer, (_, text)) in image.layers.iter().zip(LAYERS) {
        // Twice, as the two passes do.
        for _ in 0..2 {
            let mut reader = LayerReader::new(source.open_layer(layer).unwrap(), layer).unwrap();
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes).unwrap();
            assert_eq!(bytes, layer_tar(text));
            reader.finish().unwrap();
        }
    }
}

struct Lab(tempfile::TempDir);

impl Lab {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn at(&self, transport: &str, rest: &str) -> String {
        format!("{transport}:{}", self.path(rest).display())
    }

    fn names(&self, directory: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(directory)).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn index(&self, layout: &str) -> Value {
        serde_json::from_slice(&fs::read(self.path(layout).join("index.json")).unwrap()).unwrap()
    }

    fn blob(&self, layout: &str, digest: BlobDigest) -> PathBuf {
        self.path(layout).join("blobs/sha256").join(digest.hex())
    }
}

#[test]
fn one_image_is_the_same_at_every_destination() {
    let lab = Lab::new();
    let all = [
        lab.at("oci", "layout:v1"),
        lab.at("oci-archive", "o.tar:v1"),
        lab.at("docker-archive", "d.tar:app"),
    ];
    let digest = write_image("amd64", &all.each_ref().map(String::as_str)).unwrap();
    for text in &all {
        let (source, image) = open(text).unwrap();
        check_layers(source.as_ref(), &image);
        assert_eq!(image.image_id, ImageId::of(&config("amd64")));
        assert!(image.manifest_digest.is_none_or(|found| found == digest), "{text}");
    }
    assert_eq!(lab.names("."), ["d.tar", "layout", "o.tar"]);
    assert_eq!(lab.names("layout"), ["blobs", "index.json", "oci-layout"]);
}

#[test]
fn two_runs_write_equal_archives() {
    let lab = Lab::new();
    for transport in ["oci-archive", "docker-archive"] {
        write_image("amd64", &[&lab.at(transport, "a:x")]).unwrap();
        write_image("amd64", &[&lab.at(transport, "b:x")]).unwrap();
        assert!(fs::read(lab.path("a")).unwrap() == fs::read(lab.path("b")).unwrap(), "{transport}");
    }
}

#[test]
fn compressed_archives_are_spooled() {
    let lab = Lab::new();
    write_image("amd64", &[&lab.at("oci-archive", "o.tar"), &lab.at("docker-archive", "d.tar")]).unwrap();
    for (transport, name) in [("oci-archive", "o.tar"), ("docker-archive", "d.tar")] {
        for codec in [Codec::Gzip, Codec::Zstd] {
            fs::write(lab.path("z"), encode(codec, &fs::read(lab.path(name)).unwrap())).unwrap();
            let (source, image) = open(&lab.at(transport, "z")).unwrap();
            check_layers(source.as_ref(), &image);
        }
    }
}

#[test]
fn adding_to_a_layout_keeps_what_is_there() {
    let lab = Lab::new();
    let first = write_image("arm64", &[&lab.at("oci", "l:old")]).unwrap();
    let mut index = lab.index("l");
    index["x-unknown"] = json!(1);
    index["manifests"][0]["x-entry"] = json!(2);
    fs::write(lab.path("l/index.json"), index.to_string()).unwrap();
    let second = write_image("amd64", &[&lab.at("oci", "l:new")]).unwrap();
    let index = lab.index("l");
    assert_eq!(index["x-unknown"], 1);
    assert_eq!(index["manifests"][0]["x-entry"], 2);
    assert_eq!(open(&lab.at("oci", "l:old")).unwrap().1.manifest_digest, Some(first));
    assert_eq!(open(&lab.at("oci", "l:new")).unwrap().1.manifest_digest, Some(second));
    // The tag moves, the others stay.
    write_image("amd64", &[&lab.at("oci", "l:old")]).unwrap();
    assert_eq!(lab.index("l")["manifests"].as_array().unwrap().len(), 2);
    assert_eq!(open(&lab.at("oci", "l:old")).unwrap().1.manifest_digest, Some(second));
    assert_eq!(lab.names("l"), ["blobs", "index.json", "oci-layout"]);
}

#[test]
fn two_images_of_one_run_share_a_new_layout() {
    let lab = Lab::new();
    write_image("amd64", &[&lab.at("oci", "l:a"), &lab.at("oci", "l:b")]).unwrap();
    assert!(open(&lab.at("oci", "l:a")).is_ok() && open(&lab.at("oci", "l:b")).is_ok());
}

#[test]
fn a_broken_blob_at_the_destination_is_not_taken_for_the_right_one() {
    let lab = Lab::new();
    let tar = layer_tar("three");
    let layer = Blob { digest: BlobDigest::of(&tar), size: tar.len() as u64 };
    write_image("amd64", &[&lab.at("oci", "l:a")]).unwrap();
    let reference = lab.at("oci", "l:b").parse().unwrap();
    assert!(
        Destinations::open(std::slice::from_ref(&reference), &Registries::default()).unwrap().has_blob(layer)
    );
    let blob = lab.blob("l", layer.digest);
    let has = || {
        Destinations::open(std::slice::from_ref(&reference), &Registries::default()).unwrap().has_blob(layer)
    };
    // Neither of the last two comes to an end.
    fs::remove_file(&blob).unwrap();
    assert!(Command::new("mkfifo").arg(&blob).status().unwrap().success());
    assert!(!has());
    fs::remove_file(&blob).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &blob).unwrap();
    assert!(!has());
    fs::remove_file(&blob).unwrap();
    fs::write(&blob, b"broken").unwrap();
    assert!(!has());
    write_image("amd64", &[&lab.at("oci", "l:b")]).unwrap();
    let (source, image) = open(&lab.at("oci", "l:a")).unwrap();
    check_layers(source.as_ref(), &image);
}

#[test]
fn an_abandoned_run_leaves_nothing() {
    let lab = Lab::new();
    let references = ["oci:L", "oci-archive:O", "docker-archive:D"]
        .map(|text| text.replace(':', &format!(":{}/", lab.0.path().display())).parse().unwrap());
    let destinations = Destinations::open(&references, &Registries::default()).unwrap();
    let mut blob = destinations.new_blob().unwrap();
    blob.write_all(b"half").unwrap();
    let mut other = destinations.new_blob().unwrap();
    other.write_all(b"whole").unwrap();
    other.finish().unwrap();
    drop((blob, destinations));
    assert!(lab.names(".").is_empty());
}

#[test]
fn bad_destinations_are_named_before_any_work() {
    let lab = Lab::new();
    fs::create_dir(lab.path("full")).unwrap();
    fs::write(lab.path("full/precious"), b"x").unwrap();
    fs::create_dir(lab.path("empty")).unwrap();
    let open = |text: &str| Destinations::open(&[text.parse().unwrap()], &Registries::default()).map(drop);
    assert!(matches!(open(&lab.at("oci", "full")), Err(SinkError::NotALayout(_))));
    assert!(matches!(open(&lab.at("oci", "full/precious")), Err(SinkError::WrongKind { .. })));
    assert!(matches!(open(&lab.at("oci-archive", "full")), Err(SinkError::WrongKind { .. })));
    assert!(matches!(open(&lab.at("docker-archive", "nowhere/f")), Err(SinkError::Parent { .. })));
    assert!(matches!(open(&lab.at("oci", "nowhere/f")), Err(SinkError::Parent { .. })));
    let twice =
        [lab.at("oci-archive", "f:a"), lab.at("docker-archive", "f:b")].map(|text| text.parse().unwrap());
    assert!(matches!(Destinations::open(&twice, &Registries::default()), Err(SinkError::Twice(_))));
    write_image("amd64", &[&lab.at("oci", "empty")]).unwrap();
    assert_eq!(lab.names("empty"), ["blobs", "index.json", "oci-layout"]);
    assert_eq!(lab.names("full"), ["precious"]);
}

#[test]
fn an_image_is_chosen_by_name_and_platform() {
    let lab = Lab::new();
    let amd = write_image("amd64", &[&lab.at("oci", "l:a")]).unwrap();
    let arm = write_image("arm64", &[&lab.at("oci", "l:b")]).unwrap();
    let SourceError::SeveralImages { names, .. } = failure(&lab.at("oci", "l")) else { panic!() };
    assert_eq!(names, ["a", "b"]);
    let SourceError::NoSuchTag { names, .. } = failure(&lab.at("oci", "l:c")) else { panic!() };
    assert_eq!(names, ["a", "b"]);

    // One name for an index of both and an attestation.
    let mut index = lab.index("l");
    let mut entries = index["manifests"].as_array().unwrap().clone();
    for entry in &mut entries {
        entry.as_object_mut().unwrap().remove("annotations");
    }
    let mut attestation = entries[0].clone();
    attestation["platform"] = json!({"os": "unknown", "architecture": "unknown"});
    attestation["digest"] = json!(BlobDigest::of(b"nowhere"));
    entries.push(attestation);
    let nested = json!({"schemaVersion": 2, "manifests": entries}).to_string();
    fs::write(lab.blob("l", BlobDigest::of(nested.as_bytes())), &nested).unwrap();
    index["manifests"] = json!([{
        "mediaType": "application/vnd.oci.image.index.v1+json", "size": nested.len(),
        "digest": BlobDigest::of(nested.as_bytes()),
    }]);
    fs::write(lab.path("l/index.json"), index.to_string()).unwrap();
    let source = open_source(&lab.at("oci", "l").parse().unwrap(), &Registries::default()).unwrap();
    for (platform, digest) in [("linux/amd64", amd), ("linux/amd64/v3", amd), ("linux/arm64/v8", arm)] {
        let image = source.image(Some(&platform.parse().unwrap())).unwrap();
        assert_eq!(image.manifest_digest, Some(digest), "{platform}");
        assert_eq!(image.index_digest, Some(BlobDigest::of(nested.as_bytes())));
    }
    let error = source.image(Some(&"linux/s390x".parse().unwrap())).unwrap_err();
    assert_eq!(error.to_string(), "no image for platform `linux/s390x`: found `linux/amd64`, `linux/arm64`");
}

#[test]
fn the_only_image_is_taken_for_any_machine_unless_one_is_named() {
    let lab = Lab::new();
    write_image("s390x", &[&lab.at("oci", "l"), &lab.at("docker-archive", "d")]).unwrap();
    for text in [lab.at("oci", "l"), lab.at("docker-archive", "d")] {
        let (source, _) = open(&text).unwrap();
        let error = source.image(Some(&"linux/amd64".parse().unwrap())).unwrap_err();
        assert!(matches!(error, SourceError::NoSuchPlatform { .. }), "{error}");
    }
}

#[test]
fn damaged_layouts_are_told_by_what_is_wrong() {
    let lab = Lab::new();
    let text = lab.at("oci", "l");
    let manifest = write_image("amd64", &[&text]).unwrap();
    let damage = |path: &Path, bytes: Option<&[u8]>| {
        let whole = fs::read(path).unwrap();
        match bytes {
            Some(bytes) => fs::write(path, bytes).unwrap(),
            None => fs::remove_file(path).unwrap(),
        }
        let error = failure(&text);
        fs::write(path, whole).unwrap();
        error
    };
    let manifest = lab.blob("l", manifest);
    let whole = fs::read(&manifest).unwrap();
    let changed: Vec<u8> = whole.iter().map(|&byte| if byte == b'2' { b'3' } else { byte }).collect();
    assert!(matches!(damage(&manifest, Some(&changed)), SourceError::WrongDigest { .. }));
    assert!(matches!(damage(&manifest, Some(b"{}")), SourceError::WrongSize { found: 2, .. }));
    assert!(matches!(damage(&manifest, None), SourceError::MissingBlob { .. }));
    let layer = lab.blob("l", BlobDigest::of(&layer_tar("three")));
    assert!(matches!(damage(&layer, None), SourceError::MissingBlob { .. }));
    assert!(matches!(damage(&layer, Some(b"x")), SourceError::WrongSize { .. }));
    let file = |name: &str| lab.path("l").join(name);
    assert!(matches!(
        damage(&file("oci-layout"), None),
        SourceError::NotALayout { missing: "oci-layout", .. }
    ));
    assert!(matches!(damage(&file("oci-layout"), Some(b"{}")), SourceError::LayoutVersion(_)));
    assert!(matches!(damage(&file("index.json"), Some(b"[]")), SourceError::Manifest { .. }));
    let none = br#"{"schemaVersion":2,"manifests":[]}"#;
    assert!(matches!(damage(&file("index.json"), Some(none)), SourceError::NoImage(_)));
    let large = vec![b' '; 9 << 20];
    assert!(matches!(damage(&file("index.json"), Some(&large)), SourceError::DocumentTooLarge { .. }));
    assert!(open(&text).is_ok());
}

fn docker_archive(lab: &Lab, manifest: &Value, layers: &[(&str, &[u8])]) -> String {
    let (manifest, config) = (manifest.to_string(), config("amd64"));
    let mut files = vec![("manifest.json", manifest.as_bytes()), ("c.json", config.as_slice())];
    files.extend(layers);
    fs::write(lab.path("d"), tar_of(&files)).unwrap();
    lab.at("docker-archive", "d")
}

#[test]
fn docker_archives_are_chosen_by_tag_however_it_is_spelled() {
    let lab = Lab::new();
    let item = |tags: &[&str]| json!({"Config": "c.json", "RepoTags": tags, "Layers": ["1", "2", "3", "1"]});
    let tars = ["one", "two", "three"].map(layer_tar);
    let layers: Vec<(&str, &[u8])> =
        ["1", "2", "3"].into_iter().zip(tars.iter().map(Vec::as_slice)).collect();
    let text =
        docker_archive(&lab, &json!([item(&["docker.io/library/a:1", "b:latest"]), item(&["c:1"])]), &layers);
    for tag in ["a:1", "library/a:1", "docker.io/library/a:1", "b", "c:1"] {
        let (source, image) = open(&format!("{text}:{tag}")).unwrap();
        check_layers(source.as_ref(), &image);
        assert!(image.manifest_digest.is_none());
    }
    let SourceError::NoSuchTag { names, .. } = failure(&format!("{text}:z")) else { panic!() };
    assert_eq!(names, ["b:latest", "c:1", "docker.io/library/a:1"]);
    assert!(matches!(failure(&text), SourceError::SeveralImages { .. }));
}

#[test]
fn damaged_docker_archives_are_told_by_what_is_wrong() {
    let lab = Lab::new();
    let text = docker_archive(&lab, &json!([{"Config": "c.json", "Layers": ["1"]}]), &[]);
    assert!(matches!(failure(&text), SourceError::LayerCount { diff_ids: 4, layers: 1, .. }));
    let text = docker_archive(&lab, &json!([{"Config": "c.json", "Layers": ["1", "1", "1", "1"]}]), &[]);
    assert!(matches!(failure(&text), SourceError::MissingMember { .. }));
    let text = docker_archive(&lab, &json!([{"Config": "../c.json"}]), &[]);
    assert!(matches!(failure(&text), SourceError::MissingMember { .. }));
    assert!(matches!(failure(&docker_archive(&lab, &json!({}), &[])), SourceError::DockerManifest { .. }));
    fs::write(lab.path("d"), b"not a tar archive, but five hundred and twelve bytes".repeat(20)).unwrap();
    assert!(matches!(failure(&text), SourceError::Tar { .. }));
    fs::write(lab.path("d"), b"").unwrap();
    assert!(matches!(failure(&text), SourceError::Tar { .. }));
    fs::remove_file(lab.path("d")).unwrap();
    assert!(matches!(failure(&text), SourceError::Open { .. }));
}

#[test]
fn layers_of_old_docker_archives_may_be_links() {
    let lab = Lab::new();
    let mut tar = tar::Builder::new(Vec::new());
    let mut add = |name: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        tar.append_data(&mut header, name, bytes).unwrap();
    };
    let manifest =
        json!([{"Config": "c.json", "Layers": ["x/layer.tar", "2", "3", "y/layer.tar"]}]).to_string();
    add("manifest.json", manifest.as_bytes());
    add("c.json", &config("amd64"));
    for (name, text) in [("x/layer.tar", "one"), ("2", "two"), ("3", "three")] {
        add(name, &layer_tar(text));
    }
    let mut link = tar::Header::new_gnu();
    link.set_entry_type(tar::EntryType::Symlink);
    link.set_size(0);
    tar.append_link(&mut link, "y/layer.tar", "../x/layer.tar").unwrap();
    fs::write(lab.path("d"), tar.into_inner().unwrap()).unwrap();
    let (source, image) = open(&lab.at("docker-archive", "d")).unwrap();
    check_layers(source.as_ref(), &image);
}

#[test]
fn one_file_is_one_destination_however_it_is_spelled() {
    let lab = Lab::new();
    fs::create_dir(lab.path("d")).unwrap();
    std::os::unix::fs::symlink(lab.path("d"), lab.path("link")).unwrap();
    for [one, other] in [
        [("oci-archive", "d/a.tar"), ("docker-archive", "d/./a.tar")],
        [("oci-archive", "d/a.tar"), ("oci-archive", "d/../link/a.tar")],
        [("oci", "d/l:a"), ("oci", "link/l:a")],
    ] {
        let texts = [lab.at(one.0, one.1), lab.at(other.0, other.1)];
        let references: Vec<Reference> = texts.iter().map(|text| text.parse().unwrap()).collect();
        let error = Destinations::open(&references, &Registries::default()).map(drop).unwrap_err();
        assert!(matches!(error, SinkError::Twice(_)), "{texts:?}: {error:?}");
    }
    write_image(
        "amd64",
        &[&lab.at("oci", "d/l:a"), &lab.at("oci", "link/l:b"), &lab.at("oci-archive", "d/a.tar")],
    )
    .unwrap();
}

#[test]
fn a_layout_is_one_from_its_first_file_on() {
    let lab = Lab::new();
    // As a run leaves it that was killed right after it.
    fs::create_dir(lab.path("l")).unwrap();
    fs::write(lab.path("l/oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    write_image("amd64", &[&lab.at("oci", "l:a")]).unwrap();
    assert!(open(&lab.at("oci", "l:a")).is_ok());
}

#[test]
fn a_pipe_in_the_place_of_a_layouts_index_is_refused_and_not_waited_for() {
    for name in ["index.json", "oci-layout"] {
        let lab = Lab::new();
        write_image("amd64", &[&lab.at("oci", "l:a")]).unwrap();
        let path = lab.path("l").join(name);
        fs::remove_file(&path).unwrap();
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        let reference = lab.at("oci", "l:b").parse().unwrap();
        let error = Destinations::open(&[reference], &Registries::default()).map(drop).unwrap_err();
        assert!(matches!(error, SinkError::Read { .. }), "{name}: {error:?}");
    }
}

#[test]
fn a_layer_that_changes_between_the_passes_is_not_copied() {
    let lab = Lab::new();
    write_image("amd64", &[&lab.at("oci", "l")]).unwrap();
    let (source, image) = open(&lab.at("oci", "l")).unwrap();
    let layer = &image.layers[2];
    let mut bytes = layer_tar("three");
    bytes[0] ^= 1;
    fs::write(lab.blob("l", layer.digest), bytes).unwrap();
    let destinations =
        Destinations::open(&[lab.at("oci", "m").parse().unwrap()], &Registries::default()).unwrap();
    let error = destinations.copy_layer(source.open_layer(layer).unwrap(), layer).unwrap_err();
    assert!(matches!(error, SinkError::CopyLayer { .. }));
    assert!(!destinations.has_blob(Blob { digest: layer.digest, size: layer.size }));
}

#[test]
fn the_config_of_a_source_is_the_config_that_was_written() {
    let lab = Lab::new();
    write_image("amd64", &[&lab.at("oci", "l")]).unwrap();
    let (_, image) = open(&lab.at("oci", "l")).unwrap();
    assert_eq!(image.config.raw, Config::parse(&image.config_bytes).unwrap().raw);
    assert_eq!(image.config.cmd, ["/app"]);
}
