//! Tests of `plan::writable`.

#![allow(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]

use std::fmt::Write as _;

use expect_test::{Expect, expect};

use super::*;
use crate::plan::{PathContent, Role, UserOrigin};
use crate::recipe::{Directive, Meaning, PortRule, Purpose, Syntax, WritableRule};
use crate::rootfs::dump::parse_image;

/// Everything a case may say; the rest is empty.
pub(super) struct Case<'a> {
    pub image: &'a str,
    pub argv: &'a [&'a str],
    pub program: &'a str,
    pub recipes: Vec<Recipe>,
    pub user: User,
    pub env: &'a [(&'a str, &'a str)],
    pub working_dir: &'a str,
    pub volumes: &'a [&'a str],
    pub exposed: &'a [u16],
    pub extra: &'a [&'a str],
    pub lowering: &'a [&'a str],
}

pub(super) fn user(name: &str, uid: u32, gid: u32) -> User {
    User {
        uid,
        gid,
        groups: Vec::new(),
        name: Some(name.to_owned()),
        home: None,
        origin: UserOrigin::Account(name.to_owned()),
    }
}

impl Default for Case<'_> {
    fn default() -> Self {
        Self {
            image: "",
            argv: &[],
            program: "/usr/sbin/app",
            recipes: Vec::new(),
            user: user("app", 100, 101),
            env: &[],
            working_dir: "",
            volumes: &[],
            exposed: &[],
            extra: &[],
            lowering: &[],
        }
    }
}

impl Case<'_> {
    pub(super) fn find(&self, rootfs: &Rootfs) -> Found {
        self.with_inputs(rootfs, find)
    }

    pub(super) fn with_inputs<T>(&self, rootfs: &Rootfs, run: impl FnOnce(&Inputs<'_>) -> T) -> T {
        let strings = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        let paths = |list: &[&str]| list.iter().map(|path| ImagePath::literal(path)).collect::<Vec<_>>();
        let program = ImagePath::literal(self.program);
        let resolved = rootfs.resolve(&program).map_or_else(|| program.clone(), |found| found.path);
        let chain = [Step { path: program, file: resolved.clone(), role: Role::Program }];
        let env: Vec<(String, String)> =
            self.env.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        let exposed: Vec<(u16, String)> = self.exposed.iter().map(|&port| (port, "tcp".to_owned())).collect();
        run(&Inputs {
            rootfs,
            program: Some(&resolved),
            chain: &chain,
            argv: &strings(self.argv),
            recipes: &self.recipes.iter().collect::<Vec<_>>(),
            user: &self.user,
            env: &env,
            working_dir: self.working_dir,
            volumes: &strings(self.volumes),
            exposed_ports: &exposed,
            kept: &|_| true,
            extra: &paths(self.extra),
            lowering_directories: &paths(self.lowering),
        })
    }
}

pub(super) fn render(found: &Found) -> String {
    let mut out = String::new();
    for path in &found.paths {
        let content = match &path.content {
            PathContent::Absent => "absent".to_owned(),
            PathContent::Empty => "empty".to_owned(),
            PathContent::Seed { files, bytes } => format!("seed {files} {bytes}"),
            PathContent::LogLinks => "log-links".to_owned(),
        };
        let medium = if path.memory { "memory" } else { "disk" };
        let _ = writeln!(
            out,
            "{} {:?} {:?} {content} {:04o} {}:{} {medium} {}Mi",
            path.path,
            path.purpose,
            path.confidence,
            path.mode,
            path.uid,
            path.gid,
            path.size_limit >> 20
        );
        for evidence in &path.evidence {
            let _ = writeln!(out, "  {:?} {}: {}", evidence.kind, evidence.source, evidence.detail);
        }
    }
    for port in &found.ports {
        let _ = writeln!(out, "port {}/{} {}", port.port, port.protocol, port.name);
        for evidence in &port.evidence {
            let _ = writeln!(out, "  {:?} {}: {}", evidence.kind, evidence.source, evidence.detail);
        }
    }
    for finding in &found.findings {
        let _ = writeln!(out, "{finding}");
    }
    out
}

fn check(case: &Case<'_>, expect: &Expect) {
    expect.assert_eq(&render(&case.find(&parse_image(case.image))));
}

pub(super) fn recipe(name: &str) -> Recipe {
    Recipe {
        name: name.to_owned(),
        title: name.to_owned(),
        programs: Vec::new(),
        keep: Vec::new(),
        plugin_directories: Vec::new(),
        writable: Vec::new(),
        directives: Vec::new(),
        ports: Vec::new(),
        users: Vec::new(),
        probe: None,
        env: Vec::new(),
        lowerings: Vec::new(),
        shells: Vec::new(),
        caveats: Vec::new(),
    }
}

pub(super) fn directive(
    syntax: Syntax,
    file: &str,
    name: &str,
    meaning: Meaning,
    purpose: Purpose,
    default: Option<&str>,
) -> Directive {
    Directive {
        files: vec![file.to_owned()],
        syntax,
        names: vec![name.to_owned()],
        meaning,
        purpose,
        default: default.map(str::to_owned),
    }
}

pub(super) fn nginx() -> Recipe {
    let file = "/etc/nginx/nginx.conf";
    let of =
        |name, meaning, purpose, default| directive(Syntax::Nginx, file, name, meaning, purpose, default);
    Recipe {
        directives: vec![
            of("pid", Meaning::File, Purpose::Run, Some("/run/nginx.pid")),
            of("error_log", Meaning::File, Purpose::Log, Some("/var/log/nginx/error.log")),
            of("access_log", Meaning::File, Purpose::Log, Some("/var/log/nginx/access.log")),
            of("client_body_temp_path", Meaning::Directory, Purpose::Cache, Some("/var/lib/nginx/body")),
            of("proxy_cache_path", Meaning::Directory, Purpose::Cache, None),
            of("listen", Meaning::Port, Purpose::Run, Some("8000")),
        ],
        ports: vec![PortRule { port: 80, name: "http".into(), why: "its default".into() }],
        ..recipe("nginx")
    }
}

pub(super) fn redis() -> Recipe {
    let of = |name, meaning, purpose, default| {
        directive(Syntax::Words, "/etc/redis/redis.conf", name, meaning, purpose, default)
    };
    Recipe {
        directives: vec![
            of("dir", Meaning::Directory, Purpose::State, Some("./")),
            of("logfile", Meaning::File, Purpose::Log, None),
            of("pidfile", Meaning::File, Purpose::Run, None),
            of("port", Meaning::Port, Purpose::Run, Some("6379")),
        ],
        ports: vec![PortRule { port: 6379, name: "redis".into(), why: "its default".into() }],
        ..recipe("redis")
    }
}

pub(super) fn apache() -> Recipe {
    let of = |name, meaning, purpose, default| {
        directive(Syntax::Apache, "/etc/apache2/apache2.conf", name, meaning, purpose, default)
    };
    Recipe {
        directives: vec![
            of("PidFile", Meaning::File, Purpose::Run, Some("/run/apache2/apache2.pid")),
            of("DefaultRuntimeDir", Meaning::Directory, Purpose::Run, None),
            of("ErrorLog", Meaning::File, Purpose::Log, Some("/var/log/apache2/error.log")),
            of("CustomLog", Meaning::File, Purpose::Log, None),
            of("Listen", Meaning::Port, Purpose::Run, None),
        ],
        ports: vec![PortRule { port: 80, name: "http".into(), why: "its default".into() }],
        ..recipe("apache")
    }
}

pub(super) fn registry() -> Recipe {
    let of = |name, meaning, purpose| {
        directive(Syntax::Yaml, "/etc/docker/registry/config.yml", name, meaning, purpose, None)
    };
    Recipe {
        directives: vec![
            of("storage.filesystem.rootdirectory", Meaning::Directory, Purpose::State),
            of("http.addr", Meaning::Port, Purpose::Run),
        ],
        ..recipe("docker-registry")
    }
}

#[test]
fn nginx_of_debian_writes_run_logs_and_its_temporary_directories() {
    check(
        &Case {
            image: r#"
                /var/run l /run
                /run d
                /run/lock d 1777
                /tmp d 1777
                /var/tmp d 1777
                /usr/sbin/nginx f 0755 elf paths=/run/nginx.pid,/var/lib/nginx/body,/var/lock/nginx.lock,/var/log/nginx/access.log
                /etc/nginx/nginx.conf f "user www-data;\npid /run/nginx.pid; # comment; here\nerror_log /var/log/nginx/error.log;\nhttp {\n  log_format x '$remote_addr {';\n  access_log /var/log/nginx/access.log;\n  include sites-enabled/*;\n}\n"
                /etc/nginx/sites-enabled/default l ../sites-available/default
                /etc/nginx/sites-available/default f "server {\n listen 80 default_server;\n listen [::]:80 default_server;\n access_log off;\n}\n"
                /lib/systemd/system/nginx.service f "[Service]\nPIDFile=/run/nginx.pid\nExecStart=/usr/sbin/nginx -g 'daemon on;'\n"
                /lib/systemd/system/other.service f "[Service]\nStateDirectory=other\nExecStart=/usr/bin/other\n"
                /var/lib/nginx d
                /var/log/nginx d 0755 0:4
                /var/log/nginx/access.log f 0640 33:4
            "#,
            argv: &["nginx", "-g", "daemon off;"],
            program: "/usr/sbin/nginx",
            recipes: vec![nginx()],
            user: user("www-data", 33, 33),
            exposed: &[80],
            ..Case::default()
        },
        &expect![[r#"
            /run Run Proven empty 0755 33:33 memory 16Mi
              Directive /etc/nginx/nginx.conf:2: pid /run/nginx.pid
              Unit /lib/systemd/system/nginx.service:2: PIDFile=/run/nginx.pid
            /tmp Tmp Likely empty 1777 0:0 memory 64Mi
              Ownership /tmp: directory for scratch files, writable for everybody
            /var/lib/nginx Cache Likely empty 0755 33:33 disk 256Mi
              Recipe recipe nginx: `client_body_temp_path` is not set; compiled in: /var/lib/nginx/body
              Binary /usr/sbin/nginx: contains `/var/lib/nginx/body`
            /var/log/nginx Log Proven empty 0755 33:33 disk 256Mi
              Directive /etc/nginx/nginx.conf:3: error_log /var/log/nginx/error.log
              Directive /etc/nginx/nginx.conf:6: access_log /var/log/nginx/access.log
              Binary /usr/sbin/nginx: contains `/var/log/nginx/access.log`
            port 80/TCP http
              Config config ExposedPorts: 80/tcp
              Directive /etc/nginx/sites-enabled/default:2: listen 80 default_server
              Directive /etc/nginx/sites-enabled/default:3: listen [::]:80 default_server
              Recipe recipe nginx: its default
            low KN018 /var/tmp: a directory that everybody may write, but nothing else says that the app writes there; `--writable /var/tmp` declares it
            info KN022 80: below 1024, and the app is not root: the pod spec lowers `net.ipv4.ip_unprivileged_port_start` for the pod; where that cannot be set, let the app listen on a higher port
        "#]],
    );
}

#[test]
fn links_to_the_log_streams_need_no_mount_but_other_files_beside_them_are_told() {
    check(
        &Case {
            image: r#"
                /run d
                /usr/sbin/nginx f 0755 elf
                /etc/nginx/nginx.conf f "pid /var/run/nginx.pid;\nerror_log stderr;\nclient_body_temp_path /var/cache/nginx/client_temp;\nproxy_cache_path /var/cache/nginx/$x levels=1:2;\naccess_log /var/log/nginx/access.log;\nserver { access_log /var/log/nginx/site.log; listen unix:/run/nginx.sock; listen 127.0.0.1:8081; }"
                /var/run l /run
                /var/cache/nginx d
                /var/log/nginx/access.log l /dev/stdout
                /var/log/nginx/error.log l /dev/stderr
            "#,
            argv: &["nginx"],
            program: "/usr/sbin/nginx",
            recipes: vec![nginx()],
            ..Case::default()
        },
        &expect![[r#"
            /run Run Proven empty 0755 100:101 memory 16Mi
              Directive /etc/nginx/nginx.conf:1: pid /var/run/nginx.pid
              Directive /etc/nginx/nginx.conf:6: listen unix:/run/nginx.sock
            /var/cache/nginx Cache Proven empty 0755 100:101 disk 256Mi
              Directive /etc/nginx/nginx.conf:3: client_body_temp_path /var/cache/nginx/client_temp
              Directive /etc/nginx/nginx.conf:4: proxy_cache_path /var/cache/nginx/$x levels=1:2
            /var/log/nginx Log Proven log-links 0755 0:0 disk 256Mi
              Directive /etc/nginx/nginx.conf:5: access_log /var/log/nginx/access.log
              Directive /etc/nginx/nginx.conf:6: access_log /var/log/nginx/site.log
            port 8081/TCP http
              Directive /etc/nginx/nginx.conf:6: listen 127.0.0.1:8081
            medium KN026 /var/log/nginx/site.log: /etc/nginx/nginx.conf:6 (access_log /var/log/nginx/site.log) writes it, but its directory holds links to the log streams, which a volume would hide; link it to a stream too, or let it be written elsewhere
            medium KN040 8081: /etc/nginx/nginx.conf:6 (listen 127.0.0.1:8081) is listened on at 127.0.0.1 only: no probe and no client outside the pod reaches it
        "#]],
    );
}

#[test]
fn redis_takes_its_file_from_the_command_line_and_options_win() {
    check(
        &Case {
            image: r#"
                /usr/bin/redis-server l redis-check-rdb
                /usr/bin/redis-check-rdb f 0755 elf
                /run d
                /var/run l /run
                /etc/redis d 2770 100:102
                /etc/redis/redis.conf f "bind 127.0.0.1 -::1\ndir /var/lib/redis\npidfile /run/redis/redis-server.pid\nlogfile "/var/log/redis/redis-server.log"\nport 6379\nport 7000\n"
                /usr/lib/systemd/system/redis-server.service f "[Service]\nExecStart=/usr/bin/redis-server /etc/redis/redis.conf\nUser=redis\nRuntimeDirectory=redis\nRuntimeDirectoryMode=2755\nReadWritePaths=-/var/lib/redis\nReadWritePaths=-/var/run/redis\nReadWriteDirectories=-/etc/redis\n"
                /var/lib/redis d 0750 100:102
                /var/log/redis d 2750 100:4
                /srv/redis d
            "#,
            argv: &[
                "redis-server",
                "/etc/redis/redis.conf",
                "--daemonize",
                "no",
                "--logfile",
                "",
                "--dir",
                "/srv/redis",
            ],
            program: "/usr/bin/redis-server",
            recipes: vec![redis()],
            user: user("redis", 100, 102),
            ..Case::default()
        },
        &expect![[r#"
            /run/redis Run Proven absent 2755 100:102 memory 16Mi
              Directive /etc/redis/redis.conf:3: pidfile /run/redis/redis-server.pid
              Unit /usr/lib/systemd/system/redis-server.service:4: RuntimeDirectory=redis
              Unit /usr/lib/systemd/system/redis-server.service:7: ReadWritePaths=-/var/run/redis
            /srv/redis State Proven empty 0755 100:102 disk 1024Mi
              Directive command line: --dir: dir /srv/redis
            /var/lib/redis State Likely empty 0750 100:102 disk 1024Mi
              Unit /usr/lib/systemd/system/redis-server.service:6: ReadWritePaths=-/var/lib/redis
              Ownership /var/lib/redis: a directory owned by the user
            /var/log/redis Log Possible empty 2750 100:4 disk 256Mi
              Ownership /var/log/redis: a directory owned by the user
            port 7000/TCP redis
              Directive /etc/redis/redis.conf:6: port 7000
            low KN018 /etc/redis: /usr/lib/systemd/system/redis-server.service:8 lets the software write there (ReadWriteDirectories=-/etc/redis), but does not say that it must; `--writable /etc/redis` declares it
            medium KN040 7000: /etc/redis/redis.conf:6 (port 7000) is listened on at 127.0.0.1 only: no probe and no client outside the pod reaches it
        "#]],
    );
}

#[test]
fn redis_without_a_file_writes_into_its_working_directory() {
    let image = "/usr/bin/redis-server f 0755 elf\n/data d 0755 100:102";
    let case = |working_dir| Case {
        image,
        argv: &["redis-server"],
        program: "/usr/bin/redis-server",
        recipes: vec![redis()],
        user: user("redis", 100, 102),
        working_dir,
        ..Case::default()
    };
    check(
        &case("/data"),
        &expect![[r#"
            /data State Likely empty 0755 100:102 disk 1024Mi
              Recipe recipe redis: `dir` is not set; compiled in: ./
              Ownership /data: a directory owned by the user
              Ownership config WorkingDir: working directory /data, owned by the user
            port 6379/TCP redis
              Recipe recipe redis: `port` is not set; compiled in: 6379
              Recipe recipe redis: its default
        "#]],
    );
    check(
        &case(""),
        &expect![[r#"
            /data State Possible empty 0755 100:102 disk 1024Mi
              Ownership /data: a directory owned by the user
            port 6379/TCP redis
              Recipe recipe redis: `port` is not set; compiled in: 6379
              Recipe recipe redis: its default
            medium KN042 /: recipe redis (`dir` is not set; compiled in: ./) needs it to be writable, but it cannot be a volume: it is one of the system's own directories; let it be written elsewhere
        "#]],
    );
}

#[test]
fn apache_follows_variables_includes_and_loaded_modules() {
    check(
        &Case {
            image: r#"
                /run d
                /var/run l /run
                /var/lock l /run/lock
                /run/lock d 1777
                /usr/sbin/apache2 f 0755 elf
                /etc/apache2/envvars f "unset HOME\nif [ x ] ; then\n SUFFIX=-x\nelse\n SUFFIX=\nfi\nexport APACHE_RUN_DIR=/var/run/apache2$SUFFIX\nexport APACHE_PID_FILE=/var/run/apache2$SUFFIX/apache2.pid\n"
                /etc/apache2/apache2.conf f "DefaultRuntimeDir ${APACHE_RUN_DIR}\nPidFile ${APACHE_PID_FILE}\nErrorLog ${APACHE_LOG_DIR}/error.log\nInclude ports.conf\nIncludeOptional sites-enabled/*.conf\n"
                /etc/apache2/ports.conf f "Listen 80\n<IfModule ssl_module>\n\tListen 443\n</IfModule>\n<IfModule !mod_ssl.c>\nListen 8080 http\n</IfModule>\n"
                /etc/apache2/sites-enabled/000-default.conf f "<VirtualHost *:80>\ncustomlog ${APACHE_LOG_DIR}/access.log combined\nErrorLog "|/usr/bin/rotatelogs /x"\nCustomLog ${WHAT}/x combined\n</VirtualHost>"
                /var/log/apache2 d 0750 0:4
                /var/log/apache2/error.log f 0640 0:4
                /var/cache/apache2/mod_cache_disk d 0755 33:33
            "#,
            argv: &["apache2", "-D", "FOREGROUND"],
            program: "/usr/sbin/apache2",
            recipes: vec![apache()],
            user: user("www-data", 33, 33),
            env: &[("APACHE_LOG_DIR", "/var/log/apache2")],
            lowering: &["/run/apache2", "/run/lock/apache2"],
            ..Case::default()
        },
        &expect![[r#"
            /run/apache2 Run Proven absent 0755 33:33 memory 16Mi
              Directive /etc/apache2/apache2.conf:1: DefaultRuntimeDir /var/run/apache2
              Directive /etc/apache2/apache2.conf:2: PidFile /var/run/apache2/apache2.pid
              Recipe lowering: the script that was lowered makes this directory
            /run/lock/apache2 Run Likely absent 0755 33:33 memory 16Mi
              Recipe lowering: the script that was lowered makes this directory
            /var/cache/apache2/mod_cache_disk Cache Possible empty 0755 33:33 disk 256Mi
              Ownership /var/cache/apache2/mod_cache_disk: a directory owned by the user
            /var/log/apache2 Log Proven empty 0750 33:33 disk 256Mi
              Directive /etc/apache2/apache2.conf:3: ErrorLog /var/log/apache2/error.log
              Directive /etc/apache2/sites-enabled/000-default.conf:2: customlog /var/log/apache2/access.log combined
            port 80/TCP http
              Directive /etc/apache2/ports.conf:1: Listen 80
              Recipe recipe apache: its default
            port 8080/TCP http-8080
              Directive /etc/apache2/ports.conf:6: Listen 8080 http
            info KN022 80: below 1024, and the app is not root: the pod spec lowers `net.ipv4.ip_unprivileged_port_start` for the pod; where that cannot be set, let the app listen on a higher port
            low KN041 /etc/apache2/sites-enabled/000-default.conf:4: `CustomLog` has the value `${WHAT}/x`, which depends on what is not known before the start
        "#]],
    );
}

#[test]
fn registry_reads_the_yaml_that_the_command_line_names() {
    check(
        &Case {
            image: r#"
                /usr/bin/docker-registry f 0755 elf
                /etc/docker/registry/config.yml f "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: /var/lib/docker-registry\nhttp:\n  addr: :5000\n"
                /lib/systemd/system/docker-registry.service f "[Service]\nUser=docker-registry\nExecStart=/usr/bin/docker-registry serve /etc/docker/registry/config.yml\n"
                /var/lib/docker-registry d 0755 101:103
            "#,
            argv: &["docker-registry", "serve", "/etc/docker/registry/config.yml"],
            program: "/usr/bin/docker-registry",
            recipes: vec![registry()],
            user: user("docker-registry", 101, 103),
            ..Case::default()
        },
        &expect![[r#"
            /var/lib/docker-registry State Proven empty 0755 101:103 disk 1024Mi
              Directive /etc/docker/registry/config.yml: storage.filesystem.rootdirectory /var/lib/docker-registry
              Ownership /var/lib/docker-registry: a directory owned by the user
            port 5000/TCP http
              Directive /etc/docker/registry/config.yml: http.addr :5000
        "#]],
    );
}

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
            /srv/www State Proven seed 1 12 0755 0:0 disk 1024Mi
              Config config Volumes: /srv/www/
            /usr/share/x State Proven empty 0755 100:101 disk 1024Mi
              User --writable: /usr/share/x
            high KN017 /srv/www: it must be writable and has 1 files with 12 bytes in the image, which a volume would hide: the pod spec mounts none; mount one yourself that holds the content, or let the app write elsewhere
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
            /run/postgresql Run Likely absent 2775 102:104 memory 16Mi
              Tmpfiles /usr/lib/tmpfiles.d/postgresql-common.conf:3: d /run/postgresql 2775 postgres postgres - -
            /var/lib/pg State Likely absent 0700 102:104 disk 1024Mi
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
            /var/lib/app State Possible empty 0750 100:101 disk 1024Mi
              Ownership /var/lib/app: a directory owned by the user
              Binary /usr/sbin/app: contains `/var/lib/app/db`
            /var/lib/other State Possible empty 0755 100:101 disk 1024Mi
              Binary /usr/sbin/app: contains `/var/lib/other/x`
            /var/log/group Log Possible empty 0775 0:101 disk 256Mi
              Ownership /var/log/group: a directory that the user's group 101 may write
            low KN018 /app: a directory owned by the user, but not in the hardened image: it holds code: /app/main.sh
            low KN018 /run/lock: a directory that everybody may write, but nothing else says that the app writes there; `--writable /run/lock` declares it
            low KN018 /var/tmp: a directory that everybody may write, but nothing else says that the app writes there; `--writable /var/tmp` declares it
            low KN043 /var/lib/app: the volume hides empty directories of the image: sub; an app that does not make them itself needs `--writable` for each
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
fn redis_that_is_told_no_file_may_read_none() {
    let image = "/usr/bin/redis-server f 0755 elf\n/etc/redis/redis.conf f \"dir ../var/lib/redis\"\n/var/lib/redis d";
    let found = Case {
        image,
        argv: &["redis-server", "--port", "7000"],
        program: "/usr/bin/redis-server",
        recipes: vec![redis()],
        working_dir: "/data",
        ..Case::default()
    }
    .find(&parse_image(image));
    let paths: Vec<_> =
        found.paths.iter().map(|path| format!("{} {:?}", path.path, path.confidence)).collect();
    assert_eq!(paths, ["/data Likely", "/var/lib/redis Likely"]);
    let ports: Vec<_> = found.ports.iter().map(|port| port.port).collect();
    assert_eq!(ports, [7000]);
}
