//! Audits of manifests: what each rule finds, and what it does not.

pub(crate) mod fixture;
mod table;

use serde_json::{Value, json};

use super::resource::Standard;
use super::*;
use fixture::{Edit, audited, edited, found, good, options, pod};

/// What is found in `text`, a line each: rule, place and message.
fn lines(text: &str, options: &Options) -> Vec<String> {
    let audit = audited(text, options);
    let line = |finding: &Finding| {
        let container = audit.container(finding).map(|of| format!("{of}: ")).unwrap_or_default();
        format!("{} {}:{} {container}{}", finding.rule.id, finding.line, finding.column, finding.message)
    };
    audit.open().map(line).collect()
}

#[test]
fn pod_without_anything_is_told_all_that_it_lacks_where_it_should_stand() {
    let text = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web\nspec:\n  containers:\n  - name: app\n    image: nginx\n";
    let expect = expect_test::expect![[r#"
        CF006 3:1 no annotation `kiln.dev/debug`
        OP004 3:1 the pod belongs to nothing that would bring it back
        ID006 5:1 the groups of the image's `/etc/group` are added: `supplementalGroupsPolicy` is not `Strict`
        SC006 5:1 `automountServiceAccountToken` is not false
        SC007 5:1 the pod runs under the namespace's `default` ServiceAccount
        SC008 5:1 `enableServiceLinks` is not false
        FS001 7:5 container "app": `readOnlyRootFilesystem` is not set: the root file system can be changed
        ID001 7:5 container "app": `runAsNonRoot` is not true
        PR002 7:5 container "app": `allowPrivilegeEscalation` is not false
        PR003 7:5 container "app": `capabilities.drop` does not have `ALL`
        PR007 7:5 container "app": no `seccompProfile` of type `RuntimeDefault` or `Localhost`
        RS001 7:5 container "app": `resources.requests.cpu` is not set
        RS001 7:5 container "app": `resources.requests.memory` is not set
        RS001 7:5 container "app": `resources.limits.memory` is not set
        RS002 7:5 container "app": `terminationMessagePolicy` is not `FallbackToLogsOnError`
        SC001 8:5 container "app": "nginx" is not pinned by digest
        SC002 8:5 container "app": "nginx" has no tag"#]];
    expect.assert_eq(&lines(text, &options(35)).join("\n"));
}

#[test]
fn rules_that_need_an_image_do_not_pass_without_it() {
    let mut options = options(35);
    options.images.clear();
    let audit = audited(&good().to_string(), &options);
    let undecided: Vec<&str> =
        rules::RULES.iter().filter(|rule| audit.tally(rule).undecided > 0).map(|rule| rule.id).collect();
    assert_eq!(
        undecided,
        [
            "FS002", "FS003", "FS004", "FS005", "FS006", "FS013", "FS016", "FS019", "ID003", "ID009",
            "SC003", "OP002", "OP003"
        ]
    );
    let marks = audit.resources[0].checklist.unwrap();
    assert_eq!(marks.of(checklist::Point::Volumes), checklist::Mark::Open);
    assert_eq!(marks.score(), 9);
}

#[test]
fn members_of_lists_and_documents_are_told_apart() {
    let list = json!({"apiVersion": "v1", "items": [good(), pod("x")], "kind": "List"});
    let text = format!("{list}\n---\n---\n{}\n---\n- no resource\n", pod("y"));
    let audit = audited(&text, &options(35));
    let titles: Vec<String> = audit.resources.iter().map(Resource::title).collect();
    assert_eq!(titles, ["Deployment shop/web", "Pod x", "Pod y"]);
    assert_eq!(audit.others, [(0, 6)]);
    assert_eq!(audit.resources[2].line, 4);
}

#[test]
fn pods_of_lists_are_audited_however_deep_and_without_a_kind_of_their_own() {
    let mut raw = pod("raw");
    raw.as_object_mut().unwrap().retain(|key, _| !["apiVersion", "kind"].contains(&key.as_str()));
    let pods = json!({"apiVersion": "v1", "kind": "PodList", "items": [raw]});
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [pods, pod("own")]});
    for text in [pods.to_string(), list.to_string()] {
        let audit = audited(&text, &options(35));
        assert_eq!(audit.resources[0].title(), "Pod raw", "{text}");
        assert!(audit.findings.iter().any(|finding| (finding.rule.id, finding.resource) == ("FS001", 0)));
    }
    assert_eq!(audited(&list.to_string(), &options(35)).resources.len(), 2);
}

#[test]
fn resources_without_a_pod_to_look_at_have_no_marks_and_meet_no_standard() {
    let no_spec = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}});
    let mut no_list = no_spec.clone();
    no_list["spec"] = json!({"containers": null});
    for (value, field, why) in [(no_spec, "spec", Why::Missing), (no_list, "spec.containers", Why::Empty)] {
        let audit = audited(&value.to_string(), &options(35));
        assert_eq!(audit.unread, [Unread { resource: 0, field: field.to_owned(), why }]);
        assert_eq!((audit.resources[0].checklist, audit.resources[0].standard), (None, None));
        assert!(audit.findings.is_empty());
    }
}

#[test]
fn points_whose_rules_were_not_asked_or_mean_nothing_do_not_hold() {
    use checklist::{Mark, Point};
    let marks = |value: &Value, options: &Options| {
        let marks = audited(&value.to_string(), options).resources[0].checklist.unwrap();
        Point::ALL.map(|point| marks.of(point))
    };
    assert_eq!(marks(&good(), &options(35)), [Mark::Holds; 10]);
    let mut one = options(35);
    one.only = ["FS021".to_owned()].into();
    assert_eq!(marks(&good(), &one), [Mark::Open; 10]);
    // One of two rules is not enough for a point, but enough to break it.
    one.only = ["ID001".to_owned()].into();
    assert_eq!(marks(&good(), &one)[Point::NonRoot.number() - 1], Mark::Open);
    assert_eq!(marks(&pod("x"), &one)[Point::NonRoot.number() - 1], Mark::Broken);
    let windows = edited(good(), &[("/spec/template/spec/os", json!({"name": "windows"}))]);
    let windows = marks(&windows, &options(35));
    for point in [Point::ReadOnly, Point::NoEscalation, Point::NoCapabilities] {
        assert_eq!(windows[point.number() - 1], Mark::Open, "{point:?}");
    }
}

#[test]
fn what_stands_before_an_error_is_audited() {
    let options = options(35);
    let mut auditor = Auditor::new(&options);
    let error = auditor.text("x.yaml", &format!("{}\n---\na: [\n", pod("x"))).unwrap_err();
    assert!(matches!(error, DocumentError::Syntax { line: 3, .. }), "{error}");
    assert_eq!(auditor.finish().resources.len(), 1);
}

#[test]
fn kinds_with_containers_that_no_rule_knows_are_named() {
    let fleet = json!({"apiVersion": "x/v1", "kind": "Fleet", "metadata": {"name": "f"},
        "spec": {"pods": {"spec": {"containers": [{"name": "a", "image": "b"}]}}}});
    let audit = audited(&fleet.to_string(), &options(35));
    let unread = Unread { resource: 0, field: "spec.pods.spec".to_owned(), why: Why::Unknown };
    assert_eq!(audit.unread, [unread]);
    let mut options = options(35);
    options.pod_spec_paths = vec!["Fleet=spec.pods.spec".parse().unwrap()];
    let audit = audited(&fleet.to_string(), &options);
    assert!(audit.unread.is_empty());
    assert_eq!(audit.findings.iter().filter(|finding| finding.rule.id == "FS001").count(), 1);
    assert_eq!(
        &*audit.findings.iter().find(|f| f.rule.id == "FS001").unwrap().field,
        "spec.pods.spec.containers[0].securityContext.readOnlyRootFilesystem"
    );
}

#[test]
fn every_pod_of_a_resource_is_audited_and_the_worst_counts() {
    let template = |value: Value| value["spec"]["template"].clone();
    let mut worse = template(good());
    worse["spec"]["containers"][0]["name"] = json!("other");
    worse["spec"]["hostPID"] = json!(true);
    let set = json!({"apiVersion": "x/v1", "kind": "Set", "metadata": {"name": "s"},
        "spec": {"jobs": [template(good()), worse, template(pod("x"))]}});
    let mut options = options(35);
    options.pod_spec_paths = vec!["Set=spec.jobs[].spec".parse().unwrap()];
    let audit = audited(&set.to_string(), &options);
    assert_eq!(audit.unread, [Unread { resource: 0, field: "spec.jobs[2].spec".into(), why: Why::Missing }]);
    let shared = audit.findings.iter().find(|finding| &*finding.field == "spec.jobs[1].spec.hostPID");
    assert!(shared.is_some());
    assert_eq!(audit.resources[0].standard, Some(Standard::Privileged));
    let names: Vec<&str> = audit.resources[0].containers.iter().map(|(_, name, _)| name.as_str()).collect();
    assert_eq!(names, ["app", "other"]);
    // A container's number is the resource's.
    options.pod_spec_paths =
        vec!["Set=spec.jobs[1].spec".parse().unwrap(), "Set=spec.jobs[0].spec".parse().unwrap()];
    let mut open = set.clone();
    open["spec"]["jobs"][0]["spec"]["containers"][0]["securityContext"] = Value::Null;
    let audit = audited(&open.to_string(), &options);
    let finding = audit.findings.iter().find(|finding| finding.rule.id == "FS001").unwrap();
    assert_eq!(audit.container(finding).as_deref(), Some("container \"app\""));
    assert_eq!(audit.tally(rules::rule("FS001").unwrap()).failed, 1);
}

#[test]
fn annotations_ignore_with_a_reason_for_a_time_and_not_in_vain() {
    let mut value = edited(good(), &[("/spec/template/spec/automountServiceAccountToken", Value::Null)]);
    let annotate =
        |value: &mut Value, text: &str| value["metadata"]["annotations"]["kiln.dev/ignore"] = json!(text);
    annotate(&mut value, "SC006: it asks the API");
    let audit = audited(&value.to_string(), &options(35));
    assert_eq!(found(&audit), Vec::<&str>::new());
    assert!(audit.findings.iter().any(|f| f.state == State::Ignored("it asks the API".into())));
    assert_eq!(audit.resources[0].outcomes.iter().filter(|o| **o == Outcome::Failed).count(), 1);

    let cases = [
        ("SC006/app: why", vec!["SC006", "IG003"]),
        ("SC006 until 2026-11-28: why", vec!["SC006", "IG002"]),
        ("SC006 until 2026-11-29: why", vec![]),
        ("SC006", vec!["SC006", "IG001"]),
        ("SC006: why\nPR001: why", vec!["IG003"]),
    ];
    for (text, expect) in cases {
        annotate(&mut value, text);
        let audit = audited(&value.to_string(), &options(35));
        let mut found = found(&audit);
        found.sort_by_key(|id| id.starts_with("IG"));
        assert_eq!(found, expect, "{text}");
    }
    // Of a rule that was not asked for, or is not decided, nobody knows.
    annotate(&mut value, "SC006: why\nPR001: why\nFS003: why\nFS010: later\nOP001: of a namespace");
    let mut options = options(35);
    options.skip = ["PR".to_owned()].into();
    options.images.clear();
    assert_eq!(found_in(&value, &options), Vec::<&str>::new());
}

#[test]
fn annotations_ignore_what_is_found_about_everything_together() {
    let policy = json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": "n", "namespace": "shop"}, "spec": {"podSelector": {"matchLabels": {"app": "db"}}}});
    let mut value = good();
    let found_beside = |value: &Value| found(&audited(&format!("{value}\n---\n{policy}\n"), &options(35)));
    assert_eq!(found_beside(&value), ["OP003"]);
    value["metadata"]["annotations"]["kiln.dev/ignore"] = json!("OP003: the mesh does it");
    assert_eq!(found_beside(&value), Vec::<&str>::new());
    // The template's own does the same.
    let annotations = value["metadata"]["annotations"].as_object_mut().unwrap();
    let text = annotations.remove("kiln.dev/ignore").unwrap();
    value["spec"]["template"]["metadata"]["annotations"] = json!({"kiln.dev/ignore": text});
    assert_eq!(found_beside(&value), Vec::<&str>::new());
}

#[test]
fn annotations_of_templates_are_read_at_their_own_place() {
    let text = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec:\n  template:\n    metadata:\n      \
        annotations:\n        kiln.dev/ignore: |\n          SC006: it asks the API\n          SC001/zzz: why\n    spec: {containers: \
        [{name: a, image: \"x:1\"}]}\n";
    let audit = audited(text, &options(35));
    let ignored = |rule: &str| audit.findings.iter().find(|f| f.rule.id == rule).unwrap().state.clone();
    assert_eq!(ignored("SC006"), State::Ignored("it asks the API".into()));
    let told: Vec<(&str, usize)> =
        audit.open().filter(|f| f.rule.id == "IG003").map(|f| (&*f.field, f.line)).collect();
    assert_eq!(told, [("spec.template.metadata.annotations[\"kiln.dev/ignore\"]", 8)]);
}

#[test]
fn annotations_that_say_nothing_or_ignore_themselves_are_told() {
    for value in
        [json!(null), json!(5), json!(["SC001"]), json!(""), json!("IG001: sure"), json!("IG003: sure")]
    {
        let mut own = good();
        own["metadata"]["annotations"]["kiln.dev/ignore"] = value.clone();
        assert_eq!(found_in(&own, &options(35)), ["IG001"], "{value}");
        let mut own = good();
        own["spec"]["template"]["metadata"]["annotations"] = json!({"kiln.dev/ignore": value});
        assert_eq!(found_in(&own, &options(35)), ["IG001"], "{value}");
    }
}

fn found_in(value: &Value, options: &Options) -> Vec<&'static str> {
    found(&audited(&value.to_string(), options))
}

#[test]
fn rules_are_chosen_by_id_and_by_family() {
    let mut options = options(35);
    options.only = ["fs".to_owned(), "PR002".to_owned()].into();
    options.skip = ["FS001".to_owned()].into();
    let none: Edit = ("/spec/template/spec/containers/0/securityContext", Value::Null);
    assert_eq!(found_in(&edited(good(), &[none]), &options), ["PR002"]);
}

#[test]
fn baseline_takes_out_what_was_there_however_lines_move() {
    let options = options(35);
    let mut audit = audited(&pod("x").to_string(), &options);
    let before = baseline::Baseline::of(&audit);
    assert_eq!(before.apply(&mut audit), 0);
    assert_eq!(audit.open().count(), 0);
    let text = before.render();
    let read = baseline::Baseline::parse(&text).unwrap();
    assert_eq!(read, before);
    // Another pod, and the same one with a container more at its front.
    let more = json!({"name": "new", "image": "a:1"});
    let mut value = pod("x");
    value["spec"]["containers"].as_array_mut().unwrap().insert(0, more);
    let moved = format!("# a comment\n{}\n---\n{}\n", pod("y"), value);
    let mut audit = audited(&moved, &options);
    assert_eq!(read.apply(&mut audit), 0);
    let titles: std::collections::BTreeSet<_> =
        audit.open().map(|f| (audit.resource(f).title(), audit.container(f))).collect();
    assert!(titles.contains(&("Pod y".into(), None)));
    assert!(titles.contains(&("Pod x".into(), Some("container \"new\"".into()))));
    assert!(!titles.contains(&("Pod x".into(), Some("container \"app\"".into()))));
    // What was mended is told.
    let mut audit = audited(&good().to_string(), &options);
    assert!(read.apply(&mut audit) > 10);
    assert!(baseline::Baseline::parse("{}").is_err());
    assert!(baseline::Baseline::parse(&text.replace("\"version\": 2", "\"version\": 1")).is_err());
}

#[test]
fn baseline_does_not_hide_what_is_worse_or_about_something_else() {
    let value = |read_only: bool, path: &str, capability: &str, variable: &str, image: &str| {
        let mounts = json!([{"name": "data", "mountPath": "/data", "readOnly": read_only}]);
        let env = json!([{"name": variable, "value": "hunter2hunter2"}]);
        let container = json!({"name": "app", "image": image, "volumeMounts": mounts, "env": env,
            "securityContext": {"capabilities": {"add": [capability]}}});
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": {"containers": [container],
            "volumes": [{"name": "data", "hostPath": {"path": path}}]}})
    };
    let options = options(35);
    let audit_of = |value: &Value| audited(&value.to_string(), &options);
    let before = value(true, "/srv/data", "NET_RAW", "API_TOKEN", "web:1");
    let known = baseline::Baseline::of(&audit_of(&before));
    assert!(!known.render().contains("hunter2"), "{}", known.render());
    let new = |value: &Value| {
        let mut audit = audit_of(value);
        known.apply(&mut audit);
        found(&audit)
    };
    assert_eq!(new(&value(true, "/srv/data", "NET_RAW", "API_TOKEN", "web:2")), Vec::<&str>::new());
    assert_eq!(new(&value(false, "/srv/data", "NET_RAW", "API_TOKEN", "web:1")), ["FS018"]);
    assert_eq!(new(&value(true, "/srv/other", "NET_RAW", "API_TOKEN", "web:1")), ["FS018", "PR016"]);
    assert!(new(&value(true, "/srv/data", "SYS_ADMIN", "API_TOKEN", "web:1")).contains(&"PR004"));
    assert_eq!(new(&value(true, "/srv/data", "NET_RAW", "AWS_SECRET_ACCESS_KEY", "web:1")), ["SC004"]);
    assert_eq!(new(&value(true, "/srv/data", "NET_RAW", "API_TOKEN", "evil:1")), ["SC001"]);
}

#[test]
fn standards_are_those_of_upstream_at_the_version() {
    let standard =
        |value: &Value, minor: u32| audited(&value.to_string(), &options(minor)).resources[0].standard;
    assert_eq!(standard(&good(), 35), Some(Standard::Restricted));
    assert_eq!(standard(&pod("x"), 35), Some(Standard::Baseline));
    let host = edited(good(), &[("/spec/template/spec/hostPID", json!(true))]);
    assert_eq!(standard(&host, 35), Some(Standard::Privileged));
    let sysctl = json!([{"name": "net.ipv4.tcp_rmem", "value": "1"}]);
    let new = edited(good(), &[("/spec/template/spec/securityContext/sysctls", sysctl)]);
    assert_eq!(
        (standard(&new, 31), standard(&new, 32)),
        (Some(Standard::Privileged), Some(Standard::Restricted))
    );
}

#[test]
fn every_rule_explains_itself_in_words_of_its_own() {
    let mut ids: Vec<&str> = rules::RULES.iter().map(|rule| rule.id).collect();
    ids.dedup();
    assert_eq!(ids.len(), rules::RULES.len());
    for rule in rules::RULES {
        for text in [rule.passes, rule.why, rule.remedy] {
            assert!(text.ends_with('.') || text.ends_with('`') || text.ends_with(')'), "{}: {text}", rule.id);
            assert!(text.len() > 6, "{}: {text}", rule.id);
        }
        assert!(!rule.title.ends_with('.'), "{}", rule.id);
    }
}

#[test]
fn other_arguments_for_an_images_entrypoint_are_not_another_program() {
    let image = |entrypoint: &[&str], cmd: &[&str]| {
        let mut image = fixture::image("");
        let words = |of: &[&str]| of.iter().map(ToString::to_string).collect();
        (image.config.entrypoint, image.config.cmd) = (words(entrypoint), words(cmd));
        image.manifest.process.argv = words(&["/usr/sbin/app", "-f"]);
        image
    };
    let script = image(&["/entry.sh"], &["app"]);
    let plain = image(&[], &["app", "-f"]);
    let (shell, init) = (image(&["/bin/sh", "-c"], &["app"]), image(&["tini", "--", "app"], &[]));
    let cases: [(&Image, &[&str], &[&str], bool); 15] = [
        (&shell, &["/bin/sh", "-c"], &["other"], false),
        (&shell, &[], &["other"], false),
        (&shell, &[], &["app"], true),
        (&init, &[], &["-x"], true),
        (&script, &[], &[], true),
        (&script, &[], &["other"], true),
        (&script, &["/entry.sh"], &["other"], true),
        (&script, &["/entry.sh", "app"], &[], true),
        (&script, &["/usr/sbin/app"], &["-f"], true),
        (&script, &["/usr/sbin/app"], &["-x"], false),
        (&script, &["sh"], &[], false),
        (&plain, &[], &["app", "-f"], true),
        (&plain, &[], &["sh"], false),
        (&plain, &["app"], &["-f"], true),
        (&plain, &["app"], &[], false),
    ];
    for (image, command, args, expect) in cases {
        assert_eq!(image.is_started_by(command, args), expect, "{command:?} {args:?}");
    }
}
