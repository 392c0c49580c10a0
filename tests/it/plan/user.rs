//! Who the app runs as: the order in which the image is asked.
//!
//! What that user may read and write is `access`.

use expect_test::expect;
use kiln::finding::Code;
use kiln::plan::user::UserError;

use super::{ELF, debian};
use crate::fixture::Fixture;

fn app(more: &str) -> Fixture {
    debian(&format!("/usr/sbin/app {ELF}\n{more}")).cmd(&["app"])
}

#[test]
fn option_wins_over_the_image() {
    app("").user("www-data").run_as("1000:2000").shows(
        "user codes",
        &expect![[r"
            user 1000:2000 [] - Option
            codes KN030
        "]],
    );
    app("").user("1000").run_as("www-data").shows(
        "user",
        &expect![[r"
        user 33:33 [] www-data Option
    "]],
    );
}

#[test]
fn images_own_user_is_taken_by_number_or_name() {
    app("").user("1000:1001").shows(
        "user",
        &expect![[r"
        user 1000:1001 [] - Image
    "]],
    );
    app("").user("www-data").shows(
        "user codes",
        &expect![[r"
            user 33:33 [] www-data Image
            codes KN030
        "]],
    );
    app("").user("33").shows(
        "user",
        &expect![[r"
        user 33:33 [] www-data Image
    "]],
    );
}

#[test]
fn supplementary_groups_come_along_without_roots() {
    app("/usr/share/x f 1\n--\n/etc/group f \"root:x:0:www-data\\nwww-data:x:33:\\nssl-cert:x:101:www-data\\n\"")
        .user("www-data")
        .shows("user", &expect![[r"
            user 33:33 [101] www-data Image
        "]]);
}

#[test]
fn root_in_every_spelling_is_replaced() {
    for root in ["", "0", "root", "0:0", "root:root"] {
        let plan = app("").user(root).plan();
        assert_eq!(plan.user.uid, 65532, "{root}");
    }
}

#[test]
fn recipe_names_the_account() {
    debian(&format!("/usr/sbin/nginx {ELF}")).cmd(&["nginx"]).shows(
        "user codes",
        &expect![[r#"
        user 33:33 [] www-data Recipe("nginx")
        codes KN015 KN022
    "#]],
    );
}

#[test]
fn systemd_unit_names_the_account() {
    app("/usr/lib/systemd/system/app.service f \"[Service]\\nUser=www-data\\nExecStart=/usr/sbin/app --x\\n\"")
        .shows("user findings", &expect![[r#"
            user 33:33 [] www-data Unit("/usr/lib/systemd/system/app.service:2")
            low KN030 /usr/sbin/app: no recipe knows it: what it writes is guessed from the image alone
            info KN015 33:33: the image ran as `root`, and now as www-data (33:33): `/usr/lib/systemd/system/app.service:2` runs the program as this account
        "#]]);
}

#[test]
fn account_is_found_by_the_programs_name() {
    app("--\n/etc/passwd f \"root:x:0:0::/:/bin/sh\\napp:x:999:998::/home/app:/bin/false\\n\"\n/etc/group f \"app:x:998:\\n\"")
        .shows("user", &expect![[r#"
            user 999:998 [] app Account("app")
        "#]]);
}

#[test]
fn account_is_added_to_the_files_where_they_lie() {
    let fixture = app("");
    fixture.shows(
        "user codes",
        &expect![[r"
            user 65532:65532 [] nonroot Added
            codes KN030 KN015
        "]],
    );
    expect![[r"
        root:x:0:0:root:/root:/bin/sh
        www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin
        nonroot:x:65532:65532:nonroot:/nonexistent:/sbin/nologin
    "]]
    .assert_eq(&fixture.text_after("/etc/passwd"));
    expect![[r"
        root:x:0:
        www-data:x:33:
        nonroot:x:65532:
    "]]
    .assert_eq(&fixture.text_after("/etc/group"));
    assert!(fixture.plan().additions.iter().all(|addition| addition.path.name() != b"passwd"));
}

#[test]
fn account_files_are_made_where_there_are_none() {
    Fixture::new("/app f 0755 elf static").cmd(&["/app"]).shows(
        "user after",
        &expect![[r"
        user 65532:65532 [] nonroot Added
        /app f 0555 0:0 1000 elf
        /etc d 0555 0:0
        /etc/group f 0444 0:0 17
        /etc/passwd f 0444 0:0 57
    "]],
    );
}

#[test]
fn account_files_behind_a_link_are_edited_behind_it() {
    let fixture = Fixture::new(
        "/app f 0755 elf static\n/etc/passwd l ../usr/etc/passwd\n/usr/etc/passwd f \"root:x:0:0::/:/bin/sh\\n\"",
    )
    .cmd(&["/app"]);
    fixture.shows(
        "after",
        &expect![[r"
        /app f 0555 0:0 1000 elf
        /etc d
        /etc/group f 0444 0:0 17
        /etc/passwd l ../usr/etc/passwd
        /usr d
        /usr/etc d
        /usr/etc/passwd f 0444 0:0 79
    "]],
    );
    expect![[r"
        root:x:0:0::/:/bin/sh
        nonroot:x:65532:65532:nonroot:/nonexistent:/sbin/nologin
    "]]
    .assert_eq(&fixture.text_after("/usr/etc/passwd"));
}

#[test]
fn root_and_unknown_names_are_refused_as_option() {
    for root in ["root", "0", "0:33", ""] {
        let result = app("").run_as(root).try_plan().map(|_| ());
        assert!(matches!(result, Err(UserError::Root(_))), "{root}");
    }
    for unknown in ["nobody-there", "www-data:nogroup-there", "1:2:3"] {
        let result = app("").run_as(unknown).try_plan().map(|_| ());
        assert!(matches!(result, Err(UserError::Unknown { .. })), "{unknown}");
    }
}

#[test]
fn unknown_user_of_the_image_is_not_silently_root() {
    app("").user("ghost").shows(
        "user",
        &expect![[r"
        user 65532:65532 [] nonroot Added
    "]],
    );
}

/// Who is not root cannot switch; and a script that switches to several does not say who serves.
#[test]
fn user_that_a_script_switches_to_counts_only_where_the_image_names_none_and_it_is_one() {
    let run = |lines: &str| {
        debian(&format!(
            "/usr/sbin/gosu {ELF}\n/usr/bin/app {ELF}\n/run.sh f 0755 \"#!/bin/sh\\n{lines}\\n\"
            /etc/passwd f \"root:x:0:0::/:\\nwww-data:x:33:33::/:\\npostgres:x:70:70::/:\\n\""
        ))
        .cmd(&["/run.sh"])
    };
    let user = |fixture: &Fixture| {
        let plan = fixture.plan();
        let said = plan.findings.iter().any(|finding| finding.code == Code::UserChanged);
        (plan.user.uid, said)
    };
    assert_eq!(user(&run("exec gosu www-data app")), (33, true));
    assert_eq!(user(&run("gosu postgres app backup\\nexec gosu www-data app")), (33, true));
    assert_eq!(user(&run("exec gosu www-data app").user("postgres")), (70, false));
    assert_eq!(user(&run("exec gosu www-data app").user("root")), (33, true));
    assert_eq!(user(&run("exec gosu postgres app || exec gosu www-data app")), (65532, true));
}
