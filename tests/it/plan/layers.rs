//! Verdicts on layers: what is hidden, what moves to another name, what level `strip` leaves alone.
//!
//! Bytes are `generated`'s.

use expect_test::expect;
use kiln::plan::Verdict;

use crate::fixture::{Fixture, rewritten};

const TWO: &str = "/app f 0755 elf static\n/etc/secret f \"old\"\n/opt/a f 10\n--\n/etc/secret w\n/opt o\n/opt/b f 20\n/new f 1";

/// What is left in each layer, below kiln's own.
fn paths(fixture: &Fixture) -> String {
    let layers = rewritten(&fixture.layers, &fixture.plan());
    let names = layers.iter().rev().skip(1).rev().map(|layer| {
        layer.entries.iter().map(|entry| entry.path.to_string() + "\n").collect::<Vec<_>>().concat()
    });
    names.collect::<Vec<_>>().join("--\n")
}

#[test]
fn distroless_takes_hidden_content_and_whiteouts_out_of_every_layer() {
    let fixture = Fixture::new(TWO).cmd(&["/app"]);
    expect![[r"
        /app
        --
        /opt/b
        /new
    "]]
    .assert_eq(&paths(&fixture));
    fixture.shows(
        "gone codes",
        &expect![[r"
        gone /etc/secret: Shadowed
        gone /etc/secret: WhiteoutOfNothing
        gone /opt: WhiteoutOfNothing
        gone /opt/a: Shadowed
        codes KN015
    "]],
    );
}

#[test]
fn strip_leaves_hidden_content_where_it_is_and_says_so() {
    let fixture = Fixture::new(TWO).cmd(&["/app"]).strip_level();
    expect![[r"
        /app
        /etc/secret
        /opt/a
        --
        /etc/secret
        /opt
        /opt/b
        /new
    "]]
    .assert_eq(&paths(&fixture));
    fixture.shows("gone findings", &expect![[r"
        low KN024 lower layers: 13 bytes that upper layers replaced or deleted are still in the image; level `distroless` removes them
        info KN015 65532:65532: the image ran as `root`, and now as nonroot (65532:65532): nothing in the image says which account the program should have
    "]]);
}

#[test]
fn strip_takes_tools_out_of_every_layer_hidden_or_not() {
    let fixture = Fixture::new("/app f 0755 elf static\n/bin/bash f 0755 100\n--\n/bin/bash f 0755 200")
        .cmd(&["/app"])
        .strip_level();
    expect![[r"
        /app
        --
    "]]
    .assert_eq(&paths(&fixture));
}

#[test]
fn layer_without_a_change_keeps_every_member_as_it_is() {
    let image = "/bin/sh f 0755 elf static\n--\n/app f 0555 elf static\n/d d 0555\n/l l app\n--\n/tool f 0755 elf static";
    let plan = Fixture::new(image).cmd(&["/app"]).plan();
    let unchanged: Vec<bool> = plan
        .verdicts
        .iter()
        .map(|layer| layer.iter().all(|verdict| *verdict == Verdict::unchanged()))
        .collect();
    assert_eq!(unchanged, [false, true, false]);
}

#[test]
fn data_moves_to_the_name_that_stays() {
    let image = "/usr/bin/x f 0755 elf static\n/app/tool h /usr/bin/x\n/app/other h /usr/bin/x\n/app/main f 0755 elf static
        package x has=/usr/bin/x";
    Fixture::new(image).cmd(&["/app/main"]).strip("/usr/bin/x").shows(
        "gone after",
        &expect![[r"
        gone /usr/bin/x: --strip /usr/bin/x
        /app d
        /app/main f 0555 0:0 1000 elf
        /app/other f 0555 0:0 1000 elf
        /app/tool h /app/other
        /etc d 0555 0:0
        /etc/group f 0444 0:0 17
        /etc/passwd f 0444 0:0 57
        /var d
        /var/lib d
        /var/lib/dpkg d
    "]],
    );
}

#[test]
fn data_moves_although_the_link_is_in_an_upper_layer() {
    let image = "/data/x f 9\n--\n/data/y h /data/x\n/app f 0755 elf static\n--\n/data/x w";
    let fixture = Fixture::new(image).cmd(&["/app"]);
    expect![[r"
        /data/y
        --
        /app
        --
    "]]
    .assert_eq(&paths(&fixture));
    fixture.shows(
        "after",
        &expect![[r"
        /app f 0555 0:0 1000 elf
        /data d
        /data/y f 0444 0:0 9
        /etc d 0555 0:0
        /etc/group f 0444 0:0 17
        /etc/passwd f 0444 0:0 57
    "]],
    );
}

#[test]
fn entries_written_through_a_link_that_goes_stay_where_they_were() {
    let image = "/d d\n/link l d\n/link/x f 3\n/app f 0755 elf static\n--\n/link w";
    Fixture::new(image).cmd(&["/app"]).shows(
        "after",
        &expect![[r"
        /app f 0555 0:0 1000 elf
        /d d 0555 0:0
        /d/x f 0444 0:0 3
        /etc d 0555 0:0
        /etc/group f 0444 0:0 17
        /etc/passwd f 0444 0:0 57
    "]],
    );
    let image = "/usr/bin d\n/bin l usr/bin\n/bin/app f 0755 elf static";
    Fixture::new(image).cmd(&["/usr/bin/app"]).strip("/bin").shows(
        "after codes",
        &expect![[r"
        /etc d 0555 0:0
        /etc/group f 0444 0:0 17
        /etc/passwd f 0444 0:0 57
        /usr d
        /usr/bin d 0555 0:0
        /usr/bin/app f 0555 0:0 1000 elf
        codes KN015
    "]],
    );
}

#[test]
fn upper_layer_that_replaces_a_file_by_a_directory_and_back_is_followed() {
    let image = "/a f 1\n/b d\n/b/c f 2\n/app f 0755 elf static\n--\n/a d\n/a/x f 3\n/b f 4\n--\n/a f 5\n/b d 0700\n/b/d f 6";
    Fixture::new(image).cmd(&["/app"]).shows(
        "gone after",
        &expect![[r"
        gone /a: Shadowed
        gone /a: Shadowed
        gone /a/x: Shadowed
        gone /b: Shadowed
        gone /b/c: Shadowed
        /a f 0444 0:0 5
        /app f 0555 0:0 1000 elf
        /b d 0510 0:65532
        /b/d f 0444 0:0 6
        /etc d 0555 0:0
        /etc/group f 0444 0:0 17
        /etc/passwd f 0444 0:0 57
    "]],
    );
}

#[test]
fn same_name_twice_in_one_layer_is_the_last_one() {
    Fixture::new("/x f 1\n/x f 2\n/app f 0755 elf static").cmd(&["/app"]).shows(
        "gone after",
        &expect![[r"
        gone /x: Shadowed
        /app f 0555 0:0 1000 elf
        /etc d 0555 0:0
        /etc/group f 0444 0:0 17
        /etc/passwd f 0444 0:0 57
        /x f 0444 0:0 2
    "]],
    );
}
