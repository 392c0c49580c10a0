//! Runs that agree and still show no constant: their script asked the machine or the day, or they were given variables.
//!
//! The runs are those of `traced`.

use kiln::finding::Code;
use kiln::profile::{Act, How};

use super::traced::{GIVEN, Runs, image, opened, wrote};
use super::{ELF, debian};

#[test]
fn answers_of_the_machine_and_the_day_are_not_taken_for_constants() {
    let asks = |file: &str, asked: &[&str]| (1, Act::Exec(Box::new(Runs::program(0, file, asked))));
    let reads = |by: &str, what: &str| vec![asks(by, &["x"]), (1, opened(what))];
    for (events, why) in [
        (vec![asks("/usr/bin/nproc", &["nproc"])], "the script asks the machine (`nproc`)"),
        (vec![asks("/usr/bin/busybox", &["busybox", "nproc"])], "the machine (`busybox nproc`)"),
        (vec![asks("/usr/bin/hostname", &["hostname", "-i"])], "the machine (`hostname -i`)"),
        (vec![asks("/usr/bin/date", &["date", "+%F"])], "the script asks the day (`date +%F`)"),
        (vec![asks("/usr/bin/uname", &["uname", "-r"])], "the script asks the machine (`uname -r`)"),
        (reads("/usr/bin/cat", "/proc/sys/kernel/random/boot_id"), "(/proc/sys/kernel/random/boot_id)"),
        // Whatever it is: `os.cpu_count()`.
        (reads("/usr/bin/helper", "/sys/devices/system/cpu/online"), "(/sys/devices/system/cpu/online)"),
        (reads("/usr/bin/helper", "/sys/fs/cgroup/memory.max"), "(/sys/fs/cgroup/memory.max)"),
        (reads("/usr/bin/helper", "/proc/meminfo"), "(/proc/meminfo)"),
    ] {
        let of = |words, env| Runs { events: events.clone(), words, env, ..Runs::default() }.verdict();
        let plain: [&[&str]; 2] = [&["PATH=/usr/bin"]; 2];
        assert_eq!(of(&["app", "--serve"], plain), "app --serve", "{why}");
        let added: [&[&str]; 2] = [&["PATH=/usr/bin", "WORKERS=4"]; 2];
        for stays in [of(&["app", "--workers=4"], plain), of(&["app", "--serve"], added)] {
            assert!(stays.contains(why), "{why}: {stays}");
            assert!(stays.contains("and what it answers may be in the words"), "{stays}");
        }
    }
}

#[test]
fn what_the_server_asks_of_the_machine_and_what_is_the_same_everywhere_keeps_no_script() {
    let words: &[&str] = &["app", "--workers=4"];
    let uname = Act::Exec(Box::new(Runs::program(0, "/usr/bin/uname", &["uname", "-m"])));
    for events in [vec![(0, opened("/proc/cpuinfo"))], vec![(2, opened("/proc/meminfo"))], vec![(1, uname)]] {
        assert_eq!(Runs { events, words, ..Runs::default() }.verdict(), "app --workers=4");
    }
}

#[test]
fn script_that_asks_for_its_limits_adds_no_words() {
    for (script, stays) in [("files=$(ulimit -n)", true), ("ulimit -n 8192", false)] {
        let script = format!("#!/bin/sh\\n{script}\\nmkdir -p /run/app\\nexec \\x22$@\\x22\\n");
        let image = || {
            let tree = format!("/usr/bin/app {ELF}\n/entry.sh f 0755 \"{script}\"\n/run d");
            debian(&tree).entrypoint(&["/entry.sh"]).cmd(&["app", "--serve"])
        };
        let of = |words| {
            let events = vec![(1, opened("/entry.sh"))];
            let plan = image().watched(Runs { events, words, ..Runs::default() }.profile()).plan();
            let found = plan.findings.iter().find(|finding| finding.code == Code::ShellStays);
            found.map(|finding| finding.message.clone())
        };
        assert_eq!(of(&["app", "--serve"]), None);
        let why = of(&["app", "--files=1024"]).unwrap_or_default();
        assert_eq!(why.contains("the script asks its limits (`ulimit`)"), stays, "{script}: {why}");
    }
}

#[test]
fn runs_that_were_given_variables_lower_to_nothing_but_the_images_own() {
    let given = || Runs { given: GIVEN, ..Runs::default() };
    assert_eq!(given().verdict(), "app --serve");
    let added: [&[&str]; 2] = [&["PATH=/usr/bin", "WORKERS=4"]; 2];
    for (runs, why) in [
        (
            Runs { words: &["app", "--hash=9f86d081"], ..given() },
            "the word `--hash=9f86d081` is the script's",
        ),
        (Runs { env: added, ..given() }, "the variable `WORKERS` is the script's"),
        (Runs { cwd: "/var/lib", ..given() }, "the script goes to /var/lib"),
        (
            Runs {
                events: vec![(1, wrote("/srv/given-value", How::Directory)), (0, opened("/srv/given-value"))],
                ..given()
            },
            "the script makes /srv/given-value",
        ),
        (
            Runs { events: vec![(1, wrote("/etc/app.conf", How::Removed))], ..given() },
            "the script removes /etc/app.conf",
        ),
    ] {
        let without = Runs { events: runs.events.clone(), given: &[], ..runs }.verdict();
        assert_eq!(without, runs.words.join(" "), "{why}");
        let stays = runs.verdict();
        assert!(stays.contains(why), "{why}: {stays}");
        assert!(stays.contains("what the watched runs were given (GIVEN) is not known"), "{stays}");
        assert!(stays.contains("watch it without given variables"), "{stays}");
    }
}

#[test]
fn script_that_reads_what_only_the_watched_runs_were_given_stays() {
    let own = image().entrypoint(&["sh", "-c", "[ $GIVEN ] && exec app --serve"]).cmd(&[]);
    let mut profile = Runs { given: GIVEN, ..Runs::default() }.profile();
    profile.start.argv = ["sh", "-c", "[ $GIVEN ] && exec app --serve"].map(str::to_owned).to_vec();
    let plan = own.watched(profile).plan();
    let stays = plan.findings.iter().find(|finding| finding.code == Code::ShellStays).unwrap();
    assert!(stays.message.contains("its script reads `GIVEN`"), "{}", stays.message);
}

#[test]
fn what_a_shell_reads_as_a_part_of_its_script_may_read_what_was_given() {
    let read = |by: &str, file: &str| {
        let events = vec![(1, Act::Exec(Box::new(Runs::program(0, by, &["x"])))), (1, opened(file))];
        Runs { events, given: GIVEN, ..Runs::default() }.verdict()
    };
    let stays = read("/usr/bin/dash", "/usr/share/app/data");
    assert!(stays.contains("its script reads /usr/share/app/data, which may read what only"), "{stays}");
    assert_eq!(read("/usr/bin/cat", "/usr/share/app/data"), "app --serve");
}
