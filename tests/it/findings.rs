//! Every finding code, raised: a code without an image that raises it fails here.
//!
//! What a finding says is in the tests of what raises it.

use assert_cmd::Command;
use kiln::finding::Code;
use kiln::image::Codec;
use kiln::rootfs::{Content, Kind};

use crate::fixture::Fixture;
use crate::layout;

const APP: &str = "/app/main f 0755 elf static";

fn app(more: &str) -> Fixture {
    Fixture::new(&format!("{APP}\n{more}")).cmd(&["/app/main"])
}

/// Nginx with one line of configuration.
fn nginx(line: &str) -> Fixture {
    Fixture::new(&format!("/usr/sbin/nginx f 0755 elf static\n/etc/nginx/nginx.conf f \"{line}\\n\""))
        .cmd(&["nginx"])
}

/// An image whose plan has a finding of `code`; `None` for what the command line raises, or an index of several images.
fn raising(code: Code) -> Option<Fixture> {
    Some(match code {
        Code::ShellStays => app("/bin/sh f 0755 elf static").cmd(&["sh", "-c", "/app/main $PORT"]),
        Code::StartUncertain => {
            app("/usr/bin/launch f 0755 elf static\n/usr/bin/serve f 0755 elf static").cmd(&["launch", "serve"])
        }
        Code::EntrypointLowered => app("/bin/sh f 0755 elf static").cmd(&["sh", "-c", "/app/main"]),
        Code::EntrypointNotFound => app("").cmd(&["/app/other"]),
        Code::EntrypointMissing => app("").cmd(&[]),
        Code::ToolStays => app("/bin/ls f 0755 elf static").keep("/bin/ls"),
        Code::CallsShell => Fixture::new("/app f 0755 elf system").cmd(&["/app"]),
        Code::ScriptStripped => app("/bin/sh f 0755 elf static\n/app/run f 0755 #!/bin/sh"),
        Code::LibraryMissing => app("/app/plugin.so f elf needed=libgone.so"),
        Code::ElfUnreadable => {
            let mut fixture = app("/app/odd f 0755 elf static");
            if let Some(Kind::File(file)) = fixture.layers[0].entries.last_mut().map(|entry| &mut entry.kind) {
                file.content = Content::ElfUnreadable;
            }
            fixture
        }
        Code::StripBreaks => app("").strip("/app/main"),
        Code::GlobUnused => app("").keep("/nowhere"),
        Code::RecipeRuleUnused => app("").recipe(
            "name = \"mine\"\ntitle = \"Mine\"\nprograms = [\"/app/main\"]\n[[keep]]\nglob = \"/gone/*\"\nwhy = \"x\"\n",
        ),
        Code::Unreadable => app("/data d 0700\n/data/conf.py f 0600 5").volume("/data"),
        Code::OpenedToUser => app("/app/key f 0600 5"),
        Code::UserChanged => app(""),
        Code::PrivilegeLost => app("/app/helper f 4755 elf static"),
        Code::WritableHasContent => app("/data d\n/data/x.py f 5").volume("/data"),
        Code::WritableCode => app("/data d\n/data/x.py f 5").writable("/data"),
        Code::WritableSeeded => app("/data d\n/data/x f 5").volume("/data"),
        Code::WritableUndeclared => app("/srv/up d 1777\n/srv/up/x f 5"),
        Code::VolumeMoved => app("").volume("/data"),
        Code::HealthcheckDropped => app("").healthcheck(&["CMD-SHELL", "true"]),
        Code::SecretBaked => app("/etc/ssh/ssh_host_rsa_key f 0600 5"),
        Code::LowPort => app("").port("80/tcp"),
        Code::ImageNamePlaceholder
        | Code::AttestationLeftOut
        | Code::PlatformLeftOut
        | Code::PlatformsDisagree
        | Code::AlreadyHardened
        | Code::HardenedClaimFalse
        // `plan::linked` has an app that was watched.
        | Code::WritableLinked => return None,
        Code::ShadowedKept => app("/x f 5\n--\n/x w").strip_level(),
        Code::EnvRedirect => Fixture::new("/usr/bin/python3 f 0755 elf static").cmd(&["python3"]),
        Code::WritableFile => nginx("pid /etc/nginx.pid;"),
        Code::PackagesUnsupported => app("/var/lib/rpm/Packages f 4"),
        Code::ScriptNotDirect => Fixture::new(
            "/usr/bin/python3 f 0755 elf static\n/usr/bin/env f 0755 elf static\n/app/x.py f 0755 #!/usr/bin/env python3",
        )
        .cmd(&["python3", "/app/x.py"]),
        Code::InterpreterUnknown => {
            Fixture::new("/usr/bin/perl f 0755 elf interp=/ld.so\n/ld.so f 0755 elf").cmd(&["perl"])
        }
        Code::RecipeNone => Fixture::new("/app f 0755 elf interp=/ld.so\n/ld.so f 0755 elf").cmd(&["/app"]),
        Code::LookAlike => app("/app/check f 0755 elf static is=busybox"),
        Code::LookAlikeStays => app("/app/run f 0755 elf static is=bash").keep("/app/run"),
        Code::MultiCallStays => Fixture::new("/bin/httpd f 0755 elf static is=busybox").cmd(&["httpd"]),
        Code::VariablesFrozen => app("/bin/sh f 0755 elf static\n/run.sh f 0755 \"#!/bin/sh\\nexec /app/main\\n\"")
            .cmd(&["/run.sh"])
            .recipe(
                "name = \"mine\"\ntitle = \"Mine\"\nprograms = [\"/app/main\"]\n[[lowerings]]\nscripts = [\"/run.sh\"]\narguments = []\nexec = [\"/app/main\"]\nwhy = \"x\"\n[lowerings.when]\nlines = [\"exec /app/main\"]\nunset = [\"APP_PORT\"]\n",
            ),
        Code::FileBaked => crate::plan::baking(),
        Code::SourcePrepares => crate::plan::preparing(),
        Code::UserUnknown => app("").user("ghost"),
        Code::NeedsRoot => Fixture::new(
            "/usr/sbin/haproxy f 0755 elf static\n/etc/haproxy/haproxy.cfg f \"global\\n  chroot /var/lib/haproxy\\n\"",
        )
        .cmd(&["haproxy", "-f", "/etc/haproxy/haproxy.cfg"]),
        Code::RecipeCaveat => Fixture::new("/usr/bin/ruby f 0755 elf static").cmd(&["ruby"]),
        Code::LoopbackOnly => nginx("server { listen 127.0.0.1:8080; }"),
        Code::ConfigUnknown => nginx("pid $gone;"),
        Code::WritableRefused => app("").volume("/etc"),
        Code::WritableHidesDirectories => {
            let mut fixture = app("/var/spool/app/in d").writable("/var/spool/app");
            fixture.config["architecture"] = "s390x".into();
            fixture
        }
        Code::DirectoryTooBroad => {
            app("/usr/share/doc/x f 1\n/var/lib/dpkg/status f \"Package: x\\nStatus: install ok installed\\nArchitecture: all\\nVersion: 1\\n\"\n/var/lib/dpkg/info/x.list f \"/usr/share/doc/x\\n\"")
                .cmd(&["/app/main", "--serve", "/usr/share"])
        }
        Code::UsedInRunsOnly => app("").minimal("/app/main", &[]),
        Code::SeedIncomplete => {
            app("/data d 0755 1000:1000\n/data/x f 0600 0:0 5").user("1000").volume("/data")
        }
        Code::PackagesBroken => app("/var/lib/dpkg/status f \"Package: a\\nStatus: inst\""),
    })
}

#[test]
fn every_code_is_raised_by_an_image() {
    let mut silent = Vec::new();
    for code in Code::ALL {
        let Some(fixture) = raising(*code) else { continue };
        let plan = fixture.plan();
        if !plan.findings.iter().any(|finding| finding.code == *code) {
            let codes: Vec<String> = plan.findings.iter().map(ToString::to_string).collect();
            silent.push(format!("{code} not among: {}", codes.join("; ")));
        }
    }
    assert!(silent.is_empty(), "{}", silent.join("\n"));
}

#[test]
fn pod_spec_without_a_registrys_name_is_a_finding_of_the_command() {
    assert!(raising(Code::ImageNamePlaceholder).is_none());
    let lab = tempfile::tempdir().unwrap();
    let fixture = app("");
    let layers: Vec<_> = fixture.layers.iter().map(|layer| (Codec::Gzip, layout::tar_of(layer))).collect();
    layout::write(&lab.path().join("in"), &layers, &fixture.config);
    let said = |more: &[&str]| {
        let mut command = Command::cargo_bin("kiln").unwrap();
        let output = command
            .current_dir(lab.path())
            .args(["harden", "oci:in:latest", "-o", "oci:out:latest"])
            .args(more);
        let output = output.assert().success().get_output().clone();
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&text).contains("KN023")
    };
    assert!(said(&["--format", "json", "--pod", "one.yaml"]));
    assert!(!said(&["--format", "json", "--pod", "two.yaml", "--pod-image", "registry.example/app"]));
}

#[test]
fn strict_run_with_a_finding_of_weight_writes_nothing() {
    let lab = tempfile::tempdir().unwrap();
    let write = |name: &str, fixture: &Fixture| {
        let layers: Vec<_> =
            fixture.layers.iter().map(|layer| (Codec::Gzip, layout::tar_of(layer))).collect();
        layout::write(&lab.path().join(name), &layers, &fixture.config);
    };
    write("good", &app(""));
    write("bad", &raising(Code::ShellStays).unwrap());
    let harden = |arguments: &[&str]| {
        let mut command = Command::cargo_bin("kiln").unwrap();
        command.current_dir(lab.path()).arg("harden").arg("--strict").args(arguments).output().unwrap()
    };
    assert!(harden(&["oci:good:latest", "-o", "oci:out:latest"]).status.success());
    let before = std::fs::read(lab.path().join("out/index.json")).unwrap();
    let bad = harden(&[
        "oci:bad:latest",
        "-o",
        "oci:out:latest",
        "-o",
        "oci:new:latest",
        "-o",
        "docker-archive:new.tar:x:1",
        "--report",
        "report.json",
        "--pod",
        "pod.yaml",
        "--manifest",
        "manifest.json",
    ]);
    let said = String::from_utf8_lossy(&bad.stderr).into_owned();
    assert_eq!(bad.status.code(), Some(1), "{said}");
    assert!(said.contains("high KN001 ") && said.contains("error: strict: "), "{said}");
    assert!(bad.stdout.is_empty());
    assert_eq!(std::fs::read(lab.path().join("out/index.json")).unwrap(), before);
    let mut left: Vec<_> =
        std::fs::read_dir(lab.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["bad", "good", "out"]);
}
