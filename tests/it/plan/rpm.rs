//! rpm: the packages that own something, and what the level is limited to.
//!
//! Formats of the database are `packages::rpm`'s own tests.

use expect_test::expect;
use kiln::packages::rpm::fixture::{Line, database};
use kiln::path::ImagePath;
use kiln::rootfs::{File, Kept, Kind};

use crate::fixture::{self, Fixture};

const PACKAGES: &[Line<'_>] = &[
    ("bash", &["/usr/bin/bash", "/usr/bin/sh"], &["glibc"]),
    ("curl", &["/usr/bin/curl", "/usr/share/curl/data"], &["glibc"]),
    ("app", &["/usr/sbin/app"], &["/usr/bin/sh", "glibc"]),
    ("glibc", &["/lib64/ld-linux-x86-64.so.2", "/lib64/libc.so.6"], &[]),
    ("gpg-pubkey", &[], &[]),
];

const FEDORA: &str = "/usr/bin/bash f 0755 elf static\n/usr/bin/sh l bash\n/usr/bin/curl f 0755 elf static\n/usr/share/curl/data f 4
    /usr/sbin/app f 0755 elf interp=/lib64/ld-linux-x86-64.so.2 needed=libc.so.6\n/lib64/ld-linux-x86-64.so.2 f 0755 elf\n/lib64/libc.so.6 f 0755 elf";

fn fedora(database: &[u8], more: &str) -> Fixture {
    let mut fixture = Fixture::new(&format!("{FEDORA}\n{more}")).cmd(&["app"]);
    let mut entry = fixture::text_file("/var/lib/rpm/rpmdb.sqlite", String::new());
    entry.kind =
        Kind::File(File { size: database.len() as u64, bytes: Some(Kept::new(database)), ..File::default() });
    fixture.layers[0].entries.push(entry);
    fixture
}

#[test]
fn rpm_images_are_hardened_at_level_strip_and_their_list_is_filtered() {
    let fixture = fedora(&database(PACKAGES), "");
    fixture.shows("gone packages findings", &expect![[r"
        gone /usr/bin/bash: Shell
        gone /usr/bin/curl: Downloader
        gone /usr/bin/sh: Shell
        keeps app: /usr/sbin/app
        cuts bash: nothing kept leads to it
        keeps curl: some of its files stay
        keeps glibc: package app
        cuts gpg-pubkey: nothing kept leads to it
        medium KN027 rpm: what its packages load by name is not known: hardened at level `strip`, which removes what the catalog names and filters the package list
        low KN030 /usr/sbin/app: no recipe knows it: what it writes is guessed from the image alone
        info KN015 65532:65532: the image ran as `root`, and now as nonroot (65532:65532): nothing in the image says which account the program should have
    "]]);
    let after = fixture::after(&fixture.layers, &fixture.plan());
    let left = after.bytes(&ImagePath::literal("/var/lib/rpm/rpmdb.sqlite")).unwrap();
    let names = |name: &str| left.windows(name.len()).any(|bytes| bytes == name.as_bytes());
    assert!(names("curl-src") && names("app-src") && !names("bash-src") && !names("gpg-pubkey"));
}

#[test]
fn level_strip_is_no_news_where_it_was_asked_for() {
    fedora(&database(PACKAGES), "").strip_level().shows(
        "codes",
        &expect![[r"
        codes KN030 KN015
    "]],
    );
}

#[test]
fn an_empty_database_of_rpm_limits_nothing() {
    fedora(&database(&[]), "/usr/lib/unused f 4\npackage unused has=/usr/lib/unused").shows(
        "gone codes",
        &expect![[r"
            gone /usr/bin/bash: Shell
            gone /usr/bin/curl: Downloader
            gone /usr/bin/sh: link to /usr/bin/bash
            gone /usr/lib/unused: UnneededPackage
            codes KN030 KN015
        "]],
    );
}

#[test]
fn a_database_that_cannot_be_filtered_is_a_finding() {
    let mut broken = database(PACKAGES);
    // The index over names, which is on the fifth page, loses one.
    let page = 4 * 4096..5 * 4096;
    let at = broken[page.clone()].windows(4).position(|bytes| bytes == b"bash").unwrap();
    broken[page.start + at] = b'c';
    fedora(&broken, "").shows("findings", &expect![[r"
        medium KN027 rpm: no package can be deleted from the database: the package list still names all
        medium KN027 rpm: what its packages load by name is not known: hardened at level `strip`, which removes what the catalog names and filters the package list
        low KN030 /usr/sbin/app: no recipe knows it: what it writes is guessed from the image alone
        info KN015 65532:65532: the image ran as `root`, and now as nonroot (65532:65532): nothing in the image says which account the program should have
    "]]);
}
