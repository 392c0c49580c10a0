//! Tests of `manifest`.

use serde_json::Value;

use super::*;
use crate::catalog::Class;
use crate::evidence::{Confidence, Evidence, EvidenceKind};
use crate::plan::{
    Entrypoint, Level, Lowered, PathContent, Port, Residual, Role, Step, Totals, User, UserOrigin,
};
use crate::recipe::EnvRule;

fn evidence(kind: EvidenceKind, source: &str, detail: &str) -> Evidence {
    Evidence { kind, source: source.to_owned(), detail: detail.to_owned() }
}

pub(crate) fn writable(path: &str, purpose: Purpose, content: PathContent, memory: bool) -> WritablePath {
    WritablePath {
        path: ImagePath::literal(path),
        purpose,
        content,
        seeded: false,
        uid: 33,
        gid: 33,
        mode: 0o755,
        size_limit: 16 << 20,
        memory,
        confidence: Confidence::Proven,
        evidence: vec![evidence(EvidenceKind::Directive, "/etc/nginx/nginx.conf:4", "pid /run/nginx.pid")],
    }
}

/// A plan with something in every field that the manifest shows.
pub(crate) fn plan() -> Plan {
    let program = ImagePath::literal("/usr/sbin/nginx");
    Plan {
        level: Level::Distroless,
        entrypoint: Entrypoint {
            source: vec!["/docker-entrypoint.sh".into(), "nginx".into()],
            argv: vec!["/usr/sbin/nginx".into(), "-g".into(), "daemon off;".into()],
            working_dir: None,
            env: vec![("LANG".into(), "C".into())],
            chain: vec![Step { path: program.clone(), file: program.clone(), role: Role::Program }],
            lowerings: vec![Lowered {
                from: vec!["/docker-entrypoint.sh".into(), "nginx".into()],
                to: vec!["/usr/sbin/nginx".into(), "-g".into(), "daemon off;".into()],
                why: "it ends in exec \"$@\"".into(),
            }],
        },
        user: User {
            uid: 33,
            gid: 33,
            groups: vec![4],
            name: Some("www-data".into()),
            home: Some("/var/www".into()),
            origin: UserOrigin::Recipe("www-data".into()),
        },
        writable: vec![
            writable("/run", Purpose::Run, PathContent::Empty, true),
            writable("/srv/data", Purpose::State, PathContent::Seed { files: 2, bytes: 30 }, false),
            writable("/var/lib/nginx", Purpose::Cache, PathContent::Absent, false),
            writable("/var/log/nginx", Purpose::Log, PathContent::LogLinks, false),
        ],
        ports: vec![Port {
            port: 80,
            protocol: "TCP",
            name: "http".into(),
            evidence: vec![evidence(EvidenceKind::Directive, "/etc/nginx/nginx.conf:9", "listen 80")],
        }],
        probe: Some(Probe::Http { path: "/".into() }),
        env: vec![EnvRule {
            name: "PYTHONDONTWRITEBYTECODE".into(),
            value: "1".into(),
            why: "no byte code".into(),
        }],
        healthcheck_dropped: None,
        recipes: vec!["nginx".into()],
        verdicts: Vec::new(),
        additions: Vec::new(),
        dense: Vec::new(),
        baked: Vec::new(),
        seeding: None,
        preparing: None,
        wants: Vec::new(),
        removed: Vec::new(),
        residual: vec![Residual {
            path: ImagePath::literal("/usr/bin/perl"),
            class: Class::Interpreter,
            why: "the entrypoint runs it".into(),
            remedy: None,
            multi_call: None,
            applets: Vec::new(),
        }],
        packages: Vec::new(),
        before: Totals::default(),
        after: Totals::default(),
        findings: Vec::new(),
    }
}

pub(crate) fn context() -> ManifestContext {
    ManifestContext {
        source_chain_id: format!("sha256:{}", "a".repeat(64)),
        options: Options { keep: vec!["/b".into(), "/a".into(), "/b".into()], ..Options::default() },
        working_dir: String::new(),
        volumes: vec!["/srv/data".into(), "/a".into()],
    }
}

/// The manifest of that.
pub(crate) fn manifest() -> Manifest {
    Manifest::new(&plan(), &context())
}

#[test]
fn rendered_manifest_holds_to_its_schema_and_reads_back_equal() {
    let manifest = Manifest::new(&plan(), &context());
    let text = manifest.render();
    let value: Value = serde_json::from_str(&text).unwrap();
    let validator = jsonschema::validator_for(&serde_json::from_str(&schema()).unwrap()).unwrap();
    let errors: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(Manifest::parse(&text).unwrap(), manifest);
    assert!(text.ends_with("}\n"));
}

#[test]
fn schema_refuses_what_is_no_manifest() {
    let validator = jsonschema::validator_for(&serde_json::from_str(&schema()).unwrap()).unwrap();
    let good: Value = serde_json::from_str(&Manifest::new(&plan(), &context()).render()).unwrap();
    for (pointer, value) in [
        ("/ports/0/port", serde_json::json!(0)),
        ("/ports/0/protocol", serde_json::json!("tcp")),
        ("/paths/0/mode", serde_json::json!("755")),
        ("/paths/0/evidence", serde_json::json!([])),
        ("/paths/0/purpose", serde_json::json!("other")),
        ("/process/uid", serde_json::json!("root")),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = value;
        assert!(!validator.is_valid(&bad), "{pointer}");
    }
    let mut unknown = good;
    unknown["created"] = serde_json::json!("2026-01-01");
    assert!(!validator.is_valid(&unknown));
}

#[test]
fn order_of_options_volumes_and_paths_does_not_show() {
    let expect = Manifest::new(&plan(), &context()).render();
    let mut plan = plan();
    plan.writable.reverse();
    let mut context = context();
    context.options.keep = vec!["/a".into(), "/b".into()];
    context.volumes.reverse();
    assert_eq!(Manifest::new(&plan, &context).render(), expect);
}

#[test]
fn no_volume_is_suggested_over_content_or_log_links() {
    let manifest = Manifest::new(&plan(), &context());
    let volumes: Vec<_> =
        manifest.paths.iter().map(|path| (path.path.as_str(), path.volume.clone())).collect();
    assert_eq!(
        volumes,
        [
            ("/run", Volume::Memory { size_limit: 16 << 20 }),
            ("/srv/data", Volume::None),
            ("/var/lib/nginx", Volume::Disk { size_limit: 16 << 20 }),
            ("/var/log/nginx", Volume::None),
        ]
    );
}

#[test]
fn other_versions_are_refused_by_number() {
    let text =
        Manifest::new(&plan(), &context()).render().replace("\"schema_version\": 1", "\"schema_version\": 2");
    assert!(matches!(Manifest::parse(&text), Err(ParseManifestError::Version(2))));
    assert!(matches!(Manifest::parse("{}"), Err(ParseManifestError::Shape(_))));
}
