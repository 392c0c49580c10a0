//! Streams that are cut, that never end, or that become far more than what is stored.

use std::fs;

use kiln::digest::DiffId;

use super::lab::{GZIP, Lab, Layer, ZSTD, app, gzip};
use super::tar::{Member, file, members, pax, tar};

/// A layer of these stored bytes whose `diff_id` nothing gets far enough to compare.
fn stored(media_type: &'static str, stored: Vec<u8>) -> Layer {
    Layer { media_type, stored, diff_id: DiffId::of(b"never reached") }
}

#[test]
fn compressed_stream_that_is_cut_is_an_error() {
    let tar = app();
    for (media_type, whole) in [(GZIP, gzip(&tar)), (ZSTD, zstd::encode_all(tar.as_slice(), 1).unwrap())] {
        for left in [whole.len() - 1, whole.len() - 8, whole.len() / 2, 12] {
            let lab = Lab::with(&[stored(media_type, whole[..left].to_vec())]);
            lab.refuses(&["cannot read layer sha256:"]);
        }
    }
}

#[test]
fn tar_stream_that_is_cut_is_an_error_at_every_layer_and_codec() {
    let tar = tar(&[file(b"a", &[b'x'; 3000]), file(b"b", b"y")]);
    // In a header, in content, in padding.
    for left in [100, 512 + 600, 512 + 3000 + 10] {
        for layer in [Layer::plain(tar[..left].to_vec()), Layer::gzip(&tar[..left])] {
            let lab = Lab::with(&[Layer::gzip(&app()), layer]);
            lab.refuses(&["layer 1: member", "the tar stream ends in the middle"]);
        }
    }
}

#[test]
fn stream_that_is_no_tar_is_an_error() {
    for bytes in [&b"no tar at all, but longer than a block ".repeat(20)[..], &[0xff; 2048], b"short"] {
        Lab::with(&[Layer::plain(bytes.to_vec())]).refuses(&["layer 0: member 0: "]);
    }
}

#[test]
fn gzip_of_several_members_is_one_stream() {
    let tar = app();
    let (left, right) = tar.split_at(700);
    let several = [gzip(left), gzip(b""), gzip(right)].concat();
    let layer = |stored| Layer { media_type: GZIP, stored, diff_id: DiffId::of(&tar) };
    let trees = [several, gzip(&tar)].map(|stored| {
        let lab = Lab::with(&[layer(stored)]);
        lab.accepts(&[]);
        fs::read(lab.path("to/docker.tar")).unwrap()
    });
    // Plain layers named by their own digests: all but the source's digest in the config is equal.
    let layers = |archive: &[u8]| {
        let text = String::from_utf8_lossy(archive).into_owned();
        let start = text.find("\"Layers\"").unwrap();
        text[start..].split(']').next().unwrap().to_owned()
    };
    assert_eq!(layers(&trees[0]).split(',').next(), layers(&trees[1]).split(',').next());
    let garbage = [gzip(&tar), b"garbage after it".to_vec()].concat();
    Lab::with(&[layer(garbage)]).refuses(&["cannot read layer sha256:"]);
}

#[test]
fn bombs_stop_at_the_limit_and_the_error_names_it() {
    let zeros = vec![0; 8 << 20];
    for (media_type, bomb) in [(GZIP, gzip(&zeros)), (ZSTD, zstd::encode_all(zeros.as_slice(), 1).unwrap())] {
        let lab = Lab::with(&[stored(media_type, bomb)]);
        let from = format!("oci:{}", lab.path("from").display());
        let error =
            lab.refuses_from(&from, &["--max-size", "1M"], &["the image unpacks to more than 1048576 bytes"]);
        assert!(error.contains("hint: ") && error.contains("`--max-size`"), "{error}");
    }
}

#[test]
fn limits_hold_over_all_layers_together() {
    let layer = || Layer::gzip(&tar(&[file(b"zeros", &vec![0; 300 << 10])]));
    let lab = Lab::with(&[layer(), layer(), layer(), Layer::gzip(&app())]);
    let from = format!("oci:{}", lab.path("from").display());
    for jobs in ["1", "4"] {
        let flags = ["--max-size", "800K", "--jobs", jobs];
        lab.refuses_from(&from, &flags, &["the image unpacks to more than 819200 bytes"]);
        let flags = ["--max-entries", "3", "--jobs", jobs];
        let error = lab.refuses_from(&from, &flags, &["the image has more than 3 entries"]);
        assert!(error.contains("`--max-entries`"), "{error}");
    }
    lab.accepts(&["--max-size", "1M", "--max-entries", "4"]);
}

#[test]
fn plain_layers_of_more_than_the_limit_are_refused_unread() {
    let lab = Lab::with(&[Layer::plain(tar(&[file(b"zeros", &vec![0; 64 << 10])]))]);
    // Were it read, it would be found out.
    let mut bytes = fs::read(lab.blob("layer")).unwrap();
    bytes[20] ^= 1;
    fs::write(lab.blob("layer"), bytes).unwrap();
    let from = format!("oci:{}", lab.path("from").display());
    lab.refuses_from(&from, &["--max-size", "32K"], &["the image unpacks to more than 32768 bytes"]);
}

#[test]
fn compressed_archive_is_unpacked_to_the_limit_only() {
    let lab = Lab::new();
    fs::write(lab.path("bomb.tar.gz"), gzip(&vec![0; 8 << 20])).unwrap();
    for transport in ["docker-archive", "oci-archive"] {
        let from = format!("{transport}:{}", lab.path("bomb.tar.gz").display());
        let words = ["bomb.tar.gz", "unpacks to more than 1048576 bytes", "`--max-size`"];
        lab.refuses_from(&from, &["--max-size", "1M"], &words);
    }
}

#[test]
fn many_entries_stop_at_the_limit_without_being_read_to_the_end() {
    let one = members(&[Member { name: b"d/", kind: b'5', ..Member::default() }]);
    let lab = Lab::with(&[stored(ZSTD, zstd::encode_all(one.repeat(40_000).as_slice(), 1).unwrap())]);
    let from = format!("oci:{}", lab.path("from").display());
    // A stream that was read to its end would be refused for its `diff_id`.
    lab.refuses_from(&from, &["--max-entries", "10000"], &["the image has more than 10000 entries"]);
}

#[test]
fn names_and_attributes_stop_at_what_entries_may_take() {
    let value = vec![b'v'; 60_000];
    let entry = [pax(&[("SCHILY.xattr.user.x", &value)]), members(&[file(b"f", b"")])].concat();
    let lab = Lab::with(&[Layer::gzip(&[entry.repeat(20), vec![0; 1024]].concat()), Layer::plain(app())]);
    let from = format!("oci:{}", lab.path("from").display());
    let words =
        ["names, attributes and package data of the image take more than 1024000 bytes", "`--max-entries`"];
    lab.refuses_from(&from, &["--max-entries", "4000"], &words);
}

#[test]
fn global_headers_without_an_end_are_refused() {
    let global = {
        let mut bytes = pax(&[("comment", &[b'c'; 900])]);
        bytes[156] = b'g';
        let header: &mut [u8; 512] = bytes.first_chunk_mut().unwrap();
        super::tar::seal(header);
        bytes
    };
    let lab = Lab::with(&[Layer::gzip(&[global.repeat(2000), app()].concat())]);
    lab.refuses(&["bytes of global headers before it"]);
    let lab = Lab::with(&[Layer::gzip(&[global.repeat(3), app()].concat())]);
    lab.accepts(&[]);
}

#[test]
fn sparse_file_of_a_terabyte_is_its_few_stored_bytes() {
    let size = (1_u64 << 40).to_string();
    let sparse = |size: &str| {
        let records: [(&str, &[u8]); 5] = [
            ("GNU.sparse.size", size.as_bytes()),
            ("GNU.sparse.numblocks", b"1"),
            ("GNU.sparse.offset", b"0"),
            ("GNU.sparse.numbytes", b"4"),
            ("GNU.sparse.name", b"huge"),
        ];
        [pax(&records), tar(&[file(b"huge", b"data")])].concat()
    };
    let lab = Lab::with(&[Layer::gzip(&sparse(&size)), Layer::gzip(&app())]);
    lab.accepts(&["--strip", "/huge"]);
    let removed = lab.report()["removed"].to_string();
    assert!(removed.contains("/huge"), "{removed}");
}

#[test]
fn sparse_map_whose_line_never_ends_is_refused_and_not_waited_for() {
    let records: [(&str, &[u8]); 4] = [
        ("GNU.sparse.major", b"1"),
        ("GNU.sparse.minor", b"0"),
        ("GNU.sparse.name", b"f"),
        ("GNU.sparse.realsize", b"10"),
    ];
    for map in [&[b'1'; 4096][..], b"1\n0\n", &[0; 2048]] {
        let layer = [pax(&records), tar(&[file(b"GNUSparseFile.0/f", map)]), vec![b'7'; 8192]].concat();
        let lab = Lab::with(&[Layer::plain(layer.clone())]);
        lab.refuses(&["layer 0: member 0: "]);
        fs::write(lab.path("from.tar"), layer).unwrap();
        let from = format!("docker-archive:{}", lab.path("from.tar").display());
        lab.refuses_from(&from, &[], &["from.tar"]);
    }
}

#[test]
fn header_that_announces_a_terabyte_is_a_cut_stream() {
    for size in [1 << 40, u64::MAX >> 1, u64::MAX - 100, u64::MAX] {
        let lab = Lab::with(&[Layer::plain(tar(&[Member { size, ..file(b"f", b"few bytes") }]))]);
        lab.refuses(&["layer 0: member"]);
    }
}

#[test]
fn sizes_that_no_file_has_are_refused_and_not_added_up() {
    let claim = |size: u64| tar(&[Member { size, ..file(b"f", b"") }]);
    let pax_claim = |size: &str| [pax(&[("size", size.as_bytes())]), tar(&[file(b"f", b"")])].concat();
    for stream in [
        claim(u64::MAX),
        claim(u64::MAX >> 1),
        pax_claim("18446744073709551615"),
        pax_claim("9223372036854775807"),
    ] {
        Lab::with(&[Layer::gzip(&app()), Layer::gzip(&stream)]).refuses(&["layer 1: member 0: "]);
    }
    // Of sparse files, which need not hold what they claim.
    let sparse = |name: &str, size: u64| {
        let size = size.to_string();
        let records = [
            ("GNU.sparse.size", size.as_bytes()),
            ("GNU.sparse.numblocks", b"1"),
            ("GNU.sparse.offset", b"0"),
            ("GNU.sparse.numbytes", b"4"),
            ("GNU.sparse.name", name.as_bytes()),
        ];
        [pax(&records), members(&[file(name.as_bytes(), b"data")])].concat()
    };
    let many =
        |size: u64| -> Vec<u8> { (0..3).flat_map(|number| sparse(&format!("f{number}"), size)).collect() };
    let words = "the files of the layer claim more than 281474976710656 bytes";
    Lab::with(&[Layer::gzip(&many(u64::MAX >> 1)), Layer::gzip(&app())])
        .refuses(&["layer 0: member 0: ", words]);
    Lab::with(&[Layer::gzip(&many(100 << 40)), Layer::gzip(&app())]).refuses(&["layer 0: member 2: ", words]);
    Lab::with(&[Layer::gzip(&many(80 << 40)), Layer::gzip(&many(80 << 40)), Layer::gzip(&app())])
        .accepts(&[]);
}
