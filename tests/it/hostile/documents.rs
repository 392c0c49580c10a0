//! Indexes, manifests and configs that are too large, too deep, of another kind, or at odds with each other.

use std::fs::{self, File};

use assert_cmd::Command;

use serde_json::{Value, json};

use super::lab::{CONFIG, INDEX, Lab, Layer, MANIFEST, app, gzip};

#[test]
fn documents_of_a_hundred_megabytes_are_refused_unread() {
    // A hole: nothing is written, and nothing may be read.
    let enlarge = |path| File::options().write(true).open(path).unwrap().set_len(100 << 20).unwrap();
    let lab = Lab::with(&[Layer::gzip(&app())]);
    enlarge(lab.path("from/index.json"));
    lab.refuses(&["index.json", "is larger than 8388608 bytes"]);

    for document in ["manifest", "config"] {
        let lab = Lab::with(&[Layer::gzip(&app())]);
        let blob = lab.blob(document);
        let size = fs::metadata(&blob).unwrap().len();
        enlarge(blob);
        // Believed where the descriptor says so too.
        lab.refuses(&[&format!("expected {size} bytes, found 104857600")]);
        if document == "manifest" {
            let mut index: Value =
                serde_json::from_slice(&fs::read(lab.path("from/index.json")).unwrap()).unwrap();
            index["manifests"][0]["size"] = json!(100 << 20);
            fs::write(lab.path("from/index.json"), index.to_string()).unwrap();
            lab.refuses(&["blob sha256:", "is larger than 8388608 bytes"]);
        }
    }
}

fn nested(lab: &Lab, depth: usize) {
    lab.write("from", &[Layer::gzip(&app())]);
    let index: Value = serde_json::from_slice(&fs::read(lab.path("from/index.json")).unwrap()).unwrap();
    let mut descriptor = index["manifests"][0].clone();
    for _ in 0..depth {
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [descriptor]});
        descriptor = lab.put("from", INDEX, index.to_string().as_bytes());
    }
    lab.point("from", &descriptor);
}

#[test]
fn index_in_an_index_is_followed_and_not_without_end() {
    let lab = Lab::new();
    for depth in [0, 1, 3] {
        nested(&lab, depth);
        lab.accepts(&[]);
    }
    nested(&lab, 4);
    lab.refuses(&["indexes are nested more than 4 deep"]);
}

#[test]
fn index_that_multiplies_itself_is_refused() {
    let lab = Lab::with(&[Layer::gzip(&app())]);
    let index: Value = serde_json::from_slice(&fs::read(lab.path("from/index.json")).unwrap()).unwrap();
    let mut descriptor = index["manifests"][0].clone();
    for _ in 0..3 {
        // 200 × 200 × 200 manifests in three documents.
        let many: Vec<_> = (0..200).map(|_| &descriptor).collect();
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": many});
        descriptor = lab.put("from", INDEX, index.to_string().as_bytes());
    }
    lab.point("from", &descriptor);
    lab.refuses(&["index leads to more than 1000 documents"]);
}

/// That `arguments` end with exit status 3 and `words`; `FROM` is the layout.
fn ends(lab: &Lab, arguments: &[&str], words: &str) {
    let from = format!("oci:{}", lab.path("from").display());
    let to = format!("oci:{}", lab.path("out").display());
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("kiln"));
    command.args(arguments.iter().map(|word| word.replace("FROM", &from).replace("TO", &to)));
    let output = command.output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{arguments:?}: {error}");
    assert!(error.starts_with("error: ") && error.contains(words), "{arguments:?}: {error}");
    assert!(!lab.path("out").exists(), "{arguments:?}");
}

#[test]
fn index_that_multiplies_itself_is_no_list_of_platforms_either() {
    let lab = Lab::with(&[Layer::gzip(&app())]);
    let index: Value = serde_json::from_slice(&fs::read(lab.path("from/index.json")).unwrap()).unwrap();
    let image = index["manifests"][0].clone();
    let mut about = image.clone();
    about["platform"] = json!({"os": "unknown", "architecture": "unknown"});
    let list = |entries: &[&Value]| {
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries});
        lab.put("from", INDEX, index.to_string().as_bytes())
    };
    let attestations: Vec<_> = (0..3000).map(|_| &about).chain([&image]).collect();
    let attested = list(&attestations);
    let arguments = [
        &["harden", "FROM", "--platform", "all", "-o", "TO"][..],
        &["manifest", "show", "FROM"],
        &["manifest", "pull", "FROM", "-o", "/nonexistent"],
    ];
    // Millions of attestations in two documents, and of images in three.
    lab.point("from", &list(&[&attested; 2000]));
    for arguments in arguments {
        ends(&lab, arguments, "index leads to more than 10000 entries");
    }
    let images = list(&[&image; 2000]);
    lab.point("from", &list(&[&images; 2000]));
    for arguments in arguments {
        ends(&lab, arguments, "index leads to more than 1000 documents");
    }
}

#[test]
fn schema_1_is_refused_with_what_to_do() {
    let lab = Lab::new();
    let manifest =
        json!({"schemaVersion": 1, "name": "x", "fsLayers": [{"blobSum": "sha256:0"}]}).to_string();
    let descriptor =
        lab.put("from", "application/vnd.docker.distribution.manifest.v1+prettyjws", manifest.as_bytes());
    lab.point("from", &descriptor);
    lab.refuses(&["manifest is of Docker schema 1", "expected schema 2 or OCI"]);
}

#[test]
fn layers_that_cannot_be_read_are_refused_by_type() {
    let cases = [
        ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "is not distributable"),
        ("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", "is not distributable"),
        ("application/vnd.oci.image.layer.v1.tar+gzip+encrypted", "is encrypted"),
        ("application/vnd.example.squashfs", "unknown media type"),
        ("", "unknown media type"),
    ];
    for (media_type, words) in cases {
        let lab = Lab::new();
        lab.write_with(
            "from",
            &[Layer::gzip(&app())],
            |_| {},
            |manifest| {
                manifest["layers"][0]["mediaType"] = json!(media_type);
            },
        );
        lab.refuses(&["layer 1 of the manifest cannot be used", words, &format!("`{media_type}`")]);
    }
}

#[test]
fn config_and_manifest_must_agree_on_the_layers() {
    type Change = fn(&mut Value);
    let cases: [(Change, &str); 5] = [
        (
            |config| _ = config.as_object_mut().unwrap().remove("rootfs"),
            "has 0 diff_ids and the manifest 1 layers",
        ),
        (|config| config["rootfs"]["diff_ids"] = json!([]), "has 0 diff_ids and the manifest 1 layers"),
        (
            |config| {
                let one = config["rootfs"]["diff_ids"][0].clone();
                config["rootfs"]["diff_ids"] = json!([one, one]);
            },
            "has 2 diff_ids and the manifest 1 layers",
        ),
        (|config| config["rootfs"]["diff_ids"] = json!(["md5:0"]), "holds no SHA-256 digest"),
        (|config| config["rootfs"] = json!("x"), "`rootfs` is not an object"),
    ];
    for (change, words) in cases {
        let lab = Lab::new();
        lab.write_with("from", &[Layer::gzip(&app())], change, |_| {});
        lab.refuses(&["config sha256:", words]);
    }
}

#[test]
fn json_beyond_reason_is_refused_and_does_not_end_the_stack() {
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(100_000), close.repeat(100_000));
    for text in
        [deep("[", "]"), deep("{\"a\":", "}"), "[".repeat(1_000_000), "{\"manifests\":".repeat(100_000)]
    {
        let lab = Lab::new();
        for media_type in [MANIFEST, INDEX] {
            let descriptor = lab.put("from", media_type, text.as_bytes());
            lab.point("from", &descriptor);
            lab.refuses(&["cannot be parsed"]);
        }
        fs::write(lab.path("from/index.json"), &text).unwrap();
        lab.refuses(&["index.json", "cannot be parsed"]);

        let config = lab.put("from", CONFIG, text.as_bytes());
        let manifest = json!({"schemaVersion": 2, "config": config, "layers": []}).to_string();
        let descriptor = lab.put("from", MANIFEST, manifest.as_bytes());
        lab.point("from", &descriptor);
        lab.refuses(&["config is not JSON"]);
    }
}

#[test]
fn documents_that_are_none_are_refused() {
    for bytes in [&b""[..], b"null", b"[]", b"7", b"\xff\xfe", b"{}", b"{\"schemaVersion\":2}", b"\0\0"] {
        let lab = Lab::new();
        let descriptor = lab.put("from", MANIFEST, bytes);
        lab.point("from", &descriptor);
        lab.refuses(&["sha256:"]);
    }
}

#[test]
fn more_layers_than_anybody_mounts_are_refused() {
    let lab = Lab::new();
    lab.write_with(
        "from",
        &[Layer::gzip(&app())],
        |_| {},
        |manifest| {
            let layer = manifest["layers"][0].clone();
            manifest["layers"] = vec![layer; 600].into();
        },
    );
    lab.refuses(&["manifest has 600 layers, more than 512"]);
}

#[test]
fn docker_archive_with_a_broken_list_of_images_is_refused() {
    let archive = |manifest: &[u8]| {
        let mut tar = ::tar::Builder::new(Vec::new());
        let mut header = ::tar::Header::new_gnu();
        header.set_size(manifest.len() as u64);
        tar.append_data(&mut header, "manifest.json", manifest).unwrap();
        tar.into_inner().unwrap()
    };
    let layers: Vec<String> = (0..600).map(|number| format!("{number}.tar")).collect();
    let many = json!([{"Config": "c.json", "Layers": layers}]).to_string();
    let cases: [(&[u8], &str); 5] = [
        (&b"[".repeat(200_000), "cannot be parsed"),
        (b"[]", "has no image"),
        (b"{}", "cannot be parsed"),
        (br#"[{"Config": "../../etc/passwd", "Layers": []}]"#, "does not contain `../../etc/passwd`"),
        (many.as_bytes(), "does not contain `c.json`"),
    ];
    let lab = Lab::new();
    for (manifest, words) in cases {
        for bytes in [archive(manifest), gzip(&archive(manifest))] {
            fs::write(lab.path("from.tar"), bytes).unwrap();
            let from = format!("docker-archive:{}", lab.path("from.tar").display());
            lab.refuses_from(&from, &[], &["from.tar", words]);
        }
    }
}
