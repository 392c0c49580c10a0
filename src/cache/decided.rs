//! A plan as it is kept: what many members have in common stands in it once.
//!
//! The plan's own types are written as they are. Those whose form is that of documents, where a value is called by its kind, have
//! one of their own here, which the compiler compares with them. Does not know what a plan follows from.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::evidence::{Confidence, Evidence};
use crate::finding::Finding;
use crate::path::ImagePath;
use crate::plan::baked::Baked;
use crate::plan::{
    Addition, Entrypoint, Level, PackageFate, Patch, PathContent, Plan, Port, Reason, Removed, Residual,
    Totals, User, UserOrigin, Verdict, WritablePath,
};
use crate::recipe::{EnvRule, Probe, Purpose};

/// A plan with tables.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Decided {
    level: Level,
    entrypoint: Entrypoint,
    #[serde(with = "UserForm")]
    user: User,
    writable: Vec<Writable>,
    ports: Vec<ListensOn>,
    probe: Option<Probe>,
    env: Vec<EnvRule>,
    healthcheck_dropped: Option<String>,
    recipes: Vec<String>,
    patches: Vec<Arc<Patch>>,
    reasons: Vec<Reason>,
    owners: Vec<Arc<str>>,
    verdicts: Vec<Vec<Judged>>,
    dense: Vec<bool>,
    additions: Vec<Addition>,
    baked: Vec<Baked>,
    removed: Vec<Gone>,
    seeding: Option<Vec<String>>,
    preparing: Option<Vec<String>>,
    wants: Vec<ImagePath>,
    residual: Vec<Residual>,
    packages: Vec<PackageFate>,
    before: Totals,
    after: Totals,
    findings: Vec<Finding>,
}

/// A [`Verdict`]; numbers are places in tables.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum Judged {
    Keep(u32),
    Drop(u32),
    Merged,
}

/// A [`Removed`]; numbers are places in tables.
#[derive(Debug, Serialize, Deserialize)]
struct Gone {
    path: ImagePath,
    reason: u32,
    owner: Option<u32>,
    layer: u32,
    bytes: u64,
}

/// A [`Port`].
#[derive(Debug, Serialize, Deserialize)]
struct ListensOn {
    port: u16,
    protocol: String,
    name: String,
    evidence: Vec<Evidence>,
}

/// A [`WritablePath`] in its form.
#[derive(Debug, Serialize, Deserialize)]
struct Writable(#[serde(with = "WritableForm")] WritablePath);

#[derive(Serialize, Deserialize)]
#[serde(remote = "WritablePath")]
struct WritableForm {
    path: ImagePath,
    purpose: Purpose,
    #[serde(with = "ContentForm")]
    content: PathContent,
    seeded: bool,
    uid: u32,
    gid: u32,
    mode: u16,
    size_limit: u64,
    memory: bool,
    confidence: Confidence,
    evidence: Vec<Evidence>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "PathContent")]
enum ContentForm {
    Absent,
    Empty,
    Seed { files: u64, bytes: u64 },
    LogLinks,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "User")]
struct UserForm {
    uid: u32,
    gid: u32,
    groups: Vec<u32>,
    name: Option<String>,
    home: Option<String>,
    #[serde(with = "OriginForm")]
    origin: UserOrigin,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "UserOrigin")]
enum OriginForm {
    Option,
    Image,
    Trace,
    Script(ImagePath),
    Recipe(String),
    Unit(String),
    Account(String),
    Added,
}

/// What stands once, and where.
struct Table<T> {
    rows: Vec<T>,
    places: HashMap<T, u32>,
}

impl<T: Clone + Eq + Hash> Table<T> {
    fn new() -> Self {
        Self { rows: Vec::new(), places: HashMap::new() }
    }

    /// The place of `row`.
    fn place(&mut self, row: &T) -> u32 {
        if let Some(place) = self.places.get(row) {
            return *place;
        }
        let place = u32::try_from(self.rows.len())
            .unwrap_or_else(|_| unreachable!("members are numbered so, and no table is longer"));
        self.rows.push(row.clone());
        self.places.insert(row.clone(), place);
        place
    }
}

/// What stands at `place`.
fn row<T: Clone>(table: &[T], place: u32) -> Option<T> {
    table.get(usize::try_from(place).ok()?).cloned()
}

impl Decided {
    /// `plan`, to be kept.
    pub(super) fn new(plan: &Plan) -> Self {
        let Plan {
            level,
            entrypoint,
            user,
            writable,
            ports,
            probe,
            env,
            healthcheck_dropped,
            recipes,
            verdicts,
            dense,
            additions,
            baked,
            removed,
            seeding,
            preparing,
            wants,
            residual,
            packages,
            before,
            after,
            findings,
        } = plan;
        let (mut patches, mut reasons, mut owners) = (Table::new(), Table::new(), Table::new());
        let mut judged = |verdict: &Verdict| match verdict {
            Verdict::Keep(patch) => Judged::Keep(patches.place(patch)),
            Verdict::Drop(reason) => Judged::Drop(reasons.place(reason)),
            Verdict::Merged => Judged::Merged,
        };
        let verdicts = verdicts.iter().map(|layer| layer.iter().map(&mut judged).collect()).collect();
        let gone = |removed: &Removed| {
            let Removed { path, reason, package, layer, bytes } = removed;
            Gone {
                path: path.clone(),
                reason: reasons.place(reason),
                owner: package.as_ref().map(|name| owners.place(name)),
                layer: *layer,
                bytes: *bytes,
            }
        };
        let removed = removed.iter().map(gone).collect();
        let listens_on = |port: &Port| {
            let Port { port, protocol, name, evidence } = port.clone();
            ListensOn { port, protocol: protocol.to_owned(), name, evidence }
        };
        Self {
            level: *level,
            entrypoint: entrypoint.clone(),
            user: user.clone(),
            writable: writable.iter().cloned().map(Writable).collect(),
            ports: ports.iter().map(listens_on).collect(),
            probe: probe.clone(),
            env: env.clone(),
            healthcheck_dropped: healthcheck_dropped.clone(),
            recipes: recipes.clone(),
            patches: patches.rows,
            reasons: reasons.rows,
            owners: owners.rows,
            verdicts,
            dense: dense.clone(),
            additions: additions.clone(),
            baked: baked.clone(),
            removed,
            seeding: seeding.clone(),
            preparing: preparing.clone(),
            wants: wants.clone(),
            residual: residual.clone(),
            packages: packages.clone(),
            before: *before,
            after: *after,
            findings: findings.clone(),
        }
    }

    /// The plan that it was made of; `None` where something leads nowhere.
    pub(super) fn into_plan(self) -> Option<Plan> {
        let (patches, reasons, owners) = (self.patches, self.reasons, self.owners);
        let verdict = |judged: &Judged| {
            Some(match *judged {
                Judged::Keep(place) => Verdict::Keep(row(&patches, place)?),
                Judged::Drop(place) => Verdict::Drop(row(&reasons, place)?),
                Judged::Merged => Verdict::Merged,
            })
        };
        let verdicts = self.verdicts.iter().map(|layer| layer.iter().map(verdict).collect());
        let verdicts = verdicts.collect::<Option<Vec<Vec<Verdict>>>>()?;
        let removed = |gone: Gone| {
            let Gone { path, reason, owner, layer, bytes } = gone;
            let package = match owner {
                Some(place) => Some(row(&owners, place)?),
                None => None,
            };
            Some(Removed { path, reason: row(&reasons, reason)?, package, layer, bytes })
        };
        let port = |listens_on: ListensOn| {
            let ListensOn { port, protocol, name, evidence } = listens_on;
            Some(Port { port, protocol: Port::protocol_named(&protocol)?, name, evidence })
        };
        Some(Plan {
            level: self.level,
            entrypoint: self.entrypoint,
            user: self.user,
            writable: self.writable.into_iter().map(|Writable(declared)| declared).collect(),
            ports: self.ports.into_iter().map(port).collect::<Option<_>>()?,
            probe: self.probe,
            env: self.env,
            healthcheck_dropped: self.healthcheck_dropped,
            recipes: self.recipes,
            verdicts,
            dense: self.dense,
            additions: self.additions,
            baked: self.baked,
            removed: self.removed.into_iter().map(removed).collect::<Option<_>>()?,
            seeding: self.seeding,
            preparing: self.preparing,
            wants: self.wants,
            residual: self.residual,
            packages: self.packages,
            before: self.before,
            after: self.after,
            findings: self.findings,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Class;
    use crate::evidence::EvidenceKind;
    use crate::finding::Code;
    use crate::plan::access::Permissions;
    use crate::plan::baked::Holds;
    use crate::plan::likeness::Likeness;
    use crate::plan::{Lowered, Made, Role, Step};
    use crate::report::fixture;

    fn read_back(plan: &Plan) -> Option<Plan> {
        let bytes = postcard::to_allocvec(&Decided::new(plan)).unwrap();
        postcard::from_bytes::<Decided>(&bytes).unwrap().into_plan()
    }

    fn assert_is_kept(plan: &Plan) {
        assert_eq!(read_back(plan).as_ref(), Some(plan));
    }

    fn path() -> ImagePath {
        ImagePath::parse(b"/a\xff\\b\n").unwrap()
    }

    fn reasons() -> Vec<Reason> {
        let alike = |likeness| Reason::Catalogued { class: Class::Shell, alike: Some(Arc::new(likeness)) };
        vec![
            Reason::Catalogued { class: Class::Application, alike: None },
            alike(Likeness::Tool("busybox".into())),
            alike(Likeness::Link(path())),
            alike(Likeness::Copy(path())),
            Reason::UnneededPackage,
            Reason::PackageManagerState,
            Reason::Derived,
            Reason::ScriptOfStripped { interpreter: path() },
            Reason::LinkToStripped { target: path() },
            Reason::EmptyDirectory,
            Reason::Shadowed,
            Reason::WhiteoutOfNothing,
            Reason::RemovedAtStart,
            Reason::Requested { glob: Arc::new("/a/*".into()) },
        ]
    }

    #[test]
    fn a_plan_is_kept_as_it_is() {
        assert_is_kept(&fixture::plan());
    }

    #[test]
    fn every_verdict_and_every_reason_is_kept() {
        let content: Arc<[u8]> = Arc::from(&b"content"[..]);
        let patches = [
            Patch::default(),
            Patch { mode: Some(0o555), ..Patch::default() },
            Patch { owner: Some((0, u32::MAX)), ..Patch::default() },
            Patch { path: Some(path()), ..Patch::default() },
            Patch { link: Some(path()), ..Patch::default() },
            Patch { content: Some(content), ..Patch::default() },
            Patch { content: Some(Arc::from(&b""[..])), ..Patch::default() },
            Patch { drop_capabilities: true, ..Patch::default() },
        ];
        let keep = patches.into_iter().map(|patch| Verdict::Keep(Arc::new(patch)));
        let all: Vec<_> =
            keep.chain(reasons().into_iter().map(Verdict::Drop)).chain([Verdict::Merged]).collect();
        let mut reversed = all.clone();
        reversed.reverse();
        let mut plan = fixture::plan();
        plan.verdicts = vec![all.clone(), Vec::new(), reversed, vec![Verdict::unchanged(); 3]];
        plan.removed = reasons()
            .into_iter()
            .zip(0_u32..)
            .map(|(reason, layer)| Removed {
                path: path(),
                reason,
                package: (layer % 2 == 0).then(|| Arc::from(format!("package-{}", layer % 4))),
                layer,
                bytes: u64::MAX - u64::from(layer),
            })
            .collect();
        assert_is_kept(&plan);
    }

    #[test]
    fn everything_else_of_a_plan_is_kept() {
        let mut plan = fixture::plan();
        let origins = [
            UserOrigin::Option,
            UserOrigin::Image,
            UserOrigin::Trace,
            UserOrigin::Script(path()),
            UserOrigin::Recipe("nginx".into()),
            UserOrigin::Unit("nginx.service".into()),
            UserOrigin::Account("www-data".into()),
            UserOrigin::Added,
        ];
        for origin in origins {
            plan.user = User { origin, home: Some("/".into()), ..plan.user };
            assert_is_kept(&plan);
        }
        for probe in [None, Some(Probe::Tcp), Some(Probe::Http { path: "/live".into() })] {
            plan.probe = probe;
            assert_is_kept(&plan);
        }
        let declared = plan.writable[0].clone();
        let contents = [
            PathContent::Absent,
            PathContent::Empty,
            PathContent::Seed { files: 3, bytes: u64::MAX },
            PathContent::LogLinks,
        ];
        let declare = |content| WritablePath { path: path(), content, ..declared.clone() };
        plan.writable = contents.into_iter().map(declare).collect();
        let evidence = Evidence { kind: EvidenceKind::Config, source: "EXPOSE".into(), detail: "53".into() };
        let listens_on =
            |protocol| Port { port: 53, protocol, name: "dns".into(), evidence: vec![evidence.clone()] };
        plan.ports = ["TCP", "UDP", "SCTP"].map(listens_on).to_vec();
        let bytes: Arc<[u8]> = Arc::from(&b"\0\xff"[..]);
        let made = [Made::Directory, Made::File(Arc::clone(&bytes)), Made::Link(Arc::clone(&bytes))];
        plan.additions =
            made.map(|made| Addition { path: path(), made, mode: 0o555, uid: 1, gid: 2 }).to_vec();
        let holds = [Holds::Bytes(Arc::clone(&bytes)), Holds::Link(bytes), Holds::Image];
        let permissions = Permissions { mode: 0o444, uid: 1, gid: 2 };
        let bake =
            |holds| Baked { path: path(), holds, permissions, by: "sh".into(), runs: 2, is_read: true };
        plan.baked = holds.map(bake).to_vec();
        plan.entrypoint = Entrypoint {
            env: vec![("A".into(), "b".into())],
            working_dir: Some(ImagePath::root()),
            chain: [Role::Wrapper, Role::Script, Role::Interpreter, Role::Program]
                .map(|role| Step { path: path(), file: path(), role })
                .to_vec(),
            lowerings: vec![Lowered { from: vec!["a".into()], to: vec!["b".into()], why: "c".into() }],
            ..plan.entrypoint
        };
        plan.env = vec![EnvRule { name: "A".into(), value: "b".into(), why: "c".into() }];
        plan.healthcheck_dropped = Some("CMD curl".into());
        plan.dense = vec![true, false];
        plan.seeding = Some(vec!["sh".into()]);
        plan.preparing = Some(vec!["sh".into(), "-c".into()]);
        plan.wants = vec![path()];
        plan.findings = Code::ALL.iter().map(|&code| Finding::new(code, path(), "seen")).collect();
        for level in Level::ALL {
            plan.level = level;
            assert_is_kept(&plan);
        }
    }

    #[test]
    fn what_leads_nowhere_is_no_plan() {
        let mut decided = Decided::new(&fixture::plan());
        decided.verdicts = vec![vec![Judged::Keep(7)]];
        assert_eq!(decided.into_plan(), None);
    }

    #[test]
    fn what_members_have_in_common_is_written_and_held_once() {
        let mut plan = fixture::plan();
        let patch = Patch { content: Some(Arc::from(&[7; 1000][..])), ..Patch::default() };
        plan.verdicts = vec![(0..1000).map(|_| Verdict::Keep(Arc::new(patch.clone()))).collect()];
        let bytes = postcard::to_allocvec(&Decided::new(&plan)).unwrap();
        assert!(bytes.len() < 10_000, "{}", bytes.len());
        let verdicts = read_back(&plan).unwrap().verdicts.remove(0);
        let [Verdict::Keep(first), .., Verdict::Keep(last)] = &verdicts[..] else { panic!() };
        assert!(Arc::ptr_eq(first, last));
    }
}
