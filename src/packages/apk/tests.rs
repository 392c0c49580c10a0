//! A small Alpine's database, whole, filtered and broken.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::filter::{Remaining, filter_installed, filter_scripts, filter_triggers, filter_world};
use super::*;
use crate::packages::PackageId;
use crate::rootfs::dump::parse_image;

const INSTALLED: &str = "C:Q1aaaa=\nP:musl\nV:1.2.5-r0\nA:x86_64\nS:1\nI:2\nT:the C library\no:musl\np:so:libc.musl-x86_64.so.1=1\nF:lib\nR:ld-musl-x86_64.so.1\na:0:0:755\nZ:Q1x=\nR:libc.musl-x86_64.so.1\na:0:0:777\nZ:Q1y=\n\n\
C:Q1bbbb=\nP:busybox\nV:1.36\nA:x86_64\nD:so:libc.musl-x86_64.so.1\np:cmd:busybox=1.36\nr:busybox-initscripts\ni:a b\nF:bin\nR:busybox\na:0:0:755\nZ:Q1z=\nF:tmp\nM:0:0:1777\n\n\
C:Q1cc/+=\nP:busybox-binsh\nV:1.36\nA:x86_64\nk:100\nD:busybox=1.36\np:/bin/sh cmd:sh=1.36\nF:bin\nR:sh\na:0:0:777\nZ:Q1w=\n\n\
C:Q1dddd=\nP:app\nV:2.0-r1\nA:noarch\no:app-source\nD:!uclibc-utils /bin/sh so:libc.musl-x86_64.so.1 musl>=1.2 ghost~1 pc:zlib<2 musl@edge\nF:\nF:usr\nF:usr/bin\nR:app\na:0:0:755\nZ:Q1v=\nF:usr/share\nF:usr/share/app\nM:0:0:700\nR:one\nR:two\nZ:Q1u=\n\n";

fn image(installed: &str) -> String {
    let escaped = crate::path::Escaped::new(installed.as_bytes()).to_string().replace('"', "\\x22");
    format!("/lib/apk/db/installed f \"{escaped}\"\n/usr/bin/app f 0755 elf\n/bin/busybox f 0755 elf")
}

fn database(installed: &str) -> Database {
    Database::read(&parse_image(&image(installed))).unwrap()
}

fn names(database: &Database, ids: &[PackageId]) -> Vec<String> {
    ids.iter().map(|id| database.get(*id).name.clone()).collect()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn owners_are_found_below_their_directories() {
    let database = database(INSTALLED);
    let owner = |path: &str| names(&database, database.owners(&ImagePath::literal(path)));
    assert_eq!(owner("/lib/ld-musl-x86_64.so.1"), ["musl"]);
    assert_eq!(owner("/usr/share/app/two"), ["app"]);
    assert_eq!(owner("/tmp"), ["busybox"], "directories have owners too");
    assert_eq!(owner("/bin"), ["busybox", "busybox-binsh"]);
    assert_eq!(owner("/bin/ls"), [""; 0]);
    assert_eq!(database.kinds(), &BTreeSet::from([Kind::Apk]));
    assert_eq!(database.warnings(), []);
}

#[test]
fn owners_are_found_through_links_of_a_merged_usr() {
    let image = format!("/bin l usr/bin\n{}", image(INSTALLED).replace("/bin/busybox", "/usr/bin/busybox"));
    let database = Database::read(&parse_image(&image)).unwrap();
    let owners = database.owners(&ImagePath::literal("/usr/bin/busybox"));
    assert_eq!(names(&database, owners), ["busybox"]);
}

#[test]
fn fields_of_a_package_are_read() {
    let database = database(INSTALLED);
    let app = database.get(database.package("app").unwrap());
    assert_eq!((app.version.as_str(), app.architecture.as_str()), ("2.0-r1", "noarch"));
    assert_eq!(app.source.as_deref(), Some("app-source"));
    let wanted: Vec<&str> = app.depends.iter().flatten().map(String::as_str).collect();
    assert_eq!(wanted, ["/bin/sh", "so:libc.musl-x86_64.so.1", "musl", "ghost", "pc:zlib", "musl"]);
}

#[test]
fn dependencies_are_met_by_names_libraries_commands_and_paths() {
    let database = database(INSTALLED);
    let needs = |name: &str| names(&database, &database.dependencies(database.package(name).unwrap()));
    assert_eq!(needs("app"), ["musl", "busybox-binsh"]);
    assert_eq!(needs("busybox-binsh"), ["busybox"]);
    assert_eq!(needs("busybox"), ["musl"]);
}

#[test]
fn both_places_of_the_database_are_read_and_one_behind_a_link_once() {
    let one = "P:a\nF:usr\nR:a\n\n";
    let image = format!(
        "/lib/apk/db/installed f \"{}\"\n/usr/lib/apk/db/installed f \"{}\"",
        one.replace('\n', "\\n"),
        one.replace('a', "b").replace('\n', "\\n")
    );
    assert_eq!(Database::read(&parse_image(&image)).unwrap().installed().count(), 2);
    let linked = format!("/lib l usr/lib\n/usr/lib/apk/db/installed f \"{}\"", one.replace('\n', "\\n"));
    assert_eq!(Database::read(&parse_image(&linked)).unwrap().installed().count(), 1);
}

#[test]
fn a_database_that_was_not_read_is_none() {
    assert!(Database::read(&parse_image("/lib/apk/db/installed f 99999999")).is_none());
    assert_eq!(database("").installed().count(), 0);
}

#[test]
fn a_broken_database_is_read_as_far_as_it_goes() {
    let database = database(
        "R:lost\nP:\nV:1\n\nP:a\nR:early\nF:../x\nR:f\nF:usr\nR:a/b\nR:ok\nxx\nZ:Q\n\n\n\nP:cut\nF:us",
    );
    let names: Vec<&str> = database.installed().map(|(_, package)| package.name.as_str()).collect();
    assert_eq!(names, ["a", "cut"]);
    let owner =
        |path: &str| database.owner_of(&ImagePath::literal(path)).map(|id| database.get(id).name.as_str());
    assert_eq!(owner("/usr/ok"), Some("a"));
    assert_eq!(owner("/early"), None);
    let warnings: Vec<String> = database.warnings().iter().map(Warning::to_string).collect();
    assert_eq!(
        warnings,
        [
            "`/lib/apk/db/installed`: stanza 1 names no package",
            "`/lib/apk/db/installed`: package `a` lists what is no path",
            "`/lib/apk/db/installed`: package `a` lists what is no path",
            "`/lib/apk/db/installed`: package `a` lists what is no path",
        ]
    );
}

#[test]
fn filtered_stanzas_are_the_same_bytes_without_what_is_gone() {
    let gone = [ImagePath::literal("usr/share/app/one"), ImagePath::literal("tmp")];
    let out = filter_installed(INSTALLED.as_bytes(), &|name| name != "musl", &|path| !gone.contains(path));
    let start = INSTALLED.find("C:Q1bbbb=").unwrap();
    let expect = INSTALLED[start..].replace("F:tmp\nM:0:0:1777\n", "").replace("R:one\n", "");
    assert_eq!(text(&out), expect);
    assert_eq!(filter_installed(INSTALLED.as_bytes(), &|_| false, &|_| true), b"");
}

#[test]
fn stanza_without_a_name_before_its_files_stays_whole() {
    let odd = "F:etc\nR:x\nP:busybox\nV:1\n\n";
    let once = filter_installed(odd.as_bytes(), &|_| false, &|_| false);
    assert_eq!(text(&once), odd, "with its files gone it would be another package");
}

#[test]
fn owner_mode_and_checksum_go_with_their_file() {
    let out = filter_installed(INSTALLED.as_bytes(), &|name| name == "musl", &|path| {
        *path != ImagePath::literal("lib/ld-musl-x86_64.so.1")
    });
    assert!(text(&out).ends_with("F:lib\nR:libc.musl-x86_64.so.1\na:0:0:777\nZ:Q1y=\n\n"), "{}", text(&out));
}

fn remaining(kept: &[&str]) -> Remaining {
    let mut remaining = Remaining::default();
    remaining.add(INSTALLED.as_bytes(), &|name| kept.contains(&name));
    remaining
}

#[test]
fn world_loses_what_no_package_is_called_any_more() {
    let world = b"!uclibc\napp>1.0\nbusybox\ncmd:sh\nmusl@edge\nghost\n";
    assert_eq!(text(&filter_world(world, &remaining(&["app", "musl"]))), "!uclibc\napp>1.0\nmusl@edge\n");
    assert_eq!(text(&filter_world(world, &remaining(&["busybox-binsh"]))), "!uclibc\ncmd:sh\n");
    assert_eq!(text(&filter_world(b"app busybox musl", &remaining(&["app", "musl"]))), "app musl");
}

#[test]
fn triggers_follow_their_packages() {
    let triggers = b"Q1bbbb= /bin /usr/bin\nQ1dddd= /usr/share/*\n";
    assert_eq!(text(&filter_triggers(triggers, &remaining(&["app"]))), "Q1dddd= /usr/share/*\n");
    assert_eq!(filter_triggers(triggers, &remaining(&["app", "busybox"])), triggers);
}

/// An archive as apk writes it: no directories, names with checksums.
fn scripts(names: &[&str]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for name in names {
        let mut header = tar::Header::new_ustar();
        header.set_size(name.len() as u64);
        header.set_cksum();
        builder.append_data(&mut header, name, name.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}

#[test]
fn scripts_follow_their_packages() {
    let [app, busybox] = ["app-2.0-r1.Q1dddd=.post-install", "busybox-1.36.Q1bbbb=.trigger"];
    let binsh = "busybox-binsh-1.36.Q1cc/+=.pre-upgrade";
    let all = scripts(&[app, busybox, binsh, "README"]);
    assert_eq!(filter_scripts(&all, &remaining(&["app"])), scripts(&[app, "README"]));
    assert_eq!(filter_scripts(&all, &remaining(&["busybox-binsh"])), scripts(&[binsh, "README"]));
    let cut = &all[..700];
    assert_eq!(filter_scripts(cut, &remaining(&[])), cut, "what is cut short is no member");
}

proptest! {
    #[test]
    fn keeping_everything_changes_nothing(text in "([A-Za-z]:[a-z/ .=!<]{0,6}\n|\n|[a-z]?\n|F:[a-z/]*\n|R:[a-z]*\n|P:[a-z]+\n)*[A-Z]?:?") {
        let bytes = text.as_bytes();
        prop_assert_eq!(filter_installed(bytes, &|_| true, &|_| true), bytes);
        prop_assert_eq!(parse_installed(bytes).map(|stanza| stanza.bytes()).collect::<Vec<_>>().concat(), bytes);
        for stanza in parse_installed(bytes) {
            let parts: Vec<&[u8]> = stanza
                .parts()
                .map(|part| match part {
                    Part::Field(bytes) | Part::Directory { bytes, .. } | Part::File { bytes, .. } => bytes,
                })
                .collect();
            prop_assert_eq!(parts.concat(), stanza.bytes());
        }
    }

    /// Whatever goes, what is left is lines of the source in their order, and whole packages stay as they were.
    #[test]
    fn packages_that_stay_whole_are_byte_for_byte_the_same(
        kept in proptest::collection::btree_set("[a-d]", 0..4), gone in proptest::option::of("[a-d]"),
    ) {
        let stanza = |name: &str| format!("C:Q1{name}=\nP:{name}\nV:1\nF:usr\nM:0:0:755\nR:{name}\na:0:0:755\nZ:Q1=\n\n");
        let text: String = ["a", "b", "c", "d"].map(stanza).concat();
        let out = filter_installed(text.as_bytes(), &|name| kept.contains(name), &|path| {
            gone.as_ref().is_none_or(|gone| path.name() != gone.as_bytes())
        });
        let out = String::from_utf8(out).unwrap();
        for name in ["a", "b", "c", "d"] {
            let whole = kept.contains(name) && gone.as_deref() != Some(name);
            prop_assert_eq!(out.contains(&stanza(name)), whole);
            prop_assert_eq!(out.contains(&format!("P:{name}\n")), kept.contains(name));
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..300), at in 0usize..2000, byte in any::<u8>(),
    ) {
        let mut broken = INSTALLED.as_bytes().to_vec();
        let length = broken.len();
        broken[at % length] = byte;
        for bytes in [bytes, broken] {
            for stanza in parse_installed(&bytes) {
                stanza.parts().for_each(drop);
                stanza.name();
                stanza.checksum();
            }
            let mut remaining = Remaining::default();
            remaining.add(&bytes, &|name| name.len() % 2 == 0);
            filter_installed(&bytes, &|name| name.len() % 2 == 0, &|path| path.as_bytes().len() % 2 == 0);
            filter_world(&bytes, &remaining);
            filter_triggers(&bytes, &remaining);
            filter_scripts(&bytes, &remaining);
            let mut archive = scripts(&["app-2.0-r1.Q1dddd=.post-install", "b"]);
            let length = archive.len();
            archive[at % length] = byte;
            filter_scripts(&archive, &remaining);
        }
    }
}
