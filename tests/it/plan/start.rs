//! Entrypoints: which words start what, what is lowered, and what keeps a shell.
//!
//! The images hold as little as the start needs.

use expect_test::expect;

use super::{ELF, debian};

fn server() -> String {
    format!("/usr/sbin/nginx {ELF}\npackage nginx needs=libc6,dash has=/usr/sbin/nginx")
}

#[test]
fn shell_form_of_one_simple_command_is_lowered_and_the_shell_goes() {
    debian(&server()).cmd(&["/bin/sh", "-c", "nginx -g 'daemon off;'"]).shows(
        "start gone residual codes",
        &expect![[r#"
            start ["nginx", "-g", "daemon off;"]
              Program /usr/sbin/nginx
            gone /bin: link to /usr/bin
            gone /usr/bin: EmptyDirectory
            gone /usr/bin/cat: Utility
            gone /usr/bin/dash: Shell
            gone /usr/bin/dpkg: PackageManager
            gone /usr/bin/env: Utility
            gone /usr/bin/sh: Shell
            stays /usr/sbin/nginx Application: it is the program that the image is for
            codes KN002 KN015 KN022
        "#]],
    );
}

#[test]
fn shell_form_with_a_variable_keeps_the_shell() {
    debian(&server()).cmd(&["sh", "-c", "nginx -p $PORT && cat /etc/passwd"]).shows(
        "start gone residual codes",
        &expect![[r#"
            start ["sh", "-c", "nginx -p $PORT && cat /etc/passwd"]
              Interpreter /usr/bin/sh -> /usr/bin/dash
              Program /usr/sbin/nginx
            gone /usr/bin/dpkg: PackageManager
            gone /usr/bin/env: Utility
            stays /usr/bin/cat Utility: the script `/usr/bin/sh` of the entrypoint names it
            stays /usr/bin/dash Shell: `sh -c nginx -p $PORT && cat /etc/passwd` needs a shell
            stays /usr/bin/sh Shell: `sh -c nginx -p $PORT && cat /etc/passwd` needs a shell
            stays /usr/sbin/nginx Application: it is the program that the image is for
            codes KN001 KN005 KN005 KN005 KN015 KN022
        "#]],
    );
}

#[test]
fn entrypoint_script_keeps_its_shell_and_the_tools_it_names() {
    debian(&format!(
        "{}\n/entrypoint.sh f 0755 \"#!/bin/sh\\nset -e\\ncat /etc/motd\\nexec \\x22$@\\x22\\n\"",
        server()
    ))
    .entrypoint(&["/entrypoint.sh"])
    .cmd(&["nginx"])
    .shows("start gone residual findings", &expect![[r#"
        start ["/entrypoint.sh", "nginx"]
          Script /entrypoint.sh
          Interpreter /bin/sh -> /usr/bin/dash
          Program /usr/sbin/nginx
        gone /usr/bin/dpkg: PackageManager
        gone /usr/bin/env: Utility
        stays /usr/bin/cat Utility: the script `/entrypoint.sh` of the entrypoint names it
        stays /usr/bin/dash Shell: `/entrypoint.sh` needs a shell
        stays /usr/bin/sh Shell: `/entrypoint.sh` needs a shell
        stays /usr/sbin/nginx Application: it is the program that the image is for
        high KN001 /entrypoint.sh: it needs a shell: nothing says for certain what it ends up running; to lose the shell, start the program that the script ends in, or give kiln a recipe that lowers it
        medium KN005 /usr/bin/cat: the script `/entrypoint.sh` of the entrypoint names it
        medium KN005 /usr/bin/dash: `/entrypoint.sh` needs a shell
        medium KN005 /usr/bin/sh: `/entrypoint.sh` needs a shell
        info KN015 33:33: the image ran as `root`, and now as www-data (33:33): recipe `nginx` names the account
        info KN022 80: below 1024, and the app is not root: the pod spec lowers `net.ipv4.ip_unprivileged_port_start` for the pod; where that cannot be set, let the app listen on a higher port
    "#]]);
}

#[test]
fn scripts_that_scripts_source_are_read_too() {
    debian(&format!(
        "{}\n/run.sh f 0755 \"#!/bin/sh\\n. /lib/init/vars.sh\\nexec nginx\\n\"
        /usr/lib/init/vars.sh f \"#!/bin/sh\\ncat /x\\n\"",
        server()
    ))
    .entrypoint(&["/run.sh"])
    .shows(
        "start gone residual",
        &expect![[r#"
        start ["/run.sh"]
          Script /run.sh
          Interpreter /bin/sh -> /usr/bin/dash
          Program /usr/sbin/nginx
        gone /usr/bin/dpkg: PackageManager
        gone /usr/bin/env: Utility
        stays /usr/bin/cat Utility: the script `/usr/lib/init/vars.sh` of the entrypoint names it
        stays /usr/bin/dash Shell: `/run.sh` needs a shell
        stays /usr/bin/sh Shell: `/run.sh` needs a shell
        stays /usr/sbin/nginx Application: it is the program that the image is for
    "#]],
    );
}

#[test]
fn interpreters_of_scripts_that_the_entrypoint_starts_stay() {
    let plan = debian(&format!(
        "{}\n/run.sh f 0755 \"#!/bin/sh\\nadduser x\\nexec nginx\\n\"\n/usr/bin/perl {ELF}
        /usr/sbin/adduser f 0755 #!/usr/bin/perl\npackage adduser needs=perl-base has=/usr/sbin/adduser
        package perl-base needs=dpkg,libc6 has=/usr/bin/perl",
        server()
    ))
    .entrypoint(&["/run.sh"])
    .plan();
    let residual: Vec<String> = plan.residual.iter().map(|residual| residual.path.to_string()).collect();
    assert_eq!(
        residual,
        ["/usr/bin/dash", "/usr/bin/perl", "/usr/bin/sh", "/usr/sbin/adduser", "/usr/sbin/nginx"]
    );
}

#[test]
fn init_wrappers_stay_and_what_they_start_is_found() {
    for init in ["tini", "dumb-init"] {
        let plan = debian(&format!("{}\n/usr/bin/{init} f 0755 elf static", server()))
            .entrypoint(&[init, "--", "nginx"])
            .plan();
        let files: Vec<String> = plan.entrypoint.chain.iter().map(|step| step.path.to_string()).collect();
        assert_eq!(files, [format!("/usr/bin/{init}"), "/usr/sbin/nginx".into()]);
        assert_eq!(plan.entrypoint.argv, [init, "--", "nginx"]);
    }
}

#[test]
fn init_before_a_lowered_shell_form_stays_before_it() {
    debian(&format!("{}\n/tini f 0755 elf static", server()))
        .entrypoint(&["/tini", "-g", "--"])
        .cmd(&["sh", "-c", "exec nginx"])
        .shows(
            "start codes",
            &expect![[r#"
            start ["/tini", "-g", "--", "nginx"]
              Wrapper /tini
              Program /usr/sbin/nginx
            codes KN002 KN015 KN022
        "#]],
        );
}

#[test]
fn gosu_is_lowered_and_its_user_taken() {
    debian(&format!("{}\n/usr/sbin/gosu {ELF}\npackage gosu has=/usr/sbin/gosu", server()))
        .entrypoint(&["gosu", "www-data", "nginx"])
        .shows(
            "start user gone",
            &expect![[r#"
                start ["nginx"]
                  Program /usr/sbin/nginx
                user 33:33 [] www-data Image
                gone /bin: link to /usr/bin
                gone /usr/bin: EmptyDirectory
                gone /usr/bin/cat: Utility
                gone /usr/bin/dash: Shell
                gone /usr/bin/dpkg: PackageManager
                gone /usr/bin/env: Utility
                gone /usr/bin/sh: Shell
                gone /usr/sbin/gosu: Escape
            "#]],
        );
}

#[test]
fn setpriv_with_options_stays_and_says_that_it_needs_root() {
    debian(&format!("{}\n/usr/bin/setpriv {ELF}\npackage util-linux has=/usr/bin/setpriv", server()))
        .entrypoint(&["setpriv", "--reuid", "33", "--reset-env", "nginx"])
        .shows("start residual findings", &expect![[r#"
            start ["setpriv", "--reuid", "33", "--reset-env", "nginx"]
              Wrapper /usr/bin/setpriv
              Program /usr/sbin/nginx
            stays /usr/bin/setpriv Escape: the entrypoint starts through it
            stays /usr/sbin/nginx Application: it is the program that the image is for
            high KN038 /usr/bin/setpriv: it switches to `33` at the start, which the pod allows nobody: start the program without it, and harden with `--user`
            medium KN005 /usr/bin/setpriv: the entrypoint starts through it
            info KN022 80: below 1024, and the app is not root: the pod spec lowers `net.ipv4.ip_unprivileged_port_start` for the pod; where that cannot be set, let the app listen on a higher port
        "#]]);
}

#[test]
fn env_sets_the_environment_and_goes() {
    debian(&server()).entrypoint(&["env", "A=1", "nginx"]).shows(
        "start residual",
        &expect![[r#"
        start ["nginx"]
          Program /usr/sbin/nginx
          with A=1
        stays /usr/sbin/nginx Application: it is the program that the image is for
    "#]],
    );
}

const PYTHON: &str = r#"
    /usr/bin/python3 l python3.11
    /usr/lib/python3.11/os.py f "import sys\n"
    package python3.11-minimal needs=libc6 has=/usr/bin/python3.11,/usr/lib/python3.11/os.py
    package python3-minimal needs=python3.11-minimal has=/usr/bin/python3
"#;

fn python() -> String {
    format!("/usr/bin/python3.11 {ELF}\n{PYTHON}")
}

#[test]
fn env_line_of_a_script_is_lowered_to_its_interpreter() {
    debian(&format!("{}\n/app/main.py f 0755 #!/usr/bin/env python3", python()))
        .entrypoint(&["/app/main.py", "--port", "80"])
        .shows(
            "start gone residual codes",
            &expect![[r#"
                start ["/usr/bin/python3", "/app/main.py", "--port", "80"]
                  Script /app/main.py
                  Interpreter /usr/bin/python3 -> /usr/bin/python3.11
                gone /usr/bin/cat: Utility
                gone /usr/bin/dash: Shell
                gone /usr/bin/dpkg: PackageManager
                gone /usr/bin/env: Utility
                gone /usr/bin/sh: Shell
                stays /usr/bin/python3 Interpreter: it runs the entrypoint's script
                stays /usr/bin/python3.11 Interpreter: it runs the entrypoint's script
                codes KN002 KN015 KN022 KN025 KN028
            "#]],
        );
}

#[test]
fn env_line_that_names_a_shell_is_a_shell_script() {
    debian(&format!("{}\n/app/run f 0755 \"#!/usr/bin/env sh\\nexec nginx\\n\"", server()))
        .entrypoint(&["/app/run"])
        .shows(
            "start residual codes",
            &expect![[r#"
                start ["/usr/bin/sh", "/app/run"]
                  Wrapper /usr/bin/env
                  Interpreter /usr/bin/sh -> /usr/bin/dash
                  Script /app/run
                  Program /usr/sbin/nginx
                stays /usr/bin/dash Shell: `/app/run` needs a shell
                stays /usr/bin/env Utility: the entrypoint starts through it
                stays /usr/bin/sh Shell: `/app/run` needs a shell
                stays /usr/sbin/nginx Application: it is the program that the image is for
                codes KN001 KN005 KN005 KN005 KN002 KN015 KN022
            "#]],
        );
}

#[test]
fn interpreter_line_with_a_path_starts_as_it_is() {
    debian(&format!("{}\n/app/main.py f 0755 #!/usr/bin/python3 -u", python())).cmd(&["/app/main.py"]).shows(
        "start residual",
        &expect![[r#"
            start ["/app/main.py"]
              Script /app/main.py
              Interpreter /usr/bin/python3 -> /usr/bin/python3.11
            stays /usr/bin/python3 Interpreter: it runs the entrypoint's script
            stays /usr/bin/python3.11 Interpreter: it runs the entrypoint's script
        "#]],
    );
}

#[test]
fn links_of_a_virtual_environment_are_followed_to_the_interpreter() {
    debian(&format!(
        "{}\n/app/venv/bin/python l python3\n/app/venv/bin/python3 l /usr/bin/python3
        /app/venv/bin/gunicorn f 0755 #!/app/venv/bin/python",
        python()
    ))
    .env(&["PATH=/app/venv/bin:/usr/bin"])
    .cmd(&["gunicorn", "app:app"])
    .shows(
        "start gone residual",
        &expect![[r#"
            start ["gunicorn", "app:app"]
              Script /app/venv/bin/gunicorn
              Interpreter /app/venv/bin/python -> /usr/bin/python3.11
            gone /usr/bin/cat: Utility
            gone /usr/bin/dash: Shell
            gone /usr/bin/dpkg: PackageManager
            gone /usr/bin/env: Utility
            gone /usr/bin/sh: Shell
            stays /app/venv/bin/python Interpreter: it runs the entrypoint's script
            stays /app/venv/bin/python3 Interpreter: it is another name of `/usr/bin/python3.11`, which the entrypoint starts
            stays /usr/bin/python3 Interpreter: it is another name of `/usr/bin/python3.11`, which the entrypoint starts
            stays /usr/bin/python3.11 Interpreter: it runs the entrypoint's script
        "#]],
    );
}

#[test]
fn relative_words_start_from_the_working_directory() {
    debian("/app/bin/server f 0755 elf static\n/server f 0755 elf static")
        .working_dir("/app")
        .cmd(&["./bin/server"])
        .shows(
            "start",
            &expect![[r#"
            start ["./bin/server"]
              Program /app/bin/server
        "#]],
        );
}

#[test]
fn package_manager_as_program_keeps_what_it_needs_and_says_so() {
    debian(&format!(
        "/usr/local/bin/node {ELF}\n/usr/local/bin/npm l ../lib/node_modules/npm/bin/npm-cli.js
        /usr/local/lib/node_modules/npm/bin/npm-cli.js f 0755 #!/usr/bin/env node
        /usr/local/lib/node_modules/npm/lib/cli.js f 3\n/usr/local/lib/node_modules/corepack/x.js f 3
        /app/server.js f \"x\""
    ))
    .cmd(&["npm", "start"])
    .shows(
        "start gone residual codes",
        &expect![[r#"
            start ["/usr/local/bin/node", "/usr/local/bin/npm", "start"]
              Script /usr/local/bin/npm -> /usr/local/lib/node_modules/npm/bin/npm-cli.js
              Interpreter /usr/local/bin/node
            gone /usr/bin/cat: Utility
            gone /usr/bin/dpkg: PackageManager
            gone /usr/local/lib/node_modules/corepack/x.js: Derived
            stays /usr/bin/dash Shell: `/usr/local/bin/npm` needs a shell
            stays /usr/bin/env Utility: the script `/usr/local/bin/npm` of the entrypoint names it
            stays /usr/bin/sh Shell: `/usr/local/bin/npm` needs a shell
            stays /usr/local/bin/node Interpreter: it runs the entrypoint's script
            stays /usr/local/bin/npm PackageManager: the entrypoint is this script
            codes KN001 KN005 KN005 KN005 KN005 KN002 KN015
        "#]],
    );
}

#[test]
fn image_that_starts_nothing_loses_only_catalogued_tools() {
    debian(&server()).shows("start gone findings", &expect![[r"
        start []
        gone /usr/bin/cat: Utility
        gone /usr/bin/dash: Shell
        gone /usr/bin/dpkg: PackageManager
        gone /usr/bin/env: Utility
        gone /usr/bin/sh: Shell
        high KN004 image config: there is neither entrypoint nor command, so nothing says what must stay: everything but catalogued tools stays
        info KN015 65532:65532: the image ran as `root`, and now as nonroot (65532:65532): nothing in the image says which account the program should have
    "]]);
}

#[test]
fn entrypoint_that_is_not_there_loses_only_catalogued_tools() {
    debian(&server()).cmd(&["gunicorn"]).shows("start gone findings", &expect![[r#"
        start ["gunicorn"]
        gone /usr/bin/cat: Utility
        gone /usr/bin/dash: Shell
        gone /usr/bin/dpkg: PackageManager
        gone /usr/bin/env: Utility
        gone /usr/bin/sh: Shell
        high KN003 `gunicorn`: no executable file of the image has this name: everything but catalogued tools stays
        info KN015 65532:65532: the image ran as `root`, and now as nonroot (65532:65532): nothing in the image says which account the program should have
    "#]]);
}

#[test]
fn files_without_execute_bit_and_directories_start_nothing() {
    for line in ["/usr/bin/app f 0644 elf static", "/usr/bin/app d", "/usr/bin/app l nowhere"] {
        let plan = debian(line).cmd(&["app"]).plan();
        assert!(plan.findings.iter().any(|finding| finding.code.doc().id == "KN003"), "{line}");
    }
}

#[test]
fn shell_for_its_own_sake_stays() {
    debian("").cmd(&["sh"]).shows(
        "start gone residual codes",
        &expect![[r#"
            start ["sh"]
              Interpreter /usr/bin/sh -> /usr/bin/dash
            gone /usr/bin/cat: Utility
            gone /usr/bin/dpkg: PackageManager
            gone /usr/bin/env: Utility
            stays /usr/bin/dash Shell: `/usr/bin/sh` needs a shell
            stays /usr/bin/sh Shell: `/usr/bin/sh` needs a shell
            codes KN001 KN047 KN005 KN005 KN015
        "#]],
    );
}

/// What a script that stays does with its arguments is its own affair.
#[test]
fn arguments_of_a_script_that_stays_are_not_touched() {
    let image = format!(
        "{}\n/usr/sbin/gosu {ELF}\npackage gosu has=/usr/sbin/gosu
        /run.sh f 0755 \"#!/bin/sh\\necho $1\\nexec \\x22$@\\x22\\n\"",
        server()
    );
    for arguments in
        [&["gosu", "www-data", "nginx"][..], &["sh", "-c", "nginx -g x"], &["env", "A=1", "nginx"]]
    {
        let plan = debian(&image).entrypoint(&["/run.sh"]).cmd(arguments).plan();
        assert_eq!(plan.entrypoint.argv, [&["/run.sh"], arguments].concat());
        let started = plan.entrypoint.chain.last().map(|step| step.path.to_string());
        assert_eq!(started.as_deref(), Some("/usr/sbin/nginx"));
        let word = format!("/usr/{}bin/{}", if arguments[0] == "gosu" { "s" } else { "" }, arguments[0]);
        assert!(plan.residual.iter().any(|residual| residual.path.to_string() == word), "{word} stays");
    }
}

#[test]
fn shell_behind_a_wrapper_in_the_first_line_stays() {
    debian(&format!(
        "{}\n/usr/bin/dumb-init f 0755 elf static\n/run.sh f 0755 \"#!/usr/bin/dumb-init /bin/sh\\nexec nginx\\n\"",
        server()
    ))
    .entrypoint(&["/run.sh"])
    .shows("start residual", &expect![[r#"
        start ["/run.sh"]
          Wrapper /usr/bin/dumb-init
          Interpreter /bin/sh -> /usr/bin/dash
          Script /run.sh
          Program /usr/sbin/nginx
        stays /usr/bin/dash Shell: `/run.sh` needs a shell
        stays /usr/bin/sh Shell: `/run.sh` needs a shell
        stays /usr/sbin/nginx Application: it is the program that the image is for
    "#]]);
}
