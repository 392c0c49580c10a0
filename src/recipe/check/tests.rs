//! Tests of `recipe::check`.

mod images;

use expect_test::{Expect, expect};

use super::super::{builtin, builtin_text, matching, static_binary};
use super::*;

use images::IMAGES;

fn check(text: &str, expect: &Expect) {
    let told = match parse_recipe("mine.toml", text) {
        Ok(recipe) => format!("{recipe:#?}\n"),
        Err(error) => {
            let lines: Vec<String> = error.problems.iter().map(Problem::to_string).collect();
            lines.join("\n") + "\n"
        }
    };
    expect.assert_eq(&told);
}

#[test]
fn all_problems_are_told_at_once_with_their_lines() {
    check(
        r#"name = "My App"
title = ""
programs = ["usr/bin/app", "/usr/bin/[x", "/usr/bin/app", "/usr/bin/app"]
user = ["app"]

[[keep]]
glob = "/../etc"

[[writable]]
path = "var/lib/app"
purpose = "stuff"
if-exists = "here"
size-mib = 0
why = "data"

[[writable]]
path = "/a"
purpose = "run"
why = "one"

[[writable]]
path = "/a/"
purpose = "run"
why = "two"

[[directives]]
files = []
syntax = "xml"
names = ["dir", "dir"]
meaning = "directory"

[[ports]]
port = 0
name = "A_PORT"
why = "x"

[[ports]]
port = 70000
name = "http"
why = "x"

[probe]
http = "healthz"
retries = 3

[[env]]
name = "A=B"
why = "x"

[[lowerings]]
scripts = ["run.sh"]
exec = ["app"]
why = "x"

[[lowerings]]
scripts = ["/run.sh"]
arguments = { prefix = "app" }
exec = []
why = "x"

[[lowerings.when.known]]
files = ["/run.sh"]
sha256 = ["abc"]
"#,
        &expect![[r"
            line 1: name `My App` is not made of a-z, 0-9 and `-`
            line 1: writable path `/a` stands twice
            line 2: `title` of the recipe is empty
            line 3: glob `/usr/bin/[x` is not valid: unclosed character class; missing ']'
            line 3: glob `/usr/bin/app` stands twice
            line 3: glob `usr/bin/app` does not begin with `/` or `**/`
            line 4: unknown key `user` in the recipe; known are `name`, `title`, `programs`, `users`, `keep`, `plugins`, `writable`, `directives`, `ports`, `probe`, `env`, `lowerings`, `shells`, `caveats`
            line 6: `why` of [[keep]] is missing
            line 7: glob `/../etc` contains `..`
            line 10: path `var/lib/app` is not absolute
            line 11: purpose `stuff` is not one of tmp, run, cache, log, state, config
            line 12: path `here` is not absolute
            line 13: size-mib `0` is not from 1 to 4294967295
            line 26: `files` of [[directives]] is missing or empty
            line 26: `purpose` of [[directives]] is missing
            line 28: syntax `xml` is not one of nginx, apache, words, ini, lines, yaml, caddy
            line 29: directive name `dir` stands twice
            line 33: port is 0, not from 1 to 65535
            line 34: `A_PORT` is no Kubernetes port name (15 of a-z, 0-9 and `-`, a letter among them)
            line 38: port is 70000, not from 1 to 65535
            line 43: probe path `healthz` does not begin with `/`
            line 44: unknown key `retries` in [probe]; known are `http`, `tcp`
            line 47: `A=B` is no name of a variable
            line 50: `arguments` of [[lowerings]] is missing
            line 50: a lowering without conditions in `when` is a guess
            line 51: path `run.sh` is not absolute
            line 52: exec begins with `app`, not with an absolute path, `$1` or `$@`
            line 55: `exec` of [[lowerings]] is missing or empty
            line 57: unknown key `prefix` in `arguments`; known are `programs`, `option-prefix`, `suffix`
            line 63: `abc` is not 64 lower-case hexadecimal digits
        "]],
    );
}

#[test]
fn broken_toml_is_told_with_its_lines() {
    check(
        "name = \ntitle = \"x\"\n[[keep]\nglob = 1\n",
        &expect![[r"
            line 1: string values must be quoted, expected literal string
            line 3: unclosed array table, expected `]`
        "]],
    );
}

#[test]
fn an_overlong_text_is_refused_unread() {
    let error = parse_recipe("x", &"#".repeat(MAX_RECIPE + 1)).unwrap_err();
    assert_eq!(error.to_string(), "recipe `x` is not valid: 1048577 bytes are more than 1048576");
}

#[test]
fn a_recipe_with_everything_is_read() {
    check(
        r#"
name = "app"
title = "The App"
programs = ["/usr/bin/app"]
users = ["app"]
keep = [{ glob = "/etc/app/**", why = "configuration" }]
plugins = [{ directory = "/usr/lib/app", why = "plugins" }]
writable = [{ path = "/var/lib/app", purpose = "state", if-exists = "/etc/app", size-mib = 64, why = "data" }]
env = [{ name = "APP_CACHE", value = "off", why = "no cache" }]
ports = [{ port = 8080, name = "http", why = "compiled in" }]
probe = { http = "/healthz" }

[[directives]]
files = ["/etc/app/app.conf"]
syntax = "ini"
names = ["data"]
meaning = "directory"
purpose = "state"
default = "/var/lib/app"

[[lowerings]]
scripts = ["/run.sh"]
arguments = { option-prefix = "app", suffix = ".conf", programs = ["app"] }
exec = ["$@"]
directories = ["/run/app"]
why = "it executes its arguments"
env = { A = "1" }
when = { unmodified = ["/run.sh"], lines = ["exec \"$@\""], absent = ["/etc/app.d/*"], unset = ["APP_INIT"] }
"#,
        &expect![[r#"
            Recipe {
                name: "app",
                title: "The App",
                programs: [
                    "/usr/bin/app",
                ],
                keep: [
                    KeepRule {
                        glob: "/etc/app/**",
                        why: "configuration",
                    },
                ],
                plugin_directories: [
                    KeepRule {
                        glob: "/usr/lib/app",
                        why: "plugins",
                    },
                ],
                writable: [
                    WritableRule {
                        path: /var/lib/app,
                        purpose: State,
                        if_exists: Some(
                            /etc/app,
                        ),
                        size_mib: Some(
                            64,
                        ),
                        why: "data",
                    },
                ],
                directives: [
                    Directive {
                        files: [
                            "/etc/app/app.conf",
                        ],
                        syntax: Ini,
                        names: [
                            "data",
                        ],
                        meaning: Directory,
                        purpose: State,
                        default: Some(
                            "/var/lib/app",
                        ),
                    },
                ],
                ports: [
                    PortRule {
                        port: 8080,
                        name: "http",
                        why: "compiled in",
                    },
                ],
                users: [
                    "app",
                ],
                probe: Some(
                    Http {
                        path: "/healthz",
                    },
                ),
                env: [
                    EnvRule {
                        name: "APP_CACHE",
                        value: "off",
                        why: "no cache",
                    },
                ],
                lowerings: [
                    Lowering {
                        scripts: [
                            /run.sh,
                        ],
                        conditions: [
                            Unmodified(
                                [
                                    /run.sh,
                                ],
                            ),
                            Lines(
                                [
                                    "exec \"$@\"",
                                ],
                            ),
                            Absent(
                                [
                                    "/etc/app.d/*",
                                ],
                            ),
                            Unset(
                                [
                                    "APP_INIT",
                                ],
                            ),
                        ],
                        arguments: Any {
                            option_prefix: Some(
                                "app",
                            ),
                            suffix: Some(
                                ".conf",
                            ),
                            programs: [
                                "app",
                            ],
                        },
                        exec: [
                            "$@",
                        ],
                        env: [
                            (
                                "A",
                                "1",
                            ),
                        ],
                        directories: [
                            /run/app,
                        ],
                        why: "it executes its arguments",
                    },
                ],
                shells: [],
                caveats: [],
            }
        "#]],
    );
}

#[test]
fn every_builtin_recipe_is_valid_and_named_as_its_file() {
    for recipe in builtin() {
        let text = builtin_text(&recipe.name).unwrap();
        assert_eq!(parse_recipe("x", text).as_ref(), Ok(recipe));
    }
    let names: Vec<&str> = builtin().iter().map(|recipe| recipe.name.as_str()).collect();
    assert!(names.is_sorted(), "{names:?}");
}

#[test]
fn a_lowering_starts_a_program_that_its_recipe_knows() {
    for recipe in builtin() {
        for lowering in &recipe.lowerings {
            let first = lowering.exec.first().unwrap();
            if first.starts_with('/') {
                let found = matching(builtin(), &[ImagePath::literal(first)]);
                assert_eq!(found, [recipe], "{first}");
            }
        }
    }
}

#[test]
fn every_recipe_recognises_its_software_and_its_rules_find_something() {
    use std::collections::BTreeSet;

    use crate::path::glob::PathGlobs;
    use crate::rootfs::dump::parse_image;

    let mut seen = BTreeSet::new();
    let mut used: BTreeSet<(&str, &str)> = BTreeSet::new();
    for (name, image, programs) in IMAGES {
        let rootfs = parse_image(image);
        for program in *programs {
            let path = ImagePath::literal(program);
            assert!(rootfs.resolve(&path).is_some(), "{program} is in its image");
            let found: Vec<&str> =
                matching(builtin(), &[path]).iter().map(|recipe| recipe.name.as_str()).collect();
            assert_eq!(found, [*name], "{program}");
        }
        let recipe = builtin().iter().find(|recipe| recipe.name == *name).unwrap();
        seen.insert(recipe.name.as_str());
        for rule in recipe.keep.iter().chain(&recipe.plugin_directories) {
            let globs = PathGlobs::new([&rule.glob]).unwrap();
            let reach = |path: &ImagePath| {
                globs.is_match(&path.absolute())
                    || path.ancestors().any(|above| globs.is_match(&above.absolute()))
            };
            if rootfs.nodes().any(|(path, _)| reach(path)) {
                used.insert((name, &rule.glob));
            }
        }
    }
    for recipe in builtin() {
        if recipe.name == "static" {
            assert!(recipe.programs.is_empty());
            assert_eq!(static_binary(builtin()), Some(recipe));
            continue;
        }
        assert!(seen.contains(recipe.name.as_str()), "{} has an image", recipe.name);
        for rule in recipe.keep.iter().chain(&recipe.plugin_directories) {
            let exempt = recipe.name == "redis" && rule.glob.ends_with("/redis/modules");
            assert!(exempt || used.contains(&(&*recipe.name, &*rule.glob)), "{}: {}", recipe.name, rule.glob);
        }
    }
}

#[test]
fn programs_that_only_look_alike_match_nothing() {
    for path in [
        "/usr/bin/python3-config",
        "/usr/bin/pythonista",
        "/usr/bin/redis-check-rdb",
        "/usr/bin/redis-sentinel",
        "/usr/sbin/apache2ctl",
        "/usr/bin/node-gyp",
        "/srv/nginx",
    ] {
        assert!(matching(builtin(), &[ImagePath::literal(path)]).is_empty(), "{path}");
    }
}
