//! Audits of manifests: what each rule finds, and what it does not.

pub(crate) mod fixture;
mod table;

use serde_json::{Value, json};

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
    assert_eq!(audit.others, 1);
    assert_eq!(audit.resources[2].line, 4);
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
    assert_eq!(audit.unread, [(0, "spec.pods.spec".to_owned())]);
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
    // Of a rule that was not asked for nothing can be found.
    annotate(&mut value, "SC006: why\nPR001: why");
    let mut options = options(35);
    options.skip = ["PR".to_owned()].into();
    assert_eq!(found_in(&value, &options), Vec::<&str>::new());
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
    assert!(baseline::Baseline::parse(&text.replace("\"version\": 1", "\"version\": 9")).is_err());
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
