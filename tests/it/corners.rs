//! Images at the edge of what is usual, decided on: working directories, modules, interpreters, a second hardening.
//!
//! Looks at plans only; no bytes of layers are made.

use std::fmt::Write as _;

use kiln::accounts::Accounts;
use kiln::digest::DiffId;
use kiln::finding::Code;
use kiln::image::Config;
use kiln::options::Options;
use kiln::packages::Database;
use kiln::path::ImagePath;
use kiln::plan::decide::decide;
use kiln::plan::known::Known;
use kiln::plan::{Level, Plan, Verdict};
use kiln::rootfs::Rootfs;
use kiln::rootfs::dump::parse_image;
use serde_json::{Value, json};

/// The plan for the image that the fixture `layers` and the config's inner object describe.
fn plan_of(layers: &str, config: &Value) -> (Rootfs, Plan) {
    let rootfs = parse_image(layers);
    let diff_ids = vec![DiffId::of(b""); layers.matches("\n--").count() + 1];
    let document = json!({"os": "linux", "architecture": "amd64", "config": config,
        "rootfs": {"type": "layers", "diff_ids": diff_ids}});
    let config = Config::parse(document.to_string().as_bytes()).unwrap();
    let (packages, accounts) = (Database::read(&rootfs), Accounts::read(&rootfs));
    let options = Options::default();
    let known = Known::new(&rootfs, &config, packages.as_ref(), &accounts, kiln::recipe::builtin(), &options);
    let plan = decide(&known).unwrap();
    (rootfs, plan)
}

fn is_kept(rootfs: &Rootfs, plan: &Plan, path: &str) -> bool {
    let Some(id) = rootfs.node(&ImagePath::literal(path)).and_then(|node| node.name) else { return false };
    matches!(plan.verdicts[id.layer() as usize][id.member() as usize], Verdict::Keep(_))
}

fn has(plan: &Plan, code: Code) -> bool {
    plan.findings.iter().any(|finding| finding.code == code)
}

/// `mode uid:gid` that a kept entry ends up with.
fn access(rootfs: &Rootfs, plan: &Plan, path: &str) -> String {
    let path = ImagePath::literal(path);
    let id = rootfs.node(&path).and_then(|node| node.name).unwrap();
    let Verdict::Keep(patch) = &plan.verdicts[id.layer() as usize][id.member() as usize] else {
        panic!("{path} goes")
    };
    let entry = rootfs.entry(&path).unwrap();
    let (uid, gid) = patch.owner.unwrap_or((entry.uid, entry.gid));
    format!("{:04o} {uid}:{gid}", patch.mode.unwrap_or(entry.mode))
}

#[test]
fn a_working_directory_that_is_missing_is_made() {
    let (_, plan) =
        plan_of("/app f 0755 elf static", &json!({"Cmd": ["/app"], "WorkingDir": "/does/not/exist"}));
    let made: Vec<String> =
        plan.additions.iter().map(|made| format!("{} {:o}", made.path, made.mode)).collect();
    for directory in ["/does 555", "/does/not 555", "/does/not/exist 555"] {
        assert!(made.contains(&directory.to_owned()), "{made:?}");
    }
}

#[test]
fn a_working_directory_stays_when_all_in_it_goes_and_the_user_may_enter_it() {
    let image = "/app f 0755 elf static\n/root d 0700\n/root/.bashrc f 10";
    let (rootfs, plan) = plan_of(image, &json!({"Cmd": ["/app"], "WorkingDir": "/root"}));
    assert!(!is_kept(&rootfs, &plan, "root/.bashrc"));
    assert_eq!(access(&rootfs, &plan, "root"), "0510 0:65532");
}

#[test]
fn files_are_opened_to_a_new_user_with_a_finding_and_never_to_the_one_the_image_had() {
    let image = "/app/main f 0755 elf static\n/app/key f 0600 10";
    let (rootfs, plan) = plan_of(image, &json!({"Cmd": ["/app/main"]}));
    assert_eq!(access(&rootfs, &plan, "app/key"), "0440 0:65532");
    assert!(has(&plan, Code::OpenedToUser));
    let (rootfs, plan) = plan_of(image, &json!({"Cmd": ["/app/main"], "User": "7:7"}));
    assert_eq!(access(&rootfs, &plan, "app/key"), "0400 0:0");
    assert!(!has(&plan, Code::OpenedToUser) && !has(&plan, Code::Unreadable));
}

#[test]
fn the_manifest_of_an_earlier_hardening_goes() {
    let image = "/app f 0755 elf static\n--\n/.kiln d 0555\n/.kiln/manifest.json f 0444 10";
    let (rootfs, plan) = plan_of(image, &json!({"Cmd": ["/app"]}));
    assert!(is_kept(&rootfs, &plan, "app"));
    assert!(!is_kept(&rootfs, &plan, ".kiln/manifest.json") && !is_kept(&rootfs, &plan, ".kiln"));
}

/// A dpkg database of `NAME DEPENDS: FILE…` lines, and its files as a fixture.
fn dpkg(packages: &[(&str, &str, &[&str])]) -> String {
    let (mut status, mut out) = (String::new(), String::new());
    for (name, depends, files) in packages {
        let _ = write!(
            status,
            "Package: {name}\\nStatus: install ok installed\\nArchitecture: amd64\\nVersion: 1\\n"
        );
        if !depends.is_empty() {
            let _ = write!(status, "Depends: {depends}\\n");
        }
        status.push_str("\\n");
        let _ = writeln!(out, "/var/lib/dpkg/info/{name}.list f \"{}\\n\"", files.join("\\n"));
    }
    let _ = writeln!(out, "/var/lib/dpkg/status f \"{status}\"");
    out
}

#[test]
fn modules_that_other_packages_put_beside_those_of_a_kept_one_stay() {
    let image = dpkg(&[
        ("server", "", &["/usr/sbin/server", "/usr/lib/server/core.so"]),
        ("server-extra", "libextra", &["/usr/lib/server/extra.so"]),
        ("libextra", "", &["/usr/lib/libextra.so.1"]),
        ("libother", "", &["/usr/lib/libother.so.1"]),
    ]) + "/usr/sbin/server f 0755 elf exec
        /usr/lib/server/core.so f elf
        /usr/lib/server/extra.so f elf needed=libextra.so.1
        /usr/lib/libextra.so.1 f elf soname=libextra.so.1
        /usr/lib/libother.so.1 f elf soname=libother.so.1";
    let (rootfs, plan) = plan_of(&image, &json!({"Cmd": ["server"]}));
    assert!(is_kept(&rootfs, &plan, "usr/lib/server/extra.so"));
    assert!(is_kept(&rootfs, &plan, "usr/lib/libextra.so.1"));
    assert!(!is_kept(&rootfs, &plan, "usr/lib/libother.so.1"));
}

#[test]
fn the_programs_own_library_stays_though_only_a_tool_asks_for_it() {
    let image = dpkg(&[
        ("python3-minimal", "", &["/usr/bin/python3"]),
        ("python3-stdlib", "", &["/usr/lib/python3.11/lib-dynload/_ssl.so", "/usr/lib/python3.11/html.py"]),
        ("python3-venv", "python3-stdlib, python3-wheel", &["/usr/bin/pyvenv"]),
        ("python3-wheel", "", &["/usr/lib/python3/dist-packages/wheels.py"]),
    ])
    .replace("Package: python3-stdlib\\n", "Package: python3-stdlib\\nSource: python3-minimal (1)\\n")
        + "/usr/bin/python3 f 0755 elf exec
        /usr/bin/pyvenv f 0755 #!/usr/bin/python3
        /usr/lib/python3.11/lib-dynload/_ssl.so f elf
        /usr/lib/python3.11/html.py f 10
        /usr/lib/python3/dist-packages/wheels.py f 10
        /app/main.py f 0755 #!/usr/bin/python3";
    let (rootfs, plan) = plan_of(&image, &json!({"Cmd": ["/app/main.py"]}));
    assert!(is_kept(&rootfs, &plan, "usr/lib/python3.11/html.py"));
    assert!(!is_kept(&rootfs, &plan, "usr/lib/python3/dist-packages/wheels.py"));
}

#[test]
fn under_an_interpreter_without_a_recipe_only_catalogued_tools_go() {
    let image = dpkg(&[
        ("perl-base", "", &["/usr/bin/perl"]),
        ("libdbi-perl", "", &["/usr/lib/perl5/DBI.pm"]),
        ("curl", "", &["/usr/bin/curl"]),
    ]) + "/usr/bin/perl f 0755 elf interp=/ld.so
        /ld.so f 0755 elf
        /usr/lib/perl5/DBI.pm f 10
        /usr/bin/curl f 0755 elf exec
        /app/main.pl f 0755 #!/usr/bin/perl";
    let (rootfs, plan) = plan_of(&image, &json!({"Cmd": ["/app/main.pl"]}));
    assert_eq!(plan.level, Level::Strip);
    assert!(has(&plan, Code::InterpreterUnknown));
    assert!(is_kept(&rootfs, &plan, "usr/lib/perl5/DBI.pm") && is_kept(&rootfs, &plan, "usr/bin/perl"));
    assert!(!is_kept(&rootfs, &plan, "usr/bin/curl"));
}

#[test]
fn modules_of_an_embedded_interpreter_stay_although_they_look_like_its_scripts() {
    let image = "/app/main f 0755 elf exec needed=libpython3.11.so.1.0
        /usr/lib/libpython3.11.so.1.0 f elf soname=libpython3.11.so.1.0
        /usr/bin/python3.11 f 0755 elf exec
        /usr/lib/python3.11/base64.py f 0755 #!/usr/bin/python3.11
        /usr/lib/python3.11/tool f 0755 #!/usr/bin/python3.11";
    let (rootfs, plan) = plan_of(image, &json!({"Cmd": ["/app/main"]}));
    assert!(!is_kept(&rootfs, &plan, "usr/bin/python3.11"));
    assert!(is_kept(&rootfs, &plan, "usr/lib/python3.11/base64.py") && has(&plan, Code::ScriptNotDirect));
    assert!(!is_kept(&rootfs, &plan, "usr/lib/python3.11/tool"));
}

#[test]
fn a_library_that_is_loaded_by_its_path_is_not_said_to_be_missing() {
    let image = "/jvm/bin/java f 0755 elf exec\n/jvm/lib/libnet.so f elf needed=libjvm.so,libgone.so\n/jvm/lib/server/libjvm.so f elf";
    let (_, plan) = plan_of(image, &json!({"Cmd": ["/jvm/bin/java"]}));
    let missing: Vec<&str> = plan
        .findings
        .iter()
        .filter(|finding| finding.code == Code::LibraryMissing)
        .map(|finding| finding.message.as_str())
        .collect();
    assert_eq!(missing, ["needs libgone.so, which the source does not have either"]);
}

/// The name that goes holds the data of a link in an upper layer, and another layer between them has a file of the
/// link's name. `Fixture::plan` checks what comes out.
#[test]
fn data_of_an_upper_link_does_not_move_below_what_hides_it() {
    let layers = "/usr/odd f 4755 0:0 elf\n--\n/app/passwd f \"x\"\n--\n/app/passwd h /usr/odd";
    let plan = crate::fixture::Fixture::new(layers).cmd(&["/app/app"]).plan();
    assert!(plan.removed.is_empty(), "{:?}", plan.removed);
    // Of the application's own file `passwd` only the name is a tool's, and its other name is none.
    assert_eq!(plan.residual.len(), 1);
}
