//! Images that were watched: what a script's shell makes way for, and what keeps it.
//!
//! The runs are events as a watcher tells them; no process is started.

use expect_test::expect;
use kiln::finding::Code;
use kiln::path::ImagePath;
use kiln::profile::{
    Act, Bind, Builder, Context, End, Event, How, Image, Phase, Profile, Program, Protocol, Start,
};

use super::{ELF, debian};
use crate::fixture::Fixture;

const SCRIPT: &str =
    "#!/bin/sh\\nmkdir -p /run/app\\nif [ \\x22$MODE\\x22 ]; then cat /etc/motd; fi\\nexec \\x22$@\\x22\\n";

/// What the runs were given, where they were given something.
pub(super) const GIVEN: &[&str] = &["GIVEN=given-value"];

pub(super) fn image() -> Fixture {
    debian(&format!(
        "/usr/bin/app {ELF}\n/usr/bin/helper {ELF}\n/entry.sh f 0755 \"{SCRIPT}\"\n/etc/app.conf f \"x\"\n/run d\n/var/lib d\n/usr/share/app/data f \"d\"\n\
        package app needs=libc6 has=/usr/bin/app,/usr/share/app/data\npackage helper needs=libc6 has=/usr/bin/helper"
    ))
    .entrypoint(&["/entry.sh"])
    .cmd(&["app", "--serve"])
}

/// Runs of [`image`]: a script that makes a directory and becomes the server. Each may do more.
pub(super) struct Runs {
    pub(super) events: Vec<(u32, Act)>,
    pub(super) env: [&'static [&'static str]; 2],
    pub(super) words: &'static [&'static str],
    pub(super) cwd: &'static str,
    pub(super) umask: u32,
    pub(super) uid: u32,
    pub(super) count: u32,
    /// Whether the script's program is still there when the server is ready.
    pub(super) stays: bool,
    /// What the user of the runs gave them.
    pub(super) given: &'static [&'static str],
}

impl Default for Runs {
    fn default() -> Self {
        Self {
            events: Vec::new(),
            env: [&["PATH=/usr/bin"]; 2],
            words: &["app", "--serve"],
            cwd: "/",
            umask: 0o22,
            uid: 33,
            count: 2,
            stays: false,
            given: &[],
        }
    }
}

pub(super) fn path(text: &str) -> ImagePath {
    ImagePath::literal(text)
}

pub(super) fn wrote(text: &str, how: How) -> Act {
    Act::Wrote(path(text), how)
}

fn listens(address: &str, port: u16) -> Act {
    Act::Listens(Bind { protocol: Protocol::Tcp, address: address.to_owned(), port })
}

pub(super) fn opened(text: &str) -> Act {
    Act::Opened(path(text))
}

impl Runs {
    pub(super) fn program(run: usize, file: &str, words: &[&str]) -> Program {
        Program {
            path: path(file),
            file: path(file),
            interpreter: (file == "/entry.sh").then(|| path("/usr/bin/dash")),
            argv: words.iter().map(|word| word.as_bytes().to_vec()).collect(),
            env: vec![b"PATH=/usr/bin".to_vec(), format!("HOSTNAME=kiln-{run}").into_bytes()],
            cwd: ImagePath::root(),
            uid: 0,
            gid: 0,
            groups: Vec::new(),
            umask: 0o22,
        }
    }

    /// One run: 0 is the script and then the server, 1 a program of the script's, 2 one of the server's.
    fn run(&self, run: usize) -> Profile {
        let mut builder = Builder::default();
        let mut tell = |process, act| builder.take(Event { process, phase: Phase::StartUp, act });
        tell(0, Act::Born { parent: None });
        tell(0, Act::Exec(Box::new(Self::program(run, "/entry.sh", &["/entry.sh", "app", "--serve"]))));
        tell(1, Act::Born { parent: Some(0) });
        tell(1, Act::Exec(Box::new(Self::program(run, "/usr/bin/mkdir", &["mkdir", "-p", "/run/app"]))));
        tell(1, wrote("/run/app", How::Directory));
        for (_, act) in self.events.iter().filter(|(process, _)| *process == 1) {
            tell(1, act.clone());
        }
        if !self.stays {
            tell(1, Act::Ended(End::Exit(0)));
        }
        let mut env: Vec<Vec<u8>> = self.env[run % 2].iter().map(|pair| pair.as_bytes().to_vec()).collect();
        env.push(format!("HOSTNAME=kiln-{run}").into_bytes());
        let server = Self::program(run, "/usr/bin/app", self.words);
        let (cwd, umask, uid) = (path(self.cwd), self.umask, self.uid);
        tell(
            0,
            Act::Exec(Box::new(Program { env, cwd, umask, uid, gid: uid, groups: vec![uid, 44], ..server })),
        );
        tell(0, opened("/run/app"));
        tell(0, listens("0.0.0.0", 8080));
        tell(2, Act::Born { parent: Some(0) });
        for (process, act) in self.events.iter().filter(|(process, _)| *process != 1) {
            tell(*process, act.clone());
        }
        let words = ["/entry.sh", "app", "--serve"].map(str::to_owned).to_vec();
        builder.finish(Context {
            image: Image { chain_id: String::new(), config: String::new(), platform: String::new() },
            start: Start {
                argv: words,
                cwd: "/".into(),
                user: String::new(),
                env: self.given.iter().map(|&pair| pair.to_owned()).collect(),
                mounts: Vec::new(),
                exercises: Vec::new(),
            },
            observed: None,
        })
    }

    pub(super) fn profile(&self) -> Profile {
        Profile::merge((0..self.count as usize).map(|run| self.run(run)).collect()).unwrap()
    }

    /// Why the shell stays, or the words that start instead.
    pub(super) fn verdict(&self) -> String {
        let plan = image().watched(self.profile()).plan();
        let stays = plan.findings.iter().find(|finding| finding.code == Code::ShellStays);
        stays.map_or_else(|| plan.entrypoint.argv.join(" "), |finding| finding.message.clone())
    }
}

#[test]
fn script_that_ends_as_a_server_makes_way_for_it() {
    image()
        .watched(Runs::default().profile())
        .shows("start user gone residual writable serves findings", &expect![[r#"
            start ["app", "--serve"]
              Program /usr/bin/app
            user 33:33 [44] www-data Trace
            gone /entry.sh: script of /usr/bin/dash
            gone /usr/bin/cat: Utility
            gone /usr/bin/dash: Shell
            gone /usr/bin/dpkg: PackageManager
            gone /usr/bin/env: Utility
            gone /usr/bin/helper: UnneededPackage
            gone /usr/bin/sh: Shell
            writable /run/app Absent 0755 33:33
            recipes 
            port 8080 http
            probe None
            medium KN036 /entry.sh: it read MODE at each start, and is not started any more: a deployment that sets one for it has to set it in the image before it is hardened
            low KN007 /usr/bin/dash: 1 of its scripts went with it: /entry.sh
            low KN030 /usr/bin/app: no recipe knows it: what it writes is what it wrote while it was watched, and what the image says
            info KN002 /entry.sh app --serve: replaced by `app --serve`: 2 runs ended as this, and it read nothing that the script makes
            info KN015 33:33: the image ran as `root`, and now as www-data (33:33): the server ran as it when it was watched
        "#]]);
}

#[test]
fn what_the_script_adds_to_the_environment_is_added_to_the_image() {
    let env: &[&str] = &["PATH=/usr/bin", "LANG=C.UTF-8", "SHLVL=1", "PWD=/", "HOME=/var/www"];
    let runs = Runs { env: [env; 2], ..Runs::default() };
    let plan = image().watched(runs.profile()).plan();
    assert_eq!(plan.entrypoint.env, [("LANG".to_owned(), "C.UTF-8".to_owned())]);
    assert_eq!(runs.verdict(), "app --serve");
}

#[test]
fn shell_stays_where_runs_do_not_say_for_certain_what_to_start_instead() {
    let both = |env: &'static [&'static str]| [env; 2];
    for (runs, why) in [
        (Runs { stays: true, ..Runs::default() }, "the script starts `/usr/bin/mkdir` beside it"),
        (Runs { count: 1, ..Runs::default() }, "one run does not say what is constant"),
        (
            Runs { cwd: "/var/none", ..Runs::default() },
            "in the directory /var/none, which the image does not have",
        ),
        (Runs { umask: 0o20, ..Runs::default() }, "with the umask 0020"),
        (
            Runs { words: &["app", "given-value"], given: GIVEN, ..Runs::default() },
            "with words that only the watched runs were given",
        ),
        (
            Runs { words: &["other", "--serve"], ..Runs::default() },
            "it calls /usr/bin/app by the name `other`",
        ),
        (
            Runs { env: [&["PATH=/usr/bin", "ID=1"], &["PATH=/usr/bin", "ID=2"]], ..Runs::default() },
            "with a variable that differs from run to run, `ID`",
        ),
        (
            Runs { env: [&["PATH=/usr/bin", "ID=1"], &["PATH=/usr/bin"]], ..Runs::default() },
            "with a variable that only some runs have, `ID`",
        ),
        (
            Runs { env: both(&["PATH=/usr/bin", "ADMIN_PASSWORD=x"]), ..Runs::default() },
            "with a variable that may be a secret, `ADMIN_PASSWORD`",
        ),
        (
            Runs {
                env: both(&["PATH=/usr/bin", "URL=http://given-value/"]),
                given: GIVEN,
                ..Runs::default()
            },
            "with a variable that only the watched runs were given, `URL`",
        ),
        (Runs { env: both(&["LANG=C"]), ..Runs::default() }, "without the image's variable `PATH`"),
    ] {
        let plan = image().env(&["PATH=/usr/bin"]).watched(runs.profile()).plan();
        let stays = plan.findings.iter().find(|finding| finding.code == Code::ShellStays);
        let message = stays.map_or("the shell goes", |finding| finding.message.as_str());
        assert!(
            message.contains(&format!("it ends as `{}`, but ", runs.words.join(" "))),
            "{why}: {message}"
        );
        assert!(message.contains(why), "{why}: {message}");
        assert!(plan.residual.iter().any(|residual| residual.path == path("/usr/bin/dash")), "{why}");
    }
}

#[test]
fn shell_stays_where_the_server_reads_what_the_script_makes() {
    let words: &[&str] = &["app", "--file=/tmp/app.Ab3dEf"];
    let runs = |events: Vec<(u32, Act)>| Runs { events, words, ..Runs::default() };
    for (events, why) in [
        (
            vec![(1, wrote("/etc/app.conf", How::Opened)), (0, opened("/etc/app.conf"))],
            "it reads /etc/app.conf, which the script writes",
        ),
        // The server writes it as well, later: what it read first was the script's.
        (
            vec![
                (1, wrote("/run/app/state", How::Created)),
                (0, opened("/run/app/state")),
                (0, wrote("/run/app/state", How::Opened)),
            ],
            "it reads /run/app/state, which the script writes",
        ),
        (
            vec![
                (1, wrote("/run/app/a", How::RenamedHere)),
                (1, wrote("/run/app/b", How::Created)),
                (2, opened("/run/app/a")),
                (0, Act::Mapped(path("/run/app/b"))),
            ],
            "it reads 2 files that the script writes: /run/app/a, /run/app/b",
        ),
        // Made under another name and put in its place; a tree that is moved there.
        (
            vec![(1, wrote("/etc/new", How::Linked)), (1, wrote("/etc/new", How::RenamedAway))],
            "the script makes a link, /etc/new",
        ),
        (
            vec![(1, wrote("/srv/tree", How::RenamedHere)), (0, opened("/srv/tree/conf/x"))],
            "it reads /srv/tree, which the script writes",
        ),
        (
            vec![(1, wrote("/srv/page.html", How::Created))],
            "it may read /srv/page.html, which the script writes",
        ),
        (vec![(1, wrote("/run/app/link", How::Linked))], "the script makes a link, /run/app/link"),
        (
            vec![(1, wrote("/etc/app.conf", How::Removed)), (1, wrote("/etc/app.conf", How::Created))],
            "the script removes /etc/app.conf of the image: what becomes of it was not told",
        ),
        (
            vec![(1, wrote("/etc/app.conf", How::Removed)), (0, opened("/etc/app.conf"))],
            "the script removes /etc/app.conf of the image: it reads it",
        ),
        (
            vec![(1, wrote("/var/lib", How::Removed))],
            "the script removes /var/lib of the image: it is a directory",
        ),
        (
            vec![(1, wrote("/etc/app.conf", How::Mode)), (0, opened("/etc/app.conf"))],
            "it reads /etc/app.conf, whose mode or owner the script sets",
        ),
        (
            vec![(1, Act::MadePrivate(path("/tmp/app.Ab3dEf"))), (1, wrote("/tmp/app.Ab3dEf", How::Created))],
            "with a name that is another in each run, `--file=/tmp/app.XXXXXX`",
        ),
        (vec![(1, listens("0.0.0.0", 9))], "the script starts `/usr/bin/mkdir` before it, which listens"),
        (vec![(0, Act::Ended(End::Exit(1)))], "one of them ended before it was ready"),
    ] {
        assert!(runs(events).verdict().contains(why), "{why}");
    }
    let harmless = runs(vec![
        (1, wrote("/run/app/pid", How::Created)),
        (1, wrote("/dev/null", How::Opened)),
        (0, opened("/dev/null")),
        (1, wrote("/etc/app.conf", How::Owner)),
        (0, opened("/etc/app.conf")),
        (1, wrote("/tmp/x", How::Linked)),
        (1, wrote("/tmp/x", How::Removed)),
        (1, wrote("/run/app/log", How::Created)),
        (0, wrote("/run/app/log", How::Opened)),
    ]);
    assert_eq!(harmless.verdict(), words.join(" "));
    let plan = image().watched(harmless.profile()).plan();
    let why = &plan.entrypoint.lowerings.first().unwrap().why;
    assert!(why.ends_with("not made any more: /run/app/pid"), "{why}");
}

#[test]
fn profile_of_other_arguments_says_nothing_of_this_start() {
    let plan = image().cmd(&["app", "--other"]).watched(Runs::default().profile()).plan();
    let stays = plan.findings.iter().find(|finding| finding.code == Code::ShellStays).unwrap();
    assert!(stays.message.contains("they were started with other arguments"), "{}", stays.message);
}

#[test]
fn what_the_server_executes_and_reads_stays_and_what_it_writes_is_declared() {
    let events = vec![
        (0, opened("/usr/share/app/data")),
        (2, Act::Exec(Box::new(Runs::program(0, "/usr/bin/helper", &["helper"])))),
        (2, wrote("/var/lib/app", How::Directory)),
        (2, wrote("/var/lib/app/cache", How::Directory)),
        (2, wrote("/var/lib/app/cache/x", How::Created)),
        // Made under another name.
        (2, wrote("/var/lib/app/new", How::RenamedHere)),
        (2, wrote("/var/lib/app/new/y", How::Created)),
        (0, wrote("/run/app/app.pid", How::Created)),
        (0, wrote("/etc/app.conf", How::Opened)),
        (0, listens("127.0.0.1", 9)),
        (0, listens("0.0.0.0", 0)),
    ];
    let plan = image().watched(Runs { events, ..Runs::default() }.profile()).plan();
    let declared: Vec<String> = plan.writable.iter().map(|declared| declared.path.to_string()).collect();
    assert_eq!(declared, ["/run/app", "/var/lib/app"]);
    let ports: Vec<u16> = plan.ports.iter().map(|port| port.port).collect();
    assert_eq!(ports, [8080]);
    let refused = plan.findings.iter().find(|finding| finding.code == Code::WritableFile).unwrap();
    assert!(
        refused.subject == "/etc/app.conf" && refused.message.contains("/usr/bin/app wrote there"),
        "{refused:?}"
    );
    let helper = plan.packages.iter().find(|package| package.name == "helper").unwrap();
    assert!(helper.kept, "the server executes it");
    assert!(!plan.packages.iter().any(|package| package.name == "dash" && package.kept));
}

#[test]
fn shell_that_the_server_executes_stays_and_the_report_says_who_executes_it() {
    let shell = Program { path: path("/bin/sh"), ..Runs::program(0, "/usr/bin/dash", &["sh", "-c", "date"]) };
    let plan = image()
        .watched(Runs { events: vec![(2, Act::Exec(Box::new(shell)))], ..Runs::default() }.profile())
        .plan();
    let residual = plan.residual.iter().find(|residual| residual.path == path("/usr/bin/dash")).unwrap();
    assert_eq!(residual.why, "`/usr/bin/app` executed it while it was watched: at its start");
    let name = plan.residual.iter().find(|residual| residual.path == path("/usr/bin/sh"));
    assert!(name.is_some(), "it is called by this name");
    assert_eq!(plan.entrypoint.argv, ["app", "--serve"]);
}

#[test]
fn server_starts_where_the_script_went() {
    let runs = Runs { cwd: "/var/lib", words: &["../../usr/bin/app"], ..Runs::default() };
    let plan = image().watched(runs.profile()).plan();
    assert_eq!(plan.entrypoint.working_dir, Some(path("/var/lib")));
    assert_eq!(plan.entrypoint.argv, ["../../usr/bin/app"]);
    let made =
        Runs { cwd: "/srv/data", events: vec![(1, wrote("/srv/data", How::Directory))], ..Runs::default() };
    let plan = image().watched(made.profile()).plan();
    assert_eq!(plan.entrypoint.working_dir, Some(path("/srv/data")));
    assert!(plan.writable.iter().any(|declared| declared.path == path("/srv/data")));
    assert_eq!(image().watched(Runs::default().profile()).plan().entrypoint.working_dir, None);
}

#[test]
fn runs_of_another_configuration_say_nothing_of_this_start() {
    let profile = || Runs::default().profile();
    for image in [image().env(&["MODE=b"]), image().user("www-data"), image().working_dir("/var")] {
        let plan = image.watched(profile()).plan();
        let stays = plan.findings.iter().find(|finding| finding.code == Code::ShellStays).unwrap();
        assert!(stays.message.contains("with another user, directory or environment"), "{}", stays.message);
    }
}

#[test]
fn what_is_not_replaced_happens_again_all_of_it() {
    // A launcher that is no script: it makes a directory and becomes the server.
    let events =
        vec![(1, wrote("/var/lib/made", How::Directory)), (1, wrote("/var/lib/made/x", How::Created))];
    let profile = Runs { events, ..Runs::default() }.profile();
    let plan = image().entrypoint(&["/usr/bin/app"]).cmd(&[]).watched(profile).plan();
    assert!(plan.writable.iter().any(|declared| declared.path == path("/var/lib/made")));
    let mkdir = plan.findings.iter().find(|finding| finding.code == Code::ShellStays);
    assert!(mkdir.is_none() && plan.entrypoint.lowerings.is_empty());
}
