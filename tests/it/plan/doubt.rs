//! Starts that are not what they look like: shells with options, launchers, supervisors, scripts with several programs.
//!
//! Where it is not certain what runs, nothing goes but catalogued tools, and that is said.

use expect_test::expect;
use kiln::finding::Code;
use kiln::plan::{Level, Plan};

use super::{ELF, debian};
use crate::fixture::Fixture;

/// nginx, with something of the distribution's that nothing leads to.
fn server() -> String {
    format!(
        "/usr/sbin/nginx {ELF}\npackage nginx needs=libc6 has=/usr/sbin/nginx
        /usr/bin/other {ELF}\npackage other has=/usr/bin/other"
    )
}

fn stays(plan: &Plan, path: &str) -> bool {
    plan.removed.iter().all(|removed| removed.path.to_string() != path)
}

fn program(plan: &Plan) -> String {
    plan.entrypoint.chain.last().map_or_else(String::new, |step| step.path.to_string())
}

fn is_doubted(plan: &Plan) -> bool {
    plan.findings.iter().any(|finding| finding.code == Code::StartUncertain)
}

/// The program is found for certain, and what it does not need goes.
fn certain(fixture: &Fixture, expected: &str, argv: &[&str]) {
    let plan = fixture.plan();
    assert_eq!(program(&plan), expected, "{:?}", plan.entrypoint);
    assert_eq!(plan.entrypoint.argv, argv);
    assert_eq!((plan.level, is_doubted(&plan)), (Level::Distroless, false), "{:?}", plan.findings);
}

/// Nothing goes but tools, and that is said.
fn doubted(fixture: &Fixture, kept: &[&str]) -> Plan {
    let plan = fixture.plan();
    assert_eq!((plan.level, is_doubted(&plan)), (Level::Strip, true), "{:?}", plan.findings);
    for path in kept {
        assert!(stays(&plan, path), "{path} went");
    }
    plan
}

#[test]
fn options_of_a_shell_that_change_nothing_do_not_hinder_lowering() {
    for words in [
        &["/bin/sh", "-ec", "exec nginx -g x"][..],
        &["/bin/sh", "-e", "-u", "-c", "nginx -g x"],
        &["/bin/sh", "-o", "pipefail", "-c", "nginx -g x"],
        &["/bin/sh", "-euxo", "pipefail", "-c", "nginx -g x"],
        &["/bin/sh", "-c", "nginx -g x", "ignored"],
    ] {
        let fixture = debian(&server()).cmd(words);
        certain(&fixture, "/usr/sbin/nginx", &["nginx", "-g", "x"]);
        assert!(!stays(&fixture.plan(), "/usr/bin/dash"));
    }
}

#[test]
fn program_of_a_shells_text_is_found_behind_options_and_before_operands() {
    for words in [
        &["/bin/sh", "-o", "pipefail", "-c", "nginx && true"][..],
        &["/bin/sh", "-lc", "nginx"],
        &["/bin/sh", "-c", "nginx && true", "ignored"],
        &["/bin/sh", "-exc", "cat /x; exec nginx"],
    ] {
        let fixture = debian(&server()).cmd(words);
        certain(&fixture, "/usr/sbin/nginx", words);
        assert!(stays(&fixture.plan(), "/usr/bin/dash"));
    }
}

#[test]
fn a_shell_that_reads_a_file_first_is_not_lowered() {
    let image = format!("{}\n/usr/bin/bash {ELF}\npackage bash has=/usr/bin/bash", server());
    let bash = |env: &[&str]| debian(&image).env(env).cmd(&["/bin/bash", "-c", "nginx"]);
    certain(&bash(&["BASH_ENV=/etc/env.sh"]), "/usr/sbin/nginx", &["/bin/bash", "-c", "nginx"]);
    // Called by another name, bash reads none.
    certain(
        &debian(&server()).env(&["BASH_ENV=/etc/env.sh"]).cmd(&["/bin/sh", "-c", "nginx"]),
        "/usr/sbin/nginx",
        &["nginx"],
    );
}

#[test]
fn a_shell_is_never_the_program() {
    for words in [&["sh"][..], &["sh", "-l"], &["sh", "-s", "nginx"], &["sh", "nowhere.sh"], &["sh", "-c"]] {
        let plan =
            doubted(&debian(&server()).cmd(words), &["/usr/bin/other", "/usr/sbin/nginx", "/usr/bin/dash"]);
        assert_eq!(program(&plan), "/bin/sh".replace("/bin", "/usr/bin"), "{words:?}");
    }
}

#[test]
fn a_launcher_that_kiln_does_not_know_is_no_reason_to_lose_what_it_starts() {
    let image = format!("{}\n/usr/local/bin/dockerize f 0755 elf static", server());
    let fixture = debian(&image).cmd(&["dockerize", "-wait", "tcp://db:1", "nginx", "-g", "x"]);
    doubted(&fixture, &["/usr/sbin/nginx", "/usr/bin/other"]);
    fixture.shows(
        "start gone findings",
        &expect![[r#"
            start ["dockerize", "-wait", "tcp://db:1", "nginx", "-g", "x"]
              Wrapper /usr/local/bin/dockerize
              Program /usr/sbin/nginx
            gone /usr/bin/cat: Utility
            gone /usr/bin/dash: Shell
            gone /usr/bin/dpkg: PackageManager
            gone /usr/bin/env: Utility
            gone /usr/bin/sh: Shell
            high KN047 /usr/local/bin/dockerize: kiln does not know it, and it may start `nginx` or anything else: everything but catalogued tools stays
            info KN015 33:33: the image ran as `root`, and now as www-data (33:33): recipe `nginx` names the account
            info KN022 80: below 1024, and the app is not root: the pod spec lowers `net.ipv4.ip_unprivileged_port_start` for the pod; where that cannot be set, let the app listen on a higher port
        "#]],
    );
    // What stands behind `--` is what starts.
    let fixture = debian(&image).cmd(&["dockerize", "--as", "other", "--", "nginx"]);
    assert_eq!(program(&doubted(&fixture, &["/usr/sbin/nginx"])), "/usr/sbin/nginx");
    let fixture = debian(&image).cmd(&["dockerize", "sh", "-c", "nginx && true"]);
    assert_eq!(program(&doubted(&fixture, &["/usr/bin/dash"])), "/usr/sbin/nginx");
}

#[test]
fn a_launcher_that_starts_a_script_keeps_its_interpreter() {
    let image = format!(
        "/usr/local/bin/launch f 0755 elf static\n/usr/bin/python3 {ELF}\npackage python3 has=/usr/bin/python3
        /app/main.py f 0755 #!/usr/bin/python3"
    );
    let plan = doubted(&debian(&image).cmd(&["launch", "/app/main.py"]), &["/usr/bin/python3"]);
    assert_eq!(plan.recipes, ["python"]);
    let image = format!(
        "/usr/bin/uv f 0755 elf static\n/usr/bin/python3 {ELF}\npackage python3 has=/usr/bin/python3\n/app/main.py f 5"
    );
    doubted(&debian(&image).cmd(&["uv", "run", "/app/main.py"]), &["/usr/bin/python3"]);
}

#[test]
fn arguments_of_programs_that_are_known_start_nothing() {
    // A user of the name of a program, and a subcommand of the name of a tool.
    let image = format!(
        "/usr/sbin/haproxy {ELF}\npackage haproxy has=/usr/sbin/haproxy\n/usr/bin/mysql {ELF}\n/app/main f 0755 elf static
        /usr/bin/sync {ELF}"
    );
    certain(
        &debian(&image).cmd(&["haproxy", "-u", "mysql"]),
        "/usr/sbin/haproxy",
        &["haproxy", "-u", "mysql"],
    );
    let fixture = debian(&image).cmd(&["/app/main", "sync", "cat", "./conf"]);
    certain(&fixture, "/app/main", &["/app/main", "sync", "cat", "./conf"]);
    assert!(!stays(&fixture.plan(), "/usr/bin/cat"));
}

#[test]
fn timeout_stays_before_what_it_starts() {
    let image = format!("{}\n/usr/bin/timeout {ELF}", server());
    certain(
        &debian(&image).cmd(&["timeout", "-k", "5", "3600", "nginx"]),
        "/usr/sbin/nginx",
        &["timeout", "-k", "5", "3600", "nginx"],
    );
}

#[test]
fn a_tool_that_runs_a_command_line_keeps_a_shell_and_what_it_names() {
    let image = format!("{}\n/usr/bin/su {ELF}", server());
    let fixture = debian(&image).cmd(&["su", "-c", "cat /x && nginx", "www-data"]);
    let plan = doubted(&fixture, &["/usr/sbin/nginx", "/usr/bin/dash", "/usr/bin/cat"]);
    assert!(plan.findings.iter().any(|finding| finding.code == Code::ShellStays));
}

#[test]
fn env_of_a_multi_call_binary_is_the_wrapper_that_it_is_called_as() {
    let image = "/bin/busybox f 0755 elf static is=busybox\n/bin/sh l busybox\n/usr/bin/env l /bin/busybox
        /bin/sleep l busybox\n/usr/sbin/nginx f 0755 elf static";
    certain(&Fixture::new(image).cmd(&["env", "A=1", "nginx"]), "/usr/sbin/nginx", &["nginx"]);
    certain(&Fixture::new(image).cmd(&["busybox", "sh", "-c", "nginx"]), "/usr/sbin/nginx", &["nginx"]);
    certain(&Fixture::new(image).cmd(&["sleep", "infinity"]), "/bin/sleep", &["sleep", "infinity"]);
}

#[test]
fn a_path_that_env_sets_is_where_the_program_is_looked_up() {
    let image = format!("/usr/bin/server {ELF}\n/opt/x/bin/server {ELF}\n/tini f 0755 elf static");
    let env = &["env", "PATH=/usr/sbin", "PATH=/opt/x/bin:/usr/bin", "server"];
    debian(&image).cmd(env).shows(
        "start",
        &expect![[r#"
        start ["server"]
          Program /opt/x/bin/server
          with PATH=/usr/sbin
          with PATH=/opt/x/bin:/usr/bin
    "#]],
    );
    // The wrapper before it is looked up in the path that was.
    certain(
        &debian(&image).cmd(&["/tini", "env", "PATH=/opt/x/bin:/usr/bin", "server"]),
        "/opt/x/bin/server",
        &["/tini", "env", "PATH=/opt/x/bin:/usr/bin", "server"],
    );
}

#[test]
fn libraries_that_env_leads_to_stay() {
    let image = "/usr/bin/server f 0755 elf interp=/lib64/ld-linux-x86-64.so.2 needed=libown.so.1
        /usr/share/own/libown.so.1 f 0755 elf soname=libown.so.1\npackage own has=/usr/share/own/libown.so.1
        /run.sh f 0755 \"#!/bin/sh\\nexec env LD_LIBRARY_PATH=/usr/share/own server\\n\"";
    assert!(stays(&debian(image).cmd(&["/run.sh"]).plan(), "/usr/share/own/libown.so.1"));
}

fn script(lines: &str) -> Fixture {
    debian(&format!(
        "{}\n/usr/bin/zzz {ELF}\npackage zzz has=/usr/bin/zzz\n/usr/bin/python3 {ELF}\npackage python3 has=/usr/bin/python3
        /usr/bin/gunicorn f 0755 #!/usr/bin/python3\npackage gunicorn has=/usr/bin/gunicorn
        /run.sh f 0755 \"#!/bin/sh\\n{lines}\\n\"",
        server()
    ))
    .cmd(&["/run.sh"])
}

#[test]
fn a_script_ends_in_what_it_executes_last() {
    certain(&script("set -e\\nexec nginx -g x"), "/usr/sbin/nginx", &["/run.sh"]);
    certain(&script("cat /zzz\\nnginx"), "/usr/sbin/nginx", &["/run.sh"]);
    certain(&script("set -- nginx -g x\\nexec \\x22$@\\x22"), "/usr/sbin/nginx", &["/run.sh"]);
    let fixture = script("python3 -m migrate\\nexec env A=1 gunicorn app:app");
    certain(&fixture, "/usr/bin/python3", &["/run.sh"]);
    assert_eq!(fixture.plan().recipes, ["python"]);
}

#[test]
fn a_script_that_starts_several_programs_loses_none_of_what_they_need() {
    for lines in ["zzz --prepare\\nexec nginx -g x", "zzz &\\nnginx", "exec nginx -g x || exec zzz"] {
        let plan = doubted(&script(lines), &["/usr/bin/other", "/usr/bin/zzz", "/usr/sbin/nginx"]);
        let expected = if lines.ends_with("zzz") { "/usr/bin/zzz" } else { "/usr/sbin/nginx" };
        assert_eq!(program(&plan), expected, "{lines}");
    }
    // Arguments say what serves, but not what the script starts before.
    let fixture = script("python3 /prepare.py\\nexec \\x22$@\\x22").entrypoint(&["/run.sh"]).cmd(&["zzz"]);
    doubted(&fixture, &["/usr/bin/python3", "/usr/bin/other"]);
    let fixture = script("cat /x\\nexec \\x22$@\\x22").entrypoint(&["/run.sh"]).cmd(&["zzz"]);
    certain(&fixture, "/usr/bin/zzz", &["/run.sh", "zzz"]);
}

#[test]
fn text_of_a_shell_that_starts_several_programs_loses_none() {
    let fixture = debian(&format!("{}\n/usr/bin/zzz {ELF}", server())).cmd(&["sh", "-c", "nginx & zzz"]);
    doubted(&fixture, &["/usr/bin/other", "/usr/bin/zzz"]);
}

#[test]
fn files_that_a_script_sources_are_read_without_a_first_line_too() {
    let image = |line: &str| {
        debian(&format!(
            "{}\n/usr/bin/sed {ELF}\n/usr/local/lib/fn.sh f \"sed -i s/a/b/ /x\\n\"
            /usr/local/bin/run.sh f 0755 \"#!/bin/sh\\nset -e\\n{line}\\nexec nginx\\n\"",
            server()
        ))
        .cmd(&["/usr/local/bin/run.sh"])
    };
    for line in [
        ". /usr/local/lib/fn.sh",
        "[ -f x ] || source /usr/local/lib/fn.sh",
        ". \\x22$(dirname \\x22$0\\x22)/../lib/fn.sh\\x22",
        ". ${HERE}/../lib/fn.sh",
    ] {
        assert!(stays(&image(line).plan(), "/usr/bin/sed"), "{line}");
    }
    assert!(!stays(&image("cat /usr/local/lib/fn.sh").plan(), "/usr/bin/sed"));
}

#[test]
fn a_sourced_file_that_was_not_read_is_a_doubt() {
    let image =
        format!("{}\n/etc/fn f 500\n/run.sh f 0755 \"#!/bin/sh\\n. /etc/fn\\nexec nginx\\n\"", server());
    doubted(&debian(&image).cmd(&["/run.sh"]), &["/usr/bin/other"]);
}

#[test]
fn programs_that_a_supervisor_starts_stay_with_the_shell_and_tools_that_its_files_name() {
    let image = format!(
        "{}\n/usr/bin/supervisord f 0755 #!/usr/bin/python3\n/usr/bin/python3 {ELF}\npackage python3 has=/usr/bin/python3
        /usr/bin/tail {ELF}\n/usr/bin/sed {ELF}
        /etc/supervisor/conf.d/app.conf f \"[program:nginx]\\ncommand=/usr/sbin/nginx -g x\\n; command=/usr/bin/sed\\n[program:log]\\ncommand=tail -F /x\\n\"",
        server()
    );
    debian(&image).cmd(&["supervisord", "-n"]).shows(
        "start gone findings",
        &expect![[r#"
            start ["supervisord", "-n"]
              Script /usr/bin/supervisord
              Interpreter /usr/bin/python3
            gone /usr/bin/cat: Utility
            gone /usr/bin/dpkg: PackageManager
            gone /usr/bin/env: Utility
            gone /usr/bin/sed: Utility
            high KN001 /usr/bin/supervisord: it needs a shell: nothing says for certain what it ends up running; to lose the shell, run each program that it starts in a container of its own
            high KN047 /usr/bin/supervisord: it starts the programs that its configuration names, and no word of the command line says what: everything but catalogued tools stays
            high KN047 /usr/sbin/nginx: a script or a configuration file starts it besides the program that was found: everything but catalogued tools stays
            medium KN005 /usr/bin/dash: `/usr/bin/supervisord` needs a shell
            medium KN005 /usr/bin/sh: `/usr/bin/supervisord` needs a shell
            medium KN005 /usr/bin/tail: the script `/usr/bin/supervisord` of the entrypoint names it
            info KN015 65532:65532: the image ran as `root`, and now as nonroot (65532:65532): nothing in the image says which account the program should have
            info KN025 PYTHONDONTWRITEBYTECODE: the pod sets it to `1`: byte code would be written beside the application's modules
        "#]],
    );
}

#[test]
fn services_of_s6_are_read_for_what_they_start() {
    let image = format!(
        "{}\n/bin/s6-svscan f 0755 elf static\n/bin/execlineb f 0755 elf static\n/usr/bin/sed {ELF}\n/usr/bin/tail {ELF}
        /init f 0755 \"#!/bin/execlineb -S0\\ns6-svscan /etc/services.d\\n\"
        /etc/services.d/nginx/run f 0755 \"#!/bin/sh\\nsed -i x /y\\nexec nginx\\n\"
        /etc/services.d/log/run f 0755 \"#!/bin/execlineb -P\\ntail -F /x\\n\"",
        server()
    );
    for words in [&["/init"][..], &["/bin/s6-svscan", "/etc/services.d"]] {
        let kept = ["/usr/sbin/nginx", "/usr/bin/other", "/usr/bin/dash", "/usr/bin/sed", "/usr/bin/tail"];
        let plan = doubted(&debian(&image).cmd(words), &kept);
        assert!(plan.findings.iter().any(|finding| finding.code == Code::ShellStays));
        assert!(!stays(&plan, "/usr/bin/cat"));
    }
}

#[test]
fn tables_of_a_cron_are_read_for_what_they_start() {
    let image = format!(
        "{}\n/usr/sbin/cron {ELF}\n/usr/bin/sed {ELF}\n/etc/cron.d/job f \"# cat\\n5 * * * * root sed -i x /y; nginx\\n\"",
        server()
    );
    let plan = doubted(
        &debian(&image).cmd(&["cron", "-f"]),
        &["/usr/sbin/nginx", "/usr/bin/dash", "/usr/bin/sed", "/etc/cron.d/job"],
    );
    assert!(!stays(&plan, "/usr/bin/cat"));
}

#[test]
fn servers_that_start_a_program_for_each_service_keep_the_programs_of_other_packages() {
    let image = format!(
        "/usr/sbin/dovecot {ELF}\npackage dovecot-core has=/usr/sbin/dovecot\n/usr/lib/dovecot/imap {ELF}
        package dovecot-imapd has=/usr/lib/dovecot/imap"
    );
    let plan = doubted(&debian(&image).cmd(&["dovecot", "-F"]), &["/usr/lib/dovecot/imap"]);
    assert!(!stays(&plan, "/usr/bin/dash"));
}

#[test]
fn setpriv_and_runuser_are_lowered_where_they_only_switch_the_user() {
    let image =
        format!("{}\n/usr/bin/setpriv {ELF}\n/usr/sbin/runuser {ELF}\n/usr/bin/chpst {ELF}", server());
    for words in [
        &["setpriv", "--reuid=www-data", "--regid=www-data", "--init-groups", "nginx"][..],
        &[
            "setpriv",
            "--reuid",
            "33",
            "--regid",
            "33",
            "--clear-groups",
            "--inh-caps=-all",
            "--no-new-privs",
            "nginx",
        ],
        &["runuser", "-u", "www-data", "--", "nginx"],
        &["runuser", "--user=www-data", "nginx"],
        &["chpst", "-u", "www-data", "nginx"],
        &["chpst", "-uwww-data:www-data", "nginx"],
    ] {
        let fixture = debian(&image).cmd(words);
        certain(&fixture, "/usr/sbin/nginx", &["nginx"]);
        assert_eq!(fixture.plan().user.uid, 33, "{words:?}");
    }
    for words in [
        &["setpriv", "--reuid=www-data", "--reset-env", "nginx"][..],
        &["setpriv", "--reuid=www-data", "--ambient-caps=+net_raw", "nginx"],
        &["chpst", "-u", "www-data", "-e", "/env", "nginx"],
    ] {
        let fixture = debian(&image).cmd(words);
        certain(&fixture, "/usr/sbin/nginx", words);
        let plan = fixture.plan();
        assert_eq!(plan.user.uid, 33, "{words:?}");
        assert!(plan.findings.iter().any(|finding| finding.code == Code::NeedsRoot), "{words:?}");
    }
}
