//! Every format is what its readers take.

use expect_test::expect;
use serde_json::Value;

use super::super::baseline::Baseline;
use super::super::{Auditor, Options};
use super::*;

const TEXT: &str = "apiVersion: v1
kind: Pod
metadata:
  name: web
  namespace: shop
  ownerReferences: [{kind: ReplicaSet}]
  annotations:
    kiln.dev/debug: x
    kiln.dev/ignore: 'SC008: it <wants> \"them\"'
spec:
  serviceAccountName: web
  securityContext: {runAsNonRoot: true, runAsUser: 10001, supplementalGroupsPolicy: Strict}
  containers:
  - name: \"a\\x1b[31m,b:\"
    image: web
    terminationMessagePolicy: FallbackToLogsOnError
    securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
    resources: {requests: {cpu: 1, memory: 1}, limits: {memory: 1}}
";

fn audit() -> Audit {
    let options = Options::default();
    let mut auditor = Auditor::new(&options);
    auditor.text("dir/a file.yaml", TEXT).unwrap();
    let mut audit = auditor.finish();
    let known = r#"{"version": 2, "findings": [
        {"rule": "SC002", "severity": "medium", "resource": "Pod shop/web", "container": "a\u001b[31m,b:",
            "field": "spec.containers[a\u001b[31m,b:].image=docker.io/library/web"},
        {"rule": "SC007", "severity": "low", "resource": "Pod shop/web", "field": "spec.serviceAccountName"}]}"#;
    assert_eq!(Baseline::parse(known).unwrap().apply(&mut audit), 1);
    audit
}

fn told(format: Format) -> String {
    written(&audit(), format)
}

fn written(audit: &Audit, format: Format) -> String {
    let told = Told { version: Version(35), style: Style::Plain, verbose: false, gone: 1 };
    let mut out = Vec::new();
    write(audit, format, &told, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// An audit of what no rule looks at.
fn unread() -> Audit {
    let text = "apiVersion: x/v1
kind: Fleet
metadata: {name: f}
spec: {jobs: [{spec: {containers: [{image: a}]}}], a.b: {spec: {containers: [{image: a}]}}}
---
apiVersion: v1
kind: Pod
metadata: {name: \"a\\x1b[31m\"}
---
apiVersion: v1
kind: Pod
metadata: {name: b}
spec: {containers: {}}
---
kind: Deployment
---
- x
";
    let options = Options::default();
    let mut auditor = Auditor::new(&options);
    auditor.text("dir/a file.yaml", text).unwrap();
    auditor.finish()
}

#[test]
fn text_tells_what_no_rule_looked_at_and_gives_it_no_marks() {
    expect![[r#"
        not audited: Fleet f has containers at `spec.jobs[].spec`, which no rule looked at: `--pod-spec-path 'Fleet=spec.jobs[].spec'`
        not audited: Fleet f has containers at `spec["a.b"].spec`, which no rule looked at
        not audited: Pod a\x1b[31m describes no pod at `spec`: no rule looked at it
        not audited: Pod b has no list of containers at `spec.containers`: no rule looked at it
        not audited: 2 documents are no resources of Kubernetes, the first at dir/a file.yaml:15
        findings: none; 1 of the baseline no longer there (0 pods, 3 resources)
    "#]].assert_eq(&written(&unread(), Format::Text));
}

#[test]
fn github_warns_of_what_no_rule_looked_at() {
    let text = written(&unread(), Format::Github);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 5, "{text}");
    let expect = "::warning file=dir/a file.yaml,line=6,col=1,title=not audited::Pod a\u{1b}[31m describes no pod at `spec`: no rule \
        looked at it";
    assert!(lines.contains(&expect), "{text}");
}

#[test]
fn sarif_and_json_tell_what_no_rule_looked_at_as_their_schemas_want_it() {
    let value: Value = serde_json::from_str(&written(&unread(), Format::Sarif)).unwrap();
    assert_eq!(sarif_errors(&value), Vec::<String>::new());
    let notifications = value["runs"][0]["invocations"][0]["toolExecutionNotifications"].as_array().unwrap();
    assert_eq!((notifications.len(), &notifications[0]["level"]), (5, &"warning".into()));
    let value: Value = serde_json::from_str(&written(&unread(), Format::Json)).unwrap();
    let validator = jsonschema::validator_for(&serde_json::from_str(&schema()).unwrap()).unwrap();
    assert!(validator.is_valid(&value));
    let unread = serde_json::json!({"resource": 1, "field": "spec", "why": "missing"});
    assert!(value["not_audited"].as_array().unwrap().contains(&unread), "{value}");
    assert_eq!((&value["no_resources"], value["resources"][1].get("checklist")), (&2.into(), None));
}

#[test]
fn junit_skips_what_no_rule_looked_at() {
    let text = written(&unread(), Format::Junit);
    assert!(text.contains("tests=\"5\" failures=\"0\" skipped=\"5\""), "{text}");
    let case = "<testcase classname=\"not audited\" name=\"dir/a file.yaml:10\">\n      \
        <skipped message=\"Pod b has no list of containers at `spec.containers`: no rule looked at it\"/>";
    assert!(text.contains(case), "{text}");
}

#[test]
fn fingerprints_tell_elements_of_a_list_apart() {
    let options = Options::default();
    let mut auditor = Auditor::new(&options);
    let volumes = "volumes: [{name: a, emptyDir: {}}, {name: b, emptyDir: {}}]";
    let text =
        format!("apiVersion: v1\nkind: Pod\nspec:\n  containers: [{{name: a, image: b}}]\n  {volumes}\n");
    auditor.text("x", &text).unwrap();
    let value: Value = serde_json::from_str(&written(&auditor.finish(), Format::Sarif)).unwrap();
    let results = value["runs"][0]["results"].as_array().unwrap();
    let prints: std::collections::BTreeSet<&str> = results
        .iter()
        .filter(|result| result["ruleId"] == "FS007")
        .map(|result| result["partialFingerprints"]["kilnFinding/v2"].as_str().unwrap())
        .collect();
    assert_eq!(prints.len(), 2);
}

#[test]
fn text_tells_what_where_and_how_far() {
    expect![[r#"
        dir/a file.yaml: Pod shop/web
          medium  SC006  10:1  `automountServiceAccountToken` is not false
          high    SC001  15:5  container "a\u{1b}[31m,b:": "web" is not pinned by digest
          high    FS001  17:5  container "a\u{1b}[31m,b:": `readOnlyRootFilesystem` is not set: the root file system can be changed
          high    PR007  17:5  container "a\u{1b}[31m,b:": no `seccompProfile` of type `RuntimeDefault` or `Localhost`

        checklist of 1 pod
          1   readOnlyRootFilesystem: true for all containers             no
          2   emptyDir volumes for the directories that must be writable  not decided
          3   runAsNonRoot: true                                          yes
          4   allowPrivilegeEscalation: false                             yes
          5   all capabilities dropped                                    yes
          6   configuration from ConfigMaps and Secrets                   yes
          7   images pinned by digest                                     no
          8   automountServiceAccountToken: false                         no
          9   resource limits                                             yes
          10  no writable hostPath volume                                 yes
          score 6 of 10

        Pod Security Standards 1.35: 1 baseline
        not decided: FS002 FS013 ID004 ID009 SC003 (needs the image: `--image NAME=SOURCE`, or `--resolve`)
        not decided: OP002 (no admission policy is audited with the pods)
        not decided: OP003 (no NetworkPolicy is audited with the pods)
        findings: 3 high, 1 medium; 1 ignored; 1 in the baseline; 1 of the baseline no longer there (1 pod, 1 resource)
    "#]].assert_eq(&told(Format::Text));
}

#[test]
fn github_takes_one_line_for_each_finding() {
    expect![[r#"
        ::warning file=dir/a file.yaml,line=10,col=1,title=SC006 Pod shop/web::`automountServiceAccountToken` is not false
        ::error file=dir/a file.yaml,line=15,col=5,title=SC001 Pod shop/web::container "a\u{1b}[31m,b:": "web" is not pinned by digest
        ::error file=dir/a file.yaml,line=17,col=5,title=FS001 Pod shop/web::container "a\u{1b}[31m,b:": `readOnlyRootFilesystem` is not set: the root file system can be changed
        ::error file=dir/a file.yaml,line=17,col=5,title=PR007 Pod shop/web::container "a\u{1b}[31m,b:": no `seccompProfile` of type `RuntimeDefault` or `Localhost`
    "#]].assert_eq(&told(Format::Github));
}

#[test]
fn json_holds_to_its_schema_and_says_what_does_not_count() {
    let value: Value = serde_json::from_str(&told(Format::Json)).unwrap();
    let validator = jsonschema::validator_for(&serde_json::from_str(&schema()).unwrap()).unwrap();
    let errors: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");
    let findings = value["findings"].as_array().unwrap();
    let of = |rule: &str| findings.iter().find(|finding| finding["rule"] == rule).unwrap();
    assert_eq!(of("SC008")["ignored"], "it <wants> \"them\"");
    assert_eq!(of("SC002")["in_baseline"], true);
    assert_eq!((&of("SC006")["ignored"], &of("SC006")["in_baseline"]), (&Value::Null, &Value::Null));
    assert_eq!(value["resources"][0]["containers"][0]["readOnlyRootFilesystem"], false);
    assert_eq!(value["resources"][0]["pod_security_standard"], "baseline");
}

/// Why `value` is no SARIF.
fn sarif_errors(value: &Value) -> Vec<String> {
    // The pattern as published has a bracket too many, and is no regular expression.
    let text = include_str!("../../../testdata/sarif-schema-2.1.0.json").replace("{2}]?$", "{2}$");
    let validator = jsonschema::validator_for(&serde_json::from_str(&text).unwrap()).unwrap();
    validator.iter_errors(value).map(|error| error.to_string()).collect()
}

#[test]
fn sarif_holds_to_the_schema_of_oasis_and_suppresses_what_does_not_count() {
    let value: Value = serde_json::from_str(&told(Format::Sarif)).unwrap();
    assert_eq!(sarif_errors(&value), Vec::<String>::new());
    let mut broken = value.clone();
    broken["runs"][0]["results"][0]["level"] = "bad".into();
    assert!(!sarif_errors(&broken).is_empty());
    let results = value["runs"][0]["results"].as_array().unwrap();
    let of = |rule: &str| results.iter().find(|result| result["ruleId"] == rule).unwrap();
    let place = &of("SC001")["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "dir/a%20file.yaml");
    assert_eq!((&place["region"]["startLine"], &place["region"]["startColumn"]), (&15.into(), &5.into()));
    let index = usize::try_from(of("SC001")["ruleIndex"].as_u64().unwrap()).unwrap();
    assert_eq!(value["runs"][0]["tool"]["driver"]["rules"][index]["id"], "SC001");
    assert_eq!(of("SC008")["suppressions"][0]["justification"], "it <wants> \"them\"");
    assert_eq!(of("SC002")["suppressions"][0]["kind"], "external");
    assert_eq!(of("SC001")["suppressions"], Value::Null);
}

#[test]
fn junit_is_read_by_a_parser_and_its_numbers_are_its_cases() {
    use quick_xml::events::Event;
    let text = told(Format::Junit);
    let mut reader = quick_xml::Reader::from_str(&text);
    let (mut cases, mut failed, mut skipped, mut failures) = (0, 0, 0, 0);
    let mut within = 0;
    let mut sums = Vec::new();
    loop {
        let event = reader.read_event().unwrap();
        match &event {
            Event::Eof => break,
            Event::Start(element) | Event::Empty(element) => match element.name().as_ref() {
                "testsuites" => {
                    for name in ["tests", "failures", "skipped"] {
                        let value = element.try_get_attribute(name).unwrap().unwrap().value;
                        sums.push(value.parse::<usize>().unwrap());
                    }
                }
                "testcase" => {
                    cases += 1;
                    within = 0;
                }
                "failure" => {
                    failures += 1;
                    within += 1;
                    failed += usize::from(within == 1);
                }
                "skipped" => skipped += 1,
                _ => {}
            },
            _ => {}
        }
    }
    assert_eq!(sums, [cases, failed, skipped]);
    assert!(failures >= failed && failed > 3 && skipped > 3, "{text}");
    // No character that XML cannot hold, and none that ends an attribute.
    assert!(!text.contains('\u{1b}'), "{text}");
    assert!(text.contains("container &quot;a\\u{1b}[31m,b:&quot;: &quot;web&quot; is not pinned"), "{text}");
}
