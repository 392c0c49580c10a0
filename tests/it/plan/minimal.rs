//! Level `minimal`: of packages what a run used, what that needs, and what the catalog adds.

use expect_test::expect;
use kiln::finding::Code;
use kiln::path::ImagePath;
use kiln::plan::Level;

use super::{ELF, debian};
use crate::fixture::{Fixture, after};

const LIBRARY: &str = "f 0755 elf needed=libc.so.6";

/// A server of the distribution's with its data, modules and libraries, and a library that it may load.
fn image() -> Fixture {
    debian(&format!(
        r#"
        /usr/sbin/web {ELF},libz.so.1
        /usr/sbin/webctl {ELF}
        /usr/lib/web/modules/mod_light.so {LIBRARY}
        /usr/lib/web/modules/mod_used.so {LIBRARY}
        /usr/lib/web/modules/mod_heavy.so {LIBRARY},libheavy.so.1
        /usr/lib/x86_64-linux-gnu/libz.so.1 l libz.so.1.2
        /usr/lib/x86_64-linux-gnu/libz.so.1.2 {LIBRARY} soname=libz.so.1
        /usr/lib/x86_64-linux-gnu/libheavy.so.1 {LIBRARY} soname=libheavy.so.1
        /usr/lib/x86_64-linux-gnu/libseen.so.1 {LIBRARY} soname=libseen.so.1
        /usr/lib/x86_64-linux-gnu/gconv/UTF-16.so {LIBRARY}
        /usr/lib/x86_64-linux-gnu/gconv/BIG5.so {LIBRARY}
        /etc/web/web.conf f "x"
        /etc/web/sites d
        /etc/init.d/web f 0755 #!/bin/sh
        /usr/share/web/index.html f "x"
        /usr/share/man/man8/web.8 f "x"
        /usr/share/doc/web/copyright f "x"
        /usr/share/doc/libz/copyright f "x"
        /usr/share/doc/libheavy/copyright f "x"
        /usr/share/libseen/table f "x"
        /usr/share/unread/table f "x"
        /usr/share/zoneinfo/UTC f "x"
        /usr/share/zoneinfo/right/UTC f "x"
        /srv/app/page f "x"
        package web source=web needs=libz,libheavy,unread has=/usr/sbin/web,/usr/sbin/webctl,/usr/lib/web/modules/mod_light.so,/usr/lib/web/modules/mod_used.so,/usr/lib/web/modules/mod_heavy.so,/usr/share/man/man8/web.8,/usr/share/doc/web/copyright
        package web-common source=web has=/etc/web/web.conf,/etc/web/sites,/etc/init.d/web,/usr/share/web/index.html
        package libz needs=libc6 has=/usr/lib/x86_64-linux-gnu/libz.so.1,/usr/lib/x86_64-linux-gnu/libz.so.1.2,/usr/share/doc/libz/copyright
        package libheavy needs=libc6 has=/usr/lib/x86_64-linux-gnu/libheavy.so.1,/usr/share/doc/libheavy/copyright
        package libseen needs=libc6 has=/usr/lib/x86_64-linux-gnu/libseen.so.1,/usr/share/libseen/table
        package unread has=/usr/share/unread/table
        package gconv needs=libc6 has=/usr/lib/x86_64-linux-gnu/gconv/UTF-16.so,/usr/lib/x86_64-linux-gnu/gconv/BIG5.so
        package tzdata has=/usr/share/zoneinfo/UTC,/usr/share/zoneinfo/right/UTC"#
    ))
    .cmd(&["/usr/sbin/web"])
}

const USED: &[&str] =
    &["/etc/web/web.conf", "/usr/lib/web/modules/mod_used.so", "/usr/lib/x86_64-linux-gnu/libseen.so.1"];

#[test]
fn of_packages_stays_what_was_used_and_what_that_needs() {
    image().minimal("/usr/sbin/web", USED).shows(
        "gone packages codes",
        &expect![[r"
        gone /bin: link to /usr/bin
        gone /etc/init.d/web: UnneededPackage
        gone /usr/bin: EmptyDirectory
        gone /usr/bin/cat: Utility
        gone /usr/bin/dash: Shell
        gone /usr/bin/dpkg: PackageManager
        gone /usr/bin/env: Utility
        gone /usr/bin/sh: Shell
        gone /usr/lib/web/modules/mod_heavy.so: UnneededPackage
        gone /usr/lib/x86_64-linux-gnu/gconv/BIG5.so: UnneededPackage
        gone /usr/lib/x86_64-linux-gnu/libheavy.so.1: UnneededPackage
        gone /usr/sbin/webctl: UnneededPackage
        gone /usr/share/doc/libheavy/copyright: UnneededPackage
        gone /usr/share/libseen/table: UnneededPackage
        gone /usr/share/man/man8/web.8: UnneededPackage
        gone /usr/share/unread/table: UnneededPackage
        gone /usr/share/zoneinfo/right/UTC: UnneededPackage
        cuts coreutils: nothing kept leads to it
        cuts dash: nothing kept leads to it
        cuts dpkg: nothing kept leads to it
        keeps gconv: some of its files stay
        keeps libc6: some of its files stay
        cuts libheavy: nothing kept leads to it
        keeps libseen: some of its files stay
        keeps libz: some of its files stay
        keeps tzdata: some of its files stay
        cuts unread: nothing kept leads to it
        keeps web: /usr/sbin/web
        keeps web-common: /usr/sbin/web
        codes KN048 KN030 KN015
    "]],
    );
}

#[test]
fn list_of_packages_names_what_stays_and_scripts_for_dpkg_go() {
    let image = image().minimal("/usr/sbin/web", USED);
    expect![[r"
        /.
        /usr
        /usr/sbin
        /usr/sbin/web
        /usr/lib
        /usr/lib/web
        /usr/lib/web/modules
        /usr/lib/web/modules/mod_light.so
        /usr/lib/web/modules/mod_used.so
        /usr/share
        /usr/share/doc
        /usr/share/doc/web
        /usr/share/doc/web/copyright
    "]]
    .assert_eq(&image.text_after("/var/lib/dpkg/info/web.list"));
    assert_eq!(
        image.text_after("/var/lib/dpkg/info/web.postinst"),
        "no file /var/lib/dpkg/info/web.postinst"
    );
    let status = image.text_after("/var/lib/dpkg/status");
    assert!(status.contains("Package: libz\n") && !status.contains("Package: libheavy\n"), "{status}");
}

#[test]
fn directory_that_was_looked_into_stays_though_it_is_empty() {
    let more = "/usr/share/plugins d\n/usr/share/other d\npackage plugins has=/usr/share/plugins/x,/usr/share/other/x";
    let image = debian(&format!("/app/main {ELF}\n{more}"))
        .cmd(&["/app/main"])
        .minimal("/app/main", &["/usr/share/plugins"]);
    let after = after(&image.layers, &image.plan());
    let is_there = |path: &str| after.is_directory(&ImagePath::literal(path));
    assert_eq!((is_there("/usr/share/plugins"), is_there("/usr/share/other")), (true, false));
}

#[test]
fn library_of_an_interpreter_stays_whole_though_no_recipe_knows_it() {
    let image = debian(&format!(
        "/usr/bin/perl {ELF}\n/usr/share/perl5/Used.pm f 1\n/usr/share/perl5/Late.pm f 1\n/usr/share/other/x f 1\n\
        package perl needs=libc6 has=/usr/bin/perl\npackage libused-perl has=/usr/share/perl5/Used.pm\n\
        package liblate-perl has=/usr/share/perl5/Late.pm,/usr/share/other/x"
    ))
    .cmd(&["perl", "/srv/app.pl"])
    .minimal("/usr/bin/perl", &["/usr/share/perl5/Used.pm"]);
    let plan = image.plan();
    let after = after(&image.layers, &plan);
    let stays = |path: &str| after.node(&ImagePath::literal(path)).is_some();
    assert_eq!(plan.level, Level::Minimal);
    assert!(stays("/usr/share/perl5/Late.pm") && !stays("/usr/share/other/x"));
}

#[test]
fn links_into_other_packages_are_followed_from_data_of_the_app() {
    let image = debian(&format!(
        "/usr/bin/app {ELF}\n/usr/share/app/lib/a.jar l ../../java/a.jar\n/usr/share/java/a.jar f 1\n/usr/share/java/b.jar f 1\n\
        package app needs=libc6,liba-java has=/usr/bin/app,/usr/share/app/lib/a.jar\n\
        package liba-java has=/usr/share/java/a.jar,/usr/share/java/b.jar"
    ))
    .cmd(&["/usr/bin/app"])
    .minimal("/usr/bin/app", &[]);
    let after = after(&image.layers, &image.plan());
    let stays = |path: &str| after.node(&ImagePath::literal(path)).is_some();
    assert!(stays("/usr/share/java/a.jar") && !stays("/usr/share/java/b.jar"));
}

#[test]
fn how_much_was_seen_is_told() {
    let plan = image().minimal("/usr/sbin/web", USED).plan();
    let told = plan.findings.iter().find(|finding| finding.code == Code::UsedInRunsOnly).unwrap();
    expect!["medium KN048 /usr/sbin/web: what stays is what it used in 1 run that 1 exercise drove: a way through the app that none of them took may miss a file; modules that were not loaded and need libraries that nothing else does went: /usr/lib/web/modules/mod_heavy.so"].assert_eq(&told.to_string());
}

#[test]
fn level_without_runs_takes_no_more_than_strip() {
    let mut image = image();
    image.options.level = Level::Minimal;
    assert_eq!(image.plan().level, Level::Strip);
}

#[test]
fn package_of_a_link_to_a_directory_is_listed_where_the_link_stays() {
    let image = debian(&format!(
        "/usr/bin/app {ELF}\n/opt/runtime-1/data f 1\n/opt/runtime l runtime-1\n/opt/other l nothing\n\
        package app needs=libc6 has=/usr/bin/app\npackage runtime-1 has=/opt/runtime-1/data\n\
        package runtime has=/opt/runtime\npackage other has=/opt/other"
    ))
    .cmd(&["/usr/bin/app"])
    .minimal("/usr/bin/app", &["/opt/runtime-1/data"]);
    image.shows(
        "packages",
        &expect![[r"
        keeps app: /usr/bin/app
        cuts coreutils: nothing kept leads to it
        cuts dash: nothing kept leads to it
        cuts dpkg: nothing kept leads to it
        keeps libc6: some of its files stay
        cuts other: nothing kept leads to it
        keeps runtime: some of its files stay
        keeps runtime-1: /opt/runtime-1/data
    "]],
    );
}
