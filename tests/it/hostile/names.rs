//! Names and links that lead out of the image, nowhere, in circles, or onto a terminal.

use std::fs;

use kiln::rootfs::dump;

use super::lab::{Lab, Layer, app};
use super::tar::{Member, file, link, long_name, members, pax, tar};

fn with(list: &[Member<'_>]) -> Lab {
    Lab::with(&[Layer::gzip(&app()), Layer::gzip(&tar(list))])
}

#[test]
fn names_that_climb_are_refused() {
    for name in [&b"../evil"[..], b"a/../../evil", b"..", b"a/..", b"/../evil"] {
        with(&[file(name, b"x")]).refuses(&["layer 1: member 0: bad name", "contains `..`"]);
    }
    with(&[link(b'1', b"l", b"../../etc/passwd")]).refuses(&["bad name", "contains `..`"]);
    let whiteout = with(&[file(b"../.wh.x", b"")]);
    whiteout.refuses(&["bad name", "contains `..`"]);
}

#[test]
fn absolute_names_are_names_in_the_image() {
    let lab = with(&[file(b"/etc/hosts", b"x"), link(b'2', b"//link", b"/etc/hosts")]);
    lab.accepts(&[]);
    assert!(!lab.path("to/etc").exists());
}

#[test]
fn symlink_out_of_the_image_stays_in_it() {
    let lab = with(&[
        link(b'2', b"up", b"../../../../../../../../tmp"),
        file(b"up/kiln-hostile-test", b"written through a link"),
    ]);
    lab.accepts(&[]);
    assert!(!std::path::Path::new("/tmp/kiln-hostile-test").exists());
}

#[test]
fn names_with_nul_are_refused() {
    let layer = [pax(&[("path", b"a\0b")]), tar(&[file(b"f", b"x")])].concat();
    let error = Lab::with(&[Layer::gzip(&layer)]).refuses(&["layer 0: member 0: "]);
    assert!(!error.contains('\0'), "{error:?}");
}

#[test]
fn names_of_ten_thousand_bytes_are_refused() {
    let long = b"n".repeat(10_000);
    let deep = b"d/".repeat(5_000);
    for name in [long.as_slice(), deep.as_slice()] {
        for header in [pax(&[("path", name)]), long_name(name)] {
            let layer = [header, tar(&[file(b"f", b"x")])].concat();
            Lab::with(&[Layer::gzip(&layer)]).refuses(&["layer 0: member 0: ", "4096"]);
        }
    }
}

#[test]
fn deep_names_without_directories_do_not_fill_the_memory() {
    // 2000 directories each, none of them with an entry.
    let names: Vec<Vec<u8>> =
        (0..200).map(|number| format!("{number}/{}", "d/".repeat(2000)).into_bytes()).collect();
    let layer: Vec<u8> =
        names.iter().flat_map(|name| [long_name(name), members(&[file(b"f", b"")])].concat()).collect();
    let lab = Lab::with(&[Layer::gzip(&[layer, vec![0; 1024]].concat())]);
    lab.refuses(&["layer 0: directories without an entry have more than"]);
}

#[test]
fn newlines_and_escapes_reach_no_terminal() {
    let name = b"evil\n\x1b[31mred\x07\xe2\x80\xae\x9bname";
    let lab = with(&[file(name, b"#!/bin/sh\n"), link(b'2', b"bin\x1b]0;t\x07", b"/x\x1b[2J\n")]);
    let text = lab.accepts(&["--verbose", "--strip", "/evil*"]);
    let report = fs::read_to_string(lab.path("to/report.json")).unwrap();
    let pod = fs::read_to_string(lab.path("to/pod.yaml")).unwrap();
    for text in [&text, &report, &pod] {
        let bad = |c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c);
        assert!(!text.contains(bad), "{:?}", text.chars().filter(|c| bad(*c)).collect::<String>());
    }
    assert!(report.contains("evil"), "{report}");
}

#[test]
fn symlinks_in_a_circle_lead_nowhere_and_are_kept() {
    let lab = with(&[
        link(b'2', b"a", b"b"),
        link(b'2', b"b", b"a"),
        link(b'2', b"self", b"self"),
        link(b'2', b"etc", b"etc/x"),
        file(b"etc/passwd", b"root:x:0:0::/:/a\n"),
        file(b"self/self/f", b"x"),
    ]);
    lab.accepts(&[]);
}

#[test]
fn hard_links_in_a_circle_or_to_nothing_are_refused() {
    let words = ["layer 1: hard link", "which is no file in this or a lower layer"];
    with(&[link(b'1', b"a", b"b"), link(b'1', b"b", b"a")]).refuses(&words);
    with(&[link(b'1', b"self", b"self")]).refuses(&words);
    with(&[link(b'1', b"a", b"missing")]).refuses(&words);
    with(&[link(b'1', b"a", b"later"), file(b"later", b"x")]).refuses(&words);
    let directory = Member { name: b"d/", kind: b'5', ..Member::default() };
    with(&[directory, link(b'1', b"a", b"d")]).refuses(&words);
    with(&[file(b".wh.app", b""), link(b'1', b"a", b"app")]).refuses(&words);
}

#[test]
fn nothing_but_a_directory_is_the_root() {
    for name in [&b""[..], b"/", b"./", b".", b"//./"] {
        for member in [file(name, b"x"), link(b'1', name, b"app"), link(b'2', name, b"app")] {
            with(&[member]).refuses(&["layer 1: member 0: the root directory is no directory"]);
        }
    }
    let root = Member { name: b"./", kind: b'5', mode: 0o755, ..Member::default() };
    with(&[root]).accepts(&[]);
}

#[test]
fn hard_link_to_a_lower_layer_is_a_link() {
    let lab = with(&[link(b'1', b"other", b"app")]);
    lab.accepts(&[]);
}

#[test]
fn members_of_unknown_kinds_are_refused_by_name() {
    for kind in [b'D', b'M', b'V', b'Z', 0x80] {
        let member = Member { name: b"odd\x1b", kind, ..Member::default() };
        let error = with(&[member]).refuses(&["layer 1: member 0 `odd\\x1b`: unknown tar entry type"]);
        assert!(!error.contains('\x1b'));
    }
}

#[test]
fn fixtures_of_this_module_are_what_they_say() {
    let bytes = tar(&[file(b"/a//b", b"x"), link(b'2', b"l", b"/t")]);
    let index = kiln::layer::index::read_index(bytes.as_slice(), &|_| None).unwrap();
    let rootfs = kiln::rootfs::Rootfs::merge(vec![index]).unwrap();
    assert!(dump::render(&rootfs).contains("/a/b f "), "{}", dump::render(&rootfs));
}
