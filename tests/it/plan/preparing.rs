//! What only a script of the source makes, left to a container of the source that was seen to make it and to end.
//!
//! The runs are those of `traced`; that it was seen is put into their profile by hand.

use kiln::finding::Code;
use kiln::image::Config;
use kiln::plan::Plan;
use kiln::plan::preparing::commands;
use kiln::profile::{How, Preparing, Profile};

use super::traced::{self, Runs, opened, path, wrote};
use crate::fixture::Fixture;

const COMMAND: &[&str] = &["/entry.sh", "app", "--version"];

/// Runs in which the script makes `files`, and the server reads them and writes the first.
fn watched(files: &[&str], made: Option<&[&str]>, given: &'static [&'static str]) -> Profile {
    let mut events: Vec<_> =
        files.iter().flat_map(|file| [(1, wrote(file, How::Opened)), (0, opened(file))]).collect();
    events.push((0, wrote(files[0], How::Opened)));
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let preparing = made.map(|made| Preparing { argv: words(COMMAND), made: words(made) });
    Profile { preparing, ..Runs { events, given, ..Runs::default() }.profile() }
}

fn plan(image: Fixture, files: &[&str], made: Option<&[&str]>) -> Plan {
    image.watched(watched(files, made, &[])).plan()
}

/// An image whose script makes what its app goes on writing, and a container of which was seen to make that.
pub(super) fn image() -> Fixture {
    let files = ["/var/lib/app/id"];
    traced::image().watched(watched(&files, Some(&files), &[]))
}

fn mounted(plan: &Plan) -> Vec<String> {
    let mounted = plan.writable.iter().filter(|declared| declared.is_mounted());
    mounted.map(|declared| declared.path.to_string()).collect()
}

#[test]
fn data_of_a_first_start_are_left_to_the_source_where_it_was_seen_to_make_them() {
    let files = ["/var/lib/app/id", "/var/lib/app/data/1"];
    let kept = plan(traced::image(), &files, None);
    assert_eq!(kept.entrypoint.argv, ["/entry.sh", "app", "--serve"]);
    assert_eq!(kept.preparing, None);
    assert_eq!(kept.wants, [path("/var/lib/app/data/1"), path("/var/lib/app/id")]);
    let lowered = plan(traced::image(), &files, Some(&files));
    assert_eq!(lowered.entrypoint.argv, ["app", "--serve"]);
    assert_eq!(lowered.preparing.as_ref().unwrap().join(" "), COMMAND.join(" "));
    assert!(lowered.wants.is_empty() && lowered.baked.is_empty());
    // One volume for all of it, and nothing of the image hidden.
    assert_eq!(mounted(&lowered), ["/run/app", "/var/lib/app"]);
    let told = lowered.findings.iter().find(|finding| finding.code == Code::SourcePrepares).unwrap();
    assert_eq!(told.subject, "/entry.sh app --version");
    assert!(!lowered.residual.iter().any(|program| program.path == path("/usr/bin/dash")));
}

#[test]
fn what_was_not_seen_to_be_made_keeps_the_script() {
    let files = ["/var/lib/app/id", "/var/lib/app/data/1"];
    let partly = plan(traced::image(), &files, Some(&["/var/lib/app/id"]));
    assert_eq!((partly.entrypoint.argv[0].as_str(), partly.preparing.clone()), ("/entry.sh", None));
}

#[test]
fn what_two_containers_cannot_share_keeps_the_script() {
    // A volume would hide what the image has beside it.
    for file in ["/etc/app.conf", "/usr/share/app/new"] {
        let files = ["/var/lib/app/id", file];
        let kept = plan(traced::image(), &files, Some(&files));
        assert_eq!((kept.entrypoint.argv[0].as_str(), &kept.preparing), ("/entry.sh", &None), "{file}");
    }
    // What the runs were given is not the pod's to give on.
    let files = ["/var/lib/app/id"];
    let given = traced::image().watched(watched(&files, Some(&files), traced::GIVEN)).plan();
    assert_eq!((given.entrypoint.argv[0].as_str(), given.preparing.clone()), ("/entry.sh", None));
    assert!(given.wants.is_empty());
}

#[test]
fn commands_that_may_prepare_are_told_by_name_and_by_what_a_script_becomes() {
    let of = |image: Fixture, cmd: &'static [&'static str], words: &'static [&'static str]| {
        let image = image.cmd(cmd);
        let profile = Runs { words, ..Runs::default() }.profile();
        let config = Config::parse(image.config.to_string().as_bytes()).unwrap();
        let found = commands(&config, &image.rootfs(), &profile);
        found.iter().map(|command| command.join(" ")).collect::<Vec<_>>()
    };
    let postgres: &[&str] = &["postgres", "-i"];
    assert_eq!(
        of(traced::image(), postgres, postgres),
        ["/entry.sh postgres -i -C data_directory", "/entry.sh postgres -i --version", "/entry.sh true",]
    );
    // The script asks for a server of this name.
    let motd: &[&str] = &["motd", "-i"];
    assert_eq!(of(traced::image(), motd, motd), ["/entry.sh motd -i --version"]);
    // A script that starts the server by other words may pass over what it is given.
    assert_eq!(of(traced::image(), postgres, &["postgres", "-i", "-x"]), Vec::<String>::new());
}
