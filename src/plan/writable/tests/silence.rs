//! Directives that say that no log is written, against what a distribution prepared for logs.

use super::*;

/// Debian's redis: a unit and an owner for logs, and a configuration file.
const REDIS: &str = r#"
    /usr/bin/redis-server f 0755 elf
    /usr/lib/systemd/system/redis-server.service f "[Service]\nExecStart=/usr/bin/redis-server /etc/redis/redis.conf\nLogsDirectory=redis\nReadWritePaths=-/var/log/redis\n"
    /usr/lib/tmpfiles.d/redis.conf f "d /run/redis 0755 redis redis"
    /var/log/redis d 2750 100:4
"#;

/// Declared paths, and what is told of the directory for logs.
fn logs(configuration: &str, change: impl FnOnce(&mut Case<'_>)) -> (Vec<String>, Vec<String>) {
    let image = format!("{REDIS}\n/etc/redis/redis.conf f \"{configuration}\"");
    let mut case = Case {
        image: &image,
        argv: &["redis-server", "/etc/redis/redis.conf"],
        program: "/usr/bin/redis-server",
        recipes: vec![redis()],
        user: user("redis", 100, 102),
        working_dir: "/data",
        ..Case::default()
    };
    change(&mut case);
    let found = case.find(&parse_image(&image));
    let is_told = |told: &&Finding| told.code == Code::WritableUndeclared && told.subject == "/var/log/redis";
    let told = found.findings.iter().filter(is_told);
    let declared = found.paths.iter().map(|declared| declared.path.to_string());
    (declared.collect(), told.map(ToString::to_string).collect())
}

fn is_declared(configuration: &str, change: impl FnOnce(&mut Case<'_>)) -> bool {
    let (declared, told) = logs(configuration, change);
    let is_declared = declared.contains(&"/var/log/redis".to_owned());
    assert!(is_declared == told.is_empty(), "left out without a word, or declared and told: {told:?}");
    is_declared
}

#[test]
fn custom_yields_to_a_directive_that_switches_the_log_off_and_it_is_told() {
    let (declared, told) = logs(r#"logfile ""\n"#, |_| {});
    assert_eq!(declared, ["/data", "/run/redis"], "only logs are spoken of");
    assert_eq!(
        told,
        ["low KN018 /var/log/redis: `logfile` (/etc/redis/redis.conf:1) sends the log elsewhere, so \
          /usr/lib/systemd/system/redis-server.service:3 (LogsDirectory=redis) is no reason for a mount; \
          `--writable /var/log/redis` declares it"]
    );
    assert!(!is_declared(r"logfile /var/log/redis/redis.log\n", |case| {
        case.argv = &["redis-server", "/etc/redis/redis.conf", "--logfile", ""];
    }));
}

#[test]
fn a_log_that_is_written_or_not_spoken_of_leaves_custom_its_word() {
    assert!(is_declared(r"dir /data\n", |_| {}));
    assert!(is_declared(r"logfile /var/log/redis/redis.log\n", |_| {}));
    // One of two logs.
    assert!(is_declared(r#"logfile ""\naudit /srv/audit.log\n"#, |case| {
        let audit =
            directive(Syntax::Words, "/etc/redis/redis.conf", "audit", Meaning::File, Purpose::Log, None);
        case.recipes[0].directives.push(audit);
    }));
}

#[test]
fn a_file_that_may_not_be_read_switches_nothing_off() {
    assert!(is_declared(r#"logfile ""\n"#, |case| case.argv = &["redis-server"]));
}

#[test]
fn what_the_image_or_the_user_declares_stays() {
    assert!(is_declared(r#"logfile ""\n"#, |case| case.volumes = &["/var/log/redis"]));
    assert!(is_declared(r#"logfile ""\n"#, |case| case.extra = &["/var/log/redis"]));
}

#[test]
fn a_block_that_switches_its_log_off_speaks_for_itself_only() {
    let image = r#"
        /usr/sbin/nginx f 0755 elf paths=/var/log/nginx/access.log
        /etc/nginx/nginx.conf f "error_log stderr;\nhttp {\n server { access_log off; }\n server { }\n}\n"
        /var/log/nginx d
    "#;
    let case = Case {
        image,
        argv: &["nginx"],
        program: "/usr/sbin/nginx",
        recipes: vec![nginx()],
        ..Case::default()
    };
    let found = case.find(&parse_image(image));
    assert!(found.paths.iter().any(|declared| declared.path == ImagePath::literal("/var/log/nginx")));
}
