//! Rounds over images that are a few lines, and starts that are told.

use super::*;
use crate::profile::{Actor, Ending, Failure};
use crate::rootfs::dump::parse_layers;

/// An app that needs some options, and says so one at a time.
struct Needy {
    /// What fails until the option is there: call, path, error.
    needs: Vec<(Gain, Failure)>,
    /// What cannot be a volume.
    never: Vec<ImagePath>,
    now: Options,
    hardened: usize,
    /// What is there.
    tree: &'static str,
    breaks_at_stop: bool,
    /// Failures of every start that the app does not mind.
    minor: Vec<Failure>,
}

const GONE: &[&str] = &["/usr/bin/git", "/usr/lib/a/libx.so.1", "/usr/share/words"];

impl Bench for Needy {
    type Error = std::convert::Infallible;

    fn harden(&mut self, options: &Options) -> Result<Made, Self::Error> {
        self.hardened += 1;
        self.now = options.clone();
        let gone = GONE.iter().filter(|path| !options.keep.iter().any(|kept| kept == *path));
        let mounted = options.writable.iter().filter(|path| !self.never.contains(path));
        Ok(Made {
            user: User { uid: 1000, gid: 1000, groups: Vec::new() },
            mounted: mounted.cloned().collect(),
            gone: Arc::new(gone.map(|path| ImagePath::literal(path)).collect()),
        })
    }

    fn attempt(&mut self, _: &Made) -> Result<Attempt, Self::Error> {
        let mut start = Proof::new(Shown::Start);
        let failing: Vec<Failure> = self
            .needs
            .iter()
            .filter(|(gain, _)| !gain.is_in(&self.now))
            .map(|(_, failure)| failure.clone())
            .take(1)
            .collect();
        if failing.is_empty() {
            start.prove("it runs");
        } else {
            start.break_at("app", "does not start");
        }
        let mut stop = Proof::new(Shown::Stop);
        if self.breaks_at_stop {
            stop.break_at("SIGTERM", "it was killed");
        }
        let failures = failing.into_iter().chain(self.minor.iter().cloned()).collect();
        let watched = Profile { failures, ..crate::profile::tests::profile() };
        let proofs = vec![start, stop];
        let tried = Tried {
            pod: "a pod".into(),
            proofs,
            last_words: Vec::new(),
            watched: Some(watched),
            seccomp: None,
        };
        let rootfs = Rootfs::merge(parse_layers(self.tree)).unwrap();
        Ok(Attempt { rootfs, promises: Vec::new(), tried })
    }
}

const TREE: &str = "\
/etc d 0755 0:0
/etc/secret f 0400 0:0 1
/srv d 0555 0:0
/srv/app d 0555 0:0
/srv/app/data d 0555 0:0
/srv/app/data/log f 0444 0:0 1
/srv/code d 0555 0:0
/srv/code/main.py f 0444 0:0 1
/usr d 0555 0:0
/usr/bin d 0555 0:0
";

fn failure(call: &str, subject: &str, error: &str) -> Failure {
    let by = vec![Actor { process: 0, exec: 1, phase: Phase::StartUp }];
    Failure { call: call.into(), subject: subject.into(), error: error.into(), by, runs: 1 }
}

fn needy(needs: Vec<(Gain, Failure)>) -> Needy {
    let options = Options::default();
    Needy {
        needs,
        never: Vec::new(),
        now: options,
        hardened: 0,
        tree: TREE,
        breaks_at_stop: false,
        minor: Vec::new(),
    }
}

fn keep(path: &str) -> Gain {
    Gain::Keep(ImagePath::literal(path))
}

fn writable(path: &str) -> Gain {
    Gain::Writable(ImagePath::literal(path))
}

fn settle(bench: &mut Needy, rounds: u32) -> Converged {
    converge(Options::default(), NonZeroU32::new(rounds).unwrap(), bench).unwrap()
}

/// What one failure asks for.
fn asks(call: &str, subject: &str, error: &str) -> Vec<String> {
    let mut bench = needy(vec![(keep("/never"), failure(call, subject, error))]);
    let made = bench.harden(&Options::default()).unwrap();
    let attempt = bench.attempt(&made).unwrap();
    lesson::lessons(&attempt, &made).into_iter().map(|lesson| lesson.gain.option()).collect()
}

#[test]
fn what_a_start_lacks_is_given_round_by_round() {
    let mut bench = needy(vec![
        (keep("/usr/bin/git"), failure("execve", "/usr/bin/git", "ENOENT")),
        (writable("/srv/app/data"), failure("openat", "/srv/app/data/log", "EACCES")),
    ]);
    let converged = settle(&mut bench, 5);
    assert!(converged.holds());
    assert_eq!(converged.options.canonical(), "--keep=/usr/bin/git --writable=/srv/app/data");
    let gained: Vec<Vec<String>> = converged
        .rounds
        .iter()
        .map(|round| round.gained.iter().map(|lesson| lesson.gain.option()).collect())
        .collect();
    assert_eq!(
        gained,
        [vec![], vec!["--keep=/usr/bin/git".to_owned()], vec!["--writable=/srv/app/data".to_owned()]]
    );
    let last = converged.rounds.last().unwrap();
    assert_eq!(last.gained[0].why, ["openat of /entry.sh failed at /srv/app/data/log: EACCES"]);
    assert_eq!(converged.rounds[0].broken, ["start: app: does not start"]);
}

#[test]
fn what_a_start_fails_at_and_does_not_mind_is_taken_back() {
    let mut bench = needy(vec![(keep("/usr/bin/git"), failure("execve", "/usr/bin/git", "ENOENT"))]);
    bench.minor = vec![
        failure("openat", "/srv/app/data/log", "EROFS"),
        failure("openat", "/usr/share/words", "ENOENT"),
    ];
    let converged = settle(&mut bench, 5);
    assert!(converged.holds());
    assert_eq!(converged.options.canonical(), "--keep=/usr/bin/git");
    let without: Vec<(Option<String>, bool)> = converged
        .rounds
        .iter()
        .map(|round| (round.without.as_ref().map(Gain::option), round.broken.is_empty()))
        .collect();
    let some = |option: &str| Some(option.to_owned());
    assert_eq!(
        without,
        [
            (None, false),
            (None, true),
            (some("--writable=/srv/app/data"), true),
            (some("--keep=/usr/bin/git"), false),
            (some("--keep=/usr/share/words"), true),
        ]
    );
    assert_eq!(bench.now.canonical(), "--keep=/usr/bin/git", "what is written is what was tried last");
}

#[test]
fn what_no_start_lacked_teaches_nothing() {
    let mut bench = needy(Vec::new());
    bench.breaks_at_stop = true;
    bench.minor = vec![failure("execve", "/usr/bin/git", "ENOENT")];
    let endings = vec![Ending { end: End::Exit(0), phase: Phase::Shutdown, runs: 1 }];
    let profile = Profile { endings, ..crate::profile::tests::profile() };
    let profile = Some(Arc::new(crate::options::UserProfile::new(profile)));
    let options = Options { profile, ..Options::default() };
    let converged = converge(options, NonZeroU32::new(5).unwrap(), &mut bench).unwrap();
    assert_eq!((converged.holds(), bench.hardened), (false, 1));
}

#[test]
fn an_image_that_holds_is_made_once() {
    let mut bench = needy(Vec::new());
    let converged = settle(&mut bench, 5);
    assert!(converged.holds());
    assert_eq!((converged.rounds.len(), bench.hardened), (1, 1));
    assert_eq!(converged.options, Options::default());
}

#[test]
fn rounds_are_bounded_and_a_failure_that_teaches_nothing_ends_them() {
    let needs = vec![
        (keep("/usr/bin/git"), failure("execve", "/usr/bin/git", "ENOENT")),
        (keep("/usr/share/words"), failure("openat", "/usr/share/words", "ENOENT")),
    ];
    let converged = settle(&mut needy(needs), 2);
    assert_eq!((converged.rounds.len(), converged.holds()), (2, false));
    let mut mute = needy(vec![(keep("/never"), failure("bind", "0.0.0.0:80", "EACCES"))]);
    let converged = settle(&mut mute, 5);
    assert_eq!((converged.rounds.len(), converged.holds(), mute.hardened), (1, false, 1));
}

#[test]
fn what_cannot_be_a_volume_is_not_asked_for_again() {
    let mut bench = needy(vec![(writable("/srv/app/data"), failure("openat", "/srv/app/data/log", "EROFS"))]);
    bench.never = vec![ImagePath::literal("/srv/app/data")];
    let converged = settle(&mut bench, 5);
    assert!(!converged.holds());
    assert_eq!((converged.rounds.len(), bench.hardened), (1, 2));
    assert_eq!(converged.options, Options::default());
}

#[test]
fn an_app_that_has_to_be_killed_speaks_against_the_hardening_only_where_its_source_ended() {
    let of = |end: Option<End>| {
        let mut bench = needy(Vec::new());
        bench.breaks_at_stop = true;
        let profile = end.map(|end| {
            let endings = vec![Ending { end, phase: Phase::Shutdown, runs: 1 }];
            let profile = Profile { endings, ..crate::profile::tests::profile() };
            Arc::new(crate::options::UserProfile::new(profile))
        });
        let options = Options { profile, ..Options::default() };
        converge(options, NonZeroU32::MIN, &mut bench).unwrap().holds()
    };
    assert!(!of(Some(End::Exit(0))));
    assert!(of(Some(End::Signal(9))));
    assert!(of(None));
}

#[test]
fn failures_ask_for_what_would_have_helped() {
    for (call, subject, error, expected) in [
        ("openat", "/srv/app/new", "EROFS", &["--writable=/srv/app"][..]),
        ("mkdir", "/srv/app/data", "EROFS", &["--writable=/srv/app"]),
        ("mkdir", "/var/lib/app", "EROFS", &["--writable=/var/lib/app"]),
        // Nothing of the system's own becomes a volume.
        ("openat", "/etc/app.conf", "EROFS", &[]),
        ("openat", "/usr/bin/x", "EACCES", &[]),
        // Closed to the user, not to writing.
        ("openat", "/etc/secret", "EACCES", &["--keep=/etc/secret"]),
        // A loader looks in many places; the file was in one of them.
        ("openat", "/lib/libx.so.1", "ENOENT", &["--keep=/usr/lib/a/libx.so.1"]),
        ("openat", "/srv/app/missing/new", "ENOENT", &["--writable=/srv/app/missing"]),
        ("bind", "/run/app/socket", "ENOENT", &["--writable=/run/app"]),
        ("execve", "/usr/bin/other", "ENOENT", &[]),
        ("openat", "/proc/self/oom_score_adj", "EACCES", &[]),
        ("bind", "0.0.0.0:80", "EACCES", &[]),
        // What is written beside code, what Python compiles, and what only root reads.
        ("openat", "/srv/code/cache.db", "EROFS", &[]),
        ("mkdir", "/srv/app/__pycache__", "EROFS", &[]),
        ("openat", "/etc/shadow", "EACCES", &[]),
        ("fchmodat", "/srv/app/data", "EROFS", &["--writable=/srv/app/data"]),
    ] {
        assert_eq!(asks(call, subject, error), expected, "{call} {subject} {error}");
    }
}
