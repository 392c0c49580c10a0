//! Files and directories that the words of the start name, and that nothing else leads to.
//!
//! Each belongs to a package of its own: what no package owns would stay as the application.

use std::fmt::Write as _;

use expect_test::expect;

use kiln::finding::Code;

use crate::fixture::Fixture;

/// Static programs, and `files`, of which each is a package's.
fn app(words: &[&str], files: &str) -> Fixture {
    let mut image = String::from("/usr/bin/app f 0755 elf static\n/usr/bin/java f 0755 elf static\n");
    for (number, line) in files.lines().map(str::trim).enumerate() {
        let path = line.split_whitespace().next().unwrap();
        let _ = write!(image, "{line}\npackage p{number} has={path}\n");
    }
    Fixture::new(&image).cmd(words).run_as("1000:1000")
}

const ARCHIVES: &str = "/usr/share/app/a.jar f 1\n/usr/share/app/b.jar f 1\n/usr/share/app/lib/c.jar l ../../lib/c-1.0.jar
    /usr/share/app/lib/d.JAR f 1\n/usr/share/app/lib/e.so f 1\n/usr/share/app/lib/f/g.jar f 1\n/usr/share/lib/c-1.0.jar f 1
    /usr/share/lib/h.jar f 1";

#[test]
fn archives_of_a_class_path_stay() {
    app(&["java", "-cp", "/nowhere.jar:/usr/share/app/b.jar:/usr/share/app/lib/*", "Main"], ARCHIVES).shows(
        "gone",
        &expect![[r"
            gone /usr/share/app/a.jar: UnneededPackage
            gone /usr/share/app/lib/e.so: UnneededPackage
            gone /usr/share/app/lib/f/g.jar: UnneededPackage
            gone /usr/share/lib/h.jar: UnneededPackage
        "]],
    );
}

#[test]
fn archives_are_found_from_the_working_directory_and_by_javas_variables() {
    app(&["java", "-jar", "a.jar", "--class-path=lib/f/g.jar"], ARCHIVES)
        .working_dir("/usr/share/app")
        .env(&["CLASSPATH=lib/e.so:b.jar", "JAVA_TOOL_OPTIONS=-Xmx64m -javaagent:/usr/share/lib/h.jar=x"])
        .shows(
            "gone",
            &expect![[r"
                gone /usr/share/app/lib/c.jar: UnneededPackage
                gone /usr/share/app/lib/d.JAR: UnneededPackage
                gone /usr/share/lib/c-1.0.jar: UnneededPackage
            "]],
        );
}

#[test]
fn class_path_of_a_command_that_replaced_a_script_counts() {
    let recipe = "name = \"own\"\ntitle = \"Own\"\nprograms = [\"/usr/bin/run\"]
        [[lowerings]]\nscripts = [\"/usr/bin/run\"]\narguments = []\nwhy = \"the script ends in it\"
        exec = [\"/usr/bin/java\", \"-cp\", \"/usr/share/app/lib/*\", \"Main\"]\n[lowerings.env]\nCLASSPATH = \"/usr/share/app/a.jar\"
        [lowerings.when]\nlines = [\"exec java Main\"]";
    app(
        &["/usr/bin/run"],
        &format!(
            "{ARCHIVES}\n/usr/bin/sh f 0755 elf static\n/usr/bin/run f 0755 \"#!/bin/sh\\nexec java Main\\n\""
        ),
    )
    .recipe(recipe)
    .shows(
        "start gone",
        &expect![[r#"
        start ["/usr/bin/java", "-cp", "/usr/share/app/lib/*", "Main"]
          Program /usr/bin/java
          with CLASSPATH=/usr/share/app/a.jar
        gone /usr/bin/run: UnneededPackage
        gone /usr/bin/sh: Shell
        gone /usr/share/app/b.jar: UnneededPackage
        gone /usr/share/app/lib/e.so: UnneededPackage
        gone /usr/share/app/lib/f/g.jar: UnneededPackage
        gone /usr/share/lib/h.jar: UnneededPackage
    "#]],
    );
}

#[test]
fn files_stay_however_they_are_written_in_a_word() {
    app(
        &[
            "app",
            "--config=/usr/lib/conf/one",
            "-I/usr/lib/conf/two",
            "file:///usr/lib/conf/three",
            "include /usr/lib/conf/four; x \"/usr/lib/conf/five\"",
            "@/usr/lib/conf/six",
            "KEY=../lib/conf/seven",
            "./with=in",
            "/usr/lib/conf/none",
        ],
        "/usr/lib/conf/one f 1\n/usr/lib/conf/two f 1\n/usr/lib/conf/three f 1\n/usr/lib/conf/four f 1\n/usr/lib/conf/five f 1
        /usr/lib/conf/six f 1\n/usr/lib/conf/seven f 1\n/usr/share/with=in f 1\n/usr/lib/conf/other f 1",
    )
    .working_dir("/usr/share")
    .shows("gone", &expect![[r"
        gone /usr/bin/java: Interpreter
        gone /usr/lib/conf/other: UnneededPackage
    "]]);
}

#[test]
fn what_a_named_directory_holds_stays_but_for_tools_and_their_scripts() {
    app(
        &["app", "--above=/", "--root", "/usr/share/site", "/usr/share/site/deep", "/usr/share/site/"],
        "/usr/share/site/index.html f 1\n/usr/share/site/deep/page.html f 1\n/usr/share/site/conf l /etc/site
        /usr/share/site/logo.png l ../pictures/logo.png\n/usr/share/site/all l /usr/share\n/usr/share/site/wget f 0755 elf static
        /usr/share/site/shell l /usr/bin/bash\n/usr/share/site/hook f 0755 #!/usr/bin/bash\n/etc/site/main.conf f 1
        /usr/share/pictures/logo.png f 1\n/usr/share/pictures/other.png f 1\n/usr/bin/bash f 0755 elf static",
    )
    .shows("gone findings", &expect![[r"
        gone /usr/bin/bash: Shell
        gone /usr/bin/java: Interpreter
        gone /usr/share/pictures/other.png: UnneededPackage
        gone /usr/share/site/hook: script of /usr/bin/bash
        gone /usr/share/site/shell: UnneededPackage
        gone /usr/share/site/wget: Downloader
        low KN007 /usr/bin/bash: 1 of its scripts went with it: /usr/share/site/hook
        info KN046 /: the command line names it (`/`), and packages of all kinds put files there: what nothing else leads to went; name what the program reads there with `--keep GLOB`
        info KN046 /usr/share: the command line names it (`/usr/share/site`), and packages of all kinds put files there: what nothing else leads to went; name what the program reads there with `--keep GLOB`
    "]]);
}

#[test]
fn directories_that_all_packages_share_keep_nothing_and_are_said() {
    for directory in ["/", "/etc", "/usr/share", "/var/lib", "/usr/lib/x86_64-linux-gnu", "/share"] {
        let fixture = app(
            &["app", "--look-at", directory],
            "/etc/x.conf f 1\n/usr/share/x/data f 1\n/var/lib/x/data f 1\n/usr/lib/x86_64-linux-gnu/x/data f 1\n/share l usr/share",
        );
        let plan = fixture.plan();
        let said = plan.findings.iter().filter(|finding| finding.code == Code::DirectoryTooBroad);
        assert_eq!(said.count(), 1, "{directory}");
        let gone = plan.removed.iter().filter(|removed| removed.path.to_string().contains("/x"));
        assert!(gone.count() >= 4, "{directory}");
    }
    // A word that only happens to be a directory's name is about none.
    app(&["app", "share"], "/usr/share/x/data f 1").working_dir("/usr").shows(
        "gone codes",
        &expect![[r"
        gone /usr/bin/java: Interpreter
        gone /usr/share/x/data: UnneededPackage
        codes
    "]],
    );
}

#[test]
fn tools_stay_where_the_command_line_has_their_path_and_are_named() {
    let tools =
        "/usr/bin/bash f 0755 elf static\n/usr/bin/dpkg f 0755 elf static\n/usr/bin/cat f 0755 elf static";
    app(&["app", "--shell=/bin/bash", "dpkg", "cat"], &format!("{tools}\n/bin l usr/bin"))
        .working_dir("/usr/bin")
        .shows(
            "gone findings residual",
            &expect![[r"
            gone /usr/bin/cat: Utility
            gone /usr/bin/dpkg: PackageManager
            gone /usr/bin/java: Interpreter
            medium KN005 /usr/bin/bash: the command line names it: `/bin/bash`
            stays /usr/bin/bash Shell: the command line names it: `/bin/bash`
        "]],
        );
}

#[test]
fn a_script_that_an_option_names_stays_and_its_interpreter_is_asked_for() {
    app(
        &["app", "--on-change=/usr/lib/app/hook"],
        "/usr/lib/app/hook f 0755 #!/usr/bin/dash\n/usr/bin/dash f 0755 elf static",
    )
    .shows("gone findings", &expect![[r"
        gone /usr/bin/dash: Shell
        gone /usr/bin/java: Interpreter
        low KN007 /usr/lib/app/hook: stays as asked, but its interpreter /usr/bin/dash went: `--keep /usr/bin/dash` too
    "]]);
}

#[test]
fn strip_takes_what_the_command_line_names_and_says_so() {
    app(&["app", "-c", "/etc/app.conf"], "/etc/app.conf f 1").strip("/etc/app.conf").shows(
        "gone findings",
        &expect![[r"
            gone /etc/app.conf: --strip /etc/app.conf
            gone /usr/bin/java: Interpreter
            high KN010 /etc/app.conf: stripped as asked, but the command line names `/etc/app.conf`
        "]],
    );
}
