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
    let known = r#"{"version": 1, "findings": [
        {"rule": "SC002", "resource": "Pod shop/web", "container": "a\u001b[31m,b:", "field": "spec.containers[].image"},
        {"rule": "SC007", "resource": "Pod shop/web", "field": "spec.serviceAccountName"}]}"#;
    assert_eq!(Baseline::parse(known).unwrap().apply(&mut audit), 1);
    audit
}

fn told(format: Format) -> String {
    let told = Told { version: Version(35), style: Style::Plain, verbose: false, gone: 1 };
    let mut out = Vec::new();
    write(&audit(), format, &told, &mut out).unwrap();
    String::from_utf8(out).unwrap()
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

#[test]
fn sarif_holds_to_the_schema_of_oasis_and_suppresses_what_does_not_count() {
    let value: Value = serde_json::from_str(&told(Format::Sarif)).unwrap();
    // The pattern as published has a bracket too many, and is no regular expression.
    let text = include_str!("../../../testdata/sarif-schema-2.1.0.json").replace("{2}]?$", "{2}$");
    let schema: Value = serde_json::from_str(&text).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");
    let mut broken = value.clone();
    broken["runs"][0]["results"][0]["level"] = "bad".into();
    assert!(!validator.is_valid(&broken));
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
