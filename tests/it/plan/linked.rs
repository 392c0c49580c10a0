//! Single files that are written where no volume can stand: which become links, and what of them is copied.
#![allow(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]

use expect_test::expect;
use kiln::path::ImagePath;
use kiln::plan::{Addition, Made, Plan};
use kiln::profile::{Act, How};

use super::traced::{Runs, image, wrote};
use crate::fixture::Fixture;

/// An app with files among its code, watched while it did `acts`.
fn watched(acts: Vec<Act>) -> Fixture {
    let code = "/opt/app/lib.so f elf\n/opt/app/app.log f 0600 33:33 5\n/opt/app/conf/x.ini f 0644 33:33 5\n/opt/app/conf/y.so f elf";
    let mut fixture = image();
    fixture.layers.extend(Fixture::new(code).layers);
    fixture
        .watched(Runs { events: acts.into_iter().map(|act| (0, act)).collect(), ..Runs::default() }.profile())
}

/// The links that stand in place of files.
fn links(plan: &Plan) -> Vec<String> {
    let is_link = |addition: &&Addition| matches!(addition.made, Made::Link(_));
    plan.additions.iter().filter(is_link).map(|addition| addition.path.to_string()).collect()
}

#[test]
fn file_among_code_becomes_a_link_and_its_content_is_copied() {
    watched(vec![
        wrote("/opt/app/app.log", How::Opened),
        wrote("/opt/app/conf/x.ini", How::Truncated),
        wrote("/opt/app/new.log", How::Created),
    ])
    .shows("writable after findings", &expect![[r#"
        writable /.kiln/files Seed { files: 2, bytes: 10 } 0700 33:33
        writable /run/app Absent 0755 33:33
        /.kiln d 0555 0:0
        /.kiln/files d 0555 0:0
        /.kiln/files/opt d 0555 0:0
        /.kiln/files/opt/app d 0555 0:0
        /.kiln/files/opt/app/app.log f 0440 0:33 5
        /.kiln/files/opt/app/conf d 0555 0:0
        /.kiln/files/opt/app/conf/x.ini f 0444 0:33 5
        /.kiln/seed f 0555 0:0 16208 elf
        /.kiln/seeds f 0444 0:0 128
        /.kiln/volumes d 0555 0:0
        /.kiln/volumes/.kiln d 0555 0:0
        /.kiln/volumes/.kiln/files d 0555 0:0
        /bin l usr/bin
        /etc d
        /etc/app.conf f 0444 0:0 1
        /etc/group f 0444 0:0 25
        /etc/passwd f 0444 0:0 83
        /lib l usr/lib
        /lib64 l usr/lib64
        /opt d
        /opt/app d
        /opt/app/app.log l /.kiln/files/opt/app/app.log
        /opt/app/conf d
        /opt/app/conf/x.ini l /.kiln/files/opt/app/conf/x.ini
        /opt/app/conf/y.so f 0444 0:0 1000 elf
        /opt/app/lib.so f 0444 0:0 1000 elf
        /opt/app/new.log l /.kiln/files/opt/app/new.log
        /run d 0555 0:0
        /run/app d 0755 33:33
        /sbin l usr/sbin
        /usr d
        /usr/bin d 0555 0:0
        /usr/bin/app f 0555 0:0 1000 elf
        /usr/lib d
        /usr/lib/x86_64-linux-gnu d
        /usr/lib/x86_64-linux-gnu/libc.so.6 f 0555 0:0 1000 elf
        /usr/lib64 d
        /usr/lib64/ld-linux-x86-64.so.2 f 0555 0:0 1000 elf
        /usr/sbin d 0555 0:0
        /usr/share d
        /usr/share/app d
        /usr/share/app/data f 0444 0:0 1
        /var d
        /var/lib d 0555 0:0
        /var/lib/dpkg d
        medium KN036 /entry.sh: it read MODE at each start, and is not started any more: a deployment that sets one for it has to set it in the image before it is hardened
        low KN007 /usr/bin/dash: 1 of its scripts went with it: /entry.sh
        low KN030 /usr/bin/app: no recipe knows it: what it writes is what it wrote while it was watched, and what the image says
        info KN002 /entry.sh app --serve: replaced by `app --serve`: 2 runs ended as this, and it read nothing that the script makes
        info KN015 33:33: the image ran as `root`, and now as www-data (33:33): the server ran as it when it was watched
        info KN065 /.kiln/files: an init container copies its 2 files with 10 bytes to its volume: what the app writes there is lost with the pod, unless the volume is a claim
        info KN066 /opt/app/app.log: /usr/bin/app wrote there while it was watched, and its directory cannot be a volume (it holds code: /opt/app/conf/y.so): it is a link to /.kiln/files/opt/app/app.log now
        info KN066 /opt/app/conf/x.ini: /usr/bin/app wrote there while it was watched, and its directory cannot be a volume (it holds code: /opt/app/conf/y.so): it is a link to /.kiln/files/opt/app/conf/x.ini now
        info KN066 /opt/app/new.log: /usr/bin/app wrote there while it was watched, and its directory cannot be a volume (it holds code: /opt/app/conf/y.so): it is a link to /.kiln/files/opt/app/new.log now
    "#]]);
}

#[test]
fn the_table_has_what_links_lead_to() {
    let plan = watched(vec![
        wrote("/opt/app/app.log", How::Opened),
        wrote("/opt/app/conf/x.ini", How::Truncated),
        wrote("/opt/app/new.log", How::Created),
    ])
    .plan();
    let path = ImagePath::literal("/.kiln/seeds");
    let table =
        plan.additions.iter().find(|addition| addition.path == path).unwrap().content().cloned().unwrap();
    let table = String::from_utf8_lossy(&table).replace('\0', "\n");
    expect![[r#"
        kiln-seeds 1
        T 0700 /.kiln/files
        d 0755 opt
        d 0755 opt/app
        f 0600 opt/app/app.log
        d 0755 opt/app/conf
        f 0644 opt/app/conf/x.ini
    "#]]
    .assert_eq(&table);
}

#[test]
fn what_a_link_does_not_stand_for_stays_a_finding() {
    let linked = |acts: Vec<Act>| {
        let plan = watched(acts).plan();
        links(&plan).join(" ")
    };
    assert_eq!(linked(vec![wrote("/opt/app/app.log", How::Opened)]), "/opt/app/app.log");
    for how in [
        How::RenamedHere,
        How::RenamedAway,
        How::Removed,
        How::Linked,
        How::Socket,
        How::Node,
        How::Attributes,
    ] {
        let acts = vec![wrote("/opt/app/app.log", How::Opened), wrote("/opt/app/app.log", how)];
        assert_eq!(linked(acts), "", "{how:?}");
    }
    for path in [
        // Code, and what the system reads.
        "/opt/app/lib.so",
        "/opt/app/plugin.py",
        "/etc/passwd",
        "/etc/app.conf",
        "/usr/lib/x",
        // There a volume can stand.
        "/var/lib/app/x",
    ] {
        assert_eq!(linked(vec![wrote(path, How::Opened)]), "", "{path}");
    }
    let mut other = watched(vec![wrote("/opt/app/app.log", How::Opened)]);
    other.config["architecture"] = "s390x".into();
    assert!(links(&other.plan()).is_empty());
}

#[test]
fn file_with_two_names_stays_a_finding() {
    let mut fixture = watched(vec![wrote("/opt/app/app.log", How::Opened)]);
    fixture
        .layers
        .extend(Fixture::new("/opt/app/app.log f 0600 33:33 5\n/opt/app/other h /opt/app/app.log").layers);
    assert!(links(&fixture.plan()).is_empty());
}
