//! Runtimes of languages and what runs in them.

use expect_test::expect;

use super::Layout;
use crate::fixture::Fixture;
use crate::plan::{ELF, debian};

pub fn layouts() -> Vec<Layout> {
    vec![
        ("dotnet", dotnet()),
        ("java", java()),
        ("tomcat", tomcat()),
        ("java", tomcat()),
        ("node", node()),
        ("php-fpm", php_fpm()),
        ("python", python()),
        ("ruby", puma()),
    ]
}

fn dotnet() -> Fixture {
    debian(&format!(
        "/usr/share/dotnet/dotnet {ELF}\n/usr/bin/dotnet l /usr/share/dotnet/dotnet\n/tmp d 1777
        /usr/share/dotnet/shared/Microsoft.NETCore.App/8.0.0/libcoreclr.so f elf
        /etc/passwd f \"root:x:0:0::/:/bin/sh\\napp:x:1654:1654::/home/app:/bin/sh\\n\"\n/etc/group f \"app:x:1654:\\n\"
        /app/App.dll f 5"
    ))
    .entrypoint(&["dotnet", "App.dll"])
    .working_dir("/app")
    .env(&["PATH=/usr/bin", "ASPNETCORE_HTTP_PORTS=8080"])
    .port("8080/tcp")
}

#[test]
fn dotnet_is_told_to_make_no_diagnostic_sockets() {
    dotnet().shows(
        "start user serves writable codes",
        &expect![[r#"
            start ["dotnet", "App.dll"]
              Program /usr/bin/dotnet -> /usr/share/dotnet/dotnet
            user 1654:1654 [] app Recipe("dotnet")
            recipes dotnet
            port 8080 http
            probe Some(Tcp)
            env DOTNET_EnableDiagnostics=0
            writable /tmp Empty 1777 0:0
            codes KN015 KN025
        "#]],
    );
}

fn java() -> Fixture {
    debian(&format!(
        "/opt/java/openjdk/bin/java {ELF}\n/opt/java/openjdk/lib/server/libjvm.so f elf\n/app/app.jar f 5\n/tmp d 1777"
    ))
    .entrypoint(&["java", "-jar", "/app/app.jar"])
    .env(&["PATH=/opt/java/openjdk/bin:/usr/bin"])
    .port("8080/tcp")
}

#[test]
fn java_has_a_directory_for_scratch_files() {
    java().shows(
        "start user serves writable codes",
        &expect![[r#"
        start ["java", "-jar", "/app/app.jar"]
          Program /opt/java/openjdk/bin/java
        user 65532:65532 [] nonroot Added
        recipes java
        port 8080 http
        probe Some(Tcp)
        writable /tmp Empty 1777 0:0
        codes KN015
    "#]],
    );
}

fn tomcat() -> Fixture {
    debian(&format!(
        "/usr/bin/bash {ELF}\n/opt/java/openjdk/bin/java {ELF}\n/tmp d 1777
        /usr/local/tomcat/bin/catalina.sh f 0755 \"#!/usr/bin/env bash\\n. setclasspath.sh\\nexec java $CATALINA_OPTS\\n\"
        /usr/local/tomcat/bin/bootstrap.jar f 5\n/usr/local/tomcat/conf/server.xml f \"<Server/>\"
        /usr/local/tomcat/logs d 1777\n/usr/local/tomcat/temp d 1777\n/usr/local/tomcat/work d 1777\n/usr/local/tomcat/webapps d"
    ))
    .cmd(&["catalina.sh", "run"])
    .env(&["PATH=/usr/local/tomcat/bin:/opt/java/openjdk/bin:/usr/bin", "CATALINA_HOME=/usr/local/tomcat"])
    .working_dir("/usr/local/tomcat")
    .port("8080/tcp")
}

#[test]
fn tomcat_keeps_its_script_that_builds_the_command_line() {
    tomcat().shows("start user serves writable shell", &expect![[r#"
        start ["/usr/bin/bash", "/usr/local/tomcat/bin/catalina.sh", "run"]
          Wrapper /usr/bin/env
          Interpreter /usr/bin/bash
          Script /usr/local/tomcat/bin/catalina.sh
          Program /opt/java/openjdk/bin/java
        user 65532:65532 [] nonroot Added
        recipes java tomcat
        port 8080 http
        probe Some(Tcp)
        writable /tmp Empty 1777 0:0
        writable /usr/local/tomcat/conf/Catalina Absent 0755 65532:65532
        writable /usr/local/tomcat/logs Empty 1777 0:0
        writable /usr/local/tomcat/temp Empty 1777 0:0
        writable /usr/local/tomcat/work Empty 1777 0:0
        high KN001 /usr/local/tomcat/bin/catalina.sh: it needs a shell: catalina.sh builds the class path and puts CATALINA_OPTS, JAVA_OPTS and setenv.sh's settings on java's command line at each start; to lose the shell, start `java` with that command line as the entrypoint (`ps` in the source image shows it) and set the heap with JAVA_TOOL_OPTIONS, which java reads itself
    "#]]);
}

fn node() -> Fixture {
    debian(&format!(
        "/usr/local/bin/node {ELF}\n/app/server.js f \"x\"
        /etc/passwd f \"root:x:0:0::/:/bin/sh\\nnode:x:1000:1000::/home/node:/bin/bash\\n\"\n/etc/group f \"node:x:1000:\\n\""
    ))
    .stands_in("node", "/usr/local/bin/docker-entrypoint.sh")
    .entrypoint(&["docker-entrypoint.sh"])
    .cmd(&["node", "/app/server.js"])
    .port("3000/tcp")
}

#[test]
fn node_loses_its_script() {
    node().shows(
        "start user serves writable codes",
        &expect![[r#"
        start ["node", "/app/server.js"]
          Program /usr/local/bin/node
        user 1000:1000 [] node Recipe("node")
        recipes node
        port 3000 http
        probe Some(Tcp)
        codes KN007 KN002 KN015
    "#]],
    );
}

fn php_fpm() -> Fixture {
    debian(&format!(
        "/usr/local/sbin/php-fpm {ELF}\n/usr/local/lib/php/extensions/no-debug-non-zts-20240924/sodium.so f elf
        /usr/local/etc/php-fpm.conf f \"[global]\\ninclude=etc/php-fpm.d/*.conf\\n\"
        /usr/local/etc/php-fpm.d/docker.conf f \"[global]\\nerror_log = /proc/self/fd/2\\n[www]\\naccess.log = /proc/self/fd/2\\n\"
        /usr/local/etc/php-fpm.d/zz-docker.conf f \"[global]\\ndaemonize = no\\n[www]\\nlisten = 9000\\n\"\n/tmp d 1777"
    ))
    .stands_in("php-fpm", "/usr/local/bin/docker-php-entrypoint")
    .entrypoint(&["docker-php-entrypoint"])
    .cmd(&["php-fpm"])
    .working_dir("/var/www/html")
    .port("9000/tcp")
}

#[test]
fn php_fpm_loses_its_script_and_logs_to_the_output() {
    php_fpm().shows(
        "start user serves writable codes",
        &expect![[r#"
        start ["php-fpm"]
          Program /usr/local/sbin/php-fpm
        user 33:33 [] www-data Recipe("php-fpm")
        recipes php-fpm
        port 9000 port
        probe Some(Tcp)
        writable /tmp Empty 1777 0:0
        codes KN007 KN002 KN015
    "#]],
    );
    php_fpm().cmd(&["-F"]).shows("shell", &expect![[r"
        high KN001 /usr/local/bin/docker-php-entrypoint: it needs a shell: nothing says for certain what it ends up running; to lose the shell, start the program that the script ends in, or give kiln a recipe that lowers it
    "]]);
}

#[test]
fn php_fpm_of_debian_logs_where_no_volume_can_be() {
    let fixture = debian(&format!(
        "/usr/sbin/php-fpm8.2 {ELF}\n/var/log d\n/tmp d 1777\n/var/lib/php/sessions d 1733
        /etc/php/8.2/fpm/php-fpm.conf f \"[global]\\npid = /run/php/php8.2-fpm.pid\\nerror_log = /var/log/php8.2-fpm.log\\ninclude=/etc/php/8.2/fpm/pool.d/*.conf\\n\"
        /etc/php/8.2/fpm/pool.d/www.conf f \"[www]\\nuser = www-data\\nlisten = 9000\\n\"
        package php8.2-fpm needs=libc6 has=/usr/sbin/php-fpm8.2"
    ));
    fixture.cmd(&["php-fpm8.2", "-F"]).shows("start user serves writable findings", &expect![[r#"
        start ["php-fpm8.2", "-F"]
          Program /usr/sbin/php-fpm8.2
        user 33:33 [] www-data Recipe("php-fpm")
        recipes php-fpm
        port 9000 port
        probe Some(Tcp)
        writable /run/php Absent 0755 33:33
        writable /tmp Empty 1777 0:0
        writable /var/lib/php/sessions Empty 1733 0:0
        medium KN026 /var/log/php8.2-fpm.log: /etc/php/8.2/fpm/php-fpm.conf:3 (error_log /var/log/php8.2-fpm.log) writes it, but its directory cannot be a volume: it is one of the system's own directories; let it be written elsewhere
        info KN015 33:33: the image ran as `root`, and now as www-data (33:33): recipe `php-fpm` names the account
    "#]]);
}

fn python() -> Fixture {
    debian(&format!("/usr/local/bin/python3.13 {ELF}\n/usr/local/bin/python3 l python3.13\n/app/app.py f \"x\"\n/tmp d 1777"))
        .cmd(&["python3", "/app/app.py"])
}

#[test]
fn python_is_told_to_write_no_byte_code() {
    python().shows(
        "start user serves writable codes",
        &expect![[r#"
        start ["python3", "/app/app.py"]
          Program /usr/local/bin/python3 -> /usr/local/bin/python3.13
        user 65532:65532 [] nonroot Added
        recipes python
        probe Some(Tcp)
        env PYTHONDONTWRITEBYTECODE=1
        writable /tmp Empty 1777 0:0
        codes KN015 KN025
    "#]],
    );
}

fn puma() -> Fixture {
    debian(&format!(
        "/usr/bin/ruby3.1 {ELF}\n/usr/bin/ruby l ruby3.1\n/usr/lib/ruby/3.1.0/set.rb f \"x\"\n/tmp d 1777
        /usr/bin/puma f 0755 \"#!/usr/bin/ruby\\nload 'x'\\n\"\n/app/config.ru f \"x\"
        /usr/share/rubygems-integration/all/specifications/rack.gemspec f \"x\"
        package ruby3.1 needs=libc6 has=/usr/bin/ruby3.1
        package libruby3.1 has=/usr/lib/ruby/3.1.0/set.rb
        package ruby-rack has=/usr/share/rubygems-integration/all/specifications/rack.gemspec
        package puma needs=ruby3.1 has=/usr/bin/puma"
    ))
    .cmd(&["puma", "-b", "tcp://0.0.0.0:9292", "/app/config.ru"])
}

#[test]
fn puma_keeps_the_gems_that_ruby_finds_by_name() {
    puma().shows(
        "start user serves writable codes packages",
        &expect![[r#"
            start ["puma", "-b", "tcp://0.0.0.0:9292", "/app/config.ru"]
              Script /usr/bin/puma
              Interpreter /usr/bin/ruby -> /usr/bin/ruby3.1
            user 65532:65532 [] nonroot Added
            recipes ruby
            port 9292 port
            probe Some(Tcp)
            writable /tmp Empty 1777 0:0
            codes KN039 KN015
            cuts coreutils: nothing kept leads to it
            cuts dash: nothing kept leads to it
            cuts dpkg: nothing kept leads to it
            keeps libc6: package ruby3.1
            keeps libruby3.1: /usr/lib/ruby/3.1.0/set.rb
            keeps puma: /usr/bin/puma
            keeps ruby-rack: /usr/share/rubygems-integration/all/specifications/rack.gemspec
            keeps ruby3.1: package puma
        "#]],
    );
}

#[test]
fn php_fpm_of_alpine_keeps_its_modules_and_configuration() {
    let fixture = Fixture::new(
        "/usr/sbin/php-fpm83 f 0755 elf static\n/tmp d 1777\n/var/log/php83 d\n/usr/lib/php83/modules/opcache.so f elf
        /usr/lib/php83/modules/pdo_mysql.so f elf\n/etc/php83/php.ini f 5\n/etc/php83/conf.d/00_opcache.ini f 5
        /etc/php83/php-fpm.conf f \"include=/etc/php83/php-fpm.d/*.conf\\n\"\n/etc/php83/php-fpm.d/www.conf f \"[www]\\nlisten = 9000\\n\"
        /etc/passwd f \"root:x:0:0::/:\\nnobody:x:65534:65534::/:\\n\"\n/etc/group f \"nobody:x:65534:\\n\"
        apk php83-fpm has=/usr/sbin/php-fpm83\napk php83-opcache has=/usr/lib/php83/modules/opcache.so,/etc/php83/conf.d/00_opcache.ini
        apk php83-pdo_mysql has=/usr/lib/php83/modules/pdo_mysql.so
        apk php83-common has=/etc/php83/php.ini,/etc/php83/php-fpm.conf,/etc/php83/php-fpm.d/www.conf",
    );
    fixture.cmd(&["php-fpm83", "-F"]).shows(
        "start user serves writable gone",
        &expect![[r#"
        start ["php-fpm83", "-F"]
          Program /usr/sbin/php-fpm83
        user 65534:65534 [] nobody Recipe("php-fpm")
        recipes php-fpm
        port 9000 port
        probe Some(Tcp)
        writable /tmp Empty 1777 0:0
        writable /var/log/php83 Empty 0755 65534:65534
        gone /etc/apk/repositories: PackageManagerState
        gone /lib/apk/db/lock: PackageManagerState
    "#]],
    );
}

#[test]
fn tomcat_unpacks_any_archive_beside_itself() {
    let writable = |more: &str| {
        let mut fixture = tomcat();
        fixture.layers.extend(Fixture::new(more).layers);
        let plan = fixture.plan();
        plan.writable.iter().any(|path| path.path.to_string() == "/usr/local/tomcat/webapps")
    };
    assert!(writable("/usr/local/tomcat/webapps/shop.war f 5"));
    assert!(!writable("/usr/local/tomcat/webapps/shop/index.html f 5"));
}

#[test]
fn ports_of_dotnet_are_those_of_its_variables() {
    let ports = |env: &str| {
        let plan = dotnet().env(&["PATH=/usr/bin", env]).plan();
        plan.ports.iter().map(|port| format!("{} {}", port.port, port.name)).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(ports("ASPNETCORE_URLS=http://+:80;https://*:443"), "80 http, 443 https, 8080 http-8080");
    assert_eq!(ports("ASPNETCORE_HTTP_PORTS=5000;5001"), "5000 http, 5001 http-5001, 8080 http-8080");
}
