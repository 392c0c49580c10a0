//! Monitoring, secrets and identity.

use expect_test::expect;

use super::Layout;
use crate::fixture::Fixture;
use crate::plan::{ELF, debian};

pub fn layouts() -> Vec<Layout> {
    vec![
        ("grafana", grafana()),
        ("prometheus", prometheus()),
        ("vault", vault()),
        ("keycloak", keycloak()),
        ("registry", registry()),
        ("static", any_static_program()),
    ]
}

fn grafana() -> Fixture {
    debian(&format!(
        "/usr/share/grafana/bin/grafana {ELF}\n/usr/bin/grep {ELF}
        /etc/passwd f \"root:x:0:0::/:/bin/sh\\ngrafana:x:472:0::/home/grafana:/bin/false\\n\"
        /etc/grafana/grafana.ini f \"[server]\\nhttp_port = 3000\\n\"\n/var/lib/grafana d 0777 472:0\n/var/log/grafana d 0777 472:0
        /run.sh f 0755 \"#!/bin/sh\\nfor V in $(env | grep GF_); do :; done\\nexec grafana server \\x22$@\\x22\\n\""
    ))
    .entrypoint(&["/run.sh"])
    .env(&["PATH=/usr/share/grafana/bin:/usr/bin:/bin", "GF_PATHS_DATA=/var/lib/grafana"])
    .user("472")
    .working_dir("/usr/share/grafana")
    .port("3000/tcp")
}

#[test]
fn grafana_keeps_its_script_that_reads_variables() {
    grafana().shows("start user serves writable shell", &expect![[r#"
        start ["/run.sh"]
          Script /run.sh
          Interpreter /bin/sh -> /usr/bin/dash
          Program /usr/share/grafana/bin/grafana
        user 472:0 [] grafana Image
        recipes grafana
        port 3000 http
        probe Some(Http { path: "/api/health" })
        writable /var/lib/grafana Empty 0777 472:0
        writable /var/log/grafana Empty 0777 472:0
        high KN001 /run.sh: it needs a shell: it turns GF_…__FILE variables into what the files hold, writes AWS profiles, installs the plugins that GF_INSTALL_PLUGINS names, and hands GF_PATHS_* on; to lose the shell, start `grafana server --homepath=/usr/share/grafana --config=/etc/grafana/grafana.ini --packaging=docker cfg:default.log.mode=console cfg:default.paths.data=/var/lib/grafana cfg:default.paths.plugins=/var/lib/grafana/plugins cfg:default.paths.provisioning=/etc/grafana/provisioning` as the entrypoint; grafana reads all other GF_* variables itself, and secrets with `$__file{…}`
    "#]]);
}

fn prometheus() -> Fixture {
    debian(
        "/bin/prometheus f 0755 elf static\n/etc/prometheus/prometheus.yml f \"global:\\n\"\n/prometheus d 0755 65534:65534
        /etc/passwd f \"root:x:0:0::/:/bin/sh\\nnobody:x:65534:65534::/:/bin/false\\n\"",
    )
    .entrypoint(&["/bin/prometheus"])
    .cmd(&["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"])
    .user("nobody")
    .working_dir("/prometheus")
    .volume("/prometheus")
    .port("9090/tcp")
}

#[test]
fn prometheus_starts_as_it_is_and_has_its_store() {
    prometheus().shows("start user serves writable codes", &expect![[r#"
        start ["/bin/prometheus", "--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"]
          Program /bin/prometheus -> /usr/bin/prometheus
        user 65534:65534 [] nobody Image
        recipes prometheus
        port 9090 http
        probe Some(Http { path: "/-/healthy" })
        writable /prometheus Empty 0755 65534:65534
        codes KN019
    "#]]);
}

fn vault() -> Fixture {
    debian(&format!(
        "/bin/vault f 0755 elf static\n/usr/bin/dumb-init f 0755 elf static\n/usr/sbin/su-exec {ELF}
        /etc/passwd f \"root:x:0:0::/:/bin/sh\\nvault:x:100:1000::/home/vault:/sbin/nologin\\n\"\n/etc/group f \"vault:x:1000:\\n\"
        /vault/file d 0755 100:1000\n/vault/logs d 0755 100:1000\n/vault/config d 0755 100:1000
        /usr/local/bin/docker-entrypoint.sh f 0755 \"#!/usr/bin/dumb-init /bin/sh\\ncat x\\nset -- su-exec vault vault server\\nexec \\x22$@\\x22\\n\""
    ))
    .entrypoint(&["docker-entrypoint.sh"])
    .cmd(&["server", "-dev"])
    .volume("/vault/file")
    .port("8200/tcp")
}

/// The first line names dumb-init, and dumb-init the shell.
#[test]
fn vault_keeps_its_script_and_the_shell_behind_dumb_init() {
    vault().shows("start user serves writable residual shell", &expect![[r#"
        start ["docker-entrypoint.sh", "server", "-dev"]
          Wrapper /usr/bin/dumb-init
          Interpreter /bin/sh -> /usr/bin/dash
          Script /usr/local/bin/docker-entrypoint.sh
          Program /usr/bin/vault
        user 100:1000 [] vault Script(/usr/local/bin/docker-entrypoint.sh)
        recipes vault
        port 8200 http
        probe Some(Tcp)
        env SKIP_CHOWN=1
        env SKIP_SETCAP=1
        writable /vault/config Empty 0755 100:1000
        writable /vault/file Empty 0755 100:1000
        writable /vault/logs Empty 0755 100:1000
        stays /usr/bin/cat Utility: the script `/usr/local/bin/docker-entrypoint.sh` of the entrypoint names it
        stays /usr/bin/dash Shell: `/usr/local/bin/docker-entrypoint.sh` needs a shell
        stays /usr/bin/sh Shell: `/usr/local/bin/docker-entrypoint.sh` needs a shell
        stays /usr/sbin/su-exec Escape: the script `/usr/local/bin/docker-entrypoint.sh` of the entrypoint names it
        high KN001 /usr/local/bin/docker-entrypoint.sh: it needs a shell: it writes VAULT_LOCAL_CONFIG into a file, works out VAULT_*_ADDR from interface names, and gives vault a capability for mlock; to lose the shell, start `vault server -config=/vault/config` as the entrypoint, with the configuration in a ConfigMap and `disable_mlock = true` in it
    "#]]);
}

fn keycloak() -> Fixture {
    debian(&format!(
        "/usr/bin/bash {ELF}\n/usr/lib/jvm/java-21-openjdk/bin/java {ELF}\n/usr/bin/java l ../lib/jvm/java-21-openjdk/bin/java
        /etc/passwd f \"root:x:0:0::/:/bin/sh\\nkeycloak:x:1000:0::/opt/keycloak:/sbin/nologin\\n\"
        /opt/keycloak/bin/kc.sh f 0755 \"#!/bin/bash\\nexec java -jar x\\n\"\n/opt/keycloak/lib/x.jar f 5
        /opt/keycloak/data d 0775 1000:0\n/tmp d 1777"
    ))
    .entrypoint(&["/opt/keycloak/bin/kc.sh"])
    .cmd(&["start"])
    .user("1000")
    .port("8080/tcp")
}

#[test]
fn keycloak_keeps_its_script_that_builds_the_command_line() {
    keycloak().shows("start user serves writable shell", &expect![[r#"
        start ["/opt/keycloak/bin/kc.sh", "start"]
          Script /opt/keycloak/bin/kc.sh
          Interpreter /bin/bash -> /usr/bin/bash
          Program /usr/bin/java -> /usr/lib/jvm/java-21-openjdk/bin/java
        user 1000:0 [] keycloak Image
        recipes java keycloak
        port 8080 http
        probe Some(Tcp)
        writable /opt/keycloak/data Empty 0775 1000:0
        writable /tmp Empty 1777 0:0
        high KN001 /opt/keycloak/bin/kc.sh: it needs a shell: kc.sh builds java's options from JAVA_OPTS* and KC_* variables, and builds the server anew where build options changed; to lose the shell, build the server in the image (`kc.sh build`), then start `java` with the command line that `ps` shows in the source image, as the entrypoint
    "#]]);
}

fn registry() -> Fixture {
    debian(
        "/bin/registry f 0755 elf static
        /etc/distribution/config.yml f \"version: 0.1\\nstorage:\\n  filesystem:\\n    rootdirectory: /var/lib/registry\\nhttp:\\n  addr: :5000\\n\"",
    )
    .stands_in("registry", "/entrypoint.sh")
    .entrypoint(&["/entrypoint.sh"])
    .cmd(&["/etc/distribution/config.yml"])
    .volume("/var/lib/registry")
    .port("5000/tcp")
}

#[test]
fn registry_loses_its_script_and_keeps_its_store() {
    registry().shows(
        "start serves writable codes",
        &expect![[r#"
        start ["/bin/registry", "serve", "/etc/distribution/config.yml"]
          Program /bin/registry -> /usr/bin/registry
        recipes registry
        port 5000 http
        probe Some(Tcp)
        writable /var/lib/registry Absent 0755 65532:65532
        codes KN007 KN002 KN015 KN019
    "#]],
    );
}

fn any_static_program() -> Fixture {
    Fixture::new("/server f 0755 elf static\n/usr/share/mime/globs2 f 5")
        .entrypoint(&["/server"])
        .port("8080/tcp")
}

#[test]
fn static_programs_start_as_they_are() {
    any_static_program().shows(
        "start user serves writable codes",
        &expect![[r#"
        start ["/server"]
          Program /server
        user 65532:65532 [] nonroot Added
        recipes static
        port 8080 http
        probe Some(Tcp)
        codes KN015
    "#]],
    );
}
