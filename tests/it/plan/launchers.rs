//! Watched starts that go through a package manager, end in a server that starts a shell itself, or make directories below a
//! volume.
//!
//! The runs are events as a watcher tells them; no process is started.

use kiln::finding::Code;
use kiln::path::ImagePath;
use kiln::plan::{Level, Made, Plan};
use kiln::profile::{
    Act, Bind, Builder, Context, End, Event, How, Image, Phase, Profile, Program, Protocol, Start,
};

use super::traced::{Runs, image, opened, path, wrote};
use super::{ELF, debian};

/// Two runs, in each of which this happens; `words` are the config's.
fn watched(words: &[&str], cwd: &str, events: impl Fn() -> Vec<(u32, Act)>) -> Profile {
    let run = || {
        let mut builder = Builder::default();
        for (process, act) in events() {
            let phase = match &act {
                Act::Ended(End::Signal(_)) => Phase::Shutdown,
                Act::Ended(_) => Phase::Steady,
                _ => Phase::StartUp,
            };
            builder.take(Event { process, phase, act });
        }
        builder.finish(Context {
            image: Image { chain_id: String::new(), config: String::new(), platform: String::new() },
            start: Start {
                argv: words.iter().map(|word| (*word).to_owned()).collect(),
                cwd: cwd.into(),
                user: String::new(),
                env: Vec::new(),
                mounts: Vec::new(),
                exercises: Vec::new(),
            },
            observed: None,
        })
    };
    Profile::merge(vec![run(), run()]).unwrap()
}

fn born(parent: Option<u32>) -> Act {
    Act::Born { parent }
}

fn exec(called: &str, file: &str, interpreter: Option<&str>, words: &[&str]) -> Act {
    Act::Exec(Box::new(Program {
        path: path(called),
        interpreter: interpreter.map(path),
        ..Runs::program(0, file, words)
    }))
}

fn listens() -> Act {
    Act::Listens(Bind { protocol: Protocol::Tcp, address: "0.0.0.0".to_owned(), port: 3000 })
}

fn residual(plan: &Plan, file: &str) -> Option<String> {
    plan.residual.iter().find(|residual| residual.path == path(file)).map(|residual| residual.why.clone())
}

#[test]
fn server_that_a_package_manager_starts_through_a_shell_starts_without_both() {
    let words = ["npm", "start"];
    let manager = "/usr/share/nodejs/npm/bin/npm-cli.js";
    let fixture = || {
        debian(&format!(
        "/usr/bin/node {ELF}\n/usr/bin/env {ELF}\n{manager} f 0755 \"#!/usr/bin/env node\\n\"\n/usr/bin/npm l {manager}\n\
        /app/server.js f \"x\"\n/app/package.json f \"x\"\n/root d 0700\n\
        package nodejs needs=libc6 has=/usr/bin/node\npackage npm has={manager},/usr/bin/npm"
    ))
        .cmd(&words).working_dir("/app")
    };
    let at = |called: &str, file: &str, interpreter: Option<&str>, words: &[&str]| match exec(
        called,
        file,
        interpreter,
        words,
    ) {
        Act::Exec(program) => Act::Exec(Box::new(Program { cwd: path("/app"), ..*program })),
        other => other,
    };
    let events = |log: &'static str, signal: i32| {
        move || {
            let mut server = Runs::program(0, "/usr/bin/node", &["node", "server.js"]);
            server.cwd = path("/app");
            server.env.push(b"npm_lifecycle_event=start".to_vec());
            vec![
                (0, born(None)),
                (0, at("/usr/bin/npm", manager, Some("/usr/bin/env"), &words)),
                (0, at("/usr/bin/node", "/usr/bin/node", None, &["node", "/usr/bin/npm", "start"])),
                (0, wrote("/root/.npm/_logs", How::Directory)),
                (0, wrote(log, How::Created)),
                (1, born(Some(0))),
                (1, exec("/bin/sh", "/usr/bin/dash", None, &["sh", "-c", "node server.js"])),
                (2, born(Some(1))),
                (2, Act::Exec(Box::new(server))),
                (2, opened("/app/server.js")),
                (2, listens()),
                (2, Act::Ended(End::Signal(signal))),
            ]
        }
    };
    let plan = fixture().watched(watched(&words, "/app", events("/root/.npm/_logs/debug.log", 9))).plan();
    let told: Vec<&str> = plan.findings.iter().map(|finding| finding.message.as_str()).collect();
    assert_eq!(plan.entrypoint.argv, ["node", "server.js"], "{told:?}");
    assert_eq!(plan.entrypoint.env, [("npm_lifecycle_event".to_owned(), "start".to_owned())]);
    assert_eq!((residual(&plan, "/usr/bin/dash"), residual(&plan, "/usr/bin/npm")), (None, None));
    assert!(!plan.writable.iter().any(|declared| declared.path.is_within(&path("/root"))));
    // What it leaves elsewhere may be for the server.
    let plan = fixture().watched(watched(&words, "/app", events("/app/built.js", 9))).plan();
    let stays = plan.findings.iter().find(|finding| finding.code == Code::ShellStays).unwrap();
    assert!(stays.message.contains("it may read /app/built.js"), "{}", stays.message);
    // As the first process it would ignore the signal that ends it here.
    let plan = fixture().watched(watched(&words, "/app", events("/root/.npm/_logs/debug.log", 15))).plan();
    let stays = plan.findings.iter().find(|finding| finding.code == Code::ShellStays).unwrap();
    assert!(stays.message.contains("it does not catch its stop signal"), "{}", stays.message);
}

#[test]
fn shell_of_a_server_that_starts_it_at_every_start_is_all_that_stays() {
    let fixture = || {
        debian(&format!(
        "/usr/sbin/varnishd {ELF}\n/usr/bin/gcc {ELF}\n/usr/bin/bash {ELF}\n/entry.sh f 0755 \"#!/bin/sh\\nexec \\x22$@\\x22 -F\\n\"\n\
        /etc/job.conf f \"command=/usr/bin/gcc\"\npackage varnish needs=libc6 has=/usr/sbin/varnishd\npackage gcc needs=libc6 has=/usr/bin/gcc\n\
        package bash needs=libc6 has=/usr/bin/bash"
    ))
        .entrypoint(&["/entry.sh"]).cmd(&["varnishd"])
    };
    let profile = watched(&["/entry.sh", "varnishd"], "/", || {
        vec![
            (0, born(None)),
            (0, exec("/entry.sh", "/entry.sh", Some("/usr/bin/dash"), &["/entry.sh", "varnishd"])),
            (0, exec("/usr/sbin/varnishd", "/usr/sbin/varnishd", None, &["varnishd", "-F"])),
            (1, born(Some(0))),
            (1, exec("/bin/sh", "/usr/bin/dash", None, &["sh", "-c", "true"])),
            (1, Act::Ended(End::Exit(0))),
            (0, listens()),
        ]
    });
    let plan = fixture().watched(profile).plan();
    assert_eq!((plan.level, plan.entrypoint.argv.join(" ")), (Level::Distroless, "varnishd -F".to_owned()));
    let why = residual(&plan, "/usr/bin/dash").unwrap();
    assert!(
        why.starts_with("`/usr/sbin/varnishd` executed it while it was watched: at its start; it compiles"),
        "{why}"
    );
    assert_eq!((residual(&plan, "/usr/bin/gcc"), residual(&plan, "/usr/bin/bash")), (None, None));
    // Nobody has seen what it starts: all that it may start stays.
    let unseen = fixture().plan();
    assert_eq!(unseen.level, Level::Strip);
    assert!(residual(&unseen, "/usr/bin/gcc").is_some());
}

#[test]
fn directories_that_a_script_makes_below_a_volume_are_made_in_it() {
    let events = vec![
        (1, wrote("/var/lib/app", How::Directory)),
        (1, wrote("/var/lib/app/a", How::Directory)),
        (1, wrote("/var/lib/app/a/b", How::Directory)),
        (0, wrote("/var/lib/app/state", How::Created)),
    ];
    let plan = image().watched(Runs { events, ..Runs::default() }.profile()).plan();
    let below = path("/var/lib/app");
    let declared: Vec<_> = plan.writable.iter().filter(|declared| declared.path.is_within(&below)).collect();
    assert_eq!(declared.iter().map(|declared| &declared.path).collect::<Vec<_>>(), [&below]);
    assert!(declared[0].seeded);
    let addition = |at: &ImagePath| plan.additions.iter().find(|addition| addition.path == *at);
    assert!(addition(&path("/var/lib/app/a/b")).is_some_and(|addition| addition.made == Made::Directory));
    let table = addition(&path("/.kiln/seeds")).map(|addition| &addition.made).unwrap();
    let Made::File(table) = table else { unreachable!("a table is a file") };
    let table = String::from_utf8_lossy(table).replace('\0', "\n");
    assert!(table.contains("T 0755 /var/lib/app\nd 0755 a\nd 0755 a/b\n"), "{table}");
}

#[test]
fn process_number_of_a_script_is_none_of_the_servers() {
    let events = |name: &str| {
        vec![
            (1, wrote(name, How::Created)),
            (1, wrote(name, How::Removed)),
            (0, opened(name)),
            (0, wrote(name, How::Created)),
        ]
    };
    let verdict = |name| {
        let plan = image().watched(Runs { events: events(name), ..Runs::default() }.profile()).plan();
        plan.findings.iter().all(|finding| finding.code != Code::ShellStays)
    };
    assert!(verdict("/run/app/app.pid"));
    assert!(verdict("/var/log/app.log"));
    assert!(!verdict("/run/app/app.conf"));
    assert!(!verdict("/etc/app.pid"));
}
