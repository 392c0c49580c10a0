//! Packages as a whole: what leads to one, where that stops, and what the database says afterwards.
//!
//! Formats of the database are `packages`' own tests.

use expect_test::expect;

use super::{ELF, debian};
use crate::fixture::Fixture;

fn closure() -> Fixture {
    debian(&format!(
        "/usr/sbin/app {ELF}\n/usr/share/app/data f 4\n/usr/share/common/data f 4\n/usr/share/unused/data f 4
        /usr/bin/adduser f 0755 #!/usr/bin/perl\n/usr/bin/perl {ELF}\n/usr/share/doc/app/copyright f 4
        package app needs=libc6,app-common,adduser,dash has=/usr/sbin/app,/usr/share/app/data,/usr/share/doc/app/copyright
        package app-common has=/usr/share/common/data
        package unused has=/usr/share/unused/data
        package adduser needs=perl-base has=/usr/bin/adduser
        package perl-base has=/usr/bin/perl"
    ))
    .cmd(&["app"])
}

#[test]
fn packages_are_followed_through_depends_but_not_through_tools() {
    closure().shows(
        "gone packages codes",
        &expect![[r"
            gone /bin: link to /usr/bin
            gone /usr/bin: EmptyDirectory
            gone /usr/bin/adduser: Utility
            gone /usr/bin/cat: Utility
            gone /usr/bin/dash: Shell
            gone /usr/bin/dpkg: PackageManager
            gone /usr/bin/env: Utility
            gone /usr/bin/perl: Interpreter
            gone /usr/bin/sh: Shell
            gone /usr/share/unused/data: UnneededPackage
            cuts adduser: nothing kept leads to it
            keeps app: /usr/sbin/app
            keeps app-common: package app
            cuts coreutils: nothing kept leads to it
            cuts dash: nothing kept leads to it
            cuts dpkg: nothing kept leads to it
            keeps libc6: package app
            cuts perl-base: nothing kept leads to it
            cuts unused: nothing kept leads to it
            codes KN030 KN015
        "]],
    );
}

#[test]
fn status_loses_the_stanzas_of_packages_that_went() {
    let status = closure().text_after("/var/lib/dpkg/status");
    let names: Vec<&str> = status.lines().filter_map(|line| line.strip_prefix("Package: ")).collect();
    assert_eq!(names, ["libc6", "app", "app-common"]);
}

#[test]
fn info_files_of_packages_that_went_go_and_lists_of_the_others_are_filtered() {
    let fixture = debian(&format!(
        "/usr/sbin/app {ELF}\n/usr/bin/strip {ELF}
        package app needs=libc6 has=/usr/sbin/app,/usr/bin/strip,/usr/share/app"
    ))
    .cmd(&["app"]);
    let after = crate::fixture::after(&fixture.layers, &fixture.plan());
    let info: Vec<String> = after
        .below(&kiln::path::ImagePath::literal("var/lib/dpkg/info"))
        .map(|(path, _)| String::from_utf8_lossy(path.name()).into_owned())
        .collect();
    expect![[r"
        app.list
        app.md5sums
        app.postinst
        libc6.list
        libc6.md5sums
        libc6.postinst"]]
    .assert_eq(&info.join("\n"));
    expect![[r"
        /.
        /usr
        /usr/sbin
        /usr/sbin/app
        /usr/bin
    "]]
    .assert_eq(&fixture.text_after("/var/lib/dpkg/info/app.list"));
}

#[test]
fn distroless_like_image_keeps_its_package_directory() {
    let fixture = Fixture::new(
        "/app f 0755 elf needed=libc.so.6 interp=/lib64/ld-linux-x86-64.so.2\n/lib64/ld-linux-x86-64.so.2 f 0755 elf
        /lib/x86_64-linux-gnu/libc.so.6 f 0755 elf\n/usr/sbin/tzconfig f 0755 elf static
        /var/lib/dpkg/status.d/libc6 f \"Package: libc6\\nVersion: 2.36\\nArchitecture: amd64\\n\"
        /var/lib/dpkg/status.d/libc6.md5sums f \"0123456789abcdef0123456789abcdef  lib/x86_64-linux-gnu/libc.so.6\\n0123456789abcdef0123456789abcdef  lib64/ld-linux-x86-64.so.2\\n\"
        /var/lib/dpkg/status.d/tzdata-tools f \"Package: tzdata-tools\\nVersion: 1\\nArchitecture: all\\n\"
        /var/lib/dpkg/status.d/tzdata-tools.md5sums f \"0123456789abcdef0123456789abcdef  usr/sbin/tzconfig\\n\"",
    )
    .cmd(&["/app"]);
    fixture.shows(
        "gone packages codes",
        &expect![[r"
            gone /usr/sbin/tzconfig: Utility
            keeps libc6: /lib64/ld-linux-x86-64.so.2
            cuts tzdata-tools: nothing kept leads to it
            codes KN030 KN015
        "]],
    );
    let after = crate::fixture::after(&fixture.layers, &fixture.plan());
    let left: Vec<String> = after
        .below(&kiln::path::ImagePath::literal("var/lib/dpkg"))
        .map(|(path, _)| path.to_string())
        .collect();
    expect![[r"
        /var/lib/dpkg/status.d
        /var/lib/dpkg/status.d/libc6
        /var/lib/dpkg/status.d/libc6.md5sums"]]
    .assert_eq(&left.join("\n"));
}

#[test]
fn other_package_databases_keep_what_the_catalog_does_not_name() {
    Fixture::new(
        "/bin/busybox f 0755 elf static\n/bin/sh l busybox\n/sbin/apk f 0755 elf static\n/usr/bin/app f 0755 elf static
        /usr/lib/libunused.so.1 f elf\n/var/lib/rpm/Packages f 4",
    )
    .cmd(&["app"])
    .shows("gone findings", &expect![[r"
        gone /bin/busybox: Shell
        gone /bin/sh: Shell
        gone /sbin/apk: PackageManager
        medium KN027 rpm: what belongs to which package is not known: hardened at level `strip`, and the package list still names all
        info KN015 65532:65532: the image ran as `root`, and now as nonroot (65532:65532): nothing in the image says which account the program should have
    "]]);
}

#[test]
fn package_that_depends_on_itself_in_a_ring_is_kept_or_cut_as_one() {
    debian(&format!(
        "/usr/sbin/app {ELF}\n/usr/share/a f 1\n/usr/share/b f 1\n/usr/share/c f 1\n/usr/share/d f 1
        package app needs=a has=/usr/sbin/app\npackage a needs=b has=/usr/share/a\npackage b needs=a has=/usr/share/b
        package c needs=d has=/usr/share/c\npackage d needs=c has=/usr/share/d"
    ))
    .cmd(&["app"])
    .shows("gone", &expect![[r"
        gone /bin: link to /usr/bin
        gone /usr/bin: EmptyDirectory
        gone /usr/bin/cat: Utility
        gone /usr/bin/dash: Shell
        gone /usr/bin/dpkg: PackageManager
        gone /usr/bin/env: Utility
        gone /usr/bin/sh: Shell
        gone /usr/share/c: UnneededPackage
        gone /usr/share/d: UnneededPackage
    "]]);
}
