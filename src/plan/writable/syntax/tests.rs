//! Tests of `plan::writable::syntax`.

use proptest::prelude::*;

use super::super::tests::{Case, user};
use super::*;
use crate::rootfs::dump::parse_image;

fn settings(syntax: Syntax, image: &str, file: &str, argv: &[&str]) -> Vec<String> {
    let rootfs = parse_image(image);
    let case = Case { argv, working_dir: "/cwd", user: user("app", 1, 1), ..Case::default() };
    case.with_inputs(&rootfs, |inputs| {
        let line = CommandLine::of(inputs);
        let mut found = read(inputs, syntax, &ImagePath::literal(file), &line);
        found.extend(read_command_line(inputs, syntax, &line));
        found
            .iter()
            .map(|setting| format!("{} [{}] {}", setting.source, setting.base, setting.text()))
            .collect()
    })
}

#[test]
fn nginx_statements_span_lines_and_quotes_hold_semicolons() {
    let image = r##"/etc/nginx/nginx.conf f "# a;\nlog_format main 'a;{b' \n  "c\\"d"; if ($x = ${y}) { set $z ${a}b; } }\nroot html""##;
    assert_eq!(
        settings(
            Syntax::Nginx,
            image,
            "/etc/nginx/nginx.conf",
            &["app", "-p", "/prefix", "-g", "pid /x; daemon off;"]
        ),
        [
            "/etc/nginx/nginx.conf:2 [/prefix] log_format main a;{b c\"d",
            "/etc/nginx/nginx.conf:3 [/prefix] if ($x = ${y})",
            "/etc/nginx/nginx.conf:3 [/prefix] set $z ${a}b",
            "/etc/nginx/nginx.conf:4 [/prefix] root html",
            "command line: -g [/prefix] pid /x",
            "command line: -g [/prefix] daemon off",
        ]
    );
}

#[test]
fn includes_that_loop_are_read_once() {
    let image = "/a/nginx.conf f \"include *.conf; include b/; x 1;\"\n/a/b/c f \"y 2; include ../nginx.conf;\"\n/a/.hidden.conf f \"z 3;\"";
    assert_eq!(
        settings(Syntax::Nginx, image, "/a/nginx.conf", &[]),
        ["/a/b/c:1 [/a] y 2", "/a/nginx.conf:1 [/a] x 1"]
    );
}

#[test]
fn apache_conditions_follow_modules_and_definitions() {
    let image = "/usr/local/apache2/conf/httpd.conf f \"LoadModule ssl_module modules/mod_ssl.so\\nDefine LOGS /var/log/x\\n<IfModule mod_ssl.c>\\nA ${LOGS}/a \\\\\\n b\\n</IfModule>\\n<IfModule gone_module>\\n<Directory />\\nB 1\\n</Directory>\\nC 2\\n</IfModule>\\n<IfDefine FOREGROUND>\\nD 3\\n</IfDefine>\\n<IfDefine !FOREGROUND>\\nE 4\\n</IfDefine>\\nServerRoot \\\"/other\\\"\\nF 5\"".replace("\\\"/other\\\"", "/other");
    assert_eq!(
        settings(
            Syntax::Apache,
            &image,
            "/usr/local/apache2/conf/httpd.conf",
            &["app", "-DFOREGROUND", "-c", "PidFile /p"]
        ),
        [
            "/usr/local/apache2/conf/httpd.conf:5 [/usr/local/apache2] A /var/log/x/a b",
            "/usr/local/apache2/conf/httpd.conf:14 [/usr/local/apache2] D 3",
            "/usr/local/apache2/conf/httpd.conf:20 [/other] F 5",
            "command line [/] PidFile /p",
        ]
    );
}

#[test]
fn ini_values_are_unquoted_and_the_last_of_a_section_counts() {
    let image = "/etc/pg/postgresql.conf f \"a = 'x' # no\\na = 'y#z'\\nport 5432\\n[s]\\na=1\\ninclude_dir = 'conf.d'\"\n/etc/pg/conf.d/x.conf f \"port = 5433\"";
    assert_eq!(
        settings(
            Syntax::Ini,
            image,
            "/etc/pg/postgresql.conf",
            &["app", "-c", "log_directory=l", "--unix-socket-directories=/s", "-D", "/d"]
        ),
        [
            "/etc/pg/postgresql.conf:2 [/etc/pg] a y#z",
            "/etc/pg/postgresql.conf:5 [/etc/pg] a 1",
            "/etc/pg/conf.d/x.conf:1 [/etc/pg/conf.d] port 5433",
            "command line: -D [/cwd] data_directory /d",
            "command line: -c [/cwd] log_directory l",
            "command line: --unix-socket-directories [/cwd] unix_socket_directories /s",
        ]
    );
}

#[test]
fn the_directory_of_a_configuration_that_names_another_for_data_is_not_the_data() {
    let line = |image| settings(Syntax::Ini, image, "/etc/pg/x.conf", &["postgres", "-D", "/etc/pg"]);
    assert!(line("/etc/pg/postgresql.conf f \"data_directory = '/var/lib/pg'\"").is_empty());
    assert_eq!(
        line("/etc/pg/postgresql.conf f \"# data_directory = 'x'\""),
        ["command line: -D [/cwd] data_directory /etc/pg"]
    );
}

#[test]
fn yaml_is_flattened_and_broken_yaml_is_nothing() {
    let image = "/x.yml f \"a:\\n  b: [1, two]\\n  c: {d: null}\"\n/bad.yml f \"a: [\"";
    assert_eq!(
        settings(Syntax::Yaml, image, "/x.yml", &[]),
        ["/x.yml [/cwd] a.b 1", "/x.yml [/cwd] a.b two", "/x.yml [/cwd] a.c.d "]
    );
    assert!(settings(Syntax::Yaml, image, "/bad.yml", &[]).is_empty());
}

#[test]
fn sites_of_a_caddyfile_are_read_as_the_ports_they_are_served_on() {
    let read = |text: &str| {
        let settings = settings(Syntax::Caddy, &format!("/c f \"{text}\""), "/c", &[]);
        let short =
            settings.iter().map(|line| line.split_once(' ').and_then(|(_, rest)| rest.split_once(' ')));
        short.map(|line| line.map_or("", |(_, rest)| rest).to_owned()).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(read(":9999 {\\n  respond x\\n}\\n"), "site :9999");
    assert_eq!(read("# x\\n\\nlocalhost:2015\\nfile_server\\n"), "site :2015");
    assert_eq!(
        read(
            "{\\n  http_port 8080\\n}\\n(own) {\\n  log\\n}\\nhttp://a.example, https://b.example:8443 {\\n}\\n"
        ),
        "http_port 8080, site :80, site :8443 https"
    );
    assert_eq!(
        read("a.example {\\n  handle /x {\\n  }\\n}\\n:81 {\\n}\\n"),
        "site :443 https, site :80, site :81"
    );
    assert_eq!(read("{$HOST} {\\n}\\n"), "site {$HOST}");
}

proptest! {
    #[test]
    fn no_text_makes_a_reader_panic(text in "[ -~\n\"'\\\\${};#<>\\[\\]%é\u{2028}]{0,200}") {
        let bytes = crate::path::Escaped::new(text.as_bytes()).to_string();
        let image = format!("/x/conf f \"{bytes}\"");
        for syntax in [Syntax::Nginx, Syntax::Apache, Syntax::Words, Syntax::Ini, Syntax::Yaml, Syntax::Caddy] {
            settings(syntax, &image, "/x/conf", &["app", &text, "-c", &text, "-g", &text]);
        }
    }
}
