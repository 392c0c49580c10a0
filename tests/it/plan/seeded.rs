//! What is copied to volumes at start: which paths, with which modes, and what is not.
#![allow(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]

use std::fmt::Write as _;

use expect_test::{Expect, expect};
use kiln::path::ImagePath;
use kiln::profile::How;
use serde_json::json;

use super::traced::{Runs, image, wrote};
use crate::fixture::Fixture;

fn app(more: &str) -> Fixture {
    Fixture::new(&format!("/app/main f 0755 elf static\n{more}")).cmd(&["/app/main"])
}

/// The same, of an image that ran as root.
fn as_root(more: &str) -> Fixture {
    app(more).run_as("1000")
}

/// The table, a record a line.
fn table(fixture: &Fixture) -> String {
    let plan = fixture.plan();
    let path = ImagePath::literal("/.kiln/seeds");
    let table = plan.additions.iter().find(|addition| addition.path == path);
    let table = table.and_then(|addition| addition.content().cloned()).unwrap_or_default();
    String::from_utf8_lossy(&table).replace('\0', "\n")
}

fn check(fixture: &Fixture, expect: &Expect) {
    expect.assert_eq(&table(fixture));
}

#[test]
fn copies_have_the_modes_of_the_source_and_what_the_user_did_not_own_he_can_write() {
    check(
        &as_root(
            "/data d 2750 1000:1000
            /data/conf f 0644 0:0 5
            /data/empty f 0644 0:0
            /data/fifo p 0644 1000:1000
            /data/key f 0400 1000:1000 5
            /data/link l key
            /data/tool f 4755 1000:1000 5
            /data/tmp d 1777 0:0
            /data/void d 0500 1000:1000",
        )
        .volume("/data"),
        &expect![[r#"
            kiln-seeds 1
            T 0750 /data
            f 0644 conf
            f 0644 empty
            p 0644 fifo
            f 0400 key
            l 0777 link
            d 1777 tmp
            f 0755 tool
            d 0700 void
        "#]],
    );
}

#[test]
fn hard_links_are_copied_by_each_of_their_names() {
    check(
        &as_root("/data d 0755 1000:1000\n/data/a f 0600 1000:1000 5\n/data/b h /data/a\n/out h /data/a")
            .volume("/data"),
        &expect![[r#"
            kiln-seeds 1
            T 0755 /data
            f 0600 a
            f 0600 b
        "#]],
    );
}

#[test]
fn private_directory_is_made_for_the_user() {
    check(
        &as_root(
            "/data d 0700 1000:1000\n/data/sub d 0755 1000:1000\n/other d 0700 0:0\n/tmp/x d 0700 1000:1000",
        )
        .writable("/data")
        .writable("/other")
        .writable("/tmp/x"),
        &expect![[r#"
            kiln-seeds 1
            T 0700 /data
            d 0755 sub
        "#]],
    );
}

#[test]
fn directories_in_a_directory_without_content_are_made_unless_a_recipe_knows_who_writes_there() {
    let image = "/data d 0755 1000:1000\n/data/caddy d 0750 1000:1000";
    check(
        &as_root(image).writable("/data"),
        &expect![[r#"
            kiln-seeds 1
            T 0755 /data
            d 0750 caddy
        "#]],
    );
    let caddy = Fixture::new(&format!("/usr/bin/caddy f 0755 elf static\n{image}"));
    check(&caddy.cmd(&["caddy", "run"]).run_as("1000"), &expect![[""]]);
}

#[test]
fn what_stands_in_a_tree_that_is_copied_is_copied_with_it() {
    let fixture = as_root(
        "/data d 0755 1000:1000\n/data/x f 5\n/data/in d 0700 1000:1000\n/data/in/y f 5\n/data/cache d",
    )
    .writable("/data")
    .writable("/data/in")
    .writable("/data/cache");
    fixture.shows(
        "writable",
        &expect![[r#"
        writable /data Seed { files: 2, bytes: 10 } 0755 1000:0
        writable /data/cache Empty 0755 1000:0
    "#]],
    );
    check(
        &fixture,
        &expect![[r#"
        kiln-seeds 1
        T 0755 /data
        d 0755 cache
        d 0700 in
        f 0644 in/y
        f 0644 x
    "#]],
    );
}

#[test]
fn files_that_the_user_could_never_read_are_left_out_and_said() {
    let fixture = app("/data d 0755 1000:1000
        /data/closed d 0700 0:0
        /data/closed/x f 5
        /data/open f 5
        /data/secret f 0600 0:0 5")
    .user("1000")
    .volume("/data");
    check(
        &fixture,
        &expect![[r#"
        kiln-seeds 1
        T 0755 /data
        d 0700 closed
        f 0644 open
    "#]],
    );
    fixture.shows("findings", &expect![[r#"
        medium KN068 /data: the volume is without /data/closed, /data/secret: the user could not read that in the source, and is not given what is another's
        info KN019 /data: a runtime would mount a volume here that the pod spec does not show; the hardened image declares none
        info KN065 /data: an init container copies its 1 files with 5 bytes to its volume: what the app writes there is lost with the pod, unless the volume is a claim
    "#]]);
}

#[test]
fn code_is_copied_only_where_it_is_asked_for() {
    let image = "/srv/www d 0755 1000:1000\n/srv/www/index.php f 5";
    let fixture = as_root(image).volume("/srv/www");
    check(&fixture, &expect![[""]]);
    fixture.shows("findings", &expect![[r#"
        high KN017 /srv/www: it must be writable and has 1 files with 5 bytes in the image, which a volume would hide: /srv/www/index.php is code, which could be changed in a volume (`--writable` copies it all the same); the pod spec mounts none; mount one yourself that holds the content, or let the app write elsewhere
        info KN019 /srv/www: a runtime would mount a volume here that the pod spec does not show; the hardened image declares none
    "#]]);
    as_root(image).writable("/srv/www").shows("findings", &expect![[r#"
        medium KN067 /srv/www: /srv/www/index.php is code, and can be changed in the volume by whoever gets into the app, as long as the volume lives: `--writable` asked for that
        info KN065 /srv/www: an init container copies its 1 files with 5 bytes to its volume: what the app writes there is lost with the pod, unless the volume is a claim
    "#]]);
    check(
        &as_root(image).writable("/srv/www"),
        &expect![[r#"
        kiln-seeds 1
        T 0755 /srv/www
        f 0644 index.php
    "#]],
    );
}

#[test]
fn without_a_helper_for_the_architecture_content_stays_a_finding() {
    let mut fixture = as_root("/data d 0700 1000:1000\n/data/x f 5\n/private d 0700 1000:1000")
        .writable("/data")
        .writable("/private");
    fixture.config["architecture"] = json!("s390x");
    check(&fixture, &expect![[""]]);
    fixture.shows("writable findings", &expect![[r#"
        writable /data Seed { files: 1, bytes: 5 } 0700 1000:1000
        writable /private Empty 0700 1000:1000
        high KN017 /data: it must be writable and has 1 files with 5 bytes in the image, which a volume would hide: kiln has no helper for this architecture that would copy them, and the source has no shell and `cp`; the pod spec mounts none; mount one yourself that holds the content, or let the app write elsewhere
    "#]]);
}

/// An image for a processor that kiln has no helper for, with the programs that copy.
fn elsewhere(more: &str) -> Fixture {
    let mut fixture = as_root(&format!(
        "/bin/busybox f 0755 elf static
        /bin/chgrp l busybox\n/bin/chmod l busybox\n/bin/cp l busybox\n/bin/mkdir l busybox\n/bin/mv l busybox
        /bin/printf l busybox\n/bin/rm l busybox\n/bin/rmdir l busybox\n/bin/sh l busybox\n/bin/sync l busybox\n{more}"
    ));
    fixture.config["architecture"] = json!("s390x");
    fixture.volume("/data")
}

/// What the source does, without what is the same for all images; nothing where it does nothing.
fn filling(fixture: &Fixture) -> String {
    let plan = fixture.plan();
    assert!(!plan.additions.iter().any(|made| made.path.is_within(&ImagePath::literal("/.kiln/volumes"))));
    let command = plan.seeding.unwrap_or_default();
    let script = command.get(2).map_or("", String::as_str);
    script.split_once("\nfill ").map_or_else(String::new, |(_, own)| format!("fill {own}"))
}

#[test]
fn without_a_helper_for_the_architecture_the_source_copies_and_gives_copies_the_same_modes() {
    let fixture = elsewhere(
        "/data d 2750 1000:1000
        /data/conf f 0644 0:0 5
        /data/fixed f 0444 0:0 5
        /data/it's f 0444 0:0 5
        /data/key f 0400 1000:1000 5
        /data/link l key
        /data/tmp d 1777 0:0
        /data/void d 0500 1000:1000",
    );
    expect![[r#"
        fill '/data' 1
        if [ -n "$new" ]; then
            cp -RPp '/data'/. "$new"
            chgrp -hR 0 "$new"
            chmod 00750 "$new"
            chmod 00644 "$new"/'fixed'
            chmod 00644 "$new"/'it'\''s'
            chmod 01777 "$new"/'tmp'
            chmod 00700 "$new"/'void'
            filled '/data'
        fi
    "#]]
    .assert_eq(&filling(&fixture));
    fixture.shows("writable findings", &expect![[r#"
        writable /data Seed { files: 5, bytes: 20 } 0750 1000:0
        info KN019 /data: a runtime would mount a volume here that the pod spec does not show; the hardened image declares none
        info KN065 /data: an init container copies its 4 files with 20 bytes to its volume: what the app writes there is lost with the pod, unless the volume is a claim; the source image does it, for kiln has no helper for this architecture: the pod needs both images
    "#]]);
}

#[test]
fn what_the_source_would_not_copy_as_the_volume_must_have_it_stays_a_finding() {
    for (more, path) in [
        // The user cannot read it, or not what is around it; it is no text; kiln strips it.
        ("/data/secret f 0600 0:0 5", "/data/secret"),
        ("/data/in d 0700 0:0\n/data/in/x f 5", "/data/in"),
        ("/data/a\\xff f 0444 0:0 5", "/data/a\\xff"),
        ("/data/sh l /bin/busybox", "/data/sh"),
        ("/srv d 0700 0:0\n/srv/x d 0755 1000:1000\n/srv/x/y f 5\n/data l /srv/x", "/srv/x"),
    ] {
        let data = if more.contains("/data l") { "" } else { "/data d 0755 1000:1000\n/data/x f 5\n" };
        let fixture = elsewhere(&format!("{data}{more}"));
        assert_eq!(filling(&fixture), "", "{path}");
        let plan = fixture.plan();
        let said = format!("the source's own `cp` would not copy {path} as the volume must have it");
        let is_said = plan.findings.iter().any(|finding| finding.message.contains(&said));
        assert!(
            is_said && plan.writable.iter().all(|declared| !declared.seeded),
            "{path}: {:?}",
            plan.findings
        );
    }
}

#[test]
fn source_copies_where_its_user_may_pass_and_run_what_it_takes() {
    let data = "/srv d 0711 0:0\n/srv/data d 0755 1000:1000\n/srv/data/x f 5\n/data l /srv/data";
    assert_ne!(filling(&elsewhere(data)), "");
    for closed in ["/bin/busybox f 0700 0:0 elf static", "/bin d 0700 0:0"] {
        assert_eq!(filling(&elsewhere(&format!("{data}\n--\n{closed}"))), "", "{closed}");
    }
}

#[test]
fn device_among_the_content_stays_a_finding() {
    let fixture = as_root("/data d 0755 1000:1000\n/data/null c 0666 0:0 1 3\n/data/x f 5").volume("/data");
    check(&fixture, &expect![[""]]);
    fixture.shows("findings", &expect![[r#"
        high KN017 /data: it must be writable and has 2 files with 5 bytes in the image, which a volume would hide: /data/null is a device or has a name that cannot be copied; the pod spec mounts none; mount one yourself that holds the content, or let the app write elsewhere
        info KN019 /data: a runtime would mount a volume here that the pod spec does not show; the hardened image declares none
    "#]]);
}

#[test]
fn volume_has_room_for_what_is_copied() {
    let size = |bytes: u64| {
        let fixture = as_root(&format!("/run/x d 0755 1000:1000\n/run/x/a f {bytes}")).volume("/run/x");
        let plan = fixture.plan();
        let path = plan.writable.iter().find(|path| path.path == ImagePath::literal("/run/x")).unwrap();
        (path.seeded, path.memory, path.size_limit >> 20)
    };
    assert_eq!(size(5), (true, true, 16));
    assert_eq!(size(20 << 20), (true, true, 64));
    assert_eq!(size(300 << 20), (true, false, 1024));
    assert_eq!(size(1025 << 20), (false, true, 16));
}

#[test]
fn what_a_third_user_keeps_from_the_server_is_not_opened_to_it() {
    let image = "/usr/sbin/gosu f 0755 elf static
        /app/main f 0755 elf static
        /data d 0755 1000:1000
        /data/closed d 0700 2000:2000
        /data/closed/x f 0644 2000:2000 5
        /data/of-root f 0600 0:0 5
        /data/other f 0600 2000:2000 5";
    let switched = Fixture::new(image).cmd(&["gosu", "1000", "/app/main"]).volume("/data");
    check(
        &switched,
        &expect![[r#"
        kiln-seeds 1
        T 0755 /data
        d 0700 closed
        f 0600 of-root
    "#]],
    );
    switched.shows("findings", &expect![[r#"
        medium KN068 /data: the volume is without /data/closed, /data/other: the user could not read that in the source, and is not given what is another's
        low KN014 /data/of-root: opened to group 0: /data/of-root
        info KN002 gosu 1000 /app/main: replaced by `/app/main`: `gosu` only switches the user, and the container starts as that user
        info KN019 /data: a runtime would mount a volume here that the pod spec does not show; the hardened image declares none
        info KN065 /data: an init container copies its 1 files with 5 bytes to its volume: what the app writes there is lost with the pod, unless the volume is a claim
    "#]]);
    let rest = Fixture::new(image).cmd(&["/app/main"]).run_as("1000").volume("/data");
    check(
        &rest,
        &expect![[r#"
        kiln-seeds 1
        T 0755 /data
        d 0700 closed
        f 0644 closed/x
        f 0600 of-root
        f 0600 other
    "#]],
    );
}

#[test]
fn what_may_be_executed_is_copied_and_said() {
    as_root(
        "/data d 0755 1000:1000\n/data/tool f 0755 0:0 5\n/data/x f 5",
    )
    .volume("/data")
    .shows("findings", &expect![[r#"
        medium KN067 /data: /data/tool may be executed, and can be changed in the volume by whoever gets into the app, as long as the volume lives
        info KN019 /data: a runtime would mount a volume here that the pod spec does not show; the hardened image declares none
        info KN065 /data: an init container copies its 2 files with 10 bytes to its volume: what the app writes there is lost with the pod, unless the volume is a claim
    "#]]);
}

#[test]
fn directories_of_a_script_that_the_table_has_no_room_for_are_volumes_of_their_own() {
    let above = vec!["x".repeat(250); 8].join("/");
    let mut content = "/var/lib/app d 0755 33:33\n".to_owned();
    for number in 0..4200 {
        let _ = writeln!(content, "/var/lib/app/{above}/{number:04} d");
    }
    let events =
        vec![(1, wrote("/var/lib/app/a", How::Directory)), (0, wrote("/var/lib/app/state", How::Created))];
    let mut fixture = image();
    fixture.layers.extend(Fixture::new(&content).layers);
    let plan = fixture.watched(Runs { events, ..Runs::default() }.profile()).plan();
    let below = ImagePath::literal("/var/lib/app");
    let declared = plan.writable.iter().filter(|declared| declared.path.is_within(&below));
    let found: Vec<_> = declared.map(|declared| (declared.path.to_string(), declared.seeded)).collect();
    assert_eq!(found, [("/var/lib/app".to_owned(), false), ("/var/lib/app/a".to_owned(), false)]);
}
