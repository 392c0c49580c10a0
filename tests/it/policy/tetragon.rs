//! Tetragon's policies: every field as its custom resource definition has it, and the selectors evaluated with the calls that are
//! written beside them.
//!
//! Knows the operators that the policies use; a call of a process in a container, never of the host's.

use serde_json::{Value, json};

use super::{WEB, Written, items, manifest, only_fields, text, written, written_for, written_with};

/// Fails at whatever the definition does not have.
fn check(policy: &Value) {
    only_fields(policy, "TracingPolicy", &["apiVersion", "kind", "metadata", "spec"]);
    assert_eq!(policy["apiVersion"], "cilium.io/v1alpha1");
    only_fields(&policy["spec"], "spec", &["kprobes", "podSelector", "containerSelector"]);
    let mut calls: Vec<&str> = Vec::new();
    for probe in items(policy, "/spec/kprobes") {
        only_fields(probe, "a kprobe", &["call", "syscall", "message", "args", "selectors", "tags"]);
        assert_eq!(probe["syscall"], false, "functions of the kernel");
        assert!(text(probe, "/message").len() <= 256);
        assert!(items(probe, "/selectors").len() <= 5, "a hook has at most five");
        calls.push(text(probe, "/call"));
        let kinds: Vec<&str> = items(probe, "/args").iter().map(|argument| text(argument, "/type")).collect();
        let expected: &[&str] = match text(probe, "/call") {
            "security_file_permission" => &["file", "int"],
            // Signatures of linux/security.h; of what is made or taken away the directory comes first, as `struct path`.
            "security_path_chmod"
            | "security_path_mkdir"
            | "security_path_rmdir"
            | "security_path_symlink"
            | "security_path_truncate"
            | "security_path_unlink" => &["path"],
            "security_path_link" => &["nop", "path"],
            "security_path_rename" => &["path", "nop", "path"],
            "security_bprm_check" => &["linux_binprm"],
            other => panic!("{other}"),
        };
        assert_eq!(kinds, expected);
        for selector in items(probe, "/selectors") {
            only_fields(selector, "a selector", &["matchNamespaces", "matchArgs", "matchActions"]);
            let container = json!([{ "namespace": "Pid", "operator": "NotIn", "values": ["host_ns"] }]);
            assert_eq!(selector["matchNamespaces"], container);
            let indices: Vec<&Value> =
                items(selector, "/matchArgs").iter().map(|argument| &argument["index"]).collect();
            assert!(indices.windows(2).all(|pair| pair[0] != pair[1]), "one filter for each argument");
            for argument in items(selector, "/matchArgs") {
                only_fields(argument, "matchArgs", &["index", "operator", "values"]);
                let index = usize::try_from(argument["index"].as_u64().unwrap()).unwrap();
                assert_ne!(kinds[index], "nop", "what is not read cannot be compared");
                assert!(["Equal", "Prefix", "Postfix"].contains(&text(argument, "/operator")));
                assert!(!items(argument, "/values").is_empty());
            }
            for action in items(selector, "/matchActions") {
                only_fields(action, "an action", &["action", "rateLimit"]);
                match text(action, "/action") {
                    "Post" => assert_eq!(action["rateLimit"], "1m"),
                    "NoPost" => assert!(action.get("rateLimit").is_none(), "of nothing"),
                    "Sigkill" => assert!(action.get("rateLimit").is_none(), "only for events"),
                    other => panic!("{other}"),
                }
            }
        }
    }
    calls.sort_unstable();
    let before = calls.len();
    calls.dedup();
    assert_eq!(calls.len(), before, "a function is hooked once");
}

/// Whether `policy` tells of `call`.
fn raises(policy: &Value, call: &Value) -> bool {
    let mut probes = items(policy, "/spec/kprobes").iter().filter(|probe| probe["call"] == call["call"]);
    let holds = |argument: &Value| {
        let found = text(call, &format!("/arguments/{}", argument["index"]));
        let any = |test: &dyn Fn(&str) -> bool| {
            items(argument, "/values").iter().any(|value| test(value.as_str().unwrap()))
        };
        match text(argument, "/operator") {
            "Equal" => any(&|value| found == value),
            "Prefix" => any(&|value| found.starts_with(value)),
            "Postfix" => any(&|value| found.ends_with(value)),
            other => panic!("{other}"),
        }
    };
    // The first selector that holds decides for its hook.
    let first = |probe: &Value| {
        let holding = items(probe, "/selectors").iter();
        let mut holding = holding.filter(|selector| items(selector, "/matchArgs").iter().all(holds));
        holding.next().is_some_and(|selector| selector["matchActions"][0]["action"] != "NoPost")
    };
    probes.any(first)
}

/// Evaluates all calls; gives how many there were.
fn verify(files: &Written) -> usize {
    let mut count = 0;
    for (path, policies) in files.iter().filter(|(path, _)| !path.starts_with("tests/")) {
        let events = &files[&format!("tests/{}-events.yaml", path.strip_suffix(".yaml").unwrap())][0];
        for policy in policies {
            check(policy);
            for (field, expected) in [("/raises", true), ("/silent", false)] {
                for call in items(events, field) {
                    assert_eq!(raises(policy, call), expected, "{path}: {call}");
                    count += 1;
                }
            }
        }
    }
    count
}

#[test]
fn policies_tell_of_their_calls_and_of_no_others() {
    assert!(verify(&written(&["tetragon"])) > 8);
    assert!(verify(&written_for(&["tetragon"], &[WEB])) > 12);
    assert!(verify(&written_for(&["tetragon", "--enforce", "deny"], &[WEB, "nginx:1"])) > 24);
}

#[test]
fn policy_of_an_image_selects_the_pods_that_kiln_writes_for_it() {
    let files = written_for(&["tetragon"], &[WEB]);
    let policy = &files["kiln-team-web.yaml"][0];
    assert_eq!(policy["kind"], "TracingPolicy");
    let selected = |policy: &Value, app: &str| {
        let label = json!({ "matchLabels": { "app.kubernetes.io/name": app } });
        assert_eq!(policy["spec"]["podSelector"], label);
        // Sidecars and what `kubectl debug` brings are not the image's.
        let own = json!({ "key": "name", "operator": "In", "values": [app, "kiln-seed", "kiln-prepare"] });
        assert_eq!(policy["spec"]["containerSelector"], json!({ "matchExpressions": [own] }));
    };
    selected(policy, "web");
    let named = written_for(&["tetragon", "--app", "shop-web"], &[WEB]);
    selected(&named["kiln-team-web.yaml"][0], "shop-web");
    // As `kiln generate` names what runs it.
    let digit = written_for(&["tetragon"], &["registry.example/7zip"]);
    selected(&digit["kiln-7zip.yaml"][0], "app-7zip");
    let pod = &written_for(&["vap"], &[WEB])["tests/kiln-writable-mounts-team-web/pods/accept-declared-mounts.yaml"]
        [0];
    let names = ["/spec/containers/0/name", "/spec/initContainers/0/name"].map(|name| text(pod, name));
    assert_eq!(names, ["web", "kiln-seed"]);
    assert!(written(&["tetragon"])["kiln.yaml"][0]["spec"].get("containerSelector").is_none());
    let files = written_for(&["tetragon", "--namespace", "b", "--namespace", "a"], &[WEB]);
    let places: Vec<&str> =
        files["kiln-team-web.yaml"].iter().map(|policy| text(policy, "/metadata/namespace")).collect();
    assert_eq!(places, ["a", "b"]);
    assert!(files["kiln-team-web.yaml"].iter().all(|policy| policy["kind"] == "TracingPolicyNamespaced"));
}

#[test]
fn directories_of_the_image_itself_are_watched_and_what_the_kernel_makes_is_not() {
    let mut manifest = manifest();
    manifest["process"]["argv"] = json!(["/data/app/server"]);
    manifest["process"]["cwd"] = json!("/proc");
    let files = written_with(&manifest, &["tetragon"], &[WEB]);
    let policy = &files["kiln-team-web.yaml"][0];
    let call = |path: &str| json!({ "call": "security_file_permission", "arguments": [path, "2"] });
    assert!(raises(policy, &call("/data/x")) && !raises(policy, &call("/proc/self/oom_score_adj")));
}
