//! What a hardened image says of itself, read back from a layout: labels, annotations, user, history.

use kiln::harden::harden;
use kiln::image::Codec;
use kiln::options::Options;
use kiln::progress::Silent;
use kiln::registry::Registries;
use kiln::rootfs::dump::parse_layers;
use kiln::sink::Destinations;
use kiln::source::{SourceImage, open_source};
use serde_json::json;

use crate::layout;

/// Source and result of hardening an image of `text`'s layers.
fn hardened(text: &str) -> (SourceImage, SourceImage) {
    let lab = tempfile::tempdir().unwrap();
    let config = json!({
        "config": {
            "Cmd": ["/app"],
            "User": "7:7",
            "Labels": {
                "org.opencontainers.image.base.digest": "sha256:of-another",
                "org.opencontainers.image.base.name": "registry.example/base:1",
                "org.opencontainers.image.title": "app",
            },
        },
        "history": [{"created_by": "COPY"}],
    });
    let tars: Vec<_> = parse_layers(text).iter().map(|layer| (Codec::Gzip, layout::tar_of(layer))).collect();
    layout::write(&lab.path().join("in"), &tars, &config);
    let name = |name: &str| format!("oci:{}:latest", lab.path().join(name).display()).parse().unwrap();
    let source = open_source(&name("in"), &Registries::default()).unwrap();
    let destinations = Destinations::open(&[name("out")], &Registries::default()).unwrap();
    harden(source.as_ref(), &Options::default(), destinations, &Silent).unwrap();
    let before = source.image(None).unwrap();
    let after = open_source(&name("out"), &Registries::default()).unwrap().image(None).unwrap();
    (before, after)
}

fn base_keys<'a>(keys: impl Iterator<Item = &'a String>) -> Vec<&'a str> {
    keys.map(String::as_str).filter(|key| key.contains(".base.")).collect()
}

#[test]
fn written_layers_have_no_base_and_other_labels_survive() {
    let (before, after) = hardened("/app f 0755 elf static");
    assert_eq!(base_keys(after.config.labels.keys()), [""; 0]);
    assert_eq!(base_keys(after.annotations.keys()), [""; 0]);
    assert_eq!(after.config.labels["org.opencontainers.image.title"], "app");
    let source = before.manifest_digest.unwrap().to_string();
    assert_eq!(after.config.labels["dev.kiln.source.digest"], source);
    assert_eq!(after.annotations["dev.kiln.source.digest"], source);
    assert_eq!(after.config.user, "7:7");
    assert_eq!(after.config.history.len(), after.layers.len());
}

#[test]
fn source_whose_layers_stay_bit_for_bit_is_the_base() {
    let (before, after) = hardened("/app f 0555 elf static");
    assert_eq!(before.layers[0].digest, after.layers[0].digest);
    assert_eq!(base_keys(after.config.labels.keys()), [""; 0]);
    assert_eq!(base_keys(after.annotations.keys()), ["org.opencontainers.image.base.digest"]);
    let digest = &after.annotations["org.opencontainers.image.base.digest"];
    assert_eq!(*digest, before.manifest_digest.unwrap().to_string());
}
