//! Telling the application from the distribution, and links that lead from one to the other.
//!
//! Globs of what belongs to the distribution in spirit are the catalog's.

use expect_test::expect;

use super::{ELF, debian};

#[test]
fn files_that_no_package_owns_are_the_application() {
    debian("/app/main f 0755 elf static\n/opt/model.bin f 7\n/etc/app.conf f 5\n/var/lib/app/seed f 5\n/usr/local/share/x f 1")
        .cmd(&["/app/main"])
        .shows("after", &expect![[r"
            /app d
            /app/main f 0555 0:0 1000 elf
            /etc d
            /etc/app.conf f 0444 0:0 5
            /etc/group f 0444 0:0 42
            /etc/passwd f 0444 0:0 140
            /opt d
            /opt/model.bin f 0444 0:0 7
            /sbin l usr/sbin
            /usr d
            /usr/local d
            /usr/local/share d
            /usr/local/share/x f 0444 0:0 1
            /usr/sbin d 0555 0:0
            /var d
            /var/lib d
            /var/lib/app d
            /var/lib/app/seed f 0444 0:0 5
            /var/lib/dpkg d
        "]]);
}

#[test]
fn link_of_the_application_keeps_its_target_in_a_package() {
    debian(
        "/app/main f 0755 elf static\n/app/fonts l /usr/share/fonts\n/app/words l /usr/share/dict/words
        /usr/share/fonts/a.ttf f 5\n/usr/share/dict/words f 5\n/usr/share/dict/other f 5
        package fonts has=/usr/share/fonts/a.ttf
        package words has=/usr/share/dict/words\npackage others has=/usr/share/dict/other",
    )
    .cmd(&["/app/main"])
    .shows(
        "gone packages",
        &expect![[r"
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
            gone /usr/share/dict/other: UnneededPackage
            cuts coreutils: nothing kept leads to it
            cuts dash: nothing kept leads to it
            cuts dpkg: nothing kept leads to it
            keeps fonts: /usr/share/fonts/a.ttf
            cuts libc6: nothing kept leads to it
            cuts others: nothing kept leads to it
            keeps words: /usr/share/dict/words
        "]],
    );
}

#[test]
fn link_of_the_application_does_not_keep_a_shell() {
    debian("/app/main f 0755 elf static\n/app/run-shell l /bin/sh\n/app/sh l /bin/sh")
        .cmd(&["/app/main"])
        .shows(
            "gone",
            &expect![[r"
                gone /app/run-shell: link to /usr/bin/dash
                gone /app/sh: Shell
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
            "]],
        );
}

#[test]
fn programs_of_the_application_may_be_called_like_a_tool() {
    debian(&format!(
        "/app/main f 0755 elf static\n/app/bin/split f 0755 elf static\n/usr/local/bin/curl {ELF}\n/app/bin/bash f 0755 elf static"
    ))
    .cmd(&["/app/main"])
    .shows("gone residual", &expect![[r"
        gone /app/bin/bash: Shell
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
        gone /usr/local/bin/curl: Downloader
        stays /app/bin/split Utility: no package owns it: it is the application's own file
    "]]);
}

#[test]
fn application_that_calls_the_shell_is_told() {
    debian(
        "/app/main f 0755 elf interp=/lib64/ld-linux-x86-64.so.2 needed=libc.so.6,libgone.so.1 system\n/app/other f 0755 elf system",
    )
    .cmd(&["/app/main"])
    .shows("findings", &expect![[r"
        medium KN008 /app/main: needs libgone.so.1, which the source does not have either
        low KN006 2 files: /app/main, /app/other import `system` or `popen`; a call of theirs finds no `/bin/sh`
        low KN030 /app/main: no recipe knows it: what it writes is guessed from the image alone
        info KN015 65532:65532: the image ran as `root`, and now as nonroot (65532:65532): nothing in the image says which account the program should have
    "]]);
}

#[test]
fn library_paths_of_the_environment_are_searched() {
    debian(&format!(
        "/usr/sbin/app f 0755 elf interp=/lib64/ld-linux-x86-64.so.2 needed=libdeep.so\n/usr/share/deep/libdeep.so f elf
        /usr/lib/libdeep.so.9 f elf\n/usr/bin/x {ELF}
        package app has=/usr/sbin/app\npackage deep has=/usr/share/deep/libdeep.so\npackage x has=/usr/bin/x"
    ))
    .env(&["LD_LIBRARY_PATH=/nowhere:/usr/share/deep"])
    .cmd(&["app"])
    .shows("gone packages codes", &expect![[r"
        gone /bin: link to /usr/bin
        gone /usr/bin: EmptyDirectory
        gone /usr/bin/cat: Utility
        gone /usr/bin/dash: Shell
        gone /usr/bin/dpkg: PackageManager
        gone /usr/bin/env: Utility
        gone /usr/bin/sh: Shell
        gone /usr/bin/x: UnneededPackage
        keeps app: /usr/sbin/app
        cuts coreutils: nothing kept leads to it
        cuts dash: nothing kept leads to it
        keeps deep: /usr/share/deep/libdeep.so
        cuts dpkg: nothing kept leads to it
        keeps libc6: /usr/lib64/ld-linux-x86-64.so.2
        cuts x: nothing kept leads to it
        codes KN030 KN015
    "]]);
}

#[test]
fn files_in_places_of_the_system_are_the_applications_where_no_tool_makes_them() {
    let own = "/etc/profile.d/own.sh /etc/skel/own /etc/modules/own /etc/init/own.conf /etc/init.d/own.conf /etc/kernel/own
        /etc/conf.d/own /etc/local.d/own /etc/sysctl.d/own.conf /etc/network/own /etc/cron.daily/own.txt /var/spool/cron/own
        /var/lib/misc/own /var/lib/php/own /var/lib/python/own /usr/share/mime/packages/own.xml /etc/perl/own.pl /etc/python3/own
        /etc/php/8.2/apache2/conf.d/99-own.ini /usr/local/lib/python3.12/site-packages/pkg_resources/__init__.py
        /usr/local/lib/python3.12/site-packages/setuptools/__init__.py";
    let made =
        "/etc/apt/sources.list /etc/profile /etc/shells /etc/init.d/.depend.start /etc/network/interfaces
        /var/lib/php/modules/8.2/registry /var/lib/python/python3.11_installed /usr/share/mime/mime.cache
        /usr/share/mime/text/plain.xml /usr/local/lib/python3.12/site-packages/pip/__init__.py";
    let lines = own.split_whitespace().chain(made.split_whitespace()).map(|path| format!("\n{path} f 5"));
    let plan = debian(&format!("/app/main f 0755 elf static{}", lines.collect::<String>()))
        .cmd(&["/app/main"])
        .plan();
    let is_gone =
        |path: &&str| plan.removed.iter().any(|removed| format!("/{}", removed.path).ends_with(*path));
    assert_eq!(own.split_whitespace().filter(is_gone).collect::<Vec<_>>(), Vec::<&str>::new(), "went");
    let stays = made.split_whitespace().filter(|path| !is_gone(path));
    assert_eq!(stays.collect::<Vec<_>>(), Vec::<&str>::new(), "stays");
}

#[test]
fn a_word_that_is_a_shells_name_too_is_no_shell_in_the_application() {
    let plan =
        debian("/app/main f 0755 elf static\n/app/bin/rc f 0755 elf static\n/app/bin/zsh f 0755 elf static")
            .cmd(&["/app/main"])
            .plan();
    let gone: Vec<String> = plan.removed.iter().map(|removed| removed.path.to_string()).collect();
    assert!(!gone.contains(&"/app/bin/rc".into()) && gone.contains(&"/app/bin/zsh".into()), "{gone:?}");
}
