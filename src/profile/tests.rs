//! Tests of `profile`: events in, documents out.

use super::*;
use crate::path::{Escaped, ImagePath};

fn path(text: &str) -> ImagePath {
    ImagePath::literal(text)
}

/// A program with the environment `env`, run as `argv`.
fn program(file: &str, argv: &[&str], env: &[&str]) -> Act {
    let bytes = |words: &[&str]| words.iter().map(|word| word.as_bytes().to_vec()).collect();
    Act::Exec(Box::new(Program {
        path: path(file),
        file: path(file),
        interpreter: None,
        argv: bytes(argv),
        env: bytes(env),
        cwd: ImagePath::root(),
        uid: 0,
        gid: 0,
        groups: vec![4, 1, 4],
        umask: 0o22,
    }))
}

fn wrote(file: &str, how: How) -> Act {
    Act::Wrote(path(file), how)
}

fn failed(call: &'static str, subject: &str, errno: i32) -> Act {
    Act::Failed { call, subject: Escaped::new(subject.as_bytes()), errno }
}

/// A start by a script: it makes a directory, changes an owner, and becomes the server, whose threads start these workers.
fn run(workers: [&str; 2]) -> Builder {
    let mut builder = Builder::default();
    let mut tell = |process, phase, act| builder.take(Event { process, phase, act });
    let (start, steady) = (Phase::StartUp, Phase::Steady);
    tell(0, start, Act::Born { parent: None });
    tell(
        0,
        start,
        program("/entry.sh", &["/entry.sh", "server"], &["PATH=/bin", "HOME=/root", "PATH=/late"]),
    );
    tell(0, start, Act::Opened(path("/entry.sh")));
    tell(1, start, Act::Born { parent: Some(0) });
    tell(1, start, program("/bin/mkdir", &["mkdir", "/run/app"], &[]));
    tell(1, start, wrote("/run/app", How::Directory));
    tell(1, start, Act::Ended(End::Exit(0)));
    tell(2, start, Act::Born { parent: Some(0) });
    tell(2, start, program("/bin/chown", &["chown", "app", "/run/app"], &[]));
    tell(2, start, wrote("/run/app", How::Owner));
    tell(2, start, Act::Ended(End::Exit(0)));
    tell(0, start, program("/app/server", &["server"], &["HOME=/app"]));
    tell(0, start, Act::Mapped(path("/lib/libc.so.6")));
    tell(0, start, Act::Threaded);
    for worker in [3, 4] {
        tell(worker, start, Act::Born { parent: Some(0) });
    }
    for (worker, name) in [3, 4].into_iter().zip(workers) {
        tell(worker, start, program(name, &[name], &[]));
        tell(worker, steady, wrote("/run/app/log", How::Opened));
    }
    tell(0, start, Act::Listens(Bind { protocol: Protocol::Tcp, address: "0.0.0.0".into(), port: 8080 }));
    tell(0, steady, failed("openat", "/etc/\x1bapp", 30));
    tell(0, Phase::Shutdown, Act::Ended(End::Signal(15)));
    builder
}

fn context() -> Context {
    Context {
        image: Image {
            chain_id: format!("sha256:{}", "a".repeat(64)),
            config: format!("sha256:{}", "b".repeat(64)),
            platform: "linux/amd64".into(),
        },
        start: Start {
            argv: vec!["/entry.sh".into(), "server".into()],
            cwd: "/".into(),
            user: String::new(),
            env: Vec::new(),
            mounts: Vec::new(),
            exercises: Vec::new(),
        },
        observed: None,
    }
}

pub(crate) fn profile() -> Profile {
    run(["/app/a", "/app/b"]).finish(context())
}

#[test]
fn document_holds_to_its_schema_and_reads_back_equal() {
    let mut profile = profile();
    let ready = Ready { probe: Probe::Http { port: 8080, path: "/".into() }, after_ms: 71 };
    profile.observed.push(Observed { ready: Some(ready), ..Observed::default() });
    let text = profile.render();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let schema = serde_json::from_str(&schema()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(Profile::parse(&text).unwrap(), profile);
    for (pointer, bad) in [
        ("/runs", serde_json::json!(0)),
        ("/written/0/how", serde_json::json!([])),
        ("/processes/0/execs/0/umask", serde_json::json!("22")),
        ("/sockets/0/bind/protocol", serde_json::json!("sctp")),
    ] {
        let mut value = value.clone();
        *value.pointer_mut(pointer).unwrap() = bad;
        assert!(!validator.is_valid(&value), "{pointer}");
    }
}

#[test]
fn order_of_arrival_does_not_show_where_threads_made_it() {
    let of = |workers| run(workers).finish(context()).render();
    assert_eq!(of(["/app/a", "/app/b"]), of(["/app/b", "/app/a"]));
}

#[test]
fn children_of_a_script_stand_in_the_order_it_started_them() {
    let profile = profile();
    let told: Vec<_> = profile
        .processes
        .iter()
        .map(|process| {
            let last = process.execs.last().map_or("", |exec| exec.path.as_str());
            (process.parent, last)
        })
        .collect();
    assert_eq!(
        told,
        [
            (None, "/app/server"),
            (Some((0, 1)), "/bin/mkdir"),
            (Some((0, 1)), "/bin/chown"),
            (Some((0, 2)), "/app/a"),
            (Some((0, 2)), "/app/b"),
        ]
    );
}

#[test]
fn who_did_something_is_the_program_that_it_was_then() {
    let profile = profile();
    let by = |path: &str| profile.written.iter().find(|written| written.path == path).unwrap();
    let actor = |process, exec, phase| Actor { process, exec, phase };
    let directory = by("/run/app");
    assert_eq!(directory.how, [How::Directory, How::Owner]);
    assert_eq!(directory.by, [actor(1, 1, Phase::StartUp), actor(2, 1, Phase::StartUp)]);
    assert_eq!(by("/run/app/log").by, [actor(3, 1, Phase::Steady), actor(4, 1, Phase::Steady)]);
    assert_eq!(profile.mapped[0].by, [actor(0, 2, Phase::StartUp)]);
    assert_eq!(profile.failures[0].error, "EROFS");
    assert_eq!(profile.failures[0].subject, "/etc/\\x1bapp");
    let ending = Ending { end: End::Signal(15), phase: Phase::Shutdown, runs: 1 };
    assert_eq!(profile.endings, [ending]);
}

#[test]
fn first_of_two_variables_of_one_name_counts_and_groups_are_a_set() {
    let exec = &profile().processes[0].execs[0];
    assert_eq!(exec.groups, [1, 4]);
    let env: Vec<_> = exec.env.iter().map(|v| (v.name.as_str(), v.values[0].as_str())).collect();
    assert_eq!(env, [("HOME", "/root"), ("PATH", "/bin")]);
}

#[test]
fn processes_alike_are_one_with_all_their_environments() {
    let mut builder = Builder::default();
    let mut tell = |process, act| builder.take(Event { process, phase: Phase::StartUp, act });
    tell(0, Act::Born { parent: None });
    tell(0, program("/server", &["server"], &[]));
    for worker in 1..4 {
        tell(worker, Act::Born { parent: Some(0) });
        tell(worker, program("/worker", &["worker"], &[&format!("N={}", worker % 2), "A=1"]));
        tell(worker, wrote(&format!("/tmp/{worker}"), How::Created));
    }
    let profile = builder.finish(context());
    assert_eq!(profile.processes.len(), 2);
    let env = &profile.processes[1].execs[0].env;
    assert_eq!(env[1], EnvVar { name: "N".into(), values: vec!["0".into(), "1".into()], always: true });
    assert!(profile.written.iter().all(|written| written.by[0].process == 1));
}

#[test]
fn what_is_found_elsewhere_was_not_missing() {
    let mut builder = Builder::default();
    let mut tell = |process, act| builder.take(Event { process, phase: Phase::StartUp, act });
    tell(0, Act::Born { parent: None });
    for directory in ["/usr/local/bin", "/usr/bin"] {
        tell(0, Act::Missed { call: "execve", path: path(directory).child(b"app") });
    }
    tell(0, Act::Missed { call: "openat", path: path("/usr/lib/libz.so.1") });
    tell(0, Act::Missed { call: "openat", path: path("/usr/lib/libnone.so.2") });
    tell(0, program("/bin/app", &["app"], &[]));
    tell(0, Act::Found(b"libz.so.1".to_vec()));
    tell(0, Act::Searched);
    assert_eq!(builder.searches(), 5);
    let profile = builder.finish(context());
    let told: Vec<_> = profile.failures.iter().map(|f| (f.subject.as_str(), f.error.as_str())).collect();
    assert_eq!(told, [("/usr/lib/libnone.so.2", "ENOENT")]);
}

#[test]
fn merged_profiles_are_the_union_with_counts() {
    let one = profile();
    let mut builder = run(["/app/a", "/app/b"]);
    builder.take(Event { process: 0, phase: Phase::Steady, act: wrote("/data/x", How::Created) });
    let mut other = builder.finish(context());
    other.processes[0].execs[1].env[0].values = vec!["/other".into()];
    other.start.exercises = vec!["./load".into()];
    other.syscalls = vec!["read".into(), "sendfile".into()];
    let one = Profile { syscalls: vec!["read".into(), "accept".into()], ..one };
    let merged = Profile::merge(vec![one.clone(), other, one.clone()]).unwrap();
    assert_eq!((merged.runs, merged.processes.len()), (3, 5));
    assert!(merged.processes.iter().all(|process| process.runs == 3));
    let runs = |path: &str| merged.written.iter().find(|written| written.path == path).map(|w| w.runs);
    assert_eq!((runs("/data/x"), runs("/run/app")), (Some(1), Some(3)));
    let home = EnvVar { name: "HOME".into(), values: vec!["/app".into(), "/other".into()], always: true };
    assert_eq!(merged.processes[0].execs[1].env, [home]);
    assert_eq!(merged.endings[0].runs, 3);
    assert_eq!(merged.start.exercises, ["./load"]);
    assert_eq!(merged.syscalls, ["accept", "read", "sendfile"]);

    let mut alien = one.clone();
    alien.image.chain_id = "sha256:other".into();
    assert!(matches!(Profile::merge(vec![one, alien]), Err(MergeError::Image { .. })));
    assert_eq!(Profile::merge(Vec::new()), Err(MergeError::None));
}

#[test]
fn merging_with_itself_changes_counts_only() {
    let one = profile();
    let mut twice = Profile::merge(vec![one.clone(), one.clone()]).unwrap();
    assert_ne!(twice, one);
    let once = |runs: &mut u32| *runs /= 2;
    once(&mut twice.runs);
    twice.processes.iter_mut().for_each(|entry| once(&mut entry.runs));
    twice.written.iter_mut().for_each(|entry| once(&mut entry.runs));
    twice.sockets.iter_mut().for_each(|entry| once(&mut entry.runs));
    twice.failures.iter_mut().for_each(|entry| once(&mut entry.runs));
    twice.endings.iter_mut().for_each(|entry| once(&mut entry.runs));
    for list in [&mut twice.executed, &mut twice.opened, &mut twice.mapped] {
        for entry in list {
            once(&mut entry.runs);
        }
    }
    assert_eq!(twice, one);
}

#[test]
fn names_made_by_chance_do_not_make_two_profiles_differ() {
    let of = |names: [&str; 2]| {
        let mut builder = Builder::default();
        let mut tell = |process, act| builder.take(Event { process, phase: Phase::StartUp, act });
        tell(0, Act::Born { parent: None });
        tell(0, program("/entry.sh", &["/entry.sh"], &[]));
        for (process, name) in [1, 2].into_iter().zip(names) {
            let made = format!("/run/app.{name}");
            tell(process, Act::Born { parent: Some(0) });
            tell(process, Act::MadePrivate(path(&made)));
            tell(process, wrote(&made, How::Directory));
            tell(process, wrote(&format!("{made}/conf"), How::Created));
            tell(process, program("/bin/mv", &["mv", &made, "/run/app"], &[&format!("FROM={made}")]));
            tell(process, failed("mkdir", &format!("{made}/x"), 13));
            tell(process, wrote(&made, How::RenamedAway));
        }
        builder.finish(context())
    };
    let one = of(["lnNrXr", "a1vmRh"]);
    assert_eq!(one.render(), of(["x4LfTU", "abcdef"]).render());
    assert_eq!(one.chance, ["/run/app.XXXXXX"]);
    let written: Vec<_> = one.written.iter().map(|written| written.path.as_str()).collect();
    assert_eq!(written, ["/run/app.XXXXXX", "/run/app.XXXXXX/conf"]);
    assert_eq!(one.failures[0].subject, "/run/app.XXXXXX/x");
    assert_eq!(one.processes[1].execs[0].argv, ["mv", "/run/app.XXXXXX", "/run/app"]);
    let merged = Profile::merge(vec![one.clone(), of(["x4LfTU", "abcdef"])]).unwrap();
    assert_eq!((merged.written[0].runs, merged.chance), (2, one.chance));
}

#[test]
fn loop_that_forks_and_fails_does_not_grow_the_profile_for_ever() {
    let mut builder = Builder::default();
    let mut tell = |process, act| builder.take(Event { process, phase: Phase::Steady, act });
    tell(0, Act::Born { parent: None });
    for process in 1..30_000 {
        tell(process, Act::Born { parent: Some(process - 1) });
        tell(process, program(&format!("/p{process}"), &[], &[]));
        tell(process, failed("mkdir", &format!("/d{process}"), 13));
    }
    let profile = builder.finish(context());
    assert_eq!(profile.failures.len(), 10_000);
    assert_eq!(profile.processes.len(), 20_000);
    assert_eq!(profile.cut, ["failures", "processes"]);
}

#[test]
fn other_versions_and_other_documents_are_refused() {
    let later = profile().render().replacen("\"schema_version\": 1", "\"schema_version\": 2", 1);
    assert!(matches!(Profile::parse(&later), Err(ParseProfileError::Version(2))));
    assert!(matches!(Profile::parse("{}"), Err(ParseProfileError::Shape(_))));
}

#[test]
fn of_what_programs_left_behind_only_that_is_told_which_is_alike_in_all_runs() {
    let left = |path: &str, mode: &str, holds: Holds| Prepared {
        path: path.into(),
        mode: mode.into(),
        uid: 0,
        gid: 0,
        holds,
        runs: 1,
    };
    let text = |text: &str| Holds::Text(text.into());
    let with = |prepared: Vec<Prepared>| Profile { prepared, ..profile() };
    let one = with(vec![
        left("/a", "0644", text("same")),
        left("/b", "0644", text("one")),
        left("/c", "0644", text("same")),
        left("/d", "0644", Holds::Untold(Untold::Secret)),
        left("/e", "0644", text("only here")),
    ]);
    let other = with(vec![
        left("/a", "0644", text("same")),
        left("/b", "0644", text("other")),
        left("/c", "0600", text("same")),
        left("/d", "0644", text("now not")),
    ]);
    let told = |profiles| -> Vec<_> {
        let merged = Profile::merge(profiles).unwrap();
        let told = merged.prepared.into_iter();
        told.map(|left| (left.path, left.holds, left.runs)).collect()
    };
    let differs = || Holds::Untold(Untold::Differs);
    let expected = [
        ("/a", text("same"), 2),
        ("/b", differs(), 2),
        ("/c", differs(), 2),
        ("/d", Holds::Untold(Untold::Secret), 2),
        ("/e", text("only here"), 1),
    ];
    let expected = expected.map(|(path, holds, runs)| (path.to_owned(), holds, runs));
    assert_eq!(told(vec![one.clone(), other.clone()]), expected);
    assert_eq!(told(vec![other, one]), expected);
}

#[test]
fn short_values_are_found_as_words_and_long_ones_anywhere() {
    for (text, value, is_in) in [
        ("workers 1;", "1", true),
        ("port 8081", "1", false),
        ("x=on\n", "on", true),
        ("connection", "on", false),
        ("http://example.org/", "example", true),
    ] {
        assert_eq!(has_word(text, value), is_in, "{value} in {text}");
    }
    assert!(
        has_private_key("x\n -----BEGIN EC PRIVATE KEY-----\n")
            && !has_private_key("-----BEGIN CERTIFICATE-----")
    );
}
