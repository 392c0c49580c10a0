//! Databases, caches, queues and object stores.

use expect_test::expect;

use super::Layout;
use crate::fixture::Fixture;
use crate::plan::{ELF, debian};

pub fn layouts() -> Vec<Layout> {
    vec![
        ("memcached", memcached()),
        ("mysql", mysql()),
        ("mysql", mariadb_of_debian()),
        ("postgresql", postgresql()),
        ("rabbitmq", rabbitmq()),
        ("redis", redis()),
        ("etcd", etcd()),
        ("minio", minio()),
    ]
}

fn memcached() -> Fixture {
    debian(&format!(
        "/usr/local/bin/memcached {ELF}
        /etc/passwd f \"root:x:0:0::/:/bin/sh\\nmemcache:x:11211:11211::/home:/bin/sh\\n\"
        /etc/group f \"memcache:x:11211:\\n\"\n/entrypoint.sh l usr/local/bin/docker-entrypoint.sh"
    ))
    .stands_in("memcached", "/usr/local/bin/docker-entrypoint.sh")
    .entrypoint(&["docker-entrypoint.sh"])
    .cmd(&["memcached"])
    .user("memcache")
    .port("11211/tcp")
}

#[test]
fn memcached_loses_its_script_and_writes_nothing() {
    memcached().shows(
        "start user serves writable codes",
        &expect![[r#"
        start ["memcached"]
          Program /usr/local/bin/memcached
        user 11211:11211 [] memcache Image
        recipes memcached
        port 11211 memcache
        probe Some(Tcp)
        codes KN007 KN002
    "#]],
    );
    memcached().cmd(&["-m", "64"]).shows(
        "start",
        &expect![[r#"
        start ["memcached", "-m", "64"]
          Program /usr/local/bin/memcached
    "#]],
    );
    // Another program is not memcached: the script stays.
    memcached().cmd(&["cat", "/etc/passwd"]).shows("shell", &expect![[r"
        high KN001 /usr/local/bin/docker-entrypoint.sh: it needs a shell: nothing says for certain what it ends up running; to lose the shell, start the program that the script ends in, or give kiln a recipe that lowers it
    "]]);
}

fn mysql() -> Fixture {
    debian(&format!(
        "/usr/sbin/mysqld {ELF}\n/usr/bin/bash {ELF}\n/usr/local/bin/gosu f 0755 elf static
        /etc/passwd f \"root:x:0:0::/:/bin/sh\\nmysql:x:999:999::/var/lib/mysql:/bin/false\\n\"
        /etc/group f \"mysql:x:999:\\n\"
        /etc/my.cnf f \"[mysqld]\\nskip-name-resolve\\ndatadir=/var/lib/mysql\\nsocket=/var/run/mysqld/mysqld.sock\\nsecure-file-priv=/var/lib/mysql-files\\nuser=mysql\\npid-file=/var/run/mysqld/mysqld.pid\\n\"
        /var/lib/mysql d 1777 999:999\n/var/lib/mysql-files d 0750 999:999\n/run/mysqld d 1777 999:999\n/var/run l ../run
        /usr/local/bin/docker-entrypoint.sh f 0755 \"#!/usr/bin/env bash\\nmysqld --verbose --help\\nexec gosu mysql mysqld\\nexec mysqld\\n\""
    ))
    .entrypoint(&["docker-entrypoint.sh"])
    .cmd(&["mysqld"])
    .volume("/var/lib/mysql")
    .port("3306/tcp")
}

#[test]
fn mysql_keeps_its_script_that_makes_the_database() {
    mysql().shows("start user serves writable shell codes", &expect![[r#"
        start ["/usr/bin/bash", "/usr/local/bin/docker-entrypoint.sh", "mysqld"]
          Wrapper /usr/bin/env
          Interpreter /usr/bin/bash
          Script /usr/local/bin/docker-entrypoint.sh
          Program /usr/sbin/mysqld
        user 999:999 [] mysql Script(/usr/local/bin/docker-entrypoint.sh)
        recipes mysql
        port 3306 mysql
        probe Some(Tcp)
        writable /run/mysqld Empty 1777 999:999
        writable /tmp Absent 1777 999:999
        writable /var/lib/mysql Empty 1777 999:999
        writable /var/lib/mysql-files Empty 0750 999:999
        high KN001 /usr/local/bin/docker-entrypoint.sh: it needs a shell: the first start makes the data directory, its accounts and what MYSQL_* or MARIADB_* variables and /docker-entrypoint-initdb.d ask for; to lose the shell, prepare the volume once with the source image, in a Job or an init container, and start `mysqld` or `mariadbd` itself on it
        codes KN001 KN005 KN005 KN005 KN002 KN015 KN019
    "#]]);
}

fn mariadb_of_debian() -> Fixture {
    debian(&format!(
        "/usr/sbin/mariadbd {ELF}
        /etc/passwd f \"root:x:0:0::/:/bin/sh\\nmysql:x:101:102::/nonexistent:/bin/false\\n\"
        /etc/group f \"mysql:x:102:\\n\"
        /etc/mysql/my.cnf f \"[client-server]\\nsocket = /run/mysqld/mysqld.sock\\n!includedir /etc/mysql/mariadb.conf.d/\\n\"
        /etc/mysql/mariadb.conf.d/50-server.cnf f \"[mysqld]\\npid-file = /run/mysqld/mysqld.pid\\nbind-address = 127.0.0.1\\n\"
        /var/lib/mysql d 0755 101:102\n/var/lib/mysql/ibdata1 f 0660 101:102 12582912
        package mariadb-server-core needs=libc6 has=/usr/sbin/mariadbd"
    ))
    .cmd(&["mariadbd"])
}

#[test]
fn mariadb_with_its_database_in_the_image_has_it_copied() {
    mariadb_of_debian().shows("start user serves writable findings", &expect![[r#"
        start ["mariadbd"]
          Program /usr/sbin/mariadbd
        user 101:102 [] mysql Recipe("mysql")
        recipes mysql
        port 3306 mysql
        probe Some(Tcp)
        writable /run/mysqld Absent 0755 101:102
        writable /tmp Absent 1777 101:102
        writable /var/lib/mysql Seed { files: 1, bytes: 12582912 } 0755 101:102
        medium KN040 3306: recipe mysql (`port` is not set; compiled in: 3306) is listened on at 127.0.0.1 only: no probe and no client outside the pod reaches it
        info KN015 101:102: the image ran as `root`, and now as mysql (101:102): recipe `mysql` names the account
        info KN065 /var/lib/mysql: an init container copies its 1 files with 12582912 bytes to its volume: what the app writes there is lost with the pod, unless the volume is a claim
    "#]]);
}

fn postgresql() -> Fixture {
    debian(&format!(
        "/usr/lib/postgresql/17/bin/postgres {ELF}\n/usr/bin/bash {ELF}
        /etc/passwd f \"root:x:0:0::/:/bin/sh\\npostgres:x:999:999::/var/lib/postgresql:/bin/bash\\n\"
        /etc/group f \"postgres:x:999:\\n\"
        /usr/local/bin/docker-entrypoint.sh f 0755 \"#!/usr/bin/env bash\\nexec gosu postgres postgres\\n\"
        /var/lib/postgresql/data d 1777 999:999\n/var/run/postgresql d 3777 999:999"
    ))
    .entrypoint(&["docker-entrypoint.sh"])
    .cmd(&["postgres"])
    .env(&["PATH=/usr/bin:/usr/local/bin:/usr/lib/postgresql/17/bin", "PGDATA=/var/lib/postgresql/data"])
    .volume("/var/lib/postgresql/data")
}

#[test]
fn postgresql_keeps_its_script_that_makes_the_database() {
    postgresql().shows("start user serves writable shell", &expect![[r#"
        start ["/usr/bin/bash", "/usr/local/bin/docker-entrypoint.sh", "postgres"]
          Wrapper /usr/bin/env
          Interpreter /usr/bin/bash
          Script /usr/local/bin/docker-entrypoint.sh
          Program /usr/lib/postgresql/17/bin/postgres
        user 999:999 [] postgres Script(/usr/local/bin/docker-entrypoint.sh)
        recipes postgresql
        port 5432 postgresql
        probe Some(Tcp)
        writable /var/lib/postgresql/data Empty 1777 999:999
        writable /var/run/postgresql Empty 1777 999:999
        high KN001 /usr/local/bin/docker-entrypoint.sh: it needs a shell: the first start makes the data directory, its roles and what POSTGRES_* variables and /docker-entrypoint-initdb.d ask for; to lose the shell, prepare the volume once with the source image, in a Job or an init container, and start `postgres` itself on it
    "#]]);
}

fn rabbitmq() -> Fixture {
    debian(&format!(
        "/usr/bin/bash {ELF}\n/opt/erlang/lib/erlang/erts-15/bin/beam.smp {ELF}\n/opt/erlang/bin/erl f 0755 #!/bin/sh
        /etc/passwd f \"root:x:0:0::/:/bin/sh\\nrabbitmq:x:999:999::/var/lib/rabbitmq:/bin/bash\\n\"
        /etc/group f \"rabbitmq:x:999:\\n\"
        /opt/rabbitmq/sbin/rabbitmq-server f 0755 \"#!/bin/sh\\nexec erl -noinput\\n\"
        /usr/local/bin/docker-entrypoint.sh f 0755 \"#!/usr/bin/env bash\\nexec \\x22$@\\x22\\n\"
        /var/lib/rabbitmq d 1777 999:999\n/var/log/rabbitmq d 1777 999:999"
    ))
    .entrypoint(&["docker-entrypoint.sh"])
    .cmd(&["rabbitmq-server"])
    .env(&["PATH=/opt/rabbitmq/sbin:/opt/erlang/bin:/usr/local/bin:/usr/bin:/bin"])
    .volume("/var/lib/rabbitmq")
}

#[test]
fn rabbitmq_keeps_the_shell_that_it_needs_while_it_serves() {
    rabbitmq().shows("start user serves writable residual shell", &expect![[r#"
        start ["/usr/bin/bash", "/usr/local/bin/docker-entrypoint.sh", "rabbitmq-server"]
          Wrapper /usr/bin/env
          Interpreter /usr/bin/bash
          Script /usr/local/bin/docker-entrypoint.sh
          Script /opt/rabbitmq/sbin/rabbitmq-server
          Interpreter /bin/sh -> /usr/bin/dash
          Script /opt/erlang/bin/erl
        user 999:999 [] rabbitmq Recipe("rabbitmq")
        recipes rabbitmq
        port 5672 amqp
        probe Some(Tcp)
        writable /var/lib/rabbitmq Empty 1777 999:999
        writable /var/log/rabbitmq Empty 1777 999:999
        stays /opt/erlang/bin/erl Interpreter: the entrypoint is this script
        stays /usr/bin/bash Shell: `/usr/local/bin/docker-entrypoint.sh` needs a shell
        stays /usr/bin/cat Utility: the broker's scripts and Erlang's os:cmd run it while it serves
        stays /usr/bin/dash Shell: `/usr/local/bin/docker-entrypoint.sh` needs a shell
        stays /usr/bin/env Utility: the entrypoint starts through it
        stays /usr/bin/sh Shell: `/usr/local/bin/docker-entrypoint.sh` needs a shell
        high KN001 /usr/local/bin/docker-entrypoint.sh: it needs a shell: the broker runs shell commands while it serves (its port mapper, its disk monitor), whatever starts it; to lose the shell, there is no way that kiln knows: confine the pod instead
    "#]]);
}

fn redis() -> Fixture {
    debian(&format!(
        "/usr/local/bin/redis-server {ELF}\n/data d 0755 999:1000
        /etc/passwd f \"root:x:0:0::/:/bin/sh\\nredis:x:999:1000::/data:/bin/sh\\n\"\n/etc/group f \"redis:x:1000:\\n\""
    ))
    .stands_in("redis", "/usr/local/bin/docker-entrypoint.sh")
    .entrypoint(&["docker-entrypoint.sh"])
    .cmd(&["redis-server"])
    .working_dir("/data")
    .volume("/data")
    .port("6379/tcp")
}

#[test]
fn redis_loses_its_script_and_keeps_its_data_directory() {
    redis().shows(
        "start user serves writable codes",
        &expect![[r#"
        start ["redis-server"]
          Program /usr/local/bin/redis-server
        user 999:1000 [] redis Recipe("redis")
        recipes redis
        port 6379 redis
        probe Some(Tcp)
        writable /data Empty 0755 999:1000
        codes KN007 KN002 KN015 KN019
    "#]],
    );
}

fn etcd() -> Fixture {
    Fixture::new("/usr/local/bin/etcd f 0755 elf static\n/var/lib/etcd d")
        .cmd(&["/usr/local/bin/etcd"])
        .working_dir("/var/lib/etcd/")
        .port("2379/tcp")
}

#[test]
fn etcd_starts_as_it_is_and_has_its_data_directory() {
    etcd().shows(
        "start user serves writable codes",
        &expect![[r#"
        start ["/usr/local/bin/etcd"]
          Program /usr/local/bin/etcd
        user 65532:65532 [] nonroot Added
        recipes etcd
        port 2379 client
        probe Some(Tcp)
        writable /var/lib/etcd Empty 0755 65532:65532
        codes KN015
    "#]],
    );
}

fn minio() -> Fixture {
    debian(
        "/usr/bin/minio f 0755 elf static\n/data d
        /usr/bin/docker-entrypoint.sh f 0755 \"#!/bin/sh\\nif [ x != minio ]; then set -- minio; fi\\nexec \\x22$@\\x22\\n\"",
    )
    .entrypoint(&["/usr/bin/docker-entrypoint.sh"])
    .cmd(&["minio", "server", "/data"])
    .env(&["MINIO_ROOT_USER_FILE=access_key"])
    .volume("/data")
    .port("9000/tcp")
}

#[test]
fn minio_keeps_its_script_that_reads_secrets() {
    minio().shows("start serves writable shell", &expect![[r#"
        start ["/usr/bin/docker-entrypoint.sh", "minio", "server", "/data"]
          Script /usr/bin/docker-entrypoint.sh
          Interpreter /bin/sh -> /usr/bin/dash
          Program /usr/bin/minio
        recipes minio
        port 9000 http
        probe Some(Http { path: "/minio/health/live" })
        writable /data Empty 0755 65532:65532
        high KN001 /usr/bin/docker-entrypoint.sh: it needs a shell: it reads secrets from the files below /run/secrets that MINIO_*_FILE variables name, and switches to MINIO_USERNAME; to lose the shell, start `minio server /data` as the entrypoint and give it MINIO_ROOT_USER and MINIO_ROOT_PASSWORD from a Secret: minio reads all MINIO_* variables itself
    "#]]);
}
