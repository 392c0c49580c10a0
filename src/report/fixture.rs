//! A small image and its plan, as tests of reports and of the command line use them.
//!
//! Made by hand; nothing decides here.

use super::{Context, ImageName, LayerBlob, LayerChange};
use crate::catalog::Class;
use crate::digest::BlobDigest;
use crate::evidence::{Confidence, Evidence, EvidenceKind};
use crate::finding::{Code, Finding};
use crate::path::ImagePath;
use crate::plan::{
    Entrypoint, Level, Lowered, PackageFate, PathContent, Plan, Port, Reason, Removed, Residual, Role, Step,
    Totals, User, UserOrigin, WritablePath,
};
use crate::recipe::Purpose;
use crate::rootfs::{Rootfs, dump};

/// Two layers: the upper one deletes an old database.
pub(crate) fn rootfs() -> Rootfs {
    let layers = dump::parse_layers(
        "/tmp d 1777 0:0
         /usr/bin/dash f 0755 0:0 100
         /usr/bin/apt f 0755 0:0 100
         /usr/bin/su f 4755 0:0 100
         /usr/bin/perl f 0755 0:0 100
         /data/old.db f 0644 0:0 100
         --
         /data/old.db w",
    );
    Rootfs::merge(layers).unwrap()
}

pub(crate) fn context() -> Context {
    let blob = |text: &str, bytes| LayerBlob { digest: BlobDigest::of(text.as_bytes()), bytes };
    let image = |name: &str| ImageName { name: name.into(), digest: Some(BlobDigest::of(name.as_bytes())) };
    Context {
        version: "1.2.3".into(),
        source: image("oci:demo:web"),
        platform: "linux/amd64".into(),
        destinations: vec![image("oci:out:web")],
        options: "--keep=/usr/bin/perl".into(),
        trial: None,
        layers: vec![
            LayerChange { before: Some(blob("a", 5000)), after: blob("b", 3000) },
            LayerChange { before: Some(blob("c", 200)), after: blob("c", 200) },
            LayerChange { before: None, after: blob("d", 90) },
        ],
    }
}

fn removed(path: &str, reason: Reason, package: Option<&str>, layer: u32, bytes: u64) -> Removed {
    Removed { path: ImagePath::literal(path), reason, package: package.map(Into::into), layer, bytes }
}

fn evidence(kind: EvidenceKind, source: &str, detail: &str) -> Evidence {
    Evidence { kind, source: source.into(), detail: detail.into() }
}

fn words(text: &str) -> Vec<String> {
    text.split('|').map(Into::into).collect()
}

/// A plan with something of everything.
pub(crate) fn plan() -> Plan {
    let catalogued = |class| Reason::Catalogued { class, alike: None };
    let dash = ImagePath::literal("/usr/bin/dash");
    Plan {
        level: Level::Distroless,
        entrypoint: entrypoint(),
        user: User {
            uid: 33,
            gid: 33,
            groups: vec![4],
            name: Some("www-data".into()),
            home: None,
            origin: UserOrigin::Recipe("nginx".into()),
        },
        writable: vec![WritablePath {
            path: ImagePath::literal("/run"),
            purpose: Purpose::Run,
            content: PathContent::Empty,
            seeded: false,
            uid: 33,
            gid: 33,
            mode: 0o755,
            size_limit: 1 << 20,
            memory: true,
            confidence: Confidence::Proven,
            evidence: vec![
                evidence(EvidenceKind::Directive, "/etc/nginx/nginx.conf:3", "pid /run/nginx.pid"),
                evidence(EvidenceKind::Unit, "nginx.service", "PIDFile=/run/nginx.pid"),
            ],
        }],
        ports: vec![Port {
            port: 80,
            protocol: "TCP",
            name: "http".into(),
            evidence: vec![evidence(EvidenceKind::Config, "ExposedPorts", "80/tcp")],
        }],
        probe: Some(crate::recipe::Probe::Http { path: "/".into() }),
        env: Vec::new(),
        healthcheck_dropped: None,
        recipes: vec!["nginx".into()],
        verdicts: Vec::new(),
        additions: Vec::new(),
        dense: Vec::new(),
        baked: Vec::new(),
        seeding: None,
        preparing: None,
        wants: Vec::new(),
        removed: vec![
            removed("/usr/bin/dash", catalogued(Class::Shell), Some("dash"), 0, 125_640),
            removed("/usr/bin/apt", catalogued(Class::PackageManager), Some("apt"), 0, 18_752),
            removed("/usr/bin/su", Reason::UnneededPackage, Some("util-linux"), 0, 72_000),
            removed("/usr/share/doc/apt", Reason::UnneededPackage, Some("apt"), 0, 0),
            removed("/var/lib/apt/lists/x", Reason::PackageManagerState, None, 1, 9_000_000),
            removed("/usr/bin/a.sh", Reason::ScriptOfStripped { interpreter: dash.clone() }, None, 1, 44),
            removed("/usr/bin/sh", Reason::LinkToStripped { target: dash }, Some("dash"), 0, 0),
            removed("/data/old.db", Reason::Shadowed, None, 0, 100),
            removed("/etc/alternatives/awk", Reason::Derived, None, 0, 0),
            removed("/var/cache/apt", Reason::EmptyDirectory, None, 0, 0),
            removed("/data/gone", Reason::WhiteoutOfNothing, None, 1, 0),
            removed("/opt/x", Reason::Requested { glob: std::sync::Arc::new("/opt/*".into()) }, None, 1, 7),
        ],
        residual: vec![Residual {
            path: ImagePath::literal("/usr/bin/perl"),
            class: Class::Interpreter,
            why: "`--keep /usr/bin/perl`".into(),
            remedy: Some("drop that option".into()),
            multi_call: None,
            applets: Vec::new(),
        }],
        packages: vec![
            package("apt", false, "nothing kept needs it"),
            package("dash", false, "nothing kept needs it"),
            package("nginx", true, "owns the entrypoint"),
        ],
        before: Totals {
            files: 6012,
            bytes: 129_394_278,
            executables: 412,
            setuid: 12,
            writable: 5000,
            catalogued: 118,
            packages: 95,
        },
        after: Totals {
            files: 512,
            bytes: 21_076_377,
            executables: 3,
            setuid: 0,
            writable: 1,
            catalogued: 1,
            packages: 21,
        },
        findings: findings(),
    }
}

fn package(name: &str, kept: bool, why: &str) -> PackageFate {
    PackageFate { name: name.into(), version: "1.0-1".into(), kept, why: why.into() }
}

fn entrypoint() -> Entrypoint {
    let step =
        |path: &str, role| Step { path: ImagePath::literal(path), file: ImagePath::literal(path), role };
    Entrypoint {
        source: words("/entry.sh|nginx|-g|daemon off;"),
        argv: words("/usr/sbin/nginx|-g|daemon off;"),
        working_dir: None,
        env: Vec::new(),
        chain: vec![step("/usr/sbin/nginx", Role::Program)],
        lowerings: vec![Lowered {
            from: words("/entry.sh|nginx|-g|daemon off;"),
            to: words("/usr/sbin/nginx|-g|daemon off;"),
            why: "recipe `nginx`: the script only runs its arguments".into(),
        }],
    }
}

fn findings() -> Vec<Finding> {
    vec![
        Finding::new(Code::EntrypointLowered, "/entry.sh", "runs `/usr/sbin/nginx` in the end"),
        Finding::new(Code::WritableHasContent, "/var/lib/x", "3 files would be hidden by a mount"),
        Finding::new(Code::CallsShell, "/usr/sbin/nginx", "imports `system`"),
        Finding::new(Code::ToolStays, "/usr/bin/perl", "kept by `--keep`"),
    ]
}

/// The plan without anything of weight medium or high to say.
pub(crate) fn quiet_plan() -> Plan {
    let mut plan = plan();
    plan.findings.retain(|finding| finding.severity < crate::finding::Severity::Medium);
    plan
}
