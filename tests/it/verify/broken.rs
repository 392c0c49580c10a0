//! Each promise, broken by hand.
#![allow(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]

use expect_test::{Expect, expect};
use kiln::digest::BlobDigest;
use kiln::options::{Options, UserRecipe};
use kiln::plan::Level;
use kiln::promise::State;
use kiln::recipe::parse_recipe;
use serde_json::json;

use super::{Edited, Lab, breaches, ids};

/// What the edited image alone tells.
fn check(edit: impl FnOnce(&mut Edited), expect: &Expect) {
    let lab = Lab::new(Options::default());
    lab.edit(edit);
    let verified = lab.verify("edited");
    assert!(!verified.is_unbroken());
    expect.assert_eq(&breaches(&verified));
}

/// What the source tells besides.
fn check_against(edit: impl FnOnce(&mut Edited), expect: &Expect) {
    let lab = Lab::new(Options::default());
    lab.edit(edit);
    expect.assert_eq(&breaches(&lab.compare("edited", &[])));
}

#[test]
fn an_image_as_it_was_hardened_holds() {
    let lab = Lab::new(Options::default());
    let alone = lab.verify("out");
    assert_eq!((breaches(&alone), ids(&alone, State::Held)), (String::new(), "H1 H3 H9 H10".into()));
    assert_eq!(
        ids(&alone, State::Open),
        "H2 H4 H5 H6 H7 H8",
        "gone.so led nowhere before, which only the source tells"
    );
    let compared = lab.compare("out", &[]);
    assert_eq!((breaches(&compared), ids(&compared, State::Open)), (String::new(), String::new()));
    assert!(compared.is_proved());
    // Another tool wrote the same layers and config with a manifest of its own.
    lab.edit(|_| {});
    let compared = lab.compare("edited", &[]);
    assert_eq!((breaches(&compared), ids(&compared, State::Open)), (String::new(), String::new()));
}

#[test]
fn options_that_are_recorded_are_used_again() {
    let text = "name = \"mine\"\ntitle = \"Mine\"\nprograms = [\"/usr/sbin/nginx\"]\n[[keep]]\nglob = \"/usr/bin/ls\"\nwhy = \"it lists\"\n";
    let own = UserRecipe {
        recipe: parse_recipe("own.toml", text).unwrap(),
        digest: BlobDigest::of(text.as_bytes()),
    };
    let options = Options {
        level: Level::Strip,
        keep: vec!["/usr/bin/sh".into()],
        user: Some("7:8".into()),
        recipes: vec![own.clone()],
        ..Options::default()
    };
    let lab = Lab::new(options);
    let compared = lab.compare("out", &[own]);
    assert_eq!((breaches(&compared), ids(&compared, State::Open)), (String::new(), String::new()));
    let without = lab.compare("out", &[]);
    assert_eq!(ids(&without, State::Open), "H2 H4 H5 H6 H7 H8");
    let open = &without.proofs[5].open[0];
    assert!(open.contains("the recipe `mine` (sha256:") && open.contains("--recipe FILE"), "{open}");
}

#[test]
fn a_shell_put_back_is_found() {
    check(
        |image| image.add(0, "/usr/bin/bash f 0555 elf static"),
        &expect![[r#"
        H1 /usr/bin/bash: a shell (by name) that the manifest does not name
    "#]],
    );
    check(
        |image| image.add(0, "/srv/real f 0555 elf static\n/srv/zsh h /srv/real\n/srv/vi l real"),
        &expect![[r#"
            H1 /srv/real: a shell (by name) that the manifest does not name
            H1 /srv/vi: an editor (by the link's name) that the manifest does not name
            H1 /srv/zsh: a shell (by name) that the manifest does not name
        "#]],
    );
}

#[test]
fn a_tool_named_without_a_reason_is_found() {
    let program = json!({"path": "/usr/bin/bash", "class": "shell", "why": " ", "remedy": null});
    check(
        |image| {
            image.add(0, "/usr/bin/bash f 0555 elf static");
            image.manifest(|manifest| manifest["residual"].as_array_mut().unwrap().push(program));
        },
        &expect![[r#"
            H1 /usr/bin/bash: a shell (by name): the manifest names it without a reason
            H10 /.kiln/manifest.json: is not the manifest that the label names: expected sha256:…, found sha256:…
        "#]],
    );
}

#[test]
fn a_needed_library_that_was_deleted_is_found() {
    check(
        |image| image.remove(0, "usr/lib/libpcre.so"),
        &expect![[r#"
        H2 /usr/sbin/nginx: needs libpcre.so, which is not there
        H8 package libpcre: is listed as installed and owns no file of the image
        H8 package libpcre: lists /usr/lib/libpcre.so, which is not there
    "#]],
    );
    check(
        |image| image.remove(0, "lib64/ld.so"),
        &expect![[r#"
        H2 /usr/lib/libc.so.6: needs ld.so, which is not there
        H2 /usr/sbin/nginx: needs /lib64/ld.so, which is not there
        H8 package libc: lists /lib64 and 1 more, which is not there
    "#]],
    );
    check(
        |image| image.remove(0, "usr/sbin/nginx"),
        &expect![[r#"
        H2 nginx: the image starts it, and it is not there
        H2 /usr/sbin/nginx: the start passes through it, and it is not there
        H8 package nginx: lists /usr/sbin and 1 more, which is not there
    "#]],
    );
}

#[test]
fn what_a_plugin_or_a_link_lost_is_told_from_what_it_never_had() {
    check_against(
        |image| {
            image.remove(0, "usr/lib/libgd.so");
            image.remove(0, "usr/lib/libc.so.6");
        },
        &expect![[r#"
            H2 /usr/lib/libpcre.so: needs libc.so.6, which is not there
            H2 /usr/sbin/nginx: needs libc.so.6, which is not there
            H2 /usr/lib/libc.so: is a symbolic link that leads nowhere: the source has /usr/lib/libc.so.6
            H2 /usr/lib/nginx/module.so: needs libgd.so, which is not there: the source has /usr/lib/libgd.so
            H4 layers: the bytes do not add up: 4256 in the source, 932 reported as removed, 629 replaced by 442, 2401 left
            H6 config: expected sha256:…, found sha256:…
            H6 layer 0: expected sha256:…, found sha256:…
            H8 package libgd: is listed as installed and owns no file of the image
            H8 package libgd: lists /usr/lib/libgd.so, which is not there
            H8 package libc: lists /usr/lib/libc.so.6, which is not there
            H8 libgd: version 1.0 (amd64) is listed, but the source has no such package with files that stay
        "#]],
    );
}

#[test]
fn modes_owners_and_capabilities_are_found() {
    check(
        |image| {
            image.member(0, "etc/nginx/nginx.conf", |member| member.header.set_mode(0o464));
            image.member(0, "usr/sbin/nginx", |member| member.header.set_mode(0o4555));
            image.member(0, "run", |member| member.header.set_mode(0o2755));
            image.member(0, "srv/page", |member| member.header.set_uid(33));
        },
        &expect![[r#"
            H3 /etc/nginx/nginx.conf: has a write bit and is no declared writable path: mode 0464
            H3 /run: setuid or setgid: mode 2755
            H3 /srv/page: belongs to user 33, whom the container runs as: an owner can give himself the right to write
            H3 /usr/sbin/nginx: setuid or setgid: mode 4555
            H9 /run: expected a mount point of 33:33 mode 0755, found 33:33 mode 2755
        "#]],
    );
}

#[test]
fn a_whiteout_in_place_of_a_removal_is_found() {
    check(
        |image| {
            image.add(0, "/opt/tool f 0444 \"kept\"\n/opt d 0555");
            image.add(2, "/opt/tool w");
        },
        &expect![[r#"
            H4 /opt/tool: layer 0 holds bytes of it that an upper layer hides
            H4 /opt/tool: a whiteout of layer 2 hides it: its bytes are in the image
        "#]],
    );
    check(
        |image| image.add(0, "/srv/other f 0444 \"hidden\""),
        &expect![[r#"
        H4 /srv/other: layer 0 holds bytes of it that an upper layer hides
    "#]],
    );
    check_against(
        |image| image.add(1, "/usr/bin/ls f 0444 \"data\""),
        &expect![[r#"
            H4 layers: the bytes do not add up: 4256 in the source, 932 reported as removed, 629 replaced by 442, 3141 left
            H5 /usr/bin/ls: layer 1 has it, and the source's layer 1 does not
            H6 config: expected sha256:…, found sha256:…
            H6 layer 1: expected sha256:…, found sha256:…
            H8 coreutils: version 1.0 (amd64) still owns files, but is not listed
        "#]],
    );
}

#[test]
fn a_wrong_package_list_is_found() {
    let status = "var/lib/dpkg/status";
    let without = |name: &'static str| {
        move |member: &mut super::Member| {
            let text = String::from_utf8(member.bytes.clone()).unwrap();
            let stanzas = text.split_inclusive("\n\n");
            let start = format!("Package: {name}\n");
            member.bytes =
                stanzas.filter(|stanza| !stanza.starts_with(&start)).collect::<String>().into_bytes();
        }
    };
    check(
        |image| image.member(0, status, without("libpcre")),
        &expect![[r#"
        H8 /var/lib/dpkg/info/libpcre.list: is about package `libpcre`, which the list does not have
        H8 /var/lib/dpkg/info/libpcre.md5sums: is about package `libpcre`, which the list does not have
        H8 /var/lib/dpkg/info/libpcre.postinst: is about package `libpcre`, which the list does not have
    "#]],
    );
    check(
        |image| {
            image.member(0, status, |member| {
                let more = "Package: curl\nStatus: install ok installed\nVersion: 1\nArchitecture: amd64\n\n";
                member.bytes.extend(more.bytes());
            });
            image.member(0, "var/lib/dpkg/info/libgd.list", |member| {
                member.bytes.extend(b"/usr/lib/libjpeg.so\n");
            });
        },
        &expect![[r#"
            H8 package libgd: lists /usr/lib/libjpeg.so, which is not there
            H8 package curl: is listed as installed and owns no file of the image
        "#]],
    );
    check_against(
        |image| {
            image.member(0, status, without("libpcre"));
            image.remove(0, "var/lib/dpkg/info/libpcre.list");
            image.remove(0, "var/lib/dpkg/info/libpcre.md5sums");
        },
        &expect![[r#"
            H4 layers: the bytes do not add up: 4256 in the source, 932 reported as removed, 629 replaced by 442, 3006 left
            H6 config: expected sha256:…, found sha256:…
            H6 layer 0: expected sha256:…, found sha256:…
            H8 /var/lib/dpkg/info/libpcre.postinst: is about package `libpcre`, which the list does not have
            H8 libpcre: version 1.0 (amd64) still owns files, but is not listed
        "#]],
    );
}

#[test]
fn a_mount_point_that_is_missing_or_another_is_found() {
    check(
        |image| image.remove(0, "run"),
        &expect![[r#"
        H9 /run: the manifest declares it writable, but there is no mount point
    "#]],
    );
    check(
        |image| image.member(0, "var/log/nginx", |member| member.header.set_mode(0o555)),
        &expect![[r#"
        H9 /var/log/nginx: expected a mount point of 33:33 mode 0755, found 33:33 mode 0555
    "#]],
    );
    check(
        |image| image.member(2, "var/lib/www", |member| member.header.set_uid(0)),
        &expect![[r#"
        H9 /var/lib/www: expected a mount point of 33:33 mode 0755, found 0:33 mode 0755
    "#]],
    );
}

#[test]
fn a_file_that_the_user_cannot_read_is_found() {
    check(
        |image| {
            image.member(0, "usr/lib/libpcre.so", |member| member.header.set_mode(0o400));
            image.member(0, "usr/sbin/nginx", |member| member.header.set_mode(0o444));
        },
        &expect![[r#"
            H9 /usr/lib/libpcre.so: user 33:33 cannot read it: mode 0400, owner 0:0
            H9 /usr/sbin/nginx: user 33:33 cannot start it: mode 0444, owner 0:0
        "#]],
    );
    check(
        |image| image.add(0, "/usr/lib d 0550"),
        &expect![[r#"
        H9 /usr/lib: user 33:33 cannot pass it on the way to /usr/lib/libc.so.6
    "#]],
    );
}

#[test]
fn a_directory_that_closes_the_way_to_a_mount_point_is_found() {
    check(
        |image| image.member(0, "var/log", |member| member.header.set_mode(0o550)),
        &expect![[r#"
        H9 /var/log: user 33:33 cannot pass it on the way to the volume at /var/log/nginx
    "#]],
    );
}

#[test]
fn a_label_that_lies_is_found() {
    let label = |key: &'static str, value: &'static str| {
        move |image: &mut Edited| image.config["config"]["Labels"][key] = json!(value)
    };
    check(
        label("dev.kiln.version", "9.9.9"),
        &expect![[r#"
        H10 dev.kiln.version: `9.9.9`, but the manifest was written by kiln 0.1.0
    "#]],
    );
    check(
        label("dev.kiln.source.digest", "nginx:latest"),
        &expect![[r#"
        H10 dev.kiln.source.digest: `nginx:latest` is no digest
    "#]],
    );
    check(
        label("dev.kiln.options", "--level=strip"),
        &expect![[r#"
        H10 dev.kiln.options: `--level=strip`, but the manifest has other options
    "#]],
    );
    check(
        label("dev.kiln.options", "--nothing"),
        &expect![[r#"
        H10 dev.kiln.options: `--nothing` is no option of this kiln
    "#]],
    );
    let other = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
    check(
        label("dev.kiln.manifest.digest", other),
        &expect![[r#"
            H10 /.kiln/manifest.json: is not the manifest that the label names: expected sha256:…, found sha256:…
        "#]],
    );
    check_against(
        label("dev.kiln.plan.digest", other),
        &expect![[r#"
            H6 config: expected sha256:…, found sha256:…
            H10 dev.kiln.plan.digest: expected sha256:…, found `sha256:…`
        "#]],
    );
    check(
        |image| _ = image.config["config"]["Labels"].as_object_mut().unwrap().remove("dev.kiln.plan.digest"),
        &expect![[r#"
            H10 dev.kiln.plan.digest: the image has no such label
        "#]],
    );
}

#[test]
fn a_source_of_another_name_is_not_proved_to_be_the_source() {
    let lab = Lab::new(Options::default());
    let other = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
    lab.edit(|image| image.config["config"]["Labels"]["dev.kiln.source.digest"] = json!(other));
    let compared = lab.compare("edited", &[]);
    assert_eq!((breaches(&compared), ids(&compared, State::Open)), (String::new(), "H10".into()));
    assert!(compared.proofs[9].open[0].contains("the label lies"), "{:?}", compared.proofs[9].open);
}

#[test]
fn a_manifest_with_more_writable_paths_is_found() {
    let widen = |image: &mut Edited| {
        image.manifest(|manifest| {
            let mut path = manifest["paths"][0].clone();
            path["path"] = json!("/etc");
            manifest["paths"].as_array_mut().unwrap().insert(0, path);
        });
    };
    check(
        widen,
        &expect![[r#"
            H9 /etc: the mount point has no entry of its own, so that its owner and mode are the runtime's
            H10 /.kiln/manifest.json: is not the manifest that the label names: expected sha256:…, found sha256:…
        "#]],
    );
    // With the label changed too, the image alone tells that no such mount point was made.
    check(
        |image| {
            widen(image);
            image.relabel();
        },
        &expect![[r#"
            H9 /etc: the mount point has no entry of its own, so that its owner and mode are the runtime's
        "#]],
    );
}

#[test]
fn a_config_that_was_changed_is_found() {
    check(
        |image| {
            image.config["config"]["User"] = json!("root");
            image.config["config"]["Cmd"] = json!(["/usr/sbin/nginx", "-t"]);
            image.config["config"]["Volumes"] = json!({"/data": {}});
        },
        &expect![[r#"
            H10 User: `root`, but the manifest says 33:33
            H10 Entrypoint: starts something else than the manifest says
            H10 Volumes: `/data`: volumes belong to the manifest
        "#]],
    );
    check_against(
        |image| {
            image.config["config"]["Env"] = json!(["PATH=/usr/sbin:/usr/bin"]);
            image.config["config"]["StopSignal"] = json!("SIGKILL");
            image.config["author"] = json!("somebody");
            image.config["config"]["Labels"]["title"] = json!("x");
        },
        &expect![[r#"
            H6 config: expected sha256:…, found sha256:…
            H7 author: is not in the source
            H7 config.StopSignal: is not in the source
            H7 config.Env: is not the source's with what the lowering adds
            H7 config.Labels: are not the source's and kiln's
        "#]],
    );
}

#[test]
fn an_image_that_kiln_did_not_harden_is_told_as_such() {
    let lab = Lab::new(Options::default());
    let verified = lab.verify("source");
    assert_eq!(ids(&verified, State::Broken), "H1 H3 H10");
    let compared = lab.compare("source", &[]);
    assert_eq!(ids(&compared, State::Held), "", "{}", breaches(&compared));
}

#[test]
fn another_source_is_no_source() {
    let lab = Lab::new(Options::default());
    let other =
        Lab::of(&crate::fixture::Fixture::new("/app f 0755 elf static").cmd(&["/app"]), Options::default());
    std::fs::rename(other.directory.path().join("source"), lab.directory.path().join("other")).unwrap();
    std::fs::rename(lab.directory.path().join("source"), lab.directory.path().join("mine")).unwrap();
    std::fs::rename(lab.directory.path().join("other"), lab.directory.path().join("source")).unwrap();
    expect![[r#"
        H10 source: it was made from other layers than those of the image that --against names
    "#]]
    .assert_eq(&breaches(&lab.compare("out", &[])));
}
