//! Alpine: apk's database, musl's loader, busybox under many names.
//!
//! Formats of the database are `packages::apk`'s own tests.

use expect_test::expect;

use crate::fixture::Fixture;

/// A small Alpine: musl, busybox and links to it, apk, an empty layout, accounts, certificates.
const ALPINE: &str = r#"
    /bin d
    /dev d
    /home d
    /proc d
    /run d
    /tmp d 1777
    /var/cache d
    /var/empty d 0555
    /lib/ld-musl-x86_64.so.1 f 0755 elf soname=libc.musl-x86_64.so.1
    /lib/libc.musl-x86_64.so.1 l ld-musl-x86_64.so.1
    /lib/libcrypto.so.3 f 0755 elf soname=libcrypto.so.3 needed=libc.musl-x86_64.so.1
    /lib/libapk.so.2 f 0755 elf soname=libapk.so.2 needed=libcrypto.so.3,libc.musl-x86_64.so.1
    /usr/lib/ossl-modules/legacy.so f 0755 elf needed=libcrypto.so.3,libc.musl-x86_64.so.1
    /bin/busybox f 0755 elf interp=/lib/ld-musl-x86_64.so.1 needed=libc.musl-x86_64.so.1
    /bin/sh l /bin/busybox
    /bin/ls l /bin/busybox
    /usr/bin/wget l /bin/busybox
    /sbin/apk f 0755 elf interp=/lib/ld-musl-x86_64.so.1 needed=libapk.so.2,libc.musl-x86_64.so.1
    /etc/network/if-up.d/dad f 0775 #!/bin/sh
    /etc/motd f "Welcome to Alpine!\n"
    /etc/passwd f "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n"
    /etc/group f "root:x:0:root\n"
    /etc/inittab f "::sysinit:/sbin/openrc sysinit\n"
    /etc/nsswitch.conf f "hosts: files dns\n"
    /etc/runlevels/default/app l /etc/init.d/app
    /etc/os-release f "ID=alpine\n"
    /etc/alpine-release f "3.20.3\n"
    /etc/ssl/certs/ca-certificates.crt f "x"
    /etc/ssl/cert.pem l certs/ca-certificates.crt
    /etc/apk/keys/a.pub f "x"
    /var/run l ../run
    apk alpine-baselayout needs=alpine-baselayout-data,/bin/sh has=/dev/,/home/,/proc/,/run/,/tmp/,/var/cache/,/var/empty/,/etc/motd,/var/run
    apk alpine-baselayout-data has=/etc/passwd,/etc/group,/etc/inittab,/etc/nsswitch.conf
    apk alpine-release needs=alpine-keys has=/etc/os-release,/etc/alpine-release
    apk alpine-keys has=/etc/apk/keys/a.pub
    apk musl is=so:libc.musl-x86_64.so.1 has=/lib/ld-musl-x86_64.so.1,/lib/libc.musl-x86_64.so.1
    apk busybox needs=so:libc.musl-x86_64.so.1 is=cmd:busybox has=/bin/busybox,/etc/network/if-up.d/dad
    apk busybox-binsh needs=busybox is=/bin/sh has=/bin/sh
    apk ca-certificates-bundle has=/etc/ssl/certs/ca-certificates.crt,/etc/ssl/cert.pem
    apk libcrypto3 needs=so:libc.musl-x86_64.so.1 is=so:libcrypto.so.3 has=/lib/libcrypto.so.3,/usr/lib/ossl-modules/legacy.so
    apk apk-tools needs=musl>=1.2,so:libcrypto.so.3 has=/sbin/apk,/lib/libapk.so.2
    apk libc-utils needs=musl-utils
"#;

/// A program of the distribution's.
const ELF: &str = "f 0755 elf interp=/lib/ld-musl-x86_64.so.1 needed=libc.musl-x86_64.so.1";

fn alpine(more: &str) -> Fixture {
    Fixture::new(&format!("{ALPINE}{more}"))
}

fn nginx() -> Fixture {
    alpine(&format!(
        "/usr/sbin/app {ELF},libpcre2.so.0\n/usr/lib/libpcre2.so.0 l libpcre2.so.0.1\n/usr/lib/libpcre2.so.0.1 f 0755 elf soname=libpcre2.so.0 needed=libc.musl-x86_64.so.1
        /usr/share/app/data f 4\n/usr/lib/libunused.so f 0755 elf
        apk app needs=/bin/sh,so:libpcre2.so.0,so:libc.musl-x86_64.so.1,app-data=1.0-r0,!app-old has=/usr/sbin/app
        apk app-data has=/usr/share/app/data
        apk pcre2 needs=so:libc.musl-x86_64.so.1 is=so:libpcre2.so.0=0.1 has=/usr/lib/libpcre2.so.0,/usr/lib/libpcre2.so.0.1
        apk unused has=/usr/lib/libunused.so"
    ))
    .cmd(&["app"])
}

#[test]
fn only_packages_that_the_entrypoint_leads_to_stay_on_alpine() {
    nginx().shows(
        "gone packages codes residual",
        &expect![[r"
            gone /bin: EmptyDirectory
            gone /bin/busybox: Shell
            gone /bin/ls: link to /bin/busybox
            gone /bin/sh: Shell
            gone /etc/apk/keys/a.pub: UnneededPackage
            gone /etc/apk/repositories: PackageManagerState
            gone /etc/motd: UnneededPackage
            gone /etc/network/if-up.d/dad: UnneededPackage
            gone /etc/runlevels/default/app: PackageManagerState
            gone /lib/apk/db/lock: PackageManagerState
            gone /lib/libapk.so.2: UnneededPackage
            gone /lib/libcrypto.so.3: UnneededPackage
            gone /sbin/apk: PackageManager
            gone /usr/bin/wget: link to /bin/busybox
            gone /usr/lib/libunused.so: UnneededPackage
            gone /usr/lib/ossl-modules/legacy.so: UnneededPackage
            keeps alpine-baselayout: some of its files stay
            keeps alpine-baselayout-data: /etc/group
            cuts alpine-keys: nothing kept leads to it
            keeps alpine-release: /etc/alpine-release
            cuts apk-tools: nothing kept leads to it
            keeps app: /usr/sbin/app
            keeps app-data: package app
            cuts busybox: nothing kept leads to it
            cuts busybox-binsh: nothing kept leads to it
            keeps ca-certificates-bundle: /etc/ssl/cert.pem
            cuts libc-utils: nothing kept leads to it
            cuts libcrypto3: nothing kept leads to it
            keeps musl: package pcre2
            keeps pcre2: package app
            cuts unused: nothing kept leads to it
            codes KN030 KN015
        "]],
    );
}

#[test]
fn the_rest_of_an_alpine_is_data() {
    nginx().shows(
        "after",
        &expect![[r"
            /dev d 0555 0:0
            /etc d
            /etc/alpine-release f 0444 0:0 7
            /etc/apk d
            /etc/apk/world f 0444 0:0 103
            /etc/group f 0444 0:0 31
            /etc/inittab f 0444 0:0 31
            /etc/nsswitch.conf f 0444 0:0 17
            /etc/os-release f 0444 0:0 10
            /etc/passwd f 0444 0:0 131
            /etc/ssl d
            /etc/ssl/cert.pem l certs/ca-certificates.crt
            /etc/ssl/certs d
            /etc/ssl/certs/ca-certificates.crt f 0444 0:0 1
            /home d 0555 0:0
            /lib d
            /lib/apk d
            /lib/apk/db d
            /lib/apk/db/installed f 0444 0:0 1059
            /lib/apk/db/triggers f 0444 0:0 318
            /lib/ld-musl-x86_64.so.1 f 0555 0:0 1000 elf
            /lib/libc.musl-x86_64.so.1 l ld-musl-x86_64.so.1
            /proc d 0555 0:0
            /run d 0555 0:0
            /tmp d 1777 0:0
            /usr d
            /usr/lib d
            /usr/lib/libpcre2.so.0 l libpcre2.so.0.1
            /usr/lib/libpcre2.so.0.1 f 0555 0:0 1000 elf
            /usr/sbin d
            /usr/sbin/app f 0555 0:0 1000 elf
            /usr/share d
            /usr/share/app d
            /usr/share/app/data f 0444 0:0 4
            /var d
            /var/cache d 0555 0:0
            /var/empty d 0555 0:0
            /var/run l ../run
        "]],
    );
}

#[test]
fn apk_database_names_what_still_owns_something() {
    let fixture = nginx();
    let installed = fixture.text_after("/lib/apk/db/installed");
    let names: Vec<&str> = installed.lines().filter_map(|line| line.strip_prefix("P:")).collect();
    expect![[r"
        alpine-baselayout
        alpine-baselayout-data
        alpine-release
        musl
        ca-certificates-bundle
        app
        app-data
        pcre2"]]
    .assert_eq(&names.join("\n"));
    // Of the layout only the link stays, and directories that every image has.
    let end = installed.find("C:Q1alpine-baselayout-data").unwrap();
    expect![[r"
        C:Q1alpine-baselayout=
        P:alpine-baselayout
        V:1.0-r0
        A:x86_64
        D:alpine-baselayout-data /bin/sh
        F:dev
        F:home
        F:proc
        F:run
        F:tmp
        F:var/cache
        F:var/empty
        F:etc
        F:var
        R:run
        Z:Q1=

    "]]
    .assert_eq(&installed[..end]);
}

#[test]
fn what_was_asked_for_and_triggers_follow_the_packages() {
    let fixture = nginx();
    expect![[r"
        alpine-baselayout
        alpine-baselayout-data
        alpine-release
        musl
        ca-certificates-bundle
        app
        app-data
        pcre2
    "]]
    .assert_eq(&fixture.text_after("/etc/apk/world"));
    expect![[r"
        Q1alpine-baselayout= /usr/share/alpine-baselayout
        Q1alpine-baselayout-data= /usr/share/alpine-baselayout-data
        Q1alpine-release= /usr/share/alpine-release
        Q1musl= /usr/share/musl
        Q1ca-certificates-bundle= /usr/share/ca-certificates-bundle
        Q1app= /usr/share/app
        Q1app-data= /usr/share/app-data
        Q1pcre2= /usr/share/pcre2
    "]]
    .assert_eq(&fixture.text_after("/lib/apk/db/triggers"));
}

#[test]
fn level_strip_takes_busybox_and_apk_of_an_alpine_and_keeps_the_rest() {
    nginx().strip_level().shows(
        "gone packages codes",
        &expect![[r"
        gone /bin/busybox: Shell
        gone /bin/ls: Utility
        gone /bin/sh: Shell
        gone /etc/network/if-up.d/dad: script of /bin/busybox
        gone /sbin/apk: PackageManager
        gone /usr/bin/wget: Downloader
        keeps alpine-baselayout: some of its files stay
        keeps alpine-baselayout-data: /etc/group
        keeps alpine-keys: some of its files stay
        keeps alpine-release: /etc/alpine-release
        keeps apk-tools: some of its files stay
        keeps app: /usr/sbin/app
        keeps app-data: package app
        cuts busybox: nothing kept leads to it
        cuts busybox-binsh: nothing kept leads to it
        keeps ca-certificates-bundle: /etc/ssl/cert.pem
        cuts libc-utils: nothing kept leads to it
        keeps libcrypto3: /lib/libcrypto.so.3
        keeps musl: package pcre2
        keeps pcre2: package app
        keeps unused: some of its files stay
        codes KN007 KN030 KN015
    "]],
    );
}

#[test]
fn a_busybox_that_the_entrypoint_needs_stays_with_the_names_it_is_started_by() {
    alpine(&format!("/usr/sbin/app {ELF}\n/start.sh f 0755 \"#!/bin/sh\\nls /\\n/usr/sbin/app &\\nwait\\n\"\napk app has=/usr/sbin/app"))
        .cmd(&["/start.sh"])
        .shows("gone residual codes", &expect![[r"
            gone /etc/apk/keys/a.pub: UnneededPackage
            gone /etc/apk/repositories: PackageManagerState
            gone /etc/motd: UnneededPackage
            gone /etc/runlevels/default/app: PackageManagerState
            gone /lib/apk/db/lock: PackageManagerState
            gone /lib/libapk.so.2: UnneededPackage
            gone /lib/libcrypto.so.3: UnneededPackage
            gone /sbin/apk: PackageManager
            gone /usr/lib/ossl-modules/legacy.so: UnneededPackage
            stays /bin/busybox Shell: `/start.sh` needs a shell
            stays /bin/ls Utility: it is another name of `/bin/busybox`, which the entrypoint starts
            stays /bin/sh Shell: `/start.sh` needs a shell
            stays /usr/bin/wget Downloader: it is another name of `/bin/busybox`, which the entrypoint starts
            codes KN001 KN005 KN005 KN005 KN005 KN030 KN015
        "]]);
}

#[test]
fn a_program_of_its_own_leads_to_the_packages_of_its_libraries() {
    alpine(&format!(
        "/app/bin/server {ELF},libcrypto.so.3,libown.so runpath=$ORIGIN/../lib\n/app/lib/libown.so f 0755 elf"
    ))
    .cmd(&["/app/bin/server"])
    .shows(
        "packages codes",
        &expect![[r"
            keeps alpine-baselayout: some of its files stay
            keeps alpine-baselayout-data: /etc/group
            cuts alpine-keys: nothing kept leads to it
            keeps alpine-release: /etc/alpine-release
            cuts apk-tools: nothing kept leads to it
            cuts busybox: nothing kept leads to it
            cuts busybox-binsh: nothing kept leads to it
            keeps ca-certificates-bundle: /etc/ssl/cert.pem
            cuts libc-utils: nothing kept leads to it
            keeps libcrypto3: /lib/libcrypto.so.3
            keeps musl: /lib/ld-musl-x86_64.so.1
            codes KN030 KN015
        "]],
    );
}

#[test]
fn a_database_that_was_not_read_means_level_strip() {
    Fixture::new("/bin/busybox f 0755 elf static\n/usr/bin/app f 0755 elf static\n/usr/lib/libx.so f elf\n/lib/apk/db/installed f 99999999")
        .cmd(&["app"])
        .shows("gone findings", &expect![[r"
            gone /bin/busybox: Shell
            medium KN027 apk: what belongs to which package is not known: hardened at level `strip`, and the package list still names all
            info KN015 65532:65532: the image ran as `root`, and now as nonroot (65532:65532): nothing in the image says which account the program should have
        "]]);
}

#[test]
fn two_databases_in_one_image_are_both_filtered() {
    let fixture = alpine(&format!(
        "/usr/sbin/app {ELF}\n/usr/lib/other f 4\n/usr/lib/same f 4\npackage app has=/usr/sbin/app\npackage musl has=/usr/lib/other\napk same has=/usr/lib/same"
    ))
    .cmd(&["app"]);
    fixture.shows(
        "packages",
        &expect![[r"
            keeps alpine-baselayout: some of its files stay
            keeps alpine-baselayout-data: /etc/group
            cuts alpine-keys: nothing kept leads to it
            keeps alpine-release: /etc/alpine-release
            cuts apk-tools: nothing kept leads to it
            keeps app: /usr/sbin/app
            cuts busybox: nothing kept leads to it
            cuts busybox-binsh: nothing kept leads to it
            keeps ca-certificates-bundle: /etc/ssl/cert.pem
            cuts libc-utils: nothing kept leads to it
            cuts libcrypto3: nothing kept leads to it
            cuts musl: nothing kept leads to it
            keeps musl: /lib/ld-musl-x86_64.so.1
            cuts same: nothing kept leads to it
        "]],
    );
    expect![[r"
        Package: app
        Status: install ok installed
        Version: 1.0
        Architecture: amd64
        Depends: 

    "]]
    .assert_eq(&fixture.text_after("/var/lib/dpkg/status"));
}
