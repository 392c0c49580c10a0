//! Package databases that are cut or broken: what they no longer say is not guessed, and it is said.

use kiln::elf::fixture::ElfBuilder;

use super::lab::{Lab, Layer};
use super::tar::{file, program, tar};

const STATUS: &str = "Package: base-files\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n\n\
    Package: libthing1\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n\n\
    Package: tool\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\nDepends: libthing1\n\n";

fn lab(status: &[u8]) -> Lab {
    let app = ElfBuilder::program(&["libthing.so.1"]).build();
    let library = ElfBuilder::library("libthing.so.1", &[]).build();
    let loader = ElfBuilder::library("ld-linux-x86-64.so.2", &[]).build();
    let tool = ElfBuilder::static_program().build();
    Lab::with(&[Layer::gzip(&tar(&[
        program(b"app", &app),
        program(b"lib64/ld-linux-x86-64.so.2", &loader),
        file(b"usr/lib/libthing.so.1", &library),
        program(b"usr/bin/tool", &tool),
        file(b"var/lib/dpkg/status", status),
        file(b"var/lib/dpkg/info/base-files.list", b"/.\n/lib64\n/lib64/ld-linux-x86-64.so.2\n"),
        file(b"var/lib/dpkg/info/libthing1.list", b"/.\n/usr\n/usr/lib\n/usr/lib/libthing.so.1\n"),
        file(b"var/lib/dpkg/info/tool.list", b"/.\n/usr\n/usr/bin\n/usr/bin/tool\n"),
    ]))])
}

#[test]
fn whole_database_is_no_finding() {
    let lab = lab(STATUS.as_bytes());
    let text = lab.accepts(&[]);
    assert!(!text.contains("KN045"), "{text}");
    assert!(lab.report()["removed"].to_string().contains("/usr/bin/tool"));
}

#[test]
fn status_that_is_cut_anywhere_never_costs_what_the_app_needs() {
    for cut in (1..STATUS.len() - 2).step_by(23) {
        let lab = lab(&STATUS.as_bytes()[..cut]);
        let text = lab.accepts(&[]);
        let removed = lab.report()["removed"].to_string();
        assert!(
            !removed.contains("libthing.so.1") && !removed.contains("ld-linux"),
            "cut at {cut}: {removed}"
        );
        assert!(text.contains("KN045"), "cut at {cut}: {text}");
    }
}

#[test]
fn bytes_that_are_no_database_are_a_finding() {
    for status in [&b"\0\xff\xfe binary"[..], b"no field at all\n", &b"Package: \x1b[31m\n\n".repeat(3)] {
        let lab = lab(status);
        let text = lab.accepts(&[]);
        assert!(text.contains("KN045") && !text.contains('\x1b'), "{text}");
    }
}
