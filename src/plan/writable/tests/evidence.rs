//! Each kind of evidence, alone and against others.

#![allow(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]

use expect_test::expect;

use super::*;
use crate::recipe::{PortRule, WritableRule};

#[test]
fn files_that_the_command_line_names_and_the_image_lacks_are_told() {
    check(
        &Case {
            image: "/usr/bin/docker-registry f 0755 elf\n/etc/docker/registry/config.yml f \"http: {addr: ':5000'}\"",
            argv: &["docker-registry", "serve", "/config/registry.yml"],
            program: "/usr/bin/docker-registry",
            recipes: vec![registry()],
            ..Case::default()
        },
        &expect![[r#"
            low KN041 /config/registry.yml: the command line names it as a configuration file, but the image has none there: what it makes the app write is not known
        "#]],
    );
}

#[test]
fn volumes_are_declared_and_content_is_never_hidden() {
    check(
        &Case {
            image: "/data d 0755 100:101\n/srv/www/index.html f 12\n/app/run.py f 0644 \"#!/usr/bin/python3\"\n/usr/bin/x f 0755 elf\n/usr/share/x d",
            volumes: &["/data", "/srv/www/", "/app", "/usr/bin", "/absent", "/bad:name", "/data/inner"],
            extra: &["/usr/share/x"],
            ..Case::default()
        },
        &expect![[r#"
            /absent State Proven absent 0755 100:101 disk 1024Mi
              Config config Volumes: /absent
            /data State Proven empty 0755 100:101 disk 1024Mi
              Config config Volumes: /data
              Ownership /data: a directory owned by the user
            /data/inner State Proven absent 0755 100:101 disk 1024Mi
              Config config Volumes: /data/inner
            /srv/www State Proven seed 1 12 copied 0755 100:101 disk 1024Mi
              Config config Volumes: /srv/www/
            /usr/share/x State Proven empty 0755 100:101 disk 1024Mi
              User --writable: /usr/share/x
            info KN019 /absent: a runtime would mount a volume here that the pod spec does not show; the hardened image declares none
            info KN019 /app: a runtime would mount a volume here that the pod spec does not show; the hardened image declares none
            info KN019 /bad:name: a runtime would mount a volume here that the pod spec does not show; the hardened image declares none
            info KN019 /data: a runtime would mount a volume here that the pod spec does not show; the hardened image declares none
            info KN019 /data/inner: a runtime would mount a volume here that the pod spec does not show; the hardened image declares none
            info KN019 /srv/www: a runtime would mount a volume here that the pod spec does not show; the hardened image declares none
            info KN019 /usr/bin: a runtime would mount a volume here that the pod spec does not show; the hardened image declares none
            medium KN042 /app: config Volumes (/app) needs it to be writable, but it cannot be a volume: it holds code: /app/run.py; let it be written elsewhere
            medium KN042 /bad:name: config Volumes (/bad:name) needs it to be writable, but it cannot be a volume: its name cannot stand in a pod spec; let it be written elsewhere
            medium KN042 /usr/bin: config Volumes (/usr/bin) needs it to be writable, but it cannot be a volume: it is one of the system's own directories; let it be written elsewhere
        "#]],
    );
}

#[test]
fn tmpfiles_count_for_the_software_and_its_account_only() {
    check(
        &Case {
            image: r#"
                /usr/lib/tmpfiles.d/postgresql-common.conf f ";\n# x\nd /run/postgresql 2775 postgres postgres - -\nd /var/log/postgresql 1775 root postgres - -\n"
                /usr/lib/tmpfiles.d/postgres.conf f "d! %S/pg 0700 postgres postgres -\nf /run/pgx/lock 0600 root root\n"
                /usr/lib/tmpfiles.d/tmp.conf f "d /tmp/x 1777 postgres root 10d"
                /usr/lib/tmpfiles.d/other.conf f "d /run/other 0755 other other"
                /var/log/postgresql d 1775 0:104
            "#,
            program: "/usr/lib/postgresql/17/bin/postgres",
            user: user("postgres", 102, 104),
            ..Case::default()
        },
        &expect![[r#"
            /run/pgx Run Likely absent 0755 102:104 memory 16Mi
              Tmpfiles /usr/lib/tmpfiles.d/postgres.conf:2: f /run/pgx/lock 0600 root root
            /run/postgresql Run Likely absent 0775 102:104 memory 16Mi
              Tmpfiles /usr/lib/tmpfiles.d/postgresql-common.conf:3: d /run/postgresql 2775 postgres postgres - -
            /var/lib/pg State Likely absent copied 0700 102:104 disk 1024Mi
              Tmpfiles /usr/lib/tmpfiles.d/postgres.conf:1: d! %S/pg 0700 postgres postgres -
            /var/log/postgresql Log Possible empty 1775 0:104 disk 256Mi
              Ownership /var/log/postgresql: a directory that the user's group 104 may write
        "#]],
    );
}

#[test]
fn own_and_shared_directories_are_weighed() {
    check(
        &Case {
            image: r#"
                /tmp d 1777
                /var/tmp d 1777
                /run/lock d 1777
                /dev/shm d 1777
                /home/app d 0755 100:101
                /home/app/.profile f 20
                /var/lib/app d 0750 100:101
                /var/lib/app/sub d 0750 100:101
                /var/log/group d 0775 0:101
                /app d 0755 100:101
                /app/main.sh f 0755 #!/bin/sh
                /usr/sbin/app f 0755 elf paths=/var/lib/app/db,/srv/app,/var/lib/nobody,/var/lib/other/x,/opt/x,/tmp/y
                /srv/app d
                /var/lib/other d
                /opt/x d
            "#,
            env: &[
                ("HOME", "/home/app"),
                ("TMPDIR", "/scratch"),
                ("XDG_CACHE_HOME", "/home/app/.cache"),
                ("PATH", "/usr/bin"),
            ],
            working_dir: "/app",
            ..Case::default()
        },
        &expect![[r#"
            /home/app/.cache Cache Likely absent 0755 100:101 disk 256Mi
              Config config Env: XDG_CACHE_HOME=/home/app/.cache
            /scratch Tmp Likely absent 0755 100:101 disk 64Mi
              Config config Env: TMPDIR=/scratch
            /srv/app State Possible empty 0755 100:101 disk 1024Mi
              Binary /usr/sbin/app: contains `/srv/app`
            /tmp Tmp Likely empty 1777 0:0 disk 64Mi
              Ownership /tmp: directory for scratch files, writable for everybody
            /var/lib/app State Possible empty copied 0750 100:101 disk 1024Mi
              Ownership /var/lib/app: a directory owned by the user
              Binary /usr/sbin/app: contains `/var/lib/app/db`
            /var/lib/other State Possible empty 0755 100:101 disk 1024Mi
              Binary /usr/sbin/app: contains `/var/lib/other/x`
            /var/log/group Log Possible empty 0775 0:101 disk 256Mi
              Ownership /var/log/group: a directory that the user's group 101 may write
            low KN018 /app: a directory owned by the user, but not in the hardened image: it holds code: /app/main.sh
            low KN018 /run/lock: a directory that everybody may write, but nothing else says that the app writes there; `--writable /run/lock` declares it
            low KN018 /var/tmp: a directory that everybody may write, but nothing else says that the app writes there; `--writable /var/tmp` declares it
        "#]],
    );
}

#[test]
fn ports_come_from_options_exposure_and_the_environment() {
    let ports = |case: &Case<'_>| {
        let found = case.find(&parse_image("/usr/sbin/app f 0755 elf"));
        found.ports.iter().map(|port| format!("{} {}", port.port, port.name)).collect::<Vec<_>>()
    };
    let python = || Recipe {
        ports: vec![PortRule { port: 8000, name: "http".into(), why: "its default".into() }],
        ..recipe("python")
    };
    let case = |argv: &'static [&'static str]| Case { argv, recipes: vec![python()], ..Case::default() };
    assert_eq!(ports(&case(&["app", "-m", "http.server", "--directory", "/srv", "9000"])), ["9000 http"]);
    assert_eq!(ports(&case(&["app", "-m", "http.server", "--bind", "127.0.0.1"])), ["8000 http"]);
    assert_eq!(ports(&case(&["app", "-b", "0.0.0.0:8080", "app:app"])), ["8080 http"]);
    assert_eq!(ports(&case(&["app", "--bind=unix:/run/x"])), ["8000 http"]);
    let exposed = Case { exposed: &[5000, 3000], recipes: vec![python()], ..Case::default() };
    assert_eq!(ports(&exposed), ["3000 http", "5000 http-5000"]);
    let env = Case { env: &[("PORT", "3333")], ..Case::default() };
    assert_eq!(ports(&env), ["3333 port"]);
}

#[test]
fn recipe_rules_hold_for_the_layout_that_the_image_has() {
    let rule = |path: &str, if_exists: Option<&str>| WritableRule {
        path: ImagePath::literal(path),
        purpose: Purpose::Cache,
        if_exists: if_exists.map(ImagePath::literal),
        size_mib: Some(100),
        why: "it keeps files there".into(),
    };
    let rules = vec![rule("/var/cache/a", Some("/etc/a")), rule("/var/cache/b", Some("/etc/b"))];
    let case = Case { recipes: vec![Recipe { writable: rules, ..recipe("x") }], ..Case::default() };
    let found = case.find(&parse_image("/etc/a d"));
    assert_eq!(found.paths.len(), 1);
    assert_eq!(found.paths[0].size_limit, 128 << 20);
    assert_eq!(found.unused, ["x: writable `/var/cache/b`: no `/etc/b`"]);
}

#[test]
fn a_unit_tells_the_account_of_the_program_it_starts() {
    let rootfs = parse_image(
        r#"
        /usr/bin/x l y
        /usr/bin/y f 0755 elf
        /lib/systemd/system/x.service f "[Unit]\nUser=no\n[Service]\nExecStart=\nExecStart=-@/usr/bin/x \\\n  --flag\nUser=first\n"
        /etc/systemd/system/x.service.d/override.conf f "[Service]\nUser=second\n"
        "#,
    );
    assert_eq!(
        unit_user(&rootfs, &ImagePath::literal("/usr/bin/y")),
        Some(("second".to_owned(), "/etc/systemd/system/x.service.d/override.conf:2".to_owned()))
    );
    assert_eq!(unit_user(&rootfs, &ImagePath::literal("/usr/bin/z")), None);
}

#[test]
fn mount_points_are_never_setuid_or_setgid_whoever_asks_for_it() {
    let image = r#"
        /usr/sbin/app f 0755 elf
        /usr/lib/tmpfiles.d/app.conf f "d /run/app 2755 root app\nd /run/app/sticky 7777 root app\n"
        /var/log/app d 2750 100:101
    "#;
    let case = Case { image, extra: &["/var/log/app"], ..Case::default() };
    let found = case.find(&parse_image(image));
    let modes: Vec<_> = found.paths.iter().map(|path| format!("{} {:04o}", path.path, path.mode)).collect();
    assert_eq!(modes, ["/run/app 0755", "/run/app/sticky 1777", "/var/log/app 0750"]);
}

#[test]
fn volume_is_as_lasting_and_as_large_as_what_is_copied_with_it_needs() {
    check(
        &Case {
            image: r#"
                /usr/bin/redis-server f 0755 elf
                /etc/redis/redis.conf f "dir /run/app/db\n"
                /run/app d 0755 100:101
                /run/app/x f 5
                /run/app/db d 0755 100:101
                /run/app/db/dump f 5
            "#,
            argv: &["redis-server", "/etc/redis/redis.conf"],
            program: "/usr/bin/redis-server",
            recipes: vec![redis()],
            extra: &["/run/app"],
            ..Case::default()
        },
        &expect![[r#"
            /run/app State Proven seed 2 10 copied 0755 100:101 disk 1024Mi
              User --writable: /run/app
              Directive /etc/redis/redis.conf:1: dir /run/app/db
            port 6379/TCP redis
              Recipe recipe redis: `port` is not set; compiled in: 6379
              Recipe recipe redis: its default
        "#]],
    );
}
