//! Proxies, gateways and message brokers without a store.

use expect_test::expect;

use super::Layout;
use crate::fixture::Fixture;
use crate::plan::{ELF, debian};

pub fn layouts() -> Vec<Layout> {
    vec![
        ("haproxy", haproxy()),
        ("traefik", traefik_alone()),
        ("traefik", traefik_behind_its_script()),
        ("caddy", caddy()),
        ("nats", nats()),
        ("nats", nats_alone()),
    ]
}

fn haproxy() -> Fixture {
    debian(&format!(
        "/usr/local/sbin/haproxy {ELF}
        /etc/passwd f \"root:x:0:0::/:/bin/sh\\nhaproxy:x:99:99::/var/lib/haproxy:/bin/sh\\n\"
        /etc/group f \"haproxy:x:99:\\n\"\n/var/lib/haproxy d 0755 99:99
        /usr/local/etc/haproxy/haproxy.cfg f \"global\\n  stats socket /run/haproxy/admin.sock mode 660\\nfrontend a\\n  bind *:8080 # all\\n  bind :8443 ssl crt x.pem\\nfrontend b\\n  bind 127.0.0.1:8404\\n\""
    ))
    .stands_in("haproxy", "/usr/local/bin/docker-entrypoint.sh")
    .entrypoint(&["docker-entrypoint.sh"])
    .cmd(&["haproxy", "-f", "/usr/local/etc/haproxy/haproxy.cfg"])
    .user("haproxy")
    .working_dir("/var/lib/haproxy")
}

#[test]
fn haproxy_runs_in_the_foreground_without_its_script() {
    haproxy().shows("start user serves writable findings", &expect![[r#"
        start ["haproxy", "-W", "-db", "-f", "/usr/local/etc/haproxy/haproxy.cfg"]
          Program /usr/local/sbin/haproxy
        user 99:99 [] haproxy Image
        recipes haproxy
        port 8080 http
        port 8404 http-8404
        port 8443 https
        probe Some(Tcp)
        writable /run/haproxy Absent 0755 99:99
        writable /var/lib/haproxy Empty 0755 99:99
        medium KN040 8404: /usr/local/etc/haproxy/haproxy.cfg:7 (bind 127.0.0.1:8404) is listened on at 127.0.0.1 only: no probe and no client outside the pod reaches it
        low KN007 /usr/bin/dash: 1 of its scripts went with it: /usr/local/bin/docker-entrypoint.sh
        info KN002 docker-entrypoint.sh haproxy -f /usr/local/etc/haproxy/haproxy.cfg: replaced by `haproxy -W -db -f /usr/local/etc/haproxy/haproxy.cfg`: recipe `haproxy`: the script executes haproxy with its arguments, in the foreground (-db) and with a master that reloads on SIGUSR2 (-W)
    "#]]);
    haproxy().cmd(&["-f", "/usr/local/etc/haproxy"]).shows(
        "start",
        &expect![[r#"
        start ["haproxy", "-W", "-db", "-f", "/usr/local/etc/haproxy"]
          Program /usr/local/sbin/haproxy
    "#]],
    );
    haproxy().cmd(&["haproxy"]).shows(
        "start",
        &expect![[r#"
        start ["haproxy", "-W", "-db"]
          Program /usr/local/sbin/haproxy
    "#]],
    );
}

#[test]
fn haproxy_that_changes_its_root_is_said_not_to_start() {
    let fixture = debian(&format!(
        "/usr/sbin/haproxy {ELF}\n/etc/haproxy/haproxy.cfg f \"global\\n\\tlog /dev/log local0\\n\\tchroot /var/lib/haproxy\\n\""
    ));
    fixture.cmd(&["haproxy", "-f", "/etc/haproxy/haproxy.cfg"]).shows("findings", &expect![[r"
        high KN038 /etc/haproxy/haproxy.cfg:3: `chroot /var/lib/haproxy` needs root, and the app does not start as root: take it out, the container confines the app already
        info KN015 65532:65532: the image ran as `root`, and now as nonroot (65532:65532): nothing in the image says which account the program should have
    "]]);
}

fn traefik_alone() -> Fixture {
    Fixture::new("/traefik f 0755 elf static").entrypoint(&["/traefik"]).volume("/tmp").port("80/tcp")
}

fn traefik_behind_its_script() -> Fixture {
    debian(
        "/usr/local/bin/traefik f 0755 elf static
        /entrypoint.sh f 0755 \"#!/bin/sh\\nif traefik x --help; then set -- traefik; fi\\nexec \\x22$@\\x22\\n\"",
    )
    .entrypoint(&["/entrypoint.sh"])
    .cmd(&["traefik"])
    .port("80/tcp")
}

#[test]
fn traefik_starts_as_it_is_or_keeps_its_script() {
    traefik_alone().shows(
        "start user serves writable codes",
        &expect![[r#"
        start ["/traefik"]
          Program /traefik
        user 65532:65532 [] nonroot Added
        recipes traefik
        port 80 http
        probe Some(Tcp)
        writable /tmp Absent 1777 65532:65532
        codes KN015 KN019 KN022
    "#]],
    );
    traefik_behind_its_script().shows("start serves shell", &expect![[r#"
        start ["/entrypoint.sh", "traefik"]
          Script /entrypoint.sh
          Interpreter /bin/sh -> /usr/bin/dash
          Program /usr/local/bin/traefik
        recipes traefik
        port 80 http
        probe Some(Tcp)
        high KN001 /entrypoint.sh: it needs a shell: it asks traefik itself whether its first argument is one of its subcommands; to lose the shell, give the image `traefik` itself as its entrypoint, with its options as the command
    "#]]);
}

fn caddy() -> Fixture {
    debian(
        "/usr/bin/caddy f 0755 elf static\n/etc/caddy/Caddyfile f \":80 {\\n}\\n\"\n/usr/share/caddy/index.html f 5
        /config/caddy d 0775\n/data/caddy d 0775\n/srv d",
    )
    .cmd(&["caddy", "run", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"])
    .env(&["XDG_CONFIG_HOME=/config", "XDG_DATA_HOME=/data"])
    .working_dir("/srv")
    .port("80/tcp")
}

#[test]
fn caddy_starts_as_it_is_with_places_for_certificates_and_configuration() {
    caddy().shows("start user serves writable findings", &expect![[r#"
        start ["caddy", "run", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"]
          Program /usr/bin/caddy
        user 65532:65532 [] nonroot Added
        recipes caddy
        port 80 http
        probe Some(Tcp)
        writable /config Empty 0755 65532:65532
        writable /data Empty 0755 65532:65532
        low KN043 /config: the volume hides empty directories of the image: caddy; an app that does not make them itself needs `--writable` for each
        low KN043 /data: the volume hides empty directories of the image: caddy; an app that does not make them itself needs `--writable` for each
        info KN015 65532:65532: the image ran as `root`, and now as nonroot (65532:65532): nothing in the image says which account the program should have
        info KN022 80: below 1024, and the app is not root: the pod spec lowers `net.ipv4.ip_unprivileged_port_start` for the pod; where that cannot be set, let the app listen on a higher port
    "#]]);
}

#[test]
fn caddy_listens_where_its_sites_are() {
    let mut fixture = caddy();
    let other = Fixture::new("/etc/caddy/Caddyfile f \":9999 {\\n}\\n\"");
    fixture.layers.extend(other.layers);
    let ports: Vec<u16> = fixture.plan().ports.iter().map(|port| port.port).collect();
    assert_eq!(ports, [80, 9999], "EXPOSE says 80 still");
}

fn nats() -> Fixture {
    debian(
        "/usr/local/bin/nats-server f 0755 elf static
        /etc/nats/nats-server.conf f \"# Client port\\nport: 4222\\nmonitor_port: 8222\\ncluster {\\n  name: x\\n}\\n\"",
    )
    .stands_in("nats", "/usr/local/bin/docker-entrypoint.sh")
    .entrypoint(&["docker-entrypoint.sh"])
    .cmd(&["nats-server", "--config", "/etc/nats/nats-server.conf"])
}

fn nats_alone() -> Fixture {
    Fixture::new("/nats-server f 0755 elf static\n/nats-server.conf f \"port: 4222\\n\"")
        .entrypoint(&["/nats-server"])
        .cmd(&["--config", "nats-server.conf"])
        .port("4222/tcp")
}

#[test]
fn nats_loses_its_script_and_writes_nothing() {
    nats().shows(
        "start user serves writable codes",
        &expect![[r#"
        start ["nats-server", "--config", "/etc/nats/nats-server.conf"]
          Program /usr/local/bin/nats-server
        user 65532:65532 [] nonroot Added
        recipes nats
        port 4222 nats
        probe Some(Tcp)
        codes KN007 KN002 KN015
    "#]],
    );
    nats_alone().shows(
        "start user serves writable codes",
        &expect![[r#"
        start ["/nats-server", "--config", "nats-server.conf"]
          Program /nats-server
        user 65532:65532 [] nonroot Added
        recipes nats
        port 4222 nats
        probe Some(Tcp)
        codes KN015
    "#]],
    );
}

#[test]
fn nats_of_debian_listens_where_no_probe_reaches() {
    let fixture = debian(&format!(
        "/usr/sbin/nats-server {ELF}\n/etc/nats-server.conf f \"host: 127.0.0.1\\nport: 4222\\njetstream {{\\n  store_dir: /var/lib/nats\\n}}\\n\""
    ));
    fixture.cmd(&["nats-server", "-c", "/etc/nats-server.conf"]).shows("writable findings", &expect![[r"
        writable /var/lib/nats Absent 0755 65532:65532
        medium KN040 4222: /etc/nats-server.conf:2 (port 4222) is listened on at 127.0.0.1 only: no probe and no client outside the pod reaches it
        info KN015 65532:65532: the image ran as `root`, and now as nonroot (65532:65532): nothing in the image says which account the program should have
    "]]);
}
