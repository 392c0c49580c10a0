//! Small images that recipes must recognise: name of the recipe, the image, its programs.
//!
//! Holds what the globs of recipes are tried on; says nothing of how such an image starts.

/// One small image per recipe: the main program in each layout that the recipe covers, and what it must find there.
pub const IMAGES: &[(&str, &str, &[&str])] = &[
    (
        "httpd",
        "/usr/sbin/apache2 f 0755 elf interp=/lib64/ld-linux-x86-64.so.2
         /etc/apache2/apache2.conf f
         /usr/share/apache2/icons/a.gif f
         /usr/lib/apache2/modules/mod_dir.so f elf",
        &["/usr/sbin/apache2"],
    ),
    (
        "httpd",
        "/usr/local/apache2/bin/httpd f 0755 elf
         /usr/local/apache2/conf/httpd.conf f
         /usr/local/apache2/modules/mod_dir.so f elf",
        &["/usr/local/apache2/bin/httpd"],
    ),
    (
        "nginx",
        "/usr/sbin/nginx f 0755 elf
         /etc/nginx/nginx.conf f
         /usr/share/nginx/html/index.html f
         /usr/lib/nginx/modules/ngx_stream_module.so f elf",
        &["/usr/sbin/nginx"],
    ),
    ("node", "/usr/local/bin/node f 0755 elf", &["/usr/local/bin/node"]),
    (
        "node",
        "/usr/bin/node f 0755 elf
         /usr/bin/nodejs l node
         /usr/share/nodejs/express/index.js f",
        &["/usr/bin/node", "/usr/bin/nodejs"],
    ),
    (
        "postgresql",
        "/usr/lib/postgresql/15/bin/postgres f 0755 elf
         /usr/lib/postgresql/15/lib/hstore.so f elf
         /usr/share/postgresql/15/postgres.bki f
         /etc/postgresql/15/main/postgresql.conf f",
        &["/usr/lib/postgresql/15/bin/postgres"],
    ),
    (
        "python",
        "/usr/bin/python3 l python3.11
         /usr/bin/python3.11 f 0755 elf
         /opt/venv/bin/python l python3
         /opt/venv/bin/python3 l /usr/bin/python3
         /etc/python3.11/sitecustomize.py f
         /usr/lib/python3/dist-packages/flask/__init__.py f
         /usr/lib/python3.11/lib-dynload/_json.so f elf",
        &["/usr/bin/python3", "/usr/bin/python3.11", "/opt/venv/bin/python", "/opt/venv/bin/python3"],
    ),
    (
        "python",
        "/usr/local/bin/python3.12 f 0755 elf
         /usr/local/lib/python3.12/site-packages/flask/__init__.py f
         /usr/local/lib/python3.12/lib-dynload/_json.so f elf",
        &["/usr/local/bin/python3.12"],
    ),
    (
        "redis",
        "/usr/bin/redis-server l redis-check-rdb
         /usr/bin/redis-check-rdb f 0755 elf
         /etc/redis/redis.conf f",
        &["/usr/bin/redis-server"],
    ),
    ("redis", "/usr/local/bin/redis-server f 0755 elf", &["/usr/local/bin/redis-server"]),
    (
        "registry",
        "/usr/bin/docker-registry f 0755 elf
         /etc/docker/registry/config.yml f",
        &["/usr/bin/docker-registry"],
    ),
    ("caddy", "/usr/bin/caddy f 0755 elf\n/etc/caddy/Caddyfile f", &["/usr/bin/caddy"]),
    (
        "dotnet",
        "/usr/share/dotnet/dotnet f 0755 elf
         /usr/bin/dotnet l /usr/share/dotnet/dotnet",
        &["/usr/share/dotnet/dotnet", "/usr/bin/dotnet"],
    ),
    ("etcd", "/usr/bin/etcd f 0755 elf static", &["/usr/bin/etcd"]),
    (
        "grafana",
        "/usr/share/grafana/bin/grafana f 0755 elf
         /usr/share/grafana/conf/defaults.ini f",
        &["/usr/share/grafana/bin/grafana"],
    ),
    ("haproxy", "/usr/sbin/haproxy f 0755 elf\n/etc/haproxy/haproxy.cfg f", &["/usr/sbin/haproxy"]),
    (
        "java",
        "/usr/lib/jvm/java-17-openjdk-amd64/bin/java f 0755 elf
         /usr/lib/jvm/java-17-openjdk-amd64/lib/server/libjvm.so f elf
         /etc/java-17-openjdk/security/java.security f
         /etc/ssl/certs/java/cacerts f
         /usr/share/java/ecj.jar f
         /usr/share/tomcat10/bin/bootstrap.jar f
         /usr/bin/java l /usr/lib/jvm/java-17-openjdk-amd64/bin/java",
        &["/usr/bin/java", "/usr/lib/jvm/java-17-openjdk-amd64/bin/java"],
    ),
    (
        "keycloak",
        "/opt/keycloak/bin/kc.sh f 0755 #!/bin/bash
         /opt/keycloak/lib/app/keycloak.jar f",
        &["/opt/keycloak/bin/kc.sh"],
    ),
    (
        "memcached",
        "/usr/bin/memcached f 0755 elf
         /usr/lib/x86_64-linux-gnu/sasl2/libplain.so f elf",
        &["/usr/bin/memcached"],
    ),
    ("minio", "/opt/bin/minio f 0755 elf static", &["/opt/bin/minio"]),
    (
        "mysql",
        "/usr/sbin/mariadbd f 0755 elf
         /usr/sbin/mysqld l mariadbd
         /etc/mysql/my.cnf f
         /usr/share/mysql/english/errmsg.sys f
         /usr/lib/mysql/plugin/auth_socket.so f elf",
        &["/usr/sbin/mariadbd", "/usr/sbin/mysqld"],
    ),
    ("nats", "/usr/sbin/nats-server f 0755 elf static\n/etc/nats-server.conf f", &["/usr/sbin/nats-server"]),
    (
        "php-fpm",
        "/usr/sbin/php-fpm8.2 f 0755 elf
         /etc/php/8.2/fpm/php.ini f
         /usr/local/etc/php-fpm.conf f
         /usr/lib/php/20220829/opcache.so f elf",
        &["/usr/sbin/php-fpm8.2"],
    ),
    (
        "prometheus",
        "/usr/bin/prometheus f 0755 elf\n/etc/prometheus/prometheus.yml f",
        &["/usr/bin/prometheus"],
    ),
    (
        "rabbitmq",
        "/usr/lib/rabbitmq/bin/rabbitmq-server f 0755 #!/bin/sh
         /usr/sbin/rabbitmq-server l ../lib/rabbitmq/bin/rabbitmq-server
         /usr/lib/erlang/lib/kernel-8.5/ebin/kernel.beam f
         /bin/sh f 0755 elf",
        &["/usr/sbin/rabbitmq-server", "/usr/lib/rabbitmq/bin/rabbitmq-server"],
    ),
    (
        "ruby",
        "/usr/bin/ruby3.1 f 0755 elf
         /usr/bin/ruby l ruby3.1
         /usr/lib/ruby/3.1.0/set.rb f
         /usr/lib/x86_64-linux-gnu/ruby/3.1.0/date_core.so f elf
         /usr/share/rubygems-integration/all/specifications/rack.gemspec f",
        &["/usr/bin/ruby", "/usr/bin/ruby3.1"],
    ),
    (
        "tomcat",
        "/usr/share/tomcat10/bin/catalina.sh f 0755 #!/bin/sh
         /etc/tomcat10/server.xml f
         /usr/share/java/ecj.jar f",
        &["/usr/share/tomcat10/bin/catalina.sh"],
    ),
    ("traefik", "/traefik f 0755 elf static\n/etc/traefik/traefik.yml f", &["/traefik"]),
    ("vault", "/bin/vault f 0755 elf static\n/vault/config/local.json f", &["/bin/vault"]),
];
