//! Images of other kinds, as kiln hardened them: nothing is broken, and nothing is said to be.

use kiln::options::Options;
use kiln::packages::rpm::fixture::database;
use kiln::rootfs::{File, Kept, Kind};

use super::{Lab, breaches};
use crate::fixture::{self, Fixture};

/// Loaders, an interpreter, a shell, and what starts them by name.
const PROGRAMS: &str = "
    /usr/bin/env f 0755 elf static content=env
    /usr/bin/python3 f 0755 elf static content=python
    /usr/bin/bash f 0755 elf static content=bash
    /etc/passwd f \"root:x:0:0::/root:/bin/sh\\n\"
    package coreutils has=/usr/bin/env
    package python3 has=/usr/bin/python3
    package bash has=/usr/bin/bash";

/// Whatever is said of it with and without its source.
fn alarms(fixture: &Fixture) -> String {
    let lab = Lab::of(fixture, Options::default());
    breaches(&lab.verify("out")) + &breaches(&lab.compare("out", &[]))
}

#[test]
fn a_script_that_env_starts_needs_no_env_where_its_interpreter_is_started() {
    let python = format!("{PROGRAMS}\n/app/run f 0755 \"#!/usr/bin/env python3\\nprint()\\n\"");
    assert_eq!(alarms(&Fixture::new(&python).cmd(&["/app/run", "--port=1"])), "");
    let bash = format!("{PROGRAMS}\n/entry.sh f 0755 \"#!/usr/bin/env bash\\nexec $BASH_SOURCE\\n\"");
    let fixture = Fixture::new(&bash).entrypoint(&["/entry.sh"]).cmd(&["serve"]);
    assert_eq!(alarms(&fixture), "");
    let lab = Lab::of(&fixture, Options::default());
    let is_env = |path: &str| path == "usr/bin/env";
    let mut found = false;
    lab.edit(|image| {
        image.members(0, |member| {
            found |= is_env(&member.path);
            true
        });
    });
    assert!(found, "a shell's script starts itself again by its first line");
}

#[test]
fn a_script_that_the_kernel_starts_needs_all_of_its_first_line() {
    let python = format!("{PROGRAMS}\n/app/run f 0755 \"#!/usr/bin/env python3\\nprint()\\n\"");
    let lab = Lab::of(&Fixture::new(&python).cmd(&["/app/run"]), Options::default());
    lab.edit(|image| image.config["config"]["Entrypoint"] = serde_json::json!(["/app/run"]));
    assert!(
        breaches(&lab.verify("edited")).contains("H2 /usr/bin/env: a script of the start begins with it")
    );
}

#[test]
fn alpines_packages_list_links_to_directories_as_links() {
    let fixture = Fixture::new(
        "/run d\n/var/run l ../run\n/lib/ld-musl-x86_64.so.1 f 0755 elf\n/usr/bin/app f 0755 elf interp=/lib/ld-musl-x86_64.so.1
        apk alpine-baselayout has=/run/,/var/run\napk musl has=/lib/ld-musl-x86_64.so.1\napk app needs=musl has=/usr/bin/app",
    );
    assert_eq!(alarms(&fixture.cmd(&["app"])), "");
}

#[test]
fn signed_headers_of_rpm_list_what_a_package_once_had() {
    let mut fixture = Fixture::new(
        "/usr/bin/cat f 0755 elf static content=cat\n/usr/share/cat.mo f 4\n/usr/bin/app f 0755 elf static",
    );
    let packages = database(&[
        ("coreutils", &["/usr/bin/cat", "/usr/share/cat.mo", "/usr/share/doc/never-installed"], &[]),
        ("app", &["/usr/bin/app"], &[]),
    ]);
    let mut entry = fixture::text_file("/var/lib/rpm/rpmdb.sqlite", String::new());
    let file = File { size: packages.len() as u64, bytes: Some(Kept::new(&packages)), ..File::default() };
    entry.kind = Kind::File(file);
    fixture.layers[0].entries.push(entry);
    assert_eq!(alarms(&fixture.cmd(&["app"])), "");
}

#[test]
fn names_of_one_inode_are_one_program() {
    let fixture = Fixture::new(
        "/app/bin/serve f 0755 elf static\n/app/bin/split f 0755 elf static content=own\n/app/bin/divide h /app/bin/split",
    );
    assert_eq!(alarms(&fixture.cmd(&["/app/bin/serve"])), "");
}
