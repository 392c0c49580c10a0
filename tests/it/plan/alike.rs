//! Tools under other names: found by content, by inode and as copies, in every layer and directory, and what looks
//! like one and is none.

use expect_test::expect;

use super::{ELF, debian};
use crate::fixture::Fixture;

const APP: &str = "/app/main f 0755 elf static";

#[test]
fn a_shell_called_otherwise_goes_by_its_content_with_the_scripts_that_it_runs() {
    Fixture::new(&format!(
        "{APP}\n/usr/local/bin/healthcheck f 0755 elf static is=busybox\n/app/data.bin f 0644 elf static is=dash
        --\n/opt/box f 0755 elf static is=toybox\n/app/check f 0755 #!/usr/local/bin/healthcheck\n/app/link l /opt/box"
    ))
    .cmd(&["/app/main"])
    .shows(
        "gone findings",
        &expect![[r"
            gone /app/check: script of /usr/local/bin/healthcheck
            gone /app/data.bin: Shell, dash by its content
            gone /app/link: link to /opt/box
            gone /opt/box: Shell, toybox by its content
            gone /usr/local/bin/healthcheck: Shell, busybox by its content
            low KN007 /usr/local/bin/healthcheck: 1 of its scripts went with it: /app/check
            low KN033 /app/data.bin: is dash by its content, and went as that
            low KN033 /opt/box: is toybox by its content, and went as that
            low KN033 /usr/local/bin/healthcheck: is busybox by its content, and went as that
            info KN015 65532:65532: the image ran as `root`, and now as nonroot (65532:65532): nothing in the image says which account the program should have
        "]],
    );
}

#[test]
fn copies_and_hard_links_of_what_goes_go_wherever_they_are() {
    Fixture::new(&format!(
        "{APP}\n/usr/bin/cat f 0755 elf static content=cat\n/usr/bin/bash f 0755 elf static content=bash
        /usr/bin/tar f 0755 elf static content=tar\n--\n/app/show h /usr/bin/cat\n/app/bin/run f 0755 elf static content=bash
        /srv/plain f 0644 elf static content=tar\n/opt/other f 0755 elf static content=other\n--\n/usr/bin/bash w"
    ))
    .cmd(&["/app/main"])
    .shows("gone findings", &expect![[r"
        gone /app/bin/run: Shell, a copy of /usr/bin/bash
        gone /app/show: Utility, a hard link of /usr/bin/cat
        gone /srv/plain: Utility, a copy of /usr/bin/tar
        gone /usr/bin/bash: Shadowed
        gone /usr/bin/bash: WhiteoutOfNothing
        gone /usr/bin/cat: Utility
        gone /usr/bin/tar: Utility
        low KN033 /app/bin/run: is a copy of /usr/bin/bash, and went as that
        low KN033 /app/show: is a hard link of /usr/bin/cat, and went as that
        low KN033 /srv/plain: is a copy of /usr/bin/tar, and went as that
        info KN015 65532:65532: the image ran as `root`, and now as nonroot (65532:65532): nothing in the image says which account the program should have
    "]]);
}

#[test]
fn what_one_package_brings_under_two_names_is_no_disguise() {
    let database = "/var/lib/dpkg/status f \"Package: tar\\nStatus: install ok installed\\nVersion: 1\\n\\nPackage: dash\\nStatus: install ok installed\\nVersion: 1\\n\"
        /var/lib/dpkg/info/tar.list f \"/usr/bin/tar\\n/usr/bin/tar-1.34\\n\"
        /var/lib/dpkg/info/dash.list f \"/usr/bin/dash\\n\"";
    Fixture::new(&format!(
        "{APP}\n{database}\n/usr/bin/tar f 0755 elf static content=tar
        /usr/bin/tar-1.34 f 0755 elf static content=tar\n/usr/bin/dash f 0755 elf static content=other
        /opt/thing f 0755 elf static content=tar"
    ))
    .cmd(&["/app/main"])
    .shows("gone findings", &expect![[r"
        gone /opt/thing: Utility, a copy of /usr/bin/tar
        gone /usr/bin/dash: Shell
        gone /usr/bin/tar: Utility
        gone /usr/bin/tar-1.34: Utility, a copy of /usr/bin/tar
        low KN033 /opt/thing: is a copy of /usr/bin/tar, and went as that
        info KN015 65532:65532: the image ran as `root`, and now as nonroot (65532:65532): nothing in the image says which account the program should have
    "]]);
}

#[test]
fn a_copied_script_goes_and_a_short_one_says_too_little() {
    let long =
        "#!/app/main\\nset -e\\n".to_owned() + &"echo of something that only this script says\\n".repeat(4);
    Fixture::new(&format!(
        "{APP}\n/usr/bin/ldd f 0755 \"{long}\"\n/app/libs f 0755 \"{long}\"
        /usr/bin/which f 0755 #!/app/main\n/app/hook f 0755 #!/app/main"
    ))
    .cmd(&["/app/main"])
    .shows(
        "gone",
        &expect![[r"
        gone /app/libs: Utility, a copy of /usr/bin/ldd
        gone /usr/bin/ldd: Utility
        gone /usr/bin/which: Utility
    "]],
    );
}

#[test]
fn what_only_has_a_tools_name_is_the_applications_and_named() {
    Fixture::new(&format!(
        "{APP}\n/app/bin/top f 0755 elf static content=own\n/app/lib/view f 0755 elf static content=own"
    ))
    .cmd(&["/app/main"])
    .shows("gone findings", &expect![[r"
        medium KN005 /app/bin/top: no package owns it: it is the application's own file
        medium KN005 /app/lib/view: no package owns it: it is the application's own file
        info KN015 65532:65532: the image ran as `root`, and now as nonroot (65532:65532): nothing in the image says which account the program should have
    "]]);
}

#[test]
fn an_interpreter_of_the_application_stays_under_its_name_and_goes_under_another() {
    Fixture::new(&format!(
        "{APP}\n/app/node/bin/node f 0755 elf static is=node\n/app/bin/worker f 0755 elf static is=python"
    ))
    .cmd(&["/app/main"])
    .shows("gone residual findings", &expect![[r"
        gone /app/bin/worker: Interpreter, python by its content
        stays /app/node/bin/node Interpreter: no package owns it: it is the application's own file
        medium KN005 /app/node/bin/node: no package owns it: it is the application's own file
        low KN033 /app/bin/worker: is python by its content, and went as that
        info KN015 65532:65532: the image ran as `root`, and now as nonroot (65532:65532): nothing in the image says which account the program should have
    "]]);
}

#[test]
fn a_look_alike_that_the_start_needs_stays_and_says_so() {
    Fixture::new("/app/bin/worker f 0755 elf static is=python\n/app/serve.py f 0755 #!/app/bin/worker")
        .cmd(&["/app/serve.py"])
        .shows("start gone residual codes", &expect![[r#"
            start ["/app/serve.py"]
              Script /app/serve.py
              Interpreter /app/bin/worker
            stays /app/bin/worker Interpreter: it is python by its content, and it runs the entrypoint's script
            codes KN034 KN015
        "#]]);
}

#[test]
fn a_virtual_environment_of_copies_stays_while_its_python_runs_the_application_and_goes_otherwise() {
    let python = "interp=/lib64/ld-linux-x86-64.so.2 needed=libc.so.6 content=py is=python";
    let image = format!(
        "{APP}\n/usr/bin/python3.11 f 0755 elf {python}\n/usr/bin/python3 l python3.11
        /venv/bin/python f 0755 elf {python}\n/venv/bin/python3 f 0755 elf {python}\n/venv/bin/app f 0755 #!/venv/bin/python"
    );
    debian(&image).cmd(&["/venv/bin/app"]).shows(
        "start residual",
        &expect![[r#"
        start ["/venv/bin/app"]
          Script /venv/bin/app
          Interpreter /venv/bin/python
        stays /usr/bin/python3 Interpreter: part of what stays
        stays /usr/bin/python3.11 Interpreter: no package owns it: it is the application's own file
        stays /venv/bin/python Interpreter: it runs the entrypoint's script
        stays /venv/bin/python3 Interpreter: no package owns it: it is the application's own file
    "#]],
    );
    debian(&image).cmd(&["/app/main"]).shows("residual findings", &expect![[r"
        low KN007 /venv/bin/python: 1 of its scripts went with it: /venv/bin/app
        info KN015 65532:65532: the image ran as `root`, and now as nonroot (65532:65532): nothing in the image says which account the program should have
    "]]);
}

#[test]
fn level_strip_takes_hidden_shells_and_leaves_hidden_interpreters() {
    Fixture::new(&format!(
        "{APP}\n/app/run f 0755 elf static is=bash\n/app/worker f 0755 elf static is=python\n/app/curl2 f 0755 elf static is=curl"
    ))
    .cmd(&["/app/main"])
    .strip_level()
    .shows("gone residual", &expect![[r"
        gone /app/curl2: Downloader
        gone /app/run: Shell, bash by its content
        stays /app/worker Interpreter: it is python by its content, and level `strip` keeps what may run the application
    "]]);
}

#[test]
fn one_applet_that_stays_brings_all_and_the_report_lists_them() {
    Fixture::new(
        "/bin/busybox f 0755 elf static is=busybox\n/bin/sh l /bin/busybox\n/bin/httpd h /bin/busybox\n/usr/bin/wget l ../../bin/busybox
        /www/index.html f 5",
    )
    .cmd(&["/bin/httpd", "-f"])
    .shows("gone residual findings", &expect![[r"
        gone /bin/busybox: Shell
        gone /bin/sh: link to /bin/busybox
        gone /usr/bin/wget: link to /bin/busybox
        stays /bin/httpd Shell: it is busybox by its content, and it is the program that the image is for
        high KN035 /bin/httpd: it is busybox by its content, and it is the program that the image is for; busybox is many programs in one file and runs the one that its first words name, 4 of them by the names it had here: busybox, httpd, sh, wget; that their links went does not take them away
        info KN015 65532:65532: the image ran as `root`, and now as nonroot (65532:65532): nothing in the image says which account the program should have
    "]]);
}

#[test]
fn a_library_of_a_package_is_no_look_alike_of_the_tool_that_uses_it() {
    debian(&format!("/usr/sbin/app {ELF} content=app\n/app/lib/libpython3.11.so f 0755 elf soname=libpython3.11.so content=lib\n/usr/bin/tool2 {ELF} content=tool"))
        .cmd(&["/usr/sbin/app"])
        .shows("residual codes", &expect![[r"
            codes KN030 KN015
        "]]);
}
