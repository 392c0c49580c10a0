//! Owners, modes and mount points of the finished image.
//!
//! The rule for one inode has tests of its own beside it.

use expect_test::expect;

use super::debian;
use crate::fixture::Fixture;

fn app(more: &str) -> Fixture {
    Fixture::new(&format!("/app/main f 0755 elf static\n{more}")).cmd(&["/app/main"]).run_as("1000:1000")
}

#[test]
fn what_only_root_could_read_is_opened_to_the_users_group() {
    app("/app d 0700\n/app/secret d 0700\n/app/secret/key.json f 0600 5\n/app/open.txt f 0644 5").shows(
        "after codes",
        &expect![[r"
            /app d 0510 0:1000
            /app/main f 0555 0:0 1000 elf
            /app/open.txt f 0444 0:0 5
            /app/secret d 0510 0:1000
            /app/secret/key.json f 0440 0:1000 5
            codes KN014
        "]],
    );
}

#[test]
fn what_the_user_owned_becomes_roots_and_stays_readable_for_him() {
    app("/srv d 0755 1000:1000\n/srv/data f 0600 1000:1000 9\n/srv/shared f 0640 1000:44 9").shows(
        "after",
        &expect![[r"
            /app d
            /app/main f 0555 0:0 1000 elf
            /srv d 0555 0:1000
            /srv/data f 0440 0:1000 9
            /srv/shared f 0440 0:1000 9
        "]],
    );
}

#[test]
fn volumes_become_mount_points_with_what_is_above_them() {
    app("").volume("/var/lib/data").shows(
        "writable after codes",
        &expect![[r"
        writable /var/lib/data Absent 0755 1000:1000
        /app d
        /app/main f 0555 0:0 1000 elf
        /var d 0555 0:0
        /var/lib d 0555 0:0
        /var/lib/data d 0755 1000:1000
        codes KN019
    "]],
    );
}

#[test]
fn asked_for_directories_that_are_absent_are_made_behind_links() {
    app("/var/run l /run\n/run d 0755").writable("/var/run/app/sockets").shows(
        "writable after",
        &expect![[r"
            writable /run/app/sockets Absent 0755 1000:1000
            /app d
            /app/main f 0555 0:0 1000 elf
            /run d 0555 0:0
            /run/app d 0555 0:0
            /run/app/sockets d 0755 1000:1000
            /var d
            /var/run l /run
        "]],
    );
}

#[test]
fn mount_point_stays_although_nothing_is_left_in_it() {
    debian("/app f 0755 elf static\n/var/cache/tool d 0755\n/var/cache/tool/x f 3\npackage tool has=/var/cache/tool,/var/cache/tool/x")
        .cmd(&["/app"])
        .run_as("1000:1000")
        .writable("/var/cache/tool")
        .shows("writable gone", &expect![[r"
            writable /var/cache/tool Empty 0755 1000:1000
            gone /bin: link to /usr/bin
            gone /lib: link to /usr/lib
            gone /lib64: link to /usr/lib64
            gone /usr/bin: EmptyDirectory
            gone /usr/bin/cat: Utility
            gone /usr/bin/dash: Shell
            gone /usr/bin/dpkg: PackageManager
            gone /usr/bin/env: Utility
            gone /usr/bin/sh: Shell
            gone /usr/lib/x86_64-linux-gnu/libc.so.6: UnneededPackage
            gone /usr/lib64/ld-linux-x86-64.so.2: UnneededPackage
            gone /var/cache/tool/x: UnneededPackage
        "]]);
}

#[test]
fn what_a_volume_hides_need_not_be_readable_but_where_it_is_copied() {
    app("/data d 0750 0:4\n/data/access.log f 0640 0:4\n/full d 0750 0:4\n/full/seed f 0640 0:4 5")
        .writable("/data")
        .writable("/full")
        .shows("findings", &expect![[r"
            low KN014 /full/seed: opened to group 1000: /full/seed
            info KN065 /full: an init container copies its 1 files with 5 bytes to its volume: what the app writes there is lost with the pod, unless the volume is a claim
        "]]);
}

#[test]
fn nested_volumes_have_each_their_mount_point() {
    app("").writable("/data").writable("/data/inner").shows(
        "writable after",
        &expect![[r"
        writable /data Absent 0755 1000:1000
        writable /data/inner Absent 0755 1000:1000
        /app d
        /app/main f 0555 0:0 1000 elf
        /data d 0755 1000:1000
        /data/inner d 0755 1000:1000
    "]],
    );
}

#[test]
fn mount_points_within_what_is_copied_are_copied_too() {
    app("/data d 0755 1000:1000\n/data/seed f 5")
        .working_dir("/data/work")
        .writable("/data")
        .writable("/data/a/inner")
        .shows(
            "writable after",
            &expect![[r"
            writable /data Seed { files: 1, bytes: 5 } 0755 1000:1000
            writable /data/a/inner Absent 0755 1000:1000
            /.kiln d
            /.kiln/seed f 0555 0:0 16208 elf
            /.kiln/seeds f 0444 0:0 74
            /.kiln/volumes d 0555 0:0
            /.kiln/volumes/data d 0555 0:0
            /app d
            /app/main f 0555 0:0 1000 elf
            /data d 0555 0:1000
            /data/a d 0555 0:0
            /data/a/inner d 0755 1000:1000
            /data/seed f 0444 0:0 5
            /data/work d 0555 0:0
        "]],
        );
}

#[test]
fn volume_with_content_is_copied_and_read_only_in_the_image() {
    app("/data d 0755 1000:1000\n/data/seed f 5")
        .volume("/data")
        .shows("writable after findings", &expect![[r"
            writable /data Seed { files: 1, bytes: 5 } 0755 1000:1000
            /.kiln d
            /.kiln/seed f 0555 0:0 16208 elf
            /.kiln/seeds f 0444 0:0 38
            /.kiln/volumes d 0555 0:0
            /.kiln/volumes/data d 0555 0:0
            /app d
            /app/main f 0555 0:0 1000 elf
            /data d 0555 0:1000
            /data/seed f 0444 0:0 5
            info KN019 /data: a runtime would mount a volume here that the pod spec does not show; the hardened image declares none
            info KN065 /data: an init container copies its 1 files with 5 bytes to its volume: what the app writes there is lost with the pod, unless the volume is a claim
        "]]);
}

#[test]
fn setuid_bits_and_file_capabilities_are_lost_and_said() {
    let mut fixture = app("/app/helper f 4755 elf static\n/app/ping f 0755 elf static");
    let ping = fixture.layers[0].entries.last_mut().unwrap();
    ping.xattrs = Some(Box::new(vec![
        (Box::from(&b"security.capability"[..]), Box::from(&b"x"[..])),
        (Box::from(&b"user.note"[..]), Box::from(&b"y"[..])),
    ]));
    fixture.shows(
        "after findings",
        &expect![[r"
        /app d
        /app/helper f 0555 0:0 1000 elf
        /app/main f 0555 0:0 1000 elf
        /app/ping f 0555 0:0 1000 elf user.note=y
        medium KN005 /app/ping: no package owns it: it is the application's own file
        medium KN016 /app/helper: it stays without its setuid or setgid bit
        medium KN016 /app/ping: it stays without its file capabilities
    "]],
    );
}

#[test]
fn health_check_goes_with_its_shell_and_stays_with_its_program() {
    let image = "/app/main f 0755 elf static\n/bin/sh f 0755 elf static\n/bin/curl f 0755 elf static";
    for (test, dropped) in [
        (&["CMD-SHELL", "curl -f http://localhost"][..], true),
        (&["CMD", "curl", "-f"][..], true),
        (&["CMD", "/app/main", "--check"][..], false),
        (&["NONE"][..], false),
    ] {
        let plan = Fixture::new(image).cmd(&["/app/main"]).healthcheck(test).plan();
        assert_eq!(plan.healthcheck_dropped.is_some(), dropped, "{test:?}");
        let said = plan.findings.iter().any(|finding| finding.code.doc().id == "KN020");
        assert_eq!(said, dropped, "{test:?}");
    }
}

#[test]
fn secrets_are_reported_and_closed_to_the_user() {
    debian(
        "/app f 0755 elf static\n/etc/ssh/ssh_host_rsa_key f 0600 100\n/etc/machine-id f 0444 0\n/root/.npmrc f 0600 30
        /etc/shadow f 0640 \"root:*:1::::::\\n\"",
    )
    .cmd(&["/app"])
    .shows("after findings", &expect![[r"
        /app f 0555 0:0 1000 elf
        /etc d
        /etc/group f 0444 0:0 42
        /etc/machine-id f 0444 0:0 0
        /etc/passwd f 0444 0:0 140
        /etc/shadow f 0440 0:0 15
        /etc/ssh d
        /etc/ssh/ssh_host_rsa_key f 0400 0:0 100
        /root d
        /root/.npmrc f 0400 0:0 30
        /sbin l usr/sbin
        /usr d
        /usr/sbin d 0555 0:0
        /var d
        /var/lib d
        /var/lib/dpkg d
        medium KN021 /etc/ssh/ssh_host_rsa_key: whoever has the image has it, and every container shares it; mount one per deployment and `--strip` this
        medium KN021 /root/.npmrc: whoever has the image has it, and every container shares it; mount one per deployment and `--strip` this
        info KN015 65532:65532: the image ran as `root`, and now as nonroot (65532:65532): nothing in the image says which account the program should have
    "]]);
}

#[test]
fn world_writable_directories_keep_their_bits_only_where_declared() {
    app("/tmp d 1777\n/srv/upload d 1777\n/srv/upload/x f 3").shows("writable after findings", &expect![[r"
        writable /tmp Empty 1777 0:0
        /app d
        /app/main f 0555 0:0 1000 elf
        /srv d
        /srv/upload d 0555 0:0
        /srv/upload/x f 0444 0:0 3
        /tmp d 1777 0:0
        low KN018 /srv/upload: a directory that everybody may write, but nothing else says that the app writes there; `--writable /srv/upload` declares it
    "]]);
}

#[test]
fn the_way_to_a_mount_point_is_opened_to_the_user() {
    Fixture::new("/app/main f 0755 elf static\n/root d 0700\n/root/data d 0755")
        .cmd(&["/app/main"])
        .volume("/root/data")
        .shows(
            "after",
            &expect![[r"
            /app d
            /app/main f 0555 0:0 1000 elf
            /etc d 0555 0:0
            /etc/group f 0444 0:0 17
            /etc/passwd f 0444 0:0 57
            /root d 0510 0:65532
            /root/data d 0755 65532:65532
        "]],
        );
}

#[test]
fn configuration_that_comes_with_the_program_is_opened_to_the_user_and_said() {
    debian(
        "/usr/sbin/daemon f 0755 elf static\n/etc/daemon/daemon.conf f 0600 5\n/etc/other.conf f 0600 5
        /etc/daemon/more.conf f 0640 0:4 5\npackage daemon needs=daemon-common,other has=/usr/sbin/daemon,/etc/daemon/daemon.conf
        package daemon-common source=daemon has=/etc/daemon/more.conf\npackage other has=/etc/other.conf",
    )
    .cmd(&["daemon", "-D"])
    .shows("after findings", &expect![[r"
        /etc d
        /etc/daemon d
        /etc/daemon/daemon.conf f 0440 0:65532 5
        /etc/daemon/more.conf f 0440 0:65532 5
        /etc/group f 0444 0:0 42
        /etc/other.conf f 0400 0:0 5
        /etc/passwd f 0444 0:0 140
        /sbin l usr/sbin
        /usr d
        /usr/sbin d 0555 0:0
        /usr/sbin/daemon f 0555 0:0 1000 elf
        /var d
        /var/lib d
        /var/lib/dpkg d
        low KN014 /etc/daemon/daemon.conf: opened to group 65532: /etc/daemon/daemon.conf, /etc/daemon/more.conf
        info KN015 65532:65532: the image ran as `root`, and now as nonroot (65532:65532): nothing in the image says which account the program should have
    "]]);
}

#[test]
fn a_secret_that_only_its_owner_could_read_is_said_to_be_open_now() {
    let said = |mode: &str, user: &str| {
        let fixture = app(&format!("/home/app/.pgpass f {mode} {user} 5"));
        let plan = fixture.plan();
        plan.findings.iter().any(|finding| finding.message.contains("its group reads it"))
    };
    assert!(said("0600", "1000:1000"));
    assert!(!said("0640", "1000:1000") && !said("0600", "0:0"));
}
