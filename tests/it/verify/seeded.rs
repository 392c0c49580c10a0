//! What fills volumes at start, broken by hand.
#![allow(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]

use expect_test::{Expect, expect};
use kiln::options::Options;
use kiln::path::ImagePath;
use kiln::promise::State;
use serde_json::json;

use super::{Edited, Lab, SERVER, breaches, ids};
use crate::fixture::Fixture;

/// The server with a directory that has content.
fn lab() -> Lab {
    lab_with(Options::default())
}

fn lab_with(options: Options) -> Lab {
    let more =
        "/var/lib/www/seed d 0700 33:33\n/var/lib/www/seed/key f 0600 33:33 5\n/var/lib/www/seed/to l key";
    let fixture = Fixture::new(&format!("{SERVER}\n{more}"))
        .cmd(&["nginx", "-g", "daemon off;"])
        .env(&["PATH=/usr/sbin:/usr/bin"])
        .volume("/var/lib/www");
    Lab::of(&fixture, options)
}

/// The number of kiln's own layer; what the directory has is in the one below it.
fn own(image: &Edited) -> usize {
    image.layers.len() - 1
}

fn check(edit: impl FnOnce(&mut Edited), expect: &Expect) {
    let lab = lab();
    lab.edit(edit);
    let verified = lab.verify("edited");
    assert!(!verified.is_unbroken());
    expect.assert_eq(&breaches(&verified));
}

#[test]
fn an_image_with_seeds_holds() {
    let lab = lab();
    let alone = lab.verify("out");
    assert_eq!(breaches(&alone), "");
    assert!(ids(&alone, State::Held).contains("H9"));
    let compared = lab.compare("out", &[]);
    assert_eq!((breaches(&compared), ids(&compared, State::Open)), (String::new(), String::new()));
}

#[test]
fn mount_points_within_what_is_copied_hold() {
    let inner = Options { writable: vec![ImagePath::literal("var/lib/www/a/inner")], ..Options::default() };
    for lab in [lab_with(inner.clone()), elsewhere_with(inner)] {
        let compared = lab.compare("out", &[]);
        assert_eq!((breaches(&compared), ids(&compared, State::Open)), (String::new(), String::new()));
    }
}

/// The same, for a processor that kiln has no helper for.
fn elsewhere() -> Lab {
    elsewhere_with(Options::default())
}

fn elsewhere_with(options: Options) -> Lab {
    let tools = ["chgrp", "chmod", "cp", "mkdir", "mv", "printf", "rm", "rmdir", "sh", "sync"];
    let tools = tools.map(|name| format!("/usr/bin/{name} f 0755 elf static")).join("\n");
    let more = "/var/lib/www/seed d 0700 33:33\n/var/lib/www/seed/key f 0600 33:33 5";
    let mut fixture = Fixture::new(&format!("{SERVER}\n{tools}\n{more}"))
        .cmd(&["nginx", "-g", "daemon off;"])
        .env(&["PATH=/usr/sbin:/usr/bin"])
        .volume("/var/lib/www");
    fixture.config["architecture"] = json!("s390x");
    Lab::of(&fixture, options)
}

#[test]
fn what_the_source_copies_is_settled_by_the_source() {
    let lab = elsewhere();
    let alone = lab.verify("out");
    assert_eq!(breaches(&alone), "");
    assert!(ids(&alone, State::Open).contains("H9"));
    let compared = lab.compare("out", &[]);
    assert_eq!((breaches(&compared), ids(&compared, State::Open)), (String::new(), String::new()));
    lab.edit(|image| {
        image.manifest(|manifest| manifest["seeding"]["argv"][2] = json!("rm -rf /data"));
        image.relabel();
    });
    let compared = lab.compare("edited", &[]);
    let all = breaches(&compared);
    assert!(all.contains("H9 /.kiln/seed: the manifest names another command of the source image"), "{all}");
    for seeded in [json!(null), json!({"argv": []})] {
        lab.edit(|image| {
            image.manifest(|manifest| manifest["seeding"] = seeded);
            image.relabel();
        });
        assert!(breaches(&lab.verify("edited")).contains("H9 /.kiln/seed: "));
    }
}

#[test]
fn another_helper_is_found() {
    check(
        |image| image.member(own(image), ".kiln/seed", |member| member.bytes[200] ^= 1),
        &expect![[r#"
        H9 /.kiln/seed: is not the helper of this kiln for the image's platform
    "#]],
    );
    check(
        |image| image.remove(own(image), ".kiln/seed"),
        &expect![[r#"
        H9 /.kiln/seed: there is no helper that would copy content to volumes
    "#]],
    );
    check(
        |image| image.member(own(image), ".kiln/seed", |member| member.header.set_mode(0o444)),
        &expect![[r#"
            H9 /.kiln/seed: the user cannot start it
        "#]],
    );
}

#[test]
fn another_table_is_found() {
    let edit = |image: &mut Edited, from: &'static str, to: &'static str| {
        image.member(own(image), ".kiln/seeds", |member| {
            let text = String::from_utf8(member.bytes.clone()).unwrap();
            assert!(text.contains(from), "{text:?}");
            member.bytes = text.replacen(from, to, 1).into_bytes();
        });
    };
    check(
        |image| edit(image, "0600 seed/key", "0600 seed/../../x"),
        &expect![[r#"
        H9 /.kiln/seeds: there is no table of what is copied to volumes
    "#]],
    );
    check(
        |image| edit(image, "f 0600 seed/key\0", ""),
        &expect![[r#"
        H9 /var/lib/www/seed/key: is not among what is copied to the volume, which hides it
    "#]],
    );
    check(
        |image| edit(image, "f 0600 seed/key", "f 0600 seed/gone"),
        &expect![[r#"
        H9 /var/lib/www/seed/gone: is to be copied to a volume, and the image does not have it
        H9 /var/lib/www/seed/key: is not among what is copied to the volume, which hides it
    "#]],
    );
    check(
        |image| edit(image, "f 0600 seed/key", "d 0700 seed/key"),
        &expect![[r#"
        H9 /var/lib/www/seed/key: is to be copied to a volume as something that it is not
    "#]],
    );
    check(
        |image| edit(image, "T 0755 /var/lib/www", "T 0777 /var/lib/www"),
        &expect![[r#"
        H9 /var/lib/www: expected a copy with mode 0755, found 0777 in the table
    "#]],
    );
    check(
        |image| edit(image, "T 0755 /var/lib/www", "T 0755 /etc"),
        &expect![[r#"
        H9 /etc: is copied to a volume, and the manifest does not say so
        H9 /etc/seed: is to be copied to a volume, and the image does not have it
        H9 /etc/seed/key: is to be copied to a volume, and the image does not have it
        H9 /etc/seed/to: is to be copied to a volume, and the image does not have it
        H9 /etc/group: is not among what is copied to the volume, which hides it
        H9 /etc/nginx: is not among what is copied to the volume, which hides it
        H9 /etc/nginx/nginx.conf: is not among what is copied to the volume, which hides it
        H9 /etc/passwd: is not among what is copied to the volume, which hides it
        H9 /var/lib/www: the manifest says that it is copied to its volume, and the table does not
    "#]],
    );
}

#[test]
fn what_cannot_be_copied_is_found() {
    check(
        |image| image.member(own(image) - 1, "var/lib/www/seed/key", |member| member.header.set_mode(0o400)),
        &expect![[r#"
            H9 /var/lib/www/seed/key: is to be copied to a volume, and the user cannot read it
        "#]],
    );
    check(
        |image| {
            image.member(own(image) - 1, "var/lib/www/seed", |member| member.header.set_mode(0o500));
        },
        &expect![[r#"
            H9 /var/lib/www/seed/key: is to be copied to a volume, and the user cannot pass a directory above it
            H9 /var/lib/www/seed/to: is to be copied to a volume, and the user cannot pass a directory above it
        "#]],
    );
    check(
        |image| image.add(own(image) - 1, "/var/lib/www/more f 0444 5"),
        &expect![[r#"
        H9 /var/lib/www/more: is not among what is copied to the volume, which hides it
    "#]],
    );
    check(
        |image| image.remove(own(image), ".kiln/volumes/var/lib/www"),
        &expect![[r#"
        H9 /.kiln/volumes/var/lib/www: there is no mount point for the volume that /var/lib/www is copied to
    "#]],
    );
}

#[test]
fn what_is_seeded_is_as_strict_as_all_else_in_the_image() {
    check(
        |image| image.member(own(image) - 1, "var/lib/www/seed/key", |member| member.header.set_mode(0o640)),
        &expect![[r#"
            H3 /var/lib/www/seed/key: has a write bit and is no declared writable path: mode 0640
        "#]],
    );
    check(
        |image| {
            image.manifest(|manifest| {
                let paths = manifest["paths"].as_array_mut().unwrap();
                let path = paths.iter_mut().find(|path| path["path"] == "/var/lib/www").unwrap();
                path["seeded"] = json!(false);
            });
            image.relabel();
        },
        &expect![[r#"
            H9 /var/lib/www: expected a mount point of 33:33 mode 0755, found 0:0 mode 0555
        "#]],
    );
}

#[test]
fn table_that_the_helper_fails_at_is_found() {
    let table = |image: &mut Edited, order: [&'static str; 4]| {
        image.member(own(image), ".kiln/seeds", |member| {
            let all = "d 0700 seed\0f 0600 seed/key\0l 0777 seed/to\0";
            let text = String::from_utf8(member.bytes.clone()).unwrap();
            assert!(text.ends_with(all), "{text:?}");
            member.bytes = text.replacen(all, &order.concat(), 1).into_bytes();
        });
    };
    let [seed, key, to] = ["d 0700 seed\0", "f 0600 seed/key\0", "l 0777 seed/to\0"];
    check(
        |image| table(image, [key, seed, to, ""]),
        &expect![[r#"
        H9 /var/lib/www/seed/key: the table has it twice, or before the directory that it is copied to
    "#]],
    );
    check(
        |image| table(image, [seed, key, to, key]),
        &expect![[r#"
        H9 /var/lib/www/seed/key: the table has it twice, or before the directory that it is copied to
    "#]],
    );
    check(
        |image| image.member(own(image), ".kiln/seeds", |member| member.header.set_mode(0o400)),
        &expect![[r#"
            H9 /.kiln/seeds: the user cannot read it
        "#]],
    );
    check(
        |image| image.member(own(image), ".kiln/volumes/var", |member| member.header.set_mode(0o500)),
        &expect![[r#"
            H9 /.kiln/volumes/var: the user cannot pass it on the way to the helper, its table and its volumes
        "#]],
    );
    check(
        |image| image.member(own(image), "var/lib/www", |member| member.header.set_mode(0o500)),
        &expect![[r#"
            H9 /var/lib/www/seed: is to be copied to a volume, and the user cannot pass a directory above it
            H9 /var/lib/www/seed/key: is to be copied to a volume, and the user cannot pass a directory above it
            H9 /var/lib/www/seed/to: is to be copied to a volume, and the user cannot pass a directory above it
        "#]],
    );
}

#[test]
fn link_into_a_declared_path_may_lead_nowhere_only_where_something_is_mounted() {
    let lab = lab();
    let open = |volume: serde_json::Value| {
        lab.edit(|image| {
            image.add(own(image) - 1, "/opt/link l /var/lib/www/gone");
            image.manifest(|manifest| {
                let paths = manifest["paths"].as_array_mut().unwrap();
                paths.iter_mut().find(|path| path["path"] == "/var/lib/www").unwrap()["volume"] = volume;
            });
            image.relabel();
        });
        let verified = lab.verify("edited");
        let open = verified.proofs.iter().flat_map(|proof| &proof.open);
        open.filter(|text| text.contains("/opt/link is a symbolic link that leads nowhere")).count()
    };
    assert_eq!(open(json!({"kind": "disk", "size_limit": 1 << 20})), 0);
    assert_eq!(open(json!({"kind": "none"})), 1);
}
