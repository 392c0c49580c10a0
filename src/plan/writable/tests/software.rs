//! What whole images of known software write, and where they listen.

#![allow(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]

use expect_test::expect;

use super::*;

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
            /run/redis Run Proven absent 0755 100:102 memory 16Mi
              Directive /etc/redis/redis.conf:3: pidfile /run/redis/redis-server.pid
              Unit /usr/lib/systemd/system/redis-server.service:4: RuntimeDirectory=redis
              Unit /usr/lib/systemd/system/redis-server.service:7: ReadWritePaths=-/var/run/redis
            /srv/redis State Proven empty 0755 100:102 disk 1024Mi
              Directive command line: --dir: dir /srv/redis
            /var/lib/redis State Likely empty 0750 100:102 disk 1024Mi
              Unit /usr/lib/systemd/system/redis-server.service:6: ReadWritePaths=-/var/lib/redis
              Ownership /var/lib/redis: a directory owned by the user
            port 7000/TCP redis
              Directive /etc/redis/redis.conf:6: port 7000
            low KN018 /etc/redis: /usr/lib/systemd/system/redis-server.service:8 lets the software write there (ReadWriteDirectories=-/etc/redis), but does not say that it must; `--writable /etc/redis` declares it
            low KN018 /var/log/redis: `logfile` (command line: --logfile) sends the log elsewhere, so /var/log/redis (a directory owned by the user) is no reason for a mount; `--writable /var/log/redis` declares it
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
