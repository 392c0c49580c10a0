//! Web servers.

use expect_test::expect;

use super::Layout;
use crate::fixture::Fixture;
use crate::plan::{ELF, debian};

pub fn layouts() -> Vec<Layout> {
    vec![("nginx", nginx()), ("httpd", httpd())]
}

fn nginx() -> Fixture {
    debian(&format!(
        "/usr/sbin/nginx {ELF}\n/docker-entrypoint.d d\n/var/cache/nginx d\n/var/run l ../run\n/run d
        /var/log/nginx/access.log l /dev/stdout\n/var/log/nginx/error.log l /dev/stderr
        /etc/passwd f \"root:x:0:0::/:/bin/sh\\nnginx:x:101:101::/nonexistent:/bin/false\\n\"\n/etc/group f \"nginx:x:101:\\n\"
        /etc/nginx/nginx.conf f \"user nginx;\\nerror_log /var/log/nginx/error.log notice;\\npid /run/nginx.pid;\\nhttp {{ include /etc/nginx/conf.d/*.conf; }}\\n\"
        /etc/nginx/conf.d/default.conf f \"server {{ listen 80; }}\\n\""
    ))
    .stands_in("nginx", "/docker-entrypoint.sh")
    .entrypoint(&["/docker-entrypoint.sh"])
    .cmd(&["nginx", "-g", "daemon off;"])
    .port("80/tcp")
}

#[test]
fn nginx_loses_its_script_and_says_which_variables_it_read() {
    nginx().shows("start user serves writable findings", &expect![[r#"
        start ["nginx", "-g", "daemon off;"]
          Program /usr/sbin/nginx
        user 101:101 [] nginx Recipe("nginx")
        recipes nginx
        port 80 http
        probe Some(Tcp)
        writable /run Empty 0755 101:101
        writable /var/cache/nginx Empty 0755 101:101
        writable /var/log/nginx LogLinks 0755 0:0
        medium KN036 /docker-entrypoint.sh: it read NGINX_ENVSUBST_TEMPLATE_DIR, NGINX_ENTRYPOINT_LOCAL_RESOLVERS, NGINX_ENTRYPOINT_WORKER_PROCESSES_AUTOTUNE at each start, and is not started any more: a deployment that sets one for it has to set it in the image before it is hardened
        low KN007 /usr/bin/dash: 1 of its scripts went with it: /docker-entrypoint.sh
        info KN002 /docker-entrypoint.sh nginx -g daemon off;: replaced by `nginx -g daemon off;`: recipe `nginx`: the script executes its arguments after its hooks, and on a read-only root none of the image's hooks does anything: no template, resolver or worker tuning is asked for, and the default site cannot be given an IPv6 listener
        info KN015 101:101: the image ran as `root`, and now as nginx (101:101): recipe `nginx` names the account
        info KN022 80: below 1024, and the app is not root: the pod spec lowers `net.ipv4.ip_unprivileged_port_start` for the pod; where that cannot be set, let the app listen on a higher port
    "#]]);
    // A variable that asks for what only the script does.
    nginx().env(&["PATH=/usr/sbin:/usr/bin", "NGINX_ENTRYPOINT_WORKER_PROCESSES_AUTOTUNE=1"]).shows(
        "start",
        &expect![[r#"
            start ["/docker-entrypoint.sh", "nginx", "-g", "daemon off;"]
              Script /docker-entrypoint.sh
              Interpreter /bin/sh -> /usr/bin/dash
              Program /usr/sbin/nginx
        "#]],
    );
}

fn httpd() -> Fixture {
    debian(&format!(
        "/usr/local/apache2/bin/httpd {ELF}\n/usr/local/apache2/logs d\n/usr/local/apache2/modules/mod_x.so f elf
        /usr/local/apache2/conf/httpd.conf f \"ServerRoot /usr/local/apache2\\nListen 80\\nErrorLog /proc/self/fd/2\\n\"
        /usr/local/bin/httpd-foreground f 0755 \"#!/bin/sh\\nset -e\\n\\nrm -f /usr/local/apache2/logs/httpd.pid\\n\\nexec httpd -DFOREGROUND \\x22$@\\x22\\n\""
    ))
    .cmd(&["httpd-foreground"])
    .env(&["PATH=/usr/local/apache2/bin:/usr/local/bin:/usr/bin"])
    .port("80/tcp")
}

#[test]
fn httpd_loses_its_script_and_has_a_place_for_its_pid() {
    httpd().shows(
        "start user serves writable codes",
        &expect![[r#"
        start ["/usr/local/apache2/bin/httpd", "-DFOREGROUND"]
          Program /usr/local/apache2/bin/httpd
        user 33:33 [] www-data Recipe("httpd")
        recipes httpd
        port 80 http
        probe Some(Tcp)
        writable /usr/local/apache2/logs Empty 0755 33:33
        codes KN007 KN002 KN015 KN022
    "#]],
    );
}
