//! What rules know of a pod by its image, and what they leave open without it.

use super::*;
use crate::evidence::Confidence;

/// A shell and what it may start, besides.
const SHELL: &str = "
    /bin/sh f 0755 elf
    /bin/sleep f 0755 elf
    /bin/rm f 0755 elf
    /usr/bin/own f 0700 33:33 elf
    /usr/bin/script f 0711 \"#!/bin/sh\\n\"
";

/// The same with the shell and a command for the given field, or for the container.
fn shell(field: &'static str, argv: &[&str]) -> Vec<&'static str> {
    let value = if field.contains("Probe") || field.contains("lifecycle") {
        json!({"exec": {"command": argv}})
    } else {
        json!(argv)
    };
    let mut edits: Vec<Edit> = Vec::new();
    if field.contains("lifecycle") {
        edits.push((container!("lifecycle"), json!({})));
    }
    edits.push((field, value));
    with(SHELL, &|_| {}, &edits)
}

const NONE: [&str; 0] = [];

#[test]
fn what_a_plain_text_for_the_shell_runs_is_looked_for() {
    let probe = |text: &str| shell(container!("startupProbe"), &["sh", "-c", text]);
    for text in ["curl -f http://localhost", "sleep 1 && curl x | cat", "/usr/bin/missing", "/usr/bin/closed"]
    {
        assert_eq!(probe(text), ["CF001"], "{text}");
    }
    for text in [
        "nginx -t && echo $HOME",
        "sleep 1; exec own",
        "curl x || exit 1",
        "if command -v curl; then curl x; fi",
        "command -v curl && curl x",
        "[ -x /bin/curl ] && /bin/curl x",
        "cd /x && ./y",
        "$CURL x",
        // What a volume brings.
        "/etc/nginx/conf.d/check.sh",
    ] {
        assert_eq!(probe(text), NONE, "{text}");
    }
    assert_eq!(shell(container!("lifecycle/preStop"), &["sh", "-c", "/usr/bin/missing; sleep 5"]), ["CF002"]);
    assert_eq!(shell(container!("command"), &["sh", "-c", "missing && exec nginx"]), ["CF003"]);
    assert_eq!(shell(container!("command"), &["sh", "-c", "sleep 1 && exec nginx"]), NONE);
}

#[test]
fn programs_are_looked_at_as_the_containers_user_sees_them() {
    let probe = |name: &str| shell(container!("startupProbe"), &[name]);
    assert_eq!(probe("/usr/bin/closed"), ["CF001"]);
    assert_eq!(probe("own"), NONE);
    assert_eq!(probe("/usr/bin/script"), ["CF001"]);
    assert_eq!(probe("/data/from-a-volume"), NONE);
    // A program can be started without being read, a script cannot.
    assert_eq!(shell(container!("command"), &["/usr/bin/script"]), ["ID009"]);
    assert_eq!(with("/usr/bin/open f 0711 elf", &|_| {}, &[(container!("command"), json!(["open"]))]), NONE);
    assert_eq!(shell(container!("command"), &["$(WHERE)/app"]), NONE);
    // A group of the pod's is one of the program's.
    let groups: Edit = (spec!("securityContext/supplementalGroups"), json!([77]));
    let grouped = "/usr/bin/grouped f 0750 0:77 elf";
    let command: Edit = (container!("command"), json!(["grouped"]));
    assert_eq!(with(grouped, &|_| {}, std::slice::from_ref(&command)), ["ID009"]);
    assert_eq!(with(grouped, &|_| {}, &[command, groups]), NONE);
}

#[test]
fn what_starts_is_found_from_where_it_starts_and_without_an_entrypoint() {
    let relative = |image: &mut Image| {
        image.config.entrypoint = vec!["./run".into()];
        image.config.working_dir = "/app".into();
    };
    assert_eq!(with("/app/run f 0700 elf", &relative, &[]), ["ID009"]);
    assert_eq!(with("/app/run f 0755 elf", &relative, &[]), NONE);
    let elsewhere: Edit = (container!("workingDir"), json!("/other"));
    assert_eq!(with("/other/run f 0700 elf", &relative, &[elsewhere]), ["ID009"]);
    let bare = |image: &mut Image| image.config.entrypoint.clear();
    let args = |argv: &[&str]| -> Edit { (container!("args"), json!(argv)) };
    assert_eq!(with("", &bare, &[args(&["missing"])]), ["CF003"]);
    assert_eq!(with("", &bare, &[args(&["nginx"])]), NONE);
    assert_eq!(with("", &|_| {}, &[args(&["missing"])]), NONE);
}

#[test]
fn a_hook_that_only_waits_does_so_by_itself_from_a_version_on() {
    let found_at = |minor: u32, argv: &[&str], keep: bool| {
        let mut options = options(minor);
        let name = options.images.keys().next().unwrap().clone();
        options.images.insert(name, image(SHELL));
        if !keep {
            options.images.clear();
        }
        let hook = json!({"preStop": {"exec": {"command": argv}}});
        found(&audited(&edited(good(), &[(container!("lifecycle"), hook)]).to_string(), &options))
    };
    for argv in [&["sleep", "5"][..], &["sh", "-c", "sleep 5"]] {
        assert_eq!(found_at(30, argv, true), ["CF002"], "{argv:?}");
        assert_eq!(found_at(30, argv, false), ["CF002"], "{argv:?}");
        assert_eq!(found_at(29, argv, true), NONE, "{argv:?}");
    }
    assert_eq!(found_at(30, &["sh", "-c", "sleep 5; nginx -s quit"], true), NONE);
}

#[test]
fn low_ports_and_capabilities_go_by_the_images_user_where_the_pod_says_none() {
    let silent = |image: &'static str, more: &[Edit]| {
        let mut edits: Vec<Edit> = ["runAsUser", "runAsNonRoot", "sysctls"]
            .map(|field| (&*format!("/spec/template/spec/securityContext/{field}").leak(), Value::Null))
            .into();
        edits.extend_from_slice(more);
        let mut found = with("", &|known| known.config.user = image.to_owned(), &edits);
        found.retain(|rule| rule.starts_with("PR"));
        found
    };
    let bind: Edit = (container!("securityContext/capabilities/add"), json!(["NET_BIND_SERVICE"]));
    assert_eq!(silent("101", &[]), ["PR006"]);
    assert_eq!(silent("www-data", &[]), ["PR006"]);
    assert_eq!(silent("101", std::slice::from_ref(&bind)), ["PR005", "PR006"]);
    // The image listens there whether the pod says so or not, unless the pod starts something else.
    let undeclared: Edit = (container!("ports"), Value::Null);
    assert_eq!(silent("101", std::slice::from_ref(&undeclared)), ["PR006"]);
    let other: Edit = (container!("command"), json!(["/usr/bin/data"]));
    assert_eq!(silent("101", &[undeclared, other]), NONE);
    assert_eq!(silent("", &[bind]), NONE);
    assert_eq!(silent("0", &[]), NONE);
}

#[test]
fn what_only_the_image_says_is_open_without_it() {
    let open = |edits: &[Edit]| {
        let mut options = options(35);
        options.images.clear();
        let audit = audited(&edited(good(), edits).to_string(), &options);
        let is_open = |id: &&str| audit.tally(rules::rule(id).unwrap()).undecided > 0;
        (found(&audit), ["PR006", "CF003", "CF005"].into_iter().filter(is_open).collect::<Vec<_>>())
    };
    let port = |port: Value| -> Edit { (container!("readinessProbe/httpGet/port"), port) };
    assert_eq!(open(&[port(json!(8080))]), (vec![], vec!["CF005"]));
    assert_eq!(open(&[port(json!("web"))]), (vec!["CF005"], vec![]));
    assert_eq!(open(&[(container!("args"), json!(["-x"]))]), (vec![], vec!["CF003"]));
    let user: Edit = (spec!("securityContext/runAsUser"), Value::Null);
    let refuses: Edit = (spec!("securityContext/runAsNonRoot"), Value::Null);
    let sysctls: Edit = (spec!("securityContext/sysctls"), Value::Null);
    assert_eq!(open(&[user.clone(), sysctls.clone()]), (vec!["PR006"], vec![]));
    assert_eq!(open(&[user, refuses, sysctls]), (vec!["ID001"], vec!["PR006"]));
}

#[test]
fn another_command_than_the_images_leaves_open_what_is_written() {
    let tally = |command: &[&str]| {
        let edits: [Edit; 1] = [(container!("command"), json!(command))];
        let audit = audited(&edited(good(), &edits).to_string(), &options(35));
        let tally = audit.tally(rules::rule("FS002").unwrap());
        (tally.passed, tally.undecided, audit.resources[0].checklist.unwrap().of(checklist::Point::Volumes))
    };
    assert_eq!(tally(&["/usr/sbin/nginx"]), (1, 0, checklist::Mark::Holds));
    assert_eq!(tally(&["/usr/sbin/nginx", "-t"]), (0, 1, checklist::Mark::Open));
}

#[test]
fn volume_over_the_code_that_starts_is_told_unless_it_must_be_written() {
    let starts_in =
        |directory: &'static str| move |image: &mut Image| image.config.working_dir = directory.into();
    let mount =
        |path: &str| -> Edit { (container!("volumeMounts/-"), json!({"name": "cache", "mountPath": path})) };
    let code = "/app/src/main.py f 10";
    assert_eq!(with(code, &starts_in("/app/src"), &[mount("/app/src")]), ["FS003", "FS004", "FS005"]);
    assert_eq!(with(code, &starts_in("/app/src"), &[mount("/app/")]), ["FS003", "FS004", "FS005"]);
    assert_eq!(with(code, &starts_in("/app/src"), &[mount("/app/src/cache")]), ["FS003"]);
    assert_eq!(with(code, &starts_in("/app"), &[mount("/app/src")]), ["FS003", "FS005"]);
    assert_eq!(with("/app d", &starts_in("/app"), &[mount("/app")]), ["FS003"]);
    // It is recorded that `/data` must be written.
    assert_eq!(with("/data/main.py f 10", &starts_in("/data"), &[]), ["FS005"]);
}

#[test]
fn root_is_told_once_at_each_place() {
    let edits: [Edit; 2] =
        [(spec!("securityContext/runAsUser"), json!(0)), (container!("securityContext/runAsUser"), json!(0))];
    let audit = audited(&edited(good(), &edits).to_string(), &options(35));
    let fields: Vec<&str> = audit.open().filter(|f| f.rule.id == "ID002").map(|f| &*f.field).collect();
    assert_eq!(
        fields,
        [
            "spec.template.spec.containers[0].securityContext.runAsUser",
            "spec.template.spec.securityContext.runAsUser"
        ]
    );
}

#[test]
fn pods_that_ask_for_windows_are_of_windows() {
    let edits = |os: &str| -> [Edit; 2] {
        [
            (spec!("nodeSelector"), json!({"kubernetes.io/os": os})),
            (container!("securityContext/readOnlyRootFilesystem"), Value::Null),
        ]
    };
    assert_eq!(with("", &|_| {}, &edits("linux")), ["FS001"]);
    assert_eq!(with("", &|_| {}, &edits("windows")), NONE);
}

#[test]
fn path_that_is_only_likely_to_be_written_weighs_little() {
    let severity = |confidence: Confidence| {
        let mut options = options(35);
        for known in options.images.values_mut() {
            for path in &mut known.manifest.paths {
                path.confidence = confidence;
            }
        }
        let audit =
            audited(&edited(good(), &[(container!("volumeMounts/1"), Value::Null)]).to_string(), &options);
        let finding = audit.open().find(|finding| finding.rule.id == "FS002").unwrap();
        (finding.severity, finding.message.contains("likely"))
    };
    assert_eq!(severity(Confidence::Proven), (Severity::High, false));
    assert_eq!(severity(Confidence::Likely), (Severity::Low, true));
}
