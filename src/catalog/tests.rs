//! Tests of `catalog`.

use super::*;

fn check(name: &str, expect: Option<Class>) {
    assert_eq!(Catalog::builtin().program(name.as_bytes()), expect, "{name}");
}

#[test]
fn every_gtfobins_name_has_a_class() {
    let names = include_str!("../../testdata/gtfobins-names.txt");
    let missing: Vec<&str> =
        names.lines().filter(|name| Catalog::builtin().program(name.as_bytes()).is_none()).collect();
    assert_eq!(missing, Vec::<&str>::new());
    assert_eq!(names.lines().count(), 478);
}

#[test]
fn versions_triplets_and_alternatives_are_seen_through() {
    for (name, class) in [
        ("python3", Class::Interpreter),
        ("python3.11", Class::Interpreter),
        ("perl5.36.0", Class::Interpreter),
        ("perl5.36-x86_64-linux-gnu", Class::Interpreter),
        ("cpan5.36-x86_64-linux-gnu", Class::PackageManager),
        ("gcc-12", Class::Compiler),
        ("x86_64-linux-gnu-gcc-12", Class::Compiler),
        ("arm-linux-gnueabihf-g++-12", Class::Compiler),
        ("x86_64-linux-gnu-ld.bfd", Class::Compiler),
        ("ruby3.1", Class::Interpreter),
        ("php8.2", Class::Interpreter),
        ("lua5.4", Class::Interpreter),
        ("clang-14", Class::Compiler),
        ("clang++-14", Class::Compiler),
        ("vim.basic", Class::Editor),
        ("vim.tiny", Class::Editor),
        ("nc.traditional", Class::NetworkTool),
        ("nc.openbsd", Class::NetworkTool),
        ("rename.ul", Class::Utility),
        ("which.debianutils", Class::Utility),
        ("pip3.11", Class::PackageManager),
        ("mawk", Class::Interpreter),
        ("busybox", Class::Shell),
        ("gosu", Class::Escape),
    ] {
        check(name, Some(class));
    }
}

#[test]
fn names_that_only_begin_like_a_tool_are_none() {
    for name in [
        "nodes",
        "cpython-foo.so",
        "python3-config",
        "ld-linux-x86-64.so.2",
        "libc.so.6",
        "catalog",
        "shiny",
        "7",
        "3.11",
        "",
        "-",
        ".",
        "-linux-gnu-",
        "x86_64-linux-gnu-",
        "app.sh",
        "cat2",
        "gunicorn",
        "docker-registry",
        "redis-server",
        "unix_chkpwd",
        "postgres",
        "tini",
        "dumb-init",
        "catatonit",
    ] {
        check(name, None);
    }
}

#[test]
fn versioned_names_are_programs() {
    let catalog = Catalog::builtin();
    for name in &catalog.versioned {
        assert!(catalog.programs.contains_key(name), "{}", String::from_utf8_lossy(name));
    }
}

#[test]
fn tool_packages_are_told_from_what_applications_need() {
    let catalog = Catalog::builtin();
    for (name, class) in [
        ("bash", Class::Shell),
        ("dpkg", Class::PackageManager),
        ("libapt-pkg6.0", Class::PackageManager),
        ("coreutils", Class::Utility),
        ("perl-base", Class::Interpreter),
        ("perl-modules-5.36", Class::Interpreter),
        ("gcc-12", Class::Compiler),
        ("mount", Class::Escape),
        ("netcat-openbsd", Class::NetworkTool),
        ("vim-tiny", Class::Editor),
        ("curl", Class::Downloader),
        ("postgresql-client-15", Class::Application),
    ] {
        assert_eq!(catalog.package(name), Some(class), "{name}");
    }
    for name in [
        "python3.11-minimal",
        "python3",
        "nodejs",
        "ruby3.1",
        "tzdata",
        "ca-certificates",
        "base-files",
        "libc-bin",
        "libc6",
        "openssl",
        "libssl3",
        "gcc-12-base",
        "libgcc-s1",
        "nginx",
        "libcurl4",
        "libperlio-dummy",
        "redis-tools",
        "libpam-modules-bin",
    ] {
        assert_eq!(catalog.package(name), None, "{name}");
    }
}

fn kept_by(soname: &str, path: &str) -> bool {
    Catalog::builtin()
        .dlopen_rules()
        .iter()
        .any(|rule| rule.called_by_soname(soname.as_bytes()) && rule.keeps(path.as_bytes()))
}

#[test]
fn libraries_that_only_dlopen_finds_are_kept() {
    for (soname, path) in [
        ("libc.so.6", "/usr/lib/x86_64-linux-gnu/libgcc_s.so.1"),
        ("libc.so.6", "/lib/x86_64-linux-gnu/libgcc_s.so.1"),
        ("libc.so.6", "/lib64/libgcc_s.so.1"),
        ("libc.so.6", "/usr/lib/x86_64-linux-gnu/libnss_dns.so.2"),
        ("libc.so.6", "/usr/lib/x86_64-linux-gnu/gconv/UTF-16.so"),
        ("libpam.so.0", "/usr/lib/x86_64-linux-gnu/security/pam_unix.so"),
        ("libpam.so.0", "/etc/pam.d/common-auth"),
        ("libcrypto.so.3", "/usr/lib/x86_64-linux-gnu/ossl-modules/legacy.so"),
        ("libcrypto.so.3", "/usr/lib/x86_64-linux-gnu/engines-3/afalg.so"),
        ("libgssapi_krb5.so.2", "/usr/lib/x86_64-linux-gnu/krb5/plugins/preauth/spake.so"),
        ("libsasl2.so.2", "/usr/lib/x86_64-linux-gnu/sasl2/libplain.so.2"),
        ("libaprutil-1.so.0", "/usr/lib/x86_64-linux-gnu/apr-util-1/apr_ldap-1.so"),
        ("libgio-2.0.so.0", "/usr/lib/x86_64-linux-gnu/gio/modules/libgiognutls.so"),
        ("libmagic.so.1", "/usr/lib/file/magic.mgc"),
        ("libtinfo.so.6", "/lib/terminfo/l/linux"),
    ] {
        assert!(kept_by(soname, path), "{soname}: {path}");
    }
    let rules = Catalog::builtin().dlopen_rules().iter();
    let spared = |path: &str| rules.clone().any(|rule| rule.spares(path.as_bytes()));
    assert!(spared("/usr/lib/x86_64-linux-gnu/gconv/BIG5.so"));
    assert!(!spared("/usr/lib/x86_64-linux-gnu/gconv/UTF-16.so"));
    assert!(!spared("/usr/lib/x86_64-linux-gnu/libnss_dns.so.2"));
    assert!(!kept_by("libz.so.1", "/usr/lib/x86_64-linux-gnu/libgcc_s.so.1"));
    assert!(!kept_by("libcrypto.so.3", "/usr/lib/x86_64-linux-gnu/security/pam_unix.so"));
}

#[test]
fn rules_name_the_paths_they_are_for() {
    let catalog = Catalog::builtin();
    let check = |rules: &Rules, path: &str, expect: bool| {
        assert_eq!(rules.find(path.as_bytes()).is_some(), expect, "{path}");
    };
    check(catalog.always_keep(), "/etc/os-release", true);
    check(catalog.always_keep(), "/usr/lib/os-release", true);
    check(catalog.always_keep(), "/etc/ssl/certs/ca-certificates.crt", true);
    check(catalog.always_keep(), "/usr/share/zoneinfo/Europe/Vienna", true);
    check(catalog.always_keep(), "/etc/apt/sources.list", false);
    check(catalog.state(), "/var/lib/apt/lists/x", true);
    check(catalog.state(), "/var/lib/dpkg/status-old", true);
    for database in ["status", "info/libc6:amd64.list", "diversions", "status.d/base", "arch"] {
        check(catalog.state(), &format!("/var/lib/dpkg/{database}"), false);
    }
    check(catalog.state(), "/root/.cache/huggingface/model.bin", false);
    check(catalog.state(), "/etc/passwd-", true);
    check(catalog.state(), "/etc/passwd", false);
    check(catalog.spirit(), "/usr/local/lib/python3.12/site-packages/pip/__init__.py", true);
    check(catalog.spirit(), "/usr/local/lib/python3.12/site-packages/pip-24.0.dist-info/METADATA", true);
    check(catalog.spirit(), "/usr/local/lib/python3.12/site-packages/flask/__init__.py", false);
    check(catalog.spirit(), "/usr/local/lib/node_modules/npm/bin/npm-cli.js", true);
    check(catalog.spirit(), "/usr/local/lib/node_modules/express/index.js", false);
    check(catalog.aside(), "/usr/share/man/man8/nginx.8.gz", true);
    check(catalog.aside(), "/usr/share/locale/de/LC_MESSAGES/libc.mo", true);
    check(catalog.aside(), "/usr/share/locale/locale.alias", false);
    check(catalog.aside(), "/usr/share/zoneinfo/right/UTC", true);
    check(catalog.aside(), "/usr/share/zoneinfo/UTC", false);
    check(catalog.aside(), "/var/lib/dpkg/info/libc6:amd64.postinst", true);
    check(catalog.aside(), "/var/lib/dpkg/info/libc6:amd64.list", false);
    check(catalog.secrets(), "/etc/ssh/ssh_host_rsa_key", true);
    check(catalog.secrets(), "/etc/ssh/ssh_host_rsa_key.pub", false);
    check(catalog.secrets(), "/var/lib/rabbitmq/.erlang.cookie", true);
}

#[test]
fn rules_for_links_name_no_files() {
    let spirit = Catalog::builtin().spirit();
    let path = b"/usr/lib/x86_64-linux-gnu/libfoo.so.1";
    assert!(spirit.find_link(path).is_some());
    assert!(spirit.find(path).is_none());
}

fn unwrapped(line: &str) -> Option<String> {
    let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    let (name, rest) = words.split_first()?;
    let wrapper = Catalog::builtin().wrapper(name.as_bytes())?;
    wrapper.unwrap_words(rest).map(|wrapped| wrapped.command.join(" "))
}

#[test]
fn wrappers_lead_to_the_command() {
    for (line, command) in [
        ("tini -- nginx -g x", Some("nginx -g x")),
        ("tini -g -s nginx", Some("nginx")),
        ("tini -vv -e 143 -p SIGTERM -- node -e x", Some("node -e x")),
        ("tini --version", None),
        ("tini", None),
        ("dumb-init -r 15:3 -c -- sh -c x", Some("sh -c x")),
        ("dumb-init --rewrite=15:3 nginx", Some("nginx")),
        ("catatonit -g -- nginx", Some("nginx")),
        ("gosu redis:redis redis-server --port 1", Some("redis-server --port 1")),
        ("gosu redis", None),
        ("su-exec 1000 app -v", Some("app -v")),
        ("setpriv --reuid redis --regid redis --clear-groups redis-server -x", Some("redis-server -x")),
        ("setpriv --reuid=redis --clear-groups -- redis-server", Some("redis-server")),
        ("chpst -u www -/ /root nginx", Some("nginx")),
        ("env -i A=1 B=2 app -c C=3", Some("app -c C=3")),
        ("env python3 -m x", Some("python3 -m x")),
        ("env -u A -- app", Some("app")),
        ("env -S node --flag", Some("node --flag")),
        ("nice -n 5 app", Some("app")),
        ("stdbuf -oL app -e", Some("app -e")),
        ("taskset 0x1 app", Some("app")),
    ] {
        assert_eq!(unwrapped(line).as_deref(), command, "{line}");
    }
}

#[test]
fn variables_that_env_sets_are_told() {
    let words = ["-i", "A=1", "B=x=y", "app"].map(str::to_owned);
    let wrapped = Catalog::builtin().wrapper(b"env").unwrap().unwrap_words(&words).unwrap();
    assert_eq!(wrapped.assignments, [("A".into(), "1".into()), ("B".into(), "x=y".into())]);
    assert_eq!(wrapped.skipped, ["-i"]);
}
