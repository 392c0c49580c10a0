//! What a script wrote and every run had alike: it is in the hardened image, and nothing else that was written is.
//!
//! The runs are those of `traced`, with what a watcher found when the server was ready.

use expect_test::expect;
use kiln::finding::Code;
use kiln::manifest::BakedFile;
use kiln::plan::Plan;
use kiln::profile::{Act, Holds, How, Prepared, Profile, Untold};

use super::traced::{self, Runs, opened, path, wrote};
use crate::fixture::Fixture;

const CONF: &str = "/etc/app.conf";

fn told(path: &str, mode: &str, holds: Holds) -> Prepared {
    Prepared { path: path.into(), mode: mode.into(), uid: 0, gid: 0, holds, runs: 2 }
}

fn text(text: &str) -> Holds {
    Holds::Text(text.into())
}

/// Runs in which the script wrote `files` and the server read them.
fn runs(files: &[&str]) -> Runs {
    let events = files.iter().flat_map(|file| [(1, wrote(file, How::Opened)), (0, opened(file))]);
    Runs { events: events.collect(), ..Runs::default() }
}

fn profile(runs: &Runs, prepared: Vec<Prepared>) -> Profile {
    Profile { prepared, ..runs.profile() }
}

fn plan(runs: &Runs, prepared: Vec<Prepared>) -> Plan {
    traced::image().watched(profile(runs, prepared)).plan()
}

/// Why the shell stays.
fn stays(plan: &Plan) -> &str {
    let stays = plan.findings.iter().find(|finding| finding.code == Code::ShellStays);
    stays.map_or("the shell goes", |finding| finding.message.as_str())
}

/// An image whose script fills a template.
pub(super) fn image() -> Fixture {
    let runs = runs(&[CONF]);
    traced::image().watched(profile(&runs, vec![told(CONF, "0644", text("listen 8080\n"))]))
}

#[test]
fn constant_files_are_in_the_image_and_the_script_is_not() {
    let mut runs = runs(&[CONF, "/etc/app.d/new.conf"]);
    runs.events.push((1, wrote("/etc/app.d", How::Directory)));
    let prepared = vec![
        told(CONF, "0600", text("name example.org\n")),
        told("/etc/app.d/new.conf", "0666", text("new\n")),
    ];
    let image = traced::image().env(&["PATH=/usr/bin", "SITE=example.org"]);
    let mut watched = profile(&runs, prepared);
    watched.processes[0].execs.iter_mut().for_each(|exec| {
        let site =
            kiln::profile::EnvVar { name: "SITE".into(), values: vec!["example.org".into()], always: true };
        exec.env.push(site);
    });
    let image = image.watched(watched);
    let plan = image.plan();
    assert_eq!(plan.entrypoint.argv, ["app", "--serve"]);
    assert_eq!(image.text_after(CONF), "name example.org\n");
    assert_eq!(image.text_after("/etc/app.d/new.conf"), "new\n");
    assert!(plan.writable.iter().all(|declared| declared.path != path("/etc/app.d")), "nobody writes there");
    let new = plan.additions.iter().find(|addition| addition.path == path("/etc/app.d/new.conf")).unwrap();
    assert_eq!((new.mode, new.uid), (0o444, 0), "without write bits");
    let above = plan.additions.iter().find(|addition| addition.path == path("/etc/app.d")).unwrap();
    assert_eq!((above.mode, above.content().is_none()), (0o555, true));
    assert!(plan.removed.iter().all(|removed| removed.path != path(CONF)));
    let named: Vec<BakedFile> = plan.baked.iter().map(Into::into).collect();
    expect![[r"
        /etc/app.conf sha256:eee013a18df91ad6afe8e7a561b3938f7e68ae1bbbdad1aa22c886ef92cf2a58 17 /usr/bin/mkdir 2
        /etc/app.d/new.conf sha256:7aa7a5359173d05b63cfd682e3c38487f3cb4f7f1d60659fe59fab1505977d4c 4 /usr/bin/mkdir 2"]]
    .assert_eq(
        &named
            .iter()
            .map(|file| {
                let BakedFile { path, digest, bytes, by, runs, .. } = file;
                format!("{path} {} {} {by} {runs}", digest.as_deref().unwrap(), bytes.unwrap())
            })
            .collect::<Vec<_>>()
            .join("\n"),
    );
    let findings: Vec<String> = plan
        .findings
        .iter()
        .filter(|finding| finding.code == Code::FileBaked)
        .map(ToString::to_string)
        .collect();
    expect![[r"
        low KN049 /etc/app.conf: `/usr/bin/mkdir` wrote it alike in 2 runs: these 17 bytes (sha256:eee013a18df91ad6afe8e7a561b3938f7e68ae1bbbdad1aa22c886ef92cf2a58) are in the image, and nobody writes them at a start any more; it may hold the image's SITE, which a pod that sets it does not change any more
        low KN049 /etc/app.d/new.conf: `/usr/bin/mkdir` wrote it alike in 2 runs: these 4 bytes (sha256:7aa7a5359173d05b63cfd682e3c38487f3cb4f7f1d60659fe59fab1505977d4c) are in the image, and nobody writes them at a start any more"]].assert_eq(&findings.join("\n"));
    // The server is another user than the script was, and reads the file that was root's alone.
    let rootfs = crate::fixture::after(&image.layers, &plan);
    let entry = rootfs.entry(&path(CONF)).unwrap();
    assert_eq!((entry.mode, entry.uid, entry.gid), (0o440, 0, 33));
}

#[test]
fn what_is_no_constant_is_not_baked_and_the_reason_is_said() {
    for (prepared, why) in [
        (vec![], "what is in it was not told"),
        (vec![told(CONF, "0644", Holds::Untold(Untold::Differs))], "what is in it is another in each run"),
        (vec![told(CONF, "0644", Holds::Untold(Untold::Secret))], "what is in it may be a secret"),
        (vec![told(CONF, "0644", Holds::Untold(Untold::Binary))], "it is no text"),
        (vec![told(CONF, "0755", text("#!/bin/sh\nrm x"))], "it is a program"),
        (vec![told(CONF, "4755", text("x"))], "it runs as somebody else"),
        (
            vec![told(CONF, "0644", text("a\n-----BEGIN RSA PRIVATE KEY-----\nMII"))],
            "what is in it may be a secret",
        ),
        (vec![Prepared { runs: 1, ..told(CONF, "0644", text("x")) }], "only some runs have it"),
    ] {
        let plan = plan(&runs(&[CONF]), prepared);
        let message = stays(&plan);
        assert!(message.contains("it reads /etc/app.conf, which the script writes: "), "{why}: {message}");
        assert!(message.contains(why), "{why}: {message}");
        assert!(message.contains("mount /etc/app.conf from a ConfigMap"), "{message}");
        assert!(plan.baked.is_empty() && plan.additions.iter().all(|addition| addition.path != path(CONF)));
    }
}

#[test]
fn nothing_is_baked_of_runs_that_were_given_something() {
    for (file, why) in [
        (text("to given-value"), "a value that only the watched runs were given (GIVEN)"),
        // Its hash, its length, or nothing of it.
        (text("x"), "the script writes /etc/app.conf, and whether that is so without what the watched runs"),
        (Holds::Image, "the script writes /etc/app.conf, and whether"),
    ] {
        let is_mode = file == Holds::Image;
        let mut runs = Runs { given: traced::GIVEN, ..runs(&[CONF]) };
        if is_mode {
            runs.events = vec![(1, wrote(CONF, How::Mode)), (0, opened(CONF))];
        }
        let plan = plan(&runs, vec![told(CONF, "0644", file)]);
        assert!(stays(&plan).contains(why), "{why}: {}", stays(&plan));
        assert!(plan.baked.is_empty() && plan.additions.iter().all(|addition| addition.path != path(CONF)));
    }
}

#[test]
fn nothing_is_baked_where_it_would_be_more_than_a_file() {
    for (file, why) in [
        ("/etc/passwd", "one of the system's own files"),
        ("/etc/machine-id", "one of the system's own files"),
        ("/var/lib/dpkg/status", "one of the system's own files"),
        ("/usr/bin/app", "the image has a program there"),
        ("/etc/ssh/ssh_host_rsa_key", "may be a secret"),
        ("/srv/db-password", "may be a secret"),
        ("/lib/new.conf", "a link of the image is in its path"),
        ("/var/lib", "the image has something there that is no file"),
    ] {
        let plan = plan(&runs(&[file]), vec![told(file, "0644", text("x"))]);
        assert!(stays(&plan).contains(why), "{file}: {}", stays(&plan));
    }
}

#[test]
fn file_that_the_server_writes_as_well_is_not_baked() {
    let mut runs = runs(&["/srv/state"]);
    runs.events.push((0, wrote("/srv/state", How::Opened)));
    let plan = plan(&runs, vec![told("/srv/state", "0644", text("x"))]);
    assert!(stays(&plan).contains("it writes it as well"), "{}", stays(&plan));
    // No ConfigMap holds data.
    let advice = "fill a volume at /srv before the start, by an init container of the source image that runs `/entry.sh true`, if the script prepares for that as for the server, and start";
    assert!(stays(&plan).contains(advice), "{}", stays(&plan));
}

#[test]
fn file_that_a_volume_would_hide_is_not_baked() {
    let mut runs = runs(&["/var/lib/app/conf"]);
    runs.events.push((1, wrote("/var/lib/app", How::Directory)));
    runs.events.push((0, wrote("/var/lib/app/data", How::Created)));
    let plan = plan(&runs, vec![told("/var/lib/app/conf", "0644", text("x"))]);
    let why = "it ends as `app --serve`, but the script writes /var/lib/app/conf, which the volume at /var/lib/app hides";
    assert!(stays(&plan).contains(why), "{}", stays(&plan));
    assert!(plan.baked.is_empty());
}

#[test]
fn all_that_the_server_needs_is_baked_or_nothing() {
    let plan = plan(
        &runs(&[CONF, "/srv/data/id"]),
        vec![told(CONF, "0644", text("x")), told("/srv/data/id", "0644", Holds::Untold(Untold::Differs))],
    );
    assert!(stays(&plan).contains("it reads /srv/data/id, which the script writes"), "{}", stays(&plan));
    assert!(plan.baked.is_empty());
}

#[test]
fn what_the_machine_or_the_day_may_have_answered_is_not_baked() {
    let asks = |words: &[&str]| {
        let program = Runs::program(0, &format!("/usr/bin/{}", words[0]), words);
        let mut runs = runs(&[CONF]);
        runs.events.insert(0, (1, Act::Exec(Box::new(program))));
        stays(&plan(&runs, vec![told(CONF, "0644", text("x"))])).to_owned()
    };
    assert!(asks(&["date", "+%F"]).contains("the script asks the day (`date +%F`)"));
    assert!(asks(&["nproc"]).contains("the script asks the machine (`nproc`)"));
    assert!(asks(&["uname", "-r"]).contains("the script asks the machine (`uname -r`)"));
    // Two runs differ in the second, and of one platform all machines say the same.
    for words in [["date", "+%s"], ["uname", "-m"]] {
        assert_eq!(asks(&words), "the shell goes", "{words:?}");
    }
    let mut reads = runs(&[CONF]);
    reads.events.push((1, Act::Exec(Box::new(Runs::program(0, "/usr/bin/cat", &["cat", "/proc/cpuinfo"])))));
    reads.events.push((1, opened("/proc/cpuinfo")));
    let plan = plan(&reads, vec![told(CONF, "0644", text("x"))]);
    assert!(stays(&plan).contains("the script asks the machine (/proc/cpuinfo)"), "{}", stays(&plan));
}

#[test]
fn mode_that_the_script_sets_is_the_images_mode() {
    let runs = Runs { events: vec![(1, wrote(CONF, How::Mode)), (0, opened(CONF))], ..Runs::default() };
    let watched = profile(&runs, vec![told(CONF, "0600", Holds::Image)]);
    let image = traced::image().watched(watched);
    let plan = image.plan();
    assert_eq!(stays(&plan), "the shell goes");
    let rootfs = crate::fixture::after(&image.layers, &plan);
    let entry = rootfs.entry(&path(CONF)).unwrap();
    assert_eq!((entry.mode, entry.uid, entry.gid), (0o440, 0, 33), "the server read it, and others do not");
    assert_eq!(image.text_after(CONF), "x");
}

#[test]
fn links_that_the_script_makes_are_in_the_image_with_what_they_lead_to() {
    // As `ln -sf` does: under a name of chance, which is then renamed.
    let events = vec![
        (1, wrote("/etc/XXXXXX", How::Linked)),
        (1, wrote("/etc/XXXXXX", How::RenamedAway)),
        (1, wrote("/etc/log", How::RenamedHere)),
        (1, wrote("/etc/helped", How::Linked)),
    ];
    let runs = Runs { events, ..Runs::default() };
    let link = |path: &str, target: &str| told(path, "0777", Holds::Link(target.into()));
    let prepared = vec![link("/etc/log", "/dev/stdout"), link("/etc/helped", "../usr/bin/helper")];
    let image = traced::image().watched(profile(&runs, prepared));
    let plan = image.plan();
    assert_eq!(stays(&plan), "the shell goes");
    let rootfs = crate::fixture::after(&image.layers, &plan);
    let target = |name: &str| match &rootfs.entry(&path(name)).unwrap().kind {
        kiln::rootfs::Kind::Symlink(target) => String::from_utf8_lossy(target).into_owned(),
        other => panic!("{name} is {other:?}"),
    };
    assert_eq!(
        (target("/etc/log"), target("/etc/helped")),
        ("/dev/stdout".into(), "../usr/bin/helper".into())
    );
    assert!(rootfs.node(&path("/usr/bin/helper")).is_some(), "the link leads to it");
    let finding = plan.findings.iter().find(|finding| finding.subject == "/etc/log").unwrap();
    assert_eq!(
        finding.message,
        "`/usr/bin/mkdir` made it alike in 2 runs: the image has this link to `/dev/stdout`"
    );
    // One that the image has already is nothing new, and in place of a file there is none.
    let events = vec![(1, wrote("/usr/bin/sh", How::RenamedHere)), (1, wrote(CONF, How::RenamedHere))];
    let runs = Runs { events, ..Runs::default() };
    let plan = self::plan(&runs, vec![link("/usr/bin/sh", "dash"), link(CONF, "/dev/null")]);
    let why = "it may read /etc/app.conf, which the script writes: it is a link, and the image has something else there";
    assert!(stays(&plan).contains(why), "{}", stays(&plan));
}

#[test]
fn link_that_nobody_told_of_keeps_the_script() {
    let events = vec![
        (1, wrote("/run/app/XXXXXX", How::Linked)),
        (1, wrote("/run/app/XXXXXX", How::RenamedAway)),
        (1, wrote("/run/app/log", How::RenamedHere)),
        (1, wrote("/run/app/other", How::RenamedHere)),
    ];
    let runs = Runs { events, ..Runs::default() };
    let plan = plan(&runs, vec![told("/run/app/other", "0777", Holds::Link("/dev/stdout".into()))]);
    assert!(stays(&plan).contains("the script makes a link, /run/app/XXXXXX"), "{}", stays(&plan));
}

#[test]
fn what_the_script_removes_goes_and_is_not_hidden() {
    let runs = Runs { events: vec![(1, wrote(CONF, How::Removed))], ..Runs::default() };
    let image = traced::image().watched(profile(&runs, vec![]));
    let plan = image.plan();
    assert_eq!(stays(&plan), "the shell goes");
    let removed = plan.removed.iter().find(|removed| removed.path == path(CONF)).unwrap();
    assert_eq!(removed.reason, kiln::plan::Reason::RemovedAtStart);
    assert!(crate::fixture::after(&image.layers, &plan).node(&path(CONF)).is_none());
    let why = &plan.entrypoint.lowerings.first().unwrap().why;
    assert!(why.ends_with("removed in the image: /etc/app.conf"), "{why}");
    // In one of the runs only.
    let mut once = profile(&runs, vec![]);
    once.written.iter_mut().filter(|written| written.path == CONF).for_each(|written| written.runs = 1);
    let plan = traced::image().watched(once).plan();
    assert!(
        stays(&plan).contains("removes /etc/app.conf of the image: only some runs did"),
        "{}",
        stays(&plan)
    );
}
