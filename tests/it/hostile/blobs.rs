//! Blobs that are missing, or not what documents say of them.

use std::fs;

use kiln::digest::DiffId;

use super::lab::{Lab, Layer, app};
use super::tar::{Member, file, pax, tar};

#[test]
fn missing_blob_is_named_whatever_it_is() {
    for document in ["manifest", "config", "layer"] {
        let lab = Lab::with(&[Layer::gzip(&app())]);
        let blob = lab.blob(document);
        fs::remove_file(&blob).unwrap();
        let name = blob.file_name().unwrap().to_str().unwrap();
        lab.refuses(&[&format!("blob sha256:{name} is missing in")]);
    }
}

#[test]
fn blob_of_another_size_is_refused_before_it_is_read() {
    for document in ["manifest", "config", "layer"] {
        let lab = Lab::with(&[Layer::gzip(&app())]);
        let blob = lab.blob(document);
        let mut bytes = fs::read(&blob).unwrap();
        bytes.push(b' ');
        fs::write(&blob, &bytes).unwrap();
        let sizes = format!("expected {} bytes, found {}", bytes.len() - 1, bytes.len());
        lab.refuses(&["has the wrong size", &sizes]);
    }
}

#[test]
fn blob_with_one_changed_byte_is_refused_for_its_digest() {
    for document in ["manifest", "config", "layer"] {
        for layer in [Layer::plain(app()), Layer::gzip(&app()), Layer::zstd(&app())] {
            let lab = Lab::with(&[layer]);
            let blob = lab.blob(document);
            let mut bytes = fs::read(&blob).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(&blob, bytes).unwrap();
            let name = blob.file_name().unwrap().to_str().unwrap();
            lab.refuses(&[
                "blob is not what its digest says",
                &format!("expected sha256:{name}, found sha256:"),
            ]);
        }
    }
}

#[test]
fn layer_of_another_diff_id_is_refused() {
    let wrong = DiffId::of(b"another");
    for layer in [Layer::plain(app()), Layer::gzip(&app()), Layer::zstd(&app())] {
        let right = layer.diff_id;
        let lab = Lab::with(&[Layer { diff_id: wrong, ..layer }]);
        lab.refuses(&[
            "layer is not what the config says",
            &format!("expected diff_id {wrong}, found {right}"),
        ]);
    }
}

#[test]
fn the_same_lies_are_seen_in_an_archive() {
    let lab = Lab::with(&[Layer::gzip(&app())]);
    let mut bytes = fs::read(lab.blob("layer")).unwrap();
    bytes[40] ^= 1;
    fs::write(lab.blob("layer"), bytes).unwrap();
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_dir_all(".", lab.path("from")).unwrap();
    fs::write(lab.path("from.tar"), archive.into_inner().unwrap()).unwrap();
    let from = format!("oci-archive:{}", lab.path("from.tar").display());
    lab.refuses_from(&from, &[], &["blob is not what its digest says"]);
}

#[test]
fn archive_that_ends_within_a_member_names_it() {
    let cut = |size: &str, member: Member<'_>| [pax(&[("size", size.as_bytes())]), tar(&[member])].concat();
    let lab = Lab::with(&[Layer::gzip(&app())]);
    for bytes in [
        tar(&[file(b"oci-layout", b"{}"), Member { size: 1 << 40, ..file(b"manifest.json", b"[]") }]),
        tar(&[Member { size: u64::MAX >> 1, ..file(b"manifest.json", b"[]") }]),
        cut("18446744073709551615", file(b"manifest.json", b"[]")),
    ] {
        fs::write(lab.path("from.tar"), bytes).unwrap();
        for transport in ["docker-archive", "oci-archive"] {
            let from = format!("{transport}:{}", lab.path("from.tar").display());
            lab.refuses_from(&from, &[], &["from.tar` ends within its member `manifest.json`"]);
        }
    }
}
