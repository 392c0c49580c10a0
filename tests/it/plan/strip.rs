//! What goes by name, by content and with what goes; `--keep` and `--strip`.
//!
//! Level `strip` is `layers`'.

use expect_test::expect;

use super::{ELF, debian};
use crate::fixture::Fixture;

const APP: &str = "/app/main f 0755 elf static";

#[test]
fn hard_link_of_a_shell_goes_under_an_innocent_name() {
    debian(&format!("{APP}\n/usr/lib/app/helper h /usr/bin/dash")).cmd(&["/app/main"]).shows(
        "gone",
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
            gone /usr/lib/app/helper: Shell, a hard link of /usr/bin/dash
            gone /usr/lib/x86_64-linux-gnu/libc.so.6: UnneededPackage
            gone /usr/lib64/ld-linux-x86-64.so.2: UnneededPackage
        "]],
    );
}

#[test]
fn busybox_goes_with_its_applets() {
    Fixture::new(
        "/bin/busybox f 0755 elf static\n/bin/sh l /bin/busybox\n/bin/httpd h /bin/busybox\n/bin/ls h /bin/busybox
        /usr/bin/wget l ../../bin/busybox\n/usr/bin/site l /bin/httpd\n/srv/index.html f 5\n/main f 0755 elf static",
    )
    .cmd(&["/main"])
    .shows("gone after", &expect![[r"
        gone /bin/busybox: Shell
        gone /bin/httpd: Shell, a hard link of /bin/busybox
        gone /bin/ls: Shell, a hard link of /bin/busybox
        gone /bin/sh: link to /bin/busybox
        gone /usr/bin/site: link to /bin/httpd
        gone /usr/bin/wget: link to /bin/busybox
        /etc d 0555 0:0
        /etc/group f 0444 0:0 17
        /etc/passwd f 0444 0:0 57
        /main f 0555 0:0 1000 elf
        /srv d
        /srv/index.html f 0444 0:0 5
    "]]);
}

#[test]
fn busybox_stays_as_the_program_and_says_so() {
    Fixture::new("/bin/busybox f 0755 elf static\n/bin/sh l /bin/busybox\n/bin/httpd h /bin/busybox")
        .cmd(&["/bin/httpd", "-f"])
        .shows(
            "start gone residual",
            &expect![[r#"
                start ["/bin/httpd", "-f"]
                  Program /bin/httpd
                gone /bin/busybox: Shell
                gone /bin/sh: link to /bin/busybox
                stays /bin/httpd Shell: it is a hard link of /bin/busybox, and it is the program that the image is for
            "#]],
        );
}

#[test]
fn scripts_go_with_their_interpreter_and_stay_as_data() {
    debian(&format!(
        "{APP}\n/app/backup.sh f 0755 #!/bin/sh\n/app/lib.sh f 0644 #!/bin/sh
        /app/tool f 0755 #!/app/main\n/app/link l backup.sh\n/app/gone.pl f 0755 #!/usr/bin/perl"
    ))
    .cmd(&["/app/main"])
    .shows("gone findings", &expect![[r"
        gone /app/backup.sh: script of /usr/bin/dash
        gone /app/link: link to /app/backup.sh
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
        low KN007 /usr/bin/dash: 1 of its scripts went with it: /app/backup.sh
        info KN015 65532:65532: the image ran as `root`, and now as nonroot (65532:65532): nothing in the image says which account the program should have
    "]]);
}

#[test]
fn script_that_is_asked_for_stays_and_its_interpreter_is_missed() {
    debian("/app/main f 0755 elf static\n/app/backup.sh f 0755 #!/bin/sh")
        .cmd(&["/app/main"])
        .keep("/app/*.sh")
        .shows("findings", &expect![[r"
            low KN007 /app/backup.sh: stays as asked, but its interpreter /usr/bin/dash went: `--keep /usr/bin/dash` too
            info KN015 65532:65532: the image ran as `root`, and now as nonroot (65532:65532): nothing in the image says which account the program should have
        "]]);
}

#[test]
fn script_whose_interpreters_link_went_is_told() {
    let plan = debian("/app/main f 0755 elf static\n/app/run.sh f 0755 #!/bin/sh")
        .cmd(&["/app/main"])
        .keep("/usr/bin/dash")
        .plan();
    assert!(plan.findings.iter().any(|finding| finding.code.doc().id == "KN028"));
    assert!(plan.removed.iter().all(|removed| removed.path.name() != b"run.sh"));
}

#[test]
fn account_files_with_an_execute_bit_are_no_programs() {
    let fixture = Fixture::new(
        "/app f 0755 elf static\n/etc/passwd f 0755 \"root:x:0:0::/:/bin/sh\\n\"\n/etc/hostname f 0755 5",
    )
    .cmd(&["/app"]);
    fixture.shows("gone residual", &expect![[r""]]);
    assert!(fixture.text_after("/etc/passwd").contains("nonroot"));
}

#[test]
fn modules_that_begin_like_scripts_stay_with_their_interpreter() {
    debian(&format!(
        "/usr/bin/python3 {ELF}\n/usr/lib/python3/base64.py f 0755 #!/usr/bin/env python3
        package python3-minimal needs=libc6 has=/usr/bin/python3,/usr/lib/python3/base64.py"
    ))
    .cmd(&["python3", "-m", "http.server"])
    .shows(
        "gone codes",
        &expect![[r"
            gone /usr/bin/cat: Utility
            gone /usr/bin/dash: Shell
            gone /usr/bin/dpkg: PackageManager
            gone /usr/bin/env: Utility
            gone /usr/bin/sh: Shell
            codes KN015 KN025 KN028
        "]],
    );
}

#[test]
fn alternatives_follow_their_target() {
    debian(&format!(
        "{APP}\n/etc/alternatives/editor l /usr/bin/vim.tiny\n/usr/bin/editor l /etc/alternatives/editor
        /usr/bin/vim.tiny {ELF}\npackage vim-tiny has=/usr/bin/vim.tiny
        /etc/alternatives/app l /app/main\n/usr/bin/app l /etc/alternatives/app"
    ))
    .cmd(&["app"])
    .shows(
        "start gone",
        &expect![[r#"
            start ["app"]
              Program /usr/bin/app -> /app/main
            gone /etc/alternatives/editor: link to /usr/bin/vim.tiny
            gone /lib: link to /usr/lib
            gone /lib64: link to /usr/lib64
            gone /usr/bin/cat: Utility
            gone /usr/bin/dash: Shell
            gone /usr/bin/dpkg: PackageManager
            gone /usr/bin/editor: link to /usr/bin/vim.tiny
            gone /usr/bin/env: Utility
            gone /usr/bin/sh: Shell
            gone /usr/bin/vim.tiny: Editor
            gone /usr/lib/x86_64-linux-gnu/libc.so.6: UnneededPackage
            gone /usr/lib64/ld-linux-x86-64.so.2: UnneededPackage
        "#]],
    );
}

#[test]
fn byte_code_follows_its_source() {
    debian(&format!(
        "/usr/bin/python3 {ELF}
        /usr/lib/python3/used.py f \"x\"\n/usr/lib/python3/__pycache__/used.cpython-311.pyc f 9
        /usr/lib/cut/cut.py f \"x\"\n/usr/lib/cut/__pycache__/cut.cpython-311.pyc f 9
        /usr/lib/python3/__pycache__/orphan.cpython-311.pyc f 9
        /app/main.py f \"x\"\n/app/__pycache__/main.cpython-311.pyc f 9
        package python3-minimal needs=libc6 has=/usr/bin/python3,/usr/lib/python3/used.py
        package python3-cut has=/usr/lib/cut/cut.py"
    ))
    .cmd(&["python3", "/app/main.py"])
    .shows(
        "gone",
        &expect![[r"
            gone /usr/bin/cat: Utility
            gone /usr/bin/dash: Shell
            gone /usr/bin/dpkg: PackageManager
            gone /usr/bin/env: Utility
            gone /usr/bin/sh: Shell
            gone /usr/lib/cut/__pycache__/cut.cpython-311.pyc: Derived
            gone /usr/lib/cut/cut.py: UnneededPackage
            gone /usr/lib/python3/__pycache__/orphan.cpython-311.pyc: Derived
        "]],
    );
}

#[test]
fn keep_holds_a_catalogued_program_and_what_it_needs() {
    debian(&format!("{APP}\n/usr/bin/ls {ELF}")).cmd(&["/app/main"]).keep("/usr/bin/c*").shows(
        "gone residual codes",
        &expect![[r"
            gone /usr/bin/dash: Shell
            gone /usr/bin/dpkg: PackageManager
            gone /usr/bin/env: Utility
            gone /usr/bin/ls: Utility
            gone /usr/bin/sh: Shell
            stays /usr/bin/cat Utility: `--keep /usr/bin/c*`
            codes KN005 KN015
        "]],
    );
}

#[test]
fn strip_takes_what_nothing_needs_and_says_what_it_breaks() {
    debian("/app/main f 0755 elf needed=libx.so\n/app/libx.so f elf\n/app/extra f 7\n/usr/lib/libx.so l /app/libx.so")
        .cmd(&["/app/main"])
        .env(&["LD_LIBRARY_PATH=/app"])
        .strip("/app/extra")
        .strip("/app/libx*")
        .shows("gone findings", &expect![[r"
            gone /app/extra: --strip /app/extra
            gone /app/libx.so: --strip /app/libx*
            gone /bin: link to /usr/bin
            gone /lib: link to /usr/lib
            gone /lib64: link to /usr/lib64
            gone /usr/bin: EmptyDirectory
            gone /usr/bin/cat: Utility
            gone /usr/bin/dash: Shell
            gone /usr/bin/dpkg: PackageManager
            gone /usr/bin/env: Utility
            gone /usr/bin/sh: Shell
            gone /usr/lib/libx.so: link to /app/libx.so
            gone /usr/lib/x86_64-linux-gnu/libc.so.6: UnneededPackage
            gone /usr/lib64/ld-linux-x86-64.so.2: UnneededPackage
            high KN010 /app/libx.so: stripped as asked, but `/app/main` needs it
            low KN030 /app/main: no recipe knows it: what it writes is guessed from the image alone
            info KN015 65532:65532: the image ran as `root`, and now as nonroot (65532:65532): nothing in the image says which account the program should have
        "]]);
}

#[test]
fn globs_that_match_nothing_are_findings() {
    debian(APP)
        .cmd(&["/app/main"])
        .keep("/opt/**")
        .strip("/srv/**")
        .strip("/app/m?in.txt")
        .shows("findings", &expect![[r"
            medium KN011 --keep /opt/**: nothing in the image matches it
            medium KN011 --strip /app/m?in.txt: nothing in the image matches it
            medium KN011 --strip /srv/**: nothing in the image matches it
            info KN015 65532:65532: the image ran as `root`, and now as nonroot (65532:65532): nothing in the image says which account the program should have
        "]]);
}

#[test]
fn keep_wins_over_strip() {
    debian("/app/main f 0755 elf static\n/app/data f 5")
        .cmd(&["/app/main"])
        .keep("/app/data")
        .strip("/app/data")
        .shows(
            "gone codes",
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
                codes KN015
            "]],
        );
}

#[test]
fn static_program_on_nothing_stays_as_it_is() {
    Fixture::new("/app f 0755 elf static\n/etc/ssl/certs/ca-certificates.crt f 100\n/data.json f 0644 20")
        .entrypoint(&["/app"])
        .shows(
            "gone after codes",
            &expect![[r"
            /app f 0555 0:0 1000 elf
            /data.json f 0444 0:0 20
            /etc d
            /etc/group f 0444 0:0 17
            /etc/passwd f 0444 0:0 57
            /etc/ssl d
            /etc/ssl/certs d
            /etc/ssl/certs/ca-certificates.crt f 0444 0:0 100
            codes KN015
        "]],
        );
}

#[test]
fn directory_that_was_empty_stays_and_one_that_became_empty_goes() {
    debian(&format!("{APP}\n/opt d\n/opt/spool d\n/opt/tools d\n/usr/share/x d\n/usr/share/x/y f 3\npackage x has=/usr/share/x/y"))
        .cmd(&["/app/main"])
        .shows("gone", &expect![[r"
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
            gone /usr/share/x: EmptyDirectory
            gone /usr/share/x/y: UnneededPackage
        "]]);
}

#[test]
fn a_health_check_goes_with_the_tool_that_it_runs() {
    let dropped = |test: &[&str], keep: &str| {
        let fixture = debian(&format!("/usr/bin/curl {ELF}\n/usr/sbin/nginx {ELF}")).cmd(&["nginx"]);
        fixture.keep("/usr/bin/{dash,sh}").keep(keep).healthcheck(test).plan().healthcheck_dropped.is_some()
    };
    for test in
        [&["CMD-SHELL", "curl -f http://localhost/ || exit 1"][..], &["CMD", "/bin/sh", "-c", "curl x"]]
    {
        assert!(dropped(test, "/usr/bin/cat"), "{test:?}");
        assert!(!dropped(test, "/usr/bin/curl"), "{test:?}");
    }
    assert!(!dropped(&["CMD-SHELL", "test -f /x || exit 1"], "/usr/bin/cat"));
}

#[test]
fn a_shell_that_was_asked_for_is_not_put_down_to_the_start() {
    let image = format!("/usr/bin/zsh {ELF}\n/usr/sbin/nginx {ELF}");
    let plan = debian(&image).cmd(&["sh", "-c", "nginx && true"]).keep("/usr/bin/zsh").plan();
    let zsh = plan.residual.iter().find(|residual| residual.path.to_string() == "/usr/bin/zsh").unwrap();
    assert_eq!(zsh.why, "`--keep /usr/bin/zsh`");
}

#[test]
fn an_applet_that_is_the_program_is_said_once() {
    let links = ["a", "b", "c"].map(|name| format!("\n/bin/applet-{name} l busybox")).concat();
    Fixture::new(&format!(
        "/bin/busybox f 0755 elf static is=busybox\n/bin/sh l busybox\n/bin/sleep l busybox{links}"
    ))
    .cmd(&["sleep", "infinity"])
    .shows("start residual findings", &expect![[r#"
        start ["sleep", "infinity"]
          Program /bin/sleep -> /bin/busybox
        stays /bin/busybox Shell: it is the program that the image is for
        stays /bin/sh Shell: it is another name of `/bin/busybox`, which the entrypoint starts
        stays /bin/sleep Utility: it is the program that the image is for
        high KN035 /bin/busybox: it is the program that the image is for; busybox is many programs in one file and runs the one that its first words name, 6 of them by the names it had here: applet-a, applet-b, applet-c, busybox, sh, sleep; that their links went does not take them away
        medium KN005 /bin/sleep: it is the program that the image is for
        info KN015 65532:65532: the image ran as `root`, and now as nonroot (65532:65532): nothing in the image says which account the program should have
    "#]]);
}
